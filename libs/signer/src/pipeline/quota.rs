//! How much App may read of what was recorded.

use super::stop::Stop;

/// Answers in one minute; an App that has forgotten everything reads 600,000 records in it.
const PAGES_A_MINUTE: u32 = 600;

/// How much of this minute's quota is used.
#[derive(Debug, Default)]
pub(super) struct Quota {
    minute: u64,
    pages: u32,
}

impl Quota {
    /// One page more, if there is one left at `now_ms`.
    pub(super) fn take(&mut self, now_ms: u64) -> Result<(), Stop> {
        let minute = now_ms / 60_000;
        if self.minute != minute {
            *self = Self { minute, pages: 0 };
        }
        if self.pages >= PAGES_A_MINUTE {
            let message = format!("{PAGES_A_MINUTE} pages of records were read in this minute; read on in the next");
            return Err(Stop::unavailable("RecordsQuota", message));
        }
        self.pages += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_pages_and_the_next_one_has_them_again() {
        let mut quota = Quota::default();
        for _ in 0..PAGES_A_MINUTE {
            quota.take(60_000).unwrap();
        }
        assert_eq!(quota.take(119_999).unwrap_err().reason(), "RecordsQuota");
        quota.take(120_000).unwrap();
    }
}
