//! A line of JSON -> a command, or words that name what is wrong with it.

use protocol::body::message::{ROLE_ADMIN, ROLE_MEMBER, ROLE_OWNER};
use protocol::body::rules::MUTED_FOR_EVER_S;
use protocol::commit::Prefs;
use protocol::{ChannelId, Cursor, DeviceId, Generation, InboxSeq, Refusal, SendId, Seq, UserId};
use serde_json::{Map, Value};

use super::presence::Who;
use super::talk::Said;
use super::{Chat, Refused, Tag};
use crate::session::{Around, ListOrder, Remark, RequestId, Session};

mod own;
mod presence;

/// Messages of a history page when the program does not say.
const HISTORY_LIMIT: u32 = 50;
/// Rows of a list when the program does not say.
const LIST_LIMIT: u32 = 500;
/// Channels of a list that also says what was said last.
const LISTED_LIMIT: u32 = 200;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Command {
    Signup {
        name: Option<String>,
        password: Option<String>,
        invite: Option<String>,
    },
    Login(Login),
    Do {
        action: Do,
        send_id: Option<SendId>,
    },
    Ask(Ask),
    Typing {
        target: Target,
        types: bool,
    },
    /// Who is there.
    Presence(Who),
    /// Whether others are shown how far the user has come.
    Receipts {
        shows: bool,
    },
    Quit,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Login {
    pub(super) name: Option<String>,
    pub(super) password: Option<String>,
    /// Of a second factor.
    pub(super) code: Option<String>,
    pub(super) device: Option<DeviceId>,
    pub(super) cursor: Cursor,
}

/// A send. `U` is how users are named: by name in a command, by id once they are looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Do<T = Target, U = String> {
    Text { target: T, text: String, said: Said<U> },
    Create { name: String, members: Vec<U> },
    Add { channel: ChannelId, users: Vec<U> },
    Invite { channel: ChannelId, users: Vec<U> },
    Join { channel: ChannelId },
    Remove { channel: ChannelId, user: U },
    Leave { channel: ChannelId },
    Rename { channel: ChannelId, name: String },
    Role { channel: ChannelId, user: U, role: u8 },
    Mute { channel: ChannelId, user: U, for_s: u32 },
    Ban { channel: ChannelId, user: U },
    Unban { channel: ChannelId, user: U },
    Slow { channel: ChannelId, interval_s: u32 },
    Prefs { target: T, prefs: Prefs },
    Draft { target: T, thread: Option<Seq>, text: String },
    Hide { target: T, from: Seq, through: Seq },
    About { target: T, seq: Seq, remark: Remark },
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ask<T = Target> {
    History { target: T, after: Option<Seq>, before: Option<Seq>, limit: u32, newest: bool },
    Around { target: T, around: Around, limit: u32 },
    Channels { after: ChannelId, limit: u32 },
    List { order: ListOrder, limit: u32 },
    Notes { hidden: bool, about: Option<ChannelId>, after: (ChannelId, Seq), limit: u32 },
    Members { channel: ChannelId, after: UserId, limit: u32 },
    Rules { channel: ChannelId, after: UserId, limit: u32 },
    Receipts { channel: ChannelId, after: UserId, limit: u32 },
    Read { channel: ChannelId, seq: Seq },
    Thread { target: T, root: Seq, after: Option<Seq>, before: Option<Seq>, limit: u32, newest: bool },
    Mentions { before: Option<InboxSeq>, limit: u32 },
    Said { target: T, from: Seq, through: Option<Seq>, limit: u32, who: bool },
}

/// A conversation as a program names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Channel(ChannelId),
    User(String),
}

impl Target {
    pub(super) async fn resolve(self, chat: &mut Chat) -> Result<ChannelId, Refused> {
        match self {
            Self::Channel(channel) => Ok(channel),
            Self::User(name) => {
                let user = chat.user(&name).await?;
                Ok(ChannelId::direct(chat.client.user(), user))
            }
        }
    }
}

pub(super) async fn users(chat: &mut Chat, names: Vec<String>) -> Result<Vec<UserId>, Refused> {
    let mut users = Vec::with_capacity(names.len());
    for name in names {
        users.push(chat.user(&name).await?);
    }
    Ok(users)
}

