//! Frames over QUIC (RFC 9000), pure: datagrams in, datagrams out, deadlines. quinn-proto is the protocol; this is what
//! Maru makes of it.
//!
//! One [`Endpoint`] a shard. The device opens one bidirectional stream, the **control stream**: frames back to back in
//! both directions, Hello first. Each page of history leaves on a unidirectional stream of its own, so that it never
//! stands before live messages; a device that allows no such stream gets it on the control stream. A close code is the
//! application error code of CONNECTION_CLOSE.
//!
//! # Calling contract
//!
//! 1. Datagrams go into [`Endpoint::on_datagram`], due deadlines into [`Endpoint::on_deadline`]; what devices say comes
//!    out of the sink. A connection that is paused is not read: flow control holds the device. Nor is one that holds a
//!    frame which came in part while all of them together, and what [`Endpoint::set_other_halves`] told of the other
//!    carrier, are above the bound.
//! 2. What is to be sent goes into [`Endpoint::transmit`] and [`Endpoint::close`].
//! 3. Once a turn [`Endpoint::poll_transmit`] until it has nothing: everything of the turn leaves in as few datagrams as
//!    it fits into, acknowledgements with it.
//! 4. Sleep no longer than [`Endpoint::next_deadline`].

mod clock;
mod crypto;
mod endpoint;
mod ids;
mod out;
mod peer;
mod settings;

pub use clock::At;
pub use endpoint::Endpoint;
pub use quinn_proto::{EcnCodepoint, Transmit};
pub use settings::{ALPN, Settings};

use core::net::{IpAddr, SocketAddr};

use protocol::Closes;

use crate::Event;

/// An endpoint's name for a connection: a place (low 32 bits) and how often it was taken before (24 bits above), so that
/// it is never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(pub u64);

/// What an endpoint tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A connection said something.
    Event(Event),
    /// Bytes of a connection that wait, after [`Endpoint::poll_transmit`] had nothing more. Told when there are any and
    /// when that changes. Frames that the peer was sent and did not acknowledge count from the moment when no more of
    /// them fit ([`QUIC_SEND_WINDOW`](crate::limits::QUIC_SEND_WINDOW)), pages until they have arrived.
    Queued(usize),
    /// Bytes were sent to a connection, and no fewer wait than was told: it is slow, and not stalled.
    Took,
    /// The connection is read no further until there is room for the rest of a frame (false), or it is read again (true).
    Reads(bool),
    /// A connection that had said Hello is gone, whoever ended it.
    Closed,
}

/// Takes what an endpoint tells.
pub type Sink<'a> = dyn FnMut(Key, Told) + 'a;

/// Where a datagram came from and how.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// The sender.
    pub remote: SocketAddr,
    /// Our address that it was sent to, if the kernel says.
    pub local: Option<IpAddr>,
    /// Its congestion mark.
    pub ecn: Option<EcnCodepoint>,
}

/// Counters for the operator; all rise for ever except those named `_now`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Datagrams that came.
    pub datagrams: u64,
    /// Of them, those of no connection that were not worth an answer: garbage, or resets that were too many.
    pub dropped: u64,
    /// Answers to versions that we do not speak (RFC 9000 section 6).
    pub versions_refused: u64,
    /// Connections of an earlier process, or of nobody, that were reset (RFC 9000 section 10.3).
    pub resets: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Of them, those whose handshake was completed.
    pub handshakes: u64,
    /// Connections refused because the endpoint was full, or stops.
    pub refused_full: u64,
    /// Clients that were asked to show their address first, because many others had not said Hello.
    pub retries: u64,
    /// Connections without Hello that were closed to make room for newer ones.
    pub evicted: u64,
    /// Connections that did not say Hello within their time or bytes.
    pub hello_timeouts: u64,
    /// Connections that said a valid Hello.
    pub hellos: u64,
    /// Connections closed for a fault of the peer that the edge found.
    pub peer_faults: u64,
    /// Connections that we closed, by code, whoever wanted it: core, edge or, with Normal, the peer.
    pub closes: Closes,
    /// Connections closed because they stood still in the middle of a frame while others waited for its memory.
    pub halves_stalled: u64,
    /// Pages of history that left on a stream of their own.
    pub page_streams: u64,
    /// Connections now.
    pub connections_now: u64,
    /// Of them without a valid Hello.
    pub unauthenticated_now: u64,
}

// Its clients are quinn-proto's, which want a clock to begin with.
#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
