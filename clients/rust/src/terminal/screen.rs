//! `maru chat` for people, on the whole screen: a model, a function that draws it, and this loop, which carries what happens
//! to the one and what it asks to the server.

use std::io::{self, Stdout, stdout};
use std::process::ExitCode;
use std::time::Duration;

use jiff::tz::TimeZone;
use protocol::{ChannelId, Cursor, Seq, UserId};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{Event as Input, read};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::chat::Chat;
use super::command::{Outcome, words};
use super::text::apart;
use super::{Start, TerminalError, tty};
use crate::account::Login;
use crate::dial::{ClientError, End};
use crate::session::{Event, ListOrder, Session};

mod draw;
mod editor;
mod keys;
mod layout;
mod marks;
mod model;
mod own;
mod presence;
mod take;
mod talk;
mod work;

#[cfg(test)]
mod picture;
#[cfg(test)]
mod tests;

use model::{Ask, Model, Sending};
use work::{Answer, Work};

/// How long the end waits for acks.
const QUIT_WAIT: Duration = Duration::from_secs(10);
/// A sleep that any input ends.
const IDLE: Duration = Duration::from_secs(3600);
/// Keys and pastes read ahead.
const INPUTS_WAITING_MAX: usize = 1024;
/// Of events and keys that are taken before the screen is drawn again.
const TURN_MAX: usize = 500;
/// Channels and members asked for at once.
const LIST_LIMIT: u32 = 500;
/// Channels asked for at once, with what was said last.
const LISTED_LIMIT: u32 = 200;
/// Messages that a jump shows.
const JUMP_LIMIT: u32 = 50;

/// Why the screen is left.
enum Leave {
    Quit,
    LoggedOut,
    Ended(End),
    /// The terminal is gone.
    Gone,
}

/// Runs until the person leaves.
pub(super) async fn run(start: Start, login: Login) -> Result<ExitCode, TerminalError> {
    let name = start.user.clone().ok_or(TerminalError::NoUser)?;
    let kept = start.state_of(&name).map(|state| state.kept()).unwrap_or_default();
    let cursor = if kept.device == Some(login.device) { kept.cursor } else { Cursor::default() };
    let mut chat = Chat::begin(&start, &name, start.password.as_deref(), login, cursor)?;
    let mut model = Model::new(chat.client.user(), &name, &start.server, TimeZone::system());
    model.has_colour = std::env::var_os("NO_COLOR").is_none();
    tty::fill()?;
    let mut screen = Screen { terminal: Terminal::new(CrosstermBackend::new(stdout()))?, model, name, start };
    let size = screen.terminal.size()?;
    screen.model.size = (size.width, size.height);
    if let Some(slot) = screen.start.state.as_ref().map(|state| state.slot()).filter(|slot| *slot != "1") {
        screen.model.say(format!("This is a device of its own here: {slot}."));
    }
    let leave = screen.work(&mut chat).await;
    tty::restore();
    let leave = leave?;
    chat.end().await;
    screen.say_goodbye(&leave)
}

struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    model: Model,
    name: String,
    start: Start,
}

impl Screen {
    async fn work(&mut self, chat: &mut Chat) -> io::Result<Leave> {
        let mut inputs = read_inputs();
        let mut work = Work::begin(&self.start, chat.client.clone());
        let mut give_up = None;
        loop {
            self.model.settle();
            while let Some(ask) = self.model.asks.pop_front() {
                self.carry_out(ask, chat, &work).await;
            }
            let Self { terminal, model, .. } = self;
            terminal.draw(|frame| draw::draw(frame, model))?;
            if self.model.is_ending {
                let deadline = *give_up.get_or_insert_with(|| Instant::now() + QUIT_WAIT);
                if self.model.is_settled() || Instant::now() >= deadline {
                    return Ok(Leave::Quit);
                }
            }
            let idle = Instant::now() + IDLE;
            let leave = tokio::select! {
                input = inputs.recv() => self.take_inputs(input, &mut inputs),
                event = chat.next() => self.take_events(event, chat),
                answer = work.answer() => self.take_answer(answer),
                () = sleep_until(give_up.unwrap_or(idle)) => None,
            };
            if let Some(leave) = leave {
                return Ok(leave);
            }
        }
    }

    fn take_inputs(&mut self, first: Option<Input>, inputs: &mut mpsc::Receiver<Input>) -> Option<Leave> {
        let Some(first) = first else { return Some(Leave::Gone) };
        let was_ending = std::mem::take(&mut self.model.is_ending);
        self.model.take_input(first);
        for _ in 0..TURN_MAX {
            let Ok(input) = inputs.try_recv() else { break };
            self.model.take_input(input);
        }
        // Who asks for the end twice does not wait for acks.
        if self.model.is_ending && was_ending {
            return Some(Leave::Quit);
        }
        self.model.is_ending |= was_ending;
        None
    }

    fn take_events(&mut self, first: Result<Event, End>, chat: &mut Chat) -> Option<Leave> {
        let mut next = first;
        for turn in 0.. {
            match next {
                Ok(event) => self.model.take(event),
                // The server closes the connection, and its answer to the command may come later.
                Err(End::LoggedOut { .. }) if self.model.is_logging_out => return Some(Leave::LoggedOut),
                Err(end) => return Some(Leave::Ended(end)),
            }
            if turn == TURN_MAX {
                break;
            }
            next = chat.try_next()?;
        }
        None
    }

