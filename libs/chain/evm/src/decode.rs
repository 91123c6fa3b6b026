//! From a SafeTx to what it does. Three shapes are understood (native transfer, ERC-20 transfer, cancel); the rest is
//! refused.

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use chain::{Amount, Asset, Effect, Refusal};

use crate::{
    abi::{SafeTx, transferCall},
    address,
    constants::{BESIDE_SAFE, FACTORY, LAST_PRECOMPILE, MULTICALL, P256_PRECOMPILE, SINGLETON},
};

/// Why a transaction is not signed. The names are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Not ten SafeTx fields.
    Malformed,
    /// Ten fields, but not in their only encoding.
    NotCanonical,
    /// The wallet is of another chain or has no address of this one.
    WrongChain,
    /// The list of assets holds a malformed contract.
    BadAssetList,
    /// `operation` is not 0: foreign code would run as the wallet.
    Delegatecall,
    /// The wallet would call itself: owners, modules, guards or handlers would change.
    SelfCall,
    /// Gas and refund fields are not zero: they pay the sender out of the wallet.
    RefundFields,
    /// Calldata that is not a plain ERC-20 transfer.
    UnknownCall,
    /// The asset is not listed.
    UnknownAsset,
    /// The destination is the zero address.
    ZeroAddress,
    /// An ERC-20 transfer of nothing.
    ZeroAmount,
    /// The destination is a listed asset's contract: the money would be lost.
    AssetContract,
    /// The destination is one of the chain's precompiled contracts: the money would be lost.
    Precompile,
    /// The destination is a contract that makes wallets or that they run on: the money would be lost.
    Infrastructure,
    /// The destination is the wallet itself.
    OwnAddress,
    /// The nonce is above 2^64 - 1.
    NonceTooLarge,
}

impl Reason {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Malformed => "Malformed",
            Reason::NotCanonical => "NotCanonical",
            Reason::WrongChain => "WrongChain",
            Reason::BadAssetList => "BadAssetList",
            Reason::Delegatecall => "Delegatecall",
            Reason::SelfCall => "SelfCall",
            Reason::RefundFields => "RefundFields",
            Reason::UnknownCall => "UnknownCall",
            Reason::UnknownAsset => "UnknownAsset",
            Reason::ZeroAddress => "ZeroAddress",
            Reason::ZeroAmount => "ZeroAmount",
            Reason::AssetContract => "AssetContract",
            Reason::Precompile => "Precompile",
            Reason::Infrastructure => "Infrastructure",
            Reason::OwnAddress => "OwnAddress",
            Reason::NonceTooLarge => "NonceTooLarge",
        }
    }

    pub(crate) fn because(self, message: impl Into<String>) -> Refusal {
        Refusal { reason: self.as_str(), message: message.into() }
    }
}

/// The address of the wallet that the transaction is for.
pub(crate) fn wallet_address(address: &str) -> Result<Address, Refusal> {
    address::parse(address).map_err(|error| Reason::WrongChain.because(error.to_string()))
}

/// The nonce as a number.
pub(crate) fn nonce(transaction: &SafeTx) -> Result<u64, Refusal> {
    u64::try_from(transaction.nonce)
        .map_err(|_| Reason::NonceTooLarge.because(format!("nonce {} is out of range", transaction.nonce)))
}

/// The only effect of a transaction, or why it is refused.
pub(crate) fn effect(transaction: &SafeTx, own: Address, assets: &[Asset]) -> Result<Effect, Refusal> {
    let SafeTx { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, nonce: _ } =
        transaction;
    if *operation != 0 {
        return Err(Reason::Delegatecall.because(format!("operation is {operation}; only a plain call (0) is signed")));
    }
    let refund = [safeTxGas, baseGas, gasPrice].iter().any(|field| !field.is_zero());
    if refund || !gasToken.is_zero() || !refundReceiver.is_zero() {
        return Err(Reason::RefundFields.because("gas and refund fields must all be zero: they pay out of the wallet"));
    }
    if *to == own {
        return Err(Reason::SelfCall.because("the wallet may not call itself"));
    }
    let listed = Listed::parse(assets)?;
    if data.is_empty() {
        let destination = listed.destination(*to, own)?;
        return if value.is_zero() {
            Ok(Effect::Cancel { to: destination })
        } else {
            Ok(Effect::Transfer { asset: listed.native()?, to: destination, amount: Amount(*value) })
        };
    }
    let call = erc20_transfer(data).filter(|_| value.is_zero()).ok_or_else(|| {
        Reason::UnknownCall.because(format!(
            "{} bytes of calldata to {} with value {value} are not a plain ERC-20 transfer",
            data.len(),
            address::display(to)
        ))
    })?;
    let asset = listed.token(*to)?;
    if call.amount.is_zero() {
        return Err(Reason::ZeroAmount.because(format!("the transfer moves no {asset}")));
    }
    let to = listed.destination(call.to, own)?;
    Ok(Effect::Transfer { asset, to, amount: Amount(call.amount) })
}

/// `transfer(address,uint256)` in its only encoding: 68 bytes, clean address padding.
fn erc20_transfer(data: &[u8]) -> Option<transferCall> {
    transferCall::abi_decode_validate(data).ok().filter(|call| call.abi_encode() == data)
}

/// The listed assets, with contracts as addresses.
struct Listed<'a>(Vec<(&'a str, Option<Address>)>);

impl<'a> Listed<'a> {
    fn parse(assets: &'a [Asset]) -> Result<Self, Refusal> {
        let entry = |asset: &'a Asset| {
            let contract = asset.contract.as_deref().map(address::parse).transpose();
            contract.map(|contract| (asset.symbol.as_str(), contract))
        };
        let entries: Result<_, _> = assets.iter().map(entry).collect();
        entries.map(Self).map_err(|error| Reason::BadAssetList.because(format!("the list of assets: {error}")))
    }

    fn native(&self) -> Result<String, Refusal> {
        self.symbol(None).ok_or_else(|| Reason::UnknownAsset.because("the chain's native coin is not listed"))
    }

    fn token(&self, contract: Address) -> Result<String, Refusal> {
        self.symbol(Some(contract)).ok_or_else(|| {
            Reason::UnknownAsset.because(format!("the token {} is not listed", address::display(&contract)))
        })
    }

    fn symbol(&self, contract: Option<Address>) -> Option<String> {
        self.0.iter().find(|(_, listed)| *listed == contract).map(|(symbol, _)| (*symbol).to_owned())
    }

    /// A place that money can come back from.
    fn destination(&self, to: Address, own: Address) -> Result<String, Refusal> {
        let shown = address::display(&to);
        if to.is_zero() {
            return Err(Reason::ZeroAddress.because("the destination is the zero address"));
        }
        if to == own {
            return Err(Reason::OwnAddress.because("the destination is the wallet itself"));
        }
        if self.symbol(Some(to)).is_some() {
            return Err(Reason::AssetContract.because(format!("the destination {shown} is a token contract")));
        }
        if is_precompile(&to) {
            return Err(Reason::Precompile.because(format!("the destination {shown} is a precompiled contract")));
        }
        if [SINGLETON, FACTORY, MULTICALL].contains(&to) || BESIDE_SAFE.contains(&to) {
            let message = format!("the destination {shown} is a contract of the wallets' own infrastructure");
            return Err(Reason::Infrastructure.because(message));
        }
        Ok(shown)
    }
}

fn is_precompile(to: &Address) -> bool {
    let number = U256::from_be_slice(to.as_slice());
    number <= U256::from(LAST_PRECOMPILE) || number == U256::from(P256_PRECOMPILE)
}
