//! The JSON client against a server in memory.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Json, Line, Start};
use crate::account::Account;
use crate::fake::Fake;

const WAIT: Duration = Duration::from_secs(20);

struct Out(mpsc::UnboundedSender<Value>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = bytes.strip_suffix(b"\n").expect("whole lines");
        // The test may have heard enough.
        let _ = self.0.send(serde_json::from_slice(line).expect("JSON"));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Program {
    lines: mpsc::Sender<Line>,
    events: mpsc::UnboundedReceiver<Value>,
    run: tokio::task::JoinHandle<io::Result<ExitCode>>,
}

impl Program {
    fn start(fake: &Fake) -> Self {
        let (out, events) = mpsc::unbounded_channel();
        let (lines, input) = mpsc::channel(10);
        let transport = crate::dial::Transport::Ws;
        let start = Start {
            account: Account::new(&fake.url()).unwrap(),
            server: fake.url(),
            user: None,
            password: None,
            transport,
            state: None,
        };
        let run = tokio::spawn(Json::new(start, Out(out)).run(input));
        Self { lines, events, run }
    }

    async fn say(&self, command: Value) {
        self.lines.send(Line::Text(command.to_string())).await.unwrap();
    }

    async fn hear(&mut self, event: &str) -> Value {
        loop {
            let next = timeout(WAIT, self.events.recv()).await.expect("an event in time").expect("an event");
            if next["event"] == event {
                return next;
            }
            assert_ne!(next["event"], "reject", "{next}");
        }
    }

    async fn end(self) -> ExitCode {
        drop(self.lines);
        timeout(WAIT, self.run).await.unwrap().unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_conversation() {
    let fake = Fake::start().await;
    let (mut minji, mut joon) = (Program::start(&fake), Program::start(&fake));
    joon.say(json!({"cmd": "signup", "name": "joon", "password": "12345678"})).await;
    let ready = joon.hear("ready").await;
    assert_eq!((&ready["user"], &ready["user_id"]), (&json!("joon"), &json!("1")));
    minji.say(json!({"cmd": "signup", "name": "minji", "password": "12345678"})).await;
    minji.hear("ready").await;
    minji.say(json!({"cmd": "send", "to": "joon", "text": "안녕", "send_id": "77", "ref": "x"})).await;
    let ack = minji.hear("ack").await;
    assert_eq!(ack["send_id"], "77");
    assert_eq!((&ack["seq"], &ack["ref"]), (&json!(1), &json!("x")));
    let message = joon.hear("message").await;
    assert_eq!((&message["from"], &message["text"]), (&json!("minji"), &json!("안녕")));
    assert_eq!((&message["channel"], &message["send_id"]), (&ack["channel"], &json!("77")));
    let complete = joon.hear("complete").await;
    assert_eq!((&complete["from"], &complete["to"]), (&json!(0), &json!(1)));
    joon.say(json!({"cmd": "history", "with": "minji", "ref": "h"})).await;
    let history = joon.hear("history").await;
    assert_eq!((&history["messages"][0]["text"], &history["ref"]), (&json!("안녕"), &json!("h")));
    joon.say(json!({"cmd": "create_group", "name": "plans", "members": ["minji"]})).await;
    let group = joon.hear("ack").await["channel"].clone();
    let made = minji.hear("message").await;
    assert_eq!(
        (&made["kind"], &made["channel"], &made["users"]),
        (&json!("created"), &group, &json!(["minji"]))
    );
    joon.say(json!({"cmd": "channels"})).await;
    assert_eq!(joon.hear("channels").await["channels"], json!([]));
    for program in [minji, joon] {
        assert_eq!(format!("{:?}", program.end().await), format!("{:?}", ExitCode::SUCCESS));
    }
}

#[tokio::test]
async fn a_device_goes_on_from_its_cursor() {
    let fake = Fake::start().await;
    let mut joon = Program::start(&fake);
    joon.say(json!({"cmd": "signup", "name": "joon", "password": "12345678"})).await;
    let ready = joon.hear("ready").await;
    let mut minji = Program::start(&fake);
    minji.say(json!({"cmd": "signup", "name": "minji", "password": "12345678"})).await;
    minji.say(json!({"cmd": "send", "to": "joon", "text": "one"})).await;
    minji.hear("ack").await;
    let complete = joon.hear("complete").await;
    joon.end().await;
    minji.say(json!({"cmd": "send", "to": "joon", "text": "two"})).await;
    minji.hear("ack").await;
    let mut joon = Program::start(&fake);
    joon.say(json!({
        "cmd": "login", "name": "joon", "password": "12345678", "device": ready["device"],
        "generation": complete["generation"], "cursor": complete["to"],
    }))
    .await;
    assert_eq!(joon.hear("ready").await["device"], ready["device"]);
    assert_eq!(joon.hear("message").await["text"], "two");
}

#[tokio::test]
async fn a_second_login_goes_on_with_the_same_session() {
    let fake = Fake::start().await;
    let mut minji = Program::start(&fake);
    minji.say(json!({"cmd": "signup", "name": "minji", "password": "12345678"})).await;
    let first = minji.hear("ready").await;
    minji.say(json!({"cmd": "login", "name": "minji", "password": "12345678"})).await;
    assert_eq!(minji.hear("ready").await, first);
    assert_eq!(fake.world().hellos, 1);
}

#[tokio::test]
async fn quit_waits_for_acks() {
    let fake = Fake::start().await;
    let mut minji = Program::start(&fake);
    minji.say(json!({"cmd": "signup", "name": "minji", "password": "12345678"})).await;
    minji.say(json!({"cmd": "signup", "name": "joon", "password": "12345678"})).await;
    minji.hear("ready").await;
    fake.world().cut_after = Some(1);
    for n in 0..3 {
        minji.say(json!({"cmd": "send", "to": "minji", "text": format!("{n}"), "send_id": n + 1})).await;
    }
    minji.say(json!({"cmd": "quit"})).await;
    for n in 1..=3 {
        assert_eq!(minji.hear("ack").await["send_id"], json!(n.to_string()));
    }
    let code = timeout(WAIT, minji.run).await.unwrap().unwrap().unwrap();
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}

#[tokio::test]
async fn refusals_are_told() {
    let fake = Fake::start().await;
    let mut program = Program::start(&fake);
    let mut refused = async |line: &str| {
        program.lines.send(Line::Text(line.into())).await.unwrap();
        loop {
            let event = timeout(WAIT, program.events.recv()).await.unwrap().unwrap();
            if event["event"] == "reject" {
                return event;
            }
        }
    };
    assert_eq!(refused("nonsense").await["code"], "malformed");
    let unknown = refused(r#"{"cmd":"dance"}"#).await;
    assert!(unknown["reason"].as_str().unwrap().contains("dance"));
    let early = refused(r#"{"cmd":"send","to":"joon","text":"x","send_id":5,"ref":"r"}"#).await;
    assert_eq!((&early["code"], &early["send_id"]), (&json!("unauthenticated"), &json!("5")));
    assert_eq!(
        (&early["cmd"], &early["ref"], &early["retry_after_ms"]),
        (&json!("send"), &json!("r"), &json!(0))
    );
    assert_eq!(refused(r#"{"cmd":"login","name":"x","password":"y"}"#).await["code"], "unauthenticated");
    assert_eq!(refused(r#"{"cmd":"login"}"#).await["code"], "malformed");
    program.lines.send(Line::Text(r#"{"cmd":"signup","name":"x","password":"y"}"#.into())).await.unwrap();
    assert_eq!(refused(r#"{"cmd":"send","to":"nobody","text":"x"}"#).await["code"], "not_found");
    let long = json!({"cmd": "send", "channel": "9", "text": "x".repeat(100_001)});
    assert_eq!(refused(&long.to_string()).await["code"], "limit");
}
