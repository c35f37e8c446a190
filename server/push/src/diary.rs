//! What became of the last jobs of push, for whoever asks about a message. In memory: nothing is decided by it, and it ends
//! with the process. No text, no key, and of an endpoint no more than its host is in it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use carry::End;
use protocol::commit::Target;
use protocol::{ChannelId, Seq, UserId};

use crate::limits::{DIARY_ENTRIES, DIARY_SHOWN, DIARY_WORDS_MAX};

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// The provider took it.
    Taken,
    /// The provider said that the subscription is no more.
    Gone,
    /// The provider refused it for good: its words.
    Refused(String),
    /// It failed, and is tried again.
    Failed {
        /// Why.
        why: String,
        /// When, milliseconds since the Unix epoch.
        again_ms: u64,
    },
    /// The device is not to be disturbed.
    Quiet {
        /// Until then.
        until_ms: u64,
    },
    /// The host is not called: it rests, or has its full number of calls.
    Resting {
        /// Until then.
        until_ms: u64,
    },
    /// The provider took it that what the device shows is read.
    Withdrawn,
    /// The job ended without a call.
    Ended(End),
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who was to be told.
    pub user: UserId,
    /// Of which channel.
    pub channel: ChannelId,
    /// The job's newest message.
    pub seq: Seq,
    /// How many it told of.
    pub count: u32,
    /// At which subscription; `None` for a whole job.
    pub target: Option<Target>,
    /// `https://HOST`, of a subscription.
    pub host: String,
    /// What.
    pub what: What,
}

/// The last [`DIARY_ENTRIES`].
#[derive(Debug)]
pub struct Diary {
    entries: Mutex<VecDeque<Entry>>,
    began_ms: u64,
}

impl Diary {
    /// An empty one.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self { entries: Mutex::default(), began_ms: now_ms }
    }

    /// Writes a line; the oldest gives way.
    pub fn note(&self, mut entry: Entry) {
        if let What::Refused(words) | What::Failed { why: words, .. } = &mut entry.what {
            *words = words.chars().take(DIARY_WORDS_MAX).collect();
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= DIARY_ENTRIES {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// Since when nothing is missing, milliseconds since the Unix epoch.
    #[must_use]
    pub fn since_ms(&self) -> u64 {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let first = entries.front().filter(|_| entries.len() >= DIARY_ENTRIES);
        first.map_or(self.began_ms, |entry| entry.at_ms)
    }

    /// What happened in a channel at and behind a message to these users, oldest first: of each user the newest
    /// [`DIARY_SHOWN`].
    #[must_use]
    pub fn of(&self, channel: ChannelId, seq: Seq, users: &[UserId]) -> Vec<Entry> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = vec![0; users.len()];
        let mut found = Vec::new();
        for entry in entries.iter().rev().filter(|entry| entry.channel == channel && entry.seq >= seq) {
            let place = users.iter().position(|user| *user == entry.user);
            if let Some(count) =
                place.and_then(|place| counts.get_mut(place)).filter(|count| **count < DIARY_SHOWN)
            {
                *count += 1;
                found.push(entry.clone());
            }
        }
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(user: u64, seq: u64, what: What) -> Entry {
        let (user, channel) = (UserId(user), ChannelId(7));
        Entry { at_ms: seq, user, channel, seq: Seq(seq), count: 1, target: None, host: String::new(), what }
    }

    #[test]
    fn the_oldest_gives_way_and_each_user_has_its_share() {
        let diary = Diary::new(5);
        diary.note(entry(1, 1, What::Refused("x".repeat(9999))));
        assert_eq!(diary.since_ms(), 5);
        let found = diary.of(ChannelId(7), Seq(1), &[UserId(1)]);
        assert_eq!(found[0].what, What::Refused("x".repeat(DIARY_WORDS_MAX)));
        assert!(diary.of(ChannelId(8), Seq(1), &[UserId(1)]).is_empty());
        assert!(diary.of(ChannelId(7), Seq(2), &[UserId(1)]).is_empty(), "an older job");
        for seq in 2..DIARY_ENTRIES as u64 + 2 {
            diary.note(entry(1 + seq % 2, seq, What::Taken));
        }
        assert_eq!(diary.since_ms(), 2, "the first is gone");
        let found = diary.of(ChannelId(7), Seq(1), &[UserId(1), UserId(2)]);
        assert_eq!(found.len(), 2 * DIARY_SHOWN);
        assert!(found.is_sorted_by_key(|entry| entry.at_ms));
        assert_eq!(found.last().unwrap().seq, Seq(DIARY_ENTRIES as u64 + 1));
    }
}
