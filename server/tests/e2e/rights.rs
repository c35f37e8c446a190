//! Who may do what: tokens that are no good, other people's channels, and the bounds of accounts and groups.

use protocol::body::message::{
    AddMembers, CreateGroup, LeaveGroup, ROLE_OWNER, RemoveMember, RenameGroup, SendText, SetRole,
};
use protocol::body::session::{Done, Reauth, Reject};
use protocol::body::sync::{GetHistory, GetMembers, HistoryPage, SendAck};
use protocol::body::{encode, read};
use protocol::limits::{DEVICES_MAX, U53_MAX};
use protocol::token::{Claims, Key, sign};
use protocol::{ChannelId, CloseCode, Code, DeviceId, Frame, Kind, SendId, UserId};

use crate::ledger::Ledger;
use crate::node::Node;
use crate::pair::Pair;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, heartbeat, key, made_up, token, token_until};

over_both! {
    nobody_comes_in_without_a_good_token
    other_peoples_channels_are_closed
    the_seventeenth_device_is_turned_away
}

async fn world(carrier: Carrier, names: &[&str]) -> (Node, Pair, Vec<UserId>) {
    let node = Node::over(carrier, 2, &[]);
    let account = node.account();
    let mut users = Vec::new();
    for name in names {
        users.push(account.signup(name, PASSWORD).await.unwrap());
    }
    let pair = Pair::start(&node).await;
    (node, pair, users)
}

fn text(channel: ChannelId, text: &str) -> SendText {
    SendText { channel: channel.0, text: text.into() }
}

async fn nobody_comes_in_without_a_good_token(carrier: Carrier) {
    let (node, pair, users) = world(carrier, &["ann", "bob"]).await;
    let (ann, bob) = (users[0], users[1]);
    let mut ledger = Ledger::open(&node);
    let send = encode(5, &text(ChannelId::direct(ann, bob), "before Hello"));
    for first in [heartbeat(5), send, Frame::build(Kind(0x7777), 1, 5, b"")] {
        let mut stranger = Raw::open(&node);
        stranger.frame(&first);
        assert_eq!(stranger.reject(5).code, Code::Unauthenticated.number());
        stranger.closes(CloseCode::Unauthenticated);
        ledger.turned_away(Code::Unauthenticated);
    }

    let good = token(&node, ann, 1);
    let mut bad =
        vec!["x".to_owned(), "m1..".into(), format!("{good}="), format!(" {good}"), "m".repeat(8192)];
    // Key id, user, device, end, time of issue, both ends of the signature, the dots.
    for at in [0, 2, 4, 10, 16, 24, 38, 45, 50, 51, 52, 93, 94] {
        let mut forged = good.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        bad.push(String::from_utf8(forged).unwrap());
    }
    let claims = Claims { user: ann, device: DeviceId(1), expires_ms: u64::MAX, issued_ms: 1 };
    bad.push(sign(&Key { id: 99, ..key(&node) }, &claims));
    bad.push(sign(&Key { secret: [7; 32], ..key(&node) }, &claims));
    bad.push(made_up(&node, ann, 99, u64::MAX));
    for token in bad {
        Raw::open(&node).refused_hello(&token, Code::Unauthenticated);
        ledger.turned_away(Code::Unauthenticated);
    }
    Raw::open(&node).refused_hello(&token_until(&node, ann, 1, api::now_ms() - 1), Code::Expired);
    ledger.turned_away(Code::Expired);
    Raw::open(&node).refused_hello(&token(&node, UserId(12_345), 1), Code::NoSuchUser);
    ledger.turned_away(Code::NoSuchUser);

    // A session ends with its token, and only a good one prolongs it.
    let ends_ms = api::now_ms() + 5000;
    let mut brief = Raw::live(&node, &token_until(&node, ann, 2, ends_ms));
    let mut prolonged = Raw::live(&node, &token_until(&node, ann, 3, ends_ms));
    prolonged.refuses(6, &Reauth { token: token(&node, bob, 3) }, Code::Forbidden, "token");
    prolonged.refuses(7, &Reauth { token: token(&node, ann, 4) }, Code::Forbidden, "token");
    let expired = token_until(&node, ann, 3, api::now_ms() - 1);
    prolonged.refuses(8, &Reauth { token: expired }, Code::Expired, "token");
    prolonged.refuses(9, &Reauth { token: good.replace('.', "") }, Code::Unauthenticated, "token");
    prolonged.body(10, &Reauth { token: token(&node, ann, 3) });
    assert_eq!(prolonged.answer_as::<Done>(10).kind, Kind::REAUTH.0);
    assert_eq!(brief.reject(0).code, Code::Expired.number());
    brief.closes(CloseCode::Expired);
    assert!(api::now_ms() >= ends_ms, "not before its time");
    prolonged.is_served(11);
    for code in [Code::Forbidden, Code::Forbidden, Code::Expired, Code::Unauthenticated, Code::Expired] {
        ledger.reject(code);
    }
    ledger.close(CloseCode::Expired);

    // A second Hello is refused; on another connection it takes the device's place.
    prolonged.hello(&token(&node, ann, 3), 0, 0);
    assert_eq!(prolonged.reject(1).code, Code::Forbidden.number());
    ledger.reject(Code::Forbidden);
    prolonged.is_served(12);
    let mut newer = Raw::live(&node, &token(&node, ann, 3));
    prolonged.closes(CloseCode::Replaced);
    ledger.close(CloseCode::Replaced);
    newer.is_served(13);

    pair.beat().await;
    ledger.settle(&node);
    pair.end().await;
}

