//! One transaction of an evacuation, in memory and in JSON.
//!
//! A step has one form in JSON. What uses up one number of its wallet says `nonce`, anything else lists `claims`; one
//! signature of an owner is a string, two and more are a list.

use std::collections::BTreeMap;

use chain::{Amount, ChainId, Claim, KeyRole};
use custody::WalletId;
use serde::{Deserialize, Serialize};

/// One transaction: one asset of one wallet, all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Step {
    /// App's name for the wallet.
    pub wallet: WalletId,
    /// CAIP-2 chain id.
    pub chain: ChainId,
    /// The wallet's address, display form.
    pub address: String,
    /// Hot public key, `0x` hex (33-byte SEC1 for `eip155`): with the manifest it gives the address.
    pub hot_key: String,
    /// Salt of the address, 32 bytes in `0x` hex.
    pub salt: String,
    /// Whether the wallet did not exist when this was planned: it is created before its first step.
    pub deploy: bool,
    /// The asset's symbol, for people.
    pub asset: String,
    /// The asset's contract, display form; absent for the chain's native coin.
    pub contract: Option<String>,
    /// Amount in the smallest unit.
    pub amount: Amount,
    /// What the wallet pays for the transaction at most, in the asset's smallest unit; absent where it pays nothing.
    pub fee: Option<Amount>,
    /// One of the manifest's safe destinations, display form.
    pub destination: String,
    /// What this step uses up.
    pub claims: Vec<Claim>,
    /// The bytes to be signed over: the unsigned transaction in the chain's encoding, `0x` hex.
    pub unsigned: String,
    /// Signatures of cool and cold over each payload in turn, `0x` hex (one of 65 bytes r, s, v for `eip155`).
    pub signatures: BTreeMap<KeyRole, Vec<String>>,
}

impl Step {
    /// What it uses up, for people.
    pub fn uses(&self) -> String {
        shown(&self.claims)
    }
}

/// Claims in one line.
pub(crate) fn shown(claims: &[Claim]) -> String {
    claims.iter().map(Claim::to_string).collect::<Vec<_>>().join(", ")
}

/// [`Step`] as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    wallet: WalletId,
    chain: ChainId,
    address: String,
    hot_key: String,
    salt: String,
    deploy: bool,
    asset: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    amount: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fee: Option<Amount>,
    destination: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claims: Option<Vec<String>>,
    unsigned: String,
    #[serde(default)]
    signatures: BTreeMap<KeyRole, Signed>,
}

/// Signatures of one owner.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Signed {
    One(String),
    Each(Vec<String>),
}

impl From<Step> for Document {
    fn from(step: Step) -> Self {
        let (nonce, claims) = match step.claims.as_slice() {
            [Claim::Sequence(nonce)] => (Some(*nonce), None),
            claims => (None, Some(claims.iter().map(Claim::to_string).collect())),
        };
        let signed = |(role, mut signatures): (KeyRole, Vec<String>)| match signatures.len() {
            1 => (role, Signed::One(signatures.remove(0))),
            _ => (role, Signed::Each(signatures)),
        };
        let Step { wallet, chain, address, hot_key, salt, deploy, asset, contract, amount, fee, .. } = step;
        Self {
            wallet,
            chain,
            address,
            hot_key,
            salt,
            deploy,
            asset,
            contract,
            amount,
            fee,
            destination: step.destination,
            nonce,
            claims,
            unsigned: step.unsigned,
            signatures: step.signatures.into_iter().map(signed).collect(),
        }
    }
}

impl TryFrom<Document> for Step {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        let Document { wallet, chain, address, hot_key, salt, deploy, asset, contract, amount, fee, .. } = document;
        let claims = claims(document.nonce, document.claims).map_err(|why| format!("wallet {wallet}: {why}"))?;
        let signatures = document.signatures.into_iter().map(|(role, signed)| match signed {
            Signed::One(signature) => Ok((role, vec![signature])),
            Signed::Each(signatures) if signatures.len() > 1 => Ok((role, signatures)),
            Signed::Each(_) => Err(format!("wallet {wallet}: a list of {role} signatures has two or more")),
        });
        Ok(Self {
            chain,
            address,
            hot_key,
            salt,
            deploy,
            asset,
            contract,
            amount,
            fee,
            destination: document.destination,
            claims,
            unsigned: document.unsigned,
            signatures: signatures.collect::<Result<_, _>>()?,
            wallet,
        })
    }
}

