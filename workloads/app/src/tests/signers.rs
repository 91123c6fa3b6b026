//! Keeper and Cooler in memory.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use chain::{Amount, Asset, ChainRules, Claim, Effect, KeyRole, Signatures, WalletDesc};
use custodies::Custody;
use custody::{Role, manifest::VerifiedManifest, phrase::Keys};
use ed25519_dalek::SigningKey;
use futures::future::BoxFuture;
use prost::Message;
use protocol::{
    attestation,
    ops::{
        Allowed, Attestation, AuditHead, ChainAddress, HotKeys, NamespaceKey, Operation, Outcome, Payment, Pending,
        ReadRecords, Record, RecordState, Records, Refused, Request, Response, Signed, Used, WalletRecord,
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
    /// Not now.
    NotNow(&'static str),
    /// It is done, and one signature of the answer is lost.
    OneSignatureLess,
}

type Script = Box<dyn FnMut(Role, &'static str) -> Fault + Send>;

/// Both signers, with all that they remember. They outlive any App.
pub(super) struct TestSigners {
    manifest: VerifiedManifest,
    rules: Arc<dyn ChainRules>,
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
    /// The one payment that may use up a claim of a wallet.
    marks: HashMap<(Role, String, Claim), [u8; 32]>,
    caps: HashMap<Role, u128>,
    /// Payments wait until then, Unix milliseconds, as long as the lock is there.
    locks: HashMap<Role, u64>,
    announced: HashSet<(Role, [u8; 32])>,
    vetoed: HashSet<Role>,
    /// Every request that arrived.
    arrived: Vec<(Role, Request)>,
    /// What App may read, in order.
    records: HashMap<Role, Vec<Record>>,
    /// Claims that are attested as used up, and by what.
    settled: HashMap<(String, Claim), [u8; 32]>,
    /// Does not answer when it is asked for its records.
    silent: HashSet<Role>,
    /// Signatures given out for payments, not cancels: wallet and claim with each id.
    signed: Vec<(Role, String, Claim, [u8; 32])>,
}

impl TestSigners {
    pub(super) fn new(custody: &Custody, rules: Arc<dyn ChainRules>, assets: Vec<Asset>) -> Self {
        let (manifest, cool) = (custody.manifest.clone(), custody.cool.keys());
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

    /// From now on payments wait for a time lock, until [`TestSigners::unlock`].
    pub(super) fn lock(&self, signer: Role, until_ms: u64) {
        self.state.lock().unwrap().locks.insert(signer, until_ms);
    }

    /// The signer's clock passes every time lock.
    pub(super) fn unlock(&self, signer: Role) {
        self.state.lock().unwrap().locks.remove(&signer);
    }

    /// The signer's admin vetoes all payments that are not signed.
    pub(super) fn veto(&self, signer: Role, vetoes: bool) {
        let vetoed = &mut self.state.lock().unwrap().vetoed;
        if vetoes {
            vetoed.insert(signer)
        } else {
            vetoed.remove(&signer)
        };
    }

    /// Whose time locks have begun, by their number of payments.
    pub(super) fn announced(&self, signer: Role) -> usize {
        self.state.lock().unwrap().announced.iter().filter(|(role, _)| *role == signer).count()
    }

    /// Every request that arrived.
    pub(super) fn arrived(&self) -> Vec<(Role, Request)> {
        self.state.lock().unwrap().arrived.clone()
    }

    /// What arrived of an operation, each as a payment.
    pub(super) fn asked(&self, signer: Role, operation: &str) -> Vec<Payment> {
        let arrived =
            self.arrived().into_iter().filter(|(role, request)| *role == signer && name(request) == operation);
        arrived
            .filter_map(|(_, request)| match request.operation {
                Some(Operation::Check(it) | Operation::Announce(it) | Operation::Sign(it)) => Some(it),
                _ => None,
            })
            .collect()
    }

    /// Whether a signer answers when it is asked for its records.
    pub(super) fn tells(&self, signer: Role, tells: bool) {
        let silent = &mut self.state.lock().unwrap().silent;
        if tells {
            silent.remove(&signer)
        } else {
            silent.insert(signer)
        };
    }

    /// Both signers are told that the claim is used up by this transaction.
    pub(super) fn settle(&self, wallet: &str, nonce: u64, id: [u8; 32]) {
        self.state.lock().unwrap().settled.insert((wallet.to_owned(), Claim::Sequence(nonce)), id);
    }

    /// The transactions that a signer has signed for payments, as it tells App.
    pub(super) fn recorded(&self, signer: Role) -> Vec<Record> {
        self.state.lock().unwrap().records.get(&signer).cloned().unwrap_or_default()
    }

    fn read(&self, signer: Role, asked: &ReadRecords) -> Records {
        // Small pages, so that there are several.
        const PAGE: usize = 3;
        let all = self.recorded(signer);
        let last = all.len() as u64;
        let mut rest: Vec<_> = all.into_iter().filter(|it| it.number > asked.after).collect();
        let more = rest.len() > PAGE;
        rest.truncate(PAGE);
        Records { records: rest, more, store: vec![if signer == Role::Keeper { 1 } else { 2 }; 16], last }
    }

    /// As the signers do: a payment has one transaction that can still happen.
    fn judge_payment(state: &State, signer: Role, payment: &Payment, id: &[u8; 32]) -> Result<(), Outcome> {
        let records = state.records.get(&signer).map_or(&[][..], Vec::as_slice);
        let of_payment = |it: &&Record| !it.payment_id.is_empty() && it.payment_id == payment.payment_id;
        for record in records.iter().filter(of_payment).filter(|it| it.digest != id) {
            let claim = Claim::try_from(&record.claims[0]).unwrap();
            match state.settled.get(&(record.wallet.clone(), claim)) {
                Some(by) if by[..] == record.digest[..] => return Err(Outcome::Refused(refused("PaymentMade"))),
                Some(_) => {}
                None => return Err(Outcome::Unavailable(refused("PaymentIdUsed"))),
            }
        }
        Ok(())
    }

    /// Makes Keeper sign `effect` for a wallet as if another App had asked.
    pub(super) fn sign_behind_apps_back(&self, wallet: &str, effect: &Effect, nonce: u64) {
        let claims = [Claim::Sequence(nonce)];
        let unsigned = self.rules.build(effect, &self.wallet(wallet), &self.assets, &claims).unwrap();
        let chain = self.rules.id().to_string();
        let payment = Payment { wallet: wallet.to_owned(), chain, unsigned, ..Payment::default() };
        assert!(matches!(self.decide(Role::Keeper, Operation::Sign(payment)), Outcome::Signed(_)));
    }

    /// How many payments of a wallet a signer has signed at a nonce.
    pub(super) fn payments_signed(&self, signer: Role, wallet: &str, nonce: u64) -> usize {
        let claim = Claim::Sequence(nonce);
        let state = self.state.lock().unwrap();
        let mut digests: Vec<_> = state
            .signed
            .iter()
            .filter(|(role, id, at, _)| (*role, id.as_str(), *at) == (signer, wallet, claim))
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
        self.rules.wallet(&self.manifest.owners(self.rules.id(), &hot).unwrap(), [0; 32]).unwrap()
    }

    fn answer(&self, signer: Role, request: Request) -> Response {
        self.kept(signer, request, |operation| self.decide(signer, operation))
    }

    fn refuse(&self, signer: Role, request: Request, reason: &str) -> Response {
        self.kept(signer, request, |_| Outcome::Refused(refused(reason)))
    }

    /// A decision is made once for an operation; what stores nothing is decided anew each time.
    fn kept(&self, signer: Role, request: Request, decide: impl FnOnce(Operation) -> Outcome) -> Response {
        self.state.lock().unwrap().arrived.push((signer, request.clone()));
        let key = (signer, request.operation_id.clone());
        let body = request.encode_to_vec();
        if let Some((first, response)) = self.state.lock().unwrap().operations.get(&key) {
            let reused = || Response { outcome: Some(Outcome::Refused(refused("OperationIdReused"))) };
            return if *first == body { response.clone() } else { reused() };
        }
        let operation = request.operation.unwrap();
        let stored = !matches!(operation, Operation::Check(_) | Operation::Announce(_));
        let outcome = decide(operation);
        let stored = stored && !matches!(outcome, Outcome::Pending(_));
        let response = Response { outcome: Some(outcome) };
        if stored {
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
            Operation::Check(payment) => match self.judge(signer, &payment, Asked::Check) {
                Ok(digest) => Outcome::Allowed(Allowed { digest: digest.to_vec() }),
                Err(outcome) => outcome,
            },
            Operation::Announce(payment) => match self.judge(signer, &payment, Asked::Announce) {
                Ok(digest) => Outcome::Allowed(Allowed { digest: digest.to_vec() }),
                Err(outcome) => outcome,
            },
            Operation::Sign(payment) => match self.judge(signer, &payment, Asked::Sign) {
                Ok(digest) => Outcome::Signed(self.signed(signer, &payment, digest)),
                Err(outcome) => outcome,
            },
            other => panic!("App does not ask for {other:?}"),
        }
    }

    fn judge(&self, signer: Role, payment: &Payment, asked: Asked) -> Result<[u8; 32], Outcome> {
        let refuse = |reason: &str| Err(Outcome::Refused(refused(reason)));
        let (wallet, hot) = (self.wallet(&payment.wallet), &payment.hot_signatures);
        let decoded = self.rules.decode(&payment.unsigned, &wallet, &self.assets).unwrap();
        if asked == Asked::Sign && signer == Role::Cooler {
            assert!(self.rules.signed_by(&payment.unsigned, &wallet, KeyRole::Hot, hot).unwrap(), "hot signs first");
            assert_eq!(payment.hot_head, Some(Self::keeper_head()), "with Keeper's present head");
        } else {
            assert!(hot.is_empty() && payment.hot_head.is_none(), "hot's signatures are for Cooler's Sign");
        }
        let mut state = self.state.lock().unwrap();
        let Some((_, _, amount)) = decoded.transfers().next() else { return Ok(decoded.id) };
        let mark = |claim: &Claim| (signer, payment.wallet.clone(), *claim);
        let mut marks = decoded.claims.iter().map(|claim| state.marks.get(&mark(claim)));
        if marks.clone().all(|marked| marked == Some(&decoded.id)) {
            return Ok(decoded.id);
        }
        Self::judge_payment(&state, signer, payment, &decoded.id)?;
        if marks.any(|marked| marked.is_some()) {
            return refuse("NonceUsed");
        }
        if state.caps.get(&signer).is_some_and(|cap| amount > Amount::from(*cap)) {
            return refuse("OverLimit");
        }
        if state.vetoed.contains(&signer) {
            return refuse("Vetoed");
        }
        if let Some(until_ms) = state.locks.get(&signer).copied() {
            let announced = (signer, decoded.id);
            if asked != Asked::Check {
                state.announced.insert(announced);
            }
            let not_before_ms = if state.announced.contains(&announced) { until_ms } else { 0 };
            return Err(Outcome::Pending(Pending { digest: decoded.id.to_vec(), not_before_ms, ..Pending::default() }));
        }
        if asked == Asked::Sign {
            for claim in &decoded.claims {
                state.marks.insert(mark(claim), decoded.id);
                state.signed.push((signer, payment.wallet.clone(), *claim, decoded.id));
            }
            let records = state.records.entry(signer).or_default();
            records.push(Record {
                number: records.len() as u64 + 1,
                operation_id: vec![1; 16],
                payment_id: payment.payment_id.clone(),
                wallet: payment.wallet.clone(),
                chain: payment.chain.clone(),
                claims: decoded.claims.iter().copied().map(Used::from).collect(),
                digest: decoded.id.to_vec(),
                state: RecordState::Signed.into(),
                ..Record::default()
            });
        }
        Ok(decoded.id)
    }

    fn signed(&self, signer: Role, Payment { wallet, unsigned, .. }: &Payment, id: [u8; 32]) -> Signed {
        let (owner, secret) = match signer {
            Role::Keeper => (KeyRole::Hot, Self::hot(wallet)),
            _ => (KeyRole::Cool, *self.cool.secret("eip155").unwrap()),
        };
        let signatures = self.signatures(owner, &secret, unsigned, &self.wallet(wallet));
        let head = (signer == Role::Keeper).then(Self::keeper_head);
        Signed { digest: id.to_vec(), signatures, head }
    }

    /// Of its present start.
    fn keeper_head() -> Attestation {
        let (role, hash, instance) = (Role::Keeper.to_string(), vec![7; 32], vec![3; 16]);
        let head = AuditHead { role, count: 7, hash, epoch: 3, instance, ..AuditHead::default() };
        attestation::attest_audit_head(&head, &Self::message_key(Role::Keeper))
    }

    fn signatures(&self, owner: KeyRole, secret: &[u8; 32], unsigned: &[u8], wallet: &WalletDesc) -> Signatures {
        let payloads = self.rules.payloads(unsigned, wallet, owner).unwrap();
        payloads.iter().map(|payload| self.rules.sign(secret, payload).unwrap()).collect()
    }

    /// Cool's or cold's signatures for an evacuation, which asks no App.
    pub(super) fn owner_signatures(
        &self,
        role: KeyRole,
        custody: &Custody,
        unsigned: &[u8],
        wallet: &WalletDesc,
    ) -> (KeyRole, Signatures) {
        let keys = if role == KeyRole::Cool { &custody.cool } else { &custody.cold }.keys();
        (role, self.signatures(role, &keys.secret("eip155").unwrap(), unsigned, wallet))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Check,
    Announce,
    Sign,
}

fn refused(reason: &str) -> Refused {
    Refused { reason: reason.to_owned(), message: format!("{reason} in words") }
}

fn name(request: &Request) -> &'static str {
    match request.operation {
        Some(Operation::CreateWallet(_)) => "create",
        Some(Operation::RegisterWallet(_)) => "register",
        Some(Operation::Check(_)) => "check",
        Some(Operation::Announce(_)) => "announce",
        Some(Operation::Sign(_)) => "sign",
        _ => "other",
    }
}

/// The signers as App reaches them.
pub(super) struct TestTransport(pub(super) Arc<TestSigners>);

impl Transport for TestTransport {
    fn ask(&self, signer: Role, request: Request, _: Instant) -> BoxFuture<'_, Result<Response, Away>> {
        Box::pin(async move {
            let away = || Away::Silent { signer, why: "a test says so".to_owned() };
            if let Some(Operation::Records(asked)) = &request.operation {
                let silent = self.0.state.lock().unwrap().silent.contains(&signer);
                let told = Outcome::Records(self.0.read(signer, asked));
                return if silent { Err(away()) } else { Ok(Response { outcome: Some(told) }) };
            }
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
                Fault::Refuse(reason) => Ok(self.0.refuse(signer, request, reason)),
                Fault::OneSignatureLess => {
                    let mut answer = self.0.answer(signer, request);
                    if let Some(Outcome::Signed(signed)) = &mut answer.outcome {
                        signed.signatures.pop();
                    }
                    Ok(answer)
                }
                Fault::NotNow(reason) => Ok(Response { outcome: Some(Outcome::Unavailable(refused(reason))) }),
            }
        })
    }
}
