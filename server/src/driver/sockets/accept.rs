//! Who comes in and who goes out: accept, the bounds of the table, registration.

use std::io::ErrorKind;
use std::net::{IpAddr, TcpStream};

use api::household;
use edge::Carrier;
use shard::ConnId;

use super::{Entry, Sockets, socket};
use crate::clock::Now;
use crate::driver::kernel::Kernel;

/// Accepts in one turn.
const ACCEPTS_PER_TURN: u32 = 256;
/// Entries of timers that may be stale before they are looked for.
const STALE_TIMERS_MAX: usize = 1024;
/// Time without accepting after the kernel had no descriptor or memory for it.
const ACCEPT_PAUSE_MS: u64 = 100;

impl<K: Kernel> Sockets<K> {
    pub(super) fn accept(&mut self, now: Now) {
        if !self.may_accept || now.tick.0 < self.accept_again_ms {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            match self.kernel.accept() {
                Ok((stream, peer)) => self.admit(now, stream, peer.ip()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.may_accept = false;
                    return;
                }
                Err(error) if socket::is_want_of_resources(&error) => {
                    // Those who are connected are served; who wants in waits in the kernel's queue.
                    self.counters.accept_errors += 1;
                    self.accept_again_ms = now.tick.after_ms(ACCEPT_PAUSE_MS).0;
                    return;
                }
                // The peer went away between its SYN and now.
                Err(_) => self.counters.accept_errors += 1,
            }
        }
    }

    fn admit(&mut self, now: Now, stream: TcpStream, peer: IpAddr) {
        self.counters.accepted += 1;
        let is_full = self.table.len() >= self.setup.limits.connections_max;
        let is_crowded = self.strangers.len() >= self.setup.limits.unauthenticated_max;
        let has_evicted = (is_full || is_crowded) && self.evict();
        if is_full && !has_evicted {
            self.counters.refused_full += 1;
            return;
        }
        // Without it small frames wait for the peer's delayed ACK.
        let _ = stream.set_nodelay(true);
        let deadline_ms = now.tick.after_ms(self.setup.limits.hello_ms).0;
        let (is_proxy, tls) = (self.setup.door.proxies.contain(peer), self.setup.tls.as_ref());
        let edge =
            if is_proxy { Carrier::behind_proxy(deadline_ms, tls) } else { Carrier::new(deadline_ms, tls) };
        let Some(conn) = self.register(stream, edge) else { return };
        self.strangers.add(conn, household(peer));
        if let Some(entry) = self.table.get_mut(conn.0) {
            entry.counts_as_unauthenticated = true;
            entry.timer_ms = deadline_ms;
        }
        self.hello_timers.push(deadline_ms, conn);
        let table = &self.table;
        let most = STALE_TIMERS_MAX + 2 * self.setup.limits.unauthenticated_max;
        self.hello_timers.tidy(most, |conn, deadline_ms| {
            table.get(conn.0).is_none_or(|entry| entry.timer_ms != deadline_ms || entry.edge.is_live())
        });
    }

    /// Closes a connection that has not said Hello: of the address that has most of them, the oldest. False when there is
    /// none.
    pub(super) fn evict(&mut self) -> bool {
        let Some(conn) = self.strangers.in_the_way() else { return false };
        self.counters.evicted += 1;
        self.forget(conn);
        true
    }

    /// Puts a connection into the table and asks for its events, once for all.
    pub(super) fn register(&mut self, stream: TcpStream, edge: Carrier) -> Option<ConnId> {
        let conn = ConnId(self.table.next_number()?);
        let Ok(socket) = self.kernel.open(conn, stream) else {
            self.counters.accept_errors += 1;
            return None;
        };
        let entry = Entry {
            socket,
            edge,
            is_known: false,
            core_closes: false,
            counts_as_unauthenticated: false,
            is_paused: false,
            is_readable: false,
            peer_ends: false,
            is_writable: true,
            is_in_readers: false,
            is_dirty: false,
            has_taken: false,
            is_shut: false,
            is_close_counted: false,
            has_half: false,
            timer_ms: 0,
            told_queued: 0,
        };
        self.table.insert(Box::new(entry))?;
        Some(conn)
    }

    /// Takes a connection out and closes its socket. Says whether the core knew it.
    pub(super) fn forget(&mut self, conn: ConnId) -> Option<bool> {
        let entry = self.take_out(conn)?;
        let Entry { socket, is_known, .. } = *entry;
        self.kernel.close(socket);
        Some(is_known)
    }

    /// Takes a connection out.
    pub(super) fn take_out(&mut self, conn: ConnId) -> Option<Box<Entry<K::Socket>>> {
        let entry = self.table.remove(conn.0)?;
        self.strangers.remove(conn);
        if entry.has_half {
            self.halves.remove(conn);
        }
        Some(entry)
    }
}
