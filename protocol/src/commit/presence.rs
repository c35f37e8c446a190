//! What is stored of a user's presence, and its stable encoding.
//!
//! ```text
//! presence v1 = 1 | last_active_ms u64 | shows u8 | status_until_ms u64 | status, UTF-8, to the end
//! ```

use super::encoding::Fields;

const VERSION: u8 = 1;
/// Tag of the key of a user's presence in `notes`.
pub const PRESENCE_TAG: u8 = 6;

/// What is stored of a user's presence. Whether it is there is not: that ends with the process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PresenceRow {
    /// When others could last see that the user was there, milliseconds since the Unix epoch; 0 for never.
    pub last_active_ms: u64,
    /// What the user shows.
    pub shows: Shows,
    /// The status ends then, milliseconds since the Unix epoch; 0 for never.
    pub status_until_ms: u64,
    /// What the user says of itself; empty for nothing.
    pub status: String,
}

/// What a user shows of itself. The number is stored; it is never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shows {
    /// What its devices do.
    #[default]
    Activity = 0,
    /// That it is away.
    Away = 1,
    /// That it is not to be disturbed.
    DoNotDisturb = 2,
    /// Nothing: it looks offline.
    Invisible = 3,
}

impl Shows {
    /// What has this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Activity),
            1 => Some(Self::Away),
            2 => Some(Self::DoNotDisturb),
            3 => Some(Self::Invisible),
            _ => None,
        }
    }
}

impl PresenceRow {
    /// Bytes in front of the status.
    const FIXED_BYTES: usize = 18;

    /// Length of the stored value.
    pub(super) fn encoded_bytes(&self) -> usize {
        Self::FIXED_BYTES + self.status.len()
    }

    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bytes());
        out.push(VERSION);
        out.extend_from_slice(&self.last_active_ms.to_le_bytes());
        out.push(self.shows as u8);
        out.extend_from_slice(&self.status_until_ms.to_le_bytes());
        out.extend_from_slice(self.status.as_bytes());
        out
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let is_known = fields.u8()? == VERSION;
        let (last_active_ms, shows) = (fields.u64()?, Shows::from_number(fields.u8()?)?);
        let status_until_ms = fields.u64()?;
        let status = core::str::from_utf8(fields.rest()).ok()?.to_owned();
        is_known.then_some(Self { last_active_ms, shows, status_until_ms, status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_value() {
        let row = PresenceRow {
            last_active_ms: 258,
            shows: Shows::Invisible,
            status_until_ms: 7,
            status: "차".to_owned(),
        };
        let bytes = [1, 2, 1, 0, 0, 0, 0, 0, 0, 3, 7, 0, 0, 0, 0, 0, 0, 0, 0xec, 0xb0, 0xa8];
        assert_eq!(row.encode(), bytes);
        assert_eq!(PresenceRow::decode(&bytes), Some(row));
        for (place, wrong) in [(0, 2), (9, 4), (20, 0xff)] {
            let mut bytes = bytes.to_vec();
            bytes[place] = wrong;
            assert_eq!(PresenceRow::decode(&bytes), None, "{place}");
        }
        assert_eq!(PresenceRow::decode(&bytes[..17]), None);
    }
}
