//! Push at a user's home: who has a subscription and no live device gets a job in the batch of the pointer, and so does who
//! has one that takes nothing for ten seconds. One job a channel: a newer message replaces it and counts. What the user
//! reads withdraws it; what the control plane has carried out ends it, unless it was replaced meanwhile.
//!
//! How the user wants to be told (muted, mentions only, quiet hours) is looked at when a job is carried out and not here: it
//! stands in rows that are not in memory, and it may change in between.
//!
//! What providers have taken already is withdrawn, too, where they can be told: see [`shown`].

mod asked;
mod shown;

pub use asked::Providers;

use std::collections::BTreeMap;

use protocol::commit::{JobRow, Provider, Row, ShownRow, SubscriptionRow, Target};
use protocol::hop::Origin;
use protocol::limits::{PUSH_JOBS_MAX, PUSH_SUBSCRIPTIONS_MAX};
use protocol::query::{Delivery, PushRows};
use protocol::{ChannelId, DeviceId, InboxSeq, Seq, UserId};

use crate::input::{CommandError, PushOutcome, Tick};
use crate::limits::PUSH_ATTEMPTS_MAX;
use crate::pipeline::After;
use crate::push::shown::Taken;
use crate::shard::Shard;
use crate::timer::Wake;

/// Of a user who has a subscription, or has turned push off.
#[derive(Debug, Default)]
pub(crate) struct Push {
    /// When each was made. At most `PUSH_SUBSCRIPTIONS_MAX`.
    subscriptions: Vec<(Target, u64)>,
    /// At most `PUSH_JOBS_MAX`.
    jobs: BTreeMap<ChannelId, JobRow>,
    /// What devices show of push, and could show no more. At most `PUSH_JOBS_MAX`.
    shown: BTreeMap<ChannelId, ShownRow>,
    /// What live devices were offered and none has taken. At most `PUSH_JOBS_MAX`.
    untaken: BTreeMap<ChannelId, Untaken>,
    /// Marks of what was read that are on their way to a channel's home: they withdraw once they are stored. At most
    /// `PUSH_JOBS_MAX`; what is over it is found to be read when a job is carried out.
    marks: Vec<Mark>,
    /// The user has turned push off: there are no jobs, and none is made.
    is_off: bool,
}

/// Channels whose rows end when nobody is to be told any more.
#[derive(Debug, Default)]
struct Ends {
    jobs: Vec<ChannelId>,
    shown: Vec<ChannelId>,
}

/// A mark of what was read, and the frame that asked for it.
#[derive(Clone, Copy, Debug)]
struct Mark {
    session: u64,
    frame: u64,
    channel: ChannelId,
    seq: Seq,
}

/// Messages of one channel that no device has taken.
#[derive(Clone, Copy, Debug)]
struct Untaken {
    /// The place of the oldest in the inbox, and of the newest.
    places: (InboxSeq, InboxSeq),
    /// When the oldest has waited long enough.
    due: Tick,
    told: Told,
}

/// One message to be told of, or several.
#[derive(Clone, Copy, Debug)]
struct Told {
    seq: Seq,
    count: u32,
    is_mentioned: bool,
    time_ms: u64,
}

impl Told {
    fn joined(self, newer: Self) -> Self {
        Self {
            seq: newer.seq,
            count: self.count.saturating_add(newer.count),
            is_mentioned: self.is_mentioned || newer.is_mentioned,
            time_ms: newer.time_ms,
        }
    }
}

impl Push {
    /// `None` for who has no subscription: nothing of this costs such a user anything.
    pub(crate) fn new(rows: PushRows) -> Option<Box<Self>> {
        let PushRows { subscriptions, jobs, shown, is_off } = rows;
        let (jobs, shown) = (jobs.into_iter().collect(), shown.into_iter().collect());
        let push = Self { subscriptions, jobs, shown, is_off, ..Self::default() };
        push.says_something().then(|| Box::new(push))
    }

    fn says_something(&self) -> bool {
        self.is_off || !self.subscriptions.is_empty()
    }

    /// Nobody is to be told any more: the jobs that end, and what nobody withdraws any more.
    fn end_all(&mut self) -> Ends {
        self.untaken.clear();
        self.marks.clear();
        let (jobs, shown) = (core::mem::take(&mut self.jobs), core::mem::take(&mut self.shown));
        Ends { jobs: jobs.into_keys().collect(), shown: shown.into_keys().collect() }
    }

