//! One job in the course of a round.

use protocol::commit::{JobRow, Notify, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{ChannelId, Kind, Seq};

use crate::{RETRY_FIRST_MS, RETRY_MAX_MS, TTL_MS, Withdraw, can_withdraw};

/// What became of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Everybody has it, or nobody wants it.
    Done,
    /// Not now.
    Retry {
        /// Not before then, milliseconds since the Unix epoch.
        at_ms: u64,
        /// Who does not have it yet.
        targets: Vec<Target>,
        /// It failed, and was not only too early.
        has_failed: bool,
    },
    /// Never, as it is.
    Park,
}

/// Why a round ended as it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Whoever could be told was told.
    Told,
    /// The user had read it.
    Read,
    /// It is recalled, and there was no other.
    Recalled,
    /// The user does not want to be told, has blocked who sent it, or has no subscription.
    Unwanted,
    /// It was too old.
    Expired,
    /// Somebody is to be told later.
    Later,
    /// Every provider refused it for good.
    Parked,
}

/// What the job's home is to be told, until it says that this is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// As far as this message.
    pub seq: Seq,
    /// Of how many messages was told.
    pub count: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub why: End,
    /// When to look at it again; `None`: when it is told of again.
    pub again_ms: Option<u64>,
    /// Whose providers have taken it in this round, and can be told that it is read.
    pub taken: Vec<Target>,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing: there is no job, or it waits until it is told of again.
    Rest,
    /// Look again then, milliseconds since the Unix epoch.
    Wait(u64),
    /// Call this subscription, say what came of it, and show the facts again.
    Call(Target),
    /// Tell the home.
    End(Ended),
}

/// A round of one job. Shown facts by [`Self::next`]; after [`Step::Call`] one of `taken`, `gone`, `refused`, `failed` and
/// `early` says what came of it.
#[derive(Clone, Default, Debug)]
pub struct Carry {
    /// The job as it was when the round began.
    job: Option<JobRow>,
    /// Whom this round has looked at.
    seen: Vec<Target>,
    /// Who does not have it yet.
    left: Vec<Target>,
    /// When the first of them may be called.
    at_ms: Option<u64>,
    has_failed: bool,
    /// Somebody found no room, and is told when there is some.
    lacks_room: bool,
    taken: Vec<Target>,
    refused: u32,
}

/// What a process knows of a job beyond its row.
#[derive(Clone, Default, Debug)]
pub struct Kept {
    /// The round.
    pub carry: Carry,
    /// It has ended, and the home does not know it yet.
    pub ended: Option<Ended>,
    /// The withdrawal of what was told before.
    pub withdraw: Withdraw,
}

impl Carry {
    /// What to do, by what the store says now. `quiet_until` says until when a subscription is not to be disturbed; `paused`
    /// is told of each that is not, once a round.
    pub fn next(
        &mut self,
        channel: ChannelId,
        facts: &PushFacts,
        now_ms: u64,
        quiet_until: impl Fn(&SubscriptionRow) -> Option<u64>,
        mut paused: impl FnMut(Target, u64),
    ) -> Step {
        // Withdrawn meanwhile, or parked: an operator looks at it.
        let Some(found) = facts.job.as_ref().filter(|job| !job.is_parked) else { return self.withdrawn() };
        let job = match &self.job {
            Some(job) if job.seq != found.seq => return self.replaced(job.clone(), now_ms),
            Some(job) => job.clone(),
            None if found.retry_at_ms > now_ms => return Step::Wait(found.retry_at_ms),
            None => self.job.insert(found.clone()).clone(),
        };
        if let Some(why) = ends(channel, facts, &job, now_ms) {
            // Who has it already was told.
            let why = if self.taken.is_empty() { why } else { End::Told };
            return self.end(&job, Outcome::Done, why, None);
        }
        for (device, provider, row) in &facts.subscriptions {
            let target = (*device, *provider);
            let is_meant = job.targets.is_empty() || job.targets.contains(&target);
            if !is_meant || self.seen.contains(&target) {
                continue;
            }
            self.seen.push(target);
            let Some(until_ms) = quiet_until(row) else { return Step::Call(target) };
            paused(target, until_ms);
            self.early(target, until_ms);
        }
        self.conclude(&job)
    }

    /// A provider has it.
    pub fn taken(&mut self, target: Target) {
        self.taken.push(target);
    }

    /// The subscription is no more, and its home knows that.
    pub fn gone(&mut self) {}

    /// A provider does not want it, and will not want it the next time.
    pub fn refused(&mut self) {
        self.refused += 1;
    }

