//! Scenarios of texts that answer others, stand in threads and mention people.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body::message::{AddMembers, CreateGroup, LeaveGroup};
use protocol::body::session::Reject;
use protocol::body::talk::{GetMentions, GetThread, Mentions, Talk, Thread};
use protocol::body::{self};
use protocol::commit::{Interval, Row};
use protocol::limits::U53_MAX;
use protocol::query::{Answer, Mention, Query};
use protocol::{ChannelId, Frame, InboxSeq, SendId, Seq, UserId};

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;

/// A made a group with others; C is a user with a session, and not in it.
fn group(shards: u16, others: Vec<u64>) -> (Desk, ChannelId) {
    let mut desk = Desk::new(shards);
    for user in [A, B, C] {
        desk.join(user, user, user);
    }
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: others });
    desk.run();
    desk.seen(A);
    desk.seen(B);
    (desk, channel)
}

fn say(desk: &mut Desk, user: u64, channel: ChannelId, id: u64, talk: &Talk) {
    desk.send(user, user, id, &talk.text(channel, "about something"));
}

fn reply(seq: u64) -> Talk {
    Talk { reply_to: Some(Seq(seq)), ..Talk::default() }
}

fn to(users: &[u64]) -> Talk {
    Talk { mentions: users.iter().map(|user| UserId(*user)).collect(), ..Talk::default() }
}

/// What a connection was refused for: the field.
fn refused(desk: &mut Desk, conn: u64) -> String {
    let frames = desk.take(conn);
    let reject = frames.first().and_then(body::read::<Reject>);
    reject.unwrap_or_else(|| panic!("{frames:?}")).path
}

fn threads(rows: &[Row]) -> Vec<(u64, u64)> {
    let thread = |row: &Row| match row {
        Row::Thread { root, seq, .. } => Some((root.0, seq.0)),
        _ => None,
    };
    rows.iter().filter_map(thread).collect()
}

