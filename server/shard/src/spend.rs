//! What a session may make the shard do: it pays tokens for each frame, and reserves room for each page that it asks for.

use protocol::limits::PAGE_BYTES_MAX;
use protocol::{Code, Frame, Kind, Refusal, SendId, cost};

use crate::invariant::impossible;
use crate::ledger::Holds;
use crate::pages::{Page, page_bytes};
use crate::pauses::Why;
use crate::session::SessionId;
use crate::shard::Shard;
use crate::timer::Wake;

impl Shard {
    /// Takes what a frame costs from the session and from its user, or says when both will have it, and what was refused
    /// before it too. One that is refused is not read until then.
    pub(crate) fn pay(&mut self, session_id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let now = self.now;
        let (pace, user_pace) = (self.config.limits.session_pace(), self.config.limits.user_pace());
        let tokens = u64::from(cost::tokens(frame));
        // Sixteen devices that only live must leave their user something to say: what keeps a session alive it pays alone.
        let is_upkeep = matches!(frame.kind(), Kind::HEARTBEAT | Kind::CURSOR_ACK);
        let of_user = |tokens| if is_upkeep { 0 } else { tokens };
        let send = frame.kind().is_message().then(|| frame.send_id());
        let Some(session) = self.sessions.get_mut(&session_id) else {
            impossible!(self, session_id, "a frame of a session that is not there is paid for");
            return Ok(());
        };
        let Some(user) = self.users.get_mut(&session.user()) else {
            impossible!(self, session_id, "a session of a user that is not in memory");
            return Ok(());
        };
        let bytes = if send.is_some() { frame.bytes().len() as u64 } else { 0 };
        let bounds = user.bounds(&self.config.limits);
        let bytes_wait_ms = if bytes > 0 { user.quotas().bytes_wait_ms(bytes, bounds, now) } else { 0 };
        let wait_ms = |tokens| {
            let of_session = session.wait_ms(tokens, pace, now).max(bytes_wait_ms);
            of_session.max(user.bucket.wait_ms(of_user(tokens), user_pace, now))
        };
        let is_kept_back = session.owed().zip(send).is_some_and(|(owed, send)| owed.keeps_back(send, now));
        if !is_kept_back && wait_ms(tokens) == 0 {
            session.spend(tokens, pace, now);
            user.bucket.take(of_user(tokens), user_pace, now);
            if bytes > 0 {
                user.quotas().take_bytes(bytes, bounds, now);
            }
            if session.owed().is_some_and(|owed| owed.is_paid(send.is_some(), now)) {
                session.forget_owed();
            }
            return Ok(());
        }
        let wait_ms = wait_ms(session.owed().map_or(tokens, |owed| owed.with(tokens))).max(1);
        session.owe().refuse(tokens, send, now, wait_ms);
        self.pause_for_tokens(session_id);
        let text = if is_kept_back {
            "a send before this one was refused; send again from that one on, in order"
        } else {
            "this costs more tokens than there are now; send again from this frame on, in order"
        };
        Err(Refusal::retry(Code::Rate, wait_ms, text))
    }

    /// A send is refused for another reason than its cost: those behind it wait for it all the same.
    pub(crate) fn keep_back_sends(&mut self, session_id: SessionId, frame: &Frame) {
        let now = self.now;
        if let Some(session) = self.sessions.get_mut(&session_id).filter(|_| frame.kind().is_message()) {
            session.owe().refuse(0, Some(frame.send_id()), now, 0);
        }
    }

    /// What a session in debt sends would be refused: it waits where it is.
    fn pause_for_tokens(&mut self, session_id: SessionId) {
        let Some(session) = self.sessions.get(&session_id) else { return };
        let Some(read_at) = session.owed().map(|owed| owed.read_at) else { return };
        if !self.pauses.has(session.link(), Why::Tokens) {
            self.timer.set(read_at, Wake::Tokens(session_id));
            self.pause(session_id, Why::Tokens);
        }
    }

    /// Reads a session again that has what it needs. Who has gone, or has paid meanwhile, owes nothing.
    pub(crate) fn look_at_tokens(&mut self, session_id: SessionId) {
        let owed = self.sessions.get(&session_id).and_then(|session| session.owed());
        match owed.filter(|owed| owed.read_at > self.now) {
            Some(owed) => self.timer.set(owed.read_at, Wake::Tokens(session_id)),
            None => self.unpause(session_id, Why::Tokens),
        }
    }

    /// Reserves room for the page that answers a request, before anybody works for it. A session without room is not read
    /// until there is some.
    pub(crate) fn reserve_page(&mut self, session_id: SessionId, request: &Frame) -> Result<(), Refusal> {
        let most = self.egress_room();
        let Some(session) = self.sessions.get_mut(&session_id) else {
            impossible!(self, session_id, "a page for a session that is not there");
            return Ok(());
        };
        let inbox = if session.is_paging() { PAGE_BYTES_MAX } else { 0 };
        let room = most.saturating_sub(session.egress.queued(self.turn).saturating_add(inbox));
        // Where the bound is smaller than a page, a page is the whole of it.
        let weight = self.ledger.weigh(Holds::Pages, page_bytes(request).min(most));
        let page = Page { asked: request.kind(), id: request.header().id, weight };
        if session.reserve_page(page, room).is_ok() {
            return Ok(());
        }
        if session.page_bytes() > 0 || session.is_paging() {
            self.pause(session_id, Why::Pages);
        } else {
            self.pause(session_id, Why::Egress);
            self.crowd(session_id);
        }
        Err(Refusal::retry(Code::Busy, 1000, "read what was sent before asking for more"))
    }

    /// A request of a session is answered: its room is given back.
    pub(crate) fn page_is_answered(&mut self, session_id: SessionId, asked: Kind, id: u64) {
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        if session.give_page_back(asked, id).is_none() {
            return impossible!(
                self,
                session_id,
                "a page that was answered twice, or asked for without room"
            );
        }
        self.unpause(session_id, Why::Pages);
    }

    /// A send that went on to its channel was refused there, and will come again.
    pub(crate) fn send_is_refused_elsewhere(&mut self, session_id: SessionId, id: u64) {
        // Most sessions owe nothing.
        if let Some(owed) = self.sessions.get_mut(&session_id).and_then(|session| session.owed_mut()) {
            owed.refused_elsewhere(SendId(id));
        }
    }
}
