//! The fan-out log, read again as deliveries: who was to get each message when it was sent, whatever changed since.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::body::large::pointed;
use protocol::body::message::Change;
use protocol::query::{Delivery, PageBounds};
use protocol::{BayId, Bays, ChannelId, Frame, Seq, UserId};

use super::Filled;
use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::membership::Intervals;
use crate::rows::{Direction, Found};
use crate::value;
use crate::view::{View, damaged};

/// Log rows that one read covers at most, so that rows that concern other bays cost bounded time.
const ROWS_MAX: usize = 4096;
/// Rows of all kinds that one read looks at, about: the log row in which it passes this is its last.
const LOOKS_MAX: usize = 16_384;

type LogRow = (u64, Vec<(ChannelId, Seq)>);
type Members = BTreeMap<ChannelId, Vec<(UserId, Intervals)>>;
/// A row of the log of a bay, for whose users, and one message that it names.
type Place = ((BayId, u64, Bays), (ChannelId, Seq));
/// Deliveries with their log row, and the last log row covered.
type Page = (Vec<(u64, Delivery)>, u64);

/// Deliveries for `dests` with `after < number <= until`: one pass over the log, whatever the number of bays.
pub(super) fn page(
    view: &View<'_>,
    source: BayId,
    (after, until): (u64, u64),
    dests: Bays,
    bounds: PageBounds,
) -> Found<Page> {
    let (mut members, mut looks) = (Members::new(), 0);
    let mut grown = BTreeMap::new();
    let mut filled = Filled::new(bounds);
    let (mut deliveries, mut through) = (Vec::new(), after);
    let mut rows_left = ROWS_MAX;
    // Few rows at a time: a page is usually full long before the log ends.
    while rows_left > 0 && looks < LOOKS_MAX {
        let rows = log(view, source, (through, until), rows_left.min(64))?;
        if rows.is_empty() {
            break;
        }
        rows_left -= rows.len();
        for (number, messages) in rows {
            let mut row = Vec::new();
            looks += 1 + messages.len();
            for (channel, seq) in messages {
                let since = grown_since(view, channel, &mut grown)?.filter(|since| seq >= *since);
                let place = ((source, number, dests), (channel, seq));
                let found = match since {
                    Some(since) if seq > since => large(view, place)?,
                    _ => {
                        looks += load_members(view, channel, &mut members)?;
                        delivery(view, place, &members)?
                    }
                };
                row.extend(found.map(|delivery| (number, Delivery { grown: since, ..delivery })));
            }
            let bytes = row.iter().map(|(_, delivery): &(u64, Delivery)| delivery.frame.bytes().len()).sum();
            if !row.is_empty() && !filled.take(row.len(), bytes) {
                return Ok((deliveries, through));
            }
            deliveries.append(&mut row);
            through = number;
            if looks >= LOOKS_MAX {
                break;
            }
        }
    }
    Ok((deliveries, through))
}

/// The next rows of the log, up to `until`; they must follow `after` without a hole.
fn log(view: &View<'_>, source: BayId, (after, until): (u64, u64), count: usize) -> Found<Vec<LogRow>> {
    let mut rows: Vec<LogRow> = Vec::new();
    let Some(mut expected) = after.checked_add(1).filter(|next| *next <= until) else { return Ok(rows) };
    let bounds: (&[u8], &[u8]) = (&key::fanout(source, expected), &key::bay(source).1);
    view.scan(Family::Fanout, bounds, Direction::Rising, &mut |key, value| {
        let row = key::read_fanout(key).zip(value::read_fanout(value.bytes()));
        let ((_, number), messages) = row.ok_or_else(|| damaged(Family::Fanout, key))?;
        if number != expected {
            let what = format!("the fan-out log misses {expected}, which is still needed; next is {number}");
            let missing = key::fanout(source, expected);
            return Err(StoreError::corrupt_row(Family::Fanout, &missing, what).into());
        }
        expected += 1;
        rows.push((number, messages));
        Ok(rows.len() < count && number < until)
    })?;
    Ok(rows)
}

