//! QUIC's socket: datagrams between the kernel and the pure endpoint, in batches (recvmmsg, GRO, GSO) and with ECN.

mod group;

pub use group::{Group, reserve};

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::UdpSocket as StdSocket;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use edge::quic::{EcnCodepoint, Endpoint, Key, Path, Settings, Sink, Told as Said, Transmit};
use edge::{Moment, Share};
use mio::net::UdpSocket;
use protocol::{CloseCode, Rejects};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use shard::{ConnId, Input};

use super::budget::Budget;
use super::{Setup, Told};
use crate::clock::Now;

/// Marks the connections of this driver's endpoint: its keys need 56 bits.
const QUIC: u64 = 1 << 56;
const _: () = assert!(QUIC << 1 == ConnId::END);

/// Buffers of one receive call; with GRO each may hold many datagrams.
const RECEIVES: usize = 8;
const RECEIVE_BYTES: usize = 64 * 1024;
/// Receive calls of one turn; the rest comes in the next, after everybody else.
const RECEIVES_PER_TURN: usize = 8;
/// Datagrams sent in one call, at most.
const SEGMENTS_MAX: usize = 32;
/// Wanted kernel buffers; a busy shard reads every few milliseconds. The kernel may grant less.
pub(crate) const SOCKET_BYTES: usize = 2 * 1024 * 1024;
/// From so many connections without Hello on, clients must show their address first.
const RETRY_ABOVE: usize = 256;

/// What a shard's QUIC is made of.
#[derive(Debug)]
pub struct Quic {
    /// Bound; its place in the steering group is the shard's number.
    pub socket: StdSocket,
    /// From [`edge::tls::config`], for QUIC's protocol.
    pub tls: Arc<rustls::ServerConfig>,
    /// Kept over restarts, the same for all shards.
    pub secret: [u8; 32],
    /// Fresh.
    pub seed: [u8; 32],
    /// Silence after which a connection is dropped.
    pub idle_ms: u32,
}

/// The socket and what speaks through it.
#[derive(Debug)]
pub(super) struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    endpoint: Endpoint,
    /// The kernel may hold datagrams that were not read.
    is_readable: bool,
    is_writable: bool,
    /// Polled, and not taken by the kernel.
    unsent: Option<Transmit>,
    outgoing: Vec<u8>,
    incoming: Box<[u8]>,
    /// Frames that the edge refused.
    pub(super) rejects: Rejects,
    pub(super) bytes_read: u64,
    pub(super) bytes_written: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
}

/// Whether a connection is QUIC's.
pub(crate) fn is_quic(conn: ConnId) -> bool {
    conn.0 & QUIC != 0
}

fn key(conn: ConnId) -> Key {
    Key(conn.0 & !QUIC)
}

/// What the endpoint says, as the core is to hear it.
fn sink<'a>(told: &'a mut Vec<Told>, rejects: &'a mut Rejects) -> impl FnMut(Key, Said) + 'a {
    move |key, said| {
        let conn = ConnId(key.0 | QUIC);
        told.push(Told::Input(match said {
            Said::Event(edge::Event::Hello(hello)) => Input::Hello { conn, hello },
            Said::Event(edge::Event::Reauth(reauth)) => Input::Reauth { conn, reauth },
            Said::Event(edge::Event::Refused(code)) => return rejects.add(code),
            Said::Event(edge::Event::Frame(frame)) => Input::Frame { conn, frame },
            Said::Queued(queued) => Input::Egress { conn, queued },
            Said::Took => Input::Took { conn },
            Said::Reads(is_read) => Input::Reads { conn, is_read },
            Said::Closed => Input::Closed { conn },
        }));
    }
}

