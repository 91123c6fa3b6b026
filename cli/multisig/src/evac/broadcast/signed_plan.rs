//! A plan of version 2 and the signature files of two owners, read side by side. All of it is verified before anything
//! is sent.

use std::{io::Read, sync::Arc};

use anyhow::Result;
use chain::{Call, ChainRules, Claim, Effect, KeyRole, Signatures, WalletDesc};
use chain_adapters::Adapters;
use custody::manifest::VerifiedManifest;
use evacuation::{
    EvacuationError,
    stream::{LadderStep, OpenedPlan, PlanHeader, SignatureReader, StreamError, VerifiedChunk, VerifiedWallet},
};

use super::{
    ladder::{Ladder, Rung},
    report::{Line, Moved, Outcome, Status},
};
use crate::failure::bad_input;

/// A document, and what people call it.
pub(super) struct Named<R> {
    /// Of its file.
    pub(super) name: String,
    pub(super) input: R,
}

/// What two owners have signed, wallet by wallet in the order of the plan.
pub(super) struct SignedPlan {
    rules: Arc<dyn ChainRules>,
    wallets: Vec<WalletDesc>,
    moves: Vec<Moves>,
    lines: Vec<Line>,
    missing: Vec<Moved>,
}

/// What is played of one wallet.
struct Moves {
    creation: Option<Call>,
    rungs: Vec<Rung>,
}

impl SignedPlan {
    /// Reads all three by the manifest given, or by the one in the plan. A forged one would be of no use to the forger:
    /// what is sent moves only what its owners have signed. `verified` hears after each chunk of how many wallets that is
    /// so, and of how many in all. The error names the file.
    pub(super) fn read<R: Read>(
        plan: Named<R>,
        manifest: Option<&VerifiedManifest>,
        signatures: [Named<R>; 2],
        mut verified: impl FnMut(u64, u64),
    ) -> Result<Self> {
        let name = plan.name;
        let wrong = |error| of_file(&name, &error);
        let opened = OpenedPlan::open(plan.input).map_err(wrong)?;
        let manifest = match manifest {
            Some(manifest) => manifest.clone(),
            None => opened.header().manifest.verify().map_err(|error| wrong(error.into()))?,
        };
        let mut plan = opened.verify(&manifest, &Adapters::all()).map_err(wrong)?;
        let mut owners = Owners::open(signatures, plan.header(), plan.header_digest())?;
        let chain = &plan.header().chain;
        let unknown = |source| EvacuationError::Destination { chain: chain.clone(), source };
        let rules = Adapters::all().rules(chain).map_err(|error| wrong(unknown(error).into()))?;
        let mut signed = Self { rules, wallets: Vec::new(), moves: Vec::new(), lines: Vec::new(), missing: Vec::new() };
        let mut read = 0;
        while let Some(chunk) = plan.next_chunk().map_err(wrong)? {
            let both = owners.signatures_on(&chunk)?;
            signed.add(plan.header(), &chunk, both).map_err(wrong)?;
            read += chunk.wallets().len() as u64;
            verified(read, plan.header().wallets);
        }
        owners.end(plan.digest())?;
        Ok(signed)
    }

    /// One for each wallet, and the lines of the report: one for each asset of a wallet.
    pub(super) fn ladders(&mut self) -> (Vec<Ladder<'_>>, Vec<Line>) {
        let (moves, lines) = (std::mem::take(&mut self.moves), std::mem::take(&mut self.lines));
        let rules = self.rules.as_ref();
        let ladders = self.wallets.iter().zip(moves);
        let ladders = ladders.map(|(wallet, Moves { creation, rungs })| Ladder { rules, wallet, creation, rungs });
        (ladders.collect(), lines)
    }

    /// What is not played, because an owner could not sign it: told by name at the end.
    pub(super) fn missing(&mut self) -> Vec<Moved> {
        std::mem::take(&mut self.missing)
    }

