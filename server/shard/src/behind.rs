//! Sessions that are behind: each is brought as near to the head of its inbox as its connection takes, from what is in
//! memory or by a page.

use protocol::limits::{PAGE_BYTES_MAX, PAGE_MESSAGES_MAX};
use protocol::query::{PageBounds, Query};
use protocol::{Frame, InboxSeq, UserId};

use crate::asks::{Asked, Asks};
use crate::deliver::send_ack;
use crate::inbox::Ack;
use crate::input::Ticket;
use crate::invariant::impossible;
use crate::offer::Outlet;
use crate::pauses::Why;
use crate::session::{Session, SessionId};
use crate::shard::Shard;

pub(crate) const PAGE: PageBounds = PageBounds { messages: PAGE_MESSAGES_MAX, bytes: PAGE_BYTES_MAX };

impl Shard {
    /// Advances those sessions of a user.
    pub(crate) fn advance_sessions(&mut self, id: UserId, which: impl Fn(&Session) -> bool) {
        let mut place = 0;
        while let Some(user) = self.users.get(&id)
            && let Some(session_id) = user.sessions.get(place).copied()
        {
            place += 1;
            if self.sessions.get(&session_id).is_some_and(&which) {
                self.advance(session_id, false);
            }
        }
    }

    /// Brings a session as near to the head as its connection takes: from memory, else by a page. Offline, reconnecting,
    /// slow and second device are this one path. `greeting` says that a complete range is due even if it is empty.
    pub(crate) fn advance(&mut self, id: SessionId, greeting: bool) {
        let (room, turn) = (self.egress_room(), self.turn);
        loop {
            let Some(session) = self.sessions.get_mut(&id) else { return };
            let Some(user) = self.users.get(&session.user()) else {
                return impossible!(self, id, "a session of a user who is not in memory");
            };
            if session.is_paging() {
                return;
            }
            if session.sent_through() >= user.inbox.head() {
                break;
            }
            let next = session.sent_through().next();
            let Some(entry) = user.inbox.entry(next) else {
                return self.ask_page(id);
            };
            if entry.ack == Ack::Sent(id) {
                session.sent(next);
                continue;
            }
            let is_own = entry.ack == Ack::Due(id);
            if is_own {
                if !session.egress.takes(entry.frame.bytes().len(), room, turn) {
                    return self.crowd(id);
                }
                session.sent(next);
                let frame = entry.frame.clone();
                self.ack(id, &frame);
            } else {
                let (out, hops, ledger) = (&mut self.out, &mut self.hops, &self.ledger);
                if !(Outlet { out, hops, ledger, turn }).offer(session, &entry.frame, room) {
                    return self.crowd(id);
                }
                session.sent(next);
                self.counters.messages_sent += 1;
            }
        }
        if greeting {
            self.complete(id, true);
        } else {
            self.complete_on_traffic(id);
        }
    }

    /// Asks for a page for a session whose next entry is not in memory.
    fn ask_page(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.egress.queued(self.turn) > self.config.limits.egress_bytes / 4 {
            return self.crowd(id);
        }
        if !self.asks.has_page_room() {
            session.await_page(Asks::WAITS);
            self.asks.wait(id);
            return;
        }
        let query = Query::Inbox { user: session.user(), after: session.sent_through(), page: PAGE };
        let ticket = self.ask(Asked::Page(id), query);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.await_page(ticket);
        }
    }

    /// Tells the session that sent a message that it is stored.
    pub(crate) fn ack(&mut self, id: SessionId, frame: &Frame) {
        self.counters.acks_sent += 1;
        self.forgive_faults(id);
        if let Some(ack) = send_ack(frame) {
            self.transmit(id, ack.into_bytes());
        }
    }

    /// The session's connection takes no more for now.
    pub(crate) fn crowd(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.crowd(true) {
            self.counters.fell_behind += 1;
            self.await_flush(id);
        }
    }

    /// A page of an inbox: messages, then how far they are complete; then what came meanwhile, in the same step.
    pub(crate) fn page(&mut self, id: SessionId, ticket: Ticket, frames: Vec<Frame>, through: InboxSeq) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if !session.takes_page(ticket) {
            return;
        }
        let user = session.user();
        self.unpause(id, Why::Pages);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if through <= session.sent_through() {
            // What is durable can be read, and asking again would not end.
            return impossible!(self, id, "a page without progress");
        }
        session.sent(through);
        for frame in frames {
            self.counters.messages_sent += 1;
            self.transmit(id, frame.into_bytes());
        }
        self.complete(id, true);
        self.advance(id, false);
        self.trim_inbox(user);
    }
}
