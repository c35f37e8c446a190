//! Messages on their way out: from a stored batch to the homes of the recipients, into their inboxes, to their sessions.

use std::sync::Arc;

use protocol::body::message::{Change, channel_of_checked};
use protocol::body::sync::SendAck;
use protocol::body::{self};
use protocol::commit::Row;
use protocol::hop::{Hop, Span, Speak};
use protocol::limits::{PAGE_BYTES_MAX, PAGE_MESSAGES_MAX};
use protocol::query::{Delivery, PageBounds, Query};
use protocol::{BayId, ChannelId, Frame, InboxSeq, Seq, ShardId, UserId};

use crate::applied::Inbound;
use crate::effect::Effect;
use crate::inbox::{Ack, Entry};
use crate::input::{ConnId, Ticket};
use crate::invariant::impossible;
use crate::ledger::frame_bytes;
use crate::limits::PAGES_ASKED_MAX;
use crate::pauses::Why;
use crate::pipeline::Committing;
use crate::read::PAGE_WAITS;
use crate::session::{Link, Session};
use crate::shard::{Asked, Shard, Slot};
use crate::source::Source;

/// What one batch holds for one shard.
#[derive(Debug)]
struct Outbound {
    home: ShardId,
    spans: Vec<Span>,
}

pub(crate) const PAGE: PageBounds = PageBounds { messages: PAGE_MESSAGES_MAX, bytes: PAGE_BYTES_MAX };

impl Shard {
    /// A batch of messages is stored: one hop for each shard that has recipients.
    pub(crate) fn fan_out(&mut self, numbers: &[(BayId, u64)], messages: Vec<Committing>) {
        for (bay, number) in numbers {
            if let Some(source) = self.source_mut(*bay) {
                source.stored(*number);
            }
        }
        let mut homes: Vec<Outbound> = Vec::new();
        for message in messages {
            self.counters.messages_stored += 1;
            self.message_stored(message.channel, message.seq);
            for (home, users) in message.recipients.iter() {
                let place = homes.iter().position(|outbound| outbound.home == *home).unwrap_or_else(|| {
                    homes.push(Outbound { home: *home, spans: Vec::new() });
                    homes.len() - 1
                });
                if let Some(outbound) = homes.get_mut(place) {
                    let is_senders = self.placement.user_home(message.origin.user) == *home;
                    outbound.add(numbers, &message, users, is_senders);
                }
            }
        }
        for outbound in homes {
            self.deliver(outbound);
        }
    }

    fn deliver(&mut self, outbound: Outbound) {
        let Outbound { home, mut spans } = outbound;
        for span in &mut spans {
            let Some(source) = self.source_mut(span.source) else {
                return impossible!(self, "a batch of a bay without a log");
            };
            span.after = source.tell(home, span.through).after;
        }
        // A dropped hop leaves a gap, which the next hop or the next hint shows.
        if self.hops.is_full(home) {
            let dropped: usize = spans.iter().map(|span| span.deliveries.len()).sum();
            self.counters.deliveries_dropped += dropped as u64;
            return;
        }
        self.hops.push(home, Hop::Deliver { spans });
    }

    /// The log of an own bay.
    pub(crate) fn source_mut(&mut self, bay: BayId) -> Option<&mut Source> {
        let place = usize::from(bay.0 / self.placement.shards());
        self.sources.get_mut(place).filter(|source| source.bay == bay)
    }

    pub(crate) fn takes_deliveries(&self) -> bool {
        self.pipeline.takes_deliveries(self.gathered.pointers())
    }

    /// Puts the messages of a span, whose recipients are all in memory, into their inboxes.
    pub(crate) fn apply_span(&mut self, inbound: &Inbound, has_waited: bool) {
        self.gathered.begin(self.now, frame_bytes(&inbound.deliveries));
        let mut origins = inbound.origins.iter().peekable();
        let mut acked = inbound.acked.iter().peekable();
        for (place, delivery) in inbound.deliveries.iter().enumerate() {
            let origin = origins.next_if(|(at, _)| *at == place).map(|(_, origin)| *origin);
            let is_acked = acked.next_if(|at| **at == place).is_some();
            if let Some(origin) = origin.filter(|_| has_waited && !is_acked) {
                self.applied.paid(origin.session);
            }
            let opening = opening_users(delivery);
            for user in delivery.recipients.iter() {
                self.own_list_rows(*user, delivery, &opening);
                let ack = match origin.filter(|origin| origin.user == *user) {
                    None => Ack::None,
                    Some(origin) if is_acked => Ack::Sent(origin.session),
                    Some(origin) => Ack::Due(origin.session),
                };
                if has_waited && let Some(Slot::Live(user)) = self.users.get_mut(user) {
                    user.awaited -= 1;
                }
                self.append_pointer(*user, delivery, ack);
            }
        }
    }

