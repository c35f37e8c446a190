//! What a message changes of a group, and who may change it.

use protocol::body::message::{Change, ROLE_ADMIN, ROLE_MEMBER, ROLE_OWNER};
use protocol::commit::{ChannelRow, IntervalRow, Row};
use protocol::query::{Earlier, Ended, Member};
use protocol::{ChannelId, Code, Refusal, Seq, UserId};

use super::{Channel, Submit, Terms};
use crate::input::Tick;
use crate::limits::Limits;
use crate::order::forbidden;

/// What has changed with one message, besides history.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Rows of the group and its members.
    pub(super) rows: Vec<Row>,
    /// Whether the members are others than before.
    pub(super) members: bool,
    /// Who receives the message without being a member: who left with it, or is invited by it.
    pub(super) also: Vec<UserId>,
}

impl Channel {
    /// Whether the frame is allowed; changes nothing.
    pub(super) fn check(&self, submit: &Submit, terms: Terms<'_>) -> Result<(), Refusal> {
        let limits = terms.limits;
        let sender = submit.origin.user;
        let change = submit.frame.change();
        if let Some(Change::Begins { members, .. }) = change {
            return self.check_create(members.len(), limits.group_members);
        }
        if matches!(change, Some(Change::Accepts)) && self.exists && !self.is_member(sender) {
            return self.check_accept(submit, limits);
        }
        if matches!(change, Some(Change::Erases)) && self.exists {
            // The home's own word, of whoever was ever here.
            return Ok(());
        }
        if !self.exists || !self.is_member(sender) {
            return Err(forbidden());
        }
        self.check_speech(submit, terms)?;
        match change {
            // Whoever is a member may say something and leave.
            None => submit.frame.talk().map_or(Ok(()), |talk| self.check_talk(sender, talk)),
            Some(Change::Begins { .. } | Change::Erases) => Ok(()),
            Some(Change::Leaves) => self.check_leave(sender),
            Some(Change::Grows) => self.check_grow(sender, limits),
            Some(Change::Joins(users)) => self.check_add(submit, users, limits),
            Some(Change::Invites(users)) => self.check_invite(submit, users, limits),
            Some(Change::Accepts) => {
                Err(Refusal::new(Code::Limit, "channel", "you are a member of this group already"))
            }
            Some(Change::Removes(member)) => self.check_remove(sender, *member),
            Some(Change::Name(_)) => self.need_role(sender, ROLE_ADMIN),
            Some(Change::Role { member, role }) => self.check_role(sender, *member, *role),
            Some(Change::Mutes { member, for_s }) => self.check_mute(sender, (*member, *for_s), terms),
            Some(Change::Bans(member)) => self.check_ban(sender, *member, terms),
            Some(Change::Unbans(member)) => self.check_unban(sender, *member),
            Some(Change::Slows(_)) => self.need_role(sender, ROLE_ADMIN),
            Some(Change::About { target, act }) => self.check_about(submit, (*target, act), terms),
            Some(Change::Notes(_)) if self.id.owner() == Some(sender) => Ok(()),
            Some(Change::Notes(_)) => Err(forbidden()),
        }
    }

    /// Takes the next seq and carries the change out. `check` has allowed it.
    pub(super) fn apply(&mut self, submit: &Submit, now: Tick, wall_ms: u64) -> Changed {
        self.head = self.head.next();
        self.time_ms = self.time_ms.max(wall_ms);
        let sender = submit.origin.user;
        let changed = match submit.frame.change() {
            None => {
                let talk = submit.frame.talk();
                let mut changed = talk.map_or_else(Changed::default, |talk| self.apply_talk(talk));
                changed.rows.extend(self.apply_sent(sender, now, wall_ms));
                changed
            }
            Some(Change::Begins { name, members }) => self.apply_create(sender, name, members),
            Some(Change::Joins(users)) => self.apply_add(submit, users),
            Some(Change::Invites(users)) => self.apply_invite(submit, users),
            Some(Change::Accepts) => self.apply_add(submit, &[sender]),
            Some(Change::Removes(member)) => self.apply_left(*member),
            Some(Change::Leaves) => self.apply_left(sender),
            Some(Change::Grows) => {
                self.grow();
                Changed::default()
            }
            Some(Change::Erases) => self.apply_erase(sender),
            Some(Change::Name(name)) => self.apply_rename(name),
            Some(Change::Role { member, role }) => self.apply_role(*member, *role),
            Some(Change::Mutes { member, for_s }) => self.apply_mute(*member, *for_s),
            Some(Change::Bans(member)) => self.apply_ban(*member),
            Some(Change::Unbans(member)) => self.apply_unban(*member),
            Some(Change::Slows(interval_s)) => self.apply_slow(*interval_s),
            Some(Change::About { target, act }) => self.apply_about(submit, *target, act),
            Some(Change::Notes(note)) => {
                let row = Row::Note { user: sender, seq: self.head, note: *note };
                Changed { rows: vec![row], ..Changed::default() }
            }
        };
        if changed.members {
            self.changed = self.head;
        }
        changed
    }

