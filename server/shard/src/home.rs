//! What a device asks of its home: frames in, answers and pages out.

use bytes::Bytes;
use protocol::body::about::GetAbout;
use protocol::body::list::{GetChannelsV2, GetHistoryV2};
use protocol::body::marks::{GetReceipts, MarkDelivered};
use protocol::body::message::Change;
use protocol::body::rules::GetRules;
use protocol::body::session::{Done, Heartbeat};
use protocol::body::sync::{Complete, CursorAck, GetHistory, GetMembers, MarkRead};
use protocol::body::talk::GetThread;
use protocol::body::{self, Body, Checked, CheckedFrame};
use protocol::commit::{DeviceRow, Row};
use protocol::hop::{Hop, Origin};
use protocol::{
    BayId, ChannelId, CloseCode, Code, Cursor, Frame, Generation, Header, InboxSeq, Kind, Refusal, SentBy,
    Seq, UserId,
};

use crate::invariant::impossible;
use crate::limits::{CURSOR_EVERY_MS, FAULT_WEIGHT};
use crate::order::forbidden;
use crate::pages::asks_for_a_page;
use crate::pauses::Why;
use crate::pipeline::After;
use crate::session::SessionId;
use crate::shard::Shard;

impl Shard {
    /// A frame from a device: refused with a reason, or carried out.
    pub(crate) fn frame(&mut self, session_id: SessionId, frame: Frame) {
        let (id, kind) = (frame.header().id, frame.kind());
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        session.heard(self.now);
        let origin = session.origin(session_id);
        let admitted = self.pay(session_id, &frame).and_then(|()| self.admit(session_id, &frame));
        let outcome = admitted.and_then(|()| self.serve(session_id, origin, frame));
        match outcome {
            // What goes on to a channel's home is answered from there, and weighed then.
            Ok(()) if goes_to_a_channel(kind) => {}
            Ok(()) => self.forgive_faults(session_id),
            Err(refusal) => {
                // An honest device can meet many a refusal that a retry helps, all at once; never many of its own making.
                let weight = if refusal.retry_after_ms == 0 { FAULT_WEIGHT } else { 1 };
                self.reject(session_id, id, &refusal);
                // Who is refused for its pace is not read for as long, which is enough.
                if refusal.code != Code::Rate {
                    self.weigh_fault(session_id, weight);
                }
            }
        }
        self.pause_if_crowded(session_id);
    }

