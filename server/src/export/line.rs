//! One line of a channel's export, and the row that it is. Ids are strings, positions and times are numbers, as over HTTP.

use bytes::Bytes;
use data_encoding::BASE64;
use protocol::body::message::{ROLE_ADMIN, ROLE_MEMBER, ROLE_OWNER};
use protocol::commit::{
    About, ChannelRow, ErasedRow, FloorRow, Grown, IntervalRow, Pinned, PositionRow, RetentionRow, Row, Rule,
    Said, Sanction,
};
use protocol::{ChannelId, Frame, Seq, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::VERSION;

/// The first line.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// Always [`Header::WORD`].
    pub(crate) maru: String,
    pub(crate) version: u32,
    pub(crate) of: Of,
    /// The channel or the user.
    pub(crate) id: String,
    /// When it was asked for, milliseconds since the Unix epoch. It is not in the checksum.
    pub(crate) at_ms: u64,
}

impl Header {
    pub(crate) const WORD: &'static str = "export";

    pub(crate) fn new(of: Of, id: &impl ToString, at_ms: u64) -> Self {
        Self { maru: Self::WORD.to_owned(), version: VERSION, of, id: id.to_string(), at_ms }
    }
}

/// What is exported.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Of {
    Channel,
    User,
}

/// Which kind of channel.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Group,
    Direct,
    Own,
}

impl Kind {
    pub(crate) fn of(channel: ChannelId) -> Self {
        match (channel.owner(), channel.users()) {
            (Some(_), _) => Self::Own,
            (None, Some(_)) => Self::Direct,
            (None, None) => Self::Group,
        }
    }
}

/// One thing. The order of the variants is that of an export's lines, but that a user comes before its first line, and behind a
/// message what is said of it.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(tag = "line", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Line {
    /// The channel itself.
    Channel {
        channel: String,
        kind: Kind,
        /// Of a group; empty for others.
        name: String,
        /// Its newest message.
        head: u64,
        /// Of a large channel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        large: Option<Large>,
    },
    /// How long it keeps what is said, where that is said of it alone.
    Retention { days: u32, messages: u64 },
    /// Messages with a smaller seq were purged.
    Floor { below: u64, time_ms: u64 },
    /// Slow mode.
    Slow { interval_s: u32 },
    /// What is pinned, in the order in which it was.
    Pins { pins: Vec<Pin> },
    /// Who it is that the next lines name.
    User {
        user: String,
        /// None: the account is no more.
        name: Option<String>,
        display_name: String,
        created_ms: u64,
    },
    /// The same in a user's export, of other people.
    Person { user: String, name: Option<String> },
    /// How far the user has come.
    Position { user: String, read: u64, delivered: u64, hides: bool },
    /// The user was a member.
    Stay {
        user: String,
        joined: u64,
        /// None: it is one.
        left: Option<u64>,
        /// The user's how many-th stay.
        number: u32,
        role: String,
        /// The channel's name when it ended.
        name: String,
    },
    /// How far the erasure of the user has come: nothing that it wrote is left below `next`, which the ERASE at `by` says.
    Erased { user: String, by: u64, time_ms: u64, next: u64 },
    /// What is laid on the user.
    Sanction { user: String, muted_until_ms: u64, banned: bool },
    /// When the user last sent while the channel was slow.
    Sent { user: String, at_ms: u64 },
    /// A message as it stands now: what was recalled is a tombstone.
    Message {
        seq: u64,
        time_ms: u64,
        sender: String,
        send_id: String,
        /// What it says, as over HTTP. For people: an import reads the frame.
        says: Value,
        /// The stored frame, base 64. A user's view has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frame: Option<String>,
    },
    /// What is said of the message before it: edits by their seqs, reactions by how many users.
    Said { seq: u64, edits: Vec<u64>, reactions: Vec<Count> },
    /// How a user reacts to it.
    Reaction { seq: u64, user: String, emoji: Vec<String> },
    /// A message stands in a thread.
    Thread { root: u64, seq: u64 },
    /// The last line.
    End { lines: u64, crc32c: String },
}

/// What a large channel knows of itself.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Large {
    since: u64,
    members: u32,
    owners: u32,
}

/// A pinned message, and the message that pinned it.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    seq: u64,
    by: u64,
}

/// How many react in one way.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    emoji: String,
    users: u32,
}

