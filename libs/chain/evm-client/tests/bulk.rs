//! Promises of reading many wallets at one block: what comes out is what reading each alone says, whatever a node refuses.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use alloy_primitives::hex;
use chain::{
    Access, Asset, ChainClient, ChainId, ChainRules, ClientError, Created, Head, Held, Inability, KeyRole, Owners,
    WalletDesc, WalletState,
};
use chain_evm::{EvmSafe, constants::MULTICALL};
use chain_evm_client::EvmClient;
use harness::{
    Options,
    evm::Anvil,
    rpc_proxy::{Fault, RpcProxy, Rule},
};
use serde_json::{Value, json};

const CHAIN: u64 = 31_337;
const WALLETS: u8 = 24;
/// It reverts, whatever it is asked.
const REVERTING: &str = "0x00000000000000000000000000000000000000b1";
/// It never ends, and eats all gas that it is given.
const EATING: &str = "0x00000000000000000000000000000000000000b2";
/// There is no code.
const NOTHING: &str = "0x00000000000000000000000000000000000000b3";

fn id() -> ChainId {
    format!("eip155:{CHAIN}").parse().unwrap()
}

/// The wallet of a salt.
fn wallet(salt: u8) -> WalletDesc {
    let rules = EvmSafe::new(id()).unwrap();
    let key = |role| rules.public_key(&[role as u8 + 1; 32]).unwrap();
    let owners = Owners { hot: key(KeyRole::Hot), cool: key(KeyRole::Cool), cold: key(KeyRole::Cold) };
    rules.wallet(&owners, [salt; 32]).unwrap()
}

fn asset(symbol: &str, contract: Option<&str>) -> Asset {
    Asset { symbol: symbol.to_owned(), contract: contract.map(str::to_owned) }
}

/// A node, wallets of every kind, and assets of every kind.
struct World {
    anvil: Anvil,
    proxy: RpcProxy,
    wallets: Vec<WalletDesc>,
    assets: Vec<Asset>,
}

impl World {
    async fn new() -> Self {
        let anvil = Anvil::start(CHAIN, Options::default()).await.unwrap();
        let proxy = RpcProxy::start(&anvil.url()).await.unwrap();
        let wallets: Vec<WalletDesc> = (0..WALLETS).map(wallet).collect();
        let token = anvil.deploy_token().await.unwrap();
        for wallet in &wallets[..9] {
            anvil.fund(&wallet.address, 7).await.unwrap();
        }
        for wallet in &wallets[3..6] {
            let creation = EvmSafe::new(id()).unwrap().creation(wallet).unwrap().unwrap();
            let from = anvil.dev_accounts().unwrap()[5].address.clone();
            let data = hex::encode_prefixed(&creation.data);
            anvil.send(json!({"from": from, "to": creation.to, "data": data})).await.unwrap();
            anvil.fund_token(&token, &wallet.address, 42).await.unwrap();
        }
        // Something that answers everything with nothing, something that reverts, and somebody else's Safe.
        anvil.set_code(&wallets[6].address, "0x00").await.unwrap();
        anvil.set_code(&wallets[7].address, "0x60006000fd").await.unwrap();
        let threshold = format!("0x{:064x}", 4);
        let one = format!("0x{:064x}", 1);
        let _: Value = anvil.rpc("anvil_setStorageAt", json!([wallets[5].address, threshold, one])).await.unwrap();
        anvil.set_code(REVERTING, "0x60006000fd").await.unwrap();
        anvil.set_code(EATING, "0x5b600056").await.unwrap();
        let assets = vec![
            asset("ETH", None),
            asset("EATING", Some(EATING)),
            asset("USD", Some(&token)),
            asset("REVERTING", Some(REVERTING)),
            asset("NOTHING", Some(NOTHING)),
        ];
        Self { anvil, proxy, wallets, assets }
    }

    /// A client keeps what it has learnt of a node, so each is a new one.
    fn client(&self) -> EvmClient {
        EvmClient::new(id(), &Access::one(&self.proxy.url()), None).unwrap()
    }

    async fn read(&self, client: &EvmClient) -> Vec<WalletState> {
        let head = client.head(None).await.unwrap();
        client.wallet_states(&head, &self.wallets, &self.assets).await.unwrap()
    }

    async fn alone(&self) -> Vec<WalletState> {
        let client = self.client();
        let mut states = Vec::new();
        for wallet in &self.wallets {
            states.push(client.wallet_state(wallet, &self.assets).await.unwrap());
        }
        states
    }
}

