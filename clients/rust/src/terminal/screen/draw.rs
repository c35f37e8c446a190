//! The screen as a function of the model.

use protocol::ChannelId;
use protocol::UserId;
use protocol::body::message::{ROLE_ADMIN, ROLE_OWNER};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use super::layout::{Places, Row, RowKind, gutter, places, rows};
use super::model::{Link, Model, Overlay};
use crate::terminal::text;

const NAME_COLOURS: [Color; 6] =
    [Color::Cyan, Color::Green, Color::Yellow, Color::Magenta, Color::LightBlue, Color::LightRed];
/// Below this nothing is shown of what was said last.
const PREVIEW_COLUMNS_MIN: u16 = 8;
const BAR: &str = "\u{2502}";

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    if area.width == 0 || area.height == 0 {
        return;
    }
    let places = places(model, area);
    let pen = Pen { has_colour: model.has_colour };
    let buffer = frame.buffer_mut();
    header(buffer, pen, model, places.header);
    list(buffer, pen, model, places.list, &places);
    conversation(buffer, pen, model, &places);
    members(buffer, pen, model, places.members);
    notice(buffer, pen, model, places.notice);
    let place = input(buffer, pen, model, places.input);
    match &model.overlay {
        Some(overlay) => above(buffer, pen, overlay, area),
        None => frame.set_cursor_position(place),
    }
}

/// Colours, or none.
#[derive(Clone, Copy)]
struct Pen {
    has_colour: bool,
}

