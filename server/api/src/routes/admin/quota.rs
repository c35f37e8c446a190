//! What one user may do in an hour, in place of the server's settings.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use protocol::commit::{OwnBound, Quota};
use serde::Deserialize;
use serde_json::Value;

use super::Operator;
use super::look::{existing, quota_shown};
use crate::error::ApiError;
use crate::homes::HomeError;
use crate::json::Json;
use crate::routes::login::home_refused;
use crate::routes::relations::make_known;
use crate::server::Shared;

/// Most groups or conversations in an hour, as in the settings.
pub(crate) const QUOTA_TIMES_MAX: u32 = 1_000_000;
/// Most mebibytes of messages in an hour, as in the settings.
pub(crate) const QUOTA_MIB_MAX: u32 = 4095;

/// What is left out is the server's setting.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    groups_per_h: Option<u32>,
    directs_per_h: Option<u32>,
    mib_per_h: Option<u32>,
}

/// Sets all three.
pub(crate) async fn set(
    State(api): State<Shared>,
    _operator: Operator,
    path: Result<Path<String>, PathRejection>,
    Json(wanted): Json<Wanted>,
) -> Result<axum::Json<Value>, ApiError> {
    let quota = Quota {
        groups_per_h: bound("groups_per_h", wanted.groups_per_h, QUOTA_TIMES_MAX)?,
        directs_per_h: bound("directs_per_h", wanted.directs_per_h, QUOTA_TIMES_MAX)?,
        mib_per_h: bound("mib_per_h", wanted.mib_per_h, QUOTA_MIB_MAX)?,
    };
    let user = existing(&api, path).await?.user;
    let _turn = api.turns.of(user).await;
    let mut told = api.homes.set_quota(user, quota).await;
    if told == Err(HomeError::NoSuchUser) {
        make_known(&api, user).await?;
        told = api.homes.set_quota(user, quota).await;
    }
    told.map_err(|error| home_refused(&error))?;
    Ok(axum::Json(quota_shown(quota)))
}

fn bound(field: &'static str, wanted: Option<u32>, most: u32) -> Result<OwnBound, ApiError> {
    match wanted {
        Some(bound) if bound > most => Err(ApiError::field(
            field,
            format!("{bound}; expected 0 (any number) to {most}, or null (the server's setting)"),
        )),
        wanted => Ok(OwnBound::new(wanted)),
    }
}
