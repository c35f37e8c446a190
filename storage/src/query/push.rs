//! What a user is told by push: subscriptions and jobs for the user's home, jobs of a bay and all that one is made of for
//! whoever carries them out.

use protocol::commit::{JobRow, PREFS_TAG, Prefs, Provider, ShownRow, SubscriptionRow, Target};
use protocol::limits::{PUSH_JOBS_MAX, PUSH_SUBSCRIPTIONS_MAX};
use protocol::query::{Answer, PushFacts, PushRows};
use protocol::{BayId, ChannelId, DeviceId, PartitionId, UserId};

use crate::family::Family;
use crate::key::{self, JOB_TAG, Key, PUSH_OFF_TAG, SHOWN_TAG, SUBSCRIPTION_TAG, WITHDRAWAL_TAG};
use crate::rows::{Direction, Found};
use crate::view::{View, damaged};

/// Where the rows of a partition begin, and the key of one.
type Keys = (fn(u16) -> Key, fn(UserId, ChannelId) -> Key);
/// Takes a row; `None` when it cannot be read.
type Take<'a> = dyn FnMut(&[u8], &[u8]) -> Option<()> + 'a;

/// What the user's home keeps in memory. Jobs are read only of who has a subscription: nobody else has any to see.
pub(super) fn of_user(view: &View<'_>, user: UserId) -> Found<PushRows> {
    let named =
        |(device, provider, row): (DeviceId, Provider, SubscriptionRow)| ((device, provider), row.created_ms);
    let subscriptions: Vec<_> = subscriptions(view, user)?.into_iter().map(named).collect();
    let has_any = !subscriptions.is_empty();
    let jobs = if has_any { jobs_of(view, user)? } else { Vec::new() };
    let shown = if has_any { shown_of(view, user)? } else { Vec::new() };
    Ok(PushRows { subscriptions, jobs, shown, is_off: is_off(view, user)? })
}

pub(crate) fn is_off(view: &View<'_>, user: UserId) -> Found<bool> {
    let found =
        view.get_decoded(Family::Push, &key::push(user, PUSH_OFF_TAG), |row| (row == [1]).then_some(()))?;
    Ok(found.is_some())
}

fn jobs_of(view: &View<'_>, user: UserId) -> Found<Vec<(ChannelId, JobRow)>> {
    let (family, prefix) = (Family::Push, key::push(user, JOB_TAG));
    let mut jobs = Vec::new();
    view.scan_from(family, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
        let row = key::read_job(key).zip(JobRow::decode(value.bytes()));
        let ((_, channel), row) = row.ok_or_else(|| damaged(family, key))?;
        jobs.push((channel, row));
        Ok(jobs.len() < PUSH_JOBS_MAX)
    })?;
    Ok(jobs)
}

fn shown_of(view: &View<'_>, user: UserId) -> Found<Vec<(ChannelId, ShownRow)>> {
    let (family, mut shown) = (Family::Push, Vec::new());
    for (tag, is_read) in [(SHOWN_TAG, false), (WITHDRAWAL_TAG, true)] {
        let prefix = key::push(user, tag);
        view.scan_from(family, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let row = key::read_shown(key, is_read).zip(ShownRow::decode(value.bytes()));
            let ((_, channel), row) = row.ok_or_else(|| damaged(family, key))?;
            shown.push((channel, row));
            Ok(shown.len() < PUSH_JOBS_MAX)
        })?;
    }
    shown.truncate(PUSH_JOBS_MAX);
    Ok(shown)
}

pub(crate) fn subscriptions(
    view: &View<'_>,
    user: UserId,
) -> Found<Vec<(DeviceId, Provider, SubscriptionRow)>> {
    let (family, prefix) = (Family::Push, key::push(user, SUBSCRIPTION_TAG));
    let mut found = Vec::new();
    view.scan_from(family, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
        let row = key::read_subscription(key).zip(SubscriptionRow::decode(value.bytes()));
        let ((_, device, provider), row) = row.ok_or_else(|| damaged(family, key))?;
        found.push((device, provider, row));
        Ok(found.len() < PUSH_SUBSCRIPTIONS_MAX)
    })?;
    Ok(found)
}

