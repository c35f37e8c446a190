//! Scenarios of push: who is to be told, when nobody is there, and what ends it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use std::sync::Arc;

use desk::{Desk, pointers};
use protocol::body::message::CreateGroup;
use protocol::body::push::{GetPush, Push, SetPush, SubscribePush, UnsubscribePush};
use protocol::body::read;
use protocol::body::session::Reject;
use protocol::body::sync::{CursorAck, MarkRead};
use protocol::commit::{JobRow, Provider, Row, ShownRow, SubscriptionRow, Target};
use protocol::limits::{PUSH_JOBS_MAX, PUSH_SUBSCRIPTIONS_MAX};
use protocol::query::{Answer, PushRows};
use protocol::{ChannelId, Code, DeviceId, Refusal, SendId, Seq, UserId};
use shard::limits::{PUSH_ACK_MS, PUSH_ATTEMPTS_MAX};
use shard::{Command, CommandError, Input, Limits, Providers, PushOutcome};

const A: u64 = 10;
const B: u64 = 20;
const B_DEVICE: Target = (DeviceId(B), Provider::WebPush);

fn direct() -> ChannelId {
    ChannelId::direct(UserId(A), UserId(B))
}

fn subscribe(target: Target) -> Command {
    let row =
        SubscriptionRow { created_ms: 7, endpoint: "https://push.example/1".into(), ..Default::default() };
    Command::Subscribe { user: UserId(B), target, row: Box::new(row) }
}

/// A is connected, B has a subscription and is not.
fn away(shards: u16) -> Desk {
    let mut desk = Desk::new(shards);
    desk.join(A, A, A);
    desk.command(subscribe(B_DEVICE)).unwrap();
    desk
}

fn jobs(rows: &[Row]) -> Vec<(ChannelId, Option<JobRow>)> {
    let job = |row: &Row| match row {
        Row::Job { user, channel, row } => {
            assert_eq!(user.0, B);
            Some((*channel, row.clone()))
        }
        _ => None,
    };
    rows.iter().filter_map(job).collect()
}

fn sends(desk: &mut Desk, id: u64) -> Vec<(ChannelId, Option<JobRow>)> {
    desk.text(A, A, direct(), id, "hello");
    jobs(&desk.run())
}

/// B connects, with so much of its inbox.
fn back(desk: &mut Desk, cursor: u64) {
    desk.hello(B, B, B, cursor);
    desk.run();
}

fn pushed(seq: u64, outcome: PushOutcome) -> Command {
    pushed_by(seq, outcome, &[])
}

fn pushed_by(seq: u64, outcome: PushOutcome, taken: &[Target]) -> Command {
    Command::Pushed { user: UserId(B), channel: direct(), seq: Seq(seq), outcome, taken: taken.to_vec() }
}

#[test]
fn a_job_leaves_in_the_batch_of_the_pointer_and_is_told_once_it_is_stored() {
    for shards in [1, 4] {
        let mut desk = away(shards);
        desk.text(A, A, direct(), 1, "hello");
        desk.answer_all_empty();
        let mut found = false;
        while !desk.batches.is_empty() {
            let told = desk.pushes.len();
            let rows = desk.store_one().rows;
            desk.answer_all_empty();
            if let [(channel, Some(job))] = &jobs(&rows)[..] {
                assert_eq!((*channel, job.seq, job.count, job.is_mentioned), (direct(), Seq(1), 1, false));
                assert!(pointers(&rows) >= 1, "the pointer is in the same batch");
                assert_eq!(told, 0, "nothing is told before it is stored");
                found = true;
            }
        }
        assert!(found);
        assert_eq!(desk.pushes, [(B, direct())]);
    }
}

#[test]
fn a_newer_message_replaces_the_job_and_counts() {
    let mut desk = away(2);
    sends(&mut desk, 1);
    let after = sends(&mut desk, 2);
    let job = after[0].1.as_ref().unwrap();
    assert_eq!((after.len(), job.seq, job.count), (1, Seq(2), 2));
    // The older one was carried out meanwhile.
    desk.command(pushed(1, PushOutcome::Done { count: 1 })).unwrap();
    let after = sends(&mut desk, 3);
    assert_eq!(after[0].1.as_ref().map(|job| (job.seq, job.count)), Some((Seq(3), 2)));
}

