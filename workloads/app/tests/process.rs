//! Promises of the App process over a real broker and a real node.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use custodies::{Ceremony, Custody};
use custody::{CustodyId, Role, config::Credentials, identity::Identity, phrase::Phrase};
use harness::{Options, evm::Anvil, nats::Nats};
use natsauth::{AccountLimits, Scope, UserName, account_claims, role_permissions, user_claims};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa};
use serde_json::{Value, json};
use tempfile::TempDir;

const CHAIN: u64 = 31_337;
const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const PATIENCE: Duration = Duration::from_secs(60);

/// App's owner's room, with everything in it but credentials.
struct Room {
    folder: TempDir,
    custody: CustodyId,
    identity: Identity,
    /// Of the API, and of health and metrics.
    ports: [u16; 2],
}

impl Room {
    fn new(nats: &Nats, rpc: &str) -> Self {
        Self::beside(&nats.url(), nats.ca_pem(), rpc)
    }

    fn beside(nats: &str, nats_ca: &str, rpc: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let custody = Ceremony::fixed().destinations(&format!("eip155:{CHAIN}"), &[SAFE_PLACE]).held();
        let Custody { signed: manifest, .. } = &custody;
        let identity: Identity = serde_json::from_slice(&identity(&folder).stdout).unwrap();
        let custody_id = custody.id();
        let port = || harness::ports::free([127, 0, 0, 1].into()).unwrap();
        let room = Self { custody: custody_id, identity, ports: [port(), port()], folder };
        fs::write(room.path("manifest.json"), manifest.to_json()).unwrap();
        fs::write(room.path("ca.pem"), nats_ca).unwrap();
        fs::write(room.path("callers"), token("shop", "read,pay").1).unwrap();
        fs::write(room.path("relayer.key"), "01".repeat(32)).unwrap();
        let keys = |byte| {
            let own = protocol::envelope::OwnKeys::from_seeds(&[byte; 32], &[byte + 1; 32]);
            own.public().clone()
        };
        let path = |name: &str| room.path(name).display().to_string();
        let config = json!({
            "listen": format!("127.0.0.1:{}", room.ports[0]),
            "healthListen": format!("127.0.0.1:{}", room.ports[1]),
            "callersFile": path("callers"),
            "dataDir": path("data"),
            "identityDir": path("identity"),
            "custodyId": custody_id,
            "manifestFile": path("manifest.json"),
            "manifestDigest": manifest.digest(),
            "signers": {"keeper": [keys(11)], "cooler": [keys(21)]},
            "nats": {"urls": [nats], "caFile": path("ca.pem")},
            "credentialsFile": path("credentials.json"),
            "chain": {
                "id": format!("eip155:{CHAIN}"),
                "nodes": [rpc],
                "finality": {"depth": 0},
                "assets": [{"symbol": "ETH", "asset": "native", "decimals": 18}],
            },
            "relayerKeyFile": path("relayer.key"),
        });
        fs::write(room.path("config.json"), config.to_string()).unwrap();
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_app"));
        command.args(["run", "--config"]).arg(self.path("config.json")).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Process {
        Process(self.command().spawn().unwrap())
    }

    /// Starts App, which ends by itself; what it says.
    fn refused(&self) -> String {
        let output = self.command().output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    /// The hub mints a JWT for App's public NKey.
    fn deliver(&self, generation: u64, user_jwt: String) {
        let credentials = serde_json::to_string(&Credentials { generation, user_jwt }).unwrap();
        fs::write(self.path("credentials.part"), credentials).unwrap();
        fs::rename(self.path("credentials.part"), self.path("credentials.json")).unwrap();
    }

    /// Waits until App is in the state; its message.
    async fn comes_to(&self, state: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        loop {
            let answer = client.get(format!("http://127.0.0.1:{}/readyz", self.ports[1])).send().await;
            let last = match answer {
                Ok(answer) => answer.json::<Value>().await.unwrap(),
                Err(error) => json!(error.to_string()),
            };
            // Before the first look at the broker it says no more than that it starts.
            if last["state"] == state && last["message"] != "starting" {
                return last["message"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < deadline, "not {state} but {last}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Killed when the test ends.
struct Process(Child);

impl Process {
    /// SIGTERM, as the kubelet sends it.
    fn terminate(mut self) -> ExitStatus {
        let sent = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success());
        self.0.wait().unwrap()
    }
}

impl Process {
    /// SIGHUP.
    fn hang_up(&self) {
        let sent = Command::new("kill").args(["-HUP", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The custody's account on the broker.
struct Account {
    key: KeyPair,
    app: KeyPair,
}

impl Account {
    async fn push(nats: &Nats, custody: CustodyId) -> Self {
        let account = Self { key: KeyPair::new_account(), app: KeyPair::new_account() };
        let scope = Scope::new(&account.app.public_key(), "app", role_permissions(custody, Role::App));
        let public = account.key.public_key();
        let limits = AccountLimits::default();
        let claims = account_claims("custody", &public, vec![scope], limits, BTreeMap::new(), 1);
        let operator = KeyPair::from_seed(nats.operator_signing_seed()).unwrap();
        let jwt = natsauth::encode(claims, &operator).unwrap();
        let client = nats.push_client().await.unwrap();
        client.request(format!("$SYS.REQ.ACCOUNT.{public}.CLAIMS.UPDATE"), jwt.into()).await.unwrap();
        account
    }

    fn jwt(&self, user: &str, iat: i64) -> String {
        let claims = user_claims(&UserName::from(Role::App), user, &self.key.public_key(), iat, None);
        natsauth::encode(claims, &self.app).unwrap()
    }
}

fn identity(folder: &TempDir) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_app"));
    command.args(["identity", "--dir"]).arg(folder.path().join("identity")).output().unwrap()
}

/// `app token`: the token, and its line for the callers' file.
fn token(name: &str, scopes: &str) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_app"));
    let made = command.args(["token", "--name", name, "--scope", scopes]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    assert!(!text("line").contains(&text("token")));
    (text("token"), text("line"))
}

/// Asks for the payments until the status is this one.
async fn answers(client: &reqwest::Client, url: &str, token: Option<&str>, status: u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = token.into_iter().fold(client.get(url), |request, token| request.bearer_auth(token));
        let last = match request.send().await {
            Ok(answer) if answer.status() == status => return,
            Ok(answer) => answer.status().to_string(),
            Err(error) => format!("{error:?}"),
        };
        assert!(Instant::now() < deadline, "not {status} but {last}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

type Authority = CertifiedIssuer<'static, rcgen::KeyPair>;

fn authority() -> Authority {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(authority, rcgen::KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, PEM.
fn certificate(authority: &Authority, name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// Whoever may ask is told that App waits for the signers, of which there are none.
const LOCKED: u16 = 503;

#[tokio::test]
async fn callers_come_and_go_with_their_lines_and_show_a_token_or_a_certificate() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (authority, next_authority) = (authority(), authority());
    let room = Room::beside("tls://127.0.0.1:1", &authority.pem(), "http://127.0.0.1:1");
    let serves_with = |authority: &Authority| {
        let (server, key) = certificate(authority, "127.0.0.1");
        fs::write(room.path("server.pem"), server).unwrap();
        fs::write(room.path("server.key"), key).unwrap();
    };
    serves_with(&authority);
    let mut config: Value = serde_json::from_slice(&fs::read(room.path("config.json")).unwrap()).unwrap();
    config["tls"] = json!({
        "certificateFile": room.path("server.pem"),
        "keyFile": room.path("server.key"),
        "clientCaFile": room.path("ca.pem"),
    });
    fs::write(room.path("config.json"), config.to_string()).unwrap();
    let ((old, old_line), (new, new_line)) = (token("shop", "read,pay"), token("shop", "read,pay"));
    let by_certificate = "auditor read certificate:auditor.example";
    fs::write(room.path("callers"), format!("{old_line}\n{by_certificate}\n")).unwrap();

    let app = room.start();
    let url = format!("https://127.0.0.1:{}/payments", room.ports[0]);
    let client = |authority: &Authority| {
        let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([root])
    };
    let plain = client(&authority).build().unwrap();
    answers(&plain, &url, Some(&old), LOCKED).await;
    answers(&plain, &url, None, 401).await;
    let shown = |name: &str| {
        let (certificate, key) = certificate(&authority, name);
        let identity = reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap();
        client(&authority).identity(identity).build().unwrap()
    };
    let auditor = shown("auditor.example");
    answers(&auditor, &url, None, LOCKED).await;
    assert_eq!(auditor.post(&url).json(&json!({})).send().await.unwrap().status(), 403, "it may only read");
    answers(&shown("stranger.example"), &url, None, 401).await;

    // A slip of the pen changes nothing; then the token is another one, and the certificate nobody's.
    fs::write(room.path("callers"), "shop everything").unwrap();
    app.hang_up();
    answers(&plain, &url, Some(&old), LOCKED).await;
    fs::write(room.path("callers"), new_line).unwrap();
    app.hang_up();
    answers(&plain, &url, Some(&old), 401).await;
    answers(&plain, &url, Some(&new), LOCKED).await;
    answers(&auditor, &url, None, 401).await;

    // So is the server's certificate another one, for those who connect after that.
    serves_with(&next_authority);
    app.hang_up();
    answers(&client(&next_authority).build().unwrap(), &url, Some(&new), LOCKED).await;
    client(&authority).build().unwrap().get(&url).send().await.expect_err("nobody is shown the old certificate");
}

#[test]
fn the_identity_is_made_once_and_proves_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let first = identity(&folder);
    assert!(first.status.success());
    let shown: Identity = serde_json::from_slice(&first.stdout).unwrap();
    custody::identity::verify(&shown).unwrap();
    assert_eq!(identity(&folder).stdout, first.stdout);
}

#[tokio::test]
async fn app_waits_for_what_is_missing_by_name_and_goes_on_as_soon_as_it_is_there() {
    let nats = Nats::start(Options::default()).await.unwrap();
    let anvil = Anvil::start(CHAIN, Options::default()).await.unwrap();
    let room = Room::new(&nats, &anvil.url());
    let account = Account::push(&nats, room.custody).await;
    let app = room.start();
    let message = room.comes_to("AwaitingCredentials").await;
    assert!(message.contains(&room.identity.nats_user), "{message}");
    room.deliver(1, "rubbish".to_owned());
    room.comes_to("Disconnected").await;
    room.deliver(2, account.jwt(&room.identity.nats_user, 1));
    // No signer is there whose records could be read.
    let message = room.comes_to("Locked").await;
    assert!(message.contains("the signers' records"), "{message}");

    nats.stop().await;
    room.comes_to("Disconnected").await;
    nats.start_again().await.unwrap();
    room.comes_to("Locked").await;
    room.deliver(3, account.jwt(&room.identity.nats_user, 2));

    anvil.stop().await;
    let message = room.comes_to("AwaitingNode").await;
    assert!(message.contains("is away"), "{message}");
    anvil.start_again().await.unwrap();
    room.comes_to("Locked").await;
    assert!(room.refused().contains("can't listen on"));
    assert!(app.terminate().success());
}

#[tokio::test]
async fn a_node_of_another_chain_is_not_used() {
    let nats = Nats::start(Options::default()).await.unwrap();
    let anvil = Anvil::start(CHAIN + 1, Options::default()).await.unwrap();
    let room = Room::new(&nats, &anvil.url());
    let account = Account::push(&nats, room.custody).await;
    room.deliver(1, account.jwt(&room.identity.nats_user, 1));
    let _app = room.start();
    let message = room.comes_to("AwaitingNode").await;
    assert!(message.contains(&format!("not eip155:{CHAIN}")), "{message}");
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_one_line_that_says_what_to_do() {
    let nats = Nats::start(Options::default()).await.unwrap();
    let room = Room::new(&nats, "http://127.0.0.1:1");
    let said = |expected: &str| {
        let text = room.refused();
        assert!(text.starts_with("app: ") && text.trim_end().lines().count() == 1, "{text}");
        assert!(text.contains(expected), "{text}");
    };
    let config = fs::read_to_string(room.path("config.json")).unwrap();
    fs::write(room.path("config.json"), config.replace("\"listen\"", "\"listens\"")).unwrap();
    said("unknown field `listens`");
    fs::write(room.path("config.json"), &config).unwrap();

    fs::write(room.path("relayer.key"), "SECRET").unwrap();
    said("relayer.key: the relayer key is malformed");
    fs::remove_file(room.path("relayer.key")).unwrap();
    said("can't read");
    fs::write(room.path("relayer.key"), "01".repeat(32)).unwrap();

    let mut half_signed: Value = serde_json::from_slice(&fs::read(room.path("manifest.json")).unwrap()).unwrap();
    half_signed["signatures"].as_array_mut().unwrap().pop();
    let manifest = fs::read(room.path("manifest.json")).unwrap();
    fs::write(room.path("manifest.json"), half_signed.to_string()).unwrap();
    said("not signed by cold");
    fs::write(room.path("manifest.json"), manifest).unwrap();

    fs::remove_file(room.path("identity").join("xkey.seed")).unwrap();
    said("run `app identity --dir");
}

impl Room {
    /// One of the commands about backups, with the backup phrase typed in.
    fn told(&self, args: &[&str], phrase: &Phrase) -> Result<Value, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_app"));
        let (stdin, out) = (Stdio::piped(), Stdio::piped());
        let mut child = command.args(args).stdin(stdin).stdout(out).stderr(Stdio::piped()).spawn().unwrap();
        let words = phrase.words().collect::<Vec<_>>().join(" ");
        // A command that refuses before it reads closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(words.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            return Ok(serde_json::from_str(&text(output.stdout)).unwrap_or(Value::Null));
        }
        Err(text(output.stderr))
    }
}

#[tokio::test]
async fn a_backup_is_made_beside_the_running_app_and_brings_everything_back_in_a_new_epoch() {
    let nats = Nats::start(Options::default()).await.unwrap();
    let room = Room::new(&nats, "http://127.0.0.1:1");
    let (phrase, wrong) = (Phrase::from_entropy(&[7; 32]).unwrap(), Phrase::from_entropy(&[8; 32]).unwrap());
    let to = custody::sealed_backup::key(&phrase).public_key();
    let path = |name: &str| room.path(name).display().to_string();
    let back_up =
        |out: &str| room.told(&["backup", "--config", &path("config.json"), "--to", &to, "--out", out], &phrase);

    // A schedule makes one at each start; a command makes another, whether App runs or not.
    let mut config: Value = serde_json::from_slice(&fs::read(room.path("config.json")).unwrap()).unwrap();
    config["backups"] = json!({"to": to, "dir": path("kept"), "everyMinutes": 60, "keep": 1});
    fs::create_dir(room.path("kept")).unwrap();
    fs::create_dir(room.path("data")).unwrap();
    fs::write(room.path("config.json"), config.to_string()).unwrap();
    assert_eq!(back_up(&path("before")).unwrap()["epoch"], 1);
    let app = room.start();
    room.comes_to("AwaitingCredentials").await;
    assert_eq!(back_up(&path("beside")).unwrap()["epoch"], 1);
    assert!(back_up(&path("beside")).unwrap_err().contains("is there already"));
    let deadline = Instant::now() + PATIENCE;
    let kept = || fs::read_dir(room.path("kept")).unwrap().map(|it| it.unwrap().path()).collect::<Vec<_>>();
    while !kept().iter().any(|it| it.extension().is_some_and(|it| it == "backup")) {
        assert!(Instant::now() < deadline, "{:?}", kept());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(app.terminate().success());

    let scheduled = kept().remove(0).display().to_string();
    for backup in [path("before"), path("beside"), scheduled] {
        // Nobody but the phrase opens it, and none of the keys is in it as it is.
        let sealed = fs::read(&backup).unwrap();
        let seed = fs::read(room.path("identity").join("message.seed")).unwrap();
        assert!(!sealed.windows(64).any(|window| window == &seed[..64]));
        let refused = room.told(&["verify", "--in", &backup], &wrong).unwrap_err();
        assert!(refused.contains("type the phrase of that key"), "{refused}");
        let verified = room.told(&["verify", "--in", &backup], &phrase).unwrap();
        assert_eq!((&verified["database"]["epoch"], &verified["database"]["payments"]), (&json!(1), &json!(0)));

        let dir = format!("{backup}-restored");
        let restore = || room.told(&["restore", "--in", &backup, "--dir", &dir], &phrase);
        assert_eq!(restore().unwrap()["epoch"], 2);
        assert!(restore().unwrap_err().contains("is there already"), "nothing is written over");
        for file in ["identity/nats.seed", "identity/message.seed", "identity/xkey.seed", "relayer.key"] {
            assert_eq!(fs::read(format!("{dir}/{file}")).unwrap(), fs::read(room.path(file)).unwrap(), "{file}");
        }
    }
    let mut cut = fs::read(path("before")).unwrap();
    cut.pop();
    fs::write(path("cut"), cut).unwrap();
    assert!(room.told(&["verify", "--in", &path("cut")], &phrase).unwrap_err().contains("damaged"));
}
