//! One record, its hash, and how the next one follows.

use chain::hex;
use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Domain of a record's hash.
const DOMAIN: &str = "multisig.audit.v1";
/// Longest text or byte string in a record; [`next`] cuts what is longer, so that every record can be exported.
pub const MAX_FIELD_BYTES: usize = 256;
/// Operation of a payment's signature.
pub const SIGN: &str = "Sign";
/// Operation of a signature that moves a wallet to the safe place.
pub const EVACUATION_SIGN: &str = "EvacuationSign";

/// One thing that a signer decided or did. Texts are printable ASCII; nothing in it is secret. A field that is added
/// takes the next tag: absent, it changes no hash of before.
#[derive(Clone, PartialEq, Eq, Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Position in the chain, from 1.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// The signer's clock, Unix milliseconds.
    #[prost(uint64, tag = "2")]
    pub at_ms: u64,
    /// The signer: `keeper` or `cooler`.
    #[prost(string, tag = "3")]
    pub role: String,
    /// 16 bytes; empty before the signer serves a custody.
    #[prost(bytes = "vec", tag = "4")]
    #[serde(with = "hex")]
    pub custody_id: Vec<u8>,
    /// Who asked: a party's role, `admin` for the data centre's local commands, `self` for the signer itself.
    #[prost(string, tag = "5")]
    pub requester: String,
    /// ed25519 message key that signed the request, 32 bytes; empty where none did.
    #[prost(bytes = "vec", tag = "6")]
    #[serde(with = "hex")]
    pub requester_key: Vec<u8>,
    /// The request's operation id; empty where it has none.
    #[prost(bytes = "vec", tag = "7")]
    #[serde(with = "hex")]
    pub operation_id: Vec<u8>,
    /// What was asked, CamelCase: [`SIGN`], [`EVACUATION_SIGN`], `CreateWallet`, `Freeze`, ...
    #[prost(string, tag = "8")]
    pub operation: String,
    /// App's name for the wallet; empty where none is meant.
    #[prost(string, tag = "9")]
    pub wallet: String,
    /// CAIP-2 chain id; empty where none is meant.
    #[prost(string, tag = "10")]
    pub chain: String,
    /// The 32 bytes that are signed; empty where nothing is to be signed.
    #[prost(bytes = "vec", tag = "11")]
    #[serde(with = "hex")]
    pub digest: Vec<u8>,
    /// [`Decision`].
    #[prost(string, tag = "12")]
    pub decision: String,
    /// Stable CamelCase reason of a refusal, or the admin's words for a freeze, thaw or unlock; else empty.
    #[prost(string, tag = "13")]
    pub reason: String,
    /// SHA-256 of the hub's policy in force, 32 bytes; empty where there is none.
    #[prost(bytes = "vec", tag = "14")]
    #[serde(with = "hex")]
    pub policy_digest: Vec<u8>,
    /// SHA-256 of the member trust in force, 32 bytes; empty where there is none.
    #[prost(bytes = "vec", tag = "15")]
    #[serde(with = "hex")]
    pub trust_digest: Vec<u8>,
    /// [`hash`] of the record before, 32 bytes; zeros in the first.
    #[prost(bytes = "vec", tag = "16")]
    #[serde(with = "hex")]
    pub previous: Vec<u8>,
}

impl Record {
    /// All that is text.
    pub(crate) fn texts(&self) -> [&str; 7] {
        let Self { role, requester, operation, wallet, chain, decision, reason, .. } = self;
        [role, requester, operation, wallet, chain, decision, reason]
    }

    /// The head of a chain that ends here.
    pub fn head(&self) -> Head {
        Head { count: self.seq, hash: hash(self) }
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Decision {
    /// A signature was made.
    Signed,
    /// Refused, with a reason.
    #[default]
    Refused,
    /// Not yet: it waits for a time or a veto.
    Pending,
    /// Done; nothing was to be signed.
    Done,
}

impl Decision {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Signed => "Signed",
            Decision::Refused => "Refused",
            Decision::Pending => "Pending",
            Decision::Done => "Done",
        }
    }
}

