//! The receiving side of fan-out: the marks "applied through L from bay B", one a source for all own bays, the spans that
//! wait until their recipients are loaded, and the hops that wait until what is missing before them was read. Repeats, drops, crashes
//! and boot are one rule: what is not the next span is known already, or waits for a read of the source's log.
//!
//! A span counts its missing recipients once, when it is queued; who is loaded is subtracted from the spans that wait for
//! it, and from no other.

use std::collections::VecDeque;

use protocol::hop::Origin;
use protocol::query::{BayState, Delivery};
use protocol::{BayId, UserId};

use crate::idmap::{IdMap, Seeded};
use crate::ledger::Weight;
use crate::limits::DELIVERIES_WAITING_MAX;

/// One span of a source's log with its messages for this shard.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) source: BayId,
    pub(crate) through: u64,
    pub(crate) deliveries: Vec<Delivery>,
    /// Who sent which of the deliveries; rising.
    pub(crate) origins: Vec<(usize, Origin)>,
    /// Of them, the deliveries whose sender has its ack already; rising.
    pub(crate) acked: Vec<usize>,
    /// Its frames, for as long as it waits.
    pub(crate) _weight: Option<Weight>,
}

/// A span that waits for recipients, or behind one that does.
#[derive(Debug)]
struct WaitingSpan {
    inbound: Inbound,
    /// Recipients that are not in memory, each as often as it receives.
    missing: usize,
}

#[derive(Debug)]
struct Mark {
    /// Queued or applied through here, without a gap.
    queued: u64,
    /// In the inboxes through here.
    applied: u64,
    /// Rows on their way to the disk through here, or stored.
    written: u64,
    /// Rows stored through here.
    stored: u64,
    /// The source knows that we stored through here.
    told: u64,
    /// The source's log reaches at least here.
    seen: u64,
    /// A read of the source's log is on the way.
    replaying: bool,
    /// Hops behind a gap, with the number that each follows; rising.
    kept: VecDeque<(u64, Inbound)>,
}

#[derive(Debug)]
pub(crate) struct Applied {
    marks: Vec<Mark>,
    /// What each own bay had applied at boot, by source. They may differ: bays were at home on other shards then.
    found: Vec<(BayId, Vec<u64>)>,
    /// Hops that all marks keep.
    kept: usize,
    waiting: VecDeque<WaitingSpan>,
    /// The number of the first waiting span; they are numbered in order.
    first: u64,
    /// Users who are being loaded: the number of the span for each delivery that waits for them.
    awaited: IdMap<UserId, Vec<u64>>,
    /// Sessions whose acks come with waiting spans: how many.
    owed: IdMap<u64, usize>,
}

impl Applied {
    /// `heads` are the logs' heads at boot, by bay; all of them are read before the shard is ready, each from the own bay on
    /// that has applied least of it.
    pub(crate) fn new(own: &[BayState], heads: &[u64], seed: Seeded) -> Self {
        let found: Vec<_> = own.iter().map(|state| (state.bay, state.applied.clone())).collect();
        let mark = |source: usize, seen: &u64| {
            let of_bay = |(_, marks): &(BayId, Vec<u64>)| marks.get(source).copied().unwrap_or_default();
            let through = found.iter().map(of_bay).min().unwrap_or_default();
            Mark {
                queued: through,
                applied: through,
                written: through,
                stored: through,
                told: 0,
                seen: *seen,
                replaying: false,
                kept: VecDeque::new(),
            }
        };
        Self {
            marks: heads.iter().enumerate().map(|(source, head)| mark(source, head)).collect(),
            found,
            kept: 0,
            waiting: VecDeque::new(),
            first: 0,
            awaited: IdMap::with_hasher(seed),
            owed: IdMap::with_hasher(seed),
        }
    }

