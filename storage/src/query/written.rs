//! What of a user is still to be erased from a channel. Messages are not listed by sender, so the history is gone through, a
//! part at a time, from where the erasure has come to, and no further than the user was there.

use std::collections::BTreeSet;

use protocol::body::erase::written;
use protocol::body::message::Change;
use protocol::commit::{Act, Said};
use protocol::query::{PageBounds, Sent, Written};
use protocol::{ChannelId, Frame, Kind, Seq, UserId};

use super::{about, stays};
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::view::{View, stamped};

/// Messages that one answer looks at.
const LOOKED_AT_MAX: usize = 4096;

pub(super) fn answer(view: &View<'_>, channel: ChannelId, user: UserId, page: PageBounds) -> Found<Written> {
    let row = view.erased(channel, user)?;
    let head = view.head(channel)?;
    let mut found = Written { row, through: head, head, ..Written::default() };
    let stays = stays::of(view, user, channel)?;
    let Some((first, last)) = stays.first().zip(stays.last()) else { return Ok(found) };
    let from = first.joined.max(row.unwrap_or_default().next).max(view.floor(channel)?.below);
    let until = last.left.map_or(head, |left| left.min(head)).next();
    let (mut frames, mut bytes, mut looked) = (Vec::new(), 0, 0);
    let (mut through, mut is_cut) = (from, false);
    view.scan_history(channel, (from, until), Direction::Rising, &mut |family, seq, value| {
        let (frame, stamp) = stamped(family, channel, seq, value.to_bytes())?;
        (through, looked) = (seq, looked + 1);
        if stamp.sender == user && matters(frame.kind()) {
            bytes += frame.bytes().len();
            frames.push(frame);
        }
        is_cut = looked >= LOOKED_AT_MAX || frames.len() >= page.messages as usize || bytes >= page.bytes;
        Ok(!is_cut)
    })?;
    if is_cut {
        found.through = through;
    }
    if !frames.is_empty() {
        found.pins = about::pins(view, channel)?;
    }
    let mut edits = BTreeSet::new();
    for frame in &frames {
        take(view, (channel, user), frame, &mut found, &mut edits)?;
    }
    Ok(found)
}

fn matters(kind: Kind) -> bool {
    [Kind::SEND_TEXT, Kind::EDIT_TEXT, Kind::REACT].contains(&kind)
}

fn take(
    view: &View<'_>,
    (channel, user): (ChannelId, UserId),
    frame: &Frame,
    found: &mut Written,
    edits: &mut BTreeSet<Seq>,
) -> Found<()> {
    let Some(sent) = Sent::of(frame) else { return Ok(()) };
    let said = |seq| -> Found<Said> {
        Ok(view.get_decoded(Family::About, &key::said(channel, seq), Said::decode)?.unwrap_or_default())
    };
    match (written(frame), Change::read(frame)) {
        (Some(text), _) if text == sent.seq => {
            let said = said(text)?;
            for (edit, seq) in about::edits(view, channel, &said)?.into_iter().zip(&said.edits) {
                found.newest = found.newest.max(*seq);
                edits.insert(*seq);
                found.edits.push((edit, text));
            }
            found.texts.push((sent, said));
        }
        // Of a text that is no more: those of one that is there were met with it.
        (Some(text), _) => {
            if !edits.insert(sent.seq) {
                return Ok(());
            }
            found.edits.push((sent, text));
        }
        (None, Some(Change::About { target, act: Act::Reacts { .. } })) => {
            let ways = about::own(view, channel, target, user)?;
            let is_known = found.reactions.iter().any(|(seq, ..)| *seq == target)
                || found.texts.iter().any(|(text, _)| text.seq == target);
            if ways.is_empty() || is_known {
                return Ok(());
            }
            found.reactions.push((target, said(target)?, ways));
        }
        _ => return Ok(()),
    }
    found.newest = found.newest.max(sent.seq);
    Ok(())
}
