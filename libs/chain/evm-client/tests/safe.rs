//! Promises of wallets and relayer on a real EVM node with the real Safe contracts.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256};
use chain::{
    Asset, ChainRules, Effect,
    KeyRole::{self, Cold, Cool, Hot},
    Owners, WalletDesc,
};
use chain_evm::EvmSafe;
use chain_evm_client::{Call, ClientError, Outcome, Receipt, Relayer, RelayerKey, Rpc};
use harness::{Options, evm::Anvil};
use serde_json::json;

const CHAIN: u64 = 31_337;
const ETH: u128 = 1_000_000_000_000_000_000;
const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const WAIT: Duration = Duration::from_secs(30);

/// A node, a relayer with a float, and one wallet of three known keys.
struct World {
    anvil: Anvil,
    rpc: Arc<Rpc>,
    relayer: Relayer,
    rules: EvmSafe,
    wallet: WalletDesc,
    address: Address,
}

impl World {
    async fn new() -> Self {
        let anvil = Anvil::start(CHAIN, Options::default()).await.unwrap();
        let rpc = Arc::new(Rpc::new(&anvil.url()).unwrap());
        let key = RelayerKey::parse(&anvil.dev_accounts().unwrap()[1].key).unwrap();
        let relayer = Relayer::new(rpc.clone(), CHAIN, key);
        let rules = EvmSafe::new(format!("eip155:{CHAIN}").parse().unwrap()).unwrap();
        let key = |role| rules.public_key(&secret(role)).unwrap();
        let owners = Owners { hot: key(Hot), cool: key(Cool), cold: key(Cold) };
        let wallet = rules.wallet(&owners, [0; 32]).unwrap();
        let address = wallet.address.parse().unwrap();
        Self { anvil, rpc, relayer, rules, wallet, address }
    }

    async fn fund(&self, wei: u128) {
        self.anvil.fund(&self.wallet.address, wei).await.unwrap();
    }

    async fn deploy(&self) {
        let deployment = self.rules.deployment(&self.wallet).unwrap();
        assert!(self.send(&deployment.into()).await.success);
    }

    async fn send(&self, call: &Call) -> Receipt {
        let relayed = self.relayer.submit(call).await.unwrap();
        mined(self.relayer.follow(&relayed, WAIT).await.unwrap())
    }

    /// `execTransaction` of an intent, signed by two owners.
    fn signed(&self, intent: &Effect, assets: &[Asset], nonce: u64, by: [KeyRole; 2]) -> (Call, B256) {
        let unsigned = self.rules.build(intent, assets, nonce).unwrap();
        let digest = self.rules.decode(&unsigned, &self.wallet, assets).unwrap().digest;
        let signatures = by.map(|role| (role, self.rules.sign(&secret(role), &digest).unwrap()));
        (self.rules.assemble(&unsigned, &self.wallet, &signatures).unwrap().into(), digest.into())
    }

    fn payment(&self, wei: u128, nonce: u64, by: [KeyRole; 2]) -> (Call, B256) {
        self.signed(&transfer("ETH", wei), &[native()], nonce, by)
    }

    async fn saved(&self) -> u128 {
        self.anvil.balance(SAFE_PLACE).await.unwrap()
    }
}

fn secret(role: KeyRole) -> [u8; 32] {
    match role {
        Hot => [1; 32],
        Cool => [2; 32],
        Cold => [3; 32],
    }
}

fn native() -> Asset {
    Asset { symbol: "ETH".into(), contract: None }
}

fn transfer(asset: &str, amount: u128) -> Effect {
    Effect::Transfer { asset: asset.into(), to: SAFE_PLACE.into(), amount: amount.into() }
}

fn mined(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Mined(receipt) => receipt,
        other => panic!("not mined: {other:?}"),
    }
}

fn reverted(result: Result<Bytes, ClientError>) -> String {
    match result {
        Err(ClientError::Reverted { revert, .. }) => revert.to_string(),
        other => panic!("not reverted: {other:?}"),
    }
}

/// The same call with other signatures, which are its last argument: a word of length, then two times 65 bytes padded.
fn with_signatures(call: &Call, signatures: &[u8]) -> Call {
    let mut data = call.data[..call.data.len() - 32 - 160].to_vec();
    data.extend(U256::from(signatures.len()).to_be_bytes::<32>());
    data.extend(signatures);
    data.extend(vec![0; signatures.len().next_multiple_of(32) - signatures.len()]);
    Call { data: data.into(), ..call.clone() }
}

#[tokio::test]
async fn the_address_is_known_before_the_contract_is_there_and_keeps_what_was_sent_to_it() {
    let world = World::new().await;
    world.fund(ETH).await;
    let before = world.rpc.safe(world.address, &[]).await.unwrap();
    assert_eq!((before.deployed, before.nonce, before.native), (false, 0, U256::from(ETH)));
    world.deploy().await;
    let after = world.rpc.safe(world.address, &[]).await.unwrap();
    assert_eq!((after.deployed, after.nonce, after.threshold, after.native), (true, 0, 2, U256::from(ETH)));
    let owners: Vec<_> = after.owners.iter().map(Address::to_string).collect();
    assert_eq!(owners, world.wallet.owner_addresses);
}

