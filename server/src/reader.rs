//! The reader threads: they answer queries that are not answered from memory. Any of them may read any store, because
//! committed bytes do not change.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use protocol::query::{Answer, Query, ReadFault};
use shard::Ticket;
use storage::{Stores, Tier};

use crate::mesh::{Outlet, Post};

/// The readers of a node. Cheap to clone; when all clones are dropped the threads answer what waits and end.
///
/// The queue has no bound of its own: the core bounds the queries of a session and of a load, and a bound here would
/// make a shard wait.
#[derive(Clone, Debug)]
pub struct Readers {
    queue: Sender<Job>,
    meter: Arc<ReadMeter>,
}

/// What the readers count.
#[derive(Debug, Default)]
pub struct ReadMeter {
    asked: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
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
}

#[derive(Debug)]
struct Job {
    to: Outlet,
    ticket: Ticket,
    query: Query,
}

impl Readers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(count: u16, stores: &Arc<Stores>) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (queue, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let meter = Arc::<ReadMeter>::default();
        let start = |index: u16| {
            let (waiting, stores, meter) = (waiting.clone(), stores.clone(), meter.clone());
            let thread = std::thread::Builder::new().name(format!("reader-{index}"));
            thread.spawn(move || run(&waiting, &stores, &meter))
        };
        let threads = (0..count.max(1)).map(start).collect::<io::Result<Vec<_>>>()?;
        Ok((Self { queue, meter }, threads))
    }

    /// Hands a query over; the answer is posted to the shard.
    pub fn read(&self, to: &Outlet, ticket: Ticket, query: Query) {
        self.meter.asked.fetch_add(1, Ordering::Relaxed);
        if self.queue.send(Job { to: to.clone(), ticket, query }).is_err() {
            tracing::warn!("a query came after the readers had ended");
        }
    }

    /// What they count.
    #[must_use]
    pub fn meter(&self) -> Arc<ReadMeter> {
        self.meter.clone()
    }
}

fn run(waiting: &Mutex<Receiver<Job>>, stores: &Stores, meter: &ReadMeter) {
    loop {
        // Whoever holds the lock waits for the next job, the others wait for the lock.
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { to, ticket, query }) = job else { return };
        let answer = answer(stores, &query);
        meter.answered.fetch_add(1, Ordering::Relaxed);
        if let Err(fault) = &answer {
            meter.failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(?query, %fault, "a query failed");
        }
        to.post(Post::Read { ticket, answer });
    }
}

fn answer(stores: &Stores, query: &Query) -> Result<Answer, ReadFault> {
    let unanswered = || ReadFault::Io { place: "the store".into(), what: "it gave no answer".into() };
    stores.read(query, Tier::Any)?.ok_or_else(unanswered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh;
    use protocol::{ShardId, UserId};

    #[test]
    fn an_answer_goes_to_the_shard_that_asked() {
        let (mailboxes, outlets) = mesh::build(2);
        let (readers, threads) = Readers::start(2, &Arc::new(Stores::memory(2))).unwrap();
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
            assert!(matches!(answer, Ok(Answer::User { account: None, .. })));
            tickets.push(ticket.0);
        }
        tickets.sort_unstable();
        assert_eq!(tickets, (0..100).collect::<Vec<_>>());
        assert_eq!((meter.answered(), meter.waiting()), ((100, 0), 0));
    }
}
