//! What a session tells its app, and what a message says.

use protocol::body::about::{self, Recalled};
use protocol::body::large::HeadItem;
use protocol::body::list::ChannelDetail;
use protocol::body::marks::ReceiptItem;
use protocol::body::message::{self, Change};
use protocol::body::own::{DraftItem, HiddenItem};
use protocol::body::presence::{OwnPresence, PresenceItem};
use protocol::body::push::Push;
use protocol::body::session::{Reject, Welcome};
use protocol::body::sync::{ChannelItem, MemberItem};
use protocol::body::talk::Talk;
use protocol::commit::{Act, Note, Prefs};
use protocol::{ChannelId, Cursor, Frame, Generation, InboxSeq, SendId, Seq, UserId};

use super::rules::Rules;
use super::talk::{Mention, Thread};

/// The session's own number for a request that is not a send.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// One thing that happened. Nothing here needs an answer except [`Event::Dead`] and [`Event::Reconnect`], which are
/// for the one who holds the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The server knows the device. What was missed follows, then what was pending is sent again.
    Connected(Welcome),
    /// The inbox has another life than the cursor, or the device is new to an inbox that is not empty: what is before
    /// `at` will not come by itself. The app reads its channels and their history anew. What it holds is in doubt:
    /// messages of the new life can have the (channel, seq) of other ones that it holds, whatever the heads are now.
    /// [`crate::session::Reread`] finds out what to drop.
    Resync {
        /// The inbox's generation now.
        generation: Generation,
        /// Where the cursor stands now.
        at: InboxSeq,
    },
    /// All that was in the inbox at the Welcome is here; pending sends go out.
    Live,
    /// A message of somebody else or of another device of this user. Each (channel, seq) comes once in a session's
    /// life, and once more after each [`Event::Resync`], when it takes the place of what was held; an app that restarts from [`crate::session::Saved`] drops what it already holds.
    Message(Message),
    /// An own send is on stable storage, found by its ack or by meeting the message itself.
    Ack {
        /// Which send.
        send_id: SendId,
        /// Where it is.
        channel: ChannelId,
        /// Its position.
        seq: Seq,
        /// Its time.
        time_ms: u64,
    },
    /// Everything in this inbox range has been told; the cursor stands at `to`.
    Complete {
        /// Exclusive lower end.
        from: InboxSeq,
        /// Inclusive upper end.
        to: InboxSeq,
    },
    /// A window of history. These messages are told whether or not they were told before.
    History(History),
    /// A window of a thread.
    Thread(Thread),
    /// Messages that mention the user.
    Mentions {
        /// The answered request.
        request: RequestId,
        /// The newest first.
        items: Vec<Mention>,
        /// Unread mentions of the channels of the page; 100 stands for 100 or more.
        unread: Vec<(ChannelId, u32)>,
        /// Whether there are older ones.
        more: bool,
    },
    /// What is said about messages of a channel.
    Said {
        /// The answered request.
        request: RequestId,
        /// The page.
        about: about::About,
    },
    /// A page of the user's own channels.
    Channels {
        /// The answered request.
        request: RequestId,
        /// Rising by channel.
        items: Vec<ChannelItem>,
        /// Whether more follow behind the last.
        more: bool,
    },
    /// A page of the user's own channels with what a first screen shows.
    List {
        /// The answered request.
        request: RequestId,
        /// The page.
        list: ChannelList,
    },
    /// A page of the user's drafts, or of what the user has hidden.
    Notes {
        /// The answered request.
        request: RequestId,
        /// Rising by channel and thread.
        drafts: Vec<DraftItem>,
        /// Rising by channel and `at`.
        hidden: Vec<HiddenItem>,
        /// Whether more follow behind the last.
        more: bool,
    },
    /// A page of a group's members.
    Members {
        /// The answered request.
        request: RequestId,
        /// The group.
        channel: ChannelId,
        /// How many there are; an old server does not say so.
        total: Option<u32>,
        /// Rising by user.
        items: Vec<MemberItem>,
        /// Whether more follow behind the last.
        more: bool,
    },
    /// What is laid down for a group.
    Rules {
        /// The answered request.
        request: RequestId,
        /// The page.
        rules: Rules,
    },
    /// How far members of a channel have come: those who have come further, or a page that was asked for. Of whoever is
    /// named this is the newest; the user itself is among them, so that its devices agree on what is unread.
    Receipts {
        /// The answered request; `None` for what comes by itself.
        request: Option<RequestId>,
        /// The channel.
        channel: ChannelId,
        /// Of a page rising by user.
        items: Vec<ReceiptItem>,
        /// Whether more follow behind the last of a page.
        more: bool,
    },
    /// Messages of these large channels behind these heads come from here on. What the app does not hold of one up to its head
    /// it reads from the history; and so it does when a message of one comes whose seq is not the next.
    Heads(Vec<HeadItem>),
    /// Somebody else types in a channel, or does so no more: it stopped, sent what it typed, was not heard for a while, or the
    /// connection is gone.
    Typing {
        /// The channel.
        channel: ChannelId,
        /// Who.
        user: UserId,
        /// Whether it does.
        types: bool,
    },
    /// What others show: of whom the app watches, as it changes, or what it asked for. Of whoever is named this is the newest;
    /// what an earlier connection said holds until something else is said.
    Presence {
        /// The request; `None` for what comes by itself.
        request: Option<RequestId>,
        /// Each user once. A status that has ended is to be shown no more.
        items: Vec<PresenceItem>,
        /// Whether more comes of that request.
        more: bool,
    },
    /// What the user shows, and its devices.
    OwnPresence {
        /// The request; `None` when another device has just set something.
        request: Option<RequestId>,
        /// All of it.
        own: OwnPresence,
    },
    /// Where the user's devices are told of what they miss.
    Push {
        /// The request.
        request: RequestId,
        /// All of it.
        push: Push,
    },
    /// A request with no other answer was carried out.
    Done(RequestId),
    /// Refused for good: the send or request is dropped. What the server asked to retry is retried silently.
    Rejected {
        /// What was refused.
        about: About,
        /// Why.
        reject: Reject,
    },
    /// Hello was refused; the server closes. With an expired code the app needs another token.
    HelloRejected(Reject),
    /// The server knows the device no more, or takes none of its tokens: it was logged out, here or elsewhere, replaced
    /// or removed. Final: nothing more is written, there is no [`Event::Reconnect`], and its holder closes the
    /// connection. A person has to log in; pending sends are kept.
    LoggedOut(Reject),
    /// The token ends soon (or has ended): get another and call `reauth`.
    TokenDue,
    /// The fresh token was taken.
    Reauthed,
    /// The server will close; the pause it asked for is honoured.
    GoingAway {
        /// The pause.
        reconnect_after_ms: u32,
        /// The close code that follows.
        reason: u16,
    },
    /// The connection does not answer. Its holder closes it and calls `disconnected`.
    Dead,
    /// The connection is gone; [`Event::Reconnect`] comes at that time.
    Disconnected {
        /// On the clock of the caller.
        retry_at_ms: u64,
    },
    /// Time to connect again.
    Reconnect,
    /// Told by whoever holds the connection, never by the session: who is there may be somebody else than the server, and nothing
    /// was said to it. The certificate has expired, is for another name, is signed by nobody who is trusted, is not the one that
    /// was pinned or announced for QUIC; or the chat address is in clear text though the login came by TLS. There is no falling
    /// back: the client stays disconnected and tries again.
    Untrusted {
        /// Host and port.
        place: String,
        /// Why, for people.
        fault: String,
    },
}

