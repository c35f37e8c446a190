//! Erasures of users who have left, for operators: what is under way, and one that is begun after the fact.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Owner;
use crate::accounts::Erasure;
use crate::audit::note;
use crate::error::ApiError;
use crate::json::{Json, bad_query, parse_id};
use crate::now_ms;
use crate::routes::channels::{limit, set_next};
use crate::server::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begun {
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    after: Option<String>,
    limit: Option<String>,
}

/// What one who has left wrote is erased; also where the server's setting keeps it. It goes on by itself.
pub(crate) async fn begin(
    State(api): State<Shared>,
    Owner(by): Owner,
    Json(body): Json<Begun>,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    let user = protocol::UserId(parse_id("user", &body.user)?);
    note(|trail| trail.subject = Some(user));
    if api.accounts.user(user).await?.is_some() {
        let words = "the user has an account; delete that first";
        return Err(ApiError::new(StatusCode::CONFLICT, "has_account", words));
    }
    if !api.accounts.has_left(user).await? {
        return Err(ApiError::not_found("no user with this id has left").at("user"));
    }
    api.accounts.begin_erasure(user, now_ms()).await?;
    tracing::info!(%user, by_token = by, "an operator has begun the erasure of a user who has left");
    let erasure = api.accounts.erasure(user).await?;
    let erasure = erasure.ok_or_else(|| ApiError::not_found("the erasure is gone").at("user"))?;
    Ok((StatusCode::ACCEPTED, axum::Json(shown(&erasure))))
}

/// A page, rising by user.
pub(crate) async fn list(
    State(api): State<Shared>,
    _owner: Owner,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let Query(asked) = asked.map_err(|error| bad_query("after", &error))?;
    let after = asked.after.map_or(Ok(0), |after| parse_id("after", &after))?;
    let limit = limit(asked.limit)?;
    let page = api.accounts.erasures(after, limit).await?;
    let mut answer = json!({ "erasures": page.iter().map(shown).collect::<Vec<_>>() });
    let is_full = page.len() >= limit as usize;
    set_next(&mut answer, page.last().filter(|_| is_full).map(|last| last.user.to_string()));
    Ok(axum::Json(answer))
}

fn shown(erasure: &Erasure) -> Value {
    let Erasure { user, begun_ms, through_ms, done_ms } = erasure;
    json!({ "user": user.to_string(), "begun_ms": begun_ms, "through_ms": through_ms, "done_ms": done_ms })
}
