use protocol::{DeviceId, UserId};

use super::*;

use protocol::body::{encode, read, session, sync};
use protocol::hello::{Hello, Reauth};
use protocol::limits::FRAME_BYTES_MAX;
use protocol::token::{Claims, Key, sign};
use protocol::ws::{Opcode, encode_header, mask};
use protocol::{Code, Frame, FramingFault, Header, Kind};

use crate::SLICES_MAX;

mod bounds;
mod proxied;

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASK: [u8; 4] = [1, 2, 3, 4];

fn keys() -> [Key; 1] {
    [Key { id: 1, secret: [5; 32] }]
}

fn moment(keys: &[Key]) -> Moment<'_> {
    Moment { now_ms: 1000, wall_ms: 50_000, close_ms: 500, keys, rules: &protocol::web::ANYBODY }
}

fn token(user: u64, device: u64, expires_ms: u64) -> String {
    sign(&keys()[0], &Claims { user: UserId(user), device: DeviceId(device), expires_ms, issued_ms: 1 })
}

fn hello(token: String) -> Frame {
    encode(77, &session::Hello { generation: 3, cursor: 4, token })
}

fn heartbeat(time_ms: u64) -> Frame {
    encode(0, &session::Heartbeat { time_ms })
}

fn ws(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let (mut header, len) = encode_header(Opcode::Binary, payload.len(), Some(MASK));
    header[0] = 0x80 | opcode;
    let mut bytes = header[..len].to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask(&mut bytes[start..], MASK, 0);
    bytes
}

fn message(frames: &[Frame]) -> Vec<u8> {
    let payload: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes().to_vec()).collect();
    ws(2, &payload)
}

fn output(connection: &mut Connection) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = connection.poll_transmit(&mut slices);
        if count == 0 {
            assert!(!connection.has_output());
            return out;
        }
        let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
        connection.advance(bytes.len());
        out.extend(bytes);
    }
}

/// What a client sees of the output behind the 101 response: frames and the close code.
fn seen(out: &[u8]) -> (Vec<Frame>, Option<u16>) {
    let start = out.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(out.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(out));
    let (mut frames, mut close) = (Vec::new(), None);
    let mut decoder = Decoder::new(Role::Client, WS_MESSAGE_BYTES_MAX);
    let mut rest = out[start..].to_vec();
    decoder
        .push(&mut rest, &mut |event| {
            match event {
                ws::Event::Message(mut bytes) => {
                    while let Some(header) = Header::read(bytes) {
                        let (frame, rest) = bytes.split_at(header.frame_bytes());
                        frames.push(Frame::new(Bytes::copy_from_slice(frame)).unwrap());
                        bytes = rest;
                    }
                    assert!(bytes.is_empty());
                }
                ws::Event::Close { code, .. } => close = code,
                _ => {}
            }
            true
        })
        .unwrap();
    (frames, close)
}

/// Feeds `bytes` in pieces, holding after Hello and going on at once if `hold` says so.
fn feed(connection: &mut Connection, bytes: &[u8], piece: usize, hold: bool) -> Vec<Event> {
    let keys = keys();
    let mut events = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut sink = |event: Event| {
            let is_hello = matches!(event, Event::Hello(_));
            events.push(event);
            if hold && is_hello { Flow::Hold } else { Flow::More }
        };
        connection.on_bytes(&moment(&keys), &mut piece.to_vec(), &mut sink);
        if connection.is_held() {
            connection.resume(&moment(&keys), &mut sink);
        }
    }
    events
}

/// The output after `bytes`, as frames and close code.
fn answer(bytes: &[u8]) -> (Vec<Event>, Vec<Frame>, Option<u16>) {
    let mut connection = Connection::new(11_000);
    let events = feed(&mut connection, &[REQUEST.as_bytes(), bytes].concat(), usize::MAX, false);
    let (frames, close) = seen(&output(&mut connection));
    assert_eq!(close.is_some(), connection.is_written_out());
    (events, frames, close)
}

fn refused(frames: &[Frame]) -> Vec<(u64, Code)> {
    let code = |frame: &Frame| {
        let reject: session::Reject = read(frame).unwrap();
        (frame.header().id, Code::from_number(reject.code).unwrap())
    };
    frames.iter().map(code).collect()
}

