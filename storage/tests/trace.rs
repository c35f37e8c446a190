//! The way of one message, once in memory and once in RocksDB.
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use protocol::body::encode;
use protocol::body::message::SendText;
use protocol::commit::{JobRow, PositionRow, Provider, SubscriptionRow};
use protocol::query::{TRACE_USERS_MAX, Traceable, Traced};
use protocol::{BayId, ChannelId, DeviceId, InboxSeq, Seq, Stamp, UserId};
use storage::{Answer, Query, Row};
use world::World;

contract! {
    a_message_is_followed_to_its_users
    what_is_old_is_found_by_its_time
    many_users_come_in_pages
}

/// The next pointers of a user.
fn point(world: &mut World, user: UserId, entries: &[(ChannelId, Seq)]) {
    let head = world.inboxes.entry(user).or_default();
    let first = InboxSeq(*head + 1);
    *head += entries.len() as u64;
    for (place, entries) in entries.chunks(100).enumerate() {
        let first = InboxSeq(first.0 + 100 * place as u64);
        let row = Row::Run { user, first, entries: entries.to_vec() };
        world.commit(BayId::of_user(user), vec![row]);
    }
}

fn trace(world: &World, channel: ChannelId, seq: u64, after: u64) -> Traced {
    let query = Query::Trace { channel, seq: Seq(seq), after: UserId(after), limit: TRACE_USERS_MAX };
    match world.read(&query) {
        Answer::Trace(traced) => *traced,
        other => panic!("{other:?}"),
    }
}

fn a_message_is_followed_to_its_users(mut world: World) {
    let (ann, bob) = (UserId(5), UserId(6));
    let (channel, other) = (ChannelId::direct(ann, bob), ChannelId::direct(bob, UserId(7)));
    world.account(ann);
    world.account(bob);
    assert_eq!(trace(&world, channel, 1, 0), Traced::default(), "nothing was ever said");
    world.text(channel, ann, "one");
    world.text(channel, bob, "two");
    let first = world.text(other, bob, "another");
    point(&mut world, bob, &[(other, first)]);
    let seq = Seq(2);
    let above = trace(&world, channel, 3, 0);
    assert_eq!((above.head, above.message, above.users.len()), (seq, None, 0));
    // Stored, and nobody has it yet.
    let traced = trace(&world, channel, 2, 0);
    let message = traced.message.unwrap();
    assert_eq!((message.sender, traced.recipients, traced.more), (bob, 2, false));
    assert_eq!(traced.batch, Traceable::Known(2));
    let places: Vec<_> = traced.users.iter().map(|user| (user.user, user.at, user.applied)).collect();
    assert_eq!(places, [(ann, None, 0), (bob, None, 0)]);
    // Bob has it, and is to be told.
    let (device, provider) = (DeviceId(3), Provider::Webhook);
    let endpoint = "https://push.example/secret".to_owned();
    let row = SubscriptionRow { endpoint: endpoint.clone(), secret: vec![7; 32], ..Default::default() };
    let job = JobRow { seq, count: 1, attempts: 2, ..JobRow::default() };
    world.commit(
        BayId::of_user(bob),
        vec![
            Row::Subscription { user: bob, device, provider, row },
            Row::Job { user: bob, channel, row: Some(job.clone()) },
            Row::Marks { through: vec![(BayId::of_channel(channel), 2)] },
        ],
    );
    point(&mut world, bob, &[(channel, seq)]);
    let position = PositionRow { read: Seq(1), delivered: Seq(2), ..PositionRow::default() };
    world.commit(BayId::of_channel(channel), vec![Row::Position { channel, user: bob, row: position }]);
    let traced = trace(&world, channel, 2, 5);
    let [one] = &traced.users[..] else { panic!("{traced:?}") };
    assert_eq!((one.user, one.at, one.inbox_head, one.applied), (bob, Some(InboxSeq(2)), InboxSeq(2), 2));
    assert_eq!((one.position, one.job.as_ref()), (position, Some(&job)));
    assert_eq!(one.subscriptions, [((device, provider), endpoint)]);
    // The log is trimmed once everybody has it.
    world.commit(BayId::of_channel(channel), vec![Row::TrimFanout { below: 3 }]);
    assert_eq!(trace(&world, channel, 2, 0).batch, Traceable::Trimmed);
}

fn what_is_old_is_found_by_its_time(mut world: World) {
    let (ann, bob) = (UserId(5), UserId(6));
    let (channel, noise) = (ChannelId::direct(ann, bob), ChannelId::direct(bob, UserId(7)));
    world.account(bob);
    let old = world.text(channel, ann, "old");
    let text = |seq: u64| {
        let stamp = Stamp { seq: Seq(seq), time_ms: 1_800_000_000_000 + seq, sender: bob };
        let frame = encode(seq, &SendText { channel: noise.0, text: "x".into() }).stamp(stamp);
        Row::Message { channel: noise, seq: Seq(seq), frame }
    };
    world.commit(BayId::of_channel(noise), (1..=9000).map(text).collect());
    let mut all: Vec<_> = (1..=9000).map(|seq| (noise, Seq(seq))).collect();
    all.insert(6000, (channel, old));
    point(&mut world, bob, &all);
    let traced = trace(&world, channel, 1, 5);
    assert_eq!(traced.users[0].inbox_head, InboxSeq(9001));
    assert_eq!(traced.users[0].at, None, "by its time it came before all others, and it came late");
    // What stands where its time says is found wherever that is.
    for seq in [1, 2999, 5999, 6001, 9000] {
        let traced = trace(&world, noise, seq, 5);
        let at = if seq <= 6000 { seq } else { seq + 1 };
        assert_eq!(traced.users[0].at, Some(InboxSeq(at)), "{seq}");
    }
}

fn many_users_come_in_pages(mut world: World) {
    let group = world.create(UserId(1), &(2..=40).collect::<Vec<u64>>(), "many");
    let first = trace(&world, group, 1, 0);
    assert_eq!((first.recipients, first.users.len(), first.more), (40, TRACE_USERS_MAX as usize, true));
    let after = first.users.last().unwrap().user;
    let second = trace(&world, group, 1, after.0);
    assert_eq!((second.users.len(), second.more), (40 - TRACE_USERS_MAX as usize, false));
    assert_eq!(second.users[0].user, UserId(after.0 + 1));
}
