//! A drawn screen as text for golden files, and as SVG for the documentation.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Position;
use ratatui::style::{Color, Modifier};

use crate::terminal::text::clusters;

const CELL_WIDTH: f32 = 8.4;
const CELL_HEIGHT: f32 = 18.0;
const PAPER: &str = "#15181e";
const INK: &str = "#d5d9e0";

/// The cells of a row with their columns; those that a wide one covers are left out.
fn cells(buffer: &Buffer, y: u16) -> Vec<(u16, &Cell, u16)> {
    let (mut found, mut x) = (Vec::new(), 0);
    while x < buffer.area.width {
        let cell = &buffer[Position { x, y }];
        let width = clusters(cell.symbol()).map(|(_, width)| width).sum::<usize>();
        let width = u16::try_from(width).unwrap_or(1).max(1);
        found.push((x, cell, width));
        x += width;
    }
    found
}

/// Without spaces at the ends of rows.
pub(super) fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let row: String = cells(buffer, y).iter().map(|(_, cell, _)| cell.symbol()).collect();
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

pub(super) fn svg(buffer: &Buffer) -> String {
    let (width, height) =
        (f32::from(buffer.area.width) * CELL_WIDTH, f32::from(buffer.area.height) * CELL_HEIGHT);
    let (width, height) = (width + 16.0, height + 16.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"'DejaVu Sans Mono','Noto Sans Mono CJK KR',Menlo,Consolas,monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    for y in 0..buffer.area.height {
        row(&mut out, buffer, y);
    }
    out.push_str("</svg>\n");
    out
}

fn row(out: &mut String, buffer: &Buffer, y: u16) {
    let cells = cells(buffer, y);
    let top = 8.0 + f32::from(y) * CELL_HEIGHT;
    for run in cells.chunk_by(|one, other| one.1.bg == other.1.bg) {
        let [(x, cell, _), ..] = run else { continue };
        if cell.bg != Color::Reset {
            let width: f32 = run.iter().map(|(_, _, width)| f32::from(*width)).sum::<f32>() * CELL_WIDTH;
            let (x, fill) = (8.0 + f32::from(*x) * CELL_WIDTH, colour(cell.bg, PAPER));
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{top:.0}\" width=\"{width:.1}\" height=\"{CELL_HEIGHT}\" fill=\"{fill}\"/>"
            );
        }
    }
    // A wide letter stands by itself: fonts differ in how wide it is.
    let alike = |one: &(u16, &Cell, u16), other: &(u16, &Cell, u16)| {
        one.1.fg == other.1.fg && one.1.modifier == other.1.modifier && one.2 == 1 && other.2 == 1
    };
    for run in cells.chunk_by(alike) {
        let [(x, cell, _), ..] = run else { continue };
        let text: String = run.iter().map(|(_, cell, _)| cell.symbol()).collect();
        if text.trim().is_empty() {
            continue;
        }
        let columns: f32 = run.iter().map(|(_, _, width)| f32::from(*width)).sum();
        let lead = text.chars().take_while(|c| *c == ' ').count();
        let tail = text.trim_end().chars().count();
        let text = text.trim();
        let columns = if run.len() == 1 { columns } else { (tail - lead) as f32 };
        let (x, base) = (8.0 + (f32::from(*x) + lead as f32) * CELL_WIDTH, top + 13.5);
        let bold = if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{base:.1}\" fill=\"{}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\"{bold}>{}</text>",
            colour(cell.fg, INK),
            columns * CELL_WIDTH,
            escape(text)
        );
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace(['\u{2068}', '\u{2069}'], "")
}

fn colour(colour: Color, usual: &'static str) -> &'static str {
    match colour {
        Color::Blue => "#2f5fb3",
        Color::White => "#ffffff",
        Color::DarkGray => "#6f7785",
        Color::Cyan => "#4fc1d9",
        Color::Green => "#7cc36e",
        Color::Yellow => "#e0bd5a",
        Color::Magenta => "#c58fe0",
        Color::LightBlue => "#7fa8f0",
        Color::LightRed | Color::Red => "#ef7d75",
        Color::LightGreen => "#98d98c",
        Color::LightCyan => "#7fdbe8",
        _ => usual,
    }
}
