//! All that happens by time: heartbeats, a dead connection, the cursor told lazily, the token's end, the reconnect.

use protocol::body::encode;
use protocol::body::session::{Heartbeat, Welcome};
use protocol::limits::U53_MAX;
use protocol::{Cursor, Generation};

use super::limits::{CURSOR_TELL_MS, CURSOR_TELL_POSITIONS, HEARTBEAT_MS_MIN, WELCOME_WAIT_MS, WOKE_WAIT_MS};
use super::{Config, Event, Session, State};

#[derive(Debug, Default)]
pub(super) struct Clock {
    /// 0 before Welcome.
    heartbeat_ms: u64,
    written_at_ms: u64,
    heard_at_ms: u64,
    /// An answer must come by then.
    dead_at_ms: Option<u64>,
    told: Cursor,
    tell_at_ms: Option<u64>,
    token_due_ms: Option<u64>,
    /// What the server asked for.
    reconnect_after_ms: Option<u64>,
    reconnect_at_ms: Option<u64>,
    /// The pause is the server's wish.
    is_hinted: bool,
    /// Tries since the last Welcome.
    tries: u32,
}

impl Clock {
    pub(super) fn connected(&mut self, now_ms: u64, cursor: Cursor) {
        self.dead_at_ms = Some(now_ms.saturating_add(WELCOME_WAIT_MS));
        self.told = cursor;
        self.written_at_ms = now_ms;
        self.heard_at_ms = now_ms;
        self.reconnect_after_ms = None;
    }

    pub(super) fn down(&mut self) {
        self.heartbeat_ms = 0;
        self.dead_at_ms = None;
        self.tell_at_ms = None;
        self.token_due_ms = None;
        self.reconnect_at_ms = None;
    }

    /// Full pause is the hint, or doubles from the minimum to the maximum; its second half is drawn.
    pub(super) fn disconnected(&mut self, now_ms: u64, config: &Config, draw: u64) -> u64 {
        let (min, max) = (config.reconnect_ms_min.max(1), config.reconnect_ms_max.max(1));
        self.is_hinted = self.reconnect_after_ms.is_some();
        let pause = self.reconnect_after_ms.take().unwrap_or_else(|| {
            let full = min.saturating_mul(1 << self.tries.min(30)).min(max);
            self.tries = self.tries.saturating_add(1);
            full.div_ceil(2) + draw % (full / 2 + 1)
        });
        let at = now_ms.saturating_add(pause);
        self.reconnect_at_ms = Some(at);
        at
    }

    pub(super) fn reconnect_after(&mut self, pause_ms: u64) {
        self.reconnect_after_ms = Some(pause_ms);
    }

    /// A connection has to show soon that it lives; a pause of our own is over, one that the server asked for is not.
    fn woke(&mut self, now_ms: u64) {
        self.dead_at_ms = self.dead_at_ms.map(|at| at.min(now_ms.saturating_add(WOKE_WAIT_MS)));
        if !self.is_hinted
            && let Some(at) = &mut self.reconnect_at_ms
        {
            *at = now_ms.min(*at);
            self.tries = 0;
        }
    }

    pub(super) fn written(&mut self, now_ms: u64) {
        self.written_at_ms = now_ms;
    }

    pub(super) fn heard(&mut self, now_ms: u64) {
        self.heard_at_ms = now_ms;
        if self.heartbeat_ms > 0 {
            self.dead_at_ms = None;
        }
    }

    pub(super) fn welcomed(&mut self, now_ms: u64, welcome: &Welcome) {
        self.heartbeat_ms = u64::from(welcome.heartbeat_ms).max(HEARTBEAT_MS_MIN);
        self.dead_at_ms = None;
        self.tries = 0;
        self.token_lasts(now_ms, welcome.expires_ms.saturating_sub(welcome.time_ms));
    }

    /// Another token is asked for when a fifth of the life is left.
    pub(super) fn token_lasts(&mut self, now_ms: u64, lifetime_ms: u64) {
        self.token_due_ms = Some(now_ms.saturating_add(lifetime_ms / 5 * 4));
    }

