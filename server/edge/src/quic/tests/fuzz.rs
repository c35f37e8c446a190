//! Mutated datagrams beside a device that is served: no panic, what is kept has bounds, and the device notices nothing.

use super::*;
use crate::fuzz::{Walk, change, numbers};

/// Inputs after which there is a new endpoint.
const INPUTS_EACH: u64 = 50;

/// Datagrams as clients send them: the first, the rest of the handshake, a Hello, a farewell.
fn seeds(world: &mut World) -> Vec<Vec<u8>> {
    let client = world.client_with(ALPN, 8);
    let mut seen = Vec::new();
    for round in 0..8 {
        match round {
            4 => drop(world.clients[client].say(hello().bytes())),
            6 => {
                let at = world.at;
                world.clients[client].connection.close(at, VarInt::from_u32(0), Bytes::from_static(b"bye"));
            }
            _ => {}
        }
        for datagram in world.outgoing(client) {
            world.give_server(world.clients[client].address, &datagram);
            seen.push(datagram);
        }
        world.flush();
    }
    assert!(seen.len() > 3, "a handshake is more than {} datagrams", seen.len());
    seen
}

#[test]
fn fuzz_datagrams() {
    let numbers = numbers(1500);
    println!("fuzz QUIC datagram: {} inputs from number {}", numbers.end - numbers.start, numbers.start);
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let mut world = World::new();
        let mut seeds = seeds(&mut world);
        // A version that is not known, a short header, and nothing.
        seeds.extend([
            [&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8][..], &[7; 1300]].concat(),
            vec![0x40; 40],
            Vec::new(),
        ]);
        let (client, key) = world.live();
        for number in numbers.by_ref().take(usize::try_from(INPUTS_EACH).unwrap()) {
            let mut walk = Walk::new(number);
            let mut bytes = seeds[walk.below(seeds.len())].clone();
            change(&mut bytes, &seeds, &mut walk);
            let port = u16::try_from(1 + walk.below(4)).unwrap();
            world.give_server(SocketAddr::from(([10, 9, 9, 9], port)), &bytes);
            world.flush();
            world.stray.clear();
        }
        world.told.clear();
        world.clients[client].say(heartbeat(1).bytes());
        world.settle();
        assert_eq!((world.frames(), world.server.has(key)), (1, true), "before input {:?}", numbers.peek());
        // What was begun ends by itself.
        world.pass(u64::from(IDLE_MS) + HELLO_MS);
    }
}
