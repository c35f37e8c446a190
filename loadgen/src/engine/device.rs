//! One device.

use std::collections::VecDeque;

use client::session::{Saved, Session};
use protocol::limits::U53_MAX;
use protocol::{Cursor, Generation, InboxSeq, UserId};

use crate::cast::session_config;
use crate::link::Link;
use crate::wire::{Login, Road};

/// A session with its connection, if it has one. Memory for one that is idle: about 0.9 KiB with a WebSocket.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) session: Session,
    pub(super) token: Box<str>,
    /// By which it connects, if by QUIC.
    pub(super) road: Option<Road>,
    pub(super) link: Option<Box<Link>>,
    /// The time for which it stands among the timers; `u64::MAX` for none.
    pub(super) timer_ms: u64,
    /// When the connection was wanted that is being made or was made last.
    pub(super) dial_from_ns: u64,
    /// A cut device stays away until then.
    pub(super) away_until_ms: u64,
    /// What was sent before this time met a connection that we had cut or did not read: it says nothing about the server's speed.
    pub(super) cut_until_ns: u64,
    pub(super) stands: Stands,
    /// Stands in the dial queue.
    pub(super) is_queued: bool,
    pub(super) is_dirty: bool,
    /// Reads nothing for now.
    pub(super) is_stalled: bool,
    /// Was cut by the latest storm and is not back yet.
    pub(super) is_in_storm: bool,
    /// Has caught up once.
    pub(super) has_been_live: bool,
    /// The group that it is creating.
    pub(super) creates: Option<u32>,
    /// Which of its channels is next.
    pub(super) turn: u32,
    /// Sends without an ack, in order.
    pub(super) flight: VecDeque<Flight>,
}

/// How far its connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stands {
    Down,
    Dialing,
    Welcomed,
}

/// A send without an ack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) channel: u32,
    pub(super) intended_ns: u64,
}

impl Device {
    /// A new device that begins at the head of its inbox: what former runs left is not its concern.
    pub(super) fn new(login: Login, seed: u64) -> Self {
        let cursor = Cursor { generation: Generation(0), at: InboxSeq(U53_MAX) };
        let saved = Saved { cursor, pending: Vec::new() };
        Self {
            session: Session::new(session_config(UserId(login.user), seed), Some(saved)),
            token: login.token.into(),
            road: login.road,
            link: None,
            timer_ms: u64::MAX,
            dial_from_ns: 0,
            away_until_ms: 0,
            cut_until_ns: 0,
            stands: Stands::Down,
            is_queued: false,
            is_dirty: false,
            is_stalled: false,
            is_in_storm: false,
            has_been_live: false,
            creates: None,
            turn: 0,
            flight: VecDeque::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tens_of_thousands_fit() {
        let bytes = size_of::<Device>() + size_of::<Link>();
        assert!(bytes <= 1400, "{bytes} bytes a device");
    }
}
