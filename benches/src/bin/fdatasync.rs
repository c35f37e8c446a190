//! `fdatasync`: what a disk takes for a small durable write.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Appends 4 KiB and syncs, again and again, in a file that it removes.
#[derive(Parser)]
struct Flags {
    /// Directory on the disk
    dir: PathBuf,
    /// How often
    #[arg(long, default_value_t = 2000)]
    count: usize,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match benches::run::disk::fdatasync(&flags.dir, flags.count) {
        Ok(sync) => {
            println!("fdatasync of 4 KiB: p50 {:.0} us, p99 {:.0} us", sync.p50_us, sync.p99_us);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fdatasync: {}: {error}", flags.dir.display());
            ExitCode::FAILURE
        }
    }
}
