//! The channel list with what a first screen shows: by id, by time, or what changed. The order of time is that of the
//! user's inbox, walked from its end: no row is kept for it. A page by time goes on below the position where the one before
//! ended; a channel that had a newer message since is above it, and was told or comes with that message.

use std::collections::{BTreeMap, BTreeSet};

use protocol::body::about::Recalled;
use protocol::body::list::ChannelDetail;
use protocol::body::message::{Change, Message};
use protocol::commit::{DRAFT_TAG, HIDDEN_TAG, PREFS_TAG, Prefs, decode_hidden};
use protocol::limits::{CHANNELS_BYTES_MAX, PREVIEW_CHARS_MAX, UNREAD_MESSAGES_MAX, WALK_POINTERS_MAX};
use protocol::query::{JoinedItem, ListOrder, Listing};
use protocol::{ChannelId, Frame, InboxSeq, Seq, UserId};

use super::unread::Budget;
use super::{history, joined, talk};
use crate::family::Family;
use crate::key::{self, JoinedTag};
use crate::rows::{Direction, Found};
use crate::value;
use crate::view::{Listed, View, damaged, read_run};

/// Runs of an inbox that one page looks at.
const WALK_RUNS_MAX: usize = 4096;
/// Prefs of a user that are looked at for pinned channels.
const PREFS_MAX: usize = 10_000;
/// Pinned channels that are shown first.
const PINNED_MAX: usize = 100;
/// Messages of the user's own channel that are read to tell what they are about.
const NOTES_READ_MAX: usize = 1024;
/// Newest messages of a channel among which one to show is looked for.
const PREVIEW_MESSAGES_MAX: usize = 16;
/// Bytes of them after which no more are looked at.
const PREVIEW_BYTES_MAX: usize = 64 * 1024;
/// Newest ranges of hidden messages of a channel that are looked at for that.
const HIDDEN_MAX: usize = 256;
/// Unread mentions of a channel that are counted.
const MENTIONS_LISTED_MAX: u32 = 1000;
/// The frame's header, the root, and what a channel takes besides its texts.
const HEAD_BYTES: usize = 16 + 42;
const ITEM_BYTES: usize = 49 + 58;

const _: () = assert!(PREVIEW_MESSAGES_MAX <= UNREAD_MESSAGES_MAX);

/// One page.
pub(super) fn page(view: &View<'_>, user: UserId, order: ListOrder, limit: u32) -> Found<Listing> {
    let through = view.inbox_head(user)?;
    let mut page = Page {
        view,
        user,
        limit: limit as usize,
        bytes: HEAD_BYTES,
        budget: Budget::of_a_page(),
        listing: Listing { through, ..Listing::default() },
    };
    match order {
        ListOrder::Id(after) => page.by_id(after)?,
        ListOrder::Recent(before) => page.by_time(before)?,
        ListOrder::Changed(since) => page.changed(since)?,
    }
    Ok(page.listing)
}

/// The newest pointer of each channel, falling by position.
type Newest = Vec<(InboxSeq, ChannelId, Seq)>;

struct Page<'a> {
    view: &'a View<'a>,
    user: UserId,
    limit: usize,
    bytes: usize,
    budget: Budget,
    listing: Listing,
}

/// What became of a channel.
#[derive(PartialEq, Eq)]
enum Taken {
    Listed,
    /// It is not, or not here.
    Skipped,
    /// The page is full.
    Full,
}

