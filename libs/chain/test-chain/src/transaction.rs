//! A transaction: coins that it uses up, and where what they are worth goes. Its bytes are JSON in its only form.

use std::collections::BTreeSet;

use chain::{Amount, Asset, ChainError, Claim, Effect, Refusal};
use serde::{Deserialize, Serialize};

/// What is paid for each coin that a transaction of `ChainRules::build` uses up.
pub const FEE_PER_COIN: u128 = 10;

/// Where coins go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Address in display form: the wallet's own is change.
    pub to: String,
    /// How much; nothing is the mark of a cancel.
    pub amount: Amount,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unsigned {
    /// As [`Claim`] is written.
    coins: Vec<String>,
    outputs: Vec<Output>,
}

/// What a transaction does.
pub(crate) struct Decoded {
    pub(crate) effects: Vec<Effect>,
    pub(crate) asset: String,
    pub(crate) fee: Amount,
    pub(crate) claims: Vec<Claim>,
}

/// A coin worth `amount`; coins of different numbers are different coins.
pub fn coin(amount: u128, number: u64) -> Claim {
    let mut id = [0; 32];
    id[..16].copy_from_slice(&amount.to_be_bytes());
    id[16..24].copy_from_slice(&number.to_be_bytes());
    Claim::Coin(id, 0)
}

/// What a coin is worth; `None` if it is not a coin of this chain.
pub fn worth(claim: &Claim) -> Option<Amount> {
    let Claim::Coin(id, 0) = claim else { return None };
    id[..16].try_into().ok().map(u128::from_be_bytes).map(Amount::from)
}

/// The bytes of a transaction that uses up `coins` for `outputs`; what they are worth more is its fee.
pub fn pay(coins: &[Claim], outputs: &[Output]) -> Vec<u8> {
    let coins = coins.iter().map(Claim::to_string).collect();
    encode(&Unsigned { coins, outputs: outputs.to_vec() })
}

pub(crate) fn build(effect: &Effect, own: &str, assets: &[Asset], claims: &[Claim]) -> Result<Vec<u8>, ChainError> {
    let refused = |why: &str| ChainError::Assemble(why.to_owned());
    let (to, amount) = match effect {
        Effect::Transfer { asset, to, amount } if native(assets) == Some(asset.as_str()) => (to, *amount),
        Effect::Transfer { .. } => return Err(refused("only the native coin exists")),
        Effect::Cancel { to } => (to, Amount::ZERO),
        Effect::Change { .. } => return Err(refused("change is what a payment leaves")),
    };
    let fee = Amount::from(FEE_PER_COIN * claims.len() as u128);
    let held = total(claims).ok_or_else(|| refused("a transaction uses up coins of this chain"))?;
    let rest = held.checked_sub(amount).and_then(|rest| rest.checked_sub(fee));
    let rest = rest.ok_or_else(|| refused("the coins are worth less than the amount and the fee"))?;
    let mut outputs = vec![Output { to: to.clone(), amount }];
    if !rest.is_zero() {
        outputs.push(Output { to: own.to_owned(), amount: rest });
    }
    Ok(pay(claims, &outputs))
}

pub(crate) fn admits(effect: &Effect, own: &str, assets: &[Asset]) -> Result<(), Refusal> {
    match effect {
        Effect::Transfer { asset, .. } if native(assets) != Some(asset.as_str()) => {
            Err(refusal("UnknownAsset", "only the native coin exists"))
        }
        Effect::Transfer { to, .. } if to == own => Err(refusal("UnknownShape", "a wallet does not pay itself")),
        Effect::Change { .. } => Err(refusal("UnknownShape", "change is what a payment leaves")),
        Effect::Transfer { .. } | Effect::Cancel { .. } => Ok(()),
    }
}

pub(crate) fn decode(unsigned: &[u8], own: &str, assets: &[Asset]) -> Result<Decoded, Refusal> {
    let transaction = parse(unsigned)?;
    let claims = coins(&transaction)?;
    let asset = native(assets).ok_or_else(|| refusal("UnknownAsset", "the native coin is not listed"))?.to_owned();
    let effect = |Output { to, amount }: &Output| match (to == own, amount.is_zero()) {
        (true, _) => Effect::Change { asset: asset.clone(), amount: *amount },
        (false, true) => Effect::Cancel { to: to.clone() },
        (false, false) => Effect::Transfer { asset: asset.clone(), to: to.clone(), amount: *amount },
    };
    let effects: Vec<Effect> = transaction.outputs.iter().map(effect).collect();
    let marks = effects.iter().filter(|effect| matches!(effect, Effect::Cancel { .. })).count();
    let pays = effects.iter().any(|effect| matches!(effect, Effect::Transfer { .. }));
    if marks > 1 || (marks == 1) == pays {
        return Err(refusal("UnknownShape", "a transaction pays, or is a cancel with one output of nothing"));
    }
    let out = transaction.outputs.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.amount));
    let fee = out.and_then(|out| total(&claims)?.checked_sub(out));
    let fee = fee.ok_or_else(|| refusal("Overspent", "the outputs are worth more than the coins"))?;
    Ok(Decoded { effects, asset, fee, claims })
}

/// The coins that a transaction uses up, whatever else it does.
pub(crate) fn claims(unsigned: &[u8]) -> Result<Vec<Claim>, Refusal> {
    coins(&parse(unsigned)?)
}

/// The one form of a transaction in JSON.
pub(crate) fn read(text: &[u8]) -> Result<Vec<u8>, Refusal> {
    let transaction: Unsigned =
        serde_json::from_slice(text).map_err(|error| refusal("Malformed", &format!("no transaction: {error}")))?;
    Ok(encode(&transaction))
}

fn parse(unsigned: &[u8]) -> Result<Unsigned, Refusal> {
    let transaction: Unsigned =
        serde_json::from_slice(unsigned).map_err(|error| refusal("Malformed", &format!("no transaction: {error}")))?;
    if encode(&transaction) != unsigned {
        return Err(refusal("NotCanonical", "these bytes are not the only form of their transaction"));
    }
    Ok(transaction)
}

fn coins(transaction: &Unsigned) -> Result<Vec<Claim>, Refusal> {
    let mut seen = BTreeSet::new();
    let mut claims = Vec::new();
    for text in &transaction.coins {
        let claim = text.parse().ok().filter(|claim: &Claim| claim.to_string() == *text && worth(claim).is_some());
        let claim = claim.ok_or_else(|| refusal("Malformed", &format!("'{text}' is not a coin of this chain")))?;
        if !seen.insert(claim) {
            return Err(refusal("CoinTwice", &format!("{claim} is there twice")));
        }
        claims.push(claim);
    }
    if claims.is_empty() {
        return Err(refusal("Malformed", "a transaction uses up at least one coin"));
    }
    Ok(claims)
}

fn total(claims: &[Claim]) -> Option<Amount> {
    claims.iter().try_fold(Amount::ZERO, |sum, claim| sum.checked_add(worth(claim)?)).filter(|_| !claims.is_empty())
}

fn native(assets: &[Asset]) -> Option<&str> {
    assets.iter().find(|asset| asset.contract.is_none()).map(|asset| asset.symbol.as_str())
}

fn encode(transaction: &Unsigned) -> Vec<u8> {
    serde_json::to_vec(transaction).expect("strings and lists have a JSON form")
}

fn refusal(reason: &'static str, message: &str) -> Refusal {
    Refusal { reason, message: message.to_owned() }
}