fn mentions(rows: &[Row]) -> Vec<(u64, u64, u64)> {
    let mention = |row: &Row| match row {
        Row::Mention { user, at, seq, .. } => Some((user.0, at.0, seq.0)),
        _ => None,
    };
    let mut all: Vec<_> = rows.iter().filter_map(mention).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_reply_names_what_has_a_seq_and_was_said_since_one_is_there() {
    let (mut desk, channel) = group(2, vec![B]);
    say(&mut desk, B, channel, 2, &reply(2));
    assert_eq!(refused(&mut desk, B), "reply_to", "that would be itself");
    say(&mut desk, B, channel, 3, &Talk { thread: Some(Seq(U53_MAX)), ..Talk::default() });
    assert_eq!(refused(&mut desk, B), "thread");
    // What is on its way to the disk counts.
    desk.text(B, B, channel, 4, "two");
    say(&mut desk, B, channel, 5, &reply(2));
    desk.run();
    assert_eq!(desk.seen(B), ["ack 4 seq 2", "ack 5 seq 3"]);
    // C comes, and may not name what was before.
    desk.send(A, A, 6, &AddMembers { channel: channel.0, members: vec![C] });
    desk.run();
    desk.seen(C);
    say(&mut desk, C, channel, 7, &reply(3));
    assert_eq!(refused(&mut desk, C), "reply_to");
    say(&mut desk, C, channel, 8, &reply(4));
    desk.run();
    assert_eq!(desk.seen(C), ["ack 8 seq 5"]);
}

#[test]
fn a_repeat_is_answered_whatever_it_names_now() {
    let (mut desk, channel) = group(1, vec![B]);
    say(&mut desk, B, channel, 2, &to(&[A]));
    desk.run();
    assert_eq!(desk.seen(B), ["ack 2 seq 2"]);
    desk.send(A, A, 3, &LeaveGroup { channel: channel.0 });
    desk.run();
    desk.seen(B);
    say(&mut desk, B, channel, 2, &to(&[A]));
    assert_eq!(desk.seen(B), ["ack 2 seq 2"]);
    say(&mut desk, B, channel, 4, &to(&[A]));
    assert_eq!(refused(&mut desk, B), "mentions[0]", "who has left is no member");
    say(&mut desk, B, channel, 2, &to(&[B]));
    assert_eq!(desk.seen(B), ["reject 2 conflict"], "other content");
}

#[test]
fn members_alone_are_mentioned_and_it_is_noted_with_their_pointers() {
    let (mut desk, channel) = group(2, vec![B]);
    say(&mut desk, A, channel, 2, &to(&[B, C]));
    assert_eq!(refused(&mut desk, A), "mentions[1]");
    say(&mut desk, A, channel, 3, &to(&[A, B]));
    let rows = desk.run();
    assert_eq!(mentions(&rows), [(B, 2, 2)], "nobody mentions oneself");
    say(&mut desk, B, channel, 4, &Talk { all: true, thread: Some(Seq(1)), ..Talk::default() });
    let rows = desk.run();
    assert_eq!((mentions(&rows), threads(&rows)), (vec![(A, 3, 3)], vec![(1, 3)]));
    say(&mut desk, B, channel, 5, &Talk { online: true, ..Talk::default() });
    let rows = desk.run();
    assert_eq!(mentions(&rows), [], "it is for those who are here, and leaves nothing");
    desk.seen(A);
    let direct = ChannelId::direct(UserId(A), UserId(B));
    say(&mut desk, A, direct, 6, &to(&[C]));
    desk.run();
    assert_eq!(refused(&mut desk, A), "mentions[0]");
    say(&mut desk, A, direct, 7, &to(&[B]));
    assert_eq!(mentions(&desk.run()), [(B, 5, 1)]);
}

#[test]
fn in_a_large_group_only_those_with_a_role_mention_all() {
    let (mut desk, channel) = group(1, (B..B + 40).collect());
    let all = Talk { all: true, ..Talk::default() };
    let online = Talk { online: true, ..Talk::default() };
    say(&mut desk, B, channel, 2, &all);
    assert_eq!(refused(&mut desk, B), "mention_flags");
    say(&mut desk, B, channel, 3, &online);
    assert_eq!(refused(&mut desk, B), "mention_flags");
    say(&mut desk, A, channel, 4, &all);
    assert_eq!(mentions(&desk.run()).len(), 40);
}

#[test]
fn a_message_of_the_first_version_leaves_no_rows() {
    let (mut desk, channel) = group(1, vec![B]);
    desk.text(A, A, channel, 2, "plain");
    let rows = desk.run();
    assert!(!rows.iter().any(|row| matches!(row, Row::Thread { .. } | Row::Mention { .. })));
    // One of the second that is about nothing neither.
    say(&mut desk, A, channel, 3, &Talk::default());
    let rows = desk.run();
    assert!(!rows.iter().any(|row| matches!(row, Row::Thread { .. } | Row::Mention { .. })));
    assert_eq!(desk.seen(B), ["message 2 from 10", "message 3 from 10"]);
}

fn thread(channel: ChannelId) -> GetThread {
    GetThread { channel: channel.0, root: 1, after: 0, before: U53_MAX, limit: 50, newest: true }
}

fn page(desk: &mut Desk, conn: u64) -> (Thread, usize) {
    let frames = desk.take(conn);
    (frames.first().and_then(body::read::<Thread>).unwrap_or_else(|| panic!("{frames:?}")), frames.len() - 1)
}

/// What the store finds of a thread: so many messages, which begin with 3.
fn found(desk: &mut Desk, channel: ChannelId, seqs: &[u64], more: bool) {
    let frame = |seq: &u64| -> Frame {
        let text = Talk { thread: Some(Seq(1)), ..Talk::default() }.text(channel, "x");
        body::encode(5, &text).stamp(protocol::Stamp { seq: Seq(*seq), time_ms: 1, sender: UserId(A) })
    };
    let frames = seqs.iter().map(frame).collect();
    desk.answer(Answer::Thread { frames, more, total: 9, newest: Seq(4) });
}

#[test]
fn a_thread_is_read_by_members_from_either_end() {
    let (mut desk, channel) = group(2, vec![B]);
    for id in 2..5 {
        say(&mut desk, A, channel, id, &Talk { thread: Some(Seq(1)), ..Talk::default() });
    }
    desk.run();
    desk.seen(B);
    desk.send(C, C, 9, &thread(channel));
    desk.answer(Answer::Membership(vec![]));
    assert_eq!(desk.seen(C), ["reject 9 forbidden"]);
    desk.send(B, B, 10, &thread(channel));
    let Some((_, _, Query::Thread { root, after, before, counted, .. })) = desk.queries.front().cloned()
    else {
        panic!("no query")
    };
    assert_eq!((root, after, before, counted), (Seq(1), Seq(0), Seq(5), (Seq(1), Seq(4))));
    found(&mut desk, channel, &[3, 4], true);
    let (head, count) = page(&mut desk, B);
    assert_eq!((head.from, head.to, head.total, head.newest, head.more, count), (3, 4, 9, 4, true, 2));
    desk.send(B, B, 11, &GetThread { after: 1, newest: false, ..thread(channel) });
    found(&mut desk, channel, &[], false);
    let (head, count) = page(&mut desk, B);
    assert_eq!((head.from, head.to, head.more, count), (2, 4, false, 0), "all of the window is told");
    desk.send(B, B, 12, &thread(channel));
    desk.fail_read();
    assert_eq!(desk.seen(B), ["reject 12 busy"]);
}

#[test]
fn who_was_there_before_reads_its_stays_one_after_the_other() {
    let (mut desk, channel) = group(1, vec![B]);
    desk.send(B, B, 2, &LeaveGroup { channel: channel.0 });
    desk.run();
    desk.seen(B);
    desk.send(B, B, 3, &thread(channel));
    desk.answer(Answer::Membership(vec![
        Interval { joined: Seq(1), left: Some(Seq(1)) },
        Interval { joined: Seq(2), left: Some(Seq(2)) },
    ]));
    let Some((_, _, Query::Thread { after, before, counted, .. })) = desk.queries.front().cloned() else {
        panic!("no query")
    };
    assert_eq!((after, before, counted), (Seq(1), Seq(3), (Seq(2), Seq(2))), "the newest of them");
    found(&mut desk, channel, &[], false);
    let (head, _) = page(&mut desk, B);
    assert_eq!((head.from, head.to, head.more), (2, 2, true), "there is another before it");
}

#[test]
fn mentions_are_read_behind_what_was_delivered() {
    let (mut desk, channel) = group(2, vec![B]);
    desk.send(B, B, 7, &GetMentions { before: U53_MAX, limit: 10 });
    let Some((_, _, Query::Mentions { user, before, limit })) = desk.queries.front().cloned() else {
        panic!("no query")
    };
    assert_eq!((user, before, limit), (UserId(B), InboxSeq(U53_MAX), 10));
    let item = Mention { at: InboxSeq(4), channel, seq: Seq(2), time_ms: 5, sender: UserId(A) };
    desk.answer(Answer::Mentions { items: vec![item], unread: vec![(channel, 1)], more: true });
    let frames = desk.take(B);
    let found = body::read::<Mentions>(&frames[0]).unwrap();
    assert_eq!((found.items[0].at, found.items[0].sender, found.more), (4, A, true));
    assert_eq!((found.unread[0].channel, found.unread[0].unread), (channel.0, 1));
    desk.send(B, B, 8, &GetMentions { before: 0, limit: 101 });
    assert_eq!(desk.seen(B), ["reject 8 limit"]);
}
