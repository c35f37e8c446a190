//! The second factor through HTTP: what it keeps out, and whom it lets in again.

use std::sync::atomic::Ordering;

use crate::world::{PASSWORD, World, refused};
use api::now_ms;
use hmac::{Hmac, Mac};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    it_is_on_when_a_code_has_shown_that_the_app_has_it
    a_login_wants_it_and_a_code_is_good_once
    what_was_spent_for_nothing_is_given_back
    guesses_are_few_and_lock_no_other_account
    turning_it_off_needs_both_and_the_operator_neither
    a_token_that_is_no_good_changes_no_second_factor
}

/// An authenticator app: RFC 6238 by itself, so that the server's own is not asked about itself. `ahead` steps of 30
/// seconds from now, of which the server takes one either side: a test never needs more than the two that it cannot miss.
fn code(secret: &str, ahead: u64) -> String {
    code_at(secret, now_ms() / 30_000 + ahead)
}

fn code_at(secret: &str, step: u64) -> String {
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key).unwrap();
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// A code that is none of those which are good about now.
fn wrong(secret: &str) -> String {
    let now = now_ms() / 30_000;
    let good: Vec<String> = (now - 9..now + 9).map(|step| code_at(secret, step)).collect();
    (0..).map(|n| format!("{n:06}")).find(|code| !good.contains(code)).unwrap()
}

impl World {
    async fn with_body(&self, method: Method, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
        self.with(method, path, token, Some(body)).await
    }

    async fn state(&self, token: &str) -> (bool, u64) {
        let (_, state) = self.get("/v1/two-factor", token).await;
        (state["on"].as_bool().unwrap(), state["recovery_codes"].as_u64().unwrap())
    }

    async fn with_code(&self, name: &str, code: &str) -> (StatusCode, Value) {
        self.post("/v1/login", &json!({ "name": name, "password": PASSWORD, "code": code })).await
    }

    /// Signs up and turns it on: a token, the secret and the recovery codes.
    async fn with_second_factor(&self, name: &str) -> (String, String, Vec<String>) {
        self.signup(name).await;
        let token = self.login(name).await["token"].as_str().unwrap().to_owned();
        let begun =
            self.with_body(Method::POST, "/v1/two-factor", &token, json!({ "password": PASSWORD })).await;
        let secret = begun.1["secret"].as_str().unwrap_or_else(|| panic!("{begun:?}")).to_owned();
        let confirm = json!({ "code": code(&secret, 0) });
        let (status, answer) = self.with_body(Method::POST, "/v1/two-factor/confirm", &token, confirm).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let codes = answer["recovery_codes"].as_array().unwrap();
        let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        (token, secret, codes)
    }

    /// As if time had passed.
    async fn forget_spent_codes(&self) {
        let pool = sqlx::AnyPool::connect(&self.url).await.unwrap();
        sqlx::query("UPDATE second_factors SET last_step = 0").execute(&pool).await.unwrap();
        pool.close().await;
    }
}

async fn it_is_on_when_a_code_has_shown_that_the_app_has_it(world: World) {
    world.signup("alice").await;
    let token = world.login("alice").await["token"].as_str().unwrap().to_owned();
    let begin = |password: &'static str| {
        world.with_body(Method::POST, "/v1/two-factor", &token, json!({ "password": password }))
    };
    let confirm = |code: String| {
        world.with_body(Method::POST, "/v1/two-factor/confirm", &token, json!({ "code": code }))
    };
    assert_eq!(world.state(&token).await, (false, 0));
    refused(&confirm("000000".into()).await, 409, "two_factor_off");
    refused(&begin("wrong horse").await, 401, "wrong_credentials");
    let (status, first) = begin(PASSWORD).await;
    assert_eq!(status, StatusCode::OK);
    let request = world.http.post(format!("{}/v1/two-factor", world.base)).bearer_auth(&token);
    let answer = request.json(&json!({ "password": PASSWORD })).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let begun: Value = answer.json().await.unwrap();
    let secret = begun["secret"].as_str().unwrap();
    assert_ne!(first["secret"], begun["secret"]);
    let uri = begun["uri"].as_str().unwrap();
    assert!(
        uri.starts_with("otpauth://totp/Maru:alice%40127.0.0.1?secret=") && uri.contains(secret),
        "{uri}"
    );
    assert_eq!(world.state(&token).await, (false, 0), "nothing is asked for yet");
    world.login("alice").await;
    refused(&confirm(wrong(secret)).await, 401, "wrong_code");
    refused(&confirm(code(first["secret"].as_str().unwrap(), 0) + "0").await, 401, "wrong_code");
    let (status, answer) = confirm(code(secret, 0)).await;
    assert_eq!((status, answer["recovery_codes"].as_array().unwrap().len()), (StatusCode::OK, 10));
    assert_eq!(world.state(&token).await, (true, 10));
    refused(&confirm(code(secret, 1)).await, 409, "two_factor_on");
    refused(&begin(PASSWORD).await, 409, "two_factor_on");
    refused(&world.get("/v1/two-factor", "x").await, 401, "unauthenticated");
}

