//! What is laid down for a group, as rows hold it.
//!
//! ```text
//! row tag 50 = channel u128 | sort u8 (the tag of its key), then of that sort:
//!   50 slow: interval_s u32 | 51 sanction: user u64, muted_until_ms u64, is_banned u8 | 52 sent: user u64, at_ms u64
//! slow     v1 = 1 | interval_s u32 (0: there is no row)
//! sanction v1 = 1 | muted_until_ms u64 | is_banned u8 (neither: there is no row)
//! sent     v1 = 1 | at_ms u64
//! ```

use bytes::{BufMut, BytesMut};

use super::Row;
use super::encoding::Fields;
use crate::id::{ChannelId, UserId};

const VERSION: u8 = 1;
/// Tag of the key of a group's slow mode.
pub const SLOW_TAG: u8 = 50;
/// Tag of the keys of sanctions.
pub const SANCTION_TAG: u8 = 51;
/// Tag of the keys of when members sent.
pub const SENT_TAG: u8 = 52;

/// One thing that holds in a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// A plain member sends a text only so many seconds after its last; 0 for no wait.
    Slow(u32),
    /// What is laid on a user; nothing removes the row.
    Sanction {
        /// Who.
        user: UserId,
        /// What.
        sanction: Sanction,
    },
    /// When a plain member last sent a text while the group was slow. What is left of it afterwards says nothing.
    Sent {
        /// Who.
        user: UserId,
        /// The home's clock, milliseconds since the Unix epoch: not the stamp's time, which never steps back.
        at_ms: u64,
    },
}

/// What is laid on a user in a group, member or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sanction {
    /// May not send before then, milliseconds since the Unix epoch; 0 for not muted,
    /// [`MUTED_FOR_EVER_MS`](crate::body::rules::MUTED_FOR_EVER_MS) for no end.
    pub muted_until_ms: u64,
    /// May not become a member.
    pub is_banned: bool,
}

impl Sanction {
    /// Whether it says nothing any more.
    #[must_use]
    pub fn is_over(&self, now_ms: u64) -> bool {
        !self.is_banned && self.muted_until_ms <= now_ms
    }

    /// The sanction in these bytes; `None` for any others.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let version = fields.u8()?;
        let sanction = Self::fields(&mut fields)?;
        (version == VERSION && sanction != Self::default() && fields.0.is_empty()).then_some(sanction)
    }

    fn fields(fields: &mut Fields<'_>) -> Option<Self> {
        let muted_until_ms = fields.u64()?;
        let is_banned = match fields.u8()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self { muted_until_ms, is_banned })
    }
}

impl Rule {
    /// The tag of its key.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Slow(_) => SLOW_TAG,
            Self::Sanction { .. } => SANCTION_TAG,
            Self::Sent { .. } => SENT_TAG,
        }
    }

    /// Whose row it is; `None` for the group's own.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Slow(_) => None,
            Self::Sanction { user, .. } | Self::Sent { user, .. } => Some(*user),
        }
    }

    /// The stored value; `None` when there is no row.
    #[must_use]
    pub fn value(&self) -> Option<Vec<u8>> {
        let mut out = vec![VERSION];
        match self {
            Self::Slow(0) => return None,
            Self::Slow(interval_s) => out.extend_from_slice(&interval_s.to_le_bytes()),
            Self::Sanction { sanction, .. } if *sanction == Sanction::default() => return None,
            Self::Sanction { sanction, .. } => {
                out.extend_from_slice(&sanction.muted_until_ms.to_le_bytes());
                out.push(u8::from(sanction.is_banned));
            }
            Self::Sent { at_ms, .. } => out.extend_from_slice(&at_ms.to_le_bytes()),
        }
        Some(out)
    }

    /// Length of its fields behind the sort.
    pub(super) const fn encoded_bytes(&self) -> usize {
        match self {
            Self::Slow(_) => 4,
            Self::Sanction { .. } => 17,
            Self::Sent { .. } => 16,
        }
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.tag());
        match self {
            Self::Slow(interval_s) => out.put_u32_le(*interval_s),
            Self::Sanction { user, sanction } => {
                out.put_u64_le(user.0);
                out.put_u64_le(sanction.muted_until_ms);
                out.put_u8(u8::from(sanction.is_banned));
            }
            Self::Sent { user, at_ms } => {
                out.put_u64_le(user.0);
                out.put_u64_le(*at_ms);
            }
        }
    }

    pub(super) fn row(channel: ChannelId, fields: &mut Fields<'_>) -> Option<Row> {
        let rule = match fields.u8()? {
            SLOW_TAG => Self::Slow(fields.u32()?),
            SANCTION_TAG => {
                Self::Sanction { user: UserId(fields.u64()?), sanction: Sanction::fields(fields)? }
            }
            SENT_TAG => Self::Sent { user: UserId(fields.u64()?), at_ms: fields.u64()? },
            _ => return None,
        };
        Some(Row::Rule { channel, rule })
    }
}

/// The seconds of a slow mode in these bytes; `None` for any others.
#[must_use]
pub fn decode_slow(bytes: &[u8]) -> Option<u32> {
    let mut fields = Fields(bytes);
    let (version, interval_s) = (fields.u8()?, fields.u32()?);
    (version == VERSION && interval_s != 0 && fields.0.is_empty()).then_some(interval_s)
}

/// The time of a send in these bytes; `None` for any others.
#[must_use]
pub fn decode_sent(bytes: &[u8]) -> Option<u64> {
    let mut fields = Fields(bytes);
    let (version, at_ms) = (fields.u8()?, fields.u64()?);
    (version == VERSION && fields.0.is_empty()).then_some(at_ms)
}
