//! QUIC from end to end: a sender whose network changes again and again, connections that land on a shard where their user
//! does not live, history on streams of its own, and what remains after a restart.

use std::collections::BTreeSet;

use client::dial::Transport;
use protocol::ChannelId;

use crate::networks::Networks;
use crate::node::Node;
use crate::people::{Device, PASSWORD, until};

/// The sum of a metric over all shards.
async fn metric(node: &Node, name: &str) -> u64 {
    let text = reqwest::get(format!("{}/metrics", node.admin)).await.unwrap().text().await.unwrap();
    let of = |line: &str| line.strip_prefix(name)?.strip_prefix('{')?.rsplit(' ').next()?.parse::<u64>().ok();
    text.lines().filter_map(of).sum()
}

const ROUNDS: usize = 8;
const A_ROUND: usize = 25;
/// So that nobody is told to slow down.
const FAST: [&str; 4] = ["--frames-per-s", "100000", "--frames-burst", "100000"];

/// Six people talk while something changes in the middle of each round: nobody says Hello again, nothing is lost, and
/// everybody stays on the shard that has been home from the start.
async fn talk_while(node: &Node, change: impl Fn(usize, &[Device])) {
    let account = node.account();
    let mut people = Vec::new();
    for name in ["ann", "bob", "cid", "dan", "eve", "fay"] {
        account.signup(name, PASSWORD).await.unwrap();
        people.push(Device::login_over(&account, name, Transport::Quic).await);
    }
    until("all are live", || people.iter().all(|device| device.held.lock().unwrap().live)).await;
    let channel_of = |n: usize| ChannelId::direct(people[n].user, people[(n + 1) % people.len()].user);
    for round in 0..ROUNDS {
        for number in 0..A_ROUND {
            for (n, device) in people.iter().enumerate() {
                device.say(channel_of(n), &format!("{n} {round} {number}")).await;
            }
            // In the middle of what is on the way.
            if number == A_ROUND / 2 {
                change(round, &people);
            }
        }
    }
    let sent = ROUNDS * A_ROUND;
    let acked = |device: &Device| device.held.lock().unwrap().acked.len();
    until("all are acked", || people.iter().all(|device| acked(device) == sent)).await;
    until("all are told", || people.iter().all(|device| told(device) == 2 * sent)).await;
    for device in &people {
        let held = device.held.lock().unwrap();
        assert_eq!((held.connects, held.faults.len()), (1, 0), "{:?}", held.faults);
        assert!(device.client().is_quic());
    }
    assert_eq!(metric(node, "maru_quic_hellos_total").await, people.len() as u64);
    assert_eq!(metric(node, "maru_quic_accepted_total").await, people.len() as u64);
    // The hint of the route led each to where its user lives, and there they still are.
    assert_eq!(metric(node, "maru_quic_held_total").await, 0);
    assert_eq!(metric(node, "maru_sessions").await, people.len() as u64);
}

/// Messages that a device holds.
fn told(device: &Device) -> usize {
    device.held.lock().unwrap().messages.values().map(|messages| messages.len()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_that_change_cost_no_login_and_no_message() {
    let node = Node::start(4, &FAST);
    talk_while(&node, |_, people| {
        assert!(people.iter().all(|device| device.client().network_changed()));
    })
    .await;
}

#[test]
fn addresses_that_change_cost_no_login_and_no_message() {
    let Some(networks) = Networks::open() else { return };
    let talk = std::thread::spawn(move || {
        networks.enter();
        let node = Node::within(&networks, 4, &[&FAST[..], &["--signup", "open"]].concat());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(talk_while(&node, |round, people| {
            networks.change();
            // Half the time only the network knows, as behind a NAT; else the device does, and takes another port, too.
            if round % 2 == 1 {
                assert!(people.iter().all(|device| device.client().network_changed()));
            }
        }));
    });
    talk.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_for_each_shard_leads_home_without_any_steering() {
    let node = Node::start(4, &["--quic-steering", "ports"]);
    let account = node.account();
    let (mut people, mut ports) = (Vec::new(), BTreeSet::new());
    for n in 0..8 {
        let name = format!("person{n}");
        account.signup(&name, PASSWORD).await.unwrap();
        let device = Device::login_over(&account, &name, Transport::QuicUnguided).await;
        let route = account.route(&device.client().token()).await.unwrap();
        ports.insert((route.shard, route.quic.unwrap().address));
        people.push(device);
    }
    until("all are live", || people.iter().all(|device| device.held.lock().unwrap().live)).await;
    let shards: BTreeSet<_> = ports.iter().map(|(shard, _)| shard).collect();
    let addresses: BTreeSet<_> = ports.iter().map(|(_, address)| address).collect();
    assert!(shards.len() > 1 && shards.len() == addresses.len() && ports.len() == shards.len(), "{ports:?}");
    for round in 0..3 {
        for (n, device) in people.iter().enumerate() {
            let next = &people[(n + 1) % people.len()];
            device.say(ChannelId::direct(device.user, next.user), &format!("{round}")).await;
            assert!(device.client().network_changed());
        }
    }
    until("all are told", || people.iter().all(|device| told(device) == 6)).await;
    assert_eq!(metric(&node, "maru_quic_held_total").await, 0);
    assert_eq!(metric(&node, "maru_quic_hellos_total").await, people.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_landed_elsewhere_is_served_and_a_page_has_a_stream_of_its_own() {
    let mut node = Node::start(4, &[]);
    let account = node.account();
    let mut people = Vec::new();
    for n in 0..8 {
        let name = format!("person{n}");
        account.signup(&name, PASSWORD).await.unwrap();
        people.push(Device::login_over(&account, &name, Transport::QuicUnguided).await);
    }
    until("all are live", || people.iter().all(|device| device.held.lock().unwrap().live)).await;
    // 8 connections by chance on 4 shards: that all are at home happens once in 65,536 runs.
    assert!(metric(&node, "maru_quic_held_total").await > 0);
    for (n, device) in people.iter().enumerate() {
        for peer in &people[n + 1..] {
            device.say(ChannelId::direct(device.user, peer.user), "hello").await;
        }
    }
    until("all are told", || people.iter().all(|device| told(device) == people.len() - 1)).await;
    for device in &people {
        let other = people.iter().find(|other| other.user != device.user).unwrap();
        let channel = ChannelId::direct(device.user, other.user);
        device.client().history(channel, None, None, 10, true).await.unwrap();
    }
    until("all have a page", || people.iter().all(|d| d.held.lock().unwrap().pages.len() == 1)).await;
    assert!(people.iter().all(|device| device.held.lock().unwrap().pages[0].messages.len() == 1));
    assert_eq!(metric(&node, "maru_quic_page_streams_total").await, people.len() as u64);

    // The drain reaches those who are held, and after it everybody comes back, to fewer shards.
    assert_eq!(node.stop(), Some(0));
    node.up(2);
    people[0].say(ChannelId::direct(people[0].user, people[1].user), "again").await;
    until("all come back", || people.iter().all(|device| device.held.lock().unwrap().connects >= 2)).await;
    until("it is told", || told(&people[1]) == people.len()).await;
    assert!(people.iter().all(|device| device.held.lock().unwrap().faults.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_udp_a_client_takes_the_websocket() {
    let node = Node::start(2, &["--quic", "off"]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    let ann = Device::login_over(&account, "ann", Transport::Auto).await;
    until("ann is live", || ann.held.lock().unwrap().live).await;
    assert!(!ann.client().is_quic());
}
