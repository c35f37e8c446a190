//! `families`: what one RocksDB family per channel costs against a fixed number of hash families.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use benches::run::{Outcome, machine, replace};
use clap::Parser;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, Options, WriteBatch, WriteBufferManager,
    WriteOptions,
};

/// Prints the cost curve as a table. Each line runs in a process of its own, so that memory is its own.
#[derive(Parser)]
struct Flags {
    /// Directory on the data disk
    dir: PathBuf,
    /// Rows written, spread evenly over the channels
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// The page whose table is replaced; else it is printed
    #[arg(long)]
    page: Option<PathBuf>,
    /// One line: so many families
    #[arg(long, hide = true)]
    families: Option<u64>,
    /// One line: so many channels
    #[arg(long, hide = true, default_value_t = 5000)]
    channels: u64,
}

/// Channels, and families they are spread over.
const LINES: &[(u64, u64)] = &[(100, 8), (1000, 8), (5000, 8), (100, 100), (1000, 1000), (5000, 5000)];
const ROWS_PER_BATCH: u64 = 256;
const VALUE: [u8; 200] = [b'x'; 200];

fn main() -> ExitCode {
    let flags = Flags::parse();
    let outcome = match flags.families {
        Some(families) => line(&flags, families),
        None => table(&flags),
    };
    if let Err(error) = outcome {
        eprintln!("families: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn table(flags: &Flags) -> Outcome<()> {
    let mut table = format!(
        "### A family for each channel, or hash families\n\n`families DIR --rows {}`: so many rows of 200 bytes, spread \
         over the channels, synced batches of {ROWS_PER_BATCH}; every line has the same 128 MiB of write buffers and 64 MiB \
         of cache, and a process of its own. One more: `create_cf` with the others there.\n\n{}\n\n\
         | channels | families | create s | one more ms | RSS MB | rows/s | flush s | reopen s |\n\
         |---|---|---|---|---|---|---|---|\n",
        flags.rows,
        machine(&flags.dir)
    );
    for (channels, families) in LINES {
        let output = Command::new(std::env::current_exe()?)
            .arg(&flags.dir)
            .args(["--rows", &flags.rows.to_string(), "--families", &families.to_string()])
            .args(["--channels", &channels.to_string()])
            .output()?;
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            table += &String::from_utf8(output.stdout)?;
        } else {
            table += &format!("| {channels} | {families} | failed | | | | | |\n");
        }
    }
    if let Some(page) = &flags.page {
        return replace(page, "families", table.trim_end());
    }
    print!("{table}");
    Ok(())
}

fn line(flags: &Flags, families: u64) -> Outcome<()> {
    let folder = tempfile::tempdir_in(&flags.dir)?;
    let path: PathBuf = folder.path().join("db");
    let options = options();
    let began = Instant::now();
    let db = open(&options, &path, families)?;
    let create_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    db.create_cf("one more", &options)?;
    let one_ms = began.elapsed().as_secs_f64() * 1000.0;
    let began = Instant::now();
    write(&db, flags, families)?;
    let rows_per_s = flags.rows as f64 / began.elapsed().as_secs_f64();
    let rss_mb = rss_kib() / 1024;
    let began = Instant::now();
    for family in 0..families {
        let name = family.to_string();
        db.flush_cf(&db.cf_handle(&name).ok_or("a family is missing")?)?;
    }
    let flush_s = began.elapsed().as_secs_f64();
    drop(db);
    let began = Instant::now();
    let names = DB::list_cf(&options, &path)?;
    let all = names.iter().map(|name| ColumnFamilyDescriptor::new(name, options.clone()));
    drop(DB::open_cf_descriptors(&options, &path, all)?);
    let reopen_s = began.elapsed().as_secs_f64();
    println!(
        "| {} | {families} | {create_s:.2} | {one_ms:.1} | {rss_mb} | {rows_per_s:.0} | {flush_s:.2} | {reopen_s:.2} |",
        flags.channels
    );
    Ok(())
}

/// Every line has the same memory to spend.
fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_write_buffer_size(1024 * 1024);
    options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager(128 << 20, false));
    options.set_max_total_wal_size(64 << 20);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(64 << 20));
    options.set_block_based_table_factory(&table);
    options
}

/// Families made by opening: made one by one, 1,000 take minutes, which the column of one more stands for.
fn open(options: &Options, path: &Path, families: u64) -> Outcome<DB> {
    let all = (0..families).map(|family| ColumnFamilyDescriptor::new(family.to_string(), options.clone()));
    Ok(DB::open_cf_descriptors(options, path, all)?)
}

fn write(db: &DB, flags: &Flags, families: u64) -> Outcome<()> {
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    let handles: Option<Vec<_>> = (0..families).map(|family| db.cf_handle(&family.to_string())).collect();
    let handles = handles.ok_or("a family is missing")?;
    let mut row = 0;
    while row < flags.rows {
        let mut batch = WriteBatch::default();
        for _ in 0..ROWS_PER_BATCH {
            // A step that visits all channels in no order.
            let channel = row.wrapping_mul(7919) % flags.channels;
            let family = usize::try_from(channel % families)?;
            let key = [channel.to_be_bytes(), row.to_be_bytes()].concat();
            batch.put_cf(handles.get(family).ok_or("a family is missing")?, key, VALUE);
            row += 1;
        }
        db.write_opt(batch, &synced)?;
    }
    Ok(())
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
