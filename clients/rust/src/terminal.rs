//! `maru chat`: a terminal client for people, and with `--json` for programs (docs/chat-json.md).

use std::io;
use std::process::ExitCode;

use crate::account::{Account, HttpError};
use crate::dial::Transport;
use crate::trust::Trust;

mod chat;
mod input;
mod json;
mod names;
mod person;

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
    /// How to connect.
    pub transport: Transport,
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
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Runs until `quit` or the end of standard input. Needs a tokio runtime with I/O and time.
///
/// # Errors
/// What keeps the client from working at all; everything else is told as it happens.
pub async fn run(options: Options) -> Result<ExitCode, TerminalError> {
    let account = Account::with_trust(&options.server, options.trust)?;
    let password = match options.password_env {
        Some(variable) => Some(std::env::var(&variable).map_err(|_| TerminalError::NoVariable(variable))?),
        None => None,
    };
    let start = Start { account, user: options.user, password, transport: options.transport };
    let lines = input::read_lines();
    if options.json {
        Ok(json::Json::new(start, io::stdout()).run(lines).await?)
    } else {
        person::Person::new(start)?.run(lines).await
    }
}

/// With what both ways of the client begin.
#[derive(Debug)]
struct Start {
    account: Account,
    user: Option<String>,
    password: Option<String>,
    transport: Transport,
}
