//! What can be known before the first write: the Vault answers and is unsealed, the admin's token is accepted and may
//! write everything that [`crate::setup()`] writes, names and keys are usable.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Error, SetupPlan, connection::Admin};

/// Whether [`crate::setup()`] could do its work; writes nothing.
pub async fn preflight(admin: &Admin, plan: &SetupPlan) -> Result<(), Error> {
    plan.check()?;
    plan.jwks.public_keys()?;
    let token = admin.read::<BTreeMap<String, Value>>("auth/token/lookup-self").await;
    token.map_err(|error| match error {
        Error::Denied { cause, .. } => Error::AdminToken { cause },
        other => other,
    })?;
    let paths = written_by_setup(plan);
    let request = json!({ "paths": paths });
    let rights: BTreeMap<String, Value> = admin.exchange("sys/capabilities-self", &request).await?;
    match paths.into_iter().find(|path| !may_write(rights.get(path))) {
        Some(path) => Err(Error::AdminRights { path }),
        None => Ok(()),
    }
}

fn written_by_setup(plan: &SetupPlan) -> Vec<String> {
    let SetupPlan { transit_mount, auth_mount, role, policy, .. } = plan;
    vec![
        format!("sys/mounts/{transit_mount}"),
        format!("sys/auth/{auth_mount}"),
        format!("sys/policies/acl/{policy}"),
        format!("{transit_mount}/config/keys"),
        format!("{transit_mount}/keys/{}", plan.key()),
        format!("auth/{auth_mount}/config"),
        format!("auth/{auth_mount}/role/{role}"),
    ]
}

fn may_write(capabilities: Option<&Value>) -> bool {
    let names = capabilities.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    names.into_iter().any(|name| ["root", "create", "update"].contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_right_to_write_is_enough() {
        for (capabilities, enough) in [
            (json!(["root"]), true),
            (json!(["read", "update"]), true),
            (json!(["create"]), true),
            (json!(["read", "list"]), false),
            (json!(["deny"]), false),
            (json!("root"), false),
        ] {
            assert_eq!(may_write(Some(&capabilities)), enough, "{capabilities}");
        }
        assert!(!may_write(None));
    }
}
