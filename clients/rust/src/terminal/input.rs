//! Standard input, line by line, on a thread of its own: a blocked read must hold up neither the connection nor the end.

use std::io::{BufRead, IsTerminal, Read, stdin};

use tokio::sync::mpsc;

/// Longest line: the longest text with every character as an escape, and some.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Lines read ahead.
const LINES_WAITING_MAX: usize = 64;
/// A terminal gives a line of at most 4,096 bytes, its end among them, and drops the rest without a word (termios(3)).
const TERMINAL_LINE_BYTES_MAX: usize = 4095;
const CUT: &str = "the terminal cuts lines at 4,095 bytes, so this one is not sent: paste it into the whole-screen client (without --plain), or give it through a pipe";

/// One line of input, without its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    Text(String),
    /// Above the limit, or not UTF-8: says which.
    Bad(&'static str),
}

pub(super) fn read_lines() -> mpsc::Receiver<Line> {
    let (lines, received) = mpsc::channel(LINES_WAITING_MAX);
    let is_terminal = is_terminal();
    std::thread::spawn(move || {
        let mut input = stdin().lock();
        while let Some(line) = read_line(&mut input) {
            let line = if is_terminal { whole(line) } else { line };
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    received
}

fn read_line(input: &mut impl BufRead) -> Option<Line> {
    let mut bytes = Vec::new();
    let limit = LINE_BYTES_MAX as u64 + 1;
    input.by_ref().take(limit).read_until(b'\n', &mut bytes).ok().filter(|read| *read > 0)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if bytes.len() > LINE_BYTES_MAX {
        skip_line(input)?;
        return Some(Line::Bad("the line is longer than 4 MiB"));
    }
    Some(String::from_utf8(bytes).map_or(Line::Bad("the line is not UTF-8"), Line::Text))
}

/// A line that the terminal may have cut is refused: half of it must not be sent.
fn whole(line: Line) -> Line {
    match line {
        Line::Text(text) if text.len() >= TERMINAL_LINE_BYTES_MAX => Line::Bad(CUT),
        // It may have been cut within a character.
        Line::Bad(_) => Line::Bad("the line is not UTF-8, or was cut by the terminal at 4,095 bytes"),
        line => line,
    }
}

fn skip_line(input: &mut impl BufRead) -> Option<()> {
    loop {
        let available = input.fill_buf().ok()?;
        let (taken, is_end) = match available.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (available.len(), available.is_empty()),
        };
        input.consume(taken);
        if is_end {
            return Some(());
        }
    }
}

pub(super) fn is_terminal() -> bool {
    stdin().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_the_terminal_cut_is_refused() {
        let line = |len| Line::Text("x".repeat(len));
        assert_eq!(whole(line(TERMINAL_LINE_BYTES_MAX - 1)), line(TERMINAL_LINE_BYTES_MAX - 1));
        assert_eq!(whole(line(TERMINAL_LINE_BYTES_MAX)), Line::Bad(CUT));
    }

    #[test]
    fn lines_are_bounded_and_the_next_one_is_whole() {
        let mut input = vec![b'x'; LINE_BYTES_MAX + 10];
        input.extend_from_slice(b"\nnext\n\xff\nlast");
        let mut input = input.as_slice();
        assert!(matches!(read_line(&mut input), Some(Line::Bad(_))));
        assert_eq!(read_line(&mut input), Some(Line::Text("next".into())));
        assert_eq!(read_line(&mut input), Some(Line::Bad("the line is not UTF-8")));
        assert_eq!(read_line(&mut input), Some(Line::Text("last".into())));
        assert_eq!(read_line(&mut input), None);
    }
}
