//! Every bound of the edge that is not a bound of the wire.

use protocol::limits::{UNAUTHENTICATED_BYTES_MAX, WS_MESSAGE_BYTES_MAX, WS_MESSAGE_FRAMES_MAX};

/// Bytes of the HTTP request; more is answered 431.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header lines of the HTTP request; more is answered 431.
pub const HEADERS_MAX: usize = 64;
/// Bytes of pongs that may wait; a ping above it is not answered, as RFC 6455 section 5.5.3 allows.
pub const PONG_BYTES_MAX: usize = 1024;
/// Refused Reauth and Hello frames in a row before the connection is closed.
pub const FAULTS_MAX: u8 = 32;
/// Queued bytes from one call that are taken as they are; longer ones are looked through for the bounds of a message.
pub const UNCHECKED_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(HEAD_BYTES_MAX < UNAUTHENTICATED_BYTES_MAX);
const _: () = assert!(UNCHECKED_BYTES_MAX <= WS_MESSAGE_FRAMES_MAX * protocol::limits::HEADER_BYTES);
const _: () = assert!(UNCHECKED_BYTES_MAX <= WS_MESSAGE_BYTES_MAX);
