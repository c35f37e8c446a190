//! Scenarios of recalls: who takes which text back and until when, what stands in its place, and what is said about it then.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body::about::{EditText, Pin, React, Recall, Recalled};
use protocol::body::message::{
    AddMembers, CreateGroup, LeaveGroup, ROLE_ADMIN, ROLE_OWNER, SendText, SetRole,
};
use protocol::body::session::Reject;
use protocol::body::{self, Body, encode};
use protocol::commit::{About, Facts, Pinned, Row, Said};
use protocol::limits::U53_MAX;
use protocol::query::{Answer, Query, Sent};
use protocol::{ChannelId, Cursor, DeviceId, Frame, Generation, InboxSeq, Kind, SendId, Seq, UserId};
use shard::{ConnId, Input, Limits};

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;
const DAY_MS: u64 = 86_400_000;

/// A made a group with B and C and wrote its message 2 under the send id 2.
fn group(limits: Limits) -> (Desk, ChannelId) {
    let mut desk = Desk::limited(2, limits);
    for user in [A, B, C] {
        desk.join(user, user, user);
    }
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B, C] });
    desk.run();
    desk.text(A, A, channel, 2, "see you at five");
    desk.run();
    forget(&mut desk);
    (desk, channel)
}

fn forget(desk: &mut Desk) {
    for conn in [A, B, C] {
        desk.take(conn);
    }
}

fn recall(channel: ChannelId, target: u64) -> Recall {
    Recall { channel: channel.0, target }
}

fn sent(desk: &Desk, seq: u64, sender: u64) -> Sent {
    let (time_ms, sender) = (desk.wall_ms, UserId(sender));
    Sent { seq: Seq(seq), time_ms, sender, send_id: SendId(seq), fingerprint: 3 }
}

/// What the store knows of the text that is to be recalled.
fn tell(desk: &mut Desk, sent: Sent, facts: Facts, edits: Vec<Sent>) {
    assert!(
        matches!(desk.queries.front(), Some((_, _, Query::Target { edits: true, .. }))),
        "{:?}",
        desk.queries
    );
    let message = Some((Kind::SEND_TEXT, sent));
    desk.answer(Answer::Target { message, recalled: None, facts, edits });
}

/// The same once it was recalled by message `by`.
fn tell_recalled(desk: &mut Desk, channel: ChannelId, sent: Sent, by: u64) {
    let recalled = Recalled { channel: channel.0, target: sent.seq.0, by, user: A, time_ms: 1 };
    let message = Some((Kind::RECALLED, sent));
    desk.answer(Answer::Target {
        message,
        recalled: Some(Box::new(recalled)),
        facts: Facts::default(),
        edits: vec![],
    });
}

fn rewritten(rows: &[Row]) -> Vec<Frame> {
    let frame = |row: &Row| match row {
        Row::Rewrite { frame, seq, .. } => {
            assert_eq!(frame.read_stamp().map(|stamp| stamp.seq), Some(*seq));
            Some(frame.clone())
        }
        _ => None,
    };
    rows.iter().filter_map(frame).collect()
}

fn abouts(rows: &[Row]) -> Vec<About> {
    let about = |row: &Row| match row {
        Row::About { about, .. } => Some(about.clone()),
        _ => None,
    };
    rows.iter().filter_map(about).collect()
}

/// What a connection was refused for: code, field and words.
#[track_caller]
fn refused(desk: &mut Desk, conn: u64, code: &str, path: &str) -> String {
    let frames = desk.take(conn);
    let reject = frames.first().and_then(body::read::<Reject>).unwrap_or_else(|| panic!("{frames:?}"));
    let found = protocol::Code::from_number(reject.code).unwrap().word();
    assert_eq!((found, reject.path.as_str()), (code, path), "{}", reject.text);
    reject.text
}

