//! A logged-in client with what all ways of the terminal share.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use protocol::commit::Prefs;
use protocol::{ChannelId, Cursor, DeviceId, Seq, UserId};
use tokio::time::timeout;

use super::Start;
use super::command::Desk;
use super::names::Names;
use super::text::one_line;
use crate::account::{AccountError, Extras, Login};
use crate::dial::{Client, End, Events, Keep, Options};
use crate::http::HttpError;
use crate::session::{Content, Event, Remark, Saved};

/// How long a goodbye may take.
const GOODBYE_WAIT: Duration = Duration::from_secs(2);
/// Longest name of a device that is given.
const DEVICE_NAME_CHARS_MAX: usize = 60;

/// How this device is called in the list of its owner's.
pub(super) fn device_name(start: &Start) -> String {
    let system = rustix::system::uname();
    let host = one_line(&system.nodename().to_string_lossy());
    let slot = start.state.as_ref().map(|state| state.slot()).filter(|slot| *slot != "1");
    let slot = slot.map_or_else(String::new, |slot| format!(" ({slot})"));
    format!("maru chat on {host}{slot}").chars().take(DEVICE_NAME_CHARS_MAX).collect()
}

/// Logs in by password: as the device that is named, else as the one that is kept, else as a new one.
pub(super) async fn log_in(
    start: &Start,
    name: &str,
    password: &str,
    code: Option<&str>,
    device: Option<DeviceId>,
) -> Result<Login, AccountError> {
    let device_name = device_name(start);
    let extras = Extras { device_name: Some(&device_name), code, token: None };
    let state = start.state_of(name).filter(|_| device.is_none());
    let kept = state.and_then(|state| state.kept().device);
    let first = start.account.login_with(name, password, device.or(kept), extras).await;
    let login = match first {
        // It was removed by another, or the server is another one at the same address.
        Err(error) if kept.is_some() && error.code() == "not_found" => {
            start.account.login_with(name, password, None, extras).await?
        }
        outcome => outcome?,
    };
    if let Some(state) = state {
        state.logged_in(&login);
    }
    Ok(login)
}

/// Goes on as the device that is kept, without a password; `None` when there is none, or not any more.
pub(super) async fn come_back(start: &Start, name: &str) -> Result<Option<Login>, AccountError> {
    let Some(state) = start.state_of(name) else { return Ok(None) };
    let Some(refresh) = state.refresh() else { return Ok(None) };
    state.renewing();
    match start.account.renew(&refresh).await {
        Ok(login) => {
            state.renewed(&login);
            Ok(Some(login))
        }
        Err(error @ AccountError::Refused { .. }) if error.retry_after_ms() == 0 => {
            state.forget_refresh();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[derive(Debug)]
pub(super) struct Chat {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) names: Names,
    events: Events,
}

impl Chat {
    /// Begins to connect, behind this cursor.
    pub(super) fn begin(
        start: &Start,
        name: &str,
        password: Option<&str>,
        login: Login,
        cursor: Cursor,
    ) -> Result<Self, HttpError> {
        let account = &start.account;
        let name = name.trim();
        let mut names = Names::new(account.clone());
        names.learn(login.user, name);
        // Only the device that is kept is kept.
        let state = start.state_of(name).filter(|state| state.kept().device == Some(login.device));
        let options = Options {
            account: account.clone(),
            login,
            renew: password.map(|password| (name.to_owned(), password.to_owned())),
            saved: Some(Saved { cursor, pending: Vec::new() }),
        };
        let keep = state.cloned().map(|state| state as Arc<dyn Keep>);
        let (client, events) = Client::start_kept(options, start.transport, keep)?;
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

    /// Where a person's commands are carried out.
    pub(super) fn desk<'a>(
        &'a mut self,
        start: &'a Start,
        groups: &'a std::collections::BTreeMap<ChannelId, String>,
        (here, newest): (Option<ChannelId>, Option<Seq>),
        prefs: &'a std::collections::BTreeMap<ChannelId, Prefs>,
    ) -> Desk<'a> {
        let (password, now_ms) = (start.password.as_deref(), now_ms());
        let Self { client, names, .. } = self;
        Desk { account: &start.account, client, names, password, groups, here, newest, prefs, now_ms }
    }

    /// The next event.
    pub(super) async fn next(&mut self) -> Result<Event, End> {
        self.events.next().await
    }

    /// The next event, if one is here already.
    pub(super) fn try_next(&mut self) -> Option<Result<Event, End>> {
        self.events.try_next()
    }

    /// Says goodbye and waits until it is said.
    pub(super) async fn end(self) {
        let Self { client, mut events, .. } = self;
        drop(client);
        let _ = timeout(GOODBYE_WAIT, async { while events.next().await.is_ok() {} }).await;
    }
}

/// Milliseconds since the Unix epoch, on this machine's clock.
pub(super) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The next event; without a client none comes.
pub(super) async fn next(chat: &mut Option<Chat>) -> Result<Event, End> {
    match chat {
        Some(chat) => chat.next().await,
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
        Content::Grown => "grown",
        Content::Erased => "erased",
        Content::Removed(_) => "removed",
        Content::Left => "left",
        Content::Renamed(_) => "renamed",
        Content::Role { .. } => "role",
        Content::Muted { .. } => "muted",
        Content::Banned(_) => "banned",
        Content::Unbanned(_) => "unbanned",
        Content::Slowed(_) => "slowed",
        Content::Prefs { .. } => "prefs",
        Content::Draft { .. } => "draft",
        Content::Hidden { .. } => "hidden",
        Content::About { remark: Remark::Edited(_), .. } => "edited",
        Content::About { remark: Remark::Reacted { .. }, .. } => "reacted",
        Content::About { remark: Remark::Pinned(_), .. } => "pinned",
        Content::About { remark: Remark::Recalled, .. } => "recall",
        Content::Recalled { .. } => "recalled",
    }
}
