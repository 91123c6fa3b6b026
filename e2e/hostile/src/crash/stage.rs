//! One custody for the suites that look at the signers' files: a real Vault, the real Safe on an EVM node, both signers
//! as processes with Production trust, and the sentinel in a small way.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use chain::{Amount, Asset, ChainRules, Claim, Effect, KeyRole, WalletDesc};
use custody::{
    CustodyId, Role,
    config::{HubLimits, MemberConfig, NatsConfig},
    identity::PeerKeys,
    local_policy::{AssetLimits, LocalPolicy, Rolling},
    manifest::{self, Manifest, PublicHalf, SignedManifest, VerifiedManifest},
    phrase::Phrase,
    trust::{CustodyTrust, KeyProtection, MemberTrust, Profile, SHAPE_VERSION, VaultTrust},
};
use data_encoding::BASE64URL_NOPAD;
use futures::future::join_all;
use harness::Options;
use protocol::{
    attestation::{audit_head, hot_keys},
    envelope::OwnKeys,
    ops::{
        Attestation, CreateWallet, EchoHead, Freeze, Lease, MAX_LEASE_MS, OPERATION_ID_BYTES, Operation, Outcome,
        Payment, RegisterWallet, Request, Settle, Settlement,
    },
};
use rand_core::{OsRng, RngCore};
use sealing::Sealer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vault::{Admin, Connection, Jwks, SetupPlan};
use zeroize::Zeroizing;

use super::{
    books::{Books, Given},
    chain::{CHAIN, Chain, Paid},
    process::Process,
    wire::{Ask, Nothing, Start, Told, Voucher, Vouchers},
};

/// The one safe destination.
pub(crate) const SAFE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
/// Whom legitimate requests pay.
pub(crate) const PAYEE: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// Whom the others pay.
pub(crate) const THIEF: &str = "0x90F79bf6EB2c4f870365E785982E1f101E93b906";
/// 1 ETH, wei.
pub(crate) const ETH: u128 = 1_000_000_000_000_000_000;
/// The local policy's limits, wei.
pub(crate) const PER_TRANSACTION: u128 = 4 * ETH;
/// Of one wallet in a day, wei.
pub(crate) const PER_WALLET: u128 = 10 * ETH;

const ISSUER: &str = "https://kubernetes.default.svc";
const DAY_SECONDS: u64 = 24 * 3600;

/// A seeded generator, so that a failure can be met again: SHA-256 in counter mode.
pub(crate) struct Dice {
    seed: u64,
    rolled: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, rolled: 0 }
    }

    /// Below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.rolled += 1;
        let hash = Sha256::digest([self.seed.to_be_bytes(), self.rolled.to_be_bytes()].concat());
        let number = hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        number % sides.max(1)
    }
}

/// One signer: its place and, while it runs, its process.
pub(crate) struct Signer {
    pub(crate) role: Role,
    pub(crate) start: Start,
    pub(crate) start_file: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) process: Option<Process>,
    pub(crate) books: Books,
    public: Option<PeerKeys>,
}

impl Signer {
    /// What was written last, before it is in the file itself.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.start.data_dir.join(format!("{}-wal", signer::store::FILE))
    }

    /// The running process.
    pub(crate) fn process(&self) -> Result<&Process> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.role))
    }

    /// Ends it without warning.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => {
                process.kill();
                process.ended().await
            }
            None => Ok(()),
        }
    }

    /// Its key for statements.
    fn key(&self) -> Result<ed25519_dalek::VerifyingKey> {
        Ok(custody::identity::message_key(self.public.as_ref().context("its keys are not made")?)?)
    }
}

/// A state to come back to.
pub(crate) struct Kept {
    sentinel: Sentinel,
    block: String,
}

/// Holds heads as the sentinel does.
#[derive(Default, Clone)]
struct Sentinel(BTreeMap<Role, (u64, u64, Attestation)>);

impl Sentinel {
    /// What was held before; the new one is held unless it is older or its signer is locked.
    fn echo(&mut self, signer: &Signer, shown: &EchoHead) -> Result<Option<Attestation>> {
        let attestation = shown.head.clone().context("no head is shown")?;
        let head = audit_head(&attestation, &[signer.key()?])?;
        let held = self.0.get(&signer.role).map(|(_, _, held)| held.clone());
        let newest = self.0.get(&signer.role).map(|(overrides, count, _)| (*overrides, *count));
        if !shown.locked && newest.is_none_or(|newest| (head.overrides, head.count) > newest) {
            self.0.insert(signer.role, (head.overrides, head.count, attestation));
        }
        Ok(held)
    }
}

