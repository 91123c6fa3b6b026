//! The state machine: from what was observed to a state, a line for people, and what may be served. Pure.

use custody::{Role, config::Credentials, local_policy::LocalPolicy, report::WorkloadState, trust::MemberTrust};

use transport::SessionState;
use workload::documents::{self, Documents, Unready};

use super::verified::{Verified, verify};

/// What was seen of the ConfigMaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Observed {
    /// Nothing that may be relied upon, and why.
    Unknown(Unready),
    /// The last that was read.
    Seen(Documents),
}

/// The signer's own keys, and the Vault that opens secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Neither made nor opened yet, and why.
    Closed(String),
    /// Somebody else has written to the volume: what, and what to do.
    Tampered(String),
    /// Open; the public half of the connection's key, and the Vault's present trouble, if it has any.
    Open {
        /// `U...`.
        nats_user: String,
        /// In plain words.
        vault: Result<(), String>,
    },
}

/// What stands before every operation of App.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gates {
    /// Everything is frozen: by whom and why.
    pub(crate) frozen: Option<String>,
    /// Why this start is locked.
    pub(crate) locked: Option<String>,
    /// The sentinel's lease has expired.
    pub(crate) lease_expired: bool,
}

/// All that is observed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The ConfigMaps.
    pub(crate) observed: &'a Observed,
    /// Earlier local policies that still hold.
    pub(crate) held: &'a [LocalPolicy],
    /// Own keys and Vault.
    pub(crate) keys: &'a Keys,
    /// Namespace and public key of what Cooler has stored.
    pub(crate) cool_keys: &'a [(String, Vec<u8>)],
    /// The connection.
    pub(crate) broker: &'a SessionState,
    /// Freeze, lock, lease.
    pub(crate) gates: &'a Gates,
}

/// The outcome.
pub(crate) struct Assessment {
    /// Present state.
    pub(crate) state: WorkloadState,
    /// One line for people.
    pub(crate) message: String,
    /// The member trust, as soon as it is readable.
    pub(crate) trust: Option<MemberTrust>,
    /// The documents, verified together.
    pub(crate) verified: Option<Verified>,
    /// What to connect to the broker with.
    pub(crate) credentials: Option<Credentials>,
    /// Whether operations may be answered. Also while the Vault is away or a gate is closed: whoever asks is told so.
    pub(crate) serves: bool,
}

/// All of it.
pub(crate) fn assess(role: Role, seen: Seen<'_>) -> Assessment {
    let mut found = Assessment {
        state: WorkloadState::Serving,
        message: "serving".to_owned(),
        trust: None,
        verified: None,
        credentials: None,
        serves: false,
    };
    if let Err(Unready { state, message }) = walk(role, seen, &mut found) {
        (found.state, found.message) = (state, message);
    }
    found
}

/// One gate after the other; the first that is closed is the state.
fn walk(role: Role, seen: Seen<'_>, found: &mut Assessment) -> Result<(), Unready> {
    let Seen { observed, held, keys, cool_keys, broker, gates } = seen;
    let documents = match observed {
        Observed::Unknown(unready) => return Err(unready.clone()),
        Observed::Seen(documents) => documents,
    };
    let trust = found.trust.insert(documents::trust(role, documents)?);
    let (nats_user, vault) = match keys {
        Keys::Closed(why) => return Err(Unready::new(WorkloadState::Starting, why)),
        Keys::Tampered(why) => return Err(Unready::new(WorkloadState::Locked, why)),
        Keys::Open { nats_user, vault } => (nats_user, vault),
    };
    let verified = verify(trust, documents, held)?;
    let verified = found.verified.insert(verified);
    found.credentials = Some(documents::credentials(role, documents, nats_user)?);
    if role == Role::Cooler {
        cool_key(verified, cool_keys)?;
    }
    found.serves = true;
    if let Some(why) = &gates.frozen {
        return Err(Unready::new(WorkloadState::Frozen, why));
    }
    vault.clone().map_err(|why| Unready::new(WorkloadState::Starting, why))?;
    if let SessionState::Away(why) = broker {
        return Err(Unready::new(WorkloadState::Disconnected, why));
    }
    if let Some(why) = &gates.locked {
        return Err(Unready::new(WorkloadState::Locked, why));
    }
    if gates.lease_expired {
        return Err(Unready::new(
            WorkloadState::Locked,
            "the sentinel's lease has expired; nothing is signed until it is renewed",
        ));
    }
    Ok(())
}

