//! What people are shown of a plan: not a million lines.

use std::fmt;

use chain::{Amount, Asset, ChainId, KeyRole};
use custody::{CustodyId, WalletId};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::{Block, OwnerPair, PlanHeader, PlannedAsset, Price, StreamError, VerifiedChunk, VerifiedWallet};

/// Wallets that are shown of each asset.
pub const LARGEST_SHOWN: usize = 20;

/// What a plan is about, and what was counted from its chunks themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The custody.
    pub custody: CustodyId,
    /// The manifest's revision.
    pub revision: u32,
    /// SHA-256 of the manifest's payload, lower-case hex.
    pub manifest_digest: String,
    /// The chain.
    pub chain: ChainId,
    /// Its newest block when the balances began to be read.
    pub block: Block,
    /// Where everything goes, display form.
    pub destination: String,
    /// Who sign it.
    pub owners: OwnerPair,
    /// Wallets.
    pub wallets: u64,
    /// Transactions that are signed: one for each rung.
    pub steps: u64,
    /// In the order of the plan's list.
    pub assets: Vec<AssetSummary>,
}

/// Of one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetSummary {
    /// Which.
    pub asset: Asset,
    /// By which the plan was put in order, where it was known.
    pub price: Option<Price>,
    /// Wallets that hold it.
    pub wallets: u64,
    /// Sum of the balances, smallest unit.
    pub total: Amount,
    /// The wallets that hold most of it, at most [`LARGEST_SHOWN`]: name, address in display form, balance.
    pub largest: Vec<(WalletId, String, Amount)>,
}

impl Summary {
    pub(crate) fn of(header: &PlanHeader) -> Self {
        let none = |listed: &PlannedAsset| AssetSummary {
            asset: listed.asset.clone(),
            price: listed.price.clone(),
            wallets: 0,
            total: Amount::ZERO,
            largest: Vec::with_capacity(LARGEST_SHOWN + 1),
        };
        Self {
            custody: header.custody_id,
            revision: header.revision,
            manifest_digest: HEXLOWER.encode(&header.manifest_digest),
            chain: header.chain.clone(),
            block: header.block.clone(),
            destination: header.destination.clone(),
            owners: header.owners,
            wallets: 0,
            steps: 0,
            assets: header.assets.iter().map(none).collect(),
        }
    }

    /// For scripts, beside a signature file of `role` on the plan with this SHA-256: stable names.
    pub fn to_json(&self, role: KeyRole, plan: &[u8; 32]) -> Value {
        let asset = |of: &AssetSummary| {
            let (symbol, contract) = (&of.asset.symbol, &of.asset.contract);
            json!({"symbol": symbol, "contract": contract, "wallets": of.wallets, "total": of.total})
        };
        json!({
            "role": role,
            "plan": HEXLOWER.encode(plan),
            "manifestDigest": self.manifest_digest,
            "revision": self.revision,
            "chain": self.chain,
            "destination": self.destination,
            "owners": self.owners.roles(),
            "wallets": self.wallets,
            "steps": self.steps,
            "assets": self.assets.iter().map(asset).collect::<Vec<_>>(),
        })
    }

    pub(crate) fn add(&mut self, chunk: &VerifiedChunk) -> Result<(), StreamError> {
        self.wallets += chunk.wallets().len() as u64;
        self.steps += chunk.step_count() as u64;
        for wallet in chunk.wallets() {
            for holding in wallet.planned().ladder.holdings() {
                self.assets[holding.asset()].add(wallet, holding.balance())?;
            }
        }
        Ok(())
    }

    /// The header says the same.
    pub(crate) fn require(&self, header: &PlanHeader) -> Result<(), StreamError> {
        let same = |what: &str, said: String, found: String| match said == found {
            true => Ok(()),
            false => Err(StreamError::Counts { what: what.to_owned(), said, found }),
        };
        same("wallets", header.wallets.to_string(), self.wallets.to_string())?;
        same("transactions", header.steps.to_string(), self.steps.to_string())?;
        for (listed, counted) in header.assets.iter().zip(&self.assets) {
            same(&format!("of {}", listed.asset.symbol), listed.total.to_string(), counted.total.to_string())?;
        }
        Ok(())
    }
}

impl AssetSummary {
    fn add(&mut self, wallet: &VerifiedWallet, balance: Amount) -> Result<(), StreamError> {
        let Some(total) = self.total.checked_add(balance) else {
            let what = format!("of {}", self.asset.symbol);
            return Err(StreamError::Counts { what, said: "an amount".to_owned(), found: "2^256 or more".to_owned() });
        };
        (self.total, self.wallets) = (total, self.wallets + 1);
        if self.largest.len() < LARGEST_SHOWN || self.largest.last().is_some_and(|(_, _, least)| *least < balance) {
            let place = self.largest.partition_point(|(_, _, more)| *more >= balance);
            let (id, address) = (wallet.planned().id.clone(), wallet.described().address.clone());
            self.largest.insert(place, (id, address, balance));
            self.largest.truncate(LARGEST_SHOWN);
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    /// Totals by asset and the largest wallets, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { custody, revision, manifest_digest, chain, block, destination, owners, wallets, steps, assets } =
            self;
        writeln!(f, "custody {custody}, manifest revision {revision}, digest {manifest_digest}")?;
        writeln!(
            f,
            "{steps} transactions of {wallets} wallets on {chain}, read at block {} ({})",
            block.number, block.id
        )?;
        writeln!(f, "everything goes to {destination}, signed by {owners}")?;
        for AssetSummary { asset, price, wallets, total, largest } in assets {
            // The symbol is only a name that the plan gives; the contract is what is signed.
            let contract = asset.contract.as_deref().unwrap_or("the native coin");
            writeln!(f, "{} ({contract}): {total} (smallest unit) of {wallets} wallets", asset.symbol)?;
            if let Some(price) = price {
                writeln!(f, "    put in order by {} for 10^{} of it", price.whole(), price.decimals())?;
            }
            for (id, address, balance) in largest {
                writeln!(f, "    {balance:>30}  {address}  {id}")?;
            }
        }
        Ok(())
    }
}
