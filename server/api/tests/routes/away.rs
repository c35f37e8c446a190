//! A database that goes away and comes back.

use crate::world::postgres::Postgres;
use crate::world::{PASSWORD, World, refused};
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_told_to_come_again_and_go_on_when_it_is_back() {
    let mut postgres = Postgres::start();
    let world = World::at(&postgres.fresh()).await;
    world.signup("alice").await;
    let token = world.login("alice").await["token"].as_str().unwrap().to_owned();
    let login = json!({ "name": "alice", "password": PASSWORD });
    for _ in 0..2 {
        postgres.stop();
        for answer in [
            world.post("/v1/login", &login).await,
            world.get("/v1/devices", &token).await,
            world.signup("bob").await,
            world.get("/v1/users/by-name/alice", &token).await,
        ] {
            let words = refused(&answer, 503, "busy");
            assert!(answer.1["retry_after_ms"].as_u64().unwrap() > 0, "{words}");
            assert_eq!(words, "the server cannot reach its accounts now", "no address and no password");
        }
        // What needs no account is served.
        assert_eq!(world.get("/healthz", "").await.0, StatusCode::OK);
        postgres.up();
        assert_eq!(world.get("/v1/devices", &token).await.0, StatusCode::OK);
    }
    assert_eq!(world.post("/v1/login", &login).await.0, StatusCode::OK);
    assert_eq!(world.signup("bob").await.0, StatusCode::CREATED);
}
