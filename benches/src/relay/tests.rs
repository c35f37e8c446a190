use super::*;
use bytes::Bytes;
use protocol::body::message::SendText;
use protocol::token::{Claims, Key, sign};
use protocol::ws::{Decoder, Event, Role};
use protocol::{DeviceId, Seq, UserId};

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn masked(frame: &Frame) -> Vec<u8> {
    let key = [1, 2, 3, 4];
    let (header, len) = encode_header(Opcode::Binary, frame.bytes().len(), Some(key));
    let mut payload = frame.bytes().to_vec();
    mask(&mut payload, key, 0);
    [&header[..len], &payload].concat()
}

fn hello(user: u64) -> Frame {
    let claims = Claims { user: UserId(user), device: DeviceId(user), expires_ms: 1, issued_ms: 1 };
    let token = sign(&Key { id: 1, secret: [0; 32] }, &claims);
    body::encode(9, &Hello { generation: 0, cursor: 0, token })
}

fn taken(relay: &mut Relay, conn: usize) -> Vec<Frame> {
    let mut bytes = std::mem::take(relay.output(conn).unwrap());
    let mut frames = Vec::new();
    let mut sink = |event: Event<'_>| {
        let Event::Message(message) = event else { panic!("{event:?}") };
        frames.push(Frame::new(Bytes::copy_from_slice(message)).unwrap());
        true
    };
    assert_eq!(Decoder::new(Role::Client, 1 << 20).push(&mut bytes, &mut sink), Ok(bytes.len()));
    frames
}

fn joined(relay: &mut Relay, user: u64) -> usize {
    let conn = relay.open();
    // A byte at a time: nothing depends on how the kernel cuts.
    for byte in [REQUEST.as_bytes(), &masked(&hello(user))].concat() {
        relay.take(conn, &mut [byte]).unwrap();
    }
    let output = relay.output(conn).unwrap();
    assert!(output.starts_with(b"HTTP/1.1 101 "));
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    output.drain(..end + 4);
    let kinds: Vec<_> = taken(relay, conn).iter().map(Frame::kind).collect();
    assert_eq!(kinds, [Kind::WELCOME, Kind::COMPLETE]);
    while relay.next_dirty().is_some() {}
    conn
}

#[test]
fn the_sender_gets_an_ack_and_the_other_the_message() {
    let mut relay = Relay::default();
    let (ann, bob) = (joined(&mut relay, 1), joined(&mut relay, 2));
    let channel = ChannelId::direct(UserId(1), UserId(2));
    for seq in 1..=3 {
        let sent = body::encode(70 + seq, &SendText { channel: channel.0, text: "안녕하세요".into() });
        relay.take(ann, &mut masked(&sent)).unwrap();
        let dirty: Vec<_> = std::iter::from_fn(|| relay.next_dirty()).collect();
        assert_eq!(dirty, [bob, ann]);
        let ack = taken(&mut relay, ann);
        let expected = body::encode(70 + seq, &SendAck { channel: channel.0, seq, time_ms: TIME_MS });
        assert_eq!(ack, [expected]);
        let stamp = protocol::Stamp { seq: Seq(seq), time_ms: TIME_MS, sender: UserId(1) };
        assert_eq!(taken(&mut relay, bob), [sent.stamp(stamp)]);
    }
}

#[test]
fn a_group_reaches_all_but_the_sender() {
    let mut relay = Relay::default();
    let conns: Vec<_> = (1..=5).map(|user| joined(&mut relay, user)).collect();
    let channel = ChannelId::group(UserId(1), protocol::SendId(7)).0;
    let group = CreateGroup { channel, name: "g".into(), members: vec![2, 3, 4, 5] };
    relay.take(conns[0], &mut masked(&body::encode(7, &group))).unwrap();
    let sent = body::encode(8, &SendText { channel, text: "x".into() });
    relay.take(conns[2], &mut masked(&sent)).unwrap();
    let seqs = |frames: Vec<Frame>| -> Vec<_> {
        frames.iter().map(|frame| frame.read_stamp().map(|stamp| stamp.seq.0)).collect()
    };
    assert_eq!(seqs(taken(&mut relay, conns[0])), [None, Some(2)]);
    assert_eq!(seqs(taken(&mut relay, conns[1])), [Some(1), Some(2)]);
    assert_eq!(seqs(taken(&mut relay, conns[2])), [Some(1), None]);
}

#[test]
fn a_number_comes_again_after_a_close() {
    let mut relay = Relay::default();
    let first = joined(&mut relay, 1);
    relay.close(first);
    relay.close(first);
    assert_eq!(relay.open(), first);
    assert_ne!(relay.open(), first);
    assert_eq!(relay.take(first, &mut [b'x'; 9000]), Err(Broken));
}
