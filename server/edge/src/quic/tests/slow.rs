//! A link that carries 1 KB/s.

use super::*;

/// A datagram in so long.
const DATAGRAM_MS: u64 = 1200;
/// Datagrams that wait for the link; one more is lost.
const QUEUE: usize = 8;

impl World {
    /// What the server sends goes over a slow link; what the client sends is there at once. Returns what was told.
    fn crawl(&mut self, client: usize, link: &mut VecDeque<Vec<u8>>) -> Vec<Told> {
        self.deaf = true;
        self.pass(DATAGRAM_MS);
        self.deaf = false;
        for datagram in self.lost.drain(..) {
            if link.len() < QUEUE {
                link.push_back(datagram);
            }
        }
        if let Some(datagram) = link.pop_front() {
            self.give_client(self.clients[client].address, &datagram);
        }
        for datagram in self.outgoing(client) {
            self.give_server(self.clients[client].address, &datagram);
        }
        self.told.drain(..).map(|(_, told)| told).collect()
    }
}

#[test]
fn who_takes_bytes_over_a_slow_link_is_seen_to() {
    let mut world = World::new();
    let (client, key) = world.live();
    for _ in 0..10 {
        world.server.transmit(key, Frame::build(Kind::SEND_TEXT, 1, 5, &vec![7; 100_000]).into_bytes());
    }
    let mut link = VecDeque::new();
    let (mut queued, mut seen_ms, mut longest_ms) = (usize::MAX, world.now_ms, 0);
    for _ in 0..500 {
        for told in world.crawl(client, &mut link) {
            // As the core has it: fewer wait, or somebody says that bytes were taken.
            let is_progress = match told {
                Told::Queued(now) => core::mem::replace(&mut queued, now) > now,
                told => told == Told::Took,
            };
            if is_progress {
                longest_ms = longest_ms.max(world.now_ms - seen_ms);
                seen_ms = world.now_ms;
            }
        }
    }
    let received = world.clients[client].received.len();
    assert!((100_000..900_000).contains(&received), "{received} bytes");
    longest_ms = longest_ms.max(world.now_ms - seen_ms);
    assert!(
        longest_ms < 30_000,
        "half of the time after which a reader is taken for stalled: {longest_ms} ms"
    );
}
