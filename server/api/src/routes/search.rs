//! Messages by their words; for operators the index.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use protocol::body::sync::{Channels, GetChannels};
use protocol::{Kind, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::Owner;
use super::channels::set_next;
use super::visit::Visitor;
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::homes::{Search, SearchHit, SearchRefusal};
use crate::json::{bad_query, parse_channel, parse_id, parse_number};
use crate::server::Shared;

/// Hits of a page unless it is said.
const LIMIT: u64 = 20;
/// Most hits of a page.
pub(crate) const SEARCH_PAGE_MAX: usize = 100;
/// Longest query, characters.
pub(crate) const WORDS_CHARS_MAX: usize = 256;
/// When to come again to an index that is away, milliseconds.
const BUSY_MS: u64 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    q: Option<String>,
    channel: Option<String>,
    sender: Option<String>,
    from_ms: Option<String>,
    to_ms: Option<String>,
    kind: Option<String>,
    mentions: Option<String>,
    order: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

impl Asked {
    fn read(self, user: UserId) -> Result<Search, ApiError> {
        let number = |field, text: Option<String>| text.map(|text| parse_number(field, &text)).transpose();
        let limit = number("limit", self.limit)?.unwrap_or(LIMIT);
        let within = usize::try_from(limit).ok().filter(|limit| (1..=SEARCH_PAGE_MAX).contains(limit));
        let limit = within.ok_or_else(|| {
            ApiError::field("limit", format_args!("{limit}; must be 1 to {SEARCH_PAGE_MAX}"))
        })?;
        let by_relevance = match self.order.as_deref() {
            None | Some("time") => false,
            Some("relevance") => true,
            Some(_) => return Err(ApiError::field("order", "must be time or relevance")),
        };
        let kind = match self.kind.as_deref() {
            None => None,
            Some("text") => Some(Kind::SEND_TEXT.0),
            Some(_) => return Err(ApiError::field("kind", "must be text: nothing else is searched")),
        };
        let channel = self.channel.map(|text| parse_channel("channel", &text)).transpose()?;
        let sender = self.sender.map(|text| parse_id("sender", &text)).transpose()?;
        let mentions = match self.mentions.as_deref() {
            Some("me") => Some(user),
            mentions => mentions.map(|text| parse_id("mentions", text)).transpose()?.map(UserId),
        };
        let (from_ms, to_ms) = (number("from_ms", self.from_ms)?, number("to_ms", self.to_ms)?);
        let (sender, after) = (sender.map(UserId), self.after);
        if after.as_deref().is_some_and(|after| !is_place(after)) {
            return Err(refusal(SearchRefusal::After));
        }
        let words = self.q.ok_or_else(|| ApiError::field("q", "it is missing: what is to be found"))?;
        Ok(Search {
            user,
            words,
            channel,
            sender,
            from_ms,
            to_ms,
            kind,
            mentions,
            by_relevance,
            limit,
            after,
        })
    }
}

/// Whether it may be `next` of a page; whoever searches looks closer.
fn is_place(after: &str) -> bool {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
    after.strip_prefix(['t', 'r']).is_some_and(|rest| rest.len() < 64 && rest.chars().all(is_part))
}

/// A page of the messages that have these words and that the user may read.
pub(crate) async fn search(
    State(api): State<Shared>,
    visitor: Visitor,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let user = visitor.may(Scope::Read)?.user;
    let Query(asked) = asked.map_err(|error| bad_query("q", &error))?;
    let search = asked.read(user)?;
    let taken = api.limiter.take_search(user, api.limiter.now_ms());
    taken.map_err(|wait_ms| ApiError::too_many(wait_ms, "too many searches of one user; wait"))?;
    // The user's home says whether the token still counts, as for everything that is read.
    let nothing = GetChannels { after: u128::MAX - 1, limit: 1 };
    let _: (Channels, _) = visitor.page(&api, &nothing).await?;
    let page = api.homes.search(search).await.map_err(refusal)?;
    let hits: Vec<Value> = page.hits.iter().map(shown).collect();
    let mut answer = json!({ "hits": hits, "complete": page.is_complete });
    set_next(&mut answer, page.next);
    Ok(axum::Json(answer))
}

fn shown(hit: &SearchHit) -> Value {
    json!({
        "channel": hit.channel.to_string(), "seq": hit.seq.0, "time_ms": hit.time_ms,
        "sender": hit.sender.to_string(),
        "kind": if hit.kind == Kind::SEND_TEXT.0 { "text" } else { "other" },
        "snippet": hit.snippet, "at": hit.at, "chars": hit.chars,
        "highlights": hit.highlights.iter().map(|(from, to)| json!([from, to])).collect::<Vec<_>>(),
    })
}

/// The index.
pub(crate) async fn report(State(api): State<Shared>, _owner: Owner) -> axum::Json<Value> {
    let report = api.homes.search_report();
    let on = report.is_some();
    let report = report.unwrap_or_default();
    axum::Json(json!({
        "on": on, "documents": report.documents, "bytes": report.bytes, "segments": report.segments,
        "behind_ms": report.behind_ms, "rebuilding": report.rebuilding,
    }))
}

/// It is made anew from the histories, beside all else.
pub(crate) async fn rebuild(State(api): State<Shared>, Owner(by): Owner) -> Result<StatusCode, ApiError> {
    api.homes.rebuild_search().map_err(refusal)?;
    tracing::info!(by_token = by, "the search index is to be made anew");
    Ok(StatusCode::NO_CONTENT)
}

fn refusal(refusal: SearchRefusal) -> ApiError {
    match &refusal {
        SearchRefusal::Off => ApiError::new(StatusCode::FORBIDDEN, "search_off", refusal.to_string()),
        SearchRefusal::Words(why) => ApiError::field("q", why),
        SearchRefusal::After => ApiError::field("after", refusal.to_string()),
        SearchRefusal::Busy => ApiError::busy(BUSY_MS, refusal.to_string()),
        SearchRefusal::Failed(words) => ApiError::internal(words),
    }
}
