//! What the machine has: cores this process may use, and descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

/// Descriptors when there is no limit: the kernel's own default of fs.nr_open.
const DESCRIPTORS_UNLIMITED: u64 = 1 << 20;

/// The cores that this process may use, by number; at least one.
pub(crate) fn available() -> Vec<u16> {
    let Ok(set) = sched_getaffinity(None) else { return vec![0] };
    let cores = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core));
    let cores: Vec<u16> = cores.filter_map(|core| u16::try_from(core).ok()).collect();
    if cores.is_empty() { vec![0] } else { cores }
}

/// Raises the number of descriptors to what the system allows: connections need them.
pub(crate) fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "cannot raise the limit of open descriptors");
    }
}

/// How many descriptors there may be.
pub(super) fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS_UNLIMITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_core() {
        let cores = available();
        assert!(!cores.is_empty() && cores.is_sorted());
    }

    #[test]
    fn descriptors_are_raised() {
        raise_descriptors();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert!(descriptors() > 0);
    }
}
