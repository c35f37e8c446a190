//! The life of sessions: Hello, Reauth, silence, and the end.

use protocol::body::session::{Done, Reject, WelcomeV2};
use protocol::body::{self, Body};
use protocol::cost::TOKEN_BYTES;
use protocol::hello::{Hello, Reauth};
use protocol::hop::Speak;
use protocol::{CloseCode, Code, DeviceId, Frame, InboxSeq, Kind, Refusal, UserId};

use crate::admit::Bucket;
use crate::input::Tick;
use crate::invariant::impossible;
use crate::ledger::{Holds, Weight};
use crate::limits::{GREETING_BYTES_MAX, WAITING_MAX};
use crate::link::Link;
use crate::pauses::Why;
use crate::session::{Session, SessionId};
use crate::shard::Shard;
use crate::timer::Wake;
use crate::user::Waiting;

/// A connection whose user is being loaded. It is paused; what was read already waits here.
#[derive(Debug, Default)]
pub(crate) struct Greeting {
    said: Vec<Said>,
    /// Its frames' bytes in the ledger.
    weight: Option<Weight>,
}

impl Greeting {
    fn bytes(&self) -> usize {
        self.weight.as_ref().map_or(0, Weight::bytes)
    }
}

/// What such a connection said after its Hello; answered in this order, after Welcome.
#[derive(Debug)]
enum Said {
    Frame(Frame),
    Reauth(Reauth),
}

impl Shard {
    pub(crate) fn hello(&mut self, link: Link, hello: Hello) {
        if self.draining.is_some() {
            self.send_away(link);
            return;
        }
        if self.users.get(&hello.user).is_none() {
            self.greeting.insert(link, Greeting::default());
            self.pause_link(link, Why::Greeting);
        }
        if self.with_user(hello.user, || Waiting::Hello(link, hello)) {
            self.welcome(link, &hello);
            self.unpause_link(link, Why::Greeting);
        }
    }

    /// A frame from wherever a session, or a device that is about to have one, speaks through.
    pub(crate) fn frame_at(&mut self, link: Link, frame: Frame) {
        match self.sessions.at(link) {
            Some(id) => self.frame(id, frame),
            None => self.frame_while_greeting(link, frame),
        }
    }

    /// A frame from a connection without a session: its user is being loaded, or it has closed meanwhile.
    pub(crate) fn frame_while_greeting(&mut self, link: Link, frame: Frame) {
        if self.greeting.contains_key(&link) {
            self.said_while_greeting(link, Said::Frame(frame));
        }
    }

    fn said_while_greeting(&mut self, link: Link, said: Said) {
        match self.greeting.get_mut(&link) {
            Some(greeting) if greeting.said.len() < WAITING_MAX && greeting.bytes() < GREETING_BYTES_MAX => {
                if let Said::Frame(frame) = &said {
                    let bytes = greeting.bytes() + frame.bytes().len();
                    greeting.weight.get_or_insert_with(|| self.ledger.weigh(Holds::Waiting, 0)).set(bytes);
                }
                greeting.said.push(said);
            }
            _ => self.speak(link, Speak::Close(CloseCode::TooManyFaults)),
        }
    }

    pub(crate) fn welcome_greeted(&mut self, link: Link, hello: &Hello) {
        // The connection may have closed while the user was loaded.
        let Some(greeting) = self.greeting.remove(&link) else { return };
        if self.draining.is_some() {
            self.send_away(link);
            return;
        }
        self.welcome(link, hello);
        if self.sessions.at(link).is_none() {
            return;
        }
        self.unpause_link(link, Why::Greeting);
        for said in greeting.said {
            match said {
                Said::Frame(frame) => self.frame_at(link, frame),
                Said::Reauth(reauth) => self.reauth(link, reauth),
            }
        }
    }