    /// A hop came. Given back if it is next, to be applied or queued; forgotten if it is known; kept if something is missing
    /// before it, which will be read. What there is no room for will be read too.
    pub(crate) fn offer(&mut self, after: u64, inbound: Inbound) -> Option<Inbound> {
        let is_full = self.waiting.len() + self.kept >= DELIVERIES_WAITING_MAX;
        let mark = self.marks.get_mut(usize::from(inbound.source.0))?;
        mark.seen = mark.seen.max(inbound.through);
        if is_full || inbound.through <= mark.queued {
            return None;
        }
        if after <= mark.queued {
            mark.queued = inbound.through;
            return Some(inbound);
        }
        // One without messages that follows its own end says only how far the log reaches.
        let is_last = mark.kept.back().is_none_or(|(_, last)| last.through <= after);
        if after < inbound.through && is_last {
            mark.kept.push_back((after, inbound));
            self.kept += 1;
        }
        None
    }

    /// The source and the range `after < number <= until` of its log that must be read, if one is behind: up to the first
    /// hop that is here. Marks it as being read.
    pub(crate) fn gap(&mut self) -> Option<(BayId, u64, u64)> {
        if self.waiting.len() >= DELIVERIES_WAITING_MAX {
            return None;
        }
        let behind =
            self.marks.iter_mut().enumerate().find(|(_, mark)| !mark.replaying && mark.queued < mark.seen);
        let (source, mark) = behind?;
        mark.replaying = true;
        let until = mark.kept.front().map_or(mark.seen, |(after, _)| *after);
        Some((BayId(u16::try_from(source).ok()?), mark.queued, until))
    }

    /// The log was read from the mark on. Given back if it brings something new.
    pub(crate) fn replayed(&mut self, inbound: Inbound) -> Option<Inbound> {
        let mark = self.marks.get_mut(usize::from(inbound.source.0))?;
        mark.replaying = false;
        if inbound.through <= mark.queued {
            return None;
        }
        mark.queued = inbound.through;
        Some(inbound)
    }

    /// The next of the kept hops of a source, if nothing is missing before it any more.
    pub(crate) fn next_kept(&mut self, source: BayId) -> Option<Inbound> {
        let mark = self.marks.get_mut(usize::from(source.0))?;
        while mark.kept.front().is_some_and(|(after, _)| *after <= mark.queued) {
            let (_, inbound) = mark.kept.pop_front()?;
            self.kept -= 1;
            if inbound.through > mark.queued {
                mark.queued = inbound.through;
                return Some(inbound);
            }
        }
        None
    }

    /// The log could not be read; it will be tried again.
    pub(crate) fn replay_failed(&mut self, source: BayId) {
        if let Some(mark) = self.marks.get_mut(usize::from(source.0)) {
            mark.replaying = false;
        }
    }

    /// Whether no span waits, so that the next one can be applied at once.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A span is being applied.
    pub(crate) fn passed(&mut self, source: BayId, through: u64) {
        if let Some(mark) = self.marks.get_mut(usize::from(source.0)) {
            mark.applied = through;
        }
    }

    /// A delivery of the span that is pushed next waits for this user.
    pub(crate) fn wait_for(&mut self, user: UserId) {
        let number = self.first + self.waiting.len() as u64;
        self.awaited.entry(user).or_default().push(number);
    }

    /// Queues a span for which so many recipients were waited for.
    pub(crate) fn push(&mut self, inbound: Inbound, missing: usize) {
        self.waiting.push_back(WaitingSpan { inbound, missing });
    }

    /// Whether a span waits for this user to be loaded.
    pub(crate) fn awaits(&self, user: UserId) -> bool {
        self.awaited.contains_key(&user)
    }

    /// A user is in memory. Says how many deliveries in waiting spans are for it.
    pub(crate) fn loaded(&mut self, user: UserId) -> usize {
        let Some(numbers) = self.awaited.remove(&user) else { return 0 };
        for number in &numbers {
            let place = usize::try_from(number - self.first).unwrap_or(usize::MAX);
            if let Some(span) = self.waiting.get_mut(place) {
                span.missing -= 1;
            }
        }
        numbers.len()
    }