#[test]
fn what_was_said_is_gone_in_the_batch_of_the_message_that_recalls_it() {
    let (mut desk, channel) = group(Limits::default());
    desk.send(A, A, 9, &recall(channel, 2));
    let (_, _, query) = desk.queries.front().cloned().unwrap();
    assert_eq!(query, Query::Target { channel, seq: Seq(2), user: UserId(A), edits: true });
    let text = sent(&desk, 2, A);
    let edits = vec![Sent { send_id: SendId(70), ..sent(&desk, 3, A) }];
    let said = Said { edits: vec![Seq(3)], reactions: vec![("👍".into(), 2)] };
    let pins = vec![Pinned { seq: Seq(1), by: Seq(1) }, Pinned { seq: Seq(2), by: Seq(1) }];
    tell(&mut desk, text, Facts { said, own: vec![], pins: pins.clone() }, edits.clone());
    let rows = desk.store_one().rows;
    let recalled = Recalled { channel: channel.0, target: 2, by: 3, user: A, time_ms: desk.wall_ms };
    let all = rewritten(&rows);
    assert_eq!(all.iter().map(Recalled::read).collect::<Vec<_>>(), [Some(recalled); 2]);
    assert_eq!(all.iter().map(Frame::send_id).collect::<Vec<_>>(), [SendId(2), SendId(70)]);
    assert_eq!(
        all.iter().map(Frame::read_stamp).collect::<Vec<_>>(),
        [Some(text.stamp()), Some(edits[0].stamp())]
    );
    let gone = About::Recalled { seq: Seq(2), has_reactors: true };
    assert_eq!(abouts(&rows), [gone, About::Pins(vec![pins[0]])]);
    let message = rows.iter().any(|row| matches!(row, Row::Message { seq: Seq(3), .. }));
    assert!(message, "the message that recalls it is in the same batch");
    desk.run();
    assert_eq!(desk.seen(A), ["ack 9 seq 3"]);
    for conn in [B, C] {
        assert_eq!(desk.seen(conn), ["message 3 from 10"]);
    }
}

#[test]
fn a_text_of_which_nothing_is_said_costs_one_row_more() {
    let (mut desk, channel) = group(Limits::default());
    desk.send(A, A, 9, &recall(channel, 2));
    let text = sent(&desk, 2, A);
    tell(&mut desk, text, Facts::default(), vec![]);
    let rows = desk.run();
    assert_eq!((rewritten(&rows).len(), abouts(&rows)), (1, vec![]));
}

#[test]
fn a_repeat_of_a_recalled_send_is_answered_with_its_place_whatever_it_says() {
    let (mut desk, channel) = group(Limits::default());
    desk.text(A, A, channel, 2, "something else");
    assert_eq!(desk.seen(A), ["reject 2 conflict"]);
    desk.send(A, A, 9, &recall(channel, 2));
    let text = sent(&desk, 2, A);
    tell(&mut desk, text, Facts::default(), vec![]);
    // The recall has its place and is not stored: the text counts as it was.
    desk.text(A, A, channel, 2, "something else");
    assert_eq!(desk.seen(A), ["reject 2 conflict"]);
    desk.run();
    forget(&mut desk);
    for words in ["see you at five", "something else"] {
        desk.text(A, A, channel, 2, words);
        assert_eq!(desk.seen(A), ["ack 2 seq 2"], "{words}");
    }
    desk.send(A, A, 9, &recall(channel, 2));
    assert_eq!(desk.seen(A), ["ack 9 seq 3"], "and so is the recall itself");
    desk.send(A, A, 9, &recall(channel, 1));
    assert_eq!(desk.seen(A), ["reject 9 conflict"]);
}

#[test]
fn once_more_is_a_message_that_changes_nothing() {
    let (mut desk, channel) = group(Limits::default());
    desk.send(A, A, 9, &recall(channel, 2));
    let text = sent(&desk, 2, A);
    tell_recalled(&mut desk, channel, text, 2);
    let rows = desk.run();
    assert_eq!((rewritten(&rows), abouts(&rows)), (vec![], vec![]));
    assert_eq!(desk.seen(A), ["ack 9 seq 3"]);
}

#[test]
fn who_recalls_what_of_whom() {
    let (mut desk, channel) = group(Limits::default());
    let text = |desk: &Desk, sender| sent(desk, 2, sender);
    // A member recalls nothing of another's, whoever that is.
    desk.send(B, B, 3, &recall(channel, 2));
    let of = text(&desk, A);
    tell(&mut desk, of, Facts::default(), vec![]);
    refused(&mut desk, B, "forbidden", "target");
    // An owner recalls anybody's, and an admin what members sent and who has left.
    desk.send(A, A, 4, &recall(channel, 2));
    let of = text(&desk, B);
    tell(&mut desk, of, Facts::default(), vec![]);
    let rows = desk.run();
    let by = rewritten(&rows).first().and_then(Recalled::read).unwrap();
    assert_eq!(by.user, A, "who did it is in what stands there");
    for member in [B, C] {
        desk.send(A, A, 10 + member, &SetRole { channel: channel.0, member, role: ROLE_ADMIN });
        desk.run();
    }
    forget(&mut desk);
    let mut id = 100;
    let mut asks = |desk: &mut Desk, of: u64| {
        id += 1;
        desk.send(B, B, id, &recall(channel, 2));
        let of = sent(desk, 2, of);
        tell(desk, of, Facts::default(), vec![]);
        desk.run();
    };
    for above in [A, C] {
        asks(&mut desk, above);
        refused(&mut desk, B, "forbidden", "target");
    }
    asks(&mut desk, 999);
    assert!(desk.seen(B)[0].starts_with("ack"), "of who is no member any more");
    desk.send(A, A, 60, &SetRole { channel: channel.0, member: B, role: ROLE_OWNER });
    desk.run();
    forget(&mut desk);
    asks(&mut desk, A);
    assert!(desk.seen(B)[0].starts_with("ack"), "an owner recalls an owner's");
}

