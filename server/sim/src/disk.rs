//! The stores of a data directory and the store threads in front of them. It outlives the processes: what a process had
//! queued dies with it, except for what a commit under way still manages to write.

use std::collections::VecDeque;

use protocol::commit::Batch;
use protocol::query::{Answer, Query, ReadFault, StoreState};
use protocol::{ChannelId, Generation, Placement, ShardId, StoreId, UserId};
use shard::limits::BATCHES_IN_FLIGHT_MAX;
use shard::{Input, Ticket};
use storage::{Stores, Tier};

use crate::broken;
use crate::durable;
use crate::oracle::{Check, Oracle};
use crate::plan::Plan;
use crate::rng::Rng;

/// K stores, K store threads, and the reader threads.
#[derive(Debug)]
pub struct Disk {
    stores: Stores,
    threads: Vec<Thread>,
    reads: Vec<Pending>,
    /// What cannot be read, and until when.
    unreadable: Vec<(Unreadable, u64)>,
    /// Reads that failed for it: of users, logs, histories.
    pub unread: [u64; 3],
    /// What is really on the disk, while the disk lies.
    synced: Option<Stores>,
}

/// Rows that a part of the disk holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// The rows of a user.
    User(UserId),
    /// The fan-out log of a store.
    Log(StoreId),
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
                Query::User(of) | Query::Inbox { user: of, .. } | Query::Joined { user: of, .. },
            ) => user == *of,
            (Self::Log(store), Query::Replay { source, .. }) => store == *source,
            (
                Self::History(channel),
                Query::Channel(of) | Query::Window { channel: of, .. } | Query::History { channel: of, .. },
            ) => channel == *of,
            _ => false,
        }
    }
}

/// One store thread.
#[derive(Debug, Default)]
struct Thread {
    queue: VecDeque<Batch>,
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
    /// A fresh data directory.
    #[must_use]
    pub fn new(stores: u16) -> Self {
        Self {
            stores: Stores::memory(stores),
            threads: (0..stores).map(|_| Thread::default()).collect(),
            reads: Vec::new(),
            unreadable: Vec::new(),
            unread: [0; 3],
            synced: None,
        }
    }

    /// From now on the disk says of every write that it is synced, and none is: a crash is a power cut that loses them all.
    pub fn lie(&mut self) {
        self.synced = self.stores.copy();
    }

    /// These rows cannot be read until then.
    pub fn make_unreadable(&mut self, what: Unreadable, until: u64) {
        self.unreadable.push((what, until));
    }

    /// What boot finds.
    ///
    /// # Errors
    /// The store's own words.
    pub fn states(&self) -> Result<Vec<StoreState>, String> {
        let ids = (0..self.threads.len()).map(|store| StoreId(store as u16));
        ids.map(|id| self.stores.state(id).map_err(|error| format!("state of store {id}: {error}"))).collect()
    }

