//! Promises of what several sources say of the same wallets.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use chain::{Amount, Asset, ChainId};
use chain_adapters::Adapters;
use custodies::{Ceremony, Custody, phrase};
use custody::phrase::EIP155;
use evacuation::{EvacuationError, ExportedPayment, ExportedWallet, Merged, RosterError, Sources, WalletsExport};

const SAFE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn mainnet() -> ChainId {
    "eip155:1".parse().unwrap()
}

fn custody() -> Custody {
    Ceremony::fixed().destinations("eip155:1", &[SAFE]).held()
}

/// The record of a wallet whose hot phrase is 32 bytes of `hot`.
fn record(name: &str, hot: u8) -> ExportedWallet {
    let key = phrase(hot).keys().public_key(EIP155).unwrap().to_vec();
    let owners = custody().manifest.owners(&mainnet(), &key).unwrap();
    let address = Adapters::all().rules(&mainnet()).unwrap().wallet(&owners, [0; 32]).unwrap().address;
    let keys = BTreeMap::from([(EIP155.to_owned(), key)]);
    ExportedWallet::new(name.parse().unwrap(), &keys, [0; 32], [(mainnet(), address)].into())
}

fn payment(nonce: u64, contract: Option<&str>, amount: u128) -> ExportedPayment {
    let (asset, contract) = ("USD".to_owned(), contract.map(str::to_owned));
    ExportedPayment { chain: mainnet(), nonce, asset, contract, amount: amount.into(), to: None }
}

fn merge(files: &[(&str, &[ExportedWallet])]) -> Result<Merged, RosterError> {
    let (chain, manifest, adapters) = (mainnet(), custody().manifest, Adapters::all());
    let mut sources = Sources::new(&chain, &manifest, &adapters);
    for (name, records) in files {
        sources.file(name);
        records.iter().for_each(|record| sources.record(record).unwrap());
    }
    sources.merge()
}

#[test]
fn wallets_of_all_sources_are_there_once_and_what_only_one_has_is_counted() {
    let (alice, bob, carol) = (record("alice", 10), record("bob", 11), record("carol", 12));
    let merged = merge(&[("cooler", &[bob.clone(), alice]), ("keeper", &[carol, bob])]).unwrap();
    let ids: Vec<&str> = (0..3).map(|place| merged.roster.wallet(place).id).collect();
    assert_eq!((merged.roster.len(), ids), (3, vec!["alice", "bob", "carol"]));
    assert_eq!(merged.sources, [("cooler".to_owned(), 2, 1), ("keeper".to_owned(), 2, 1)]);
    assert_eq!(merged.differences, []);
}

#[test]
fn of_two_records_the_one_that_its_keys_confirm_is_planned_with() {
    let right = record("alice", 10);
    let wrong = ExportedWallet { hot_keys: record("alice", 11).hot_keys, ..right.clone() };
    let merged = merge(&[("a", std::slice::from_ref(&wrong)), ("b", std::slice::from_ref(&right))]).unwrap();
    let [difference] = &merged.differences[..] else { panic!("{:?}", merged.differences) };
    let words = difference.to_string();
    assert!(words.starts_with("wallet alice: a differs from b: wallet alice on eip155:1: the address"), "{words}");
    assert_eq!(merged.roster.wallet(0).hot_key, phrase(10).keys().public_key(EIP155).unwrap());
    let alone = merge(&[("a", &[wrong])]).unwrap_err();
    assert!(alone.to_string().contains("a: wallet alice on eip155:1: the address of its keys is"), "{alone}");
}

#[test]
fn two_wallets_of_one_name_that_are_both_right_are_planned_by_nobody() {
    let contradiction = merge(&[("a", &[record("alice", 10)]), ("b", &[record("alice", 11)])]).unwrap_err();
    let RosterError::Contradiction(differences) = &contradiction else { panic!("{contradiction}") };
    assert!(differences[0].what.starts_with("the hot key is 0x"), "{differences:?}");
    assert!(contradiction.to_string().contains("1 wallets differ between the sources"), "{contradiction}");
    let twice = merge(&[("a", &[record("alice", 10), record("alice", 10)])]).unwrap_err();
    assert_eq!(twice.to_string(), "a: wallet alice is in it twice; make it again");
}

#[test]
fn what_any_signer_signed_is_reckoned_with() {
    let mut cooler = record("alice", 10);
    cooler.outstanding = vec![payment(7, Some("0xBB"), 30), payment(8, None, 1)];
    cooler.highest = [(mainnet(), 8)].into();
    let mut keeper = record("alice", 10);
    keeper.outstanding = vec![payment(7, Some("0xbb"), 30), payment(9, Some("0xbb"), 5)];
    keeper.highest = [(mainnet(), 9)].into();
    let merged = merge(&[("cooler", &[cooler]), ("keeper", &[keeper])]).unwrap();
    assert_eq!(merged.roster.wallet(0).highest, Some(9));
    let usd = Asset { symbol: "USD".to_owned(), contract: Some("0xbb".to_owned()) };
    let known = merged.roster.outstanding(0, &usd);
    let expected = [(7, 30), (8, 1), (9, 5)].map(|(nonce, amount): (u64, u128)| (nonce, Amount::from(amount)));
    assert_eq!(known.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn an_export_that_is_none_says_why() {
    let read = |text: &str| WalletsExport::read(text.as_bytes(), |_| Ok(())).unwrap_err().to_string();
    let newer = read(r#"{"next":1,"version":3,"wallets":[{"more":1}]}"#);
    assert!(newer.contains("has version 3, this build reads up to version 2"), "{newer}");
    for (text, why) in [
        ("", "EOF"),
        ("[]", "a wallets export"),
        (r#"{"wallets":[]}"#, "its version comes after its wallets"),
        (r#"{"version":2,"wallets":[]}"#, "missing field `custodyId`"),
        (r#"{"version":2,"other":1,"wallets":[]}"#, "the field other is not known"),
        (r#"{"version":2,"wallets":[{"id":"a"}]}"#, "missing field `hotKeys`"),
        (r#"{"version":2,"wallets":[]"#, "EOF"),
    ] {
        assert!(read(text).contains(why), "{text}: {}", read(text));
    }
    let export = WalletsExport::new(&custody().manifest, vec![record("alice", 10)]).to_json();
    let stop = EvacuationError::Malformed { what: "wallet", why: "enough".to_owned() };
    let stopped = WalletsExport::read(export.as_bytes(), |_| {
        Err(EvacuationError::Malformed { what: "wallet", why: "enough".to_owned() })
    });
    assert_eq!(stopped.unwrap_err(), stop);
    assert!(WalletsExport::read(format!("{export} {{").as_bytes(), |_| Ok(())).is_err(), "something follows");
}
