//! Family 03: acks, complete ranges, pages.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::{Body, check_u53};
use crate::id::ChannelId;
use crate::kind::Kind;
use crate::limits::{LIST_ITEMS_MAX, PAGE_MESSAGES_MAX};
use crate::reject::{Code, Refusal};

/// SEND_ACK v1: the frame whose send id is the header id is on stable storage as this message.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct SendAck {
    /// The channel.
    pub channel: u128,
    /// Its position there.
    pub seq: u64,
    /// The stamp's time.
    pub time_ms: u64,
}

/// COMPLETE v1: every message that the inbox holds in `from < position <= to` has been sent on this connection,
/// as a message or, to the device that sent it, as a SendAck. A device whose cursor is at least `from` moves it to `to`.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Complete {
    /// The life of the inbox.
    pub generation: u64,
    /// Exclusive lower end.
    pub from: u64,
    /// Inclusive upper end; durable.
    pub to: u64,
    /// The inbox's newest durable position: `to < head` means that more pages follow.
    pub head: u64,
}

/// CURSOR_ACK v1: the device holds everything up to `cursor`. Not answered.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct CursorAck {
    /// The life of the inbox.
    pub generation: u64,
    /// Below 2^53.
    pub cursor: u64,
}

/// GET_HISTORY v1: a window of a channel. The page holds messages with `after < seq < before`, newest last:
/// the ones next to `before` when `newest` is set, else the ones next to `after`.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetHistory {
    /// The channel.
    pub channel: u128,
    /// Exclusive lower end; 0 for none.
    pub after: u64,
    /// Exclusive upper end; 2^53 - 1 for none.
    pub before: u64,
    /// 1 to 200 messages.
    pub limit: u32,
    /// Which end to begin from.
    pub newest: bool,
}

/// HISTORY_PAGE v1: head of a page; `count` stamped frames follow directly on the same stream.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct HistoryPage {
    /// The channel.
    pub channel: u128,
    /// The page tells all that the reader may read with `from <= seq <= to`; both 0 when nothing is in the window.
    pub from: u64,
    /// Inclusive upper end.
    pub to: u64,
    /// The channel's newest seq that the reader may read.
    pub head: u64,
    /// Messages that follow.
    pub count: u32,
    /// Whether the window holds more in the direction asked for.
    pub more: bool,
}

/// GET_MEMBERS v1: members of a group now.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetMembers {
    /// The group.
    pub channel: u128,
    /// Members with a larger user id; 0 for the first page.
    pub after: u64,
    /// 1 to 500.
    pub limit: u32,
}

/// MEMBERS v1: rising by user id. Servers send v2, [`MembersV2`], which ends with this one.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Members {
    /// The channel.
    pub channel: u128,
    /// The page.
    pub items: Vec<MemberItem>,
    /// Whether more follow behind the last.
    pub more: bool,
}

/// MEMBERS v2: also how many there are, which of a large channel nobody can count page by page.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct MembersV2 {
    /// Members of the channel when the page was asked for.
    pub total: u32,
    /// As in version 1.
    pub channel: u128,
    /// As in version 1.
    pub items: Vec<MemberItem>,
    /// As in version 1.
    pub more: bool,
}

/// One member.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct MemberItem {
    /// Who.
    pub user: u64,
    /// Since which seq.
    pub joined: u64,
    /// As in SetRole.
    pub role: u8,
}

/// GET_CHANNELS v1: the user's own channels.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetChannels {
    /// Channels with a larger id; 0 for the first page.
    pub after: u128,
    /// 1 to 500.
    pub limit: u32,
}

/// CHANNELS v1: rising by channel id; version 2 can have another order.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Channels {
    /// The page.
    pub items: Vec<ChannelItem>,
    /// Whether more follow behind the last.
    pub more: bool,
}

/// One of the user's channels.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct ChannelItem {
    /// The channel.
    pub channel: u128,
    /// The newest seq the user may read.
    pub head: u64,
    /// How far the user has said to have read.
    pub read: u64,
    /// Messages of others above `read` that the user may read; membership changes do not count.
    pub unread: u64,
    /// Whether the user is a member now.
    pub member: bool,
    /// A group's name, as it was when the user left; empty for a direct channel.
    pub name: String,
}

/// MARK_READ v1: the user has read up to `seq`; answered by Done once that is on stable storage. Never moves back.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct MarkRead {
    /// The channel.
    pub channel: u128,
    /// At most the channel's newest seq.
    pub seq: u64,
}

pub(super) fn check_count(found: u32, max: u32) -> Result<(), Refusal> {
    if found == 0 || found > max {
        return Err(Refusal::new(Code::Limit, "limit", format!("{found}; must be 1 to {max}")));
    }
    Ok(())
}

pub(super) fn check_channel(channel: u128) -> Result<(), Refusal> {
    if !ChannelId(channel).is_well_formed() {
        return Err(Refusal::new(Code::Limit, "channel", "not a channel id"));
    }
    Ok(())
}

impl Body for CursorAck {
    const KIND: Kind = Kind::CURSOR_ACK;
    fn check(wire: &ArchivedCursorAck) -> Result<(), Refusal> {
        check_u53("generation", wire.generation.to_native())?;
        check_u53("cursor", wire.cursor.to_native())
    }
}

impl Body for GetHistory {
    const KIND: Kind = Kind::GET_HISTORY;
    fn check(wire: &ArchivedGetHistory) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        check_u53("after", wire.after.to_native())?;
        check_u53("before", wire.before.to_native())?;
        check_count(wire.limit.to_native(), PAGE_MESSAGES_MAX)
    }
}

impl Body for GetMembers {
    const KIND: Kind = Kind::GET_MEMBERS;
    fn check(wire: &ArchivedGetMembers) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        check_count(wire.limit.to_native(), LIST_ITEMS_MAX)
    }
}

impl Body for GetChannels {
    const KIND: Kind = Kind::GET_CHANNELS;
    fn check(wire: &ArchivedGetChannels) -> Result<(), Refusal> {
        check_count(wire.limit.to_native(), LIST_ITEMS_MAX)
    }
}

impl Body for MarkRead {
    const KIND: Kind = Kind::MARK_READ;
    fn check(wire: &ArchivedMarkRead) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        check_u53("seq", wire.seq.to_native())
    }
}

impl Body for SendAck {
    const KIND: Kind = Kind::SEND_ACK;
}
impl Body for Complete {
    const KIND: Kind = Kind::COMPLETE;
}
impl Body for HistoryPage {
    const KIND: Kind = Kind::HISTORY_PAGE;
}
impl Body for Members {
    const KIND: Kind = Kind::MEMBERS;
}
impl Body for MembersV2 {
    const KIND: Kind = Kind::MEMBERS;
    const VERSION: u8 = 2;
}
impl Body for Channels {
    const KIND: Kind = Kind::CHANNELS;
}
