//! Profiles, passwords that an operator gives, and the end of an account.

use std::sync::atomic::Ordering;

use crate::world::{PASSWORD, World, bad_field, refused};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    a_profile_is_shown_to_others
    an_operator_gives_another_password
    whoever_leaves_leaves_nothing
    an_account_is_not_erased_by_others
    a_core_that_is_away_keeps_the_account
    a_login_and_an_end_at_once
}

fn token_of(pair: &Value) -> &str {
    pair["token"].as_str().unwrap()
}

impl World {
    async fn leave(&self, token: &str, password: &str) -> (StatusCode, Value) {
        self.with(Method::POST, "/v1/account/delete", token, Some(json!({ "password": password }))).await
    }
}

async fn a_profile_is_shown_to_others(world: World) {
    world.signup("alice").await;
    world.signup("bob").await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let change =
        async |body: Value| world.with(Method::PATCH, "/v1/profile", token_of(&alice), Some(body)).await;
    let (status, all) = change(json!({ "display_name": " Alice 김 ", "about": "one\ntwo" })).await;
    assert_eq!(status, StatusCode::OK, "{all}");
    let expected = json!({
        "user": alice["user"], "name": "alice", "display_name": "Alice 김", "about": "one\ntwo",
    });
    assert_eq!(all, expected);
    assert_eq!(world.get("/v1/users/by-name/alice", token_of(&bob)).await.1, expected);
    // What is not named stays; an empty text takes away.
    assert_eq!(change(json!({})).await.1, expected);
    let (_, all) = change(json!({ "about": "" })).await;
    assert_eq!((&all["display_name"], &all["about"]), (&json!("Alice 김"), &json!("")));
    assert_eq!(
        change(json!({ "display_name": "마".repeat(64), "about": "x".repeat(500) })).await.0,
        StatusCode::OK
    );
    for (field, wrong) in [
        ("display_name", json!("x".repeat(65))),
        ("display_name", json!("a\nb")),
        ("display_name", json!(7)),
        ("about", json!("x".repeat(501))),
        ("about", json!("a\u{0}b")),
        ("about", json!(["x"])),
        ("name", json!("mallory")),
    ] {
        bad_field(&change(json!({ field: wrong })).await, field);
    }
    refused(&world.with(Method::PATCH, "/v1/profile", "x", Some(json!({}))).await, 401, "unauthenticated");
    let (_, bobs) = world.get("/v1/users/by-name/bob", token_of(&alice)).await;
    assert_eq!((&bobs["display_name"], &bobs["about"]), (&json!(""), &json!("")));
}

async fn an_operator_gives_another_password(world: World) {
    world.signup("alice").await;
    world.signup("bob").await;
    let (phone, desk, bob) =
        (world.login("alice").await, world.login("alice").await, world.login("bob").await);
    let reset = async |body: Value| world.operate(Method::POST, "/v1/admin/password", Some(body)).await;
    for (body, field) in [
        (json!({ "name": "alice", "password": "short" }), "password"),
        (json!({ "name": "alice" }), "password"),
        (json!({ "password": "a new horse" }), "user"),
        (json!({ "name": "alice", "user": phone["user"], "password": "a new horse" }), "user"),
        (json!({ "user": "x", "password": "a new horse" }), "user"),
    ] {
        bad_field(&reset(body).await, field);
    }
    refused(&reset(json!({ "name": "nobody", "password": "a new horse" })).await, 404, "not_found");
    let body = json!({ "name": "ALICE", "password": "a new horse" });
    let by_bob = world.with(Method::POST, "/v1/admin/password", token_of(&bob), Some(body.clone())).await;
    refused(&by_bob, 401, "unauthenticated");
    assert_eq!(world.get("/v1/devices", token_of(&phone)).await.0, StatusCode::OK, "nothing has happened");
    assert_eq!(reset(body).await.0, StatusCode::NO_CONTENT);
    for pair in [&phone, &desk] {
        refused(&world.get("/v1/devices", token_of(pair)).await, 401, "unauthenticated");
        let renewal = world.post("/v1/token", &json!({ "refresh": pair["refresh"] })).await;
        refused(&renewal, 401, "unauthenticated");
    }
    let login = |password: &str| json!({ "name": "alice", "password": password });
    refused(&world.post("/v1/login", &login(PASSWORD)).await, 401, "wrong_credentials");
    assert_eq!(world.post("/v1/login", &login("a new horse")).await.0, StatusCode::OK);
    assert_eq!(world.get("/v1/devices", token_of(&bob)).await.0, StatusCode::OK);
}