    fn take_answer(&mut self, answer: Answer) -> Option<Leave> {
        match answer {
            Answer::Name(user, name) => self.take_name(user, name),
            Answer::Done(Outcome::LoggedOut) => return Some(Leave::LoggedOut),
            Answer::Done(outcome) => self.model.take_outcome(outcome),
            Answer::Failed(words) => {
                self.model.is_logging_out = false;
                self.model.complain(words);
            }
        }
        None
    }

    fn take_name(&mut self, user: UserId, name: Option<String>) {
        match name {
            Some(name) => {
                self.model.names.insert(user, Some(name));
            }
            // Asked for again when somebody says something.
            None => {
                self.model.names.remove(&user);
            }
        }
    }

    async fn carry_out(&mut self, ask: Ask, chat: &Chat, work: &Work) {
        let client = &chat.client;
        let asked = match &ask {
            Ask::Text { channel, text } => {
                let outcome = client.send_text(*channel, text).await;
                return self.take_sent(*channel, text, outcome);
            }
            Ask::History { channel, before, limit } => {
                client.history(*channel, None, *before, *limit, true).await
            }
            Ask::Channels { after } => {
                let after = ListOrder::Id(*after);
                let list = client.with_session(move |session| session.list(after, LISTED_LIMIT)).await;
                list.and_then(|outcome| outcome.map_err(ClientError::Refused))
            }
            Ask::Around { channel, around } => {
                let (channel, around) = (*channel, *around);
                let jump = move |session: &mut Session| session.history_around(channel, around, JUMP_LIMIT);
                client.with_session(jump).await.and_then(|outcome| outcome.map_err(ClientError::Refused))
            }
            Ask::Notes { channel, hidden, after } => {
                let (about, hidden, after) = (Some(*channel), *hidden, (*channel, *after));
                let ask = move |session: &mut Session| match hidden {
                    true => session.hidden(about, after, LIST_LIMIT),
                    false => session.drafts(about, (ChannelId(0), Seq(0)), LIST_LIMIT),
                };
                client.with_session(ask).await.and_then(|outcome| outcome.map_err(ClientError::Refused))
            }
            Ask::Members { channel, after } => client.members(*channel, *after, LIST_LIMIT).await,
            Ask::Read { channel, seq } => {
                let (channel, seq) = (*channel, *seq);
                let read = move |session: &mut Session| session.mark_read(channel, seq);
                client.with_session(read).await.and_then(|outcome| outcome.map_err(ClientError::Refused))
            }
            Ask::Receipts { channel, after } => {
                let (channel, after) = (*channel, *after);
                let ask = move |session: &mut Session| session.receipts(channel, after, LIST_LIMIT);
                client.with_session(ask).await.and_then(|outcome| outcome.map_err(ClientError::Refused))
            }
            Ask::Typing { channel, types } => {
                let (channel, types) = (*channel, *types);
                // Who is gone types no more.
                let _ = client.with_session(move |session| session.typing(channel, types)).await;
                return;
            }
            Ask::Watch(users) => {
                let users = users.clone();
                // Who has no connection is shown them with the next one.
                let _ = client.with_session(move |session| session.watch(&users)).await;
                return;
            }
            Ask::Name(user) => return work.name(*user),
            Ask::Command { word, rest } => {
                self.model.is_logging_out |= word == "logout";
                if !work.command(word, rest, &self.model) {
                    self.model.complain("The commands before this one are not done yet; try again.");
                }
                return;
            }
            Ask::Keep(cursor) => return self.keep(*cursor),
        };
        match asked {
            Ok(request) => {
                self.model.asked.insert(request, ask);
            }
            Err(error) => self.model.complain(words(&error)),
        }
    }

    fn keep(&self, cursor: Cursor) {
        if let Some(state) = self.start.state_of(&self.name) {
            state.complete(cursor);
        }
    }

    fn take_sent(&mut self, channel: ChannelId, text: &str, outcome: Result<protocol::SendId, ClientError>) {
        match outcome {
            Ok(send_id) => {
                let one = self.model.conversations.entry(channel).or_default();
                one.sending.push(Sending { send_id, text: text.to_owned() });
            }
            Err(error) => {
                // It stays in the line for another try.
                if self.model.editor.is_empty() {
                    let _ = self.model.editor.insert(text);
                }
                self.model.complain(format!("Not sent: {}", words(&error)));
            }
        }
    }

    /// On the terminal as it was before.
    fn say_goodbye(&self, leave: &Leave) -> Result<ExitCode, TerminalError> {
        let forget = || {
            if let Some(state) = self.start.state_of(&self.name) {
                state.forget();
            }
        };
        match leave {
            Leave::LoggedOut => {
                forget();
                println!("* Logged out: this device is no more, and nothing of it is kept here.");
                return Ok(ExitCode::SUCCESS);
            }
            Leave::Ended(end) => {
                if matches!(end, End::LoggedOut { .. }) {
                    forget();
                }
                println!("* The connection ended: {}. Start again to log in.", apart(&end.to_string()));
            }
            Leave::Quit | Leave::Gone if self.model.unacked() == 0 => return Ok(ExitCode::SUCCESS),
            Leave::Quit | Leave::Gone => {}
        }
        match self.model.unacked() {
            0 => {}
            unacked => println!("* {unacked} messages may not have arrived."),
        }
        Ok(ExitCode::FAILURE)
    }
}

/// Keys, pastes and sizes, read by a thread of its own; they end when the terminal does.
fn read_inputs() -> mpsc::Receiver<Input> {
    let (sender, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
    std::thread::spawn(move || {
        while let Ok(input) = read() {
            if sender.blocking_send(input).is_err() {
                return;
            }
        }
    });
    inputs
}
