//! The ports against those who want to hold them, and operators' tokens, with the real binary and its defaults.

use std::io::Write;
use std::net::TcpStream;

use client::account::{Extras, Login};

use crate::node::{Node, admin};
use crate::people::PASSWORD;

/// Connections that never speak, and those that ask and never read; fewer where descriptors do not suffice.
const SILENT: u64 = 2800;
const DEAF: u64 = 1100;
/// Descriptors that this process wants for other tests.
const OTHERS: u64 = 1000;

/// A device that shows the token it was given.
fn known(login: &Login) -> Extras<'_> {
    Extras { token: Some(&login.token), ..Extras::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_silence_nor_deafness_holds_the_port() {
    let node = Node::start(2, &[]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    let ann = account.login("ann", PASSWORD, None).await.unwrap();
    let address = node.http.trim_start_matches("http://").to_owned();
    let descriptors =
        rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = |of: u64| of.min(descriptors.saturating_sub(OTHERS) * of / (SILENT + DEAF));
    assert!(share(DEAF) > 256, "too few descriptors to fill the places: ulimit -n {descriptors}");
    let mut enemies = Vec::new();
    let ask = "GET /v1/nothing HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(400);
    for _ in 0..share(DEAF) {
        let mut deaf = TcpStream::connect(&address).unwrap();
        deaf.set_nonblocking(true).unwrap();
        // One that has given way already takes no more.
        let _ = deaf.write(ask.as_bytes());
        enemies.push(deaf);
    }
    for _ in 0..share(SILENT) {
        enemies.push(TcpStream::connect(&address).unwrap());
    }
    for person in 0..5 {
        assert!(node.admin_raw("GET /healthz HTTP/1.0\r\n\r\n").ends_with("ok\n"));
        assert!(node.http_raw("GET /readyz HTTP/1.0\r\n\r\n").ends_with("ready\n"));
        account.login_with("ann", PASSWORD, Some(ann.device), known(&ann)).await.unwrap();
        account.login("ann", PASSWORD, Some(ann.device)).await.unwrap();
        account.signup(&format!("person{person}"), PASSWORD).await.unwrap();
    }
    assert!(node.metric("maru_http_gave_way_total", "public") >= share(DEAF) + share(SILENT) - 1024);
    assert_eq!(node.metric("maru_http_gave_way_total", "admin"), 0);
    drop(enemies);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_guesses_does_not_keep_others_of_the_address_out() {
    const PEOPLE: usize = 30;
    let node = Node::start(2, &["--guess-refill-ms", "3600000"]);
    let (account, mut guesses) = (node.account(), 0);
    let mut people = Vec::new();
    for person in 0..PEOPLE {
        let name = format!("person{person}");
        account.signup(&name, PASSWORD).await.unwrap();
        people.push((account.login(&name, PASSWORD, None).await.unwrap(), name));
    }
    // At the names of all and at made-up ones, until the address as a whole is refused.
    while account.login(&format!("person{guesses}"), "guess guess", None).await.unwrap_err().code() != "rate"
    {
        guesses += 1;
    }
    assert_eq!(guesses, 100);
    assert_eq!(account.login("person1", PASSWORD, None).await.unwrap_err().code(), "rate");
    let mut logins = tokio::task::JoinSet::new();
    for (login, name) in people {
        let account = account.clone();
        logins.spawn(
            async move { account.login_with(&name, PASSWORD, Some(login.device), known(&login)).await },
        );
    }
    while let Some(login) = logins.join_next().await {
        login.unwrap().unwrap();
    }
    assert!(node.metric("maru_limit_refused_total", "login_address") >= 2);
}

#[test]
fn tokens_of_operators_come_and_go_while_it_runs() {
    let node = Node::start(1, &["--metrics-token", "always"]);
    let data = node.data.to_str().unwrap().to_owned();
    let run = |args: &[&str]| {
        let output = admin(&[&["tokens"], args, &["--data", &data]].concat());
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), words)
    };
    let (made, token, _) = run(&["add", "--scope", "metrics", "--name", "prometheus"]);
    let token = token.trim().to_owned();
    assert!(made && token.len() == 64, "{token}");
    let status = |token: &str| node.ask_admin("GET", "/metrics", token, None)[9..12].to_owned();
    assert_eq!((status(&token), status(&"0".repeat(64))), ("200".into(), "401".into()));
    let answer = node.ask_admin("POST", "/v1/admin/users", &token, Some(r#"{"count":1}"#));
    assert!(answer.starts_with("HTTP/1.0 403 ") && answer.contains("\"scope\""), "{answer}");
    let (_, listed, _) = run(&["list"]);
    assert!(listed.starts_with("1\tmetrics\t") && listed.ends_with("\tprometheus\n"), "{listed}");
    let file = node.data.with_file_name("token");
    std::fs::write(&file, &token).unwrap();
    let stats = |more: &[&str]| admin(&[&["stats", "--server", &node.admin], more].concat());
    assert!(stats(&["--token-file", file.to_str().unwrap()]).status.success());
    assert!(String::from_utf8_lossy(&stats(&[]).stderr).contains("401"));
    assert!(run(&["remove", "1"]).0);
    assert_eq!(status(&token), "401");
    let (done, _, words) = run(&["remove", "1"]);
    assert!(!done && words.contains("no token 1"), "{words}");
    let (done, _, words) = run(&["add", "--scope", "root"]);
    assert!(!done && words.contains("metrics, users or all"), "{words}");
}
