//! Bytes in and bytes out of one connection.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use edge::{Connection, Event, Flow, SLICES_FEW, SLICES_MAX};
use mio::net::TcpStream;
use protocol::Rejects;
use shard::{ConnId, Input};

use super::{Epoll, READ_BYTES};
use crate::clock::Now;
use crate::driver::{Setup, Told};

/// Reads of one connection in one turn; the rest comes in the next, after everybody else.
const READS_PER_TURN: u32 = 4;

impl Epoll {
    /// Reads a connection's share of the turn.
    pub(super) fn read(&mut self, now: Now, conn: ConnId, told: &mut Vec<Told>) {
        let moment = Self::moment(&self.setup, now);
        let Some(entry) = self.table.get_mut(conn) else { return };
        let mut away = None;
        for _ in 0..READS_PER_TURN {
            if !entry.is_readable || entry.is_paused || entry.edge.is_held() {
                break;
            }
            self.counters.reads += 1;
            match entry.stream.read(&mut self.buffer) {
                Ok(0) => {
                    entry.is_readable = false;
                    entry.edge.on_end();
                }
                Ok(len) => {
                    self.counters.bytes_read += len as u64;
                    // A short read has emptied the kernel's queue; only an end can still lie behind it.
                    entry.is_readable = len == READ_BYTES || entry.peer_ends;
                    let input = self.buffer.get_mut(..len).unwrap_or_default();
                    let mut sink = sink(
                        &self.setup,
                        conn,
                        &mut entry.is_known,
                        (&mut away, told),
                        &mut self.counters.rejects,
                    );
                    entry.edge.on_bytes(&moment, input, &mut sink);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => entry.is_readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    entry.is_readable = false;
                    entry.edge.on_broken();
                }
            }
        }
        if let Some(hello) = away {
            self.give_away(conn, hello, told);
        } else {
            self.settle(conn, told);
        }
    }

    pub(super) fn write(&mut self, conn: ConnId, told: &mut Vec<Told>) {
        let Some(entry) = self.table.get_mut(conn) else { return };
        entry.is_dirty = false;
        while entry.is_writable {
            let written = if entry.edge.is_short() {
                write_some::<SLICES_FEW>(&mut entry.stream, &mut entry.edge)
            } else {
                write_some::<SLICES_MAX>(&mut entry.stream, &mut entry.edge)
            };
            let Some(written) = written else { break };
            self.counters.writes += 1;
            match written {
                Ok(written) => {
                    self.counters.bytes_written += written as u64;
                    entry.edge.advance(written);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => entry.is_writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => entry.edge.on_broken(),
            }
            if entry.edge.is_finished() {
                break;
            }
        }
        let queued = entry.edge.queued_bytes();
        // Far below 4 GiB: the core sends no more to who does not take it.
        let waiting = u32::try_from(queued).unwrap_or(u32::MAX);
        if entry.is_known && waiting != entry.told_queued {
            entry.told_queued = waiting;
            told.push(Told::Input(Input::Egress { conn, queued }));
        }
        self.settle(conn, told);
    }
}

/// One vectored write of what waits; `None` when nothing does.
fn write_some<const SLICES: usize>(
    stream: &mut TcpStream,
    edge: &mut Connection,
) -> Option<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let count = edge.poll_transmit(&mut slices);
    (count > 0).then(|| stream.write_vectored(slices.get(..count).unwrap_or_default()))
}

/// What the edge says, as the core or another shard is to hear it.
pub(super) fn sink<'a>(
    setup: &'a Setup,
    conn: ConnId,
    is_known: &'a mut bool,
    (away, told): (&'a mut Option<edge::Hello>, &'a mut Vec<Told>),
    rejects: &'a mut Rejects,
) -> impl FnMut(Event) -> Flow + 'a {
    move |event| {
        let input = match event {
            Event::Hello(hello) if setup.placement.user_home(hello.user) != setup.shard => {
                *away = Some(hello);
                return Flow::Hold;
            }
            Event::Hello(hello) => {
                *is_known = true;
                hello_input(conn, hello)
            }
            Event::Reauth { id, expires_ms, issued_ms } => Input::Reauth { conn, id, expires_ms, issued_ms },
            Event::Frame(frame) => Input::Frame { conn, frame },
            Event::Refused(code) => {
                rejects.add(code);
                return Flow::More;
            }
        };
        told.push(Told::Input(input));
        Flow::More
    }
}

pub(in crate::driver) fn hello_input(conn: ConnId, hello: edge::Hello) -> Input {
    let edge::Hello { user, device, cursor, id, expires_ms, issued_ms } = hello;
    Input::Hello { conn, user, device, cursor, id, expires_ms, issued_ms }
}
