//! A carrier against rustls's own client, byte for byte and without a socket.

use std::io::{IoSlice, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use protocol::body::{encode, message, session};
use protocol::limits::{UNAUTHENTICATED_BYTES_MAX, WS_MESSAGE_BYTES_MAX};
use protocol::token::{Claims, Key, sign};
use protocol::ws::{self, Decoder, Opcode, Role, encode_header, mask};
use protocol::{CloseCode, DeviceId, Frame, Header, UserId};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection};

use super::*;
use crate::{Carrier, Event, Flow, Moment, TlsNews};

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASK: [u8; 4] = [1, 2, 3, 4];

/// Whoever it is.
#[derive(Debug)]
pub(crate) struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// One certificate for everybody.
pub(crate) fn certified(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Arc<dyn ResolvesServerCert> {
    let provider = rustls::crypto::ring::default_provider();
    let pair = CertifiedKey::from_der(vec![certificate], key, &provider).unwrap();
    Arc::new(SingleCertAndKey::from(pair))
}

pub(crate) fn server() -> Arc<ServerConfig> {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    config(certified(signed.cert.der().clone(), key), ALPN).unwrap()
}

pub(crate) fn client(alpn: &[&[u8]]) -> ClientConnection {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let mut client =
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    client.set_buffer_limit(None);
    client
}

fn keys() -> [Key; 1] {
    [Key { id: 1, secret: [5; 32] }]
}

fn moment(keys: &[Key]) -> Moment<'_> {
    Moment { now_ms: 1000, wall_ms: 50_000, close_ms: 500, keys, rules: &protocol::web::ANYBODY }
}

fn hello() -> Frame {
    let claims = Claims { user: UserId(7), device: DeviceId(8), expires_ms: 90_000, issued_ms: 1 };
    encode(77, &session::Hello { generation: 0, cursor: 0, token: sign(&keys()[0], &claims) })
}

/// The longest text there is, of three bytes a character and so of many records.
fn longest(id: u64) -> Frame {
    encode(id, &message::SendText { channel: 1 << 64 | 2, text: "가".repeat(100_000) })
}

fn ws(payload: &[u8]) -> Vec<u8> {
    let (header, len) = encode_header(Opcode::Binary, payload.len(), Some(MASK));
    let mut payload = payload.to_vec();
    mask(&mut payload, MASK, 0);
    [&header[..len], &payload].concat()
}

/// Both ends, and what each has heard.
struct Pair {
    server: Carrier,
    scratch: Scratch,
    client: ClientConnection,
    /// The client feeds the server in pieces of so many bytes, and the server's writes are taken so.
    piece: usize,
    hold: bool,
    events: Vec<Event>,
    news: Vec<TlsNews>,
    /// Text that the client has read.
    heard: Vec<u8>,
}

impl Pair {
    fn new(piece: usize) -> Self {
        Self::with(piece, client(&[ALPN]))
    }

    fn with(piece: usize, client: ClientConnection) -> Self {
        let server = Carrier::new(11_000, Some(&server()));
        let (scratch, events, news, heard) = (Scratch::default(), Vec::new(), Vec::new(), Vec::new());
        Self { server, scratch, client, piece, hold: false, events, news, heard }
    }

    fn tls(&self) -> &Tls {
        self.server.tls_below()
    }

    /// Bytes as they come from a socket.
    fn feed(&mut self, bytes: &[u8]) {
        let keys = keys();
        for piece in bytes.chunks(self.piece) {
            let (events, hold) = (&mut self.events, self.hold);
            let mut sink = |event: Event| {
                let is_hello = matches!(event, Event::Hello(_));
                events.push(event);
                if hold && is_hello { Flow::Hold } else { Flow::More }
            };
            let news =
                self.server.on_bytes(&moment(&keys), &mut piece.to_vec(), &mut self.scratch, &mut sink);
            self.news.extend(news);
        }
    }

