//! Who was in a channel when, how far everybody has read, and what the own list says of it: once for memory and once for
//! RocksDB.
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[macro_use]
mod world;

use std::sync::Arc;

use protocol::limits::UNREAD_MESSAGES_MAX;
use protocol::{BayId, ChannelId, Seq, UserId};
use storage::{Answer, Earlier, Ended, Interval, JoinedItem, Member, PositionRow, Query, Relation, Row};
use world::World;

contract! {
    stays_are_rows_of_their_own
    how_a_stay_ended_is_what_its_last_message_says
    who_is_invited_reads_one_message
    what_a_user_thinks_of_another
    a_position_is_what_is_read
    who_left_sees_the_name_of_its_time
    a_list_that_is_behind_shows_no_later_name
    own_sends_and_changes_of_the_group_are_not_unread
    a_long_absence_is_an_upper_bound
    a_page_ends_where_it_has_looked_at_enough
}

const ONE: UserId = UserId(1);
const TWO: UserId = UserId(2);

fn interval(joined: u64, left: Option<u64>) -> Interval {
    Interval { joined: Seq(joined), left: left.map(Seq) }
}

fn intervals(world: &World, channel: ChannelId, user: UserId) -> Vec<Interval> {
    match world.read(&Query::Membership { channel, user }) {
        Answer::Membership(intervals) => intervals,
        other => panic!("{other:?}"),
    }
}

fn earlier(world: &World, channel: ChannelId, users: &[UserId]) -> Vec<Earlier> {
    match world.read(&Query::Earlier { channel, users: Arc::from(users) }) {
        Answer::Earlier(earlier) => earlier,
        other => panic!("{other:?}"),
    }
}

fn present(world: &World, channel: ChannelId) -> Vec<(UserId, Member)> {
    match world.read(&Query::Channel(channel)) {
        Answer::Channel { members, .. } => members,
        other => panic!("{other:?}"),
    }
}

fn list(world: &World, user: UserId) -> Vec<JoinedItem> {
    match world.read(&Query::Joined { user, after: ChannelId(0), limit: 500 }) {
        Answer::Joined { items, more: false } => items,
        other => panic!("{other:?}"),
    }
}

fn mark(world: &mut World, channel: ChannelId, user: UserId, read: u64) {
    let row = PositionRow { read: Seq(read), ..PositionRow::default() };
    world.commit(BayId::of_channel(channel), vec![Row::Position { channel, user, row }]);
}

/// A group of user 1 with the others.
fn group(world: &mut World, others: &[u64]) -> ChannelId {
    world.account(ONE);
    others.iter().for_each(|user| world.account(UserId(*user)));
    world.create(ONE, others, "first")
}

fn stays_are_rows_of_their_own(mut world: World) {
    let channel = group(&mut world, &[2, 3]);
    for _ in 0..3 {
        world.remove(channel, ONE, TWO);
        world.add(channel, ONE, TWO);
    }
    let all = [interval(1, Some(2)), interval(3, Some(4)), interval(5, Some(6)), interval(7, None)];
    assert_eq!(intervals(&world, channel, TWO), all);
    assert_eq!(intervals(&world, channel, UserId(3)), [interval(1, None)]);
    assert_eq!(intervals(&world, channel, UserId(9)), []);
    mark(&mut world, channel, TWO, 6);
    let position = PositionRow { read: Seq(6), ..PositionRow::default() };
    let member = Member { role: 0, joined: Seq(7), number: 4, position };
    assert_eq!(present(&world, channel)[1], (TWO, member));
    let found = earlier(&world, channel, &[UserId(9), TWO, ONE]);
    assert_eq!(found.iter().map(|e| e.stays).collect::<Vec<_>>(), [0, 4, 1]);
    assert_eq!(found[1].position, position);
    world.remove(channel, ONE, TWO);
    assert_eq!(present(&world, channel).iter().map(|(user, _)| user.0).collect::<Vec<_>>(), [1, 3]);
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
}

