//! The store of a data directory and what its thread has to write for each shard. It outlives the processes: what a process
//! had queued dies with it, except for what a commit under way still manages to write.

use std::collections::VecDeque;

use protocol::commit::{Batch, Row};
use protocol::query::{Answer, BayState, Query, ReadFault};
use protocol::{BayId, ChannelId, Generation, Placement, ShardId, UserId};
use shard::limits::BATCHES_IN_FLIGHT_MAX;
use shard::{Input, Ticket};
use storage::{FamilyError, Store, Tier};

use crate::broken;
use crate::durable;
use crate::oracle::{Check, Oracle};
use crate::plan::Plan;
use crate::rng::Rng;

/// The store, what waits for it, and the reader threads.
#[derive(Debug)]
pub struct Disk {
    store: Store,
    /// By shard.
    queues: Vec<Queue>,
    reads: Vec<Pending>,
    /// What cannot be read, and until when.
    unreadable: Vec<(Unreadable, u64)>,
    /// Reads that failed for it: of users, logs, histories.
    pub unread: [u64; 3],
    /// What is really on the disk, while the disk lies.
    synced: Option<Store>,
    /// Writes so far.
    writes: u64,
}

/// A channel gets a family of its own, or gives it back, with each so many writes.
const FAMILY_EVERY: u64 = 5;
/// Bytes of messages that move with every other: a few.
const MOVE_BYTES: usize = 400;

/// Rows that a part of the disk holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// The rows of a user.
    User(UserId),
    /// The fan-out log of a bay.
    Log(BayId),
    /// The history of a channel.
    History(ChannelId),
}

impl Unreadable {
    /// Where its failed reads are counted.
    fn place(self) -> usize {
        match self {
            Self::User(_) => 0,
            Self::Log(_) => 1,
            Self::History(_) => 2,
        }
    }

    /// Whether a query needs it.
    fn is_needed_by(self, query: &Query) -> bool {
        match (self, query) {
            (
                Self::User(user),
                Query::User(of)
                | Query::Inbox { user: of, .. }
                | Query::Joined { user: of, .. }
                | Query::Listing { user: of, .. }
                | Query::Notes { user: of, .. }
                | Query::Push { user: of, .. }
                | Query::Mentions { user: of, .. },
            ) => user == *of,
            (Self::Log(bay), Query::Replay { source, .. }) => bay == *source,
            (
                Self::History(channel),
                Query::Channel(of)
                | Query::Window { channel: of, .. }
                | Query::History { channel: of, .. }
                | Query::Around { channel: of, .. }
                | Query::Target { channel: of, .. }
                | Query::About { channel: of, .. }
                | Query::Thread { channel: of, .. },
            ) => channel == *of,
            _ => false,
        }
    }
}

/// Batches of one shard.
#[derive(Debug, Default)]
struct Queue {
    batches: VecDeque<Batch>,
    appended: u64,
    idle_until: u64,
}

/// A read under way.
#[derive(Debug)]
struct Pending {
    shard: ShardId,
    due: u64,
    ticket: Ticket,
    query: Query,
}

