//! The operator's list of words: a file, one word or phrase a line, of which texts are looked at before they are sent. Read at
//! the start and again at SIGHUP; a list that cannot be read leaves the one from before as it is.
//!
//! Upper and lower case are one. A word of letters that stand between spaces counts as a whole word: `ass` is not found in
//! `class`. Letters of scripts that write words together (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) have no such ends, and
//! are found wherever they stand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use protocol::{ChannelId, Seq, UserId};
use shard::Words;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::mesh::{Outlets, Post};

/// Words of a list.
pub const WORDS_MAX: usize = 100_000;
/// Characters of one word.
pub const WORD_CHARS_MAX: usize = 64;
/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Messages that wait to be written into the queue of reports; more are counted and left out.
const FLAGGED_MAX: usize = 4096;
/// A database that does not take a report is asked again after so long.
const AGAIN: Duration = Duration::from_secs(2);

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[error("the list of words {}: {what}", path.display())]
pub struct WordsError {
    path: PathBuf,
    what: String,
}

/// A list that is ready to be looked for.
#[derive(Debug)]
pub struct WordList {
    found: AhoCorasick,
    words: usize,
}

impl WordList {
    /// The words in these lines. Empty lines, and such as begin with `#`, are none.
    ///
    /// # Errors
    /// Words for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = BTreeSet::new();
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let word = folded(line);
            let chars = word.chars().count();
            if chars > WORD_CHARS_MAX {
                return Err(format!("line {number} has {chars} characters; at most {WORD_CHARS_MAX}"));
            }
            words.insert(word);
        }
        if words.len() > WORDS_MAX {
            return Err(format!("{} words; at most {WORDS_MAX}", words.len()));
        }
        let mut builder = AhoCorasick::builder();
        // Every match is wanted, since not each stands where a word does; and the smaller automaton, which has the memory of
        // the words and not of all letters at each place.
        builder.match_kind(MatchKind::Standard).kind(Some(AhoCorasickKind::ContiguousNFA));
        let found = builder.build(&words).map_err(|error| error.to_string())?;
        Ok(Self { found, words: words.len() })
    }

    /// The list in a file.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self, WordsError> {
        let fault = |what: String| WordsError { path: path.to_owned(), what };
        let size = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(fault(format!("{size} bytes; at most {FILE_BYTES_MAX}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        Self::parse(&text).map_err(fault)
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == 0
    }
}

impl Words for WordList {
    fn found_in(&self, text: &str) -> bool {
        let text = folded(text);
        let mut matches = self.found.find_overlapping_iter(&text);
        matches.any(|found| stands_alone(&text, found.start(), found.end()))
    }
}

/// Without what is upper or lower case in it (Unicode's full case folding: `Straße` is `STRASSE`).
fn folded(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { caseless::default_case_fold_str(text) }
}

/// Whether what is found ends where a word does, on both sides.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let (before, found, behind) = (text.get(..start), text.get(start..end), text.get(end..));
    let joins = |one: Option<char>, other: Option<char>| {
        one.zip(other).is_some_and(|(one, other)| is_spaced(one) && is_spaced(other))
    };
    let first = found.and_then(|found| found.chars().next());
    let last = found.and_then(|found| found.chars().next_back());
    let before = before.and_then(|before| before.chars().next_back());
    let behind = behind.and_then(|behind| behind.chars().next());
    !joins(before, first) && !joins(last, behind)
}

/// A letter or digit of a script that puts spaces between words.
fn is_spaced(letter: char) -> bool {
    // Thai, Lao, Burmese, Khmer; Hangul; kana, bopomofo, and what follows up to the ideographs and Hangul's syllables; full-width forms.
    let is_joined = matches!(letter,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ffdc}' | '\u{20000}'..='\u{3ffff}');
    letter.is_alphanumeric() && !is_joined
}

/// Gives the list to all shards, and reads it again at SIGHUP for as long as the runtime lives.
///
/// # Errors
/// The signal cannot be taken.
pub fn watch(runtime: &Runtime, path: PathBuf, list: WordList, outlets: Outlets) -> std::io::Result<()> {
    tracing::info!(words = list.len(), "texts are looked at for words");
    give(&outlets, list);
    let _inside = runtime.enter();
    let mut hangup = signal(SignalKind::hangup())?;
    runtime.spawn(async move {
        while hangup.recv().await.is_some() {
            let from = path.clone();
            match tokio::task::spawn_blocking(move || WordList::read(&from)).await {
                Ok(Ok(again)) => {
                    tracing::info!(words = again.len(), "the list of words was read again");
                    give(&outlets, again);
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "the list of words cannot be read again; the one from before stays");
                }
                Err(_) => return,
            }
        }
    });
    Ok(())
}

