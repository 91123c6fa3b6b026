//! The state machine: from what was observed to a state, a line for people, and what may be served. Pure.

use custody::{
    Role,
    trust::TrustBundle,
    wiring::{Credentials, State},
};

use super::documents::{self, Documents, Unready, Verified};

/// What was seen of the ConfigMaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Nothing that may be relied upon, and why.
    Unknown(Unready),
    /// The last that was read.
    Seen(Documents),
}

/// The signer's own keys, and the Vault that opens secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Neither made nor opened yet, and why.
    Closed(String),
    /// Open; the public half of the connection's key, and the Vault's present trouble, if it has any.
    Open {
        /// `U...`.
        nats_user: String,
        /// In plain words.
        vault: Result<(), String>,
    },
}

/// The connection to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broker {
    /// Answers, with these credentials.
    Connected {
        /// [`Credentials::generation`].
        generation: u64,
    },
    /// Does not answer, or refuses, in plain words.
    Away(String),
}

/// The outcome.
pub struct Assessment {
    /// Present state.
    pub state: State,
    /// One line for people.
    pub message: String,
    /// The trust bundle, as soon as it is readable.
    pub trust: Option<TrustBundle>,
    /// The documents, verified together.
    pub verified: Option<Verified>,
    /// What to connect to the broker with.
    pub credentials: Option<Credentials>,
    /// Whether operations may be answered. Also while the Vault is away: whoever asks is told so.
    pub serves: bool,
}

/// All of it. `cool_keys` are namespace and public key of what Cooler has stored.
pub fn assess(
    role: Role,
    observed: &Observed,
    keys: &Keys,
    cool_keys: &[(String, Vec<u8>)],
    broker: &Broker,
) -> Assessment {
    let mut found = Assessment {
        state: State::Serving,
        message: "serving".to_owned(),
        trust: None,
        verified: None,
        credentials: None,
        serves: false,
    };
    if let Err(Unready { state, message }) = walk(role, observed, keys, cool_keys, broker, &mut found) {
        (found.state, found.message) = (state, message);
    }
    found
}

/// One gate after the other; the first that is closed is the state.
fn walk(
    role: Role,
    observed: &Observed,
    keys: &Keys,
    cool_keys: &[(String, Vec<u8>)],
    broker: &Broker,
    found: &mut Assessment,
) -> Result<(), Unready> {
    let documents = match observed {
        Observed::Unknown(unready) => return Err(unready.clone()),
        Observed::Seen(documents) => documents,
    };
    let bundle = found.trust.insert(documents::trust(role, documents)?);
    let (nats_user, vault) = match keys {
        Keys::Closed(why) => return Err(Unready::new(State::Starting, why)),
        Keys::Open { nats_user, vault } => (nats_user, vault),
    };
    let verified = documents::verify(bundle, documents)?;
    let verified = found.verified.insert(verified);
    found.credentials = Some(documents::credentials(role, documents, nats_user)?);
    if role == Role::Cooler {
        cool_key(verified, cool_keys)?;
    }
    found.serves = true;
    vault.clone().map_err(|why| Unready::new(State::Starting, why))?;
    match broker {
        Broker::Connected { .. } => Ok(()),
        Broker::Away(why) => Err(Unready::new(State::Disconnected, why)),
    }
}

/// Cooler has the manifest's cool key for every family of chains that the floor names.
fn cool_key(verified: &Verified, cool_keys: &[(String, Vec<u8>)]) -> Result<(), Unready> {
    let unready = |message: String| Unready::new(State::AwaitingCoolKey, message);
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
