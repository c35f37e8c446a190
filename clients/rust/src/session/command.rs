//! What an app asks of its session. Every command is checked as the server would check it, so what is refused here
//! never crosses the wire; it can be given at any time, connected or not.

use protocol::body::marks::GetReceipts;
use protocol::body::message::{
    AddMembers, CreateGroup, GrowGroup, InviteMembers, JoinGroup, LeaveGroup, RemoveMember, RenameGroup,
    SendText, SetRole,
};
use protocol::body::session::Reauth;
use protocol::body::sync::{GetChannels, GetHistory, GetMembers, MarkRead};
use protocol::body::{Body, encode, ingest};
use protocol::limits::{GROUP_MEMBERS_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX, TOKEN_BYTES_MAX};
use protocol::{ChannelId, Code, Frame, Refusal, SendId, Seq, UserId};

use super::limits::{PENDING_MAX, REQUESTS_WAITING_MAX};
use super::{Reauthing, RequestId, Session, State};

/// Marks the session's request ids, so that they never meet a drawn send id.
const REQUEST_BIT: u64 = 1 << 63;
/// What a full session tells the app to wait.
const BUSY_RETRY_MS: u32 = 100;

impl Session {
    /// A send id that this session has not used: 1 to 2^63 - 1.
    pub fn new_send_id(&mut self) -> SendId {
        SendId((self.draw() & !REQUEST_BIT).max(1))
    }

    pub(super) fn new_request_id(&mut self) -> RequestId {
        self.requests_made += 1;
        RequestId(REQUEST_BIT | self.requests_made)
    }

    /// Sends text of 1 to 100,000 characters. `send_id`: a number of the app's own, else one is drawn.
    ///
    /// # Errors
    /// A limit, Conflict when `send_id` is pending with other content, Busy when too much is pending.
    pub fn send_text(
        &mut self,
        channel: ChannelId,
        text: &str,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        check_bytes("text", text, TEXT_BYTES_MAX)?;
        self.send(channel, &SendText { channel: channel.0, text: text.to_owned() }, send_id)
    }

