//! Ladders, every asset at every nonce, against a real EVM node with Multicall3 and without.

use std::sync::Arc;

use chain::{
    Access, Amount, Asset, ChainRules, Claim, Effect, InMemory, KeyRole, Owners, Payload, RelayLimits, Relaying,
    WalletDesc,
};
use chain_evm::EvmSafe;
use harness::{Options, evm::Anvil};
use serde_json::{Value, json};

use super::{report::Report, telling::Telling, value::Values};
use crate::evac::sending::{Holding, Ladder, Line, Payers, Portion, Rung, Source, Voice, Watch, Window, send};

const CHAIN: u64 = 31_337;
const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// A token of which everybody has 42, and which always reverts when it is asked to transfer.
const PAUSED: &str = "0x00000000000000000000000000000000000000a1";
const PAUSED_CODE: &str = "0x60003560e01c6370a082311460145760006000fd5b602a60005260206000f3";

/// Three wallets of the same owners, and what each holds.
struct World {
    anvil: Anvil,
    rules: EvmSafe,
    wallets: Vec<WalletDesc>,
    assets: Vec<Asset>,
}

impl World {
    async fn new(multicall: bool) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let anvil = Anvil::start(CHAIN, Options::default()).await.unwrap();
        if multicall {
            anvil.deploy_multicall().await.unwrap();
        }
        let rules = EvmSafe::new(format!("eip155:{CHAIN}").parse().unwrap()).unwrap();
        let key = |byte| rules.public_key(&[byte; 32]).unwrap();
        let owners = Owners { hot: key(1), cool: key(2), cold: key(3) };
        let wallets: Vec<_> = (0..3).map(|salt| rules.wallet(&owners, [salt; 32]).unwrap()).collect();
        anvil.set_code(PAUSED, PAUSED_CODE).await.unwrap();
        let usd = anvil.deploy_token().await.unwrap();
        for wallet in &wallets {
            anvil.fund(&wallet.address, 9).await.unwrap();
            anvil.fund_token(&usd, &wallet.address, 9).await.unwrap();
        }
        let asset = |symbol: &str, contract: Option<&str>| Asset {
            symbol: symbol.to_owned(),
            contract: contract.map(str::to_owned),
        };
        let assets = vec![asset("PAUSED", Some(PAUSED)), asset("USD", Some(&usd)), asset("ETH", None)];
        Self { anvil, rules, wallets, assets }
    }

    /// What these owners have signed: 9 of an asset at a nonce.
    fn rung(
        &self,
        wallet: &WalletDesc,
        line: usize,
        asset: &Asset,
        nonce: u64,
        by: [(KeyRole, u8); 2],
        to: &str,
    ) -> Rung {
        let (assets, claims) = (std::slice::from_ref(asset), vec![Claim::Sequence(nonce)]);
        let amount = Amount::from(9);
        let effect = Effect::Transfer { asset: asset.symbol.clone(), to: to.to_owned(), amount };
        let unsigned = self.rules.build(&effect, wallet, assets, &claims).unwrap();
        let id = self.rules.decode(&unsigned, wallet, assets).unwrap().id;
        let sign = |(role, byte)| (role, vec![self.rules.sign(&[byte; 32], &Payload::Digest(id)).unwrap()]);
        let call = self.rules.assemble(&unsigned, wallet, &by.map(sign)).unwrap();
        Rung { line, claims, effect, asset: asset.clone(), call, id }
    }

    /// Every asset at every nonce that can still be live: a wallet at a time.
    fn portions(&self) -> Vec<Portion> {
        let portions = self.wallets.iter().enumerate().map(|(number, wallet)| {
            let first = number * self.assets.len();
            let line = |asset: &Asset| Line {
                id: wallet.address.clone(),
                address: wallet.address.clone(),
                asset: asset.symbol.clone(),
                to: SAFE_PLACE.to_owned(),
                amount: Amount::from(9),
            };
            let by = [(KeyRole::Cool, 2), (KeyRole::Cold, 3)];
            let at = |nonce| {
                let assets = self.assets.iter().enumerate();
                assets.map(move |(place, asset)| self.rung(wallet, first + place, asset, nonce, by, SAFE_PLACE))
            };
            let rungs = (0..4).flat_map(at).collect();
            let holding = |asset| Holding { line: first + asset, asset, amount: Amount::from(9) };
            let holdings = (0..self.assets.len()).map(holding).collect();
            let (rules, creation) = (Arc::new(self.rules.clone()), self.rules.creation(wallet).unwrap());
            let ladder = Ladder { rules, wallet: wallet.clone(), creation, rungs, holdings, unsigned: None };
            Portion { ladders: vec![ladder], lines: self.assets.iter().map(line).collect() }
        });
        portions.collect()
    }

    async fn call(&self, call: chain::Call) {
        let from = self.anvil.dev_accounts().unwrap()[5].address.clone();
        let data = chain::hex::encode_prefixed(call.data);
        self.anvil.send(json!({"from": from, "to": call.to, "data": data})).await.unwrap();
    }

    /// With no more wallets in memory than `window`.
    async fn rescue(&self, window: usize) -> Report {
        let key = &self.anvil.dev_accounts().unwrap()[1].key;
        let limits = RelayLimits { max_gas: 1 << 24, takes_over: true, ..RelayLimits::DEFAULT };
        let relaying = Relaying { keys: &[key], limits, journal: Arc::new(InMemory::default()) };
        let access = Access::one(&self.anvil.url());
        let client = chain_clients::connect(self.rules.id(), &access, Some(&relaying)).unwrap();
        let (mut values, mut source) = (Values::default(), Source::held(self.portions()));
        for asset in &self.assets {
            values.add(&asset.symbol, asset.contract.as_deref(), Amount::from(27));
        }
        let voice = Voice::new("moving money", 3);
        let told = Telling::new(voice.clone(), 3, values).unwrap();
        let watch = Watch::new(client, Payers::default(), voice);
        send(&watch, false, &mut source, Window::of(window), &told).await.unwrap();
        told.end(self.rules.id().to_string(), None).0
    }
}

