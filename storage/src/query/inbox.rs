//! Pages of an inbox: pointers, then the messages they name, wherever those live.

use protocol::query::PageBounds;
use protocol::{Frame, InboxSeq, UserId};

use super::Filled;
use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found, Unread};
use crate::value;
use crate::view::{View, damaged};

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
    // A pointer and its message are two rows; the search for the pointers is one more.
    let affordable = view.left.map_or(usize::MAX, |left| (left.get() as usize).saturating_sub(1) / 2);
    let count = Filled::messages_max(bounds).min(affordable.max(1));
    for (channel, seq) in pointers(view, user, after, count)? {
        let missing = || {
            let what = format!(
                "the inbox of user {user} at {} names {channel:?} {seq}, which is gone",
                through.next()
            );
            let (home, family) = (view.placement.channel_store(channel), view.history(channel));
            StoreError::corrupt_row(home, family, &key::message(channel, seq), what)
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

/// What the inbox holds from `after + 1` on, without a hole.
fn pointers(
    view: &View<'_>,
    user: UserId,
    after: InboxSeq,
    count: usize,
) -> Found<Vec<(protocol::ChannelId, protocol::Seq)>> {
    let place = (view.placement.user_store(user), Family::Inbox);
    let mut found = Vec::new();
    if after.0 == u64::MAX {
        return Ok(found);
    }
    let mut expected = after.next();
    let range = (&key::pointer(user, expected), &key::user(user));
    let scanned = view.scan_from(place, range, Direction::Rising, &mut |key, value| {
        let row = key::read_user_row(key).zip(value::read_pointer(value.bytes()));
        let ((_, _, at), pointer) = row.ok_or_else(|| damaged(place.0, place.1, key))?;
        if at != expected.0 {
            let what = format!("the inbox of user {user} has a hole: {expected} is missing before {at}");
            return Err(StoreError::corrupt_row(place.0, place.1, &key::pointer(user, expected), what).into());
        }
        expected = expected.next();
        found.push(pointer);
        Ok(found.len() < count)
    });
    match scanned {
        Err(Unread::Miss) if !found.is_empty() => {}
        scanned => scanned?,
    }
    Ok(found)
}
