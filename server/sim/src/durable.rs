//! Invariants of what becomes durable, checked batch by batch in the order of commits.

use std::collections::{BTreeMap, HashSet};

use protocol::body::message::ROLE_OWNER;
use protocol::commit::{Batch, Interval, Row};
use protocol::limits::DEVICES_MAX;
use protocol::{ChannelId, Seq, StoreId, UserId};

use crate::broken;
use crate::oracle::{Check, Oracle};

/// Takes a batch that has just become durable into the model.
///
/// # Errors
/// The first invariant that the batch breaks.
pub fn apply(oracle: &mut Oracle, batch: &Batch) -> Check {
    let heads: BTreeMap<ChannelId, Seq> = messages(batch).map(|(c, _)| (c, oracle.head(c))).collect();
    let mut changed = Vec::new();
    for row in &batch.rows {
        match row {
            Row::Message { channel, seq, frame } => {
                at_home(batch.store, oracle.placement.channel_store(*channel), row)?;
                oracle.add_message(*channel, *seq, frame)?;
                roles(oracle, &changed)?;
                changed.clear();
            }
            // The rows of a change come before its message.
            Row::Interval { channel, user, row, .. } => changed.push((*channel, *user, row.role)),
            Row::Position { channel, user, row: position } => {
                at_home(batch.store, oracle.placement.channel_store(*channel), row)?;
                oracle.add_position(*channel, *user, position.read)?;
            }
            Row::Member { .. } | Row::Read { .. } => broken!("a row that is no longer written: {row:?}"),
            _ => {}
        }
    }
    members(oracle, batch, &heads)?;
    for row in &batch.rows {
        if let Row::Pointer { user, at, channel, seq } = row {
            at_home(batch.store, oracle.placement.user_store(*user), row)?;
            oracle.add_pointer(*user, at.0, *channel, *seq)?;
        }
    }
    own_lists(oracle, batch)?;
    people(oracle, batch)?;
    log(oracle, batch)?;
    batch.rows.iter().try_for_each(|row| marks(oracle, batch.store, row))
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
    batch.rows.iter().filter_map(|row| match row {
        Row::Message { channel, seq, .. } => Some((*channel, *seq)),
        _ => None,
    })
}

fn at_home(found: StoreId, expected: StoreId, row: &Row) -> Check {
    if found != expected {
        broken!("{row:?} in store {found}, belongs in {expected}");
    }
    Ok(())
}

