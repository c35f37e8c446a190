//! User names: what is allowed, and when two are the same.
//!
//! A name has 1 to 32 characters (Unicode scalar values in normal form C). Allowed are letters and digits of any
//! script, combining marks behind them, and `_`, `-`, `.` between them: a name begins and ends with a letter, a digit
//! or a mark. Two names are the same when they are equal after Unicode's compatibility caseless matching (normal form
//! KC and full case folding, Unicode 3.13, definition D146), so `Ärger`, `ÄRGER` and full-width `ärger` are one name.

use std::fmt;

use caseless::default_case_fold_str;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Longest name in Unicode scalar values.
pub const NAME_CHARS_MAX: usize = 32;
/// Longest folded name in Unicode scalar values: compatibility forms of one character can have several.
pub const FOLDED_CHARS_MAX: usize = 64;

/// A valid name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    shown: String,
    folded: String,
}

/// Why a text is no name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameFault {
    /// Shorter than 1 or longer than 32 characters.
    #[error("{0} characters; must be 1 to {NAME_CHARS_MAX}")]
    Length(usize),
    /// A character that no name has.
    #[error("{0:?} is not allowed; a name has letters, digits, and _ - . between them")]
    Character(char),
    /// `_`, `-`, `.` or a combining mark where it may not stand.
    #[error("a name begins with a letter or digit and does not end with _ - .")]
    Edge,
}

impl Name {
    /// Checks a text.
    ///
    /// # Errors
    /// The first fault found.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        // Normal form C never triples a text, so this bound keeps the work small and refuses nothing valid.
        let raw_chars = text.chars().take(NAME_CHARS_MAX * 8).count();
        if raw_chars == NAME_CHARS_MAX * 8 {
            return Err(NameFault::Length(text.chars().count()));
        }
        let shown: String = text.nfc().collect();
        let chars = shown.chars().count();
        if chars == 0 || chars > NAME_CHARS_MAX {
            return Err(NameFault::Length(chars));
        }
        check(&shown)?;
        let folded = fold(&shown);
        // A letter's compatibility form can hold what a name may not, a space for example.
        check(&folded)?;
        let folded_chars = folded.chars().count();
        if folded_chars > FOLDED_CHARS_MAX {
            return Err(NameFault::Length(folded_chars));
        }
        Ok(Self { shown, folded })
    }

    /// As its owner wrote it, in normal form C.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What is compared.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn check(text: &str) -> Result<(), NameFault> {
    let is_body = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    let is_joint = |c: char| matches!(c, '_' | '-' | '.');
    if let Some(wrong) = text.chars().find(|&c| !is_body(c) && !is_joint(c)) {
        return Err(NameFault::Character(wrong));
    }
    let begins = text.chars().next().is_some_and(char::is_alphanumeric);
    let ends = text.chars().next_back().is_some_and(is_body);
    if begins && ends { Ok(()) } else { Err(NameFault::Edge) }
}

/// NFKC(fold(NFKC(fold(NFD(text))))), definition D146.
fn fold(text: &str) -> String {
    let once: String = default_case_fold_str(&text.nfd().collect::<String>()).nfkc().collect();
    default_case_fold_str(&once).nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_in_other_clothes() {
        for (a, b) in [
            ("Alice", "aLICE"),
            ("straße", "STRASSE"),
            ("Ärger", "a\u{308}RGER"),
            ("ｂｏｂ", "bob"),
            ("ﬁnn", "FINN"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ] {
            assert_eq!(Name::parse(a).unwrap().folded(), Name::parse(b).unwrap().folded(), "{a} {b}");
        }
        assert_ne!(Name::parse("alice").unwrap().folded(), Name::parse("alicf").unwrap().folded());
        assert_eq!(Name::parse("Alice").unwrap().shown(), "Alice");
    }

    #[test]
    fn scripts_are_welcome() {
        for name in ["마루", "박지성.7", "नमस्ते", "ابو-بكر", "x", "a_b-c.d", "李小龙"]
        {
            assert!(Name::parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn at_the_limits_and_beyond() {
        assert!(Name::parse(&"a".repeat(32)).is_ok());
        assert_eq!(Name::parse(&"a".repeat(33)), Err(NameFault::Length(33)));
        assert_eq!(Name::parse(&"a".repeat(100_000)), Err(NameFault::Length(100_000)));
        assert_eq!(Name::parse(""), Err(NameFault::Length(0)));
        // U+FDFA is one letter whose compatibility form is a sentence with spaces.
        assert_eq!(Name::parse("\u{fdfa}"), Err(NameFault::Character(' ')));
        // Each ligature folds to three letters.
        assert_eq!(Name::parse(&"\u{fb03}".repeat(32)), Err(NameFault::Length(96)));
        assert_eq!(Name::parse("a b"), Err(NameFault::Character(' ')));
        assert_eq!(Name::parse("a\u{202e}b"), Err(NameFault::Character('\u{202e}')));
        assert_eq!(Name::parse("a\u{200b}b"), Err(NameFault::Character('\u{200b}')));
        assert_eq!(Name::parse("a\nb"), Err(NameFault::Character('\n')));
        assert_eq!(Name::parse("a😀"), Err(NameFault::Character('😀')));
        for edge in [".a", "a.", "-", "_a", "\u{301}a"] {
            assert_eq!(Name::parse(edge), Err(NameFault::Edge), "{edge}");
        }
    }
}
