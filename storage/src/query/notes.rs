//! What a user has noted: drafts and hidden messages.

use protocol::commit::{DRAFT_TAG, HIDDEN_TAG, decode_draft, decode_hidden};
use protocol::query::{Answer, Noted, PageBounds};
use protocol::{ChannelId, Seq, UserId};

use super::Filled;
use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::view::{View, damaged};

/// One row: its channel, its place, and its value decoded.
type Place<T> = (ChannelId, u64, T);

/// Rows behind `after`, of one channel or of all. Drafts come with their messages.
pub(super) fn page(
    view: &View<'_>,
    user: UserId,
    (hidden, about, after): (bool, Option<ChannelId>, (ChannelId, u64)),
    page: PageBounds,
) -> Found<Answer> {
    if hidden {
        let mut rows = rows(view, (user, HIDDEN_TAG), about, after, page.messages, decode_hidden)?;
        let more = rows.len() > page.messages as usize;
        rows.truncate(page.messages as usize);
        let notes = rows.into_iter().map(|(about, at, range)| (about, Seq(at), range)).collect();
        return Ok(Answer::Notes { notes: Noted::Hidden(notes), more });
    }
    let rows = rows(view, (user, DRAFT_TAG), about, after, page.messages, decode_draft)?;
    let (mut drafts, mut filled) = (Vec::new(), Filled::new(page));
    let own = ChannelId::own(user);
    let count = rows.len();
    for (about, thread, seq) in rows {
        let gone = || {
            let what = format!("a draft of user {user} names {own:?} {seq}, which is gone");
            StoreError::corrupt_row(view.owners.now().family(own, seq), &key::message(own, seq), what)
        };
        let frame = view.message(own, seq)?.ok_or_else(gone)?;
        if !filled.take(1, frame.bytes().len()) {
            break;
        }
        drafts.push((about, Seq(thread), frame));
    }
    let more = drafts.len() < count;
    Ok(Answer::Notes { notes: Noted::Drafts(drafts), more })
}

/// One row more than asked for, if there is one.
fn rows<T>(
    view: &View<'_>,
    (user, tag): (UserId, u8),
    about: Option<ChannelId>,
    (after, at): (ChannelId, u64),
    limit: u32,
    decode: impl Fn(&[u8]) -> Option<T>,
) -> Found<Vec<Place<T>>> {
    let family = Family::Notes;
    let prefix = about.map_or_else(|| key::note(user, tag), |about| key::note_about(user, tag, about));
    let behind = key::note_at(user, tag, after, at.saturating_add(1));
    let from = if *behind > *prefix { behind } else { prefix };
    let mut rows = Vec::new();
    // The page before may have ended behind the channel that is asked for.
    if *from >= *prefix.after_all() {
        return Ok(rows);
    }
    view.scan_from(family, (&from, &prefix), Direction::Rising, &mut |key, value| {
        let place = key::read_note(key).and_then(|(.., rest)| key::read_note_place(rest));
        let row = place.and_then(|(about, at)| Some((about, at?, decode(value.bytes())?)));
        rows.push(row.ok_or_else(|| damaged(family, key))?);
        Ok(rows.len() <= limit as usize)
    })?;
    Ok(rows)
}
