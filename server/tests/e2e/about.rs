//! Edits, reactions and pins between two people: a device that was away hears of them in order, and what now holds is the
//! same over a connection and over HTTP, before and after a kill.

use protocol::body::about::{About, EditText, GetAbout, Pin, React};
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::sync::SendAck;
use protocol::limits::U53_MAX;
use protocol::{ChannelId, Code, SendId, UserId};
use serde_json::{Value, json};

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, token};

over_both! {
    what_is_said_about_messages_converges_and_outlives_a_kill
}

fn get(node: &Node, path: &str, token: &str) -> Value {
    let answer = node.ask("GET", path, token, None);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    serde_json::from_str(body).unwrap()
}

async fn what_is_said_about_messages_converges_and_outlives_a_kill(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let mut users = Vec::new();
    for name in ["ann", "bob"] {
        users.push(node.account().signup(name, PASSWORD).await.unwrap());
    }
    let (ann, bob) = (users[0], users[1]);
    let group = ChannelId::group(ann, SendId(1));
    let channel = group.0;
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    device.body(1, &CreateGroup { channel, name: "floor".into(), members: vec![bob.0] });
    device.answer_as::<SendAck>(1);
    device.body(2, &SendText { channel, text: "see you at 5".into() });
    device.answer_as::<SendAck>(2);
    // Bob's other device is away meanwhile.
    let mut bobs = Raw::live(&node, &token(&node, bob, 2));
    device.body(3, &EditText { channel, target: 2, text: "see you at 6".into() });
    assert_eq!(device.answer_as::<SendAck>(3).seq, 3);
    let react = |emoji: &str, on| React { channel, target: 2, on, emoji: emoji.into() };
    bobs.body(4, &react("👍", true));
    assert_eq!(bobs.answer_as::<SendAck>(4).seq, 4);
    device.body(5, &react("👍", true));
    device.answer_as::<SendAck>(5);
    device.body(6, &Pin { channel, target: 2, on: true });
    assert_eq!(device.answer_as::<SendAck>(6).seq, 6);
    let edit = |target| EditText { channel, target, text: "mine".into() };
    bobs.refuses(7, &edit(2), Code::Forbidden, "target");
    bobs.refuses(8, &edit(9), Code::Limit, "target");
    bobs.refuses(9, &edit(1), Code::Limit, "target");
    bobs.refuses(10, &EditText { text: String::new(), ..edit(2) }, Code::Limit, "text");
    bobs.refuses(11, &Pin { channel, target: 2, on: false }, Code::Forbidden, "channel");
    for way in 0..15 {
        bobs.body(20 + way, &react(&way.to_string(), true));
        bobs.answer_as::<SendAck>(20 + way);
    }
    bobs.refuses(40, &react("one too many", true), Code::Limit, "emoji");

    for again in [false, true] {
        if again {
            node.kill();
            node.up(1);
        }
        // The device that was away asks what now holds.
        let mut away = Raw::live(&node, &token(&node, bob, 3));
        away.body(50, &GetAbout { channel, from: 1, through: U53_MAX, limit: 50, who: false });
        holds(&away.answer_as::<About>(50));
        over_http(&node, group, (ann, bob));
    }
    node.stop();
    node.check();
}

/// What all of it adds up to, for bob.
fn holds(page: &About) {
    assert_eq!(page.pins.iter().map(|pin| (pin.seq, pin.by)).collect::<Vec<_>>(), [(2, 6)]);
    let [item] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!((item.seq, item.edited, item.edits, item.text.as_str()), (2, 3, 1, "see you at 6"));
    let first = &page.reactions[0];
    assert_eq!((first.emoji.as_str(), first.count, first.own, page.reactions.len()), ("👍", 2, true, 16));
}

fn over_http(node: &Node, group: ChannelId, (ann, bob): (UserId, UserId)) {
    let anns = token(node, ann, 5);
    let about = get(node, &format!("/v1/channels/{group}/about?who=true"), &anns);
    let message = &about["messages"][0];
    assert_eq!((&message["seq"], &message["edited"], &message["text"]), (&json!(2), &json!(3), &json!("")));
    let mut both = [ann.0, bob.0];
    both.sort_unstable();
    assert_eq!(message["reactions"][0]["users"], json!(both.map(|user| user.to_string())));
    assert_eq!(about["pins"], json!([{ "seq": 2, "by": 6 }]));
    let history = get(node, &format!("/v1/channels/{group}/messages?after=2&limit=4"), &anns);
    let kinds: Vec<&str> =
        history["messages"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["edited", "reacted", "reacted", "pinned"]);
    assert_eq!(history["messages"][0]["text"], json!("see you at 6"));
    let channels = get(node, "/v1/channels", &token(node, bob, 4));
    assert_eq!(channels["channels"][0]["unread"], json!(1), "the text alone is something to read");
}
