//! The store threads: each joins the batches that wait, of all its shards, into one synced write. One thread is enough for
//! [`SHARDS_PER_THREAD`] shards; where there are more, RocksDB joins the threads' writes into one sync.
//!
//! While a write is under way batches gather; the next write takes them all, up to a bound that keeps it short. So
//! under load one fsync serves many messages, and at rest one message has one fsync and no wait.

pub mod meter;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use protocol::ShardId;
use protocol::commit::{Batch, Row};
use shard::limits::BATCHES_IN_FLIGHT_MAX;
use storage::StoreError;

use meter::StoreMeter;

/// Messages that are joined into one write; a single batch may hold more.
pub const WRITE_MESSAGES_MAX: usize = 512;
/// Bytes that are joined into one write, about; a single batch may hold more.
pub const WRITE_BYTES_MAX: usize = 256 * 1024;
/// Shards whose batches one thread writes.
pub const SHARDS_PER_THREAD: u16 = 8;
/// Batches that may wait for one store thread. The cores keep fewer in flight, so a shard never waits here.
const QUEUE_MAX: usize = 2 * BATCHES_IN_FLIGHT_MAX * SHARDS_PER_THREAD as usize;
/// What a row weighs at least: its key and a small value.
const ROW_BYTES: usize = 64;

const _: () = assert!(BATCHES_IN_FLIGHT_MAX * (SHARDS_PER_THREAD as usize) < QUEUE_MAX);

/// Makes batches durable in order, whole or not at all.
pub type Commit = Box<dyn FnMut(&[Batch]) -> Result<(), StoreError> + Send>;

/// What a store thread does with what it is given.
pub struct Work {
    /// Makes batches durable with one synced write.
    pub commit: Commit,
    /// Every batch of a shard up to and with this number is durable.
    pub stored: Box<dyn FnMut(ShardId, u64) + Send>,
    /// The outcome of a commit is unknown. The thread does nothing more, whether this returns or not.
    pub failed: Box<dyn FnOnce(StoreError) + Send>,
    /// Where it is counted.
    pub meter: Arc<StoreMeter>,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

/// Where shards append their batches. When it and its clones are dropped the thread commits what waits and
/// ends.
#[derive(Clone, Debug)]
pub struct Appender {
    queue: SyncSender<Batch>,
    meter: Arc<StoreMeter>,
}

impl Appender {
    /// Hands a batch over. A batch for a thread that has failed is dropped: the process is ending.
    pub fn append(&self, batch: Batch) {
        self.meter.queued();
        if self.queue.send(batch).is_err() {
            tracing::warn!("a batch came after its store thread had failed");
        }
    }
}

/// Starts a thread, by its number.
///
/// # Errors
/// The system has no thread left.
pub fn start(number: u16, work: Work) -> io::Result<(Appender, JoinHandle<()>)> {
    let (queue, waiting) = sync_channel(QUEUE_MAX);
    let meter = work.meter.clone();
    let thread =
        std::thread::Builder::new().name(format!("store-{number}")).spawn(move || run(&waiting, work))?;
    Ok((Appender { queue, meter }, thread))
}

fn run(waiting: &Receiver<Batch>, mut work: Work) {
    let mut batches: Vec<Batch> = Vec::with_capacity(QUEUE_MAX);
    // A batch that did not fit into the last write.
    let mut held: Option<Batch> = None;
    while let Some(first) = held.take().or_else(|| waiting.recv().ok()) {
        held = gather(first, waiting, &mut batches);
        let began = Instant::now();
        if let Err(error) = (work.commit)(&batches) {
            return (work.failed)(error);
        }
        let messages = batches.iter().map(|batch| weigh(batch).messages).sum();
        work.meter.committed(batches.len(), messages, began.elapsed());
        // Of each shard the newest: it stands for those before it.
        while let Some(Batch { shard, number, .. }) = batches.pop() {
            batches.retain(|batch| batch.shard != shard);
            (work.stored)(shard, number);
        }
    }
}

/// Joins the batches that wait already, up to the bound. Returns the one that was over it.
fn gather(first: Batch, waiting: &Receiver<Batch>, batches: &mut Vec<Batch>) -> Option<Batch> {
    let mut sum = weigh(&first);
    batches.push(first);
    while let Ok(batch) = waiting.try_recv() {
        let weight = weigh(&batch);
        sum = Weight { messages: sum.messages + weight.messages, bytes: sum.bytes + weight.bytes };
        if sum.messages > WRITE_MESSAGES_MAX || sum.bytes > WRITE_BYTES_MAX {
            return Some(batch);
        }
        batches.push(batch);
    }
    None
}

#[derive(Clone, Copy)]
struct Weight {
    messages: usize,
    bytes: usize,
}

/// Bytes that batches weigh in a write, about.
#[must_use]
pub fn bytes_of(batches: &[Batch]) -> u64 {
    batches.iter().map(|batch| weigh(batch).bytes as u64).sum()
}

fn weigh(batch: &Batch) -> Weight {
    let mut weight = Weight { messages: 0, bytes: 0 };
    for row in batch.parts.iter().flat_map(|part| &part.rows) {
        weight.messages += usize::from(matches!(row, Row::Message { .. }));
        weight.bytes += row.encoded_bytes().max(ROW_BYTES);
    }
    weight
}

#[cfg(test)]
mod tests;
