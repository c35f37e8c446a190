//! RocksDB's options, and why. Figures are from the measurements in the research notes.

use rocksdb::statistics::StatsLevel;
use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, Env, Options as RocksOptions,
    SliceTransform, WriteBufferManager,
};

use crate::family::Family;
use crate::options::Options;

/// Open files at least: below this every read opens a file.
const FILES_MIN: u64 = 256;
/// Open files at most: 64 MB each.
const FILES_MAX: u64 = 32_768;
/// The limit where it cannot be read.
const FILES_ASSUMED: u64 = 1024;

/// What lasts beyond one family: caches and budgets. Migration opens several stores with one of these.
#[derive(Clone)]
pub(crate) struct Shared {
    cache: Cache,
    memtables: WriteBufferManager,
    wal_bytes: u64,
    open_files: i32,
    background_jobs: i32,
}

impl Shared {
    pub(crate) fn new(options: &Options) -> Self {
        // Compactions go behind what an ack waits for. The pool is the process's, whatever environment it is named by. Not
        // so flushes: a memtable that waits for one holds writes up.
        if let Ok(mut environment) = Env::new() {
            environment.lower_thread_pool_cpu_priority();
        }
        Self {
            cache: Cache::new_lru_cache(options.cache_bytes),
            // No stall: the budget makes the fullest family flush early; stopping every writer would be worse.
            memtables: WriteBufferManager::new_write_buffer_manager(options.memtable_bytes, false),
            wal_bytes: options.wal_bytes.max(1024 * 1024),
            open_files: open_files(descriptor_limit(), options.files_reserve),
            background_jobs: i32::from(options.background_jobs.max(2)),
        }
    }

    /// The one cache of blocks.
    pub(crate) fn cache(&self) -> Cache {
        self.cache.clone()
    }

    /// Options of the whole.
    pub(crate) fn options(&self) -> RocksOptions {
        // Table files would name the machine that wrote them; there is no setter for that.
        let nameless = RocksOptions::default().get_options_from_string("db_host_id=maru");
        let mut options = nameless.unwrap_or_default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        // Recovery. A crash can tear the end of the newest log, where nothing was acknowledged: that is cut off. Damage
        // anywhere before is an error, because what follows it was acknowledged. (Point-in-time recovery, the default,
        // would cut there in silence; absolute consistency would refuse every torn end.) It is an error only with
        // paranoid checks, and damage must not be mistaken for the rest of a recycled log, so none is recycled. Sizes
        // of finished logs stand in the manifest, so that one that became shorter is not a torn end either.
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_paranoid_checks(true);
        options.set_recycle_log_file_num(0);
        options.set_track_and_verify_wals_in_manifest(true);
        // Recovery reads 20 to 30 MB a second.
        options.set_max_total_wal_size(self.wal_bytes);
        options.set_write_buffer_manager(&self.memtables);
        options.set_max_open_files(self.open_files);
        options.set_max_background_jobs(self.background_jobs);
        options.set_bytes_per_sync(1024 * 1024);
        options.enable_statistics();
        options.set_statistics_level(StatsLevel::ExceptDetailedTimers);
        // The statistics are read by the metrics; a dump in the log and a thread that persists them are not needed.
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options.set_keep_log_file_num(3);
        options.set_max_log_file_size(16 * 1024 * 1024);
        options
    }

    /// Options of a family.
    pub(crate) fn family(&self, family: Family) -> RocksOptions {
        let mut options = RocksOptions::default();
        options.set_write_buffer_size(match family {
            Family::History(_) | Family::Inbox => 32 * 1024 * 1024,
            Family::Own(_) => 8 * 1024 * 1024,
            _ => 4 * 1024 * 1024,
        });
        options.set_max_write_buffer_number(4);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_target_file_size_base(64 * 1024 * 1024);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_bottommost_compression_type(DBCompressionType::Zstd);
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_block_size(16 * 1024);
        table.set_cache_index_and_filter_blocks(true);
        table.set_cache_index_and_filter_blocks_with_high_priority(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_bloom_filter(10.0, false);
        if let Some(bytes) = prefix_bytes(family) {
            options.set_prefix_extractor(SliceTransform::create_fixed_prefix(bytes));
            // One filter entry a channel or user instead of one a row.
            table.set_whole_key_filtering(false);
        }
        options.set_block_based_table_factory(&table);
        options
    }
}

/// Partition and channel, or partition and user: what the bloom filters know.
fn prefix_bytes(family: Family) -> Option<usize> {
    match family {
        Family::History(_) | Family::Own(_) | Family::Member | Family::About | Family::Kept => Some(18),
        Family::Push => Some(11),
        Family::Joined | Family::Inbox | Family::Device | Family::Notes => Some(10),
        Family::Meta | Family::Channel | Family::Account | Family::Fanout | Family::Applied => None,
    }
}

/// Whether every key of the range begins with the lower bound's prefix.
pub(super) fn one_prefix(family: Family, lower: &[u8], upper: &[u8]) -> bool {
    let Some(prefix) = prefix_bytes(family).and_then(|bytes| lower.get(..bytes)) else { return false };
    if upper.starts_with(prefix) {
        return true;
    }
    // The smallest key above the prefix: its last byte that can be raised, raised.
    let raised = prefix.iter().rposition(|byte| *byte < 0xff);
    let next = raised.and_then(|at| prefix.get(..=at)).and_then(|kept| kept.split_last());
    next.is_some_and(|(last, kept)| upper.strip_prefix(kept) == Some(&[last + 1]))
}

fn descriptor_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(FILES_ASSUMED)
}

/// Files that may be held open: what is left.
fn open_files(limit: u64, reserve: Option<u64>) -> i32 {
    let left = limit.saturating_sub(reserve.unwrap_or(limit / 16 * 15));
    i32::try_from(left.clamp(FILES_MIN, FILES_MAX)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;
    use protocol::{ChannelId, Seq};

    #[test]
    fn files_are_held_within_bounds() {
        assert_eq!(open_files(20_000, None), 1250);
        assert_eq!(open_files(20_000, Some(12_000)), 8000);
        assert_eq!(open_files(1024, Some(1024)), 256);
        assert_eq!(open_files(u64::MAX, None), 32_768);
    }

    #[test]
    fn one_prefix_is_one_channel() {
        for number in [1, 255, 256, 0xffff] {
            let (all, family) = (key::channel(ChannelId(number)), Family::History(0));
            assert!(one_prefix(family, &all, &all.after_all()));
            let from = key::message(ChannelId(number), Seq(4));
            assert!(one_prefix(family, &from, &key::message(ChannelId(number), Seq(9))));
            assert!(one_prefix(family, &from, &all.after_all()));
            assert!(!one_prefix(family, &from, &key::END));
            assert!(!one_prefix(family, b"", &from));
            assert!(!one_prefix(
                family,
                &key::message(ChannelId(number), Seq(4)),
                &key::partition(4095).after_all()
            ));
        }
    }
}