#[tokio::test]
async fn any_two_owners_pay_and_each_payment_is_found_by_its_digest() {
    let world = World::new().await;
    world.fund(ETH).await;
    world.deploy().await;
    let start = world.rpc.block_number().await.unwrap();
    let mut digests = Vec::new();
    for (nonce, by) in (0..).zip([[Hot, Cool], [Cool, Cold], [Cold, Hot]]) {
        let (call, digest) = world.payment(7, nonce, by);
        world.relayer.simulate(&call).await.unwrap();
        assert!(world.send(&call).await.success);
        digests.push(digest);
    }
    assert_eq!(world.saved().await, 21);
    let executions = world.rpc.executions(world.address, start).await.unwrap();
    assert_eq!(executions.iter().map(|execution| execution.digest).collect::<Vec<_>>(), digests);
    assert!(executions.iter().all(|execution| execution.success));
    let found = world.rpc.execution_of(world.address, digests[1], 1_000).await.unwrap();
    assert_eq!(found, Some(executions[1]));
    assert_eq!(world.rpc.execution_of(world.address, B256::ZERO, 1_000).await.unwrap(), None);
}

#[tokio::test]
async fn the_chain_refuses_fewer_than_two_owners_and_says_why() {
    let world = World::new().await;
    world.fund(ETH).await;
    world.deploy().await;
    let (call, digest) = world.payment(7, 0, [Hot, Cool]);
    let sign = |secret: [u8; 32]| world.rules.sign(&secret, &digest.0).unwrap();
    let (hot, stranger) = (sign(secret(Hot)), sign([9; 32]));
    let attempt =
        async |signatures: Vec<u8>| reverted(world.relayer.simulate(&with_signatures(&call, &signatures)).await);
    assert_eq!(attempt(hot.clone()).await, "GS020");
    assert_eq!(attempt([hot.clone(), hot.clone()].concat()).await, "GS026");
    assert_eq!(attempt([hot.clone(), stranger.clone()].concat()).await, "GS026");
    assert_eq!(attempt([stranger, hot].concat()).await, "GS026");
    assert_eq!(world.saved().await, 0);
    world.relayer.simulate(&call).await.unwrap();
}

#[tokio::test]
async fn a_signed_payment_happens_once() {
    let world = World::new().await;
    world.fund(ETH).await;
    world.deploy().await;
    let (call, _) = world.payment(7, 0, [Hot, Cool]);
    assert!(world.send(&call).await.success);
    // The nonce is another now, so the signatures are over something else.
    assert_eq!(reverted(world.relayer.simulate(&call).await), "GS026");
    assert!(matches!(world.relayer.submit(&call).await, Err(ClientError::Reverted { .. })));
    assert_eq!(world.saved().await, 7);
}

#[tokio::test]
async fn what_the_wallet_does_not_have_is_refused_before_and_after_signing() {
    let world = World::new().await;
    world.fund(5).await;
    world.deploy().await;
    let (call, _) = world.payment(7, 0, [Hot, Cool]);
    assert_eq!(reverted(world.relayer.simulate(&call).await), "GS013");
    assert_eq!(world.rpc.safe(world.address, &[]).await.unwrap().nonce, 0);
}

#[tokio::test]
async fn tokens_move_like_coins() {
    let world = World::new().await;
    world.deploy().await;
    let contract = world.anvil.deploy_token().await.unwrap();
    world.anvil.fund_token(&contract, &world.wallet.address, 42).await.unwrap();
    let (token, to): (Address, Address) = (contract.parse().unwrap(), SAFE_PLACE.parse().unwrap());
    let simulate =
        async |units: u64| world.rpc.simulate_transfer(world.address, Some(token), to, U256::from(units)).await;
    simulate(42).await.unwrap();
    assert!(matches!(simulate(43).await, Err(ClientError::Reverted { .. })));
    let asset = Asset { symbol: "USD".into(), contract: Some(contract.clone()) };
    let (call, _) = world.signed(&transfer("USD", 40), &[asset], 0, [Hot, Cool]);
    assert!(world.send(&call).await.success);
    assert_eq!(world.anvil.token_balance(&contract, SAFE_PLACE).await.unwrap(), 40);
    assert_eq!(world.rpc.safe(world.address, &[token]).await.unwrap().tokens, [U256::from(2)]);
}

#[tokio::test]
async fn a_destination_that_takes_no_coins_is_noticed_before_signing() {
    let world = World::new().await;
    world.fund(ETH).await;
    let factory = chain_evm::constants::FACTORY;
    let refused = world.rpc.simulate_transfer(world.address, None, factory, U256::from(1)).await;
    assert!(matches!(refused, Err(ClientError::Reverted { .. })), "{refused:?}");
    let nowhere =
        world.rpc.simulate_transfer(world.address, Some(Address::repeat_byte(9)), factory, U256::from(1)).await;
    assert!(matches!(nowhere, Err(ClientError::Reverted { .. })), "{nowhere:?}");
    world.rpc.simulate_transfer(world.address, None, SAFE_PLACE.parse().unwrap(), U256::from(1)).await.unwrap();
}