    /// Whether a device may still take what it was offered: the user stays in memory until then.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.untaken.is_empty()
    }

    /// A message that a live device is offered; says when to look whether one has taken it. `None`: too many channels wait
    /// already, and it is to be told at once.
    fn offered(&mut self, channel: ChannelId, at: InboxSeq, told: Told, due: Tick) -> Option<Tick> {
        if let Some(untaken) = self.untaken.get_mut(&channel) {
            (untaken.places.1, untaken.told) = (at, untaken.told.joined(told));
            return Some(untaken.due);
        }
        if self.untaken.len() >= PUSH_JOBS_MAX {
            return None;
        }
        self.untaken.insert(channel, Untaken { places: (at, at), due, told });
        Some(due)
    }

    /// A device has taken its inbox up to and with `at`. What is newer waits from now on.
    fn taken(&mut self, at: InboxSeq, due: Tick) {
        self.untaken.retain(|_, untaken| untaken.places.1 > at);
        for untaken in self.untaken.values_mut().filter(|untaken| untaken.places.0 <= at) {
            (untaken.places.0, untaken.due) = (at.next(), due);
        }
    }

    /// The job of a channel with another message. Also the channel whose job gave way to it.
    fn add(&mut self, channel: ChannelId, told: Told) -> (JobRow, Option<ChannelId>) {
        let gives_way = if self.jobs.contains_key(&channel) || self.jobs.len() < PUSH_JOBS_MAX {
            None
        } else {
            self.jobs.iter().min_by_key(|(_, job)| job.time_ms).map(|(oldest, _)| *oldest)
        };
        if let Some(oldest) = gives_way {
            self.jobs.remove(&oldest);
        }
        let job = self.jobs.entry(channel).or_default();
        if job.is_parked {
            (job.attempts, job.retry_at_ms) = (0, 0);
        }
        job.is_parked = false;
        job.seq = job.seq.max(told.seq);
        job.time_ms = job.time_ms.max(told.time_ms);
        job.count = job.count.saturating_add(told.count);
        job.is_mentioned |= told.is_mentioned;
        // Every subscription is told of the newest.
        job.targets.clear();
        (job.clone(), gives_way)
    }

    /// What remains of a job that was carried out as far as `seq`; false when nothing has changed.
    fn carried_out(&mut self, channel: ChannelId, seq: Seq, outcome: PushOutcome) -> bool {
        let Some(job) = self.jobs.get_mut(&channel) else { return false };
        let is_replaced = job.seq != seq;
        match outcome {
            PushOutcome::Done { .. } if !is_replaced => drop(self.jobs.remove(&channel)),
            PushOutcome::Done { count } => {
                job.count = job.count.saturating_sub(count).max(1);
                (job.attempts, job.retry_at_ms) = (0, 0);
            }
            // The newer message is tried anyway, and no sooner.
            PushOutcome::Retry { at_ms, has_failed, .. } if is_replaced => {
                (job.attempts, job.retry_at_ms) = (job.attempts.saturating_add(has_failed.into()), at_ms);
            }
            PushOutcome::Retry { at_ms, targets, has_failed } => {
                job.attempts = job.attempts.saturating_add(has_failed.into());
                (job.retry_at_ms, job.targets) = (at_ms, targets);
                job.is_parked = job.attempts >= PUSH_ATTEMPTS_MAX;
            }
            PushOutcome::Park if is_replaced => return false,
            PushOutcome::Park => job.is_parked = true,
        }
        true
    }
}

impl Shard {
    /// A message has got its place in an inbox. If nobody is there to take it, a job leaves with the pointer.
    pub(crate) fn push_delivery(
        &mut self,
        id: UserId,
        at: InboxSeq,
        delivery: &Delivery,
        is_mentioned: bool,
    ) {
        let due = self.now.after_ms(self.config.limits.push_ack_ms);
        let Some(user) = self.users.get_mut(&id) else { return };
        let is_live = !user.sessions.is_empty();
        let Some(push) = user.push.as_mut().filter(|push| !push.is_off) else { return };
        let Some(stamp) = delivery.frame.read_stamp() else { return };
        if stamp.sender == id || !delivery.frame.kind().counts_as_unread() {
            return;
        }
        let channel = delivery.channel;
        let told = Told { seq: delivery.seq, count: 1, is_mentioned, time_ms: stamp.time_ms };
        if is_live && let Some(waits) = push.offered(channel, at, told, due) {
            if waits == due {
                self.timer.set(due, Wake::Untaken(id));
            }
            return;
        }
        // What a device was offered before it left is told with it.
        let untaken = push.untaken.remove(&channel).map(|untaken| untaken.told);
        let told = untaken.map_or(told, |untaken| untaken.joined(told));
        let (job, gives_way) = push.add(channel, told);
        self.counters.push_jobs += 1;
        self.gathered.job(id, channel, Some(job));
        if let Some(oldest) = gives_way {
            self.counters.push_jobs_dropped += 1;
            self.gathered.job(id, oldest, None);
        }
    }

