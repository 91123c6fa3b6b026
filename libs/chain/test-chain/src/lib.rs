//! For tests only: a chain of coins, as Bitcoin is one, so that signers, App and the rescue are tried by something that
//! is not EVM. No program is built with it: a test hands it in as a value.
//!
//! What is different from EVM: a transaction uses up coins instead of one nonce, each coin is signed for on its own
//! (two coins, two payloads, two signatures), what is not paid comes back as change, the wallet pays the fee, several
//! payments may be in one transaction, and a wallet never has to be created.
//!
//! # How to use it
//! - The chain is [`CHAIN`]; [`rules`] is its adapter, `Adapters::all().with(test_chain::rules())` a registry that knows
//!   it. Its id is in the family `eip155`, so that phrases, wallets and manifests have keys for it without an edit.
//! - [`coin`] makes a coin. A coin's id says what it is worth, since there is no ledger to ask: [`worth`] reads it.
//!   Whose a coin is the adapter does not know; that a coin is claimed once is for the store to see to.
//! - `ChainRules::build` pays the fee of [`FEE_PER_COIN`] for each coin and gives the rest back. [`pay`] makes the bytes
//!   of any outputs, also of several payments or with another fee.
//! - A cancel is the coins given back to the wallet, with an output of nothing to the safe destination.
//! - What `ChainRules::assemble` made is read by [`Assembled::read`], for a stand-in of the chain.
//! - Only the native coin exists: the local policy lists it as `native`.

mod carry;
mod transaction;

use std::sync::Arc;

use chain::{
    Asset, Call, ChainError, ChainId, ChainRules, Claim, Creation, Declares, Effect, Fee, KeyRole, Owners, Payer,
    Payload, Refusal, Signature, Signatures, Transaction, Validity, WalletDesc,
};
use data_encoding::HEXLOWER;
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey, ecdsa};
use sha2::{Digest, Sha256};

pub use carry::Assembled;
pub use transaction::{FEE_PER_COIN, Output, coin, pay, worth};

/// The chain's id: of the family `eip155`, whose keys it borrows.
pub const CHAIN: &str = "eip155:7777777";

/// The adapter.
pub fn rules() -> Arc<dyn ChainRules> {
    Arc::new(TestChain { id: CHAIN.to_owned().try_into().expect("it is a chain id") })
}

/// Rules of the chain of coins.
struct TestChain {
    id: ChainId,
}

impl ChainRules for TestChain {
    fn id(&self) -> &ChainId {
        &self.id
    }

    fn declares(&self) -> Declares {
        Declares {
            payload_binds_wallet: true,
            payload_is_id: false,
            address_binds_owners: true,
            creation: Creation::Never,
            payer: Payer::Wallet,
        }
    }

    fn wallet(&self, owners: &Owners, salt: [u8; 32]) -> Result<WalletDesc, ChainError> {
        let mut all = salt.to_vec();
        for role in [KeyRole::Hot, KeyRole::Cool, KeyRole::Cold] {
            let key = owners.key(role);
            if key.len() != 33 || PublicKey::from_slice(key).is_err() {
                return Err(ChainError::PublicKey { role, expected: "33-byte SEC1 (secp256k1)" });
            }
            all.extend_from_slice(key);
        }
        let [hot, cool, cold] = [&owners.hot, &owners.cool, &owners.cold];
        if hot == cool || hot == cold || cool == cold {
            return Err(ChainError::SameOwner);
        }
        let owner_addresses = [hot, cool, cold].map(|key| short(key));
        let (chain, owners) = (self.id.clone(), owners.clone());
        Ok(WalletDesc { chain, address: short(&all), owners, owner_addresses, salt })
    }

