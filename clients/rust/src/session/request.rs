//! Requests: reads and marks, all repeatable, so a lost connection or a full server just asks them again.

use std::collections::VecDeque;

use protocol::{Frame, Kind};

use super::event::RequestId;
use super::limits::REQUESTS_IN_FLIGHT_MAX;

#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: VecDeque<Frame>,
    in_flight: Vec<Frame>,
    hold_until_ms: Option<u64>,
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    pub(super) fn push(&mut self, frame: Frame) {
        self.waiting.push_back(frame);
    }

    pub(super) fn next_to_write(&mut self, now_ms: u64) -> Option<Frame> {
        if self.in_flight.len() >= REQUESTS_IN_FLIGHT_MAX || self.hold_until_ms.is_some_and(|at| now_ms < at)
        {
            return None;
        }
        let frame = self.waiting.pop_front()?;
        self.in_flight.push(frame.clone());
        self.hold_until_ms = None;
        Some(frame)
    }

    /// Takes a request that was written, when it is of this kind.
    pub(super) fn answered(&mut self, id: u64, kind: Kind) -> Option<RequestId> {
        let is_it = |frame: &Frame| frame.header().id == id && frame.kind() == kind;
        let at = self.in_flight.iter().position(is_it)?;
        self.in_flight.remove(at);
        Some(RequestId(id))
    }

    /// Takes a refused request; with a time it is asked again then.
    pub(super) fn refused(&mut self, id: u64, again_at_ms: Option<u64>) -> Option<RequestId> {
        let at = self.in_flight.iter().position(|frame| frame.header().id == id)?;
        let frame = self.in_flight.remove(at);
        if let Some(again) = again_at_ms {
            self.waiting.push_front(frame);
            self.hold_until_ms = Some(self.hold_until_ms.map_or(again, |held| held.max(again)));
        }
        Some(RequestId(id))
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
