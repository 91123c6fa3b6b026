//! The signers' records, read on page by page, into the database.

use chain::{Claim, ClientError};
use custody::{Role, WalletId};
use protocol::ops::{PAYMENT_ID_BYTES, Record, RecordState, Records};

use crate::{
    app::App,
    domain::{Lost, PaymentId, Reading},
    signers::Away,
    store::StoreError,
};

/// Blocks by which one node may be ahead of another: what was recorded after a reading is looked for from so much
/// earlier.
const MARGIN: u64 = 64;

/// When records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// At the start, while nothing is being paid: a payment that is stored may be further on than it says.
    Start,
    /// While App pays: of a stored payment the database knows most.
    Running,
}

/// Why the records are not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error(transparent)]
    Signer(#[from] Away),
    #[error(transparent)]
    Node(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{signer} answers with records that can't be read: {why}; both sides must run the same version")]
    Malformed { signer: Role, why: &'static str },
}

/// Reads both signers' records to their end; how many payments the database had lost.
pub(crate) async fn read(app: &App, pass: Pass) -> Result<usize, Unread> {
    let mut lost = 0;
    // Hot signs first: Keeper's records tell the order of what was tried.
    for signer in [Role::Keeper, Role::Cooler] {
        lost += read_one(app, signer, pass).await?;
    }
    if pass == Pass::Start {
        app.store.prepare_lost().await?;
    }
    Ok(lost)
}

async fn read_one(app: &App, signer: Role, pass: Pass) -> Result<usize, Unread> {
    // Before the first page: whatever is recorded later is in a later block.
    let head = app.client.head(None).await?.number;
    let (mut reading, mut lost) = (app.store.reading(signer).await?.unwrap_or_default(), 0);
    loop {
        let page = app.signers.records(signer, reading.number).await?;
        let malformed = |why| Unread::Malformed { signer, why };
        let store: [u8; 16] = page.store.as_slice().try_into().map_err(|_| malformed("the store's name"))?;
        if reading.number > 0 && (reading.store != store || reading.number > page.last) {
            tracing::warn!(%signer, "its records are of another store than before; they are read from the first");
            reading = Reading { number: 0, ..reading };
            continue;
        }
        let from_block = reading.block.saturating_sub(MARGIN);
        let (found, number) = found(app, signer, &page, reading.number, from_block)?;
        // The block stays as it was until all is read.
        let block = if page.more { reading.block } else { head };
        reading = Reading { store, number, block };
        lost += app.store.note_lost(signer, reading, found, pass == Pass::Start).await?;
        if !page.more {
            return Ok(lost);
        }
    }
}

/// What was signed on this page for payments on App's chain, and the last record's number.
fn found(app: &App, signer: Role, page: &Records, after: u64, from_block: u64) -> Result<(Vec<Lost>, u64), Unread> {
    let malformed = |why| Unread::Malformed { signer, why };
    let (mut found, mut number) = (Vec::new(), after);
    for record in &page.records {
        if record.number <= number {
            return Err(malformed("their numbers do not rise"));
        }
        number = record.number;
        if signed(record) && record.chain == app.trust.rules().id().as_str() {
            found.push(lost(record, from_block).map_err(malformed)?);
        }
    }
    if page.more && number == after {
        return Err(malformed("an empty page is not the last"));
    }
    Ok((found, number))
}

/// Whether money may have moved for a payment. What is not understood may have.
fn signed(record: &Record) -> bool {
    !record.cancel && !record.payment_id.is_empty() && record.state() != RecordState::Refused
}

fn lost(record: &Record, from_block: u64) -> Result<Lost, &'static str> {
    let payment: [u8; PAYMENT_ID_BYTES] = record.payment_id.as_slice().try_into().map_err(|_| "a payment id")?;
    let wallet: WalletId = record.wallet.parse().map_err(|_| "a wallet")?;
    let id = record.digest.as_slice().try_into().map_err(|_| "a digest")?;
    let claims: Vec<Claim> =
        record.claims.iter().map(Claim::try_from).collect::<Result<_, _>>().map_err(|_| "a claim")?;
    if claims.is_empty() {
        return Err("a transaction that uses nothing up");
    }
    Ok(Lost { payment: PaymentId::OfKey(payment), wallet, claims, id, from_block })
}
