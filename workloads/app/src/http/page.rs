//! Parameters of a list.

use axum::http::StatusCode;
use serde::Deserialize;

use super::problem::Problem;
use crate::domain::{Cursor, Direction, Page};

/// Things of a page where nobody says how many.
const USUAL: u16 = 100;

/// In which order.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    Newest,
    Oldest,
}

/// The page that is asked for.
pub(super) fn page(limit: Option<u16>, order: Option<Order>, cursor: Option<&str>) -> Result<Page, Problem> {
    let refused = |reason, detail| Problem::new(StatusCode::BAD_REQUEST, reason, detail);
    let limit = limit.unwrap_or(USUAL);
    if !(1..=Page::LARGEST).contains(&limit) {
        return Err(refused("InvalidLimit", format!("limit is {limit}; expected 1 to {}", Page::LARGEST)));
    }
    let order = order.map(|order| match order {
        Order::Newest => Direction::NewestFirst,
        Order::Oldest => Direction::OldestFirst,
    });
    let Some(cursor) = cursor else { return Ok(Page::first(order.unwrap_or(Direction::NewestFirst), limit)) };
    let cursor: Cursor =
        cursor.parse().map_err(|error: crate::domain::InvalidCursor| refused("InvalidCursor", error.to_string()))?;
    if order.is_some_and(|order| order != cursor.direction) {
        return Err(refused("InvalidCursor", "the cursor belongs to the other order; begin without one".to_owned()));
    }
    Ok(Page::after(cursor, limit))
}
