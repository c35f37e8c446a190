//! What the connection tells, and what commands answer, into the model.

use protocol::body::sync::{ChannelItem, MemberItem};
use protocol::{ChannelId, Code, Cursor, Generation, SendId, Seq, UserId};

use super::model::{Ask, COUNTED_MAX, Conversation, LOG_BYTES_MAX, LOG_MAX, Link, Model, Overlay, PAGE};
use super::own::{is_note, preview, preview_of};
use crate::session::{About, Content, Event, History, Message, Remark, RequestId, Rules};
use crate::terminal::command::{
    Outcome, own_words, recalled_words, remark_words, role_word, rule_words, rules_lines,
};
use crate::terminal::text::{cut, one_line};

impl Model {
    /// One event of the connection.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Connected(welcome) => {
                self.link = Link::Connected;
                self.generation = Generation(welcome.generation);
                // Those that could not be found out without the server.
                // Nobody tells what changed meanwhile.
                self.ask_receipts();
                let partners: Vec<_> =
                    self.conversations.keys().filter_map(|one| self.partner(*one)).collect();
                partners.into_iter().for_each(|user| self.want_name(user));
            }
            Event::Disconnected { .. } => {
                if self.link == Link::Connected {
                    self.link = Link::Reconnecting;
                }
            }
            Event::GoingAway { .. } => self.say("The server pauses; the connection comes back by itself."),
            Event::Untrusted { place, fault } => self.complain(format!(
                "{} is not trusted: {}. Nothing is sent; trying again.",
                one_line(&place),
                one_line(&fault)
            )),
            Event::HelloRejected(reject) => {
                self.complain(format!("The server said no: {}", one_line(&reject.text)))
            }
            Event::Resync { generation, at } => self.take_resync(generation, at),
            Event::Complete { to, .. } => {
                let generation = self.generation;
                self.asks.push_back(Ask::Keep(Cursor { generation, at: to }));
            }
            Event::Message(message) => self.take_message(message),
            Event::Ack { send_id, channel, seq, time_ms } => self.take_ack(send_id, channel, seq, time_ms),
            Event::History(history) => self.take_history(history),
            Event::Channels { request, items, more } => self.take_channels(request, items, more),
            Event::List { request, list } => self.take_list(request, list),
            Event::Notes { request, drafts, hidden, more } => self.take_notes(request, drafts, &hidden, more),
            Event::Members { request, channel, items, more, .. } => {
                self.take_members(request, channel, items, more);
            }
            Event::Rules { rules, .. } => self.take_rules(&rules),
            Event::Thread(thread) => self.take_thread(thread),
            Event::Said { about, .. } => self.take_said(&about),
            Event::Mentions { items, unread, .. } => self.take_mentions(&items, &unread),
            Event::Receipts { request, channel, items, more } => {
                if let Some(request) = request {
                    self.asked.remove(&request);
                }
                self.take_receipts(channel, &items, more);
            }
            // What is missing of a large channel is read when it is opened.
            Event::Heads(_) => {}
            Event::Typing { channel, user, types } => self.take_typing(channel, user, types),
            Event::Presence { items, .. } => self.take_presence(&items),
            Event::OwnPresence { request: Some(_), own } => self.say(own_words(&own)),
            // The terminal does not ask where its user is told by push.
            Event::OwnPresence { request: None, .. } | Event::Push { .. } => {}
            Event::Done(request) => {
                self.asked.remove(&request);
            }
            Event::Rejected { about, reject } => self.take_reject(about, reject),
            Event::Live
            | Event::LoggedOut(_)
            | Event::TokenDue
            | Event::Reauthed
            | Event::Dead
            | Event::Reconnect => {}
        }
    }

    fn take_rules(&mut self, rules: &Rules) {
        rules.items.iter().for_each(|item| self.want_name(UserId(item.user)));
        let lines = rules_lines(rules, crate::terminal::chat::now_ms(), |user| self.name_of(user));
        self.overlay = Some(Overlay { title: "Rules of this group".into(), lines, skipped: 0 });
    }

    fn take_members(&mut self, request: RequestId, channel: ChannelId, items: Vec<MemberItem>, more: bool) {
        let is_first = matches!(self.asked.remove(&request), Some(Ask::Members { after: UserId(0), .. }));
        if let (true, Some(last)) = (more, items.last()) {
            self.asks.push_back(Ask::Members { channel, after: UserId(last.user) });
        }
        items.iter().for_each(|item| self.want_name(UserId(item.user)));
        let one = self.conversations.entry(channel).or_default();
        if is_first {
            one.members.clear();
        }
        one.members.extend(items);
    }

    /// What is held may be of another life of the inbox: all is read anew.
    fn take_resync(&mut self, generation: Generation, at: protocol::InboxSeq) {
        self.generation = generation;
        for one in self.conversations.values_mut() {
            one.log.clear();
            one.log_bytes = 0;
            (one.from, one.anchor, one.is_whole, one.is_loading) = (None, None, false, false);
            (one.head, one.read, one.new_from, one.last_ms) = (Seq(0), Seq(0), None, 0);
        }
        self.asks.push_back(Ask::Channels { after: ChannelId(0) });
        if let Some(channel) = self.open {
            if let Some(one) = self.current_mut() {
                one.is_loading = true;
            }
            self.asks.push_back(Ask::History { channel, before: None, limit: PAGE });
        }
        // The screen holds nothing of the life before any more.
        self.asks.push_back(Ask::Keep(Cursor { generation, at }));
    }

    fn take_message(&mut self, message: Message) {
        self.learn(&message);
        if is_note(&message.content) {
            let one = self.conversations.entry(message.channel).or_default();
            one.head = one.head.max(message.seq);
            return self.take_note(&message.content);
        }
        if let Content::About { target, remark: Remark::Recalled } = message.content {
            self.take_recall(message.channel, target, (message.seq, message.sender, message.time_ms));
        }
        if message.content == Content::Erased {
            self.conversations.entry(message.channel).or_default().erase(&message);
        }
        let (channel, me) = (message.channel, self.me);
        let is_seen = self.open == Some(channel) && self.current().is_some_and(|one| one.anchor.is_none());
        let one = self.conversations.entry(channel).or_default();
        one.last_ms = one.last_ms.max(message.time_ms);
        if message.seq > one.head {
            one.head = message.seq;
            one.preview = preview(&message).or_else(|| one.preview.take());
            let counts = matches!(message.content, Content::Text(_)) && message.sender != me;
            if counts && !is_seen {
                one.unread += 1;
                one.counted.push_back(message.seq);
                if one.counted.len() > COUNTED_MAX {
                    one.counted.pop_front();
                }
            }
        }
        let changes_members = !matches!(message.content, Content::Text(_) | Content::About { .. });
        one.change(&message, me);
        // What was not read yet comes by history when it is opened; a page that is on its way may be too old for this.
        if one.from.is_some() || one.is_loading {
            one.insert(message);
            one.trim(LOG_MAX, LOG_BYTES_MAX);
        }
        if changes_members && self.open == Some(channel) {
            self.ask_members();
        }
    }

    /// A text was recalled, by whom and when.
    fn take_recall(&mut self, channel: ChannelId, target: Seq, by: (Seq, UserId, u64)) {
        self.conversations.entry(channel).or_default().recall(target, by);
    }

    /// Names that a message needs.
    pub(super) fn learn(&mut self, message: &Message) {
        self.want_name(message.sender);
        if let Some(user) = message.talk.as_ref().and_then(|talk| talk.forwarded_from) {
            self.want_name(user);
        }
        if let Some(user) = self.partner(message.channel) {
            self.want_name(user);
        }
        match &message.content {
            Content::Created { members: users, .. } | Content::Added(users) | Content::Invited(users) => {
                users.iter().for_each(|user| self.want_name(*user));
            }
            Content::Removed(user) | Content::Role { member: user, .. } | Content::Recalled { user, .. } => {
                self.want_name(*user);
            }
            Content::Muted { member: user, .. } | Content::Banned(user) | Content::Unbanned(user) => {
                self.want_name(*user);
            }
            Content::Text(_)
            | Content::Joined
            | Content::Grown
            | Content::Erased
            | Content::Left
            | Content::Renamed(_)
            | Content::Slowed(_) => {}
            Content::About { .. } => {}
            Content::Prefs { .. } | Content::Draft { .. } | Content::Hidden { .. } => {}
        }
    }

    fn take_ack(&mut self, send_id: SendId, channel: ChannelId, seq: Seq, time_ms: u64) {
        self.changes.remove(&send_id);
        if let Some(target) = self.recalls.remove(&send_id) {
            self.take_recall(channel, target, (seq, self.me, time_ms));
        }
        if let Some(content) = self.noted.remove(&send_id) {
            return self.take_note(&content);
        }
        let me = self.me;
        let is_open = self.open == Some(channel);
        let one = self.conversations.entry(channel).or_default();
        one.last_ms = one.last_ms.max(time_ms);
        one.head = one.head.max(seq);
        if let Some(place) = one.sending.iter().position(|sending| sending.send_id == send_id) {
            let content = Content::Text(one.sending.remove(place).text);
            one.preview = preview_of(me, &content).or_else(|| one.preview.take());
            if one.from.is_some() || one.is_loading {
                one.insert(Message { channel, seq, time_ms, sender: me, send_id, content, talk: None });
                one.trim(LOG_MAX, LOG_BYTES_MAX);
            }
        } else if one.from.is_some() {
            // The ack of a change does not say what it changed: history does.
            self.asks.push_back(Ask::History { channel, before: None, limit: PAGE });
        }
        if is_open && channel.users().is_none() {
            self.ask_members();
        }
    }

    fn take_history(&mut self, history: History) {
        let ask = self.asked.remove(&history.request);
        if let Some(Ask::Around { channel, .. }) = ask {
            return self.show_around(channel, &history);
        }
        history.messages.iter().for_each(|message| self.learn(message));
        let me = self.me;
        let one = self.conversations.entry(history.channel).or_default();
        one.head = one.head.max(history.head);
        if let Some(last) = history.messages.last() {
            one.last_ms = one.last_ms.max(last.time_ms);
        }
        let Some(Ask::History { before, limit, .. }) = ask else { return };
        if limit == 1 {
            return;
        }
        one.is_loading &= before.is_none() && one.from.is_some();
        match (before, one.from) {
            // The newest, once more, for a change of one's own: nothing is missing between it and what is held.
            (None, Some(_)) => {}
            // A page of what was dropped since does not join what is held.
            (before, from) if before != from => return,
            _ => {
                one.is_whole = !history.more;
                one.from = Some(if history.more { history.from } else { Seq(1) });
            }
        }
        for message in history.messages {
            one.change(&message, me);
            one.insert(message);
        }
    }

    pub(super) fn take_channels(&mut self, request: RequestId, items: Vec<ChannelItem>, more: bool) {
        self.asked.remove(&request);
        if let (true, Some(last)) = (more, items.last()) {
            self.asks.push_back(Ask::Channels { after: ChannelId(last.channel) });
        }
        self.watch_partners(&items);
        for item in items {
            let channel = ChannelId(item.channel);
            if let Some(user) = self.partner(channel) {
                self.want_name(user);
            }
            let one = self.conversations.entry(channel).or_default();
            // What came since the list was made counts besides.
            one.counted.retain(|seq| seq.0 > item.head);
            one.unread = item.unread + one.counted.len() as u64;
            one.head = one.head.max(Seq(item.head));
            one.read = one.read.max(Seq(item.read));
            one.is_left = !item.member;
            if one.name.is_empty() {
                one.name = item.name;
            }
            if one.last_ms == 0 && item.head > 0 {
                self.undated.push_back(channel);
            }
        }
    }

    fn take_reject(&mut self, about: About, reject: protocol::body::session::Reject) {
        let code = Code::from_number(reject.code).map_or("unknown", Code::word);
        let what = match about {
            About::Send(send_id) => {
                self.changes.remove(&send_id);
                self.noted.remove(&send_id);
                self.recalls.remove(&send_id);
                let mut said = None;
                for one in self.conversations.values_mut() {
                    if let Some(place) = one.sending.iter().position(|sending| sending.send_id == send_id) {
                        said = Some(one.sending.remove(place).text);
                    }
                }
                said.map_or_else(
                    || "Not done".into(),
                    |text| format!("Not sent: {}", cut(&one_line(&text), 30)),
                )
            }
            About::Request(request) => {
                match self.asked.remove(&request) {
                    Some(Ask::History { channel, limit, .. }) if limit > 1 => {
                        let one = self.conversations.entry(channel).or_default();
                        one.is_loading = false;
                        // Nothing was said there yet: it begins with what comes.
                        if one.head == Seq(0) && one.from.is_none() {
                            (one.from, one.is_whole) = (Some(Seq(1)), true);
                            return;
                        }
                    }
                    // What is read is told again with the next message; nobody needs to know.
                    Some(Ask::Read { .. } | Ask::History { .. } | Ask::Receipts { .. }) => return,
                    _ => {}
                }
                "Not answered".into()
            }
            About::Other(_) => "Refused".to_owned(),
        };
        self.complain(format!("{what} ({code}: {})", one_line(&reject.text)));
    }

    /// What became of a command.
    pub(super) fn take_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Said(text) => self.say(text),
            Outcome::Lines { title, lines } => self.overlay = Some(Overlay { title, lines, skipped: 0 }),
            Outcome::Opened(channel) => self.turn_to(channel),
            Outcome::Made { send_id, channel, name } => {
                self.changes.insert(send_id, channel);
                let one = self.conversations.entry(channel).or_default();
                if one.name.is_empty() {
                    one.name = name;
                }
                // It does not exist at the server before the ack: there is no history to ask for, and it begins here.
                self.open_new(channel);
            }
            Outcome::Sent { send_id, channel } => {
                self.changes.insert(send_id, channel);
            }
            Outcome::Recalled { send_id, channel, target } => {
                self.changes.insert(send_id, channel);
                self.recalls.insert(send_id, target);
            }
            Outcome::Noted { send_id, content } => {
                self.noted.insert(send_id, content);
            }
            Outcome::Jump { channel, around } => self.asks.push_back(Ask::Around { channel, around }),
            Outcome::Left { send_id, channel } => {
                self.changes.insert(send_id, channel);
                if self.open == Some(channel) {
                    self.open = None;
                }
            }
            Outcome::Secret(mut lines) => {
                lines.push("Then type /twofactor code and the six digits that the app shows.".into());
                self.overlay = Some(Overlay { title: "Second factor".into(), lines, skipped: 0 });
            }
            // The loop ends with the one, the other has its event.
            Outcome::LoggedOut | Outcome::Asked => {}
        }
    }

    fn open_new(&mut self, channel: ChannelId) {
        let one = self.conversations.entry(channel).or_default();
        if one.head == Seq(0) && one.from.is_none() && !one.is_loading {
            (one.from, one.is_whole) = (Some(Seq(1)), true);
        }
        self.turn_to(channel);
    }

    /// What a message that changes a group says, safe to show.
    pub(super) fn change_words(&self, message: &Message) -> Option<String> {
        let who = self.name_of(message.sender);
        let names =
            |users: &[UserId]| users.iter().map(|user| self.name_of(*user)).collect::<Vec<_>>().join(", ");
        Some(match &message.content {
            Content::Text(_) | Content::Prefs { .. } | Content::Draft { .. } | Content::Hidden { .. } => {
                return None;
            }
            Content::Created { name, members } => {
                let name = super::model::shown(name);
                if members.is_empty() {
                    format!("{who} made the group #{name}")
                } else {
                    format!("{who} made the group #{name} with {}", names(members))
                }
            }
            Content::Added(users) => format!("{who} added {}", names(users)),
            Content::Invited(users) => format!("{who} invited {}", names(users)),
            Content::Joined => format!("{who} joined"),
            Content::Grown => format!("{who} made the group a large channel"),
            Content::Erased => format!("{who} was erased"),
            Content::Removed(user) => format!("{who} removed {}", self.name_of(*user)),
            Content::Left => format!("{who} left"),
            Content::About { target, remark } => remark_words(&who, *target, remark),
            Content::Recalled { user, .. } => recalled_words(&who, &self.name_of(*user), *user),
            Content::Renamed(name) => format!("{who} renamed the group to #{}", super::model::shown(name)),
            Content::Role { member, role } => {
                format!("{who} made {} {}", self.name_of(*member), role_word(*role))
            }
            rule @ (Content::Muted { .. }
            | Content::Banned(_)
            | Content::Unbanned(_)
            | Content::Slowed(_)) => return rule_words(&who, rule, |user| self.name_of(user)),
        })
    }
}

