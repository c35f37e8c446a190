//! Whether the partners of direct conversations are there: a dot beside each.

use protocol::body::presence::{PresenceItem, STATE_AWAY, STATE_DO_NOT_DISTURB, STATE_ONLINE, STATE_UNKNOWN};
use protocol::body::sync::ChannelItem;
use protocol::limits::WATCHED_MAX;
use protocol::{ChannelId, UserId};
use ratatui::style::Color;

use super::model::{Ask, Model};

const DOT: &str = "\u{25cf}";
const RING: &str = "\u{25cb}";

impl Model {
    /// Asks to be shown the partners of these conversations, as many as one device may be shown.
    pub(super) fn watch_partners(&mut self, items: &[ChannelItem]) {
        let partners: Vec<UserId> =
            items.iter().filter_map(|item| self.partner(ChannelId(item.channel))).collect();
        let mut new = Vec::new();
        for user in partners {
            if self.presences.len() < WATCHED_MAX && !self.presences.contains_key(&user) && user != self.me {
                self.presences.insert(user, STATE_UNKNOWN);
                new.push(user);
            }
        }
        if !new.is_empty() {
            self.asks.push_back(Ask::Watch(new));
        }
    }

    pub(super) fn take_presence(&mut self, items: &[PresenceItem]) {
        for item in items {
            if let Some(state) = self.presences.get_mut(&UserId(item.user)) {
                *state = item.state;
            }
        }
    }

    /// What stands beside a conversation: a dot for who is there, a ring for who is away, nothing for all others.
    pub(super) fn dot(&self, channel: ChannelId) -> Option<(&'static str, Color)> {
        let user = self.partner(channel)?;
        match *self.presences.get(&user)? {
            STATE_ONLINE => Some((DOT, Color::Green)),
            STATE_AWAY => Some((RING, Color::Yellow)),
            STATE_DO_NOT_DISTURB => Some((DOT, Color::Red)),
            _ => None,
        }
    }
}
