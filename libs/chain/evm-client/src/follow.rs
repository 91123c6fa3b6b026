//! The newest block, for everybody who waits for one: whoever asks while others do shares their answer. A view is a
//! block that as many nodes as must agree have.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use alloy_primitives::B256;
use chain::{Access, ChainId, ClientError, Head, Inability};
use futures::future::{join_all, try_join_all};
use serde_json::json;
use tokio::{
    sync::{OnceCell, watch},
    time::Instant,
};

use crate::{
    node::{Header, Known, Node},
    reads::tag,
};

/// How often a node is asked for its newest block before it is known how often there is one.
const FIRST_POLL: Duration = Duration::from_millis(500);
const SHORTEST_POLL: Duration = Duration::from_millis(100);
const LONGEST_POLL: Duration = Duration::from_secs(2);
/// A block is noticed after this part of the time between two.
const POLLS_A_BLOCK: u32 = 8;
/// Time for one look at a node.
const LOOK: Duration = Duration::from_secs(5);
/// A newest block that goes back to one seen before is of a node behind; after this time it is the chain that has
/// become shorter.
const WENT_BACK: Duration = Duration::from_secs(3);
/// At the newest blocks nodes differ for a moment: so many blocks back they are asked for one that they share.
const COMMON: u64 = 3;

/// A block, and the nodes that have it: as many as must agree.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) head: Header,
    pub(crate) nodes: Vec<Arc<Node>>,
    /// The newest block that all of them call final; asked once for everybody who shares the view.
    finalized: Arc<OnceCell<u64>>,
}

impl View {
    /// Number of the newest block that all nodes of the view call final.
    pub(crate) async fn finalized(&self) -> Result<u64, ClientError> {
        let asked = async || {
            let blocks = try_join_all(self.nodes.iter().map(|node| node.header(json!("finalized")))).await?;
            blocks.iter().map(Header::number).min().ok_or(ClientError::Url)
        };
        self.finalized.get_or_try_init(asked).await.copied()
    }

    pub(crate) fn block(&self) -> u64 {
        self.head.number()
    }

    /// What all nodes of the view say, if it is the same.
    pub(crate) async fn agreed<T, F>(
        &self,
        what: &'static str,
        ask: impl Fn(Arc<Node>) -> F,
        same: impl Fn(&T, &T) -> bool,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let asked = self.nodes.iter().map(|node| {
            let answer = ask(node.clone());
            async move {
                let answer = answer.await;
                if let Err(error) = &answer
                    && error.is_away()
                {
                    node.failed(error);
                }
                answer
            }
        });
        let answers: Vec<T> = join_all(asked).await.into_iter().collect::<Result<_, _>>()?;
        let mut answers = answers.into_iter();
        let first = answers.next().ok_or(ClientError::Url)?;
        match answers.all(|other| same(&first, &other)) {
            true => Ok(first),
            false => Err(disagree(what, self.block(), &self.nodes)),
        }
    }
}

pub(crate) fn disagree(what: impl Into<String>, block: u64, nodes: &[Arc<Node>]) -> ClientError {
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    ClientError::Disagree { nodes: names.join(" and "), what: what.into(), block }
}

/// Looks for new blocks at all nodes of a chain.
pub(crate) struct Follower {
    nodes: Vec<Arc<Node>>,
    agree: usize,
    head_age: Option<Duration>,
    /// `None`: whatever the node serves.
    chain: Option<ChainId>,
    turn: tokio::sync::Mutex<()>,
    /// Looks that have begun.
    begun: Mutex<u64>,
    latest: watch::Sender<Option<Looked>>,
    pace: Mutex<Pace>,
}

/// The outcome of a look.
#[derive(Clone)]
struct Looked {
    number: u64,
    at: Instant,
    found: Result<View, ClientError>,
}

impl Follower {
    pub(crate) fn new(nodes: Vec<Arc<Node>>, access: &Access, chain: Option<ChainId>) -> Self {
        Self {
            nodes,
            agree: access.agree,
            head_age: access.head_age,
            chain,
            turn: tokio::sync::Mutex::default(),
            begun: Mutex::default(),
            latest: watch::Sender::new(None),
            pace: Mutex::default(),
        }
    }

    /// The newest block as of now: a look that begins after the call, shared with whoever else asks meanwhile.
    pub(crate) async fn view(&self) -> Result<View, ClientError> {
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        self.looked(|latest| latest.number > begun).await
    }

    /// The newest block, once it is another than `known`.
    pub(crate) async fn next(&self, known: Option<&Head>) -> Result<Head, ClientError> {
        let mut latest = self.latest.subscribe();
        loop {
            let poll = self.pace.lock().unwrap_or_else(PoisonError::into_inner).poll();
            let head = self.looked(|latest| latest.at.elapsed() < poll).await?.head.head();
            if known != Some(&head) {
                return Ok(head);
            }
            latest.mark_unchanged();
            // Somebody else's look ends the wait too.
            let _ = tokio::time::timeout(poll, latest.changed()).await;
        }
    }