impl Conversation {
    /// What a message says of the group itself. An older one says nothing about now.
    fn change(&mut self, message: &Message, me: UserId) {
        if message.seq < self.head {
            return;
        }
        match &message.content {
            Content::Created { name, .. } | Content::Renamed(name) => self.name.clone_from(name),
            Content::Removed(user) | Content::Banned(user) if *user == me => self.is_left = true,
            Content::Left if message.sender == me => self.is_left = true,
            Content::Joined if message.sender == me => self.is_left = false,
            Content::Added(users) if users.contains(&me) => self.is_left = false,
            _ => {}
        }
    }

    pub(super) fn insert(&mut self, mut message: Message) {
        // What is noted is nothing to read, and what the user has hidden nothing to show; nor is an edit of what was recalled.
        let is_hidden = |(from, through): &(Seq, Seq)| (*from..=*through).contains(&message.seq);
        if is_note(&message.content) || self.hidden.iter().any(is_hidden) {
            return;
        }
        if is_recalled_edit(&message) {
            if let Some(old) = self.log.remove(&message.seq) {
                self.log_bytes = self.log_bytes.saturating_sub(size(&old));
            }
            return;
        }
        // A page may be older than the recall that it shows nothing of.
        let recall = self.log.values().find_map(|other| match &other.content {
            Content::About { target, remark: Remark::Recalled } if *target == message.seq => {
                Some((other.seq, other.sender, other.time_ms))
            }
            Content::Erased if is_written_by(&message, other) => {
                Some((other.seq, other.sender, other.time_ms))
            }
            _ => None,
        });
        if let Some((by, user, time_ms)) = recall {
            message.content = Content::Recalled { target: message.seq, by, user, time_ms };
        }
        self.log_bytes += size(&message);
        if let Some(old) = self.log.insert(message.seq, message) {
            self.log_bytes = self.log_bytes.saturating_sub(size(&old));
        }
    }