#[tokio::test]
async fn the_same_transaction_sent_again_is_the_same_transaction() {
    let world = World::new().await;
    world.fund(ETH).await;
    world.deploy().await;
    let () = world.anvil.rpc("evm_setAutomine", json!([false])).await.unwrap();
    let (call, _) = world.payment(7, 0, [Hot, Cool]);
    let relayed = world.relayer.submit(&call).await.unwrap();
    for _ in 0..3 {
        let pending = world.relayer.follow(&relayed, Duration::ZERO).await;
        assert!(matches!(pending, Err(ClientError::Pending(hash)) if hash == relayed.hash), "{pending:?}");
    }
    assert!(matches!(world.relayer.settled(Duration::ZERO).await, Err(ClientError::Unsettled(_))));
    let _: serde_json::Value = world.anvil.rpc("evm_mine", json!([])).await.unwrap();
    let receipt = mined(world.relayer.follow(&relayed, WAIT).await.unwrap());
    assert!(receipt.success && receipt.tx == relayed.hash);
    assert_eq!(mined(world.relayer.follow(&relayed, Duration::ZERO).await.unwrap()), receipt);
    assert_eq!(world.saved().await, 7);
    world.relayer.settled(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_the_network_forgot_is_sent_again_and_one_that_lost_its_place_is_told() {
    let world = World::new().await;
    let pay = Call { to: SAFE_PLACE.parse().unwrap(), value: U256::from(1), data: Bytes::new() };
    let () = world.anvil.rpc("evm_setAutomine", json!([false])).await.unwrap();
    let forgotten = world.relayer.submit(&pay).await.unwrap();
    let _: serde_json::Value =
        world.anvil.rpc("anvil_dropTransaction", json!([forgotten.hash.to_string()])).await.unwrap();
    assert!(world.rpc.pending_nonce(world.relayer.address()).await.unwrap() == forgotten.nonce);
    // Another takes its place before it is sent again.
    let rival = world.relayer.submit(&Call { value: U256::from(2), ..pay.clone() }).await.unwrap();
    assert_eq!(rival.nonce, forgotten.nonce);
    let _: serde_json::Value = world.anvil.rpc("evm_mine", json!([])).await.unwrap();
    assert!(mined(world.relayer.follow(&rival, WAIT).await.unwrap()).success);
    assert_eq!(world.relayer.follow(&forgotten, WAIT).await.unwrap(), Outcome::Replaced);

    let forgotten = world.relayer.submit(&pay).await.unwrap();
    let _: serde_json::Value =
        world.anvil.rpc("anvil_dropTransaction", json!([forgotten.hash.to_string()])).await.unwrap();
    let () = world.anvil.rpc("evm_setAutomine", json!([true])).await.unwrap();
    assert!(mined(world.relayer.follow(&forgotten, WAIT).await.unwrap()).success);
    assert_eq!(world.saved().await, 3);
}

#[tokio::test]
async fn parallel_senders_never_share_a_nonce() {
    let world = World::new().await;
    let send = async |value: u64| {
        let call = Call { to: SAFE_PLACE.parse().unwrap(), value: U256::from(value), data: Bytes::new() };
        world.send(&call).await
    };
    let receipts = tokio::join!(send(1), send(2), send(4), send(8), send(16), send(32));
    let (a, b, c, d, e, f) = receipts;
    assert!([a, b, c, d, e, f].iter().all(|receipt| receipt.success));
    assert_eq!(world.saved().await, 63);
    assert_eq!(world.rpc.nonce(world.relayer.address()).await.unwrap(), 6);
}

#[tokio::test]
async fn an_empty_float_a_wrong_chain_and_a_node_that_hangs_are_told_apart() {
    let world = World::new().await;
    let poor = Relayer::new(world.rpc.clone(), CHAIN, RelayerKey::parse(&"07".repeat(32)).unwrap());
    let call = Call { to: SAFE_PLACE.parse().unwrap(), value: U256::ZERO, data: Bytes::new() };
    let error = poor.submit(&call).await.unwrap_err();
    assert!(matches!(error, ClientError::Float { .. }), "{error}");
    assert!(error.to_string().contains(&poor.address().to_string()), "{error}");

    world.rpc.expect_chain(CHAIN).await.unwrap();
    assert!(matches!(world.rpc.expect_chain(1).await, Err(ClientError::WrongChain { expected: 1, found: CHAIN, .. })));

    world.anvil.stop().await;
    let error = world.rpc.block_number().await.unwrap_err();
    assert!(matches!(error, ClientError::Away { method: "eth_blockNumber", .. }), "{error}");
    world.anvil.start_again().await.unwrap();
    world.rpc.block_number().await.unwrap();
}
