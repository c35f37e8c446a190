//! The terminal client as a person meets it: at a terminal.

use std::path::Path;

use client::account::Account;
use client::trust::Trust;
use serde_json::json;

use crate::node::{Node, maru};
use crate::pty::Pty;
use crate::terminal::Chat;

const PASSWORD: &str = "long enough 1";
/// What brings back the screen as it was.
const LEFT: &[u8] = b"\x1b[?1049l";
const CTRL_C: &str = "\x03";
const CTRL_Q: &str = "\x11";

fn at_terminal(node: &Node, state: &Path, more: &[&str]) -> Pty {
    let state = state.to_str().unwrap();
    let args = [&["chat", "--server", &node.http, "--user", "ann", "--state", state], more].concat();
    Pty::start(maru(), &args, 80, 24)
}

async fn people(node: &Node) -> Account {
    let account = node.account();
    for name in ["ann", "bob"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    account
}

/// At the prompt, with the password typed.
fn log_in(pty: &mut Pty) {
    pty.see("Password of ann:");
    pty.until("silent", |pty| !pty.has_echo());
    pty.type_in(&format!("{PASSWORD}\n"));
}

fn is_restored(pty: &Pty) {
    assert!(pty.has_echo(), "the modes are as they were");
    let entered = pty.raw.windows(8).any(|bytes| bytes == b"\x1b[?1049h");
    assert_eq!(pty.raw.windows(LEFT.len()).any(|bytes| bytes == LEFT), entered, "the screen is as it was");
}

#[tokio::test]
async fn a_sign_up_asks_twice_and_seventeen_starts_are_one_device() {
    let node = Node::start(1, &[]);
    let state = tempfile::tempdir().unwrap();
    let mut pty = at_terminal(&node, state.path(), &[]);
    log_in(&mut pty);
    pty.see("Not logged in");
    pty.type_in("/signup\n");
    pty.see("The password of ann again:");
    pty.until("silent", |pty| !pty.has_echo());
    pty.type_in("another one 1\n");
    pty.see("not the same");
    pty.type_in("/signup\n");
    for question in ["Password of ann:", "The password of ann again:"] {
        pty.said(question, 2);
        pty.until("silent", |pty| !pty.has_echo());
        pty.type_in(&format!("{PASSWORD}\n"));
    }
    pty.see("● connected");
    pty.type_in(CTRL_Q);
    assert!(pty.end().success());
    is_restored(&pty);
    assert!(!String::from_utf8_lossy(&pty.raw).contains(PASSWORD), "no password is shown");
    for start in 2..=17 {
        let mut pty = at_terminal(&node, state.path(), &[]);
        pty.see("● connected");
        pty.type_in(CTRL_Q);
        assert!(pty.end().success(), "start {start}");
        assert!(!String::from_utf8_lossy(&pty.raw).contains("Password"), "start {start} needs none");
    }
    let account = Account::with_trust(&node.http, Trust::default()).unwrap();
    let login = account.login("ann", PASSWORD, None).await.unwrap();
    assert_eq!(account.devices(&login.token).await.unwrap().len(), 2, "the terminal, and this one");
    // `/devices` shows both, `/logout` ends the terminal's and forgets it.
    let mut pty = at_terminal(&node, state.path(), &[]);
    pty.see("● connected");
    pty.type_in("/devices\r");
    pty.see("2. ");
    pty.type_in("\r/logout\r");
    assert!(pty.end().success());
    is_restored(&pty);
    assert_eq!(account.devices(&login.token).await.unwrap().len(), 1);
    let mut pty = at_terminal(&node, state.path(), &[]);
    pty.see("Password of ann:");
}

#[tokio::test]
async fn two_at_once_are_two_devices() {
    let node = Node::start(1, &[]);
    people(&node).await;
    let state = tempfile::tempdir().unwrap();
    let mut first = at_terminal(&node, state.path(), &[]);
    log_in(&mut first);
    first.see("● connected");
    let mut second = at_terminal(&node, state.path(), &[]);
    second.said("number 2", 1);
    log_in(&mut second);
    second.see("● connected");
    let mut third = at_terminal(&node, state.path(), &["--device", "2"]);
    third.see("--device: 2 is open in another terminal");
    assert!(!third.end().success());
}

#[tokio::test]
async fn an_end_at_the_password_prompt_restores_the_echo() {
    let node = Node::start(1, &[]);
    people(&node).await;
    for more in [&["--no-state"][..], &["--no-state", "--plain"]] {
        for signal in ["INT", "TERM", "HUP"] {
            let args = [&["chat", "--server", &node.http, "--user", "ann"], more].concat();
            let mut pty = Pty::start(maru(), &args, 80, 24);
            pty.see("Password of ann:");
            pty.until("silent", |pty| !pty.has_echo());
            let code = match signal {
                "INT" => {
                    pty.type_in(CTRL_C);
                    130
                }
                "TERM" => {
                    pty.signal("TERM");
                    143
                }
                _ => {
                    pty.signal("HUP");
                    129
                }
            };
            assert_eq!(pty.end().code(), Some(code), "{more:?} {signal}");
            is_restored(&pty);
        }
    }
}

#[tokio::test]
async fn signals_restore_the_whole_screen() {
    let node = Node::start(1, &[]);
    people(&node).await;
    let state = tempfile::tempdir().unwrap();
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let mut pty = at_terminal(&node, state.path(), &[]);
        if signal == "TERM" {
            log_in(&mut pty);
        }
        pty.see("● connected");
        assert!(!pty.has_echo());
        pty.signal(signal);
        assert_eq!(pty.end().code(), Some(code));
        is_restored(&pty);
    }
}

