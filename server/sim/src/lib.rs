//! A deterministic world for the core: the real shards of one node, the real client sessions and the real memory store in
//! one thread, with virtual time and one seeded stream of randomness. A seed is a whole life of a small chat server in
//! which everything goes wrong that can; a failure is a number that anybody can run again.
//!
//! What is simulated: the network (bytes, latency, cuts at any byte, slow and stopped readers), the driver, the rings, the
//! store threads (late, stopped and failed commits, crashes that lose what was not written), the clocks, the apps and what
//! people do with them. What is not: TLS, WebSocket, tokens, real disks; they have tests of their own.
//!
//! # Rules and the invariants that keep them (DESIGN section 5)
//!
//! | rule | invariant |
//! |---|---|
//! | 1 only stored facts are visible | [`wire`]: every message, ack, head, list and range shown is in the model, which knows durable rows only |
//! | 2 a channel's seqs rise in an inbox; replay before ready | [`durable`]: pointers dense, once, rising; [`node`]: nobody is accepted before Ready |
//! | 3 dedup before membership | [`wire`]: a repeat of a durable send is never refused for good |
//! | 4 backpressure before refusal, one sender's order | [`sessions`], [`invariants`]: pauses end, pending sends end, whatever the rings hold |
//! | 5 a new Hello ends the old connection | [`sessions`]: at most one welcomed open connection a device at the end of every step |
//! | 6 a page carries at least one message | [`invariants`]: texts larger than the egress bound arrive |
//! | 7 time never steps back | [`oracle`]: stamps of a channel, while the wall clock jumps |
//! | 8 unknown outcomes | [`disk`]: of what was queued at a crash any prefix survives; nothing acked is missing afterwards |
//! | 8 what cannot be read | [`disk`]: a user, a log, a history fails for a while; [`node`]: no shard spins, and all comes to rest |
//! | 9 drain | [`world`]: Drained in time, with every connection closed; what was left is replayed |
//!
//! Completeness: [`wire`] (no range passes what is durable or what was sent), [`device`] (everything up to the cursor is
//! held). Bounds: [`bounds`] (the ledger, users and channels in memory), [`disk`] (batches in flight), [`conn`] (egress), [`durable`] (devices), [`node`] (turns that spin).
//! Push: `push` (what is owed has a job in time and in its batch, nobody is called who must not be, jobs end for a reason),
//! `outbox` (the real rules over providers that fail; nobody is called twice in a life for one message).
//! At rest: [`invariants`] (0 lost, 0 doubled on every device; own lists; stores against model).

// A panic is a failed seed: it is caught, named and printed with its number.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod about;
pub mod bounds;
pub mod conn;
pub mod device;
pub mod disk;
pub mod durable;
mod erase;
mod faults;
pub mod flow;
mod follow;
pub mod invariants;
pub mod network;
pub mod node;
pub mod oracle;
mod outbox;
pub mod plan;
pub mod presence;
mod purge;
mod push;
pub mod receipts;
mod restore;
pub mod rng;
mod rules;
mod rulings;
pub mod sessions;
mod talk;
pub mod trace;
pub mod wire;
pub mod words;
pub mod workload;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use trace::Mode;
use world::{Tally, World};

/// Steps of a run unless somebody says otherwise.
pub const TICKS: u64 = 200;

/// A seed that broke an invariant or made something panic.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub words: String,
    /// The last steps.
    pub steps: Vec<String>,
}

/// Runs one seed.
///
/// # Errors
/// What broke, with as many of the last steps as `mode` keeps.
pub fn run(seed: u64, ticks: u64, mode: Mode) -> Result<Tally, Failure> {
    run_world(seed, ticks, World::new(seed, mode))
}

/// Runs the world of a seed, which somebody may have changed.
///
/// # Errors
/// As [`run`].
pub fn run_world(seed: u64, ticks: u64, mut world: World) -> Result<Tally, Failure> {
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run(ticks)));
    let words = match outcome {
        Ok(Ok(())) => return Ok(world.tally),
        Ok(Err(words)) => words,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            format!("panic: {}", text.unwrap_or_default())
        }
    };
    let steps = std::mem::replace(&mut world.trace, trace::Trace::new(Mode::Off)).into_lines();
    Err(Failure { seed, words, steps })
}
