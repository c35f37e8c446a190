//! Whose the files of a data directory are, and who else may read them.
//!
//! A tool that root runs on the directory of another user would leave files there that this user's server cannot open. So it
//! acts as the directory's owner: with the owner's user and group, and of root's rights only that of reading everything,
//! because the way to the directory may be closed to its owner (systemd's `/var/lib/private`). What lies elsewhere is
//! root's business ([`outside`]).

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::process::{Gid, Uid, geteuid, umask};
use rustix::thread::{CapabilitySet, CapabilitySets};
use rustix::thread::{capabilities, set_capabilities};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Whom this process acts for.
static OWNER: OnceLock<Uid> = OnceLock::new();

/// What this process makes is for its user alone.
pub fn keep_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Closes a data directory of ours to others, or says that it is open to them. Kubernetes gives a volume to a group that only the
/// pod is in (`fsGroup`, mode 2770): that stays.
///
/// # Errors
/// The directory cannot be looked at.
pub fn close_to_others(data: &Path) -> io::Result<()> {
    let meta = fs::metadata(data)?;
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 == 0 || is_volume_of_group(mode) {
        return Ok(());
    }
    let (place, was, owner) = (data.display(), format!("{mode:o}"), meta.uid());
    let closed = mode & !0o077;
    let is_ours = owner == geteuid().as_raw();
    if is_ours && fs::set_permissions(data, Permissions::from_mode(closed)).is_ok() {
        tracing::warn!(
            "the data directory {place} had mode {was} and was open to others; it has {closed:o} now"
        );
    } else {
        tracing::warn!(
            "the data directory {place} has mode {was} and is open to others; it is user {owner}'s and stays as it is \
             (chmod 700 closes it). The files in it are for the server's user alone"
        );
    }
    Ok(())
}

/// The setgid bit, and nothing for others.
fn is_volume_of_group(mode: u32) -> bool {
    mode & 0o2000 != 0 && mode & 0o007 == 0
}

/// From here on root acts as the owner of this directory, on this thread and on those that it starts. Anybody else, and root
/// in a directory of its own or in none, stays who they are.
///
/// # Errors
/// The system refuses.
pub fn act_as_owner_of(data: &Path) -> io::Result<()> {
    let Ok(meta) = fs::metadata(data) else { return Ok(()) };
    if !geteuid().is_root() || meta.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
    set_thread_groups(&[gid])?;
    set_thread_res_gid(None, gid, None)?;
    act_as(uid)?;
    let _ = OWNER.set(uid);
    Ok(())
}

/// Does something with files that are not in the data directory, as whoever started the tool.
///
/// # Errors
/// The system refuses.
pub fn outside<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    let Some(owner) = OWNER.get() else { return Ok(work()) };
    set_thread_res_uid(None, Uid::ROOT, None)?;
    let outcome = work();
    act_as(*owner)?;
    Ok(outcome)
}

/// The real and the saved user stay root's, so that there is a way back; the kernel then takes all rights but those of
/// `permitted`, of which one is taken up again.
fn act_as(uid: Uid) -> io::Result<()> {
    set_thread_res_uid(None, uid, None)?;
    let sets = capabilities(None)?;
    let effective = sets.permitted & CapabilitySet::DAC_READ_SEARCH;
    Ok(set_capabilities(None, CapabilitySets { effective, ..sets })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_closed_and_a_pods_volume_stays() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, then) in [
            (0o755, 0o700),
            (0o777, 0o700),
            (0o750, 0o700),
            (0o700, 0o700),
            (0o2770, 0o2770),
            (0o2775, 0o2700),
        ] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            close_to_others(folder.path()).unwrap();
            let found = fs::metadata(folder.path()).unwrap().mode() & 0o7777;
            assert_eq!(found, then, "{mode:o} became {found:o}");
        }
    }
}
