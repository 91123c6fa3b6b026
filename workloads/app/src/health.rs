//! Whether App serves, and if not, what it waits for.

use std::sync::{Mutex, PoisonError};

/// Before the first answer.
const LOCKED: &str = "App serves once it has read the signers' records";

/// Why App does, or does not, serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The operator has not delivered a NATS user JWT for App's key.
    AwaitingCredentials,
    /// The broker does not answer, or refuses the credentials.
    Disconnected,
    /// The chain's node does not answer, or serves another chain.
    AwaitingNode,
    /// The signers may know more than the database: their records are being read.
    Locked,
    /// Everything is in place.
    Serving,
}

/// The state, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) state: State,
    /// What is missing and what to do.
    pub(crate) message: String,
}

/// What App depends on; each part is written by the task that watches it.
pub(crate) struct Health(Mutex<Parts>);

struct Parts {
    broker: Option<Readiness>,
    node: Option<String>,
    lock: Option<String>,
    /// What is wrong with the relayer: App serves all the same.
    relayer: Option<String>,
}

impl Default for Health {
    fn default() -> Self {
        let starting = Readiness { state: State::AwaitingCredentials, message: "starting".to_owned() };
        Self(Mutex::new(Parts {
            broker: Some(starting),
            node: Some("starting".to_owned()),
            lock: Some(LOCKED.to_owned()),
            relayer: None,
        }))
    }
}

impl Health {
    /// Connected to the broker, or why not.
    pub(crate) fn broker(&self, waiting: Option<(State, String)>) {
        let broker = waiting.map(|(state, message)| Readiness { state, message });
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.broker != broker {
            match &broker {
                Some(Readiness { state, message }) => tracing::warn!(?state, why = message, "broker"),
                None => tracing::info!("connected to the broker"),
            }
            parts.broker = broker;
        }
    }

    /// The node answers for the right chain, or why not.
    pub(crate) fn node(&self, waiting: Option<String>) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.node != waiting {
            match &waiting {
                Some(message) => tracing::warn!(why = message, "node"),
                None => tracing::info!("the node answers"),
            }
            parts.node = waiting;
        }
    }

    /// The signers' records are read, or why not.
    pub(crate) fn lock(&self, waiting: Option<String>) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.lock != waiting {
            match &waiting {
                Some(message) => tracing::warn!(why = message, "locked"),
                None => tracing::info!("the signers' records are read"),
            }
            parts.lock = waiting;
        }
    }

    /// Why nothing is served yet: the database may lack payments that the signers know.
    pub(crate) fn locked(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lock.clone()
    }

    /// The relayer pays as it should, or what people have to do for it.
    pub(crate) fn relayer(&self, trouble: Option<String>) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.relayer != trouble {
            match &trouble {
                Some(message) => tracing::warn!(why = message, "relayer"),
                None => tracing::info!("the relayer pays as it should"),
            }
            parts.relayer = trouble;
        }
    }

    /// The first thing that is missing; while App serves, what the relayer needs.
    pub(crate) fn readiness(&self) -> Readiness {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&parts.broker, &parts.node, &parts.lock) {
            (Some(waiting), _, _) => waiting.clone(),
            (None, Some(message), _) => Readiness { state: State::AwaitingNode, message: message.clone() },
            (None, None, Some(message)) => Readiness { state: State::Locked, message: message.clone() },
            (None, None, None) => {
                let trouble = parts.relayer.as_ref().map(|trouble| format!("serving; {trouble}"));
                Readiness { state: State::Serving, message: trouble.unwrap_or_else(|| "serving".to_owned()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_serves_only_with_broker_and_node_and_once_it_has_read_the_signers_records() {
        let health = Health::default();
        assert_eq!(health.readiness().state, State::AwaitingCredentials);
        health.broker(Some((State::Disconnected, "no answer".to_owned())));
        assert_eq!(health.readiness().state, State::Disconnected);
        health.broker(None);
        assert_eq!(health.readiness().state, State::AwaitingNode);
        health.node(None);
        assert_eq!(health.readiness().state, State::Locked);
        assert!(health.locked().is_some());
        health.lock(None);
        assert_eq!((health.readiness().state, health.locked()), (State::Serving, None));
        health.relayer(Some("its float is low".to_owned()));
        let told = Readiness { state: State::Serving, message: "serving; its float is low".to_owned() };
        assert_eq!(health.readiness(), told, "whoever can still pay does");
        health.broker(Some((State::Disconnected, "no answer".to_owned())));
        assert_eq!(health.readiness().message, "no answer");
    }
}
