//! What of a text is looked up, and what of a query. A place is the number of a letter, so that a phrase is the same letters
//! in the same order whatever they are put together to.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::letters::{Class, Gap, Letter, letters};
use crate::limits::{INITIALS, WORD_LETTERS_MAX};

/// Letters that are looked up together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Term {
    pub(crate) text: String,
    /// Of its first letter.
    pub(crate) at: usize,
}

/// The words of a text, by place.
pub(crate) fn words(letters: &[Letter]) -> Vec<Term> {
    let mut terms = Vec::with_capacity(letters.len());
    let mut begin = 0;
    while let Some(run) = run(letters, begin) {
        let end = begin + run.len();
        match run {
            [Letter { class: Class::Word | Class::Symbol, .. }, ..] => pieces(run, begin, &mut terms),
            [.., last] => {
                pairs(run, begin, &mut terms);
                push(&[*last], end - 1, &mut terms);
                // In Korean many write a space where others write none.
                let next = letters.get(end).filter(|next| next.gap == Gap::Space);
                if let Some(next) =
                    next.filter(|next| next.class == Class::Hangul && last.class == next.class)
                {
                    push(&[*last, *next], end - 1, &mut terms);
                }
            }
            [] => {}
        }
        begin = end;
    }
    terms
}

/// What stands for the same letters in a query: nothing that a text may lack because it goes on.
pub(crate) fn sought(letters: &[Letter]) -> Vec<Term> {
    let mut terms = Vec::new();
    let mut begin = 0;
    while let Some(run) = run(letters, begin) {
        match run {
            [Letter { class: Class::Word | Class::Symbol, .. }, ..] | [_] => {
                pieces(run, begin, &mut terms);
            }
            _ => pairs(run, begin, &mut terms),
        }
        begin += run.len();
    }
    terms
}

/// The first consonants of a text: at each syllable three, or what follows without a space.
pub(crate) fn initials(letters: &[Letter]) -> Vec<Term> {
    let at_place = |at: usize| {
        let rest = letters.iter().skip(at).take(INITIALS).enumerate();
        let together = rest.take_while(|(nth, letter)| *nth == 0 || letter.gap == Gap::None);
        Term { text: together.map_while(|(_, letter)| letter.initial()).collect(), at }
    };
    (0..letters.len()).map(at_place).filter(|term| !term.text.is_empty()).collect()
}

/// The letters from one on that are put together in one way.
fn run(letters: &[Letter], begin: usize) -> Option<&[Letter]> {
    let rest = letters.get(begin..).filter(|rest| !rest.is_empty())?;
    let follows = |two: &&[Letter]| matches!(two, [before, letter] if letter.follows(*before));
    let more = rest.windows(2).take_while(follows).count();
    rest.get(..=more)
}

fn pieces(run: &[Letter], begin: usize, terms: &mut Vec<Term>) {
    for (nth, piece) in run.chunks(WORD_LETTERS_MAX).enumerate() {
        push(piece, begin + nth * WORD_LETTERS_MAX, terms);
    }
}

fn pairs(run: &[Letter], begin: usize, terms: &mut Vec<Term>) {
    for (nth, two) in run.windows(2).enumerate() {
        push(two, begin + nth, terms);
    }
}

fn push(letters: &[Letter], at: usize, terms: &mut Vec<Term>) {
    terms.push(Term { text: letters.iter().map(|letter| letter.c).collect(), at });
}

/// Gives the index its terms: of words, or of first consonants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms(pub(crate) fn(&[Letter]) -> Vec<Term>);

impl Tokenizer for Terms {
    type TokenStream<'a> = Stream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream {
        Stream { terms: (self.0)(&letters(text)).into_iter(), token: Token::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Stream {
    terms: std::vec::IntoIter<Term>,
    token: Token,
}

impl TokenStream for Stream {
    fn advance(&mut self) -> bool {
        let Some(Term { text, at }) = self.terms.next() else { return false };
        self.token.text = text;
        self.token.position = at;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(terms: Vec<Term>) -> Vec<String> {
        terms.into_iter().map(|term| format!("{}@{}", term.text, term.at)).collect()
    }

    #[test]
    fn words_of_every_script() {
        let words = |text| shown(words(&letters(text)));
        assert_eq!(words("Hello, World2"), ["hello@0", "world2@5"]);
        assert_eq!(words("한글날"), ["한글@0", "글날@1", "날@2"]);
        assert_eq!(words("밥 먹자"), ["밥@0", "밥먹@0", "먹자@1", "자@2"]);
        assert_eq!(words("밥. 먹자"), ["밥@0", "먹자@1", "자@2"]);
        assert_eq!(words("API를 써요"), ["api@0", "를@3", "를써@3", "써요@4", "요@5"]);
        assert_eq!(words("我们去北京"), ["我们@0", "们去@1", "去北@2", "北京@3", "京@4"]);
        assert_eq!(words("東京タワー"), ["東京@0", "京た@1", "たわ@2", "わー@3", "ー@4"]);
        assert_eq!(words("ㅋㅋ👍👍"), ["ㅋㅋ@0", "ㅋ@1", "👍@2", "👍@3"]);
        assert_eq!(words("..."), Vec::<String>::new());
        assert_eq!(words(&"x".repeat(41)), [format!("{}@0", "x".repeat(40)), "x@40".into()]);
    }

    #[test]
    fn what_is_sought_is_in_what_it_is_part_of() {
        for (part, whole) in [
            ("한글", "우리 한글날이다"),
            ("밥먹자", "점심에 밥 먹자"),
            ("北京", "我们去北京"),
            ("api를", "새 API를 쓴다"),
            ("Tower", "tokyo TOWER!"),
        ] {
            let (whole, part) = (letters(whole), letters(part));
            let (all, sought) = (words(&whole), sought(&part));
            let is_at = |from: usize| {
                sought.iter().all(|term| all.contains(&Term { at: term.at + from, ..term.clone() }))
            };
            assert!((0..whole.len()).any(is_at), "{sought:?} in {all:?}");
        }
        assert_eq!(shown(sought(&letters("한"))), ["한@0"]);
    }

    #[test]
    fn initials_end_at_a_space() {
        assert_eq!(shown(initials(&letters("한글날 ok ㅋ"))), ["ㅎㄱㄴ@0", "ㄱㄴ@1", "ㄴ@2", "ㅋ@5"]);
        assert_eq!(shown(initials(&letters("abc 漢字"))), Vec::<String>::new());
    }
}