impl Line {
    /// The channel itself; of a direct one there is no row.
    pub(crate) fn channel(channel: ChannelId, row: ChannelRow, head: Seq) -> Self {
        let large =
            row.grown.map(|Grown { since, members, owners }| Large { since: since.0, members, owners });
        Self::Channel {
            channel: channel.to_string(),
            kind: Kind::of(channel),
            name: row.name,
            head: head.0,
            large,
        }
    }

    /// The line of a row; `None` for a row that no export of a channel tells.
    pub(crate) fn of(row: Row) -> Option<Self> {
        Some(match row {
            Row::Retention { row: Some(RetentionRow { days, messages }), .. } => {
                Self::Retention { days, messages }
            }
            Row::Floor { row: FloorRow { below, time_ms }, .. } => Self::Floor { below: below.0, time_ms },
            Row::Rule { rule, .. } => match rule {
                Rule::Slow(interval_s) => Self::Slow { interval_s },
                Rule::Sanction { user, sanction: Sanction { muted_until_ms, is_banned } } => {
                    Self::Sanction { user: user.to_string(), muted_until_ms, banned: is_banned }
                }
                Rule::Sent { user, at_ms } => Self::Sent { user: user.to_string(), at_ms },
            },
            Row::Erased { user, row: ErasedRow { by, time_ms, next }, .. } => {
                Self::Erased { user: user.to_string(), by: by.0, time_ms, next: next.0 }
            }
            Row::About { about, .. } => return Self::about(about),
            Row::Position { user, row: PositionRow { read, delivered, hides }, .. } => {
                Self::Position { user: user.to_string(), read: read.0, delivered: delivered.0, hides }
            }
            Row::Interval { user, joined, row: IntervalRow { number, role, left, name }, .. } => Self::Stay {
                user: user.to_string(),
                joined: joined.0,
                left: left.map(|left| left.0),
                number,
                role: role_word(role),
                name,
            },
            Row::Message { frame, .. } => return Self::message(&frame, true),
            Row::Thread { root, seq, .. } => Self::Thread { root: root.0, seq: seq.0 },
            _ => return None,
        })
    }

    fn about(about: About) -> Option<Self> {
        Some(match about {
            About::Message { seq, said } => Self::Said {
                seq: seq.0,
                edits: said.edits.iter().map(|edit| edit.0).collect(),
                reactions: said.reactions.into_iter().map(|(emoji, users)| Count { emoji, users }).collect(),
            },
            About::Reactor { seq, user, emoji } => {
                Self::Reaction { seq: seq.0, user: user.to_string(), emoji }
            }
            About::Pins(pins) => {
                Self::Pins { pins: pins.iter().map(|pin| Pin { seq: pin.seq.0, by: pin.by.0 }).collect() }
            }
            About::Recalled { .. } => return None,
        })
    }

    /// A stored message, with its bytes or without. `None` for a frame without a stamp, which none is.
    pub(crate) fn message(frame: &Frame, with_frame: bool) -> Option<Self> {
        let stamp = frame.read_stamp()?;
        Some(Self::Message {
            seq: stamp.seq.0,
            time_ms: stamp.time_ms,
            sender: stamp.sender.to_string(),
            send_id: frame.send_id().to_string(),
            says: api::said(frame),
            frame: with_frame.then(|| BASE64.encode(frame.bytes())),
        })
    }

