//! Login with tokens of identity providers, against one on loopback whose keys are made here.

use crate::issuer::{Idp, Mood, Signer, base64url};
use crate::world::{PASSWORD, World, bad_field, refused};
use api::{Database, Issuers, now_ms};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    first_sight_and_second_device
    names_that_are_taken
    without_a_password
    erased_and_seen_again
    older_than_a_logout_from_everywhere
    never_made_but_linked
}

/// The issuer as an operator's file has it, with some of it changed.
fn issuers(idp: &Idp, changes: Value) -> Issuers {
    let mut wanted = json!({
        "issuer": idp.url, "audiences": ["maru"], "algorithms": ["RS256", "ES256", "EdDSA"],
        "discovery": true, "create": "on_first_sight", "again_s": 1,
    });
    for (name, value) in changes.as_object().unwrap() {
        wanted[name] = value.clone();
    }
    let file = serde_json::from_value(json!({ "issuer": [wanted] })).unwrap();
    Issuers::new(file, &|_| Err("there is no https here".into())).unwrap()
}

impl World {
    async fn with_issuer(self, idp: &Idp, changes: Value) -> Self {
        let issuers = issuers(idp, changes);
        self.again(|settings| settings.issuers = issuers).await
    }

    async fn show(&self, jwt: &str) -> (StatusCode, Value) {
        self.post("/v1/login/jwt", &json!({ "jwt": jwt })).await
    }

