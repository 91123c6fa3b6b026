//! From columns to domain types: the one edge at which what is stored is parsed.

use std::fmt::Display;

use rusqlite::{
    Error, Row,
    types::{FromSql, Type},
};

use crate::store::StoreError;

/// A row, with the name by which it is told when something in it is damaged.
pub(super) struct Named<'a> {
    row: &'a Row<'a>,
    name: String,
}

impl<'a> Named<'a> {
    pub(super) fn new(row: &'a Row<'a>, name: String) -> Self {
        Self { row, name }
    }

    /// The row of `table` whose key is in the column `key`.
    pub(super) fn keyed(row: &'a Row<'a>, table: &str, key: &'static str) -> Result<Self, StoreError> {
        let text: String = Self::new(row, table.to_owned()).get(key)?;
        Ok(Self::new(row, format!("{table} '{text}'")))
    }

    /// A column of SQLite's own types.
    pub(super) fn get<T: FromSql>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.get(column).map_err(|error| match error {
            Error::InvalidColumnType(_, _, found) => self.damaged(column, wrong_type(found)),
            Error::FromSqlConversionFailure(_, _, why) => self.damaged(column, why),
            Error::IntegralValueOutOfRange(_, value) => self.damaged(column, format!("{value} is out of range")),
            other => other.into(),
        })
    }

    /// A column that holds the text of something.
    pub(super) fn parse<T, E: Display>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        parse(&text).map_err(|why| self.damaged(column, why))
    }

    /// A column that holds a name of a closed list.
    pub(super) fn named<T>(
        &self,
        column: &'static str,
        named: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        self.parse(column, |text| named(text).ok_or_else(|| format!("'{text}' is not known")))
    }

    /// The column holds something that App does not write.
    pub(super) fn damaged(&self, column: &'static str, why: impl Display) -> StoreError {
        StoreError::Damaged { row: self.name.clone(), column, why: why.to_string() }
    }
}

fn wrong_type(found: Type) -> String {
    format!("a value of type {found} is not what belongs here")
}
