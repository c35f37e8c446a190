//! The device side of the protocol as a pure state machine: no I/O, no clock, no randomness but the seed.
//!
//! # Calling contract
//!
//! One [`Session`] is one device for as long as the app runs; connections come and go under it. Its user
//! 1. dials, and calls [`Session::connected`] when frames can be written, or [`Session::disconnected`] when they cannot;
//! 2. calls [`Session::receive`] for every whole frame, in order;
//! 3. calls [`Session::tick`] when [`Session::next_deadline`] is due, as often as it likes otherwise;
//! 4. after each of these, and after each command, drains [`Session::poll_event`] and writes all that
//!    [`Session::poll_transmit`] gives, in order;
//! 5. on [`Event::Dead`] closes the connection and calls [`Session::disconnected`]; on [`Event::Reconnect`] dials.
//!
//! Times are milliseconds of one clock that never steps back; its zero is arbitrary.
//!
//! # What it promises
//!
//! - The cursor moves on complete ranges only, never back.
//! - A reconnected device catches up before it sends again, and drops what it meets there: with the server's dedup
//!   window this makes every send effectively once.
//! - No more is written than the server allows: its pace is in Welcome. Requests and sends share it.
//! - Sends are written in the order in which they were made. After a refusal that may be retried, all from the refused
//!   one on are written again, in order, after the pause that the server asked for.
//! - Each message is told once ([`Event::Message`]); an own send ends in exactly one [`Event::Ack`] or
//!   [`Event::Rejected`], however often it was written.
//! - A request, too, ends in exactly one event: its answer, told once all of it is here, or [`Event::Rejected`]. One that
//!   a connection did not answer whole is asked again on the next.

use std::collections::{BTreeMap, VecDeque};

use protocol::body::encode;
use protocol::body::message::channel_of;
use protocol::body::session::Hello;
use protocol::partition::mix64;
use protocol::{ChannelId, Cursor, Frame, InboxSeq, Seq, UserId};

mod about;
mod answer;
mod clock;
mod command;
mod event;
pub mod limits;
mod marks;
mod own;
mod pace;
mod pending;
mod presence;
mod push;
mod request;
pub mod reread;
mod rules;
mod seen;
mod talk;
#[cfg(test)]
mod tests;

pub use event::{About, ChannelList, Content, Event, History, Message, Place, Remark, RequestId};
pub use own::{Around, ListOrder};
pub use reread::{Known, Reread};
pub use rules::Rules;
pub use talk::{Mention, Thread};

use pace::{Pace, Priced, Turn};
use pending::Pending;
use request::Requests;
use seen::Seen;

/// What a session is made of.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Whose device this is, as login said.
    pub user: UserId,
    /// For send ids and jitter. It must be another one for every session ever made, also after a restart of the app:
    /// take it from the operating system's randomness.
    pub seed: u64,
    /// Lower end of the pause before a reconnect, in milliseconds, at least 1.
    pub reconnect_ms_min: u64,
    /// Upper end of the pause before a reconnect, in milliseconds.
    pub reconnect_ms_max: u64,
    /// Whether a server that names no pace (WELCOME version 1) is taken to have the usual one. One that has none is for
    /// measuring only.
    pub assumes_pace: bool,
    /// Whether the server is told what was delivered, so that others see two ticks.
    pub says_delivered: bool,
}

impl Config {
    /// The usual pauses.
    #[must_use]
    pub fn new(user: UserId, seed: u64) -> Self {
        let (min, max) = (limits::RECONNECT_MS_MIN, limits::RECONNECT_MS_MAX);
        Self {
            user,
            seed,
            reconnect_ms_min: min,
            reconnect_ms_max: max,
            assumes_pace: true,
            says_delivered: true,
        }
    }
}

/// What an app keeps so that a device goes on after a restart.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Saved {
    /// How far the inbox was taken.
    pub cursor: Cursor,
    /// Sends without an ack, oldest first: whole frames.
    pub pending: Vec<Frame>,
}

/// Where a session stands with its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No connection. Leads to `Greeting`.
    Down,
    /// Hello is queued or written. Leads to `CatchingUp`, `Live` or `Down`.
    Greeting,
    /// What was missed comes in; sends wait. Leads to `Live` or `Down`.
    CatchingUp,
    /// Sends go out. Leads to `Down`.
    Live,
}

/// One device.
#[derive(Debug)]
pub struct Session {
    config: Config,
    draws: u64,
    requests_made: u64,
    now_ms: u64,
    state: State,
    cursor: Cursor,
    pending: Pending,
    requests: Requests,
    pace: Pace,
    seen: Seen,
    /// How far the large channels have come that this connection follows.
    heads: BTreeMap<ChannelId, Seq>,
    marks: marks::Marks,
    presences: presence::Presences,
    /// Frames of the session itself: Hello, Reauth, Heartbeat, CursorAck, Typing, Idle.
    control: VecDeque<Frame>,
    events: VecDeque<Event>,
    page: Option<OpenPage>,
    hello: u64,
    reauth: Option<Reauthing>,
    /// The inbox's head in Welcome.
    catch_up_to: InboxSeq,
    going_away: bool,
    /// The server said so; only another token changes it.
    is_logged_out: bool,
    clock: clock::Clock,
}

/// A history page whose messages are still coming.
#[derive(Debug)]
struct OpenPage {
    history: History,
    /// Of a page of a thread.
    thread: Option<protocol::body::talk::Thread>,
    left: u32,
}

#[derive(Clone, Copy, Debug)]
struct Reauthing {
    id: u64,
    lifetime_ms: u64,
}

