//! The reader threads: they answer queries that are not answered from memory. Committed bytes do not
//! change, so any of them may read anything.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased};
use protocol::Placement;
use protocol::partition::BAYS;
use protocol::query::{Answer, Query, ReadFault};
use shard::Ticket;
use shard::limits::{LOADS_ASKED_MAX, PAGES_ASKED_MAX};
use storage::{Store, Tier};

use crate::fatal;
use crate::mesh::{Outlet, Post};

/// A line about failed reads is written at most this often; the next one says how many were not.
const LOG_EVERY_MS: u64 = 1000;
/// How far below the shards a reader stands: a tenth of their share when both want the same processor (sched(7)).
const NICE: i32 = 10;

/// The readers of a node. Cheap to clone; when all clones are dropped the threads answer what waits and end.
///
/// Two lanes: loads, windows and replays are taken before pages, because many wait for each of those and one device for a
/// page. Both have room for all that the shards may ask at once ([`LOADS_ASKED_MAX`], [`PAGES_ASKED_MAX`] of each, and a
/// replay for each bay and shard), so a shard never waits here.
#[derive(Clone, Debug)]
pub struct Readers {
    loads: Sender<Job>,
    pages: Sender<Job>,
    meter: Arc<ReadMeter>,
}

/// What the readers count.
#[derive(Debug)]
pub struct ReadMeter {
    asked: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    began: Instant,
    /// When the next line about a failure may be written, milliseconds behind `began`.
    log_at_ms: AtomicU64,
    unlogged: AtomicU64,
}

impl Default for ReadMeter {
    fn default() -> Self {
        Self {
            asked: AtomicU64::default(),
            answered: AtomicU64::default(),
            failed: AtomicU64::default(),
            began: Instant::now(),
            log_at_ms: AtomicU64::default(),
            unlogged: AtomicU64::default(),
        }
    }
}

impl ReadMeter {
    /// Queries answered, and how many of them with an error.
    #[must_use]
    pub fn answered(&self) -> (u64, u64) {
        (self.answered.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// Queries that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.asked.load(Ordering::Relaxed).saturating_sub(self.answered.load(Ordering::Relaxed))
    }

    /// A query failed, here or on a shard's own thread. Counted always, written down at most once a second.
    pub fn failed(&self, query: &Query, fault: &ReadFault) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(unlogged) = self.may_log(now_ms) {
            tracing::error!(?query, %fault, unlogged, "a query failed");
        }
    }

    /// Whether a line may be written now, and how many were not since the last.
    fn may_log(&self, now_ms: u64) -> Option<u64> {
        let at_ms = self.log_at_ms.load(Ordering::Relaxed);
        let next = now_ms.saturating_add(LOG_EVERY_MS);
        let order = Ordering::Relaxed;
        if now_ms < at_ms || self.log_at_ms.compare_exchange(at_ms, next, order, order).is_err() {
            self.unlogged.fetch_add(1, order);
            return None;
        }
        Some(self.unlogged.swap(0, order))
    }
}

#[derive(Debug)]
struct Job {
    to: Outlet,
    ticket: Ticket,
    query: Query,
}

/// A page is for one device; everything else is a load.
fn is_page(query: &Query) -> bool {
    match query {
        Query::Inbox { .. }
        | Query::History { .. }
        | Query::Around { .. }
        | Query::Joined { .. }
        | Query::Listing { .. }
        | Query::Notes { .. }
        | Query::Thread { .. }
        | Query::About { .. }
        | Query::MembersPage { .. }
        | Query::Mentions { .. } => true,
        Query::User(_)
        | Query::Channel(_)
        | Query::Window { .. }
        | Query::Membership { .. }
        | Query::Members { .. }
        | Query::Earlier { .. }
        | Query::Relation { .. }
        | Query::Target { .. }
        | Query::Jobs { .. }
        | Query::Withdrawals { .. }
        | Query::Push { .. }
        | Query::Floor { .. }
        | Query::Written { .. }
        | Query::Trace { .. }
        | Query::Replay { .. } => false,
    }
}

