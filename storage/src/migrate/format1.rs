//! Format 1, as far as it differs: its directory, its keys and its values. Nothing else of this program knows of it.
//!
//! ```text
//! store-00 ...   one RocksDB each; bay b (a partition group then) stood in store b mod K
//! meta           "layout" -> format u32, stores u16, store u16, history families u8; "generation" -> u64
//! member         also: partition, channel, user -> all intervals in one row: 1 | role u8 | (joined u64, left u64) ...
//! joined         also: partition, user, channel, 3 -> how far read, u64
//! inbox          partition, user, position -> channel u128, seq u64
//! fanout         number -> as now
//! applied        source store u16 -> number u64
//! ```
//! Integers are big endian, but little endian within the row of all intervals.

use std::path::Path;

use bytes::{Buf, Bytes};
use protocol::commit::Interval;
use protocol::partition::BAYS;
use protocol::{BayId, ChannelId, Generation, Seq, UserId};

use crate::directory::Marker;
use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::rocks::{RocksRows, Shared};
use crate::rows::{Direction, Reads, Tier};
use crate::store::fault;
use crate::value;

const META_LAYOUT: &[u8] = b"layout";
const META_GENERATION: &[u8] = b"generation";
/// Tag of a read position in the key of a row of `joined`.
const READ_TAG: u8 = 3;

/// The stores of a directory of format 1.
pub(super) struct Old {
    stores: Vec<RocksRows>,
    pub(super) histories: u8,
}

impl Old {
    /// Opens all: a torn end of a log is cut off, and a hole refused, as its own program did.
    pub(super) fn open(dir: &Path, marker: &Marker, shared: &Shared) -> Result<Self, StoreError> {
        let (count, histories) = (marker.number("stores")?, marker.histories()?);
        if !(1..=BAYS).contains(&count) {
            return Err(StoreError::io(
                dir.display(),
                format!("the marker says {count} stores; 1 to {BAYS} can be"),
            ));
        }
        let mut stores = Vec::new();
        for number in 0..count {
            let path = dir.join(format!("store-{number:02}"));
            if !path.join("CURRENT").exists() {
                let what = format!("{} is missing, the marker file promises it", path.display());
                return Err(StoreError::corrupt(None, what));
            }
            let store = RocksRows::open(&path, histories, shared)?;
            let layout = fault(store.get(Family::Meta, META_LAYOUT, Tier::Any))?;
            if layout.as_deref().and_then(read_layout) != Some((1, count, number, histories)) {
                return Err(damaged(number, Family::Meta, META_LAYOUT));
            }
            stores.push(store);
        }
        Ok(Self { stores, histories })
    }

