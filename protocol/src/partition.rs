//! Where an id lives: id -> partition -> bay -> shard. The first two steps are fixed for a cluster's life and
//! golden-tested; the last is this node's [`Placement`], and the directory knows nothing of it.

use core::ops::Range;

use crate::id::{BayId, ChannelId, ShardId, UserId};

/// Number of partitions; fixed for ever.
pub const PARTITIONS: u16 = 4096;
/// Number of bays; fixed for ever.
pub const BAYS: u16 = 64;
/// Most shards of a node: each is home of at least one bay.
pub const SHARDS_MAX: u16 = BAYS;
/// Neighbouring partitions that form a bay.
const BAY_PARTITIONS: u16 = PARTITIONS / BAYS;

const _: () = assert!(BAYS as u32 == u64::BITS, "a set of bays is one u64");

/// A fixed unit of ownership: 0 .. 4095.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartitionId(pub u16);

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection on u64 with full avalanche.
#[must_use]
pub const fn mix64(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl PartitionId {
    #[allow(clippy::cast_possible_truncation)]
    const fn of(id: u64) -> Self {
        Self((mix64(id) % PARTITIONS as u64) as u16)
    }

    /// The partition of a user.
    #[must_use]
    pub const fn of_user(user: UserId) -> Self {
        Self::of(user.0)
    }

    /// The partition of a channel. A direct channel lives with its smaller user, so A to B never visits a third shard.
    #[must_use]
    pub fn of_channel(channel: ChannelId) -> Self {
        let (high, low) = channel.halves();
        Self::of(if high == 0 { low } else { high })
    }

    /// The bay: one of 64 neighbouring partitions.
    #[must_use]
    pub const fn bay(self) -> BayId {
        BayId(self.0 / BAY_PARTITIONS)
    }
}

impl BayId {
    /// The bay that holds a user's rows.
    #[must_use]
    pub const fn of_user(user: UserId) -> Self {
        PartitionId::of_user(user).bay()
    }

    /// The bay that holds a channel's rows.
    #[must_use]
    pub fn of_channel(channel: ChannelId) -> Self {
        PartitionId::of_channel(channel).bay()
    }

    /// All 64, rising.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..BAYS).map(Self)
    }

    /// Its partitions; none for a number that is no bay.
    #[must_use]
    pub const fn partitions(self) -> Range<u16> {
        let bay = if self.0 < BAYS { self.0 } else { BAYS };
        let end = if self.0 < BAYS { bay + 1 } else { BAYS };
        bay * BAY_PARTITIONS..end * BAY_PARTITIONS
    }
}

/// A set of bays: bit b stands for bay b.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Bays(pub u64);

impl Bays {
    /// All 64.
    pub const ALL: Self = Self(u64::MAX);

    /// Adds a bay; a number that is no bay changes nothing.
    pub fn insert(&mut self, bay: BayId) {
        self.0 |= Self::bit(bay);
    }

    /// Whether the bay is one of them.
    #[must_use]
    pub const fn contains(self, bay: BayId) -> bool {
        self.0 & Self::bit(bay) != 0
    }

    /// The bays, rising.
    pub fn iter(self) -> impl Iterator<Item = BayId> {
        BayId::all().filter(move |bay| self.contains(*bay))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn bit(bay: BayId) -> u64 {
        if bay.0 < BAYS { 1 << bay.0 } else { 0 }
    }
}

impl FromIterator<BayId> for Bays {
    fn from_iter<I: IntoIterator<Item = BayId>>(bays: I) -> Self {
        let mut all = Self::default();
        bays.into_iter().for_each(|bay| all.insert(bay));
        all
    }
}

/// bay -> home within one node: bay b is home on shard b mod S, so every row has one writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    shards: u16,
}

impl Placement {
    /// A placement over `shards` (1 ..= [`SHARDS_MAX`]); `None` outside these bounds.
    #[must_use]
    pub fn new(shards: u16) -> Option<Self> {
        (1..=SHARDS_MAX).contains(&shards).then_some(Self { shards })
    }

