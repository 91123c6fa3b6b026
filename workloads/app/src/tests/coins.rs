//! Payments on a chain of coins, where a transaction takes two signatures of each owner: App's steps rest on nothing
//! that only EVM has. The chain is a stand-in: there is no node of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use chain::{
    Account, Amount, Asset, Call, ChainClient, ChainId, Claim, ClientError, Created, Effect, Errand, Fate, Following,
    Head, Held, KeyRole, Look, NodeState, Outcome, Place, Purpose, Simulated, Transaction, WalletDesc, WalletState,
};
use chain_adapters::Adapters;
use custody::Role;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use test_chain::{Assembled, CHAIN, FEE_PER_COIN, coin, rules, worth};

use super::{
    home::Home,
    running::RunningApp,
    signers::{Fault, TestSigners},
};

const BOB: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const SAFE: &str = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";
const FEE: u128 = 2 * FEE_PER_COIN;

fn assets() -> Vec<Asset> {
    vec![Asset { symbol: "COIN".to_owned(), contract: None }]
}

/// Whose coins are unspent, and what was sent.
#[derive(Default)]
struct Ledger {
    coins: BTreeMap<String, Vec<Claim>>,
    mined: Vec<(String, Assembled)>,
}

struct Coins {
    id: ChainId,
    ledger: Mutex<Ledger>,
}

impl Coins {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    fn unspent(&self, wallet: &str) -> Vec<Claim> {
        self.ledger().coins.get(wallet).cloned().unwrap_or_default()
    }

    fn mined(&self) -> Vec<Assembled> {
        self.ledger().mined.iter().map(|(_, sent)| sent.clone()).collect()
    }
}

fn decoded(Assembled { wallet, unsigned, .. }: &Assembled) -> Transaction {
    rules().decode_at(unsigned, wallet, &assets()).unwrap()
}

#[async_trait]
impl ChainClient for Coins {
    fn id(&self) -> &ChainId {
        &self.id
    }

    fn node(&self) -> &str {
        "coins"
    }

    fn nodes(&self) -> Vec<NodeState> {
        Vec::new()
    }

    async fn verify_chain(&self) -> Result<(), ClientError> {
        Ok(())
    }

    async fn verify_contracts(&self, creation: Option<(&WalletDesc, &Call)>) -> Result<(), ClientError> {
        assert_eq!(creation, None, "a wallet of coins is never created");
        Ok(())
    }

    async fn head(&self, known: Option<&Head>) -> Result<Head, ClientError> {
        if known.is_some() {
            std::future::pending::<()>().await;
        }
        Ok(Head { number: 1, id: "1".to_owned(), time: 0 })
    }

    async fn wallet_state(&self, wallet: &WalletDesc, assets: &[Asset]) -> Result<WalletState, ClientError> {
        let next = self.unspent(&wallet.address);
        let held = next.iter().fold(Amount::ZERO, |sum, coin| sum.checked_add(worth(coin).unwrap()).unwrap());
        Ok(WalletState { block: 1, created: Created::Ours, next, balances: vec![Held::Units(held); assets.len()] })
    }

    async fn simulate(&self, _: &WalletDesc, _: &Effect, _: &[Asset]) -> Result<Simulated, ClientError> {
        Ok(Simulated::Passes)
    }

    async fn simulate_call(
        &self,
        wallet: &WalletDesc,
        call: &Call,
        purpose: Purpose,
    ) -> Result<Simulated, ClientError> {
        assert_eq!(purpose, Purpose::Execution, "a wallet of coins is never created");
        let (unspent, claims) = (self.unspent(&wallet.address), decoded(&Assembled::read(call).unwrap()).claims);
        let passes = claims.iter().all(|claim| unspent.contains(claim));
        Ok(if passes { Simulated::Passes } else { Simulated::Refused("a coin is spent".to_owned()) })
    }

    async fn fate(&self, wallet: &WalletDesc, id: &[u8; 32], claims: &[Claim], _: Look) -> Result<Fate, ClientError> {
        let unspent = self.unspent(&wallet.address);
        if claims.iter().all(|claim| unspent.contains(claim)) {
            return Ok(Fate::Open);
        }
        let ledger = self.ledger();
        let found = ledger.mined.iter().find(|(_, sent)| decoded(sent).id == *id);
        let place = Place { block: 1, depth: 0, settled: true };
        Ok(found.map_or(Fate::Superseded { place }, |(tx, _)| Fate::Done { tx: tx.clone(), success: true, place }))
    }

