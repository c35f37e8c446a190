//! Connections that are not at their user's home: the shard whose driver has one **holds** it and passes on what it says;
//! the home has the session and speaks through the holder. QUIC needs this, because its connections cannot move.
//!
//! Hops of such a connection share the lane between two shards with deliveries. A slow reader does not fill it: the holder
//! takes every hop at once and queues for the connection, the home counts what was not confirmed against the connection's
//! egress bound, and above it the session is behind. So a connection has at most that bound on the way, and only a shard
//! that is slow itself is waited for, as with deliveries: their drops are read again, senders are paused in time.

use protocol::hello::Hello;
use protocol::hop::{Held, Hop, Speak};
use protocol::{CloseCode, Frame, ShardId};

use crate::effect::Effect;
use crate::idmap::{IdMap, Seeded};
use crate::input::ConnId;
use crate::ledger::{Holds, Weight};
use crate::link::Link;
use crate::pauses::Why;
use crate::session::SessionId;
use crate::shard::Shard;

/// A connection of our own driver whose session is elsewhere.
#[derive(Debug)]
pub(crate) struct HeldConn {
    home: ShardId,
    /// Bytes of frames that came for it.
    taken: u64,
    /// Of them, what a flush left behind.
    queued: usize,
    /// The same in the ledger, while there is any.
    weight: Option<Weight>,
    /// The home is to be told of both at the end of the turn.
    untold: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct HeldConns {
    conns: IdMap<ConnId, HeldConn>,
    /// Those whose home is to be told what was taken.
    untold: Vec<ConnId>,
}

impl HeldConns {
    pub(crate) fn new(seed: Seeded) -> Self {
        Self { conns: IdMap::with_hasher(seed), untold: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.conns.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    pub(crate) fn contains(&self, conn: ConnId) -> bool {
        self.conns.contains_key(&conn)
    }

    /// The home of a connection is to be told at the end of the turn what was taken for it.
    fn tell(&mut self, conn: ConnId) {
        if let Some(held) = self.conns.get_mut(&conn)
            && !held.untold
        {
            held.untold = true;
            self.untold.push(conn);
        }
    }
}

impl Shard {
    /// A connection of ours has said Hello, and its user lives elsewhere.
    pub(crate) fn hold(&mut self, home: ShardId, conn: ConnId, hello: Hello) {
        let link = Link::Local(conn);
        if self.draining.is_some() {
            self.send_away(link);
            return;
        }
        self.held.conns.insert(conn, HeldConn { home, taken: 0, queued: 0, weight: None, untold: false });
        self.counters.hellos_held += 1;
        // The home says when to go on: its own pause would come a hop too late.
        self.pause_link(link, Why::Home);
        self.pass_on(conn, Held::Hello(hello));
    }

    /// Passes on what a held connection said. False when the connection is not held: it is our own matter.
    pub(crate) fn pass_on(&mut self, conn: ConnId, fact: Held) -> bool {
        let Some(held) = self.held.conns.get(&conn) else { return false };
        let (home, holder) = (held.home, self.config.shard);
        self.hops.push(home, Hop::Held { holder, conn: conn.0, fact });
        true
    }

    pub(crate) fn frame_of_held(&mut self, conn: ConnId, frame: Frame) {
        // It may have closed meanwhile.
        let Some(home) = self.held.conns.get(&conn).map(|held| held.home) else { return };
        self.pass_on(conn, Held::Frame(frame));
        if self.hops.is_pressed(home) {
            self.held_is_not_read(conn);
            self.pause_link(Link::Local(conn), Why::Lane(home));
        }
    }

    /// We will not read a connection that we may hold, for a reason of ours: its home does not count its silence.
    pub(crate) fn held_is_not_read(&mut self, conn: ConnId) {
        if self.held.conns.get(&conn).is_some_and(|held| !self.has_own_reason(conn, held.home)) {
            self.pass_on(conn, Held::Read(false));
        }
    }

    /// The driver tells what a flush left behind.
    pub(crate) fn egress_of_held(&mut self, conn: ConnId, queued: usize) {
        let Some(held) = self.held.conns.get_mut(&conn) else { return };
        held.queued = queued;
        held.weight = (queued > 0).then(|| self.ledger.weigh(Holds::Held, queued));
        self.held.tell(conn);
    }

    /// Tells the homes what was taken, once a turn and connection.
    pub(crate) fn tell_taken(&mut self) {
        for conn in core::mem::take(&mut self.held.untold) {
            let Some(held) = self.held.conns.get_mut(&conn) else { continue };
            held.untold = false;
            let fact = Held::Taken { through: held.taken, queued: held.queued };
            self.pass_on(conn, fact);
        }
    }

    pub(crate) fn held_closed(&mut self, conn: ConnId) -> bool {
        let known = self.pass_on(conn, Held::Closed);
        self.held.conns.remove(&conn);
        if known {
            self.pauses.forget(Link::Local(conn));
        }
        known
    }

    /// The ring to the home, or our driver, has room again. With both the connection is read, if we hold it: its home counts
    /// silence from now on.
    pub(crate) fn held_is_read(&mut self, link: Link) {
        if let Link::Local(conn) = link
            && self.held.conns.get(&conn).is_some_and(|held| !self.has_own_reason(conn, held.home))
        {
            self.pass_on(conn, Held::Read(true));
        }
    }

    /// The home knows already that we do not read a connection for a reason of ours.
    fn has_own_reason(&self, conn: ConnId, home: ShardId) -> bool {
        let link = Link::Local(conn);
        self.pauses.has(link, Why::Lane(home)) || self.pauses.has(link, Why::Holder)
    }

    /// The home of a connection that we hold wants something done with it.
    pub(crate) fn spoken(&mut self, conn: ConnId, fact: Speak) {
        // It may be gone by now; then the home is being told.
        let Some(held) = self.held.conns.get_mut(&conn) else { return };
        match fact {
            Speak::Frames(frames) => {
                held.taken += frames.len() as u64;
                self.out.push(Effect::Transmit { conn, frames });
                self.held.tell(conn);
            }
            Speak::Close(code) => self.out.push(Effect::Close { conn, code }),
            Speak::Pause => self.pause_link(Link::Local(conn), Why::Home),
            Speak::Resume => self.unpause_link(Link::Local(conn), Why::Home),
        }
    }

    /// A connection that another shard holds for us has said something. From here it is a connection like any other.
    pub(crate) fn heard(&mut self, holder: ShardId, conn: ConnId, fact: Held) {
        let link = Link::Held { holder, conn };
        match fact {
            Held::Hello(hello) => {
                // Its holder waits for our word.
                self.pauses.note(link, Why::Greeting);
                return self.hello(link, hello);
            }
            Held::Closed => return self.closed(link),
            Held::Reauth(reauth) => return self.reauth(link, reauth),
            Held::Frame(frame) => return self.frame_at(link, frame),
            Held::Taken { .. } | Held::Took | Held::Read(_) => {}
        }
        // It may have been closed meanwhile; then the holder is being told.
        let Some(id) = self.sessions.at(link) else { return };
        match fact {
            Held::Taken { through, queued } => {
                let Some(session) = self.sessions.get(&id) else { return };
                let waiting = session.egress.waiting(through, queued);
                self.egress(id, waiting);
            }
            Held::Took => self.took(id),
            Held::Read(is_read) => self.read_by_holder(id, is_read),
            _ => {}
        }
    }

    /// Our driver reads a connection no further, or again, for a reason of its own.
    pub(crate) fn read_by_driver(&mut self, conn: ConnId, is_read: bool) {
        let link = Link::Local(conn);
        if let Some(id) = self.sessions.at(link) {
            self.read_by_holder(id, is_read);
        } else if is_read {
            self.pauses.unnote(link, Why::Holder);
            self.held_is_read(link);
        } else if self.held.contains(conn) || self.pauses.holds(link) {
            self.held_is_not_read(conn);
            self.pauses.note(link, Why::Holder);
        }
    }

    /// Whoever has the connection of a session reads it, or does not for a reason of its own.
    fn read_by_holder(&mut self, id: SessionId, is_read: bool) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.heard(now);
        if is_read {
            self.pauses.unnote(session.link(), Why::Holder);
        } else {
            self.pauses.note(session.link(), Why::Holder);
        }
    }

    /// Does something with a connection, wherever it is.
    pub(crate) fn speak(&mut self, link: Link, fact: Speak) {
        link.speak(fact, &mut self.out, &mut self.hops);
    }

    /// The drain's time is over: homes that did not close what we hold for them will not.
    pub(crate) fn close_held(&mut self) {
        let mut conns: Vec<ConnId> = self.held.conns.keys().copied().collect();
        conns.sort_unstable();
        for conn in conns {
            self.out.push(Effect::Close { conn, code: CloseCode::GoingAway });
        }
    }
}
