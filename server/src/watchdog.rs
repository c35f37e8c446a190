//! Who notices that a shard stands still. A shard counts its turns, with one store each and nothing else; a thread of its own
//! looks at the counts. A shard that sleeps because nothing happens is asked once in a while, which wakes it for a turn: whoever
//! does not turn then for the time that is set is stalled. The log says what the kernel knows of its thread, metrics count it,
//! health is bad, and the service manager gets no sign of life any more until the shard goes on.

mod thread;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use protocol::ShardId;

use crate::mesh::{Outlet, Outlets, Post};
use crate::notify::Notify;
use thread::Seen;

/// A shard's thread that has ended has this count: nobody waits for it.
const ENDED: u64 = u64::MAX;

/// What a shard shows of itself. On a cache line of its own: it is written in every turn.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Pulse {
    turns: AtomicU64,
    /// The kernel's number of the thread.
    thread: AtomicU32,
}

impl Pulse {
    pub(crate) fn begin(&self) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        self.thread.store(thread.unsigned_abs(), Ordering::Relaxed);
    }

    pub(crate) fn turn(&self, turns: u64) {
        self.turns.store(turns, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.turns.store(ENDED, Ordering::Relaxed);
    }
}

/// What the watchdog has seen.
#[derive(Debug, Default)]
pub struct Meter {
    /// Bit n: shard n is stalled.
    now: AtomicU64,
    total: AtomicU64,
}

const _: () = assert!(protocol::partition::SHARDS_MAX <= 64, "a bit for each");

impl Meter {
    /// Shards that are stalled now.
    #[must_use]
    pub fn stalled(&self) -> Vec<ShardId> {
        let now = self.now.load(Ordering::Relaxed);
        (0..64).filter(|shard| now >> shard & 1 == 1).map(ShardId).collect()
    }

    /// Times that a shard was.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// The watchdog's thread, for as long as this lives.
#[derive(Debug)]
pub struct Watchdog {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Looks after these shards.
    ///
    /// # Errors
    /// No thread.
    pub fn start(
        pulses: Vec<Arc<Pulse>>,
        outlets: &Outlets,
        limit: Duration,
        notify: Notify,
        meter: Arc<Meter>,
    ) -> io::Result<Self> {
        let watched = pulses.into_iter().zip(outlets.all()).zip(0..);
        let watched = watched.map(|((pulse, outlet), shard)| Watched::new(ShardId(shard), pulse, outlet));
        let look = Look { watched: watched.collect(), limit, notify, meter };
        let (end, ended) = bounded(0);
        let thread =
            std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || look.run(&ended))?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Look {
    watched: Vec<Watched>,
    limit: Duration,
    notify: Notify,
    meter: Arc<Meter>,
}

impl Look {
    fn run(mut self, ended: &Receiver<()>) {
        let every = self.limit / 4;
        let every = self.notify.sign_every().map_or(every, |sign| sign.min(every));
        let mut before = Instant::now();
        while ended.recv_timeout(every).is_err_and(|error| error.is_timeout()) {
            let now = Instant::now();
            // A process that was stopped as a whole, or a machine that slept, says nothing of a shard.
            let passed = now.duration_since(before).min(every * 2);
            before = now;
            self.look(passed);
        }
    }

    fn look(&mut self, passed: Duration) {
        let mut stalled = Vec::new();
        for watched in &mut self.watched {
            if watched.look(passed, self.limit) {
                self.meter.total.fetch_add(1, Ordering::Relaxed);
            }
            if watched.is_stalled {
                stalled.push(watched.shard);
            }
        }
        let bits = stalled.iter().fold(0, |bits, shard| bits | 1u64 << shard.0);
        let before = self.meter.now.swap(bits, Ordering::Relaxed);
        if bits == 0 {
            self.notify.alive();
        }
        if bits != before {
            let words = stalled.iter().map(|shard| format!("shard {shard} stands still"));
            let words = words.collect::<Vec<_>>().join("; ");
            self.notify.status(if bits == 0 { "serving" } else { &words });
        }
    }
}

/// One shard, as the watchdog remembers it.
struct Watched {
    shard: ShardId,
    pulse: Arc<Pulse>,
    outlet: Outlet,
    /// At the last look.
    turns: u64,
    /// Without a turn, and without one since it was asked.
    silent: Duration,
    asked: Option<(Duration, Option<Seen>)>,
    is_stalled: bool,
}

impl Watched {
    fn new(shard: ShardId, pulse: Arc<Pulse>, outlet: Outlet) -> Self {
        Self { shard, pulse, outlet, turns: 0, silent: Duration::ZERO, asked: None, is_stalled: false }
    }

