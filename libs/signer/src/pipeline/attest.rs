//! What a signer states of itself.

use custody::{CustodyId, Role};
use protocol::{
    attestation::attest_audit_head,
    ops::{Attestation, AuditHead},
};

use crate::identity::Keys;

/// A signer's statement of its own head.
pub fn attest(
    role: Role,
    custody: CustodyId,
    keys: &Keys,
    head: audit::Head,
    overrides: u64,
    at_ms: u64,
) -> Attestation {
    let statement = AuditHead {
        custody_id: custody.as_bytes().to_vec(),
        role: role.to_string(),
        count: head.count,
        hash: head.hash.to_vec(),
        at_ms,
        overrides,
    };
    attest_audit_head(&statement, keys.own().message_key())
}
