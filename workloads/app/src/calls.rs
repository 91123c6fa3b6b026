//! Asking the signers over the broker. What is asked while enough requests are under way goes out with the next one, under
//! one signature: the busier App is, the fewer envelopes it takes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use custody::Role;
use futures::future::BoxFuture;
use prost::Message;
use protocol::{
    ops::{Batch, MAX_BATCH_BYTES, OPERATION_ID_BYTES, Operation, Outcome, Request, Response},
    subject::Lane,
};
use rand_core::{OsRng, RngCore};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use transport::Caller;
use zeroize::Zeroize;

use crate::signers::{Away, Transport};

/// Requests under way to one signer before others wait for company. Each is one try, so none holds its place for long.
const UNDER_WAY: usize = 8;
/// Most items of a batch: so few that no answer waits long for the others.
const MOST: usize = 64;
/// What a batch needs beside its items at most, bytes.
const AROUND: usize = 64;
/// What an item needs beside its own bytes at most.
const AROUND_ITEM: usize = 8;

/// Asks the signers, once there is a connection. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    caller: Arc<OnceLock<Caller>>,
    keeper: Arc<Door>,
    cooler: Arc<Door>,
}

/// What waits for one signer, and how many requests are under way to it.
#[derive(Default)]
struct Door(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    under_way: usize,
}

struct Waiting {
    request: Wiped,
    deadline: Instant,
    tell: oneshot::Sender<Option<Response>>,
}

impl Door {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more may be under way: whoever is told so takes and sends until nothing waits.
    fn push(&self, waiting: Waiting) -> bool {
        let mut queue = self.queue();
        queue.waiting.push_back(waiting);
        let goes = queue.under_way < UNDER_WAY;
        queue.under_way += usize::from(goes);
        goes
    }

    /// Those that have waited longest, as many as fit into one batch. None: one less is under way.
    fn take(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        let mut left = MAX_BATCH_BYTES - AROUND;
        let fits = |waiting: &&Waiting| {
            let rest = left.checked_sub(waiting.request.0.encoded_len() + AROUND_ITEM);
            left = rest.unwrap_or_default();
            rest.is_some()
        };
        // One that is too large even alone goes alone: whoever sends it says so.
        let many = queue.waiting.iter().take(MOST).take_while(fits).count().max(1).min(queue.waiting.len());
        queue.under_way -= usize::from(many == 0);
        queue.waiting.drain(..many).collect()
    }
}

impl Calls {
    /// There is one connection in a process's life.
    pub(crate) fn connected(&self, caller: Caller) {
        let _ = self.caller.set(caller);
    }

    fn door(&self, signer: Role) -> &Arc<Door> {
        if signer == Role::Keeper { &self.keeper } else { &self.cooler }
    }

    /// The answer to a try with others; `None`: the signer has to be asked alone.
    async fn with_others(&self, caller: &Caller, signer: Role, request: Wiped, deadline: Instant) -> Option<Response> {
        let (tell, told) = oneshot::channel();
        let door = self.door(signer);
        if door.push(Waiting { request, deadline, tell }) {
            let (door, caller) = (door.clone(), caller.clone());
            // On a task of its own: an asker that goes away leaves the others theirs.
            tokio::spawn(async move {
                loop {
                    let together = door.take();
                    if together.is_empty() {
                        return;
                    }
                    send(&caller, signer, together).await;
                }
            });
        }
        timeout_at(deadline, told).await.ok()?.ok()?
    }
}

impl Transport for Calls {
    fn ask(&self, signer: Role, request: Request, deadline: Instant) -> BoxFuture<'_, Result<Response, Away>> {
        Box::pin(async move {
            let request = Wiped(request);
            let away = |why: String| Away::Silent { signer, why };
            let caller = self.caller.get();
            let caller = caller.ok_or_else(|| away("App has no credentials for the broker yet".to_owned()))?;
            if request.0.operation.as_ref().is_some_and(Operation::in_a_batch) {
                match self.with_others(caller, signer, Wiped(request.0.clone()), deadline).await {
                    // "Not now" and silence are waited out, which holds nobody up.
                    None | Some(Response { outcome: Some(Outcome::Unavailable(_)) }) => {}
                    Some(answer) => return Ok(answer),
                }
            }
            caller.call(signer, lane(&request.0), &request.0, deadline).await.map_err(|error| away(error.to_string()))
        })
    }
}

