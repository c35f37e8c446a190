//! Family 03, the part that people see of each other: how far they have come in a channel, and that they type.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::{Body, check_u53};
use super::sync::{check_channel, check_count};
use crate::kind::Kind;
use crate::limits::LIST_ITEMS_MAX;
use crate::reject::{Code, Refusal};

/// [`Typing::state`] of one who has stopped, or sent what it typed.
pub const TYPING_STOPPED: u8 = 0;
/// [`Typing::state`] of one who types.
pub const TYPING_GOES_ON: u8 = 1;

/// MARK_DELIVERED v1: the user's devices hold every message up to `seq`. Not answered. Never moves back.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct MarkDelivered {
    /// The channel.
    pub channel: u128,
    /// At most the channel's newest seq.
    pub seq: u64,
}

/// RECEIPTS v1: how far members have come. Unasked, with id 0: those who have come further, and the newest that is
/// known of each. As the answer to [`GetReceipts`]: a page, rising by user.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Receipts {
    /// The channel.
    pub channel: u128,
    /// Who, and how far.
    pub items: Vec<ReceiptItem>,
    /// Whether more follow behind the last; never when it was not asked for.
    pub more: bool,
}

/// How far one member has come.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiptItem {
    /// Who.
    pub user: u64,
    /// Has read up to and with this seq; 0 for nothing.
    pub read: u64,
    /// Its devices hold everything up to and with this seq; never below `read`.
    pub delivered: u64,
}

/// GET_RECEIPTS v1: how far the members of a channel have come.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetReceipts {
    /// The channel.
    pub channel: u128,
    /// Members with a larger user id; 0 for the first page.
    pub after: u64,
    /// 1 to 500.
    pub limit: u32,
}

/// TYPING v1: somebody types, or stopped. Never stored and never answered.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Typing {
    /// The channel.
    pub channel: u128,
    /// Who; 0 from a device, of which it is known.
    pub user: u64,
    /// It is over after so long if nothing else is heard; 0 from a device, and of one who has stopped.
    pub expires_ms: u32,
    /// [`TYPING_GOES_ON`] or [`TYPING_STOPPED`].
    pub state: u8,
}

impl Body for MarkDelivered {
    const KIND: Kind = Kind::MARK_DELIVERED;
    fn check(wire: &ArchivedMarkDelivered) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        check_u53("seq", wire.seq.to_native())
    }
}

impl Body for Receipts {
    const KIND: Kind = Kind::RECEIPTS;
}

impl Body for GetReceipts {
    const KIND: Kind = Kind::GET_RECEIPTS;
    fn check(wire: &ArchivedGetReceipts) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        check_count(wire.limit.to_native(), LIST_ITEMS_MAX)
    }
}

impl Body for Typing {
    const KIND: Kind = Kind::TYPING;
    fn check(wire: &ArchivedTyping) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        if wire.state > TYPING_GOES_ON {
            let text = format!("{}; expected 0 stopped or 1 typing", wire.state);
            return Err(Refusal::new(Code::Limit, "state", text));
        }
        Ok(())
    }
}
