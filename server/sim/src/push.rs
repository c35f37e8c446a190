//! Push in the model: what must be told to whom, what may end it, and whom nobody may call. Said once more, independently of
//! the core and of the rules by which jobs are carried out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use carry::{JobId, TTL_MS};
use protocol::body::read;
use protocol::body::sync::CursorAck;
use protocol::commit::Note;
use protocol::commit::{
    Batch, JobRow, Notify, PREFS_TAG, Prefs, Relation, Row, ShownRow, SubscriptionRow, Target,
};
use protocol::limits::DEVICES_MAX;
use protocol::query::{Answer, Query};
use protocol::{BayId, ChannelId, Frame, Kind, Seq, UserId};
use shard::Command;
use shard::limits::PUSH_ATTEMPTS_MAX;
use storage::Tier;

use crate::broken;
use crate::oracle::{Check, Oracle};
use crate::world::World;

/// How much later than it is due a shard may look at what was not taken: slots of the timer.
const SLOT_MS: u64 = 1000;

/// What is durable of push, and what must follow from it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pushes {
    /// Virtual time.
    pub(crate) now: u64,
    /// Which process this is.
    pub(crate) life: u64,
    /// Batches that became durable.
    batches: u64,
    /// By user, with the batch that made each.
    subscriptions: BTreeMap<UserId, BTreeMap<Target, (SubscriptionRow, u64)>>,
    /// Since which batch each has had one, and nobody asked for its end.
    since: BTreeMap<UserId, u64>,
    /// Commands under way that may end subscriptions.
    leaving: BTreeMap<UserId, u32>,
    /// With the batch that wrote each last.
    jobs: BTreeMap<JobId, (JobRow, u64)>,
    /// What devices show, durably.
    shown: BTreeMap<JobId, ShownRow>,
    /// The newest message that a durable job ever told of.
    covered: BTreeMap<JobId, Seq>,
    /// In which batch a message was stored, and when.
    stored: HashMap<(ChannelId, Seq), (u64, u64)>,
    /// Since when nobody of a user was there, for certain.
    absent: BTreeMap<UserId, u64>,
    /// What was offered to somebody who may have been there, and no job tells of.
    due: Vec<Due>,
    taken: BTreeMap<UserId, Taken>,
    relations: BTreeMap<(UserId, UserId), Relation>,
    /// Jobs that were said to be done, and to be parked.
    done: BTreeSet<(JobId, Seq)>,
    parked: BTreeSet<(JobId, Seq)>,
}

/// A message that is to be taken in time.
#[derive(Clone, Copy, Debug)]
struct Due {
    user: UserId,
    at: u64,
    channel: ChannelId,
    seq: Seq,
    since: u64,
    life: u64,
    /// Since when the user had a subscription then: one that came back owes nothing.
    had: u64,
}

/// How far any device of a user has said that it took its inbox.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    at: u64,
    /// The last one has arrived by then; `None`: it may be under way.
    arrived: Option<u64>,
}

impl Pushes {
    /// After a restore: what is durable is the backup's, the time and who is there are those of now.
    pub(crate) fn restored(self, lost: &Self) -> Self {
        let absent = self.subscriptions.keys().map(|user| (*user, lost.now)).collect();
        let (taken, leaving) = (BTreeMap::new(), BTreeMap::new());
        let mut restored = Self { now: lost.now, life: lost.life, absent, taken, leaving, ..self };
        restored.has_again();
        restored
    }

    /// The process is gone, and every session with it.
    pub(crate) fn process_died(&mut self, users: &[UserId]) {
        self.life += 1;
        for user in users {
            self.absent.entry(*user).or_insert(self.now);
        }
        self.leaving.clear();
        self.has_again();
    }

    /// Whoever has a subscription, with nothing under way that may end it, has one.
    fn has_again(&mut self) {
        for (user, all) in &self.subscriptions {
            if !all.is_empty() && !self.leaving.contains_key(user) {
                self.since.entry(*user).or_insert(self.batches);
            }
        }
    }

