//! A text as letters: what is left of it once spelling that makes no difference is gone.
//!
//! Compatibility forms are replaced (NFKC), case and Latin accents are dropped, katakana becomes hiragana, and clusters of
//! consonants that a Korean keyboard makes of two keys become two again. Every letter knows where it stood.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_canonical};
use unicode_script::{Script, UnicodeScript};

/// How letters of a script are put together to what is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Written with spaces between words: a word is one thing.
    Word,
    /// Syllables of Korean.
    Hangul,
    /// Single letters of Korean, as in laughter and in initials.
    Jamo,
    /// Written without spaces: Han, kana, Thai and others.
    Dense,
    /// An emoji: a thing of its own.
    Symbol,
}

/// What stands between a letter and the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gap {
    None,
    Space,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Letter {
    pub(crate) c: char,
    pub(crate) class: Class,
    pub(crate) gap: Gap,
    /// Where it stood, in characters: the first, and the one behind the last.
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// First consonants in the order of the syllables.
const INITIALS: [char; 19] = [
    'ㄱ', 'ㄲ', 'ㄴ', 'ㄷ', 'ㄸ', 'ㄹ', 'ㅁ', 'ㅂ', 'ㅃ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅉ', 'ㅊ', 'ㅋ', 'ㅌ',
    'ㅍ', 'ㅎ',
];
/// Syllables that share a first consonant.
const PER_INITIAL: u32 = 588;

impl Letter {
    /// The first consonant of a syllable, or the consonant that it is.
    pub(crate) fn initial(self) -> Option<char> {
        match self.class {
            Class::Hangul => {
                let nth = (u32::from(self.c) - u32::from('가')) / PER_INITIAL;
                INITIALS.get(nth as usize).copied()
            }
            Class::Jamo => INITIALS.contains(&self.c).then_some(self.c),
            Class::Word | Class::Dense | Class::Symbol => None,
        }
    }

    /// Whether both stand in one run: nothing between them, and put together in the same way.
    pub(crate) fn follows(self, before: Self) -> bool {
        self.gap == Gap::None && self.class == before.class && self.class != Class::Symbol
    }
}

/// The letters of a text.
pub(crate) fn letters(text: &str) -> Vec<Letter> {
    let mut taken = Taken { letters: Vec::with_capacity(text.len() / 2), gap: Gap::Other };
    let mut chars = text.chars().peekable();
    let mut at = 0;
    let mut cluster = String::new();
    while let Some(first) = chars.next() {
        let from = at;
        at += 1;
        let joins = chars.peek().copied().is_some_and(|next| joins(first, next));
        if !joins && is_plain(first) {
            taken.take(first.to_ascii_lowercase(), (from, at));
            continue;
        }
        cluster.clear();
        cluster.push(first);
        let mut last = first;
        while let Some(next) = chars.next_if(|next| self::joins(last, *next)) {
            cluster.push(next);
            last = next;
            at += 1;
        }
        taken.cluster(&cluster, (from, at));
    }
    taken.letters
}

/// What normalisation leaves as it is, but for ASCII's case.
fn is_plain(c: char) -> bool {
    c.is_ascii() || matches!(c, '가'..='힣' | '一'..='鿿')
}

/// Whether a character belongs to the one before it: marks, and jamo that make a syllable with it.
fn joins(before: char, c: char) -> bool {
    match c {
        '\u{1160}'..='\u{11a7}' => matches!(before, '\u{1100}'..='\u{115f}'),
        '\u{11a8}'..='\u{11ff}' => matches!(before, '\u{1160}'..='\u{11a7}' | '가'..='힣'),
        // The marks of half-width kana.
        '\u{ff9e}' | '\u{ff9f}' => true,
        c if c.is_ascii() => false,
        c => canonical_combining_class(c) != 0,
    }
}

struct Taken {
    letters: Vec<Letter>,
    gap: Gap,
}

impl Taken {
    fn cluster(&mut self, cluster: &str, place: (u32, u32)) {
        // NFKC would make of them jamo that join.
        if let Some(c @ '\u{3131}'..='\u{318e}') = cluster.chars().next() {
            match pair(c) {
                Some([a, b]) => [a, b].into_iter().for_each(|c| self.take(c, place)),
                None => self.take(c, place),
            }
            return;
        }
        for c in cluster.nfkc() {
            for c in c.to_lowercase() {
                self.fold(c, place);
            }
        }
    }

    fn fold(&mut self, c: char, place: (u32, u32)) {
        match c {
            'ß' => ['s', 's'].into_iter().for_each(|c| self.take(c, place)),
            'æ' => ['a', 'e'].into_iter().for_each(|c| self.take(c, place)),
            'œ' => ['o', 'e'].into_iter().for_each(|c| self.take(c, place)),
            'ø' => self.take('o', place),
            'đ' => self.take('d', place),
            'ł' => self.take('l', place),
            'ı' => self.take('i', place),
            'ё' => self.take('е', place),
            'ς' => self.take('σ', place),
            // Katakana and hiragana are one alphabet twice.
            'ァ'..='ヶ' => self.take(char::from_u32(u32::from(c) - 0x60).unwrap_or(c), place),
            '\u{1100}'..='\u{1112}' => {
                let nth = (u32::from(c) - 0x1100) as usize;
                self.take(INITIALS.get(nth).copied().unwrap_or(c), place);
            }
            c if matches!(c.script(), Script::Latin | Script::Greek) => {
                let mut base = None;
                decompose_canonical(c, |part| base = base.or(Some(part)));
                self.take(base.unwrap_or(c), place);
            }
            c => self.take(c, place),
        }
    }

    fn take(&mut self, c: char, (from, to): (u32, u32)) {
        let Some(class) = class(c) else {
            // A mark that is no letter is no gap either.
            if canonical_combining_class(c) == 0 && !matches!(c, '\u{fe0f}' | '\u{200d}') {
                let is_space = c.is_whitespace() && self.gap != Gap::Other;
                self.gap = if is_space { Gap::Space } else { Gap::Other };
            }
            return;
        };
        self.letters.push(Letter { c, class, gap: self.gap, from, to });
        self.gap = Gap::None;
    }
}

fn class(c: char) -> Option<Class> {
    match c {
        c if c.is_ascii() => c.is_ascii_alphanumeric().then_some(Class::Word),
        '가'..='힣' => Some(Class::Hangul),
        '\u{3131}'..='\u{318e}' => Some(Class::Jamo),
        'ー' | '々' | '〆' => Some(Class::Dense),
        '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' => Some(Class::Symbol),
        c if !c.is_alphanumeric() => None,
        c => Some(match c.script() {
            Script::Han
            | Script::Hiragana
            | Script::Katakana
            | Script::Bopomofo
            | Script::Thai
            | Script::Lao
            | Script::Khmer
            | Script::Myanmar => Class::Dense,
            _ => Class::Word,
        }),
    }
}

/// The two consonants of a cluster, which a keyboard makes of two keys.
fn pair(c: char) -> Option<[char; 2]> {
    Some(match c {
        'ㄳ' => ['ㄱ', 'ㅅ'],
        'ㄵ' => ['ㄴ', 'ㅈ'],
        'ㄶ' => ['ㄴ', 'ㅎ'],
        'ㄺ' => ['ㄹ', 'ㄱ'],
        'ㄻ' => ['ㄹ', 'ㅁ'],
        'ㄼ' => ['ㄹ', 'ㅂ'],
        'ㄽ' => ['ㄹ', 'ㅅ'],
        'ㄾ' => ['ㄹ', 'ㅌ'],
        'ㄿ' => ['ㄹ', 'ㅍ'],
        'ㅀ' => ['ㄹ', 'ㅎ'],
        'ㅄ' => ['ㅂ', 'ㅅ'],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        letters(text).iter().map(|letter| letter.c).collect()
    }

    #[test]
    fn spelling_that_makes_no_difference_is_gone() {
        for (text, expected) in [
            ("Ärger ÉCOLE Straße", "argerecolestrasse"),
            ("ＡＢＣ １２", "abc12"),
            ("カタカナ ｶﾞｷﾞ", "かたかながぎ"),
            ("한글 날", "한글날"),
            // As a Mac writes file names.
            ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", "한글"),
            ("ㄳ ㅋㅋ ㅠ", "ㄱㅅㅋㅋㅠ"),
            ("Ёлка й", "елкай"),
            ("漢字。東京!", "漢字東京"),
            ("a\u{301}b", "ab"),
            ("...!?", ""),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn every_letter_knows_where_it_stood() {
        let text = "ㄳ e\u{301}x \u{1112}\u{1161}\u{11ab}!한 ﬁ";
        let places: Vec<_> = letters(text).iter().map(|l| (l.c, l.from, l.to, l.gap)).collect();
        let (other, space, none) = (Gap::Other, Gap::Space, Gap::None);
        assert_eq!(
            places,
            [
                ('ㄱ', 0, 1, other),
                ('ㅅ', 0, 1, none),
                ('e', 2, 4, space),
                ('x', 4, 5, none),
                ('한', 6, 9, space),
                ('한', 10, 11, other),
                ('f', 12, 13, space),
                ('i', 12, 13, none),
            ]
        );
    }

    #[test]
    fn syllables_know_their_first_consonant() {
        let initials: String = letters("한글날 뿌리 ㅎㅏ").iter().filter_map(|l| l.initial()).collect();
        assert_eq!(initials, "ㅎㄱㄴㅃㄹㅎ");
    }

    #[test]
    fn no_text_is_too_strange() {
        let strange = "\u{0}\u{301}\u{11a8}\u{1160}\u{fdfa}👨\u{200d}👩 ก็ नमस्ते \u{10ffff}\u{3164}ﷺ";
        let all = letters(strange);
        let count = strange.chars().count() as u32;
        assert!(all.iter().all(|letter| letter.from < letter.to && letter.to <= count));
        assert!(all.is_sorted_by_key(|letter| letter.from));
    }
}
