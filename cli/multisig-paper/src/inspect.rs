//! What a signer computes and sees, for auditors: the signers' own code, without their keys.

use std::{
    fmt,
    io::{Read, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use chain::{ChainId, ChainRules, Effect, KeyRole, Owners, Refusal, Transaction, WalletDesc};
use chain_evm::{
    EvmSafe, Fields, Reason,
    constants::{FACTORY, PROXY_INIT_CODE_HASH, SINGLETON, THRESHOLD},
    key_address,
};
use clap::{Args, Subcommand, ValueEnum};
use custody::phrase::{EIP155, EIP155_PATH};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde_json::{Value, json};

use crate::{Output, assets::Assets, files, phrase_prompt};

/// What the wallet pays to whoever sends the transaction, in the smallest unit: signers refuse all refund fields but
/// zero (`RefundFields`). Gas is paid by the sender and is no part of what is signed.
const FEE: &str = "0";

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
    fn rules(&self) -> Result<EvmSafe> {
        let Self { family: Family::Evm, number } = self;
        let id: ChainId = format!("{EIP155}:{number}").parse()?;
        Ok(EvmSafe::new(id)?)
    }
}

fn keys(output: Output) -> Result<()> {
    let key = phrase_prompt::read_any()?.keys().public_key(EIP155)?;
    let address = key_address(&key).context("this phrase has no address")?;
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
    let initializer = shown(&rules.initializer(&wallet)?);
    match output {
        Output::Text => print!("{}", wallet_table(&wallet, &initializer)),
        Output::Json => println!("{}", wallet_json(&wallet, &initializer)),
    }
    Ok(())
}

fn wallet_table(wallet: &WalletDesc, initializer: &str) -> String {
    let owners = owners(wallet).map(|(role, key, address)| (role, format!("{address} {key}")));
    let [(hot, hot_key), (cool, cool_key), (cold, cold_key)] = &owners;
    table(&[
        ("address", &wallet.address),
        (hot.as_str(), hot_key),
        (cool.as_str(), cool_key),
        (cold.as_str(), cold_key),
        ("threshold", &THRESHOLD),
        ("saltNonce", &shown(&wallet.salt)),
        ("singleton", &SINGLETON),
        ("factory", &FACTORY),
        ("proxy init code hash", &PROXY_INIT_CODE_HASH),
        ("initializer", &initializer),
    ])
}

fn wallet_json(wallet: &WalletDesc, initializer: &str) -> Value {
    let owners = owners(wallet).map(|(role, key, address)| json!({"role": role, "publicKey": key, "address": address}));
    json!({
        "chain": wallet.chain,
        "address": wallet.address,
        "initializer": initializer,
        "salt": shown(&wallet.salt),
        "owners": owners,
        "constants": {
            "singleton": SINGLETON.to_string(),
            "factory": FACTORY.to_string(),
            "proxyInitCodeHash": PROXY_INIT_CODE_HASH.to_string(),
            "threshold": THRESHOLD,
        },
    })
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
    let assets = Assets::parse(&files::read(assets)?, &rules).with_context(|| assets.display().to_string())?;
    let unsigned = fields(&transaction(tx)?)?.encode()?;
    let decoded = rules.decode_at(&unsigned, &wallet, &assets.to_decode())?;
    match output {
        Output::Text => print!("{}", effect_table(&wallet, &rules, &decoded, &assets)),
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
    Ok(bytes)
}

fn fields(json: &[u8]) -> Result<Fields, Refusal> {
    serde_json::from_slice(json).map_err(|error| Refusal {
        reason: Reason::Malformed.as_str(),
        message: format!("expected a SafeTx of ten fields, all of them strings: {error}"),
    })
}

fn effect_table(wallet: &str, rules: &EvmSafe, decoded: &Transaction, assets: &Assets) -> String {
    let Transaction { intent, nonce, digest } = decoded;
    let (effect, asset, to, amount) = match intent {
        Effect::Transfer { asset, to, amount } => ("transfer", asset.as_str(), to, assets.readable(asset, *amount)),
        Effect::Cancel { to } => ("cancel", "none", to, "0".to_owned()),
    };
    table(&[
        ("wallet", &format!("{wallet} on {}", rules.id())),
        ("effect", &effect),
        ("asset", &asset),
        ("to", to),
        ("amount", &amount),
        ("fee", &FEE),
        ("nonce", nonce),
        ("digest", &shown(digest)),
    ])
}

fn effect_json(decoded: &Transaction) -> Value {
    let Transaction { intent, nonce, digest } = decoded;
    let effect = match intent {
        Effect::Transfer { asset, to, amount } => {
            json!({"kind": "transfer", "asset": asset, "to": to, "amount": amount})
        }
        Effect::Cancel { to } => json!({"kind": "cancel", "to": to}),
    };
    json!({"effects": [effect], "fee": FEE, "nonce": nonce.to_string(), "digest": shown(digest)})
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