    /// What the server writes now, taken in pieces.
    fn output(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            self.server.seal(&mut self.scratch);
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.server.poll_transmit(&mut slices);
            if count == 0 {
                assert!(!self.server.has_output());
                return out;
            }
            let first = slices[0].get(..self.piece).unwrap_or(&slices[0]);
            out.extend_from_slice(first);
            let taken = first.len();
            self.server.advance(taken, &mut self.scratch);
        }
    }

    /// What the client writes now.
    fn input(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Until both have said all.
    fn run(&mut self) {
        loop {
            let to_server = self.input();
            self.feed(&to_server);
            let to_client = self.output();
            if to_server.is_empty() && to_client.is_empty() {
                return;
            }
            self.hear(&to_client);
        }
    }

    /// The client takes 4 KiB at a time.
    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).unwrap();
            self.client.process_new_packets().unwrap();
            let mut text = [0; 4096];
            while let Ok(len @ 1..) = self.client.reader().read(&mut text) {
                self.heard.extend_from_slice(&text[..len]);
            }
        }
    }

    fn say(&mut self, text: &[u8]) {
        self.client.writer().write_all(text).unwrap();
        self.run();
    }

    /// A WebSocket that has said Hello.
    fn live(piece: usize) -> Self {
        let mut pair = Self::new(piece);
        pair.say(REQUEST.as_bytes());
        pair.say(&ws(hello().bytes()));
        assert_eq!(pair.news, [TlsNews::Open]);
        assert!(matches!(pair.events.as_slice(), [Event::Hello(_)]) && pair.server.is_live());
        pair
    }

    /// Frames and close code that the client has heard.
    fn frames(&self) -> (Vec<Frame>, Option<u16>) {
        let start = self.heard.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert!(self.heard.starts_with(b"HTTP/1.1 101 "));
        let (mut frames, mut close) = (Vec::new(), None);
        let mut sink = |event: ws::Event<'_>| {
            match event {
                ws::Event::Message(mut bytes) => {
                    while let Some(header) = Header::read(bytes) {
                        let (frame, rest) = bytes.split_at(header.frame_bytes());
                        frames.push(Frame::new(Bytes::copy_from_slice(frame)).unwrap());
                        bytes = rest;
                    }
                }
                ws::Event::Close { code, .. } => close = code,
                _ => {}
            }
            true
        };
        let mut decoder = Decoder::new(Role::Client, WS_MESSAGE_BYTES_MAX);
        decoder.push(&mut self.heard[start..].to_vec(), &mut sink).unwrap();
        (frames, close)
    }
}

#[test]
fn a_device_talks_in_pieces_of_any_size_and_then_nothing_is_held() {
    for piece in [1, 7, 1000, usize::MAX] {
        let mut pair = Pair::live(piece);
        pair.say(&ws(longest(1).bytes()));
        assert_eq!(pair.events.last(), Some(&Event::Frame(longest(1))), "{piece}");
        pair.server.transmit(Bytes::copy_from_slice(longest(2).bytes()));
        pair.server.transmit(Bytes::copy_from_slice(hello().bytes()));
        assert!(pair.server.queued_bytes() > 300_000);
        pair.run();
        assert_eq!(pair.frames(), (vec![longest(2), hello()], None), "{piece}");
        let tls = pair.tls();
        assert_eq!((tls.partial.capacity(), tls.sealed.capacity()), (0, 0), "{piece}: no buffer is kept");
        assert_eq!((pair.server.queued_bytes(), pair.server.half_bytes()), (0, 0));
        assert_eq!(pair.news, [TlsNews::Open]);
    }
}

