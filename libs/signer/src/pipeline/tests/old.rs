//! Databases that commit 4245c4b left behind (`tests/old-database`): wallets and watermarks are intact, and both signers go
//! on where they stopped.

use std::{fs, path::Path, sync::Arc};

use audit::Decision;
use custody::{
    local_policy::Rolling,
    manifest::{SignedManifest, VerifiedManifest},
    trust::KeyProtection,
};
use data_encoding::HEXLOWER;
use serde_json::Value;

use super::*;
use crate::{identity::tests::keys, store::Store};

/// What was asked and answered then.
struct Old {
    vault: RealVault,
    manifest: VerifiedManifest,
    told: Value,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old-database")
}

fn bytes(hex: &Value) -> Vec<u8> {
    HEXLOWER.decode(hex.as_str().unwrap().as_bytes()).unwrap()
}

impl Old {
    async fn read() -> Self {
        let manifest = SignedManifest::parse(&fs::read(folder().join("manifest.json")).unwrap()).unwrap();
        let told = serde_json::from_slice(&fs::read(folder().join("told.json")).unwrap()).unwrap();
        Self { vault: RealVault::start().await, manifest: manifest.verify().unwrap(), told }
    }

    /// A signer over a copy of its volume, under the local policy of then.
    fn signer(&self, role: Role, n: u8, protection: KeyProtection) -> Running {
        let data_dir = self.vault.data_dir(role);
        let file = Path::new(role.as_str()).join("signer.sqlite3");
        fs::copy(folder().join(file), data_dir.join("signer.sqlite3")).unwrap();
        let store = Arc::new(Store::open(&data_dir).unwrap());
        let approved = BTreeMap::from([(Role::Keeper, vec![keys(41).own().public().clone()])]);
        let approved = if role == Role::Keeper { Peers::default() } else { Peers::new(&approved).unwrap() };
        let sealer = self.vault.sealer(role);
        let running = Running::over(data_dir, store, Arc::new(keys(n)), self.manifest.clone(), approved, sealer);
        let window = Rolling { amount: (5 * ETH).to_string(), window_seconds: 86400 };
        let local_policy = eth(|eth| eth.per_wallet = Some(window));
        running.serve(role, Terms { local_policy, protection, ..Terms::default() });
        running
    }

    fn payments(&self) -> &[Value] {
        self.told["payments"].as_array().unwrap()
    }

    fn request(payment: &Value, of: &str) -> Request {
        Request::decode(bytes(&payment[of]).as_slice()).unwrap()
    }

    fn client_key(&self) -> Vec<u8> {
        bytes(&self.told["clientKey"])
    }
}

/// The registered address of each wallet, recomputed from its row and the manifest.
async fn has_its_wallets(old: &Old, signer: &Running) {
    let serving = signer.signer.serving().unwrap();
    for (wallet, told) in old.told["wallets"].as_object().unwrap() {
        let desc = super::super::register::recomputed(&signer.store, &serving, wallet, &CHAIN.parse().unwrap()).await;
        assert_eq!(desc.unwrap_or_else(|_| panic!("{wallet} is lost")).address, told["address"]);
    }
    // A freeze by the role of the older name holds, under the present one.
    let freezes = signer.store.look(0, |ledger| ledger.freezes()).await.unwrap();
    let freezes: Vec<_> = freezes.iter().map(|freeze| (freeze.wallet.as_str(), freeze.requester.as_str())).collect();
    assert_eq!(freezes, [("carol", Role::Sentinel.as_str())]);
    let head = signer.store.look(0, |ledger| ledger.peer_head(Role::Sentinel.as_str())).await.unwrap();
    assert_eq!(head, Some(vec![1, 2, 3]));
}

#[tokio::test]
async fn an_old_keeper_gives_the_signatures_of_then_and_none_beside_them() {
    let old = Old::read().await;
    let keeper = old.signer(Role::Keeper, 41, KeyProtection::ClientKey);
    has_its_wallets(&old, &keeper).await;
    let signed_then = keeper.chain().await.iter().filter(|record| record.decision == Decision::Signed.as_str()).count();
    assert_eq!(signed_then, old.payments().len());
    for payment in old.payments().iter().filter(|payment| payment["wallet"] != "carol") {
        let again = signed(keeper.answer(&Old::request(payment, "keeperRequest")).await);
        assert_eq!(again.signatures, [bytes(&payment["hot"])]);
        assert_eq!(again.digest, bytes(&payment["digest"]));
    }
    let with_key = |payment: Payment| Payment { client_key: old.client_key(), ..payment };
    let ask = async |payment: Payment| keeper.ask(sign(&with_key(payment))).await;
    assert_eq!(refused(ask(payment("alice", &transfer("ETH", 1), 0)).await), "NonceUsed");
    assert_eq!(refused(ask(payment("alice", &transfer("ETH", 1), 1)).await), "NonceUsed");
    assert_eq!(refused(ask(payment("bob", &transfer("ETH", 1), 0)).await), "NonceUsed");
    assert_eq!(unavailable(ask(payment("carol", &transfer("ETH", 1), 1)).await), "Frozen");
    // One of the five ETH in a day is spent, four more in steps of at most one are not too many, a fifth is.
    for nonce in 2..6 {
        signed(ask(payment("alice", &transfer("ETH", ETH), nonce)).await);
    }
    assert_eq!(refused(ask(payment("alice", &transfer("ETH", 1), 6)).await), "OverWindow");
    let create = CreateWallet { wallet: "alice".to_owned(), client_key: old.client_key() };
    let Outcome::Created(hot) = keeper.ask(Operation::CreateWallet(create)).await else { panic!("alice is lost") };
    assert_eq!(hot.encode_to_vec(), bytes(&old.told["wallets"]["alice"]["hot"]));
}

#[tokio::test]
async fn an_old_cooler_signs_no_second_payment_at_a_nonce() {
    let old = Old::read().await;
    let cooler = old.signer(Role::Cooler, 42, KeyProtection::Vault);
    has_its_wallets(&old, &cooler).await;
    for payment in old.payments().iter().filter(|payment| payment["wallet"] != "carol") {
        let then = signed(cooler.answer(&Old::request(payment, "coolerRequest")).await);
        assert_eq!(then.signatures, [bytes(&payment["cool"])]);
    }
    let unsigned_by_hot = payment("bob", &transfer("ETH", 1), 0);
    assert_eq!(refused(cooler.ask(Operation::Check(unsigned_by_hot)).await), "NonceUsed");
    assert_eq!(refused(cooler.ask(Operation::Check(payment("alice", &transfer("ETH", 1), 0))).await), "NonceUsed");
    assert!(matches!(cooler.ask(Operation::Check(payment("bob", &transfer("ETH", 1), 1))).await, Outcome::Allowed(_)));
}
