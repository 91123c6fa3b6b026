//! The signatures of one owner on a plan, in a file of their own.

use std::io::{Read, Write};

use chain::{KeyRole, Signatures};
use zeroize::Zeroizing;

use super::{
    LadderStep, StreamError, VerifiedChunk, cores,
    frame::{FrameReader, FrameWriter, Hash},
    owners::owner,
    wire,
};

const SIGNATURES: &str = "signatures";

/// The signatures on one chunk of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedChunk {
    /// SHA-256 of the plan's chunk.
    pub plan_chunk: [u8; 32],
    /// 64 bytes for each transaction, in order, of the wallets that are signed for.
    pub signatures: Vec<u8>,
    /// Places in the chunk, ascending, of the wallets that are not: hot keys that Keeper can't open.
    pub missing: Vec<u32>,
}

impl SignedChunk {
    /// A station's signatures on every transaction of a chunk, made with its 32-byte secret key for the plan's chain.
    pub fn sign(chunk: &VerifiedChunk, role: KeyRole, secret: &[u8; 32]) -> Result<Self, StreamError> {
        Self::sign_by(chunk, role, |_| Some(secret))
    }

    /// Hot's signatures: `secrets` has the 32-byte secret key of each wallet of the chunk, in order; a wallet without one
    /// has no signatures.
    pub fn sign_hot(chunk: &VerifiedChunk, secrets: &[Option<Zeroizing<[u8; 32]>>]) -> Result<Self, StreamError> {
        Self::sign_by(chunk, KeyRole::Hot, |place| secrets.get(place)?.as_deref())
    }

    fn sign_by<'s>(
        chunk: &VerifiedChunk,
        role: KeyRole,
        secret: impl Fn(usize) -> Option<&'s [u8; 32]> + Sync,
    ) -> Result<Self, StreamError> {
        let sign = |step: &LadderStep<'_>| secret(step.place()).map(|secret| step.sign(role, secret)).transpose();
        let signatures: Vec<[u8; 64]> = cores::each(&chunk.steps()?, sign)?.into_iter().flatten().collect();
        let missing = (0..chunk.wallets().len()).filter(|place| secret(*place).is_none());
        let missing = missing.map(|place| place as u32).collect();
        Ok(Self { plan_chunk: chunk.digest(), signatures: signatures.concat(), missing })
    }
}

/// Writes the signatures of one owner.
pub struct SignatureWriter<W> {
    frames: FrameWriter<W>,
}

impl<W: Write> SignatureWriter<W> {
    /// Begins a file for the plan with this header.
    pub fn begin(output: W, role: KeyRole, plan_header: [u8; 32]) -> Result<Self, StreamError> {
        let mut frames = FrameWriter::begin(SIGNATURES, output)?;
        let header = wire::SignatureHeader { role: role.to_string(), plan_header: plan_header.to_vec() };
        frames.put_message(&header)?;
        Ok(Self { frames })
    }

    /// Goes on after the last whole chunk of a file: see [`SignatureReader::offset`].
    pub fn resume(output: W) -> Self {
        Self { frames: FrameWriter::resume(SIGNATURES, output) }
    }

    /// Appends the next chunk.
    pub fn chunk(&mut self, signed: SignedChunk) -> Result<(), StreamError> {
        let SignedChunk { plan_chunk, signatures, missing } = signed;
        let plan_chunk = plan_chunk.to_vec();
        self.frames.put_message(&wire::Signatures { plan_chunk, signatures, plan: Vec::new(), missing }).map(drop)
    }

    /// Ends the file with the SHA-256 of the plan that all of it was made for, and hands the output back.
    pub fn finish(mut self, plan: [u8; 32]) -> Result<W, StreamError> {
        self.frames.put_message(&wire::Signatures { plan: plan.to_vec(), ..wire::Signatures::default() })?;
        Ok(self.frames.finish()?.0)
    }
}

/// Reads the signatures of one owner.
pub struct SignatureReader<R> {
    frames: FrameReader<R>,
    role: KeyRole,
    plan_header: Hash,
    plan: Option<Hash>,
    /// Bytes up to the end of the last chunk.
    offset: u64,
}

