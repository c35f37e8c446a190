//! Receipts: how far members have come is told to the others, and to the other devices of whoever it is. Changes of a
//! channel are gathered for a short while and go out as one frame for all, with the newest of each member; nothing of it
//! is stored as a message. What was offered and had no room is lost, and the next change, or who asks, makes up for it.
//!
//! How far messages were delivered is written here as well, lazily: with what is read next, or some seconds later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use protocol::body;
use protocol::body::marks::{GetReceipts, ReceiptItem, Receipts};
use protocol::commit::{PositionRow, Row};
use protocol::hop::{Hop, Offer, OfferedTo};
use protocol::{BayId, ChannelId, Code, Frame, Kind, Refusal, UserId};

use crate::channel::Submit;
use crate::idmap::{IdMap, Seeded};
use crate::input::Tick;
use crate::invariant::impossible;
use crate::limits::{
    CHANGES_MAX, DELIVERED_EVERY_MS, OFFERED_MEMBERS_MAX, RECEIPTS_A_TURN_MAX, RECEIPTS_GATHER_MS,
    RECEIPTS_SLOT_MS,
};
use crate::order::forbidden;
use crate::pipeline::After;
use crate::shard::Shard;

/// What has changed in channels and was not told or written yet.
#[derive(Debug)]
pub(crate) struct Changes {
    of: IdMap<ChannelId, OfChannel>,
    /// When the changes of a channel are told: rising, each channel once, since all wait equally long.
    tell: VecDeque<(Tick, ChannelId)>,
    /// The same for what was not written.
    write: VecDeque<(Tick, ChannelId)>,
    /// Users in all of them.
    users: usize,
}

#[derive(Debug, Default)]
struct OfChannel {
    /// Who has come further, with the batch that has to be stored before it is told; 0 for none.
    untold: BTreeMap<UserId, u64>,
    /// To whom more was delivered than is written.
    unwritten: BTreeSet<UserId>,
}

impl Changes {
    pub(crate) fn new(seed: Seeded) -> Self {
        Self { of: IdMap::with_hasher(seed), tell: VecDeque::new(), write: VecDeque::new(), users: 0 }
    }

    /// Whether something of the channel waits: then it stays in memory.
    pub(crate) fn holds(&self, channel: ChannelId) -> bool {
        self.of.contains_key(&channel)
    }

    /// Whether another change has room. One that has none is not told; what is read is durable all the same.
    pub(crate) fn has_room(&self) -> bool {
        self.users < CHANGES_MAX
    }

    /// When something is due.
    pub(crate) fn next(&self) -> Option<Tick> {
        let first = |queue: &VecDeque<(Tick, ChannelId)>| queue.front().map(|(at, _)| *at);
        first(&self.tell).into_iter().chain(first(&self.write)).min()
    }

    /// A member has come further.
    pub(crate) fn changed(&mut self, now: Tick, channel: ChannelId, user: UserId, batch: u64) {
        let change = self.of.entry(channel).or_default();
        if change.untold.is_empty() {
            self.tell.push_back((slot(now.after_ms(RECEIPTS_GATHER_MS)), channel));
        }
        match change.untold.get_mut(&user) {
            Some(waits_for) => *waits_for = batch.max(*waits_for),
            None => {
                change.untold.insert(user, batch);
                self.users += 1;
            }
        }
    }

    /// What was delivered to a member is not written yet.
    pub(crate) fn unwritten(&mut self, now: Tick, channel: ChannelId, user: UserId) {
        let change = self.of.entry(channel).or_default();
        if change.unwritten.is_empty() {
            self.write.push_back((slot(now.after_ms(DELIVERED_EVERY_MS)), channel));
        }
        self.users += usize::from(change.unwritten.insert(user));
    }

    /// It is, with something else of the member.
    pub(crate) fn written(&mut self, channel: ChannelId, user: UserId) {
        if let Some(change) = self.of.get_mut(&channel) {
            self.users -= usize::from(change.unwritten.remove(&user));
            self.tidy(channel);
        }
    }

