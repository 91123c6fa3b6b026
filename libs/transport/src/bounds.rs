//! How much a server takes on at once: of each class, of each sender within it, and of bytes over all. A pod has 256 MiB,
//! and what is admitted here takes up to four times its bytes while it is decoded, decided, answered and sealed.

use prost::Message;
use protocol::{
    envelope::MAX_BYTES,
    ops::{Batch, Class, Operation, Request},
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Largest answer to one operation that is neither a batch nor a reading of records, bytes: an attested wallet record.
const ANSWER: usize = 4 * KIB;
/// Largest answer to an item of a batch, bytes: 500 of them fit into an envelope.
const ITEM_ANSWER: usize = 2 * KIB;

/// How much of one class is taken on at once.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Handlers that run at the same time.
    pub running: usize,
    /// Requests that wait for a handler; beyond, callers are told to ask again, or hear nothing.
    pub waiting: usize,
    /// Bytes of requests, and of the answers that they may get, over all that run and wait.
    pub bytes: usize,
    /// How much of it one sender may have.
    pub sender: Allowance,
}

/// How much one sender, a role with one of its keys, may have of a class.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Requests that run and wait.
    pub in_flight: usize,
    /// Their bytes, as in [`Capacity::bytes`].
    pub bytes: usize,
    /// Requests a second in the long run; each item of a batch is one.
    pub per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
}

/// How much is taken on at once of each class.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of [`Class::Urgent`].
    pub urgent: Capacity,
    /// Of [`Class::Peer`].
    pub peer: Capacity,
    /// Of [`Class::Ordinary`].
    pub ordinary: Capacity,
    /// Of [`Class::Reading`].
    pub reading: Capacity,
}

impl Default for Bounds {
    /// Of what goes first, six senders (three roles with two keys each) together have no more than there is, so none
    /// can be in another's way. App shares ordinary work and reading with nobody but its own next key.
    fn default() -> Self {
        Self {
            urgent: Capacity {
                running: 192,
                waiting: 0,
                bytes: 3 * MIB,
                sender: Allowance { in_flight: 32, bytes: MIB / 2, per_second: 200, burst: 400 },
            },
            peer: Capacity {
                running: 24,
                waiting: 0,
                bytes: 6 * MIB,
                sender: Allowance { in_flight: 4, bytes: MIB, per_second: 50, burst: 100 },
            },
            ordinary: Capacity {
                running: 64,
                waiting: 512,
                bytes: 16 * MIB,
                sender: Allowance { in_flight: 512, bytes: 14 * MIB, per_second: 20_000, burst: 20_000 },
            },
            reading: Capacity {
                running: 4,
                waiting: 4,
                bytes: 9 * MIB,
                sender: Allowance { in_flight: 6, bytes: 7 * MIB, per_second: 50, burst: 100 },
            },
        }
    }
}

impl Bounds {
    /// Of a class.
    pub(crate) fn of(&self, class: Class) -> &Capacity {
        match class {
            Class::Urgent => &self.urgent,
            Class::Peer => &self.peer,
            Class::Ordinary => &self.ordinary,
            Class::Reading => &self.reading,
        }
    }
}

/// What a request takes of its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// One, or the items of a batch.
    pub(crate) requests: u32,
    /// Its own and those of the largest answer to it.
    pub(crate) bytes: usize,
}

impl Cost {
    /// None is one that is not understood: it is answered, and kept for nothing.
    pub(crate) fn of(request: Option<&Request>) -> Self {
        let (requests, answer) = match request.and_then(|request| request.operation.as_ref()) {
            Some(Operation::Batch(Batch { requests })) => {
                (requests.len(), requests.len().saturating_mul(ITEM_ANSWER).min(MAX_BYTES))
            }
            Some(Operation::Records(_)) => (1, MAX_BYTES),
            _ => (1, ANSWER),
        };
        let bytes = request.map_or(0, Message::encoded_len) + answer;
        Self { requests: u32::try_from(requests).unwrap_or(u32::MAX), bytes }
    }
}

#[cfg(test)]
mod tests {
    use protocol::ops::{Freeze, MAX_BATCH_BYTES, MAX_BATCH_ITEMS, ReadRecords};

    use super::*;

    /// Three roles ask a signer for what goes first, each with two keys at most.
    const SENDERS: usize = 6;

    fn asking(operation: Operation) -> Request {
        Request { operation_id: vec![1; 16], operation: Some(operation) }
    }

    #[test]
    fn no_sender_can_take_from_another_what_goes_first() {
        let Bounds { urgent, peer, .. } = Bounds::default();
        for Capacity { running, waiting: _, bytes, sender } in [urgent, peer] {
            assert!(SENDERS * sender.in_flight <= running && SENDERS * sender.bytes <= bytes);
        }
    }

    #[test]
    fn all_that_is_admitted_and_worked_on_leaves_a_pod_most_of_its_memory() {
        let bounds = Bounds::default();
        let admitted: usize = Class::ALL.map(|class| bounds.of(class).bytes).iter().sum();
        assert!(4 * admitted <= 160 * MIB, "{admitted}");
    }

    #[test]
    fn a_request_costs_its_own_bytes_and_those_of_its_largest_answer() {
        let freeze = asking(Operation::Freeze(Freeze::default()));
        assert_eq!(Cost::of(Some(&freeze)), Cost { requests: 1, bytes: freeze.encoded_len() + ANSWER });
        let batch = |items| asking(Operation::Batch(Batch { requests: vec![freeze.clone(); items] }));
        let (three, full) = (batch(3), batch(MAX_BATCH_ITEMS));
        assert_eq!(Cost::of(Some(&three)), Cost { requests: 3, bytes: three.encoded_len() + 3 * ITEM_ANSWER });
        assert!(Cost::of(Some(&full)).bytes <= MAX_BATCH_BYTES + MAX_BYTES);
        let records = asking(Operation::Records(ReadRecords::default()));
        assert_eq!(Cost::of(Some(&records)), Cost { requests: 1, bytes: records.encoded_len() + MAX_BYTES });
        assert_eq!(Cost::of(None), Cost { requests: 1, bytes: ANSWER });
    }

    #[test]
    fn every_class_takes_the_largest_request_that_is_legitimate() {
        let Bounds { urgent, peer, ordinary, reading } = Bounds::default();
        let settle = 128 * KIB;
        for (sender, largest) in [
            (urgent.sender, 2 * ANSWER),
            (peer.sender, settle + ANSWER),
            (ordinary.sender, MAX_BATCH_BYTES + MAX_BYTES),
            (reading.sender, MAX_BYTES + ANSWER),
        ] {
            assert!(largest <= sender.bytes);
        }
    }
}
