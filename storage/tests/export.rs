//! What is told to who takes a channel or a user along, in memory and in RocksDB: of one moment, whole, and to a user no more than
//! it may read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use protocol::body::about::{EditText, React, Recall};
use protocol::body::encode;
use protocol::body::own::{Hide, SetDraft};
use protocol::body::talk::Talk;
use protocol::commit::{About, FloorRow, Relation};
use protocol::{BayId, ChannelId, Seq, UserId};
use storage::{Moved, Piece, Row};
use world::World;

const ONE: UserId = UserId(1);
const TWO: UserId = UserId(2);
const THREE: UserId = UserId(3);

contract! {
    a_snapshot_is_of_one_moment_whatever_comes
    nothing_that_a_snapshot_tells_is_dropped
    a_user_is_told_what_it_may_read
    a_users_own_notes_are_told
    telling_ends_when_nobody_listens
    a_hole_is_no_export
    a_channel_without_messages_is_nothing
}

fn channel_of(world: &World, channel: ChannelId) -> Vec<Piece> {
    let mut told = Vec::new();
    let snapshot = world.stores[0].snapshot();
    let whole = snapshot.tell_channel(channel, &mut |piece| {
        told.push(piece);
        true
    });
    assert!(whole.unwrap());
    told
}

fn user_of(world: &World, user: UserId) -> Vec<Piece> {
    let mut told = Vec::new();
    let snapshot = world.stores[0].snapshot();
    let whole = snapshot.tell_user(user, &mut |piece| {
        told.push(piece);
        true
    });
    assert!(whole.unwrap());
    told
}

fn messages(told: &[Piece], of: ChannelId) -> Vec<u64> {
    let seq = |piece: &Piece| match piece {
        Piece::Row(Row::Message { channel, seq, .. }) if *channel == of => Some(seq.0),
        _ => None,
    };
    told.iter().filter_map(seq).collect()
}

fn users(told: &[Piece]) -> Vec<u64> {
    let user = |piece: &Piece| if let Piece::User(user) = piece { Some(user.0) } else { None };
    told.iter().filter_map(user).collect()
}

fn a_snapshot_is_of_one_moment_whatever_comes(mut world: World) {
    let group = world.talk();
    let target = world.text(group, ONE, "to be edited");
    let store = world.stores[0].clone();
    let snapshot = store.snapshot();
    let tell = |snapshot: &storage::Snapshot<'_>| {
        let mut told = Vec::new();
        snapshot
            .tell_channel(group, &mut |piece| {
                told.push(piece);
                true
            })
            .unwrap();
        told
    };
    let before = tell(&snapshot);
    assert_eq!(snapshot.head(group).unwrap(), target);
    // Everything that a channel's rows can become.
    let edit = EditText { channel: group.0, target: target.0, text: "edited".into() };
    let frame = encode(world.next_send(), &edit);
    world.append(group, ONE, &frame);
    let frame = encode(world.next_send(), &Recall { channel: group.0, target: target.0 });
    world.append(group, ONE, &frame);
    world.rename(group, ONE, "later");
    world.remove(group, ONE, THREE);
    assert_eq!(tell(&snapshot), before);
    drop(snapshot);
    let after = tell(&store.snapshot());
    assert_ne!(after, before);
    assert_eq!(messages(&after, group), (1..=target.0 + 4).collect::<Vec<_>>());
    assert_eq!(channel_of(&world, group), after);
}

/// A family of its own is filled, purged, emptied and dropped while somebody reads what stood there.
fn nothing_that_a_snapshot_tells_is_dropped(mut world: World) {
    let group = world.talk();
    for number in 0..40 {
        world.text(group, ONE, &format!("text {number}"));
    }
    let store = world.stores[0].clone();
    store.give_family(group).unwrap();
    while store.move_messages(64).unwrap() != Moved::Nothing {}
    let snapshot = store.snapshot();
    let tell = || {
        let mut told = Vec::new();
        assert!(
            snapshot
                .tell_channel(group, &mut |piece| {
                    told.push(piece);
                    true
                })
                .unwrap()
        );
        told
    };
    let before = tell();
    let head = world.heads[&group];
    let row = FloorRow { below: Seq(head.0 - 1), time_ms: 9 };
    world.commit(BayId::of_channel(group), vec![Row::Floor { channel: group, from: Seq(1), row }]);
    store.return_family(group).unwrap();
    let mut waits = 0;
    while waits < 3 {
        match store.move_messages(64).unwrap() {
            Moved::Waiting => waits += 1,
            Moved::Nothing => panic!("what is read was dropped"),
            _ => {}
        }
        assert_eq!(tell(), before);
    }
    assert_eq!(messages(&before, group).len() as u64, head.0);
    drop(snapshot);
    while store.move_messages(64).unwrap() != Moved::Nothing {}
    assert_eq!(messages(&channel_of(&world, group), group), [head.0 - 1, head.0]);
    assert!(store.families().is_empty());
}

