//! stub
use crate::report::Row;
use anyhow::Result;
pub(crate) async fn run() -> Result<Vec<Row>> {
    Ok(Vec::new())
}
