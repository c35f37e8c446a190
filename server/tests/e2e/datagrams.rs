//! Bad input at QUIC's UDP port: garbage, first datagrams by the thousand, versions that nobody speaks, connections that
//! nobody has, streams that are left alone. A pair over QUIC talks on all the while.

use std::net::{SocketAddr, UdpSocket};

use client::dial::Transport;
use protocol::CloseCode;
use protocol::partition::mix64;
use quinn_proto::{Dir, VarInt};

use crate::ledger::Ledger;
use crate::node::Node;
use crate::pair::Pair;
use crate::people::{PASSWORD, until};
use crate::raw::{Carrier, Quic, Raw, heartbeat, token};

/// Clients without Hello that a shard takes before it asks for proof of an address.
const RETRY_ABOVE: u64 = 256;
/// First datagrams of a flood.
const FLOOD: usize = 2000;
const MIB: u64 = 1024 * 1024;

/// Somebody with a UDP socket.
struct Stranger {
    socket: UdpSocket,
    sent: usize,
    answered: usize,
}

impl Stranger {
    fn new(node: &Node) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(node.quic.parse::<SocketAddr>().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, sent: 0, answered: 0 }
    }

    fn send(&mut self, datagram: &[u8]) {
        self.sent += self.socket.send(datagram).unwrap_or(0);
    }

    /// What came back by now.
    fn answers(&mut self) -> Vec<Vec<u8>> {
        let (mut answers, mut datagram) = (Vec::new(), [0; 2048]);
        while let Ok(len) = self.socket.recv(&mut datagram) {
            self.answered += len;
            answers.push(datagram[..len].to_vec());
        }
        answers
    }

    /// The next thing that comes back.
    async fn answer(&mut self) -> Vec<u8> {
        let mut answers = Vec::new();
        until("an answer", || {
            answers.extend(self.answers());
            !answers.is_empty()
        })
        .await;
        answers.swap_remove(0)
    }
}

