//! Enemies who ask for much: what they cause is bounded before it is done, and they alone wait.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::{Desk, GENERATION};
use protocol::body;
use protocol::body::message::{AddMembers, CreateGroup, SendText};
use protocol::body::session::{Heartbeat, Reject, WelcomeV2};
use protocol::body::sync::{GetChannels, GetHistory};
use protocol::body::talk::GetThread;
use protocol::hello::Hello;
use protocol::query::{Answer, Query};
use protocol::{
    ChannelId, Code, Cursor, DeviceId, Frame, Generation, InboxSeq, Kind, SendId, Seq, Stamp, UserId,
};
use shard::limits::{LOADS_ASKED_MAX, ORDER_KEPT_MS, PAGES_UNDER_WAY_MAX};
use shard::{ConnId, Input, Limits};

const EGRESS: usize = 1024 * 1024;

fn direct(a: u64, b: u64) -> ChannelId {
    ChannelId::direct(UserId(a), UserId(b))
}

fn history(limit: u32) -> GetHistory {
    GetHistory { channel: direct(10, 20).0, after: 0, before: (1 << 53) - 1, limit, newest: true }
}

fn plenty() -> Limits {
    Limits { frames_per_s: 1_000_000, frames_burst: 1_000_000, ..Limits::default() }
}

/// Refusals that a connection was sent: id, code, hint.
fn refusals(desk: &mut Desk, conn: u64) -> Vec<(u64, Code, u32)> {
    let frames = desk.take(conn);
    let rejects = frames.iter().filter(|frame| frame.kind() == Kind::REJECT);
    rejects
        .map(|frame| {
            let reject = body::read::<Reject>(frame).unwrap();
            (frame.header().id, Code::from_number(reject.code).unwrap(), reject.retry_after_ms)
        })
        .collect()
}

/// All of it in one turn, as a driver reads it.
fn at_once(desk: &mut Desk, conn: u64, user: u64, frames: Vec<Frame>) {
    let home = desk.home(user);
    let inputs = frames.into_iter().map(|frame| Input::Frame { conn: ConnId(conn), frame });
    desk.turn(home, inputs.collect());
}

fn heartbeats(count: u64) -> Vec<Frame> {
    (0..count).map(|id| body::encode(id, &Heartbeat { time_ms: 1 })).collect()
}

/// Short texts from one to another, each under an id of its own.
fn texts(of: u64, from: u64, to: u64, count: u64) -> Vec<Frame> {
    let body = SendText { channel: direct(from, to).0, text: "x".into() };
    (1..=count).map(|n| body::encode(of * 1000 + n, &body)).collect()
}

/// Sends as many short texts at once as that; how many of them were taken.
fn taken(desk: &mut Desk, conn: u64, from: u64, to: u64, count: u64) -> usize {
    at_once(desk, conn, from, texts(conn, from, to, count));
    desk.run();
    desk.seen(conn).iter().filter(|word| word.starts_with("ack")).count()
}

/// A message of a direct channel with a long text, as a store gives it.
fn stored(seq: u64, text_bytes: usize) -> Frame {
    let text = SendText { channel: direct(10, 20).0, text: "x".repeat(text_bytes) };
    let stamp = Stamp { seq: Seq(seq), time_ms: 1, sender: UserId(20) };
    body::encode(seq, &text).stamp(stamp)
}

fn answer_history(desk: &mut Desk, frames: &[Frame]) {
    let (shard, ticket, query) = desk.queries.pop_front().unwrap();
    assert!(matches!(query, Query::History { .. }), "{query:?}");
    let answer = Ok(Answer::History(frames.to_vec()));
    desk.turn(shard, vec![Input::Read { ticket, answer }]);
}

/// The channel of 10 and 20 in memory, with messages.
fn load_channel(desk: &mut Desk) {
    desk.send(1, 10, 1, &history(1));
    while let Some((_, _, query)) = desk.queries.front() {
        if matches!(query, Query::Channel(_)) {
            desk.answer(Answer::Channel {
                row: None,
                members: Vec::new(),
                head: Seq(50),
                time_ms: 1,
                rules: protocol::query::RuleRows::default(),
            });
        } else {
            answer_history(desk, &[stored(50, 10)]);
        }
    }
    desk.take(1);
}