impl Session {
    /// A device without a connection. What `saved` holds is sent again once the device has caught up; frames in it
    /// that are not sends are left out.
    #[must_use]
    pub fn new(config: Config, saved: Option<Saved>) -> Self {
        let saved = saved.unwrap_or_default();
        let mut pending = Pending::default();
        for frame in saved.pending {
            if let Some(channel) = channel_of(&frame) {
                pending.push(channel, frame);
            }
        }
        Self {
            config,
            draws: 0,
            requests_made: 0,
            now_ms: 0,
            state: State::Down,
            cursor: saved.cursor,
            pending,
            requests: Requests::default(),
            pace: Pace::default(),
            seen: Seen::default(),
            heads: BTreeMap::new(),
            marks: marks::Marks::default(),
            presences: presence::Presences::default(),
            control: VecDeque::new(),
            events: VecDeque::new(),
            page: None,
            hello: 0,
            reauth: None,
            catch_up_to: InboxSeq(0),
            going_away: false,
            is_logged_out: false,
            clock: clock::Clock::default(),
        }
    }

    /// What to keep. Take it when [`Self::poll_event`] has nothing more and what it gave is kept: the cursor counts
    /// every event as taken. Behind an [`Event::Resync`] take it only once the channels are read anew ([`Reread`]): with
    /// the new cursor a restarted app would not know that its messages are in doubt.
    #[must_use]
    pub fn saved(&self) -> Saved {
        Saved { cursor: self.cursor, pending: self.pending.frames().cloned().collect() }
    }

    /// How far the inbox was taken.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Sends without an ack.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Requests without an answer.
    #[must_use]
    pub fn requests_len(&self) -> usize {
        self.requests.len()
    }

    /// Whether something could be written now, were it not for the server's pace.
    #[must_use]
    pub fn waits_for_pace(&self) -> bool {
        self.next_turn().is_some_and(|(_, cost)| self.pace.ready_at(self.now_ms, cost) > self.now_ms)
    }

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whose device this is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.config.user
    }

    /// Frames can be written: queues Hello. A connection that was there before is taken as gone.
    pub fn connected(&mut self, now_ms: u64, token: &str) {
        self.end_connection();
        self.now_ms = self.now_ms.max(now_ms);
        self.is_logged_out = false;
        self.state = State::Greeting;
        self.hello = self.new_request_id().0;
        let (generation, cursor) = (self.cursor.generation.0, self.cursor.at.0);
        self.control.push_back(encode(self.hello, &Hello { generation, cursor, token: token.to_owned() }));
        self.clock.connected(self.now_ms, self.cursor);
    }

    /// The connection is gone, or could not be made. Says when to try again, unless the device was logged out.
    pub fn disconnected(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        self.end_connection();
        if self.is_logged_out {
            return;
        }
        let draw = self.draw();
        let retry_at_ms = self.clock.disconnected(self.now_ms, &self.config, draw);
        self.events.push_back(Event::Disconnected { retry_at_ms });
    }

    fn end_connection(&mut self) {
        self.state = State::Down;
        self.pending.rewind();
        // Among them is the request of a page that did not come whole, so what came of it is dropped.
        self.requests.rewind();
        self.page = None;
        self.control.clear();
        self.reauth = None;
        self.going_away = false;
        self.clock.down();
        self.end_marks();
    }

    /// The next frame to write on the connection.
    pub fn poll_transmit(&mut self) -> Option<Frame> {
        let frame = self.next_frame()?;
        self.clock.written(self.now_ms);
        Some(frame)
    }

    fn next_frame(&mut self) -> Option<Frame> {
        if self.state == State::Down || self.is_logged_out {
            return None;
        }
        // Frames of the session itself are few and do not wait; what they cost is counted.
        if let Some(frame) = self.control.pop_front() {
            let priced = Priced::new(frame);
            self.pace.charge(self.now_ms, self.pace.cost(&priced));
            return Some(priced.frame);
        }
        let next = self.next_turn();
        let next = next.filter(|(_, cost)| self.pace.ready_at(self.now_ms, *cost) <= self.now_ms);
        let Some((turn, cost)) = next else { return self.next_mark() };
        // What was delivered rides on what is written anyway, behind it.
        self.marks.ride();
        self.pace.charge_turn(self.now_ms, turn, cost);
        match turn {
            Turn::Request => self.requests.write_next(),
            Turn::Send => self.pending.write_next(),
        }
    }

    /// What is written next once its tokens are there: the one whose turn it is waits for them, so that what costs much
    /// is not overtaken for ever by what costs little.
    fn next_turn(&self) -> Option<(Turn, u64)> {
        if matches!(self.state, State::Down | State::Greeting) || self.going_away {
            return None;
        }
        let request = self.requests.next(self.now_ms);
        let send = if self.state == State::Live { self.pending.next(self.now_ms) } else { None };
        let (turn, priced) = match (request, send) {
            (Some(request), Some(send)) => match self.pace.turn() {
                Turn::Request => (Turn::Request, request),
                Turn::Send => (Turn::Send, send),
            },
            (Some(request), None) => (Turn::Request, request),
            (None, send) => (Turn::Send, send?),
        };
        Some((turn, self.pace.cost(priced)))
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes one frame of the server. Kinds and bodies that this client does not know are skipped.
    pub fn receive(&mut self, now_ms: u64, frame: Frame) {
        self.now_ms = self.now_ms.max(now_ms);
        if self.state == State::Down {
            return;
        }
        self.clock.heard(self.now_ms);
        if frame.header().is_stamped() {
            if self.state != State::Greeting {
                self.take_message(&frame);
            }
            return;
        }
        // A page whose messages do not follow directly is told as far as it came: the app sees its bounds.
        self.end_page();
        self.take_answer(&frame);
    }

    /// Each draw is another number; the sequence is a function of the seed.
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        mix64(self.config.seed ^ mix64(self.draws))
    }
}
