//! Watching the disk, so that whatever writes is refused before a store meets a full one. It is looked at every second, and
//! by the store threads whenever so much was written that a second may be too late.

pub mod ballast;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::mesh::{Outlets, Post};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes that may be written, by all store threads together, until one of them looks again.
const LOOK_BYTES: u64 = 1024 * 1024;
/// The least that an operator may keep back.
pub const RESERVE_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// The most that is kept back for its share of the disk, unless an operator says otherwise.
const RESERVE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// One part in so many of the disk is kept back unless an operator says otherwise: 5 %.
const RESERVE_PART: u64 = 20;
/// After it was low, so much more than the reserve must be free before it is well again: a tenth.
const MARGIN_PART: u64 = 10;

// What comes between two looks cannot use up the reserve.
const _: () = assert!(LOOK_BYTES * 4 <= RESERVE_BYTES_MIN);

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

    /// What is kept back: what the operator set, or 5 % and at most 1 GiB, but what the store needs, and at most half of
    /// the disk.
    #[must_use]
    pub fn reserve(self, keep: Keep) -> u64 {
        let share = (self.size / RESERVE_PART).min(RESERVE_BYTES_MAX);
        keep.set.unwrap_or_else(|| share.max(keep.needed).min(self.size / 2))
    }

    /// Whether it is low now, given whether it was.
    #[must_use]
    pub fn is_low(self, reserve: u64, was_low: bool) -> bool {
        let needed = if was_low { reserve.saturating_add(reserve / MARGIN_PART) } else { reserve };
        self.free < needed
    }
}

/// How much is to be kept back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// What the operator set, bytes.
    pub set: Option<u64>,
    /// What the store may still write by itself, bytes.
    pub needed: u64,
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
    gate: Gate,
}

/// Where the store threads say how much they are about to write. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate {
    watch: Arc<Mutex<Watch>>,
    /// Bytes written since somebody looked.
    unseen: Arc<AtomicU64>,
}

impl Gate {
    /// So many bytes are about to be written. Looks at the disk if it is time; a shard that is told refuses what comes
    /// next, and what is already on its way is what the reserve is for.
    pub fn before_write(&self, bytes: u64) {
        let unseen = self.unseen.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if unseen < LOOK_BYTES {
            return;
        }
        self.unseen.store(0, Ordering::Relaxed);
        self.look();
    }

    fn look(&self) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        match Space::of(&watch.data) {
            Ok(space) => watch.look(space),
            Err(error) => tracing::warn!(%error, "cannot see how much of the disk is free"),
        }
    }

    /// Lays the ballast down once there is room for it, beside the reserve.
    fn lay_ballast(&self) -> std::io::Result<()> {
        // A store thread that looks must not wait for it.
        let (data, keep, low) = {
            let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            (watch.data.clone(), watch.keep, watch.low)
        };
        if low {
            return Ok(());
        }
        let space = Space::of(&data)?;
        let reserve = space.reserve(keep);
        ballast::lay(&data, space, reserve.saturating_add(reserve / MARGIN_PART))
    }
}

impl Watcher {
    /// Looks once at once, so that shards know before they listen, and then every second.
    ///
    /// # Errors
    /// The disk cannot be looked at, or the system has no thread left.
    pub fn start(data: &Path, keep: Keep, outlets: Outlets) -> std::io::Result<Self> {
        let meter = Arc::<SpaceMeter>::default();
        if let Some(set) = keep.set.filter(|set| *set < keep.needed) {
            let (set, needed) = (set >> 20, keep.needed >> 20);
            tracing::warn!(set, needed, "space_reserve_mib is less than the store may write by itself");
        }
        let mut watch = Watch { data: data.to_owned(), keep, outlets, low: false, meter: meter.clone() };
        watch.look(Space::of(data)?);
        let gate = Gate { watch: Arc::new(Mutex::new(watch)), unseen: Arc::default() };
        let (end, ended) = channel();
        let clock = gate.clone();
        let thread = std::thread::Builder::new().name("space".into()).spawn(move || run(&clock, &ended))?;
        Ok(Self { end: Some(end), thread: Some(thread), meter, gate })
    }

    /// Through which the store threads make it look.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.gate.clone()
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

fn run(gate: &Gate, ended: &Receiver<()>) {
    while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        gate.look();
        if let Err(error) = gate.lay_ballast() {
            tracing::warn!(%error, "cannot lay the ballast down that a start on a full disk gives back");
        }
    }
}

#[derive(Debug)]
struct Watch {
    data: PathBuf,
    keep: Keep,
    outlets: Outlets,
    low: bool,
    meter: Arc<SpaceMeter>,
}

impl Watch {
    fn look(&mut self, space: Space) {
        let reserve = space.reserve(self.keep);
        let low = space.is_low(reserve, self.low);
        self.meter.free.store(space.free, Ordering::Relaxed);
        self.meter.low.store(low, Ordering::Relaxed);
        if low == self.low {
            return;
        }
        self.low = low;
        if low {
            tracing::error!(
                free = space.free,
                reserve,
                "the disk is nearly full: whatever writes is refused"
            );
        } else {
            tracing::info!(free = space.free, reserve, "the disk has space again: everything is taken");
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
    const KEEP: Keep = Keep { set: Some(100), needed: 0 };

    #[test]
    fn the_reserve() {
        let keep = |set, needed| Keep { set, needed };
        assert_eq!(Space { size: 1000 * GIB, free: 0 }.reserve(keep(None, 7)), GIB);
        assert_eq!(Space { size: 1000 * GIB, free: 0 }.reserve(keep(None, 2 * GIB)), 2 * GIB);
        assert_eq!(Space { size: 10 * GIB, free: 0 }.reserve(keep(None, 7)), GIB / 2);
        assert_eq!(Space { size: GIB, free: 0 }.reserve(keep(None, GIB)), GIB / 2, "a small disk");
        assert_eq!(Space { size: 10 * GIB, free: 0 }.reserve(keep(Some(7), GIB)), 7);
    }

    #[test]
    fn a_store_thread_looks_once_enough_was_written() {
        let (mailboxes, outlets) = mesh::build(1);
        let data = tempfile::tempdir().unwrap();
        let keep = Keep { set: Some(u64::MAX / 4), needed: 0 };
        let meter = Arc::<SpaceMeter>::default();
        let watch = Watch { data: data.path().to_owned(), keep, outlets, low: false, meter };
        let gate = Gate { watch: Arc::new(Mutex::new(watch)), unseen: Arc::default() };
        gate.before_write(LOOK_BYTES - 1);
        assert!(mailboxes[0].next_post().is_none());
        gate.before_write(1);
        assert!(matches!(mailboxes[0].next_post(), Some(Post::SpaceLow(true))));
    }

    #[test]
    fn it_is_told_once_and_not_to_and_fro() {
        let (mailboxes, outlets) = mesh::build(2);
        let meter = Arc::<SpaceMeter>::default();
        let mut watch = Watch { data: "/".into(), keep: KEEP, outlets, low: false, meter: meter.clone() };
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
        let watcher =
            Watcher::start(data.path(), Keep { set: Some(u64::MAX / 4), needed: 0 }, outlets.clone())
                .unwrap();
        assert!(matches!(mailboxes[0].next_post(), Some(Post::SpaceLow(true))));
        assert!(watcher.meter().read().0 > 0);
        drop(watcher);
        assert!(Watcher::start(&data.path().join("missing"), KEEP, outlets).is_err());
    }
}
