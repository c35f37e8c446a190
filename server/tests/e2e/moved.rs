//! A server that comes back at other chat and QUIC ports, its HTTP address being the same: its devices find it, whatever way
//! they connect.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use client::account::Account;
use client::dial::Transport;
use protocol::ChannelId;

use crate::node::{Node, bare};
use crate::people::{Device, PASSWORD, until};

/// Every way to connect.
const WAYS: [Transport; 3] = [Transport::Ws, Transport::Quic, Transport::Auto];

fn is_live(device: &Device) -> bool {
    device.held.lock().unwrap().live
}

/// One person with a device on each way, and whom it writes to.
async fn devices(account: &Account) -> (Vec<Device>, ChannelId) {
    let ann = account.signup("ann", PASSWORD).await.unwrap();
    let bob = account.signup("bob", PASSWORD).await.unwrap();
    let mut devices = Vec::new();
    for way in WAYS {
        devices.push(Device::login_over(account, "ann", way).await);
    }
    for device in &devices {
        until("a device is live", || is_live(device)).await;
    }
    (devices, ChannelId::direct(ann, bob))
}

fn connects(devices: &[Device]) -> Vec<usize> {
    devices.iter().map(|device| device.held.lock().unwrap().connects).collect()
}

/// Stops the node, and waits until every device knows.
async fn stop(node: &mut Node, devices: &[Device]) {
    assert_eq!(node.stop(), Some(0));
    for device in devices {
        until("a device knows that the server has gone", || !is_live(device)).await;
    }
}

/// Starts the stopped node on other ports than it had, but for HTTP.
fn up_elsewhere(node: &mut Node) {
    let (ws, quic) = (node.ws.clone(), node.quic.clone());
    loop {
        node.ws = "ws://127.0.0.1:0/ws".to_owned();
        node.up(1);
        if node.ws != ws && node.quic != quic {
            return;
        }
        node.kill();
    }
}

/// Each device comes back and takes a message of the first one.
async fn all_talk(devices: &[Device], channel: ChannelId, text: &str) {
    for device in devices {
        until("a device finds the server", || is_live(device)).await;
    }
    devices[0].say(channel, text).await;
    for device in devices {
        let has = |text: &str| {
            let held = device.held.lock().unwrap();
            held.messages.values().any(|messages| messages.values().any(|held| held == text))
        };
        until("a device has the message", || has(text)).await;
        assert!(device.held.lock().unwrap().faults.is_empty(), "{:?}", device.held.lock().unwrap().faults);
        assert!(device.held.lock().unwrap().untrusted.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_at_other_ports_is_found_on_every_transport() {
    let mut node = Node::start(1, &[]);
    let (devices, channel) = devices(&node.account()).await;
    // And a second time, from what was found.
    for text in ["here I am", "and here"] {
        stop(&mut node, &devices).await;
        up_elsewhere(&mut node);
        all_talk(&devices, channel, text).await;
        assert!(devices[1].client().is_quic());
    }
}

/// Stands before a node's HTTP port and, while it is shut, ends every connection at once.
struct Gate {
    address: String,
    is_open: Arc<AtomicBool>,
    shut_out: Arc<AtomicUsize>,
}

impl Gate {
    fn before(node: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (is_open, shut_out) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (to, open, count) = (bare(&node.http), is_open.clone(), shut_out.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !open.load(Ordering::Acquire) {
                    count.fetch_add(1, Ordering::AcqRel);
                    continue;
                }
                let Ok(server) = TcpStream::connect(&to) else { continue };
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut &up, &mut &down);
                    down.shutdown(std::net::Shutdown::Write)
                });
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut &server, &mut &client);
                    client.shutdown(std::net::Shutdown::Write)
                });
            }
        });
        Self { address, is_open, shut_out }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_found_though_nobody_answers_for_a_while_and_tokens_have_ended() {
    let mut node = Node::start(1, &["--token-s", "10"]);
    let gate = Gate::before(&node);
    let (devices, channel) = devices(&Account::new(&format!("http://{}", gate.address)).unwrap()).await;
    gate.is_open.store(false, Ordering::Release);
    stop(&mut node, &devices).await;
    let connected = connects(&devices);
    up_elsewhere(&mut node);
    let ends_ms = devices.iter().map(|device| device.client().login().expires_ms).max().unwrap();
    let asked = gate.shut_out.load(Ordering::Acquire);
    // Nobody has found it, all ask in vain, and then their tokens have ended too.
    until("they ask in vain", || gate.shut_out.load(Ordering::Acquire) >= asked + 2 * devices.len()).await;
    until("their tokens end", || api::now_ms() > ends_ms).await;
    assert_eq!(connects(&devices), connected);
    gate.is_open.store(true, Ordering::Release);
    all_talk(&devices, channel, "here I am").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_certificate_is_told_where_only_clear_text_announces_it() {
    let mut node = Node::start(1, &[]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    let mut ann = Device::login_over(&account, "ann", Transport::Quic).await;
    until("ann is live", || is_live(&ann)).await;
    node.kill();
    for file in [server::certificate::OWN_CERTIFICATE, server::certificate::OWN_KEY] {
        std::fs::remove_file(node.data.join(file)).unwrap();
    }
    // As the refusal of a start without them says.
    let marker = node.data.join("MARU");
    let text = std::fs::read_to_string(&marker).unwrap();
    std::fs::write(&marker, text.replace("must tls.key.pem\n", "")).unwrap();
    up_elsewhere(&mut node);
    until("ann is told, and again", || ann.held.lock().unwrap().untrusted.len() > 1).await;
    let told = ann.held.lock().unwrap().untrusted[0].clone();
    assert!(told.contains("another certificate") && told.contains(&node.quic), "{told}");
    assert!(!is_live(&ann));
    // A person who starts the app anew takes it.
    ann.close().await;
    ann.open();
    until("ann is live", || is_live(&ann)).await;
}
