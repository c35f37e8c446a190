//! A user's channels, and who is in one.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use protocol::ChannelId;
use protocol::body::list::ChannelsV2;
use protocol::body::message::{ROLE_ADMIN, ROLE_OWNER};
use protocol::body::sync::{ChannelItem, Channels, GetChannels, GetMembers, MemberItem, Members};
use protocol::limits::LIST_ITEMS_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

use super::listing;
use super::visit::Visitor;
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::json::{bad_query, parse_channel, parse_number};
use crate::server::Shared;

/// Rows of a page unless it is said.
const LIMIT: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    pub(super) after: Option<String>,
    pub(super) limit: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    order: Option<String>,
    after: Option<String>,
    at: Option<String>,
    limit: Option<String>,
}

pub(crate) async fn list(
    State(api): State<Shared>,
    visitor: Visitor,
    from: Result<Query<Which>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let me = visitor.may(Scope::Read)?.user.0;
    let Query(from) = from.map_err(|error| bad_query("after", &error))?;
    if let Some(order) = &from.order {
        let get = listing::request(order, from.after, from.at.as_deref(), limit(from.limit)?)?;
        let (page, _): (ChannelsV2, _) = visitor.page(&api, &get).await?;
        return Ok(axum::Json(listing::page(&page, me, get.order)));
    }
    if from.at.is_some() {
        return Err(ApiError::field("at", "goes with an order"));
    }
    let after = from.after.map_or(Ok(0), |after| parse_channel("after", &after).map(|channel| channel.0))?;
    let limit = limit(from.limit)?;
    let (page, _): (Channels, _) = visitor.page(&api, &GetChannels { after, limit }).await?;
    let mut answer = json!({ "channels": page.items.iter().map(|item| shown(item, me)).collect::<Vec<_>>() });
    let last = page.items.last().map(|item| ChannelId(item.channel).to_string());
    set_next(&mut answer, last.filter(|_| page.more));
    Ok(axum::Json(answer))
}

/// One channel of the user's own list.
pub(crate) async fn one(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let channel = named(path)?;
    let me = visitor.may(Scope::Read)?.user.0;
    let item = visitor.channel(&api, channel).await?;
    let item = item.ok_or_else(|| ApiError::not_found("there is no such channel for you"))?;
    Ok(axum::Json(shown(&item, me)))
}

pub(crate) async fn members(
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
    let (page, _): (Members, _) = visitor.page(&api, &GetMembers { channel, after, limit }).await?;
    let mut answer = json!({ "members": page.items.iter().map(member).collect::<Vec<_>>() });
    let last = page.items.last().map(|item| item.user.to_string());
    set_next(&mut answer, last.filter(|_| page.more));
    Ok(axum::Json(answer))
}

/// The channel that a path names.
pub(super) fn named(path: Result<Path<String>, PathRejection>) -> Result<ChannelId, ApiError> {
    let Path(id) = path.map_err(|error| ApiError::field("id", error.body_text()))?;
    parse_channel("id", &id)
}

/// Where the next page begins, if there is one.
pub(super) fn set_next(answer: &mut Value, next: Option<String>) {
    if let (Some(next), Some(fields)) = (next, answer.as_object_mut()) {
        fields.insert("next".into(), next.into());
    }
}

pub(super) fn limit(asked: Option<String>) -> Result<u32, ApiError> {
    let limit = asked.map_or_else(|| Ok(LIMIT.into()), |limit| parse_number("limit", &limit))?;
    let within = u32::try_from(limit).ok().filter(|limit| (1..=LIST_ITEMS_MAX).contains(limit));
    within.ok_or_else(|| ApiError::field("limit", format_args!("{limit}; must be 1 to {LIST_ITEMS_MAX}")))
}

pub(super) fn shown(item: &ChannelItem, me: u64) -> Value {
    let channel = ChannelId(item.channel);
    let mut value = json!({
        "channel": channel.to_string(), "head": item.head, "read": item.read, "unread": item.unread,
        "member": item.member,
    });
    let (field, text) = match channel.users() {
        Some((small, large)) => ("with", if small.0 == me { large } else { small }.to_string()),
        None => ("name", item.name.clone()),
    };
    if let Some(fields) = value.as_object_mut() {
        let kind = match channel.users() {
            Some((small, large)) if small == large => "own",
            Some(_) => "direct",
            None => "group",
        };
        fields.insert("kind".into(), kind.into());
        fields.insert(field.into(), text.into());
    }
    value
}

fn member(item: &MemberItem) -> Value {
    json!({ "user": item.user.to_string(), "role": role(item.role), "joined": item.joined })
}

/// A member's role in words.
pub(super) fn role(role: u8) -> &'static str {
    match role {
        ROLE_OWNER => "owner",
        ROLE_ADMIN => "admin",
        _ => "member",
    }
}
