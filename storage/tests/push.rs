//! Jobs and subscriptions of push, once in memory and once in RocksDB.
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use protocol::commit::{JobRow, Notify, Prefs, Provider, ShownRow, SubscriptionRow};
use protocol::query::{PushFacts, PushRows};
use protocol::{BayId, ChannelId, DeviceId, Seq, UserId};
use storage::{Answer, Query, Row};
use world::World;

contract! {
    a_user_loads_with_subscriptions_and_jobs
    jobs_of_a_bay_come_in_pages
    what_is_shown_is_a_withdrawal_once_it_is_read
    a_push_has_all_its_facts
    who_has_turned_push_off_loads_so
}

const DEVICE: DeviceId = DeviceId(3);

fn job(user: UserId, channel: ChannelId, seq: u64) -> Row {
    let row = JobRow { seq: Seq(seq), count: 1, ..JobRow::default() };
    Row::Job { user, channel, row: Some(row) }
}

fn subscription(user: UserId) -> Row {
    let row =
        SubscriptionRow { created_ms: 7, endpoint: "https://push.example/1".into(), ..Default::default() };
    Row::Subscription { user, device: DEVICE, provider: Provider::WebPush, row }
}

fn loaded(world: &World, user: UserId) -> PushRows {
    match world.read(&Query::User(user)) {
        Answer::User { push, .. } => push,
        other => panic!("{other:?}"),
    }
}

fn a_user_loads_with_subscriptions_and_jobs(mut world: World) {
    let (user, channel) = (UserId(5), ChannelId::direct(UserId(5), UserId(6)));
    let bay = BayId::of_user(user);
    world.account(user);
    assert_eq!(loaded(&world, user), PushRows::default());
    world.commit(bay, vec![job(user, channel, 1)]);
    assert_eq!(loaded(&world, user), PushRows::default(), "nobody would be told");
    world.commit(bay, vec![subscription(user), job(user, channel, 2)]);
    let found = loaded(&world, user);
    assert_eq!(found.subscriptions, [((DEVICE, Provider::WebPush), 7)]);
    assert_eq!((found.jobs.len(), found.jobs[0].0, found.jobs[0].1.seq), (1, channel, Seq(2)));
    assert_eq!(world.findings().len(), 1, "there is no such message");
    world.commit(bay, vec![Row::Job { user, channel, row: None }]);
    assert!(loaded(&world, user).jobs.is_empty());
    let gone = Row::SubscriptionGone { user, device: DEVICE, provider: Provider::WebPush };
    world.commit(bay, vec![gone]);
    assert_eq!(loaded(&world, user), PushRows::default());
    assert!(world.findings().is_empty());
}

fn jobs_of_a_bay_come_in_pages(mut world: World) {
    let bay = BayId(7);
    let users: Vec<UserId> = (1..).map(UserId).filter(|user| BayId::of_user(*user) == bay).take(9).collect();
    let of = |user: UserId| [1, 2].map(|n| (user, ChannelId::direct(user, UserId(user.0 + n))));
    let all: Vec<_> = users.iter().flat_map(|user| of(*user)).collect();
    let rows = all.iter().map(|(user, channel)| job(*user, *channel, 1));
    world.commit(bay, rows.chain(users.iter().map(|user| subscription(*user))).collect());
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let Answer::Jobs { items, more } = world.read(&Query::Jobs { bay, after, limit: 4 }) else {
            panic!()
        };
        assert!(items.len() <= 4 && (items.len() == 4 || !more));
        found.extend(items.iter().map(|(user, channel, _)| (*user, *channel)));
        after = found.last().copied();
        if !more {
            break;
        }
    }
    let mut sorted = (found.clone(), all);
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    assert_eq!(sorted.0, sorted.1);
    let empty = world.read(&Query::Jobs { bay: BayId(8), after: None, limit: 4 });
    assert_eq!(empty, Answer::Jobs { items: Vec::new(), more: false });
}

