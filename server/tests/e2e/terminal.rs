//! The terminal client as a program drives it: `maru chat --json`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::node::{Node, PATIENCE, maru};

pub struct Chat {
    child: Child,
    stdin: ChildStdin,
    events: Receiver<Value>,
}

impl Chat {
    pub fn start(node: &Node, name: &str) -> Self {
        Self::start_with(node, name, &["--no-state"])
    }

    pub fn start_with(node: &Node, name: &str, more: &[&str]) -> Self {
        let mut child = Command::new(maru())
            .args(["chat", "--server", &node.http, "--user", name, "--json"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (lines, events) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = lines.send(serde_json::from_str(&line).expect("one JSON event a line"));
            }
        });
        Self { stdin: child.stdin.take().unwrap(), child, events }
    }

    pub fn say(&mut self, command: &Value) {
        writeln!(self.stdin, "{command}").unwrap();
    }

    /// The next event of a name; others before it are passed over.
    pub fn event(&self, name: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no event {name}"));
            if event["event"] == name {
                return event;
            }
        }
    }

    pub fn quit(mut self) {
        self.say(&json!({"cmd": "quit"}));
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn two_people_and_a_group_talk_in_json() {
    let mut node = Node::start(2, &[]);
    let (mut ann, mut bob) = (Chat::start(&node, "ann"), Chat::start(&node, "bob"));
    for (chat, name) in [(&mut ann, "ann"), (&mut bob, "bob")] {
        chat.say(&json!({"cmd": "signup", "name": name, "password": "long enough 1"}));
        chat.say(&json!({"cmd": "login", "name": name, "password": "long enough 1"}));
        chat.event("ready");
    }
    ann.say(&json!({"cmd": "send", "to": "bob", "text": "hi bob", "send_id": "77"}));
    let ack = ann.event("ack");
    assert_eq!((&ack["send_id"], &ack["seq"]), (&json!("77"), &json!(1)), "{ack}");
    let message = bob.event("message");
    assert_eq!(
        (&message["from"], &message["text"], &message["seq"]),
        (&json!("ann"), &json!("hi bob"), &json!(1))
    );
    bob.say(&json!({"cmd": "create_group", "name": "둘", "members": ["ann"]}));
    let group = bob.event("ack")["channel"].clone();
    bob.say(&json!({"cmd": "send", "channel": group, "text": "안녕"}));
    loop {
        let message = ann.event("message");
        if message["text"] == "안녕" {
            assert_eq!((&message["channel"], &message["from"]), (&group, &json!("bob")));
            break;
        }
    }
    ann.say(&json!({"cmd": "history", "with": "bob", "limit": 10}));
    assert!(ann.event("history").to_string().contains("hi bob"));
    ann.say(&json!({"cmd": "send", "to": "nobody-here", "text": "x"}));
    ann.event("reject");
    ann.say(&json!({"cmd": "dance"}));
    ann.event("reject");
    node.kill();
    node.up(1);
    ann.say(&json!({"cmd": "send", "to": "bob", "text": "after the crash"}));
    ann.event("ack");
    loop {
        if bob.event("message")["text"] == "after the crash" {
            break;
        }
    }
    bob.say(&json!({"cmd": "channels"}));
    assert!(bob.event("channels").to_string().contains("둘"));
    ann.quit();
    bob.quit();
    assert_eq!(node.stop(), Some(0));
    node.check();
}
