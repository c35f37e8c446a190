//! One QUIC connection (docs/protocol.md, section 14) with a socket of its own, as every phone has one.

mod endpoint;

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use mio::net::UdpSocket;
use protocol::{CloseCode, Frame};
use quinn_proto::{
    Connection, ConnectionError, ConnectionHandle, Dir, Event, ReadError, StreamEvent, StreamId, Transmit,
    VarInt,
};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

pub(crate) use endpoint::{Endpoint, Landings};

use super::{Lost, Ports, broken, take_frames};
use crate::wire::Road;

/// Buffers of one receive call; with GRO each may hold many datagrams.
const RECEIVES: usize = 8;
/// Datagrams sent in one call, at most.
const SEGMENTS_MAX: usize = 32;
/// Bytes taken from a stream at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A connection.
#[derive(Debug)]
pub(crate) struct Quic {
    socket: UdpSocket,
    state: UdpSocketState,
    proto: Connection,
    handle: ConnectionHandle,
    road: Road,
    has_landed: bool,
    control: Option<StreamId>,
    /// A frame of the control stream that came in part.
    partial: BytesMut,
    /// Pages of history that are on their way, each on a stream.
    pages: Vec<(StreamId, BytesMut)>,
    /// What the control stream did not take yet.
    rest: Bytes,
    /// Datagrams that the kernel did not take yet.
    unsent: Option<(Transmit, Vec<u8>)>,
}

