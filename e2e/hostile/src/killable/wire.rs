//! How a suite speaks with the process that it kills: on its standard input and output, each message after its length
//! (4 bytes, big endian). Answers come in any order and carry their question's number.

use prost::{Message, Oneof};
use protocol::ops::{Attestation, EchoHead, Request, Response};

/// What the process is started with, a file.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Start {
    /// Keeper or Cooler.
    pub(crate) role: custody::Role,
    /// Folder of the store.
    pub(crate) data_dir: std::path::PathBuf,
    /// Token for the Vault.
    pub(crate) vault_token_file: std::path::PathBuf,
    /// `trust.json`.
    pub(crate) trust: String,
    /// `config.json`.
    pub(crate) config: String,
    /// `manifest.json`.
    pub(crate) manifest: String,
}

/// To the process.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Question {
    /// Names the answer.
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    /// What is asked.
    #[prost(oneof = "Ask", tags = "2, 3, 4, 5, 6, 7, 8")]
    pub(crate) ask: Option<Ask>,
}

/// What is asked.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Ask {
    /// A request of a party.
    #[prost(message, boxed, tag = "2")]
    Request(Box<Asked>),
    /// The head that a voucher, named by its role, is to vouch for.
    #[prost(string, tag = "3")]
    Head(String),
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
pub(crate) struct Asked {
    /// The sender's role.
    #[prost(string, tag = "1")]
    pub(crate) role: String,
    /// The request.
    #[prost(message, required, tag = "2")]
    pub(crate) request: Request,
}

/// All who were asked.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Vouchers {
    /// Each of them.
    #[prost(message, repeated, tag = "1")]
    pub(crate) held: Vec<Voucher>,
}

/// One who was asked.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Voucher {
    /// Its role.
    #[prost(string, tag = "1")]
    pub(crate) role: String,
    /// The head that it held.
    #[prost(message, optional, tag = "2")]
    pub(crate) held: Option<Attestation>,
}

/// No content.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Nothing {}

/// From the process. The first one, number 0, says that it is ready.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answer {
    /// The question's number.
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    /// What is answered.
    #[prost(oneof = "Told", tags = "2, 3, 4, 5, 6")]
    pub(crate) told: Option<Told>,
}

/// What is answered.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Told {
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
