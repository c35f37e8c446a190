//! Who reads slowly is not who does not read: a device on a link of 1 KB/s that takes bytes all the time stays connected,
//! however much waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::body::message::SendText;
use protocol::body::sync::SendAck;
use protocol::{ChannelId, CloseCode};

use crate::node::Node;
use crate::people::{PASSWORD, until};
use crate::raw::{Carrier, Raw, token};

over_both! {
    who_takes_bytes_all_the_time_stays_and_who_takes_none_goes
}

/// A node closes after 60 seconds, unless set otherwise, in which 1 KiB/s are 60 KiB; here as many are read within the limit.
const STALLED_MS: u64 = 10_000;
const BYTES_PER_S: u64 = 6 * 1024;
const SIP: usize = 1024;
/// More bytes than the kernel holds for a connection, by any default: 12 MB.
const MESSAGES: u64 = 40;

/// Reads at its pace until told to stop. Who was kept from reading makes up for it, so that a busy machine does not make
/// it slower than it should be.
fn sip(mut device: Raw, stop: Arc<AtomicBool>, taken: Arc<AtomicU64>) -> JoinHandle<Raw> {
    std::thread::spawn(move || {
        let since = Instant::now();
        while !stop.load(Ordering::Acquire) {
            let due = u64::try_from(since.elapsed().as_millis()).unwrap() * BYTES_PER_S / 1000;
            if taken.load(Ordering::Acquire) >= due {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            taken.fetch_add(device.sip(SIP) as u64, Ordering::AcqRel);
        }
        device
    })
}

async fn who_takes_bytes_all_the_time_stays_and_who_takes_none_goes(carrier: Carrier) {
    let stalled_ms = STALLED_MS.to_string();
    let node = Node::over(carrier, 2, &["--stalled-ms", &stalled_ms, "--frames-burst", "5000"]);
    let account = node.account();
    let (flooder, reader) = (
        account.signup("flooder", PASSWORD).await.unwrap(),
        account.signup("reader", PASSWORD).await.unwrap(),
    );
    let welcomed = |device| Raw::narrow(&node).welcomed(&token(&node, reader, device), 0, 0).0;
    let (slow, stalled) = (welcomed(1), welcomed(2));
    let (stop, taken) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let reading = sip(slow, stop.clone(), taken.clone());
    let channel = ChannelId::direct(flooder, reader).0;
    let mut sender = Raw::live(&node, &token(&node, flooder, 3));
    let text = "가".repeat(100_000);
    for id in 1..=MESSAGES {
        sender.body(id, &SendText { channel, text: text.clone() });
        assert_eq!(sender.answer_as::<SendAck>(id).seq, id);
    }
    let closed = || node.metric("maru_closes_total", &format!("\"{}\"", CloseCode::SlowReader.word()));
    until("the one that takes nothing is given up", || closed() >= 1).await;
    // Three times what the limit lets a connection stand still.
    until("much was taken", || taken.load(Ordering::Acquire) >= 3 * BYTES_PER_S * STALLED_MS / 1000).await;
    stop.store(true, Ordering::Release);
    let mut slow = reading.join().expect("the slow reader is connected");
    assert_eq!(closed(), 1, "and no other was");
    // It gets all of it, in order, on the same connection.
    slow.drink();
    slow.read_through(MESSAGES);
    drop(stalled);
}
