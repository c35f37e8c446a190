//! The keys that sign access tokens, changed while the server runs.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Owner;
use crate::error::ApiError;
use crate::json::Json;
use crate::keys::{self, KeysError};
use crate::now_ms;
use crate::routes::login::home_refused;
use crate::server::Shared;

/// Every key, oldest first, without its secret.
pub(crate) async fn list(State(api): State<Shared>, _owner: Owner) -> Result<axum::Json<Value>, ApiError> {
    let records = keys::list(api.keys.data()).map_err(ApiError::internal)?;
    let key =
        |key: &keys::KeyRecord| json!({ "key": key.id, "created_ms": key.created_ms, "signs": key.signs });
    Ok(axum::Json(json!({ "keys": records.iter().map(key).collect::<Vec<_>>() })))
}

/// A new key signs; the older ones go on verifying. Asked again after it was cut short, it goes on.
pub(crate) async fn rotate(State(api): State<Shared>, Owner(by): Owner) -> Result<StatusCode, ApiError> {
    change(api, move |api| {
        let key = keys::rotate(api.keys.data(), Some(api.keys.newest().id), now_ms())?;
        tracing::info!(key, by_token = by, "a new key will sign access tokens");
        Ok(())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retired {
    key: u32,
}

/// Tokens that this key signed are refused from now on. Connections that have said Hello stay.
pub(crate) async fn retire(
    State(api): State<Shared>,
    Owner(by): Owner,
    Json(body): Json<Retired>,
) -> Result<StatusCode, ApiError> {
    change(api, move |api| {
        let in_use = api.keys.newest().id;
        if body.key == in_use {
            return Err(KeysError::Signs(in_use));
        }
        // A change that was cut short has taken it out of the file; the rest of it is done below.
        let is_cut = api.keys.all().iter().any(|key| key.id == body.key);
        match keys::retire(api.keys.data(), body.key) {
            Err(KeysError::Unknown(_)) if is_cut => {}
            outcome => outcome?,
        }
        tracing::info!(key = body.key, by_token = by, "a key is retired");
        Ok(())
    })
    .await
}

/// Changes the file, then every shard, then this process: a token is never signed by a key that could be lost or that a
/// shard does not know. It goes on when whoever asked has gone.
async fn change(
    api: Shared,
    in_file: impl FnOnce(&Shared) -> Result<(), KeysError> + Send + 'static,
) -> Result<StatusCode, ApiError> {
    let work = async move {
        let _turn = api.keys_turn.lock().await;
        let in_file = {
            let api = api.clone();
            tokio::task::spawn_blocking(move || in_file(&api)).await.map_err(ApiError::internal)?
        };
        in_file.map_err(refusal)?;
        let keys = keys::in_file(api.keys.data()).map_err(ApiError::internal)?;
        api.homes.take_keys(keys.clone()).await.map_err(|error| home_refused(&error))?;
        api.keys.adopt(keys, now_ms()).map_err(ApiError::internal)?;
        tracing::info!(signs = api.keys.newest().id, "the signing keys have changed");
        Ok(StatusCode::NO_CONTENT)
    };
    tokio::spawn(work).await.map_err(ApiError::internal)?
}

fn refusal(error: KeysError) -> ApiError {
    match error {
        KeysError::Signs(_) => ApiError::new(StatusCode::CONFLICT, "key_signs", error.to_string()).at("key"),
        KeysError::Unknown(_) => ApiError::not_found(error.to_string()).at("key"),
        KeysError::Full => ApiError::new(StatusCode::CONFLICT, "too_many_keys", error.to_string()),
        KeysError::File(error) => ApiError::internal(error),
    }
}