fn a_user_is_told_what_it_may_read(mut world: World) {
    // Three was in it from 1 to 3 and is again since 5; four came with 6; two left with 8.
    let group = world.talk();
    let direct = ChannelId::direct(ONE, TWO);
    world.deliver_all();
    let told = user_of(&world, THREE);
    assert_eq!(messages(&told, group), [1, 2, 3, 5, 6, 7, 8, 9]);
    assert!(messages(&told, direct).is_empty());
    let two = user_of(&world, TWO);
    assert_eq!((messages(&two, group), messages(&two, direct)), ((1..=8).collect(), (1..=5).collect()));
    // Each person once a channel, before the first line that names it; never oneself.
    assert_eq!(users(&two), [1, 3, 4, 1], "the group comes first");
    // What the group was called when two left, and nothing that came later.
    world.rename(group, ONE, "later");
    let frame =
        encode(world.next_send(), &React { channel: group.0, target: 2, on: true, emoji: "+".into() });
    world.append(group, ONE, &frame);
    let edit = EditText { channel: group.0, target: 2, text: "said when two was not there".into() };
    let frame = encode(world.next_send(), &edit);
    world.append(group, TWO, &frame);
    world.deliver_all();
    let two = user_of(&world, TWO);
    let name = two.iter().find_map(|piece| match piece {
        Piece::Row(Row::Channel { row, .. }) => Some(row.name.as_str()),
        _ => None,
    });
    assert_eq!(name, Some("대청마루"));
    let is_said = |piece: &&Piece| matches!(piece, Piece::Row(Row::About { .. }));
    assert_eq!(two.iter().filter(is_said).count(), 0, "{two:?}");
    let one = user_of(&world, ONE);
    let said = one.iter().filter(is_said).collect::<Vec<_>>();
    assert!(
        matches!(&said[..], [
            Piece::Row(Row::About { about: About::Message { seq: Seq(2), said }, .. }),
            Piece::Row(Row::About { about: About::Reactor { user: ONE, .. }, .. }),
        ] if said.edits.len() == 1 && said.reactions == [("+".to_owned(), 1)]),
        "{said:?}"
    );
    // A stranger is told nothing of channels.
    assert!(messages(&user_of(&world, UserId(6)), group).is_empty());
}

fn a_users_own_notes_are_told(mut world: World) {
    let group = world.talk();
    let own = ChannelId::own(ONE);
    let draft = SetDraft { channel: own.0, about: group.0, thread: 0, text: "not sent".into() };
    let frame = encode(world.next_send(), &draft);
    world.append(own, ONE, &frame);
    let hide = Hide { channel: own.0, about: group.0, seq: 2, through: 3 };
    let frame = encode(world.next_send(), &hide);
    world.append(own, ONE, &frame);
    let relation = Relation { is_friend: true, is_blocked: false };
    world.commit(BayId::of_user(ONE), vec![Row::Relation { user: ONE, other: UserId(5), relation }]);
    let talk = Talk { mentions: vec![ONE], ..Talk::default() };
    let mention = world.about(group, THREE, &talk);
    world.deliver_all();
    let told = user_of(&world, ONE);
    let has = |wanted: &dyn Fn(&Row) -> bool| {
        told.iter().any(|piece| matches!(piece, Piece::Row(row) if wanted(row)))
    };
    assert!(has(&|row| matches!(row, Row::Note { seq: Seq(1), note, .. } if note.about() == group)));
    assert!(has(&|row| matches!(row, Row::Note { seq: Seq(2), note, .. } if note.about() == group)));
    assert!(has(&|row| *row == Row::Relation { user: ONE, other: UserId(5), relation }));
    assert!(has(&|row| matches!(row, Row::Mention { seq, .. } if *seq == mention)));
    assert_eq!(messages(&told, own), [1, 2], "the draft's text");
    assert!(users(&told).contains(&5));
}

fn telling_ends_when_nobody_listens(mut world: World) {
    let group = world.talk();
    world.deliver_all();
    let (all, of_user) = (channel_of(&world, group), user_of(&world, ONE));
    let snapshot = world.stores[0].snapshot();
    for most in 1..=all.len() {
        let mut told = Vec::new();
        let whole = snapshot.tell_channel(group, &mut |piece| {
            told.push(piece);
            told.len() < most
        });
        assert_eq!((whole.unwrap(), &told[..]), (false, &all[..most]));
    }
    for most in 1..=of_user.len() {
        let mut told = 0;
        let whole = snapshot.tell_user(ONE, &mut |_| {
            told += 1;
            told < most
        });
        assert_eq!((whole.unwrap(), told), (false, most));
    }
}

fn a_hole_is_no_export(mut world: World) {
    let group = world.talk();
    let head = world.heads[&group];
    world.heads.insert(group, head.next());
    world.text(group, ONE, "behind a hole");
    let snapshot = world.stores[0].snapshot();
    let told = snapshot.tell_channel(group, &mut |_| true);
    let error = told.unwrap_err().to_string();
    assert!(error.contains("has a hole"), "{error}");
}

fn a_channel_without_messages_is_nothing(world: World) {
    assert_eq!(channel_of(&world, ChannelId(77)), []);
    assert_eq!(channel_of(&world, ChannelId::direct(ONE, TWO)), []);
}
