//! How Maru's devices speak QUIC: the certificate that they know, the windows they allow, the id they begin with.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionId, TransportConfig, VarInt};

use crate::dial::entropy;
use crate::trust::pinned;

/// What client and server call the protocol (docs/protocol.md, section 14).
const ALPN: &[u8] = b"maru/1";
/// Pages that may be on the way at once.
pub(super) const PAGES_MAX: u32 = 16;
/// Bytes of one stream that may be on the way.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Bytes of all streams that may be on the way: a large page never holds up the control stream.
const WINDOW: u32 = 4 * STREAM_WINDOW;
/// A connection that says nothing is tried this often. TCP tells at once that a server was killed; QUIC tells who asks.
const ALIVE: Duration = Duration::from_secs(10);

/// What a device's connections are made with, for a server whose certificate has this SHA-256. The first connection
/// id is random; see [`first_id`].
///
/// # Errors
/// The TLS library refuses its own defaults.
pub fn settings(fingerprint: [u8; 32]) -> Result<ClientConfig, rustls::Error> {
    let tls = pinned(fingerprint, ALPN)?;
    let crypto =
        QuicClientConfig::try_from(tls).map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.initial_dst_cid_provider(Arc::new(|| first_id(None)));
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    transport.max_concurrent_uni_streams(VarInt::from_u32(PAGES_MAX));
    transport.stream_receive_window(VarInt::from_u32(STREAM_WINDOW));
    transport.receive_window(VarInt::from_u32(WINDOW));
    transport.keep_alive_interval(Some(ALIVE));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// The destination of a connection's very first packet: random, but for the first byte, which leads it to the shard
/// where the user lives, if that is known.
#[must_use]
pub fn first_id(shard: Option<u16>) -> ConnectionId {
    let mut id: [u8; 8] = entropy();
    if let (Some(first), Some(Ok(shard))) = (id.first_mut(), shard.map(u8::try_from)) {
        *first = shard;
    }
    ConnectionId::new(&id)
}
