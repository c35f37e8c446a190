//! Standard input, line by line, on a thread of its own: a blocked read must hold up neither the connection nor the end.

use std::io::{BufRead, IsTerminal, Read, stdin};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// Longest line: the longest text with every character as an escape, and some.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Lines read ahead.
const LINES_WAITING_MAX: usize = 64;

/// One line of input, without its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    Text(String),
    /// Above the limit, or not UTF-8: says which.
    Bad(&'static str),
}

pub(super) fn read_lines() -> mpsc::Receiver<Line> {
    let (lines, received) = mpsc::channel(LINES_WAITING_MAX);
    std::thread::spawn(move || {
        let mut input = stdin().lock();
        while let Some(line) = read_line(&mut input) {
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

/// Shows what is typed, or not. Without a terminal there is nothing to show.
pub(super) fn set_echo(on: bool) {
    let input = stdin();
    let Ok(mut modes) = tcgetattr(&input) else { return };
    modes.local_modes.set(LocalModes::ECHO, on);
    // A terminal that refuses shows the password to the one who types it; nothing else is lost.
    let _ = tcsetattr(&input, OptionalActions::Now, &modes);
}

#[cfg(test)]
mod tests {
    use super::*;

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
