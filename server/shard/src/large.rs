//! Large channels at their home: whom the store is asked for before a frame is served, pages of members, and which shards are
//! told of messages. A message goes once to each shard that follows the channel, whatever the number of members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::body;
use protocol::body::sync::{GetMembers, MembersV2};
use protocol::hop::{Hop, Origin};
use protocol::query::{Member, Query};
use protocol::{ChannelId, Frame, Kind, ShardId, UserId};

use crate::asks::Asked;
use crate::channel::{Lookup, Submit};
use crate::idmap::{IdMap, Seeded};
use crate::invariant::impossible;
use crate::lists::member_item;
use crate::order::busy;
use crate::pipeline::Committing;
use crate::read::{cannot_read, many_pages};
use crate::shard::Shard;

/// Which shards are told of messages of the large channels of this home.
#[derive(Debug)]
pub(crate) struct Followers {
    of: IdMap<ChannelId, Vec<ShardId>>,
    /// Whom a hop could not be sent for want of room: they are told to look at the history.
    missed: BTreeSet<(ShardId, ChannelId)>,
}

impl Followers {
    pub(crate) fn new(seed: Seeded) -> Self {
        Self { of: IdMap::with_hasher(seed), missed: BTreeSet::new() }
    }

    fn follow(&mut self, channel: ChannelId, by: ShardId) {
        let shards = self.of.entry(channel).or_default();
        if !shards.contains(&by) {
            shards.push(by);
        }
    }

    fn unfollow(&mut self, channel: ChannelId, by: ShardId) {
        self.missed.remove(&(by, channel));
        let Some(shards) = self.of.get_mut(&channel) else { return };
        shards.retain(|shard| *shard != by);
        if shards.is_empty() {
            self.of.remove(&channel);
        }
    }
}

/// Messages of large channels of one batch that followers are told of.
#[derive(Debug, Default)]
pub(crate) struct Told(BTreeMap<ChannelId, Vec<Frame>>);

impl Told {
    /// Takes a stored message, if it is one of these.
    pub(crate) fn add(&mut self, message: &Committing) {
        if message.grown.is_some_and(|since| message.seq > since) {
            self.0.entry(message.channel).or_default().push(message.frame.clone());
        }
    }
}

impl Shard {
    /// A shard follows a channel from now on, or says so again; or it follows it no more.
    pub(crate) fn follow_by(&mut self, channel: ChannelId, by: ShardId, on: bool) {
        if on {
            self.followers.follow(channel, by);
            self.hops.push(by, Hop::Followed { channel });
        } else {
            self.followers.unfollow(channel, by);
        }
    }

    /// Stored messages of large channels: one hop for each channel and shard that follows it.
    pub(crate) fn tell_followers(&mut self, told: Told) {
        for (channel, frames) in told.0 {
            let Some(shards) = self.followers.of.get(&channel) else { continue };
            let frames: Arc<[Frame]> = frames.into();
            for shard in shards {
                if self.hops.is_full(*shard) {
                    self.counters.tells_dropped += 1;
                    self.followers.missed.insert((*shard, channel));
                } else {
                    self.hops.push(*shard, Hop::Tell { channel, frames: frames.clone() });
                }
            }
        }
    }

    /// Tells those who missed something to look at the history, once there is room.
    pub(crate) fn tell_missed(&mut self) {
        let hops = &self.hops;
        let told: Vec<_> = self.followers.missed.extract_if(.., |(shard, _)| !hops.is_full(*shard)).collect();
        for (shard, channel) in told {
            self.hops.push(shard, Hop::Followed { channel });
        }
    }

