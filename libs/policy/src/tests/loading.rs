//! Which policies are loaded, and what their digest covers.

use custodies::Ceremony;
use custody::manifest::VerifiedManifest;
use sha2::{Digest, Sha256};

use super::*;

fn manifest() -> VerifiedManifest {
    Ceremony::random().id(custody()).destinations(CHAIN, &[SAFE]).held().manifest
}

#[test]
fn a_chain_without_safe_destination_is_not_served() {
    let here = Policy::new(&local_policy(), &[], &HubLimits::default(), &manifest(), &rules(&local_policy())).unwrap();
    assert_eq!(here, policy(&local_policy(), &[]), "the manifest's safe destinations are the ones that count");
    let elsewhere = changed(|local_policy| local_policy.assets[0].chain = "eip155:1".to_owned());
    let outcome = Policy::new(&elsewhere, &[], &HubLimits::default(), &manifest(), &rules(&elsewhere));
    assert_eq!(outcome, Err(PolicyError::NoSafeDestination("eip155:1".parse().unwrap())));
}

#[test]
fn limits_of_the_hub_that_would_limit_nothing_are_not_loaded() {
    let with = |limits: &[(&str, &str, &str)]| {
        let limits = limits.iter().map(|(chain, asset, amount)| limit(chain, asset, amount));
        load(&local_policy(), &[], &hub(limits.collect()))
    };
    let unknown = |asset: &str| PolicyError::UnknownAsset { chain: CHAIN.to_owned(), asset: asset.to_owned() };
    assert_eq!(with(&[(CHAIN, "eth", "1")]), Err(unknown("eth")));
    assert!(matches!(with(&[("eip155:1", "ETH", "1")]), Err(PolicyError::UnknownAsset { .. })));
    assert!(matches!(with(&[(CHAIN, "ETH", "1"), (CHAIN, "ETH", "2")]), Err(PolicyError::Twice { .. })));
    for amount in ["", "1.5", "-1", "0x1", "1e18"] {
        assert!(matches!(with(&[(CHAIN, "ETH", amount)]), Err(PolicyError::Limit { .. })), "{amount}");
    }
    for (amount, seconds) in [("1", 0), ("1", 31_622_401), ("", 60)] {
        let per_wallet = Limit { per_wallet: rolling(amount, seconds), ..limit(CHAIN, "ETH", "1") };
        let total = Limit { total: rolling(amount, seconds), ..limit(CHAIN, "ETH", "1") };
        for limit in [per_wallet, total] {
            let outcome = load(&local_policy(), &[], &hub(vec![limit]));
            assert!(matches!(outcome, Err(PolicyError::Limit { .. })), "{amount} {seconds}: {outcome:?}");
        }
    }
}

#[test]
fn a_local_policy_that_can_not_be_compared_is_not_loaded() {
    let wrong_checksum = BOB.replace('C', "c");
    let table = [
        changed(|local_policy| local_policy.assets[0].per_transaction = "1.5".to_owned()),
        changed(|local_policy| local_policy.assets[1].asset = TOKEN.replace('F', "f")),
        changed(|local_policy| local_policy.destinations = destinations(&[&wrong_checksum], 0)),
        changed(|local_policy| local_policy.intent_signers = vec!["00".repeat(32)]),
    ];
    for bad in table {
        let present = load(&bad, &[], &HubLimits::default());
        assert!(matches!(present, Err(PolicyError::LocalPolicy(_))), "{bad:?}: {present:?}");
        let held = load(&local_policy(), std::slice::from_ref(&bad), &HubLimits::default());
        assert!(matches!(held, Err(PolicyError::LocalPolicy(_))), "{bad:?}: {held:?}");
    }
    let no_adapter = Policy::unvouched(&local_policy(), &[], &HubLimits::default(), &BTreeMap::new(), &Rules::new());
    assert!(matches!(no_adapter, Err(PolicyError::LocalPolicy(why)) if why.contains("no adapter")));
    let safe = BTreeMap::from([(CHAIN.to_owned(), vec![wrong_checksum])]);
    let unsafe_place = Policy::unvouched(&local_policy(), &[], &HubLimits::default(), &safe, &rules(&local_policy()));
    assert!(matches!(unsafe_place, Err(PolicyError::SafeDestination(_))));
}

#[test]
fn the_assets_are_the_present_local_policies() {
    let held = changed(|local_policy| drop(local_policy.assets.pop()));
    let policy = policy(&local_policy(), &[held]);
    let symbols: Vec<_> = policy.assets(&CHAIN.parse().unwrap()).iter().map(|asset| &asset.symbol).collect();
    assert_eq!(symbols, ["ETH", "USDT"]);
    assert!(policy.assets(&"eip155:1".parse().unwrap()).is_empty());
}

