//! Large channels: who has a pointer, members one by one and in pages, and what the check says of it; once for memory and once
//! for RocksDB.
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use std::sync::Arc;

use protocol::body::talk::Talk;
use protocol::{BayId, Bays, ChannelId, InboxSeq, Seq, UserId};
use storage::{Answer, ChannelRow, Grown, Query, Row};
use world::{PAGE, World};

contract! {
    only_who_is_named_has_a_pointer
    members_are_read_one_by_one_and_in_pages
    the_check_finds_what_is_not_so
}

const ONE: UserId = UserId(1);

/// A group of the users 1 to 9, large from seq 3 on.
fn grown(world: &mut World) -> ChannelId {
    (1..=12).for_each(|user| world.account(UserId(user)));
    let channel = world.create(ONE, &(2..=9).collect::<Vec<_>>(), "all");
    world.text(channel, UserId(2), "to every inbox");
    assert_eq!(world.grow(channel, ONE), Seq(3));
    channel
}

fn pointers(world: &World, user: u64) -> Vec<u64> {
    let query = Query::Inbox { user: UserId(user), after: InboxSeq(0), page: PAGE };
    let Answer::Inbox { frames, .. } = world.read(&query) else { panic!("another answer") };
    frames.iter().map(|frame| frame.read_stamp().unwrap().seq.0).collect()
}

fn followed(world: &World, user: u64) -> usize {
    let Answer::User { followed, .. } = world.read(&Query::User(UserId(user))) else {
        panic!("another answer")
    };
    followed.len()
}

fn only_who_is_named_has_a_pointer(mut world: World) {
    let channel = grown(&mut world);
    world.text(channel, UserId(2), "of two alone");
    let talk = Talk { mentions: vec![UserId(3)], ..Talk::default() };
    world.about(channel, ONE, &talk);
    world.add(channel, ONE, UserId(10));
    world.invite(channel, ONE, UserId(11));
    world.remove(channel, ONE, UserId(4));
    world.remove(channel, UserId(5), UserId(5));
    world.text(channel, ONE, "last");
    world.deliver_all();
    let expected: [(u64, &[u64]); 7] = [
        (1, &[1, 2, 3, 5, 6, 7, 8, 10]),
        (2, &[1, 2, 3, 4]),
        (3, &[1, 2, 3, 5]),
        (4, &[1, 2, 3, 8]),
        (5, &[1, 2, 3, 9]),
        (10, &[6]),
        (11, &[7]),
    ];
    for (user, seqs) in expected {
        assert_eq!(pointers(&world, user), seqs, "{user}");
    }
    let follow: Vec<usize> = (1..=11).map(|user| followed(&world, user)).collect();
    assert_eq!(follow, [1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0]);
    assert!(world.findings().is_empty(), "{:?}", world.findings());
    let Answer::Trace(traced) =
        world.read(&Query::Trace { channel, seq: Seq(5), after: UserId(0), limit: 9 })
    else {
        panic!("another answer")
    };
    assert_eq!(traced.recipients, 2);
    // What a crash cut off is read again, each bay for itself, and finds the same.
    let mut deliveries = 0;
    for source in world.sources() {
        let query = Query::Replay { source, after: 0, until: u64::MAX, dests: Bays::ALL, page: PAGE };
        let Answer::Replay { deliveries: found, .. } = world.read(&query) else { panic!("another answer") };
        deliveries += found.iter().map(|(_, delivery)| delivery.recipients.len()).sum::<usize>();
    }
    let all: usize = (1..=12).map(|user| pointers(&world, user).len()).sum();
    assert_eq!(deliveries, all);
}

fn members_are_read_one_by_one_and_in_pages(mut world: World) {
    let channel = grown(&mut world);
    world.remove(channel, ONE, UserId(4));
    world.remove(channel, ONE, UserId(9));
    world.add(channel, ONE, UserId(9));
    let Answer::Channel { members, row, .. } = world.read(&Query::Channel(channel)) else {
        panic!("another answer")
    };
    assert!(members.is_empty(), "never all of them");
    assert_eq!(row.unwrap().grown, Some(Grown { since: Seq(3), members: 8, owners: 0 }));
    let users: Arc<[UserId]> = [9, 4, 12, 2].map(UserId).into();
    let Answer::Members(found) = world.read(&Query::Members { channel, users }) else {
        panic!("another answer")
    };
    let joined: Vec<_> =
        found.iter().map(|member| member.map(|member| (member.joined.0, member.number))).collect();
    assert_eq!(joined, [Some((6, 2)), None, None, Some((1, 1))]);
    let (mut all, mut after, mut pages) = (Vec::new(), UserId(0), Vec::new());
    loop {
        let query = Query::MembersPage { channel, after, limit: 3 };
        let Answer::MembersPage { items, more } = world.read(&query) else { panic!("another answer") };
        pages.push((items.len(), more));
        all.extend(items.iter().map(|(user, _)| user.0));
        after = items.last().unwrap().0;
        if !more {
            break;
        }
    }
    assert_eq!((all, pages), (vec![1, 2, 3, 5, 6, 7, 8, 9], vec![(3, true), (3, true), (2, false)]));
    let query = Query::MembersPage { channel, after: UserId(u64::MAX), limit: 3 };
    assert_eq!(world.read(&query), Answer::MembersPage { items: vec![], more: false });
}

fn the_check_finds_what_is_not_so(mut world: World) {
    let channel = grown(&mut world);
    let own = world.text(channel, ONE, "of one alone");
    world.deliver_all();
    assert!(world.findings().is_empty(), "{:?}", world.findings());
    let finds = |world: &World, words: &str| {
        let findings = world.findings();
        assert!(findings.iter().any(|line| line.contains(words)), "{words}: {findings:?}");
    };
    let user = UserId(2);
    world.commit(BayId::of_user(user), vec![Row::Followed { user, channel, is_in: false }]);
    finds(&world, "membership says true");
    world.commit(BayId::of_user(user), vec![Row::Followed { user, channel, is_in: true }]);
    assert!(world.findings().is_empty(), "{:?}", world.findings());
    let stranger = UserId(12);
    let row = Row::Followed { user: stranger, channel, is_in: true };
    world.commit(BayId::of_user(stranger), vec![row]);
    finds(&world, "not on its list");
    let row = Row::Followed { user: stranger, channel, is_in: false };
    world.commit(BayId::of_user(stranger), vec![row]);
    let grown = |members, since| {
        let grown = Some(Grown { since: Seq(since), members, owners: 0 });
        Row::Channel { channel, row: ChannelRow { name: "all".into(), grown } }
    };
    world.commit(BayId::of_channel(channel), vec![grown(8, 3)]);
    finds(&world, "counts 8 members and 0 owners, its history 9");
    world.commit(BayId::of_channel(channel), vec![grown(9, 2)]);
    finds(&world, "says that it grew with");
    world.commit(BayId::of_channel(channel), vec![grown(9, 3)]);
    // A pointer for one who is not named.
    let first = InboxSeq(world.inboxes[&user] + 1);
    world.commit(BayId::of_user(user), vec![Row::Run { user, first, entries: vec![(channel, own)] }]);
    finds(&world, "does not name the user");
}