    pub(super) fn count(&self) -> u16 {
        u16::try_from(self.stores.len()).unwrap_or(BAYS)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (u16, &RocksRows)> {
        (0..).zip(&self.stores)
    }

    /// The number of the store that a bay stood in.
    pub(super) fn of_bay(&self, bay: BayId) -> u16 {
        bay.0 % self.count()
    }

    /// The store that a channel stood in.
    pub(super) fn of_channel(&self, channel: ChannelId) -> Result<&RocksRows, StoreError> {
        let number = self.of_bay(BayId::of_channel(channel));
        self.stores
            .get(usize::from(number))
            .ok_or_else(|| StoreError::corrupt(None, format!("there is no store {number}")))
    }

    pub(super) fn history(&self, channel: ChannelId) -> Family {
        Family::of_history(channel, self.histories)
    }

    /// The newest message's seq; 0 for none.
    pub(super) fn head(&self, channel: ChannelId) -> Result<Seq, StoreError> {
        let prefix = key::channel(channel);
        let mut head = Seq(0);
        let store = self.of_channel(channel)?;
        fault(store.scan(
            self.history(channel),
            (&prefix, &prefix.after_all()),
            Direction::Falling,
            Tier::Once,
            &mut |key, _| {
                head = key::read_channel_row(key).map_or(Seq(0), |(_, _, seq)| Seq(seq));
                Ok(false)
            },
        ))?;
        Ok(head)
    }
}

/// Called with the key and value of each row.
type VisitRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Every row of a family of one store, in order.
pub(super) fn each(store: &RocksRows, family: Family, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
    fault(store.scan(family, (b"", &key::END), Direction::Rising, Tier::Once, &mut |key, value| {
        visit(key, value.bytes())?;
        Ok(true)
    }))
}

/// Says which row of which store cannot be read.
pub(super) fn damaged(store: u16, family: Family, key: &[u8]) -> StoreError {
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let what = format!("store-{store:02}, family {}, key {key}: the row cannot be read", family.name());
    StoreError::corrupt(None, what)
}

/// Format, stores, store, history families.
fn read_layout(mut value: &[u8]) -> Option<(u32, u16, u16, u8)> {
    let layout = (
        value.try_get_u32().ok()?,
        value.try_get_u16().ok()?,
        value.try_get_u16().ok()?,
        value.try_get_u8().ok()?,
    );
    value.is_empty().then_some(layout)
}

pub(super) fn generation(number: u16, store: &RocksRows) -> Result<Generation, StoreError> {
    let found: Option<Bytes> = fault(store.get(Family::Meta, META_GENERATION, Tier::Any))?;
    let found = found.as_deref().and_then(value::read_number).map(Generation);
    found.ok_or_else(|| damaged(number, Family::Meta, META_GENERATION))
}

/// Channel and user of the row that holds all intervals; its key has nothing behind them.
pub(super) fn read_all_intervals_key(mut key: &[u8]) -> Option<(ChannelId, UserId)> {
    key.try_get_u16().ok()?;
    let place = (ChannelId(key.try_get_u128().ok()?), UserId(key.try_get_u64().ok()?));
    key.is_empty().then_some(place)
}

/// Role and intervals.
pub(super) fn read_all_intervals(value: &[u8]) -> Option<(u8, Vec<Interval>)> {
    let ([1, role], rest) = value.split_first_chunk()? else { return None };
    let (intervals, rest) = rest.as_chunks::<16>();
    let interval = |bytes: &[u8; 16]| {
        let mut bytes = &bytes[..];
        let (joined, left) = (Seq(bytes.get_u64_le()), Seq(bytes.get_u64_le()));
        Interval { joined, left: (left.0 != 0).then_some(left) }
    };
    rest.is_empty().then(|| (*role, intervals.iter().map(interval).collect()))
}

/// User and channel of a read position.
pub(super) fn read_position_key(mut key: &[u8]) -> Option<(UserId, ChannelId)> {
    key.try_get_u16().ok()?;
    let place = (UserId(key.try_get_u64().ok()?), ChannelId(key.try_get_u128().ok()?));
    (key == [READ_TAG]).then_some(place)
}

/// Number of a row of the fan-out log.
pub(super) fn read_log_key(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

/// Source store of a mark.
pub(super) fn read_mark_key(key: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(key.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_keys_and_values() {
        let (user, channel) = (UserId(7), ChannelId(0x0102));
        let member = key::member(channel, user);
        assert_eq!(read_all_intervals_key(&member), Some((channel, user)));
        assert_eq!(read_all_intervals_key(&key::position(channel, user)), None);
        let value = [&[1, 2][..], &[4, 0, 0, 0, 0, 0, 0, 0], &[0; 8]].concat();
        let open = Interval { joined: Seq(4), left: None };
        assert_eq!(read_all_intervals(&value), Some((2, vec![open])));
        assert_eq!(read_all_intervals(&value[..10]), None);
        assert_eq!(read_all_intervals(&[2, 2]), None);
        let read = [&key::joined(user, channel)[..], &[3]].concat();
        assert_eq!(read_position_key(&read), Some((user, channel)));
        assert_eq!(read_position_key(&[&read[..26], &[2]].concat()), None);
        assert_eq!(read_log_key(&[0, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(read_mark_key(&[1, 2]), Some(258));
        assert_eq!(read_layout(&[0, 0, 0, 1, 0, 8, 0, 3, 4]), Some((1, 8, 3, 4)));
    }
}
