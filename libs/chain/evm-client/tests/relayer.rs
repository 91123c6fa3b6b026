//! Promises of the relayer on a real EVM node whose blocks the test makes.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{sync::Arc, time::Duration};

use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, Bytes, U256, hex};
use chain::{
    Account, Amount, Claim, ClientError, Errand, Finality, Following, Head, InMemory, Inability, Journal, Outcome,
    RelayLimits, Relayed, Relaying, Stuck,
};
use chain_evm_client::{Call, Relayers, Rpc};
use harness::{
    Options,
    evm::Anvil,
    rpc_proxy::{Fault, RpcProxy, Rule},
};
use serde_json::{Value, json};

const CHAIN: u64 = 31_337;
const GWEI: u128 = 1_000_000_000;
const SHOP: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const LIMITS: RelayLimits = RelayLimits { max_price: 100 * GWEI, replace_after: 3, ..RelayLimits::DEFAULT };

/// A node that makes blocks when it is told to, behind a proxy.
struct World {
    anvil: Anvil,
    proxy: RpcProxy,
    rpc: Arc<Rpc>,
    journal: Arc<InMemory>,
}

impl World {
    async fn new() -> Self {
        Self::like(&[]).await
    }

    /// Of another kind of chain, by anvil's flags.
    async fn like(flags: &[&str]) -> Self {
        let anvil = Anvil::start_as(CHAIN, flags, Options::default()).await.unwrap();
        let proxy = RpcProxy::start(&anvil.url()).await.unwrap();
        let rpc = Arc::new(Rpc::new(&proxy.url()).unwrap());
        let () = anvil.rpc("evm_setAutomine", json!([false])).await.unwrap();
        Self { anvil, proxy, rpc, journal: Arc::new(InMemory::default()) }
    }

    fn key(&self, number: usize) -> String {
        self.anvil.dev_accounts().unwrap()[number].key.clone()
    }

    fn address(&self, number: usize) -> String {
        self.anvil.dev_accounts().unwrap()[number].address.clone()
    }

    /// As of a process that has just started.
    fn start(&self) -> Relayers {
        self.start_with(&[&self.key(1)], LIMITS, Finality::Depth(3))
    }

    fn start_with(&self, keys: &[&str], limits: RelayLimits, finality: Finality) -> Relayers {
        let relaying = Relaying { keys, limits, journal: self.journal.clone() };
        Relayers::new(self.rpc.clone(), CHAIN, finality, &relaying).unwrap()
    }

    async fn mine(&self) {
        let _: Value = self.anvil.rpc("evm_mine", json!([])).await.unwrap();
    }

    async fn base_fee(&self, gwei: u128) {
        let fee = format!("{:#x}", gwei * GWEI);
        let _: Value = self.anvil.rpc("anvil_setNextBlockBaseFeePerGas", json!([fee])).await.unwrap();
    }

    async fn drop(&self, tx: &str) {
        let _: Value = self.anvil.rpc("anvil_dropTransaction", json!([tx])).await.unwrap();
    }

