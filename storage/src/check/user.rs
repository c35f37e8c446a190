//! Users: devices, own lists, and inboxes against the histories that their pointers name.

use std::collections::BTreeMap;

use protocol::body::large::pointed;
use protocol::commit::{AccountRow, DeviceRow, Grown, Interval, Relation};
use protocol::limits::DEVICES_MAX;
use protocol::{BayId, ChannelId, Generation, Kind, Seq, UserId};

use super::log::Coverage;
use super::stream::Stream;
use super::{Check, Severity, first_held, last_begun, name};
use crate::family::Family;
use crate::key::{self, Key};
use crate::membership::Intervals;
use crate::rows::Found;
use crate::store::state;
use crate::value;
use crate::view::Listed;

/// One channel as one user's inbox should hold it.
struct Track {
    head: Seq,
    /// How far the user's bay has applied it.
    covered: Seq,
    member: Intervals,
    /// Since when it is a large channel: from there on only who is named has a pointer.
    grown: Option<Grown>,
    /// The newest pointer so far.
    last: Seq,
}

impl Track {
    /// Up to here, and at most up to `end`, every message has a pointer for every member.
    fn every(&self, end: Seq) -> Seq {
        self.grown.map_or(end, |grown| end.min(grown.since))
    }
}

/// The families of one bay that are ordered by user.
struct Streams<'a> {
    account: Stream<'a>,
    joined: Stream<'a>,
    inbox: Stream<'a>,
    device: Stream<'a>,
}

/// Checks the users of one bay.
pub(super) fn check(check: &mut Check<'_>, coverage: &Coverage, bay: BayId) -> Found<()> {
    let generation = state(&check.view, bay)?.generation;
    let stream = |family| Stream::new(check.view, bay, family);
    let mut streams = Streams {
        account: stream(Family::Account),
        joined: stream(Family::Joined),
        inbox: stream(Family::Inbox),
        device: stream(Family::Device),
    };
    while let Some(user) = streams.next_user(check, bay)? {
        check.summary.users += 1;
        if BayId::of_user(user) != bay {
            check.broken(bay, format!("rows of user {user}, who lives elsewhere"));
        }
        let prefix = key::user(user);
        match streams.account.take_exactly(&prefix)? {
            None => check.report(Severity::Odd, bay, format!("rows of user {user}, who has no account")),
            Some(value) if AccountRow::decode(&value).is_none() => {
                check.broken(bay, format!("the account of user {user} cannot be read"));
            }
            Some(_) => {}
        }
        while let Some((key, value)) = streams.account.take_within(&prefix)? {
            let is_whole = key::read_user_row(&key).is_some() && Relation::decode(&value).is_some();
            if !is_whole {
                check.broken(bay, format!("a relation of user {user} cannot be read: {key:02x?}"));
            }
        }
        let mut one = User { user, bay, prefix, coverage, tracks: BTreeMap::new() };
        let listed = one.listed(check, &mut streams.joined)?;
        let head = one.inbox(check, &mut streams.inbox)?;
        one.devices(check, &mut streams.device, (generation, head))?;
        one.finish(check, listed)?;
    }
    Ok(())
}

impl Streams<'_> {
    /// The smallest user of which any row is left. Keys that name no user are reported and skipped.
    fn next_user(&mut self, check: &mut Check<'_>, bay: BayId) -> Found<Option<UserId>> {
        let mut next: Option<Box<[u8]>> = None;
        for stream in [&mut self.account, &mut self.joined, &mut self.inbox, &mut self.device] {
            while let Some(key) = stream.peek()? {
                let user = key.get(2..10).and_then(|user| user.try_into().ok()).map(u64::from_be_bytes);
                let placed = user.is_some_and(|user| key.starts_with(&key::user(UserId(user))));
                if let Some(prefix) = key.get(..10).filter(|_| placed) {
                    if next.as_deref().is_none_or(|next| prefix < next) {
                        next = Some(prefix.into());
                    }
                    break;
                }
                check.broken(bay, format!("a key names no user of its partition: {key:02x?}"));
                stream.take()?;
            }
        }
        let user = next.as_deref().and_then(|key| key.get(2..)).and_then(|user| user.try_into().ok());
        Ok(user.map(u64::from_be_bytes).map(UserId))
    }
}

/// One user at work.
struct User<'a> {
    user: UserId,
    bay: BayId,
    prefix: Key,
    coverage: &'a Coverage,
    tracks: BTreeMap<ChannelId, Track>,
}

