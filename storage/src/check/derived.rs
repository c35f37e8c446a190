//! Rows that follow from messages: what a channel says about itself, and what is noted for a user.

use protocol::{BayId, PartitionId};

use super::stream::Stream;
use super::{Check, talk};
use crate::family::Family;
use crate::key;
use crate::rows::Found;

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
                check
                    .broken(bay, format!("a row about channel {channel} with tag {tag}, which nobody knows"));
                continue;
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
        let is_read = match tag {
            key::MENTION_TAG => talk::mention(check, user, rest, &value)?,
            key::MENTION_AT_TAG => talk::mention_at(check, user, rest, &value)?,
            _ => {
                check.broken(bay, format!("a note of user {user} with tag {tag}, which nobody knows"));
                continue;
            }
        };
        if !is_read {
            check.broken(bay, format!("a note of user {user} cannot be read: {key:02x?}"));
        }
    }
    Ok(())
}
