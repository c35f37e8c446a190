//! Answers searches: of what is found, only what the asker may read exists.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use protocol::commit::Interval;
use protocol::{ChannelId, Seq, UserId};
use tantivy::columnar::Column;
use tantivy::query::{EnableScoring, Query, Weight};
use tantivy::schema::Value;
use tantivy::{DocAddress, DocSet, IndexReader, Searcher, SegmentReader, TERMINATED, TantivyDocument};

use crate::index::IndexError;
use crate::limits::{DOCS_PER_LOOK, PAGE_MAX, RANKS_MAX};
use crate::query;
use crate::schema::{Fields, key_of};
use crate::syntax::Sought;

/// The channels that somebody is or was in, and when. Built for each search, from the store.
#[derive(Clone, Debug, Default)]
pub struct Readable {
    /// By their keys; two may share one.
    channels: HashMap<u64, Vec<(ChannelId, Vec<Interval>)>>,
}

impl Readable {
    /// One more channel.
    pub fn add(&mut self, channel: ChannelId, stays: Vec<Interval>) {
        if !stays.is_empty() {
            self.channels.entry(key_of(channel)).or_default().push((channel, stays));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = u64> {
        self.channels.keys().copied()
    }

    /// Whether some channel of this key may be read there: cheap, and never a no that is wrong.
    fn may_hold(&self, key: u64, seq: Seq) -> bool {
        let channels = self.channels.get(&key).map(Vec::as_slice).unwrap_or_default();
        channels.iter().any(|(_, stays)| stays.iter().any(|stay| stay.holds(seq)))
    }

    fn holds(&self, channel: ChannelId, seq: Seq) -> bool {
        let channels = self.channels.get(&key_of(channel)).map(Vec::as_slice).unwrap_or_default();
        let mut stays = channels.iter().filter(|(of, _)| *of == channel).flat_map(|(_, stays)| stays);
        stays.any(|stay| stay.holds(seq))
    }
}

/// In which order hits come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// The newest first.
    #[default]
    Time,
    /// Those that say more of it in fewer words first (BM25).
    Relevance,
}

/// Where a page begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cursor {
    /// By time: behind this message.
    Behind {
        /// Its time.
        time_ms: u64,
        /// Its channel's key.
        key: u64,
        /// Its seq.
        seq: Seq,
    },
    /// By relevance: behind so many.
    Rank(usize),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { time_ms, key, seq } => write!(f, "t{time_ms:x}-{key:x}-{:x}", seq.0),
            Self::Rank(rank) => write!(f, "r{rank:x}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = |text: &str| u64::from_str_radix(text, 16).map_err(drop);
        if let Some(rank) = text.strip_prefix('r') {
            return usize::try_from(hex(rank)?).map(Self::Rank).map_err(drop);
        }
        let mut parts = text.strip_prefix('t').ok_or(())?.split('-');
        let mut next = || parts.next().ok_or(()).and_then(hex);
        let cursor = Self::Behind { time_ms: next()?, key: next()?, seq: Seq(next()?) };
        if parts.next().is_some() { Err(()) } else { Ok(cursor) }
    }
}

/// A search.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The words.
    pub sought: Sought,
    /// Only this channel.
    pub channel: Option<ChannelId>,
    /// Only of this sender.
    pub sender: Option<UserId>,
    /// Only from this time on.
    pub from_ms: Option<u64>,
    /// Only before this time.
    pub to_ms: Option<u64>,
    /// Only of this kind.
    pub kind: Option<u16>,
    /// Only what mentions this user, by itself or with all others; of oneself nothing does.
    pub mentions: Option<UserId>,
    /// In which order.
    pub order: Order,
    /// Hits of a page.
    pub limit: usize,
    /// Where it begins; of the other order: at the beginning.
    pub after: Option<Cursor>,
}

impl Asked {
    /// These words, without a filter: the newest first, on a page as long as one may be.
    #[must_use]
    pub fn of(sought: Sought) -> Self {
        Self {
            sought,
            channel: None,
            sender: None,
            from_ms: None,
            to_ms: None,
            kind: None,
            mentions: None,
            order: Order::Time,
            limit: PAGE_MAX,
            after: None,
        }
    }
}

/// One message that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hit {
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
    /// The whole text.
    pub text: String,
}

/// A page.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// In the order that was asked for.
    pub hits: Vec<Hit>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// There was not time enough to look at everything: others may match that are not here.
    pub is_cut: bool,
}

