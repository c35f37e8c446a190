//! `maru admin doctor`: looks at the machine that a server runs on, or is to run on, and says what to change. It changes nothing itself,
//! and works beside a running server.
//!
//! Every check is a function of what was read (`kernel`, `disk`, `node`); what reads is here and in `seen`.

mod disk;
mod kernel;
mod node;
mod seen;

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::boot;
use crate::certificate;
use crate::config::{Config, ConfigError, QuicAt};
use crate::space::Space;

use seen::Seen;

/// How a thing stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// As it should be.
    Fine,
    /// It works, and would work better.
    Advice,
    /// People would notice: refused connections, lost messages, no start. The exit code is 1.
    Wrong,
    /// It could not be looked at.
    Unseen,
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Fine, Self::Advice, Self::Wrong, Self::Unseen];

    fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Advice => "advice",
            Self::Wrong => "wrong",
            Self::Unseen => "unseen",
        }
    }
}

/// What one check found.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Finding {
    /// What was looked at.
    check: &'static str,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do; empty when there is nothing to do.
    change: String,
}

impl Finding {
    fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fine, found: found.into(), change: String::new() }
    }

    fn advice(check: &'static str, found: impl Into<String>, change: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Advice, found: found.into(), change: change.into() }
    }

    fn wrong(check: &'static str, found: impl Into<String>, change: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Wrong, found: found.into(), change: change.into() }
    }

    fn unseen(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Unseen, found: found.into(), change: String::new() }
    }
}

pub(super) async fn run(
    loaded: Result<Config, ConfigError>,
    json: bool,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    let mut findings = Vec::new();
    let config = match loaded {
        Ok(config) => {
            findings.push(node::config(&config));
            config
        }
        Err(error) => {
            let change = "mend it; what follows is of a server with the defaults";
            findings.push(Finding::wrong("settings", error.to_string(), change));
            Config::default()
        }
    };
    let seen = Seen::real();
    let process = seen.holder(&config.data.join("LOCK"));
    of_kernel(&config, &seen, process, &mut findings);
    of_disk(&config, &seen, &mut findings);
    of_node(&config, process, &mut findings).await;
    out.write_all(if json { as_json(&findings) } else { as_text(&findings) }.as_bytes())?;
    let is_wrong = findings.iter().any(|finding| finding.verdict == Verdict::Wrong);
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn of_kernel(config: &Config, seen: &Seen, process: Option<u32>, findings: &mut Vec<Finding>) {
    let shards = shards(config);
    let room = kernel::Room { shards, http: config.access.limits.connections_max as u64 };
    let limits = seen.text(&match process {
        Some(process) if process > 0 => format!("proc/{process}/limits"),
        _ => "proc/self/limits".to_owned(),
    });
    findings.push(kernel::descriptors(limits.as_deref(), process.is_some(), room));
    findings.push(kernel::backlog(seen.number("proc/sys/net/core/somaxconn")));
    if config.quic != QuicAt::Off {
        for which in ["rmem_max", "wmem_max"] {
            findings.push(kernel::datagrams(which, seen.number(&format!("proc/sys/net/core/{which}"))));
        }
    }
    findings
        .push(kernel::tcp_memory(seen.text("proc/sys/net/ipv4/tcp_mem").as_deref(), boot::memory_limit()));
    let tracked = |what: &str| seen.number(&format!("proc/sys/net/netfilter/nf_conntrack_{what}"));
    findings.extend(kernel::tracking(tracked("max"), tracked("count")));
    findings.push(kernel::overcommit(seen.number("proc/sys/vm/overcommit_memory")));
    findings.push(kernel::huge_pages(seen.text("sys/kernel/mm/transparent_hugepage/enabled").as_deref()));
    let source = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    findings.push(kernel::clock_source(seen.text(source).as_deref()));
    findings.push(kernel::clock(seen::is_clock_synchronised(), api::now_ms()));
}

fn of_disk(config: &Config, seen: &Seen, findings: &mut Vec<Finding>) {
    let data = &config.data;
    findings.push(disk::directory(data, seen::owner_and_mode(data), seen::own_user()));
    let Some(there) = seen::nearest(data) else {
        findings.push(Finding::unseen("disk", format!("no folder above {} is there", data.display())));
        return;
    };
    findings.push(disk::kind(seen.text("proc/self/mountinfo").as_deref(), &there));
    match Space::of(&there) {
        Ok(space) => findings.push(disk::space(space, config)),
        Err(error) => findings.push(Finding::unseen("space", error.to_string())),
    }
    findings.push(disk::syncs(seen::measure_syncs(&there)));
}

async fn of_node(config: &Config, process: Option<u32>, findings: &mut Vec<Finding>) {
    let cores = boot::available_cores().len();
    findings.push(node::cores(cores, config.shards));
    let memory = node::Memory {
        total: boot::memory_limit(),
        cache: config.cache_bytes as u64,
        memtables: config.memtable_bytes as u64,
        waiting: config.waiting_bytes.map(|bytes| bytes as u64),
    };
    findings.push(node::memory(memory));
    findings.push(certificate_of(config));
    for (key, address) in
        [("http", config.http), ("listen", config.listen), ("admin_listen", config.admin_listen())]
    {
        findings.push(node::port(key, address, TcpListener::bind(address).map(drop), process));
    }
    if let Some(address) = quic(config) {
        findings.push(node::port("quic", address, UdpSocket::bind(address).map(drop), process));
    }
    findings.push(match &config.database {
        None => Finding::fine("accounts", "SQLite in the data directory"),
        Some(url) => node::database(url, url.version().await.map_err(|error| error.to_string())),
    });
    findings.extend(node::unit(seen::unit().as_deref(), memory));
}

fn quic(config: &Config) -> Option<SocketAddr> {
    match config.quic {
        QuicAt::Off => None,
        QuicAt::Beside => Some(config.listen),
        QuicAt::At(address) => Some(address),
    }
}

fn shards(config: &Config) -> u64 {
    config.shards.map_or_else(|| boot::available_cores().len() as u64, u64::from)
}

/// The certificate that would be served; one that a first start makes is no finding.
fn certificate_of(config: &Config) -> Finding {
    let files = match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
        (None, None) => None,
        _ => return node::half_certificate(),
    };
    let own = config.data.join(certificate::OWN_KEY);
    if files.is_none() && !own.try_exists().is_ok_and(|is_there| is_there) {
        return node::own_certificate(config.has_tls());
    }
    let shown = files.map_or_else(|| Path::new(certificate::OWN_CERTIFICATE), |(certificate, _)| certificate);
    let days_left = certificate::load(&config.data, files)
        .map(|loaded| loaded.certificates.report(api::now_ms()).days_left)
        .map_err(|error| error.to_string());
    node::certificate(shown, days_left)
}