/// All of it.
pub(crate) struct Stage {
    pub(crate) chain: Chain,
    pub(crate) keeper: Signer,
    pub(crate) cooler: Signer,
    pub(crate) cool: Phrase,
    signed: SignedManifest,
    vault: harness::vault::Vault,
    cluster: EcdsaKeyPair,
    app: OwnKeys,
    own: OwnKeys,
    sentinel: Sentinel,
    protection: KeyProtection,
    folder: tempfile::TempDir,
}

/// A wallet that both signers have registered.
pub(crate) struct Wallet {
    pub(crate) id: String,
    pub(crate) desc: WalletDesc,
    /// The next one.
    pub(crate) nonce: u64,
    /// Where each client has its own key.
    pub(crate) client_key: Vec<u8>,
}

impl Stage {
    /// Everything decided, both signers unlocked.
    pub(crate) async fn new(protection: KeyProtection) -> Result<Self> {
        harness::install_crypto();
        let cluster = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let (vault, chain) = (harness::vault::Vault::start(Options::default()).await?, Chain::start().await?);
        let (cool, signed) = ceremonies()?;
        let folder = tempfile::tempdir()?;
        let place = |role: Role| Signer {
            role,
            start: Start {
                role,
                data_dir: folder.path().join(format!("{role}-data")),
                vault_token_file: folder.path().join(format!("{role}-token")),
                trust: String::new(),
                config: String::new(),
                manifest: signed.to_json(),
            },
            start_file: folder.path().join(format!("{role}.json")),
            log: folder.path().join(format!("{role}.log")),
            process: None,
            books: Books::default(),
            public: None,
        };
        let (keeper, cooler) = (place(Role::Keeper), place(Role::Cooler));
        let (app, own, sentinel) = (OwnKeys::generate(&mut OsRng), OwnKeys::generate(&mut OsRng), Sentinel::default());
        let mut stage =
            Self { chain, keeper, cooler, cool, signed, vault, cluster, app, own, sentinel, protection, folder };
        stage.decide().await?;
        Ok(stage)
    }

