//! What of a text is shown, and what of that was found.

use std::ops::Range;

use crate::letters::{Letter, letters};
use crate::limits::{HIGHLIGHTS_MAX, SNIPPET_CHARS, SNIPPET_LEAD, SNIPPET_LOOK_CHARS};
use crate::syntax::{Needle, Sought};
use crate::tokens::{Term, initials, words};

/// A stretch of a text around what was found in it. All numbers count characters (Unicode scalar values).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snippet {
    /// The stretch.
    pub text: String,
    /// Where it begins in the text.
    pub at: usize,
    /// How long the whole text is.
    pub of: usize,
    /// What was found, within the stretch; rising and apart.
    pub highlights: Vec<Range<usize>>,
}

/// Finds once more in one text what was sought.
#[must_use]
pub fn snippet(text: &str, sought: &Sought) -> Snippet {
    let of = text.chars().count();
    let looked: String = text.chars().take(SNIPPET_LOOK_CHARS).collect();
    let letters = letters(&looked);
    let (words, initials) = (words(&letters), initials(&letters));
    let mut found: Vec<Range<usize>> = Vec::new();
    for needle in sought.wanted() {
        let terms = if needle.is_initials { &initials } else { &words };
        found.extend(places(needle, terms).filter_map(|place| range(&letters, place)));
    }
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let found = joined(found);
    let first = found.first().map_or(0, |range| range.start);
    let at = if of <= SNIPPET_CHARS { 0 } else { first.saturating_sub(SNIPPET_LEAD).min(of - SNIPPET_CHARS) };
    let end = of.min(at + SNIPPET_CHARS);
    let within = |range: &Range<usize>| {
        let (start, stop) = (range.start.max(at), range.end.min(end));
        (start < stop).then(|| start - at..stop - at)
    };
    Snippet {
        text: text.chars().skip(at).take(SNIPPET_CHARS).collect(),
        at,
        of,
        highlights: found.iter().filter_map(within).take(HIGHLIGHTS_MAX).collect(),
    }
}

/// The letters that a needle stands for, wherever it is; terms are by place.
fn places(needle: &Needle, terms: &[Term]) -> impl Iterator<Item = Range<usize>> {
    let is_at = move |wanted: &Term, at: usize| {
        let first = terms.partition_point(|term| term.at < at);
        let mut here = terms.iter().skip(first).take_while(|term| term.at == at);
        here.any(|term| {
            if needle.is_prefix { term.text.starts_with(&wanted.text) } else { term.text == wanted.text }
        })
    };
    let (first, last) = (needle.terms.first(), needle.terms.last());
    let length = last.zip(first).map_or(0, |(last, first)| last.at - first.at + last.text.chars().count());
    let base = first.map_or(0, |first| first.at);
    let mut starts: Vec<usize> = terms.iter().map(|term| term.at).collect();
    starts.dedup();
    let is_here =
        move |start: &usize| needle.terms.iter().all(|wanted| is_at(wanted, start + wanted.at - base));
    starts.into_iter().filter(is_here).map(move |start| start..start + length)
}

/// Letters as characters of the text.
fn range(letters: &[Letter], place: Range<usize>) -> Option<Range<usize>> {
    let (first, last) = (letters.get(place.start)?, letters.get(place.end.checked_sub(1)?)?);
    Some(first.from as usize..last.to as usize)
}

/// What touches is one; rising.
fn joined(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what was found in brackets.
    fn marked(text: &str, query: &str) -> String {
        let snippet = snippet(text, &Sought::parse(query).unwrap());
        let mut out = String::new();
        for (nth, c) in snippet.text.chars().enumerate() {
            if snippet.highlights.iter().any(|range| range.start == nth) {
                out.push('[');
            }
            out.push(c);
            if snippet.highlights.iter().any(|range| range.end == nth + 1) {
                out.push(']');
            }
        }
        out
    }

    #[test]
    fn what_was_found_is_marked_in_the_text_as_it_was_written() {
        for (text, query, expected) in [
            ("Hello, WORLD!", "world", "Hello, [WORLD]!"),
            ("worldwide", "world", "worldwide"),
            ("우리 한글날이다", "한글", "우리 [한글]날이다"),
            ("점심에 밥 먹자", "밥먹자", "점심에 [밥 먹자]"),
            ("한국과 대한민국", "한", "[한]국과 대[한]민국"),
            ("한글 하고 ㅎㄱ", "ㅎㄱ", "[한글] [하고] [ㅎㄱ]"),
            ("대한민국만세", "ㅎㅁㄱㅁ", "대[한민국만]세"),
            ("ＡＢＣ cafe\u{301}!", "abc café", "[ＡＢＣ] [cafe\u{301}]!"),
            ("we go to 北京市", "北京 -paris", "we go to [北京]市"),
            ("nothing", "한글", "nothing"),
            ("say good night good", "\"good night\"", "say [good night] good"),
        ] {
            assert_eq!(marked(text, query), expected, "{query} in {text}");
        }
    }

    #[test]
    fn a_long_text_is_shown_around_it() {
        let place = |text: &str, query: &str| {
            let found = snippet(text, &Sought::parse(query).unwrap());
            assert_eq!((found.text.chars().count(), found.highlights.len()), (SNIPPET_CHARS, 1));
            (found.at, found.of, found.highlights[0].start, found.highlights[0].end)
        };
        let text = format!("{} 찾았다 {}", "가".repeat(500), "나".repeat(500));
        assert_eq!(place(&text, "찾았다"), (501 - SNIPPET_LEAD, 1005, SNIPPET_LEAD, SNIPPET_LEAD + 3));
        let at_the_end = format!("{} 끝", "가".repeat(500));
        let last = (502 - SNIPPET_CHARS, 502, SNIPPET_CHARS - 1, SNIPPET_CHARS);
        assert_eq!(place(&at_the_end, "끝"), last);
    }
}
