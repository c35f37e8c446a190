//! What an endpoint is made of, and how quinn-proto is told: few streams, small windows, nothing that an idle connection
//! pays for.

use core::time::Duration;
use std::sync::Arc;

use protocol::ShardId;
use quinn_proto::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use ring::{hkdf, hmac};

use super::clock::{At, Wall};
use super::crypto::Crypto;
use super::ids::Ids;
use crate::limits::{QUIC_CRYPTO_BYTES_MAX, QUIC_RECEIVE_WINDOW, QUIC_RESET_INTERVAL_US, QUIC_SEND_WINDOW};

/// What client and server call the protocol in the TLS handshake (RFC 7301).
pub const ALPN: &[u8] = b"maru/1";
/// A Retry token is good for so long.
const RETRY_LIFETIME: Duration = Duration::from_secs(15);

/// What an endpoint is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Stands in the first byte of every connection id; below 256.
    pub shard: ShardId,
    /// From [`crate::tls::config`], for [`ALPN`]; shared by all shards.
    pub tls: Arc<rustls::ServerConfig>,
    /// Fresh random bytes for this endpoint.
    pub seed: [u8; 32],
    /// Kept over restarts and shared by all shards: a connection that an earlier process held is reset at once
    /// (RFC 9000 section 10.3), and a Retry token that one shard made is good at another.
    pub secret: [u8; 32],
    /// Silence after which a connection is dropped without words, milliseconds. Above the core's own bound, which ends
    /// a silent session with a close code.
    pub idle_ms: u32,
    /// Time to say Hello, milliseconds.
    pub hello_ms: u64,
    /// Open connections; one more is refused.
    pub connections_max: usize,
    /// Of them without Hello: above it the oldest is closed.
    pub unauthenticated_max: usize,
    /// Of them without Hello: from so many on a client must show that its address is its own (Retry).
    pub retry_above: usize,
    /// Bytes of frames that came in part, of all connections and of the other carrier together.
    pub half_bytes_max: usize,
    /// The driver's clock now.
    pub at: At,
    /// The same in milliseconds.
    pub now_ms: u64,
}

impl Settings {
    pub(super) fn endpoint(&self) -> EndpointConfig {
        let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &self.secret)));
        let (shard, seed) = (self.shard, self.seed);
        config.cid_generator(move || Box::new(Ids::new(shard, &seed)));
        config.rng_seed(Some(self.seed));
        // Drafts of QUIC are no business of ours.
        config.supported_versions(vec![1]);
        config.min_reset_interval(Duration::from_micros(QUIC_RESET_INTERVAL_US));
        config
    }

    /// `None` when the TLS configuration lacks what QUIC needs, which [`crate::tls::config`] never makes.
    pub(super) fn server(&self, wall: &Arc<Wall>) -> Option<ServerConfig> {
        let crypto = Crypto::new(self.tls.clone())?;
        let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, b"maru retry").extract(&self.secret);
        let mut config = ServerConfig::new(Arc::new(crypto), Arc::new(token_key));
        config.transport_config(Arc::new(self.transport()));
        config.retry_token_lifetime(RETRY_LIFETIME);
        config.time_source(wall.clone());
        // An attempt is taken or refused in the step that brings it; nothing is kept for it.
        config.max_incoming(1);
        config.incoming_buffer_size(0);
        config.incoming_buffer_size_total(0);
        Some(config)
    }

    fn transport(&self) -> TransportConfig {
        let mut config = TransportConfig::default();
        config.max_concurrent_bidi_streams(VarInt::from_u32(1));
        config.max_concurrent_uni_streams(VarInt::from_u32(0));
        config.max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(self.idle_ms))));
        config.stream_receive_window(VarInt::from_u32(QUIC_RECEIVE_WINDOW));
        config.receive_window(VarInt::from_u32(QUIC_RECEIVE_WINDOW));
        config.send_window(QUIC_SEND_WINDOW as u64);
        config.crypto_buffer_size(QUIC_CRYPTO_BYTES_MAX);
        // Frames are small: probing for larger datagrams costs state and packets, and gains nothing for most.
        config.mtu_discovery_config(None);
        config.datagram_receive_buffer_size(None);
        config.datagram_send_buffer_size(0);
        config.allow_spin(false);
        config
    }
}
