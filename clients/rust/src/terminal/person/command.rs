//! What a person types.

use std::io;

use protocol::{ChannelId, SendId, Seq, UserId};

use super::super::names::alike;
use super::show::printable;
use super::{CHANNELS_LIMIT, Code, HELP, HISTORY_LIMIT, Person, Trouble};

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
            Err(trouble) => self.say(&trouble.to_string()),
        }
    }

    async fn command(&mut self, command: &str) -> Result<(), Trouble> {
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        self.wants_code = None;
        match word {
            "to" => self.turn_to(rest).await,
            "group" => self.make_group(rest).await,
            "add" => self.add(rest).await,
            "invite" => self.invite(rest).await,
            "join" => self.join(rest).await,
            "remove" => self.remove(rest).await,
            "leave" => self.leave().await,
            "members" => self.ask_members().await,
            "history" => self.ask_history().await,
            "channels" => {
                self.chat()?.client.channels(ChannelId(0), CHANNELS_LIMIT).await?;
                self.wants_channels = true;
                self.answers_due += 1;
                Ok(())
            }
            "signup" => self.sign_up(rest).await,
            "login" => self.log_in(None).await,
            "twofactor" => self.two_factor(rest).await,
            "friends" => self.friends().await,
            "friend" | "unfriend" | "block" | "unblock" => self.relate(word, rest).await,
            "privacy" => self.privacy(rest).await,
            "help" => Ok(self.line(HELP)?),
            "quit" => {
                self.quit();
                Ok(())
            }
            _ => Err(Trouble::Said(format!("/{word} is not a command; /help lists them"))),
        }
    }

    async fn take_code(&mut self, code: &str) -> Result<(), Trouble> {
        match self.wants_code.take() {
            _ if code.is_empty() => Ok(self.say("Not now, then. /login and /twofactor ask again.")?),
            Some(Code::Login) => self.log_in(Some(code)).await,
            _ => self.confirm_two_factor(code).await,
        }
    }

    async fn two_factor(&mut self, rest: &str) -> Result<(), Trouble> {
        let password = self.start.password.clone().unwrap_or_default();
        let token = self.chat()?.client.token();
        match rest.split_once(char::is_whitespace).unwrap_or((rest, "")) {
            ("on", "") => {
                let made = self.start.account.begin_two_factor(&token, &password).await?;
                self.line(&format!("Give your authenticator app this key: {}", printable(&made.secret)))?;
                self.line(&format!("or this address, as a QR code: {}", printable(&made.uri)))?;
                Ok(self.ask_code(Code::Confirm, false)?)
            }
            ("off", code) if !code.is_empty() => {
                self.start.account.two_factor_off(&token, &password, code.trim()).await?;
                Ok(self.say("A login asks for the password alone.")?)
            }
            _ => Err(Trouble::Said("/twofactor on, or /twofactor off CODE".into())),
        }
    }

    async fn confirm_two_factor(&mut self, code: &str) -> Result<(), Trouble> {
        let token = self.chat()?.client.token();
        match self.start.account.confirm_two_factor(&token, code).await {
            Err(error) if error.code() == "wrong_code" => Ok(self.ask_code(Code::Confirm, true)?),
            outcome => {
                let codes = outcome?;
                self.say(
                    "It is on. Each of these codes logs you in once without the app; keep them elsewhere:",
                )?;
                codes.iter().try_for_each(|code| self.line(&printable(code)))?;
                Ok(())
            }
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

    fn sent(&mut self, send_id: SendId, channel: ChannelId) {
        self.sends.insert(send_id, (channel, None));
    }

    async fn turn_to(&mut self, name: &str) -> Result<(), Trouble> {
        if name.is_empty() {
            return Err(Trouble::Said("/to whom?".into()));
        }
        let group = name.strip_prefix('#').unwrap_or(name);
        let is_it = |(_, known): &(&ChannelId, &String)| alike(known, group);
        let found = self.groups.iter().find(is_it).map(|(channel, _)| *channel);
        let channel = match found {
            Some(channel) => channel,
            None => ChannelId::direct(self.chat()?.client.user(), self.user(name).await?),
        };
        if channel.users().is_some_and(|(a, b)| a == b) {
            return Err(Trouble::Said("that is you".into()));
        }
        self.current = Some(channel);
        let title = self.title(channel).await;
        Ok(self.say(&format!("Now with {title}."))?)
    }

    pub(super) async fn user(&mut self, name: &str) -> Result<UserId, Trouble> {
        if name.is_empty() {
            return Err(Trouble::Said("whom? Give a name.".into()));
        }
        let said = format!("nobody is called {name}");
        match self.chat()?.user(name).await {
            Err(error) if error.code() == "not_found" => Err(Trouble::Said(said)),
            outcome => Ok(outcome?),
        }
    }

    async fn make_group(&mut self, rest: &str) -> Result<(), Trouble> {
        let mut words = rest.split_whitespace();
        let name = words.next().ok_or_else(|| Trouble::Said("/group NAME a b c".into()))?;
        let mut members = Vec::new();
        for word in words {
            members.push(self.user(word).await?);
        }
        let (send_id, channel) = self.chat()?.client.create_group(name, &members).await?;
        self.sent(send_id, channel);
        self.groups.insert(channel, name.to_owned());
        self.current = Some(channel);
        Ok(self.say(&format!("Now in #{name}."))?)
    }

    fn group(&self) -> Result<ChannelId, Trouble> {
        let channel = self.here()?;
        if channel.users().is_some() {
            return Err(Trouble::Said("this is not a group; begin with /to GROUP".into()));
        }
        Ok(channel)
    }

    async fn add(&mut self, name: &str) -> Result<(), Trouble> {
        let (channel, user) = (self.group()?, self.user(name).await?);
        let send_id = self.chat()?.client.add_members(channel, &[user]).await?;
        self.sent(send_id, channel);
        Ok(())
    }

    async fn invite(&mut self, name: &str) -> Result<(), Trouble> {
        let (channel, user) = (self.group()?, self.user(name).await?);
        let send_id = self.chat()?.client.invite_members(channel, &[user]).await?;
        self.sent(send_id, channel);
        Ok(())
    }

    async fn join(&mut self, name: &str) -> Result<(), Trouble> {
        self.turn_to(name).await?;
        let channel = self.group()?;
        let send_id = self.chat()?.client.join(channel).await?;
        self.sent(send_id, channel);
        Ok(())
    }

    async fn remove(&mut self, name: &str) -> Result<(), Trouble> {
        let (channel, user) = (self.group()?, self.user(name).await?);
        let send_id = self.chat()?.client.remove_member(channel, user).await?;
        self.sent(send_id, channel);
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), Trouble> {
        let channel = self.group()?;
        let send_id = self.chat()?.client.leave(channel).await?;
        self.sent(send_id, channel);
        self.current = None;
        Ok(())
    }

    async fn ask_members(&mut self) -> Result<(), Trouble> {
        let channel = self.group()?;
        self.chat()?.client.members(channel, UserId(0), CHANNELS_LIMIT).await?;
        self.answers_due += 1;
        Ok(())
    }

    async fn ask_history(&mut self) -> Result<(), Trouble> {
        let channel = self.here()?;
        let before = self.shown_from.get(&channel).copied();
        if before == Some(Seq(0)) {
            return Err(Trouble::Said("there is no more".into()));
        }
        self.chat()?.client.history(channel, None, before, HISTORY_LIMIT, true).await?;
        self.answers_due += 1;
        Ok(())
    }
}
