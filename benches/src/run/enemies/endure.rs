//! All enemies at once for as long as the order says, beside people who talk: nothing grows.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::attack::{Attack, Crew, Scene};
use super::bystander::{Bystander, p99};
use super::{DEVICES, USERS};
use crate::run::part::{Figures, Part, Row};
use crate::run::server::{Kind, Server};
use crate::run::{Order, Outcome};

/// After so long the enemies come again: by then the server has closed most of them.
const AGAIN: Duration = Duration::from_secs(60);
/// A run shorter than this says nothing.
const SECONDS_MIN: u32 = 60;
/// Looks at the memory.
const LOOKS: u32 = 60;

pub(in crate::run) const PART: Part = Part {
    name: "endure",
    title: "All enemies at once, for long",
    how: "The enemies of the table above, all at once, come again each minute, while `maru-load mixed --devices 200 --verify` talks and must lose \
          nothing. One server with its default limits, durable, its block cache of 8 MiB so that it is soon full (256 would take hours and is \
          bounded as well). `rounds --only endure --seconds 3600` is an hour. The first sixth fills memtables and cache and does not \
          count. The ledger's figure is what waits or is being answered, and dedup windows, which grow to their bound of 64 MiB in a day; \
          it is told beside resident memory and taken from it before one time is compared with another.",
    rows: &[
        Row::shown("resident memory after a sixth of the time, MiB"),
        Row::shown("resident memory at the end, MiB"),
        Row::at_most(
            "resident memory without the ledger's: the highest of the last third over that of the second sixth and third",
            1.05,
        ),
        Row::shown("bytes that wait by the ledger: the highest, MiB"),
        Row::shown("bytes that wait by the ledger at the end, MiB"),
        Row::shown("block cache after a sixth of the time, MiB"),
        Row::shown("block cache at the end, MiB"),
        Row::shown("memtables at the end, MiB"),
        Row::shown("bystander's ack p99, us"),
        Row::at_most("messages of the load lost, doubled, reordered or damaged", 0.0),
    ],
    round,
    rounds_max: 1,
};

fn round(order: &Order) -> Outcome<Figures> {
    let server = Server::start_guarded(order, Kind::MaruRocks, (USERS, DEVICES), &["--cache-mib", "8"])?;
    let scene = Scene::prepare(&server)?;
    let lasts = Duration::from_secs(order.seconds.max(SECONDS_MIN).into());
    let report = tempfile::NamedTempFile::new_in(&order.work)?;
    let mut load = talk(order, &server, lasts, report.path())?;
    let (looks, times) = Bystander::watch(&scene, lasts, || besiege(&server, &scene, lasts))?;
    let looks = looks.map_err(|words| format!("the metrics: {words}"))?;
    if !load.wait()?.success() {
        return Err("maru-load mixed did not end well".into());
    }
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(report.path())?)?;
    let violations = report.pointer("/verdict/violations").and_then(serde_json::Value::as_f64);
    let highest = |from: u32, to: u32, of: fn(&Look) -> f64| {
        let part = looks.iter().skip((LOOKS * from / 6) as usize).take((LOOKS * (to - from) / 6) as usize);
        part.map(of).fold(f64::NAN, f64::max)
    };
    let last = looks.last().ok_or("no look at the memory")?;
    Ok(Figures::from([
        ("resident memory after a sixth of the time, MiB".into(), highest(0, 1, |look| look.resident)),
        ("resident memory at the end, MiB".into(), last.resident),
        (
            "resident memory without the ledger's: the highest of the last third over that of the second sixth and third"
                .into(),
            highest(4, 6, |look| look.resident - look.ledger) / highest(1, 3, |look| look.resident - look.ledger),
        ),
        ("bytes that wait by the ledger: the highest, MiB".into(), highest(0, 6, |look| look.ledger)),
        ("bytes that wait by the ledger at the end, MiB".into(), last.ledger),
        ("block cache after a sixth of the time, MiB".into(), highest(0, 1, |look| look.cache)),
        ("block cache at the end, MiB".into(), last.cache),
        ("memtables at the end, MiB".into(), last.memtables),
        ("bystander's ack p99, us".into(), p99(times)),
        ("messages of the load lost, doubled, reordered or damaged".into(), violations.ok_or("no verdict")?),
    ]))
}

/// MiB.
struct Look {
    resident: f64,
    ledger: f64,
    cache: f64,
    memtables: f64,
}

fn look(server: &Server) -> Outcome<Look> {
    let mib = |name| Ok::<_, Box<dyn std::error::Error>>(server.metric(name)? / (1024.0 * 1024.0));
    Ok(Look {
        resident: server.kib("VmRSS") / 1024.0,
        ledger: mib("maru_ledger_bytes")?,
        cache: mib("maru_store_cache_bytes")?,
        memtables: mib("maru_store_memory_bytes")?,
    })
}

/// Drives all enemies for so long. What the memory was meanwhile, or why that cannot be known.
fn besiege(server: &Server, scene: &Scene, lasts: Duration) -> Result<Vec<Look>, String> {
    let (began, mut came) = (Instant::now(), None::<Instant>);
    let (mut crews, mut looks) = (Vec::<Crew>::new(), Vec::new());
    while began.elapsed() < lasts {
        if came.is_none_or(|came| came.elapsed() >= AGAIN) {
            // Those of before are gone first: an account has so many devices. Who is refused now tries in the next minute.
            crews.clear();
            crews.extend(Attack::ALL.iter().filter_map(|attack| attack.crew(scene).ok()));
            came = Some(Instant::now());
        }
        let moved = crews.iter_mut().fold(false, |moved, crew| crew.push() | moved);
        if !moved {
            std::thread::sleep(Duration::from_millis(2));
        }
        if began.elapsed() >= lasts * looks.len() as u32 / LOOKS {
            let look = look(server).map_err(|error| error.to_string())?;
            let Look { resident, ledger, cache, memtables } = look;
            eprintln!(
                "endure: {:.0} s, {resident:.1} MiB, ledger {ledger:.2}, cache {cache:.1}, memtables {memtables:.1}",
                began.elapsed().as_secs_f64()
            );
            looks.push(look);
        }
    }
    Ok(looks)
}

/// People who talk, on accounts that the tool makes: their names begin otherwise than the enemies'.
fn talk(order: &Order, server: &Server, lasts: Duration, report: &std::path::Path) -> Outcome<Child> {
    let http = server.http.as_deref().ok_or("no control plane")?;
    let admin = server.admin.as_deref().ok_or("no admin listener")?;
    let child = Command::new(order.bin.join("maru-load"))
        .args([
            "mixed",
            "--devices",
            "200",
            "--verify",
            "--quiet",
            "--workers",
            "1",
            "--cpu",
            "1",
            "--warmup",
            "0",
        ])
        .args(["--seconds", &lasts.as_secs().to_string(), "--server", &server.url])
        .args([
            "--http",
            &format!("http://{http}"),
            "--admin",
            &format!("http://{admin}"),
            "--admin-token-file",
        ])
        .arg(server.data().join("admin.token"))
        .arg("--json")
        .arg(report)
        .stdout(Stdio::null())
        .spawn()?;
    Ok(child)
}
