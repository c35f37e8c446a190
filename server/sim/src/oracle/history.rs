//! What the messages of a channel add up to in the model: who is in it since when, its names, who may do what.

use protocol::body::message::{self, Change, Message};
use protocol::commit::{Interval, PositionRow};
use protocol::{ChannelId, Frame, Seq, UserId};

use super::{Check, Fact, History, Stays};
use crate::{broken, rules};

impl History {
    pub(crate) fn row(&self, user: UserId) -> PositionRow {
        self.positions.get(&user).copied().unwrap_or_default()
    }

    pub(super) fn role(&self, user: UserId) -> Option<u8> {
        self.members.get(&user).filter(|row| row.is_member()).map(|row| row.role)
    }

    pub(super) fn replay(&mut self, channel: ChannelId, seq: Seq, fact: &Fact, frame: &Frame) -> Check {
        let Some(message) = Message::read(frame) else {
            broken!("{channel:?} {seq}: {fact:?} cannot be read");
        };
        let change = message.change();
        if let Some(users) = channel.users() {
            let may = self.replay_direct(users, seq, fact, change);
            return if may { Ok(()) } else { Err(format!("{channel:?} {seq}: {fact:?} has no place there")) };
        }
        if let Some(Change::Begins { name, members }) = change {
            if seq != Seq(1) || channel != ChannelId::group(fact.sender, fact.send_id) {
                broken!("{channel:?} {seq}: created by {fact:?}");
            }
            self.join(fact.sender, seq, message::ROLE_OWNER);
            members.iter().for_each(|user| self.join(*user, seq, message::ROLE_MEMBER));
            self.names.push((seq, name));
            return Ok(());
        }
        self.ruled.check(fact, change.as_ref()).map_err(|words| format!("{channel:?} {seq}: {words}"))?;
        if matches!(change, Some(Change::Accepts)) {
            return self.accept(seq, fact).map_err(|words| format!("{channel:?} {seq}: {words}"));
        }
        if matches!(change, Some(Change::Erases)) && self.members.contains_key(&fact.sender) {
            return Ok(());
        }
        let Some(role) = self.role(fact.sender) else {
            broken!("{channel:?} {seq}: sent from outside by {fact:?}");
        };
        let Some(needed) = needed(change.as_ref()) else {
            broken!("{channel:?} {seq}: {fact:?} notes something in a group");
        };
        if role < needed {
            broken!("{channel:?} {seq}: role {role} may not do {fact:?}");
        }
        if let Some(change) = &change {
            self.take_rule(fact, change).map_err(|words| format!("{channel:?} {seq}: {words}"))?;
        }
        match change {
            Some(Change::Grows) => self.grown = Some(seq),
            // Nothing of members, or taken above.
            None
            | Some(
                Change::Begins { .. }
                | Change::Accepts
                | Change::Notes(_)
                | Change::About { .. }
                | Change::Erases,
            )
            | Some(Change::Mutes { .. } | Change::Unbans(_) | Change::Slows(_)) => {}
            Some(Change::Invites(users)) => {
                self.invite(users, seq, fact).map_err(|words| format!("{channel:?} {seq}: {words}"))?;
            }
            Some(Change::Joins(users)) => {
                let unasked = users.iter().find(|user| {
                    let stays = self.members.get(user).filter(|stays| stays.invitation().is_none());
                    stays.is_some_and(|stays| stays.ended_by == Some(**user))
                });
                if let Some(user) = unasked {
                    broken!("{channel:?} {seq}: {user} left and is put back by {fact:?}");
                }
                users.iter().for_each(|user| self.join(*user, seq, message::ROLE_MEMBER));
            }
            Some(Change::Removes(member) | Change::Bans(member)) => self.leave(member, seq, fact.sender),
            Some(Change::Leaves) => self.leave(fact.sender, seq, fact.sender),
            Some(Change::Name(name)) => self.names.push((seq, name)),
            Some(Change::Role { member, role }) => {
                if let Some(row) = self.members.get_mut(&member) {
                    row.role = role;
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, seq: Seq, fact: &Fact) -> Check {
        let invited_by = self.members.get(&fact.sender).and_then(Stays::invitation);
        if invited_by.and_then(|by| self.role(by)).is_none_or(|role| role < message::ROLE_ADMIN) {
            broken!("{fact:?} joins, invited by {invited_by:?}");
        }
        self.join(fact.sender, seq, message::ROLE_MEMBER);
        Ok(())
    }

    fn invite(&mut self, users: Vec<UserId>, seq: Seq, fact: &Fact) -> Check {
        for user in users {
            if self.role(user).is_some() {
                broken!("{user} is a member and invited");
            }
            self.join(user, seq, message::ROLE_MEMBER);
            self.leave(user, seq, fact.sender);
        }
        Ok(())
    }

    fn take_rule(&mut self, fact: &Fact, change: &Change) -> Check {
        let mut ruled = std::mem::take(&mut self.ruled);
        let taken = ruled.take(fact, change, |user| self.role(user));
        self.ruled = ruled;
        taken
    }

    /// Whether a message may stand in a direct channel, or in a user's own, which also takes notes.
    fn replay_direct(
        &mut self,
        (small, large): (UserId, UserId),
        seq: Seq,
        fact: &Fact,
        change: Option<Change>,
    ) -> bool {
        let is_party = fact.sender == small || fact.sender == large;
        match change {
            None | Some(Change::About { .. } | Change::Erases) => is_party,
            Some(Change::Notes(note)) if small == large => {
                self.notes.insert(seq, note);
                is_party
            }
            Some(_) => false,
        }
    }

    fn join(&mut self, user: UserId, seq: Seq, role: u8) {
        let row = self.members.entry(user).or_default();
        if !row.is_member() {
            row.role = role;
            row.intervals.push(Interval { joined: seq, left: None });
        }
    }

    fn leave(&mut self, user: UserId, seq: Seq, by: UserId) {
        let Some(row) = self.members.get_mut(&user).filter(|row| row.is_member()) else { return };
        if let Some(interval) = row.intervals.last_mut() {
            interval.left = Some(seq);
            row.ended_by = Some(by);
        }
    }
}

/// Who may do what is said here once more, independently of the core; `None` when nobody may in a group.
fn needed(change: Option<&Change>) -> Option<u8> {
    Some(match change {
        // What is needed for what is said about a message is asked with it.
        None
        | Some(
            Change::Begins { .. } | Change::Leaves | Change::Accepts | Change::About { .. } | Change::Erases,
        ) => message::ROLE_MEMBER,
        Some(Change::Joins(_) | Change::Invites(_) | Change::Removes(_) | Change::Name(_)) => {
            message::ROLE_ADMIN
        }
        Some(Change::Role { .. } | Change::Grows) => message::ROLE_OWNER,
        Some(change @ (Change::Mutes { .. } | Change::Bans(_) | Change::Unbans(_) | Change::Slows(_))) => {
            return rules::needed(change);
        }
        Some(Change::Notes(_)) => return None,
    })
}