#[test]
fn a_connection_is_small() {
    assert!(size_of::<Connection>() <= 256, "{}", size_of::<Connection>());
}

#[test]
fn any_split_gives_the_same_events_also_when_held_after_hello() {
    let stream = [
        REQUEST.as_bytes().to_vec(),
        ws(9, b"ping"),
        message(&[hello(token(7, 8, 60_000)), heartbeat(1), heartbeat(2)]),
        message(&[heartbeat(3), encode(5, &session::Reauth { token: token(7, 8, 70_000) })]),
        message(&[heartbeat(4)]),
    ]
    .concat();
    let cursor = protocol::Cursor { generation: protocol::Generation(3), at: protocol::InboxSeq(4) };
    let hello =
        Hello { user: UserId(7), device: DeviceId(8), cursor, id: 77, expires_ms: 60_000, issued_ms: 1 };
    let expected = vec![
        Event::Hello(hello),
        Event::Frame(heartbeat(1)),
        Event::Frame(heartbeat(2)),
        Event::Frame(heartbeat(3)),
        Event::Reauth(Reauth { id: 5, expires_ms: 70_000, issued_ms: 1 }),
        Event::Frame(heartbeat(4)),
    ];
    for piece in (1..80).chain([stream.len() - 1, stream.len()]) {
        for hold in [false, true] {
            let mut connection = Connection::new(11_000);
            assert_eq!(feed(&mut connection, &stream, piece, hold), expected, "pieces of {piece}");
            assert!(connection.is_live() && !connection.is_finished());
            assert_eq!(connection.next_deadline(), None);
            assert_eq!(connection.decoder.held_bytes(), 0);
            assert!(connection.state.rare.is_none(), "an idle connection owns no memory");
            let out = output(&mut connection);
            assert_eq!(seen(&out), (vec![], None));
            assert!(out.ends_with(b"\x8a\x04ping"));
        }
    }
}

#[test]
fn every_two_part_split_gives_the_same_events() {
    let stream = [
        REQUEST.as_bytes().to_vec(),
        message(&[hello(token(7, 8, 60_000)), heartbeat(1)]),
        message(&[heartbeat(2)]),
    ]
    .concat();
    let keys = keys();
    for at in 0..=stream.len() {
        let mut connection = Connection::new(11_000);
        let mut count = 0;
        for part in [&stream[..at], &stream[at..]] {
            connection.on_bytes(&moment(&keys), &mut part.to_vec(), &mut |_| {
                count += 1;
                Flow::More
            });
        }
        assert_eq!(count, 3, "split at {at}");
    }
}

#[test]
fn a_held_connection_keeps_input_until_it_is_resumed() {
    let keys = keys();
    let mut connection = Connection::new(11_000);
    feed(
        &mut connection,
        &[REQUEST.as_bytes(), &message(&[hello(token(7, 8, 60_000))])].concat(),
        999,
        false,
    );
    connection.hold();
    assert_eq!(feed_held(&mut connection, &message(&[heartbeat(1)])), 0);
    assert_eq!(feed_held(&mut connection, &message(&[heartbeat(2)])), 0);
    let mut events = Vec::new();
    connection.resume(&moment(&keys), &mut |event| {
        events.push(event);
        Flow::More
    });
    assert_eq!(events, [Event::Frame(heartbeat(1)), Event::Frame(heartbeat(2))]);
}

fn feed_held(connection: &mut Connection, bytes: &[u8]) -> usize {
    let keys = keys();
    let mut count = 0;
    connection.on_bytes(&moment(&keys), &mut bytes.to_vec(), &mut |_| {
        count += 1;
        Flow::More
    });
    count
}

