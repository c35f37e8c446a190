//! Rows that follow from messages: what a channel says about itself, and what is noted for a user.

use protocol::{BayId, PartitionId};

use super::Check;
use super::stream::Stream;
use crate::family::Family;
use crate::key;
use crate::rows::Found;

/// Checks those of one bay.
pub(super) fn check(check: &mut Check<'_>, bay: BayId) -> Found<()> {
    let mut about = Stream::new(check.view, bay, Family::About);
    while let Some((key, _)) = about.take()? {
        let Some((partition, channel, tag, _)) = key::read_about(&key) else {
            check.broken(bay, format!("a row of about with the key {key:02x?}"));
            continue;
        };
        if PartitionId::of_channel(channel).0 != partition {
            check.broken(bay, format!("rows about channel {channel}, which lives elsewhere"));
        }
        // No tag is given yet.
        check.broken(bay, format!("a row about channel {channel} with tag {tag}, which nobody knows"));
    }
    let mut notes = Stream::new(check.view, bay, Family::Notes);
    while let Some((key, _)) = notes.take()? {
        let Some((partition, user, tag, _)) = key::read_note(&key) else {
            check.broken(bay, format!("a row of notes with the key {key:02x?}"));
            continue;
        };
        if PartitionId::of_user(user).0 != partition {
            check.broken(bay, format!("notes of user {user}, who lives elsewhere"));
        }
        // No tag is given yet.
        check.broken(bay, format!("a note of user {user} with tag {tag}, which nobody knows"));
    }
    Ok(())
}
