//! Scenarios of what is said about messages: edits, reactions, pins, and the page that tells of them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body::about::{
    About as Page, AboutItem, EditText, GetAbout, Pin, PinItem, React, ReactionItem, ReactorItem,
};
use protocol::body::message::{AddMembers, CreateGroup, LeaveGroup, SendText};
use protocol::body::session::Reject;
use protocol::body::{self, Body, encode};
use protocol::commit::{About, Facts, Pinned, Row, Said};
use protocol::limits::{EDITS_MAX, REACTIONS_MAX, REACTIONS_OWN_MAX, U53_MAX};
use protocol::query::{AboutMessage, Answer, Query, Sent};
use protocol::{ChannelId, Kind, SendId, Seq, UserId};
use shard::limits::LOADS_ASKED_MAX;

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;

/// A made a group with B and wrote its message 2; C has a session and is not in it.
fn group(shards: u16) -> (Desk, ChannelId) {
    let mut desk = Desk::new(shards);
    for user in [A, B, C] {
        desk.join(user, user, user);
    }
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B] });
    desk.run();
    desk.text(A, A, channel, 2, "two");
    desk.run();
    desk.seen(A);
    desk.seen(B);
    (desk, channel)
}

fn edit(channel: ChannelId, target: u64, text: &str) -> EditText {
    EditText { channel: channel.0, target, text: text.into() }
}

fn react(channel: ChannelId, target: u64, emoji: &str, on: bool) -> React {
    React { channel: channel.0, target, on, emoji: emoji.into() }
}

fn pin(channel: ChannelId, target: u64, on: bool) -> Pin {
    Pin { channel: channel.0, target, on }
}

fn sent(seq: u64, sender: u64) -> Option<(Kind, Sent)> {
    let sender = UserId(sender);
    Some((Kind::SEND_TEXT, Sent { seq: Seq(seq), time_ms: 1, sender, send_id: SendId(2), fingerprint: 3 }))
}

/// The store knows this of the message that was asked for.
fn tell(desk: &mut Desk, message: Option<(Kind, Sent)>, facts: Facts) {
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Target { .. }))), "{:?}", desk.queries);
    desk.answer(Answer::Target { message, recalled: None, facts, edits: vec![] });
}

fn abouts(rows: &[Row]) -> Vec<About> {
    let about = |row: &Row| match row {
        Row::About { about, .. } => Some(about.clone()),
        _ => None,
    };
    rows.iter().filter_map(about).collect()
}

/// What a connection was refused for: code and field.
fn refused(desk: &mut Desk, conn: u64) -> (String, String) {
    let frames = desk.take(conn);
    let reject = frames.first().and_then(body::read::<Reject>).unwrap_or_else(|| panic!("{frames:?}"));
    (protocol::Code::from_number(reject.code).unwrap().word().to_owned(), reject.path)
}

fn limit(path: &str) -> (String, String) {
    ("limit".into(), path.into())
}

#[test]
fn an_edit_asks_for_its_text_and_is_a_message_with_a_row() {
    let (mut desk, channel) = group(2);
    desk.send(A, A, 3, &edit(channel, 2, "TWO"));
    let (_, _, query) = desk.queries.front().cloned().unwrap();
    assert_eq!(query, Query::Target { channel, seq: Seq(2), user: UserId(A), edits: false });
    tell(&mut desk, sent(2, A), Facts::default());
    let rows = desk.run();
    let said = Said { edits: vec![Seq(3)], ..Said::default() };
    assert_eq!(abouts(&rows), [About::Message { seq: Seq(2), said }]);
    assert_eq!(desk.seen(A), ["ack 3 seq 3"]);
    assert_eq!(desk.seen(B), ["message 3 from 10"]);
    // The same again is answered without a question.
    desk.send(A, A, 3, &edit(channel, 2, "TWO"));
    assert_eq!(desk.seen(A), ["ack 3 seq 3"]);
    desk.send(A, A, 3, &edit(channel, 2, "other"));
    assert_eq!(desk.seen(A), ["reject 3 conflict"]);
    assert!(desk.queries.is_empty());
}

