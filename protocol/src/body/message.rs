//! Family 01: what becomes a message of a channel. `channel` is the first field of every root.
//!
//! [`Message`] and [`Change`] are the one definition of what the kinds mean to a channel. The home of the sender reads the
//! bytes once, and [`super::CheckedFrame`] carries what they change; own lists, replay, check, oracle and clients read
//! stored frames by the same two.

use rkyv::{Archive, Deserialize, Serialize};

use super::about::{EditText, Pin, React, Recall, Recalled};
use super::erase::Erase;
use super::ingest::{Body, Checked, check_users, ingest, view};
use super::own::{Hide, SetDraft, SetPrefs};
use super::rules::{BanMember, MuteMember, SetSlow, UnbanMember};
use super::talk::{SendTextV2, Talk};
use crate::commit::{Act, Note};
use crate::frame::Frame;
use crate::id::{ChannelId, Seq, UserId};
use crate::kind::Kind;
use crate::limits::{GROUP_MEMBERS_MAX, NAME_BYTES_MAX, NAME_CHARS_MAX, TEXT_BYTES_MAX, TEXT_CHARS_MAX};
use crate::reject::{Code, Refusal};

/// May rename, add, remove, mute, ban, and set roles; every group has at least one while it has members.
pub const ROLE_OWNER: u8 = 2;
/// May rename, add, remove, mute and ban members.
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

/// INVITE_MEMBERS v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct InviteMembers {
    /// The group.
    pub channel: u128,
    /// Who may join: rising, no repeats, at least one, nobody a member or invited already.
    pub members: Vec<u64>,
}

/// JOIN_GROUP v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct JoinGroup {
    /// The group that the sender was invited to.
    pub channel: u128,
}

/// REMOVE_MEMBER v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct RemoveMember {
    /// The group.
    pub channel: u128,
    /// Who is removed.
    pub member: u64,
}

/// GROW_GROUP v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GrowGroup {
    /// The group that is a large channel from here on.
    pub channel: u128,
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

pub(super) fn check_text(path: &str, text: &str, chars_max: usize, bytes_max: usize) -> Result<(), Refusal> {
    let refuse = |found: usize| {
        Refusal::new(Code::Limit, path, format!("{found} characters; must be 1 to {chars_max}"))
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

pub(super) fn check_channel(channel: u128) -> Result<(), Refusal> {
    if ChannelId(channel).is_well_formed() {
        return Ok(());
    }
    let text = "a channel is a group number, or two user ids with the smaller in the high half";
    Err(Refusal::new(Code::Limit, "channel", text))
}

pub(super) fn check_group(channel: u128) -> Result<(), Refusal> {
    check_channel(channel)?;
    if ChannelId(channel).users().is_some() {
        return Err(Refusal::new(Code::Limit, "channel", "a direct channel; expected a group"));
    }
    Ok(())
}

pub(super) fn check_user(path: &str, user: u64) -> Result<(), Refusal> {
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

/// Users who are named because something is done to them.
fn check_named(members: &rkyv::Archived<Vec<u64>>) -> Result<(), Refusal> {
    if members.is_empty() {
        return Err(Refusal::new(Code::Limit, "members", "nobody named; expected at least one user"));
    }
    check_users("members", members, GROUP_MEMBERS_MAX)
}

impl Body for AddMembers {
    const KIND: Kind = Kind::ADD_MEMBERS;
    fn check(wire: &ArchivedAddMembers) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_named(&wire.members)
    }
}

impl Body for InviteMembers {
    const KIND: Kind = Kind::INVITE_MEMBERS;
    fn check(wire: &ArchivedInviteMembers) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())?;
        check_named(&wire.members)
    }
}