async fn other_peoples_channels_are_closed(carrier: Carrier) {
    let (node, pair, users) = world(carrier, &["ann", "bob", "eve"]).await;
    let (ann, bob, eve) = (users[0], users[1], users[2]);
    let mut ledger = Ledger::open(&node);
    let (mut ann_device, mut eve_device) =
        (Raw::live(&node, &token(&node, ann, 1)), Raw::live(&node, &token(&node, eve, 2)));
    let direct = ChannelId::direct(ann, bob);
    ann_device.body(20, &text(direct, "for bob"));
    assert_eq!(ann_device.answer_as::<SendAck>(20).seq, 1);
    let group = ChannelId::group(ann, SendId(21));
    ann_device.body(21, &CreateGroup { channel: group.0, name: "ours".into(), members: vec![bob.0] });
    ann_device.answer_as::<SendAck>(21);
    ann_device.body(22, &text(group, "for us"));
    ann_device.answer_as::<SendAck>(22);

    // Also of channels that nobody has: they are told apart by nothing.
    let nowhere = ChannelId::group(ann, SendId(9999));
    for channel in [direct, group, nowhere] {
        let history = GetHistory { channel: channel.0, after: 0, before: U53_MAX, limit: 9, newest: true };
        let members = GetMembers { channel: channel.0, after: 0, limit: 9 };
        eve_device.refuses(30, &text(channel, "let me in"), Code::Forbidden, "channel");
        eve_device.refuses(31, &history, Code::Forbidden, "channel");
        eve_device.refuses(32, &members, Code::Forbidden, "channel");
        (0..3).for_each(|_| ledger.reject(Code::Forbidden));
    }
    for channel in [group.0, nowhere.0] {
        let add = AddMembers { channel, members: vec![eve.0] };
        let remove = RemoveMember { channel, member: bob.0 };
        let role = SetRole { channel, member: eve.0, role: ROLE_OWNER };
        eve_device.refuses(33, &add, Code::Forbidden, "channel");
        eve_device.refuses(34, &remove, Code::Forbidden, "channel");
        eve_device.refuses(35, &role, Code::Forbidden, "channel");
        eve_device.refuses(36, &LeaveGroup { channel }, Code::Forbidden, "channel");
        eve_device.refuses(37, &RenameGroup { channel, name: "mine".into() }, Code::Forbidden, "channel");
        (0..5).for_each(|_| ledger.reject(Code::Forbidden));
    }
    // A member is no owner.
    ann_device.body(23, &AddMembers { channel: group.0, members: vec![eve.0] });
    ann_device.answer_as::<SendAck>(23);
    let role = SetRole { channel: group.0, member: eve.0, role: ROLE_OWNER };
    eve_device.body(40, &role);
    assert_eq!(eve_device.reject(40).code, Code::Forbidden.number());
    ledger.reject(Code::Forbidden);
    // Who was removed reads what was said while it was a member, and nothing else.
    ann_device.body(24, &RemoveMember { channel: group.0, member: eve.0 });
    let left = ann_device.answer_as::<SendAck>(24).seq;
    ann_device.body(25, &text(group, "without eve"));
    ann_device.answer_as::<SendAck>(25);
    eve_device.refuses(41, &text(group, "still here?"), Code::Forbidden, "channel");
    ledger.reject(Code::Forbidden);
    let all = GetHistory { channel: group.0, after: 0, before: U53_MAX, limit: 99, newest: false };
    eve_device.body(42, &all);
    let page = eve_device.answer_as::<HistoryPage>(42);
    assert_eq!((page.from, page.to, page.head, page.count), (3, left, left, 2));

    // The same key with other content; the same content again; a user who does not exist.
    ann_device.body(20, &text(direct, "for bob"));
    assert_eq!(ann_device.answer_as::<SendAck>(20).seq, 1);
    ann_device.refuses(20, &text(direct, "something else"), Code::Conflict, "id");
    ledger.reject(Code::Conflict);
    let nobody = ChannelId::direct(ann, UserId(u64::from(u32::MAX)));
    ann_device.body(26, &text(nobody, "who are you?"));
    assert_eq!(ann_device.reject(26).code, Code::NoSuchUser.number());
    ledger.reject(Code::NoSuchUser);
    ann_device.refuses(0, &text(direct, "without a key"), Code::Limit, "id");
    ledger.reject(Code::Limit);
    // A group number of somebody else's making.
    let foreign = CreateGroup { channel: group.0, name: "taken".into(), members: vec![] };
    eve_device.refuses(43, &foreign, Code::Limit, "channel");
    ledger.reject(Code::Limit);

    pair.beat().await;
    ledger.settle(&node);
    pair.end().await;
}