    async fn place(&self, block: u64) -> Result<Place, ClientError> {
        Ok(Place { block, depth: 0, settled: true })
    }

    async fn moved(
        &self,
        _: &WalletDesc,
        effect: &Effect,
        _: &[Asset],
        _: &str,
        _: u64,
    ) -> Result<Amount, ClientError> {
        let Effect::Transfer { amount, .. } = effect else { panic!("only transfers are paid: {effect:?}") };
        Ok(*amount)
    }

    fn relayers(&self) -> Vec<String> {
        Vec::new()
    }

    async fn under_way(&self, _: &Errand, _: &Call) -> Result<Option<Box<dyn Following>>, ClientError> {
        Ok(None)
    }

    /// Whatever is sent is in the next block.
    async fn relay(&self, _: &WalletDesc, _: &Errand, call: &Call) -> Result<Box<dyn Following>, ClientError> {
        let tx = HEXLOWER.encode(&Sha256::digest(&call.data));
        let sent = Assembled::read(call).unwrap();
        let Transaction { effects, claims, .. } = decoded(&sent);
        let mut ledger = self.ledger();
        let number = 100 + ledger.mined.len() as u64;
        let coins = ledger.coins.get_mut(&sent.wallet).unwrap();
        coins.retain(|coin| !claims.contains(coin));
        coins.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Change { amount, .. } => Some(coin(amount.to_string().parse().unwrap(), number)),
            _ => None,
        }));
        ledger.mined.push((tx.clone(), sent));
        Ok(Box::new(Mined(tx)))
    }

    async fn tend(&self, _: &Head) -> Result<Vec<Account>, ClientError> {
        Ok(Vec::new())
    }
}

struct Mined(String);

#[async_trait]
impl Following for Mined {
    async fn outcome(&mut self, _: Duration) -> Result<Outcome, ClientError> {
        Ok(Outcome::Mined { tx: self.0.clone(), success: true })
    }
}

/// Alice's wallet, with two coins.
struct World {
    home: Home,
    adapters: Adapters,
    chain: Arc<Coins>,
    signers: Arc<TestSigners>,
    alice: WalletDesc,
}

impl World {
    fn new() -> Self {
        let configured = json!({
            "id": CHAIN,
            "nodes": ["http://127.0.0.1:1"],
            "finality": {"depth": 0},
            "assets": [{"symbol": "COIN", "asset": "native", "decimals": 0}],
        });
        let home = Home::new(configured, &[SAFE], "");
        let signers = Arc::new(TestSigners::new(&home.custody, rules(), assets()));
        let alice = signers.wallet("alice");
        let coins = BTreeMap::from([(alice.address.clone(), vec![coin(100, 1), coin(200, 2)])]);
        let chain = Coins { id: CHAIN.parse().unwrap(), ledger: Mutex::new(Ledger { coins, mined: Vec::new() }) };
        Self { home, adapters: Adapters::all().with(rules()), chain: Arc::new(chain), signers, alice }
    }

    async fn start(&self) -> RunningApp {
        let settings = self.home.settings(&self.adapters, |_| {}).unwrap();
        let chain = self.chain.clone();
        RunningApp::start(settings, |_, _| Ok(chain), self.signers.clone()).await
    }

    async fn start_with_alice(&self) -> RunningApp {
        let app = self.start().await;
        let (status, wallet) = app.post("/wallets", None, json!({"id": "alice"})).await;
        assert_eq!((status, &wallet["address"]), (201, &json!(self.alice.address)), "{wallet:#}");
        app
    }

    /// Both owners have signed both payloads.
    fn assert_signed(&self, sent: &Assembled) {
        let owners: Vec<KeyRole> = sent.signatures.iter().map(|(owner, _)| *owner).collect();
        assert_eq!(owners, [KeyRole::Hot, KeyRole::Cool]);
        for (owner, signatures) in &sent.signatures {
            assert_eq!(signatures.len(), 2, "{owner}");
            assert!(rules().signed_by(&sent.unsigned, &self.alice, *owner, signatures).unwrap(), "{owner}");
        }
    }
}

