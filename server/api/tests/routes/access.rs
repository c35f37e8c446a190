//! Hosts, pages and headers; operators' tokens and what they open.

use crate::world::{PASSWORD, World, refused};
use api::{Access, Scope, admin_tokens};
use protocol::web;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

impl World {
    async fn with_headers(&self, method: Method, url: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.http.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn code(&self, url: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let response = self.with_headers(Method::GET, url, headers).await;
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn on_loopback_a_page_that_points_its_name_here_is_refused() {
    let hosts = web::hosts("chat.example.org").unwrap();
    let world = World::with_access(Access { hosts, ..Access::default() }).await;
    for base in [&world.base, &world.admin] {
        let url = format!("{base}/healthz");
        for good in ["localhost:8080", "127.0.0.1", "[::1]:1", "chat.example.org", "app.localhost"] {
            assert_eq!(world.code(&url, &[("host", good)]).await.0, 200, "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example:8080", "a"] {
            assert_eq!(world.code(&url, &[("host", bad)]).await, (421, "wrong_host".into()), "{bad}");
        }
    }
    let twice = world
        .raw("GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
        .await;
    assert!(twice.starts_with("HTTP/1.1 421 ") || twice.starts_with("HTTP/1.1 400 "), "{twice}");
    assert!(world.raw("GET /healthz HTTP/1.0\r\n\r\n").await.ends_with("ok\n"), "a program without a Host");
    assert_eq!(world.metric("maru_http_refused_total{code=\"wrong_host\"}").await, 7);
}

#[tokio::test]
async fn pages_of_other_hosts_ask_when_they_are_listed() {
    let origins = web::origins("https://app.example.org").unwrap();
    let world = World::with_access(Access { origins, ..Access::default() }).await;
    let url = format!("{}/v1/login", world.base);
    let app = ("origin", "https://app.example.org");
    let asks =
        [app, ("access-control-request-method", "POST"), ("access-control-request-headers", "content-type")];
    let may = world.with_headers(Method::OPTIONS, &url, &asks).await;
    assert_eq!(
        (may.status(), header(&may, "access-control-allow-origin")),
        (StatusCode::NO_CONTENT, Some(app.1))
    );
    assert!(header(&may, "access-control-allow-headers").unwrap().contains("authorization"));
    assert!(header(&may, "access-control-allow-methods").unwrap().contains("POST"));
    assert_eq!(header(&may, "vary"), Some("origin"));
    assert_eq!(header(&may, "access-control-allow-credentials"), None, "tokens are no cookies");
    world.signup("ann").await;
    let body = json!({ "name": "ann", "password": PASSWORD });
    let answer = world.http.post(&url).header(app.0, app.1).json(&body).send().await.unwrap();
    assert_eq!(
        (answer.status(), header(&answer, "access-control-allow-origin")),
        (StatusCode::OK, Some(app.1))
    );
    // A refusal can be read as well.
    let wrong = world.http.post(&url).header(app.0, app.1).json(&json!({})).send().await.unwrap();
    assert_eq!((wrong.status().as_u16(), header(&wrong, "access-control-allow-origin")), (400, Some(app.1)));
    for bad in ["https://evil.example", "null", "http://app.example.org", "https://app.example.org:444"] {
        let asks = [("origin", bad), asks[1]];
        let may = world.with_headers(Method::OPTIONS, &url, &asks).await;
        assert_eq!(
            (may.status().as_u16(), header(&may, "access-control-allow-origin")),
            (403, None),
            "{bad}"
        );
        let answer = world.http.post(&url).header("origin", bad).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 403, "{bad}");
    }
    // Its own pages, whatever port they came from, and programs.
    let own =
        world.http.post(&url).header("origin", "http://127.0.0.1:3000").json(&body).send().await.unwrap();
    assert_eq!((own.status(), header(&own, "access-control-allow-origin")), (StatusCode::OK, None));
    // No list opens the admin listener to pages.
    let admin = format!("{}/metrics", world.admin);
    assert_eq!(world.code(&admin, &[app]).await, (403, "wrong_origin".into()));
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let world = World::with_access(Access { hsts_s: 600, ..Access::default() }).await;
    world.signup("ann").await;
    let body = json!({ "name": "ann", "password": PASSWORD });
    let login = world.http.post(format!("{}/v1/login", world.base)).json(&body).send().await.unwrap();
    let missing = world.with_headers(Method::GET, &format!("{}/nothing", world.base), &[]).await;
    let host = world
        .with_headers(Method::GET, &format!("{}/healthz", world.base), &[("host", "evil.example")])
        .await;
    for response in [&login, &missing, &host] {
        assert_eq!(header(response, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(response, "cache-control"), Some("no-store"));
        assert_eq!(header(response, "strict-transport-security"), Some("max-age=600"));
    }
    let metrics = world.with_headers(Method::GET, &format!("{}/metrics", world.admin), &[]).await;
    assert_eq!(header(&metrics, "x-content-type-options"), Some("nosniff"));
    assert_eq!(header(&metrics, "strict-transport-security"), None, "no TLS is in front of it");
    let world = World::new().await;
    let plain = world.with_headers(Method::GET, &format!("{}/healthz", world.base), &[]).await;
    assert_eq!(header(&plain, "strict-transport-security"), None);
}

#[tokio::test]
async fn each_token_opens_what_its_scope_says() {
    let world = World::with_access(Access { metrics_token: true, ..Access::default() }).await;
    let make = |scope| admin_tokens::add(world.data.path(), scope, "test", 1).unwrap();
    let (metrics, users, all) = (make(Scope::Metrics), make(Scope::Users), make(Scope::All));
    let first = std::fs::read_to_string(world.data.path().join("admin.token")).unwrap();
    world.signup("ann").await;
    let person = world.login("ann").await["token"].as_str().unwrap().to_owned();
    let read = |token: String| {
        let request = world.http.get(format!("{}/metrics", world.admin));
        world.send(if token.is_empty() { request } else { request.bearer_auth(token) })
    };
    let manage = |token: String| {
        let request = world.http.post(format!("{}/v1/admin/revoke", world.admin)).bearer_auth(token);
        world.send(request.json(&json!({ "name": "nobody" })))
    };
    for (token, reads, manages) in [
        (metrics.1.clone(), 200, 403),
        (users.1.clone(), 403, 404),
        (all.1.clone(), 200, 404),
        (first.trim().to_owned(), 200, 404),
        (person, 401, 401),
        ("0".repeat(64), 401, 401),
        (String::new(), 401, 401),
    ] {
        assert_eq!(read(token.clone()).await.0.as_u16(), reads, "metrics with {token}");
        assert_eq!(manage(token.clone()).await.0.as_u16(), manages, "users with {token}");
    }
    let words = refused(&manage(metrics.1.clone()).await, 403, "scope");
    assert!(words.contains("metrics") && words.contains("users"), "{words}");
    // Rotated while it runs: the new one counts before the old one is removed.
    let next = make(Scope::Metrics);
    assert_eq!(read(next.1.clone()).await.0.as_u16(), 200);
    assert!(admin_tokens::remove(world.data.path(), metrics.0).unwrap());
    assert_eq!((read(metrics.1).await.0.as_u16(), read(next.1).await.0.as_u16()), (401, 200));
}
