//! The pure deterministic core of one shard: users, sessions, inboxes and channels of its partitions.
//!
//! # Calling contract
//!
//! A driver repeats turns. One turn is:
//! 1. [`Shard::begin_turn`] with the clocks; time stands still within the turn.
//! 2. [`Shard::step`] for each input, in the order in which they happened. Every input is taken, hops too: what a shard has
//!    no room for it drops if a log has it, and who sends more of it is paused.
//! 3. [`Shard::end_turn`], which seals one batch.
//! 4. Carry out the effects in order, then flush each touched connection once.
//! 5. [`Shard::poll_hop`] for each other shard for as long as its ring has space. What does not fit waits in the core,
//!    which decides what to drop (deliveries: the fan-out log has them) and whom to pause (senders).
//! 6. Sleep until an input, ring space for a waiting hop, or [`Shard::next_deadline`].
//!
//! No async, no sockets, no clock, no store, no randomness that was not passed in.

mod about;
mod admit;
mod applied;
mod asks;
mod behind;
mod channel;
mod consents;
mod control;
mod dedup;
mod deliver;
mod drain;
mod effect;
mod egress;
mod erase;
mod fanout;
mod follow;
mod gather;
mod greet;
mod guest;
mod history;
mod home;
mod hops;
mod idmap;
mod inbox;
mod input;
mod invariant;
mod large;
mod ledger;
pub mod limits;
mod link;
mod listing;
mod lists;
mod membership;
mod memory;
mod offer;
mod order;
mod pages;
mod pauses;
mod people;
mod pipeline;
mod position;
mod presence;
mod pressure;
mod purge;
mod push;
mod quotas;
mod read;
mod receipts;
mod remote;
mod report;
mod rules;
mod session;
mod sessions;
mod shard;
mod source;
mod spans;
mod spend;
mod talk;
mod timer;
mod typing;
mod unread;
mod user;
mod window;
mod words;

pub use effect::{Effect, Fault};
pub use input::{Command, CommandError, ConnId, GuestId, Input, Keeping, PushOutcome, Tick, Ticket};
pub use ledger::{Figures, Holds};
pub use limits::Limits;
pub use push::Providers;
pub use quotas::Left;
pub use report::{SessionReport, UserReport};
pub use shard::Shard;
pub use unread::Resting;
pub use words::Words;

use protocol::query::BayState;
use protocol::{Placement, Rejects, ShardId};

/// What a shard is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which shard this is.
    pub shard: ShardId,
    /// Where everything lives.
    pub placement: Placement,
    /// What the operator set.
    pub limits: Limits,
    /// The bays of this shard, as found on disk; rising.
    pub own: Vec<BayState>,
    /// Head of the fan-out log of every bay, by its number.
    pub fanout_heads: Vec<u64>,
    /// Seed for jitter and session numbers.
    pub seed: u64,
}

/// Counters for the operator; all rise for ever except those named `_now`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Messages given a seq and made durable.
    pub messages_stored: u64,
    /// Message frames handed to connections.
    pub messages_sent: u64,
    /// SendAcks handed to connections.
    pub acks_sent: u64,
    /// Refused frames of devices that have said Hello, where they were refused.
    pub rejects: Rejects,
    /// Repeated sends answered from the dedup window.
    pub duplicates: u64,
    /// Hops given to other shards.
    pub hops_sent: u64,
    /// Deliveries dropped because a ring was full, and read again from the fan-out log.
    pub deliveries_dropped: u64,
    /// Frames of receipts and typing that were handed to connections.
    pub offers_sent: u64,
    /// The same left out: of sessions without room, and of shards to which much waited.
    pub offers_dropped: u64,
    /// Messages of large channels, by batch and shard, that were not told for want of room: the followers read them.
    pub tells_dropped: u64,
    /// Users of whom a session was told what they show.
    pub presences_sent: u64,
    /// Users of this home who are there, were a moment ago, or are watched.
    pub present_now: u64,
    /// Pairs of a session and a user whom it watches.
    pub watches_now: u64,
    /// Large channels that sessions here follow.
    pub follows_now: u64,
    /// Sessions that fell behind because their connection did not drain.
    pub fell_behind: u64,
    /// Looks at sessions that are behind because their connection did not drain; there are none while nothing changes.
    pub crowded_looks: u64,
    /// Connections of this shard's driver that said Hello and whose user lives at another shard.
    pub hellos_held: u64,
    /// Of them, those that are open now.
    pub held_now: u64,
    /// Reads that failed and may not fail next time.
    pub reads_failed: u64,
    /// Refused because a user had made as many groups, or begun as many conversations, as it may within an hour.
    pub quotas_refused: u64,
    /// Reads that failed and will be asked again.
    pub reads_resting_now: u64,
    /// States that cannot happen and did: faults of ours.
    pub impossible: u64,
    /// Messages of which a user is to be told by push.
    pub push_jobs: u64,
    /// Jobs of push that gave way to newer ones, because a user had its full number.
    pub push_jobs_dropped: u64,
    /// Jobs of push that ended because the user had read the message.
    pub push_jobs_withdrawn: u64,
    /// Sessions now, guests included.
    pub sessions_now: u64,
    /// Requests that came without a connection.
    pub guests: u64,
    /// Of them, those that are under way now.
    pub guests_now: u64,
    /// Users in memory now.
    pub users_now: u64,
    /// Channels in memory now.
    pub channels_now: u64,
    /// Bytes that wait or are being answered now, in the order of [`Holds::ALL`].
    pub ledger_now: Figures,
    /// What they may be together before whoever asks for more is refused.
    pub waiting_bytes_max: u64,
}