    /// A shard asks for a commit.
    ///
    /// # Errors
    /// Foreign store, numbers that are not dense, more in flight than the bound.
    pub fn append(&mut self, placement: Placement, shard: ShardId, batch: Batch) -> Check {
        let Some(thread) = self.threads.get_mut(usize::from(batch.store.0)) else {
            broken!("append to store {}, which does not exist", batch.store);
        };
        if placement.shard_of_store(batch.store) != shard {
            broken!("shard {shard} writes store {}", batch.store);
        }
        if batch.number != thread.appended + 1 {
            broken!("store {}: batch {} behind {}", batch.store, batch.number, thread.appended);
        }
        thread.appended = batch.number;
        thread.queue.push_back(batch);
        if thread.queue.len() > BATCHES_IN_FLIGHT_MAX {
            broken!("{} batches in flight", thread.queue.len());
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
                    let answer = self.stores.read(&query, Tier::Any).map_err(ReadFault::from);
                    answer.and_then(|answer| answer.ok_or_else(|| passing("no answer outside the cache")))
                };
                (shard, Input::Read { ticket, answer })
            })
            .collect()
    }

    /// Each idle store thread takes some of what waits, writes it in one go, and says so.
    ///
    /// # Errors
    /// An invariant of what is durable.
    pub fn commit(
        &mut self,
        rng: &mut Rng,
        plan: &Plan,
        now: u64,
        oracle: &mut Oracle,
    ) -> Result<Vec<(StoreId, u64)>, String> {
        let mut stored = Vec::new();
        for store in rng.order(self.threads.len()) {
            let thread = &mut self.threads[store];
            if thread.idle_until > now || thread.queue.is_empty() {
                continue;
            }
            let take = 1 + rng.place(thread.queue.len());
            thread.idle_until = now + rng.below(plan.commit_max_ms + 1);
            let number = self.write(store, take, oracle)?;
            stored.push((StoreId(store as u16), number));
        }
        Ok(stored)
    }

    fn write(&mut self, store: usize, take: usize, oracle: &mut Oracle) -> Result<u64, String> {
        let batches: Vec<Batch> = self.threads[store].queue.drain(..take).collect();
        for batch in &batches {
            durable::apply(oracle, batch)?;
        }
        let written = self.stores.commit(StoreId(store as u16), &batches);
        written.map_err(|error| format!("memory store {store} refused a commit: {error}"))?;
        Ok(batches.last().map_or(0, |batch| batch.number))
    }

    /// A store does nothing until then.
    pub fn stop(&mut self, store: usize, until: u64) {
        if let Some(thread) = self.threads.get_mut(store) {
            thread.idle_until = until;
        }
    }

    /// Every store thread and every read goes on now, and everything can be read.
    pub fn heal(&mut self, now: u64) {
        self.unreadable.clear();
        self.threads.iter_mut().for_each(|thread| thread.idle_until = thread.idle_until.min(now));
        self.reads.iter_mut().for_each(|read| read.due = read.due.min(now));
    }

    /// The process is gone. Of what each store thread had, a prefix that nobody knows was written.
    ///
    /// # Errors
    /// An invariant of what is durable.
    pub fn crash(&mut self, rng: &mut Rng, oracle: &mut Oracle) -> Check {
        for store in 0..self.threads.len() {
            let queued = self.threads[store].queue.len();
            let survive = rng.place(queued + 1);
            if survive > 0 {
                self.write(store, survive, oracle)?;
            }
            self.threads[store] = Thread::default();
        }
        self.reads.clear();
        if let Some(synced) = self.synced.as_ref().and_then(Stores::copy) {
            self.stores = synced;
        }
        Ok(())
    }

    /// The process ends in order: the store threads write what they have first.
    ///
    /// # Errors
    /// An invariant of what is durable.
    pub fn close(&mut self, oracle: &mut Oracle) -> Check {
        for store in 0..self.threads.len() {
            let queued = self.threads[store].queue.len();
            if queued > 0 {
                self.write(store, queued, oracle)?;
            }
            self.threads[store] = Thread::default();
        }
        self.reads.clear();
        Ok(())
    }

    /// A copy of what is written, as a backup of a stopped directory or a snapshot of its volume holds it.
    #[must_use]
    pub fn backup(&self) -> Option<Stores> {
        self.stores.copy()
    }

    /// A backup takes the place of the stores and begins a new life. The process must be gone.
    ///
    /// # Errors
    /// The store's own words.
    pub fn restore(&mut self, backup: Stores, generation: Generation) -> Check {
        self.stores = backup;
        let stores = (0..self.threads.len()).map(|store| StoreId(store as u16));
        let mut begun = stores.map(|store| self.stores.begin_life(store, generation));
        begun.try_for_each(|begun| begun.map_err(|error| format!("a new generation: {error}")))
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.reads.is_empty() && self.threads.iter().all(|thread| thread.queue.is_empty())
    }

    /// The storage's own check of everything it promises.
    ///
    /// # Errors
    /// What it found.
    pub fn check(&self) -> Check {
        let mut found = Vec::new();
        let summary = self.stores.check(&mut |finding| found.push(finding));
        let summary = summary.map_err(|error| format!("check of the stores: {error}"))?;
        if !summary.is_clean() {
            broken!("check of the stores: {found:?} {summary:?}");
        }
        Ok(())
    }

    /// The stores themselves, for the checks at the end.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.stores
    }
}

/// An error of the disk that may pass.
fn passing(what: &str) -> ReadFault {
    ReadFault::Io { place: "the simulated disk".into(), what: what.into() }
}
