//! The pure half of a chain.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Asset, Call, ChainError, ChainId, Claim, Effect, KeyRole, Owners, Payload, Refusal, Signature, Signatures,
    Transaction, WalletDesc,
};

/// The rules of each chain in use.
pub type Rules = BTreeMap<ChainId, Arc<dyn ChainRules>>;

/// When a wallet begins to exist on its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// Never: its address is all there is of it.
    Never,
    /// With its first payment or before, by anybody; deposits may come earlier.
    AtFirstSpend,
}

/// Who pays what a transaction costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// The wallet itself: the fee leaves with the amount, and counts in every limit.
    Wallet,
    /// The relayer, from a float of its own.
    Relayer,
}

/// What the transactions of wallets take where a relayer pays for them, in the chain's unit of work (EVM: gas). Round
/// figures for an order and for estimates: nothing is refused by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// To create a wallet.
    pub creation: u64,
    /// What a wallet's first transaction takes more than a later one.
    pub first: u64,
    /// To move all of the chain's own coin.
    pub coin: u64,
    /// To move all of a token.
    pub token: u64,
}

/// What an adapter promises of its chain; each line of it is held by a test of the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declares {
    /// A signature for one wallet is worthless for every other.
    pub payload_binds_wallet: bool,
    /// Each owner signs one digest, which is the transaction's id.
    pub payload_is_id: bool,
    /// The address commits to all three owners and to two of them being needed.
    pub address_binds_owners: bool,
    /// When a wallet begins to exist.
    pub creation: Creation,
    /// Who pays fees.
    pub payer: Payer,
}

/// A chain's rules: wallet address from its three owners, decoding of the very bytes to be signed, what is signed,
/// signatures. No IO, no clock, no randomness. Linked into Keeper, Cooler, the offline CLI and App.
pub trait ChainRules: Send + Sync {
    /// Which chain.
    fn id(&self) -> &ChainId;

    /// What holds on this chain.
    fn declares(&self) -> Declares;

    /// What a wallet's transactions take; `None`: it depends, or the wallet itself pays.
    fn work(&self) -> Option<Work> {
        None
    }

    /// The wallet of these owners, computed offline.
    fn wallet(&self, owners: &Owners, salt: [u8; 32]) -> Result<WalletDesc, ChainError>;

    /// The canonical display form of an address, or an error.
    fn address(&self, text: &str) -> Result<String, ChainError>;

    /// The address of one owner's key, in the chain's display form. The same on all chains of a family.
    fn owner_address(&self, public_key: &[u8]) -> Result<String, ChainError>;

    /// What a wallet's address is computed from beside its owners, by name, for whoever computes it again.
    fn anatomy(&self, wallet: &WalletDesc) -> Result<Vec<(&'static str, String)>, ChainError>;

    /// The unsigned bytes of a transaction as tools exchange it (EVM: the ten SafeTx fields in JSON). What has no
    /// encoding is `Malformed`; whatever the chain could read is encoded, also what decoding refuses.
    fn read(&self, text: &[u8]) -> Result<Vec<u8>, Refusal>;

    /// The unsigned bytes of an effect that uses up `claims`. Decoding them gives the effect back, or the refusal that
    /// it deserves.
    fn build(
        &self,
        effect: &Effect,
        wallet: &WalletDesc,
        assets: &[Asset],
        claims: &[Claim],
    ) -> Result<Vec<u8>, ChainError>;

    /// Refuses an effect that is refused whatever it uses up: asked before it is known what that will be.
    fn admits(&self, effect: &Effect, wallet: &WalletDesc, assets: &[Asset]) -> Result<(), Refusal>;

    /// Decodes all of `unsigned`; refuses what is not understood, not canonical, or moves an asset not in `assets`.
    fn decode(&self, unsigned: &[u8], wallet: &WalletDesc, assets: &[Asset]) -> Result<Transaction, Refusal>;

    /// [`ChainRules::decode`] for the wallet at an address, whoever owns it: what the bytes do depends on no owner.
    fn decode_at(&self, unsigned: &[u8], address: &str, assets: &[Asset]) -> Result<Transaction, Refusal>;

    /// What the owner `role` has to sign, in order: at least one.
    fn payloads(&self, unsigned: &[u8], wallet: &WalletDesc, role: KeyRole) -> Result<Vec<Payload>, Refusal>;

    /// Signs one payload with a 32-byte secret key.
    fn sign(&self, secret: &[u8; 32], payload: &Payload) -> Result<Signature, ChainError>;

    /// Whether `signature` over `payload` is by `public_key`.
    fn verify(&self, public_key: &[u8], payload: &Payload, signature: &[u8]) -> bool;

    /// Public key of a 32-byte secret key, in the chain's encoding.
    fn public_key(&self, secret: &[u8; 32]) -> Result<Vec<u8>, ChainError>;

    /// What creates the wallet, where the chain wants that ([`Creation::AtFirstSpend`]). Anybody may carry it.
    fn creation(&self, wallet: &WalletDesc) -> Result<Option<Call>, ChainError>;

    /// What carries out the transaction, from the signatures of exactly two different owners, each verified.
    fn assemble(
        &self,
        unsigned: &[u8],
        wallet: &WalletDesc,
        signatures: &[(KeyRole, Signatures)],
    ) -> Result<Call, ChainError>;

    /// Whether all payloads of a transaction are signed by the owner `role`: as many signatures as payloads, at least
    /// one, each fitting its own.
    fn signed_by(
        &self,
        unsigned: &[u8],
        wallet: &WalletDesc,
        role: KeyRole,
        signatures: &[Signature],
    ) -> Result<bool, Refusal> {
        let payloads = self.payloads(unsigned, wallet, role)?;
        let key = wallet.owners.key(role);
        Ok(!payloads.is_empty()
            && payloads.len() == signatures.len()
            && payloads.iter().zip(signatures).all(|(payload, signature)| self.verify(key, payload, signature)))
    }
}