    /// Creates a group with the user as owner; its channel is known at once. Order and repeats in `members` do not
    /// matter, and the user may be among them.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn create_group(
        &mut self,
        name: &str,
        members: &[UserId],
        send_id: Option<SendId>,
    ) -> Result<(SendId, ChannelId), Refusal> {
        check_bytes("name", name, NAME_BYTES_MAX)?;
        check_users(members)?;
        let send_id = send_id.unwrap_or_else(|| self.new_send_id());
        let channel = ChannelId::group(self.config.user, send_id);
        let mut members = rising(members);
        members.retain(|user| *user != self.config.user.0);
        let body = CreateGroup { channel: channel.0, name: name.to_owned(), members };
        Ok((self.send(channel, &body, Some(send_id))?, channel))
    }

    /// Adds users to a group.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn add_members(
        &mut self,
        channel: ChannelId,
        members: &[UserId],
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        check_users(members)?;
        self.send(channel, &AddMembers { channel: channel.0, members: rising(members) }, send_id)
    }

    /// Asks users whether they join a group: those who are not added unasked, and those who left it.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn invite_members(
        &mut self,
        channel: ChannelId,
        members: &[UserId],
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        check_users(members)?;
        self.send(channel, &InviteMembers { channel: channel.0, members: rising(members) }, send_id)
    }

    /// Joins a group to which this user was invited.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn join(&mut self, channel: ChannelId, send_id: Option<SendId>) -> Result<SendId, Refusal> {
        self.send(channel, &JoinGroup { channel: channel.0 }, send_id)
    }

    /// Makes a group that the user owns a large channel.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn grow(&mut self, channel: ChannelId, send_id: Option<SendId>) -> Result<SendId, Refusal> {
        self.send(channel, &GrowGroup { channel: channel.0 }, send_id)
    }

    /// Removes a user from a group.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn remove_member(
        &mut self,
        channel: ChannelId,
        member: UserId,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        self.send(channel, &RemoveMember { channel: channel.0, member: member.0 }, send_id)
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn leave(&mut self, channel: ChannelId, send_id: Option<SendId>) -> Result<SendId, Refusal> {
        self.send(channel, &LeaveGroup { channel: channel.0 }, send_id)
    }

    /// Gives a group another name.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn rename(
        &mut self,
        channel: ChannelId,
        name: &str,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        check_bytes("name", name, NAME_BYTES_MAX)?;
        self.send(channel, &RenameGroup { channel: channel.0, name: name.to_owned() }, send_id)
    }

    /// Gives a member another role: [`protocol::body::message::ROLE_MEMBER`] and so on.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn set_role(
        &mut self,
        channel: ChannelId,
        member: UserId,
        role: u8,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        self.send(channel, &SetRole { channel: channel.0, member: member.0, role }, send_id)
    }

    pub(super) fn send<T: Body>(
        &mut self,
        channel: ChannelId,
        body: &T,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        if self.pending.len() >= PENDING_MAX {
            let text = format!("{PENDING_MAX} sends wait for their acks");
            return Err(Refusal::retry(Code::Busy, BUSY_RETRY_MS, text));
        }
        let send_id = send_id.unwrap_or_else(|| self.new_send_id());
        if send_id == SendId(0) {
            return Err(Refusal::new(Code::Limit, "send_id", "0; a send id is 1 or more"));
        }
        let frame = checked(send_id.0, body)?;
        match self.pending.find(send_id) {
            // The app repeats itself: one of them is enough.
            Some(same) if *same == frame => return Ok(send_id),
            Some(_) => {
                let text = "this send id is pending with other content";
                return Err(Refusal::new(Code::Conflict, "send_id", text));
            }
            None => {
                self.has_sent(channel);
                self.pending.push(channel, frame);
            }
        }
        Ok(send_id)
    }

    /// Asks for messages with `after < seq < before`: `limit` (1 to 200) from the upper end when `newest`, else from
    /// the lower. `None` is an open end.
    ///
    /// # Errors
    /// A limit, or Busy when too many requests wait.
    pub fn history(
        &mut self,
        channel: ChannelId,
        after: Option<Seq>,
        before: Option<Seq>,
        limit: u32,
        newest: bool,
    ) -> Result<RequestId, Refusal> {
        let after = after.map_or(0, |seq| seq.0);
        let before = before.map_or(protocol::limits::U53_MAX, |seq| seq.0);
        self.request(&GetHistory { channel: channel.0, after, before, limit, newest })
    }

    /// Asks for up to `limit` (1 to 500) members with a larger id than `after`.
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn members(&mut self, channel: ChannelId, after: UserId, limit: u32) -> Result<RequestId, Refusal> {
        self.request(&GetMembers { channel: channel.0, after: after.0, limit })
    }

    /// Asks for up to `limit` (1 to 500) of the user's channels with a larger id than `after`.
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn channels(&mut self, after: ChannelId, limit: u32) -> Result<RequestId, Refusal> {
        self.request(&GetChannels { after: after.0, limit })
    }

    /// Says that the user has read the channel up to and with `seq`. Answered by [`super::Event::Done`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn mark_read(&mut self, channel: ChannelId, seq: Seq) -> Result<RequestId, Refusal> {
        let request = self.request(&MarkRead { channel: channel.0, seq: seq.0 })?;
        self.marks.read(self.now_ms, channel, seq);
        Ok(request)
    }

    /// Asks how far up to `limit` (1 to 500) members of a channel with a larger id than `after` have come.
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn receipts(&mut self, channel: ChannelId, after: UserId, limit: u32) -> Result<RequestId, Refusal> {
        self.request(&GetReceipts { channel: channel.0, after: after.0, limit })
    }

    pub(super) fn request<T: Body>(&mut self, body: &T) -> Result<RequestId, Refusal> {
        if self.requests.len() >= REQUESTS_WAITING_MAX {
            let text = format!("{REQUESTS_WAITING_MAX} requests wait for their answers");
            return Err(Refusal::retry(Code::Busy, BUSY_RETRY_MS, text));
        }
        let id = self.new_request_id();
        self.requests.push(checked(id.0, body)?);
        Ok(id)
    }

    /// Shows a fresh token that lasts `lifetime_ms` more. Without a connection there is nothing to do: the next
    /// [`Session::connected`] takes it.
    pub fn reauth(&mut self, token: &str, lifetime_ms: u64) {
        if !matches!(self.state, State::CatchingUp | State::Live) || token.len() > TOKEN_BYTES_MAX {
            return;
        }
        let id = self.new_request_id().0;
        self.control.push_back(encode(id, &Reauth { token: token.to_owned() }));
        self.reauth = Some(Reauthing { id, lifetime_ms });
    }
}

fn rising(users: &[UserId]) -> Vec<u64> {
    let mut ids: Vec<u64> = users.iter().map(|user| user.0).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Before the body is built: a frame has a largest size.
pub(super) fn check_bytes(path: &str, text: &str, max: usize) -> Result<(), Refusal> {
    if text.len() <= max {
        return Ok(());
    }
    let text = format!("{} bytes; at most {max} are allowed", text.len());
    Err(Refusal::new(Code::Limit, path, text))
}

fn check_users(users: &[UserId]) -> Result<(), Refusal> {
    if users.len() <= GROUP_MEMBERS_MAX {
        return Ok(());
    }
    let text = format!("{} users; at most {GROUP_MEMBERS_MAX} are allowed", users.len());
    Err(Refusal::new(Code::Limit, "members", text))
}

fn checked<T: Body>(id: u64, body: &T) -> Result<Frame, Refusal> {
    let frame = encode(id, body);
    ingest::<T>(&frame)?;
    Ok(frame)
}
