//! Batches and row values: golden bytes, round trips, and strictness.

use bytes::Bytes;
use proptest::prelude::*;
use protocol::commit::{
    About, AccountRow, Audience, Batch, BatchFault, ChannelRow, DeviceRow, ErasedRow, FloorRow, Grown,
    IntervalRow, JobRow, Language, Note, Notify, OwnBound, Part, Pinned, Policy, PositionRow, Prefs,
    PresenceRow, Preview, Provider, Quota, Relation, RetentionRow, Row, Rule, Said, Sanction, ShownRow,
    Shows, SubscriptionRow, decode_sent, decode_slow,
};
use protocol::{
    BayId, ChannelId, Cursor, DeviceId, Frame, Generation, InboxSeq, Kind, Seq, ShardId, Stamp, UserId,
};

use crate::checks;

fn message(seq: u64, body: &[u8]) -> Frame {
    let stamp = Stamp { seq: Seq(seq), time_ms: 3, sender: UserId(4) };
    Frame::build(Kind::SEND_TEXT, 1, 5, body).stamp(stamp)
}

fn batch_of(rows: Vec<Row>) -> Batch {
    Batch { shard: ShardId(0), number: 1, parts: vec![Part { bay: BayId(1), rows }] }
}

/// One row of every tag, in the order of tags, in two parts.
fn one_of_each() -> Batch {
    let (user, device, channel, seq) = (UserId(0x11), DeviceId(0x22), ChannelId(0x33), Seq(0x44));
    let rows = vec![
        Row::Message { channel, seq, frame: message(0x44, b"hi") },
        Row::Channel { channel, row: ChannelRow { name: "마루".to_owned(), grown: None } },
        Row::Joined { user, channel, joined: seq },
        Row::Left { user, channel, left: seq },
        Row::Device {
            user,
            device,
            row: DeviceRow { cursor: Cursor { generation: Generation(6), at: InboxSeq(7) }, seen_ms: 8 },
        },
        Row::DeviceGone { user, device },
        Row::Account { user, row: AccountRow { created_ms: 10, ..AccountRow::default() } },
        Row::Fanout { number: 11, messages: vec![(channel, seq), (channel, Seq(0x45))] },
        Row::TrimFanout { below: 14 },
        Row::Interval {
            channel,
            user,
            joined: seq,
            row: IntervalRow { number: 3, role: 2, left: Some(Seq(0x66)), name: "마루".to_owned() },
        },
        Row::Position { channel, user, row: PositionRow { read: seq, delivered: Seq(0x77), hides: false } },
    ];
    let second = vec![
        Row::Run { user, first: InboxSeq(0x55), entries: vec![(channel, seq), (channel, Seq(0x45))] },
        Row::Marks { through: vec![(BayId(12), 13), (BayId(63), 0x0e0f)] },
        Row::Relation { user, other: UserId(0x88), relation: BOTH },
        Row::Note { user, seq, note: Note::Prefs { about: channel, prefs: PREFS } },
    ];
    let parts = vec![Part { bay: BayId(2), rows }, Part { bay: BayId(63), rows: second }];
    Batch { shard: ShardId(0x0102), number: 0x0304, parts }
}

const PREFS: Prefs = Prefs {
    muted_until_ms: 0x0102,
    pinned: 3,
    marked_unread: true,
    notify: Notify::Mentions,
    archived: false,
};

const BOTH: Relation = Relation { is_friend: true, is_blocked: true };

/// Made by hand from the description in `commit/encoding.rs`, not by the encoder.
const GOLDEN: &str = "
    020201040300000000000002000200bb0100000b000000
    01420000003300000000000000000000000000000044000000000000001a0000000101010105000000000000004400000000
    000000030000000000000004000000000000006869
    02170000003300000000000000000000000000000001eba788eba3a8
    04200000001100000000000000330000000000000000000000000000004400000000000000
    05200000001100000000000000330000000000000000000000000000004400000000000000
    08290000001100000000000000220000000000000001060000000000000007000000000000000800000000000000
    091000000011000000000000002200000000000000
    0a110000001100000000000000010a00000000000000
    0b380000000b0000000000000033000000000000000000000000000000440000000000000033000000000000000000000000
    0000004500000000000000
    0d080000000e00000000000000
    0e3400000033000000000000000000000000000000110000000000000044000000000000000103000000026600000000
    000000eba788eba3a8
    0f290000003300000000000000000000000000000011000000000000000144000000000000007700000000000000
    3f00ad00000004000000
    10400000001100000000000000550000000000000033000000000000000000000000000000440000000000000033000000
    0000000000000000000000004500000000000000
    11140000000c000d000000000000003f000f0e000000000000
    12110000001100000000000000880000000000000003
    18300000001100000000000000440000000000000033000000000000000000000000000000030102010000000000000300000001
    01
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

