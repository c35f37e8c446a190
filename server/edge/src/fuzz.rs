//! Mutated bytes of a stranger at every door of this crate but QUIC's (quic/tests/fuzz.rs): no panic, bounds hold, and how the bytes
//! are cut changes nothing.

use std::io::IoSlice;
use std::sync::Arc;

use protocol::body::{encode, message, session};
use protocol::limits::WS_MESSAGE_BYTES_MAX;
use protocol::token::{Claims, Key, sign};
use protocol::web::{ANYBODY, WebRules};
use protocol::ws::{ControlFrame, Opcode, encode_header, mask};
use protocol::{CloseCode, DeviceId, Frame, UserId};
use rustls::ServerConfig;

use crate::http::{self, Answer};
use crate::limits::HEAD_BYTES_MAX;
use crate::preamble::{self, Preamble};
use crate::tls::tests::{client, server};
use crate::tls::{ALPN, Scratch};
use crate::{Carrier, Connection, Event, Flow, Moment, SLICES_MAX, TlsNews};

#[path = "../../../protocol/fuzz/mutate.rs"]
mod mutate;

use mutate::each_mutation;
pub(crate) use mutate::{Walk, mutate as change, numbers};

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: chat.example.org:8081\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                       Origin: https://chat.example.org\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASK: [u8; 4] = [1, 2, 3, 4];

fn keys() -> [Key; 1] {
    [Key { id: 1, secret: [5; 32] }]
}

fn moment(keys: &[Key]) -> Moment<'_> {
    Moment { now_ms: 1000, wall_ms: 50_000, close_ms: 500, keys, rules: &ANYBODY }
}

fn ws(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let (header, len) = encode_header(opcode, payload.len(), Some(MASK));
    let mut payload = payload.to_vec();
    mask(&mut payload, MASK, 0);
    [&header[..len], &payload].concat()
}

/// A device's first messages: Hello, a text, a heartbeat, then Reauth, a ping and a farewell.
fn session() -> Vec<Vec<u8>> {
    let claims = Claims { user: UserId(7), device: DeviceId(8), expires_ms: 90_000, issued_ms: 1 };
    let token = sign(&keys()[0], &claims);
    let bytes = |frame: Frame| frame.bytes().to_vec();
    let hello = bytes(encode(77, &session::Hello { generation: 3, cursor: 4, token: token.clone() }));
    let text = bytes(encode(5, &message::SendText { channel: 77, text: "see you at five".to_owned() }));
    let heartbeat = bytes(encode(0, &session::Heartbeat { time_ms: 9 }));
    let reauth = bytes(encode(6, &session::Reauth { token }));
    let ping = ControlFrame::ping(b"are you there", Some(MASK)).as_bytes().to_vec();
    let farewell = ControlFrame::close(1000, "bye", Some(MASK)).as_bytes().to_vec();
    let two = [text.as_slice(), &heartbeat].concat();
    vec![ws(Opcode::Binary, &hello), ws(Opcode::Binary, &two), ping, ws(Opcode::Binary, &reauth), farewell]
}

#[test]
fn fuzz_heads() {
    let post = "POST /ws?token=1 HTTP/1.1\r\nHost: [::1]:1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello";
    let old = "GET / HTTP/1.0\r\n\r\n";
    let many = format!("GET /ws HTTP/1.1\r\n{}\r\n", "X-Y: z\r\n".repeat(63));
    let seeds = [REQUEST, post, old, &many].map(|text| text.as_bytes().to_vec());
    let own = WebRules::new(
        protocol::web::origins("https://chat.example.org").unwrap(),
        protocol::web::hosts("chat.example.org").unwrap(),
        true,
    );
    each_mutation("HTTP head", &seeds, 20_000, |bytes| {
        for rules in [&ANYBODY, &own] {
            match http::answer(bytes, rules) {
                Answer::Incomplete => assert!(bytes.len() < HEAD_BYTES_MAX),
                Answer::Refuse(words) => assert!(words.starts_with(b"HTTP/1.1 4") && words.len() < 1024),
                Answer::Upgrade(words, len) => {
                    assert!(words.starts_with(b"HTTP/1.1 101 ") && len <= bytes.len());
                    assert_eq!(http::answer(&bytes[..len], rules), Answer::Upgrade(words, len));
                    assert_eq!(http::answer(&bytes[..len - 1], rules), Answer::Incomplete, "one byte less");
                }
            }
        }
    });
}

