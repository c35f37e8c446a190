//! New fields are prepended, so an old reader finds its own root in the last bytes of a newer body.

use protocol::body::message::{SendText, channel_of_checked};
use protocol::body::session::Done;
use protocol::body::talk::{SendTextV2, Talk};
use protocol::body::{encode, ingest, read};
use protocol::{ChannelId, Code, Frame, Kind, Seq, Stamp, UserId};
use rkyv::rancor::Failure;
use rkyv::{Archive, Deserialize, Serialize};

/// SEND_TEXT as another later version could be.
#[derive(Archive, Serialize, Deserialize)]
struct Later {
    mentions: Vec<u64>,
    subject: String,
    channel: u128,
    text: String,
}

#[test]
fn a_v1_reader_reads_a_v2_body() {
    for text in ["short", "longer than eight bytes"] {
        let newer = Later {
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

/// What only wants channel and text reads both versions alike, and only the other one pays for being more.
#[test]
fn a_text_of_version_2_ends_with_version_1() {
    let talk = Talk { reply_to: Some(Seq(7)), mentions: vec![UserId(3)], ..Talk::default() };
    let channel = ChannelId(77);
    for text in ["short", "longer than eight bytes"] {
        let sent = encode(5, &talk.text(channel, text));
        let plain = SendText { channel: 77, text: text.to_owned() };
        assert!(ingest::<SendTextV2>(&sent).is_ok());
        assert_eq!(read::<SendText>(&sent), Some(plain.clone()));
        let stored = sent.stamp(Stamp { seq: Seq(9), time_ms: 1, sender: UserId(4) });
        assert_eq!(channel_of_checked(&stored), Some(channel));
        assert_eq!(Talk::read(&stored), Some(talk.clone()));
        assert_eq!(Talk::read(&encode(5, &plain)), None);
        assert_eq!(Talk::read(&encode(5, &Talk::default().text(channel, text))), None, "nothing is said");
    }
}
