//! `maru chat` for people: lines go to the current conversation, `/words` do the rest.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IsTerminal, Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use protocol::{ChannelId, Cursor, SendId, Seq, UserId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::chat::{Chat, next};
use super::input::{Line, is_terminal, set_echo};
use super::{Start, TerminalError};
use crate::account::AccountError;
use crate::dial::ClientError;

mod command;
mod relations;
mod show;

use show::Paint;

/// How long the end waits for acks.
const QUIT_WAIT: Duration = Duration::from_secs(10);
/// A sleep that any input ends.
const IDLE: Duration = Duration::from_secs(3600);
/// Messages that `/history` shows.
const HISTORY_LIMIT: u32 = 20;
/// Channels asked for at once.
const CHANNELS_LIMIT: u32 = 500;

const HELP: &str = "\
  /to NAME             talk with a person, or in a group
  /group NAME a b c    make a group with a, b and c, and talk there
  /add NAME            put a person into this group
  /invite NAME         ask a person whether to join this group
  /join GROUP          join a group that you were invited to
  /remove NAME         take a person out of this group
  /leave               leave this group
  /members             who is in this group
  /history             what was said here; again for more
  /channels            your conversations
  /friends             your friends, and who asks to be one
  /friend NAME         ask a person to be a friend, or say yes; /unfriend NAME ends it
  /block NAME          take nothing from a person any more; /unblock NAME ends it
  /privacy [PART WHO]  who may message, add or see you: everyone, friends or nobody
  /signup [INVITE]     make the account of --user
  /login               log in again
  /twofactor on        log in with codes of an authenticator app from now on
  /twofactor off CODE  or no longer
  /quit                end, when all is sent
Every other line is said in the current conversation. A line that begins with // is said with one slash.";

/// The client for people.
#[derive(Debug)]
pub(super) struct Person {
    start: Start,
    name: String,
    paint: Paint,
    chat: Option<Chat>,
    current: Option<ChannelId>,
    /// Names of groups.
    groups: BTreeMap<ChannelId, String>,
    /// Where `/history` goes on from.
    shown_from: HashMap<ChannelId, Seq>,
    /// What was said and is not acked.
    sends: HashMap<SendId, (ChannelId, Option<String>)>,
    /// The list of channels is shown when it comes, or only learnt from.
    wants_channels: bool,
    /// The next line is a code.
    wants_code: Option<Code>,
    is_connected: bool,
    /// Pages that were asked for and did not come yet.
    answers_due: u32,
    quit_at: Option<Instant>,
}

/// What a code is typed for.
#[derive(Clone, Copy, Debug)]
enum Code {
    /// To log in.
    Login,
    /// To show that the app holds the secret.
    Confirm,
}