    fn add(
        &mut self,
        header: &PlanHeader,
        chunk: &VerifiedChunk,
        [one, other]: [(KeyRole, Vec<Option<Signatures>>); 2],
    ) -> Result<(), StreamError> {
        let signatures = one.1.into_iter().zip(other.1);
        let both = signatures.map(|(first, second)| match (first, second) {
            (Some(first), Some(second)) => Ok([(one.0, first), (other.0, second)]),
            (None, _) => Err(one.0),
            (_, None) => Err(other.0),
        });
        let mut steps = chunk.steps()?.into_iter().zip(both);
        for wallet in chunk.wallets() {
            let first = self.lines.len();
            let steps: Vec<_> = steps.by_ref().take(wallet.planned().ladder.rungs().count()).collect();
            let signed = steps.into_iter().map(|(step, both)| Ok((step, both?)));
            let signed = match signed.collect::<Result<Vec<_>, KeyRole>>() {
                Ok(signed) => signed,
                Err(role) => {
                    self.missing.extend(lines(header, wallet).map(|line| unsigned(line, role)));
                    continue;
                }
            };
            self.lines.extend(lines(header, wallet));
            let rungs = signed.iter().map(|(step, both)| rung(header, first, step, both)).collect::<Result<_, _>>()?;
            let (id, described) = (&wallet.planned().id, wallet.described());
            let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: header.chain.clone(), source };
            let creation = self.rules.creation(described).map_err(wrong)?;
            self.wallets.push(described.clone());
            self.moves.push(Moves { creation, rungs });
        }
        Ok(())
    }
}

/// One for each asset: all of it.
fn lines(header: &PlanHeader, wallet: &VerifiedWallet) -> impl Iterator<Item = Line> {
    wallet.planned().ladder.holdings().iter().map(|holding| Line {
        id: wallet.planned().id.to_string(),
        address: wallet.described().address.clone(),
        asset: header.assets[holding.asset()].asset.symbol.clone(),
        to: header.destination.clone(),
        amount: holding.balance(),
    })
}

/// Only hot leaves wallets out: its keys are one for each.
fn unsigned(line: Line, role: KeyRole) -> Moved {
    let why = format!(
        "the wallet has no signature of {role}: its key needs the client's key, or Keeper does not have it; a plan of cool and cold \
         moves it"
    );
    Moved::new(line, Outcome { status: Status::Failed, tx: None, message: Some(why) })
}

/// `first` is the first line of its wallet: lines are in the order of the wallet's assets.
fn rung(
    header: &PlanHeader,
    first: usize,
    step: &LadderStep<'_>,
    both: &[(KeyRole, Signatures)],
) -> Result<Rung, StreamError> {
    let evacuation::Rung { nonce, asset: place, amount } = step.rung();
    let before = step.wallet().planned().ladder.holdings().iter().filter(|holding| holding.asset() < place);
    let asset = header.assets[place].asset.clone();
    Ok(Rung {
        line: first + before.count(),
        claims: vec![Claim::Sequence(nonce)],
        effect: Effect::Transfer { asset: asset.symbol.clone(), to: header.destination.clone(), amount },
        asset,
        call: step.call(both)?,
        id: *step.id(),
    })
}

/// The signature files of two owners, in either order.
struct Owners<R>([(String, SignatureReader<R>); 2]);

impl<R: Read> Owners<R> {
    fn open([one, other]: [Named<R>; 2], header: &PlanHeader, plan_header: [u8; 32]) -> Result<Self> {
        let open = |Named { name, input }: Named<R>| {
            let wrong = |error| of_file(&name, &error);
            let file = SignatureReader::open(input).map_err(wrong)?;
            file.require(file.role(), plan_header).and_then(|()| header.require_owner(file.role())).map_err(wrong)?;
            Ok::<_, anyhow::Error>((name, file))
        };
        let (one, other) = (open(one)?, open(other)?);
        if one.1.role() == other.1.role() {
            let role = one.1.role();
            return Err(bad_input(format!(
                "{} and {} both have the signatures of {role}; name the files of two different owners",
                one.0, other.0
            )));
        }
        Ok(Self([one, other]))
    }

