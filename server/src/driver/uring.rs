//! io_uring: operations are queued, submitted together and complete later. One system call a turn waits, one sends what the
//! turn has to say to everybody.
//!
//! Idle connections wait by a poll and are read by system calls; busy ones have a receive armed (`intake.rs`). Sends never
//! wait in the kernel (`sends.rs`). A descriptor is closed or given away when its last operation has completed. The UDP
//! socket of QUIC is polled through the ring, and read and written by system calls of many datagrams each.

mod door;
mod intake;
mod memory;
mod pool;
pub(crate) mod probe;
mod ring;
mod sends;
#[cfg(test)]
mod simulated;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use edge::Table;
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use mio::net::UdpSocket;
use rustix::event::{EventfdFlags, eventfd};
use shard::ConnId;

use self::door::Door;
use self::intake::{Ask, End, IDLE_MS, Intake, Op, Received, Source};
use self::pool::Chain;
use self::ring::{Completion, Ring};
use super::kernel::{Event, Got, Kernel, READ_BYTES, Written, Wrote};
use crate::mesh::Bell;

/// Completions taken in one turn before what they bring is looked at.
const COMPLETIONS_PER_TURN: usize = 1024;
/// Connections with a receive armed. One more waits until another has become idle.
const RECEIVING_MAX: usize = 2048;
/// Of those so many are looked at in a turn, whether they are still busy.
const LOOKED_AT: usize = 8;
/// What an idle connection costs beside its entry in the driver's own table.
const _: () = assert!(size_of::<Socket>() <= 64);

/// An operation's number says whose it is: eight bits what, the rest which connection or send.
const KIND: u32 = 56;
const NUMBER: u64 = (1 << KIND) - 1;
const CANCEL: u64 = 0;
const BELL: u64 = 1 << KIND;
const ACCEPT: u64 = 2 << KIND;
const UDP: u64 = 3 << KIND;
const UDP_ROOM: u64 = 4 << KIND;
const POLL: u64 = 5 << KIND;
const RECEIVE: u64 = 6 << KIND;
const ROOM: u64 = 7 << KIND;
const SEND: u64 = 8 << KIND;

#[allow(clippy::cast_sign_loss)]
const READABLE: u32 = (libc::POLLIN | libc::POLLRDHUP) as u32;
#[allow(clippy::cast_sign_loss)]
const WRITABLE: u32 = libc::POLLOUT as u32;
/// What a poll says beside what was asked: an end or an error.
const ENDS: i32 = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as i32;

/// What is to become of a socket that has left its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Stays,
    Closes,
    Moves,
}

/// A socket.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    conn: ConnId,
    intake: Intake,
    chain: Chain,
    fate: Fate,
}

/// The interface.
#[derive(Debug)]
pub struct Uring {
    // Dropped first: what is under way ends before descriptors are closed.
    ring: Ring,
    sockets: Table<Socket>,
    door: Door,
    bell: Arc<OwnedFd>,
    udp: Option<RawFd>,
    waits_for_udp_room: bool,
    /// Taken from the ring and not looked at.
    completions: VecDeque<Completion>,
    /// Empty between calls.
    fresh: VecDeque<Completion>,
    events: VecDeque<Event>,
    written: VecDeque<(ConnId, Written)>,
    /// Those with a receive armed, whoever was looked at last at the end.
    receiving: VecDeque<u64>,
    /// Multishot receives are there.
    can_receive: bool,
    /// The buffer that the last read has lent.
    lent: Option<u16>,
    buffer: Box<[u8]>,
    /// The ring takes nothing any more.
    broken: Option<io::Error>,
}

impl Uring {
    /// Without sockets.
    ///
    /// # Errors
    /// Of the kernel: not allowed, too old, no memory, no descriptor.
    pub fn new() -> io::Result<Self> {
        let ring = Ring::new()?;
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let mut this = Self {
            ring,
            sockets: Table::default(),
            door: Door::default(),
            bell,
            udp: None,
            waits_for_udp_room: false,
            completions: VecDeque::new(),
            fresh: VecDeque::new(),
            events: VecDeque::new(),
            written: VecDeque::new(),
            receiving: VecDeque::new(),
            can_receive: true,
            lent: None,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            broken: None,
        };
        this.poll(this.bell.as_raw_fd(), READABLE, true, BELL);
        Ok(this)
    }

    fn push(&mut self, entry: &squeue::Entry) {
        if let Err(error) = self.ring.push(entry) {
            self.broken.get_or_insert(error);
        }
    }

    fn poll(&mut self, fd: RawFd, mask: u32, again: bool, data: u64) {
        self.push(&opcode::PollAdd::new(Fd(fd), mask).multi(again).build().user_data(data));
    }