#[test]
fn a_proxy_says_who_connects_ahead_of_tls() {
    // PROXY version 2 of 203.0.113.9.
    let mut preamble = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    preamble.extend_from_slice(&[203, 0, 113, 9, 192, 0, 2, 1, 0, 80, 0, 80]);
    for piece in [1, 7, 27, 28, 29, 1000, usize::MAX] {
        let mut pair = Pair::new(piece);
        pair.server = Carrier::behind_proxy(11_000, Some(&server()));
        let greeting = [preamble.clone(), pair.input()].concat();
        pair.feed(&greeting);
        let answer = pair.output();
        pair.hear(&answer);
        pair.say(REQUEST.as_bytes());
        pair.say(&ws(hello().bytes()));
        assert_eq!(pair.news, [TlsNews::Open], "{piece}");
        assert!(pair.server.is_live() && matches!(pair.events.as_slice(), [Event::Hello(_)]), "{piece}");
        assert_eq!(pair.server.take_source(), Some("203.0.113.9".parse().unwrap()), "{piece}");
    }
    // Within TLS it is no header of a proxy, and without one nobody gets to TLS.
    let mut pair = Pair::new(usize::MAX);
    pair.say(&preamble);
    assert!(pair.server.is_refused() && pair.server.take_source().is_none());
    let mut pair = Pair::new(usize::MAX);
    pair.server = Carrier::behind_proxy(11_000, Some(&server()));
    let greeting = pair.input();
    pair.feed(&greeting);
    assert!(pair.server.is_finished() && pair.server.is_unannounced());
    assert!(pair.output().is_empty());
}

#[test]
fn records_that_the_kernel_does_not_take_stay_and_frames_wait_as_frames() {
    let mut pair = Pair::live(usize::MAX);
    let frame = Bytes::copy_from_slice(longest(2).bytes());
    pair.server.transmit(frame.clone());
    pair.server.seal(&mut pair.scratch);
    let (queued, sealed) = (pair.server.queued_bytes(), pair.tls().sealed_bytes());
    assert!(sealed > SEAL_BYTES && sealed < SEAL_BYTES + 4 * RECORD_OVERHEAD, "{sealed}");
    assert!(queued > frame.len(), "{queued}");
    pair.server.seal(&mut pair.scratch);
    assert_eq!(pair.tls().sealed_bytes(), sealed, "one write at a time");
    let mut slices = [IoSlice::new(&[]); 1];
    assert_eq!(pair.server.poll_transmit(&mut slices), 1);
    let first = slices[0][..sealed - 10].to_vec();
    pair.server.advance(sealed - 10, &mut pair.scratch);
    assert!(pair.tls().sealed.capacity() < 100, "only what is left is kept");
    assert!(pair.scratch.sealed.capacity() > SEAL_BYTES, "the room is for the next one");
    pair.hear(&first);
    pair.run();
    assert_eq!(pair.frames().0, [longest(2)]);
}

#[test]
fn who_does_not_speak_tls_is_told_so_in_clear() {
    let mut pair = Pair::new(3);
    pair.feed(REQUEST.as_bytes());
    assert_eq!(pair.news, [TlsNews::Fault(TlsFault::NotTls)]);
    let answer = String::from_utf8(pair.output()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("wss://"), "{answer}");
    assert!(pair.server.is_written_out() && pair.server.is_refused() && !pair.server.is_finished());
    pair.server.on_end();
    assert!(pair.server.is_finished());
}

#[test]
fn garbage_ends_the_connection() {
    for garbage in [&[22, 3, 1, 0, 5, 1, 2, 3, 4, 5][..], &[22, 9, 9, 255, 255, 0], &[22, 3, 1, 0, 0]] {
        let mut pair = Pair::new(usize::MAX);
        pair.feed(garbage);
        assert!(
            matches!(pair.news[..], [TlsNews::Fault(TlsFault::Protocol(_))]),
            "{garbage:?} {:?}",
            pair.news
        );
        // Of some faults the library says nothing to the peer.
        let alert = pair.output();
        assert!(alert.is_empty() || alert.starts_with(&[21, 3]), "{garbage:?}: {alert:?}");
        assert!(pair.server.is_written_out());
        pair.feed(&[22; 100]);
        assert_eq!(pair.news.len(), 1, "it is not listened to any more");
    }
}

