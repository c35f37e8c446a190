//! Refresh tokens over HTTP: each gives the next pair once; whoever shows an old one ends the device, in the core too.

use std::sync::atomic::Ordering;

use crate::world::{PASSWORD, World, bad_field, refused};
use api::now_ms;
use protocol::token;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    a_refresh_token_gives_the_next_pair
    an_old_one_ends_the_device_everywhere
    while_the_core_is_away_nothing_is_given
    whatever_ends_a_device_ends_its_refresh_tokens
    logins_end
    texts_that_are_no_refresh_token
    devices_have_names_and_are_seen
}

impl World {
    async fn renew(&self, refresh: &Value) -> (StatusCode, Value) {
        self.post("/v1/token", &json!({ "refresh": refresh })).await
    }

    async fn renewed(&self, refresh: &Value) -> Value {
        let (status, pair) = self.renew(refresh).await;
        assert_eq!(status, StatusCode::OK, "{pair}");
        pair
    }

    fn devices_in_core(&self) -> usize {
        self.homes.devices.lock().unwrap().len()
    }
}

fn token_of(pair: &Value) -> &str {
    pair["token"].as_str().unwrap()
}

async fn a_refresh_token_gives_the_next_pair(world: World) {
    world.signup("alice").await;
    let first = world.login("alice").await;
    let second = world.renewed(&first["refresh"]).await;
    assert_eq!((&second["user"], &second["device"]), (&first["user"], &first["device"]));
    assert!(
        second["refresh"] != first["refresh"] && second["refresh_expires_ms"].as_u64().unwrap() > now_ms()
    );
    let claims = token::verify(&world.keys.all(), token_of(&second), now_ms()).unwrap();
    assert_eq!(claims.device.to_string(), second["device"].as_str().unwrap());
    assert_eq!(world.get("/v1/devices", token_of(&second)).await.0, StatusCode::OK);
    // The answer was lost: the same again, also when many ask at once.
    let (one, two) = tokio::join!(world.renewed(&first["refresh"]), world.renewed(&first["refresh"]));
    assert_eq!((&one["refresh"], &two["refresh"]), (&second["refresh"], &second["refresh"]));
    let (one, two) = tokio::join!(world.renewed(&second["refresh"]), world.renewed(&second["refresh"]));
    assert_eq!(one["refresh"], two["refresh"]);
    // An access token renews nothing, and a refresh token opens nothing.
    let bare = world.with(Method::POST, "/v1/token", token_of(&one), None).await;
    refused(&bare, 415, "unsupported_media_type");
    refused(&world.renew(&one["token"]).await, 401, "unauthenticated");
    let refresh = one["refresh"].as_str().unwrap();
    refused(&world.get("/v1/devices", refresh).await, 401, "unauthenticated");
    // It survives a restart of the server.
    let refresh = one["refresh"].clone();
    let world = world.again(|_| {}).await;
    world.renewed(&refresh).await;
}

async fn an_old_one_ends_the_device_everywhere(world: World) {
    world.signup("alice").await;
    let (phone, desk) = (world.login("alice").await, world.login("alice").await);
    let second = world.renewed(&phone["refresh"]).await;
    let third = world.renewed(&second["refresh"]).await;
    let reused = world.renew(&phone["refresh"]).await;
    refused(&reused, 401, "token_reused");
    assert_eq!(reused.1["field"], "refresh");
    for pair in [&phone, &second, &third] {
        refused(&world.renew(&pair["refresh"]).await, 401, "unauthenticated");
        refused(&world.get("/v1/devices", token_of(pair)).await, 401, "unauthenticated");
    }
    assert_eq!(world.homes.removed.lock().unwrap().len(), 1, "the core has forgotten it");
    // Nobody else's, and no other device.
    world.renewed(&desk["refresh"]).await;
    assert_eq!(world.devices_in_core(), 1);
    let again = json!({ "name": "alice", "password": PASSWORD, "device": phone["device"] });
    refused(&world.post("/v1/login", &again).await, 404, "not_found");
}

async fn while_the_core_is_away_nothing_is_given(world: World) {
    world.signup("alice").await;
    let first = world.login("alice").await;
    let second = world.renewed(&first["refresh"]).await;
    let third = world.renewed(&second["refresh"]).await;
    world.homes.broken.store(true, Ordering::Release);
    // The old one is shown: from then on the newest is worth nothing either.
    for pair in [&first, &third, &second, &first] {
        refused(&world.renew(&pair["refresh"]).await, 503, "busy");
    }
    world.homes.broken.store(false, Ordering::Release);
    refused(&world.renew(&third["refresh"]).await, 401, "token_reused");
    refused(&world.renew(&third["refresh"]).await, 401, "unauthenticated");
    assert_eq!(world.devices_in_core(), 0);
}

