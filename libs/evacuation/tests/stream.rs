//! Promises of the documents of version 2: what stations sign of them, and what they refuse.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, Asset, ChainId, Claim, Created, Held, KeyRole, WalletState};
use chain_adapters::Adapters;
use custodies::{Ceremony, Custody, phrase};
use custody::{WalletId, phrase::EIP155};
use evacuation::{
    Balance, ChainState, ExportedAsset, ExportedPayment, ExportedWallet, LadderError, Sources, States, WalletsExport,
    stream::{
        Block, CHUNK_WALLETS, Draft, OpenedPlan, OwnerPair, PlanReader, Price, Request, SignatureReader,
        SignatureWriter, SignedChunk, StreamError, Why, is_stream,
    },
};

const SAFE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const TOKEN: &str = "0x00000000000000000000000000000000000000bb";

fn mainnet() -> ChainId {
    "eip155:1".parse().unwrap()
}

fn custody() -> Custody {
    Ceremony::fixed().destinations("eip155:1", &[SAFE]).held()
}

fn asset(symbol: &str, contract: Option<&str>) -> Asset {
    Asset { symbol: symbol.to_owned(), contract: contract.map(str::to_owned) }
}

/// A custody's wallets, what a node says of them, and the assets that are listed.
struct World {
    custody: Custody,
    export: WalletsExport,
    states: BTreeMap<(WalletId, ChainId), ChainState>,
    assets: Vec<Asset>,
    prices: BTreeMap<String, Price>,
    owners: OwnerPair,
}

impl World {
    fn new(assets: &[Asset]) -> Self {
        let custody = custody();
        let export = WalletsExport::new(&custody.manifest, Vec::new());
        let (states, prices, owners) = (BTreeMap::new(), BTreeMap::new(), OwnerPair::default());
        Self { custody, export, states, assets: assets.to_vec(), prices, owners }
    }

    /// Wallets differ in their salt alone: one hot key is enough for a test.
    fn wallet(&mut self, name: &str, live: u64, held: &[u128]) -> &mut ExportedWallet {
        let hot = phrase(10).keys().public_key(EIP155).unwrap().to_vec();
        let mut salt = [0; 32];
        salt[..8].copy_from_slice(&(self.export.wallets.len() as u64).to_be_bytes());
        let rules = Adapters::all().rules(&mainnet()).unwrap();
        let owners = self.custody.manifest.owners(&mainnet(), &hot).unwrap();
        let address = rules.wallet(&owners, salt).unwrap().address;
        let id: WalletId = name.parse().unwrap();
        let keys = BTreeMap::from([(EIP155.to_owned(), hot)]);
        let balances = self.assets.iter().zip(held);
        let balances = balances.map(|(asset, held)| Balance { asset: asset.clone(), amount: Amount::from(*held) });
        let state = ChainState { created: live > 0, next: vec![Claim::Sequence(live)], balances: balances.collect() };
        self.states.insert((id.clone(), mainnet()), state);
        self.export.wallets.push(ExportedWallet::new(id, &keys, salt, [(mainnet(), address)].into()));
        self.export.wallets.last_mut().unwrap()
    }

