//! The API through real HTTP on a loopback port of its own, against a core that remembers what it was asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::ports;
use crate::world::{FakeHomes, PASSWORD, World, bad_field, refused};
use api::{
    Access, Accounts, AdminTokens, Api, ChatUrl, Database, Keys, Lifetimes, Listeners, Parts, Settings,
    Signup, now_ms,
};
use protocol::token::{self, Claims, Key};
use protocol::{DeviceId, UserId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    sign_up_log_in_look_up_log_out
    names_and_passwords_are_checked
    two_sign_ups_at_once_make_one_account
    bodies_that_are_no_request
    paths_and_methods_that_are_none
    tokens_that_are_no_good
    devices_belong_to_one_user_and_have_a_bound
    guessing_is_slowed_down
    a_core_that_cannot_costs_nothing_for_ever
    health_and_readiness
    an_operator_makes_many_users_and_nobody_else_does
}

async fn sign_up_log_in_look_up_log_out(world: World) {
    let (status, made) = world.signup("Alice").await;
    assert_eq!(status, StatusCode::CREATED);
    let user = made["user"].as_str().unwrap();
    assert_eq!(world.homes.users.lock().unwrap().len(), 1, "the core knows a user from the sign-up on");

    let first = world.login("aLICE").await;
    assert_eq!((first["user"].as_str(), first["chat"].as_str()), (Some(user), Some("ws://127.0.0.1:7/ws")));
    let token = first["token"].as_str().unwrap();
    let claims = token::verify(&world.keys.all(), token, now_ms()).unwrap();
    assert_eq!(claims.user.to_string(), user);
    assert_eq!(claims.device.to_string(), first["device"].as_str().unwrap());
    assert_eq!(claims.expires_ms, first["expires_ms"].as_u64().unwrap());

    let again = json!({ "name": "alice", "password": PASSWORD, "device": first["device"] });
    let (_, second) = world.post("/v1/login", &again).await;
    assert_eq!(second["device"], first["device"]);
    assert_ne!(world.login("alice").await["device"], first["device"]);

    let found = (StatusCode::OK, json!({ "user": user, "name": "Alice", "display_name": "", "about": "" }));
    assert_eq!(world.get("/v1/users/by-name/ALICE", token).await, found);
    assert_eq!(world.get(&format!("/v1/users/{user}"), token).await, found);
    refused(&world.get("/v1/users/by-name/nobody", token).await, 404, "not_found");
    refused(&world.get("/v1/users/by-name/a%20b", token).await, 400, "bad_field");
    refused(&world.get("/v1/users/by-name/%ff", token).await, 400, "bad_field");
    refused(&world.get("/v1/users/77", token).await, 404, "not_found");
    refused(&world.get("/v1/users/-1", token).await, 400, "bad_field");

    let post = |path: &str| world.http.post(format!("{}{path}", world.base)).bearer_auth(token);
    let (status, renewed) = world.post("/v1/token", &json!({ "refresh": second["refresh"] })).await;
    assert_eq!((status, &renewed["device"]), (StatusCode::OK, &first["device"]));
    let (status, _) = world.send(post("/v1/logout")).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(*world.homes.removed.lock().unwrap(), [(claims.user, claims.device)]);
    refused(&world.send(post("/v1/logout")).await, 401, "unauthenticated");
    refused(&world.post("/v1/login", &again).await, 404, "not_found");
}

async fn names_and_passwords_are_checked(world: World) {
    world.signup("Bob").await;
    refused(&world.signup("ＢＯＢ").await, 409, "name_taken");
    assert!(refused(&world.signup("").await, 400, "bad_field").starts_with("name: 0 characters"));
    refused(&world.signup(&"a".repeat(33)).await, 400, "bad_field");
    refused(&world.signup("a b").await, 400, "bad_field");
    assert_eq!(world.signup(&"a".repeat(32)).await.0, StatusCode::CREATED);
    for (password, good) in [("x".repeat(7), false), ("x".repeat(1025), false), ("마".repeat(1024), true)] {
        let answer = world.post("/v1/signup", &json!({ "name": "carol", "password": password })).await;
        if good {
            assert_eq!(answer.0, StatusCode::CREATED, "{answer:?}");
        } else {
            assert!(refused(&answer, 400, "bad_field").starts_with("password: "));
        }
    }
    let wrong = world.post("/v1/login", &json!({ "name": "bob", "password": "wrong horse" })).await;
    let unknown = world.post("/v1/login", &json!({ "name": "nobody", "password": "wrong horse" })).await;
    let impossible = world.post("/v1/login", &json!({ "name": "no body", "password": "" })).await;
    refused(&wrong, 401, "wrong_credentials");
    assert_eq!((&wrong, &wrong), (&unknown, &impossible), "nothing tells them apart");
}

