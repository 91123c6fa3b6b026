//! Reads what wallets hold: several batches under way, each at one block.

use std::{cell::RefCell, path::Path};

use anyhow::Result;
use chain::{ClientError, Head, Inability, WalletDesc, WalletState};
use data_encoding::HEXLOWER;
use evacuation::States;
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Prepared,
    reading::{Of, Reading},
};
use crate::evac::{ATTEMPTS, Progress, patiently};

/// Wallets in one batch.
const BATCH: usize = 1_000;
/// Batches under way.
const UNDER_WAY: usize = 4;
/// Nodes that say different things are asked so often; each time the client asks several times itself.
const DISAGREE: u32 = 1;
/// A node that does not have a block may be one of several behind its URL that is a moment behind.
const NO_BLOCK: u32 = 3;
/// So often a batch goes on at a newer block.
const RENEWALS: u32 = 20;

/// What the nodes say of every wallet, and the block at which reading began. All of a wallet is of one block; where the
/// nodes no longer have that, the others are read at a newer one.
pub(in crate::evac) async fn read(prepared: &Prepared, keep: Option<&Path>) -> Result<(States, Head)> {
    let roster = &prepared.merged.roster;
    let newest = patiently(|| prepared.client.head(None)).await?;
    let mut states = States::new(roster.len(), prepared.assets.len());
    let mut reading = keep.map(|path| resume(prepared, path, &newest, &mut states)).transpose()?;
    let (begun, latest) = match &reading {
        Some(reading) => (reading.begun.clone(), reading.latest.clone()),
        None => (newest.clone(), newest),
    };
    let reader = Reader { prepared, at: RefCell::new(latest) };
    let open: Vec<usize> = (0..roster.len()).step_by(BATCH).filter(|from| !states.is_read(*from)).collect();
    let progress = Progress::new("reading wallets", roster.len());
    progress.more((0..roster.len()).filter(|place| states.is_read(*place)).count());
    let asked = stream::iter(open).map(|from| reader.batch(from));
    let mut asked = std::pin::pin!(asked.buffer_unordered(UNDER_WAY));
    while let Some((from, at, read)) = asked.try_next().await? {
        for (place, state) in (from..).zip(&read) {
            states.read(place, state)?;
        }
        if let Some(reading) = &mut reading {
            reading.keep(&at, from, &read)?;
        }
        progress.more(read.len());
    }
    progress.end();
    states.finish();
    Ok((states, begun))
}

fn resume(prepared: &Prepared, path: &Path, newest: &Head, states: &mut States) -> Result<Reading> {
    let (roster, assets) = (&prepared.merged.roster, prepared.assets.len());
    let of = Of {
        chain: prepared.chain.clone(),
        manifest: prepared.manifest.digest(),
        wallets: HEXLOWER.encode(&roster.digest()),
        assets: Of::assets(&prepared.assets),
        agree: prepared.agree,
    };
    Reading::open(path, &of, newest, |from, read| {
        let whole = from % BATCH == 0 && read.len() == BATCH.min(roster.len().saturating_sub(from));
        let fits = whole && !states.is_read(from) && read.iter().all(|state| state.balances.len() == assets);
        fits && (from..).zip(read).all(|(place, state)| states.read(place, state).is_ok())
    })
}

struct Reader<'a> {
    prepared: &'a Prepared,
    /// The block at which batches are read that begin now.
    at: RefCell<Head>,
}

impl Reader<'_> {
    /// A batch, and the block at which it was read.
    async fn batch(&self, from: usize) -> Result<(usize, Head, Vec<WalletState>)> {
        let Prepared { merged, manifest, rules, assets, client, .. } = self.prepared;
        let last = merged.roster.len().min(from + BATCH);
        let wallets = (from..last).map(|place| merged.roster.describe(place, manifest, rules.as_ref()));
        let wallets: Vec<WalletDesc> = wallets.collect::<Result<_, _>>()?;
        let (mut failures, mut disagreed, mut gone, mut renewals) = (0, 0, 0, 0);
        loop {
            let at = self.at.borrow().clone();
            let error = match client.wallet_states(&at, &wallets, assets).await {
                Ok(states) => return Ok((from, at, states)),
                Err(error) => error,
            };
            let lost = |inability: &Inability| matches!(inability, Inability::Pruned(_) | Inability::NoBlock(_));
            match &error {
                ClientError::Unable { inability, .. } if lost(inability) && renewals < RENEWALS => {
                    gone += 1;
                    if gone > NO_BLOCK || matches!(inability, Inability::Pruned(_)) {
                        (gone, renewals) = (0, renewals + 1);
                        self.renew(&at, &error).await?;
                    }
                    tokio::time::sleep(backoff::delay(gone.max(1))).await;
                    continue;
                }
                ClientError::Disagree { .. } if disagreed < DISAGREE => disagreed += 1,
                ClientError::Disagree { .. } => return Err(self.named(from, &wallets, error)),
                error if error.is_away() && failures + 1 < ATTEMPTS => {}
                _ => return Err(self.named(from, &wallets, error)),
            }
            failures += 1;
            tokio::time::sleep(backoff::delay(failures)).await;
        }
    }

    /// Goes on at a newer block, unless another batch has seen to that.
    async fn renew(&self, at: &Head, why: &ClientError) -> Result<()> {
        if *self.at.borrow() == *at {
            let newest = patiently(|| self.prepared.client.head(None)).await?;
            let mut current = self.at.borrow_mut();
            if *current == *at && newest != *at {
                eprintln!("the rest is read at block {}, and not {} ({why})", newest.number, at.number);
                *current = newest;
            }
        }
        Ok(())
    }

    /// The wallet that it is about, or those among which it is.
    fn named(&self, from: usize, wallets: &[WalletDesc], error: ClientError) -> anyhow::Error {
        let roster = &self.prepared.merged.roster;
        let words = error.to_string();
        let what = match wallets.iter().position(|wallet| words.contains(&wallet.address)) {
            Some(place) => format!("wallet {}", roster.wallet(from + place).id),
            None => {
                let last = from + wallets.len().saturating_sub(1);
                format!("wallets {} to {}", roster.wallet(from).id, roster.wallet(last).id)
            }
        };
        anyhow::Error::new(error).context(what)
    }
}
