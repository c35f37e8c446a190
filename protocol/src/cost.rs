//! What a frame of a device costs, in tokens: a small frame costs one, and more the more work it makes. The server counts
//! with this and a client paces itself with it, so that an honest client is never refused for its pace.

use crate::body::about::GetAbout;
use crate::body::list::{GetChannelsV2, ORDER_ID};
use crate::body::marks::GetReceipts;
use crate::body::message::Change;
use crate::body::own::GetNotes;
use crate::body::presence::{GetPresence, Watch};
use crate::body::rules::GetRules;
use crate::body::sync::{GetChannels, GetHistory, GetMembers};
use crate::body::talk::{GetMentions, GetThread, MENTION_ALL, SendTextV2, Talk};
use crate::body::{Body, access};
use crate::frame::Frame;
use crate::kind::Kind;
use crate::limits::{
    FRAME_BYTES_MAX, GROUP_MEMBERS_MAX, LIST_ITEMS_MAX, LOOKED_AT_MAX, MENTIONS_MAX, MENTIONS_PAGE_MAX,
    PAGE_MESSAGES_MAX, WATCHED_MAX,
};

/// So many bytes of a body cost one more token. Welcome says the number that is in force.
pub const TOKEN_BYTES: u32 = 4096;
/// So many messages or rows that a page may have cost one more token.
pub const TOKEN_PAGE_ITEMS: u32 = 8;
/// So many users who are watched or looked at cost one more token: each is looked up at its home, and may be read there.
pub const TOKEN_LOOKS: usize = 4;

/// What a draft costs besides: each is a message for ever, and typing makes many.
pub const TOKEN_DRAFT: u32 = 4;
/// What a list of channels in the order of time costs besides: the inbox is walked.
pub const TOKEN_WALK: u32 = 16;
/// More of a subscription for push: its key is a point that is checked to be on the curve.
pub const TOKEN_SUBSCRIBE: u32 = 16;
/// The most that one frame can cost.
pub const FRAME_TOKENS_MAX: u32 =
    1 + FRAME_BYTES_MAX as u32 / TOKEN_BYTES + GROUP_MEMBERS_MAX as u32 + LIST_ITEMS_MAX / TOKEN_PAGE_ITEMS;

/// What a device pays for a frame. What cannot be read is refused and names nobody: its bytes are paid.
#[must_use]
pub fn tokens(frame: &Frame) -> u32 {
    let bytes = u32::try_from(frame.body().len()).unwrap_or(u32::MAX) / TOKEN_BYTES;
    1 + bytes + named(frame)
}

/// What the body names: members to be looked for, messages and rows to be read.
fn named(frame: &Frame) -> u32 {
    let page = |limit: u32, most: u32| limit.min(most).div_ceil(TOKEN_PAGE_ITEMS);
    let named = match frame.kind() {
        Kind::GET_HISTORY => {
            return value::<GetHistory>(frame, |wire| page(wire.limit.to_native(), PAGE_MESSAGES_MAX));
        }
        Kind::GET_MEMBERS => {
            return value::<GetMembers>(frame, |wire| page(wire.limit.to_native(), LIST_ITEMS_MAX));
        }
        Kind::GET_CHANNELS => {
            let walk = |wire: &<GetChannelsV2 as rkyv::Archive>::Archived| {
                if wire.order == ORDER_ID { 0 } else { TOKEN_WALK }
            };
            let is_newer = frame.header().version >= GetChannelsV2::VERSION;
            let walk = if is_newer { value::<GetChannelsV2>(frame, walk) } else { 0 };
            return walk + value::<GetChannels>(frame, |wire| page(wire.limit.to_native(), LIST_ITEMS_MAX));
        }
        Kind::WATCH => {
            return value::<Watch>(frame, |wire| looks(wire.users.len(), WATCHED_MAX));
        }
        Kind::GET_PRESENCE => {
            return value::<GetPresence>(frame, |wire| looks(wire.users.len(), LOOKED_AT_MAX));
        }
        Kind::GET_THREAD => {
            return value::<GetThread>(frame, |wire| page(wire.limit.to_native(), PAGE_MESSAGES_MAX));
        }
        Kind::GET_ABOUT => {
            return value::<GetAbout>(frame, |wire| page(wire.limit.to_native(), PAGE_MESSAGES_MAX));
        }
        Kind::GET_MENTIONS => {
            return value::<GetMentions>(frame, |wire| page(wire.limit.to_native(), MENTIONS_PAGE_MAX));
        }
        // Each mention is a row; all members are as many as can be named.
        Kind::SEND_TEXT if Talk::may_be_in(frame) => {
            let most = MENTIONS_MAX as u32;
            return value::<SendTextV2>(frame, |wire| {
                let is_all = wire.mention_flags & MENTION_ALL != 0;
                page(if is_all { most } else { u32::try_from(wire.mentions.len()).unwrap_or(most) }, most)
            });
        }
        Kind::GET_RECEIPTS => {
            return value::<GetReceipts>(frame, |wire| page(wire.limit.to_native(), LIST_ITEMS_MAX));
        }
        Kind::GET_RULES => {
            return value::<GetRules>(frame, |wire| page(wire.limit.to_native(), LIST_ITEMS_MAX));
        }
        Kind::GET_NOTES => {
            return value::<GetNotes>(frame, |wire| page(wire.limit.to_native(), LIST_ITEMS_MAX));
        }
        Kind::SET_DRAFT => return TOKEN_DRAFT,
        Kind::SUBSCRIBE_PUSH => return TOKEN_SUBSCRIBE,
        // Asked before the frame is checked, so only of kinds that can name somebody is the body looked at.
        _ => Change::read(frame).map_or(0, |change| change.named().len()),
    };
    u32::try_from(named.min(GROUP_MEMBERS_MAX)).unwrap_or(u32::MAX)
}