#[test]
fn in_a_direct_channel_only_who_sent_it() {
    let (mut desk, _) = group(Limits::default());
    let direct = ChannelId::direct(UserId(A), UserId(B));
    desk.send(A, A, 5, &SendText { channel: direct.0, text: "here".into() });
    desk.run();
    forget(&mut desk);
    desk.send(B, B, 6, &recall(direct, 1));
    let text = sent(&desk, 1, A);
    tell(&mut desk, text, Facts::default(), vec![]);
    refused(&mut desk, B, "forbidden", "target");
    desk.send(C, C, 7, &recall(direct, 1));
    refused(&mut desk, C, "forbidden", "channel");
    desk.send(A, A, 8, &recall(direct, 1));
    tell(&mut desk, text, Facts::default(), vec![]);
    desk.run();
    assert_eq!(desk.seen(A), ["ack 8 seq 2"]);
}

#[test]
fn what_cannot_be_recalled_is_refused_by_name() {
    let (mut desk, channel) = group(Limits::default());
    for target in [9, U53_MAX] {
        desk.send(A, A, 3, &recall(channel, target));
        refused(&mut desk, A, "limit", "target");
    }
    let kinds = [Kind::CREATE_GROUP, Kind::EDIT_TEXT, Kind::REACT, Kind::RECALL, Kind::PIN];
    for (kind, id) in kinds.into_iter().zip(10..) {
        desk.send(A, A, id, &recall(channel, 1));
        let message = Some((kind, sent(&desk, 1, A)));
        let (facts, edits) = (Facts::default(), vec![]);
        desk.answer(Answer::Target { message, recalled: None, facts, edits });
        assert!(refused(&mut desk, A, "limit", "target").contains("no text"), "{kind:?}");
    }
    // What stands in the place of an edit is no text either.
    desk.send(A, A, 20, &recall(channel, 2));
    let recalled = Recalled { channel: channel.0, target: 1, by: 2, user: A, time_ms: 1 };
    let message = Some((Kind::RECALLED, sent(&desk, 2, A)));
    let (facts, edits) = (Facts::default(), vec![]);
    desk.answer(Answer::Target { message, recalled: Some(Box::new(recalled)), facts, edits });
    refused(&mut desk, A, "limit", "target");
    // Nor is what was said before one came, or in a channel where one is not.
    desk.send(C, C, 21, &LeaveGroup { channel: channel.0 });
    desk.run();
    forget(&mut desk);
    desk.send(C, C, 22, &recall(channel, 2));
    refused(&mut desk, C, "forbidden", "channel");
    desk.join(40, 40, 40);
    desk.send(A, A, 23, &AddMembers { channel: channel.0, members: vec![40] });
    desk.run();
    desk.take(40);
    desk.send(40, 40, 24, &recall(channel, 2));
    refused(&mut desk, 40, "limit", "target");
    desk.send(A, A, 25, &Recall { channel: channel.0, target: 0 });
    assert!(desk.seen(A).contains(&"reject 25 limit".to_owned()));
}

#[test]
fn nothing_is_said_about_a_recalled_text() {
    let (mut desk, channel) = group(Limits::default());
    for id in 3..6 {
        match id {
            3 => desk.send(A, A, id, &EditText { channel: channel.0, target: 2, text: "at six".into() }),
            4 => desk.send(A, A, id, &React { channel: channel.0, target: 2, on: true, emoji: "x".into() }),
            _ => desk.send(A, A, id, &Pin { channel: channel.0, target: 2, on: true }),
        }
        let text = sent(&desk, 2, A);
        tell_recalled(&mut desk, channel, text, 3);
        assert!(refused(&mut desk, A, "limit", "target").contains("was recalled"));
    }
}

