//! Devices over HTTP: whatever ends one tells the core, and whatever gives a token has told it before.

use std::sync::atomic::Ordering;

use crate::world::{PASSWORD, World, refused};
use api::now_ms;
use protocol::token::{self, Claims};
use protocol::{DeviceId, UserId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    the_core_knows_a_device_before_there_is_a_token_for_it
    devices_are_listed_and_ended_one_by_one
    everywhere_is_everywhere_and_the_kept_device_needs_its_new_token
    another_password_ends_the_other_devices
    the_operator_revokes_and_gives_tokens
}

impl World {
    fn claims(&self, answer: &Value) -> Claims {
        token::verify(&self.keys.all(), answer["token"].as_str().unwrap(), now_ms()).unwrap()
    }

    fn in_core(&self) -> Vec<(UserId, DeviceId)> {
        self.homes.devices.lock().unwrap().iter().copied().collect()
    }
}

fn token_of(answer: &Value) -> &str {
    answer["token"].as_str().unwrap()
}

async fn the_core_knows_a_device_before_there_is_a_token_for_it(world: World) {
    world.signup("alice").await;
    let first = world.login("alice").await;
    let claims = world.claims(&first);
    assert_eq!(world.in_core(), [(claims.user, claims.device)]);
    assert!(claims.issued_ms > 0);
    // One that the core has lost, as after an upgrade, is told of again by a login.
    world.homes.devices.lock().unwrap().clear();
    let again = json!({ "name": "alice", "password": PASSWORD, "device": first["device"] });
    assert_eq!(world.post("/v1/login", &again).await.0, StatusCode::OK);
    assert_eq!(world.in_core(), [(claims.user, claims.device)]);
    world.homes.broken.store(true, Ordering::Release);
    let plain = json!({ "name": "alice", "password": PASSWORD });
    for _ in 0..5 {
        refused(&world.post("/v1/login", &plain).await, 503, "busy");
    }
    refused(&world.with(Method::POST, "/v1/logout", token_of(&first), None).await, 503, "busy");
    world.homes.broken.store(false, Ordering::Release);
    // Failed logins took no place, and the failed logout ended nothing.
    world.login("alice").await;
    world.login("alice").await;
    refused(&world.post("/v1/login", &plain).await, 409, "too_many_devices");
}

