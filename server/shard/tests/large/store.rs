//! A store for these scenarios: it knows the messages that were stored while they run, and says of users what it was told.

use std::collections::BTreeMap;

use protocol::commit::{ChannelRow, Facts, Grown, Interval, PositionRow, Row};
use protocol::query::{Answer, Earlier, Ended, Member, Query, RuleRows, Sent};
use protocol::{ChannelId, Frame, Kind, SendId, Seq, UserId};

use crate::desk::{Desk, user_answer};

/// What the store knows, as far as these scenarios ask.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) frames: Vec<Frame>,
    /// Stays by user: since when, until when.
    pub(crate) stays: Vec<(u64, u64, Option<u64>)>,
    /// Roles of those who are more than members.
    pub(crate) roles: BTreeMap<u64, u8>,
    /// How far members have read.
    pub(crate) read: BTreeMap<u64, u64>,
    /// By whom users were invited who are no members.
    pub(crate) invited: BTreeMap<u64, u64>,
    /// Who sent the message about which something is said.
    pub(crate) author: u64,
    /// Of a channel that is not in memory: its newest message, and how many are in it.
    pub(crate) cold: Option<(Seq, u32)>,
    pub(crate) rules: RuleRows,
    pub(crate) followed: Vec<ChannelId>,
    pub(crate) asked: Vec<&'static str>,
}

impl Store {
    fn member(&self, user: UserId) -> Option<Member> {
        let stay = self.stays.iter().rfind(|(of, ..)| *of == user.0).filter(|(.., left)| left.is_none())?;
        let role = self.roles.get(&user.0).copied().unwrap_or_default();
        let read = Seq(self.read.get(&user.0).copied().unwrap_or_default());
        let position = PositionRow { read, delivered: read, hides: false };
        Some(Member { role, joined: Seq(stay.1), number: 1, position })
    }

    fn intervals(&self, user: UserId) -> Vec<Interval> {
        let stays = self.stays.iter().filter(|(of, ..)| *of == user.0);
        stays.map(|(_, joined, left)| Interval { joined: Seq(*joined), left: left.map(Seq) }).collect()
    }

    fn earlier(&self, user: UserId) -> Earlier {
        let Some(by) = self.invited.get(&user.0) else { return Earlier::default() };
        Earlier { stays: 1, ended: Ended::Invited { by: UserId(*by) }, ..Earlier::default() }
    }

    fn history(&mut self, after: Seq, before: Seq, newest: bool) -> Answer {
        self.asked.push(if newest { "head" } else { "missed" });
        let within = |frame: &&Frame| {
            let seq = frame.read_stamp().unwrap().seq;
            seq > after && seq < before
        };
        let mut found: Vec<Frame> = self.frames.iter().filter(within).cloned().collect();
        if newest {
            found.drain(..found.len() - 1);
        }
        Answer::History(found)
    }

    fn channel(&self, (head, members): (Seq, u32)) -> Answer {
        let owners = self.roles.values().filter(|role| **role == protocol::body::message::ROLE_OWNER).count();
        let grown = Grown { since: Seq(2), members, owners: u32::try_from(owners).unwrap() };
        let row = Some(ChannelRow { name: "all".into(), grown: Some(grown) });
        Answer::Channel { row, members: Vec::new(), head, time_ms: 7, rules: self.rules.clone() }
    }

    fn target(&self, seq: Seq) -> Answer {
        let sent =
            Sent { seq, time_ms: 1, sender: UserId(self.author), send_id: SendId(900), fingerprint: 1 };
        let message = Some((Kind::SEND_TEXT, sent));
        Answer::Target { message, recalled: None, facts: Facts::default(), edits: Vec::new() }
    }

    /// Answers the oldest query.
    pub(crate) fn answer(&mut self, desk: &mut Desk) {
        let Some((_, _, query)) = desk.queries.front().cloned() else { return };
        let answer = match query {
            Query::History { after, before, newest, .. } if !self.frames.is_empty() => {
                self.history(after, before, newest)
            }
            Query::Membership { user, .. } => {
                self.asked.push("follower");
                Answer::Membership(self.intervals(user))
            }
            Query::Members { users, .. } => {
                self.asked.push("members");
                Answer::Members(users.iter().map(|user| self.member(*user)).collect())
            }
            Query::Earlier { users, .. } => {
                Answer::Earlier(users.iter().map(|user| self.earlier(*user)).collect())
            }
            Query::Target { seq, .. } => self.target(seq),
            Query::Channel(_) if self.cold.is_some() => self.channel(self.cold.unwrap()),
            Query::User(user) if !self.followed.is_empty() => {
                let mut answer = user_answer(user, 0);
                if let Answer::User { followed, .. } = &mut answer {
                    *followed = self.followed.clone().into();
                }
                answer
            }
            _ => return desk.answer_first_empty(),
        };
        desk.answer(answer);
    }

    fn take(&mut self, row: &Row) {
        match row {
            Row::Message { frame, .. } => self.frames.push(frame.clone()),
            Row::Interval { user, joined, row, .. } => {
                self.stays.retain(|(of, since, _)| (*of, *since) != (user.0, joined.0));
                self.stays.push((user.0, joined.0, row.left.map(|left| left.0)));
                self.roles.insert(user.0, row.role);
            }
            _ => {}
        }
    }

    /// Answers and stores until nothing waits; gives all rows.
    pub(crate) fn run(&mut self, desk: &mut Desk) -> Vec<Row> {
        let mut rows = Vec::new();
        loop {
            while !desk.queries.is_empty() {
                self.answer(desk);
            }
            let Some((_, batch)) = desk.batches.front() else { return rows };
            batch.parts.iter().flat_map(|part| &part.rows).for_each(|row| self.take(row));
            rows.extend(desk.store_one().rows);
        }
    }
}
