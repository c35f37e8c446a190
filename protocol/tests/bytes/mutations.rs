//! What the fuzz targets check, on a bounded number of seeded mutations of good bytes: runs in every `cargo test`.

use protocol::body::about::{About, AboutItem, EditText, PinItem, React, ReactionItem, ReactorItem};
use protocol::body::list::{ChannelDetail, ChannelsV2, GetHistoryV2};
use protocol::body::message::{AddMembers, CreateGroup, SendText};
use protocol::body::own::{SetDraft, SetPrefs};
use protocol::body::session::{Hello, Reject};
use protocol::body::sync::{ChannelItem, MemberItem, Members};
use protocol::body::talk::{GetThread, MentionCount, MentionItem, Mentions, SendTextV2};
use protocol::body::{Body, KINDS, OLDER, encode};
use protocol::commit::{About as AboutRow, Batch, ChannelRow, IntervalRow, Part, PositionRow, Row, Said};
use protocol::token::{Claims, sign};
use protocol::ws::{ControlFrame, Opcode, encode_header};
use protocol::{BayId, ChannelId, DeviceId, InboxSeq, Seq, ShardId, Stamp, UserId};

use crate::checks;
use crate::mutate::each_mutation;

const INPUTS: u64 = 20_000;

fn body_seed<T: Body>(value: &T) -> Vec<u8> {
    let older = OLDER.iter().filter_map(|layout| layout.root);
    let mut roots = KINDS.iter().copied().chain(older);
    let place = roots.position(|root| root == (T::KIND, T::VERSION)).expect("a known kind");
    [&[place as u8], encode(7, value).body()].concat()
}

fn body_seeds() -> Vec<Vec<u8>> {
    let text = |text: &str| SendText { channel: 77, text: text.to_owned() };
    let talk = |mentions, text: &str| SendTextV2 {
        reply_to: 3,
        thread: 2,
        forwarded_from: 5,
        mentions,
        mention_flags: 1,
        channel: 77,
        text: text.to_owned(),
    };
    let group =
        CreateGroup { channel: 77, name: "마루, the open floor".to_owned(), members: vec![1, 2, 9] };
    let reject =
        Reject { code: 4, retry_after_ms: 1500, path: "members[3]".to_owned(), text: "short".to_owned() };
    vec![
        body_seed(&text("")),
        body_seed(&text("short")),
        body_seed(&text("12345678")),
        body_seed(&text("123456789")),
        body_seed(&text(&"한".repeat(100))),
        body_seed(&talk(vec![], "short")),
        body_seed(&talk(vec![3, 4, 9], "a text that is longer than eight bytes")),
        body_seed(&GetThread { channel: 77, root: 3, after: 1, before: 2, limit: 3, newest: true }),
        body_seed(&Mentions {
            items: vec![MentionItem { at: 1, channel: 7, seq: 2, time_ms: 3, sender: 4 }],
            unread: vec![MentionCount { channel: 7, unread: 1 }],
            more: true,
        }),
        body_seed(&EditText {
            channel: 77,
            target: 3,
            text: "a text that is longer than eight bytes".to_owned(),
        }),
        body_seed(&React { channel: 77, target: 3, on: true, emoji: "👍".to_owned() }),
        body_seed(&About {
            channel: 77,
            from: 1,
            to: 9,
            pins: vec![PinItem { seq: 3, by: 5 }],
            items: vec![AboutItem { seq: 3, edited: 4, edits: 1, text: "short".to_owned() }],
            reactions: vec![ReactionItem { seq: 3, count: 1, own: true, emoji: "👍".to_owned() }],
            who: vec![ReactorItem { seq: 3, user: 4, reaction: 0 }],
            more: true,
        }),
        body_seed(&group),
        body_seed(&CreateGroup { members: vec![], ..group }),
        body_seed(&AddMembers { channel: 77, members: (1..30).collect() }),
        body_seed(&Hello { generation: 1, cursor: 2, token: "m1.abcdefghijkl".to_owned() }),
        body_seed(&GetHistoryV2 {
            at: 0,
            around: 0,
            channel: 77,
            after: 1,
            before: 2,
            limit: 3,
            newest: true,
        }),
        body_seed(&Members {
            channel: 77,
            items: vec![MemberItem { user: 1, joined: 2, role: 0 }],
            more: true,
        }),
        body_seed(&reject),
    ]
}

