//! `maru chat` for people, line by line: lines go to the current conversation, `/words` do the rest.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IsTerminal, Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use protocol::commit::Prefs;
use protocol::{ChannelId, Cursor, Generation, SendId, Seq, UserId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::chat::{self, Chat, next};
use super::command::{Trouble, words};
use super::input::{Line, is_terminal, read_lines};
use super::text::{self, apart};
use super::tty::{columns, set_echo};
use super::{Start, TerminalError};
use crate::session::Content;

mod command;
mod show;
mod talk;

use show::Paint;

/// How long the end waits for acks.
const QUIT_WAIT: Duration = Duration::from_secs(10);
/// A sleep that any input ends.
const IDLE: Duration = Duration::from_secs(3600);
/// Messages that `/history` shows.
const HISTORY_LIMIT: u32 = 20;
/// Conversations that `/channels` shows.
const LIST_LIMIT: u32 = 100;
/// Channels asked for at once.
const CHANNELS_LIMIT: u32 = 500;

const HELP: &str = "\
  /to NAME             talk with a person, or in a group
  /group NAME a b c    make a group with a, b and c, and talk there
  /add NAME            put a person into this group
  /invite NAME         ask a person whether to join this group
  /join GROUP          join a group that you were invited to
  /remove NAME         take a person out of this group
  /role NAME ROLE      make a person member, admin or owner of this group
  /mute NAME TIME      let a member of this group read and not send: 30s, 10m, 2h, 3d, forever or off
  /ban NAME            take a person out of this group for good; /unban NAME ends it
  /slow TIME           let each member send one text in 30s, 10m, 2h here; off ends it
  /rules               who is muted and banned in this group, and its slow mode
  /report SEQ REASON   tell the operators of the server of a message
  /rename NAME         give this group another name
  /leave               leave this group
  /members             who is in this group
  /history             what was said here; again for more
  /channels            your conversations
  /reply SEQ TEXT      answer a message of this conversation
  /thread SEQ [TEXT]   what stands in a thread; or say something in it
  /mention NAME TEXT   say something to a, or a,b, or all, or online
  /mentions            what mentions you
  /edit SEQ TEXT       let a message of yours read otherwise
  /react SEQ EMOJI     react to a message; off behind it takes it back
  /pin SEQ [off]       pin a message here, or take it down
  /recall SEQ          take a message of yours back for everybody
  /said [SEQ]          what is said about messages here: edits, reactions, pins
  /forward NAME TEXT   pass on what NAME said
  /channels            your conversations, the newest first
  /saved               what you save for yourself
  /mute [HOURS|off]    be told nothing of this conversation
  /pin-chat [off]      keep this conversation at the top
  /draft [TEXT]        keep a text for this conversation on all devices
  /hide [NUMBER]       show a message to you no more, or FIRST-LAST; without one the last
  /jump PLACE          what was said at a number, a day like 2026-11-27, or unread
  /search WORDS        messages with these words; before them from:NAME, in:GROUP, in:here, to:me
  /friends             your friends, and who asks to be one
  /friend NAME         ask a person to be a friend, or say yes; /unfriend NAME ends it
  /block NAME          take nothing from a person any more; /unblock NAME ends it
  /privacy [PART WHO]  who may message, add or see you: everyone, friends or nobody
  /status [WORD] [TEXT] what others see of you: online, away, busy or invisible, and a text
  /receipts [on|off]   whether others see what you have read, and you see it of them
  /devices             where you are logged in; /devices remove NUMBER ends one
  /signup [INVITE]     make the account of --user
  /login               log in again
  /logout              log this device out for good, and forget it here
  /twofactor on        log in with codes of an authenticator app from now on
  /twofactor off CODE  or no longer
  /quit                end, when all is sent
Every other line is said in the current conversation. A line that begins with // is said with one slash.";

/// The client for people, line by line.
#[derive(Debug)]
pub(super) struct Person {
    start: Start,
    lines: mpsc::Receiver<Line>,
    name: String,
    paint: Paint,
    chat: Option<Chat>,
    current: Option<ChannelId>,
    /// Names of groups.
    groups: BTreeMap<ChannelId, String>,
    /// How conversations are to be shown and told of.
    prefs: BTreeMap<ChannelId, Prefs>,
    /// The newest message of each that was told.
    newest: HashMap<ChannelId, Seq>,
    /// What was noted and is not acked.
    noted: HashMap<SendId, Content>,
    /// Where `/history` goes on from.
    shown_from: HashMap<ChannelId, Seq>,
    /// What was said and is not acked.
    sends: HashMap<SendId, (ChannelId, Option<String>)>,
    /// What an earlier run showed behind its cursor.
    shown_before: BTreeMap<ChannelId, Seq>,
    /// The life of the inbox.
    generation: Generation,
    /// The list of channels is shown when it comes, or only learnt from.
    wants_channels: bool,
    /// The next line is a code.
    wants_code: Option<Code>,
    /// The password was typed, not given by the environment.
    is_typed: bool,
    /// What is kept would do, but the person wants to be asked.
    wants_password: bool,
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

impl Person {
    pub(super) fn new(start: Start) -> Result<Self, TerminalError> {
        let name = start.user.clone().ok_or(TerminalError::NoUser)?;
        let has_kept = start.state.as_ref().is_some_and(|state| state.refresh().is_some());
        if start.password.is_none() && !has_kept && !is_terminal() {
            return Err(TerminalError::NoPassword);
        }
        let has_colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self {
            start,
            lines: read_lines(),
            name,
            paint: Paint { has_colour },
            chat: None,
            current: None,
            groups: BTreeMap::new(),
            prefs: BTreeMap::new(),
            newest: HashMap::new(),
            noted: HashMap::new(),
            shown_from: HashMap::new(),
            sends: HashMap::new(),
            shown_before: BTreeMap::new(),
            generation: Generation(0),
            wants_channels: false,
            wants_code: None,
            is_typed: false,
            wants_password: false,
            is_connected: false,
            answers_due: 0,
            quit_at: None,
        })
    }

    pub(super) async fn run(mut self) -> Result<ExitCode, TerminalError> {
        if let Err(trouble) = self.log_in(None).await {
            self.say(&format!("Not logged in: {}", words(&trouble)))?;
            self.say("/signup makes the account, /login tries again, /help lists the rest.")?;
        }
        while !self.is_over() {
            let give_up = self.quit_at.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                line = self.lines.recv(), if self.quit_at.is_none() => match line {
                    Some(Line::Text(line)) => self.take_line(line.trim()).await?,
                    Some(Line::Bad(reason)) => self.say(reason)?,
                    None => self.quit(),
                },
                event = next(&mut self.chat) => match event {
                    Ok(event) => self.show(event).await?,
                    Err(end) => self.show_end(&end)?,
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

    /// A line from the client itself. Where it is longer than the terminal its rows are marked as one.
    fn say(&self, text: &str) -> io::Result<()> {
        for (row, mark) in
            self.rows(text, 4).iter().zip(std::iter::once("* ").chain(std::iter::repeat("  | ")))
        {
            self.line(&self.paint.dim(&format!("{mark}{}", text::isolated(row))))?;
        }
        Ok(())
    }

    /// A clean line as rows that leave so many columns free.
    fn rows(&self, line: &str, free: usize) -> Vec<String> {
        match columns() {
            Some(columns) => text::wrap(line, columns.saturating_sub(free).max(10)),
            None => vec![line.to_owned()],
        }
    }

    fn line(&self, text: &str) -> io::Result<()> {
        let mut out = stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// With what is kept, else by password. Asks for a code, on the next line, when the server does.
    async fn log_in(&mut self, code: Option<&str>) -> Result<(), Trouble> {
        if let Some(old) = self.chat.take() {
            old.end().await;
        }
        let kept = match &self.start.password {
            None if !self.wants_password => chat::come_back(&self.start, &self.name).await?,
            _ => None,
        };
        let login = match kept {
            Some(login) => login,
            None => match self.by_password(code).await? {
                Some(login) => login,
                None => return Ok(()),
            },
        };
        let kept = self.start.state_of(&self.name).map(|state| state.kept()).unwrap_or_default();
        let cursor = if kept.device == Some(login.device) { kept.cursor } else { Cursor::default() };
        self.shown_before = kept.last_shown;
        let password = self.start.password.as_deref();
        let chat = Chat::begin(&self.start, &self.name, password, login, cursor);
        let chat = chat.map_err(crate::account::AccountError::Http)?;
        chat.client.channels(ChannelId(0), CHANNELS_LIMIT).await?;
        self.chat = Some(chat);
        self.is_connected = false;
        self.answers_due = 1;
        self.sends.clear();
        self.shown_from.clear();
        Ok(())
    }

    /// `None`: a code is asked for.
    async fn by_password(&mut self, code: Option<&str>) -> Result<Option<crate::account::Login>, Trouble> {
        if self.start.password.is_none() {
            self.ask_password("Password").await?;
        }
        let password = self.start.password.clone().unwrap_or_default();
        match chat::log_in(&self.start, &self.name, &password, code, None).await {
            Err(error) if matches!(error.code(), "code_required" | "wrong_code") => {
                self.ask_code(Code::Login, error.code() == "wrong_code")?;
                Ok(None)
            }
            outcome => Ok(Some(outcome?)),
        }
    }

    async fn sign_up(&mut self, invite: &str) -> Result<(), Trouble> {
        if self.start.password.is_none() {
            self.ask_password("Password").await?;
        }
        let password = self.start.password.clone().unwrap_or_default();
        // What was typed once, unseen, may be mistyped.
        if self.is_typed {
            self.ask_password("The password again, please. Password").await?;
            if self.start.password.as_ref() != Some(&password) {
                self.start.password = None;
                return Err(Trouble::said(
                    "the two are not the same; no account was made. /signup begins again",
                ));
            }
        }
        let invite = (!invite.is_empty()).then_some(invite);
        self.start.account.signup_invited(&self.name, &password, invite).await?;
        self.say(&format!("Welcome, {}. Your account is there.", apart(&self.name)))?;
        self.log_in(None).await
    }

    async fn ask_password(&mut self, question: &str) -> Result<(), Trouble> {
        if !is_terminal() {
            return Err(Trouble::said(TerminalError::NoPassword.to_string()));
        }
        print!("{question} of {}: ", apart(&self.name));
        stdout().flush()?;
        set_echo(false);
        let line = self.lines.recv().await;
        set_echo(true);
        println!();
        self.is_typed = true;
        match line {
            Some(Line::Text(password)) => self.start.password = Some(password),
            Some(Line::Bad(_)) => return Err(Trouble::said("that is no password")),
            None => {
                self.quit();
                return Err(Trouble::said("the input has ended"));
            }
        }
        Ok(())
    }

    fn ask_code(&mut self, wanted: Code, again: bool) -> io::Result<()> {
        self.wants_code = Some(wanted);
        let wrong = if again { "That code is wrong, or was used before. " } else { "" };
        self.say(&format!("{wrong}The code of your authenticator app, please (an empty line: not now):"))
    }

    fn chat(&mut self) -> Result<&mut Chat, Trouble> {
        self.chat.as_mut().ok_or_else(|| Trouble::said("not logged in; try /login or /signup"))
    }

    fn here(&self) -> Result<ChannelId, Trouble> {
        self.current.ok_or_else(|| Trouble::said("nobody is listening; begin with /to NAME"))
    }

    /// The name of a conversation: a person's, or a group's behind `#`. Safe to show.
    async fn title(&mut self, channel: ChannelId) -> String {
        if let Some(name) = self.groups.get(&channel) {
            return format!("#{}", show::name(name));
        }
        let Some(chat) = &mut self.chat else { return channel.to_string() };
        match chat.partner(channel) {
            Some(user) => show::name(&chat.name_of(user).await),
            None => format!("#{channel}"),
        }
    }

    /// Safe to show.
    async fn name_of(&mut self, user: UserId) -> String {
        match &mut self.chat {
            Some(chat) if chat.client.user() == user => "you".to_owned(),
            Some(chat) => show::name(&chat.name_of(user).await),
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
