//! Step 5: the writes. The account's record first, for everything else follows from it; then both members, the broker
//! and App's credentials, none waiting for another.

use std::collections::BTreeMap;

use custody::{
    Role,
    config::{CREDENTIALS_KEY, Credentials, NatsConfig},
};
use data_encoding::BASE64;
use k8s_openapi::{
    ByteString, NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Secret, Service},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::DynamicObject,
};
use multisig_api::{
    MultisigCluster,
    conditions::reason,
    labels,
    multisig_cluster::{account_secret, app_credentials_map},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use zeroize::Zeroize;

use super::{
    Pass,
    credentials::Parties,
    dereference::{Dereferenced, RECORD_KEY},
    difference::{is_there, stamp},
    plan::{Write, is_ours},
    validate::Wiring,
};
use crate::{
    calls::{CallError, within},
    conditions::Finding,
    hub,
    members::{Document, Member},
    nats::{
        account::{Advanced, Change, Record, advance, overtake},
        broker::{Access, BrokerError},
        keys::{AccountKeys, KeysError, OperatorAccess},
    },
    signers::Signer,
};

/// The account after this pass.
#[derive(Debug, Clone, Default)]
pub struct AccountOutcome {
    /// What is minted; absent while there is no account.
    pub record: Option<Record>,
    /// Of the Secret that holds it.
    pub resource_version: Option<String>,
    /// Why there is no account, or why it can't be changed.
    pub problem: Option<Finding>,
    /// Roles for which nothing could be minted.
    pub problems: BTreeMap<Role, Finding>,
}

impl AccountOutcome {
    /// The account as it was found, when nothing may be changed.
    pub fn unchanged(references: &Dereferenced) -> Self {
        match &references.account {
            Document::Read(account) => Self {
                record: Some(account.record.clone()),
                resource_version: account.resource_version.clone(),
                ..Self::default()
            },
            Document::Missing => Self::default(),
            Document::Refused(why) => Self { problem: Some(state_refused(why)), ..Self::default() },
        }
    }

    /// Credentials of a role.
    pub fn credentials(&self) -> BTreeMap<Role, Credentials> {
        let of = |role| Some((role, self.record.as_ref()?.credentials(role)?));
        Role::ALL.into_iter().filter_map(of).collect()
    }
}

/// Mints what is missing and writes it down before it takes effect.
pub async fn advance_account(
    pass: Pass<'_>,
    references: &Dereferenced,
    wiring: &Wiring,
    parties: &Parties,
) -> Result<AccountOutcome, CallError> {
    let operator = operator(references);
    let now = pass.now.as_second();
    let advance = |account: &Record, keys: &AccountKeys| {
        let operator = operator.as_ref().ok().map(|operator| operator.key());
        let (wanted, delivered) = (&parties.wanted, &parties.delivered);
        advance(account, keys, operator.as_ref(), wiring.custody, wanted, delivered, now)
            .map_err(|error| CallError::Malformed(error.to_string()))
    };
    let (Advanced { record, changes, problems }, resource_version) = match (&references.account, &operator) {
        (Document::Refused(why), _) => {
            return Ok(AccountOutcome { problem: Some(state_refused(why)), ..AccountOutcome::default() });
        }
        (Document::Missing, Err(finding)) => {
            return Ok(AccountOutcome { problem: Some(finding.clone()), ..AccountOutcome::default() });
        }
        (Document::Missing, Ok(_)) => {
            let keys = AccountKeys::generate().map_err(|error| CallError::Malformed(error.to_string()))?;
            let advanced = advance(&Record::new(&keys), &keys)?;
            let version = create_account(pass, &keys, &advanced.record).await?;
            (advanced, version)
        }
        (Document::Read(account), _) => {
            let advanced = advance(&account.record, &account.keys)?;
            let mut version = account.resource_version.clone();
            if advanced.record != account.record {
                version = store_record(pass, version, &advanced.record).await?;
            }
            (advanced, version)
        }
    };
    announce(pass, &changes).await;
    Ok(AccountOutcome { record: Some(record), resource_version, problem: operator.err(), problems })
}

/// What the hub admin gave to make accounts with.
pub fn operator(references: &Dereferenced) -> Result<&OperatorAccess, Finding> {
    let missing = || Finding::from(KeysError::Missing("nats.account.managed".to_owned()));
    references.operator.as_ref().ok_or_else(missing)?.as_ref().map_err(|error| {
        let mut finding = Finding::from(error.clone());
        finding.message.push_str(" in the Secret of nats.account.managed.secretRef; put it there");
        finding
    })
}

fn state_refused(why: &str) -> Finding {
    let why = format!("the Secret with the account's keys can't be used: {why}; restore it from a backup");
    Finding::bad(reason::ACCOUNT_STATE_REFUSED, why)
}

async fn create_account(
    Pass { cluster, context, .. }: Pass<'_>,
    keys: &AccountKeys,
    record: &Record,
) -> Result<Option<String>, CallError> {
    let values = keys.values().into_iter().map(|(name, value)| (name, ByteString(value.to_vec())));
    let record = (RECORD_KEY.to_owned(), ByteString(record_bytes(record)));
    let mut secret = Secret {
        metadata: hub_metadata(cluster, &account_secret(&cluster.name_any())),
        data: Some(values.chain([record]).collect()),
        ..Secret::default()
    };
    let secrets: Api<Secret> = Api::namespaced(context.hub.clone(), &cluster.namespace().unwrap_or_default());
    // Not by apply: whoever comes second must not replace the keys of whoever came first.
    let parameters = PostParams { field_manager: Some(labels::MANAGER.to_owned()), ..PostParams::default() };
    let created = within(secrets.create(&parameters, &secret)).await;
    secret.data.iter_mut().flat_map(BTreeMap::values_mut).for_each(|value| value.0.zeroize());
    let mut created = created?;
    created.data.iter_mut().flat_map(BTreeMap::values_mut).for_each(|value| value.0.zeroize());
    Ok(created.metadata.resource_version)
}

/// Replaces the record, if nobody has written the Secret since `version`; the next version.
pub async fn store_record(
    Pass { cluster, context, .. }: Pass<'_>,
    version: Option<String>,
    record: &Record,
) -> Result<Option<String>, CallError> {
    let secrets: Api<Secret> = Api::namespaced(context.hub.clone(), &cluster.namespace().unwrap_or_default());
    let body = json!({
        "metadata": {"resourceVersion": version},
        "data": {RECORD_KEY: BASE64.encode(&record_bytes(record))},
    });
    let name = account_secret(&cluster.name_any());
    let parameters = PatchParams { field_manager: Some(labels::MANAGER.to_owned()), ..PatchParams::default() };
    let mut stored = within(secrets.patch(&name, &parameters, &Patch::Merge(&body))).await?;
    stored.data.iter_mut().flat_map(BTreeMap::values_mut).for_each(|value| value.0.zeroize());
    Ok(stored.metadata.resource_version)
}

fn record_bytes(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).expect("the record has string keys only")
}

