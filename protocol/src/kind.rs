//! Frame kinds. A number is never reused; the high byte is the family.

use crate::limits::{
    EMOJI_BYTES_MAX, FRAME_BYTES_MAX, GROUP_MEMBERS_MAX, HEADER_BYTES, LOOKED_AT_MAX, NAME_BYTES_MAX,
    PUSH_ENDPOINT_BYTES_MAX, PUSH_WORD_BYTES_MAX, STAMP_BYTES, STATUS_BYTES_MAX, TEXT_BYTES_MAX,
    TOKEN_BYTES_MAX, WATCHED_MAX,
};

/// What a frame's body is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Kind(pub u16);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $from:ident, $max:expr;)*) => {
        impl Kind {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Every known kind with its name, in number order.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self($number), stringify!($name)),)*];

            /// Largest body of this kind in bytes, stamp not counted. An unknown kind may be as large as a frame:
            /// it is skipped, not stored.
            #[must_use]
            pub const fn body_bytes_max(self) -> usize {
                match self.0 {
                    $($number => $max,)*
                    _ => FRAME_BYTES_MAX - HEADER_BYTES - STAMP_BYTES,
                }
            }

            /// Who may send this kind.
            #[must_use]
            pub const fn sent_by(self) -> SentBy {
                match self.0 {
                    $($number => SentBy::$from,)*
                    _ => SentBy::Nobody,
                }
            }
        }
    };
}

/// Who may send a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SentBy {
    /// A device; the server sends it on, stamped.
    Message,
    /// A channel's home, as a message: stamped, stored, fanned out. No device may.
    Home,
    /// A device only.
    Device,
    /// The server only.
    Server,
    /// Both, unstamped.
    Both,
    /// An unknown kind.
    Nobody,
}

const USERS_BYTES: usize = GROUP_MEMBERS_MAX * 8;
const LIST_BYTES: usize = FRAME_BYTES_MAX - HEADER_BYTES - STAMP_BYTES;

