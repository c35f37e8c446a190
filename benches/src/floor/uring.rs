//! The floor over a raw io_uring: one submission a turn carries every receive and every send.
//!
//! The crate `io-uring` asks for unsafe where an operation is queued, because the kernel then holds a pointer. What
//! makes it sound here is the same for all three operations: buffers are boxed or vectors that are neither moved nor
//! touched while their operation is under way (`is_receiving`, `is_sending`), and a connection is forgotten only when
//! neither is.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::announce;
use crate::relay::Relay;

const ENTRIES: u32 = 4096;
/// A connection's own receive buffer.
const RECEIVE_BYTES: usize = 4096;
const ACCEPT: u64 = u64::MAX;
/// Set in the number of a send; a receive has the connection's bare number.
const SEND: u64 = 1 << 62;

struct Floor {
    ring: IoUring,
    relay: Relay,
    conns: Vec<Option<Conn>>,
}

struct Conn {
    socket: TcpStream,
    received: Box<[u8; RECEIVE_BYTES]>,
    sending: Vec<u8>,
    sent: usize,
    is_receiving: bool,
    is_sending: bool,
    is_closing: bool,
}

pub(super) fn serve(listen: SocketAddr) -> io::Result<()> {
    let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(ENTRIES)?;
    let listener = TcpListener::bind(listen)?;
    announce("floor", listener.local_addr()?)?;
    let mut floor = Floor { ring, relay: Relay::default(), conns: Vec::new() };
    floor.accept(&listener)?;
    let mut completed: Vec<cqueue::Entry> = Vec::new();
    loop {
        match floor.ring.submit_and_wait(1) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.raw_os_error() == Some(16) => {} // EBUSY: completions wait; take them first.
            other => drop(other?),
        }
        completed.extend(floor.ring.completion());
        for entry in completed.drain(..) {
            match entry.user_data() {
                ACCEPT => floor.accepted(&listener, &entry)?,
                number if number & SEND != 0 => floor.sent((number & !SEND) as usize, entry.result())?,
                number => floor.received(number as usize, entry.result())?,
            }
        }
        while let Some(index) = floor.relay.next_dirty() {
            floor.send(index)?;
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).build().user_data(ACCEPT);
        self.queue(&entry)
    }

    #[allow(unsafe_code)]
    fn queue(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: see the module: what the entry points to outlives the operation and is not touched meanwhile.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }

    #[allow(unsafe_code)]
    fn accepted(&mut self, listener: &TcpListener, entry: &cqueue::Entry) -> io::Result<()> {
        if !cqueue::more(entry.flags()) {
            self.accept(listener)?;
        }
        if entry.result() < 0 {
            return Ok(());
        }
        // SAFETY: the kernel has just made this descriptor for us, and nobody else owns it.
        let socket = unsafe { TcpStream::from_raw_fd(entry.result()) };
        let _ = socket.set_nodelay(true);
        let index = self.relay.open();
        if self.conns.len() <= index {
            self.conns.resize_with(index + 1, || None);
        }
        let conn = Conn {
            socket,
            received: Box::new([0; RECEIVE_BYTES]),
            sending: Vec::new(),
            sent: 0,
            is_receiving: false,
            is_sending: false,
            is_closing: false,
        };
        if let Some(slot) = self.conns.get_mut(index) {
            *slot = Some(conn);
        }
        self.receive(index)
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let Some(Some(conn)) = self.conns.get_mut(index) else { return Ok(()) };
        conn.is_receiving = true;
        let (fd, buffer) = (types::Fd(conn.socket.as_raw_fd()), conn.received.as_mut_ptr());
        let entry = opcode::Recv::new(fd, buffer, RECEIVE_BYTES as u32).build().user_data(index as u64);
        self.queue(&entry)
    }

    fn received(&mut self, index: usize, result: i32) -> io::Result<()> {
        let Some(Some(conn)) = self.conns.get_mut(index) else { return Ok(()) };
        conn.is_receiving = false;
        let len = usize::try_from(result).unwrap_or(0);
        let bytes = conn.received.get_mut(..len).unwrap_or_default();
        if conn.is_closing || len == 0 || self.relay.take(index, bytes).is_err() {
            self.close(index);
            return Ok(());
        }
        self.receive(index)
    }

    fn send(&mut self, index: usize) -> io::Result<()> {
        let (Some(Some(conn)), Some(out)) = (self.conns.get_mut(index), self.relay.output(index)) else {
            return Ok(());
        };
        // What comes while a send is under way leaves with the next one.
        if conn.is_sending || conn.is_closing || out.is_empty() {
            return Ok(());
        }
        conn.sending.clear();
        std::mem::swap(&mut conn.sending, out);
        conn.sent = 0;
        self.send_rest(index)
    }

    fn send_rest(&mut self, index: usize) -> io::Result<()> {
        let Some(Some(conn)) = self.conns.get_mut(index) else { return Ok(()) };
        let rest = conn.sending.get(conn.sent..).unwrap_or_default();
        let len = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        conn.is_sending = true;
        let fd = types::Fd(conn.socket.as_raw_fd());
        let entry = opcode::Send::new(fd, rest.as_ptr(), len).build().user_data(index as u64 | SEND);
        self.queue(&entry)
    }

    fn sent(&mut self, index: usize, result: i32) -> io::Result<()> {
        let Some(Some(conn)) = self.conns.get_mut(index) else { return Ok(()) };
        conn.is_sending = false;
        let Ok(sent) = usize::try_from(result) else {
            self.close(index);
            return Ok(());
        };
        conn.sent += sent;
        if conn.is_closing {
            self.close(index);
            return Ok(());
        }
        if conn.sent < conn.sending.len() {
            return self.send_rest(index);
        }
        self.send(index)
    }

    /// Forgets the connection once the kernel holds nothing of it any more.
    fn close(&mut self, index: usize) {
        let Some(slot) = self.conns.get_mut(index) else { return };
        let Some(conn) = slot else { return };
        conn.is_closing = true;
        let _ = conn.socket.shutdown(std::net::Shutdown::Both);
        if !conn.is_receiving && !conn.is_sending {
            *slot = None;
            self.relay.close(index);
        }
    }
}
