//! For what follows the store without a part in it, as search does: what was committed since, which channels there are, and
//! who may read what. All of it is read as it is now, and none of it is promised to anybody but the follower.

use std::sync::PoisonError;

use protocol::commit::Interval;
use protocol::{BayId, ChannelId, Frame, Kind, Seq, UserId};

use super::{Store, exists, fault, log_end};
use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::query::stays::{self, Stays};
use crate::rows::{Direction, Found, Tier};
use crate::value;
use crate::view::{View, damaged};

/// Bytes of frames with which a reading of the log ends, about.
const BYTES_MAX: usize = 4 << 20;
/// A log is kept for a follower that is so many rows behind; who is further behind reads histories.
pub(crate) const KEPT_ROWS_MAX: u64 = 65_536;

/// A row of a log: its number and its messages.
pub type LogRow = (u64, Vec<(ChannelId, Seq, Frame)>);

/// What a bay's log says behind a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Followed {
    /// The next rows; none when there are no more.
    Rows(Vec<LogRow>),
    /// What comes next is not in the log, or never was: the follower's past is another one.
    Gap,
}

/// How far a listing of channels has come; the default is the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ListedTo {
    family: u8,
    channel: Option<ChannelId>,
}

impl Store {
    /// The messages of the log of `bay` behind `after`: at most `rows` rows of it.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn follow(&self, bay: BayId, after: u64, rows: usize) -> Result<Followed, StoreError> {
        exists(bay)?;
        fault(follow(&self.view(Tier::Once), bay, after, rows))
    }

    /// Keeps the log of `bay` from a number on for a follower, which is at most 65,536 rows behind. Nothing of it
    /// outlives the process: a follower says it again before anything is committed.
    pub fn keep_log(&self, bay: BayId, from: u64) {
        if let Some(writer) = self.writer(bay) {
            writer.lock().unwrap_or_else(PoisonError::into_inner).kept = from;
        }
    }

    /// Some channels of a bay that have messages, and where to go on; a channel whose family changes meanwhile may come twice.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn channels(
        &self,
        bay: BayId,
        to: ListedTo,
        limit: usize,
    ) -> Result<(Vec<ChannelId>, Option<ListedTo>), StoreError> {
        exists(bay)?;
        fault(channels(&self.view(Tier::Once), bay, to, limit))
    }

    /// The newest message of a channel; 0 for none.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn head(&self, channel: ChannelId) -> Result<Seq, StoreError> {
        fault(self.view(Tier::Any).head(channel))
    }

    /// Whether what stood at this place was recalled.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn is_recalled(&self, channel: ChannelId, seq: Seq) -> Result<bool, StoreError> {
        let message = fault(self.view(Tier::Any).message(channel, seq))?;
        Ok(message.is_some_and(|frame| frame.kind() == Kind::RECALLED))
    }

    /// The channels above `after` that a user is or was in, each with when that was; whether more follow.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn stays(&self, user: UserId, after: ChannelId, limit: usize) -> Result<(Stays, bool), StoreError> {
        fault(stays::page(&self.view(Tier::Any), user, after, limit))
    }

    /// When a user was in one channel.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn stays_in(&self, user: UserId, channel: ChannelId) -> Result<Vec<Interval>, StoreError> {
        fault(stays::of(&self.view(Tier::Any), user, channel))
    }
}