#[test]
fn a_handshake_has_the_bound_of_who_is_not_welcome() {
    let mut pair = Pair::new(usize::MAX);
    // A ClientHello of 60,000 bytes, in records.
    let mut message = vec![1, 0, 0xea, 0x60];
    message.resize(60_000, 0);
    let mut fed = 0;
    for part in message.chunks(1000) {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        pair.feed(&[&[22, 3, 1], &length[..], part].concat());
        fed += part.len() + RECORD_HEADER;
        if !pair.news.is_empty() {
            break;
        }
        assert!(pair.server.half_bytes() > 0, "what is held is counted");
    }
    assert_eq!(pair.news, [TlsNews::Fault(TlsFault::TooMany)]);
    assert!((UNAUTHENTICATED_BYTES_MAX..UNAUTHENTICATED_BYTES_MAX + 2000).contains(&fed), "{fed}");
    assert_eq!(pair.server.half_bytes(), 0);
}

#[test]
fn half_a_handshake_ends_by_time() {
    let keys = keys();
    for share in [1, 50, 100] {
        let mut pair = Pair::new(usize::MAX);
        let input = pair.input();
        pair.feed(&input[..input.len() * share / 100 - usize::from(share == 100)]);
        assert!(pair.output().is_empty() && pair.news.is_empty());
        assert_eq!(pair.server.next_deadline(), Some(11_000));
        pair.server.on_deadline(&Moment { now_ms: 11_000, ..moment(&keys) });
        assert!(pair.server.is_finished(), "{share}");
    }
}