#[test]
fn who_has_no_subscription_or_sent_it_gets_no_job() {
    let mut desk = Desk::new(1);
    desk.join(A, A, A);
    assert_eq!(sends(&mut desk, 1), []);
    desk.command(subscribe(B_DEVICE)).unwrap();
    let channel = ChannelId::group(UserId(A), SendId(5));
    desk.send(A, A, 5, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B] });
    assert_eq!(jobs(&desk.run()), [], "a change of a group is not unread");
    back(&mut desk, 2);
    desk.text(B, B, direct(), 6, "of myself");
    assert_eq!(jobs(&desk.run()), []);
    desk.pass(2 * PUSH_ACK_MS);
    assert_eq!(jobs(&desk.run()), []);
}

#[test]
fn a_live_device_that_takes_nothing_for_ten_seconds_is_none() {
    let mut desk = away(2);
    desk.join(B, B, B);
    assert_eq!(sends(&mut desk, 1), []);
    desk.pass(PUSH_ACK_MS - 1);
    assert_eq!(jobs(&desk.run()), []);
    desk.pass(1001);
    let after = jobs(&desk.run());
    assert_eq!(after[0].1.as_ref().map(|job| (job.seq, job.count)), Some((Seq(1), 1)));
    assert_eq!(desk.pushes, [(B, direct())]);
}

#[test]
fn what_a_device_left_lying_is_told_with_what_comes_after_it_left() {
    let mut desk = away(1);
    desk.join(B, B, B);
    assert_eq!(sends(&mut desk, 1), []);
    let home = desk.home(B);
    desk.turn(home, vec![Input::Closed { conn: shard::ConnId(B) }]);
    let after = sends(&mut desk, 2);
    assert_eq!(after[0].1.as_ref().map(|job| (job.seq, job.count)), Some((Seq(2), 2)));
    desk.command(pushed(2, PushOutcome::Done { count: 2 })).unwrap();
    desk.pass(PUSH_ACK_MS + 1001);
    assert_eq!(jobs(&desk.run()), [], "nothing is told a second time, and an older one least of all");
}

#[test]
fn a_live_device_that_takes_it_is_told_nothing() {
    let mut desk = away(1);
    desk.join(B, B, B);
    sends(&mut desk, 1);
    sends(&mut desk, 2);
    desk.send(B, B, 0, &CursorAck { generation: desk::GENERATION, cursor: 1 });
    desk.pass(PUSH_ACK_MS - 1000);
    desk.send(B, B, 0, &CursorAck { generation: desk::GENERATION, cursor: 2 });
    desk.pass(2 * PUSH_ACK_MS);
    assert_eq!(jobs(&desk.run()), []);
    // One that takes the first and no more.
    sends(&mut desk, 3);
    sends(&mut desk, 4);
    desk.send(B, B, 0, &CursorAck { generation: desk::GENERATION, cursor: 3 });
    desk.pass(PUSH_ACK_MS + 1000);
    assert_eq!(jobs(&desk.run())[0].1.as_ref().map(|job| job.seq), Some(Seq(4)));
}

#[test]
fn what_is_read_is_withdrawn() {
    let mut desk = away(2);
    sends(&mut desk, 1);
    sends(&mut desk, 2);
    back(&mut desk, 2);
    desk.send(B, B, 8, &MarkRead { channel: direct().0, seq: 1 });
    assert_eq!(jobs(&desk.run()), [], "the newest is not read");
    desk.send(B, B, 9, &MarkRead { channel: direct().0, seq: 3 });
    assert_eq!(jobs(&desk.run()), [], "a mark that was refused withdraws nothing");
    desk.send(B, B, 10, &MarkRead { channel: direct().0, seq: 2 });
    assert_eq!(jobs(&desk.run()), [(direct(), None)]);
}

#[test]
fn a_mark_withdraws_what_it_marks_and_only_once_it_is_stored() {
    let mut desk = away(1);
    let group = ChannelId::group(UserId(A), SendId(5));
    desk.send(A, A, 5, &CreateGroup { channel: group.0, name: "team".into(), members: vec![B] });
    desk.run();
    desk.text(A, A, group, 6, "hello");
    assert_eq!(jobs(&desk.run()).len(), 1);
    assert_eq!(sends(&mut desk, 1).len(), 1);
    back(&mut desk, 3);
    // One mark waits for the store while another is refused: nobody can have read that far.
    desk.send(B, B, 8, &MarkRead { channel: direct().0, seq: 1 });
    desk.send(B, B, 9, &MarkRead { channel: group.0, seq: 99 });
    assert_eq!(jobs(&desk.run()), [(direct(), None)]);
}

