//! Who wants in: a multishot accept, which makes a descriptor of everybody who comes; where the kernel has none, a poll of the
//! listener and an accept by system call.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::opcode;
use io_uring::types::Fd;

use super::super::kernel::Event;
use super::ring::Completion;
use super::{ACCEPT, READABLE, Uring};

/// Accepted connections that may wait for their turn; above it no more are accepted.
const ACCEPTED_MAX: usize = 1024;

/// Where who wants in comes from.
#[derive(Debug, Default)]
pub(super) struct Door {
    listener: Option<TcpListener>,
    is_armed: bool,
    /// This kernel accepts one at a time: the listener is polled.
    is_polled: bool,
    /// A poll has said that somebody waits.
    is_ready: bool,
    accepted: VecDeque<io::Result<OwnedFd>>,
    /// It does not listen any more, and an operation is under way.
    closing: Option<TcpListener>,
}

impl Door {
    /// Nobody is let in any more; whoever was accepted and not taken is closed.
    pub(super) fn shut(&mut self) {
        self.accepted.clear();
        self.closing = self.listener.take();
    }
}

impl Uring {
    #[allow(unsafe_code)]
    pub(super) fn on_accepted(&mut self, done: Completion) {
        let door = &mut self.door;
        door.is_armed &= done.has_more;
        if door.is_polled {
            door.is_ready |= done.result > 0;
        } else if done.result >= 0 {
            // SAFETY: the kernel has just made this descriptor for us, and nobody else owns it.
            door.accepted.push_back(Ok(unsafe { OwnedFd::from_raw_fd(done.result) }));
        } else if done.result == -libc::EINVAL {
            door.is_polled = true;
        } else if done.result != -libc::ECANCELED {
            door.accepted.push_back(Err(io::Error::from_raw_os_error(-done.result)));
        }
        if door.closing.is_some() {
            // Whoever came too late finds it closed, as those in the kernel's queue do.
            door.accepted.clear();
            if !door.is_armed {
                door.closing = None;
            }
            return;
        }
        if door.is_armed && door.accepted.len() > ACCEPTED_MAX {
            self.cancel(ACCEPT);
        }
        self.events.push_back(Event::Accept);
    }

    fn arm_door(&mut self) {
        let Some(listener) = self.door.listener.as_ref().filter(|_| !self.door.is_armed) else { return };
        let (fd, is_polled) = (listener.as_raw_fd(), self.door.is_polled);
        self.door.is_armed = true;
        if is_polled {
            self.poll(fd, READABLE, true, ACCEPT);
        } else {
            let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            self.push(&opcode::AcceptMulti::new(Fd(fd)).flags(flags).build().user_data(ACCEPT));
        }
    }

    fn accept_by_call(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let Some(listener) = self.door.listener.as_ref().filter(|_| self.door.is_ready) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let accepted = listener.accept().and_then(|(stream, peer)| {
            stream.set_nonblocking(true)?;
            Ok((stream, peer))
        });
        if matches!(&accepted, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.door.is_ready = false;
        }
        accepted
    }

    pub(super) fn open_door(&mut self, listener: TcpListener) {
        self.door.listener = Some(listener);
        self.arm_door();
    }

    pub(super) fn close_door(&mut self) {
        self.door.shut();
        if self.door.is_armed {
            self.cancel(ACCEPT);
        } else {
            self.door.closing = None;
        }
    }

    /// Who comes next, as [`super::super::kernel::Kernel::accept`] says it.
    pub(super) fn admit_next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        if let Some(accepted) = self.door.accepted.pop_front() {
            let stream = TcpStream::from(accepted?);
            let peer = stream.peer_addr()?;
            return Ok((stream, peer));
        }
        self.arm_door();
        self.accept_by_call()
    }
}
