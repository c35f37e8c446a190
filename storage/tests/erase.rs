//! What is left of a user who is erased, in memory and in RocksDB: what is found a part at a time, that no query finds it afterwards,
//! and that the check says where an erasure is not whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use protocol::body::about::{EditText, Pin, React};
use protocol::body::erase::Erase;
use protocol::body::{Body, encode};
use protocol::commit::{About, Act, ErasedRow, Facts, FloorRow, PositionRow, Said};
use protocol::query::{Cut, Written};
use protocol::{BayId, ChannelId, InboxSeq, Kind, Seq, UserId};
use storage::{Answer, PageBounds, Query, Row};
use world::{PAGE, World};

const ONE: UserId = UserId(1);
const TWO: UserId = UserId(2);
const SECRET: &str = "the secret";

contract! {
    what_is_left_is_found_a_part_at_a_time_and_then_no_more
    no_query_finds_what_the_user_wrote_and_others_keep_theirs
    the_check_holds_at_every_step_and_finds_half_of_one
    an_edit_of_a_purged_text_goes_too
    who_has_left_is_erased_and_only_while_it_was_there_is_looked_at
    an_own_channel_goes_with_its_notes
}

fn direct() -> ChannelId {
    ChannelId::direct(ONE, TWO)
}

fn say<T: Body>(world: &mut World, channel: ChannelId, sender: UserId, body: &T) -> Seq {
    let frame = encode(world.next_send(), body);
    world.append(channel, sender, &frame)
}

fn written(world: &World, channel: ChannelId, messages: u32) -> Written {
    let page = PageBounds { messages, ..PAGE };
    match world.read(&Query::Written { channel, user: ONE, page }) {
        Answer::Written(found) => *found,
        other => panic!("{other:?}"),
    }
}

/// Rows as a channel's home makes them.
fn rows(channel: ChannelId, found: &Written) -> Vec<Row> {
    let row = ErasedRow { next: found.through.next(), ..found.row.unwrap_or_default() };
    let erasure = row.erasure(channel, ONE);
    let texts = found.texts.iter().map(|(sent, _)| (*sent, sent.seq));
    let all = texts.chain(found.edits.iter().copied());
    let mut rows: Vec<Row> = all
        .map(|(sent, target)| {
            let frame = erasure.says(target).tombstone(sent.send_id, sent.stamp());
            Row::Rewrite { channel, seq: sent.seq, frame }
        })
        .collect();
    let mut abouts = Vec::new();
    for (sent, said) in found.texts.iter().filter(|(_, said)| *said != Said::default()) {
        abouts.push(About::Recalled { seq: sent.seq, has_reactors: !said.reactions.is_empty() });
    }
    let is_gone = |seq| found.texts.iter().any(|(sent, _)| sent.seq == seq);
    abouts.push(About::Pins(found.pins.iter().copied().filter(|pin| !is_gone(pin.seq)).collect()));
    for (target, said, ways) in &found.reactions {
        let mut facts = Facts { said: said.clone(), own: ways.clone(), pins: vec![] };
        for emoji in ways.clone() {
            abouts.extend(facts.take((*target, &Act::Reacts { emoji, on: false }), row.by, ONE));
        }
    }
    rows.extend(abouts.into_iter().map(|about| Row::About { channel, about }));
    rows.push(Row::Erased { channel, user: ONE, row });
    rows
}

/// The ERASE, with its row.
fn begin(world: &mut World, channel: ChannelId) -> Seq {
    let by = say(world, channel, ONE, &Erase { channel: channel.0 });
    let row = ErasedRow { by, time_ms: world.time_ms(), next: Seq(0) };
    world.commit(BayId::of_channel(channel), vec![Row::Erased { channel, user: ONE, row }]);
    world.deliver_all();
    by
}

/// Steps until nothing is left; how many there were, each looked at by the check.
fn erase(world: &mut World, channel: ChannelId, messages: u32) -> usize {
    for steps in 0..100 {
        let found = written(world, channel, messages);
        if found.is_empty() && found.through >= found.head {
            return steps;
        }
        world.commit(BayId::of_channel(channel), rows(channel, &found));
        assert_eq!(world.findings(), [""; 0], "{found:?}");
    }
    panic!("it does not end");
}

