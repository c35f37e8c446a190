//! What an operator may know of one user: who is connected, how far behind, and what is left of the hour's quotas.

use protocol::commit::Quota;
use protocol::{DeviceId, InboxSeq, UserId};

use crate::input::ConnId;
use crate::link::Link;
use crate::quotas::Left;
use crate::session::Session;
use crate::shard::Shard;

/// A user at its home, as far as it is in memory; one who is not has no session and all quotas.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserReport {
    /// The newest position of its inbox; `None` when it is not in memory.
    pub inbox_head: Option<InboxSeq>,
    /// Devices that are connected.
    pub sessions: Vec<SessionReport>,
    /// Its own bounds.
    pub quota: Quota,
    /// What it may still do within the hour.
    pub left: Left,
}

/// A session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionReport {
    /// Of which device.
    pub device: DeviceId,
    /// The driver's name of its connection, which says what kind it is.
    pub conn: ConnId,
    /// How long nothing came from it, milliseconds.
    pub silent_ms: u64,
    /// Bytes that wait to be written to it.
    pub waiting_bytes: usize,
    /// Messages of the inbox that it was not sent yet.
    pub behind: u64,
    /// When its token ends, milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

impl Shard {
    /// What this shard knows of a user whose home it is; `stored` are the bounds of one who is not in memory.
    #[must_use]
    pub fn report_user(&self, id: UserId, stored: Quota) -> UserReport {
        let Some(user) = self.users.get(&id) else {
            let left = Left::all(stored, &self.config.limits);
            return UserReport { quota: stored, left, ..UserReport::default() };
        };
        let head = user.inbox.durable();
        let report = |session: &Session| {
            // A guest is none of its user's sessions.
            let (Link::Local(conn) | Link::Held { conn, .. }) = session.link() else { return None };
            Some(SessionReport {
                device: session.device(),
                conn,
                silent_ms: self.now.0.saturating_sub(session.heard_at().0),
                waiting_bytes: session.egress.queued(self.turn),
                behind: head.0.saturating_sub(session.sent_through().0),
                expires_ms: session.expires_ms(),
            })
        };
        let sessions = user.sessions.iter().filter_map(|session| self.sessions.get(session));
        UserReport {
            inbox_head: Some(head),
            sessions: sessions.filter_map(report).collect(),
            quota: user.account.map(|account| account.quota).unwrap_or_default(),
            left: user.quotas_left(&self.config.limits, self.now),
        }
    }
}
