//! What a person types.

use std::io;

use protocol::{ChannelId, Seq, UserId};

use super::super::command::{Outcome, Trouble, words};
use super::super::text::apart;
use super::{CHANNELS_LIMIT, Code, HELP, HISTORY_LIMIT, LIST_LIMIT, Person};
use crate::dial::ClientError;
use crate::session::{ListOrder, Session};

impl Person {
    pub(super) async fn take_line(&mut self, line: &str) -> io::Result<()> {
        let outcome = match line.strip_prefix('/') {
            None if self.wants_code.is_some() => self.take_code(line).await,
            None if line.is_empty() => Ok(()),
            None => self.speak(line).await,
            Some(said) if said.starts_with('/') => self.speak(said).await,
            Some(command) => self.command(command).await,
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(Trouble::Output(error)) => Err(error),
            Err(trouble) => self.say(&words(&trouble)),
        }
    }

    async fn command(&mut self, command: &str) -> Result<(), Trouble> {
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        self.wants_code = None;
        match word {
            "members" => self.ask_members().await,
            "history" => self.ask_history().await,
            "channels" => {
                let list = |session: &mut Session| session.list(ListOrder::Recent(None), LIST_LIMIT);
                let asked = self.chat()?.client.with_session(list).await?;
                asked.map_err(ClientError::Refused)?;
                self.wants_channels = true;
                self.answers_due += 1;
                Ok(())
            }
            "signup" => self.sign_up(rest).await,
            "login" => {
                if self.is_typed {
                    self.start.password = None;
                }
                self.wants_password = true;
                self.log_in(None).await
            }
            "help" => Ok(self.line(HELP)?),
            "quit" => {
                self.quit();
                Ok(())
            }
            _ => self.carry_out(word, rest).await,
        }
    }

    /// What is asked in the same words on the whole screen.
    async fn carry_out(&mut self, word: &str, rest: &str) -> Result<(), Trouble> {
        let here = self.current;
        let newest = here.and_then(|here| self.newest.get(&here).copied());
        let Self { chat, start, groups, prefs, .. } = self;
        let chat = chat.as_mut().ok_or_else(|| Trouble::said("not logged in; try /login or /signup"))?;
        let Some(outcome) = chat.desk(start, groups, (here, newest), prefs).carry_out(word, rest).await
        else {
            return Err(Trouble::Said(format!("/{word} is not a command; /help lists them")));
        };
        match outcome? {
            Outcome::Said(text) => self.say(&text)?,
            Outcome::Lines { title, lines } => {
                self.say(&format!("{title}:"))?;
                lines.iter().try_for_each(|line| self.line(&format!("  {line}")))?;
            }
            Outcome::Opened(channel) => self.turn_to(channel, "with").await?,
            Outcome::Made { send_id, channel, name } => {
                self.sends.insert(send_id, (channel, None));
                self.groups.insert(channel, name);
                self.turn_to(channel, "in").await?;
            }
            Outcome::Sent { send_id, channel } | Outcome::Recalled { send_id, channel, .. } => {
                self.sends.insert(send_id, (channel, None));
            }
            Outcome::Asked => self.answers_due += 1,
            Outcome::Noted { send_id, content } => {
                self.sends.insert(send_id, (ChannelId(0), None));
                self.noted.insert(send_id, content);
            }
            Outcome::Jump { channel, around } => {
                let jump =
                    move |session: &mut Session| session.history_around(channel, around, HISTORY_LIMIT);
                let asked = self.chat()?.client.with_session(jump).await?;
                asked.map_err(ClientError::Refused)?;
                self.answers_due += 1;
            }
            Outcome::Left { send_id, channel } => {
                self.sends.insert(send_id, (channel, None));
                self.current = None;
            }
            Outcome::Secret(lines) => {
                lines.iter().try_for_each(|line| self.line(line))?;
                self.ask_code(Code::Confirm, false)?;
            }
            Outcome::LoggedOut => {
                if let Some(state) = self.start.state_of(&self.name) {
                    state.forget();
                }
                self.chat = None;
                self.sends.clear();
                self.say("Logged out: this device is no more, and nothing of it is kept here.")?;
                self.quit();
            }
        }
        Ok(())
    }

    async fn turn_to(&mut self, channel: ChannelId, how: &str) -> io::Result<()> {
        self.current = Some(channel);
        let title = self.title(channel).await;
        self.say(&format!("Now {how} {title}."))
    }

    async fn take_code(&mut self, code: &str) -> Result<(), Trouble> {
        match self.wants_code.take() {
            _ if code.is_empty() => Ok(self.say("Not now, then. /login and /twofactor ask again.")?),
            Some(Code::Login) => self.log_in(Some(code)).await,
            _ => match self.carry_out("twofactor", &format!("code {code}")).await {
                Err(Trouble::Account(error)) if error.code() == "wrong_code" => {
                    Ok(self.ask_code(Code::Confirm, true)?)
                }
                outcome => outcome,
            },
        }
    }

    async fn speak(&mut self, text: &str) -> Result<(), Trouble> {
        let channel = self.here()?;
        let send_id = self.chat()?.client.send_text(channel, text).await?;
        self.sends.insert(send_id, (channel, Some(text.to_owned())));
        if !self.is_connected {
            self.say("No connection now; this is sent when it is back.")?;
        }
        Ok(())
    }

    async fn ask_members(&mut self) -> Result<(), Trouble> {
        let channel = self.here()?;
        if channel.users().is_some() {
            return Err(Trouble::said("this is not a group; begin with /to GROUP"));
        }
        self.chat()?.client.members(channel, UserId(0), CHANNELS_LIMIT).await?;
        self.answers_due += 1;
        Ok(())
    }

    async fn ask_history(&mut self) -> Result<(), Trouble> {
        let channel = self.here()?;
        let before = self.shown_from.get(&channel).copied();
        if before == Some(Seq(0)) {
            return Err(Trouble::said("there is no more"));
        }
        self.chat()?.client.history(channel, None, before, HISTORY_LIMIT, true).await?;
        self.answers_due += 1;
        Ok(())
    }

    pub(super) fn show_end(&mut self, end: &crate::dial::End) -> io::Result<()> {
        use crate::dial::End;
        self.chat = None;
        match end {
            End::LoggedOut { .. } => {
                if let Some(state) = self.start.state_of(&self.name) {
                    state.forget();
                }
            }
            End::Stopped | End::Replaced | End::Refused { .. } => {}
        }
        self.say(&format!("The connection ended: {}. /login tries again.", apart(&end.to_string())))
    }
}
