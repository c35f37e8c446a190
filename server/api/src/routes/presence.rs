//! What a user shows of itself, to whom it shows that.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use protocol::body::presence::{
    GetPresence, Presence, PresenceItem, STATE_AWAY, STATE_DO_NOT_DISTURB, STATE_OFFLINE, STATE_ONLINE,
};
use serde_json::{Value, json};

use super::visit::Visitor;
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::json::parse_id;
use crate::server::Shared;

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

/// What is not known, or not there, is left out.
fn shown(item: &PresenceItem) -> Value {
    let state = match item.state {
        STATE_OFFLINE => "offline",
        STATE_ONLINE => "online",
        STATE_AWAY => "away",
        STATE_DO_NOT_DISTURB => "do_not_disturb",
        _ => "unknown",
    };
    let mut answer = json!({ "user": item.user.to_string(), "state": state });
    if let Some(fields) = answer.as_object_mut() {
        if item.last_active_ms > 0 {
            fields.insert("last_active_ms".to_owned(), item.last_active_ms.into());
        }
        if !item.status.is_empty() {
            fields.insert("status".to_owned(), item.status.clone().into());
        }
        if item.status_until_ms > 0 {
            fields.insert("status_until_ms".to_owned(), item.status_until_ms.into());
        }
    }
    answer
}
