//! Lists, a page at a time and by an index: of several filters one picks the index, the others are looked at row by
//! row.

use chain::ChainRules;
use custody::WalletId;
use jiff::Timestamp;
use rusqlite::ToSql;

use super::{db::Db, history, payment_row, row::Named, wallet_row};
use crate::{
    domain::{Address, Direction, History, Page, Payment, PaymentFilter, Status, Symbol, Wallet, WalletFilter},
    store::{StoreError, rows::Rows},
};

/// Times rise with the sequence, so a time is looked up once and becomes a bound of the sequence. Payments without one
/// come before all others, and fit neither condition.
pub(super) const CREATED_AFTER: &str =
    "sequence >= (SELECT sequence FROM payments WHERE created_at >= ? ORDER BY created_at, sequence LIMIT 1)";
pub(super) const CREATED_BEFORE: &str = "+created_at IS NOT NULL AND
    sequence <= (SELECT sequence FROM payments WHERE created_at < ? ORDER BY created_at DESC, sequence DESC LIMIT 1)";

/// Conditions, each with its value.
#[derive(Default)]
struct Conditions(Vec<(&'static str, Box<dyn ToSql>)>);

impl Conditions {
    /// A condition with one `?`, where there is a value for it.
    fn and(mut self, condition: &'static str, value: Option<impl ToSql + 'static>) -> Self {
        if let Some(value) = value {
            self.0.push((condition, Box::new(value)));
        }
        self
    }

    /// The statement for a page of a table. Conditions are equalities, or about the sequence: an index on one of their
    /// columns has its rows in the list's order.
    fn statement(&self, columns: &str, table: &str, page: &Page) -> String {
        let direction = match page.direction {
            Direction::NewestFirst => "DESC",
            Direction::OldestFirst => "ASC",
        };
        let conditions: String = self.0.iter().map(|(condition, _)| format!("{condition} AND ")).collect();
        format!(
            "SELECT sequence, {columns} FROM {table} WHERE {conditions}sequence > ? AND sequence < ?
             ORDER BY sequence {direction} LIMIT ?"
        )
    }

    fn values(self, page: &Page) -> Vec<Box<dyn ToSql>> {
        let (above, below) = page.bounds();
        let mut values: Vec<_> = self.0.into_iter().map(|(_, value)| value).collect();
        values.push(Box::new(above));
        values.push(Box::new(below));
        values.push(Box::new(i64::from(page.limit) + 1));
        values
    }
}

pub(super) fn payments(
    db: Db<'_>,
    rules: &dyn ChainRules,
    filter: &PaymentFilter,
    page: &Page,
) -> Result<Rows<(Payment, History)>, StoreError> {
    let PaymentFilter { wallet, status, asset, created_after, created_before } = filter;
    let conditions = Conditions::default()
        .and("wallet = ?", wallet.as_ref().map(WalletId::to_string))
        .and("status = ?", status.map(Status::as_str))
        .and("asset = ?", asset.as_ref().map(Symbol::to_string))
        .and(CREATED_AFTER, created_after.map(Timestamp::as_millisecond))
        .and(CREATED_BEFORE, created_before.map(Timestamp::as_millisecond));
    let columns = format!("created_at, updated_at, {}", payment_row::COLUMNS);
    let mut statement = db.prepare_cached(&conditions.statement(&columns, "payments", page))?;
    let values = conditions.values(page);
    let mut rows = statement.query(rusqlite::params_from_iter(values.iter()))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let payment = payment_row::read(row, rules)?;
        let named = Named::keyed(row, "payment", "id")?;
        let (created, updated) = (history::time(&named, "created_at")?, history::time(&named, "updated_at")?);
        let history = History { created, updated, changes: Vec::new() };
        found.push((row.get("sequence")?, (payment, history)));
    }
    Ok(found)
}

pub(super) fn wallets(
    db: Db<'_>,
    rules: &dyn ChainRules,
    filter: &WalletFilter,
    page: &Page,
) -> Result<Rows<Wallet>, StoreError> {
    let conditions = Conditions::default().and("address = ?", filter.address.as_ref().map(Address::to_string));
    let mut statement = db.prepare_cached(&conditions.statement(wallet_row::COLUMNS, "given_out_wallets", page))?;
    let values = conditions.values(page);
    let mut rows = statement.query(rusqlite::params_from_iter(values.iter()))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get("sequence")?, wallet_row::wallet(row, rules)?));
    }
    Ok(found)
}
