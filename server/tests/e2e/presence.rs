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
use serde_json::{Value, json};

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

fn http(node: &Node, method: &str, path: &str, token: &str, body: Option<&Value>) -> (u16, Value) {
    let answer = node.ask(method, path, token, body.map(Value::to_string).as_deref());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_over_http_is_what_frames_show() {
    let mut node = Node::start(2, &GRACE);
    let ann = node.account().signup("ann", PASSWORD).await.unwrap();
    let bob = node.account().signup("bob", PASSWORD).await.unwrap();
    let (anns, bobs) = (token(&node, ann, 1), token(&node, bob, 2));
    let mut ann_device = Raw::live(&node, &anns);
    watches(&mut ann_device, 20, bob);
    sees(&mut ann_device, bob, STATE_OFFLINE);
    let set = |body: Value| http(&node, "PUT", "/v1/me/presence", &bobs, Some(&body));
    let own = |node: &Node| http(node, "GET", "/v1/me/presence", &bobs, None);
    assert_eq!(
        set(json!({ "shows": "away", "status": "tea", "status_until_ms": 9_000_000_000_000_u64 })).0,
        204
    );
    let (status, shown) = own(&node);
    assert_eq!((status, &shown["state"], &shown["shows"]), (200, &json!("offline"), &json!("away")));
    assert_eq!((&shown["status"], &shown["status_until_ms"]), (&json!("tea"), &json!(9_000_000_000_000_u64)));
    let state_of = |shown: &Value, device: &str| {
        let devices = shown["devices"].as_array().unwrap();
        devices.iter().find(|one| one["device"] == *device).unwrap()["state"].clone()
    };
    assert_eq!(state_of(&shown, "2"), "offline", "a request makes nobody online");

    // A device that is there is told what a request has set, and so is who watches.
    let mut bob_device = Raw::live(&node, &bobs);
    let away = sees(&mut ann_device, bob, STATE_AWAY);
    assert_eq!((&*away.status, away.status_until_ms), ("tea", 9_000_000_000_000));
    assert_eq!(set(json!({ "shows": "invisible" })).0, 204);
    let told = loop {
        match bob_device.next() {
            Seen::Frame(frame) if frame.kind() == Kind::OWN_PRESENCE => {
                break read::<OwnPresence>(&frame).unwrap();
            }
            Seen::Frame(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((told.shows, &*told.status, told.status_until_ms), (3, "", 0), "what is not named is no more");
    sees(&mut ann_device, bob, STATE_OFFLINE);
    let (_, shown) = own(&node);
    assert_eq!((&shown["state"], shown.get("status")), (&json!("offline"), None));
    assert_eq!(state_of(&shown, "2"), "online");

    for (body, field) in [
        (json!({ "shows": "busy" }), "shows"),
        (json!({}), "shows"),
        (json!({ "shows": "away", "status": "a\nb" }), "status"),
        (json!({ "shows": "away", "status": "a\u{7f}b" }), "status"),
        (json!({ "shows": "away", "status": "x".repeat(129) }), "status"),
        (json!({ "shows": "away", "status_until_ms": 1_u64 << 53 }), "status_until_ms"),
        (json!({ "shows": "away", "until": 1 }), "until"),
    ] {
        let (status, refused) = set(body.clone());
        assert_eq!(
            (status, &refused["code"], &refused["field"]),
            (400, &json!("bad_field"), &json!(field)),
            "{body}"
        );
        assert_eq!(refused["retry_after_ms"], 0, "{refused}");
    }
    assert_eq!(own(&node).1, shown, "nothing of that was set");

    // 128 characters of any script, and a restart.
    let long = "차".repeat(128);
    assert_eq!(set(json!({ "shows": "do_not_disturb", "status": long })).0, 204);
    drop((ann_device, bob_device));
    node.kill();
    node.up(1);
    let (_, shown) = own(&node);
    assert_eq!((&shown["shows"], &shown["status"]), (&json!("do_not_disturb"), &json!(long)));
    let mut bob_device = Raw::live(&node, &bobs);
    bob_device.body(41, &GetOwnPresence { device: 0 });
    bob_device.answer_as::<OwnPresence>(41);
    let of_bob =
        |node: &Node, token: &str| http(node, "GET", &format!("/v1/users/{bob}/presence"), token, None).1;
    let (seen, itself) = (of_bob(&node, &anns), of_bob(&node, &bobs));
    assert_eq!((&seen["state"], &seen["status"]), (&json!("do_not_disturb"), &json!(long)));
    let grant = node.account().login("bob", PASSWORD, None).await.unwrap();
    let nobody = Privacy { see: Some(Audience::Nobody), ..Privacy::default() };
    node.account().set_privacy(&grant.token, nobody).await.unwrap();
    let hidden = json!({ "user": bob.to_string(), "state": "unknown" });
    assert_eq!((of_bob(&node, &anns), of_bob(&node, &bobs)), (hidden, itself));
    drop(bob_device);
    node.stop();
    node.check();
}
