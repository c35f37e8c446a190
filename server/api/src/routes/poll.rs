//! Polls: a device that has no other way asks by HTTP, with the frames of the chat port.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::UserId;
use serde::Deserialize;

use super::bearer::{Bearer, shown_claims};
use crate::error::ApiError;
use crate::homes::{PollAnswer, PollRefusal, PollRequest};
use crate::json::{bad_query, parse_number, read};
use crate::server::Shared;

/// What a request's body is, and an answer's.
pub(crate) const FRAMES_MEDIA: &str = "application/octet-stream";
/// Which session, in a request from the second on and in every answer.
const SESSION: HeaderName = HeaderName::from_static("maru-poll");
/// Which request of the session.
const NUMBER: HeaderName = HeaderName::from_static("maru-poll-number");
/// The session has ended, and why.
const CLOSE: HeaderName = HeaderName::from_static("maru-poll-close");
/// The request did not wait for want of room; the next may come after so many milliseconds.
const PAUSE_MS: HeaderName = HeaderName::from_static("maru-poll-pause-ms");
/// Most bytes of a request, as of a message over WebSocket.
const BYTES_MAX: usize = protocol::limits::WS_MESSAGE_BYTES_MAX;
/// Bytes above which a body needs a place among the few that are read at a time.
const SMALL_BYTES: u64 = 16 * 1024;
/// Longest wait, seconds.
pub(crate) const WAIT_S_MAX: u64 = 30;
/// When one asks again whose request could not wait, milliseconds.
const CROWDED_PAUSE_MS: u64 = 2000;
/// When a request is to be sent again, milliseconds.
const RETRY_MS: u64 = 200;

/// Requests that wait now. Each keeps a connection of the listener, of which some must be left for all else.
#[derive(Debug)]
pub(crate) struct Waiting {
    now: Arc<AtomicUsize>,
    most: usize,
}

impl Waiting {
    /// Half of the listener's connections.
    pub(crate) fn new(connections_max: usize) -> Self {
        Self { now: Arc::default(), most: connections_max / 2 }
    }

    fn begin(&self) -> Option<Place> {
        let place = Place(self.now.clone());
        (self.now.fetch_add(1, Ordering::Relaxed) < self.most).then_some(place)
    }
}

/// One request waits, until this is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    wait: Option<String>,
}

/// Brings frames, and takes those that wait for the device or come within the time that it waits.
pub(crate) async fn poll(
    State(api): State<Shared>,
    query: Result<Query<Wait>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let session = asked_session(&parts.headers)?;
    // In a session that goes on the core knows whether the device still is one.
    let claims = match session {
        Some(_) => shown_claims(&parts, &api)?,
        None => Bearer::from_request_parts(&mut parts, &api).await?.0,
    };
    let Query(Wait { wait }) = query.map_err(|error| bad_query("wait", &error))?;
    let wait = wait.map_or(Ok(0), |text| parse_number("wait", &text))?;
    if wait > WAIT_S_MAX {
        return Err(ApiError::field("wait", format_args!("{wait}; must be 0 to {WAIT_S_MAX} seconds")));
    }
    let taken = api.limiter.take_poll(claims.user, api.limiter.now_ms());
    taken.map_err(|wait_ms| ApiError::too_many(wait_ms, "too many polls of one user; wait"))?;
    let frames = frames(&api, claims.user, Request::from_parts(parts, body)).await?;
    if session.is_none() && frames.is_empty() {
        return Err(ApiError::field("body", "it is empty; a session begins with the frame Hello"));
    }
    let waiting = if wait > 0 { api.polls.begin() } else { None };
    let is_crowded = wait > 0 && waiting.is_none();
    let wait = Duration::from_secs(if is_crowded { 0 } else { wait });
    let (session, number) = session.map_or((None, 1), |(session, number)| (Some(session), number));
    let request = PollRequest { claims, session, number, frames, wait };
    let answer = api.homes.poll(request).await.map_err(refusal)?;
    drop(waiting);
    Ok(shown(answer, is_crowded))
}

/// The device needs its session no more.
pub(crate) async fn end(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let session = number_in(&headers, &SESSION)?;
    let session =
        session.ok_or_else(|| ApiError::field(SESSION.as_str(), "the header is missing: which session"))?;
    api.homes.end_poll(claims, session).await.map_err(refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which session and which of its requests; `None` begins one.
fn asked_session(headers: &HeaderMap) -> Result<Option<(u64, u64)>, ApiError> {
    let (session, number) = (number_in(headers, &SESSION)?, number_in(headers, &NUMBER)?);
    match (session, number) {
        (None, None | Some(1)) => Ok(None),
        (Some(session), Some(number)) if number > 0 => Ok(Some((session, number))),
        (None, Some(_)) => Err(ApiError::field(SESSION.as_str(), "the header is missing: which session")),
        (Some(_), _) => {
            Err(ApiError::field(NUMBER.as_str(), "must be the number of the request, from 2 for the second"))
        }
    }
}

fn number_in(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, ApiError> {
    let text = headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    text.map(|text| parse_number(name.as_str(), text)).transpose()
}

/// The body: none, few bytes, or more in one of the places for that.
async fn frames(api: &Shared, user: UserId, request: Request) -> Result<Bytes, ApiError> {
    let headers = request.headers();
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let is_none = length == Some(0) || (length.is_none() && !headers.contains_key(header::TRANSFER_ENCODING));
    if is_none {
        return Ok(Bytes::new());
    }
    check_media(headers)?;
    let is_small = length.is_some_and(|bytes| bytes <= SMALL_BYTES);
    let _place = if is_small { None } else { Some(api.texts.take(user)?) };
    read(request, BYTES_MAX).await
}

fn check_media(headers: &HeaderMap) -> Result<(), ApiError> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media.is_some_and(|media| media.eq_ignore_ascii_case(FRAMES_MEDIA)) {
        return Ok(());
    }
    let message = format!("content type {:?}; expected {FRAMES_MEDIA:?}", media.unwrap_or_default());
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
}

fn shown(answer: PollAnswer, is_crowded: bool) -> Response {
    let PollAnswer { session, number, frames, close } = answer;
    let is_empty = frames.is_empty();
    // One of them, mostly; each may be shared with every other receiver.
    let body: Bytes = match <[Bytes; 1]>::try_from(frames) {
        Ok([frames]) => frames,
        Err(frames) => frames.concat().into(),
    };
    let mut response = Body::from(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAMES_MEDIA));
    headers.insert(SESSION, session.into());
    headers.insert(NUMBER, number.into());
    if let Some(close) = close {
        headers.insert(CLOSE, close.number().into());
    }
    if is_crowded && is_empty {
        headers.insert(PAUSE_MS, CROWDED_PAUSE_MS.into());
    }
    response
}

fn refusal(refusal: PollRefusal) -> ApiError {
    let words = refusal.to_string();
    match refusal {
        PollRefusal::Unknown => ApiError::new(StatusCode::NOT_FOUND, "no_such_poll", words),
        PollRefusal::Number { .. } => ApiError::new(StatusCode::CONFLICT, "poll_number", words),
        PollRefusal::Repeated => ApiError::new(StatusCode::CONFLICT, "poll_repeated", words),
        PollRefusal::Busy | PollRefusal::Failed(_) => ApiError::busy(RETRY_MS, words),
    }
}
