//! From wallet records and what a node says of them to the wallets of a plan: an order of places in the roster, from
//! which each wallet is made when it is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use chain::{Amount, Asset, Capacity, ChainId};
use chain_adapters::Adapters;
use custody::{
    WalletId,
    manifest::{SignedManifest, VerifiedManifest},
};

use super::{
    Block, CHUNK_STEPS, CHUNK_WALLETS, Forecast, MAX_PLAN_ASSETS, OwnerPair, Part, PlanHeader, PlannedAsset,
    PlannedWallet, Price, StreamError, Why,
    forecast::forecast,
    plan_writer,
    rank::{Choice, Scale},
};
use crate::{
    EvacuationError, Holding, Ladder, LadderError, MAX_OUTSTANDING, Outstanding, Roster, States,
    destination::destination,
};

/// Payments of one wallet that a reorganisation may take back: nonces before the live one that are signed for again.
const REORGANISED: u64 = 4;

/// What a plan is made from.
pub struct Request<'a> {
    /// The wallets.
    pub roster: &'a Roster,
    /// What a node says of each, finished.
    pub states: &'a States,
    /// The manifest, as it travels.
    pub signed: &'a SignedManifest,
    /// The same, verified.
    pub manifest: &'a VerifiedManifest,
    /// The chain.
    pub chain: &'a ChainId,
    /// Its newest block when the states began to be read.
    pub block: Block,
    /// The assets that were read, contracts in display form.
    pub assets: &'a [Asset],
    /// Symbols of those whose balances may become smaller by themselves.
    pub rebasing: &'a BTreeSet<String>,
    /// What whole units are worth, by symbol; an asset without a price counts for nothing beside one that has one.
    pub prices: &'a BTreeMap<String, Price>,
    /// What is worth less, in the currency of the prices, is not moved.
    pub least: Option<f64>,
    /// What a unit of work costs now: with a price of the chain's own coin, what costs more than it holds is not moved.
    pub work_price: Option<u128>,
    /// One of the manifest's safe destinations; the first, where it says nothing.
    pub destination: Option<&'a String>,
    /// Who are to sign it.
    pub owners: OwnerPair,
}

/// A plan that is not written yet.
pub struct Draft<'a> {
    request: &'a Request<'a>,
    scale: Scale<'a>,
    header: PlanHeader,
    /// In the order of the broadcast.
    ranked: Vec<Ranked>,
    /// How many wallets are in each chunk.
    chunks: Vec<u32>,
    left: Vec<Left>,
    /// What everything is worth that was read.
    all: f64,
}

struct Ranked {
    place: u32,
    part: Part,
}

/// An asset of a wallet, by their places.
struct Left {
    wallet: u32,
    asset: u8,
    amount: Amount,
    why: Why,
}

/// An asset of a wallet that this plan does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut<'a> {
    /// Which wallet.
    pub wallet: &'a str,
    /// The asset's symbol.
    pub asset: &'a str,
    /// How much of it stays, smallest unit.
    pub amount: Amount,
    /// Why.
    pub why: Why,
}

/// What stays for one reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Stays {
    /// As [`Why::reason`].
    pub reason: String,
    /// Of how many wallets.
    pub wallets: u64,
    /// What it is worth in the currency of the prices; `None` without any.
    pub value: Option<f64>,
}

impl<'a> Draft<'a> {
    /// Draws up a plan: what is worth most for the work that it takes comes first, and of each wallet its
    /// [`crate::MAX_ASSETS`] assets that are worth most. Without any price, the shares of all that there is of each asset
    /// are compared.
    pub fn new(request: &'a Request<'a>, adapters: &Adapters) -> Result<Self, StreamError> {
        let wrong = |source| EvacuationError::Destination { chain: request.chain.clone(), source };
        let rules = adapters.rules(request.chain).map_err(wrong)?;
        if request.assets.len() > MAX_PLAN_ASSETS {
            return Err(StreamError::TooManyAssets { most: MAX_PLAN_ASSETS, given: request.assets.len() });
        }
        let read = totals(request.assets, request.states.all())?;
        let scale = Scale::new(request.assets, request.prices, read, rules.work(), request.work_price, request.least);
        let all = request.states.all().map(|(asset, amount)| scale.worth(asset, amount)).sum();
        let header = header(request, adapters)?;
        let mut draft = Self { request, scale, header, ranked: Vec::new(), chunks: Vec::new(), left: Vec::new(), all };
        for place in 0..request.roster.len() {
            draft.look(place)?;
        }
        let per_work = |part: &Part| part.worth / part.work.max(1) as f64;
        // The roster is in the order of names.
        draft.ranked.sort_by(|one, other| {
            per_work(&other.part).total_cmp(&per_work(&one.part)).then_with(|| one.place.cmp(&other.place))
        });
        draft.count()?;
        draft.header.verify(request.manifest, rules.as_ref())?;
        Ok(draft)
    }

