//! Threads and mentions: rows that follow from texts, and what they name.

use std::collections::{BTreeMap, BTreeSet};

use protocol::commit::FloorRow;
use protocol::limits::{MENTIONS_COUNTED_MAX, THREAD_COUNTED_MAX};
use protocol::query::{Answer, Mention, PageBounds};
use protocol::{ChannelId, InboxSeq, Seq, UserId};

use super::Filled;
use crate::family::Family;
use crate::key::{self, Key};
use crate::rows::{Direction, Found};
use crate::value;
use crate::view::{View, damaged};

/// One thread, and what of it is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) channel: ChannelId,
    pub(super) root: Seq,
    /// Both exclusive.
    pub(super) window: (Seq, Seq),
    pub(super) newest: bool,
    /// Both inclusive.
    pub(super) counted: (Seq, Seq),
}

/// Messages of a thread, rising, and how many there are.
pub(super) fn thread(view: &View<'_>, asked: Asked, bounds: PageBounds) -> Found<Answer> {
    let (after, before) = asked.window;
    let direction = if asked.newest { Direction::Falling } else { Direction::Rising };
    let most = Filled::messages_max(bounds);
    let mut seqs = seqs(view, asked, (after.next(), before), direction, most + 1)?;
    let mut more = seqs.len() > most;
    seqs.truncate(most);
    let (mut frames, mut filled) = (Vec::with_capacity(seqs.len()), Filled::new(bounds));
    for seq in seqs {
        let key = key::in_thread(asked.channel, asked.root, seq);
        let frame = view.message(asked.channel, seq)?.ok_or_else(|| damaged(Family::About, &key))?;
        if !filled.take(1, frame.bytes().len()) {
            more = true;
            break;
        }
        frames.push(frame);
    }
    if asked.newest {
        frames.reverse();
    }
    let (low, high) = asked.counted;
    let counted = (low, Seq(high.0.saturating_add(1)));
    let all = self::seqs(view, asked, counted, Direction::Falling, THREAD_COUNTED_MAX as usize)?;
    let newest = all.first().copied().unwrap_or_default();
    Ok(Answer::Thread { frames, more, total: u32::try_from(all.len()).unwrap_or(u32::MAX), newest })
}

/// At most so many of a thread with `from <= seq < until`, from one end.
fn seqs(
    view: &View<'_>,
    Asked { channel, root, .. }: Asked,
    (from, until): (Seq, Seq),
    direction: Direction,
    most: usize,
) -> Found<Vec<Seq>> {
    let mut found = Vec::new();
    if from >= until {
        return Ok(found);
    }
    let bounds = (key::in_thread(channel, root, from), key::in_thread(channel, root, until));
    view.scan(Family::About, (&bounds.0, &bounds.1), direction, &mut |key, _| {
        found.push(last_number(Family::About, key).map(Seq)?);
        Ok(found.len() < most)
    })?;
    Ok(found)
}

/// Mentions of purged messages that are looked past for one page. They keep their rows: who has more of them in a row is shown
/// nothing of before.
const PURGED_MAX: usize = 10_000;

/// What mentions a user, newest first, and what of it is unread in the channels of the page. What was purged is left out.
pub(super) fn mentions(view: &View<'_>, user: UserId, before: InboxSeq, limit: u32) -> Found<Answer> {
    let (mut items, mut floors) = (Vec::new(), BTreeMap::new());
    let (most, mut before, mut more, mut purged) = (limit as usize, before, true, 0);
    while more && items.len() <= most && purged < PURGED_MAX {
        let found = mentions_before(view, user, before, most + 1)?;
        more = found.len() > most;
        before = found.last().map_or(before, |last| last.at);
        for item in found {
            if floor_of(view, &mut floors, item.channel)?.hides(item.seq) {
                purged += 1;
            } else {
                items.push(item);
            }
        }
    }
    let more = items.len() > most;
    items.truncate(most);
    let channels: BTreeSet<ChannelId> = items.iter().map(|item| item.channel).collect();
    let mut unread = Vec::with_capacity(channels.len());
    for channel in channels {
        let read = view.position(channel, user)?.read.max(floor_of(view, &mut floors, channel)?.last());
        unread.push((channel, mentions_above(view, (user, channel), read, MENTIONS_COUNTED_MAX)?));
    }
    Ok(Answer::Mentions { items, unread, more })
}

type Floors = BTreeMap<ChannelId, FloorRow>;

fn floor_of(view: &View<'_>, floors: &mut Floors, channel: ChannelId) -> Found<FloorRow> {
    if let Some(known) = floors.get(&channel) {
        return Ok(*known);
    }
    let floor = view.floor(channel)?;
    floors.insert(channel, floor);
    Ok(floor)
}

/// At most so many rows, falling.
fn mentions_before(view: &View<'_>, user: UserId, before: InboxSeq, most: usize) -> Found<Vec<Mention>> {
    let mut items: Vec<Mention> = Vec::new();
    let bounds: (Key, Key) = (key::mention_at(user, InboxSeq(0)), key::mention_at(user, before));
    view.scan(Family::Notes, (&bounds.0, &bounds.1), Direction::Falling, &mut |key, value| {
        let at = InboxSeq(last_number(Family::Notes, key)?);
        let mention = value::read_mention(at, value.bytes());
        items.push(mention.ok_or_else(|| damaged(Family::Notes, key))?);
        Ok(items.len() < most)
    })?;
    Ok(items)
}

/// How many messages of a channel above `seq` mention a user; at most `most` are counted. Of what was purged the caller knows.
pub(super) fn mentions_above(
    view: &View<'_>,
    (user, channel): (UserId, ChannelId),
    seq: Seq,
    most: u32,
) -> Found<u32> {
    let mut count = 0;
    let Some(from) = seq.0.checked_add(1).map(Seq).filter(|_| most > 0) else { return Ok(count) };
    let bounds = (key::mention(user, channel, from), key::mention(user, channel, Seq(u64::MAX)));
    view.scan(Family::Notes, (&bounds.0, &bounds.1), Direction::Rising, &mut |_, _| {
        count += 1;
        Ok(count < most)
    })?;
    Ok(count)
}

/// The last part of a key, which is a number.
fn last_number(family: Family, key: &[u8]) -> Found<u64> {
    key.last_chunk().map(|number| u64::from_be_bytes(*number)).ok_or_else(|| damaged(family, key))
}
