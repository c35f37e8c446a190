//! Requests: reads and marks, all repeatable, so a lost connection or a full server just asks them again.

use std::collections::VecDeque;

use protocol::{Frame, Kind};

use super::event::RequestId;
use super::limits::REQUESTS_IN_FLIGHT_MAX;
use super::pace::Priced;

#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: VecDeque<Priced>,
    in_flight: Vec<Priced>,
    hold_until_ms: Option<u64>,
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    pub(super) fn push(&mut self, frame: Frame) {
        self.waiting.push_back(Priced::new(frame));
    }

    /// The next request to write, if the window and the hold allow one.
    pub(super) fn next(&self, now_ms: u64) -> Option<&Priced> {
        if self.in_flight.len() >= REQUESTS_IN_FLIGHT_MAX || self.hold_until_ms.is_some_and(|at| now_ms < at)
        {
            return None;
        }
        self.waiting.front()
    }

    /// What [`Self::next`] gave is written.
    pub(super) fn write_next(&mut self) -> Option<Frame> {
        let priced = self.waiting.pop_front()?;
        let frame = priced.frame.clone();
        self.in_flight.push(priced);
        self.hold_until_ms = None;
        Some(frame)
    }

    /// Whether a request of this kind is written and not answered.
    pub(super) fn is_written(&self, id: u64, kind: Kind) -> bool {
        self.place(id, kind).is_some()
    }

    /// Takes a request that was written, when it is of this kind: its whole answer is here. One that is taken before is
    /// lost when the connection ends.
    pub(super) fn answered(&mut self, id: u64, kind: Kind) -> Option<RequestId> {
        let at = self.place(id, kind)?;
        self.in_flight.remove(at);
        Some(RequestId(id))
    }

    fn place(&self, id: u64, kind: Kind) -> Option<usize> {
        let is_it = |asked: &Priced| asked.frame.header().id == id && asked.frame.kind() == kind;
        self.in_flight.iter().position(is_it)
    }

    /// Takes a refused request; with a time it is asked again then.
    pub(super) fn refused(&mut self, id: u64, again_at_ms: Option<u64>) -> Option<RequestId> {
        let at = self.in_flight.iter().position(|asked| asked.frame.header().id == id)?;
        let frame = self.in_flight.remove(at);
        if let Some(again) = again_at_ms {
            self.waiting.push_front(frame);
            self.hold_until_ms = Some(self.hold_until_ms.map_or(again, |held| held.max(again)));
        }
        Some(RequestId(id))
    }

    /// What was asked in requests of this kind is asked anew.
    pub(super) fn forget(&mut self, kind: Kind) {
        self.waiting.retain(|asked| asked.frame.kind() != kind);
        self.in_flight.retain(|asked| asked.frame.kind() != kind);
    }

    /// The connection is gone: everything is asked again.
    pub(super) fn rewind(&mut self) {
        for frame in self.in_flight.drain(..).rev() {
            self.waiting.push_front(frame);
        }
        self.hold_until_ms = None;
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.hold_until_ms.filter(|_| !self.waiting.is_empty())
    }
}
