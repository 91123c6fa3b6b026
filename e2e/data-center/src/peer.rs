//! The other signer, or the sentinel, in a small way: it holds the audit heads that it is shown.

use std::sync::{Arc, Mutex, PoisonError};

use custody::identity::PeerKeys;
use ed25519_dalek::VerifyingKey;
use protocol::{
    attestation::audit_head,
    envelope::Party,
    ops::{Attestation, AuditHead, EchoHead, Held, Operation, Outcome, Refused, Response},
    vouching::{self, SUPERSEDED, Shown},
};
use tokio::sync::watch;
use transport::{Bounds, Call, Link, Server, Serving};

/// Answers until it is dropped.
pub(crate) struct Peer {
    newest: Arc<Newest>,
    _serving: Serving,
}

/// The newest head, with what it says.
pub(crate) type Newest = Mutex<Option<(AuditHead, Attestation)>>;

impl Peer {
    /// Listens as `party`, and holds the heads of `signer`.
    pub(crate) async fn start(link: Link, party: Party, signer: &PeerKeys) -> Self {
        let newest = Arc::new(Newest::default());
        let held = newest.clone();
        let server = Server::new(link, watch::channel(party).1, transport::Metrics::default());
        let key = custody::identity::message_key(signer).unwrap();
        let answer = move |call: Call| {
            let outcome = Some(answer(&held, key, call.request.operation));
            async move { Response { outcome } }
        };
        Self { newest, _serving: server.serve(Bounds::default(), answer).await.unwrap() }
    }

    /// Overrides and records of the head that it holds.
    pub(crate) fn holds(&self) -> (u64, u64) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.as_ref().map_or((0, 0), |(head, _)| (head.overrides, head.count))
    }
}

/// To whoever shows its head.
pub(crate) fn answer(newest: &Newest, key: VerifyingKey, operation: Option<Operation>) -> Outcome {
    match operation {
        Some(Operation::EchoHead(shown)) => echo(newest, key, shown),
        _ => refused("NotServed", "this peer only holds audit heads"),
    }
}

/// What was held before. The new one is held from now on by the rules of all vouchers.
fn echo(newest: &Newest, key: VerifyingKey, EchoHead { head, locked, after }: EchoHead) -> Outcome {
    let shown = head.unwrap_or_default();
    let Ok(head) = audit_head(&shown, &[key]) else {
        return refused("AttestationNotBelieved", "this is not an audit head of the signer that asks");
    };
    let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
    let held = newest.as_ref().map(|(_, attestation)| attestation.clone());
    if !locked {
        match vouching::shown(newest.as_ref().map(|(held, _)| held), &head, &after) {
            Shown::Kept => *newest = Some((head, shown)),
            Shown::Left => {}
            Shown::Superseded => return refused(SUPERSEDED, "another start of this signer has been vouched for since"),
        }
    }
    Outcome::Held(Held { head: held })
}

pub(crate) fn refused(reason: &str, message: &str) -> Outcome {
    Outcome::Refused(Refused { reason: reason.to_owned(), message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use protocol::attestation::attest_audit_head;

    use super::*;

    fn head(count: u64, key: u8) -> Attestation {
        let head = AuditHead { count, hash: vec![1; 32], ..AuditHead::default() };
        attest_audit_head(&head, &SigningKey::from_bytes(&[key; 32]))
    }

    #[test]
    fn it_answers_with_what_it_held_before_and_never_goes_back() {
        let (newest, key) = (Newest::default(), SigningKey::from_bytes(&[1; 32]).verifying_key());
        let show =
            |head: Attestation, locked| echo(&newest, key, EchoHead { head: Some(head), locked, after: Vec::new() });
        let echoed = |head: Attestation, locked| match show(head, locked) {
            Outcome::Held(held) => held.head,
            other => panic!("{other:?}"),
        };
        let shown = |head| echoed(head, false);
        assert_eq!(echoed(head(9, 1), true), None);
        assert_eq!(shown(head(0, 1)), None);
        assert_eq!(shown(head(5, 1)), Some(head(0, 1)));
        assert_eq!(shown(head(3, 1)), Some(head(5, 1)), "rolled back");
        assert_eq!(shown(head(6, 1)), Some(head(5, 1)));
        assert!(matches!(show(head(9, 2), false), Outcome::Refused(_)), "another's");
    }
}
