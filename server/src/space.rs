//! Watching the disk, so that sends are refused before a store meets a full one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::mesh::{Outlets, Post};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// The most that is kept back unless an operator says otherwise.
const RESERVE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// One part in so many of the disk is kept back unless an operator says otherwise: 5 %.
const RESERVE_PART: u64 = 20;
/// After it was low, so much more than the reserve must be free before it is well again: a tenth.
const MARGIN_PART: u64 = 10;

/// Space on the disk that holds a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// All of it, bytes.
    pub size: u64,
    /// What this process may still use, bytes.
    pub free: u64,
}

impl Space {
    /// Asks the system.
    ///
    /// # Errors
    /// The system's.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let stat = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Self { size: bytes(stat.f_blocks), free: bytes(stat.f_bavail) })
    }

    /// What is kept back: what the operator set, or 5 % and at most 1 GiB.
    #[must_use]
    pub fn reserve(self, set: Option<u64>) -> u64 {
        set.unwrap_or_else(|| (self.size / RESERVE_PART).min(RESERVE_BYTES_MAX))
    }

    /// Whether it is low now, given whether it was.
    #[must_use]
    pub fn is_low(self, reserve: u64, was_low: bool) -> bool {
        let needed = if was_low { reserve.saturating_add(reserve / MARGIN_PART) } else { reserve };
        self.free < needed
    }
}

/// What the watcher found last, for metrics.
#[derive(Debug, Default)]
pub struct SpaceMeter {
    free: AtomicU64,
    low: AtomicBool,
}

impl SpaceMeter {
    /// Free bytes, and whether sends are refused.
    #[must_use]
    pub fn read(&self) -> (u64, bool) {
        (self.free.load(Ordering::Relaxed), self.low.load(Ordering::Relaxed))
    }
}

/// The watcher's thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    meter: Arc<SpaceMeter>,
}

impl Watcher {
    /// Looks once at once, so that shards know before they listen, and then every second.
    ///
    /// # Errors
    /// The disk cannot be looked at, or the system has no thread left.
    pub fn start(data: &Path, reserve: Option<u64>, outlets: Outlets) -> std::io::Result<Self> {
        let meter = Arc::<SpaceMeter>::default();
        let mut watch = Watch { data: data.to_owned(), reserve, outlets, low: false, meter: meter.clone() };
        watch.look(Space::of(data)?);
        let (end, ended) = channel();
        let thread = std::thread::Builder::new().name("space".into()).spawn(move || watch.run(&ended))?;
        Ok(Self { end: Some(end), thread: Some(thread), meter })
    }

    /// What it found last.
    #[must_use]
    pub fn meter(&self) -> Arc<SpaceMeter> {
        self.meter.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watch {
    data: PathBuf,
    reserve: Option<u64>,
    outlets: Outlets,
    low: bool,
    meter: Arc<SpaceMeter>,
}

impl Watch {
    fn run(mut self, ended: &Receiver<()>) {
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            match Space::of(&self.data) {
                Ok(space) => self.look(space),
                Err(error) => tracing::warn!(%error, "cannot see how much of the disk is free"),
            }
        }
    }

    fn look(&mut self, space: Space) {
        let reserve = space.reserve(self.reserve);
        let low = space.is_low(reserve, self.low);
        self.meter.free.store(space.free, Ordering::Relaxed);
        self.meter.low.store(low, Ordering::Relaxed);
        if low == self.low {
            return;
        }
        self.low = low;
        if low {
            tracing::error!(free = space.free, reserve, "the disk is nearly full: sends are refused");
        } else {
            tracing::info!(free = space.free, reserve, "the disk has space again: sends are accepted");
        }
        for outlet in self.outlets.all() {
            outlet.post(Post::SpaceLow(low));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_reserve() {
        assert_eq!(Space { size: 1000 * GIB, free: 0 }.reserve(None), GIB);
        assert_eq!(Space { size: 10 * GIB, free: 0 }.reserve(None), GIB / 2);
        assert_eq!(Space { size: 10 * GIB, free: 0 }.reserve(Some(7)), 7);
    }

    #[test]
    fn it_is_told_once_and_not_to_and_fro() {
        let (mailboxes, outlets) = mesh::build(2);
        let meter = Arc::<SpaceMeter>::default();
        let mut watch =
            Watch { data: "/".into(), reserve: Some(100), outlets, low: false, meter: meter.clone() };
        let mut told = |free| {
            watch.look(Space { size: 10_000, free });
            let posts = [mailboxes[0].next_post(), mailboxes[1].next_post()];
            posts.map(|post| post.map(|post| matches!(post, Post::SpaceLow(true))))
        };
        assert_eq!(told(100), [None, None]);
        assert_eq!(told(99), [Some(true), Some(true)]);
        assert_eq!(told(50), [None, None]);
        assert_eq!(told(105), [None, None], "too little to be well again");
        assert_eq!(meter.read(), (105, true));
        assert_eq!(told(110), [Some(false), Some(false)]);
        assert_eq!(told(100), [None, None]);
    }

    #[test]
    fn the_thread_looks_at_a_real_disk_and_ends() {
        let data = tempfile::tempdir().unwrap();
        let (mailboxes, outlets) = mesh::build(1);
        let watcher = Watcher::start(data.path(), Some(u64::MAX / 4), outlets.clone()).unwrap();
        assert!(matches!(mailboxes[0].next_post(), Some(Post::SpaceLow(true))));
        assert!(watcher.meter().read().0 > 0);
        drop(watcher);
        assert!(Watcher::start(&data.path().join("missing"), None, outlets).is_err());
    }
}