async fn a_login_wants_it_and_a_code_is_good_once(world: World) {
    let (token, secret, recovery) = world.with_second_factor("alice").await;
    let plain = json!({ "name": "alice", "password": PASSWORD });
    refused(&world.post("/v1/login", &plain).await, 401, "code_required");
    // A wrong password says nothing about a second factor.
    let guess = json!({ "name": "alice", "password": "wrong horse", "code": code(&secret, 1) });
    refused(&world.post("/v1/login", &guess).await, 401, "wrong_credentials");
    for bad in ["", "12345", "abc", &wrong(&secret), "a".repeat(9000).as_str()] {
        refused(&world.with_code("alice", bad).await, 401, "wrong_code");
    }
    let step = now_ms() / 30_000;
    let now = code_at(&secret, step + 1);
    let (one, two) = tokio::join!(world.with_code("alice", &now), world.with_code("alice", &now));
    let (good, bad) = if one.0 == StatusCode::OK { (one, two) } else { (two, one) };
    assert_eq!(good.0, StatusCode::OK);
    refused(&bad, 401, "wrong_code");
    // The step before it is spent too.
    refused(&world.with_code("alice", &code_at(&secret, step)).await, 401, "wrong_code");

    let device = good.1["device"].clone();
    let again = |code: &str| json!({ "name": "alice", "password": PASSWORD, "device": device, "code": code });
    let (status, answer) =
        world.post("/v1/login", &again(&recovery[0].to_uppercase().replace('-', " "))).await;
    assert_eq!((status, &answer["device"]), (StatusCode::OK, &device), "{answer}");
    refused(&world.post("/v1/login", &again(&recovery[0])).await, 401, "wrong_code");
    assert_eq!(world.state(&token).await, (true, 9));
    // Tokens that were given are renewed without it.
    let renewal = json!({ "refresh": good.1["refresh"] });
    assert_eq!(
        world.post("/v1/token", &renewal).await.0,
        StatusCode::UNAUTHORIZED,
        "a later login of the device"
    );
    let renewal = json!({ "refresh": answer["refresh"] });
    assert_eq!(world.post("/v1/token", &renewal).await.0, StatusCode::OK);
    // Who has none is not asked, whatever is sent.
    world.signup("bob").await;
    assert_eq!(world.with_code("bob", "123456").await.0, StatusCode::OK);
}

async fn what_was_spent_for_nothing_is_given_back(world: World) {
    let (_, secret, recovery) = world.with_second_factor("alice").await;
    assert_eq!(world.with_code("alice", &recovery[0]).await.0, StatusCode::OK);
    assert_eq!(world.with_code("alice", &recovery[1]).await.0, StatusCode::OK);
    let full = world.with_code("alice", &recovery[2]).await;
    refused(&full, 409, "too_many_devices");
    let now = code(&secret, 1);
    refused(&world.with_code("alice", &now).await, 409, "too_many_devices");
    world.homes.broken.store(true, Ordering::Release);
    refused(&world.with_code("alice", &now).await, 503, "busy");
    world.homes.broken.store(false, Ordering::Release);
    for code in [&now, &recovery[2]] {
        let replace = json!({
            "name": "alice", "password": PASSWORD, "code": code, "replace": full.1["devices"][0],
        });
        let (status, answer) = world.post("/v1/login", &replace).await;
        if code == &now {
            assert_eq!(status, StatusCode::OK, "{answer}");
        } else {
            // The place was given away, so this is refused once more and the code is good still.
            refused(&(status, answer), 409, "too_many_devices");
        }
    }
}

async fn guesses_are_few_and_lock_no_other_account(world: World) {
    let (token, secret, recovery) = world.with_second_factor("alice").await;
    let (_, other, _) = world.with_second_factor("bob").await;
    for _ in 0..10 {
        refused(&world.with_code("alice", &wrong(&secret)).await, 401, "wrong_code");
    }
    let limited = world.with_code("alice", &code(&secret, 1)).await;
    refused(&limited, 429, "rate");
    assert!(limited.1["retry_after_ms"].as_u64().unwrap() > 300_000, "{limited:?}");
    refused(&world.with_code("alice", &recovery[0]).await, 429, "rate");
    let off = json!({ "password": PASSWORD, "code": recovery[0] });
    refused(&world.with_body(Method::POST, "/v1/two-factor/off", &token, off).await, 429, "rate");
    assert_eq!(world.state(&token).await, (true, 10), "her device goes on, and nothing is spent");
    assert_eq!(world.with_code("bob", &code(&other, 1)).await.0, StatusCode::OK);
}