fn how_a_stay_ended_is_what_its_last_message_says(mut world: World) {
    let channel = group(&mut world, &[2, 3]);
    let ended = |world: &World| earlier(world, channel, &[TWO])[0].ended;
    assert_eq!(ended(&world), Ended::Not, "it lasts");
    world.remove(channel, ONE, TWO);
    assert_eq!(ended(&world), Ended::Not, "by another");
    world.add(channel, ONE, TWO);
    world.remove(channel, TWO, TWO);
    assert_eq!(ended(&world), Ended::Left);
    world.invite(channel, UserId(3), TWO);
    assert_eq!(ended(&world), Ended::Invited { by: UserId(3) });
    world.accept(channel, TWO);
    assert_eq!(ended(&world), Ended::Not);
    assert_eq!(earlier(&world, channel, &[TWO])[0].stays, 4);
    assert_eq!(earlier(&world, channel, &[UserId(9)])[0], Earlier::default());
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
}

fn who_is_invited_reads_one_message(mut world: World) {
    let channel = group(&mut world, &[3]);
    world.account(TWO);
    world.text(channel, ONE, "before");
    let invited = world.invite(channel, ONE, TWO);
    world.rename(channel, ONE, "later");
    world.deliver_all();
    assert_eq!(intervals(&world, channel, TWO), [interval(invited.0, Some(invited.0))]);
    assert_eq!(present(&world, channel).iter().map(|(user, _)| user.0).collect::<Vec<_>>(), [1, 3]);
    let item = &list(&world, TWO)[0];
    assert_eq!((item.joined, item.left, item.head), (invited, Some(invited), invited));
    assert_eq!((item.name.as_str(), item.unread), ("first", 0), "the name of its time");
    let joined = world.accept(channel, TWO);
    world.text(channel, ONE, "welcome");
    world.deliver_all();
    let item = &list(&world, TWO)[0];
    assert_eq!((item.joined, item.left, item.unread), (joined, None, 1));
    assert_eq!(item.name, "later");
    assert_eq!(world.findings(), [""; 0]);
}

fn what_a_user_thinks_of_another(mut world: World) {
    [ONE, TWO].into_iter().for_each(|user| world.account(user));
    let thinks = |world: &World, user, other| match world.read(&Query::Relation { user, other }) {
        Answer::Relation(relation) => relation,
        other => panic!("{other:?}"),
    };
    let bay = BayId::of_user(ONE);
    assert_eq!(thinks(&world, ONE, TWO), Relation::default());
    for (is_friend, is_blocked) in [(true, false), (false, true), (true, true), (false, false), (false, true)]
    {
        let relation = Relation { is_friend, is_blocked };
        world.commit(bay, vec![Row::Relation { user: ONE, other: TWO, relation }]);
        assert_eq!(thinks(&world, ONE, TWO), relation);
        assert_eq!(thinks(&world, TWO, ONE), Relation::default(), "what one says is not the other's");
        assert_eq!(thinks(&world, ONE, UserId(3)), Relation::default());
    }
    // A relation is no account.
    let known = match world.read(&Query::User(ONE)) {
        Answer::User { account, .. } => account,
        other => panic!("{other:?}"),
    };
    assert_eq!(known.map(|row| row.created_ms), Some(5));
    assert_eq!(world.stores[0].users().unwrap().len(), 2);
    assert_eq!(world.findings(), [""; 0]);
    // Rows of who has no account are reported, and are no account.
    let (user, relation) = (UserId(7), Relation { is_friend: true, is_blocked: false });
    world.commit(BayId::of_user(user), vec![Row::Relation { user, other: ONE, relation }]);
    assert_eq!(world.findings().len(), 1, "{:?}", world.findings());
}

fn a_position_is_what_is_read(mut world: World) {
    let channel = ChannelId::direct(ONE, TWO);
    [ONE, TWO].into_iter().for_each(|user| world.account(user));
    for _ in 0..5 {
        world.text(channel, ONE, "hello");
    }
    world.deliver_all();
    let read = |world: &World| (list(world, TWO)[0].read.0, list(world, TWO)[0].unread);
    assert_eq!(read(&world), (0, 5));
    mark(&mut world, channel, TWO, 3);
    assert_eq!(read(&world), (3, 2));
    mark(&mut world, channel, TWO, 5);
    assert_eq!(read(&world), (5, 0));
    assert_eq!(list(&world, ONE)[0].unread, 0, "own sends");
    let members = present(&world, channel);
    assert_eq!(
        members.iter().map(|(user, member)| (user.0, member.position.read.0)).collect::<Vec<_>>(),
        [(2, 5)]
    );
    assert_eq!(world.findings(), [""; 0]);
}