    /// What it will say of itself.
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// What it does not move, by name.
    pub fn left_out(&self) -> impl ExactSizeIterator<Item = LeftOut<'_>> {
        self.left.iter().map(|left| LeftOut {
            wallet: self.request.roster.wallet(left.wallet as usize).id,
            asset: &self.request.assets[usize::from(left.asset)].symbol,
            amount: left.amount,
            why: left.why,
        })
    }

    /// What it does not move, by reason.
    pub fn stays(&self) -> Vec<Stays> {
        let mut reasons: BTreeMap<String, (u64, f64, u32)> = BTreeMap::new();
        for Left { wallet, asset, amount, why } in &self.left {
            let worth = self.scale.worth((*asset).into(), *amount);
            let (wallets, value, last) = reasons.entry(why.reason()).or_insert((0, 0.0, u32::MAX));
            *wallets += u64::from(*last != *wallet);
            (*value, *last) = (*value + worth, *wallet);
        }
        let priced = !self.request.prices.is_empty();
        let stays = |(reason, (wallets, value, _))| Stays { reason, wallets, value: priced.then_some(value) };
        reasons.into_iter().map(stays).collect()
    }

    /// What its broadcast comes to at a price of work, at which some of it may not be worth moving.
    pub fn forecast(&self, capacity: Option<&Capacity>, price: u128) -> Forecast {
        let scale = self.scale.at(price);
        let choices = self.ranked.iter().map(|ranked| self.choice_by(&scale, ranked.place as usize));
        let moved = choices.filter(|choice| !choice.moved.is_empty());
        let parts: Vec<Part> = moved.map(|Choice { worth, work, .. }| Part { worth, work }).collect();
        forecast(&parts, self.all, capacity, price)
    }

    /// Places of its wallets in the roster, in its order.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.ranked.iter().map(|ranked| ranked.place as usize)
    }

    /// Writes it; the SHA-256 of what was written.
    pub fn write(&self, output: impl Write) -> Result<[u8; 32], StreamError> {
        let mut ranked = self.ranked.as_slice();
        let chunks = self.chunks.iter().map(|count| {
            let (chunk, rest) = ranked.split_at(*count as usize);
            ranked = rest;
            chunk.iter().map(|of| self.planned(of.place as usize)).collect::<Result<Vec<_>, _>>()
        });
        plan_writer::write(&self.header, chunks, output)
    }

    /// Ranks a wallet, or says why it stays.
    fn look(&mut self, place: usize) -> Result<(), StreamError> {
        let (roster, states) = (self.request.roster, self.request.states);
        if !states.is_read(place) {
            let (wallet, chain) = (roster.id(place)?, self.request.chain.clone());
            return Err(EvacuationError::UnknownState { wallet, chain }.into());
        }
        if states.foreign(place).is_some() {
            states.held(place).for_each(|(asset, amount)| self.leave(place, asset, amount, Why::Foreign));
            return Ok(());
        }
        let Choice { moved, left, worth, work } = self.choice(place);
        left.into_iter().for_each(|(asset, amount, why)| self.leave(place, asset, amount, why));
        if moved.is_empty() {
            return Ok(());
        }
        match ladder(self.request, place, &moved) {
            Ok(_) => self.ranked.push(Ranked { place: place as u32, part: Part { worth, work } }),
            Err(why) => {
                moved.into_iter().for_each(|(asset, amount)| self.leave(place, asset, amount, Why::Ladder(why)));
            }
        }
        Ok(())
    }

    fn choice(&self, place: usize) -> Choice {
        self.choice_by(&self.scale, place)
    }

    fn choice_by(&self, scale: &Scale<'_>, place: usize) -> Choice {
        let states = self.request.states;
        scale.choose(states.held(place), states.created(place), states.live(place))
    }

    fn leave(&mut self, place: usize, asset: usize, amount: Amount, why: Why) {
        self.left.push(Left { wallet: place as u32, asset: asset as u8, amount, why });
    }

    /// Counts and totals of what moves, and as many wallets in each chunk as may be.
    fn count(&mut self) -> Result<(), StreamError> {
        let (mut totals, mut steps) = (vec![Amount::ZERO; self.request.assets.len()], 0);
        let (mut wallets_in, mut steps_in) = (0_u32, 0);
        for ranked in &self.ranked {
            let wallet = self.planned(ranked.place as usize)?;
            let rungs = wallet.ladder.rungs().count();
            for holding in wallet.ladder.holdings() {
                add(self.request.assets, &mut totals, holding.asset(), holding.balance())?;
            }
            if wallets_in as usize == CHUNK_WALLETS || (wallets_in > 0 && steps_in + rungs > CHUNK_STEPS) {
                self.chunks.push(wallets_in);
                (wallets_in, steps_in) = (0, 0);
            }
            (wallets_in, steps_in, steps) = (wallets_in + 1, steps_in + rungs, steps + rungs as u64);
        }
        if wallets_in > 0 {
            self.chunks.push(wallets_in);
        }
        for (planned, total) in self.header.assets.iter_mut().zip(totals) {
            planned.total = total;
        }
        self.header.wallets = self.ranked.len() as u64;
        (self.header.steps, self.header.chunks) = (steps, self.chunks.len() as u64);
        Ok(())
    }

    /// A wallet that was ranked.
    fn planned(&self, place: usize) -> Result<PlannedWallet, StreamError> {
        let Request { roster, states, .. } = *self.request;
        let known = roster.wallet(place);
        let id: WalletId = roster.id(place)?;
        let ladder = ladder(self.request, place, &self.choice(place).moved);
        let ladder = ladder.map_err(|source| StreamError::Ladder { wallet: id.to_string(), source })?;
        let (hot_key, salt, deploy) = (known.hot_key.to_vec(), known.salt, !states.created(place));
        Ok(PlannedWallet { id, hot_key, salt, deploy, ladder })
    }
}

