//! Messages of a channel: its history, and one more.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use protocol::body::about::Recalled;
use protocol::body::list::{AROUND_SEQ, AROUND_TIME, AROUND_UNREAD, GetHistoryV2, HistoryPageV2};
use protocol::body::message::{Change, Message, SendText};
use protocol::body::sync::{GetHistory, HistoryPage, SendAck};
use protocol::body::talk::Talk;
use protocol::body::{self};
use protocol::commit::Note;
use protocol::limits::{PAGE_MESSAGES_MAX, U53_MAX};
use protocol::{ChannelId, Code, Frame, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::channels::{named, role, set_next};
use super::talk::{Said, set_talk};
use super::visit::{Visitor, refused};
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::idempotency;
use crate::json::{bad_query, parse_id, parse_number};
use crate::server::Shared;

/// Messages of a page unless it is said.
const LIMIT: u32 = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    before: Option<String>,
    after: Option<String>,
    limit: Option<String>,
    around: Option<String>,
    at_ms: Option<String>,
    first_unread: Option<String>,
}

/// A page of history, in rising order: the newest of what is asked for, or, with `after`, the oldest.
pub(crate) async fn list(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    window: Result<Query<Window>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    visitor.may(Scope::Read)?;
    let channel = named(path)?;
    let Query(window) = window.map_err(|error| bad_query("after", &error))?;
    if let Some(place) = place(&window)? {
        return around(&api, &visitor, channel, place, window.limit).await;
    }
    let number = |field, text: Option<String>, otherwise: u64| {
        text.map_or(Ok(otherwise), |text| parse_number(field, &text))
    };
    let newest = window.after.is_none();
    let limit = limit(window.limit)?;
    let (after, before) = (number("after", window.after, 0)?, number("before", window.before, U53_MAX)?);
    let get = GetHistory { channel: channel.0, after, before, limit, newest };
    let (page, frames): (HistoryPage, _) = visitor.page(&api, &get).await?;
    let mut answer = json!({
        "channel": channel.to_string(), "messages": frames.iter().map(shown).collect::<Vec<_>>(),
        "from": page.from, "to": page.to, "head": page.head,
    });
    let next = if newest { page.from } else { page.to };
    set_next(&mut answer, page.more.then(|| next.to_string()));
    Ok(axum::Json(answer))
}

fn limit(asked: Option<String>) -> Result<u32, ApiError> {
    let limit = asked.map_or_else(|| Ok(LIMIT.into()), |limit| parse_number("limit", &limit))?;
    let within = u32::try_from(limit).ok().filter(|limit| (1..=PAGE_MESSAGES_MAX).contains(limit));
    within.ok_or_else(|| ApiError::field("limit", format_args!("{limit}; must be 1 to {PAGE_MESSAGES_MAX}")))
}

/// The place to read around, if one is named: which kind of place, and the number that goes with it. All are looked at, and
/// the first counts.
fn place(window: &Window) -> Result<Option<(u8, u64)>, ApiError> {
    let number = |field, text: &Option<String>, around: u8| {
        let number = text.as_ref().map(|text| parse_number(field, text)).transpose()?;
        Ok::<_, ApiError>(number.map(|number| (around, number)))
    };
    let unread = match window.first_unread.as_deref() {
        None | Some("false") => None,
        Some("true") => Some((AROUND_UNREAD, 0)),
        Some(_) => return Err(ApiError::field("first_unread", "must be true or false")),
    };
    let seq = number("around", &window.around, AROUND_SEQ)?;
    let time = number("at_ms", &window.at_ms, AROUND_TIME)?;
    Ok(seq.or(time).or(unread))
}

/// A page around a place, in rising order.
async fn around(
    api: &Shared,
    visitor: &Visitor,
    channel: ChannelId,
    (around, at): (u8, u64),
    asked: Option<String>,
) -> Result<axum::Json<Value>, ApiError> {
    let (limit, before) = (limit(asked)?, U53_MAX);
    let channel_id = channel.0;
    let get = GetHistoryV2 { at, around, channel: channel_id, after: 0, before, limit, newest: false };
    let (page, frames): (HistoryPageV2, _) = visitor.page(api, &get).await?;
    Ok(axum::Json(json!({
        "channel": channel.to_string(), "messages": frames.iter().map(shown).collect::<Vec<_>>(),
        "from": page.from, "to": page.to, "head": page.head,
        "pivot": page.pivot, "more_before": page.more_before, "more_after": page.more_after,
    })))
}

/// One text, to a channel.
pub(crate) async fn send(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    let channel = named(path)?;
    write(&api, &visitor, channel, request).await
}

/// One text, to a person. Their direct channel begins with its first message; to oneself it is saved.
pub(crate) async fn send_to_user(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    let Path(id) = path.map_err(|error| ApiError::field("id", error.body_text()))?;
    let user = UserId(parse_id("id", &id)?);
    let me = visitor.may(Scope::Send)?.user;
    write(&api, &visitor, ChannelId::direct(user, me), request).await
}