    fn serve(&mut self, session_id: SessionId, origin: Origin, frame: Frame) -> Result<(), Refusal> {
        let kind = frame.kind();
        match kind.sent_by() {
            SentBy::Message => return self.serve_message(session_id, origin, frame),
            SentBy::Device | SentBy::Both => {}
            SentBy::Server | SentBy::Home | SentBy::Nobody => {
                let text = format!("kind 0x{:04x} is not one that a device sends", kind.0);
                return Err(Refusal::new(Code::UnknownKind, "", text));
            }
        }
        match kind {
            Kind::HEARTBEAT => self.heartbeat(session_id, &frame),
            Kind::CURSOR_ACK => self.cursor_ack(origin, body::ingest::<CursorAck>(&frame)?),
            Kind::GET_HISTORY => self.ask_for_page(session_id, origin, history_request(frame)?),
            Kind::GET_MEMBERS => {
                let channel = |get: Checked<'_, GetMembers>| ChannelId(get.channel.to_native());
                self.ask_for_page(session_id, origin, CheckedFrame::request::<GetMembers>(frame, channel)?)
            }
            Kind::GET_CHANNELS if frame.header().version == GetChannelsV2::VERSION => {
                self.get_listing(session_id, origin, &frame)
            }
            Kind::GET_CHANNELS => self.get_channels(session_id, origin, &frame),
            Kind::GET_THREAD => {
                let channel = |get: Checked<'_, GetThread>| ChannelId(get.channel.to_native());
                self.ask_for_page(session_id, origin, CheckedFrame::request::<GetThread>(frame, channel)?)
            }
            Kind::GET_ABOUT => {
                let channel = |get: Checked<'_, GetAbout>| ChannelId(get.channel.to_native());
                self.ask_for_page(session_id, origin, CheckedFrame::request::<GetAbout>(frame, channel)?)
            }
            Kind::GET_MENTIONS => self.get_mentions(session_id, origin, &frame),
            Kind::GET_NOTES => self.get_notes(session_id, origin, &frame),
            Kind::MARK_READ => self.marks_read(session_id, origin, frame),
            Kind::MARK_DELIVERED => {
                let channel = |mark: Checked<'_, MarkDelivered>| ChannelId(mark.channel.to_native());
                let frame = CheckedFrame::request::<MarkDelivered>(frame, channel)?;
                check_party(origin.user, frame.channel())?;
                // Written lazily, and the next one says more: while much waits it goes no further.
                if self.hops.is_pressed(self.placement.channel_home(frame.channel())) {
                    return Ok(());
                }
                self.submit_hop(session_id, origin, frame)
            }
            Kind::GET_RECEIPTS => {
                let channel = |get: Checked<'_, GetReceipts>| ChannelId(get.channel.to_native());
                self.ask_for_page(session_id, origin, CheckedFrame::request::<GetReceipts>(frame, channel)?)
            }
            Kind::GET_RULES => {
                let channel = |get: Checked<'_, GetRules>| ChannelId(get.channel.to_native());
                self.ask_for_page(session_id, origin, CheckedFrame::request::<GetRules>(frame, channel)?)
            }
            Kind::TYPING => self.typing_said(origin, frame),
            Kind::WATCH => self.watch(session_id, origin, &frame),
            Kind::UNWATCH => self.unwatch(session_id, &frame),
            Kind::SET_PRESENCE => self.set_presence(session_id, origin, &frame),
            Kind::IDLE => self.idles(session_id, origin.user, &frame),
            Kind::GET_PRESENCE => self.get_presence(session_id, origin, &frame),
            Kind::GET_OWN_PRESENCE => self.get_own_presence(session_id, origin.user, &frame),
            Kind::SUBSCRIBE_PUSH => self.subscribes(origin, &frame),
            Kind::UNSUBSCRIBE_PUSH => self.unsubscribes(origin, &frame),
            Kind::SET_PUSH => self.sets_push(origin, &frame),
            Kind::GET_PUSH => self.get_push(session_id, origin, &frame),
            _ => {
                let text = "Hello and Reauth belong to the edge, and Hello comes once";
                Err(Refusal::new(Code::UnknownKind, "", text))
            }
        }
    }

    /// The channel's home answers with a page, for which there is room from now on.
    fn ask_for_page(
        &mut self,
        session_id: SessionId,
        origin: Origin,
        frame: CheckedFrame,
    ) -> Result<(), Refusal> {
        self.reserve_page(session_id, &frame)?;
        self.submit_hop(session_id, origin, frame)
    }

    fn marks_read(&mut self, session_id: SessionId, origin: Origin, frame: Frame) -> Result<(), Refusal> {
        let channel = |mark: Checked<'_, MarkRead>| ChannelId(mark.channel.to_native());
        let seq = body::ingest::<MarkRead>(&frame).map(|mark| Seq(mark.seq.to_native()))?;
        let frame = CheckedFrame::request::<MarkRead>(frame, channel)?;
        let (channel, id) = (frame.channel(), frame.header().id);
        check_party(origin.user, channel)?;
        self.submit_write(session_id, origin, frame)?;
        self.push_marks(origin, id, channel, seq);
        Ok(())
    }

    fn serve_message(&mut self, session_id: SessionId, origin: Origin, frame: Frame) -> Result<(), Refusal> {
        let frame = self.checked(frame)?;
        if frame.header().id == 0 {
            return Err(Refusal::new(Code::Limit, "id", "a send id is a random number other than 0"));
        }
        if let Some(Change::Begins { members, .. }) = frame.change() {
            check_create(origin.user, &frame, members)?;
            self.count_group(origin.user)?;
        }
        check_party(origin.user, frame.channel())?;
        self.submit_write(session_id, origin, frame)
    }

