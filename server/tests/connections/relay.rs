//! A core that floods another with hops, and one that takes them only now and then.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;

use protocol::hop::Hop;
use protocol::{ShardId, StoreId};
use server::turn::Core;
use shard::{Counters, Effect, Input, Tick};

fn hop(number: u64) -> Hop {
    Hop::Applied { source: StoreId(0), dest: StoreId(0), through: number }
}

/// Shard 0 sends so many hops to shard 1 as soon as it is controlled; shard 1 tells when it has the last.
pub struct Relay {
    pub total: u64,
    pub waiting: VecDeque<Hop>,
    pub taken: u64,
    /// Hops this turn: it wants no more than a few.
    pub taken_now: u64,
    pub done: Sender<u64>,
    pub now: Tick,
}

impl Core for Relay {
    fn begin_turn(&mut self, now: Tick, _wall_ms: u64) {
        self.now = now;
        self.taken_now = 0;
    }

    fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Control { ticket, .. } => {
                self.waiting.extend((1..=self.total).map(hop));
                effects.push(Effect::Reply { ticket, outcome: Ok(()) });
            }
            Input::Hop { from, hop: Hop::Applied { through, .. } } => {
                assert_eq!((from, through), (ShardId(0), self.taken + 1), "in order, none lost");
                self.taken += 1;
                self.taken_now += 1;
                if self.taken == self.total {
                    self.done.send(self.taken).unwrap();
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn end_turn(&mut self, _effects: &mut Vec<Effect>) {}

    fn poll_hop(&mut self, _to: ShardId) -> Option<Hop> {
        self.waiting.pop_front()
    }

    fn has_hops(&self, _to: ShardId) -> bool {
        !self.waiting.is_empty()
    }

    fn wants_hops(&self) -> bool {
        self.taken_now < 700
    }

    fn next_deadline(&self) -> Option<Tick> {
        // Full for this turn: it comes back by itself, as the real core does by a completion.
        (!self.wants_hops()).then(|| self.now.after_ms(1))
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}
