//! What the machine says: limits, cores, and what a server process has used (`proc(5)`).

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// Microseconds in a clock tick of `/proc`; the kernel's USER_HZ is 100 on every architecture that Rust knows.
const TICK_US: u64 = 10_000;

/// What a server process has used, and what the machine holds for it.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
    /// Interrupts of the server's core, 0 when it is not named.
    pub(crate) softirq_us: u64,
    /// All that the server's core did besides idling.
    pub(crate) core_busy_us: u64,
    pub(crate) rss_kib: u64,
    /// Of the whole machine: what the kernel cannot give back, sockets of both ends included.
    pub(crate) kernel_kib: u64,
    pub(crate) voluntary: u64,
    pub(crate) involuntary: u64,
}

impl Sample {
    /// Reads all of it.
    ///
    /// # Errors
    /// Words, when there is no such process.
    pub(crate) fn take(pid: u32, core: Option<usize>) -> Result<Self, String> {
        let missing = |error: std::io::Error| format!("--server-pid {pid}: {error}");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(missing)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(missing)?;
        let mut sample = Self { rss_kib: field(&status, "VmRSS:"), ..Self::default() };
        // The name in parentheses may hold anything; the fields count from behind it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        sample.user_us = number(11) * TICK_US;
        sample.system_us = number(12) * TICK_US;
        for thread in fs::read_dir(format!("/proc/{pid}/task")).map_err(missing)?.flatten() {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            sample.voluntary += field(&status, "voluntary_ctxt_switches:");
            sample.involuntary += field(&status, "nonvoluntary_ctxt_switches:");
        }
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        sample.kernel_kib = field(&memory, "SUnreclaim:");
        if let Some(core) = core {
            (sample.softirq_us, sample.core_busy_us) = core_times(core)?;
        }
        Ok(sample)
    }

    /// What was used since an earlier one. Memory is what it is now.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            user_us: self.user_us.saturating_sub(before.user_us),
            system_us: self.system_us.saturating_sub(before.system_us),
            softirq_us: self.softirq_us.saturating_sub(before.softirq_us),
            core_busy_us: self.core_busy_us.saturating_sub(before.core_busy_us),
            voluntary: self.voluntary.saturating_sub(before.voluntary),
            involuntary: self.involuntary.saturating_sub(before.involuntary),
            ..*self
        }
    }

    /// CPU with the interrupts done for it, which are counted once: see [`softirq_stands_apart`].
    pub(crate) fn cpu_us(&self, softirq_stands_apart: bool) -> u64 {
        self.user_us + self.system_us + if softirq_stands_apart { self.softirq_us } else { 0 }
    }
}

/// Whether the kernel counts softirq time outside the process that it interrupted. Without `IRQ_TIME_ACCOUNTING` a
/// process's system time holds the softirqs that its own sends raise, and adding the core's would count them twice. A
/// kernel that does not say how it was built is taken as one without.
pub(crate) fn softirq_stands_apart() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let packed = Command::new("zcat").arg("/proc/config.gz").stderr(Stdio::null()).output();
    let packed = packed.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let config =
        packed.or_else(|| fs::read(format!("/boot/config-{}", release.trim())).ok()).unwrap_or_default();
    String::from_utf8_lossy(&config).lines().any(|line| line == "CONFIG_IRQ_TIME_ACCOUNTING=y")
}

fn core_times(core: usize) -> Result<(u64, u64), String> {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let name = format!("cpu{core} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name));
    let line = line.ok_or_else(|| format!("--server-core {core}: this machine has no such core"))?;
    let times: Vec<u64> = line.split_whitespace().map(|text| text.parse().unwrap_or(0)).collect();
    // user nice system idle iowait irq softirq steal
    let at = |index: usize| times.get(index).copied().unwrap_or(0) * TICK_US;
    let interrupts = at(5) + at(6);
    Ok((interrupts, at(0) + at(1) + at(2) + interrupts))
}

/// The first number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Most memory that this process ever had, KiB.
pub(crate) fn own_peak_kib() -> u64 {
    field(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmHWM:")
}

/// Binds this process's threads to a core.
pub(crate) fn pin(cpu: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    if cpu >= CpuSet::MAX_CPU {
        return Err(format!("--cpu {cpu}: no such core"));
    }
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|error| format!("--cpu {cpu}: {error}"))
}

/// Raises the soft limit of descriptors to the hard one.
pub(crate) fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // A refusal leaves what there is; whoever needs more is told by the count below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Descriptors that a process of this user may hold.
pub(crate) fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Descriptors that another process may hold; `None` when it does not say.
pub(crate) fn descriptors_of(pid: u32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Ports for the local end of a connection, for each local address.
pub(crate) fn local_ports() -> u64 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().filter_map(|text| text.parse::<u64>().ok());
    match (ends.next(), ends.next()) {
        (Some(first), Some(last)) => last.saturating_sub(first) + 1,
        _ => 28_232,
    }
}

/// The machine in a line: processor, cores, kernel, memory.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']).trim().to_owned();
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let gib = field(&read("/proc/meminfo"), "MemTotal:") / (1024 * 1024);
    format!("{model}, {cores} cores, Linux {}, {gib} GiB", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_sampled() {
        let before = Sample::take(std::process::id(), Some(0)).unwrap();
        let mut sum = 0_u64;
        while Sample::take(std::process::id(), None).unwrap().since(&before).cpu_us(false) < 2 * TICK_US {
            sum = sum.wrapping_add((0..10_000).sum::<u64>());
        }
        let after = Sample::take(std::process::id(), Some(0)).unwrap();
        assert!(after.rss_kib > 0 && after.voluntary + after.involuntary > 0 && sum > 0);
        assert!(Sample::take(std::process::id(), Some(100_000)).is_err());
        assert!(Sample::take(0, None).is_err());
        assert!(descriptors_of(std::process::id()).is_some() && descriptors() > 0);
    }
}
