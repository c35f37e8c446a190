//! Our endpoint against quinn-proto's client, with a clock that stands still until a test moves it.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use protocol::body::{encode, session, sync};
use protocol::partition::mix64;
use protocol::token::{self, Claims, sign};
use protocol::{CloseCode, DeviceId, Frame, Header, Kind, ShardId, UserId};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{ClientConfig, ConnectionHandle, DatagramEvent, Dir, EndpointConfig, StreamId, VarInt};
use rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::Moment;
use crate::tls::tests::{Anybody, certified};

mod ends;
mod fuzz;
mod halves;
mod hostile;
mod slow;

const SHARD: u16 = 3;
const HELLO_MS: u64 = 1000;
const IDLE_MS: u32 = 5000;
const RETRY_ABOVE: usize = 16;
const CROWD: usize = 24;

fn keys() -> [token::Key; 1] {
    [token::Key { id: 1, secret: [5; 32] }]
}

fn hello() -> Frame {
    let claims = Claims { user: UserId(7), device: DeviceId(8), expires_ms: 90_000, issued_ms: 1 };
    encode(77, &session::Hello { generation: 0, cursor: 0, token: sign(&keys()[0], &claims) })
}

fn heartbeat(time_ms: u64) -> Frame {
    encode(0, &session::Heartbeat { time_ms })
}

/// A head of a page, and `len` bytes of messages that follow.
fn page(len: usize) -> Bytes {
    let head = sync::HistoryPage { channel: 1, from: 1, to: 1, head: 1, count: 1, more: false };
    let mut bytes = BytesMut::from(encode(5, &head).bytes());
    bytes.extend_from_slice(Frame::build(Kind::SEND_TEXT, 1, 5, &vec![7; len]).bytes());
    bytes.freeze()
}

fn client_config(alpn: &[u8], uni_streams: u32) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let mut transport = quinn_proto::TransportConfig::default();
    transport.max_concurrent_uni_streams(VarInt::from_u32(uni_streams));
    transport.mtu_discovery_config(None);
    config.transport_config(Arc::new(transport));
    config
}

struct Client {
    address: SocketAddr,
    endpoint: quinn_proto::Endpoint,
    handle: ConnectionHandle,
    connection: quinn_proto::Connection,
    control: Option<StreamId>,
    /// What came on the control stream, and on each page's.
    received: Vec<u8>,
    pages: Vec<(StreamId, Vec<u8>)>,
    /// Pages are left in the stream.
    ignores_pages: bool,
    close: Option<u64>,
    lost: bool,
}

impl Client {
    fn drive(&mut self) {
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
        while let Some(event) = self.connection.poll() {
            if let quinn_proto::Event::ConnectionLost { reason } = event {
                self.lost = true;
                if let quinn_proto::ConnectionError::ApplicationClosed(close) = reason {
                    self.close = Some(close.error_code.into_inner());
                }
            }
        }
        while let Some(id) = self.connection.streams().accept(Dir::Uni) {
            self.pages.push((id, Vec::new()));
        }
        if let Some(id) = self.control {
            read(&mut self.connection, id, &mut self.received);
        }
        if !self.ignores_pages {
            for (id, bytes) in &mut self.pages {
                read(&mut self.connection, *id, bytes);
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) -> usize {
        let id = *self.control.get_or_insert_with(|| self.connection.streams().open(Dir::Bi).unwrap());
        self.connection.send_stream(id).write(bytes).unwrap_or(0)
    }

    fn kinds(&self) -> Vec<Kind> {
        let (mut kinds, mut at) = (Vec::new(), 0);
        while let Some(header) = Header::read(&self.received[at..]) {
            kinds.push(header.kind);
            at += header.frame_bytes();
        }
        kinds
    }
}

fn read(connection: &mut quinn_proto::Connection, id: StreamId, to: &mut Vec<u8>) {
    let mut stream = connection.recv_stream(id);
    let Ok(mut chunks) = stream.read(true) else { return };
    while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
        to.extend_from_slice(&chunk.bytes);
    }
    let _ = chunks.finalize();
}

struct World {
    server: Endpoint,
    at: At,
    now_ms: u64,
    clients: Vec<Client>,
    told: Vec<(Key, Told)>,
    /// Bytes towards and from each address that nobody answers at.
    stray: VecDeque<(SocketAddr, Vec<u8>)>,
    server_sent: usize,
    /// What the server sends is lost, and kept here.
    deaf: bool,
    lost: VecDeque<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        Self::named(vec!["localhost".to_owned()])
    }