kinds! {
    /// Text for a channel.
    SEND_TEXT = 0x0101, Message, TEXT_BYTES_MAX + 64;
    /// A text of the sender's own reads otherwise from here on.
    EDIT_TEXT = 0x0102, Message, TEXT_BYTES_MAX + 64;
    /// A text is taken back for everybody.
    RECALL = 0x0103, Message, 64;
    /// The sender reacts to a text, or does so no more.
    REACT = 0x0104, Message, EMOJI_BYTES_MAX + 64;
    /// A text is pinned in its channel, or is so no more.
    PIN = 0x0105, Message, 64;
    /// A new group; its message has seq 1.
    CREATE_GROUP = 0x0110, Message, NAME_BYTES_MAX + USERS_BYTES + 64;
    /// Users join a group.
    ADD_MEMBERS = 0x0111, Message, USERS_BYTES + 64;
    /// A user is removed from a group.
    REMOVE_MEMBER = 0x0112, Message, 64;
    /// The sender leaves a group.
    LEAVE_GROUP = 0x0113, Message, 64;
    /// A group has a new name.
    RENAME_GROUP = 0x0114, Message, NAME_BYTES_MAX + 64;
    /// A member has a new role.
    SET_ROLE = 0x0115, Message, 64;
    /// Users are asked whether they join a group.
    INVITE_MEMBERS = 0x0116, Message, USERS_BYTES + 64;
    /// The sender joins a group to which it was invited.
    JOIN_GROUP = 0x0117, Message, 64;
    /// A member may not send for a while.
    MUTE_MEMBER = 0x0118, Message, 64;
    /// A user is no member any more and cannot become one.
    BAN_MEMBER = 0x0119, Message, 64;
    /// A user may become a member again.
    UNBAN_MEMBER = 0x011a, Message, 64;
    /// How long a plain member waits from one text to the next.
    SET_SLOW = 0x011b, Message, 64;
    /// A group becomes a large channel.
    GROW_GROUP = 0x011c, Message, 64;
    /// What the sender wrote is gone: it is erased from the channel.
    ERASE = 0x011f, Home, 64;

    /// How a user wants a channel to be shown and told of; in the user's own channel.
    SET_PREFS = 0x0120, Message, 64;
    /// What a user is writing in a channel and has not sent; in the user's own channel.
    SET_DRAFT = 0x0121, Message, TEXT_BYTES_MAX + 64;
    /// Messages that a user does not want to see any more; in the user's own channel.
    HIDE = 0x0122, Message, 64;
    /// First frame of a connection.
    HELLO = 0x0201, Device, TOKEN_BYTES_MAX + 64;
    /// Answer to Hello.
    WELCOME = 0x0202, Server, 4096;
    /// A fresh token for a running session.
    REAUTH = 0x0203, Device, TOKEN_BYTES_MAX + 64;
    /// The device lives; the server answers with the same.
    HEARTBEAT = 0x0204, Both, 64;
    /// The server will close; come back after the hint.
    GOING_AWAY = 0x0205, Server, 64;
    /// A request with nothing else to answer was carried out.
    DONE = 0x0206, Server, 64;

    /// A send is on stable storage.
    SEND_ACK = 0x0301, Server, 64;
    /// Everything in this inbox range has been sent.
    COMPLETE = 0x0302, Server, 64;
    /// How far the device has taken its inbox.
    CURSOR_ACK = 0x0303, Device, 64;
    /// Asks for a window of a channel's history.
    GET_HISTORY = 0x0304, Device, 64;
    /// Head of a history page; `count` stamped frames follow it directly.
    HISTORY_PAGE = 0x0305, Server, 128;
    /// Asks for members of a group.
    GET_MEMBERS = 0x0306, Device, 64;
    /// A page of members.
    MEMBERS = 0x0307, Server, LIST_BYTES;
    /// Asks for the user's own channels.
    GET_CHANNELS = 0x0308, Device, 64;
    /// A page of channels with heads and unread counts.
    CHANNELS = 0x0309, Server, LIST_BYTES;
    /// The user has read a channel up to a seq.
    MARK_READ = 0x030a, Device, 64;
    /// Asks what is said about messages of a channel.
    GET_ABOUT = 0x030b, Device, 64;
    /// A page of it.
    ABOUT = 0x030c, Server, LIST_BYTES;
    /// Asks for messages of a thread.
    GET_THREAD = 0x030d, Device, 64;
    /// Head of a page of a thread; `count` stamped frames follow it directly.
    THREAD = 0x030e, Server, 128;
    /// Asks for messages that mention the user.
    GET_MENTIONS = 0x030f, Device, 64;
    /// What stands, stamped, in the place of a message that was recalled.
    RECALLED = 0x0310, Server, 64;
    /// The user's devices hold a channel up to a seq.
    MARK_DELIVERED = 0x0312, Device, 64;
    /// How far members of a channel have come.
    RECEIPTS = 0x0313, Server, LIST_BYTES;
    /// Asks for that.
    GET_RECEIPTS = 0x0314, Device, 64;
    /// Somebody types, or stopped.
    TYPING = 0x0315, Both, 64;
    /// A page of them.
    MENTIONS = 0x0316, Server, LIST_BYTES;

    /// Asks for the user's drafts, or for what the user has hidden.
    GET_NOTES = 0x0317, Device, 64;
    /// A page of them.
    NOTES = 0x0318, Server, LIST_BYTES;
    /// Asks what is laid down for a group.
    GET_RULES = 0x0320, Device, 64;
    /// A page of it.
    RULES = 0x0321, Server, LIST_BYTES;
    /// How far large channels have come that the session follows from here on.
    HEADS = 0x0325, Server, LIST_BYTES;
    /// The session is to be shown users from now on.
    WATCH = 0x0401, Device, WATCHED_MAX * 8 + 64;
    /// The session is to be shown users no more.
    UNWATCH = 0x0402, Device, WATCHED_MAX * 8 + 64;
    /// Who is there.
    PRESENCE = 0x0403, Server, LIST_BYTES;
    /// What the user shows of itself.
    SET_PRESENCE = 0x0404, Device, STATUS_BYTES_MAX + 64;
    /// Nobody has touched the device for a while, or somebody does again.
    IDLE = 0x0405, Device, 64;
    /// Asks who is there, once.
    GET_PRESENCE = 0x0406, Device, LOOKED_AT_MAX * 8 + 64;
    /// Asks for what the user shows, and for its devices.
    GET_OWN_PRESENCE = 0x0407, Device, 64;
    /// That.
    OWN_PRESENCE = 0x0408, Server, LIST_BYTES;
    /// The device is told by push of what it misses.
    SUBSCRIBE_PUSH = 0x0410, Device, PUSH_ENDPOINT_BYTES_MAX + 3 * PUSH_WORD_BYTES_MAX + 64;
    /// A device is told no more.
    UNSUBSCRIBE_PUSH = 0x0411, Device, 64;
    /// None of the user's devices is told, or all are again.
    SET_PUSH = 0x0412, Device, 64;
    /// Asks where the user's devices are told.
    GET_PUSH = 0x0413, Device, 64;
    /// That.
    PUSH = 0x0414, Server, 1024;
    /// A frame was refused.
    REJECT = 0x0f01, Server, 1024;
}

impl Kind {
    /// Whether frames of this kind become messages of a channel: stamped, stored, fanned out.
    #[must_use]
    pub const fn is_message(self) -> bool {
        matches!(self.sent_by(), SentBy::Message | SentBy::Home)
    }

    /// Whether messages of this kind change who is in a group, its roles or its name: 0x0110 to 0x011f.
    #[must_use]
    pub const fn changes_a_group(self) -> bool {
        self.is_message() && self.0 & 0xfff0 == 0x0110
    }

    /// Whether messages of this kind are what a user's devices tell each other in the user's own channel: 0x0120 to 0x012f.
    #[must_use]
    pub const fn is_a_note(self) -> bool {
        self.is_message() && self.0 & 0xfff0 == 0x0120
    }

    /// Whether messages of this kind say something about a message that is there: 0x0102 to 0x010f.
    #[must_use]
    pub const fn is_about_a_message(self) -> bool {
        self.is_message() && self.0 & 0xfff0 == 0x0100 && self.0 != Self::SEND_TEXT.0
    }

    /// Whether a message of this kind changes something of its channel besides the history: its body is looked at for
    /// that.
    #[must_use]
    pub const fn changes_something(self) -> bool {
        self.changes_a_group() || self.is_a_note() || self.is_about_a_message()
    }

    /// Whether a message of this kind is something to read. What changes a group is not: who is away while people come and
    /// go has nothing unread. Nor is a note, or what is said about another message.
    #[must_use]
    pub const fn counts_as_unread(self) -> bool {
        self.is_message() && !self.changes_something()
    }
}
