//! Text of others made safe to show. Whatever came from another (a name, a text, a group's or a device's name, words of an
//! error) passes here before it is drawn or printed: nothing in it moves the cursor, begins a line that looks like somebody
//! else's, or turns the direction of what stands beside it.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Characters of one cluster that are shown: the longest emoji sequences have about ten. A tower of marks would cover the
/// lines above it.
const CLUSTER_CHARS_MAX: usize = 16;
const TAB: &str = "    ";
/// Stands for a character that is not shown.
const HIDDEN: char = '\u{fffd}';
/// Carries a mark that has no letter before it.
const BARE_MARK: char = '\u{25cc}';
const FIRST_STRONG_ISOLATE: char = '\u{2068}';
const POP_ISOLATE: char = '\u{2069}';

/// The lines of a text, each safe by itself. There is at least one.
pub(super) fn lines(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    text.split(is_break).map(clean).collect()
}

/// All of it in one line: a break is shown as a sign.
pub(super) fn one_line(text: &str) -> String {
    lines(text).join("\u{23ce}")
}

/// The same for a terminal that takes text as it comes: kept apart from what stands beside it.
pub(super) fn apart(text: &str) -> String {
    isolated(&one_line(text))
}

/// Between isolates if its direction could matter to its neighbours. For a line that is clean, or a row of one.
pub(super) fn isolated(line: &str) -> String {
    let line = balance(line);
    if has_direction(&line) { format!("{FIRST_STRONG_ISOLATE}{line}{POP_ISOLATE}") } else { line }
}

