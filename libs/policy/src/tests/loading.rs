//! Which policies are loaded, and what their digest covers.

use custody::{
    KeyRole,
    manifest::{self, Manifest, PublicHalf, SignedManifest, VerifiedManifest},
    phrase::Phrase,
};
use rand_core::OsRng;

use super::*;

fn manifest() -> VerifiedManifest {
    let (cool, cold) = (Phrase::generate(&mut OsRng).keys(), Phrase::generate(&mut OsRng).keys());
    let mut signed = SignedManifest::new(Manifest {
        version: manifest::VERSION,
        custody_id: custody(),
        revision: 1,
        cool: PublicHalf::from_keys(KeyRole::Cool, &cool).unwrap(),
        cold: PublicHalf::from_keys(KeyRole::Cold, &cold).unwrap(),
        safe_destinations: BTreeMap::from([(CHAIN.to_owned(), vec![SAFE.to_owned()])]),
    })
    .unwrap();
    signed.sign(KeyRole::Cool, &cool).unwrap();
    signed.sign(KeyRole::Cold, &cold).unwrap();
    signed.verify().unwrap()
}

#[test]
fn a_chain_without_safe_destination_is_not_served() {
    let here = Policy::new(&floor(), &[], &wiring::Policy::default(), &manifest(), &rules(&floor())).unwrap();
    assert_eq!(here, policy(&floor(), &[]), "the manifest's safe destinations are the ones that count");
    let elsewhere = changed(|floor| floor.assets[0].chain = "eip155:1".to_owned());
    let outcome = Policy::new(&elsewhere, &[], &wiring::Policy::default(), &manifest(), &rules(&elsewhere));
    assert_eq!(outcome, Err(PolicyError::NoSafeDestination("eip155:1".parse().unwrap())));
}

#[test]
fn limits_of_the_hub_that_would_limit_nothing_are_not_loaded() {
    let with = |limits: &[(&str, &str, &str)]| {
        let limits = limits.iter().map(|(chain, asset, amount)| limit(chain, asset, amount));
        load(&floor(), &[], &hub(limits.collect()))
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
            let outcome = load(&floor(), &[], &hub(vec![limit]));
            assert!(matches!(outcome, Err(PolicyError::Limit { .. })), "{amount} {seconds}: {outcome:?}");
        }
    }
}

#[test]
fn a_floor_that_can_not_be_compared_is_not_loaded() {
    let wrong_checksum = BOB.replace('C', "c");
    let table = [
        changed(|floor| floor.assets[0].per_transaction = "1.5".to_owned()),
        changed(|floor| floor.assets[1].asset = TOKEN.replace('F', "f")),
        changed(|floor| floor.destinations = destinations(&[&wrong_checksum], 0)),
        changed(|floor| floor.intent_signers = vec!["00".repeat(32)]),
    ];
    for bad in table {
        let present = load(&bad, &[], &wiring::Policy::default());
        assert!(matches!(present, Err(PolicyError::Floor(_))), "{bad:?}: {present:?}");
        let held = load(&floor(), std::slice::from_ref(&bad), &wiring::Policy::default());
        assert!(matches!(held, Err(PolicyError::Floor(_))), "{bad:?}: {held:?}");
    }
    let no_adapter = Policy::unvouched(&floor(), &[], &wiring::Policy::default(), &BTreeMap::new(), &Rules::new());
    assert!(matches!(no_adapter, Err(PolicyError::Floor(why)) if why.contains("no adapter")));
    let safe = BTreeMap::from([(CHAIN.to_owned(), vec![wrong_checksum])]);
    let unsafe_place = Policy::unvouched(&floor(), &[], &wiring::Policy::default(), &safe, &rules(&floor()));
    assert!(matches!(unsafe_place, Err(PolicyError::SafeDestination(_))));
}

#[test]
fn the_assets_are_the_present_floors() {
    let held = changed(|floor| drop(floor.assets.pop()));
    let policy = policy(&floor(), &[held]);
    let symbols: Vec<_> = policy.assets(&CHAIN.parse().unwrap()).iter().map(|asset| &asset.symbol).collect();
    assert_eq!(symbols, ["ETH", "USDT"]);
    assert!(policy.assets(&"eip155:1".parse().unwrap()).is_empty());
}

#[test]
fn windows_of_all_sources_are_in_order_and_none_is_there_twice() {
    let with = |per_wallet, total| {
        changed(|floor| {
            floor.assets[0].per_wallet = per_wallet;
            floor.assets[0].total = total;
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
        load(&floor(), &[], &hub(limits.iter().map(|(asset, amount)| limit(CHAIN, asset, amount)).collect()))
            .unwrap()
            .digest()
    };
    let plain = policy(&floor(), &[]).digest();
    assert_eq!(with(&[("ETH", "9000")]), plain, "a limit above the floor changes nothing");
    assert_ne!(with(&[("ETH", "1")]), plain);
    assert_eq!(policy(&floor(), &[floor()]).digest(), plain, "an earlier floor that is no stricter changes nothing");
    let mut digests = vec![plain];
    for change in [
        (|floor: &mut Floor| floor.assets[0].per_wallet = rolling("5", 60)) as fn(&mut Floor),
        |floor| floor.assets[0].total = rolling("5", 60),
        |floor| floor.assets[0].time_lock = time_lock("5", 60),
        |floor| {
            floor.assets[0].intent_above = Some("5".to_owned());
            floor.intent_signers = vec![signer(1)];
        },
        |floor| floor.intent_signers = vec![signer(1)],
        |floor| floor.intent_signers = vec![signer(2)],
        |floor| floor.destinations = destinations(&[], 0),
        |floor| floor.destinations = destinations(&[BOB], 0),
        |floor| floor.destinations = destinations(&[BOB], 60),
        |floor| floor.kinds = Some([custody::trust::OperationKind::Transfer].into()),
        |floor| floor.fees = fee("5"),
        |floor| floor.assets[1].asset = SAFE.to_owned(),
        |floor| drop(floor.assets.pop()),
    ] {
        digests.push(policy(&changed(change), &[]).digest());
    }
    let mut distinct = digests.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), digests.len());
}
