//! Who comes in and who goes out: accept, the bounds of the table, registration.

use std::io::ErrorKind;
use std::net::IpAddr;

use api::household;
use edge::Carrier;
use mio::net::TcpStream;
use mio::{Interest, Token};
use shard::ConnId;

use super::{Entry, Epoll, socket};
use crate::clock::Now;

/// Accepts in one turn.
const ACCEPTS_PER_TURN: u32 = 256;
/// Entries of timers that may be stale before they are looked for.
const STALE_TIMERS_MAX: usize = 1024;
/// Time without accepting after the kernel had no descriptor or memory for it.
const ACCEPT_PAUSE_MS: u64 = 100;
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl Epoll {
    pub(super) fn accept(&mut self, now: Now) {
        if !self.may_accept || now.tick.0 < self.accept_again_ms {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
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
        let entry = Entry {
            stream,
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
            is_shut: false,
            is_close_counted: false,
            has_half: false,
            timer_ms: 0,
            told_queued: 0,
        };
        let conn = ConnId(self.table.insert(Box::new(entry))?);
        let token = usize::try_from(conn.0).map(Token);
        let registry = self.poll.registry();
        let entry = self.table.get_mut(conn.0)?;
        let registered = token.is_ok_and(|token| registry.register(&mut entry.stream, token, BOTH).is_ok());
        if !registered {
            self.counters.accept_errors += 1;
            self.table.remove(conn.0);
            return None;
        }
        Some(conn)
    }

    /// Takes a connection out. Dropping the entry closes the socket, which also ends its registration.
    pub(super) fn forget(&mut self, conn: ConnId) -> Option<Box<Entry>> {
        let entry = self.table.remove(conn.0)?;
        self.strangers.remove(conn);
        if entry.has_half {
            self.halves.remove(conn);
        }
        Some(entry)
    }
}
