//! Presence between real devices: who is told of whom, what a kill forgets, and what nobody is shown.

use client::account::{Audience, Privacy};
use protocol::Kind;
use protocol::UserId;
use protocol::body::presence::{
    GetOwnPresence, GetPresence, Idle, OwnPresence, Presence, PresenceItem, STATE_AWAY, STATE_OFFLINE,
    STATE_ONLINE, STATE_UNKNOWN, SetPresence, Watch,
};
use protocol::body::read;
use protocol::body::session::Done;

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, Seen, token};

over_both! {
    who_watches_sees_what_is_shown
}

/// Short, so that a test can wait for its end; what must not be told within it is tested in the core.
const GRACE: [&str; 2] = ["--presence-grace-ms", "700"];

/// Waits until the device is told that the user is in this state.
fn sees(device: &mut Raw, user: UserId, state: u8) -> PresenceItem {
    loop {
        match device.next() {
            Seen::Frame(frame) if frame.kind() == Kind::PRESENCE && frame.header().id == 0 => {
                let items = read::<Presence>(&frame).unwrap().items;
                if let Some(item) = items.into_iter().find(|item| item.user == user.0 && item.state == state)
                {
                    return item;
                }
            }
            Seen::Frame(_) => {}
            other => panic!("{other:?} where {user} in state {state} should be"),
        }
    }
}

fn asks(device: &mut Raw, id: u64, user: UserId) -> PresenceItem {
    device.body(id, &GetPresence { users: vec![user.0] });
    device.answer_as::<Presence>(id).items.remove(0)
}

fn sets(device: &mut Raw, id: u64, shows: u8, status: &str) {
    device.body(id, &SetPresence { shows, status_until_ms: 0, status: status.into() });
    device.answer_as::<Done>(id);
}

fn watches(device: &mut Raw, id: u64, user: UserId) {
    device.body(id, &Watch { users: vec![user.0] });
    device.answer_as::<Done>(id);
}

async fn who_watches_sees_what_is_shown(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &GRACE);
    let account = node.account();
    let ann = account.signup("ann", PASSWORD).await.unwrap();
    let bob = account.signup("bob", PASSWORD).await.unwrap();
    let mut anns = Raw::live(&node, &token(&node, ann, 1));
    watches(&mut anns, 20, bob);
    sees(&mut anns, bob, STATE_OFFLINE);
    let mut bobs = Raw::live(&node, &token(&node, bob, 2));
    sees(&mut anns, bob, STATE_ONLINE);
    bobs.body(30, &Idle { is_idle: true });
    sees(&mut anns, bob, STATE_AWAY);
    bobs.body(31, &Idle { is_idle: false });
    sets(&mut bobs, 32, 0, "tea");
    while sees(&mut anns, bob, STATE_ONLINE).status != "tea" {}
    drop(bobs);
    let gone = sees(&mut anns, bob, STATE_OFFLINE);
    assert!(gone.last_active_ms > 0 && gone.status == "tea", "{gone:?}");

    // Who hides looks gone, and sees itself.
    let mut bobs = Raw::live(&node, &token(&node, bob, 2));
    sees(&mut anns, bob, STATE_ONLINE);
    sets(&mut bobs, 33, 3, "");
    let hidden = sees(&mut anns, bob, STATE_OFFLINE);
    bobs.body(34, &GetOwnPresence { device: 0 });
    let own = bobs.answer_as::<OwnPresence>(34);
    assert_eq!((own.state, own.shows), (STATE_OFFLINE, 3));
    assert!(own.devices.iter().any(|device| device.device == 2 && device.state == STATE_ONLINE));

    // A kill forgets who is there, and neither who hides nor when it was seen last.
    node.kill();
    node.up(1);
    let mut anns = Raw::live(&node, &token(&node, ann, 1));
    let mut bobs = Raw::live(&node, &token(&node, bob, 2));
    watches(&mut anns, 20, bob);
    let again = sees(&mut anns, bob, STATE_OFFLINE);
    assert_eq!(again.last_active_ms, hidden.last_active_ms);
    sets(&mut bobs, 35, 0, "");
    sees(&mut anns, bob, STATE_ONLINE);

    // Who may see is Bob's to say.
    let grant = node.account().login("bob", PASSWORD, None).await.unwrap();
    let nobody = Privacy { see: Some(Audience::Nobody), ..Privacy::default() };
    node.account().set_privacy(&grant.token, nobody).await.unwrap();
    sees(&mut anns, bob, STATE_UNKNOWN);
    assert_eq!(asks(&mut anns, 40, bob).state, STATE_UNKNOWN);
    let everyone = Privacy { see: Some(Audience::Everyone), ..Privacy::default() };
    node.account().set_privacy(&grant.token, everyone).await.unwrap();
    sees(&mut anns, bob, STATE_ONLINE);
    node.stop();
    node.check();
}