async fn turning_it_off_needs_both_and_the_operator_neither(world: World) {
    let (token, secret, recovery) = world.with_second_factor("alice").await;
    let off = |password: &'static str, code: String| {
        world.with_body(
            Method::POST,
            "/v1/two-factor/off",
            &token,
            json!({ "password": password, "code": code }),
        )
    };
    refused(&off("wrong horse", code(&secret, 1)).await, 401, "wrong_credentials");
    refused(&off(PASSWORD, wrong(&secret)).await, 401, "wrong_code");
    let none =
        world.with_body(Method::POST, "/v1/two-factor/off", &token, json!({ "password": PASSWORD })).await;
    refused(&none, 400, "bad_field");
    let fresh = json!({ "password": PASSWORD, "code": recovery[0] });
    let (status, others) =
        world.with_body(Method::POST, "/v1/two-factor/recovery-codes", &token, fresh).await;
    assert_eq!((status, world.state(&token).await), (StatusCode::OK, (true, 10)));
    refused(&off(PASSWORD, recovery[1].clone()).await, 401, "wrong_code");
    let other = others["recovery_codes"][0].as_str().unwrap().to_owned();
    assert_eq!(off(PASSWORD, other).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.state(&token).await, (false, 0));
    world.login("alice").await;
    assert_eq!(off(PASSWORD, "000000".into()).await.0, StatusCode::NO_CONTENT, "off is off");
    let codes = json!({ "password": PASSWORD, "code": "000000" });
    refused(
        &world.with_body(Method::POST, "/v1/two-factor/recovery-codes", &token, codes).await,
        409,
        "two_factor_off",
    );

    let (_, secret, _) = world.with_second_factor("bob").await;
    let operator = std::fs::read_to_string(world.data.path().join("admin.token")).unwrap();
    let operate = |token: &str, body: Value| {
        let (world, token) = (&world, token.trim().to_owned());
        async move { world.with(Method::POST, "/v1/admin/two-factor-off", &token, Some(body)).await }
    };
    refused(&operate(&token, json!({ "name": "bob" })).await, 401, "unauthenticated");
    refused(&operate(&operator, json!({ "name": "carol" })).await, 404, "not_found");
    refused(&operate(&operator, json!({ "name": "bob", "device": "7" })).await, 400, "bad_field");
    refused(
        &world.post("/v1/login", &json!({ "name": "bob", "password": PASSWORD })).await,
        401,
        "code_required",
    );
    for _ in 0..2 {
        assert_eq!(operate(&operator, json!({ "name": "BOB " })).await.0, StatusCode::NO_CONTENT);
    }
    world.login("bob").await;
    // It can be set up again, with another secret; the old app is of no use.
    world.forget_spent_codes().await;
    let token = world.login("bob").await["token"].as_str().unwrap().to_owned();
    let (_, begun) =
        world.with_body(Method::POST, "/v1/two-factor", &token, json!({ "password": PASSWORD })).await;
    assert_ne!(begun["secret"].as_str(), Some(secret.as_str()));
}

/// Whoever logged out, or whose token is of before a logout from everywhere, changes nothing.
async fn a_token_that_is_no_good_changes_no_second_factor(world: World) {
    let (token, secret, recovery) = world.with_second_factor("alice").await;
    let all = world.with_body(Method::POST, "/v1/logout/all", &token, json!({})).await;
    assert_eq!(all.0, StatusCode::NO_CONTENT);
    for path in ["/v1/two-factor/off", "/v1/two-factor/recovery-codes"] {
        let both = json!({ "password": PASSWORD, "code": recovery[0] });
        refused(&world.with_body(Method::POST, path, &token, both).await, 401, "unauthenticated");
    }
    let begin = json!({ "password": PASSWORD });
    refused(&world.with_body(Method::POST, "/v1/two-factor", &token, begin).await, 401, "unauthenticated");
    let confirm = json!({ "code": code(&secret, 1) });
    refused(
        &world.with_body(Method::POST, "/v1/two-factor/confirm", &token, confirm).await,
        401,
        "unauthenticated",
    );
    assert_eq!(world.with_code("alice", &recovery[0]).await.0, StatusCode::OK);
}