#[test]
fn a_first_frame_that_is_no_good_hello_is_refused_and_ends_the_connection() {
    let stranger = sign(
        &Key { id: 9, secret: [5; 32] },
        &Claims { user: UserId(1), device: DeviceId(1), expires_ms: 90_000, issued_ms: 1 },
    );
    let forged = sign(
        &Key { id: 1, secret: [6; 32] },
        &Claims { user: UserId(1), device: DeviceId(1), expires_ms: 90_000, issued_ms: 1 },
    );
    for (frame, code) in [
        (Frame::build(Kind::HEARTBEAT, 1, 77, heartbeat(1).body()), Code::Unauthenticated),
        (Frame::build(Kind(0x7777), 1, 77, b""), Code::Unauthenticated),
        (hello("nonsense".into()), Code::Unauthenticated),
        (hello(stranger), Code::Unauthenticated),
        (hello(forged), Code::Unauthenticated),
        (hello(token(7, 8, 50_000)), Code::Expired),
        (hello(String::new()), Code::Limit),
        (Frame::build(Kind::HELLO, 2, 77, hello(token(7, 8, 60_000)).body()), Code::UnknownVersion),
        (Frame::build(Kind::HELLO, 1, 77, b"xyz"), Code::Malformed),
    ] {
        let (events, frames, close) = answer(&message(&[frame, heartbeat(1)]));
        assert_eq!(events, [Event::Refused(code)], "whoever counts is told");
        assert_eq!(refused(&frames), [(77, code)]);
        assert_eq!(close, Some(4001));
    }
}

#[test]
fn each_breach_has_its_close_code() {
    let stamped = heartbeat(1)
        .stamp(protocol::Stamp { seq: protocol::Seq(1), time_ms: 1, sender: UserId(1) })
        .into_bytes();
    let mut huge = heartbeat(1).bytes().to_vec();
    huge[..4].copy_from_slice(&(FRAME_BYTES_MAX as u32).to_le_bytes());
    let mut version_0 = heartbeat(1).bytes().to_vec();
    version_0[6] = 0;
    assert_eq!(Frame::new(Bytes::from(version_0.clone())), Err(FramingFault::VersionZero));
    let left_over = [heartbeat(1).bytes(), &b"x"[..]].concat();
    for (bytes, code) in [
        (ws(1, b"text"), 1003),
        (ws(2, &left_over), 1002),
        (ws(2, b""), 1002),
        (ws(2, &heartbeat(1).bytes()[..20]), 1002),
        (ws(2, &huge), 1009),
        (ws(2, &stamped), 1002),
        (ws(2, &version_0), 1002),
        (ws(3, b""), 1002),
        (vec![0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0], 1009),
        (vec![0x82, 0x01, 0], 1002),
        (ws(8, &1000_u16.to_be_bytes()), 1000),
    ] {
        let (_, frames, close) = answer(&[message(&[hello(token(7, 8, 60_000))]), bytes.clone()].concat());
        assert_eq!((frames.len(), close), (0, Some(code)), "{bytes:?}");
    }
}

#[test]
fn reauth_takes_only_the_same_user_and_device() {
    let reauth = |token: String| encode(6, &session::Reauth { token });
    let first = hello(token(7, 8, 60_000));
    let (events, frames, close) = answer(&message(&[
        first.clone(),
        reauth(token(7, 9, 60_000)),
        reauth(token(9, 8, 60_000)),
        reauth("x".into()),
        first.clone(),
        heartbeat(1),
    ]));
    let told: Vec<_> = events.iter().filter(|event| !matches!(event, Event::Refused(_))).collect();
    assert_eq!((told.len(), events.len()), (2, 6), "Hello, the heartbeat, and four refusals");
    let expected =
        [(6, Code::Forbidden), (6, Code::Forbidden), (6, Code::Unauthenticated), (77, Code::Forbidden)];
    assert_eq!(refused(&frames), expected);
    assert_eq!(close, None);
    let mut many = vec![first];
    many.extend((0..40).map(|_| reauth("x".into())));
    let (_, frames, close) = answer(&message(&many));
    assert_eq!((frames.len(), close), (32, Some(4007)));
}