fn count(findings: &[Finding], verdict: Verdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}

fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { check, verdict, found, change } in findings {
        let _ = writeln!(text, "{:<7} {check}: {found}", verdict.word());
        if !change.is_empty() {
            let _ = writeln!(text, "        -> {change}");
        }
    }
    let counts = Verdict::ALL.map(|verdict| format!("{} {}", verdict.word(), count(findings, verdict)));
    let _ = writeln!(text, "{}", counts.join(", "));
    text
}

fn as_json(findings: &[Finding]) -> String {
    let list: Vec<_> = findings
        .iter()
        .map(|Finding { check, verdict, found, change }| {
            json!({"check": check, "verdict": verdict.word(), "found": found, "change": change})
        })
        .collect();
    let counts = Verdict::ALL.map(|verdict| (verdict.word().to_owned(), json!(count(findings, verdict))));
    let mut object = serde_json::Map::from_iter(counts);
    object.insert("findings".to_owned(), list.into());
    format!("{}\n", serde_json::Value::from(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_in_words_and_as_an_object() {
        let findings =
            [Finding::fine("a", "good"), Finding::wrong("b", "bad", "mend"), Finding::unseen("c", "dark")];
        let text = as_text(&findings);
        assert_eq!(
            text,
            "fine    a: good\nwrong   b: bad\n        -> mend\nunseen  c: dark\nfine 1, advice 0, wrong 1, unseen 1\n"
        );
        let object: serde_json::Value = serde_json::from_str(&as_json(&findings)).unwrap();
        assert_eq!((&object["wrong"], &object["advice"]), (&json!(1), &json!(0)));
        assert_eq!(
            object["findings"][1],
            json!({"check": "b", "verdict": "wrong", "found": "bad", "change": "mend"})
        );
    }
}
