//! `floor`: a bare relay that says what this machine can do.

use std::net::SocketAddr;
use std::process::ExitCode;

use benches::floor::{Driver, serve};
use clap::Parser;

/// A relay that reads and writes as Maru does and does nothing else. Drive it with maru-load.
#[derive(Parser)]
struct Flags {
    /// How bytes move
    #[arg(long, value_enum, default_value = "mio")]
    driver: Driver,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match serve(flags.driver, flags.listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}
