//! What the kernel was set to: descriptors, sockets, memory, clocks.

use crate::driver::{BACKLOG, SOCKET_BYTES};

use super::Finding;

/// Fewer connections than that are a server for a handful of people.
const CONNECTIONS_LEAST: u64 = 1024;
/// Up to so many connections a machine of some GiB serves without thinking about it.
const CONNECTIONS_WANTED: u64 = 60_000;
/// Descriptors of the process itself: driver, control plane (docs/operations.md, Open files).
const DESCRIPTORS_OWN: u64 = 448;
/// 2026-01-01: a clock before this program was made is wrong.
const BUILT_AFTER_MS: u64 = 1_767_225_600_000;
/// Clock sources that are read without a system call.
const QUICK_CLOCKS: &[&str] =
    &["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen", "riscv_clocksource"];
/// Bytes of a page of the kernel, at least.
const PAGE_BYTES: u64 = 4096;

/// Who else wants descriptors.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) shards: u64,
    pub(super) http: u64,
}

/// `limits`: a process's file of that name; `is_server`: it is the running server's, whose soft limit counts.
pub(super) fn descriptors(limits: Option<&str>, is_server: bool, room: Room) -> Finding {
    const CHECK: &str = "descriptors";
    let line = limits.and_then(|text| text.lines().find_map(|line| line.strip_prefix("Max open files")));
    let Some(line) = line else { return Finding::unseen(CHECK, "the limits of the process cannot be read") };
    // "unlimited" is what the kernel's fs.nr_open allows.
    let mut numbers = line.split_whitespace().map(|word| word.parse().unwrap_or(1 << 20));
    let (soft, hard): (u64, u64) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let limit = if is_server { soft } else { hard };
    let others = limit / 16 + room.http + DESCRIPTORS_OWN;
    let connections = limit.saturating_sub(others).max(16 * room.shards);
    let whose = if is_server { "the running server" } else { "a process started here" };
    let found = format!("{whose} may open {limit}, which leaves {connections} for connections");
    let change =
        "LimitNOFILE=1048576 in the unit, --ulimit nofile=1048576 for a container, ulimit -Hn in a shell";
    if connections < CONNECTIONS_LEAST {
        Finding::wrong(CHECK, found, change)
    } else if connections < CONNECTIONS_WANTED {
        Finding::advice(CHECK, found, change)
    } else {
        Finding::fine(CHECK, found)
    }
}

pub(super) fn backlog(most: Option<u64>) -> Finding {
    const CHECK: &str = "net.core.somaxconn";
    let wanted = u64::from(BACKLOG.unsigned_abs());
    match most {
        None => Finding::unseen(CHECK, "cannot be read"),
        Some(most) if most >= wanted => Finding::fine(CHECK, most.to_string()),
        Some(most) => Finding::advice(
            CHECK,
            format!("{most} connections may wait for each shard; when all devices come back at once more do"),
            format!("sysctl -w net.core.somaxconn={wanted}, and the same line in /etc/sysctl.d/maru.conf"),
        ),
    }
}

/// `which`: rmem_max or wmem_max.
pub(super) fn datagrams(which: &str, most: Option<u64>) -> Finding {
    let check = if which == "rmem_max" { "net.core.rmem_max" } else { "net.core.wmem_max" };
    match most {
        None => Finding::unseen(check, "cannot be read"),
        Some(most) if most >= SOCKET_BYTES as u64 => Finding::fine(check, most.to_string()),
        Some(most) => Finding::advice(
            check,
            format!(
                "{most} bytes; QUIC asks for {SOCKET_BYTES} a shard, and loses datagrams when a burst does not fit"
            ),
            format!(
                "sysctl -w {check}={SOCKET_BYTES}, and the same line in /etc/sysctl.d/maru.conf; or quic = \"off\""
            ),
        ),
    }
}

/// The kernel takes a share of the memory by itself; somebody may have set less.
pub(super) fn tcp_memory(pages: Option<&str>, memory: Option<u64>) -> Finding {
    const CHECK: &str = "net.ipv4.tcp_mem";
    let most = pages.and_then(|text| text.split_whitespace().nth(2)?.parse::<u64>().ok());
    let (Some(most), Some(memory)) = (most, memory) else { return Finding::unseen(CHECK, "cannot be read") };
    let bytes = most.saturating_mul(PAGE_BYTES);
    if bytes >= memory / 50 {
        return Finding::fine(CHECK, format!("{} MiB for all sockets", bytes >> 20));
    }
    Finding::advice(
        CHECK,
        format!(
            "{} MiB for all sockets, of {} MiB of memory: above it the kernel drops segments",
            bytes >> 20,
            memory >> 20
        ),
        "take the line out of /etc/sysctl.d; the kernel's own value is a share of the memory",
    )
}

/// Nothing where connections are not tracked.
pub(super) fn tracking(most: Option<u64>, now: Option<u64>) -> Option<Finding> {
    const CHECK: &str = "net.netfilter.nf_conntrack_max";
    let most = most?;
    let now = now.unwrap_or(0);
    let found = format!("{most} connections are tracked at most, {now} are now");
    let change =
        "sysctl -w net.netfilter.nf_conntrack_max=1048576, or leave Maru's ports out of tracking (notrack)";
    Some(if now > most - most / 10 {
        Finding::wrong(CHECK, format!("{found}; above it new ones are dropped without a word"), change)
    } else if most < CONNECTIONS_WANTED {
        Finding::advice(CHECK, found, change)
    } else {
        Finding::fine(CHECK, found)
    })
}