async fn whatever_ends_a_device_ends_its_refresh_tokens(world: World) {
    let world = world.again(|settings| settings.devices_max = 16).await;
    world.signup("alice").await;
    let keep = world.login("alice").await;
    let dead = async |pair: &Value| refused(&world.renew(&pair["refresh"]).await, 401, "unauthenticated");
    let gone = world.login("alice").await;
    assert_eq!(world.with(Method::POST, "/v1/logout", token_of(&gone), None).await.0, StatusCode::NO_CONTENT);
    dead(&gone).await;
    let gone = world.login("alice").await;
    let path = format!("/v1/devices/{}", gone["device"].as_str().unwrap());
    world.with(Method::DELETE, &path, token_of(&keep), None).await;
    dead(&gone).await;
    let gone = world.login("alice").await;
    let login = json!({ "name": "alice", "password": PASSWORD, "replace": gone["device"] });
    let (_, other) = world.post("/v1/login", &login).await;
    dead(&gone).await;
    // Another login of the same device.
    let login = json!({ "name": "alice", "password": PASSWORD, "device": other["device"] });
    let (_, newer) = world.post("/v1/login", &login).await;
    dead(&other).await;
    world
        .operate(
            Method::POST,
            "/v1/admin/revoke",
            Some(json!({ "name": "alice", "device": newer["device"] })),
        )
        .await;
    dead(&newer).await;
    // Everywhere: the one that stays has a new one too.
    let gone = world.login("alice").await;
    let body = Some(json!({ "keep_this": true }));
    let (_, kept) = world.with(Method::POST, "/v1/logout/all", token_of(&keep), body).await;
    for pair in [&gone, &keep] {
        dead(pair).await;
    }
    let kept = world.renewed(&kept["refresh"]).await;
    let gone = world.login("alice").await;
    let body = Some(json!({ "old": PASSWORD, "new": "another horse" }));
    let (_, fresh) = world.with(Method::POST, "/v1/password", token_of(&kept), body).await;
    for pair in [&gone, &kept] {
        dead(pair).await;
    }
    // Others stay when it is asked for; this one's older token does not.
    let login = json!({ "name": "alice", "password": "another horse" });
    let (_, stays) = world.post("/v1/login", &login).await;
    let body = Some(json!({ "old": "another horse", "new": "third horse", "keep_devices": true }));
    let (_, fresher) = world.with(Method::POST, "/v1/password", token_of(&fresh), body).await;
    dead(&fresh).await;
    let stays = world.renewed(&stays["refresh"]).await;
    world.operate(Method::POST, "/v1/admin/revoke", Some(json!({ "name": "alice" }))).await;
    for pair in [&fresher, &stays] {
        dead(pair).await;
    }
}

async fn logins_end(world: World) {
    let world = world.again(|settings| settings.lifetimes.refresh_ms = 0).await;
    world.signup("alice").await;
    let pair = world.login("alice").await;
    let ended = world.renew(&pair["refresh"]).await;
    refused(&ended, 401, "expired");
    // The device is still there: it logs in again.
    assert_eq!(world.devices_in_core(), 1);
    let again = json!({ "name": "alice", "password": PASSWORD, "device": pair["device"] });
    assert_eq!(world.post("/v1/login", &again).await.0, StatusCode::OK);
}

async fn texts_that_are_no_refresh_token(world: World) {
    world.signup("alice").await;
    let pair = world.login("alice").await;
    let good = pair["refresh"].as_str().unwrap();
    let cut = &good[..good.len() - 1];
    let foreign = format!("{}{}", &good[..4], "0".repeat(64));
    for wrong in
        ["", " ", cut, &format!("{good}0"), &good.replace("mr1", "mr2"), &foreign, "' OR ''='", "마루"]
    {
        let answer = world.renew(&json!(wrong)).await;
        refused(&answer, 401, "unauthenticated");
        assert_eq!(answer.1["field"], "refresh");
    }
    for wrong in [json!(7), json!(null), json!([good]), json!({ "refresh": good })] {
        bad_field(&world.renew(&wrong).await, "refresh");
    }
    bad_field(&world.post("/v1/token", &json!({})).await, "refresh");
    bad_field(&world.post("/v1/token", &json!({ "refresh": good, "device": "1" })).await, "device");
    // None of it has ended anything.
    world.renewed(&pair["refresh"]).await;
}

async fn devices_have_names_and_are_seen(world: World) {
    world.signup("alice").await;
    let login = async |name: Value| {
        let body = json!({ "name": "alice", "password": PASSWORD, "device_name": name });
        world.post("/v1/login", &body).await
    };
    for wrong in [json!(""), json!("  "), json!("x".repeat(65)), json!("a\nb"), json!("a\u{0}"), json!(7)] {
        bad_field(&login(wrong).await, "device_name");
    }
    assert_eq!(world.devices_in_core(), 0, "what is refused makes no device");
    let before_ms = now_ms();
    let (status, phone) = login(json!("  Alice's 전화 ")).await;
    assert_eq!(status, StatusCode::OK, "{phone}");
    login(json!("마".repeat(64))).await;
    let again = json!({ "name": "alice", "password": PASSWORD, "device": phone["device"] });
    let (_, phone) = world.post("/v1/login", &again).await;
    let (_, list) = world.get("/v1/devices", token_of(&phone)).await;
    let list = list["devices"].as_array().unwrap();
    assert_eq!((list.len(), list[0]["name"].as_str()), (2, Some("Alice's 전화")));
    assert!(list.iter().all(|device| device["seen_ms"].as_u64().unwrap() >= before_ms), "{list:?}");
    let renamed =
        json!({ "name": "alice", "password": PASSWORD, "device": phone["device"], "device_name": "desk" });
    world.post("/v1/login", &renamed).await;
    let (_, list) = world.get("/v1/devices", token_of(&phone)).await;
    assert_eq!(list["devices"][0]["name"], "desk");
}
