//! What is said about messages: the rows of a channel are what its history adds up to.

use std::collections::{BTreeMap, BTreeSet};

use protocol::body::about::Recalled;
use protocol::body::erase::{Erasure, written};
use protocol::body::message::Change;
use protocol::commit::{
    About, Act, ERASED_TAG, ErasedRow, Facts, MESSAGE_TAG, PINS_TAG, Pinned, REACTOR_TAG, Said, decode_pins,
    decode_reactor,
};
use protocol::{BayId, ChannelId, Frame, Kind, Seq, Stamp, UserId};

use super::{Check, name};
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};

/// What a channel's history adds up to so far.
#[derive(Debug, Default)]
pub(super) struct Abouts {
    said: BTreeMap<Seq, Said>,
    own: BTreeMap<(Seq, UserId), Vec<String>>,
    pins: Vec<Pinned>,
    /// Texts in whose place a tombstone stands, by the message that put it there.
    gone: BTreeMap<Seq, Vec<Seq>>,
    /// Those of them that are gone with the erasure of their sender. What was said about one between the ERASE and its end went with
    /// it.
    ended: BTreeSet<Seq>,
    /// Somebody is erased.
    is_erased: bool,
}

impl Abouts {
    /// A message says this about another.
    pub(super) fn take(&mut self, stamp: Stamp, target: Seq, act: &Act) {
        if self.ended.contains(&target) {
            return;
        }
        let whose = (target, stamp.sender);
        let mut facts = Facts {
            said: self.said.remove(&target).unwrap_or_default(),
            own: self.own.remove(&whose).unwrap_or_default(),
            pins: core::mem::take(&mut self.pins),
        };
        facts.take((target, act), stamp.seq, stamp.sender);
        let Facts { said, own, pins } = facts;
        if said != Said::default() {
            self.said.insert(target, said);
        }
        if !own.is_empty() {
            self.own.insert(whose, own);
        }
        self.pins = pins;
        if *act == Act::Recalls {
            self.forget_reactors(target);
        }
    }

    fn forget_reactors(&mut self, target: Seq) {
        let others = (target, UserId(0))..(target.next(), UserId(0));
        let gone: Vec<_> = self.own.range(others).map(|(whose, _)| *whose).collect();
        for whose in gone {
            self.own.remove(&whose);
        }
    }

    /// A tombstone stands in the place of a text.
    pub(super) fn tombstone(&mut self, frame: &Frame, seq: Seq) {
        if let Some(says) = Recalled::read(frame).filter(|says| says.target == seq.0) {
            self.gone.entry(Seq(says.by)).or_default().push(seq);
        }
    }

    /// The sender of a message is erased: of its texts so many as the erasure has come by, and of its reactions those whose rows
    /// are gone. They hold no more from here on, however late that was.
    pub(super) fn erase(&mut self, check: &Check<'_>, channel: ChannelId, by: Stamp) -> Found<()> {
        self.is_erased = true;
        for target in self.gone.remove(&by.seq).unwrap_or_default() {
            self.ended.insert(target);
            self.said.remove(&target);
            self.pins.retain(|pin| pin.seq != target);
            self.forget_reactors(target);
        }
        let whose: Vec<Seq> =
            self.own.keys().filter(|(_, user)| *user == by.sender).map(|(target, _)| *target).collect();
        for target in whose {
            let key = key::reactor(channel, target, by.sender);
            if check.view.rows.get(Family::About, &key, check.view.tier)?.is_some() {
                continue;
            }
            for emoji in self.own.get(&(target, by.sender)).cloned().unwrap_or_default() {
                self.take(by, target, &Act::Reacts { emoji, on: false });
            }
        }
        Ok(())
    }
}

/// What a message says is about a text before it, an edit about one of its own; of a recalled text nothing is said behind the
/// RECALL, and what it and its edits said is gone.
pub(super) fn message(
    check: &mut Check<'_>,
    channel: ChannelId,
    stamp: Stamp,
    (change, abouts): (&Change, &Abouts),
) -> Found<()> {
    let Change::About { target, act } = change else { return Ok(()) };
    if abouts.ended.contains(target) {
        return Ok(());
    }
    let of = check.view.message(channel, *target)?;
    let is_text = of.as_ref().is_some_and(|of| of.kind() == Kind::SEND_TEXT);
    let recalled = of.as_ref().and_then(Recalled::read).filter(|recalled| recalled.target == target.0);
    let sender = of.and_then(|of| of.read_stamp()).map(|of| of.sender);
    let may_be = match act {
        Act::Edits => is_text && sender == Some(stamp.sender),
        Act::Reacts { .. } | Act::Pins(_) => is_text || recalled.is_some_and(|by| stamp.seq.0 < by.by),
        Act::Recalls => recalled.is_some_and(|by| by.by <= stamp.seq.0),
    };
    if *target >= stamp.seq || !may_be {
        let what =
            format!("message {} {}: {act:?} of {target}, which it may not be", name(channel), stamp.seq);
        check.broken(BayId::of_channel(channel), what);
    }
    Ok(())
}

