//! Where things stand, and which rows of a conversation are seen. Drawing and scrolling ask the same functions, so a page up
//! is a page of what is drawn.

use jiff::Timestamp;
use protocol::{ChannelId, Seq};
use ratatui::layout::Rect;

use super::model::{Anchor, Ask, Conversation, LOG_BYTES_MAX, LOG_MAX, Model, PAGE};
use crate::session::{Content, Message};
use crate::terminal::text;

/// Below this the list of conversations is not beside the messages.
const LIST_FROM_COLUMNS: u16 = 60;
const MEMBERS_FROM_COLUMNS: u16 = 76;
/// Columns of the names beside messages.
const WHO_COLUMNS_MAX: usize = 14;
const TEXT_COLUMNS_MIN: usize = 4;

/// The parts of the screen. A part without room is empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Places {
    pub(super) header: Rect,
    pub(super) list: Rect,
    pub(super) title: Rect,
    pub(super) messages: Rect,
    pub(super) members: Rect,
    pub(super) notice: Rect,
    pub(super) input: Rect,
}

pub(super) fn places(model: &Model, area: Rect) -> Places {
    let (width, height) = (area.width, area.height);
    let mut places = Places { header: Rect { height: 1.min(height), ..area }, ..Places::default() };
    let most = (height / 3).clamp(1, 10);
    let columns = usize::from(width).saturating_sub(2).max(2);
    let rows = u16::try_from(model.editor.rows(columns).0.len()).unwrap_or(u16::MAX).clamp(1, most);
    let input = rows.min(height.saturating_sub(1));
    let bottom = area.y + height;
    places.input = Rect { y: bottom - input, height: input, ..area };
    let notice = u16::from(height > input + 2);
    places.notice = Rect { y: places.input.y - notice, height: notice, ..area };
    let body =
        Rect { y: area.y + places.header.height, height: height.saturating_sub(1 + input + notice), ..area };
    let has_list = width >= LIST_FROM_COLUMNS || model.open.is_none();
    let list = match width {
        0..LIST_FROM_COLUMNS if has_list => width,
        0..LIST_FROM_COLUMNS => 0,
        LIST_FROM_COLUMNS..100 => 20,
        100..120 => 24,
        _ => 34,
    };
    places.list = Rect { width: list, ..body };
    let is_group = model.open.is_some_and(|channel| channel.users().is_none());
    let members =
        if model.shows_members && is_group && width >= MEMBERS_FROM_COLUMNS { 16.max(width / 9) } else { 0 };
    // One column beside each pane is a line.
    let left = if list > 0 && list < width { list + 1 } else { list };
    let right = if members > 0 { members + 1 } else { 0 };
    let middle = Rect { x: body.x + left, width: width.saturating_sub(left + right), ..body };
    let title = u16::from(middle.height > 2);
    places.title = Rect { height: title, ..middle };
    places.messages = Rect { y: middle.y + title, height: middle.height - title, ..middle };
    places.members = Rect { x: area.x + width - members, width: members, ..body };
    places
}

/// One row of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) kind: RowKind,
    pub(super) text: String,
    /// Of which message, and how many of its rows are below.
    pub(super) of: Option<Anchor>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum RowKind {
    /// A line through the pane.
    Rule,
    /// The first of a message: when and who.
    First {
        time: String,
        who: String,
        user: u64,
    },
    /// What follows of one: it has neither time nor name.
    Rest,
    /// A change of the group.
    Change {
        time: String,
    },
    ChangeRest,
    /// What has no ack yet.
    Sending {
        who: String,
    },
}

/// Columns left of a text: of the time, of the name.
pub(super) fn gutter(columns: usize) -> (usize, usize) {
    match columns {
        0..20 => (0, 4),
        20..36 => (0, 8),
        36..50 => (5, 8),
        50..60 => (5, 10),
        _ => (5, WHO_COLUMNS_MAX),
    }
}

/// Columns of a text.
pub(super) fn text_columns(columns: usize) -> usize {
    let (time, who) = gutter(columns);
    // A space behind the time and each side of the bar.
    columns.saturating_sub(time + usize::from(time > 0) + who + 3).max(TEXT_COLUMNS_MIN)
}

/// The last rows up to the anchor, at most so many; the newest is last.
pub(super) fn rows(model: &Model, channel: ChannelId, columns: usize, most: usize) -> Vec<Row> {
    let Some(one) = model.conversations.get(&channel) else { return Vec::new() };
    let mut up = Vec::new();
    if one.anchor.is_none() {
        for sending in one.sending.iter().rev() {
            push_up(&mut up, sending_rows(&sending.text, columns));
            if up.len() >= most {
                break;
            }
        }
    }
    let from = one.from.unwrap_or(Seq(0));
    let to = one.anchor.map_or(Seq(u64::MAX), |anchor| anchor.seq);
    if from <= to {
        for (seq, message) in one.log.range(from..=to).rev() {
            if up.len() >= most {
                break;
            }
            let mut rows = message_rows(model, one, message, columns);
            if let Some(anchor) = one.anchor.filter(|anchor| anchor.seq == *seq) {
                rows.truncate(rows.len() - anchor.below.min(rows.len() - 1));
            }
            push_up(&mut up, rows);
        }
    }
    if up.len() < most {
        let text = match (one.is_loading, one.is_whole) {
            (true, _) => "reading",
            (false, true) => "the beginning",
            (false, false) => "",
        };
        if !text.is_empty() {
            up.push(Row { kind: RowKind::Rule, text: text.into(), of: None });
        }
    }
    up.truncate(most);
    up.reverse();
    up
}