#[tokio::test]
async fn many_wallets_are_read_as_each_alone_with_and_without_multicall_and_whatever_a_node_refuses() {
    let world = World::new().await;
    let alone = world.alone().await;
    assert_eq!((&alone[0].created, &alone[3].created), (&Created::No, &Created::Ours));
    assert_eq!(alone[3].balances[2], Held::Units(42.into()));
    for foreign in [5, 7] {
        assert!(matches!(alone[foreign].created, Created::Foreign(_)), "{:?}", alone[foreign]);
    }
    for unreadable in [1, 3, 4] {
        assert!(matches!(alone[0].balances[unreadable], Held::Unreadable(_)), "{:?}", alone[0]);
    }
    assert_eq!(world.read(&world.client()).await, alone, "without Multicall3");

    world.anvil.deploy_multicall().await.unwrap();
    let alone = world.alone().await;
    world.proxy.reset();
    assert_eq!(world.read(&world.client()).await, alone);
    // Four values of each wallet and five tokens of which two tell nobody anything, and a sample of those alone.
    assert!(world.proxy.count("eth_call") <= 24, "{:?}", world.proxy.counts());

    // A node that takes so many bytes, spends so much gas, or limits requests.
    let large = |most: usize| move |params: &Value| params.to_string().len() > most;
    for refusal in [
        Fault::status(413, "<html>too large", &[]),
        Fault::error(-32000, "out of gas: gas required exceeds allowance"),
        Fault::error(-32602, "call data too long"),
    ] {
        let rule = world.proxy.rule(Rule::on("eth_call").when(large(6_000)).does(refusal));
        let client = world.client();
        world.proxy.reset();
        assert_eq!(world.read(&client).await, alone);
        let first = world.proxy.count("eth_call");
        assert_eq!(world.read(&client).await, alone);
        assert!(world.proxy.count("eth_call") < 2 * first, "what was refused is not asked again");
        world.proxy.remove(rule);
    }
    let limit = r#"{"jsonrpc":"2.0","id":1,"error":{"code":429,"message":"rate limit"}}"#;
    world.proxy.rule(Rule::any().each(4).does(Fault::status(429, limit, &[("retry-after", "0")])));
    assert_eq!(world.read(&world.client()).await, alone);
}

#[tokio::test]
async fn all_is_of_one_block_and_what_nodes_say_differently_is_nobodys_word() {
    let world = World::new().await;
    world.anvil.deploy_multicall().await.unwrap();
    let client = world.client();
    let then = client.head(None).await.unwrap();
    world.anvil.fund(&world.wallets[0].address, 5).await.unwrap();
    let first = |states: Vec<WalletState>| (states[0].block, states[0].balances[0].clone());
    let at = async |head: &Head| client.wallet_states(head, &world.wallets[..2], &world.assets[..1]).await;
    assert_eq!(first(at(&then).await.unwrap()), (then.number, Held::Units(7.into())));
    let now = client.head(None).await.unwrap();
    assert_eq!(first(at(&now).await.unwrap()), (now.number, Held::Units(12.into())));
    // The block of that number is another one.
    let replaced = Head { id: now.id, ..then };
    let gone = at(&replaced).await.unwrap_err();
    assert!(matches!(&gone, ClientError::Unable { inability: Inability::NoBlock(_), .. }), "{gone}");
    let later = at(&Head { number: now.number + 9, ..replaced }).await.unwrap_err();
    assert!(matches!(&later, ClientError::Unable { inability: Inability::NoBlock(_), .. }), "{later}");

    let access = Access { nodes: vec![world.anvil.url(), world.proxy.url()], agree: 2, ..Access::one("") };
    let both = EvmClient::new(id(), &access, None).unwrap();
    let head = both.head(None).await.unwrap();
    let ask = async || both.wallet_states(&head, &world.wallets[..2], &world.assets[..1]).await;
    // It lies once: both are asked again.
    let more = |_: &Value, answer: &mut Value| {
        let text = answer.as_str().unwrap().replacen("000c", "000d", 1);
        *answer = json!(text);
    };
    world.proxy.rule(Rule::on("eth_call").times(1).does(Fault::alter(more)));
    assert_eq!(first(ask().await.unwrap()).1, Held::Units(12.into()));
    world.proxy.rule(Rule::on("eth_call").does(Fault::alter(more)));
    let disagree = ask().await.unwrap_err();
    assert!(matches!(disagree, ClientError::Disagree { .. }), "{disagree}");
    let named = format!("disagree about the state of {} at block {}", world.wallets[0].address, head.number);
    assert!(disagree.to_string().contains(&named), "{disagree}");
}

#[tokio::test]
async fn a_chain_says_what_its_blocks_carry() {
    let world = World::new().await;
    let [from, to] = [0, 1].map(|place| world.anvil.dev_accounts().unwrap()[place].address.clone());
    let tip = format!("{:#x}", 300_000_000_000_u64);
    for _ in 0..5 {
        let tipped = json!({"from": from, "to": to, "maxPriorityFeePerGas": tip, "maxFeePerGas": format!("{:#x}", 400_000_000_000_u64)});
        world.anvil.send(tipped).await.unwrap();
    }
    let capacity = world.client().capacity().await.unwrap().unwrap();
    let block: Value = world.anvil.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    let limit = u64::from_str_radix(block["gasLimit"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    assert_eq!((capacity.work, capacity.decimals), (limit, 18));
    let base_fee = u128::from_str_radix(block["baseFeePerGas"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    assert_eq!(capacity.price, base_fee + chain::LEAST_TIP, "whatever others tip");
    assert_eq!(world.anvil.rpc::<String>("eth_getCode", json!([MULTICALL.to_string(), "latest"])).await.unwrap(), "0x");
}
