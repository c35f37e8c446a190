//! Pages of an inbox: pointers, then the messages they name, wherever those live.

use std::cmp::Ordering;

use protocol::query::PageBounds;
use protocol::{ChannelId, Frame, InboxSeq, Seq, UserId};

use super::Filled;
use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found, Unread};
use crate::view::{View, read_run};

/// The messages behind `after`, and the position of the last. Where memory or the rows that may be looked at end behind the
/// first message, the page ends there: the next one goes on.
pub(super) fn page(
    view: &View<'_>,
    user: UserId,
    after: InboxSeq,
    bounds: PageBounds,
) -> Found<(Vec<Frame>, InboxSeq)> {
    let mut filled = Filled::new(bounds);
    let (mut frames, mut through) = (Vec::new(), after);
    for (channel, seq) in pointers(view, user, after, Filled::messages_max(bounds))? {
        let missing = || {
            let what = format!(
                "the inbox of user {user} at {} names {channel:?} {seq}, which is gone",
                through.next()
            );
            StoreError::corrupt_row(view.owners.now().family(channel, seq), &key::message(channel, seq), what)
        };
        let found = match view.message(channel, seq) {
            Err(Unread::Miss) if !frames.is_empty() => break,
            found => found?,
        };
        let frame = found.ok_or_else(missing)?;
        if !filled.take(1, frame.bytes().len()) {
            break;
        }
        frames.push(frame);
        through = through.next();
    }
    Ok((frames, through))
}

/// What the inbox holds from `after + 1` on, without a hole and with nothing twice. The page may begin inside a run.
pub(super) fn pointers(
    view: &View<'_>,
    user: UserId,
    after: InboxSeq,
    count: usize,
) -> Found<Vec<(ChannelId, Seq)>> {
    let Some(next) = after.0.checked_add(1).map(InboxSeq) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let prefix = key::user(user);
    let upto = key::run(user, next).after_all();
    view.scan(Family::Inbox, (&prefix, &upto), Direction::Falling, &mut |key, value| {
        let (first, entries) = read_run(user, key, value.bytes())?;
        let before = usize::try_from(next.0 - first.0).unwrap_or(usize::MAX);
        found.extend(entries.into_iter().skip(before));
        Ok(false)
    })?;
    // Each pointer is to be followed by its message, which is one more row.
    let wants_more = |found: usize| found < count && view.left.is_none_or(|left| left.get() as usize > found);
    let from = next.0.checked_add(1).map(|above| key::run(user, InboxSeq(above)));
    if let Some(from) = from.filter(|_| wants_more(found.len())) {
        let scanned =
            view.scan_from(Family::Inbox, (&from, &prefix), Direction::Rising, &mut |key, value| {
                let (first, entries) = read_run(user, key, value.bytes())?;
                follows(user, next.0.saturating_add(found.len() as u64), first)?;
                found.extend(entries);
                Ok(wants_more(found.len()))
            });
        match scanned {
            Err(Unread::Miss) if !found.is_empty() => {}
            scanned => scanned?,
        }
    }
    found.truncate(count);
    Ok(found)
}

/// The next run begins where the one before ended.
fn follows(user: UserId, expected: u64, first: InboxSeq) -> Found<()> {
    let what = match first.0.cmp(&expected) {
        Ordering::Equal => return Ok(()),
        Ordering::Greater => {
            format!("the inbox of user {user} has a hole: {expected} is missing before {first}")
        }
        Ordering::Less => format!("the inbox of user {user} holds {first} twice: a run ends behind it"),
    };
    Err(StoreError::corrupt_row(Family::Inbox, &key::run(user, first.min(InboxSeq(expected))), what).into())
}