/// Of threads and mentions; by hand as well.
#[test]
fn golden_talk() {
    let (user, channel, seq) = (UserId(0x11), ChannelId(0x33), Seq(0x44));
    let batch = batch_of(vec![
        Row::Thread { channel, root: Seq(0x41), seq },
        Row::Mention { user, at: InboxSeq(0x55), channel, seq, time_ms: 0x66, sender: UserId(0x77) },
    ]);
    let golden = "
        0200000100000000000000010001006600000002000000
        1520000000330000000000000000000000000000004100000000000000 4400000000000000
        1638000000 1100000000000000 5500000000000000 33000000000000000000000000000000 4400000000000000
        6600000000000000 7700000000000000
    ";
    let encoded = batch.encode();
    assert_eq!(hex(&encoded), golden.split_whitespace().collect::<String>());
    assert_eq!(Batch::decode(&encoded), Ok(batch));
}

/// Of purges and retention; by hand as well.
#[test]
fn golden_floor() {
    let channel = ChannelId(0x33);
    let batch = batch_of(vec![
        Row::Floor { channel, from: Seq(0x41), row: FloorRow { below: Seq(0x44), time_ms: 0x66 } },
        Row::Retention { channel, row: Some(RetentionRow { days: 7, messages: 8 }) },
        Row::Retention { channel, row: None },
    ]);
    let golden = "
        0200000100000000000000010001006900000003000000
        3c29000000 33000000000000000000000000000000 4100000000000000 01 4400000000000000 6600000000000000
        3d1d000000 33000000000000000000000000000000 01 07000000 0800000000000000
        3d10000000 33000000000000000000000000000000
    ";
    let encoded = batch.encode();
    assert_eq!(hex(&encoded), golden.split_whitespace().collect::<String>());
    assert_eq!(Batch::decode(&encoded), Ok(batch));
    let falls = batch_of(vec![Row::Floor {
        channel,
        from: Seq(0x44),
        row: FloorRow { below: Seq(0x44), time_ms: 0x66 },
    }]);
    assert_eq!(Batch::decode(&falls.encode()), Err(BatchFault::BadRow(60)), "it purges nothing");
}

/// Of erasures; by hand as well.
#[test]
fn golden_erased() {
    let (user, channel) = (UserId(0x11), ChannelId(0x33));
    let row = ErasedRow { by: Seq(0x44), time_ms: 0x66, next: Seq(0x22) };
    let batch = batch_of(vec![Row::Erased { channel, user, row }, Row::Forgotten { user }]);
    let golden = "
        0200000100000000000000010001004700000002000000
        3e31000000 33000000000000000000000000000000 1100000000000000
        01 4400000000000000 6600000000000000 2200000000000000
        3f08000000 1100000000000000
    ";
    let encoded = batch.encode();
    assert_eq!(hex(&encoded), golden.split_whitespace().collect::<String>());
    assert_eq!(Batch::decode(&encoded), Ok(batch));
}

