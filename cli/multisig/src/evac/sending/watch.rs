//! What is known of the node and of the accounts that pay: told by whoever looks after what is sent, asked by all that is
//! under way. What a node can't say now is waited for and not failed.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use chain::{Account, ChainClient, ClientError, Stuck};
use chain_clients::Tending;
use tokio::sync::Notify;

use super::{payers::Payers, reason::Why, voice::Voice};
use crate::evac::patiently;

/// People hear so often of what is waited for.
const BETWEEN: Duration = Duration::from_secs(30);
/// So often a question is asked again that a node answers with an error of its own: it may be passing.
const SOFT: u32 = 3;

/// What follows from an error of something that was sent.
pub(in crate::evac) enum Waits {
    /// It is waited for.
    On,
    /// Its gas key can't get it mined; another may.
    Elsewhere(Why),
    /// Nothing more can be sent in this run, or of this.
    Never(Why),
}

/// See the module.
pub(in crate::evac) struct Watch {
    pub(in crate::evac) client: Arc<dyn ChainClient>,
    pub(in crate::evac) voice: Voice,
    payers: Payers,
    /// Why nothing more can be mined in this run.
    jam: RefCell<Option<Why>>,
    /// By account: why nothing of it can be mined.
    dry: RefCell<BTreeMap<String, Why>>,
    accounts: RefCell<Vec<Account>>,
    looked: Notify,
    /// When people last heard that something is waited for.
    said: Cell<Option<Instant>>,
}

impl Watch {
    pub(in crate::evac) fn new(client: Arc<dyn ChainClient>, payers: Payers, voice: Voice) -> Self {
        Self {
            client,
            voice,
            payers,
            jam: RefCell::default(),
            dry: RefCell::default(),
            accounts: RefCell::default(),
            looked: Notify::new(),
            said: Cell::default(),
        }
    }

    /// How many accounts pay.
    pub(in crate::evac) fn keys(&self) -> usize {
        self.client.relayers().len()
    }

    /// Looks after what is sent, with each block.
    pub(in crate::evac) async fn tend(&self) -> Infallible {
        let (mut tending, mut failures) = (Tending::default(), 0);
        loop {
            match tending.next(self.client.as_ref()).await {
                Ok(accounts) => {
                    failures = 0;
                    self.saw(accounts);
                }
                Err(error) => {
                    failures += 1;
                    self.say_at_times(failures > 1, || format!("looking after what is sent: {error}"));
                    tokio::time::sleep(backoff::delay(failures)).await;
                }
            }
        }
    }

    fn saw(&self, accounts: Vec<Account>) {
        let before = self.accounts.replace(accounts);
        for account in self.accounts.borrow().iter() {
            let of = &account.float.relayer;
            let before = before.iter().find(|before| before.float.relayer == *of);
            self.payers.news(account, before).iter().for_each(|line| self.voice.say(line));
            if account.stuck.is_empty() {
                self.dry.borrow_mut().remove(of);
            }
        }
        self.looked.notify_waiters();
    }

    /// What an earlier run has sent is mined, or can't be: until then its wallets look as if nothing were under way.
    pub(in crate::evac) async fn earlier_ended(&self) {
        let mut said = false;
        loop {
            let looked = self.looked.notified();
            let accounts = self.accounts.borrow().clone();
            let open = accounts.iter().filter(|account| account.stuck.is_empty());
            let open: usize = open.map(|account| account.in_flight).sum();
            if !accounts.is_empty() && open == 0 {
                return;
            }
            if open > 0 && !said {
                said = true;
                self.voice
                    .say(&format!("{open} transactions of an earlier run are under way; they are waited for first"));
            }
            looked.await;
        }
    }

    /// Why nothing more can be mined in this run.
    pub(in crate::evac) fn jammed(&self) -> Option<Why> {
        let dry = self.dry.borrow();
        let all = || dry.values().next().filter(|_| dry.len() >= self.keys()).cloned();
        self.jam.borrow().clone().or_else(all)
    }

    /// Nothing more is sent in this run.
    pub(in crate::evac) fn jam(&self, why: Why) {
        self.jam.borrow_mut().get_or_insert(why);
    }

    /// What follows from this error of something that was sent.
    pub(in crate::evac) async fn waits(&self, error: ClientError, failures: &mut u32) -> Waits {
        let on = || self.jammed().map_or(Waits::On, Waits::Never);
        match &error {
            ClientError::Pending(_) => on(),
            ClientError::Stuck { why, .. } => match &**why {
                // Given up by the relayer after some tries, or taken after all.
                Stuck::Refused(_) => {
                    *failures += 1;
                    tokio::time::sleep(backoff::delay(*failures)).await;
                    on()
                }
                Stuck::Float { relayer, .. } => {
                    let relayer = relayer.clone();
                    self.dry.borrow_mut().insert(relayer, error.clone().into());
                    self.jammed().map_or_else(|| Waits::Elsewhere(error.into()), Waits::Never)
                }
                Stuck::AtCeiling { .. } => {
                    let why = Why::from(error);
                    self.jam(why.clone());
                    Waits::Never(why)
                }
            },
            _ => Waits::Never(error.into()),
        }
    }

    /// Asks the node until it answers: as long as it is away, limits requests or is behind, nothing has failed.
    pub(in crate::evac) async fn ask<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut failures = 0;
        loop {
            match ask().await {
                Err(error) if error.is_away() || (is_soft(&error) && failures < SOFT) => {
                    failures += 1;
                    self.say_at_times(failures > 2, || format!("waiting for the node: {error}"));
                    tokio::time::sleep(backoff::delay(failures)).await;
                }
                other => return other,
            }
        }
    }

    /// The same, for a question that may be too much for a node that is well: then it is an error.
    pub(in crate::evac) async fn ask_much<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        match patiently(&ask).await {
            Err(error) if error.is_away() => {
                self.say_at_times(true, || format!("waiting for the node: {error}"));
                self.ask(|| self.client.head(None)).await?;
                patiently(&ask).await
            }
            other => other,
        }
    }

    fn say_at_times(&self, worth: bool, line: impl FnOnce() -> String) {
        if worth && self.said.get().is_none_or(|said| said.elapsed() >= BETWEEN) {
            self.said.set(Some(Instant::now()));
            self.voice.say(&line());
        }
    }
}

/// A node's own error, which may be passing.
fn is_soft(error: &ClientError) -> bool {
    matches!(error, ClientError::Node { .. } | ClientError::Malformed { .. })
}
