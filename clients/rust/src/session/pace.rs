//! How fast frames are written: a token bucket as the server keeps one for this session, from what WELCOME says, and a
//! little emptier than the server's. So a device that keeps to it meets no refusal `rate`, unless other devices of the
//! same user send at the same time; such a refusal empties the bucket and halves the pace for a while.
//!
//! The two buckets drift apart by what the network holds back: frames written over a second can arrive at once. The
//! server then has its burst and nothing more, so a part of the burst stays unused here.

use protocol::Frame;
use protocol::body::session::WelcomeV2;
use protocol::cost::{TOKEN_BYTES, tokens};

use super::limits::{
    HALVED_MAX, HALVED_MS, PACE_PERCENT, REFUSALS_APART_MS, TOKENS_BURST_DEFAULT, TOKENS_BURST_PERCENT,
    TOKENS_PER_S_DEFAULT, TURN_TOKENS,
};

/// Parts of a token: with them a millisecond's share at [`PACE_PERCENT`] of any rate is a whole number.
const PARTS: u64 = 100_000;

/// A frame that waits, with what it costs beyond its bytes: itself, the members it names, the items it asks for.
#[derive(Clone, Debug)]
pub(super) struct Priced {
    pub(super) frame: Frame,
    work: u64,
}

impl Priced {
    pub(super) fn new(frame: Frame) -> Self {
        let work = tokens(&frame).saturating_sub(bytes(&frame) / TOKEN_BYTES);
        Self { frame, work: u64::from(work) }
    }
}

/// Whose turn it is when both wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    Request,
    Send,
}

#[derive(Debug)]
pub(super) struct Pace {
    per_s: u64,
    burst: u64,
    token_bytes: u64,
    /// In parts. Below 0 behind a frame that costs more than the burst, and behind frames that do not wait.
    level: i64,
    at_ms: u64,
    /// How often the pace is halved, because others use a part of it.
    halved: u32,
    /// Since when it is.
    halved_at_ms: u64,
    /// Tokens that requests had more than sends, at most a turn either way.
    requests_lead: i64,
}

impl Default for Pace {
    fn default() -> Self {
        Self::usual(0)
    }
}

impl Pace {
    /// What Welcome says.
    pub(super) fn welcomed(now_ms: u64, welcome: &WelcomeV2) -> Self {
        Self::new(now_ms, welcome.tokens_per_s, welcome.tokens_burst, welcome.token_bytes)
    }

    /// The defaults, for a server whose Welcome (version 1) says nothing of it.
    pub(super) fn usual(now_ms: u64) -> Self {
        Self::new(now_ms, TOKENS_PER_S_DEFAULT, TOKENS_BURST_DEFAULT, TOKEN_BYTES)
    }

    /// None.
    pub(super) fn unbounded(now_ms: u64) -> Self {
        Self::new(now_ms, u32::MAX, u32::MAX, u32::MAX)
    }

    /// A full bucket: the server begins one at each Hello.
    pub(super) fn new(now_ms: u64, per_s: u32, burst: u32, token_bytes: u32) -> Self {
        let mut pace = Self {
            per_s: u64::from(per_s.max(1)),
            burst: u64::from(burst.max(1)),
            token_bytes: u64::from(token_bytes.max(1)),
            level: 0,
            at_ms: now_ms,
            halved: 0,
            halved_at_ms: now_ms,
            requests_lead: 0,
        };
        pace.level = pace.full();
        pace
    }

    /// Tokens that a frame costs.
    pub(super) fn cost(&self, priced: &Priced) -> u64 {
        u64::from(bytes(&priced.frame)) / self.token_bytes + priced.work
    }

    /// Whose turn it is when a request and a send both wait: requests do not queue behind sends, and do not starve them.
    pub(super) fn turn(&self) -> Turn {
        if self.requests_lead > 0 { Turn::Send } else { Turn::Request }
    }

    /// When a frame of this cost may be written; not in the future when it may be now.
    pub(super) fn ready_at(&self, now_ms: u64, cost: u64) -> u64 {
        // What costs more than the burst goes out when the bucket is full.
        let missing = parts(cost).min(self.full()).saturating_sub(self.level_at(now_ms));
        let missing = u64::try_from(missing).unwrap_or(0);
        now_ms.saturating_add(missing.div_ceil(self.gain_per_ms()))
    }

    /// The same for a frame that nobody waits for: only the last quarter of the burst is for it, so that all such frames of
    /// all devices of a user leave something for what somebody waits for; and nothing for a while after a refusal.
    pub(super) fn spare_at(&self, now_ms: u64, cost: u64) -> u64 {
        let kept = self.full() / 4 * 3 / parts(1);
        let ready = self.ready_at(now_ms, cost + u64::try_from(kept).unwrap_or(0));
        if self.halved > 0 { ready.max(self.halved_at_ms.saturating_add(HALVED_MS)) } else { ready }
    }

