//! What each frame of the server does to a session.

use protocol::body::large::{Heads, pointed};
use protocol::body::list::{ChannelsV2, HistoryPageV2};
use protocol::body::marks::{Receipts, Typing};
use protocol::body::own::Notes;
use protocol::body::presence::{OwnPresence, Presence};
use protocol::body::session::{Done, GoingAway, Reject, Welcome, WelcomeV2};
use protocol::body::sync::{Channels, Complete, CursorAck, HistoryPage, Members, MembersV2, SendAck};
use protocol::body::{Body, encode, read};
use protocol::limits::PAGE_MESSAGES_MAX;
use protocol::{ChannelId, Code, Cursor, Frame, Generation, InboxSeq, Kind, Refusal, SendId, Seq, UserId};

use super::event::{About, ChannelList, Event, History, Message, Place, RequestId, read_message};
use super::marks::UNANSWERED;
use super::pace::Pace;
use super::{OpenPage, Session, State, rules, talk};

impl Session {
    pub(super) fn take_answer(&mut self, frame: &Frame) {
        let id = frame.header().id;
        match frame.kind() {
            Kind::WELCOME if self.state == State::Greeting => self.take_greeting(frame),
            Kind::REJECT => {
                if let Some(reject) = read::<Reject>(frame) {
                    self.take_reject(id, reject);
                }
            }
            Kind::GOING_AWAY => {
                if let Some(GoingAway { reconnect_after_ms, reason }) = read(frame) {
                    self.going_away = true;
                    self.clock.reconnect_after(u64::from(reconnect_after_ms));
                    self.events.push_back(Event::GoingAway { reconnect_after_ms, reason });
                }
            }
            _ if self.state == State::Greeting => {}
            Kind::SEND_ACK => {
                if let Some(SendAck { channel, seq, time_ms }) = read(frame) {
                    self.take_ack(SendId(id), ChannelId(channel), Seq(seq), time_ms);
                }
            }
            Kind::COMPLETE => {
                if let Some(complete) = read::<Complete>(frame) {
                    self.take_complete(&complete);
                }
            }
            Kind::DONE => {
                if let Some(done) = read::<Done>(frame) {
                    self.take_done(id, done);
                }
            }
            Kind::HEADS => {
                if let Some(Heads { items }) = read(frame) {
                    self.heads.extend(items.iter().map(|item| (ChannelId(item.channel), Seq(item.head))));
                    self.events.push_back(Event::Heads(items));
                }
            }
            Kind::TYPING => {
                if let Some(typing) = read::<Typing>(frame) {
                    self.take_typing(&typing);
                }
            }
            Kind::PRESENCE => {
                if let Some(told) = read::<Presence>(frame) {
                    self.take_presence(id, told);
                }
            }
            Kind::OWN_PRESENCE => {
                if let Some(own) = read::<OwnPresence>(frame) {
                    self.take_own_presence(id, own);
                }
            }
            Kind::RECEIPTS if id == 0 => {
                let told = |Receipts { channel, items, .. }| Event::Receipts {
                    request: None,
                    channel: ChannelId(channel),
                    items,
                    more: false,
                };
                self.events.extend(read(frame).map(told));
            }
            _ => self.take_page(id, frame),
        }
    }

    fn take_greeting(&mut self, frame: &Frame) {
        if let Some(welcome) = read::<Welcome>(frame) {
            self.pace = match read::<WelcomeV2>(frame) {
                Some(named) => Pace::welcomed(self.now_ms, &named),
                None if self.config.assumes_pace => Pace::usual(self.now_ms),
                None => Pace::unbounded(self.now_ms),
            };
            self.take_welcome(welcome);
        }
    }

