//! Limits meet who brings them about: real clients behind proxies, strangers and known devices, sign-ups, look-ups.

use std::sync::Arc;

use crate::world::{PASSWORD, World, refused};
use api::{Access, Limits, Networks, Proxies, ProxyHeader, now_ms};
use protocol::token::{self, Claims};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

on_both! {
    a_known_device_does_not_wait_for_strangers
    sign_ups_and_look_ups_have_limits_that_are_counted
}

/// What was taken does not come back while a test runs.
fn access() -> Access {
    let limits = Limits { guess_refill_ms: 3_600_000 * 24, ..Limits::default() };
    Access { limits, ..Access::default() }
}

fn behind_proxies() -> Access {
    let trusted = Networks::parse("127.0.0.1,10.0.0.0/8").unwrap();
    Access { proxies: Proxies { trusted, header: ProxyHeader::XForwardedFor }, ..access() }
}

impl World {
    /// A login with these headers.
    async fn log_in(&self, name: &str, password: &str, headers: &[(&str, &str)]) -> (StatusCode, Value) {
        let body = json!({ "name": name, "password": password });
        let mut request = self.http.post(format!("{}/v1/login", self.base)).json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// Guesses until a limit refuses.
    async fn guess(&self, name: &str, headers: &[(&str, &str)]) -> usize {
        for guesses in 0..1000 {
            let answer = self.log_in(name, "guess guess", headers).await;
            if answer.0 == StatusCode::TOO_MANY_REQUESTS {
                return guesses;
            }
            refused(&answer, 401, "wrong_credentials");
        }
        panic!("no limit");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_each_client_has_its_own_limit() {
    let world = World::with_access(behind_proxies()).await;
    world.signup("heidi").await;
    let guesses = world.guess("heidi", &[("x-forwarded-for", "203.0.113.9")]).await;
    assert_eq!(guesses, 10);
    // Made-up hops, the other header, another proxy of ours in between: it is the same client.
    for forged in
        ["1.2.3.4, 203.0.113.9", "127.0.0.1, 203.0.113.9", "203.0.113.9, 10.0.0.2", "203.0.113.9:99"]
    {
        let headers =
            [("x-forwarded-for", forged), ("forwarded", "for=198.51.100.1"), ("x-real-ip", "198.51.100.2")];
        refused(&world.log_in("heidi", PASSWORD, &headers).await, 429, "rate");
    }
    for other in ["192.0.2.1", "203.0.113.9, 192.0.2.1", "2001:db8::1"] {
        let answer = world.log_in("heidi", PASSWORD, &[("x-forwarded-for", other)]).await;
        assert_eq!(answer.0, StatusCode::OK, "{other} {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_proxy_cannot_be_another_client() {
    let world = World::with_access(access()).await;
    world.signup("heidi").await;
    let mut refused_at = 0;
    for guess in 0..30 {
        let forged = format!("198.51.100.{guess}");
        let headers = [("x-forwarded-for", forged.as_str()), ("forwarded", "for=198.51.100.1")];
        if world.log_in("heidi", "guess guess", &headers).await.0 == StatusCode::TOO_MANY_REQUESTS {
            refused_at = guess;
            break;
        }
    }
    assert_eq!(refused_at, 10);
}

async fn a_known_device_does_not_wait_for_strangers(world: World) {
    let world = world.again(|settings| settings.access = access()).await;
    for name in ["heidi", "ivan"] {
        world.signup(name).await;
    }
    let (known, other) = (world.login("heidi").await, world.login("ivan").await);
    let bearer = |token: &str| format!("Bearer {token}");
    let fresh = bearer(known["token"].as_str().unwrap());
    let claims = token::verify(&world.keys.all(), known["token"].as_str().unwrap(), now_ms()).unwrap();
    let expired = bearer(&token::sign(&world.keys.newest(), &Claims { expires_ms: 1, ..claims }));
    world.guess("heidi", &[]).await;
    refused(&world.log_in("heidi", PASSWORD, &[]).await, 429, "rate");
    for shown in [&fresh, &expired] {
        let (status, answer) = world.log_in("heidi", PASSWORD, &[("authorization", shown)]).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        // A device of its own each time: it makes room again.
        let token = answer["token"].as_str().unwrap();
        world.send(world.http.post(format!("{}/v1/logout", world.base)).bearer_auth(token)).await;
    }
    // What shows nothing, or not this account's device, is a stranger's.
    let forged = token::Key { secret: [7; 32], ..world.keys.newest() };
    let forged = bearer(&token::sign(&forged, &claims));
    let made_up = Claims { device: protocol::DeviceId(5), ..claims };
    let made_up = bearer(&token::sign(&world.keys.newest(), &made_up));
    let foreign = bearer(other["token"].as_str().unwrap());
    for shown in ["Bearer x", "Basic aGVpZGk6", &forged, &made_up, &foreign] {
        refused(&world.log_in("heidi", PASSWORD, &[("authorization", shown)]).await, 429, "rate");
    }
    // A thief of the token guesses no faster than anybody.
    let guesses = world.guess("heidi", &[("authorization", &fresh)]).await;
    assert_eq!(guesses, 10);
    assert!(world.metric("maru_limit_refused_total{limit=\"login_device\"}").await > 0);
    // Logged out, it is known no more; nor is it from before a logout from everywhere.
    let ended = world.login("ivan").await;
    let ended = bearer(ended["token"].as_str().unwrap());
    let logout = world.http.post(format!("{}/v1/logout", world.base)).header("authorization", &ended);
    assert_eq!(world.send(logout).await.0, StatusCode::NO_CONTENT);
    world.guess("ivan", &[]).await;
    refused(&world.log_in("ivan", PASSWORD, &[("authorization", &ended)]).await, 429, "rate");
    assert_eq!(world.log_in("ivan", PASSWORD, &[("authorization", &foreign)]).await.0, StatusCode::OK);
}

async fn sign_ups_and_look_ups_have_limits_that_are_counted(world: World) {
    let limits =
        Limits { address_signups_per_h: 2, signups_per_h: 3, user_lookups_per_h: 2, ..Limits::default() };
    let world = world.again(|settings| settings.access = Access { limits, ..behind_proxies() }).await;
    let sign_up = |name: &'static str, from: &'static str| {
        let body = json!({ "name": name, "password": PASSWORD });
        let request = world.http.post(format!("{}/v1/signup", world.base)).json(&body);
        world.send(request.header("x-forwarded-for", from))
    };
    assert_eq!(sign_up("ann", "192.0.2.1").await.0, StatusCode::CREATED);
    // Whoever asks after names that are taken pays as well; who makes a mistake does not.
    refused(&sign_up("a b", "192.0.2.1").await, 400, "bad_field");
    refused(&sign_up("ann", "192.0.2.1").await, 409, "name_taken");
    let third = sign_up("bob", "192.0.2.1").await;
    refused(&third, 429, "rate");
    assert!(third.1["retry_after_ms"].as_u64().unwrap() > 1_000_000, "{third:?}");
    assert_eq!(sign_up("bob", "192.0.2.2").await.0, StatusCode::CREATED);
    refused(&sign_up("eve", "192.0.2.3").await, 429, "rate");
    for (limit, bound, count) in [("signup_address", 2, 1), ("signup_all", 3, 1), ("lookup_user", 2, 0)] {
        let of = |name: &str| format!("{name}{{limit=\"{limit}\"}}");
        assert_eq!(world.metric(&of("maru_limit")).await, bound);
        assert_eq!(world.metric(&of("maru_limit_refused_total")).await, count, "{limit}");
    }
    let (ann, bob) = (world.login("ann").await, world.login("bob").await);
    let look = |path: &'static str, who: &Value| {
        let token = who["token"].as_str().unwrap().to_owned();
        let world = &world;
        async move { world.get(path, &token).await }
    };
    assert_eq!(look("/v1/users/by-name/bob", &ann).await.0, StatusCode::OK);
    refused(&look("/v1/users/by-name/nobody", &ann).await, 404, "not_found");
    refused(&look("/v1/users/by-name/bob", &ann).await, 429, "rate");
    refused(&look("/v1/users/77", &ann).await, 429, "rate");
    assert_eq!(look("/v1/users/by-name/ann", &bob).await.0, StatusCode::OK);
    assert_eq!(world.metric("maru_limit_refused_total{limit=\"lookup_user\"}").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sign_ups_at_once_keep_nobody_out() {
    let world = Arc::new(World::with_access(Access::default()).await);
    world.signup("heidi").await;
    let known = world.login("heidi").await;
    let mut crowd = JoinSet::new();
    // One address may 100 an hour: more of them than the queue holds, and then more than the limit.
    for number in 0..200 {
        let world = world.clone();
        crowd.spawn(async move { world.signup(&format!("crowd{number}")).await });
    }
    let bearer = format!("Bearer {}", known["token"].as_str().unwrap());
    let again = world.log_in("heidi", PASSWORD, &[("authorization", &bearer)]).await;
    assert_eq!(again.0, StatusCode::OK, "{again:?}");
    let other = world.log_in("heidi", PASSWORD, &[]).await;
    assert_eq!(other.0, StatusCode::OK, "{other:?}");
    assert_eq!(world.watch("/healthz").await.0, StatusCode::OK);
    let (mut made, mut busy, mut limited) = (0, 0, 0);
    while let Some(answer) = crowd.join_next().await {
        let (status, answer) = answer.unwrap();
        let retry_ms = answer["retry_after_ms"].as_u64();
        match status.as_u16() {
            201 => made += 1,
            503 => busy += 1,
            429 => limited += 1,
            _ => panic!("{status} {answer}"),
        }
        assert!(status == StatusCode::CREATED || retry_ms.is_some_and(|retry_ms| retry_ms > 0), "{answer}");
    }
    // Some were told to come again: a sign-up that was not tried is not counted against them.
    assert!(made > 0 && made + busy + limited == 200, "{made} {busy} {limited}");
    assert_eq!(world.metric("maru_limit_refused_total{limit=\"hash_signup\"}").await, busy);
}