    /// The batch with the newest change of a channel that is not told yet; 0 for none.
    fn newest(&self, channel: ChannelId) -> u64 {
        self.of.get(&channel).and_then(|change| change.untold.values().max().copied()).unwrap_or(0)
    }

    /// A channel whose changes are to be told now.
    fn next_to_tell(&mut self, now: Tick) -> Option<ChannelId> {
        self.tell.pop_front_if(|(at, _)| *at <= now).map(|(_, channel)| channel)
    }

    /// Takes those that may be told; the others are told some time later.
    fn take_untold(
        &mut self,
        now: Tick,
        channel: ChannelId,
        may_be_told: impl Fn(u64) -> bool,
    ) -> Vec<UserId> {
        let Some(change) = self.of.get_mut(&channel) else { return Vec::new() };
        let told = change.untold.extract_if(.., |_, batch| may_be_told(*batch));
        let told: Vec<UserId> = told.map(|(user, _)| user).collect();
        self.users -= told.len();
        if !change.untold.is_empty() {
            self.tell.push_back((slot(now.after_ms(RECEIPTS_GATHER_MS)), channel));
        }
        self.tidy(channel);
        told
    }

    /// Takes those whose rows are to be written now, of the next channel of which it is time, or of any.
    fn take_unwritten(&mut self, now: Option<Tick>) -> Option<(ChannelId, BTreeSet<UserId>)> {
        let is_due = |at: Tick| now.is_none_or(|now| at <= now);
        loop {
            let (_, channel) = self.write.pop_front_if(|(at, _)| is_due(*at))?;
            // What was written with something else has left this place empty, or to somebody who came later.
            let Some(change) = self.of.get_mut(&channel) else { continue };
            let unwritten = core::mem::take(&mut change.unwritten);
            self.users -= unwritten.len();
            self.tidy(channel);
            if !unwritten.is_empty() {
                return Some((channel, unwritten));
            }
        }
    }

    fn tidy(&mut self, channel: ChannelId) {
        let is_done = |change: &OfChannel| change.untold.is_empty() && change.unwritten.is_empty();
        if self.of.get(&channel).is_some_and(is_done) {
            self.of.remove(&channel);
        }
    }
}

/// Many channels share a turn.
fn slot(at: Tick) -> Tick {
    Tick(at.0.div_ceil(RECEIPTS_SLOT_MS) * RECEIPTS_SLOT_MS)
}

impl Shard {
    /// Tells and writes what it is time for.
    pub(crate) fn look_at_changes(&mut self) {
        // The rest makes the next turn at once.
        for _ in 0..RECEIPTS_A_TURN_MAX {
            let Some(channel) = self.changes.next_to_tell(self.now) else { break };
            self.tell_receipts(channel);
        }
        for _ in 0..RECEIPTS_A_TURN_MAX {
            let Some((channel, users)) = self.changes.take_unwritten(Some(self.now)) else { break };
            self.write_delivered(channel, &users);
        }
    }

    /// The server stops: what was delivered is written.
    pub(crate) fn write_all_delivered(&mut self) {
        while let Some((channel, users)) = self.changes.take_unwritten(None) {
            self.write_delivered(channel, &users);
        }
    }

