//! What an operator sees of users and channels on the running server, by `maru admin show`.

use serde_json::{Value, json};

use client::dial::Transport;

use crate::node::{Node, admin};
use crate::people::{Device, PASSWORD, until};

/// The objects that it prints.
#[track_caller]
fn show(node: &Node, args: &[&str]) -> Vec<Value> {
    answers(node, &[&["show"], args].concat())
}

#[track_caller]
fn answers(node: &Node, args: &[&str]) -> Vec<Value> {
    let place = ["--data", node.data.to_str().unwrap(), "--server", &node.admin];
    let output = admin(&[args, &place].concat());
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_bounds_one_user_and_it_holds_after_a_restart() {
    let mut node = Node::start(2, &["--user-groups-per-h", "7"]);
    for name in ["ann", "bob"] {
        node.account().signup(name, PASSWORD).await.unwrap();
    }
    let bounds = |groups: Value, mib: Value| json!({ "groups_per_h": groups, "directs_per_h": null, "mib_per_h": mib });
    assert_eq!(answers(&node, &["quota", "ann"]), [bounds(Value::Null, Value::Null)], "nothing is changed");
    assert_eq!(answers(&node, &["quota", "ann", "--groups", "1"]), [bounds(1.into(), Value::Null)]);
    assert_eq!(
        answers(&node, &["quota", "ann", "--mib", "0"]),
        [bounds(1.into(), 0.into())],
        "the other stays"
    );
    node.kill();
    node.up(2);
    let seen = |name: &str| show(&node, &["user", name])[0].clone();
    let left = |groups: u64, bytes: Value| json!({ "groups": groups, "directs": 1000, "bytes": bytes });
    assert_eq!(
        (&seen("ann")["quota"], &seen("ann")["left"]),
        (&bounds(1.into(), 0.into()), &left(1, Value::Null))
    );
    assert_eq!(seen("bob")["left"], left(7, (1_u64 << 30).into()));
    let ann = Device::login(&node.account(), "ann").await;
    ann.group("one", &[]).await;
    assert_eq!(seen("ann")["left"]["groups"], 0);
    assert_eq!(answers(&node, &["quota", "ann", "--groups", "server"]), [bounds(Value::Null, 0.into())]);
    assert_eq!(seen("ann")["left"]["groups"], 6);
    let place = ["--data", node.data.to_str().unwrap(), "--server", &node.admin];
    for (args, words) in [
        (&["quota", "ann", "--mib", "4096"][..], "mib_per_h: 4096; expected 0"),
        (&["quota", "ann", "--groups", "few"], "expected a number"),
        (&["quota", "dan", "--groups", "1"], "no such user"),
    ] {
        let output = admin(&[args, &place].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(words), "{args:?}: {told}");
    }
}