    /// The newest block as the node has it now, and no follower has seen it before.
    async fn head(&self) -> Head {
        let block: Value = self.anvil.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
        let number =
            |field: &str| u64::from_str_radix(block[field].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        Head { number: number("number"), id: block["hash"].as_str().unwrap().to_owned(), time: number("timestamp") }
    }

    /// A node whose newest block is older than before is not believed at once.
    async fn tend(&self, relayers: &Relayers) -> Account {
        loop {
            match relayers.tend(&self.head().await).await {
                Ok(mut accounts) => return accounts.remove(0),
                Err(ClientError::Unable { inability: Inability::Behind(_), .. }) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Another block, looked at.
    async fn block(&self, relayers: &Relayers) -> Account {
        self.mine().await;
        self.tend(relayers).await
    }

    /// What is kept of an errand, oldest first.
    async fn kept(&self, of: &str) -> Vec<Relayed> {
        let kept = self.journal.under_way().await.unwrap();
        kept.into_iter().filter(|(errand, _)| errand.of == of).map(|(_, relayed)| relayed).collect()
    }

    async fn shop(&self) -> u128 {
        self.anvil.balance(SHOP).await.unwrap()
    }
}

fn errand(of: &str) -> Errand {
    Errand { of: of.to_owned(), purpose: "payment".to_owned() }
}

fn pay(wei: u64) -> Call {
    Call { to: SHOP.parse().unwrap(), value: U256::from(wei), data: Bytes::new() }
}

async fn send(relayers: &Relayers, of: &str, wei: u64) -> Box<dyn Following> {
    relayers.relay(of, &errand(of), &pay(wei)).await.unwrap()
}

/// What is known now.
async fn now(following: &mut Box<dyn Following>) -> Result<Outcome, ClientError> {
    following.outcome(Duration::ZERO).await
}

async fn is_pending(following: &mut Box<dyn Following>) -> bool {
    matches!(now(following).await, Err(ClientError::Pending(_)))
}

fn mined(relayed: &Relayed) -> Outcome {
    Outcome::Mined { tx: relayed.tx.clone(), success: true }
}

/// Most and tip, wei a gas.
fn fees(relayed: &Relayed) -> (u128, u128) {
    let envelope = TxEnvelope::decode_2718_exact(&relayed.raw).unwrap();
    (envelope.max_fee_per_gas(), envelope.max_priority_fee_per_gas().unwrap())
}

fn nonce(relayed: &Relayed) -> u64 {
    let Claim::Sequence(nonce) = relayed.claim else { panic!("no nonce") };
    nonce
}

#[tokio::test]
async fn what_a_killed_process_had_under_way_is_followed_and_what_the_network_has_not_got_is_sent_again_as_it_was() {
    let world = World::new().await;
    let relayers = world.start();
    let (one, two) = (send(&relayers, "one", 1).await, send(&relayers, "two", 2).await);
    // Kept, and the process is killed before it is sent.
    world.proxy.rule(Rule::on("eth_sendRawTransaction").does(Fault::error(-32005, "busy")));
    let three = send(&relayers, "three", 4).await;
    drop((one, two, three, relayers));
    world.proxy.clear();
    let kept = [world.kept("one").await, world.kept("two").await, world.kept("three").await].concat();
    assert_eq!(kept.iter().map(nonce).collect::<Vec<_>>(), [0, 1, 2]);
    world.drop(&kept[1].tx).await;

    let relayers = world.start();
    let mut following = Vec::new();
    for (of, wei) in [("one", 1), ("two", 2), ("three", 4)] {
        following.push(relayers.under_way(&errand(of), &pay(wei)).await.unwrap().unwrap());
    }
    assert!(relayers.under_way(&errand("one"), &pay(9)).await.unwrap().is_none(), "another call of the same errand");
    let mut four = send(&relayers, "four", 8).await;
    world.tend(&relayers).await;
    world.block(&relayers).await;
    world.block(&relayers).await;
    for (following, kept) in following.iter_mut().zip(&kept) {
        assert_eq!(now(following).await.unwrap(), mined(kept), "the very transaction that was kept");
    }
    assert_eq!(now(&mut four).await.unwrap(), mined(&world.kept("four").await[0]));
    assert_eq!(world.shop().await, 15);
    for _ in 0..2 {
        assert!(!world.journal.under_way().await.unwrap().is_empty(), "followed until it is final");
        world.block(&relayers).await;
    }
    assert!(world.journal.under_way().await.unwrap().is_empty());
    assert!(relayers.under_way(&errand("one"), &pay(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn what_blocks_leave_out_is_replaced_by_a_dearer_one_up_to_the_ceiling_and_whichever_is_mined_counts() {
    let world = World::new().await;
    let relayers = world.start();
    let mut one = send(&relayers, "one", 1).await;
    let mut two = send(&relayers, "two", 2).await;
    // The base fee passes both offers: both are replaced, at once.
    world.base_fee(20).await;
    world.block(&relayers).await;
    for of in ["one", "two"] {
        let kept = world.kept(of).await;
        let [(most, tip), (dearer, dearer_tip)] = [fees(&kept[0]), fees(&kept[1])];
        assert_eq!((kept.len(), nonce(&kept[0])), (2, nonce(&kept[1])));
        assert!(dearer * 8 >= most * 9 && dearer_tip * 8 >= tip * 9 && dearer >= 20 * GWEI, "{most} {dearer}");
    }
    assert!(is_pending(&mut one).await);
    world.block(&relayers).await;
    assert_eq!(now(&mut one).await.unwrap(), mined(&world.kept("one").await[1]));
    assert_eq!(now(&mut two).await.unwrap(), mined(&world.kept("two").await[1]));
    assert_eq!(world.shop().await, 3, "each once");

    // Beyond the ceiling: named, and followed all the same.
    world.base_fee(10).await;
    world.block(&relayers).await;
    let mut three = send(&relayers, "three", 4).await;
    let mut stuck = Vec::new();
    for _ in 0..4 {
        world.base_fee(200).await;
        stuck = world.block(&relayers).await.stuck;
    }
    let newest = world.kept("three").await.pop().unwrap();
    let (offered, ceiling) = (fees(&newest).0, LIMITS.max_price);
    assert!(offered <= ceiling && offered * 9 > ceiling * 8, "{offered}");
    assert_eq!(stuck, [(newest.tx.clone(), Stuck::AtCeiling { offered, ceiling })]);
    let error = now(&mut three).await.unwrap_err();
    assert!(matches!(&error, ClientError::Stuck { tx, .. } if *tx == newest.tx), "{error}");
    let refused = relayers.relay("four", &errand("four"), &pay(8)).await;
    assert!(matches!(refused, Err(ClientError::OverPrice { ceiling: 100_000_000_000, .. })), "nothing new is sent");
    // The pool had dropped it: it is sent again, and mined.
    world.base_fee(15).await;
    world.block(&relayers).await;
    assert_eq!(world.block(&relayers).await.stuck, []);
    assert_eq!(now(&mut three).await.unwrap(), mined(&newest));
    assert_eq!(world.shop().await, 7);
}

#[tokio::test]
async fn a_pool_that_keeps_what_it_has_takes_a_dearer_one_and_a_later_run_takes_over_what_is_pending() {
    let world = World::new().await;
    let relayers = world.start();
    world.tend(&relayers).await;
    let mut one = send(&relayers, "one", 1).await;
    // Three blocks without it, though it offers enough: the miner leaves it out.
    let cheap = world.kept("one").await.remove(0);
    world.drop(&cheap.tx).await;
    let keeps = cheap.raw.clone();
    let kept = move |params: &Value| params[0] == json!(hex::encode_prefixed(&keeps));
    world.proxy.rule(Rule::on("eth_sendRawTransaction").when(kept).does(Fault::error(-32000, "already known")));
    let cheaper = Fault::error(-32000, "replacement transaction underpriced");
    let once = world.proxy.rule(Rule::on("eth_sendRawTransaction").times(1).does(cheaper));
    for _ in 0..3 {
        assert_eq!(world.kept("one").await.len(), 1);
        world.block(&relayers).await;
    }
    let versions: Vec<_> = world.kept("one").await.iter().map(fees).collect();
    let [first, second, third] = versions[..] else { panic!("{versions:?}") };
    assert!(second.0 * 8 >= first.0 * 9 && third.0 * 2 >= second.0 * 3, "dearer at once when refused: {versions:?}");
    world.proxy.remove(once);
    world.block(&relayers).await;
    assert!(matches!(now(&mut one).await.unwrap(), Outcome::Mined { success: true, .. }));

    // A run that keeps nothing leaves two behind; the next one takes their places.
    let two = send(&relayers, "two", 2).await;
    let three = send(&relayers, "three", 4).await;
    drop((two, three, relayers));
    let left = [world.kept("two").await, world.kept("three").await].concat();
    let next = World { journal: Arc::new(InMemory::default()), ..world };
    let limits = RelayLimits { takes_over: true, ..LIMITS };
    let relayers = next.start_with(&[&next.key(1)], limits, Finality::Depth(0));
    let mut again = send(&relayers, "two", 16).await;
    let replacement = next.kept("two").await.pop().unwrap();
    assert_eq!(replacement.claim, left[0].claim);
    assert!(fees(&replacement).0 > fees(&left[0]).0);
    next.block(&relayers).await;
    assert_eq!(now(&mut again).await.unwrap(), mined(&replacement));
    assert_eq!(next.shop().await, 21, "three was mined as it was left");
}

#[tokio::test]
async fn something_else_that_uses_the_key_is_recognised_and_a_vanished_block_is_taken_back() {
    let world = World::new().await;
    let relayers = world.start();
    let mut one = send(&relayers, "one", 1).await;
    let ours = world.kept("one").await.remove(0);
    world.drop(&ours.tx).await;
    let foreign = json!([{"from": world.address(1), "to": SHOP, "value": "0x20", "nonce": "0x0", "gas": "0x5208"}]);
    let _: Value = world.anvil.rpc("eth_sendTransaction", foreign).await.unwrap();
    assert_eq!(world.block(&relayers).await.foreign, 0, "a node may tell receipts late");
    assert!(is_pending(&mut one).await);
    world.block(&relayers).await;
    assert_eq!(world.block(&relayers).await.foreign, 1);
    let lost =
        Outcome::Replaced { relayer: world.address(1).parse::<Address>().unwrap().to_string(), claim: ours.claim };
    assert_eq!(now(&mut one).await.unwrap(), lost);
    assert_eq!(world.kept("one").await, []);
    assert!(relayers.under_way(&errand("one"), &pay(1)).await.unwrap().is_none());

    // Again, at a new nonce; its block is taken back before it is final.
    let mut one = send(&relayers, "one", 1).await;
    let ours = world.kept("one").await.remove(0);
    assert_eq!(nonce(&ours), 1);
    world.block(&relayers).await;
    assert_eq!(now(&mut one).await.unwrap(), mined(&ours));
    let _: Value = world.anvil.rpc("anvil_rollback", json!([1])).await.unwrap();
    world.tend(&relayers).await;
    assert!(is_pending(&mut one).await);
    for _ in 0..2 {
        world.block(&relayers).await;
    }
    assert_eq!(now(&mut one).await.unwrap(), mined(&ours), "the same bytes again");
    assert_eq!(world.shop().await, 33);
}

#[tokio::test]
async fn what_no_node_takes_gives_its_place_and_what_is_behind_it_is_mined() {
    let world = World::new().await;
    let relayers = world.start();
    let hated = Call { data: Bytes::from_static(b"hated"), ..pay(1) };
    let marked = |params: &Value| params[0].as_str().unwrap().contains(&hex::encode("hated"));
    let refusal = Fault::error(-32000, "transaction rejected by policy");
    world.proxy.rule(Rule::on("eth_sendRawTransaction").when(marked).does(refusal));
    let mut one = relayers.relay("one", &errand("one"), &hated).await.unwrap();
    let mut two = send(&relayers, "two", 2).await;
    let error = now(&mut one).await.unwrap_err();
    assert!(error.to_string().contains("rejected by policy"), "{error}");
    for _ in 0..4 {
        world.block(&relayers).await;
    }
    assert_eq!(now(&mut one).await.unwrap(), Outcome::Rejected("transaction rejected by policy".to_owned()));
    assert_eq!(now(&mut two).await.unwrap(), mined(&world.kept("two").await[0]));
    assert!(relayers.under_way(&errand("one"), &hated).await.unwrap().is_none(), "it may be made anew");

    // A nonce that nothing is known to use is filled, so that what waits behind it can be mined.
    let ahead = World { journal: Arc::new(InMemory::default()), ..world };
    let foreign = json!([{"from": ahead.address(2), "to": SHOP, "value": "0x0", "gas": "0x5208"}]);
    let foreign: String = ahead.anvil.rpc("eth_sendTransaction", foreign).await.unwrap();
    let relayers = ahead.start_with(&[&ahead.key(2)], LIMITS, Finality::Depth(0));
    let mut three = send(&relayers, "three", 4).await;
    let kept = ahead.kept("three").await.remove(0);
    assert_eq!(nonce(&kept), 1, "behind what is pending");
    ahead.drop(&foreign).await;
    for _ in 0..5 {
        ahead.block(&relayers).await;
    }
    assert_eq!(now(&mut three).await.unwrap(), mined(&kept));
    assert_eq!(ahead.rpc.nonce(ahead.address(2).parse().unwrap()).await.unwrap(), 2);
}

#[tokio::test]
async fn each_payment_takes_a_key_that_can_pay_for_it_and_a_low_float_is_told_before_it_is_empty() {
    let world = World::new().await;
    let set_balance = async |number, wei: u128| {
        let params = json!([world.address(number), format!("{wei:#x}")]);
        let _: Value = world.anvil.rpc("anvil_setBalance", params).await.unwrap();
    };
    let keys = [world.key(1), world.key(2)];
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let relayers = world.start_with(&keys, RelayLimits { max_gas: 30_000, ..LIMITS }, Finality::Depth(0));
    let of = |relayed: &Relayed| {
        let envelope = TxEnvelope::decode_2718_exact(&relayed.raw).unwrap();
        alloy_consensus::transaction::SignerRecoverable::recover_signer(&envelope).unwrap().to_string()
    };
    // One is with the first, so the next goes to the second; a wallet stays with its key.
    for (wallet, sender) in [("one", 1), ("two", 2)] {
        let _ = send(&relayers, wallet, 1).await;
        let _ = relayers.relay(wallet, &errand(&format!("{wallet} more")), &pay(2)).await.unwrap();
        for kept in [world.kept(wallet).await, world.kept(&format!("{wallet} more")).await].concat() {
            assert_eq!(of(&kept), world.address(sender).parse::<Address>().unwrap().to_string());
        }
    }
    world.block(&relayers).await;
    assert_eq!(world.shop().await, 6);

    set_balance(1, 1_000).await;
    set_balance(2, 1_000_000_000_000_000).await;
    world.mine().await;
    let accounts = relayers.tend(&world.head().await).await.unwrap();
    assert_eq!(accounts.iter().map(|account| account.low).collect::<Vec<_>>(), [true, true]);
    assert_eq!(accounts[0].float.balance, Amount::from(1_000));
    let _ = send(&relayers, "three", 1).await;
    assert_eq!(of(&world.kept("three").await[0]), world.address(2).parse::<Address>().unwrap().to_string());
    let refused = relayers.relay("four", &errand("four"), &pay(1_000_000_000_000_000)).await;
    assert!(matches!(refused, Err(ClientError::Float { .. })), "one that fits goes on, one that does not waits");
    set_balance(1, 1_000_000_000_000_000_000).await;
    let _ = send(&relayers, "four", 1_000_000_000_000_000).await;

    let burning = Call { data: Bytes::from(vec![1; 1_000]), ..pay(1) };
    let refused = relayers.relay("five", &errand("five"), &burning).await;
    assert!(matches!(refused, Err(ClientError::OverGas { ceiling: 30_000, .. })));
    assert_eq!(world.kept("five").await, []);
}

#[tokio::test]
async fn each_key_has_no_more_under_way_than_it_may_and_what_a_poor_one_can_t_pay_another_does() {
    let world = World::new().await;
    let keys = [world.key(1), world.key(2)];
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let limits = RelayLimits { most_in_flight: 2, most_batches: 1, ..LIMITS };
    let relayers = world.start_with(&keys, limits, Finality::Depth(0));
    let accounts = async || {
        world.mine().await;
        relayers.tend(&world.head().await).await.unwrap()
    };
    let _ = accounts().await;
    for of in ["one", "two"] {
        send(&relayers, of, 1).await;
    }
    let full = relayers.relay_batch(&errand("many"), &pay(1), 30_000).await;
    assert!(matches!(full, Err(ClientError::Full { most: 1 })), "one of each is under way");
    for of in ["three", "four"] {
        send(&relayers, of, 1).await;
    }
    let full = relayers.relay("five", &errand("five"), &pay(1)).await;
    assert!(matches!(full, Err(ClientError::Full { most: 2 })), "two of each are under way");
    assert_eq!(world.kept("five").await, []);
    assert_eq!(accounts().await.iter().map(|account| account.in_flight).sum::<usize>(), 0);

    let params = json!([world.address(1), "0x3e8"]);
    let _: Value = world.anvil.rpc("anvil_setBalance", params).await.unwrap();
    assert!(accounts().await.iter().all(|account| account.short.is_none()), "nobody has asked it to pay");
    for of in ["five", "six"] {
        send(&relayers, of, 1).await;
    }
    let full = relayers.relay("seven", &errand("seven"), &pay(1)).await;
    assert!(matches!(full, Err(ClientError::Full { .. })), "the other has room again later");
    let now = accounts().await;
    assert!(now[0].short.is_some_and(|needed| needed > now[0].float.balance) && now[1].short.is_none(), "{now:?}");
    send(&relayers, "seven", 1).await;
    accounts().await;
    assert_eq!(world.shop().await, 7);
}

#[tokio::test]
async fn a_chain_without_a_base_fee_takes_legacy_transactions_and_their_replacements_are_too() {
    let world = World::like(&["--hardfork=berlin"]).await;
    let relayers = world.start();
    let price: String = world.anvil.rpc("eth_gasPrice", json!([])).await.unwrap();
    let price = u128::from_str_radix(price.trim_start_matches("0x"), 16).unwrap();
    let legacy = |relayed: &Relayed| match TxEnvelope::decode_2718_exact(&relayed.raw).unwrap() {
        TxEnvelope::Legacy(signed) => (signed.tx().chain_id, signed.tx().gas_price),
        other => panic!("{:?}", other.tx_type()),
    };
    let mut one = send(&relayers, "one", 1).await;
    world.block(&relayers).await;
    let kept = world.kept("one").await;
    assert_eq!(kept.iter().map(legacy).collect::<Vec<_>>(), [(Some(CHAIN), price)], "EIP-155, at the node's price");
    assert_eq!(now(&mut one).await.unwrap(), mined(&kept[0]));

    // The node says that it has the next, and loses it.
    world.proxy.rule(Rule::on("eth_sendRawTransaction").does(Fault::Answer(json!(kept[0].tx))));
    let mut two = send(&relayers, "two", 2).await;
    for _ in 0..LIMITS.replace_after {
        world.block(&relayers).await;
    }
    world.proxy.clear();
    let kept = world.kept("two").await;
    let [(_, first), (id, dearer)] = [legacy(&kept[0]), legacy(&kept[1])];
    assert!(id == Some(CHAIN) && dearer * 8 >= first * 9, "{first} {dearer}");
    world.block(&relayers).await;
    world.block(&relayers).await;
    assert_eq!(now(&mut two).await.unwrap(), mined(kept.last().unwrap()));
    assert_eq!(world.shop().await, 3);
}

#[tokio::test]
async fn a_chain_that_tags_what_is_final_has_its_transactions_followed_up_to_that_tag() {
    // Each epoch is of one block, so that the second last is final.
    for flags in [&["--slots-in-an-epoch=1"][..], &["--slots-in-an-epoch=1", "--network=optimism"]] {
        let world = World::like(flags).await;
        let relayers = world.start_with(&[&world.key(1)], LIMITS, Finality::Tagged);
        let mut one = send(&relayers, "one", 1).await;
        let kept = world.kept("one").await;
        for blocks in 1..=2 {
            world.block(&relayers).await;
            assert_eq!(now(&mut one).await.unwrap(), mined(&kept[0]));
            assert_eq!(world.kept("one").await, kept, "not final after {blocks}");
        }
        world.block(&relayers).await;
        assert_eq!(world.kept("one").await, [], "{flags:?}");
        assert_eq!(world.shop().await, 1);
    }
}