    /// With a certificate of these names: many make it long.
    fn named(names: Vec<String>) -> Self {
        Self::made(names, crate::limits::HALF_BYTES_MAX)
    }

    fn made(names: Vec<String>, half_bytes_max: usize) -> Self {
        let signed = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let at = At::now();
        let settings = Settings {
            shard: ShardId(SHARD),
            tls: crate::tls::config(certified(signed.cert.der().clone(), key), ALPN).unwrap(),
            seed: [1; 32],
            secret: [2; 32],
            idle_ms: IDLE_MS,
            hello_ms: HELLO_MS,
            connections_max: 100,
            unauthenticated_max: CROWD,
            retry_above: RETRY_ABOVE,
            half_bytes_max,
            at,
            now_ms: 1000,
        };
        Self {
            server: Endpoint::new(settings).unwrap(),
            at,
            now_ms: 1000,
            clients: Vec::new(),
            told: Vec::new(),
            stray: VecDeque::new(),
            server_sent: 0,
            deaf: false,
            lost: VecDeque::new(),
        }
    }

    fn client_with(&mut self, alpn: &[u8], uni_streams: u32) -> usize {
        let number = u8::try_from(self.clients.len()).unwrap();
        let address = SocketAddr::from(([10, 0, 0, number], 1000));
        let reset = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[number]);
        let mut config = EndpointConfig::new(Arc::new(reset));
        config.rng_seed(Some([number; 32]));
        let mut endpoint = quinn_proto::Endpoint::new(Arc::new(config), None, false, None);
        let server = SocketAddr::from(([10, 1, 1, 1], 8081));
        let (handle, connection) =
            endpoint.connect(self.at, client_config(alpn, uni_streams), server, "localhost").unwrap();
        self.clients.push(Client {
            address,
            endpoint,
            handle,
            connection,
            control: None,
            received: Vec::new(),
            pages: Vec::new(),
            ignores_pages: false,
            close: None,
            lost: false,
        });
        self.clients.len() - 1
    }

    /// A client that has said Hello; and its key.
    fn live(&mut self) -> (usize, Key) {
        let client = self.client_with(ALPN, 8);
        self.settle();
        self.clients[client].say(hello().bytes());
        self.settle();
        let (key, told) = self.told.pop().unwrap();
        assert!(matches!(told, Told::Event(Event::Hello(_))), "{told:?}");
        (client, key)
    }

    fn with<R>(&mut self, work: impl FnOnce(&mut Endpoint, &Moment<'_>, At, &mut Sink<'_>) -> R) -> R {
        let keys = keys();
        let rules = &protocol::web::ANYBODY;
        let moment = Moment { now_ms: self.now_ms, wall_ms: 50_000, close_ms: 500, keys: &keys, rules };
        let told = &mut self.told;
        work(&mut self.server, &moment, self.at, &mut |key, what| told.push((key, what)))
    }

    fn give_server(&mut self, remote: SocketAddr, data: &[u8]) {
        let path = Path { remote, local: None, ecn: None };
        let data = BytesMut::from(data);
        self.with(|server, moment, at, sink| server.on_datagram(moment, at, path, data, sink));
    }

    /// Everything that one turn of the server sends.
    fn flush(&mut self) -> bool {
        let mut moved = false;
        loop {
            let mut buffer = Vec::new();
            let next =
                self.with(|server, moment, at, sink| server.poll_transmit(moment, at, 8, &mut buffer, sink));
            let Some(transmit) = next else { return moved };
            moved = true;
            self.server_sent += transmit.size;
            if self.deaf {
                let size = transmit.segment_size.unwrap_or(transmit.size);
                let lost = buffer[..transmit.size].chunks(size);
                self.lost.extend(lost.map(<[u8]>::to_vec));
                continue;
            }
            for datagram in buffer[..transmit.size].chunks(transmit.segment_size.unwrap_or(transmit.size)) {
                self.give_client(transmit.destination, datagram);
            }
        }
    }

    fn give_client(&mut self, to: SocketAddr, datagram: &[u8]) {
        let (at, server) = (self.at, SocketAddr::from(([10, 1, 1, 1], 8081)));
        let Some(client) = self.clients.iter_mut().find(|client| client.address == to) else {
            self.stray.push_back((to, datagram.to_vec()));
            return;
        };
        let mut buffer = Vec::new();
        let event = client.endpoint.handle(at, server, None, None, BytesMut::from(datagram), &mut buffer);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            client.connection.handle_event(event);
        }
    }

    /// What a client sends now, without sending it.
    fn outgoing(&mut self, client: usize) -> Vec<Vec<u8>> {
        let client = &mut self.clients[client];
        client.drive();
        let mut datagrams = Vec::new();
        loop {
            let mut buffer = Vec::new();
            let Some(transmit) = client.connection.poll_transmit(self.at, 8, &mut buffer) else { break };
            let size = transmit.segment_size.unwrap_or(transmit.size);
            datagrams.extend(buffer[..transmit.size].chunks(size).map(<[u8]>::to_vec));
        }
        client.drive();
        datagrams
    }

    /// Lets everything travel until nothing moves.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut moved = false;
            for client in 0..self.clients.len() {
                for datagram in self.outgoing(client) {
                    moved = true;
                    self.give_server(self.clients[client].address, &datagram);
                }
            }
            moved |= self.flush();
            if !moved {
                return;
            }
        }
        panic!("it never ends");
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.now_ms += 10;
            self.at += Duration::from_millis(10);
            let at = self.at;
            if self.server.next_deadline().is_some_and(|due| due <= self.now_ms) {
                self.with(|server, moment, at, sink| server.on_deadline(moment, at, sink));
            }
            for client in &mut self.clients {
                if client.connection.poll_timeout().is_some_and(|due| due <= at) {
                    client.connection.handle_timeout(at);
                }
            }
            self.settle();
        }
    }

    fn frames(&mut self) -> usize {
        let told = std::mem::take(&mut self.told);
        told.iter().filter(|(_, told)| matches!(told, Told::Event(Event::Frame(_)))).count()
    }
}

