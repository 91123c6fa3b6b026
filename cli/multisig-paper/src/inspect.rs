//! What a signer computes and sees, for auditors: the signers' own code, without their keys.

use std::{
    fmt,
    io::{Read, stdin},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use chain::{ChainId, ChainRules, Claim, Effect, KeyRole, Owners, Payer, Transaction, WalletDesc};
use chain_adapters::Adapters;
use clap::{Args, Subcommand, ValueEnum};
use custody::phrase::{EIP155, EIP155_PATH};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde_json::{Map, Value, json};

use crate::{Output, assets::Assets, files, phrase_prompt};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show the public key and address of a phrase, which is read from standard input.
    Keys(Keys),
    /// Compute the wallet of three owners as signers do, and show everything that its address is computed from.
    Wallet(Wallet),
    /// Show what a signer decodes from a transaction: its effect, fee, nonce and digest, or why it is refused.
    Decode(Decode),
}

#[derive(Args)]
pub(crate) struct Keys {
    /// Which family of chains.
    #[arg(long, value_enum)]
    chain: Family,
}

#[derive(Args)]
pub(crate) struct Wallet {
    #[command(flatten)]
    chain: Chain,
    /// The user's hot public key, 0x and 66 hex digits (SEC1).
    #[arg(long, value_name = "PK", value_parser = hex::<33>)]
    hot: [u8; 33],
    /// The custody's cool public key.
    #[arg(long, value_name = "PK", value_parser = hex::<33>)]
    cool: [u8; 33],
    /// The custody's cold public key.
    #[arg(long, value_name = "PK", value_parser = hex::<33>)]
    cold: [u8; 33],
    /// The factory's saltNonce, 0x and 64 hex digits; zero by default.
    #[arg(long, value_name = "HEX", value_parser = hex::<32>)]
    salt: Option<[u8; 32]>,
}

#[derive(Args)]
pub(crate) struct Decode {
    #[command(flatten)]
    chain: Chain,
    /// The wallet that the transaction is for.
    #[arg(long, value_name = "ADDRESS")]
    wallet: String,
    /// The assets that may move: [{"asset":"native"},{"asset":"0x...","symbol":"USDT","decimals":6}].
    #[arg(long, value_name = "FILE")]
    assets: PathBuf,
    /// A file with the ten SafeTx fields as JSON, numbers as decimal strings; - means standard input.
    tx: PathBuf,
}

#[derive(Args)]
struct Chain {
    /// Which family of chains.
    #[arg(long = "chain", value_enum)]
    family: Family,
    /// Which chain of the family, as in EIP-155.
    #[arg(long = "chain-id", value_name = "N")]
    number: u64,
}

/// Chains that share keys and rules.
#[derive(Clone, Copy, ValueEnum)]
enum Family {
    /// Ethereum and compatible chains: the 2-of-3 Safe 1.4.1.
    Evm,
}

pub(crate) fn run(command: Command, output: Output) -> Result<()> {
    match command {
        Command::Keys(Keys { chain: Family::Evm }) => keys(output),
        Command::Wallet(wallet) => show_wallet(&wallet, output),
        Command::Decode(decode) => show_effect(&decode, output),
    }
}

impl Chain {
    fn rules(&self) -> Result<Arc<dyn ChainRules>> {
        let Self { family: Family::Evm, number } = self;
        let id: ChainId = format!("{EIP155}:{number}").parse()?;
        Ok(Adapters::all().rules(&id)?)
    }
}

fn keys(output: Output) -> Result<()> {
    let key = phrase_prompt::read_any()?.keys().public_key(EIP155)?;
    // The same on every chain of the family.
    let any = Chain { family: Family::Evm, number: 1 };
    let address = any.rules()?.owner_address(&key)?;
    let key = shown(&key);
    match output {
        Output::Text => print!("{}", table(&[("path", &EIP155_PATH), ("public key", &key), ("address", &address)])),
        Output::Json => println!("{}", json!({"publicKey": key, "address": address})),
    }
    Ok(())
}

fn show_wallet(wallet: &Wallet, output: Output) -> Result<()> {
    let Wallet { chain, hot, cool, cold, salt } = wallet;
    let rules = chain.rules()?;
    let owners = Owners { hot: hot.to_vec(), cool: cool.to_vec(), cold: cold.to_vec() };
    let wallet = rules.wallet(&owners, salt.unwrap_or_default())?;
    let anatomy = rules.anatomy(&wallet)?;
    match output {
        Output::Text => print!("{}", wallet_table(&wallet, &anatomy)),
        Output::Json => println!("{}", wallet_json(&wallet, anatomy)),
    }
    Ok(())
}

fn wallet_table(wallet: &WalletDesc, anatomy: &[(&str, String)]) -> String {
    let owners = owners(wallet).map(|(role, key, address)| (role, format!("{address} {key}")));
    let salt = shown(&wallet.salt);
    let mut facts: Vec<(&str, &dyn fmt::Display)> = vec![("address", &wallet.address)];
    facts.extend(owners.iter().map(|(role, owner)| (role.as_str(), owner as &dyn fmt::Display)));
    facts.push(("saltNonce", &salt));
    facts.extend(anatomy.iter().map(|(name, value)| (*name, value as &dyn fmt::Display)));
    table(&facts)
}

