//! Promises of wallets and relayer on a real EVM node with the real Safe contracts.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, Bytes, U256};
use chain::{
    Access, Amount, Asset, ChainClient, ChainId, ChainRules, Claim, ClientError, Created, Effect, Errand, Fate, Held,
    InMemory, Inability,
    KeyRole::{self, Cold, Cool, Hot},
    Look, Outcome, Owners, Payload, Place, Purpose, RelayLimits, Relaying, Simulated, WalletDesc,
    execute::{Carried, Errands, Executor, Readiness},
};
use chain_evm::EvmSafe;
use chain_evm_client::{Call, EvmClient, Rpc};
use harness::{Options, evm::Anvil};

const CHAIN: u64 = 31_337;
const ETH: u128 = 1_000_000_000_000_000_000;
const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const WAIT: Duration = Duration::from_secs(30);

/// A node, a relayer with a float, and one wallet of three known keys.
struct World {
    anvil: Anvil,
    rpc: Arc<Rpc>,
    client: EvmClient,
    rules: EvmSafe,
    wallet: WalletDesc,
    address: Address,
}

impl World {
    async fn new() -> Self {
        let anvil = Anvil::start(CHAIN, Options::default()).await.unwrap();
        let rpc = Arc::new(Rpc::new(&anvil.url()).unwrap());
        let client = paid_by(&anvil, &anvil.dev_accounts().unwrap()[1].key);
        let rules = EvmSafe::new(id()).unwrap();
        let key = |role| rules.public_key(&secret(role)).unwrap();
        let owners = Owners { hot: key(Hot), cool: key(Cool), cold: key(Cold) };
        let wallet = rules.wallet(&owners, [0; 32]).unwrap();
        let address = wallet.address.parse().unwrap();
        Self { anvil, rpc, client, rules, wallet, address }
    }

    async fn fund(&self, wei: u128) {
        self.anvil.fund(&self.wallet.address, wei).await.unwrap();
    }

    async fn deploy(&self) {
        let creation = self.rules.creation(&self.wallet).unwrap().unwrap();
        assert!(self.send(&creation).await);
    }

    /// Whether it succeeded.
    async fn send(&self, call: &chain::Call) -> bool {
        let mut following = self.client.relay(&self.wallet, &errand("test"), call).await.unwrap();
        match self.tended(following.outcome(WAIT)).await.unwrap() {
            Outcome::Mined { success, .. } => success,
            other => panic!("not mined: {other:?}"),
        }
    }

