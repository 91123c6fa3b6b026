//! What a signature covers: a domain and the exact bytes, each after its length (the idea of DSSE's pre-authentication
//! encoding), so that a signature of one kind is none of another and nothing is ever encoded again to be verified.

/// `u64be(len(domain)) || domain || u64be(len(body)) || body`.
pub(crate) fn pae(domain: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + domain.len() + body.len());
    for part in [domain.as_bytes(), body] {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_can_move_between_domain_and_body() {
        assert_ne!(pae("ab", b"c"), pae("a", b"bc"));
        assert_eq!(pae("a", b"bc"), b"\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\x02bc");
    }
}