    /// Passes on what the channel's home will write.
    fn submit_write(
        &mut self,
        session_id: SessionId,
        origin: Origin,
        frame: CheckedFrame,
    ) -> Result<(), Refusal> {
        self.check_writable()?;
        let home = self.placement.channel_home(frame.channel());
        self.refuse_guest_if(self.is_pressed(home), session_id)?;
        self.submit_hop(session_id, origin, frame)?;
        // Backpressure before refusal, by destination: what it sends next would find no room.
        if self.is_pressed(home) {
            self.pause(session_id, Why::Unstored(home));
        }
        Ok(())
    }

    /// Whether anything may be written now.
    pub(crate) fn check_writable(&self) -> Result<(), Refusal> {
        self.refuse_if_draining()?;
        self.refuse_if_space_low()
    }

    pub(crate) fn refuse_if_draining(&self) -> Result<(), Refusal> {
        if self.draining.is_some() {
            return Err(Refusal::retry(
                Code::Busy,
                1000,
                "the server is stopping; send again elsewhere or later",
            ));
        }
        Ok(())
    }

    /// Says DONE to a request once all that was changed of its user is stored.
    pub(crate) fn done_once_stored(&mut self, origin: Origin, frame: &Frame) {
        let kind = frame.kind();
        let dirty = self.users.get(&origin.user).map_or(0, |user| user.dirty);
        let done = body::encode(frame.header().id, &Done { kind: kind.0 });
        if let Some(after) = self.pipeline.after_number(dirty, After::Answer(origin, kind, done)) {
            self.after_stored(after);
        }
    }

    /// Whatever writes is refused before the disk is full; reading goes on.
    pub(crate) fn refuse_if_space_low(&self) -> Result<(), Refusal> {
        if self.space_low {
            return Err(Refusal::retry(Code::StorageFull, 5000, "the disk is nearly full; reading goes on"));
        }
        Ok(())
    }

    fn submit_hop(
        &mut self,
        session_id: SessionId,
        origin: Origin,
        frame: CheckedFrame,
    ) -> Result<(), Refusal> {
        let home = self.placement.channel_home(frame.channel());
        self.refuse_guest_if(self.hops.is_pressed(home), session_id)?;
        let hides = self.hides_receipts(origin.user);
        self.hops.push(home, Hop::Submit { origin, frame, hides });
        if self.hops.is_pressed(home) {
            self.pause(session_id, Why::Lane(home));
        }
        Ok(())
    }

    /// Whether a user shows nobody how far it has come.
    pub(crate) fn hides_receipts(&self, user: UserId) -> bool {
        let account = self.users.get(&user).and_then(|user| user.account);
        account.is_some_and(|account| account.policy.hides_receipts)
    }

    fn heartbeat(&mut self, session_id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let time_ms = body::ingest::<Heartbeat>(frame)?.time_ms.to_native();
        self.complete(session_id, false);
        self.transmit_body(session_id, frame.header().id, &Heartbeat { time_ms });
        Ok(())
    }

    fn cursor_ack(&mut self, origin: Origin, ack: Checked<'_, CursorAck>) -> Result<(), Refusal> {
        let at = InboxSeq(ack.cursor.to_native());
        let generation = self.generation(origin.user);
        let (wall_ms, space_low) = (self.wall_ms, self.space_low);
        let Some(user) = self.users.get_mut(&origin.user) else {
            impossible!(self, "a frame of a user who is not in memory");
            return Ok(());
        };
        if at > user.inbox.durable() {
            return Err(Refusal::new(Code::Limit, "cursor", "beyond what the inbox holds"));
        }
        let Some(row) = user.device(origin.device) else {
            impossible!(self, "a session of a device that does not exist");
            return Ok(());
        };
        let newer = generation.0 == ack.generation.to_native()
            && (row.cursor.generation != generation || row.cursor.at < at);
        // Written lazily: the device's own cursor counts. Not at all while the disk is nearly full.
        if newer && !space_low && wall_ms.abs_diff(row.seen_ms) >= CURSOR_EVERY_MS {
            *row = DeviceRow { cursor: Cursor { generation, at }, seen_ms: wall_ms };
            let row = Row::Device { user: origin.user, device: origin.device, row: *row };
            self.user_row(origin.user, row);
        }
        if generation.0 == ack.generation.to_native() {
            self.push_taken(origin.user, at);
        }
        Ok(())
    }