    /// Whoever is cancelled completes, which is all that needs to be known.
    fn cancel(&mut self, data: u64) {
        let entry = opcode::AsyncCancel::new(data).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(&entry.user_data(CANCEL));
    }

    /// Asks the kernel for what a socket needs, and lets it go when it needs nothing more.
    fn tend(&mut self, number: u64) {
        while let Some(socket) = self.sockets.get_mut(number) {
            let Some(ask) = socket.intake.next_ask() else { break };
            let fd = socket.stream.as_raw_fd();
            match ask {
                Ask::Arm(Op::Poll) => self.poll(fd, READABLE, true, POLL | number),
                Ask::Arm(Op::Room) => self.poll(fd, WRITABLE, false, ROOM | number),
                Ask::Arm(Op::Receive) => {
                    let entry = opcode::RecvMulti::new(Fd(fd), Ring::group()).build();
                    self.push(&entry.user_data(RECEIVE | number));
                }
                Ask::Cancel(op) => self.cancel(data_of(op) | number),
            }
        }
        if self.sockets.get(number).is_some_and(|socket| socket.intake.is_quiet()) {
            self.let_go(number);
        }
    }

    /// Nothing of a socket is under way.
    fn let_go(&mut self, number: u64) {
        let Some(socket) = self.sockets.remove(number) else { return };
        let Socket { stream, conn, mut chain, fate, .. } = *socket;
        let received = self.empty(&mut chain);
        if fate == Fate::Moves {
            self.events.push_back(Event::Left { conn, stream, received });
        }
    }

    /// What a chain holds; its buffers go back to the kernel.
    fn empty(&mut self, chain: &mut Chain) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some((piece, place)) = self.ring.next(chain, READ_BYTES) {
            bytes.extend_from_slice(piece);
            if place.is_last {
                self.ring.give_back(place.buffer);
            }
        }
        bytes
    }

    /// Gives back what the last read has lent.
    fn take_back(&mut self) {
        if let Some(buffer) = self.lent.take() {
            self.ring.give_back(buffer);
        }
    }

    fn on_completion(&mut self, done: Completion, now_ms: u64) {
        let number = done.data & NUMBER;
        match done.data & !NUMBER {
            BELL if !done.has_more => self.poll(self.bell.as_raw_fd(), READABLE, true, BELL),
            ACCEPT => self.on_accepted(done),
            UDP => self.on_udp(done),
            UDP_ROOM => {
                self.waits_for_udp_room = false;
                self.events.push_back(Event::Udp { is_readable: false, is_writable: true });
            }
            POLL => self.on_poll(number, done, now_ms),
            RECEIVE => self.on_received(number, done, now_ms),
            ROOM => {
                if let Some(socket) = self.sockets.get_mut(number) {
                    socket.intake.on_room();
                    let conn = socket.conn;
                    if socket.fate == Fate::Stays {
                        self.events.push_back(ready(conn, false, true, done.result & ENDS != 0));
                    }
                    self.tend(number);
                }
            }
            SEND => self.on_sent(number, done.result),
            _ => {}
        }
    }

    fn on_udp(&mut self, done: Completion) {
        self.events.push_back(Event::Udp { is_readable: true, is_writable: false });
        if let (false, Some(fd)) = (done.has_more, self.udp) {
            self.poll(fd, READABLE, true, UDP);
        }
    }

    fn on_poll(&mut self, number: u64, done: Completion, now_ms: u64) {
        let Some(socket) = self.sockets.get_mut(number) else { return };
        // It was cancelled, or could not be armed: the next one says what there is.
        let is_news = done.result > 0;
        let is_busy = socket.intake.on_poll(done.has_more, is_news, now_ms);
        if is_news && socket.fate == Fate::Stays {
            self.events.push_back(ready(socket.conn, true, false, done.result & ENDS != 0));
        }
        if is_busy && self.can_receive && self.receiving.len() < RECEIVING_MAX {
            socket.intake.receive();
            if !socket.intake.is_listed && socket.intake.is_receiving() {
                socket.intake.is_listed = true;
                self.receiving.push_back(number);
            }
        }
        self.tend(number);
    }

    fn on_received(&mut self, number: u64, done: Completion, now_ms: u64) {
        let received = Received::of(done.result);
        if done.result == -libc::ENOBUFS {
            self.ring.count_short();
        }
        self.can_receive &= received != Received::Unable;
        let Some(socket) = self.sockets.get_mut(number) else { return };
        if let Some(buffer) = done.buffer {
            let len = usize::try_from(done.result).unwrap_or(0);
            let was_free = self.ring.fill(&mut socket.chain, buffer, len);
            debug_assert!(was_free, "the kernel has filled buffer {buffer}, which it did not have");
        }
        socket.intake.on_received(received, done.has_more, socket.chain.len(), now_ms);
        if socket.fate == Fate::Stays && matches!(received, Received::Bytes | Received::End(_)) {
            self.events.push_back(ready(socket.conn, true, false, false));
        }
        self.tend(number);
    }

    fn on_sent(&mut self, number: u64, result: i32) {
        let Some(send) = self.ring.sent(number) else { return };
        let outcome = match usize::try_from(result) {
            Ok(len) => Ok(len),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        };
        let is_full = match &outcome {
            Ok(len) => *len < send.len,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        if let (true, Some(socket)) = (is_full, self.sockets.get_mut(send.socket)) {
            socket.intake.wait_for_room();
            self.tend(send.socket);
        }
        self.written.push_back((send.conn, outcome));
    }

    /// Submits the sends, and takes what became of them. They do not wait in the kernel, so this does not either.
    fn finish_sends(&mut self) {
        let mut is_first = true;
        while self.ring.sends_under_way() > 0 && self.broken.is_none() {
            let outcome =
                if std::mem::take(&mut is_first) { self.ring.submit() } else { self.ring.wait(None) };
            if let Err(error) = outcome {
                self.broken = Some(error);
                return;
            }
            let mut fresh = std::mem::take(&mut self.fresh);
            self.ring.completions(&mut fresh);
            for done in fresh.drain(..) {
                if done.data & !NUMBER == SEND {
                    self.on_sent(done.data & NUMBER, done.result);
                } else {
                    // For the next turn.
                    self.completions.push_back(done);
                }
            }
            self.fresh = fresh;
        }
    }

    /// Looks at a few of those with a receive armed: whoever was silent for long waits by a poll again.
    fn look_at_receiving(&mut self, now_ms: u64) {
        for _ in 0..LOOKED_AT.min(self.receiving.len()) {
            let Some(number) = self.receiving.pop_front() else { break };
            let Some(socket) = self.sockets.get_mut(number) else { continue };
            if now_ms.saturating_sub(socket.intake.last_ms) > IDLE_MS {
                socket.intake.rest();
            }
            if socket.intake.is_receiving() {
                self.receiving.push_back(number);
            } else {
                socket.intake.is_listed = false;
                self.tend(number);
            }
        }
    }

    fn part_with(&mut self, number: u64, fate: Fate) {
        // A send that was not submitted yet names its descriptor by a number that could become another's.
        self.finish_sends();
        if let Some(socket) = self.sockets.get_mut(number) {
            socket.fate = fate;
            socket.intake.leave();
        }
        self.tend(number);
    }
}

