//! `cargo run -p sim -- --seed N`, `--seeds A..B`, `--ticks T`, `--trace`: runs seeds; a failure prints the seed and the
//! last steps and exits 1.

use std::process::ExitCode;

use sim::trace::Mode;

const USAGE: &str = "sim [--seed N | --seeds A..B] [--ticks T] [--last LINES] [--trace]";

struct Asked {
    seeds: std::ops::Range<u64>,
    ticks: u64,
    last: usize,
    trace: bool,
}

fn main() -> ExitCode {
    let asked = match parse(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(words) => {
            eprintln!("{words}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let started = std::time::Instant::now();
    let (mut messages, mut crashes, mut drops) = (0, 0, 0);
    // Seeds in which a group became a large channel and somebody was told of its messages.
    let (mut large, mut followed) = (0, 0);
    for seed in asked.seeds.clone() {
        let mode = if asked.trace { Mode::Print } else { Mode::Off };
        match sim::run(seed, asked.ticks, mode) {
            Ok(tally) => {
                messages += tally.messages;
                crashes += tally.crashes;
                drops += tally.dropped;
                large += u64::from(tally.large.1 > 0);
                followed += tally.large.1;
                if asked.seeds.end - asked.seeds.start == 1 {
                    println!("seed {seed}: {tally:?}");
                }
            }
            Err(failure) => {
                report(&failure, &asked);
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "{} seeds of {} steps hold in {:.1} s: {messages} messages, {crashes} crashes, {drops} dropped deliveries, \
         {followed} messages by following in {large} seeds",
        asked.seeds.end - asked.seeds.start,
        asked.ticks,
        started.elapsed().as_secs_f64(),
    );
    ExitCode::SUCCESS
}

/// Runs the seed again, this time writing down its last steps.
fn report(failure: &sim::Failure, asked: &Asked) {
    let again = sim::run(failure.seed, asked.ticks, Mode::Last(asked.last));
    for step in again.as_ref().err().into_iter().flat_map(|failure| &failure.steps) {
        println!("{step}");
    }
    println!("seed {} of {} steps fails: {}", failure.seed, asked.ticks, failure.words);
    if again.as_ref().err().is_none_or(|again| again.words != failure.words) {
        println!("and differently the second time: the simulation is not deterministic");
    }
    println!("again: cargo run -p sim -- --seed {} --ticks {} --trace", failure.seed, asked.ticks);
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked { seeds: 0..100, ticks: sim::TICKS, last: 60, trace: false };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--seed" => {
                let seed = number(&value()?)?;
                asked.seeds = seed..seed + 1;
            }
            "--seeds" => {
                let range = value()?;
                let (low, high) = range.split_once("..").ok_or_else(|| format!("{range}: expected A..B"))?;
                asked.seeds = number(low)?..number(high)?;
            }
            "--ticks" => asked.ticks = number(&value()?)?,
            "--last" => asked.last = number(&value()?)? as usize,
            "--trace" => asked.trace = true,
            _ => return Err(format!("unknown: {word}")),
        }
    }
    Ok(asked)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text}: expected a number"))
}
