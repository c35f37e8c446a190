//! What a person asks by a `/word` that needs the server: the same in both ways of the client for people. The answer says what
//! became of it; how it is shown is the asker's.

use std::collections::BTreeMap;
use std::io;

use protocol::body::message::{ROLE_ADMIN, ROLE_MEMBER, ROLE_OWNER};
use protocol::commit::Prefs;
use protocol::{ChannelId, SendId, Seq, UserId};

use super::names::{Names, alike};
use super::text::apart;
use crate::account::{Account, AccountError};
use crate::dial::{Client, ClientError};
use crate::session::{Around, Content};

mod about;
mod account;
mod own;
mod presence;
mod rules;
mod search;
mod talk;

pub(super) use about::{recalled_words, remark_words, said_lines};
pub(super) use presence::own_words;
pub(super) use rules::{rule_words, ruled_user, rules_lines};
pub(super) use talk::marks;

/// At whom a command is carried out, and where.
pub(super) struct Desk<'a> {
    pub(super) account: &'a Account,
    pub(super) client: &'a Client,
    pub(super) names: &'a mut Names,
    /// What was typed in this run.
    pub(super) password: Option<&'a str>,
    /// Groups by name.
    pub(super) groups: &'a BTreeMap<ChannelId, String>,
    /// The current conversation.
    pub(super) here: Option<ChannelId>,
    /// The newest message there.
    pub(super) newest: Option<Seq>,
    /// How conversations are to be shown and told of.
    pub(super) prefs: &'a BTreeMap<ChannelId, Prefs>,
    /// Milliseconds since the Unix epoch.
    pub(super) now_ms: u64,
}

/// What became of a command. Its words are safe to show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// One line.
    Said(String),
    /// A list.
    Lines { title: String, lines: Vec<String> },
    /// This conversation is the current one now.
    Opened(ChannelId),
    /// A group is being made, and is the current conversation.
    Made { send_id: SendId, channel: ChannelId, name: String },
    /// A change of this conversation is under way.
    Sent { send_id: SendId, channel: ChannelId },
    /// The same, and it takes this text back.
    Recalled { send_id: SendId, channel: ChannelId, target: Seq },
    /// The same, and the person is no longer there.
    Left { send_id: SendId, channel: ChannelId },
    /// The user notes something for all devices.
    Noted { send_id: SendId, content: Content },
    /// Messages around a place are to be shown.
    Jump { channel: ChannelId, around: Around },
    /// The person is to show that the app holds this.
    Secret(Vec<String>),
    /// Something was asked, and its answer comes as an event.
    Asked,
    /// This device is no more.
    LoggedOut,
}

/// What keeps a command from being carried out. Its words may be those of others.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Said(String),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl Trouble {
    pub(super) fn said(text: impl Into<String>) -> Self {
        Self::Said(text.into())
    }
}

type Done = Result<Outcome, Trouble>;