impl Udp {
    pub(super) fn new(setup: &Setup, quic: Quic, now: Now) -> io::Result<Self> {
        let Quic { socket, tls, secret, seed, idle_ms } = quic;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BYTES);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), SOCKET_BYTES);
        let settings = Settings {
            shard: setup.shard,
            tls,
            seed,
            secret,
            idle_ms,
            hello_ms: setup.limits.hello_ms,
            connections_max: setup.limits.connections_max,
            unauthenticated_max: setup.limits.unauthenticated_max,
            retry_above: RETRY_ABOVE,
            half_bytes_max: setup.limits.half_bytes_max,
            at: now.at,
            now_ms: now.tick.0,
        };
        let endpoint = Endpoint::new(settings).ok_or_else(|| io::Error::other("TLS without QUIC"))?;
        Ok(Self {
            socket: UdpSocket::from_std(socket),
            state,
            endpoint,
            is_readable: true,
            is_writable: true,
            unsent: None,
            outgoing: Vec::new(),
            incoming: vec![0; RECEIVES * RECEIVE_BYTES].into_boxed_slice(),
            rejects: Rejects::default(),
            bytes_read: 0,
            bytes_written: 0,
            reads: 0,
            writes: 0,
        })
    }

    /// For whoever waits for it.
    pub(super) fn socket(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    pub(super) fn on_event(&mut self, is_readable: bool, is_writable: bool) {
        self.is_readable |= is_readable;
        self.is_writable |= is_writable;
    }

    /// Whether the kernel took everything so far.
    pub(super) fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Reads a share of what the kernel has. Says whether the share was over before the kernel had no more.
    pub(super) fn read(
        &mut self,
        moment: &Moment<'_>,
        now: Now,
        clock: &mut dyn FnMut() -> Now,
        told: &mut Vec<Told>,
    ) -> bool {
        let budget = Budget::new(clock().at, told.len(), self.bytes_read);
        for round in 0..RECEIVES_PER_TURN {
            if !self.is_readable {
                return false;
            }
            if round > 0 && (!budget.has_room(told.len(), self.bytes_read) || budget.is_late(clock().at)) {
                break;
            }
            let mut sink = sink(told, &mut self.rejects);
            let mut metas = [RecvMeta::default(); RECEIVES];
            let received = {
                let mut chunks = self.incoming.chunks_mut(RECEIVE_BYTES);
                let mut slices: [IoSliceMut<'_>; RECEIVES] =
                    std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
                self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas)
            };
            self.reads += 1;
            let count = match received {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_readable = false;
                    return false;
                }
                // An ICMP answer to something sent: it concerns one peer, whose own timers find out.
                Err(_) => continue,
            };
            for (meta, buffer) in metas.iter().zip(self.incoming.chunks(RECEIVE_BYTES)).take(count) {
                self.bytes_read += meta.len as u64;
                let ecn = meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8));
                let path = Path { remote: meta.addr, local: meta.dst_ip, ecn };
                let bytes = buffer.get(..meta.len).unwrap_or_default();
                for datagram in bytes.chunks(meta.stride.max(1)) {
                    self.endpoint.on_datagram(moment, now.at, path, BytesMut::from(datagram), &mut sink);
                }
            }
        }
        self.is_readable
    }

    pub(super) fn on_deadlines(&mut self, moment: &Moment<'_>, now: Now, told: &mut Vec<Told>) {
        self.endpoint.on_deadline(moment, now.at, &mut sink(told, &mut self.rejects));
    }

    /// Tells the endpoint what WebSockets hold of half messages, and gives what it holds.
    pub(super) fn share_halves(&mut self, other: Share) -> Share {
        self.endpoint.set_other_halves(other);
        self.endpoint.halves()
    }

    /// Bytes of frames that came in part.
    pub(super) fn half_bytes(&self) -> usize {
        self.endpoint.halves().bytes
    }

    pub(super) fn transmit(&mut self, conn: ConnId, frames: Bytes) {
        self.endpoint.transmit(key(conn), frames);
    }

    pub(super) fn close(
        &mut self,
        moment: &Moment<'_>,
        now: Now,
        conn: ConnId,
        code: CloseCode,
        told: &mut Vec<Told>,
    ) {
        self.endpoint.close(moment, now.at, key(conn), code, &mut sink(told, &mut self.rejects));
    }

    pub(super) fn pause(&mut self, conn: ConnId) {
        self.endpoint.pause(key(conn));
    }

    pub(super) fn resume(&mut self, moment: &Moment<'_>, now: Now, conn: ConnId, told: &mut Vec<Told>) {
        self.endpoint.resume(moment, now.at, key(conn), &mut sink(told, &mut self.rejects));
    }

    pub(super) fn stop(&mut self, moment: &Moment<'_>, now: Now, told: &mut Vec<Told>) {
        self.endpoint.stop_accepting(moment, now.at, &mut sink(told, &mut self.rejects));
    }

    /// Sends everything that quinn-proto wants sent, as far as the kernel takes it.
    pub(super) fn flush(&mut self, moment: &Moment<'_>, now: Now, told: &mut Vec<Told>) {
        let segments = self.state.max_gso_segments().clamp(1, SEGMENTS_MAX);
        let mut sink = sink(told, &mut self.rejects);
        while self.is_writable {
            let transmit = match self.unsent.take() {
                Some(transmit) => transmit,
                None => {
                    self.outgoing.clear();
                    let sink: &mut Sink<'_> = &mut sink;
                    let next =
                        self.endpoint.poll_transmit(moment, now.at, segments, &mut self.outgoing, sink);
                    let Some(transmit) = next else { return };
                    transmit
                }
            };
            let contents = self.outgoing.get(..transmit.size).unwrap_or_default();
            self.writes += 1;
            let outcome = self.state.try_send(
                UdpSockRef::from(&self.socket),
                &quinn_udp::Transmit {
                    destination: transmit.destination,
                    ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
                    contents,
                    segment_size: transmit.segment_size,
                    src_ip: transmit.src_ip,
                },
            );
            match outcome {
                Ok(()) => self.bytes_written += transmit.size as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_writable = false;
                    self.unsent = Some(transmit);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => self.unsent = Some(transmit),
                // The network does not take it (no route, too large): to QUIC it is a lost datagram.
                Err(_) => {}
            }
        }
    }

    /// When something is due, in milliseconds; 0 for at once.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        if self.is_readable { Some(0) } else { self.endpoint.next_deadline() }
    }

    /// Whether somebody has not been sent the end of its connection.
    pub(super) fn has_farewells(&self) -> bool {
        self.unsent.is_some() || self.endpoint.has_farewells()
    }

    pub(super) fn counters(&self) -> edge::quic::Counters {
        self.endpoint.counters()
    }
}
