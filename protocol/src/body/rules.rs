//! What an owner or admin lays down for a group: who may not send for a while, who may not come back, how often a member may
//! send. The four messages are events of the group's history; GET_RULES tells what holds now.
//!
//! A mute says for how long and not until when: its end is the stamp's time and so much more, so that nobody's clock but the
//! home's matters.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::Body;
use super::message::{check_group, check_user};
use super::sync::check_count;
use crate::kind::Kind;
use crate::limits::{LIST_ITEMS_MAX, MUTE_S_MAX, SLOW_S_MAX, U53_MAX};
use crate::reject::{Code, Refusal};

/// A mute that does not end by itself, in place of a number of seconds.
pub const MUTED_FOR_EVER_S: u32 = u32::MAX;
/// The end of such a mute, in place of a time.
pub const MUTED_FOR_EVER_MS: u64 = U53_MAX;

/// MUTE_MEMBER v1: a member may read and not send.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct MuteMember {
    /// The group.
    pub channel: u128,
    /// Who.
    pub member: u64,
    /// For how long from the stamp's time; 0 lifts a mute, [`MUTED_FOR_EVER_S`] has no end.
    pub for_s: u32,
}

/// BAN_MEMBER v1: a user is no member from here on, and cannot become one.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct BanMember {
    /// The group.
    pub channel: u128,
    /// Who; a member or not.
    pub member: u64,
}

/// UNBAN_MEMBER v1: a user may become a member again.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct UnbanMember {
    /// The group.
    pub channel: u128,
    /// Who.
    pub member: u64,
}

/// SET_SLOW v1: how long a plain member waits from one text to the next.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct SetSlow {
    /// The group.
    pub channel: u128,
    /// At most [`SLOW_S_MAX`]; 0 for no wait.
    pub interval_s: u32,
}

/// GET_RULES v1: what is laid down for a group.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetRules {
    /// The group.
    pub channel: u128,
    /// Users with a larger id; 0 for the first page.
    pub after: u64,
    /// 1 to 500.
    pub limit: u32,
}

/// RULES v1: a page. A plain member is told of itself only.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The group.
    pub channel: u128,
    /// As in [`SetSlow`].
    pub interval_s: u32,
    /// Who is muted or banned, rising by user.
    pub items: Vec<SanctionItem>,
    /// Whether more follow behind the last.
    pub more: bool,
}

/// What is laid on one user.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct SanctionItem {
    /// Who.
    pub user: u64,
    /// May not send before then, milliseconds since the Unix epoch; 0 for not muted, [`MUTED_FOR_EVER_MS`] for no end.
    pub muted_until_ms: u64,
    /// May not become a member.
    pub is_banned: bool,
}

/// When a mute ends that was given at a time.
#[must_use]
pub fn muted_until_ms(time_ms: u64, for_s: u32) -> u64 {
    match for_s {
        0 => 0,
        MUTED_FOR_EVER_S => MUTED_FOR_EVER_MS,
        _ => time_ms.saturating_add(u64::from(for_s) * 1000).min(MUTED_FOR_EVER_MS),
    }
}

impl Body for MuteMember {
    const KIND: Kind = Kind::MUTE_MEMBER;
    fn check(wire: &ArchivedMuteMember) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_user("member", wire.member.to_native())?;
        let for_s = wire.for_s.to_native();
        if for_s > MUTE_S_MAX && for_s != MUTED_FOR_EVER_S {
            let text = format!(
                "{for_s} s; expected at most {MUTE_S_MAX}, or {MUTED_FOR_EVER_S} for a mute without end"
            );
            return Err(Refusal::new(Code::Limit, "for_s", text));
        }
        Ok(())
    }
}

impl Body for BanMember {
    const KIND: Kind = Kind::BAN_MEMBER;
    fn check(wire: &ArchivedBanMember) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_user("member", wire.member.to_native())
    }
}

impl Body for UnbanMember {
    const KIND: Kind = Kind::UNBAN_MEMBER;
    fn check(wire: &ArchivedUnbanMember) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_user("member", wire.member.to_native())
    }
}

impl Body for SetSlow {
    const KIND: Kind = Kind::SET_SLOW;
    fn check(wire: &ArchivedSetSlow) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        let interval_s = wire.interval_s.to_native();
        if interval_s > SLOW_S_MAX {
            let text = format!("{interval_s} s; expected at most {SLOW_S_MAX}, or 0 for no wait");
            return Err(Refusal::new(Code::Limit, "interval_s", text));
        }
        Ok(())
    }
}

impl Body for GetRules {
    const KIND: Kind = Kind::GET_RULES;
    fn check(wire: &ArchivedGetRules) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_count(wire.limit.to_native(), LIST_ITEMS_MAX)
    }
}

impl Body for Rules {
    const KIND: Kind = Kind::RULES;
}
