//! Two honest devices that talk all the time while others misbehave: every one of their messages arrives, once, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::dial::Transport;
use tokio::task::JoinHandle;

use crate::node::Node;
use crate::people::{Device, PASSWORD, until};

pub struct Pair {
    stop: Arc<AtomicBool>,
    arrived: Arc<AtomicUsize>,
    talk: JoinHandle<Duration>,
}

impl Pair {
    pub async fn start(node: &Node) -> Self {
        Self::over(node, None).await
    }

    /// A pair that uses this transport; `None` draws.
    pub async fn over(node: &Node, transport: Option<Transport>) -> Self {
        let account = node.account();
        let mut devices = Vec::new();
        for name in ["well", "behaved"] {
            account.signup(name, PASSWORD).await.unwrap();
            devices.push(match transport {
                Some(transport) => Device::login_over(&account, name, transport).await,
                None => Device::login(&account, name).await,
            });
        }
        until("the pair is live", || devices.iter().all(|device| device.held.lock().unwrap().live)).await;
        let (stop, arrived) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let talk = tokio::spawn(talk(devices, stop.clone(), arrived.clone()));
        Self { stop, arrived, talk }
    }

    /// Messages are sent and arrive now.
    pub async fn beat(&self) {
        let since = self.arrived.load(Ordering::Acquire);
        until("the pair's next messages", || {
            assert!(!self.talk.is_finished(), "the pair's talk has broken");
            self.arrived.load(Ordering::Acquire) >= since + 3
        })
        .await;
    }

    /// Ends the talk; everything has arrived.
    pub async fn end(self) {
        self.beat().await;
        self.stop.store(true, Ordering::Release);
        let longest = self.talk.await.unwrap();
        let count = self.arrived.load(Ordering::Acquire);
        eprintln!("the pair exchanged {count} messages; the slowest took {} ms", longest.as_millis());
    }
}

/// One says a number, the other waits for it and says the next. Returns the longest wait.
async fn talk(devices: Vec<Device>, stop: Arc<AtomicBool>, arrived: Arc<AtomicUsize>) -> Duration {
    let channel = protocol::ChannelId::direct(devices[0].user, devices[1].user);
    let mut longest = Duration::ZERO;
    let mut said = 0;
    while !stop.load(Ordering::Acquire) {
        let (from, to) = (&devices[said % 2], &devices[(said + 1) % 2]);
        let began = Instant::now();
        from.say(channel, &said.to_string()).await;
        said += 1;
        until("the other's answer", || {
            let held = to.held.lock().unwrap();
            held.messages.get(&channel).is_some_and(|messages| messages.len() == said)
        })
        .await;
        longest = longest.max(began.elapsed());
        arrived.store(said, Ordering::Release);
    }
    until("the last ack", || {
        devices.iter().all(|device| device.held.lock().unwrap().messages[&channel].len() == said)
    })
    .await;
    for device in &devices {
        let held = device.held.lock().unwrap();
        assert!(held.faults.is_empty() && held.rejected.is_empty(), "{:?} {:?}", held.faults, held.rejected);
        for (index, (seq, text)) in held.messages[&channel].iter().enumerate() {
            assert_eq!((seq.0, text.as_str()), (index as u64 + 1, index.to_string().as_str()));
        }
    }
    longest
}