fn totals(assets: &[Asset], held: impl Iterator<Item = (usize, Amount)>) -> Result<Vec<Amount>, StreamError> {
    let mut totals = vec![Amount::ZERO; assets.len()];
    for (asset, amount) in held {
        add(assets, &mut totals, asset, amount)?;
    }
    Ok(totals)
}

fn add(assets: &[Asset], totals: &mut [Amount], asset: usize, amount: Amount) -> Result<(), StreamError> {
    let what = || format!("of {}", assets[asset].symbol);
    let over = || StreamError::Counts { what: what(), said: "an amount".into(), found: "2^256 or more".into() };
    totals[asset] = totals[asset].checked_add(amount).ok_or_else(over)?;
    Ok(())
}

fn ladder(request: &Request<'_>, place: usize, moved: &[(usize, Amount)]) -> Result<Ladder, LadderError> {
    let (roster, live) = (request.roster, request.states.live(place));
    // What was signed and is not settled may still be taken back, though the node's newest block has it.
    let open = roster.first_payment(place).unwrap_or(live);
    let first = if open < live { open.max(live.saturating_sub(REORGANISED)) } else { live };
    let holdings = moved.iter().map(|(asset, balance)| {
        let listed = &request.assets[*asset];
        let by_nonce = roster.outstanding(place, listed).into_iter();
        let outstanding = by_nonce.map(|(nonce, amount)| Outstanding { nonce, amount });
        let may_leave = outstanding.filter(|payment| payment.nonce >= live && !payment.amount.is_zero());
        let outstanding = may_leave.take(MAX_OUTSTANDING).collect();
        Holding::new(*asset, *balance, outstanding, request.rebasing.contains(&listed.symbol))
    });
    Ladder::new(first, roster.wallet(place).highest, holdings.collect::<Result<_, _>>()?)
}

/// All that can be said before the wallets are known.
fn header(request: &Request<'_>, adapters: &Adapters) -> Result<PlanHeader, StreamError> {
    let Request { signed, manifest, chain, block, assets, rebasing, prices, .. } = request;
    let planned = |asset: &Asset| PlannedAsset {
        asset: asset.clone(),
        rebasing: rebasing.contains(&asset.symbol),
        total: Amount::ZERO,
        price: prices.get(&asset.symbol).cloned(),
    };
    Ok(PlanHeader {
        custody_id: manifest.custody_id(),
        manifest_digest: manifest.digest_bytes(),
        revision: manifest.manifest().revision,
        manifest: (*signed).clone(),
        chain: (*chain).clone(),
        block: block.clone(),
        destination: destination(manifest, adapters, chain, request.destination)?,
        assets: assets.iter().map(planned).collect(),
        wallets: 0,
        steps: 0,
        chunks: 0,
        owners: request.owners,
    })
}
