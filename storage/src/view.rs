//! One read's view of the store: rows by name, decoded. What stands in another bay is found here.

use std::cell::Cell;

use bytes::Bytes;
use protocol::commit::{
    AccountRow, ChannelRow, DeviceRow, ErasedRow, FloorRow, PresenceRow, Relation, RetentionRow,
};
use protocol::limits::DEVICES_MAX;
use protocol::{ChannelId, DeviceId, Frame, InboxSeq, Seq, Stamp, UserId};

use crate::error::StoreError;
use crate::family::Family;
use crate::key::{self, JoinedTag, Key};
use crate::owned::{ENDLESS, Owners, Stretch};
use crate::rows::{Direction, Found, Reads, Tier, Unread, Value, Visit};
use crate::value;

/// The store, at one tier.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) rows: &'a dyn Reads,
    pub(crate) owners: &'a Owners,
    pub(crate) tier: Tier,
    /// Rows that may still be looked at; not there when there is no bound.
    pub(crate) left: Option<&'a Cell<u32>>,
}

/// The user's own list, one channel, as its two rows say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    pub(crate) channel: ChannelId,
    pub(crate) joined: Option<Seq>,
    pub(crate) left: Option<Seq>,
}

impl Listed {
    pub(crate) fn new(channel: ChannelId) -> Self {
        Self { channel, joined: None, left: None }
    }

    pub(crate) fn set(&mut self, tag: JoinedTag, seq: Seq) {
        match tag {
            JoinedTag::Joined => self.joined = Some(seq),
            JoinedTag::Left => self.left = Some(seq),
        }
    }

    /// `left`, unless the user joined again behind it. Who is only invited joined and left with one message.
    pub(crate) fn left_since(&self) -> Option<Seq> {
        self.left.filter(|left| self.joined.is_none_or(|joined| *left >= joined))
    }
}

/// Says which row is damaged.
pub(crate) fn damaged(family: Family, key: &[u8]) -> Unread {
    Unread::Fault(StoreError::corrupt_row(family, key, "the row cannot be read"))
}