fn follow(view: &View<'_>, bay: BayId, after: u64, rows: usize) -> Found<Followed> {
    let mut log: Vec<(u64, Vec<(ChannelId, Seq)>)> = Vec::new();
    if let Some(next) = after.checked_add(1) {
        let bounds: (&[u8], &[u8]) = (&key::fanout(bay, next), &key::bay(bay).1);
        view.scan(Family::Fanout, bounds, Direction::Rising, &mut |key, value| {
            let row = key::read_fanout(key).zip(value::read_fanout(value.bytes()));
            let ((_, number), messages) = row.ok_or_else(|| damaged(Family::Fanout, key))?;
            log.push((number, messages));
            Ok(log.len() < rows)
        })?;
    }
    let is_gap = match log.first() {
        Some((first, _)) => Some(*first) != after.checked_add(1),
        None => log_end(view, bay, Direction::Falling)? < after,
    };
    if is_gap {
        return Ok(Followed::Gap);
    }
    let (mut found, mut bytes) = (Vec::with_capacity(log.len()), 0);
    for (number, messages) in log {
        let mut row = Vec::with_capacity(messages.len());
        for (channel, seq) in messages {
            // One that is gone is nothing to follow.
            if let Some(frame) = view.message(channel, seq)? {
                bytes += frame.bytes().len();
                row.push((channel, seq, frame));
            }
        }
        found.push((number, row));
        if bytes > BYTES_MAX {
            break;
        }
    }
    Ok(Followed::Rows(found))
}