/// ONE and TWO talk, edit, react and pin.
fn talked(world: &mut World) {
    world.account(ONE);
    world.account(TWO);
    let channel = direct().0;
    let own = world.text(direct(), ONE, SECRET);
    let other = world.text(direct(), TWO, "kept");
    let edit = |target: Seq, text: &str| EditText { channel, target: target.0, text: text.into() };
    let react = |target: Seq, emoji: &str| React { channel, target: target.0, on: true, emoji: emoji.into() };
    say(world, direct(), ONE, &edit(own, SECRET));
    say(world, direct(), TWO, &edit(other, "kept, too"));
    for (user, target, emoji) in [
        (ONE, other, "👍"),
        (TWO, other, "👀"),
        (TWO, other, "👍"),
        (TWO, own, "👀"),
        (ONE, own, "👍"),
        (ONE, other, "🎉"),
    ] {
        say(world, direct(), user, &react(target, emoji));
    }
    for target in [own, other] {
        say(world, direct(), ONE, &Pin { channel, target: target.0, on: true });
    }
    world.text(direct(), ONE, SECRET);
    let row = PositionRow { read: Seq(2), ..PositionRow::default() };
    world.commit(BayId::of_channel(direct()), vec![Row::Position { channel: direct(), user: ONE, row }]);
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
}

fn what_is_left_is_found_a_part_at_a_time_and_then_no_more(mut world: World) {
    talked(&mut world);
    let all = written(&world, direct(), 100);
    assert_eq!(all.texts.iter().map(|(sent, _)| sent.seq.0).collect::<Vec<_>>(), [1, 13]);
    assert_eq!(all.edits.iter().map(|(sent, of)| (sent.seq.0, of.0)).collect::<Vec<_>>(), [(3, 1)]);
    let reactions: Vec<_> = all.reactions.iter().map(|(seq, _, ways)| (seq.0, ways.join(""))).collect();
    assert_eq!(reactions, [(2, "👍🎉".to_owned())], "of its own text nothing: that goes with it");
    assert_eq!((all.newest, all.through, all.head, all.row), (Seq(13), Seq(13), Seq(13), None));
    let first = written(&world, direct(), 1);
    assert_eq!((first.texts.len(), first.through), (1, Seq(1)));
    begin(&mut world, direct());
    assert!(erase(&mut world, direct(), 1) >= 3, "one thing a step");
    let none = written(&world, direct(), 100);
    assert!(none.is_empty() && none.through == Seq(14), "{none:?}");
}

fn no_query_finds_what_the_user_wrote_and_others_keep_theirs(mut world: World) {
    talked(&mut world);
    let by = begin(&mut world, direct());
    erase(&mut world, direct(), 100);
    let (channel, page) = (direct(), PAGE);
    let (after, before, newest) = (Seq(0), Seq(u64::MAX), false);
    let mut all = vec![Query::History { channel, after, before, newest, page }];
    for user in [ONE, TWO] {
        all.push(Query::Inbox { user, after: InboxSeq(0), page });
        all.push(Query::About { channel, from: Seq(1), through: by, user, who: false, page });
    }
    let shown = |text: &str| format!("{:?}", text.as_bytes()).trim_matches(['[', ']']).to_owned();
    for query in &all {
        let answer = format!("{:?}", world.read(query));
        assert!(!answer.contains(&shown(SECRET)) && !answer.contains(SECRET), "{query:?}: {answer}");
    }
    let Answer::History(frames) = world.read(&all[0]) else { panic!() };
    assert!(frames.iter().any(|frame| format!("{frame:?}").contains(&shown("kept"))));
    let gone = frames.iter().filter(|frame| frame.kind() == Kind::RECALLED).count();
    assert_eq!((gone, frames.len()), (3, 14));
    let Answer::About { items, pins, .. } = world.read(&all[2]) else { panic!() };
    assert_eq!(pins.iter().map(|pin| pin.seq.0).collect::<Vec<_>>(), [2]);
    let [item] = &items[..] else { panic!("{items:?}") };
    let mut left = item.said.reactions.clone();
    left.sort();
    assert_eq!((item.seq, left), (Seq(2), vec![("👀".to_owned(), 1), ("👍".to_owned(), 1)]));
    let Answer::Channel { members, .. } = world.read(&Query::Channel(channel)) else { panic!() };
    assert!(members.iter().all(|(user, _)| *user != ONE), "how far it had come is forgotten: {members:?}");
}

