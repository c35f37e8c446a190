//! How far the members of a channel have come, and saying how far one has read.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use protocol::Kind;
use protocol::body::marks::{GetReceipts, ReceiptItem, Receipts};
use protocol::body::sync::MarkRead;
use serde::Deserialize;
use serde_json::{Value, json};

use super::channels::{From, limit, named, set_next};
use super::visit::{Visitor, refused};
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::json::{Json, bad_query, parse_number};
use crate::server::Shared;

/// The number of the request: one visit has one.
const REQUEST: u64 = 1;

pub(crate) async fn list(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    from: Result<Query<From>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    visitor.may(Scope::Read)?;
    let channel = named(path)?.0;
    let Query(from) = from.map_err(|error| bad_query("after", &error))?;
    let after = from.after.map_or(Ok(0), |after| parse_number("after", &after))?;
    let limit = limit(from.limit)?;
    let (page, _): (Receipts, _) = visitor.page(&api, &GetReceipts { channel, after, limit }).await?;
    let mut answer = json!({ "receipts": page.items.iter().map(shown).collect::<Vec<_>>() });
    let last = page.items.last().map(|item| item.user.to_string());
    set_next(&mut answer, last.filter(|_| page.more));
    Ok(axum::Json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Read {
    seq: u64,
}

/// The answer comes when it is on stable storage.
pub(crate) async fn mark(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    Json(Read { seq }): Json<Read>,
) -> Result<StatusCode, ApiError> {
    visitor.may(Scope::Send)?;
    let channel = named(path)?.0;
    let frames = visitor.ask(&api, REQUEST, &MarkRead { channel, seq }).await?.map_err(refused)?;
    match frames.first() {
        Some(frame) if frame.kind() == Kind::DONE => Ok(StatusCode::NO_CONTENT),
        _ => Err(ApiError::internal("the core answered a mark with something else")),
    }
}

fn shown(item: &ReceiptItem) -> Value {
    json!({ "user": item.user.to_string(), "read": item.read, "delivered": item.delivered })
}