async fn the_seventeenth_device_is_turned_away(carrier: Carrier) {
    let (node, pair, users) = world(carrier, &["collector"]).await;
    let mut ledger = Ledger::open(&node);
    let mut devices: Vec<Raw> =
        (1..=DEVICES_MAX as u64).map(|device| Raw::live(&node, &token(&node, users[0], device))).collect();
    let (user, ends_ms) = (users[0], api::now_ms() + 3_600_000);
    let refused = node.operate("/v1/admin/token", &format!(r#"{{"user":"{user}","device":"17"}}"#));
    assert!(refused.contains(" 409 ") && refused.contains("too_many_devices"), "{refused}");
    Raw::open(&node).refused_hello(&made_up(&node, user, 17, ends_ms), Code::Unauthenticated);
    ledger.turned_away(Code::Unauthenticated);
    for device in &mut devices {
        device.is_served(2);
    }
    pair.beat().await;
    ledger.settle(&node);
    pair.end().await;
}

/// For [`crate::big`]: nobody is added to a full group, and none is made above the limit.
pub fn a_full_group_takes_nobody(
    node: &Node,
    owner: UserId,
    group: ChannelId,
    one_more: UserId,
    limit: usize,
) {
    let mut ledger = Ledger::open(node);
    let mut device = Raw::live(node, &token(node, owner, 4711));
    device.body(50, &AddMembers { channel: group.0, members: vec![one_more.0] });
    let reject = read::<Reject>(&device.answer(50)).unwrap();
    assert_eq!((reject.code, reject.retry_after_ms), (Code::Limit.number(), 0), "{}", reject.text);
    assert!(reject.text.contains(&limit.to_string()), "{}", reject.text);
    ledger.reject(Code::Limit);
    let members: Vec<u64> = (1..).filter(|user| *user != owner.0).take(limit).collect();
    let channel = ChannelId::group(owner, SendId(51)).0;
    device.refuses(51, &CreateGroup { channel, name: "too many".into(), members }, Code::Limit, "members");
    ledger.reject(Code::Limit);
    ledger.settle(node);
}