#[test]
fn a_mark_that_is_refused_is_no_sign_that_a_message_was_taken() {
    let mut desk = away(1);
    desk.join(B, B, B);
    sends(&mut desk, 1);
    sends(&mut desk, 2);
    desk.send(B, B, 8, &MarkRead { channel: direct().0, seq: 99 });
    desk.pass(PUSH_ACK_MS + 1001);
    let after = jobs(&desk.run());
    assert_eq!(after[0].1.as_ref().map(|job| (job.seq, job.count)), Some((Seq(2), 2)));
    // One that is stored is.
    sends(&mut desk, 3);
    desk.send(B, B, 9, &MarkRead { channel: direct().0, seq: 3 });
    desk.run();
    desk.pass(PUSH_ACK_MS + 1001);
    assert_eq!(jobs(&desk.run()), []);
}

#[test]
fn a_job_that_fails_waits_and_is_parked_in_the_end() {
    let mut desk = away(1);
    sends(&mut desk, 1);
    for attempt in 1..=PUSH_ATTEMPTS_MAX {
        let home = desk.home(B);
        let command = pushed(1, PushOutcome::Retry { at_ms: 99, targets: vec![B_DEVICE], has_failed: true });
        let input = Input::Control { ticket: shard::Ticket(u64::from(attempt)), command };
        desk.turn(home, vec![input]);
        let after = jobs(&desk.run());
        let job = after[0].1.as_ref().unwrap();
        assert_eq!((job.attempts, job.retry_at_ms, &job.targets[..]), (attempt, 99, &[B_DEVICE][..]));
        assert_eq!(job.is_parked, attempt == PUSH_ATTEMPTS_MAX);
    }
    let after = sends(&mut desk, 2);
    let job = after[0].1.as_ref().unwrap();
    assert_eq!(
        (job.is_parked, job.attempts, job.targets.len()),
        (false, 0, 0),
        "a newer message tries again"
    );
    desk.command(pushed(2, PushOutcome::Done { count: 2 })).unwrap();
    desk.command(pushed(2, PushOutcome::Done { count: 2 })).unwrap();
}

#[test]
fn subscriptions_are_bounded_and_end_with_their_device() {
    let mut desk = away(1);
    let stranger = (DeviceId(77), Provider::WebPush);
    assert_eq!(desk.command(subscribe(stranger)), Err(CommandError::NoSuchUser));
    let known: Vec<DeviceId> = (1..=6).map(DeviceId).collect();
    let mut more = (100..).map(DeviceId);
    let mut devices = known;
    while devices.len() < 15 {
        let device = more.next().unwrap();
        let (user, known) = (UserId(B), devices.clone());
        desk.command(Command::AddDevice { user, device, known }).unwrap();
        devices.push(device);
    }
    let providers = [Provider::WebPush, Provider::Webhook];
    let all = devices.iter().flat_map(|device| providers.map(|provider| (*device, provider)));
    let taken = all.filter(|target| desk.command(subscribe(*target)).is_ok()).count();
    assert_eq!(taken, PUSH_SUBSCRIPTIONS_MAX - 1, "one was there before");
    desk.command(subscribe(B_DEVICE)).unwrap();
    let gone = Command::Unsubscribe { user: UserId(B), target: B_DEVICE, made_ms: Some(6) };
    desk.command(gone).unwrap();
    assert_eq!(sends(&mut desk, 1).len(), 1);
    desk.turn(
        0,
        vec![Input::Control {
            ticket: shard::Ticket(1),
            command: Command::LogOutAll { user: UserId(B), not_before_ms: 1, keep: None },
        }],
    );
    let rows = desk.run();
    let gone = rows.iter().filter(|row| matches!(row, Row::SubscriptionGone { .. })).count();
    assert_eq!(gone, PUSH_SUBSCRIPTIONS_MAX);
    assert_eq!(jobs(&rows), [(direct(), None)], "nobody is left to be told");
    assert_eq!(sends(&mut desk, 2), []);
}

