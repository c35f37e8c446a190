//! A large channel at its home: how many are in it, and whom of them memory knows. Its members stand in the store, and it is
//! asked for whoever sends or is named. What comes of that is what a group does: every rule finds those whom it asks about.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::body::large::pointed_by;
use protocol::body::message::{Change, ROLE_OWNER};
use protocol::commit::Grown;
use protocol::query::Member;
use protocol::{Code, Refusal, UserId};

use super::group::{Changed, check_size};
use super::{Channel, Submit};
use crate::limits::{KNOWN_MEMBERS_MAX, LOOKUPS_MAX, Limits, WAITING_MAX};

/// What the store is asked about members, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    /// Frames of each user of whom something is asked, in order.
    waiting: BTreeMap<UserId, VecDeque<Submit>>,
    /// Questions on the way.
    asked: usize,
    /// Whose membership has changed since: of these the answer may be older than what memory knows.
    changed: BTreeSet<UserId>,
}

impl Lookups {
    pub(super) fn is_idle(&self) -> bool {
        self.asked == 0
    }
}

/// What is to be done with a frame for a large channel before it is served.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// Everybody whom it concerns is known.
    Known(Box<Submit>),
    /// It waits, and the store is to be asked about these.
    Ask(Vec<UserId>),
    /// It waits behind another of its sender.
    Waits,
    /// Too much waits.
    Full(Box<Submit>),
}

impl Channel {
    /// Whether its messages go to followers, and its members are not all in memory.
    pub(crate) fn is_large(&self) -> bool {
        self.grown.is_some()
    }

    /// Whom a frame concerns and memory does not know. One sender's frames stay in order. `may_forget` says that the store has
    /// all that is known of members, and that nobody waits to be told of one.
    pub(crate) fn look_up(&mut self, submit: Submit, may_forget: bool) -> Lookup {
        if !self.is_large() {
            return Lookup::Known(Box::new(submit));
        }
        let sender = submit.origin.user;
        if let Some(waiting) = self.lookups.waiting.get_mut(&sender) {
            if waiting.len() >= WAITING_MAX {
                return Lookup::Full(Box::new(submit));
            }
            waiting.push_back(submit);
            return Lookup::Waits;
        }
        if may_forget {
            self.forget_members();
        }
        let unknown = self.unknown(concerned(&submit));
        if unknown.is_empty() {
            return Lookup::Known(Box::new(submit));
        }
        if self.lookups.waiting.len() >= LOOKUPS_MAX {
            return Lookup::Full(Box::new(submit));
        }
        self.lookups.waiting.insert(sender, VecDeque::from([submit]));
        self.lookups.asked += 1;
        Lookup::Ask(unknown)
    }

    /// Takes the frames that wait for this user.
    pub(crate) fn end_look_up(&mut self, user: UserId) -> VecDeque<Submit> {
        self.lookups.waiting.remove(&user).unwrap_or_default()
    }

    /// One more question is on the way.
    pub(crate) fn asks_for_members(&mut self) {
        self.lookups.asked += 1;
    }

    /// The store has answered a question, as of some time since it was asked.
    pub(crate) fn members_read(&mut self, members: impl Iterator<Item = (UserId, Member)>) {
        for (user, member) in members {
            if !self.lookups.changed.contains(&user) {
                self.members.entry(user).or_insert(member);
            }
        }
        self.lookups.asked -= 1;
        if self.lookups.asked == 0 {
            self.lookups.changed.clear();
        }
    }

    /// Those of them whom memory does not know, and who may be members all the same.
    pub(crate) fn unknown(&self, users: impl IntoIterator<Item = UserId>) -> Vec<UserId> {
        let is_unknown = |user: &UserId| self.is_large() && !self.members.contains_key(user);
        let mut unknown: Vec<UserId> = users.into_iter().filter(is_unknown).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// Whose inboxes the newest message of a large channel enters. A ban names who never was a member as well.
    pub(super) fn pointed(&self, submit: &Submit, changed: &Changed) -> Vec<UserId> {
        let change = submit.frame.change();
        let mut users = pointed_by(submit.origin.user, change, submit.frame.talk());
        if let Some(Change::Bans(member)) = change {
            users.retain(|user| user != member || changed.also.contains(member));
        }
        users
    }

    /// The group is a large channel from its newest message on.
    pub(super) fn grow(&mut self) {
        let owners = u32::try_from(self.owners()).unwrap_or(u32::MAX);
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        self.grown.get_or_insert(Grown { since: self.head, members, owners });
        self.recipients = None;
    }

    /// A user has come, gone, or changes the role.
    pub(super) fn counted(&mut self, user: UserId, before: Option<u8>, now: Option<u8>) {
        let Some(grown) = &mut self.grown else { return };
        let owns = |role: Option<u8>| u32::from(role == Some(ROLE_OWNER));
        grown.members = grown.members + u32::from(now.is_some()) - u32::from(before.is_some());
        grown.owners = grown.owners + owns(now) - owns(before);
        if self.lookups.asked > 0 {
            self.lookups.changed.insert(user);
        }
    }

    /// Whether so many more may join.
    pub(super) fn check_places(&self, more: usize, limits: &Limits) -> Result<(), Refusal> {
        let most = match self.grown {
            Some(_) => limits.large_members,
            None => limits.group_members.max(limits.large_members),
        };
        check_size(self.member_count() + more, most)
    }

    pub(super) fn check_grow(&self, sender: UserId, limits: &Limits) -> Result<(), Refusal> {
        self.need_role(sender, ROLE_OWNER)?;
        if self.is_large() {
            return Err(Refusal::new(Code::Limit, "channel", "is a large channel already"));
        }
        if limits.large_members == 0 {
            return Err(Refusal::new(Code::Limit, "channel", "this server has no large channels"));
        }
        Ok(())
    }

    /// A group finds itself another owner; whoever is the last of a large channel names one, unless nobody else is left.
    pub(super) fn check_leave(&self, sender: UserId) -> Result<(), Refusal> {
        let is_last = self.is_large() && self.owners() == 1 && self.role(sender) == Some(ROLE_OWNER);
        if is_last && self.member_count() > 1 {
            let text = "the last owner of a large channel makes another member owner before it leaves";
            return Err(Refusal::new(Code::Limit, "channel", text));
        }
        Ok(())
    }

    /// Forgets all members when they are many and nothing waits that was judged by them.
    fn forget_members(&mut self) {
        let is_quiet = self.lookups.asked == 0 && self.waiting.is_empty() && self.opening.is_none();
        if is_quiet && self.members.len() > KNOWN_MEMBERS_MAX {
            self.members.clear();
        }
    }
}

/// Everybody whose membership a frame is judged by.
fn concerned(submit: &Submit) -> Vec<UserId> {
    let change = submit.frame.change();
    let mut users = vec![submit.origin.user];
    users.extend_from_slice(change.map_or(&[], Change::named));
    users.extend(match change {
        Some(Change::Removes(member) | Change::Role { member, .. } | Change::Mutes { member, .. })
        | Some(Change::Bans(member) | Change::Unbans(member)) => Some(*member),
        _ => None,
    });
    users.extend_from_slice(submit.frame.talk().map_or(&[], |talk| &talk.mentions));
    users
}
