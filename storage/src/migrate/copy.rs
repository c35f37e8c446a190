//! Every family but logs and marks: most rows stand as they did; pointers become runs, the row of all intervals a row a
//! stay, and read positions move to their channels.

use bytes::Bytes;
use protocol::body::message::Change;
use protocol::commit::{IntervalRow, PositionRow};
use protocol::{ChannelId, Frame, InboxSeq, Seq, UserId};

use super::filler::Filler;
use super::format1::{self, Old, damaged, each};
use crate::error::StoreError;
use crate::family::Family;
use crate::key::{self, MemberPart};
use crate::rocks::RocksRows;
use crate::rows::{Direction, Reads, Tier};
use crate::store::fault;
use crate::value;
use crate::value::run::RUN_ENTRIES_MAX;

/// Copies all stores.
pub(super) fn families(old: &Old, new: &mut Filler<'_>) -> Result<(), StoreError> {
    for (number, store) in old.all() {
        for family in [Family::Channel, Family::Device, Family::Account] {
            each(store, family, &mut |key, value| new.put(family, key, value))?;
        }
        for family in (0..old.histories).map(Family::History) {
            each(store, family, &mut |key, value| {
                let (_, channel, _) =
                    key::read_channel_row(key).ok_or_else(|| damaged(number, family, key))?;
                new.migrated.messages += 1;
                new.put(Family::of_history(channel, new.layout.histories), key, value)
            })?;
        }
        members(old, (number, store), new)?;
        inboxes((number, store), new)?;
    }
    // Behind the members of all stores: a position that moves there replaces the one that was copied.
    for (number, store) in old.all() {
        lists(old, (number, store), new)?;
    }
    Ok(())
}

/// Stays of the row of all intervals that have no row of their own yet.
struct OldStays {
    channel: ChannelId,
    user: UserId,
    rows: Vec<(Seq, IntervalRow)>,
}

fn members(old: &Old, (number, store): (u16, &RocksRows), new: &mut Filler<'_>) -> Result<(), StoreError> {
    let mut names = Names::default();
    let mut waiting: Option<OldStays> = None;
    each(store, Family::Member, &mut |key, value| {
        let broken = || damaged(number, Family::Member, key);
        if let Some((channel, user)) = format1::read_all_intervals_key(key) {
            finish(waiting.take(), new)?;
            let (role, intervals) = format1::read_all_intervals(value).ok_or_else(broken)?;
            let mut rows = Vec::new();
            for (interval, number) in intervals.iter().zip(1..) {
                let name = match interval.left {
                    Some(left) => names.at(old, channel, left)?,
                    None => String::new(),
                };
                rows.push((interval.joined, IntervalRow { number, role, left: interval.left, name }));
            }
            waiting = Some(OldStays { channel, user, rows });
            return Ok(());
        }
        let (_, channel, user, part) = key::read_member(key).ok_or_else(broken)?;
        if let Some(done) = waiting.take_if(|stays| (stays.channel, stays.user) != (channel, user)) {
            finish(Some(done), new)?;
        }
        // A row of its own counts instead of what the row of all intervals says of the same stay.
        if let (Some(stays), MemberPart::Interval(joined)) = (&mut waiting, part) {
            stays.rows.retain(|(old, _)| *old != joined);
        }
        new.put(Family::Member, key, value)
    })?;
    finish(waiting, new)
}

fn finish(stays: Option<OldStays>, new: &mut Filler<'_>) -> Result<(), StoreError> {
    let Some(OldStays { channel, user, rows }) = stays else { return Ok(()) };
    for (joined, row) in rows {
        new.migrated.intervals += 1;
        new.put(Family::Member, &key::interval(channel, user, joined), &row.encode())?;
    }
    Ok(())
}

/// The names of one group and since which seq; rows of old did not keep the name with which a stay ended.
#[derive(Default)]
struct Names {
    channel: ChannelId,
    since: Vec<(Seq, String)>,
}