async fn devices_are_listed_and_ended_one_by_one(world: World) {
    world.signup("alice").await;
    world.signup("eve").await;
    let (phone, desk, eve) =
        (world.login("alice").await, world.login("alice").await, world.login("eve").await);
    let (status, list) = world.get("/v1/devices", token_of(&desk)).await;
    assert_eq!(status, StatusCode::OK);
    let list = list["devices"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2);
    assert_eq!((&list[0]["device"], &list[0]["this"]), (&phone["device"], &json!(false)));
    assert_eq!((&list[1]["device"], &list[1]["this"]), (&desk["device"], &json!(true)));
    assert!(list[0]["created_ms"].is_u64());

    let path = format!("/v1/devices/{}", phone["device"].as_str().unwrap());
    // Nobody ends the device of somebody else.
    assert_eq!(world.with(Method::DELETE, &path, token_of(&eve), None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/v1/devices", token_of(&phone)).await.0, StatusCode::OK);
    for _ in 0..2 {
        assert_eq!(world.with(Method::DELETE, &path, token_of(&desk), None).await.0, StatusCode::NO_CONTENT);
        refused(&world.get("/v1/devices", token_of(&phone)).await, 401, "unauthenticated");
        let renewal = world.post("/v1/token", &json!({ "refresh": phone["refresh"] })).await;
        refused(&renewal, 401, "unauthenticated");
    }
    let left: Vec<DeviceId> = world.in_core().into_iter().map(|(_, device)| device).collect();
    assert_eq!(left, [world.claims(&desk).device, world.claims(&eve).device]);
    refused(&world.with(Method::DELETE, "/v1/devices/x", token_of(&desk), None).await, 400, "bad_field");
}

async fn everywhere_is_everywhere_and_the_kept_device_needs_its_new_token(world: World) {
    world.signup("alice").await;
    let (phone, desk) = (world.login("alice").await, world.login("alice").await);
    let all = |token: String, body: Value| {
        let world = &world;
        async move { world.with(Method::POST, "/v1/logout/all", &token, Some(body)).await }
    };
    let (status, fresh) = all(token_of(&desk).into(), json!({ "keep_this": true })).await;
    assert_eq!((status, &fresh["device"]), (StatusCode::OK, &desk["device"]));
    let user = world.claims(&fresh).user;
    let not_before_ms = world.homes.not_before.lock().unwrap()[&user];
    assert!(world.claims(&fresh).issued_ms >= not_before_ms);
    assert!(world.claims(&desk).issued_ms < not_before_ms);
    for old in [&phone, &desk] {
        refused(&world.get("/v1/devices", token_of(old)).await, 401, "unauthenticated");
        let renewal = world.post("/v1/token", &json!({ "refresh": old["refresh"] })).await;
        refused(&renewal, 401, "unauthenticated");
    }
    let (status, renewed) = world.post("/v1/token", &json!({ "refresh": fresh["refresh"] })).await;
    assert_eq!(status, StatusCode::OK);
    // A token of the first layout does not say when it was issued.
    let old = Claims { issued_ms: 0, ..world.claims(&renewed) };
    let old = token::sign(&world.keys.newest(), &old);
    refused(&world.get("/v1/devices", &old).await, 401, "unauthenticated");

    assert_eq!(all(token_of(&renewed).into(), json!({})).await.0, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/devices", token_of(&renewed)).await, 401, "unauthenticated");
    assert!(world.in_core().is_empty());
    for _ in 0..3 {
        world.login("alice").await;
    }
}

async fn another_password_ends_the_other_devices(world: World) {
    world.signup("alice").await;
    let (phone, desk) = (world.login("alice").await, world.login("alice").await);
    let change = |token: String, old: &str, new: &str, keep: bool| {
        let body = json!({ "old": old, "new": new, "keep_devices": keep });
        let world = &world;
        async move { world.with(Method::POST, "/v1/password", &token, Some(body)).await }
    };
    let desk_token = token_of(&desk).to_owned();
    refused(&change(desk_token.clone(), "wrong horse", "new horse", false).await, 401, "wrong_credentials");
    refused(&change(desk_token.clone(), PASSWORD, "short", false).await, 400, "bad_field");
    assert_eq!(world.in_core().len(), 2, "what was refused ends nothing");
    let (status, fresh) = change(desk_token.clone(), PASSWORD, "second horse", false).await;
    assert_eq!((status, &fresh["device"]), (StatusCode::OK, &desk["device"]));
    for old in [&phone, &desk] {
        refused(&world.get("/v1/devices", token_of(old)).await, 401, "unauthenticated");
    }
    let login = |password: &str| json!({ "name": "alice", "password": password });
    refused(&world.post("/v1/login", &login(PASSWORD)).await, 401, "wrong_credentials");
    let (status, second) = world.post("/v1/login", &login("second horse")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = change(token_of(&fresh).into(), "second horse", "third horse", true).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.get("/v1/devices", token_of(&second)).await.0, StatusCode::OK, "it was kept");
    // Guesses with a stolen token are counted as those at the login.
    loop {
        let answer = change(token_of(&fresh).into(), "guess guess", "my horse now", false).await;
        if answer.0 == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        refused(&answer, 401, "wrong_credentials");
    }
}

async fn the_operator_revokes_and_gives_tokens(world: World) {
    world.signup("alice").await;
    world.signup("bob").await;
    let (phone, desk, bob) =
        (world.login("alice").await, world.login("alice").await, world.login("bob").await);
    let operator = world.operator();
    let ask = |path: &'static str, token: String, body: Value| {
        let world = &world;
        async move { world.with(Method::POST, path, &token, Some(body)).await }
    };
    let revoke = |body: Value| ask("/v1/admin/revoke", operator.clone(), body);
    let body = json!({ "name": "ALICE", "device": phone["device"] });
    refused(&ask("/v1/admin/revoke", token_of(&bob).into(), body.clone()).await, 401, "unauthenticated");
    assert_eq!(revoke(body).await.0, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/devices", token_of(&phone)).await, 401, "unauthenticated");
    assert_eq!(world.get("/v1/devices", token_of(&desk)).await.0, StatusCode::OK);
    assert_eq!(revoke(json!({ "user": desk["user"] })).await.0, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/devices", token_of(&desk)).await, 401, "unauthenticated");
    assert_eq!(world.get("/v1/devices", token_of(&bob)).await.0, StatusCode::OK);
    refused(&revoke(json!({ "name": "nobody" })).await, 404, "not_found");
    refused(&revoke(json!({})).await, 400, "bad_field");
    refused(&revoke(json!({ "name": "bob", "user": bob["user"] })).await, 400, "bad_field");
    refused(&revoke(json!({ "name": "bob", "ttl_s": 1 })).await, 400, "bad_field");

    let give = |body: Value| ask("/v1/admin/token", operator.clone(), body);
    let (status, given) = give(json!({ "name": "alice", "device": "77", "ttl_s": 60 })).await;
    assert_eq!((status, given["device"].as_str()), (StatusCode::CREATED, Some("77")));
    assert_eq!(world.get("/v1/devices", token_of(&given)).await.0, StatusCode::OK);
    assert!(world.in_core().contains(&(world.claims(&given).user, DeviceId(77))));
    refused(&give(json!({ "name": "bob", "device": "77" })).await, 400, "bad_field");
    refused(&give(json!({ "name": "bob", "ttl_s": 0 })).await, 400, "bad_field");
    for _ in 0..2 {
        assert_eq!(give(json!({ "user": given["user"] })).await.0, StatusCode::CREATED);
    }
    refused(&give(json!({ "user": given["user"] })).await, 409, "too_many_devices");
    refused(&give(json!({ "user": given["user"], "device": "78" })).await, 409, "too_many_devices");
}
