//! Searches as the control plane asks them.

use std::sync::Arc;
use std::time::Duration;

use api::{SearchHit, SearchPage, SearchRefusal, SearchReport};
use search::{Asked, Hit, Order, Snippet, Sought, snippet};
use tokio::sync::Semaphore;

use super::{Search, Unanswered};

/// Searches that are answered at a time. Each has a thread for as long as it takes; with more of them all would take longer.
pub(crate) const AT_A_TIME: usize = 4;
/// How long the others wait for a place.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers one, on a thread that may wait for the disk.
pub(crate) async fn search(
    search: Search,
    places: Arc<Semaphore>,
    asked: api::Search,
) -> Result<SearchPage, SearchRefusal> {
    let (user, asked) = (asked.user, read(asked)?);
    let place = tokio::time::timeout(PATIENCE, places.acquire_owned()).await;
    let place = place.ok().and_then(Result::ok).ok_or(SearchRefusal::Busy)?;
    let answered = tokio::task::spawn_blocking(move || {
        // Whoever hangs up frees its place only when its search is over.
        let _place = place;
        let found = search.find(user, &asked)?;
        let hits = found.hits.into_iter().map(|hit| shown(hit, &asked.sought)).collect();
        let next = found.next.map(|next| next.to_string());
        Ok(SearchPage { hits, next, is_complete: !found.is_cut })
    });
    match answered.await {
        Ok(Ok(page)) => Ok(page),
        Ok(Err(Unanswered::Away)) => Err(SearchRefusal::Busy),
        Ok(Err(Unanswered::Index(error))) if error.is_damage() => Err(SearchRefusal::Busy),
        Ok(Err(error)) => Err(SearchRefusal::Failed(error.to_string())),
        Err(error) => Err(SearchRefusal::Failed(error.to_string())),
    }
}

fn read(asked: api::Search) -> Result<Asked, SearchRefusal> {
    let api::Search { words, channel, sender, from_ms, to_ms, kind, mentions, .. } = asked;
    let (by_relevance, limit, after) = (asked.by_relevance, asked.limit, asked.after);
    let sought = Sought::parse(&words).map_err(|error| SearchRefusal::Words(error.to_string()))?;
    let after = after.map(|after| after.parse().map_err(|()| SearchRefusal::After)).transpose()?;
    let order = if by_relevance { Order::Relevance } else { Order::Time };
    Ok(Asked { sought, channel, sender, from_ms, to_ms, kind, mentions, order, limit, after })
}

fn shown(hit: Hit, sought: &Sought) -> SearchHit {
    let Snippet { text, at, of, highlights } = snippet(&hit.text, sought);
    SearchHit {
        channel: hit.channel,
        seq: hit.seq,
        sender: hit.sender,
        time_ms: hit.time_ms,
        kind: hit.kind,
        snippet: text,
        at,
        chars: of,
        highlights: highlights.into_iter().map(|range| (range.start, range.end)).collect(),
    }
}

/// The index, for an operator.
pub(crate) fn report(search: &Search) -> SearchReport {
    let counts = search.meter().read();
    SearchReport {
        documents: counts.sizes.documents,
        bytes: counts.sizes.bytes,
        segments: counts.sizes.segments,
        behind_ms: u64::try_from(counts.behind.as_millis()).unwrap_or(u64::MAX),
        rebuilding: counts.rebuilding,
    }
}
