//! The tables of docs/performance.md: what stands between two marks is replaced, the rest is written by people.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::load::{Found, words};
use super::plan::{Durable, PAIRINGS, Pairing, Results};
use super::server::Kind;
use super::spread::{Spread, Verdict};
use super::{Order, Outcome};

const BEGIN: &str = "<!-- make bench writes from here -->";
const END: &str = "<!-- to here -->";

/// Members that the larger group has more than the smaller: receivers of one message.
const EXTRA_RECEIVERS: f64 = 90.0;

pub(super) fn write(order: &Order, results: &Results) -> Outcome<()> {
    let text = tables(order, results)?;
    let old =
        fs::read_to_string(&order.page).unwrap_or_else(|_| format!("# Performance\n\n{BEGIN}\n{END}\n"));
    let (before, rest) = old.split_once(BEGIN).ok_or_else(|| format!("the page has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("the page has no line {END}"))?;
    fs::write(&order.page, format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))?;
    println!("{text}");
    Ok(())
}

fn tables(order: &Order, results: &Results) -> Outcome<String> {
    let mut out = String::new();
    writeln!(out, "Machine: {}", machine(order))?;
    let date = Command::new("date").arg("+%F").output()?;
    writeln!(out, "\nDate: {}", String::from_utf8_lossy(&date.stdout).trim())?;
    writeln!(
        out,
        "\nCommand: `{}` ({} rounds of {} s each, interleaved; server on core 0, maru-load on core 1; figures are \
         median (least to most) over the rounds; CPU is user, system and softirq time of the server)",
        order.command, order.rounds, order.seconds
    )?;
    for pairing in PAIRINGS {
        loads(&mut out, order, results, pairing)?;
    }
    budgets(&mut out, results)?;
    durable(&mut out, results)?;
    if !results.missing.is_empty() {
        writeln!(out, "\n### Not measured\n")?;
        for (what, why) in &results.missing {
            writeln!(out, "- {what}: {}", why.trim().replace('\n', " "))?;
        }
    }
    Ok(out)
}

fn loads(out: &mut String, order: &Order, results: &Results, pairing: &Pairing) -> Outcome<()> {
    writeln!(out, "\n### {}\n\n`maru-load {}`\n", pairing.about, words(order, pairing.shape).join(" "))?;
    writeln!(out, "| server | CPU us a delivery | deliveries/s | ack p50 us | ack p99 us | the tool |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for kind in pairing.kinds {
        let Some(found) = results.found.get(&(pairing.name, *kind)) else { continue };
        let cell = |pick: fn(&Found) -> f64| {
            Spread::of(found.iter().map(pick)).map_or_else(|| "-".into(), |spread| spread.to_string())
        };
        let void = found.iter().filter(|found| !found.void.is_empty()).count();
        let tool = if void == 0 { String::new() } else { format!("the bottleneck in {void} rounds") };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {tool} |",
            kind.name(),
            cell(|found| found.cpu_us),
            cell(|found| found.delivered_per_s),
            cell(|found| found.ack_p50_us),
            cell(|found| found.ack_p99_us)
        )?;
    }
    Ok(())
}

