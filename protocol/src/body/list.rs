//! The channel list in its second version, and windows of history around a place.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::{Body, check_u53};
use super::message::check_channel;
use super::sync::{ChannelItem, check_count};
use crate::kind::Kind;
use crate::limits::{LIST_ITEMS_MAX, PAGE_MESSAGES_MAX, U53_MAX};
use crate::reject::{Code, Refusal};

/// All channels, rising by id, from behind `after` on.
pub const ORDER_ID: u8 = 0;
/// Pinned ones first, by their order; then whichever had a message last comes first, from inbox position `at` downwards.
pub const ORDER_RECENT: u8 = 1;
/// Those of which the inbox holds something behind `at`, the newest first.
pub const ORDER_CHANGED: u8 = 2;

/// GET_CHANNELS v2: the user's own channels, with what a first screen shows.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetChannelsV2 {
    /// The life of the inbox that `at` counts in; 0 with `at` 0.
    pub generation: u64,
    /// [`ORDER_RECENT`]: `next` of the page before, 0 for the first page. [`ORDER_CHANGED`]: `through` of what is held.
    pub at: u64,
    /// [`ORDER_ID`], [`ORDER_RECENT`] or [`ORDER_CHANGED`].
    pub order: u8,
    /// [`ORDER_ID`]: channels with a larger id; 0 for the first page, and in the other orders.
    pub after: u128,
    /// 1 to 500.
    pub limit: u32,
}

/// CHANNELS v2: a page of at most 100,000 bytes. `details` stand in the order of `items`.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct ChannelsV2 {
    /// The life of the inbox.
    pub generation: u64,
    /// The page is as of this position of the inbox: what comes later is behind it.
    pub through: u64,
    /// Where the next page begins: [`ORDER_RECENT`] only.
    pub next: u64,
    /// Too much lies behind `at` to tell what changed, or it is of another life: ask for all. Then nothing else is told.
    pub needs_snapshot: bool,
    /// The rest of each item.
    pub details: Vec<ChannelDetail>,
    /// The page.
    pub items: Vec<ChannelItem>,
    /// Whether more follow behind the last.
    pub more: bool,
}

/// What version 2 tells of a channel besides.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct ChannelDetail {
    /// Unread messages that mention the user.
    pub mentions: u64,
    /// The newest message that is something to show; 0 for none among the newest.
    pub last_seq: u64,
    /// Who sent it.
    pub last_sender: u64,
    /// When, milliseconds since the Unix epoch.
    pub last_ms: u64,
    /// Its kind.
    pub last_kind: u16,
    /// As in SetPrefs.
    pub muted_until_ms: u64,
    /// As in SetPrefs.
    pub pinned: u32,
    /// As in SetPrefs.
    pub notify: u8,
    /// As in SetPrefs.
    pub marked_unread: bool,
    /// As in SetPrefs.
    pub archived: bool,
    /// Whether there is a draft, in the channel or in a thread of it.
    pub has_draft: bool,
    /// The first 100 characters of a text; empty for other kinds.
    pub text: String,
}

/// GET_HISTORY v2: as version 1, or a page around a place: half of it before and half from there on.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetHistoryV2 {
    /// [`AROUND_SEQ`]: the seq. [`AROUND_TIME`]: milliseconds since the Unix epoch. Else 0.
    pub at: u64,
    /// [`AROUND_NOTHING`], [`AROUND_SEQ`], [`AROUND_TIME`] or [`AROUND_UNREAD`].
    pub around: u8,
    /// The channel.
    pub channel: u128,
    /// As in version 1; 0 around a place.
    pub after: u64,
    /// As in version 1; 2^53 - 1 around a place.
    pub before: u64,
    /// 1 to 200 messages.
    pub limit: u32,
    /// As in version 1; false around a place.
    pub newest: bool,
}

/// The window of version 1.
pub const AROUND_NOTHING: u8 = 0;
/// Around a seq.
pub const AROUND_SEQ: u8 = 1;
/// Around the first message at or after a time.
pub const AROUND_TIME: u8 = 2;
/// Around the first message behind the user's read position.
pub const AROUND_UNREAD: u8 = 3;

/// HISTORY_PAGE v2: the answer to GET_HISTORY v2.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct HistoryPageV2 {
    /// The place: the seq that was asked for, or the next one that may be read; above `head` when there is none. 0 without
    /// a place.
    pub pivot: u64,
    /// Whether more may be read below `from`.
    pub more_before: bool,
    /// Whether more may be read above `to`.
    pub more_after: bool,
    /// The channel.
    pub channel: u128,
    /// As in version 1.
    pub from: u64,
    /// As in version 1.
    pub to: u64,
    /// As in version 1.
    pub head: u64,
    /// As in version 1.
    pub count: u32,
    /// As in version 1; around a place whether there is more on any side.
    pub more: bool,
}

fn must_be(path: &str, found: u64, expected: u64) -> Result<(), Refusal> {
    if found == expected {
        return Ok(());
    }
    Err(Refusal::new(Code::Limit, path, format!("{found}; must be {expected} with what is asked for")))
}

fn check_choice(path: &str, found: u8, most: u8) -> Result<(), Refusal> {
    if found <= most {
        return Ok(());
    }
    Err(Refusal::new(Code::Limit, path, format!("{found}; must be 0 to {most}")))
}

impl Body for GetChannelsV2 {
    const KIND: Kind = Kind::GET_CHANNELS;
    const VERSION: u8 = 2;

    fn check(wire: &ArchivedGetChannelsV2) -> Result<(), Refusal> {
        check_choice("order", wire.order, ORDER_CHANGED)?;
        check_u53("generation", wire.generation.to_native())?;
        check_u53("at", wire.at.to_native())?;
        if wire.order == ORDER_ID {
            must_be("at", wire.at.to_native(), 0)?;
        } else if wire.after.to_native() != 0 {
            return Err(Refusal::new(Code::Limit, "after", "pages by time go on with `at`; expected 0"));
        }
        check_count(wire.limit.to_native(), LIST_ITEMS_MAX)
    }
}

impl Body for ChannelsV2 {
    const KIND: Kind = Kind::CHANNELS;
    const VERSION: u8 = 2;
}

impl Body for GetHistoryV2 {
    const KIND: Kind = Kind::GET_HISTORY;
    const VERSION: u8 = 2;

    fn check(wire: &ArchivedGetHistoryV2) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        check_choice("around", wire.around, AROUND_UNREAD)?;
        check_u53("at", wire.at.to_native())?;
        if !matches!(wire.around, AROUND_SEQ | AROUND_TIME) {
            must_be("at", wire.at.to_native(), 0)?;
        }
        if wire.around == AROUND_NOTHING {
            check_u53("after", wire.after.to_native())?;
            check_u53("before", wire.before.to_native())?;
        } else {
            must_be("after", wire.after.to_native(), 0)?;
            must_be("before", wire.before.to_native(), U53_MAX)?;
            must_be("newest", wire.newest.into(), 0)?;
        }
        check_count(wire.limit.to_native(), PAGE_MESSAGES_MAX)
    }
}

impl Body for HistoryPageV2 {
    const KIND: Kind = Kind::HISTORY_PAGE;
    const VERSION: u8 = 2;
}