/// One try for all of them.
async fn send(caller: &Caller, signer: Role, mut together: Vec<Waiting>) {
    if let [_] = &together[..] {
        let Some(Waiting { request, deadline, tell }) = together.pop() else { return };
        let answer = caller.call_once(signer, Lane::Op, &request.0, deadline).await;
        // Whoever asked may have gone away.
        return drop(tell.send(answer.ok()));
    }
    let Some(deadline) = together.iter().map(|waiting| waiting.deadline).max() else { return };
    let requests = together.iter().map(|waiting| waiting.request.0.clone()).collect();
    let mut operation_id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    let batch = Wiped(Request { operation_id, operation: Some(Operation::Batch(Batch { requests })) });
    let answer = caller.call_once(signer, Lane::Op, &batch.0, deadline).await;
    let answers = match answer.map(|response| response.outcome) {
        Ok(Some(Outcome::Batch(answers))) if answers.responses.len() == together.len() => answers.responses,
        // Whatever it says of the batch, each is asked alone.
        _ => Vec::new(),
    };
    let answers = answers.into_iter().map(Some).chain(std::iter::repeat(None));
    for (waiting, answer) in together.into_iter().zip(answers) {
        let _ = waiting.tell.send(answer);
    }
}

/// Records are read in a lane of their own: nothing that is paid waits for them.
fn lane(request: &Request) -> Lane {
    let in_lane = |lane: &Lane| request.operation.as_ref().is_some_and(|operation| operation.in_lane(*lane));
    [Lane::Records].into_iter().find(in_lane).unwrap_or(Lane::Op)
}

/// A request whose client keys are wiped once it is sent, or given up.
struct Wiped(Request);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(request: &mut Request) {
    match &mut request.operation {
        Some(Operation::CreateWallet(create)) => create.client_key.zeroize(),
        Some(Operation::Check(payment) | Operation::Announce(payment) | Operation::Sign(payment)) => {
            payment.client_key.zeroize();
        }
        Some(Operation::Batch(batch)) => batch.requests.iter_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use protocol::ops::Payment;

    use super::*;

    /// Whether one more goes under way for a request with so many bytes to sign.
    fn push(door: &Door, bytes: usize) -> bool {
        let payment = Payment { unsigned: vec![0; bytes], ..Payment::default() };
        let request = Request { operation_id: vec![0; OPERATION_ID_BYTES], operation: Some(Operation::Check(payment)) };
        let (tell, _) = oneshot::channel();
        door.push(Waiting { request: Wiped(request), deadline: Instant::now(), tell })
    }

    #[test]
    fn each_goes_at_once_until_enough_are_under_way_and_then_they_go_together() {
        let door = Door::default();
        for _ in 0..UNDER_WAY {
            assert!(push(&door, 1));
            assert_eq!(door.take().len(), 1);
        }
        for _ in 0..MOST + 1 {
            assert!(!push(&door, 1));
        }
        assert_eq!(door.take().len(), MOST, "whoever comes back takes what has come meanwhile");
        assert_eq!(door.take().len(), 1);
        assert!(door.take().is_empty() && push(&door, 1), "one less is under way, so one more may be");
        assert!(!push(&door, 1));
    }

    #[test]
    fn a_batch_is_never_larger_than_signers_serve_and_what_is_larger_goes_alone() {
        let door = Door::default();
        for bytes in [MAX_BATCH_BYTES / 2, MAX_BATCH_BYTES / 3, MAX_BATCH_BYTES / 3, MAX_BATCH_BYTES, 1] {
            push(&door, bytes);
        }
        let taken: Vec<usize> = std::iter::from_fn(|| Some(door.take().len()).filter(|many| *many > 0)).collect();
        assert_eq!(taken, [2, 1, 1, 1]);
        for _ in 0..MOST {
            push(&door, MAX_BATCH_BYTES / MOST - 64);
        }
        let mut requests: Vec<Request> = door.take().iter().map(|waiting| waiting.request.0.clone()).collect();
        for (number, request) in requests.iter_mut().enumerate() {
            request.operation_id[0] = u8::try_from(number).unwrap();
        }
        assert!(requests.len() > MOST / 2);
        Batch { requests }.check().unwrap();
    }
}
