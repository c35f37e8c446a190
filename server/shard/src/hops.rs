//! Hops that wait for the rings of the other shards.

use std::collections::VecDeque;

use protocol::hop::{Held, Hop, Look, Seen, Speak, Watch};
use protocol::{ShardId, UserId};

use crate::ledger::span_bytes;
use crate::limits::{HOPS_WAITING_MAX, LANE_BYTES_MAX};

#[derive(Debug)]
pub(crate) struct Hops {
    own: ShardId,
    /// To this shard itself: taken within the same step.
    local: VecDeque<Hop>,
    lanes: Vec<Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Hop>,
    /// Of the frames in them.
    bytes: usize,
}

impl Lane {
    /// Whether it holds at least such a part of what it may.
    fn is_at_least(&self, part: usize) -> bool {
        self.waiting.len() >= HOPS_WAITING_MAX / part || self.bytes >= LANE_BYTES_MAX / part
    }
}

/// Bytes of the frames in a hop, and of what was read of them.
fn hop_bytes(hop: &Hop) -> usize {
    match hop {
        Hop::Submit { frame, .. } => frame.held_bytes(),
        Hop::Held { fact: Held::Frame(frame), .. } => frame.bytes().len(),
        Hop::Answer { frames, .. } | Hop::Speak { fact: Speak::Frames(frames), .. } => frames.len(),
        Hop::Deliver { spans } => span_bytes(spans),
        Hop::Watch { fact, .. } => watch_bytes(fact),
        Hop::Seen(seen) => seen.len() * size_of::<Seen>(),
        Hop::Offer(offer) => offer.frame.bytes().len(),
        Hop::Tell { frames, .. } => frames.iter().map(|frame| frame.bytes().len()).sum(),
        _ => 0,
    }
}

fn watch_bytes(fact: &Watch) -> usize {
    match fact {
        Watch::See(looks) => looks.len() * size_of::<Look>(),
        Watch::Keep(kept) => kept.len() * size_of::<(UserId, u64)>(),
        Watch::End(users) | Watch::Once { users, .. } => users.len() * size_of::<UserId>(),
    }
}

impl Hops {
    pub(crate) fn new(own: ShardId, shards: u16) -> Self {
        let lanes = (0..shards).map(|_| Lane::default()).collect();
        Self { own, local: VecDeque::new(), lanes }
    }

    pub(crate) fn push(&mut self, to: ShardId, hop: Hop) {
        if to == self.own {
            self.local.push_back(hop);
        } else if let Some(lane) = self.lanes.get_mut(usize::from(to.0)) {
            lane.bytes += hop_bytes(&hop);
            lane.waiting.push_back(hop);
        }
    }

    /// Whether a hop that can be read again from a log should be dropped instead.
    pub(crate) fn is_full(&self, to: ShardId) -> bool {
        self.lanes.get(usize::from(to.0)).is_some_and(|lane| lane.is_at_least(1))
    }

    pub(crate) fn pop_local(&mut self) -> Option<Hop> {
        self.local.pop_front()
    }

    pub(crate) fn pop(&mut self, to: ShardId) -> Option<Hop> {
        let lane = self.lanes.get_mut(usize::from(to.0))?;
        let hop = lane.waiting.pop_front()?;
        lane.bytes -= hop_bytes(&hop);
        Some(hop)
    }

    /// Bytes of the frames in all hops that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.bytes).sum()
    }

    pub(crate) fn waits(&self, to: ShardId) -> bool {
        self.lanes.get(usize::from(to.0)).is_some_and(|lane| !lane.waiting.is_empty())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.is_empty())
    }

    /// Whether senders to this shard must wait: before refusal, and early enough that deliveries still have room.
    pub(crate) fn is_pressed(&self, to: ShardId) -> bool {
        self.lanes.get(usize::from(to.0)).is_some_and(|lane| lane.is_at_least(4))
    }

    /// Whether they may go on.
    pub(crate) fn is_relieved(&self, to: ShardId) -> bool {
        self.lanes.get(usize::from(to.0)).is_none_or(|lane| !lane.is_at_least(8))
    }
}
