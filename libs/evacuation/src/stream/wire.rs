//! The messages (proto3, derived by hand so that no compiler is needed to build).

use prost::Message;

/// First message of a plan.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Header {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) custody_id: Vec<u8>,
    /// SHA-256 of the manifest's payload.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) manifest_digest: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub(crate) revision: u32,
    /// The signed manifest, as its JSON document.
    #[prost(string, tag = "4")]
    pub(crate) manifest: String,
    /// CAIP-2.
    #[prost(string, tag = "5")]
    pub(crate) chain: String,
    /// The newest block when reading began.
    #[prost(uint64, tag = "6")]
    pub(crate) block_number: u64,
    #[prost(string, tag = "7")]
    pub(crate) block_id: String,
    /// One of the manifest's safe destinations, display form.
    #[prost(string, tag = "8")]
    pub(crate) destination: String,
    #[prost(message, repeated, tag = "9")]
    pub(crate) assets: Vec<Asset>,
    #[prost(uint64, tag = "10")]
    pub(crate) wallets: u64,
    /// Transactions to sign.
    #[prost(uint64, tag = "11")]
    pub(crate) steps: u64,
    #[prost(uint64, tag = "12")]
    pub(crate) chunks: u64,
    /// The two owners who sign, as `hot,cold`; empty: cool and cold.
    #[prost(string, tag = "13")]
    pub(crate) owners: String,
}

/// An asset that a plan moves.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Asset {
    #[prost(string, tag = "1")]
    pub(crate) symbol: String,
    /// Display form; empty: the chain's native coin.
    #[prost(string, tag = "2")]
    pub(crate) contract: String,
    #[prost(bool, tag = "3")]
    pub(crate) rebasing: bool,
    /// Sum of all balances: big endian, without leading zeros.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) total: Vec<u8>,
    /// Of a whole unit, decimal; empty: it was not known.
    #[prost(string, tag = "5")]
    pub(crate) price: String,
    /// Of a whole unit, where there is a price.
    #[prost(uint32, tag = "6")]
    pub(crate) decimals: u32,
}

/// Up to a thousand wallets.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Chunk {
    #[prost(message, repeated, tag = "1")]
    pub(crate) wallets: Vec<Wallet>,
}

/// One wallet. A million of them with one asset are to fit into 64 MiB.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Wallet {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    /// In the chain's encoding.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) hot_key: Vec<u8>,
    /// 32 bytes; empty: zeros.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) salt: Vec<u8>,
    /// The first nonce that was not final.
    #[prost(uint64, tag = "4")]
    pub(crate) first: u64,
    /// How far after it the highest nonce is that somebody else may use.
    #[prost(uint64, tag = "5")]
    pub(crate) beyond: u64,
    /// It does not exist yet.
    #[prost(bool, tag = "6")]
    pub(crate) deploy: bool,
    /// Which assets of the list: bit n for number n.
    #[prost(uint64, tag = "7")]
    pub(crate) assets: u64,
    /// Of each of them: big endian, without leading zeros.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub(crate) balances: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) outstanding: Vec<Outstanding>,
}

/// A payment that may leave before, by asset and nonce.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Outstanding {
    /// Number in the list.
    #[prost(uint32, tag = "1")]
    pub(crate) asset: u32,
    /// How far after the first nonce.
    #[prost(uint64, tag = "2")]
    pub(crate) ahead: u64,
    /// Big endian, without leading zeros.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) amount: Vec<u8>,
}

/// First message of a signature file.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SignatureHeader {
    /// `hot`, `cool` or `cold`.
    #[prost(string, tag = "1")]
    pub(crate) role: String,
    /// SHA-256 of the plan's header message.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) plan_header: Vec<u8>,
}

/// One for each chunk of the plan, and the last one, which has the plan's digest alone.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Signatures {
    /// SHA-256 of the plan's chunk.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) plan_chunk: Vec<u8>,
    /// 64 bytes each.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signatures: Vec<u8>,
    /// SHA-256 of the plan.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) plan: Vec<u8>,
    /// Places in the chunk of the wallets that have no signatures, ascending; of hot alone.
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) missing: Vec<u32>,
}

/// Without leading zeros: an amount has one encoding.
pub(crate) fn shortest(amount: chain::Amount) -> Vec<u8> {
    amount.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}

/// `None`: more than 32 bytes. Leading zeros show when it is encoded again.
pub(crate) fn amount(bytes: &[u8]) -> Option<chain::Amount> {
    let mut all = [0; 32];
    all.get_mut(32usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(chain::Amount::from_be_bytes(all))
}
