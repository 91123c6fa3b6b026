//! The writes. All members, the broker and App's credentials at once: none waits for another. The account's record has
//! been written before, for everything here follows from it.

use std::sync::Arc;

use custody::{Role, config::Credentials};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    core::DynamicObject,
};
use multisig_api::{conditions::reason, labels, multisig_cluster::nats::app_credentials_map};

use super::{
    account::{AccountOutcome, push_account},
    dereference::Dereferenced,
    difference::{is_there, stamp},
    objects::{app_credentials::app_credentials, ownership::is_ours},
    observe::Reached,
    pass::{Error, Pass},
    plan::{MemberPlan, Write},
    validate::{ValidMember, Wiring},
};
use crate::{
    calls::{CallError, within},
    conditions::Finding,
    members::client::Member,
    places::Places,
};

/// What came of the writes.
pub struct Effects {
    /// Whether everything is as wanted on each member.
    pub synced: Places<Finding>,
    /// Whether the broker holds the account.
    pub nats: Finding,
    /// What stands against delivering App's credentials.
    pub app: Option<Finding>,
}

/// Writes what is planned.
pub async fn apply(
    pass: Pass<'_>,
    references: &Dereferenced,
    gate: &Result<&Wiring, Finding>,
    members: &Places<Reached<'_>>,
    plans: &Places<MemberPlan>,
    account: &AccountOutcome,
) -> Result<Effects, Error> {
    let synced = plans.map(|place, plan| sync(members[place].as_ref(), plan));
    let nats = async {
        match gate {
            Ok(wiring) => push_account(pass, references, wiring, account).await,
            Err(stop) => Ok(account.problem.clone().unwrap_or_else(|| {
                Finding::unknown(reason::NOT_OBSERVED, format!("the broker is not queried: {}", stop.message))
            })),
        }
    };
    let app = async {
        let Ok(wiring) = gate else { return Ok(None) };
        let credentials = account.credentials().remove(&Role::App);
        deliver_app(pass, wiring, references.app_credentials.as_ref(), credentials.as_ref()).await
    };
    let (synced, nats, app) = futures::join!(synced.join(), nats, app);
    Ok(Effects { synced, nats: nats?, app: app? })
}

async fn sync(member: Option<&(Arc<Member>, &ValidMember<'_>)>, plan: &MemberPlan) -> Finding {
    let writes: &[Write] = match plan {
        Ok(writes) => writes,
        Err(finding) => return finding.clone(),
    };
    let Some((member, valid)) = member else {
        return Finding::unknown(reason::NOT_OBSERVED, "the member can't be reached");
    };
    match apply_member(member, &valid.spec.namespace, writes).await {
        Ok(()) => Finding::good("every object is up to date"),
        Err(finding) => finding,
    }
}

/// Applies what differs on one member, in order: what the pod reads is there before the pod.
async fn apply_member(member: &Member, namespace: &str, writes: &[Write]) -> Result<(), Finding> {
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
async fn deliver_app(
    Pass { cluster, context, .. }: Pass<'_>,
    wiring: &Wiring,
    live: Option<&ConfigMap>,
    credentials: Option<&Credentials>,
) -> Result<Option<Finding>, CallError> {
    let name = app_credentials_map(&cluster.name_any());
    let maps: Api<ConfigMap> = Api::namespaced(context.hub.clone(), &cluster.namespace().unwrap_or_default());
    if live.is_some_and(|live| !is_ours(&live.metadata, &wiring.custody.to_string())) {
        let why = format!(
            "ConfigMap {name} on the hub does not belong to this custody, so it is left unchanged; have its owner \
             rename it"
        );
        return Ok(Some(Finding::bad(reason::FOREIGN_OBJECT, why)));
    }
    let Some(credentials) = credentials else {
        if live.is_some() {
            within(maps.delete(&name, &DeleteParams::default())).await?;
        }
        return Ok(None);
    };
    let map = app_credentials(cluster, wiring.custody, credentials);
    let wanted = stamp(serde_json::to_value(&map).unwrap_or_default());
    let present = live.and_then(|live| serde_json::to_value(live).ok());
    if present.is_none_or(|present| !is_there(&wanted, &present)) {
        let parameters = PatchParams::apply(labels::MANAGER).force();
        within(maps.patch(&name, &parameters, &Patch::Apply(&wanted))).await?;
    }
    Ok(None)
}
