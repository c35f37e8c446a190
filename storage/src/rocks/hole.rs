//! Holes that RocksDB takes for the end of a write-ahead log. Its recovery reports most damage, but a record whose
//! length points behind the end, or whose header is zero, looks torn, and what follows would be dropped in silence.
//! This walk over the log's headers finds a record behind such a place; a torn end has none.
//!
//! Layout (RocksDB wiki, "Write Ahead Log File Format"): blocks of 32 KiB; in each, records of masked CRC32C (RFC 3720) u32,
//! length u16, type u8 and payload; a rest of fewer than 7 bytes is padding. Integers are little endian.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crc::{CRC_32_ISCSI, Crc};

use crate::error::StoreError;

const BLOCK_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 7;
/// A record of these types begins a write. Commits that wait together are one write, which begins only after the one
/// before it was synced, so a whole one
/// behind a damaged place proves that the place once held acknowledged data. (A later part of the same commit proves
/// nothing: pages of one write may reach the disk in any order.)
const BEGINS: [u8; 2] = [1, 2];
/// Sequence number and count in front of every commit.
const COMMIT_BYTES_MIN: usize = 12;

/// Looks at every log.
///
/// # Errors
/// [`StoreError::Corrupt`] with the file and the place of a hole.
pub(super) fn check(dir: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(dir.display(), error)),
    };
    for entry in entries {
        let path = entry.map_err(|error| StoreError::io(dir.display(), error))?.path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let found = File::open(&path).and_then(find);
        if let Some(at) = found.map_err(|error| StoreError::io(path.display(), error))? {
            let what = format!("{} is damaged at byte {at}, and committed records follow", path.display());
            return Err(StoreError::corrupt(None, what));
        }
    }
    Ok(())
}

/// Where the log seems to end although a commit begins behind it.
fn find(mut log: impl Read) -> io::Result<Option<u64>> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let (mut base, mut ended) = (0, None);
    loop {
        block.clear();
        log.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(None);
        }
        let search_from = if ended.is_some() { Some(0) } else { walk(&block) };
        if let Some(from) = search_from {
            let at = *ended.get_or_insert(base + from as u64);
            if (from..block.len()).any(|at| block.get(at..).is_some_and(begins_commit)) {
                return Ok(Some(at));
            }
        }
        base += block.len() as u64;
    }
}

fn read_header(bytes: &[u8]) -> Option<(u32, usize, u8, &[u8])> {
    let ([c0, c1, c2, c3, l0, l1, kind], rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let len = usize::from(u16::from_le_bytes([*l0, *l1]));
    Some((u32::from_le_bytes([*c0, *c1, *c2, *c3]), len, *kind, rest))
}

/// The record at which a block cannot be walked on.
fn walk(block: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some((_, len, kind, rest)) = block.get(at..).and_then(read_header) {
        if kind == 0 || len > rest.len() {
            return Some(at);
        }
        at += HEADER_BYTES + len;
    }
    None
}

/// Whether a whole, undamaged record that begins a commit stands here.
fn begins_commit(bytes: &[u8]) -> bool {
    let Some((masked, len, kind, rest)) = read_header(bytes) else { return false };
    if !BEGINS.contains(&kind) || len < COMMIT_BYTES_MIN {
        return false;
    }
    rest.get(..len).is_some_and(|payload| masked_crc(kind, payload) == masked)
}

/// The checksum of a record as it stands in its header, over its kind and its payload.
fn masked_crc(kind: u8, payload: &[u8]) -> u32 {
    // Built at each call: only damaged logs come here.
    let crc32c = Crc::<u32>::new(&CRC_32_ISCSI);
    let mut digest = crc32c.digest();
    digest.update(&[kind]);
    digest.update(payload);
    digest.finalize().rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = masked_crc(kind, payload).to_le_bytes().to_vec();
        out.extend((payload.len() as u16).to_le_bytes());
        out.push(kind);
        out.extend(payload);
        out
    }

    #[test]
    fn a_torn_end_is_no_hole() {
        let log = [record(1, &[7; 40]), record(1, &[8; 40])].concat();
        for end in 0..log.len() {
            assert_eq!(find(&log[..end]).unwrap(), None, "{end}");
            let zeros = [&log[..end], &[0; 5000]].concat();
            assert_eq!(find(&zeros[..]).unwrap(), None, "{end}");
        }
    }

    #[test]
    fn a_commit_behind_damage_is_a_hole() {
        let log = [record(1, &[7; 40]), record(1, &[8; 40]), record(1, &[9; 40])].concat();
        let mut length = log.clone();
        length[47 + 5] = 0xff;
        assert_eq!(find(&length[..]).unwrap(), Some(47));
        let mut zero = log;
        zero[47..54].fill(0);
        assert_eq!(find(&zero[..]).unwrap(), Some(47));
        // In a later block, too.
        let first = record(1, &vec![7; BLOCK_BYTES - 1000]);
        let mut blocks = [first, vec![0; 1000 - HEADER_BYTES], record(1, &[9; 40])].concat();
        assert_eq!(find(&blocks[..]).unwrap(), Some(BLOCK_BYTES as u64 - 1000 + 7));
        // A later part of the same commit proves nothing.
        blocks.truncate(BLOCK_BYTES);
        blocks.extend(record(4, &[9; 40]));
        assert_eq!(find(&blocks[..]).unwrap(), None);
    }
}
