//! Decoding that skips nothing. Protobuf ignores fields that it doesn't know and accepts many encodings of one value;
//! where bytes are judged, what isn't understood is refused.

use prost::Message;

/// The bytes are not a message of this kind, or not in its one encoding: a field unknown to this version, twice, out of
/// order, or written out although it has its default value.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("not a message that this version understands completely; send what the protocol's description lists, no more")]
pub struct NotExact;

/// Decodes `bytes` if they are exactly what encoding the result gives: fields in the order of their numbers, nothing else.
pub fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, NotExact> {
    let message = M::decode(bytes).map_err(|_| NotExact)?;
    if message.encoded_len() == bytes.len() && message.encode_to_vec() == bytes { Ok(message) } else { Err(NotExact) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::CreateWallet;

    const ALICE: &[u8] = b"\x0a\x05alice";

    #[test]
    fn the_one_encoding_is_accepted() {
        assert_eq!(decode::<CreateWallet>(ALICE).unwrap().wallet, "alice");
        assert_eq!(decode::<CreateWallet>(b""), Ok(CreateWallet::default()));
    }

    #[test]
    fn unknown_repeated_and_default_fields_are_refused() {
        let unknown = [ALICE, b"\x10\x01"].concat();
        let twice = [ALICE, ALICE].concat();
        for bytes in [&unknown[..], &twice, b"\x0a\x00", b"\x0a\x85\x00alice", b"\x0a\x06alice"] {
            assert_eq!(decode::<CreateWallet>(bytes), Err(NotExact));
        }
    }
}