impl Names {
    fn at(&mut self, old: &Old, channel: ChannelId, seq: Seq) -> Result<String, StoreError> {
        if self.channel != channel {
            *self = Self { channel, since: Vec::new() };
            let prefix = key::channel(channel);
            let bounds: (&[u8], &[u8]) = (&prefix, &prefix.after_all());
            let store = old.of_channel(channel)?;
            fault(store.scan(
                old.history(channel),
                bounds,
                Direction::Rising,
                Tier::Once,
                &mut |_, value| {
                    self.since.extend(name_of(value.to_bytes()));
                    Ok(true)
                },
            ))?;
        }
        let then = self.since.iter().rev().find(|(since, _)| *since <= seq);
        Ok(then.map(|(_, name)| name.clone()).unwrap_or_default())
    }
}

/// The name that a message gives its group.
fn name_of(message: Bytes) -> Option<(Seq, String)> {
    let frame = Frame::new(message).ok()?;
    let change = Change::read(&frame)?;
    Some((frame.read_stamp()?.seq, change.name()?.to_owned()))
}

/// A run that grows.
#[derive(Default)]
struct Growing {
    user: UserId,
    first: u64,
    entries: Vec<(ChannelId, Seq)>,
}

impl Growing {
    fn is_followed_by(&self, user: UserId, at: u64) -> bool {
        let next = self.first.checked_add(self.entries.len() as u64);
        self.user == user && next == Some(at) && self.entries.len() < RUN_ENTRIES_MAX
    }

    fn finish(&mut self, new: &mut Filler<'_>, scratch: &mut Vec<u8>) -> Result<(), StoreError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        value::run::write(self.user, &self.entries, scratch);
        self.entries.clear();
        new.migrated.runs += 1;
        new.put(Family::Inbox, &key::run(self.user, InboxSeq(self.first)), scratch)
    }
}

/// A hole stays a hole: it ends a run.
fn inboxes((number, store): (u16, &RocksRows), new: &mut Filler<'_>) -> Result<(), StoreError> {
    let (mut run, mut scratch) = (Growing::default(), Vec::new());
    each(store, Family::Inbox, &mut |key, value| {
        let row = key::read_user_row(key).zip(value::read_pointer(value));
        let ((_, user, at), entry) = row.ok_or_else(|| damaged(number, Family::Inbox, key))?;
        if !run.is_followed_by(user, at) {
            run.finish(new, &mut scratch)?;
            (run.user, run.first) = (user, at);
        }
        run.entries.push(entry);
        new.migrated.pointers += 1;
        Ok(())
    })?;
    run.finish(new, &mut scratch)
}

fn lists(old: &Old, (number, store): (u16, &RocksRows), new: &mut Filler<'_>) -> Result<(), StoreError> {
    each(store, Family::Joined, &mut |key, value| {
        let Some((user, channel)) = format1::read_position_key(key) else {
            return new.put(Family::Joined, key, value);
        };
        let read = value::read_number(value).ok_or_else(|| damaged(number, Family::Joined, key))?;
        position(old, (user, channel), Seq(read), new)
    })
}

/// A read position counts at its channel, like everybody's, unless the channel knows a later one, and never beyond the
/// newest message. Of who never was a member nothing is known there.
fn position(
    old: &Old,
    (user, channel): (UserId, ChannelId),
    read: Seq,
    new: &mut Filler<'_>,
) -> Result<(), StoreError> {
    let (home, place) = (old.of_channel(channel)?, key::position(channel, user));
    let known = fault(home.get(Family::Member, &place, Tier::Any))?;
    let known = known.as_deref().and_then(PositionRow::decode).unwrap_or_default();
    let read = read.min(old.head(channel)?);
    let is_known = match channel.users() {
        Some((a, b)) => user == a || user == b,
        None => was_member(home, channel, user)?,
    };
    if !is_known || read <= known.read {
        return Ok(());
    }
    new.migrated.positions += 1;
    new.put(Family::Member, &place, &PositionRow { read, ..known }.encode())
}

fn was_member(home: &RocksRows, channel: ChannelId, user: UserId) -> Result<bool, StoreError> {
    let (prefix, place) = (key::member(channel, user), key::position(channel, user));
    let bounds: (&[u8], &[u8]) = (&prefix, &prefix.after_all());
    let mut found = false;
    fault(home.scan(Family::Member, bounds, Direction::Rising, Tier::Once, &mut |key, _| {
        found |= key != &place[..];
        Ok(!found)
    }))?;
    Ok(found)
}
