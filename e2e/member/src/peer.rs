//! The other signer in a small way: it holds the audit heads that it is shown, as a signer does for its peer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use custody::trust::PeerKeys;
use ed25519_dalek::VerifyingKey;
use link::{Bounds, Call, Server, Serving};
use protocol::{
    attestation::audit_head,
    ops::{Attestation, AuditHead, EchoHead, Held, Operation, Outcome, Refused, Response},
};
use tokio::sync::watch;

use crate::Member;

/// Answers until it is dropped.
pub(crate) struct Peer(#[expect(dead_code, reason = "kept for its end")] Serving);

/// The newest head, with what it says.
pub(crate) type Newest = Mutex<Option<(AuditHead, Attestation)>>;

impl Peer {
    /// Listens on its peer lane.
    pub(crate) async fn start(member: &Member, signer: &PeerKeys) -> Self {
        let (role, newest) = (member.other_role(), Arc::new(Newest::default()));
        let party = member.party(role, &member.peer, &BTreeMap::from([(member.role, signer.clone())]));
        let server = Server::new(member.link(role).await, watch::channel(party).1, link::Metrics::default());
        let key = custody::fingerprint::message_key(signer).unwrap();
        let answer = move |call: Call| {
            let outcome = Some(answer(&newest, key, call.request.operation));
            async move { Response { outcome } }
        };
        Self(server.serve(Bounds::default(), answer).await.unwrap())
    }
}

/// To whoever shows its head.
pub(crate) fn answer(newest: &Newest, key: VerifyingKey, operation: Option<Operation>) -> Outcome {
    match operation {
        Some(Operation::EchoHead(EchoHead { head: Some(head) })) => echo(newest, key, head),
        _ => refused("NotServed", "this peer only holds audit heads"),
    }
}

/// What was held before. The new one is held from now on unless it is older.
fn echo(newest: &Newest, key: VerifyingKey, shown: Attestation) -> Outcome {
    let Ok(head) = audit_head(&shown, &[key]) else {
        return refused("AttestationNotBelieved", "this is no audit head of the signer that asks");
    };
    let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
    let held = newest.as_ref().map(|(_, attestation)| attestation.clone());
    if newest.as_ref().is_none_or(|(held, _)| head.count >= held.count) {
        *newest = Some((head, shown));
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
        let shown = |head: Attestation| match echo(&newest, key, head) {
            Outcome::Held(held) => held.head,
            other => panic!("{other:?}"),
        };
        assert_eq!(shown(head(0, 1)), None);
        assert_eq!(shown(head(5, 1)), Some(head(0, 1)));
        assert_eq!(shown(head(3, 1)), Some(head(5, 1)), "rolled back");
        assert_eq!(shown(head(6, 1)), Some(head(5, 1)));
        assert!(matches!(echo(&newest, key, head(9, 2)), Outcome::Refused(_)), "another's");
    }
}
