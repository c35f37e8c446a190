//! Headers and whole frames: every fault, and the header at its limits.

use bytes::Bytes;
use protocol::limits::{FRAME_BYTES_MAX, HEADER_BYTES, STAMP_BYTES};
use protocol::{CloseCode, Frame, FramingFault, Header, Kind, Seq, Stamp, UserId};

fn header(len: usize, kind: u16, version: u8, flags: u8) -> Header {
    Header { len: len as u32, kind: Kind(kind), version, flags, id: 9 }
}

#[test]
fn golden_header() {
    let mut bytes = Vec::new();
    Header { len: 0x0102, kind: Kind::SEND_TEXT, version: 1, flags: 1, id: 0x1122_3344_5566_7788 }
        .write(&mut bytes);
    assert_eq!(bytes, [0x02, 0x01, 0, 0, 0x01, 0x01, 1, 1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
    for len in 0..HEADER_BYTES {
        assert_eq!(Header::read(&bytes[..len]), None);
    }
}

#[test]
fn every_header_fault() {
    assert_eq!(header(5, 0x0204, 1, 0).check(), Ok(()));
    for flag in 1..8 {
        assert_eq!(header(5, 0x0204, 1, 1 << flag).check(), Err(FramingFault::UnknownFlag));
    }
    assert_eq!(header(STAMP_BYTES - 1, 0x0101, 1, 1).check(), Err(FramingFault::BadStamp));
    assert_eq!(header(STAMP_BYTES, 0x0101, 1, 1).check(), Ok(()));
    assert_eq!(header(5, 0x0204, 0, 0).check(), Err(FramingFault::VersionZero));
    assert_eq!(header(u32::MAX as usize, 0x0204, 1, 0).check(), Err(FramingFault::TooLarge));
    assert_eq!(FramingFault::TooLarge.close_code(), CloseCode::TooBig);
    assert_eq!(FramingFault::UnknownFlag.close_code(), CloseCode::Protocol);
    assert_eq!(FramingFault::WrongLength.close_code(), CloseCode::Protocol);
}

#[test]
fn every_kind_at_its_maximum_and_one_above() {
    for (kind, name) in Kind::ALL {
        let max = kind.body_bytes_max();
        assert!(HEADER_BYTES + STAMP_BYTES + max <= FRAME_BYTES_MAX, "{name}");
        assert_eq!(header(max, kind.0, 1, 0).check(), Ok(()), "{name}");
        assert_eq!(header(max + 1, kind.0, 1, 0).check(), Err(FramingFault::TooLarge), "{name}");
        assert_eq!(header(max + STAMP_BYTES, kind.0, 1, 1).check(), Ok(()), "{name}");
        assert_eq!(
            header(max + STAMP_BYTES + 1, kind.0, 1, 1).check(),
            Err(FramingFault::TooLarge),
            "{name}"
        );
    }
}

#[test]
fn an_unknown_kind_may_be_as_large_as_a_frame() {
    let max = FRAME_BYTES_MAX - HEADER_BYTES;
    assert_eq!(header(max, 0x7777, 1, 1).check(), Ok(()));
    assert_eq!(header(max + 1, 0x7777, 1, 1).check(), Err(FramingFault::TooLarge));
}

#[test]
fn a_frame_is_exactly_its_bytes() {
    let whole = Frame::build(Kind::HEARTBEAT, 1, 3, &[0; 8]).into_bytes();
    assert!(Frame::new(whole.clone()).is_ok());
    for len in 0..whole.len() {
        assert_eq!(Frame::new(whole.slice(..len)), Err(FramingFault::WrongLength));
    }
    let longer = Bytes::from([whole.as_ref(), &[0]].concat());
    assert_eq!(Frame::new(longer), Err(FramingFault::WrongLength));
}

#[test]
fn a_message_is_whole_frames() {
    let first = Frame::build(Kind::HEARTBEAT, 1, 3, &[0; 8]);
    let second = Frame::build(Kind::LEAVE_GROUP, 1, 4, &[1; 16]);
    let message = Bytes::from([first.bytes(), second.bytes()].concat());
    let mut rest = message.clone();
    assert_eq!(Frame::take(&mut rest), Ok(Some(first.clone())));
    assert_eq!(Frame::take(&mut rest), Ok(Some(second)));
    assert_eq!(Frame::take(&mut rest), Ok(None));
    for len in first.bytes().len() + 1..message.len() {
        let mut rest = message.slice(..len);
        assert_eq!(Frame::take(&mut rest), Ok(Some(first.clone())));
        assert_eq!(Frame::take(&mut rest), Err(FramingFault::WrongLength));
    }
}

#[test]
fn a_stamp_leaves_header_id_and_body_alone() {
    let sent = Frame::build(Kind::SEND_TEXT, 1, 77, b"the body");
    assert_eq!(sent.read_stamp(), None);
    let stamp = Stamp { seq: Seq(5), time_ms: 6, sender: UserId(7) };
    let message = sent.clone().stamp(stamp);
    assert_eq!(message.read_stamp(), Some(stamp));
    assert_eq!(message.body(), sent.body());
    assert_eq!(message.send_id(), sent.send_id());
    assert_eq!(message.fingerprint(), sent.fingerprint());
    assert_eq!(message.header().len as usize, STAMP_BYTES + 8);
    assert_eq!(Frame::new(message.to_bytes()), Ok(message));
}