#[test]
fn a_thousand_pages_that_nobody_reads_are_refused_before_the_store_is_asked() {
    let mut desk = Desk::limited(1, plenty());
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    load_channel(&mut desk);
    let ask = |id| body::encode(id, &history(200));
    at_once(&mut desk, 1, 10, (1..=1000).map(ask).collect());
    let asked = desk.queries.len();
    assert!((1..=PAGES_UNDER_WAY_MAX).contains(&asked), "{asked} reads");
    let refused = refusals(&mut desk, 1);
    assert_eq!(refused.len(), 1000 - asked);
    assert!(refused.iter().all(|(_, code, hint)| *code == Code::Busy && *hint > 0));
    assert_eq!(desk.paused.get(&ConnId(1)), Some(&true), "who asks for more is not read");
    assert!(desk.closed.is_empty());
    // A bystander is served meanwhile.
    desk.send(2, 20, 7, &Heartbeat { time_ms: 1 });
    assert_eq!(desk.seen(2), ["heartbeat 7"]);
    // What was asked for comes, and with room again there is more of it.
    let page = [stored(49, 100_000), stored(50, 100_000)];
    let mut handed = 0;
    while !desk.queries.is_empty() {
        answer_history(&mut desk, &page);
        handed += desk.take(1).iter().map(|frame| frame.bytes().len()).sum::<usize>();
    }
    assert!(handed <= EGRESS + protocol::limits::PAGE_BYTES_MAX, "{handed}");
    assert_eq!(desk.paused.get(&ConnId(1)), Some(&false));
    desk.send(1, 10, 2000, &history(200));
    assert_eq!(desk.queries.len(), 1, "room was given back");
}

#[test]
fn what_waits_to_be_written_leaves_no_room_for_a_page() {
    let mut desk = Desk::limited(1, plenty());
    desk.join(1, 10, 1);
    load_channel(&mut desk);
    desk.turn(0, vec![Input::Egress { conn: ConnId(1), queued: EGRESS - 1000 }]);
    desk.send(1, 10, 5, &history(200));
    assert_eq!(refusals(&mut desk, 1), [(5, Code::Busy, 1000)]);
    assert!(desk.queries.is_empty(), "nothing was read for it");
    assert_eq!(desk.paused.get(&ConnId(1)), Some(&true));
    desk.turn(0, vec![Input::Egress { conn: ConnId(1), queued: 0 }]);
    assert_eq!(desk.paused.get(&ConnId(1)), Some(&false));
    desk.send(1, 10, 5, &history(200));
    assert_eq!(desk.queries.len(), 1);
}

#[test]
fn a_thousand_lists_of_channels_are_a_few_reads() {
    let mut desk = Desk::limited(1, plenty());
    desk.join(1, 10, 1);
    let ask = |id| body::encode(id, &GetChannels { after: 0, limit: 500 });
    at_once(&mut desk, 1, 10, (1..=1000).map(ask).collect());
    let asked = desk.queries.len();
    assert!((1..=PAGES_UNDER_WAY_MAX).contains(&asked), "{asked} reads");
    assert_eq!(refusals(&mut desk, 1).len(), 1000 - asked);
    desk.answer_all_empty();
    assert_eq!(desk.seen(1).len(), asked);
    at_once(&mut desk, 1, 10, (1..=10).map(ask).collect());
    assert_eq!(desk.queries.len(), asked, "room was given back");
}

#[test]
fn a_request_and_a_send_of_the_same_number_are_told_apart() {
    let mut desk = Desk::limited(1, plenty());
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    load_channel(&mut desk);
    let foreign = ChannelId::group(UserId(99), SendId(1));
    for _ in 0..100 {
        // The refusal of the send is not the answer to the request.
        desk.send(1, 10, 5, &history(200));
        desk.text(1, 10, foreign, 5, "not a member");
        while matches!(desk.queries.back(), Some((_, _, Query::Channel(_) | Query::Window { .. }))) {
            let (shard, ticket, query) = desk.queries.pop_back().unwrap();
            let answer = match query {
                Query::Window { .. } => Answer::Window(Vec::new()),
                _ => Answer::Channel {
                    row: None,
                    members: Vec::new(),
                    head: Seq(0),
                    time_ms: 0,
                    rules: protocol::query::RuleRows::default(),
                },
            };
            desk.turn(shard, vec![Input::Read { ticket, answer: Ok(answer) }]);
        }
    }
    assert!(desk.queries.len() <= PAGES_UNDER_WAY_MAX, "{} reads", desk.queries.len());
}

