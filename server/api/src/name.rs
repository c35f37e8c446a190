//! User names: what is allowed, when two are the same, and when two look the same.
//!
//! **A new name** ([`Name`]) is what the username profile of RFC 8265 asks for, and stricter. It is trimmed and brought
//! into Unicode normal form KC, so width and ligatures do not matter. It has 1 to 32 characters (Unicode scalar values):
//! letters and digits, combining marks behind them, and `_`, `-`, `.` between them. What else it must be is in `rules`:
//! visible, of one script, of one direction. Three keys come of it:
//!
//! - *shown*: as its owner wrote it, in normal form KC;
//! - *folded*: what is compared. Two names are the same when they are equal after Unicode's compatibility caseless
//!   matching (section 3.13, definition D146), so `Ärger`, `ÄRGER` and full-width `ärger` are one name;
//! - *likeness*: what it looks like (UTS 39). Of two names with one likeness only the older is given away.
//!
//! **A name that somebody looks for** ([`Sought`]) is prepared the same way and asked for less: names that were given
//! away under earlier rules are found too, and what a paste brings along (spaces, invisible characters) does not matter.

use std::fmt;

use caseless::default_case_fold_str;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

mod likeness;
mod proposed;
mod reserved;
mod rules;

pub(crate) use likeness::{VERSION as LIKENESS_VERSION, likeness};
pub(crate) use proposed::proposed;

/// Longest name in Unicode scalar values.
pub const NAME_CHARS_MAX: usize = 32;
/// Longest folded name in Unicode scalar values: compatibility forms of one character can have several.
pub const FOLDED_CHARS_MAX: usize = 64;
/// Longest text that is looked at. No normal form shortens a text to an eighth, so nothing valid is refused.
pub(crate) const RAW_CHARS_MAX: usize = NAME_CHARS_MAX * 8;

/// A name that may be given to a new account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    sought: Sought,
    likeness: String,
}

/// A name that somebody looks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sought {
    shown: String,
    folded: String,
    bare: String,
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
    /// A letter that no living language writes names with, or that cannot be seen.
    #[error("{0:?} is not allowed; a name has letters of a language that is written today")]
    Letter(char),
    /// Letters of scripts that are not written together.
    #[error(
        "the letters are of more than one script; take those of one, with Latin beside Chinese, Japanese or Korean"
    )]
    Scripts,
    /// Letters that run to the left beside others, or digits of two kinds.
    #[error(
        "it would not be shown in the order in which it is written; take letters and digits of one direction"
    )]
    Direction,
    /// Marks heaped on a letter.
    #[error("more than 4 marks on one letter, or the same mark twice")]
    Marks,
}

impl Name {
    /// Checks a text.
    ///
    /// # Errors
    /// The first fault found.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        let shown: String = bounded(text.trim())?.nfkc().collect();
        let chars = shown.chars().count();
        if chars == 0 || chars > NAME_CHARS_MAX {
            return Err(NameFault::Length(chars));
        }
        check(&shown)?;
        rules::check(&shown)?;
        let folded = fold(&shown);
        check(&folded)?;
        let folded_chars = folded.chars().count();
        if folded_chars > FOLDED_CHARS_MAX {
            return Err(NameFault::Length(folded_chars));
        }
        let likeness = likeness(&folded);
        Ok(Self { sought: Sought { bare: folded.clone(), folded, shown }, likeness })
    }

    /// As its owner wrote it, in normal form KC.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.sought.shown
    }

    /// What is compared.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.sought.folded
    }

    /// What it looks like: unique among names that were given away since there is this rule.
    #[must_use]
    pub fn likeness(&self) -> &str {
        &self.likeness
    }

    /// Whether it is, or looks like, a name that people take for the operator's. Only an operator gives such a name away.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        reserved::is_reserved(&self.likeness)
    }
}

impl Sought {
    /// Prepares a text as somebody typed or pasted it.
    ///
    /// # Errors
    /// The first fault found: no name was ever like this.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        let text = bounded(text.trim())?;
        let visible: String = text.chars().filter(|c| !rules::is_invisible(*c)).collect();
        let bare = prepared(visible.trim());
        // Before there was a rule against invisible letters, they told accounts apart: such an account is found by its own
        // spelling first.
        let exact = if visible == text { None } else { prepared(text).ok() };
        let (bare, exact) = match (bare, exact) {
            (Ok(bare), exact) => (bare, exact),
            (Err(_), Some(exact)) => (exact.clone(), Some(exact)),
            (Err(fault), None) => return Err(fault),
        };
        let (shown, folded) = exact.unwrap_or_else(|| bare.clone());
        Ok(Self { shown, folded, bare: bare.1 })
    }

    /// What is compared.
    pub(crate) fn folded(&self) -> &str {
        &self.folded
    }

    /// The same without invisible characters: compared next, and what guesses are counted by.
    pub(crate) fn bare(&self) -> &str {
        &self.bare
    }
}

impl AsRef<Self> for Sought {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsRef<Sought> for Name {
    fn as_ref(&self) -> &Sought {
        &self.sought
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sought.shown)
    }
}

impl fmt::Display for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn bounded(text: &str) -> Result<&str, NameFault> {
    match text.chars().nth(RAW_CHARS_MAX - 1) {
        None => Ok(text),
        Some(_) => Err(NameFault::Length(text.chars().count())),
    }
}

/// Normal form C and what is compared. Only that is checked: what was typed can be longer, or of letters that no name is
/// shown with.
fn prepared(text: &str) -> Result<(String, String), NameFault> {
    let shown: String = text.nfc().collect();
    let folded = fold(&shown);
    let chars = folded.chars().count();
    if chars == 0 || chars > FOLDED_CHARS_MAX {
        return Err(NameFault::Length(chars));
    }
    check(&folded)?;
    Ok((shown, folded))
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
pub(crate) fn fold(text: &str) -> String {
    let once: String = default_case_fold_str(&text.nfd().collect::<String>()).nfkc().collect();
    default_case_fold_str(&once).nfkc().collect()
}

#[cfg(test)]
mod tests;