fn budgets(out: &mut String, results: &Results) -> Outcome<()> {
    writeln!(out, "\n### Budgets\n\nRatios are made within a round.\n")?;
    writeln!(out, "| budget | target | found | verdict |\n|---|---|---|---|")?;
    let cpu = |name: &'static str, kind: Kind| -> Vec<f64> {
        let found = results.found.get(&(name, kind));
        found.map(|found| found.iter().map(|found| found.cpu_us).collect()).unwrap_or_default()
    };
    let ratio = |over: Vec<f64>, under: Vec<f64>| Spread::of(over.iter().zip(&under).map(|(a, b)| a / b));
    // CPU of a message is CPU a delivery times receivers; its slope over the group's size is one receiver more.
    let extra = |kind: Kind| -> Vec<f64> {
        let (small, large) = (cpu("group 10", kind), cpu("group 100", kind));
        large
            .iter()
            .zip(&small)
            .map(|(large, small)| (large * 99.0 - small * 9.0) / EXTRA_RECEIVERS)
            .collect()
    };
    let direct = ratio(cpu("direct 1", Kind::MaruMemory), cpu("direct 1", Kind::FloorMio));
    row(out, "CPU a 1:1 delivery over the mio floor, depth 1", "<= 1.6", direct, |s| s.at_most(1.6))?;
    let burst = ratio(cpu("direct 16", Kind::MaruMemory), cpu("direct 16", Kind::FloorMio));
    row(out, "the same, depth 16", "none set", burst, |_| Verdict::Undecided)?;
    let group = ratio(extra(Kind::MaruMemory), extra(Kind::FloorMio));
    row(out, "CPU of one more receiver in a group over a bare send", "<= 1.25", group, |s| s.at_most(1.25))?;
    for (name, about, least) in [("durable 1", "depth 1", 2.5), ("durable 16", "depth 16", 8.0)] {
        let found = ratio(cpu(name, Kind::Ordinary), cpu(name, Kind::MaruRocks));
        let about = format!("deliveries a CPU-second over ordinary, durable, {about}");
        row(out, &about, &format!(">= {least}"), found, |s| s.at_least(least))?;
    }
    let durable = |pick: fn(&Durable) -> f64| Spread::of(results.durable.iter().map(pick));
    let store = durable(|durable| durable.store_us_per_message);
    row(out, "store threads' CPU us a direct message, saturation", "<= 12", store, |s| s.at_most(12.0))?;
    let syncs = durable(|durable| durable.messages_per_sync);
    row(out, "messages a fsync, saturation", ">= 50", syncs, |s| s.at_least(50.0))?;
    let tail = durable(|durable| durable.half_ack_p99_us / durable.sync.p99_us);
    row(out, "ack p99 at half of it over the disk's fdatasync p99", "<= 2.5", tail, |s| s.at_most(2.5))
}

fn row(
    out: &mut String,
    name: &str,
    target: &str,
    found: Option<Spread>,
    judge: impl Fn(&Spread) -> Verdict,
) -> Outcome<()> {
    let (figure, verdict) = match &found {
        Some(_) if target == "none set" => (found.map(|spread| spread.to_string()), "-".to_owned()),
        Some(spread) => (Some(spread.to_string()), judge(spread).to_string()),
        None => (None, "not measured".to_owned()),
    };
    writeln!(out, "| {name} | {target} | {} | {verdict} |", figure.as_deref().unwrap_or("-"))?;
    Ok(())
}

fn durable(out: &mut String, results: &Results) -> Outcome<()> {
    writeln!(
        out,
        "\n### The durable path\n\n`maru-load direct --devices 2000 --depth 16`, then `--rate` at half of what that \
         acked; the disk: 500 times 4 KiB and fdatasync, right after (`target/release/fdatasync`).\n"
    )?;
    writeln!(out, "| figure | found |\n|---|---|")?;
    let mut line = |name: &str, pick: fn(&Durable) -> f64| -> Outcome<()> {
        let spread = Spread::of(results.durable.iter().map(pick));
        writeln!(out, "| {name} | {} |", spread.map_or_else(|| "-".into(), |spread| spread.to_string()))?;
        Ok(())
    };
    line("half load, messages/s", |durable| durable.half_rate)?;
    line("ack p50 at half load, us", |durable| durable.half_ack_p50_us)?;
    line("ack p99 at half load, us", |durable| durable.half_ack_p99_us)?;
    line("fdatasync p50, us", |durable| durable.sync.p50_us)?;
    line("fdatasync p99, us", |durable| durable.sync.p99_us)
}

/// Processor, cores, kernel, memory, and the file system of the data disk.
fn machine(order: &Order) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo");
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
    let disk = Command::new("df").args(["--output=fstype,size", "-h"]).arg(&order.work).output();
    let disk = disk.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let disk: Vec<&str> = disk.lines().nth(1).unwrap_or("unknown disk").split_whitespace().collect();
    format!(
        "{model}, {cores} cores, Linux {}, {} GiB memory, data on {}",
        read("/proc/sys/kernel/osrelease").trim(),
        kib / (1024 * 1024),
        disk.join(" ")
    )
}
