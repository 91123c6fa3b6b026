//! The newest block, told by the one job that follows the chain to all that wait for the next.

use chain::Head;
use tokio::sync::watch;

/// See the module.
pub(crate) struct Heads(watch::Sender<Option<Head>>);

impl Default for Heads {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Heads {
    /// There is a newer block, or the chain was reorganised.
    pub(crate) fn tell(&self, head: Head) {
        self.0.send_replace(Some(head));
    }

    /// Blocks that follow block `number`, as far as is known.
    pub(crate) fn depth(&self, number: u64) -> Option<u64> {
        self.0.borrow().as_ref().map(|head| head.number.saturating_sub(number))
    }

    /// From now on.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.0.subscribe())
    }
}

/// The blocks since [`Heads::watch`].
pub(crate) struct Watch(watch::Receiver<Option<Head>>);

impl Watch {
    /// Waits for a block that came since the last time.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // App ends.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_block_between_the_look_and_the_wait_is_not_missed() {
        let heads = Heads::default();
        assert_eq!(heads.depth(0), None);
        let mut watch = heads.watch();
        heads.tell(Head { number: 7, id: "7".to_owned(), time: 0 });
        watch.next().await;
        assert_eq!((heads.depth(4), heads.depth(7), heads.depth(8)), (Some(3), Some(0), Some(0)));
    }
}