async fn announce(Pass { cluster, context, .. }: Pass<'_>, changes: &[Change]) {
    let object = cluster.object_ref(&());
    for change in changes {
        let (reason, note) = match change {
            Change::Minted(role, generation) => {
                context.metrics.minted(*role);
                (reason::MINTED, format!("NATS credentials of {role}, generation {generation}"))
            }
            Change::Revoked(role, keys) => (reason::REVOKED, format!("{keys} replaced NATS key(s) of {role}")),
        };
        tracing::info!(cluster = cluster.name_any(), reason, note);
        hub::publish(context, &object, true, reason, &note).await;
    }
}

/// Makes the broker hold the account as it is in the record.
pub async fn push_account(
    pass: Pass<'_>,
    references: &Dereferenced,
    wiring: &Wiring,
    account: &AccountOutcome,
) -> Result<Finding, CallError> {
    if let Some(problem) = &account.problem {
        return Ok(problem.clone());
    }
    let (Ok(operator), Some(record)) = (operator(references), &account.record) else {
        return Ok(Finding::unknown(reason::NOT_OBSERVED, "there is no account yet"));
    };
    let version = account.resource_version.clone();
    Ok(match hold(pass, &wiring.nats, operator, record, version).await? {
        Ok(servers) => Finding::good(format!("{servers} server(s) hold the account {} as wanted", record.account)),
        Err(error) => Finding::from(error),
    })
}

/// Makes every server hold the record's account JWT; how many there are. One that somebody else pushed is overtaken.
pub async fn hold(
    pass: Pass<'_>,
    nats: &NatsConfig,
    operator: &OperatorAccess,
    record: &Record,
    version: Option<String>,
) -> Result<Result<usize, BrokerError>, CallError> {
    let Pass { cluster, context, now } = pass;
    let access = Access { urls: &nats.urls, ca_bundle: &nats.ca_bundle, creds: &operator.creds };
    let owner = cluster.uid().unwrap_or_default();
    let ensure = |record: Record| {
        let (brokers, access, owner) = (&context.brokers, &access, &owner);
        async move { brokers.ensure(owner, access, &record.account, &record.token).await }
    };
    match ensure(record.clone()).await {
        Err(BrokerError::Overtaken(held)) => {
            tracing::warn!(cluster = cluster.name_any(), held, "the broker holds an account JWT of somebody else's");
            let later = overtake(record, &operator.key(), held, now.as_second());
            let later = later.map_err(|error| CallError::Malformed(error.to_string()))?;
            store_record(pass, version, &later).await?;
            Ok(ensure(later).await)
        }
        result => Ok(result),
    }
}