/// What a refusal is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// A send.
    Send(SendId),
    /// A request.
    Request(RequestId),
    /// Neither: a frame of the session itself, or one that is long forgotten.
    Other(u64),
}

/// One message of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The channel.
    pub channel: ChannelId,
    /// Its position there.
    pub seq: Seq,
    /// Milliseconds since the Unix epoch, at the channel's home.
    pub time_ms: u64,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's number for it.
    pub send_id: SendId,
    /// What it says.
    pub content: Content,
    /// What a text is about besides its words; `None` for a plain one and for everything else.
    pub talk: Option<Box<Talk>>,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Text.
    Text(String),
    /// The group begins.
    Created {
        /// Its name.
        name: String,
        /// The members besides the creator.
        members: Vec<UserId>,
    },
    /// Users joined.
    Added(Vec<UserId>),
    /// Users may join; an invited one of them gets this message and until it joins none after it.
    Invited(Vec<UserId>),
    /// The sender, who was invited, joined.
    Joined,
    /// The group is a large channel from here on.
    Grown,
    /// The sender, who has no account any more, is erased: its texts before this message, edits of them and its reactions are gone.
    /// Drop what is held of them.
    Erased,
    /// A user was removed.
    Removed(UserId),
    /// The sender left.
    Left,
    /// The group has this name now.
    Renamed(String),
    /// In the user's own channel: how the user wants a channel to be shown and told of.
    Prefs {
        /// Which channel.
        about: ChannelId,
        /// How.
        prefs: Prefs,
    },
    /// In the user's own channel: what the user is writing and has not sent.
    Draft {
        /// In which channel.
        about: ChannelId,
        /// The seq that the thread begins with; 0 for the channel itself.
        thread: Seq,
        /// The text; empty for none.
        text: String,
    },
    /// In the user's own channel: messages that the user does not want to see any more.
    Hidden {
        /// Of which channel.
        about: ChannelId,
        /// The first.
        from: Seq,
        /// The last.
        through: Seq,
    },
    /// A text, or an edit of one, stood here and was recalled; nothing of what it said is left.
    Recalled {
        /// The recalled text: the message's own seq, or that of the text of which it was an edit.
        target: Seq,
        /// The message that recalled it, or with which its sender was erased; 0 when the server keeps it no longer.
        by: Seq,
        /// Who recalled it; 0 when it is kept no longer, as is the sender of the message then.
        user: UserId,
        /// When.
        time_ms: u64,
    },
    /// Something is said about a message that is there.
    About {
        /// Which.
        target: Seq,
        /// What.
        remark: Remark,
    },
    /// A member has this role now.
    Role {
        /// Who.
        member: UserId,
        /// [`protocol::body::message::ROLE_MEMBER`] and so on.
        role: u8,
    },
    /// A member may not send from here on.
    Muted {
        /// Who.
        member: UserId,
        /// For how many seconds from the message's time; 0 when it may again,
        /// [`protocol::body::rules::MUTED_FOR_EVER_S`] for no end.
        for_s: u32,
    },
    /// A user is no member any more and cannot become one.
    Banned(UserId),
    /// A user may become a member again.
    Unbanned(UserId),
    /// A plain member sends a text only so many seconds after its last; 0 for no wait.
    Slowed(u32),
}

