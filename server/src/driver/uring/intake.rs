//! How one connection is read: idle ones wait by a poll, which costs the kernel a quarter of what an armed receive costs;
//! those that are busy have a receive armed, which fills buffers ahead of being asked.
//!
//! This is the life of three operations of one socket, without a kernel: what is to be asked of it ([`Intake::next_ask`])
//! and what it answers. Each operation is idle, armed or ending, and ends by its last completion alone: until then the
//! kernel has the socket, and perhaps a buffer.
//!
//! Bytes come in order because they come one way at a time: buffers first, and by a system call only when no receive is
//! under way.

/// Buffers that one connection may hold before its receive is ended: whoever sends so much, or is not read, is read by
/// system calls, as much as it is asked for.
pub(super) const HELD_MAX: u16 = 16;
/// Wakes by poll, each within [`BUSY_MS`] of the one before, that make a connection busy.
const WAKES_MIN: u8 = 3;
const BUSY_MS: u64 = 1000;
/// So long a receive stays armed without bytes.
pub(super) const IDLE_MS: u64 = 5000;

/// What can be under way for a socket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Op {
    /// Tells each time that there is something to read.
    Poll,
    /// Fills buffers.
    Receive,
    /// Tells once that there is room to write.
    Room,
}

impl Op {
    pub(super) const ALL: [Self; 3] = [Self::Poll, Self::Receive, Self::Room];
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Life {
    #[default]
    Idle,
    Armed,
    /// It was asked to end, and its last completion has not come.
    Ending,
}

/// What is to be asked of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    Arm(Op),
    Cancel(Op),
}

/// How a connection is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Way {
    #[default]
    Poll,
    Receive,
    /// Not at all: the socket is to be let go.
    Leave,
}

/// What came last, behind what is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The peer sends no more.
    Ended,
    /// The socket is broken: the number of the error.
    Broken(i32),
}

/// What a completion of a receive says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Received {
    /// A buffer was filled.
    Bytes,
    /// It ended, and nothing is wrong with the socket: it was cancelled, or no buffer was free.
    Stopped,
    /// This kernel cannot receive like that.
    Unable,
    /// Nothing more will come.
    End(End),
}

impl Received {
    /// What the number of a completion means.
    pub(super) fn of(result: i32) -> Self {
        match -result {
            0 => Self::End(End::Ended),
            bytes if bytes < 0 => Self::Bytes,
            libc::ECANCELED | libc::ENOBUFS | libc::EINTR | libc::EAGAIN | libc::ENOMEM => Self::Stopped,
            libc::EINVAL | libc::EOPNOTSUPP => Self::Unable,
            errno => Self::End(End::Broken(errno)),
        }
    }
}

/// What a connection may be read from now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A buffer that it holds.
    Buffer,
    /// The socket, by a system call.
    Socket,
    /// Nothing until something comes.
    Nothing,
    /// Nothing for ever.
    End(End),
}

/// The state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Intake {
    poll: Life,
    receive: Life,
    room: Life,
    way: Way,
    wants_room: bool,
    /// A poll has said that there is something, and no system call has found nothing since.
    is_ready: bool,
    /// It may be received from ahead of being asked.
    is_settled: bool,
    /// It stands among the busy ones.
    pub(super) is_listed: bool,
    wakes: u8,
    end: Option<End>,
    /// When something came last.
    pub(super) last_ms: u64,
}

impl Intake {
    /// What is to be asked of the kernel next.
    pub(super) fn next_ask(&mut self) -> Option<Ask> {
        let way = self.way;
        let is_received = self.receive != Life::Idle;
        for op in Op::ALL {
            let is_wanted = match op {
                // A receive that ends comes first: what it still brings is older than what a poll would find.
                Op::Poll => way == Way::Poll && !is_received,
                Op::Receive => way == Way::Receive,
                Op::Room => way != Way::Leave && self.wants_room,
            };
            let life = self.life(op);
            match (*life, is_wanted) {
                (Life::Idle, true) => {
                    *life = Life::Armed;
                    return Some(Ask::Arm(op));
                }
                (Life::Armed, false) => {
                    *life = Life::Ending;
                    return Some(Ask::Cancel(op));
                }
                _ => {}
            }
        }
        None
    }

