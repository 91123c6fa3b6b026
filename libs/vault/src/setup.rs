//! What a data centre's admin sets up in that data centre's own Vault, with the admin's token: Transit mount and key,
//! trust in the cluster's service-account tokens, policy, role. Repeatable: what is already right is not written, and
//! the report says what was.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{Error, Jwks, connection::Admin, session::check_name};

/// Life of a workload's token, seconds.
const TOKEN_TTL: u64 = 900;
/// A workload logs in again at the latest after this time, seconds.
const TOKEN_MAX_TTL: u64 = 4 * 3600;
/// Clock skew allowed between cluster and Vault, seconds. Named, since a Vault's own defaults are 60 to 150.
const LEEWAY: u64 = 30;

/// Everything that the set-up needs to know. The Transit key is [`SetupPlan::key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupPlan {
    /// Path of the Transit mount.
    pub transit_mount: String,
    /// Path of the JWT auth mount: one per member cluster, since clusters share issuer names.
    pub auth_mount: String,
    /// The cluster's service-account keys.
    pub jwks: Jwks,
    /// The cluster's service-account issuer (`iss`).
    pub issuer: String,
    /// Audience of the workload's projected token (`aud`).
    pub audience: String,
    /// Namespace of the workload.
    pub namespace: String,
    /// ServiceAccount of the workload.
    pub service_account: String,
    /// Role at the auth mount.
    pub role: String,
    /// Policy for every workload that logs in at this auth mount.
    pub policy: String,
}

impl SetupPlan {
    /// `<namespace>.<serviceaccount>`: the only key that the templated policy opens to that workload.
    pub fn key(&self) -> String {
        format!("{}.{}", self.namespace, self.service_account)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let names = [&self.transit_mount, &self.auth_mount, &self.role, &self.policy, &self.key()];
        names.into_iter().try_for_each(|name| check_name(name))?;
        for (what, value) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if value.is_empty() {
                return Err(Error::Settings(format!("the {what} of the projected token is empty")));
            }
        }
        Ok(())
    }
}

/// What became of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Was not there.
    Created,
    /// Was there and differed.
    Updated,
    /// Was right already; nothing was written.
    Unchanged,
    /// This server has no such setting.
    Unsupported,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
            Outcome::Unsupported => "not known to this server",
        })
    }
}

/// One line per step; `Display` is what an admin reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetupReport {
    /// What was set up, and whether anything was written for it.
    pub steps: Vec<(String, Outcome)>,
}

impl SetupReport {
    /// Whether anything was written.
    pub fn changed(&self) -> bool {
        self.steps.iter().any(|(_, outcome)| matches!(outcome, Outcome::Created | Outcome::Updated))
    }
}

impl fmt::Display for SetupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|(step, outcome)| writeln!(f, "vault: {step}: {outcome}"))
    }
}

/// Sets the Vault up; the same plan again writes nothing.
pub async fn setup(admin: &Admin, plan: &SetupPlan) -> Result<SetupReport, Error> {
    plan.check()?;
    let mut report = SetupReport::default();
    let mut done = |step: String, outcome| report.steps.push((step, outcome));

    let transit = &plan.transit_mount;
    let (_, outcome) = ensure_mount(admin, "sys/mounts", transit, "transit").await?;
    done(format!("transit mount {transit}"), outcome);
    let upsert = ensure_no_upsert(admin, transit).await?;
    done(format!("{transit}/config/keys disable_upsert"), upsert);
    let key = ensure_key(admin, &format!("{transit}/keys/{}", plan.key())).await?;
    done(format!("transit key {}", plan.key()), key);

    let auth = &plan.auth_mount;
    let (accessor, outcome) = ensure_mount(admin, "sys/auth", auth, "jwt").await?;
    done(format!("auth mount {auth}"), outcome);
    let keys = ensure(admin, &format!("auth/{auth}/config"), auth_config(plan)?).await?;
    done(format!("trust in the tokens of {}", plan.issuer), keys);
    let policy = json!({ "policy": policy(transit, &accessor) });
    let outcome = ensure(admin, &format!("sys/policies/acl/{}", plan.policy), policy).await?;
    done(format!("policy {}", plan.policy), outcome);
    let outcome = ensure(admin, &format!("auth/{auth}/role/{}", plan.role), role(plan)).await?;
    done(format!("role {}", plan.role), outcome);
    Ok(report)
}

/// Mounts an engine, unless it is there; refuses another engine at that path. Returns its accessor.
async fn ensure_mount(admin: &Admin, table: &str, path: &str, engine: &str) -> Result<(String, Outcome), Error> {
    let mounted = |mounts: &Map<String, Value>| mounts.get(&format!("{path}/")).cloned();
    let read = async || Ok::<_, Error>(admin.read::<Map<String, Value>>(table).await?.unwrap_or_default());
    let (mount, outcome) = match mounted(&read().await?) {
        Some(mount) => (mount, Outcome::Unchanged),
        None => {
            admin.write(&format!("{table}/{path}"), &json!({ "type": engine })).await?;
            (mounted(&read().await?).unwrap_or_default(), Outcome::Created)
        }
    };
    match (mount["type"].as_str(), mount["accessor"].as_str()) {
        (Some(kind), Some(accessor)) if kind == engine => Ok((accessor.to_owned(), outcome)),
        (kind, _) => Err(Error::Unsafe(format!(
            "the Vault has a mount of type {} at {path}, not {engine}; name another path",
            kind.unwrap_or("unknown")
        ))),
    }
}

