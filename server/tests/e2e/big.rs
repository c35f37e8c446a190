//! A 100,000-character Hangul message (300 KB) to a group of 100, whole, on every device; one character more is refused,
//! and so is one member more.

use protocol::limits::TEXT_CHARS_MAX;

use crate::node::Node;
use crate::people::{Device, PASSWORD, until};
use crate::raw::Carrier;
use crate::rights::a_full_group_takes_nobody;

const MEMBERS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_message_reaches_a_full_group() {
    // More people from one address than an hour allows.
    let node =
        Node::over(Carrier::drawn(), 2, &["--address-signups-per-h", "1000", "--large-channel-members", "0"]);
    let account = node.account();
    let mut devices = Vec::new();
    for user in 0..MEMBERS {
        let name = format!("member{user}");
        account.signup(&name, PASSWORD).await.unwrap();
        devices.push(Device::login(&account, &name).await);
    }
    until("all are live", || devices.iter().all(|device| device.held.lock().unwrap().live)).await;
    let others: Vec<_> = devices[1..].iter().map(|device| device.user).collect();
    let group = devices[0].group("everybody", &others).await;
    let text: String = "가나다라마바사아자차".chars().cycle().take(TEXT_CHARS_MAX).collect();
    assert_eq!(text.len(), 300_000);
    devices[0].say(group, &text).await;
    until("it is on every device", || {
        devices.iter().all(|device| {
            let held = device.held.lock().unwrap();
            held.messages.get(&group).is_some_and(|messages| messages.len() == 2)
        })
    })
    .await;
    for device in &devices {
        let held = device.held.lock().unwrap();
        assert!(held.messages[&group].values().any(|held| *held == text), "{} holds it whole", device.name);
        assert!(held.faults.is_empty(), "{:?}", held.faults);
    }
    let one_more = account.signup("one-more", PASSWORD).await.unwrap();
    a_full_group_takes_nobody(&node, devices[0].user, group, one_more, MEMBERS);
    let longer = format!("{text}가");
    let refused = devices[0].client().send_text(group, &longer).await;
    assert!(refused.is_err(), "the SDK refuses what the server would");
}
