//! What operators see of users and channels. Never what was said, but how an edited text read before, where the server's
//! settings say so.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use protocol::commit::Quota;
use protocol::query::{JoinedItem, Member};
use protocol::{ChannelId, Seq, UserId};
use serde_json::{Value, json};

use super::{Operator, Owner};
use crate::accounts::{Account, DeviceRecord};
use crate::audit::note;
use crate::error::ApiError;
use crate::homes::{LiveSession, LiveUser};
use crate::json::{bad_path, bad_query, parse_channel, parse_id};
use crate::name::Sought;
use crate::routes::channels::{From, limit, named, role, set_next};
use crate::routes::login::home_refused;
use crate::routes::messages::shown as shown_message;
use crate::routes::remarks::place;
use crate::server::Shared;

/// A page of all users, oldest first.
pub(crate) async fn users(
    State(api): State<Shared>,
    _operator: Operator,
    from: Result<Query<From>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let Query(from) = from.map_err(|error| bad_query("after", &error))?;
    let after = from.after.map_or(Ok(0), |after| parse_id("after", &after))?;
    let limit = limit(from.limit)?;
    let page = api.accounts.users_after(UserId(after), limit).await?;
    let mut answer = json!({ "users": page.iter().map(account).collect::<Vec<_>>() });
    let is_full = page.len() >= limit as usize;
    set_next(&mut answer, page.last().filter(|_| is_full).map(|last| last.user.to_string()));
    Ok(axum::Json(answer))
}

/// One user: account, devices, identities, sessions, its own bounds, what is left of the hour's quotas.
pub(crate) async fn user(
    State(api): State<Shared>,
    _operator: Operator,
    path: Result<Path<String>, PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    shown(&api, existing(&api, path).await?).await
}

/// The same by name.
pub(crate) async fn user_by_name(
    State(api): State<Shared>,
    _operator: Operator,
    path: Result<Path<String>, PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let Path(name) = path.map_err(|error| ApiError::field("name", error.body_text()))?;
    let name = Sought::parse(&name).map_err(|fault| ApiError::field("name", fault))?;
    let found = known(api.accounts.user_by_name(&name).await?)?;
    shown(&api, found).await
}

async fn shown(api: &Shared, found: Account) -> Result<axum::Json<Value>, ApiError> {
    let devices = api.accounts.devices(found.user).await?;
    let identities = api.accounts.identities(found.user).await?;
    let bot = api.accounts.bot(found.user).await?;
    let live = api.homes.live_user(found.user).await.map_err(|error| home_refused(&error))?;
    let identity = |(issuer, subject)| json!({ "issuer": issuer, "subject": subject });
    let mut answer = account(&found);
    let more = json!({
        "has_password": found.has_password(),
        "bot": bot.is_some(),
        "owner": bot.and_then(|bot| bot.owner).map(|owner| owner.to_string()),
        "not_before_ms": found.not_before_ms,
        "devices": devices.iter().map(device).collect::<Vec<_>>(),
        "identities": identities.into_iter().map(identity).collect::<Vec<_>>(),
        "shard": live.shard,
        "inbox_head": live.inbox_head,
        "sessions": live.sessions.iter().map(session).collect::<Vec<_>>(),
        "quota": quota_shown(live.quota),
        "left": left(&live),
    });
    if let (Some(fields), Value::Object(more)) = (answer.as_object_mut(), more) {
        fields.extend(more);
    }
    Ok(axum::Json(answer))
}

/// A page of a user's channels, those that were left too.
pub(crate) async fn channels(
    State(api): State<Shared>,
    _operator: Operator,
    path: Result<Path<String>, PathRejection>,
    from: Result<Query<From>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let user = existing(&api, path).await?.user;
    let Query(from) = from.map_err(|error| bad_query("after", &error))?;
    let after = from.after.map_or(Ok(ChannelId(0)), |after| parse_channel("after", &after))?;
    let limit = limit(from.limit)?;
    let page = api.homes.channels_of(user, after, limit).await;
    let (items, more) = page.map_err(|error| home_refused(&error))?;
    let mut answer = json!({ "channels": items.iter().map(joined).collect::<Vec<_>>() });
    set_next(&mut answer, items.last().filter(|_| more).map(|last| last.channel.to_string()));
    Ok(axum::Json(answer))
}