    /// The answer to a frame of one session, from wherever it was made. Dropped when the session is gone.
    pub(crate) fn answer(&mut self, origin: Origin, asked: Kind, frames: Bytes) {
        if asked == Kind::MARK_READ
            && let Some(header) = Header::read(&frames)
        {
            self.push_marked(origin, header.id, header.kind != Kind::REJECT);
        }
        let Some(session_id) = self.session_of(origin) else { return };
        let Some(header) = Header::read(&frames) else {
            return impossible!(self, session_id, "an answer without a frame");
        };
        if asks_for_a_page(asked) {
            self.page_is_answered(session_id, asked, header.id);
        }
        let Some(session) = self.sessions.get(&session_id) else { return };
        // Its room was reserved. Live messages may have filled the connection since; then the page is one too many.
        let is_crowded = session.egress.queued(self.turn) > self.config.limits.egress_bytes;
        if is_crowded && asks_for_a_page(asked) && header.kind != Kind::REJECT {
            let refusal = Refusal::retry(Code::Busy, 1000, "read what was sent before asking for more");
            self.reject(session_id, header.id, &refusal);
            return;
        }
        if header.kind == Kind::SEND_ACK {
            self.counters.acks_sent += 1;
        }
        if header.kind == Kind::REJECT && asked.is_message() {
            self.send_is_refused_elsewhere(session_id, header.id);
        }
        self.transmit(session_id, frames);
        if header.kind == Kind::REJECT {
            // A device can have many sends on the way to a channel that it was just removed from.
            self.weigh_fault(session_id, 1);
        } else {
            self.forgive_faults(session_id);
        }
    }

