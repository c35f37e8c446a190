//! Between the threads: one mailbox a shard, which its own thread empties, and outlets through which all others post.
//!
//! Hops have a ring for each pair of shards, so that one full ring holds up nobody else and the core can see it. All
//! else (completions, the control plane, handed-over connections) shares one ring a shard. A busy shard is never woken
//! by a syscall; one that sleeps is woken once ([`Doze`]).

mod doze;

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;
use protocol::commit::Quota;
use protocol::hello::Hello;
use protocol::hop::Hop;
use protocol::query::{Answer, ReadFault};
use protocol::token::Key;
use protocol::{ChannelId, CloseCode, Frame, ShardId, UserId};
use shard::{Command, CommandError, GuestId, Keeping, Ticket, UserReport};

use crate::handover::Parcel;
use crate::polls::Polling;
use crate::turn::ShardReport;
pub use doze::{Doze, Flag};

/// Posts that may wait for one shard. A poster waits above it; the in-flight limits keep it far below.
pub const POSTS_MAX: usize = 4096;
/// Hops that may wait between one pair of shards, for a node of few shards.
pub const HOP_RING_MAX: usize = 1024;
/// The same for a node of very many shards: the rings of all pairs together stay below about 64 MiB.
pub const HOP_RING_MIN: usize = 128;
/// How often a poster looks again whether a full ring has space, once spinning did not help.
const FULL_RETRY: Duration = Duration::from_micros(50);
/// Looks at a full ring before the poster sleeps between looks.
const FULL_SPINS: u32 = 64;

const _: () = assert!(HOP_RING_MIN <= HOP_RING_MAX);

/// The answer to a control command.
pub type Reply = Box<dyn FnOnce(Result<(), CommandError>) + Send>;

/// The answer to a guest: frames, or why there are none.
pub type GuestReply = Box<dyn FnOnce(Result<Bytes, CloseCode>) + Send>;

/// Who asks for one thing without a connection.
pub struct Visitor {
    /// The request.
    pub guest: GuestId,
    /// Who asks.
    pub hello: Hello,
    /// What.
    pub frame: Frame,
    /// Called on the shard's thread like [`Reply`].
    pub reply: GuestReply,
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("guest", &self.guest).finish_non_exhaustive()
    }
}

/// What other threads put into a shard's mailbox, besides hops. Nothing here is ever dropped while the shard runs;
/// posts left in it when the shard stops are dropped, with their replies.
pub enum Post {
    /// From the shard that accepted it: a connection moves home. Recovered by the device, which connects again.
    Handover(Box<Parcel>),
    /// From a store thread: every batch of this shard up to and with `number` is on stable storage.
    Stored {
        /// Cumulative.
        number: u64,
    },
    /// From a reader thread: a query is answered.
    Read {
        /// Of which effect.
        ticket: Ticket,
        /// What was found, or why nothing was.
        answer: Box<Result<Answer, ReadFault>>,
    },
    /// From the control plane.
    Control {
        /// What it wants.
        command: Command,
        /// Called on the shard's thread: must be short and must not block.
        reply: Reply,
    },
    /// From the control plane: messages of a channel are to be purged, or kept for another time. Told to the channel's home.
    Purge {
        /// Of which channel.
        channel: ChannelId,
        /// What.
        keeping: Keeping,
        /// Called on the shard's thread like that of `Control`.
        reply: Reply,
    },
    /// From the control plane: the next step of the erasure of a user from a channel. Told to the channel's home.
    Erase {
        /// Which channel.
        channel: ChannelId,
        /// Who is erased.
        user: UserId,
        /// Called on the shard's thread like that of `Control`.
        reply: Reply,
    },
    /// From the control plane: somebody asks for one thing without a connection. Told to the user's home.
    Guest(Box<Visitor>),
    /// From the control plane: nobody waits for a guest's answer any more.
    GuestGone(GuestId),
    /// From the control plane: what a device asks by HTTP. Told to the user's home. A lost request is repeated by the device.
    Poll(Box<Polling>),
    /// Disk space fell below (true) or rose above (false) the reserve.
    SpaceLow(bool),
    /// From the control plane: texts are looked at for these words from now on.
    Words(Arc<dyn shard::Words>),
    /// From the control plane: devices are told of what they miss through these.
    Providers(Arc<dyn shard::Providers>),
    /// From the control plane: tokens are verified with these keys from now on. What was said Hello to stays.
    Keys {
        /// All of them.
        keys: Arc<[Key]>,
        /// Called on the shard's thread like [`Reply`].
        taken: Box<dyn FnOnce() + Send>,
    },
    /// Start accepting connections. Before it a shard does not listen; an `Inspect` posted behind it is called once it
    /// does. If the kernel refuses, the thread's `run` ends with the error.
    Listen,
    /// Stop admitting, finish, close every connection; `on_drained` is called at the end.
    Drain,
    /// Leave `run`. Connections still open are dropped.
    Stop,
    /// A snapshot for metrics; called on the shard's thread like [`Reply`].
    Inspect(Box<dyn FnOnce(ShardReport) + Send>),
    /// What the shard knows of a user whose home it is.
    LookAt {
        /// Whom.
        user: UserId,
        /// Its own bounds as they are stored.
        stored: Quota,
        /// Called on the shard's thread like [`Reply`].
        tell: Box<dyn FnOnce(UserReport) + Send>,
    },
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handover(_) => "Handover",
            Self::Stored { .. } => "Stored",
            Self::Read { .. } => "Read",
            Self::Control { .. } => "Control",
            Self::Purge { .. } => "Purge",
            Self::Erase { .. } => "Erase",
            Self::Guest(_) => "Guest",
            Self::GuestGone(_) => "GuestGone",
            Self::Poll(_) => "Poll",
            Self::SpaceLow(_) => "SpaceLow",
            Self::Keys { .. } => "Keys",
            Self::Words(_) => "Words",
            Self::Providers(_) => "Providers",
            Self::Listen => "Listen",
            Self::Drain => "Drain",
            Self::Stop => "Stop",
            Self::Inspect(_) => "Inspect",
            Self::LookAt { .. } => "LookAt",
        })
    }
}

