//! A plan of version 2 and the signature files of two owners, read side by side: once to their ends, so that all of it is
//! verified before anything is sent and nothing of it is kept, and once more chunk by chunk while it is played. What is
//! played is what was verified: each chunk of the plan, and of the signatures on it, has the SHA-256 it had.

use std::{collections::VecDeque, fs::File, io::Read, sync::Arc, thread};

use anyhow::{Result, anyhow, ensure};
use chain::{ChainRules, Claim, Effect, KeyRole, Signatures};
use chain_adapters::Adapters;
use custody::manifest::VerifiedManifest;
use evacuation::{
    EvacuationError,
    stream::{
        LadderStep, OpenedPlan, PlanHeader, PlanReader, SignatureReader, SignedChunk, StreamError, VerifiedChunk,
        VerifiedWallet,
    },
};
use sha2::{Digest, Sha256};

use super::input::Input;
use crate::{
    evac::sending::{Holding, Ladder, Line, Portion, Rung},
    failure::bad_input,
};

/// The plan, and what two owners have signed of it.
pub(super) struct Files {
    pub(super) plan: Input,
    pub(super) signatures: [Input; 2],
}

/// What two owners have signed, verified, a chunk at a time.
pub(super) struct SignedPlan {
    name: String,
    plan: PlanReader<File>,
    owners: Owners<File>,
    rules: Arc<dyn ChainRules>,
    /// SHA-256 of the chunks that are left and of what each owner has signed of them, and of the whole plan.
    chunks: VecDeque<([u8; 32], [[u8; 32]; 2])>,
    digest: [u8; 32],
    /// Lines of the report so far.
    lines: usize,
}

impl SignedPlan {
    /// Reads all three to their ends by the manifest given, or by the one in the plan. A forged one would be of no use to
    /// the forger: what is sent moves only what its owners have signed. `verified` hears after each chunk of how many
    /// wallets that is so, and of how many in all. The error names the file.
    pub(super) fn verify(
        files: &Files,
        manifest: Option<&VerifiedManifest>,
        mut verified: impl FnMut(u64, u64),
    ) -> Result<Self> {
        let name = files.plan.name.clone();
        let wrong = |error| of_file(&name, &error);
        let (mut plan, mut owners) = open(files, manifest)?;
        let (mut chunks, mut wallets) = (VecDeque::new(), 0);
        while let Some(chunk) = plan.next_chunk().map_err(wrong)? {
            chunks.push_back((chunk.digest(), owners.verify(&chunk)?));
            wallets += chunk.wallets().len() as u64;
            verified(wallets, plan.header().wallets);
        }
        owners.end(plan.digest())?;
        let chain = &plan.header().chain;
        let unknown = |source| EvacuationError::Destination { chain: chain.clone(), source };
        let rules = Adapters::all().rules(chain).map_err(|error| wrong(unknown(error).into()))?;
        let (again, owners) = open(files, manifest).map_err(|error| changed(&name, &error))?;
        if again.header_digest() != plan.header_digest() {
            return Err(changed(&name, &anyhow!("its header differs")));
        }
        Ok(Self { name, plan: again, owners, rules, chunks, digest: plan.digest(), lines: 0 })
    }

    /// What the plan says of itself.
    pub(super) fn header(&self) -> &PlanHeader {
        self.plan.header()
    }

    /// The wallets of the next chunk, and the lines of the report: one for each asset of a wallet. `None`: that was all.
    pub(super) fn next(&mut self) -> Result<Option<Portion>> {
        let name = self.name.clone();
        let differs = |error: &dyn std::fmt::Display| changed(&name, error);
        let Some(chunk) = self.plan.next_chunk().map_err(|error| differs(&error))? else {
            self.owners.end(self.digest).map_err(|error| differs(&error))?;
            let same = self.chunks.is_empty() && self.plan.digest() == self.digest;
            return if same { Ok(None) } else { Err(differs(&"it is shorter")) };
        };
        let verified = self.chunks.pop_front().filter(|(digest, _)| *digest == chunk.digest());
        let (_, signed) = verified.ok_or_else(|| differs(&"a chunk differs"))?;
        let both = self.owners.verified(&chunk, signed).map_err(|error| differs(&error))?;
        let portion = portion(self.plan.header(), &self.rules, &chunk, both, self.lines);
        let portion = portion.map_err(|error| of_file(&name, &error))?;
        self.lines += portion.lines.len();
        Ok(Some(portion))
    }
}

