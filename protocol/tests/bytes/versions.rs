//! New fields are prepended, so an old reader finds its own root in the last bytes of a newer body.

use protocol::body::message::SendText;
use protocol::body::session::Done;
use protocol::body::{encode, ingest, read};
use protocol::{Code, Frame, Kind};
use rkyv::rancor::Failure;
use rkyv::{Archive, Deserialize, Serialize};

/// SEND_TEXT as a later version could be.
#[derive(Archive, Serialize, Deserialize)]
struct SendTextV2 {
    mentions: Vec<u64>,
    subject: String,
    channel: u128,
    text: String,
}

#[test]
fn a_v1_reader_reads_a_v2_body() {
    for text in ["short", "longer than eight bytes"] {
        let newer = SendTextV2 {
            mentions: vec![1, 2],
            subject: "what it is about".to_owned(),
            channel: 77,
            text: text.to_owned(),
        };
        let body = rkyv::to_bytes::<Failure>(&newer).unwrap();
        let frame = Frame::build(Kind::SEND_TEXT, 2, 5, &body);
        assert_eq!(read::<SendText>(&frame), Some(SendText { channel: 77, text: text.to_owned() }));
        let refusal =
            ingest::<SendText>(&frame).err().expect("a server takes no version that it does not know");
        assert_eq!(refusal.code, Code::UnknownVersion);
        // Under the old version's number the same bytes are not the canonical encoding of anything.
        let frame = Frame::build(Kind::SEND_TEXT, 1, 5, &body);
        assert_eq!(ingest::<SendText>(&frame).err().map(|refusal| refusal.code), Some(Code::NotCanonical));
    }
}

#[test]
fn a_flat_root_is_read_from_the_last_bytes() {
    let frame = Frame::build(Kind::DONE, 2, 5, &[9, 9, 9, 0x03, 0x02]);
    assert_eq!(read::<Done>(&frame), Some(Done { kind: 0x0203 }));
    assert_eq!(read::<Done>(&Frame::build(Kind::DONE, 1, 5, &[1])), None);
    assert_eq!(read::<Done>(&encode(5, &Done { kind: 7 })), Some(Done { kind: 7 }));
}
