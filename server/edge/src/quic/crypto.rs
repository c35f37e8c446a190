//! TLS as quinn-proto wants it, like its own [`QuicServerConfig`] but for one thing: once the handshake is over, nothing
//! of it stays. Later keys follow from two secrets (RFC 9001 section 6); certificates of devices, tickets and
//! early data, which would need more, are not for Maru. It saves a fifth of what an idle connection costs.

use core::any::Any;
use std::sync::Arc;

use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::quic::{KeyChange, Secrets, ServerConnection, Suite, Version};
use rustls::{AlertDescription, CipherSuite};

/// Makes a session for each connection.
pub(super) struct Crypto {
    tls: Arc<rustls::ServerConfig>,
    /// Of the first packets and of Retry, which need no session.
    outer: QuicServerConfig,
    suite: Suite,
}

impl Crypto {
    /// `None` when the TLS configuration lacks what QUIC needs.
    pub(super) fn new(tls: Arc<rustls::ServerConfig>) -> Option<Self> {
        let suite = tls.crypto_provider().cipher_suites.iter().find_map(|suite| {
            let is_initial = suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256;
            suite.tls13().filter(|_| is_initial)?.quic_suite()
        })?;
        let outer = QuicServerConfig::with_initial(tls.clone(), suite).ok()?;
        Some(Self { tls, outer, suite })
    }
}

impl ServerConfig for Crypto {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.outer.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.outer.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, _version: u32, params: &TransportParameters) -> Box<dyn Session> {
        let mut bytes = Vec::new();
        params.write(&mut bytes);
        // It fails for configurations without TLS 1.3 only; who has no handshake gets no further.
        let handshake = ServerConnection::new(self.tls.clone(), Version::V1, bytes).ok().map(Box::new);
        Box::new(Tls { handshake, has_told: false, next: None, suite: self.suite })
    }
}

/// The TLS of one connection.
struct Tls {
    /// Until it is over.
    handshake: Option<Box<ServerConnection>>,
    /// The data of the handshake were told to be there.
    has_told: bool,
    /// What the keys after the current ones are made of.
    next: Option<Secrets>,
    suite: Suite,
}

impl Session for Tls {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        let side = if side.is_client() { rustls::Side::Client } else { rustls::Side::Server };
        keys(self.suite.keys(dst_cid, side, Version::V1))
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.handshake.as_ref().is_some_and(|handshake| handshake.is_handshaking())
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        let Some(handshake) = &mut self.handshake else {
            // A device has nothing to say behind its Finished (RFC 9001 section 6, RFC 8446 section 4.6).
            return Err(fault(AlertDescription::UnexpectedMessage, "nothing comes after the handshake"));
        };
        if let Err(error) = handshake.read_hs(buf) {
            let alert = handshake.alert().unwrap_or(AlertDescription::InternalError);
            return Err(fault(alert, &error.to_string()));
        }
        let is_news = !self.has_told && handshake.alpn_protocol().is_some();
        self.has_told |= is_news;
        Ok(is_news)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let bytes = self.handshake.as_ref().and_then(|handshake| handshake.quic_transport_parameters());
        let Some(mut bytes) = bytes else { return Ok(None) };
        Ok(Some(TransportParameters::read(Side::Server, &mut bytes)?))
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let handshake = self.handshake.as_mut()?;
        let before = buf.len();
        match handshake.write_hs(buf) {
            Some(KeyChange::Handshake { keys: next }) => Some(keys(next)),
            Some(KeyChange::OneRtt { keys: next, next: secrets }) => {
                self.next = Some(secrets);
                Some(keys(next))
            }
            None => {
                if !handshake.is_handshaking() && buf.len() == before {
                    self.handshake = None;
                }
                None
            }
        }
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let next = self.next.as_mut()?.next_packet_keys();
        Some(KeyPair { local: Box::new(next.local), remote: Box::new(next.remote) })
    }

    /// Only clients get a Retry.
    fn is_valid_retry(&self, _orig_dst_cid: &ConnectionId, _header: &[u8], _payload: &[u8]) -> bool {
        false
    }

    fn export_keying_material(
        &self,
        _output: &mut [u8],
        _label: &[u8],
        _context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

fn keys(keys: rustls::quic::Keys) -> Keys {
    Keys {
        header: KeyPair { local: Box::new(keys.local.header), remote: Box::new(keys.remote.header) },
        packet: KeyPair { local: Box::new(keys.local.packet), remote: Box::new(keys.remote.packet) },
    }
}

fn fault(alert: AlertDescription, words: &str) -> TransportError {
    TransportError { code: TransportErrorCode::crypto(alert.into()), frame: None, reason: words.to_owned() }
}