    /// The latest look if it is good enough, or one of our own.
    async fn looked(&self, enough: impl Fn(&Looked) -> bool) -> Result<View, ClientError> {
        let _turn = self.turn.lock().await;
        if let Some(latest) = self.latest.borrow().as_ref()
            && enough(latest)
        {
            return latest.found.clone();
        }
        let number = {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            *begun += 1;
            *begun
        };
        let found = self.look().await;
        if let Ok(view) = &found {
            self.pace.lock().unwrap_or_else(PoisonError::into_inner).saw(view.block(), Instant::now());
        }
        self.latest.send_replace(Some(Looked { number, at: Instant::now(), found: found.clone() }));
        found
    }

    /// Every node of the chain is asked.
    pub(crate) async fn verify(&self) -> Result<(), ClientError> {
        self.nodes.iter().for_each(|node| node.doubt());
        let seen = join_all(self.nodes.iter().map(|node| self.see(node))).await;
        self.settle(seen).await.map(drop)
    }

    /// As many nodes as must agree, and the others only where those don't suffice.
    async fn look(&self) -> Result<View, ClientError> {
        let (resting, ready): (Vec<_>, Vec<_>) = self.nodes.iter().partition(|node| node.rests());
        let order: Vec<&Arc<Node>> = ready.into_iter().chain(resting).collect();
        let (first, others) = order.split_at(self.agree.min(order.len()));
        let mut seen = join_all(first.iter().map(|node| self.see(node))).await;
        if let Ok(view) = self.settle(seen.clone()).await {
            return Ok(view);
        }
        seen.extend(join_all(others.iter().map(|node| self.see(node))).await);
        self.settle(seen).await
    }

    /// The newest block that enough of these nodes share.
    async fn settle(&self, seen: Vec<Result<(Arc<Node>, Header), ClientError>>) -> Result<View, ClientError> {
        let (mut heads, mut why) = (Vec::new(), None);
        for seen in seen {
            match seen {
                Ok(head) => heads.push(head),
                Err(error) => why = Some(error),
            }
        }
        if heads.len() < self.agree {
            let why = why.unwrap_or(ClientError::Url);
            let (answering, nodes, needed) = (heads.len(), self.nodes.len(), self.agree);
            return Err(match nodes {
                1 => why,
                _ => ClientError::TooFew { answering, nodes, needed, why: why.to_string() },
            });
        }
        heads.sort_by_key(|(_, head)| std::cmp::Reverse(head.number()));
        let newest = heads[self.agree - 1].1.number();
        for block in (newest.saturating_sub(COMMON - 1)..=newest).rev() {
            let at = heads.iter().filter(|(_, head)| head.number() >= block);
            let at = join_all(at.map(|(node, head)| async move {
                let header = match head.number() == block {
                    true => Ok(*head),
                    false => node.header(json!(tag(block))).await,
                };
                Some((node.clone(), header.ok()?))
            }));
            let at: Vec<(Arc<Node>, Header)> = at.await.into_iter().flatten().collect();
            if let Some(view) = shared(at, self.agree) {
                return Ok(view);
            }
        }
        let nodes: Vec<Arc<Node>> = heads.into_iter().map(|(node, _)| node).collect();
        Err(disagree("the blocks of the chain", newest, &nodes))
    }

    /// One node's newest block, if it may be believed.
    async fn see(&self, node: &Arc<Node>) -> Result<(Arc<Node>, Header), ClientError> {
        let seen = tokio::time::timeout(LOOK, self.head_of(node)).await.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", LOOK.as_secs());
            Err(ClientError::Away { method: "eth_getBlockByNumber", node: node.name.clone(), reason })
        });
        match seen {
            Ok(head) => {
                node.answered();
                Ok((node.clone(), head))
            }
            Err(error) => {
                node.failed(&error);
                Err(error)
            }
        }
    }

    async fn head_of(&self, node: &Arc<Node>) -> Result<Header, ClientError> {
        if let Some(chain) = &self.chain {
            node.verify(chain).await?;
        }
        let mut head = node.header(json!("latest")).await?;
        if let Some(chain) = &self.chain
            && continues(&node.known(), &head) == Continues::Not
        {
            // Reorganised, or another chain altogether.
            node.doubt();
            node.verify(chain).await?;
            head = node.header(json!("latest")).await?;
        }
        let first = self.nodes.iter().find_map(|other| Some((other.genesis()?, &other.name)));
        if let (Some((expected, _)), Some(found)) = (first, node.genesis())
            && expected != found
        {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(ClientError::OtherGenesis { node: node.name.clone(), expected, found });
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let behind = judge(&mut node.known(), head, self.head_age, now, Instant::now());
        behind.map_err(|why| node.unable("eth_getBlockByNumber", Inability::Behind(why)))?;
        Ok(head)
    }
}