    /// Nobody knows whether the provider has it, or it did not want it now.
    pub fn failed(&mut self, target: Target, again_ms: u64) {
        self.has_failed = true;
        self.early(target, again_ms);
    }

    /// It was not called: not before then.
    pub fn early(&mut self, target: Target, again_ms: u64) {
        self.left.push(target);
        self.at_ms = Some(self.at_ms.map_or(again_ms, |at_ms| at_ms.min(again_ms)));
    }

    /// It was not called, for there is no room: to be looked at then, or when there is some.
    pub fn crowded(&mut self, target: Target, again_ms: u64) {
        self.lacks_room = true;
        self.early(target, again_ms);
    }

    /// How often the job had failed when the round began.
    #[must_use]
    pub fn attempts(&self) -> u16 {
        self.job.as_ref().map_or(0, |job| job.attempts)
    }

    /// The message that this round tells of.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.job.as_ref().map_or(Seq(0), |job| job.seq)
    }

    fn end(&self, job: &JobRow, outcome: Outcome, why: End, again_ms: Option<u64>) -> Step {
        let taken = self.taken.iter().copied().filter(|(_, provider)| can_withdraw(*provider)).collect();
        Step::End(Ended { seq: job.seq, count: job.count, outcome, why, again_ms, taken })
    }

    /// There is no job any more. Who shows it by now is to be told that it is read, so its home must know of them.
    fn withdrawn(&self) -> Step {
        let has_shown = self.taken.iter().any(|(_, provider)| can_withdraw(*provider));
        match self.job.as_ref().filter(|_| has_shown) {
            Some(job) => self.end(job, Outcome::Done, End::Told, None),
            None => Step::Rest,
        }
    }

    /// A newer message took the job's place: whoever was not called is called for that one, and nobody for this.
    fn replaced(&self, job: JobRow, now_ms: u64) -> Step {
        match (self.has_failed, self.taken.is_empty()) {
            (true, _) => self.conclude(&job),
            (false, true) => Step::Wait(now_ms),
            (false, false) => self.end(&job, Outcome::Done, End::Told, Some(now_ms)),
        }
    }

    fn conclude(&self, job: &JobRow) -> Step {
        if let Some(at_ms) = self.at_ms {
            if !self.has_failed && self.taken.is_empty() && self.refused == 0 {
                // Nothing has changed: it waits in memory, and its row says what it said.
                return Step::Wait(at_ms);
            }
            let (targets, has_failed) = (self.left.clone(), self.has_failed);
            // Who is told of room is not held back by the row then.
            let not_before_ms = if self.lacks_room && !has_failed { 0 } else { at_ms };
            let outcome = Outcome::Retry { at_ms: not_before_ms, targets, has_failed };
            return self.end(job, outcome, End::Later, Some(at_ms));
        }
        match (self.taken.len(), self.refused) {
            (0, 1..) => self.end(job, Outcome::Park, End::Parked, None),
            _ => self.end(job, Outcome::Done, End::Told, None),
        }
    }
}

/// Why nobody is to be called, if so. What the user has read is looked at first: it ends a job in quiet hours too.
fn ends(channel: ChannelId, facts: &PushFacts, job: &JobRow, now_ms: u64) -> Option<End> {
    if facts.read >= job.seq {
        return Some(End::Read);
    }
    if job.count <= 1 && facts.message.as_ref().is_some_and(|message| message.kind() == Kind::RECALLED) {
        return Some(End::Recalled);
    }
    let is_wanted = !facts.is_off
        && facts.prefs.muted_until_ms <= now_ms
        && match facts.prefs.notify {
            Notify::All => true,
            Notify::Mentions => job.is_mentioned,
            Notify::Nothing => false,
        };
    // In a group an older message of the job may be somebody else's.
    let is_blocked = facts.is_blocked && (channel.users().is_some() || job.count <= 1);
    if !is_wanted || is_blocked || facts.subscriptions.is_empty() {
        return Some(End::Unwanted);
    }
    (job.time_ms.saturating_add(TTL_MS) <= now_ms).then_some(End::Expired)
}

/// How long to wait after so many failures: between a half and all of what doubles, so that those who failed together do not
/// come back together.
#[must_use]
pub fn backoff_ms(attempts: u16, random: u64) -> u64 {
    let wait = RETRY_FIRST_MS.saturating_mul(1 << attempts.min(20)).min(RETRY_MAX_MS);
    wait / 2 + random % (wait / 2 + 1)
}

#[cfg(test)]
mod tests {
    use protocol::body::about::Recalled;
    use protocol::body::encode;
    use protocol::commit::{Prefs, Provider};
    use protocol::{DeviceId, UserId};