    /// An answer that cannot be read is none: its request waits, and the next connection asks again.
    fn take_page(&mut self, id: u64, frame: &Frame) {
        let request = RequestId(id);
        let event = match frame.kind() {
            Kind::HISTORY_PAGE => return self.begin_page(id, frame),
            Kind::THREAD => return self.begin_thread(id, frame),
            Kind::ABOUT => read(frame).map(|about| Event::Said { request, about }),
            Kind::MENTIONS => read(frame).map(|page| talk::mentions(request, page)),
            Kind::CHANNELS if frame.header().version >= ChannelsV2::VERSION => {
                read(frame).map(|page| Event::List { request, list: list(page) })
            }
            Kind::CHANNELS => {
                read(frame).map(|Channels { items, more }| Event::Channels { request, items, more })
            }
            Kind::NOTES => read(frame).map(|Notes { drafts, hidden, more }| Event::Notes {
                request,
                drafts,
                hidden,
                more,
            }),
            Kind::MEMBERS => read(frame).map(|Members { channel, items, more }| Event::Members {
                total: read(frame).map(|page: MembersV2| page.total),
                request,
                channel: ChannelId(channel),
                items,
                more,
            }),
            Kind::RULES => read(frame).map(|page| rules::told(request, page)),
            Kind::PUSH => read(frame).map(|push| Event::Push { request, push }),
            Kind::RECEIPTS => read(frame).map(|Receipts { channel, items, more }| Event::Receipts {
                request: Some(request),
                channel: ChannelId(channel),
                items,
                more,
            }),
            _ => None,
        };
        if event.is_some() && self.requests.answered(id, asked_by(frame.kind())).is_some() {
            self.events.extend(event);
        }
    }

    /// The head of a page does not answer its request, only the whole page does: a connection can end in between.
    fn begin_page(&mut self, id: u64, frame: &Frame) {
        if !self.requests.is_written(id, Kind::GET_HISTORY) {
            return;
        }
        let place = read(frame).map(|page: HistoryPageV2| place(&page));
        self.page = read(frame).map(|head| OpenPage::new(RequestId(id), &head, place));
        if self.page.as_ref().is_some_and(|page| page.left == 0) {
            self.end_page();
        }
    }

    /// The page is told, and its request is answered.
    pub(super) fn end_page(&mut self) {
        let Some(OpenPage { history, thread, .. }) = self.page.take() else { return };
        let asked = if thread.is_some() { Kind::GET_THREAD } else { Kind::GET_HISTORY };
        if self.requests.answered(history.request.0, asked).is_some() {
            self.events.push_back(match thread {
                None => Event::History(history),
                Some(head) => talk::thread(&head, history),
            });
        }
    }

    fn take_welcome(&mut self, welcome: Welcome) {
        if UserId(welcome.user) != self.config.user {
            let text = format!("names user {}; this session is of {}", welcome.user, self.config.user);
            let reject = Refusal::new(Code::Unauthenticated, "token", text).body();
            self.events.push_back(Event::HelloRejected(reject));
            return;
        }
        let (generation, start) = (Generation(welcome.generation), InboxSeq(welcome.start));
        self.catch_up_to = InboxSeq(welcome.head);
        self.clock.welcomed(self.now_ms, &welcome);
        self.state = State::CatchingUp;
        self.begin_presence(&welcome);
        self.events.push_back(Event::Connected(welcome));
        // A server that begins below the cursor does not have what it once said was complete: it has lost a part of this
        // life without beginning another one.
        if generation != self.cursor.generation || start < self.cursor.at {
            let is_new = self.cursor.generation == Generation(0) && start == InboxSeq(0);
            self.cursor = Cursor { generation, at: start };
            self.seen.clear();
            self.forget_marks();
            self.clock.cursor_known(self.cursor);
            if !is_new {
                self.events.push_back(Event::Resync { generation, at: start });
            }
        }
        self.seen.begin(start, self.catch_up_to);
        self.heads.clear();
        self.go_live_if_caught_up();
    }

    fn go_live_if_caught_up(&mut self) {
        if self.state == State::CatchingUp && self.cursor.at >= self.catch_up_to {
            self.state = State::Live;
            self.events.push_back(Event::Live);
        }
    }

