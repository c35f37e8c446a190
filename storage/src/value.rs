//! Values that protocol does not encode. History holds wire frames, which carry versions of their own; group, interval,
//! position, device and account rows are encoded by protocol and begin with their version; the user's own list is bare
//! big-endian integers. Runs of an inbox have a room of their own.

pub(crate) mod run;
mod varint;

use bytes::{Buf, BufMut};
use protocol::partition::BAYS;
use protocol::query::Mention;
use protocol::{ChannelId, InboxSeq, Seq, UserId};

/// Version of a fan-out log row and of a bay's marks.
const V1: u8 = 1;

/// The marks of one bay, by source bay.
pub(crate) type Marks = [u64; BAYS as usize];

/// Nothing of any source is applied.
pub(crate) const NO_MARKS: Marks = [0; BAYS as usize];

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

/// A channel and a seq, as the fan-out log has them.
pub(crate) fn read_pointer(mut value: &[u8]) -> Option<(ChannelId, Seq)> {
    let pointer = (ChannelId(value.try_get_u128().ok()?), Seq(value.try_get_u64().ok()?));
    value.is_empty().then_some(pointer)
}

/// 64 varints: logs are young for years, so that most marks take two to four bytes.
pub(crate) fn write_marks(marks: &Marks, out: &mut Vec<u8>) {
    out.clear();
    out.put_u8(V1);
    for mark in marks {
        varint::put(*mark, out);
    }
}

pub(crate) fn read_marks(value: &[u8]) -> Option<Marks> {
    let (version, mut body) = value.split_first()?;
    let mut marks = NO_MARKS;
    for mark in &mut marks {
        *mark = varint::take(&mut body)?;
    }
    (*version == V1 && body.is_empty()).then_some(marks)
}

/// What stands at a mention's place in the inbox: channel, seq, time, sender.
pub(crate) fn write_mention(mention: &Mention) -> Vec<u8> {
    let mut out = Vec::with_capacity(41);
    out.put_u8(V1);
    out.put_u128(mention.channel.0);
    out.put_u64(mention.seq.0);
    out.put_u64(mention.time_ms);
    out.put_u64(mention.sender.0);
    out
}

/// The mention at this place.
pub(crate) fn read_mention(at: InboxSeq, mut value: &[u8]) -> Option<Mention> {
    let version = value.try_get_u8().ok()?;
    let (channel, seq) = (ChannelId(value.try_get_u128().ok()?), Seq(value.try_get_u64().ok()?));
    let (time_ms, sender) = (value.try_get_u64().ok()?, UserId(value.try_get_u64().ok()?));
    let mention = Mention { at, channel, seq, time_ms, sender };
    (version == V1 && value.is_empty()).then_some(mention)
}

pub(crate) fn read_number(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.try_into().ok()?))
}

/// What the store knows about its own form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// Version of keys, values and families together.
    pub(crate) format: u32,
    /// History families.
    pub(crate) histories: u8,
}

pub(crate) fn write_layout(layout: Layout) -> Vec<u8> {
    let mut out = Vec::with_capacity(5);
    out.put_u32(layout.format);
    out.put_u8(layout.histories);
    out
}

/// A newer format may have more behind these fields; its first four bytes are a version for ever.
#[cfg(feature = "rocks")]
pub(crate) fn read_layout(mut value: &[u8]) -> Option<Layout> {
    Some(Layout { format: value.try_get_u32().ok()?, histories: value.try_get_u8().ok()? })
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
        let mut marks = NO_MARKS;
        (marks[1], marks[63]) = (300, u64::MAX);
        write_marks(&marks, &mut out);
        let last = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(out, [&[1, 0, 0xac, 0x02], &[0; 61][..], &last].concat());
        assert_eq!(read_marks(&out), Some(marks));
    }

    #[test]
    fn damage_is_noticed() {
        assert_eq!(read_fanout(&[1, 0]), None);
        assert_eq!(read_pointer(&[0; 25]), None);
        assert_eq!(read_fanout(&[2]), None);
        assert_eq!(read_number(&[0; 7]), None);
        let mut marks = Vec::new();
        write_marks(&NO_MARKS, &mut marks);
        assert_eq!(read_marks(&marks[..64]), None);
        assert_eq!(read_marks(&[&marks[..], &[0]].concat()), None);
        marks[0] = 2;
        assert_eq!(read_marks(&marks), None);
    }
}
