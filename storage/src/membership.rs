//! What the rows of `member` say together of one user in one channel: the row of old, the position, and a row for each
//! stay, in the order of their keys.

use protocol::commit::{Interval, IntervalRow, MemberRow, PositionRow};
use protocol::query::Member;
use protocol::{ChannelId, Seq, StoreId, UserId};

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
    /// The group's name when it ended; `None` where a row of old does not know it.
    pub(crate) name: Option<String>,
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
            MemberPart::Old => self.stays = old_stays(&MemberRow::decode(value)?),
            MemberPart::Position => self.position = PositionRow::decode(value)?,
            MemberPart::Interval(joined) => {
                // A stay that began in the row of old has its end, or another role, in a row of its own.
                self.stays.pop_if(|last| last.interval.joined == joined);
                self.stays.push(stay(joined, IntervalRow::decode(value)?));
            }
        }
        Some(())
    }

    /// The user as a member now.
    pub(crate) fn present(&self) -> Option<Member> {
        let last = self.stays.last().filter(|stay| stay.interval.left.is_none())?;
        let (joined, role, number) = (last.interval.joined, last.role, last.number);
        Some(Member { role, joined, number, position: self.position })
    }

    /// The same as one row of old says it.
    pub(crate) fn row(&self) -> MemberRow {
        let role = self.stays.last().map_or(0, |stay| stay.role);
        MemberRow { role, intervals: self.stays.iter().map(|stay| stay.interval).collect() }
    }
}

fn stay(joined: Seq, row: IntervalRow) -> Stay {
    let name = row.left.is_some().then_some(row.name);
    Stay { interval: Interval { joined, left: row.left }, number: row.number, role: row.role, name }
}

fn old_stays(row: &MemberRow) -> Vec<Stay> {
    let stays = (1..).zip(&row.intervals);
    stays.map(|(number, interval)| Stay { interval: *interval, number, role: row.role, name: None }).collect()
}

/// Called with the store, key and value of each row; says whether to go on.
type VisitMember<'a> = dyn FnMut(StoreId, &[u8], &[u8]) -> Found<bool> + 'a;

impl View<'_> {
    /// Everything that a channel knows of a user.
    pub(crate) fn membership(&self, channel: ChannelId, user: UserId) -> Found<Membership> {
        let prefix = key::member(channel, user);
        let mut found = Membership::default();
        self.each_member_row(channel, (&prefix, &prefix), Direction::Rising, &mut |place, key, value| {
            let (_, part) = read(place, key)?;
            found.take(part, value).ok_or_else(|| damaged(place, Family::Member, key))?;
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
        let prefix = key::channel(channel);
        let mut current: Option<(UserId, Membership)> = None;
        self.each_member_row(channel, (&prefix, &prefix), Direction::Rising, &mut |place, key, value| {
            let (user, part) = read(place, key)?;
            if let Some((done, membership)) = current.take_if(|(of, _)| *of != user) {
                visit(done, membership);
            }
            let (_, membership) = current.get_or_insert_with(|| (user, Membership::default()));
            membership.take(part, value).ok_or_else(|| damaged(place, Family::Member, key))?;
            Ok(true)
        })?;
        if let Some((user, membership)) = current {
            visit(user, membership);
        }
        Ok(())
    }

    /// The stay that began with `joined`.
    pub(crate) fn stay(&self, channel: ChannelId, user: UserId, joined: Seq) -> Found<Option<Stay>> {
        let place = self.placement.channel_store(channel);
        let key = key::interval(channel, user, joined);
        if let Some(row) = self.get_decoded(place, Family::Member, &key, IntervalRow::decode)? {
            return Ok(Some(stay(joined, row)));
        }
        let key = key::member(channel, user);
        let old = self.get_decoded(place, Family::Member, &key, MemberRow::decode)?;
        let stays = old.map(|row| old_stays(&row)).unwrap_or_default();
        Ok(stays.into_iter().find(|stay| stay.interval.joined == joined))
    }

    /// How often a user was in a channel: the newest row says it.
    pub(crate) fn stays(&self, channel: ChannelId, user: UserId) -> Found<u32> {
        let prefix = key::member(channel, user);
        let mut newest = Membership::default();
        self.each_member_row(channel, (&prefix, &prefix), Direction::Falling, &mut |place, key, value| {
            let (_, part) = read(place, key)?;
            newest.take(part, value).ok_or_else(|| damaged(place, Family::Member, key))?;
            Ok(part == MemberPart::Position)
        })?;
        Ok(newest.stays.last().map_or(0, |stay| stay.number))
    }

    /// How far a user has come in a channel.
    pub(crate) fn position(&self, channel: ChannelId, user: UserId) -> Found<PositionRow> {
        let (place, key) = (self.placement.channel_store(channel), key::position(channel, user));
        Ok(self.get_decoded(place, Family::Member, &key, PositionRow::decode)?.unwrap_or_default())
    }

    fn each_member_row(
        &self,
        channel: ChannelId,
        range: (&Key, &Key),
        direction: Direction,
        visit: &mut VisitMember<'_>,
    ) -> Found<()> {
        let place = self.placement.channel_store(channel);
        self.scan_from((place, Family::Member), range, direction, &mut |key, value| {
            visit(place, key, value.bytes())
        })
    }
}

fn read(place: StoreId, key: &[u8]) -> Found<(UserId, MemberPart)> {
    let found = key::read_member(key).map(|(_, _, user, part)| (user, part));
    found.ok_or_else(|| damaged(place, Family::Member, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_a_stay_continues_the_row_of_old() {
        let mut both = Membership::default();
        let interval = |joined, left: Option<u64>| Interval { joined: Seq(joined), left: left.map(Seq) };
        let old = MemberRow { role: 2, intervals: vec![interval(1, Some(4)), interval(7, None)] };
        both.take(MemberPart::Old, &old.encode()).unwrap();
        let member = both.present().unwrap();
        assert_eq!((member.joined, member.number, member.role), (Seq(7), 2, 2));
        let row = IntervalRow { number: 2, role: 2, left: Some(Seq(9)), name: "then".into() };
        both.take(MemberPart::Position, &PositionRow { read: Seq(3), delivered: Seq(0) }.encode()).unwrap();
        both.take(MemberPart::Interval(Seq(7)), &row.encode()).unwrap();
        assert_eq!(both.present(), None);
        let row = IntervalRow { number: 3, ..IntervalRow::default() };
        both.take(MemberPart::Interval(Seq(12)), &row.encode()).unwrap();
        let all = [interval(1, Some(4)), interval(7, Some(9)), interval(12, None)];
        assert_eq!(both.row().intervals, all);
        let names: Vec<_> = both.stays.iter().map(|stay| stay.name.as_deref()).collect();
        assert_eq!(names, [None, Some("then"), None]);
        assert_eq!(both.present().unwrap().position.read, Seq(3));
        assert_eq!(both.take(MemberPart::Interval(Seq(13)), &[9]), None);
    }
}
