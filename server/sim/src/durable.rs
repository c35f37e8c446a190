//! Invariants of what becomes durable, checked batch by batch in the order of commits.

use std::collections::{BTreeMap, HashSet};

use protocol::body::message::ROLE_OWNER;
use protocol::commit::{Batch, Interval, Part, Row};
use protocol::limits::DEVICES_MAX;
use protocol::{BayId, ChannelId, Seq, UserId};

use crate::broken;
use crate::oracle::{Check, Oracle};
use crate::purge;

/// Takes a batch that has just become durable into the model.
///
/// # Errors
/// The first invariant that the batch breaks.
pub fn apply(oracle: &mut Oracle, batch: &Batch) -> Check {
    let floors = purge::floors_before(oracle, batch);
    let heads: BTreeMap<ChannelId, Seq> = messages(batch).map(|(c, _)| (c, oracle.head(c))).collect();
    let mut changed = Vec::new();
    for (bay, row) in rows(batch) {
        match row {
            Row::Message { channel, seq, frame } => {
                at_home(bay, BayId::of_channel(*channel), row)?;
                oracle.add_message(*channel, *seq, frame)?;
                roles(oracle, &changed)?;
                changed.clear();
            }
            // The rows of a change come before its message.
            Row::Interval { channel, user, row, .. } => changed.push((*channel, *user, row.role)),
            Row::Position { channel, user, row: position } => {
                at_home(bay, BayId::of_channel(*channel), row)?;
                oracle.add_position(*channel, *user, *position)?;
            }
            Row::Floor { channel, from, row } => {
                purge::at_home(bay, *channel)?;
                oracle.add_floor(*channel, *from, *row)?;
            }
            Row::Erased { channel, user, row } => {
                purge::at_home(bay, *channel)?;
                oracle.add_erased(batch, (*channel, *user), row)?;
            }
            Row::Note { user, seq, note } => {
                at_home(bay, BayId::of_user(*user), row)?;
                oracle.add_note(*user, *seq, note);
            }
            _ => {}
        }
    }
    members(oracle, batch, &heads)?;
    messages(batch).try_for_each(|(channel, seq)| oracle.is_noted(channel, seq))?;
    for (bay, row) in rows(batch) {
        if let Row::Run { user, first, entries } = row {
            at_home(bay, BayId::of_user(*user), row)?;
            for (at, (channel, seq)) in (first.0..).zip(entries) {
                oracle.add_pointer(*user, at, *channel, *seq)?;
            }
        }
    }
    own_lists(oracle, batch)?;
    crate::talk::rows(oracle, batch)?;
    crate::about::rows(oracle, batch, &floors)?;
    crate::rules::rows(oracle, batch)?;
    people(oracle, batch)?;
    crate::push::rows(oracle, batch)?;
    batch.parts.iter().try_for_each(|part| log(oracle, part))?;
    rows(batch).try_for_each(|(bay, row)| marks(oracle, bay, row))
}

fn rows(batch: &Batch) -> impl Iterator<Item = (BayId, &Row)> {
    batch.parts.iter().flat_map(|part| part.rows.iter().map(|row| (part.bay, row)))
}

/// Who is pointed to what, by the runs of a batch.
fn pointers(batch: &Batch) -> impl Iterator<Item = (UserId, ChannelId, Seq)> {
    let runs = rows(batch).filter_map(|(_, row)| match row {
        Row::Run { user, entries, .. } => Some((*user, entries)),
        _ => None,
    });
    runs.flat_map(|(user, entries)| entries.iter().map(move |(channel, seq)| (user, *channel, *seq)))
}

/// Roles are what the messages say, except that a group without an owner is given one.
fn roles(oracle: &mut Oracle, changed: &[(ChannelId, UserId, u8)]) -> Check {
    for (channel, user, role) in changed {
        let Some(row) = oracle.member(*channel, *user).filter(|row| row.is_member()) else { continue };
        if row.role != *role {
            let mut others =
                oracle.members_now(*channel).into_iter().filter_map(|other| oracle.member(*channel, other));
            if *role != ROLE_OWNER || others.any(|other| other.role == ROLE_OWNER) {
                broken!("{channel:?}: {user} has role {role}, the messages say {}", row.role);
            }
            oracle.set_role(*channel, *user, *role);
        }
    }
    Ok(())
}

fn messages(batch: &Batch) -> impl Iterator<Item = (ChannelId, Seq)> {
    rows(batch).filter_map(|(_, row)| message(row))
}