fn who_left_sees_the_name_of_its_time(mut world: World) {
    let channel = group(&mut world, &[2, 3]);
    world.rename(channel, ONE, "second");
    world.remove(channel, ONE, TWO);
    world.rename(channel, ONE, "third, without two");
    world.deliver_all();
    let item = |world: &World, user| list(world, user).remove(0);
    let gone = item(&world, TWO);
    assert_eq!((gone.name.as_str(), gone.left, gone.head), ("second", Some(Seq(3)), Seq(3)));
    assert_eq!(item(&world, UserId(3)).name, "third, without two");
    world.add(channel, ONE, TWO);
    world.deliver_all();
    let back = item(&world, TWO);
    assert_eq!((back.name.as_str(), back.left, back.joined), ("third, without two", None, Seq(5)));
    assert_eq!(world.findings(), [""; 0]);
}

/// The user's home has not applied the removal yet, and the group has another name already.
fn a_list_that_is_behind_shows_no_later_name(mut world: World) {
    let channel = group(&mut world, &[2]);
    world.deliver_all();
    world.remove(channel, ONE, TWO);
    world.rename(channel, ONE, "later");
    let gone = list(&world, TWO).remove(0);
    assert_eq!((gone.name.as_str(), gone.left, gone.head), ("first", Some(Seq(2)), Seq(2)));
}

fn own_sends_and_changes_of_the_group_are_not_unread(mut world: World) {
    let channel = group(&mut world, &[2, 3]);
    world.text(channel, TWO, "own");
    world.text(channel, ONE, "of another");
    world.rename(channel, ONE, "second");
    world.remove(channel, ONE, UserId(3));
    world.text(channel, ONE, "of another");
    world.text(channel, TWO, "own");
    world.deliver_all();
    let unread = |world: &World, user| list(world, user)[0].unread;
    assert_eq!((unread(&world, TWO), unread(&world, ONE), unread(&world, UserId(3))), (2, 2, 2));
    mark(&mut world, channel, TWO, 3);
    assert_eq!(unread(&world, TWO), 1);
    mark(&mut world, channel, TWO, 6);
    assert_eq!(unread(&world, TWO), 0);
}

fn a_long_absence_is_an_upper_bound(mut world: World) {
    let channel = ChannelId::direct(ONE, TWO);
    [ONE, TWO].into_iter().for_each(|user| world.account(user));
    let most = UNREAD_MESSAGES_MAX as u64;
    for number in 0..most {
        world.text(channel, UserId(1 + number % 2), "to and fro");
    }
    world.deliver_all();
    assert_eq!(list(&world, ONE)[0].unread, most / 2);
    world.text(channel, ONE, "own");
    world.text(channel, TWO, "of the other");
    // The oldest two, one of them own, are no longer looked at.
    assert_eq!(list(&world, ONE)[0].unread, most / 2 + 2);
}

fn a_page_ends_where_it_has_looked_at_enough(mut world: World) {
    world.account(ONE);
    let most = UNREAD_MESSAGES_MAX;
    for other in 2..20 {
        let channel = ChannelId::direct(ONE, UserId(other));
        for _ in 0..most {
            world.text(channel, UserId(other), "x");
        }
        world.deliver_all();
    }
    let page = |after| match world.read(&Query::Joined { user: ONE, after, limit: 500 }) {
        Answer::Joined { items, more } => (items, more),
        other => panic!("{other:?}"),
    };
    let (first, more) = page(ChannelId(0));
    assert_eq!((first.len(), more), (16, true));
    let (rest, more) = page(first.last().unwrap().channel);
    assert_eq!((rest.len(), more), (2, false));
    assert!(first.iter().chain(&rest).all(|item| item.unread == most as u64));
}
