//! EVM chains: the 2-of-3 Safe 1.4.1, decoded and signed without a node.
//!
//! What this adapter declares, each with a test:
//! - the address binds the owners, the threshold and the salt (CREATE2 over the setup call), not the chain;
//! - the digest binds wallet and chain (EIP-712 domain), so no signature is valid elsewhere;
//! - uniqueness key: the Safe's nonce, strictly sequential;
//! - validity: none; a signature lives until its nonce is used, so an unsent one is outrun only by another
//!   transaction at the same nonce (the cancel).

mod abi;
mod address;
pub mod constants;
mod decode;
mod fields;
mod signature;
mod transaction;

use alloy_primitives::Address;
use chain::{
    Amount, Asset, Call, ChainError, ChainId, ChainRules, Claim, Creation, Declares, Effect, Fee, KeyRole, Owners,
    Payer, Payload, Refusal, Signature, Signatures, Transaction, Validity, WalletDesc, Work,
};
use constants::{FACTORY, PROXY_INIT_CODE_HASH, SINGLETON, THRESHOLD};
use data_encoding::HEXLOWER;

pub use decode::Reason;

/// CAIP-2 namespace of all EVM chains.
pub const NAMESPACE: &str = "eip155";

/// Rules of one EVM chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvmSafe {
    id: ChainId,
    number: u64,
}

impl EvmSafe {
    /// Rules of `eip155:N`.
    pub fn new(id: ChainId) -> Result<Self, ChainError> {
        // That it is a number in its only form is part of what a chain id is.
        match id.reference().parse() {
            Ok(number) if id.namespace() == NAMESPACE => Ok(Self { id, number }),
            _ => Err(ChainError::NoAdapter(id)),
        }
    }

    /// N of `eip155:N`, as in EIP-155.
    pub fn number(&self) -> u64 {
        self.number
    }

    fn require_own(&self, WalletDesc { chain, .. }: &WalletDesc) -> Result<(), Refusal> {
        if *chain == self.id {
            return Ok(());
        }
        Err(Reason::WrongChain.because(format!("the wallet is on {chain}, these are the rules of {}", self.id)))
    }

    fn digest(&self, transaction: &abi::SafeTx, wallet: Address) -> [u8; 32] {
        transaction::digest(transaction, self.number, wallet)
    }
}

impl ChainRules for EvmSafe {
    fn id(&self) -> &ChainId {
        &self.id
    }

    fn declares(&self) -> Declares {
        Declares {
            payload_binds_wallet: true,
            payload_is_id: true,
            address_binds_owners: true,
            creation: Creation::AtFirstSpend,
            payer: Payer::Relayer,
        }
    }

    /// Measured with Safe 1.4.1 and Multicall3's `aggregate3` on the Osaka rules, 40 wallets in a transaction; a single
    /// `execTransaction` takes some 20,000 more.
    fn work(&self) -> Option<Work> {
        Some(Work { creation: 263_000, first: 17_100, coin: 45_500, token: 42_800 })
    }

    fn wallet(&self, owners: &Owners, salt: [u8; 32]) -> Result<WalletDesc, ChainError> {
        // Once: most of what a million wallets take at a station is parsing their keys.
        let each = address::owners(owners)?;
        let owner_addresses = each.map(|owner| address::display(&owner));
        let address = address::display(&address::wallet(each, salt));
        Ok(WalletDesc { chain: self.id.clone(), address, owners: owners.clone(), owner_addresses, salt })
    }

    fn address(&self, text: &str) -> Result<String, ChainError> {
        address::parse(text).map(|address| address::display(&address))
    }

    fn owner_address(&self, public_key: &[u8]) -> Result<String, ChainError> {
        let malformed = || ChainError::Address(HEXLOWER.encode(public_key));
        address::of_key(public_key).map(|address| address::display(&address)).ok_or_else(malformed)
    }

    fn anatomy(&self, wallet: &WalletDesc) -> Result<Vec<(&'static str, String)>, ChainError> {
        Ok(vec![
            ("threshold", THRESHOLD.to_string()),
            ("singleton", address::display(&SINGLETON)),
            ("factory", address::display(&FACTORY)),
            ("proxyInitCodeHash", PROXY_INIT_CODE_HASH.to_string()),
            ("initializer", format!("0x{}", HEXLOWER.encode(&address::initializer(address::owners(&wallet.owners)?)))),
        ])
    }