fn wallet_json(wallet: &WalletDesc, anatomy: Vec<(&str, String)>) -> Value {
    let owners = owners(wallet).map(|(role, key, address)| json!({"role": role, "publicKey": key, "address": address}));
    // Counts are numbers.
    let value = |text: String| text.parse::<u64>().map_or_else(|_| text.into(), Value::from);
    let mut constants: Map<String, Value> =
        anatomy.into_iter().map(|(name, text)| (name.to_owned(), value(text))).collect();
    // The only one that is this wallet's own.
    let initializer = constants.remove("initializer");
    let mut shown_wallet = json!({
        "chain": wallet.chain,
        "address": wallet.address,
        "salt": shown(&wallet.salt),
        "owners": owners,
        "constants": constants,
    });
    if let Some(initializer) = initializer {
        shown_wallet["initializer"] = initializer;
    }
    shown_wallet
}

/// Role, public key and address, in the order that the contract has them.
fn owners(wallet: &WalletDesc) -> [(KeyRole, String, &str); 3] {
    let [hot, cool, cold] = &wallet.owner_addresses;
    [(KeyRole::Hot, hot), (KeyRole::Cool, cool), (KeyRole::Cold, cold)]
        .map(|(role, address)| (role, shown(wallet.owners.key(role)), address.as_str()))
}

fn show_effect(decode: &Decode, output: Output) -> Result<()> {
    let Decode { chain, wallet, assets, tx } = decode;
    let rules = chain.rules()?;
    let wallet = rules.address(wallet).context("--wallet")?;
    let assets = Assets::parse(&files::read(assets)?, rules.as_ref()).with_context(|| assets.display().to_string())?;
    let unsigned = rules.read(&transaction(tx)?)?;
    let decoded = rules.decode_at(&unsigned, &wallet, &assets.to_decode())?;
    match output {
        Output::Text => print!("{}", effect_table(&wallet, rules.id(), &decoded, &assets)),
        Output::Json => println!("{}", effect_json(&decoded)),
    }
    Ok(())
}

fn transaction(path: &Path) -> Result<Vec<u8>> {
    if path != Path::new("-") {
        return files::read(path);
    }
    let mut bytes = Vec::new();
    stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
    text_file::unmark(&mut bytes).context("standard input")?;
    Ok(bytes)
}

fn effect_table(wallet: &str, chain: &ChainId, decoded: &Transaction, assets: &Assets) -> String {
    let mut facts = vec![("wallet", format!("{wallet} on {chain}"))];
    for effect in &decoded.effects {
        let (kind, asset, to, amount) = match effect {
            Effect::Transfer { asset, to, amount } => ("transfer", asset.as_str(), to.as_str(), Some((asset, amount))),
            Effect::Change { asset, amount } => ("change", asset.as_str(), wallet, Some((asset, amount))),
            Effect::Cancel { to } => ("cancel", "none", to.as_str(), None),
        };
        let amount = amount.map_or("0".to_owned(), |(asset, amount)| assets.readable(asset, *amount));
        facts.extend([("effect", kind.to_owned()), ("asset", asset.to_owned())]);
        facts.extend([("to", to.to_owned()), ("amount", amount)]);
    }
    facts.push(("fee", fee(decoded)));
    facts.extend(decoded.claims.iter().map(|claim| match claim {
        Claim::Sequence(nonce) => ("nonce", nonce.to_string()),
        Claim::Coin(..) => ("uses up", claim.to_string()),
    }));
    facts.push(("digest", shown(&decoded.id)));
    table(&facts.iter().map(|(name, value)| (*name, value as &dyn fmt::Display)).collect::<Vec<_>>())
}

fn effect_json(decoded: &Transaction) -> Value {
    let effect = |effect: &Effect| match effect {
        Effect::Transfer { asset, to, amount } => {
            json!({"kind": "transfer", "asset": asset, "to": to, "amount": amount})
        }
        Effect::Change { asset, amount } => json!({"kind": "change", "asset": asset, "amount": amount}),
        Effect::Cancel { to } => json!({"kind": "cancel", "to": to}),
    };
    let effects: Vec<Value> = decoded.effects.iter().map(effect).collect();
    let mut transaction = json!({"effects": effects, "fee": fee(decoded), "digest": shown(&decoded.id)});
    match decoded.claims.as_slice() {
        [Claim::Sequence(nonce)] => transaction["nonce"] = json!(nonce.to_string()),
        claims => transaction["claims"] = json!(claims.iter().map(Claim::to_string).collect::<Vec<_>>()),
    }
    transaction
}

/// What the wallet pays at most beside what it moves, in the smallest unit. On EVM nothing: signers refuse all refund
/// fields but zero (`RefundFields`), and gas is paid by the sender and is not part of what is signed.
fn fee(decoded: &Transaction) -> String {
    match decoded.fee.payer {
        Payer::Wallet => decoded.fee.most.to_string(),
        Payer::Relayer => "0".to_owned(),
    }
}

/// One fact a line.
fn table(facts: &[(&str, &dyn fmt::Display)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    facts.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

fn shown(bytes: &[u8]) -> String {
    format!("0x{}", HEXLOWER.encode(bytes))
}

/// Exactly `N` bytes, of either letter case, with or without `0x`.
fn hex<const N: usize>(text: &str) -> Result<[u8; N]> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.with_context(|| format!("expected 0x and {} hex digits", 2 * N))
}