    fn append_pointer(&mut self, id: UserId, delivery: &Delivery, ack: Ack) {
        let room = self.egress_room();
        let Some(Slot::Live(user)) = self.users.get_mut(&id) else {
            return impossible!(self, "a recipient that is not in memory");
        };
        user.used = self.turn;
        let at = user.inbox.append(&mut self.spare_tails, Entry { frame: delivery.frame.clone(), ack });
        self.gathered.pointer(id, at, delivery.channel, delivery.seq);
        let mut all_live = true;
        for conn in &user.sessions {
            let Some(session) = self.sessions.get_mut(conn) else { continue };
            // Its own device is told otherwise, and one that is behind is brought along.
            let is_live = ack.session() != Some(session.number)
                && session.takes_live(at, delivery.frame.bytes().len(), room, (self.now, self.turn));
            if is_live {
                self.counters.messages_sent += 1;
                session.egress.weigh(&self.ledger);
                let frames = delivery.frame.to_bytes();
                match Link::of(*conn) {
                    Link::Local(conn) => self.out.push(Effect::Transmit { conn, frames }),
                    Link::Remote { holder, conn } => {
                        self.hops.push(holder, Hop::Speak { conn: conn.0, fact: Speak::Frames(frames) });
                    }
                }
            }
            all_live &= is_live;
        }
        if !all_live {
            self.advance_sessions(id, |_| true);
        }
    }

    /// Advances those sessions of a user.
    fn advance_sessions(&mut self, id: UserId, which: impl Fn(&Session) -> bool) {
        let mut place = 0;
        while let Some(Slot::Live(user)) = self.users.get(&id)
            && let Some(conn) = user.sessions.get(place).copied()
        {
            place += 1;
            if self.sessions.get(&conn).is_some_and(|session| which(session)) {
                self.advance(conn, false);
            }
        }
    }

    /// The user's own list changes with the messages that open a channel for the user or close it.
    fn own_list_rows(&mut self, user: UserId, delivery: &Delivery, opening: &Opening) {
        let (channel, seq) = (delivery.channel, delivery.seq);
        let row = match opening {
            Opening::Everyone => Row::Joined { user, channel, joined: seq },
            Opening::Some(users) if users.contains(&user) => Row::Joined { user, channel, joined: seq },
            Opening::Closing(gone) if *gone == user => Row::Left { user, channel, left: seq },
            _ => return,
        };
        self.gathered.list_row(user, row);
    }

    pub(crate) fn pointers_stored(&mut self, id: UserId, at: InboxSeq) {
        let Some(Slot::Live(user)) = self.users.get_mut(&id) else {
            return impossible!(self, "a pointer of a user who left memory before it was stored");
        };
        self.users_changed += 1;
        let (mut keep, mut sent_through) = (false, InboxSeq(u64::MAX));
        for session in user.sessions.iter().filter_map(|conn| self.sessions.get(conn)) {
            keep |= session.paging.is_some();
            sent_through = sent_through.min(session.sent_through);
        }
        user.inbox.stored(&mut self.spare_tails, at, keep);
        let durable = user.inbox.durable();
        if sent_through < durable {
            // Who fell behind what is in memory can be brought a page now.
            self.advance_sessions(id, |session| session.sent_through < durable);
        }
    }

    pub(crate) fn trim_inbox(&mut self, id: UserId) {
        let Some(Slot::Live(user)) = self.users.get_mut(&id) else {
            return impossible!(self, "an inbox of a user who is not in memory");
        };
        let keep = user.sessions.iter().any(|c| self.sessions.get(c).is_some_and(|s| s.paging.is_some()));
        user.inbox.trim(&mut self.spare_tails, keep);
    }

    /// Brings a session as near to the head as its connection takes: from memory, else by a page. Offline, reconnecting,
    /// slow and second device are this one path. `greeting` says that a complete range is due even if it is empty.
    pub(crate) fn advance(&mut self, conn: ConnId, greeting: bool) {
        let room = self.egress_room();
        loop {
            let Some(session) = self.sessions.get_mut(&conn) else { return };
            let Some(Slot::Live(user)) = self.users.get(&session.user) else {
                return impossible!(self, conn, "a session of a user who is not in memory");
            };
            if session.paging.is_some() {
                return;
            }
            if session.sent_through >= user.inbox.head() {
                break;
            }
            let next = session.sent_through.next();
            let queued = session.egress.queued(self.turn);
            if let Some(entry) = user.inbox.entry(next) {
                if entry.ack == Ack::Sent(session.number) {
                    session.sent_through = next;
                    continue;
                }
                if queued > 0 && queued + entry.frame.bytes().len() > room {
                    self.crowd(conn);
                    return;
                }
                session.sent_through = next;
                let is_own = entry.ack == Ack::Due(session.number);
                let frame = entry.frame.clone();
                self.transmit_entry(conn, &frame, is_own);
            } else {
                if queued > self.config.limits.egress_bytes / 4 {
                    self.crowd(conn);
                    return;
                }
                if self.pages_asked >= PAGES_ASKED_MAX {
                    session.paging = Some(PAGE_WAITS);
                    self.pages_waiting.push_back(conn);
                    return;
                }
                let query = Query::Inbox { user: session.user, after: session.sent_through, page: PAGE };
                let ticket = self.ask(Asked::Page(conn), query);
                if let Some(session) = self.sessions.get_mut(&conn) {
                    session.paging = Some(ticket);
                }
                return;
            }
        }
        if greeting {
            self.complete(conn, true);
        } else {
            self.complete_on_traffic(conn);
        }
    }

