//! Exports: a channel or a user as JSON Lines, a piece at a time as whoever asks takes it.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::admin::Owner;
use super::admin::look::existing;
use super::bearer::Bearer;
use super::channels::named;
use crate::audit::note;
use crate::error::ApiError;
use crate::homes::{ExportOf, ExportRefusal};
use crate::port::Long;
use crate::server::Shared;

/// JSON Lines, <https://jsonlines.org>.
pub(crate) const LINES_MEDIA: &str = "application/jsonl";
/// When it may be asked for again, milliseconds: an export takes seconds or minutes.
const RETRY_MS: u64 = 5000;

/// All that is kept of the user who asks, and what the user may read.
pub(crate) async fn own(State(api): State<Shared>, Bearer(claims): Bearer) -> Result<Response, ApiError> {
    export(&api, ExportOf::User(claims.user)).await
}

/// The same of any user, for the operator.
pub(crate) async fn user(
    State(api): State<Shared>,
    _owner: Owner,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let user = existing(&api, path).await?.user;
    export(&api, ExportOf::User(user)).await
}

/// A channel as it is kept.
pub(crate) async fn channel(
    State(api): State<Shared>,
    _owner: Owner,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let channel = named(path)?;
    note(|trail| trail.channel = Some(channel));
    export(&api, ExportOf::Channel(channel)).await
}

async fn export(api: &Shared, of: ExportOf) -> Result<Response, ApiError> {
    let export = api.homes.export(of).await.map_err(refusal)?;
    let mut response = Body::new(export).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(LINES_MEDIA));
    let name = match of {
        ExportOf::Channel(channel) => format!("attachment; filename=\"maru-channel-{channel}.jsonl\""),
        ExportOf::User(user) => format!("attachment; filename=\"maru-user-{user}.jsonl\""),
    };
    headers.extend(HeaderValue::try_from(name).ok().map(|name| (header::CONTENT_DISPOSITION, name)));
    response.extensions_mut().insert(Long);
    Ok(response)
}

fn refusal(refusal: ExportRefusal) -> ApiError {
    match refusal {
        ExportRefusal::Unknown => ApiError::not_found(refusal.to_string()).at("id"),
        ExportRefusal::Busy(words) => ApiError::busy(RETRY_MS, words),
        ExportRefusal::Failed(words) => ApiError::internal(words),
    }
}
