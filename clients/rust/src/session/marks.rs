//! What people see of each other: how far the user's devices hold its channels is said to the server, and who types is
//! told to the app until it is over.

use std::collections::BTreeMap;

use protocol::body::encode;
use protocol::body::marks::{MarkDelivered, TYPING_GOES_ON, TYPING_STOPPED, Typing};
use protocol::{ChannelId, Frame, Seq, UserId};

use super::event::{Event, Message};
use super::limits::{
    CHANNELS_SEEN_MAX, DELIVERED_AGAIN_MS, DELIVERED_EVERY_MS, DELIVERED_WAIT_MS, TYPING_EVERY_MS,
    TYPING_EXPIRES_MS_MAX, TYPISTS_MAX,
};
use super::{Session, State};

/// The id of frames that nobody waits for: marked as a request's, and beyond all that a session makes.
pub(super) const UNANSWERED: u64 = 0b11 << 62;

#[derive(Debug, Default)]
pub(super) struct Marks {
    /// How far channels were delivered, not said yet.
    due: BTreeMap<ChannelId, Seq>,
    /// Since when something is.
    since_ms: Option<u64>,
    /// Something else was just written.
    rides: bool,
    /// What was said of a channel last, and when.
    said: BTreeMap<ChannelId, (Seq, u64)>,
    /// Where this user types, and when that was said last.
    types: BTreeMap<ChannelId, u64>,
    /// Others who type, and until when.
    typists: BTreeMap<(ChannelId, UserId), u64>,
}

impl Marks {
    /// Something is written anyway.
    pub(super) fn ride(&mut self) {
        self.rides = true;
    }

    /// A message of somebody else is here.
    fn delivered(&mut self, now_ms: u64, channel: ChannelId, seq: Seq) {
        let said = self.said.get(&channel).map_or(Seq(0), |(seq, _)| *seq);
        if seq <= said {
            return;
        }
        let due = self.due.entry(channel).or_default();
        *due = seq.max(*due);
        self.since_ms.get_or_insert(now_ms);
    }

    /// What is read was delivered, and need not be said.
    pub(super) fn read(&mut self, now_ms: u64, channel: ChannelId, seq: Seq) {
        if let Some(due) = self.due.get(&channel).copied().filter(|due| *due <= seq) {
            self.due.remove(&channel);
            self.note_said(now_ms, channel, due);
            self.tidy();
        }
    }

    fn note_said(&mut self, now_ms: u64, channel: ChannelId, seq: Seq) {
        if self.said.len() >= CHANNELS_SEEN_MAX && !self.said.contains_key(&channel) {
            // What is forgotten is said once more, which changes nothing.
            self.said.clear();
        }
        let said = self.said.entry(channel).or_default();
        *said = (seq.max(said.0), now_ms);
    }

    /// When the next one is said: a while after the message, and not too often of one channel.
    fn ready_at(&self) -> Option<u64> {
        let waits = self.since_ms?.saturating_add(DELIVERED_WAIT_MS);
        let again =
            |channel| self.said.get(channel).map_or(0, |(_, at)| at.saturating_add(DELIVERED_EVERY_MS));
        self.due.keys().map(|channel| again(channel).max(waits)).min()
    }

    /// The next one that may be said: at once if something is written anyway.
    fn next(&mut self, now_ms: u64, rides: bool) -> Option<Frame> {
        let waits_ms = if rides { 0 } else { DELIVERED_WAIT_MS };
        self.since_ms.filter(|since| now_ms >= since.saturating_add(waits_ms))?;
        let may_be_said = |channel: &ChannelId| {
            self.said.get(channel).is_none_or(|(_, at)| now_ms >= at.saturating_add(DELIVERED_EVERY_MS))
        };
        let channel = *self.due.keys().find(|channel| may_be_said(channel))?;
        let seq = self.due.remove(&channel)?;
        self.note_said(now_ms, channel, seq);
        self.tidy();
        Some(encode(UNANSWERED, &MarkDelivered { channel: channel.0, seq: seq.0 }))
    }

    fn tidy(&mut self) {
        self.since_ms.take_if(|_| self.due.is_empty());
    }

    /// What was said lately may be lost, here or with the server, and is said again.
    fn doubt(&mut self, now_ms: u64) {
        let lately = |at: u64| now_ms < at.saturating_add(DELIVERED_AGAIN_MS);
        for (channel, (seq, _)) in self.said.extract_if(.., |_, (_, at)| lately(*at)) {
            let due = self.due.entry(channel).or_default();
            *due = seq.max(*due);
            self.since_ms.get_or_insert(now_ms);
        }
    }

    /// When somebody types no more.
    pub(super) fn typing_ends_at(&self) -> Option<u64> {
        self.typists.values().min().copied()
    }
}