/// A file that was verified is another now. Something may have been sent, so it is not the command line that is wrong.
fn changed(name: &str, why: &dyn std::fmt::Display) -> anyhow::Error {
    anyhow!(
        "{name} has changed since it was verified ({why}): nothing more of it is sent; run this again with files that \
             nothing writes to"
    )
}

/// Both, from their beginnings.
fn open(files: &Files, manifest: Option<&VerifiedManifest>) -> Result<(PlanReader<File>, Owners<File>)> {
    let wrong = |error| of_file(&files.plan.name, &error);
    let opened = OpenedPlan::open(files.plan.again()?).map_err(wrong)?;
    let manifest = match manifest {
        Some(manifest) => manifest.clone(),
        None => opened.header().manifest.verify().map_err(|error| wrong(error.into()))?,
    };
    let plan = opened.verify(&manifest, &Adapters::all()).map_err(wrong)?;
    let owners = Owners::open(&files.signatures, plan.header(), plan.header_digest())?;
    Ok((plan, owners))
}

/// The wallets of a chunk; `first` is the number of its first line.
fn portion(
    header: &PlanHeader,
    rules: &Arc<dyn ChainRules>,
    chunk: &VerifiedChunk,
    [one, other]: [Signed; 2],
    mut first: usize,
) -> Result<Portion, StreamError> {
    let (mut ladders, mut all) = (Vec::with_capacity(chunk.wallets().len()), Vec::new());
    // The two owners' signatures of each transaction.
    let signatures = one.1.into_iter().zip(other.1);
    let both = signatures.map(|(first, second)| match (first, second) {
        (Some(first), Some(second)) => Ok([(one.0, first), (other.0, second)]),
        (None, _) => Err(one.0),
        (_, None) => Err(other.0),
    });
    let mut steps = chunk.steps()?.into_iter().zip(both);
    for wallet in chunk.wallets() {
        let steps: Vec<_> = steps.by_ref().take(wallet.planned().ladder.rungs().count()).collect();
        let unsigned = steps.iter().find_map(|(_, both)| both.as_ref().err().copied());
        let signed =
            steps.iter().filter(|_| unsigned.is_none()).filter_map(|(step, both)| Some((step, both.as_ref().ok()?)));
        let rungs = signed.map(|(step, both)| rung(header, first, step, both)).collect::<Result<_, _>>()?;
        let (id, described) = (&wallet.planned().id, wallet.described().clone());
        let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: header.chain.clone(), source };
        let creation = rules.creation(&described).map_err(wrong)?;
        let held = wallet.planned().ladder.holdings().iter().enumerate();
        let held = held.map(|(place, of)| Holding { line: first + place, asset: of.asset(), amount: of.balance() });
        let holdings: Vec<Holding> = held.collect();
        first += holdings.len();
        all.extend(lines(header, wallet));
        ladders.push(Ladder { rules: rules.clone(), wallet: described, creation, rungs, holdings, unsigned });
    }
    Ok(Portion { ladders, lines: all })
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

/// An owner, and the signatures of that one on each transaction of a chunk, if there are any.
type Signed = (KeyRole, Vec<Option<Signatures>>);

/// The signature files of two owners, in either order.
struct Owners<R>([(String, SignatureReader<R>); 2]);

