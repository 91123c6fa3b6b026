//! The account that pays gas. It owns nothing but its float and can move no wallet's money: it only carries what the
//! owners signed.
//!
//! A transaction is signed, recorded by the caller, and only then sent, so that after a crash the same transaction is
//! sent again instead of another one.

use std::{sync::Arc, time::Duration};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use async_trait::async_trait;
use chain::{Amount, ChainError, Claim, ClientError, Outcome, Relayed};
use k256::ecdsa::SigningKey;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};
use zeroize::Zeroizing;

use crate::rpc::{Call, Rpc};

/// How often a receipt is asked for.
const POLL: Duration = Duration::from_millis(500);
/// How often a transaction that is not mined is handed to the network again.
const RESEND: Duration = Duration::from_secs(15);
/// How long the receipt may come after the nonce is used, before something else is taken to have used it.
const RECEIPT_GRACE: Duration = Duration::from_secs(3);

const KEY: ClientError = ClientError::Key { expected: "a file with 64 hex digits, with or without 0x" };

/// The relayer's secp256k1 key. Zeroized when dropped.
pub struct RelayerKey(SigningKey);

impl RelayerKey {
    /// From 64 hex digits, with or without `0x`, white space around them ignored.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let digits = text.trim();
        let bytes = Zeroizing::new(hex::decode(digits).map_err(|_| KEY)?);
        SigningKey::from_slice(&bytes).map(Self).map_err(|_| KEY)
    }

    /// The account that pays.
    pub fn address(&self) -> Address {
        let point = self.0.verifying_key().to_encoded_point(false);
        Address::from_raw_public_key(&point.as_bytes()[1..])
    }
}

/// Sends transactions that others signed the contents of.
pub struct Relayer {
    rpc: Arc<Rpc>,
    chain_id: u64,
    key: RelayerKey,
    address: Address,
    /// One transaction at a time is given a nonce and sent.
    sending: Mutex<()>,
}

impl Relayer {
    /// A relayer for chain `eip155:chain_id`, which every transaction of it names.
    pub fn new(rpc: Arc<Rpc>, chain_id: u64, key: RelayerKey) -> Self {
        let address = key.address();
        Self { rpc, chain_id, key, address, sending: Mutex::new(()) }
    }

    /// The account that pays.
    pub fn address(&self) -> Address {
        self.address
    }

    /// What `call` would return if the relayer sent it now; a revert is a typed error with its reason.
    pub async fn simulate(&self, call: &Call) -> Result<Bytes, ClientError> {
        self.rpc.call(self.address, call, None).await
    }