impl Page<'_> {
    fn by_id(&mut self, after: ChannelId) -> Found<()> {
        let Some(from) = after.0.checked_add(1).map(ChannelId) else { return Ok(()) };
        let listed = joined::listed(self.view, self.user, from, self.limit)?;
        for one in &listed {
            if self.take(one, None)? == Taken::Full {
                self.listing.more = true;
                break;
            }
        }
        Ok(())
    }

    fn by_time(&mut self, before: InboxSeq) -> Found<()> {
        let pinned = self.pinned()?;
        let is_first = before == InboxSeq(0);
        if is_first {
            for channel in &pinned {
                let one = self.listed_one(*channel)?;
                if self.take(&one, None)? == Taken::Full {
                    break;
                }
            }
        }
        let upper = if is_first { self.listing.through.next() } else { before };
        let room = self.limit.saturating_mul(4).max(64);
        let (newest, end) = walk(self.view, self.user, (InboxSeq(0), upper), room)?;
        (self.listing.next, self.listing.more) = (end, end > InboxSeq(1));
        for (at, channel, seq) in newest {
            if pinned.contains(&channel) {
                continue;
            }
            // On the first page what the inbox holds last is the newest. Below it a newer one may stand above.
            let newest = (!is_first).then_some(seq);
            let one = self.listed_one(channel)?;
            if self.take(&one, newest)? == Taken::Full {
                (self.listing.next, self.listing.more) = (at.next(), true);
                break;
            }
        }
        Ok(())
    }

    /// All that changed or nothing, so that nobody is left with a part.
    fn changed(&mut self, since: InboxSeq) -> Found<()> {
        let through = self.listing.through;
        let is_far = since > through || through.0 - since.0 > WALK_POINTERS_MAX;
        let found = if is_far { None } else { self.changed_behind(since)? };
        let Some(changed) = found else {
            self.listing.needs_snapshot = true;
            return Ok(());
        };
        for channel in changed {
            let one = self.listed_one(channel)?;
            if self.take(&one, None)? == Taken::Full {
                self.listing.items.clear();
                self.listing.needs_snapshot = true;
                break;
            }
        }
        Ok(())
    }

    /// The channels that the inbox names behind a position, and those that the user noted something of; `None` for too many.
    fn changed_behind(&self, since: InboxSeq) -> Found<Option<Vec<ChannelId>>> {
        let upper = self.listing.through.next();
        let (newest, end) = walk(self.view, self.user, (since, upper), self.limit + 1)?;
        if newest.len() > self.limit || end > since.next() {
            return Ok(None);
        }
        let mut changed: Vec<ChannelId> = newest.iter().map(|(_, channel, _)| *channel).collect();
        let own = ChannelId::own(self.user);
        if changed.contains(&own) {
            let Some(noted) = self.noted_behind(since, own)? else { return Ok(None) };
            let known: BTreeSet<ChannelId> = changed.iter().copied().collect();
            changed.extend(noted.difference(&known));
        }
        Ok(Some(changed))
    }

    fn noted_behind(&self, since: InboxSeq, own: ChannelId) -> Found<Option<BTreeSet<ChannelId>>> {
        let mut seqs = Vec::new();
        each_pointer(self.view, self.user, (since, self.listing.through.next()), &mut |_, channel, seq| {
            if channel == own {
                seqs.push(seq);
            }
            seqs.len() <= NOTES_READ_MAX
        })?;
        if seqs.len() > NOTES_READ_MAX {
            return Ok(None);
        }
        let mut noted = BTreeSet::new();
        for seq in seqs {
            let frame = self.view.message(own, seq)?;
            if let Some(Change::Notes(note)) = frame.as_ref().and_then(Change::read) {
                noted.insert(note.about());
            }
        }
        Ok(Some(noted))
    }

    /// Puts a channel on the page. With a seq only if that is its newest message.
    fn take(&mut self, one: &Listed, newest: Option<Seq>) -> Found<Taken> {
        if one.joined.is_none() {
            return Ok(Taken::Skipped);
        }
        if self.listing.items.len() >= self.limit || !self.budget.is_enough() {
            return Ok(Taken::Full);
        }
        let item = joined::item(self.view, self.user, one, &mut self.budget)?;
        if newest.is_some_and(|newest| item.head > newest) {
            return Ok(Taken::Skipped);
        }
        let detail = detail(self.view, self.user, &item, &mut self.budget)?;
        self.bytes += ITEM_BYTES + item.name.len() + detail.text.len();
        if self.bytes > CHANNELS_BYTES_MAX && !self.listing.items.is_empty() {
            return Ok(Taken::Full);
        }
        self.listing.items.push((item, detail));
        Ok(Taken::Listed)
    }

    fn listed_one(&self, channel: ChannelId) -> Found<Listed> {
        let mut listed = Listed::new(channel);
        for tag in [JoinedTag::Joined, JoinedTag::Left] {
            let key = key::joined_row(self.user, channel, tag);
            if let Some(seq) = self.view.get_decoded(Family::Joined, &key, value::read_number)? {
                listed.set(tag, Seq(seq));
            }
        }
        Ok(listed)
    }

    /// Pinned channels by their order.
    fn pinned(&self) -> Found<Vec<ChannelId>> {
        let (family, prefix) = (Family::Notes, key::note(self.user, PREFS_TAG));
        let (mut pinned, mut rows) = (BTreeMap::new(), 0);
        self.view.scan_from(family, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let place = key::read_note(key).and_then(|(.., rest)| key::read_note_place(rest));
            let row = place.zip(Prefs::decode(value.bytes()));
            let ((about, _), prefs) = row.ok_or_else(|| damaged(family, key))?;
            if prefs.pinned != 0 {
                pinned.insert((prefs.pinned, about), ());
            }
            rows += 1;
            Ok(rows < PREFS_MAX)
        })?;
        Ok(pinned.into_keys().take(PINNED_MAX).map(|(_, about)| about).collect())
    }
}

