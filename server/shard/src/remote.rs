//! Connections that are not at their user's home: the shard whose driver has one **holds** it and passes on what it says;
//! the home has the session and speaks through the holder. QUIC needs this, because its connections cannot move.
//!
//! Hops of such a connection share the lane between two shards with deliveries. A slow reader does not fill it: the holder
//! takes every hop at once and queues for the connection, the home counts what was not confirmed against the connection's
//! egress bound, and above it the session is behind. So a connection has at most that bound on the way, and only a shard
//! that is slow itself is waited for, as with deliveries: their drops are read again, senders are paused in time.

use protocol::hop::{Held, Hop, Speak};
use protocol::{CloseCode, Frame, ShardId};

use crate::effect::Effect;
use crate::input::ConnId;
use crate::ledger::{Holds, Weight};
use crate::pauses::Why;
use crate::session::Link;
use crate::shard::Shard;
use crate::user::Hello;

/// A connection of our own driver whose session is elsewhere.
#[derive(Debug)]
pub(crate) struct HeldConn {
    home: ShardId,
    /// The home knows that it is not read.
    told_paused: bool,
    /// Bytes of frames that came for it.
    taken: u64,
    /// Of them, what a flush left behind.
    queued: usize,
    /// The same in the ledger, while there is any.
    weight: Option<Weight>,
    /// The home is to be told of both at the end of the turn.
    untold: bool,
}

impl Shard {
    /// A connection of ours has said Hello, and its user lives elsewhere.
    pub(crate) fn hold(&mut self, home: ShardId, hello: Hello) {
        if self.draining.is_some() {
            self.send_away(hello.conn);
            return;
        }
        let Hello { conn, user, device, cursor, id, expires_ms, issued_ms } = hello;
        let held = HeldConn { home, told_paused: false, taken: 0, queued: 0, weight: None, untold: false };
        self.held.insert(conn, held);
        self.counters.hellos_held += 1;
        // The home says when to go on: its own pause would come a hop too late.
        self.pause(conn, Why::Home);
        self.pass_on(conn, Held::Hello { user, device, cursor, id, expires_ms, issued_ms });
    }

    /// Passes on what a held connection said. False when the connection is not held: it is our own matter.
    pub(crate) fn pass_on(&mut self, conn: ConnId, fact: Held) -> bool {
        let Some(held) = self.held.get(&conn) else { return false };
        let (home, holder) = (held.home, self.config.shard);
        self.hops.push(home, Hop::Held { holder, conn: conn.0, fact });
        true
    }

    pub(crate) fn frame_of_held(&mut self, conn: ConnId, frame: Frame) {
        let Some(held) = self.held.get(&conn) else { return };
        let home = held.home;
        self.pass_on(conn, Held::Frame(frame));
        if self.hops.is_pressed(home) {
            self.pause(conn, Why::Lane(home));
            self.held_is_not_read(conn);
        }
    }

    /// We do not read a connection that we hold, for a reason of ours: its home does not count its silence.
    pub(crate) fn held_is_not_read(&mut self, conn: ConnId) {
        if let Some(held) = self.held.get_mut(&conn)
            && !core::mem::replace(&mut held.told_paused, true)
        {
            self.pass_on(conn, Held::Read(false));
        }
    }

    /// The driver tells what a flush left behind.
    pub(crate) fn egress_of_held(&mut self, conn: ConnId, queued: usize) {
        let Some(held) = self.held.get_mut(&conn) else { return };
        held.queued = queued;
        held.weight = (queued > 0).then(|| self.ledger.weigh(Holds::Held, queued));
        self.untold(conn);
    }

    fn untold(&mut self, conn: ConnId) {
        let Some(held) = self.held.get_mut(&conn) else { return };
        if !held.untold {
            held.untold = true;
            self.held_untold.push(conn);
        }
    }

    /// Tells the homes what was taken, once a turn and connection.
    pub(crate) fn tell_taken(&mut self) {
        for conn in core::mem::take(&mut self.held_untold) {
            let Some(held) = self.held.get_mut(&conn) else { continue };
            held.untold = false;
            let fact = Held::Taken { through: held.taken, queued: held.queued };
            self.pass_on(conn, fact);
        }
    }

    pub(crate) fn held_closed(&mut self, conn: ConnId) -> bool {
        let known = self.pass_on(conn, Held::Closed);
        self.held.remove(&conn);
        if known {
            self.pauses.forget(conn);
        }
        known
    }

    /// The ring to the home, or our driver, has room again. With both the connection is read, and its home counts silence from
    /// now on.
    pub(crate) fn held_is_read(&mut self, conn: ConnId) {
        if let Some(held) = self.held.get_mut(&conn)
            && !self.pauses.has(conn, Why::Lane(held.home))
            && !self.pauses.has(conn, Why::Room)
            && core::mem::take(&mut held.told_paused)
        {
            self.pass_on(conn, Held::Read(true));
        }
    }

    /// The home of a connection that we hold wants something done with it.
    pub(crate) fn spoken(&mut self, conn: ConnId, fact: Speak) {
        // It may be gone by now; then the home is being told.
        let Some(held) = self.held.get_mut(&conn) else { return };
        match fact {
            Speak::Frames(frames) => {
                held.taken += frames.len() as u64;
                self.out.push(Effect::Transmit { conn, frames });
                self.untold(conn);
            }
            Speak::Close(code) => self.out.push(Effect::Close { conn, code }),
            Speak::Pause => self.pause(conn, Why::Home),
            Speak::Resume => self.unpause(conn, Why::Home),
        }
    }

    /// A connection that another shard holds for us has said something. From here it is a connection like any other.
    pub(crate) fn heard(&mut self, holder: ShardId, conn: ConnId, fact: Held) {
        let conn = conn.held_by(holder);
        match fact {
            Held::Hello { user, device, cursor, id, expires_ms, issued_ms } => {
                // Its holder waits for our word.
                self.pauses.note(conn, Why::Greeting);
                self.hello(Hello { conn, user, device, cursor, id, expires_ms, issued_ms });
            }
            Held::Reauth { id, expires_ms, issued_ms } => self.reauth(conn, id, expires_ms, issued_ms),
            Held::Frame(frame) => self.frame(conn, frame),
            Held::Taken { through, queued } => {
                let Some(session) = self.sessions.get(&conn) else { return };
                let waiting = session.egress.waiting(through, queued);
                self.egress(conn, waiting);
            }
            Held::Took => self.took(conn),
            Held::Read(is_read) => self.read_by_holder(conn, is_read),
            Held::Closed => self.closed(conn),
        }
    }

    /// The holder of a connection reads it, or does not for a reason of its own.
    fn read_by_holder(&mut self, conn: ConnId, is_read: bool) {
        let now = self.now;
        // It may have been closed meanwhile; then the holder is being told.
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        session.holder_pauses = !is_read;
        session.heard_at = now;
    }

    /// Does something with a connection, wherever it is.
    pub(crate) fn speak(&mut self, conn: ConnId, fact: Speak) {
        Link::of(conn).speak(fact, &mut self.out, &mut self.hops);
    }

    /// The drain's time is over: homes that did not close what we hold for them will not.
    pub(crate) fn close_held(&mut self) {
        let mut conns: Vec<ConnId> = self.held.keys().copied().collect();
        conns.sort_unstable();
        for conn in conns {
            self.out.push(Effect::Close { conn, code: CloseCode::GoingAway });
        }
    }
}
