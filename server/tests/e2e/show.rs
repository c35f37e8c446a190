//! What an operator sees of users and channels on the running server, by `maru admin show`.

use serde_json::Value;

use client::dial::Transport;

use crate::node::{Node, admin};
use crate::people::{Device, PASSWORD, until};

/// The objects that it prints.
#[track_caller]
fn show(node: &Node, args: &[&str]) -> Vec<Value> {
    let place = ["--data", node.data.to_str().unwrap(), "--server", &node.admin];
    let output = admin(&[&["show"], args, &place].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_who_is_there_and_not_what_was_said() {
    let node = Node::start(2, &["--user-groups-per-h", "7"]);
    let account = node.account();
    for name in ["ann", "bob", "cyd"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let (ann, mut bob) =
        (Device::login_over(&account, "ann", Transport::Ws).await, Device::login(&account, "bob").await);
    let group = ann.group("team", &[bob.user]).await;
    ann.say(group, "a secret").await;
    until("bob has it", || bob.held.lock().unwrap().messages.get(&group).map_or(0, |held| held.len()) == 2)
        .await;

    let users = show(&node, &["users"]);
    assert_eq!(
        users.iter().map(|user| user["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["ann", "bob", "cyd"]
    );
    let seen = &show(&node, &["user", "ANN"])[0];
    assert_eq!(seen["user"], ann.user.to_string());
    assert_eq!((&seen["left"]["groups"], &seen["bot"]), (&Value::from(6), &Value::from(false)));
    assert_eq!(seen["devices"].as_array().unwrap().len(), 1);
    let session = &seen["sessions"][0];
    assert_eq!(
        (&session["device"], &session["transport"]),
        (&seen["devices"][0]["device"], &"websocket".into())
    );
    until("pointers are stored", || show(&node, &["user", "ann"])[0]["inbox_head"] == 2).await;
    let id = bob.user.to_string();
    let channels = show(&node, &["channels", &id, "--id"]);
    assert_eq!(channels[0]["channel"], group.to_string());
    assert_eq!((&channels[0]["head"], &channels[0]["unread"]), (&Value::from(2), &Value::from(1)));
    let channel = &show(&node, &["channel", &group.to_string()])[0];
    assert_eq!((&channel["kind"], &channel["name"]), (&"group".into(), &"team".into()));
    let roles: Vec<_> = channel["members"].as_array().unwrap().iter().map(|member| &member["role"]).collect();
    assert_eq!(roles.len(), 2);
    assert!(!format!("{users:?}{seen}{channels:?}{channel}").contains("secret"));

    // Who is away has no session, and who is not there is no user.
    bob.close().await;
    until("bob is seen to be away", || {
        show(&node, &["user", "bob"])[0]["sessions"] == Value::Array(Vec::new())
    })
    .await;
    assert_eq!(show(&node, &["channels", "cyd"]), [Value::Null; 0]);
    let place = ["--data", node.data.to_str().unwrap(), "--server", &node.admin];
    let output = admin(&[&["show", "user", "dan"], &place[..]].concat());
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no such user"), "{output:?}");
}
