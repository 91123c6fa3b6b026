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
use chain::{Asset, ChainError, ChainId, ChainRules, Decoded, Intent, Owners, Refusal, WalletDesc};
use custody::{KeyRole, phrase::EIP155};

pub use decode::Reason;
pub use fields::Fields;

/// A call to a contract: what a relayer puts into its own transaction, with value 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// Calldata (Solidity ABI).
    pub data: Vec<u8>,
}

/// The address (EIP-55) of a key (33-byte SEC1), the same on every EVM chain; `None` for what is no key.
pub fn key_address(public_key: &[u8]) -> Option<String> {
    address::of_key(public_key).map(|address| address::display(&address))
}

/// Rules of one EVM chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvmSafe {
    id: ChainId,
    number: u64,
}

impl EvmSafe {
    /// Rules of `eip155:N`, N in decimal without leading zeros.
    pub fn new(id: ChainId) -> Result<Self, ChainError> {
        let number = id.reference().parse().ok().filter(|number: &u64| number.to_string() == id.reference());
        match number {
            Some(number) if id.namespace() == EIP155 && number > 0 => Ok(Self { id, number }),
            _ => Err(ChainError::ChainId(id.to_string())),
        }
    }

    /// N of `eip155:N`, as in EIP-155.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The Safe's setup call, which the factory makes and the address commits to.
    pub fn initializer(&self, wallet: &WalletDesc) -> Result<Vec<u8>, ChainError> {
        address::initializer(&wallet.owners)
    }

    /// The call that deploys the wallet. Anybody may make it; the address is the same whoever does.
    pub fn deployment(&self, wallet: &WalletDesc) -> Result<Call, ChainError> {
        address::deployment(&wallet.owners, wallet.salt)
    }

    /// The unsigned bytes of an intent at a nonce. Decoding them gives the intent back, or the refusal it deserves.
    pub fn build(&self, intent: &Intent, assets: &[Asset], nonce: u64) -> Result<Vec<u8>, ChainError> {
        transaction::build(intent, assets, nonce)
    }

    /// [`ChainRules::decode`] for the wallet at an address, whoever owns it: what the bytes do depends on no owner.
    pub fn decode_at(&self, unsigned: &[u8], wallet: &str, assets: &[Asset]) -> Result<Decoded, Refusal> {
        let own = decode::wallet_address(wallet)?;
        let transaction = transaction::parse(unsigned)?;
        let intent = decode::intent(&transaction, own, assets)?;
        let nonce = decode::nonce(&transaction)?;
        Ok(Decoded { intent, nonce, digest: self.digest(&transaction, own) })
    }

    /// The wallet's `execTransaction` call, from the signatures of exactly two different owners, each verified.
    pub fn assemble(
        &self,
        unsigned: &[u8],
        wallet: &WalletDesc,
        signatures: &[(KeyRole, Vec<u8>)],
    ) -> Result<Call, ChainError> {
        let not_canonical = |refusal: Refusal| ChainError::Assemble(refusal.to_string());
        let transaction = transaction::parse(unsigned).map_err(not_canonical)?;
        let digest = self.digest(&transaction, address::parse(&wallet.address)?);
        signature::assemble(&transaction, &digest, wallet, signatures)
    }

    /// The public key (33-byte SEC1) whose signature over `digest` this is; `None` for what no key signed.
    pub fn recover(&self, digest: &[u8; 32], signature: &[u8]) -> Option<Vec<u8>> {
        signature::recover(digest, signature).map(|key| key.serialize().to_vec())
    }

    fn digest(&self, transaction: &abi::SafeTx, wallet: Address) -> [u8; 32] {
        transaction::digest(transaction, self.number, wallet)
    }
}

impl ChainRules for EvmSafe {
    fn id(&self) -> &ChainId {
        &self.id
    }

    fn wallet(&self, owners: &Owners, salt: [u8; 32]) -> Result<WalletDesc, ChainError> {
        let owner_addresses = address::owners(owners)?.map(|owner| address::display(&owner));
        let address = address::display(&address::wallet(owners, salt)?);
        Ok(WalletDesc { chain: self.id.clone(), address, owners: owners.clone(), owner_addresses, salt })
    }

    fn decode(&self, unsigned: &[u8], wallet: &WalletDesc, assets: &[Asset]) -> Result<Decoded, Refusal> {
        let WalletDesc { chain, address, .. } = wallet;
        if *chain != self.id {
            let message = format!("the wallet is on {chain}, these are the rules of {}", self.id);
            return Err(Reason::WrongChain.because(message));
        }
        self.decode_at(unsigned, address, assets)
    }

    fn sign(&self, secret: &[u8; 32], digest: &[u8; 32]) -> Result<Vec<u8>, ChainError> {
        signature::sign(secret, digest)
    }

    fn verify(&self, public_key: &[u8], digest: &[u8; 32], signature: &[u8]) -> bool {
        signature::verify(public_key, digest, signature)
    }

    fn public_key(&self, secret: &[u8; 32]) -> Result<Vec<u8>, ChainError> {
        signature::public_key(secret)
    }

    fn address(&self, text: &str) -> Result<String, ChainError> {
        address::parse(text).map(|address| address::display(&address))
    }
}
