//! Where an id lives: id -> partition -> partition group -> store -> shard. The first two steps are fixed for a
//! cluster's life and golden-tested; the last two are this node's [`Placement`].

use crate::id::{ChannelId, ShardId, StoreId, UserId};

/// Number of partitions; fixed for ever.
pub const PARTITIONS: u16 = 4096;
/// Number of partition groups: what a node owns, logs and checkpoints; fixed for ever.
pub const PARTITION_GROUPS: u16 = 64;
/// Most stores a data directory can have.
pub const STORES_MAX: u16 = PARTITION_GROUPS;

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

    /// The partition group, 0 .. 63: a contiguous run of 64 partitions.
    #[must_use]
    pub const fn group(self) -> u16 {
        self.0 / (PARTITIONS / PARTITION_GROUPS)
    }
}

/// partition -> (store, shard) within one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    stores: u16,
    shards: u16,
}

impl Placement {
    /// A placement of `stores` (1 ..= 64) over `shards` (1 ..= stores); `None` outside these bounds.
    #[must_use]
    pub fn new(stores: u16, shards: u16) -> Option<Self> {
        let whole = (1..=STORES_MAX).contains(&stores) && (1..=stores).contains(&shards);
        whole.then_some(Self { stores, shards })
    }

    /// Number of stores, K.
    #[must_use]
    pub fn stores(self) -> u16 {
        self.stores
    }

    /// Number of shards, S.
    #[must_use]
    pub fn shards(self) -> u16 {
        self.shards
    }

    /// The store of a partition: group g lives in store g mod K.
    #[must_use]
    pub fn store_of(self, partition: PartitionId) -> StoreId {
        StoreId(partition.group() % self.stores)
    }

    /// The shard of a store: store k belongs to shard k mod S.
    #[must_use]
    pub fn shard_of_store(self, store: StoreId) -> ShardId {
        ShardId(store.0 % self.shards)
    }

    /// The store that holds a user's rows.
    #[must_use]
    pub fn user_store(self, user: UserId) -> StoreId {
        self.store_of(PartitionId::of_user(user))
    }

    /// The store that holds a channel's rows.
    #[must_use]
    pub fn channel_store(self, channel: ChannelId) -> StoreId {
        self.store_of(PartitionId::of_channel(channel))
    }

    /// The home of a user.
    #[must_use]
    pub fn user_home(self, user: UserId) -> ShardId {
        self.shard_of_store(self.user_store(user))
    }

    /// The home of a channel.
    #[must_use]
    pub fn channel_home(self, channel: ChannelId) -> ShardId {
        self.shard_of_store(self.channel_store(channel))
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
    fn bounds() {
        assert!(Placement::new(0, 1).is_none());
        assert!(Placement::new(8, 9).is_none());
        assert!(Placement::new(65, 1).is_none());
        assert!(Placement::new(64, 64).is_some());
    }
}