/// Cooler has the manifest's cool key for every family of chains that the local policy names.
fn cool_key(verified: &Verified, cool_keys: &[(String, Vec<u8>)]) -> Result<(), Unready> {
    let unready = |message: String| Unready::new(WorkloadState::AwaitingCoolKey, message);
    for chain in verified.rules.keys() {
        let namespace = chain.namespace();
        let held = cool_keys.iter().find(|(known, _)| known == namespace);
        let Some((_, key)) = held else {
            return Err(unready(format!(
                "no cool key for {namespace}; seal the phrase with `multisig-paper cool seal`, then `multisig cool import`"
            )));
        };
        if verified.manifest.cool_key(namespace) != Some(key.as_slice()) {
            return Err(unready(format!(
                "the cool key held for {namespace} is not the manifest's; pin the right manifest, or empty the volume \
                 and import the manifest's phrase"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use custodies::{CHAIN, Custody};
    use custody::{manifest::SignedManifest, trust::MemberTrust};
    use serde_json::Value;

    use super::*;
    use crate::tests::{documents, user_jwt};

    const USER: &str = "UOWN";

    /// All that is observed when nothing is missing.
    struct World {
        role: Role,
        custody: Custody,
        documents: Documents,
        keys: Keys,
        cool_keys: Vec<(String, Vec<u8>)>,
        broker: SessionState,
        gates: Gates,
    }

    impl World {
        fn complete(role: Role) -> Self {
            let custody = Custody::random();
            Self {
                role,
                documents: documents(&custody, role, USER),
                keys: Keys::Open { nats_user: USER.to_owned(), vault: Ok(()) },
                cool_keys: vec![("eip155".to_owned(), custody.cool.keys().public_key("eip155").unwrap().to_vec())],
                broker: SessionState::Connected { generation: 1 },
                gates: Gates::default(),
                custody,
            }
        }

        fn assess(&self) -> Assessment {
            self.assess_with(&Observed::Seen(self.documents.clone()))
        }

        fn assess_with(&self, observed: &Observed) -> Assessment {
            let Self { keys, cool_keys, broker, gates, .. } = self;
            assess(self.role, Seen { observed, held: &[], keys, cool_keys, broker, gates })
        }

        fn trust(&mut self, change: impl FnOnce(&mut MemberTrust)) {
            let mut trust = MemberTrust::parse(self.documents.trust.as_ref().unwrap().as_bytes()).unwrap();
            change(&mut trust);
            self.documents.trust = Some(trust.to_json());
        }

        fn config(&mut self, change: impl FnOnce(&mut Value)) {
            edit(&mut self.documents.config, change);
        }
    }

    fn edit(document: &mut Option<String>, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_str(document.as_ref().unwrap()).unwrap();
        change(&mut value);
        *document = Some(value.to_string());
    }

    /// What is wrong, the state, words of the message.
    type Case = (&'static str, fn(&mut World), WorkloadState, &'static str);

    #[test]
    fn with_everything_there_both_serve() {
        for role in [Role::Keeper, Role::Cooler] {
            let found = World::complete(role).assess();
            assert_eq!((found.state, found.message.as_str(), found.serves), (WorkloadState::Serving, "serving", true));
            assert_eq!(found.credentials.unwrap().generation, 1);
        }
    }

    #[test]
    fn whatever_is_missing_or_wrong_stops_the_service_and_is_named_with_what_to_do() {
        use WorkloadState::*;
        let cases: &[Case] = &[
            ("no trust", |w| w.documents.trust = None, AwaitingTrust, "run `multisig member prepare`"),
            ("broken trust", |w| w.documents.trust = Some("{".into()), AwaitingTrust, "malformed trust.json"),
            (
                "unknown field in trust",
                |w| edit(&mut w.documents.trust, |trust| trust["owner"] = "me".into()),
                AwaitingTrust,
                "unknown field `owner`",
            ),
            (
                "newer trust",
                |w| edit(&mut w.documents.trust, |trust| trust["shapeVersion"] = 2.into()),
                AwaitingTrust,
                "shape version 2",
            ),
            (
                "trust of the other signer",
                |w| {
                    let other = if w.role == Role::Keeper { Role::Cooler } else { Role::Keeper };
                    w.documents.trust = documents(&w.custody, other, USER).trust;
                },
                AwaitingTrust,
                "was written for",
            ),
            (
                "trust of a sentinel",
                |w| {
                    w.trust(|trust| {
                        trust.role = Role::Sentinel;
                        trust.peers.remove(&Role::Sentinel);
                    });
                },
                AwaitingTrust,
                "was written for sentinel",
            ),
            (
                "keys not opened",
                |w| w.keys = Keys::Closed("the Vault at x is sealed; unseal it".into()),
                Starting,
                "unseal it",
            ),
            (
                "rows that somebody else wrote",
                |w| w.keys = Keys::Tampered("StoreTampered: the rows of its table claims".into()),
                Locked,
                "StoreTampered",
            ),
            ("no custody", |w| w.trust(|trust| trust.custody = None), AwaitingTrust, "no custody is pinned"),
            (
                "app not approved",
                |w| w.trust(|trust| drop(trust.peers.remove(&Role::App))),
                AwaitingTrust,
                "multisig member approve app",
            ),
            ("no local policy", |w| w.trust(|trust| trust.local_policy = None), AwaitingTrust, "no local policy"),
            (
                "production without sentinel",
                |w| w.trust(|trust| trust.profile = custody::trust::Profile::Production),
                AwaitingTrust,
                "member approve sentinel",
            ),
            ("no config", |w| w.documents.config = None, AwaitingTrust, "-config has no config.json"),
            (
                "unknown field in config",
                |w| w.config(|config| config["image"] = "mine".into()),
                AwaitingTrust,
                "unknown field `image`",
            ),
            (
                "config of another custody",
                |w| w.config(|config| config["custodyId"] = "0".repeat(32).into()),
                AwaitingTrust,
                "not the one pinned here",
            ),
            (
                "broker without TLS",
                |w| w.config(|config| config["nats"]["urls"] = serde_json::json!(["nats://x:4222"])),
                AwaitingTrust,
                "tls://host:port",
            ),
            (
                "limit for an unknown asset",
                |w| {
                    let limit = serde_json::json!([{"chain": CHAIN, "asset": "ETHER", "perTransaction": "1"}]);
                    w.config(|config| config["policy"]["limits"] = limit);
                },
                AwaitingTrust,
                "limits ETHER",
            ),
            ("no manifest", |w| w.documents.manifest = None, AwaitingTrust, "-config has no manifest.json"),
            ("broken manifest", |w| w.documents.manifest = Some("[]".into()), AwaitingTrust, "manifest.json:"),
            (
                "another manifest, well signed",
                |w| w.documents.manifest = Some(Custody::random().signed.to_json()),
                AwaitingTrust,
                "manifest.json:",
            ),
            (
                "half-signed manifest",
                |w| {
                    let mut half = SignedManifest::new(w.custody.signed.unverified().clone()).unwrap();
                    half.sign(chain::KeyRole::Cool, &w.custody.cool.keys()).unwrap();
                    w.documents.manifest = Some(half.to_json());
                },
                AwaitingTrust,
                "cold",
            ),
            ("no credentials", |w| w.documents.credentials = None, AwaitingCredentials, "the hub mints it for UOWN"),
            (
                "credentials for a former key",
                |w| edit(&mut w.documents.credentials, |c| c["userJwt"] = user_jwt("UOLD").into()),
                AwaitingCredentials,
                "are for UOLD",
            ),
            (
                "broken credentials",
                |w| edit(&mut w.documents.credentials, |c| c["userJwt"] = "x".into()),
                AwaitingCredentials,
                "malformed",
            ),
        ];
        for role in [Role::Keeper, Role::Cooler] {
            for (what, break_it, state, words) in cases {
                let mut world = World::complete(role);
                break_it(&mut world);
                let found = world.assess();
                assert_eq!(found.state, *state, "{what}: {}", found.message);
                assert!(found.message.contains(words), "{what}: {}", found.message);
                assert!(!found.message.contains('\n'), "{what}: one line");
                assert!(!found.serves, "{what}");
            }
        }
    }

    #[test]
    fn only_cooler_waits_for_the_cool_key_and_takes_no_other() {
        let mut keeper = World::complete(Role::Keeper);
        keeper.cool_keys.clear();
        assert_eq!(keeper.assess().state, WorkloadState::Serving);

        let mut cooler = World::complete(Role::Cooler);
        cooler.cool_keys.clear();
        let found = cooler.assess();
        assert_eq!((found.state, found.serves), (WorkloadState::AwaitingCoolKey, false));
        assert!(found.message.contains("multisig cool import"), "{}", found.message);
        assert!(found.credentials.is_some(), "the connection does not wait for the key");

        cooler.cool_keys = World::complete(Role::Cooler).cool_keys;
        let found = cooler.assess();
        assert_eq!((found.state, found.serves), (WorkloadState::AwaitingCoolKey, false));
        assert!(found.message.contains("is not the manifest's"), "{}", found.message);
    }

    #[test]
    fn a_vault_or_broker_that_goes_away_is_named_and_decides_nothing_else() {
        let mut world = World::complete(Role::Keeper);
        world.broker = SessionState::Away("not connected".to_owned());
        let found = world.assess();
        assert_eq!(
            (found.state, found.message.as_str(), found.serves),
            (WorkloadState::Disconnected, "not connected", true)
        );

        world.keys = Keys::Open { nats_user: USER.to_owned(), vault: Err("the Vault at x is sealed".to_owned()) };
        let found = world.assess();
        assert_eq!((found.state, found.serves), (WorkloadState::Starting, true));
        assert_eq!(found.message, "the Vault at x is sealed");
    }

    #[test]
    fn a_closed_gate_is_a_state_of_its_own_and_whoever_asks_is_still_told() {
        type Close = fn(&mut Gates);
        let cases: [(Close, WorkloadState); 3] = [
            (|gates| gates.frozen = Some("frozen by app: theft".to_owned()), WorkloadState::Frozen),
            (|gates| gates.locked = Some("rolled back".to_owned()), WorkloadState::Locked),
            (|gates| gates.lease_expired = true, WorkloadState::Locked),
        ];
        for (close, state) in cases {
            let mut world = World::complete(Role::Keeper);
            close(&mut world.gates);
            let found = world.assess();
            assert_eq!((found.state, found.serves), (state, true), "{}", found.message);
        }
    }

    #[test]
    fn nothing_observed_is_nothing_served() {
        let world = World::complete(Role::Keeper);
        let unknown = Observed::Unknown(Unready::new(WorkloadState::Starting, "no API server"));
        let found = world.assess_with(&unknown);
        assert_eq!((found.state, found.serves, found.verified.is_none()), (WorkloadState::Starting, false, true));
    }
}
