//! What a channel and a user are made of, in the order in which it is told to who takes it along: one row at a time, from one
//! moment of the store.
//!
//! A channel is told as the rows of its own home, so that an import commits what it reads. What follows from them at other homes
//! (own lists, inboxes, mentions, the fan-out log) is not told: the core makes it anew. A user is told as a view: what is the
//! user's own, and of each channel what the user may read.

mod user;

#[cfg(test)]
mod verdicts;

use protocol::commit::{
    About, ERASED_TAG, ErasedRow, Interval, IntervalRow, PINS_TAG, PositionRow, Row, Rule, SENT_TAG,
    SLOW_TAG, Said, decode_pins, decode_reactor, decode_sent, decode_slow,
};
use protocol::{ChannelId, Frame, Seq, UserId};

use crate::error::StoreError;
use crate::family::Family;
use crate::key::{self, MemberPart};
use crate::owned::ENDLESS;
use crate::rows::{Direction, Found};
use crate::store::{Snapshot, fault};
use crate::value;
use crate::view::{View, damaged, stamped};

/// Messages that are held at a time, and bytes of them after which no more are taken.
const PAGE_MESSAGES: usize = 256;
const PAGE_BYTES: usize = 1024 * 1024;

/// One thing that is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// The first of what is told of this user here; of the user itself the store knows no name.
    User(UserId),
    /// A row.
    Row(Row),
}

/// Takes what is told; says whether to go on.
pub type Tell<'a> = dyn FnMut(Piece) -> bool + 'a;

impl Snapshot<'_> {
    /// All of a channel, and whether it was told to the end: the row of a group, what the channel keeps, slow mode, pins; who is erased from it; everybody
    /// who ever was in it, rising, each with position and stays; sanctions; the messages that were not purged, rising, each with
    /// what is said of it and who reacts; threads. Of a channel without messages there is nothing.
    ///
    /// # Errors
    /// The rows cannot be read, or a message is missing.
    pub fn tell_channel(&self, channel: ChannelId, tell: &mut Tell<'_>) -> Result<bool, StoreError> {
        let mut walk = Walk { view: self.view(), channel, tell };
        fault(walk.all())
    }
}

/// One channel while it is told.
struct Walk<'a> {
    view: View<'a>,
    channel: ChannelId,
    tell: &'a mut Tell<'a>,
}

