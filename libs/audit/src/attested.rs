//! The head that a signer has signed: what an export can't take back.

use ed25519_dalek::VerifyingKey;
use protocol::{
    attestation::{AttestationError, audit_head},
    ops::{Attestation, AuditHead},
};

use crate::{
    export::{HeadAttestation, Header},
    record::Head,
};

/// Why a header's attestation is not believed.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum Unattested {
    /// There is none, though the signer's key is known.
    #[error("no head is attested in it; export it again from the running signer")]
    Missing,
    /// It is not the signer's.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// It is of another chain.
    #[error("the attested head belongs to another signer or custody than the file; the header was assembled by hand")]
    OtherSigner,
}

impl From<Attestation> for HeadAttestation {
    fn from(Attestation { body, signer, signature }: Attestation) -> Self {
        Self { body, signer, signature }
    }
}

impl From<&HeadAttestation> for Attestation {
    fn from(attestation: &HeadAttestation) -> Self {
        let HeadAttestation { body, signer, signature } = attestation.clone();
        Self { body, signer, signature }
    }
}

/// The head that one of `accepted`, the signer's approved message keys, has signed: one more anchor for
/// [`crate::verify`].
///
/// Without `accepted` an attestation may be missing, and is checked against the key that it names itself: it then proves
/// as much as the reader knows of that key.
pub fn attested(header: &Header, accepted: &[VerifyingKey]) -> Result<Option<Head>, Unattested> {
    let Some(attestation) = &header.attestation else {
        return if accepted.is_empty() { Ok(None) } else { Err(Unattested::Missing) };
    };
    let named;
    let accepted = if accepted.is_empty() {
        named = [named_key(attestation)?];
        &named
    } else {
        accepted
    };
    let AuditHead { custody_id, role, count, hash, .. } = audit_head(&attestation.into(), accepted)?;
    if role != header.role || (!custody_id.is_empty() && custody_id != header.custody_id) {
        return Err(Unattested::OtherSigner);
    }
    let hash = hash.try_into().map_err(|_| AttestationError::Malformed)?;
    Ok(Some(Head { count, hash }))
}

fn named_key(attestation: &HeadAttestation) -> Result<VerifyingKey, Unattested> {
    let bytes: Option<[u8; 32]> = attestation.signer.as_slice().try_into().ok();
    bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok()).ok_or(AttestationError::UnknownSigner.into())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use protocol::attestation::attest_audit_head;

    use super::*;

    const HEAD: Head = Head { count: 3, hash: [9; 32] };

    fn key(fill: u8) -> SigningKey {
        SigningKey::from_bytes(&[fill; 32])
    }

    fn statement() -> AuditHead {
        let (custody_id, role, hash) = (vec![7; 16], "keeper".to_owned(), HEAD.hash.to_vec());
        AuditHead { custody_id, role, count: HEAD.count, hash, at_ms: 1, ..AuditHead::default() }
    }

    fn header(statement: &AuditHead) -> Header {
        let attestation = Some(attest_audit_head(statement, &key(1)).into());
        Header { attestation, ..Header::new("keeper", vec![7; 16], HEAD) }
    }

    #[test]
    fn a_head_by_an_approved_key_is_an_anchor() {
        let approved = [key(2).verifying_key(), key(1).verifying_key()];
        assert_eq!(attested(&header(&statement()), &approved), Ok(Some(HEAD)));
        assert_eq!(attested(&header(&statement()), &[]), Ok(Some(HEAD)), "by the key that it names");
    }

    #[test]
    fn a_head_by_any_other_key_or_none_is_refused_where_the_key_is_known() {
        let other = [key(2).verifying_key()];
        let unknown = Err(AttestationError::UnknownSigner.into());
        assert_eq!(attested(&header(&statement()), &other), unknown);
        let bare = Header::new("keeper", vec![7; 16], HEAD);
        assert_eq!(attested(&bare, &other), Err(Unattested::Missing));
        assert_eq!(attested(&bare, &[]), Ok(None));
    }

    #[test]
    fn a_forged_head_is_refused_also_where_no_key_is_known() {
        let mut forged = header(&statement());
        forged.attestation.as_mut().unwrap().body[3] ^= 1;
        assert_eq!(attested(&forged, &[]), Err(AttestationError::BadSignature.into()));
        forged.attestation.as_mut().unwrap().signer.clear();
        assert_eq!(attested(&forged, &[]), Err(AttestationError::UnknownSigner.into()));
    }

    #[test]
    fn a_head_of_another_signer_or_custody_is_refused() {
        let cooler = AuditHead { role: "cooler".to_owned(), ..statement() };
        assert_eq!(attested(&header(&cooler), &[]), Err(Unattested::OtherSigner));
        let elsewhere = AuditHead { custody_id: vec![8; 16], ..statement() };
        assert_eq!(attested(&header(&elsewhere), &[]), Err(Unattested::OtherSigner));
    }
}
