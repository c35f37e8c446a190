//! Whether this kernel, container and user may use io_uring as the driver needs it, found out once at start.

use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use io_uring::register::Probe;
use io_uring::{IoUring, opcode};
use thiserror::Error;

use super::ring::Ring;

/// What the driver asks of a ring, by name.
const NEEDED: &[(u8, &str)] = &[
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::AcceptMulti::CODE, "ACCEPT"),
    (opcode::RecvMulti::CODE, "RECV"),
    (opcode::Send::CODE, "SEND"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
];

/// Why there is no ring.
#[derive(Debug, Error)]
pub enum NoRing {
    /// By sysctl or seccomp.
    #[error(
        "io_uring is forbidden here (EPERM): by sysctl kernel.io_uring_disabled, or by the container's seccomp profile, \
         which Docker's is by default"
    )]
    Forbidden,
    /// By kernel or seccomp.
    #[error(
        "there is no io_uring here (ENOSYS): the kernel is older than Linux 5.19, or a seccomp profile hides it"
    )]
    Absent,
    /// It is too old.
    #[error("this kernel's io_uring lacks {what}: Linux 6.0 or later has it")]
    Lacks {
        /// What it does not know.
        what: String,
    },
    /// Its memory counts as locked.
    #[error(
        "io_uring has no memory (ENOMEM): raise the limit of locked memory (ulimit -l, LimitMEMLOCK=) to 1 MiB a shard"
    )]
    Memory,
    /// A filter kills whoever asks.
    #[error("whoever asks for io_uring is killed here ({how}): by a seccomp profile")]
    Killed {
        /// How the process that asked ended.
        how: String,
    },
    /// Anything else.
    #[error("io_uring cannot be used: {0}")]
    Other(io::Error),
}

impl NoRing {
    /// What an error of the setup means.
    #[must_use]
    pub fn of(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Forbidden,
            Some(libc::ENOSYS) => Self::Absent,
            Some(libc::EINVAL | libc::EOPNOTSUPP) => {
                Self::Lacks { what: "a flag or a list of buffers".to_owned() }
            }
            Some(libc::ENOMEM) => Self::Memory,
            _ if error.kind() == ErrorKind::Unsupported => Self::Lacks { what: error.to_string() },
            _ => Self::Other(error),
        }
    }
}

/// [`probe`], where nothing can happen to this process by it: a seccomp filter may kill whoever asks for io_uring, so where
/// there is a filter another process asks first, `maru probe-io`.
///
/// # Errors
/// What is missing.
pub(crate) fn probe_safely() -> Result<(), NoRing> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if is_filtered(&status) {
        let mut other = Command::new("/proc/self/exe");
        let other = other.arg("probe-io").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let ended = other.status().map_err(NoRing::Other)?;
        // An exit code of its own says no more than what this process finds out itself.
        if ended.signal().is_some() {
            return Err(NoRing::Killed { how: ended.to_string() });
        }
    }
    probe()
}

/// Whether a seccomp filter looks at the system calls of the process with this `/proc/PID/status`.
fn is_filtered(status: &str) -> bool {
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

/// Makes a ring as a shard would, and looks whether it has everything.
///
/// # Errors
/// What is missing.
pub(crate) fn probe() -> Result<(), NoRing> {
    let mut probe = Probe::new();
    let ring = IoUring::new(2).map_err(NoRing::of)?;
    ring.submitter().register_probe(&mut probe).map_err(NoRing::of)?;
    drop(ring);
    lacks(|code| probe.is_supported(code))?;
    Ring::new().map(drop).map_err(NoRing::of)
}

/// Whether an operation that is needed is not there.
fn lacks(is_supported: impl Fn(u8) -> bool) -> Result<(), NoRing> {
    match NEEDED.iter().find(|(code, _)| !is_supported(*code)) {
        Some((_, name)) => Err(NoRing::Lacks { what: format!("the operation {name}") }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::{Style, best};
    use super::*;

    #[test]
    fn each_operation_that_is_missing_is_named() {
        assert!(lacks(|_| true).is_ok());
        for (missing, name) in NEEDED {
            let found = lacks(|code| code != *missing).unwrap_err().to_string();
            assert!(found.contains(name), "{found}");
        }
    }

    #[test]
    fn a_filter_is_seen() {
        let status = |mode: &str| format!("Name:\tmaru\nSeccomp:\t{mode}\nSeccomp_filters:\t2\n");
        assert!(is_filtered(&status("2")));
        assert!(!is_filtered(&status("0")) && !is_filtered(&status("1")) && !is_filtered(""));
    }

    #[test]
    fn every_error_of_the_setup_says_what_to_do() {
        for (errno, words) in [
            (libc::EPERM, "kernel.io_uring_disabled"),
            (libc::EACCES, "seccomp"),
            (libc::ENOSYS, "older"),
            (libc::EINVAL, "Linux 6.0"),
            (libc::ENOMEM, "LimitMEMLOCK"),
            (libc::EMFILE, "os error 24"),
        ] {
            let said = NoRing::of(io::Error::from_raw_os_error(errno)).to_string();
            assert!(said.contains(words), "{errno}: {said}");
        }
    }

    #[test]
    fn a_kernel_that_does_not_know_a_flag_is_asked_without_it() {
        let einval = || io::Error::from_raw_os_error(libc::EINVAL);
        for knows in Style::ALL {
            let found = best(|style| if style == knows { Ok(style) } else { Err(einval()) });
            assert_eq!(found.unwrap(), knows);
        }
        let mut asked = 0;
        let none = best(|_| {
            asked += 1;
            Err::<(), _>(einval())
        });
        assert_eq!((asked, none.unwrap_err().raw_os_error()), (3, Some(libc::EINVAL)));
        let mut asked = 0;
        let forbidden = best(|_| {
            asked += 1;
            Err::<(), _>(io::Error::from_raw_os_error(libc::EPERM))
        });
        assert_eq!((asked, forbidden.unwrap_err().raw_os_error()), (1, Some(libc::EPERM)));
    }
}
