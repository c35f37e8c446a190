//! Messages that reach the home of those who receive them, in three steps. Each visits data of its own, once:
//!
//! 1. **Who receives** is read from the delivery alone: [`receivers`].
//! 2. **The inbox** of each takes a pointer: [`append`]. From here the message is safe, whoever is connected.
//! 3. **Offer**: the sessions that have everything before it are offered the same bytes, [`Outlet::offer`]. It knows
//!    sessions and frames, and no inbox: what has no place in an inbox goes out by it too. Who had no room, or is behind,
//!    is brought along by `advance`.

use protocol::body::about::Recalled;
use protocol::body::erase::Erasure;
use protocol::body::message::{Change, channel_of_checked};
use protocol::body::sync::SendAck;
use protocol::body::talk::Talk;
use protocol::body::{self};
use protocol::commit::Row;
use protocol::hop::Origin;
use protocol::query::Delivery;
use protocol::{ChannelId, Frame, InboxSeq, Seq, Stamp, UserId};

use crate::applied::Inbound;
use crate::gather::Gathered;
use crate::inbox::{Ack, Entry, SpareTails};
use crate::invariant::impossible;
use crate::ledger::frame_bytes;
use crate::offer::Outlet;
use crate::session::{Session, SessionId};
use crate::shard::Shard;
use crate::user::User;

/// One who receives a message.
#[derive(Clone, Copy, Debug)]
struct Receiver {
    user: UserId,
    /// What the session that sent it is told instead.
    ack: Ack,
    own_list: OwnList,
    /// Whether the message mentions the user, so that it is noted.
    is_mentioned: bool,
}

/// What becomes of a user's own list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OwnList {
    Stays,
    Opens,
    Closes,
    /// Opens and closes with one message: an invitation.
    Passes,
}

impl Shard {
    pub(crate) fn takes_deliveries(&self) -> bool {
        self.pipeline.takes_deliveries(self.gathered.pointers())
    }

    /// Delivers the messages of a span, whose recipients are all in memory.
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
            let (lists, talk) = (own_lists(delivery), Talk::read(&delivery.frame));
            for receiver in receivers(delivery, origin, is_acked, (&lists, talk.as_ref())) {
                self.deliver_to(receiver, delivery, has_waited);
            }
        }
    }

    /// The second and the third step for one who receives.
    fn deliver_to(&mut self, receiver: Receiver, delivery: &Delivery, has_waited: bool) {
        let (room, now, turn) = (self.egress_room(), self.now, self.turn);
        let Some(user) = self.users.use_mut(&receiver.user, turn) else {
            return impossible!(self, "a recipient that is not in memory");
        };
        user.awaited -= usize::from(has_waited);
        // Most users have no subscription, and are not looked up a second time.
        let has_push = user.push.is_some();
        let at = append(user, receiver, delivery, &mut self.gathered, &mut self.spare_tails);
        let follows = follows(receiver, delivery);
        if let Some(is_in) = follows {
            user.follow(delivery.channel, is_in);
            let row = Row::Followed { user: receiver.user, channel: delivery.channel, is_in };
            self.gathered.list_row(receiver.user, row);
        }
        let mut outlet = Outlet { out: &mut self.out, hops: &mut self.hops, ledger: &self.ledger, turn };
        let mut all_live = true;
        for id in &user.sessions {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            // The session that sent it gets an ack instead: `advance` sends it, in its place.
            let is_live = receiver.ack.session() != Some(*id)
                && session.is_live_before(at, now)
                && outlet.offer(session, &delivery.frame, room);
            if is_live {
                session.sent(at);
                self.counters.messages_sent += 1;
            }
            all_live &= is_live;
        }
        if has_push {
            self.push_delivery(receiver.user, at, delivery, receiver.is_mentioned);
        }
        if !all_live {
            self.advance_sessions(receiver.user, |_| true);
        }
        if !self.guests.is_empty() {
            self.ack_guests(receiver.user, delivery);
        }
        match follows {
            Some(true) => self.follow(delivery.channel, receiver.user),
            Some(false) => self.unfollow(delivery.channel, receiver.user),
            None => {}
        }
    }

    pub(crate) fn pointers_stored(&mut self, id: UserId, at: InboxSeq) {
        self.users.may_be_idle();
        let Some(user) = self.users.get_mut(&id) else {
            return impossible!(self, "a pointer of a user who left memory before it was stored");
        };
        let (mut keep, mut sent_through) = (false, InboxSeq(u64::MAX));
        for session in user.sessions.iter().filter_map(|id| self.sessions.get(id)) {
            keep |= session.is_paging();
            sent_through = sent_through.min(session.sent_through());
        }
        user.inbox.stored(&mut self.spare_tails, at, keep);
        let durable = user.inbox.durable();
        if sent_through < durable {
            // Who fell behind what is in memory can be brought a page now.
            self.advance_sessions(id, |session| session.sent_through() < durable);
        }
    }

    pub(crate) fn trim_inbox(&mut self, id: UserId) {
        let Some(user) = self.users.get_mut(&id) else {
            return impossible!(self, "an inbox of a user who is not in memory");
        };
        let keep = user.sessions.iter().any(|id| self.sessions.get(id).is_some_and(Session::is_paging));
        user.inbox.trim(&mut self.spare_tails, keep);
    }
}

