//! How much memory this process may take: the machine's, or what its control groups allow.

use std::fs;
use std::path::Path;

use shard::limits::SHARD_BYTES_MAX;

/// What may wait at each of so many shards, in bytes: what is set, else half of the memory that there is, and never more
/// than all bounds of a shard together.
pub(super) fn waiting_bytes(set: Option<usize>, shards: u16) -> usize {
    share(set, limit(), shards)
}

fn share(set: Option<usize>, memory: Option<u64>, shards: u16) -> usize {
    let half = memory.and_then(|bytes| usize::try_from(bytes / 2).ok());
    let all = set.or(half).unwrap_or(usize::MAX);
    (all / usize::from(shards.max(1))).min(SHARD_BYTES_MAX)
}

/// The least of the machine's memory and the limits of the control groups; `None` where neither can be read.
pub(crate) fn limit() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| own_group(&text));
    let group = groups.and_then(|own| least_of_groups(Path::new("/sys/fs/cgroup"), &own));
    [machine, group].into_iter().flatten().min()
}

/// `MemTotal` of /proc/meminfo.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The path of our group in the unified hierarchy.
fn own_group(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix("0::/")).map(str::to_owned)
}

/// A group is bound by the limits of those above it too.
fn least_of_groups(root: &Path, own: &str) -> Option<u64> {
    let own = root.join(own);
    let groups = own.ancestors().take_while(|group| group.starts_with(root));
    // A group without a limit says "max".
    let limit = |group: &Path| fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok();
    groups.filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_memory_is_shared_and_what_is_set_is_taken() {
        const GIB: u64 = 1 << 30;
        assert_eq!(share(None, Some(2 * GIB), 4), (GIB / 4) as usize);
        assert_eq!(share(Some(800), Some(2 * GIB), 4), 200);
        assert_eq!(share(None, Some(1 << 50), 2), SHARD_BYTES_MAX);
        assert_eq!(share(None, None, 2), SHARD_BYTES_MAX);
    }

    #[test]
    fn what_the_kernel_says_is_read() {
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert_eq!(total("MemTotal:       24689764 kB\nMemFree: 1 kB\n"), Some(24_689_764 * 1024));
        assert_eq!(own_group("0::/\n").as_deref(), Some(""));
        let text = "1:cpu:/x\n0::/system.slice/maru.service\n";
        assert_eq!(own_group(text).as_deref(), Some("system.slice/maru.service"));
        assert!(limit().is_none_or(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn the_least_limit_of_a_group_and_those_above_holds() {
        let root = std::env::temp_dir().join(format!("maru-groups-{}", std::process::id()));
        let own = root.join("a/b");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("memory.max"), "max\n").unwrap();
        assert_eq!(least_of_groups(&root, "a/b"), None);
        fs::write(root.join("a/memory.max"), "1000\n").unwrap();
        assert_eq!(least_of_groups(&root, "a/b"), Some(1000));
        fs::write(own.join("memory.max"), "900\n").unwrap();
        assert_eq!(least_of_groups(&root, "a/b"), Some(900));
        fs::remove_dir_all(&root).unwrap();
    }
}
