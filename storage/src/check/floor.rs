//! Purged messages: what of a channel is taken as its rows say it, because the messages that would say it are gone.

use std::collections::BTreeMap;

use protocol::commit::{FLOOR_TAG, FloorRow, Interval, RETENTION_TAG, RetentionRow};
use protocol::{BayId, ChannelId, PartitionId, Seq, UserId};

use super::stream::Stream;
use super::{Check, name};
use crate::family::Family;
use crate::key;
use crate::membership::{Intervals, Stay};
use crate::rows::Found;

/// What held in a channel where its history begins now.
#[derive(Debug, Default)]
pub(super) struct Ground {
    pub(super) floor: FloorRow,
    pub(super) members: BTreeMap<UserId, Intervals>,
    /// The name with which each stay ended that ended below.
    pub(super) names: BTreeMap<(UserId, Seq), String>,
}

impl Ground {
    /// Of a channel of which nothing was purged there is none.
    pub(super) fn of(check: &Check<'_>, channel: ChannelId) -> Found<Self> {
        let mut ground = Self { floor: check.view.floor(channel)?, ..Self::default() };
        let last = ground.floor.last();
        if last == Seq(0) || channel.users().is_some() {
            return Ok(ground);
        }
        let (members, names) = (&mut ground.members, &mut ground.names);
        check.view.each_membership(channel, &mut |user, found| {
            let known = found.stays.into_iter().filter(|stay| stay.interval.joined <= last);
            let stays: Vec<Interval> = known.map(|stay| below(user, stay, last, names)).collect();
            if !stays.is_empty() {
                members.insert(user, Intervals(stays));
            }
        })?;
        Ok(ground)
    }
}

/// A stay as it was behind the last message that is gone.
fn below(user: UserId, stay: Stay, last: Seq, names: &mut BTreeMap<(UserId, Seq), String>) -> Interval {
    let left = stay.interval.left.filter(|left| *left <= last);
    if let Some((left, name)) = left.zip(stay.name) {
        names.insert((user, left), name);
    }
    Interval { left, ..stay.interval }
}

/// The channels of a bay of which something was purged, with the newest message that is gone. Every row of what channels keep is
/// looked at on the way.
pub(super) fn all(check: &mut Check<'_>, bay: BayId) -> Found<Vec<(ChannelId, Seq)>> {
    let mut rows = Stream::new(check.view, bay, Family::Kept);
    let mut found = Vec::new();
    while let Some((key, value)) = rows.take()? {
        let Some((partition, channel, tag, [])) = key::read_about(&key) else {
            check.broken(bay, format!("a row of kept with the key {key:02x?}"));
            continue;
        };
        if PartitionId::of_channel(channel).0 != partition {
            check.broken(bay, format!("what {} keeps, which lives elsewhere", name(channel)));
        }
        match (tag, FloorRow::decode(&value)) {
            // Whether so many messages were ever there the fan-out log says, as long as it is whole.
            (FLOOR_TAG, Some(floor)) => found.push((channel, floor.last())),
            (RETENTION_TAG, _)
                if RetentionRow::decode(&value).is_some() && check.view.head(channel)? > Seq(0) => {}
            _ => check
                .broken(bay, format!("what {} keeps cannot be read: {key:02x?} {value:02x?}", name(channel))),
        }
    }
    Ok(found)
}