/// Where a user is told, by the endpoints alone: neither keys nor secrets.
pub(super) fn endpoints(view: &View<'_>, user: UserId) -> Found<Vec<(Target, String)>> {
    let named =
        |(device, provider, row): (DeviceId, Provider, SubscriptionRow)| ((device, provider), row.endpoint);
    Ok(subscriptions(view, user)?.into_iter().map(named).collect())
}

/// What a user is still to be told of a channel.
pub(super) fn job(view: &View<'_>, user: UserId, channel: ChannelId) -> Found<Option<JobRow>> {
    view.get_decoded(Family::Push, &key::job(user, channel), JobRow::decode)
}

/// Jobs of a bay.
pub(super) fn jobs(
    view: &View<'_>,
    bay: BayId,
    after: Option<(UserId, ChannelId)>,
    limit: u32,
) -> Found<Answer> {
    let mut items = Vec::new();
    let more = pages(view, (bay, after, limit), (key::jobs, key::job), &mut |key, value| {
        let ((user, channel), row) = key::read_job(key).zip(JobRow::decode(value))?;
        items.push((user, channel, row));
        Some(())
    })?;
    Ok(Answer::Jobs { items, more })
}

/// Withdrawals of a bay.
pub(super) fn withdrawals(
    view: &View<'_>,
    bay: BayId,
    after: Option<(UserId, ChannelId)>,
    limit: u32,
) -> Found<Answer> {
    let (mut items, key_of) = (Vec::new(), |user, channel| key::shown(user, channel, true));
    let more = pages(view, (bay, after, limit), (key::withdrawals, key_of), &mut |key, _| {
        items.push(key::read_shown(key, true)?);
        Some(())
    })?;
    Ok(Answer::Withdrawals { items, more })
}

/// Reads rows of a bay that stand under user and channel, one partition after the other: what stands between them are
/// subscriptions. Whether more follow.
fn pages(
    view: &View<'_>,
    (bay, after, limit): (BayId, Option<(UserId, ChannelId)>, u32),
    (of_partition, key_of): Keys,
    take: &mut Take<'_>,
) -> Found<bool> {
    let (family, mut count, mut more) = (Family::Push, 0, false);
    let first = after.map_or_else(|| bay.partitions().start, |(user, _)| PartitionId::of_user(user).0);
    for partition in first..bay.partitions().end {
        let prefix = of_partition(partition);
        let from = match after {
            Some((user, channel)) if partition == first => key_of(user, channel).after_all(),
            _ => prefix,
        };
        if *from >= *prefix.after_all() {
            continue;
        }
        view.scan_from(family, (&from, &prefix), Direction::Rising, &mut |key, value| {
            more = count >= limit;
            if !more {
                take(key, value.bytes()).ok_or_else(|| damaged(family, key))?;
                count += 1;
            }
            Ok(!more)
        })?;
        if more {
            break;
        }
    }
    Ok(more)
}

/// The job is read first: what it names was durable before it.
pub(super) fn facts(view: &View<'_>, user: UserId, channel: ChannelId) -> Found<PushFacts> {
    let job = job(view, user, channel)?;
    let prefs = key::note_about(user, PREFS_TAG, channel);
    let message = match &job {
        Some(job) => view.message(channel, job.seq)?,
        None => None,
    };
    let group = if channel.users().is_some() { None } else { view.channel(channel)? };
    let sender = message.as_ref().and_then(|frame| frame.read_stamp()).map(|stamp| stamp.sender);
    let is_blocked = match sender {
        Some(sender) => view.relation(user, sender)?.is_blocked,
        None => false,
    };
    Ok(PushFacts {
        job,
        subscriptions: subscriptions(view, user)?,
        prefs: view.get_decoded(Family::Notes, &prefs, Prefs::decode)?.unwrap_or_default(),
        read: view.position(channel, user)?.read,
        message,
        is_blocked,
        name: group.unwrap_or_default().name,
        shown: view.get_decoded(Family::Push, &key::shown(user, channel, true), ShownRow::decode)?,
        is_off: is_off(view, user)?,
    })
}