fn push_up(up: &mut Vec<Row>, rows: Vec<Row>) {
    up.extend(rows.into_iter().rev());
}

fn sending_rows(text: &str, columns: usize) -> Vec<Row> {
    let rows = wrapped(text, columns).into_iter().enumerate();
    rows.map(|(place, text)| {
        let kind = if place == 0 { RowKind::Sending { who: "you".into() } } else { RowKind::Rest };
        Row { kind, text, of: None }
    })
    .collect()
}

fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = text_columns(columns);
    text::lines(text).iter().flat_map(|line| text::wrap(line, columns)).collect()
}

/// At least one.
fn message_rows(model: &Model, one: &Conversation, message: &Message, columns: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let before = one.log.range(..message.seq).next_back().map(|(_, message)| message);
    let day = day(model, message.time_ms);
    if before.is_none_or(|before| self::day(model, before.time_ms) != day) {
        rows.push((RowKind::Rule, day));
    }
    if one.new_from == Some(message.seq) {
        rows.push((RowKind::Rule, "new".into()));
    }
    let time = format_time(model, message.time_ms, "%H:%M");
    match &message.content {
        Content::Text(text) => {
            let who = if message.sender == model.me {
                format!("you {}", one.ticks(message))
            } else {
                model.name_of(message.sender)
            };
            let user = message.sender.0;
            let said = format!("{}{text}", model.marks(message));
            let mut first = Some(RowKind::First { time, who, user });
            rows.extend(
                wrapped(&said, columns).into_iter().map(|text| (first.take().unwrap_or(RowKind::Rest), text)),
            );
        }
        _ => {
            let words = model.change_words(message).unwrap_or_default();
            let mut first = Some(RowKind::Change { time });
            let wrapped = text::wrap(&words, text_columns(columns));
            rows.extend(wrapped.into_iter().map(|text| (first.take().unwrap_or(RowKind::ChangeRest), text)));
        }
    }
    let (seq, all) = (message.seq, rows.len());
    let rows = rows.into_iter().enumerate();
    rows.map(|(place, (kind, text))| Row { kind, text, of: Some(Anchor { seq, below: all - 1 - place }) })
        .collect()
}

fn day(model: &Model, time_ms: u64) -> String {
    format_time(model, time_ms, "%A, %e %B %Y")
}

fn format_time(model: &Model, time_ms: u64, format: &str) -> String {
    let at = i64::try_from(time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| at.to_zoned(model.zone.clone()).strftime(format).to_string())
}

impl Model {
    fn pane(&self) -> (usize, usize) {
        let area = Rect { x: 0, y: 0, width: self.size.0, height: self.size.1 };
        let messages = places(self, area).messages;
        (usize::from(messages.width), usize::from(messages.height))
    }

    /// Rows of the pane of messages.
    pub(super) fn pane_rows(&self) -> usize {
        self.pane().1
    }

    /// Towards the older; reads on where what is held ends.
    pub(super) fn scroll_up(&mut self, by: usize) {
        let (columns, height) = self.pane();
        let Some(channel) = self.open else { return };
        let seen = rows(self, channel, columns, height + by + height);
        let hidden = seen.len().saturating_sub(height);
        let target = seen.len().saturating_sub(by.min(hidden)).saturating_sub(1);
        // What has no ack yet cannot hold the view: the next message above it does.
        let anchor = seen.get(..=target).and_then(|seen| seen.iter().rev().find_map(|row| row.of));
        let Some(one) = self.current_mut() else { return };
        if hidden > 0 && anchor.is_some() {
            one.anchor = anchor;
        }
        let is_near = hidden < by + height;
        if let (true, false, false, Some(from)) = (is_near, one.is_whole, one.is_loading, one.from)
            && one.log.len() < LOG_MAX
            && one.log_bytes < LOG_BYTES_MAX
        {
            one.is_loading = true;
            self.asks.push_back(Ask::History { channel, before: Some(from), limit: PAGE });
        }
    }

    /// Towards the newer.
    pub(super) fn scroll_down(&mut self, mut by: usize) {
        let (columns, _) = self.pane();
        while let Some(one) = self.current()
            && let Some(Anchor { seq, below }) = one.anchor
        {
            let anchor = if below >= by {
                Some(Anchor { seq, below: below - by })
            } else {
                let next = one.log.range(seq.next()..).next();
                next.map(|(seq, message)| Anchor {
                    seq: *seq,
                    below: message_rows(self, one, message, columns).len(),
                })
            };
            let is_last = anchor.is_some_and(|anchor| {
                anchor.below == 0 && one.log.range(anchor.seq.next()..).next().is_none()
            });
            let Some(one) = self.current_mut() else { return };
            one.anchor = anchor.filter(|_| !is_last);
            if below >= by {
                return;
            }
            by -= below;
        }
    }
}
