//! The line that is being written, which may have several.

use protocol::limits::TEXT_CHARS_MAX;
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::terminal::text;

/// A text and the place in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Editor {
    text: String,
    /// A byte, between two clusters.
    at: usize,
}

impl Editor {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn chars(&self) -> usize {
        self.text.chars().count()
    }

    /// Puts text in; all of it or, where there would be too much, nothing.
    pub(super) fn insert(&mut self, new: &str) -> Result<(), String> {
        let new = new.replace("\r\n", "\n").replace('\r', "\n");
        let chars = self.chars() + new.chars().count();
        if chars > TEXT_CHARS_MAX {
            return Err(format!(
                "Not taken: the text would have {chars} characters, and a message has at most {TEXT_CHARS_MAX}. Nothing of it is here."
            ));
        }
        self.text.insert_str(self.at, &new);
        self.at += new.len();
        Ok(())
    }

    pub(super) fn take(&mut self) -> String {
        self.at = 0;
        std::mem::take(&mut self.text)
    }

    pub(super) fn backspace(&mut self) {
        let from = self.before();
        self.text.drain(from..self.at);
        self.at = from;
    }

    pub(super) fn delete(&mut self) {
        let to = self.after();
        self.text.drain(self.at..to);
    }

    /// All before the place.
    pub(super) fn delete_to_start(&mut self) {
        self.text.drain(..self.at);
        self.at = 0;
    }

    pub(super) fn delete_word(&mut self) {
        let head = self.text.get(..self.at).unwrap_or_default();
        let from = head.trim_end().rfind(char::is_whitespace).map_or(0, |at| {
            at + head.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        self.text.drain(from..self.at);
        self.at = from;
    }

    pub(super) fn left(&mut self) {
        self.at = self.before();
    }

    pub(super) fn right(&mut self) {
        self.at = self.after();
    }

    pub(super) fn home(&mut self) {
        let head = self.text.get(..self.at).unwrap_or_default();
        self.at = head.rfind('\n').map_or(0, |at| at + 1);
    }

    pub(super) fn end(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at = rest.find('\n').map_or(self.text.len(), |at| self.at + at);
    }

    fn before(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.at, self.text.len(), true);
        cursor.prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn after(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.at, self.text.len(), true);
        cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    /// As rows of so many columns, and where the place is: row, column.
    pub(super) fn rows(&self, columns: usize) -> (Vec<String>, (usize, usize)) {
        let wrap = |text: &str| -> Vec<String> {
            text::lines(text).iter().flat_map(|line| text::wrap_anywhere(line, columns)).collect()
        };
        let mut rows = wrap(&self.text);
        let head = wrap(self.text.get(..self.at).unwrap_or_default());
        let mut row = head.len().saturating_sub(1);
        let mut column = head.last().map_or(0, |row| text::width(row));
        if column >= columns.max(2) {
            (row, column) = (row + 1, 0);
            if rows.len() == row {
                rows.push(String::new());
            }
        }
        (rows, (row, column))
    }

    /// Whether it is no text but a command.
    pub(super) fn is_command(&self) -> bool {
        self.text.starts_with('/') && !self.text.starts_with("//")
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.text.graphemes(true).next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Editor {
        let mut editor = Editor::default();
        editor.insert(text).unwrap();
        editor
    }

    #[test]
    fn clusters_are_taken_whole() {
        let mut editor = with("a👩‍👩‍👧e\u{301}");
        editor.backspace();
        assert_eq!(editor.text(), "a👩‍👩‍👧");
        editor.left();
        editor.insert("b").unwrap();
        assert_eq!(editor.text(), "ab👩‍👩‍👧");
        editor.delete();
        assert_eq!(editor.text(), "ab");
        for _ in 0..5 {
            editor.left();
            editor.delete();
            editor.backspace();
        }
        editor.right();
        assert!(editor.is_empty());
    }

    #[test]
    fn words_and_lines() {
        let mut editor = with("one two  ");
        editor.delete_word();
        assert_eq!(editor.text(), "one ");
        let mut editor = with("one\r\ntwo");
        editor.home();
        editor.insert(">").unwrap();
        assert_eq!(editor.text(), "one\n>two");
        editor.end();
        editor.insert("!").unwrap();
        editor.delete_to_start();
        assert!(editor.is_empty());
    }

    #[test]
    fn a_text_is_taken_whole_or_not_at_all() {
        let mut editor = with(&"x".repeat(TEXT_CHARS_MAX));
        assert!(editor.insert("y").unwrap_err().contains("100001"));
        assert_eq!(editor.chars(), TEXT_CHARS_MAX);
    }

    #[test]
    fn the_place_is_where_the_next_letter_goes() {
        assert_eq!(with("abc").rows(4), (vec!["abc".into()], (0, 3)));
        assert_eq!(with("abcd").rows(4), (vec!["abcd".into(), String::new()], (1, 0)));
        assert_eq!(with("안녕\nx").rows(3), (vec!["안".into(), "녕".into(), "x".into()], (2, 1)));
        let mut editor = with("abcdef");
        editor.left();
        assert_eq!(editor.rows(4).1, (1, 1));
    }
}
