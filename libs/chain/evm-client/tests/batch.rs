//! Promises of many wallets in one transaction, on a real EVM node with the real Safe contracts and Multicall3.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{sync::Arc, time::Duration};

use chain::{
    Access, Asset, Call, ChainClient, ChainId, ChainRules, Claim, ClientError, Created, Effect, Errand, InMemory,
    KeyRole, Outcome, Owners, Payload, RelayLimits, Relaying, WalletDesc,
    batch::{Batch, Batched, Batching, Group, Tried},
};
use chain_evm::{EvmSafe, constants::MULTICALL};
use chain_evm_client::EvmClient;
use harness::{Options, evm::Anvil};

const CHAIN: u64 = 31_337;
const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const WAIT: Duration = Duration::from_secs(30);

/// A node with Multicall3, and wallets that differ in their salt.
struct World {
    anvil: Anvil,
    rules: EvmSafe,
}

impl World {
    async fn new() -> Self {
        let anvil = Anvil::start(CHAIN, Options::default()).await.unwrap();
        anvil.deploy_multicall().await.unwrap();
        Self { anvil, rules: EvmSafe::new(id()).unwrap() }
    }

    /// A client that spends so much gas on one transaction.
    fn client(&self, max_gas: u64) -> EvmClient {
        let limits = RelayLimits { max_gas, ..RelayLimits::DEFAULT };
        let key = &self.anvil.dev_accounts().unwrap()[1].key;
        let relaying = Relaying { keys: &[key], limits, journal: Arc::new(InMemory::default()) };
        EvmClient::new(id(), &Access::one(&self.anvil.url()), Some(&relaying)).unwrap()
    }

    async fn wallet(&self, salt: u8, wei: u128) -> WalletDesc {
        let key = |byte| self.rules.public_key(&[byte; 32]).unwrap();
        let owners = Owners { hot: key(1), cool: key(2), cold: key(3) };
        let wallet = self.rules.wallet(&owners, [salt; 32]).unwrap();
        if wei > 0 {
            self.anvil.fund(&wallet.address, wei).await.unwrap();
        }
        wallet
    }

    fn creation(&self, wallet: &WalletDesc) -> Call {
        self.rules.creation(wallet).unwrap().unwrap()
    }

    /// Cool and cold move 7 wei at this nonce.
    fn payment(&self, wallet: &WalletDesc, nonce: u64) -> Call {
        let assets = [Asset { symbol: "ETH".into(), contract: None }];
        let effect = Effect::Transfer { asset: "ETH".into(), to: SAFE_PLACE.into(), amount: 7.into() };
        let unsigned = self.rules.build(&effect, wallet, &assets, &[Claim::Sequence(nonce)]).unwrap();
        let digest = Payload::Digest(self.rules.decode(&unsigned, wallet, &assets).unwrap().id);
        let sign = |byte| vec![self.rules.sign(&[byte; 32], &digest).unwrap()];
        self.rules.assemble(&unsigned, wallet, &[(KeyRole::Cool, sign(2)), (KeyRole::Cold, sign(3))]).unwrap()
    }

