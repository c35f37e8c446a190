//! The stable encodings of row values: what storage writes under a key. The first byte is the version; all integers
//! are little endian; decoding is strict, so a value has exactly one encoding.
//!
//! ```text
//! channel  v1 = 1 | name, UTF-8, to the end
//! channel  v2 = 2 | since u64 (above 0) | members u32 | owners u32 | name, UTF-8, to the end: of a large channel
//! interval v1 = 1 | number u32 | role u8 | left u64 (0 while it lasts) | name, UTF-8, to the end
//! position v1 = 1 | read u64 | delivered u64
//! position v2 = 2 | read u64 | delivered u64 | hides u8 (1: such a row is written as v1 else)
//! device   v1 = 1 | generation u64 | cursor u64 | seen_ms u64
//! account  v1 = 1 | created_ms u64
//! account  v2 = 2 | created_ms u64 | not_before_ms u64 (not 0: such a row is written as v1)
//! account  v3 = 3 | created_ms u64 | not_before_ms u64 | message u8 | add u8 | see u8 | has_relations u8
//!               (not all of the last four 0: such a row is written as v1 or v2)
//! account  v4 = 4 | as v3 | hides_receipts u8 (1: such a row is written as v3 or less else)
//! account  v5 = 5 | as v3 | hides_receipts u8 | own u8 (1 groups_per_h, 2 directs_per_h, 4 mib_per_h; not 0) | a u32 for each that is there
//! relation v1 = 1 | 1 a friend, 2 blocked, 3 both
//! ```

use super::encoding::Fields;
use super::{
    AccountRow, Audience, ChannelRow, DeviceRow, Grown, IntervalRow, OwnBound, Policy, PositionRow, Quota,
    Relation,
};
use crate::id::{Cursor, Generation, InboxSeq, Seq};

const VERSION: u8 = 1;
/// Of an account that was logged out everywhere.
const ACCOUNT_VERSION: u8 = 2;
/// Of an account with a policy or relations.
const POLICY_VERSION: u8 = 3;
/// Of an account that shows nobody how far it has come.
const RECEIPTS_VERSION: u8 = 4;
/// Of an account with bounds of its own.
const QUOTA_VERSION: u8 = 5;
/// Of a position that is shown to nobody.
const HIDING_VERSION: u8 = 2;
/// Of a large channel.
const GROWN_VERSION: u8 = 2;

fn begin(bytes: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Fields(bytes);
    (fields.u8()? == VERSION).then_some(fields)
}

impl ChannelRow {
    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bytes());
        match self.grown {
            Some(grown) => {
                out.push(GROWN_VERSION);
                out.extend_from_slice(&grown.encode());
            }
            None => out.push(VERSION),
        }
        out.extend_from_slice(self.name.as_bytes());
        out
    }

    /// Length of the stored value.
    pub(super) fn encoded_bytes(&self) -> usize {
        1 + self.grown.map_or(0, |_| Grown::BYTES) + self.name.len()
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let grown = match fields.u8()? {
            VERSION => None,
            GROWN_VERSION => {
                let since = Seq(fields.u64()?);
                Some(Grown { since, members: fields.u32()?, owners: fields.u32()? })
            }
            _ => return None,
        };
        let name = core::str::from_utf8(fields.rest()).ok()?.to_owned();
        grown.is_none_or(|grown| grown.since > Seq(0)).then_some(Self { name, grown })
    }
}

impl IntervalRow {
    /// Bytes of the value in front of the name.
    pub(super) const FIXED_BYTES: usize = 14;

    /// The stored value. An interval that ends does so above 0: seqs begin with 1.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        debug_assert!(self.left != Some(Seq(0)));
        let mut out = Vec::with_capacity(Self::FIXED_BYTES + self.name.len());
        out.push(VERSION);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.push(self.role);
        out.extend_from_slice(&self.left.unwrap_or_default().0.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
        out
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = begin(bytes)?;
        let (number, role, left) = (fields.u32()?, fields.u8()?, Seq(fields.u64()?));
        let name = core::str::from_utf8(fields.rest()).ok()?.to_owned();
        Some(Self { number, role, left: (left.0 != 0).then_some(left), name })
    }
}

impl PositionRow {
    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bytes());
        out.push(if self.hides { HIDING_VERSION } else { VERSION });
        out.extend_from_slice(&self.read.0.to_le_bytes());
        out.extend_from_slice(&self.delivered.0.to_le_bytes());
        if self.hides {
            out.push(1);
        }
        out
    }

    /// Length of the stored value.
    pub(super) fn encoded_bytes(&self) -> usize {
        17 + usize::from(self.hides)
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let hides = match fields.u8()? {
            VERSION => false,
            HIDING_VERSION => true,
            _ => return None,
        };
        let (read, delivered) = (Seq(fields.u64()?), Seq(fields.u64()?));
        // One value has one encoding.
        let ends = !hides || fields.u8()? == 1;
        (ends && fields.0.is_empty()).then_some(Self { read, delivered, hides })
    }
}

