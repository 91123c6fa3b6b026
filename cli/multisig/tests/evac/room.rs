//! A node, a manifest, and wallets of which the signers' records are in a file.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use chain::{ChainId, ChainRules, Claim, KeyRole, Payload, WalletDesc};
use chain_adapters::Adapters;
use chain_evm::EvmSafe;
use custodies::{Ceremony, Custody, phrase};
use custody::{
    manifest::VerifiedManifest,
    phrase::{EIP155, Keys},
};
use data_encoding::HEXLOWER;
use evacuation::{Bundle, ExportedWallet, WalletsExport};
use harness::{Options, evm::Anvil};
use serde_json::{Value, json};
use tempfile::TempDir;

const CHAIN: u64 = 31_337;
pub(crate) const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
pub(crate) const ETH: u128 = 1_000_000_000_000_000_000;

/// A node, a manifest, and wallets of which the signers' records are in `wallets.json`.
pub(crate) struct Room {
    pub(crate) anvil: Anvil,
    /// Where the program finds the node.
    pub(crate) rpc: String,
    pub(crate) folder: TempDir,
    pub(crate) manifest: VerifiedManifest,
    /// By name.
    addresses: BTreeMap<String, String>,
}

impl Room {
    pub(crate) async fn new(wallets: &[impl AsRef<str>]) -> Self {
        // It makes a block only for what arrives, so each has to have room for all that waits.
        let anvil = Anvil::start_as(CHAIN, &["--gas-limit=200000000"], Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let Custody { signed, manifest, .. } = Ceremony::fixed().destinations(chain().as_str(), &[SAFE_PLACE]).held();
        let (mut addresses, mut records) = (BTreeMap::new(), Vec::new());
        for (name, byte) in wallets.iter().zip(10..) {
            let hot = keys(byte).public_key(EIP155).unwrap().to_vec();
            let owners = manifest.owners(&chain(), &hot).unwrap();
            let address = rules().wallet(&owners, [0; 32]).unwrap().address;
            let hot = [(EIP155.to_owned(), hot)].into();
            records.push(ExportedWallet::new(
                name.as_ref().parse().unwrap(),
                &hot,
                [0; 32],
                [(chain(), address.clone())].into(),
            ));
            addresses.insert(name.as_ref().to_owned(), address);
        }
        let rpc = anvil.url();
        let room = Self { anvil, rpc, folder, manifest, addresses };
        fs::write(room.path("manifest.json"), signed.to_json()).unwrap();
        fs::write(room.path("wallets.json"), WalletsExport::new(&room.manifest, records).to_json()).unwrap();
        fs::write(room.path("gas.key"), &room.anvil.dev_accounts().unwrap()[1].key).unwrap();
        room
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program in this folder, at this node.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multisig"));
        command.current_dir(self.folder.path()).args(words.split_whitespace()).args(["--rpc", &self.rpc]);
        command
    }

    pub(crate) fn program(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    pub(crate) fn plan(&self, more: &str) -> Value {
        let words = "evac plan -o json --wallets wallets.json --manifest manifest.json --out plan.json";
        json_of(&self.program(&format!("{words} {more}")))
    }

    /// Both stations sign the plan.
    pub(crate) fn sign(&self) {
        let plan = Bundle::parse(&fs::read(self.path("plan.json")).unwrap()).unwrap();
        let mut bundle = plan.verify(&self.manifest, &Adapters::all()).unwrap();
        bundle.sign(KeyRole::Cool, |namespace| keys(2).secret(namespace)).unwrap();
        bundle.sign(KeyRole::Cold, |namespace| keys(3).secret(namespace)).unwrap();
        fs::write(self.path("bundle.json"), bundle.bundle().to_json()).unwrap();
    }

    pub(crate) fn broadcast(&self) -> Output {
        self.program("evac broadcast -o json bundle.json --gas-key gas.key")
    }

    /// Runs the program, and kills it once the gas key has sent so many transactions.
    pub(crate) async fn killed_when_sent(&self, transactions: u64, words: &str) {
        let mut killed = self.command(words).stderr(Stdio::null()).spawn().unwrap();
        while self.sent().await < transactions {
            tokio::task::yield_now().await;
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
    }

    pub(crate) async fn fund(&self, wallet: &str, wei: u128) {
        self.anvil.fund(&self.addresses[wallet], wei).await.unwrap();
    }

    pub(crate) fn address(&self, wallet: &str) -> &str {
        &self.addresses[wallet]
    }

    pub(crate) async fn balance(&self, address: &str) -> u128 {
        self.anvil.balance(address).await.unwrap()
    }

    /// The account of the gas key.
    pub(crate) fn payer(&self) -> String {
        self.anvil.dev_accounts().unwrap()[1].address.clone()
    }

    /// Transactions that the gas key has sent.
    pub(crate) async fn sent(&self) -> u64 {
        self.sent_by(&self.payer()).await
    }

    /// Transactions that an account has sent.
    pub(crate) async fn sent_by(&self, account: &str) -> u64 {
        let count: String = self.anvil.rpc("eth_getTransactionCount", json!([account, "pending"])).await.unwrap();
        u64::from_str_radix(count.trim_start_matches("0x"), 16).unwrap()
    }

    /// Creates a wallet, as anybody may.
    pub(crate) async fn create(&self, wallet: &str, byte: u8) {
        let desc = self.desc(wallet, byte);
        self.call(rules().creation(&desc).unwrap().unwrap()).await;
    }

    /// Deploys a wallet and lets hot and cool pay `wei`, as App would.
    pub(crate) async fn pay(&self, wallet: &str, byte: u8, nonce: u64, wei: u128) {
        if nonce == 0 {
            self.create(wallet, byte).await;
        }
        self.pay_at(wallet, byte, nonce, wei).await;
    }

    /// Hot and cool pay `wei` from a wallet that is there.
    pub(crate) async fn pay_at(&self, wallet: &str, byte: u8, nonce: u64, wei: u128) {
        let desc = self.desc(wallet, byte);
        let assets = [chain::Asset { symbol: "ETH".into(), contract: None }];
        let to = self.anvil.dev_accounts().unwrap()[7].address.clone();
        let to = rules().address(&to).unwrap();
        let intent = chain::Effect::Transfer { asset: "ETH".into(), to, amount: wei.into() };
        let unsigned = rules().build(&intent, &desc, &assets, &[Claim::Sequence(nonce)]).unwrap();
        let digest = Payload::Digest(rules().decode(&unsigned, &desc, &assets).unwrap().id);
        let sign = |byte| vec![rules().sign(&keys(byte).secret(EIP155).unwrap(), &digest).unwrap()];
        let signatures = [(KeyRole::Hot, sign(byte)), (KeyRole::Cool, sign(2))];
        self.call(rules().assemble(&unsigned, &desc, &signatures).unwrap()).await;
    }

    fn desc(&self, wallet: &str, byte: u8) -> WalletDesc {
        let hot = keys(byte).public_key(EIP155).unwrap();
        let owners = self.manifest.owners(&chain(), &hot).unwrap();
        let desc = rules().wallet(&owners, [0; 32]).unwrap();
        assert_eq!(desc.address, self.addresses[wallet]);
        desc
    }

    pub(crate) async fn call(&self, call: chain::Call) {
        let from = self.anvil.dev_accounts().unwrap()[5].address.clone();
        let data = format!("0x{}", HEXLOWER.encode(&call.data));
        self.anvil.send(json!({"from": from, "to": call.to, "data": data})).await.unwrap();
    }
}

pub(crate) fn keys(byte: u8) -> Keys {
    phrase(byte).keys()
}

pub(crate) fn chain() -> ChainId {
    format!("eip155:{CHAIN}").parse().unwrap()
}

pub(crate) fn rules() -> EvmSafe {
    EvmSafe::new(chain()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The last line is what is wrong and what to do.
pub(crate) fn refused(output: &Output, code: i32, words: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.trim_end().lines().last().unwrap_or_default().contains(words), "{said}");
}

pub(crate) fn statuses(report: &Value) -> Vec<&str> {
    report["wallets"].as_array().unwrap().iter().map(|moved| moved["status"].as_str().unwrap()).collect()
}
