//! A run: consecutive entries of one inbox as one value. Rows are what an inbox costs, and most of an entry is said
//! already: whose inbox it is, which channel was named a moment ago, and that the next seq is the next.
//!
//! ```text
//! run     v1 = 1 | stretches to the end
//! stretch    = place varint | channel, if it is new | seq varint | count varint, if there are more
//! ```
//! A stretch is one or more entries of one channel with consecutive seqs. The lowest bit of `place` says whether there
//! are more than one; `count` is how many more. The rest names the channel: below the number N of channels named so far
//! in the run it is the place of one of them; N is a new group (its number follows), N + 1 a new direct channel of the
//! inbox's user (the other user follows), N + 2 any other (all 16 bytes follow); integers of fixed size are little
//! endian. `seq` is the first one: as it is where the channel is new, else the distance from the last seq of that
//! channel in the run, which zigzag makes small in both directions. Canonical: a run has exactly one encoding.

use bytes::{Buf, BufMut};
use protocol::{ChannelId, Seq, UserId};

use super::varint;

const V1: u8 = 1;

/// Entries of one row at most: what a page that begins inside has to decode.
pub(crate) const RUN_ENTRIES_MAX: usize = 1024;

type Entry = (ChannelId, Seq);

/// The channels of a run so far, each with its last seq. Few, so that a search is shorter than a table.
type Named = Vec<(ChannelId, Seq)>;

/// Encodes 1 to [`RUN_ENTRIES_MAX`] entries of the inbox of `user`.
pub(crate) fn write(user: UserId, entries: &[Entry], out: &mut Vec<u8>) {
    debug_assert!((1..=RUN_ENTRIES_MAX).contains(&entries.len()));
    out.clear();
    out.put_u8(V1);
    let mut named = Named::new();
    let mut rest = entries;
    while let Some(((channel, seq), behind)) = rest.split_first() {
        let more = behind
            .iter()
            .zip(1..)
            .take_while(|((same, next), step)| same == channel && Some(next.0) == seq.0.checked_add(*step));
        let more = more.count();
        stretch(user, (*channel, *seq, more as u64), &mut named, out);
        rest = behind.get(more..).unwrap_or_default();
    }
}

fn stretch(user: UserId, (channel, seq, more): (ChannelId, Seq, u64), named: &mut Named, out: &mut Vec<u8>) {
    let place_of = |place: usize| (place as u64) << 1 | u64::from(more > 0);
    let last = Seq(seq.0.wrapping_add(more));
    // The newest are the likeliest.
    if let Some(place) = named.iter().rposition(|(known, _)| *known == channel) {
        varint::put(place_of(place), out);
        if let Some((_, before)) = named.get_mut(place) {
            varint::put(zigzag(seq.0.wrapping_sub(before.0)), out);
            *before = last;
        }
    } else {
        let (high, low) = channel.halves();
        let form = form(user, channel);
        varint::put(place_of(named.len() + form as usize), out);
        match form {
            Form::Group => out.put_u64_le(low),
            Form::Own => out.put_u64_le(if high == user.0 { low } else { high }),
            Form::Whole => out.put_u128_le(channel.0),
        }
        varint::put(seq.0, out);
        named.push((channel, last));
    }
    if more > 0 {
        varint::put(more, out);
    }
}

/// How a new channel is spelt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Group,
    Own,
    Whole,
}

fn form(user: UserId, channel: ChannelId) -> Form {
    match channel.users() {
        None => Form::Group,
        // The ordinary order of the two halves is what the short form restores.
        Some((a, b)) if (a == user || b == user) && a <= b => Form::Own,
        Some(_) => Form::Whole,
    }
}

/// The entries of a run in the inbox of `user`; `None` when the bytes are none.
pub(crate) fn read(user: UserId, value: &[u8]) -> Option<Vec<Entry>> {
    let (version, mut rest) = value.split_first()?;
    let (mut named, mut entries) = (Named::new(), Vec::new());
    while *version == V1 && !rest.is_empty() {
        let (channel, first) = begin(user, &mut rest, &mut named, entries.last())?;
        let more = first.1;
        for step in 0..=more {
            entries.push((channel, Seq(first.0.0.checked_add(step)?)));
        }
        if entries.len() > RUN_ENTRIES_MAX {
            return None;
        }
    }
    (!entries.is_empty()).then_some(entries)
}

/// The next stretch: its channel, first seq, and how many more entries it has.
fn begin(
    user: UserId,
    rest: &mut &[u8],
    named: &mut Named,
    before: Option<&Entry>,
) -> Option<(ChannelId, (Seq, u64))> {
    let place = varint::take(rest)?;
    let (has_more, place) = (place & 1 == 1, usize::try_from(place >> 1).ok()?);
    let known = named.get(place).copied();
    let (channel, seq) = match known {
        Some((channel, last)) => (channel, Seq(last.0.wrapping_add(unzigzag(varint::take(rest)?)))),
        None => (new_channel(user, place.checked_sub(named.len())?, named, rest)?, Seq(varint::take(rest)?)),
    };
    let more = if has_more { varint::take(rest).filter(|more| *more > 0)? } else { 0 };
    // Bounded before it is believed, and not a stretch that continues the one before.
    let fits = usize::try_from(more).is_ok_and(|more| more < RUN_ENTRIES_MAX);
    let continues =
        before.is_some_and(|(same, last)| *same == channel && last.0.checked_add(1) == Some(seq.0));
    let last = Seq(seq.0.checked_add(more)?);
    if !fits || continues {
        return None;
    }
    match named.get_mut(place) {
        Some((_, before)) => *before = last,
        None => named.push((channel, last)),
    }
    Some((channel, (seq, more)))
}

fn new_channel(user: UserId, form: usize, named: &Named, rest: &mut &[u8]) -> Option<ChannelId> {
    let (channel, spelt) = match form {
        0 => (ChannelId(u128::from(rest.try_get_u64_le().ok()?)), Form::Group),
        1 => (ChannelId::direct(user, UserId(rest.try_get_u64_le().ok()?)), Form::Own),
        2 => (ChannelId(rest.try_get_u128_le().ok()?), Form::Whole),
        _ => return None,
    };
    let is_new = !named.iter().any(|(known, _)| *known == channel);
    (is_new && self::form(user, channel) == spelt).then_some(channel)
}

/// Small numbers for small distances in both directions.
#[allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)]
fn zigzag(distance: u64) -> u64 {
    let signed = distance as i64;
    ((signed << 1) ^ (signed >> 63)) as u64
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests;