    pub(crate) fn role(&self, user: UserId) -> Option<u8> {
        self.members.get(&user).map(|member| member.role)
    }

    pub(super) fn need_role(&self, user: UserId, role: u8) -> Result<(), Refusal> {
        if self.role(user).is_some_and(|own| own >= role) {
            return Ok(());
        }
        let who = if role == ROLE_OWNER { "an owner" } else { "an owner or admin" };
        Err(Refusal::new(Code::Forbidden, "channel", format!("only {who} of the group may do this")))
    }

    fn check_create(&self, others: usize, members_max: usize) -> Result<(), Refusal> {
        if self.exists || self.head != Seq(0) {
            let text = "this group number is taken; choose another send id";
            return Err(Refusal::new(Code::Conflict, "channel", text));
        }
        check_size(others + 1, members_max)
    }

    fn check_add(&self, submit: &Submit, named: &[UserId], limits: &Limits) -> Result<(), Refusal> {
        self.check_named(submit, named, 1, limits)?;
        let has_left =
            |user: &UserId| submit.newcomers.get(user).is_some_and(|earlier| earlier.ended == Ended::Left);
        if let Some(at) = named.iter().position(has_left) {
            let text = "left this group; can be invited, and joins if it wants to";
            return Err(Refusal::new(Code::NeedsConsent, format!("members[{at}]"), text));
        }
        Ok(())
    }

    /// What holds for whoever is added or invited, for which so many more stays are needed.
    fn check_named(
        &self,
        submit: &Submit,
        named: &[UserId],
        more: u32,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        self.need_role(submit.origin.user, ROLE_ADMIN)?;
        self.check_none_banned(named)?;
        // Refused as a whole: the message says who joined, and its readers need not know who was in before.
        if let Some(at) = named.iter().position(|user| self.is_member(*user)) {
            let text = "is a member already; name only those who are not";
            return Err(Refusal::new(Code::Limit, format!("members[{at}]"), text));
        }
        // Each stay is a row for ever, and those who read far back meet all of them.
        let stays = |user: &UserId| submit.newcomers.get(user).map_or(0, |earlier| earlier.stays);
        if let Some(at) = named.iter().position(|user| stays(user) + more > limits.member_stays) {
            let most = limits.member_stays;
            let text = format!("was in this group {most} times, which is the most; cannot join it again");
            return Err(Refusal::new(Code::Limit, format!("members[{at}]"), text));
        }
        self.check_places(named.len(), limits)
    }

    /// Nobody is invited beyond the room that the group has now; others may be faster.
    fn check_invite(&self, submit: &Submit, named: &[UserId], limits: &Limits) -> Result<(), Refusal> {
        // An invitation is a stay, and so is what it is for.
        self.check_named(submit, named, 2, limits)?;
        let is_invited = |user: &UserId| {
            let ended = submit.newcomers.get(user).map(|earlier| earlier.ended);
            matches!(ended, Some(Ended::Invited { by }) if self.may_invite(by))
        };
        if let Some(at) = named.iter().position(is_invited) {
            let text = "is invited already; name only those who are not";
            return Err(Refusal::new(Code::Limit, format!("members[{at}]"), text));
        }
        Ok(())
    }

    /// An invitation is as good as who gave it: of one who may invite no more it is void. What the store remembers of the
    /// sender is not here yet when this is asked for the first time.
    fn check_accept(&self, submit: &Submit, limits: &Limits) -> Result<(), Refusal> {
        self.check_not_banned(submit.origin.user)?;
        let earlier = submit.newcomers.get(&submit.origin.user);
        match earlier.map(|earlier| earlier.ended) {
            None => {}
            Some(Ended::Invited { by }) if self.may_invite(by) => {}
            Some(_) => return Err(forbidden()),
        }
        self.check_places(1, limits)
    }

    fn may_invite(&self, user: UserId) -> bool {
        self.role(user).is_some_and(|role| role >= ROLE_ADMIN)
    }

    fn check_remove(&self, sender: UserId, member: UserId) -> Result<(), Refusal> {
        self.need_role(sender, ROLE_ADMIN)?;
        if member == sender {
            return Err(Refusal::new(Code::Limit, "member", "to leave the group yourself, send LeaveGroup"));
        }
        let Some(role) = self.role(member) else {
            return Err(Refusal::new(Code::NoSuchUser, "member", "not a member of this group"));
        };
        if self.role(sender).is_some_and(|own| own == ROLE_OWNER || own > role) {
            return Ok(());
        }
        Err(Refusal::new(Code::Forbidden, "member", "only an owner may remove an owner or admin"))
    }

    fn check_role(&self, sender: UserId, member: UserId, wanted: u8) -> Result<(), Refusal> {
        self.need_role(sender, ROLE_OWNER)?;
        let Some(role) = self.role(member) else {
            return Err(Refusal::new(Code::NoSuchUser, "member", "not a member of this group"));
        };
        if role == ROLE_OWNER && wanted != ROLE_OWNER && self.owners() == 1 {
            return Err(Refusal::new(
                Code::Limit,
                "role",
                "the last owner stays owner until there is another",
            ));
        }
        Ok(())
    }

