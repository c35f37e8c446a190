//! What a person sees.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use protocol::body::list::ChannelDetail;
use protocol::body::message::{ROLE_ADMIN, ROLE_OWNER};
use protocol::body::session::Reject;
use protocol::body::sync::{ChannelItem, MemberItem};
use protocol::commit::{Notify, Prefs};
use protocol::{ChannelId, Code, Cursor, Generation, SendId, Seq, UserId};

use super::super::command::{
    own_words, recalled_words, remark_words, role_word, rule_words, ruled_user, rules_lines,
};
use super::super::input::is_terminal;
use super::super::text::{self, apart, isolated};
use super::Person;
use crate::session::{About, ChannelList, Content, Event, History, Message, Rules};

/// Columns of a name.
const NAME_COLUMNS_MAX: usize = 40;
/// Columns of what was said last.
const PREVIEW_COLUMNS: usize = 40;

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) has_colour: bool,
}

impl Paint {
    pub(super) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn wrap(self, style: &str, text: &str) -> String {
        if self.has_colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Person {
    pub(super) async fn show(&mut self, event: Event) -> io::Result<()> {
        if matches!(
            event,
            Event::History(_)
                | Event::Channels { .. }
                | Event::List { .. }
                | Event::Members { .. }
                | Event::Rules { .. }
                | Event::Thread(_)
                | Event::Mentions { .. }
                | Event::Said { .. }
                | Event::OwnPresence { request: Some(_), .. }
                | Event::Rejected { about: About::Request(_), .. }
        ) {
            self.answers_due = self.answers_due.saturating_sub(1);
        }
        match event {
            Event::Connected(welcome) => {
                self.is_connected = true;
                self.generation = Generation(welcome.generation);
                self.say(&format!("Connected as {}.", name(&self.name)))
            }
            Event::Resync { generation, at } => {
                // Nothing is held here that could be of another life; what is unread was asked for at the login.
                self.generation = generation;
                self.shown_before.clear();
                self.complete(Cursor { generation, at });
                Ok(())
            }
            Event::Complete { to, .. } => {
                self.complete(Cursor { generation: self.generation, at: to });
                Ok(())
            }
            Event::Disconnected { .. } if self.is_connected => {
                self.is_connected = false;
                self.say("The connection is lost; trying again.")
            }
            Event::GoingAway { .. } => self.say("The server pauses; the connection comes back by itself."),
            Event::Message(message) => self.show_message(&message).await,
            Event::Ack { send_id, channel, seq, time_ms } => {
                self.is_shown(channel, seq);
                self.is_newest(channel, seq);
                if let Some(content) = self.noted.remove(&send_id) {
                    self.sends.remove(&send_id);
                    return self.show_note(&content).await;
                }
                self.show_ack(send_id, time_ms).await
            }
            Event::History(history) => self.show_history(history).await,
            Event::Channels { items, .. } => self.show_channels(items).await,
            Event::List { list, .. } => self.show_list(list).await,
            Event::Members { channel, items, .. } => self.show_members(channel, items).await,
            Event::Rules { rules, .. } => self.show_rules(&rules).await,
            Event::Thread(thread) => self.show_thread(thread).await,
            Event::Said { about, .. } => self.show_said(&about).await,
            Event::Mentions { items, unread, .. } => self.show_mentions(items, unread).await,
            Event::OwnPresence { own, .. } => self.say(&own_words(&own)),
            Event::Rejected { about, reject } => self.show_rejected(about, &reject),
            Event::Untrusted { place, fault } => {
                let (place, fault) = (apart(&place), apart(&fault));
                self.say(&format!("{place} is not trusted: {fault}. Nothing is sent; trying again."))
            }
            Event::HelloRejected(reject) => self.say(&format!("The server said no: {}", apart(&reject.text))),
            _ => Ok(()),
        }
    }

    fn show_rejected(&mut self, about: About, reject: &Reject) -> io::Result<()> {
        if let About::Send(id) = about {
            self.noted.remove(&id);
        }
        let what = match about {
            About::Send(id) => match self.sends.remove(&id) {
                Some((_, Some(text))) => format!("Not sent: {}", text::cut(&apart(&text), 40)),
                _ => "Not done".to_owned(),
            },
            _ => "Not answered".to_owned(),
        };
        let code = Code::from_number(reject.code).map_or("unknown", Code::word);
        self.say(&format!("{what} ({code}: {})", apart(&reject.text)))
    }

    fn complete(&self, cursor: Cursor) {
        if let Some(state) = self.start.state_of(&self.name) {
            state.complete(cursor);
        }
    }

    fn is_shown(&self, channel: ChannelId, seq: Seq) {
        if let Some(state) = self.start.state_of(&self.name) {
            state.shown(channel, seq);
        }
    }

    /// What the person typed stands on the screen already; a script's output gets it.
    async fn show_ack(&mut self, send_id: SendId, time_ms: u64) -> io::Result<()> {
        match self.sends.remove(&send_id) {
            Some((channel, Some(text))) if !is_terminal() => {
                let place = self.place(channel).await;
                self.show_text(time_ms, &place, "you", &text)
            }
            _ => Ok(()),
        }
    }

    /// Every row but the first is indented and marked: it cannot be taken for a message of somebody else.
    fn show_text(&self, time_ms: u64, place: &str, who: &str, text: &str) -> io::Result<()> {
        let head = text::width(&format!("00:00 {place}{who}: "));
        let rows = text::lines(text).iter().flat_map(|line| self.rows(line, head.max(8))).collect::<Vec<_>>();
        let (first, rest) =
            rows.split_first().map_or((String::new(), &[][..]), |(first, rest)| (isolated(first), rest));
        self.line(&format!("{} {place}{}: {first}", self.time(time_ms), self.paint.bold(who)))?;
        rest.iter().try_for_each(|row| self.line(&format!("      | {}", isolated(row))))
    }

    /// `[where] ` when it is not the current conversation.
    async fn place(&mut self, channel: ChannelId) -> String {
        if self.current == Some(channel) {
            return String::new();
        }
        let title = self.title(channel).await;
        format!("[{title}] ")
    }

    async fn show_message(&mut self, message: &Message) -> io::Result<()> {
        match &message.content {
            Content::Created { name, .. } | Content::Renamed(name) => {
                self.groups.insert(message.channel, name.clone());
            }
            Content::Prefs { .. } | Content::Draft { .. } | Content::Hidden { .. } => {
                self.is_shown(message.channel, message.seq);
                return self.show_note(&message.content).await;
            }
            _ => {}
        }
        self.is_newest(message.channel, message.seq);
        if self.shown_before.get(&message.channel).is_some_and(|last| message.seq <= *last) {
            return Ok(());
        }
        let place = self.place(message.channel).await;
        self.show_one(&place, message).await?;
        self.is_shown(message.channel, message.seq);
        Ok(())
    }

    pub(super) async fn show_one(&mut self, place: &str, message: &Message) -> io::Result<()> {
        let who = self.name_of(message.sender).await;
        let change = match &message.content {
            Content::Text(text) => {
                let text = format!("{}{text}", self.marks(message).await);
                return self.show_text(message.time_ms, place, &who, &text);
            }
            Content::Created { name: group, members } => {
                let with = self.names_of(members).await;
                format!("{who} made the group #{} with {with}", name(group))
            }
            Content::Added(users) => format!("{who} added {}", self.names_of(users).await),
            Content::Invited(users) => format!("{who} invited {}", self.names_of(users).await),
            Content::Joined => format!("{who} joined"),
            Content::Grown => format!("{who} made the group a large channel"),
            Content::Erased => format!("{who} was erased: nothing that they wrote here is kept"),
            Content::Removed(user) => format!("{who} removed {}", self.name_of(*user).await),
            Content::Left => format!("{who} left"),
            Content::Renamed(group) => format!("{who} renamed the group to #{}", name(group)),
            // What is noted is no message to show.
            Content::Prefs { .. } | Content::Draft { .. } | Content::Hidden { .. } => return Ok(()),
            Content::About { target, remark } => remark_words(&who, *target, remark),
            Content::Recalled { target, .. } if *target != message.seq => return Ok(()),
            Content::Recalled { user, .. } => recalled_words(&who, &self.name_of(*user).await, *user),
            Content::Role { member, role } => {
                format!("{who} made {} {}", self.name_of(*member).await, role_word(*role))
            }
            rule @ (Content::Muted { .. }
            | Content::Banned(_)
            | Content::Unbanned(_)
            | Content::Slowed(_)) => {
                let of = match ruled_user(rule) {
                    Some(user) => self.name_of(user).await,
                    None => String::new(),
                };
                rule_words(&who, rule, |_| of.clone()).unwrap_or_default()
            }
        };
        let rows = self.rows(&change, text::width(place).max(2) + 8);
        let (first, rest) = rows.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let first = self.paint.dim(&format!("* {}", isolated(first)));
        self.line(&format!("{} {place}{first}", self.time(message.time_ms)))?;
        rest.iter().try_for_each(|row| self.line(&self.paint.dim(&format!("      | {}", isolated(row)))))
    }

    async fn show_history(&mut self, history: History) -> io::Result<()> {
        let more = history.place.map_or(history.more, |place| place.more_before);
        let from = if more { history.from } else { Seq(0) };
        self.shown_from.insert(history.channel, from);
        self.is_newest(history.channel, history.head);
        let title = self.title(history.channel).await;
        if history.messages.is_empty() {
            return self.say(&format!("Nothing was said in {title} before."));
        }
        self.say(&format!("{title}, messages {} to {}:", history.from, history.to))?;
        for message in &history.messages {
            self.show_one(&format!("[{}] ", message.seq), message).await?;
        }
        if more { self.say("/history shows more.") } else { self.say("That is all.") }
    }

    async fn show_channels(&mut self, items: Vec<ChannelItem>) -> io::Result<()> {
        let is_asked = std::mem::take(&mut self.wants_channels);
        for item in &items {
            if ChannelId(item.channel).users().is_none() {
                self.groups.insert(ChannelId(item.channel), item.name.clone());
            }
        }
        if items.is_empty() && is_asked {
            return self.say("No conversations yet; begin with /to NAME.");
        }
        for item in items.iter().filter(|item| is_asked || item.unread > 0) {
            let title = self.title(ChannelId(item.channel)).await;
            let left = if item.member { "" } else { " (no longer a member)" };
            self.say(&format!("{title}: {} messages, {} unread{left}", item.head, item.unread))?;
        }
        Ok(())
    }

    fn is_newest(&mut self, channel: ChannelId, seq: Seq) {
        let newest = self.newest.entry(channel).or_default();
        *newest = seq.max(*newest);
    }

    /// The newest first, each with what was said last.
    async fn show_list(&mut self, list: ChannelList) -> io::Result<()> {
        let mut items = Vec::with_capacity(list.items.len());
        for (item, detail) in list.items {
            let channel = ChannelId(item.channel);
            self.prefs.insert(channel, prefs_of(&detail));
            self.is_newest(channel, Seq(item.head));
            if channel.users().is_none() {
                self.groups.insert(channel, item.name.clone());
            }
            items.push((item, detail));
        }
        if items.is_empty() {
            return self.say("No conversations yet; begin with /to NAME.");
        }
        for (item, detail) in items {
            let title = self.title(ChannelId(item.channel)).await;
            let left = if item.member { "" } else { " (no longer a member)" };
            let marks = marks(&detail, super::super::chat::now_ms());
            let last = match detail.text.as_str() {
                "" => String::new(),
                text => {
                    let who = self.name_of(UserId(detail.last_sender)).await;
                    format!(" | {who}: {}", text::cut(&apart(text), PREVIEW_COLUMNS))
                }
            };
            let (head, unread) = (item.head, item.unread);
            self.say(&format!("{title}: {head} messages, {unread} unread{left}{marks}{last}"))?;
        }
        if list.more { self.say("These are the newest.") } else { Ok(()) }
    }

    /// Says what one of the user's devices has noted.
    async fn show_note(&mut self, content: &Content) -> io::Result<()> {
        match content {
            Content::Prefs { about, prefs } => {
                let (about, prefs) = (*about, *prefs);
                self.prefs.insert(about, prefs);
                let title = self.title(about).await;
                let muted =
                    if prefs.muted_until_ms > super::super::chat::now_ms() { "muted" } else { "not muted" };
                let pinned = if prefs.pinned > 0 { "pinned" } else { "not pinned" };
                self.say(&format!("{title} is {muted} and {pinned}."))
            }
            Content::Draft { about, text, .. } => {
                let title = self.title(*about).await;
                match text.as_str() {
                    "" => self.say(&format!("No draft for {title} any more.")),
                    text => {
                        self.say(&format!("Draft for {title}: {}", text::cut(&apart(text), PREVIEW_COLUMNS)))
                    }
                }
            }
            Content::Hidden { about, from, through } => {
                let title = self.title(*about).await;
                self.say(&format!("Hidden in {title}: messages {from} to {through}."))
            }
            _ => Ok(()),
        }
    }

    async fn show_rules(&mut self, rules: &Rules) -> io::Result<()> {
        let title = self.title(rules.channel).await;
        let mut names = BTreeMap::new();
        for item in &rules.items {
            let user = UserId(item.user);
            names.insert(user, self.name_of(user).await);
        }
        let now_ms = super::super::chat::now_ms();
        let name = |user| names.get(&user).cloned().unwrap_or_default();
        self.say(&format!("{title}: {}", rules_lines(rules, now_ms, name).join("; ")))
    }

    async fn show_members(&mut self, channel: ChannelId, items: Vec<MemberItem>) -> io::Result<()> {
        let title = self.title(channel).await;
        let mut names = Vec::with_capacity(items.len());
        for item in items {
            let name = self.name_of(UserId(item.user)).await;
            names.push(match item.role {
                ROLE_OWNER | ROLE_ADMIN => format!("{name} ({})", role_word(item.role)),
                _ => name,
            });
        }
        self.say(&format!("{title}: {}", names.join(", ")))
    }

    pub(super) fn time(&self, time_ms: u64) -> String {
        let local = i64::try_from(time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let text = local.map_or_else(
            || "--:--".to_owned(),
            |at| at.to_zoned(TimeZone::system()).strftime("%H:%M").to_string(),
        );
        self.paint.dim(&text)
    }
}

fn prefs_of(detail: &ChannelDetail) -> Prefs {
    Prefs {
        muted_until_ms: detail.muted_until_ms,
        pinned: detail.pinned,
        marked_unread: detail.marked_unread,
        notify: Notify::from_number(detail.notify).unwrap_or_default(),
        archived: detail.archived,
    }
}

fn marks(detail: &ChannelDetail, now_ms: u64) -> String {
    let marks = [
        (detail.pinned > 0, " pinned"),
        (detail.muted_until_ms > now_ms, " muted"),
        (detail.has_draft, " draft"),
        (detail.archived, " archived"),
        (detail.marked_unread, " marked unread"),
    ];
    let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    if marks.is_empty() { marks } else { format!(" ({})", marks.trim_start()) }
}

/// A name that others gave, safe to show, and not so long that it could be taken for more.
pub(super) fn name(name: &str) -> String {
    isolated(&text::cut(&text::one_line(name), NAME_COLUMNS_MAX))
}
