//! What a shard may hold: checked at the end of every step, and once everything has come to rest.

use shard::limits::SHARD_BYTES_MAX;
use shard::{Holds, Limits};

use crate::broken;
use crate::node::{Node, Scene};
use crate::oracle::Check;

/// Turns without an input after which a shard has looked at all that it keeps here more than twice: a turn looks at 64 users and
/// 64 channels at least.
const QUIET_TURNS: usize = 4;

/// No shard holds more bytes than the sum that the compiler checks, in all and of each sort.
///
/// # Errors
/// Which shard holds too much of what.
pub fn ledgers(node: &Node) -> Check {
    for (shard, figures) in node.ledgers().enumerate() {
        let over = Holds::ALL.iter().zip(figures).find(|(of, bytes)| *bytes > of.bound() as u64);
        if let Some((of, bytes)) = over {
            broken!("shard {shard} holds {bytes} bytes as {}, above {}", of.word(), of.bound());
        }
        let all: u64 = figures.iter().sum();
        if all > SHARD_BYTES_MAX as u64 {
            broken!("shard {shard} holds {all} bytes, above {SHARD_BYTES_MAX}");
        }
    }
    Ok(())
}

/// With nothing under way, and after turns in which nothing is used, users and channels in memory are within their limits.
///
/// # Errors
/// Which shard keeps too many.
pub fn memory(node: &mut Node, scene: &mut Scene<'_>) -> Check {
    let Limits { idle_users, idle_channels, .. } = scene.plan.limits;
    for _ in 0..QUIET_TURNS {
        for shard in 0..node.shards() {
            node.quiet_turn(shard, scene)?;
        }
    }
    for (shard, counters) in node.counters().enumerate() {
        let users = counters.users_now.saturating_sub(counters.sessions_now);
        if users > idle_users as u64 {
            broken!("shard {shard} keeps {users} users without a session, at most {idle_users} are allowed");
        }
        if counters.channels_now > idle_channels as u64 {
            let channels = counters.channels_now;
            broken!("shard {shard} keeps {channels} channels at rest, at most {idle_channels} are allowed");
        }
    }
    Ok(())
}