#[test]
fn who_turns_push_off_is_told_nothing_and_keeps_its_subscriptions() {
    let mut desk = away(2);
    sends(&mut desk, 1);
    let home = desk.home(B);
    let set = |is_off| Command::SetPush { user: UserId(B), is_off };
    let order = |desk: &mut Desk, is_off| {
        let input = Input::Control { ticket: shard::Ticket(77), command: set(is_off) };
        desk.turn(home, vec![input]);
        desk.run()
    };
    let rows = order(&mut desk, true);
    assert_eq!(jobs(&rows), [(direct(), None)], "what waits is told no more");
    let off = |rows: &[Row]| {
        let of = |row: &Row| if let Row::PushOff { is_off, .. } = row { Some(*is_off) } else { None };
        rows.iter().find_map(of)
    };
    assert_eq!(off(&rows), Some(true));
    assert!(!rows.iter().any(|row| matches!(row, Row::SubscriptionGone { .. })));
    assert_eq!(sends(&mut desk, 2), []);
    // What was carried out meanwhile changes nothing, and neither does saying it twice.
    desk.command(pushed(1, PushOutcome::Park)).unwrap();
    assert_eq!(order(&mut desk, true), []);
    desk.command(subscribe((DeviceId(B), Provider::Apns))).unwrap();
    assert_eq!(sends(&mut desk, 3), [], "a device that registers again turns nothing on");
    assert_eq!(off(&order(&mut desk, false)), Some(false));
    let after = sends(&mut desk, 4);
    assert_eq!(after[0].1.as_ref().map(|job| (job.seq, job.count)), Some((Seq(4), 1)));
}

/// Takes every address but one that points inside.
#[derive(Debug)]
struct Open;

impl Providers for Open {
    fn read(&self, wish: SubscribePush, now_ms: u64) -> Result<SubscriptionRow, Refusal> {
        if wish.address.contains("127.0.0.1") {
            return Err(Refusal::new(Code::Limit, "address", "is inside"));
        }
        Ok(SubscriptionRow { created_ms: now_ms, endpoint: wish.address, ..Default::default() })
    }

    fn key(&self) -> String {
        "the key".into()
    }
}

fn wish(provider: Provider, address: &str) -> SubscribePush {
    SubscribePush { provider: provider as u8, address: address.into(), ..SubscribePush::default() }
}

#[test]
fn a_device_subscribes_by_frames_and_is_told_once_it_is_stored() {
    let mut desk = Desk::new(1);
    desk.join(A, A, A);
    desk.join(B, B, B);
    desk.send(B, B, 1, &wish(Provider::WebPush, "https://push.example/1"));
    assert_eq!(desk.seen(B), ["reject 1 busy"], "before push is there");
    desk.turn(0, vec![Input::Providers(Arc::new(Open))]);

    desk.send(B, B, 2, &wish(Provider::WebPush, "https://push.example/1"));
    assert_eq!(desk.seen(B), Vec::<String>::new(), "not before it is stored");
    let rows = desk.run();
    let made = |row: &Row| match row {
        Row::Subscription { user, device, provider, row } => {
            Some((*user, *device, *provider, row.endpoint.clone()))
        }
        _ => None,
    };
    let expected = (UserId(B), DeviceId(B), Provider::WebPush, "https://push.example/1".to_owned());
    assert_eq!(rows.iter().filter_map(made).collect::<Vec<_>>(), [expected]);
    assert_eq!(desk.seen(B), ["done 2"]);

    desk.send(B, B, 3, &wish(Provider::Webhook, "http://127.0.0.1/x"));
    assert_eq!(desk.seen(B), ["reject 3 limit"]);
    desk.send(B, B, 4, &GetPush { device: 0 });
    let told = desk.take(B).remove(0);
    let told = read::<Push>(&told).unwrap();
    assert_eq!((told.is_off, told.key.as_str(), told.items.len()), (false, "the key", 1));
    assert_eq!((told.items[0].device, told.items[0].provider), (B, 1));
    desk.send(B, B, 5, &GetPush { device: 99 });
    assert_eq!(read::<Push>(&desk.take(B).remove(0)).unwrap().items, []);

    // It goes, and is told; then all of it is off, and on again; then it ends.
    desk.turn(0, vec![Input::Closed { conn: shard::ConnId(B) }]);
    let after = sends(&mut desk, 1);
    assert_eq!(after[0].1.as_ref().map(|job| job.seq), Some(Seq(1)));
    back(&mut desk, 1);
    desk.send(B, B, 6, &SetPush { is_off: true });
    assert!(desk.run().iter().any(|row| matches!(row, Row::PushOff { is_off: true, .. })));
    desk.send(B, B, 7, &SetPush { is_off: false });
    desk.run();
    desk.send(B, B, 8, &UnsubscribePush { device: 0, provider: 1 });
    assert!(desk.run().iter().any(|row| matches!(row, Row::SubscriptionGone { .. })));
    let words = desk.seen(B);
    assert!(
        ["done 6", "done 7", "done 8"].iter().all(|done| words.contains(&(*done).to_owned())),
        "{words:?}"
    );
    // What is not there ends at once.
    desk.send(B, B, 9, &UnsubscribePush { device: 5, provider: 4 });
    desk.run();
    assert_eq!(desk.seen(B), ["done 9"]);
}