/// Encrypting with a key that does not exist must not make one: it would not be derived.
async fn ensure_no_upsert(admin: &Admin, transit: &str) -> Result<Outcome, Error> {
    let path = format!("{transit}/config/keys");
    match admin.read::<Map<String, Value>>(&path).await {
        Ok(Some(_)) => ensure(admin, &path, json!({ "disable_upsert": true })).await,
        Ok(None) => Ok(Outcome::Unsupported),
        Err(error) => Err(error),
    }
}

/// Makes the key, or adopts one that has the same properties. `exportable` and `allow_plaintext_backup` can never be
/// unset, so a key that has them is refused for good.
async fn ensure_key(admin: &Admin, path: &str) -> Result<Outcome, Error> {
    let wanted = json!({
        "type": "aes256-gcm96",
        "derived": true,
        "exportable": false,
        "allow_plaintext_backup": false,
    });
    let (key, outcome) = match admin.read::<Map<String, Value>>(path).await? {
        Some(key) => (key, Outcome::Unchanged),
        None => {
            admin.write(path, &wanted).await?;
            (admin.read(path).await?.unwrap_or_default(), Outcome::Created)
        }
    };
    match differing(&wanted, &key).first() {
        None => Ok(outcome),
        Some(field) => Err(Error::Unsafe(format!(
            "the Vault's key {path} has {field}={}, expected {}; it can't be made safe: use another mount, or another \
             namespace for the workload",
            key.get(*field).unwrap_or(&Value::Null),
            wanted[*field],
        ))),
    }
}

/// Writes `wanted` to `path` unless every one of its fields is there already.
async fn ensure(admin: &Admin, path: &str, wanted: Value) -> Result<Outcome, Error> {
    let present = admin.read::<Map<String, Value>>(path).await?;
    let outcome = match &present {
        Some(present) if differing(&wanted, present).is_empty() => return Ok(Outcome::Unchanged),
        Some(_) => Outcome::Updated,
        None => Outcome::Created,
    };
    admin.write(path, &wanted).await?;
    Ok(outcome)
}

/// Names of the fields of `wanted` that `present` has not, or has otherwise.
fn differing<'a>(wanted: &'a Value, present: &Map<String, Value>) -> Vec<&'a str> {
    let fields = wanted.as_object().into_iter().flatten();
    fields.filter(|(name, value)| present.get(*name) != Some(value)).map(|(name, _)| name.as_str()).collect()
}

/// Static keys: the Vault never asks the member's API server, and no other cluster's tokens pass.
fn auth_config(plan: &SetupPlan) -> Result<Value, Error> {
    let keys = plan.jwks.public_keys()?;
    let mut algorithms: Vec<&str> = keys.iter().map(|key| key.algorithm.as_str()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    Ok(json!({
        "jwt_validation_pubkeys": keys.iter().map(|key| key.pem.trim_end()).collect::<Vec<_>>(),
        "jwt_supported_algs": algorithms,
        "bound_issuer": plan.issuer,
    }))
}

/// One policy for every workload: each may use, read, rotate and raise the minimum version of the key of its own name only.
fn policy(transit: &str, accessor: &str) -> String {
    let metadata = format!("identity.entity.aliases.{accessor}.metadata");
    let key = format!("{{{{{metadata}.ns}}}}.{{{{{metadata}.sa}}}}");
    let rule = |path: &str, capability: &str| format!("path \"{path}\" {{ capabilities = [\"{capability}\"] }}\n");
    let mut rules = String::new();
    for operation in ["encrypt", "decrypt", "rewrap"] {
        rules += &rule(&format!("{transit}/{operation}/{key}"), "update");
    }
    rules += &rule(&format!("{transit}/keys/{key}"), "read");
    rules += &rule(&format!("{transit}/keys/{key}/rotate"), "update");
    rules += &format!(
        "path \"{transit}/keys/{key}/config\" {{\n  capabilities = [\"update\"]\n  \
         allowed_parameters = {{ \"min_decryption_version\" = [] }}\n}}\n"
    );
    rules += &rule("auth/token/renew-self", "update");
    rules += &rule("auth/token/lookup-self", "read");
    rules += &rule("auth/token/revoke-self", "update");
    rules.trim_end().to_owned()
}

fn role(plan: &SetupPlan) -> Value {
    json!({
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [plan.audience],
        "bound_subject": format!("system:serviceaccount:{}:{}", plan.namespace, plan.service_account),
        "claim_mappings": {
            "/kubernetes.io/namespace": "ns",
            "/kubernetes.io/serviceaccount/name": "sa",
        },
        "clock_skew_leeway": LEEWAY,
        "expiration_leeway": LEEWAY,
        "not_before_leeway": LEEWAY,
        "token_policies": [plan.policy],
        "token_no_default_policy": true,
        "token_type": "service",
        "token_ttl": TOKEN_TTL,
        "token_max_ttl": TOKEN_MAX_TTL,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_may_touch_its_own_key_only_and_never_export_it() {
        let policy = policy("transit-ms", "auth_jwt_1");
        let own =
            "{{identity.entity.aliases.auth_jwt_1.metadata.ns}}.{{identity.entity.aliases.auth_jwt_1.metadata.sa}}";
        assert!(policy.contains(&format!("path \"transit-ms/decrypt/{own}\" {{ capabilities = [\"update\"] }}")));
        for line in policy.lines().filter(|line| line.contains("transit-ms")) {
            assert!(line.contains(own), "{line}");
        }
        for forbidden in ["create", "delete", "sudo", "export", "backup", "*", "+"] {
            assert!(!policy.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn a_field_that_is_right_is_not_written_again() {
        let present = json!({ "a": 1, "b": [1], "more": true });
        let present = present.as_object().unwrap();
        assert!(differing(&json!({ "a": 1, "b": [1] }), present).is_empty());
        assert_eq!(differing(&json!({ "a": 2, "b": [1], "c": 0 }), present), ["a", "c"]);
    }
}