    pub(super) fn cursor_known(&mut self, cursor: Cursor) {
        self.told = cursor;
        self.tell_at_ms = None;
    }

    pub(super) fn cursor_moved(&mut self, now_ms: u64, cursor: Cursor) {
        if !self.cursor_is_told(cursor) && self.tell_at_ms.is_none() {
            self.tell_at_ms = Some(now_ms.saturating_add(CURSOR_TELL_MS));
        }
    }

    pub(super) fn cursor_is_told(&self, cursor: Cursor) -> bool {
        cursor == self.told || cursor.generation == Generation(0)
    }

    pub(super) fn cursor_due(&self, now_ms: u64, cursor: Cursor) -> bool {
        cursor.at.0.saturating_sub(self.told.at.0) >= CURSOR_TELL_POSITIONS
            || self.tell_at_ms.is_some_and(|at| now_ms >= at)
    }

    /// When the next heartbeat goes out: nothing was written, or nothing heard, for the whole pause.
    fn heartbeat_at(&self) -> Option<u64> {
        let is_waiting = self.heartbeat_ms == 0 || self.dead_at_ms.is_some();
        let quiet_since = self.written_at_ms.min(self.heard_at_ms);
        (!is_waiting).then(|| quiet_since.saturating_add(self.heartbeat_ms))
    }

    fn next_deadline(&self) -> Option<u64> {
        [self.heartbeat_at(), self.dead_at_ms, self.tell_at_ms, self.token_due_ms, self.reconnect_at_ms]
            .into_iter()
            .flatten()
            .min()
    }
}

fn is_due(deadline: &mut Option<u64>, now_ms: u64) -> bool {
    deadline.take_if(|at| *at <= now_ms).is_some()
}

impl Session {
    /// When [`Self::tick`] has something to do. After a tick at that time it is later, or `None`.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let sends =
            if self.state == State::Live && !self.going_away { self.pending.deadline() } else { None };
        let asks = if matches!(self.state, State::Live | State::CatchingUp) && !self.going_away {
            self.requests.deadline()
        } else {
            None
        };
        let tokens = self.next_turn().map(|(_, cost)| self.pace.ready_at(self.now_ms, cost));
        // A wait that is over shows in `poll_transmit`, not here.
        let holds =
            [sends, asks, tokens, self.mark_at()].into_iter().flatten().filter(|at| *at > self.now_ms);
        holds.chain(self.clock.next_deadline()).chain(self.marks.typing_ends_at()).min()
    }

    /// Time has come to `now_ms`.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        let now_ms = self.now_ms;
        if is_due(&mut self.clock.reconnect_at_ms, now_ms) {
            self.events.push_back(Event::Reconnect);
        }
        if is_due(&mut self.clock.dead_at_ms, now_ms) {
            self.end_connection();
            self.events.push_back(Event::Dead);
            return;
        }
        if is_due(&mut self.clock.token_due_ms, now_ms) {
            self.events.push_back(Event::TokenDue);
        }
        self.end_typing();
        self.tell_cursor_if_due();
        if self.clock.heartbeat_at().is_some_and(|at| at <= now_ms) {
            self.beat(2 * self.clock.heartbeat_ms);
        }
    }

    fn beat(&mut self, wait_ms: u64) {
        self.tell_cursor();
        self.control.push_back(encode(0, &Heartbeat { time_ms: self.now_ms.min(U53_MAX) }));
        self.clock.written_at_ms = self.now_ms;
        self.clock.dead_at_ms = Some(self.now_ms.saturating_add(wait_ms));
    }

    /// The device woke from sleep, or has a network again: a connection has to show soon that it lives, and who waits to
    /// dial does so at once, unless the server asked for the pause. Call [`Self::tick`] behind it.
    pub fn woke(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        self.clock.woke(self.now_ms);
        if self.clock.heartbeat_at().is_some() {
            self.beat(WOKE_WAIT_MS);
        }
    }
}