impl DeviceRow {
    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(25);
        out.push(VERSION);
        out.extend_from_slice(&self.cursor.generation.0.to_le_bytes());
        out.extend_from_slice(&self.cursor.at.0.to_le_bytes());
        out.extend_from_slice(&self.seen_ms.to_le_bytes());
        out
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = begin(bytes)?;
        let cursor = Cursor { generation: Generation(fields.u64()?), at: InboxSeq(fields.u64()?) };
        let seen_ms = fields.u64()?;
        fields.0.is_empty().then_some(Self { cursor, seen_ms })
    }
}

impl AccountRow {
    fn version(&self) -> u8 {
        match self {
            Self { quota, .. } if *quota != Quota::default() => QUOTA_VERSION,
            Self { policy: Policy { hides_receipts: true, .. }, .. } => RECEIPTS_VERSION,
            Self { policy, has_relations, .. } if *policy != Policy::default() || *has_relations => {
                POLICY_VERSION
            }
            Self { not_before_ms: 0, .. } => VERSION,
            _ => ACCOUNT_VERSION,
        }
    }

    /// Length of the stored value.
    pub(super) fn encoded_bytes(&self) -> usize {
        match self.version() {
            VERSION => 9,
            ACCOUNT_VERSION => 17,
            POLICY_VERSION => 21,
            RECEIPTS_VERSION => 22,
            _ => 23 + 4 * self.quota.bounds().iter().filter(|bound| bound.get().is_some()).count(),
        }
    }

    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let version = self.version();
        let mut out = Vec::with_capacity(self.encoded_bytes());
        out.push(version);
        out.extend_from_slice(&self.created_ms.to_le_bytes());
        if version != VERSION {
            out.extend_from_slice(&self.not_before_ms.to_le_bytes());
        }
        let Policy { message, add, see, hides_receipts } = self.policy;
        if version >= POLICY_VERSION {
            out.extend_from_slice(&[message as u8, add as u8, see as u8, self.has_relations.into()]);
        }
        if version >= RECEIPTS_VERSION {
            out.push(hides_receipts.into());
        }
        if version >= QUOTA_VERSION {
            let bounds = self.quota.bounds().map(OwnBound::get);
            out.push(bounds.iter().rev().fold(0, |own, bound| own << 1 | u8::from(bound.is_some())));
            out.extend(bounds.into_iter().flatten().flat_map(u32::to_le_bytes));
        }
        out
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let version = fields.u8()?;
        let mut row = Self { created_ms: fields.u64()?, ..Self::default() };
        if version != VERSION {
            row.not_before_ms = fields.u64()?;
        }
        if version >= POLICY_VERSION {
            let mut audience = || fields.u8().and_then(Audience::from_number);
            let (message, add, see) = (audience()?, audience()?, audience()?);
            row.policy = Policy { message, add, see, hides_receipts: false };
            row.has_relations = flag(fields.u8()?)?;
        }
        if version >= RECEIPTS_VERSION {
            row.policy.hides_receipts = flag(fields.u8()?)?;
        }
        if version >= QUOTA_VERSION {
            let own = fields.u8().filter(|own| *own < 8)?;
            let mut bound = |bit: u8| match own & bit {
                0 => Some(OwnBound::default()),
                _ => fields.u32().filter(|bound| *bound < u32::MAX).map(|bound| OwnBound::new(Some(bound))),
            };
            row.quota = Quota { groups_per_h: bound(1)?, directs_per_h: bound(2)?, mib_per_h: bound(4)? };
        }
        // One value has one encoding, and a version above the last is one of these no more.
        (fields.0.is_empty() && row.version() == version).then_some(row)
    }
}

fn flag(byte: u8) -> Option<bool> {
    match byte {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

impl Relation {
    pub(super) fn bits(self) -> u8 {
        u8::from(self.is_friend) | u8::from(self.is_blocked) << 1
    }

    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        (bits <= 3).then_some(Self { is_friend: bits & 1 != 0, is_blocked: bits & 2 != 0 })
    }

    /// The stored value.
    #[must_use]
    pub fn encode(self) -> [u8; 2] {
        [VERSION, self.bits()]
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know. Of a relation that
    /// is none there is no row.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [VERSION, bits] if bits != 0 => Self::from_bits(bits),
            _ => None,
        }
    }
}