/// The rows of stays are exactly what the membership messages of the same batch say, and every group has an owner.
fn members(oracle: &Oracle, batch: &Batch, heads: &BTreeMap<ChannelId, Seq>) -> Check {
    let mut rows = BTreeMap::new();
    for row in &batch.rows {
        if let Row::Interval { channel, user, joined, row } = row {
            rows.insert((*channel, *user, *joined), row);
        }
    }
    for ((channel, user, joined), row) in &rows {
        let intervals = oracle.member(*channel, *user).map_or(&[][..], |row| &row.intervals);
        let place = intervals.iter().position(|interval| interval.joined == *joined);
        let expected = place.and_then(|place| intervals.get(place));
        if expected.is_none_or(|interval| interval.left != row.left) {
            broken!("{channel:?}: row of {user} from {joined} is {row:?}, the messages say {intervals:?}");
        }
        let number = place.map_or(0, |place| place as u32 + 1);
        if row.number != number || number > oracle.stays_max {
            broken!("{channel:?}: stay {number} of {user} is {row:?}, allowed are {}", oracle.stays_max);
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
            let missing = |i: &Interval| !rows.contains_key(&(*channel, user, i.joined));
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
    for row in &batch.rows {
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
    for row in &batch.rows {
        let Row::Pointer { user, channel, seq, .. } = row else { continue };
        let intervals = oracle.member(*channel, *user).map_or(&[][..], |row| &row.intervals);
        let direct = channel.users().is_some() && *seq == Seq(1);
        if direct || intervals.iter().any(|interval| interval.joined == *seq) {
            expected_joined.insert((*user, *channel, *seq));
        }
        if intervals.iter().any(|interval| interval.left == Some(*seq)) {
            expected_left.insert((*user, *channel, *seq));
        }
    }
    if joined != expected_joined {
        broken!("store {}: joined rows {joined:?}, pointers say {expected_joined:?}", batch.store);
    }
    if left != expected_left {
        broken!("store {}: left rows {left:?}, pointers say {expected_left:?}", batch.store);
    }
    Ok(())
}

fn people(oracle: &mut Oracle, batch: &Batch) -> Check {
    for row in &batch.rows {
        match row {
            Row::Account { user, .. } => {
                at_home(batch.store, oracle.placement.user_store(*user), row)?;
                oracle.accounts.insert(*user);
            }
            Row::Device { user, device, row: value } => {
                at_home(batch.store, oracle.placement.user_store(*user), row)?;
                if !oracle.accounts.contains(user) {
                    broken!("device {device} of {user}, who has no account");
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

/// One row a batch with messages, dense, naming exactly them.
fn log(oracle: &mut Oracle, batch: &Batch) -> Check {
    let expected: Vec<_> = messages(batch).collect();
    let mut rows = batch.rows.iter().filter_map(|row| match row {
        Row::Fanout { number, messages } => Some((*number, messages)),
        _ => None,
    });
    let log = &mut oracle.logs[usize::from(batch.store.0)];
    match rows.next() {
        None if expected.is_empty() => Ok(()),
        Some((number, messages)) if *messages == expected && !expected.is_empty() => {
            if number != log.rows.len() as u64 + 1 || rows.next().is_some() {
                broken!("store {}: fan-out {number} behind {}", batch.store, log.rows.len());
            }
            log.rows.push(expected);
            Ok(())
        }
        found => Err(format!("store {}: fan-out {found:?} for messages {expected:?}", batch.store)),
    }
}

fn marks(oracle: &mut Oracle, store: StoreId, row: &Row) -> Check {
    match row {
        Row::Applied { source, through } => {
            let before = oracle.logs[usize::from(store.0)].applied.get(source).copied().unwrap_or(0);
            if *through < before {
                broken!("store {store}: applied of {source} steps back from {before} to {through}");
            }
            if *through > oracle.logs[usize::from(source.0)].rows.len() as u64 {
                broken!("store {store}: applied through {through} of {source}, which has no such row");
            }
            for number in before + 1..=*through {
                for (user, channel, seq) in recipients(oracle, *source, number, store) {
                    if !oracle.has_pointer(user, channel, seq) {
                        broken!(
                            "store {store}: applied {source} through {through} without {user} {channel:?} {seq}"
                        );
                    }
                }
            }
            oracle.logs[usize::from(store.0)].applied.insert(*source, *through);
        }
        Row::TrimFanout { below } => {
            let log = &mut oracle.logs[usize::from(store.0)];
            if *below > log.rows.len() as u64 {
                broken!("store {store}: trimmed below {below}, head is {}", log.rows.len());
            }
            let from = log.trimmed_below.max(1);
            log.trimmed_below = log.trimmed_below.max(*below);
            needed(oracle, store, from, *below)?;
        }
        _ => {}
    }
    Ok(())
}

/// A log row may go when every store has the pointers that it asks for.
fn needed(oracle: &Oracle, source: StoreId, from: u64, below: u64) -> Check {
    for number in from..below {
        for dest in (0..oracle.placement.stores()).map(StoreId) {
            for (user, channel, seq) in recipients(oracle, source, number, dest) {
                if !oracle.has_pointer(user, channel, seq) {
                    broken!("store {source}: trimmed {number}, {user} still needs {channel:?} {seq}");
                }
            }
        }
    }
    Ok(())
}

fn recipients(oracle: &Oracle, source: StoreId, number: u64, dest: StoreId) -> Vec<(UserId, ChannelId, Seq)> {
    let log = &oracle.logs[usize::from(source.0)];
    let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    for (channel, seq) in log.rows.get(place).into_iter().flatten() {
        for user in oracle.ever_members(*channel) {
            if oracle.placement.user_store(user) == dest && oracle.is_recipient(*channel, user, *seq) {
                out.push((user, *channel, *seq));
            }
        }
    }
    out
}