    /// What `look` says of the draft.
    fn draft<T>(&self, rebasing: &[&str], look: impl FnOnce(&Draft<'_>) -> T) -> Result<T, StreamError> {
        let rebasing: BTreeSet<String> = rebasing.iter().map(|symbol| (*symbol).to_owned()).collect();
        let (chain, adapters) = (mainnet(), Adapters::all());
        let mut sources = Sources::new(&chain, &self.custody.manifest, &adapters);
        sources.file("wallets.json");
        self.export.wallets.iter().for_each(|record| sources.record(record).unwrap());
        let roster = sources.merge().unwrap().roster;
        let mut states = States::new(roster.len(), self.assets.len());
        for place in 0..roster.len() {
            let state = &self.states[&(roster.id(place).unwrap(), mainnet())];
            let held = |asset: &Asset| {
                let held = state.balances.iter().find(|balance| balance.asset == *asset);
                Held::Units(held.map_or(Amount::ZERO, |balance| balance.amount))
            };
            let created = if state.created { Created::Ours } else { Created::No };
            let balances = self.assets.iter().map(held).collect();
            states.read(place, &WalletState { block: 5, created, next: state.next.clone(), balances }).unwrap();
        }
        states.finish();
        let request = Request {
            roster: &roster,
            states: &states,
            signed: &self.custody.signed,
            manifest: &self.custody.manifest,
            chain: &chain,
            block: Block { number: 5, id: "0xab".to_owned() },
            assets: &self.assets,
            rebasing: &rebasing,
            prices: &self.prices,
            least: None,
            work_price: None,
            destination: None,
            owners: self.owners,
        };
        Ok(look(&Draft::new(&request, &adapters)?))
    }

    fn plan(&self) -> Vec<u8> {
        self.plan_with(&[])
    }

    fn plan_with(&self, rebasing: &[&str]) -> Vec<u8> {
        let mut plan = Vec::new();
        self.draft(rebasing, |draft| draft.write(&mut plan).unwrap()).unwrap();
        plan
    }

    fn open<'a>(&self, plan: &'a [u8]) -> PlanReader<&'a [u8]> {
        OpenedPlan::open(plan).unwrap().verify(&self.custody.manifest, &Adapters::all()).unwrap()
    }

    /// All of a plan, or why a station refuses it.
    fn refused(&self, plan: &[u8]) -> Option<StreamError> {
        let read = || {
            let mut reader = OpenedPlan::open(plan)?.verify(&self.custody.manifest, &Adapters::all())?;
            while reader.next_chunk()?.is_some() {}
            Ok(())
        };
        read().err()
    }

    fn sign(&self, plan: &[u8], role: KeyRole) -> Vec<u8> {
        let byte = match role {
            KeyRole::Hot => 10,
            KeyRole::Cool => 2,
            KeyRole::Cold => 3,
        };
        let secret = phrase(byte).keys().secret(EIP155).unwrap();
        let mut reader = self.open(plan);
        let mut file = SignatureWriter::begin(Vec::new(), role, reader.header_digest()).unwrap();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            file.chunk(SignedChunk::sign(&chunk, role, &secret).unwrap()).unwrap();
        }
        file.finish(reader.digest()).unwrap()
    }
}

fn native() -> Vec<Asset> {
    vec![asset("ETH", None)]
}

/// Two wallets, one of which holds two assets and has a payment outstanding.
fn world() -> World {
    let mut world = World::new(&[asset("ETH", None), asset("USD", Some(TOKEN))]);
    world.wallet("small", 0, &[3, 0]);
    let large = world.wallet("large", 7, &[100, 50]);
    let amount = Amount::from(30);
    let payment = ExportedPayment {
        chain: mainnet(),
        nonce: 7,
        asset: "ETH".into(),
        contract: Some("native".into()),
        amount,
        to: Some(SAFE.into()),
    };
    large.outstanding = vec![payment];
    large.highest = [(mainnet(), 7)].into();
    world
}

#[test]
fn cool_and_cold_sign_every_rung_and_each_becomes_a_call() {
    let world = world();
    let plan = world.plan();
    let [cool, cold] = [KeyRole::Cool, KeyRole::Cold].map(|role| (role, world.sign(&plan, role)));
    let mut reader = world.open(&plan);
    let mut files = [&cool, &cold].map(|(role, file)| (*role, SignatureReader::open(file.as_slice()).unwrap()));
    let (mut rungs, mut calls) = (Vec::new(), BTreeSet::new());
    while let Some(chunk) = reader.next_chunk().unwrap() {
        let signed = files.each_mut().map(|(role, file)| (*role, file.signatures_on(&chunk).unwrap()));
        for (place, step) in chunk.steps().unwrap().iter().enumerate() {
            let wallet = step.wallet();
            let both: Vec<_> = signed.iter().map(|(role, all)| (*role, all[place].clone().unwrap())).collect();
            let call = step.call(&both).unwrap();
            assert_eq!(call.to, wallet.described().address);
            assert!(step.call(&both[..1]).is_err(), "one owner is not enough");
            assert!(step.call(&[both[0].clone(), both[0].clone()]).is_err(), "nor is one owner twice");
            calls.insert(call.data);
            let rung = step.rung();
            rungs.push((wallet.planned().id.to_string(), rung.nonce, rung.asset, rung.amount.to_string()));
        }
    }
    let expected = |wallet: &str, nonce, asset, amount: u128| (wallet.to_owned(), nonce, asset, amount.to_string());
    let large: Vec<_> =
        [(7, 0, 100), (7, 1, 50), (8, 0, 100), (8, 0, 70), (8, 1, 50), (9, 0, 100), (9, 0, 70), (9, 1, 50)]
            .map(|(nonce, asset, amount)| expected("large", nonce, asset, amount))
            .to_vec();
    let small = vec![expected("small", 0, 0, 3), expected("small", 1, 0, 3)];
    assert_eq!(rungs, [large, small].concat(), "the largest first");
    assert_eq!(calls.len(), rungs.len());
    for (_, file) in &mut files {
        file.require_end(reader.digest()).unwrap();
        assert_eq!(file.plan(), Some(reader.digest()));
        assert!(file.require_end([0; 32]).is_err());
    }
    let summary = reader.summary();
    assert_eq!((summary.wallets, summary.steps), (2, 10));
    assert_eq!(summary.assets[0].total, Amount::from(103));
    let text = summary.to_string();
    assert!(text.contains(SAFE) && text.contains("revision 1") && text.contains("the native coin"), "{text}");
}

