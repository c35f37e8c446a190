//! Threads and mentions, in memory and in RocksDB: pages of them, and what the check says of rows that contradict the texts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use protocol::body::encode;
use protocol::body::talk::Talk;
use protocol::query::{ListOrder, Mention};
use protocol::{BayId, ChannelId, InboxSeq, Seq, UserId};
use storage::{Answer, PageBounds, PositionRow, Query, Row};
use world::{PAGE, World};

const ONE: UserId = UserId(1);
const TWO: UserId = UserId(2);

fn direct() -> ChannelId {
    ChannelId::direct(ONE, TWO)
}

fn in_thread(root: u64) -> Talk {
    Talk { thread: Some(Seq(root)), ..Talk::default() }
}

fn to(users: &[u64]) -> Talk {
    Talk { mentions: users.iter().map(|user| UserId(*user)).collect(), ..Talk::default() }
}

/// Two threads in one channel: of 1 the messages 3, 5, 6; of 2 the message 4, which mentions user 2.
fn talk(world: &mut World) {
    world.account(ONE);
    world.account(TWO);
    world.account(UserId(3));
    world.text(direct(), ONE, "one");
    world.text(direct(), TWO, "two");
    world.about(direct(), ONE, &in_thread(1));
    world.about(direct(), ONE, &Talk { mentions: vec![TWO], ..in_thread(2) });
    world.about(direct(), TWO, &in_thread(1));
    world.about(direct(), ONE, &in_thread(1));
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
}

fn thread(root: u64, window: (u64, u64), newest: bool) -> Query {
    let (after, before, counted) = (Seq(window.0), Seq(window.1), (Seq(1), Seq(9)));
    Query::Thread { channel: direct(), root: Seq(root), after, before, newest, counted, page: PAGE }
}

fn seqs(world: &World, query: &Query) -> (Vec<u64>, bool, u32, u64) {
    let Answer::Thread { frames, more, total, newest } = world.read(query) else { panic!() };
    (frames.iter().map(|frame| frame.read_stamp().unwrap().seq.0).collect(), more, total, newest.0)
}

fn a_thread_is_paged_from_both_ends(mut world: World) {
    talk(&mut world);
    assert_eq!(seqs(&world, &thread(1, (0, 99), true)), (vec![3, 5, 6], false, 3, 6));
    assert_eq!(seqs(&world, &thread(1, (3, 6), false)), (vec![5], false, 3, 6));
    assert_eq!(seqs(&world, &thread(2, (0, u64::MAX), false)), (vec![4], false, 1, 4));
    assert_eq!(seqs(&world, &thread(3, (0, 99), true)), (vec![], false, 0, 0), "nobody said anything there");
    assert_eq!(seqs(&world, &thread(1, (6, 3), true)), (vec![], false, 3, 6), "an empty window");
    let small = |newest, messages, bytes| match thread(1, (0, 99), newest) {
        Query::Thread { channel, root, after, before, newest, counted, .. } => {
            let page = PageBounds { messages, bytes };
            Query::Thread { channel, root, after, before, newest, counted, page }
        }
        other => other,
    };
    assert_eq!(seqs(&world, &small(true, 2, 1 << 20)).0, [5, 6]);
    assert_eq!(seqs(&world, &small(false, 2, 1 << 20)).0, [3, 5]);
    assert_eq!(seqs(&world, &small(true, 200, 0)), (vec![6], true, 3, 6), "one whatever its size");
    let Query::Thread { channel, root, after, before, newest, page, .. } = thread(1, (0, 99), true) else {
        panic!()
    };
    let counted = (Seq(4), Seq(5));
    let query = Query::Thread { channel, root, after, before, newest, counted, page };
    assert_eq!(seqs(&world, &query), (vec![3, 5, 6], false, 1, 5), "what is counted is said apart");
}

fn mentions(
    world: &World,
    user: UserId,
    before: u64,
    limit: u32,
) -> (Vec<Mention>, Vec<(ChannelId, u32)>, bool) {
    match world.read(&Query::Mentions { user, before: InboxSeq(before), limit }) {
        Answer::Mentions { items, unread, more } => (items, unread, more),
        other => panic!("{other:?}"),
    }
}

fn mentions_are_listed_newest_first_and_counted_above_the_read_position(mut world: World) {
    talk(&mut world);
    let group = world.create(ONE, &[2, 3], "floor");
    world.about(group, ONE, &to(&[2]));
    world.about(group, TWO, &Talk { all: true, ..Talk::default() });
    world.about(group, UserId(3), &Talk { online: true, ..Talk::default() });
    world.about(group, UserId(3), &to(&[1, 2]));
    world.deliver_all();
    let places = |items: &[Mention]| items.iter().map(|item| (item.channel, item.seq.0)).collect::<Vec<_>>();
    let (items, unread, more) = mentions(&world, TWO, u64::MAX, 2);
    assert_eq!((places(&items), more), (vec![(group, 5), (group, 2)], true));
    assert_eq!(unread, [(group, 2)]);
    let (rest, unread, more) = mentions(&world, TWO, items[1].at.0, 2);
    assert_eq!((places(&rest), more), (vec![(direct(), 4)], false));
    assert_eq!((unread, rest[0].sender), (vec![(direct(), 1)], ONE));
    assert_eq!(
        places(&mentions(&world, UserId(3), u64::MAX, 9).0),
        [(group, 3)],
        "all are meant, but who says it"
    );
    assert_eq!(places(&mentions(&world, ONE, u64::MAX, 9).0), [(group, 5), (group, 3)]);
    let row = PositionRow { read: Seq(2), ..PositionRow::default() };
    world.commit(BayId::of_channel(group), vec![Row::Position { channel: group, user: TWO, row }]);
    assert_eq!(mentions(&world, TWO, u64::MAX, 1).1, [(group, 1)]);
    assert_eq!(world.findings(), [""; 0]);
}

