//! Lists in pages. A cursor names the last thing that was shown, so that what is added meanwhile neither repeats nor
//! hides anything.

use std::str::FromStr;

use custody::WalletId;
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;

use super::{address::Address, asset::Symbol, progress::Status};

/// Which payments; what is absent fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PaymentFilter {
    /// The paying wallet.
    pub(crate) wallet: Option<WalletId>,
    pub(crate) status: Option<Status>,
    pub(crate) asset: Option<Symbol>,
    /// Asked for at this time or later.
    pub(crate) created_after: Option<Timestamp>,
    /// Asked for before this time.
    pub(crate) created_before: Option<Timestamp>,
}

/// Which wallets; what is absent fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WalletFilter {
    pub(crate) address: Option<Address>,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    NewestFirst,
    OldestFirst,
}

/// A place between two things of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) direction: Direction,
    /// Of the last one shown, in the order in which they were asked for.
    place: i64,
}

/// Not a cursor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that App gave out; begin without one")]
pub(crate) struct InvalidCursor;

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) direction: Direction,
    /// Not above [`Page::LARGEST`].
    pub(crate) limit: u16,
    /// Only what comes after it.
    after: Option<Cursor>,
}

impl Page {
    /// Most things of a page.
    pub(crate) const LARGEST: u16 = 500;

    /// From the beginning.
    pub(crate) fn first(direction: Direction, limit: u16) -> Self {
        Self { direction, limit: limit.min(Self::LARGEST), after: None }
    }

    /// In the cursor's direction, from there on.
    pub(crate) fn after(cursor: Cursor, limit: u16) -> Self {
        Self { after: Some(cursor), ..Self::first(cursor.direction, limit) }
    }

    /// Places between which the page is, both left out.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        match (self.direction, self.after) {
            (_, None) => (i64::MIN, i64::MAX),
            (Direction::OldestFirst, Some(after)) => (after.place, i64::MAX),
            (Direction::NewestFirst, Some(after)) => (i64::MIN, after.place),
        }
    }

    /// What belongs on the page, and the cursor of the next one where there is more.
    pub(crate) fn cut<T>(&self, mut found: Vec<(i64, T)>) -> (Vec<T>, Option<Cursor>) {
        let more = found.len() > usize::from(self.limit);
        found.truncate(self.limit.into());
        let last = found.last().filter(|_| more).map(|(place, _)| *place);
        let next = last.map(|place| Cursor { direction: self.direction, place });
        (found.into_iter().map(|(_, it)| it).collect(), next)
    }
}

impl Cursor {
    /// Text without meaning to whoever gets it.
    pub(crate) fn text(&self) -> String {
        let direction = match self.direction {
            Direction::NewestFirst => b'n',
            Direction::OldestFirst => b'o',
        };
        BASE64URL_NOPAD.encode(&[&[direction], self.place.to_be_bytes().as_slice()].concat())
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| InvalidCursor)?;
        let (direction, place) = match bytes.split_first() {
            Some((b'n', place)) => (Direction::NewestFirst, place),
            Some((b'o', place)) => (Direction::OldestFirst, place),
            _ => return Err(InvalidCursor),
        };
        let place = place.try_into().map_err(|_| InvalidCursor)?;
        Ok(Self { direction, place: i64::from_be_bytes(place) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_given_out_and_nothing_else_is() {
        for direction in [Direction::NewestFirst, Direction::OldestFirst] {
            let cursor = Cursor { direction, place: 7 };
            assert_eq!(cursor.text().parse(), Ok(cursor));
        }
        for bad in ["", "7", "!", "eHh4eHh4eHh4", "bgAAAAAAAAA"] {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad}");
        }
    }

    #[test]
    fn a_page_is_cut_where_the_next_one_begins() {
        let page = Page::first(Direction::OldestFirst, 2);
        let (shown, next) = page.cut(vec![(3, 'a'), (5, 'b'), (8, 'c')]);
        assert_eq!(shown, ['a', 'b']);
        let next = Page::after(next.unwrap(), 2);
        assert_eq!(next.bounds(), (5, i64::MAX));
        assert_eq!(next.cut(vec![(8, 'c')]), (vec!['c'], None));
        assert_eq!(Page::first(Direction::NewestFirst, u16::MAX).limit, Page::LARGEST);
    }
}