    pub(super) fn owners(&self) -> usize {
        if let Some(grown) = self.grown {
            return grown.owners as usize;
        }
        self.members.values().filter(|member| member.role == ROLE_OWNER).count()
    }

    fn apply_create(&mut self, owner: UserId, name: &str, others: &[UserId]) -> Changed {
        self.exists = true;
        name.clone_into(&mut self.name);
        let mut changed = Changed { rows: vec![self.row()], members: true, ..Changed::default() };
        self.join(owner, ROLE_OWNER, Earlier::default(), &mut changed);
        for user in others {
            self.join(*user, ROLE_MEMBER, Earlier::default(), &mut changed);
        }
        changed
    }

    fn apply_add(&mut self, submit: &Submit, users: &[UserId]) -> Changed {
        let mut changed = Changed { members: true, ..Changed::default() };
        for user in users {
            let earlier = submit.newcomers.get(user).copied().unwrap_or_default();
            self.join(*user, ROLE_MEMBER, earlier, &mut changed);
        }
        changed
    }

    /// A stay that begins and ends with this message: who is invited may read it and nothing else, and holds the group's
    /// name of now.
    fn apply_invite(&mut self, submit: &Submit, users: &[UserId]) -> Changed {
        let mut changed = Changed { also: users.to_vec(), ..Changed::default() };
        let (joined, name) = (self.head, &self.name);
        for user in users {
            let number = submit.newcomers.get(user).map_or(0, |earlier| earlier.stays) + 1;
            let row = IntervalRow { number, role: ROLE_MEMBER, left: Some(joined), name: name.clone() };
            changed.rows.push(Row::Interval { channel: self.id, user: *user, joined, row });
        }
        changed
    }

    pub(super) fn apply_left(&mut self, user: UserId) -> Changed {
        let mut changed = Changed { members: true, also: vec![user], ..Changed::default() };
        let Some(member) = self.members.remove(&user) else { return Changed::default() };
        self.counted(user, Some(member.role), None);
        // The name goes along: whatever the group is called later is not for who has left.
        let (left, name) = (Some(self.head), self.name.clone());
        let row = IntervalRow { number: member.number, role: member.role, left, name };
        changed.rows.push(Row::Interval { channel: self.id, user, joined: member.joined, row });
        self.replace_owner(&mut changed);
        changed
    }

    /// A group with members has an owner: the longest-standing admin, else the longest-standing member.
    fn replace_owner(&mut self, changed: &mut Changed) {
        // The last owner of a large channel does not leave it, and it has no list of heirs.
        if self.owners() > 0 || self.grown.is_some() {
            return;
        }
        let heirs = self.members.iter();
        let heir = heirs.min_by_key(|(user, heir)| (core::cmp::Reverse(heir.role), heir.joined, **user));
        let Some(user) = heir.map(|(user, _)| *user) else { return };
        self.set_role(user, ROLE_OWNER, changed);
    }

    fn apply_rename(&mut self, name: &str) -> Changed {
        name.clone_into(&mut self.name);
        Changed { rows: vec![self.row()], ..Changed::default() }
    }

    fn apply_role(&mut self, member: UserId, role: u8) -> Changed {
        let mut changed = Changed::default();
        self.set_role(member, role, &mut changed);
        // The list of members shows roles, so it waits for this message to be stored.
        self.changed = self.head;
        changed
    }

    fn set_role(&mut self, user: UserId, role: u8, changed: &mut Changed) {
        if let Some(member) = self.members.get_mut(&user) {
            let before = core::mem::replace(&mut member.role, role);
            changed.rows.push(stay_row(self.id, user, member));
            self.counted(user, Some(before), Some(role));
        }
    }

    fn join(&mut self, user: UserId, role: u8, earlier: Earlier, changed: &mut Changed) {
        let Earlier { stays, position, .. } = earlier;
        let member = Member { role, joined: self.head, number: stays + 1, position };
        changed.rows.push(stay_row(self.id, user, &member));
        self.members.insert(user, member);
        self.counted(user, None, Some(role));
    }

    pub(super) fn row(&self) -> Row {
        Row::Channel { channel: self.id, row: ChannelRow { name: self.name.clone(), grown: self.grown } }
    }
}

/// The row of a stay that lasts.
fn stay_row(channel: ChannelId, user: UserId, member: &Member) -> Row {
    let row = IntervalRow { number: member.number, role: member.role, ..IntervalRow::default() };
    Row::Interval { channel, user, joined: member.joined, row }
}

pub(super) fn check_size(members: usize, members_max: usize) -> Result<(), Refusal> {
    if members > members_max {
        let text = format!("the group would have {members} members; at most {members_max} are allowed");
        return Err(Refusal::new(Code::Limit, "members", text));
    }
    Ok(())
}