    /// A command is on its way that may end subscriptions.
    pub(crate) fn may_end(&mut self, command: &Command, devices: usize) {
        let user = command.user();
        let others = |is_it: &dyn Fn(&Target) -> bool| {
            self.subscriptions.get(&user).is_some_and(|all| all.keys().any(|target| !is_it(target)))
        };
        let keeps_one = match command {
            Command::Unsubscribe { target, .. } => others(&|one| one == target),
            Command::RemoveDevice { device, .. } => others(&|(of, _)| of == device),
            Command::AddDevice { .. } => devices < DEVICES_MAX,
            Command::LogOutAll { .. } => false,
            _ => return,
        };
        *self.leaving.entry(user).or_default() += 1;
        if !keeps_one {
            self.since.remove(&user);
        }
    }

    /// It is answered.
    pub(crate) fn has_ended(&mut self, command: &Command) {
        let user = command.user();
        let may_end = matches!(
            command,
            Command::Unsubscribe { .. }
                | Command::RemoveDevice { .. }
                | Command::AddDevice { .. }
                | Command::LogOutAll { .. }
        );
        if !may_end {
            return;
        }
        if let Some(count) = self.leaving.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                self.leaving.remove(&user);
            }
        }
        self.has_again();
    }

    /// The control plane has said what became of a job.
    pub(crate) fn said(&mut self, job: JobId, seq: Seq, is_done: bool, is_parked: bool) {
        if is_done {
            self.done.insert((job, seq));
        }
        if is_parked {
            self.parked.insert((job, seq));
        }
    }

    /// Somebody of these users may be there.
    pub(crate) fn is_there(&mut self, users: impl Iterator<Item = UserId>) {
        for user in users {
            self.absent.remove(&user);
        }
    }

    fn subscribe(&mut self, user: UserId, target: Target, row: SubscriptionRow) {
        self.subscriptions.entry(user).or_default().insert(target, (row, self.batches));
        if !self.leaving.contains_key(&user) {
            self.since.entry(user).or_insert(self.batches);
        }
    }

    fn is_subscribed(&self, user: UserId, target: Target) -> bool {
        self.subscriptions.get(&user).is_some_and(|all| all.contains_key(&target))
    }

    fn unsubscribe(&mut self, user: UserId, target: Target) {
        let Some(all) = self.subscriptions.get_mut(&user) else { return };
        all.remove(&target);
        if all.is_empty() {
            self.since.remove(&user);
        }
    }

    /// Whether somebody may still take what no job tells of.
    pub(crate) fn owes(&self) -> bool {
        !self.due.is_empty()
    }

    /// The durable job of a user and a channel.
    pub(crate) fn job(&self, id: JobId) -> Option<&JobRow> {
        self.jobs.get(&id).map(|(row, _)| row)
    }

    /// The subscriptions that are older than the job is as it stands.
    pub(crate) fn older_than_job(&self, id: JobId) -> Vec<Target> {
        let Some((_, since)) = self.jobs.get(&id) else { return Vec::new() };
        let all = self.subscriptions.get(&id.0).into_iter().flatten();
        all.filter(|(_, (_, made))| made < since).map(|(target, _)| *target).collect()
    }
}

impl Oracle {
    /// A device has written a frame: what it took, it may have said with it.
    pub(crate) fn taken_offered(&mut self, user: UserId, frame: &Frame) {
        let ack = read::<CursorAck>(frame).filter(|_| frame.kind() == Kind::CURSOR_ACK);
        if let Some(ack) = ack.filter(|ack| ack.generation == self.generation.0) {
            let taken = self.pushes.taken.entry(user).or_default();
            *taken = Taken { at: taken.at.max(ack.cursor), arrived: None };
        }
    }

    fn prefs(&self, user: UserId, channel: ChannelId) -> Prefs {
        match self.notes(user).get(&(PREFS_TAG, channel, None)) {
            Some((_, Note::Prefs { prefs, .. })) => *prefs,
            _ => Prefs::default(),
        }
    }

