//! Messages: sending what the schedule wants, and taking what sessions tell.

use client::session::{About, Content, Event, Message};
use protocol::body::large::HeadItem;
use protocol::body::read;
use protocol::body::session::Reject;
use protocol::limits::GROUP_MEMBERS_MAX;
use protocol::{ChannelId, Code, Frame, Kind, SendId, Seq, UserId};

use super::Engine;
use super::device::{Flight, Stands};
use crate::clock::now_ns;
use crate::ledger::{Fault, Heard};
use crate::text::{Head, NUMBER_BITS};

/// Draws of a sender before one is taken that is away.
const SENDER_DRAWS: u32 = 8;

impl Engine {
    /// Everything that the schedule wanted by now, however late we are.
    pub(super) fn send_due(&mut self, now: u64) {
        while let Some(wanted_ns) = self.sends.as_ref().map(|pace| pace.next_ns()).filter(|at| *at <= now) {
            if let Some(pace) = &mut self.sends {
                pace.advance(&mut self.draws);
            }
            if let Some(device) = self.draw_sender() {
                self.send(device, wanted_ns, now);
            }
        }
        while self.cuts.as_ref().is_some_and(|pace| pace.next_ns() <= now) {
            if let Some(pace) = &mut self.cuts {
                pace.advance(&mut self.draws);
            }
            let place = self.draws.below(self.cast.cuttable.len());
            if let Some(device) = self.cast.cuttable.get(place).copied() {
                self.cut(device, now);
            }
        }
        while self.storms_ns.pop_if(|at| *at <= now).is_some() {
            self.begin_storm(now);
        }
        self.go_on_cutting(now);
    }

    /// Anybody, but rather not somebody whom we sent away: people who are offline do not write. Whoever lost the
    /// connection by the server's doing does.
    fn draw_sender(&mut self) -> Option<u32> {
        let mut drawn = None;
        for _ in 0..SENDER_DRAWS {
            let place = self.draws.below(self.cast.senders.len());
            drawn = self.cast.senders.get(place).copied();
            let is_away =
                |device: u32| self.devices.get(device as usize).is_some_and(|entry| entry.away_until_ms > 0);
            if drawn.is_some_and(|device| !is_away(device)) {
                break;
            }
        }
        drawn
    }

