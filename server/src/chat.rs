//! `maru chat`.

use std::error::Error;
use std::process::ExitCode;

use clap::Args;
use client::terminal::{Options, StatePlace};

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
    /// Line by line also where the whole screen could be used.
    #[arg(long, conflicts_with = "json")]
    plain: bool,
    /// Where this device, its refresh token and its place in the inbox are kept [default: $XDG_STATE_HOME/maru, else
    /// ~/.local/state/maru]
    #[arg(long, value_name = "DIR", conflicts_with = "no_state")]
    state: Option<std::path::PathBuf>,
    /// Keeps nothing: each start is a device of its own, and an account has 16.
    #[arg(long)]
    no_state: bool,
    /// Which of the devices that are kept of this user; without it the first that no other client here uses.
    #[arg(long, value_name = "NAME", conflicts_with = "no_state")]
    device: Option<String>,
    /// How to connect: auto, quic or ws.
    #[arg(long, value_name = "WAY", default_value = "auto")]
    transport: client::dial::Transport,
}

/// Runs until the person or the program quits.
///
/// # Errors
/// Whatever kept the client from working at all.
pub fn run(flags: Flags) -> Result<ExitCode, Box<dyn Error>> {
    let Flags { server, trust, user, password_env, json, plain, state, no_state, device, transport } = flags;
    let trust = trust.trust()?;
    let state = match state {
        Some(folder) => StatePlace::Folder(folder),
        None if no_state => StatePlace::Nowhere,
        None => StatePlace::Usual,
    };
    let options = Options { server, trust, user, password_env, json, plain, transport, state, device };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(client::terminal::run(options));
    // A thread that reads a terminal cannot be ended; the process does not wait for it.
    runtime.shutdown_background();
    Ok(outcome?)
}
