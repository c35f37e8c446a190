//! Batches and row values: golden bytes, round trips, and strictness.

use bytes::Bytes;
use proptest::prelude::*;
use protocol::commit::{
    AccountRow, Batch, BatchFault, ChannelRow, DeviceRow, Interval, IntervalRow, MemberRow, PositionRow, Row,
};
use protocol::{ChannelId, Cursor, DeviceId, Frame, Generation, InboxSeq, Kind, Seq, Stamp, StoreId, UserId};

use crate::checks;

fn message(seq: u64, body: &[u8]) -> Frame {
    let stamp = Stamp { seq: Seq(seq), time_ms: 3, sender: UserId(4) };
    Frame::build(Kind::SEND_TEXT, 1, 5, body).stamp(stamp)
}

/// One row of every tag, in the order of tags.
fn one_of_each() -> Batch {
    let (user, device, channel, seq) = (UserId(0x11), DeviceId(0x22), ChannelId(0x33), Seq(0x44));
    let interval = |joined, left: Option<u64>| Interval { joined: Seq(joined), left: left.map(Seq) };
    let rows = vec![
        Row::Message { channel, seq, frame: message(0x44, b"hi") },
        Row::Channel { channel, row: ChannelRow { name: "마루".to_owned() } },
        Row::Member {
            channel,
            user,
            row: MemberRow { role: 2, intervals: vec![interval(1, Some(5)), interval(9, None)] },
        },
        Row::Joined { user, channel, joined: seq },
        Row::Left { user, channel, left: seq },
        Row::Read { user, channel, seq },
        Row::Pointer { user, at: InboxSeq(0x55), channel, seq },
        Row::Device {
            user,
            device,
            row: DeviceRow { cursor: Cursor { generation: Generation(6), at: InboxSeq(7) }, seen_ms: 8 },
        },
        Row::DeviceGone { user, device },
        Row::Account { user, row: AccountRow { created_ms: 10 } },
        Row::Fanout { number: 11, messages: vec![(channel, seq), (channel, Seq(0x45))] },
        Row::Applied { source: StoreId(12), through: 13 },
        Row::TrimFanout { below: 14 },
        Row::Interval {
            channel,
            user,
            joined: seq,
            row: IntervalRow { number: 3, role: 2, left: Some(Seq(0x66)), name: "마루".to_owned() },
        },
        Row::Position { channel, user, row: PositionRow { read: seq, delivered: Seq(0x77) } },
    ];
    Batch { store: StoreId(0x0102), number: 0x0304, rows }
}

/// Made by hand from the description in `commit/encoding.rs`, not by the encoder.
const GOLDEN: &str = "
    01020104030000000000000f000000
    01420000003300000000000000000000000000000044000000000000001a0000000101010105000000000000004400000000
    000000030000000000000004000000000000006869
    02170000003300000000000000000000000000000001eba788eba3a8
    033a000000330000000000000000000000000000001100000000000000010201000000000000000500000000000000090000
    00000000000000000000000000
    04200000001100000000000000330000000000000000000000000000004400000000000000
    05200000001100000000000000330000000000000000000000000000004400000000000000
    06200000001100000000000000330000000000000000000000000000004400000000000000
    072800000011000000000000005500000000000000330000000000000000000000000000004400000000000000
    08290000001100000000000000220000000000000001060000000000000007000000000000000800000000000000
    091000000011000000000000002200000000000000
    0a110000001100000000000000010a00000000000000
    0b380000000b0000000000000033000000000000000000000000000000440000000000000033000000000000000000000000
    0000004500000000000000
    0c0a0000000c000d00000000000000
    0d080000000e00000000000000
    0e3400000033000000000000000000000000000000110000000000000044000000000000000103000000026600000000
    000000eba788eba3a8
    0f290000003300000000000000000000000000000011000000000000000144000000000000007700000000000000
";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_bytes() {
    let encoded = one_of_each().encode();
    assert_eq!(hex(&encoded), GOLDEN.split_whitespace().collect::<String>());
    assert_eq!(Batch::decode(&encoded), Ok(one_of_each()));
}

#[test]
fn golden_values() {
    assert_eq!(hex(&ChannelRow { name: "ab".to_owned() }.encode()), "016162");
    assert_eq!(hex(&AccountRow { created_ms: 258 }.encode()), "010201000000000000");
    let device = DeviceRow { cursor: Cursor { generation: Generation(1), at: InboxSeq(2) }, seen_ms: 3 };
    assert_eq!(hex(&device.encode()), "01010000000000000002000000000000000300000000000000");
    let member = MemberRow { role: 1, intervals: vec![Interval { joined: Seq(4), left: None }] };
    assert_eq!(hex(&member.encode()), "010104000000000000000000000000000000");
    let interval = IntervalRow { number: 1, role: 2, left: None, name: String::new() };
    assert_eq!(hex(&interval.encode()), "0101000000020000000000000000");
    let position = PositionRow { read: Seq(258), delivered: Seq(3) };
    assert_eq!(hex(&position.encode()), "0102010000000000000300000000000000");
}

#[test]
fn a_row_weighs_what_its_encoding_has() {
    for row in one_of_each().rows {
        let weighed = row.encoded_bytes();
        let batch = Batch { store: StoreId(0), number: 1, rows: vec![row] };
        assert_eq!(batch.encode().len(), 15 + weighed, "{batch:?}");
    }
}

