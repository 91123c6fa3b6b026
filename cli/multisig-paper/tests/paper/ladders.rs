//! Plans of version 2 at both stations.

use std::{collections::BTreeMap, fs};

use chain::{Asset, ChainId, ChainRules, KeyRole};
use chain_adapters::Adapters;
use chain_evm::EvmSafe;
use custodies::FoundWallet;
use custody::phrase::{EIP155, Phrase};
use evacuation::{
    ExportedWallet,
    stream::{OpenedPlan, OwnerPair, SignatureReader},
};

use super::{Ceremony, SAFE};

const COLD: &str = "evac sign --manifest manifest.json plan --out cold.sig";

impl Ceremony {
    /// `plan` for `wallets` wallets that differ in their salts, with native coin.
    pub(super) fn ladders(&self, wallets: u64) {
        self.ladders_for(wallets, OwnerPair::default());
    }

    /// The same, for these owners to sign.
    fn ladders_for(&self, wallets: u64, signers: OwnerPair) {
        let (manifest, chain): (_, ChainId) = (self.manifest(), "eip155:1".parse().unwrap());
        let signed = custody::manifest::SignedManifest::parse(self.room.read("manifest.json").as_bytes()).unwrap();
        let hot = Phrase::from_entropy(&[1; 32]).unwrap().keys().public_key(EIP155).unwrap().to_vec();
        let owners = manifest.owners(&chain, &hot).unwrap();
        let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
        let found = |number: u64| {
            let mut salt = [0; 32];
            salt[24..].copy_from_slice(&number.to_be_bytes());
            let address = EvmSafe::new(chain.clone()).unwrap().wallet(&owners, salt).unwrap().address;
            let keys = BTreeMap::from([(EIP155.to_owned(), hot.clone())]);
            let id = format!("user-{number}").parse().unwrap();
            let record = ExportedWallet::new(id, &keys, salt, [(chain.clone(), address)].into());
            FoundWallet { record, live: Some(0), held: vec![u128::from(1_000 + number)] }
        };
        let found: Vec<_> = (0..wallets).map(found).collect();
        fs::write(self.room.path("plan"), custodies::plan(&signed, &chain, &assets, signers, &found)).unwrap();
    }

    /// What a person types: the digits from the paper, then the phrase.
    fn typed(&self, phrase: &str) -> String {
        let digest = self.manifest().digest();
        format!("{}\n{phrase}", digest[digest.len() - 8..].to_uppercase())
    }

    /// Every signature of a file fits its transaction.
    pub(super) fn verified(&self, file: &str, role: KeyRole) {
        let bytes = fs::read(self.room.path(file)).unwrap();
        let mut signatures = SignatureReader::open(bytes.as_slice()).unwrap();
        let plan = fs::read(self.room.path("plan")).unwrap();
        let mut plan = OpenedPlan::open(plan.as_slice()).unwrap().verify(&self.manifest(), &Adapters::all()).unwrap();
        while let Some(chunk) = plan.next_chunk().unwrap() {
            chunk.signatures(role, &signatures.next_chunk().unwrap().unwrap()).unwrap();
        }
        assert_eq!(signatures.next_chunk().unwrap(), None);
        assert_eq!(signatures.plan(), Some(plan.digest()));
    }
}

#[test]
fn both_stations_sign_a_plan_of_ladders_into_files_of_their_own() {
    let ceremony = Ceremony::signed();
    let room = &ceremony.room;
    ceremony.ladders(30);
    let run = room.run(COLD, &ceremony.typed(&ceremony.cold)).ok();
    for shown in ["60 transactions of 30 wallets", "revision 1", SAFE, "30435 (smallest unit)", "user-29", "user-10"] {
        assert!(run.out.contains(shown), "{shown} in {}", run.out);
    }
    assert!(!run.out.contains("user-9\n"), "only the twenty largest: {}", run.out);
    let cool = "evac sign --manifest manifest.json plan --role cool --out cool.sig -o json";
    let signed = room.run(cool, &ceremony.typed(&ceremony.cool)).json();
    assert_eq!((signed["role"].as_str(), signed["steps"].as_u64()), (Some("cool"), Some(60)));
    assert_eq!(signed["assets"][0]["total"], "30435");
    ceremony.verified("cold.sig", KeyRole::Cold);
    ceremony.verified("cool.sig", KeyRole::Cool);
    assert!(!room.files().iter().any(|name| name.ends_with(".part")), "{:?}", room.files());
    room.run(COLD, &ceremony.typed(&ceremony.cold)).refused("already exists");
}