    /// Whether it is stalled from now on.
    fn look(&mut self, passed: Duration, limit: Duration) -> bool {
        let turns = self.pulse.turns.load(Ordering::Relaxed);
        if turns != self.turns || turns == ENDED {
            if std::mem::take(&mut self.is_stalled) {
                let silent_s = self.silent.as_secs();
                tracing::warn!(shard = %self.shard, silent_s, "a shard that stood still goes on");
            }
            (self.turns, self.silent, self.asked) = (turns, Duration::ZERO, None);
            return false;
        }
        self.silent += passed;
        let thread = self.pulse.thread.load(Ordering::Relaxed);
        let Some((waited, seen)) = &mut self.asked else {
            if self.silent >= limit / 2 {
                // Whoever is asleep for want of anything to do takes a turn for this; a full mailbox is a reason for one, too.
                drop(self.outlet.try_post(Post::Inspect(Box::new(drop))));
                self.asked = Some((Duration::ZERO, Seen::of(thread)));
            }
            return false;
        };
        *waited += passed;
        if self.is_stalled || *waited < limit {
            return false;
        }
        let doing = thread::doing(seen.as_ref(), Seen::of(thread).as_ref());
        let silent_s = self.silent.as_secs();
        tracing::error!(
            shard = %self.shard, silent_s, turns, doing,
            "a shard stands still: nobody whose home it is is served; if it does not go on, restart, and keep this line"
        );
        self.is_stalled = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh;

    const LIMIT: Duration = Duration::from_secs(4);
    const LOOK: Duration = Duration::from_secs(1);

    #[test]
    fn a_shard_is_asked_before_it_is_called_stalled_and_recovers() {
        let (mailboxes, outlets) = mesh::build(1);
        let pulse = Arc::<Pulse>::default();
        pulse.begin();
        let mut watched = Watched::new(ShardId(0), pulse.clone(), outlets.to(ShardId(0)).unwrap());
        pulse.turn(1);
        assert!(!watched.look(LOOK, LIMIT));
        assert!(!watched.look(LOOK, LIMIT) && mailboxes[0].next_post().is_none());
        // Half of the limit is over: it is asked, once.
        assert!(!watched.look(LOOK, LIMIT) && mailboxes[0].next_post().is_some());
        for _ in 0..3 {
            assert!(!watched.look(LOOK, LIMIT) && !watched.is_stalled);
        }
        assert!(mailboxes[0].next_post().is_none());
        assert!(watched.look(LOOK, LIMIT) && watched.is_stalled);
        assert!(!watched.look(LOOK, LIMIT) && watched.is_stalled, "it is counted once");
        pulse.turn(2);
        assert!(!watched.look(LOOK, LIMIT) && !watched.is_stalled);
        pulse.end();
        for _ in 0..100 {
            assert!(!watched.look(LOOK, LIMIT), "who has ended is not waited for");
        }
    }

    #[test]
    fn who_answers_is_never_stalled() {
        let (mailboxes, outlets) = mesh::build(1);
        let pulse = Arc::<Pulse>::default();
        let mut watched = Watched::new(ShardId(0), pulse.clone(), outlets.to(ShardId(0)).unwrap());
        let mut turns = 0;
        for _ in 0..100 {
            assert!(!watched.look(LOOK, LIMIT));
            if mailboxes[0].next_post().is_some() {
                turns += 1;
                pulse.turn(turns);
            }
        }
        assert!((20..=50).contains(&turns), "an idle shard is woken seldom: {turns}");
    }
}
