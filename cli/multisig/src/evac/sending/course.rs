//! How far one wallet has come, from what the chain says. Pure.

use std::collections::BTreeMap;

use chain::{Amount, Claim, Created, Fate, WalletState};

use super::{
    ladder::{Holding, Ladder, Rung, is_used, sequence},
    outcome::{Outcome, Status},
    reason::{Reason, Why},
};

/// So often a rung is sent that then does not take place.
pub(in crate::evac) const ATTEMPTS: u32 = 5;
/// Executions of one wallet in one transaction.
const MOST_AT_ONCE: usize = 16;

/// How a rung ended: its claims are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::evac) enum Ended {
    /// It took place, in this transaction and block, and so much was moved.
    Done { tx: String, block: u64, moved: Amount },
    /// Another transaction used its claims.
    Superseded,
    /// The node does not tell by what they were used.
    Untold,
}

/// Why what was sent may not have taken place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::evac) struct Miss {
    pub(in crate::evac) why: String,
    /// Whether it may be for the company in which it was sent.
    pub(in crate::evac) crowded: bool,
}

impl Miss {
    pub(in crate::evac) fn new(why: impl Into<String>, crowded: bool) -> Self {
        Self { why: why.into(), crowded }
    }
}

/// One wallet on its way.
pub(in crate::evac) struct Course {
    pub(in crate::evac) ladder: Ladder,
    /// By the rung's place in the ladder; and whether it had ended before this run.
    ended: BTreeMap<usize, (Ended, bool)>,
    /// Rungs that are not played again in this run, and why.
    stopped: BTreeMap<usize, Why>,
    /// What the wallet's next transaction may use up.
    next: Vec<Claim>,
    created: Created,
    /// Whether the chain was asked at all.
    begun: bool,
    /// Places of what is sent and not yet seen to have ended.
    sent: Vec<usize>,
    /// Of a wallet that is only to be created: that is sent, and why it is not sent again in this run.
    creating: bool,
    not_created: Option<Why>,
    /// How often what was sent did not take place.
    futile: u32,
    crowded: bool,
    over: bool,
}

impl Course {
    pub(in crate::evac) fn new(ladder: Ladder) -> Self {
        Self {
            ladder,
            ended: BTreeMap::new(),
            stopped: BTreeMap::new(),
            next: Vec::new(),
            created: Created::No,
            begun: false,
            sent: Vec::new(),
            creating: false,
            not_created: None,
            futile: 0,
            crowded: false,
            over: false,
        }
    }

    /// The wallet as it is now: the rungs of which it has to be asked what became of them.
    pub(in crate::evac) fn saw(&mut self, state: WalletState) -> Vec<usize> {
        (self.next, self.created) = (state.next, state.created);
        let used = |rung: &Rung| rung.claims.iter().any(|claim| is_used(claim, &self.next));
        let rungs = self.ladder.rungs.iter().enumerate();
        let told = |place: &usize| matches!(self.ended.get(place), Some((Ended::Done { .. } | Ended::Superseded, _)));
        rungs.filter(|(place, rung)| used(rung) && !told(place)).map(|(place, _)| place).collect()
    }

    /// What became of a rung, and how much the asset says was moved.
    pub(in crate::evac) fn told(&mut self, place: usize, fate: Fate, moved: Amount) {
        let ended = match fate {
            // The chain has gone back.
            Fate::Open | Fate::Early(_) => return,
            Fate::Done { tx, success, place } => {
                Ended::Done { tx, block: place.block, moved: if success { moved } else { Amount::ZERO } }
            }
            Fate::Superseded { .. } => Ended::Superseded,
            Fate::Untold => Ended::Untold,
        };
        let before = self.ended.get(&place).map_or(!self.begun, |(_, before)| *before);
        self.ended.insert(place, (ended, before));
        self.sent.retain(|sent| *sent != place);
    }