    /// A frame is written, whether the tokens are there or not.
    pub(super) fn charge(&mut self, now_ms: u64, cost: u64) {
        if self.halved > 0 && now_ms >= self.halved_at_ms.saturating_add(HALVED_MS) {
            (self.halved, self.halved_at_ms) = (self.halved - 1, now_ms);
        }
        self.level = self.level_at(now_ms).saturating_sub(parts(cost));
        self.at_ms = now_ms;
    }

    /// A frame that waited for its turn is written.
    pub(super) fn charge_turn(&mut self, now_ms: u64, turn: Turn, cost: u64) {
        self.charge(now_ms, cost);
        let cost = i64::try_from(cost).unwrap_or(TURN_TOKENS);
        let lead = match turn {
            Turn::Request => self.requests_lead.saturating_add(cost),
            Turn::Send => self.requests_lead.saturating_sub(cost),
        };
        self.requests_lead = lead.clamp(-TURN_TOKENS, TURN_TOKENS);
    }

    /// The server says that nothing is left. Many frames that were under way are refused for one reason.
    pub(super) fn refused(&mut self, now_ms: u64) {
        self.level = self.level_at(now_ms).min(0);
        self.at_ms = now_ms;
        if self.halved == 0 || now_ms >= self.halved_at_ms.saturating_add(REFUSALS_APART_MS) {
            (self.halved, self.halved_at_ms) = ((self.halved + 1).min(HALVED_MAX), now_ms);
        }
    }

    fn full(&self) -> i64 {
        let parts = self.burst.saturating_mul(PARTS / 100 * TOKENS_BURST_PERCENT);
        i64::try_from(parts.max(PARTS)).unwrap_or(i64::MAX)
    }

    fn gain_per_ms(&self) -> u64 {
        (self.per_s.saturating_mul(PARTS / 1000 * PACE_PERCENT / 100) >> self.halved).max(1)
    }

    fn level_at(&self, now_ms: u64) -> i64 {
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(self.gain_per_ms());
        self.level.saturating_add(i64::try_from(gained).unwrap_or(i64::MAX)).min(self.full())
    }
}

fn bytes(frame: &Frame) -> u32 {
    u32::try_from(frame.body().len()).unwrap_or(u32::MAX)
}

fn parts(tokens: u64) -> i64 {
    i64::try_from(tokens.saturating_mul(PARTS)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use protocol::body::encode;
    use protocol::body::message::{AddMembers, SendText};

    use super::*;

    #[test]
    fn a_frame_costs_its_bytes_and_its_work() {
        let text = encode(1, &SendText { channel: 7, text: "x".repeat(10_000) });
        let add = encode(1, &AddMembers { channel: 7, members: (1..=30).collect() });
        for (token_bytes, costs) in [(TOKEN_BYTES, [3, 31]), (1000, [11, 31]), (u32::MAX, [1, 31])] {
            let pace = Pace::new(0, 1, 1, token_bytes);
            let cost = |frame: &Frame| pace.cost(&Priced::new(frame.clone()));
            assert_eq!([cost(&text), cost(&add)], costs);
        }
    }

    #[test]
    fn what_is_written_stays_below_what_the_server_allows() {
        // The server's bucket takes each frame at the moment in which it is written.
        for (per_s, burst) in [(2, 2), (3, 50), (50, 2), (200, 1000), (1, 1)] {
            let mut pace = Pace::new(0, per_s, burst, 4096);
            let (mut level, mut at, mut now) = (u64::from(burst) * 1000, 0, 0);
            for _ in 0..3000 {
                now = pace.ready_at(now, 1);
                pace.charge(now, 1);
                level = (level + (now - at) * u64::from(per_s)).min(u64::from(burst) * 1000);
                at = now;
                assert!(level >= 1000, "{per_s} a second, {burst} at once: refused at {now} ms");
                level -= 1000;
            }
            let most = 3000 * 1000 / u64::from(per_s) * 100 / PACE_PERCENT + 3000;
            assert!(now <= most, "{per_s} a second, {burst} at once: {now} ms, at most {most}");
        }
    }

    #[test]
    fn a_frame_above_the_burst_waits_for_a_full_bucket() {
        let mut pace = Pace::new(0, 100, 8, 4096);
        assert_eq!(pace.ready_at(0, 1000), 0);
        pace.charge(0, 1000);
        let again = pace.ready_at(0, 1);
        assert!((9_000..11_000).contains(&again), "{again}");
        pace.refused(again);
        assert!(pace.ready_at(again, 1) > again);
    }

    #[test]
    fn neither_side_starves() {
        let mut pace = Pace::default();
        let (mut requests, mut sends) = (0, 0);
        for _ in 0..1000 {
            match pace.turn() {
                Turn::Request => requests += 26,
                Turn::Send => sends += 1,
            }
            let cost = if pace.turn() == Turn::Request { 26 } else { 1 };
            pace.charge_turn(0, pace.turn(), cost);
        }
        assert!(sends * 2 >= requests - 26 && requests * 2 >= sends, "{requests} to {sends}");
    }
}
