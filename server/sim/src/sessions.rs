//! Rules 5 and 4: a device has at most one session, and no session is left unread. Checked at the end of every step.

use std::collections::BTreeMap;

use shard::Limits;

use crate::broken;
use crate::node::Node;
use crate::oracle::Check;

/// No device has two connections that were welcomed and that the core has not closed.
///
/// # Errors
/// Which device has two.
pub fn single(node: &Node) -> Check {
    let mut live = BTreeMap::new();
    for (id, conn) in &node.conns {
        let Some(watch) = conn.watch.as_ref().filter(|watch| watch.is_welcomed() && conn.is_live()) else {
            continue;
        };
        // The close of one that is held is on its way as a hop; the session behind it has ended already.
        if conn.is_held {
            continue;
        }
        if let Some(other) = live.insert(watch.device(), *id) {
            broken!("device {} has two live connections, {other:?} and {id:?}", watch.device());
        }
    }
    Ok(())
}

/// Hints and slots are rounded up, and a Resume may have to cross shards.
const TOKENS_SLACK_MS: u64 = 1000;

/// With nothing under way in the node and its stores, there is no reason not to read a connection, unless its device has
/// to wait for tokens; and that is never longer than it takes until it has all that it can have.
///
/// # Errors
/// Which connection waits for a Resume that nothing will bring.
pub fn none_paused(node: &Node, now: u64, limits: &Limits) -> Check {
    let tokens_ms = |burst: u32, per_s: u32| u64::from(burst) * 1000 / u64::from(per_s) + TOKENS_SLACK_MS;
    let session_ms = tokens_ms(limits.frames_burst, limits.frames_per_s);
    let user_burst = limits.user_frames_burst.unwrap_or(limits.frames_burst);
    let most_ms =
        session_ms.max(tokens_ms(user_burst, limits.user_frames_per_s.unwrap_or(limits.frames_per_s)));
    let paused = node.conns.iter().find(|(_, conn)| {
        conn.paused && conn.known && conn.is_quiet() && now > conn.paused_at.saturating_add(most_ms)
    });
    if let Some((id, _)) = paused.filter(|_| node.draining_since().is_none()) {
        broken!("{id:?} is paused while nothing is under way");
    }
    Ok(())
}
