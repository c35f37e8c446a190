//! The way of one message, for an operator: read from what is stored anyway. Every search has a bound, and what it does not
//! find is said not to be found.

use protocol::body::large::pointed;
use protocol::query::{Answer, TRACE_USERS_MAX, Traceable, Traced, TracedMessage, TracedUser};
use protocol::{BayId, ChannelId, InboxSeq, Seq, UserId};

use super::{inbox, push};
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::store;
use crate::value;
use crate::view::{View, damaged};

/// Rows of a fan-out log that are looked at, from its end: what is trimmed late is much longer only while a bay is far behind.
const LOG_ROWS_MAX: usize = 8192;
/// Pointers that are looked at before and behind where a message should stand in an inbox.
const WINDOW: u64 = 2048;

/// The message, and a page of those who were to have it, behind `after`.
pub(super) fn page(
    view: &View<'_>,
    (channel, seq): (ChannelId, Seq),
    after: UserId,
    limit: u32,
) -> Found<Answer> {
    let mut traced = Traced { head: view.head(channel)?, ..Traced::default() };
    let found = view.message(channel, seq)?;
    let Some((frame, stamp)) = found.and_then(|frame| frame.read_stamp().map(|stamp| (frame, stamp))) else {
        return Ok(Answer::Trace(Box::new(traced)));
    };
    let message = TracedMessage {
        kind: frame.kind(),
        bytes: u32::try_from(frame.bytes().len()).unwrap_or(u32::MAX),
        sender: stamp.sender,
        send_id: frame.send_id(),
        time_ms: stamp.time_ms,
    };
    traced.message = Some(message);
    traced.batch = batch(view, channel, seq)?;
    let is_large = view.channel(channel)?.and_then(|row| row.grown).is_some_and(|grown| grown.holds(seq));
    let all = if is_large { pointed(&frame) } else { recipients(view, (channel, seq), message.sender)? };
    traced.recipients = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let limit = limit.clamp(1, TRACE_USERS_MAX) as usize;
    let rest: Vec<UserId> = all.into_iter().filter(|user| *user > after).collect();
    traced.more = rest.len() > limit;
    for user in rest.into_iter().take(limit) {
        traced.users.push(one(view, (channel, seq), message.time_ms, user)?);
    }
    Ok(Answer::Trace(Box::new(traced)))
}

/// The row of the log that names the message, looked for from the end. A row that names an older message of the channel shows
/// that a newer one can only stand behind it.
fn batch(view: &View<'_>, channel: ChannelId, seq: Seq) -> Found<Traceable<u64>> {
    let (lower, upper) = key::bay(BayId::of_channel(channel));
    let (mut found, mut rows) = (Traceable::Trimmed, 0);
    view.scan(Family::Fanout, (&lower, &upper), Direction::Falling, &mut |key, value| {
        let row = key::read_fanout(key).zip(value::read_fanout(value.bytes()));
        let ((_, number), messages) = row.ok_or_else(|| damaged(Family::Fanout, key))?;
        if messages.contains(&(channel, seq)) {
            found = Traceable::Known(number);
            return Ok(false);
        }
        rows += 1;
        if rows >= LOG_ROWS_MAX {
            found = Traceable::Unfound;
        }
        Ok(rows < LOG_ROWS_MAX)
    })?;
    Ok(found)
}

fn recipients(view: &View<'_>, (channel, seq): (ChannelId, Seq), sender: UserId) -> Found<Vec<UserId>> {
    // What was purged was sent by nobody.
    let mut all = Vec::from_iter((sender != UserId(0)).then_some(sender));
    if let Some((small, large)) = channel.users() {
        all.extend([small, large]);
    } else {
        view.each_membership(channel, &mut |user, membership| {
            all.extend(membership.intervals().holds(seq).then_some(user));
        })?;
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn one(view: &View<'_>, (channel, seq): (ChannelId, Seq), time_ms: u64, user: UserId) -> Found<TracedUser> {
    let bay = BayId::of_user(user);
    let state = store::state(view, bay)?;
    let inbox_head = view.inbox_head(user)?;
    let source = usize::from(BayId::of_channel(channel).0);
    Ok(TracedUser {
        user,
        at: place(view, (user, inbox_head), (channel, seq), time_ms)?,
        inbox_head,
        generation: state.generation,
        applied: state.applied.get(source).copied().unwrap_or(0),
        position: view.position(channel, user)?,
        devices: view.devices(user)?,
        subscriptions: push::endpoints(view, user)?,
        job: push::job(view, user, channel)?,
    })
}

/// Where a message stands in an inbox. Among the newest it is looked for first; then where its time says, for an inbox is in
/// the order in which messages came, which is nearly that of their times.
fn place(
    view: &View<'_>,
    (user, head): (UserId, InboxSeq),
    wanted: (ChannelId, Seq),
    time_ms: u64,
) -> Found<Option<InboxSeq>> {
    let newest = near(view, user, head.0, wanted)?;
    if newest.is_some() || head.0 <= WINDOW {
        return Ok(newest);
    }
    let (mut low, mut high) = (1, head.0);
    while low < high {
        let middle = low + (high - low) / 2;
        if time_of(view, user, middle)?.is_some_and(|ms| ms < time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    near(view, user, low, wanted)
}

fn near(view: &View<'_>, user: UserId, at: u64, wanted: (ChannelId, Seq)) -> Found<Option<InboxSeq>> {
    let after = at.saturating_sub(WINDOW);
    let pointers = inbox::pointers(view, user, InboxSeq(after), usize::try_from(2 * WINDOW).unwrap_or(0))?;
    let place = pointers.iter().position(|pointer| *pointer == wanted);
    Ok(place.map(|place| InboxSeq(after + 1 + place as u64)))
}

/// The time of what an inbox names at a place.
fn time_of(view: &View<'_>, user: UserId, at: u64) -> Found<Option<u64>> {
    let pointers = inbox::pointers(view, user, InboxSeq(at.saturating_sub(1)), 1)?;
    let Some((channel, seq)) = pointers.first() else { return Ok(None) };
    let stamp = view.message(*channel, *seq)?.and_then(|frame| frame.read_stamp());
    Ok(stamp.map(|stamp| stamp.time_ms))
}
