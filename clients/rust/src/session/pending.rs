//! Sends that are not acked yet, in order. The written ones are a prefix: a refusal makes it shorter, an ack takes one
//! out of it, a lost connection makes it empty.

use std::collections::VecDeque;

use protocol::{ChannelId, Frame, SendId};

use super::limits::IN_FLIGHT_MAX;

#[derive(Debug, Default)]
pub(super) struct Pending {
    sends: VecDeque<Send>,
    written: usize,
    /// Nothing is written before this time.
    hold_until_ms: Option<u64>,
}

#[derive(Debug)]
struct Send {
    channel: ChannelId,
    frame: Frame,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.sends.len()
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.sends.iter().map(|send| &send.frame)
    }

    pub(super) fn find(&self, id: SendId) -> Option<&Frame> {
        self.frames().find(|frame| frame.send_id() == id)
    }

    pub(super) fn push(&mut self, channel: ChannelId, frame: Frame) {
        self.sends.push_back(Send { channel, frame });
    }

    /// The next frame to write, if the window and the hold allow one.
    pub(super) fn next_to_write(&mut self, now_ms: u64) -> Option<Frame> {
        if self.written >= IN_FLIGHT_MAX || self.hold_until_ms.is_some_and(|at| now_ms < at) {
            return None;
        }
        let frame = self.sends.get(self.written)?.frame.clone();
        self.written += 1;
        self.hold_until_ms = None;
        Some(frame)
    }

    /// Takes the send out. With a channel, only if it was for that channel.
    pub(super) fn take(&mut self, id: SendId, channel: Option<ChannelId>) -> bool {
        let is_it =
            |send: &Send| send.frame.send_id() == id && channel.is_none_or(|channel| channel == send.channel);
        let Some(at) = self.sends.iter().position(is_it) else { return false };
        self.sends.remove(at);
        if at < self.written {
            self.written -= 1;
        }
        true
    }

    /// Writes again from `id` on, in order, not before `until_ms`. False when it is not pending.
    pub(super) fn hold_from(&mut self, id: SendId, until_ms: u64) -> bool {
        let Some(at) = self.sends.iter().position(|send| send.frame.send_id() == id) else { return false };
        self.written = self.written.min(at);
        self.hold_until_ms = Some(self.hold_until_ms.map_or(until_ms, |held| held.max(until_ms)));
        true
    }

    /// The connection is gone: nothing is written, nothing is held.
    pub(super) fn rewind(&mut self) {
        self.written = 0;
        self.hold_until_ms = None;
    }

    /// Ends a hold whatever its time.
    pub(super) fn release(&mut self) {
        self.hold_until_ms = None;
    }

    /// When a held send may be written.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.hold_until_ms.filter(|at| *at != u64::MAX && self.written < self.sends.len())
    }
}