#[test]
fn a_disk_that_is_nearly_full_takes_no_new_subscription_and_ends_old_ones() {
    let mut desk = away(1);
    desk.join(B, B, B);
    desk.turn(0, vec![Input::Providers(Arc::new(Open)), Input::SpaceLow(true)]);
    desk.send(B, B, 1, &wish(Provider::Apns, "00ff"));
    assert_eq!(desk.seen(B), ["reject 1 storage_full"]);
    // One that is there may say where it is now.
    desk.send(B, B, 2, &wish(Provider::WebPush, "https://push.example/2"));
    desk.send(B, B, 3, &SetPush { is_off: true });
    desk.send(B, B, 4, &UnsubscribePush { device: 0, provider: 1 });
    desk.run();
    assert_eq!(desk.seen(B), ["done 2", "done 3", "done 4"]);
}

#[test]
fn a_user_has_so_many_subscriptions_by_frames_too() {
    let mut desk = away(1);
    desk.turn(0, vec![Input::Providers(Arc::new(Open))]);
    let mut devices: Vec<DeviceId> = (1..=6).map(DeviceId).collect();
    while devices.len() < 15 {
        let device = DeviceId(100 + devices.len() as u64);
        let (user, known) = (UserId(B), devices.clone());
        desk.command(Command::AddDevice { user, device, known }).unwrap();
        devices.push(device);
    }
    let all = devices.iter().flat_map(|device| Provider::ALL.map(|provider| (*device, provider)));
    let mut is_full = false;
    for target in all {
        is_full = desk.command(subscribe(target)).is_err() || is_full;
    }
    assert!(is_full);
    desk.join(B, B, B);
    desk.send(B, B, 1, &wish(Provider::Fcm, "token"));
    let frame = desk.take(B).remove(0);
    let reject = read::<Reject>(&frame).unwrap();
    assert_eq!(
        (reject.code, reject.path.as_str(), reject.retry_after_ms),
        (Code::Limit.number(), "provider", 0)
    );
    assert!(reject.text.contains("24 subscriptions"), "{}", reject.text);
}

#[test]
fn what_a_live_device_was_offered_is_not_told_once_push_is_off() {
    let mut desk = away(1);
    desk.join(B, B, B);
    sends(&mut desk, 1);
    desk.command(Command::SetPush { user: UserId(B), is_off: true }).unwrap();
    desk.pass(2 * PUSH_ACK_MS);
    assert_eq!(jobs(&desk.run()), []);
}

