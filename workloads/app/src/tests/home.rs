//! What App's owner keeps beside App: configuration, manifest, keys.

use std::{fs, path::PathBuf};

use chain_adapters::Adapters;
use custodies::{Ceremony, Custody};
use custody::{Role, identity::PeerKeys};
use data_encoding::HEXLOWER;
use nkeys::XKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::signers::TestSigners;
use crate::{
    callers::Callers,
    config::{ConfigError, Settings},
    domain::Scope,
};

pub(super) const CHAIN: u64 = 31_337;
pub(super) const ETH: u128 = 1_000_000_000_000_000_000;
pub(super) const SHOP: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
pub(super) const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
pub(super) const OTHER_SAFE_PLACE: &str = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb";

/// Tokens of App's callers, with their names and scopes.
const CALLERS: [(&str, &str, &[Scope]); 3] = [
    (SHOP_TOKEN, "default", &Scope::ALL),
    (OTHER_TOKEN, "other-shop", &[Scope::Pay]),
    (AUDITOR_TOKEN, "auditor", &[Scope::Read]),
];
/// The usual caller: may do everything.
pub(super) const SHOP_TOKEN: &str = "multisig_app_shop";
/// May pay and nothing else.
pub(super) const OTHER_TOKEN: &str = "multisig_app_other";
/// May read and nothing else.
pub(super) const AUDITOR_TOKEN: &str = "multisig_app_auditor";

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

pub(super) struct Home {
    folder: TempDir,
    pub(super) custody: Custody,
}

impl Home {
    /// `chain` as it is configured, with these safe destinations there.
    pub(super) fn new(chain: Value, safe_destinations: &[&str], relayer_key: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let custody = Ceremony::fixed().destinations(chain["id"].as_str().unwrap(), safe_destinations).held();
        let home = Self { folder: tempfile::tempdir().unwrap(), custody };
        fs::write(home.path("manifest.json"), home.custody.signed.to_json()).unwrap();
        fs::write(home.path("ca.pem"), "-----BEGIN CERTIFICATE-----").unwrap();
        fs::write(home.path("relayer.key"), relayer_key).unwrap();
        let callers = CALLERS.map(|(token, name, scopes)| {
            Callers::line(&name.parse().unwrap(), &scopes.iter().copied().collect(), &hash(token))
        });
        fs::write(home.path("callers"), callers.join("\n")).unwrap();
        fs::write(home.path("config.json"), home.config(chain).to_string()).unwrap();
        home
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, chain: Value) -> Value {
        let path = |name: &str| self.path(name).display().to_string();
        let keys = |signer, xkey| PeerKeys {
            message_key: HEXLOWER.encode(TestSigners::message_key(signer).verifying_key().as_bytes()),
            xkey: XKey::new_from_raw([xkey; 32]).public_key(),
        };
        json!({
            "listen": "127.0.0.1:0",
            "healthListen": "127.0.0.1:0",
            "callersFile": path("callers"),
            "dataDir": path("data"),
            "identityDir": path("identity"),
            "custodyId": self.custody.id(),
            "manifestFile": path("manifest.json"),
            "manifestDigest": self.custody.signed.digest(),
            "signers": {"keeper": [keys(Role::Keeper, 21)], "cooler": [keys(Role::Cooler, 22)]},
            "nats": {"urls": ["tls://127.0.0.1:4222"], "caFile": path("ca.pem")},
            "credentialsFile": path("credentials.json"),
            "chain": chain,
            "relayerKeyFile": path("relayer.key"),
        })
    }

    /// The settings, with the configuration changed.
    pub(super) fn settings(
        &self,
        adapters: &Adapters,
        change: impl FnOnce(&mut Value),
    ) -> Result<Settings, ConfigError> {
        let mut config: Value = serde_json::from_slice(&fs::read(self.path("config.json")).unwrap()).unwrap();
        change(&mut config);
        let file = self.path("changed.json");
        fs::write(&file, config.to_string()).unwrap();
        Settings::load(&file, adapters)
    }
}
