//! Family 01: what becomes a message of a channel. `channel` is the first field of every root.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::{Body, check_users};
use crate::id::{ChannelId, UserId};
use crate::kind::Kind;
use crate::limits::{GROUP_MEMBERS_MAX, NAME_BYTES_MAX, NAME_CHARS_MAX, TEXT_BYTES_MAX, TEXT_CHARS_MAX};
use crate::reject::{Code, Refusal};

/// May rename, add, remove, and set roles; every group has at least one while it has members.
pub const ROLE_OWNER: u8 = 2;
/// May rename, add and remove members.
pub const ROLE_ADMIN: u8 = 1;
/// May send and leave.
pub const ROLE_MEMBER: u8 = 0;

/// SEND_TEXT v1: text for a channel.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct SendText {
    /// Where to.
    pub channel: u128,
    /// 1 to 100,000 Unicode scalar values.
    pub text: String,
}

/// CREATE_GROUP v1: a new group with the sender as owner.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct CreateGroup {
    /// Must be `ChannelId::group(sender, send_id)`.
    pub channel: u128,
    /// 1 to 100 Unicode scalar values.
    pub name: String,
    /// The other members: rising, no repeats, without the sender.
    pub members: Vec<u64>,
}

/// ADD_MEMBERS v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct AddMembers {
    /// The group.
    pub channel: u128,
    /// Who joins: rising, no repeats, at least one, nobody a member already.
    pub members: Vec<u64>,
}

/// REMOVE_MEMBER v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct RemoveMember {
    /// The group.
    pub channel: u128,
    /// Who is removed.
    pub member: u64,
}

/// LEAVE_GROUP v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct LeaveGroup {
    /// The group.
    pub channel: u128,
}

/// RENAME_GROUP v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct RenameGroup {
    /// The group.
    pub channel: u128,
    /// 1 to 100 Unicode scalar values.
    pub name: String,
}

/// SET_ROLE v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct SetRole {
    /// The group.
    pub channel: u128,
    /// Whose role.
    pub member: u64,
    /// [`ROLE_MEMBER`], [`ROLE_ADMIN`] or [`ROLE_OWNER`].
    pub role: u8,
}

/// A string of so many bytes or fewer lies inside its own 8 bytes.
const INLINE_BYTES_MAX: usize = size_of::<rkyv::Archived<String>>();

fn check_text(path: &str, text: &str, chars_max: usize, bytes_max: usize) -> Result<(), Refusal> {
    let refuse = |found: usize| {
        Refusal::new(Code::Limit, path, format!("{found} characters; allowed are 1 to {chars_max}"))
    };
    // The byte bound comes first: it makes the count below bounded work.
    if text.is_empty() || text.len() > bytes_max {
        return Err(refuse(text.chars().count()));
    }
    if text.len() > chars_max {
        let chars = text.chars().count();
        if chars > chars_max {
            return Err(refuse(chars));
        }
    }
    Ok(())
}

fn check_channel(channel: u128) -> Result<(), Refusal> {
    if ChannelId(channel).is_well_formed() {
        return Ok(());
    }
    let text = "a channel is a group number, or two different user ids with the smaller in the high half";
    Err(Refusal::new(Code::Limit, "channel", text))
}

fn check_group(channel: u128) -> Result<(), Refusal> {
    check_channel(channel)?;
    if ChannelId(channel).users().is_some() {
        return Err(Refusal::new(Code::Limit, "channel", "a direct channel; expected a group"));
    }
    Ok(())
}

fn check_user(path: &str, user: u64) -> Result<(), Refusal> {
    if user == 0 {
        return Err(Refusal::new(Code::Limit, path, "user id 0 does not exist"));
    }
    Ok(())
}

