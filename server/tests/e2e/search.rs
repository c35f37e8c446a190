//! Messages are found by their words: over HTTP, as soon as they are acknowledged or a moment later, by whom they are for and
//! nobody else, across restarts and without the index that was there before.

use std::time::Duration;

use client::session::Session;
use protocol::ChannelId;
use protocol::body::talk::Talk;
use serde_json::Value;

use crate::node::{Node, admin, maru};
use crate::people::{Device, PASSWORD, until};
use crate::pty::Pty;

/// What a search of a user gives. Who has asked too often, as one who waits for an index on a busy machine does, comes again when it
/// is told to.
#[track_caller]
fn search(node: &Node, token: &str, query: &str) -> Value {
    loop {
        let answer = node.ask("GET", &format!("/v1/search?{query}"), token, None);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let page: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        if page["code"] != "rate" {
            return page;
        }
        std::thread::sleep(Duration::from_millis(page["retry_after_ms"].as_u64().unwrap()));
    }
}

/// The snippets that are found, with what was found in brackets; the newest first.
fn found(node: &Node, token: &str, query: &str) -> Vec<String> {
    let page = search(node, token, query);
    let marked = |hit: &Value| {
        let mut text: Vec<String> = hit["snippet"].as_str().unwrap().chars().map(String::from).collect();
        for place in hit["highlights"].as_array().unwrap() {
            let [from, to] = [0, 1].map(|end| place[end].as_u64().unwrap() as usize);
            text[from].insert(0, '[');
            text[to - 1].push(']');
        }
        text.concat()
    };
    // None while the index is being opened, which is refused with a time to come again.
    page["hits"].as_array().map(|hits| hits.iter().map(marked).collect()).unwrap_or_default()
}

async fn until_found(node: &Node, token: &str, query: &str, expected: &[&str]) {
    until(&format!("{query} finds {expected:?}"), || found(node, token, query) == expected).await;
}

