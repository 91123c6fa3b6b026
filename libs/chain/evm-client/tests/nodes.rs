//! Promises of a chain's nodes that misbehave: real nodes behind a proxy, and two whose chains part.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{fs, sync::Arc, time::Duration};

use alloy_primitives::Address;
use chain::{
    Access, Amount, Asset, ChainClient, ChainId, ChainRules, Claim, ClientError, Created, Effect, Errand, Fate,
    Finality, Held, InMemory, Inability, KeyRole, Look, Owners, Payload, Purpose, RelayLimits, Relaying, Says,
    Simulated, WalletDesc,
    execute::{Carried, Errands, Executor, Readiness},
};
use chain_evm::{
    EvmSafe,
    constants::{FACTORY, MULTICALL},
};
use chain_evm_client::{EvmClient, Fees, Offer, Rpc};
use futures::future::join_all;
use harness::{
    Options,
    evm::Anvil,
    rpc_proxy::{Fault, RpcProxy, Rule},
};
use serde_json::{Value, json};

const CHAIN: u64 = 31_337;
const ETH: u128 = 1_000_000_000_000_000_000;
const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const WAIT: Duration = Duration::from_secs(30);

fn id() -> ChainId {
    format!("eip155:{CHAIN}").parse().unwrap()
}

fn rules() -> EvmSafe {
    EvmSafe::new(id()).unwrap()
}

fn secret(role: KeyRole) -> [u8; 32] {
    [role as u8 + 1; 32]
}

/// The wallet of a salt.
fn wallet(salt: u8) -> WalletDesc {
    let key = |role| rules().public_key(&secret(role)).unwrap();
    let owners = Owners { hot: key(KeyRole::Hot), cool: key(KeyRole::Cool), cold: key(KeyRole::Cold) };
    rules().wallet(&owners, [salt; 32]).unwrap()
}

fn native() -> Asset {
    Asset { symbol: "ETH".into(), contract: None }
}

fn wei(amount: u128) -> Held {
    Held::Units(Amount::from(amount))
}

fn transfer(amount: u128) -> Effect {
    Effect::Transfer { asset: "ETH".into(), to: SAFE_PLACE.into(), amount: amount.into() }
}

/// A payment of the wallet by hot and cool, and its digest.
fn payment(wallet: &WalletDesc, amount: u128, nonce: u64) -> (chain::Call, [u8; 32]) {
    let rules = rules();
    let unsigned = rules.build(&transfer(amount), wallet, &[native()], &[Claim::Sequence(nonce)]).unwrap();
    let id = rules.decode(&unsigned, wallet, &[native()]).unwrap().id;
    let sign = |role| (role, vec![rules.sign(&secret(role), &Payload::Digest(id)).unwrap()]);
    let call = rules.assemble(&unsigned, wallet, &[sign(KeyRole::Hot), sign(KeyRole::Cool)]).unwrap();
    (call, id)
}

/// A client with a relayer whose float is on this node's chain.
fn paying(access: &Access, anvil: &Anvil) -> EvmClient {
    let key = &anvil.dev_accounts().unwrap()[1].key;
    let relaying = Relaying { keys: &[key], limits: RelayLimits::DEFAULT, journal: Arc::new(InMemory::default()) };
    EvmClient::new(id(), access, Some(&relaying)).unwrap()
}

fn errands() -> Errands {
    let errand = |purpose: &str| Errand { of: "wallet".to_owned(), purpose: purpose.to_owned() };
    Errands { creation: errand("creation"), execution: errand("execution") }
}