fn value<T: Body>(frame: &Frame, tokens: impl Fn(&T::Archived) -> u32) -> u32 {
    access::<T>(frame.body()).map_or(0, tokens)
}

fn looks(users: usize, most: usize) -> u32 {
    u32::try_from(users.min(most).div_ceil(TOKEN_LOOKS)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::encode;
    use crate::body::message::{AddMembers, CreateGroup, SendText};
    use crate::body::session::Heartbeat;
    use crate::id::{ChannelId, UserId};

    fn text(bytes: usize) -> Frame {
        encode(1, &SendText { channel: 7, text: "a".repeat(bytes) })
    }

    #[test]
    fn small_frames_cost_one_and_bytes_cost_by_the_block() {
        assert_eq!(tokens(&encode(1, &Heartbeat { time_ms: 5 })), 1);
        assert_eq!(tokens(&text(100)), 1);
        let body = |frame: &Frame| frame.body().len() as u32;
        let (below, at) = (text(4096 - 25), text(4096 - 24));
        assert_eq!((body(&below), tokens(&below)), (4095, 1));
        assert_eq!((body(&at), tokens(&at)), (4096, 2));
        assert_eq!(tokens(&encode(1, &SendText { channel: 7, text: "😀".repeat(100_000) })), 98);
    }

    #[test]
    fn who_is_named_and_what_is_asked_for_is_paid() {
        let members: Vec<u64> = (2..501).collect();
        let create = CreateGroup { channel: 7, name: "a".to_owned(), members: members.clone() };
        assert_eq!(tokens(&encode(1, &create)), 500);
        assert_eq!(tokens(&encode(1, &AddMembers { channel: 7, members })), 500);
        let history = |limit| GetHistory { channel: 7, after: 0, before: 9, limit, newest: true };
        assert_eq!(tokens(&encode(1, &history(200))), 26);
        assert_eq!(tokens(&encode(1, &history(1))), 2);
        assert_eq!(tokens(&encode(1, &history(9))), 3);
        assert_eq!(tokens(&encode(1, &GetChannels { after: 0, limit: 500 })), 64);
        assert_eq!(tokens(&encode(1, &GetMembers { channel: 7, after: 0, limit: 500 })), 64);
        assert_eq!(tokens(&encode(1, &GetMentions { before: 9, limit: 100 })), 14);
        let users = |most: u64| (1..=most).collect::<Vec<u64>>();
        assert_eq!(tokens(&encode(1, &Watch { users: users(500) })), 126);
        assert_eq!(tokens(&encode(1, &GetPresence { users: users(100) })), 26);
        let thread = GetThread { channel: 7, root: 1, after: 0, before: 9, limit: 200, newest: true };
        assert_eq!(tokens(&encode(1, &thread)), 26);
        let talk = |mentions: u64, all| Talk {
            mentions: (1..=mentions).map(UserId).collect(),
            all,
            ..Talk::default()
        };
        let text = |talk: Talk| tokens(&encode(1, &talk.text(ChannelId(7), "x")));
        assert_eq!([talk(0, false), talk(1, false), talk(9, false), talk(1, true)].map(text), [1, 2, 3, 8]);
        assert_eq!(tokens(&encode(1, &GetReceipts { channel: 7, after: 0, limit: 100 })), 14);
        assert_eq!(tokens(&encode(1, &GetRules { channel: 7, after: 0, limit: 100 })), 14);
    }

    #[test]
    fn nothing_costs_more_than_the_most() {
        assert_eq!(tokens(&encode(1, &history_of_everything())), 26);
        let broken = Frame::build(Kind::CREATE_GROUP, 1, 5, &[0xff; 4096]);
        assert_eq!(tokens(&broken), 2);
        assert!(tokens(&broken) <= FRAME_TOKENS_MAX);
    }

    fn history_of_everything() -> GetHistory {
        GetHistory { channel: 7, after: 0, before: 9, limit: u32::MAX, newest: true }
    }
}
