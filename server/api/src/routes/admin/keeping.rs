//! What a channel keeps: messages are purged, and for how long they are kept.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use protocol::commit::RetentionRow;
use protocol::limits::U53_MAX;
use protocol::query::Cut;
use protocol::{ChannelId, Seq};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Owner;
use crate::audit;
use crate::error::ApiError;
use crate::homes::{KeepRefusal, Kept};
use crate::json::{Json, bad_path, parse_channel};
use crate::routes::login::STORAGE_RETRY_MS;
use crate::server::Shared;

/// Most days that a channel keeps its messages, if not for ever.
pub(crate) const DAYS_MAX: u32 = 36_500;
/// When a purge may be asked for again, milliseconds.
const RETRY_MS: u64 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Purge {
    /// Those with a smaller seq.
    below: Option<u64>,
    /// Those of before this time.
    before_ms: Option<u64>,
    /// All but so many.
    keep: Option<u64>,
}

/// Messages are gone from now on: durably, when this is answered.
pub(crate) async fn purge(
    State(api): State<Shared>,
    Owner(by): Owner,
    id: Result<Path<String>, PathRejection>,
    Json(body): Json<Purge>,
) -> Result<axum::Json<Value>, ApiError> {
    let channel = named(id)?;
    audit::note(|trail| trail.channel = Some(channel));
    for (field, number) in [("below", body.below), ("before_ms", body.before_ms), ("keep", body.keep)] {
        if number.is_some_and(|number| number > U53_MAX) {
            return Err(ApiError::field(field, format!("expected at most {U53_MAX}")));
        }
    }
    if body.below.is_none() && body.before_ms.is_none() && body.keep.is_none() {
        return Err(ApiError::field("below", "say what is to go: `below`, `before_ms` or `keep`"));
    }
    let below = Seq(body.below.unwrap_or_default());
    let before_ms = body.before_ms.unwrap_or_default();
    let cut = Cut { below, before_ms, keep: body.keep, ..Cut::default() };
    let kept = api.homes.purge(channel, cut).await.map_err(refusal)?;
    tracing::info!(%channel, below = kept.floor.below.0, by_token = by, "messages of a channel were purged");
    Ok(axum::Json(shown(channel, &kept)))
}

/// Where its history begins, and how long it keeps what is said.
pub(crate) async fn see(
    State(api): State<Shared>,
    _owner: Owner,
    id: Result<Path<String>, PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let channel = named(id)?;
    let kept = api.homes.kept(channel).await.map_err(refusal)?;
    Ok(axum::Json(shown(channel, &kept)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    days: Option<u32>,
    messages: Option<u64>,
}

/// A channel keeps its messages so long; with nothing said, as the server's settings say.
pub(crate) async fn retain(
    State(api): State<Shared>,
    Owner(by): Owner,
    id: Result<Path<String>, PathRejection>,
    Json(body): Json<Retention>,
) -> Result<axum::Json<Value>, ApiError> {
    let channel = named(id)?;
    audit::note(|trail| trail.channel = Some(channel));
    if body.days.is_some_and(|days| days > DAYS_MAX) {
        return Err(ApiError::field("days", format!("expected at most {DAYS_MAX}, or 0 for ever")));
    }
    if body.messages.is_some_and(|messages| messages > U53_MAX) {
        let words = format!("expected at most {U53_MAX}, or 0 for any number");
        return Err(ApiError::field("messages", words));
    }
    let row = (body.days.is_some() || body.messages.is_some()).then(|| RetentionRow {
        days: body.days.unwrap_or_default(),
        messages: body.messages.unwrap_or_default(),
    });
    let kept = api.homes.retain(channel, row).await.map_err(refusal)?;
    tracing::info!(%channel, retention = ?row, by_token = by, "the retention of a channel was set");
    Ok(axum::Json(shown(channel, &kept)))
}

fn named(id: Result<Path<String>, PathRejection>) -> Result<ChannelId, ApiError> {
    let Path(id) = id.map_err(|error| bad_path(&["id"], &error))?;
    parse_channel("id", &id)
}

fn shown(channel: ChannelId, kept: &Kept) -> Value {
    let Kept { floor, head, retention } = kept;
    json!({
        "channel": channel.to_string(),
        "begins": floor.below.0.max(1),
        "purged_to_ms": floor.time_ms,
        "head": head.0,
        "days": retention.map(|row| row.days),
        "messages": retention.map(|row| row.messages),
    })
}

fn refusal(refusal: KeepRefusal) -> ApiError {
    match &refusal {
        KeepRefusal::Unknown => ApiError::not_found(refusal.to_string()).at("id"),
        KeepRefusal::OwnChannel => ApiError::field("id", refusal.to_string()),
        KeepRefusal::StorageFull => ApiError::storage_full(STORAGE_RETRY_MS),
        KeepRefusal::NotNow(words) => ApiError::busy(RETRY_MS, words.clone()),
    }
}
