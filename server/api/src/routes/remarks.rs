//! Something said about a message, over HTTP: a text reads otherwise, is taken back for everybody, is reacted to. Each is a
//! message of its own, under the key of its request, as a device's would be; what changes nothing is one too.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use protocol::body::about::{EditText, React, Recall};
use protocol::body::sync::SendAck;
use protocol::body::{self, Body};
use protocol::{ChannelId, SendId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::visit::{Visitor, refused};
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::idempotency;
use crate::json::{bad_path, parse_channel, parse_number};
use crate::server::Shared;

type Named = Result<Path<(String, String)>, PathRejection>;
type Reaction = Result<Path<(String, String, String)>, PathRejection>;
type Answer = Result<axum::Json<Value>, ApiError>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edited {
    text: String,
}

/// A text of one's own reads like this from here on.
pub(crate) async fn edit(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Named,
    request: Request,
) -> Answer {
    let (channel, target) = named(path)?;
    let me = visitor.may(Scope::Send)?.user;
    let send_id = idempotency::send_id(request.headers(), me)?;
    let (_place, Edited { text }) = api.texts.read(me, request).await?;
    let body = EditText { channel: channel.0, target, text };
    say(&api, &visitor, (channel, send_id), &body).await
}

/// A text is taken back for everybody.
pub(crate) async fn recall(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Named,
    headers: HeaderMap,
) -> Answer {
    let (channel, target) = named(path)?;
    let send_id = idempotency::send_id(&headers, visitor.may(Scope::Send)?.user)?;
    say(&api, &visitor, (channel, send_id), &Recall { channel: channel.0, target }).await
}

/// One reacts to a text.
pub(crate) async fn react(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Reaction,
    headers: HeaderMap,
) -> Answer {
    reaction(&api, &visitor, path, &headers, true).await
}

/// One does so no more.
pub(crate) async fn take_back(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Reaction,
    headers: HeaderMap,
) -> Answer {
    reaction(&api, &visitor, path, &headers, false).await
}

async fn reaction(api: &Shared, visitor: &Visitor, path: Reaction, headers: &HeaderMap, on: bool) -> Answer {
    let Path((id, seq, emoji)) = path.map_err(|error| bad_path(&["id", "seq", "emoji"], &error))?;
    let (channel, target) = place(&id, &seq)?;
    let send_id = idempotency::send_id(headers, visitor.may(Scope::Send)?.user)?;
    say(api, visitor, (channel, send_id), &React { channel: channel.0, target, on, emoji }).await
}

fn named(path: Named) -> Result<(ChannelId, u64), ApiError> {
    let Path((id, seq)) = path.map_err(|error| bad_path(&["id", "seq"], &error))?;
    place(&id, &seq)
}

pub(in crate::routes) fn place(id: &str, seq: &str) -> Result<(ChannelId, u64), ApiError> {
    Ok((parse_channel("id", id)?, parse_number("seq", seq)?))
}

async fn say<B: Body>(
    api: &Shared,
    visitor: &Visitor,
    (channel, send_id): (ChannelId, SendId),
    body: &B,
) -> Answer {
    let frames = visitor.ask(api, send_id.0, body).await?.map_err(refused)?;
    let ack = frames.first().and_then(body::read::<SendAck>);
    let ack = ack.ok_or_else(|| ApiError::internal("the core acked a send otherwise"))?;
    Ok(axum::Json(json!({
        "channel": channel.to_string(), "seq": ack.seq, "time_ms": ack.time_ms, "send_id": send_id.to_string(),
    })))
}