/// What is said about a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remark {
    /// It reads like this from here on.
    Edited(String),
    /// The sender reacts to it.
    Reacted {
        /// In which way.
        emoji: String,
        /// Or does so no more.
        on: bool,
    },
    /// It is pinned, or is so no more.
    Pinned(bool),
    /// It is taken back for everybody: what it and its edits said is to be shown no more, and dropped where it is kept.
    Recalled,
}

/// A page of the user's own channels with what a first screen shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelList {
    /// In the order asked for.
    pub items: Vec<(ChannelItem, ChannelDetail)>,
    /// The page is as of this position of the inbox: ask for what changed behind it.
    pub through: Cursor,
    /// Where the next page of [`super::ListOrder::Recent`] begins.
    pub next: Cursor,
    /// Too much has changed to tell, or the inbox has another life: ask for all.
    pub needs_snapshot: bool,
    /// Whether more follow.
    pub more: bool,
}

/// Where a page around a place stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The seq that was asked for, or the next that may be read; above `head` when there is none.
    pub pivot: Seq,
    /// Whether more may be read before the page.
    pub more_before: bool,
    /// Whether more may be read behind it.
    pub more_after: bool,
}

/// A window of a channel's history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    /// The answered request.
    pub request: RequestId,
    /// The channel.
    pub channel: ChannelId,
    /// The page tells all that may be read with `from <= seq <= to`; both 0 when nothing is in the window.
    pub from: Seq,
    /// Inclusive upper end.
    pub to: Seq,
    /// The newest seq that may be read.
    pub head: Seq,
    /// Whether the window holds more in the direction asked for.
    pub more: bool,
    /// Of a page around a place.
    pub place: Option<Place>,
    /// Rising by seq.
    pub messages: Vec<Message>,
}

