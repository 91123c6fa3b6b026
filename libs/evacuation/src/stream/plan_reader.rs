//! A plan, a chunk at a time.

use std::{io::Read, sync::Arc};

use chain_adapters::Adapters;
use custody::manifest::VerifiedManifest;

use super::{
    PlanHeader, StreamError, Summary, VerifiedChunk,
    chunk::Context,
    frame::{FrameReader, Hash, TITLE},
    header::PLAN,
    wire,
};
use crate::EvacuationError;

/// Whether a document that begins with these bytes (one is enough) is one of version 2.
pub fn is_stream(begun: &[u8]) -> bool {
    begun.first() == TITLE.as_bytes().first()
}

/// A plan whose header was read, and not believed yet.
pub struct OpenedPlan<R> {
    frames: FrameReader<R>,
    header: PlanHeader,
    header_digest: Hash,
}

/// A plan that is made with the manifest given. What it yields may be signed.
pub struct PlanReader<R> {
    frames: FrameReader<R>,
    context: Arc<Context>,
    header_digest: Hash,
    summary: Summary,
    chunks: u64,
}

impl<R: Read> OpenedPlan<R> {
    /// Reads the header.
    pub fn open(input: R) -> Result<Self, StreamError> {
        let mut frames = FrameReader::open(PLAN, input)?;
        let (header, header_digest) = frames.next::<wire::Header>()?.ok_or(StreamError::Incomplete(PLAN))?;
        Ok(Self { frames, header: PlanHeader::from_wire(header)?, header_digest })
    }

    /// What it says of itself: whoever has no manifest verifies the one in here.
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// Goes on with a manifest, which must be the plan's.
    pub fn verify(self, manifest: &VerifiedManifest, adapters: &Adapters) -> Result<PlanReader<R>, StreamError> {
        let Self { frames, header, header_digest } = self;
        let no_rules = |source| EvacuationError::Destination { chain: header.chain.clone(), source };
        let rules = adapters.rules(&header.chain).map_err(no_rules)?;
        header.verify(manifest, rules.as_ref())?;
        let summary = Summary::of(&header);
        let context = Arc::new(Context { rules, manifest: manifest.clone(), header });
        Ok(PlanReader { frames, context, header_digest, summary, chunks: 0 })
    }
}

impl<R: Read> PlanReader<R> {
    /// What it says of itself; counts and totals are right when the last chunk was read.
    pub fn header(&self) -> &PlanHeader {
        &self.context.header
    }

    /// SHA-256 of the header's message.
    pub fn header_digest(&self) -> [u8; 32] {
        self.header_digest
    }

    /// The next chunk. `None`: that was all, and it is as much as the header says.
    pub fn next_chunk(&mut self) -> Result<Option<VerifiedChunk>, StreamError> {
        let Some((chunk, digest)) = self.frames.next::<wire::Chunk>()? else {
            let said = self.context.header.chunks;
            if self.chunks < said {
                return Err(StreamError::Incomplete(PLAN));
            }
            self.summary.require(self.header())?;
            return Ok(None);
        };
        self.chunks += 1;
        if self.chunks > self.context.header.chunks {
            return Err(StreamError::malformed(PLAN, "it has more chunks than it says"));
        }
        let chunk = self.context.verify(&chunk, digest)?;
        self.summary.add(&chunk)?;
        Ok(Some(chunk))
    }

    /// What was read so far, for people.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// SHA-256 of what was read so far: after the last chunk, of the whole file.
    pub fn digest(&self) -> [u8; 32] {
        self.frames.hash()
    }
}