impl Walk<'_> {
    fn all(&mut self) -> Found<bool> {
        if self.view.head(self.channel)? == Seq(0) {
            return Ok(true);
        }
        let is_group = self.channel.users().is_none();
        Ok(self.what_holds()?
            && self.erasures()?
            && self.users()?
            && (!is_group || self.sanctions()?)
            && self.messages()?
            && self.threads()?)
    }

    fn row(&mut self, row: Row) -> bool {
        (self.tell)(Piece::Row(row))
    }

    fn what_holds(&mut self) -> Found<bool> {
        let channel = self.channel;
        let mut rows = Vec::new();
        if channel.users().is_none() {
            rows.extend(self.view.channel(channel)?.map(|row| Row::Channel { channel, row }));
        }
        let retention = self.view.retention(channel)?;
        rows.extend(retention.map(|row| Row::Retention { channel, row: Some(row) }));
        let row = self.view.floor(channel)?;
        rows.extend((row.below > Seq(0)).then_some(Row::Floor { channel, from: Seq(1), row }));
        let slow = self.view.get_decoded(Family::About, &key::about(channel, SLOW_TAG), decode_slow)?;
        rows.extend(slow.map(|slow| Row::Rule { channel, rule: Rule::Slow(slow) }));
        let pins = self.view.get_decoded(Family::About, &key::about(channel, PINS_TAG), decode_pins)?;
        rows.extend(pins.map(|pins| Row::About { channel, about: About::Pins(pins) }));
        Ok(rows.into_iter().all(|row| self.row(row)))
    }

    /// How far the erasures of users have come.
    fn erasures(&mut self) -> Found<bool> {
        let (channel, tell, mut more) = (self.channel, &mut *self.tell, true);
        let prefix = key::about(channel, ERASED_TAG);
        self.view.scan_from(Family::About, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let user = key.get(prefix.len()..).and_then(value::read_number).map(UserId);
            let erased = user.zip(ErasedRow::decode(value.bytes()));
            let (user, row) = erased.ok_or_else(|| damaged(Family::About, key))?;
            more = tell(Piece::Row(Row::Erased { channel, user, row }));
            Ok(more)
        })?;
        Ok(more)
    }

    /// Everybody who ever was in it. A direct channel has no stays: its users are in it for ever.
    fn users(&mut self) -> Found<bool> {
        let (view, channel, tell) = (self.view, self.channel, &mut *self.tell);
        if let Some((a, b)) = channel.users() {
            let both = [a, b];
            for user in both.into_iter().take(if a == b { 1 } else { 2 }) {
                let key = key::position(channel, user);
                let row = view.get_decoded(Family::Member, &key, PositionRow::decode)?;
                let row = row.map(|row| Piece::Row(Row::Position { channel, user, row }));
                if !tell(Piece::User(user)) || row.is_some_and(|row| !tell(row)) {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let (prefix, mut last, mut more) = (key::channel(channel), None, true);
        view.scan_from(Family::Member, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let row = member_row(channel, key, value.bytes());
            let (user, row) = row.ok_or_else(|| damaged(Family::Member, key))?;
            more = last.replace(user) == Some(user) || tell(Piece::User(user));
            more = more && tell(Piece::Row(row));
            Ok(more)
        })?;
        Ok(more)
    }

    /// What is laid on users, and when members sent. Who was banned may never have been in it.
    fn sanctions(&mut self) -> Found<bool> {
        let channel = self.channel;
        for (user, sanction) in self.view.rules(channel, false)?.sanctions {
            let is_stranger = self.view.membership(channel, user)?.stays.is_empty();
            let more = !is_stranger || (self.tell)(Piece::User(user));
            if !more || !self.row(Row::Rule { channel, rule: Rule::Sanction { user, sanction } }) {
                return Ok(false);
            }
        }
        let (prefix, mut more) = (key::about(channel, SENT_TAG), true);
        let tell = &mut *self.tell;
        self.view.scan_from(Family::About, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let user = key.get(prefix.len()..).and_then(value::read_number).map(UserId);
            let sent = user.zip(decode_sent(value.bytes()));
            let (user, at_ms) = sent.ok_or_else(|| damaged(Family::About, key))?;
            more = tell(Piece::Row(Row::Rule { channel, rule: Rule::Sent { user, at_ms } }));
            Ok(more)
        })?;
        Ok(more)
    }

    fn messages(&mut self) -> Found<bool> {
        let from = self.view.floor(self.channel)?.below.max(Seq(1));
        let interval = Interval { joined: from, left: None };
        messages(&self.view, self.channel, interval, &mut |view, (seq, frame), said| {
            let channel = self.channel;
            if !(self.tell)(Piece::Row(Row::Message { channel, seq, frame })) {
                return Ok(false);
            }
            let Some(said) = said else { return Ok(true) };
            let has_reactors = !said.reactions.is_empty();
            let about = About::Message { seq, said };
            Ok((self.tell)(Piece::Row(Row::About { channel, about }))
                && (!has_reactors || reactors(view, channel, seq, self.tell)?))
        })
    }

    fn threads(&mut self) -> Found<bool> {
        let (channel, tell, mut more) = (self.channel, &mut *self.tell, true);
        let prefix = key::about(channel, key::IN_THREAD_TAG);
        self.view.scan_from(Family::About, (&prefix, &prefix), Direction::Rising, &mut |key, _| {
            let rest = key.get(prefix.len()..).and_then(|rest| rest.split_at_checked(8));
            let place = rest.and_then(|(root, seq)| value::read_number(root).zip(value::read_number(seq)));
            let (root, seq) = place.ok_or_else(|| damaged(Family::About, key))?;
            more = tell(Piece::Row(Row::Thread { channel, root: Seq(root), seq: Seq(seq) }));
            Ok(more)
        })?;
        Ok(more)
    }
}