    /// Somebody is about to be called.
    ///
    /// # Errors
    /// Whoever is called must not be.
    pub(crate) fn may_call(&self, id: JobId, seq: Seq, target: Target, wall_ms: u64) -> Check {
        let (user, channel) = id;
        let say = |words: &str| Err(format!("{user} is called for {channel:?} {seq} at {target:?}: {words}"));
        let Some(job) = self.pushes.job(id).filter(|job| job.seq == seq) else {
            return say("there is no such job");
        };
        let found = self.pushes.subscriptions.get(&user).and_then(|all| all.get(&target));
        let Some((row, _)) = found else { return say("there is no such subscription") };
        if let Some(words) = self.is_for_nobody(id, job, wall_ms) {
            return say(words);
        }
        let minute = u16::try_from(wall_ms / 60_000 % 1440).unwrap_or(0);
        let (from, until) = row.quiet;
        let is_quiet = (minute + 1440 - from) % 1440 < (until + 1440 - from) % 1440;
        if is_quiet {
            return say("the device is not to be disturbed");
        }
        Ok(())
    }

    /// Why a job is told to nobody, whatever the device.
    pub(crate) fn is_for_nobody(
        &self,
        (user, channel): JobId,
        job: &JobRow,
        wall_ms: u64,
    ) -> Option<&'static str> {
        let prefs = self.prefs(user, channel);
        let sender = self.fact(channel, job.seq).map(|fact| fact.sender).unwrap_or_default();
        let is_blocked = self.pushes.relations.get(&(user, sender)).is_some_and(|one| one.is_blocked);
        match () {
            () if self.position(channel, user) >= job.seq => Some("it was read before"),
            () if prefs.muted_until_ms > wall_ms => Some("the channel is muted"),
            () if prefs.notify == Notify::Nothing
                || (prefs.notify == Notify::Mentions && !job.is_mentioned) =>
            {
                Some("the user does not want to be told")
            }
            () if is_blocked && (channel.users().is_some() || job.count == 1) => {
                Some("the user has blocked who sent it")
            }
            () if self.is_recalled(channel, job.seq) && job.count == 1 => {
                Some("it is recalled, and there was no other")
            }
            () if job.time_ms + TTL_MS <= wall_ms => Some("it is too old"),
            () => None,
        }
    }

    /// A job becomes durable, or ends.
    fn take_job(&mut self, id: JobId, row: Option<&JobRow>) -> Check {
        let (user, channel) = id;
        let batch = self.pushes.batches;
        let before = self.pushes.jobs.remove(&id).map(|(row, _)| row);
        let Some(row) = row else {
            let Some(before) = before else { return Ok(()) };
            let is_read = self.position(channel, user) >= before.seq;
            let is_done = self.pushes.done.contains(&(id, before.seq));
            if !is_read && !is_done && self.pushes.since.contains_key(&user) {
                broken!(
                    "the job of {user} of {channel:?} ends, and nobody has read it or told of it: {before:?}"
                );
            }
            return Ok(());
        };
        if before.as_ref().is_some_and(|before| before.seq > row.seq) {
            broken!("the job of {user} of {channel:?} steps back from {before:?} to {row:?}");
        }
        let Some(fact) = self.fact(channel, row.seq) else {
            broken!("the job of {user} of {channel:?} tells of {row:?}, which is not durable");
        };
        if fact.sender == user || !(fact.kind.counts_as_unread() || fact.was.is_some()) || row.count == 0 {
            broken!("the job of {user} of {channel:?} tells of {row:?}, which is {fact:?}");
        }
        if !self.is_recipient(channel, user, row.seq) {
            broken!("the job of {user} of {channel:?} tells of {row:?} from outside");
        }
        if fact.time_ms > row.time_ms {
            broken!("the job of {user} of {channel:?} is older than its message: {row:?}, {fact:?}");
        }
        let talk = self.talk(channel, row.seq);
        if talk.is_some_and(|talk| talk.is_kept_for(user, fact.sender)) && !row.is_mentioned {
            broken!("the job of {user} of {channel:?} says nothing of a mention: {row:?}");
        }
        let is_parked = self.pushes.parked.contains(&(id, row.seq)) || row.attempts >= PUSH_ATTEMPTS_MAX;
        if row.is_parked && !is_parked {
            broken!("the job of {user} of {channel:?} is parked, which nobody said: {row:?}");
        }
        let covered = self.pushes.covered.entry(id).or_default();
        *covered = (*covered).max(row.seq);
        self.pushes.jobs.insert(id, (row.clone(), batch));
        Ok(())
    }

    /// What devices show becomes durable, or ends.
    fn take_shown(&mut self, id: JobId, row: Option<&ShownRow>) -> Check {
        let before = self.pushes.shown.remove(&id);
        let Some(row) = row else { return Ok(()) };
        if before.as_ref().is_some_and(|before| before.seq > row.seq) {
            broken!("what is shown to {id:?} steps back from {before:?} to {row:?}");
        }
        if self.fact(id.1, row.seq).is_none() || row.targets.is_empty() {
            broken!("{id:?} is said to be shown {row:?}, which is not durable, or by nobody");
        }
        self.pushes.shown.insert(id, row.clone());
        Ok(())
    }

    /// Whether a message needs no job, or has had one.
    fn is_covered(&self, user: UserId, channel: ChannelId, seq: Seq) -> bool {
        let covered = self.pushes.covered.get(&(user, channel)).is_some_and(|covered| *covered >= seq);
        covered || self.position(channel, user) >= seq
    }

    /// A pointer is durable: the user is to be told, or to take it in time.
    fn owe(&mut self, user: UserId, at: u64, channel: ChannelId, seq: Seq) -> Check {
        let counts = |fact: &crate::oracle::Fact| fact.sender != user && fact.kind.counts_as_unread();
        if !self.fact(channel, seq).is_some_and(counts) || self.is_covered(user, channel, seq) {
            return Ok(());
        }
        let pushes = &mut self.pushes;
        let (Some(since), Some((stored, stored_at))) =
            (pushes.since.get(&user), pushes.stored.get(&(channel, seq)))
        else {
            return Ok(());
        };
        if since >= stored {
            return Ok(());
        }
        let had = *since;
        if pushes.absent.get(&user).is_some_and(|absent| absent <= stored_at) {
            broken!("{user} was not there, and {channel:?} {seq} is in the inbox without a job");
        }
        pushes.due.push(Due { user, at, channel, seq, since: pushes.now, life: pushes.life, had });
        Ok(())
    }

    /// Nothing is under way: whatever was not taken in time has a job by now.
    fn check_due(&mut self, push_ack_ms: u64) -> Check {
        let now = self.pushes.now;
        for taken in self.pushes.taken.values_mut() {
            taken.arrived.get_or_insert(now);
        }
        let mut due = std::mem::take(&mut self.pushes.due);
        due.retain(|due| {
            let taken = self.pushes.taken.get(&due.user).is_some_and(|taken| taken.at >= due.at);
            let has = self.pushes.since.get(&due.user) == Some(&due.had);
            let is_over = taken || due.life != self.pushes.life || !has;
            !is_over && !self.is_covered(due.user, due.channel, due.seq)
        });
        for Due { user, channel, seq, since, at, .. } in &due {
            let arrived = self.pushes.taken.get(user).and_then(|taken| taken.arrived).unwrap_or(0);
            if now > arrived.max(*since) + push_ack_ms + SLOT_MS {
                broken!("{user} has not taken {channel:?} {seq} at {at} since {since}, and there is no job");
            }
        }
        self.pushes.due = due;
        Ok(())
    }
}