async fn two_sign_ups_at_once_make_one_account(world: World) {
    let body = json!({ "name": "twin", "password": PASSWORD });
    let (one, two) = tokio::join!(world.post("/v1/signup", &body), world.post("/v1/signup", &body));
    let (good, bad) = if one.0 == StatusCode::CREATED { (one, two) } else { (two, one) };
    assert_eq!(good.0, StatusCode::CREATED);
    refused(&bad, 409, "name_taken");
}

async fn bodies_that_are_no_request(world: World) {
    let post = |kind: &str, body: &str| {
        let request = world.http.post(format!("{}/v1/signup", world.base));
        world.send(request.header("content-type", kind).body(body.to_owned()))
    };
    refused(&post("text/plain", "{}").await, 415, "unsupported_media_type");
    refused(&post("application/json", "{").await, 400, "bad_json");
    refused(&post("application/json", "").await, 400, "bad_json");
    refused(&post("application/json", "\u{feff}{}").await, 400, "bad_json");
    refused(&post("application/json", "[[[[").await, 400, "bad_field");
    let two = r#"{"name":"dora","password":"12345678"} {}"#;
    refused(&post("application/json", two).await, 400, "bad_json");
    bad_field(&post("application/json; charset=utf-8", "{}").await, "name");
    let unknown = r#"{"name":"dora","password":"12345678","admin":true}"#;
    assert!(bad_field(&post("application/json", unknown).await, "admin").contains("admin"));
    let twice = r#"{"name":"dora","name":"dora","password":"12345678"}"#;
    bad_field(&post("application/json", twice).await, "name");
    bad_field(&post("application/json", r#"{"name":7,"password":"12345678"}"#).await, "name");
    let long = format!(r#"{{"name":"dora","password":"12345678","{}":1}}"#, "a".repeat(5000));
    let long = post("application/json", &long).await;
    assert_eq!((long.0.as_u16(), long.1["field"].as_str().unwrap().len()), (400, 100));
    let bare = world.http.post(format!("{}/v1/signup", world.base));
    refused(&world.send(bare).await, 415, "unsupported_media_type");
    let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(16 * 1024));
    refused(&post("application/json", &long).await, 413, "too_large");
    assert_eq!(world.homes.users.lock().unwrap().len(), 0);
}

async fn paths_and_methods_that_are_none(world: World) {
    refused(&world.get("/nothing", "x").await, 404, "not_found");
    refused(&world.get("/v2/signup", "x").await, 404, "not_found");
    refused(&world.get("/v1/signup", "x").await, 405, "method_not_allowed");
    let delete = world.http.request(Method::DELETE, format!("{}/v1/users/1", world.base));
    refused(&world.send(delete).await, 405, "method_not_allowed");
    let long = refused(&world.get(&format!("/{}", "a".repeat(3000)), "x").await, 404, "not_found");
    assert!(long.len() < 200);
    let answer = world.raw("this is not HTTP\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(40_000));
    let answer = world.raw(&head).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

async fn tokens_that_are_no_good(world: World) {
    world.signup("erin").await;
    let good = world.login("erin").await;
    let token = good["token"].as_str().unwrap();
    let claims = token::verify(&world.keys.all(), token, now_ms()).unwrap();
    let path = "/v1/users/by-name/erin";
    assert_eq!(world.get(path, token).await.0, StatusCode::OK);

    refused(&world.send(world.http.get(format!("{}{path}", world.base))).await, 401, "unauthenticated");
    let basic = world.http.get(format!("{}{path}", world.base)).basic_auth("erin", Some(PASSWORD));
    refused(&world.send(basic).await, 401, "unauthenticated");
    refused(&world.get(path, "nonsense").await, 401, "unauthenticated");
    refused(&world.get(path, &format!("{token}A")).await, 401, "unauthenticated");
    let unknown = Key { id: 99, ..world.keys.newest() };
    refused(&world.get(path, &token::sign(&unknown, &claims)).await, 401, "unauthenticated");
    let forged = Key { secret: [7; 32], ..world.keys.newest() };
    refused(&world.get(path, &token::sign(&forged, &claims)).await, 401, "unauthenticated");
    let sign = |claims: &Claims| token::sign(&world.keys.newest(), claims);
    let expired = Claims { expires_ms: now_ms(), ..claims };
    refused(&world.get(path, &sign(&expired)).await, 401, "expired");
    let elsewhere = Claims { device: DeviceId(5), ..claims };
    refused(&world.get(path, &sign(&elsewhere)).await, 401, "unauthenticated");
}

async fn devices_belong_to_one_user_and_have_a_bound(world: World) {
    world.signup("frank").await;
    world.signup("grace").await;
    let hers = world.login("grace").await["device"].clone();
    let with = |field: &str, value: &Value| json!({ "name": "frank", "password": PASSWORD, field: value });
    refused(&world.post("/v1/login", &with("device", &hers)).await, 404, "not_found");
    refused(&world.post("/v1/login", &with("device", &json!("x"))).await, 400, "bad_field");
    refused(&world.post("/v1/login", &with("device", &json!(5))).await, 400, "bad_field");
    let first = world.login("frank").await["device"].clone();
    for _ in 0..2 {
        world.login("frank").await;
    }
    let full = world.post("/v1/login", &json!({ "name": "frank", "password": PASSWORD })).await;
    refused(&full, 409, "too_many_devices");
    assert_eq!(full.1["devices"].as_array().unwrap().len(), 3);
    assert_eq!(world.post("/v1/login", &with("device", &first)).await.0, StatusCode::OK);
    let both = json!({ "name": "frank", "password": PASSWORD, "device": first, "replace": first });
    refused(&world.post("/v1/login", &both).await, 400, "bad_field");
    let (status, fourth) = world.post("/v1/login", &with("replace", &first)).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(fourth["device"], first);
    assert_eq!(world.homes.removed.lock().unwrap().len(), 1);
    // Somebody else's device is not replaced.
    refused(&world.post("/v1/login", &with("replace", &hers)).await, 409, "too_many_devices");
}

async fn guessing_is_slowed_down(world: World) {
    // What was taken does not come back while the test runs.
    let limits = api::Limits { guess_refill_ms: 3_600_000, ..api::Limits::default() };
    let world = world.again(|settings| settings.access = Access { limits, ..Access::default() }).await;
    world.signup("heidi").await;
    let guess = json!({ "name": "heidi", "password": "guess guess" });
    for _ in 0..10 {
        refused(&world.post("/v1/login", &guess).await, 401, "wrong_credentials");
    }
    let limited = world.post("/v1/login", &json!({ "name": "HEIDI", "password": PASSWORD })).await;
    refused(&limited, 429, "rate");
    assert!(limited.1["retry_after_ms"].as_u64().unwrap() > 0);
    world.signup("ivan").await;
    world.login("ivan").await;
    let (_, metrics) = world.watch("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    for line in [
        "maru_test 1",
        "maru_signups_total 2",
        r#"maru_logins_total{outcome="good"} 1"#,
        r#"maru_logins_total{outcome="wrong"} 10"#,
        r#"maru_logins_total{outcome="limited"} 1"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
}

async fn a_core_that_cannot_costs_nothing_for_ever(world: World) {
    world.signup("judy").await;
    let token = world.login("judy").await["token"].as_str().unwrap().to_owned();
    world.homes.broken.store(true, Ordering::Release);
    assert_eq!(world.signup("kate").await.0, StatusCode::CREATED);
    let body = json!({ "name": "kate", "password": PASSWORD });
    let busy = world.post("/v1/login", &body).await;
    refused(&busy, 503, "busy");
    assert!(busy.1["retry_after_ms"].as_u64().unwrap() > 0);
    assert_eq!(world.get("/v1/users/by-name/kate", &token).await.0, StatusCode::OK);
    let logout = || world.http.post(format!("{}/v1/logout", world.base)).bearer_auth(&token);
    refused(&world.send(logout()).await, 503, "busy");
    world.homes.broken.store(false, Ordering::Release);
    assert_eq!(world.homes.users.lock().unwrap().len(), 1);
    // Being looked up is enough to be known.
    world.get("/v1/users/by-name/kate", &token).await;
    assert_eq!(world.homes.users.lock().unwrap().len(), 2);
    assert_eq!(world.post("/v1/login", &body).await.0, StatusCode::OK);
    assert_eq!(world.send(logout()).await.0, StatusCode::NO_CONTENT);
}

async fn health_and_readiness(world: World) {
    assert_eq!(world.get("/healthz", "").await, (StatusCode::OK, json!("ok\n")));
    assert_eq!(world.watch("/healthz").await, (StatusCode::OK, json!("ok\n")));
    world.homes.stalled.store(true, Ordering::Release);
    let (all, operators) = (world.get("/healthz", "").await, world.watch("/healthz").await);
    refused(&all, 503, "stalled");
    refused(&operators, 503, "stalled");
    assert!(operators.1.to_string().contains("shard 3") && !all.1.to_string().contains("shard 3"));
    world.homes.stalled.store(false, Ordering::Release);
    let starting = world.watch("/readyz").await;
    refused(&starting, 503, "not_ready");
    assert!(starting.1.to_string().contains("shard 1 waits"), "in words: {starting:?}");
    let starting = world.get("/readyz", "").await;
    refused(&starting, 503, "not_ready");
    assert!(!starting.1.to_string().contains("shard"), "strangers are not told more: {starting:?}");
    world.homes.ready.store(true, Ordering::Release);
    assert_eq!(world.get("/readyz", "").await, (StatusCode::OK, json!("ready\n")));
    assert_eq!(world.watch("/readyz").await, (StatusCode::OK, json!("ready\n")));
}

async fn an_operator_makes_many_users_and_nobody_else_does(world: World) {
    let token = std::fs::read_to_string(world.data.path().join("admin.token")).unwrap();
    let ask = |token: &str, body: Value| {
        let request =
            world.http.post(format!("{}/v1/admin/users", world.admin)).bearer_auth(token).json(&body);
        world.send(request)
    };
    let wanted = json!({ "prefix": "bulk", "count": 3, "devices": 2 });
    let person = {
        world.signup("alice").await;
        world.login("alice").await["token"].as_str().unwrap().to_owned()
    };
    for wrong in ["", "x", &token.trim_end()[1..], &"0".repeat(64), &person] {
        refused(&ask(wrong, wanted.clone()).await, 401, "unauthenticated");
    }
    let (status, lines) = ask(token.trim_end(), wanted.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let lines = lines.as_str().unwrap().to_owned();
    let made: Vec<Vec<&str>> = lines.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(made.len(), 6);
    assert!(made[0][0] == made[1][0] && made[0][1] != made[1][1] && made[1][0] != made[2][0]);
    let users = world.homes.users.lock().unwrap().clone();
    assert!(made.iter().all(|line| users.contains(&UserId(line[0].parse().unwrap()))));
    let (status, found) = world.get("/v1/users/by-name/bulk000002", made[0][2]).await;
    assert_eq!((status, found["user"].as_str()), (StatusCode::OK, Some(made[2][0])));
    let (_, again) = ask(token.trim_end(), json!({ "prefix": "bulk", "from": 2, "count": 1 })).await;
    assert!(again.as_str().unwrap().starts_with(&format!("{}\t{}\t", made[2][0], made[2][1])));
    // A person's account is not given away, and nothing else was made.
    world.signup("bulk000005").await;
    refused(
        &ask(token.trim_end(), json!({ "prefix": "bulk", "from": 4, "count": 2 })).await,
        409,
        "name_taken",
    );
    refused(&world.get("/v1/users/by-name/bulk000004", made[0][2]).await, 404, "not_found");
    for (body, code) in [
        (json!({ "count": 0 }), "bad_field"),
        (json!({ "count": 5001 }), "bad_field"),
        (json!({ "count": 2000, "devices": 3 }), "bad_field"),
        (json!({ "count": 1, "devices": 4 }), "bad_field"),
        (json!({ "count": 1, "prefix": "_" }), "bad_field"),
        (json!({ "count": 1, "password": "x" }), "bad_field"),
        (json!({}), "bad_field"),
    ] {
        refused(&ask(token.trim_end(), body).await, 400, code);
    }
    world.homes.broken.store(true, Ordering::Release);
    let (status, answer) = ask(token.trim_end(), json!({ "count": 1 })).await;
    assert_eq!(answer["detail"], "not now", "an operator is told why");
    refused(&(status, answer), 503, "busy");
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let data = tempfile::tempdir().unwrap();
    let parts = Parts {
        accounts: Accounts::open(&Database::in_directory(data.path())).await.unwrap(),
        keys: Keys::open_or_create(data.path(), 1).unwrap(),
        admin: AdminTokens::open_or_create(data.path()).unwrap(),
        homes: Arc::new(FakeHomes::default()),
        settings: Settings {
            chat_url: ChatUrl::Port(7),
            token_ms: 1,
            lifetimes: Lifetimes { refresh_ms: 1, login_ms: 1 },
            devices_max: 1,
            hashers: 1,
            signup: Signup::Open,
            user_invites: 0,
            issuers: api::Issuers::default(),
            user_bots: 2,
            show_edits: true,
            history: api::History::Keep,
            bot_tokens: 3,
            access: Access::default(),
        },
    };
    let address = ports::own("127.0.0.1:0");
    let public = tokio::net::TcpListener::bind(&address).await.unwrap();
    let listeners = Listeners { public, ..crate::world::listeners().await };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(api::serve(listeners, Api::new(parts).unwrap(), async {
        let _ = ended.await;
    }));
    let idle = tokio::net::TcpStream::connect(&address).await.unwrap();
    end.send(()).unwrap();
    serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    drop(idle);
}
