//! What a plan says of itself, and what of it is checked before a wallet is looked at.

use std::{collections::BTreeSet, str::FromStr};

use chain::{Amount, Asset, ChainId, ChainRules, KeyRole};
use custody::{
    CustodyId,
    local_policy::is_symbol,
    manifest::{SignedManifest, VerifiedManifest},
};
use data_encoding::HEXLOWER;

use super::{OwnerPair, Price, StreamError, wire};
use crate::{EvacuationError, document::same_manifest, wallet::safe_destination};

pub(crate) const PLAN: &str = "plan";

/// Assets of one plan at most.
pub const MAX_PLAN_ASSETS: usize = 64;

/// Longest name of a block, characters.
const LONGEST_BLOCK_ID: usize = 128;

/// A block of the plan's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Blocks before it.
    pub number: u64,
    /// The chain's name for it.
    pub id: String,
}

/// An asset that a plan moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedAsset {
    /// Symbol, for people, and contract in display form.
    pub asset: Asset,
    /// Whether balances of it may become smaller by themselves: 99 % of each are signed for too.
    pub rebasing: bool,
    /// Sum of the balances in the plan, smallest unit.
    pub total: Amount,
    /// By which the plan was put in order, where it was known.
    pub price: Option<Price>,
}

/// The first message of a plan. Nothing of it is believed before [`super::OpenedPlan::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanHeader {
    /// The custody.
    pub custody_id: CustodyId,
    /// SHA-256 of the manifest's payload.
    pub manifest_digest: [u8; 32],
    /// The manifest's revision.
    pub revision: u32,
    /// That manifest, for a broadcaster who has no other. Stations go by their own.
    pub manifest: SignedManifest,
    /// The one chain of all its wallets.
    pub chain: ChainId,
    /// The newest block when the balances began to be read.
    pub block: Block,
    /// Where everything goes: one of the manifest's safe destinations, display form.
    pub destination: String,
    /// At most [`MAX_PLAN_ASSETS`].
    pub assets: Vec<PlannedAsset>,
    /// How many wallets it has.
    pub wallets: u64,
    /// How many transactions are signed: one for each rung.
    pub steps: u64,
    /// How many chunks follow.
    pub chunks: u64,
    /// Who sign it.
    pub owners: OwnerPair,
}

impl PlanHeader {
    pub(crate) fn to_wire(&self) -> wire::Header {
        let asset = |planned: &PlannedAsset| wire::Asset {
            symbol: planned.asset.symbol.clone(),
            contract: planned.asset.contract.clone().unwrap_or_default(),
            rebasing: planned.rebasing,
            total: wire::shortest(planned.total),
            price: planned.price.as_ref().map(|price| price.whole().to_owned()).unwrap_or_default(),
            decimals: planned.price.as_ref().map_or(0, Price::decimals),
        };
        wire::Header {
            custody_id: self.custody_id.as_bytes().to_vec(),
            manifest_digest: self.manifest_digest.to_vec(),
            revision: self.revision,
            manifest: self.manifest.to_json(),
            chain: self.chain.to_string(),
            block_number: self.block.number,
            block_id: self.block.id.clone(),
            destination: self.destination.clone(),
            assets: self.assets.iter().map(asset).collect(),
            wallets: self.wallets,
            steps: self.steps,
            chunks: self.chunks,
            owners: self.owners.to_wire(),
        }
    }

    pub(crate) fn from_wire(header: wire::Header) -> Result<Self, StreamError> {
        let malformed = |why: &str| StreamError::malformed(PLAN, why);
        let asset = |asset: wire::Asset| {
            let contract = (!asset.contract.is_empty()).then_some(asset.contract);
            Some(PlannedAsset {
                asset: Asset { symbol: asset.symbol, contract },
                rebasing: asset.rebasing,
                total: wire::amount(&asset.total)?,
                price: match (asset.price.as_str(), asset.decimals) {
                    ("", 0) => None,
                    (price, decimals) => Some(Price::new(price, decimals)?),
                },
            })
        };
        let assets = header.assets.into_iter().map(asset).collect::<Option<Vec<_>>>();
        let digest = header.manifest_digest.try_into().map_err(|_| malformed("the manifest's digest"))?;
        Ok(Self {
            custody_id: CustodyId::from_slice(&header.custody_id).map_err(|_| malformed("the custody's id"))?,
            manifest_digest: digest,
            revision: header.revision,
            manifest: SignedManifest::parse(header.manifest.as_bytes())?,
            chain: ChainId::from_str(&header.chain).map_err(|error| malformed(&error.to_string()))?,
            block: Block { number: header.block_number, id: header.block_id },
            destination: header.destination,
            assets: assets.ok_or_else(|| malformed("a total or a price"))?,
            wallets: header.wallets,
            steps: header.steps,
            chunks: header.chunks,
            owners: OwnerPair::from_wire(&header.owners).ok_or_else(|| malformed("its two owners"))?,
        })
    }

    /// Refuses an owner who is none of the two that sign it.
    pub fn require_owner(&self, role: KeyRole) -> Result<(), StreamError> {
        let owners = self.owners;
        if owners.includes(role) { Ok(()) } else { Err(StreamError::NotAnOwner { role, owners }) }
    }

    /// What can be said without a wallet: custody, manifest, destination and assets.
    pub(crate) fn verify(&self, manifest: &VerifiedManifest, rules: &dyn ChainRules) -> Result<(), StreamError> {
        same_manifest(PLAN, self.custody_id, &HEXLOWER.encode(&self.manifest_digest), manifest)?;
        same_manifest(PLAN, self.manifest.unverified().custody_id, &self.manifest.digest(), manifest)?;
        let revision = manifest.manifest().revision;
        if self.revision != revision {
            let counts = |said: u32| said.to_string();
            let what = "as the manifest's revision".to_owned();
            return Err(StreamError::Counts { what, said: counts(self.revision), found: counts(revision) });
        }
        if !safe_destination(rules, manifest, &self.destination) {
            let (to, chain) = (self.destination.clone(), self.chain.clone());
            return Err(EvacuationError::NotADestination { to, chain }.into());
        }
        let shown = |c: char| c.is_ascii_alphanumeric();
        if self.block.id.is_empty() || self.block.id.len() > LONGEST_BLOCK_ID || !self.block.id.chars().all(shown) {
            return Err(StreamError::malformed(PLAN, "the block's id is not one"));
        }
        self.distinct_assets(rules)
    }

    /// The assets are each there once, by symbol and by contract, and can be shown to people as they are.
    fn distinct_assets(&self, rules: &dyn ChainRules) -> Result<(), StreamError> {
        if self.assets.len() > MAX_PLAN_ASSETS {
            return Err(StreamError::TooManyAssets { most: MAX_PLAN_ASSETS, given: self.assets.len() });
        }
        let (mut symbols, mut contracts) = (BTreeSet::new(), BTreeSet::new());
        for PlannedAsset { asset: Asset { symbol, contract }, .. } in &self.assets {
            if !is_symbol(symbol) {
                return Err(StreamError::malformed(PLAN, "a symbol is not one"));
            }
            if contract.as_ref().is_some_and(|contract| rules.address(contract).as_ref() != Ok(contract)) {
                return Err(StreamError::malformed(
                    PLAN,
                    format!("the contract of {symbol} is not an address as shown"),
                ));
            }
            if !symbols.insert(symbol) || !contracts.insert(contract) {
                return Err(StreamError::SameAsset(symbol.clone()));
            }
        }
        Ok(())
    }
}