/// Everybody who ever was a member of a group, once a read; says how many rows that took.
fn load_members(view: &View<'_>, channel: ChannelId, members: &mut Members) -> Found<usize> {
    if channel.users().is_some() || members.contains_key(&channel) {
        return Ok(0);
    }
    let mut found = Vec::new();
    view.each_membership(channel, &mut |user, membership| found.push((user, membership.intervals())))?;
    let rows = found.len();
    members.insert(channel, found);
    Ok(rows)
}

/// The message with which a group became a large channel; each group is asked once a read.
fn grown_since(
    view: &View<'_>,
    channel: ChannelId,
    known: &mut BTreeMap<ChannelId, Option<Seq>>,
) -> Found<Option<Seq>> {
    if channel.users().is_some() {
        return Ok(None);
    }
    if let Some(since) = known.get(&channel) {
        return Ok(*since);
    }
    let since = view.channel(channel)?.and_then(|row| row.grown).map(|grown| grown.since);
    known.insert(channel, since);
    Ok(since)
}

/// The message that a row of a log names.
fn named(view: &View<'_>, ((source, number, _), (channel, seq)): Place) -> Found<Frame> {
    let gone = || {
        let what = format!("fan-out log row {number} of bay {source} names {channel:?} {seq}, which is gone");
        StoreError::corrupt_row(view.owners.now().family(channel, seq), &key::message(channel, seq), what)
    };
    Ok(view.message(channel, seq)?.ok_or_else(gone)?)
}

/// A message of a large channel: for its sender and those whom it names, whoever else is a member.
fn large(view: &View<'_>, place: Place) -> Found<Option<Delivery>> {
    let ((.., dests), (channel, seq)) = place;
    let frame = named(view, place)?;
    let mut recipients = pointed(&frame);
    if let Some(Change::Bans(user)) = Change::read(&frame)
        && !view.membership(channel, user)?.intervals().holds(seq)
    {
        // A ban names who never was a member as well, and is not for such a one.
        recipients.retain(|named| *named != user);
    }
    // What was purged was sent by nobody.
    recipients.retain(|user| *user != UserId(0) && dests.contains(BayId::of_user(*user)));
    recipients.sort_unstable_by_key(|user| (BayId::of_user(*user), *user));
    let found = Delivery { channel, seq, frame, recipients: Arc::from(recipients), grown: None };
    Ok((!found.recipients.is_empty()).then_some(found))
}

/// One message for the users of `dests`; `None` when it has none there.
fn delivery(view: &View<'_>, place: Place, members: &Members) -> Found<Option<Delivery>> {
    let ((.., dests), (channel, seq)) = place;
    let at_dest = |user: &UserId| dests.contains(BayId::of_user(*user));
    let (frame, mut recipients): (Frame, Vec<UserId>) = if let Some((a, b)) = channel.users() {
        let recipients: Vec<_> = [a, b].into_iter().filter(at_dest).collect();
        if recipients.is_empty() {
            return Ok(None);
        }
        (named(view, place)?, recipients)
    } else {
        let members = members.get(&channel).map(Vec::as_slice).unwrap_or_default();
        // Senders are among those who ever were members, so bays without one of these need no frame read for it.
        if !members.iter().any(|(user, _)| at_dest(user)) {
            return Ok(None);
        }
        let frame = named(view, place)?;
        // What was purged was sent by nobody.
        let sender = frame.read_stamp().map(|stamp| stamp.sender).filter(|sender| *sender != UserId(0));
        let held = members.iter().filter(|(_, row)| row.holds(seq)).map(|(user, _)| *user);
        (frame, held.chain(sender).filter(at_dest).collect())
    };
    recipients.sort_unstable_by_key(|user| (BayId::of_user(*user), *user));
    recipients.dedup();
    let found = Delivery { channel, seq, frame, recipients: Arc::from(recipients), grown: None };
    Ok((!found.recipients.is_empty()).then_some(found))
}
