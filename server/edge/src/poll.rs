//! A session whose device asks by HTTP: numbered requests bring frames, and each is answered with the frames that wait for the
//! device, at once or when there are some. The numbers are those of BOSH (XEP-0124, sections 8, 11, 14), so that neither a lost
//! request nor a lost answer loses or doubles a frame.
//!
//! # Calling contract
//!
//! 1. [`Poll::on_request`] takes a request; what its frames are comes out of the sink. At most one request waits: a newer one has
//!    the older one answered first, by [`Poll::answer`].
//! 2. What is to be sent goes into [`Poll::transmit`] or [`Poll::close`].
//! 3. After either, [`Poll::has_answer`] says whether the waiting request should be answered now; [`Poll::answer`] answers it in
//!    any case, perhaps with nothing.
//! 4. An answer is kept until the device has shown that it came: a request that comes again gets the same one again.
//!
//! A device has at most two requests under way, so the request after the next is what shows that an answer came.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::CloseCode;
use protocol::limits::WS_MESSAGE_FRAMES_MAX;

use crate::inbound::{Fault, Gate, Passed, split};
use crate::limits::{KEPT_BYTES_FREE, POLL_REPEATS_MAX};
use crate::{Event, Flow, Moment};

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is new: its frames were told, and it waits for its answer.
    New,
    /// It came before and still waits: whoever waited for its answer waits no more.
    Waits,
    /// It came before; this was its answer.
    Again(Answer),
}

/// Why a request was not taken. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misplaced {
    /// It is neither the next, nor one of the last two.
    Number {
        /// The next.
        expected: u64,
    },
    /// The frames of the last one are not read yet: the session is to say no more for now.
    Paused,
}

/// The answer to one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The request's number.
    pub number: u64,
    /// Whole frames, as many as there were.
    pub frames: Vec<Bytes>,
    /// Nothing comes behind these frames: the session has ended.
    pub close: Option<CloseCode>,
}

impl Answer {
    /// Bytes of its frames.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.iter().map(Bytes::len).sum()
    }

    /// Whether it holds no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// One session.
#[derive(Debug)]
pub struct Poll {
    gate: Gate,
    /// Hello was said.
    is_live: bool,
    close: Option<CloseCode>,
    /// The number of the newest request taken.
    newest: u64,
    /// It is not answered.
    waits: bool,
    /// What is to be sent with the next answer.
    queue: Vec<Bytes>,
    queued: usize,
    /// The answers to the last two requests, as far as there are.
    kept: VecDeque<Answer>,
    /// How often requests came again since the newest was new.
    repeats: u8,
    is_paused: bool,
    /// Frames of the newest request that are not told yet.
    postponed: Bytes,
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            gate: Gate::new(),
            is_live: false,
            close: None,
            newest: 0,
            waits: false,
            queue: Vec::new(),
            queued: 0,
            kept: VecDeque::new(),
            repeats: 0,
            is_paused: false,
            postponed: Bytes::new(),
        }
    }
}

impl Poll {
    /// Takes a request with whole frames; none are allowed. The first frame of the first one is Hello. If an older request waits
    /// it is to be answered before, see [`Self::waits_before`].
    ///
    /// # Errors
    /// When it is not its turn.
    pub fn on_request(
        &mut self,
        moment: &Moment<'_>,
        number: u64,
        frames: &Bytes,
        sink: &mut impl FnMut(Event) -> Flow,
    ) -> Result<Taken, Misplaced> {
        let kept = self.kept.iter().find(|answer| answer.number == number).cloned();
        if self.waits(number) || kept.is_some() {
            self.repeats = self.repeats.saturating_add(1);
            if self.repeats > POLL_REPEATS_MAX {
                self.close(CloseCode::TooManyFaults);
            }
            return Ok(kept.map_or(Taken::Waits, Taken::Again));
        }
        let expected = self.newest + 1;
        if number == expected && !self.postponed.is_empty() {
            return Err(Misplaced::Paused);
        }
        if number != expected || self.waits {
            return Err(Misplaced::Number { expected });
        }
        // The device had room for one more request: of the two that were under way the older one is answered.
        self.kept.retain(|answer| answer.number + 1 >= number);
        (self.newest, self.waits, self.repeats) = (number, true, 0);
        self.take_frames(moment, frames.clone(), sink);
        Ok(Taken::New)
    }