fn a_list_shows_replies_and_counts_mentions(mut world: World) {
    talk(&mut world);
    let listed = |world: &World, user| {
        let order = ListOrder::Id(ChannelId(0));
        let Answer::Listing(listing) = world.read(&Query::Listing { user, order, limit: 9 }) else {
            panic!()
        };
        listing.items.into_iter().map(|(_, detail)| (detail.last_seq, detail.mentions)).collect::<Vec<_>>()
    };
    assert_eq!(listed(&world, TWO), [(6, 1)]);
    assert_eq!(listed(&world, ONE), [(6, 0)]);
    let seq = world.append(direct(), ONE, &encode(900, &to(&[2]).text(direct(), "@two, listen")));
    world.deliver_all();
    let query = Query::Listing { user: TWO, order: ListOrder::Id(ChannelId(0)), limit: 9 };
    let Answer::Listing(listing) = world.read(&query) else { panic!() };
    let detail = &listing.items[0].1;
    assert_eq!((detail.last_seq, detail.mentions, detail.text.as_str()), (seq.0, 2, "@two, listen"));
    let row = PositionRow { read: Seq(4), ..PositionRow::default() };
    world.commit(BayId::of_channel(direct()), vec![Row::Position { channel: direct(), user: TWO, row }]);
    assert_eq!(listed(&world, TWO), [(7, 1)]);
}

fn no_more_than_a_hundred_unread_are_counted(mut world: World) {
    talk(&mut world);
    for _ in 0..120 {
        world.about(direct(), ONE, &to(&[2]));
    }
    world.deliver_all();
    let (items, unread, more) = mentions(&world, TWO, u64::MAX, 100);
    assert_eq!((items.len(), unread, more), (100, vec![(direct(), 100)], true));
}

/// Does the damage; a finding with these words must name it.
fn names(words: &str, damage: impl Fn(&mut World)) {
    let mut world = World::memory();
    talk(&mut world);
    damage(&mut world);
    let findings = world.findings();
    assert!(findings.iter().any(|line| line.contains(words)), "{words}: {findings:#?}");
}

#[test]
fn the_check_names_every_contradiction() {
    let channel = direct();
    let rows = |world: &mut World, row: Row| {
        let bay =
            if matches!(row, Row::Mention { .. }) { BayId::of_user(TWO) } else { BayId::of_channel(channel) };
        world.commit(bay, vec![row]);
    };
    let thread = |root, seq| Row::Thread { channel, root: Seq(root), seq: Seq(seq) };
    let mention = |at, seq, sender| Row::Mention {
        user: TWO,
        at: InboxSeq(at),
        channel,
        seq: Seq(seq),
        time_ms: 5,
        sender: UserId(sender),
    };
    names("holds 2, which does not say so", |world| rows(world, thread(1, 2)));
    names("the row of its thread 1 says Some(3)", |world| rows(world, thread(1, 3)));
    names("is not what the message says", |world| rows(world, mention(1, 1, 1)));
    names("is above the inbox's head", |world| rows(world, mention(999, 4, 1)));
    names("where that is not", |world| {
        rows(world, mention(2, 5, 1));
        rows(world, mention(2, 4, 1));
    });
    // A text without the rows that it calls for.
    let bare = |world: &mut World, talk: &Talk| {
        let seq = world.about(channel, ONE, &Talk::default());
        world.deliver_all();
        let frame = encode(7777, &talk.text(channel, "bare"));
        let stamp = protocol::Stamp { seq, time_ms: u64::MAX >> 11, sender: ONE };
        rows(world, Row::Message { channel, seq, frame: frame.stamp(stamp) });
    };
    names("it is missing in its thread 1", |world| bare(world, &in_thread(1)));
    names("user 2 has no row of its mention", |world| bare(world, &to(&[2])));
    names("mentions 3, who was no member", |world| bare(world, &to(&[3])));
    names("answers a message that is not before it", |world| {
        bare(world, &Talk { reply_to: Some(Seq(99)), ..Talk::default() })
    });
}

contract! {
    a_thread_is_paged_from_both_ends
    mentions_are_listed_newest_first_and_counted_above_the_read_position
    a_list_shows_replies_and_counts_mentions
    no_more_than_a_hundred_unread_are_counted
}
