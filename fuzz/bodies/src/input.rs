//! Takes an input apart from the front. Beyond its end there are zeros, so that every input means something.

use crate::SEPARATOR;

pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// One of `0..count`. Digits in ASCII mean themselves where `count` divides 48, so that people can write inputs.
    pub(crate) fn choice(&mut self, count: u8) -> u8 {
        self.byte() % count
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// As many bytes as the next one says.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = self.byte().into();
        self.take(length)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// The rest as the two documents before and after the first [`SEPARATOR`].
    pub(crate) fn two(self) -> (&'a [u8], &'a [u8]) {
        let at = self.0.windows(SEPARATOR.len()).position(|window| window == SEPARATOR.as_bytes());
        at.map_or((self.0, &[]), |at| (&self.0[..at], &self.0[at + SEPARATOR.len()..]))
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
