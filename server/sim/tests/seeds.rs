//! Two thousand lives in the test suite, and the lives that once went wrong for ever.

use std::sync::atomic::{AtomicU64, Ordering};

use sim::plan::Plan;
use sim::rng::Rng;
use sim::trace::Mode;

/// Seeds of the suite.
const SEEDS: u64 = 2000;

/// Seeds that found something, with what they found. Never removed; the plan of a seed changes when the simulator does, so
/// each also says what to look for.
const FOUND: &[(u64, u64, &str)] = &[
    (1, 400, "AddMembers with somebody who is a member already reset the own list of that user"),
    (8, 400, "deliveries evicted each other's users for ever when the cache was smaller than a group"),
    (31, 400, "the head of a history page named a seq between two intervals of the reader"),
    (9, 400, "a GET_CHANNELS answer as old as its read (the simulator was too strict)"),
    (25, 400, "a failed page read closed a connection that was long gone"),
    (104, 200, "a Hello whose user could not be read was refused on a connection that had closed meanwhile"),
    (
        1533,
        200,
        "the last delivery of a log was lost and nothing showed it (no ring of one process loses a hop)",
    ),
    (
        8,
        200,
        "pages of reading anew were larger than the egress bound of this world and refused for ever (the simulator asked for too much)",
    ),
    (7, 400, "of two copies of one send the first was refused for good and the second stored"),
    (
        6625,
        200,
        "a repeat behind the session's back of a send that a restored backup had lost: nobody held what its ack told (the simulator's app was at fault)",
    ),
    (
        1790,
        200,
        "a connection ended in the middle of a history page: its request counted as answered and was never asked again, so reading anew did not end",
    ),
    (
        5072,
        200,
        "two thousand sends of eighty devices at shards that take two at once took longer than the simulator waited",
    ),
    (
        8513,
        200,
        "a hundred devices that read anew after a restore, at the pace they were allowed, took longer than the simulator waited",
    ),
    (
        9200,
        200,
        "paused for what was unstored, then for tokens by what had been read before: one pause to the simulator, and too long",
    ),
    (
        8468,
        200,
        "pointers that left counted twice, as gathered and as unstored, so that room came back when nothing was stored and nobody noticed",
    ),
];

fn hold(seed: u64, ticks: u64) {
    if let Err(failure) = sim::run(seed, ticks, Mode::Off) {
        let again = sim::run(seed, ticks, Mode::Last(40));
        let steps = again.err().map_or_else(Vec::new, |failure| failure.steps);
        panic!(
            "seed {seed}: {}\n{}\nagain: cargo run -p sim -- --seed {seed} --ticks {ticks} --trace",
            failure.words,
            steps.join("\n"),
        );
    }
}

#[test]
fn found_seeds_hold() {
    for (seed, ticks, words) in FOUND {
        println!("seed {seed}: {words}");
        hold(*seed, *ticks);
    }
}

#[test]
fn two_thousand_seeds_hold() {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    hold(seed, sim::TICKS);
                }
            });
        }
    });
}

/// A seed is one life: the same one each time it is run, whatever else the process does.
#[test]
fn a_seed_is_one_life() {
    for seed in 0..20 {
        let first = sim::run(seed, sim::TICKS, Mode::Last(200));
        let second = sim::run(seed, sim::TICKS, Mode::Last(200));
        match (first, second) {
            (Ok(first), Ok(second)) => assert_eq!(first, second, "seed {seed}"),
            (first, second) => panic!("seed {seed}: {first:?} {second:?}"),
        }
    }
}

