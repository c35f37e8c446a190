//! A core that floods another with more hops than its ring holds, and the one that takes them.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use protocol::hop::Hop;
use protocol::{BayId, ShardId};
use server::turn::Core;
use shard::{Counters, Effect, Input, Tick};

fn hop(number: u64) -> Hop {
    Hop::Applied { by: ShardId(0), through: vec![(BayId(0), number)] }
}

/// Shard 0 sends so many hops to shard 1 as soon as it is controlled; shard 1 tells when it has the last.
pub struct Relay {
    pub total: u64,
    pub waiting: VecDeque<Hop>,
    pub taken: u64,
    pub done: Sender<u64>,
    /// Shard 1 takes the first hop when nobody else has this.
    pub gate: Arc<Mutex<()>>,
}

impl Core for Relay {
    fn begin_turn(&mut self, _now: Tick, _wall_ms: u64) {}

    fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Control { ticket, .. } => {
                self.waiting.extend((1..=self.total).map(hop));
                effects.push(Effect::Reply { ticket, outcome: Ok(()) });
            }
            Input::Hop { from, hop: Hop::Applied { through, .. } } => {
                let through: Vec<u64> = through.into_iter().map(|(_, number)| number).collect();
                assert_eq!((from, through), (ShardId(0), vec![self.taken + 1]), "in order, none lost");
                if self.taken == 0 {
                    drop(self.gate.lock());
                }
                self.taken += 1;
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

    fn next_deadline(&self) -> Option<Tick> {
        None
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}