/// Reads a stamped frame; `None` for a kind or body that this client does not know.
pub(super) fn read_message(frame: &Frame) -> Option<Message> {
    let stamp = frame.read_stamp()?;
    if let Some(recalled) = Recalled::read(frame) {
        let (target, by, user) = (Seq(recalled.target), Seq(recalled.by), UserId(recalled.user));
        return Some(Message {
            channel: ChannelId(recalled.channel),
            seq: stamp.seq,
            time_ms: stamp.time_ms,
            sender: stamp.sender,
            send_id: frame.send_id(),
            content: Content::Recalled { target, by, user, time_ms: recalled.time_ms },
            talk: None,
        });
    }
    let message = message::Message::read(frame)?;
    Some(Message {
        channel: message.channel(),
        seq: stamp.seq,
        time_ms: stamp.time_ms,
        sender: stamp.sender,
        send_id: frame.send_id(),
        content: content(&message)?,
        talk: Talk::read(frame).map(Box::new),
    })
}

fn content(message: &message::Message<'_>) -> Option<Content> {
    use message::Message::{
        AddMembers, BanMember, CreateGroup, EditText, Erase, GrowGroup, Hide, InviteMembers, JoinGroup,
        LeaveGroup, MuteMember, Pin, React, Recall, RemoveMember, RenameGroup, SendText, SetDraft, SetPrefs,
        SetRole, SetSlow, UnbanMember,
    };
    let change = match message {
        SendText(body) => return Some(Content::Text(body.text.as_str().to_owned())),
        SetDraft(body) => {
            let (about, thread) = (ChannelId(body.about.to_native()), Seq(body.thread.to_native()));
            return Some(Content::Draft { about, thread, text: body.text.as_str().to_owned() });
        }
        EditText(body) => {
            let remark = Remark::Edited(body.text.as_str().to_owned());
            return Some(Content::About { target: Seq(body.target.to_native()), remark });
        }
        AddMembers(_) | Pin(_) | React(_) | Recall(_) | CreateGroup(_) | InviteMembers(_) | JoinGroup(_)
        | GrowGroup(_) | LeaveGroup(_) | RemoveMember(_) | RenameGroup(_) | SetRole(_) | SetPrefs(_)
        | Hide(_) | Erase(_) | MuteMember(_) | BanMember(_) | UnbanMember(_) | SetSlow(_) => {
            message.change()?
        }
    };
    Some(match change {
        Change::Begins { name, members } => Content::Created { name, members },
        Change::Joins(users) => Content::Added(users),
        Change::Invites(users) => Content::Invited(users),
        Change::Accepts => Content::Joined,
        Change::Grows => Content::Grown,
        Change::Erases => Content::Erased,
        Change::Removes(member) => Content::Removed(member),
        Change::Leaves => Content::Left,
        Change::Name(name) => Content::Renamed(name),
        Change::Role { member, role } => Content::Role { member, role },
        Change::Mutes { member, for_s } => Content::Muted { member, for_s },
        Change::Bans(user) => Content::Banned(user),
        Change::Unbans(user) => Content::Unbanned(user),
        Change::Slows(interval_s) => Content::Slowed(interval_s),
        Change::Notes(Note::Prefs { about, prefs }) => Content::Prefs { about, prefs },
        Change::Notes(Note::Hidden { about, from, through }) => Content::Hidden { about, from, through },
        Change::About { target, act: Act::Reacts { emoji, on } } => {
            Content::About { target, remark: Remark::Reacted { emoji, on } }
        }
        Change::About { target, act: Act::Pins(on) } => Content::About { target, remark: Remark::Pinned(on) },
        Change::About { target, act: Act::Recalls } => Content::About { target, remark: Remark::Recalled },
        // A draft and an edit are read above, with their texts.
        Change::Notes(Note::Draft { .. }) | Change::About { act: Act::Edits, .. } => return None,
    })
}
