//! The tables of docs/performance.md: what stands between the marks of a part is replaced, the rest is written by people.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::part::Figures;
use super::plan::Found;
use super::spread::Spread;
use super::{Order, Outcome};

/// Writes what was found of a part.
pub(super) fn write(order: &Order, found: &Found) -> Outcome<()> {
    replace(&order.page, found.part.name, &table(order, found)?)
}

/// Puts `text` between the marks of a part; a page without them gets them at its end.
///
/// # Errors
/// The page cannot be written, or the end mark is missing.
pub fn replace(page: &Path, part: &str, text: &str) -> Outcome<()> {
    let (begin, end) = (format!("<!-- rounds: {part} -->"), "<!-- end of rounds -->");
    let mut old = fs::read_to_string(page).unwrap_or_else(|_| "# Performance\n".to_owned());
    if !old.contains(&begin) {
        write!(old, "\n{begin}\n{end}\n")?;
    }
    let (before, rest) = old.split_once(&begin).ok_or("no mark")?;
    let (_, after) = rest.split_once(end).ok_or_else(|| format!("{begin} has no {end}"))?;
    fs::write(page, format!("{before}{begin}\n{text}\n{end}{after}"))?;
    Ok(())
}

fn table(order: &Order, found: &Found) -> Outcome<String> {
    let (part, mut out) = (found.part, String::new());
    writeln!(out, "### {}\n\n{}\n", part.title, part.how)?;
    writeln!(
        out,
        "{}; `{}`: {} rounds, {} s each.\n",
        machine(&order.work),
        order.command,
        found.rounds.len(),
        order.seconds
    )?;
    writeln!(out, "| figure | target | found | verdict |\n|---|---|---|---|")?;
    for row in part.rows {
        let figures = found.rounds.iter().filter_map(|figures: &Figures| figures.get(row.name).copied());
        let Some(spread) = Spread::of(figures) else {
            writeln!(out, "| {} | - | not measured | - |", row.name)?;
            continue;
        };
        let (target, verdict) = row.target.words(&spread);
        let verdict = verdict.map_or_else(|| "-".to_owned(), |verdict| verdict.to_string());
        writeln!(out, "| {} | {target} | {spread} | {verdict} |", row.name)?;
    }
    for words in &found.failed {
        writeln!(out, "\nA round failed: {}", words.trim().replace('\n', " "))?;
    }
    Ok(out.trim_end().to_owned())
}

/// The date, and of the machine: processor, cores, kernel, memory, and the file system that `work` is on.
#[must_use]
pub fn machine(work: &Path) -> String {
    let date = Command::new("date").arg("+%F").output();
    let date = date.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo");
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
    let disk = Command::new("df").args(["--output=fstype,size", "-h"]).arg(work).output();
    let disk = disk.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let disk: Vec<&str> = disk.lines().nth(1).unwrap_or("unknown disk").split_whitespace().collect();
    format!(
        "{}; {model}, {cores} cores, Linux {}, {} GiB memory, data on {}",
        date.trim(),
        read("/proc/sys/kernel/osrelease").trim(),
        kib / (1024 * 1024),
        disk.join(" ")
    )
}
