//! Client keys: one a wallet, told to Keeper with every request, and to nobody else.

use std::{
    io,
    sync::{Arc, Mutex},
};

use custody::Role;
use data_encoding::{BASE64, HEXLOWER};
use protocol::ops::Operation;
use serde_json::json;
use tracing_subscriber::EnvFilter;

use super::{home::SHOP, running::RunningApp, world::World};

/// What the whole process logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> Self {
        let log = Self::default();
        let writer = log.clone();
        let filter = EnvFilter::new("trace,hyper=info");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone()).init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn with_client_keys(world: &World) -> RunningApp {
    world.start_with(|config| config["clientKeys"] = json!(true)).await
}

/// The client key in a request, if it may carry one.
fn client_key(operation: Operation) -> Option<Vec<u8>> {
    match operation {
        Operation::CreateWallet(create) => Some(create.client_key),
        Operation::Check(it) | Operation::Announce(it) | Operation::Sign(it) => Some(it.client_key),
        _ => None,
    }
}

/// All keys that a signer was told about a wallet.
fn told(world: &World, signer: Role, wallet: &str) -> Vec<Vec<u8>> {
    let arrived = world.signers.arrived().into_iter();
    let operations = arrived.filter(|(role, _)| *role == signer).filter_map(|(_, request)| request.operation);
    let about = operations.filter(|operation| match operation {
        Operation::CreateWallet(create) => create.wallet == wallet,
        Operation::Check(it) | Operation::Announce(it) | Operation::Sign(it) => it.wallet == wallet,
        _ => false,
    });
    about.filter_map(client_key).collect()
}

#[tokio::test]
async fn a_wallets_key_is_told_to_keeper_always_to_cooler_never_and_is_never_printed() {
    let log = Log::begin();
    let world = World::new().await;
    let app = with_client_keys(&world).await;
    world.funded(&app, "alice").await;
    world.funded(&app, "bob").await;
    world.signers.lock(Role::Keeper, 0);
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    app.until(&id, |payment| payment["status"] == "waiting").await;
    app.kill().await;
    world.signers.unlock(Role::Keeper);
    let app = with_client_keys(&world).await;
    let paid = app.ended(&id).await;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");

    let keys = told(&world, Role::Keeper, "alice");
    // Made, checked, announced, asked again, signed.
    assert!(keys.len() >= 5, "{}", keys.len());
    assert!(keys.iter().all(|key| key.len() == 32 && *key == keys[0]), "one key a wallet");
    assert_ne!(keys[0], [0; 32]);
    assert_ne!(told(&world, Role::Keeper, "bob")[0], keys[0]);
    assert!(told(&world, Role::Cooler, "alice").iter().all(Vec::is_empty));

    let mut printed = log.text();
    assert!(printed.contains("payment confirmed"), "the log is there");
    for path in ["/wallets/alice", &format!("/payments/{id}"), "/wallets", "/payments"] {
        let (status, answer) = app.get(path).await;
        assert_eq!(status, 200, "{answer:#}");
        printed.push_str(&answer.to_string());
    }
    for path in ["/metrics", "/readyz"] {
        printed.push_str(&app.text(path).await);
    }
    printed.push_str(&format!("{:?}", world.signers.arrived()));
    let forms = [HEXLOWER.encode(&keys[0]), BASE64.encode(&keys[0]), format!("{:?}", keys[0])];
    for form in forms {
        assert!(!printed.contains(form.trim_matches(['[', ']'])), "a client key is printed");
    }
}

#[tokio::test]
async fn without_client_keys_nobody_is_told_one() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    app.paid("one", "alice", 7).await;
    for signer in [Role::Keeper, Role::Cooler] {
        assert!(told(&world, signer, "alice").iter().all(Vec::is_empty));
    }
}

#[tokio::test]
async fn a_wallet_that_was_refused_is_asked_for_again_with_the_same_key() {
    let world = World::new().await;
    let app = with_client_keys(&world).await;
    world.signers.script(|_, operation| match operation {
        "create" => super::signers::Fault::Refuse("Malformed"),
        _ => super::signers::Fault::None,
    });
    assert_eq!(app.post("/wallets", None, json!({"id": "alice"})).await.0, 409);
    world.signers.heal();
    world.funded(&app, "alice").await;
    let keys = told(&world, Role::Keeper, "alice");
    assert!(keys.len() == 2 && keys[0] == keys[1] && keys[0].len() == 32);
}
