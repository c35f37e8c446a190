//! Where the dedup window of a channel ends, in memory and in RocksDB, and what the check says of send ids beyond it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use protocol::body::encode;
use protocol::body::message::SendText;
use protocol::limits::{
    DEDUP_AGE_MS_MAX, DEDUP_BYTES_MAX, DEDUP_MESSAGES_MAX, DEDUP_MESSAGES_MIN, TEXT_BYTES_MAX,
};
use protocol::{ChannelId, UserId};
use storage::{Answer, Query};
use world::World;

const LEAST: u64 = DEDUP_MESSAGES_MIN as u64;

fn channel() -> ChannelId {
    ChannelId::direct(UserId(1), UserId(2))
}

fn texts(world: &mut World, count: u64, text: &str) {
    for _ in 0..count {
        world.text(channel(), UserId(1), text);
    }
}

/// The seqs of the window whose messages are not older than a day when the newest is written.
fn seqs(world: &World, count: u32) -> (u64, u64) {
    let all = Query::Window { channel: channel(), count: 1, since_ms: 0 };
    let Answer::Window(newest) = world.read(&all) else { panic!() };
    let since_ms = newest[0].time_ms - DEDUP_AGE_MS_MAX;
    let Answer::Window(sent) = world.read(&Query::Window { channel: channel(), count, since_ms }) else {
        panic!()
    };
    assert!(sent.windows(2).all(|pair| pair[0].seq.next() == pair[1].seq));
    (sent.first().unwrap().seq.0, sent.last().unwrap().seq.0)
}

/// The send id of message `seq`, which is that number, once more.
fn repeat(world: &mut World, seq: u64) {
    world.append(
        channel(),
        UserId(1),
        &encode(seq, &SendText { channel: channel().0, text: "again".into() }),
    );
}

fn a_window_ends_after_a_day_but_not_before_its_least(mut world: World) {
    texts(&mut world, 10, "before");
    world.pass(DEDUP_AGE_MS_MAX / 2);
    texts(&mut world, 10, "half a day before");
    world.pass(DEDUP_AGE_MS_MAX / 2 + 1);
    texts(&mut world, LEAST - 15, "new");
    let head = LEAST + 5;
    assert_eq!(seqs(&world, DEDUP_MESSAGES_MAX), (head - LEAST + 1, head), "old ones, but no more are there");
    texts(&mut world, 5, "new");
    assert_eq!(seqs(&world, DEDUP_MESSAGES_MAX), (11, head + 5), "a day is over for the first ten");
    assert_eq!(seqs(&world, 7), (head - 1, head + 5), "no more than asked for");
}

fn the_check_says_what_the_window_would_have_known(mut world: World) {
    texts(&mut world, 20, "before");
    world.pass(DEDUP_AGE_MS_MAX + 1);
    texts(&mut world, LEAST - 10, "new");
    repeat(&mut world, 10);
    let twice = |world: &World| world.findings().iter().filter(|line| line.contains("stands twice")).count();
    assert_eq!(twice(&world), 0, "one message and one day too far");
    repeat(&mut world, 12);
    assert_eq!(twice(&world), 1, "as old, but the window holds the newest whatever their age");
}

#[test]
fn a_window_ends_where_too_much_would_have_to_be_read() {
    let mut world = World::memory();
    let large = "x".repeat(TEXT_BYTES_MAX);
    let read = (DEDUP_BYTES_MAX / TEXT_BYTES_MAX) as u64;
    texts(&mut world, 200, &large);
    assert_eq!(seqs(&world, DEDUP_MESSAGES_MAX), (1, 200), "the least, whatever their size");
    texts(&mut world, 210, "small");
    assert_eq!(seqs(&world, DEDUP_MESSAGES_MAX), (201 - read, 410), "and so many large ones as are read");
    let twice = |world: &World| world.findings().iter().filter(|line| line.contains("stands twice")).count();
    repeat(&mut world, 200 - read);
    assert_eq!(twice(&world), 0, "one too far");
    repeat(&mut world, 205 - read);
    assert_eq!(twice(&world), 1);
}

mod memory {
    use super::World;

    #[test]
    fn a_window_ends_after_a_day_but_not_before_its_least() {
        super::a_window_ends_after_a_day_but_not_before_its_least(World::memory());
    }

    #[test]
    fn the_check_says_what_the_window_would_have_known() {
        super::the_check_says_what_the_window_would_have_known(World::memory());
    }
}

#[cfg(feature = "rocks")]
mod rocks {
    use std::sync::Arc;

    use storage::{Options, Store};

    use super::World;

    fn on_disk(test: fn(World)) {
        let dir = tempfile::tempdir().unwrap();
        test(World::new(vec![Arc::new(Store::open(dir.path(), &Options::default()).unwrap())]));
    }

    #[test]
    fn a_window_ends_after_a_day_but_not_before_its_least() {
        on_disk(super::a_window_ends_after_a_day_but_not_before_its_least);
    }

    #[test]
    fn the_check_says_what_the_window_would_have_known() {
        on_disk(super::the_check_says_what_the_window_would_have_known);
    }
}
