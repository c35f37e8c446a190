//! Frames that have come in part: all connections together may hold so much of them.

use super::*;
use crate::Share;
use crate::limits::{HALF_STALLED_MS, READ_BYTES_FULL};

const KIB: usize = 1024;
const MAX: usize = 256 * KIB;
/// Of a long frame.
const LONG: usize = 100 * KIB;
/// What memory for it grows to, by doubling.
const GROWN: usize = 2 * LONG;

impl World {
    fn narrow() -> Self {
        Self::made(vec!["localhost".to_owned()], MAX)
    }

    /// Says as much of what is left as flow control takes.
    fn go_on(&mut self, client: usize, rest: &mut &[u8]) {
        let said = if rest.is_empty() { 0 } else { self.clients[client].say(rest) };
        *rest = &rest[said..];
        self.settle();
    }

    /// Time in which nobody's connection is taken for dead.
    fn live_on(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(1000) {
            self.clients.iter_mut().for_each(|client| client.connection.ping());
            self.pass(1000);
        }
    }

    fn stalled(&self) -> u64 {
        self.server.counters().halves_stalled
    }
}

fn long() -> Vec<u8> {
    Frame::build(Kind::SEND_TEXT, 1, 5, &vec![7; LONG]).bytes().to_vec()
}

#[test]
fn halves_share_a_budget_and_all_are_finished() {
    const SESSIONS: usize = 30;
    let mut world = World::narrow();
    let clients: Vec<usize> = (0..SESSIONS).map(|_| world.live().0).collect();
    let frame = long();
    let mut rests = vec![&frame[..]; SESSIONS];
    let (mut most, mut frames) = (0, 0);
    for _ in 0..1000 {
        for (client, rest) in clients.iter().zip(&mut rests) {
            world.go_on(*client, rest);
            most = most.max(world.server.halves().bytes);
        }
        world.pass(10);
        frames += world.frames();
        if frames == SESSIONS {
            break;
        }
    }
    assert_eq!(frames, SESSIONS, "all are finished");
    assert!(most >= MAX, "the budget is used: {most}");
    assert!(most <= MAX + GROWN + SESSIONS * READ_BYTES_FULL, "{most} bytes");
    assert_eq!((world.server.halves(), world.stalled()), (Share::default(), 0));
}

#[test]
fn halves_without_an_end_keep_nobody_from_being_served() {
    let mut world = World::narrow();
    let frame = long();
    let enemies: Vec<usize> = (0..8).map(|_| world.live().0).collect();
    for enemy in &enemies {
        world.go_on(*enemy, &mut &frame[..60 * KIB]);
    }
    assert!(world.server.halves().bytes >= MAX);
    // Whoever says something short is served, new connections too.
    let (honest, _) = world.live();
    world.clients[honest].say(heartbeat(1).bytes());
    world.settle();
    assert_eq!(world.frames(), 1);
    // A long frame waits, at most until an enemy that does not go on has been closed for it.
    let mut rest = &frame[..];
    let mut frames = 0;
    for _ in 0..30 {
        world.go_on(honest, &mut rest);
        world.live_on(1000);
        frames += world.frames();
    }
    assert_eq!((frames, rest.len()), (1, 0));
    assert!(world.server.halves().bytes <= MAX + GROWN);
    let closed = |client: &usize| world.clients[*client].close;
    assert!(world.stalled() > 0);
    let code = Some(u64::from(CloseCode::HeartbeatTimeout.number()));
    assert!(enemies.iter().all(|enemy| [None, code].contains(&closed(enemy))));
    assert_eq!(enemies.iter().filter(|enemy| closed(enemy).is_some()).count() as u64, world.stalled());
    assert_eq!(closed(&honest), None);
}

#[test]
fn nobody_is_given_up_while_nobody_waits() {
    let mut world = World::narrow();
    let frame = long();
    let (idle, _) = world.live();
    world.go_on(idle, &mut &frame[..60 * KIB]);
    world.live_on(3 * HALF_STALLED_MS);
    assert_eq!((world.stalled(), world.clients[idle].close), (0, None));
    // The other carrier has no room: whoever stands still here is in the way.
    world.server.set_other_halves(Share { bytes: MAX, is_waited: true });
    world.live_on(1000);
    assert_eq!(world.stalled(), 1);
    assert_eq!(world.server.halves(), Share::default());
}

#[test]
fn what_the_other_carrier_holds_counts() {
    let mut world = World::narrow();
    world.server.set_other_halves(Share { bytes: MAX, is_waited: false });
    let frame = long();
    let clients: Vec<usize> = (0..3).map(|_| world.live().0).collect();
    let mut rests = vec![&frame[..60 * KIB]; 3];
    for (client, rest) in clients.iter().zip(&mut rests) {
        world.go_on(*client, rest);
    }
    world.pass(100);
    assert!(world.server.halves().is_waited);
    assert!(world.server.halves().bytes < 3 * 60 * KIB, "one at a time goes on: {:?}", world.server.halves());
    world.server.set_other_halves(Share::default());
    world.pass(100);
    assert!(!world.server.halves().is_waited);
    assert!(world.server.halves().bytes >= 3 * 60 * KIB);
}