impl User<'_> {
    fn broken(&self, check: &mut Check<'_>, what: &str) {
        check.broken(self.bay, format!("user {}: {what}", self.user));
    }

    fn listed(&self, check: &mut Check<'_>, rows: &mut Stream<'_>) -> Found<BTreeMap<ChannelId, Listed>> {
        let mut listed = BTreeMap::new();
        while let Some((key, value)) = rows.take_within(&self.prefix)? {
            let Some(((_, _, channel, tag), seq)) = key::read_joined(&key).zip(value::read_number(&value))
            else {
                self.broken(check, &format!("a row of the own list cannot be read: {key:02x?}"));
                continue;
            };
            listed.entry(channel).or_insert_with(|| Listed::new(channel)).set(tag, Seq(seq));
        }
        Ok(listed)
    }

    fn devices(
        &self,
        check: &mut Check<'_>,
        rows: &mut Stream<'_>,
        (generation, head): (Generation, u64),
    ) -> Found<()> {
        let mut count = 0;
        while let Some((key, value)) = rows.take_within(&self.prefix)? {
            count += 1;
            let Some(((_, _, device), row)) = key::read_user_row(&key).zip(DeviceRow::decode(&value)) else {
                self.broken(check, &format!("a device cannot be read: {key:02x?}"));
                continue;
            };
            if row.cursor.generation == generation && row.cursor.at.0 > head {
                let what =
                    format!("the cursor {} of device {device} is above the inbox head {head}", row.cursor.at);
                check.report(Severity::Odd, self.bay, format!("user {}: {what}", self.user));
            }
        }
        check.summary.devices += count;
        if count > DEVICES_MAX as u64 {
            self.broken(check, &format!("{count} devices; at most {DEVICES_MAX} are allowed"));
        }
        Ok(())
    }

    /// Streams the inbox; its head.
    fn inbox(&mut self, check: &mut Check<'_>, rows: &mut Stream<'_>) -> Found<u64> {
        let mut head = 0;
        while let Some((key, value)) = rows.take_within(&self.prefix)? {
            let run = key::read_user_row(&key).zip(value::run::read(self.user, &value));
            let Some(((_, _, first), entries)) = run else {
                self.broken(check, &format!("a run of the inbox cannot be read: {key:02x?}"));
                continue;
            };
            check.summary.runs += 1;
            if first > head + 1 {
                let what = format!("user {}: the inbox has a hole: {first} follows {head}", self.user);
                check.report(Severity::Lost, self.bay, what);
            } else if first <= head {
                self.broken(check, &format!("the inbox holds {first} twice: a run before it ends at {head}"));
            }
            for (at, (channel, seq)) in (first..).zip(entries) {
                check.summary.pointers += 1;
                head = head.max(at);
                self.pointer(check, at, channel, seq)?;
            }
        }
        Ok(head)
    }

    fn pointer(&mut self, check: &mut Check<'_>, at: u64, channel: ChannelId, seq: Seq) -> Found<()> {
        let track = self.track(check, channel)?;
        let (head, covered, last) = (track.head, track.covered, track.last);
        let missing = first_held(&track.member, last.next(), track.every(Seq(seq.0.saturating_sub(1))));
        let (held, is_large) = (track.member.holds(seq), track.grown.is_some_and(|grown| grown.holds(seq)));
        track.last = last.max(seq);
        let place = format!("inbox entry {at} names {} {seq}", name(channel));
        if seq > head {
            let what = format!("user {}: {place}, above its head {head}", self.user);
            check.report(Severity::Lost, BayId::of_channel(channel), what);
            return Ok(());
        }
        if seq <= last {
            self.broken(check, &format!("{place} behind {last}: twice, or out of order"));
            return Ok(());
        }
        if seq > covered {
            self.broken(check, &format!("{place}, which its bay has not marked as applied"));
        }
        if let Some(missing) = missing {
            self.broken(check, &format!("{place}, but {missing} before it has no entry"));
        }
        if is_large && held {
            // What a recalled or purged message named is not known any more.
            let frame = check.view.message(channel, seq)?.filter(|frame| frame.kind() != Kind::RECALLED);
            if frame.is_some_and(|frame| !pointed(&frame).contains(&self.user)) {
                self.broken(
                    check,
                    &format!("{place}, a message of a large channel that does not name the user"),
                );
            }
        }
        if !held && !check.view.floor(channel)?.hides(seq) {
            let sender = check.view.message(channel, seq)?.and_then(|frame| frame.read_stamp());
            if sender.is_none_or(|stamp| stamp.sender != self.user) {
                self.broken(check, &format!("{place}, which the user was not sent"));
            }
        }
        Ok(())
    }

    fn track(&mut self, check: &Check<'_>, channel: ChannelId) -> Found<&mut Track> {
        if !self.tracks.contains_key(&channel) {
            let head = check.view.head(channel)?;
            let member = match channel.users() {
                Some((a, b)) if a == self.user || b == self.user => Intervals::for_ever(),
                Some(_) => Intervals::default(),
                None => check.view.membership(channel, self.user)?.intervals(),
            };
            let covered = self.coverage.through(channel, self.bay, head);
            let is_group = channel.users().is_none();
            let row = if is_group { check.view.channel(channel)? } else { None };
            let grown = row.and_then(|row| row.grown);
            self.tracks.insert(channel, Track { head, covered, member, grown, last: Seq(0) });
        }
        // It was put there above.
        let missing = || crate::error::StoreError::corrupt(Some(self.bay), "a track was lost");
        Ok(self.tracks.get_mut(&channel).ok_or_else(missing)?)
    }

    /// What the inbox should have held besides, and what the own list says.
    fn finish(&mut self, check: &mut Check<'_>, listed: BTreeMap<ChannelId, Listed>) -> Found<()> {
        for (channel, one) in listed {
            let track = self.track(check, channel)?;
            let expected = last_begun(&track.member, track.covered);
            let is_large = track.grown.is_some_and(|grown| grown.since <= track.covered);
            let member = track.member.clone();
            let found = one.joined.map(|joined| Interval { joined, left: one.left_since() });
            let is_followed = check.view.follows(self.user, channel)?;
            let follows = is_large && expected.is_some_and(|stay| stay.left.is_none());
            if is_followed != follows {
                let what = format!("follows {}: {is_followed}, membership says {follows}", name(channel));
                self.broken(check, &what);
            }
            if found != expected {
                let what =
                    format!("the list says {found:?} about {}, membership says {expected:?}", name(channel));
                self.broken(check, &format!("{what} of {:?}", member.0));
            }
        }
        for (channel, track) in &self.tracks {
            if let Some(missing) = first_held(&track.member, track.last.next(), track.every(track.covered)) {
                self.broken(check, &format!("the inbox misses {} {missing}", name(*channel)));
            }
        }
        Ok(())
    }
}