    /// A device says how far it has taken its inbox.
    pub(crate) fn push_taken(&mut self, id: UserId, at: InboxSeq) {
        let due = self.now.after_ms(self.config.limits.push_ack_ms);
        let push = self.users.get_mut(&id).and_then(|user| user.push.as_mut());
        let Some(push) = push.filter(|push| push.is_waiting()) else { return };
        push.taken(at, due);
        if push.is_waiting() {
            self.timer.set(due, Wake::Untaken(id));
        } else {
            self.users.may_be_idle();
        }
    }

    /// What live devices have left lying for too long becomes jobs, in a batch of their own.
    pub(crate) fn look_at_untaken(&mut self, id: UserId) {
        let now = self.now;
        // Its subscriptions may have ended meanwhile, and the user have left memory.
        let Some(push) = self.users.get_mut(&id).and_then(|user| user.push.as_mut()) else { return };
        let due = push.untaken.extract_if(.., |_, untaken| untaken.due <= now);
        let due: Vec<(ChannelId, Told)> = due.map(|(channel, untaken)| (channel, untaken.told)).collect();
        let mut written = Vec::with_capacity(due.len());
        for (channel, told) in due {
            let (_, gives_way) = push.add(channel, told);
            written.push(channel);
            self.counters.push_jobs += 1;
            self.counters.push_jobs_dropped += u64::from(gives_way.is_some());
            written.extend(gives_way);
        }
        for channel in written {
            self.write_job(id, channel);
        }
        self.users.may_be_idle();
    }

    /// A user marks what it has read: on its way to the channel's home, by this frame. A mark that is refused withdraws
    /// nothing, and neither does one of another channel that is stored before it.
    pub(crate) fn push_marks(&mut self, origin: Origin, frame: u64, channel: ChannelId, seq: Seq) {
        let Some(push) = self.users.get_mut(&origin.user).and_then(|user| user.push.as_mut()) else { return };
        let waits = push.jobs.get(&channel).map(|job| job.seq);
        let untaken = push.untaken.get(&channel).map(|untaken| untaken.told.seq);
        let passes = waits.into_iter().chain(untaken).any(|newest| newest <= seq);
        if (passes || push.is_passed(channel, seq)) && push.marks.len() < PUSH_JOBS_MAX {
            push.marks.push(Mark { session: origin.session, frame, channel, seq });
        }
    }

    /// The mark of a frame is stored, or refused.
    pub(crate) fn push_marked(&mut self, origin: Origin, frame: u64, is_stored: bool) {
        let id = origin.user;
        let Some(push) = self.users.get_mut(&id).and_then(|user| user.push.as_mut()) else { return };
        let is_it = |mark: &Mark| (mark.session, mark.frame) == (origin.session, frame);
        let Some(place) = push.marks.iter().position(is_it) else { return };
        let Mark { channel, seq, .. } = push.marks.remove(place);
        if !is_stored {
            return;
        }
        // What is read was taken, whatever the cursor says.
        push.untaken.retain(|of, untaken| *of != channel || untaken.told.seq > seq);
        let is_passed = push.is_passed(channel, seq);
        let is_withdrawn = push.jobs.get(&channel).is_some_and(|job| job.seq <= seq);
        if is_withdrawn {
            push.jobs.remove(&channel);
            self.counters.push_jobs_withdrawn += 1;
            self.write_job(id, channel);
        }
        if is_passed {
            self.push_passed(id, channel);
        }
        self.users.may_be_idle();
    }

    /// Writes what is to be told of a channel now, in place of what was gathered of it.
    fn write_job(&mut self, id: UserId, channel: ChannelId) {
        self.gathered.forget_job(id, channel);
        let push = self.users.get(&id).and_then(|user| user.push.as_ref());
        let row = push.and_then(|push| push.jobs.get(&channel)).cloned();
        let wakes = row.as_ref().is_some_and(|job| !job.is_parked);
        self.user_row(id, Row::Job { user: id, channel, row });
        if wakes {
            self.pipeline.push(After::Push(id, channel));
        }
    }