    fn transmit_entry(&mut self, conn: ConnId, frame: &Frame, own: bool) {
        if !own {
            self.counters.messages_sent += 1;
            self.transmit(conn, frame.to_bytes());
            return;
        }
        self.ack(conn, frame);
    }

    /// Tells the session that sent a message that it is stored.
    pub(crate) fn ack(&mut self, conn: ConnId, frame: &Frame) {
        self.counters.acks_sent += 1;
        self.forgive_faults(conn);
        if let Some(ack) = send_ack(frame) {
            self.transmit(conn, ack.into_bytes());
        }
    }

    /// The session's connection takes no more for now.
    pub(crate) fn crowd(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        if !session.crowded {
            session.crowded = true;
            self.counters.fell_behind += 1;
            self.await_flush(conn);
        }
    }

    /// A page of an inbox: messages, then how far they are complete; then what came meanwhile, in the same step.
    pub(crate) fn page(&mut self, conn: ConnId, ticket: Ticket, frames: Vec<Frame>, through: InboxSeq) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        if session.paging != Some(ticket) {
            return;
        }
        session.paging = None;
        let user = session.user;
        self.unpause(conn, Why::Pages);
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        if through <= session.sent_through {
            // What is durable can be read, and asking again would not end.
            return impossible!(self, conn, "a page without progress");
        }
        session.sent_through = through;
        for frame in frames {
            self.counters.messages_sent += 1;
            self.transmit(conn, frame.into_bytes());
        }
        self.complete(conn, true);
        self.advance(conn, false);
        self.trim_inbox(user);
    }
}

impl Outbound {
    /// Adds a message for those users, behind those of the same log.
    fn add(
        &mut self,
        numbers: &[(BayId, u64)],
        message: &Committing,
        users: &Arc<[UserId]>,
        is_senders: bool,
    ) {
        let source = BayId::of_channel(message.channel);
        let place = self.spans.iter().position(|span| span.source == source).unwrap_or_else(|| {
            let through = numbers.iter().find(|(bay, _)| *bay == source).map_or(0, |(_, number)| *number);
            self.spans.push(Span { source, after: 0, through, deliveries: Vec::new(), origins: Vec::new() });
            self.spans.len() - 1
        });
        let Some(span) = self.spans.get_mut(place) else { return };
        if is_senders {
            span.origins.push((span.deliveries.len(), message.origin));
        }
        let (channel, seq, frame) = (message.channel, message.seq, message.frame.clone());
        span.deliveries.push(Delivery { channel, seq, frame, recipients: users.clone() });
    }
}

/// For whom a message opens or closes the channel.
#[derive(Debug)]
enum Opening {
    Nobody,
    Everyone,
    Some(Vec<UserId>),
    Closing(UserId),
}

fn opening_users(delivery: &Delivery) -> Opening {
    if delivery.seq == Seq(1) {
        return Opening::Everyone;
    }
    let changed = Change::read(&delivery.frame).zip(delivery.frame.read_stamp());
    let Some((change, stamp)) = changed else { return Opening::Nobody };
    match change.leaver(stamp.sender) {
        Some(gone) => Opening::Closing(gone),
        None if change.joins().is_empty() => Opening::Nobody,
        None => Opening::Some(change.joins().to_vec()),
    }
}

/// What the device that sent a message is told instead of the message.
pub(crate) fn send_ack(frame: &Frame) -> Option<Frame> {
    let stamp = frame.read_stamp()?;
    let channel = channel_of_checked(frame)?;
    Some(ack_of(frame.header().id, channel, stamp.seq, stamp.time_ms))
}

pub(crate) fn ack_of(id: u64, channel: ChannelId, seq: Seq, time_ms: u64) -> Frame {
    body::encode(id, &SendAck { channel: channel.0, seq: seq.0, time_ms })
}