    /// Number of shards, S.
    #[must_use]
    pub fn shards(self) -> u16 {
        self.shards
    }

    /// The home of a bay.
    #[must_use]
    pub fn home(self, bay: BayId) -> ShardId {
        ShardId(bay.0 % self.shards)
    }

    /// The home of a user.
    #[must_use]
    pub fn user_home(self, user: UserId) -> ShardId {
        self.home(BayId::of_user(user))
    }

    /// The home of a channel.
    #[must_use]
    pub fn channel_home(self, channel: ChannelId) -> ShardId {
        self.home(BayId::of_channel(channel))
    }

    /// The bays that are home on a shard, rising.
    pub fn bays(self, shard: ShardId) -> impl Iterator<Item = BayId> {
        BayId::all().filter(move |bay| self.home(*bay) == shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_partitions() {
        assert_eq!(mix64(0), 0xe220_a839_7b1d_cdaf);
        // By a second implementation (docs/protocol.md section 4, in Python).
        assert_eq!(PartitionId::of_user(UserId(1)), PartitionId(3265));
        assert_eq!(PartitionId::of_user(UserId(170)), PartitionId(3258));
        assert_eq!(PartitionId::of_user(UserId((1 << 63) + 5)), PartitionId(3888));
        assert_eq!(PartitionId::of_channel(ChannelId(170)), PartitionId(3258), "a group's low half");
        assert_eq!(
            PartitionId::of_channel(ChannelId::direct(UserId(9), UserId(4))),
            PartitionId::of_user(UserId(4))
        );
    }

    #[test]
    fn a_bay_is_64_neighbouring_partitions() {
        assert_eq!(PartitionId(0).bay(), BayId(0));
        assert_eq!(PartitionId(63).bay(), BayId(0));
        assert_eq!(PartitionId(64).bay(), BayId(1));
        assert_eq!(PartitionId(4095).bay(), BayId(63));
        let all: Vec<u16> = BayId::all().flat_map(BayId::partitions).collect();
        assert_eq!(all, (0..PARTITIONS).collect::<Vec<_>>(), "each partition in one bay");
        assert_eq!(BayId(51).partitions(), 3264..3328);
        assert_eq!(BayId::of_user(UserId(1)), BayId(51));
        assert_eq!(BayId::of_channel(ChannelId(170)), BayId(50));
        assert!(BayId(64).partitions().is_empty() && BayId(u16::MAX).partitions().is_empty());
    }

    #[test]
    fn a_set_of_bays() {
        let mut bays = Bays::default();
        assert!(bays.is_empty() && bays.iter().next().is_none());
        bays.insert(BayId(63));
        bays.insert(BayId(0));
        bays.insert(BayId(64));
        assert_eq!(bays, Bays(1 | 1 << 63));
        assert!(bays.contains(BayId(63)) && !bays.contains(BayId(1)) && !bays.contains(BayId(64)));
        assert_eq!(bays.iter().collect::<Vec<_>>(), [BayId(0), BayId(63)]);
        assert_eq!(BayId::all().collect::<Bays>(), Bays::ALL);
    }

    #[test]
    fn every_bay_has_one_home() {
        for shards in 1..=SHARDS_MAX {
            let placement = Placement::new(shards).unwrap();
            let mut seen = Bays::default();
            for shard in (0..shards).map(ShardId) {
                assert!(placement.bays(shard).next().is_some(), "every shard is home of a bay");
                for bay in placement.bays(shard) {
                    assert!(!seen.contains(bay) && placement.home(bay) == shard);
                    seen.insert(bay);
                }
            }
            assert_eq!(seen, Bays::ALL);
        }
        let placement = Placement::new(2).unwrap();
        assert_eq!(placement.user_home(UserId(1)), ShardId(1));
        assert_eq!(placement.channel_home(ChannelId(170)), ShardId(0));
    }

    #[test]
    fn bounds() {
        assert!(Placement::new(0).is_none());
        assert!(Placement::new(65).is_none());
        assert_eq!(Placement::new(64).map(Placement::shards), Some(64));
    }
}
