//! How a suite speaks with the process that it kills: on its standard input and output, each message after its length
//! (4 bytes, big endian). Answers come in any order and carry their question's number.

use std::io::{self, Read, Write};

use prost::{Message, Oneof};
use protocol::ops::{Attestation, EchoHead, Request, Response};

/// Longest message, bytes.
const MAX: u32 = 16 * 1024 * 1024;

/// What the process is started with, a file.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Start {
    /// Keeper or Cooler.
    pub role: custody::Role,
    /// Folder of the store.
    pub data_dir: std::path::PathBuf,
    /// Token for the Vault.
    pub vault_token_file: std::path::PathBuf,
    /// `trust.json`.
    pub trust: String,
    /// `config.json`.
    pub config: String,
    /// `manifest.json`.
    pub manifest: String,
}

/// To the process.
#[derive(Clone, PartialEq, Message)]
pub struct Question {
    /// Names the answer.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// What is asked.
    #[prost(oneof = "Ask", tags = "2, 3, 4, 5, 6, 7, 8")]
    pub ask: Option<Ask>,
}

/// What is asked.
#[derive(Clone, PartialEq, Oneof)]
pub enum Ask {
    /// A request of a party.
    #[prost(message, tag = "2")]
    Request(Asked),
    /// The head that others are to vouch for.
    #[prost(message, tag = "3")]
    Head(Nothing),
    /// What they held.
    #[prost(message, tag = "4")]
    Vouch(Vouchers),
    /// One step towards this generation of the Vault's key.
    #[prost(uint64, tag = "5")]
    Rotate(u64),
    /// The words of the cool phrase.
    #[prost(string, tag = "6")]
    Cool(String),
    /// The point at which to end.
    #[prost(string, tag = "7")]
    Arm(String),
    /// The admin accepts the chain.
    #[prost(message, tag = "8")]
    Accept(Nothing),
}

/// A request as it would come by the broker.
#[derive(Clone, PartialEq, Message)]
pub struct Asked {
    /// The sender's role.
    #[prost(string, tag = "1")]
    pub role: String,
    /// The request.
    #[prost(message, required, tag = "2")]
    pub request: Request,
}

/// All who were asked.
#[derive(Clone, PartialEq, Message)]
pub struct Vouchers {
    /// Each of them.
    #[prost(message, repeated, tag = "1")]
    pub held: Vec<Voucher>,
}

/// One who was asked.
#[derive(Clone, PartialEq, Message)]
pub struct Voucher {
    /// Its role.
    #[prost(string, tag = "1")]
    pub role: String,
    /// The head that it held.
    #[prost(message, optional, tag = "2")]
    pub held: Option<Attestation>,
}

/// No content.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Nothing {}

/// From the process. The first one, number 0, says that it is ready.
#[derive(Clone, PartialEq, Message)]
pub struct Answer {
    /// The question's number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// What is answered.
    #[prost(oneof = "Told", tags = "2, 3, 4, 5, 6")]
    pub told: Option<Told>,
}

/// What is answered.
#[derive(Clone, PartialEq, Oneof)]
pub enum Told {
    /// To a request.
    #[prost(message, tag = "2")]
    Response(Response),
    /// To be shown to the vouchers.
    #[prost(message, tag = "3")]
    Head(EchoHead),
    /// Done; what is left of a rotation.
    #[prost(uint64, tag = "4")]
    Done(u64),
    /// The own public keys as JSON.
    #[prost(string, tag = "5")]
    Ready(String),
    /// Why not.
    #[prost(string, tag = "6")]
    Failed(String),
}

/// Writes one message.
pub fn write(out: &mut impl Write, message: &impl Message) -> io::Result<()> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&[&length.to_be_bytes()[..], &bytes].concat())?;
    out.flush()
}

/// Reads one message; none at the end.
pub fn read<M: Message + Default>(input: &mut impl Read) -> io::Result<Option<M>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_be_bytes(length);
    if length > MAX {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes)?;
    M::decode(bytes.as_slice()).map(Some).map_err(io::Error::other)
}