async fn world(args: &[&str]) -> (Node, Pair) {
    let node = Node::over(Carrier::Quic, 2, args);
    let pair = Pair::over(&node, Some(Transport::Quic)).await;
    (node, pair)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_disturbs_nobody() {
    let (node, pair) = world(&[]).await;
    let mut stranger = Stranger::new(&node);
    let first = Quic::first_datagram(&node);
    let mut draw = 20_261_122;
    let mut next = |below: usize| {
        draw = mix64(draw);
        usize::try_from(draw % below as u64).unwrap()
    };
    for round in 0..10_000 {
        let mut bytes: Vec<u8> = match round % 2 {
            0 => (0..next(1400)).map(|_| next(256) as u8).collect(),
            _ => first.clone(),
        };
        // A bit of what is real, bent.
        if round % 2 == 1 {
            let place = next(bytes.len());
            bytes[place] ^= 1 << next(8);
            bytes.truncate(1 + next(bytes.len()));
        }
        stranger.send(&bytes);
        stranger.answers();
        if round % 2500 == 0 {
            pair.beat().await;
        }
    }
    until("it is counted", || node.metric("maru_quic_dropped_total", "") > 1000).await;
    assert!(stranger.answered <= 3 * stranger.sent, "{} for {}", stranger.answered, stranger.sent);
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoofed_first_datagram_is_answered_threefold_at_most() {
    let (node, pair) = world(&["--hello-timeout-ms", "5000"]).await;
    let mut stranger = Stranger::new(&node);
    stranger.send(&Quic::first_datagram(&node));
    stranger.answer().await;
    until("the server has given up", || node.metric("maru_quic_connections", "") == 2).await;
    stranger.answers();
    assert!(stranger.answered <= 3 * stranger.sent, "{} for {}", stranger.answered, stranger.sent);
    assert_eq!(node.metric("maru_quic_accepted_total", ""), 3);
    assert_eq!(node.metric("maru_quic_handshakes_total", ""), 2, "the pair's");
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_first_datagrams_is_bounded_and_honest_clients_get_in() {
    let (node, pair) = world(&["--hello-timeout-ms", "4000"]).await;
    let user = node.account().signup("late", PASSWORD).await.unwrap();
    let before = node.metric("process_resident_memory_bytes", "");
    let flood: Vec<_> = (0..FLOOD).map(|_| Quic::first_datagram(&node)).collect();
    let mut stranger = Stranger::new(&node);
    for (number, first) in flood.iter().enumerate() {
        stranger.send(first);
        stranger.answers();
        if number % 200 == 0 {
            // Those the flood has made so far have said no Hello; in between the pair goes on.
            pair.beat().await;
            let waiting = node.metric("maru_connections_unauthenticated", "");
            assert!(waiting <= 2 * (RETRY_ABOVE + 1), "{waiting}");
        }
    }
    // Who shows its address gets in, in the middle of it.
    Raw::live(&node, &token(&node, user, 1)).is_served(2);
    assert!(node.metric("maru_quic_retries_total", "") > FLOOD as u64 / 4);
    let grown = node.metric("process_resident_memory_bytes", "").saturating_sub(before);
    assert!(grown < 64 * MIB, "{grown} bytes");
    until("nobody of them is left", || node.metric("maru_connections_unauthenticated", "") == 0).await;
    stranger.answers();
    assert!(stranger.answered <= 3 * stranger.sent, "{} for {}", stranger.answered, stranger.sent);
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_version_is_told_which_are_known() {
    let (node, pair) = world(&[]).await;
    let mut stranger = Stranger::new(&node);
    let mut first = vec![0; 1200];
    first[..7].copy_from_slice(&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1]);
    stranger.send(&first);
    let answer = stranger.answer().await;
    assert_eq!(answer[1..5], [0; 4], "version negotiation has the version 0");
    assert!(answer[5..].windows(4).any(|version| version == [0, 0, 0, 1]));
    assert_eq!(node.metric("maru_quic_versions_refused_total", ""), 1);
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_shards_that_are_no_more_are_reset() {
    let mut node = Node::over(Carrier::Quic, 4, &[]);
    let user = node.account().signup("ann", PASSWORD).await.unwrap();
    let mut devices: Vec<_> = (1..=8).map(|device| Raw::live(&node, &token(&node, user, device))).collect();
    node.kill();
    node.up(2);
    for device in &mut devices {
        device.frame(&heartbeat(1));
        // No close code, and long before any timeout.
        assert_eq!(device.end(), None);
    }
    // One that sends again before it has read its reset is reset again.
    assert!(node.metric("maru_quic_resets_total", "") >= devices.len() as u64);
    // A shard that never was.
    let mut stranger = Stranger::new(&node);
    let made_up = [&[0x40, 200][..], &[7; 60]].concat();
    let mut resets = Vec::new();
    until("a reset", || {
        stranger.send(&made_up);
        resets.extend(stranger.answers());
        !resets.is_empty()
    })
    .await;
    assert!(resets.iter().all(|reset| reset[0] & 0x80 == 0));
    assert!(
        resets.iter().all(|reset| reset.len() < made_up.len()),
        "so that two servers never reset for ever"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_left_alone_end_their_connection_only() {
    let (node, pair) = world(&["--hello-timeout-ms", "5000"]).await;
    let user = node.account().signup("ann", PASSWORD).await.unwrap();
    let mut ledger = Ledger::open(&node);
    let mut device = Raw::live(&node, &token(&node, user, 1));
    let connection = &mut device.quic().connection;
    assert!(connection.streams().open(Dir::Bi).is_none() && connection.streams().open(Dir::Uni).is_none());
    let control = device.quic().control;
    device.quic().connection.send_stream(control).reset(VarInt::from_u32(9)).unwrap();
    device.closes(CloseCode::Normal);
    let mut deaf = Raw::live(&node, &token(&node, user, 2));
    deaf.quic().connection.recv_stream(control).stop(VarInt::from_u32(9)).unwrap();
    deaf.closes(CloseCode::Normal);
    let mut done = Raw::live(&node, &token(&node, user, 3));
    done.quic().connection.send_stream(control).finish().unwrap();
    done.closes(CloseCode::Normal);
    (0..3).for_each(|_| ledger.close(CloseCode::Normal));
    // A Hello that is too large; no stream at all; one with half a Hello.
    let mut large = Raw::open(&node);
    large.message(&protocol::Frame::build(protocol::Kind::HELLO, 1, 1, &vec![7; 40_000]).bytes()[..9000]);
    large.closes(CloseCode::TooBig);
    ledger.close(CloseCode::TooBig);
    let mut silent = Raw::open(&node);
    let mut half = Raw::open(&node);
    half.message(&heartbeat(1).bytes()[..9]);
    for device in [&mut half, &mut silent] {
        device.closes(CloseCode::HelloTimeout);
        ledger.close(CloseCode::HelloTimeout);
    }
    pair.beat().await;
    ledger.settle(&node);
    pair.end().await;
    until("nobody is left", || node.metric("maru_quic_connections", "") == 0).await;
}
