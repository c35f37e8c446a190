//! The client side of Maru.
//!
//! - [`session`]: one device as a pure state machine: cursor, catch up before resend, dedup, reconnect. It needs
//!   nothing but `protocol`; with `default-features = false` it is all there is.
//! - `account` (feature `dial`): sign-up, login and names, over HTTP.
//! - `operator` (feature `dial`): many users at once, for load tests.
//! - `dial` (feature `dial`): a session on a WebSocket, with tokio.
//! - `trust` (feature `dial`): whom a client takes for its server when it speaks TLS.
//! - `terminal` (feature `dial`): `maru chat`, for people and, as JSON lines, for programs.
//!
//! See `examples/hello.rs` for all of it in twenty lines.

pub mod session;

#[cfg(feature = "dial")]
pub mod account;
#[cfg(feature = "dial")]
pub mod dial;
#[cfg(feature = "dial")]
mod http;
#[cfg(feature = "dial")]
pub mod operator;
#[cfg(feature = "dial")]
mod stream;
#[cfg(feature = "dial")]
pub mod terminal;
#[cfg(feature = "dial")]
pub mod trust;

#[cfg(test)]
#[cfg(feature = "dial")]
mod fake;
