//! A channel's history in a family of its own: given, moved, given back, and readable throughout.
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[macro_use]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::{ChannelId, InboxSeq, Seq, UserId};
use storage::{Answer, FamilyError, Moved, PageBounds, Query, Store, Tier};
use world::{PAGE, World, texts};

contract! {
    a_channel_is_readable_at_every_step
    who_may_have_a_family
    sixty_four_and_no_more
    given_again_while_copies_wait
    readers_and_a_writer_while_a_channel_moves
}

fn direct(a: u64, b: u64) -> ChannelId {
    ChannelId::direct(UserId(a), UserId(b))
}

fn history(
    store: &Store,
    channel: ChannelId,
    (after, before): (u64, u64),
    newest: bool,
    page: PageBounds,
) -> Vec<String> {
    let query = Query::History { channel, after: Seq(after), before: Seq(before), newest, page };
    match store.read(&query, Tier::Any).unwrap().unwrap() {
        Answer::History(frames) => texts(&frames),
        other => panic!("{other:?}"),
    }
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// What every reader must see after so many messages, whatever stands where.
fn expect(world: &World, channel: ChannelId, count: u64) {
    let store = &world.stores[0];
    let all = (0, u64::MAX);
    assert_eq!(history(store, channel, all, false, PAGE), numbers(1..=count));
    assert_eq!(history(store, channel, all, true, PAGE), numbers(1..=count));
    let three = PageBounds { messages: 3, ..PAGE };
    assert_eq!(history(store, channel, all, true, three), numbers(count - 2..=count));
    for after in 0..count {
        let last = count.min(after + 3);
        assert_eq!(history(store, channel, (after, u64::MAX), false, three), numbers(after + 1..=last));
        let first = (after + 1).saturating_sub(3).max(1);
        assert_eq!(history(store, channel, (0, after + 1), true, three), numbers(first..=after));
    }
    match store.read(&Query::Channel(channel), Tier::Any).unwrap().unwrap() {
        Answer::Channel { head, .. } => assert_eq!(head, Seq(count)),
        other => panic!("{other:?}"),
    }
    let window = Query::Window { channel, count: 1000, since_ms: 0 };
    match store.read(&window, Tier::Any).unwrap().unwrap() {
        Answer::Window(sent) => {
            assert_eq!(
                sent.iter().map(|sent| sent.seq.0).collect::<Vec<_>>(),
                (1..=count).collect::<Vec<_>>()
            );
        }
        other => panic!("{other:?}"),
    }
    let findings = world.findings();
    assert!(findings.iter().all(|line| line.contains("has no account")), "{findings:?}");
}

fn move_all(store: &Store) -> usize {
    (0..10_000)
        .map(|_| store.move_messages(300).unwrap())
        .take_while(|moved| *moved != Moved::Nothing)
        .count()
}

fn a_channel_is_readable_at_every_step(mut world: World) {
    let (channel, other) = (direct(1, 2), direct(1, 3));
    let mut count = 0;
    let mut say = |world: &mut World| {
        count += 1;
        world.text(channel, UserId(1), &count.to_string());
        world.deliver_all();
        count
    };
    world.text(other, UserId(1), "neighbour");
    for _ in 0..20 {
        say(&mut world);
    }
    let store = Arc::clone(&world.stores[0]);
    let given = store.give_family(channel).unwrap();
    assert_eq!((given.from, given.until), (Seq(21), None));
    let mut steps = 0;
    while store.move_messages(150).unwrap() != Moved::Nothing {
        let count = say(&mut world);
        expect(&world, channel, count);
        steps += 1;
        if steps == 3 {
            // Half of it is there: the newest first.
            let family = store.families().pop().unwrap();
            assert!(family.is_moving() && family.from < Seq(21) && family.from > Seq(1), "{family:?}");
        }
    }
    assert!(steps > 5, "{steps}");
    let family = store.families().pop().unwrap();
    assert_eq!((family.channel, family.from, family.is_moving()), (channel, Seq(1), false));
    assert!(family.bytes > 0);
    store.return_family(channel).unwrap();
    assert!(store.families()[0].is_moving());
    assert_eq!(store.give_family(channel), Err(FamilyError::Returning));
    assert_eq!(store.return_family(channel), Err(FamilyError::Returning));
    while store.move_messages(150).unwrap() != Moved::Nothing {
        let count = say(&mut world);
        expect(&world, channel, count);
    }
    assert_eq!(store.families(), []);
    assert_eq!(history(&store, other, (0, u64::MAX), false, PAGE), ["neighbour"]);
    // Once more, into the same place.
    store.give_family(channel).unwrap();
    move_all(&store);
    let count = say(&mut world);
    expect(&world, channel, count);
}

fn who_may_have_a_family(mut world: World) {
    let store = Arc::clone(&world.stores[0]);
    let channel = direct(1, 2);
    let unknown = store.give_family(channel).unwrap_err();
    assert!(matches!(unknown, FamilyError::Unknown(_)), "{unknown:?}");
    assert_eq!(store.return_family(channel), Err(FamilyError::HasNot));
    world.text(channel, UserId(1), "1");
    store.give_family(channel).unwrap();
    assert_eq!(store.give_family(channel), Err(FamilyError::Has));
    // Given back before anything was moved.
    store.return_family(channel).unwrap();
    world.text(channel, UserId(1), "2");
    move_all(&store);
    expect_two(&store, channel);
    assert_eq!(store.families(), []);
}

fn expect_two(store: &Store, channel: ChannelId) {
    assert_eq!(history(store, channel, (0, u64::MAX), false, PAGE), ["1", "2"]);
}

fn sixty_four_and_no_more(mut world: World) {
    let store = Arc::clone(&world.stores[0]);
    for other in 2..=66 {
        world.text(direct(1, other), UserId(1), "1");
    }
    for other in 2..=65 {
        store.give_family(direct(1, other)).unwrap();
    }
    assert_eq!(store.give_family(direct(1, 66)), Err(FamilyError::AllTaken));
    store.return_family(direct(1, 9)).unwrap();
    assert_eq!(store.give_family(direct(1, 66)), Err(FamilyError::AllTaken), "it is not dropped yet");
    move_all(&store);
    store.give_family(direct(1, 66)).unwrap();
    move_all(&store);
    assert_eq!(store.families().len(), 64);
    assert!(store.families().iter().all(|family| !family.is_moving()));
    for other in 2..=66 {
        world.text(direct(1, other), UserId(1), "2");
        expect_two(&store, direct(1, other));
    }
}

/// The copies that a move leaves behind must not be removed once they are the messages themselves.
fn given_again_while_copies_wait(mut world: World) {
    let (channel, store) = (direct(1, 2), Arc::clone(&world.stores[0]));
    for number in 1..=10u64 {
        world.text(channel, UserId(1), &number.to_string());
    }
    store.give_family(channel).unwrap();
    while store.families()[0].is_moving() {
        store.move_messages(300).unwrap();
    }
    store.return_family(channel).unwrap();
    move_all(&store);
    world.deliver_all();
    expect(&world, channel, 10);
    // The same with a move that was interrupted half way.
    store.give_family(channel).unwrap();
    store.move_messages(300).unwrap();
    store.return_family(channel).unwrap();
    store.move_messages(1).unwrap();
    assert_eq!(store.give_family(channel), Err(FamilyError::Returning));
    move_all(&store);
    expect(&world, channel, 10);
}

/// What a pointer names is there whichever family it stands in: readers of pages and inboxes beside a writer and a mover.
fn readers_and_a_writer_while_a_channel_moves(mut world: World) {
    let (channel, store) = (direct(1, 2), Arc::clone(&world.stores[0]));
    for number in 1..=50u64 {
        world.text(channel, UserId(1), &number.to_string());
    }
    world.deliver_all();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let found = history(&store, channel, (0, u64::MAX), false, PAGE);
                    assert!(found.len() >= 50);
                    assert_eq!(found, numbers(1..=found.len() as u64));
                    let inbox = Query::Inbox { user: UserId(2), after: InboxSeq(0), page: PAGE };
                    assert!(matches!(store.read(&inbox, Tier::Any).unwrap(), Some(Answer::Inbox { .. })));
                }
            });
        }
        scope.spawn(|| {
            for round in 0..30 {
                let changed = if round % 2 == 0 {
                    store.give_family(channel).map(drop)
                } else {
                    store.return_family(channel)
                };
                changed.unwrap();
                while !matches!(store.move_messages(400).unwrap(), Moved::Nothing) {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        for number in 51..=150u64 {
            world.text(channel, UserId(1), &number.to_string());
            world.deliver_all();
        }
    });
    expect(&world, channel, 150);
}

#[cfg(feature = "rocks")]
mod disk {
    use std::path::Path;

    use storage::{Options, StoreError};

    use super::*;

    fn open(dir: &Path, own_from: Option<u64>) -> Result<Arc<Store>, StoreError> {
        Store::open(dir, &Options { own_from, ..Options::default() }).map(Arc::new)
    }

    /// Puts the opened store in the place of the one that was closed.
    fn reopen(world: &mut World, dir: &Path, own_from: Option<u64>) -> Arc<Store> {
        world.stores.clear();
        world.stores.push(open(dir, own_from).unwrap());
        Arc::clone(&world.stores[0])
    }

    #[test]
    fn a_move_goes_on_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(vec![open(dir.path(), None).unwrap()]);
        let channel = direct(1, 2);
        for number in 1..=20u64 {
            world.text(channel, UserId(1), &number.to_string());
        }
        world.deliver_all();
        let mut count = 20;
        for give in [true, false, true] {
            if give {
                world.stores[0].give_family(channel).unwrap();
            } else {
                world.stores[0].return_family(channel).unwrap();
            }
            // What a move left behind is looked for after every start.
            let mut moved = Moved::Messages(1);
            while matches!(moved, Moved::Messages(_)) {
                let store = reopen(&mut world, dir.path(), None);
                count += 1;
                world.text(channel, UserId(1), &count.to_string());
                world.deliver_all();
                expect(&world, channel, count);
                moved = store.move_messages(700).unwrap();
                expect(&world, channel, count);
            }
            let store = reopen(&mut world, dir.path(), None);
            move_all(&store);
            assert_eq!(store.families().len(), usize::from(give));
            assert!(store.families().iter().all(|family| !family.is_moving()));
        }
    }

    #[test]
    fn the_policy_gives_families_to_large_channels() {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(vec![open(dir.path(), Some(10)).unwrap()]);
        let (large, small) = (direct(1, 2), direct(1, 3));
        for number in 1..=9u64 {
            world.text(large, UserId(1), &number.to_string());
            world.text(small, UserId(1), &number.to_string());
        }
        let store = Arc::clone(&world.stores[0]);
        assert_eq!(move_all(&store), 0);
        world.text(large, UserId(1), "10");
        move_all(&store);
        let families: Vec<_> = store.families().into_iter().map(|family| family.channel).collect();
        assert_eq!(families, [large]);
        world.deliver_all();
        expect(&world, large, 10);
        expect(&world, small, 9);
        drop(store);
        // With 1 it is every channel, as far as families go.
        let store = reopen(&mut world, dir.path(), Some(1));
        for other in 3..=80 {
            world.text(direct(1, other), UserId(1), "once more");
        }
        move_all(&store);
        assert_eq!(store.families().len(), 64);
        // Without a policy what has one keeps it.
        drop(store);
        let store = reopen(&mut world, dir.path(), None);
        assert_eq!(store.families().len(), 64);
        expect(&world, large, 10);
    }

    #[test]
    fn a_family_that_is_gone_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(vec![open(dir.path(), None).unwrap()]);
        world.text(direct(1, 2), UserId(1), "1");
        let name = world.stores[0].give_family(direct(1, 2)).unwrap().name;
        world.stores.clear();
        let path = dir.path().join("store");
        let options = rocksdb::Options::default();
        let names = rocksdb::DB::list_cf(&options, &path).unwrap();
        assert!(names.contains(&name));
        let db: rocksdb::DBWithThreadMode<rocksdb::MultiThreaded> =
            rocksdb::DBWithThreadMode::open_cf(&options, &path, names).unwrap();
        db.drop_cf(&name).unwrap();
        drop(db);
        let error = open(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("family own0 is missing"), "{error}");
    }
}
