//! `maru chat`: a terminal client for people, on the whole screen or line by line, and with `--json` for programs
//! (docs/terminal.md, docs/chat-json.md).

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use crate::account::{Account, HttpError};
use crate::dial::Transport;
use crate::trust::Trust;

mod chat;
mod command;
mod door;
mod input;
mod json;
mod names;
mod person;
mod screen;
mod state;
mod text;
mod tty;

use state::State;
pub use state::{StateError, StatePlace};

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// The control plane: `http://host:port` or `https://host:port`.
    pub server: String,
    /// Whom to take for it.
    pub trust: Trust,
    /// Who.
    pub user: Option<String>,
    /// The environment variable that holds the password. Without it a person is asked.
    pub password_env: Option<String>,
    /// JSON lines instead of text.
    pub json: bool,
    /// Line by line also where the whole screen could be used.
    pub plain: bool,
    /// How to connect.
    pub transport: Transport,
    /// Where the device is kept.
    pub state: StatePlace,
    /// Which of those that are kept; the first that is free without it.
    pub device: Option<String>,
}

/// Why the client could not work at all.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// The server's address is not one of ours.
    #[error("--server: {0}")]
    Server(#[from] HttpError),
    /// The password's variable is not there.
    #[error("--password-env: the environment variable {0:?} is not set, or not UTF-8")]
    NoVariable(String),
    /// There is no name.
    #[error("--user is missing")]
    NoUser,
    /// Nobody can be asked for the password.
    #[error("standard input is not a terminal: name the password's variable with --password-env")]
    NoPassword,
    /// Nothing can be kept there.
    #[error(transparent)]
    State(#[from] StateError),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Runs until `quit`, the end of standard input, or a signal. Needs a tokio runtime with I/O and time.
///
/// # Errors
/// What keeps the client from working at all; everything else is told as it happens.
pub async fn run(options: Options) -> Result<ExitCode, TerminalError> {
    let account = Account::with_trust(&options.server, options.trust.clone())?;
    let password = match &options.password_env {
        Some(variable) => {
            Some(std::env::var(variable).map_err(|_| TerminalError::NoVariable(variable.clone()))?)
        }
        None => None,
    };
    if options.user.is_none() && !options.json {
        return Err(TerminalError::NoUser);
    }
    let state = take_state(&options)?;
    let user = options.user.map(|user| user.trim().to_owned());
    let start =
        Start { account, server: options.server, user, password, transport: options.transport, state };
    if options.json {
        return Ok(json::Json::new(start, io::stdout()).run(input::read_lines()).await?);
    }
    tty::remember();
    let state = start.state.clone();
    let mut endings = tty::Endings::new()?;
    let outcome = tokio::select! {
        biased;
        // As a shell counts the end by a signal.
        number = endings.next() => Ok(ExitCode::from(u8::try_from(128 + number).unwrap_or(u8::MAX))),
        outcome = for_people(start, options.plain) => outcome,
    };
    tty::restore();
    if let Some(state) = state {
        state.flush();
    }
    outcome
}

async fn for_people(start: Start, plain: bool) -> Result<ExitCode, TerminalError> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if plain || is_dumb || !tty::is_there() {
        return person::Person::new(start)?.run().await;
    }
    match door::pass(start).await? {
        Some((start, login)) => screen::run(start, login).await,
        None => Ok(ExitCode::SUCCESS),
    }
}

/// A program has its own memory: the usual place is a help to it and no condition.
fn take_state(options: &Options) -> Result<Option<Arc<State>>, TerminalError> {
    let Some(user) = &options.user else { return Ok(None) };
    let taken = State::take(&options.state, &options.server, user, options.device.as_deref());
    match taken {
        Ok(state) => {
            let slot = state.as_ref().map(|state| state.slot().to_owned()).filter(|slot| slot != "1");
            if let (Some(slot), None, false) = (slot, &options.device, options.json) {
                let user = text::apart(user);
                eprintln!(
                    "* {user} is open in another terminal here; this one is a device of its own, number {slot}."
                );
            }
            Ok(state)
        }
        Err(_) if options.json && options.state == StatePlace::Usual && options.device.is_none() => Ok(None),
        Err(error @ (StateError::NoHome | StateError::Io { .. })) if options.state == StatePlace::Usual => {
            eprintln!("* Nothing is kept, and the next start is another device: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// With what all ways of the client begin.
#[derive(Debug)]
struct Start {
    account: Account,
    server: String,
    user: Option<String>,
    password: Option<String>,
    transport: Transport,
    /// Of `user`.
    state: Option<Arc<State>>,
}

impl Start {
    /// What is kept of this user.
    fn state_of(&self, name: &str) -> Option<&Arc<State>> {
        let is_user = self.user.as_deref().is_some_and(|user| names::alike(user, name));
        self.state.as_ref().filter(|_| is_user)
    }
}