    /// The ten `SafeTx` fields in JSON.
    fn read(&self, text: &[u8]) -> Result<Vec<u8>, Refusal> {
        fields::read(text)
    }

    fn build(
        &self,
        effect: &Effect,
        _wallet: &WalletDesc,
        assets: &[Asset],
        claims: &[Claim],
    ) -> Result<Vec<u8>, ChainError> {
        let [Claim::Sequence(nonce)] = claims else {
            return Err(ChainError::Assemble("a Safe's transaction uses up exactly one nonce".to_owned()));
        };
        transaction::build(effect, assets, *nonce)
    }

    fn admits(&self, effect: &Effect, wallet: &WalletDesc, assets: &[Asset]) -> Result<(), Refusal> {
        self.require_own(wallet)?;
        let own = decode::wallet_address(&wallet.address)?;
        let transaction = transaction::of_effect(effect, assets, 0);
        let transaction = transaction.map_err(|error| Reason::Malformed.because(error.to_string()))?;
        decode::effect(&transaction, own, assets).map(drop)
    }

    fn decode(&self, unsigned: &[u8], wallet: &WalletDesc, assets: &[Asset]) -> Result<Transaction, Refusal> {
        self.require_own(wallet)?;
        self.decode_at(unsigned, &wallet.address, assets)
    }

    fn decode_at(&self, unsigned: &[u8], address: &str, assets: &[Asset]) -> Result<Transaction, Refusal> {
        let own = decode::wallet_address(address)?;
        let transaction = transaction::parse(unsigned)?;
        let effect = decode::effect(&transaction, own, assets)?;
        let nonce = decode::nonce(&transaction)?;
        Ok(Transaction {
            id: self.digest(&transaction, own),
            effects: vec![effect],
            // Refund fields are zero, or it is not decoded.
            fee: Fee { asset: String::new(), most: Amount::ZERO, payer: Payer::Relayer },
            claims: vec![Claim::Sequence(nonce)],
            validity: Validity::UntilClaimed,
        })
    }

    /// One digest, the same for all owners.
    fn payloads(&self, unsigned: &[u8], wallet: &WalletDesc, _role: KeyRole) -> Result<Vec<Payload>, Refusal> {
        self.require_own(wallet)?;
        let own = decode::wallet_address(&wallet.address)?;
        Ok(vec![Payload::Digest(self.digest(&transaction::parse(unsigned)?, own))])
    }

    fn sign(&self, secret: &[u8; 32], payload: &Payload) -> Result<Signature, ChainError> {
        match payload {
            Payload::Digest(digest) => signature::sign(secret, digest),
            Payload::Message(_) => Err(ChainError::Assemble("a Safe's owners sign digests only".to_owned())),
        }
    }

    fn verify(&self, public_key: &[u8], payload: &Payload, signature: &[u8]) -> bool {
        matches!(payload, Payload::Digest(digest) if signature::verify(public_key, digest, signature))
    }

    fn public_key(&self, secret: &[u8; 32]) -> Result<Vec<u8>, ChainError> {
        signature::public_key(secret)
    }

    /// The factory's call that puts the Safe's code at its address, the same whoever makes it.
    fn creation(&self, wallet: &WalletDesc) -> Result<Option<Call>, ChainError> {
        address::deployment(&wallet.owners, wallet.salt).map(Some)
    }

    /// `execTransaction`.
    fn assemble(
        &self,
        unsigned: &[u8],
        wallet: &WalletDesc,
        signatures: &[(KeyRole, Signatures)],
    ) -> Result<Call, ChainError> {
        let not_canonical = |refusal: Refusal| ChainError::Assemble(refusal.to_string());
        let transaction = transaction::parse(unsigned).map_err(not_canonical)?;
        let digest = self.digest(&transaction, address::parse(&wallet.address)?);
        signature::assemble(&transaction, &digest, wallet, signatures)
    }
}