#[test]
fn the_job_that_waits_longest_gives_way() {
    let mut desk = Desk::limited(1, Limits::default());
    desk.join(A, A, A);
    let old = (1..=PUSH_JOBS_MAX as u128).map(|n| {
        let job = JobRow { seq: Seq(1), count: 1, time_ms: 1000 - n as u64, ..JobRow::default() };
        (ChannelId::group(UserId(A), SendId(n as u64 + 1)), job)
    });
    let oldest = old.clone().next_back().unwrap().0;
    let mut jobs_of: Vec<_> = old.collect();
    jobs_of.sort_by_key(|(channel, _)| *channel);
    desk.text(A, A, direct(), 1, "hello");
    let mut rows = Vec::new();
    loop {
        match desk.queries.front() {
            Some((_, _, protocol::query::Query::User(user))) if user.0 == B => {
                let Answer::User { account, devices, inbox_head, presence, .. } = desk::user_answer(*user, 0)
                else {
                    panic!("no user")
                };
                let (subscriptions, jobs) = (vec![(B_DEVICE, 7)], jobs_of.clone());
                let push = PushRows { subscriptions, jobs, ..PushRows::default() };
                desk.answer(Answer::User {
                    account,
                    devices,
                    inbox_head,
                    presence,
                    push,
                    followed: Box::default(),
                });
            }
            Some(_) => desk.answer_first_empty(),
            None if desk.batches.is_empty() => break,
            None => rows.extend(desk.store_one().rows),
        }
    }
    let after = jobs(&rows);
    assert_eq!(after.len(), 2);
    assert!(after.contains(&(oldest, None)));
    assert_eq!(desk.shards[0].counters().push_jobs_dropped, 1);
}

const PHONE: Target = (DeviceId(B), Provider::Fcm);
const TABLET: Target = (DeviceId(B), Provider::Apns);

fn shown(rows: &[Row]) -> Vec<(ChannelId, Option<ShownRow>)> {
    let shown = |row: &Row| match row {
        Row::Shown { user, channel, row } => {
            assert_eq!(user.0, B);
            Some((*channel, row.clone().map(|row| ShownRow { time_ms: 0, ..row })))
        }
        _ => None,
    };
    rows.iter().filter_map(shown).collect()
}

fn order(desk: &mut Desk, command: Command) -> Vec<Row> {
    let (home, ticket) = (desk.home(B), shard::Ticket(77));
    desk.turn(home, vec![Input::Control { ticket, command }]);
    desk.run()
}

fn row(seq: u64, is_read: bool, targets: &[Target]) -> Vec<(ChannelId, Option<ShownRow>)> {
    let row = ShownRow { seq: Seq(seq), time_ms: 0, is_read, targets: targets.to_vec() };
    vec![(direct(), Some(row))]
}

fn withdrawn(seq: u64) -> Command {
    Command::PushWithdrawn { user: UserId(B), channel: direct(), seq: Seq(seq) }
}

const DONE: PushOutcome = PushOutcome::Done { count: 1 };

#[test]
fn what_a_provider_took_is_withdrawn_once_it_is_read_and_not_before() {
    for shards in [1, 4] {
        let mut desk = away(shards);
        sends(&mut desk, 1);
        let rows = order(&mut desk, pushed_by(1, DONE, &[PHONE]));
        assert_eq!((jobs(&rows), shown(&rows)), (vec![(direct(), None)], row(1, false, &[PHONE])));
        let rows = order(&mut desk, pushed_by(1, DONE, &[PHONE]));
        assert_eq!(shown(&rows), [], "said once more, for its answer was lost");
        desk.pushes.clear();
        back(&mut desk, 1);
        desk.send(B, B, 8, &MarkRead { channel: direct().0, seq: 3 });
        assert_eq!(shown(&desk.run()), [], "a mark that was refused withdraws nothing");
        assert_eq!(desk.pushes, []);
        desk.send(B, B, 9, &MarkRead { channel: direct().0, seq: 1 });
        assert_eq!(shown(&desk.run()), row(1, true, &[PHONE]));
        assert_eq!(desk.pushes, [(B, direct())], "whoever withdraws is told");
        desk.send(B, B, 10, &MarkRead { channel: direct().0, seq: 1 });
        assert_eq!(shown(&desk.run()), [], "once");
        assert_eq!(shown(&order(&mut desk, withdrawn(1))), [(direct(), None)]);
        assert_eq!(shown(&order(&mut desk, withdrawn(1))), [], "it has ended");
    }
}