#[test]
fn a_plan_has_as_many_chunks_as_it_needs_and_its_bytes_are_few() {
    let mut world = World::new(&native());
    for number in 0..=CHUNK_WALLETS {
        world.wallet(&format!("user-{number:07}"), 0, &[(1_000_000 + number as u128) * 1_000_000_000_000]);
    }
    let plan = world.plan();
    let mut reader = world.open(&plan);
    let first = reader.next_chunk().unwrap().unwrap();
    assert_eq!((first.wallets().len(), first.step_count()), (CHUNK_WALLETS, 2 * CHUNK_WALLETS));
    assert_eq!(reader.next_chunk().unwrap().unwrap().wallets()[0].planned().id.to_string(), "user-0000000");
    assert!(reader.next_chunk().unwrap().is_none());
    // All wallets of this test but one have a salt of their own, of 34 bytes; a wallet's is zero unless asked otherwise.
    let salts = 34 * CHUNK_WALLETS;
    let each = (plan.len() - salts) as f64 / CHUNK_WALLETS as f64;
    assert!(each * 1e6 < (64 << 20) as f64, "{each} bytes a wallet");
    let signatures = world.sign(&plan, KeyRole::Cold);
    let each = signatures.len() as f64 / (CHUNK_WALLETS + 1) as f64;
    assert!(each * 1e6 < (128 << 20) as f64, "{each} bytes a wallet");
}

#[test]
fn a_wallet_with_more_assets_than_a_ladder_moves_keeps_the_least_for_the_next_plan() {
    let contract = |byte: &str| format!("0x{}", byte.repeat(20));
    let listed =
        [("A", "01"), ("B", "02"), ("C", "03"), ("D", "04")].map(|(symbol, byte)| asset(symbol, Some(&contract(byte))));
    let mut world = World::new(&listed);
    world.wallet("alice", 0, &[10, 10, 1, 10]);
    world.wallet("bob", 0, &[0, 0, 99, 0]);
    world
        .draft(&[], |draft| {
            let left: Vec<_> = draft.left_out().map(|left| (left.wallet, left.asset, left.amount, left.why)).collect();
            assert_eq!(left, [("alice", "C", Amount::from(1), Why::NextPlan)]);
            assert_eq!((draft.header().wallets, draft.header().steps), (2, 12 + 2));
            let [stays] = &draft.stays()[..] else { panic!("{:?}", draft.stays()) };
            assert_eq!((stays.reason.as_str(), stays.wallets, stays.value), ("nextPlan", 1, None));
        })
        .unwrap();
}

#[test]
fn what_is_worth_most_comes_first_and_the_prices_are_in_the_plan() {
    let mut world = World::new(&[asset("ETH", None), asset("USD", Some(TOKEN))]);
    world.wallet("coin", 0, &[2, 0]);
    world.wallet("token", 0, &[0, 5_000]);
    let first = |world: &World| {
        let plan = world.plan();
        let mut reader = world.open(&plan);
        let chunk = reader.next_chunk().unwrap().unwrap();
        (chunk.wallets()[0].planned().id.to_string(), reader.header().assets[0].price.clone())
    };
    assert_eq!(first(&world), ("token".to_owned(), None), "equal shares, and a token takes less gas than the coin");
    let eth = Price::new("3000", 0).unwrap();
    world.prices = [("ETH".to_owned(), eth.clone()), ("USD".to_owned(), Price::new("1", 0).unwrap())].into();
    assert_eq!(first(&world), ("coin".to_owned(), Some(eth)));
    world.prices.insert("USD".to_owned(), Price::new("1.5", 0).unwrap());
    assert_eq!(first(&world).0, "token");
}