fn list_seeds() -> Vec<Vec<u8>> {
    let channel =
        ChannelItem { channel: 7, head: 9, read: 1, unread: 8, member: true, name: "a long name".to_owned() };
    let detail = ChannelDetail {
        mentions: 0,
        last_seq: 1,
        last_sender: 2,
        last_ms: 3,
        last_kind: 0x0101,
        muted_until_ms: 0,
        pinned: 0,
        notify: 0,
        marked_unread: false,
        archived: true,
        has_draft: false,
        text: "the first of it".to_owned(),
    };
    vec![
        body_seed(&SetDraft { channel: (5 << 64) | 5, about: 77, thread: 0, text: "not yet".to_owned() }),
        body_seed(&SetPrefs {
            channel: (5 << 64) | 5,
            about: 77,
            muted_until_ms: 1,
            pinned: 2,
            marked_unread: true,
            notify: 1,
            archived: false,
        }),
        body_seed(&ChannelsV2 {
            generation: 1,
            through: 2,
            next: 3,
            needs_snapshot: false,
            details: vec![detail],
            items: vec![channel.clone(), channel],
            more: false,
        }),
    ]
}

#[test]
fn bodies() {
    each_mutation("body", &[body_seeds(), list_seeds()].concat(), INPUTS, checks::body);
}

#[test]
fn frames() {
    let stamp = Stamp { seq: Seq(1), time_ms: 2, sender: UserId(3) };
    let sent = encode(7, &SendText { channel: 77, text: "see you at five".to_owned() });
    let seeds = [sent.bytes().to_vec(), sent.stamp(stamp).bytes().to_vec()];
    each_mutation("frame", &seeds, INPUTS, checks::frame);
}

#[test]
fn websocket_streams() {
    let data = |opcode, final_bit: bool, len: usize| {
        let (mut header, header_len) = encode_header(opcode, len, None);
        header[0] &= if final_bit { 0xff } else { 0x7f };
        [&header[..header_len], &vec![0x41; len]].concat()
    };
    let stream = [
        data(Opcode::Binary, true, 5),
        data(Opcode::Binary, false, 130),
        ControlFrame::ping(b"are you there", None).as_bytes().to_vec(),
        data(Opcode::Continuation, true, 3),
        ControlFrame::close(1000, "bye", None).as_bytes().to_vec(),
    ]
    .concat();
    let client = [&[0x07][..], &stream].concat();
    let pong = ControlFrame::pong(b"x", Some([7; 4]));
    let masked = [&[0x06, 0x82, 0x83, 1, 2, 3, 4, 5, 6, 7][..], pong.as_bytes()];
    each_mutation("ws", &[client, masked.concat()], INPUTS, checks::ws);
}

#[test]
fn batches() {
    let (user, channel) = (UserId(1), ChannelId(2));
    let stay = IntervalRow { number: 1, role: 2, left: Some(Seq(4)), name: "name".to_owned() };
    let position = PositionRow { read: Seq(3), delivered: Seq(2), hides: true };
    let said = Said { edits: vec![Seq(3)], reactions: vec![("ok".to_owned(), 1)] };
    let about = AboutRow::Message { seq: Seq(1), said };
    let stamp = Stamp { seq: Seq(3), time_ms: 2, sender: user };
    let frame = encode(7, &SendText { channel: 2, text: "text".to_owned() }).stamp(stamp);
    let rows = vec![
        Row::Message { channel, seq: Seq(3), frame },
        Row::Channel { channel, row: ChannelRow { name: "name".to_owned(), grown: None } },
        Row::Interval { channel, user, joined: Seq(1), row: stay.clone() },
        Row::Position { channel, user, row: position },
        Row::Thread { channel, root: Seq(1), seq: Seq(3) },
        Row::About { channel, about },
        Row::Fanout { number: 1, messages: vec![(channel, Seq(3))] },
    ];
    let second = vec![
        Row::Mention { user, at: InboxSeq(9), channel, seq: Seq(3), time_ms: 2, sender: UserId(4) },
        Row::Run { user, first: InboxSeq(9), entries: vec![(channel, Seq(3)), (channel, Seq(4))] },
        Row::Marks { through: vec![(BayId(3), 1), (BayId(5), 9)] },
    ];
    let parts = vec![Part { bay: BayId(3), rows }, Part { bay: BayId(5), rows: second }];
    let batch = Batch { shard: ShardId(3), number: 4, parts };
    let values = [batch.encode().to_vec(), stay.encode(), position.encode().to_vec()];
    each_mutation("batch", &values, INPUTS, checks::batch);
}

#[test]
fn tokens() {
    let claims =
        Claims { user: UserId(1 << 40), device: DeviceId(9), expires_ms: 1 << 41, issued_ms: 1 << 40 };
    let keys = checks::token_keys();
    let seeds = keys.iter().map(|key| sign(key, &claims).into_bytes());
    // Of the first layout, and two that are none.
    let more = ["m1.AQAAAAEAAAAAAAAAAgAAAAAAAAAA.", "m2..", ""].map(|text| text.as_bytes().to_vec());
    each_mutation("token", &seeds.chain(more).collect::<Vec<_>>(), INPUTS, checks::token);
}
