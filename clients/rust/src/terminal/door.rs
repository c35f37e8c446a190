//! The way in of a person at a terminal: back with what is kept, or by password, or by making the account.

use std::io::{Write, stdout};

use super::chat::{come_back, log_in};
use super::command::words;
use super::text::apart;
use super::tty::ask;
use super::{Start, TerminalError};
use crate::account::Login;

/// What is done next.
enum Next {
    /// Another try, with the password that is there or another.
    Try,
    Leave,
}

/// Asks until somebody is logged in, or leaves.
pub(super) async fn pass(start: Start) -> Result<Option<(Start, Login)>, TerminalError> {
    let name = start.user.clone().ok_or(TerminalError::NoUser)?;
    let mut door = Door { start, name, code: None, is_typed: false };
    loop {
        match door.attempt().await {
            Ok(Some(login)) => return Ok(Some((door.start, login))),
            Ok(None) => return Ok(None),
            Err(words) => say(&format!("Not logged in: {words}"))?,
        }
        say(
            "/signup makes the account, /login asks for the password again, /quit ends; an empty line tries again.",
        )?;
        if let Next::Leave = door.choose().await? {
            return Ok(None);
        }
    }
}

struct Door {
    start: Start,
    name: String,
    code: Option<String>,
    /// The password was typed at this door, not given by the environment.
    is_typed: bool,
}

impl Door {
    /// `None`: the person left.
    async fn attempt(&mut self) -> Result<Option<Login>, String> {
        if self.start.password.is_none() {
            match come_back(&self.start, &self.name).await {
                Ok(Some(login)) => return Ok(Some(login)),
                Ok(None) => {}
                Err(error) => return Err(words(&error)),
            }
            let question = format!("Password of {}: ", apart(&self.name));
            let Some(password) = ask(question, true).await else { return Ok(None) };
            self.start.password = Some(password);
            self.is_typed = true;
        }
        loop {
            let password = self.start.password.clone().unwrap_or_default();
            let code = self.code.take();
            match log_in(&self.start, &self.name, &password, code.as_deref(), None).await {
                Ok(login) => return Ok(Some(login)),
                Err(error) if matches!(error.code(), "code_required" | "wrong_code") => {
                    let wrong = error.code() == "wrong_code";
                    let wrong = if wrong { "That code is wrong, or was used before. " } else { "" };
                    let question = format!("{wrong}The code of your authenticator app: ");
                    match ask(question, false).await.map(|code| code.trim().to_owned()) {
                        None => return Ok(None),
                        Some(code) if code.is_empty() => return Err("a code is needed".into()),
                        code => self.code = code,
                    }
                }
                Err(error) => return Err(words(&error)),
            }
        }
    }

    async fn choose(&mut self) -> Result<Next, TerminalError> {
        loop {
            let Some(line) = ask("> ".to_owned(), false).await else { return Ok(Next::Leave) };
            let line = line.trim();
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            match word {
                "" => return Ok(Next::Try),
                "/login" => {
                    self.start.password = None;
                    return Ok(Next::Try);
                }
                "/signup" => {
                    if self.sign_up(rest.trim()).await? {
                        return Ok(Next::Try);
                    }
                }
                "/quit" => return Ok(Next::Leave),
                _ => say("/signup [INVITE], /login, /quit, or an empty line")?,
            }
        }
    }

    /// Whether the account was made. What was typed once, unseen, may be mistyped.
    async fn sign_up(&mut self, invite: &str) -> Result<bool, TerminalError> {
        let name = apart(&self.name);
        if self.start.password.is_none() {
            self.start.password = ask(format!("Password of {name}: "), true).await;
            self.is_typed = true;
        }
        let Some(password) = self.start.password.clone() else { return Ok(false) };
        if self.is_typed {
            let again = ask(format!("The password of {name} again: "), true).await;
            if again.as_deref() != Some(password.as_str()) {
                self.start.password = None;
                say("The two are not the same; no account was made. /signup begins again.")?;
                return Ok(false);
            }
        }
        let invite = (!invite.is_empty()).then_some(invite);
        match self.start.account.signup_invited(&self.name, &password, invite).await {
            Ok(_) => {
                say(&format!("Welcome, {name}. Your account is there."))?;
                Ok(true)
            }
            Err(error) => {
                say(&format!("No account was made: {}", words(&error)))?;
                // A refused password is not asked for again behind one's back.
                if error.code() == "bad_field" && self.is_typed {
                    self.start.password = None;
                }
                Ok(false)
            }
        }
    }
}

fn say(text: &str) -> Result<(), TerminalError> {
    let mut out = stdout().lock();
    writeln!(out, "* {text}")?;
    out.flush()?;
    Ok(())
}