#[test]
fn a_page_that_could_not_be_read_gives_its_room_back() {
    let mut desk = Desk::limited(1, plenty());
    desk.join(1, 10, 1);
    load_channel(&mut desk);
    for id in 1..=20 {
        desk.send(1, 10, id, &history(200));
        desk.fail_read();
        assert_eq!(refusals(&mut desk, 1), [(id, Code::Busy, 1000)]);
    }
    assert_ne!(desk.paused.get(&ConnId(1)), Some(&true));
}

#[test]
fn welcome_says_the_pace() {
    let limits =
        Limits { frames_per_s: 7, frames_burst: 30, user_frames_burst: Some(20), ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.hello(1, 10, 1, 0);
    desk.run();
    let welcome = body::read::<WelcomeV2>(&desk.take(1)[0]).unwrap();
    assert_eq!((welcome.tokens_per_s, welcome.tokens_burst, welcome.token_bytes), (7, 20, 4096));
}

#[test]
fn a_long_text_and_many_members_cost_what_they_are() {
    let limits = Limits { frames_per_s: 1, frames_burst: 100, group_members: 500, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    // 98 of 100 tokens for 400 KB of text, and then two small frames.
    let text = "😀".repeat(100_000);
    desk.text(1, 10, direct(10, 20), 1, &text);
    at_once(&mut desk, 1, 10, heartbeats(3));
    assert_eq!(refusals(&mut desk, 1), [(2, Code::Rate, 1000)]);
    desk.run();
    // 499 made-up members take all that there is, and nobody is looked for a second time.
    let group = |id| {
        let channel = ChannelId::group(UserId(20), SendId(id)).0;
        body::encode(id, &CreateGroup { channel, name: "g".into(), members: (1000..1499).collect() })
    };
    at_once(&mut desk, 2, 20, (1..=200).map(group).collect());
    desk.answer(Answer::Channel {
        row: None,
        members: Vec::new(),
        head: Seq(0),
        time_ms: 0,
        rules: protocol::query::RuleRows::default(),
    });
    let looked_for = desk.queries.iter().filter(|(_, _, query)| matches!(query, Query::User(_))).count();
    assert_eq!(looked_for, 499);
    assert_eq!(refusals(&mut desk, 2).len(), 199);
    assert_eq!(desk.paused.get(&ConnId(2)), Some(&true));
}

#[test]
fn who_floods_is_not_read_until_it_has_tokens_and_is_never_closed_for_it() {
    let mut desk = Desk::limited(1, Limits { frames_per_s: 10, frames_burst: 50, ..Limits::default() });
    desk.join(1, 10, 1);
    at_once(&mut desk, 1, 10, heartbeats(3000));
    let refused = refusals(&mut desk, 1);
    assert_eq!(refused.len(), 2950);
    // The hint of each covers those before it, up to what there can be at once.
    let hints: Vec<u32> = refused.iter().map(|(_, _, hint)| *hint).collect();
    assert_eq!((hints[0], hints[1], hints[49], hints[2949]), (100, 200, 5000, 5000));
    assert!(desk.closed.is_empty(), "its pace is no fault");
    desk.pass(4_900);
    assert_eq!(desk.paused.get(&ConnId(1)), Some(&true));
    desk.pass(100);
    assert_eq!(desk.paused.get(&ConnId(1)), Some(&false));
    at_once(&mut desk, 1, 10, heartbeats(50));
    assert!(refusals(&mut desk, 1).is_empty(), "the hint was true");
}

#[test]
fn sends_behind_a_refused_one_wait_for_it() {
    let mut desk = Desk::limited(1, Limits { frames_per_s: 10, frames_burst: 10, ..Limits::default() });
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    let text = |id: u64| body::encode(id, &SendText { channel: direct(10, 20).0, text: "x".into() });
    at_once(&mut desk, 1, 10, (1..=13).map(text).collect());
    desk.run();
    let refused: Vec<u64> = refusals(&mut desk, 1).iter().map(|refusal| refusal.0).collect();
    assert_eq!(refused, [11, 12, 13]);
    desk.pass(2_000);
    // These were on the way before the refusals were read: there are tokens, but it is not their turn.
    at_once(&mut desk, 1, 10, vec![text(14), text(15)]);
    assert!(refusals(&mut desk, 1).iter().all(|(_, code, hint)| *code == Code::Rate && *hint > 0));
    // A request is served meanwhile, and changes nothing for the sends.
    at_once(&mut desk, 1, 10, heartbeats(1));
    assert_eq!(desk.seen(1).last().map(String::as_str), Some("heartbeat 0"));
    at_once(&mut desk, 1, 10, vec![text(16)]);
    assert_eq!(refusals(&mut desk, 1).len(), 1);
    at_once(&mut desk, 1, 10, (11..=16).map(text).collect());
    desk.run();
    let acks: Vec<String> = desk.seen(1);
    assert_eq!(acks.len(), 6, "{acks:?}");
    assert_eq!((acks[0].as_str(), acks[5].as_str()), ("ack 11 seq 11", "ack 16 seq 16"));
}

#[test]
fn a_device_that_gives_up_what_was_refused_can_send_others() {
    let mut desk = Desk::limited(1, Limits { frames_per_s: 10, frames_burst: 1, ..Limits::default() });
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    let text = |id: u64| body::encode(id, &SendText { channel: direct(10, 20).0, text: "x".into() });
    at_once(&mut desk, 1, 10, vec![text(1), text(2)]);
    desk.run();
    assert_eq!(refusals(&mut desk, 1), [(2, Code::Rate, 100)]);
    desk.pass(ORDER_KEPT_MS);
    at_once(&mut desk, 1, 10, vec![text(3)]);
    assert_eq!(refusals(&mut desk, 1).len(), 1);
    desk.pass(100);
    at_once(&mut desk, 1, 10, vec![text(4)]);
    desk.run();
    assert_eq!(desk.seen(1)[0], "ack 4 seq 2");
}

#[test]
fn sixteen_devices_share_what_their_user_may_spend() {
    let limits = Limits { frames_per_s: 10, frames_burst: 50, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    for device in 1..=16 {
        desk.join(device, 10, device);
    }
    desk.join(99, 20, 99);
    let all: usize = (1..=16).map(|device| taken(&mut desk, device, 10, 20, 50)).sum();
    assert_eq!(all, 4 * 50, "four times what one session may");
    // What keeps a session alive it pays alone: the other fifteen go on living.
    at_once(&mut desk, 16, 10, vec![body::encode(7, &Heartbeat { time_ms: 1 })]);
    assert!(!refusals(&mut desk, 16).iter().any(|(id, ..)| *id == 7));
    assert_eq!(taken(&mut desk, 99, 20, 10, 50), 50, "another user has tokens of its own");
}

#[test]
fn who_comes_again_has_no_more_tokens_than_before() {
    let limits =
        Limits { frames_per_s: 10, frames_burst: 50, user_frames_burst: Some(50), ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    let mut all = 0;
    for conn in 1..=20 {
        all += taken(&mut desk, conn, 10, 20, 50);
        desk.turn(0, vec![Input::Closed { conn: ConnId(conn) }]);
        let hello = Input::Hello {
            conn: ConnId(conn + 1),
            hello: Hello {
                user: UserId(10),
                device: DeviceId(1),
                cursor: Cursor { generation: Generation(GENERATION), at: InboxSeq(u64::MAX) },
                id: 99,
                expires_ms: desk.wall_ms + 3_600_000,
                issued_ms: desk.wall_ms,
            },
        };
        desk.turn(0, vec![hello]);
    }
    assert_eq!(all, 50);
}

/// Whose stays the store is asked for is no member of a group, mostly: strangers cost no more reads than there is room for.
#[test]
fn while_as_much_is_read_as_may_be_nobody_asks_for_more() {
    let mut desk = Desk::new(1);
    for user in [10, 20, 30] {
        desk.join(user, user, user);
    }
    let channel = ChannelId::group(UserId(10), SendId(1));
    desk.send(10, 10, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![20] });
    desk.run();
    desk.seen(10);
    desk.seen(30);
    for user in 0..LOADS_ASKED_MAX as u64 {
        desk.hello(1000 + user, 1000 + user, 1000 + user, 0);
    }
    let asked = desk.queries.len();
    desk.send(30, 30, 2, &GetHistory { channel: channel.0, ..history(9) });
    assert_eq!(desk.seen(30), ["reject 2 busy"]);
    let thread = GetThread { channel: channel.0, root: 1, after: 0, before: 9, limit: 9, newest: false };
    desk.send(30, 30, 3, &thread);
    assert_eq!(desk.seen(30), ["reject 3 busy"]);
    desk.send(10, 10, 4, &AddMembers { channel: channel.0, members: vec![30] });
    assert_eq!(desk.seen(10), ["reject 4 busy"]);
    assert_eq!(desk.queries.len(), asked, "the readers' lane is full, and more would end the process");
    // A text asks for nothing.
    desk.text(10, 10, channel, 5, "two");
    desk.store_one();
    assert_eq!(desk.seen(10), ["ack 5 seq 2"]);
}
