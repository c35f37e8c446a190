//! What the data disk takes for a small durable write.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// Bytes of one write: about a batch of a few messages.
const WRITE_BYTES: usize = 4096;

/// Microseconds of an appended 4 KiB and its fdatasync.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sync {
    /// Half of them took less.
    pub p50_us: f64,
    /// All but one in a hundred took less.
    pub p99_us: f64,
}

/// Writes and syncs `count` times in a file of its own in `dir`, which is removed.
///
/// # Errors
/// Of the disk.
pub fn fdatasync(dir: &Path, count: usize) -> io::Result<Sync> {
    let mut file = tempfile::tempfile_in(dir)?;
    let block = [7; WRITE_BYTES];
    let mut took = Vec::with_capacity(count);
    for _ in 0..count.max(1) {
        let began = Instant::now();
        write(&mut file, &block)?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took.get((took.len() - 1) * part / 100).copied().unwrap_or_default();
    Ok(Sync { p50_us: at(50), p99_us: at(99) })
}

/// Flushes of the caches of all devices of this machine so far (the 16th figure of a line of `/proc/diskstats`, Linux 5.5).
pub(super) fn flushes() -> f64 {
    let text = std::fs::read_to_string("/proc/diskstats").unwrap_or_default();
    let of = |line: &str| line.split_whitespace().nth(2 + 16)?.parse::<f64>().ok();
    text.lines().filter_map(of).sum()
}

fn write(file: &mut File, block: &[u8]) -> io::Result<()> {
    file.write_all(block)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_disk_can_be_measured() {
        let sync = super::fdatasync(tempfile::tempdir().unwrap().path(), 20).unwrap();
        assert!(0.0 < sync.p50_us && sync.p50_us <= sync.p99_us);
        assert!(super::flushes() >= 0.0);
    }
}
