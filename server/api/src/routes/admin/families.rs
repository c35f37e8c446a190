//! Channels whose history has a RocksDB family of its own.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Owner;
use crate::error::ApiError;
use crate::homes::{Family, FamilyRefusal};
use crate::json::{Json, parse_channel};
use crate::routes::login::STORAGE_RETRY_MS;
use crate::server::Shared;

/// Every one, by the channel's id.
pub(crate) async fn list(State(api): State<Shared>, _owner: Owner) -> Result<axum::Json<Value>, ApiError> {
    let families = api.homes.families().await;
    Ok(axum::Json(json!({ "families": families.iter().map(shown).collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    channel: String,
}

/// New messages of the channel go to a family of its own from now on; those that are there are moved beside all else.
pub(crate) async fn give(
    State(api): State<Shared>,
    Owner(by): Owner,
    Json(body): Json<Named>,
) -> Result<StatusCode, ApiError> {
    let channel = parse_channel("channel", &body.channel)?;
    api.homes.give_family(channel).await.map_err(refusal)?;
    tracing::info!(%channel, by_token = by, "a channel gets a family of its own");
    Ok(StatusCode::NO_CONTENT)
}

/// The channel's messages are moved back beside all else, and then its family is dropped.
pub(crate) async fn give_back(
    State(api): State<Shared>,
    Owner(by): Owner,
    Json(body): Json<Named>,
) -> Result<StatusCode, ApiError> {
    let channel = parse_channel("channel", &body.channel)?;
    api.homes.return_family(channel).await.map_err(refusal)?;
    tracing::info!(%channel, by_token = by, "a channel gives its family back");
    Ok(StatusCode::NO_CONTENT)
}

fn shown(family: &Family) -> Value {
    json!({
        "channel": family.channel.to_string(),
        "name": family.name,
        "from": family.from.0,
        "until": family.until.map(|until| until.0),
        "moving": family.is_moving,
        "bytes": family.bytes,
    })
}

fn refusal(refusal: FamilyRefusal) -> ApiError {
    let conflict = |code| ApiError::new(StatusCode::CONFLICT, code, refusal.to_string()).at("channel");
    match &refusal {
        FamilyRefusal::Unknown => ApiError::not_found(refusal.to_string()).at("channel"),
        FamilyRefusal::Unchanged => conflict("family_unchanged"),
        FamilyRefusal::AllTaken => conflict("too_many_families"),
        FamilyRefusal::StorageFull => ApiError::storage_full(STORAGE_RETRY_MS),
        FamilyRefusal::Failed(words) => ApiError::internal(words),
    }
}
