//! The keys that sign access tokens, changed under live sessions: nobody is disconnected, old tokens go on, and whoever holds a
//! token of a retired key gets the next by itself.

use client::dial::Transport;
use protocol::{ChannelId, Code};

use crate::node::{Node, admin};
use crate::people::{Device, PASSWORD, until};
use crate::raw::{Carrier, Raw};

over_both! {
    keys_change_under_live_sessions
}

/// `maru admin keys` at the running node; the lines that it prints, without times.
#[track_caller]
fn keys(node: &Node, args: &[&str]) -> Vec<String> {
    let output = admin(&[&["keys"], args, &["--data", node.data.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.rsplit_once('\t').unwrap().0.replace('\t', " ")).collect()
}

async fn keys_change_under_live_sessions(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let account = node.account();
    let mut people = Vec::new();
    for name in ["ann", "bob"] {
        account.signup(name, PASSWORD).await.unwrap();
        let transport = if carrier == Carrier::Ws { Transport::Ws } else { Transport::Quic };
        people.push(Device::login_over(&account, name, transport).await);
    }
    let [ann, bob] = &people[..] else { panic!() };
    let channel = ChannelId::direct(ann.user, bob.user);
    let hears = async |texts: usize| {
        let holds = || bob.held.lock().unwrap().messages.get(&channel).map_or(0, |held| held.len()) == texts;
        until("bob is told", holds).await;
    };
    let old = account.login("ann", PASSWORD, None).await.unwrap();
    let mut session = Raw::live(&node, &old.token);
    ann.say(channel, "before").await;
    hears(1).await;

    let server = node.admin.clone();
    assert_eq!(keys(&node, &["rotate", "--server", &server]), ["1 verifies", "2 signs"]);
    session.is_served(7);
    ann.say(channel, "after").await;
    hears(2).await;
    // Old tokens are good at every shard, and so are new ones.
    drop(session);
    let mut session = Raw::live(&node, &old.token);
    let new = account.login("ann", PASSWORD, None).await.unwrap();
    Raw::live(&node, &new.token).is_served(8);

    assert_eq!(keys(&node, &["retire", "1", "--server", &server]), ["2 signs"]);
    session.is_served(9);
    ann.say(channel, "still").await;
    hears(3).await;
    drop(session);
    Raw::open(&node).refused_hello(&old.token, Code::Expired);
    assert!(node.ask("GET", "/v1/devices", &old.token, None).starts_with("HTTP/1.0 401"));
    Raw::live(&node, &new.token).is_served(10);
    for person in &people {
        let held = person.held.lock().unwrap();
        assert!(held.faults.is_empty() && held.connects == 1, "{:?} {}", held.faults, held.connects);
    }

    // When they have to come again they hold tokens of a key that is no more, also in the eyes of the next process.
    assert_eq!(node.stop(), Some(0));
    node.up(3);
    for person in &people {
        until("they are back", || person.held.lock().unwrap().connects == 2).await;
    }
    ann.say(channel, "again").await;
    hears(4).await;
    let faults: Vec<_> =
        people.iter().flat_map(|person| person.held.lock().unwrap().faults.clone()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    Raw::open(&node).refused_hello(&old.token, Code::Expired);
}