impl Desk<'_> {
    /// Carries a command out; `None` when it is not one of these.
    pub(super) async fn carry_out(&mut self, word: &str, rest: &str) -> Option<Done> {
        Some(match word {
            "to" => self.turn_to(rest).await,
            "group" => self.make_group(rest).await,
            "add" | "invite" | "remove" => self.change_member(word, rest).await,
            "role" => self.set_role(rest).await,
            "rename" => self.rename(rest).await,
            "join" => self.join(rest).await,
            "leave" => self.leave().await,
            "saved" => Ok(self.saved()),
            // With two words it is of a member, and with less of this conversation.
            "mute" if rest.contains(char::is_whitespace) => self.rule(word, rest).await,
            "mute" => self.mute(rest).await,
            "ban" | "unban" | "slow" | "rules" => self.rule(word, rest).await,
            "report" => self.report(rest).await,
            "pin-chat" => self.pin_chat(rest).await,
            "draft" => self.draft(rest).await,
            "hide" => self.hide(rest).await,
            "jump" => self.jump(rest),
            "search" => self.search(rest).await,
            "friends" => self.friends().await,
            "friend" | "unfriend" | "block" | "unblock" => self.relate(word, rest).await,
            "status" => self.status(rest).await,
            "privacy" => self.privacy(rest).await,
            "receipts" => self.receipts(rest).await,
            "devices" => self.devices(rest).await,
            "logout" => self.log_out().await,
            "reply" | "thread" | "mention" | "mentions" | "forward" => self.talk(word, rest).await,
            "edit" | "react" | "pin" | "recall" | "said" => self.say_about(word, rest).await,
            "twofactor" => self.two_factor(rest).await,
            _ => return None,
        })
    }

    async fn user(&mut self, name: &str) -> Result<UserId, Trouble> {
        if name.is_empty() {
            return Err(Trouble::said("whom? Give a name."));
        }
        match self.names.user(&self.client.token(), name).await {
            Err(error) if error.code() == "not_found" => {
                Err(Trouble::Said(format!("nobody is called {name}")))
            }
            outcome => Ok(outcome?),
        }
    }

    async fn find(&mut self, name: &str) -> Result<ChannelId, Trouble> {
        let group = name.strip_prefix('#').unwrap_or(name);
        let is_it = |(_, known): &(&ChannelId, &String)| alike(known, group);
        let channel = match self.groups.iter().find(is_it).map(|(channel, _)| *channel) {
            Some(channel) => channel,
            None if name.starts_with('#') => {
                return Err(Trouble::Said(format!("no group of yours is called {group}")));
            }
            None => ChannelId::direct(self.client.user(), self.user(name).await?),
        };
        Ok(channel)
    }

    async fn turn_to(&mut self, name: &str) -> Done {
        if name.is_empty() {
            return Err(Trouble::said("/to whom?"));
        }
        Ok(Outcome::Opened(self.find(name).await?))
    }

    async fn make_group(&mut self, rest: &str) -> Done {
        let mut words = rest.split_whitespace();
        let name = words.next().ok_or_else(|| Trouble::said("/group NAME a b c"))?;
        let mut members = Vec::new();
        for word in words {
            members.push(self.user(word).await?);
        }
        let (send_id, channel) = self.client.create_group(name, &members).await?;
        Ok(Outcome::Made { send_id, channel, name: name.to_owned() })
    }

    fn group(&self) -> Result<ChannelId, Trouble> {
        let channel = self.here.ok_or_else(|| Trouble::said("nobody is listening; begin with /to NAME"))?;
        if channel.users().is_some() {
            return Err(Trouble::said("this is not a group; begin with /to GROUP"));
        }
        Ok(channel)
    }

    async fn change_member(&mut self, word: &str, name: &str) -> Done {
        let (channel, user) = (self.group()?, self.user(name).await?);
        let send_id = match word {
            "add" => self.client.add_members(channel, &[user]).await?,
            "invite" => self.client.invite_members(channel, &[user]).await?,
            _ => self.client.remove_member(channel, user).await?,
        };
        Ok(Outcome::Sent { send_id, channel })
    }

    async fn set_role(&mut self, rest: &str) -> Done {
        let usage = || Trouble::said("/role NAME member, admin or owner");
        let (name, role) = rest.rsplit_once(char::is_whitespace).ok_or_else(usage)?;
        let role = match role {
            "member" => ROLE_MEMBER,
            "admin" => ROLE_ADMIN,
            "owner" => ROLE_OWNER,
            _ => return Err(usage()),
        };
        let (channel, user) = (self.group()?, self.user(name.trim()).await?);
        let change = move |session: &mut crate::session::Session| session.set_role(channel, user, role, None);
        let send_id = self.client.with_session(change).await?.map_err(ClientError::Refused)?;
        Ok(Outcome::Sent { send_id, channel })
    }

    async fn rename(&mut self, name: &str) -> Done {
        if name.is_empty() {
            return Err(Trouble::said("/rename NAME: what is the group called from now on?"));
        }
        let (channel, name) = (self.group()?, name.to_owned());
        let change = move |session: &mut crate::session::Session| session.rename(channel, &name, None);
        let send_id = self.client.with_session(change).await?.map_err(ClientError::Refused)?;
        Ok(Outcome::Sent { send_id, channel })
    }

    async fn join(&mut self, name: &str) -> Done {
        let channel = if name.is_empty() { self.group()? } else { self.find(name).await? };
        if channel.users().is_some() {
            return Err(Trouble::Said(format!("{name} is not a group that you were invited to")));
        }
        let send_id = self.client.join(channel).await?;
        Ok(Outcome::Made { send_id, channel, name: self.groups.get(&channel).cloned().unwrap_or_default() })
    }

    async fn leave(&mut self) -> Done {
        let channel = self.group()?;
        Ok(Outcome::Left { send_id: self.client.leave(channel).await?, channel })
    }
}

/// The word for a role.
pub(super) fn role_word(role: u8) -> &'static str {
    match role {
        ROLE_OWNER => "owner",
        ROLE_ADMIN => "admin",
        _ => "member",
    }
}

/// What went wrong, safe to show.
pub(super) fn words(trouble: &impl std::fmt::Display) -> String {
    apart(&trouble.to_string())
}