fn what_is_shown_is_a_withdrawal_once_it_is_read(mut world: World) {
    let bay = BayId(7);
    let users: Vec<UserId> = (1..).map(UserId).filter(|user| BayId::of_user(*user) == bay).take(5).collect();
    let me = users[0];
    let channel = |n: u64| ChannelId::direct(me, UserId(me.0 + n));
    let row = |seq: u64, is_read| ShownRow {
        seq: Seq(seq),
        time_ms: 9,
        is_read,
        targets: vec![(DEVICE, Provider::Fcm)],
    };
    let shown = |user, n, row| Row::Shown { user, channel: channel(n), row };
    let facts = |world: &World, n| match world.read(&Query::Push { user: me, channel: channel(n) }) {
        Answer::Push(facts) => facts.shown,
        other => panic!("{other:?}"),
    };
    let withdrawals =
        |world: &World, after, limit| match world.read(&Query::Withdrawals { bay, after, limit }) {
            Answer::Withdrawals { items, more } => (items, more),
            other => panic!("{other:?}"),
        };
    world.account(me);
    world.commit(bay, vec![shown(me, 1, Some(row(1, false))), shown(me, 2, Some(row(4, true)))]);
    assert!(loaded(&world, me).shown.is_empty(), "nobody would be told");
    world.commit(bay, vec![subscription(me)]);
    let found = loaded(&world, me).shown;
    assert_eq!(found, [(channel(1), row(1, false)), (channel(2), row(4, true))]);
    assert_eq!((facts(&world, 1), facts(&world, 2)), (None, Some(row(4, true))));
    assert_eq!(withdrawals(&world, None, 9), (vec![(me, channel(2))], false));
    // It stands under one key at a time.
    world.commit(bay, vec![shown(me, 1, Some(row(1, true))), shown(me, 2, Some(row(5, false)))]);
    let mut found = loaded(&world, me).shown;
    found.sort_by_key(|(_, row)| row.seq);
    assert_eq!(found, [(channel(1), row(1, true)), (channel(2), row(5, false))]);
    assert_eq!(withdrawals(&world, None, 9), (vec![(me, channel(1))], false));
    world.commit(bay, users.iter().map(|user| shown(*user, 3, Some(row(1, true)))).collect());
    let (first, more) = withdrawals(&world, None, 4);
    let (rest, ended) = withdrawals(&world, first.last().copied(), 4);
    assert_eq!((first.len(), more, rest.len(), ended), (4, true, 2, false));
    assert!(rest.iter().all(|one| !first.contains(one)));
    world.commit(bay, vec![shown(me, 1, None), shown(me, 2, None), shown(me, 3, None)]);
    assert!(loaded(&world, me).shown.is_empty() && facts(&world, 1).is_none());
    assert!(world.findings().is_empty());
}

fn a_push_has_all_its_facts(mut world: World) {
    let (me, other) = (UserId(5), UserId(6));
    let channel = ChannelId::direct(me, other);
    let read = |world: &World| match world.read(&Query::Push { user: me, channel }) {
        Answer::Push(facts) => *facts,
        other => panic!("{other:?}"),
    };
    assert_eq!(read(&world), PushFacts::default());
    world.account(me);
    world.account(other);
    world.text(channel, other, "one");
    world.text(channel, other, "two");
    let prefs = Prefs { notify: Notify::Mentions, ..Prefs::default() };
    let note = protocol::commit::Note::Prefs { about: channel, prefs };
    let rows = vec![subscription(me), job(me, channel, 2), Row::Note { user: me, seq: Seq(1), note }];
    world.commit(BayId::of_user(me), rows);
    let facts = read(&world);
    assert_eq!(facts.job.map(|job| job.seq), Some(Seq(2)));
    assert_eq!(facts.subscriptions.len(), 1);
    assert_eq!((facts.prefs, facts.read), (prefs, Seq(0)));
    assert_eq!(facts.message.and_then(|frame| frame.read_stamp()).map(|stamp| stamp.seq), Some(Seq(2)));
}

fn who_has_turned_push_off_loads_so(mut world: World) {
    let (user, channel) = (UserId(5), ChannelId::direct(UserId(5), UserId(6)));
    let bay = BayId::of_user(user);
    world.account(user);
    world.commit(bay, vec![Row::PushOff { user, is_off: true }]);
    let found = loaded(&world, user);
    assert!(found.is_off && found.subscriptions.is_empty(), "also without a subscription");
    world.commit(bay, vec![subscription(user)]);
    assert!(loaded(&world, user).is_off);
    let Answer::Push(facts) = world.read(&Query::Push { user, channel }) else { panic!() };
    assert!(facts.is_off && facts.subscriptions.len() == 1);
    assert!(!loaded(&world, UserId(6)).is_off);
    assert!(world.findings().is_empty());
    world.commit(bay, vec![Row::PushOff { user, is_off: false }]);
    assert!(!loaded(&world, user).is_off && loaded(&world, user).subscriptions.len() == 1);
}
