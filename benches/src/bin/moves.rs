//! `moves`: what it costs to give a channel a RocksDB family of its own and to take it back, and what a bystander's commit, the
//! thing that an ack waits for, takes meanwhile.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use benches::run::{Outcome, machine, replace};
use clap::Parser;
use hdrhistogram::Histogram;
use protocol::body::encode;
use protocol::body::message::SendText;
use protocol::{BayId, ChannelId, Seq, ShardId, Stamp, UserId};
use storage::{Batch, Moved, Options, Part, Row, Store};

/// Prints what a move costs as a table.
#[derive(Parser)]
struct Flags {
    /// Directory on the data disk
    dir: PathBuf,
    /// Messages of the channel that moves
    #[arg(long, default_value_t = 200_000)]
    messages: u64,
    /// Bytes of a step; the server's
    #[arg(long, default_value_t = 128 * 1024)]
    step: usize,
    /// Milliseconds between two steps; the server's
    #[arg(long, default_value_t = 5)]
    pause: u64,
    /// The page whose table is replaced; else it is printed
    #[arg(long)]
    page: Option<PathBuf>,
}

const TEXT_BYTES: usize = 200;
const MESSAGES_PER_BATCH: u64 = 256;
/// Between two commits of the bystander.
const EVERY: Duration = Duration::from_millis(1);
/// How long nothing moves, for comparison.
const REST: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    if let Err(error) = run(&Flags::parse()) {
        eprintln!("moves: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The channel that moves, the bystander's, and their users.
fn channels() -> [(ChannelId, UserId); 2] {
    [(1, 2), (3, 4)].map(|(a, b)| (ChannelId::direct(UserId(a), UserId(b)), UserId(a)))
}

fn commit(store: &Store, (channel, sender): (ChannelId, UserId), seqs: std::ops::Range<u64>) -> Outcome<()> {
    let message = |seq| {
        let body = SendText { channel: channel.0, text: "x".repeat(TEXT_BYTES) };
        let frame = encode(seq, &body).stamp(Stamp { seq: Seq(seq), time_ms: seq, sender });
        Row::Message { channel, seq: Seq(seq), frame }
    };
    let rows = seqs.map(message).collect();
    let parts = vec![Part { bay: BayId::of_channel(channel), rows }];
    Ok(store.commit(&[Batch { shard: ShardId(0), number: 1, parts }])?)
}

/// What a phase took, and how long a bystander's commit did meanwhile, microseconds.
struct Phase {
    took: Duration,
    commits: Histogram<u64>,
}

/// One commit each millisecond while `phase` is at work.
fn beside(store: &Store, seq: &mut u64, phase: impl FnOnce() -> Outcome<()>) -> Outcome<Phase> {
    let (done, began) = (AtomicBool::new(false), Instant::now());
    let (commits, outcome) = std::thread::scope(|scope| {
        let bystander = scope.spawn(|| {
            let mut commits = Histogram::<u64>::new(3).map_err(|error| error.to_string())?;
            while !done.load(Ordering::Acquire) {
                let sent = Instant::now();
                commit(store, channels()[1], *seq..*seq + 1).map_err(|error| error.to_string())?;
                *seq += 1;
                let took = sent.elapsed();
                commits.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                std::thread::sleep(EVERY.saturating_sub(took));
            }
            Ok::<_, String>(commits)
        });
        let outcome = phase();
        done.store(true, Ordering::Release);
        (bystander.join(), outcome)
    });
    outcome?;
    let commits = commits.map_err(|_| "the bystander panicked")??;
    Ok(Phase { took: began.elapsed(), commits })
}

/// Moves as the server does. The time of the last step that was no messages: the removal of what was left behind.
fn move_all(store: &Store, flags: &Flags) -> Outcome<Duration> {
    let mut removal = Duration::ZERO;
    loop {
        let began = Instant::now();
        match store.move_messages(flags.step)? {
            Moved::Nothing => return Ok(removal),
            Moved::Switched => removal = began.elapsed(),
            Moved::Messages(_) | Moved::Waiting => std::thread::sleep(Duration::from_millis(flags.pause)),
        }
    }
}

fn timed<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, Duration)> {
    let began = Instant::now();
    Ok((work()?, began.elapsed()))
}

fn run(flags: &Flags) -> Outcome<()> {
    std::fs::create_dir_all(&flags.dir)?;
    let dir = tempfile::tempdir_in(&flags.dir)?;
    let store = Store::open(dir.path(), &Options::default())?;
    let (channel, _) = channels()[0];
    let mut next = 1;
    while next <= flags.messages {
        let end = (next + MESSAGES_PER_BATCH).min(flags.messages + 1);
        commit(&store, channels()[0], next..end)?;
        next = end;
    }
    let mut seq = 1;
    let rest = || {
        std::thread::sleep(REST);
        Ok(())
    };
    let (mut give, mut clear, mut back, mut dropped) = Default::default();
    let before = beside(&store, &mut seq, rest)?;
    let into = beside(&store, &mut seq, || {
        (_, give) = timed(|| Ok(store.give_family(channel)?))?;
        clear = move_all(&store, flags)?;
        Ok(())
    })?;
    let between = beside(&store, &mut seq, rest)?;
    let out = beside(&store, &mut seq, || {
        ((), back) = timed(|| Ok(store.return_family(channel)?))?;
        dropped = move_all(&store, flags)?;
        Ok(())
    })?;
    let mut table = format!(
        "### A channel moves into a family of its own and back\n\n`moves DIR --messages {}`: messages of {TEXT_BYTES} bytes, moved {} KiB \
         at a time with {} ms between two steps, as the server does; a bystander in another channel commits one message each \
         millisecond, and that is what an ack waits for.\n\n{}\n\n\
         | phase | s | messages/s | switch ms | removal ms | bystander's commit p50, us | p99, us | max, us |\n\
         |---|---|---|---|---|---|---|---|\n",
        flags.messages,
        flags.step / 1024,
        flags.pause,
        machine(&flags.dir)
    );
    let ms = |took: Duration| format!("{:.1}", took.as_secs_f64() * 1e3);
    let none = || "-".to_owned();
    for (name, phase, moves, switch, removal) in [
        ("at rest", &before, false, none(), none()),
        ("given and moved in", &into, true, ms(give), ms(clear)),
        ("at rest", &between, false, none(), none()),
        ("moved back and dropped", &out, true, ms(back), ms(dropped)),
    ] {
        let rate = flags.messages as f64 / phase.took.as_secs_f64();
        let rate = if moves { format!("{rate:.0}") } else { none() };
        table += &format!(
            "| {name} | {:.1} | {rate} | {switch} | {removal} | {} | {} | {} |\n",
            phase.took.as_secs_f64(),
            phase.commits.value_at_quantile(0.5),
            phase.commits.value_at_quantile(0.99),
            phase.commits.max()
        );
    }
    if let Some(page) = &flags.page {
        return replace(page, "moves", table.trim_end());
    }
    print!("{table}");
    Ok(())
}