pub(super) fn overcommit(how: Option<u64>) -> Finding {
    const CHECK: &str = "vm.overcommit_memory";
    match how {
        None => Finding::unseen(CHECK, "cannot be read"),
        Some(2) => Finding::advice(
            CHECK,
            "2: memory is refused before it is used up, and a refusal ends the process",
            "sysctl -w vm.overcommit_memory=0",
        ),
        Some(how) => Finding::fine(CHECK, how.to_string()),
    }
}

/// `always [madvise] never`.
pub(super) fn huge_pages(text: Option<&str>) -> Finding {
    const CHECK: &str = "transparent huge pages";
    let chosen = text.and_then(|text| text.split_once('[')?.1.split_once(']')).map(|(chosen, _)| chosen);
    match chosen {
        None => Finding::unseen(CHECK, "cannot be read"),
        Some("always") => Finding::advice(
            CHECK,
            "always: small blocks of idle connections take up whole pages of 2 MiB",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, at each boot",
        ),
        Some(chosen) => Finding::fine(CHECK, chosen),
    }
}

pub(super) fn clock_source(source: Option<&str>) -> Finding {
    const CHECK: &str = "clock source";
    match source {
        None => Finding::unseen(CHECK, "cannot be read"),
        Some(source) if QUICK_CLOCKS.contains(&source) => Finding::fine(CHECK, source),
        Some(source) => Finding::advice(
            CHECK,
            format!("{source}: each look at the clock is a system call of a microsecond"),
            "look in the kernel's log why not tsc (dmesg | grep -i tsc), or at the settings of the virtual machine",
        ),
    }
}

pub(super) fn clock(is_synchronised: Option<bool>, now_ms: u64) -> Finding {
    const CHECK: &str = "clock";
    if now_ms < BUILT_AFTER_MS {
        let change = "set the clock: tokens, certificates and the times of messages follow from it";
        return Finding::wrong(CHECK, "it is before this program was made", change);
    }
    match is_synchronised {
        None => Finding::unseen(CHECK, "the kernel does not say whether it is synchronised"),
        Some(true) => Finding::fine(CHECK, "synchronised"),
        Some(false) => Finding::advice(
            CHECK,
            "nothing synchronises it: codes of second factors and tokens of identity providers fail when it is off",
            "run chrony or systemd-timesyncd (in a container: on its host)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Advice, Fine, Unseen, Wrong};
    use super::*;

    const ROOM: Room = Room { shards: 2, http: 1024 };

    #[test]
    fn descriptors_are_weighed() {
        let limits = |soft: &str, hard: &str| {
            format!("Limit  Soft  Hard  Units\nMax open files            {soft}      {hard}    files\n")
        };
        let verdict = |soft, hard, is_server| descriptors(Some(&limits(soft, hard)), is_server, ROOM).verdict;
        assert_eq!(verdict("1024", "1048576", false), Fine, "the soft limit is raised");
        assert_eq!(verdict("1024", "1048576", true), Wrong, "the server's is as it is");
        assert_eq!(verdict("1024", "unlimited", false), Fine);
        assert_eq!(verdict("1024", "2048", false), Wrong);
        assert_eq!(verdict("1024", "16384", false), Advice);
        assert_eq!(descriptors(None, false, ROOM).verdict, Unseen);
        let finding = descriptors(Some(&limits("1", "1024")), false, ROOM);
        assert!(finding.found.contains("may open 1024, which leaves 32"), "{}", finding.found);
        assert!(finding.change.contains("LimitNOFILE"));
    }

    #[test]
    fn sockets_are_weighed() {
        assert_eq!(backlog(Some(4096)).verdict, Fine);
        assert_eq!(backlog(Some(128)).verdict, Advice);
        assert_eq!(backlog(None).verdict, Unseen);
        assert_eq!(datagrams("rmem_max", Some(2 << 20)).verdict, Fine);
        assert_eq!(datagrams("wmem_max", Some(212_992)).verdict, Advice);
        assert!(datagrams("wmem_max", Some(212_992)).change.contains("net.core.wmem_max=2097152"));
        assert_eq!(tcp_memory(Some("281439\t375254\t562878"), Some(23 << 30)).verdict, Fine);
        assert_eq!(tcp_memory(Some("1 2 3000"), Some(8 << 30)).verdict, Advice);
        assert_eq!(tcp_memory(Some("x"), Some(1)).verdict, Unseen);
        assert_eq!(tracking(None, None), None);
        assert_eq!(tracking(Some(262_144), Some(10)).unwrap().verdict, Fine);
        assert_eq!(tracking(Some(8192), Some(10)).unwrap().verdict, Advice);
        assert_eq!(tracking(Some(262_144), Some(262_000)).unwrap().verdict, Wrong);
        assert_eq!(tracking(Some(0), Some(0)).unwrap().verdict, Advice);
    }

    #[test]
    fn memory_and_clocks_are_weighed() {
        assert_eq!(overcommit(Some(1)).verdict, Fine);
        assert_eq!(overcommit(Some(2)).verdict, Advice);
        assert_eq!(huge_pages(Some("always [madvise] never")).verdict, Fine);
        assert_eq!(huge_pages(Some("[always] madvise never")).verdict, Advice);
        assert_eq!(huge_pages(Some("none")).verdict, Unseen);
        assert_eq!(clock_source(Some("tsc")).verdict, Fine);
        assert_eq!(clock_source(Some("acpi_pm")).verdict, Advice);
        assert_eq!(clock(Some(true), BUILT_AFTER_MS).verdict, Fine);
        assert_eq!(clock(Some(false), BUILT_AFTER_MS).verdict, Advice);
        assert_eq!(clock(Some(true), 0).verdict, Wrong);
        assert_eq!(clock(None, BUILT_AFTER_MS).verdict, Unseen);
    }
}
