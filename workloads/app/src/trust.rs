//! What App believes: its own rules, the pinned manifest, and statements by the signers that its configuration names.
//! Every address is computed here from the three keys before it is given out or used.

use std::{collections::BTreeMap, sync::Arc};

use chain::{ChainError, ChainRules, WalletDesc};
use custody::{Role, WalletId, manifest::VerifiedManifest};
use ed25519_dalek::VerifyingKey;
use protocol::{
    attestation::{self, AttestationError},
    ops::{Attestation, HotKeys, NamespaceKey, WalletRecord},
};

use crate::{
    config::Settings,
    domain::{Address, Assets},
};

/// Salt of every address.
const SALT: [u8; 32] = [0; 32];

/// Why a signer's statement is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Distrust {
    #[error("{signer}'s statement is not believed: {error}")]
    NotGenuine { signer: Role, error: AttestationError },
    #[error("{signer}'s statement is not believed: {what} does not match what App computed or asked for")]
    Other { signer: Role, what: &'static str },
    #[error("the stored address does not match the wallet's keys; restore the database from a backup")]
    Stored,
}

/// See the module.
pub(crate) struct Trust {
    rules: Arc<dyn ChainRules>,
    manifest: VerifiedManifest,
    signers: BTreeMap<Role, Vec<VerifyingKey>>,
    assets: Assets,
    cancel_destinations: Vec<Address>,
}

impl Trust {
    /// From a validated configuration.
    pub(crate) fn new(settings: &Settings) -> Result<Self, ChainError> {
        let rules = settings.chain.rules.clone();
        let keys = |(role, keys): (&Role, &Vec<_>)| {
            (*role, keys.iter().filter_map(|keys| custody::identity::message_key(keys).ok()).collect())
        };
        let none = || ChainError::Address("no safe destination".to_owned());
        let destinations = settings.manifest.safe_destinations(rules.id().as_str());
        let cancel_destinations = destinations.iter().map(|text| Address::parse(text, &*rules));
        let cancel_destinations = cancel_destinations.collect::<Result<Vec<_>, _>>()?;
        if cancel_destinations.is_empty() {
            return Err(none());
        }
        Ok(Self {
            cancel_destinations,
            rules,
            manifest: settings.manifest.clone(),
            signers: settings.signers.iter().map(keys).collect(),
            assets: settings.chain.assets.clone(),
        })
    }

    /// The rules of App's chain.
    pub(crate) fn rules(&self) -> &dyn ChainRules {
        &*self.rules
    }

    /// What App pays.
    pub(crate) fn assets(&self) -> &Assets {
        &self.assets
    }

    /// Where a cancel may send nothing to: the manifest's safe destinations, in its order; at least one.
    pub(crate) fn cancel_destinations(&self) -> &[Address] {
        &self.cancel_destinations
    }

    /// The wallet of a hot key, with the manifest's cool and cold keys.
    pub(crate) fn wallet(&self, hot_key: &[u8]) -> Result<WalletDesc, ChainError> {
        let owners = self.manifest.owners(self.rules.id(), hot_key)?;
        self.rules.wallet(&owners, SALT)
    }

    /// An address on App's chain.
    pub(crate) fn address(&self, text: &str) -> Result<Address, ChainError> {
        Address::parse(text, &*self.rules)
    }

    /// The hot keys that Keeper attests for this wallet, and the one for this chain among them.
    pub(crate) fn hot_keys(&self, id: &WalletId, statement: &Attestation) -> Result<(HotKeys, Vec<u8>), Distrust> {
        let signer = Role::Keeper;
        let keys = attestation::hot_keys(statement, self.accepted(signer))
            .map_err(|error| Distrust::NotGenuine { signer, error })?;
        let HotKeys { custody_id, wallet, keys: list } = &keys;
        self.check(signer, custody_id == self.manifest.custody_id().as_bytes(), "the custody")?;
        self.check(signer, wallet == id.as_str(), "the wallet")?;
        let ours = |key: &&NamespaceKey| key.namespace == self.rules.id().namespace();
        let mut own = list.iter().filter(ours);
        let (Some(hot), None) = (own.next(), own.next()) else {
            return Err(Distrust::Other { signer, what: "the key for this chain" });
        };
        let hot = hot.public_key.clone();
        Ok((keys, hot))
    }

    /// Whether the signer durably holds exactly this wallet.
    pub(crate) fn record(
        &self,
        signer: Role,
        hot: &HotKeys,
        wallet: &WalletDesc,
        statement: &Attestation,
    ) -> Result<(), Distrust> {
        let record = attestation::wallet_record(statement, self.accepted(signer))
            .map_err(|error| Distrust::NotGenuine { signer, error })?;
        let WalletRecord { custody_id, wallet: id, keys, salt, addresses, manifest_digest } = record;
        self.check(signer, custody_id == hot.custody_id, "the custody")?;
        self.check(signer, id == hot.wallet, "the wallet")?;
        self.check(signer, keys == hot.keys, "the hot key")?;
        self.check(signer, salt == SALT, "the salt")?;
        self.check(signer, manifest_digest == self.manifest.digest_bytes(), "the manifest")?;
        let mut own = addresses.iter().filter(|address| address.chain == wallet.chain.as_str());
        let same = own.next().is_some_and(|first| first.address == wallet.address) && own.next().is_none();
        self.check(signer, same, "the address")
    }

    fn accepted(&self, signer: Role) -> &[VerifyingKey] {
        self.signers.get(&signer).map_or(&[], Vec::as_slice)
    }

    fn check(&self, signer: Role, same: bool, what: &'static str) -> Result<(), Distrust> {
        if same { Ok(()) } else { Err(Distrust::Other { signer, what }) }
    }
}