impl Pen {
    fn colour(self, colour: Color) -> Style {
        if self.has_colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn dim(self) -> Style {
        if self.has_colour {
            Style::new().fg(Color::DarkGray)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// A line across: of the header, of what is chosen.
    fn bar(self) -> Style {
        if self.has_colour {
            Style::new().fg(Color::White).bg(Color::Blue).add_modifier(Modifier::BOLD)
        } else {
            Style::new().add_modifier(Modifier::REVERSED)
        }
    }

    fn of(self, user: u64) -> Style {
        let place =
            usize::try_from(protocol::partition::mix64(user) % NAME_COLOURS.len() as u64).unwrap_or(0);
        self.colour(NAME_COLOURS.get(place).copied().unwrap_or(Color::Cyan)).add_modifier(Modifier::BOLD)
    }
}

/// Writes a clean line at a place of the row, within so many columns, and says how many it took. What runs from right to left
/// is isolated: the marks ride on the first and the last cell, as a terminal keeps them with the letters there.
fn put(buffer: &mut Buffer, x: u16, y: u16, columns: u16, line: &str, style: Style) -> u16 {
    let line = text::cut(line, usize::from(columns));
    let (mut at, mut last) = (x, None);
    let is_isolated = text::has_direction(&line);
    for (cluster, width) in text::clusters(&line) {
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        // What takes no column has no cell: a mark of direction, a joiner without a partner.
        if width == 0 || at - x + width > columns {
            continue;
        }
        let Some(cell) = buffer.cell_mut(Position { x: at, y }) else { break };
        if is_isolated && last.is_none() {
            cell.set_symbol(&format!("\u{2068}{cluster}"));
        } else {
            cell.set_symbol(cluster);
        }
        cell.set_style(style);
        last = Some(at);
        for covered in at + 1..at + width {
            if let Some(cell) = buffer.cell_mut(Position { x: covered, y }) {
                cell.reset();
                cell.set_style(style);
            }
        }
        at += width;
    }
    if let Some(cell) = last.filter(|_| is_isolated).and_then(|x| buffer.cell_mut(Position { x, y })) {
        let symbol = format!("{}\u{2069}", cell.symbol());
        cell.set_symbol(&symbol);
    }
    at - x
}

fn fill(buffer: &mut Buffer, area: Rect, style: Style) {
    for y in area.y..area.y + area.height {
        // Half of a wide letter cannot be covered.
        if let Some(cell) = area.x.checked_sub(1).and_then(|x| buffer.cell_mut(Position { x, y }))
            && text::width(cell.symbol()) > 1
        {
            cell.set_symbol(" ");
        }
        for x in area.x..area.x + area.width {
            if let Some(cell) = buffer.cell_mut(Position { x, y }) {
                cell.reset();
                cell.set_style(style);
            }
        }
    }
}

/// A line down a column.
fn wall(buffer: &mut Buffer, pen: Pen, x: u16, area: Rect) {
    for y in area.y..area.y + area.height {
        put(buffer, x, y, 1, BAR, pen.dim());
    }
}

/// Right-aligned within so many columns.
fn put_right(buffer: &mut Buffer, x: u16, y: u16, columns: u16, line: &str, style: Style) {
    let line = text::cut(line, usize::from(columns));
    let width = u16::try_from(text::width(&line)).unwrap_or(columns).min(columns);
    put(buffer, x + columns - width, y, width, &line, style);
}

fn header(buffer: &mut Buffer, pen: Pen, model: &Model, area: Rect) {
    if area.height == 0 {
        return;
    }
    let style = pen.bar();
    fill(buffer, area, style);
    let (sign, word) = match model.link {
        _ if model.is_ending => ("\u{25cb}", "ending, when all is sent"),
        Link::Connected => ("\u{25cf}", "connected"),
        Link::Connecting => ("\u{25cb}", "connecting"),
        Link::Reconnecting => ("\u{25cb}", "reconnecting"),
    };
    let name = super::model::shown(&model.name);
    let (x, y) = (area.x, area.y);
    let left = format!(" maru  {sign} {word}");
    let used = put(buffer, x, y, area.width, &left, style);
    let room = area.width.saturating_sub(used + 2);
    let unread: u64 = model.conversations.values().map(|one| one.unread).sum();
    let unread = if unread > 0 { format!("{unread} unread  ") } else { String::new() };
    let server = text::one_line(&model.server);
    let all = format!("{unread}{name} at {server}  F1 help ");
    let right = if text::width(&all) <= usize::from(room) { all } else { format!("{name} ") };
    put_right(buffer, area.x + used + 2, y, room, &right, style);
}

fn list(buffer: &mut Buffer, pen: Pen, model: &Model, area: Rect, places: &Places) {
    if area.width == 0 {
        return;
    }
    if area.width < places.header.width {
        wall(buffer, pen, area.x + area.width, area);
    }
    let order = model.order();
    if order.is_empty() {
        put(buffer, area.x + 1, area.y, area.width.saturating_sub(1), "No conversations yet.", pen.dim());
        return;
    }
    let height = usize::from(area.height);
    let chosen = order.iter().position(|channel| Some(*channel) == model.open).unwrap_or(0);
    let skipped = (chosen + 1).saturating_sub(height);
    for (channel, y) in order.iter().skip(skipped).zip(area.y..area.y + area.height) {
        list_row(buffer, pen, model, *channel, Rect { y, height: 1, ..area });
    }
}

fn list_row(buffer: &mut Buffer, pen: Pen, model: &Model, channel: ChannelId, area: Rect) {
    let Some(one) = model.conversations.get(&channel) else { return };
    let is_open = model.open == Some(channel);
    let style = match (is_open, one.unread > 0) {
        (true, _) => pen.bar(),
        (false, true) => pen.bold(),
        (false, false) if one.is_left => pen.dim(),
        (false, false) => Style::new(),
    };
    if is_open {
        fill(buffer, area, style);
    }
    let count = match one.unread {
        0 => String::new(),
        unread @ 1..1000 => format!(" {unread} "),
        _ => " 999+ ".into(),
    };
    let width = u16::try_from(count.len()).unwrap_or(0).min(area.width);
    let title = model.title(channel);
    if let Some((dot, colour)) = model.dot(channel) {
        put(buffer, area.x, area.y, 1, dot, if is_open { style } else { pen.colour(colour) });
    }
    let room = area.width.saturating_sub(width + 2);
    let mut used = put(buffer, area.x + 1, area.y, room, &title, style);
    let dim = if is_open { style } else { pen.dim() };
    let signs = super::own::signs(&one.prefs, one.has_draft);
    if !signs.is_empty() && used + 2 < room {
        used += 1 + put(buffer, area.x + 2 + used, area.y, room - used - 1, &signs, dim);
    }
    // What was said last, where there is room for a word or two.
    if let Some((who, text)) = &one.preview
        && used + PREVIEW_COLUMNS_MIN < room
    {
        let text = if *who == model.me { format!("you: {text}") } else { text.clone() };
        put(buffer, area.x + 2 + used, area.y, room - used - 1, &text, dim);
    }
    let style = if is_open { style } else { pen.colour(Color::Yellow).add_modifier(Modifier::BOLD) };
    put(buffer, area.x + area.width - width, area.y, width, &count, style);
}

fn conversation(buffer: &mut Buffer, pen: Pen, model: &Model, places: &Places) {
    let (title, area) = (places.title, places.messages);
    if area.width == 0 || area.height == 0 {
        return;
    }
    let Some(channel) = model.open else { return welcome(buffer, pen, area) };
    if title.height > 0 {
        let name = model.title(channel);
        let used = put(buffer, title.x + 1, title.y, title.width.saturating_sub(1), &name, pen.bold());
        let about = match model.current() {
            Some(one) if one.is_left => "no longer a member".to_owned(),
            Some(one) if one.anchor.is_some() => "older messages; End goes to the newest".to_owned(),
            Some(one) if !one.members.is_empty() => format!("{} members", one.members.len()),
            _ => String::new(),
        };
        let room = title.width.saturating_sub(used + 4);
        put_right(buffer, title.x + used + 3, title.y, room, &about, pen.dim());
    }
    let seen = rows(model, channel, usize::from(area.width), usize::from(area.height));
    let first = area.y + area.height - u16::try_from(seen.len()).unwrap_or(area.height).min(area.height);
    for (row, y) in seen.iter().zip(first..area.y + area.height) {
        message_row(buffer, pen, row, Rect { y, height: 1, ..area });
    }
}

fn message_row(buffer: &mut Buffer, pen: Pen, row: &Row, area: Rect) {
    let (time_columns, who_columns) = gutter(usize::from(area.width));
    let columns = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let (time_columns, who_columns) = (columns(time_columns), columns(who_columns));
    if row.kind == RowKind::Rule {
        let style = if row.text == "new" { pen.colour(Color::Red) } else { pen.dim() };
        return rule(buffer, area, &row.text, style);
    }
    let who_x = area.x + time_columns + u16::from(time_columns > 0);
    let (time, who, who_style, style) = match &row.kind {
        RowKind::First { time, who, user } => (time.as_str(), who.as_str(), pen.of(*user), Style::new()),
        RowKind::Change { time } => (time.as_str(), "*", pen.dim(), pen.dim()),
        RowKind::ChangeRest => ("", "", pen.dim(), pen.dim()),
        RowKind::Sending { who } => ("", who.as_str(), pen.dim(), pen.dim()),
        RowKind::Rest | RowKind::Rule => ("", "", Style::new(), Style::new()),
    };
    let is_sending = matches!(row.kind, RowKind::Sending { .. });
    let time = if is_sending { "  \u{2026}" } else { time };
    put(buffer, area.x, area.y, time_columns, time, pen.dim());
    put_right(buffer, who_x, area.y, who_columns.min(area.width), who, who_style);
    let bar = who_x + who_columns + 1;
    if bar < area.x + area.width {
        put(buffer, bar, area.y, 1, BAR, pen.dim());
    }
    let left = (bar + 2).min(area.x + area.width);
    put(buffer, left, area.y, area.x + area.width - left, &row.text, style);
}

/// `── words ──────`
fn rule(buffer: &mut Buffer, area: Rect, words: &str, style: Style) {
    for x in area.x..area.x + area.width {
        put(buffer, x, area.y, 1, "\u{2500}", style);
    }
    let words = format!(" {words} ");
    let width = u16::try_from(text::width(&words)).unwrap_or(area.width).min(area.width);
    put(buffer, area.x + (area.width - width) / 2, area.y, width, &words, style);
}

fn welcome(buffer: &mut Buffer, pen: Pen, area: Rect) {
    let lines = [
        "Ctrl+N opens the first conversation, Tab one with",
        "something unread, and /to NAME begins one.",
        "",
        "F1 shows keys and commands.",
    ];
    for (line, y) in lines.iter().zip(area.y + area.height / 3..area.y + area.height) {
        let room = area.width.saturating_sub(2);
        put(buffer, area.x + 2.min(area.width), y, room, line, pen.dim());
    }
}

fn members(buffer: &mut Buffer, pen: Pen, model: &Model, area: Rect) {
    if area.width == 0 || area.height == 0 {
        return;
    }
    wall(buffer, pen, area.x - 1, area);
    let Some(one) = model.current() else { return };
    let room = area.width.saturating_sub(2);
    let title = format!("Members ({})", one.members.len());
    put(buffer, area.x + 1, area.y, room, &title, pen.bold());
    for (item, y) in one.members.iter().zip(area.y + 1..area.y + area.height) {
        let role = match item.role {
            ROLE_OWNER => " owner",
            ROLE_ADMIN => " admin",
            _ => "",
        };
        let columns = room.saturating_sub(u16::try_from(role.len()).unwrap_or(0));
        let used = put(buffer, area.x + 1, y, columns, &model.name_of(UserId(item.user)), pen.of(item.user));
        put(buffer, area.x + 1 + used, y, room - used.min(room), role, pen.dim());
    }
}

fn notice(buffer: &mut Buffer, pen: Pen, model: &Model, area: Rect) {
    if area.height == 0 {
        return;
    }
    for x in area.x..area.x + area.width {
        put(buffer, x, area.y, 1, "\u{2500}", pen.dim());
    }
    let counted = model.editor.chars();
    let (words, style) = match &model.notice {
        Some(notice) if notice.is_trouble => (notice.text.clone(), pen.colour(Color::LightRed)),
        Some(notice) => (notice.text.clone(), pen.colour(Color::LightGreen)),
        None if counted >= 1000 => (format!("{counted} characters"), pen.dim()),
        None => match model.typing_words() {
            Some(words) => (words, pen.dim()),
            None => return,
        },
    };
    let words = format!(" {words} ");
    put(buffer, area.x + 1, area.y, area.width.saturating_sub(2), &words, style);
}

/// Gives the place of the cursor.
fn input(buffer: &mut Buffer, pen: Pen, model: &Model, area: Rect) -> Position {
    let columns = usize::from(area.width.saturating_sub(2).max(2));
    let (lines, (row, column)) = model.editor.rows(columns);
    let height = usize::from(area.height).max(1);
    let skipped = (row + 1).saturating_sub(height);
    put(buffer, area.x, area.y, 1, if skipped > 0 { "\u{2191}" } else { ">" }, pen.bold());
    let style = if model.editor.is_command() { pen.colour(Color::LightCyan) } else { Style::new() };
    for (line, y) in lines.iter().skip(skipped).zip(area.y..area.y + area.height) {
        put(buffer, area.x + 2.min(area.width), y, area.width.saturating_sub(2), line, style);
    }
    let x = area.x + u16::try_from(column + 2).unwrap_or(u16::MAX).min(area.width.saturating_sub(1));
    let y = area.y + u16::try_from(row - skipped).unwrap_or(0).min(area.height.saturating_sub(1));
    Position { x, y }
}

fn above(buffer: &mut Buffer, pen: Pen, overlay: &Overlay, area: Rect) {
    let widest = overlay
        .lines
        .iter()
        .map(|line| text::width(line))
        .max()
        .unwrap_or(0)
        .max(text::width(&overlay.title) + 2);
    let width = u16::try_from(widest + 4).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(overlay.lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    if width < 4 || height < 3 {
        return;
    }
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    fill(buffer, place, Style::new());
    frame(buffer, pen, place);
    put(buffer, place.x + 2, place.y, width - 4, &format!(" {} ", overlay.title), pen.bold());
    let inner = usize::from(height - 2);
    let more = overlay.lines.len() > inner;
    let foot = if more { " PgDn, PgUp, Esc " } else { " Esc " };
    put(buffer, place.x + 2, place.y + height - 1, width - 4, foot, pen.dim());
    for (line, y) in overlay.lines.iter().skip(overlay.skipped).zip(place.y + 1..place.y + height - 1) {
        put(buffer, place.x + 2, y, width - 4, line, Style::new());
    }
}

fn frame(buffer: &mut Buffer, pen: Pen, area: Rect) {
    let (right, bottom) = (area.x + area.width - 1, area.y + area.height - 1);
    let style = pen.colour(Color::Blue);
    for x in area.x + 1..right {
        put(buffer, x, area.y, 1, "\u{2500}", style);
        put(buffer, x, bottom, 1, "\u{2500}", style);
    }
    for y in area.y + 1..bottom {
        put(buffer, area.x, y, 1, BAR, style);
        put(buffer, right, y, 1, BAR, style);
    }
    for (x, y, corner) in [
        (area.x, area.y, "\u{256d}"),
        (right, area.y, "\u{256e}"),
        (area.x, bottom, "\u{2570}"),
        (right, bottom, "\u{256f}"),
    ] {
        put(buffer, x, y, 1, corner, style);
    }
}
