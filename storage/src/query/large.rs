//! Large channels: members one by one and in pages, and which of them a user follows.

use protocol::commit::FOLLOWED_TAG;
use protocol::query::Member;
use protocol::{ChannelId, UserId};

use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::view::{View, damaged};

/// Users as members now, each by its own rows: two or three, however many members there are.
pub(super) fn members(view: &View<'_>, channel: ChannelId, users: &[UserId]) -> Found<Vec<Option<Member>>> {
    users.iter().map(|user| Ok(view.membership(channel, *user)?.present())).collect()
}

/// Present members behind `after`, rising, and whether more follow.
pub(super) fn page(
    view: &View<'_>,
    channel: ChannelId,
    after: UserId,
    limit: u32,
) -> Found<(Vec<(UserId, Member)>, bool)> {
    let limit = (limit as usize).max(1);
    let mut items = Vec::new();
    let Some(from) = after.0.checked_add(1).map(UserId) else { return Ok((items, false)) };
    view.each_membership_from(channel, from, &mut |user, membership| {
        items.extend(membership.present().map(|member| (user, member)));
        items.len() <= limit
    })?;
    let more = items.len() > limit;
    items.truncate(limit);
    Ok((items, more))
}

/// The large channels of a user's own list, rising.
pub(super) fn followed(view: &View<'_>, user: UserId) -> Found<Vec<ChannelId>> {
    let (prefix, mut channels) = (key::note(user, FOLLOWED_TAG), Vec::new());
    view.scan_from(Family::Notes, (&prefix, &prefix), Direction::Rising, &mut |key, _| {
        let channel = key::read_note(key).and_then(|(.., rest)| key::read_note_place(rest));
        let (channel, _) = channel.ok_or_else(|| damaged(Family::Notes, key))?;
        channels.push(channel);
        Ok(true)
    })?;
    Ok(channels)
}
