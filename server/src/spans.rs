//! Traces of a few messages for whoever watches with OpenTelemetry: when a message was read, ordered, written, acked and
//! delivered. One in a set number is chosen, by its send id, out of those that [`crate::latency`] measures anyway, so that a message
//! that is not chosen costs nothing more. Of a chosen one each shard and store thread puts a stamp into a bounded queue, and
//! goes on; a task of the control plane ([`export`]) makes spans of them and sends them to a collector. What does not
//! fit, or cannot be sent, is lost and counted.

pub mod export;
mod otlp;

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use protocol::partition::mix64;

use crate::latency::SAMPLED_ONE_IN;

/// Stamps that wait for the exporter, which comes each second.
const STAMPS_MAX: usize = 16_384;

/// What happened to a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum What {
    /// Its frame was read.
    Read,
    /// Its channel's home has given it its seq and sealed it into a batch.
    Ordered,
    /// The write that made it durable began.
    WriteBegan,
    /// It is durable.
    Stored,
    /// Its ack is with the kernel.
    Acked,
    /// It is with the kernel for one live device.
    Delivered,
}

/// One moment of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    /// The send id.
    pub(crate) id: u64,
    pub(crate) what: What,
    /// Nanoseconds since the zero of [`crate::latency::Latency`].
    pub(crate) at_ns: u64,
    /// The shard, or none: a store thread's.
    pub(crate) shard: Option<u16>,
}

/// Where stamps wait, and what became of them.
#[derive(Debug)]
pub struct Spans {
    one_in: u64,
    queue: ArrayQueue<Stamp>,
    exported: AtomicU64,
    lost: AtomicU64,
}

impl Spans {
    /// Of one message in so many, a multiple of [`SAMPLED_ONE_IN`].
    #[must_use]
    pub fn new(one_in: u64) -> Self {
        debug_assert!(one_in.is_multiple_of(SAMPLED_ONE_IN), "others are not looked at");
        let queue = ArrayQueue::new(STAMPS_MAX);
        Self { one_in, queue, exported: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    /// Takes a stamp of a measured message, if it is one of those that are traced. Never waits.
    pub(crate) fn stamp(&self, stamp: Stamp) {
        if mix64(stamp.id).is_multiple_of(self.one_in) && self.queue.push(stamp).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&self) -> Option<Stamp> {
        self.queue.pop()
    }

    /// Messages whose spans a collector took.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Stamps and messages that were lost on the way.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
