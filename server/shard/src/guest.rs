//! Guests: requests that come without a connection, as over HTTP. A guest is a session for one frame: it is let in, pays and
//! is answered as every session is, by the same code, and it ends with its answer. So its link is one whose frames go to
//! whoever asked. It is no presence of its device: it ends no other session, is not brought along in the inbox, and what it
//! sends reaches the live sessions of its own device, too, as a message.
//!
//! A guest cannot be paused: where a connection would not be read, it is refused with a hint.

use protocol::hello::Hello;
use protocol::query::Delivery;
use protocol::{Code, DeviceId, Frame, Kind, Refusal, SendId, UserId};

use crate::admit::Bucket;
use crate::idmap::{IdMap, Seeded};
use crate::input::{GuestId, Tick};
use crate::invariant::impossible;
use crate::limits::{GUEST_MS, GUESTS_MAX, USER_GUESTS_MAX};
use crate::link::Link;
use crate::order::busy;
use crate::pages::asks_for_a_page;
use crate::session::{Session, SessionId};
use crate::shard::Shard;

/// All of a shard.
#[derive(Debug)]
pub(crate) struct Guests {
    all: IdMap<GuestId, Guest>,
    of_user: IdMap<UserId, Vec<GuestId>>,
}

#[derive(Debug)]
struct Guest {
    user: UserId,
    /// The number of its request, which the answer repeats.
    request: u64,
    /// What it sends, if it sends.
    sends: Option<Sends>,
    ends_at: Tick,
}

/// A message before it has its seq. Its channel is in the body, so that the fingerprint tells of it as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sends {
    send_id: SendId,
    fingerprint: u64,
}

impl Sends {
    fn of(frame: &Frame) -> Self {
        Self { send_id: frame.send_id(), fingerprint: frame.fingerprint() }
    }
}

/// What else is answered with one frame.
fn is_other_request(kind: Kind) -> bool {
    matches!(kind, Kind::MARK_READ | Kind::GET_PRESENCE | Kind::SET_PRESENCE | Kind::GET_OWN_PRESENCE)
}

impl Guests {
    pub(crate) fn new(seed: Seeded) -> Self {
        Self { all: IdMap::with_hasher(seed), of_user: IdMap::with_hasher(seed) }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether the user has any: then it stays in memory.
    pub(crate) fn has(&self, user: UserId) -> bool {
        self.of_user.contains_key(&user)
    }

    fn of(&self, user: UserId) -> impl Iterator<Item = GuestId> {
        self.of_user.get(&user).into_iter().flatten().copied()
    }

    fn insert(&mut self, id: GuestId, guest: Guest) {
        self.of_user.entry(guest.user).or_default().push(id);
        self.all.insert(id, guest);
    }

    /// It has ended. Nothing happens if it had.
    pub(crate) fn remove(&mut self, id: GuestId) {
        let Some(guest) = self.all.remove(&id) else { return };
        if let Some(all) = self.of_user.get_mut(&guest.user) {
            all.retain(|other| *other != id);
            if all.is_empty() {
                self.of_user.remove(&guest.user);
            }
        }
    }
}

impl Shard {
    /// A guest comes, with all that it will ever say.
    pub(crate) fn guest(&mut self, id: GuestId, hello: Hello, frame: Frame) {
        let link = Link::Guest(id);
        if let Err(refusal) = self.may_visit(hello.user, frame.kind()) {
            return self.reject_at(link, frame.header().id, &refusal);
        }
        self.counters.guests += 1;
        let ends_at = self.now.after_ms(GUEST_MS);
        let sends = frame.kind().is_message().then(|| Sends::of(&frame));
        self.guests.insert(id, Guest { user: hello.user, request: frame.header().id, sends, ends_at });
        self.hello(link, hello);
        self.frame_at(link, frame);
    }

