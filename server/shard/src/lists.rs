//! Lists that a device asks for in pages: the channels of its user, and the members of a channel.

use protocol::body;
use protocol::body::sync::{ChannelItem, Channels, GetChannels, GetMembers, MemberItem, MembersV2};
use protocol::hop::{Hop, Origin};
use protocol::query::{JoinedItem, Member, Query};
use protocol::{ChannelId, Frame, Kind, Refusal, UserId};

use crate::asks::Asked;
use crate::channel::Submit;
use crate::invariant::impossible;
use crate::order::forbidden;
use crate::pipeline::After;
use crate::read::many_pages;
use crate::session::SessionId;
use crate::shard::Shard;

impl Shard {
    pub(crate) fn get_channels(
        &mut self,
        session_id: SessionId,
        origin: Origin,
        frame: &Frame,
    ) -> Result<(), Refusal> {
        let get = body::ingest::<GetChannels>(frame)?;
        if !self.asks.has_page_room() {
            return Err(many_pages());
        }
        self.reserve_page(session_id, frame)?;
        let after = ChannelId(get.after.to_native());
        let query = Query::Joined { user: origin.user, after, limit: get.limit.to_native() };
        self.ask_own(origin.user, Asked::Channels { origin, id: frame.header().id }, query);
        Ok(())
    }

    pub(crate) fn channels_page(&mut self, origin: Origin, id: u64, items: Vec<JoinedItem>, more: bool) {
        let items = items.into_iter().map(channel_item).collect();
        let page = body::encode(id, &Channels { items, more });
        self.answer(origin, Kind::GET_CHANNELS, page.into_bytes());
    }

    pub(crate) fn ask_own(&mut self, id: UserId, asked: Asked, query: Query) {
        self.write_pointers_of(id);
        let Some(user) = self.users.get(&id) else {
            return impossible!(self, "a request of a user that is not in memory");
        };
        self.ask_after(user.dirty, asked, query);
    }

    pub(crate) fn get_members(&mut self, id: ChannelId, submit: Submit) {
        let Some(channel) = self.channels.get(&id) else {
            return impossible!(self, "members of a channel that is not in memory");
        };
        if !channel.is_member(submit.origin.user) {
            return self.refuse(&submit, &forbidden());
        }
        if channel.is_large() {
            return self.ask_members(id, submit);
        }
        if channel.is_changing() {
            // The list waits for the change.
            let (dirty, origin) = (channel.dirty(), submit.origin);
            let hop = Hop::Submit { origin, frame: submit.frame, hides: submit.hides };
            if let Some(After::Hop(hop)) = self.pipeline.after_number(dirty, After::Hop(hop)) {
                self.hops.push(self.config.shard, hop);
            }
            return;
        }
        let Some(get) = body::read::<GetMembers>(&submit.frame) else {
            return impossible!(self, "a request for members that was not checked");
        };
        let members = channel.members_after(UserId(get.after));
        let items = members.take(get.limit as usize + 1).map(|(user, member)| member_item(user, member));
        let mut items: Vec<MemberItem> = items.collect();
        let more = items.len() > get.limit as usize;
        items.truncate(get.limit as usize);
        let members = MembersV2 { total: channel.total(), channel: id.0, items, more };
        self.reply(submit.origin, Kind::GET_MEMBERS, body::encode(submit.frame.header().id, &members));
    }
}

pub(crate) fn member_item(user: UserId, member: &Member) -> MemberItem {
    MemberItem { user: user.0, joined: member.joined.0, role: member.role }
}

pub(crate) fn channel_item(item: JoinedItem) -> ChannelItem {
    ChannelItem {
        channel: item.channel.0,
        head: item.head.0,
        read: item.read.0,
        unread: item.unread,
        member: item.left.is_none(),
        name: item.name,
    }
}