impl Do {
    pub(super) async fn resolve(self, chat: &mut Chat) -> Result<Do<ChannelId, UserId>, Refused> {
        Ok(match self {
            Self::Text { target, text, said } => {
                Do::Text { target: target.resolve(chat).await?, text, said: said.resolve(chat).await? }
            }
            Self::Create { name, members } => Do::Create { name, members: users(chat, members).await? },
            Self::Add { channel, users: names } => Do::Add { channel, users: users(chat, names).await? },
            Self::Invite { channel, users: names } => {
                Do::Invite { channel, users: users(chat, names).await? }
            }
            Self::Join { channel } => Do::Join { channel },
            Self::Remove { channel, user } => Do::Remove { channel, user: chat.user(&user).await? },
            Self::Leave { channel } => Do::Leave { channel },
            Self::Rename { channel, name } => Do::Rename { channel, name },
            Self::Role { channel, user, role } => Do::Role { channel, user: chat.user(&user).await?, role },
            Self::Mute { channel, user, for_s } => Do::Mute { channel, user: chat.user(&user).await?, for_s },
            Self::Ban { channel, user } => Do::Ban { channel, user: chat.user(&user).await? },
            Self::Unban { channel, user } => Do::Unban { channel, user: chat.user(&user).await? },
            Self::Slow { channel, interval_s } => Do::Slow { channel, interval_s },
            Self::Prefs { target, prefs } => Do::Prefs { target: target.resolve(chat).await?, prefs },
            Self::Draft { target, thread, text } => {
                Do::Draft { target: target.resolve(chat).await?, thread, text }
            }
            Self::About { target, seq, remark } => {
                Do::About { target: target.resolve(chat).await?, seq, remark }
            }
            Self::Hide { target, from, through } => {
                Do::Hide { target: target.resolve(chat).await?, from, through }
            }
        })
    }
}

impl Do<ChannelId, UserId> {
    pub(super) fn send(self, session: &mut Session, id: Option<SendId>) -> Result<SendId, Refusal> {
        match self {
            Self::Text { target, text, said } => session.send_talk(target, &text, &said.into(), id),
            Self::Create { name, members } => session.create_group(&name, &members, id).map(|made| made.0),
            Self::Add { channel, users } => session.add_members(channel, &users, id),
            Self::Invite { channel, users } => session.invite_members(channel, &users, id),
            Self::Join { channel } => session.join(channel, id),
            Self::Remove { channel, user } => session.remove_member(channel, user, id),
            Self::Leave { channel } => session.leave(channel, id),
            Self::Rename { channel, name } => session.rename(channel, &name, id),
            Self::Role { channel, user, role } => session.set_role(channel, user, role, id),
            Self::Mute { channel, user, for_s } => session.mute_member(channel, user, for_s, id),
            Self::Ban { channel, user } => session.ban_member(channel, user, id),
            Self::Unban { channel, user } => session.unban_member(channel, user, id),
            Self::Slow { channel, interval_s } => session.set_slow(channel, interval_s, id),
            Self::Prefs { target, prefs } => session.set_prefs(target, prefs, id),
            Self::Draft { target, thread, text } => session.set_draft(target, thread, &text, id),
            Self::Hide { target, from, through } => session.hide(target, (from, through), id),
            Self::About { target, seq, remark: Remark::Edited(text) } => {
                session.edit_text(target, seq, &text, id)
            }
            Self::About { target, seq, remark: Remark::Reacted { emoji, on } } => {
                session.react(target, seq, (&emoji, on), id)
            }
            Self::About { target, seq, remark: Remark::Pinned(on) } => session.pin(target, seq, on, id),
            Self::About { target, seq, remark: Remark::Recalled } => session.recall(target, seq, id),
        }
    }
}

