//! What the rows of `member` say together of one user in one channel: the position, and a row for each stay, in the
//! order of their keys.

use protocol::commit::{Interval, IntervalRow, PositionRow, Row};
use protocol::query::Member;
use protocol::{ChannelId, Seq, UserId};

use crate::family::Family;
use crate::key::{self, Key, MemberPart};
use crate::rows::{Direction, Found};
use crate::view::{View, damaged};

/// One stay of a user in a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stay {
    pub(crate) interval: Interval,
    pub(crate) number: u32,
    pub(crate) role: u8,
    /// The group's name when it ended; `None` while it lasts.
    pub(crate) name: Option<String>,
}

impl Stay {
    /// The row that says so.
    pub(crate) fn row(self, channel: ChannelId, user: UserId) -> Row {
        let Interval { joined, left } = self.interval;
        let row =
            IntervalRow { number: self.number, role: self.role, left, name: self.name.unwrap_or_default() };
        Row::Interval { channel, user, joined, row }
    }
}

/// All rows of one user in one channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Membership {
    /// Rising.
    pub(crate) stays: Vec<Stay>,
    pub(crate) position: PositionRow,
}

impl Membership {
    /// Takes the next row of the user; `None` when it cannot be read.
    pub(crate) fn take(&mut self, part: MemberPart, value: &[u8]) -> Option<()> {
        match part {
            MemberPart::Position => self.position = PositionRow::decode(value)?,
            MemberPart::Interval(joined) => self.stays.push(stay(joined, IntervalRow::decode(value)?)),
        }
        Some(())
    }

    /// The user as a member now.
    pub(crate) fn present(&self) -> Option<Member> {
        let last = self.stays.last().filter(|stay| stay.interval.left.is_none())?;
        let (joined, role, number) = (last.interval.joined, last.role, last.number);
        Some(Member { role, joined, number, position: self.position })
    }

    /// When the user was a member.
    pub(crate) fn intervals(&self) -> Intervals {
        Intervals(self.stays.iter().map(|stay| stay.interval).collect())
    }
}

/// Rising and disjoint; only the last can be open.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Intervals(pub(crate) Vec<Interval>);

impl Intervals {
    /// Of both users of a direct channel.
    pub(crate) fn for_ever() -> Self {
        Self(vec![Interval { joined: Seq(1), left: None }])
    }

    /// Whether the user is a member now.
    pub(crate) fn is_member(&self) -> bool {
        self.0.last().is_some_and(|interval| interval.left.is_none())
    }

    /// Whether the user was a member at `seq`, and so may read it and was sent it.
    pub(crate) fn holds(&self, seq: Seq) -> bool {
        self.0.iter().any(|interval| interval.holds(seq))
    }
}

fn stay(joined: Seq, row: IntervalRow) -> Stay {
    let name = row.left.is_some().then_some(row.name);
    Stay { interval: Interval { joined, left: row.left }, number: row.number, role: row.role, name }
}

/// Called with the key and value of each row; says whether to go on.
type VisitMember<'a> = dyn FnMut(&[u8], &[u8]) -> Found<bool> + 'a;

