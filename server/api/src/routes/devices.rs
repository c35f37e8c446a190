//! A user's own devices: the list of them, the end of one, the end of all.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use protocol::{DeviceId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::bearer::{Bearer, still_counts};
use super::login::{forget, home_refused};
use super::token::grant;
use crate::audit::note;
use crate::error::ApiError;
use crate::homes::HomeError;
use crate::json::{Json, parse_id};
use crate::now_ms;
use crate::server::Shared;

pub(crate) async fn list(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
) -> Result<axum::Json<Value>, ApiError> {
    let devices = api.accounts.devices(claims.user).await?;
    let shown = devices.into_iter().map(|record| {
        json!({
            "device": record.device.to_string(), "name": record.name, "created_ms": record.created_ms,
            "seen_ms": record.seen_ms, "this": record.device == claims.device,
        })
    });
    Ok(axum::Json(json!({ "devices": shown.collect::<Vec<_>>() })))
}

/// Ends the device that asks.
pub(crate) async fn logout(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
) -> Result<StatusCode, ApiError> {
    let _turn = api.turns.of(claims.user).await;
    forget(&api, claims.user, claims.device).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends any device of the one who asks. Repeatable: one that is no more is no error.
pub(crate) async fn remove(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path(id) = path.map_err(|error| ApiError::field("id", error.body_text()))?;
    let device = DeviceId(parse_id("id", &id)?);
    let _turn = api.turns.of(claims.user).await;
    still_counts(&api, &claims).await?;
    forget(&api, claims.user, device).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Everywhere {
    /// The device that asks stays; it is given a fresh token, and its old one no longer counts.
    keep_this: Option<bool>,
}

/// Ends all devices of the one who asks, or all others.
pub(crate) async fn logout_all(
    State(api): State<Shared>,
    headers: HeaderMap,
    Bearer(claims): Bearer,
    Json(body): Json<Everywhere>,
) -> Result<Response, ApiError> {
    let _turn = api.turns.of(claims.user).await;
    still_counts(&api, &claims).await?;
    let keep = body.keep_this.unwrap_or(false).then_some(claims.device);
    let not_before_ms = log_out_all(&api, claims.user, keep).await?;
    if keep.is_none() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let fresh = grant(&api, &headers, claims.user, claims.device, not_before_ms).await?;
    Ok(axum::Json(fresh).into_response())
}

/// Ends all devices of a user but one, in its turn: the core first, then SQL. Gives the moment from which on tokens
/// count, which is behind that of every token there is.
pub(super) async fn log_out_all(api: &Shared, user: UserId, keep: Option<DeviceId>) -> Result<u64, ApiError> {
    let account = api.accounts.user(user).await?;
    let before_ms = account.ok_or_else(|| ApiError::not_found("there is no such user"))?.not_before_ms;
    let not_before_ms = now_ms().max(before_ms).saturating_add(1);
    match api.homes.log_out_all(user, not_before_ms, keep).await {
        // One who has never logged in has no device there.
        Ok(()) | Err(HomeError::NoSuchUser) => {}
        Err(error) => return Err(home_refused(&error)),
    }
    api.accounts.log_out_all(user, not_before_ms, keep).await?;
    note(|trail| trail.ended_all = true);
    let kept = keep.map_or(0, |device| device.0);
    tracing::info!(%user, kept, "all devices were logged out");
    Ok(not_before_ms)
}