/// The newest pointer of each channel with `low < position < upper`, falling, at most so many channels; and the position at
/// which the walk ended: everything from there on was looked at.
fn walk(
    view: &View<'_>,
    user: UserId,
    (low, upper): (InboxSeq, InboxSeq),
    channels: usize,
) -> Found<(Newest, InboxSeq)> {
    let (mut seen, mut newest, mut end, mut pointers) = (BTreeSet::new(), Vec::new(), upper, 0);
    each_pointer(view, user, (low, upper), &mut |at, channel, seq| {
        pointers += 1;
        end = at;
        if seen.insert(channel) {
            newest.push((at, channel, seq));
        }
        newest.len() < channels && pointers < WALK_POINTERS_MAX
    })?;
    Ok((newest, end))
}

/// Pointers with `low < position < upper`, falling, of a bounded number of runs.
fn each_pointer(
    view: &View<'_>,
    user: UserId,
    (low, upper): (InboxSeq, InboxSeq),
    visit: &mut dyn FnMut(InboxSeq, ChannelId, Seq) -> bool,
) -> Found<()> {
    let (prefix, upto) = (key::user(user), key::run(user, upper));
    let mut runs = 0;
    view.scan(Family::Inbox, (&prefix, &upto), Direction::Falling, &mut |key, value| {
        let (first, entries) = read_run(user, key, value.bytes())?;
        for (at, (channel, seq)) in (first.0..).zip(entries).collect::<Vec<_>>().into_iter().rev() {
            if at <= low.0 {
                return Ok(false);
            }
            if at < upper.0 && !visit(InboxSeq(at), channel, seq) {
                return Ok(false);
            }
        }
        runs += 1;
        Ok(runs < WALK_RUNS_MAX)
    })
}