fn channels(
    view: &View<'_>,
    bay: BayId,
    to: ListedTo,
    limit: usize,
) -> Found<(Vec<ChannelId>, Option<ListedTo>)> {
    let owned = view.owners.now();
    let mut found = Vec::new();
    let (lower, upper) = key::bay(bay);
    let ListedTo { family, channel } = to;
    if family >= owned.histories() {
        // Those with families of their own are few.
        let own = owned.iter().map(|(channel, _)| channel);
        return Ok((own.filter(|channel| BayId::of_channel(*channel) == bay).collect(), None));
    }
    let mut from = channel.map_or(lower, |channel| key::channel(channel).after_all());
    let mut last = channel;
    // A search a channel: what lies between is not read.
    for _ in 0..limit.max(1) {
        let mut next = None;
        view.scan(Family::History(family), (&from, &upper), Direction::Rising, &mut |key, _| {
            let (_, channel, _) =
                key::read_channel_row(key).ok_or_else(|| damaged(Family::History(family), key))?;
            next = Some(channel);
            Ok(false)
        })?;
        let Some(channel) = next else {
            return Ok((found, Some(ListedTo { family: family + 1, channel: None })));
        };
        from = key::channel(channel).after_all();
        last = Some(channel);
        if owned.get(channel).is_none() {
            found.push(channel);
        }
    }
    Ok((found, Some(ListedTo { family, channel: last })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::body::encode;
    use protocol::body::message::SendText;
    use protocol::commit::{Batch, IntervalRow, Part, Row};
    use protocol::{ShardId, Stamp};

    fn message(channel: ChannelId, seq: u64) -> Row {
        let frame = encode(seq, &SendText { channel: channel.0, text: format!("text {seq}") });
        let stamp = Stamp { seq: Seq(seq), time_ms: seq, sender: UserId(1) };
        Row::Message { channel, seq: Seq(seq), frame: frame.stamp(stamp) }
    }

    fn commit(store: &Store, bay: BayId, rows: Vec<Row>) {
        let parts = vec![Part { bay, rows }];
        store.commit(&[Batch { shard: ShardId(0), number: 1, parts }]).unwrap();
    }

    fn fanout(number: u64, channel: ChannelId, seq: u64) -> Row {
        Row::Fanout { number, messages: vec![(channel, Seq(seq))] }
    }

    fn rows(followed: &Followed) -> Vec<(u64, Vec<u64>)> {
        let Followed::Rows(rows) = followed else { panic!("{followed:?}") };
        rows.iter().map(|(number, row)| (*number, row.iter().map(|(_, seq, _)| seq.0).collect())).collect()
    }

    #[test]
    fn a_log_is_followed_and_kept_for_who_follows_it() {
        let store = Store::memory();
        let channel = ChannelId::direct(UserId(1), UserId(2));
        let bay = BayId::of_channel(channel);
        assert_eq!(rows(&store.follow(bay, 0, 9).unwrap()), []);
        for n in 1..=5 {
            commit(&store, bay, vec![message(channel, n), fanout(n, channel, n)]);
        }
        assert_eq!(rows(&store.follow(bay, 3, 9).unwrap()), [(4, vec![4]), (5, vec![5])]);
        assert_eq!(rows(&store.follow(bay, 0, 2).unwrap()), [(1, vec![1]), (2, vec![2])]);
        assert_eq!(rows(&store.follow(bay, 5, 9).unwrap()), []);
        assert_eq!(store.follow(bay, 6, 9).unwrap(), Followed::Gap, "another past");
        store.keep_log(bay, 4);
        commit(&store, bay, vec![Row::TrimFanout { below: 5 }]);
        assert_eq!(store.follow(bay, 2, 9).unwrap(), Followed::Gap);
        assert_eq!(rows(&store.follow(bay, 3, 9).unwrap()), [(4, vec![4]), (5, vec![5])]);
        store.keep_log(bay, 6);
        commit(&store, bay, vec![Row::TrimFanout { below: 5 }]);
        assert_eq!(store.follow(bay, 3, 9).unwrap(), Followed::Gap);
        assert_eq!(rows(&store.follow(bay, 4, 9).unwrap()), [(5, vec![5])]);
    }

    #[test]
    fn nobody_keeps_a_log_for_ever() {
        let store = Store::memory();
        let channel = ChannelId::direct(UserId(1), UserId(2));
        let bay = BayId::of_channel(channel);
        store.keep_log(bay, 1);
        let last = KEPT_ROWS_MAX + 10;
        let empty = |number| Row::Fanout { number, messages: Vec::new() };
        commit(&store, bay, [1, 9, 10, last].map(empty).into());
        commit(&store, bay, vec![Row::TrimFanout { below: last }]);
        assert_eq!(store.follow(bay, 8, 9).unwrap(), Followed::Gap);
        assert_eq!(rows(&store.follow(bay, 9, 1).unwrap()), [(10, vec![])]);
    }

    #[test]
    fn every_channel_with_messages_is_listed_once() {
        let store = Store::memory();
        let user = UserId(1);
        let all: Vec<ChannelId> = (2..400).map(|other| ChannelId::direct(user, UserId(other))).collect();
        for channel in &all {
            commit(&store, BayId::of_channel(*channel), vec![message(*channel, 1), message(*channel, 2)]);
        }
        store.give_family(all[7]).unwrap();
        let mut listed = Vec::new();
        for bay in BayId::all() {
            let mut to = Some(ListedTo::default());
            while let Some(at) = to {
                let (channels, next) = store.channels(bay, at, 3).unwrap();
                assert!(channels.iter().all(|channel| BayId::of_channel(*channel) == bay));
                listed.extend(channels);
                to = next;
            }
        }
        listed.sort_unstable();
        assert_eq!(listed, all);
        assert_eq!(store.head(all[0]).unwrap(), Seq(2));
    }

    #[test]
    fn stays_are_those_of_the_channel() {
        let store = Store::memory();
        let (user, group) = (UserId(5), ChannelId(77));
        let direct = ChannelId::direct(user, UserId(6));
        let interval = |joined, left: Option<u64>| {
            let row = IntervalRow { left: left.map(Seq), ..IntervalRow::default() };
            Row::Interval { channel: group, user, joined: Seq(joined), row }
        };
        commit(&store, BayId::of_channel(group), vec![interval(1, Some(4)), interval(9, None)]);
        let joined = |channel| Row::Joined { user, channel, joined: Seq(1) };
        commit(&store, BayId::of_user(user), vec![joined(group), joined(direct)]);
        let (stays, more) = store.stays(user, ChannelId(0), 9).unwrap();
        let of = |joined, left: Option<u64>| Interval { joined: Seq(joined), left: left.map(Seq) };
        let expected = vec![(group, vec![of(1, Some(4)), of(9, None)]), (direct, vec![of(1, None)])];
        assert_eq!((stays, more), (expected, false));
        assert_eq!(store.stays(user, ChannelId(0), 1).unwrap().0.len(), 1);
        assert!(store.stays(user, ChannelId(0), 1).unwrap().1);
        assert_eq!(store.stays_in(UserId(8), direct).unwrap(), []);
        assert_eq!(store.stays_in(UserId(8), group).unwrap(), []);
    }
}