/// What wakes a sleeping shard: the driver's eventfd. Called by any thread.
pub type Bell = Box<dyn Fn() + Send + Sync>;

/// Mailboxes and outlets of a node of so many shards, in shard order.
#[must_use]
pub fn build(shards: u16) -> (Vec<Mailbox>, Outlets) {
    let count = usize::from(shards.max(1));
    let hop_ring = (8 * HOP_RING_MAX / count).clamp(HOP_RING_MIN, HOP_RING_MAX);
    let boxes: Arc<[Shared]> = (0..count).map(|_| Shared::new(count, hop_ring)).collect();
    let outlets = Outlets { boxes };
    let mailbox = |index: usize| {
        #[allow(clippy::cast_possible_truncation)]
        let shard = ShardId(index as u16);
        Mailbox { shard, outlets: outlets.clone(), next_ring: 0 }
    };
    ((0..count).map(mailbox).collect(), outlets)
}

/// One direction between two shards.
struct HopRing {
    ring: ArrayQueue<Hop>,
    /// The sender found the ring full and wants to be told of space.
    starved: AtomicBool,
}

/// The shared part of one mailbox.
struct Shared {
    posts: ArrayQueue<Post>,
    hops: Box<[HopRing]>,
    /// Space has come up in a ring towards another shard.
    nudged: AtomicBool,
    doze: Doze<AtomicBool>,
    bell: OnceLock<Bell>,
    /// The shard's thread has ended: nothing will be taken out any more.
    closed: AtomicBool,
}

impl Shared {
    fn new(shards: usize, hop_ring: usize) -> Self {
        let pair = |_| HopRing { ring: ArrayQueue::new(hop_ring), starved: AtomicBool::new(false) };
        Self {
            posts: ArrayQueue::new(POSTS_MAX),
            hops: (0..shards).map(pair).collect(),
            nudged: AtomicBool::new(false),
            doze: Doze::default(),
            bell: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }

    fn wake(&self) {
        if self.doze.must_ring()
            && let Some(bell) = self.bell.get()
        {
            bell();
        }
    }

    fn nudge(&self) {
        self.nudged.store(true, Ordering::Release);
        self.wake();
    }
}

/// Every shard's outlet. Cheap to clone.
#[derive(Clone)]
pub struct Outlets {
    boxes: Arc<[Shared]>,
}

impl fmt::Debug for Outlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlets").field("shards", &self.boxes.len()).finish()
    }
}

impl Outlets {
    /// The outlet to one shard; `None` when there is no such shard.
    #[must_use]
    pub fn to(&self, shard: ShardId) -> Option<Outlet> {
        let index = usize::from(shard.0);
        (index < self.boxes.len()).then(|| Outlet { boxes: self.boxes.clone(), index })
    }

    /// Every outlet, in shard order.
    pub fn all(&self) -> impl Iterator<Item = Outlet> + '_ {
        (0..self.boxes.len()).map(|index| Outlet { boxes: self.boxes.clone(), index })
    }

    /// Number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.boxes.len()
    }
}

/// Where threads post to one shard. Cheap to clone.
#[derive(Clone)]
pub struct Outlet {
    boxes: Arc<[Shared]>,
    index: usize,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("shard", &self.index).finish()
    }
}

impl Outlet {
    fn shared(&self) -> Option<&Shared> {
        self.boxes.get(self.index)
    }