#[test]
fn a_message_on_its_way_is_edited_behind_it_and_what_follows_waits() {
    let (mut desk, channel) = group(1);
    desk.text(A, A, channel, 3, "three");
    desk.send(A, A, 4, &edit(channel, 3, "THREE"));
    desk.text(B, B, channel, 5, "five");
    assert!(desk.queries.is_empty(), "the store is asked once the message is there");
    desk.store_one();
    tell(&mut desk, sent(3, A), Facts::default());
    desk.run();
    assert_eq!(desk.seen(A), ["ack 3 seq 3", "ack 4 seq 4", "message 5 from 20"]);
    // A read that fails refuses this one with a hint, and the next goes on.
    desk.send(A, A, 6, &edit(channel, 3, "3"));
    desk.text(A, A, channel, 7, "seven");
    desk.fail_read();
    desk.run();
    assert_eq!(desk.seen(A), ["reject 6 busy", "ack 7 seq 6"]);
}

#[test]
fn who_may_say_what_of_which_message() {
    let (mut desk, channel) = group(2);
    desk.send(B, B, 3, &edit(channel, 2, "mine"));
    tell(&mut desk, sent(2, A), Facts::default());
    assert_eq!(refused(&mut desk, B), ("forbidden".into(), "target".into()), "another's text");
    for target in [3, U53_MAX] {
        desk.send(B, B, 4, &react(channel, target, "👍", true));
        assert_eq!(refused(&mut desk, B), limit("target"), "above the head");
    }
    desk.send(B, B, 5, &react(channel, 1, "👍", true));
    let (_, mut group) = sent(1, A).unwrap();
    group.seq = Seq(1);
    tell(&mut desk, Some((Kind::CREATE_GROUP, group)), Facts::default());
    assert_eq!(refused(&mut desk, B), limit("target"), "no text");
    desk.send(C, C, 6, &react(channel, 2, "👍", true));
    desk.run();
    assert_eq!(refused(&mut desk, C).0, "forbidden", "no member");
    desk.send(B, B, 7, &pin(channel, 2, true));
    assert_eq!(refused(&mut desk, B).0, "forbidden", "neither owner nor admin");
    // Who came later may say nothing of what was before.
    desk.send(A, A, 8, &AddMembers { channel: channel.0, members: vec![C] });
    desk.run();
    desk.take(C);
    desk.send(C, C, 9, &react(channel, 2, "👍", true));
    assert_eq!(refused(&mut desk, C), limit("target"));
    // In a direct channel both pin, and nobody else says anything.
    let direct = ChannelId::direct(UserId(A), UserId(B));
    desk.send(A, A, 10, &SendText { channel: direct.0, text: "here".into() });
    desk.run();
    desk.take(A);
    desk.take(B);
    desk.send(B, B, 11, &pin(direct, 1, true));
    tell(&mut desk, sent(1, A), Facts::default());
    let rows = desk.run();
    assert_eq!(abouts(&rows), [About::Pins(vec![Pinned { seq: Seq(1), by: Seq(2) }])]);
    desk.send(C, C, 12, &pin(direct, 1, true));
    assert_eq!(refused(&mut desk, C).0, "forbidden");
}

#[test]
fn what_holds_already_is_a_message_without_rows() {
    let (mut desk, channel) = group(1);
    let said = Said { edits: vec![], reactions: vec![("👍".into(), 1)] };
    let facts = Facts { said, own: vec!["👍".into()], pins: vec![] };
    desk.send(B, B, 3, &react(channel, 2, "👍", true));
    tell(&mut desk, sent(2, A), facts.clone());
    let rows = desk.run();
    assert_eq!((abouts(&rows), desk.seen(B)), (vec![], vec!["ack 3 seq 3".to_owned()]));
    desk.send(B, B, 4, &react(channel, 2, "👍", false));
    tell(&mut desk, sent(2, A), facts);
    let gone = abouts(&desk.run());
    assert!(gone.iter().all(|about| about.value().is_none()) && gone.len() == 2, "{gone:?}");
}

#[test]
fn what_is_too_much_is_refused() {
    let (mut desk, channel) = group(1);
    let ways = |n: usize| (0..n).map(|way| way.to_string()).collect::<Vec<_>>();
    let own = Facts { own: ways(REACTIONS_OWN_MAX), ..Facts::default() };
    let said =
        Said { edits: vec![], reactions: ways(REACTIONS_MAX).into_iter().map(|way| (way, 1)).collect() };
    let full = Facts { said, ..Facts::default() };
    for (facts, id) in [(own, 3), (full, 4)] {
        desk.send(B, B, id, &react(channel, 2, "new", true));
        tell(&mut desk, sent(2, A), facts);
        assert_eq!(refused(&mut desk, B), limit("emoji"));
    }
    let said = Said { edits: vec![Seq(3); EDITS_MAX], reactions: vec![] };
    desk.send(A, A, 5, &edit(channel, 2, "once more"));
    tell(&mut desk, sent(2, A), Facts { said, ..Facts::default() });
    assert_eq!(refused(&mut desk, A), limit("target"));
}