#[test]
fn frames_go_both_ways_and_a_large_page_does_not_stand_before_live_ones() {
    let mut world = World::new();
    let (client, key) = world.live();
    let bytes: Vec<u8> = (0..50).flat_map(|n| heartbeat(n).bytes().to_vec()).collect();
    // A frame may come in pieces.
    for piece in bytes.chunks(7) {
        world.clients[client].say(piece);
        world.settle();
    }
    assert_eq!(world.frames(), 50);

    world.clients[client].ignores_pages = true;
    world.server.transmit(key, page(300_000));
    world.server.transmit(key, heartbeat(1).into_bytes());
    world.settle();
    assert_eq!(world.clients[client].kinds(), [Kind::HEARTBEAT], "the page is not read, the frame is there");
    world.clients[client].ignores_pages = false;
    world.pass(1000);
    let pages = &world.clients[client].pages;
    assert_eq!((pages.len(), &pages[0].1[..]), (1, &page(300_000)[..]));
    assert_eq!(world.server.counters().page_streams, 1);
    let queued = page(300_000).len();
    world.told.retain(|(_, told)| *told != Told::Took);
    assert_eq!(
        world.told,
        [Told::Queued(queued), Told::Queued(0)].map(|told| (key, told)),
        "until it arrived"
    );
}

#[test]
fn a_client_that_allows_no_page_stream_gets_pages_on_the_control_stream() {
    let mut world = World::new();
    let client = world.client_with(ALPN, 0);
    world.settle();
    world.clients[client].say(hello().bytes());
    world.settle();
    let (key, _) = world.told.pop().unwrap();
    world.server.transmit(key, page(10));
    world.settle();
    assert_eq!(world.clients[client].kinds(), [Kind::HISTORY_PAGE, Kind::SEND_TEXT]);
}

#[test]
fn an_address_may_change_and_ids_say_the_shard() {
    let mut world = World::new();
    let (client, key) = world.live();
    for round in 0..5_u16 {
        world.clients[client].address = SocketAddr::from(([10, 9, 9, 9], 2000 + round));
        world.clients[client].say(heartbeat(1).bytes());
        for datagram in world.outgoing(client) {
            assert_eq!((datagram[0] & 0x80, datagram[1]), (0, SHARD as u8), "short header, then our id");
            world.give_server(world.clients[client].address, &datagram);
        }
        world.pass(100);
        world.server.transmit(key, heartbeat(2).into_bytes());
        world.pass(100);
    }
    assert!(world.told.iter().all(|(from, _)| *from == key));
    assert_eq!(world.frames(), 5);
    assert_eq!(world.clients[client].kinds().len(), 5);
    assert_eq!(world.server.counters().accepted, 1);
}

