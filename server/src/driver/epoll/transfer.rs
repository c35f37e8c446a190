//! Bytes in and bytes out of one connection.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use api::household;
use edge::limits::READ_BYTES_FULL;
use edge::tls::Scratch;
use edge::{Carrier, Event, Flow, SLICES_FEW, SLICES_MAX, TlsNews};
use mio::net::TcpStream;
use protocol::Rejects;
use protocol::hello::Hello;
use shard::{ConnId, Input};

use super::{Epoll, READ_BYTES};
use crate::clock::Now;
use crate::driver::budget::{Budget, LOOK_EVERY};
use crate::driver::{Setup, Told};

/// Reads of one connection in one turn; the rest comes in the next, after everybody else.
const READS_PER_TURN: u32 = 4;

impl Epoll {
    /// Reads those that have something, in turn, as far as the turn's share goes. Says whether it was over before all
    /// had been looked at.
    pub(super) fn read_all(
        &mut self,
        now: Now,
        clock: &mut dyn FnMut() -> Now,
        told: &mut Vec<Told>,
    ) -> bool {
        let budget = Budget::new(now.at, told.len(), self.counters.bytes_read);
        for looked in 1..=self.readers.len() {
            let is_late = looked.is_multiple_of(LOOK_EVERY) && budget.is_late(clock().at);
            if is_late || !budget.has_room(told.len(), self.counters.bytes_read) {
                return true;
            }
            let Some(conn) = self.readers.pop_front() else { break };
            let Some(entry) = self.table.get_mut(conn.0) else { continue };
            // It stays marked as a reader while it waits for room.
            if entry.has_half && !self.halves.may_read(conn) {
                continue;
            }
            entry.is_in_readers = false;
            self.read(now, conn, &budget, told);
        }
        false
    }

    /// Lets those go on that waited for room, and closes those that stand still while others wait.
    pub(super) fn make_room(&mut self, now: Now, told: &mut Vec<Told>) {
        while let Some(conn) = self.halves.stalled(now.tick.0) {
            self.halves.remove(conn);
            self.counters.halves_stalled += 1;
            let Some(entry) = self.table.get_mut(conn.0) else { continue };
            entry.has_half = false;
            entry.edge.give_up(&Self::moment(&self.setup, now));
            self.look_after(conn, told);
        }
        while let Some(conn) = self.halves.next(now.tick.0) {
            self.readers.push_back(conn);
        }
        for (conn, is_read) in self.halves.take_changes() {
            if self.table.get_mut(conn.0).is_some_and(|entry| entry.is_known) {
                told.push(Told::Input(Input::Reads { conn, is_read }));
            }
        }
    }

    /// Reads a connection's share of the turn.
    fn read(&mut self, now: Now, conn: ConnId, budget: &Budget, told: &mut Vec<Told>) {
        let moment = Self::moment(&self.setup, now);
        let Some(entry) = self.table.get_mut(conn.0) else { return };
        let mut away = None;
        for round in 0..READS_PER_TURN {
            if !entry.is_readable || entry.is_paused || entry.edge.is_held() {
                break;
            }
            let has_room = self.halves.has_room();
            if round > 0 && (!has_room || !budget.has_room(told.len(), self.counters.bytes_read)) {
                break;
            }
            let read_bytes = if has_room || entry.has_half { READ_BYTES } else { READ_BYTES_FULL };
            self.counters.reads += 1;
            match entry.stream.read(self.buffer.get_mut(..read_bytes).unwrap_or_default()) {
                Ok(0) => {
                    entry.is_readable = false;
                    entry.edge.on_end();
                }
                Ok(len) => {
                    self.counters.bytes_read += len as u64;
                    // A short read has emptied the kernel's queue; only an end can still lie behind it.
                    entry.is_readable = len == read_bytes || entry.peer_ends;
                    let input = self.buffer.get_mut(..len).unwrap_or_default();
                    let mut sink = sink(
                        &self.setup,
                        conn,
                        &mut entry.is_known,
                        (&mut away, told),
                        &mut self.counters.rejects,
                    );
                    let news = entry.edge.on_bytes(&moment, input, &mut self.scratch, &mut sink);
                    if let Some(source) = entry.edge.take_source() {
                        self.strangers.rename(conn, household(source));
                    }
                    match news {
                        None => {}
                        Some(TlsNews::Open) => self.counters.tls_handshakes += 1,
                        Some(TlsNews::Fault(fault)) => {
                            self.counters.tls_faults += 1;
                            tracing::debug!(%fault, "TLS with a client is over");
                        }
                    }
                    let half = entry.edge.half_bytes();
                    if half > 0 || entry.has_half {
                        entry.has_half = half > 0;
                        self.halves.set(conn, half, len, now.tick.0);
                    }
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
            self.look_after(conn, told);
        }
    }

    pub(super) fn write(&mut self, conn: ConnId, told: &mut Vec<Told>) {
        let Some(entry) = self.table.get_mut(conn.0) else { return };
        entry.is_dirty = false;
        let mut took = false;
        while entry.is_writable {
            let written = if entry.edge.is_short() {
                write_some::<SLICES_FEW>(&mut entry.stream, &mut entry.edge, &mut self.scratch)
            } else {
                write_some::<SLICES_MAX>(&mut entry.stream, &mut entry.edge, &mut self.scratch)
            };
            let Some(written) = written else { break };
            self.counters.writes += 1;
            match written {
                Ok(written) => {
                    self.counters.bytes_written += written as u64;
                    entry.edge.advance(written, &mut self.scratch);
                    took |= written > 0;
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
            told.push(Told::Input(Input::Egress { conn, queued }));
        }
        if entry.is_known && took && waiting > 0 && waiting >= entry.told_queued {
            told.push(Told::Input(Input::Took { conn }));
        }
        entry.told_queued = if entry.is_known { waiting } else { entry.told_queued };
        self.look_after(conn, told);
    }
}

/// One vectored write of what waits; `None` when nothing does.
fn write_some<const SLICES: usize>(
    stream: &mut TcpStream,
    edge: &mut Carrier,
    scratch: &mut Scratch,
) -> Option<io::Result<usize>> {
    edge.seal(scratch);
    let mut slices = [IoSlice::new(&[]); SLICES];
    let count = edge.poll_transmit(&mut slices);
    (count > 0).then(|| stream.write_vectored(slices.get(..count).unwrap_or_default()))
}

/// What the edge says, as the core or another shard is to hear it.
pub(super) fn sink<'a>(
    setup: &'a Setup,
    conn: ConnId,
    is_known: &'a mut bool,
    (away, told): (&'a mut Option<Hello>, &'a mut Vec<Told>),
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
                Input::Hello { conn, hello }
            }
            Event::Reauth(reauth) => Input::Reauth { conn, reauth },
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
