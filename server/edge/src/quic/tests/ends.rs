//! How connections end, and what is left of them.

use super::*;

impl World {
    fn close(&mut self, key: Key, code: CloseCode) {
        self.with(|server, moment, at, sink| server.close(moment, at, key, code, sink));
    }
}

#[test]
fn a_farewell_is_owed_until_the_close_has_left() {
    let mut world = World::new();
    let (client, key) = world.live();
    world.settle();
    assert!(!world.server.has_farewells());
    world.server.transmit(key, heartbeat(1).into_bytes());
    world.close(key, CloseCode::GoingAway);
    assert_eq!(world.told, [(key, Told::Closed)]);
    assert!(world.server.has_farewells(), "nothing was sent yet");
    world.flush();
    assert!(world.server.has_farewells(), "the last byte is not acknowledged");
    world.settle();
    while world.server.has_farewells() {
        world.pass(10);
    }
    // A process that ends here has told its client.
    world.clients[client].drive();
    assert_eq!(world.clients[client].kinds(), [Kind::HEARTBEAT]);
    assert_eq!(world.clients[client].close, Some(CloseCode::GoingAway.number().into()));
}

#[test]
fn who_does_not_acknowledge_is_told_all_the_same() {
    let mut world = World::new();
    let (client, key) = world.live();
    world.server.transmit(key, heartbeat(1).into_bytes());
    world.deaf = true;
    world.close(key, CloseCode::GoingAway);
    world.flush();
    // 500 ms are what the moment allows for it.
    world.pass(480);
    assert!(world.server.has_farewells());
    world.deaf = false;
    world.now_ms += 20;
    world.at += Duration::from_millis(20);
    world.with(|server, moment, at, sink| server.on_deadline(moment, at, sink));
    world.flush();
    assert!(!world.server.has_farewells(), "the wait is bounded");
    world.settle();
    assert_eq!(world.clients[client].close, Some(CloseCode::GoingAway.number().into()));
}

#[test]
fn a_key_is_never_used_again() {
    let mut world = World::new();
    let mut keys = Vec::new();
    for _ in 0..20 {
        let (_, key) = world.live();
        world.close(key, CloseCode::Normal);
        world.pass(3000);
        assert!(!world.server.has(key));
        world.told.clear();
        world.clients.clear();
        keys.push(key);
    }
    assert!(keys.iter().all(|key| key.0 & 0xffff_ffff == keys[0].0 & 0xffff_ffff), "one place: {keys:?}");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 20);
    // That a place rests when its uses have run out is tested where places are: `table`.
}

#[test]
fn the_oldest_without_hello_is_the_one_to_go() {
    let mut world = World::new();
    // Two that say nothing, and so many that do that the queue of the silent is tidied in between.
    let first = world.client_with(ALPN, 8);
    world.settle();
    let mut second = first;
    for number in 0..70 {
        if number == 35 {
            second = world.client_with(ALPN, 8);
            world.settle();
        }
        let (_, key) = world.live();
        world.close(key, CloseCode::Normal);
        world.settle();
        world.told.clear();
    }
    let waiting: Vec<_> = world.server.waiting().collect();
    assert_eq!(waiting.len(), 2);
    for _ in 2..=CROWD {
        world.client_with(ALPN, 8);
        world.settle();
    }
    assert_eq!(world.server.counters().evicted, 1);
    assert!(!world.server.is_greeting(waiting[0]), "the first goes first");
    assert!(world.server.is_greeting(waiting[1]));
    assert!(world.clients[first].close.is_some() && world.clients[second].close.is_none());
}
