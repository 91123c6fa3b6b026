//! The relayer's own transactions: made, signed, and read back from their bytes (EIP-2718).

use alloy_consensus::{
    SignableTransaction, Transaction, TxEip1559, TxEnvelope, TxLegacy, TypedTransaction, transaction::SignerRecoverable,
};
use alloy_eips::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, TxKind, U256};
use chain::{Claim, ClientError, Relayed};

use super::key::Signer;
use crate::{
    call::Call,
    fees::{Fees, Offer},
};

/// Gas and price of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// The most gas that it may use.
    pub(super) gas: u64,
    pub(super) offer: Offer,
}

impl Terms {
    /// The most that it may cost, wei, without what it carries.
    pub(super) fn cost(&self) -> U256 {
        U256::from(self.gas).saturating_mul(U256::from(self.offer.most()))
    }
}

/// A signed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) tx: B256,
    pub(super) raw: Vec<u8>,
    pub(super) nonce: u64,
    pub(super) terms: Terms,
    pub(super) call: Call,
}

impl Signed {
    /// Makes and signs `call` with a nonce of the signer's account.
    pub(super) async fn new(
        signer: &dyn Signer,
        chain_id: u64,
        nonce: u64,
        terms: Terms,
        call: &Call,
    ) -> Result<Self, ClientError> {
        let transaction = unsigned(chain_id, nonce, terms, call);
        let signature = signer.sign(&transaction.signature_hash()).await?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Ok(Self { tx: *envelope.tx_hash(), raw: envelope.encoded_2718(), nonce, terms, call: call.clone() })
    }

    /// What is kept of it.
    pub(super) fn relayed(&self) -> Relayed {
        Relayed { tx: self.tx.to_string(), raw: self.raw.clone(), claim: Claim::Sequence(self.nonce) }
    }

    /// A transaction that was kept, and the account that signed it. `None`: the bytes are none of a relayer's on this
    /// chain.
    pub(super) fn read(raw: &[u8], chain_id: u64) -> Option<(Address, Self)> {
        let envelope = TxEnvelope::decode_2718_exact(raw).ok()?;
        let offer = match &envelope {
            TxEnvelope::Legacy(legacy) => Offer::Legacy { price: legacy.tx().gas_price },
            TxEnvelope::Eip1559(dynamic) => {
                let TxEip1559 { max_fee_per_gas: max, max_priority_fee_per_gas: tip, .. } = *dynamic.tx();
                Offer::Eip1559(Fees { max, tip })
            }
            _ => return None,
        };
        let call = Call { to: envelope.to()?, value: envelope.value(), data: envelope.input().clone() };
        let terms = Terms { gas: envelope.gas_limit(), offer };
        let signed = Self { tx: *envelope.tx_hash(), raw: raw.to_vec(), nonce: envelope.nonce(), terms, call };
        (envelope.chain_id() == Some(chain_id)).then_some((envelope.recover_signer().ok()?, signed))
    }
}

fn unsigned(chain_id: u64, nonce: u64, Terms { gas, offer }: Terms, call: &Call) -> TypedTransaction {
    let (to, value, input) = (TxKind::Call(call.to), call.value, call.data.clone());
    match offer {
        Offer::Eip1559(Fees { max, tip }) => TypedTransaction::Eip1559(TxEip1559 {
            chain_id,
            nonce,
            gas_limit: gas,
            max_fee_per_gas: max,
            max_priority_fee_per_gas: tip,
            to,
            value,
            access_list: Default::default(),
            input,
        }),
        Offer::Legacy { price: gas_price } => TypedTransaction::Legacy(TxLegacy {
            chain_id: Some(chain_id),
            nonce,
            gas_price,
            gas_limit: gas,
            to,
            value,
            input,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relayer::RelayerKey;

    #[tokio::test]
    async fn what_is_signed_is_read_back_with_its_signer_and_on_its_chain_alone() {
        let key = RelayerKey::parse(&"01".repeat(32)).unwrap();
        let call = Call { to: Address::repeat_byte(7), value: U256::from(5), data: vec![1, 2, 3].into() };
        for offer in [Offer::Eip1559(Fees { max: 30, tip: 2 }), Offer::Legacy { price: 30 }] {
            let terms = Terms { gas: 100_000, offer };
            let signed = Signed::new(&key, 7, 3, terms, &call).await.unwrap();
            assert_eq!((signed.tx, signed.nonce), (alloy_primitives::keccak256(&signed.raw), 3));
            assert_eq!(signed.relayed().claim, Claim::Sequence(3));
            assert_eq!(terms.cost(), U256::from(3_000_000));
            assert_eq!(Signed::read(&signed.raw, 7), Some((key.address(), signed.clone())));
            assert_eq!(Signed::read(&signed.raw, 8), None);
            assert_eq!(Signed::read(&signed.raw[1..], 7), None);
        }
    }
}
