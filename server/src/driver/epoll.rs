//! epoll (mio), edge-triggered: each descriptor is registered once, for both directions.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token, Waker};
use shard::ConnId;

use super::kernel::{Event, Got, Kernel, READ_BYTES, Wrote};
use crate::mesh::Bell;

/// Kernel events taken in one turn.
const EVENTS_PER_TURN: usize = 1024;

const LISTENER: Token = Token(usize::MAX);
const BELL: Token = Token(usize::MAX - 1);
const UDP: Token = Token(usize::MAX - 2);
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// The interface.
#[derive(Debug)]
pub struct Epoll {
    poll: Poll,
    events: Events,
    /// Those of this turn, last first.
    ready: Vec<mio::event::Event>,
    waker: Arc<Waker>,
    listener: Option<TcpListener>,
    buffer: Box<[u8]>,
}

impl Epoll {
    /// Without sockets.
    ///
    /// # Errors
    /// Of the kernel, when there is no descriptor for epoll or its eventfd.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), BELL)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            ready: Vec::new(),
            waker,
            listener: None,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }
}

impl Kernel for Epoll {
    type Socket = TcpStream;

    const READS_PER_TURN: u32 = 4;

    fn bell(&self) -> io::Result<Bell> {
        let waker = self.waker.clone();
        Ok(Box::new(move || {
            // It fails only when its counter is full, and then the thread is being woken already.
            let _ = waker.wake();
        }))
    }

    fn listen(&mut self, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = self.listener.insert(TcpListener::from_std(listener));
        self.poll.registry().register(listener, LISTENER, Interest::READABLE)
    }

    fn stop_listening(&mut self) {
        self.listener = None;
    }

    fn accept(&mut self) -> io::Result<(std::net::TcpStream, SocketAddr)> {
        let Some(listener) = &self.listener else { return Err(ErrorKind::WouldBlock.into()) };
        let (stream, peer) = listener.accept()?;
        Ok((into_std(stream), peer))
    }

    fn watch(&mut self, socket: &mut UdpSocket) -> io::Result<()> {
        self.poll.registry().register(socket, UDP, BOTH)
    }

    fn open(&mut self, conn: ConnId, stream: std::net::TcpStream) -> io::Result<TcpStream> {
        let token = usize::try_from(conn.0).map(Token).map_err(io::Error::other)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, token, BOTH)?;
        Ok(stream)
    }

    fn shut(&mut self, socket: &TcpStream) {
        let _ = socket.shutdown(Shutdown::Write);
    }

    /// Dropping it closes it, which also ends its registration.
    fn close(&mut self, socket: TcpStream) {
        drop(socket);
    }

    fn leave(&mut self, _conn: ConnId, mut socket: TcpStream) -> io::Result<Option<std::net::TcpStream>> {
        self.poll.registry().deregister(&mut socket)?;
        Ok(Some(into_std(socket)))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.ready.clear();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.ready.extend(self.events.iter().cloned());
        self.ready.reverse();
        Ok(())
    }

    fn next_event(&mut self, _now_ms: u64) -> Option<Event> {
        loop {
            let event = self.ready.pop()?;
            let (is_readable, is_writable) = (event.is_readable(), event.is_writable());
            return Some(match event.token() {
                BELL => continue,
                LISTENER => Event::Accept,
                UDP => Event::Udp { is_readable, is_writable },
                Token(number) => Event::Ready {
                    conn: ConnId(number as u64),
                    is_readable,
                    is_writable,
                    is_ended: event.is_read_closed() || event.is_error(),
                },
            });
        }
    }

    fn read(&mut self, socket: &mut TcpStream, limit: usize) -> io::Result<Got<'_>> {
        let len = socket.read(self.buffer.get_mut(..limit).unwrap_or_default())?;
        // A short read has emptied the kernel's queue.
        Ok(Got { bytes: self.buffer.get_mut(..len).unwrap_or_default(), has_more: len == limit })
    }

    fn write(&mut self, _conn: ConnId, socket: &mut TcpStream, slices: &[IoSlice<'_>]) -> Wrote {
        Wrote::Now(socket.write_vectored(slices))
    }
}

/// The same socket without the registration.
fn into_std(stream: TcpStream) -> std::net::TcpStream {
    OwnedFd::from(stream).into()
}