    fn may_visit(&self, user: UserId, kind: Kind) -> Result<(), Refusal> {
        if !(kind.is_message() || asks_for_a_page(kind) || is_other_request(kind)) {
            return Err(Refusal::new(Code::UnknownKind, "", "a guest sends, marks or asks for a page"));
        }
        if self.placement.user_home(user) != self.config.shard {
            return Err(Refusal::retry(Code::Busy, 1000, "the user has another home"));
        }
        if self.guests.of(user).count() >= USER_GUESTS_MAX {
            return Err(Refusal::retry(Code::Busy, 500, "the user has many requests under way"));
        }
        if self.guests.len() >= GUESTS_MAX {
            return Err(Refusal::retry(Code::Busy, 1000, "many requests are under way; try again"));
        }
        Ok(())
    }

    /// A guest whose token counts is a session from here on.
    pub(crate) fn seat(&mut self, id: GuestId, hello: &Hello) {
        let limits = &self.config.limits;
        let (pace, of) = (limits.session_pace(), limits.user_pace());
        let (Some(user), Some(guest)) = (self.users.get(&hello.user), self.guests.all.get(&id)) else {
            return impossible!(self, "a guest that is not there, or whose user is not in memory");
        };
        let bucket = Bucket::no_fuller_than(pace, user.bucket, of, self.now);
        let (start, ends_at) = (user.inbox.durable(), guest.ends_at);
        let session = Session::new(Link::Guest(id), hello, start, self.now, bucket);
        let session_id = self.new_session_id();
        self.sessions.insert(session_id, session);
        self.look_at(session_id, ends_at);
    }

    /// A guest's time is over. What it sent may be stored all the same, now or later.
    pub(crate) fn guest_is_late(&mut self, session_id: SessionId, id: GuestId) {
        let request = self.guests.all.get(&id).map_or(0, |guest| guest.request);
        let text = "not answered in time; it may be done all the same: repeat it as it was";
        self.reject(session_id, request, &Refusal::retry(Code::Busy, 1000, text));
    }

    /// The sessions of a device's guests.
    pub(crate) fn guests_of_device(&self, user: UserId, device: DeviceId) -> Vec<SessionId> {
        let sessions = self.guests.of(user).filter_map(|id| self.sessions.at(Link::Guest(id)));
        let is_its = |id: &SessionId| self.sessions.get(id).is_some_and(|s| s.device() == device);
        sessions.filter(is_its).collect()
    }

    fn is_guest(&self, session_id: SessionId) -> bool {
        self.sessions.get(&session_id).is_some_and(|session| session.link().is_guest())
    }

    /// Refuses a guest where a connection would be read no further.
    pub(crate) fn refuse_guest_if(&self, is_pressed: bool, session_id: SessionId) -> Result<(), Refusal> {
        if is_pressed && self.is_guest(session_id) { Err(busy()) } else { Ok(()) }
    }

    /// A message of a user is stored: whichever of its guests sent it, now or once more, is told. It is known by the message
    /// itself, so that it does not matter which way the delivery took.
    pub(crate) fn ack_guests(&mut self, user: UserId, delivery: &Delivery) {
        let is_own = delivery.frame.read_stamp().is_some_and(|stamp| stamp.sender == user);
        if !is_own || !self.guests.has(user) {
            return;
        }
        let (sent, is_recalled) = (Sends::of(&delivery.frame), delivery.frame.kind() == Kind::RECALLED);
        // Of one that was recalled before it was delivered nobody knows any more what it said.
        let is_it = |sends: Sends| sends == sent || (is_recalled && sends.send_id == sent.send_id);
        let has_sent = |id: &GuestId| self.guests.all.get(id).and_then(|g| g.sends).is_some_and(is_it);
        let guests: Vec<GuestId> = self.guests.of(user).filter(has_sent).collect();
        for id in guests {
            // One that is being greeted has not sent it yet, and is answered as a repeat.
            if let Some(session_id) = self.sessions.at(Link::Guest(id)) {
                self.ack(session_id, &delivery.frame);
            }
        }
    }
}
