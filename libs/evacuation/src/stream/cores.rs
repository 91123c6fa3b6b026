//! The same work on many things, over the machine's cores.

use std::{num::NonZero, panic::resume_unwind, thread};

/// Things of one core at least: fewer are not worth a thread.
const LEAST: usize = 64;

/// `work` on each of `items`; the results in their order, or the first error in their order.
pub(crate) fn each<T, U, E>(items: &[T], work: impl Fn(&T) -> Result<U, E> + Sync) -> Result<Vec<U>, E>
where
    T: Sync,
    U: Send,
    E: Send,
{
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(cores).max(LEAST);
    if items.len() <= share {
        return items.iter().map(work).collect();
    }
    let of = |share: &[T]| share.iter().map(&work).collect::<Result<Vec<U>, E>>();
    thread::scope(|scope| {
        let shares: Vec<_> = items.chunks(share).map(|share| scope.spawn(move || of(share))).collect();
        let mut all = Vec::with_capacity(items.len());
        for share in shares {
            all.extend(share.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_of_several_errors_the_first() {
        for count in [0, 1, LEAST, 10 * LEAST + 3] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Result<Vec<usize>, ()> = each(&items, |item| Ok(2 * item));
            assert_eq!(doubled.unwrap(), items.iter().map(|item| 2 * item).collect::<Vec<_>>());
        }
        let items: Vec<usize> = (0..10 * LEAST).collect();
        let failed: Result<Vec<()>, usize> = each(&items, |item| if *item % 100 == 99 { Err(*item) } else { Ok(()) });
        assert_eq!(failed, Err(99));
    }
}