    /// What admins and hub do: Vaults, trust, the cool phrase.
    async fn decide(&mut self) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            self.set_up_vault(role).await?;
            std::fs::create_dir_all(&self.signer(role).start.data_dir)?;
            self.write(role)?;
            self.start(role, None).await?;
            let public = self.signer(role).process()?.public.clone();
            self.signer_mut(role).public = Some(public);
        }
        let words = self.cool.words().collect::<Vec<_>>().join(" ");
        self.cooler.process()?.done(Ask::Cool(words)).await?;
        for role in [Role::Keeper, Role::Cooler] {
            self.signer_mut(role).kill().await?;
            self.write(role)?;
            self.start(role, None).await?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            self.unlocked(role).await?;
        }
        Ok(())
    }

    pub(crate) fn signer(&self, role: Role) -> &Signer {
        if role == Role::Keeper { &self.keeper } else { &self.cooler }
    }

    pub(crate) fn signer_mut(&mut self, role: Role) -> &mut Signer {
        if role == Role::Keeper { &mut self.keeper } else { &mut self.cooler }
    }

    pub(crate) fn manifest(&self) -> Result<VerifiedManifest> {
        Ok(self.signed.verify()?)
    }

    async fn set_up_vault(&self, role: Role) -> Result<()> {
        let (x, y) = self.cluster.public_key().as_ref().get(1..).context("no point")?.split_at(32);
        let key = json!({"kty": "EC", "crv": "P-256", "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y)});
        let plan = SetupPlan {
            transit_mount: "transit-ms".to_owned(),
            auth_mount: "jwt-a".to_owned(),
            jwks: Jwks::parse(&json!({"keys": [key]}).to_string())?,
            issuer: ISSUER.to_owned(),
            audience: "vault-a".to_owned(),
            namespace: "custody".to_owned(),
            service_account: role.to_string(),
            role: role.to_string(),
            policy: "multisig-workload".to_owned(),
        };
        let connection = Connection::new(&self.vault.address(), self.vault.ca_pem())?;
        let token = Zeroizing::new(self.vault.root_token().to_owned());
        vault::setup(&Admin::new(connection, &token)?, &plan).await?;
        Ok(())
    }

    fn vault_trust(&self, role: Role) -> VaultTrust {
        VaultTrust {
            address: self.vault.address(),
            ca_bundle: self.vault.ca_pem().to_owned(),
            auth_mount: "jwt-a".to_owned(),
            role: role.to_string(),
            audience: "vault-a".to_owned(),
            transit_mount: "transit-ms".to_owned(),
            key: format!("custody.{role}"),
        }
    }

    /// Writes what a signer starts from, with the keys that are known by now.
    fn write(&mut self, role: Role) -> Result<()> {
        let other = if role == Role::Keeper { Role::Cooler } else { Role::Keeper };
        let mut peers = BTreeMap::from([
            (Role::App, vec![self.app.public().clone()]),
            (Role::Sentinel, vec![self.own.public().clone()]),
        ]);
        peers.extend(self.signer(other).public.clone().map(|public| (other, vec![public])));
        let manifest = self.manifest()?;
        let rolling = |amount: u128| Rolling { amount: amount.to_string(), window_seconds: DAY_SECONDS };
        let eth = AssetLimits {
            per_wallet: Some(rolling(PER_WALLET)),
            total: Some(rolling(1_000 * ETH)),
            ..AssetLimits::new(CHAIN, "ETH", "native", 18, &PER_TRANSACTION.to_string())
        };
        let trust = MemberTrust {
            shape_version: SHAPE_VERSION,
            profile: Profile::Production,
            role,
            data_center: "fra-1".to_owned(),
            vault: self.vault_trust(role),
            custody: Some(CustodyTrust { id: manifest.custody_id(), manifest_digest: manifest.digest() }),
            peers,
            local_policy: Some(LocalPolicy { loosening_delay_seconds: DAY_SECONDS, ..LocalPolicy::new(vec![eth]) }),
            keys: if role == Role::Keeper { self.protection } else { KeyProtection::Vault },
            images: vec![format!("sha256:{}", "0".repeat(64))],
        };
        let config = MemberConfig {
            custody_id: manifest.custody_id(),
            nats: NatsConfig {
                urls: vec!["tls://127.0.0.1:4222".to_owned()],
                ca_bundle: self.vault.ca_pem().to_owned(),
            },
            policy: HubLimits::default(),
            vault_key_generation: None,
            proposed_peers: BTreeMap::new(),
        };
        let signer = self.signer_mut(role);
        (signer.start.trust, signer.start.config) = (trust.to_json(), serde_json::to_string(&config)?);
        std::fs::write(&signer.start_file, serde_json::to_string(&signer.start)?)?;
        Ok(())
    }

    /// A fresh token, as the kubelet projects it.
    fn project_token(&self, role: Role) -> Result<()> {
        let now = now_ms()? / 1000;
        let claims = json!({
            "aud": ["vault-a"], "iss": ISSUER, "iat": now, "nbf": now, "exp": now + 3600,
            "sub": format!("system:serviceaccount:custody:{role}"),
            "kubernetes.io": {"namespace": "custody", "serviceaccount": {"name": role.as_str(), "uid": "1"}},
        });
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(json!({"alg": "ES256"})), part(claims));
        let signature = self.cluster.sign(&SystemRandom::new(), signed.as_bytes())?;
        let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()));
        Ok(std::fs::write(&self.signer(role).start.vault_token_file, token)?)
    }

    /// Starts a signer; it is locked.
    pub(crate) async fn start(&mut self, role: Role, fault: Option<&str>) -> Result<()> {
        self.start_within(role, fault, None).await
    }

    /// As [`Self::start`]; no file of it grows beyond so many 512-byte blocks.
    pub(crate) async fn start_within(&mut self, role: Role, fault: Option<&str>, blocks: Option<u64>) -> Result<()> {
        self.project_token(role)?;
        let signer = self.signer_mut(role);
        signer.process = Some(Process::start(&signer.start_file, &signer.log, fault, blocks).await?);
        Ok(())
    }

    /// Starts a signer and kills it while it starts.
    pub(crate) async fn stillborn(&self, role: Role, after: Duration) -> Result<()> {
        self.project_token(role)?;
        let signer = self.signer(role);
        Process::stillborn(&signer.start_file, &signer.log, after).await
    }

    /// Asks both vouchers, as the broker's loop does, and gives the lease. Why it stays locked otherwise.
    pub(crate) async fn unlock(&mut self, role: Role) -> Result<std::result::Result<(), String>> {
        let held = self.show(role).await?;
        let held = held.into_iter().map(|(role, held)| Voucher { role: role.to_string(), held }).collect();
        match self.signer(role).process()?.ask(Ask::Vouch(Vouchers { held })).await {
            Some(Told::Done(_)) => {}
            Some(Told::Failed(why)) => return Ok(Err(why)),
            other => bail!("{role} answers {other:?}"),
        }
        self.lease(role).await?;
        // Unlocked, it shows its head to be held.
        self.show(role).await?;
        Ok(Ok(()))
    }

    /// The sentinel's lease.
    pub(crate) async fn lease(&self, role: Role) -> Result<()> {
        let until_ms = now_ms()? + MAX_LEASE_MS - 10_000;
        self.told(role, Role::Sentinel, Operation::Lease(Lease { until_ms })).await
    }

    /// Shows a signer's head to the other one and the sentinel; what they held before. The other one need not run.
    pub(crate) async fn show(&mut self, role: Role) -> Result<Vec<(Role, Option<Attestation>)>> {
        let shown = match self.signer(role).process()?.ask(Ask::Head(Nothing {})).await {
            Some(Told::Head(head)) => head,
            other => bail!("{role} shows no head: {other:?}"),
        };
        let other = if role == Role::Keeper { Role::Cooler } else { Role::Keeper };
        let mut held = Vec::new();
        if let Some(process) = &self.signer(other).process {
            match process.say(role, &request(Operation::EchoHead(shown.clone()))).await {
                Some(Outcome::Held(answer)) => held.push((other, answer.head)),
                answer => bail!("{other} does not vouch: {answer:?}"),
            }
        }
        let signer = if role == Role::Keeper { &self.keeper } else { &self.cooler };
        held.push((Role::Sentinel, self.sentinel.echo(signer, &shown)?));
        Ok(held)
    }

    /// Starts and unlocks.
    pub(crate) async fn restart(&mut self, role: Role) -> Result<()> {
        self.start(role, None).await?;
        self.unlocked(role).await
    }

    /// Something that is done, or fails loudly.
    async fn told(&self, to: Role, by: Role, operation: Operation) -> Result<()> {
        match self.signer(to).process()?.say(by, &request(operation)).await {
            Some(Outcome::Done(_)) => Ok(()),
            other => bail!("{to} answers {by}: {other:?}"),
        }
    }

    /// App's request.
    pub(crate) async fn app(&self, to: Role, operation: Operation) -> Result<Outcome> {
        let answer = self.signer(to).process()?.say(Role::App, &request(operation)).await;
        answer.with_context(|| format!("{to} ended"))
    }

    /// The sentinel says that a digest has used a nonce, and both signers show their heads.
    pub(crate) async fn settle(&mut self, wallet: &Wallet, digest: &[u8; 32]) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            self.told(role, Role::Sentinel, settlement(wallet, digest)).await?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            self.show(role).await?;
        }
        Ok(())
    }

    /// A wallet is frozen with both.
    pub(crate) async fn freeze(&mut self, wallet: &Wallet) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            let freeze = Freeze { wallet: wallet.id.clone(), reason: "seen something".to_owned() };
            self.told(role, Role::App, Operation::Freeze(freeze)).await?;
            self.show(role).await?;
        }
        Ok(())
    }

    /// Keeper's attestation of a new wallet's hot keys.
    pub(crate) async fn create(&self, id: &str, client_key: &[u8]) -> Result<Attestation> {
        let create = CreateWallet { wallet: id.to_owned(), client_key: client_key.to_vec() };
        match self.app(Role::Keeper, Operation::CreateWallet(create)).await? {
            Outcome::Created(attestation) => Ok(attestation),
            other => bail!("no wallet: {other:?}"),
        }
    }

    /// The wallet of attested hot keys, registered with both.
    pub(crate) async fn register(&self, hot: &Attestation, client_key: &[u8]) -> Result<Wallet> {
        for role in [Role::Keeper, Role::Cooler] {
            match self.app(role, registration(hot)).await? {
                Outcome::Registered(_) => {}
                other => bail!("{role} does not register: {other:?}"),
            }
        }
        let keys = hot_keys(hot, &[self.keeper.key()?])?;
        let key = keys.keys.iter().find(|key| key.namespace == "eip155").context("no key for eip155")?;
        let owners = self.manifest()?.owners(self.chain.rules.id(), &key.public_key)?;
        let desc = self.chain.rules.wallet(&owners, [0; 32])?;
        Ok(Wallet { id: keys.wallet, desc, nonce: 0, client_key: client_key.to_vec() })
    }

    /// A wallet that is on the chain and has money.
    pub(crate) async fn wallet(&mut self, id: &str, wei: u128) -> Result<Wallet> {
        let mut client_key = Vec::new();
        if self.protection == KeyProtection::ClientKey {
            client_key = vec![0; 32];
            OsRng.fill_bytes(&mut client_key);
        }
        let hot = self.create(id, &client_key).await?;
        let wallet = self.register(&hot, &client_key).await?;
        if wei > 0 {
            self.chain.open(&wallet.desc, wei).await?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            self.show(role).await?;
        }
        Ok(wallet)
    }

    /// A payment at a nonce, unsigned.
    pub(crate) fn pay(&self, wallet: &Wallet, nonce: u64, to: &str, wei: u128) -> Result<Paid> {
        let to = to.to_owned();
        self.unsigned(wallet, nonce, &Effect::Transfer { asset: "ETH".to_owned(), to, amount: Amount::from(wei) })
    }

    /// Any effect at a nonce, unsigned.
    pub(crate) fn unsigned(&self, wallet: &Wallet, nonce: u64, effect: &Effect) -> Result<Paid> {
        let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
        let unsigned = self.chain.rules.build(effect, &wallet.desc, &assets, &[Claim::Sequence(nonce)])?;
        let digest = self.chain.rules.decode(&unsigned, &wallet.desc, &assets)?.id;
        let payment = Payment {
            wallet: wallet.id.clone(),
            chain: CHAIN.to_owned(),
            unsigned,
            client_key: wallet.client_key.clone(),
            ..Payment::default()
        };
        Ok(Paid { payment, digest, hot: None, cool: None })
    }

    /// Both signatures of a payment that nobody minds.
    pub(crate) async fn sign(&self, paid: &mut Paid) -> Result<()> {
        paid.hot = Some(signature(self.app(Role::Keeper, sign(paid)).await?)?);
        paid.cool = Some(signature(self.app(Role::Cooler, countersign(paid)).await?)?);
        Ok(())
    }

    /// The hot key, as whoever had taken over Keeper with its Vault would have it.
    pub(crate) async fn stolen_hot(&self, wallet: &str) -> Result<Zeroizing<[u8; 32]>> {
        let connection = super::books::open(&self.keeper.start.data_dir)?;
        let query = "SELECT secret FROM hot_keys WHERE wallet = ?1 AND namespace = 'eip155'";
        let sealed: String = connection.query_row(query, [wallet], |row| row.get(0))?;
        self.unsealed(Role::Keeper, self.context(wallet, "hot.eip155.v1")?, sealed).await
    }

    /// What a value of this custody is sealed for.
    pub(crate) fn context(&self, wallet: &str, purpose: &str) -> Result<sealing::Context> {
        Ok(sealing::Context::new(self.manifest()?.custody_id().as_bytes(), wallet, purpose))
    }

    /// What a signer's Vault makes of a sealed value, for whoever may log in to it.
    pub(crate) async fn unsealed(
        &self,
        role: Role,
        context: sealing::Context,
        sealed: String,
    ) -> Result<Zeroizing<[u8; 32]>> {
        self.project_token(role)?;
        let trust = self.vault_trust(role);
        let vault = vault::Vault::new(vault::Settings {
            address: trust.address,
            ca_bundle: trust.ca_bundle,
            auth_mount: trust.auth_mount,
            role: trust.role,
            transit_mount: trust.transit_mount,
            key: trust.key,
            token_file: self.signer(role).start.vault_token_file.clone(),
        })?;
        let opened = Sealer::new(std::sync::Arc::new(vault)).open(context, sealed).await?;
        Ok(Zeroizing::new(opened.as_slice().try_into()?))
    }

    /// Asks all of these at once; none where the process ended before it answered.
    pub(crate) async fn ask_all(&self, to: Role, requests: &[Request]) -> Result<Vec<Option<Outcome>>> {
        let process = self.signer(to).process()?;
        Ok(join_all(requests.iter().map(|request| process.say(Role::App, request))).await)
    }

    /// All that there is, to come back to: both signers' files, what the sentinel holds, the chain.
    pub(crate) async fn keep(&mut self) -> Result<Kept> {
        for role in [Role::Keeper, Role::Cooler] {
            self.signer_mut(role).kill().await?;
            super::upkeep::copy(&self.signer(role).start.data_dir, &self.aside(&format!("kept-{role}")))?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            self.start(role, None).await?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            self.unlocked(role).await?;
        }
        let block = self.chain.anvil.rpc("evm_snapshot", json!([])).await?;
        Ok(Kept { sentinel: self.sentinel.clone(), block })
    }

    /// Back to it.
    pub(crate) async fn back(&mut self, kept: &mut Kept) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            self.signer_mut(role).kill().await?;
            super::upkeep::copy(&self.aside(&format!("kept-{role}")), &self.signer(role).start.data_dir)?;
        }
        self.sentinel = kept.sentinel.clone();
        let reverted: bool = self.chain.anvil.rpc("evm_revert", json!([kept.block])).await?;
        ensure!(reverted, "the chain does not go back");
        kept.block = self.chain.anvil.rpc("evm_snapshot", json!([])).await?;
        for role in [Role::Keeper, Role::Cooler] {
            self.start(role, None).await?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            self.unlocked(role).await?;
        }
        Ok(())
    }

    /// Unlocks what nobody has any doubt of.
    pub(crate) async fn unlocked(&mut self, role: Role) -> Result<()> {
        match self.unlock(role).await? {
            Ok(()) => Ok(()),
            Err(why) => bail!("{role} stays locked: {why}"),
        }
    }

    /// A place for copies.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Given {
    /// What a signature stands for.
    pub(crate) fn of(wallet: &Wallet, nonce: u64, digest: [u8; 32]) -> Self {
        Self { wallet: wallet.id.clone(), chain: CHAIN.to_owned(), nonce, digest }
    }
}

