//! The two files of `policy test`: local policies and limits, and a payment. Read and validated; nothing is judged here.

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, ChainId, Effect, Fee, Payer, Rules, Transaction, Validity};
use chain_adapters::Adapters;
use custody::{CustodyId, WalletId, local_policy::LocalPolicy, trust::MemberTrust};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use policy::{Facts, Payees, Policy, Scope, Window};
use protocol::ops::Attestation;
use serde::Deserialize;

use crate::parse_yaml;

/// FILE.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyFile {
    local_policy: LocalPolicy,
    /// Local policies that still hold beside it.
    #[serde(default)]
    earlier_policies: Vec<LocalPolicy>,
    #[serde(default)]
    hub: custody::config::HubLimits,
    /// By CAIP-2 chain id.
    #[serde(default)]
    safe_destinations: BTreeMap<String, Vec<String>>,
}

/// A policy with the adapters of its chains.
pub struct Loaded {
    /// All local policies and the hub's limits.
    pub policy: Policy,
    rules: Rules,
    /// Of a member trust.
    custody: Option<CustodyId>,
}

impl Loaded {
    /// From a member trust (`trust.json`), or YAML with a local policy, earlier local policies, the hub's limits and safe destinations.
    /// The error is one line for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let json = serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
        let (file, custody) = match json.get("shapeVersion") {
            None => (parse_yaml::<PolicyFile>(text)?, None),
            Some(_) => {
                let trust = MemberTrust::parse(text.as_bytes()).map_err(|error| error.to_string())?;
                let local_policy =
                    trust.local_policy.ok_or("this member trust has no local policy: every payment is refused")?;
                let nothing_else = PolicyFile {
                    local_policy,
                    earlier_policies: Vec::new(),
                    hub: custody::config::HubLimits::default(),
                    safe_destinations: BTreeMap::new(),
                };
                (nothing_else, trust.custody.map(|custody| custody.id))
            }
        };
        let PolicyFile { local_policy, earlier_policies, hub, safe_destinations } = file;
        let chains = policy::chains(&local_policy).map_err(|error| error.to_string())?;
        let rules = Adapters::all().of(chains).map_err(|error| error.to_string())?;
        let policy = Policy::unvouched(&local_policy, &earlier_policies, &hub, &safe_destinations, &rules)
            .map_err(|error| error.to_string())?;
        Ok(Self { policy, rules, custody })
    }
}

/// REQUEST.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestFile {
    wallet: WalletId,
    chain: ChainId,
    kind: Kind,
    asset: Option<String>,
    to: String,
    /// Whether `to` is a wallet of this custody.
    #[serde(default)]
    internal: bool,
    amount: Option<Amount>,
    #[serde(default)]
    fee: Amount,
    now: Option<Timestamp>,
    #[serde(default)]
    spent: Vec<Spent>,
    listed_since: Option<Timestamp>,
    announced_at: Option<Timestamp>,
    #[serde(default)]
    vetoed: bool,
    custody_id: Option<CustodyId>,
    intent: Option<IntentFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Transfer,
    Cancel,
}

/// What counts already in a window.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spent {
    limit: Limit,
    window_seconds: u64,
    /// In the window of internal payments, where they have one of their own.
    #[serde(default)]
    internal: bool,
    amount: Amount,
}

/// As a local policy calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Limit {
    PerWallet,
    Total,
}

/// The attestation's three parts, hex.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IntentFile {
    body: String,
    signer: String,
    signature: String,
}

/// A payment and what is known of it, complete.
pub struct Request {
    now_ms: u64,
    custody_id: CustodyId,
    wallet: WalletId,
    chain: ChainId,
    transaction: Transaction,
    internal: BTreeSet<String>,
    spent: BTreeMap<String, Vec<Amount>>,
    listed_since_ms: BTreeMap<String, u64>,
    intent: Option<Attestation>,
    announced_ms: Option<u64>,
    vetoed: bool,
}