    /// A frame was not refused.
    pub(crate) fn forgive_faults(&mut self, session_id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&session_id) {
            session.forgive_faults();
        }
    }

    /// Who goes on sending what is refused, without one frame that is not, is closed.
    fn weigh_fault(&mut self, session_id: SessionId, weight: u32) {
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        if session.has_too_many_faults(weight) {
            self.end_session(session_id, CloseCode::TooManyFaults);
        }
    }

    pub(crate) fn session_of(&self, origin: Origin) -> Option<SessionId> {
        let id = SessionId(origin.session);
        self.sessions.get(&id).is_some_and(|session| session.user() == origin.user).then_some(id)
    }

    pub(crate) fn generation(&self, user: UserId) -> Generation {
        let bay = BayId::of_user(user);
        let own = self.config.own.iter().find(|own| own.bay == bay);
        own.map_or(Generation(0), |own| own.generation)
    }

    /// The driver tells what a flush left behind.
    pub(crate) fn egress(&mut self, session_id: SessionId, queued: usize) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        session.egress.tell(queued, now, self.turn);
        session.egress.weigh(&self.ledger);
        if queued > 0 {
            self.look_at(session_id, now.after_ms(self.config.limits.stalled_ms));
        }
        self.look_at_crowded(session_id);
    }

    /// The driver tells that bytes were taken, although no fewer wait.
    pub(crate) fn took(&mut self, session_id: SessionId) {
        let now = self.now;
        // It may have ended meanwhile.
        if let Some(session) = self.sessions.get_mut(&session_id) {
            session.egress.took(now);
        }
    }

    /// A crowded connection is looked at again when the driver tells of it, or, if it never told, once it was flushed.
    pub(crate) fn await_flush(&mut self, session_id: SessionId) {
        if self.sessions.get(&session_id).is_some_and(|session| !session.egress.is_told()) {
            self.crowded.push(session_id);
        }
    }

    /// Looks at the crowded connections that have been flushed since they became so. No other is looked at: one that the
    /// driver told of changes nothing until the driver tells again.
    pub(crate) fn look_at_drained(&mut self) {
        for session_id in core::mem::take(&mut self.crowded) {
            self.look_at_crowded(session_id);
        }
    }

    /// A crowded connection goes on once most of what waited was taken.
    fn look_at_crowded(&mut self, session_id: SessionId) {
        // It may have ended meanwhile, and one that the driver told of was looked at when it did.
        let Some(session) = self.sessions.get_mut(&session_id).filter(|session| session.is_crowded()) else {
            return;
        };
        self.counters.crowded_looks += 1;
        if session.egress.queued(self.turn) > self.config.limits.egress_bytes / 4 {
            self.await_flush(session_id);
            return;
        }
        session.crowd(false);
        self.unpause(session_id, Why::Egress);
        self.advance(session_id, false);
        self.tell_behind(session_id);
    }

    /// Who does not read what is sent to it is not read either: its requests make more to send.
    fn pause_if_crowded(&mut self, session_id: SessionId) {
        let Some(session) = self.sessions.get(&session_id) else { return };
        if session.egress.queued(self.turn) >= self.config.limits.egress_bytes {
            self.pause(session_id, Why::Egress);
            self.crowd(session_id);
        }
    }

    /// Says up to where everything was sent, if that is news. Never past what is durable.
    pub(crate) fn complete(&mut self, session_id: SessionId, even_if_nothing: bool) {
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        let Some(user) = self.users.get(&session.user()) else {
            return impossible!(self, session_id, "a session of a user who is not in memory");
        };
        let head = user.inbox.durable();
        let Some((from, to)) = session.completes(head, self.now, even_if_nothing) else { return };
        let id = session.user();
        let generation = self.generation(id).0;
        let complete = Complete { generation, from: from.0, to: to.0, head: head.0 };
        self.transmit_body(session_id, 0, &complete);
    }

    /// A complete range rides on traffic that goes out anyway.
    pub(crate) fn complete_on_traffic(&mut self, session_id: SessionId) {
        let Some(session) = self.sessions.get(&session_id) else { return };
        if session.is_complete_due(self.now) {
            self.complete(session_id, false);
        }
    }
}

fn goes_to_a_channel(kind: Kind) -> bool {
    kind.is_message()
        || matches!(kind, Kind::GET_HISTORY | Kind::GET_MEMBERS | Kind::GET_RECEIPTS | Kind::GET_THREAD)
        || matches!(kind, Kind::GET_ABOUT | Kind::GET_RULES)
        // What is not answered forgives nothing.
        || matches!(kind, Kind::MARK_READ | Kind::MARK_DELIVERED | Kind::TYPING)
}

fn history_request(frame: Frame) -> Result<CheckedFrame, Refusal> {
    if frame.header().version == GetHistoryV2::VERSION {
        let channel = |get: Checked<'_, GetHistoryV2>| ChannelId(get.channel.to_native());
        return CheckedFrame::request::<GetHistoryV2>(frame, channel);
    }
    let channel = |get: Checked<'_, GetHistory>| ChannelId(get.channel.to_native());
    CheckedFrame::request::<GetHistory>(frame, channel)
}

/// A direct channel is for its two users.
pub(crate) fn check_party(user: UserId, channel: ChannelId) -> Result<(), Refusal> {
    match channel.users() {
        Some((small, large)) if user != small && user != large => Err(forbidden()),
        _ => Ok(()),
    }
}

/// A new group has the number that follows from its creator's send, and the creator is not one of the others.
fn check_create(user: UserId, frame: &CheckedFrame, others: &[UserId]) -> Result<(), Refusal> {
    if frame.channel() != ChannelId::group(user, frame.send_id()) {
        let text = "expected the group number that follows from sender and send id";
        return Err(Refusal::new(Code::Limit, "channel", text));
    }
    if others.contains(&user) {
        return Err(Refusal::new(Code::Limit, "members", "do not list the sender: it is a member anyway"));
    }
    Ok(())
}
