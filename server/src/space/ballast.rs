//! A file that only takes room. What fills the disk may be another program, down to the last byte; a store cannot open
//! there, and nothing could be read. The ballast is given back at such a start, writes are refused from its first moment on,
//! and it is laid down again once the disk has space.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::Space;

/// In the data directory.
const NAME: &str = "ballast";
/// Its size, unless the disk is small: what a store lays out and writes when it opens is some MiB.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// On a small disk it is one part in so many.
const PART: u64 = 4;

/// How much room it takes on this disk.
pub(super) fn bytes(space: Space) -> u64 {
    (space.size / PART).min(BYTES_MAX)
}

/// Gives the room back if there is less left than the ballast takes. Says whether it did.
///
/// # Errors
/// The disk cannot be looked at, or the file cannot be removed.
pub fn give_back_if_full(data: &Path) -> io::Result<bool> {
    let file = path(data);
    if !file.exists() {
        return Ok(false);
    }
    let space = Space::of(data)?;
    let full = space.free < bytes(space);
    if full {
        fs::remove_file(&file)?;
        tracing::error!(
            free = space.free,
            "the disk is full: the ballast is given back, and only reads are served"
        );
    }
    Ok(full)
}

/// Lays it down, if it is not there and so much is free beside it.
///
/// # Errors
/// The system's; nothing is left behind.
pub(super) fn lay(data: &Path, space: Space, beside: u64) -> io::Result<()> {
    let file = path(data);
    if file.exists() || space.free < bytes(space).saturating_add(beside) {
        return Ok(());
    }
    // Under its name it has its size: a process that dies on the way leaves another name, which is taken the next time.
    let new = file.with_extension("new");
    let laid = File::create(&new)
        .and_then(|made| Ok(fallocate(&made, FallocateFlags::empty(), 0, bytes(space).max(1))?))
        .and_then(|()| fs::rename(&new, &file));
    if laid.is_err() {
        let _ = fs::remove_file(&new);
    }
    laid
}

fn path(data: &Path) -> PathBuf {
    data.join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn it_takes_a_part_of_a_small_disk_and_little_of_a_large_one() {
        assert_eq!(bytes(Space { size: 40 * MIB, free: 0 }), 10 * MIB);
        assert_eq!(bytes(Space { size: 1 << 40, free: 0 }), BYTES_MAX);
    }

    #[test]
    fn it_is_laid_where_there_is_room_and_given_back_where_there_is_none() {
        let data = tempfile::tempdir().unwrap();
        let space = Space { size: 40 * MIB, free: 20 * MIB };
        lay(data.path(), space, 11 * MIB).unwrap();
        assert!(!path(data.path()).exists(), "the reserve comes first");
        lay(data.path(), space, MIB).unwrap();
        assert_eq!(path(data.path()).metadata().unwrap().len(), 10 * MIB);
        // This machine's disk has space.
        assert!(!give_back_if_full(data.path()).unwrap());
        assert!(path(data.path()).exists());
    }
}
