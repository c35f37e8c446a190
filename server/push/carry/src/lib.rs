//! The pure half of push: what a job comes to, and which of them is due. It calls nobody and has no clock: the server's outbox
//! shows it facts and answers, and so does the simulator.
//!
//! A job is carried out in rounds. In each, [`Carry::next`] is shown what the store says at that moment and says what to do:
//! call one subscription, and then be shown the store again; or tell the home what became of the job. What is known of a round
//! and is in no row yet stays in a [`Kept`] while the home or the store cannot be reached, so that nobody is called twice for
//! that.
//!
//! What was told and is read elsewhere is withdrawn behind the job of its channel, by [`Withdraw`].

mod desk;
mod job;
mod quiet;
mod withdraw;

pub use desk::{Again, Desk};
pub use job::{Carry, End, Ended, Kept, Outcome, Step, backoff_ms};
pub use quiet::quiet_until;
pub use withdraw::{Next, Withdraw, can_withdraw};

use protocol::{ChannelId, UserId};

/// A user and a channel of which it is told.
pub type JobId = (UserId, ChannelId);

/// A message that could not be told within so long is told no more, milliseconds.
pub const TTL_MS: u64 = 24 * 3600 * 1000;
/// The first wait after a failure; it doubles.
pub const RETRY_FIRST_MS: u64 = 5_000;
/// The longest wait after a failure.
pub const RETRY_MAX_MS: u64 = 3_600_000;
/// Attempts after which a withdrawal is given up.
pub const WITHDRAW_ATTEMPTS_MAX: u16 = 4;
/// After so long the home or the store is asked again, if it could not be reached.
pub const HOME_AGAIN_MS: u64 = 5_000;
/// Jobs that wait in memory for their time. What is over it is found again by reading the bays.
pub const WAITING_MAX: usize = 262_144;
