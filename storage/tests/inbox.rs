//! Inboxes: pages over runs, wherever they begin, and what contradicts itself. Once for memory and once for RocksDB.
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[macro_use]
mod world;

use protocol::{BayId, ChannelId, InboxSeq, Seq, UserId};
use storage::{Answer, PageBounds, Query, Row, Store, StoreError, Tier};
use world::{PAGE, World, texts};

contract! {
    inbox_gathers_from_other_bays
    a_page_begins_anywhere_in_a_run
    holes_in_an_inbox_are_named
    a_run_that_contradicts_another_is_named
}

fn run(user: UserId, first: u64, entries: &[(ChannelId, u64)]) -> Row {
    let entries = entries.iter().map(|(channel, seq)| (*channel, Seq(*seq))).collect();
    Row::Run { user, first: InboxSeq(first), entries }
}

fn inbox_gathers_from_other_bays(mut world: World) {
    let me = UserId(50);
    let others: Vec<_> = (10..40).map(UserId).collect();
    for other in &others {
        world.text(ChannelId::direct(me, *other), *other, &other.to_string());
    }
    let channels = others.iter().map(|other| ChannelId::direct(me, *other));
    let bays: std::collections::BTreeSet<_> = channels.map(BayId::of_channel).collect();
    for other in 60..62 {
        world.text(ChannelId::direct(me, UserId(other)), UserId(other), &other.to_string());
    }
    assert!(bays.len() > 1, "the inbox points into several bays");
    world.deliver_all();
    let Answer::Inbox { frames, through } =
        world.read(&Query::Inbox { user: me, after: InboxSeq(0), page: PAGE })
    else {
        panic!()
    };
    assert_eq!((frames.len(), through), (32, InboxSeq(32)));
    let after = Query::Inbox { user: me, after: InboxSeq(32), page: PAGE };
    assert_eq!(world.read(&after), Answer::Inbox { frames: Vec::new(), through: InboxSeq(32) });
    let nobody = Query::Inbox { user: UserId(99), after: InboxSeq(0), page: PAGE };
    assert_eq!(world.read(&nobody), Answer::Inbox { frames: Vec::new(), through: InboxSeq(0) });
}

fn a_page_begins_anywhere_in_a_run(mut world: World) {
    let (a, b) = (ChannelId::direct(UserId(1), UserId(2)), ChannelId::direct(UserId(2), UserId(3)));
    for number in 0..9 {
        let (channel, sender) = if number % 3 == 2 { (b, UserId(3)) } else { (a, UserId(1)) };
        world.text(channel, sender, &number.to_string());
    }
    // A neighbour above and below must not be seen.
    let user = UserId(2);
    let order = [(a, 1), (a, 2), (b, 1), (a, 3), (a, 4), (b, 2), (a, 5), (a, 6), (b, 3)];
    for lengths in [vec![9], vec![1; 9], vec![1, 3, 2, 3], vec![4, 5], vec![8, 1]] {
        let mut at = 0;
        // The same key again: the last row counts.
        for len in lengths {
            world.commit(BayId::of_user(user), vec![run(user, at as u64 + 1, &order[at..at + len])]);
            at += len;
        }
        for after in 0..=10 {
            for count in [1, 2, 4, 200] {
                let page = PageBounds { messages: count, ..PAGE };
                let query = Query::Inbox { user, after: InboxSeq(after), page };
                let Answer::Inbox { frames, through } = world.read(&query) else { panic!() };
                let from = (after as usize).min(9);
                let expected: Vec<_> = (from..9).take(count as usize).map(|n| n.to_string()).collect();
                assert_eq!(texts(&frames), expected, "after {after}, at most {count}");
                assert_eq!(through.0, after + frames.len() as u64);
            }
        }
        let Answer::User { inbox_head, .. } = world.read(&Query::User(user)) else { panic!() };
        assert_eq!(inbox_head, InboxSeq(9));
        // Rows that the next lengths do not overwrite would contradict them.
        let fresh = Store::memory();
        if world.stores[0].copy().is_none() {
            return;
        }
        let mut next = World::new(vec![std::sync::Arc::new(fresh)]);
        for number in 0..9 {
            let (channel, sender) = if number % 3 == 2 { (b, UserId(3)) } else { (a, UserId(1)) };
            next.text(channel, sender, &number.to_string());
        }
        world = next;
    }
}

fn holes_in_an_inbox_are_named(mut world: World) {
    let (user, channel) = (UserId(2), ChannelId::direct(UserId(1), UserId(2)));
    world.text(channel, UserId(1), "one");
    world.deliver_all();
    let bay = BayId::of_user(user);
    world.commit(bay, vec![run(user, 3, &[(channel, 1)])]);
    for after in 0..2 {
        let what = world.corrupt(&Query::Inbox { user, after: InboxSeq(after), page: PAGE });
        assert!(what.contains("user 2") && what.contains("2 is missing before 3"), "{what}");
    }
    world.commit(bay, vec![run(user, 2, &[(channel, 8)])]);
    let what = world.corrupt(&Query::Inbox { user, after: InboxSeq(0), page: PAGE });
    assert!(what.contains("user 2") && what.contains("8, which is gone"), "{what}");
}

/// A run never crosses what was stored before; one that does is named by whoever reads it, and by the check.
fn a_run_that_contradicts_another_is_named(mut world: World) {
    let (user, channel) = (UserId(2), ChannelId::direct(UserId(1), UserId(2)));
    for _ in 0..4 {
        world.text(channel, UserId(1), "text");
    }
    world.deliver_all();
    world.commit(BayId::of_user(user), vec![run(user, 4, &[(channel, 4), (channel, 4)])]);
    let query = Query::Inbox { user, after: InboxSeq(0), page: PAGE };
    let found = world.stores[0].read(&query, Tier::Any).unwrap_err();
    assert!(
        matches!(&found, StoreError::Corrupt { bay, .. } if *bay == Some(BayId::of_user(user))),
        "{found}"
    );
    assert!(found.to_string().contains("the inbox of user 2 holds 4 twice"), "{found}");
    let named = format!("broken: bay {}: user 2: the inbox holds 4 twice", BayId::of_user(user));
    assert!(world.findings().iter().any(|line| line.starts_with(&named)), "{:?}", world.findings());
}
