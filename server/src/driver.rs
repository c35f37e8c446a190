//! The seam to the kernel: accept, read, write, wake. A driver owns the sockets of one shard and the pure edge state of
//! each, and knows nothing of what frames mean.
//!
//! One call of [`Driver::poll`] a turn brings inputs; transmits and closes are queued; one [`Driver::flush`] a turn
//! writes each touched connection. There is one set of rules, [`Sockets`], and two kernel interfaces beneath it:
//! [`epoll::Epoll`] and [`uring::Uring`].

pub(crate) mod budget;
pub mod epoll;
pub mod kernel;
mod sockets;
mod timers;
mod udp;
pub mod uring;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::token::Key;
use protocol::web::WebRules;
use protocol::{CloseCode, Closes, Placement, Rejects, ShardId};
use shard::{ConnId, Input};

use crate::clock::Now;
use crate::handover::Parcel;
use crate::mesh::Bell;

pub(crate) use sockets::BACKLOG;
pub use sockets::Sockets;
pub use udp::{Group, Quic, reserve as reserve_quic};
pub(crate) use udp::{SOCKET_BYTES, is_quic};
pub use uring::probe::NoRing;

/// What the operator set for the connections of one shard, with the documented defaults.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections of this shard; one more is closed at once.
    pub connections_max: usize,
    /// Of them without a valid Hello; the oldest is closed when one more comes.
    pub unauthenticated_max: usize,
    /// Time to say Hello, milliseconds.
    pub hello_ms: u64,
    /// Time to take what is queued and answer a close, milliseconds.
    pub close_ms: u64,
    /// Bytes of messages that have come in part, of all connections together. Above it those that hold one are read no
    /// further until there is room; one at a time of each carrier goes on.
    pub half_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000_000,
            unauthenticated_max: 4096,
            hello_ms: 10_000,
            close_ms: 5000,
            half_bytes_max: edge::limits::HALF_BYTES_MAX,
        }
    }
}

/// An address that is ours: bound, but not listened on yet.
#[derive(Debug)]
pub struct Reserved {
    /// The address; a port of 0 has become the kernel's choice.
    pub address: SocketAddr,
    /// Keeps it ours. Drop it once the shards listen.
    pub socket: socket2::Socket,
}

/// Reserves an address for the shards' listeners. SO_REUSEPORT lets any process of the same user join in, so it is
/// first bound without: another server on the port is an error here and not half of our connections there.
///
/// # Errors
/// Of the kernel: in use, not ours, not allowed.
pub fn reserve(address: SocketAddr) -> io::Result<Reserved> {
    let probe = sockets::bind(address, false)?;
    // Nobody can listen on a port that is bound: listening is what shows whether it is free.
    probe.listen(1)?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    let socket = sockets::bind(address, true)?;
    Ok(Reserved { address, socket })
}

/// What is beneath the drivers of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Io {
    /// epoll, which is always there.
    Epoll,
    /// io_uring, or no start.
    Uring,
    /// io_uring where it is allowed, else epoll.
    Auto,
}

/// What `maru probe-io` does: ends well where io_uring can be used.
///
/// # Errors
/// What is missing.
pub fn probe_io() -> Result<ExitCode, Box<dyn Error>> {
    uring::probe::probe()?;
    Ok(ExitCode::SUCCESS)
}

/// Looks whether what the operator wants can be had.
///
/// # Errors
/// io_uring is wanted and nothing else, and cannot be used.
pub fn choose(io: Io) -> Result<Io, NoRing> {
    if io == Io::Epoll {
        return Ok(io);
    }
    match (uring::probe::probe_safely(), io) {
        (Err(why), Io::Uring) => Err(why),
        (Err(why), _) => {
            tracing::warn!(%why, "sockets go by epoll");
            Ok(Io::Epoll)
        }
        (Ok(()), _) => {
            tracing::info!("sockets go by io_uring");
            Ok(io)
        }
    }
}

/// What a driver is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which shard this is.
    pub shard: ShardId,
    /// Where users live.
    pub placement: Placement,
    /// The keys of valid tokens.
    pub keys: Arc<[Key]>,
    /// TLS of WebSockets; `None`: they are plain.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// What the operator set.
    pub limits: Limits,
    /// Who may come in.
    pub door: Arc<Door>,
}

/// Who may come in at the chat port, and who says for whom.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Door {
    /// Which hosts and pages may upgrade.
    pub rules: WebRules,
    /// Proxies that have to say who connects, by the PROXY protocol; none when it is off.
    pub proxies: api::Networks,
}

/// What a driver tells.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are inputs, which move on at once: a box would cost each of them an allocation"
)]
pub enum Told {
    /// For this shard's core.
    Input(Input),
    /// The user's home is another shard: the connection has left this driver and must be handed over.
    Away {
        /// Whose.
        home: ShardId,
        /// Everything of it.
        parcel: Box<Parcel>,
    },
}