/// Answers searches. Cheap to clone; sees what was committed when a search begins.
#[derive(Clone)]
pub struct Finder {
    reader: IndexReader,
    fields: Fields,
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finder").finish_non_exhaustive()
    }
}

/// What hits are ordered by; the largest comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    /// Of a score that is not negative the bits, which have its order; 0 by time.
    score: u32,
    time_ms: u64,
    key: u64,
    seq: u64,
    at: DocAddress,
}

impl Finder {
    pub(crate) fn new(reader: IndexReader, fields: Fields) -> Self {
        Self { reader, fields }
    }

    /// Searches. `until` bounds how long.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn find(&self, asked: &Asked, readable: &Readable, until: Instant) -> Result<Found, IndexError> {
        let searcher = self.reader.searcher();
        let limit = asked.limit.clamp(1, PAGE_MAX);
        let begin = match (asked.order, asked.after) {
            (Order::Relevance, Some(Cursor::Rank(rank))) => rank.min(RANKS_MAX),
            _ => 0,
        };
        let most = (begin + limit).min(if asked.order == Order::Relevance { RANKS_MAX } else { usize::MAX });
        let mut search = Search {
            asked,
            readable,
            until,
            // One more says whether there is a next page.
            best: Best { keys: BinaryHeap::new(), most: most.saturating_add(1) },
            is_cut: false,
        };
        search.all(&searcher, &self.fields)?;
        let (is_cut, keys) = (search.is_cut, search.best.falling());
        let page: Vec<Key> = keys.iter().copied().skip(begin).take(most.saturating_sub(begin)).collect();
        let is_more = keys.len() > most && (asked.order == Order::Time || most < RANKS_MAX);
        let next = page.last().filter(|_| is_more).map(|last| match asked.order {
            Order::Time => Cursor::Behind { time_ms: last.time_ms, key: last.key, seq: Seq(last.seq) },
            Order::Relevance => Cursor::Rank(most),
        });
        let mut hits = Vec::with_capacity(page.len());
        for key in page {
            hits.extend(self.hit(&searcher, key, readable)?);
        }
        Ok(Found { hits, next, is_cut })
    }

    /// The message itself, if its channel is one of the asker's: a key may be shared.
    fn hit(&self, searcher: &Searcher, key: Key, readable: &Readable) -> Result<Option<Hit>, IndexError> {
        let row: TantivyDocument = searcher.doc(key.at)?;
        let fast = searcher.segment_reader(key.at.segment_ord).fast_fields();
        let number = |name| -> Result<u64, IndexError> {
            Ok(fast.u64(name)?.first(key.at.doc_id).unwrap_or_default())
        };
        let channel = row.get_first(self.fields.channel).and_then(|value| value.as_bytes());
        let channel = channel.and_then(|bytes| bytes.try_into().ok()).map(u128::from_be_bytes);
        let text = row.get_first(self.fields.text).and_then(|value| value.as_str());
        let (Some(channel), Some(text)) = (channel.map(ChannelId), text) else { return Ok(None) };
        let hit = Hit {
            channel,
            seq: Seq(key.seq),
            sender: UserId(number("sender")?),
            time_ms: key.time_ms,
            kind: u16::try_from(number("kind")?).unwrap_or_default(),
            text: text.to_owned(),
        };
        Ok(readable.holds(channel, hit.seq).then_some(hit))
    }
}

/// The largest so many.
struct Best {
    keys: BinaryHeap<Reverse<Key>>,
    most: usize,
}

impl Best {
    fn take(&mut self, key: Key) {
        if self.keys.len() < self.most {
            self.keys.push(Reverse(key));
        } else if let Some(mut least) = self.keys.peek_mut()
            && least.0 < key
        {
            *least = Reverse(key);
        }
    }

    /// What a newcomer must be above.
    fn floor(&self) -> Option<Key> {
        self.keys.peek().filter(|_| self.keys.len() >= self.most).map(|least| least.0)
    }

    fn falling(self) -> Vec<Key> {
        self.keys.into_sorted_vec().into_iter().map(|Reverse(key)| key).collect()
    }
}

struct Search<'a> {
    asked: &'a Asked,
    readable: &'a Readable,
    until: Instant,
    best: Best,
    is_cut: bool,
}

/// The columns of one segment.
struct Columns {
    key: Column<u64>,
    seq: Column<u64>,
    sender: Column<u64>,
    time_ms: Column<u64>,
    kind: Column<u64>,
}

