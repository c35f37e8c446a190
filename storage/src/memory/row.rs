//! A row in memory: its key without a pointer to follow, and its value without one if it is small, as most are.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::key;
use crate::rows::Value;

/// Longest key.
const KEY_ROOM: usize = 39;
/// Longest value that needs no memory of its own: a pointer has 24 bytes.
const SMALL_ROOM: usize = 30;

const _: () = assert!(key::END.len() <= KEY_ROOM);
const _: () = assert!(size_of::<Cell>() <= 40);

/// A key, ordered by its bytes. Those behind its last are 0, and their number comes at the end, so that of two keys of
/// which one begins the other the shorter is smaller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RowKey([[u8; 8]; 5]);

impl RowKey {
    /// Takes at most [`KEY_ROOM`] bytes; no key has more.
    pub(super) fn new(key: &[u8]) -> Self {
        debug_assert!(key.len() <= KEY_ROOM, "a key of {} bytes", key.len());
        let mut words = [[0; 8]; 5];
        let room = words.as_flattened_mut();
        for (to, from) in room.iter_mut().zip(key) {
            *to = *from;
        }
        if let (Some(last), Ok(len)) = (room.last_mut(), u8::try_from(key.len())) {
            *last = len;
        }
        Self(words)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        let bytes = self.0.as_flattened();
        let len = bytes.last().copied().unwrap_or_default();
        bytes.get(..len.into()).unwrap_or_default()
    }
}

impl Ord for RowKey {
    /// Big-endian numbers are ordered like their bytes, and are compared without a call.
    fn cmp(&self, other: &Self) -> Ordering {
        for (own, others) in self.0.iter().zip(&other.0) {
            let order = u64::from_be_bytes(*own).cmp(&u64::from_be_bytes(*others));
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }
}

impl PartialOrd for RowKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Small { len: u8, room: [u8; SMALL_ROOM] },
    Shared(Bytes),
}

impl Cell {
    pub(super) fn copy(value: &[u8]) -> Self {
        let mut room = [0; SMALL_ROOM];
        match (room.get_mut(..value.len()), u8::try_from(value.len())) {
            (Some(bytes), Ok(len)) => {
                bytes.copy_from_slice(value);
                Self::Small { len, room }
            }
            _ => Self::Shared(Bytes::copy_from_slice(value)),
        }
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Small { .. } => Bytes::copy_from_slice(self.as_bytes()),
            Self::Shared(bytes) => bytes.clone(),
        }
    }

    pub(super) fn as_value(&self) -> Value<'_> {
        match self {
            Self::Small { .. } => Value::Borrowed(self.as_bytes()),
            Self::Shared(bytes) => Value::Shared(bytes),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Small { len, room } => room.get(..usize::from(*len)).unwrap_or_default(),
            Self::Shared(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_like_their_bytes() {
        let keys: [&[u8]; 9] =
            [b"", b"\0", b"\0\0", b"a", b"a\0", b"a\0\0\0\0\0\0\0\0", b"a\x01", b"b", &key::END];
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(RowKey::new(key).as_bytes(), *key);
            for (other_place, other) in keys.iter().enumerate() {
                assert_eq!(
                    RowKey::new(key).cmp(&RowKey::new(other)),
                    place.cmp(&other_place),
                    "{key:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn small_and_large_values_read_back() {
        for len in [0, 1, 24, SMALL_ROOM, SMALL_ROOM + 1, 5000] {
            let value = vec![7; len];
            let cell = Cell::copy(&value);
            assert_eq!(cell.to_bytes().as_ref(), value.as_slice());
            assert_eq!(cell.as_value().bytes(), value);
            assert_eq!(matches!(cell, Cell::Small { .. }), len <= SMALL_ROOM);
        }
    }
}
