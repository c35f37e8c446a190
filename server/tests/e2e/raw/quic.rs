//! QUIC on a blocking socket, driven only while a test waits for it: between two calls it acknowledges nothing.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint,
    EndpointConfig, Event, StreamId, TransportConfig, VarInt,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::node::{Node, PATIENCE};

/// How long a test waits for a datagram before it looks at the clock.
const TICK: Duration = Duration::from_millis(20);
/// Pages that may be on the way at once.
const PAGES: u32 = 16;

pub struct Quic {
    pub socket: UdpSocket,
    server: SocketAddr,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub connection: Connection,
    pub control: StreamId,
    pages: Vec<StreamId>,
    /// What came, on whatever stream, in order within each of them.
    pub received: Vec<(StreamId, Vec<u8>)>,
    /// Bytes that it may read yet; what is left in the streams holds the server by flow control.
    pub thirst: usize,
    /// Why it is over: the close code, if there is one.
    pub end: Option<Option<u16>>,
}

impl Quic {
    /// A connection whose handshake is done, on whatever shard chance has it.
    pub fn open(node: &Node) -> Self {
        Self::opened(node, None)
    }

    /// The same with so small a window, so that little fits between the two processes.
    pub fn narrow(node: &Node, window: u32) -> Self {
        Self::opened(node, Some(window))
    }

    fn opened(node: &Node, window: Option<u32>) -> Self {
        let server: SocketAddr = node.quic.parse().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let (handle, connection) =
            endpoint.connect(Instant::now(), config(node, window), server, "localhost").unwrap();
        let control = StreamId::new(quinn_proto::Side::Client, Dir::Bi, 0);
        let (pages, received) = (Vec::new(), vec![(control, Vec::new())]);
        let (thirst, end) = (usize::MAX, None);
        let mut quic =
            Self { socket, server, endpoint, handle, connection, control, pages, received, thirst, end };
        quic.until(|quic| !quic.connection.is_handshaking());
        assert_eq!(quic.connection.streams().open(Dir::Bi), Some(control));
        quic
    }

    /// The first datagram of a connection that goes no further.
    pub fn first_datagram(node: &Node) -> Vec<u8> {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let server = node.quic.parse().unwrap();
        let (_, mut connection) =
            endpoint.connect(Instant::now(), config(node, None), server, "localhost").unwrap();
        let mut datagram = Vec::new();
        let first = connection.poll_transmit(Instant::now(), 1, &mut datagram);
        assert!(first.is_some());
        datagram
    }

    /// Bytes on the control stream; returns when QUIC has taken all of them, or is over.
    pub fn send(&mut self, mut bytes: &[u8]) {
        self.until(|quic| {
            while !bytes.is_empty() {
                match quic.connection.send_stream(quic.control).write(bytes) {
                    Ok(written) => bytes = &bytes[written..],
                    Err(quinn_proto::WriteError::Blocked) => break,
                    Err(_) => return true,
                }
            }
            bytes.is_empty()
        });
        self.transmit();
    }

    /// Drives the connection until something holds or it is over.
    #[track_caller]
    pub fn until(&mut self, mut holds: impl FnMut(&mut Self) -> bool) {
        let since = Instant::now();
        while !holds(self) && self.end.is_none() {
            assert!(since.elapsed() < PATIENCE, "nothing came");
            self.turn();
        }
    }

    /// Sends what there is, takes what comes within a moment, does what is due.
    pub fn turn(&mut self) {
        self.transmit();
        self.socket.set_read_timeout(Some(TICK)).unwrap();
        let mut datagram = [0; 65536];
        loop {
            match self.socket.recv_from(&mut datagram) {
                Ok((len, from)) => self.take(from, &datagram[..len]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                // Nobody is at the other end any more.
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
            }
            // The rest of what the kernel has, without waiting for more.
            self.socket.set_nonblocking(true).unwrap();
        }
        self.socket.set_nonblocking(false).unwrap();
        if self.connection.poll_timeout().is_some_and(|due| due <= Instant::now()) {
            self.connection.handle_timeout(Instant::now());
        }
        self.take_events();
        self.transmit();
    }

    fn take(&mut self, from: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let event = self.endpoint.handle(now, from, None, None, BytesMut::from(datagram), &mut Vec::new());
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
        self.take_events();
    }

    fn take_events(&mut self) {
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
        while let Some(event) = self.connection.poll() {
            if let Event::ConnectionLost { reason } = event {
                self.end = Some(match reason {
                    ConnectionError::ApplicationClosed(close) => {
                        u16::try_from(close.error_code.into_inner()).ok()
                    }
                    _ => None,
                });
            }
        }
        while let Some(page) = self.connection.streams().accept(Dir::Uni) {
            self.pages.push(page);
            self.received.push((page, Vec::new()));
        }
        for (stream, bytes) in &mut self.received {
            let mut stream = self.connection.recv_stream(*stream);
            let Ok(mut chunks) = stream.read(true) else { continue };
            while self.thirst > 0
                && let Ok(Some(chunk)) = chunks.next(self.thirst)
            {
                bytes.extend_from_slice(&chunk.bytes);
                self.thirst -= chunk.bytes.len();
            }
            let _ = chunks.finalize();
        }
    }

    fn transmit(&mut self) {
        let mut datagram = Vec::new();
        while let Some(transmit) = self.connection.poll_transmit(Instant::now(), 1, &mut datagram) {
            let _ = self.socket.send_to(&datagram[..transmit.size], self.server);
            datagram.clear();
        }
    }
}

impl Drop for Quic {
    fn drop(&mut self) {
        self.connection.close(Instant::now(), VarInt::from_u32(0), bytes::Bytes::new());
        self.transmit();
    }
}

/// Believes the node's own certificate and no other.
fn config(node: &Node, window: Option<u32>) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(node.certificate()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"maru/1".to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let mut transport = TransportConfig::default();
    transport.max_concurrent_uni_streams(VarInt::from_u32(PAGES));
    transport.max_idle_timeout(None);
    if let Some(window) = window {
        transport.stream_receive_window(VarInt::from_u32(window)).receive_window(VarInt::from_u32(window));
    }
    config.transport_config(Arc::new(transport));
    config
}