    async fn let_in(&self, jwt: &str) -> Value {
        let (status, answer) = self.show(jwt).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn user(&self, login: &Value) -> Value {
        let path = format!("/v1/users/{}", login["user"].as_str().unwrap());
        self.get(&path, login["token"].as_str().unwrap()).await.1
    }

    /// Of one issuer's tokens, by outcome.
    async fn outcomes(&self, idp: &Idp, outcome: &str) -> u64 {
        self.metric(&format!("maru_jwt_total{{issuer=\"{}\",outcome=\"{outcome}\"}}", idp.url)).await
    }

    async fn fetches(&self, idp: &Idp, outcome: &str) -> u64 {
        self.metric(&format!("maru_issuer_fetches_total{{issuer=\"{}\",outcome=\"{outcome}\"}}", idp.url))
            .await
    }
}

async fn first_sight_and_second_device(world: World) {
    let idp = Idp::start(Signer::p256()).await;
    // Whoever may sign up says nothing about whom an issuer names.
    let issuers = issuers(&idp, json!({}));
    let world = world
        .again(|settings| {
            settings.issuers = issuers;
            settings.signup = api::Signup::Closed;
        })
        .await;
    let names = json!({ "preferred_username": "Minji", "name": "Kim Minji" });
    let jwt = idp.token("A-1", names.clone());
    let first = world.let_in(&jwt).await;
    let shown = world.user(&first).await;
    assert_eq!((&shown["name"], &shown["display_name"]), (&json!("Minji"), &json!("Kim Minji")));
    assert!(first["refresh"].as_str().unwrap().starts_with("mr1.") && first["chat"].is_string());
    // What a later token says of names changes nothing.
    let second = world.let_in(&idp.token("A-1", json!({ "preferred_username": "other" }))).await;
    assert_eq!(second["user"], first["user"]);
    assert_ne!(second["device"], first["device"]);
    assert_eq!(world.user(&second).await["name"], "Minji");
    let body = json!({ "jwt": jwt, "device": first["device"], "device_name": "phone" });
    let (status, again) = world.post("/v1/login/jwt", &body).await;
    assert_eq!((status, &again["device"]), (StatusCode::OK, &first["device"]));
    let (_, renewed) = world.post("/v1/token", &json!({ "refresh": again["refresh"] })).await;
    assert_eq!(renewed["device"], first["device"]);
    world.let_in(&jwt).await;
    let full = world.show(&jwt).await;
    refused(&full, 409, "too_many_devices");
    let body = json!({ "jwt": jwt, "replace": second["device"] });
    assert_eq!(world.post("/v1/login/jwt", &body).await.0, StatusCode::OK);
    // Another person of the same issuer, and the same subject byte by byte only.
    for subject in ["a-1", "A-2"] {
        assert_ne!(world.let_in(&idp.token(subject, json!({}))).await["user"], first["user"]);
    }
    assert_eq!(world.metric("maru_signups_total").await, 3);
    assert_eq!(world.metric("maru_passwords_hashed_total").await, 0);
    assert_eq!(world.outcomes(&idp, "good").await, 8);
    // A token of ours is no token of an issuer's, nor the other way round.
    refused(&world.show(first["token"].as_str().unwrap()).await, 401, "jwt_malformed");
    refused(&world.get("/v1/devices", &jwt).await, 401, "unauthenticated");
    for (body, field) in [
        (json!({}), "jwt"),
        (json!({ "jwt": jwt, "device": "x" }), "device"),
        (json!({ "jwt": jwt, "device": "1", "replace": "2" }), "replace"),
        (json!({ "jwt": jwt, "name": "minji" }), "name"),
    ] {
        bad_field(&world.post("/v1/login/jwt", &body).await, field);
    }
}

async fn names_that_are_taken(world: World) {
    let idp = Idp::start(Signer::ed25519()).await;
    let world = world.with_issuer(&idp, json!({})).await;
    world.signup("alice").await;
    let wanted = |name: &str| json!({ "preferred_username": name });
    let mut names = Vec::new();
    for (subject, name) in
        [("1", "alice"), ("2", "ALICE@example.org"), ("3", "admin"), ("4", "bob"), ("5", "!")]
    {
        let login = world.let_in(&idp.token(subject, wanted(name))).await;
        names.push(world.user(&login).await["name"].as_str().unwrap().to_owned());
    }
    assert!(names[0].starts_with("alice-") && names[0].len() == 14, "{names:?}");
    assert!(names[1].starts_with("ALICE-") && names[0][6..] != names[1][6..], "{names:?}");
    assert!(names[2].starts_with("admin-") || names[2].starts_with("user-"), "{names:?}");
    assert_eq!(names[3], "bob");
    assert!(names[4].starts_with("user-"), "{names:?}");
}

async fn without_a_password(world: World) {
    let idp = Idp::start(Signer::p256()).await;
    let world = world.with_issuer(&idp, json!({})).await;
    let jwt = idp.token("A", json!({ "preferred_username": "alice" }));
    let login = world.let_in(&jwt).await;
    let token = login["token"].as_str().unwrap();
    for password in ["!", "!issuer", "", PASSWORD] {
        let answer = world.post("/v1/login", &json!({ "name": "alice", "password": password })).await;
        refused(&answer, 401, "wrong_credentials");
    }
    assert_eq!(world.metric("maru_passwords_hashed_total").await, 4, "each costs what another's does");
    for (path, body) in [
        ("/v1/password", json!({ "old": "!issuer", "new": "another password" })),
        ("/v1/two-factor", json!({ "password": "!issuer" })),
        ("/v1/two-factor/recovery-codes", json!({ "password": "x", "code": "000000" })),
        ("/v1/two-factor/off", json!({ "password": "x", "code": "000000" })),
        ("/v1/account/delete", json!({ "password": "!issuer" })),
    ] {
        refused(&world.with(Method::POST, path, token, Some(body)).await, 409, "no_password");
    }
    // The operator's word: a password, beside which the tokens go on.
    let body = json!({ "name": "alice", "password": PASSWORD });
    assert_eq!(world.operate(Method::POST, "/v1/admin/password", Some(body)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.login("alice").await["user"], login["user"]);
    // Nobody makes the account one of those in bulk.
    let other = world.let_in(&idp.token("B", json!({ "preferred_username": "load000001" }))).await;
    assert_eq!(world.user(&other).await["name"], "load000001");
    let bulk = world.operate(Method::POST, "/v1/admin/users", Some(json!({ "count": 1 }))).await;
    refused(&bulk, 409, "name_taken");
}

async fn erased_and_seen_again(world: World) {
    let idp = Idp::start(Signer::p256()).await;
    let world = world.with_issuer(&idp, json!({})).await;
    let jwt = |subject: &str| idp.token(subject, json!({ "preferred_username": subject }));
    let first = world.let_in(&jwt("alice")).await;
    let bob = world.let_in(&jwt("bob")).await;
    let token = first["token"].as_str().unwrap();
    let leave = async |body: Value| world.with(Method::POST, "/v1/account/delete", token, Some(body)).await;
    for body in [json!({}), json!({ "password": "x", "jwt": jwt("alice") })] {
        bad_field(&leave(body).await, "password");
    }
    refused(&leave(json!({ "jwt": "x" })).await, 401, "jwt_malformed");
    refused(&leave(json!({ "jwt": jwt("bob") })).await, 401, "unauthenticated");
    refused(&leave(json!({ "jwt": jwt("carol") })).await, 403, "no_account");
    assert_eq!(leave(json!({ "jwt": jwt("alice") })).await.0, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/devices", token).await, 401, "unauthenticated");
    // Whoever comes again is somebody new, and the name is held.
    let second = world.let_in(&jwt("alice")).await;
    assert_ne!(second["user"], first["user"]);
    assert!(world.user(&second).await["name"].as_str().unwrap().starts_with("alice-"));
    let body = json!({ "user": bob["user"] });
    assert_eq!(world.operate(Method::POST, "/v1/admin/delete", Some(body)).await.0, StatusCode::NO_CONTENT);
    assert_ne!(world.let_in(&jwt("bob")).await["user"], bob["user"]);
}

async fn older_than_a_logout_from_everywhere(world: World) {
    let idp = Idp::start(Signer::p256()).await;
    let world = world.with_issuer(&idp, json!({})).await;
    let now_s = now_ms() / 1000;
    let old = idp.token("A", json!({ "iat": now_s - 5 }));
    let login = world.let_in(&old).await;
    let token = login["token"].as_str().unwrap();
    assert_eq!(
        world.with(Method::POST, "/v1/logout/all", token, Some(json!({}))).await.0,
        StatusCode::NO_CONTENT
    );
    refused(&world.show(&old).await, 401, "jwt_revoked");
    let new = world.let_in(&idp.token("A", json!({ "iat": now_s + 30 }))).await;
    assert_eq!(new["user"], login["user"]);
    let body = json!({ "user": login["user"] });
    assert_eq!(world.operate(Method::POST, "/v1/admin/revoke", Some(body)).await.0, StatusCode::NO_CONTENT);
    refused(&world.show(&old).await, 401, "jwt_revoked");
    assert_eq!(world.outcomes(&idp, "jwt_revoked").await, 2);
}

async fn never_made_but_linked(world: World) {
    let idp = Idp::start(Signer::p256()).await;
    let world = world.with_issuer(&idp, json!({ "create": "never", "subject_claim": "oid" })).await;
    world.signup("alice").await;
    let alice = world.login("alice").await;
    let jwt = idp.token("ignored", json!({ "oid": "A", "preferred_username": "alice" }));
    assert!(refused(&world.show(&jwt).await, 403, "no_account").contains("link"));
    let accounts = api::Accounts::open_existing(&world.database).await.unwrap();
    let user = protocol::UserId(alice["user"].as_str().unwrap().parse().unwrap());
    assert!(accounts.link(user, &idp.url, "A", now_ms()).await.unwrap());
    assert_eq!(world.let_in(&jwt).await["user"], alice["user"]);
    assert!(accounts.unlink(user, &idp.url, "A").await.unwrap());
    refused(&world.show(&jwt).await, 403, "no_account");
    refused(&world.show(&idp.token("A", json!({}))).await, 401, "jwt_claims");
    accounts.close().await;
}

#[tokio::test]
async fn tokens_that_are_no_good() {
    let idp = Idp::start(Signer::rsa()).await;
    let world = World::new().await;
    refused(&world.show("x").await, 403, "no_issuers");
    let world = world.with_issuer(&idp, json!({ "algorithms": ["RS256"], "token_s_max": 3600 })).await;
    let now_s = now_ms() / 1000;
    let good = idp.token("A", json!({}));
    let none = format!("{}.{}.", base64url(br#"{"alg":"none"}"#), good.split('.').nth(1).unwrap());
    let claims = idp.claims("A", json!({}));
    let header = |alg: &str| json!({ "alg": alg, "kid": "first" });
    // The published key as the secret of HS256.
    let modulus = Signer::rsa().jwk("first")["n"].as_str().unwrap().to_owned();
    let confused = {
        let signed =
            [header("HS256"), claims.clone()].map(|part| base64url(part.to_string().as_bytes())).join(".");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, modulus.as_bytes());
        format!("{signed}.{}", base64url(ring::hmac::sign(&key, signed.as_bytes()).as_ref()))
    };
    let (head, tail) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}{}", if tail.starts_with('A') { "B" } else { "A" }, &tail[1..]);
    for (jwt, code) in [
        ("x".to_owned(), "jwt_malformed"),
        ("x".repeat(12_289), "jwt_malformed"),
        (none, "jwt_algorithm"),
        (confused, "jwt_algorithm"),
        (Signer::p256().sign(&header("ES256"), &claims), "jwt_algorithm"),
        (Signer::ed25519().sign(&header("RS256"), &claims), "jwt_forged"),
        (forged, "jwt_forged"),
        (Signer::rsa().sign(&json!({ "alg": "RS256", "kid": "other" }), &claims), "jwt_unknown_key"),
        (idp.token("A", json!({ "iss": "https://other.example.org" })), "jwt_issuer"),
        (idp.token("A", json!({ "iss": format!("{}/", idp.url) })), "jwt_issuer"),
        (idp.token("A", json!({ "iss": null })), "jwt_claims"),
        (idp.token("A", json!({ "aud": "other" })), "jwt_audience"),
        (idp.token("A", json!({ "exp": now_s - 61 })), "jwt_expired"),
        (idp.token("A", json!({ "exp": null })), "jwt_claims"),
        (idp.token("A", json!({ "exp": now_s + 4000 })), "jwt_claims"),
        (idp.token("A", json!({ "nbf": now_s + 90 })), "jwt_not_yet"),
        (idp.token("", json!({})), "jwt_claims"),
    ] {
        let answer = world.show(&jwt).await;
        let words = refused(&answer, 401, code);
        assert!(answer.1["field"] == "jwt" && words.starts_with("the token cannot be taken: "), "{words}");
    }
    // Larger than a body.
    refused(&world.show(&"x".repeat(20_000)).await, 413, "too_large");
    // A token without kid is tried with the keys that there are.
    world.let_in(&Signer::rsa().sign(&json!({ "alg": "RS256" }), &claims)).await;
    world.let_in(&good).await;
    assert_eq!(world.outcomes(&idp, "jwt_claims").await, 3);
    assert_eq!(world.metric("maru_signups_total").await, 1);
}

#[tokio::test]
async fn a_shared_secret_and_a_file_of_keys() {
    let idp = Idp::start(Signer::ed25519()).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = "s".repeat(40);
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{secret}\n")).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let changes = json!({ "discovery": false, "secret_file": path, "algorithms": ["HS256"] });
    let world = World::new().await.with_issuer(&idp, changes).await;
    let sign = |secret: &str| {
        let parts = [json!({ "alg": "HS256" }), idp.claims("A", json!({}))];
        let signed = parts.map(|part| base64url(part.to_string().as_bytes())).join(".");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        format!("{signed}.{}", base64url(ring::hmac::sign(&key, signed.as_bytes()).as_ref()))
    };
    let user = world.let_in(&sign(&secret)).await["user"].clone();
    refused(&world.show(&sign("another")).await, 401, "jwt_forged");
    refused(&world.show(&idp.token("A", json!({}))).await, 401, "jwt_algorithm");
    let path = folder.path().join("jwks.json");
    let key = Signer::ed25519();
    std::fs::write(&path, json!({ "keys": [key.jwk("mine")] }).to_string()).unwrap();
    let changes = json!({ "discovery": false, "jwks_file": path, "algorithms": ["EdDSA"] });
    let world = world.with_issuer(&idp, changes).await;
    let header = |kid: &str| json!({ "alg": "EdDSA", "kid": kid });
    let claims = idp.claims("A", json!({}));
    assert_eq!(world.let_in(&key.sign(&header("mine"), &claims)).await["user"], user);
    refused(&world.show(&key.sign(&header("other"), &claims)).await, 401, "jwt_unknown_key");
    refused(&world.show(&sign(&secret)).await, 401, "jwt_algorithm");
    assert_eq!(idp.asked(), 0);
}

#[tokio::test]
async fn limits_hit_the_guilty() {
    let idp = Idp::start(Signer::p256()).await;
    let issuers = issuers(&idp, json!({}));
    let world = World::new().await;
    let world = world
        .again(|settings| {
            settings.issuers = issuers;
            settings.access.limits.issuer_users_per_h = 2;
            settings.access.limits.guess_refill_ms = 3_600_000;
        })
        .await;
    let first = world.let_in(&idp.token("0", json!({}))).await;
    for _ in 0..100 {
        refused(&world.show("x").await, 401, "jwt_malformed");
    }
    refused(&world.show("x").await, 429, "rate");
    // A good token does not wait for whoever shares the address, nor does a password.
    assert_eq!(world.let_in(&idp.token("0", json!({}))).await["user"], first["user"]);
    world.signup("alice").await;
    world.login("alice").await;
    // New people of the issuer do, but for those who are known.
    world.let_in(&idp.token("1", json!({}))).await;
    refused(&world.show(&idp.token("2", json!({}))).await, 429, "rate");
    world.let_in(&idp.token("1", json!({}))).await;
    for limit in ["jwt_address", "jwt_issuer"] {
        let refused = world.metric(&format!("maru_limit_refused_total{{limit=\"{limit}\"}}")).await;
        assert_eq!(refused, 1, "{limit}");
    }
}

/// Tries until it is let in; what else it hears on the way.
async fn eventually(world: &World, jwt: &str) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let (status, answer) = world.show(jwt).await;
        if status == StatusCode::OK {
            return heard;
        }
        assert!(answer["retry_after_ms"].as_u64().unwrap() > 0, "{answer}");
        heard.push(answer["code"].as_str().unwrap().to_owned());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn keys_that_change_and_an_issuer_that_goes() {
    let idp = Idp::start(Signer::p256()).await;
    let world = World::new().await.with_issuer(&idp, json!({})).await;
    let old = idp.token("A", json!({}));
    let login = world.let_in(&old).await;
    idp.rotate("second", Signer::ed25519());
    let new = idp.token("A", json!({}));
    let heard = eventually(&world, &new).await;
    assert!(heard.iter().all(|code| code == "jwt_unknown_key"), "{heard:?}");
    // The issuer no longer publishes the first: it may have lost it.
    refused(&world.show(&old).await, 401, "jwt_unknown_key");
    for mood in [Mood::Gone, Mood::Huge, Mood::Moved, Mood::Lying, Mood::Garbage, Mood::Failing] {
        idp.is(mood);
        let failed = world.fetches(&idp, "failed").await;
        while world.fetches(&idp, "failed").await == failed {
            let body = json!({ "jwt": new, "device": login["device"] });
            let (status, answer) = world.post("/v1/login/jwt", &body).await;
            assert_eq!((status, &answer["user"]), (StatusCode::OK, &login["user"]), "{mood:?}: {answer}");
            // Unknown keys make it ask, once a second at most.
            let unknown =
                Signer::p256().sign(&json!({ "alg": "ES256", "kid": "x" }), &idp.claims("A", json!({})));
            refused(&world.show(&unknown).await, 401, "jwt_unknown_key");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
    idp.is(Mood::Good);
    idp.rotate("third", Signer::ed25519());
    eventually(&world, &idp.token("A", json!({}))).await;
    // Another key under the same name.
    idp.rotate("third", Signer::ed25519());
    let body = json!({ "jwt": idp.token("A", json!({})), "device": login["device"] });
    for round in 0.. {
        let answer = world.post("/v1/login/jwt", &body).await;
        if answer.0 == StatusCode::OK {
            break;
        }
        assert!(round < 300, "a minute later it is still refused: {answer:?}");
        refused(&answer, 401, "jwt_forged");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(world.metric(&format!("maru_issuer_keys{{issuer=\"{}\"}}", idp.url)).await, 1);
}

#[tokio::test]
async fn an_issuer_that_was_never_there() {
    for mood in [Mood::Gone, Mood::Silent] {
        let idp = Idp::start(Signer::p256()).await;
        idp.is(mood);
        let world = World::new().await.with_issuer(&idp, json!({})).await;
        let jwt = idp.token("A", json!({}));
        let answer = world.show(&jwt).await;
        refused(&answer, 503, "issuer_unreachable");
        assert!(answer.1["retry_after_ms"].as_u64().unwrap() > 0);
        // Passwords and health go on meanwhile.
        world.signup("alice").await;
        world.login("alice").await;
        idp.is(Mood::Good);
        eventually(&world, &jwt).await;
    }
}

#[tokio::test]
async fn nobody_makes_us_a_hammer() {
    let idp = Idp::start(Signer::p256()).await;
    let world = World::new().await.with_issuer(&idp, json!({ "again_s": 300 })).await;
    world.let_in(&idp.token("A", json!({}))).await;
    let claims = idp.claims("A", json!({}));
    let stranger = Signer::p256();
    let tokens: Vec<String> =
        (0..60).map(|n| stranger.sign(&json!({ "alg": "ES256", "kid": format!("k{n}") }), &claims)).collect();
    let answers = tokens.iter().map(|jwt| world.show(jwt));
    let answers = futures(answers).await;
    for answer in &answers {
        refused(answer, 401, "jwt_unknown_key");
        assert!(answer.1["retry_after_ms"].as_u64().unwrap() > 200_000);
    }
    assert_eq!(idp.asked(), 1, "at the start");
}

/// All of them at once.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(move |cx| {
        all.retain_mut(|one| match one.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() {
            std::task::Poll::Ready(std::mem::take(&mut done))
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn the_account_has_a_second_factor_of_its_own() {
    let idp = Idp::start(Signer::p256()).await;
    let world = World::new().await.with_issuer(&idp, json!({ "create": "never" })).await;
    world.signup("alice").await;
    let alice = world.login("alice").await;
    let accounts = api::Accounts::open_existing(&Database::in_directory(world.data.path())).await.unwrap();
    let user = protocol::UserId(alice["user"].as_str().unwrap().parse().unwrap());
    accounts.link(user, &idp.url, "A", now_ms()).await.unwrap();
    accounts.close().await;
    let token = alice["token"].as_str().unwrap();
    let (_, begun) =
        world.with(Method::POST, "/v1/two-factor", token, Some(json!({ "password": PASSWORD }))).await;
    let code = totp(begun["secret"].as_str().unwrap());
    let (_, on) =
        world.with(Method::POST, "/v1/two-factor/confirm", token, Some(json!({ "code": code }))).await;
    let jwt = idp.token("A", json!({}));
    refused(&world.show(&jwt).await, 401, "code_required");
    let recovery = &on["recovery_codes"][0];
    let (status, _) = world.post("/v1/login/jwt", &json!({ "jwt": jwt, "code": recovery })).await;
    assert_eq!(status, StatusCode::OK);
}

/// The code of now (RFC 6238).
fn totp(secret: &str) -> String {
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = ring::hmac::sign(&key, &(now_ms() / 30_000).to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}