#[test]
fn keys_are_changed_long_after_the_handshake() {
    let mut world = World::new();
    let (client, key) = world.live();
    for round in 0..5 {
        world.pass(1000);
        world.clients[client].connection.force_key_update();
        world.clients[client].say(heartbeat(round).bytes());
        world.server.transmit(key, heartbeat(round).into_bytes());
        world.pass(1000);
    }
    assert_eq!(world.frames(), 5);
    assert_eq!(world.clients[client].kinds().len(), 5);
    assert!(world.server.has(key));
}

#[test]
fn a_close_comes_behind_what_was_queued() {
    let mut world = World::new();
    let (client, key) = world.live();
    world.server.transmit(key, heartbeat(1).into_bytes());
    world.with(|server, moment, at, sink| server.close(moment, at, key, CloseCode::GoingAway, sink));
    assert_eq!(world.told, [(key, Told::Closed)], "the core need not wait for the farewell");
    // The peer acknowledges the last byte when it sees fit.
    world.pass(100);
    assert_eq!(world.clients[client].kinds(), [Kind::HEARTBEAT]);
    assert_eq!(world.clients[client].close, Some(CloseCode::GoingAway.number().into()));
    world.pass(3000);
    assert_eq!((world.server.counters().connections_now, world.server.has(key)), (0, false));
}

#[test]
fn what_breaks_the_rules_is_closed_with_its_code() {
    let too_large = Header { len: 600_000, kind: Kind::SEND_TEXT, version: 1, flags: 0, id: 1 };
    let mut large = BytesMut::new();
    too_large.write(&mut large);
    let first = heartbeat(1);
    let cases: [(&[u8], CloseCode); 3] = [
        (&large, CloseCode::TooBig),
        (&[0xff; 40], CloseCode::Protocol),
        (first.bytes(), CloseCode::Unauthenticated),
    ];
    for (n, (bytes, code)) in cases.into_iter().enumerate() {
        let mut world = World::new();
        let client = world.client_with(ALPN, 8);
        world.settle();
        if n < 2 {
            world.clients[client].say(hello().bytes());
        }
        world.clients[client].say(bytes);
        world.pass(100);
        let close = world.clients[client].close;
        let framing = [Some(CloseCode::TooBig.number().into()), Some(CloseCode::Protocol.number().into())];
        if n < 2 {
            assert!(framing.contains(&close), "{n}: {close:?}");
        } else {
            assert_eq!(close, Some(code.number().into()));
        }
        world.pass(3000);
        assert_eq!(world.server.counters().connections_now, 0, "{n}");
    }
}

#[test]
fn a_stream_that_is_abandoned_ends_the_connection_and_there_is_only_one() {
    let mut world = World::new();
    let (client, key) = world.live();
    assert!(world.clients[client].connection.streams().open(Dir::Bi).is_none(), "one control stream");
    assert!(world.clients[client].connection.streams().open(Dir::Uni).is_none());
    let id = world.clients[client].control.unwrap();
    world.clients[client].connection.send_stream(id).reset(VarInt::from_u32(9)).unwrap();
    world.pass(3000);
    assert_eq!(world.told, [(key, Told::Closed)]);
    assert_eq!(world.server.counters().connections_now, 0);
}

#[test]
fn a_paused_connection_is_held_by_flow_control() {
    let mut world = World::new();
    let (client, key) = world.live();
    world.server.pause(key);
    let frame = heartbeat(1);
    let mut written = 0;
    for _ in 0..100_000 {
        let now = world.clients[client].say(frame.bytes());
        written += now;
        world.settle();
        if now < frame.bytes().len() {
            break;
        }
    }
    assert_eq!(world.frames(), 0);
    assert!(written <= 2 * crate::limits::QUIC_RECEIVE_WINDOW as usize, "{written}");
    world.with(|server, moment, at, sink| server.resume(moment, at, key, sink));
    world.settle();
    assert_eq!(world.frames(), written / frame.bytes().len());
}

#[test]
fn another_protocol_is_refused() {
    let mut world = World::new();
    let client = world.client_with(b"h3", 8);
    world.settle();
    assert!(world.clients[client].lost);
    world.pass(3000);
    assert_eq!(world.server.counters().connections_now, 0);
}

#[test]
fn who_says_nothing_is_closed_in_time() {
    let mut world = World::new();
    let client = world.client_with(ALPN, 8);
    world.settle();
    assert_eq!(world.server.counters().unauthenticated_now, 1);
    world.pass(HELLO_MS + 500);
    assert_eq!(world.clients[client].close, Some(CloseCode::HelloTimeout.number().into()));
    assert_eq!(world.server.counters().unauthenticated_now, 0);
    assert_eq!(world.server.counters().hello_timeouts, 1);
}