impl Body for SendText {
    const KIND: Kind = Kind::SEND_TEXT;
    fn check(wire: &ArchivedSendText) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        check_text("text", &wire.text, TEXT_CHARS_MAX, TEXT_BYTES_MAX)
    }

    /// Without building the value: the text may be 400 KB. Access has shown where the text lies and that a short one is
    /// inline; canonical is left to mean that the root is preceded by the text alone, and that an inline text is filled
    /// up with 0xff.
    fn is_canonical(wire: &ArchivedSendText, body: &[u8]) -> bool {
        let text = wire.text.as_bytes();
        let Some((before, root)) = body.split_last_chunk::<{ size_of::<ArchivedSendText>() }>() else {
            return false;
        };
        if text.len() > INLINE_BYTES_MAX {
            return before.len() == text.len() && core::ptr::eq(before.as_ptr(), text.as_ptr());
        }
        let fill = root.get(root.len() - INLINE_BYTES_MAX + text.len()..);
        before.is_empty() && fill.is_some_and(|fill| fill.iter().all(|byte| *byte == 0xff))
    }
}

impl Body for CreateGroup {
    const KIND: Kind = Kind::CREATE_GROUP;
    fn check(wire: &ArchivedCreateGroup) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_text("name", &wire.name, NAME_CHARS_MAX, NAME_BYTES_MAX)?;
        check_users("members", &wire.members, GROUP_MEMBERS_MAX - 1)
    }
}

impl Body for AddMembers {
    const KIND: Kind = Kind::ADD_MEMBERS;
    fn check(wire: &ArchivedAddMembers) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        if wire.members.is_empty() {
            return Err(Refusal::new(Code::Limit, "members", "nobody named; expected at least one user"));
        }
        check_users("members", &wire.members, GROUP_MEMBERS_MAX)
    }
}

impl Body for RemoveMember {
    const KIND: Kind = Kind::REMOVE_MEMBER;
    fn check(wire: &ArchivedRemoveMember) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_user("member", wire.member.to_native())
    }
}

impl Body for LeaveGroup {
    const KIND: Kind = Kind::LEAVE_GROUP;
    fn check(wire: &ArchivedLeaveGroup) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())
    }
}

impl Body for RenameGroup {
    const KIND: Kind = Kind::RENAME_GROUP;
    fn check(wire: &ArchivedRenameGroup) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_text("name", &wire.name, NAME_CHARS_MAX, NAME_BYTES_MAX)
    }
}

impl Body for SetRole {
    const KIND: Kind = Kind::SET_ROLE;
    fn check(wire: &ArchivedSetRole) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_user("member", wire.member.to_native())?;
        if wire.role > ROLE_OWNER {
            let text = format!("role {}; expected 0 member, 1 admin or 2 owner", wire.role);
            return Err(Refusal::new(Code::Limit, "role", text));
        }
        Ok(())
    }
}

/// The channel a message-family body is for: the first field of every root, so one look serves routing.
#[must_use]
pub fn channel_of(kind: Kind, body: &[u8]) -> Option<ChannelId> {
    fn of<T: Body>(body: &[u8], channel: impl Fn(&T::Archived) -> u128) -> Option<ChannelId> {
        super::ingest::access::<T>(body).ok().map(|wire| ChannelId(channel(wire)))
    }
    match kind {
        Kind::SEND_TEXT => of::<SendText>(body, |w| w.channel.to_native()),
        Kind::CREATE_GROUP => of::<CreateGroup>(body, |w| w.channel.to_native()),
        Kind::ADD_MEMBERS => of::<AddMembers>(body, |w| w.channel.to_native()),
        Kind::REMOVE_MEMBER => of::<RemoveMember>(body, |w| w.channel.to_native()),
        Kind::LEAVE_GROUP => of::<LeaveGroup>(body, |w| w.channel.to_native()),
        Kind::RENAME_GROUP => of::<RenameGroup>(body, |w| w.channel.to_native()),
        Kind::SET_ROLE => of::<SetRole>(body, |w| w.channel.to_native()),
        _ => None,
    }
}

/// Users named in a body, as ids.
pub fn users(list: &rkyv::Archived<Vec<u64>>) -> impl Iterator<Item = UserId> + '_ {
    list.iter().map(|user| UserId(user.to_native()))
}