/// Status of each asset, wallet by wallet.
fn statuses(report: &Report) -> Vec<String> {
    let report = serde_json::to_value(report).unwrap();
    let lines: Vec<Value> = report["wallets"].as_array().unwrap().clone();
    lines.iter().map(|line| line["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_front_runner_shifts_a_rung_a_reverting_asset_is_skipped_and_all_else_moves() {
    for multicall in [true, false] {
        let world = World::new(multicall).await;
        // After all was signed, a thief with hot and cool uses the first nonce of a wallet.
        let thieves = [(KeyRole::Hot, 1), (KeyRole::Cool, 2)];
        let robbed = &world.wallets[1];
        world.anvil.fund(&robbed.address, 9).await.unwrap();
        world.call(world.rules.creation(robbed).unwrap().unwrap()).await;
        let away = world.rules.address(&world.anvil.dev_accounts().unwrap()[7].address).unwrap();
        world.call(world.rung(robbed, 0, &world.assets[2], 0, thieves, &away).call).await;
        let report = world.rescue(3_000).await;
        assert_eq!(statuses(&report), ["failed", "executed", "executed"].repeat(3), "{report}");
        assert_eq!(world.anvil.balance(SAFE_PLACE).await.unwrap(), 27);
        assert_eq!(
            world.anvil.token_balance(world.assets[1].contract.as_ref().unwrap(), SAFE_PLACE).await.unwrap(),
            27
        );
        let value = serde_json::to_value(&report).unwrap();
        assert_eq!(value["moved"], json!({"valuePercent": 66.6666, "wallets": 0}), "{value:#}");
        let paused = &value["notMoved"][0];
        assert_eq!((&paused["reason"], &paused["wallets"]), (&json!("wouldRevert"), &json!(3)), "{value:#}");
        assert!((paused["value"].as_f64().unwrap() - 100.0 / 3.0).abs() < 1e-9, "{paused}");
        // No more than one wallet in memory, as if the plan were larger than the window.
        let again = world.rescue(1).await;
        assert_eq!(statuses(&again), ["failed", "alreadyExecuted", "alreadyExecuted"].repeat(3), "{again}");
        let account = world.anvil.dev_accounts().unwrap()[1].address.clone();
        let sent: String = world.anvil.rpc("eth_getTransactionCount", json!([account, "latest"])).await.unwrap();
        assert_eq!(sent, if multicall { "0x1" } else { "0x8" }, "in all, by both runs");
    }
}