fn claims(nonce: Option<u64>, listed: Option<Vec<String>>) -> Result<Vec<Claim>, String> {
    let listed = match (nonce, listed) {
        (Some(nonce), None) => return Ok(vec![Claim::Sequence(nonce)]),
        (None, Some(listed)) => listed,
        _ => return Err("a step has either a nonce or claims".to_owned()),
    };
    let claim = |text: &String| {
        let claim = text.parse::<Claim>().map_err(|error| error.to_string())?;
        if claim.to_string() == *text { Ok(claim) } else { Err(format!("the claim '{text}' is written {claim}")) }
    };
    match listed.iter().map(claim).collect::<Result<Vec<_>, _>>()?.as_slice() {
        [] => Err("the list of claims is empty".to_owned()),
        [Claim::Sequence(nonce)] => Err(format!("a single nonce is written as nonce, {nonce}")),
        claims => Ok(claims.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn evm() -> Value {
        json!({
            "wallet": "alice", "chain": "eip155:1", "address": "0xa", "hotKey": "0x02", "salt": "0x00",
            "deploy": true, "asset": "ETH", "amount": "9", "destination": "0xb", "nonce": 7, "unsigned": "0x01",
            "signatures": {"cool": "0x0c", "cold": "0x0d"},
        })
    }

    fn coins() -> Value {
        let mut step = evm();
        let fields = step.as_object_mut().unwrap();
        fields.remove("nonce");
        let claim = |place| Claim::Coin([7; 32], place).to_string();
        fields.insert("claims".to_owned(), json!([claim(0), claim(1)]));
        fields.insert("fee".to_owned(), json!("2"));
        fields.insert("signatures".to_owned(), json!({"cool": ["0x0c", "0x1c"], "cold": ["0x0d", "0x1d"]}));
        step
    }

    fn read(step: Value) -> Result<Step, String> {
        serde_json::from_value(step).map_err(|error| error.to_string())
    }

    #[test]
    fn a_step_with_a_nonce_is_written_as_in_the_first_version() {
        let text = r#"{"wallet":"alice","chain":"eip155:1","address":"0xa","hotKey":"0x02","salt":"0x00","deploy":true,"asset":"USD","contract":"0xc","amount":"9","destination":"0xb","nonce":7,"unsigned":"0x01","signatures":{"cool":"0x0c","cold":"0x0d"}}"#;
        let step: Step = serde_json::from_str(text).unwrap();
        assert_eq!(step.claims, [Claim::Sequence(7)]);
        assert_eq!(step.signatures[&KeyRole::Cold], ["0x0d"]);
        assert_eq!(serde_json::to_string(&step).unwrap(), text);
        let bare = Step { contract: None, signatures: BTreeMap::new(), ..step };
        let text = text.replace(r#""contract":"0xc","#, "").replace(r#"{"cool":"0x0c","cold":"0x0d"}"#, "{}");
        assert_eq!(serde_json::to_string(&bare).unwrap(), text);
        assert_eq!(serde_json::from_str::<Step>(&text.replace(r#","signatures":{}"#, "")).unwrap(), bare);
    }

    #[test]
    fn a_step_with_coins_lists_its_claims_and_each_signature() {
        let step = read(coins()).unwrap();
        assert_eq!(step.claims, [Claim::Coin([7; 32], 0), Claim::Coin([7; 32], 1)]);
        assert_eq!(step.signatures[&KeyRole::Cool], ["0x0c", "0x1c"]);
        assert_eq!(step.fee, Some(Amount::from(2)));
        assert_eq!(serde_json::to_value(&step).unwrap(), coins());
    }

    #[test]
    fn every_step_has_one_form_only() {
        let with = |step: Value, field: &str, value: Value| {
            let mut step = step;
            step[field] = value;
            read(step).unwrap_err()
        };
        let mut neither = evm();
        neither.as_object_mut().unwrap().remove("nonce");
        assert!(read(neither).unwrap_err().contains("either a nonce or claims"));
        assert!(with(evm(), "claims", coins()["claims"].clone()).contains("either a nonce or claims"));
        assert!(with(coins(), "claims", json!([])).contains("empty"));
        assert!(with(coins(), "claims", json!(["nonce 7"])).contains("written as nonce, 7"));
        assert!(with(coins(), "claims", json!(["7", "8"])).contains("is written nonce 7"));
        assert!(with(coins(), "claims", json!(["coin 7"])).contains("names neither a nonce nor a coin"));
        for list in [json!({"cool": []}), json!({"cool": ["0x0c"]})] {
            assert!(with(coins(), "signatures", list).contains("a list of cool signatures has two or more"));
        }
        assert!(with(evm(), "extra", json!(1)).contains("unknown field"));
    }
}