/// Takes what a batch says of push into the model. Positions, messages and pointers are there already.
pub(crate) fn rows(oracle: &mut Oracle, batch: &Batch) -> Check {
    let all = || batch.parts.iter().flat_map(|part| part.rows.iter().map(move |row| (part.bay, row)));
    oracle.pushes.batches += 1;
    for (bay, row) in all() {
        let of = match row {
            Row::Message { channel, seq, .. } => {
                let when = (oracle.pushes.batches, oracle.pushes.now);
                oracle.pushes.stored.insert((*channel, *seq), when);
                continue;
            }
            Row::Relation { user, other, relation } => {
                oracle.pushes.relations.insert((*user, *other), *relation);
                continue;
            }
            Row::Subscription { user, device, provider, row } => {
                oracle.pushes.subscribe(*user, (*device, *provider), row.clone());
                *user
            }
            Row::SubscriptionGone { user, device, provider } => {
                oracle.pushes.unsubscribe(*user, (*device, *provider));
                *user
            }
            Row::Job { user, channel, row } => {
                oracle.take_job((*user, *channel), row.as_ref())?;
                *user
            }
            Row::Shown { user, channel, row } => {
                oracle.take_shown((*user, *channel), row.as_ref())?;
                *user
            }
            _ => continue,
        };
        if bay != BayId::of_user(of) {
            broken!("{row:?} in bay {bay}, belongs in {}", BayId::of_user(of));
        }
    }
    for (_, row) in all() {
        match row {
            Row::Run { user, first, entries } => {
                for (at, (channel, seq)) in (first.0..).zip(entries) {
                    oracle.owe(*user, at, *channel, *seq)?;
                }
            }
            // Behind the whole batch: a device may come, be subscribed and go in one.
            Row::Subscription { user, device, provider, .. } => {
                let stays = oracle.pushes.is_subscribed(*user, (*device, *provider));
                if stays && !oracle.has_device(*user, *device) {
                    broken!("device {device} of {user} is to be told, and is none");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl World {
    /// Who is there, and what is owed, at the end of a step.
    pub(crate) fn check_pushes(&mut self) -> Check {
        self.oracle.pushes.now = self.now;
        let conns = self.node.iter().flat_map(|node| node.conns.values());
        let there: BTreeSet<UserId> =
            conns.filter_map(|conn| conn.watch.as_ref()).map(|w| w.user()).collect();
        self.oracle.pushes.is_there(there.iter().copied());
        if self.node.is_some() && self.is_idle() {
            let pushes = &mut self.oracle.pushes;
            let away = self.users.iter().filter(|user| !there.contains(user));
            for user in away {
                pushes.absent.entry(*user).or_insert(self.now);
            }
            self.oracle.check_due(self.plan.limits.push_ack_ms)?;
            if self.outbox.is_at_rest(self.now + self.wall_ahead) {
                nothing_read_waits(self)?;
            }
        }
        Ok(())
    }
}

/// Nothing is under way, though jobs may wait for their time: what was read waits no more, where that could be asked.
fn nothing_read_waits(world: &World) -> Check {
    let oracle = &world.oracle;
    for ((user, channel), (job, _)) in &oracle.pushes.jobs {
        if !world.outbox.is_put_off((*user, *channel))
            && oracle.position(*channel, *user) >= job.seq
            && !job.is_parked
        {
            broken!("{user} has read {channel:?}, and is still to be told of it: {job:?}");
        }
    }
    Ok(())
}

/// Nothing is left to be withdrawn, and the store says the same.
fn nothing_is_to_be_withdrawn(world: &World) -> Check {
    if let Some((id, row)) = world.oracle.pushes.shown.iter().find(|(_, row)| row.is_read) {
        broken!("{id:?} is read and still shown: {row:?}");
    }
    for bay in BayId::all() {
        let query = Query::Withdrawals { bay, after: None, limit: 1 };
        match world.disk.store().read(&query, Tier::Any) {
            Ok(Some(Answer::Withdrawals { items, more: false })) if items.is_empty() => {}
            other => broken!("withdrawals of bay {bay}, where the model has none: {other:?}"),
        }
    }
    Ok(())
}

/// Everything is at rest: nobody is to be told of anything, but for what was parked, and the store says the same.
pub(crate) fn at_rest(world: &World) -> Check {
    nothing_is_to_be_withdrawn(world)?;
    let mut expected = world.oracle.pushes.jobs.iter().map(|(id, (row, _))| (*id, row)).collect::<Vec<_>>();
    if let Some(((user, channel), job)) = expected.iter().find(|(_, job)| !job.is_parked) {
        broken!("{user} is still to be told of {channel:?}: {job:?}");
    }
    let mut found = Vec::new();
    for bay in BayId::all() {
        let mut after = None;
        loop {
            let query = Query::Jobs { bay, after, limit: 2 };
            let Ok(Some(Answer::Jobs { items, more })) = world.disk.store().read(&query, Tier::Any) else {
                broken!("jobs of bay {bay} cannot be read");
            };
            after = items.last().map(|(user, channel, _)| (*user, *channel));
            found.extend(items);
            if !more {
                break;
            }
        }
    }
    found.sort_by_key(|(user, channel, _)| (*user, *channel));
    expected.sort_by_key(|(id, _)| *id);
    let found = found.iter().map(|(user, channel, row)| ((*user, *channel), row));
    if !found.clone().eq(expected.iter().copied()) {
        let found: Vec<_> = found.collect();
        broken!("the store has the jobs {found:?}, the model {expected:?}");
    }
    Ok(())
}
