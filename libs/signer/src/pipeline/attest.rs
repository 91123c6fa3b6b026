//! What a signer states of itself.

use custody::{CustodyId, Role};
use protocol::{
    attestation::attest_audit_head,
    ops::{Attestation, AuditHead},
};

use crate::{identity::Keys, store::Start};

/// A signer's statement of its own head; without `start` it stands for no start, as in an export.
pub fn attest(
    role: Role,
    custody: CustodyId,
    keys: &Keys,
    head: audit::Head,
    overrides: u64,
    start: Option<Start>,
    at_ms: u64,
) -> Attestation {
    let statement = AuditHead {
        custody_id: custody.as_bytes().to_vec(),
        role: role.to_string(),
        count: head.count,
        hash: head.hash.to_vec(),
        at_ms,
        overrides,
        epoch: start.map_or(0, |start| start.epoch),
        instance: start.map_or_else(Vec::new, |start| start.instance.to_vec()),
    };
    attest_audit_head(&statement, keys.own().message_key())
}