/// The first step: who receives a message, and what each is told besides. `is_acked` says that the session that sent it
/// has its ack already.
fn receivers<'a>(
    delivery: &'a Delivery,
    origin: Option<Origin>,
    is_acked: bool,
    (lists, talk): (&'a OwnLists, Option<&'a Talk>),
) -> impl Iterator<Item = Receiver> + 'a {
    let sender = talk.and_then(|_| delivery.frame.read_stamp()).map(|stamp| stamp.sender);
    delivery.recipients.iter().map(move |user| {
        let ack = match origin.filter(|origin| origin.user == *user) {
            None => Ack::None,
            Some(origin) if is_acked => Ack::Sent(SessionId(origin.session)),
            Some(origin) => Ack::Due(SessionId(origin.session)),
        };
        let mentions = |(talk, sender): (&Talk, UserId)| talk.is_kept_for(*user, sender);
        let is_mentioned = talk.zip(sender).is_some_and(mentions);
        Receiver { user: *user, ack, own_list: lists.own_list(*user), is_mentioned }
    })
}

/// Whether the user is in a large channel from this message on, or no more; `None` when it changes nothing of that.
fn follows(receiver: Receiver, delivery: &Delivery) -> Option<bool> {
    let since = delivery.grown?;
    match receiver.own_list {
        OwnList::Opens => Some(true),
        OwnList::Closes => Some(false),
        // The message with which it became one is for everybody who is in it.
        OwnList::Stays => (delivery.seq == since).then_some(true),
        OwnList::Passes => None,
    }
}

/// The second step: the inbox of one who receives takes a pointer, and its own list what the message changes of it. Says
/// the message's place in the inbox.
fn append(
    user: &mut User,
    receiver: Receiver,
    delivery: &Delivery,
    gathered: &mut Gathered,
    spare: &mut SpareTails,
) -> InboxSeq {
    let (id, channel, seq) = (receiver.user, delivery.channel, delivery.seq);
    match receiver.own_list {
        OwnList::Stays => {}
        OwnList::Opens => gathered.list_row(id, Row::Joined { user: id, channel, joined: seq }),
        OwnList::Closes => gathered.list_row(id, Row::Left { user: id, channel, left: seq }),
        OwnList::Passes => {
            gathered.list_row(id, Row::Joined { user: id, channel, joined: seq });
            gathered.list_row(id, Row::Left { user: id, channel, left: seq });
        }
    }
    if let Some(recalled) = Recalled::of(&delivery.frame) {
        user.inbox.recall(&recalled);
    }
    if let Some(erasure) = Erasure::of(&delivery.frame) {
        user.inbox.erase(&erasure);
    }
    let at = user.inbox.append(spare, Entry { frame: delivery.frame.clone(), ack: receiver.ack });
    gathered.pointer(id, at, channel, seq);
    if receiver.is_mentioned
        && let Some(Stamp { time_ms, sender, .. }) = delivery.frame.read_stamp()
    {
        gathered.list_row(id, Row::Mention { user: id, at, channel, seq, time_ms, sender });
    }
    at
}

/// For whom a message opens or closes the channel.
#[derive(Debug)]
enum OwnLists {
    Nobody,
    Everyone,
    Some(Vec<UserId>),
    Closing(UserId),
    Passing(Vec<UserId>),
}

impl OwnLists {
    /// The list of a user's channels changes with the messages that open one for the user or close it.
    fn own_list(&self, user: UserId) -> OwnList {
        match self {
            Self::Everyone => OwnList::Opens,
            Self::Some(users) if users.contains(&user) => OwnList::Opens,
            Self::Closing(gone) if *gone == user => OwnList::Closes,
            Self::Passing(users) if users.contains(&user) => OwnList::Passes,
            _ => OwnList::Stays,
        }
    }
}

fn own_lists(delivery: &Delivery) -> OwnLists {
    if delivery.seq == Seq(1) {
        return OwnLists::Everyone;
    }
    let changed = Change::read(&delivery.frame).zip(delivery.frame.read_stamp());
    let Some((change, stamp)) = changed else { return OwnLists::Nobody };
    match change {
        Change::Joins(users) => OwnLists::Some(users),
        Change::Accepts => OwnLists::Some(vec![stamp.sender]),
        Change::Invites(users) => OwnLists::Passing(users),
        change => change.leaver(stamp.sender).map_or(OwnLists::Nobody, OwnLists::Closing),
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