/// Counters for the operator; all rise for ever except those named `_now`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Accepts that failed, mostly for want of descriptors.
    pub accept_errors: u64,
    /// Connections closed at once because the table was full.
    pub refused_full: u64,
    /// Unauthenticated connections closed to make room for newer ones.
    pub evicted: u64,
    /// Unauthenticated connections closed because their time or bytes were over.
    pub hello_timeouts: u64,
    /// HTTP requests answered with anything but an upgrade.
    pub upgrades_refused: u64,
    /// Connections of trusted proxies that did not say for whom they come.
    pub unannounced: u64,
    /// Connections that said a valid Hello here.
    pub hellos: u64,
    /// Connections given to another shard.
    pub handed_over: u64,
    /// Connections taken from another shard.
    pub taken_over: u64,
    /// TLS handshakes of WebSockets that were completed.
    pub tls_handshakes: u64,
    /// WebSockets whose TLS ended by a fault: of the handshake, or of a record.
    pub tls_faults: u64,
    /// Connections closed for a fault of the peer that the edge found: framing, WebSocket, Hello.
    pub peer_faults: u64,
    /// Frames that the edge refused: before Hello, Hello itself, Reauth.
    pub rejects: Rejects,
    /// Connections that we closed, by the code of the first close frame that was ours, whoever wanted it: core, edge or,
    /// with Normal, the peer.
    pub closes: Closes,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Read syscalls.
    pub reads: u64,
    /// Write syscalls.
    pub writes: u64,
    /// Turns in which not everybody was looked at who had something: the rest came in the next.
    pub turns_cut: u64,
    /// Connections closed because they stood still in the middle of a message while others waited for its memory.
    pub halves_stalled: u64,
    /// Bytes of messages that have come in part.
    pub half_bytes_now: u64,
    /// Connections now.
    pub connections_now: u64,
    /// Of them without a valid Hello.
    pub unauthenticated_now: u64,
    /// What QUIC has of all this, and what only QUIC has.
    pub quic: edge::quic::Counters,
    /// What only io_uring has.
    pub ring: Ring,
}

/// Counters of an io_uring; all are 0 over epoll.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ring {
    /// Whether there is one: 1.
    pub rings_now: u64,
    /// System calls that submitted, waited or both.
    pub enters: u64,
    /// Operations submitted.
    pub submissions: u64,
    /// Completions taken.
    pub completions: u64,
    /// Times that the queue of completions was full and the kernel kept some back.
    pub overflows: u64,
    /// Receives that ended because no buffer was free; their connections are read by system calls for a while.
    pub buffers_short: u64,
    /// Connections with a receive armed.
    pub receiving_now: u64,
    /// Receive buffers whose bytes were not read yet.
    pub held_now: u64,
}

/// The syscalls of one shard. A connection that does not exist any more is silently none of its business.
pub trait Driver {
    /// What wakes [`Self::poll`] from another thread.
    ///
    /// # Errors
    /// Of the kernel.
    fn bell(&self) -> io::Result<Bell>;

    /// Starts accepting. Every shard listens on the same address (SO_REUSEPORT). Returns the address, whose port the
    /// kernel chose if it was 0.
    ///
    /// # Errors
    /// Of the kernel.
    fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr>;

    /// Accepts no more, and closes those who have not said Hello.
    fn stop_listening(&mut self, now: Now, told: &mut Vec<Told>);

    /// Waits until something happens, the bell rings or `timeout` is over (`None`: no end), then does what is due:
    /// accepts, reads (a bounded amount per connection), deadlines.
    ///
    /// # Errors
    /// Of the kernel, when waiting itself is impossible.
    fn poll(
        &mut self,
        timeout: Option<Duration>,
        clock: &mut dyn FnMut() -> Now,
        told: &mut Vec<Told>,
    ) -> io::Result<()>;

    /// Verifies tokens with these keys from now on.
    fn take_keys(&mut self, keys: Arc<[Key]>);

    /// Takes a connection from another shard. Its Hello is the first input.
    fn take_over(&mut self, now: Now, parcel: Parcel, told: &mut Vec<Told>);

    /// Queues whole frames for the next flush.
    fn transmit(&mut self, conn: ConnId, frames: Bytes);

    /// Ends a connection once what is queued is written. [`Input::Closed`] is told when nothing more can come from it or
    /// reach it, which over QUIC is before the close code has left: [`Self::is_idle`] says when all have.
    fn close(&mut self, now: Now, conn: ConnId, code: CloseCode, told: &mut Vec<Told>);

    /// Reads no more from a connection.
    fn pause(&mut self, conn: ConnId);

    /// Reads again.
    fn resume(&mut self, now: Now, conn: ConnId, told: &mut Vec<Told>);

    /// Writes each touched connection.
    fn flush(&mut self, now: Now, told: &mut Vec<Told>);

    /// When [`Self::poll`] must return though nothing happens, in milliseconds of [`Now::tick`]. 0 for at once.
    fn next_deadline(&mut self) -> Option<u64>;

    /// Whether nobody is connected any more, but for QUIC connections that were sent all of their end.
    fn is_idle(&self) -> bool;

    /// Counters for the operator.
    fn counters(&self) -> Counters;
}
