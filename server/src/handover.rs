//! A connection moves home: accepted by any shard, it is told at Hello where its user lives, and everything of it (socket,
//! TLS, codec state, unread input, unsent output) goes there in one piece. The edge decodes nothing after Hello before that.

use std::net::TcpStream;

use edge::Carrier;
use protocol::hello::Hello;

/// Everything of one connection.
#[derive(Debug)]
pub struct Parcel {
    /// Non-blocking and registered nowhere.
    pub stream: TcpStream,
    /// TLS, codec state, unread input, unsent output.
    pub edge: Carrier,
    /// What was said and verified; the home steps it first.
    pub hello: Hello,
}
