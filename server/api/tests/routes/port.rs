//! The HTTP port against those who want to hold it: who does not speak, does not read, does not end. Nothing here is decided
//! by time: what has to happen is waited for.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::world::{World, refused};
use api::limits::Patience;
use api::{Access, Limits};
use reqwest::StatusCode;
use serde_json::json;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);
/// Nobody is ended by time.
const PATIENT: Patience = Patience { head: LONG, request: LONG, stalled: LONG, exchange: LONG, long: LONG };

fn access(connections_max: usize, address_connections_max: usize, patience: Patience) -> Access {
    let limits = Limits { connections_max, address_connections_max, patience, ..Limits::default() };
    Access { limits, ..Access::default() }
}

fn connect(base: &str) -> TcpStream {
    TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap()
}

/// Reads to the end on a thread of its own.
async fn rest(mut stream: TcpStream) -> String {
    let read = tokio::task::spawn_blocking(move || {
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    read.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_always_gets_in_and_health_is_never_touched() {
    let world = World::with_access(access(24, 16, PATIENT)).await;
    // Some say nothing, some half of a head, some half of a body, some ask and never read.
    let says = [
        "",
        "GET /healthz HTTP/1.1\r\nhost: 127",
        "POST /v1/signup HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
        "GET /nothing HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\nGET /nothing HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    ];
    let enemies: Vec<_> = (0..60)
        .map(|number| {
            let mut stream = connect(&world.base);
            stream.write_all(says[number % says.len()].as_bytes()).unwrap();
            stream
        })
        .collect();
    for round in 0..20 {
        let answer = world.raw("GET /healthz HTTP/1.0\r\n\r\n").await;
        assert!(answer.ends_with("ok\n"), "{round}: {answer}");
        assert_eq!(world.watch("/healthz").await.0, StatusCode::OK);
    }
    assert!(world.metric("maru_http_connections{port=\"public\"}").await <= 16);
    // 60 enemies and 20 good ones had 16 places; of the good ones those that were served first left theirs.
    assert!(world.metric("maru_http_gave_way_total{port=\"public\"}").await >= 44);
    assert_eq!(world.metric("maru_http_gave_way_total{port=\"admin\"}").await, 0);
    assert_eq!(world.metric("maru_http_cut_total{port=\"public\"}").await, 0);
    drop(enemies);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_cut() {
    let world = World::with_access(access(1024, 256, Patience { stalled: SHORT, ..PATIENT })).await;
    let mut stream = connect(&world.base);
    let asking = tokio::task::spawn_blocking(move || {
        let request = format!("GET /{} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", "x".repeat(90));
        let many = request.repeat(100);
        // Without a reader this ends only when the server ends it.
        while stream.write_all(many.as_bytes()).is_ok() {}
    });
    asking.await.unwrap();
    assert_eq!(world.metric("maru_http_cut_total{port=\"public\"}").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::with_access(access(1024, 256, Patience { request: SHORT, ..PATIENT })).await;
    let mut stream = connect(&world.base);
    let head = "POST /v1/signup HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"timeout\""), "{answer}");
    let world = World::with_access(access(1024, 256, Patience { exchange: SHORT, ..PATIENT })).await;
    let mut stream = connect(&world.base);
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(rest(stream).await, "", "the exchange as a whole has an end");
    assert_eq!(world.metric("maru_http_cut_total{port=\"public\"}").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_of_a_small_answer_is_served() {
    let world = World::with_access(access(1024, 256, Patience { stalled: SHORT, ..PATIENT })).await;
    let mut stream = connect(&world.base);
    stream.write_all(b"GET /nothing HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").unwrap();
    // The kernel has all of it, so nothing waits for the reader. Had it been cut, its bytes would be missing.
    tokio::time::sleep(3 * SHORT).await;
    let answer = tokio::task::spawn_blocking(move || {
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while stream.read(&mut byte).unwrap() > 0 {
            answer.push(byte[0]);
        }
        String::from_utf8(answer).unwrap()
    });
    assert!(answer.await.unwrap().contains("\"not_found\""));
    assert_eq!(world.metric("maru_http_cut_total{port=\"public\"}").await, 0);
}

#[tokio::test]
async fn each_listener_has_its_own_routes() {
    let world = World::new().await;
    let token = std::fs::read_to_string(world.data.path().join("admin.token")).unwrap();
    let post = |base: &str, path: &str, body: serde_json::Value| {
        let request = world.http.post(format!("{base}{path}")).bearer_auth(token.trim()).json(&body);
        world.send(request)
    };
    refused(&world.get("/metrics", token.trim()).await, 404, "not_found");
    for path in ["users", "token", "revoke", "password", "delete", "two-factor-off", "invites"] {
        let path = format!("/v1/admin/{path}");
        refused(&post(&world.base, &path, json!({ "count": 1 })).await, 404, "not_found");
        let there = post(&world.admin, &path, json!({ "unheard of": 1 })).await;
        assert_eq!(there.0, StatusCode::BAD_REQUEST, "{path}");
    }
    let (status, _) = post(&world.admin, "/v1/admin/users", json!({ "count": 1 })).await;
    assert_eq!(status, StatusCode::CREATED);
    for path in ["/v1/signup", "/v1/login", "/v1/token"] {
        refused(&post(&world.admin, path, json!({})).await, 404, "not_found");
    }
    assert_eq!(world.watch("/metrics").await.0, StatusCode::OK);
}
