//! `maru chat --json`: one command a line in, one event a line out. docs/chat-json.md is its reference.

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use protocol::body::session::Reject;
use protocol::{Code, Cursor, DeviceId, Refusal, SendId};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Start;
use super::chat::{self, Chat, next};
use super::input::Line;
use super::names::alike;
use crate::account::{AccountError, Audience, Extras, Privacy};
use crate::dial::{ClientError, End};
use crate::session::{RequestId, Session};

mod command;
mod event;
mod presence;
mod talk;

#[cfg(test)]
mod tests;

use command::{Ask, Command, Do, Login};

/// How long `quit` waits for acks and answers.
const QUIT_WAIT: Duration = Duration::from_secs(10);
/// A sleep that any input ends.
const IDLE: Duration = Duration::from_secs(3600);

/// The client for programs.
#[derive(Debug)]
pub(super) struct Json<W> {
    start: Start,
    out: W,
    chat: Option<Chat>,
    /// The event, once Welcome said what it holds.
    ready: Option<Value>,
    /// A login that was not answered by it yet.
    is_ready_due: bool,
    /// The life of the inbox, as Welcome said.
    generation: u64,
    /// Sends without an ack, with the program's own mark for them.
    sends: HashMap<SendId, Tag>,
    /// Requests without an answer.
    requests: HashMap<RequestId, Tag>,
    /// When a quit that waits gives up.
    quit_at: Option<Instant>,
}

/// Which command it was, and the program's `ref` for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Tag {
    cmd: &'static str,
    reference: Option<String>,
}

/// What a program is told when something is refused.
#[derive(Debug)]
struct Refused {
    code: String,
    reason: String,
    retry_after_ms: u64,
}

impl From<AccountError> for Refused {
    fn from(error: AccountError) -> Self {
        let (code, retry_after_ms) = (error.code().to_owned(), error.retry_after_ms());
        let reason = match error {
            AccountError::Refused { message, .. } => message,
            AccountError::Http(error) => error.to_string(),
        };
        Self { code, reason, retry_after_ms }
    }
}

impl From<ClientError> for Refused {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refusal) => refusal.into(),
            ClientError::Stopped => Self::new("stopped", "the client has stopped; log in again"),
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        refusal.body().into()
    }
}

impl From<Reject> for Refused {
    fn from(reject: Reject) -> Self {
        let code =
            Code::from_number(reject.code).map_or_else(|| reject.code.to_string(), |c| c.word().to_owned());
        let reason =
            if reject.path.is_empty() { reject.text } else { format!("{}: {}", reject.path, reject.text) };
        Self { code, reason, retry_after_ms: u64::from(reject.retry_after_ms) }
    }
}

impl Refused {
    fn new(code: &str, reason: impl Into<String>) -> Self {
        Self { code: code.to_owned(), reason: reason.into(), retry_after_ms: 0 }
    }
}

impl<W: Write> Json<W> {
    pub(super) fn new(start: Start, out: W) -> Self {
        Self {
            start,
            out,
            chat: None,
            ready: None,
            is_ready_due: false,
            generation: 0,
            sends: HashMap::new(),
            requests: HashMap::new(),
            quit_at: None,
        }
    }