#[test]
fn fuzz_preambles() {
    let four = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\x11\x11\x22\x22"[..], b"GET /"]
        .concat();
    let six = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"[..], &[0x20; 36]].concat();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    each_mutation("PROXY header", &[four, six, local], 20_000, |bytes| match preamble::read(bytes) {
        Preamble::Whole(len, source) => {
            assert!(len <= bytes.len());
            assert_eq!(preamble::read(&bytes[..len]), Preamble::Whole(len, source));
            assert!(matches!(preamble::read(&bytes[..len - 1]), Preamble::Incomplete));
        }
        Preamble::Incomplete | Preamble::Fault => {}
    });
}

/// What came of a stream: events, everything that was written, how it ended.
fn outcome(bytes: &[u8], piece: usize, behind_proxy: bool) -> (Vec<Event>, Vec<u8>, Option<CloseCode>) {
    let keys = keys();
    let mut connection =
        if behind_proxy { Connection::behind_proxy(11_000) } else { Connection::new(11_000) };
    let (mut events, mut written) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        let mut sink = |event| {
            events.push(event);
            Flow::More
        };
        connection.on_bytes(&moment(&keys), &mut piece.to_vec(), &mut sink);
        assert!(connection.half_bytes() <= 2 * WS_MESSAGE_BYTES_MAX);
    }
    loop {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = connection.poll_transmit(&mut slices);
        if count == 0 {
            break;
        }
        let part: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
        connection.advance(part.len());
        written.extend(part);
    }
    assert!(!connection.has_output() && connection.queued_bytes() == 0);
    if let Some(due) = connection.next_deadline() {
        connection.on_deadline(&Moment { now_ms: due, ..moment(&keys) });
    }
    (events, written, connection.close_code())
}

#[test]
fn fuzz_connections() {
    let whole = |piece: u8, parts: &[Vec<u8>]| [&[piece][..], REQUEST.as_bytes(), &parts.concat()].concat();
    let session = session();
    let proxied =
        [&b"\x07\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"[..], REQUEST.as_bytes(), &session.concat()].concat();
    let seeds = [whole(0, &session), whole(2, &session[..2]), whole(40, &session[..1]), proxied];
    let of_all = outcome(&seeds[0][1..], usize::MAX, false).0;
    assert!(
        matches!(of_all[..], [Event::Hello(_), Event::Frame(_), Event::Frame(_), Event::Reauth(_)]),
        "{of_all:?}"
    );
    let of_proxied = outcome(&seeds[3][1..], usize::MAX, true).0;
    assert_eq!(of_proxied, of_all, "a proxy's header changes nothing");
    each_mutation("Connection", &seeds, 6000, |bytes| {
        let Some((first, rest)) = bytes.split_first() else { return };
        let behind_proxy = first & 1 == 1;
        let at_once = outcome(rest, rest.len().max(1), behind_proxy);
        let in_pieces = outcome(rest, usize::from(first >> 1).max(1), behind_proxy);
        assert_eq!(at_once.0, in_pieces.0, "events");
        assert_eq!(at_once.2, in_pieces.2, "the end");
    });
}

/// Handshakes of which one flight is changed: the server says an alert or nothing, and goes on with the next.
#[test]
fn fuzz_tls() {
    let (config, keys): (Arc<ServerConfig>, _) = (server(), keys());
    let mut scratch = Scratch::default();
    let numbers = numbers(300);
    println!("fuzz TLS handshake: {} inputs from number {}", numbers.end - numbers.start, numbers.start);
    for number in numbers {
        let mut walk = Walk::new(number);
        let (mut carrier, mut peer) = (Carrier::new(11_000, Some(&config)), client(&[ALPN]));
        let changed = walk.below(3);
        for flight in 0..4 {
            let mut bytes = Vec::new();
            while peer.wants_write() {
                peer.write_tls(&mut bytes).unwrap();
            }
            if flight == changed {
                change(&mut bytes, &[], &mut walk);
            }
            let mut news = Vec::new();
            for piece in bytes.chunks_mut(1 + walk.below(600)) {
                news.extend(carrier.on_bytes(&moment(&keys), piece, &mut scratch, &mut |_| Flow::More));
            }
            carrier.seal(&mut scratch);
            let mut answer = Vec::new();
            loop {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let count = carrier.poll_transmit(&mut slices);
                if count == 0 {
                    break;
                }
                let part: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                carrier.advance(part.len(), &mut scratch);
                answer.extend(part);
            }
            if news.iter().any(|news| matches!(news, TlsNews::Fault(_))) || carrier.is_finished() {
                break;
            }
            let mut answer = answer.as_slice();
            while !answer.is_empty() {
                if peer.read_tls(&mut answer).is_err() || peer.process_new_packets().is_err() {
                    break;
                }
            }
            if flight == 2 {
                std::io::Write::write_all(&mut peer.writer(), REQUEST.as_bytes()).unwrap();
            }
        }
    }
}
