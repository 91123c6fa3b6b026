//! Safe transactions as anybody can make them, good or not, and how the chain takes them.
//!
//! The contracts' interface is declared here once more, on purpose: an attacker is not bound by what our adapter is
//! willing to encode, and a mistake of the adapter must not hide itself from the attacks.

#![allow(missing_docs, unreachable_pub, reason = "the macro writes public items without documentation")]

use alloy_primitives::{Address, Bytes, U256, hex};
use alloy_sol_types::{Eip712Domain, SolCall, SolStruct, SolValue, sol};
use anyhow::{Context, Result, anyhow};
use chain::{Call, ChainRules};
use chain_evm::EvmSafe;
use harness::evm::Anvil;
use serde_json::json;

use super::wallet::Wallet;

sol! {
    /// The ten fields; `abi.encode` of them is what signers are asked to sign.
    struct SafeTx {
        address to;
        uint256 value;
        bytes data;
        uint8 operation;
        uint256 safeTxGas;
        uint256 baseGas;
        uint256 gasPrice;
        address gasToken;
        address refundReceiver;
        uint256 nonce;
    }

    function execTransaction(
        address to,
        uint256 value,
        bytes data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address refundReceiver,
        bytes signatures
    ) external payable;

    function transfer(address to, uint256 amount) external;
    function approve(address spender, uint256 amount) external;
    function transferFrom(address from, address to, uint256 amount) external;
    function swapOwner(address prevOwner, address oldOwner, address newOwner) external;
    function enableModule(address module) external;
}

impl SafeTx {
    /// A plain call without value.
    pub(crate) fn call(to: Address, call: &impl SolCall, nonce: u64) -> Self {
        Self {
            to,
            value: U256::ZERO,
            data: call.abi_encode().into(),
            operation: 0,
            safeTxGas: U256::ZERO,
            baseGas: U256::ZERO,
            gasPrice: U256::ZERO,
            gasToken: Address::ZERO,
            refundReceiver: Address::ZERO,
            nonce: U256::from(nonce),
        }
    }

    /// A transfer of a token.
    pub(crate) fn transfer(token: Address, to: Address, amount: u128, nonce: u64) -> Self {
        Self::call(token, &transferCall { to, amount: U256::from(amount) }, nonce)
    }

    /// What signers are asked to sign.
    pub(crate) fn unsigned(&self) -> Vec<u8> {
        self.abi_encode_params()
    }

    /// What an owner of the Safe at `wallet` signs on this chain (EIP-712).
    pub(crate) fn digest(&self, chain: u64, wallet: Address) -> [u8; 32] {
        let (chain_id, verifying_contract) = (Some(U256::from(chain)), Some(wallet));
        self.eip712_signing_hash(&Eip712Domain { chain_id, verifying_contract, ..Eip712Domain::default() }).0
    }

    /// The call of the wallet, whatever the signatures are.
    fn execution(&self, signatures: Vec<u8>) -> Vec<u8> {
        let SafeTx { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, nonce: _ } =
            self.clone();
        let signatures = Bytes::from(signatures);
        execTransactionCall {
            to,
            value,
            data,
            operation,
            safeTxGas,
            baseGas,
            gasPrice,
            gasToken,
            refundReceiver,
            signatures,
        }
        .abi_encode()
    }
}

/// A chain that somebody sends transactions to.
pub(crate) struct Sender<'a> {
    pub(crate) anvil: &'a Anvil,
    pub(crate) rules: &'a EvmSafe,
    /// Pays gas.
    pub(crate) relayer: &'a str,
}

impl Sender<'_> {
    /// Tries to execute with what there is of hot's and cool's signatures. A missing one is replaced by the claim that
    /// its owner approved on the chain. The chain's reason, if it refuses.
    pub(crate) async fn execute(
        &self,
        wallet: &Wallet,
        tx: &SafeTx,
        hot: Option<&[u8]>,
        cool: Option<&[u8]>,
    ) -> Result<Result<(), String>> {
        self.deploy(wallet).await?;
        let [hot_owner, cool_owner, _] = wallet.owners;
        let mut signatures = [(hot_owner, hot), (cool_owner, cool)];
        signatures.sort();
        let signatures = signatures.map(|(owner, signature)| signature.map_or_else(|| approved(owner), <[u8]>::to_vec));
        self.send(&Call { to: wallet.desc.address.clone(), data: tx.execution(signatures.concat()) }).await
    }

    /// Deploys the wallet unless it is there.
    pub(crate) async fn deploy(&self, wallet: &Wallet) -> Result<()> {
        let code: String = self.anvil.rpc("eth_getCode", json!([wallet.desc.address, "latest"])).await?;
        if code == "0x" {
            let creation = self.rules.creation(&wallet.desc)?.context("a Safe is created by a call")?;
            let deployed = self.send(&creation).await?;
            deployed.map_err(|why| anyhow!("the wallet is not deployed: {why}"))?;
        }
        Ok(())
    }

    /// Makes a call, or says why the chain refuses it.
    pub(crate) async fn send(&self, call: &Call) -> Result<Result<(), String>> {
        let data = hex::encode_prefixed(&call.data);
        let transaction = json!({"from": self.relayer, "to": call.to, "data": data});
        if self.anvil.send(transaction.clone()).await.is_ok() {
            return Ok(Ok(()));
        }
        // A receipt has no reason; the same call without a transaction does.
        let called = self.anvil.rpc::<String>("eth_call", json!([transaction, "latest"])).await;
        Ok(Err(called.map_or_else(|error| refusal(&error.to_string()), |_| "no reason".to_owned())))
    }
}

/// A signature of the kind "its owner has approved this", which is true of nobody here.
fn approved(owner: Address) -> Vec<u8> {
    [&owner.into_word()[..], &[0; 32], &[1]].concat()
}

/// The contract's own reason (`GS026`), or the node's words.
fn refusal(words: &str) -> String {
    let code = words.find("GS").and_then(|at| words.get(at..at + 5));
    let code = code.filter(|code| code[2..].bytes().all(|digit| digit.is_ascii_digit()));
    code.unwrap_or(words).to_owned()
}