impl Ask {
    pub(super) async fn resolve(self, chat: &mut Chat) -> Result<Ask<ChannelId>, Refused> {
        Ok(match self {
            Self::History { target, after, before, limit, newest } => {
                Ask::History { target: target.resolve(chat).await?, after, before, limit, newest }
            }
            Self::Around { target, around, limit } => {
                Ask::Around { target: target.resolve(chat).await?, around, limit }
            }
            Self::Channels { after, limit } => Ask::Channels { after, limit },
            Self::List { order, limit } => Ask::List { order, limit },
            Self::Notes { hidden, about, after, limit } => Ask::Notes { hidden, about, after, limit },
            Self::Members { channel, after, limit } => Ask::Members { channel, after, limit },
            Self::Rules { channel, after, limit } => Ask::Rules { channel, after, limit },
            Self::Receipts { channel, after, limit } => Ask::Receipts { channel, after, limit },
            Self::Read { channel, seq } => Ask::Read { channel, seq },
            Self::Thread { target, root, after, before, limit, newest } => {
                Ask::Thread { target: target.resolve(chat).await?, root, after, before, limit, newest }
            }
            Self::Mentions { before, limit } => Ask::Mentions { before, limit },
            Self::Said { target, from, through, limit, who } => {
                Ask::Said { target: target.resolve(chat).await?, from, through, limit, who }
            }
        })
    }
}

impl Ask<ChannelId> {
    pub(super) fn request(self, session: &mut Session) -> Result<RequestId, Refusal> {
        match self {
            Self::History { target, after, before, limit, newest } => {
                session.history(target, after, before, limit, newest)
            }
            Self::Around { target, around, limit } => session.history_around(target, around, limit),
            Self::Channels { after, limit } => session.channels(after, limit),
            Self::List { order, limit } => session.list(order, limit),
            Self::Notes { hidden: true, about, after, limit } => session.hidden(about, after, limit),
            Self::Notes { hidden: false, about, after, limit } => session.drafts(about, after, limit),
            Self::Members { channel, after, limit } => session.members(channel, after, limit),
            Self::Rules { channel, after, limit } => session.rules(channel, after, limit),
            Self::Receipts { channel, after, limit } => session.receipts(channel, after, limit),
            Self::Read { channel, seq } => session.mark_read(channel, seq),
            Self::Thread { target, root, after, before, limit, newest } => {
                session.thread((target, root), after, before, limit, newest)
            }
            Self::Mentions { before, limit } => session.mentions(before, limit),
            Self::Said { target, from, through, limit, who } => {
                session.said_about(target, (from, through), limit, who)
            }
        }
    }
}

const PREFS: &[&str] =
    &["channel", "with", "muted_until_ms", "pinned", "marked_unread", "notify", "archived", "send_id"];

/// Every command with its fields; `ref` goes with each.
const COMMANDS: &[(&str, &[&str])] = &[
    ("signup", &["name", "password", "invite"]),
    ("login", &["name", "password", "code", "device", "cursor", "generation"]),
    (
        "send",
        &[
            "to",
            "channel",
            "text",
            "send_id",
            "reply_to",
            "thread",
            "mentions",
            "all",
            "online",
            "forwarded_from",
        ],
    ),
    ("create_group", &["name", "members", "send_id"]),
    ("add", &["channel", "user", "users", "send_id"]),
    ("invite", &["channel", "user", "users", "send_id"]),
    ("join", &["channel", "send_id"]),
    ("remove", &["channel", "user", "send_id"]),
    ("leave", &["channel", "send_id"]),
    ("rename", &["channel", "name", "send_id"]),
    ("role", &["channel", "user", "role", "send_id"]),
    ("mute", &["channel", "user", "for_s", "send_id"]),
    ("ban", &["channel", "user", "send_id"]),
    ("unban", &["channel", "user", "send_id"]),
    ("slow", &["channel", "interval_s", "send_id"]),
    ("prefs", PREFS),
    ("draft", &["channel", "with", "thread", "text", "send_id"]),
    ("hide", &["channel", "with", "seq", "through", "send_id"]),
    (
        "history",
        &["channel", "with", "before", "after", "limit", "newest", "around", "at_ms", "first_unread"],
    ),
    ("list", &["order", "after", "cursor", "generation", "limit"]),
    ("drafts", &["channel", "after_channel", "after", "limit"]),
    ("hidden", &["channel", "after_channel", "after", "limit"]),
    ("channels", &["after", "limit"]),
    ("members", &["channel", "after", "limit"]),
    ("rules", &["channel", "after", "limit"]),
    ("receipts", &["channel", "after", "limit"]),
    ("read", &["channel", "seq"]),
    ("thread", &["channel", "with", "root", "before", "after", "limit", "newest"]),
    ("mentions", &["before", "limit"]),
    ("edit", &["channel", "with", "seq", "text", "send_id"]),
    ("react", &["channel", "with", "seq", "emoji", "on", "send_id"]),
    ("pin", &["channel", "with", "seq", "on", "send_id"]),
    ("recall", &["channel", "with", "seq", "send_id"]),
    ("said", &["channel", "with", "from", "through", "limit", "who"]),
    ("typing", &["to", "channel", "typing"]),
    ("show_receipts", &["on"]),
    ("watch", &["users"]),
    ("unwatch", &["users"]),
    ("presence", &["users"]),
    ("set_presence", &["shows", "status", "status_until_ms"]),
    ("own_presence", &[]),
    ("idle", &["on"]),
    ("quit", &[]),
];