fn detail(view: &View<'_>, user: UserId, item: &JoinedItem, budget: &mut Budget) -> Found<ChannelDetail> {
    let channel = item.channel;
    let prefs = key::note_about(user, PREFS_TAG, channel);
    let prefs = view.get_decoded(Family::Notes, &prefs, Prefs::decode)?.unwrap_or_default();
    let last = preview(view, user, item, budget)?;
    let stamp = last.as_ref().and_then(Frame::read_stamp);
    let (last_seq, last_sender, last_ms) =
        stamp.map_or((0, 0, 0), |stamp| (stamp.seq.0, stamp.sender.0, stamp.time_ms));
    Ok(ChannelDetail {
        mentions: mentions(view, user, item)?,
        last_seq,
        last_sender,
        last_ms,
        last_kind: last.as_ref().map_or(0, |frame| frame.kind().0),
        muted_until_ms: prefs.muted_until_ms,
        pinned: prefs.pinned,
        notify: prefs.notify as u8,
        marked_unread: prefs.marked_unread,
        archived: prefs.archived,
        has_draft: has_draft(view, user, channel)?,
        text: last.as_ref().map(shown_text).unwrap_or_default(),
    })
}

/// Unread messages of a channel that mention the user.
fn mentions(view: &View<'_>, user: UserId, item: &JoinedItem) -> Found<u64> {
    let above = item.read.max(Seq(item.joined.0.saturating_sub(1)));
    let above = if above < item.head { above.max(view.floor(item.channel)?.last()) } else { above };
    let unread = talk::mentions_above(view, (user, item.channel), above, MENTIONS_LISTED_MAX)?;
    Ok(u64::from(unread))
}

/// What a list shows of a message.
fn shown_text(frame: &Frame) -> String {
    match Message::read(frame) {
        Some(Message::SendText(body)) => body.text.as_str().chars().take(PREVIEW_CHARS_MAX).collect(),
        _ => String::new(),
    }
}

/// Whether a message is something to show in a list.
fn is_shown(frame: &Frame) -> bool {
    // In the place of a recalled text stands that it was; of its edits nothing is shown.
    let is_recalled_text = || {
        let (recalled, stamp) = (Recalled::read(frame)?, frame.read_stamp()?);
        Some(recalled.target == stamp.seq.0 && !recalled.is_purge())
    };
    frame.kind().counts_as_unread() || frame.kind().changes_a_group() || is_recalled_text() == Some(true)
}

/// The newest message that is something to show, and that the user has not hidden.
fn preview(view: &View<'_>, user: UserId, item: &JoinedItem, budget: &mut Budget) -> Found<Option<Frame>> {
    let hidden = hidden(view, user, item.channel)?;
    let (mut messages, mut bytes, mut found) = (0, 0, None);
    let window = (Seq(item.joined.0.saturating_sub(1)), item.head.next());
    history::visit(view, item.channel, window, Direction::Falling, &mut |frame, stamp| {
        messages += 1;
        bytes += frame.bytes().len();
        let is_hidden = hidden.iter().any(|(from, through)| (*from..=*through).contains(&stamp.seq));
        if is_shown(&frame) && !is_hidden {
            found = Some(frame);
        }
        found.is_none() && messages < PREVIEW_MESSAGES_MAX && bytes < PREVIEW_BYTES_MAX
    })?;
    budget.spend(messages, bytes);
    Ok(found)
}

/// The newest ranges of a channel that the user does not want to see.
fn hidden(view: &View<'_>, user: UserId, channel: ChannelId) -> Found<Vec<(Seq, Seq)>> {
    let (family, prefix) = (Family::Notes, key::note_about(user, HIDDEN_TAG, channel));
    let mut ranges = Vec::new();
    view.scan_from(family, (&prefix, &prefix), Direction::Falling, &mut |key, value| {
        ranges.push(decode_hidden(value.bytes()).ok_or_else(|| damaged(family, key))?);
        Ok(ranges.len() < HIDDEN_MAX)
    })?;
    Ok(ranges)
}

fn has_draft(view: &View<'_>, user: UserId, channel: ChannelId) -> Found<bool> {
    let prefix = key::note_about(user, DRAFT_TAG, channel);
    let mut found = false;
    view.scan_from(Family::Notes, (&prefix, &prefix), Direction::Rising, &mut |_, _| {
        found = true;
        Ok(false)
    })?;
    Ok(found)
}
