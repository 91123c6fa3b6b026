//! The three layers as protobuf (proto3).

use prost::{Enumeration, Message};

/// Outermost: all that the broker sees.
#[derive(Clone, PartialEq, Message)]
pub struct Sealed {
    /// [`super::VERSION`].
    #[prost(uint32, tag = "1")]
    pub v: u32,
    /// The recipient's X25519 public key, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub to_xkey: Vec<u8>,
    /// X25519 public key made for this recipient, 32 bytes: for one message, or all within
    /// [`super::MAX_EPHEMERAL_MS`].
    #[prost(bytes = "vec", tag = "3")]
    pub eph_pub: Vec<u8>,
    /// The encoded [`Signed`] in a NATS XKey box: `xkv1`, 24 bytes nonce, XSalsa20-Poly1305 (NaCl `crypto_box`).
    #[prost(bytes = "vec", tag = "4")]
    pub r#box: Vec<u8>,
}

/// Inside the box.
#[derive(Clone, PartialEq, Message)]
pub struct Signed {
    /// The encoded [`Body`].
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    /// ed25519 over domain and body, 64 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub sig: Vec<u8>,
}

/// What is signed.
#[derive(Clone, PartialEq, Message)]
pub struct Body {
    /// [`super::VERSION`].
    #[prost(uint32, tag = "1")]
    pub v: u32,
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub custody_id: Vec<u8>,
    /// 16 random bytes, new in every envelope.
    #[prost(bytes = "vec", tag = "3")]
    pub id: Vec<u8>,
    /// Of a response: SHA-256 of what the request's signature covers, 32 bytes. Of a request: empty.
    #[prost(bytes = "vec", tag = "4")]
    pub in_reply_to: Vec<u8>,
    /// The NATS subject of the request, in its response too.
    #[prost(string, tag = "5")]
    pub subject: String,
    /// [`custody::Role`].
    #[prost(string, tag = "6")]
    pub sender: String,
    /// [`custody::Role`]: in the signed part, so that a recipient can't seal it anew for another.
    #[prost(string, tag = "7")]
    pub recipient: String,
    /// Made at, Unix milliseconds.
    #[prost(uint64, tag = "8")]
    pub iat_ms: u64,
    /// Worthless after, Unix milliseconds.
    #[prost(uint64, tag = "9")]
    pub exp_ms: u64,
    /// Request or response.
    #[prost(enumeration = "Kind", tag = "10")]
    pub kind: i32,
    /// The operation ([`crate::ops`]), encoded.
    #[prost(bytes = "vec", tag = "11")]
    pub payload: Vec<u8>,
}

/// Direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// Not set: refused.
    Unspecified = 0,
    /// Asks.
    Request = 1,
    /// Answers.
    Response = 2,
}