    /// The right to send the next transaction, as long as it is held.
    pub async fn turn(&self) -> Turn<'_> {
        Turn { relayer: self, _guard: self.sending.lock().await }
    }

    /// Waits until `relayed` is mined or won't be, handing it to the network again from time to time; after `wait`,
    /// [`ClientError::Pending`]. May be called again, also by another process.
    pub async fn follow(&self, relayed: &Relayed, wait: Duration) -> Result<Outcome, ClientError> {
        let (hash, own) = (hash(relayed), nonce(relayed)?);
        let deadline = Instant::now() + wait;
        let mut resend_at = Instant::now();
        let mut passed = None;
        loop {
            // The nonce first: a transaction mined between the two questions must not look replaced.
            let nonce = self.rpc.nonce(self.address).await?;
            if let Some(receipt) = self.rpc.receipt(hash).await? {
                return Ok(Outcome::Mined { tx: receipt.tx.to_string(), success: receipt.success });
            }
            if nonce > own {
                // A node may count a block before it tells its receipts.
                if passed.get_or_insert_with(Instant::now).elapsed() >= RECEIPT_GRACE {
                    return Ok(Outcome::Replaced);
                }
            } else if Instant::now() >= resend_at {
                match self.resend(relayed).await {
                    Err(ClientError::Node { code: -32000 | -32003, message, .. }) => {
                        return Ok(Outcome::Rejected(message));
                    }
                    other => other?,
                }
                resend_at = Instant::now() + RESEND;
            }
            if Instant::now() >= deadline {
                return Err(ClientError::Pending(relayed.tx.clone()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until nothing that this account sent earlier is still unmined: a process that keeps no record of what it
    /// sent must not send it again beside itself.
    pub async fn settled(&self, wait: Duration) -> Result<(), ClientError> {
        let deadline = Instant::now() + wait;
        while self.rpc.pending_nonce(self.address).await? > self.rpc.nonce(self.address).await? {
            if Instant::now() >= deadline {
                return Err(ClientError::Unsettled(self.address.to_string()));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Nodes say in many words that they have a transaction already: asking whether they do is surer.
    async fn resend(&self, relayed: &Relayed) -> Result<(), ClientError> {
        match self.rpc.send_raw(&relayed.raw).await {
            Err(refused @ ClientError::Node { .. }) if !self.rpc.knows(hash(relayed)).await? => Err(refused),
            Err(ClientError::Node { .. }) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// The relayer's next transaction; see [`Relayer::turn`].
pub struct Turn<'a> {
    relayer: &'a Relayer,
    _guard: MutexGuard<'a, ()>,
}

#[async_trait]
impl chain::Turn for Turn<'_> {
    async fn sign(&self, call: &chain::Call) -> Result<Relayed, ClientError> {
        self.sign_call(&call.try_into()?).await
    }

    async fn broadcast(self: Box<Self>, relayed: &Relayed) -> Result<(), ClientError> {
        self.relayer.resend(relayed).await
    }
}

impl Turn<'_> {
    /// Signs a transaction that makes `call`, with the next nonce and today's fees. Nothing is sent.
    pub async fn sign_call(&self, call: &Call) -> Result<Relayed, ClientError> {
        let Relayer { rpc, chain_id, key, address, .. } = self.relayer;
        let gas = rpc.estimate_gas(*address, call).await?;
        let gas_limit = gas.saturating_add(gas / 5);
        let fees = rpc.fees().await?;
        let needed = U256::from(gas_limit).saturating_mul(U256::from(fees.max)).saturating_add(call.value);
        let balance = rpc.balance(*address, None).await?;
        if balance < needed {
            let relayer = address.to_string();
            let (balance, needed) = (Amount(balance), Amount(needed));
            return Err(ClientError::Float { relayer, balance, needed, unit: "wei" });
        }
        let transaction = TxEip1559 {
            chain_id: *chain_id,
            nonce: rpc.pending_nonce(*address).await?,
            gas_limit,
            max_fee_per_gas: fees.max,
            max_priority_fee_per_gas: fees.tip,
            to: TxKind::Call(call.to),
            value: call.value,
            access_list: Default::default(),
            input: call.data.clone(),
        };
        signed(transaction, key)
    }
}

fn signed(transaction: TxEip1559, key: &RelayerKey) -> Result<Relayed, ClientError> {
    let digest = transaction.signature_hash();
    let (signature, recovery) = key.0.sign_prehash_recoverable(digest.as_slice()).map_err(|_| KEY)?;
    let signature = Signature::from_bytes_and_parity(signature.to_bytes().as_slice(), recovery.is_y_odd());
    let claim = Claim::Sequence(transaction.nonce);
    let signed = transaction.into_signed(signature);
    let mut raw = Vec::new();
    signed.eip2718_encode(&mut raw);
    Ok(Relayed { tx: signed.hash().to_string(), raw, claim })
}

/// A transaction's hash is that of its EIP-2718 bytes.
fn hash(relayed: &Relayed) -> B256 {
    keccak256(&relayed.raw)
}

/// Its place among the account's transactions.
fn nonce(relayed: &Relayed) -> Result<u64, ClientError> {
    match relayed.claim {
        Claim::Sequence(nonce) => Ok(nonce),
        coin => Err(ChainError::Claim(coin.to_string()).into()),
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::TxEnvelope;
    use alloy_eips::Decodable2718;
    use k256::ecdsa::VerifyingKey;

    use super::*;

    const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

    #[test]
    fn a_key_is_hex_with_or_without_prefix() {
        let address: Address = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1".parse().unwrap();
        assert_eq!(RelayerKey::parse(KEY).unwrap().address(), address);
        assert_eq!(RelayerKey::parse(&format!("0x{KEY}\n")).unwrap().address(), address);
    }

    #[test]
    fn a_malformed_key_is_refused_without_being_shown() {
        for text in ["", "0x01", &KEY[1..], &"00".repeat(32), &"ff".repeat(32)] {
            let Err(error) = RelayerKey::parse(text) else { panic!("{text}") };
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }

    #[test]
    fn a_transaction_names_chain_and_signer() {
        let key = RelayerKey::parse(KEY).unwrap();
        let transaction = TxEip1559 { chain_id: 7, nonce: 3, ..Default::default() };
        let digest = transaction.signature_hash();
        let relayed = signed(transaction, &key).unwrap();
        let envelope = TxEnvelope::decode_2718_exact(&relayed.raw).unwrap();
        let tx = envelope.as_eip1559().unwrap();
        assert_eq!((tx.hash().to_string(), nonce(&relayed).unwrap()), (relayed.tx.clone(), 3));
        assert_eq!(hash(&relayed), *tx.hash());
        assert_eq!((tx.tx().chain_id, tx.tx().nonce, tx.signature_hash()), (7, 3, digest));
        let signature = k256::ecdsa::Signature::from_slice(&tx.signature().as_bytes()[..64]).unwrap();
        let recovery = k256::ecdsa::RecoveryId::new(tx.signature().v(), false);
        let signer = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, recovery).unwrap();
        assert_eq!(&signer, key.0.verifying_key());
    }
}
