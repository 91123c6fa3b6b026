//! Opening envelopes: each check in its order, and one reason for each that fails. Whoever sent a rejected message
//! learns nothing; it is dropped and counted.

use std::sync::Arc;

use crypto_box::{PublicKey, SalsaBox, aead::Aead};
use custody::Role;
use ed25519_dalek::Signature;
use sha2::{Digest, Sha256};

use super::{
    keys::{Peer, is_usable},
    limits::{DOMAIN, MAX_BYTES, MAX_LIFETIME_MS, MAX_SKEW_MS, VERSION},
    party::Party,
    replay::ReplayFilter,
    seal::{BOX_VERSION, NONCE_BYTES},
    verified::{RequestTicket, VerifiedRequest, VerifiedResponse},
    wire::{Body, Kind, Sealed, Signed},
};
use crate::{exact, pae::pae};

/// Why a message was dropped.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq, Hash)]
pub enum Rejected {
    /// Beyond [`MAX_BYTES`].
    #[error("larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not one of the three layers in its one encoding, or with an ephemeral key that is none.
    #[error("not an envelope that this version understands completely")]
    Malformed,
    /// Another version of a layer.
    #[error("of another version; both sides must speak version {VERSION}")]
    UnknownVersion,
    /// Sealed to another key.
    #[error("not sealed to this XKey; does the sender know the present one?")]
    NotForThisKey,
    /// The box is damaged or was made for another.
    #[error("the box does not open")]
    NotOpened,
    /// No approved key of that role.
    #[error("the sender is not an approved peer")]
    UnknownSender,
    /// By none of the sender's approved keys.
    #[error("not signed by an approved key of the sender")]
    BadSignature,
    /// Signed for somebody else and sealed anew.
    #[error("addressed to another role")]
    WrongRecipient,
    /// Of another custody.
    #[error("of another custody")]
    WrongCustody,
    /// Published on another subject than the one signed.
    #[error("signed for another subject")]
    WrongSubject,
    /// A response where a request is expected, or the reverse.
    #[error("a request where a response is expected, or the reverse")]
    WrongKind,
    /// The answer to another request.
    #[error("not an answer to this request")]
    WrongReply,
    /// Made later than now and the accepted skew.
    #[error("from the future; compare the clocks")]
    FromTheFuture(Made),
    /// Its life is over: its sender's clock is behind, or it was held back.
    #[error("expired; compare the clocks")]
    Expired(Made),
    /// A life beyond [`MAX_LIFETIME_MS`], or none.
    #[error("lives longer than {MAX_LIFETIME_MS} ms, or ends before it begins")]
    BadLifetime,
    /// Seen before.
    #[error("seen before")]
    Replayed,
}

/// Who made a genuine message that is not of this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Made {
    /// The sender, whose signature is right.
    pub by: Role,
    /// By the sender's clock, Unix milliseconds.
    pub at_ms: u64,
}

impl Rejected {
    /// All reasons.
    pub const REASONS: [&str; 16] = [
        "TooLarge",
        "Malformed",
        "UnknownVersion",
        "NotForThisKey",
        "NotOpened",
        "UnknownSender",
        "BadSignature",
        "WrongRecipient",
        "WrongCustody",
        "WrongSubject",
        "WrongKind",
        "WrongReply",
        "FromTheFuture",
        "Expired",
        "BadLifetime",
        "Replayed",
    ];

    /// Stable name, CamelCase: a metric's label.
    pub fn reason(self) -> &'static str {
        match self {
            Rejected::TooLarge => "TooLarge",
            Rejected::Malformed => "Malformed",
            Rejected::UnknownVersion => "UnknownVersion",
            Rejected::NotForThisKey => "NotForThisKey",
            Rejected::NotOpened => "NotOpened",
            Rejected::UnknownSender => "UnknownSender",
            Rejected::BadSignature => "BadSignature",
            Rejected::WrongRecipient => "WrongRecipient",
            Rejected::WrongCustody => "WrongCustody",
            Rejected::WrongSubject => "WrongSubject",
            Rejected::WrongKind => "WrongKind",
            Rejected::WrongReply => "WrongReply",
            Rejected::FromTheFuture(_) => "FromTheFuture",
            Rejected::Expired(_) => "Expired",
            Rejected::BadLifetime => "BadLifetime",
            Rejected::Replayed => "Replayed",
        }
    }
}

impl Party {
    /// Opens a request that arrived on `subject`. `now_ms` is Unix milliseconds; `replays` outlives every `Party`.
    pub fn open_request(
        &self,
        bytes: &[u8],
        subject: &str,
        now_ms: u64,
        replays: &ReplayFilter,
    ) -> Result<VerifiedRequest, Rejected> {
        let Opened { sender, peer, digest, body } = self.open(bytes, now_ms)?;
        self.check_audience(&body, subject, Kind::Request)?;
        if !body.in_reply_to.is_empty() {
            return Err(Rejected::WrongReply);
        }
        check_life(sender, &body, now_ms)?;
        let id = body.id.try_into().map_err(|_| Rejected::Malformed)?;
        if !replays.insert(sender, id, body.exp_ms, now_ms) {
            return Err(Rejected::Replayed);
        }
        let (subject, payload, iat_ms) = (body.subject, body.payload, body.iat_ms);
        Ok(VerifiedRequest { sender, subject, digest, peer, payload, iat_ms })
    }

