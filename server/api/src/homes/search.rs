//! What is searched, found and refused, between the routes and whoever has the index.

use protocol::{ChannelId, Seq, UserId};

/// A search, as it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    /// Who asks: only what this user may read is found.
    pub user: UserId,
    /// What was typed.
    pub words: String,
    /// Only in this channel.
    pub channel: Option<ChannelId>,
    /// Only of this sender.
    pub sender: Option<UserId>,
    /// Only from this time on, milliseconds since the Unix epoch.
    pub from_ms: Option<u64>,
    /// Only before this time.
    pub to_ms: Option<u64>,
    /// Only of this kind.
    pub kind: Option<u16>,
    /// Only what mentions this user, by itself or with all others.
    pub mentions: Option<UserId>,
    /// The best first, not the newest.
    pub by_relevance: bool,
    /// Hits of a page.
    pub limit: usize,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// A message that was found, with what is shown of its text. Numbers count characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SearchHit {
    /// With `seq`, the message's name.
    pub channel: ChannelId,
    /// See `channel`.
    pub seq: Seq,
    /// Who sent it.
    pub sender: UserId,
    /// When.
    pub time_ms: u64,
    /// Its kind's number.
    pub kind: u16,
    /// A stretch of its text.
    pub snippet: String,
    /// Where the stretch begins in the text.
    pub at: usize,
    /// How long the text is.
    pub chars: usize,
    /// What was found, as begin and end within the stretch.
    pub highlights: Vec<(usize, usize)>,
}

/// A page of what was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SearchPage {
    /// In the order that was asked for.
    pub hits: Vec<SearchHit>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
    /// Whether everything was looked at.
    pub is_complete: bool,
}

/// Why a search is not answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SearchRefusal {
    /// This server does not search.
    #[error("this server does not search (setting `search`)")]
    Off,
    /// The words are no query; says why.
    #[error("{0}")]
    Words(String),
    /// That is no place of a page.
    #[error("it is not `next` of a page")]
    After,
    /// Too much is searched, or the index is being made anew.
    #[error("search cannot answer now; ask again")]
    Busy,
    /// It failed; words for the log.
    #[error("{0}")]
    Failed(String),
}

/// What an operator is told of the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SearchReport {
    /// Messages that are found.
    pub documents: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Pieces of it.
    pub segments: u64,
    /// Age of the oldest message that is not found yet, milliseconds.
    pub behind_ms: u64,
    /// Bays whose histories are still to be read into it.
    pub rebuilding: u64,
}
