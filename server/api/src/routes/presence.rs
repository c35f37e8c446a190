//! What a user shows of itself, to whom it shows that.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use protocol::Kind;
use protocol::body::presence::{
    GetOwnPresence, GetPresence, OwnPresence, Presence, PresenceItem, PresentDevice, STATE_AWAY,
    STATE_DO_NOT_DISTURB, STATE_OFFLINE, STATE_ONLINE, SetPresence,
};
use protocol::commit::Shows;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::visit::{Visitor, refused};
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::json::{Json, parse_id};
use crate::server::Shared;

/// The number of the request: one visit has one.
const REQUEST: u64 = 1;
/// What a user may show, in words and as the core has it.
const SHOWS: [(&str, Shows); 4] = [
    ("activity", Shows::Activity),
    ("away", Shows::Away),
    ("do_not_disturb", Shows::DoNotDisturb),
    ("invisible", Shows::Invisible),
];

/// Asked of the user's home, once; it makes nobody online.
pub(crate) async fn of_user(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    visitor.may(Scope::Read)?;
    let Path(id) = path.map_err(|error| ApiError::field("id", error.body_text()))?;
    let user = parse_id("id", &id)?;
    let (page, _): (Presence, _) = visitor.page(&api, &GetPresence { users: vec![user] }).await?;
    let item = page.items.first().ok_or_else(|| ApiError::internal("the core told of nobody"))?;
    Ok(axum::Json(shown(item)))
}

/// What the user shows and its devices, be it invisible or not.
pub(crate) async fn own(State(api): State<Shared>, visitor: Visitor) -> Result<axum::Json<Value>, ApiError> {
    visitor.may(Scope::Read)?;
    let (own, _): (OwnPresence, _) = visitor.page(&api, &GetOwnPresence { device: 0 }).await?;
    let shows = SHOWS.iter().find(|(_, shows)| *shows as u8 == own.shows);
    let (shows, _) = shows.ok_or_else(|| ApiError::internal("the core shows what nobody may set"))?;
    let devices: Vec<Value> = own.devices.iter().map(shown_device).collect();
    let mut answer = Map::new();
    answer.insert("state".into(), state_word(own.state).into());
    answer.insert("shows".into(), (*shows).into());
    answer.insert("devices".into(), devices.into());
    insert_status(&mut answer, &own.status, own.status_until_ms);
    Ok(axum::Json(answer.into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    shows: String,
    status: Option<String>,
    status_until_ms: Option<u64>,
}

/// All that the user shows from now on. The answer comes when it is on stable storage.
pub(crate) async fn set_own(
    State(api): State<Shared>,
    visitor: Visitor,
    Json(wanted): Json<Wanted>,
) -> Result<StatusCode, ApiError> {
    visitor.may(Scope::Send)?;
    let shows = SHOWS.iter().find(|(word, _)| *word == wanted.shows).map(|(_, shows)| *shows as u8);
    let expected = || ApiError::field("shows", "expected activity, away, do_not_disturb or invisible");
    let set = SetPresence {
        shows: shows.ok_or_else(expected)?,
        status_until_ms: wanted.status_until_ms.unwrap_or(0),
        status: wanted.status.unwrap_or_default(),
    };
    let frames = visitor.ask(&api, REQUEST, &set).await?.map_err(refused)?;
    match frames.first() {
        Some(frame) if frame.kind() == Kind::DONE => Ok(StatusCode::NO_CONTENT),
        _ => Err(ApiError::internal("the core answered what is shown with something else")),
    }
}

fn state_word(state: u8) -> &'static str {
    match state {
        STATE_OFFLINE => "offline",
        STATE_ONLINE => "online",
        STATE_AWAY => "away",
        STATE_DO_NOT_DISTURB => "do_not_disturb",
        _ => "unknown",
    }
}

fn shown_device(device: &PresentDevice) -> Value {
    let mut shown = json!({ "device": device.device.to_string(), "state": state_word(device.state) });
    if let Some(fields) = shown.as_object_mut().filter(|_| device.seen_ms > 0) {
        fields.insert("seen_ms".into(), device.seen_ms.into());
    }
    shown
}

fn insert_status(fields: &mut Map<String, Value>, status: &str, until_ms: u64) {
    if !status.is_empty() {
        fields.insert("status".into(), status.into());
    }
    if until_ms > 0 {
        fields.insert("status_until_ms".into(), until_ms.into());
    }
}

/// What is not known, or not there, is left out.
fn shown(item: &PresenceItem) -> Value {
    let mut answer = json!({ "user": item.user.to_string(), "state": state_word(item.state) });
    if let Some(fields) = answer.as_object_mut() {
        if item.last_active_ms > 0 {
            fields.insert("last_active_ms".to_owned(), item.last_active_ms.into());
        }
        insert_status(fields, &item.status, item.status_until_ms);
    }
    answer
}