#[test]
fn what_a_reorganisation_may_take_back_is_signed_for_again() {
    let mut world = World::new(&native());
    let payment = |nonce| ExportedPayment {
        chain: mainnet(),
        nonce,
        asset: "ETH".to_owned(),
        contract: None,
        amount: Amount::from(1),
        to: None,
    };
    world.wallet("recent", 7, &[9]).outstanding = vec![payment(6)];
    world.wallet("old", 7, &[8]).outstanding = vec![payment(0), payment(1)];
    world.wallet("stuck", 0, &[7]).highest = [(mainnet(), 1_000)].into();
    let why = world.draft(&[], |draft| draft.left_out().map(|left| left.why).collect::<Vec<_>>()).unwrap();
    assert_eq!(why, [Why::Ladder(LadderError::Nonces)]);
    let plan = world.plan();
    let chunk = world.open(&plan).next_chunk().unwrap().unwrap();
    let firsts: Vec<u64> = chunk.wallets().iter().map(|wallet| wallet.planned().ladder.first()).collect();
    assert_eq!(firsts, [6, 3]);
}

#[test]
fn of_a_shrinking_asset_the_station_makes_the_lesser_amounts_by_itself() {
    let mut world = World::new(&native());
    world.wallet("alice", 0, &[1_000]);
    let plan = world.plan_with(&["ETH"]);
    let mut reader = world.open(&plan);
    let chunk = reader.next_chunk().unwrap().unwrap();
    let amounts: Vec<String> = chunk.steps().unwrap().iter().map(|step| step.rung().amount.to_string()).collect();
    assert_eq!(amounts, ["1000", "990", "1000", "990"]);
}

#[test]
fn a_changed_plan_is_refused_or_signed_for_nothing_else() {
    let world = world();
    let plan = world.plan();
    assert!(is_stream(&plan) && !is_stream(b"{") && !is_stream(b""));
    let whole = world.open(&plan).header_digest();
    for position in 0..plan.len() {
        let mut changed = plan.clone();
        changed[position] ^= 1;
        let Some(_) = world.refused(&changed) else {
            // Only what names a wallet or makes its address may differ, and the block; money goes to the manifest's
            // destinations all the same.
            let mut reader = world.open(&changed);
            while let Some(chunk) = reader.next_chunk().unwrap() {
                assert!(chunk.steps().is_ok());
            }
            assert!(reader.header_digest() != whole || reader.digest() != world.open(&plan).digest());
            assert_eq!(reader.header().destination, SAFE);
            continue;
        };
    }
    for length in 0..plan.len() {
        assert!(world.refused(&plan[..length]).is_some(), "{length} bytes");
    }
    assert!(world.refused(&[&plan[..], &[0]].concat()).is_some());
}

#[test]
fn a_plan_of_another_manifest_or_version_is_refused() {
    let world = world();
    let plan = world.plan();
    for other in [
        Ceremony::fixed().destinations("eip155:1", &[SAFE]).revision(2).held(),
        Ceremony::fixed().destinations("eip155:1", &[SAFE]).cold(4).held(),
    ] {
        let refused = OpenedPlan::open(plan.as_slice()).unwrap().verify(&other.manifest, &Adapters::all());
        assert!(matches!(refused.err(), Some(StreamError::Evacuation(_))));
    }
    let newer = String::from_utf8_lossy(&plan[..26]).replace('2', "3").into_bytes();
    let newer = OpenedPlan::open([&newer[..], &plan[26..]].concat().as_slice()).err().unwrap();
    assert!(matches!(newer, StreamError::UnknownVersion { version: 3, .. }), "{newer}");
    let carried = OpenedPlan::open(plan.as_slice()).unwrap();
    assert!(carried.header().manifest.verify().is_ok(), "a broadcaster finds the manifest in the plan");
}

