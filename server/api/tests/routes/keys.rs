//! The keys that sign access tokens, changed under a running server: file, shards, then this process.

use std::sync::atomic::Ordering;

use crate::world::{World, refused};
use api::admin_tokens;
use api::{Scope, now_ms};
use protocol::token;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    old_tokens_stay_good_until_their_key_is_retired
    a_change_that_was_cut_short_goes_on
    only_who_may_do_everything
}

impl World {
    async fn rotate(&self) -> (StatusCode, Value) {
        self.operate(Method::POST, "/v1/admin/keys/rotate", None).await
    }

    async fn retire(&self, key: u32) -> (StatusCode, Value) {
        self.operate(Method::POST, "/v1/admin/keys/retire", Some(json!({ "key": key }))).await
    }

    /// Number and whether it signs.
    async fn keys(&self) -> Vec<(u64, bool)> {
        let (status, answer) = self.operate(Method::GET, "/v1/admin/keys", None).await;
        assert!(status == StatusCode::OK && !answer.to_string().contains("secret"), "{answer}");
        let keys = answer["keys"].as_array().unwrap().iter();
        keys.map(|key| (key["key"].as_u64().unwrap(), key["signs"].as_bool().unwrap())).collect()
    }

    fn keys_of_shards(&self) -> Vec<u32> {
        self.homes.keys.lock().unwrap().clone()
    }

    /// The key that signed a token.
    fn signer(&self, answer: &Value) -> u32 {
        let token = answer["token"].as_str().unwrap();
        let all = self.keys.all();
        let key = all.iter().find(|key| token::verify(&[(*key).clone()], token, now_ms()).is_ok());
        key.unwrap().id
    }
}

async fn old_tokens_stay_good_until_their_key_is_retired(world: World) {
    world.signup("alice").await;
    let first = world.login("alice").await;
    let old = first["token"].as_str().unwrap();
    assert_eq!(world.rotate().await.0, StatusCode::NO_CONTENT);
    assert_eq!((world.keys().await, world.keys_of_shards()), (vec![(1, false), (2, true)], vec![1, 2]));
    assert_eq!(world.get("/v1/devices", old).await.0, StatusCode::OK);
    let second = world.login("alice").await;
    assert_eq!(world.signer(&second), 2);
    // The answer to this one is lost; the key that made the next is retired before it is asked again.
    let (status, lost) = world.post("/v1/token", &json!({ "refresh": second["refresh"] })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.rotate().await.0, StatusCode::NO_CONTENT);
    refused(&world.retire(3).await, 409, "key_signs");
    refused(&world.retire(9).await, 404, "not_found");
    for key in [1, 2] {
        assert_eq!(world.retire(key).await.0, StatusCode::NO_CONTENT);
    }
    refused(&world.retire(1).await, 404, "not_found");
    assert_eq!((world.keys().await, world.keys_of_shards()), (vec![(3, true)], vec![3]));
    // Whoever has a refresh token goes on; whoever has not logs in.
    refused(&world.get("/v1/devices", old).await, 401, "expired");
    let (status, next) = world.post("/v1/token", &json!({ "refresh": first["refresh"] })).await;
    assert_eq!((status, world.signer(&next)), (StatusCode::OK, 3));
    let (status, again) = world.post("/v1/token", &json!({ "refresh": second["refresh"] })).await;
    assert_eq!((status, &again["refresh"]), (StatusCode::OK, &lost["refresh"]));
    // It is so after a restart.
    let keys = api::Keys::open(world.data.path()).unwrap();
    assert_eq!(keys.all().iter().map(|key| key.id).collect::<Vec<_>>(), [3]);
}

async fn a_change_that_was_cut_short_goes_on(world: World) {
    world.signup("alice").await;
    world.homes.broken.store(true, Ordering::Release);
    refused(&world.rotate().await, 503, "busy");
    assert_eq!(world.keys().await, [(1, false), (2, true)], "it is in the file");
    assert_eq!(world.keys.newest().id, 1, "and signs nothing: a shard does not know it");
    refused(&world.rotate().await, 503, "busy");
    world.homes.broken.store(false, Ordering::Release);
    let old = world.login("alice").await;
    assert_eq!(world.signer(&old), 1);
    assert_eq!(world.rotate().await.0, StatusCode::NO_CONTENT);
    assert_eq!((world.keys().await.len(), world.keys.newest().id), (2, 2), "no third was made");
    world.homes.broken.store(true, Ordering::Release);
    refused(&world.retire(1).await, 503, "busy");
    assert_eq!(world.get("/v1/devices", old["token"].as_str().unwrap()).await.0, StatusCode::OK);
    world.homes.broken.store(false, Ordering::Release);
    assert_eq!(world.retire(1).await.0, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/devices", old["token"].as_str().unwrap()).await, 401, "expired");
}

async fn only_who_may_do_everything(world: World) {
    let data = world.data.path();
    let [users, metrics, all] = [Scope::Users, Scope::Metrics, Scope::All]
        .map(|scope| admin_tokens::add(data, scope, "", now_ms()).unwrap().1);
    let routes = [
        (Method::GET, "/v1/admin/keys"),
        (Method::POST, "/v1/admin/keys/rotate"),
        (Method::POST, "/v1/admin/keys/retire"),
    ];
    for (method, path) in routes {
        for token in [&users, &metrics] {
            refused(&world.with(method.clone(), path, token, Some(json!({ "key": 1 }))).await, 403, "scope");
        }
        refused(&world.with(method, path, "nobody", Some(json!({ "key": 1 }))).await, 401, "unauthenticated");
    }
    assert_eq!(world.keys().await, [(1, true)]);
    assert_eq!(world.with(Method::POST, "/v1/admin/keys/rotate", &all, None).await.0, StatusCode::NO_CONTENT);
    // What the public listener serves has no such path.
    let (status, _) = world.post("/v1/admin/keys/rotate", &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
