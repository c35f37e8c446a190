//! The end of a shard: it finishes what is on the way, then sends everybody away, each with a time of its own to come
//! again.

use protocol::CloseCode;
use protocol::body;
use protocol::body::session::GoingAway;
use protocol::hop::Speak;
use protocol::partition::mix64;

use crate::effect::Effect;
use crate::input::Tick;
use crate::limits::{DRAIN_MS, DRAIN_QUIET_MS, RECONNECT_SPREAD_MS};
use crate::link::Link;
use crate::pauses::Why;
use crate::shard::Shard;

/// A drain on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draining {
    pub(crate) look_at: Tick,
    deadline: Tick,
    quiet_since: Tick,
    closing: bool,
    done: bool,
}

impl Shard {
    pub(crate) fn begin_drain(&mut self) {
        if self.draining.is_some() {
            return;
        }
        let deadline = self.now.after_ms(DRAIN_MS);
        let look_at = self.now.after_ms(DRAIN_QUIET_MS);
        self.draining =
            Some(Draining { look_at, deadline, quiet_since: self.now, closing: false, done: false });
        self.write_all_delivered();
        let mut links: Vec<Link> = self.sessions.links().collect();
        links.sort_unstable();
        for link in links {
            self.pause_link(link, Why::Drain);
        }
    }

    /// Waits until nothing of ours is on the way, then says goodbye to everybody. What other shards still had for us is
    /// in their fan-out logs.
    pub(crate) fn drain(&mut self) {
        let Some(mut draining) = self.draining else { return };
        let idle = self.pipeline.is_idle()
            && self.gathered.is_empty()
            && self.hops.is_idle()
            && self.asks.is_empty();
        if !idle {
            draining.quiet_since = self.now;
        }
        let quiet = self.now >= draining.quiet_since.after_ms(DRAIN_QUIET_MS);
        if !draining.closing && (quiet || self.now >= draining.deadline) {
            draining.closing = true;
            let greeting = self.greeting.keys().copied();
            let mut links: Vec<Link> = self.sessions.links().chain(greeting).collect();
            links.sort_unstable();
            for link in links {
                self.send_away(link);
            }
        }
        if draining.closing && self.now >= draining.deadline {
            self.close_held();
        }
        if draining.closing && !draining.done && self.sessions.is_empty() && self.held.is_empty() {
            draining.done = true;
            self.out.push(Effect::Drained);
        }
        let step = if draining.done { 60_000 } else { DRAIN_QUIET_MS };
        draining.look_at = self.now.after_ms(step);
        self.draining = Some(draining);
    }

    pub(crate) fn send_away(&mut self, link: Link) {
        let draw = mix64(self.seed.0 ^ link.number()) % u64::from(RECONNECT_SPREAD_MS);
        let reconnect_after_ms = 200 + u32::try_from(draw).unwrap_or(0);
        let reason = CloseCode::GoingAway.number();
        let away = body::encode(0, &GoingAway { reconnect_after_ms, reason });
        self.speak(link, Speak::Frames(away.into_bytes()));
        self.hang_up(link, CloseCode::GoingAway);
    }
}