    use super::*;

    const NOW: u64 = 1_000_000_000;
    const CHANNEL: ChannelId = ChannelId((1 << 64) | 2);
    const ONE: Target = (DeviceId(1), Provider::WebPush);
    const TWO: Target = (DeviceId(2), Provider::Webhook);

    fn facts() -> PushFacts {
        let row = SubscriptionRow::default();
        PushFacts {
            job: Some(JobRow { seq: Seq(4), count: 2, time_ms: NOW, ..JobRow::default() }),
            subscriptions: vec![(ONE.0, ONE.1, row.clone()), (TWO.0, TWO.1, row)],
            ..PushFacts::default()
        }
    }

    fn next(carry: &mut Carry, facts: &PushFacts) -> Step {
        carry.next(CHANNEL, facts, NOW, |_| None, |_, _| panic!("nobody is quiet"))
    }

    fn ended(step: Step) -> (Outcome, End) {
        let Step::End(ended) = step else { panic!("{step:?}") };
        assert_eq!((ended.seq, ended.count), (Seq(4), 2));
        (ended.outcome, ended.why)
    }

    #[test]
    fn all_are_called_once_and_the_store_is_looked_at_before_each() {
        let (mut carry, mut facts) = (Carry::default(), facts());
        assert_eq!(CHANNEL.users(), Some((UserId(1), UserId(2))));
        assert_eq!(next(&mut carry, &facts), Step::Call(ONE));
        carry.taken(ONE);
        assert_eq!(next(&mut carry.clone(), &facts), Step::Call(TWO));
        // The user reads it while the first is called.
        facts.read = Seq(4);
        assert_eq!(ended(next(&mut carry, &facts)), (Outcome::Done, End::Told));
        assert_eq!(ended(next(&mut Carry::default(), &facts)), (Outcome::Done, End::Read));
    }

    #[test]
    fn who_has_it_when_its_job_is_gone_is_named_to_its_home() {
        let (mut carry, facts) = (Carry::default(), facts());
        assert_eq!(next(&mut carry, &facts), Step::Call(ONE));
        let read = PushFacts { job: None, read: Seq(4), ..facts.clone() };
        assert_eq!(next(&mut carry.clone(), &read), Step::Rest, "nobody has it");
        carry.taken(ONE);
        assert_eq!(next(&mut carry.clone(), &read), Step::Rest, "a browser is not told that it is read");
        assert_eq!(next(&mut carry, &facts), Step::Call(TWO));
        carry.taken(TWO);
        let named = |step| match step {
            Step::End(Ended { seq: Seq(4), outcome: Outcome::Done, taken, .. }) => taken,
            step => panic!("{step:?}"),
        };
        assert_eq!(named(next(&mut carry.clone(), &read)), [TWO]);
        let read = PushFacts { read: Seq(4), ..facts.clone() };
        assert_eq!(named(next(&mut carry.clone(), &read)), [TWO], "its row is there still");
        let mut newer = facts.clone();
        newer.job.as_mut().unwrap().seq = Seq(5);
        assert_eq!(named(next(&mut carry.clone(), &newer)), [TWO]);
        assert_eq!(named(next(&mut carry, &facts)), [TWO]);
    }

    #[test]
    fn who_failed_is_called_again_alone() {
        let (mut carry, mut facts) = (Carry::default(), facts());
        assert_eq!(next(&mut carry, &facts), Step::Call(ONE));
        carry.failed(ONE, NOW + 9);
        assert_eq!(next(&mut carry, &facts), Step::Call(TWO));
        carry.taken(TWO);
        let retry = Outcome::Retry { at_ms: NOW + 9, targets: vec![ONE], has_failed: true };
        assert_eq!(ended(next(&mut carry, &facts)), (retry, End::Later));
        let job = facts.job.as_mut().unwrap();
        (job.targets, job.retry_at_ms) = (vec![ONE], NOW + 9);
        assert_eq!(next(&mut Carry::default(), &facts), Step::Wait(NOW + 9));
        facts.job.as_mut().unwrap().retry_at_ms = NOW;
        let mut carry = Carry::default();
        assert_eq!(next(&mut carry, &facts), Step::Call(ONE));
        carry.refused();
        assert_eq!(ended(next(&mut carry, &facts)), (Outcome::Park, End::Parked));
    }