    /// Whose, and their signatures on a chunk, all verified.
    fn signatures_on(&mut self, chunk: &VerifiedChunk) -> Result<[(KeyRole, Vec<Option<Signatures>>); 2]> {
        let [one, other] = &mut self.0;
        let of = |(name, file): &mut (String, SignatureReader<R>)| {
            let signatures = file.signatures_on(chunk).map_err(|error| of_file(name, &error))?;
            Ok::<_, anyhow::Error>((file.role(), signatures))
        };
        Ok([of(one)?, of(other)?])
    }

    fn end(self, plan: [u8; 32]) -> Result<()> {
        self.0
            .into_iter()
            .try_for_each(|(name, mut file)| file.require_end(plan).map_err(|error| of_file(&name, &error)))
    }
}

fn of_file(name: &str, error: &StreamError) -> anyhow::Error {
    bad_input(format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chain::Asset;
    use custodies::{Ceremony, Custody, phrase};
    use custody::phrase::EIP155;
    use evacuation::{
        Balance, ChainState, ExportedPayment, ExportedWallet, WalletsExport,
        stream::{Block, Draft, OwnerPair, Request, SignatureWriter, SignedChunk},
    };

    use super::*;

    const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    const TOKEN: &str = "0x00000000000000000000000000000000000000bb";

    fn custody() -> Custody {
        Ceremony::fixed().destinations("eip155:1", &[SAFE_PLACE]).held()
    }

    /// A plan of wallets named by what they hold of ETH and of USD; a payment of 2 ETH is outstanding at nonce 4 of each.
    fn plan(wallets: &[(&str, [u128; 2])]) -> Vec<u8> {
        plan_for(OwnerPair::default(), wallets)
    }

    fn plan_for(owners: OwnerPair, wallets: &[(&str, [u128; 2])]) -> Vec<u8> {
        let Custody { signed, manifest, .. } = custody();
        let chain: chain::ChainId = "eip155:1".parse().unwrap();
        let rules = Adapters::all().rules(&chain).unwrap();
        let asset = |symbol: &str, contract: Option<&str>| Asset {
            symbol: symbol.to_owned(),
            contract: contract.map(str::to_owned),
        };
        let assets = [asset("ETH", None), asset("USD", Some(TOKEN))];
        let (mut records, mut states) = (Vec::new(), BTreeMap::new());
        for ((name, held), byte) in wallets.iter().zip(10..) {
            let hot = phrase(byte).keys().public_key(EIP155).unwrap().to_vec();
            let address = rules.wallet(&manifest.owners(&chain, &hot).unwrap(), [0; 32]).unwrap().address;
            let id: custody::WalletId = name.parse().unwrap();
            let keys = BTreeMap::from([(EIP155.to_owned(), hot)]);
            let mut record = ExportedWallet::new(id.clone(), &keys, [0; 32], [(chain.clone(), address)].into());
            let (asset, contract) = ("ETH".to_owned(), Some("native".to_owned()));
            record.outstanding =
                vec![ExportedPayment { chain: chain.clone(), nonce: 4, asset, contract, amount: 2.into(), to: None }];
            records.push(record);
            let balances = assets.iter().zip(held);
            let balances = balances.map(|(asset, held)| Balance { asset: asset.clone(), amount: (*held).into() });
            let state = ChainState { created: true, next: vec![Claim::Sequence(4)], balances: balances.collect() };
            states.insert((id, chain.clone()), state);
        }
        let request = Request {
            export: &WalletsExport::new(&manifest, records),
            states: &states,
            signed: &signed,
            manifest: &manifest,
            chain: &chain,
            block: Block { number: 5, id: "0xab".to_owned() },
            assets: &assets,
            rebasing: &BTreeSet::new(),
            prices: &BTreeMap::new(),
            destination: None,
            owners,
        };
        let mut plan = Vec::new();
        Draft::new(&request, &Adapters::all()).unwrap().write(&mut plan).unwrap();
        plan
    }

    fn sign(plan: &[u8], role: KeyRole) -> Vec<u8> {
        // The hot key is the first wallet's.
        let byte = match role {
            KeyRole::Hot => 10,
            KeyRole::Cool => 2,
            KeyRole::Cold => 3,
        };
        let secret = phrase(byte).keys().secret(EIP155).unwrap();
        let mut plan = OpenedPlan::open(plan).unwrap().verify(&custody().manifest, &Adapters::all()).unwrap();
        let mut file = SignatureWriter::begin(Vec::new(), role, plan.header_digest()).unwrap();
        while let Some(chunk) = plan.next_chunk().unwrap() {
            file.chunk(SignedChunk::sign(&chunk, role, &secret).unwrap()).unwrap();
        }
        file.finish(plan.digest()).unwrap()
    }

    fn read(plan: &[u8], signatures: [(&str, &[u8]); 2]) -> Result<SignedPlan> {
        let named = |name: &str, input| Named { name: name.to_owned(), input };
        let signatures = signatures.map(|(name, bytes)| named(name, bytes));
        let mut told = Vec::new();
        let signed = SignedPlan::read(named("plan", plan), None, signatures, |done, all| told.push((done, all)))?;
        let left_out: BTreeSet<_> = signed.missing.iter().map(|moved| moved.to_string()[..5].to_owned()).collect();
        let wallets = (signed.wallets.len() + left_out.len()) as u64;
        assert_eq!(told, [(wallets, wallets)], "after its one chunk");
        Ok(signed)
    }

    #[test]
    fn an_asset_of_a_wallet_is_a_line_and_its_rungs_stand_at_every_nonce_the_largest_first() {
        let plan = plan(&[("both", [9, 5]), ("token", [0, 3])]);
        let [cool, cold] = [KeyRole::Cool, KeyRole::Cold].map(|role| sign(&plan, role));
        let both: [(&str, &[u8]); 2] = [("cool", &cool), ("cold", &cold)];
        let mut signed = read(&plan, both).unwrap();
        let (ladders, lines) = signed.ladders();
        let lines: Vec<_> = lines.iter().map(|it| (it.id.as_str(), it.asset.as_str(), it.amount.to_string())).collect();
        let line = |id, asset, amount: &str| (id, asset, amount.to_owned());
        assert_eq!(lines, [line("both", "ETH", "9"), line("both", "USD", "5"), line("token", "USD", "3")]);
        let rung = |rung: &Rung| {
            let [Claim::Sequence(nonce)] = rung.claims[..] else { panic!("{rung:?}") };
            (nonce, rung.line, rung.amount().to_string())
        };
        let rungs: Vec<Vec<_>> = ladders.iter().map(|ladder| ladder.rungs.iter().map(rung).collect()).collect();
        let expected = |of: &[(u64, usize, u128)]| {
            of.iter().map(|(nonce, line, amount)| (*nonce, *line, amount.to_string())).collect::<Vec<_>>()
        };
        let first = [(4, 0, 9), (4, 1, 5), (5, 0, 9), (5, 0, 7), (5, 1, 5), (6, 0, 9), (6, 0, 7), (6, 1, 5)];
        assert_eq!(rungs, [expected(&first), expected(&[(4, 2, 3), (5, 2, 3)])]);
        let calls: BTreeSet<_> =
            ladders.iter().flat_map(|it| &it.rungs).map(|rung| (rung.id, &rung.call.data)).collect();
        assert_eq!(calls.len(), 10, "each is a transaction of its own");
        for ladder in &ladders {
            assert!(ladder.creation.is_some() && ladder.rungs.iter().all(|rung| rung.call.to == ladder.wallet.address));
        }
        let [one, other] = both;
        let mut swapped = read(&plan, [other, one]).unwrap();
        let swapped = swapped.ladders().0;
        let same = ladders.iter().zip(&swapped).all(|(one, other)| one.rungs == other.rungs);
        assert!(same && swapped.len() == 2, "the owners' files may come in either order");
    }

    #[test]
    fn the_two_owners_whom_the_plan_names_are_enough_and_nobody_else_is_taken() {
        for owners in OwnerPair::ALL {
            let plan = plan_for(owners, &[("alice", [9, 0])]);
            let files = [KeyRole::Hot, KeyRole::Cool, KeyRole::Cold].map(|role| (role, sign(&plan, role)));
            for (one, first) in &files {
                for (other, second) in &files {
                    let named = [(one.as_str(), first.as_slice()), (other.as_str(), second.as_slice())];
                    let why = read(&plan, named).err().map(|error| error.to_string()).unwrap_or_default();
                    match [one, other].into_iter().find(|role| !owners.includes(**role)) {
                        Some(role) => {
                            assert!(
                                why.starts_with(&format!("{role}: the plan is signed by {owners}, and not by {role}")),
                                "{why}"
                            );
                        }
                        None if one == other => {
                            assert!(why.contains("name the files of two different owners"), "{why}")
                        }
                        None => assert_eq!(why, ""),
                    }
                }
            }
        }
    }

    #[test]
    fn a_wallet_that_hot_has_not_signed_is_left_out_by_name_and_the_others_are_played() {
        let plan = plan_for(OwnerPair::HotAndCold, &[("alice", [9, 5]), ("clients", [8, 4])]);
        let secret = phrase(10).keys().secret(EIP155).unwrap();
        let mut reader =
            OpenedPlan::open(plan.as_slice()).unwrap().verify(&custody().manifest, &Adapters::all()).unwrap();
        let chunk = reader.next_chunk().unwrap().unwrap();
        let signed = |hot: [bool; 2]| {
            let secrets = hot.map(|signs| signs.then(|| secret.clone()));
            let mut file = SignatureWriter::begin(Vec::new(), KeyRole::Hot, reader.header_digest()).unwrap();
            file.chunk(SignedChunk::sign_hot(&chunk, &secrets).unwrap()).unwrap();
            file.finish(reader.digest()).unwrap()
        };
        let (cold, hot) = (sign(&plan, KeyRole::Cold), signed([true, false]));
        let mut read = read(&plan, [("cold", &cold), ("hot", &hot)]).unwrap();
        let missing: Vec<String> = read.missing().iter().map(ToString::to_string).collect();
        let [eth, usd] = missing.as_slice() else { panic!("{missing:?}") };
        for (told, amount) in [(eth, "8 ETH"), (usd, "4 USD")] {
            assert!(told.starts_with(&format!("clients: {amount} to {SAFE_PLACE}: Failed")), "{told}");
            assert!(told.contains("no signature of hot: its key needs the client's key"), "{told}");
        }
        let (ladders, lines) = read.ladders();
        assert_eq!((ladders.len(), lines.len(), lines[0].id.as_str()), (1, 2, "alice"));
        assert!(ladders[0].rungs.iter().all(|rung| rung.line < 2), "lines are counted without those left out");
    }

    #[test]
    fn whatever_of_a_signature_file_is_cut_or_changed_it_is_named_and_nothing_is_played() {
        let plan = plan(&[("alice", [9, 0])]);
        let [cool, cold] = [KeyRole::Cool, KeyRole::Cold].map(|role| sign(&plan, role));
        let refused = |cool: &[u8]| read(&plan, [("cold", &cold), ("cool", cool)]).err().map(|it| it.to_string());
        assert_eq!(refused(&cool), None);
        for place in 0..cool.len() {
            let mut changed = cool.clone();
            changed[place] ^= 1;
            for wrong in [&changed, &cool[..place]] {
                let why = refused(wrong).unwrap_or_default();
                assert!(why.starts_with("cool: ") || why.starts_with("cold and cool both"), "at {place}: {why}");
            }
        }
        assert!(refused(&[&cool[..], &[0]].concat()).is_some_and(|why| why.starts_with("cool: ")));
        // A chunk twice, or none.
        let mut reader = SignatureReader::open(cool.as_slice()).unwrap();
        let begun = reader.offset() as usize;
        reader.next_chunk().unwrap();
        let ended = reader.offset() as usize;
        let twice = [&cool[..ended], &cool[begun..]].concat();
        assert!(refused(&twice).is_some_and(|why| why.contains("it has more chunks")));
        let none = [&cool[..begun], &cool[ended..]].concat();
        assert!(refused(&none).is_some_and(|why| why.contains("it has fewer chunks")));
    }
}
