//! What is said about messages, over HTTP.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use protocol::body::about::{About, AboutItem, GetAbout, ReactionItem, Recalled};
use protocol::commit::Act;
use protocol::limits::{PAGE_MESSAGES_MAX, U53_MAX};
use protocol::{Seq, UserId};
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

/// What stands in the place of a recalled text, or of an edit of one.
pub(super) fn with_recalled(mut value: Value, recalled: &Recalled) -> Value {
    let Some(fields) = value.as_object_mut() else { return value };
    let mut set = |field: &str, value: Value| drop(fields.insert(field.into(), value));
    set("kind", "recalled".into());
    set("target", recalled.target.into());
    set("by", recalled.by.into());
    set("recalled_ms", recalled.time_ms.into());
    set("users", json!([UserId(recalled.user).to_string()]));
    value
}

/// Adds what a message says about another to a message of a page; an edit's text is there already.
pub(super) fn set_act(value: &mut Value, target: Seq, act: Act) {
    let Some(fields) = value.as_object_mut() else { return };
    let mut set = |field: &str, value: Value| drop(fields.insert(field.into(), value));
    set("target", target.0.into());
    match act {
        Act::Edits => set("kind", "edited".into()),
        Act::Reacts { emoji, on } => {
            set("kind", "reacted".into());
            set("emoji", emoji.into());
            set("on", on.into());
        }
        Act::Pins(on) => {
            set("kind", "pinned".into());
            set("on", on.into());
        }
        Act::Recalls => set("kind", "recall".into()),
    }
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