/// From the first message that is stored on the time is the channel's; the sender's window ends, an owner's or admin's does not.
#[test]
fn the_sender_has_so_long() {
    for (window_s, age_ms, may) in
        [(86_400, DAY_MS, true), (86_400, DAY_MS + 1, false), (0, 400 * DAY_MS, true)]
    {
        let (mut desk, channel) = group(Limits { recall_window_s: window_s, ..Limits::default() });
        let text = |sender| Sent { time_ms: desk.wall_ms - age_ms, ..sent(&desk, 2, sender) };
        let (of_a, of_b) = (text(A), text(B));
        desk.send(B, B, 3, &recall(channel, 2));
        tell(&mut desk, of_b, Facts::default(), vec![]);
        desk.run();
        if may {
            assert_eq!(desk.seen(B), ["ack 3 seq 3"], "{window_s} {age_ms}");
        } else {
            let words = refused(&mut desk, B, "limit", "target");
            assert!(words.contains("86400 s"), "{words}");
        }
        forget(&mut desk);
        for (id, of) in [(4, of_b), (5, of_a)] {
            desk.send(A, A, id, &recall(channel, 2));
            tell(&mut desk, of, Facts::default(), vec![]);
            desk.run();
            assert!(desk.seen(A)[0].starts_with("ack"), "an owner at any time, its own too");
        }
    }
}

fn hello(desk: &mut Desk, conn: u64, user: u64) {
    let hello = protocol::hello::Hello {
        user: UserId(user),
        device: DeviceId(user),
        cursor: Cursor { generation: Generation(desk::GENERATION), at: InboxSeq(0) },
        id: 99,
        expires_ms: desk.wall_ms + DAY_MS,
        issued_ms: desk.wall_ms,
    };
    let home = desk.home(user);
    desk.turn(home, vec![Input::Hello { conn: ConnId(conn), hello }]);
}

/// The pointers of the text and of its recall are not stored yet: a device that comes now is told from memory.
#[test]
fn what_an_inbox_still_has_in_memory_is_shown_to_nobody() {
    let mut desk = Desk::gathering(1, 60_000, Limits::default());
    for user in [A, B] {
        desk.join(user, user, user);
    }
    let channel = ChannelId::direct(UserId(A), UserId(B));
    desk.text(A, A, channel, 2, "see you at five");
    desk.answer_all_empty();
    desk.store_one();
    let edit = EditText { channel: channel.0, target: 1, text: "see you at six".into() };
    desk.send(A, A, 3, &edit);
    let text = Sent { send_id: SendId(2), ..sent(&desk, 1, A) };
    let (message, facts) = (Some((Kind::SEND_TEXT, text)), Facts::default());
    desk.answer(Answer::Target { message, recalled: None, facts, edits: vec![] });
    desk.store_one();
    desk.send(A, A, 4, &recall(channel, 1));
    let edits = vec![Sent { send_id: SendId(3), ..sent(&desk, 2, A) }];
    let said = Said { edits: vec![Seq(2)], reactions: vec![] };
    tell(&mut desk, text, Facts { said, ..Facts::default() }, edits);
    desk.store_one();
    desk.take(B);
    hello(&mut desk, 77, B);
    desk.pass(60_000);
    while !desk.batches.is_empty() {
        desk.store_one();
    }
    while !desk.queries.is_empty() {
        // What stood in memory and what stands in the store say the same; here only memory is asked.
        desk.fail_read();
    }
    let shown: Vec<Frame> = desk.take(77).into_iter().filter(|frame| frame.header().is_stamped()).collect();
    let kinds: Vec<Kind> = shown.iter().map(Frame::kind).collect();
    assert!(!kinds.contains(&Kind::SEND_TEXT) && !kinds.contains(&Kind::EDIT_TEXT), "{kinds:?}");
}

#[test]
fn a_recall_fits_its_kind() {
    fn fits<T: Body>(body: &T) -> bool {
        encode(1, body).body().len() <= T::KIND.body_bytes_max()
    }
    let most =
        Recalled { channel: u128::MAX, target: u64::MAX, by: u64::MAX, user: u64::MAX, time_ms: u64::MAX };
    assert!(fits(&most) && fits(&Recall { channel: u128::MAX, target: u64::MAX }));
}