/// Reads a command. The error comes with what could be read of its tag.
pub(super) fn parse(line: &str) -> Result<(Command, Tag), (String, Tag)> {
    let nameless = |reason: String| (reason, Tag::default());
    let value: Value = serde_json::from_str(line).map_err(|error| nameless(format!("not JSON: {error}")))?;
    let Value::Object(object) = value else { return Err(nameless("expected a JSON object".into())) };
    let fields = Fields { object: &object };
    let cmd = fields.need("cmd", fields.text("cmd")).map_err(nameless)?;
    let known = || COMMANDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let Some((cmd, allowed)) = COMMANDS.iter().find(|(name, _)| *name == cmd) else {
        return Err(nameless(format!("cmd: {cmd:?} is not a command; known are {}", known())));
    };
    let tag = Tag { cmd, reference: fields.text("ref").ok().flatten() };
    let command = fields.check(cmd, allowed).and_then(|()| fields.command(cmd));
    match command {
        Ok(command) => Ok((command, tag)),
        Err(reason) => Err((reason, tag)),
    }
}

struct Fields<'a> {
    object: &'a Map<String, Value>,
}

type Found<T> = Result<Option<T>, String>;

impl Fields<'_> {
    fn check(&self, cmd: &str, allowed: &[&str]) -> Result<(), String> {
        let is_known = |field: &str| field == "cmd" || field == "ref" || allowed.contains(&field);
        match self.object.keys().find(|field| !is_known(field)) {
            None => self.text("ref").map(|_| ()),
            Some(field) => Err(format!("{field}: {cmd} has no such field; it takes {}", allowed.join(", "))),
        }
    }

    fn command(&self, cmd: &str) -> Result<Command, String> {
        Ok(match cmd {
            "signup" => Command::Signup {
                name: self.text("name")?,
                password: self.text("password")?,
                invite: self.text("invite")?,
            },
            "login" => Command::Login(Login {
                name: self.text("name")?,
                password: self.text("password")?,
                code: self.text("code")?,
                device: self.number("device")?.map(DeviceId),
                cursor: self.cursor()?,
            }),
            "typing" => {
                Command::Typing { target: self.target("to")?, types: self.truth("typing")?.unwrap_or(true) }
            }
            "watch" | "unwatch" | "presence" | "set_presence" | "own_presence" | "idle" => {
                Command::Presence(self.presence(cmd)?)
            }
            "show_receipts" => Command::Receipts { shows: self.need("on", self.truth("on"))? },
            "history" | "channels" | "list" | "drafts" | "hidden" | "members" | "receipts" | "read"
            | "thread" | "mentions" | "said" | "rules" => Command::Ask(self.ask(cmd)?),
            "quit" => Command::Quit,
            _ => Command::Do { action: self.action(cmd)?, send_id: self.number("send_id")?.map(SendId) },
        })
    }

    fn action(&self, cmd: &str) -> Result<Do, String> {
        if cmd == "create_group" {
            let members = self.need("members", self.texts("members"))?;
            return Ok(Do::Create { name: self.need("name", self.text("name"))?, members });
        }
        if cmd == "send" {
            let text = self.need("text", self.text("text"))?;
            return Ok(Do::Text { target: self.target("to")?, text, said: self.said()? });
        }
        if let Some(note) = self.note(cmd)? {
            return Ok(note);
        }
        if matches!(cmd, "edit" | "react" | "pin" | "recall") {
            return self.about(cmd);
        }
        let channel = self.need("channel", self.channel("channel"))?;
        let user = || self.need("user", self.text("user"));
        let users = || match self.texts("users")? {
            Some(users) => Ok::<_, String>(users),
            None => Ok(vec![user()?]),
        };
        Ok(match cmd {
            "add" => Do::Add { channel, users: users()? },
            "invite" => Do::Invite { channel, users: users()? },
            "join" => Do::Join { channel },
            "remove" => Do::Remove { channel, user: user()? },
            "leave" => Do::Leave { channel },
            "rename" => Do::Rename { channel, name: self.need("name", self.text("name"))? },
            "mute" => {
                Do::Mute { channel, user: user()?, for_s: self.seconds("for_s", Some(MUTED_FOR_EVER_S))? }
            }
            "ban" => Do::Ban { channel, user: user()? },
            "unban" => Do::Unban { channel, user: user()? },
            "slow" => Do::Slow { channel, interval_s: self.seconds("interval_s", None)? },
            _ => Do::Role { channel, user: user()?, role: self.role()? },
        })
    }

    /// What is said about a message.
    fn about(&self, cmd: &str) -> Result<Do, String> {
        let seq = Seq(self.need("seq", self.number("seq"))?);
        let on = self.truth("on")?.unwrap_or(true);
        let remark = match cmd {
            "edit" => Remark::Edited(self.need("text", self.text("text"))?),
            "react" => Remark::Reacted { emoji: self.need("emoji", self.text("emoji"))?, on },
            "recall" => Remark::Recalled,
            _ => Remark::Pinned(on),
        };
        Ok(Do::About { target: self.target("with")?, seq, remark })
    }

    fn ask(&self, cmd: &str) -> Result<Ask, String> {
        let limit = |default| self.limit(default);
        Ok(match cmd {
            "thread" => {
                let root = Seq(self.need("root", self.number("root"))?);
                let (after, before) = (self.number("after")?.map(Seq), self.number("before")?.map(Seq));
                let newest = self.truth("newest")?.unwrap_or_else(|| after.is_none() || before.is_some());
                let target = self.target("with")?;
                Ask::Thread { target, root, after, before, limit: limit(HISTORY_LIMIT)?, newest }
            }
            "said" => {
                let (from, through) = (self.number("from")?.unwrap_or(1), self.number("through")?.map(Seq));
                let (from, who) = (Seq(from), self.truth("who")?.unwrap_or_default());
                let target = self.target("with")?;
                Ask::Said { target, from, through, limit: limit(HISTORY_LIMIT)?, who }
            }
            "mentions" => {
                let before = self.number("before")?.map(InboxSeq);
                Ask::Mentions { before, limit: limit(HISTORY_LIMIT)? }
            }
            "history" if self.around()?.is_some() => {
                if let Some(field) =
                    ["before", "after", "newest"].iter().find(|field| self.value(field).is_some())
                {
                    return Err(format!("{field}: not with a place to read around"));
                }
                let around = self.need("around", self.around())?;
                Ask::Around { target: self.target("with")?, around, limit: limit(HISTORY_LIMIT)? }
            }
            "list" => Ask::List { order: self.order()?, limit: limit(LISTED_LIMIT)? },
            "drafts" | "hidden" => {
                let after = (
                    self.channel("after_channel")?.unwrap_or_default(),
                    Seq(self.number("after")?.unwrap_or(0)),
                );
                let about = self.channel("channel")?;
                Ask::Notes { hidden: cmd == "hidden", about, after, limit: limit(LIST_LIMIT)? }
            }
            "history" => {
                let (after, before) = (self.number("after")?.map(Seq), self.number("before")?.map(Seq));
                let newest = self.truth("newest")?.unwrap_or_else(|| after.is_none() || before.is_some());
                let target = self.target("with")?;
                Ask::History { target, after, before, limit: limit(HISTORY_LIMIT)?, newest }
            }
            "channels" => {
                let after = self.channel("after")?.unwrap_or_default();
                Ask::Channels { after, limit: limit(LIST_LIMIT)? }
            }
            "members" => Ask::Members {
                channel: self.need("channel", self.channel("channel"))?,
                after: UserId(self.number("after")?.unwrap_or(0)),
                limit: limit(LIST_LIMIT)?,
            },
            "rules" => Ask::Rules {
                channel: self.need("channel", self.channel("channel"))?,
                after: UserId(self.number("after")?.unwrap_or(0)),
                limit: limit(LIST_LIMIT)?,
            },
            "receipts" => Ask::Receipts {
                channel: self.need("channel", self.channel("channel"))?,
                after: UserId(self.number("after")?.unwrap_or(0)),
                limit: limit(LIST_LIMIT)?,
            },
            _ => Ask::Read {
                channel: self.need("channel", self.channel("channel"))?,
                seq: Seq(self.need("seq", self.number("seq"))?),
            },
        })
    }

    /// What a text is about.
    fn said(&self) -> Result<Said<String>, String> {
        Ok(Said {
            reply_to: self.number("reply_to")?.map(Seq),
            thread: self.number("thread")?.map(Seq),
            mentions: self.texts("mentions")?.unwrap_or_default(),
            all: self.truth("all")?.unwrap_or_default(),
            online: self.truth("online")?.unwrap_or_default(),
            forwarded_from: self.text("forwarded_from")?,
        })
    }

    fn need<T>(&self, field: &str, found: Found<T>) -> Result<T, String> {
        found?.ok_or_else(|| format!("{field}: missing"))
    }

    /// A field that is there and not null.
    fn value(&self, field: &str) -> Option<&Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    fn text(&self, field: &str) -> Found<String> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| format!("{field}: found {value}; expected a string"))?;
        Ok(Some(text.to_owned()))
    }

    fn texts(&self, field: &str) -> Found<Vec<String>> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let list = value.as_array().and_then(|list| {
            list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        list.map(Some).ok_or_else(|| format!("{field}: found {value}; expected a list of names"))
    }

    fn truth(&self, field: &str) -> Found<bool> {
        let Some(value) = self.value(field) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| format!("{field}: found {value}; expected true or false"))
    }

    /// An id or position: a string of digits, or a number.
    fn number(&self, field: &str) -> Found<u64> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.map(Some).ok_or_else(|| format!("{field}: found {value}; expected a number as a string"))
    }

    fn channel(&self, field: &str) -> Found<ChannelId> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let channel = value.as_u64().map(|id| ChannelId(u128::from(id)));
        let channel = channel.or_else(|| value.as_str()?.parse().ok());
        channel.map(Some).ok_or_else(|| format!("{field}: found {value}; expected a channel id as a string"))
    }

    /// `channel`, or the other user's name under `by_name`.
    fn target(&self, by_name: &str) -> Result<Target, String> {
        match (self.channel("channel")?, self.text(by_name)?) {
            (Some(channel), None) => Ok(Target::Channel(channel)),
            (None, Some(name)) => Ok(Target::User(name)),
            _ => Err(format!("expected one of \"channel\" and {by_name:?}")),
        }
    }

    fn limit(&self, default: u32) -> Result<u32, String> {
        let Some(limit) = self.number("limit")? else { return Ok(default) };
        u32::try_from(limit).map_err(|_| format!("limit: found {limit}; expected a smaller number"))
    }

    fn seconds(&self, field: &str, absent: Option<u32>) -> Result<u32, String> {
        let Some(found) = self.number(field)? else {
            return absent.ok_or_else(|| format!("{field}: missing"));
        };
        u32::try_from(found).map_err(|_| format!("{field}: found {found}; expected a smaller number"))
    }

    fn role(&self) -> Result<u8, String> {
        match self.need("role", self.text("role"))?.as_str() {
            "member" => Ok(ROLE_MEMBER),
            "admin" => Ok(ROLE_ADMIN),
            "owner" => Ok(ROLE_OWNER),
            other => Err(format!("role: found {other:?}; expected member, admin or owner")),
        }
    }

    fn cursor(&self) -> Result<Cursor, String> {
        match (self.number("generation")?, self.number("cursor")?) {
            (None, None) => Ok(Cursor::default()),
            (Some(generation), Some(at)) => {
                Ok(Cursor { generation: Generation(generation), at: InboxSeq(at) })
            }
            _ => Err("cursor and generation go together; events ready and complete have both".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(line: &str) -> String {
        parse(line).unwrap_err().0
    }

    #[test]
    fn commands_of_the_issue() {
        for line in [
            r#"{"cmd":"signup","name":"a","password":"b"}"#,
            r#"{"cmd":"signup","name":"a","password":"b","invite":"c"}"#,
            r#"{"cmd":"login","name":"a","password":"b","code":"123456"}"#,
            r#"{"cmd":"send","to":"a","text":"x"}"#,
            r#"{"cmd":"send","channel":"340282366920938463463374607431768211455","text":"x","send_id":"9"}"#,
            r#"{"cmd":"create_group","name":"g","members":["a","b"]}"#,
            r#"{"cmd":"add","channel":"5","user":"a"}"#,
            r#"{"cmd":"invite","channel":"5","users":["a"]}"#,
            r#"{"cmd":"join","channel":"5"}"#,
            r#"{"cmd":"remove","channel":5,"user":"a"}"#,
            r#"{"cmd":"channels"}"#,
            r#"{"cmd":"mute","channel":"5","user":"a"}"#,
            r#"{"cmd":"mute","channel":"5","user":"a","for_s":60}"#,
            r#"{"cmd":"ban","channel":"5","user":"a"}"#,
            r#"{"cmd":"unban","channel":"5","user":"a"}"#,
            r#"{"cmd":"slow","channel":"5","interval_s":0}"#,
            r#"{"cmd":"rules","channel":"5"}"#,
            r#"{"cmd":"send","to":"a","text":"x","reply_to":3,"thread":"2","mentions":["a"],"all":true,"forwarded_from":"b"}"#,
            r#"{"cmd":"thread","channel":"5","root":3}"#,
            r#"{"cmd":"mentions","before":9,"limit":5}"#,
            r#"{"cmd":"quit"}"#,
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line));
        }
        let (command, tag) = parse(r#"{"cmd":"history","with":"a","after":3,"limit":5,"ref":"r"}"#).unwrap();
        let target = Target::User("a".into());
        let ask = Ask::History { target, after: Some(Seq(3)), before: None, limit: 5, newest: false };
        assert_eq!(command, Command::Ask(ask));
        assert_eq!(tag, Tag { cmd: "history", reference: Some("r".into()) });
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, word) in [
            ("x", "JSON"),
            ("[]", "object"),
            ("{}", "cmd"),
            (r#"{"cmd":"dance"}"#, "dance"),
            (r#"{"cmd":"send","text":"x"}"#, "channel"),
            (r#"{"cmd":"send","to":"a","channel":"5","text":"x"}"#, "one of"),
            (r#"{"cmd":"send","to":"a"}"#, "text"),
            (r#"{"cmd":"send","to":"a","text":"x","mentions":"a"}"#, "mentions"),
            (r#"{"cmd":"thread","channel":"5"}"#, "root"),
            (r#"{"cmd":"send","to":1,"text":"x"}"#, "to: found 1"),
            (r#"{"cmd":"send","to":"a","text":"x","colour":1}"#, "colour"),
            (r#"{"cmd":"send","to":"a","text":"x","send_id":"-1"}"#, "send_id"),
            (r#"{"cmd":"create_group","name":"g","members":"a"}"#, "members"),
            (r#"{"cmd":"role","channel":"5","user":"a","role":"king"}"#, "king"),
            (r#"{"cmd":"slow","channel":"5"}"#, "interval_s: missing"),
            (r#"{"cmd":"mute","channel":"5","user":"a","for_s":4294967296}"#, "for_s"),
            (r#"{"cmd":"login","name":"a","password":"b","cursor":5}"#, "generation"),
            (r#"{"cmd":"history","channel":"5","limit":99999999999}"#, "limit"),
        ] {
            assert!(reason(line).contains(word), "{line}: {}", reason(line));
        }
    }
}