fn member_row(channel: ChannelId, key: &[u8], value: &[u8]) -> Option<(UserId, Row)> {
    let (_, _, user, part) = key::read_member(key)?;
    let row = match part {
        MemberPart::Position => Row::Position { channel, user, row: PositionRow::decode(value)? },
        MemberPart::Interval(joined) => {
            Row::Interval { channel, user, joined, row: IntervalRow::decode(value)? }
        }
    };
    Some((user, row))
}

/// Takes a message with what is said of it, if that is anything.
type Take<'a> = dyn FnMut(&View<'_>, (Seq, Frame), Option<Said>) -> Found<bool> + 'a;

/// The messages of a stay, a page at a time, rising and without a hole; of what was purged nothing is taken. Whether all were.
fn messages(view: &View<'_>, channel: ChannelId, stay: Interval, take: &mut Take<'_>) -> Found<bool> {
    let mut next = stay.joined.max(view.floor(channel)?.below).max(Seq(1));
    let until = stay.left.map_or(ENDLESS, Seq::next);
    while next < until {
        let (mut page, mut bytes) = (Vec::new(), 0);
        view.scan_history(channel, (next, until), Direction::Rising, &mut |family, seq, value| {
            bytes += value.bytes().len();
            page.push((family, seq, value.to_bytes()));
            Ok(page.len() < PAGE_MESSAGES && bytes < PAGE_BYTES)
        })?;
        let Some((_, last, _)) = page.last() else { return Ok(true) };
        let mut said = said(view, channel, (next, *last))?.into_iter().peekable();
        for (family, seq, value) in page {
            if seq != next {
                let what = format!("history of {channel:?} has a hole: {seq} stands where {next} should");
                return Err(StoreError::corrupt_row(family, &key::message(channel, next), what).into());
            }
            let (frame, _) = stamped(family, channel, seq, value)?;
            let said = said.next_if(|(of, _)| *of == seq).map(|(_, said)| said);
            if !take(view, (seq, frame), said)? {
                return Ok(false);
            }
            next = seq.next();
        }
    }
    Ok(true)
}

/// What is said of the messages of a range, rising.
fn said(view: &View<'_>, channel: ChannelId, (from, through): (Seq, Seq)) -> Found<Vec<(Seq, Said)>> {
    let (lower, upper) = (key::said(channel, from), key::said(channel, through).after_all());
    let mut found = Vec::new();
    view.scan(Family::About, (&lower, &upper), Direction::Rising, &mut |key, value| {
        let seq = key::read_about(key).and_then(|(.., rest)| value::read_number(rest)).map(Seq);
        found.push(seq.zip(Said::decode(value.bytes())).ok_or_else(|| damaged(Family::About, key))?);
        Ok(true)
    })?;
    Ok(found)
}

/// Who reacts to a message, rising: of a large channel they may be many, and are told as they are met.
fn reactors(view: &View<'_>, channel: ChannelId, seq: Seq, tell: &mut Tell<'_>) -> Found<bool> {
    let (prefix, mut more) = (key::reactors(channel, seq), true);
    view.scan_from(Family::About, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
        let user = key.get(prefix.len()..).and_then(value::read_number).map(UserId);
        let reacts = user.zip(decode_reactor(value.bytes()));
        let (user, emoji) = reacts.ok_or_else(|| damaged(Family::About, key))?;
        more = tell(Piece::Row(Row::About { channel, about: About::Reactor { seq, user, emoji } }));
        Ok(more)
    })?;
    Ok(more)
}

/// How one user reacts to a message.
fn reactor(view: &View<'_>, channel: ChannelId, seq: Seq, user: UserId) -> Found<Option<Row>> {
    let found = view.get_decoded(Family::About, &key::reactor(channel, seq, user), decode_reactor)?;
    Ok(found.map(|emoji| Row::About { channel, about: About::Reactor { seq, user, emoji } }))
}
