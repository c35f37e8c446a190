//! What is said about messages, in memory and in RocksDB: pages of it, and what the check says of rows that contradict the
//! history.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use protocol::body::about::{EditText, Pin, React};
use protocol::body::{Body, encode};
use protocol::commit::{About, Facts, Pinned, Said};
use protocol::query::AboutMessage;
use protocol::{BayId, ChannelId, Kind, Seq, UserId};
use storage::{Answer, PageBounds, Query, Row};
use world::{PAGE, World};

const ONE: UserId = UserId(1);
const TWO: UserId = UserId(2);

fn direct() -> ChannelId {
    ChannelId::direct(ONE, TWO)
}

fn say<T: Body>(world: &mut World, sender: UserId, body: &T) -> Seq {
    let frame = encode(world.next_send(), body);
    world.append(direct(), sender, &frame)
}

fn edit(target: u64, text: &str) -> EditText {
    EditText { channel: direct().0, target, text: text.into() }
}

fn react(target: u64, emoji: &str, on: bool) -> React {
    React { channel: direct().0, target, on, emoji: emoji.into() }
}

fn pin(target: u64, on: bool) -> Pin {
    Pin { channel: direct().0, target, on }
}

/// Three texts; the first edited twice, the second liked by both, both pinned, and one of them no more.
fn said(world: &mut World) {
    world.account(ONE);
    world.account(TWO);
    for text in ["one", "two", "three"] {
        world.text(direct(), ONE, text);
    }
    say(world, ONE, &edit(1, "uno"));
    say(world, ONE, &edit(1, "eins"));
    say(world, TWO, &react(2, "👍", true));
    say(world, ONE, &react(2, "👍", true));
    say(world, ONE, &react(2, "👀", true));
    say(world, ONE, &pin(2, true));
    say(world, TWO, &pin(1, true));
    say(world, TWO, &pin(2, false));
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
}

fn page(
    world: &World,
    range: (u64, u64),
    who: bool,
    page: PageBounds,
) -> (Vec<Pinned>, Vec<AboutMessage>, bool) {
    let (from, through) = (Seq(range.0), Seq(range.1));
    match world.read(&Query::About { channel: direct(), from, through, user: ONE, who, page }) {
        Answer::About { pins, items, more } => (pins, items, more),
        other => panic!("{other:?}"),
    }
}

fn what_is_said_is_read_by_range(mut world: World) {
    said(&mut world);
    let (pins, items, more) = page(&world, (1, 99), false, PAGE);
    assert_eq!((pins, more), (vec![Pinned { seq: Seq(1), by: Seq(10) }], false));
    let reactions = vec![("👍".to_owned(), 2), ("👀".to_owned(), 1)];
    let first = AboutMessage {
        seq: Seq(1),
        said: Said { edits: vec![Seq(4), Seq(5)], reactions: vec![] },
        text: "eins".into(),
        ..AboutMessage::default()
    };
    let second = AboutMessage {
        seq: Seq(2),
        said: Said { edits: vec![], reactions },
        own: vec!["👍".into(), "👀".into()],
        ..AboutMessage::default()
    };
    assert_eq!(items, [first.clone(), second.clone()]);
    assert_eq!(page(&world, (2, 3), false, PAGE).1, std::slice::from_ref(&second));
    assert_eq!(page(&world, (3, 9), false, PAGE).1, []);
    let (_, items, more) = page(&world, (1, 99), false, PageBounds { messages: 1, bytes: 1 << 20 });
    assert_eq!((items, more), (vec![first.clone()], true));
    let (_, items, more) = page(&world, (1, 99), false, PageBounds { messages: 9, bytes: 0 });
    assert_eq!((items, more), (vec![first.clone()], true), "one whatever its size");
    let (_, items, _) = page(&world, (1, 99), true, PAGE);
    let who = vec![(ONE, vec!["👍".to_owned(), "👀".to_owned()]), (TWO, vec!["👍".to_owned()])];
    assert_eq!(items, [AboutMessage { text: String::new(), ..first }, AboutMessage { who, ..second }]);
}

fn one_message_is_read_with_what_is_said_of_it(mut world: World) {
    said(&mut world);
    let query = |seq, user| Query::Target { channel: direct(), seq: Seq(seq), user, edits: false };
    let target = |seq, user| match world.read(&query(seq, user)) {
        Answer::Target { message, facts, .. } => (message.map(|(kind, sent)| (kind, sent.sender)), facts),
        other => panic!("{other:?}"),
    };
    let (message, facts) = target(2, TWO);
    assert_eq!(message, Some((Kind::SEND_TEXT, ONE)));
    assert_eq!(facts.own, ["👍"]);
    assert_eq!((facts.said.reactions.len(), facts.pins.len()), (2, 1));
    assert_eq!(target(4, TWO).0, Some((Kind::EDIT_TEXT, ONE)));
    let pins = facts.pins;
    assert_eq!(target(99, TWO), (None, Facts { pins, ..Facts::default() }));
}

fn rows_that_contradict_the_history_are_found(mut world: World) {
    said(&mut world);
    let bay = BayId::of_channel(direct());
    let set = |world: &mut World, about| world.commit(bay, vec![Row::About { channel: direct(), about }]);
    let found = |world: &World| world.findings().len();
    let wrong = Said { edits: vec![Seq(4)], reactions: vec![] };
    set(&mut world, About::Message { seq: Seq(1), said: wrong });
    assert_eq!(found(&world), 1, "an edit is missing");
    let right = Said { edits: vec![Seq(4), Seq(5)], reactions: vec![] };
    set(&mut world, About::Message { seq: Seq(1), said: right });
    assert_eq!(found(&world), 0);
    set(&mut world, About::Reactor { seq: Seq(2), user: TWO, emoji: vec![] });
    assert_eq!(found(&world), 1, "a reaction is missing");
    set(&mut world, About::Reactor { seq: Seq(2), user: TWO, emoji: vec!["👍".into()] });
    set(&mut world, About::Reactor { seq: Seq(3), user: TWO, emoji: vec!["👍".into()] });
    assert_eq!(found(&world), 1, "nobody reacted");
    set(&mut world, About::Reactor { seq: Seq(3), user: TWO, emoji: vec![] });
    set(&mut world, About::Pins(vec![]));
    assert_eq!(found(&world), 1, "a pin is missing");
    set(&mut world, About::Pins(vec![Pinned { seq: Seq(1), by: Seq(10) }]));
    assert_eq!(found(&world), 0);
    say(&mut world, TWO, &edit(1, "mine"));
    assert!(found(&world) > 0, "another's text");
}

contract! {
    what_is_said_is_read_by_range
    one_message_is_read_with_what_is_said_of_it
    rows_that_contradict_the_history_are_found
}