impl<'a> View<'a> {
    /// The messages of a channel with `from <= seq < until`, each with the family it stands in. Of those that were purged the
    /// tombstones are made here: the rows are gone in the write that raised the floor, so the floor is looked for only where
    /// rows are missing.
    pub(crate) fn scan_history(
        &self,
        channel: ChannelId,
        (from, until): (Seq, Seq),
        direction: Direction,
        visit: &mut dyn FnMut(Family, Seq, Value<'_>) -> Found<bool>,
    ) -> Found<()> {
        let from = from.max(Seq(1));
        match direction {
            Direction::Rising => self.scan_rising(channel, (from, until), visit),
            Direction::Falling => self.scan_falling(channel, (from, until), visit),
        }
    }

    fn scan_rising(
        &self,
        channel: ChannelId,
        (from, until): (Seq, Seq),
        visit: &mut dyn FnMut(Family, Seq, Value<'_>) -> Found<bool>,
    ) -> Found<()> {
        let mut at = from;
        while at < until {
            // Memory is locked while rows are visited, so the floor is read when the visit is over.
            let (begin, mut more, mut has_gap) = (at, true, false);
            self.scan_rows(channel, (at, until), Direction::Rising, &mut |family, seq, value| {
                has_gap = seq != at;
                if has_gap {
                    return Ok(false);
                }
                at = seq.next();
                more = visit(family, seq, value)?;
                Ok(more)
            })?;
            // Behind the newest message nothing was purged.
            if !more || (!has_gap && at > begin) {
                return Ok(());
            }
            let floor = self.floor(channel)?;
            if !floor.hides(at) {
                // A hole that no purge has made is shown as it is.
                return if has_gap {
                    self.scan_rows(channel, (at, until), Direction::Rising, visit)
                } else {
                    Ok(())
                };
            }
            while at < floor.below.min(until) {
                if !self.visit_purged(channel, &floor, at, visit)? {
                    return Ok(());
                }
                at = at.next();
            }
        }
        Ok(())
    }

    fn scan_falling(
        &self,
        channel: ChannelId,
        (from, until): (Seq, Seq),
        visit: &mut dyn FnMut(Family, Seq, Value<'_>) -> Found<bool>,
    ) -> Found<()> {
        let (mut more, mut lowest) = (true, until);
        self.scan_rows(channel, (from, until), Direction::Falling, &mut |family, seq, value| {
            lowest = seq;
            more = visit(family, seq, value)?;
            Ok(more)
        })?;
        if !more || lowest <= from {
            return Ok(());
        }
        let floor = self.floor(channel)?;
        let mut at = floor.below.min(lowest);
        while at > from && more {
            at = Seq(at.0 - 1);
            more = self.visit_purged(channel, &floor, at, visit)?;
        }
        Ok(())
    }

    fn visit_purged(
        &self,
        channel: ChannelId,
        floor: &FloorRow,
        seq: Seq,
        visit: &mut dyn FnMut(Family, Seq, Value<'_>) -> Found<bool>,
    ) -> Found<bool> {
        self.pay()?;
        let tombstone = floor.tombstone(channel, seq).into_bytes();
        visit(Family::About, seq, Value::Shared(&tombstone))
    }

    /// The rows of a channel's history with `from <= seq < until`.
    fn scan_rows(
        &self,
        channel: ChannelId,
        (from, until): (Seq, Seq),
        direction: Direction,
        visit: &mut dyn FnMut(Family, Seq, Value<'_>) -> Found<bool>,
    ) -> Found<()> {
        // As of now, not of the query's begin: a pointer that was read on the way may name a message that was written since.
        let owned = self.owners.now();
        let mut rising = owned.stretches(channel, from, until);
        let mut next = || match direction {
            Direction::Rising => rising.next(),
            Direction::Falling => rising.next_back(),
        };
        let mut more = true;
        while let Some(Stretch { family, from, until }) = next().filter(|_| more) {
            let bounds = (key::message(channel, from), key::message(channel, until));
            self.scan(family, (&bounds.0, &bounds.1), direction, &mut |key, value| {
                let (_, _, seq) = key::read_channel_row(key).ok_or_else(|| damaged(family, key))?;
                more = visit(family, Seq(seq), value)?;
                Ok(more)
            })?;
        }
        Ok(())
    }

    /// The rows that begin with `prefix`, from `from` on.
    pub(crate) fn scan_from(
        &self,
        family: Family,
        (from, prefix): (&Key, &Key),
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Found<()> {
        self.scan(family, (from, &prefix.after_all()), direction, visit)
    }

    /// The rows with `lower <= key < upper`, each of them paid for.
    pub(crate) fn scan(
        &self,
        family: Family,
        bounds: (&[u8], &[u8]),
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Found<()> {
        // The search costs as much as a row, also where it finds none.
        self.pay()?;
        self.rows.scan(family, bounds, direction, self.tier, &mut |key, value| {
            self.pay()?;
            visit(key, value)
        })
    }

    /// One row more was looked at.
    fn pay(&self) -> Found<()> {
        let Some(left) = self.left else { return Ok(()) };
        left.set(left.get().checked_sub(1).ok_or(Unread::Miss)?);
        Ok(())
    }

    fn get(&self, family: Family, key: &Key) -> Found<Option<Bytes>> {
        self.pay()?;
        self.rows.get(family, key, self.tier)
    }

    pub(crate) fn get_decoded<T>(
        &self,
        family: Family,
        key: &Key,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Found<Option<T>> {
        let Some(value) = self.get(family, key)? else { return Ok(None) };
        Ok(Some(decode(&value).ok_or_else(|| damaged(family, key))?))
    }

    pub(crate) fn account(&self, user: UserId) -> Found<Option<AccountRow>> {
        self.get_decoded(Family::Account, &key::user(user), AccountRow::decode)
    }

    /// What is stored of a user's presence.
    pub(crate) fn presence(&self, user: UserId) -> Found<PresenceRow> {
        let found = self.get_decoded(Family::Notes, &key::presence(user), PresenceRow::decode)?;
        Ok(found.unwrap_or_default())
    }

    /// Whether a user's own list says that a channel is a large one.
    pub(crate) fn follows(&self, user: UserId, channel: ChannelId) -> Found<bool> {
        Ok(self.get(Family::Notes, &key::followed(user, channel))?.is_some())
    }

    /// What a user has said of another.
    pub(crate) fn relation(&self, user: UserId, other: UserId) -> Found<Relation> {
        let key = key::relation(user, other);
        Ok(self.get_decoded(Family::Account, &key, Relation::decode)?.unwrap_or_default())
    }

    /// The devices of a user. A 17th, which `check` reports, is left out.
    pub(crate) fn devices(&self, user: UserId) -> Found<Vec<(DeviceId, DeviceRow)>> {
        let (family, prefix) = (Family::Device, key::user(user));
        let mut devices = Vec::new();
        self.scan_from(family, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let row = key::read_user_row(key).zip(DeviceRow::decode(value.bytes()));
            let ((_, _, device), row) = row.ok_or_else(|| damaged(family, key))?;
            devices.push((DeviceId(device), row));
            Ok(devices.len() < DEVICES_MAX)
        })?;
        Ok(devices)
    }

    /// The newest pointer's position; 0 for none.
    pub(crate) fn inbox_head(&self, user: UserId) -> Found<InboxSeq> {
        let prefix = key::user(user);
        let mut head = InboxSeq(0);
        self.scan_from(Family::Inbox, (&prefix, &prefix), Direction::Falling, &mut |key, value| {
            let (first, entries) = read_run(user, key, value.bytes())?;
            // A run holds one entry or more.
            head = InboxSeq(first.0.saturating_add(entries.len() as u64 - 1));
            Ok(false)
        })?;
        Ok(head)
    }

    pub(crate) fn channel(&self, channel: ChannelId) -> Found<Option<ChannelRow>> {
        self.get_decoded(Family::Channel, &key::channel(channel), ChannelRow::decode)
    }

    /// The newest message's seq; 0 for none.
    pub(crate) fn head(&self, channel: ChannelId) -> Found<Seq> {
        let mut head = Seq(0);
        self.scan_history(channel, (Seq(0), ENDLESS), Direction::Falling, &mut |_, seq, _| {
            head = seq;
            Ok(false)
        })?;
        Ok(head)
    }

    /// What of a channel was purged.
    pub(crate) fn floor(&self, channel: ChannelId) -> Found<FloorRow> {
        let found = self.get_decoded(Family::Kept, &key::floor(channel), FloorRow::decode)?;
        Ok(found.unwrap_or_default())
    }

    /// How long a channel keeps its messages, where that is said of it alone.
    pub(crate) fn erased(&self, channel: ChannelId, user: UserId) -> Found<Option<ErasedRow>> {
        self.get_decoded(Family::About, &key::erased(channel, user), ErasedRow::decode)
    }

    pub(crate) fn retention(&self, channel: ChannelId) -> Found<Option<RetentionRow>> {
        self.get_decoded(Family::Kept, &key::retention(channel), RetentionRow::decode)
    }

    pub(crate) fn message(&self, channel: ChannelId, seq: Seq) -> Found<Option<Frame>> {
        let owned = self.owners.now();
        let (family, key) = (owned.family(channel, seq), key::message(channel, seq));
        let found = if seq < owned.floor(channel) { None } else { self.get(family, &key)? };
        let Some(value) = found else {
            let floor = self.floor(channel)?;
            return Ok(floor.hides(seq).then(|| floor.tombstone(channel, seq)));
        };
        let (frame, _) = stamped(family, channel, seq, value)?;
        Ok(Some(frame))
    }
}

/// A row of a user's inbox: the position of its first entry, and its one or more entries.
pub(crate) fn read_run(user: UserId, key: &[u8], value: &[u8]) -> Found<(InboxSeq, Vec<(ChannelId, Seq)>)> {
    let place = key::read_user_row(key).filter(|(_, owner, _)| *owner == user);
    let run = place.map(|(_, _, first)| InboxSeq(first)).zip(value::run::read(user, value));
    run.ok_or_else(|| damaged(Family::Inbox, key))
}

/// A history value as the frame it is, with its stamp; the stamp must name the key.
pub(crate) fn stamped(family: Family, channel: ChannelId, seq: Seq, value: Bytes) -> Found<(Frame, Stamp)> {
    let broken = |what: String| {
        let what = format!("message {channel:?} {seq}: {what}");
        StoreError::corrupt_row(family, &key::message(channel, seq), what)
    };
    let frame = Frame::new(value).map_err(|fault| broken(format!("not a frame: {fault:?}")))?;
    let stamp = frame.read_stamp().ok_or_else(|| broken("no stamp".into()))?;
    if stamp.seq != seq {
        return Err(broken(format!("its stamp says seq {}", stamp.seq)).into());
    }
    Ok((frame, stamp))
}