    /// The row of a line, for a channel; `None` for lines that are none.
    pub(crate) fn row(self, channel: ChannelId) -> Result<Option<Row>, String> {
        Ok(Some(match self {
            Self::Channel { name, large, .. } => {
                if channel.users().is_some() {
                    return Ok(None);
                }
                let grown = large.map(|Large { since, members, owners }| Grown {
                    since: Seq(since),
                    members,
                    owners,
                });
                Row::Channel { channel, row: ChannelRow { name, grown } }
            }
            Self::Retention { days, messages } => {
                Row::Retention { channel, row: Some(RetentionRow { days, messages }) }
            }
            Self::Floor { below, time_ms } => {
                Row::Floor { channel, from: Seq(1), row: FloorRow { below: Seq(below), time_ms } }
            }
            Self::Slow { interval_s } => Row::Rule { channel, rule: Rule::Slow(interval_s) },
            Self::Erased { user, by, time_ms, next } => {
                let row = ErasedRow { by: Seq(by), time_ms, next: Seq(next) };
                Row::Erased { channel, user: user_of(&user)?, row }
            }
            Self::Sanction { user, muted_until_ms, banned } => {
                let (user, sanction) = (user_of(&user)?, Sanction { muted_until_ms, is_banned: banned });
                Row::Rule { channel, rule: Rule::Sanction { user, sanction } }
            }
            Self::Sent { user, at_ms } => {
                Row::Rule { channel, rule: Rule::Sent { user: user_of(&user)?, at_ms } }
            }
            Self::Pins { pins } => {
                let pins = pins.iter().map(|pin| Pinned { seq: Seq(pin.seq), by: Seq(pin.by) });
                Row::About { channel, about: About::Pins(pins.collect()) }
            }
            Self::Position { user, read, delivered, hides } => {
                let row = PositionRow { read: Seq(read), delivered: Seq(delivered), hides };
                Row::Position { channel, user: user_of(&user)?, row }
            }
            Self::Stay { user, joined, left, number, role, name } => {
                let row = IntervalRow { number, role: role_of(&role)?, left: left.map(Seq), name };
                Row::Interval { channel, user: user_of(&user)?, joined: Seq(joined), row }
            }
            Self::Message { seq, time_ms, sender, send_id, frame, .. } => {
                let frame =
                    frame.ok_or("field `frame` is missing: it is no message of a channel's export")?;
                stored(channel, &frame, (seq, time_ms, &sender, &send_id))?
            }
            Self::Said { seq, edits, reactions } => {
                let reactions = reactions.into_iter().map(|count| (count.emoji, count.users)).collect();
                let said = Said { edits: edits.into_iter().map(Seq).collect(), reactions };
                Row::About { channel, about: About::Message { seq: Seq(seq), said } }
            }
            Self::Reaction { seq, user, emoji } => {
                Row::About { channel, about: About::Reactor { seq: Seq(seq), user: user_of(&user)?, emoji } }
            }
            Self::Thread { root, seq } => Row::Thread { channel, root: Seq(root), seq: Seq(seq) },
            Self::Person { .. } => {
                return Err("it is a line of a user's export, which is not imported".into());
            }
            Self::User { .. } | Self::End { .. } => return Ok(None),
        }))
    }
}

/// The message of a line: its bytes say what its fields say.
fn stored(
    channel: ChannelId,
    frame: &str,
    (seq, time_ms, sender, send_id): (u64, u64, &str, &str),
) -> Result<Row, String> {
    let bytes =
        BASE64.decode(frame.as_bytes()).map_err(|error| format!("`frame` is not base 64: {error}"))?;
    let frame = Frame::new(Bytes::from(bytes)).map_err(|fault| format!("`frame` is no frame: {fault:?}"))?;
    let stamp = frame.read_stamp().ok_or("`frame` has no stamp: it was never stored")?;
    let says = (stamp.seq.0, stamp.time_ms, stamp.sender.to_string(), frame.send_id().to_string());
    if says != (seq, time_ms, sender.to_owned(), send_id.to_owned()) {
        let (seq, time_ms, sender, send_id) = says;
        return Err(format!(
            "its fields are not those of `frame`, which has seq {seq}, time_ms {time_ms}, sender {sender}, send_id {send_id}"
        ));
    }
    Ok(Row::Message { channel, seq: Seq(seq), frame })
}

/// A user's id, not 0.
pub(crate) fn user_of(text: &str) -> Result<UserId, String> {
    let number = text.parse::<u64>().ok().filter(|number| *number != 0 && number.to_string() == text);
    number.map(UserId).ok_or_else(|| format!("{text:?} is no user's id; expected a number in a string"))
}

fn role_word(role: u8) -> String {
    match role {
        ROLE_MEMBER => "member".to_owned(),
        ROLE_ADMIN => "admin".to_owned(),
        ROLE_OWNER => "owner".to_owned(),
        other => other.to_string(),
    }
}

fn role_of(word: &str) -> Result<u8, String> {
    [ROLE_MEMBER, ROLE_ADMIN, ROLE_OWNER]
        .into_iter()
        .find(|role| role_word(*role) == word)
        .ok_or_else(|| format!("{word:?} is no role; expected member, admin or owner"))
}
