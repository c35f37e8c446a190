//! A device that comes back with many sends pending: all are stored in order, and it keeps to the pace that it was told.

use client::dial::{Client, Options, Transport};
use client::session::{Config, Event, Session};
use protocol::{ChannelId, Seq};

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::Carrier;

over_both! {
    three_thousand_pending_sends_are_stored_in_order
}

const SENDS: u64 = 3000;

async fn three_thousand_pending_sends_are_stored_in_order(carrier: Carrier) {
    let node = Node::over(carrier, 2, &[]);
    let account = node.account();
    for name in ["ann", "bob"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let bob = account.login("bob", PASSWORD, None).await.unwrap().user;
    let login = account.login("ann", PASSWORD, None).await.unwrap();
    let channel = ChannelId::direct(login.user, bob);
    let mut offline = Session::new(Config::new(login.user, 7), None);
    let sends: Vec<_> =
        (0..SENDS).map(|n| offline.send_text(channel, &n.to_string(), None).unwrap()).collect();

    let saved = Some(offline.saved());
    let transport = if carrier == Carrier::Ws { Transport::Ws } else { Transport::Quic };
    let options = Options { account, login, renew: None, saved };
    let (client, mut events) = Client::start_over(options, transport).unwrap();
    let (mut acked, mut connects) = (Vec::new(), 0);
    while acked.len() < sends.len() {
        match events.next().await.expect("the client goes on") {
            Event::Ack { send_id, seq, .. } => acked.push((seq, send_id)),
            Event::Rejected { reject, .. } => panic!("{reject:?}"),
            Event::Connected(_) => connects += 1,
            _ => {}
        }
    }
    acked.sort_unstable();
    let expected: Vec<_> = sends.iter().zip(1..).map(|(send, seq)| (Seq(seq), *send)).collect();
    assert_eq!(acked, expected, "stored in the order in which they were made");
    assert_eq!(connects, 1, "no close on the way");
    // What is refused is written once more; nothing else is.
    let refused = node.metric("maru_rejects_total", "rate") + node.metric("maru_rejects_total", "busy");
    assert!(SENDS + refused <= SENDS * 6 / 5, "{refused} refusals for {SENDS} sends");
    assert_eq!(node.metric("maru_closes_total", "too_many_faults"), 0);
    drop(client);
}