    pub(super) fn take_message(&mut self, frame: &Frame) {
        let message = read_message(frame);
        if let Some(page) = &mut self.page {
            page.left = page.left.saturating_sub(1);
            let is_last = page.left == 0;
            if let Some(message) = message {
                page.history.messages.push(message.clone());
                if self.is_own_pending(&message) {
                    self.seen.acked(message.channel, message.seq, self.cursor.at);
                    self.tell_ack(message.send_id, message.channel, message.seq, message.time_ms);
                }
            }
            if is_last {
                self.end_page();
            }
            return;
        }
        let Some(message) = message else { return };
        if self.follows(&message, frame) {
            return self.events.push_back(Event::Message(message));
        }
        let is_new = self.seen.message(message.channel, message.seq, self.cursor.at);
        if self.is_own_pending(&message) {
            self.tell_ack(message.send_id, message.channel, message.seq, message.time_ms);
        } else if is_new {
            self.is_delivered(&message, frame.kind().counts_as_unread());
            self.events.push_back(Event::Message(message));
        }
    }

    /// Whether a message of a large channel came because this session follows it, and not by the inbox: it does not name this
    /// user, stands behind the head, and was not recalled. On one connection those come in order, and none twice.
    fn follows(&mut self, message: &Message, frame: &Frame) -> bool {
        let Some(head) = self.heads.get_mut(&message.channel).filter(|head| message.seq > **head) else {
            return false;
        };
        // What was recalled says no more whom it named, and none such is sent but by the inbox.
        let is_recalled = frame.kind() == Kind::RECALLED;
        let is_followed = !is_recalled && pointed(frame).binary_search(&self.config.user).is_err();
        if is_followed {
            *head = message.seq;
        }
        is_followed
    }

    /// Takes the message out of the pending sends, if it is one of them.
    fn is_own_pending(&mut self, message: &Message) -> bool {
        message.sender == self.config.user && self.pending.take(message.send_id, Some(message.channel))
    }

    fn take_ack(&mut self, send_id: SendId, channel: ChannelId, seq: Seq, time_ms: u64) {
        self.seen.acked(channel, seq, self.cursor.at);
        if self.pending.take(send_id, Some(channel)) {
            self.tell_ack(send_id, channel, seq, time_ms);
        }
    }

    fn tell_ack(&mut self, send_id: SendId, channel: ChannelId, seq: Seq, time_ms: u64) {
        self.events.push_back(Event::Ack { send_id, channel, seq, time_ms });
    }

    fn take_complete(&mut self, complete: &Complete) {
        let (from, to) = (InboxSeq(complete.from), InboxSeq(complete.to));
        let is_ours = Generation(complete.generation) == self.cursor.generation;
        if !is_ours || self.cursor.at < from || to < self.cursor.at {
            return;
        }
        self.cursor.at = to;
        self.clock.cursor_moved(self.now_ms, self.cursor);
        self.events.push_back(Event::Complete { from, to });
        self.go_live_if_caught_up();
        self.tell_cursor_if_due();
    }

    pub(super) fn tell_cursor_if_due(&mut self) {
        if self.clock.cursor_due(self.now_ms, self.cursor) {
            self.tell_cursor();
        }
    }

    pub(super) fn tell_cursor(&mut self) {
        if self.clock.cursor_is_told(self.cursor) {
            return;
        }
        let (generation, cursor) = (self.cursor.generation.0, self.cursor.at.0);
        self.control.push_back(encode(0, &CursorAck { generation, cursor }));
        self.clock.cursor_known(self.cursor);
    }

    fn take_done(&mut self, id: u64, done: Done) {
        if let Some(reauth) = self.reauth.take_if(|reauth| reauth.id == id) {
            self.clock.token_lasts(self.now_ms, reauth.lifetime_ms);
            self.pending.release();
            self.events.push_back(Event::Reauthed);
        } else if let Some(request) = self.requests.answered(id, Kind(done.kind)) {
            // Whom to show is the session's own matter.
            if !matches!(Kind(done.kind), Kind::WATCH | Kind::UNWATCH) {
                self.events.push_back(Event::Done(request));
            }
        }
    }