    /// Takes the first waiting span, to apply it, if nothing is missing.
    pub(crate) fn pop(&mut self) -> Option<Inbound> {
        if self.waiting.front()?.missing > 0 {
            return None;
        }
        let inbound = self.waiting.pop_front()?.inbound;
        self.first += 1;
        self.passed(inbound.source, inbound.through);
        Some(inbound)
    }

    /// A session gets an ack when the span that is pushed next is applied: none of its acks may leave before.
    pub(crate) fn owe(&mut self, session: u64) {
        *self.owed.entry(session).or_default() += 1;
    }

    /// Whether acks of a session wait.
    pub(crate) fn owes(&self, session: u64) -> bool {
        self.owed.contains_key(&session)
    }

    /// One of them leaves.
    pub(crate) fn paid(&mut self, session: u64) {
        if let Some(acks) = self.owed.get_mut(&session) {
            *acks -= 1;
            if *acks == 0 {
                self.owed.remove(&session);
            }
        }
    }

    /// The rows through here are stored.
    pub(crate) fn stored(&mut self, source: BayId, through: u64) {
        if let Some(mark) = self.marks.get_mut(usize::from(source.0)) {
            mark.stored = mark.stored.max(through);
        }
    }

    /// Marks that their sources do not know yet.
    pub(crate) fn untold(&mut self) -> Vec<(BayId, u64)> {
        self.raised(|mark| (&mut mark.told, mark.stored))
    }

    /// Whether an own bay had applied this number of a source's log when the process began: its pointers are on the disk.
    pub(crate) fn had(&self, bay: BayId, source: BayId, number: u64) -> bool {
        number <= self.found_in(bay, source)
    }

    fn found_in(&self, bay: BayId, source: BayId) -> u64 {
        let marks = self.found.iter().find(|(own, _)| *own == bay).map(|(_, marks)| marks);
        marks.and_then(|marks| marks.get(usize::from(source.0))).copied().unwrap_or_default()
    }

    /// The marks whose rows are not on their way yet, which from now on they are.
    pub(crate) fn moved(&mut self) -> Vec<(BayId, u64)> {
        self.raised(|mark| (&mut mark.written, mark.applied))
    }

    /// Brings one side of each mark up to the other, and says which have moved.
    fn raised(&mut self, sides: impl Fn(&mut Mark) -> (&mut u64, u64)) -> Vec<(BayId, u64)> {
        let mut raised = Vec::new();
        for (source, mark) in (0u16..).zip(self.marks.iter_mut()) {
            let (low, high) = sides(mark);
            if *low < high {
                *low = high;
                raised.push((BayId(source), high));
            }
        }
        raised
    }

    /// Of these marks, those that an own bay does not have on the disk already.
    pub(crate) fn marks_of(&self, bay: BayId, moved: &[(BayId, u64)]) -> Vec<(BayId, u64)> {
        let is_new = |(source, through): &&(BayId, u64)| *through > self.found_in(bay, *source);
        moved.iter().filter(is_new).copied().collect()
    }

    /// Whether every log is applied as far as it was seen.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.marks.iter().all(|mark| mark.applied >= mark.seen)
    }
}

#[cfg(test)]
mod tests {
    use protocol::Generation;

    use super::*;

    fn inbound(source: u16, through: u64) -> Inbound {
        Inbound { source: BayId(source), through, ..Inbound::default() }
    }

    fn own(bay: u16, applied: &[u64]) -> BayState {
        let (generation, applied) = (Generation(1), applied.to_vec());
        BayState { bay: BayId(bay), generation, fanout_head: 0, fanout_tail: 0, applied }
    }

    fn applied(marks: &[u64], heads: &[u64]) -> Applied {
        Applied::new(&[own(0, marks)], heads, Seeded(7))
    }

    /// What happens to the log of source 0.
    #[derive(Clone, Copy, Debug)]
    enum Fact {
        /// A hop `after..through` comes.
        Hop(u64, u64),
        /// A read is asked for, for this range if any.
        Gap(Option<(u64, u64)>),
        /// It brings everything up to here.
        Read(u64),
        /// It fails.
        Failed,
    }