    fn welcome(&mut self, link: Link, hello: &Hello) {
        if let Err(refusal) = self.check_hello(hello) {
            self.reject_at(link, hello.id, &refusal);
            self.hang_up(link, CloseCode::Unauthenticated);
            return;
        }
        if let Link::Guest(guest) = link {
            return self.seat(guest, hello);
        }
        self.end_sessions_of_device(hello.user, hello.device, CloseCode::Replaced);
        let id = self.new_session_id();
        let Some(user) = self.users.get_mut(&hello.user) else {
            return impossible!(self, "a checked Hello whose user is not in memory");
        };
        let durable = user.inbox.durable();
        // Most users have one session and a device or two: room is made for what comes, not for what may.
        user.sessions.reserve_exact(1);
        user.sessions.push(id);
        // Who comes again has no more than before: the user's tokens outlive the session.
        let limits = &self.config.limits;
        let bucket = Bucket::no_fuller_than(limits.session_pace(), user.bucket, limits.user_pace(), self.now);
        let generation = self.generation(hello.user);
        // Generation 0 is a device that holds nothing in any life of the inbox: it begins where it asks to.
        let same = hello.cursor.generation == generation || hello.cursor.generation.0 == 0;
        let start = if same { hello.cursor.at.min(durable) } else { durable };
        let session = Session::new(link, hello, start, self.now, bucket);
        let look_at = self.next_look(&session);
        self.sessions.insert(id, session);
        self.look_at(id, look_at);
        self.presence_came(hello.user, id);
        self.transmit_welcome(id, hello, generation.0, start, durable);
        self.advance(id, true);
        self.follow_all(hello.user, id);
    }

    pub(crate) fn new_session_id(&mut self) -> SessionId {
        self.next_session = self.next_session.wrapping_add(1);
        SessionId(self.next_session)
    }

    fn check_hello(&mut self, hello: &Hello) -> Result<(), Refusal> {
        self.check_token(hello.user, hello.device, hello.issued_ms)?;
        if hello.expires_ms <= self.wall_ms {
            return Err(Refusal::new(Code::Expired, "token", "the token has expired; log in again"));
        }
        Ok(())
    }

    /// Whether a good token still counts: its device exists, and nobody has logged out everywhere since it was issued.
    fn check_token(&mut self, user: UserId, device: DeviceId, issued_ms: u64) -> Result<(), Refusal> {
        let Some(user) = self.users.get_mut(&user) else {
            return Err(Refusal::retry(Code::Busy, 1000, "the user is not loaded"));
        };
        let Some(account) = user.account else {
            return Err(Refusal::new(Code::NoSuchUser, "token", "the token's user does not exist here"));
        };
        if user.device(device).is_none() {
            return Err(logged_out("the device was logged out or removed; log in again"));
        }
        if issued_ms < account.not_before_ms {
            return Err(logged_out("the token is older than a logout from everywhere; log in again"));
        }
        Ok(())
    }

    fn transmit_welcome(
        &mut self,
        id: SessionId,
        hello: &Hello,
        generation: u64,
        start: InboxSeq,
        head: InboxSeq,
    ) {
        let limits = &self.config.limits;
        let (pace, of) = (limits.session_pace(), limits.user_pace());
        let welcome = WelcomeV2 {
            tokens_per_s: pace.per_s.min(of.per_s),
            tokens_burst: pace.burst.min(of.burst),
            token_bytes: TOKEN_BYTES,
            user: hello.user.0,
            device: hello.device.0,
            generation,
            start: start.0,
            head: head.0,
            time_ms: self.wall_ms,
            expires_ms: hello.expires_ms,
            heartbeat_ms: limits.heartbeat_ms,
            group_members_max: u32::try_from(limits.group_members).unwrap_or(u32::MAX),
            kinds: body::kinds(),
        };
        self.transmit_body(id, hello.id, &welcome);
    }

    pub(crate) fn reauth(&mut self, link: Link, reauth: Reauth) {
        if self.greeting.contains_key(&link) {
            return self.said_while_greeting(link, Said::Reauth(reauth));
        }
        // The session may have ended while this was on its way; then the close is on its way back.
        let Some(id) = self.sessions.at(link) else { return };
        let Some(session) = self.sessions.get(&id) else { return };
        let (user, device) = (session.user(), session.device());
        if let Err(refusal) = self.check_token(user, device, reauth.issued_ms) {
            self.reject(id, reauth.id, &refusal);
            self.end_session(id, CloseCode::Unauthenticated);
            return;
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return impossible!(self, id, "a session that has just been looked at is gone");
        };
        session.renew(reauth.expires_ms);
        session.heard(self.now);
        self.transmit_body(id, reauth.id, &Done { kind: Kind::REAUTH.0 });
    }

    /// A connection is gone.
    pub(crate) fn closed(&mut self, link: Link) {
        self.greeting.remove(&link);
        if let Some(id) = self.sessions.at(link) {
            self.forget_session(id);
        }
        self.pauses.forget(link);
        if let Link::Guest(guest) = link {
            self.guests.remove(guest);
        }
    }

    /// Ends a connection from our side, with or without a session: nothing more is sent after the close code.
    pub(crate) fn hang_up(&mut self, link: Link, code: CloseCode) {
        self.closed(link);
        self.speak(link, Speak::Close(code));
    }

