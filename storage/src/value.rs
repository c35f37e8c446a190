//! Values that protocol does not encode. History holds wire frames, which carry versions of their own; group, member,
//! interval, position, device and account rows are encoded by protocol and begin with their version; pointers, marks and the user's own
//! list are bare big-endian integers, because they are the many.

use bytes::{Buf, BufMut};
use protocol::{ChannelId, Seq, StoreId};

/// Version of a fan-out log row.
const V1: u8 = 1;

pub(crate) fn write_fanout(messages: &[(ChannelId, Seq)], out: &mut Vec<u8>) {
    out.clear();
    out.put_u8(V1);
    for (channel, seq) in messages {
        out.put_u128(channel.0);
        out.put_u64(seq.0);
    }
}

pub(crate) fn read_fanout(value: &[u8]) -> Option<Vec<(ChannelId, Seq)>> {
    let (version, body) = value.split_first()?;
    let (messages, rest) = body.as_chunks::<24>();
    if *version != V1 || !rest.is_empty() {
        return None;
    }
    messages.iter().map(|message| read_pointer(message)).collect()
}

pub(crate) fn write_pointer(channel: ChannelId, seq: Seq, out: &mut Vec<u8>) {
    out.clear();
    out.put_u128(channel.0);
    out.put_u64(seq.0);
}

pub(crate) fn read_pointer(mut value: &[u8]) -> Option<(ChannelId, Seq)> {
    let pointer = (ChannelId(value.try_get_u128().ok()?), Seq(value.try_get_u64().ok()?));
    value.is_empty().then_some(pointer)
}

pub(crate) fn read_number(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.try_into().ok()?))
}

/// What a store knows about the directory it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// Version of keys, values and families together.
    pub(crate) format: u32,
    /// Stores of the directory.
    pub(crate) stores: u16,
    /// Which of them this is.
    pub(crate) store: StoreId,
    /// Its history families.
    pub(crate) histories: u8,
}

pub(crate) fn write_layout(layout: Layout) -> Vec<u8> {
    let mut out = Vec::with_capacity(9);
    out.put_u32(layout.format);
    out.put_u16(layout.stores);
    out.put_u16(layout.store.0);
    out.put_u8(layout.histories);
    out
}

/// A newer format may have more behind these fields; its first four bytes are a version for ever.
#[cfg(feature = "rocks")]
pub(crate) fn read_layout(mut value: &[u8]) -> Option<Layout> {
    Some(Layout {
        format: value.try_get_u32().ok()?,
        stores: value.try_get_u16().ok()?,
        store: StoreId(value.try_get_u16().ok()?),
        histories: value.try_get_u8().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values() {
        let mut out = Vec::new();
        write_fanout(&[(ChannelId(7), Seq(8))], &mut out);
        assert_eq!(out.len(), 25);
        assert_eq!((out[0], out[16], out[24]), (1, 7, 8));
    }

    #[test]
    fn damage_is_noticed() {
        assert_eq!(read_fanout(&[1, 0]), None);
        assert_eq!(read_pointer(&[0; 25]), None);
        assert_eq!(read_fanout(&[2]), None);
        assert_eq!(read_number(&[0; 7]), None);
    }
}