/// A request under a new operation id.
pub(crate) fn request(operation: Operation) -> Request {
    let mut operation_id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    Request { operation_id, operation: Some(operation) }
}

/// To Keeper.
pub(crate) fn sign(paid: &Paid) -> Operation {
    Operation::Sign(paid.payment.clone())
}

/// To Cooler, with hot's signature.
pub(crate) fn countersign(paid: &Paid) -> Operation {
    let hot_signature = paid.hot.clone().unwrap_or_default();
    Operation::Sign(Payment { hot_signature, client_key: Vec::new(), ..paid.payment.clone() })
}

pub(crate) fn registration(hot: &Attestation) -> Operation {
    Operation::RegisterWallet(RegisterWallet {
        hot: Some(hot.clone()),
        chains: vec![CHAIN.to_owned()],
        salt: Vec::new(),
    })
}

/// The sentinel's.
pub(crate) fn settlement(wallet: &Wallet, digest: &[u8; 32]) -> Operation {
    let (wallet, nonce) = (wallet.id.clone(), wallet.nonce);
    let settlement = Settlement { wallet, chain: CHAIN.to_owned(), nonce, digest: digest.to_vec() };
    Operation::Settle(Settle { settlements: vec![settlement] })
}

/// The signature, or what came instead.
pub(crate) fn signature(outcome: Outcome) -> Result<Vec<u8>> {
    match outcome {
        Outcome::Signed(signed) => Ok(signed.signature),
        other => bail!("not signed: {other:?}"),
    }
}

/// Why it was not done, or `Done`.
pub(crate) fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused(refused) | Outcome::Unavailable(refused) => &refused.reason,
        _ => "Done",
    }
}

pub(crate) fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

fn ceremonies() -> Result<(Phrase, SignedManifest)> {
    let (cool, cold) = (Phrase::generate(&mut OsRng), Phrase::generate(&mut OsRng));
    let mut signed = SignedManifest::new(Manifest {
        version: manifest::VERSION,
        custody_id: CustodyId::generate(&mut OsRng),
        revision: 1,
        cool: PublicHalf::from_keys(KeyRole::Cool, &cool.keys())?,
        cold: PublicHalf::from_keys(KeyRole::Cold, &cold.keys())?,
        safe_destinations: BTreeMap::from([(CHAIN.to_owned(), vec![SAFE.to_owned()])]),
    })?;
    signed.sign(KeyRole::Cool, &cool.keys())?;
    signed.sign(KeyRole::Cold, &cold.keys())?;
    Ok((cool, signed))
}