/// The world is only worth something if it goes wrong in it.
#[test]
fn things_go_wrong() {
    let mut sum = sim::world::Tally::default();
    for seed in 0..400 {
        let tally = sim::run(seed, sim::TICKS, Mode::Off).unwrap_or_else(|failure| panic!("{failure:?}"));
        sum.crashes += tally.crashes;
        sum.drains += tally.drains;
        sum.guests.0 += tally.guests.0;
        sum.guests.1 += tally.guests.1;
        sum.cuts += tally.cuts;
        sum.app_crashes += tally.app_crashes;
        sum.messages += tally.messages;
        sum.acks += tally.acks;
        sum.rejects += tally.rejects;
        sum.fell_behind += tally.fell_behind;
        sum.pauses += tally.pauses;
        sum.restores += tally.restores;
        sum.lost += tally.lost;
        sum.pushed.0 += tally.pushed.0;
        sum.pushed.1 += tally.pushed.1;
        sum.withdrawn += tally.withdrawn;
        sum.large = (sum.large.0 + u64::from(tally.large.1 > 0), sum.large.1 + tally.large.1);
        sum.push_ends.iter_mut().zip(tally.push_ends).for_each(|(sum, ends)| *sum += ends);
        sum.unread.iter_mut().zip(tally.unread).for_each(|(sum, unread)| *sum += unread);
    }
    assert!(sum.crashes > 20 && sum.cuts > 60 && sum.app_crashes > 30, "{sum:?}");
    assert!(sum.drains > 3 && sum.fell_behind > 20 && sum.pauses > 20, "{sum:?}");
    assert!(sum.guests.0 > 1000 && sum.guests.1 > 300, "{sum:?}");
    // Some twice, as only a crash or an answer that was lost allows; and rounds that ended as told, unwanted and to be gone on with later.
    assert!(sum.pushed.0 > 200 && sum.pushed.1 > 0 && sum.withdrawn > 0, "{sum:?}");
    assert!([0, 3, 5].iter().all(|place| sum.push_ends[*place] > 20), "{sum:?}");
    assert!(sum.restores > 3 && sum.lost > 20, "{sum:?}");
    // In some worlds a group becomes a large channel, and devices are told what no inbox of theirs holds.
    println!("{} worlds with large channels, {} messages by following", sum.large.0, sum.large.1);
    assert!(sum.large.0 > 10 && sum.large.1 > 500, "{sum:?}");
    // A user's rows, a log's and a channel's history, each for a while.
    assert!(sum.unread.iter().all(|unread| *unread > 0), "{sum:?}");
    assert!(sum.messages > 10_000 && sum.acks > 5_000 && sum.rejects > 500, "{sum:?}");
}

/// Where a session may write but a few frames a second, the real client keeps to that: refusals stay rare, although some
/// apps of this world write behind its back. It does not know what other devices take out of the purse of its user, so where that
/// one is small for them they are more (seeds 200, 283).
#[test]
fn sessions_keep_to_the_pace_of_the_server() {
    // Worlds, sends and refusals: where the purse of the user is not the smaller one, and where it may be.
    let mut sums = [(0, 0, 0); 2];
    for seed in 0..400 {
        let limits = Plan::draw(&mut Rng::new(seed)).limits;
        if limits.frames_per_s > 50 {
            continue;
        }
        let tally = sim::run(seed, sim::TICKS, Mode::Off).unwrap_or_else(|failure| panic!("{failure:?}"));
        // After a restore all devices of a user read anew at once.
        if tally.restores > 0 {
            continue;
        }
        let is_shared = limits.user_frames_per_s.is_some_and(|user| user < 4 * limits.frames_per_s);
        let (worlds, written, refused) = &mut sums[usize::from(is_shared)];
        *worlds += 1;
        *written += tally.sends_written;
        *refused += tally.refused_for_pace;
    }
    println!("worlds, sends and refusals: {sums:?}");
    assert!(sums.iter().all(|(worlds, written, _)| *worlds > 10 && *written > 2000), "{sums:?}");
    let [own, shared] = sums.map(|(_, written, refused)| (refused, written));
    assert!(own.0 * 5 <= own.1 && shared.0 * 2 <= shared.1, "{sums:?}");
}
