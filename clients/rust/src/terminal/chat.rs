//! A logged-in client with what both ways of the terminal share.

use std::future::pending;
use std::time::Duration;

use protocol::{ChannelId, Cursor, DeviceId, UserId};
use tokio::time::timeout;

use super::Start;
use super::names::Names;
use crate::account::{AccountError, Extras};
use crate::dial::{Client, End, Events, Options};
use crate::session::{Content, Event, Saved};

/// How long a goodbye may take.
const GOODBYE_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Chat {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) names: Names,
    events: Events,
}

impl Chat {
    /// Logs in and begins to connect.
    pub(super) async fn begin(
        start: &Start,
        name: &str,
        password: &str,
        code: Option<&str>,
        device: Option<DeviceId>,
        cursor: Cursor,
    ) -> Result<Self, AccountError> {
        let account = &start.account;
        let name = name.trim();
        let extras = Extras { device_name: Some("maru chat"), code, token: None };
        let login = account.login_with(name, password, device, extras).await?;
        let mut names = Names::new(account.clone());
        names.learn(login.user, name);
        let options = Options {
            account: account.clone(),
            login,
            renew: Some((name.to_owned(), password.to_owned())),
            saved: Some(Saved { cursor, pending: Vec::new() }),
        };
        let (client, events) = Client::start_over(options, start.transport)?;
        Ok(Self { client, name: name.to_owned(), names, events })
    }

    pub(super) async fn user(&mut self, name: &str) -> Result<UserId, AccountError> {
        self.names.user(&self.client.token(), name).await
    }

    pub(super) async fn name_of(&mut self, user: UserId) -> String {
        self.names.name(&self.client.token(), user).await
    }

    pub(super) async fn names_of(&mut self, users: &[UserId]) -> Vec<String> {
        let mut names = Vec::with_capacity(users.len());
        for user in users {
            names.push(self.name_of(*user).await);
        }
        names
    }

    /// With whom a direct channel is; `None` for a group.
    pub(super) fn partner(&self, channel: ChannelId) -> Option<UserId> {
        let (small, large) = channel.users()?;
        Some(if small == self.client.user() { large } else { small })
    }

    /// Says goodbye and waits until it is said.
    pub(super) async fn end(self) {
        let Self { client, mut events, .. } = self;
        drop(client);
        let _ = timeout(GOODBYE_WAIT, async { while events.next().await.is_ok() {} }).await;
    }
}

/// The next event; without a client none comes.
pub(super) async fn next(chat: &mut Option<Chat>) -> Result<Event, End> {
    match chat {
        Some(chat) => chat.events.next().await,
        None => pending().await,
    }
}

/// The word for a kind of content.
pub(super) fn kind(content: &Content) -> &'static str {
    match content {
        Content::Text(_) => "text",
        Content::Created { .. } => "created",
        Content::Added(_) => "added",
        Content::Invited(_) => "invited",
        Content::Joined => "joined",
        Content::Removed(_) => "removed",
        Content::Left => "left",
        Content::Renamed(_) => "renamed",
        Content::Role { .. } => "role",
    }
}
