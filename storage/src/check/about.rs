//! What is said about messages: the rows of a channel are what its history adds up to.

use std::collections::BTreeMap;

use protocol::body::about::Recalled;
use protocol::body::message::Change;
use protocol::commit::{
    About, Act, Facts, MESSAGE_TAG, PINS_TAG, Pinned, REACTOR_TAG, Said, decode_pins, decode_reactor,
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
}

impl Abouts {
    /// A message says this about another.
    pub(super) fn take(&mut self, stamp: Stamp, target: Seq, act: &Act) {
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
            let others = (target, UserId(0))..(target.next(), UserId(0));
            let gone: Vec<_> = self.own.range(others).map(|(whose, _)| *whose).collect();
            for whose in gone {
                self.own.remove(&whose);
            }
        }
    }
}

/// What a message says is about a text before it, an edit about one of its own; of a recalled text nothing is said behind the
/// RECALL, and what it and its edits said is gone.
pub(super) fn message(check: &mut Check<'_>, channel: ChannelId, stamp: Stamp, change: &Change) -> Found<()> {
    let Change::About { target, act } = change else { return Ok(()) };
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

/// What stands in the place of a recalled message names the RECALL that put it there.
pub(super) fn tombstone(
    check: &mut Check<'_>,
    channel: ChannelId,
    (frame, stamp): (&Frame, Stamp),
) -> Found<()> {
    let says = Recalled::read(frame).filter(|says| says.channel == channel.0 && says.target <= stamp.seq.0);
    let by = match &says {
        Some(says) => check.view.message(channel, Seq(says.by))?.as_ref().and_then(Recalled::of),
        None => None,
    };
    if by.is_none() || by != says || says.is_none_or(|says| says.by <= stamp.seq.0) {
        let what = format!("message {} {}: recalled by no message that says so", name(channel), stamp.seq);
        check.broken(BayId::of_channel(channel), what);
    }
    Ok(())
}

/// The rows of one channel are what its history adds up to.
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
    let said = says.said.iter().map(|(seq, said)| {
        let about = About::Message { seq: *seq, said: said.clone() };
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
        _ => return None,
    })
}
