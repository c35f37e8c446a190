//! What is beneath a driver: one interface of the kernel to many sockets, by readiness (epoll) or by completion (io_uring).
//! Whoever implements it knows nothing of connections but their numbers.
//!
//! # Calling contract
//!
//! A turn is [`Kernel::wait`], then [`Kernel::next_event`] and [`Kernel::accept`] until there is no more, then reads and at last
//! writes. A socket is readable from its event on until [`Kernel::read`] says that there is no more, and writable until a
//! write would block; both begin anew with the next event. Of one socket one write at most is under way: its outcome is
//! told at once, or by [`Kernel::next_written`], which is called until there is none.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use mio::net::UdpSocket;
use shard::ConnId;

use super::Ring;
use crate::mesh::Bell;

/// The one read buffer of a thread.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// How many bytes the kernel took. An error of [`io::ErrorKind::WouldBlock`] says that it takes none for now.
pub type Written = io::Result<usize>;

/// What became of a write.
#[derive(Debug)]
pub enum Wrote {
    /// This.
    Now(Written),
    /// [`Kernel::next_written`] will say.
    Later,
}

/// Bytes that came; none at the end.
#[derive(Debug)]
pub struct Got<'a> {
    /// They may be changed in place, and are gone with the next call.
    pub bytes: &'a mut [u8],
    /// There may be more without another event.
    pub has_more: bool,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Somebody wants in.
    Accept,
    /// The UDP socket.
    Udp {
        /// Datagrams may wait.
        is_readable: bool,
        /// It takes some.
        is_writable: bool,
    },
    /// A connection.
    Ready {
        /// Which.
        conn: ConnId,
        /// Bytes may wait, or an end.
        is_readable: bool,
        /// It takes some.
        is_writable: bool,
        /// The peer ends: everything is to be read until there is nothing.
        is_ended: bool,
    },
    /// A socket that was to leave has nothing under way any more.
    Left {
        /// Which.
        conn: ConnId,
        /// The socket.
        stream: TcpStream,
        /// What had been received of it and was not read.
        received: Vec<u8>,
    },
}

/// An interface of the kernel.
pub trait Kernel: Debug {
    /// What the connection keeps of its socket.
    type Socket: Debug;

    /// Reads of one connection in one turn; the rest comes in the next, after everybody else.
    const READS_PER_TURN: u32;

    /// What ends [`Self::wait`] from another thread.
    ///
    /// # Errors
    /// Of the kernel.
    fn bell(&self) -> io::Result<Bell>;

    /// Accepts from this listener, which does not block.
    ///
    /// # Errors
    /// Of the kernel.
    fn listen(&mut self, listener: TcpListener) -> io::Result<()>;

    /// Accepts no more.
    fn stop_listening(&mut self);

    /// Who wants in next. [`io::ErrorKind::WouldBlock`]: nobody until the next event.
    ///
    /// # Errors
    /// Of the kernel; whoever wanted in may be gone.
    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)>;

    /// Tells from now on when this socket is readable, and once that it is writable.
    ///
    /// # Errors
    /// Of the kernel.
    fn watch(&mut self, socket: &mut UdpSocket) -> io::Result<()>;

    /// The UDP socket would block: tells when it is writable again.
    fn wait_for_udp_room(&mut self) {}

    /// Takes a socket in.
    ///
    /// # Errors
    /// Of the kernel.
    fn open(&mut self, conn: ConnId, stream: TcpStream) -> io::Result<Self::Socket>;

    /// The connection stays with this shard: it may be received from ahead of being asked.
    fn settled(&mut self, _socket: &mut Self::Socket) {}

    /// Nobody will read for a while.
    fn pause(&mut self, _socket: &mut Self::Socket) {}

    /// Ends the sending side.
    fn shut(&mut self, socket: &Self::Socket);

    /// Closes it.
    fn close(&mut self, socket: Self::Socket);

    /// Gives the socket away: at once, or by [`Event::Left`] (`None`).
    ///
    /// # Errors
    /// Of the kernel; the socket is closed.
    fn leave(&mut self, conn: ConnId, socket: Self::Socket) -> io::Result<Option<TcpStream>>;

    /// Waits until something happens, the bell rings or `timeout` is over.
    ///
    /// # Errors
    /// Of the kernel, when waiting itself is impossible.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// What happened. `None`: nothing more in this turn.
    fn next_event(&mut self, now_ms: u64) -> Option<Event>;

    /// Reads at most so many bytes, `READ_BYTES` at most.
    ///
    /// # Errors
    /// Of the kernel. [`io::ErrorKind::WouldBlock`]: nothing until the next event.
    fn read(&mut self, socket: &mut Self::Socket, limit: usize) -> io::Result<Got<'_>>;

    /// Writes these, or a part of them.
    fn write(&mut self, conn: ConnId, socket: &mut Self::Socket, slices: &[IoSlice<'_>]) -> Wrote;

    /// What became of a write that was taken later. `None`: none is under way.
    fn next_written(&mut self) -> Option<(ConnId, Written)> {
        None
    }

    /// What only a ring counts.
    fn counters(&self) -> Ring {
        Ring::default()
    }
}