impl Columns {
    fn of(segment: &SegmentReader) -> tantivy::Result<Self> {
        let column = |name| segment.fast_fields().u64(name);
        Ok(Self {
            key: column("key")?,
            seq: column("seq")?,
            sender: column("sender")?,
            time_ms: column("time_ms")?,
            kind: column("kind")?,
        })
    }
}

impl Search<'_> {
    fn all(&mut self, searcher: &Searcher, fields: &Fields) -> Result<(), IndexError> {
        if self.readable.len() == 0 {
            return Ok(());
        }
        let query = query::of(self.asked, self.readable, searcher, fields)?;
        let scoring = match self.asked.order {
            Order::Relevance => EnableScoring::enabled_from_searcher(searcher),
            Order::Time => EnableScoring::disabled_from_searcher(searcher),
        };
        let weight = query.weight(scoring)?;
        let mut segments = Vec::new();
        for (ord, segment) in (0..).zip(searcher.segment_readers()) {
            segments.push((Columns::of(segment)?, ord, segment));
        }
        // The newest first: what there is no time for is old.
        segments.sort_by_key(|(columns, _, _)| Reverse(columns.time_ms.max_value()));
        for (columns, ord, segment) in segments {
            if self.is_past(&columns) {
                continue;
            }
            if self.is_cut || Instant::now() >= self.until {
                self.is_cut = true;
                break;
            }
            self.one(weight.as_ref(), &columns, (ord, segment))?;
        }
        Ok(())
    }

    /// Whether nothing of a segment can be on the page.
    fn is_past(&self, columns: &Columns) -> bool {
        let (first, last) = (columns.time_ms.min_value(), columns.time_ms.max_value());
        let is_older = || self.best.floor().is_some_and(|floor| last < floor.time_ms);
        (self.asked.order == Order::Time && is_older())
            || self.asked.from_ms.is_some_and(|from| last < from)
            || self.asked.to_ms.is_some_and(|to| first >= to)
    }

    fn one(
        &mut self,
        weight: &dyn Weight,
        columns: &Columns,
        (ord, segment): (u32, &SegmentReader),
    ) -> Result<(), IndexError> {
        let mut scorer = weight.scorer(segment, 1.0)?;
        let alive = segment.alive_bitset();
        let mut doc = scorer.doc();
        let mut looks = 0u32;
        while doc != TERMINATED {
            looks += 1;
            if looks.is_multiple_of(DOCS_PER_LOOK) && Instant::now() >= self.until {
                self.is_cut = true;
                break;
            }
            let score = match self.asked.order {
                Order::Relevance => scorer.score().max(0.0).to_bits(),
                Order::Time => 0,
            };
            // What cannot be on the page costs no look at its columns, and those are most.
            if self.best.floor().is_none_or(|floor| score >= floor.score)
                && alive.is_none_or(|alive| alive.is_alive(doc))
                && let Some(key) = self.key(columns, DocAddress::new(ord, doc), score)
            {
                self.best.take(key);
            }
            doc = scorer.advance();
        }
        Ok(())
    }

    /// A document that the asker may read and asks for.
    fn key(&self, columns: &Columns, at: DocAddress, score: u32) -> Option<Key> {
        let asked = self.asked;
        let of = |column: &Column<u64>| column.first(at.doc_id).unwrap_or_default();
        let time_ms = of(&columns.time_ms);
        let is_in_time =
            asked.from_ms.is_none_or(|from| from <= time_ms) && asked.to_ms.is_none_or(|to| time_ms < to);
        let is_below =
            || self.best.floor().is_some_and(|floor| (score, time_ms) < (floor.score, floor.time_ms));
        if !is_in_time || is_below() {
            return None;
        }
        let (key, seq) = (of(&columns.key), of(&columns.seq));
        if asked.channel.is_some_and(|channel| key_of(channel) != key)
            || !self.readable.may_hold(key, Seq(seq))
        {
            return None;
        }
        // Nobody mentions oneself.
        let is_other = asked.mentions.is_none_or(|user| of(&columns.sender) != user.0);
        let is_sender = asked.sender.is_none_or(|sender| of(&columns.sender) == sender.0);
        let is_kind = asked.kind.is_none_or(|kind| of(&columns.kind) == u64::from(kind));
        if !(is_other && is_sender && is_kind) {
            return None;
        }
        let is_behind = match (asked.order, asked.after) {
            (Order::Time, Some(Cursor::Behind { time_ms: last, key: last_key, seq: last_seq })) => {
                (time_ms, key, seq) < (last, last_key, last_seq.0)
            }
            _ => true,
        };
        is_behind.then_some(Key { score, time_ms, key, seq, at })
    }
}
