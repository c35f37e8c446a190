//! What the settings ask for, against what is there: cores, memory, certificate, ports, database, unit.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use api::PostgresUrl;

use crate::config::Config;

use super::{Finding, kernel};

/// From so many days before its end on a certificate is mentioned.
const DAYS_LEFT_WANTED: i64 = 14;
/// User memory and half of the kernel's of an idle connection (docs/performance.md).
const CONNECTION_BYTES: u64 = 4096;
/// What the process needs besides: code, threads, tables.
const BASE_BYTES: u64 = 128 << 20;
/// Threads at the least: shards, stores, readers, compaction, control plane.
const TASKS_LEAST: u64 = 128;

pub(super) fn config(config: &Config) -> Finding {
    match config.refuse_clear_text() {
        Err(error) => Finding::wrong("settings", error.to_string(), "set it as the line says"),
        Ok(()) => Finding::fine("settings", format!("data in {}", config.data.display())),
    }
}

/// `shards`: as set.
pub(super) fn cores(cores: usize, shards: Option<u16>) -> Finding {
    const CHECK: &str = "cores";
    match shards.map(usize::from) {
        Some(shards) if shards > cores => Finding::advice(
            CHECK,
            format!("{shards} shards on {cores} cores: they wait for each other"),
            format!("shards = {cores}, or auto"),
        ),
        Some(shards) => Finding::fine(CHECK, format!("{cores}, {shards} shards")),
        None => Finding::fine(CHECK, format!("{cores}, a shard each")),
    }
}

/// Bytes that there are, and that are set.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    pub(super) total: Option<u64>,
    pub(super) cache: u64,
    pub(super) memtables: u64,
    /// `None`: half of all.
    pub(super) waiting: Option<u64>,
}

impl Memory {
    /// The most that is taken without one connection.
    fn taken(self, total: u64) -> u64 {
        let fixed = self.cache.saturating_add(self.memtables).saturating_add(BASE_BYTES);
        fixed.saturating_add(self.waiting.unwrap_or(total / 2))
    }
}

pub(super) fn memory(memory: Memory) -> Finding {
    const CHECK: &str = "memory";
    let Some(total) = memory.total else { return Finding::unseen(CHECK, "cannot be read") };
    let taken = memory.taken(total);
    let mib = |bytes: u64| bytes >> 20;
    let sum = format!("cache_mib, memtable_mib and waiting_mib come to {} of {} MiB", mib(taken), mib(total));
    if taken > total {
        let change = "smaller cache_mib, memtable_mib or waiting_mib, or more memory: the kernel ends what takes too much";
        return Finding::wrong(CHECK, sum, change);
    }
    let connections = (total - taken) / CONNECTION_BYTES;
    Finding::fine(CHECK, format!("{sum}; the rest is for {connections} idle connections"))
}

pub(super) fn half_certificate() -> Finding {
    let found = "of tls_cert and tls_key only one is set";
    Finding::wrong("certificate", found, "set both, or neither")
}

pub(super) fn own_certificate(has_tls: bool) -> Finding {
    let found = "none is set; the first start makes a self-signed one";
    if !has_tls {
        return Finding::fine("certificate", format!("{found} for QUIC, which devices pin"));
    }
    Finding::advice("certificate", found, "tls_cert and tls_key, unless every client is told the fingerprint")
}

pub(super) fn certificate(path: &Path, days_left: Result<i64, String>) -> Finding {
    const CHECK: &str = "certificate";
    let shown = path.display();
    match days_left {
        Err(fault) => Finding::wrong(CHECK, fault, "mend it; the server does not start with it"),
        Ok(days) if days < 0 => {
            Finding::wrong(CHECK, format!("{shown} expired {} days ago", -days), "get a new one")
        }
        Ok(days) if days < DAYS_LEFT_WANTED => Finding::advice(
            CHECK,
            format!("{shown} is valid for {days} more days"),
            "see why it was not renewed",
        ),
        Ok(days) => Finding::fine(CHECK, format!("{shown} is valid for {days} more days")),
    }
}

/// `bound`: whether we could listen there; `process`: a server that has the data directory.
pub(super) fn port(
    key: &'static str,
    address: SocketAddr,
    bound: io::Result<()>,
    process: Option<u32>,
) -> Finding {
    let error = match bound {
        Ok(()) if address.port() == 0 => return Finding::fine(key, "a free port is taken"),
        Ok(()) => return Finding::fine(key, format!("{address} is free")),
        Err(error) => error,
    };
    match (error.kind(), process) {
        (io::ErrorKind::AddrInUse, Some(process)) => Finding::fine(
            key,
            format!("{address} is in use, and a server runs on the data directory (process {process})"),
        ),
        (io::ErrorKind::AddrInUse, None) => {
            let change = format!(
                "another address for {key}, or stop who has it (ss -lntup | grep :{})",
                address.port()
            );
            Finding::wrong(
                key,
                format!("{address} is in use, and no server runs on the data directory"),
                change,
            )
        }
        (io::ErrorKind::PermissionDenied, _) => {
            let change = "CapabilityBoundingSet= and AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or a port above 1023";
            Finding::wrong(key, format!("{address} may not be listened on by this user"), change)
        }
        _ => {
            let change = format!("an address of this machine for {key}");
            Finding::wrong(key, format!("{address} cannot be listened on: {error}"), change)
        }
    }
}