/// Enough nodes with the same block, if there are.
fn shared(at: Vec<(Arc<Node>, Header)>, agree: usize) -> Option<View> {
    let mut by_hash: BTreeMap<B256, (Header, Vec<Arc<Node>>)> = BTreeMap::new();
    for (node, header) in at {
        by_hash.entry(header.hash).or_insert_with(|| (header, Vec::new())).1.push(node);
    }
    let (head, nodes) = by_hash.into_values().find(|(_, nodes)| nodes.len() >= agree)?;
    Some(View { head, nodes: nodes.into_iter().take(agree).collect(), finalized: Arc::default() })
}

/// How a newest block follows the last one.
#[derive(Debug, PartialEq, Eq)]
enum Continues {
    /// As far as can be seen.
    Maybe,
    /// It is another branch.
    Not,
}

fn continues(known: &Known, head: &Header) -> Continues {
    let Some(before) = known.head else { return Continues::Maybe };
    let same_height = before.number() == head.number() && before.hash != head.hash;
    let next = before.number() + 1 == head.number() && before.hash != head.parent_hash;
    let shorter = before.number() > head.number();
    if same_height || next || shorter { Continues::Not } else { Continues::Maybe }
}

/// Whether a node is behind, by its newest block.
fn judge(
    known: &mut Known,
    head: Header,
    head_age: Option<Duration>,
    now: Duration,
    at: Instant,
) -> Result<(), String> {
    if let Some(before) = known.head
        && before.number() > head.number()
    {
        let since = *known.went_back.get_or_insert(at);
        if at.duration_since(since) < WENT_BACK {
            let blocks = before.number() - head.number();
            return Err(format!("its newest block is {}, {blocks} before the one it had", head.number()));
        }
    }
    (known.head, known.went_back) = (Some(head), None);
    let age = now.saturating_sub(Duration::from_secs(head.time()));
    match head_age {
        Some(most) if age > most => Err(format!("its newest block, {}, is {} s old", head.number(), age.as_secs())),
        _ => Ok(()),
    }
}

/// How often there is a block.
#[derive(Debug, Default)]
struct Pace {
    last: Option<(u64, Instant)>,
    between: Option<Duration>,
}

impl Pace {
    fn saw(&mut self, block: u64, at: Instant) {
        match self.last {
            Some((last, _)) if last == block => return,
            Some((last, then)) if last < block => {
                let blocks = u32::try_from(block - last).unwrap_or(u32::MAX);
                let between = at.duration_since(then) / blocks;
                self.between = Some(self.between.map_or(between, |mean| (mean * 3 + between) / 4));
            }
            _ => {}
        }
        self.last = Some((block, at));
    }

    fn poll(&self) -> Duration {
        let poll = self.between.map_or(FIRST_POLL, |between| between / POLLS_A_BLOCK);
        poll.clamp(SHORTEST_POLL, LONGEST_POLL)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn header(number: u64, time: u64, hash: u8, parent: u8) -> Header {
        let block: Value = json!({
            "number": tag(number), "timestamp": tag(time),
            "hash": B256::repeat_byte(hash), "parentHash": B256::repeat_byte(parent),
        });
        serde_json::from_value(block).unwrap()
    }

    #[test]
    fn a_node_is_behind_when_its_newest_block_is_old_or_goes_back() {
        let (mut known, at) = (Known::default(), Instant::now());
        let now = Duration::from_secs(1_000);
        let most = Some(Duration::from_secs(60));
        let mut judge = |number, time, at| judge(&mut known, header(number, time, 1, 0), most, now, at);
        assert_eq!(judge(9, 950, at), Ok(()));
        assert_eq!(judge(10, 900, at).unwrap_err(), "its newest block, 10, is 100 s old");
        assert_eq!(judge(8, 1_000, at).unwrap_err(), "its newest block is 8, 2 before the one it had");
        assert_eq!(judge(8, 1_000, at + WENT_BACK), Ok(()), "the chain has become shorter");
        assert_eq!(judge(9, 2_000, at), Ok(()), "clocks differ");
    }

    #[test]
    fn another_branch_is_noticed_by_its_hash() {
        let mut known = Known::default();
        known.head = Some(header(5, 0, 5, 4));
        for (head, expected) in [
            (header(5, 0, 5, 4), Continues::Maybe),
            (header(6, 0, 6, 5), Continues::Maybe),
            (header(9, 0, 9, 8), Continues::Maybe),
            (header(6, 0, 6, 7), Continues::Not),
            (header(5, 0, 6, 4), Continues::Not),
            (header(4, 0, 4, 3), Continues::Not),
        ] {
            assert_eq!(continues(&known, &head), expected, "{head:?}");
        }
    }

    #[test]
    fn a_node_is_asked_some_times_a_block() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.poll(), FIRST_POLL);
        for block in 0..50 {
            pace.saw(block, start + Duration::from_secs(12 * block));
        }
        assert_eq!(pace.poll(), Duration::from_millis(1_500));
        for block in 50..100 {
            pace.saw(block, start + Duration::from_secs(588) + Duration::from_millis(block));
        }
        assert_eq!(pace.poll(), SHORTEST_POLL);
    }
}