    /// Takes what follows; says the ends of the spans that were given to be applied.
    fn run(facts: &[Fact]) -> Vec<u64> {
        let mut applied = applied(&[4], &[4]);
        let mut given = Vec::new();
        for fact in facts {
            match *fact {
                Fact::Hop(after, through) => given.extend(applied.offer(after, inbound(0, through))),
                Fact::Gap(range) => {
                    let expected = range.map(|(after, until)| (BayId(0), after, until));
                    assert_eq!(applied.gap(), expected, "{facts:?}");
                }
                Fact::Read(through) => {
                    given.extend(applied.replayed(inbound(0, through)));
                    while let Some(kept) = applied.next_kept(BayId(0)) {
                        given.push(kept);
                    }
                }
                Fact::Failed => applied.replay_failed(BayId(0)),
            }
        }
        given.iter().map(|inbound| inbound.through).collect()
    }

    #[test]
    fn hops_and_reads_make_one_log() {
        use Fact::{Failed, Gap, Hop, Read};
        let table: &[(&str, &[Fact], &[u64])] = &[
            ("the next one is given", &[Hop(4, 5), Hop(5, 7), Gap(None)], &[5, 7]),
            ("a repeat is forgotten", &[Hop(4, 5), Hop(4, 5), Hop(3, 4), Gap(None)], &[5]),
            ("a hop behind a gap waits", &[Hop(6, 7)], &[]),
            ("only the gap is read", &[Hop(6, 7), Gap(Some((4, 6))), Read(6), Gap(None)], &[6, 7]),
            ("one read at a time", &[Hop(6, 7), Gap(Some((4, 6))), Gap(None)], &[]),
            (
                "what comes meanwhile is kept",
                &[Hop(6, 7), Gap(Some((4, 6))), Hop(7, 9), Hop(9, 12), Read(6), Gap(None)],
                &[6, 7, 9, 12],
            ),
            (
                "a hop that shows no messages is not kept",
                &[Hop(6, 6), Gap(Some((4, 6))), Read(6), Gap(None)],
                &[6],
            ),
            (
                "what the read brought too is dropped",
                &[Hop(5, 6), Hop(6, 7), Gap(Some((4, 5))), Read(6), Gap(None)],
                &[6, 7],
            ),
            (
                "a second gap is a second read",
                &[Hop(6, 7), Hop(9, 11), Gap(Some((4, 6))), Read(6), Gap(Some((7, 9))), Read(9), Gap(None)],
                &[6, 7, 9, 11],
            ),
            (
                "half of the gap is read on",
                &[Hop(8, 9), Gap(Some((4, 8))), Read(6), Gap(Some((6, 8))), Read(8), Gap(None)],
                &[6, 8, 9],
            ),
            (
                "a failed read is asked for again",
                &[Hop(6, 7), Gap(Some((4, 6))), Failed, Hop(7, 8), Gap(Some((4, 6))), Read(6)],
                &[6, 7, 8],
            ),
            (
                "a kept hop that comes again is one",
                &[Hop(6, 7), Hop(6, 7), Gap(Some((4, 6))), Read(6), Gap(None)],
                &[6, 7],
            ),
            (
                "what follows during a read is given at once",
                &[Hop(6, 6), Gap(Some((4, 6))), Hop(4, 7), Read(6), Gap(None)],
                &[7],
            ),
        ];
        for (what, facts, given) in table {
            assert_eq!(run(facts), *given, "{what}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_rest_is_read() {
        let mut applied = applied(&[4], &[4]);
        let most = DELIVERIES_WAITING_MAX as u64;
        for at in 10..10 + most + 5 {
            assert!(applied.offer(at, inbound(0, at + 1)).is_none());
        }
        assert_eq!(applied.kept, DELIVERIES_WAITING_MAX);
        assert_eq!(applied.gap(), Some((BayId(0), 4, 10)), "a full store still closes the gap");
        assert!(applied.replayed(inbound(0, 10)).is_some());
        let taken = core::iter::from_fn(|| applied.next_kept(BayId(0))).count();
        assert_eq!((taken, applied.kept), (DELIVERIES_WAITING_MAX, 0));
        assert_eq!(applied.gap(), Some((BayId(0), 10 + most, 15 + most)));
    }

    #[test]
    fn marks_follow_what_is_applied_and_stored() {
        let mut applied = applied(&[0, 4], &[0, 4]);
        assert!(applied.is_caught_up());
        let next = applied.offer(4, inbound(1, 6)).expect("is next");
        assert!(!applied.is_caught_up());
        applied.push(next, 0);
        assert_eq!(applied.pop().map(|inbound| inbound.through), Some(6));
        assert!(applied.is_caught_up());
        assert_eq!(applied.untold(), vec![(BayId(1), 4)]);
        applied.stored(BayId(1), 6);
        assert_eq!(applied.untold(), vec![(BayId(1), 6)]);
        assert!(applied.untold().is_empty());
    }

    /// Bays that were at home on different shards come together on one.
    #[test]
    fn the_least_of_the_own_bays_is_where_a_log_is_read_from() {
        let mut applied = Applied::new(&[own(1, &[7, 2]), own(3, &[4, 9])], &[9, 9], Seeded(7));
        assert_eq!(applied.gap(), Some((BayId(0), 4, 9)));
        assert_eq!(applied.gap(), Some((BayId(1), 2, 9)));
        assert!(applied.had(BayId(1), BayId(0), 7) && !applied.had(BayId(1), BayId(0), 8));
        assert!(!applied.had(BayId(3), BayId(0), 5) && applied.had(BayId(3), BayId(1), 9));
        applied.passed(BayId(0), 6);
        let moved = applied.moved();
        assert_eq!(moved, [(BayId(0), 6)]);
        assert!(applied.marks_of(BayId(1), &moved).is_empty(), "a mark never steps back");
        assert_eq!(applied.marks_of(BayId(3), &moved), moved);
        assert!(applied.moved().is_empty());
    }

    #[test]
    fn a_span_waits_for_its_own_recipients_and_for_those_before_it() {
        let mut applied = applied(&[], &[0]);
        applied.wait_for(UserId(1));
        applied.wait_for(UserId(2));
        applied.push(inbound(0, 1), 2);
        applied.wait_for(UserId(2));
        applied.push(inbound(0, 2), 1);
        applied.push(inbound(0, 3), 0);
        assert!(applied.pop().is_none() && applied.awaits(UserId(2)));
        assert_eq!(applied.loaded(UserId(2)), 2);
        assert!(applied.pop().is_none() && !applied.awaits(UserId(2)));
        assert_eq!(applied.loaded(UserId(9)), 0);
        assert_eq!(applied.loaded(UserId(1)), 1);
        let through: Vec<_> = core::iter::from_fn(|| applied.pop()).map(|inbound| inbound.through).collect();
        assert_eq!(through, [1, 2, 3]);
    }

    /// 12,500 cold recipients in spans of 100: each load touches the one delivery that waits for it.
    #[test]
    fn many_cold_recipients_cost_linear_work() {
        let mut applied = applied(&[], &[0]);
        let users = |span: u64| (span * 100..span * 100 + 100).map(UserId);
        for span in 0..125 {
            users(span).for_each(|user| applied.wait_for(user));
            applied.push(inbound(0, span + 1), 100);
        }
        let mut touched = 0;
        let mut popped = 0;
        for span in (0..125).rev() {
            for user in users(span) {
                touched += applied.loaded(user);
                popped += core::iter::from_fn(|| applied.pop()).count();
            }
            assert_eq!(popped, if span == 0 { 125 } else { 0 });
        }
        assert_eq!(touched, 12_500);
    }

    #[test]
    fn acks_that_wait_are_counted_by_session() {
        let mut applied = applied(&[], &[0]);
        applied.owe(7);
        applied.owe(7);
        applied.paid(7);
        assert!(applied.owes(7) && !applied.owes(8));
        applied.paid(7);
        applied.paid(8);
        assert!(!applied.owes(7));
    }
}
