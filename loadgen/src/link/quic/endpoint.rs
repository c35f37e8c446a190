//! What all QUIC connections of a worker share: quinn-proto's endpoint, which knows whose a datagram is, the settings
//! of Maru's own client, one clock, and the count of where connections landed.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use client::dial::quic::{first_id, settings};
use quinn_proto::{
    ClientConfig, Connection, ConnectionEvent, ConnectionHandle, DatagramEvent, EndpointConfig, EndpointEvent,
};
use quinn_udp::RecvMeta;
use serde::{Deserialize, Serialize};

use crate::clock::MS;
use crate::wire::Road;

/// The certificate is known by its fingerprint; its name says nothing.
const NAME: &str = "localhost";

/// Connections by where they were served.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Landings {
    /// By the shard where their user lives.
    pub(crate) home: u64,
    /// By another.
    pub(crate) elsewhere: u64,
}

/// One for all sockets: connection ids tell connections apart.
pub(crate) struct Endpoint {
    proto: quinn_proto::Endpoint,
    config: ClientConfig,
    has_hint: bool,
    /// The same moment on both clocks.
    zero: (Instant, u64),
    /// Room for datagrams that is not in use.
    buffer: Vec<u8>,
    /// For answers to datagrams that are nobody's; none is sent.
    answer: Vec<u8>,
    landings: Landings,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("landings", &self.landings).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// # Errors
    /// Words of the TLS library.
    pub(in crate::link) fn new(fingerprint: [u8; 32], has_hint: bool, now: u64) -> Result<Self, String> {
        Ok(Self {
            proto: quinn_proto::Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None),
            config: settings(fingerprint).map_err(|error| format!("QUIC: {error}"))?,
            has_hint,
            zero: (Instant::now(), now),
            buffer: Vec::new(),
            answer: Vec::new(),
            landings: Landings::default(),
        })
    }

    pub(in crate::link) fn landings(&self) -> Landings {
        self.landings
    }

    pub(super) fn at(&self, now: u64) -> Instant {
        self.zero.0 + Duration::from_nanos(now.saturating_sub(self.zero.1))
    }

    /// In milliseconds, rounded up: who waits so long does not come too early.
    pub(super) fn ms(&self, at: Instant) -> u64 {
        let since = u64::try_from(at.saturating_duration_since(self.zero.0).as_nanos()).unwrap_or(u64::MAX);
        self.zero.1.saturating_add(since).div_ceil(MS)
    }

    pub(super) fn connect(&mut self, road: Road, now: u64) -> io::Result<(ConnectionHandle, Connection)> {
        let mut config = self.config.clone();
        if self.has_hint {
            config.initial_dst_cid_provider(Arc::new(move || first_id(Some(road.shard))));
        }
        self.proto.connect(self.at(now), config, road.address, NAME).map_err(io::Error::other)
    }

    /// Whose a datagram is, and what it says to that connection.
    pub(super) fn take(
        &mut self,
        meta: &RecvMeta,
        datagram: &[u8],
        now: u64,
    ) -> Option<(ConnectionHandle, ConnectionEvent)> {
        let ecn = meta.ecn.and_then(|ecn| quinn_proto::EcnCodepoint::from_bits(ecn as u8));
        self.answer.clear();
        let at = self.at(now);
        match self.proto.handle(at, meta.addr, meta.dst_ip, ecn, BytesMut::from(datagram), &mut self.answer) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => Some((handle, event)),
            _ => None,
        }
    }

    /// Lets a connection and its endpoint tell each other news. False when there was none.
    pub(super) fn exchange(&mut self, handle: ConnectionHandle, proto: &mut Connection) -> bool {
        let mut has_news = false;
        while let Some(event) = proto.poll_endpoint_events() {
            // It is forgotten in one place only.
            if event.is_drained() {
                continue;
            }
            has_news = true;
            if let Some(event) = self.proto.handle_event(handle, event) {
                proto.handle_event(event);
            }
        }
        has_news
    }

    pub(super) fn forget(&mut self, handle: ConnectionHandle) {
        self.proto.handle_event(handle, EndpointEvent::drained());
    }

    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.buffer = buffer;
    }

    /// Counts where a connection is served, if this datagram says it.
    pub(super) fn note_landing(&mut self, datagram: &[u8], road: Road) -> bool {
        let Some(shard) = served_by(datagram) else { return false };
        if u16::from(shard) == road.shard {
            self.landings.home += 1;
        } else {
            self.landings.elsewhere += 1;
        }
        true
    }
}

/// Every connection id that a server gives begins with its shard. A long header shows it (RFC 9000 section 17.2).
fn served_by(datagram: &[u8]) -> Option<u8> {
    let (first, rest) = datagram.split_first()?;
    let (version, rest) = rest.split_at_checked(4)?;
    let (to_bytes, rest) = rest.split_first()?;
    let (from_bytes, from) = rest.get(usize::from(*to_bytes)..)?.split_first()?;
    let is_long = first & 0x80 != 0 && version != [0; 4];
    from.first().copied().filter(|_| is_long && *from_bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::served_by;

    #[test]
    fn a_long_header_says_the_shard_and_nothing_else_does() {
        let long = [0xC0, 0, 0, 0, 1, 2, 9, 9, 3, 7, 8, 8];
        assert_eq!(served_by(&long), Some(7));
        for end in 0..10 {
            assert_eq!(served_by(&long[..end]), None);
        }
        let mut short = long;
        short[0] = 0x40;
        let mut negotiation = long;
        negotiation[4] = 0;
        assert_eq!((served_by(&short), served_by(&negotiation)), (None, None));
    }
}