    /// Does `work` while the relayer is looked after.
    async fn tended<T>(&self, work: impl Future<Output = T>) -> T {
        let tend = async {
            loop {
                self.client.tend(&self.client.head(None).await.unwrap()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            done = work => done,
            () = tend => unreachable!("it never ends"),
        }
    }

    fn relayer(&self) -> Address {
        self.client.relayers()[0].parse().unwrap()
    }

    async fn simulate(&self, call: &Call) -> Result<Bytes, ClientError> {
        self.rpc.call(self.relayer(), call, None).await
    }

    /// `execTransaction` of an effect, signed by two owners, and its digest.
    fn signed(&self, effect: &Effect, assets: &[Asset], nonce: u64, by: [KeyRole; 2]) -> (chain::Call, [u8; 32]) {
        let unsigned = self.rules.build(effect, &self.wallet, assets, &[Claim::Sequence(nonce)]).unwrap();
        let digest = self.rules.decode(&unsigned, &self.wallet, assets).unwrap().id;
        let signatures = by.map(|role| (role, vec![self.sign(role, digest)]));
        (self.rules.assemble(&unsigned, &self.wallet, &signatures).unwrap(), digest)
    }

    fn sign(&self, role: KeyRole, digest: [u8; 32]) -> Vec<u8> {
        self.rules.sign(&secret(role), &Payload::Digest(digest)).unwrap()
    }

    fn payment(&self, wei: u128, nonce: u64, by: [KeyRole; 2]) -> (chain::Call, [u8; 32]) {
        self.signed(&transfer("ETH", wei), &[native()], nonce, by)
    }

    fn executor(&self) -> Executor<'_> {
        let errands = Errands { creation: errand("creation"), execution: errand("execution") };
        Executor::new(&self.client, &self.rules, &self.wallet, errands, WAIT)
    }

    async fn fate(&self, id: [u8; 32], nonce: u64, look: Look) -> Fate {
        self.client.fate(&self.wallet, &id, &[Claim::Sequence(nonce)], look).await.unwrap()
    }

    /// Transactions that the relayer has had mined.
    async fn relayed(&self) -> u64 {
        self.rpc.nonce(self.relayer()).await.unwrap()
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

fn errand(purpose: &str) -> Errand {
    Errand { of: "wallet".to_owned(), purpose: purpose.to_owned() }
}

fn paid_by(anvil: &Anvil, key: &str) -> EvmClient {
    let relaying = Relaying { keys: &[key], limits: RelayLimits::DEFAULT, journal: Arc::new(InMemory::default()) };
    EvmClient::new(id(), &Access::one(&anvil.url()), Some(&relaying)).unwrap()
}

fn id() -> ChainId {
    format!("eip155:{CHAIN}").parse().unwrap()
}

fn evm(call: &chain::Call) -> Call {
    call.try_into().unwrap()
}

fn reverted(result: Result<Bytes, ClientError>) -> String {
    match result {
        Err(ClientError::Reverted { reason, .. }) => reason,
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
        assert!(world.send(&call).await);
        digests.push(digest);
    }
    assert_eq!(world.saved().await, 21);
    for (nonce, digest) in (0..).zip(digests) {
        let place = Place { block: start + nonce + 1, depth: 2 - nonce, settled: true };
        for look in [Look::Since(start + nonce), Look::Newest(1_000)] {
            let fate = world.fate(digest, nonce, look).await;
            assert!(matches!(fate, Fate::Done { success: true, place: found, .. } if found == place), "{fate:?}");
            let other = world.fate([0; 32], nonce, look).await;
            assert_eq!(other, Fate::Superseded { place });
        }
    }
}

#[tokio::test]
async fn the_chain_refuses_fewer_than_two_owners_and_says_why() {
    let world = World::new().await;
    world.fund(ETH).await;
    world.deploy().await;
    let (call, digest) = world.payment(7, 0, [Hot, Cool]);
    let call = evm(&call);
    let stranger = world.rules.sign(&[9; 32], &Payload::Digest(digest)).unwrap();
    let hot = world.sign(Hot, digest);
    let attempt = async |signatures: Vec<u8>| reverted(world.simulate(&with_signatures(&call, &signatures)).await);
    assert_eq!(attempt(hot.clone()).await, "GS020");
    assert_eq!(attempt([hot.clone(), hot.clone()].concat()).await, "GS026");
    assert_eq!(attempt([hot.clone(), stranger.clone()].concat()).await, "GS026");
    assert_eq!(attempt([stranger, hot].concat()).await, "GS026");
    assert_eq!(world.saved().await, 0);
    world.simulate(&call).await.unwrap();
}

#[tokio::test]
async fn a_signed_payment_happens_once() {
    let world = World::new().await;
    world.fund(ETH).await;
    world.deploy().await;
    let (call, _) = world.payment(7, 0, [Hot, Cool]);
    assert!(world.send(&call).await);
    // The nonce is another now, so the signatures are over something else.
    assert_eq!(reverted(world.simulate(&evm(&call)).await), "GS026");
    let again = world.client.relay(&world.wallet, &errand("again"), &call).await;
    assert!(matches!(again, Err(ClientError::Reverted { .. })));
    assert_eq!(world.saved().await, 7);
}

#[tokio::test]
async fn what_the_wallet_does_not_have_is_refused_before_and_after_signing() {
    let world = World::new().await;
    world.fund(5).await;
    world.deploy().await;
    let (call, _) = world.payment(7, 0, [Hot, Cool]);
    let simulated = world.client.simulate_call(&world.wallet, &call, Purpose::Execution).await.unwrap();
    assert_eq!(simulated, Simulated::Refused("GS013".to_owned()));
    assert_eq!(world.executor().execute(&call).await.unwrap(), Carried::Refused("GS013".to_owned()));
    assert_eq!(world.relayed().await, 1);
    assert_eq!(world.rpc.safe(world.address, &[]).await.unwrap().nonce, 0);
}

#[tokio::test]
async fn tokens_move_like_coins() {
    let world = World::new().await;
    world.deploy().await;
    let contract = world.anvil.deploy_token().await.unwrap();
    world.anvil.fund_token(&contract, &world.wallet.address, 42).await.unwrap();
    let assets = [Asset { symbol: "USD".into(), contract: Some(contract.clone()) }, native()];
    let simulate = async |units| world.client.simulate(&world.wallet, &transfer("USD", units), &assets).await.unwrap();
    assert_eq!(simulate(42).await, Simulated::Passes);
    assert!(matches!(simulate(43).await, Simulated::Refused(_)));
    let (call, _) = world.signed(&transfer("USD", 40), &assets, 0, [Hot, Cool]);
    assert!(world.send(&call).await);
    assert_eq!(world.anvil.token_balance(&contract, SAFE_PLACE).await.unwrap(), 40);
    world.fund(5).await;
    let state = world.client.wallet_state(&world.wallet, &assets).await.unwrap();
    assert_eq!(state.balances, [Held::Units(Amount::from(2)), Held::Units(Amount::from(5))]);
    assert_eq!(state.next, [Claim::Sequence(1)]);
}

#[tokio::test]
async fn a_destination_that_takes_no_coins_is_noticed_before_signing() {
    let world = World::new().await;
    world.fund(ETH).await;
    let to = |to: &str, asset: &str| Effect::Transfer { asset: asset.into(), to: to.into(), amount: 1.into() };
    let nowhere = Asset { symbol: "NONE".into(), contract: Some(Address::repeat_byte(9).to_string()) };
    let assets = [native(), nowhere];
    let simulate = async |effect: Effect| world.client.simulate(&world.wallet, &effect, &assets).await.unwrap();
    let factory = chain_evm::constants::FACTORY.to_string();
    assert!(matches!(simulate(to(&factory, "ETH")).await, Simulated::Refused(_)));
    let refused = Simulated::Refused("there is no contract at the token's address".to_owned());
    assert_eq!(simulate(to(SAFE_PLACE, "NONE")).await, refused);
    assert_eq!(simulate(to(SAFE_PLACE, "ETH")).await, Simulated::Passes);
}

#[tokio::test]
async fn an_empty_float_a_wrong_chain_and_a_node_that_hangs_are_told_apart() {
    let world = World::new().await;
    let poor = paid_by(&world.anvil, &"07".repeat(32));
    let creation = world.rules.creation(&world.wallet).unwrap().unwrap();
    let Err(error) = poor.relay(&world.wallet, &errand("poor"), &creation).await else { panic!("sent") };
    assert!(matches!(error, ClientError::Float { .. }), "{error}");
    assert!(error.to_string().contains(&poor.relayers()[0]), "{error}");

    world.client.verify_chain().await.unwrap();
    let mainnet = EvmClient::new("eip155:1".parse().unwrap(), &Access::one(&world.anvil.url()), None).unwrap();
    let error = mainnet.verify_chain().await.unwrap_err();
    assert!(matches!(&error, ClientError::WrongChain { found, .. } if *found == id()), "{error}");
    let unpaid = mainnet.relay(&world.wallet, &errand("unpaid"), &creation).await;
    assert!(matches!(unpaid, Err(ClientError::NoRelayer(_))));
    let accounts = world.client.tend(&world.client.head(None).await.unwrap()).await.unwrap();
    assert_eq!((accounts[0].float.relayer.clone(), accounts[0].low), (world.relayer().to_string(), false));

    world.anvil.stop().await;
    let error = world.rpc.block_number().await.unwrap_err();
    assert!(matches!(error, ClientError::Away { .. }), "{error}");
    world.anvil.start_again().await.unwrap();
    world.rpc.block_number().await.unwrap();
}

#[tokio::test]
async fn a_wallet_is_created_once_and_what_was_signed_is_carried_out_once() {
    let world = World::new().await;
    world.fund(ETH).await;
    assert_eq!(world.client.wallet_state(&world.wallet, &[]).await.unwrap().created, Created::No);
    let executor = world.executor();
    for _ in 0..2 {
        assert_eq!(world.tended(executor.create()).await.unwrap(), Readiness::Ready);
    }
    assert_eq!(world.client.wallet_state(&world.wallet, &[]).await.unwrap().created, Created::Ours);
    let start = world.rpc.block_number().await.unwrap();
    let (call, id) = world.payment(7, 0, [Hot, Cool]);
    assert_eq!(executor.fate(&id, &[Claim::Sequence(0)], Look::Since(start)).await.unwrap(), Fate::Open);
    let carried = world.tended(executor.execute(&call)).await.unwrap();
    let Carried::Mined { tx, success: true } = carried else { panic!("not mined") };
    // What is settled is forgotten.
    world.client.tend(&world.client.head(None).await.unwrap()).await.unwrap();
    assert_eq!(executor.execute(&call).await.unwrap(), Carried::Refused("GS026".to_owned()));
    assert_eq!(world.saved().await, 7);
    assert_eq!(world.relayed().await, 2);
    for look in [Look::Since(start), Look::Newest(1_000)] {
        let fate = world.fate(id, 0, look).await;
        assert_eq!(
            fate,
            Fate::Done { tx: tx.clone(), success: true, place: Place { block: start + 1, depth: 0, settled: true } }
        );
        assert!(matches!(world.fate([9; 32], 0, look).await, Fate::Superseded { .. }));
        assert_eq!(world.fate([9; 32], 5, look).await, Fate::Early(Claim::Sequence(1)));
    }
    // Used before the blocks that were looked at: by what is not known.
    world.anvil.fund(SAFE_PLACE, 1).await.unwrap();
    assert_eq!(world.fate(id, 0, Look::Newest(0)).await, Fate::Untold);
    // The node does not have the block after which it was used: what it shows is there, what it does not may be.
    let ahead = Look::Since(start + 1_000);
    assert!(matches!(world.fate(id, 0, ahead).await, Fate::Done { success: true, .. }));
    let ahead = world.client.fate(&world.wallet, &[9; 32], &[Claim::Sequence(0)], ahead).await;
    assert!(matches!(&ahead, Err(ClientError::Unable { inability: Inability::NoBlock(_), .. })), "{ahead:?}");
}