impl Session {
    /// A message that was told is delivered. Own ones and what is nothing to read say nothing.
    pub(super) fn is_delivered(&mut self, message: &Message, counts: bool) {
        if counts && self.config.says_delivered && message.sender != self.config.user {
            self.marks.delivered(self.now_ms, message.channel, message.seq);
        }
        // Who sends has typed.
        self.stops_typing(message.channel, message.sender);
    }

    /// The inbox has another life: what was said of channels is in doubt.
    pub(super) fn forget_marks(&mut self) {
        self.marks.due.clear();
        self.marks.said.clear();
        self.marks.tidy();
    }

    pub(super) fn end_marks(&mut self) {
        self.marks.doubt(self.now_ms);
        self.marks.types.clear();
        for (channel, user) in core::mem::take(&mut self.marks.typists).into_keys() {
            self.events.push_back(Event::Typing { channel, user, types: false });
        }
    }

    /// Something that nobody waits for was refused for now, and the refusal does not say what: what still holds of it is said
    /// again. Who types says so again by itself.
    pub(super) fn doubt_marks(&mut self) {
        self.marks.doubt(self.now_ms);
        self.presences.doubt_idle();
    }

    /// The next thing to say that nobody waits for, as soon as there is a token to spare.
    pub(super) fn next_mark(&mut self) -> Option<Frame> {
        let rides = core::mem::take(&mut self.marks.rides);
        let is_ready = self.state == State::Live && self.pace.spare_at(self.now_ms, 1) <= self.now_ms;
        if !is_ready || self.going_away {
            return None;
        }
        let frame = match self.presences.idle_again() {
            Some(idle) => idle,
            None => self.marks.next(self.now_ms, rides)?,
        };
        self.marks.rides = rides;
        self.pace.charge(self.now_ms, 1);
        Some(frame)
    }

    /// When the next one is said although nothing else is written.
    pub(super) fn mark_at(&self) -> Option<u64> {
        let is_live = self.state == State::Live && !self.going_away;
        let idle = self.presences.is_idle_doubted().then_some(self.now_ms);
        let at = if is_live { idle.or_else(|| self.marks.ready_at()) } else { None };
        at.map(|at| at.max(self.pace.spare_at(self.now_ms, 1)))
    }

    /// Says that the user types in a channel, or stopped. An app says so with each key if it likes: what would be too often
    /// goes no further, and without a connection nothing does.
    pub fn typing(&mut self, channel: ChannelId, types: bool) {
        if self.state != State::Live || self.going_away || !channel.is_well_formed() {
            return;
        }
        let said = self.marks.types.get(&channel).copied();
        if types {
            if said.is_some_and(|at| self.now_ms < at.saturating_add(TYPING_EVERY_MS)) {
                return;
            }
            if self.marks.types.len() >= TYPISTS_MAX {
                self.marks.types.clear();
            }
            self.marks.types.insert(channel, self.now_ms);
        } else if self.marks.types.remove(&channel).is_none() {
            return;
        }
        let state = if types { TYPING_GOES_ON } else { TYPING_STOPPED };
        let typing = Typing { channel: channel.0, user: 0, expires_ms: 0, state };
        self.control.push_back(encode(UNANSWERED, &typing));
    }

    /// The user has sent something: to say that it types no more would say it twice.
    pub(super) fn has_sent(&mut self, channel: ChannelId) {
        self.marks.types.remove(&channel);
    }

    pub(super) fn take_typing(&mut self, typing: &Typing) {
        let (channel, user) = (ChannelId(typing.channel), UserId(typing.user));
        if typing.state != TYPING_GOES_ON {
            return self.stops_typing(channel, user);
        }
        let expires_ms = u64::from(typing.expires_ms).min(TYPING_EXPIRES_MS_MAX);
        let ends_at = self.now_ms.saturating_add(expires_ms);
        if self.marks.typists.len() >= TYPISTS_MAX && !self.marks.typists.contains_key(&(channel, user)) {
            return;
        }
        if self.marks.typists.insert((channel, user), ends_at).is_none() {
            self.events.push_back(Event::Typing { channel, user, types: true });
        }
    }

    fn stops_typing(&mut self, channel: ChannelId, user: UserId) {
        if self.marks.typists.remove(&(channel, user)).is_some() {
            self.events.push_back(Event::Typing { channel, user, types: false });
        }
    }

    /// Who was not heard to type for long enough does so no more.
    pub(super) fn end_typing(&mut self) {
        let now_ms = self.now_ms;
        for (channel, user) in self.marks.typists.extract_if(.., |_, at| *at <= now_ms).map(|(who, _)| who) {
            self.events.push_back(Event::Typing { channel, user, types: false });
        }
    }
}
