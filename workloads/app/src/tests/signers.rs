//! Keeper and Cooler in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use chain::{Amount, Asset, ChainRules, Intent, Owners, WalletDesc};
use chain_evm::EvmSafe;
use custody::{KeyRole, Role, manifest::VerifiedManifest, phrase::Keys};
use ed25519_dalek::SigningKey;
use futures::future::BoxFuture;
use prost::Message;
use protocol::{
    attestation,
    ops::{
        Allowed, ChainAddress, HotKeys, NamespaceKey, Operation, Outcome, Payment, Refused, Request, Response, Signed,
        WalletRecord,
    },
};
use sha2::{Digest, Sha256};
use tokio::{sync::Notify, time::Instant};

use crate::signers::{Away, Transport};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It never arrives.
    Lost,
    /// It is done, and the answer never arrives.
    AnswerLost,
    /// Whoever asks waits for ever; the request did not arrive.
    Hang,
    /// Whoever asks waits for ever; the request is done.
    HangAfter,
    /// Refused for good.
    Refuse(&'static str),
}

type Script = Box<dyn FnMut(Role, &'static str) -> Fault + Send>;

/// Both signers, with all that they remember. They outlive any App.
pub(super) struct TestSigners {
    manifest: VerifiedManifest,
    rules: EvmSafe,
    assets: Vec<Asset>,
    cool: Keys,
    state: Mutex<State>,
    script: Mutex<Script>,
    /// Somebody waits for ever.
    pub(super) hung: Notify,
}

#[derive(Default)]
struct State {
    operations: HashMap<(Role, Vec<u8>), (Vec<u8>, Response)>,
    marks: HashMap<(Role, String, u64), [u8; 32]>,
    caps: HashMap<Role, u128>,
    /// Signatures given out for payments, not cancels: wallet and nonce with each digest.
    signed: Vec<(Role, String, u64, [u8; 32])>,
}

impl TestSigners {
    pub(super) fn new(manifest: VerifiedManifest, rules: EvmSafe, assets: Vec<Asset>, cool: Keys) -> Self {
        let script: Script = Box::new(|_, _| Fault::None);
        let (state, script) = (Mutex::default(), Mutex::new(script));
        Self { manifest, rules, assets, cool, state, script, hung: Notify::new() }
    }

    /// From now on, each request goes through `script`.
    pub(super) fn script(&self, script: impl FnMut(Role, &'static str) -> Fault + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(super) fn heal(&self) {
        self.script(|_, _| Fault::None);
    }

    /// The most that a signer lets pass in one payment.
    pub(super) fn cap(&self, signer: Role, amount: u128) {
        self.state.lock().unwrap().caps.insert(signer, amount);
    }

    /// Makes Keeper sign `intent` for a wallet as if another App had asked.
    pub(super) fn sign_behind_apps_back(&self, wallet: &str, intent: &Intent, nonce: u64) {
        let unsigned = self.rules.build(intent, &self.assets, nonce).unwrap();
        let chain = self.rules.id().to_string();
        let payment = Payment { wallet: wallet.to_owned(), chain, unsigned, ..Payment::default() };
        assert!(matches!(self.decide(Role::Keeper, Operation::Sign(payment)), Outcome::Signed(_)));
    }

    /// Digests that a signer has signed as payments of a wallet at a nonce.
    pub(super) fn payments_signed(&self, signer: Role, wallet: &str, nonce: u64) -> usize {
        let state = self.state.lock().unwrap();
        let mut digests: Vec<_> = state
            .signed
            .iter()
            .filter(|(role, id, at, _)| (*role, id.as_str(), *at) == (signer, wallet, nonce))
            .map(|(_, _, _, digest)| digest)
            .collect();
        digests.sort();
        digests.dedup();
        digests.len()
    }

    pub(super) fn message_key(signer: Role) -> SigningKey {
        SigningKey::from_bytes(&[if signer == Role::Keeper { 11 } else { 12 }; 32])
    }

    /// A wallet's secret hot key.
    pub(super) fn hot(wallet: &str) -> [u8; 32] {
        Sha256::digest(wallet).into()
    }

    pub(super) fn wallet(&self, id: &str) -> WalletDesc {
        let hot = self.rules.public_key(&Self::hot(id)).unwrap();
        self.rules.wallet(&Owners::of(&self.manifest, self.rules.id(), &hot).unwrap(), [0; 32]).unwrap()
    }

    fn answer(&self, signer: Role, request: Request) -> Response {
        let key = (signer, request.operation_id.clone());
        let body = request.encode_to_vec();
        if let Some((first, response)) = self.state.lock().unwrap().operations.get(&key) {
            return if *first == body { response.clone() } else { refusal("OperationIdReused") };
        }
        let operation = request.operation.unwrap();
        let kept = !matches!(operation, Operation::Check(_));
        let response = Response { outcome: Some(self.decide(signer, operation)) };
        if kept {
            self.state.lock().unwrap().operations.insert(key, (body, response.clone()));
        }
        response
    }

    fn decide(&self, signer: Role, operation: Operation) -> Outcome {
        match operation {
            Operation::CreateWallet(create) => {
                let public_key = self.rules.public_key(&Self::hot(&create.wallet)).unwrap();
                let keys = vec![NamespaceKey { namespace: "eip155".to_owned(), public_key }];
                let custody_id = self.manifest.custody_id().as_bytes().to_vec();
                let hot = HotKeys { custody_id, wallet: create.wallet, keys };
                Outcome::Created(attestation::attest_hot_keys(&hot, &Self::message_key(Role::Keeper)))
            }
            Operation::RegisterWallet(register) => {
                let keeper = [Self::message_key(Role::Keeper).verifying_key()];
                let hot = attestation::hot_keys(&register.hot.unwrap(), &keeper).unwrap();
                let address =
                    ChainAddress { chain: self.rules.id().to_string(), address: self.wallet(&hot.wallet).address };
                let HotKeys { custody_id, wallet, keys } = hot;
                let record = WalletRecord {
                    custody_id,
                    wallet,
                    keys,
                    salt: vec![0; 32],
                    addresses: vec![address],
                    manifest_digest: self.manifest.digest_bytes().to_vec(),
                };
                Outcome::Registered(attestation::attest_wallet_record(&record, &Self::message_key(signer)))
            }
            Operation::Check(payment) => match self.judge(signer, &payment, false) {
                Ok(digest) => Outcome::Allowed(Allowed { digest: digest.to_vec() }),
                Err(refused) => Outcome::Refused(refused),
            },
            Operation::Sign(payment) => match self.judge(signer, &payment, true) {
                Ok(digest) => Outcome::Signed(self.signature(signer, &payment, digest)),
                Err(refused) => Outcome::Refused(refused),
            },
        }
    }

    fn judge(&self, signer: Role, payment: &Payment, keep: bool) -> Result<[u8; 32], Refused> {
        let refuse = |reason: &str| Err(Refused { reason: reason.to_owned(), message: format!("{reason} in words") });
        let wallet = self.wallet(&payment.wallet);
        let decoded = self.rules.decode(&payment.unsigned, &wallet, &self.assets).unwrap();
        if keep && signer == Role::Cooler {
            assert!(self.rules.verify(&wallet.owners.hot, &decoded.digest, &payment.hot_signature), "hot signs first");
        }
        let mut state = self.state.lock().unwrap();
        if let Intent::Transfer { amount, .. } = decoded.intent {
            if state.caps.get(&signer).is_some_and(|cap| amount > Amount::from(*cap)) {
                return refuse("OverLimit");
            }
            let mark = (signer, payment.wallet.clone(), decoded.nonce);
            if state.marks.get(&mark).is_some_and(|digest| *digest != decoded.digest) {
                return refuse("NonceUsed");
            }
            if keep {
                state.marks.insert(mark, decoded.digest);
                state.signed.push((signer, payment.wallet.clone(), decoded.nonce, decoded.digest));
            }
        }
        Ok(decoded.digest)
    }

    fn signature(&self, signer: Role, payment: &Payment, digest: [u8; 32]) -> Signed {
        let secret = match signer {
            Role::Keeper => Self::hot(&payment.wallet),
            _ => *self.cool.secret("eip155").unwrap(),
        };
        Signed { digest: digest.to_vec(), signature: self.rules.sign(&secret, &digest).unwrap(), head: None }
    }

    /// A cool signature for an evacuation, which asks no App.
    pub(super) fn owner_signature(&self, role: KeyRole, cold: &Keys, digest: &[u8; 32]) -> (KeyRole, Vec<u8>) {
        let keys = if role == KeyRole::Cool { &self.cool } else { cold };
        (role, self.rules.sign(&keys.secret("eip155").unwrap(), digest).unwrap())
    }
}

fn refusal(reason: &str) -> Response {
    let refused = Refused { reason: reason.to_owned(), message: format!("{reason} in words") };
    Response { outcome: Some(Outcome::Refused(refused)) }
}

fn name(request: &Request) -> &'static str {
    match request.operation {
        Some(Operation::CreateWallet(_)) => "create",
        Some(Operation::RegisterWallet(_)) => "register",
        Some(Operation::Check(_)) => "check",
        Some(Operation::Sign(_)) => "sign",
        None => "none",
    }
}

/// The signers as App reaches them.
pub(super) struct TestTransport(pub(super) Arc<TestSigners>);

impl Transport for TestTransport {
    fn ask(&self, signer: Role, request: Request, _: Instant) -> BoxFuture<'_, Result<Response, Away>> {
        Box::pin(async move {
            let away = || Away { signer, why: "a test says so".to_owned() };
            let fault = (self.0.script.lock().unwrap())(signer, name(&request));
            match fault {
                Fault::None => Ok(self.0.answer(signer, request)),
                Fault::Lost => Err(away()),
                Fault::AnswerLost => {
                    self.0.answer(signer, request);
                    Err(away())
                }
                Fault::Hang => {
                    self.0.hung.notify_one();
                    std::future::pending().await
                }
                Fault::HangAfter => {
                    self.0.answer(signer, request);
                    self.0.hung.notify_one();
                    std::future::pending().await
                }
                Fault::Refuse(reason) => Ok(refusal(reason)),
            }
        })
    }
}