/// What stands in the place of a recalled message names the RECALL that put it there, or the ERASE of its sender.
pub(super) fn tombstone(
    check: &mut Check<'_>,
    channel: ChannelId,
    (frame, stamp): (&Frame, Stamp),
) -> Found<()> {
    let says = Recalled::read(frame).filter(|says| says.channel == channel.0 && says.target <= stamp.seq.0);
    let by = match &says {
        Some(says) => check.view.message(channel, Seq(says.by))?,
        None => None,
    };
    let erased = by.as_ref().and_then(Erasure::of).filter(|erasure| erasure.user == stamp.sender);
    let by = match (erased, &says) {
        (Some(erasure), Some(says)) => Some(erasure.says(Seq(says.target))),
        _ => by.as_ref().and_then(Recalled::of),
    };
    if by.is_none() || by != says || says.is_none_or(|says| says.by <= stamp.seq.0) {
        let what = format!("message {} {}: recalled by no message that says so", name(channel), stamp.seq);
        check.broken(BayId::of_channel(channel), what);
    }
    Ok(())
}

/// Users who are erased from a channel, each with how far that has come.
#[derive(Debug, Default)]
pub(super) struct Erased(BTreeMap<UserId, ErasedRow>);

impl Erased {
    /// An ERASE that a row names is there, and its user's.
    pub(super) fn of(check: &mut Check<'_>, channel: ChannelId) -> Found<Self> {
        let prefix = key::about(channel, ERASED_TAG);
        let mut found = BTreeMap::new();
        check.view.scan_from(Family::About, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let user = key.last_chunk().map(|user| UserId(u64::from_be_bytes(*user)));
            // What cannot be read is reported with the rows.
            found.extend(user.zip(ErasedRow::decode(value.bytes())));
            Ok(true)
        })?;
        let floor = check.view.floor(channel)?;
        for (user, row) in found.iter().filter(|(_, row)| row.by > Seq(0) && !floor.hides(row.by)) {
            let by = check.view.message(channel, row.by)?.as_ref().and_then(Erasure::of);
            if by != Some(row.erasure(channel, *user)) {
                let what =
                    format!("{}: user {user} is erased by {}, which does not say so", name(channel), row.by);
                check.broken(BayId::of_channel(channel), what);
            }
        }
        Ok(Self(found))
    }

    /// Nothing that a user wrote is left where its erasure has come by.
    pub(super) fn message(&self, check: &mut Check<'_>, channel: ChannelId, (frame, stamp): (&Frame, Stamp)) {
        if self.0.get(&stamp.sender).is_some_and(|row| stamp.seq < row.next) && written(frame).is_some() {
            let what = format!("message {} {}: its sender is erased", name(channel), stamp.seq);
            check.broken(BayId::of_channel(channel), what);
        }
    }
}

/// The rows of one channel are what its history adds up to. Where a user was erased, what was reacted in the same way before and
/// after stands in an order of its own.
pub(super) fn rows(check: &mut Check<'_>, channel: ChannelId, says: &Abouts) -> Found<()> {
    let mut found = BTreeMap::new();
    for tag in [MESSAGE_TAG, REACTOR_TAG, PINS_TAG] {
        let prefix = key::about(channel, tag);
        check.view.scan_from(Family::About, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            found.insert(key.to_vec(), value.bytes().to_vec());
            Ok(true)
        })?;
    }
    still_pinned(check, channel, &mut found)?;
    let in_order = |mut said: Said| {
        if says.is_erased {
            said.reactions.sort_unstable();
        }
        said
    };
    for (key, value) in &mut found {
        if let Some(said) = Said::decode(value).filter(|_| key.starts_with(&key::about(channel, MESSAGE_TAG)))
        {
            *value = in_order(said).encode();
        }
    }
    let said = says.said.iter().map(|(seq, said)| {
        let about = About::Message { seq: *seq, said: in_order(said.clone()) };
        (key::said(channel, *seq), about)
    });
    let own = says.own.iter().map(|((seq, user), emoji)| {
        let about = About::Reactor { seq: *seq, user: *user, emoji: emoji.clone() };
        (key::reactor(channel, *seq, *user), about)
    });
    let pins = [(key::pins(channel), About::Pins(says.pins.clone()))];
    let all = said.chain(own).chain(pins);
    let due: BTreeMap<Vec<u8>, Vec<u8>> =
        all.filter_map(|(key, about)| Some((key.to_vec(), about.value()?))).collect();
    let wrong = due.iter().find(|(key, value)| found.get(*key) != Some(value));
    let extra = found.keys().find(|key| !due.contains_key(*key));
    if let Some(key) = wrong.map(|(key, _)| key).or(extra) {
        let what =
            format!("{}: the row {key:02x?} is not what its history says about messages", name(channel));
        check.broken(BayId::of_channel(channel), what);
    }
    Ok(())
}

/// A purge leaves the row of the pins as it is: of what it names only what is still there counts.
fn still_pinned(check: &Check<'_>, channel: ChannelId, found: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Found<()> {
    let key = key::pins(channel).to_vec();
    let Some(pins) = found.get(&key).and_then(|value| decode_pins(value)) else { return Ok(()) };
    let floor = check.view.floor(channel)?;
    let left: Vec<Pinned> = pins.into_iter().filter(|pin| !floor.hides(pin.seq)).collect();
    match About::Pins(left).value() {
        Some(value) => drop(found.insert(key, value)),
        None => drop(found.remove(&key)),
    }
    Ok(())
}

/// Whether the row is one of its tag; what it says is compared with its channel's history. `None` for another tag.
pub(super) fn is_row(tag: u8, rest: &[u8], value: &[u8]) -> Option<bool> {
    Some(match tag {
        MESSAGE_TAG => rest.len() == 8 && Said::decode(value).is_some(),
        REACTOR_TAG => rest.len() == 16 && decode_reactor(value).is_some(),
        PINS_TAG => rest.is_empty() && decode_pins(value).is_some(),
        ERASED_TAG => rest.len() == 8 && ErasedRow::decode(value).is_some(),
        _ => return None,
    })
}
