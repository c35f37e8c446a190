//! `ordinary`: the server that a good engineer would write in an afternoon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// tokio, tokio-tungstenite, serde_json, a synced RocksDB put a message. Drive it with maru-load.
#[derive(Parser)]
struct Flags {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Data directory; made when it is missing
    #[arg(long)]
    data: PathBuf,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match benches::ordinary::serve(flags.listen, &flags.data) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ordinary: {error}");
            ExitCode::FAILURE
        }
    }
}