    /// Everything up to the signature: size, version, box, sender, signature.
    fn open(&self, bytes: &[u8], now_ms: u64) -> Result<Opened, Rejected> {
        if bytes.len() > MAX_BYTES {
            return Err(Rejected::TooLarge);
        }
        let sealed: Sealed = exact::decode(bytes).map_err(|_| Rejected::Malformed)?;
        if sealed.v != VERSION {
            return Err(Rejected::UnknownVersion);
        }
        let unsealed = self.unseal(&sealed, now_ms)?;
        let signed: Signed = exact::decode(&unsealed.signed).map_err(|_| Rejected::Malformed)?;
        let body: Body = exact::decode(&signed.body).map_err(|_| Rejected::Malformed)?;
        let sender: Role = body.sender.parse().map_err(|_| Rejected::UnknownSender)?;
        let accepted = self.peers().of(sender);
        if accepted.is_empty() {
            return Err(Rejected::UnknownSender);
        }
        let signature = Signature::from_slice(&signed.sig).map_err(|_| Rejected::Malformed)?;
        let covered = pae(DOMAIN, &signed.body);
        let peer = accepted
            .iter()
            .find(|peer| peer.message.verify_strict(&covered, &signature).is_ok())
            .cloned()
            .ok_or(Rejected::BadSignature)?;
        self.remember(unsealed, now_ms);
        Ok(Opened { sender, peer, digest: Sha256::digest(&covered).into(), body })
    }

    fn unseal(&self, sealed: &Sealed, now_ms: u64) -> Result<Unsealed, Rejected> {
        let own = self.keys().xkey();
        if sealed.to_xkey != own.public() {
            return Err(Rejected::NotForThisKey);
        }
        let ephemeral = <[u8; 32]>::try_from(&sealed.eph_pub[..]).map_err(|_| Rejected::Malformed)?;
        if !is_usable(&ephemeral) {
            return Err(Rejected::Malformed);
        }
        let (nonce, ciphertext) = sealed
            .r#box
            .strip_prefix(BOX_VERSION)
            .and_then(|rest| rest.split_at_checked(NONCE_BYTES))
            .ok_or(Rejected::Malformed)?;
        let recent = self.keys().shared().receiving.get(&ephemeral, now_ms);
        let new = recent.is_none();
        let key = recent.unwrap_or_else(|| Arc::new(SalsaBox::new(&PublicKey::from_bytes(ephemeral), own.get())));
        let signed = key.decrypt(nonce.into(), ciphertext).map_err(|_| Rejected::NotOpened)?;
        Ok(Unsealed { signed, ephemeral, key, new })
    }

    /// Keeps the shared key of a message whose sender is known.
    fn remember(&self, unsealed: Unsealed, now_ms: u64) {
        if unsealed.new {
            self.keys().shared().receiving.keep(unsealed.ephemeral, unsealed.key, now_ms);
        }
    }

    /// Version, recipient, custody, subject, kind: that this very message was meant for this place.
    fn check_audience(&self, body: &Body, subject: &str, kind: Kind) -> Result<(), Rejected> {
        if body.v != VERSION {
            return Err(Rejected::UnknownVersion);
        }
        if body.recipient != self.role().as_str() {
            return Err(Rejected::WrongRecipient);
        }
        if body.custody_id != self.custody().as_bytes() {
            return Err(Rejected::WrongCustody);
        }
        if body.subject != subject {
            return Err(Rejected::WrongSubject);
        }
        if body.kind != i32::from(kind) {
            return Err(Rejected::WrongKind);
        }
        Ok(())
    }
}

impl RequestTicket {
    /// Opens the answer. Something that isn't the answer says nothing about the request: it may still be served.
    pub fn open_response(&self, bytes: &[u8], now_ms: u64) -> Result<VerifiedResponse, Rejected> {
        let Opened { sender, body, .. } = self.party.open(bytes, now_ms)?;
        self.party.check_audience(&body, &self.subject, Kind::Response)?;
        if sender != self.to || body.in_reply_to != self.digest {
            return Err(Rejected::WrongReply);
        }
        check_life(sender, &body, now_ms)?;
        Ok(VerifiedResponse { payload: body.payload, iat_ms: body.iat_ms })
    }
}

/// Opened; nothing is known of who sealed it.
struct Unsealed {
    signed: Vec<u8>,
    ephemeral: [u8; 32],
    key: Arc<SalsaBox>,
    /// Computed for this message.
    new: bool,
}

/// Signed by an approved key of `sender`; nothing else is known yet.
struct Opened {
    sender: Role,
    peer: Peer,
    digest: [u8; 32],
    body: Body,
}

fn check_life(sender: Role, body: &Body, now_ms: u64) -> Result<(), Rejected> {
    let made = Made { by: sender, at_ms: body.iat_ms };
    if body.iat_ms > now_ms.saturating_add(MAX_SKEW_MS) {
        return Err(Rejected::FromTheFuture(made));
    }
    if now_ms > body.exp_ms {
        return Err(Rejected::Expired(made));
    }
    match body.exp_ms.checked_sub(body.iat_ms) {
        Some(1..=MAX_LIFETIME_MS) => Ok(()),
        _ => Err(Rejected::BadLifetime),
    }
}
