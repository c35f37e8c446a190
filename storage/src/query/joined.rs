//! Pages of a user's own list. Names and heads stand with the channels, in other stores.

use protocol::query::JoinedItem;
use protocol::{ChannelId, Seq, UserId};

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
    let more = listed.len() > limit as usize;
    listed.truncate(limit as usize);
    let mut items = Vec::with_capacity(listed.len());
    for one in listed {
        let group = if one.channel.users().is_some() { None } else { view.channel(one.channel)? };
        items.push(JoinedItem {
            channel: one.channel,
            joined: one.joined.unwrap_or_default(),
            left: one.left_since(),
            read: one.read,
            head: view.head(one.channel)?,
            name: group.map(|row| row.name).unwrap_or_default(),
        });
    }
    Ok((items, more))
}

/// The first `limit` channels and, if there is one, the next. A read mark alone is not yet a row of the list.
fn listed(view: &View<'_>, user: UserId, from: ChannelId, limit: usize) -> Found<Vec<Listed>> {
    let place = (view.placement.user_store(user), Family::Joined);
    let mut listed: Vec<Listed> = Vec::new();
    let range = (&key::joined(user, from), &key::user(user));
    view.scan_from(place, range, Direction::Rising, &mut |key, value| {
        let row = key::read_joined(key).zip(value::read_number(value.bytes()));
        let ((_, _, channel, tag), seq) = row.ok_or_else(|| damaged(place.0, place.1, key))?;
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
