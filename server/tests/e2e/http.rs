//! Bad requests: to the HTTP port, and HTTP that is no upgrade at the chat port. Each has its status and word, and is
//! counted.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::node::{Node, exchange};
use crate::pair::Pair;
use crate::people::{PASSWORD, until};
use crate::raw::REQUEST;

fn post(path: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn json_post(path: &str, body: &Value) -> String {
    post(path, "application/json", &body.to_string())
}

fn bare(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_is_answered_in_words_and_counted() {
    let node = Node::start(2, &[]);
    let pair = Pair::start(&node).await;
    let good = json!({ "name": "carol", "password": PASSWORD });
    let mut unknown = good.clone();
    unknown["admin"] = json!(true);
    let mut typed = good.clone();
    typed["name"] = json!(7);
    let huge = json!({ "name": "carol", "password": "x".repeat(20_000) });
    let users = "/v1/users/by-name/well";
    let bearer = format!(
        "GET {users} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nauthorization: Bearer m1.x.y\r\n\r\n"
    );
    for (request, status, code) in [
        (post("/v1/signup", "application/json", "{\"name\":"), 400, "bad_json"),
        (post("/v1/signup", "application/json", "\u{0}\u{1}"), 400, "bad_json"),
        (post("/v1/signup", "application/json", ""), 400, "bad_json"),
        (post("/v1/signup", "application/json", &"[".repeat(10_000)), 400, "bad_field"),
        (json_post("/v1/signup", &unknown), 400, "bad_field"),
        (json_post("/v1/signup", &typed), 400, "bad_field"),
        (json_post("/v1/signup", &json!({ "name": "carol" })), 400, "bad_field"),
        (json_post("/v1/signup", &json!({ "name": "car ol", "password": PASSWORD })), 400, "bad_field"),
        (json_post("/v1/signup", &json!({ "name": "carol", "password": "short" })), 400, "bad_field"),
        (json_post("/v1/signup", &huge), 413, "too_large"),
        (json_post("/v1/signup", &json!({ "name": "WELL", "password": PASSWORD })), 409, "name_taken"),
        (post("/v1/signup", "text/plain", &good.to_string()), 415, "unsupported_media_type"),
        (bare("GET /v1/signup"), 405, "method_not_allowed"),
        (bare("DELETE /healthz"), 405, "method_not_allowed"),
        (bare("GET /metrics"), 404, "not_found"),
        (json_post("/v1/admin/users", &json!({ "count": 1 })), 404, "not_found"),
        (bare("GET /v1/nothing"), 404, "not_found"),
        (bare("GET /../../etc/passwd"), 404, "not_found"),
        (
            json_post("/v1/login", &json!({ "name": "nobody", "password": PASSWORD })),
            401,
            "wrong_credentials",
        ),
        (bare(&format!("GET {users}")), 401, "unauthenticated"),
        (bearer, 401, "unauthenticated"),
    ] {
        let label = format!("\"{code}\"");
        let before = node.metric("maru_http_refused_total", &label);
        let answer = node.http_raw(&request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request}\n{answer}"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{head}");
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)), "{body}");
        assert!(body["detail"].as_str().is_some_and(|words| !words.is_empty()));
        assert_eq!(node.metric("maru_http_refused_total", &label), before + 1, "{code} is counted");
    }
    // No HTTP at all, a head without end, a head that never comes whole.
    let broken = || node.metric("maru_http_broken_total", "");
    let before = broken();
    assert!(node.http_raw("\u{16}\u{3}\u{1}").starts_with("HTTP/1.1 400 "));
    let endless = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(10_000));
    assert!(node.http_raw(&endless).starts_with("HTTP/1.1 431 "));
    let silent = TcpStream::connect(node.http.trim_start_matches("http://")).unwrap();
    assert!(is_over(silent), "silence is ended");
    until("all three are counted", || broken() >= before + 3).await;
    pair.beat().await;
    pair.end().await;
}

/// The server ends it, with or without a word.
fn is_over(mut stream: TcpStream) -> bool {
    use std::io::Read;
    stream.set_read_timeout(Some(crate::node::PATIENCE)).unwrap();
    stream.read_to_end(&mut Vec::new()).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chat_port_takes_upgrades_only() {
    let node = Node::start(2, &[]);
    let pair = Pair::start(&node).await;
    let refused = || node.metric("maru_upgrades_refused_total", "");
    let huge = REQUEST.replacen("\r\n\r\n", &format!("\r\np: {}\r\n\r\n", "x".repeat(10_000)), 1);
    for (request, status) in [
        (REQUEST.replacen("/ws", "/", 1), 404),
        (REQUEST.replacen("GET", "POST", 1), 405),
        (REQUEST.replacen("websocket", "h2c", 1), 426),
        (REQUEST.replacen("Version: 13", "Version: 8", 1), 426),
        (REQUEST.replacen("dGhlIHNhbXBsZSBub25jZQ==", "short", 1), 400),
        (REQUEST.replacen("HTTP/1.1", "HTTP/1.0", 1), 400),
        (huge, 431),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400),
    ] {
        let before = refused();
        let answer = exchange(&node.chat_address(), request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{answer}");
        assert_eq!(refused(), before + 1, "{request}");
    }
    pair.beat().await;
    pair.end().await;
}