impl Disk {
    /// A fresh data directory, for processes of at most so many shards.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        Self {
            store: Store::memory(),
            queues: (0..shards).map(|_| Queue::default()).collect(),
            reads: Vec::new(),
            unreadable: Vec::new(),
            unread: [0; 3],
            synced: None,
            writes: 0,
        }
    }

    /// From now on the disk says of every write that it is synced, and none is: a crash is a power cut that loses them all.
    pub fn lie(&mut self) {
        self.synced = self.store.copy();
    }

    /// These rows cannot be read until then.
    pub fn make_unreadable(&mut self, what: Unreadable, until: u64) {
        self.unreadable.push((what, until));
    }

    /// What boot finds.
    ///
    /// # Errors
    /// The store's own words.
    pub fn states(&self) -> Result<Vec<BayState>, String> {
        self.store.states().map_err(|error| format!("states of the bays: {error}"))
    }

    /// A shard asks for a commit.
    ///
    /// # Errors
    /// Foreign bay, numbers that are not dense, more in flight than the bound.
    pub fn append(&mut self, placement: Placement, shard: ShardId, batch: Batch) -> Check {
        let Some(queue) = self.queues.get_mut(usize::from(shard.0)) else {
            broken!("append by shard {shard}, which does not exist");
        };
        if let Some(part) = batch.parts.iter().find(|part| placement.home(part.bay) != shard) {
            broken!("shard {shard} writes bay {}", part.bay);
        }
        if batch.shard != shard || batch.number != queue.appended + 1 {
            broken!("shard {shard}: batch {} of {} behind {}", batch.number, batch.shard, queue.appended);
        }
        queue.appended = batch.number;
        queue.batches.push_back(batch);
        if queue.batches.len() > BATCHES_IN_FLIGHT_MAX {
            broken!("{} batches in flight", queue.batches.len());
        }
        Ok(())
    }

    /// A shard asks a question.
    pub fn read(
        &mut self,
        rng: &mut Rng,
        plan: &Plan,
        now: u64,
        shard: ShardId,
        ticket: Ticket,
        query: Query,
    ) {
        let inline = rng.chance(plan.inline_reads);
        let due = if inline { now } else { now + rng.below(plan.read_max_ms + 1) };
        self.reads.push(Pending { shard, due, ticket, query });
    }

    /// Whether what a question needs cannot be read now.
    pub(crate) fn cannot_read(&self, query: &Query) -> bool {
        self.unreadable.iter().any(|(what, _)| what.is_needed_by(query))
    }

    /// Answers the reads that are due, from what is committed now. Threads race, so the order is drawn.
    pub fn answer(&mut self, rng: &mut Rng, now: u64, failed: u64) -> Vec<(ShardId, Input)> {
        let (due, rest) = std::mem::take(&mut self.reads).into_iter().partition(|read| read.due <= now);
        self.reads = rest;
        self.unreadable.retain(|(_, until)| *until > now);
        let mut due: Vec<Option<Pending>> = due.into_iter().map(Some).collect();
        let order = rng.order(due.len());
        let taken = order.into_iter().filter_map(|place| due[place].take());
        taken
            .map(|Pending { shard, ticket, query, .. }| {
                let unreadable = self.unreadable.iter().find(|(what, _)| what.is_needed_by(&query));
                if let Some((what, _)) = unreadable {
                    self.unread[what.place()] += 1;
                }
                let answer: Result<Answer, ReadFault> = if rng.chance(failed) || unreadable.is_some() {
                    Err(passing("injected read fault"))
                } else {
                    let answer = self.store.read(&query, Tier::Any).map_err(ReadFault::from);
                    answer.and_then(|answer| answer.ok_or_else(|| passing("no answer outside the cache")))
                };
                (shard, Input::Read { ticket, answer })
            })
            .collect()
    }

    /// Of each shard that is not held up some of what waits is written in one go, and it is said so.
    ///
    /// # Errors
    /// An invariant of what is durable.
    pub fn commit(
        &mut self,
        rng: &mut Rng,
        plan: &Plan,
        now: u64,
        oracle: &mut Oracle,
    ) -> Result<Vec<(ShardId, u64)>, String> {
        let mut stored = Vec::new();
        for shard in rng.order(self.queues.len()) {
            let queue = &mut self.queues[shard];
            if queue.idle_until > now || queue.batches.is_empty() {
                continue;
            }
            let take = 1 + rng.place(queue.batches.len());
            queue.idle_until = now + rng.below(plan.commit_max_ms + 1);
            let number = self.write(shard, take, oracle)?;
            stored.push((ShardId(shard as u16), number));
        }
        Ok(stored)
    }

    fn write(&mut self, shard: usize, take: usize, oracle: &mut Oracle) -> Result<u64, String> {
        let batches: Vec<Batch> = self.queues[shard].batches.drain(..take).collect();
        for batch in &batches {
            durable::apply(oracle, batch)?;
        }
        let written = self.store.commit(&batches);
        written.map_err(|error| format!("the memory store refused a commit: {error}"))?;
        self.move_families(&batches)?;
        Ok(batches.last().map_or(0, |batch| batch.number))
    }

    /// Families of one channel come, fill, empty and go, which nobody may notice. Counted and not drawn: the seeds that found
    /// something go on meaning what they meant.
    fn move_families(&mut self, committed: &[Batch]) -> Check {
        self.writes += 1;
        if !self.writes.is_multiple_of(FAMILY_EVERY) {
            let moved = self.store.move_messages(MOVE_BYTES);
            return moved.map(drop).map_err(|error| format!("the memory store refused a move: {error}"));
        }
        let rows = committed.iter().flat_map(|batch| &batch.parts).flat_map(|part| &part.rows);
        let channel = rows.into_iter().find_map(|row| match row {
            Row::Message { channel, .. } => Some(*channel),
            _ => None,
        });
        let Some(channel) = channel else { return Ok(()) };
        let changed = match self.store.give_family(channel) {
            Err(FamilyError::Has) => self.store.return_family(channel),
            given => given.map(drop),
        };
        match changed {
            Ok(()) | Err(FamilyError::Returning | FamilyError::AllTaken) => Ok(()),
            Err(error) => Err(format!("the memory store refused a family: {error}")),
        }
    }

    /// Nothing of a shard is written until then.
    pub fn stop(&mut self, shard: usize, until: u64) {
        if let Some(queue) = self.queues.get_mut(shard) {
            queue.idle_until = until;
        }
    }

    /// Every write and every read goes on now, and everything can be read.
    pub fn heal(&mut self, now: u64) {
        self.unreadable.clear();
        self.queues.iter_mut().for_each(|queue| queue.idle_until = queue.idle_until.min(now));
        self.reads.iter_mut().for_each(|read| read.due = read.due.min(now));
    }

    /// The process is gone. Of what waited of each shard, a prefix that nobody knows was written.
    ///
    /// # Errors
    /// An invariant of what is durable.
    pub fn crash(&mut self, rng: &mut Rng, oracle: &mut Oracle) -> Check {
        for shard in 0..self.queues.len() {
            let queued = self.queues[shard].batches.len();
            let survive = rng.place(queued + 1);
            if survive > 0 {
                self.write(shard, survive, oracle)?;
            }
            self.queues[shard] = Queue::default();
        }
        self.reads.clear();
        if let Some(synced) = self.synced.as_ref().and_then(Store::copy) {
            self.store = synced;
        }
        Ok(())
    }

    /// The process ends in order: what waits is written first.
    ///
    /// # Errors
    /// An invariant of what is durable.
    pub fn close(&mut self, oracle: &mut Oracle) -> Check {
        for shard in 0..self.queues.len() {
            let queued = self.queues[shard].batches.len();
            if queued > 0 {
                self.write(shard, queued, oracle)?;
            }
            self.queues[shard] = Queue::default();
        }
        self.reads.clear();
        Ok(())
    }

    /// A copy of what is written, as a backup of a stopped directory or a snapshot of its volume holds it.
    #[must_use]
    pub fn backup(&self) -> Option<Store> {
        self.store.copy()
    }

    /// A backup takes the place of the store and begins a new life. The process must be gone.
    ///
    /// # Errors
    /// The store's own words.
    pub fn restore(&mut self, backup: Store, generation: Generation) -> Check {
        self.store = backup;
        let mut begun = BayId::all().map(|bay| self.store.begin_life(bay, generation));
        begun.try_for_each(|begun| begun.map_err(|error| format!("a new generation: {error}")))
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.reads.is_empty() && self.queues.iter().all(|queue| queue.batches.is_empty())
    }

    /// The storage's own check of everything it promises.
    ///
    /// # Errors
    /// What it found.
    pub fn check(&self) -> Check {
        let mut found = Vec::new();
        let summary = self.store.check(&mut |finding| found.push(finding));
        let summary = summary.map_err(|error| format!("check of the store: {error}"))?;
        if !summary.is_clean() {
            broken!("check of the store: {found:?} {summary:?}");
        }
        Ok(())
    }

    /// The store itself, for the checks at the end.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// An error of the disk that may pass.
fn passing(what: &str) -> ReadFault {
    ReadFault::Io { place: "the simulated disk".into(), what: what.into() }
}
