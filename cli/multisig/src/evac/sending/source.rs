//! Where the wallets come from, a portion at a time, and how many are held at once.

use std::collections::VecDeque;

use anyhow::{Context, Result};

use super::ladder::Portion;

/// Reads portions one after the other.
type Portions = Box<dyn Iterator<Item = Result<Portion>> + Send>;

/// All wallets, most valuable first.
pub(in crate::evac) struct Source {
    read: VecDeque<Portion>,
    rest: Option<Portions>,
}

impl Source {
    /// Those that are read.
    pub(in crate::evac) fn held(portions: impl IntoIterator<Item = Portion>) -> Self {
        Self { read: portions.into_iter().collect(), rest: None }
    }

    /// Those that are still to be read.
    pub(in crate::evac) fn reading(portions: impl Iterator<Item = Result<Portion>> + Send + 'static) -> Self {
        Self { read: VecDeque::new(), rest: Some(Box::new(portions)) }
    }

    /// The next ones; `None`: those were all.
    pub(in crate::evac) async fn next(&mut self) -> Result<Option<Portion>> {
        if let Some(portion) = self.read.pop_front() {
            return Ok(Some(portion));
        }
        let Some(mut rest) = self.rest.take() else { return Ok(None) };
        // What is under way goes on meanwhile.
        let read = tokio::task::spawn_blocking(move || {
            let portion = rest.next();
            (rest, portion)
        });
        let (rest, portion) = read.await.context("the plan could not be read again")?;
        let portion = portion.transpose()?;
        self.rest = portion.is_some().then_some(rest);
        Ok(portion)
    }

    /// The first of all, which stays the next.
    pub(in crate::evac) async fn first(&mut self) -> Result<Option<&Portion>> {
        if let Some(portion) = self.next().await? {
            self.read.push_front(portion);
        }
        Ok(self.read.front())
    }
}

/// Bounds what is in memory, however many wallets there are.
#[derive(Debug)]
pub(in crate::evac) struct Window {
    most: usize,
    held: usize,
}

impl Window {
    pub(in crate::evac) fn of(most: usize) -> Self {
        Self { most, held: 0 }
    }

    /// Whether so many more may come: alone they may always.
    pub(in crate::evac) fn admits(&self, more: usize) -> bool {
        self.held == 0 || self.held.saturating_add(more) <= self.most
    }

    /// So many have come.
    pub(in crate::evac) fn took(&mut self, wallets: usize) {
        self.held += wallets;
    }

    /// Nothing more is played of so many.
    pub(in crate::evac) fn ended(&mut self, wallets: usize) {
        self.held = self.held.saturating_sub(wallets);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::outcome::Line, *};

    #[test]
    fn the_next_wallets_come_in_when_as_many_have_ended() {
        let mut window = Window::of(3);
        assert!(window.admits(5), "a portion that is larger than the window comes alone");
        window.took(2);
        assert!(window.admits(1) && !window.admits(2));
        window.took(1);
        assert!(!window.admits(1));
        window.ended(2);
        assert!(window.admits(2) && !window.admits(3));
        window.ended(1);
        assert!(window.admits(5));
    }

    #[tokio::test]
    async fn portions_come_in_order_and_the_first_may_be_looked_at_before() {
        let portion = |lines: usize| {
            let line = Line {
                id: lines.to_string(),
                address: String::new(),
                asset: "ETH".to_owned(),
                to: String::new(),
                amount: 1.into(),
            };
            Portion { ladders: Vec::new(), lines: vec![line; lines] }
        };
        let mut source = Source::held([portion(1), portion(2)]);
        assert_eq!(source.first().await.unwrap().unwrap().lines.len(), 1);
        for lines in [1, 2] {
            assert_eq!(source.next().await.unwrap().unwrap().lines.len(), lines);
        }
        assert!(source.next().await.unwrap().is_none() && source.first().await.unwrap().is_none());
    }
}
