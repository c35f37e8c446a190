//! Backups of the running server, into a directory of its machine.

use std::path::PathBuf;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Owner;
use crate::error::ApiError;
use crate::homes::{BackupRefused, BackupReport};
use crate::json::Json;
use crate::server::Shared;

/// When one who found another backup being made may ask again, milliseconds.
const RUNNING_RETRY_MS: u64 = 1000;
/// When there may be room again, milliseconds.
const SPACE_RETRY_MS: u64 = 60_000;
/// Bytes of a path: Linux takes no longer one.
pub(crate) const PATH_BYTES_MAX: usize = 4095;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    to: String,
}

/// Begins one. How it ends is told by [`last`].
pub(crate) async fn begin(
    State(api): State<Shared>,
    Owner(by): Owner,
    Json(body): Json<Wanted>,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    if body.to.is_empty() || body.to.len() > PATH_BYTES_MAX {
        return Err(ApiError::field("to", format!("expected a path of 1 to {PATH_BYTES_MAX} bytes")));
    }
    api.homes.begin_backup(PathBuf::from(&body.to)).await.map_err(refusal)?;
    tracing::info!(to = body.to, by_token = by, "a backup has begun");
    let report = api.homes.backup().unwrap_or_default();
    Ok((StatusCode::ACCEPTED, axum::Json(written(&report))))
}

/// The one that is being made, or the last one since the start.
pub(crate) async fn last(State(api): State<Shared>, _owner: Owner) -> axum::Json<Value> {
    axum::Json(json!({ "backup": api.homes.backup().as_ref().map(written) }))
}

fn written(report: &BackupReport) -> Value {
    let state = match (report.is_running, &report.error) {
        (true, _) => "running",
        (false, Some(_)) => "failed",
        (false, None) => "done",
    };
    let ended_ms = (!report.is_running).then_some(report.ended_ms);
    json!({
        "to": report.to, "state": state, "began_ms": report.began_ms, "ended_ms": ended_ms,
        "files": report.files, "bytes": report.bytes, "error": report.error,
    })
}

fn refusal(refused: BackupRefused) -> ApiError {
    let words = refused.to_string();
    match refused {
        BackupRefused::Place(_) => ApiError::field("to", words),
        BackupRefused::Conflict(_) => ApiError::new(StatusCode::CONFLICT, "backup_refused", words),
        BackupRefused::Running(_) => {
            ApiError::new(StatusCode::CONFLICT, "backup_running", words).after_ms(RUNNING_RETRY_MS)
        }
        BackupRefused::NoSpace(_) => {
            ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", words).after_ms(SPACE_RETRY_MS)
        }
    }
}