    /// Whether this request waits for its answer.
    #[must_use]
    pub fn waits(&self, number: u64) -> bool {
        self.waits && number == self.newest
    }

    /// Whether a request waits that has to be answered before this one is taken.
    #[must_use]
    pub fn waits_before(&self, number: u64) -> bool {
        self.waits && number == self.newest + 1 && self.postponed.is_empty()
    }

    fn take_frames(&mut self, moment: &Moment<'_>, mut frames: Bytes, sink: &mut impl FnMut(Event) -> Flow) {
        let mut taken = 0;
        while !frames.is_empty() && self.close.is_none() {
            if self.is_paused {
                self.postponed = frames;
                return;
            }
            if taken >= WS_MESSAGE_FRAMES_MAX {
                return self.close(Fault::TooMany.close_code());
            }
            taken += 1;
            let (frame, rest) = match split(&frames) {
                Ok((frame, rest)) => (frame, rest.len()),
                Err(fault) => return self.close(fault.close_code()),
            };
            frames = frames.split_off(frames.len() - rest);
            match self.gate.take(moment, frame, self.is_live) {
                Passed::Event(event) => {
                    self.is_live |= matches!(event, Event::Hello(_));
                    if sink(event) == Flow::Hold {
                        self.is_paused = true;
                    }
                }
                Passed::Refused { code, reject, close } => {
                    self.transmit(reject);
                    let _ = sink(Event::Refused(code));
                    if let Some((close, _)) = close {
                        self.close(close);
                    }
                }
            }
        }
    }

    /// Tells no more frames until [`Self::resume`].
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Tells what was postponed.
    pub fn resume(&mut self, moment: &Moment<'_>, sink: &mut impl FnMut(Event) -> Flow) {
        self.is_paused = false;
        let frames = core::mem::take(&mut self.postponed);
        self.take_frames(moment, frames, sink);
    }

    /// Queues whole frames.
    pub fn transmit(&mut self, frames: Bytes) {
        if self.close.is_none() && !frames.is_empty() {
            self.queued += frames.len();
            self.queue.push(frames);
        }
    }

    /// Ends the session: what is queued is the last that the device gets.
    pub fn close(&mut self, code: CloseCode) {
        self.close.get_or_insert(code);
        self.postponed = Bytes::new();
    }

    /// Why it has ended, if it has.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        self.close
    }

    /// Whether Hello was said and nothing has ended it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_live && self.close.is_none()
    }

    /// Whether a request waits, and there is something to answer it with.
    #[must_use]
    pub fn has_answer(&self) -> bool {
        self.waits && (!self.queue.is_empty() || self.close.is_some())
    }

    /// Answers the request that waits, with nothing if there is nothing.
    pub fn answer(&mut self) -> Option<Answer> {
        if !self.waits {
            return None;
        }
        self.waits = false;
        self.queued = 0;
        let frames = core::mem::take(&mut self.queue);
        let answer = Answer { number: self.newest, frames, close: self.close };
        self.kept.push_back(answer.clone());
        Some(answer)
    }

    /// Bytes that the device has not shown to have, and bytes of it that are not told yet. Of a device that waits, a small answer
    /// before does not count: it has that, or will ask for it, and is no slow reader.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        let kept = self.kept.iter().map(Answer::len).sum::<usize>();
        let kept = if self.waits { kept.saturating_sub(KEPT_BYTES_FREE) } else { kept };
        self.queued + self.postponed.len() + kept
    }
}

#[cfg(test)]
mod tests;