fn the_check_holds_at_every_step_and_finds_half_of_one(mut world: World) {
    talked(&mut world);
    begin(&mut world, direct());
    let found = written(&world, direct(), 100);
    let mut half = rows(direct(), &found);
    let rewrite = half.iter().position(|row| matches!(row, Row::Rewrite { .. })).unwrap();
    half.remove(rewrite);
    world.commit(BayId::of_channel(direct()), half);
    assert!(
        world.findings().iter().any(|finding| finding.contains("its sender is erased")),
        "{:?}",
        world.findings()
    );
}

fn an_edit_of_a_purged_text_goes_too(mut world: World) {
    talked(&mut world);
    let cut = Cut { below: Seq(2), younger_ms: u64::MAX, ..Cut::default() };
    let Answer::Floor { then, .. } = world.read(&Query::Floor { channel: direct(), cut }) else { panic!() };
    assert_eq!(then.below, Seq(2));
    world.commit(
        BayId::of_channel(direct()),
        vec![Row::Floor { channel: direct(), from: Seq(0), row: FloorRow { below: then.below, ..then } }],
    );
    begin(&mut world, direct());
    let found = written(&world, direct(), 100);
    assert_eq!(found.edits.iter().map(|(sent, of)| (sent.seq.0, of.0)).collect::<Vec<_>>(), [(3, 1)]);
    erase(&mut world, direct(), 100);
    assert!(written(&world, direct(), 100).is_empty());
}

fn who_has_left_is_erased_and_only_while_it_was_there_is_looked_at(mut world: World) {
    for user in [ONE, TWO] {
        world.account(user);
    }
    let channel = world.create(TWO, &[1], "team");
    world.text(channel, ONE, SECRET);
    world.remove(channel, TWO, ONE);
    for _ in 0..9 {
        world.text(channel, TWO, "kept");
    }
    world.deliver_all();
    begin(&mut world, channel);
    assert_eq!(world.findings(), [""; 0], "who is no member says it all the same");
    let found = written(&world, channel, 1);
    assert_eq!((found.texts.len(), found.through), (1, Seq(2)));
    erase(&mut world, channel, 100);
    let found = written(&world, channel, 100);
    assert_eq!((found.is_empty(), found.through, found.head), (true, Seq(13), Seq(13)));
}

fn an_own_channel_goes_with_its_notes(mut world: World) {
    use protocol::body::own::SetDraft;
    world.account(ONE);
    let own = ChannelId::own(ONE);
    let draft = SetDraft { channel: own.0, about: direct().0, thread: 0, text: SECRET.into() };
    say(&mut world, own, ONE, &draft);
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
    let cut = Cut { below: Seq(u64::MAX), younger_ms: u64::MAX, ..Cut::default() };
    let Answer::Floor { now, then, .. } = world.read(&Query::Floor { channel: own, cut }) else { panic!() };
    assert_eq!(then.below, Seq(2));
    let floor = Row::Floor { channel: own, from: now.below, row: then };
    world.commit(BayId::of_user(ONE), vec![floor, Row::Forgotten { user: ONE }]);
    assert_eq!(world.findings(), [""; 0]);
    let (after, page) = ((ChannelId(0), 0), PAGE);
    let query = Query::Notes { user: ONE, hidden: false, about: None, after, page };
    let notes = format!("{:?}", world.read(&query));
    assert!(!notes.contains(SECRET), "{notes}");
}
