//! The families of the store: ranges of rows with options and compaction of their own. In each a bay is one range.

use protocol::ChannelId;
use protocol::partition::mix64;

/// History families of a data directory that is created without saying otherwise.
pub(crate) const HISTORIES_DEFAULT: u8 = 8;
/// Most history families: beyond about 100 families in all RocksDB's start and flush become slow.
pub(crate) const HISTORIES_MAX: u8 = 32;
/// Most channels whose history has a family of its own at a time.
pub(crate) const OWN_MAX: u8 = 64;

/// One family. Its name is on disk and is never reused for other rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    /// Facts about the store itself. RocksDB insists on a family called "default", so it has a use.
    Meta,
    /// partition, channel -> group row.
    Channel,
    /// partition, channel, user, joined -> interval row; with joined 0 -> position row.
    Member,
    /// partition, user, channel, tag -> seq.
    Joined,
    /// partition, user, first inbox seq -> run of pointers.
    Inbox,
    /// partition, user, device -> device row.
    Device,
    /// partition, user -> account row; partition, user, other -> relation row.
    Account,
    /// the bay's first partition, number -> (channel, seq) of one part of a batch.
    Fanout,
    /// the bay's first partition -> the marks of its 64 source bays.
    Applied,
    /// partition, channel, tag, ... -> what messages of the channel say about it and about each other.
    About,
    /// partition, user, tag, ... -> what is noted for the user alone.
    Notes,
    /// partition, tag, user, ... -> whom push tells, and of what it is still to tell.
    Push,
    /// partition, channel, tag -> where a channel's history begins, and how long it keeps what is said. Few channels have any.
    Kept,
    /// partition, channel, seq -> stamped frame, for the channels that hash to this number.
    History(u8),
    /// The same of one channel alone, which a row in `default` names.
    Own(u8),
}

/// Families that exist once.
const SINGLE: [Family; 13] = [
    Family::Meta,
    Family::Channel,
    Family::Member,
    Family::Joined,
    Family::Inbox,
    Family::Device,
    Family::Account,
    Family::Fanout,
    Family::Applied,
    Family::About,
    Family::Notes,
    Family::Push,
    Family::Kept,
];

impl Family {
    /// Every family of a store that has so many history families, in the order of [`Self::index`].
    #[cfg(any(feature = "rocks", test))]
    pub(crate) fn all(histories: u8) -> impl Iterator<Item = Self> {
        SINGLE.into_iter().chain((0..histories).map(Self::History))
    }

    /// Every family that there may be of one channel alone.
    #[cfg(any(feature = "rocks", test))]
    pub(crate) fn owns() -> impl Iterator<Item = Self> {
        (0..OWN_MAX).map(Self::Own)
    }

    /// Places in a table of all families.
    pub(crate) const PLACES: usize = SINGLE.len() + HISTORIES_MAX as usize + OWN_MAX as usize;

    /// Place in a table of all families.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Meta => 0,
            Self::Channel => 1,
            Self::Member => 2,
            Self::Joined => 3,
            Self::Inbox => 4,
            Self::Device => 5,
            Self::Account => 6,
            Self::Fanout => 7,
            Self::Applied => 8,
            Self::About => 9,
            Self::Notes => 10,
            Self::Push => 11,
            Self::Kept => 12,
            Self::History(number) => SINGLE.len() + usize::from(number),
            Self::Own(slot) => SINGLE.len() + usize::from(HISTORIES_MAX) + usize::from(slot),
        }
    }

    /// The name on disk.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Meta => "default".into(),
            Self::Channel => "channel".into(),
            Self::Member => "member".into(),
            Self::Joined => "joined".into(),
            Self::Inbox => "inbox".into(),
            Self::Device => "device".into(),
            Self::Account => "account".into(),
            Self::Fanout => "fanout".into(),
            Self::Applied => "applied".into(),
            Self::About => "about".into(),
            Self::Notes => "notes".into(),
            Self::Push => "push".into(),
            Self::Kept => "kept".into(),
            Self::History(number) => format!("history{number}"),
            Self::Own(slot) => format!("own{slot}"),
        }
    }

    /// The family of a channel's history. The function is part of the format.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn of_history(channel: ChannelId, histories: u8) -> Self {
        let (high, low) = channel.halves();
        Self::History((mix64(high ^ mix64(low)) % u64::from(histories.max(1))) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_the_place_in_all() {
        for (index, family) in Family::all(4).enumerate() {
            assert_eq!(family.index(), index);
        }
        for (slot, family) in Family::owns().enumerate() {
            assert_eq!(family.index(), Family::History(HISTORIES_MAX - 1).index() + 1 + slot);
        }
        assert_eq!(Family::Own(OWN_MAX - 1).index() + 1, Family::PLACES);
    }

    #[test]
    fn golden_history_families() {
        let family = |channel| Family::of_history(ChannelId(channel), 4);
        assert_eq!([1, 2, 3, 4, 5].map(family), [2, 0, 3, 3, 1].map(Family::History));
    }
}