    /// Gives a frame back when everybody is known whom it concerns; else it waits for the store. The store is asked behind
    /// everything that is on its way there.
    pub(crate) fn look_up(&mut self, id: ChannelId, submit: Submit) -> Option<Submit> {
        let Some(channel) = self.channels.get_mut(&id) else {
            impossible!(self, "a frame for a channel that is not in memory");
            return None;
        };
        let user = submit.origin.user;
        let may_forget = !self.changes.holds(id);
        match channel.look_up(submit, may_forget) {
            Lookup::Known(submit) => return Some(*submit),
            Lookup::Waits => {}
            Lookup::Full(submit) => self.refuse(&submit, &busy()),
            Lookup::Ask(users) => {
                let (users, dirty): (Arc<[UserId]>, _) = (users.into(), channel.dirty());
                let asked = Asked::Members { channel: id, user, users: users.clone() };
                self.ask_after(dirty, asked, Query::Members { channel: id, users });
            }
        }
        None
    }

    /// The store has said who of them is a member; `None` when it cannot be read now. Who waited for it is served, and those
    /// behind it, who may have to wait again.
    pub(crate) fn members_read(
        &mut self,
        id: ChannelId,
        user: UserId,
        users: &[UserId],
        members: Option<Vec<Option<Member>>>,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a large channel left memory while members were looked for");
        };
        let is_read = members.is_some();
        channel.members_read(found(users, members));
        let mut waiting = channel.end_look_up(user).into_iter();
        self.channels.may_be_idle();
        if !is_read {
            return waiting.for_each(|submit| self.refuse(&submit, &cannot_read()));
        }
        // Who was looked for is known now, also as no member: the first does not ask again.
        if let Some(first) = waiting.next() {
            self.serve_known(id, first);
        }
        for submit in waiting {
            self.serve_submit(id, submit);
        }
    }

    /// What an opening asked of the store is judged by the roles of these: who sent what somebody else would recall, who has
    /// invited. Those whom memory does not know are asked for first.
    pub(crate) fn judge_by(&mut self, id: ChannelId, number: u64, users: Vec<UserId>) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let users: Arc<[UserId]> = channel.unknown(users).into();
        if users.is_empty() {
            return self.store_has_said(id, number);
        }
        channel.asks_for_members();
        let dirty = channel.dirty();
        let asked = Asked::Roles { channel: id, number, users: users.clone() };
        self.ask_after(dirty, asked, Query::Members { channel: id, users });
    }

    pub(crate) fn roles_read(
        &mut self,
        id: ChannelId,
        number: u64,
        users: &[UserId],
        members: Option<Vec<Option<Member>>>,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a large channel left memory while roles were looked for");
        };
        let is_read = members.is_some();
        channel.members_read(found(users, members));
        self.channels.may_be_idle();
        match is_read {
            true => self.store_has_said(id, number),
            false => self.give_up_opening(id, number),
        }
    }

    /// Asks for a page of the members of a large channel, as of everything that was said so far.
    pub(crate) fn ask_members(&mut self, id: ChannelId, submit: Submit) {
        let Some((channel, get)) = self.channels.get(&id).zip(body::read::<GetMembers>(&submit.frame)) else {
            return impossible!(self, "a request for members that was not checked, or of no channel");
        };
        if !self.asks.has_page_room() {
            return self.refuse(&submit, &many_pages());
        }
        let (origin, request, total) = (submit.origin, submit.frame.header().id, channel.total());
        let asked = Asked::MembersPage { origin, id: request, channel: id, total };
        let query = Query::MembersPage { channel: id, after: UserId(get.after), limit: get.limit };
        self.ask_after(channel.dirty(), asked, query);
    }

    pub(crate) fn members_page(
        &mut self,
        (origin, id): (Origin, u64),
        (channel, total): (ChannelId, u32),
        items: &[(UserId, Member)],
        more: bool,
    ) {
        let items = items.iter().map(|(user, member)| member_item(*user, member)).collect();
        let page = MembersV2 { total, channel: channel.0, items, more };
        self.reply(origin, Kind::GET_MEMBERS, body::encode(id, &page));
    }
}

/// Those of the users who are members.
fn found(users: &[UserId], members: Option<Vec<Option<Member>>>) -> impl Iterator<Item = (UserId, Member)> {
    let found = users.iter().copied().zip(members.into_iter().flatten());
    found.filter_map(|(user, member)| Some((user, member?)))
}