    /// All that was asked is told.
    pub(in crate::evac) fn looked(&mut self) {
        self.begun = true;
    }

    /// Whether what was sent is not seen yet, or not what became of it.
    pub(in crate::evac) fn is_unsettled(&self) -> bool {
        let untold = self.ended.values().any(|(ended, before)| *ended == Ended::Untold && !before);
        !self.sent.is_empty() || untold || (self.creating && self.wants_creation())
    }

    /// What was sent did not take place, if anything was.
    pub(in crate::evac) fn missed(&mut self, Miss { why, crowded }: &Miss) {
        let creating = std::mem::take(&mut self.creating) && self.wants_creation();
        let first = std::mem::take(&mut self.sent).into_iter().next();
        if first.is_none() && !creating {
            return;
        }
        self.futile += 1;
        self.crowded |= crowded;
        if self.futile >= ATTEMPTS {
            let message = format!("it was sent {ATTEMPTS} times and did not take place: {why}");
            self.stop_at(first, Why::new(Reason::NotMined, message));
        }
    }

    /// With how many wallets it may be sent, itself included: fewer, the oftener what was sent did not take place. The first
    /// time is its own affair: somebody was faster. Then it may be others that keep it from taking place, or it them: a token
    /// that takes all gas in a block, and none in a trial.
    pub(in crate::evac) fn company(&self) -> usize {
        match (self.crowded, self.futile) {
            (false, _) | (true, 0 | 1) => usize::MAX,
            (true, 2) => 16,
            (true, 3) => 4,
            (true, _) => 1,
        }
    }

    /// Whether anything of it is to be sent.
    pub(in crate::evac) fn is_open(&self) -> bool {
        let creation = self.is_alone() && !self.over && self.not_created.is_none() && self.wants_creation();
        creation || !self.plays().is_empty()
    }

    /// Whether the wallet is only to be created.
    fn is_alone(&self) -> bool {
        self.ladder.rungs.is_empty() && self.ladder.unsigned.is_none()
    }

    /// Whether it exists, and if not why it was not created.
    pub(in crate::evac) fn existence(&self) -> Result<(), String> {
        match (&self.created, &self.not_created) {
            (Created::Ours, _) => Ok(()),
            (Created::Foreign(why), _) => Err(why.clone()),
            (Created::No, why) => Err(why.as_ref().map_or_else(String::new, |why| why.message.clone())),
        }
    }

    /// What is to be played now, in this order.
    pub(in crate::evac) fn plays(&self) -> Vec<usize> {
        if self.over {
            return Vec::new();
        }
        let closed = |line: usize| {
            self.ended.iter().any(|(place, (ended, _))| {
                matches!(ended, Ended::Done { .. }) && self.ladder.rungs[*place].line == line
            })
        };
        let open = |place: usize| {
            let rung = &self.ladder.rungs[place];
            !self.ended.contains_key(&place) && !self.stopped.contains_key(&place) && !closed(rung.line)
        };
        let refused = |place: &&usize| !self.ended.contains_key(place);
        // The same of the same asset, at another nonce; less of it need not be refused.
        let in_doubt = |place: usize| {
            let Rung { line, effect, .. } = &self.ladder.rungs[place];
            let same = |rung: &Rung| rung.line == *line && rung.effect == *effect;
            self.stopped.keys().filter(refused).any(|place| same(&self.ladder.rungs[*place]))
        };
        let mut plays = sequence(&self.ladder.rungs, &self.next, open, in_doubt);
        plays.truncate(MOST_AT_ONCE);
        plays
    }

    /// Whether the wallet has to be created first.
    pub(in crate::evac) fn wants_creation(&self) -> bool {
        self.created == Created::No
    }

    /// These are sent.
    pub(in crate::evac) fn sends(&mut self, places: &[usize]) {
        (self.sent, self.creating) = (places.to_vec(), self.is_alone());
    }

    /// They were not sent after all.
    pub(in crate::evac) fn recalled(&mut self) {
        (self.sent, self.creating) = (Vec::new(), false);
    }

