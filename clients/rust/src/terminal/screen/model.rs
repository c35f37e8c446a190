//! What the whole screen shows. The screen is a function of this and of nothing else; it changes by what the connection tells
//! ([`super::take`]), by keys ([`super::keys`]) and by answers to commands, and what it wants done it puts on a list.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::tz::TimeZone;
use protocol::body::sync::MemberItem;
use protocol::commit::Prefs;
use protocol::{ChannelId, Cursor, Generation, SendId, Seq, UserId};

use super::editor::Editor;
use super::marks::Mark;
use crate::session::{Around, Content, Message, RequestId};
use crate::terminal::text;

/// Columns of a name.
const NAME_COLUMNS_MAX: usize = 40;
/// Messages of a page of history.
pub(super) const PAGE: u32 = 100;
/// Messages of one conversation that are held; older ones are read again when one scrolls up.
pub(super) const LOG_MAX: usize = 5000;
/// Bytes of their texts.
pub(super) const LOG_BYTES_MAX: usize = 32 << 20;
/// The same for one that is not open.
const UNSEEN_LOG_MAX: usize = 300;
const UNSEEN_LOG_BYTES_MAX: usize = 1 << 20;
/// Newest messages asked for at once, to know what was said last.
const PREVIEWS_MAX: usize = 8;
/// Messages remembered as counted.
pub(super) const COUNTED_MAX: usize = 256;
/// Names remembered; then all are asked for again.
const NAMES_MAX: usize = 10_000;

/// How it stands with the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Link {
    Connecting,
    Connected,
    Reconnecting,
}

/// What the screen wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    Text {
        channel: ChannelId,
        text: String,
    },
    History {
        channel: ChannelId,
        before: Option<Seq>,
        limit: u32,
    },
    Channels {
        after: ChannelId,
    },
    Around {
        channel: ChannelId,
        around: Around,
    },
    /// Drafts of a conversation, or what is hidden there.
    Notes {
        channel: ChannelId,
        hidden: bool,
        after: Seq,
    },
    Members {
        channel: ChannelId,
        after: UserId,
    },
    Read {
        channel: ChannelId,
        seq: Seq,
    },
    Receipts {
        channel: ChannelId,
        after: UserId,
    },
    Typing {
        channel: ChannelId,
        types: bool,
    },
    /// To be shown whether they are there.
    Watch(Vec<UserId>),
    Name(UserId),
    Command {
        word: String,
        rest: String,
    },
    /// Everything up to here is taken.
    Keep(Cursor),
}

/// A line from the client itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) is_trouble: bool,
}

/// What lies above everything else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Overlay {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    /// Lines above the first that is seen.
    pub(super) skipped: usize,
}

/// The lowest row that is seen: of this message, with so many of its rows below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Anchor {
    pub(super) seq: Seq,
    pub(super) below: usize,
}

/// What was said here and has no ack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sending {
    pub(super) send_id: SendId,
    pub(super) text: String,
}

/// One conversation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Conversation {
    /// A group's.
    pub(super) name: String,
    /// Who said something last, and its beginning in one line.
    pub(super) preview: Option<(UserId, String)>,
    pub(super) prefs: Prefs,
    /// There is one, written on some device.
    pub(super) has_draft: bool,
    /// What the user does not want to see.
    pub(super) hidden: Vec<(Seq, Seq)>,
    pub(super) is_left: bool,
    pub(super) head: Seq,
    pub(super) unread: u64,
    /// The last that were counted as they came: a list that was made before them does not know them.
    pub(super) counted: VecDeque<Seq>,
    /// When something was last said.
    pub(super) last_ms: u64,
    /// All that may be read from `from` on, once that is known.
    pub(super) log: BTreeMap<Seq, Message>,
    pub(super) log_bytes: usize,
    pub(super) from: Option<Seq>,
    /// There is nothing before `from`.
    pub(super) is_whole: bool,
    pub(super) is_loading: bool,
    pub(super) sending: Vec<Sending>,
    /// Scrolled up; `None` is the newest end.
    pub(super) anchor: Option<Anchor>,
    pub(super) members: Vec<MemberItem>,
    /// How far the others have come, as far as they tell.
    pub(super) marks: BTreeMap<UserId, Mark>,
    /// Who types now.
    pub(super) typists: BTreeSet<UserId>,
    /// The server was told so.
    pub(super) read: Seq,
    /// The first that was unread when it was opened.
    pub(super) new_from: Option<Seq>,
    pub(super) draft: Editor,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) me: UserId,
    pub(super) name: String,
    pub(super) server: String,
    pub(super) zone: TimeZone,
    pub(super) has_colour: bool,
    /// Columns and rows.
    pub(super) size: (u16, u16),
    pub(super) link: Link,
    pub(super) conversations: BTreeMap<ChannelId, Conversation>,
    pub(super) open: Option<ChannelId>,
    /// `None`: asked for.
    pub(super) names: HashMap<UserId, Option<String>>,
    pub(super) editor: Editor,
    pub(super) notice: Option<Notice>,
    pub(super) overlay: Option<Overlay>,
    pub(super) shows_members: bool,
    pub(super) is_ending: bool,
    /// The person has asked for it.
    pub(super) is_logging_out: bool,
    /// Texts that are being taken back, until the ack.
    pub(super) recalls: HashMap<SendId, Seq>,
    /// What was noted and has no ack.
    pub(super) noted: HashMap<SendId, Content>,
    /// Changes of groups without an ack.
    pub(super) changes: HashMap<SendId, ChannelId>,
    pub(super) asked: HashMap<RequestId, Ask>,
    pub(super) generation: Generation,
    pub(super) asks: VecDeque<Ask>,
    /// Conversations of which nobody knows yet when something was last said.
    pub(super) undated: VecDeque<ChannelId>,
    /// Partners whom the person is shown, and what they show.
    pub(super) presences: BTreeMap<UserId, u8>,
    /// Where the person types, as far as that was said.
    pub(super) typed_in: Option<ChannelId>,
}