    fn address(&self, text: &str) -> Result<String, ChainError> {
        let hex = text.strip_prefix("0x").filter(|hex| hex.len() == 40);
        match hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            Some(hex) => Ok(format!("0x{}", hex.to_ascii_lowercase())),
            None => Err(ChainError::Address(text.to_owned())),
        }
    }

    fn owner_address(&self, public_key: &[u8]) -> Result<String, ChainError> {
        Ok(short(public_key))
    }

    fn anatomy(&self, _wallet: &WalletDesc) -> Result<Vec<(&'static str, String)>, ChainError> {
        Ok(vec![("threshold", "2".to_owned())])
    }

    /// The transaction itself: it is JSON.
    fn read(&self, text: &[u8]) -> Result<Vec<u8>, Refusal> {
        transaction::read(text)
    }

    fn build(
        &self,
        effect: &Effect,
        wallet: &WalletDesc,
        assets: &[Asset],
        claims: &[Claim],
    ) -> Result<Vec<u8>, ChainError> {
        transaction::build(effect, &wallet.address, assets, claims)
    }

    fn admits(&self, effect: &Effect, wallet: &WalletDesc, assets: &[Asset]) -> Result<(), Refusal> {
        self.require_own(wallet)?;
        transaction::admits(effect, &wallet.address, assets)
    }

    fn decode(&self, unsigned: &[u8], wallet: &WalletDesc, assets: &[Asset]) -> Result<Transaction, Refusal> {
        self.require_own(wallet)?;
        self.decode_at(unsigned, &wallet.address, assets)
    }

    fn decode_at(&self, unsigned: &[u8], address: &str, assets: &[Asset]) -> Result<Transaction, Refusal> {
        let decoded = transaction::decode(unsigned, address, assets)?;
        Ok(Transaction {
            id: hash(&[b"transaction", address.as_bytes(), unsigned]),
            effects: decoded.effects,
            fee: Fee { asset: decoded.asset, most: decoded.fee, payer: Payer::Wallet },
            claims: decoded.claims,
            validity: Validity::UntilClaimed,
        })
    }

    /// One message per coin, the same for all owners.
    fn payloads(&self, unsigned: &[u8], wallet: &WalletDesc, _role: KeyRole) -> Result<Vec<Payload>, Refusal> {
        self.require_own(wallet)?;
        let message = |claim: &Claim| {
            let (claim, address) = (claim.to_string(), wallet.address.as_bytes());
            Payload::Message([b"coin:", claim.as_bytes(), b":", address, b":", unsigned].concat())
        };
        Ok(transaction::claims(unsigned)?.iter().map(message).collect())
    }

    fn sign(&self, secret: &[u8; 32], payload: &Payload) -> Result<Signature, ChainError> {
        let key = SecretKey::from_byte_array(*secret).map_err(|_| ChainError::SecretKey)?;
        Ok(SECP256K1.sign_ecdsa(signed_message(payload), &key).serialize_compact().to_vec())
    }

    fn verify(&self, public_key: &[u8], payload: &Payload, signature: &[u8]) -> bool {
        let (key, signature) = (PublicKey::from_slice(public_key), ecdsa::Signature::from_compact(signature));
        match (key, signature) {
            (Ok(key), Ok(signature)) => SECP256K1.verify_ecdsa(signed_message(payload), &signature, &key).is_ok(),
            _ => false,
        }
    }

    fn public_key(&self, secret: &[u8; 32]) -> Result<Vec<u8>, ChainError> {
        let key = SecretKey::from_byte_array(*secret).map_err(|_| ChainError::SecretKey)?;
        Ok(key.public_key(SECP256K1).serialize().to_vec())
    }

    fn creation(&self, _wallet: &WalletDesc) -> Result<Option<Call>, ChainError> {
        Ok(None)
    }

    fn assemble(
        &self,
        unsigned: &[u8],
        wallet: &WalletDesc,
        signatures: &[(KeyRole, Signatures)],
    ) -> Result<Call, ChainError> {
        let refused = |why: String| ChainError::Assemble(why);
        match signatures {
            [(one, _), (other, _)] if one != other => {}
            _ => return Err(refused("a wallet takes the signatures of exactly 2 different owners".to_owned())),
        }
        for (role, signatures) in signatures {
            let signed = self.signed_by(unsigned, wallet, *role, signatures);
            if !signed.map_err(|refusal| refused(refusal.to_string()))? {
                return Err(refused(format!("the {role} signatures do not fit this transaction and wallet")));
            }
        }
        Assembled { wallet: wallet.address.clone(), unsigned: unsigned.to_vec(), signatures: signatures.to_vec() }
            .call()
    }
}

impl TestChain {
    fn require_own(&self, WalletDesc { chain, .. }: &WalletDesc) -> Result<(), Refusal> {
        if *chain == self.id {
            return Ok(());
        }
        let message = format!("the wallet is on {chain}, these are the rules of {}", self.id);
        Err(Refusal { reason: "WrongChain", message })
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn short(bytes: &[u8]) -> String {
    format!("0x{}", HEXLOWER.encode(&hash(&[b"address", bytes])[..20]))
}

fn signed_message(payload: &Payload) -> Message {
    Message::from_digest(match payload {
        Payload::Digest(digest) => *digest,
        Payload::Message(message) => hash(&[b"message", message]),
    })
}
