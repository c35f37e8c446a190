//! Queries -> answers. Reading order matters where a writer may be at work: a pointer or a log row is read before what
//! it names, because what it names was durable first.

mod about;
mod around;
mod floor;
mod history;
mod inbox;
pub(crate) mod joined;
mod large;
mod listing;
mod notes;
pub(crate) mod push;
mod replay;
pub(crate) mod stays;
mod talk;
mod trace;
mod unread;
mod written;

use protocol::commit::Interval;
use protocol::query::{Answer, Earlier, Ended, Member, PageBounds, Query, RuleRows};
use protocol::{ChannelId, InboxSeq, Seq, Stamp, UserId};

use crate::rows::{Found, Tier};
use crate::view::View;

/// Answers one query.
pub(crate) fn answer(view: &View<'_>, query: &Query) -> Found<Answer> {
    match *query {
        Query::Earlier { channel, ref users } => earlier(view, channel, users).map(Answer::Earlier),
        Query::User(user) => answer_user(view, user),
        Query::Members { channel, ref users } => large::members(view, channel, users).map(Answer::Members),
        Query::MembersPage { channel, after, limit } => {
            let (items, more) = large::page(view, channel, after, limit)?;
            Ok(Answer::MembersPage { items, more })
        }
        Query::Relation { user, other } => view.relation(user, other).map(Answer::Relation),
        Query::Channel(channel) => answer_channel(view, channel),
        Query::Window { channel, count, since_ms } => {
            history::window(view, channel, count, since_ms).map(Answer::Window)
        }
        Query::Inbox { user, after, page } => {
            let (frames, through) = inbox::page(view, user, after, page)?;
            Ok(Answer::Inbox { frames, through })
        }
        Query::History { channel, after, before, newest, page } => {
            history::page(view, channel, (after, before), newest, page).map(Answer::History)
        }
        Query::Joined { user, after, limit } => {
            let (items, more) = joined::page(view, user, after, limit)?;
            Ok(Answer::Joined { items, more })
        }
        Query::Listing { user, order, limit } => listing::page(view, user, order, limit).map(Answer::Listing),
        Query::Notes { user, hidden, about, after, page } => {
            notes::page(view, user, (hidden, about, after), page)
        }
        Query::Around { channel, user, ref readable, pivot, page } => {
            let (pivot, frames) = around::page(view, (channel, user), readable, pivot, page)?;
            Ok(Answer::Around { pivot, frames })
        }
        Query::Membership { channel, user } => {
            let intervals = view.membership(channel, user)?.intervals().0;
            Ok(Answer::Membership(intervals))
        }
        Query::Thread { channel, root, after, before, newest, counted, page } => {
            let asked = talk::Asked { channel, root, window: (after, before), newest, counted };
            talk::thread(view, asked, page)
        }
        Query::Target { channel, seq, user, edits } => about::target(view, (channel, seq), user, edits),
        Query::About { channel, from, through, user, who, page } => {
            about::page(view, about::Asked { channel, range: (from, through), user, who }, page)
        }
        Query::Mentions { user, before, limit } => talk::mentions(view, user, before, limit),
        Query::Jobs { bay, after, limit } => push::jobs(view, bay, after, limit),
        Query::Withdrawals { bay, after, limit } => push::withdrawals(view, bay, after, limit),
        Query::Push { user, channel } => {
            push::facts(view, user, channel).map(|facts| Answer::Push(Box::new(facts)))
        }
        Query::Floor { channel, cut } => floor::answer(view, channel, cut),
        Query::Written { channel, user, page } => {
            written::answer(view, channel, user, page).map(|found| Answer::Written(Box::new(found)))
        }
        Query::Trace { channel, seq, after, limit } => trace::page(view, (channel, seq), after, limit),
        Query::Replay { source, after, until, dests, page } => {
            let (deliveries, through) = replay::page(view, source, (after, until), dests, page)?;
            Ok(Answer::Replay { deliveries, through })
        }
    }
}