/// A channel with its present members.
pub(crate) async fn channel(
    State(api): State<Shared>,
    _operator: Operator,
    path: Result<Path<String>, PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let channel = named(path)?;
    let stored = api.homes.stored_channel(channel).await.map_err(|error| home_refused(&error))?;
    let stored = stored.ok_or_else(|| ApiError::not_found("nothing was ever said in such a channel"))?;
    Ok(axum::Json(json!({
        "channel": channel.to_string(),
        "kind": kind(channel),
        "name": stored.name,
        "head": stored.head,
        "time_ms": stored.time_ms,
        "members": stored.members.iter().map(member).collect::<Vec<_>>(),
    })))
}

/// A text and its edits, the oldest first: how it read before. Of one that was recalled nothing is left to show.
pub(crate) async fn edits(
    State(api): State<Shared>,
    _owner: Owner,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let Path((id, seq)) = path.map_err(|error| bad_path(&["id", "seq"], &error))?;
    let (channel, seq) = place(&id, &seq)?;
    if !api.settings.show_edits {
        let words = "this server shows nobody how texts read before: its setting show_edits is false";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "edits_off", words));
    }
    let frames = api.homes.message_with_edits(channel, Seq(seq)).await;
    let frames = frames.map_err(|error| home_refused(&error))?;
    if frames.is_empty() {
        return Err(ApiError::not_found("there is no such message"));
    }
    let messages: Vec<Value> = frames.iter().map(shown_message).collect();
    Ok(axum::Json(json!({ "channel": channel.to_string(), "messages": messages })))
}

pub(super) fn kind(channel: ChannelId) -> &'static str {
    match (channel.owner(), channel.users()) {
        (Some(_), _) => "own",
        (None, Some(_)) => "direct",
        (None, None) => "group",
    }
}

pub(in crate::routes) async fn existing(
    api: &Shared,
    path: Result<Path<String>, PathRejection>,
) -> Result<Account, ApiError> {
    let Path(id) = path.map_err(|error| ApiError::field("id", error.body_text()))?;
    known(api.accounts.user(UserId(parse_id("id", &id)?)).await?)
}

fn known(found: Option<Account>) -> Result<Account, ApiError> {
    let found = found.ok_or_else(|| ApiError::not_found("there is no such user"))?;
    note(|trail| trail.subject = Some(found.user));
    Ok(found)
}

fn account(account: &Account) -> Value {
    json!({ "user": account.user.to_string(), "name": account.name, "created_ms": account.created_ms })
}

fn device(device: &DeviceRecord) -> Value {
    json!({
        "device": device.device.to_string(), "name": device.name, "created_ms": device.created_ms,
        "seen_ms": device.seen_ms,
    })
}

fn session(session: &LiveSession) -> Value {
    json!({
        "device": session.device.to_string(),
        "transport": session.transport.word(),
        "silent_ms": session.silent_ms,
        "waiting_bytes": session.waiting_bytes,
        "behind": session.behind,
        "expires_ms": session.expires_ms,
    })
}

fn left(live: &LiveUser) -> Value {
    let [groups, directs, bytes] = live.left;
    json!({ "groups": groups, "directs": directs, "bytes": bytes })
}

pub(super) fn quota_shown(quota: Quota) -> Value {
    json!({
        "groups_per_h": quota.groups_per_h.get(),
        "directs_per_h": quota.directs_per_h.get(),
        "mib_per_h": quota.mib_per_h.get(),
    })
}

fn joined(item: &JoinedItem) -> Value {
    json!({
        "channel": item.channel.to_string(),
        "kind": kind(item.channel),
        "name": item.name,
        "joined": item.joined.0,
        "left": item.left.map(|left| left.0),
        "head": item.head.0,
        "read": item.read.0,
        "unread": item.unread,
    })
}

fn member((user, member): &(UserId, Member)) -> Value {
    json!({
        "user": user.to_string(), "role": role(member.role), "joined": member.joined.0,
        "read": member.position.read.0,
    })
}
