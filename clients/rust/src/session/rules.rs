//! What is laid down for groups: mutes, bans, slow mode; and asking what holds now.

use protocol::body::rules::{
    BanMember, GetRules, MuteMember, Rules as Page, SanctionItem, SetSlow, UnbanMember,
};
use protocol::{ChannelId, Refusal, SendId, UserId};

use super::Session;
use super::event::{Event, RequestId};

/// A page of what is laid down for a group. A plain member is told of itself only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The group.
    pub channel: ChannelId,
    /// A plain member sends a text only so many seconds after its last; 0 for no wait.
    pub interval_s: u32,
    /// Who is muted or banned, rising by user.
    pub items: Vec<SanctionItem>,
    /// Whether more follow behind the last.
    pub more: bool,
}

impl Session {
    /// Lets a member of a group read and not send, for so many seconds; 0 lifts it, and
    /// [`protocol::body::rules::MUTED_FOR_EVER_S`] has no end.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn mute_member(
        &mut self,
        channel: ChannelId,
        member: UserId,
        for_s: u32,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        self.send(channel, &MuteMember { channel: channel.0, member: member.0, for_s }, send_id)
    }

    /// Removes a user from a group for good: nobody can add or invite the user until [`Self::unban_member`].
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn ban_member(
        &mut self,
        channel: ChannelId,
        member: UserId,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        self.send(channel, &BanMember { channel: channel.0, member: member.0 }, send_id)
    }

    /// Lets a user who was banned come back, when somebody adds or invites it.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn unban_member(
        &mut self,
        channel: ChannelId,
        member: UserId,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        self.send(channel, &UnbanMember { channel: channel.0, member: member.0 }, send_id)
    }

    /// Lets a plain member of a group send a text only so many seconds after its last; 0 for no wait.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn set_slow(
        &mut self,
        channel: ChannelId,
        interval_s: u32,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        self.send(channel, &SetSlow { channel: channel.0, interval_s }, send_id)
    }

    /// Asks what is laid down for a group, with up to `limit` (1 to 500) users with a larger id than `after`. Answered by
    /// [`Event::Rules`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn rules(&mut self, channel: ChannelId, after: UserId, limit: u32) -> Result<RequestId, Refusal> {
        self.request(&GetRules { channel: channel.0, after: after.0, limit })
    }
}

pub(super) fn told(request: RequestId, page: Page) -> Event {
    let Page { channel, interval_s, items, more } = page;
    Event::Rules { request, rules: Rules { channel: ChannelId(channel), interval_s, items, more } }
}
