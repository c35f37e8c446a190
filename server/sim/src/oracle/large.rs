//! Large channels in the model: since when a group is one, and whose inboxes its messages enter all the same.

use protocol::body::message::{Change, Message};
use protocol::body::talk::Talk;
use protocol::{ChannelId, Frame, Kind, Seq, UserId};

use super::{Fact, History, Oracle};

impl Oracle {
    /// Whether a message of a channel goes to those who follow it, and not into every inbox.
    #[must_use]
    pub fn is_large(&self, channel: ChannelId, seq: Seq) -> bool {
        let grown = self.channels.get(&channel).and_then(|history| history.grown);
        grown.is_some_and(|grown| seq > grown)
    }

    /// Whether `seq` belongs in the inbox of `user`: a member at `seq`, or its sender; of a large channel only its sender, and
    /// whom it adds, invites, removes or mentions.
    #[must_use]
    pub fn is_recipient(&self, channel: ChannelId, user: UserId, seq: Seq) -> bool {
        if self.is_large(channel, seq) {
            let pointed = self.channels.get(&channel).and_then(|history| history.pointed.get(&seq));
            return pointed.is_some_and(|pointed| pointed.contains(&user));
        }
        self.may_read(channel, user, seq) || self.fact(channel, seq).is_some_and(|fact| fact.sender == user)
    }
}

impl History {
    /// Whether it has become a large channel.
    pub(crate) fn is_large_now(&self) -> bool {
        self.grown.is_some()
    }

    /// Takes a message of a group, whose members are already those behind it. With more than `bound` of them it is a large channel
    /// from then on.
    pub(super) fn grow(&mut self, seq: Seq, (fact, frame): (&Fact, &Frame), bound: Option<usize>) {
        let members = self.members.values().filter(|stays| stays.is_member()).count();
        let joins = matches!(fact.kind, Kind::ADD_MEMBERS | Kind::JOIN_GROUP);
        if joins && bound.is_some_and(|bound| members > bound) {
            self.grown.get_or_insert(seq);
        }
        if self.grown.is_some_and(|grown| seq > grown) {
            let pointed = self.pointed(seq, fact.sender, frame);
            self.pointed.insert(seq, pointed);
        }
    }

    /// Whose inboxes a message of a large channel enters, said here once more, independently of the core.
    fn pointed(&self, seq: Seq, sender: UserId, frame: &Frame) -> Vec<UserId> {
        let held = |user: &UserId| self.members.get(user).is_some_and(|stays| stays.holds(seq));
        let mut users = match Message::read(frame).and_then(|message| message.change()) {
            Some(Change::Joins(users) | Change::Invites(users)) => users,
            Some(Change::Removes(user)) => vec![user],
            // Of one who never was a member it says nothing to that one.
            Some(Change::Bans(user)) => vec![user].into_iter().filter(held).collect(),
            _ => Talk::read(frame).map(|talk| talk.mentions).unwrap_or_default(),
        };
        users.push(sender);
        users
    }
}