#[test]
fn bytes_before_hello_are_bounded() {
    let keys = keys();
    for (pings, ends) in [(100, false), (200, true)] {
        let mut connection = Connection::new(11_000);
        let stream = [REQUEST.as_bytes().to_vec(), ws(9, &[1; 120]).repeat(pings)].concat();
        assert_eq!(stream.len() > UNAUTHENTICATED_BYTES_MAX, ends);
        for piece in stream.chunks(1000) {
            connection.on_bytes(&moment(&keys), &mut piece.to_vec(), &mut |_| panic!("nothing was said"));
            output(&mut connection);
        }
        assert_eq!(connection.close_code(), ends.then_some(CloseCode::HelloTimeout));
    }
}

#[test]
fn pongs_are_bounded() {
    let mut connection = Connection::new(11_000);
    feed(&mut connection, &[REQUEST.as_bytes().to_vec(), ws(9, &[1; 120]).repeat(100)].concat(), 999, false);
    assert!(connection.queued_bytes() <= PONG_BYTES_MAX);
}

#[test]
fn deadlines_end_silence_and_unanswered_closes() {
    let keys = keys();
    let mut at = moment(&keys);
    let mut silent = Connection::new(11_000);
    silent.on_deadline(&at);
    assert!(!silent.is_finished(), "too early");
    at.now_ms = 11_000;
    silent.on_deadline(&at);
    assert!(silent.is_finished(), "no request was made, so none is answered");

    let mut upgraded = Connection::new(11_000);
    feed(&mut upgraded, REQUEST.as_bytes(), 999, false);
    upgraded.on_deadline(&at);
    assert_eq!(seen(&output(&mut upgraded)), (vec![], Some(4002)));
    assert!(upgraded.is_written_out() && !upgraded.is_finished());
    assert_eq!(upgraded.next_deadline(), Some(11_500));
    at.now_ms = 11_500;
    upgraded.on_deadline(&at);
    assert!(upgraded.is_finished());
}

#[test]
fn a_close_flushes_what_is_queued_and_waits_for_the_answer() {
    let keys = keys();
    let mut connection = Connection::new(11_000);
    feed(
        &mut connection,
        &[REQUEST.as_bytes(), &message(&[hello(token(7, 8, 60_000))])].concat(),
        999,
        false,
    );
    connection.transmit(heartbeat(9).into_bytes());
    connection.close(&moment(&keys), CloseCode::Replaced);
    connection.transmit(heartbeat(10).into_bytes());
    assert_eq!(seen(&output(&mut connection)), (vec![heartbeat(9)], Some(4003)));
    assert!(!connection.is_finished());
    let late = [message(&[heartbeat(1)]), ws(8, &4003_u16.to_be_bytes())].concat();
    assert_eq!(feed(&mut connection, &late, 3, false), []);
    assert!(connection.is_finished());
}

#[test]
fn other_requests_are_answered_and_ended() {
    let mut connection = Connection::new(11_000);
    feed(&mut connection, b"GET /other HTTP/1.1\r\nHost: a\r\n\r\ntrailing", 5, false);
    let out = String::from_utf8(output(&mut connection)).unwrap();
    assert!(out.starts_with("HTTP/1.1 404 Not Found\r\n"), "{out}");
    assert!(connection.is_written_out() && !connection.is_finished());
    assert_eq!(connection.next_deadline(), Some(1500));
    connection.on_end();
    assert!(connection.is_finished());
}

#[test]
fn a_large_frame_comes_whole() {
    let text = encode(1, &sync::CursorAck { generation: 1, cursor: 1 });
    let big = Frame::build(Kind::MEMBERS, 1, 4, &vec![3; 400_000]);
    let stream =
        [REQUEST.as_bytes().to_vec(), message(&[hello(token(7, 8, 60_000)), text.clone(), big.clone()])]
            .concat();
    let mut connection = Connection::new(11_000);
    let events = feed(&mut connection, &stream[..300], 300, true);
    assert!(events.is_empty(), "a message is told when it is whole");
    let mut connection = Connection::new(11_000);
    let parts = [
        REQUEST.as_bytes().to_vec(),
        message(&[hello(token(7, 8, 60_000))]),
        message(&[text.clone(), big.clone()]),
    ];
    let events = feed(&mut connection, &parts.concat(), 10_000, true);
    assert_eq!(events[1..], [Event::Frame(text), Event::Frame(big)]);
    assert_eq!(connection.decoder.held_bytes(), 0);
}