#[test]
fn every_cut_and_every_left_over_byte_is_refused() {
    let encoded = one_of_each().encode();
    for len in 0..encoded.len() {
        assert_eq!(Batch::decode(&encoded[..len]), Err(BatchFault::Truncated), "cut at {len}");
    }
    let longer = [encoded.as_ref(), &[0]].concat();
    assert_eq!(Batch::decode(&longer), Err(BatchFault::LeftOver));
}

#[test]
fn unknown_versions_and_tags_are_refused_by_name() {
    let mut bytes = one_of_each().encode().to_vec();
    bytes[0] = 2;
    assert_eq!(Batch::decode(&bytes), Err(BatchFault::UnknownVersion(2)));
    for tag in [0, 16, 255] {
        let bytes = [&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, tag][..], &[0; 4]].concat();
        assert_eq!(Batch::decode(&bytes), Err(BatchFault::UnknownTag(tag)));
    }
}

#[test]
fn a_row_must_be_exactly_its_fields() {
    for row in one_of_each().rows {
        // A fan-out row is as long as its list, a channel's name may be anything.
        let whole = Batch { store: StoreId(1), number: 1, rows: vec![row.clone()] }.encode();
        let tag = whole[15];
        for len in 0..whole.len() - 20 {
            let mut cut = whole[..20 + len].to_vec();
            cut[16..20].copy_from_slice(&(len as u32).to_le_bytes());
            match Batch::decode(&cut) {
                Err(fault) => assert_eq!(fault, BatchFault::BadRow(tag)),
                Ok(batch) => assert_ne!(batch.rows[0], row, "tag {tag} cut to {len}"),
            }
        }
    }
}

#[test]
fn a_message_row_must_hold_a_frame_stamped_with_its_seq() {
    let row = |frame| Row::Message { channel: ChannelId(1), seq: Seq(2), frame };
    let batch = |frame| Batch { store: StoreId(0), number: 1, rows: vec![row(frame)] }.encode();
    assert!(Batch::decode(&batch(message(2, b""))).is_ok());
    assert_eq!(Batch::decode(&batch(message(3, b""))), Err(BatchFault::BadRow(1)));
    let unstamped = Frame::build(Kind::SEND_TEXT, 1, 5, b"");
    assert_eq!(Batch::decode(&batch(unstamped)), Err(BatchFault::BadRow(1)));
}

#[test]
fn a_count_costs_no_memory() {
    let mut bytes = Batch { store: StoreId(0), number: 1, rows: vec![] }.encode().to_vec();
    bytes[11..15].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Batch::decode(&bytes), Err(BatchFault::Truncated));
}

fn interval() -> impl Strategy<Value = Interval> {
    (any::<u64>(), proptest::option::of(1..u64::MAX))
        .prop_map(|(joined, left)| Interval { joined: Seq(joined), left: left.map(Seq) })
}

fn row() -> impl Strategy<Value = Row> {
    let ids = (any::<u64>(), any::<u64>(), any::<u128>(), any::<u64>());
    let rest = (
        proptest::collection::vec(any::<u8>(), 0..60),
        ".{0,20}",
        proptest::collection::vec(interval(), 0..4),
        proptest::collection::vec((any::<u128>(), any::<u64>()), 0..4),
    );
    (0..15_u8, ids, rest).prop_map(|(tag, (a, b, c, d), (body, name, intervals, messages))| {
        let (user, device, channel, seq) = (UserId(a), DeviceId(b), ChannelId(c), Seq(d));
        match tag {
            0 => Row::Message { channel, seq, frame: message(d, &body) },
            1 => Row::Channel { channel, row: ChannelRow { name } },
            2 => Row::Member { channel, user, row: MemberRow { role: a as u8, intervals } },
            3 => Row::Joined { user, channel, joined: seq },
            4 => Row::Left { user, channel, left: seq },
            5 => Row::Read { user, channel, seq },
            6 => Row::Pointer { user, at: InboxSeq(b), channel, seq },
            7 => {
                let cursor = Cursor { generation: Generation(d), at: InboxSeq(a) };
                Row::Device { user, device, row: DeviceRow { cursor, seen_ms: b } }
            }
            8 => Row::DeviceGone { user, device },
            9 => Row::Account { user, row: AccountRow { created_ms: b } },
            10 => Row::Fanout {
                number: a,
                messages: messages.into_iter().map(|(c, s)| (ChannelId(c), Seq(s))).collect(),
            },
            11 => Row::Applied { source: StoreId(a as u16), through: b },
            12 => Row::TrimFanout { below: a },
            13 => {
                let left = intervals.first().and_then(|interval| interval.left);
                let row = IntervalRow { number: b as u32, role: a as u8, left, name };
                Row::Interval { channel, user, joined: seq, row }
            }
            _ => Row::Position { channel, user, row: PositionRow { read: seq, delivered: Seq(b) } },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_batch_comes_back(
        store in any::<u16>(),
        number in any::<u64>(),
        rows in proptest::collection::vec(row(), 0..8),
    ) {
        let batch = Batch { store: StoreId(store), number, rows };
        let bytes: Bytes = batch.encode();
        prop_assert_eq!(Batch::decode(&bytes), Ok(batch));
    }

    #[test]
    fn any_bytes_are_refused_or_are_the_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..100), version in 0..3_u8) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        checks::batch(&bytes);
    }
}
