//! A [`Session`] on QUIC or a WebSocket: one tokio task that dials, reconnects, and renews the token.
//!
//! Whoever logged in over `https://` goes on over TLS and never in clear text. A server that is not who it should be (a certificate
//! that nobody trusts or that is not the announced one, a chat address in clear text) is told as [`Event::Untrusted`]; nothing is
//! said to it, and it is tried again.
//!
//! Addresses are believed until they fail: after two dials in a row that found no server, the control plane is asked where it is
//! now (`GET /v1/route`) before each further one. While that does not answer either, the last addresses are tried.

use std::sync::Arc;
use std::time::Duration;

use protocol::{ChannelId, DeviceId, Refusal, SendId, Seq, UserId};
use tokio::sync::{mpsc, oneshot, watch};

use crate::account::{Account, Login};
use crate::http::HttpError;
use crate::session::{Config, Event, RequestId, Saved, Session};

mod link;
pub mod quic;
mod roads;
mod socket;
mod task;

#[cfg(test)]
mod tests;

use roads::Roads;
pub use roads::Transport;
use task::Task;

/// Events that wait for an app that does not take them; then the connection is not read.
const EVENTS_WAITING_MAX: usize = 1024;
/// Commands that wait for the task; then commands wait for their turn.
const COMMANDS_WAITING_MAX: usize = 256;
/// How long a goodbye may take.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

type Command = Box<dyn FnOnce(&mut Session) + Send>;

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The control plane: where the token is renewed.
    pub account: Account,
    /// What login gave.
    pub login: Login,
    /// Name and password. Tokens are renewed without them, by the refresh token in `login`; they bring back a device whose
    /// refresh token has ended too. Without them such a client stops with [`End::Refused`] or [`End::LoggedOut`].
    pub renew: Option<(String, String)>,
    /// What an earlier run of this device kept.
    pub saved: Option<Saved>,
}

/// Keeps what a later run of the device needs. A refresh token works once: whoever shows it says so before, and keeps the next
/// one before anything is done with it.
pub trait Keep: Send + Sync {
    /// The refresh token is about to be shown.
    fn renewing(&self);
    /// There is another, which counts from now on.
    fn renewed(&self, login: &Login);
}

/// Why a client stopped.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum End {
    /// Its handles were dropped.
    #[error("stopped")]
    Stopped,
    /// The same device said Hello somewhere else.
    #[error("this device is connected somewhere else")]
    Replaced,
    /// The device was logged out, replaced or removed, here or elsewhere. A person has to log in.
    #[error("this device was logged out: {reason}")]
    LoggedOut {
        /// What the server said, for people.
        reason: String,
    },
    /// The server does not take the device; no retry can help.
    #[error("{reason} ({code})")]
    Refused {
        /// A stable word.
        code: String,
        /// For people.
        reason: String,
    },
}

/// Why a command was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// It breaks a limit, or too much is pending.
    #[error("{}: {}", .0.path, .0.text)]
    Refused(Refusal),
    /// The client has stopped; [`Events::next`] said why.
    #[error("the client has stopped")]
    Stopped,
}

/// A handle to a running client. When the last one is dropped, the client says goodbye and stops.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    login: watch::Receiver<Login>,
    roads: Arc<Roads>,
}

/// The events of a running client, in order.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Result<Event, End>>,
}

impl Events {
    /// The next event. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Why the client stopped; nothing comes after it.
    pub async fn next(&mut self) -> Result<Event, End> {
        self.events.recv().await.unwrap_or(Err(End::Stopped))
    }

    /// The next event if it is here already.
    pub fn try_next(&mut self) -> Option<Result<Event, End>> {
        match self.events.try_recv() {
            Ok(event) => Some(event),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => Some(Err(End::Stopped)),
        }
    }
}

impl Client {
    /// Starts a client. Within a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// The chat address in `login` is not one of ours, or is in clear text though the account is not.
    pub fn start(options: Options) -> Result<(Self, Events), HttpError> {
        Self::start_over(options, Transport::Auto)
    }

