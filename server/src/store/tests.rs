use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use protocol::commit::{AccountRow, Part};
use protocol::{BayId, ChannelId, Frame, Kind, Seq, Stamp, UserId};
use storage::Store;

use super::*;

const SHARD: ShardId = ShardId(0);

fn batch(number: u64, messages: usize, text: usize) -> Batch {
    let stamp = Stamp { seq: Seq(1), time_ms: 1, sender: UserId(1) };
    let message = |n: usize| Row::Message {
        channel: ChannelId(9),
        seq: Seq(n as u64),
        frame: Frame::build(Kind::SEND_TEXT, 1, 7, &vec![0; text]).stamp(stamp),
    };
    of_shard(SHARD, number, (0..messages).map(message).collect())
}

fn of_shard(shard: ShardId, number: u64, rows: Vec<Row>) -> Batch {
    let bay = BayId::of_channel(ChannelId(9));
    Batch { shard, number, parts: vec![Part { bay, rows }] }
}

/// A thread whose commits wait for a permit each, and what it has done so far: sizes of writes, numbers stored.
struct Bench {
    appender: Appender,
    thread: JoinHandle<()>,
    permits: Sender<Result<(), StoreError>>,
    began: Receiver<usize>,
    stored: Receiver<u64>,
    shards: Receiver<ShardId>,
    failed: Receiver<StoreError>,
}

fn bench() -> Bench {
    let (permits, permit) = channel();
    let (begin, began) = channel();
    let (store, stored) = channel();
    let (tell, shards) = channel();
    let (fail, failed) = channel();
    let work = Work {
        commit: Box::new(move |batches| {
            let _ = begin.send(batches.len());
            permit.recv().unwrap()
        }),
        stored: Box::new(move |shard, number| {
            tell.send(shard).unwrap();
            store.send(number).unwrap();
        }),
        failed: Box::new(move |error| fail.send(error).unwrap()),
        meter: Arc::default(),
    };
    let (appender, thread) = start(0, work).unwrap();
    Bench { appender, thread, permits, began, stored, shards, failed }
}

#[test]
fn what_waits_is_joined_into_one_write() {
    let bench = bench();
    bench.appender.append(batch(1, 1, 10));
    assert_eq!(bench.began.recv().unwrap(), 1);
    // The first write is under way; these gather behind it.
    for number in 2..=8 {
        bench.appender.append(batch(number, 1, 10));
    }
    assert!(bench.stored.try_recv().is_err(), "nothing is stored before its write ends");
    bench.permits.send(Ok(())).unwrap();
    assert_eq!(bench.stored.recv().unwrap(), 1);
    assert_eq!(bench.began.recv().unwrap(), 7);
    bench.permits.send(Ok(())).unwrap();
    assert_eq!(bench.stored.recv().unwrap(), 8);
    let meter = bench.appender.meter.clone();
    drop(bench.appender);
    bench.thread.join().unwrap();
    assert_eq!((meter.writes(), meter.batches(), meter.messages(), meter.waiting()), (2, 8, 8, 0));
}

#[test]
fn batches_of_all_shards_share_a_write_and_each_shard_is_told() {
    let bench = bench();
    bench.appender.append(batch(1, 1, 10));
    assert_eq!(bench.began.recv().unwrap(), 1);
    for (shard, number) in [(1, 4), (2, 9), (1, 5), (0, 2), (2, 10)] {
        bench.appender.append(of_shard(ShardId(shard), number, Vec::new()));
    }
    bench.permits.send(Ok(())).unwrap();
    assert_eq!((bench.shards.recv().unwrap(), bench.stored.recv().unwrap()), (SHARD, 1));
    assert_eq!(bench.began.recv().unwrap(), 5, "one write for all of them");
    bench.permits.send(Ok(())).unwrap();
    drop(bench.appender);
    bench.thread.join().unwrap();
    let mut told: Vec<_> = bench.shards.iter().map(|shard| shard.0).zip(bench.stored.iter()).collect();
    told.sort_unstable();
    assert_eq!(told, [(0, 2), (1, 5), (2, 10)]);
}

#[test]
fn a_write_has_a_bound_and_a_large_batch_goes_alone() {
    let sizes = |batches: Vec<Batch>| {
        let bench = bench();
        let count = batches.len() as u64;
        bench.appender.append(of_shard(SHARD, 0, Vec::new()));
        assert_eq!(bench.began.recv().unwrap(), 1);
        for batch in batches {
            bench.appender.append(batch);
        }
        bench.permits.send(Ok(())).unwrap();
        let mut sizes = Vec::new();
        let mut through = bench.stored.recv().unwrap();
        while through < count {
            sizes.push(bench.began.recv().unwrap());
            bench.permits.send(Ok(())).unwrap();
            through = bench.stored.recv().unwrap();
        }
        drop(bench.appender);
        bench.thread.join().unwrap();
        sizes
    };
    // 200 + 200 fit into 512 messages, 200 more do not.
    assert_eq!(sizes((1..=4).map(|number| batch(number, 200, 1)).collect()), [2, 2]);
    // Three of 100 KB do not fit into 256 KiB, two do.
    assert_eq!(sizes((1..=4).map(|number| batch(number, 1, 100_000)).collect()), [2, 2]);
    // One over the bound is written all the same, alone.
    assert_eq!(sizes(vec![batch(1, 600, 1), batch(2, 600, 1), batch(3, 1, 1)]), [1, 1, 1]);
}

#[test]
fn after_a_failed_commit_nothing_is_stored_any_more() {
    let bench = bench();
    bench.appender.append(batch(1, 1, 10));
    bench.permits.send(Ok(())).unwrap();
    assert_eq!(bench.stored.recv().unwrap(), 1);
    bench.permits.send(Err(StoreError::Poisoned)).unwrap();
    bench.appender.append(batch(2, 1, 10));
    assert_eq!(bench.failed.recv().unwrap(), StoreError::Poisoned);
    bench.thread.join().unwrap();
    bench.appender.append(batch(3, 1, 10));
    assert!(bench.stored.recv().is_err());
}

#[test]
fn the_last_batches_are_committed_before_the_thread_ends() {
    let store = Arc::new(Store::memory());
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let (commits, seen) = (store.clone(), numbers.clone());
    let work = Work {
        commit: Box::new(move |batches| commits.commit(batches)),
        stored: Box::new(move |_, number| seen.lock().unwrap().push(number)),
        failed: Box::new(|error| panic!("{error}")),
        meter: Arc::default(),
    };
    let (appender, thread) = start(0, work).unwrap();
    for number in 1..=200 {
        let row = Row::Account {
            user: UserId(number),
            row: AccountRow { created_ms: number, ..AccountRow::default() },
        };
        let bay = BayId::of_user(UserId(number));
        appender.append(Batch { shard: SHARD, number, parts: vec![Part { bay, rows: vec![row] }] });
    }
    drop(appender);
    thread.join().unwrap();
    let numbers = numbers.lock().unwrap();
    assert_eq!(numbers.last(), Some(&200));
    assert!(numbers.is_sorted());
    let stats = store.stats();
    assert_eq!((stats.batches, stats.commits), (200, numbers.len() as u64));
}
