//! Every bound of the edge that is not a bound of the wire.

use protocol::limits::{UNAUTHENTICATED_BYTES_MAX, WS_MESSAGE_BYTES_MAX, WS_MESSAGE_FRAMES_MAX};

/// Bytes of the HTTP request; more is answered 431.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Bytes of the header that a trusted proxy writes first; a longer one ends the connection. The addresses take 52, and
/// what proxies say beside them (a TLS name, a cloud's endpoint) some hundreds.
pub const PREAMBLE_BYTES_MAX: usize = 2048;
/// Header lines of the HTTP request; more is answered 431.
pub const HEADERS_MAX: usize = 64;
/// Bytes of pongs that may wait; a ping above it is not answered, as RFC 6455 section 5.5.3 allows.
pub const PONG_BYTES_MAX: usize = 1024;
/// Control frames and empty fragments of a WebSocket in one second of the server's clock; one more closes it. A device
/// that pings once a second stays below it even when everything it said in the longest silence that the server bears
/// (two and a half heartbeats) comes at once.
pub const CONTROL_FRAMES_MAX: u8 = 128;
/// Refused Reauth and Hello frames in a row before the connection is closed.
pub const FAULTS_MAX: u8 = 32;
/// Queued bytes from one call that are taken as they are; longer ones are looked through for the bounds of a message.
pub const UNCHECKED_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a peer's control stream that may be on the way, and of its whole connection: QUIC's receive windows.
pub const QUIC_RECEIVE_WINDOW: u32 = 64 * 1024;
/// Bytes of frames that may be on the way to a peer and not acknowledged. They are not in what the core is told to be
/// waiting until it is full, as what a kernel holds of a TCP connection is not.
pub const QUIC_SEND_WINDOW: usize = 256 * 1024;
/// Bytes of history pages that are on the way beside them; what is above waits. One page always goes, whatever its size.
pub const QUIC_PAGE_BYTES_MAX: usize = 512 * 1024;
/// History pages of a connection that are written at once.
pub const QUIC_PAGE_STREAMS_MAX: usize = 16;
/// Bytes of out-of-order TLS handshake that a QUIC connection keeps.
pub const QUIC_CRYPTO_BYTES_MAX: usize = 16 * 1024;
/// Stateless answers (Retry, version negotiation, reset, refusal) that wait to be sent; one more is not made.
pub const QUIC_RESPONSES_MAX: usize = 1024;
/// Time between two stateless resets of a shard, microseconds: each costs its cause more bytes than it has, and after a
/// restart all clients are to hear soon that they must connect again.
pub const QUIC_RESET_INTERVAL_US: u64 = 500;
/// Bytes of a server's connection id: the shard and seven random ones.
pub const QUIC_ID_BYTES: usize = 8;
/// Bytes of messages that came in part over a shard's WebSockets and QUIC connections together, unless set otherwise.
/// Above it, connections that hold none are still served, [`READ_BYTES_FULL`] at a time: so much more each of them can
/// come to hold.
pub const HALF_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one read while there is no room for half messages.
pub const READ_BYTES_FULL: usize = 1024;
/// Whoever holds a half message and sends less than [`HALF_PROGRESS_BYTES`] in so long is closed, if others wait.
pub const HALF_STALLED_MS: u64 = 10_000;
/// What counts as going on.
pub const HALF_PROGRESS_BYTES: usize = 16 * 1024;
/// Bytes of answers kept for a device that polls which do not count as waiting while it waits for the next.
pub const KEPT_BYTES_FREE: usize = 64 * 1024;
/// How often a request of a device that polls may come again before its session ends: each may be answered with a page.
pub const POLL_REPEATS_MAX: u8 = 32;
/// Text that is encrypted for one write of a TLS connection. Records that the kernel does not take stay with the connection; all
/// else waits as the frames that it shares with others.
pub const SEAL_BYTES: usize = 32 * 1024;

const _: () = assert!(HALF_BYTES_MAX >= 16 * WS_MESSAGE_BYTES_MAX);
const _: () = assert!(QUIC_PAGE_BYTES_MAX >= protocol::limits::PAGE_BYTES_MAX);
const _: () = assert!(UNAUTHENTICATED_BYTES_MAX / protocol::limits::HEADER_BYTES < WS_MESSAGE_FRAMES_MAX);
const _: () = assert!(HEAD_BYTES_MAX < UNAUTHENTICATED_BYTES_MAX);
const _: () = assert!(PREAMBLE_BYTES_MAX < UNAUTHENTICATED_BYTES_MAX);
const _: () = assert!(UNCHECKED_BYTES_MAX <= WS_MESSAGE_FRAMES_MAX * protocol::limits::HEADER_BYTES);
const _: () = assert!(UNCHECKED_BYTES_MAX <= WS_MESSAGE_BYTES_MAX);