    /// Nobody waits for it, and a device says it again once the next message comes. Not at all while the disk is nearly full.
    fn write_delivered(&mut self, id: ChannelId, users: &BTreeSet<UserId>) {
        if self.space_low {
            return self.channels.may_be_idle();
        }
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a channel left memory before what was delivered was written");
        };
        for user in users {
            let Some(row) = channel.position(*user).copied() else { continue };
            let row = Row::Position { channel: id, user: *user, row };
            channel.wrote(self.pipeline.position(BayId::of_channel(id), row));
        }
        self.channels.may_be_idle();
    }

    /// Tells who has come further in a channel.
    fn tell_receipts(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a channel left memory before its receipts were told");
        };
        let (pipeline, is_changing) = (&self.pipeline, channel.is_changing());
        // Only what is stored is visible, and only to those of whom it is stored that they are members.
        let may_be_told = |batch| !is_changing && pipeline.is_stored(batch);
        let users = self.changes.take_untold(self.now, id, may_be_told);
        // In a channel of many each is shown to its own devices alone: large ones will be told counts.
        let is_listed = !channel.is_large() && channel.member_count() <= OFFERED_MEMBERS_MAX;
        let positions = users.into_iter().filter_map(|user| Some((user, *channel.position(user)?)));
        let (shown, own): (Vec<_>, Vec<_>) =
            positions.partition(|(_, position)| is_listed && !position.hides);
        let everybody = if shown.is_empty() { None } else { Some(channel.everybody(self.placement)) };
        self.channels.may_be_idle();
        for (user, position) in own {
            let frame = receipts(0, id, vec![receipt(user, &position)], false);
            let home = self.placement.user_home(user);
            let (users, to) = (Arc::from([user]), OfferedTo::Themselves);
            self.offer_hop(home, Offer { users, frame, to });
        }
        let Some(everybody) = everybody else { return };
        let items = shown.iter().map(|(user, position)| receipt(*user, position)).collect();
        let frame = receipts(0, id, items, false);
        for (home, users) in everybody.iter() {
            let (users, frame) = (users.clone(), frame.clone());
            self.offer_hop(*home, Offer { users, frame, to: OfferedTo::WhoShows });
        }
    }

    /// Passes an offer on, unless much waits: it is the first thing that is dropped.
    pub(crate) fn offer_hop(&mut self, home: protocol::ShardId, offer: Offer) {
        if self.hops.is_pressed(home) || self.is_loaded() {
            self.counters.offers_dropped += 1;
            return;
        }
        self.hops.push(home, Hop::Offer(offer));
    }

    /// How far the members of a channel have come, for one who asks.
    pub(crate) fn get_receipts(&mut self, id: ChannelId, submit: Submit) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "receipts of a channel that is not in memory");
        };
        let viewer = submit.origin.user;
        if !channel.is_member(viewer) {
            return self.refuse(&submit, &forbidden());
        }
        if channel.is_large() {
            let text = "a large channel has no list of how far its members have come";
            return self.refuse(&submit, &Refusal::new(Code::Limit, "channel", text));
        }
        // It waits for what is on its way to the disk, as everything does that shows it.
        let waits_for = if channel.is_changing() { channel.dirty() } else { self.changes.newest(id) };
        if !self.pipeline.is_stored(waits_for) {
            let Submit { origin, frame, hides, .. } = submit;
            let again = After::Hop(Hop::Submit { origin, frame, hides });
            if let Some(again) = self.pipeline.after_number(waits_for, again) {
                self.after_stored(again);
            }
            return;
        }
        if channel.position(viewer).is_none() {
            return self.refuse(&submit, &forbidden());
        }
        let Some(get) = body::read::<GetReceipts>(&submit.frame) else {
            return impossible!(self, "a request for receipts that was not checked");
        };
        let members = channel.members_after(UserId(get.after));
        // Who shows nobody how far it comes is shown nobody's.
        let is_shown = |user, position: &PositionRow| user == viewer || !(submit.hides || position.hides);
        let shown = members.filter(|(user, member)| is_shown(*user, &member.position));
        let items = shown.map(|(user, member)| receipt(user, &member.position));
        let mut items: Vec<ReceiptItem> = items.take(get.limit as usize + 1).collect();
        let more = items.len() > get.limit as usize;
        items.truncate(get.limit as usize);
        let page = receipts(submit.frame.header().id, id, items, more);
        self.reply(submit.origin, Kind::GET_RECEIPTS, page);
    }
}

fn receipts(id: u64, channel: ChannelId, items: Vec<ReceiptItem>, more: bool) -> Frame {
    body::encode(id, &Receipts { channel: channel.0, items, more })
}

/// What is read was delivered, whatever is written of that.
fn receipt(user: UserId, position: &PositionRow) -> ReceiptItem {
    let PositionRow { read, delivered, .. } = position;
    ReceiptItem { user: user.0, read: read.0, delivered: delivered.max(read).0 }
}