    /// Ends a session from our side, and its connection.
    pub(crate) fn end_session(&mut self, id: SessionId, code: CloseCode) {
        // One that has ended already has closed its connection.
        if let Some(link) = self.sessions.get(&id).map(Session::link) {
            self.hang_up(link, code);
        }
    }

    fn forget_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(id) else { return };
        let Some(user) = self.users.use_mut(&session.user(), self.turn) else {
            return impossible!(self, "a session of a user who is not in memory");
        };
        user.sessions.retain(|other| *other != id);
        if !session.link().is_guest() {
            self.presence_went(session.user(), id);
            self.unfollow_all(session.user(), id);
        }
        self.trim_inbox(session.user());
    }

    fn end_sessions_of_device(&mut self, user: UserId, device: DeviceId, code: CloseCode) {
        for id in self.sessions_of_device(user, device) {
            self.end_session(id, code);
        }
    }

    pub(crate) fn sessions_of_device(&self, user: UserId, device: DeviceId) -> Vec<SessionId> {
        // A user that is not in memory has no sessions.
        let Some(user) = self.users.get(&user) else { return Vec::new() };
        let of_device = |id: &&SessionId| self.sessions.get(id).is_some_and(|s| s.device() == device);
        user.sessions.iter().filter(of_device).copied().collect()
    }

    fn next_look(&self, session: &Session) -> Tick {
        let silent = session.heard_at().after_ms(self.silence_ms());
        // One that is overdue is not read now; it is silent from when it is read again.
        let silent = if silent <= self.now { self.now.after_ms(self.silence_ms()) } else { silent };
        let expires = self.now.after_ms(session.expires_ms().saturating_sub(self.wall_ms));
        let stalled =
            session.egress.stalled_since().map(|since| since.after_ms(self.config.limits.stalled_ms));
        let look_at = silent.min(expires).min(stalled.unwrap_or(silent));
        look_at.max(self.now.after_ms(1))
    }

    /// Whether what the device says is heard. If not, its silence says nothing.
    fn reads(&self, session: &Session) -> bool {
        !self.pauses.holds(session.link())
    }

    /// Two heartbeats may be lost, and half of one may be late.
    fn silence_ms(&self) -> u64 {
        u64::from(self.config.limits.heartbeat_ms) * 5 / 2
    }

    pub(crate) fn look_at_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if !session.is_due(self.now) {
            return;
        }
        let Some(session) = self.sessions.get(&id) else { return };
        if let Link::Guest(guest) = session.link() {
            return self.guest_is_late(id, guest);
        }
        let stalled = session.egress.stalled_since();
        let is_stalled =
            stalled.is_some_and(|since| self.now >= since.after_ms(self.config.limits.stalled_ms));
        if is_stalled {
            self.end_session(id, CloseCode::SlowReader);
        } else if session.expires_ms() <= self.wall_ms {
            let refusal = Refusal::new(Code::Expired, "token", "the token has expired; log in again");
            self.reject(id, 0, &refusal);
            self.end_session(id, CloseCode::Expired);
        } else if self.now >= session.heard_at().after_ms(self.silence_ms()) && self.reads(session) {
            self.end_session(id, CloseCode::HeartbeatTimeout);
        } else {
            let look_at = self.next_look(session);
            self.look_at(id, look_at);
        }
    }

    /// Sets when a session is looked at next, unless that is sooner anyway.
    pub(crate) fn look_at(&mut self, id: SessionId, at: Tick) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.is_sooner(at) {
            self.timer.set(at, Wake::Session(id));
        }
    }

    /// Refuses a frame of a session.
    pub(crate) fn reject(&mut self, session: SessionId, id: u64, refusal: &Refusal) {
        self.counters.rejects.add(refusal.code);
        self.transmit_body::<Reject>(session, id, &refusal.body());
    }

    /// Refuses what a connection without a session said.
    pub(crate) fn reject_at(&mut self, link: Link, id: u64, refusal: &Refusal) {
        self.counters.rejects.add(refusal.code);
        let reject = body::encode::<Reject>(id, &refusal.body());
        self.speak(link, Speak::Frames(reject.into_bytes()));
    }

    /// Sends an encoded body to a session.
    pub(crate) fn transmit_body<T: Body>(&mut self, session: SessionId, id: u64, body: &T) {
        self.transmit(session, body::encode(id, body).into_bytes());
    }
}

/// Why a session of a device that is no more ends, and why it has none again: final, whatever the token says.
pub(crate) fn logged_out(text: &str) -> Refusal {
    Refusal::new(Code::Unauthenticated, "token", text)
}