impl Model {
    pub(super) fn new(me: UserId, name: &str, server: &str, zone: TimeZone) -> Self {
        Self {
            me,
            name: name.to_owned(),
            server: server.to_owned(),
            zone,
            has_colour: true,
            size: (80, 24),
            link: Link::Connecting,
            conversations: BTreeMap::new(),
            open: None,
            names: HashMap::from([(me, Some(name.to_owned()))]),
            editor: Editor::default(),
            notice: None,
            overlay: None,
            shows_members: false,
            is_ending: false,
            is_logging_out: false,
            recalls: HashMap::new(),
            noted: HashMap::new(),
            changes: HashMap::new(),
            asked: HashMap::new(),
            generation: Generation(0),
            asks: VecDeque::from([Ask::Channels { after: ChannelId(0) }]),
            undated: VecDeque::new(),
            presences: BTreeMap::new(),
            typed_in: None,
        }
    }

    /// Pinned ones first, then the newest.
    pub(super) fn order(&self) -> Vec<ChannelId> {
        let key = |one: &Conversation| {
            let pinned = Some(one.prefs.pinned).filter(|pinned| *pinned > 0).unwrap_or(u32::MAX);
            (pinned, std::cmp::Reverse(one.last_ms))
        };
        let is_shown = |one: &&ChannelId| {
            // One's own is there once something was saved, or it is open.
            let is_own = **one == ChannelId::own(self.me);
            !is_own
                || self.open == Some(**one)
                || self.conversations.get(one).is_some_and(|one| one.last_ms > 0)
        };
        let shown = self.conversations.iter().filter(|(id, _)| is_shown(id));
        let mut order: Vec<_> = shown.map(|(id, one)| (key(one), *id)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, id)| id).collect()
    }

    /// How conversations are to be shown and told of.
    pub(super) fn prefs(&self) -> BTreeMap<ChannelId, Prefs> {
        self.conversations.iter().map(|(id, one)| (*id, one.prefs)).collect()
    }

    pub(super) fn current(&self) -> Option<&Conversation> {
        self.conversations.get(&self.open?)
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut Conversation> {
        self.conversations.get_mut(&self.open?)
    }

    /// With whom a direct channel is.
    pub(super) fn partner(&self, channel: ChannelId) -> Option<UserId> {
        let (small, large) = channel.users()?;
        Some(if small == self.me { large } else { small })
    }

    /// Safe to show.
    pub(super) fn title(&self, channel: ChannelId) -> String {
        match self.partner(channel) {
            Some(user) if user == self.me => "Saved".to_owned(),
            Some(user) => self.name_of(user),
            None => {
                let name = self.conversations.get(&channel).map(|one| one.name.as_str());
                let name = name.filter(|name| !name.is_empty());
                name.map_or_else(|| format!("#{channel}"), |name| format!("#{}", shown(name)))
            }
        }
    }

    /// Safe to show; the id as long as the name is not known.
    pub(super) fn name_of(&self, user: UserId) -> String {
        match self.names.get(&user) {
            Some(Some(name)) => shown(name),
            _ => user.to_string(),
        }
    }

    /// Asks for a name once.
    pub(super) fn want_name(&mut self, user: UserId) {
        // Nobody: what was purged is of nobody any more.
        if user == UserId(0) {
            return;
        }
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
            self.names.insert(self.me, Some(self.name.clone()));
        }
        if let std::collections::hash_map::Entry::Vacant(place) = self.names.entry(user) {
            place.insert(None);
            self.asks.push_back(Ask::Name(user));
        }
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), is_trouble: false });
    }

    pub(super) fn complain(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), is_trouble: true });
    }

    /// Makes a conversation the one that is seen.
    pub(super) fn turn_to(&mut self, channel: ChannelId) {
        if self.open == Some(channel) {
            return;
        }
        let mut unsaid = std::mem::take(&mut self.editor);
        if let Some(old) = self.current_mut() {
            old.draft = std::mem::take(&mut unsaid);
            old.anchor = None;
            old.new_from = None;
            old.trim(UNSEEN_LOG_MAX, UNSEEN_LOG_BYTES_MAX);
        }
        if let Some(user) = self.partner(channel) {
            self.want_name(user);
        }
        let one = self.conversations.entry(channel).or_default();
        self.open = Some(channel);
        self.editor = std::mem::take(&mut one.draft);
        if self.editor.is_empty() {
            self.editor = unsaid;
        }
        one.new_from = (one.unread > 0).then(|| one.read.next());
        let must_load = one.from.is_none() && !one.is_loading;
        one.is_loading |= must_load;
        let has_draft = one.has_draft && self.editor.is_empty();
        if must_load {
            self.asks.push_back(Ask::Notes { channel, hidden: true, after: Seq(0) });
            self.asks.push_back(Ask::History { channel, before: None, limit: PAGE });
        }
        if has_draft {
            self.asks.push_back(Ask::Notes { channel, hidden: false, after: Seq(0) });
        }
        self.ask_members();
        self.ask_receipts();
        self.notice = None;
    }

    /// Of the current group, if they are to be seen.
    pub(super) fn ask_members(&mut self) {
        if let Some(channel) = self.open.filter(|channel| self.shows_members && channel.users().is_none()) {
            self.asks.push_back(Ask::Members { channel, after: UserId(0) });
        }
    }

    /// What follows from a change: call it when events and keys have been taken.
    pub(super) fn settle(&mut self) {
        self.mark_read();
        let under_way = |ask: &&Ask| matches!(ask, Ask::History { limit: 1, .. });
        let mut previews =
            self.asked.values().filter(under_way).count() + self.asks.iter().filter(under_way).count();
        while previews < PREVIEWS_MAX
            && let Some(channel) = self.undated.pop_front()
        {
            let is_undated = self.conversations.get(&channel).is_some_and(|one| one.last_ms == 0);
            if is_undated {
                self.asks.push_back(Ask::History { channel, before: None, limit: 1 });
                previews += 1;
            }
        }
    }

    /// Who sees the newest end has read it.
    fn mark_read(&mut self) {
        let is_up = self.link == Link::Connected;
        let Some(channel) = self.open else { return };
        let Some(one) = self.conversations.get_mut(&channel) else { return };
        if one.anchor.is_some() || one.from.is_none() {
            return;
        }
        one.unread = 0;
        one.counted.clear();
        if is_up && one.read < one.head && !one.is_left {
            one.read = one.head;
            self.asks.push_back(Ask::Read { channel, seq: one.head });
        }
    }

    /// Sends and changes without an ack.
    pub(super) fn unacked(&self) -> usize {
        self.changes.len() + self.conversations.values().map(|one| one.sending.len()).sum::<usize>()
    }

    /// Whether the server has all that it is to know.
    pub(super) fn is_settled(&self) -> bool {
        let reads = || self.asked.values().any(|ask| matches!(ask, Ask::Read { .. }));
        self.unacked() == 0 && !(self.link == Link::Connected && reads())
    }

    pub(super) fn groups(&self) -> BTreeMap<ChannelId, String> {
        let groups = self.conversations.iter().filter(|(channel, _)| channel.users().is_none());
        groups.map(|(channel, one)| (*channel, one.name.clone())).collect()
    }
}

/// A name that others gave, safe to show and not endless.
pub(super) fn shown(name: &str) -> String {
    text::cut(&text::one_line(name), NAME_COLUMNS_MAX)
}