    /// A text was recalled: it and its edits are not shown any more.
    pub(super) fn recall(&mut self, recalled: Seq, (by, user, time_ms): (Seq, UserId, u64)) {
        let is_edit = |message: &Message| matches!(&message.content, Content::About { target, remark: Remark::Edited(_) } if *target == recalled);
        for (_, old) in self.log.extract_if(.., |_, message| is_edit(message)) {
            self.log_bytes = self.log_bytes.saturating_sub(size(&old));
        }
        if let Some(message) = self.log.get_mut(&recalled) {
            self.log_bytes = self.log_bytes.saturating_sub(size(message));
            message.content = Content::Recalled { target: recalled, by, user, time_ms };
            message.talk = None;
            self.log_bytes += size(message);
        }
        // The list shows the newest text that is known to be there still.
        self.preview = self.log.values().rev().find_map(preview);
    }

    /// A user was erased: what it wrote before is not shown any more.
    fn erase(&mut self, by: &Message) {
        let written: Vec<Seq> = self
            .log
            .values()
            .filter(|message| is_written_by(message, by))
            .map(|message| message.seq)
            .collect();
        for seq in written {
            self.recall(seq, (by.seq, by.sender, by.time_ms));
        }
    }

    /// What the user does not want to see is gone, and stays so.
    pub(super) fn hide(&mut self, from: Seq, through: Seq) {
        self.hidden.push((from, through));
        for (_, old) in self.log.extract_if(from..=through, |_, _| true) {
            self.log_bytes = self.log_bytes.saturating_sub(size(&old));
        }
    }

    /// Drops the oldest when there are too many, unless somebody reads there. What is dropped can be read again.
    pub(super) fn trim(&mut self, most: usize, most_bytes: usize) {
        if self.anchor.is_some() {
            return;
        }
        while self.log.len() > 1 && (self.log.len() > most || self.log_bytes > most_bytes) {
            if let Some((_, old)) = self.log.pop_first() {
                self.log_bytes = self.log_bytes.saturating_sub(size(&old));
            }
            self.is_whole = false;
            // What a page that is on its way joins is not known yet.
            if self.from.is_some() {
                self.from = self.log.first_key_value().map(|(seq, _)| *seq);
            }
        }
    }
}

/// Whether the message is a text that an erasure takes.
fn is_written_by(message: &Message, erasure: &Message) -> bool {
    let is_before = message.sender == erasure.sender && message.seq < erasure.seq;
    is_before && matches!(message.content, Content::Text(_))
}

fn is_recalled_edit(message: &Message) -> bool {
    matches!(message.content, Content::Recalled { target, .. } if target != message.seq)
}

fn size(message: &Message) -> usize {
    match &message.content {
        Content::Text(text) => text.len(),
        _ => 100,
    }
}
