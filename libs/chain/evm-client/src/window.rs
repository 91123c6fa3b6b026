//! How many blocks a node is asked about in one search of its logs.

/// Blocks in one search at first: most providers take as many.
const FIRST_WIDTH: u64 = 2_000;
const MOST_WIDTH: u64 = 10_000;
/// After so many full windows in a row a wider one is tried.
const GROWS_AFTER: u32 = 16;

/// How many blocks a node is asked about at once: fewer after a refusal, more after a while without one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) width: u64,
    full: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { width: FIRST_WIDTH, full: 0 }
    }
}

impl Window {
    /// A search over `width` blocks was refused. Whether a narrower one can be made.
    pub(crate) fn refused(&mut self, width: u64) -> bool {
        self.full = 0;
        self.width = (width / 2).max(1);
        width > 1
    }

    pub(crate) fn took(&mut self, width: u64) {
        if width < self.width {
            return;
        }
        self.full += 1;
        if self.full >= GROWS_AFTER {
            (self.full, self.width) = (0, self.width.saturating_mul(2).min(MOST_WIDTH));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_shrinks_when_it_is_refused_and_grows_again() {
        let mut window = Window::default();
        assert!(window.refused(2_000) && window.refused(1_000));
        assert_eq!(window.width, 500);
        for _ in 0..GROWS_AFTER {
            window.took(500);
            window.took(3);
        }
        assert_eq!(window.width, 1_000);
        assert!(!window.refused(1), "one block can't be halved");
        for _ in 0..1_000 {
            window.took(window.width);
        }
        assert_eq!(window.width, MOST_WIDTH);
    }
}
