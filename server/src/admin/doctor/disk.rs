//! The data directory and the disk below it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Config;
use crate::space::{Keep, Space};

use super::Finding;

/// File systems that keep nothing, lie about syncs or locks, or belong to another machine.
const UNFIT: &[&str] =
    &["tmpfs", "ramfs", "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "vboxsf", "virtiofs"];
/// Above it people feel each message; above that nothing is quick any more.
const SYNC_SLOW: Duration = Duration::from_millis(5);
const SYNC_TOO_SLOW: Duration = Duration::from_millis(100);
/// No disk is that quick: a page that was written to memory and nowhere else.
const SYNC_TOO_QUICK: Duration = Duration::from_micros(5);

/// `there`: owner and mode; `None` when the directory is not there.
pub(super) fn directory(path: &Path, there: Option<(u32, u32)>, user: u32) -> Finding {
    const CHECK: &str = "data directory";
    let shown = path.display();
    match there {
        None => Finding::fine(CHECK, format!("{shown} is not there; the server makes it")),
        Some((_, mode)) if mode & 0o077 != 0 => Finding::wrong(
            CHECK,
            format!("{shown} has mode {mode:o}: others on this machine may look into messages and accounts"),
            format!("chmod 700 {shown}"),
        ),
        Some((owner, _)) if owner != user && user != 0 => Finding::wrong(
            CHECK,
            format!("{shown} belongs to user {owner}, and you are user {user}"),
            "run this as the user that the server runs as, or as root",
        ),
        Some((owner, mode)) => Finding::fine(CHECK, format!("{shown}, mode {mode:o}, of user {owner}")),
    }
}

/// `mounts`: /proc/self/mountinfo; `path` is absolute and has no links in it.
pub(super) fn kind(mounts: Option<&str>, path: &Path) -> Finding {
    const CHECK: &str = "file system";
    let found = mounts.and_then(|mounts| file_system(mounts, path));
    let Some(kind) = found else { return Finding::unseen(CHECK, "cannot be read") };
    let change = "put the data directory on a disk of this machine: ext4 or xfs, a volume in a container";
    if UNFIT.contains(&kind) || kind.starts_with("fuse") {
        let found = format!("{kind}: what was synced may be gone after a power loss, and locks may not hold");
        return Finding::wrong(CHECK, found, change);
    }
    if kind == "overlay" {
        return Finding::advice(CHECK, "overlay: the layer of a container, which goes with it", change);
    }
    Finding::fine(CHECK, kind)
}

/// The last mount whose point is the longest beginning of a path: `36 35 98:0 /root /point options - ext4 ...`.
fn file_system<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let points = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let point = PathBuf::from(plain(before.split(' ').nth(4)?));
        path.starts_with(&point).then(|| (point.components().count(), after.split(' ').next()))
    });
    points.max_by_key(|(length, _)| *length)?.1
}