impl<R: Read> SignatureReader<R> {
    /// Reads whose they are.
    pub fn open(input: R) -> Result<Self, StreamError> {
        let mut frames = FrameReader::open(SIGNATURES, input)?;
        let (header, _) = frames.next::<wire::SignatureHeader>()?.ok_or(StreamError::Incomplete(SIGNATURES))?;
        let role = owner(&header.role);
        let role = role.ok_or_else(|| StreamError::malformed(SIGNATURES, "the owner is not hot, cool or cold"))?;
        let plan_header = hash(header.plan_header)?;
        let offset = frames.offset();
        Ok(Self { frames, role, plan_header, plan: None, offset })
    }

    /// Whose they are.
    pub fn role(&self) -> KeyRole {
        self.role
    }

    /// Refuses another owner's file, and one of another plan.
    pub fn require(&self, role: KeyRole, plan_header: [u8; 32]) -> Result<(), StreamError> {
        let other = |why| Err(StreamError::OtherPlan { role, why });
        match (self.role == role, self.plan_header == plan_header) {
            (true, true) => Ok(()),
            (false, _) => other("the file is another owner's"),
            (true, false) => other("its header differs"),
        }
    }

    /// The next chunk. `None`: that was all, and the file is complete.
    pub fn next_chunk(&mut self) -> Result<Option<SignedChunk>, StreamError> {
        let message = self.frames.next::<wire::Signatures>()?;
        let Some((wire::Signatures { plan_chunk, signatures, plan, missing }, _)) = message else {
            return if self.plan.is_some() { Ok(None) } else { Err(StreamError::Incomplete(SIGNATURES)) };
        };
        if self.plan.is_some() {
            return Err(StreamError::malformed(SIGNATURES, "something follows its end"));
        }
        if plan.is_empty() {
            self.offset = self.frames.offset();
            self.require_places(&missing)?;
            return Ok(Some(SignedChunk { plan_chunk: hash(plan_chunk)?, signatures, missing }));
        }
        if !plan_chunk.is_empty() || !signatures.is_empty() || !missing.is_empty() {
            return Err(StreamError::malformed(SIGNATURES, "its end has signatures"));
        }
        self.plan = Some(hash(plan)?);
        self.next_chunk()
    }

    /// The cool and the cold key are one for all wallets; and there is one list of the same places.
    fn require_places(&self, missing: &[u32]) -> Result<(), StreamError> {
        if self.role != KeyRole::Hot && !missing.is_empty() {
            let why = format!("wallets without a signature of {}, whose key is one for all", self.role);
            return Err(StreamError::malformed(SIGNATURES, why));
        }
        if missing.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(StreamError::malformed(SIGNATURES, "the wallets without a signature are not in their order"));
        }
        Ok(())
    }

    /// The signatures on the plan's next chunk, in the order of [`VerifiedChunk::steps`]: see [`VerifiedChunk::signatures`].
    pub fn signatures_on(&mut self, chunk: &VerifiedChunk) -> Result<Vec<Option<Signatures>>, StreamError> {
        let signed = self.next_chunk()?.ok_or_else(|| self.other("it has fewer chunks"))?;
        chunk.signatures(self.role, &signed)
    }

    /// After the plan's last chunk: the file ends too, and was made for the whole plan with this SHA-256.
    pub fn require_end(&mut self, plan: [u8; 32]) -> Result<(), StreamError> {
        match self.next_chunk()? {
            Some(_) => Err(self.other("it has more chunks")),
            None if self.plan != Some(plan) => Err(self.other("the plan's SHA-256 differs")),
            None => Ok(()),
        }
    }

    fn other(&self, why: &'static str) -> StreamError {
        StreamError::OtherPlan { role: self.role, why }
    }

    /// After the last chunk: the SHA-256 of the plan.
    pub fn plan(&self) -> Option<[u8; 32]> {
        self.plan
    }

    /// Bytes up to the end of the last chunk that was read.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

fn hash(bytes: Vec<u8>) -> Result<Hash, StreamError> {
    bytes.try_into().map_err(|_| StreamError::malformed(SIGNATURES, "a SHA-256 has not 32 bytes"))
}
