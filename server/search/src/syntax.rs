//! What a person types -> what is looked up. Words must all be there; `"words in quotes"` in that order and together; `-word`
//! and `-"words"` not. There is no more to it.

use crate::letters::{Class, Gap, Letter, letters};
use crate::limits::{CLAUSES_MAX, INITIALS, QUERY_CHARS_MAX};
use crate::tokens::{Term, initials, sought};

/// Why a query is none, for whoever typed it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SyntaxError {
    /// Nothing that could be looked up.
    #[error("there is no letter, digit or emoji in it; give at least one word")]
    Nothing,
    /// Only what must not be there.
    #[error("it only says what must not be there; give at least one word without a minus")]
    OnlyNot,
    /// A quote that does not end.
    #[error("a quote begins and does not end; close it with \"")]
    OpenQuote,
    /// Too long.
    #[error("{0} characters; at most {QUERY_CHARS_MAX}")]
    TooLong(usize),
    /// Too much at once.
    #[error("{0} words and phrases; at most {CLAUSES_MAX}")]
    TooMany(usize),
}

/// What is looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sought {
    pub(crate) clauses: Vec<Clause>,
}

/// One word or phrase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Clause {
    pub(crate) is_not: bool,
    pub(crate) needle: Needle,
}

/// Terms that stand at these distances from each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Needle {
    /// First consonants, not words.
    pub(crate) is_initials: bool,
    /// The one term may go on.
    pub(crate) is_prefix: bool,
    pub(crate) terms: Vec<Term>,
}

impl Sought {
    /// Reads a query.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let count = text.chars().count();
        if count > QUERY_CHARS_MAX {
            return Err(SyntaxError::TooLong(count));
        }
        let pieces = split(text)?;
        let clause = |(is_not, text): &(bool, String)| {
            let letters = letters(text);
            (!letters.is_empty()).then(|| Clause { is_not: *is_not, needle: Needle::of(&letters) })
        };
        let clauses: Vec<Clause> = pieces.iter().filter_map(clause).collect();
        match clauses.len() {
            0 => Err(SyntaxError::Nothing),
            n if n > CLAUSES_MAX => Err(SyntaxError::TooMany(n)),
            _ if clauses.iter().all(|clause| clause.is_not) => Err(SyntaxError::OnlyNot),
            _ => Ok(Self { clauses }),
        }
    }

    /// What must be there.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &Needle> {
        self.clauses.iter().filter(|clause| !clause.is_not).map(|clause| &clause.needle)
    }
}

impl Needle {
    fn of(letters: &[Letter]) -> Self {
        let is_initials = letters.len() > 1 && letters.iter().all(|l| is_consonant(*l));
        if is_initials {
            return Self::of_initials(letters);
        }
        // A syllable alone: also where others follow it.
        let is_prefix = matches!(letters, [Letter { class: Class::Hangul | Class::Dense | Class::Jamo, .. }]);
        Self { is_initials, is_prefix, terms: sought(letters) }
    }

    fn of_initials(letters: &[Letter]) -> Self {
        let all = initials(letters);
        let is_one_run = letters.iter().skip(1).all(|letter| letter.gap == Gap::None);
        if let (Some(first), true) = (all.first(), is_one_run && letters.len() < INITIALS) {
            return Self { is_initials: true, is_prefix: true, terms: vec![first.clone()] };
        }
        // The shorter ones at the end of a run say nothing that those before them do not say, but where the run is as short.
        let mut terms: Vec<Term> = Vec::new();
        for term in all {
            let is_said = terms.last().is_some_and(|last| {
                let (end, last_end) = (term.at + len(&term), last.at + len(last));
                end <= last_end
            });
            if !is_said {
                terms.push(term);
            }
        }
        Self { is_initials: true, is_prefix: false, terms }
    }
}

fn len(term: &Term) -> usize {
    term.text.chars().count()
}

fn is_consonant(letter: Letter) -> bool {
    letter.class == Class::Jamo && letter.initial().is_some()
}

/// The words and quotes, each with whether it must not be there.
fn split(text: &str) -> Result<Vec<(bool, String)>, SyntaxError> {
    let mut pieces = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let is_not = first == '-';
        let first = if is_not { chars.next().unwrap_or(' ') } else { first };
        let mut piece = String::new();
        if is_quote(first) {
            loop {
                match chars.next() {
                    Some(c) if is_quote(c) => break,
                    Some(c) => piece.push(c),
                    None => return Err(SyntaxError::OpenQuote),
                }
            }
        } else {
            piece.push(first);
            while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !is_quote(*c)) {
                piece.push(c);
            }
        }
        pieces.push((is_not, piece));
    }
    Ok(pieces)
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '「' | '」' | '«' | '»')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let shown = |clause: &Clause| {
            let Needle { is_initials, is_prefix, terms } = &clause.needle;
            let terms: Vec<_> = terms.iter().map(|term| format!("{}@{}", term.text, term.at)).collect();
            let mark = |is: bool, mark: &'static str| if is { mark } else { "" };
            let marks = [mark(clause.is_not, "-"), mark(*is_initials, "~")].concat();
            format!("{marks}{}{}", terms.join("+"), mark(*is_prefix, "*"))
        };
        let sought = Sought::parse(text).unwrap();
        sought.clauses.iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_quotes_and_what_must_not_be_there() {
        for (text, expected) in [
            ("Hello world", "hello@0 world@0"),
            ("\"Hello world\" -no", "hello@0+world@5 -no@0"),
            ("한글날 -\"밥 먹자\"", "한글@0+글날@1 -밥@0+먹자@1"),
            ("한", "한@0*"),
            ("e-mail", "e@0+mail@1"),
            ("ㅎㄱ", "~ㅎㄱ@0*"),
            ("ㅎㄱㄴ", "~ㅎㄱㄴ@0"),
            ("ㅎㄱㄴㄹㅁ", "~ㅎㄱㄴ@0+ㄱㄴㄹ@1+ㄴㄹㅁ@2"),
            ("\"ㅎㄱ ㄴㄹ\"", "~ㅎㄱ@0+ㄴㄹ@2"),
            ("ㄳ", "~ㄱㅅ@0*"),
            ("ㅋ", "ㅋ@0*"),
            ("ㅠㅠ", "ㅠㅠ@0"),
            ("good - !! 👍", "good@0 👍@0"),
            ("“밥 먹자”", "밥@0+먹자@1"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_query_is_told_why() {
        let many = vec!["x"; CLAUSES_MAX + 1].join(" ");
        for (text, expected) in [
            ("", SyntaxError::Nothing),
            ("-", SyntaxError::Nothing),
            ("?! \"\"", SyntaxError::Nothing),
            ("-a -\"b c\"", SyntaxError::OnlyNot),
            ("a \"b", SyntaxError::OpenQuote),
            ("\"", SyntaxError::OpenQuote),
            (&"x".repeat(QUERY_CHARS_MAX + 1), SyntaxError::TooLong(QUERY_CHARS_MAX + 1)),
            (&many, SyntaxError::TooMany(CLAUSES_MAX + 1)),
        ] {
            assert_eq!(Sought::parse(text), Err(expected), "{text}");
        }
        assert!(Sought::parse(&"x".repeat(QUERY_CHARS_MAX)).is_ok());
        assert!(Sought::parse(&vec!["x"; CLAUSES_MAX].join(" ")).is_ok());
    }
}