fn at_home(found: BayId, expected: BayId, row: &Row) -> Check {
    if found != expected {
        broken!("{row:?} in bay {found}, belongs in {expected}");
    }
    Ok(())
}

/// The rows of stays are exactly what the membership messages of the same batch say, and every group has an owner.
fn members(oracle: &Oracle, batch: &Batch, heads: &BTreeMap<ChannelId, Seq>) -> Check {
    let mut stays = BTreeMap::new();
    for (_, row) in rows(batch) {
        if let Row::Interval { channel, user, joined, row } = row {
            stays.insert((*channel, *user, *joined), row);
        }
    }
    for ((channel, user, joined), row) in &stays {
        let intervals = oracle.member(*channel, *user).map_or(&[][..], |row| &row.intervals);
        let place = intervals.iter().position(|interval| interval.joined == *joined);
        let expected = place.and_then(|place| intervals.get(place));
        if expected.is_none_or(|interval| interval.left != row.left) {
            broken!("{channel:?}: row of {user} from {joined} is {row:?}, the messages say {intervals:?}");
        }
        let number = place.map_or(0, |place| place as u32 + 1);
        if row.number != number || number > oracle.stays_max {
            broken!(
                "{channel:?}: stay {number} of {user} is {row:?}, at most {} are allowed",
                oracle.stays_max
            );
        }
        let name = row.left.map_or("", |left| oracle.name_at(*channel, left));
        if row.name != name {
            broken!("{channel:?}: row of {user} from {joined} is {row:?}, the name was {name:?}");
        }
    }
    for (channel, before) in heads {
        for user in oracle.ever_members(*channel) {
            let Some(row) = oracle.member(*channel, user) else { continue };
            let changed = |i: &&Interval| i.joined > *before || i.left.is_some_and(|l| l > *before);
            let missing = |i: &Interval| !stays.contains_key(&(*channel, user, i.joined));
            if let Some(interval) = row.intervals.iter().filter(changed).find(|i| missing(i)) {
                broken!("{channel:?}: {interval:?} of {user} changed behind {before} without its row");
            }
        }
        let now = oracle.members_now(*channel);
        let owned =
            now.iter().any(|user| oracle.member(*channel, *user).is_some_and(|row| row.role == ROLE_OWNER));
        if !now.is_empty() && !owned {
            broken!("{channel:?}: {} members and no owner", now.len());
        }
    }
    Ok(())
}

/// The user's own list changes in the batch of the pointer to the message that changes it.
fn own_lists(oracle: &Oracle, batch: &Batch) -> Check {
    let mut joined = HashSet::new();
    let mut left = HashSet::new();
    for (_, row) in rows(batch) {
        match row {
            Row::Joined { user, channel, joined: seq } => {
                joined.insert((*user, *channel, *seq));
            }
            Row::Left { user, channel, left: seq } => {
                left.insert((*user, *channel, *seq));
            }
            _ => {}
        }
    }
    let mut expected_joined = HashSet::new();
    let mut expected_left = HashSet::new();
    for (user, channel, seq) in pointers(batch) {
        let intervals = oracle.member(channel, user).map_or(&[][..], |row| &row.intervals);
        let direct = channel.users().is_some() && seq == Seq(1);
        if direct || intervals.iter().any(|interval| interval.joined == seq) {
            expected_joined.insert((user, channel, seq));
        }
        if intervals.iter().any(|interval| interval.left == Some(seq)) {
            expected_left.insert((user, channel, seq));
        }
    }
    if joined != expected_joined {
        broken!("shard {}: joined rows {joined:?}, pointers say {expected_joined:?}", batch.shard);
    }
    if left != expected_left {
        broken!("shard {}: left rows {left:?}, pointers say {expected_left:?}", batch.shard);
    }
    Ok(())
}

