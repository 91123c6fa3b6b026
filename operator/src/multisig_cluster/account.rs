//! The NATS account: mints what is missing, writes it down before it takes effect, and makes the broker hold it.

use std::collections::BTreeMap;

use custody::{
    Role,
    config::{Credentials, NatsConfig},
};
use data_encoding::BASE64;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use multisig_api::{MultisigCluster, conditions::reason, labels, multisig_cluster::nats::account_secret};
use serde_json::json;
use zeroize::Zeroize;

use super::{
    dereference::Dereferenced,
    objects::{
        self,
        account_secret::{RECORD_KEY, record_bytes},
    },
    pass::Pass,
    recipients::Recipients,
    validate::Wiring,
};
use crate::{
    calls::{CallError, within},
    conditions::Finding,
    context::Context,
    document::Document,
    hub,
    nats::{
        account::{Advanced, Change, Record, advance, overtake},
        broker::{Access, BrokerError},
        keys::{AccountKeys, OperatorAccess},
    },
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
    recipients: &Recipients,
) -> Result<AccountOutcome, CallError> {
    let operator = operator(references);
    let now = pass.now.as_second();
    let advance = |account: &Record, keys: &AccountKeys| {
        let operator = operator.as_ref().ok().map(|operator| operator.key());
        let (wanted, delivered) = (&recipients.wanted, &recipients.delivered);
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
    let missing = || Finding::bad(reason::NATS_SECRET_REFUSED, "spec.nats.account.managed is missing");
    references.operator.as_ref().ok_or_else(missing)?.as_ref().map_err(|error| {
        let mut finding = Finding::from(error.clone());
        finding.message.push_str("; correct the Secret that nats.account.managed.secretRef names");
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
    let mut secret = objects::account_secret::account_secret(cluster, keys, record);
    // Not by apply: whoever comes second must not replace the keys of whoever came first.
    let parameters = PostParams { field_manager: Some(labels::MANAGER.to_owned()), ..PostParams::default() };
    let created = within(secrets(context, cluster).create(&parameters, &secret)).await;
    wipe(&mut secret);
    let mut created = created?;
    wipe(&mut created);
    Ok(created.metadata.resource_version)
}

/// Replaces the record, if nobody has written the Secret since `version`; the next version.
pub async fn store_record(
    Pass { cluster, context, .. }: Pass<'_>,
    version: Option<String>,
    record: &Record,
) -> Result<Option<String>, CallError> {
    let body = json!({
        "metadata": {"resourceVersion": version},
        "data": {RECORD_KEY: BASE64.encode(&record_bytes(record))},
    });
    let name = account_secret(&cluster.name_any());
    let parameters = PatchParams { field_manager: Some(labels::MANAGER.to_owned()), ..PatchParams::default() };
    let mut stored = within(secrets(context, cluster).patch(&name, &parameters, &Patch::Merge(&body))).await?;
    wipe(&mut stored);
    Ok(stored.metadata.resource_version)
}

fn secrets(context: &Context, cluster: &MultisigCluster) -> Api<Secret> {
    Api::namespaced(context.hub.clone(), &cluster.namespace().unwrap_or_default())
}

fn wipe(secret: &mut Secret) {
    secret.data.iter_mut().flat_map(BTreeMap::values_mut).for_each(|value| value.0.zeroize());
}

async fn announce(Pass { cluster, context, .. }: Pass<'_>, changes: &[Change]) {
    let object = cluster.object_ref(&());
    for change in changes {
        let (reason, note) = match change {
            Change::Minted(role, generation) => {
                context.metrics.minted(*role);
                (reason::MINTED, format!("minted NATS credentials of {role}, generation {generation}"))
            }
            Change::Revoked(role, keys) => (reason::REVOKED, format!("revoked {keys} replaced NATS key(s) of {role}")),
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
        Ok(servers) => Finding::good(format!("all {servers} server(s) have the current account {}", record.account)),
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
            tracing::warn!(
                cluster = cluster.name_any(),
                held,
                "the broker has an account JWT that the operator did not push"
            );
            let later = overtake(record, &operator.key(), held, now.as_second());
            let later = later.map_err(|error| CallError::Malformed(error.to_string()))?;
            store_record(pass, version, &later).await?;
            Ok(ensure(later).await)
        }
        result => Ok(result),
    }
}