#[tokio::test]
async fn pastes_are_whole_and_what_others_write_is_safe() {
    let node = Node::start(1, &[]);
    people(&node).await;
    let state = tempfile::tempdir().unwrap();
    let mut bob = Chat::start(&node, "bob");
    bob.say(&json!({"cmd": "login", "name": "bob", "password": PASSWORD}));
    bob.event("ready");
    let mut pty = at_terminal(&node, state.path(), &[]);
    log_in(&mut pty);
    pty.see("● connected");
    pty.type_in("/to bob\r");
    pty.see("│ bob\n");
    let letters = "abcde".repeat(1000);
    pty.type_in(&format!("\x1b[200~{letters}\x1b[201~"));
    pty.see("5000 characters");
    pty.type_in("\r");
    assert_eq!(bob.event("message")["text"], letters);
    pty.type_in(&format!("\x1b[200~{}\x1b[201~", "x".repeat(100_001)));
    pty.see("the text would have 100001 characters");
    pty.type_in("\x1b[200~one\rtwo\x1b[201~\r");
    assert_eq!(bob.event("message")["text"], "one\ntwo");
    let forged = "hi\n12:00 ann: forged\u{202e}\x1b[2Jx\x1b]0;title\x07";
    bob.say(&json!({"cmd": "send", "to": "ann", "text": forged}));
    bob.event("ack");
    pty.see("ann: forged");
    let raw = String::from_utf8_lossy(&pty.raw).into_owned();
    for bad in ["\x1b[2Jx", "\x1b]0;", "\u{202e}", "\x07"] {
        assert!(!raw.contains(bad), "{bad:?}");
    }
    let text = pty.screen.text();
    let line = text.lines().find(|line| line.contains("ann: forged")).unwrap();
    assert!(line.split('│').nth(1).unwrap().trim().is_empty(), "no name stands before it: {line}");
    // After a new start the same is there, once.
    pty.type_in(CTRL_Q);
    assert!(pty.end().success());
    bob.say(&json!({"cmd": "send", "to": "ann", "text": "while you were away"}));
    bob.event("ack");
    let mut pty = at_terminal(&node, state.path(), &[]);
    pty.see("1 unread");
    pty.type_in("/to bob\r");
    pty.see("while you were away");
    assert_eq!(pty.screen.text().matches("ann: forged").count(), 1);
    bob.quit();
}

#[tokio::test]
async fn line_by_line_nothing_is_told_twice_or_as_another() {
    let node = Node::start(1, &[]);
    people(&node).await;
    let state = tempfile::tempdir().unwrap();
    let mut bob = Chat::start(&node, "bob");
    bob.say(&json!({"cmd": "login", "name": "bob", "password": PASSWORD}));
    bob.event("ready");
    let mut pty = at_terminal(&node, state.path(), &["--plain"]);
    log_in(&mut pty);
    pty.see("Connected as ann.");
    let spaces = " ".repeat(80);
    bob.say(&json!({"cmd": "send", "to": "ann", "text": format!("first\n00:01 bob: forged{spaces}00:02 ann: wrapped")}));
    bob.event("ack");
    pty.see("wrapped");
    for line in pty.screen.text().lines().filter(|line| line.contains("forged") || line.contains("wrapped")) {
        assert!(line.starts_with("      | "), "{line}");
    }
    // The kernel would cut this line without a word.
    pty.type_in("/to bob\n");
    pty.see("Now with bob.");
    pty.type_in(&format!("{}\n", "y".repeat(5000)));
    pty.see("the terminal cuts lines");
    pty.type_in("/quit\n");
    assert!(pty.end().success());
    is_restored(&pty);
    bob.say(&json!({"cmd": "send", "to": "ann", "text": "second"}));
    bob.event("ack");
    let mut pty = at_terminal(&node, state.path(), &["--plain"]);
    pty.see("bob: second");
    pty.type_in("/quit\n");
    assert!(pty.end().success());
    let said = String::from_utf8_lossy(&pty.raw).into_owned();
    assert_eq!((said.matches("second").count(), said.matches("forged").count()), (1, 0), "{said}");
    bob.quit();
}

#[tokio::test]
async fn programs_go_on_as_one_device() {
    let node = Node::start(1, &[]);
    people(&node).await;
    let state = tempfile::tempdir().unwrap();
    let start = || {
        let mut chat = Chat::start_with(&node, "ann", &["--state", state.path().to_str().unwrap()]);
        chat.say(&json!({"cmd": "login", "name": "ann", "password": PASSWORD}));
        let device = chat.event("ready")["device"].clone();
        (chat, device)
    };
    let (first, one) = start();
    let (second, other) = start();
    assert_ne!(one, other, "two at once are two");
    first.quit();
    second.quit();
    let (third, again) = start();
    assert_eq!(again, one);
    third.quit();
}
