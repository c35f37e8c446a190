//! Bytes <-> frames for one connection, pure: the header of a proxy, TLS, the HTTP request that upgrades it, WebSocket framing,
//! the splitting of
//! messages into frames, Hello and Reauth, and the egress queue.
//!
//! # Calling contract
//!
//! A [`Connection`] is a value; a driver owns the socket and the clock. Over TCP it holds a [`Carrier`] around it: the same, with
//! TLS below it or not.
//! 1. What was read goes into [`Connection::on_bytes`]; events come out of its sink. A sink that returns
//!    [`Flow::Hold`] has had enough: the rest is kept, moves with the value, and comes at [`Connection::resume`].
//! 2. What is to be sent goes into [`Connection::transmit`] or [`Connection::close`]. Nothing is written before
//!    [`Connection::poll_transmit`]; what the kernel took is told by [`Connection::advance`].
//! 3. After either, and at [`Connection::next_deadline`] (told by [`Connection::on_deadline`]), look at
//!    [`Connection::has_output`], [`Connection::is_written_out`] (no byte will follow: shut the sending side) and
//!    [`Connection::is_finished`] (close the socket).
//!
//! No socket, no clock, no thread, no async. Between messages a connection owns no heap memory; with TLS it owns its keys.

mod carrier;
mod connection;
mod egress;
#[cfg(test)]
mod fuzz;
mod halves;
mod http;
mod inbound;
pub mod limits;
pub mod poll;
mod preamble;
pub mod quic;
mod table;
pub mod tls;

pub use carrier::{Carrier, TlsNews};
pub use connection::Connection;
pub use egress::{SLICES_FEW, SLICES_MAX};
pub use halves::{Halves, Share};
pub use table::Table;

use protocol::hello::{Hello, Reauth};
use protocol::token::Key;
use protocol::web::WebRules;
use protocol::{Code, Frame};

/// What a call may look at besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The driver's monotonic clock in milliseconds; any zero.
    pub now_ms: u64,
    /// Milliseconds since the Unix epoch: for the end of tokens.
    pub wall_ms: u64,
    /// Milliseconds that a peer has to take what is queued and answer a close.
    pub close_ms: u64,
    /// The keys that are valid now.
    pub keys: &'a [Key],
    /// Which hosts and pages may upgrade.
    pub rules: &'a WebRules,
}

/// What came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The first frame, with a valid token. Once.
    Hello(Hello),
    /// A fresh valid token of the same user and device.
    Reauth(Reauth),
    /// A frame that the edge itself has refused, for whoever counts: the Reject is on its way already.
    Refused(Code),
    /// A whole unstamped frame after Hello, never Hello or Reauth; the body is not checked.
    Frame(Frame),
}

/// Whether a sink takes more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Go on.
    More,
    /// Keep the rest.
    Hold,
}