    pub(crate) fn subscribe(
        &mut self,
        id: UserId,
        (device, provider): Target,
        row: SubscriptionRow,
    ) -> Result<(), CommandError> {
        let user = self.existing_user(id)?;
        if user.device(device).is_none() {
            return Err(CommandError::NoSuchUser);
        }
        let push = user.push.get_or_insert_default();
        let (target, is_full) = ((device, provider), push.subscriptions.len() >= PUSH_SUBSCRIPTIONS_MAX);
        match push.subscriptions.iter_mut().find(|(known, _)| *known == target) {
            Some((_, created_ms)) => *created_ms = row.created_ms,
            None if is_full => return Err(CommandError::Full),
            None => push.subscriptions.push((target, row.created_ms)),
        }
        self.user_row(id, Row::Subscription { user: id, device, provider, row });
        Ok(())
    }

    /// `made_ms` names one that was made then: a later one of the same device stays.
    pub(crate) fn unsubscribe(&mut self, id: UserId, target: Target, made_ms: Option<u64>) {
        let Some(push) = self.users.get_mut(&id).and_then(|user| user.push.as_mut()) else { return };
        let is_it = |(known, created_ms): &(Target, u64)| {
            *known == target && made_ms.is_none_or(|made_ms| made_ms == *created_ms)
        };
        let before = push.subscriptions.len();
        push.subscriptions.retain(|subscription| !is_it(subscription));
        if push.subscriptions.len() == before {
            return;
        }
        // Nobody is left to be told.
        let ends = if push.subscriptions.is_empty() { push.end_all() } else { Ends::default() };
        let (device, provider) = target;
        self.user_row(id, Row::SubscriptionGone { user: id, device, provider });
        self.end_jobs(id, ends);
    }

    /// Writes that these jobs are no more, and forgets push of a user of whom there is nothing to say.
    fn end_jobs(&mut self, id: UserId, ends: Ends) {
        if let Some(user) = self.users.get_mut(&id) {
            user.push = user.push.take().filter(|push| push.says_something());
        }
        for channel in ends.jobs {
            self.write_job(id, channel);
        }
        for channel in ends.shown {
            self.write_shown(id, channel);
        }
        // It may have been in memory for the sake of what a device was offered.
        self.users.may_be_idle();
    }

    /// Turns push off for a user, or on again: what is to be told now is told no more.
    pub(crate) fn set_push(&mut self, id: UserId, is_off: bool) -> Result<(), CommandError> {
        let user = self.existing_user(id)?;
        if user.push.as_ref().is_some_and(|push| push.is_off) == is_off {
            return Ok(());
        }
        let push = user.push.get_or_insert_default();
        push.is_off = is_off;
        let ends = if is_off { push.end_all() } else { Ends::default() };
        self.user_row(id, Row::PushOff { user: id, is_off });
        self.end_jobs(id, ends);
        Ok(())
    }

    /// The subscriptions of a device that is removed go with it.
    pub(crate) fn unsubscribe_device(&mut self, id: UserId, device: DeviceId) {
        let push = self.users.get(&id).and_then(|user| user.push.as_ref());
        let all = push.into_iter().flat_map(|push| &push.subscriptions);
        let targets: Vec<Target> = all.map(|(target, _)| *target).collect();
        for target in targets.into_iter().filter(|(of, _)| *of == device) {
            self.unsubscribe(id, target, None);
        }
    }

    /// The control plane has carried a job out as far as `seq`, or not; `taken`: these show it now, and could show it no more.
    pub(crate) fn pushed(
        &mut self,
        (id, channel): (UserId, ChannelId),
        seq: Seq,
        outcome: PushOutcome,
        taken: Vec<Target>,
    ) {
        let push = self.users.get(&id).and_then(|user| user.push.as_ref());
        let is_read = push.is_some_and(|push| !push.jobs.contains_key(&channel));
        let has_changed = match self.users.get_mut(&id).map(|user| user.push.as_mut()) {
            Some(Some(push)) => push.carried_out(channel, seq, outcome),
            // A job without a subscription is what a crash left, or an older program.
            Some(None) => true,
            None => false,
        };
        if has_changed {
            self.write_job(id, channel);
        }
        self.push_shown(id, channel, &Taken { seq, by: taken, is_read });
    }

    /// Whether a subscription of a user is known.
    pub(crate) fn is_subscribed(&self, id: UserId, (device, provider): (DeviceId, Provider)) -> bool {
        let push = self.users.get(&id).and_then(|user| user.push.as_ref());
        push.is_some_and(|push| push.subscriptions.iter().any(|(known, _)| *known == (device, provider)))
    }
}