#[test]
fn without_the_papers_digits_or_with_another_phrase_nothing_is_signed() {
    let ceremony = Ceremony::signed();
    ceremony.ladders(1);
    let run = ceremony.room.run(COLD, &format!("00000000\n{}", ceremony.cold));
    assert!(!run.out.contains(&ceremony.manifest().digest()), "no digest is shown before: {}", run.out);
    run.refused("the last 8 digits");
    ceremony.room.run(COLD, &format!("\n{}", ceremony.cold)).refused("the last 8 digits");
    ceremony.room.run(COLD, &ceremony.cold).refused("the last 8 digits");
    ceremony.room.run(COLD, &ceremony.typed(&ceremony.cool)).refused("not the cold phrase");
    assert!(!ceremony.room.files().contains(&"cold.sig".to_owned()));
    let other = Ceremony::signed();
    other.room.write_bytes("plan", &fs::read(ceremony.room.path("plan")).unwrap());
    other.room.run(COLD, &other.typed(&other.cold)).refused("which is not the manifest given");
}

#[test]
fn a_run_that_was_stopped_is_gone_on_with_and_gives_the_same_file() {
    let ceremony = Ceremony::signed();
    let room = &ceremony.room;
    ceremony.ladders(1_001);
    room.run(COLD, &ceremony.typed(&ceremony.cold)).ok();
    let whole = fs::read(room.path("cold.sig")).unwrap();
    // Stopped within its second chunk, within its first, and before its header was whole.
    for (length, kept) in [(whole.len() - 40, true), (60_000, false), (40, false)] {
        fs::remove_file(room.path("cold.sig")).unwrap();
        room.write_bytes("cold.sig.part", &whole[..length]);
        let run = room.run(COLD, &ceremony.typed(&ceremony.cold)).ok();
        assert_eq!(run.out.contains("1 chunks are signed already"), kept, "{}", run.out);
        assert_eq!(fs::read(room.path("cold.sig")).unwrap(), whole);
    }
    // What is not of this plan is nobody's to write over.
    fs::rename(room.path("cold.sig"), room.path("cold.sig.part")).unwrap();
    ceremony.ladders(2);
    room.run(COLD, &ceremony.typed(&ceremony.cold)).refused("move it away");
}

#[test]
fn a_station_signs_what_is_for_its_owner_and_never_a_plan_that_needs_no_paper() {
    let ceremony = Ceremony::signed();
    let room = &ceremony.room;
    let cool = "evac sign --manifest manifest.json plan --role cool --out cool.sig";
    ceremony.ladders_for(1, OwnerPair::HotAndCold);
    room.run(cool, &ceremony.typed(&ceremony.cool)).refused("the plan is signed by hot and cold, and not by cool");
    let run = room.run(COLD, &ceremony.typed(&ceremony.cold)).ok();
    assert!(run.out.contains("signed by hot and cold"), "{}", run.out);
    ceremony.verified("cold.sig", KeyRole::Cold);
    fs::remove_file(room.path("cold.sig")).unwrap();
    ceremony.ladders_for(1, OwnerPair::HotAndCool);
    room.run(COLD, &ceremony.typed(&ceremony.cold)).refused("the plan is signed by hot and cool, and not by cold");
    room.run(cool, &ceremony.typed(&ceremony.cool)).refused("is signed in the data centres alone");
    assert!(!room.files().iter().any(|name| name.contains(".sig")), "{:?}", room.files());
}