/// Of what is said about messages; by hand as well.
#[test]
fn golden_about() {
    let (user, channel, seq) = (UserId(0x11), ChannelId(0x33), Seq(0x44));
    let said = Said { edits: vec![Seq(0x55)], reactions: vec![("ok".to_owned(), 2)] };
    let batch = batch_of(vec![
        Row::About { channel, about: About::Message { seq, said } },
        Row::About { channel, about: About::Message { seq, said: Said::default() } },
        Row::About { channel, about: About::Reactor { seq, user, emoji: vec!["ok".to_owned()] } },
        Row::About { channel, about: About::Reactor { seq, user, emoji: vec![] } },
        Row::About { channel, about: About::Pins(vec![Pinned { seq, by: Seq(0x66) }]) },
        Row::About { channel, about: About::Pins(vec![]) },
        Row::About { channel, about: About::Recalled { seq, has_reactors: true } },
    ]);
    let golden = "
        02000001000000000000000100010000010000 07000000
        142b000000 33000000000000000000000000000000 01 4400000000000000 01 01 5500000000000000 01 026f6b 02000000
        1419000000 33000000000000000000000000000000 01 4400000000000000
        1426000000 33000000000000000000000000000000 02 4400000000000000 1100000000000000 01 01 026f6b
        1421000000 33000000000000000000000000000000 02 4400000000000000 1100000000000000
        1423000000 33000000000000000000000000000000 03 01 01 4400000000000000 6600000000000000
        1411000000 33000000000000000000000000000000 03
        141a000000 33000000000000000000000000000000 04 4400000000000000 01
    ";
    let encoded = batch.encode();
    assert_eq!(hex(&encoded), golden.split_whitespace().collect::<String>());
    assert_eq!(Batch::decode(&encoded), Ok(batch));
}

/// Of what is laid down for a group; by hand as well.
#[test]
fn golden_rules() {
    let (user, channel) = (UserId(0x11), ChannelId(0x33));
    let sanction = Sanction { muted_until_ms: 0x55, is_banned: true };
    let batch = batch_of(vec![
        Row::Rule { channel, rule: Rule::Slow(30) },
        Row::Rule { channel, rule: Rule::Slow(0) },
        Row::Rule { channel, rule: Rule::Sanction { user, sanction } },
        Row::Rule { channel, rule: Rule::Sanction { user, sanction: Sanction::default() } },
        Row::Rule { channel, rule: Rule::Sent { user, at_ms: 0x66 } },
    ]);
    let golden = "
        02000001000000000000000100 0100 ac000000 05000000
        3215000000 33000000000000000000000000000000 32 1e000000
        3215000000 33000000000000000000000000000000 32 00000000
        3222000000 33000000000000000000000000000000 33 1100000000000000 5500000000000000 01
        3222000000 33000000000000000000000000000000 33 1100000000000000 0000000000000000 00
        3221000000 33000000000000000000000000000000 34 1100000000000000 6600000000000000
    ";
    let encoded = batch.encode();
    assert_eq!(hex(&encoded), golden.split_whitespace().collect::<String>());
    assert_eq!(Batch::decode(&encoded), Ok(batch));
    let mut wrong = encoded.to_vec();
    let sort = encoded.len() - 17;
    wrong[sort] = 53;
    assert_eq!(Batch::decode(&wrong), Err(BatchFault::BadRow(50)), "a sort that does not exist");
}