    /// Starts a client that connects in this way.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_over(options: Options, transport: Transport) -> Result<(Self, Events), HttpError> {
        Self::start_kept(options, transport, None)
    }

    /// Starts a client whose renewals are kept.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_kept(
        options: Options,
        transport: Transport,
        keep: Option<Arc<dyn Keep>>,
    ) -> Result<(Self, Events), HttpError> {
        let roads = Arc::new(Roads::new(transport, options.account.chat_place(&options.login.chat)?));
        let session = Session::new(Config::new(options.login.user, entropy_u64()), options.saved.clone());
        let (commands, command_queue) = mpsc::channel(COMMANDS_WAITING_MAX);
        let (event_queue, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let (told, login) = watch::channel(options.login.clone());
        let ways = roads.clone();
        tokio::spawn(Task::new(options, ways, session, command_queue, event_queue, told).kept_by(keep).run());
        Ok((Self { commands, login, roads }, Events { events }))
    }

    /// Whether the connection, or the last one, is QUIC.
    #[must_use]
    pub fn is_quic(&self) -> bool {
        self.roads.is_quic()
    }

    /// The device has another network now: a QUIC connection goes on from there. False when there is none; a WebSocket
    /// finds out by itself and comes again.
    pub fn network_changed(&self) -> bool {
        self.roads.rebind()
    }

    /// Whose device this is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.login.borrow().user
    }

    /// Which device this is.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.login.borrow().device
    }

    /// The token that counts now.
    #[must_use]
    pub fn token(&self) -> String {
        self.login.borrow().token.clone()
    }

    /// The tokens that count now. An app keeps [`Login::refresh`] for its next run.
    #[must_use]
    pub fn login(&self) -> Login {
        self.login.borrow().clone()
    }

    /// Tells of each renewal, so that an app can keep the newest [`Login::refresh`]: the one before is used up.
    #[must_use]
    pub fn logins(&self) -> watch::Receiver<Login> {
        self.login.clone()
    }

    /// Runs `work` on the session, in the client's task.
    ///
    /// # Errors
    /// The client has stopped.
    pub async fn with_session<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session) -> R + Send + 'static,
    ) -> Result<R, ClientError> {
        let (answer, answered) = oneshot::channel();
        let command: Command = Box::new(move |session| {
            // The one who asked may be gone; the work is done all the same.
            let _ = answer.send(work(session));
        });
        self.commands.send(command).await.map_err(|_| ClientError::Stopped)?;
        answered.await.map_err(|_| ClientError::Stopped)
    }

    async fn command<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<R, ClientError> {
        self.with_session(work).await?.map_err(ClientError::Refused)
    }

    /// Sends text; [`Event::Ack`] or [`Event::Rejected`] follows.
    ///
    /// # Errors
    /// As for [`Session::send_text`].
    pub async fn send_text(&self, channel: ChannelId, text: &str) -> Result<SendId, ClientError> {
        let text = text.to_owned();
        self.command(move |session| session.send_text(channel, &text, None)).await
    }

    /// Creates a group with the user as owner.
    ///
    /// # Errors
    /// As for [`Session::create_group`].
    pub async fn create_group(
        &self,
        name: &str,
        members: &[UserId],
    ) -> Result<(SendId, ChannelId), ClientError> {
        let (name, members) = (name.to_owned(), members.to_vec());
        self.command(move |session| session.create_group(&name, &members, None)).await
    }

    /// Adds users to a group.
    ///
    /// # Errors
    /// As for [`Session::add_members`].
    pub async fn add_members(&self, channel: ChannelId, members: &[UserId]) -> Result<SendId, ClientError> {
        let members = members.to_vec();
        self.command(move |session| session.add_members(channel, &members, None)).await
    }

    /// Asks users whether they join a group.
    ///
    /// # Errors
    /// As for [`Session::invite_members`].
    pub async fn invite_members(
        &self,
        channel: ChannelId,
        members: &[UserId],
    ) -> Result<SendId, ClientError> {
        let members = members.to_vec();
        self.command(move |session| session.invite_members(channel, &members, None)).await
    }

    /// Joins a group to which this user was invited.
    ///
    /// # Errors
    /// As for [`Session::join`].
    pub async fn join(&self, channel: ChannelId) -> Result<SendId, ClientError> {
        self.command(move |session| session.join(channel, None)).await
    }

    /// Removes a user from a group.
    ///
    /// # Errors
    /// As for [`Session::remove_member`].
    pub async fn remove_member(&self, channel: ChannelId, member: UserId) -> Result<SendId, ClientError> {
        self.command(move |session| session.remove_member(channel, member, None)).await
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// As for [`Session::leave`].
    pub async fn leave(&self, channel: ChannelId) -> Result<SendId, ClientError> {
        self.command(move |session| session.leave(channel, None)).await
    }

    /// Asks for a window of history; [`Event::History`] follows.
    ///
    /// # Errors
    /// As for [`Session::history`].
    pub async fn history(
        &self,
        channel: ChannelId,
        after: Option<Seq>,
        before: Option<Seq>,
        limit: u32,
        newest: bool,
    ) -> Result<RequestId, ClientError> {
        self.command(move |session| session.history(channel, after, before, limit, newest)).await
    }

    /// Asks for the user's channels; [`Event::Channels`] follows.
    ///
    /// # Errors
    /// As for [`Session::channels`].
    pub async fn channels(&self, after: ChannelId, limit: u32) -> Result<RequestId, ClientError> {
        self.command(move |session| session.channels(after, limit)).await
    }

    /// Asks for a group's members; [`Event::Members`] follows.
    ///
    /// # Errors
    /// As for [`Session::members`].
    pub async fn members(
        &self,
        channel: ChannelId,
        after: UserId,
        limit: u32,
    ) -> Result<RequestId, ClientError> {
        self.command(move |session| session.members(channel, after, limit)).await
    }

    /// Shows a fresh token; for apps that log in by themselves.
    ///
    /// # Errors
    /// The client has stopped.
    pub async fn reauth(&self, token: &str, lifetime_ms: u64) -> Result<(), ClientError> {
        let token = token.to_owned();
        self.with_session(move |session| session.reauth(&token, lifetime_ms)).await
    }

    /// What to keep for a later run of this device; see [`Session::saved`] for when.
    ///
    /// # Errors
    /// The client has stopped.
    pub async fn saved(&self) -> Result<Saved, ClientError> {
        self.with_session(|session| session.saved()).await
    }
}

/// Randomness of the operating system.
fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // It fails only where there is no such source at all. A mask key may then be weak: it keeps a proxy from being
    // fooled by a browser, and there is none of either here. Send ids still differ by the time mixed in.
    if getrandom::fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut state = now.as_nanos() as u64;
        for byte in &mut bytes {
            state = protocol::partition::mix64(state);
            *byte = state.to_le_bytes()[0];
        }
    }
    bytes
}

fn entropy_u64() -> u64 {
    u64::from_le_bytes(entropy())
}