fn people(oracle: &mut Oracle, batch: &Batch) -> Check {
    for (bay, row) in rows(batch) {
        match row {
            Row::Account { user, row: value } => {
                at_home(bay, BayId::of_user(*user), row)?;
                oracle.accounts.insert(*user);
                if value.policy.hides_receipts {
                    oracle.hides.insert(*user);
                } else {
                    oracle.hides.remove(user);
                }
                let before = oracle.not_before.insert(*user, value.not_before_ms);
                if before.is_some_and(|before| before > value.not_before_ms) {
                    broken!("{user}: tokens of before {before:?} are good again: {value:?}");
                }
            }
            Row::Device { user, device, row: value } => {
                at_home(bay, BayId::of_user(*user), row)?;
                if !oracle.accounts.contains(user) {
                    broken!("device {device} of {user}, who has no account");
                }
                if oracle.gone.contains(device) {
                    broken!("device {device} of {user} was removed and comes back");
                }
                if value.cursor.at.0 > oracle.inbox_head(*user) {
                    broken!("device {device} of {user}: cursor {:?} above the head", value.cursor);
                }
                let devices = oracle.devices.entry(*user).or_default();
                devices.insert(*device, value.cursor);
                if devices.len() > DEVICES_MAX {
                    broken!("{user} has {} devices", devices.len());
                }
            }
            Row::DeviceGone { user, device } => {
                oracle.devices.entry(*user).or_default().remove(device);
                oracle.gone.insert(*device);
            }
            _ => {}
        }
    }
    Ok(())
}

/// One row a part with messages, dense in its bay, naming exactly them.
fn log(oracle: &mut Oracle, part: &Part) -> Check {
    let expected: Vec<_> = part.rows.iter().filter_map(message).collect();
    let mut rows = part.rows.iter().filter_map(|row| match row {
        Row::Fanout { number, messages } => Some((*number, messages)),
        _ => None,
    });
    let log = &mut oracle.logs[usize::from(part.bay.0)];
    match rows.next() {
        None if expected.is_empty() => Ok(()),
        Some((number, messages)) if *messages == expected && !expected.is_empty() => {
            if number != log.rows.len() as u64 + 1 || rows.next().is_some() {
                broken!("bay {}: fan-out {number} behind {}", part.bay, log.rows.len());
            }
            log.rows.push(expected);
            Ok(())
        }
        found => Err(format!("bay {}: fan-out {found:?} for messages {expected:?}", part.bay)),
    }
}

fn message(row: &Row) -> Option<(ChannelId, Seq)> {
    match row {
        Row::Message { channel, seq, .. } => Some((*channel, *seq)),
        _ => None,
    }
}

fn marks(oracle: &mut Oracle, bay: BayId, row: &Row) -> Check {
    match row {
        Row::Marks { through } => {
            through.iter().try_for_each(|(source, through)| mark(oracle, bay, *source, *through))
        }
        Row::TrimFanout { below } => {
            let log = &mut oracle.logs[usize::from(bay.0)];
            if *below > log.rows.len() as u64 {
                broken!("bay {bay}: trimmed below {below}, head is {}", log.rows.len());
            }
            let from = log.trimmed_below.max(1);
            log.trimmed_below = log.trimmed_below.max(*below);
            needed(oracle, bay, from, *below)
        }
        _ => Ok(()),
    }
}

fn mark(oracle: &mut Oracle, bay: BayId, source: BayId, through: u64) -> Check {
    let before = oracle.logs[usize::from(bay.0)].applied.get(&source).copied().unwrap_or(0);
    if through < before {
        broken!("bay {bay}: applied of {source} steps back from {before} to {through}");
    }
    if through > oracle.logs[usize::from(source.0)].rows.len() as u64 {
        broken!("bay {bay}: applied through {through} of {source}, which has no such row");
    }
    for number in before + 1..=through {
        for (user, channel, seq) in recipients(oracle, source, number) {
            if BayId::of_user(user) == bay && !oracle.has_pointer(user, channel, seq) {
                broken!("bay {bay}: applied {source} through {through} without {user} {channel:?} {seq}");
            }
        }
    }
    oracle.logs[usize::from(bay.0)].applied.insert(source, through);
    Ok(())
}

/// A log row may go when everybody has the pointers that it asks for.
fn needed(oracle: &Oracle, source: BayId, from: u64, below: u64) -> Check {
    for number in from..below {
        for (user, channel, seq) in recipients(oracle, source, number) {
            if !oracle.has_pointer(user, channel, seq) {
                broken!("bay {source}: trimmed {number}, {user} still needs {channel:?} {seq}");
            }
        }
    }
    Ok(())
}

fn recipients(oracle: &Oracle, source: BayId, number: u64) -> Vec<(UserId, ChannelId, Seq)> {
    let log = &oracle.logs[usize::from(source.0)];
    let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    for (channel, seq) in log.rows.get(place).into_iter().flatten() {
        let all = oracle.ever_members(*channel).into_iter();
        out.extend(
            all.filter(|user| oracle.is_recipient(*channel, *user, *seq)).map(|user| (user, *channel, *seq)),
        );
    }
    out
}