/// Whether a query may be tried on a shard's own thread, within so many rows. What is long by nature is not begun there, so
/// that a miss costs no second full read.
pub(crate) fn is_short(query: &Query, rows: u32) -> bool {
    match query {
        Query::User(_) | Query::Channel(_) | Query::Relation { .. } | Query::Inbox { .. } => true,
        // One message and three rows, and of a text that is recalled its edits.
        Query::Target { .. } => true,
        // A few rows of each.
        Query::Members { users, .. } => users.len() <= 4,
        Query::History { page, .. } => page.messages < rows,
        Query::Window { .. }
        | Query::Joined { .. }
        | Query::Membership { .. }
        | Query::Earlier { .. }
        | Query::MembersPage { .. }
        | Query::Thread { .. }
        | Query::Mentions { .. }
        | Query::About { .. }
        | Query::Listing { .. }
        | Query::Notes { .. }
        | Query::Around { .. }
        | Query::Jobs { .. }
        | Query::Withdrawals { .. }
        | Query::Push { .. }
        | Query::Floor { .. }
        | Query::Written { .. }
        | Query::Trace { .. }
        | Query::Replay { .. } => false,
    }
}

/// The tier of a read that is not short: what nobody reads again soon is not kept in the cache.
pub(crate) fn long_tier(query: &Query) -> Tier {
    match query {
        Query::Window { .. } | Query::Replay { .. } | Query::Written { .. } => Tier::Once,
        _ => Tier::Any,
    }
}

fn answer_user(view: &View<'_>, user: UserId) -> Found<Answer> {
    let account = view.account(user)?;
    let devices = view.devices(user)?;
    let inbox_head: InboxSeq = view.inbox_head(user)?;
    let presence = view.presence(user)?;
    let push = push::of_user(view, user)?;
    let followed = large::followed(view, user)?.into();
    Ok(Answer::User { account, devices, inbox_head, presence, push, followed })
}

fn answer_channel(view: &View<'_>, channel: ChannelId) -> Found<Answer> {
    let direct = channel.users().is_some();
    let row = if direct { None } else { view.channel(channel)? };
    let is_large = row.as_ref().is_some_and(|row| row.grown.is_some());
    let mut members = Vec::new();
    // The members of a large channel are never all in memory.
    if !is_large {
        view.each_membership(channel, &mut |user, membership| {
            // A direct channel has no stays: its two users are in it for ever.
            let forever = Member { joined: Seq(1), number: 1, position: membership.position, role: 0 };
            let member = if direct { Some(forever) } else { membership.present() };
            members.extend(member.map(|member| (user, member)));
        })?;
    }
    let newest = history::newest(view, channel)?;
    let (head, time_ms) = newest.unwrap_or_default();
    let rules = if direct { RuleRows::default() } else { view.rules(channel, !is_large)? };
    Ok(Answer::Channel { row, members, head, time_ms, rules })
}

/// What a channel remembers of users who are not in it: two seeks each, however often they were.
fn earlier(view: &View<'_>, channel: ChannelId, users: &[UserId]) -> Found<Vec<Earlier>> {
    let one = |user: &UserId| {
        let position = view.position(channel, *user)?;
        let Some(last) = view.last_stay(channel, *user)? else {
            return Ok(Earlier { position, ..Earlier::default() });
        };
        Ok(Earlier { stays: last.number, ended: ended(view, channel, *user, last.interval)?, position })
    };
    users.iter().map(one).collect()
}

/// How a stay ended. Who ended it is the sender of the message that did.
fn ended(view: &View<'_>, channel: ChannelId, user: UserId, stay: Interval) -> Found<Ended> {
    let Some(left) = stay.left else { return Ok(Ended::Not) };
    // Who ended a stay is told by its last message alone. Where that was purged, the user is taken to have left: who left is
    // invited, and not put back unasked.
    if view.floor(channel)?.hides(left) {
        return Ok(Ended::Left);
    }
    let stamp = view.message(channel, left)?.and_then(|message| message.read_stamp());
    let Some(Stamp { sender, .. }) = stamp else { return Ok(Ended::Not) };
    Ok(match sender {
        by if stay.left == Some(stay.joined) => Ended::Invited { by },
        sender if sender == user => Ended::Left,
        _ => Ended::Not,
    })
}

/// What a page holds so far, against its bounds.
struct Filled {
    bounds: PageBounds,
    messages: usize,
    bytes: usize,
}

impl Filled {
    fn new(bounds: PageBounds) -> Self {
        Self { bounds, messages: 0, bytes: 0 }
    }

    /// Most messages that can be taken.
    fn messages_max(bounds: PageBounds) -> usize {
        (bounds.messages as usize).max(1)
    }

    /// Takes what fits; the first thing always fits.
    fn take(&mut self, messages: usize, bytes: usize) -> bool {
        let (all, size) = (self.messages + messages, self.bytes.saturating_add(bytes));
        let fits = all <= self.bounds.messages as usize && size <= self.bounds.bytes;
        if !fits && self.messages > 0 {
            return false;
        }
        (self.messages, self.bytes) = (all, size);
        true
    }
}
