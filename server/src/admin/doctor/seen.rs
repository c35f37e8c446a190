//! What reads: the kernel's files, the disk's speed, the service manager's word.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Most that is read of a file of the kernel.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;
/// Writes whose syncs are timed, at most, and how long that may take.
const SYNCS_MAX: usize = 64;
const SYNCS_WITHIN: Duration = Duration::from_secs(2);
/// A commit of the store is about so large.
const SYNC_BYTES: usize = 4096;
/// The service manager answers at once or is not asked.
const UNIT_WITHIN: Duration = Duration::from_secs(3);
/// What the unit says that bears on us.
const UNIT: &[&str] =
    &["show", "maru.service", "--property=LoadState,LimitNOFILE,MemoryMax,TasksMax,LimitCORE"];

/// /proc and /sys, or a folder in their place.
pub(super) struct Seen {
    root: PathBuf,
}

impl Seen {
    pub(super) fn real() -> Self {
        Self { root: PathBuf::from("/") }
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut text = String::new();
        fs::File::open(self.root.join(path)).ok()?.take(TEXT_BYTES_MAX).read_to_string(&mut text).ok()?;
        Some(text.trim_end().to_owned())
    }

    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    /// The process that has locked this file, 0 for one of another container. Looked up and not tried: a lock that is taken for a
    /// moment would keep a server from starting.
    pub(super) fn holder(&self, lock: &Path) -> Option<u32> {
        let inode = fs::metadata(lock).ok()?.ino();
        holder_of(inode, &self.text("proc/locks")?)
    }
}

/// `1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF`: process and inode.
fn holder_of(inode: u64, locks: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (kind, process, file) = (fields.get(1)?, fields.get(4)?, fields.get(5)?);
        let found: u64 = file.rsplit(':').next()?.parse().ok()?;
        // A process of another namespace is 0, or negative.
        (*kind == "FLOCK" && found == inode).then(|| process.parse().unwrap_or(0))
    })
}

/// The user and the mode of a directory; `None` when it is not there.
pub(super) fn owner_and_mode(path: &Path) -> Option<(u32, u32)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.uid(), meta.mode() & 0o7777))
}

pub(super) fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The path itself, or the nearest folder above it that is there.
pub(super) fn nearest(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let found = path.ancestors().find(|folder| folder.is_dir())?;
    found.canonicalize().ok()
}

/// How long writing a little and syncing it takes there, in rising order. Nothing is left behind.
///
/// # Errors
/// The disk's, or that we may not write there.
pub(super) fn measure_syncs(folder: &Path) -> std::io::Result<Vec<Duration>> {
    let path = folder.join(format!(".maru-doctor-{}", std::process::id()));
    let file = fs::File::options().write(true).create_new(true).open(&path)?;
    // It has no name from here on, so nothing stays whatever happens.
    fs::remove_file(&path)?;
    let began = Instant::now();
    let mut took = Vec::with_capacity(SYNCS_MAX);
    while took.len() < SYNCS_MAX && began.elapsed() < SYNCS_WITHIN {
        let begins = Instant::now();
        std::io::Write::write_all(&mut &file, &[0x5a; SYNC_BYTES])?;
        file.sync_data()?;
        took.push(begins.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

/// Whether something sets the clock by others'; `None` where the kernel does not say.
#[allow(unsafe_code)]
pub(super) fn is_clock_synchronised() -> Option<bool> {
    let mut time = std::mem::MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: all zeros are a value of it, and one that asks and sets nothing (no mode). The kernel writes within it.
    let state = unsafe { libc::adjtimex(time.as_mut_ptr()) };
    (state >= 0).then_some(state != libc::TIME_ERROR)
}

/// What systemd says of the unit `maru.service`; `None` without systemd or without an answer in time.
pub(super) fn unit() -> Option<String> {
    if !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let mut command = Command::new("systemctl");
    command.args(UNIT).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let began = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if began.elapsed() > UNIT_WITHIN {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut text = String::new();
    child.stdout.take()?.take(TEXT_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_is_read() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fd:00:99 0 EOF\n2: FLOCK  ADVISORY  WRITE 1234 fd:00:99 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 8 fd:00:98 0 EOF\n3: FLOCK ADVISORY WRITE -1 00:2a:5 0 EOF\nshort\n";
        assert_eq!(holder_of(99, locks), Some(1234));
        assert_eq!(holder_of(5, locks), Some(0), "of another container");
        assert_eq!(holder_of(9, locks), None);
        assert_eq!(holder_of(98, locks), None, "one who waits");
    }

    #[test]
    fn a_lock_of_ours_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("LOCK");
        let file = fs::File::create(&path).unwrap();
        assert_eq!(Seen::real().holder(&path), None);
        file.lock().unwrap();
        // Containers may see no locks but their own; what is seen is ours.
        let holder = Seen::real().holder(&path);
        assert!(holder.is_none_or(|process| process == std::process::id() || process == 0), "{holder:?}");
        assert_eq!(Seen::real().holder(&folder.path().join("none")), None);
    }

    #[test]
    fn files_are_read_below_the_root() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("proc/sys")).unwrap();
        fs::write(folder.path().join("proc/sys/n"), "4096\n").unwrap();
        let seen = Seen { root: folder.path().to_owned() };
        assert_eq!(seen.number("proc/sys/n"), Some(4096));
        assert_eq!(seen.number("proc/sys/none"), None);
    }

    #[test]
    fn a_real_disk_is_measured_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let took = measure_syncs(folder.path()).unwrap();
        assert!(!took.is_empty() && took.is_sorted());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(measure_syncs(&folder.path().join("none")).is_err());
        assert_eq!(nearest(&folder.path().join("a/b")), folder.path().canonicalize().ok());
        let _ = is_clock_synchronised();
    }
}
