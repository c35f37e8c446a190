use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use protocol::commit::AccountRow;
use protocol::{ChannelId, Frame, Kind, Seq, Stamp, UserId};
use storage::Stores;

use super::*;

const STORE: StoreId = StoreId(0);

fn batch(number: u64, messages: usize, text: usize) -> Batch {
    let stamp = Stamp { seq: Seq(1), time_ms: 1, sender: UserId(1) };
    let message = |n: usize| Row::Message {
        channel: ChannelId(9),
        seq: Seq(n as u64),
        frame: Frame::build(Kind::SEND_TEXT, 1, 7, &vec![0; text]).stamp(stamp),
    };
    Batch { store: STORE, number, rows: (0..messages).map(message).collect() }
}

/// A thread whose commits wait for a permit each, and what it has done so far: sizes of writes, numbers stored.
struct Bench {
    appender: Appender,
    thread: JoinHandle<()>,
    permits: Sender<Result<(), StoreError>>,
    began: Receiver<usize>,
    stored: Receiver<u64>,
    failed: Receiver<StoreError>,
}

fn bench() -> Bench {
    let (permits, permit) = channel();
    let (begin, began) = channel();
    let (store, stored) = channel();
    let (fail, failed) = channel();
    let work = Work {
        commit: Box::new(move |batches| {
            let _ = begin.send(batches.len());
            permit.recv().unwrap()
        }),
        stored: Box::new(move |number| store.send(number).unwrap()),
        failed: Box::new(move |error| fail.send(error).unwrap()),
        meter: Arc::default(),
    };
    let (appender, thread) = start(STORE, work).unwrap();
    Bench { appender, thread, permits, began, stored, failed }
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
fn a_write_has_a_bound_and_a_large_batch_goes_alone() {
    let sizes = |batches: Vec<Batch>| {
        let bench = bench();
        let count = batches.len() as u64;
        bench.appender.append(Batch { store: STORE, number: 0, rows: Vec::new() });
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
    bench.permits.send(Err(StoreError::Poisoned { store: STORE })).unwrap();
    bench.appender.append(batch(2, 1, 10));
    assert_eq!(bench.failed.recv().unwrap(), StoreError::Poisoned { store: STORE });
    bench.thread.join().unwrap();
    bench.appender.append(batch(3, 1, 10));
    assert!(bench.stored.recv().is_err());
}

#[test]
fn the_last_batches_are_committed_before_the_thread_ends() {
    let stores = Arc::new(Stores::memory(1));
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let (commits, seen) = (stores.clone(), numbers.clone());
    let work = Work {
        commit: Box::new(move |batches| commits.commit(STORE, batches)),
        stored: Box::new(move |number| seen.lock().unwrap().push(number)),
        failed: Box::new(|error| panic!("{error}")),
        meter: Arc::default(),
    };
    let (appender, thread) = start(STORE, work).unwrap();
    for number in 1..=200 {
        let row =
            Row::Account { user: UserId(number), row: AccountRow { created_ms: number, not_before_ms: 0 } };
        appender.append(Batch { store: STORE, number, rows: vec![row] });
    }
    drop(appender);
    thread.join().unwrap();
    let numbers = numbers.lock().unwrap();
    assert_eq!(numbers.last(), Some(&200));
    assert!(numbers.is_sorted());
    let stats = stores.stats();
    assert_eq!((stats[0].batches, stats[0].commits), (200, numbers.len() as u64));
}