    fn group<'w>(&self, wallet: &'w WalletDesc, executions: u64) -> Group<'w> {
        let executions = (0..executions).map(|nonce| self.payment(wallet, nonce)).collect();
        Group { wallet, creation: Some(self.creation(wallet)), executions }
    }

    /// Sends what was tried; whether the transaction succeeded.
    async fn send(&self, client: &EvmClient, batched: &Batched) -> bool {
        let errand = Errand { of: "batch".to_owned(), purpose: "execution".to_owned() };
        let mut following = client.relay_batch(&errand, batched).await.unwrap();
        let tend = async {
            loop {
                client.tend(&client.head(None).await.unwrap()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            outcome = following.outcome(WAIT) => matches!(outcome.unwrap(), Outcome::Mined { success: true, .. }),
            () = tend => unreachable!("it never ends"),
        }
    }

    async fn create(&self, wallet: &WalletDesc) {
        let Call { to, data } = self.creation(wallet);
        let from = self.anvil.dev_accounts().unwrap()[5].address.clone();
        let data = chain::hex::encode_prefixed(data);
        self.anvil.send(serde_json::json!({"from": from, "to": to, "data": data})).await.unwrap();
    }

    async fn saved(&self) -> u128 {
        self.anvil.balance(SAFE_PLACE).await.unwrap()
    }
}

fn id() -> ChainId {
    format!("eip155:{CHAIN}").parse().unwrap()
}

fn included(executions: usize) -> Tried {
    Tried::In { executions, refused: None }
}

#[tokio::test]
async fn what_would_fail_is_left_out_by_name_and_the_rest_takes_place_in_one_transaction() {
    let world = World::new().await;
    let client = world.client(1 << 24);
    let (there, absent, poor, short) =
        (world.wallet(1, 14).await, world.wallet(2, 7).await, world.wallet(3, 0).await, world.wallet(4, 7).await);
    world.create(&there).await;
    let groups = [
        Group { creation: None, ..world.group(&there, 2) },
        world.group(&absent, 1),
        world.group(&poor, 1),
        world.group(&short, 2),
    ];
    let Batch { transaction, full, tried } = client.batch(&groups).await.unwrap();
    let refused = || "GS013".to_owned();
    let partly = Tried::In { executions: 1, refused: Some(refused()) };
    assert_eq!((full, tried), (false, vec![included(2), included(1), Tried::Refused(refused()), partly]));
    // Somebody else creates one meanwhile: that spoils nothing, neither of it nor of what comes after it.
    world.create(&absent).await;
    assert!(world.send(&client, &transaction.unwrap()).await);
    assert_eq!(world.saved().await, 4 * 7);
    let created = client.wallet_state(&poor, &[]).await.unwrap().created;
    assert_eq!(created, Created::No, "nothing is created for what moves nothing");

    // Played again, all of it is refused.
    let Batch { transaction, tried, .. } = client.batch(&groups[..2]).await.unwrap();
    assert_eq!((transaction, tried), (None, vec![Tried::Refused("GS026".to_owned()); 2]));
}

#[tokio::test]
async fn creations_alone_go_together_whoever_makes_one_of_them_first() {
    let world = World::new().await;
    let client = world.client(1 << 24);
    let mut wallets = Vec::new();
    for salt in 1..=8 {
        wallets.push(world.wallet(salt, 0).await);
    }
    let groups: Vec<Group<'_>> = wallets.iter().map(|wallet| world.group(wallet, 0)).collect();
    let Batch { transaction, tried, .. } = client.batch(&groups).await.unwrap();
    assert_eq!(tried, vec![included(0); 8]);
    let transaction = transaction.unwrap();
    for raced in [&wallets[0], &wallets[4]] {
        world.create(raced).await;
    }
    assert!(world.send(&client, &transaction).await);
    for wallet in &wallets {
        assert_eq!(client.wallet_state(wallet, &[]).await.unwrap().created, Created::Ours);
    }
    let Batch { transaction, tried, .. } = client.batch(&groups).await.unwrap();
    let there = "it can't be created: something is at its address already";
    assert_eq!((transaction, tried), (None, vec![Tried::Refused(there.to_owned()); 8]));
}

#[tokio::test]
async fn a_transaction_is_filled_though_some_of_what_is_offered_is_refused() {
    let world = World::new().await;
    let mut wallets = Vec::new();
    for salt in 1..=60 {
        // Every fourth has nothing to pay with.
        wallets.push(world.wallet(salt, if salt % 4 == 0 { 0 } else { 7 }).await);
    }
    let groups: Vec<Group<'_>> = wallets.iter().map(|wallet| world.group(wallet, 1)).collect();
    let ceiling = 8_000_000;
    let Batch { transaction, full, tried } = world.client(ceiling).batch(&groups).await.unwrap();
    let work = transaction.unwrap().work;
    assert!(full && work <= ceiling && work * 10 >= ceiling * 9, "{work} of {ceiling}");
    let count = |which: fn(&Tried) -> bool| tried.iter().filter(|tried| which(tried)).count();
    let (aboard, later) = (count(|it| *it == included(1)), count(|it| *it == Tried::Later));
    assert!(aboard >= 20 && later >= 10 && aboard + later < 60, "{tried:?}");
}

#[tokio::test]
async fn what_does_not_fit_waits_and_what_never_fits_is_named() {
    let world = World::new().await;
    let wallets = [world.wallet(1, 7).await, world.wallet(2, 7).await, world.wallet(3, 7).await];
    let groups = wallets.each_ref().map(|wallet| world.group(wallet, 1));
    let client = world.client(800_000);
    let Batch { transaction, full, tried } = client.batch(&groups).await.unwrap();
    assert_eq!((full, tried), (true, vec![included(1), included(1), Tried::Later]));
    assert!(world.send(&client, &transaction.unwrap()).await);
    assert_eq!(world.saved().await, 2 * 7, "what is estimated is enough for the last of them");
    let never = world.client(200_000).batch(&groups[2..]).await;
    let named = match &never {
        Err(ClientError::OverGas { .. }) => true,
        Ok(Batch { transaction: None, tried, .. }) => matches!(tried[..], [Tried::Refused(_)]),
        _ => false,
    };
    assert!(named, "{never:?}");
}

#[tokio::test]
async fn only_the_known_code_carries_a_batch() {
    let world = World::new().await;
    assert!(world.client(1 << 24).carries().await.unwrap());
    for code in ["0x", "0x00"] {
        world.anvil.set_code(&MULTICALL.to_string(), code).await.unwrap();
        assert!(!world.client(1 << 24).carries().await.unwrap(), "{code}");
    }
}