impl View<'_> {
    /// Everything that a channel knows of a user.
    pub(crate) fn membership(&self, channel: ChannelId, user: UserId) -> Found<Membership> {
        let prefix = key::member(channel, user);
        let mut found = Membership::default();
        self.each_member_row(channel, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let (_, part) = read(key)?;
            found.take(part, value).ok_or_else(|| damaged(Family::Member, key))?;
            Ok(true)
        })?;
        Ok(found)
    }

    /// The members of a channel, present and past, rising by user. One is held at a time.
    pub(crate) fn each_membership(
        &self,
        channel: ChannelId,
        visit: &mut dyn FnMut(UserId, Membership),
    ) -> Found<()> {
        let mut all = |user, membership| {
            visit(user, membership);
            true
        };
        self.each_membership_from(channel, UserId(0), &mut all)
    }

    /// The same from a user on, for as long as the visitor wants more.
    pub(crate) fn each_membership_from(
        &self,
        channel: ChannelId,
        from: UserId,
        visit: &mut dyn FnMut(UserId, Membership) -> bool,
    ) -> Found<()> {
        let (prefix, from) = (key::channel(channel), key::member(channel, from));
        let mut current: Option<(UserId, Membership)> = None;
        self.each_member_row(channel, (&from, &prefix), Direction::Rising, &mut |key, value| {
            let (user, part) = read(key)?;
            if let Some((done, membership)) = current.take_if(|(of, _)| *of != user)
                && !visit(done, membership)
            {
                return Ok(false);
            }
            let (_, membership) = current.get_or_insert_with(|| (user, Membership::default()));
            membership.take(part, value).ok_or_else(|| damaged(Family::Member, key))?;
            Ok(true)
        })?;
        if let Some((user, membership)) = current {
            visit(user, membership);
        }
        Ok(())
    }

    /// The stay that began with `joined`.
    pub(crate) fn stay(&self, channel: ChannelId, user: UserId, joined: Seq) -> Found<Option<Stay>> {
        let key = key::interval(channel, user, joined);
        let row = self.get_decoded(Family::Member, &key, IntervalRow::decode)?;
        Ok(row.map(|row| stay(joined, row)))
    }

    /// The user's last stay in a group.
    pub(crate) fn last_stay(&self, channel: ChannelId, user: UserId) -> Found<Option<Stay>> {
        let prefix = key::member(channel, user);
        let mut newest = Membership::default();
        self.each_member_row(channel, (&prefix, &prefix), Direction::Falling, &mut |key, value| {
            let (_, part) = read(key)?;
            newest.take(part, value).ok_or_else(|| damaged(Family::Member, key))?;
            Ok(false)
        })?;
        Ok(newest.stays.pop())
    }

    /// How far a user has come in a channel.
    pub(crate) fn position(&self, channel: ChannelId, user: UserId) -> Found<PositionRow> {
        let key = key::position(channel, user);
        Ok(self.get_decoded(Family::Member, &key, PositionRow::decode)?.unwrap_or_default())
    }

    fn each_member_row(
        &self,
        channel: ChannelId,
        range: (&Key, &Key),
        direction: Direction,
        visit: &mut VisitMember<'_>,
    ) -> Found<()> {
        debug_assert!(range.1.starts_with(&key::channel(channel)));
        self.scan_from(Family::Member, range, direction, &mut |key, value| visit(key, value.bytes()))
    }
}

fn read(key: &[u8]) -> Found<(UserId, MemberPart)> {
    let found = key::read_member(key).map(|(_, _, user, part)| (user, part));
    found.ok_or_else(|| damaged(Family::Member, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_to_a_membership() {
        let mut both = Membership::default();
        let interval = |joined, left: Option<u64>| Interval { joined: Seq(joined), left: left.map(Seq) };
        both.take(MemberPart::Position, &PositionRow { read: Seq(3), ..PositionRow::default() }.encode())
            .unwrap();
        let row = IntervalRow { number: 1, role: 2, left: Some(Seq(4)), name: "then".into() };
        both.take(MemberPart::Interval(Seq(1)), &row.encode()).unwrap();
        assert_eq!(both.present(), None);
        let row = IntervalRow { number: 2, ..IntervalRow::default() };
        both.take(MemberPart::Interval(Seq(7)), &row.encode()).unwrap();
        let member = both.present().unwrap();
        assert_eq!((member.joined, member.number, member.role, member.position.read), (Seq(7), 2, 0, Seq(3)));
        let intervals = both.intervals();
        assert_eq!(intervals.0, [interval(1, Some(4)), interval(7, None)]);
        assert!(intervals.is_member() && intervals.holds(Seq(4)) && !intervals.holds(Seq(5)));
        let names: Vec<_> = both.stays.iter().map(|stay| stay.name.as_deref()).collect();
        assert_eq!(names, [Some("then"), None]);
        assert_eq!(both.take(MemberPart::Interval(Seq(13)), &[9]), None);
    }
}