impl Request {
    /// For this policy; `now` counts where the file does not say. The error is one line for people.
    pub fn parse(text: &str, loaded: &Loaded, now: Timestamp) -> Result<Self, String> {
        let file: RequestFile = parse_yaml(text)?;
        let transaction = transaction(&file, loaded)?;
        let windows = |asset: &str| loaded.policy.windows(&file.chain, asset);
        let counted = spent(&file.spent, file.asset.as_deref().map_or(&[], windows))?;
        // A fee in another asset: nothing of it is said to be spent.
        let nothing = |asset: &str| windows(asset).iter().map(|_| Amount::ZERO).collect();
        let moved = transaction.spent().unwrap_or_default().into_keys();
        let spent = moved
            .map(|asset| {
                let amounts = if file.asset.as_deref() == Some(asset) { counted.clone() } else { nothing(asset) };
                (asset.to_owned(), amounts)
            })
            .collect();
        let custody_id = match (file.custody_id.or(loaded.custody), &file.intent) {
            (Some(id), _) => id,
            (None, Some(_)) => return Err("custodyId: an intent is for one custody; state which".to_owned()),
            // Nothing else looks at it.
            (None, None) => CustodyId::from_slice(&[0; 16]).map_err(|error| error.to_string())?,
        };
        let time = |field, at: Option<Timestamp>| at.map(|at| milliseconds(field, at)).transpose();
        Ok(Self {
            now_ms: milliseconds("now", file.now.unwrap_or(now))?,
            internal: transaction.transfers().filter(|_| file.internal).map(|(_, to, _)| to.to_owned()).collect(),
            spent,
            listed_since_ms: match time("listedSince", file.listed_since)? {
                Some(since) => transaction.transfers().map(|(_, to, _)| (to.to_owned(), since)).collect(),
                None => BTreeMap::new(),
            },
            announced_ms: time("announcedAt", file.announced_at)?,
            intent: file.intent.as_ref().map(attestation).transpose()?,
            custody_id,
            wallet: file.wallet,
            chain: file.chain,
            transaction,
            vetoed: file.vetoed,
        })
    }

    /// As the policy wants it.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            now_ms: self.now_ms,
            custody_id: self.custody_id,
            wallet: self.wallet.as_str(),
            chain: &self.chain,
            transaction: &self.transaction,
            internal: &self.internal,
            spent: &self.spent,
            listed_since_ms: &self.listed_since_ms,
            intent: self.intent.as_ref(),
            announced_ms: self.announced_ms,
            vetoed: self.vetoed,
        }
    }
}

/// What a decoder would see, as far as the policy looks at it.
fn transaction(file: &RequestFile, loaded: &Loaded) -> Result<Transaction, String> {
    let native = loaded.policy.assets(&file.chain).iter().find(|asset| asset.contract.is_none());
    let fee = Fee {
        asset: native.map(|asset| asset.symbol.clone()).unwrap_or_default(),
        most: file.fee,
        payer: loaded.rules.get(&file.chain).map_or(Payer::Relayer, |rules| rules.declares().payer),
    };
    let effects = vec![effect(file, &loaded.rules)?];
    Ok(Transaction { id: [0; 32], effects, fee, claims: Vec::new(), validity: Validity::UntilClaimed })
}

/// The address of a chain that the policy does not name stays as it is: it is refused anyway.
fn effect(file: &RequestFile, rules: &Rules) -> Result<Effect, String> {
    let to = match rules.get(&file.chain) {
        Some(rules) => rules.address(&file.to).map_err(|error| format!("to: {error}"))?,
        None => file.to.clone(),
    };
    match (file.kind, file.asset.clone(), file.amount) {
        (Kind::Transfer, Some(asset), Some(amount)) => Ok(Effect::Transfer { asset, to, amount }),
        (Kind::Transfer, ..) => Err("a transfer needs asset and amount".to_owned()),
        (Kind::Cancel, None, None) => Ok(Effect::Cancel { to }),
        (Kind::Cancel, ..) => Err("a cancel moves nothing: leave out asset and amount".to_owned()),
    }
}

/// In the order of the windows. An amount for a window that is none would count nowhere, so it is refused.
fn spent(named: &[Spent], windows: &[Window]) -> Result<Vec<Amount>, String> {
    let of = |window: &Window, spent: &Spent| {
        let limit = match window.scope {
            Scope::Wallet => Limit::PerWallet,
            Scope::Total => Limit::Total,
        };
        let same_payees = spent.internal == (window.payees == Payees::Internal);
        same_payees && limit == spent.limit && spent.window_seconds.checked_mul(1000) == Some(window.length_ms)
    };
    for (at, spent) in named.iter().enumerate() {
        let key = |spent: &Spent| (spent.limit, spent.window_seconds, spent.internal);
        let same = |other: &Spent| key(other) == key(spent);
        let seconds = spent.window_seconds;
        if !windows.iter().any(|window| of(window, spent)) {
            return Err(format!("spent: this asset has no such limit over {seconds} s"));
        }
        if named[..at].iter().any(same) {
            return Err(format!("spent: a window of {seconds} s is listed twice"));
        }
    }
    let amount = |window| named.iter().find(|spent| of(window, spent)).map_or(Amount::ZERO, |spent| spent.amount);
    Ok(windows.iter().map(amount).collect())
}

fn attestation(file: &IntentFile) -> Result<Attestation, String> {
    let decode = |field: &str, hex: &str| {
        HEXLOWER.decode(hex.as_bytes()).map_err(|_| format!("intent.{field}: expected lower-case hex digits"))
    };
    Ok(Attestation {
        body: decode("body", &file.body)?,
        signer: decode("signer", &file.signer)?,
        signature: decode("signature", &file.signature)?,
    })
}

fn milliseconds(field: &str, at: Timestamp) -> Result<u64, String> {
    at.as_millisecond().try_into().map_err(|_| format!("{field}: '{at}' is before 1970"))
}
