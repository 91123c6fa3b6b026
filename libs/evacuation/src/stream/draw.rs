//! From wallet records and what a node says of them to the wallets of a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use chain::{Amount, Asset, ChainId, Claim};
use chain_adapters::Adapters;
use custody::{
    WalletId,
    manifest::{SignedManifest, VerifiedManifest},
};

use super::{Block, OwnerPair, PlanHeader, PlannedAsset, PlannedWallet, Price, StreamError, plan_writer};
use crate::{
    ChainState, EvacuationError, ExportedPayment, ExportedWallet, Holding, Ladder, LadderError, MAX_ASSETS,
    MAX_OUTSTANDING, Outstanding, WalletsExport, destination::destination, wallet::wallet,
};

/// Payments of one wallet that a reorganisation may take back: nonces before the live one that are signed for again.
const REORGANISED: u64 = 4;

/// What a plan is made from.
#[derive(Clone)]
pub struct Request<'a> {
    /// A signer's records.
    pub export: &'a WalletsExport,
    /// What a node says of each of its wallets on the chain.
    pub states: &'a BTreeMap<(WalletId, ChainId), ChainState>,
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
    /// One of the manifest's safe destinations; the first, where it says nothing.
    pub destination: Option<&'a String>,
    /// Who are to sign it.
    pub owners: OwnerPair,
}

/// A plan that is not written yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Draft {
    header: PlanHeader,
    wallets: Vec<PlannedWallet>,
    left_out: Vec<LeftOut>,
}

/// An asset of a wallet that this plan does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Which wallet.
    pub wallet: WalletId,
    /// The asset's symbol.
    pub asset: String,
    /// How much of it stays, smallest unit.
    pub amount: Amount,
    /// Why. `None`: the wallet has more assets than one ladder moves; the next plan moves this one.
    pub why: Option<LadderError>,
}

/// What a wallet holds, by place in the list.
struct Found<'a> {
    record: &'a ExportedWallet,
    created: bool,
    live: u64,
    balances: BTreeMap<usize, Amount>,
}

impl Draft {
    /// Draws up a plan: what is worth most comes first, and of each wallet its [`MAX_ASSETS`] assets that are worth most.
    /// Without any price, the shares of all that there is of each asset are compared.
    pub fn new(request: &Request<'_>, adapters: &Adapters) -> Result<Self, StreamError> {
        request.export.require(request.manifest)?;
        let found = found(request, adapters)?;
        let totals = totals(request.assets, found.iter().map(|wallet| &wallet.balances))?;
        let worth = |asset: usize, amount: Amount| match request.prices.get(&request.assets[asset].symbol) {
            Some(price) => price.worth(amount),
            None if request.prices.is_empty() => f64::from(amount.0) / f64::from(totals[asset].0),
            None => 0.0,
        };
        let (mut wallets, mut left_out) = (Vec::new(), Vec::new());
        for it in &found {
            let mut balances: Vec<(usize, Amount)> = it.balances.iter().map(|(asset, held)| (*asset, *held)).collect();
            balances.sort_by(|one, other| worth(other.0, other.1).total_cmp(&worth(one.0, one.1)));
            let later = balances.split_off(balances.len().min(MAX_ASSETS));
            left_out.extend(later.iter().map(|of| left(request, it, of, None)));
            let weight: f64 = balances.iter().map(|(asset, held)| worth(*asset, *held)).sum();
            balances.sort_by_key(|(asset, _)| *asset);
            match planned(request, it, &balances) {
                Ok(wallet) => wallets.push((weight, wallet)),
                Err(why) => left_out.extend(balances.iter().map(|of| left(request, it, of, Some(why)))),
            }
        }
        wallets.sort_by(|(one, a), (other, b)| other.total_cmp(one).then_with(|| a.id.cmp(&b.id)));
        let wallets: Vec<PlannedWallet> = wallets.into_iter().map(|(_, wallet)| wallet).collect();
        Ok(Self { header: header(request, adapters, &wallets)?, wallets, left_out })
    }

    /// What it will say of itself.
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// What it does not move, by name.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Writes it; the SHA-256 of what was written.
    pub fn write(&self, output: impl Write) -> Result<[u8; 32], StreamError> {
        plan_writer::write(&self.header, &self.wallets, output)
    }
}