impl Owners<File> {
    fn open([one, other]: &[Input; 2], header: &PlanHeader, plan_header: [u8; 32]) -> Result<Self> {
        let open = |input: &Input| {
            let wrong = |error| of_file(&input.name, &error);
            let file = SignatureReader::open(input.again()?).map_err(wrong)?;
            file.require(file.role(), plan_header).and_then(|()| header.require_owner(file.role())).map_err(wrong)?;
            Ok::<_, anyhow::Error>((input.name.clone(), file))
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
}

impl<R: Read + Send> Owners<R> {
    /// Verifies both owners' signatures on a chunk; the SHA-256 of each one's.
    fn verify(&mut self, chunk: &VerifiedChunk) -> Result<[[u8; 32]; 2]> {
        let [one, other] = &mut self.0;
        let of = |(name, file): &mut (String, SignatureReader<R>)| {
            let verified = next(file).and_then(|signed| {
                chunk.signatures(file.role(), &signed)?;
                Ok(digest(&signed))
            });
            verified.map_err(|error| of_file(name, &error))
        };
        // Verifying is most of the work, and there is more than one core.
        thread::scope(|scope| {
            let second = scope.spawn(|| of(other));
            let first = of(one);
            let second = second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok([first?, second?])
        })
    }

    /// Whose, and their signatures on a chunk, which were verified: they have these SHA-256.
    fn verified(&mut self, chunk: &VerifiedChunk, digests: [[u8; 32]; 2]) -> Result<[Signed; 2]> {
        let [one, other] = &mut self.0;
        let of = |(name, file): &mut (String, SignatureReader<R>), verified: [u8; 32]| {
            let signed = next(file).map_err(|error| of_file(name, &error))?;
            ensure!(digest(&signed) == verified, "{name}: a chunk differs");
            let signatures = chunk.verified_signatures(file.role(), &signed).map_err(|error| of_file(name, &error))?;
            Ok((file.role(), signatures))
        };
        Ok([of(one, digests[0])?, of(other, digests[1])?])
    }

    fn end(&mut self, plan: [u8; 32]) -> Result<()> {
        self.0.iter_mut().try_for_each(|(name, file)| file.require_end(plan).map_err(|error| of_file(name, &error)))
    }
}

/// What a signature file has of the next chunk.
fn next<R: Read>(file: &mut SignatureReader<R>) -> Result<SignedChunk, StreamError> {
    file.next_chunk()?.ok_or_else(|| StreamError::OtherPlan { role: file.role(), why: "it has fewer chunks" })
}

/// SHA-256 of all that a signature file has of a chunk.
fn digest(signed: &SignedChunk) -> [u8; 32] {
    let SignedChunk { plan_chunk, signatures, missing } = signed;
    let mut hash = Sha256::new_with_prefix(plan_chunk);
    hash.update((signatures.len() as u64).to_be_bytes());
    hash.update(signatures);
    missing.iter().for_each(|place| hash.update(place.to_be_bytes()));
    hash.finalize().into()
}

fn of_file(name: &str, error: &StreamError) -> anyhow::Error {
    bad_input(format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        io::{Seek, SeekFrom, Write},
    };

    use chain::Asset;
    use custodies::{Ceremony, Custody, FoundWallet, phrase};
    use custody::phrase::EIP155;
    use evacuation::{
        ExportedPayment, ExportedWallet,
        stream::{OwnerPair, SignatureWriter},
    };

    use super::*;
    use crate::evac::sending::{Course, Reason, Status};

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
        let found = |((name, held), byte): (&(&str, [u128; 2]), u8)| {
            let hot = phrase(byte).keys().public_key(EIP155).unwrap().to_vec();
            let address = rules.wallet(&manifest.owners(&chain, &hot).unwrap(), [0; 32]).unwrap().address;
            let keys = BTreeMap::from([(EIP155.to_owned(), hot)]);
            let addresses = [(chain.clone(), address)].into();
            let mut record = ExportedWallet::new(name.parse().unwrap(), &keys, [0; 32], addresses);
            let (asset, contract) = ("ETH".to_owned(), Some("native".to_owned()));
            record.outstanding =
                vec![ExportedPayment { chain: chain.clone(), nonce: 4, asset, contract, amount: 2.into(), to: None }];
            FoundWallet { record, live: Some(4), held: held.to_vec() }
        };
        let found: Vec<_> = wallets.iter().zip(10..).map(found).collect();
        custodies::plan(&signed, &chain, &[asset("ETH", None), asset("USD", Some(TOKEN))], owners, &found)
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

    fn input(name: &str, bytes: &[u8]) -> (Input, File) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        (Input::of(name, file.try_clone().unwrap()), file)
    }

    fn read(plan: &[u8], signatures: [(&str, &[u8]); 2]) -> Result<SignedPlan> {
        let signatures = signatures.map(|(name, bytes)| input(name, bytes).0);
        let mut told = Vec::new();
        let files = Files { plan: input("plan", plan).0, signatures };
        let signed = SignedPlan::verify(&files, None, |done, all| told.push((done, all)))?;
        let wallets = signed.header().wallets;
        assert_eq!(told, [(wallets, wallets)], "after its one chunk");
        Ok(signed)
    }

    #[test]
    fn an_asset_of_a_wallet_is_a_line_and_its_rungs_stand_at_every_nonce_the_largest_first() {
        let plan = plan(&[("both", [9, 5]), ("token", [0, 3])]);
        let [cool, cold] = [KeyRole::Cool, KeyRole::Cold].map(|role| sign(&plan, role));
        let both: [(&str, &[u8]); 2] = [("cool", &cool), ("cold", &cold)];
        let mut signed = read(&plan, both).unwrap();
        let Portion { ladders, lines } = signed.next().unwrap().unwrap();
        assert!(signed.next().unwrap().is_none());
        let held = ladders.iter().flat_map(|ladder| &ladder.holdings);
        let held: Vec<_> = held.map(|it| (it.line, it.asset, it.amount.to_string())).collect();
        let holding = |line, asset, amount: &str| (line, asset, amount.to_owned());
        assert_eq!(held, [holding(0, 0, "9"), holding(1, 1, "5"), holding(2, 1, "3")]);
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
        let swapped = swapped.next().unwrap().unwrap().ladders;
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
    fn a_wallet_that_hot_has_not_signed_is_told_by_name_and_the_others_are_played() {
        let plan = plan_for(OwnerPair::HotAndCold, &[("alice", [9, 5]), ("clients", [8, 4])]);
        let secret = phrase(10).keys().secret(EIP155).unwrap();
        let mut reader =
            OpenedPlan::open(plan.as_slice()).unwrap().verify(&custody().manifest, &Adapters::all()).unwrap();
        let chunk = reader.next_chunk().unwrap().unwrap();
        let alone = [Some(secret), None];
        let mut hot = SignatureWriter::begin(Vec::new(), KeyRole::Hot, reader.header_digest()).unwrap();
        hot.chunk(SignedChunk::sign_hot(&chunk, &alone).unwrap()).unwrap();
        let hot = hot.finish(reader.digest()).unwrap();
        let cold = sign(&plan, KeyRole::Cold);
        let portion = read(&plan, [("cold", &cold), ("hot", &hot)]).unwrap().next().unwrap().unwrap();
        let unsigned: Vec<_> = portion.ladders.iter().map(|ladder| (ladder.unsigned, ladder.rungs.len())).collect();
        let rungs = portion.ladders[0].rungs.len();
        assert!(rungs > 0 && unsigned == [(None, rungs), (Some(KeyRole::Hot), 0)], "{unsigned:?}");
        let outcomes = Course::new(portion.ladders.into_iter().nth(1).unwrap()).outcomes();
        assert_eq!(outcomes.keys().map(|line| portion.lines[*line].id.as_str()).collect::<Vec<_>>(), ["clients"; 2]);
        for outcome in outcomes.into_values() {
            let why = outcome.why.unwrap();
            assert_eq!((outcome.status, why.reason), (Status::Failed, Reason::Unsigned));
            assert!(why.message.contains("no signature of hot: its key needs the client's key"), "{}", why.message);
        }
    }

    #[test]
    fn a_file_that_changes_after_it_was_verified_is_named_and_nothing_of_it_is_played() {
        let bytes = plan(&[("alice", [9, 0])]);
        let [cool, cold] = [KeyRole::Cool, KeyRole::Cold].map(|role| sign(&bytes, role));
        let mut forged = cool.clone();
        // In a signature, before the end with the plan's SHA-256.
        let place = forged.len() - 60;
        forged[place] ^= 1;
        // A name is in a chunk alone, and nobody signs it; a balance is in the header too.
        let (renamed, other) = (plan(&[("alicf", [9, 0])]), plan(&[("alice", [8, 0])]));
        for (which, with) in [(0, &other), (0, &renamed), (1, &cold), (1, &forged), (2, &cool)] {
            let [(plan, first), (cool, second), (cold, third)] =
                [("plan", &bytes), ("cool", &cool), ("cold", &cold)].map(|(name, bytes)| input(name, bytes));
            let mut file = [first, second, third].into_iter().nth(which).unwrap();
            assert_eq!(file.metadata().unwrap().len(), with.len() as u64);
            let files = Files { plan, signatures: [cool, cold] };
            // All of it was read once.
            let write = |_, _| {
                file.seek(SeekFrom::Start(0)).unwrap();
                file.write_all(with).unwrap();
            };
            let played = SignedPlan::verify(&files, None, write).and_then(|mut signed| signed.next());
            let said = played.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.starts_with("plan has changed since it was verified ("), "{which}: {said}");
        }
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