#[test]
fn values_of_rules() {
    let value = |rule: Rule| rule.value().map(|value| hex(&value));
    let (user, banned) = (UserId(1), Sanction { muted_until_ms: 0x0102, is_banned: true });
    assert_eq!(value(Rule::Slow(30)).as_deref(), Some("011e000000"));
    assert_eq!(value(Rule::Slow(0)), None, "no wait has no row");
    assert_eq!(value(Rule::Sanction { user, sanction: banned }).as_deref(), Some("01020100000000000001"));
    assert_eq!(value(Rule::Sanction { user, sanction: Sanction::default() }), None, "nothing has no row");
    assert_eq!(value(Rule::Sent { user, at_ms: 3 }).as_deref(), Some("010300000000000000"));
    assert_eq!(Sanction::decode(&[1, 2, 1, 0, 0, 0, 0, 0, 0, 1]), Some(banned));
    assert_eq!(
        (decode_slow(&[1, 30, 0, 0, 0]), decode_sent(&[1, 3, 0, 0, 0, 0, 0, 0, 0])),
        (Some(30), Some(3))
    );
    for wrong in [&[1, 0, 0, 0, 0][..], &[2, 30, 0, 0, 0], &[1, 30, 0, 0], &[1, 30, 0, 0, 0, 0]] {
        assert_eq!(decode_slow(wrong), None, "{wrong:?}");
    }
    for wrong in
        [[1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [2, 1, 0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]]
    {
        assert_eq!(Sanction::decode(&wrong), None, "{wrong:?}");
    }
    assert!(Sanction { muted_until_ms: 5, is_banned: false }.is_over(5));
    assert!(!Sanction { muted_until_ms: 5, is_banned: false }.is_over(4) && !banned.is_over(u64::MAX));
}

/// Of a message that is rewritten; by hand as well. Its fields are those of a message.
#[test]
fn golden_rewrite() {
    let (channel, seq) = (ChannelId(0x33), Seq(0x44));
    let batch = batch_of(vec![Row::Rewrite { channel, seq, frame: message(0x44, b"hi") }]);
    let golden = "
        0200000100000000000000010001004b00000001000000
        1342000000 33000000000000000000000000000000 4400000000000000
        1a000000 0101 01 01 0500000000000000 4400000000000000 0300000000000000 0400000000000000 6869
    ";
    let encoded = batch.encode();
    assert_eq!(hex(&encoded), golden.split_whitespace().collect::<String>());
    assert_eq!(Batch::decode(&encoded), Ok(batch));
    let row = encoded.len() - 0x42;
    let mut wrong = encoded.to_vec();
    wrong[row + 16] = 0x45;
    assert_eq!(Batch::decode(&wrong), Err(BatchFault::BadRow(19)), "another seq than the stamp says");
}

#[test]
fn golden_values() {
    assert_eq!(hex(&ChannelRow { name: "ab".to_owned(), grown: None }.encode()), "016162");
    let grown = Grown { since: Seq(0x0102), members: 0x0304, owners: 5 };
    let large = ChannelRow { name: "ab".to_owned(), grown: Some(grown) };
    assert_eq!(hex(&large.encode()), "02020100000000000004030000050000006162");
    assert_eq!(ChannelRow::decode(&large.encode()), Some(large.clone()));
    let since_0 = ChannelRow { grown: Some(Grown { since: Seq(0), ..grown }), ..large };
    assert_eq!(
        ChannelRow::decode(&since_0.encode()),
        None,
        "the first message makes the group, and nothing grows before it"
    );
    let account = AccountRow { created_ms: 258, ..AccountRow::default() };
    assert_eq!(hex(&account.encode()), "010201000000000000");
    let account = AccountRow { not_before_ms: 3, ..account };
    assert_eq!(hex(&account.encode()), "0202010000000000000300000000000000");
    assert_eq!(AccountRow::decode(&account.encode()), Some(account));
    let twice = [&[2, 2, 1][..], &[0; 14]].concat();
    assert_eq!(AccountRow::decode(&twice), None, "what v1 can say has one encoding");
    let (message, add, see) = (Audience::Friends, Audience::Nobody, Audience::Everyone);
    let policy = Policy { message, add, see, hides_receipts: false };
    let private = AccountRow { policy, has_relations: true, ..account };
    assert_eq!(hex(&private.encode()), "030201000000000000030000000000000001020001");
    assert_eq!(AccountRow::decode(&private.encode()), Some(private));
    let open = AccountRow { policy: Policy::default(), ..private };
    assert_eq!(AccountRow::decode(&open.encode()), Some(open));
    let v3 = |tail: [u8; 4]| [&[3][..], &[1; 16], &tail].concat();
    assert_eq!(AccountRow::decode(&v3([0; 4])), None, "what v2 can say has one encoding");
    assert!(AccountRow::decode(&v3([0, 0, 2, 0])).is_some());
    assert_eq!(AccountRow::decode(&v3([3, 0, 0, 0])), None, "an audience that does not exist");
    assert_eq!(AccountRow::decode(&v3([0, 0, 0, 2])), None, "neither yes nor no");
    let hiding = AccountRow { policy: Policy { hides_receipts: true, ..policy }, ..private };
    assert_eq!(hex(&hiding.encode()), "04020100000000000003000000000000000102000101");
    assert_eq!(AccountRow::decode(&hiding.encode()), Some(hiding));
    let v4 = |tail: [u8; 5]| [&[4][..], &[1; 16], &tail].concat();
    assert_eq!(AccountRow::decode(&v4([1, 0, 0, 0, 0])), None, "what v3 can say has one encoding");
    assert!(AccountRow::decode(&v4([0, 0, 0, 0, 1])).is_some());
    assert_eq!(AccountRow::decode(&v4([0, 0, 0, 0, 2])), None, "neither yes nor no");
    let mib_per_h = OwnBound::new(Some(0));
    let quota = Quota { groups_per_h: OwnBound::new(Some(258)), mib_per_h, ..Quota::default() };
    let bounded = AccountRow { quota, ..account };
    assert_eq!(hex(&bounded.encode()), "05020100000000000003000000000000000000000000050201000000000000");
    assert_eq!(AccountRow::decode(&bounded.encode()), Some(bounded));
    let v5 = |tail: &[u8]| AccountRow::decode(&[&[5][..], &[0; 21], tail].concat());
    assert_eq!(v5(&[0]), None, "what v1 can say has one encoding");
    assert!(v5(&[2, 9, 0, 0, 0]).is_some());
    assert_eq!((v5(&[2]), v5(&[8, 9, 0, 0, 0]), v5(&[2, 9, 0, 0, 0, 0])), (None, None, None));
    assert_eq!(v5(&[2, 255, 255, 255, 255]), None, "a number that is kept as another");
    assert_eq!(AccountRow::decode(&[&[6][..], &[1; 22]].concat()), None, "a version of later");
    assert_eq!(hex(&BOTH.encode()), "0103");
    assert_eq!(Relation::decode(&[1, 3]), Some(BOTH));
    for none in [&[1, 0][..], &[1, 4], &[2, 1], &[1], &[1, 1, 0]] {
        assert_eq!(Relation::decode(none), None, "{none:?}");
    }
    let device = DeviceRow { cursor: Cursor { generation: Generation(1), at: InboxSeq(2) }, seen_ms: 3 };
    assert_eq!(hex(&device.encode()), "01010000000000000002000000000000000300000000000000");
    let interval = IntervalRow { number: 1, role: 2, left: None, name: String::new() };
    assert_eq!(hex(&interval.encode()), "0101000000020000000000000000");
    let position = PositionRow { read: Seq(258), delivered: Seq(3), hides: false };
    assert_eq!(hex(&position.encode()), "0102010000000000000300000000000000");
    let hidden = PositionRow { hides: true, ..position };
    assert_eq!(hex(&hidden.encode()), "020201000000000000030000000000000001");
    for row in [position, hidden] {
        assert_eq!(PositionRow::decode(&row.encode()), Some(row));
    }
    let v2 = |hides: &[u8]| [&[2][..], &[0; 16], hides].concat();
    assert_eq!(PositionRow::decode(&v2(&[0])), None, "what v1 can say has one encoding");
    for wrong in [&[][..], &[2], &[1, 0]] {
        assert_eq!(PositionRow::decode(&v2(wrong)), None, "{wrong:?}");
    }
}

#[test]
fn a_row_weighs_what_its_encoding_has() {
    let logged_out = Row::Account {
        user: UserId(1),
        row: AccountRow { created_ms: 2, not_before_ms: 3, ..AccountRow::default() },
    };
    let rows = one_of_each().parts.into_iter().flat_map(|part| part.rows);
    let account = AccountRow { has_relations: true, ..AccountRow::default() };
    let private = Row::Account { user: UserId(1), row: account };
    let policy = Policy { hides_receipts: true, ..Policy::default() };
    let hiding = Row::Account { user: UserId(1), row: AccountRow { policy, ..account } };
    let row = PositionRow { hides: true, ..PositionRow::default() };
    let hidden = Row::Position { channel: ChannelId(7), user: UserId(1), row };
    for row in rows.chain([logged_out, private, hiding, hidden]) {
        let weighed = row.encoded_bytes();
        let batch = batch_of(vec![row]);
        assert_eq!(batch.encode().len(), 23 + weighed, "{batch:?}");
        assert_eq!(batch.parts[0].encoded_bytes(), 10 + weighed);
        assert_eq!(Batch::decode(&batch.encode()), Ok(batch));
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
fn the_length_of_a_part_covers_its_rows_and_no_more() {
    let whole = batch_of(vec![Row::TrimFanout { below: 14 }, Row::TrimFanout { below: 15 }]);
    let encoded = whole.encode().to_vec();
    let with = |at: usize, value: u32| {
        let mut bytes = encoded.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        Batch::decode(&bytes)
    };
    assert_eq!(with(15, 30), Ok(whole));
    assert_eq!(with(15, 29), Err(BatchFault::Truncated), "the part ends within its last row");
    assert_eq!(with(15, 3), Err(BatchFault::Truncated), "the part ends within its count");
    assert_eq!(with(15, 31), Err(BatchFault::Truncated), "the part ends behind the batch");
    assert_eq!(with(19, 1), Err(BatchFault::LeftOver), "a row more than the part counts");
    assert_eq!(with(19, 3), Err(BatchFault::Truncated), "a row less than the part counts");
}

#[test]
fn unknown_versions_tags_and_bays_are_refused_by_name() {
    let mut bytes = one_of_each().encode().to_vec();
    for version in [1, 3] {
        bytes[0] = version;
        assert_eq!(Batch::decode(&bytes), Err(BatchFault::UnknownVersion(version)));
    }
    for tag in [0, 3, 6, 7, 12, 23, 255] {
        let mut bytes = batch_of(vec![Row::TrimFanout { below: 14 }]).encode().to_vec();
        bytes[23] = tag;
        assert_eq!(Batch::decode(&bytes), Err(BatchFault::UnknownTag(tag)));
    }
    let mut bytes = batch_of(vec![]).encode().to_vec();
    bytes[13..15].copy_from_slice(&64_u16.to_le_bytes());
    assert_eq!(Batch::decode(&bytes), Err(BatchFault::NoSuchBay(64)));
    let marks = batch_of(vec![Row::Marks { through: vec![(BayId(64), 1)] }]).encode();
    assert_eq!(Batch::decode(&marks), Err(BatchFault::BadRow(17)));
}

#[test]
fn an_empty_run_is_refused() {
    let run = batch_of(vec![Row::Run { user: UserId(1), first: InboxSeq(1), entries: vec![] }]).encode();
    assert_eq!(Batch::decode(&run), Err(BatchFault::BadRow(16)));
}

#[test]
fn a_row_must_be_exactly_its_fields() {
    for row in one_of_each().parts.into_iter().flat_map(|part| part.rows) {
        // A list is as long as its row, a channel's name may be anything.
        let whole = batch_of(vec![row.clone()]).encode();
        let tag = whole[23];
        for len in 0..whole.len() - 28 {
            let mut cut = whole[..28 + len].to_vec();
            cut[15..19].copy_from_slice(&(len as u32 + 9).to_le_bytes());
            cut[24..28].copy_from_slice(&(len as u32).to_le_bytes());
            match Batch::decode(&cut) {
                Err(fault) => assert_eq!(fault, BatchFault::BadRow(tag)),
                Ok(batch) => assert_ne!(batch.parts[0].rows[0], row, "tag {tag} cut to {len}"),
            }
        }
    }
}

#[test]
fn a_message_row_must_hold_a_frame_stamped_with_its_seq() {
    let row = |frame| Row::Message { channel: ChannelId(1), seq: Seq(2), frame };
    let batch = |frame| batch_of(vec![row(frame)]).encode();
    assert!(Batch::decode(&batch(message(2, b""))).is_ok());
    assert_eq!(Batch::decode(&batch(message(3, b""))), Err(BatchFault::BadRow(1)));
    let unstamped = Frame::build(Kind::SEND_TEXT, 1, 5, b"");
    assert_eq!(Batch::decode(&batch(unstamped)), Err(BatchFault::BadRow(1)));
}

#[test]
fn a_count_costs_no_memory() {
    let encoded = batch_of(vec![]).encode().to_vec();
    let mut bytes = encoded.clone();
    bytes[11..13].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_eq!(Batch::decode(&bytes), Err(BatchFault::Truncated));
    let mut bytes = encoded;
    bytes[19..23].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Batch::decode(&bytes), Err(BatchFault::Truncated));
}

fn row() -> impl Strategy<Value = Row> {
    let ids = (any::<u64>(), any::<u64>(), any::<u128>(), any::<u64>());
    let rest = (
        proptest::collection::vec(any::<u8>(), 0..60),
        ".{0,20}",
        proptest::option::of(1..u64::MAX),
        proptest::collection::vec((any::<u128>(), any::<u64>()), 0..4),
    );
    (0..15_u8, ids, rest).prop_map(|(tag, (a, b, c, d), (body, name, left, pointers))| {
        let (user, device, channel, seq) = (UserId(a), DeviceId(b), ChannelId(c), Seq(d));
        let messages: Vec<_> = pointers.iter().map(|(c, s)| (ChannelId(*c), Seq(*s))).collect();
        match tag {
            0 if a % 2 == 0 => Row::Rewrite { channel, seq, frame: message(d, &body) },
            0 => Row::Message { channel, seq, frame: message(d, &body) },
            1 => {
                let grown = Grown { since: Seq(b), members: a as u32, owners: d as u32 };
                let grown = Some(grown).filter(|grown| grown.since > Seq(0) && a % 2 == 0);
                Row::Channel { channel, row: ChannelRow { name, grown } }
            }
            2 if b % 2 == 0 => Row::Followed { user, channel, is_in: a % 2 == 0 },
            2 => Row::Joined { user, channel, joined: seq },
            3 => Row::Left { user, channel, left: seq },
            4 => {
                let cursor = Cursor { generation: Generation(d), at: InboxSeq(a) };
                Row::Device { user, device, row: DeviceRow { cursor, seen_ms: b } }
            }
            5 => Row::DeviceGone { user, device },
            6 => Row::Account {
                user,
                row: AccountRow {
                    created_ms: b,
                    not_before_ms: a,
                    has_relations: d % 2 == 0,
                    ..AccountRow::default()
                },
            },
            13 => {
                let relation = Relation { is_friend: a % 2 == 0, is_blocked: b % 2 == 0 };
                Row::Relation { user, other: UserId(d), relation }
            }
            14 => {
                let shows = Shows::from_number((d % 4) as u8).unwrap();
                let row = PresenceRow { last_active_ms: b, shows, status_until_ms: d, status: name };
                Row::Presence { user, row }
            }
            7 => Row::Fanout { number: a, messages },
            8 => Row::TrimFanout { below: a },
            9 => {
                let row = IntervalRow { number: b as u32, role: a as u8, left: left.map(Seq), name };
                Row::Interval { channel, user, joined: seq, row }
            }
            10 => {
                let entries = [vec![(channel, seq)], messages].concat();
                Row::Run { user, first: InboxSeq(b), entries }
            }
            11 => {
                let bay = |number: u64| BayId((number % 64) as u16);
                Row::Marks { through: pointers.iter().map(|(_, s)| (bay(*s), *s)).collect() }
            }
            _ => Row::Position {
                channel,
                user,
                row: PositionRow { read: seq, delivered: Seq(b), hides: b % 2 == 1 },
            },
        }
    })
}

fn talk_row() -> impl Strategy<Value = Row> {
    (any::<bool>(), any::<[u64; 5]>(), any::<u128>()).prop_map(|(is_thread, [a, b, c, d, e], channel)| {
        let channel = ChannelId(channel);
        if is_thread {
            return Row::Thread { channel, root: Seq(a), seq: Seq(b) };
        }
        let (user, at, sender) = (UserId(a), InboxSeq(b), UserId(e));
        Row::Mention { user, at, channel, seq: Seq(c), time_ms: d, sender }
    })
}

fn about_row() -> impl Strategy<Value = Row> {
    let ways = proptest::collection::vec(("[a-z]{1,32}", 1_u32..), 0..4);
    (0..4_u8, any::<[u64; 3]>(), any::<u128>(), ways).prop_map(|(sort, [a, b, c], channel, ways)| {
        let about = match sort {
            0 => About::Message { seq: Seq(a), said: Said { edits: vec![Seq(b), Seq(c)], reactions: ways } },
            1 => {
                let emoji = ways.into_iter().map(|(emoji, _)| emoji).collect();
                About::Reactor { seq: Seq(a), user: UserId(b), emoji }
            }
            2 => About::Recalled { seq: Seq(a), has_reactors: b % 2 == 1 },
            _ => About::Pins(vec![Pinned { seq: Seq(a), by: Seq(b) }]),
        };
        Row::About { channel: ChannelId(channel), about }
    })
}

fn rule_row() -> impl Strategy<Value = Row> {
    (0..3_u8, any::<[u64; 2]>(), any::<u128>()).prop_map(|(sort, [a, b], channel)| {
        let user = UserId(a);
        let rule = match sort {
            0 => Rule::Slow(b as u32),
            1 => Rule::Sanction { user, sanction: Sanction { muted_until_ms: b, is_banned: b % 2 == 0 } },
            _ => Rule::Sent { user, at_ms: b },
        };
        Row::Rule { channel: ChannelId(channel), rule }
    })
}

fn push_row() -> impl Strategy<Value = Row> {
    let texts = (".{0,20}", ".{0,40}", proptest::collection::vec(any::<u8>(), 0..70));
    (0..5_u8, any::<[u64; 4]>(), any::<u128>(), texts).prop_map(
        |(sort, [a, b, c, d], channel, (zone, endpoint, bytes))| {
            let (user, device) = (UserId(a), DeviceId(b));
            let provider = Provider::ALL[c as usize % Provider::ALL.len()];
            match sort {
                0 => {
                    let (key, secret) = (bytes.clone(), bytes);
                    let quiet = (d as u16, c as u16);
                    let (preview, language) = (Preview::Text, Language::Korean);
                    let row = SubscriptionRow {
                        created_ms: d,
                        preview,
                        language,
                        quiet,
                        zone,
                        key,
                        secret,
                        endpoint,
                    };
                    Row::Subscription { user, device, provider, row }
                }
                1 => Row::SubscriptionGone { user, device, provider },
                2 => {
                    let row = JobRow {
                        seq: Seq(c),
                        count: d as u32,
                        is_mentioned: c % 2 == 0,
                        is_parked: c % 3 == 0,
                        time_ms: d,
                        retry_at_ms: b,
                        attempts: d as u16,
                        targets: vec![(device, provider); d as usize % 3],
                    };
                    Row::Job { user, channel: ChannelId(channel), row: (c % 5 != 0).then_some(row) }
                }
                3 => {
                    let targets = vec![(device, provider); d as usize % 3];
                    let row = ShownRow { seq: Seq(c), time_ms: d, is_read: c % 2 == 0, targets };
                    Row::Shown { user, channel: ChannelId(channel), row: (c % 5 != 0).then_some(row) }
                }
                _ => Row::PushOff { user, is_off: d % 2 == 0 },
            }
        },
    )
}

fn floor_row() -> impl Strategy<Value = Row> {
    (any::<u128>(), 0..1000_u64, 1..1000_u64, any::<u64>()).prop_map(|(channel, from, more, time_ms)| {
        if from % 7 == 0 {
            let (channel, user) = (ChannelId(channel), UserId(time_ms));
            let row = ErasedRow { by: Seq(from), time_ms, next: Seq(more) };
            return if more % 2 == 0 { Row::Forgotten { user } } else { Row::Erased { channel, user, row } };
        }
        if from % 3 == 0 {
            let row = RetentionRow { days: more as u32, messages: time_ms };
            return Row::Retention { channel: ChannelId(channel), row: (more % 4 > 0).then_some(row) };
        }
        let row = FloorRow { below: Seq(from + 1 + more), time_ms };
        Row::Floor { channel: ChannelId(channel), from: Seq(from), row }
    })
}

fn part() -> impl Strategy<Value = Part> {
    let any = prop_oneof![7 => row(), 1 => talk_row(), 1 => about_row(), 1 => push_row(), 1 => rule_row(), 1 => floor_row()];
    (0..64_u16, proptest::collection::vec(any, 0..6)).prop_map(|(bay, rows)| Part { bay: BayId(bay), rows })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_batch_comes_back(
        shard in any::<u16>(),
        number in any::<u64>(),
        parts in proptest::collection::vec(part(), 0..4),
    ) {
        let batch = Batch { shard: ShardId(shard), number, parts };
        let bytes: Bytes = batch.encode();
        prop_assert_eq!(Batch::decode(&bytes), Ok(batch));
    }

    #[test]
    fn any_bytes_are_refused_or_are_the_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..100), version in 0..4_u8) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        checks::batch(&bytes);
    }
}
