//! What is said about messages, over HTTP.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use protocol::UserId;
use protocol::body::about::{About, AboutItem, GetAbout, ReactionItem};
use protocol::limits::{PAGE_MESSAGES_MAX, U53_MAX};
use serde::Deserialize;
use serde_json::{Value, json};

use super::channels::{named, set_next};
use super::talk::limit;
use super::visit::Visitor;
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::json::{bad_query, parse_number};
use crate::server::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    from: Option<String>,
    through: Option<String>,
    limit: Option<String>,
    who: Option<String>,
}

/// What now holds of messages of a channel, and what is pinned there.
pub(crate) async fn list(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    range: Result<Query<Range>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    visitor.may(Scope::Read)?;
    let channel = named(path)?;
    let Query(range) = range.map_err(|error| bad_query("from", &error))?;
    let number = |field, text: Option<String>, otherwise: u64| {
        text.map_or(Ok(otherwise), |text| parse_number(field, &text))
    };
    let (from, through) = (number("from", range.from, 1)?, number("through", range.through, U53_MAX)?);
    let who = match range.who.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(ApiError::field("who", format_args!("{other:?}; expected true or false"))),
    };
    let limit = limit(range.limit, PAGE_MESSAGES_MAX)?;
    let get = GetAbout { channel: channel.0, from, through, limit, who };
    let (page, _): (About, _) = visitor.page(&api, &get).await?;
    let mut answer = json!({
        "channel": channel.to_string(), "from": page.from, "to": page.to,
        "pins": page.pins.iter().map(|pin| json!({ "seq": pin.seq, "by": pin.by })).collect::<Vec<_>>(),
        "messages": page.items.iter().map(|item| shown(&page, item)).collect::<Vec<_>>(),
    });
    set_next(&mut answer, page.more.then(|| page.to.saturating_add(1).to_string()));
    Ok(axum::Json(answer))
}

fn shown(page: &About, item: &AboutItem) -> Value {
    let of = page.reactions.iter().enumerate().filter(|(_, one)| one.seq == item.seq);
    let reaction = |(place, one): (usize, &ReactionItem)| {
        let who = page.who.iter().filter(|who| usize::try_from(who.reaction) == Ok(place));
        let users: Vec<String> = who.map(|who| UserId(who.user).to_string()).collect();
        json!({ "emoji": one.emoji, "count": one.count, "own": one.own, "users": users })
    };
    json!({
        "seq": item.seq, "edited": item.edited, "edits": item.edits, "text": item.text,
        "reactions": of.map(reaction).collect::<Vec<_>>(),
    })
}
