//! The floor over epoll, edge-triggered, as Maru's driver: read until the kernel is empty, one write a connection and
//! turn.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::{READ_BYTES, announce};
use crate::relay::Relay;

const LISTENER: Token = Token(usize::MAX);
/// Reads of one connection in one turn.
const READS_PER_TURN: u32 = 4;

struct Floor {
    poll: Poll,
    relay: Relay,
    streams: Vec<Option<Stream>>,
    buffer: Vec<u8>,
    /// Connections with unread bytes.
    rest: Vec<usize>,
}

struct Stream {
    socket: TcpStream,
    /// Bytes of the output that are written.
    written: usize,
}

pub(super) fn serve(listen: SocketAddr) -> io::Result<()> {
    let mut listener = TcpListener::bind(listen)?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    announce("floor", listener.local_addr()?)?;
    let mut floor = Floor {
        poll,
        relay: Relay::default(),
        streams: Vec::new(),
        buffer: vec![0; READ_BYTES],
        rest: Vec::new(),
    };
    let mut events = Events::with_capacity(1024);
    loop {
        let timeout = (!floor.rest.is_empty()).then_some(std::time::Duration::ZERO);
        match floor.poll.poll(&mut events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for index in std::mem::take(&mut floor.rest) {
            floor.read(index);
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener)?,
                Token(index) => {
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        floor.read(index);
                    }
                    if event.is_writable() {
                        floor.write(index);
                    }
                }
            }
        }
        while let Some(index) = floor.relay.next_dirty() {
            floor.write(index);
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let _ = socket.set_nodelay(true);
            let index = self.relay.open();
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(index), interest)?;
            if self.streams.len() <= index {
                self.streams.resize_with(index + 1, || None);
            }
            if let Some(slot) = self.streams.get_mut(index) {
                *slot = Some(Stream { socket, written: 0 });
            }
        }
    }

    fn read(&mut self, index: usize) {
        for _ in 0..READS_PER_TURN {
            let Some(Some(stream)) = self.streams.get_mut(index) else { return };
            let is_alive = match stream.socket.read(&mut self.buffer) {
                Ok(0) => false,
                Ok(len) => {
                    let taken = self.relay.take(index, self.buffer.get_mut(..len).unwrap_or_default());
                    if taken.is_ok() && len < READ_BYTES {
                        return;
                    }
                    taken.is_ok()
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => error.kind() == ErrorKind::Interrupted,
            };
            if !is_alive {
                return self.close(index);
            }
        }
        self.rest.push(index);
    }

    fn write(&mut self, index: usize) {
        let (Some(Some(stream)), Some(out)) = (self.streams.get_mut(index), self.relay.output(index)) else {
            return;
        };
        while stream.written < out.len() {
            match stream.socket.write(out.get(stream.written..).unwrap_or_default()) {
                Ok(written) => stream.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.close(index),
            }
        }
        out.clear();
        stream.written = 0;
    }

    fn close(&mut self, index: usize) {
        // Dropping the socket takes it out of epoll.
        if let Some(slot) = self.streams.get_mut(index)
            && slot.take().is_some()
        {
            self.relay.close(index);
        }
    }
}
