//! Pages of a user's own list. Names and heads stand with the channels, in other bays.

use protocol::query::JoinedItem;
use protocol::{ChannelId, Seq, UserId};

use super::unread::{self, Budget};
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::value;
use crate::view::{Listed, View, damaged};

/// The channels above `after`, rising; whether more follow.
pub(super) fn page(
    view: &View<'_>,
    user: UserId,
    after: ChannelId,
    limit: u32,
) -> Found<(Vec<JoinedItem>, bool)> {
    let Some(from) = after.0.checked_add(1).map(ChannelId) else { return Ok((Vec::new(), false)) };
    let mut listed = listed(view, user, from, limit as usize)?;
    let mut more = listed.len() > limit as usize;
    listed.truncate(limit as usize);
    let mut items = Vec::with_capacity(listed.len());
    let mut budget = Budget::of_a_page();
    for one in &listed {
        if !budget.is_enough() {
            more = true;
            break;
        }
        items.push(item(view, user, one, &mut budget)?);
    }
    Ok((items, more))
}

/// One channel as its user may see it. Name and head are read before the stay: what the stay says of its end is then at
/// least as new, so that no later name is shown to who has left, however far the user's home is behind.
pub(super) fn item(view: &View<'_>, user: UserId, listed: &Listed, budget: &mut Budget) -> Found<JoinedItem> {
    let (channel, joined) = (listed.channel, listed.joined.unwrap_or_default());
    let is_direct = channel.users().is_some();
    let group = if is_direct { None } else { view.channel(channel)? };
    let head = view.head(channel)?;
    let stay = if is_direct { None } else { view.stay(channel, user, joined)? };
    let left = stay.as_ref().map_or_else(|| listed.left_since(), |stay| stay.interval.left);
    let name = match (left, stay.and_then(|stay| stay.name)) {
        (None, _) => group.map(|row| row.name),
        (Some(_), name) => name,
    };
    let read = view.position(channel, user)?.read;
    let head = left.unwrap_or(head);
    let floor = read.max(Seq(joined.0.saturating_sub(1)));
    // What was purged is nothing to read.
    let floor = if floor < head { floor.max(view.floor(channel)?.last()) } else { floor };
    let unread = unread::count(view, (channel, user), (floor, head), budget)?;
    Ok(JoinedItem { channel, joined, left, read, unread, head, name: name.unwrap_or_default() })
}

/// The first `limit` channels and, if there is one, the next. The end of a stay alone is not a row of the list.
pub(crate) fn listed(view: &View<'_>, user: UserId, from: ChannelId, limit: usize) -> Found<Vec<Listed>> {
    let family = Family::Joined;
    let mut listed: Vec<Listed> = Vec::new();
    let range = (&key::joined(user, from), &key::user(user));
    view.scan_from(family, range, Direction::Rising, &mut |key, value| {
        let row = key::read_joined(key).zip(value::read_number(value.bytes()));
        let ((_, _, channel, tag), seq) = row.ok_or_else(|| damaged(family, key))?;
        if listed.last().is_none_or(|last| last.channel != channel) {
            listed.pop_if(|last| last.joined.is_none());
            // One above the limit is kept to know that there is more, and only its first row is needed.
            if listed.len() > limit {
                return Ok(false);
            }
            listed.push(Listed::new(channel));
        }
        if let Some(last) = listed.last_mut() {
            last.set(tag, Seq(seq));
        }
        Ok(true)
    })?;
    listed.pop_if(|last| last.joined.is_none());
    Ok(listed)
}