pub(super) fn database(url: &PostgresUrl, version: Result<String, String>) -> Finding {
    match version {
        Ok(version) => {
            let short = version.split(" on ").next().unwrap_or_default().to_owned();
            Finding::fine("accounts", format!("{url:?}: {short}"))
        }
        Err(error) => {
            let change = "start it, or mend the URL: without its accounts the server does not start";
            Finding::wrong("accounts", error, change)
        }
    }
}

/// What systemd says of the unit, a line `Name=value` each; nothing where it has none.
pub(super) fn unit(text: Option<&str>, memory: Memory) -> Vec<Finding> {
    let text = text.unwrap_or_default();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    if value("LoadState") != Some("loaded") {
        return Vec::new();
    }
    // "infinity" is no number.
    let number = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
    let mut findings = Vec::new();
    if let Some(files) = number("LimitNOFILE") {
        let limits = format!("Max open files {files} {files}");
        let room = kernel::Room { shards: 1, http: 1024 };
        findings
            .push(Finding { check: "unit, LimitNOFILE", ..kernel::descriptors(Some(&limits), false, room) });
    }
    if let Some(most) = number("MemoryMax").filter(|most| memory.taken(*most) > *most) {
        let found = format!("{} MiB, less than the settings ask for", most >> 20);
        findings.push(Finding::wrong("unit, MemoryMax", found, "raise it, or take smaller caches"));
    }
    if let Some(most) = number("TasksMax").filter(|most| *most < TASKS_LEAST) {
        let found = format!("{most} threads");
        findings.push(Finding::wrong("unit, TasksMax", found, format!("at least {TASKS_LEAST}")));
    }
    if value("LimitCORE").is_some_and(|most| most != "0") {
        let found = "a core dump has keys and messages in it";
        findings.push(Finding::advice("unit, LimitCORE", found, "LimitCORE=0"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Advice, Fine, Unseen, Wrong};
    use super::*;

    const MIB: u64 = 1 << 20;
    const SET: Memory =
        Memory { total: Some(4096 * MIB), cache: 256 * MIB, memtables: 256 * MIB, waiting: None };

    #[test]
    fn cores_and_memory_are_weighed() {
        assert_eq!(cores(4, None).verdict, Fine);
        assert_eq!(cores(4, Some(4)).verdict, Fine);
        assert_eq!(cores(4, Some(5)).verdict, Advice);
        assert_eq!(memory(SET).verdict, Fine);
        assert_eq!(memory(Memory { total: Some(1024 * MIB), ..SET }).verdict, Wrong);
        assert_eq!(memory(Memory { total: Some(1024 * MIB), waiting: Some(64 * MIB), ..SET }).verdict, Fine);
        assert_eq!(memory(Memory { total: None, ..SET }).verdict, Unseen);
    }

    #[test]
    fn settings_and_certificates_are_weighed() {
        assert_eq!(config(&Config::default()).verdict, Fine);
        let open = Config { http: "0.0.0.0:80".parse().unwrap(), ..Config::default() };
        assert_eq!(config(&open).verdict, Wrong);
        let path = Path::new("c.pem");
        for (days, verdict) in [(-1, Wrong), (0, Advice), (13, Advice), (14, Fine)] {
            assert_eq!(certificate(path, Ok(days)).verdict, verdict, "{days}");
        }
        assert_eq!(certificate(path, Err("mode 644".into())).verdict, Wrong);
        assert_eq!(half_certificate().verdict, Wrong);
        assert_eq!((own_certificate(false).verdict, own_certificate(true).verdict), (Fine, Advice));
    }

    #[test]
    fn ports_are_weighed() {
        let address = "127.0.0.1:8080".parse().unwrap();
        let fault = |kind: io::ErrorKind| Err(io::Error::from(kind));
        assert_eq!(port("http", address, Ok(()), None).verdict, Fine);
        assert_eq!(port("http", address, fault(io::ErrorKind::AddrInUse), Some(7)).verdict, Fine);
        assert_eq!(port("http", address, fault(io::ErrorKind::AddrInUse), None).verdict, Wrong);
        assert!(
            port("http", address, fault(io::ErrorKind::PermissionDenied), None).change.contains("CAP_NET")
        );
        assert_eq!(port("http", address, fault(io::ErrorKind::AddrNotAvailable), None).verdict, Wrong);
    }

    #[test]
    fn databases_are_weighed() {
        let url = PostgresUrl::parse("postgres://me:secret@db:5432/maru").unwrap();
        let fine = database(&url, Ok("PostgreSQL 15.3 on x86_64".into()));
        assert_eq!((fine.verdict, fine.found.contains("PostgreSQL 15.3")), (Fine, true));
        assert!(!fine.found.contains("secret"));
        assert_eq!(database(&url, Err("refused".into())).verdict, Wrong);
    }

    #[test]
    fn units_are_weighed() {
        assert_eq!(unit(None, SET), []);
        assert_eq!(unit(Some("LoadState=not-found\nLimitNOFILE=1\n"), SET), []);
        let good = "LoadState=loaded\nLimitNOFILE=1048576\nMemoryMax=infinity\nTasksMax=4915\nLimitCORE=0\n";
        let found: Vec<_> = unit(Some(good), SET).iter().map(|finding| finding.verdict).collect();
        assert_eq!(found, [Fine]);
        let bad = "LoadState=loaded\nLimitNOFILE=1024\nMemoryMax=268435456\nTasksMax=8\nLimitCORE=infinity\n";
        let found: Vec<_> = unit(Some(bad), SET).iter().map(|finding| finding.verdict).collect();
        assert_eq!(found, [Wrong, Wrong, Wrong, Advice]);
    }
}