    /// Posts, and waits while the ring is full. Never call it on a shard's thread: two that wait for each other would
    /// wait for ever. A shard that has ended takes nothing: the post is dropped, with its reply.
    pub fn post(&self, mut post: Post) {
        let mut looks = 0;
        while let Err(back) = self.try_post(post) {
            post = back;
            looks += 1;
            if looks < FULL_SPINS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(FULL_RETRY);
            }
        }
    }

    /// Posts if there is space.
    ///
    /// # Errors
    /// The post, when the ring is full.
    pub fn try_post(&self, post: Post) -> Result<(), Post> {
        let Some(shared) = self.shared().filter(|shared| !shared.closed.load(Ordering::Acquire)) else {
            drop(post);
            return Ok(());
        };
        let pushed = shared.posts.push(post);
        shared.wake();
        if shared.closed.load(Ordering::Acquire) {
            // It ended meanwhile: what was pushed behind its back is dropped here.
            while shared.posts.pop().is_some() {}
        }
        pushed
    }

    /// Puts a hop into the ring of the pair. For the thread of shard `from` only. When it fails, `from` is woken once
    /// there is space.
    ///
    /// # Errors
    /// The hop, when the ring is full.
    pub fn try_hop(&self, from: ShardId, hop: Hop) -> Result<(), Hop> {
        let pair = self.shared().and_then(|shared| Some((shared, shared.hops.get(usize::from(from.0))?)));
        let Some((shared, pair)) = pair else { return Err(hop) };
        if shared.closed.load(Ordering::Acquire) {
            // The shard has ended, so the process is ending: what a hop carried is replayed at the next boot.
            return Ok(());
        }
        let mut pushed = pair.ring.push(hop);
        if let Err(back) = pushed {
            // The same write, fence, read as in `doze`: whoever makes space later sees the flag, or this push sees it.
            pair.starved.store(true, Ordering::Relaxed);
            AtomicBool::fence();
            pushed = pair.ring.push(back);
        }
        if pushed.is_ok() {
            shared.wake();
        }
        pushed
    }

    /// Whether the ring of the pair has space now; asked before a hop is taken out of the core. When there is none,
    /// `from` is woken once there is. For the thread of shard `from` only.
    #[must_use]
    pub fn has_space(&self, from: ShardId) -> bool {
        let Some(pair) = self.shared().and_then(|shared| shared.hops.get(usize::from(from.0))) else {
            return false;
        };
        if !pair.ring.is_full() {
            return true;
        }
        pair.starved.store(true, Ordering::Relaxed);
        AtomicBool::fence();
        !pair.ring.is_full()
    }
}

/// The taking end. One a shard, owned by its thread.
#[derive(Debug)]
pub struct Mailbox {
    shard: ShardId,
    outlets: Outlets,
    /// Where the next look for a hop begins, so that no shard is always first.
    next_ring: usize,
}

impl Mailbox {
    fn shared(&self) -> Option<&Shared> {
        self.outlets.boxes.get(usize::from(self.shard.0))
    }

    /// Whose it is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The outlets of the node.
    #[must_use]
    pub fn outlets(&self) -> &Outlets {
        &self.outlets
    }

    /// Says how this shard is woken. Once, before the first sleep.
    pub fn hang_bell(&self, bell: Bell) {
        if let Some(shared) = self.shared() {
            let _ = shared.bell.set(bell);
        }
    }

    /// The oldest post.
    #[must_use]
    pub fn next_post(&self) -> Option<Post> {
        self.shared()?.posts.pop()
    }

    /// A hop, taking from the rings in turn. In order within one pair.
    pub fn next_hop(&mut self) -> Option<(ShardId, Hop)> {
        let count = self.outlets.boxes.len();
        for step in 0..count {
            let from = (self.next_ring + step) % count;
            let Some(pair) = self.shared().and_then(|shared| shared.hops.get(from)) else { continue };
            let Some(hop) = pair.ring.pop() else { continue };
            AtomicBool::fence();
            if pair.starved.load(Ordering::Relaxed)
                && pair.starved.swap(false, Ordering::AcqRel)
                && let Some(sender) = self.outlets.boxes.get(from)
            {
                sender.nudge();
            }
            self.next_ring = (from + 1) % count;
            #[allow(clippy::cast_possible_truncation)]
            return Some((ShardId(from as u16), hop));
        }
        None
    }

    /// Posts and hops that wait, for metrics.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let Some(shared) = self.shared() else { return (0, 0) };
        (shared.posts.len(), shared.hops.iter().map(|pair| pair.ring.len()).sum())
    }

    /// Asks to sleep. True: the thread may wait for its bell. False: something waits.
    #[must_use]
    pub fn lie_down(&self) -> bool {
        let Some(shared) = self.shared() else { return true };
        shared.doze.lie_down(|| {
            shared.posts.is_empty()
                && !shared.nudged.load(Ordering::Acquire)
                && shared.hops.iter().all(|pair| pair.ring.is_empty())
        })
    }

    /// The thread is awake, whatever woke it. True when a ring towards another shard has space again.
    pub fn get_up(&self) -> bool {
        let Some(shared) = self.shared() else { return false };
        shared.doze.get_up();
        shared.nudged.load(Ordering::Relaxed) && shared.nudged.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let Some(shared) = self.shared() else { return };
        shared.closed.store(true, Ordering::Release);
        // What is left holds replies and sockets; dropping them tells those who wait.
        while shared.posts.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests;