impl Quic {
    pub(super) fn dial(
        endpoint: &mut Endpoint,
        ports: &mut Ports,
        road: Road,
        source: Option<Ipv4Addr>,
        now: u64,
    ) -> io::Result<Self> {
        let Road { address, .. } = road;
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        match (address, source) {
            (SocketAddr::V4(_), Some(source)) => ports.bind(&socket, source)?,
            (SocketAddr::V4(_), None) => socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?,
            (SocketAddr::V6(_), _) => socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?,
        }
        // The kernel then tells when nobody is at home any more.
        socket.connect(&address.into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let (handle, proto) = endpoint.connect(road, now)?;
        Ok(Self {
            socket: UdpSocket::from_std(socket.into()),
            state,
            proto,
            handle,
            road,
            has_landed: false,
            control: None,
            partial: BytesMut::new(),
            pages: Vec::new(),
            rest: Bytes::new(),
            unsent: None,
        })
    }

    pub(super) fn socket_mut(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Reads what there is. `Ok(true)` when the control stream has just opened.
    pub(super) fn read(
        &mut self,
        endpoint: &mut Endpoint,
        buffer: &mut [u8],
        frames: &mut Vec<Frame>,
        now: u64,
    ) -> Result<bool, Lost> {
        let part = buffer.len() / RECEIVES;
        loop {
            let mut metas = [RecvMeta::default(); RECEIVES];
            let received = {
                let mut parts = buffer.chunks_mut(part);
                let mut slices: [IoSliceMut<'_>; RECEIVES] =
                    std::array::from_fn(|_| IoSliceMut::new(parts.next().unwrap_or_default()));
                self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas)
            };
            let count = match received {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(error)),
            };
            for (meta, part) in metas.iter().zip(buffer.chunks(part)).take(count) {
                let bytes = part.get(..meta.len).unwrap_or_default();
                for datagram in bytes.chunks(meta.stride.max(1)) {
                    self.take(endpoint, meta, datagram, now);
                }
            }
            // A short batch has emptied the socket; the kernel tells of what comes behind it.
            if count < RECEIVES {
                break;
            }
        }
        self.take_events(frames)
    }

    fn take(&mut self, endpoint: &mut Endpoint, meta: &RecvMeta, datagram: &[u8], now: u64) {
        if !self.has_landed {
            self.has_landed = endpoint.note_landing(datagram, self.road);
        }
        // A port may have had an owner before: what is not of this connection is dropped.
        if let Some((handle, event)) = endpoint.take(meta, datagram, now)
            && handle == self.handle
        {
            self.proto.handle_event(event);
        }
    }

    /// Takes what quinn-proto has to say, and reads its streams.
    fn take_events(&mut self, frames: &mut Vec<Frame>) -> Result<bool, Lost> {
        let mut has_opened = false;
        while let Some(event) = self.proto.poll() {
            match event {
                Event::Connected => {
                    self.control = self.proto.streams().open(Dir::Bi);
                    has_opened = self.control.is_some();
                }
                Event::ConnectionLost { reason } => return Err(lost(&reason)),
                Event::Stream(StreamEvent::Opened { dir: Dir::Uni }) => {
                    while let Some(id) = self.proto.streams().accept(Dir::Uni) {
                        self.pages.push((id, BytesMut::new()));
                        self.read_page(id, frames)?;
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) if self.control == Some(id) => {
                    // Its end comes before CONNECTION_CLOSE, which says why.
                    read_stream(&mut self.proto, id, &mut self.partial);
                    take_frames(&mut self.partial, frames)?;
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read_page(id, frames)?,
                _ => {}
            }
        }
        Ok(has_opened)
    }

    /// A page is told as a whole, so that nothing comes between its head and its messages.
    fn read_page(&mut self, id: StreamId, frames: &mut Vec<Frame>) -> Result<(), Lost> {
        let Some(place) = self.pages.iter().position(|(stream, _)| *stream == id) else { return Ok(()) };
        let Some((_, bytes)) = self.pages.get_mut(place) else { return Ok(()) };
        let standing = read_stream(&mut self.proto, id, bytes);
        if standing == Standing::Open {
            return Ok(());
        }
        let (_, mut bytes) = self.pages.swap_remove(place);
        if standing == Standing::Finished {
            take_frames(&mut bytes, frames)?;
            if !bytes.is_empty() {
                return Err(Lost::Broken("a page ended within a frame".into()));
            }
        }
        Ok(())
    }

    pub(super) fn deadline_ms(&mut self, endpoint: &Endpoint) -> Option<u64> {
        self.proto.poll_timeout().map(|at| endpoint.ms(at))
    }

    pub(super) fn on_deadline(
        &mut self,
        endpoint: &Endpoint,
        frames: &mut Vec<Frame>,
        now: u64,
    ) -> Result<bool, Lost> {
        let at = endpoint.at(now);
        if self.proto.poll_timeout().is_some_and(|due| due <= at) {
            self.proto.handle_timeout(at);
        }
        self.take_events(frames)
    }

    /// Fills the control stream as far as it takes, then sends everything that QUIC wants sent.
    pub(super) fn write(
        &mut self,
        endpoint: &mut Endpoint,
        now: u64,
        mut next: impl FnMut() -> Option<Frame>,
    ) -> Result<(), Lost> {
        if let Some(id) = self.control {
            while self.write_rest(id)
                && let Some(frame) = next()
            {
                self.rest = frame.into_bytes();
            }
        }
        self.transmit(endpoint, now)
    }

    /// True when there is nothing left of what was begun.
    fn write_rest(&mut self, id: StreamId) -> bool {
        // Blocked is told by staying; a stream that is gone takes its connection with it.
        if !self.rest.is_empty() {
            let _ = self.proto.send_stream(id).write_chunks(std::slice::from_mut(&mut self.rest));
        }
        self.rest.is_empty()
    }

    fn transmit(&mut self, endpoint: &mut Endpoint, now: u64) -> Result<(), Lost> {
        let at = endpoint.at(now);
        let segments = self.state.max_gso_segments().clamp(1, SEGMENTS_MAX);
        loop {
            let (transmit, bytes) = match self.unsent.take() {
                Some(unsent) => unsent,
                None => {
                    let mut bytes = endpoint.take_buffer();
                    let next = self.proto.poll_transmit(at, segments, &mut bytes);
                    let has_news = endpoint.exchange(self.handle, &mut self.proto);
                    match next {
                        Some(transmit) => (transmit, bytes),
                        None => {
                            endpoint.give_back(bytes);
                            if has_news {
                                continue;
                            }
                            return Ok(());
                        }
                    }
                }
            };
            match self.send(&transmit, &bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unsent = Some((transmit, bytes));
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Err(broken(error)),
                // What the network does not take is to QUIC a lost datagram.
                _ => endpoint.give_back(bytes),
            }
        }
    }

    fn send(&self, transmit: &Transmit, bytes: &[u8]) -> io::Result<()> {
        let contents = bytes.get(..transmit.size).unwrap_or_default();
        self.state.try_send(
            UdpSockRef::from(&self.socket),
            &quinn_udp::Transmit {
                destination: transmit.destination,
                ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
                contents,
                segment_size: transmit.segment_size,
                src_ip: None,
            },
        )
    }

    pub(super) fn end(mut self, endpoint: &mut Endpoint, is_cut: bool, now: u64) {
        if !is_cut {
            let code = VarInt::from_u32(CloseCode::Normal.number().into());
            self.proto.close(endpoint.at(now), code, Bytes::new());
            let _ = self.transmit(endpoint, now);
        }
        endpoint.forget(self.handle);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Open,
    Finished,
    Reset,
}

/// Appends what has come in order.
fn read_stream(proto: &mut Connection, id: StreamId, into: &mut BytesMut) -> Standing {
    let mut stream = proto.recv_stream(id);
    let Ok(mut chunks) = stream.read(true) else { return Standing::Reset };
    let standing = loop {
        match chunks.next(CHUNK_BYTES) {
            Ok(Some(chunk)) => into.extend_from_slice(&chunk.bytes),
            Ok(None) => break Standing::Finished,
            Err(ReadError::Blocked) => break Standing::Open,
            Err(ReadError::Reset(_)) => break Standing::Reset,
        }
    };
    // Whether there is credit to send is asked in `poll_transmit` anyway.
    let _ = chunks.finalize();
    standing
}

fn lost(reason: &ConnectionError) -> Lost {
    match reason {
        ConnectionError::ApplicationClosed(close) => {
            Lost::Closed(u16::try_from(close.error_code.into_inner()).ok())
        }
        other => Lost::Broken(other.to_string()),
    }
}