    /// A poll has completed. Says whether the connection has become busy.
    pub(super) fn on_poll(&mut self, has_more: bool, is_news: bool, now_ms: u64) -> bool {
        if !has_more {
            self.poll = Life::Idle;
        }
        if !is_news {
            return false;
        }
        self.is_ready = true;
        let is_soon = now_ms.saturating_sub(self.last_ms) <= BUSY_MS;
        self.wakes = if is_soon { self.wakes.saturating_add(1) } else { 1 };
        self.last_ms = now_ms;
        self.is_settled && self.way == Way::Poll && self.wakes >= WAKES_MIN
    }

    /// A receive has completed; `held` buffers are held now.
    pub(super) fn on_received(&mut self, received: Received, has_more: bool, held: u16, now_ms: u64) {
        if !has_more {
            self.receive = Life::Idle;
        }
        match received {
            Received::Bytes => {
                self.last_ms = now_ms;
                if held >= HELD_MAX {
                    self.rest();
                }
            }
            Received::Stopped | Received::Unable => self.rest(),
            Received::End(end) => {
                self.end = Some(end);
                self.rest();
            }
        }
    }

    /// There is room to write, or the wait for it has ended.
    pub(super) fn on_room(&mut self) {
        self.room = Life::Idle;
        self.wants_room = false;
    }

    /// It does not take what is written.
    pub(super) fn wait_for_room(&mut self) {
        self.wants_room = true;
    }

    pub(super) fn waits_for_room(&self) -> bool {
        self.wants_room
    }

    /// From now on it may be received from.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// It is busy: a receive is armed.
    pub(super) fn receive(&mut self) {
        if self.way == Way::Poll && self.end.is_none() {
            self.way = Way::Receive;
        }
    }

    /// It is idle, or sends more than is read: back to the poll.
    pub(super) fn rest(&mut self) {
        if self.way == Way::Receive {
            self.way = Way::Poll;
        }
        self.wakes = 0;
    }

    /// Whether it is to be received from.
    pub(super) fn is_receiving(&self) -> bool {
        self.way == Way::Receive
    }

    /// The socket is to be let go.
    pub(super) fn leave(&mut self) {
        self.way = Way::Leave;
    }

    /// Whether it is to be let go and nothing is under way: the kernel has neither socket nor buffer.
    pub(super) fn is_quiet(&self) -> bool {
        let is_idle = |life| life == Life::Idle;
        self.way == Way::Leave && is_idle(self.poll) && is_idle(self.receive) && is_idle(self.room)
    }

    /// What it may be read from, when so many buffers are held.
    pub(super) fn source(&self, held: u16) -> Source {
        match self.end {
            _ if held > 0 => Source::Buffer,
            Some(end) => Source::End(end),
            None if self.receive != Life::Idle || self.way == Way::Leave => Source::Nothing,
            None => Source::Socket,
        }
    }

    /// The end was told. What the socket says after it is asked anew: it may still break.
    pub(super) fn on_end_told(&mut self) {
        if self.end == Some(End::Ended) {
            self.end = None;
        }
    }

    /// A system call has found this: `is_empty` when there is nothing behind it.
    pub(super) fn on_read(&mut self, is_empty: bool) {
        self.is_ready &= !is_empty;
    }

    /// Whether there may be more without another event.
    pub(super) fn has_more(&self, held: u16) -> bool {
        held > 0 || self.end.is_some() || (self.is_ready && self.receive == Life::Idle)
    }

    fn life(&mut self, op: Op) -> &mut Life {
        match op {
            Op::Poll => &mut self.poll,
            Op::Receive => &mut self.receive,
            Op::Room => &mut self.room,
        }
    }
}