impl Readers {
    /// Starts `count` threads for the shards of a placement.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(
        count: u16,
        placement: Placement,
        store: &Arc<Store>,
    ) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let shards = usize::from(placement.shards());
        let replays = shards * usize::from(BAYS);
        let (loads, loads_waiting) = bounded(shards * LOADS_ASKED_MAX + replays);
        let (pages, pages_waiting) = bounded(shards * PAGES_ASKED_MAX);
        let meter = Arc::<ReadMeter>::default();
        let start = |index: u16| {
            let (loads, pages) = (loads_waiting.clone(), pages_waiting.clone());
            let (store, meter) = (store.clone(), meter.clone());
            let thread = std::thread::Builder::new().name(format!("reader-{index}"));
            thread.spawn(move || {
                yield_to_shards();
                run(&loads, &pages, &store, &meter);
            })
        };
        let threads = (0..count.max(1)).map(start).collect::<io::Result<Vec<_>>>()?;
        Ok((Self { loads, pages, meter }, threads))
    }

    /// Hands a query over; the answer is posted to the shard. Never waits.
    pub fn read(&self, to: &Outlet, ticket: Ticket, query: Query) {
        self.meter.asked.fetch_add(1, Ordering::Relaxed);
        let lane = if is_page(&query) { &self.pages } else { &self.loads };
        match lane.try_send(Job { to: to.clone(), ticket, query }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => fatal::lane_full(),
            Err(TrySendError::Disconnected(_)) => tracing::warn!("a query came after the readers had ended"),
        }
    }

    /// What they count.
    #[must_use]
    pub fn meter(&self) -> Arc<ReadMeter> {
        self.meter.clone()
    }
}

/// Lets shards and store threads go first on this thread's processor. A reader has work for milliseconds, one after the other, and
/// an ack waits for none of it. Not idle priority: a load that a device waits for still gets its share of a busy machine.
fn yield_to_shards() {
    // Linux keeps this value a thread. To lower one's own priority is always allowed.
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a reader keeps its priority");
    }
}

fn run(loads: &Receiver<Job>, pages: &Receiver<Job>, store: &Store, meter: &ReadMeter) {
    while let Some(Job { to, ticket, query }) = next(loads, pages) {
        let answer = answer(store, &query);
        meter.answered.fetch_add(1, Ordering::Relaxed);
        if let Err(fault) = &answer {
            meter.failed(&query, fault);
        }
        to.post(Post::Read { ticket, answer: Box::new(answer) });
    }
}

/// A load if one waits, else whatever comes first. `None` once both lanes are empty for good.
fn next(loads: &Receiver<Job>, pages: &Receiver<Job>) -> Option<Job> {
    select_biased! {
        recv(loads) -> job => job.or_else(|_| pages.recv()).ok(),
        recv(pages) -> job => job.or_else(|_| loads.recv()).ok(),
    }
}

fn answer(store: &Store, query: &Query) -> Result<Answer, ReadFault> {
    let unanswered = || ReadFault::Io { place: "the store".into(), what: "it gave no answer".into() };
    store.read(query, Tier::Any)?.ok_or_else(unanswered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh;
    use protocol::{ShardId, UserId};

    #[test]
    fn an_answer_goes_to_the_shard_that_asked() {
        let placement = Placement::new(2).unwrap();
        let (mailboxes, outlets) = mesh::build(2);
        let (readers, threads) = Readers::start(2, placement, &Arc::new(Store::memory())).unwrap();
        let to = outlets.to(ShardId(1)).unwrap();
        for ticket in 0..100 {
            readers.read(&to, Ticket(ticket), Query::User(UserId(5)));
        }
        let meter = readers.meter();
        drop(readers);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(mailboxes[0].next_post().is_none());
        let mut tickets = Vec::new();
        while let Some(post) = mailboxes[1].next_post() {
            let Post::Read { ticket, answer } = post else { panic!("{post:?}") };
            assert!(matches!(*answer, Ok(Answer::User { account: None, .. })));
            tickets.push(ticket.0);
        }
        tickets.sort_unstable();
        assert_eq!(tickets, (0..100).collect::<Vec<_>>());
        assert_eq!((meter.answered(), meter.waiting()), ((100, 0), 0));
    }

    #[test]
    fn loads_are_taken_before_pages_and_both_before_the_end() {
        let (_mailboxes, outlets) = mesh::build(1);
        let to = outlets.to(ShardId(0)).unwrap();
        let ((loads, loads_waiting), (pages, pages_waiting)) = (bounded(9), bounded(9));
        let job = |ticket| Job { to: to.clone(), ticket: Ticket(ticket), query: Query::User(UserId(1)) };
        pages.send(job(1)).unwrap();
        pages.send(job(2)).unwrap();
        loads.send(job(3)).unwrap();
        loads.send(job(4)).unwrap();
        drop((loads, pages));
        let taken = std::iter::from_fn(|| next(&loads_waiting, &pages_waiting));
        assert_eq!(taken.map(|job| job.ticket.0).collect::<Vec<_>>(), [3, 4, 1, 2]);
    }

    #[test]
    fn a_failing_disk_writes_a_line_a_second() {
        let meter = ReadMeter::default();
        assert_eq!(meter.may_log(0), Some(0));
        assert_eq!((0..999).filter_map(|now| meter.may_log(now)).count(), 0);
        assert_eq!(meter.may_log(LOG_EVERY_MS), Some(999));
    }
}