async fn whoever_leaves_leaves_nothing(world: World) {
    world.signup("alice").await;
    world.signup("bob").await;
    let (phone, desk, bob) =
        (world.login("alice").await, world.login("alice").await, world.login("bob").await);
    let user = phone["user"].as_str().unwrap();
    assert_eq!(world.leave(token_of(&phone), PASSWORD).await.0, StatusCode::NO_CONTENT);
    for pair in [&phone, &desk] {
        refused(&world.get("/v1/devices", token_of(pair)).await, 401, "unauthenticated");
        let renewal = world.post("/v1/token", &json!({ "refresh": pair["refresh"] })).await;
        refused(&renewal, 401, "unauthenticated");
    }
    let user_id = protocol::UserId(user.parse().unwrap());
    assert!(world.homes.devices.lock().unwrap().iter().all(|(of, _)| *of != user_id), "the core knows none");
    assert!(world.homes.not_before.lock().unwrap()[&user_id] > 0, "and refuses older tokens");
    let login = json!({ "name": "alice", "password": PASSWORD });
    refused(&world.post("/v1/login", &login).await, 401, "wrong_credentials");
    for path in ["/v1/users/by-name/alice".to_owned(), format!("/v1/users/{user}")] {
        refused(&world.get(&path, token_of(&bob)).await, 404, "not_found");
    }
    // Nobody is Alice in her place.
    refused(&world.signup("Alice").await, 409, "name_taken");
    refused(&world.leave(token_of(&phone), PASSWORD).await, 401, "unauthenticated");
    // The operator does it without a password, also to a user without one.
    let erase = async |body: Value| world.operate(Method::POST, "/v1/admin/delete", Some(body)).await;
    assert_eq!(erase(json!({ "name": "BOB" })).await.0, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/devices", token_of(&bob)).await, 401, "unauthenticated");
    refused(&erase(json!({ "name": "bob" })).await, 404, "not_found");
    bad_field(&erase(json!({})).await, "user");
    bad_field(&erase(json!({ "name": "bob", "all": true })).await, "all");
}

async fn an_account_is_not_erased_by_others(world: World) {
    world.signup("alice").await;
    world.signup("eve").await;
    let (alice, eve) = (world.login("alice").await, world.login("eve").await);
    refused(&world.leave(token_of(&eve), "wrong horse").await, 401, "wrong_credentials");
    for wrong in [json!({}), json!({ "password": 7 })] {
        let answer = world.with(Method::POST, "/v1/account/delete", token_of(&alice), Some(wrong)).await;
        bad_field(&answer, "password");
    }
    for token in ["", "x", alice["refresh"].as_str().unwrap()] {
        refused(&world.leave(token, PASSWORD).await, 401, "unauthenticated");
    }
    let foreign =
        world.with(Method::POST, "/v1/admin/delete", token_of(&eve), Some(json!({ "name": "alice" }))).await;
    refused(&foreign, 401, "unauthenticated");
    // A stolen token does not guess the password for ever.
    loop {
        let answer = world.leave(token_of(&eve), "guess guess").await;
        if answer.0 == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        refused(&answer, 401, "wrong_credentials");
    }
    world.login("alice").await;
    assert_eq!(world.get("/v1/devices", token_of(&eve)).await.0, StatusCode::OK);
}

async fn a_core_that_is_away_keeps_the_account(world: World) {
    world.signup("alice").await;
    let alice = world.login("alice").await;
    world.homes.broken.store(true, Ordering::Release);
    refused(&world.leave(token_of(&alice), PASSWORD).await, 503, "busy");
    world.homes.broken.store(false, Ordering::Release);
    assert_eq!(world.get("/v1/devices", token_of(&alice)).await.0, StatusCode::OK);
    assert_eq!(world.leave(token_of(&alice), PASSWORD).await.0, StatusCode::NO_CONTENT);
}

async fn a_login_and_an_end_at_once(world: World) {
    world.signup("alice").await;
    let alice = world.login("alice").await;
    let login = json!({ "name": "alice", "password": PASSWORD });
    let (left, _) = tokio::join!(world.leave(token_of(&alice), PASSWORD), world.post("/v1/login", &login));
    assert_eq!(left.0, StatusCode::NO_CONTENT);
    refused(&world.post("/v1/login", &login).await, 401, "wrong_credentials");
    assert!(world.homes.devices.lock().unwrap().is_empty(), "no device of nobody");
}