impl Kernel for Uring {
    type Socket = u64;

    /// Most are of a buffer of two KiB.
    const READS_PER_TURN: u32 = 32;

    fn bell(&self) -> io::Result<Bell> {
        let bell = self.bell.clone();
        Ok(Box::new(move || {
            // It fails only when its counter is full, and then the thread is being woken already.
            let _ = rustix::io::write(&*bell, &1_u64.to_ne_bytes());
        }))
    }

    fn listen(&mut self, listener: TcpListener) -> io::Result<()> {
        self.open_door(listener);
        Ok(())
    }

    fn stop_listening(&mut self) {
        self.close_door();
    }

    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.admit_next()
    }

    fn watch(&mut self, socket: &mut UdpSocket) -> io::Result<()> {
        let fd = socket.as_raw_fd();
        self.udp = Some(fd);
        self.poll(fd, READABLE, true, UDP);
        Ok(())
    }

    fn wait_for_udp_room(&mut self) {
        if let (false, Some(fd)) = (self.waits_for_udp_room, self.udp) {
            self.waits_for_udp_room = true;
            self.poll(fd, WRITABLE, false, UDP_ROOM);
        }
    }

    fn open(&mut self, conn: ConnId, stream: TcpStream) -> io::Result<u64> {
        let (intake, chain) = (Intake::default(), Chain::default());
        let socket = Socket { stream, conn, intake, chain, fate: Fate::Stays };
        let number = self.sockets.insert(Box::new(socket)).ok_or(ErrorKind::OutOfMemory)?;
        self.tend(number);
        Ok(number)
    }

    fn settled(&mut self, number: &mut u64) {
        if let Some(socket) = self.sockets.get_mut(*number) {
            socket.intake.settle();
        }
    }

    fn pause(&mut self, number: &mut u64) {
        if let Some(socket) = self.sockets.get_mut(*number) {
            socket.intake.rest();
        }
        self.tend(*number);
    }

    fn shut(&mut self, number: &u64) {
        if let Some(socket) = self.sockets.get(*number) {
            let _ = socket.stream.shutdown(Shutdown::Write);
        }
    }

    fn close(&mut self, number: u64) {
        self.part_with(number, Fate::Closes);
    }

    fn leave(&mut self, _conn: ConnId, number: u64) -> io::Result<Option<TcpStream>> {
        self.part_with(number, Fate::Moves);
        Ok(None)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.take_back();
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let has_work = !self.completions.is_empty() || !self.events.is_empty();
        self.ring.wait(if has_work { Some(Duration::ZERO) } else { timeout })?;
        let mut had = None;
        loop {
            let says_more = self.ring.completions(&mut self.completions);
            let has = self.completions.len();
            if !is_worth_asking(says_more, had, has) {
                return Ok(());
            }
            had = Some(has);
            self.ring.submit()?;
        }
    }

    fn next_event(&mut self, now_ms: u64) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let Some(done) = self.completions.pop_front() else { break };
            self.on_completion(done, now_ms);
        }
        self.look_at_receiving(now_ms);
        None
    }

    fn read(&mut self, number: &mut u64, limit: usize) -> io::Result<Got<'_>> {
        self.take_back();
        let socket = self.sockets.get_mut(*number).ok_or(ErrorKind::NotConnected)?;
        match socket.intake.source(socket.chain.len()) {
            Source::Nothing => Err(ErrorKind::WouldBlock.into()),
            Source::End(End::Broken(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Source::End(End::Ended) => {
                socket.intake.on_end_told();
                Ok(Got { bytes: &mut [], has_more: false })
            }
            Source::Socket => {
                let space = self.buffer.get_mut(..limit).unwrap_or_default();
                let outcome = (&socket.stream).read(space);
                // A short read has emptied the kernel's queue.
                socket.intake.on_read(!matches!(&outcome, Ok(len) if *len == limit));
                let len = outcome?;
                Ok(Got { bytes: self.buffer.get_mut(..len).unwrap_or_default(), has_more: len == limit })
            }
            Source::Buffer => {
                let mut chain = socket.chain;
                let next = self.ring.next(&mut chain, limit);
                let (bytes, piece) = next.ok_or(ErrorKind::WouldBlock)?;
                socket.chain = chain;
                self.lent = piece.is_last.then_some(piece.buffer);
                Ok(Got { bytes, has_more: socket.intake.has_more(chain.len()) })
            }
        }
    }

    fn write(&mut self, conn: ConnId, number: &mut u64, slices: &[IoSlice<'_>]) -> Wrote {
        for _ in 0..2 {
            let Some(socket) = self.sockets.get(*number) else { break };
            if socket.intake.waits_for_room() {
                return Wrote::Now(Err(ErrorKind::WouldBlock.into()));
            }
            match self.ring.send(SEND, socket.stream.as_raw_fd(), (conn, *number), slices) {
                Ok(Some(())) => return Wrote::Later,
                // The area is full: it begins anew once all of it was taken.
                Ok(None) => self.finish_sends(),
                Err(error) => {
                    self.broken.get_or_insert(error);
                    break;
                }
            }
        }
        Wrote::Now(Err(ErrorKind::NotConnected.into()))
    }

    fn next_written(&mut self) -> Option<(ConnId, Written)> {
        if self.written.is_empty() {
            self.finish_sends();
        }
        self.written.pop_front()
    }

    fn counters(&self) -> super::Ring {
        super::Ring { receiving_now: self.receiving.len() as u64, ..self.ring.counters() }
    }
}

impl Drop for Uring {
    /// Whoever was accepted and not taken is closed.
    fn drop(&mut self) {
        self.ring.end();
        self.ring.completions(&mut self.completions);
        self.door.shut();
        while let Some(done) = self.completions.pop_front() {
            if done.data & !NUMBER == ACCEPT {
                self.on_accepted(done);
            }
        }
    }
}

/// Whether the kernel is to be asked again in this turn, when it says that there is more; `had` before it was asked last. It sets
/// that word after it has queued the work, so that another processor may have done the work in between and the word is left:
/// who believed it would ask for ever, until something else happens.
fn is_worth_asking(says_more: bool, had: Option<usize>, has: usize) -> bool {
    says_more && had.is_none_or(|had| has > had) && has < COMPLETIONS_PER_TURN
}

fn data_of(op: Op) -> u64 {
    match op {
        Op::Poll => POLL,
        Op::Receive => RECEIVE,
        Op::Room => ROOM,
    }
}

fn ready(conn: ConnId, is_readable: bool, is_writable: bool, is_ended: bool) -> Event {
    Event::Ready { conn, is_readable, is_writable, is_ended }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_says_there_is_more_and_brings_nothing_is_not_asked_for_ever() {
        assert!(!is_worth_asking(false, None, 0));
        assert!(is_worth_asking(true, None, 0));
        assert!(
            !is_worth_asking(true, Some(0), 0),
            "the word was stale: found as a shard that stood for 120 s"
        );
        assert!(is_worth_asking(true, Some(3), 20));
        assert!(!is_worth_asking(true, Some(0), COMPLETIONS_PER_TURN), "the rest is for the next turn");
    }
}