#[test]
fn while_as_much_is_read_as_may_be_it_is_to_come_again() {
    let (mut desk, channel) = group(1);
    for user in 0..LOADS_ASKED_MAX as u64 {
        desk.hello(1000 + user, 1000 + user, 1000 + user, 0);
    }
    desk.send(B, B, 3, &react(channel, 2, "👍", true));
    assert_eq!(desk.seen(B), ["reject 3 busy"]);
    desk.text(B, B, channel, 4, "four");
    desk.store_one();
    assert_eq!(desk.seen(B), ["ack 4 seq 3"], "a text asks for nothing");
}

fn get(channel: ChannelId, from: u64, through: u64, who: bool) -> GetAbout {
    GetAbout { channel: channel.0, from, through, limit: 50, who }
}

fn answered<T: Body>(desk: &mut Desk, conn: u64) -> T {
    let frames = desk.take(conn);
    frames.first().and_then(body::read).unwrap_or_else(|| panic!("{frames:?}"))
}

#[test]
fn a_page_tells_what_is_said_since_one_is_there() {
    let (mut desk, channel) = group(2);
    desk.send(A, A, 3, &AddMembers { channel: channel.0, members: vec![C] });
    desk.run();
    desk.text(A, A, channel, 4, "four");
    desk.run();
    desk.take(C);
    desk.send(C, C, 5, &get(channel, 1, U53_MAX, true));
    let (_, _, query) = desk.queries.front().cloned().unwrap();
    let Query::About { from, through, user, who: true, .. } = query else { panic!("{query:?}") };
    assert_eq!((from, through, user), (Seq(3), Seq(4), UserId(C)), "from where C is in it to what is stored");
    let pins = vec![Pinned { seq: Seq(2), by: Seq(3) }, Pinned { seq: Seq(4), by: Seq(5) }];
    let said = Said { edits: vec![Seq(6), Seq(7)], reactions: vec![("👍".into(), 2), ("👀".into(), 1)] };
    let who = vec![(UserId(A), vec!["👀".to_owned(), "👍".to_owned()]), (UserId(C), vec!["👍".to_owned()])];
    let item = AboutMessage { seq: Seq(4), said, own: vec!["👍".into()], text: String::new(), who };
    desk.answer(Answer::About { pins, items: vec![item], more: true });
    let page: Page = answered(&mut desk, C);
    assert_eq!((page.from, page.to, page.more), (3, 4, true));
    assert_eq!(page.pins.iter().map(|pin| pin.seq).collect::<Vec<_>>(), [4], "the other is not for C");
    assert_eq!(page.items, [AboutItem { seq: 4, edited: 7, edits: 2, text: String::new() }]);
    let reaction = |emoji: &str, count, own| ReactionItem { seq: 4, count, own, emoji: emoji.into() };
    assert_eq!(page.reactions, [reaction("👍", 2, true), reaction("👀", 1, false)]);
    let reactor = |user, reaction| ReactorItem { seq: 4, user, reaction };
    assert_eq!(page.who, [reactor(A, 1), reactor(A, 0), reactor(C, 0)]);
    desk.send(C, C, 6, &get(channel, 1, 2, false));
    let page: Page = answered(&mut desk, C);
    assert_eq!((page.from, page.to, page.more), (0, 0, false), "all of it was before C came");
    desk.send(C, C, 7, &LeaveGroup { channel: channel.0 });
    desk.run();
    desk.take(C);
    desk.send(C, C, 8, &get(channel, 1, U53_MAX, false));
    assert_eq!(refused(&mut desk, C).0, "forbidden", "who has left is told nothing");
    desk.take(B);
    desk.send(B, B, 9, &get(channel, 1, U53_MAX, false));
    desk.fail_read();
    assert_eq!(refused(&mut desk, B).0, "busy");
}

#[test]
fn the_largest_thing_that_is_said_fits_its_frame() {
    let reactions = (0..REACTIONS_MAX).map(|way| ReactionItem {
        seq: 1,
        count: 500,
        own: true,
        emoji: format!("{way:032}"),
    });
    let text = "😀".repeat(100_000);
    let page = Page {
        channel: 7,
        from: 1,
        to: 1,
        pins: vec![PinItem { seq: 1, by: 2 }; 100],
        items: vec![AboutItem { seq: 1, edited: 2, edits: 64, text }],
        reactions: reactions.collect(),
        who: vec![],
        more: true,
    };
    assert!(protocol::Frame::new(encode(1, &page).into_bytes()).is_ok());
}
