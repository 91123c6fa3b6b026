//! Whether an object has to be applied, by comparing what is wanted with what is there. Pure.

use multisig_api::labels;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Notes on the object what was wanted, so that a field which is no longer wanted shows as a difference.
pub fn stamp(mut wanted: Value) -> Value {
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(wanted.to_string()));
    wanted["metadata"]["annotations"][labels::APPLIED] = Value::String(digest);
    wanted
}

/// Whether everything wanted is there. What the API server fills in besides makes no difference.
pub fn is_there(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            wanted.iter().all(|(key, value)| live.get(key).is_some_and(|live| is_there(value, live)))
        }
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len() && wanted.iter().zip(live).all(|(wanted, live)| is_there(wanted, live))
        }
        (Value::String(wanted), Value::String(live)) => wanted == live || same_quantity(wanted, live),
        (wanted, live) => wanted == live,
    }
}

/// The API server writes quantities in their shortest form: `1000m` comes back as `1`, `1024Mi` as `1Gi`.
fn same_quantity(one: &str, other: &str) -> bool {
    thousandths(one).is_some_and(|amount| Some(amount) == thousandths(other))
}

fn thousandths(text: &str) -> Option<u128> {
    let suffixes = [("m", 1), ("Ki", 1000 << 10), ("Mi", 1000 << 20), ("Gi", 1000 << 30), ("", 1000)];
    let (digits, factor) =
        suffixes.into_iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
    let plain = !digits.is_empty() && digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some(digits.parse::<u128>().ok().filter(|_| plain)? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn defaults_that_the_server_adds_are_no_difference() {
        let wanted = json!({"spec": {"replicas": 1, "list": [{"name": "a"}]}});
        assert!(is_there(
            &wanted,
            &json!({"spec": {"replicas": 1, "list": [{"name": "a", "x": 1}], "y": 2}, "status": {}})
        ));
    }

    #[test]
    fn whatever_is_wanted_and_not_there_is_a_difference() {
        let wanted = json!({"spec": {"replicas": 1, "list": [{"name": "a"}]}});
        for live in [
            json!({"spec": {"replicas": 0, "list": [{"name": "a"}]}}),
            json!({"spec": {"list": [{"name": "a"}]}}),
            json!({"spec": {"replicas": 1, "list": [{"name": "b"}]}}),
            json!({"spec": {"replicas": 1, "list": [{"name": "a"}, {"name": "b"}]}}),
            json!({"spec": {"replicas": "1", "list": [{"name": "a"}]}}),
        ] {
            assert!(!is_there(&wanted, &live), "{live}");
        }
    }

    #[test]
    fn a_field_that_is_no_longer_wanted_shows_by_the_stamp() {
        let (with, without) =
            (json!({"metadata": {}, "spec": {"a": 1, "b": 2}}), json!({"metadata": {}, "spec": {"a": 1}}));
        assert!(is_there(&without, &with));
        assert!(!is_there(&stamp(without), &stamp(with)));
    }

    #[test]
    fn quantities_are_compared_by_value() {
        for (one, other) in [("1000m", "1"), ("1024Mi", "1Gi"), ("64Mi", "64Mi"), ("1048576", "1Mi")] {
            assert!(is_there(&json!(one), &json!(other)), "{one} {other}");
        }
        for (one, other) in [("100m", "1"), ("1Gi", "1Mi"), ("1", "1x"), ("a", "b"), ("", "m")] {
            assert!(!is_there(&json!(one), &json!(other)), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn everything_is_in_itself(text in "[a-zA-Z0-9]{0,8}", number: i64) {
            let value = stamp(json!({"metadata": {"name": text}, "list": [number, {"x": text}]}));
            prop_assert!(is_there(&value, &value));
        }
    }
}