/// The kernel writes blanks as \040.
fn plain(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

pub(super) fn space(space: Space, config: &Config) -> Finding {
    const CHECK: &str = "space";
    let needed = config.storage().space_needed();
    let reserve = space.reserve(Keep { set: config.space_reserve_bytes, needed });
    let found = format!("{} MiB free, of which {} are kept back", space.free >> 20, reserve >> 20);
    let change = "make room, or take a larger disk: history is for ever";
    if space.free < reserve {
        Finding::wrong(CHECK, format!("{found}: sends are refused"), change)
    } else if space.free < reserve.saturating_mul(3) {
        Finding::advice(CHECK, found, change)
    } else {
        Finding::fine(CHECK, found)
    }
}

/// `took`: times of writes that were synced, in rising order.
pub(super) fn syncs(took: std::io::Result<Vec<Duration>>) -> Finding {
    const CHECK: &str = "fsync";
    let took = match took {
        Ok(took) => took,
        Err(error) => {
            return Finding::unseen(CHECK, format!("cannot write where the data is to be: {error}"));
        }
    };
    let (Some(median), Some(worst)) = (took.get(took.len() / 2), took.last()) else {
        return Finding::unseen(CHECK, "nothing was measured");
    };
    let ms = |time: &Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    let found = format!("{} in the median of {}, {} at worst", ms(median), took.len(), ms(worst));
    let change =
        "a disk with power-loss protection, and nothing else that writes to it: each ack waits for it";
    if *median >= SYNC_TOO_SLOW {
        Finding::wrong(CHECK, found, change)
    } else if *median >= SYNC_SLOW {
        Finding::advice(CHECK, found, change)
    } else if *median < SYNC_TOO_QUICK {
        let change =
            "see that a sync reaches the disk: write cache of the virtual machine, nobarrier, libeatmydata";
        Finding::advice(CHECK, format!("{found}: no disk is so quick"), change)
    } else {
        Finding::fine(CHECK, found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Advice, Fine, Unseen, Wrong};
    use super::*;

    #[test]
    fn directories_are_weighed() {
        let verdict = |there, user| directory(Path::new("/d"), there, user).verdict;
        assert_eq!(verdict(None, 7), Fine);
        assert_eq!(verdict(Some((7, 0o700)), 7), Fine);
        assert_eq!(verdict(Some((7, 0o700)), 0), Fine, "root looks for another");
        assert_eq!(verdict(Some((7, 0o755)), 7), Wrong);
        assert_eq!(verdict(Some((7, 0o710)), 7), Wrong);
        assert_eq!(verdict(Some((8, 0o700)), 7), Wrong);
        assert_eq!(directory(Path::new("/d"), Some((7, 0o755)), 7).change, "chmod 700 /d");
    }

    #[test]
    fn file_systems_are_found_and_weighed() {
        let mounts = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
                      30 22 0:25 / /tmp rw - tmpfs tmpfs rw\n31 22 0:26 / /srv/my\\040data rw - xfs /dev/vdb rw\n\
                      32 22 0:27 / /net rw - nfs4 host:/x rw\n33 22 0:28 / /f rw - fuse.sshfs x rw\n";
        assert_eq!(file_system(mounts, Path::new("/var/lib/maru")), Some("ext4"));
        assert_eq!(file_system(mounts, Path::new("/tmp/x")), Some("tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/tmpx")), Some("ext4"), "whole names only");
        assert_eq!(file_system(mounts, Path::new("/srv/my data/maru")), Some("xfs"));
        assert_eq!(file_system("", Path::new("/x")), None);
        for (path, verdict) in
            [("/var", Fine), ("/tmp/x", Wrong), ("/net/x", Wrong), ("/f", Wrong), ("/srv/my data", Fine)]
        {
            assert_eq!(kind(Some(mounts), Path::new(path)).verdict, verdict, "{path}");
        }
        let container = "1 0 0:5 / / rw - overlay overlay rw\n";
        assert_eq!(kind(Some(container), Path::new("/data")).verdict, Advice);
        assert_eq!(kind(None, Path::new("/")).verdict, Unseen);
    }

    #[test]
    fn space_is_weighed() {
        let config = Config { space_reserve_bytes: Some(100 << 20), ..Config::default() };
        let verdict = |free: u64| space(Space { size: 1 << 40, free: free << 20 }, &config).verdict;
        assert_eq!(verdict(99), Wrong);
        assert_eq!(verdict(100), Advice);
        assert_eq!(verdict(300), Fine);
    }

    #[test]
    fn syncs_are_weighed() {
        let verdict = |micros: u64| syncs(Ok(vec![Duration::from_micros(micros); 9])).verdict;
        assert_eq!(verdict(1), Advice, "it cannot have been synced");
        assert_eq!(verdict(700), Fine);
        assert_eq!(verdict(5000), Advice);
        assert_eq!(verdict(100_000), Wrong);
        assert_eq!(syncs(Ok(Vec::new())).verdict, Unseen);
        assert_eq!(syncs(Err(std::io::ErrorKind::PermissionDenied.into())).verdict, Unseen);
    }
}
