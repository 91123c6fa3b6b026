//! A database thief: the files of a signer and backups of them, to read and to write, without its Vault. What he may ask
//! of the signers besides, he asks with App's credentials.

mod copies;
mod history;
mod recover;
mod rows;
mod story;
mod tally;

use anyhow::Result;

use crate::report::Row;
use story::Story;

/// All attacks.
pub(crate) async fn run() -> Result<Vec<Row>> {
    let mut story = Story::new().await?;
    recover::attacks(&mut story).await?;
    rows::attacks(&mut story).await?;
    tally::attacks(&mut story).await?;
    history::attacks(&mut story).await?;
    let mut rows = story.rows;
    rows.extend(recover::client_keys().await?);
    rows.extend(copies::attacks().await?);
    Ok(rows)
}