    /// The chain refuses what is to be sent first.
    pub(in crate::evac) fn refused_first(&mut self, reason: &str) {
        match self.plays().first() {
            Some(first) => self.refused(*first, reason),
            None => self.not_created = Some(Why::new(Reason::WouldRevert, reason)),
        }
    }

    /// What is to be sent first is not sent in this run.
    pub(in crate::evac) fn stop_first(&mut self, why: Why) {
        self.stop_at(self.plays().first().copied(), why);
    }

    /// A rung, or without one the creation.
    fn stop_at(&mut self, place: Option<usize>, why: Why) {
        match place {
            Some(place) => self.stop(place, why),
            None => self.not_created = Some(why),
        }
    }

    /// The chain refuses a rung.
    pub(in crate::evac) fn refused(&mut self, place: usize, reason: &str) {
        let foreign = match &self.created {
            Created::Foreign(why) => format!("; {why}"),
            Created::No | Created::Ours => String::new(),
        };
        let message = format!("it would revert ({reason}){foreign}; if the balance has changed, make a new plan");
        self.stop(place, Why::new(Reason::WouldRevert, message));
    }

    /// A rung is not played in this run.
    pub(in crate::evac) fn stop(&mut self, place: usize, why: Why) {
        self.stopped.insert(place, why);
    }

    /// Nothing more of this wallet is played in this run.
    pub(in crate::evac) fn end(&mut self, why: &Why) {
        let first = self.sent.first().copied().or_else(|| self.plays().first().copied());
        let first = first.or_else(|| (0..self.ladder.rungs.len()).find(|place| !self.ended.contains_key(place)));
        self.stop_at(first, why.clone());
        self.recalled();
        self.over = true;
    }

    /// What became of each line, when nothing more is played.
    pub(in crate::evac) fn outcomes(&self) -> BTreeMap<usize, Outcome> {
        if let Some(owner) = self.ladder.unsigned {
            let why = Why::new(
                Reason::Unsigned,
                format!(
                    "the wallet has no signature of {owner}: its key needs the client's key, or Keeper does not have it; a plan \
                 of cool and cold moves it"
                ),
            );
            let told = |holding: &Holding| (holding.line, Outcome::not_moved(Status::Failed, why.clone()));
            return self.ladder.holdings.iter().map(told).collect();
        }
        self.ladder.rungs.iter().map(|rung| (rung.line, self.outcome(rung.line))).collect()
    }

    fn outcome(&self, line: usize) -> Outcome {
        let places = || (0..self.ladder.rungs.len()).filter(|place| self.ladder.rungs[*place].line == line);
        let ended = |place: &usize| self.ended.get(place);
        let done = places().find_map(|place| match ended(&place)? {
            (Ended::Done { tx, block, moved }, before) => Some((tx.clone(), *block, *moved, *before, place)),
            _ => None,
        });
        if let Some((tx, block, moved, before, place)) = done {
            return self.carried_out(place, tx, block, moved, before);
        }
        let mut left = places().filter(|place| ended(place).is_none()).peekable();
        if left.peek().is_some() {
            return match (left.find_map(|place| self.stopped.get(&place)), self.next.first()) {
                (Some(why), _) => Outcome::not_moved(Status::Failed, why.clone()),
                (None, Some(claim)) => {
                    let message = format!("{claim} of this wallet must be used first");
                    Outcome::not_moved(Status::Waiting, Why::new(Reason::Waiting, message))
                }
                (None, None) => {
                    Outcome::not_moved(Status::Failed, Why::new(Reason::Unread, "the wallet could not be read"))
                }
            };
        }
        if places().any(|place| matches!(ended(&place), Some((Ended::Untold, _)))) {
            let message =
                "its nonce is used, and the node does not tell by what: run it again, or look at the wallet's history";
            return Outcome::not_moved(Status::Failed, Why::new(Reason::Unread, message));
        }
        let message = "its nonce was used by another transaction; make a new plan for what the wallet still holds";
        Outcome::not_moved(Status::Superseded, Why::new(Reason::Superseded, message))
    }

