//! The channels that a user is or was in, and when.

use protocol::commit::Interval;
use protocol::{ChannelId, Seq, UserId};

use super::joined;
use crate::rows::Found;
use crate::view::View;

/// Channels, each with when its user was in it.
pub type Stays = Vec<(ChannelId, Vec<Interval>)>;

/// Those above `after`, rising; whether more follow. The stays are read at the channels: they say at once who has left, and
/// the user's own list says only which channels to ask.
pub(crate) fn page(view: &View<'_>, user: UserId, after: ChannelId, limit: usize) -> Found<(Stays, bool)> {
    let Some(from) = after.0.checked_add(1).map(ChannelId) else { return Ok((Vec::new(), false)) };
    let mut listed = joined::listed(view, user, from, limit)?;
    let more = listed.len() > limit;
    listed.truncate(limit);
    let one = |channel| Ok((channel, of(view, user, channel)?));
    let stays: Found<Vec<_>> = listed.iter().map(|listed| one(listed.channel)).collect();
    Ok((stays?, more))
}

/// In one channel; none for a stranger.
pub(crate) fn of(view: &View<'_>, user: UserId, channel: ChannelId) -> Found<Vec<Interval>> {
    Ok(match channel.users() {
        // Its two users are in it for ever.
        Some((a, b)) if a == user || b == user => vec![Interval { joined: Seq(1), left: None }],
        Some(_) => Vec::new(),
        None => view.membership(channel, user)?.intervals().0,
    })
}
