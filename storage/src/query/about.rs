//! What is said about messages: of one, before more is said of it, and of a range of them.

use protocol::body::about::Recalled;
use protocol::commit::{Facts, Pinned, Said, decode_pins, decode_reactor};
use protocol::query::{AboutMessage, Answer, PageBounds, Sent};
use protocol::{ChannelId, Frame, Seq, UserId};

use super::Filled;
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::value;
use crate::view::{View, damaged};

/// Bytes of an item, of a reaction and of one user's in a page, besides their texts.
const ITEM_BYTES: usize = 28;
const REACTION_BYTES: usize = 21;
const REACTOR_BYTES: usize = 20;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) channel: ChannelId,
    /// Both inclusive.
    pub(super) range: (Seq, Seq),
    pub(super) user: UserId,
    /// Who reacted, and not how texts read now.
    pub(super) who: bool,
}

/// A message about which `user` is to say something.
pub(super) fn target(
    view: &View<'_>,
    (channel, seq): (ChannelId, Seq),
    user: UserId,
    with_edits: bool,
) -> Found<Answer> {
    let frame = view.message(channel, seq)?;
    let message = frame.as_ref().and_then(|frame| Some((frame.kind(), Sent::of(frame)?)));
    let recalled = frame.as_ref().and_then(Recalled::read).map(Box::new);
    let said = view.get_decoded(Family::About, &key::said(channel, seq), Said::decode)?.unwrap_or_default();
    let (own, pins) = (own(view, channel, seq, user)?, pins(view, channel)?);
    let edits = if with_edits { edits(view, channel, &said)? } else { Vec::new() };
    Ok(Answer::Target { message, recalled, facts: Facts { said, own, pins }, edits })
}

/// The keys of a text's edits.
pub(super) fn edits(view: &View<'_>, channel: ChannelId, said: &Said) -> Found<Vec<Sent>> {
    let mut edits = Vec::with_capacity(said.edits.len());
    for seq in &said.edits {
        let sent = view.message(channel, *seq)?.as_ref().and_then(Sent::of);
        edits.push(sent.ok_or_else(|| damaged(Family::About, &key::said(channel, *seq)))?);
    }
    Ok(edits)
}

/// What is said of the messages of a range.
pub(super) fn page(view: &View<'_>, asked: Asked, bounds: PageBounds) -> Found<Answer> {
    let (from, through) = asked.range;
    let (most, mut found) = (Filled::messages_max(bounds), Vec::new());
    let range = (key::said(asked.channel, from), key::said(asked.channel, through).after_all());
    view.scan(Family::About, (&range.0, &range.1), Direction::Rising, &mut |key, value| {
        let seq = key::read_about(key).and_then(|(.., rest)| value::read_number(rest));
        let said = seq.zip(Said::decode(value.bytes())).ok_or_else(|| damaged(Family::About, key))?;
        found.push(said);
        Ok(found.len() <= most)
    })?;
    let mut more = found.len() > most;
    found.truncate(most);
    let (mut items, mut filled) = (Vec::with_capacity(found.len()), Filled::new(bounds));
    for (seq, said) in found {
        let item = item(view, asked, Seq(seq), said)?;
        if !filled.take(1, bytes_of(&item)) {
            more = true;
            break;
        }
        items.push(item);
    }
    Ok(Answer::About { pins: pins(view, asked.channel)?, items, more })
}

fn item(view: &View<'_>, asked: Asked, seq: Seq, said: Said) -> Found<AboutMessage> {
    let Asked { channel, user, who, .. } = asked;
    let has_reactions = !said.reactions.is_empty();
    let own = if has_reactions { own(view, channel, seq, user)? } else { Vec::new() };
    let edit = said.edits.last().filter(|_| !who);
    let text = match edit {
        Some(edit) => view.message(channel, *edit)?.as_ref().and_then(text_of).unwrap_or_default(),
        None => String::new(),
    };
    let who = if who && has_reactions { reactors(view, channel, seq)? } else { Vec::new() };
    Ok(AboutMessage { seq, said, own, text, who })
}

/// How a text reads from this message on.
fn text_of(frame: &Frame) -> Option<String> {
    protocol::body::read::<protocol::body::about::EditText>(frame).map(|edit| edit.text)
}

fn bytes_of(item: &AboutMessage) -> usize {
    let reactions = item.said.reactions.iter().map(|(emoji, _)| REACTION_BYTES + emoji.len());
    let reactors: usize = item.who.iter().map(|(_, ways)| REACTOR_BYTES * ways.len()).sum();
    ITEM_BYTES + item.text.len() + reactions.sum::<usize>() + reactors
}

pub(super) fn own(view: &View<'_>, channel: ChannelId, seq: Seq, user: UserId) -> Found<Vec<String>> {
    let key = key::reactor(channel, seq, user);
    Ok(view.get_decoded(Family::About, &key, decode_reactor)?.unwrap_or_default())
}

pub(super) fn pins(view: &View<'_>, channel: ChannelId) -> Found<Vec<Pinned>> {
    let mut pins = view.get_decoded(Family::About, &key::pins(channel), decode_pins)?.unwrap_or_default();
    // A purge reads nothing, so it leaves the row as it is: the next PIN writes what is left.
    if !pins.is_empty() {
        let floor = view.floor(channel)?;
        pins.retain(|pin| !floor.hides(pin.seq));
    }
    Ok(pins)
}

/// Everybody who reacts to a message: as many as were ever in its channel, each in 16 ways at most.
fn reactors(view: &View<'_>, channel: ChannelId, seq: Seq) -> Found<Vec<(UserId, Vec<String>)>> {
    let prefix = key::reactors(channel, seq);
    let (mut found, mut left) = (Vec::new(), REACTORS_MAX);
    view.scan_from(Family::About, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
        let user = key.last_chunk().map(|user| UserId(u64::from_be_bytes(*user)));
        let row = user.zip(decode_reactor(value.bytes()));
        let (user, ways) = row.ok_or_else(|| damaged(Family::About, key))?;
        left = left.saturating_sub(ways.len());
        found.push((user, ways));
        Ok(left > 0)
    })?;
    Ok(found)
}

/// Reactions of single users to one message that a page names: those of a full group. Who comes and goes may leave more.
const REACTORS_MAX: usize = protocol::limits::GROUP_MEMBERS_MAX * protocol::limits::REACTIONS_OWN_MAX;

// One message stands in a page whatever is said of it.
const _: () = assert!(
    REACTORS_MAX * REACTOR_BYTES
        + protocol::limits::REACTIONS_MAX * (REACTION_BYTES + protocol::limits::EMOJI_BYTES_MAX)
        + protocol::limits::REACTIONS_OWN_MAX * REACTOR_BYTES
        < protocol::limits::PAGE_BYTES_MAX
);