    fn take_reject(&mut self, id: u64, reject: Reject) {
        if self.is_logged_out_by(id, &reject) {
            self.is_logged_out = true;
            self.events.push_back(Event::LoggedOut(reject));
            return;
        }
        if self.state == State::Greeting {
            if reject.retry_after_ms > 0 {
                self.clock.reconnect_after(u64::from(reject.retry_after_ms));
            }
            self.events.push_back(Event::HelloRejected(reject));
            return;
        }
        if Code::from_number(reject.code) == Some(Code::Rate) {
            self.pace.refused(self.now_ms);
        }
        if id == UNANSWERED {
            if reject.retry_after_ms > 0 {
                self.doubt_marks();
            }
            return;
        }
        let retry_at = self.now_ms.saturating_add(u64::from(reject.retry_after_ms));
        if self.is_about_token(&reject) && self.pending.hold_from(SendId(id), u64::MAX) {
            self.events.push_back(Event::TokenDue);
            return;
        }
        let is_held = reject.retry_after_ms > 0 && !is_of_group(&reject);
        if is_held && self.pending.hold_from(SendId(id), retry_at) {
            return;
        }
        let about = if self.pending.take(SendId(id), None) {
            About::Send(SendId(id))
        } else if self.reauth.take_if(|reauth| reauth.id == id).is_some() {
            About::Request(RequestId(id))
        } else {
            let again = (reject.retry_after_ms > 0).then_some(retry_at);
            match self.requests.refused(id, again) {
                Some(_) if again.is_some() => return,
                Some(request) => {
                    self.forget_look(id);
                    About::Request(request)
                }
                None => About::Other(id),
            }
        };
        self.events.push_back(Event::Rejected { about, reject });
    }

    /// Said of Hello, of Reauth, or unasked of the session as a whole: there the code is final.
    fn is_logged_out_by(&self, id: u64, reject: &Reject) -> bool {
        let of_session = self.state == State::Greeting
            || id == 0
            || self.reauth.as_ref().is_some_and(|reauth| reauth.id == id);
        of_session
            && reject.retry_after_ms == 0
            && Code::from_number(reject.code) == Some(Code::Unauthenticated)
    }

    /// A send that is refused because the token ended is not at fault: it waits for Reauth or the next connection.
    fn is_about_token(&self, reject: &Reject) -> bool {
        matches!(Code::from_number(reject.code), Some(Code::Expired | Code::Unauthenticated))
    }
}

impl OpenPage {
    pub(super) fn new(request: RequestId, head: &HistoryPage, place: Option<Place>) -> Self {
        let history = History {
            request,
            channel: ChannelId(head.channel),
            from: Seq(head.from),
            to: Seq(head.to),
            head: Seq(head.head),
            more: head.more,
            place,
            messages: Vec::new(),
        };
        Self { history, thread: None, left: head.count.min(PAGE_MESSAGES_MAX) }
    }
}

fn place(page: &HistoryPageV2) -> Place {
    Place { pivot: Seq(page.pivot), more_before: page.more_before, more_after: page.more_after }
}

fn list(page: ChannelsV2) -> ChannelList {
    let ChannelsV2 { generation, through, next, needs_snapshot, details, items, more } = page;
    let cursor = |at| Cursor { generation: Generation(generation), at: InboxSeq(at) };
    let items = items.into_iter().zip(details).collect();
    ChannelList { items, through: cursor(through), next: cursor(next), needs_snapshot, more }
}

/// Which request a page answers.
/// What a group refuses for a while says nothing of other channels: the send is over, and whether it is sent once more is the
/// person's to say. Held back, it would hold back everything behind it.
fn is_of_group(reject: &Reject) -> bool {
    matches!(Code::from_number(reject.code), Some(Code::Muted | Code::Slow))
}

fn asked_by(answer: Kind) -> Kind {
    match answer {
        Kind::CHANNELS => Kind::GET_CHANNELS,
        Kind::MEMBERS => Kind::GET_MEMBERS,
        Kind::RECEIPTS => Kind::GET_RECEIPTS,
        Kind::RULES => Kind::GET_RULES,
        Kind::NOTES => Kind::GET_NOTES,
        Kind::PUSH => Kind::GET_PUSH,
        Kind::MENTIONS => Kind::GET_MENTIONS,
        Kind::ABOUT => Kind::GET_ABOUT,
        other => other,
    }
}
