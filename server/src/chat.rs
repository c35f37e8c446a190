//! `maru chat`.

use std::error::Error;
use std::process::ExitCode;

use clap::Args;

use crate::admin::ask::TrustFlags;

/// What `maru chat` takes.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// The server's HTTP address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: String,
    #[command(flatten)]
    trust: TrustFlags,
    /// Who talks.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The environment variable that holds the password.
    #[arg(long, value_name = "VAR")]
    password_env: Option<String>,
    /// One JSON command a line on stdin, one JSON event a line on stdout.
    #[arg(long)]
    json: bool,
    /// How to connect: auto, quic or ws.
    #[arg(long, value_name = "WAY", default_value = "auto")]
    transport: client::dial::Transport,
}

/// Runs until the person or the program quits.
///
/// # Errors
/// Whatever kept the client from working at all.
pub fn run(flags: Flags) -> Result<ExitCode, Box<dyn Error>> {
    let Flags { server, trust, user, password_env, json, transport } = flags;
    let trust = trust.trust()?;
    let options = client::terminal::Options { server, trust, user, password_env, json, transport };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(client::terminal::run(options));
    // A thread that reads a terminal cannot be ended; the process does not wait for it.
    runtime.shutdown_background();
    Ok(outcome?)
}
