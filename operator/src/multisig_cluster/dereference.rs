//! Reads every object on the hub that a MultisigCluster names. Nothing is judged here.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt, core::DeserializeGuard};
use multisig_api::{
    MemberCluster, MultisigCluster,
    multisig_cluster::nats::{OPERATOR_SEED_KEY, SYSTEM_CREDS_KEY, account_secret, app_credentials_map},
    refs::KeyRef,
};
use zeroize::Zeroizing;

use super::objects::account_secret::RECORD_KEY;
use crate::{
    calls::{CallError, within},
    context::Context,
    document::Document,
    nats::{
        account::Record,
        keys::{AccountKeys, KeysError, OperatorAccess},
    },
    places::{PlaceSpec, Places},
    secret,
};

/// What was found on the hub.
pub struct Dereferenced {
    /// The member of each place.
    pub members: Places<MemberReferences>,
    /// The manifest's text.
    pub manifest: Option<String>,
    /// PEM of the broker's roots.
    pub ca_bundle: Option<String>,
    /// Power to make accounts; absent without `nats.account.managed`.
    pub operator: Option<Result<OperatorAccess, KeysError>>,
    /// The account's Secret.
    pub account: Document<Account>,
    /// `<name>-app-credentials`.
    pub app_credentials: Option<ConfigMap>,
}

/// A MemberCluster and its kubeconfig.
pub struct MemberReferences {
    /// The object.
    pub member: Document<MemberCluster>,
    /// Its kubeconfig.
    pub kubeconfig: Option<Zeroizing<Vec<u8>>>,
}

/// The account as it is kept on the hub.
pub struct Account {
    /// Its seeds.
    pub keys: AccountKeys,
    /// What was minted.
    pub record: Record,
    /// Of the Secret: nobody else may have written it in between.
    pub resource_version: Option<String>,
}

/// Reads all of it.
pub async fn dereference(
    cluster: &MultisigCluster,
    places: &Places<PlaceSpec<'_>>,
    context: &Context,
) -> Result<Dereferenced, CallError> {
    let namespace = cluster.namespace().unwrap_or_default();
    let name = cluster.name_any();
    let secrets: Api<Secret> = Api::namespaced(context.hub.clone(), &namespace);
    let maps: Api<ConfigMap> = Api::namespaced(context.hub.clone(), &namespace);
    let spec = &cluster.spec;
    let (account_name, app_name) = (account_secret(&name), app_credentials_map(&name));
    let (members, manifest, ca_bundle, operator, account, app_credentials) = futures::try_join!(
        async { places.map(|_, place| member(place.member, context, &namespace)).join().await.transpose() },
        text(&maps, &spec.custody.manifest_ref),
        text(&maps, &spec.nats.ca_bundle_ref),
        operator(cluster, &secrets),
        async { Ok(account(within(secrets.get_opt(&account_name)).await?)) },
        within(maps.get_opt(&app_name)),
    )?;
    Ok(Dereferenced { members, manifest, ca_bundle, operator, account, app_credentials })
}

async fn member(name: &str, context: &Context, namespace: &str) -> Result<MemberReferences, CallError> {
    let members: Api<DeserializeGuard<MemberCluster>> = Api::namespaced(context.hub.clone(), namespace);
    let member = match within(members.get_opt(name)).await? {
        None => return Ok(MemberReferences { member: Document::Missing, kubeconfig: None }),
        Some(DeserializeGuard(Err(invalid))) => {
            let why = format!("this version can't read MemberCluster {name}: {}", invalid.error);
            return Ok(MemberReferences { member: Document::Refused(why), kubeconfig: None });
        }
        Some(DeserializeGuard(Ok(member))) => member,
    };
    let reference = &member.spec.kubeconfig_secret_ref;
    let secrets: Api<Secret> = Api::namespaced(context.hub.clone(), namespace);
    let secret = within(secrets.get_opt(&reference.name)).await?;
    let kubeconfig = secret.and_then(|secret| {
        let [value] = secret::take(secret, [&reference.key]);
        value
    });
    Ok(MemberReferences { member: Document::Read(member), kubeconfig })
}

async fn text(maps: &Api<ConfigMap>, reference: &KeyRef) -> Result<Option<String>, CallError> {
    let map = within(maps.get_opt(&reference.name)).await?;
    Ok(map.and_then(|map| map.data.unwrap_or_default().remove(&reference.key)))
}

async fn operator(
    cluster: &MultisigCluster,
    secrets: &Api<Secret>,
) -> Result<Option<Result<OperatorAccess, KeysError>>, CallError> {
    let Some(managed) = &cluster.spec.nats.account.managed else { return Ok(None) };
    let secret = within(secrets.get_opt(&managed.secret_ref.name)).await?.unwrap_or_default();
    let [seed, creds] = secret::take(secret, [OPERATOR_SEED_KEY, SYSTEM_CREDS_KEY]);
    Ok(Some(OperatorAccess::read(seed, creds)))
}

/// Reads the account's Secret. One that can't be read is never made anew: its keys may be in use.
fn account(secret: Option<Secret>) -> Document<Account> {
    let Some(secret) = secret else { return Document::Missing };
    let resource_version = secret.metadata.resource_version.clone();
    let mut data = secret.data.unwrap_or_default();
    let mut value = |key: &str| data.remove(key).map(|value| Zeroizing::new(value.0));
    let record = value(RECORD_KEY).and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
    match (AccountKeys::read(&mut value), record) {
        (Ok(keys), Some(record)) if keys.account() == record.account => {
            Document::Read(Account { keys, record, resource_version })
        }
        (Ok(_), Some(_)) => Document::Refused("its record belongs to another account".to_owned()),
        (Ok(_), None) => Document::Refused(format!("its {RECORD_KEY} is missing or malformed")),
        (Err(error), _) => Document::Refused(error.to_string()),
    }
}