#[test]
fn signatures_are_of_one_plan_and_one_owner() {
    let world = world();
    let plan = world.plan();
    let cool = world.sign(&plan, KeyRole::Cool);
    let mut other = world;
    other.states.values_mut().next().unwrap().balances[0].amount = Amount::from(101);
    let other_plan = other.plan();
    let mut reader = SignatureReader::open(cool.as_slice()).unwrap();
    let opened = other.open(&other_plan);
    assert!(matches!(reader.require(KeyRole::Cool, opened.header_digest()), Err(StreamError::OtherPlan { .. })));
    assert!(matches!(
        reader.require(KeyRole::Cold, other.open(&plan).header_digest()),
        Err(StreamError::OtherPlan { .. })
    ));
    let signed = reader.next_chunk().unwrap().unwrap();
    let chunk = other.open(&plan).next_chunk().unwrap().unwrap();
    assert!(chunk.signatures(KeyRole::Cool, &signed).is_ok());
    assert!(chunk.signatures(KeyRole::Cold, &signed).is_err());
    let swapped =
        SignedChunk { signatures: [&signed.signatures[64..], &signed.signatures[..64]].concat(), ..signed.clone() };
    assert!(chunk.signatures(KeyRole::Cool, &swapped).is_err());
    let fewer = SignedChunk { signatures: signed.signatures[64..].to_vec(), ..signed.clone() };
    assert!(chunk.signatures(KeyRole::Cool, &fewer).is_err());
    let elsewhere = SignedChunk { plan_chunk: [0; 32], ..signed };
    assert!(chunk.signatures(KeyRole::Cool, &elsewhere).is_err());
    let secret = phrase(3).keys().secret(EIP155).unwrap();
    assert!(SignedChunk::sign(&chunk, KeyRole::Cool, &secret).is_err(), "another phrase signs nothing");
    for length in 0..cool.len() {
        let read = |bytes: &[u8]| -> Result<(), StreamError> {
            let mut reader = SignatureReader::open(bytes)?;
            while reader.next_chunk()?.is_some() {}
            Ok(())
        };
        assert!(read(&cool[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn an_export_of_version_2_is_written_wallet_by_wallet_and_read_as_one() {
    let world = world();
    let head = evacuation::AuditHead { count: 3, hash: "ab".repeat(32) };
    let listed = |chain: &str, symbol: &str, contract: &str| ExportedAsset {
        chain: chain.parse().unwrap(),
        symbol: symbol.to_owned(),
        contract: contract.to_owned(),
    };
    let assets =
        [listed("eip155:1", "ETH", "native"), listed("eip155:1", "USD", TOKEN), listed("eip155:5", "X", TOKEN)];
    let mut bytes = Vec::new();
    let mut file = evacuation::ExportWriter::begin(&mut bytes, &world.custody.manifest, &head, &assets).unwrap();
    for wallet in &world.export.wallets {
        file.wallet(wallet).unwrap();
    }
    file.finish().unwrap();
    let read = WalletsExport::parse(&bytes).unwrap();
    let expected =
        WalletsExport { version: 2, audit_head: Some(head.clone()), assets: assets.to_vec(), ..world.export.clone() };
    assert_eq!(read, expected);
    let mut one_by_one = Vec::new();
    let header = WalletsExport::read(bytes.as_slice(), |wallet| {
        one_by_one.push(wallet);
        Ok(())
    });
    let header = header.unwrap();
    assert_eq!((header.audit_head, header.assets), (read.audit_head.clone(), read.assets.clone()));
    assert_eq!(one_by_one, read.wallets);
    assert_eq!(read.assets_on(&mainnet()), world.assets);
    let mut bytes = Vec::new();
    evacuation::ExportWriter::begin(&mut bytes, &world.custody.manifest, &head, &assets).unwrap().finish().unwrap();
    assert_eq!(WalletsExport::parse(&bytes).unwrap().wallets, []);
}

#[test]
fn a_plan_names_its_two_owners_and_that_of_cool_and_cold_is_as_it_always_was() {
    let mut world = world();
    let as_before = world.plan();
    assert_eq!(world.open(&as_before).header().owners, OwnerPair::CoolAndCold);
    assert!(world.open(&as_before).summary().to_string().contains("signed by cool and cold"));
    world.owners = OwnerPair::HotAndCold;
    let named = world.plan();
    let reader = world.open(&named);
    for owner in [KeyRole::Hot, KeyRole::Cold] {
        reader.header().require_owner(owner).unwrap();
    }
    let refused = reader.header().require_owner(KeyRole::Cool).unwrap_err().to_string();
    assert!(refused.contains("the plan is signed by hot and cold, and not by cool"), "{refused}");
    // Ten bytes more in the header, and its length; nothing else.
    let field = b"\x6a\x08hot,cold";
    let place = named.windows(field.len()).position(|bytes| bytes == field).unwrap();
    let title = named.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let length = |plan: &[u8]| usize::from(plan[title] & 0x7f) | usize::from(plan[title + 1]) << 7;
    assert_eq!(length(&named), length(&as_before) + field.len());
    let without = [&as_before[..title + 2], &named[title + 2..place], &named[place + field.len()..]].concat();
    assert_eq!(without, as_before);
    for (found, wrong) in [("hot,cold", "cold,hot"), ("hot,cold", "hot, hot"), ("hot,cold", "cool,hot")] {
        let changed = [&named[..place + 2], wrong.as_bytes(), &named[place + 2 + found.len()..]].concat();
        let refused = world.refused(&changed).unwrap().to_string();
        assert!(refused.contains("its two owners"), "{wrong}: {refused}");
    }
    let said = [&named[..title], &[0x80 | (length(&named) + 1) as u8, ((length(&named) + 1) >> 7) as u8]].concat();
    let explicit = [&said[..], &named[title + 2..place], b"\x6a\x09cool,cold", &named[place + field.len()..]].concat();
    let refused = world.refused(&explicit).unwrap().to_string();
    assert!(refused.contains("its two owners"), "each pair has one form: {refused}");
}

#[test]
fn wallets_whose_hot_key_does_not_open_are_listed_in_the_place_of_their_signatures() {
    let mut world = World::new(&native());
    for name in ["a", "b", "c", "d"] {
        world.wallet(name, 0, &[9]);
    }
    world.owners = OwnerPair::HotAndCold;
    let plan = world.plan();
    let (mut reader, secret) = (world.open(&plan), phrase(10).keys().secret(EIP155).unwrap());
    let chunk = reader.next_chunk().unwrap().unwrap();
    let secrets = [true, false, true, false].map(|opens| opens.then(|| secret.clone()));
    let signed = SignedChunk::sign_hot(&chunk, &secrets).unwrap();
    assert_eq!((signed.missing.as_slice(), signed.signatures.len()), (&[1, 3][..], 4 * 64));
    let written = |role: KeyRole, signed: SignedChunk| {
        let mut file = SignatureWriter::begin(Vec::new(), role, reader.header_digest()).unwrap();
        file.chunk(signed).unwrap();
        file.finish(reader.digest()).unwrap()
    };
    let read = |file: &[u8]| SignatureReader::open(file)?.signatures_on(&chunk);
    let found = read(&written(KeyRole::Hot, signed.clone())).unwrap();
    let signs: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(signs, [true, true, false, false, true, true, false, false], "two rungs of each wallet");
    let all = SignedChunk::sign(&chunk, KeyRole::Hot, &secret).unwrap();
    assert_eq!(all, SignedChunk::sign_hot(&chunk, &[0; 4].map(|_| Some(secret.clone()))).unwrap());
    let none = SignedChunk::sign_hot(&chunk, &[]).unwrap();
    assert!(none.signatures.is_empty() && none.missing == [0, 1, 2, 3], "what has no key has no signature");
    for (missing, why) in [
        (vec![3, 1], "are not in their order"),
        (vec![1, 1], "are not in their order"),
        (vec![1, 4], "it lacks a wallet that is not there"),
        (vec![1], "not as many signatures as transactions"),
        (vec![0, 1, 3], "not as many signatures as transactions"),
        (vec![0, 2], "a signature does not fit"),
    ] {
        let refused = read(&written(KeyRole::Hot, SignedChunk { missing, ..signed.clone() })).unwrap_err();
        assert!(refused.to_string().contains(why), "{why}: {refused}");
    }
    for role in [KeyRole::Cool, KeyRole::Cold] {
        let refused = read(&written(role, signed.clone())).unwrap_err();
        assert!(refused.to_string().contains("whose key is one for all"), "{refused}");
    }
}