impl Body for JoinGroup {
    const KIND: Kind = Kind::JOIN_GROUP;
    fn check(wire: &ArchivedJoinGroup) -> Result<(), Refusal> {
        check_group(wire.channel.to_native())
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

impl Body for GrowGroup {
    const KIND: Kind = Kind::GROW_GROUP;
    fn check(wire: &ArchivedGrowGroup) -> Result<(), Refusal> {
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

macro_rules! messages {
    ($($name:ident)*) => {
        /// One message, read once: its body by kind, borrowed from the frame. Whoever asks what kind a message is, which
        /// channel it is for or what it changes there asks this.
        #[derive(Clone, Copy)]
        pub enum Message<'a> {
            $(#[doc = concat!("[`", stringify!($name), "`].")] $name(Checked<'a, $name>),)*
        }

        impl<'a> Message<'a> {
            /// The kinds of messages, in the order of the variants.
            pub const KINDS: &'static [Kind] = &[$(<$name as Body>::KIND,)*];

            /// Checks what a device sent, as [`ingest`] does.
            ///
            /// # Errors
            /// The refusal for the device; [`Code::UnknownKind`] for a kind that is none of a message.
            pub fn ingest(frame: &'a Frame) -> Result<Self, Refusal> {
                if Talk::may_be_in(frame) {
                    ingest::<SendTextV2>(frame)?;
                    // Version 2 ends with version 1.
                    if let Some(text) = view::<SendText>(frame) {
                        return Ok(Self::SendText(text));
                    }
                }
                match frame.kind() {
                    $(<$name as Body>::KIND => ingest::<$name>(frame).map(Self::$name),)*
                    _ => Err(Refusal::new(Code::UnknownKind, "", "not a message of a channel")),
                }
            }

            /// Reads what the server stored or sent, as [`read`](super::read) does, without a copy.
            #[must_use]
            pub fn read(frame: &'a Frame) -> Option<Self> {
                match frame.kind() {
                    $(<$name as Body>::KIND => view::<$name>(frame).map(Self::$name),)*
                    _ => None,
                }
            }

            /// The channel it is for.
            #[must_use]
            pub fn channel(&self) -> ChannelId {
                match self {
                    $(Self::$name(body) => ChannelId(body.channel.to_native()),)*
                }
            }
        }

        /// The channel of a message that was checked before: the first field of every root, and the root is at the end.
        /// For what was stored here, since nothing is checked again: of other bytes it may tell anything.
        #[must_use]
        pub fn channel_of_checked(frame: &Frame) -> Option<ChannelId> {
            fn first_field<const ROOT_BYTES: usize>(body: &[u8]) -> Option<ChannelId> {
                let root: &[u8; ROOT_BYTES] = body.last_chunk()?;
                root.first_chunk().map(|channel| ChannelId(u128::from_le_bytes(*channel)))
            }
            match frame.kind() {
                $(<$name as Body>::KIND => first_field::<{ size_of::<rkyv::Archived<$name>>() }>(frame.body()),)*
                Kind::RECALLED => first_field::<{ size_of::<rkyv::Archived<Recalled>>() }>(frame.body()),
                _ => None,
            }
        }
    };
}

messages! {
    SendText EditText Recall React Pin CreateGroup AddMembers RemoveMember LeaveGroup RenameGroup SetRole InviteMembers JoinGroup
    MuteMember BanMember UnbanMember SetSlow GrowGroup Erase
    SetPrefs SetDraft Hide
}

/// What a message changes of its channel besides its history. Small and owned, so that it goes along with the frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The group begins: with its sender as owner.
    Begins {
        /// Its name.
        name: String,
        /// The other members.
        members: Vec<UserId>,
    },
    /// These become members.
    Joins(Vec<UserId>),
    /// These may join; they get this message, and until then none after it.
    Invites(Vec<UserId>),
    /// The sender, who was invited, becomes a member.
    Accepts,
    /// The sender removes this member, who gets the message and none after it.
    Removes(UserId),
    /// The sender leaves, and gets the message and none after it.
    Leaves,
    /// The group is a large channel from the next message on; this one still reaches every member's inbox.
    Grows,
    /// The group has this name from here on.
    Name(String),
    /// A member has this role from here on.
    Role {
        /// Who.
        member: UserId,
        /// [`ROLE_MEMBER`], [`ROLE_ADMIN`] or [`ROLE_OWNER`].
        role: u8,
    },
    /// A member may not send for so long from this message on; 0 lifts a mute, and
    /// [`MUTED_FOR_EVER_S`](super::rules::MUTED_FOR_EVER_S) has no end.
    Mutes {
        /// Who.
        member: UserId,
        /// For how long.
        for_s: u32,
    },
    /// This user is no member from here on, gets the message as one who was, and cannot become one.
    Bans(UserId),
    /// This user may become a member again.
    Unbans(UserId),
    /// A plain member sends a text only so many seconds after its last; 0 for no wait.
    Slows(u32),
    /// What the sender wrote before is gone. It need not be a member.
    Erases,
    /// Of a user's own channel: the user has noted this.
    Notes(Note),
    /// This is said about a message.
    About {
        /// Which.
        target: Seq,
        /// What.
        act: Act,
    },
}

impl Message<'_> {
    /// What it changes of its channel; `None` for what is only something to read.
    #[must_use]
    pub fn change(&self) -> Option<Change> {
        let users =
            |list: &rkyv::Archived<Vec<u64>>| list.iter().map(|user| UserId(user.to_native())).collect();
        let about = |(target, act)| Change::About { target, act };
        Some(match self {
            Self::SendText(_) => return None,
            Self::EditText(body) => about(body.act()),
            Self::Recall(body) => about(body.act()),
            Self::React(body) => about(body.act()),
            Self::Pin(body) => about(body.act()),
            Self::CreateGroup(body) => {
                Change::Begins { name: body.name.as_str().to_owned(), members: users(&body.members) }
            }
            Self::AddMembers(body) => Change::Joins(users(&body.members)),
            Self::InviteMembers(body) => Change::Invites(users(&body.members)),
            Self::JoinGroup(_) => Change::Accepts,
            Self::RemoveMember(body) => Change::Removes(UserId(body.member.to_native())),
            Self::LeaveGroup(_) => Change::Leaves,
            Self::GrowGroup(_) => Change::Grows,
            Self::Erase(_) => Change::Erases,
            Self::RenameGroup(body) => Change::Name(body.name.as_str().to_owned()),
            Self::SetRole(body) => Change::Role { member: UserId(body.member.to_native()), role: body.role },
            Self::MuteMember(body) => {
                Change::Mutes { member: UserId(body.member.to_native()), for_s: body.for_s.to_native() }
            }
            Self::BanMember(body) => Change::Bans(UserId(body.member.to_native())),
            Self::UnbanMember(body) => Change::Unbans(UserId(body.member.to_native())),
            Self::SetSlow(body) => Change::Slows(body.interval_s.to_native()),
            Self::SetPrefs(body) => Change::Notes(body.note()),
            Self::SetDraft(body) => Change::Notes(body.note()),
            Self::Hide(body) => Change::Notes(body.note()),
        })
    }
}

impl Change {
    /// What a stored message changes. Of a kind that changes nothing the body is not looked at.
    #[must_use]
    pub fn read(frame: &Frame) -> Option<Self> {
        frame.kind().changes_something().then(|| Message::read(frame)?.change()).flatten()
    }

    /// Who becomes a member, besides the sender of the first message.
    #[must_use]
    pub fn joins(&self) -> &[UserId] {
        match self {
            Self::Begins { members, .. } | Self::Joins(members) => members,
            _ => &[],
        }
    }

    /// Everybody whom it names in a list: who becomes a member, or may.
    #[must_use]
    pub fn named(&self) -> &[UserId] {
        match self {
            Self::Invites(users) => users,
            _ => self.joins(),
        }
    }

    /// Who is a member no more, if it was one: a ban may name anybody.
    #[must_use]
    pub fn leaver(&self, sender: UserId) -> Option<UserId> {
        match self {
            Self::Removes(member) | Self::Bans(member) => Some(*member),
            Self::Leaves => Some(sender),
            _ => None,
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn held_bytes(&self) -> usize {
        let emoji = match self {
            Self::About { act: Act::Reacts { emoji, .. }, .. } => emoji.len(),
            _ => 0,
        };
        size_of::<Self>() + size_of_val(self.named()) + self.name().map_or(0, str::len) + emoji
    }

    /// What the group is called from here on.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Begins { name, .. } | Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// The channel of a message or of what stands in the place of one, its body read as [`Message::read`] does; `None` for any
/// other frame.
#[must_use]
pub fn channel_of(frame: &Frame) -> Option<ChannelId> {
    if let Some(recalled) = Recalled::read(frame) {
        return Some(ChannelId(recalled.channel));
    }
    Message::read(frame).map(|message| message.channel())
}
