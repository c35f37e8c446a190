//! What a text is about over HTTP: replies, threads, mentions, forwards; pages of threads and of mentions.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use protocol::body::talk::{GetMentions, GetThread, MentionCount, MentionItem, Mentions, Talk, Thread};
use protocol::limits::{MENTIONS_MAX, MENTIONS_PAGE_MAX, PAGE_MESSAGES_MAX, U53_MAX};
use protocol::{ChannelId, Seq, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::channels::{named, set_next};
use super::messages::shown;
use super::visit::Visitor;
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::json::{bad_query, parse_id, parse_number};
use crate::server::Shared;

/// Messages or mentions of a page unless it is said.
const LIMIT: u32 = 50;

/// The body of a send.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    pub(super) text: String,
    reply_to: Option<u64>,
    thread: Option<u64>,
    mentions: Option<Vec<String>>,
    all: Option<bool>,
    online: Option<bool>,
    forwarded_from: Option<String>,
}

impl Said {
    /// What the text is about. What the channel knows is judged there.
    pub(super) fn talk(&self) -> Result<Talk, ApiError> {
        let named = self.mentions.as_deref().unwrap_or_default();
        if named.len() > MENTIONS_MAX {
            let words = format!("{} users; at most {MENTIONS_MAX} are allowed", named.len());
            return Err(ApiError::field("mentions", words));
        }
        let mut mentions = Vec::with_capacity(named.len());
        for (at, id) in named.iter().enumerate() {
            mentions.push(UserId(parse_id(&format!("mentions[{at}]"), id)?));
        }
        mentions.sort_unstable();
        mentions.dedup();
        let forwarded_from = match self.forwarded_from.as_deref() {
            Some(id) => Some(UserId(parse_id("forwarded_from", id)?)),
            None => None,
        };
        let seq = |seq: Option<u64>| seq.filter(|seq| *seq != 0).map(Seq);
        Ok(Talk {
            reply_to: seq(self.reply_to),
            thread: seq(self.thread),
            forwarded_from,
            mentions,
            all: self.all.unwrap_or_default(),
            online: self.online.unwrap_or_default(),
        })
    }
}

/// Adds what a text is about to a message of a page.
pub(super) fn set_talk(value: &mut Value, talk: &Talk) {
    let Some(fields) = value.as_object_mut() else { return };
    let mut set = |field: &str, value: Value| drop(fields.insert(field.into(), value));
    if let Some(seq) = talk.reply_to {
        set("reply_to", seq.0.into());
    }
    if let Some(root) = talk.thread {
        set("thread", root.0.into());
    }
    if let Some(user) = talk.forwarded_from {
        set("forwarded_from", user.to_string().into());
    }
    if !talk.mentions.is_empty() {
        set("mentions", talk.mentions.iter().map(ToString::to_string).collect::<Vec<_>>().into());
    }
    for (is_set, word) in [(talk.all, "all"), (talk.online, "online")] {
        if is_set {
            set(word, true.into());
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    root: Option<String>,
    before: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

pub(super) fn limit(asked: Option<String>, most: u32) -> Result<u32, ApiError> {
    let limit = asked.map_or_else(|| Ok(LIMIT.into()), |text| parse_number("limit", &text))?;
    let within = u32::try_from(limit).ok().filter(|limit| (1..=most).contains(limit));
    within.ok_or_else(|| ApiError::field("limit", format_args!("{limit}; must be 1 to {most}")))
}

/// A page of a thread, as one of history.
pub(crate) async fn thread(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    window: Result<Query<Window>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    visitor.may(Scope::Read)?;
    let channel = named(path)?;
    let Query(window) = window.map_err(|error| bad_query("root", &error))?;
    let number = |field, text: Option<String>, otherwise: u64| {
        text.map_or(Ok(otherwise), |text| parse_number(field, &text))
    };
    let newest = window.after.is_none();
    let root = number("root", window.root, 0)?;
    let limit = limit(window.limit, PAGE_MESSAGES_MAX)?;
    let (after, before) = (number("after", window.after, 0)?, number("before", window.before, U53_MAX)?);
    let get = GetThread { channel: channel.0, root, after, before, limit, newest };
    let (page, frames): (Thread, _) = visitor.page(&api, &get).await?;
    let mut answer = json!({
        "channel": channel.to_string(), "root": page.root, "total": page.total, "newest": page.newest,
        "messages": frames.iter().map(shown).collect::<Vec<_>>(), "from": page.from, "to": page.to,
    });
    let next = if newest { page.from } else { page.to };
    set_next(&mut answer, page.more.then(|| next.to_string()));
    Ok(axum::Json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Older {
    before: Option<String>,
    limit: Option<String>,
}

/// What mentions the user, the newest first.
pub(crate) async fn mentions(
    State(api): State<Shared>,
    visitor: Visitor,
    older: Result<Query<Older>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    visitor.may(Scope::Read)?;
    let Query(older) = older.map_err(|error| bad_query("before", &error))?;
    let before = older.before.map_or(Ok(U53_MAX), |text| parse_number("before", &text))?;
    let limit = limit(older.limit, MENTIONS_PAGE_MAX)?;
    let (page, _): (Mentions, _) = visitor.page(&api, &GetMentions { before, limit }).await?;
    let item = |item: &MentionItem| {
        json!({
            "at": item.at, "channel": ChannelId(item.channel).to_string(), "seq": item.seq,
            "time_ms": item.time_ms, "sender": item.sender.to_string(),
        })
    };
    let count = |count: &MentionCount| json!({ "channel": ChannelId(count.channel).to_string(), "unread": count.unread });
    let mut answer = json!({
        "mentions": page.items.iter().map(item).collect::<Vec<_>>(),
        "unread": page.unread.iter().map(count).collect::<Vec<_>>(),
    });
    let last = page.items.last().map(|item| item.at.to_string());
    set_next(&mut answer, last.filter(|_| page.more));
    Ok(axum::Json(answer))
}