    pub(super) async fn run(mut self, mut lines: mpsc::Receiver<Line>) -> io::Result<ExitCode> {
        if let (Some(name), Some(password)) = (self.start.user.clone(), self.start.password.clone()) {
            let outcome = self.log_in(&name, &password, None, None, Cursor::default()).await;
            self.tell_outcome(outcome, &Tag { cmd: "login", reference: None })?;
        }
        while !self.is_over() {
            let give_up = self.quit_at.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                line = lines.recv(), if self.quit_at.is_none() => match line {
                    Some(line) => self.take_line(line).await?,
                    None => self.quit(),
                },
                event = next(&mut self.chat) => match event {
                    Ok(event) => self.tell(event).await?,
                    Err(end) => self.tell_end(&end)?,
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
        let mut left: Vec<String> = self.sends.keys().map(SendId::to_string).collect();
        left.sort();
        self.write(json!({ "event": "unacked", "send_ids": left }))?;
        Ok(ExitCode::FAILURE)
    }

    fn is_over(&self) -> bool {
        self.quit_at.is_some() && (self.chat.is_none() || (self.sends.is_empty() && self.requests.is_empty()))
    }

    fn quit(&mut self) {
        self.quit_at = Some(Instant::now() + QUIT_WAIT);
    }

    fn write(&mut self, event: Value) -> io::Result<()> {
        let mut line = event.to_string();
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }

    fn tell_refused(&mut self, refused: Refused, tag: &Tag, send_id: Option<SendId>) -> io::Result<()> {
        let Refused { code, reason, retry_after_ms } = refused;
        let mut event =
            json!({ "event": "reject", "code": code, "reason": reason, "retry_after_ms": retry_after_ms });
        if !tag.cmd.is_empty() {
            set(&mut event, "cmd", tag.cmd.into());
        }
        if let Some(send_id) = send_id {
            set(&mut event, "send_id", send_id.to_string().into());
        }
        self.write(mark(event, tag))
    }

    fn tell_ready(&mut self) -> io::Result<()> {
        match &self.ready {
            Some(ready) if self.is_ready_due => {
                let ready = ready.clone();
                self.is_ready_due = false;
                self.write(ready)
            }
            _ => Ok(()),
        }
    }

    fn tell_outcome(&mut self, outcome: Result<(), Refused>, tag: &Tag) -> io::Result<()> {
        match outcome {
            Ok(()) => Ok(()),
            Err(refused) => self.tell_refused(refused, tag, None),
        }
    }

    fn tell_end(&mut self, end: &End) -> io::Result<()> {
        self.chat = None;
        self.ready = None;
        self.is_ready_due = false;
        self.requests.clear();
        let code = match end {
            End::Stopped => "stopped",
            End::Replaced => "replaced",
            End::LoggedOut { .. } => "logged_out",
            End::Refused { code, .. } => code,
        };
        self.write(json!({ "event": "ended", "code": code, "reason": end.to_string() }))
    }

    async fn take_line(&mut self, line: Line) -> io::Result<()> {
        let text = match line {
            Line::Text(text) if text.trim().is_empty() => return Ok(()),
            Line::Text(text) => text,
            Line::Bad(reason) => {
                return self.tell_refused(Refused::new("malformed", reason), &Tag::default(), None);
            }
        };
        let (command, tag) = match command::parse(&text) {
            Ok(parsed) => parsed,
            Err((reason, tag)) => return self.tell_refused(Refused::new("malformed", reason), &tag, None),
        };
        let send_id = if let Command::Do { send_id, .. } = &command { *send_id } else { None };
        match self.carry_out(command, &tag).await {
            Ok(()) => self.tell_ready(),
            Err(refused) => self.tell_refused(refused, &tag, send_id),
        }
    }

    async fn carry_out(&mut self, command: Command, tag: &Tag) -> Result<(), Refused> {
        match command {
            Command::Signup { name, password, invite } => {
                let (name, password) = self.credentials(name, password)?;
                self.start.account.signup_invited(&name, &password, invite.as_deref()).await?;
                self.log_in(&name, &password, None, None, Cursor::default()).await
            }
            Command::Login(Login { name, password, code, device, cursor }) => {
                let (name, password) = self.credentials(name, password)?;
                self.log_in(&name, &password, code.as_deref(), device, cursor).await
            }
            Command::Do { action, send_id } => self.act(action, send_id, tag).await,
            Command::Ask(ask) => self.ask(ask, tag).await,
            Command::Typing { target, types } => {
                let chat = self.chat()?;
                let channel = target.resolve(chat).await?;
                Ok(chat.client.with_session(move |session| session.typing(channel, types)).await?)
            }
            Command::Presence(who) => self.who(who, tag).await,
            Command::Receipts { shows } => self.show_receipts(shows, tag).await,
            Command::Quit => {
                self.quit();
                Ok(())
            }
        }
    }

    async fn show_receipts(&mut self, shows: bool, tag: &Tag) -> Result<(), Refused> {
        let token = self.chat()?.client.token();
        let receipts = Some(if shows { Audience::Everyone } else { Audience::Nobody });
        self.start.account.set_privacy(&token, Privacy { receipts, ..Privacy::default() }).await?;
        let done = self.write(mark(json!({ "event": "done", "cmd": tag.cmd }), tag));
        done.map_err(|error| Refused::new("stopped", error.to_string()))
    }

    fn credentials(
        &self,
        name: Option<String>,
        password: Option<String>,
    ) -> Result<(String, String), Refused> {
        let missing = |field, option| {
            Refused::new("malformed", format!("no field {field:?}, and no {option} on the command line"))
        };
        let name = name.or_else(|| self.start.user.clone()).ok_or_else(|| missing("name", "--user"))?;
        let password = password.or_else(|| self.start.password.clone());
        Ok((name, password.ok_or_else(|| missing("password", "--password-env"))?))
    }

    async fn log_in(
        &mut self,
        name: &str,
        password: &str,
        code: Option<&str>,
        device: Option<DeviceId>,
        cursor: Cursor,
    ) -> Result<(), Refused> {
        // Who logs in again as the one who is logged in goes on with the same device and session.
        let same = self.chat.as_ref().filter(|chat| alike(&chat.name, name));
        let same = same.map(|chat| (chat.client.device(), chat.client.token()));
        if let Some((same, token)) = &same
            && cursor == Cursor::default()
            && device.is_none_or(|device| device == *same)
        {
            let extras = Extras { code, token: Some(token), ..Extras::default() };
            self.start.account.login_with(name, password, Some(*same), extras).await?;
            self.is_ready_due = true;
            return Ok(());
        }
        let device = device.or_else(|| same.map(|(device, _)| device));
        let login = chat::log_in(&self.start, name, password, code, device).await?;
        let chat =
            Chat::begin(&self.start, name, Some(password), login, cursor).map_err(AccountError::Http)?;
        self.is_ready_due = true;
        self.ready = None;
        self.sends.clear();
        self.requests.clear();
        if let Some(old) = self.chat.replace(chat) {
            old.end().await;
        }
        Ok(())
    }

    fn chat(&mut self) -> Result<&mut Chat, Refused> {
        let reason = "not logged in; send {\"cmd\":\"login\",\"name\":NAME,\"password\":PASSWORD} first";
        self.chat.as_mut().ok_or_else(|| Refused::new("unauthenticated", reason))
    }

    async fn act(&mut self, action: Do, send_id: Option<SendId>, tag: &Tag) -> Result<(), Refused> {
        let chat = self.chat()?;
        let resolved = action.resolve(chat).await?;
        let send = move |session: &mut Session| resolved.send(session, send_id);
        let send_id = chat.client.with_session(send).await??;
        self.sends.insert(send_id, tag.clone());
        Ok(())
    }

    async fn ask(&mut self, ask: Ask, tag: &Tag) -> Result<(), Refused> {
        let chat = self.chat()?;
        let resolved = ask.resolve(chat).await?;
        let request = chat.client.with_session(move |session| resolved.request(session)).await??;
        self.requests.insert(request, tag.clone());
        Ok(())
    }
}

fn set(event: &mut Value, field: &str, value: Value) {
    if let Some(fields) = event.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// Adds the program's own `ref`, if it gave one.
fn mark(mut event: Value, tag: &Tag) -> Value {
    if let Some(reference) = &tag.reference {
        set(&mut event, "ref", reference.as_str().into());
    }
    event
}