/// What the signer says of a record: the fields of [`Record`] without the place in the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// As in [`Record`].
    pub at_ms: u64,
    /// As in [`Record`].
    pub role: String,
    /// As in [`Record`].
    pub custody_id: Vec<u8>,
    /// As in [`Record`].
    pub requester: String,
    /// As in [`Record`].
    pub requester_key: Vec<u8>,
    /// As in [`Record`].
    pub operation_id: Vec<u8>,
    /// As in [`Record`].
    pub operation: String,
    /// As in [`Record`].
    pub wallet: String,
    /// As in [`Record`].
    pub chain: String,
    /// As in [`Record`].
    pub digest: Vec<u8>,
    /// What became of it.
    pub decision: Decision,
    /// As in [`Record`].
    pub reason: String,
    /// As in [`Record`].
    pub policy_digest: Vec<u8>,
    /// As in [`Record`].
    pub trust_digest: Vec<u8>,
}

/// A chain up to its newest record: who has a head can tell whether a chain still contains it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Records in the chain.
    pub count: u64,
    /// [`hash`] of the newest; zeros where there is none.
    #[serde(with = "hex")]
    pub hash: [u8; 32],
}

impl Head {
    /// Of a chain without records.
    pub const EMPTY: Head = Head { count: 0, hash: [0; 32] };
}

/// SHA-256 over the domain and the record's one encoding (proto3, fields in the order of their tags, defaults left out),
/// each after its length (64 bits, big endian).
pub fn hash(record: &Record) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [DOMAIN.as_bytes(), &record.encode_to_vec()] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The record that follows `head`, and the head after it. Text from outside plays no tricks on whoever reads the record:
/// what is not printable ASCII becomes `?`, and what is longer than [`MAX_FIELD_BYTES`] is cut.
pub fn next(head: &Head, entry: Entry) -> (Record, Head) {
    let record = Record {
        seq: head.count.saturating_add(1),
        at_ms: entry.at_ms,
        role: text(&entry.role),
        custody_id: bytes(entry.custody_id),
        requester: text(&entry.requester),
        requester_key: bytes(entry.requester_key),
        operation_id: bytes(entry.operation_id),
        operation: text(&entry.operation),
        wallet: text(&entry.wallet),
        chain: text(&entry.chain),
        digest: bytes(entry.digest),
        decision: entry.decision.as_str().to_owned(),
        reason: text(&entry.reason),
        policy_digest: bytes(entry.policy_digest),
        trust_digest: bytes(entry.trust_digest),
        previous: head.hash.to_vec(),
    };
    let head = record.head();
    (record, head)
}

/// What is safe to show: printable ASCII, cut.
pub(crate) fn text(text: &str) -> String {
    text.chars().take(MAX_FIELD_BYTES).map(|c| if printable(c) { c } else { '?' }).collect()
}

pub(crate) fn printable(c: char) -> bool {
    c.is_ascii_graphic() || c == ' '
}

fn bytes(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(MAX_FIELD_BYTES);
    bytes
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn entry() -> Entry {
        Entry { at_ms: 1, role: "keeper".to_owned(), decision: Decision::Signed, ..Entry::default() }
    }

    #[test]
    fn a_record_follows_the_one_before() {
        let (first, head) = next(&Head::EMPTY, entry());
        assert_eq!((first.seq, &first.previous[..]), (1, &[0; 32][..]));
        assert_eq!(head, Head { count: 1, hash: hash(&first) });
        let (second, _) = next(&head, entry());
        assert_eq!((second.seq, &second.previous[..]), (2, &head.hash[..]));
    }

    #[test]
    fn the_hash_covers_exactly_the_domain_and_the_encoding() {
        let (record, _) = next(&Head::EMPTY, entry());
        let mut covered = b"\0\0\0\0\0\0\0\x11multisig.audit.v1\0\0\0\0\0\0\0\x37".to_vec();
        covered.extend_from_slice(b"\x08\x01\x10\x01\x1a\x06keeper\x62\x06Signed\x82\x01\x20");
        covered.extend_from_slice(&[0; 32]);
        assert_eq!(HEXLOWER.encode(&hash(&record)), HEXLOWER.encode(&Sha256::digest(&covered)));
    }

    #[test]
    fn text_from_outside_is_cut_and_made_printable() {
        let long = Entry { wallet: "é\x1b[2J\n".to_owned() + &"x".repeat(600), digest: vec![1; 600], ..entry() };
        let (record, _) = next(&Head::EMPTY, long);
        assert!(record.wallet.starts_with("??[2J?xxx"), "{}", record.wallet);
        assert_eq!((record.wallet.len(), record.digest.len()), (MAX_FIELD_BYTES, MAX_FIELD_BYTES));
    }
}