/// `maru admin search` with these words.
#[track_caller]
fn operate(node: &Node, args: &[&str]) -> String {
    let output = admin(&[&["search"], args, &["--data", node.data.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `한글` and `ㅎㄱ`, as they stand in an address.
const HANGUL: &str = "q=%ED%95%9C%EA%B8%80";
const INITIALS: &str = "q=%E3%85%8E%E3%84%B1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_is_found_by_whom_it_is_for_also_after_restarts_and_without_the_index() {
    let mut node = Node::start(2, &[]);
    let account = node.account();
    for name in ["ann", "bob", "eve"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let (ann, bob) = (Device::login(&account, "ann").await, Device::login(&account, "bob").await);
    let token = async |name: &str| node.account().login(name, PASSWORD, None).await.unwrap().token;
    let (ann_http, bob_http, eve) = (token("ann").await, token("bob").await, token("eve").await);
    let channel = ChannelId::direct(ann.user, bob.user);
    ann.say(channel, "내일은 한글날이에요").await;
    ann.say(channel, "Hello, World").await;
    let expected = ["내일은 [한글]날이에요"];
    for token in [&ann_http, &bob_http] {
        until_found(&node, token, HANGUL, &expected).await;
    }
    assert_eq!(found(&node, &bob_http, INITIALS), expected);
    until_found(&node, &bob_http, "q=WORLD", &["Hello, [World]"]).await;
    assert_eq!(found(&node, &bob_http, &format!("q=hello&channel={channel}")), ["[Hello], World"]);
    assert_eq!(found(&node, &bob_http, &format!("q=hello&sender={}", bob.user)), [""; 0]);
    let nothing = search(&node, &eve, "q=hello");
    assert_eq!(nothing, serde_json::json!({ "hits": [], "complete": true }), "nothing is said to a stranger");
    assert_eq!(search(&node, &eve, &format!("q=hello&channel={channel}")), nothing);
    for (query, field) in [("q=%22hello", "q"), ("q=-hello", "q"), ("q=%3F", "q"), ("q=a&after=x", "after")] {
        let refusal = search(&node, &ann_http, query);
        assert_eq!((&refusal["code"], &refusal["field"]), (&"bad_field".into(), &field.into()), "{refusal}");
    }

    let server = node.admin.clone();
    assert!(operate(&node, &["status", "--server", &server]).contains("documents\t2"));
    assert_eq!(node.metric("maru_search_documents", ""), 2);
    operate(&node, &["rebuild", "--server", &server]);
    until("it was read again", || node.metric("maru_search_changes_total", "") == 4).await;
    until_found(&node, &ann_http, HANGUL, &expected).await;

    // In the middle of whatever it does.
    ann.say(channel, "한글 하나 더").await;
    node.kill();
    node.up(2);
    let expected = ["[한글] 하나 더", "내일은 [한글]날이에요"];
    until_found(&node, &ann_http, HANGUL, &expected).await;
    assert_eq!(node.stop(), Some(0));
    assert!(operate(&node, &["status"]).contains("documents\t3"));
    // A directory that somebody removed, and one that is removed by command.
    std::fs::remove_dir_all(node.data.join("search")).unwrap();
    node.up(2);
    until_found(&node, &ann_http, HANGUL, &expected).await;
    assert_eq!(node.stop(), Some(0));
    operate(&node, &["rebuild"]);
    assert!(!node.data.join("search").exists());
    node.up(1);
    until_found(&node, &ann_http, HANGUL, &expected).await;
    assert_eq!(node.stop(), Some(0));
    node.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_mentions_one_is_found_over_http_and_in_the_terminal() {
    let node = Node::start(2, &[]);
    let account = node.account();
    for name in ["ann", "bob"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let (ann, bob) = (Device::login(&account, "ann").await, Device::login(&account, "bob").await);
    let channel = ChannelId::direct(ann.user, bob.user);
    ann.say(channel, "lunch tomorrow").await;
    let talk = Talk { mentions: vec![bob.user], ..Talk::default() };
    let say = move |session: &mut Session| session.send_talk(channel, "lunch at noon", &talk, None);
    ann.client().with_session(say).await.unwrap().unwrap();
    let token = async |name| account.login(name, PASSWORD, None).await.unwrap().token;
    // Whoever asks until it is there has few searches left, so it is the other who does.
    until_found(&node, &token("ann").await, "q=lunch", &["[lunch] at noon", "[lunch] tomorrow"]).await;
    let token = token("bob").await;
    for who in ["me".to_owned(), bob.user.to_string()] {
        assert_eq!(found(&node, &token, &format!("q=lunch&mentions={who}")), ["[lunch] at noon"]);
    }
    assert_eq!(found(&node, &token, &format!("q=lunch&mentions={}", ann.user)), [""; 0]);
    for strange in ["0", "you", "-1", ""] {
        let refusal = search(&node, &token, &format!("q=lunch&mentions={strange}"));
        assert_eq!(
            (&refusal["code"], &refusal["field"]),
            (&"bad_field".into(), &"mentions".into()),
            "{refusal}"
        );
    }

    let args = ["chat", "--server", &node.http, "--user", "bob", "--no-state", "--plain"];
    let mut terminal = Pty::start(maru(), &args, 120, 40);
    terminal.see("Password of bob:");
    terminal.until("silent", |pty| !pty.has_echo());
    terminal.type_in(&format!("{PASSWORD}\n"));
    terminal.see("Connected as bob.");
    terminal.type_in("/search to:me from:ann lunch\n");
    terminal.see("ann: [lunch] at noon");
    assert!(!terminal.screen.text().contains("[lunch] tomorrow"), "it mentions nobody");
    terminal.type_in("/search in:here lunch\n");
    terminal.see("begin with /to NAME");
    terminal.type_in("/search -lunch\n");
    terminal.see("without a minus");
    terminal.type_in("/search from:ann\n");
    terminal.see("/search WORDS;");
    terminal.type_in("/quit\n");
    assert!(terminal.end().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_search_is_off_it_says_so() {
    let node = Node::start(1, &["--search", "false"]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    let token = account.login("ann", PASSWORD, None).await.unwrap().token;
    assert_eq!(search(&node, &token, "q=hello")["code"], "search_off");
    assert!(operate(&node, &["status", "--server", &node.admin]).contains("on\tfalse"));
    assert!(!node.data.join("search").exists());
}