/// Every wallet on the chain that holds something, each recomputed from the manifest's keys.
fn found<'a>(request: &Request<'a>, adapters: &Adapters) -> Result<Vec<Found<'a>>, StreamError> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for record in &request.export.wallets {
        let Some(recorded) = record.on(request.chain) else { continue };
        wallet(request.manifest, adapters, &recorded)?;
        if !seen.insert(&record.id) {
            let why = format!("wallet {} is in it twice", record.id);
            return Err(EvacuationError::Malformed { what: "wallets export", why }.into());
        }
        let unknown = || EvacuationError::UnknownState { wallet: record.id.clone(), chain: request.chain.clone() };
        let state = request.states.get(&(record.id.clone(), request.chain.clone())).ok_or_else(unknown)?;
        let [Claim::Sequence(live)] = state.next[..] else { return Err(StreamError::NoNonces(record.id.clone())) };
        let held = state.balances.iter().filter(|balance| !balance.amount.is_zero()).filter_map(|balance| {
            let place = request.assets.iter().position(|listed| listed.contract == balance.asset.contract)?;
            Some((place, balance.amount))
        });
        let balances: BTreeMap<usize, Amount> = held.collect();
        if !balances.is_empty() {
            found.push(Found { record, created: state.created, live, balances });
        }
    }
    Ok(found)
}

fn totals<'a>(
    assets: &[Asset],
    wallets: impl Iterator<Item = &'a BTreeMap<usize, Amount>>,
) -> Result<Vec<Amount>, StreamError> {
    let mut totals = vec![Amount::ZERO; assets.len()];
    for (asset, amount) in wallets.flatten() {
        let what = || format!("of {}", assets[*asset].symbol);
        let over = || StreamError::Counts { what: what(), said: "an amount".into(), found: "2^256 or more".into() };
        totals[*asset] = totals[*asset].checked_add(*amount).ok_or_else(over)?;
    }
    Ok(totals)
}

fn left(request: &Request<'_>, of: &Found<'_>, (asset, amount): &(usize, Amount), why: Option<LadderError>) -> LeftOut {
    let asset = request.assets[*asset].symbol.clone();
    LeftOut { wallet: of.record.id.clone(), asset, amount: *amount, why }
}

fn planned(request: &Request<'_>, of: &Found<'_>, balances: &[(usize, Amount)]) -> Result<PlannedWallet, LadderError> {
    let Found { record, created, live, .. } = *of;
    let payments: Vec<&ExportedPayment> = record.outstanding.iter().filter(|it| it.chain == *request.chain).collect();
    // What was signed and is not settled may still be taken back, though the node's newest block has it.
    let open = payments.iter().map(|payment| payment.nonce).min().unwrap_or(live);
    let first = if open < live { open.max(live.saturating_sub(REORGANISED)) } else { live };
    let holdings = balances.iter().map(|(place, balance)| {
        let listed = &request.assets[*place];
        let of_it = payments.iter().filter(|payment| payment.nonce >= live && payment.is_of(listed));
        // By nonce, and a nonce once.
        let by_nonce: BTreeMap<u64, Amount> = of_it.map(|payment| (payment.nonce, payment.amount)).collect();
        let outstanding = by_nonce.into_iter().map(|(nonce, amount)| Outstanding { nonce, amount });
        let outstanding = outstanding.filter(|payment| !payment.amount.is_zero()).take(MAX_OUTSTANDING).collect();
        Holding::new(*place, *balance, outstanding, request.rebasing.contains(&listed.symbol))
    });
    let ladder = Ladder::new(first, record.highest.get(request.chain).copied(), holdings.collect::<Result<_, _>>()?)?;
    Ok(PlannedWallet {
        id: record.id.clone(),
        hot_key: record.hot_key(request.chain),
        salt: record.salt_bytes(),
        deploy: !created,
        ladder,
    })
}

fn header(request: &Request<'_>, adapters: &Adapters, wallets: &[PlannedWallet]) -> Result<PlanHeader, StreamError> {
    let Request { signed, manifest, chain, block, assets, rebasing, prices, .. } = request;
    let held = |wallet: &PlannedWallet| -> BTreeMap<usize, Amount> {
        wallet.ladder.holdings().iter().map(|holding| (holding.asset(), holding.balance())).collect()
    };
    let held: Vec<_> = wallets.iter().map(held).collect();
    let totals = totals(assets, held.iter())?;
    let planned = |(asset, total): (&Asset, Amount)| PlannedAsset {
        asset: asset.clone(),
        rebasing: rebasing.contains(&asset.symbol),
        total,
        price: prices.get(&asset.symbol).cloned(),
    };
    let header = PlanHeader {
        custody_id: manifest.custody_id(),
        manifest_digest: manifest.digest_bytes(),
        revision: manifest.manifest().revision,
        manifest: (*signed).clone(),
        chain: (*chain).clone(),
        block: block.clone(),
        destination: destination(manifest, adapters, chain, request.destination)?,
        assets: assets.iter().zip(totals).map(planned).collect(),
        wallets: wallets.len() as u64,
        steps: wallets.iter().map(|wallet| wallet.ladder.rungs().count() as u64).sum(),
        chunks: plan_writer::chunks(wallets).len() as u64,
        owners: request.owners,
    };
    let wrong = |source| EvacuationError::Destination { chain: header.chain.clone(), source };
    header.verify(manifest, adapters.rules(chain).map_err(wrong)?.as_ref())?;
    Ok(header)
}