/// Applies what differs on one member, in order: what the pod reads is there before the pod.
pub async fn apply_member(member: &Member, namespace: &str, writes: &[Write]) -> Result<(), Finding> {
    // Ours by label, or delegated to us: the plan has made sure.
    let parameters = PatchParams::apply(labels::MANAGER).force();
    for Write { resource, name, body } in writes {
        let api: Api<DynamicObject> = Api::namespaced_with(member.client(), namespace, resource);
        member.call(api.patch(name, &parameters, &Patch::Apply(body))).await.map_err(|error| match error {
            CallError::Refused(status) | CallError::Conflict(status) => {
                Finding::bad(reason::APPLY_FAILED, format!("{} {name}: {}", resource.kind, status.message))
            }
            error => Finding::from(&error),
        })?;
        tracing::info!(namespace, kind = resource.kind, name, "applied");
    }
    Ok(())
}

/// Delivers App's credentials in a ConfigMap on the hub; takes them away when App is gone.
pub async fn deliver_app(
    Pass { cluster, context, .. }: Pass<'_>,
    wiring: &Wiring,
    live: Option<&ConfigMap>,
    credentials: Option<&Credentials>,
) -> Result<Option<Finding>, CallError> {
    let name = app_credentials_map(&cluster.name_any());
    let maps: Api<ConfigMap> = Api::namespaced(context.hub.clone(), &cluster.namespace().unwrap_or_default());
    let custody = wiring.custody.to_string();
    if live.is_some_and(|live| !is_ours(&live.metadata, &custody)) {
        let why = format!("ConfigMap {name} on the hub is not ours and is left alone; its owner renames it");
        return Ok(Some(Finding::bad(reason::FOREIGN_OBJECT, why)));
    }
    let Some(credentials) = credentials else {
        if live.is_some() {
            within(maps.delete(&name, &DeleteParams::default())).await?;
        }
        return Ok(None);
    };
    let mut metadata = hub_metadata(cluster, &name);
    metadata.labels.get_or_insert_default().insert(labels::CUSTODY.to_owned(), custody);
    let text = serde_json::to_string_pretty(credentials).expect("a struct of strings and numbers");
    let map = ConfigMap {
        metadata,
        data: Some(BTreeMap::from([(CREDENTIALS_KEY.to_owned(), text)])),
        ..ConfigMap::default()
    };
    let wanted = stamp(serde_json::to_value(&map).unwrap_or_default());
    let present = live.and_then(|live| serde_json::to_value(live).ok());
    if present.is_none_or(|present| !is_there(&wanted, &present)) {
        let parameters = PatchParams::apply(labels::MANAGER).force();
        within(maps.patch(&name, &parameters, &Patch::Apply(&wanted))).await?;
    }
    Ok(None)
}

/// Metadata of an object on the hub that goes with its MultisigCluster.
fn hub_metadata(cluster: &MultisigCluster, name: &str) -> ObjectMeta {
    let pairs = [(labels::MANAGED_BY, labels::MANAGER), (labels::PART_OF, labels::PART_OF_VALUE)];
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: cluster.namespace(),
        labels: Some(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        owner_references: cluster.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Deletes a signer's workload on its member, but for what is not ours; whether all of it is gone.
pub async fn delete_workload(
    member: &Member,
    namespace: &str,
    signer: Signer,
    custody: &str,
) -> Result<bool, CallError> {
    let stateful_set = delete::<StatefulSet>(member, namespace, signer, custody).await?;
    let service = delete::<Service>(member, namespace, signer, custody).await?;
    let budget = delete::<PodDisruptionBudget>(member, namespace, signer, custody).await?;
    Ok(stateful_set && service && budget)
}

async fn delete<K>(member: &Member, namespace: &str, signer: Signer, custody: &str) -> Result<bool, CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(member.client(), namespace);
    let Some(object) = member.call(api.get_opt(signer.as_str())).await? else { return Ok(true) };
    if !is_ours(object.meta(), custody) {
        return Ok(true);
    }
    if object.meta().deletion_timestamp.is_none() {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: object.uid(), resource_version: None }),
            ..DeleteParams::background()
        };
        member.call(api.delete(signer.as_str(), &parameters)).await?;
    }
    Ok(member.call(api.get_opt(signer.as_str())).await?.is_none())
}