    /// One message of a device, into the next of its channels.
    pub(super) fn send(&mut self, device: u32, intended_ns: u64, now: u64) {
        let (chars, script) = self.draw_text();
        let number = self.next_number;
        let is_counted = (self.window_ns.0..self.window_ns.1).contains(&intended_ns);
        let Self { devices, cast, writer, nonce, .. } = self;
        let Some(entry) = devices.get_mut(device as usize) else { return };
        let Some(to) = cast.sends_to.get(device as usize).filter(|to| !to.is_empty()) else { return };
        entry.turn = (entry.turn + 1) % u32::try_from(to.len()).unwrap_or(1);
        let Some(channel) = to.get(entry.turn as usize).copied() else { return };
        let Some(id) = cast.channels.get(channel as usize).map(|channel| channel.id) else { return };
        let text = writer.write(Head { nonce: *nonce, number, intended_ns }, chars, script);
        let send_id = SendId(u64::from(*nonce) << NUMBER_BITS | number);
        let outcome = entry.session.send_text(id, text, Some(send_id));
        self.interval.offered += 1;
        if is_counted && self.sends.is_some() {
            self.interval.lag.record(now.saturating_sub(intended_ns));
        }
        if outcome.is_err() {
            // Only a full session refuses what we make.
            self.outcome.unsent += 1;
            return;
        }
        let bytes = text.len();
        entry.flight.push_back(Flight { number, channel, intended_ns });
        self.next_number += 1;
        self.unacked += 1;
        if let Some(ledger) = &mut self.ledger {
            ledger.sent(number, device, channel, bytes);
        }
        self.settle(device, now);
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn draw_text(&mut self) -> (usize, crate::scenario::Script) {
        let texts = &self.spec.scenario.texts;
        let place = match self.text_bounds.as_slice() {
            [_] => 0,
            bounds => {
                let at = self.draws.unit() * bounds.last().copied().unwrap_or(0.0);
                bounds.iter().position(|bound| at < *bound).unwrap_or(0)
            }
        };
        let Some(sort) = texts.get(place) else { return (0, crate::scenario::Script::Latin) };
        let ([least, most], script) = (sort.chars, sort.script);
        let span = (most - least) as usize;
        let extra = if span == 0 { 0 } else { self.draws.below(span + 1) };
        (least as usize + extra, script)
    }

    pub(super) fn count_frame(&mut self, frame: &Frame) {
        if frame.kind() == Kind::REJECT
            && let Some(reject) = read::<Reject>(frame)
        {
            *self.outcome.rejects.entry(code_word(reject.code)).or_default() += 1;
        }
    }

    pub(super) fn on_event(&mut self, device: u32, event: Event, now: u64) {
        match event {
            Event::Message(message) => self.on_message(device, &message, now),
            Event::Ack { send_id, channel, seq, .. } => self.on_ack(device, send_id, channel, seq, now),
            Event::Connected(_) => self.on_welcome(device, now),
            Event::Live => self.on_live(device, now),
            Event::Presence { items, .. } => self.on_presence(&items),
            Event::Heads(items) => self.on_heads(device, &items),
            Event::Rejected { about, reject } => self.on_rejected(device, about, &reject),
            Event::HelloRejected(reject) | Event::LoggedOut(reject) if reject.retry_after_ms == 0 => {
                let word = code_word(reject.code);
                self.fatal = Some(format!(
                    "the server refused the token of device {device}: {word}: {}; tokens come from `maru admin \
                     create-users` on the data directory of this very server",
                    reject.text
                ));
            }
            Event::Resync { .. } if self.device(device).is_some_and(|entry| entry.has_been_live) => {
                let words = format!("device {device}: its inbox began another life");
                if let Some(ledger) = &mut self.ledger {
                    ledger.blame(Fault::Lost, words);
                }
            }
            Event::Dead => {
                self.lose(device, crate::link::Lost::Broken("the server did not answer".into()), now)
            }
            Event::Reconnect => self.on_reconnect(device, now),
            Event::TokenDue => self.last_error = "tokens are about to expire; make new ones".into(),
            _ => {}
        }
    }

    fn on_welcome(&mut self, device: u32, now: u64) {
        let Some(entry) = self.device(device) else { return };
        let waited = now.saturating_sub(entry.dial_from_ns);
        if entry.stands == Stands::Dialing {
            entry.stands = Stands::Welcomed;
            self.dialing = self.dialing.saturating_sub(1);
            self.connected += 1;
        }
        self.last_progress_ns = now;
        self.interval.connects += 1;
        self.interval.connect.record(waited);
        self.weather(device, now);
    }

    fn on_live(&mut self, device: u32, now: u64) {
        let Some(entry) = self.device(device) else { return };
        if std::mem::replace(&mut entry.has_been_live, true) {
            let waited = now.saturating_sub(entry.dial_from_ns);
            self.interval.catch_up.record(waited);
        } else {
            self.been_live += 1;
        }
        self.watch_friends(device);
    }

    fn on_message(&mut self, device: u32, message: &Message, now: u64) {
        let Content::Text(text) = &message.content else { return };
        self.delivered += 1;
        self.last_delivery_ns = now;
        self.interval.delivered += 1;
        self.interval.delivered_bytes += text.len() as u64;
        let cut_until_ns = self.device(device).map_or(0, |entry| entry.cut_until_ns);
        if let Some(head) = Head::read(text).filter(|head| head.nonce == self.nonce)
            && (self.window_ns.0..self.window_ns.1).contains(&head.intended_ns)
        {
            let waited = now.saturating_sub(head.intended_ns);
            let was_cut = head.intended_ns < cut_until_ns;
            if was_cut {
                self.interval.resumed.record(waited)
            } else {
                self.interval.delivery.record(waited)
            }
            if !was_cut && self.storm.covers(head.intended_ns) {
                self.interval.storm.record(waited);
            }
        }
        if let Some(ledger) = &mut self.ledger {
            let Message { channel, seq, sender, .. } = *message;
            ledger.delivered(&self.cast.channels, Heard { device, channel, seq, sender, text });
        }
    }

    fn on_ack(&mut self, device: u32, send_id: SendId, channel: ChannelId, seq: Seq, now: u64) {
        let number = send_id.0 & ((1 << NUMBER_BITS) - 1);
        let is_ours = send_id.0 >> NUMBER_BITS == u64::from(self.nonce);
        if self.device(device).is_some_and(|entry| entry.creates.is_some())
            && self.on_created(device, channel)
        {
            return;
        }
        if let Some(ledger) = &mut self.ledger
            && is_ours
        {
            ledger.acked(&self.cast.channels, number, channel, seq);
        }
        let Some(flight) = self.take_flight(device, number).filter(|_| is_ours) else { return };
        self.interval.acked += 1;
        let members =
            self.cast.channels.get(flight.channel as usize).map_or(0, |channel| channel.members.len());
        self.owed += members.saturating_sub(1) as u64;
        let was_cut = self.device(device).is_some_and(|entry| flight.intended_ns < entry.cut_until_ns);
        if (self.window_ns.0..self.window_ns.1).contains(&flight.intended_ns) && !was_cut {
            self.interval.ack.record(now.saturating_sub(flight.intended_ns));
        }
        if self.is_looping {
            self.send(device, now, now);
        }
    }

    fn on_created(&mut self, device: u32, channel: ChannelId) -> bool {
        if !self.group_channels.contains_key(&channel) {
            return false;
        }
        self.last_progress_ns = now_ns();
        if self.add_members(device, channel) {
            return true;
        }
        if let Some(entry) = self.device(device) {
            entry.creates = None;
        }
        self.created += 1;
        true
    }

    /// Adds the next of those who are still to be added; false when there are none.
    fn add_members(&mut self, device: u32, channel: ChannelId) -> bool {
        let Some(place) = self.group_channels.get(&channel).copied() else { return false };
        let Some(rest) = self.to_add.get_mut(&place).filter(|rest| !rest.is_empty()) else { return false };
        let next: Vec<UserId> = rest.drain(..rest.len().min(GROUP_MEMBERS_MAX)).collect();
        let Some(entry) = self.device(device) else { return false };
        if let Err(refusal) = entry.session.add_members(channel, &next, None) {
            self.fatal = Some(format!("members could not be added: {}", refusal.text));
        }
        self.settle(device, now_ns());
        true
    }

    fn on_heads(&mut self, device: u32, items: &[HeadItem]) {
        for channel in items.iter().map(|item| ChannelId(item.channel)) {
            if self.group_channels.contains_key(&channel) && self.following.insert((device, channel)) {
                self.last_progress_ns = now_ns();
            }
        }
    }

    fn take_flight(&mut self, device: u32, number: u64) -> Option<Flight> {
        let entry = self.device(device)?;
        let at = entry.flight.iter().position(|flight| flight.number == number)?;
        let flight = entry.flight.remove(at)?;
        self.unacked = self.unacked.saturating_sub(1);
        Some(flight)
    }

    fn on_rejected(&mut self, device: u32, about: About, reject: &Reject) {
        let words = format!("{}: {} {}", code_word(reject.code), reject.path, reject.text);
        let About::Send(send_id) = about else { return };
        if self.device(device).is_some_and(|entry| entry.creates.is_some()) {
            self.fatal = Some(format!("a group could not be created: {words}"));
            return;
        }
        let number = send_id.0 & ((1 << NUMBER_BITS) - 1);
        if self.take_flight(device, number).is_some() {
            self.outcome.refused += 1;
            self.last_error = words;
            if let Some(ledger) = &mut self.ledger {
                ledger.refused(number);
            }
        }
    }
}

fn code_word(code: u16) -> String {
    Code::from_number(code).map_or_else(|| code.to_string(), |code| code.word().to_owned())
}