#[test]
fn windows_of_all_sources_are_in_order_and_none_is_there_twice() {
    let with = |per_wallet, total| {
        changed(|local_policy| {
            local_policy.assets[0].per_wallet = per_wallet;
            local_policy.assets[0].total = total;
        })
    };
    let present = with(rolling("50", 60), rolling("90", 60));
    let held = [with(rolling("50", 60), rolling("80", 60)), with(rolling("40", 10), None)];
    let tighter = Limit { per_wallet: rolling("500", 60), total: rolling("7", 30), ..limit(CHAIN, "ETH", "1") };
    let policy = load(&present, &held, &hub(vec![tighter])).unwrap();
    let windows = |asset| {
        let windows = policy.windows(&CHAIN.parse().unwrap(), asset).iter();
        windows.map(|window| (window.scope, window.length_ms, window.limit.to_string())).collect::<Vec<_>>()
    };
    let expected =
        [(Scope::Wallet, 10, "40"), (Scope::Wallet, 60, "50"), (Scope::Total, 30, "7"), (Scope::Total, 60, "80")];
    assert_eq!(windows("ETH"), expected.map(|(scope, seconds, limit)| (scope, seconds * 1000, limit.to_owned())));
    assert!(windows("USDT").is_empty() && windows("OTHER").is_empty());
}

#[test]
fn the_digest_names_all_that_holds() {
    let with = |limits: &[(&str, &str)]| {
        load(&local_policy(), &[], &hub(limits.iter().map(|(asset, amount)| limit(CHAIN, asset, amount)).collect()))
            .unwrap()
            .digest()
    };
    let plain = policy(&local_policy(), &[]).digest();
    assert_eq!(with(&[("ETH", "9000")]), plain, "a limit above the local policy changes nothing");
    assert_ne!(with(&[("ETH", "1")]), plain);
    assert_eq!(
        policy(&local_policy(), &[local_policy()]).digest(),
        plain,
        "an earlier local policy that is not stricter changes nothing"
    );
    let mut digests = vec![plain];
    for change in [
        (|local_policy: &mut LocalPolicy| local_policy.assets[0].per_wallet = rolling("5", 60)) as fn(&mut LocalPolicy),
        |local_policy| local_policy.assets[0].total = rolling("5", 60),
        |local_policy| local_policy.assets[0].time_lock = time_lock("5", 60),
        |local_policy| {
            local_policy.assets[0].intent_above = Some("5".to_owned());
            local_policy.intent_signers = vec![signer(1)];
        },
        |local_policy| local_policy.intent_signers = vec![signer(1)],
        |local_policy| local_policy.intent_signers = vec![signer(2)],
        |local_policy| local_policy.destinations = destinations(&[], 0),
        |local_policy| local_policy.destinations = destinations(&[BOB], 0),
        |local_policy| local_policy.destinations = destinations(&[BOB], 60),
        |local_policy| local_policy.kinds = Some([custody::local_policy::OperationKind::Transfer].into()),
        |local_policy| local_policy.fees = fee("5"),
        |local_policy| local_policy.assets[1].asset = SAFE.to_owned(),
        |local_policy| drop(local_policy.assets.pop()),
    ] {
        digests.push(policy(&changed(change), &[]).digest());
    }
    let mut distinct = digests.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), digests.len());
}

/// The bytes that are hashed are fixed: others compare what this program says with what an earlier one said.
#[test]
fn the_digest_of_a_known_policy_is_known() {
    let known = changed(|local_policy| {
        local_policy.assets[0].per_wallet = rolling("5000", 3600);
        local_policy.assets[0].total = rolling("9000", 60);
        local_policy.assets[0].time_lock = time_lock("500", 60);
        local_policy.assets[0].intent_above = Some("700".to_owned());
        local_policy.intent_signers = vec![signer(2), signer(1)];
        local_policy.destinations = destinations(&[CAROL, BOB], 60);
        local_policy.fees = fee("7");
    });
    let digest = "f1ed058874abec25ca0c3ae4b3a29ba80dfd0b1f90ef6a39eabfedf4a5cc4376";
    assert_eq!(HEXLOWER.encode(&policy(&known, &[]).digest()), digest);
    // The same, hashed by hand from what the documentation says.
    let document = format!(
        concat!(
            r#"{{"kinds":["cancel","transfer"],"intentSigners":["{}","{}"],"chains":{{"{chain}":{{"fee":"7","#,
            r#""safeDestinations":["{safe}"],"destinations":{{"allow":["{carol}","{bob}"],"coolingMs":60000}},"#,
            r#""assets":{{"ETH":{{"perTransaction":"1000","windows":[{{"scope":"wallet","lengthMs":3600000,"#,
            r#""limit":"5000"}},{{"scope":"total","lengthMs":60000,"limit":"9000"}}],"#,
            r#""timeLocks":[{{"above":"500","delayMs":60000}}],"intentAbove":"700"}},"#,
            r#""USDT":{{"contract":"{token}","perTransaction":"1000","windows":[],"timeLocks":[]}}}}}}}}}}"#,
        ),
        signer(1).min(signer(2)),
        signer(1).max(signer(2)),
        chain = CHAIN,
        safe = SAFE,
        carol = CAROL,
        bob = BOB,
        token = TOKEN,
    );
    let by_hand = Sha256::digest([b"multisig.policy.v1\0", document.as_bytes()].concat());
    assert_eq!(policy(&known, &[]).digest(), <[u8; 32]>::from(by_hand));
}
