//! GET_RULES: what is laid down for a group, told to its members.

use protocol::UserId;
use protocol::body;
use protocol::body::message::ROLE_ADMIN;
use protocol::body::rules::{GetRules, Rules, SanctionItem};
use protocol::hop::Hop;
use protocol::{ChannelId, Kind};

use crate::channel::Submit;
use crate::invariant::impossible;
use crate::order::forbidden;
use crate::pipeline::After;
use crate::shard::Shard;

impl Shard {
    /// An owner or admin is told of everybody, a plain member of itself.
    pub(crate) fn get_rules(&mut self, id: ChannelId, submit: Submit) {
        let Some(channel) = self.channels.get(&id) else {
            return impossible!(self, "rules of a channel that is not in memory");
        };
        let user = submit.origin.user;
        if !channel.is_member(user) {
            return self.refuse(&submit, &forbidden());
        }
        if channel.is_changing() {
            // The answer waits for the change.
            let (dirty, origin) = (channel.dirty(), submit.origin);
            let hop = Hop::Submit { origin, frame: submit.frame, hides: submit.hides };
            if let Some(After::Hop(hop)) = self.pipeline.after_number(dirty, After::Hop(hop)) {
                self.hops.push(self.config.shard, hop);
            }
            return;
        }
        let Some(get) = body::read::<GetRules>(&submit.frame) else {
            return impossible!(self, "a request for rules that was not checked");
        };
        let sees_all = channel.role(user).is_some_and(|role| role >= ROLE_ADMIN);
        let (now_ms, limit) = (channel.now_ms(self.wall_ms), get.limit as usize);
        let items = channel.rules().items_after(UserId(get.after), now_ms);
        let seen = items.filter(|item| sees_all || item.user == user.0);
        let mut items: Vec<SanctionItem> = seen.take(limit + 1).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let rules = Rules { channel: id.0, interval_s: channel.rules().interval_s(), items, more };
        self.reply(submit.origin, Kind::GET_RULES, body::encode(submit.frame.header().id, &rules));
    }
}
