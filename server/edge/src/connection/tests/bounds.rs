//! What a peer may send that carries nothing, or too much of it.

use super::*;
use crate::limits::CONTROL_FRAMES_MAX;
use protocol::limits::WS_MESSAGE_FRAMES_MAX;

fn live() -> Connection {
    let mut connection = Connection::new(9000);
    let bytes = [REQUEST.as_bytes().to_vec(), message(&[hello(token(7, 8, 60_000))])].concat();
    feed(&mut connection, &bytes, usize::MAX, false);
    assert!(connection.is_live());
    connection
}

fn at(connection: &mut Connection, now_ms: u64, bytes: &[u8]) -> usize {
    let keys = keys();
    let moment = Moment { now_ms, ..moment(&keys) };
    let mut frames = 0;
    connection.on_bytes(&moment, &mut bytes.to_vec(), &mut |event| {
        frames += usize::from(matches!(event, Event::Frame(_)));
        Flow::More
    });
    frames
}

/// A fragment without bytes that does not end its message.
fn empty(opcode: u8) -> Vec<u8> {
    let mut bytes = ws(opcode, b"");
    bytes[0] &= 0x7f;
    bytes
}

#[test]
fn a_message_of_too_many_frames_is_closed_with_1009() {
    for (count, close) in
        [(WS_MESSAGE_FRAMES_MAX, None), (WS_MESSAGE_FRAMES_MAX + 1, Some(CloseCode::TooBig))]
    {
        let frames: Vec<_> = (0..count).map(|_| heartbeat(1)).collect();
        let mut connection = live();
        assert_eq!(at(&mut connection, 1000, &message(&frames)), WS_MESSAGE_FRAMES_MAX);
        assert_eq!(connection.close_code(), close);
    }
}

#[test]
fn a_flood_of_pings_or_empty_fragments_is_closed() {
    let most = usize::from(CONTROL_FRAMES_MAX);
    for (first, piece) in [(Vec::new(), ws(9, b"x")), (Vec::new(), ws(10, b"")), (empty(2), empty(0))] {
        let mut connection = live();
        let count = most - usize::from(!first.is_empty());
        at(&mut connection, 5000, &[first, piece.repeat(count)].concat());
        assert_eq!(connection.close_code(), None, "at the bound");
        at(&mut connection, 5999, &piece);
        assert_eq!(connection.close_code(), Some(CloseCode::TooManyFaults), "above it");
        assert!(!connection.is_live());
        // What is behind is not even looked at.
        let pongs = connection.queued_bytes();
        at(&mut connection, 5999, &ws(9, b"more").repeat(100));
        assert_eq!(connection.queued_bytes(), pongs);
    }
}

#[test]
fn messages_in_between_are_no_excuse() {
    let mut connection = live();
    let both = [ws(9, b""), message(&[heartbeat(1)])].concat();
    at(&mut connection, 5000, &both.repeat(usize::from(CONTROL_FRAMES_MAX) + 1));
    assert_eq!(connection.close_code(), Some(CloseCode::TooManyFaults));
}

#[test]
fn a_ping_a_second_is_never_too_many() {
    let mut connection = live();
    for second in 0..100_000 {
        at(&mut connection, second * 1000, &ws(9, b"still here"));
        output(&mut connection);
    }
    // Those of 75 seconds without a network, at once; and an end without bytes is no empty fragment.
    at(&mut connection, 200_000_000, &ws(9, b"").repeat(75));
    let mut begun = message(&[heartbeat(3)]);
    begun[0] &= 0x7f;
    let whole = [begun, ws(0, b"")].concat();
    assert_eq!(at(&mut connection, 200_000_100, &whole.repeat(500)), 500);
    assert_eq!(connection.close_code(), None);
}
