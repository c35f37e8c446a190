//! Rows that follow from messages: what a channel says about itself, and what is noted for a user.

use std::collections::BTreeMap;

use protocol::commit::{
    DRAFT_TAG, HIDDEN_TAG, Note, PREFS_TAG, PRESENCE_TAG, Prefs, PresenceRow, decode_draft, decode_hidden,
};
use protocol::{BayId, ChannelId, PartitionId, Seq, UserId};

use super::stream::Stream;
use super::{Check, about as said, name, rules, talk};
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};

/// Checks those of one bay.
pub(super) fn check(check: &mut Check<'_>, bay: BayId) -> Found<()> {
    let mut about = Stream::new(check.view, bay, Family::About);
    while let Some((key, value)) = about.take()? {
        let Some((partition, channel, tag, rest)) = key::read_about(&key) else {
            check.broken(bay, format!("a row of about with the key {key:02x?}"));
            continue;
        };
        if PartitionId::of_channel(channel).0 != partition {
            check.broken(bay, format!("rows about channel {channel}, which lives elsewhere"));
        }
        let is_read = match tag {
            key::THREAD_TAG => talk::thread(check, channel, rest, &value)?,
            key::IN_THREAD_TAG => talk::in_thread(check, channel, rest)? && value.is_empty(),
            _ => {
                let is_row = said::is_row(tag, rest, &value).or_else(|| rules::is_row(tag, rest, &value));
                let Some(is_row) = is_row else {
                    let what = format!("a row about channel {channel} with tag {tag}, which nobody knows");
                    check.broken(bay, what);
                    continue;
                };
                if check.view.head(channel)? == Seq(0) {
                    check.broken(bay, format!("rows about {}, which has no messages", name(channel)));
                }
                is_row
            }
        };
        if !is_read {
            check.broken(bay, format!("a row about channel {channel} cannot be read: {key:02x?}"));
        }
    }
    let mut notes = Stream::new(check.view, bay, Family::Notes);
    while let Some((key, value)) = notes.take()? {
        let Some((partition, user, tag, rest)) = key::read_note(&key) else {
            check.broken(bay, format!("a row of notes with the key {key:02x?}"));
            continue;
        };
        if PartitionId::of_user(user).0 != partition {
            check.broken(bay, format!("notes of user {user}, who lives elsewhere"));
        }
        match is_note(check, user, (tag, rest), &value)? {
            Some(true) => {}
            Some(false) => check.broken(bay, format!("a note of user {user} cannot be read: {key:02x?}")),
            None => check.broken(bay, format!("a note of user {user} with tag {tag}, which nobody knows")),
        }
    }
    Ok(())
}

/// Whether the row is one of its tag; `None` when nobody knows the tag.
fn is_note(
    check: &mut Check<'_>,
    user: UserId,
    (tag, rest): (u8, &[u8]),
    value: &[u8],
) -> Found<Option<bool>> {
    let has_value = match tag {
        key::MENTION_TAG => return Ok(Some(talk::mention(check, user, rest, value)?)),
        key::MENTION_AT_TAG => return Ok(Some(talk::mention_at(check, user, rest, value)?)),
        PRESENCE_TAG => return Ok(Some(rest.is_empty() && PresenceRow::decode(value).is_some())),
        PREFS_TAG => Prefs::decode(value).is_some(),
        DRAFT_TAG => decode_draft(value).is_some(),
        HIDDEN_TAG => decode_hidden(value).is_some(),
        _ => return Ok(None),
    };
    // Whether it is what the user's own channel says was seen there. Without that channel nothing can say it.
    if check.view.head(ChannelId::own(user))? == Seq(0) {
        check.broken(BayId::of_user(user), format!("notes of user {user}, whose own channel is empty"));
    }
    let place = key::read_note_place(rest);
    Ok(Some(has_value && place.is_some_and(|(_, at)| at.is_some() == (tag != PREFS_TAG))))
}

/// What one user's own channel says, by the place of its rows.
#[derive(Debug, Default)]
pub(super) struct Notes(BTreeMap<(u8, ChannelId, Option<u64>), Vec<u8>>);

impl Notes {
    /// The next message that says something.
    pub(super) fn take(&mut self, seq: Seq, note: &Note) {
        let (at, value) = note.place(seq);
        let place = (note.tag(), note.about(), at);
        match value {
            Some(value) => drop(self.0.insert(place, value)),
            None => drop(self.0.remove(&place)),
        }
    }
}

/// The rows of one user are what the user's own channel says.
pub(super) fn notes(check: &mut Check<'_>, bay: BayId, user: UserId, says: &Notes) -> Found<()> {
    let mut found = BTreeMap::new();
    for tag in [PREFS_TAG, DRAFT_TAG, HIDDEN_TAG] {
        let prefix = key::note(user, tag);
        check.view.scan_from(Family::Notes, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let place = key::read_note(key).and_then(|(.., rest)| key::read_note_place(rest));
            // What cannot be read is reported with the rows.
            if let Some((about, at)) = place {
                found.insert((tag, about, at), value.bytes().to_vec());
            }
            Ok(true)
        })?;
    }
    let missing = says.0.iter().find(|(place, value)| found.get(place) != Some(value));
    let extra = found.keys().find(|place| !says.0.contains_key(place));
    if let Some(place) = missing.map(|(place, _)| place).or(extra) {
        let what = format!("the note {place:?} of user {user} is not what the user's own channel says");
        check.broken(bay, what);
    }
    Ok(())
}
