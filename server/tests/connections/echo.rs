//! A core that sends every frame back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use protocol::body::{encode, session};
use protocol::hop::Hop;
use protocol::{CloseCode, Frame, Kind, ShardId};
use server::turn::Core;
use shard::{ConnId, Counters, Effect, Input, Tick};

/// What a test looks at.
#[derive(Clone, Copy, Default)]
pub struct Seen {
    pub frames: u64,
    pub most_queued: usize,
    pub last_queued: usize,
    /// Frames of the turn that had most.
    pub most_in_turn: u64,
    /// The turn of the first frame, and that of the frame [`marked`].
    pub first_turn: u64,
    pub marked_turn: u64,
    /// How often a connection was said to be read no further, and to be read again.
    pub stops: u64,
    pub goes_on: u64,
}

/// A frame whose turn is remembered.
pub fn marked() -> Frame {
    encode(0, &session::Heartbeat { time_ms: 777_777 })
}

pub struct Echo {
    pub shard: ShardId,
    pub seen: Arc<Mutex<Seen>>,
    pub open: BTreeSet<ConnId>,
    pub paused: Vec<ConnId>,
    pub turn: u64,
    pub in_turn: u64,
    pub is_draining: bool,
    pub was_ready: bool,
    pub was_drained: bool,
}

impl Core for Echo {
    fn begin_turn(&mut self, now: Tick, wall_ms: u64) {
        assert!(now.0 > 0 && wall_ms > 0);
        self.turn += 1;
        self.in_turn = 0;
    }

    fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Hello { conn, hello } => {
                assert!(self.open.insert(conn), "a number was used again");
                let home = session::Heartbeat { time_ms: u64::from(self.shard.0) };
                effects.push(Effect::Transmit { conn, frames: encode(hello.id, &home).into_bytes() });
            }
            Input::Frame { conn, frame } => {
                assert!(self.open.contains(&conn), "a frame before Hello or after Closed");
                self.in_turn += 1;
                let mut seen = self.seen.lock().unwrap();
                seen.frames += 1;
                seen.most_in_turn = seen.most_in_turn.max(self.in_turn);
                if seen.first_turn == 0 {
                    seen.first_turn = self.turn;
                }
                if frame == marked() {
                    seen.marked_turn = self.turn;
                }
                drop(seen);
                if frame.kind() == Kind::GET_CHANNELS {
                    self.paused.push(conn);
                    effects.push(Effect::Pause { conn });
                }
                effects.push(Effect::Transmit { conn, frames: frame.into_bytes() });
            }
            Input::Egress { queued, .. } => {
                let mut seen = self.seen.lock().unwrap();
                seen.most_queued = seen.most_queued.max(queued);
                seen.last_queued = queued;
            }
            Input::Reads { conn, is_read } => {
                assert!(self.open.contains(&conn), "before Hello or after Closed");
                let mut seen = self.seen.lock().unwrap();
                *(if is_read { &mut seen.goes_on } else { &mut seen.stops }) += 1;
            }
            Input::Closed { conn } => assert!(self.open.remove(&conn), "closed twice"),
            Input::Control { ticket, .. } => {
                effects.extend(self.paused.drain(..).map(|conn| Effect::Resume { conn }));
                effects.push(Effect::Reply { ticket, outcome: Ok(()) });
            }
            Input::Drain => {
                self.is_draining = true;
                let code = CloseCode::GoingAway;
                effects.extend(self.open.iter().map(|conn| Effect::Close { conn: *conn, code }));
            }
            _ => {}
        }
    }

    fn end_turn(&mut self, effects: &mut Vec<Effect>) {
        if !self.was_ready {
            self.was_ready = true;
            effects.push(Effect::Ready);
        }
        if self.is_draining && self.open.is_empty() && !self.was_drained {
            self.was_drained = true;
            effects.push(Effect::Drained);
        }
    }

    fn poll_hop(&mut self, _to: ShardId) -> Option<Hop> {
        None
    }

    fn has_hops(&self, _to: ShardId) -> bool {
        false
    }

    fn next_deadline(&self) -> Option<Tick> {
        // The first turn comes by itself, as the real core's replay does.
        (!self.was_ready).then_some(Tick(0))
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}