/// What keeps a command from being carried out, for a person.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Said(String),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl Person {
    pub(super) fn new(start: Start) -> Result<Self, TerminalError> {
        let name = start.user.as_deref().ok_or(TerminalError::NoUser)?.trim().to_owned();
        if start.password.is_none() && !is_terminal() {
            return Err(TerminalError::NoPassword);
        }
        let has_colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self {
            start,
            name,
            paint: Paint { has_colour },
            chat: None,
            current: None,
            groups: BTreeMap::new(),
            shown_from: HashMap::new(),
            sends: HashMap::new(),
            wants_channels: false,
            wants_code: None,
            is_connected: false,
            answers_due: 0,
            quit_at: None,
        })
    }

    pub(super) async fn run(mut self, mut lines: mpsc::Receiver<Line>) -> Result<ExitCode, TerminalError> {
        if self.start.password.is_none() {
            self.start.password = ask_password(&self.name, &mut lines).await?;
        }
        if let Err(trouble) = self.log_in(None).await {
            self.say(&format!("Not logged in: {trouble}"))?;
            self.say("/signup makes the account, /login tries again, /help lists the rest.")?;
        }
        while !self.is_over() {
            let give_up = self.quit_at.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                line = lines.recv(), if self.quit_at.is_none() => match line {
                    Some(Line::Text(line)) => self.take_line(line.trim()).await?,
                    Some(Line::Bad(reason)) => self.say(reason)?,
                    None => self.quit(),
                },
                event = next(&mut self.chat) => match event {
                    Ok(event) => self.show(event).await?,
                    Err(end) => {
                        self.chat = None;
                        self.say(&format!("The connection ended: {end}. /login tries again."))?;
                    }
                },
                () = sleep_until(give_up) => if self.quit_at.is_some() { break },
            }
        }
        if let Some(chat) = self.chat.take() {
            chat.end().await;
        }
        if self.sends.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        self.say(&format!("{} messages may not have arrived.", self.sends.len()))?;
        Ok(ExitCode::FAILURE)
    }

    fn is_over(&self) -> bool {
        self.quit_at.is_some() && (self.chat.is_none() || (self.sends.is_empty() && self.answers_due == 0))
    }

    fn quit(&mut self) {
        self.quit_at = Some(Instant::now() + QUIT_WAIT);
    }

    /// A line from the client itself.
    fn say(&self, text: &str) -> io::Result<()> {
        self.line(&self.paint.dim(&format!("* {text}")))
    }

    fn line(&self, text: &str) -> io::Result<()> {
        let mut out = stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Asks for a code, on the next line, when the server does.
    async fn log_in(&mut self, code: Option<&str>) -> Result<(), Trouble> {
        if let Some(old) = self.chat.take() {
            old.end().await;
        }
        let password = self.start.password.clone().unwrap_or_default();
        let begun = Chat::begin(&self.start, &self.name, &password, code, None, Cursor::default()).await;
        let chat = match begun {
            Err(error) if matches!(error.code(), "code_required" | "wrong_code") => {
                return Ok(self.ask_code(Code::Login, error.code() == "wrong_code")?);
            }
            begun => begun?,
        };
        chat.client.channels(ChannelId(0), CHANNELS_LIMIT).await?;
        self.chat = Some(chat);
        self.is_connected = false;
        self.answers_due = 1;
        self.sends.clear();
        self.shown_from.clear();
        Ok(())
    }

    async fn sign_up(&mut self, invite: &str) -> Result<(), Trouble> {
        let password = self.start.password.clone().unwrap_or_default();
        let invite = (!invite.is_empty()).then_some(invite);
        self.start.account.signup_invited(&self.name, &password, invite).await?;
        self.say(&format!("Welcome, {}. Your account is there.", self.name))?;
        self.log_in(None).await
    }

    fn ask_code(&mut self, wanted: Code, again: bool) -> io::Result<()> {
        self.wants_code = Some(wanted);
        let wrong = if again { "That code is wrong, or was used before. " } else { "" };
        self.say(&format!("{wrong}The code of your authenticator app, please (an empty line: not now):"))
    }

    fn chat(&mut self) -> Result<&mut Chat, Trouble> {
        self.chat.as_mut().ok_or_else(|| Trouble::Said("not logged in; try /login or /signup".into()))
    }

    fn here(&self) -> Result<ChannelId, Trouble> {
        self.current.ok_or_else(|| Trouble::Said("nobody is listening; begin with /to NAME".into()))
    }

    /// The name of a conversation: a person's, or a group's behind `#`.
    async fn title(&mut self, channel: ChannelId) -> String {
        if let Some(name) = self.groups.get(&channel) {
            return format!("#{}", show::printable(name));
        }
        let Some(chat) = &mut self.chat else { return channel.to_string() };
        match chat.partner(channel) {
            Some(user) => chat.name_of(user).await,
            None => format!("#{channel}"),
        }
    }

    async fn name_of(&mut self, user: UserId) -> String {
        match &mut self.chat {
            Some(chat) if chat.client.user() == user => "you".to_owned(),
            Some(chat) => chat.name_of(user).await,
            None => user.to_string(),
        }
    }

    async fn names_of(&mut self, users: &[UserId]) -> String {
        let mut names = Vec::with_capacity(users.len());
        for user in users {
            names.push(self.name_of(*user).await);
        }
        names.join(", ")
    }
}

async fn ask_password(name: &str, lines: &mut mpsc::Receiver<Line>) -> Result<Option<String>, TerminalError> {
    print!("Password of {name}: ");
    stdout().flush()?;
    set_echo(false);
    let line = lines.recv().await;
    set_echo(true);
    println!();
    Ok(match line {
        Some(Line::Text(password)) => Some(password),
        _ => None,
    })
}
