use super::*;

use protocol::BayId;

use std::sync::atomic::AtomicUsize;

fn hop(number: u64) -> Hop {
    Hop::Applied { by: ShardId(1), through: vec![(BayId(0), number)] }
}

fn number(hop: Hop) -> u64 {
    match hop {
        Hop::Applied { through, .. } => through[0].1,
        other => panic!("not what was sent: {other:?}"),
    }
}

fn counting_bell(mailbox: &Mailbox) -> Arc<AtomicUsize> {
    let rung = Arc::new(AtomicUsize::new(0));
    let bell = rung.clone();
    mailbox.hang_bell(Box::new(move || {
        bell.fetch_add(1, Ordering::SeqCst);
    }));
    rung
}

#[test]
fn a_busy_shard_is_never_rung_and_a_sleeping_one_once() {
    let (boxes, outlets) = build(2);
    let rung = counting_bell(&boxes[0]);
    let outlet = outlets.to(ShardId(0)).unwrap();
    outlet.post(Post::SpaceLow(true));
    assert_eq!(rung.load(Ordering::SeqCst), 0);
    assert!(!boxes[0].lie_down(), "a post waits");
    assert!(matches!(boxes[0].next_post(), Some(Post::SpaceLow(true))));
    assert!(boxes[0].lie_down());
    outlet.post(Post::Listen);
    outlet.post(Post::Drain);
    assert_eq!(rung.load(Ordering::SeqCst), 1);
    assert!(!boxes[0].get_up());
}

#[test]
fn hops_keep_their_order_within_a_pair_and_a_full_ring_is_full_for_its_pair_only() {
    let (mut boxes, outlets) = build(3);
    let outlet = outlets.to(ShardId(2)).unwrap();
    let mut sent = 0;
    while outlet.try_hop(ShardId(0), hop(sent)).is_ok() {
        sent += 1;
        assert!(sent <= HOP_RING_MAX as u64);
    }
    assert_eq!(sent, HOP_RING_MAX as u64);
    assert!(!outlet.has_space(ShardId(0)));
    assert!(outlet.has_space(ShardId(1)));
    outlet.try_hop(ShardId(1), hop(7)).unwrap();
    let (mut from_0, mut from_1) = (0, 0);
    while let Some((from, hop)) = boxes[2].next_hop() {
        if from == ShardId(0) {
            assert_eq!(number(hop), from_0);
            from_0 += 1;
        } else {
            from_1 += 1;
        }
    }
    assert_eq!((from_0, from_1), (sent, 1));
}

#[test]
fn a_sender_that_found_the_ring_full_is_woken_when_there_is_space() {
    let (mut boxes, outlets) = build(2);
    let mut receiver = boxes.pop().unwrap();
    let sender = boxes.pop().unwrap();
    let rung = counting_bell(&sender);
    let outlet = outlets.to(ShardId(1)).unwrap();
    while outlet.has_space(ShardId(0)) {
        outlet.try_hop(ShardId(0), hop(1)).unwrap();
    }
    assert!(sender.lie_down(), "nothing waits for the sender itself");
    receiver.next_hop().unwrap();
    assert_eq!(rung.load(Ordering::SeqCst), 1);
    assert!(sender.get_up(), "it is told why");
    assert!(!sender.get_up(), "once");
    receiver.next_hop().unwrap();
    assert!(sender.lie_down(), "nobody is starved any more");
}

#[test]
fn a_hop_keeps_a_shard_awake() {
    let (boxes, outlets) = build(2);
    outlets.to(ShardId(0)).unwrap().try_hop(ShardId(1), hop(1)).unwrap();
    assert!(!boxes[0].lie_down());
}

#[test]
fn a_shard_that_has_ended_takes_nothing_and_answers_nobody() {
    let (mut boxes, outlets) = build(1);
    let outlet = outlets.to(ShardId(0)).unwrap();
    let answered = Arc::new(());
    let held = answered.clone();
    outlet.post(Post::Inspect(Box::new(move |_| drop(held))));
    assert_eq!(Arc::strong_count(&answered), 2);
    boxes.clear();
    assert_eq!(Arc::strong_count(&answered), 1, "what waited is dropped");
    let held = answered.clone();
    outlet.post(Post::Inspect(Box::new(move |_| drop(held))));
    assert_eq!(Arc::strong_count(&answered), 1);
}

#[test]
fn a_poster_waits_for_space_and_loses_nothing() {
    let (mut boxes, outlets) = build(1);
    let mailbox = boxes.pop().unwrap();
    let total = 3 * POSTS_MAX as u64;
    let poster = std::thread::spawn(move || {
        let outlet = outlets.to(ShardId(0)).unwrap();
        for number in 1..=total {
            outlet.post(Post::Stored { number });
        }
    });
    let mut last = 0;
    while last < total {
        match mailbox.next_post() {
            Some(Post::Stored { number, .. }) => {
                assert_eq!(number, last + 1);
                last = number;
            }
            Some(other) => panic!("not posted: {other:?}"),
            None => std::thread::yield_now(),
        }
    }
    poster.join().unwrap();
}