    /// A rung took place; success is what it moved.
    fn carried_out(&self, place: usize, tx: String, block: u64, moved: Amount, before: bool) -> Outcome {
        let played = &self.ladder.rungs[place];
        let wanted = played.amount();
        let larger = self.ladder.rungs.iter().any(|rung| rung.line == played.line && rung.amount() > wanted);
        let status = if before { Status::AlreadyExecuted } else { Status::Executed };
        let less = |message| Some(Why::new(Reason::MovedLess, message));
        let (status, why) = match moved {
            nothing if nothing.is_zero() && !wanted.is_zero() => {
                (Status::Failed, Some(Why::new(Reason::MovedNothing, "it used its nonce but moved nothing")))
            }
            part if part < wanted => (status, less(format!("the asset moved only {part}"))),
            // Of one asset the largest amount is tried first.
            all if larger => (status, less(format!("it moved {all}; more would have reverted"))),
            _ => (status, None),
        };
        Outcome { status, tx: Some(tx), moved: Some((block, moved)), why }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chain::{Asset, Call, ChainRules, Effect, Held, Owners, Place, WalletDesc};
    use chain_evm::EvmSafe;

    use super::*;

    type Safe = (Arc<dyn ChainRules>, WalletDesc);

    fn safe() -> Safe {
        let rules = EvmSafe::new("eip155:1".parse().unwrap()).unwrap();
        let key = |byte| rules.public_key(&[byte; 32]).unwrap();
        let wallet = rules.wallet(&Owners { hot: key(1), cool: key(2), cold: key(3) }, [0; 32]).unwrap();
        (Arc::new(rules), wallet)
    }

    fn message(course: &Course, line: usize) -> Option<String> {
        course.outcomes()[&line].why.as_ref().map(|why| why.message.clone())
    }

    /// Rungs by line and nonce, each of 9 units.
    fn course(safe: &Safe, of: &[(usize, u64)]) -> Course {
        let of: Vec<_> = of.iter().map(|(line, nonce)| (*line, *nonce, 9)).collect();
        course_of(safe, &of)
    }

    /// Rungs by line, nonce and amount.
    fn course_of((rules, wallet): &Safe, of: &[(usize, u64, u128)]) -> Course {
        let rung = |(line, nonce, amount): &(usize, u64, u128)| Rung {
            line: *line,
            claims: vec![Claim::Sequence(*nonce)],
            effect: Effect::Transfer { asset: "ETH".to_owned(), to: "0xb".to_owned(), amount: Amount::from(*amount) },
            asset: Asset { symbol: "ETH".to_owned(), contract: None },
            call: Call { to: String::new(), data: Vec::new() },
            id: [0; 32],
        };
        let (rules, wallet, rungs) = (rules.clone(), wallet.clone(), of.iter().map(rung).collect());
        Course::new(Ladder { rules, wallet, creation: None, rungs, holdings: Vec::new(), unsigned: None })
    }

    fn at(nonce: u64) -> WalletState {
        let balances: Vec<Held> = Vec::new();
        WalletState { block: 1, created: Created::Ours, next: vec![Claim::Sequence(nonce)], balances }
    }

    fn done() -> Fate {
        Fate::Done { tx: "0x1".to_owned(), success: true, place: PLACE }
    }

    const PLACE: Place = Place { block: 1, depth: 0, settled: true };

    fn statuses(course: &Course) -> Vec<Status> {
        course.outcomes().into_values().map(|outcome| outcome.status).collect()
    }

    #[test]
    fn what_moved_counts_and_not_that_it_was_carried_out() {
        let safe = safe();
        let mut course = course(&safe, &[(0, 0), (1, 1), (2, 2), (3, 3)]);
        assert_eq!(course.saw(at(2)), [0, 1]);
        course.told(0, done(), Amount::from(9));
        course.told(1, done(), Amount::ZERO);
        course.looked();
        assert_eq!(course.plays(), [2, 3]);
        course.sends(&[2, 3]);
        assert_eq!(course.saw(at(4)), [2, 3], "what has ended is not asked again");
        course.told(2, done(), Amount::from(4));
        assert!(course.is_unsettled());
        course.told(3, Fate::Superseded { place: PLACE }, Amount::ZERO);
        assert!(!course.is_unsettled() && course.plays().is_empty());
        let expected = [Status::AlreadyExecuted, Status::Failed, Status::Executed, Status::Superseded];
        assert_eq!(statuses(&course), expected);
        assert_eq!(message(&course, 2).as_deref(), Some("the asset moved only 4"));
        let reasons = course.outcomes().into_values().map(|outcome| outcome.why.map(|why| why.reason));
        let expected = [None, Some(Reason::MovedNothing), Some(Reason::MovedLess), Some(Reason::Superseded)];
        assert_eq!(reasons.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_front_runner_shifts_a_ladder_and_a_reverting_asset_is_skipped() {
        let safe = safe();
        let every: Vec<(usize, u64)> = (4..7).flat_map(|nonce| [(0, nonce), (1, nonce)]).collect();
        let mut course = course(&safe, &every);
        course.saw(at(4));
        course.looked();
        course.refused(course.plays()[0], "paused");
        assert_eq!(course.plays(), [1, 2], "the other asset first");
        course.sends(&[1]);
        // The thief was faster.
        assert_eq!(course.saw(at(5)), [0, 1]);
        course.told(0, Fate::Superseded { place: PLACE }, Amount::ZERO);
        course.told(1, Fate::Superseded { place: PLACE }, Amount::ZERO);
        course.looked();
        assert_eq!(course.plays(), [2, 5]);
        course.saw(at(7));
        course.told(2, done(), Amount::from(9));
        course.told(5, done(), Amount::from(9));
        assert_eq!(statuses(&course), [Status::Executed; 2]);
    }

    #[test]
    fn of_one_asset_the_largest_amount_that_does_not_revert_is_played() {
        let safe = safe();
        // Two assets; of the first there are 9, and a payment of 2 was signed at nonce 4.
        let at_each = |nonce| [(0, nonce, 9), (0, nonce, 7), (1, nonce, 5)];
        let rungs = [vec![(0, 4, 9), (1, 4, 5)], [5, 6].into_iter().flat_map(at_each).collect()].concat();
        let mut course = course_of(&safe, &rungs);
        assert_eq!(course.saw(at(5)), [0, 1], "the payment was sent in front");
        course.told(0, Fate::Superseded { place: PLACE }, Amount::ZERO);
        course.told(1, Fate::Superseded { place: PLACE }, Amount::ZERO);
        course.looked();
        assert_eq!(course.plays(), [2, 7]);
        course.refused(2, "GS013");
        assert_eq!(course.plays(), [3, 7], "the rest at the same nonce, and nothing else waits for it");
        let mut paused = course_of(&safe, &rungs);
        paused.saw(at(5));
        for place in [2, 3] {
            assert_eq!(paused.plays()[0], place);
            paused.refused(place, "paused");
        }
        assert_eq!(paused.plays(), [4, 5], "whatever the amount, it reverts: the other asset first");
        course.sends(&[3, 7]);
        course.saw(at(7));
        course.told(3, done(), Amount::from(7));
        course.told(7, done(), Amount::from(5));
        assert!(course.plays().is_empty(), "each asset moves once");
        assert_eq!(statuses(&course), [Status::Executed; 2]);
        let messages: Vec<_> = [0, 1].map(|line| message(&course, line)).into();
        assert_eq!(messages, [Some("it moved 7; more would have reverted".to_owned()), None]);
    }

    #[test]
    fn what_never_takes_place_is_sent_in_ever_smaller_company_and_then_given_up() {
        let safe = safe();
        let mut course = course(&safe, &[(0, 0), (1, 1)]);
        course.saw(at(0));
        course.looked();
        for attempt in 0..ATTEMPTS {
            let company = [usize::MAX, usize::MAX, 16, 4, 1][attempt as usize];
            assert_eq!((course.plays(), course.company()), (vec![0, 1], company));
            course.sends(&course.plays());
            course.missed(&Miss::new("no effect", attempt > 0));
        }
        assert!(course.plays().is_empty());
        assert_eq!(statuses(&course), [Status::Failed, Status::Waiting]);
        assert!(message(&course, 0).unwrap().contains("5 times and did not take place: no effect"));
    }

    #[test]
    fn a_wallet_that_is_only_to_be_created_is_open_until_it_exists_or_is_refused() {
        let safe = safe();
        let there = at(0);
        let absent = || WalletState { created: Created::No, ..at(0) };
        let new = || {
            let mut course = course(&safe, &[]);
            course.saw(absent());
            course.looked();
            assert!(course.is_open() && course.plays().is_empty());
            course
        };
        let mut created = new();
        created.sends(&[]);
        assert!(created.is_unsettled());
        created.saw(there);
        created.missed(&Miss::new("", true));
        assert!(!created.is_unsettled() && !created.is_open());
        assert_eq!(created.existence(), Ok(()));
        let mut refused = new();
        refused.refused_first("no");
        assert_eq!((refused.is_open(), refused.existence()), (false, Err("no".to_owned())));
        let mut lost = new();
        for _ in 0..ATTEMPTS {
            assert!(lost.is_open());
            lost.sends(&[]);
            lost.saw(absent());
            lost.missed(&Miss::new("not mined", true));
        }
        assert!(!lost.is_open() && lost.existence().is_err_and(|why| why.contains("5 times")));
        let mut ended = new();
        ended.end(&Why::new(Reason::NoFloat, "no float"));
        assert_eq!((ended.is_open(), ended.existence()), (false, Err("no float".to_owned())));
    }

    #[test]
    fn nothing_is_concluded_from_a_node_that_does_not_tell_or_of_a_wallet_that_could_not_be_read() {
        let safe = safe();
        let mut untold = course(&safe, &[(0, 0), (1, 1)]);
        untold.saw(at(1));
        untold.told(0, Fate::Untold, Amount::ZERO);
        untold.looked();
        assert!(!untold.is_unsettled(), "it was used before this run");
        assert_eq!(untold.saw(at(1)), [0], "it may tell later");
        untold.refused(1, "GS013");
        assert_eq!(statuses(&untold), [Status::Failed; 2]);
        let mut unread = course(&safe, &[(0, 0)]);
        unread.end(&Why::new(Reason::Unread, "the node is away"));
        assert_eq!(message(&unread, 0).as_deref(), Some("the node is away"));
    }

    #[test]
    fn whoever_runs_in_front_at_every_rung_leaves_the_rest_to_a_new_plan() {
        let safe = safe();
        let every: Vec<(usize, u64)> = (4..7).flat_map(|nonce| [(0, nonce), (1, nonce)]).collect();
        let mut course = course(&safe, &every);
        for live in 4..7 {
            course.saw(at(live));
            course.looked();
            assert!(!course.plays().is_empty(), "a rung is left at {live}");
            course.sends(&course.plays());
            let asked = course.saw(at(live + 1));
            asked.into_iter().for_each(|place| course.told(place, Fate::Superseded { place: PLACE }, Amount::ZERO));
            course.looked();
            course.missed(&Miss::new("the thief was faster", true));
        }
        assert!(course.plays().is_empty());
        assert_eq!(statuses(&course), [Status::Superseded; 2]);
        assert!(message(&course, 0).unwrap().contains("make a new plan"));
    }
}