#[test]
fn what_is_read_while_it_is_told_is_withdrawn_too() {
    let mut desk = away(1);
    sends(&mut desk, 1);
    back(&mut desk, 1);
    desk.send(B, B, 9, &MarkRead { channel: direct().0, seq: 1 });
    assert_eq!(jobs(&desk.run()), [(direct(), None)]);
    desk.pushes.clear();
    assert_eq!(shown(&order(&mut desk, pushed_by(1, DONE, &[PHONE]))), row(1, true, &[PHONE]));
    assert_eq!(desk.pushes, [(B, direct())]);
    // The same while the mark is on its way.
    sends(&mut desk, 2);
    desk.pass(PUSH_ACK_MS + 1001);
    assert_eq!(jobs(&desk.run()).len(), 1);
    desk.send(B, B, 10, &MarkRead { channel: direct().0, seq: 2 });
    let home = desk.home(B);
    let (ticket, command) = (shard::Ticket(78), pushed_by(2, DONE, &[PHONE]));
    desk.turn(home, vec![Input::Control { ticket, command }]);
    let rows = shown(&desk.run());
    assert_eq!(rows.last(), row(2, true, &[PHONE]).last(), "{rows:?}");
}

#[test]
fn a_newer_push_takes_the_place_of_what_is_shown_and_what_is_withdrawn() {
    let mut desk = away(1);
    sends(&mut desk, 1);
    let retry = PushOutcome::Retry { at_ms: 0, targets: vec![TABLET], has_failed: true };
    assert_eq!(shown(&order(&mut desk, pushed_by(1, retry, &[PHONE]))), row(1, false, &[PHONE]));
    assert_eq!(shown(&order(&mut desk, pushed_by(1, DONE, &[TABLET]))), row(1, false, &[PHONE, TABLET]));
    back(&mut desk, 1);
    desk.send(B, B, 9, &MarkRead { channel: direct().0, seq: 1 });
    assert_eq!(shown(&desk.run()), row(1, true, &[PHONE, TABLET]));
    sends(&mut desk, 2);
    desk.pass(PUSH_ACK_MS + 1001);
    desk.run();
    // The tablet is quiet, and shows what was read; it is withdrawn with what is shown now.
    let rows = order(&mut desk, pushed_by(2, DONE, &[PHONE]));
    assert_eq!(shown(&rows), row(2, false, &[PHONE, TABLET]));
    assert_eq!(shown(&order(&mut desk, withdrawn(1))), [], "of before");
    assert_eq!(shown(&order(&mut desk, withdrawn(2))), [], "it was not read");
}

#[test]
fn nothing_is_remembered_of_who_is_told_no_more_or_cannot_be_told_that_it_is_read() {
    let mut desk = away(1);
    sends(&mut desk, 1);
    assert_eq!(shown(&order(&mut desk, pushed_by(1, DONE, &[]))), [], "a browser");
    sends(&mut desk, 2);
    assert_eq!(shown(&order(&mut desk, pushed_by(2, DONE, &[PHONE]))).len(), 1);
    let rows = order(&mut desk, Command::SetPush { user: UserId(B), is_off: true });
    assert_eq!(shown(&rows), [(direct(), None)]);
    assert_eq!(shown(&order(&mut desk, pushed_by(2, DONE, &[PHONE]))), []);
    order(&mut desk, Command::SetPush { user: UserId(B), is_off: false });
    sends(&mut desk, 3);
    assert_eq!(shown(&order(&mut desk, pushed_by(3, DONE, &[PHONE]))).len(), 1);
    let gone = Command::Unsubscribe { user: UserId(B), target: B_DEVICE, made_ms: None };
    assert_eq!(shown(&order(&mut desk, gone)), [(direct(), None)]);
    // A row of a user without any: what an older program left.
    assert_eq!(shown(&order(&mut desk, withdrawn(3))), [(direct(), None)]);
}

#[test]
fn what_is_shown_is_bounded_and_the_oldest_gives_way() {
    let mut desk = away(1);
    let channel = |n: u64| ChannelId::group(UserId(A), SendId(n));
    for n in 1..=PUSH_JOBS_MAX as u64 + 1 {
        let (user, outcome, taken) = (UserId(B), DONE, vec![PHONE]);
        let rows =
            order(&mut desk, Command::Pushed { user, channel: channel(n), seq: Seq(1), outcome, taken });
        let expected = usize::from(n > PUSH_JOBS_MAX as u64) + 1;
        assert_eq!(shown(&rows).len(), expected, "{n}");
        if expected == 2 {
            assert!(shown(&rows).contains(&(channel(1), None)));
        }
        desk.pass(1);
    }
}
