//! Sends that are not acked yet, in order. At most one copy of each is on the way at a time, so that an answer is always
//! about the only copy there is: after a refusal that may be retried, nothing is written until all that was written
//! behind it is answered too.

use std::collections::VecDeque;

use protocol::{ChannelId, Frame, SendId};

use super::limits::{IN_FLIGHT_MAX, IN_FLIGHT_MIN};
use super::pace::Priced;

#[derive(Debug, Default)]
pub(super) struct Pending {
    sends: VecDeque<Send>,
    in_flight: usize,
    /// The window is [`IN_FLIGHT_MAX`] less this. All that is in flight behind a refused send is written a second time,
    /// so each refusal halves the window and each answer widens it by one.
    narrowed: usize,
    /// Nothing is written before this time, nor while anything is on the way.
    hold_until_ms: Option<u64>,
}

#[derive(Debug)]
struct Send {
    channel: ChannelId,
    priced: Priced,
    /// Written on this connection and not answered.
    in_flight: bool,
}

impl Send {
    fn id(&self) -> SendId {
        self.priced.frame.send_id()
    }
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.sends.len()
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.sends.iter().map(|send| &send.priced.frame)
    }

    pub(super) fn find(&self, id: SendId) -> Option<&Frame> {
        self.frames().find(|frame| frame.send_id() == id)
    }

    pub(super) fn push(&mut self, channel: ChannelId, frame: Frame) {
        self.sends.push_back(Send { channel, priced: Priced::new(frame), in_flight: false });
    }

    /// The next send to write, if the window and the hold allow one.
    pub(super) fn next(&self, now_ms: u64) -> Option<&Priced> {
        if self.in_flight + self.narrowed >= IN_FLIGHT_MAX
            || self.hold_until_ms.is_some_and(|at| now_ms < at || self.in_flight > 0)
        {
            return None;
        }
        self.sends.iter().find(|send| !send.in_flight).map(|send| &send.priced)
    }

    /// What [`Self::next`] gave is written.
    pub(super) fn write_next(&mut self) -> Option<Frame> {
        let send = self.sends.iter_mut().find(|send| !send.in_flight)?;
        send.in_flight = true;
        self.in_flight += 1;
        self.hold_until_ms = None;
        Some(send.priced.frame.clone())
    }

    /// Takes the send out. With a channel, only if it was for that channel.
    pub(super) fn take(&mut self, id: SendId, channel: Option<ChannelId>) -> bool {
        let is_it = |send: &Send| send.id() == id && channel.is_none_or(|channel| channel == send.channel);
        let Some(at) = self.sends.iter().position(is_it) else { return false };
        if self.sends.remove(at).is_some_and(|send| send.in_flight) {
            self.in_flight -= 1;
            self.narrowed = self.narrowed.saturating_sub(1);
        }
        true
    }

    /// Writes again from `id` on, in order, not before `until_ms` and not before everything else is answered. False when it
    /// is not pending.
    pub(super) fn hold_from(&mut self, id: SendId, until_ms: u64) -> bool {
        let Some(send) = self.sends.iter_mut().find(|send| send.id() == id) else { return false };
        if core::mem::take(&mut send.in_flight) {
            self.in_flight -= 1;
        }
        if self.hold_until_ms.is_none() {
            let window = IN_FLIGHT_MAX - self.narrowed;
            self.narrowed = IN_FLIGHT_MAX - (window / 2).max(IN_FLIGHT_MIN);
        }
        self.hold_until_ms = Some(self.hold_until_ms.map_or(until_ms, |held| held.max(until_ms)));
        true
    }

    /// The connection is gone: nothing is written, nothing is held.
    pub(super) fn rewind(&mut self) {
        for send in &mut self.sends {
            send.in_flight = false;
        }
        self.in_flight = 0;
        self.narrowed = 0;
        self.hold_until_ms = None;
    }

    /// Ends a hold whatever its time.
    pub(super) fn release(&mut self) {
        self.hold_until_ms = None;
    }

    /// When a held send may be written.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.hold_until_ms.filter(|at| *at != u64::MAX && self.in_flight == 0 && !self.sends.is_empty())
    }
}