fn transfer(amount: u128) -> Effect {
    Effect::Transfer { asset: "COIN".to_owned(), to: BOB.to_owned(), amount: amount.into() }
}

fn change(amount: u128) -> Effect {
    Effect::Change { asset: "COIN".to_owned(), amount: amount.into() }
}

#[tokio::test]
async fn both_owners_sign_for_each_of_two_coins_and_the_rest_comes_back() {
    let world = World::new();
    let app = world.start_with_alice().await;
    let (_, wallet) = app.get("/wallets/alice").await;
    assert_eq!((&wallet["balances"], &wallet["nonce"]), (&json!({"COIN": "300"}), &Value::Null), "{wallet:#}");
    let paid = app.ended(&app.pay("one", "alice", BOB, "COIN", 150).await).await;
    assert_eq!((&paid["status"], &paid["signers"]), (&json!("confirmed"), &json!(["hot", "cool"])), "{paid:#}");

    let [sent] = &world.chain.mined()[..] else { panic!("paid once") };
    world.assert_signed(sent);
    assert_eq!(decoded(sent).effects, [transfer(150), change(150 - FEE)]);
    assert_eq!(decoded(sent).claims, [coin(100, 1), coin(200, 2)]);
    let [asked] = &world.signers.asked(Role::Cooler, "sign")[..] else { panic!("asked once") };
    assert_eq!(asked.hot_signatures.len(), 2, "Cooler is shown hot's signature over each payload");
    assert_eq!(world.chain.unspent(&world.alice.address), [coin(150 - FEE, 100)]);
    app.ended(&app.pay("two", "alice", BOB, "COIN", 50).await).await;
    assert_eq!(decoded(&world.chain.mined()[1]).claims, [coin(150 - FEE, 100)], "what came back pays next");
}

#[tokio::test]
async fn killed_between_the_owners_it_goes_on_with_both_signatures_of_hot() {
    let world = World::new();
    let app = world.start_with_alice().await;
    world.signers.script(|role, operation| match (role, operation) {
        (Role::Cooler, "sign") => Fault::HangAfter,
        _ => Fault::None,
    });
    let id = app.pay("one", "alice", BOB, "COIN", 150).await;
    world.signers.hung.notified().await;
    app.kill().await;
    world.signers.heal();
    let app = world.start().await;
    assert_eq!(app.ended(&id).await["status"], "confirmed");
    let [sent] = &world.chain.mined()[..] else { panic!("paid once") };
    world.assert_signed(sent);
    // Once more for the head of Keeper's present start, which its stored answer comes with.
    let [first, again] = &world.signers.asked(Role::Keeper, "sign")[..] else { panic!("asked twice") };
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_signature_that_is_missing_for_one_coin_is_none() {
    let world = World::new();
    let app = world.start_with_alice().await;
    world.signers.script(|role, operation| match (role, operation) {
        (Role::Keeper, "sign") => Fault::OneSignatureLess,
        _ => Fault::None,
    });
    let refused = app.ended(&app.pay("one", "alice", BOB, "COIN", 150).await).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("WrongSignature")), "{refused:#}");
    assert!(world.chain.mined().is_empty());
}

#[tokio::test]
async fn a_payment_that_only_hot_signed_is_ended_by_a_cancel_that_uses_up_the_same_coins() {
    let world = World::new();
    let app = world.start_with_alice().await;
    let mut asked = 0;
    world.signers.script(move |role, operation| {
        asked += u32::from((role, operation) == (Role::Cooler, "sign"));
        match (role, operation, asked) {
            (Role::Cooler, "sign", 1) => Fault::Refuse("OverWindow"),
            _ => Fault::None,
        }
    });
    let refused = app.ended(&app.pay("one", "alice", BOB, "COIN", 150).await).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("OverWindow")), "{refused:#}");
    let [cancel] = &world.chain.mined()[..] else { panic!("one cancel") };
    world.assert_signed(cancel);
    assert_eq!(decoded(cancel).effects, [Effect::Cancel { to: SAFE.to_owned() }, change(300 - FEE)]);
    assert_eq!(decoded(cancel).claims, [coin(100, 1), coin(200, 2)]);
}