    #[test]
    fn a_newer_message_is_told_in_place_of_the_rest() {
        let (mut carry, mut facts) = (Carry::default(), facts());
        assert_eq!(next(&mut carry, &facts), Step::Call(ONE));
        facts.job.as_mut().unwrap().seq = Seq(5);
        assert_eq!(next(&mut carry.clone(), &facts), Step::Wait(NOW));
        carry.taken(ONE);
        let Step::End(ended) = next(&mut carry, &facts) else { panic!("it goes on with the old one") };
        assert_eq!((ended.seq, ended.outcome, ended.again_ms), (Seq(4), Outcome::Done, Some(NOW)));
    }

    #[test]
    fn who_finds_no_room_is_not_held_back_by_the_row() {
        let (mut carry, facts) = (Carry::default(), facts());
        assert_eq!(next(&mut carry, &facts), Step::Call(ONE));
        carry.crowded(ONE, NOW + 9);
        assert_eq!(next(&mut carry, &facts), Step::Call(TWO));
        let mut alone = carry.clone();
        alone.crowded(TWO, NOW + 7);
        assert_eq!(next(&mut alone, &facts), Step::Wait(NOW + 7), "nothing has changed");
        let mut failed = carry.clone();
        failed.failed(TWO, NOW + 8);
        let retry = |at_ms, targets, has_failed| (Outcome::Retry { at_ms, targets, has_failed }, End::Later);
        assert_eq!(ended(next(&mut failed, &facts)), retry(NOW + 8, vec![ONE, TWO], true));
        carry.taken(TWO);
        assert_eq!(ended(next(&mut carry, &facts)), retry(0, vec![ONE], false));
    }

    #[test]
    fn quiet_hours_are_a_wait_that_changes_no_row() {
        let (mut carry, facts) = (Carry::default(), facts());
        let (quiet, mut told) = (|_: &SubscriptionRow| Some(NOW + 60), Vec::new());
        let step = carry.next(CHANNEL, &facts, NOW, quiet, |target, until| told.push((target, until)));
        assert_eq!((step, told), (Step::Wait(NOW + 60), vec![(ONE, NOW + 60), (TWO, NOW + 60)]));
    }

    #[test]
    fn of_what_was_recalled_nobody_is_told_unless_others_came_with_it() {
        let gone = Recalled { channel: CHANNEL.0, target: 4, by: 5, user: 3, time_ms: NOW };
        let mut facts = PushFacts { message: Some(encode(1, &gone)), ..facts() };
        assert_eq!(next(&mut Carry::default(), &facts), Step::Call(ONE), "of the one before it");
        facts.job.as_mut().unwrap().count = 1;
        let Step::End(ended) = next(&mut Carry::default(), &facts) else { panic!("somebody is called") };
        assert_eq!((ended.outcome, ended.why), (Outcome::Done, End::Recalled));
    }

    #[test]
    fn who_does_not_want_it_is_not_called() {
        type Change = fn(&mut PushFacts);
        let all: [(Change, End); 8] = [
            (|facts| facts.is_off = true, End::Unwanted),
            (|facts| facts.prefs.muted_until_ms = NOW + 1, End::Unwanted),
            (|facts| facts.prefs = Prefs { notify: Notify::Nothing, ..Prefs::default() }, End::Unwanted),
            (|facts| facts.prefs = Prefs { notify: Notify::Mentions, ..Prefs::default() }, End::Unwanted),
            (|facts| facts.is_blocked = true, End::Unwanted),
            (|facts| facts.subscriptions.clear(), End::Unwanted),
            (|facts| facts.job.as_mut().unwrap().time_ms = NOW - TTL_MS, End::Expired),
            (|facts| facts.read = Seq(9), End::Read),
        ];
        for (place, (change, why)) in all.iter().enumerate() {
            let mut facts = facts();
            change(&mut facts);
            assert_eq!(ended(next(&mut Carry::default(), &facts)), (Outcome::Done, *why), "{place}");
        }
        // Of a group it may be that the others of the job are not blocked.
        let (mut facts, group) = (facts(), ChannelId(7));
        facts.is_blocked = true;
        let step = Carry::default().next(group, &facts, NOW, |_| None, |_, _| ());
        assert_eq!(step, Step::Call(ONE));
        facts.job.as_mut().unwrap().count = 1;
        let step = Carry::default().next(group, &facts, NOW, |_| None, |_, _| ());
        assert!(matches!(step, Step::End(Ended { why: End::Unwanted, .. })));
    }

    #[test]
    fn waits_double_up_to_an_hour() {
        assert_eq!((backoff_ms(0, 0), backoff_ms(0, 2500)), (2500, 5000));
        assert_eq!((backoff_ms(1, 0), backoff_ms(99, 0)), (5000, RETRY_MAX_MS / 2));
    }
}
