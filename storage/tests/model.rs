//! Memory and RocksDB answer alike, whatever was committed.
#![cfg(feature = "rocks")]
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod world;

use std::sync::Arc;

use proptest::prelude::*;
use protocol::{BayId, Bays, ChannelId, InboxSeq, Seq, UserId};
use storage::{IntervalRow, Options, PositionRow, Row, Store};
use world::{PAGE, World};

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Text(u64, u64, usize),
    Create(u64, u64),
    Add(u64),
    Remove(u64),
    Deliver(usize, u64),
    Trim(usize),
    Run(u64, u64, u64, u64),
    Member(u64, u64, u64),
    Listed(u64, u64, u8),
    Give(usize),
    Return(usize),
    Move(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..6u64, 1..6u64, 0..200usize).prop_map(|(a, b, size)| Step::Text(a, b, size)),
        2 => (1..6u64, 0..32u64).prop_map(|(user, others)| Step::Create(user, others)),
        2 => (1..6u64).prop_map(Step::Add),
        2 => (1..6u64).prop_map(Step::Remove),
        4 => (any::<usize>(), any::<u64>()).prop_map(|(source, dests)| Step::Deliver(source, dests)),
        1 => any::<usize>().prop_map(Step::Trim),
        1 => (1..6u64, 1..9u64, 1..9u64, 1..4u64).prop_map(|(user, at, seq, count)| Step::Run(user, at, seq, count)),
        1 => (1..6u64, 1..9u64, 0..9u64).prop_map(|(user, joined, left)| Step::Member(user, joined, left)),
        1 => (1..6u64, 1..9u64, 0..2u8).prop_map(|(user, seq, tag)| Step::Listed(user, seq, tag)),
        2 => any::<usize>().prop_map(Step::Give),
        1 => any::<usize>().prop_map(Step::Return),
        4 => (1..2000usize).prop_map(Step::Move),
        1 => Just(Step::Reopen),
    ]
}

/// Whether the world is still coherent: damage makes the world's own deliveries fail.
fn apply(world: &mut World, step: Step, damaged: &mut bool) {
    let group = world.groups.keys().next().copied();
    match step {
        Step::Text(a, b, size) if a != b => {
            let channel = ChannelId::direct(UserId(a), UserId(b));
            world.text(channel, UserId(a), &"가".repeat(size + 1));
        }
        Step::Create(user, others) => {
            let members: Vec<_> = (1..6).filter(|other| *other != user && others >> other & 1 == 1).collect();
            world.create(UserId(user), &members, "group");
        }
        Step::Add(user) | Step::Remove(user) => {
            let Some(channel) = group else { return };
            let user = UserId(user);
            let inside = world.groups[&channel].members.get(&user).is_some_and(world::Stays::is_member);
            match step {
                Step::Add(_) if !inside => drop(world.add(channel, user, user)),
                Step::Remove(_) if inside => drop(world.remove(channel, user, user)),
                _ => {}
            }
        }
        Step::Deliver(source, dests) if !*damaged => {
            let sources = world.sources();
            if let Some(source) = sources.get(source % sources.len().max(1)) {
                world.deliver(*source, Bays(dests), PAGE);
            }
        }
        Step::Trim(source) if !*damaged => {
            let sources = world.sources();
            sources.get(source % sources.len().max(1)).into_iter().for_each(|source| world.trim(*source));
        }
        Step::Run(user, at, seq, count) => {
            *damaged = true;
            let (user, channel) = (UserId(user), ChannelId::direct(UserId(1), UserId(2)));
            let entries = (seq..seq + count).map(|seq| (channel, Seq(seq))).collect();
            world.commit(BayId::of_user(user), vec![Row::Run { user, first: InboxSeq(at), entries }]);
        }
        Step::Member(user, joined, left) => {
            let Some(channel) = group else { return };
            *damaged = true;
            let (user, place) = (UserId(user), BayId::of_channel(channel));
            let row = IntervalRow {
                number: 1,
                role: 1,
                left: (left > 0).then_some(Seq(left)),
                name: "group".repeat(usize::from(left > 0)),
            };
            let stay = Row::Interval { channel, user, joined: Seq(joined), row };
            let position = PositionRow { read: Seq(left), delivered: Seq(joined), hides: false };
            world.commit(place, vec![stay, Row::Position { channel, user, row: position }]);
        }
        Step::Listed(user, seq, tag) => {
            let (user, seq) = (UserId(user), Seq(seq));
            let channel = ChannelId::direct(UserId(1), UserId(2));
            let row = match tag {
                0 => Row::Joined { user, channel, joined: seq },
                _ => Row::Left { user, channel, left: seq },
            };
            world.commit(BayId::of_user(user), vec![row]);
        }
        Step::Give(at) | Step::Return(at) | Step::Move(at) => families(world, step, at),
        _ => {}
    }
}

/// A change of families changes no answer, so every store may be at another place of it.
fn families(world: &World, step: Step, at: usize) {
    let channels: Vec<_> = world.heads.keys().copied().collect();
    for store in &world.stores {
        if let (Step::Move(bytes), _) = (step, at) {
            store.move_messages(bytes).unwrap();
        } else if let Some(channel) = channels.get(at % channels.len().max(1)) {
            match step {
                Step::Give(_) => drop(store.give_family(*channel)),
                _ => drop(store.return_family(*channel)),
            }
        }
    }
}

fn is_damage(step: Step) -> bool {
    matches!(step, Step::Run(..) | Step::Member(..) | Step::Listed(..))
}

fn compare(steps: &[Step]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default();
    let disk = || Arc::new(Store::open(dir.path(), &options).unwrap());
    let mut world = World::new(vec![Arc::new(Store::memory()), disk()]);
    let mut damaged = false;
    for step in steps {
        if matches!(step, Step::Reopen) {
            if !damaged {
                world.stores.pop();
                world.stores.push(disk());
            }
        } else {
            apply(&mut world, *step, &mut damaged);
        }
    }
    let users: Vec<_> = (1..6).map(UserId).collect();
    let channels: Vec<_> = world.heads.keys().copied().collect();
    let dumps = world.stores.iter().map(|stores| world::dump(stores, &users, &channels));
    let dumps: Vec<_> = dumps.collect();
    prop_assert_eq!(&dumps[0], &dumps[1]);
    let findings: Vec<_> = world.stores.iter().map(|stores| world::findings(stores)).collect();
    prop_assert_eq!(&findings[0], &findings[1]);
    let coherent = !steps.iter().copied().any(is_damage);
    prop_assert!(
        !coherent || findings[0].iter().all(|line| line.contains("has no account")),
        "{:?}",
        findings[0]
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_rocks_answer_alike(steps in prop::collection::vec(step(), 1..60)) {
        compare(&steps)?;
    }

    #[test]
    fn coherent_commits_are_clean(steps in prop::collection::vec(step(), 1..60)) {
        let steps: Vec<_> = steps.into_iter().filter(|step| !is_damage(*step)).collect();
        compare(&steps)?;
    }
}