/// Does `work` while the relayer is looked after.
async fn tended<T>(client: &EvmClient, work: impl Future<Output = T>) -> T {
    let tend = async {
        loop {
            client.tend(&client.head(None).await.unwrap()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        done = work => done,
        never = tend => never,
    }
}

/// A node, the proxy before it, and a client that knows only the proxy.
struct World {
    anvil: Anvil,
    proxy: RpcProxy,
    client: EvmClient,
}

impl World {
    async fn new(change: impl FnOnce(&mut Access)) -> Self {
        let anvil = Anvil::start(CHAIN, Options::default()).await.unwrap();
        let proxy = RpcProxy::start(&anvil.url()).await.unwrap();
        let mut access = Access::one(&proxy.url());
        change(&mut access);
        let client = paying(&access, &anvil);
        Self { anvil, proxy, client }
    }

    async fn balance(&self, wallet: &WalletDesc) -> Result<Held, ClientError> {
        let state = self.client.wallet_state(wallet, &[native()]).await?;
        Ok(state.balances[0].clone())
    }

    /// Deployed, with a coin, and with one payment made.
    async fn paid(&self, wallet: &WalletDesc) -> ([u8; 32], u64) {
        self.anvil.fund(&wallet.address, ETH).await.unwrap();
        let rules = rules();
        let executor = Executor::new(&self.client, &rules, wallet, errands(), WAIT);
        assert_eq!(tended(&self.client, executor.create()).await.unwrap(), Readiness::Ready);
        let start = self.client.head(None).await.unwrap().number;
        let (call, id) = payment(wallet, 7, 0);
        let carried = tended(&self.client, executor.execute(&call)).await.unwrap();
        assert!(matches!(carried, Carried::Mined { success: true, .. }), "{carried:?}");
        (id, start)
    }
}

#[tokio::test]
async fn whatever_a_node_does_instead_of_answering_is_no_verdict() {
    let world = World::new(|access| access.head_age = Some(Duration::from_secs(600))).await;
    let alice = wallet(0);
    world.anvil.fund(&alice.address, 5).await.unwrap();
    let proxy = &world.proxy;

    // For a while: it is asked again.
    let limit = r#"{"jsonrpc":"2.0","id":1,"error":{"code":429,"message":"rate limit"}}"#;
    for fault in [
        Fault::status(429, limit, &[("retry-after", "0")]),
        Fault::status(503, limit, &[]),
        Fault::status(502, "<html>", &[]),
        Fault::error(-32005, "limit exceeded"),
        Fault::error(-32016, "over rate limit"),
        Fault::error(-32029, "too many requests"),
        Fault::Drop,
    ] {
        proxy.rule(Rule::any().times(1).does(fault.clone()));
        assert_eq!(world.balance(&alice).await.unwrap(), wei(5));
        proxy.clear();
    }

    // For long: which of it is told.
    let told = async |rule: Rule| {
        proxy.rule(rule);
        let error = world.balance(&alice).await.unwrap_err();
        proxy.clear();
        assert_eq!((error.says(), error.is_away()), (Says::Node, true), "{error}");
        error
    };
    let busy = told(Rule::any().does(Fault::status(429, limit, &[]))).await;
    assert!(matches!(busy, ClientError::Unable { inability: Inability::Busy { .. }, .. }), "{busy}");
    let syncing = json!({"currentBlock": "0x1", "highestBlock": "0x9"});
    let syncing = told(Rule::on("eth_syncing").does(Fault::Answer(syncing))).await;
    assert!(matches!(syncing, ClientError::Unable { inability: Inability::Syncing, .. }), "{syncing}");
    let old = |_: &Value, block: &mut Value| block["timestamp"] = json!("0x1");
    let old = told(Rule::on("eth_getBlockByNumber").does(Fault::alter(old))).await;
    assert!(matches!(&old, ClientError::Unable { inability: Inability::Behind(_), .. }), "{old}");
    let [node] = &world.client.nodes()[..] else { panic!("one node") };
    assert_eq!(node.trouble, Some(old.to_string()));

    // The money came with the newest block, which the node no longer shows.
    assert_eq!(world.balance(&alice).await.unwrap(), wei(5));
    proxy.behind(Some(1));
    let behind = world.balance(&alice).await.unwrap_err();
    assert!(matches!(&behind, ClientError::Unable { inability: Inability::Behind(_), .. }), "{behind}");
    proxy.behind(None);
    assert_eq!(world.balance(&alice).await.unwrap(), wei(5));

    // Another chain, by its id and by its first block.
    let other = Anvil::start(99, Options::default()).await.unwrap();
    proxy.node(&other.url());
    world.client.verify_chain().await.unwrap_err();
    let wrong = world.balance(&alice).await.unwrap_err();
    assert!(matches!(&wrong, ClientError::WrongChain { found, .. } if found.as_str() == "eip155:99"), "{wrong}");
    proxy.rule(Rule::on("eth_chainId").does(Fault::Answer(json!("0x7a69"))));
    let wrong = world.balance(&alice).await.unwrap_err();
    assert!(matches!(wrong, ClientError::OtherGenesis { .. }), "{wrong}");
}

#[tokio::test]
async fn a_hundred_wallets_at_one_block_cost_a_handful_of_requests() {
    let world = World::new(|_| {}).await;
    let (alice, bob) = (wallet(0), wallet(1));
    let (paid, since) = world.paid(&alice).await;
    let _: Value = world.anvil.rpc("anvil_mine", json!(["0x3"])).await.unwrap();
    let token = world.anvil.deploy_token().await.unwrap();
    let assets = [native(), Asset { symbol: "USD".into(), contract: Some(token.clone()) }];
    world.anvil.fund_token(&token, &bob.address, 42).await.unwrap();
    let wallets: Vec<WalletDesc> = (0..100).map(wallet).collect();
    // A client keeps what it has learnt of the chain's contracts, so each is a new one.
    let ask = async || {
        let access = Access { finality: Finality::Tagged, ..Access::one(&world.proxy.url()) };
        let client = EvmClient::new(id(), &access, None).unwrap();
        world.proxy.reset();
        let states = join_all(wallets.iter().map(|wallet| client.wallet_state(wallet, &assets))).await;
        let states: Vec<_> = states.into_iter().map(Result::unwrap).collect();
        assert_eq!((&states[0].created, &states[0].next), (&Created::Ours, &vec![Claim::Sequence(1)]));
        assert_eq!((&states[1].created, &states[1].balances), (&Created::No, &vec![wei(0), wei(42)]));
        let claim = [Claim::Sequence(0)];
        let fates = wallets.iter().map(|wallet| client.fate(wallet, &paid, &claim, Look::Since(since)));
        let fates: Vec<Fate> = join_all(fates).await.into_iter().map(Result::unwrap).collect();
        let Fate::Done { success: true, place, .. } = fates[0] else { panic!("{:?}", fates[0]) };
        assert_eq!((place.block, place.settled), (since + 1, false));
        assert!(fates[1..].iter().all(|fate| *fate == Fate::Open));
        assert_eq!(world.proxy.count("eth_getLogs"), 1, "{:?}", world.proxy.counts());
    };
    // Other code at Multicall3's address is not used: batches of JSON-RPC do the same in few POSTs.
    world.anvil.set_code(&MULTICALL.to_string(), "0x00").await.unwrap();
    ask().await;
    assert!(world.proxy.posts() <= 24, "{} POSTs of {:?}", world.proxy.posts(), world.proxy.counts());
    // A node that takes no batches either is asked one by one.
    world.proxy.refuse_batches(true);
    ask().await;
    world.proxy.refuse_batches(false);
    world.anvil.deploy_multicall().await.unwrap();
    ask().await;
    assert!(world.proxy.total() <= 16, "{:?}", world.proxy.counts());

    // Followers share one follower.
    world.proxy.reset();
    let known = world.client.head(None).await.unwrap();
    let wait = join_all((0..100).map(|_| world.client.head(Some(&known))));
    let (heads, _) = tokio::join!(wait, world.anvil.fund(SAFE_PLACE, 1));
    let newest = heads[0].as_ref().unwrap().number;
    assert!(newest > known.number && heads.iter().all(|head| head.as_ref().unwrap().number == newest));
    assert!(world.proxy.count("eth_getBlockByNumber") <= 20, "{:?}", world.proxy.counts());
}

#[tokio::test]
async fn logs_are_found_whatever_range_a_node_allows_and_what_is_too_old_is_not_called_superseded() {
    let world = World::new(|_| {}).await;
    let alice = wallet(0);
    let (paid, since) = world.paid(&alice).await;
    let _: Value = world.anvil.rpc("anvil_mine", json!(["0x200"])).await.unwrap();
    let claim = [Claim::Sequence(0)];
    let ask = async |id, look| world.client.fate(&alice, id, &claim, look).await;
    world.proxy.log_range(Some(100));
    for look in [Look::Since(since), Look::Newest(1_000)] {
        let fate = ask(&paid, look).await.unwrap();
        assert!(matches!(&fate, Fate::Done { success: true, place, .. } if place.block == since + 1), "{fate:?}");
        let other = ask(&[9; 32], look).await.unwrap();
        assert!(matches!(&other, Fate::Superseded { place } if place.block == since + 1), "{other:?}");
    }
    assert_eq!(ask(&[9; 32], Look::Newest(300)).await.unwrap(), Fate::Untold);
    // What a node does not show is not taken for absent.
    let hidden = world.proxy.rule(Rule::on("eth_getLogs").does(Fault::Answer(json!([]))));
    assert_eq!(ask(&paid, Look::Since(since)).await.unwrap(), Fate::Untold);
    world.proxy.remove(hidden);
    // Logs of another contract are not believed.
    let foreign = |_: &Value, logs: &mut Value| {
        logs.as_array_mut().unwrap().iter_mut().for_each(|log| log["address"] = json!(SAFE_PLACE));
    };
    world.proxy.rule(Rule::on("eth_getLogs").does(Fault::alter(foreign)));
    let error = ask(&paid, Look::Since(since)).await.unwrap_err();
    assert_eq!(error.says(), Says::Malformed, "{error}");
    world.proxy.clear();
    for (message, pruned) in [("missing trie node", true), ("header not found", false)] {
        let rule = world.proxy.rule(Rule::on("eth_call").does(Fault::error(-32000, message)));
        let error = ask(&paid, Look::Since(since)).await.unwrap_err();
        let ClientError::Unable { inability, .. } = error else { panic!("{error}") };
        assert_eq!(matches!(inability, Inability::Pruned(_)), pruned, "{inability}");
        assert_eq!(matches!(inability, Inability::NoBlock(_)), !pruned, "{inability}");
        world.proxy.remove(rule);
    }
}

#[tokio::test]
async fn a_bad_token_a_missing_factory_and_odd_fees_are_each_told_for_what_they_are() {
    let world = World::new(|access| access.least_tip = 3).await;
    let alice = wallet(0);
    world.anvil.fund(&alice.address, 5).await.unwrap();
    // Tokens without code, whose balanceOf reverts (PUSH0 PUSH0 REVERT), and that answer one byte.
    world.anvil.set_code(&Address::repeat_byte(8).to_string(), "0x5f5ffd").await.unwrap();
    world.anvil.set_code(&Address::repeat_byte(7).to_string(), "0x60015ff3").await.unwrap();
    let token = |byte: u8| Asset { symbol: "BAD".into(), contract: Some(Address::repeat_byte(byte).to_string()) };
    for multicall in [false, true] {
        if multicall {
            world.anvil.deploy_multicall().await.unwrap();
        }
        let client = EvmClient::new(id(), &Access::one(&world.proxy.url()), None).unwrap();
        let state = client.wallet_state(&alice, &[token(9), native(), token(8), token(7)]).await.unwrap();
        let [missing, held, reverting, short] = &state.balances[..] else { panic!("four balances") };
        assert_eq!(held, &wei(5));
        for (bad, words) in [(missing, "does not answer"), (reverting, "reverts"), (short, "1 bytes")] {
            assert!(matches!(bad, Held::Unreadable(why) if why.contains(words)), "{bad:?}");
        }
    }

    // Wallets can be made here; not where the factory is another, and not where a creation gives another address.
    let creation = rules().creation(&alice).unwrap().unwrap();
    world.client.verify_contracts(Some((&alice, &creation))).await.unwrap();
    let bob = wallet(1);
    let refused = async |creation: Option<(&WalletDesc, &chain::Call)>| {
        let client = EvmClient::new(id(), &Access::one(&world.proxy.url()), None).unwrap();
        match client.verify_contracts(creation).await.unwrap_err() {
            ClientError::Contracts { why, .. } => why,
            other => panic!("{other}"),
        }
    };
    let why = refused(Some((&bob, &creation))).await;
    assert!(why.contains(&format!("creating {} would give", bob.address)), "{why}");
    for (code, words) in [("0x", "factory is not at"), ("0x00", "has other code")] {
        world.anvil.set_code(&FACTORY.to_string(), code).await.unwrap();
        let why = refused(None).await;
        assert!(why.contains(words), "{why}");
    }

    // Fees: what the node wants at least, and the legacy form where blocks have no base fee.
    let offer = async || {
        let mut access = Access::one(&world.proxy.url());
        access.least_tip = 3;
        Rpc::of(&access, None).unwrap().offer().await.unwrap()
    };
    let no_history = || Rule::on("eth_feeHistory").does(Fault::error(-32601, "the method does not exist"));
    let price = |price: &str| Rule::on("eth_gasPrice").does(Fault::Answer(json!(price)));
    let tip = |tip: &str| Rule::on("eth_maxPriorityFeePerGas").does(Fault::Answer(json!(tip)));
    let base = |fee: Value| {
        let alter = move |_: &Value, block: &mut Value| match &fee {
            Value::Null => drop(block.as_object_mut().unwrap().remove("baseFeePerGas")),
            fee => block["baseFeePerGas"] = fee.clone(),
        };
        Rule::on("eth_getBlockByNumber").does(Fault::alter(alter))
    };
    for (rules, expected) in [
        (vec![no_history(), price("0x0"), tip("0x0"), base(json!("0x64"))], Offer::Eip1559(Fees { max: 203, tip: 3 })),
        (vec![no_history(), price("0x0"), tip("0x9"), base(json!("0x64"))], Offer::Eip1559(Fees { max: 209, tip: 9 })),
        (
            vec![no_history(), price("0x70"), tip("0x0"), base(json!("0x64"))],
            Offer::Eip1559(Fees { max: 212, tip: 12 }),
        ),
        (vec![price("0x64"), base(Value::Null)], Offer::Legacy { price: 100 }),
        (vec![price("0x1"), base(Value::Null)], Offer::Legacy { price: 3 }),
    ] {
        for rule in rules {
            world.proxy.rule(rule);
        }
        assert_eq!(offer().await, expected);
        world.proxy.clear();
    }
}

#[tokio::test]
async fn two_nodes_whose_chains_part_end_nothing_and_one_of_two_is_too_few() {
    // The same chain twice, by a copy of its state.
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let options = |at: usize| Options { folder: Some(folders[at].path().to_owned()), ..Options::default() };
    let one = Anvil::start(CHAIN, options(0)).await.unwrap();
    let alice = wallet(0);
    one.fund(&alice.address, ETH).await.unwrap();
    one.stop().await;
    fs::copy(folders[0].path().join("chain.json"), folders[1].path().join("chain.json")).unwrap();
    one.start_again().await.unwrap();
    let two = Anvil::start(CHAIN, options(1)).await.unwrap();
    let access = |agree| Access {
        nodes: vec![one.url(), two.url()],
        agree,
        finality: Finality::Depth(0),
        ..Access::one(&one.url())
    };
    let both = paying(&access(2), &one);
    let either = paying(&access(1), &one);
    let balance = async |client: &EvmClient| {
        let state = client.wallet_state(&alice, &[native()]).await;
        state.map(|state| state.balances[0].clone())
    };
    let simulate = async |client: &EvmClient, amount| client.simulate(&alice, &transfer(amount), &[native()]).await;
    assert_eq!(balance(&both).await.unwrap(), wei(ETH));
    assert!(matches!(simulate(&both, 2 * ETH).await.unwrap(), Simulated::Refused(_)));
    assert_eq!(simulate(&both, 1).await.unwrap(), Simulated::Passes);

    // The wallet's payment lands on one of the chains only.
    let rules = rules();
    let alone = paying(&Access::one(&one.url()), &one);
    let executor = Executor::new(&alone, &rules, &alice, errands(), WAIT);
    assert_eq!(tended(&alone, executor.create()).await.unwrap(), Readiness::Ready);
    let (call, paid) = payment(&alice, 7, 0);
    let simulated = either.simulate_call(&alice, &call, Purpose::Execution).await.unwrap();
    assert_eq!(simulated, Simulated::Passes);
    let carried = tended(&alone, executor.execute(&call)).await.unwrap();
    assert!(matches!(carried, Carried::Mined { .. }), "{carried:?}");
    for node in [&one, &two] {
        let _: Value = node.rpc("anvil_mine", json!(["0x8"])).await.unwrap();
    }
    let fate = async |client: &EvmClient| client.fate(&alice, &paid, &[Claim::Sequence(0)], Look::Newest(1_000)).await;
    let ended = fate(&either).await.unwrap();
    assert!(matches!(ended, Fate::Done { success: true, .. }), "{ended:?}");
    for error in [fate(&both).await.unwrap_err(), balance(&both).await.unwrap_err()] {
        assert!(matches!(error, ClientError::Disagree { .. }), "{error}");
        assert_eq!(error.says(), Says::Node);
    }

    // One down: with both needed it is waited, with either the other is asked.
    one.stop().await;
    for error in [fate(&both).await.unwrap_err(), balance(&both).await.unwrap_err()] {
        let too_few = matches!(error, ClientError::TooFew { answering: 1, nodes: 2, needed: 2, .. });
        assert!(too_few, "{error}");
    }
    assert_eq!(balance(&either).await.unwrap(), wei(ETH));
}