async fn write(
    api: &Shared,
    visitor: &Visitor,
    channel: ChannelId,
    request: Request,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    let me = visitor.may(Scope::Send)?.user;
    let send_id = idempotency::send_id(request.headers(), me)?;
    let (place, said): (_, Said) = api.texts.read(me, request).await?;
    let talk = said.talk()?;
    // A bot answers people; it does not come up to them.
    if visitor.is_bot() && channel.users().is_some() && !visitor.has_channel(api, channel).await? {
        let words = "a bot writes to people who wrote to it, and to its groups";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "bot", words));
    }
    let send = async || {
        if talk.is_plain() {
            let text = SendText { channel: channel.0, text: said.text.clone() };
            return visitor.ask(api, send_id.0, &text).await;
        }
        visitor.ask(api, send_id.0, &talk.text(channel, &said.text)).await
    };
    let mut outcome = send().await?;
    if outcome.as_ref().is_err_and(|refused| refused.code == Some(Code::NoSuchUser))
        && introduce(api, me, channel).await?
    {
        outcome = send().await?;
    }
    drop(place);
    let frames = outcome.map_err(refused)?;
    let ack = frames.first().and_then(body::read::<SendAck>);
    let ack = ack.ok_or_else(|| ApiError::internal("the core acked a send otherwise"))?;
    let answer = json!({
        "channel": channel.to_string(), "seq": ack.seq, "time_ms": ack.time_ms, "send_id": send_id.to_string(),
    });
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// Tells the core of a user whom it does not know yet, as a look-up does; and counts as one, or this would be a way to walk
/// through all ids. Whether there is anything new for it.
async fn introduce(api: &Shared, asks: UserId, channel: ChannelId) -> Result<bool, ApiError> {
    let Some((small, large)) = channel.users() else { return Ok(false) };
    let other = if small == asks { large } else { small };
    let taken = api.limiter.take_lookup(asks, api.limiter.now_ms());
    taken.map_err(|wait_ms| ApiError::too_many(wait_ms, "too many users were looked up; wait"))?;
    let Some(account) = api.accounts.user(other).await?.filter(|account| !account.in_core) else {
        return Ok(false);
    };
    super::login::introduce(api, other, account.created_ms).await?;
    Ok(true)
}

/// What a stored message says, without its place: as pages of history have it, for exports.
#[must_use]
pub fn said(frame: &Frame) -> Value {
    let mut value = shown(frame);
    if let Some(fields) = value.as_object_mut() {
        for place in ["seq", "time_ms", "sender", "send_id"] {
            fields.remove(place);
        }
    }
    value
}

/// A message of a page.
pub(in crate::routes) fn shown(frame: &Frame) -> Value {
    let Some(stamp) = frame.read_stamp() else { return Value::Null };
    let mut value = json!({
        "seq": stamp.seq.0, "time_ms": stamp.time_ms, "sender": stamp.sender.to_string(),
        "send_id": frame.send_id().to_string(),
    });
    if let Some(recalled) = Recalled::read(frame) {
        return super::about::with_recalled(value, &recalled);
    }
    let Some(fields) = value.as_object_mut() else { return value };
    let mut set = |field: &str, value: Value| drop(fields.insert(field.into(), value));
    let change = match Message::read(frame) {
        Some(Message::SendText(body)) => {
            set("kind", "text".into());
            set("text", body.text.as_str().into());
            if let Some(talk) = Talk::read(frame) {
                set_talk(&mut value, &talk);
            }
            return value;
        }
        Some(Message::EditText(body)) => {
            set("text", body.text.as_str().into());
            Message::EditText(body).change()
        }
        Some(Message::SetDraft(body)) => {
            set("kind", "draft".into());
            set("about", body.about.to_native().to_string().into());
            set("text", body.text.as_str().into());
            return value;
        }
        Some(message) => message.change(),
        None => None,
    };
    set_change(&mut value, change);
    value
}

/// What a message changes of its channel.
fn set_change(value: &mut Value, change: Option<Change>) {
    let Some(fields) = value.as_object_mut() else { return };
    let mut set = |field: &str, value: Value| drop(fields.insert(field.into(), value));
    let users = |users: &[UserId]| users.iter().map(ToString::to_string).collect::<Vec<_>>().into();
    match change {
        Some(Change::Begins { name, members }) => {
            set("kind", "created".into());
            set("name", name.into());
            set("users", users(&members));
        }
        Some(Change::Joins(joined)) => {
            set("kind", "added".into());
            set("users", users(&joined));
        }
        Some(Change::Invites(invited)) => {
            set("kind", "invited".into());
            set("users", users(&invited));
        }
        Some(Change::Accepts) => set("kind", "joined".into()),
        Some(Change::Grows) => set("kind", "grown".into()),
        Some(Change::Erases) => set("kind", "erased".into()),
        Some(Change::Removes(user)) => {
            set("kind", "removed".into());
            set("users", users(&[user]));
        }
        Some(Change::Leaves) => set("kind", "left".into()),
        Some(Change::Notes(note)) => {
            set("kind", if matches!(note, Note::Hidden { .. }) { "hidden" } else { "prefs" }.into());
            set("about", note.about().to_string().into());
        }
        Some(Change::About { target, act }) => super::about::set_act(value, target, act),
        Some(Change::Name(name)) => {
            set("kind", "renamed".into());
            set("name", name.into());
        }
        Some(Change::Role { member, role: number }) => {
            set("kind", "role".into());
            set("users", users(&[member]));
            set("role", role(number).into());
        }
        Some(Change::Mutes { member, for_s }) => {
            set("kind", "muted".into());
            set("users", users(&[member]));
            set("for_s", for_s.into());
        }
        Some(Change::Bans(user)) => {
            set("kind", "banned".into());
            set("users", users(&[user]));
        }
        Some(Change::Unbans(user)) => {
            set("kind", "unbanned".into());
            set("users", users(&[user]));
        }
        Some(Change::Slows(interval_s)) => {
            set("kind", "slowed".into());
            set("interval_s", interval_s.into());
        }
        // Of a kind that this does not know: it is there, and is counted.
        None => set("kind", "other".into()),
    }
}
