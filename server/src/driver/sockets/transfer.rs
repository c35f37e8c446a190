//! Bytes in and bytes out of one connection.

use std::io::{ErrorKind, IoSlice};

use api::household;
use edge::limits::READ_BYTES_FULL;
use edge::tls::Scratch;
use edge::{Event, Flow, SLICES_FEW, SLICES_MAX, TlsNews};
use protocol::Rejects;
use protocol::hello::Hello;
use shard::{ConnId, Input};

use super::{Entry, Sockets};
use crate::clock::Now;
use crate::driver::budget::{Budget, LOOK_EVERY};
use crate::driver::kernel::{Got, Kernel, READ_BYTES, Written, Wrote};
use crate::driver::{Counters, Setup, Told};

/// Bytes of one connection in one turn, and a read more; the rest comes in the next, after everybody else.
const BYTES_EACH: usize = 4 * READ_BYTES;

impl<K: Kernel> Sockets<K> {
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
        let mut taken = 0;
        for round in 0..K::READS_PER_TURN {
            if !entry.is_readable || entry.is_paused || entry.edge.is_held() {
                break;
            }
            let has_room = self.halves.has_room();
            let is_enough = taken >= BYTES_EACH || !has_room;
            if round > 0 && (is_enough || !budget.has_room(told.len(), self.counters.bytes_read)) {
                break;
            }
            let read_bytes = if has_room || entry.has_half { READ_BYTES } else { READ_BYTES_FULL };
            self.counters.reads += 1;
            match self.kernel.read(&mut entry.socket, read_bytes) {
                Ok(Got { bytes: [], .. }) => {
                    entry.is_readable = false;
                    entry.edge.on_end();
                }
                Ok(Got { bytes: input, has_more }) => {
                    let (len, was_known) = (input.len(), entry.is_known);
                    taken += len;
                    self.counters.bytes_read += len as u64;
                    // Where the kernel has no more, only an end can still lie behind it.
                    entry.is_readable = has_more || entry.peer_ends;
                    let mut sink = sink(
                        &self.setup,
                        conn,
                        &mut entry.is_known,
                        (&mut away, told),
                        &mut self.counters.rejects,
                    );
                    let news = entry.edge.on_bytes(&moment, input, &mut self.scratch, &mut sink);
                    drop(sink);
                    if entry.is_known && !was_known {
                        self.kernel.settled(&mut entry.socket);
                    }
                    if let Some(source) = entry.edge.take_source() {
                        self.strangers.rename(conn, household(source));
                    }
                    count(&mut self.counters, news);
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

    /// Gives the kernel what waits, as far as it takes it. What it takes later is told by [`Self::on_written`].
    pub(super) fn write(&mut self, conn: ConnId, told: &mut Vec<Told>) {
        let Some(entry) = self.table.get_mut(conn.0) else { return };
        entry.is_dirty = false;
        while entry.is_writable && !entry.edge.is_finished() {
            let written = if entry.edge.is_short() {
                write_some::<K, SLICES_FEW>(conn, &mut self.kernel, entry, &mut self.scratch)
            } else {
                write_some::<K, SLICES_MAX>(conn, &mut self.kernel, entry, &mut self.scratch)
            };
            match written {
                None => break,
                Some(Wrote::Later) => {
                    self.counters.writes += 1;
                    return;
                }
                Some(Wrote::Now(outcome)) => {
                    self.counters.writes += 1;
                    self.counters.bytes_written += take(entry, outcome, &mut self.scratch);
                }
            }
        }
        self.tell_egress(conn, told);
    }

    /// The kernel has done with what it was given to take later.
    pub(super) fn on_written(&mut self, conn: ConnId, outcome: Written, told: &mut Vec<Told>) {
        let Some(entry) = self.table.get_mut(conn.0) else { return };
        self.counters.bytes_written += take(entry, outcome, &mut self.scratch);
        self.write(conn, told);
    }

    /// Tells the core what waits for a connection, and looks after it.
    fn tell_egress(&mut self, conn: ConnId, told: &mut Vec<Told>) {
        let Some(entry) = self.table.get_mut(conn.0) else { return };
        let took = std::mem::take(&mut entry.has_taken);
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

/// What TLS says is counted; a fault has ended the connection already.
fn count(counters: &mut Counters, news: Option<TlsNews>) {
    match news {
        None => {}
        Some(TlsNews::Open) => counters.tls_handshakes += 1,
        Some(TlsNews::Fault(fault)) => {
            counters.tls_faults += 1;
            tracing::debug!(%fault, "TLS with a client is over");
        }
    }
}

/// One vectored write of what waits; `None` when nothing does.
fn write_some<K: Kernel, const SLICES: usize>(
    conn: ConnId,
    kernel: &mut K,
    entry: &mut Entry<K::Socket>,
    scratch: &mut Scratch,
) -> Option<Wrote> {
    entry.edge.seal(scratch);
    let mut slices = [IoSlice::new(&[]); SLICES];
    let count = entry.edge.poll_transmit(&mut slices);
    let slices = slices.get(..count).unwrap_or_default();
    (count > 0).then(|| kernel.write(conn, &mut entry.socket, slices))
}

/// What became of a write. Returns the bytes that the kernel took.
fn take<S>(entry: &mut Entry<S>, outcome: Written, scratch: &mut Scratch) -> u64 {
    match outcome {
        Ok(written) => {
            entry.edge.advance(written, scratch);
            entry.has_taken |= written > 0;
            return written as u64;
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => entry.is_writable = false,
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        Err(_) => entry.edge.on_broken(),
    }
    0
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