/// Whether something in it runs from right to left, or says so.
pub(super) fn has_direction(line: &str) -> bool {
    line.chars().any(|c| {
        is_isolate_or_embedding(c)
            || matches!(c, '\u{200f}' | '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

/// Every character that ends a line somewhere.
fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_isolate_or_embedding(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line without controls, with balanced marks of direction, and with short clusters.
fn clean(line: &str) -> String {
    let balanced = balance(line);
    let mut out = String::with_capacity(balanced.len());
    for cluster in balanced.graphemes(true) {
        let is_bare = cluster.chars().next().is_some_and(|c| c.width() == Some(0) && !is_format(c));
        if is_bare {
            out.push(BARE_MARK);
        }
        for c in cluster.chars().take(CLUSTER_CHARS_MAX) {
            match c {
                '\t' => out.push_str(TAB),
                c if c.is_control() => out.push(HIDDEN),
                c => out.push(c),
            }
        }
    }
    out
}

/// Zero-width characters that need no letter before them.
fn is_format(c: char) -> bool {
    is_isolate_or_embedding(c)
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{61c}' | '\u{ad}')
}

/// Drops marks of direction that have no partner, and overrides always: letters in an order of one's own are a disguise.
/// After UAX #9, rules X5a to X7: the end of an isolate ends the embeddings within it.
fn balance(line: &str) -> String {
    let mut keep = Vec::new();
    let mut open: Vec<(usize, char)> = Vec::new();
    for (place, c) in line.chars().enumerate() {
        keep.push(!is_isolate_or_embedding(c));
        match c {
            '\u{202a}'..='\u{202b}' | '\u{202d}'..='\u{202e}' | '\u{2066}'..='\u{2068}' => {
                open.push((place, c))
            }
            '\u{202c}' => {
                if let Some((from, opener)) = open.pop_if(|(_, c)| !matches!(c, '\u{2066}'..='\u{2068}'))
                    && matches!(opener, '\u{202a}' | '\u{202b}')
                {
                    keep_both(&mut keep, from, place);
                }
            }
            POP_ISOLATE => {
                if let Some(at) = open.iter().rposition(|(_, c)| matches!(c, '\u{2066}'..='\u{2068}')) {
                    let from = open.get(at).map_or(place, |(from, _)| *from);
                    open.truncate(at);
                    keep_both(&mut keep, from, place);
                }
            }
            _ => {}
        }
    }
    line.chars().zip(keep).filter(|(_, keep)| *keep).map(|(c, _)| c).collect()
}

fn keep_both(keep: &mut [bool], one: usize, other: usize) {
    for place in [one, other] {
        if let Some(keep) = keep.get_mut(place) {
            *keep = true;
        }
    }
}

/// Columns that a clean line takes.
pub(super) fn width(line: &str) -> usize {
    clusters(line).map(|(_, width)| width).sum()
}

/// What is drawn as one, with its columns.
pub(super) fn clusters(line: &str) -> impl Iterator<Item = (&str, usize)> {
    line.graphemes(true).map(|cluster| (cluster, cluster.width()))
}

/// At most so many columns, the last of them a sign that something is left out.
pub(super) fn cut(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let (mut out, mut used) = (String::new(), 0);
    for (cluster, width) in clusters(line) {
        if used + width + 1 > columns {
            break;
        }
        out.push_str(cluster);
        used += width;
    }
    if columns > 0 {
        out.push('\u{2026}');
    }
    out
}

/// A clean line in rows of at most so many columns, broken behind a space where there is one in the row's second half.
pub(super) fn wrap(line: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let (mut rows, mut row, mut used) = (Vec::new(), String::new(), 0);
    for (cluster, width) in clusters(line) {
        if used + width > columns {
            let rest = behind_last_space(&row, columns);
            let rest = row.split_off(rest);
            rows.push(std::mem::replace(&mut row, rest));
            used = self::width(&row);
        }
        row.push_str(cluster);
        used += width;
    }
    rows.push(row);
    rows
}

/// The same, broken wherever a row is full: the rows of a part are the first rows of the whole.
pub(super) fn wrap_anywhere(line: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let (mut rows, mut row, mut used) = (Vec::new(), String::new(), 0);
    for (cluster, width) in clusters(line) {
        if used + width > columns {
            rows.push(std::mem::take(&mut row));
            used = 0;
        }
        row.push_str(cluster);
        used += width;
    }
    rows.push(row);
    rows
}

fn behind_last_space(row: &str, columns: usize) -> usize {
    let place = row.rfind(' ').map_or(row.len(), |at| at + 1);
    let is_late = row.get(..place).is_some_and(|head| width(head) * 2 > columns);
    if is_late { place } else { row.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_escapes_are_not_shown() {
        assert_eq!(one_line("a\x1b[2Jb\u{9b}31m\x07\x7f"), "a\u{fffd}[2Jb\u{fffd}31m\u{fffd}\u{fffd}");
        assert_eq!(one_line("a\tb"), "a    b");
        for c in (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32) {
            let shown = apart(&format!("x{c}y"));
            assert!(!shown.contains(|c: char| c.is_control()), "{c:?} -> {shown:?}");
        }
    }

    #[test]
    fn every_line_break_is_one() {
        for mark in ["\n", "\r", "\r\n", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{2029}"] {
            assert_eq!(lines(&format!("a{mark}b")), ["a", "b"], "{mark:?}");
            assert_eq!(one_line(&format!("a{mark}b")), "a\u{23ce}b");
        }
        assert_eq!(lines(""), [""]);
    }

    #[test]
    fn direction_stays_inside() {
        assert_eq!(apart("plain"), "plain");
        assert_eq!(apart("שלום"), "\u{2068}שלום\u{2069}");
        // An override is dropped, whether it is closed or not.
        assert_eq!(apart("a\u{202e}gpj.exe"), "agpj.exe");
        assert_eq!(apart("a\u{202e}x\u{202c}b"), "axb");
        // What has a partner stays, what has none goes, also across each other.
        assert_eq!(apart("\u{2067}x\u{2069}"), "\u{2068}\u{2067}x\u{2069}\u{2069}");
        assert_eq!(apart("x\u{2069}\u{202c}y"), "xy");
        assert_eq!(apart("\u{2067}\u{202b}x\u{2069}\u{202c}"), "\u{2068}\u{2067}x\u{2069}\u{2069}");
        // Each line is a paragraph: an isolate does not reach into the next.
        assert_eq!(lines("\u{2067}a\nb\u{2069}"), ["a", "b"]);
    }

    #[test]
    fn every_mix_of_marks_is_balanced() {
        let marks = ['a', '\u{202a}', '\u{202c}', '\u{202d}', '\u{2067}', '\u{2069}'];
        for mut number in 0..6_usize.pow(6) {
            let mut line = String::new();
            for _ in 0..6 {
                line.extend(marks.get(number % 6));
                number /= 6;
            }
            let (mut isolates, mut embeddings) = (0, 0);
            for c in balance(&line).chars() {
                match c {
                    '\u{2067}' => isolates += 1,
                    '\u{2069}' => isolates -= 1,
                    '\u{202a}' => embeddings += 1,
                    '\u{202c}' => embeddings -= 1,
                    c => assert_eq!(c, 'a'),
                }
                assert!(isolates >= 0 && embeddings >= 0, "{line:?}");
            }
            assert_eq!((isolates, embeddings), (0, 0), "{line:?}");
        }
    }

    #[test]
    fn marks_neither_tower_nor_hang_on_a_neighbour() {
        let tower = format!("a{}b", "\u{301}".repeat(1000));
        assert_eq!(one_line(&tower).chars().count(), CLUSTER_CHARS_MAX + 1);
        assert_eq!(one_line("\u{301}x"), "\u{25cc}\u{301}x");
    }

    #[test]
    fn columns_are_those_of_a_terminal() {
        for (text, columns) in
            [("ann", 3), ("안녕", 4), ("👩‍👩‍👧", 2), ("e\u{301}", 1), ("a\u{200b}b", 2), ("🇰🇷", 2)]
        {
            assert_eq!(width(text), columns, "{text}");
        }
        assert_eq!(cut("안녕하세요", 5), "안녕…");
        assert_eq!(cut("ann", 3), "ann");
        assert_eq!(cut("anna", 0), "");
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("안녕하세요", 5), ["안녕", "하세", "요"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("abcdefgh", 0), ["ab", "cd", "ef", "gh"]);
    }
}