#[test]
fn a_changed_record_ends_the_connection_and_nothing_more_is_said() {
    let mut pair = Pair::live(usize::MAX);
    pair.client.writer().write_all(&ws(hello().bytes())).unwrap();
    let mut input = pair.input();
    let last = input.len() - 1;
    input[last] ^= 1;
    pair.server.transmit(Bytes::copy_from_slice(hello().bytes()));
    let events = pair.events.len();
    pair.feed(&input);
    assert!(matches!(pair.news[..], [_, TlsNews::Fault(TlsFault::Protocol(_))]), "{:?}", pair.news);
    assert_eq!(pair.events.len(), events);
    let alert = pair.output();
    assert!(!alert.is_empty() && pair.server.is_written_out() && !pair.server.is_live());
    pair.client.read_tls(&mut alert.as_slice()).unwrap();
    let heard = pair.client.process_new_packets().unwrap_err();
    assert_eq!(heard, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
    pair.server.transmit(Bytes::copy_from_slice(hello().bytes()));
    assert!(!pair.server.has_output());
    let keys = keys();
    pair.server.on_deadline(&Moment { now_ms: 1500, ..moment(&keys) });
    assert!(pair.server.is_finished(), "a peer that never ends is left");
}

#[test]
fn both_ends_say_farewell() {
    let keys = keys();
    for piece in [1, usize::MAX] {
        let mut pair = Pair::live(piece);
        pair.server.transmit(Bytes::copy_from_slice(longest(3).bytes()));
        pair.server.close(&moment(&keys), CloseCode::GoingAway);
        assert!(!pair.server.is_written_out());
        pair.run();
        assert_eq!(pair.frames(), (vec![longest(3)], Some(CloseCode::GoingAway.number())));
        assert!(pair.client.process_new_packets().unwrap().peer_has_closed(), "close_notify has come");
        assert!(pair.server.is_written_out() && !pair.server.is_finished());
        // The answer to the close, and then TLS's own.
        let (header, len) = encode_header(Opcode::Close, 0, Some(MASK));
        pair.client.writer().write_all(&header[..len]).unwrap();
        pair.client.send_close_notify();
        let input = pair.input();
        pair.feed(&input);
        assert!(pair.server.is_finished());
    }
}

#[test]
fn an_end_behind_hello_waits_for_who_holds_it() {
    let mut pair = Pair::new(usize::MAX);
    pair.say(REQUEST.as_bytes());
    pair.hold = true;
    pair.client.writer().write_all(&[ws(hello().bytes()), ws(longest(9).bytes())].concat()).unwrap();
    let input = pair.input();
    // The last record comes in part, and moves with the rest.
    let (moved, late) = input.split_at(input.len() - 100);
    pair.feed(moved);
    assert!(pair.server.is_held() && pair.events.len() == 1 && pair.tls().partial_bytes() > 0);
    fn moves<T: Send>(value: T) -> T {
        value
    }
    pair.server = moves(mem::replace(&mut pair.server, Carrier::new(1, None)));
    let keys = keys();
    let mut sink = |event: Event| -> Flow { panic!("{event:?} though the message is not whole") };
    pair.server.resume(&moment(&keys), &mut sink);
    pair.hold = false;
    pair.feed(late);
    assert_eq!(pair.events.last(), Some(&Event::Frame(longest(9))));
    // An end in the same read as Hello comes behind what was held.
    let mut pair = Pair::new(usize::MAX);
    pair.say(REQUEST.as_bytes());
    pair.hold = true;
    pair.client.writer().write_all(&[ws(hello().bytes()), ws(hello().bytes())].concat()).unwrap();
    pair.client.send_close_notify();
    let input = pair.input();
    pair.feed(&input);
    assert!(pair.server.is_held() && !pair.server.is_finished());
    let mut refused = 0;
    pair.server.resume(&moment(&keys), &mut |event| {
        refused += usize::from(matches!(event, Event::Refused(_)));
        Flow::More
    });
    assert_eq!((refused, pair.server.is_finished()), (1, true));
}

#[test]
fn who_stands_still_in_a_record_is_closed_with_words() {
    let keys = keys();
    let mut pair = Pair::live(usize::MAX);
    pair.client.writer().write_all(&ws(hello().bytes())).unwrap();
    let input = pair.input();
    pair.feed(&input[..input.len() - 1]);
    assert!(pair.server.half_bytes() > 0);
    pair.server.give_up(&moment(&keys));
    assert_eq!(pair.server.half_bytes(), 0);
    pair.feed(&input[input.len() - 1..]);
    pair.run();
    assert_eq!(pair.frames().1, Some(CloseCode::HeartbeatTimeout.number()));
    assert!(pair.server.is_written_out());
}

#[test]
fn keys_are_changed_on_the_way() {
    let mut pair = Pair::live(7);
    pair.client.refresh_traffic_keys().unwrap();
    pair.say(&ws(longest(1).bytes()));
    pair.server.transmit(Bytes::copy_from_slice(hello().bytes()));
    pair.run();
    assert_eq!(pair.events.last(), Some(&Event::Frame(longest(1))));
    assert_eq!(pair.frames().0, [hello()]);
}

#[test]
fn another_protocol_is_refused_and_none_is_taken() {
    let mut pair = Pair::with(usize::MAX, client(&[b"maru/1"]));
    let input = pair.input();
    pair.feed(&input);
    assert_eq!(
        pair.news,
        [TlsNews::Fault(TlsFault::Protocol(rustls::Error::NoApplicationProtocol))],
        "QUIC's"
    );
    let mut pair = Pair::with(usize::MAX, client(&[]));
    pair.run();
    assert_eq!(pair.news, [TlsNews::Open]);
}

#[test]
fn a_plain_carrier_offers_the_shared_frame_itself() {
    let keys = keys();
    let (mut carrier, mut scratch) = (Carrier::new(11_000, None), Scratch::default());
    let mut sink = |_| Flow::More;
    let mut bytes = [REQUEST.as_bytes(), &ws(hello().bytes())].concat();
    assert_eq!(carrier.on_bytes(&moment(&keys), &mut bytes, &mut scratch, &mut sink), None);
    let frame = Bytes::copy_from_slice(longest(2).bytes());
    carrier.transmit(frame.clone());
    carrier.seal(&mut scratch);
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let count = carrier.poll_transmit(&mut slices);
    assert!(slices[..count].iter().any(|slice| slice.as_ptr() == frame.as_ptr()));
    assert_eq!((scratch.text.capacity(), scratch.sealed.capacity()), (0, 0));
}