fn give(outlets: &Outlets, list: WordList) {
    let list: Arc<dyn Words> = Arc::new(list);
    for outlet in outlets.all() {
        outlet.post(Post::Words(list.clone()));
    }
}

/// A message that holds a word and was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flagged {
    /// In which channel.
    pub channel: ChannelId,
    /// Which.
    pub seq: Seq,
    /// Who sent it.
    pub sender: UserId,
}

/// What the shards tell of such messages.
pub type FlaggedTold = mpsc::Receiver<Flagged>;

/// Where a shard tells them.
#[derive(Clone, Debug)]
pub struct Flagging(mpsc::Sender<Flagged>);

impl Flagging {
    /// Never waits: the queue of reports is for operators, and a message was sent.
    pub fn tell(&self, flagged: Flagged) {
        if self.0.try_send(flagged).is_err() {
            let Flagged { channel, seq, .. } = flagged;
            tracing::warn!(%channel, %seq, "too many messages hold a word: nobody is told of this one");
        }
    }
}

/// A way for the shards to tell of them, and what hears it.
#[must_use]
pub fn flagging() -> (Flagging, FlaggedTold) {
    let (tells, told) = mpsc::channel(FLAGGED_MAX);
    (Flagging(tells), told)
}

/// Writes what the shards tell into the queue of reports, for as long as the runtime lives.
pub fn report(runtime: &Runtime, accounts: api::Accounts, mut told: FlaggedTold) {
    runtime.spawn(async move {
        while let Some(Flagged { channel, seq, sender }) = told.recv().await {
            while let Err(error) = accounts.report_found((channel, seq, sender), api::now_ms()).await {
                tracing::warn!(%error, "a message that holds a word cannot be reported now");
                tokio::time::sleep(AGAIN).await;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> WordList {
        WordList::parse(&words.join("\n")).unwrap()
    }

    #[test]
    fn upper_and_lower_case_are_one_in_every_script() {
        let list = list(&["Spam", "STRASSE", "Ärger", "спам"]);
        for text in ["spam", "SPAM!", "eat spam, now", "Strasse", "Straße", "ÄRGER", "ärger", "СПАМ"] {
            assert!(list.found_in(text), "{text}");
        }
        assert!(!list.found_in("spa m") && !list.found_in(""));
    }

    #[test]
    fn a_word_between_spaces_is_found_as_a_whole_one() {
        let list = list(&["ass", "bad phrase", "c++"]);
        for text in ["ass", "an ass.", "(ass)", "-ass-", "a bad phrase", "in c++", "ass한"] {
            assert!(list.found_in(text), "{text}");
        }
        for text in ["class", "assess", "ass1", "a badphrase", "bad phrases", "my_class"] {
            assert!(!list.found_in(text), "{text}");
        }
        assert!(list.found_in("class or ass"), "one that stands alone behind one that does not");
    }

    #[test]
    fn scripts_without_spaces_are_found_wherever_they_stand() {
        let list = list(&["광고", "广告", "ばか", "โฆษณา"]);
        for text in ["광고입니다", "무료광고", "这是广告吗", "おばかさん", "มีโฆษณาที่นี่"]
        {
            assert!(list.found_in(text), "{text}");
        }
        assert!(!list.found_in("광 고"));
    }

    #[test]
    fn a_word_inside_another_word_of_the_list_is_found() {
        assert!(list(&["abcd", "bc", "b"]).found_in("a b c"));
        assert!(list(&["new york times", "york"]).found_in("in new york today"));
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_line() {
        assert_eq!(list(&["# a comment", "", "  one  ", "ONE"]).len(), 1);
        assert!(list(&["", "# nothing"]).is_empty() && !list(&[]).found_in("anything"));
        let long = format!("one\n{}", "x".repeat(65));
        assert!(WordList::parse(&long).unwrap_err().contains("line 2 has 65 characters"));
        let many: Vec<String> = (0..=WORDS_MAX).map(|number| format!("w{number}")).collect();
        assert!(WordList::parse(&many.join("\n")).unwrap_err().contains("100001 words"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("words");
        let error = WordList::read(&path).unwrap_err().to_string();
        assert!(error.contains("words") && error.contains("No such file"), "{error}");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(WordList::read(&path).is_err(), "no text");
        std::fs::write(&path, "spam\n").unwrap();
        assert!(WordList::read(&path).unwrap().found_in("spam"));
    }
}
