//! Precision and recall on sentences that a person labelled, against pairs of letters alone. The figures are printed; a floor
//! under them fails when the way texts are read gets worse.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use protocol::commit::Interval;
use protocol::{ChannelId, Seq, UserId};
use search::{Asked, Change, Document, Index, Order, Places, Readable, Sought};

/// Labels, a bar, and a sentence. A label is what a person who looks for this sentence types; `-`: nobody looks for it here.
/// Not labelled is what has the same letters and means something else (대학교 is no 학교, 사회의 is no 회의).
const SENTENCES: &str = include_str!("sentences.txt");

/// How else the same is typed: by initials, without a space and with one, in other letters.
const ALSO: &[(&str, &str)] = &[
    ("한글날", "ㅎㄱㄴ"),
    ("김치찌개", "김치 찌개"),
    ("김치찌개", "ㄱㅊㅉㄱ"),
    ("비밀번호", "비밀 번호"),
    ("비밀번호", "ㅂㅁㅂㅎ"),
    ("사랑해", "ㅅㄹㅎ"),
    ("고양이", "ㄱㅇㅇ"),
    ("비행기", "ㅂㅎㄱ"),
    ("지하철", "ㅈㅎㅊ"),
    ("보고서", "ㅂㄱㅅ"),
    ("café", "cafe"),
    ("カメラ", "かめら"),
    ("비밀번호", "비밀번"),
    ("밥먹자", "밥 먹자"),
    ("meeting", "Meeting"),
];

fn sentences() -> Vec<(Vec<&'static str>, String)> {
    let line = |line: &'static str| {
        let (labels, text) = line.split_once('|').unwrap();
        (labels.split(',').collect(), text.replace("\\u0301", "\u{301}"))
    };
    SENTENCES.lines().map(line).collect()
}

#[derive(Default, Clone, Copy, Debug)]
struct Score {
    right: usize,
    found: usize,
    wanted: usize,
}

impl Score {
    fn add(&mut self, found: &BTreeSet<usize>, wanted: &BTreeSet<usize>) {
        self.right += found.intersection(wanted).count();
        self.found += found.len();
        self.wanted += wanted.len();
    }

    fn precision(self) -> f64 {
        self.right as f64 / self.found.max(1) as f64
    }

    fn recall(self) -> f64 {
        self.right as f64 / self.wanted.max(1) as f64
    }
}

/// What an index of pairs of letters alone would do: a sentence is found if it has every pair of the query, in lower case, of
/// whatever stands between two spaces.
fn by_pairs(sentences: &[(Vec<&str>, String)], query: &str) -> BTreeSet<usize> {
    let pairs = |text: &str| -> BTreeSet<String> {
        let text = text.to_lowercase();
        let of = |word: &str| {
            let letters: Vec<char> = word.chars().collect();
            let pairs: Vec<String> = letters.windows(2).map(|two| two.iter().collect()).collect();
            if pairs.is_empty() { vec![word.to_owned()] } else { pairs }
        };
        text.split_whitespace().flat_map(of).collect()
    };
    let wanted = pairs(query);
    let has = |(_, (_, text)): &(usize, &(Vec<&str>, String))| wanted.is_subset(&pairs(text));
    sentences.iter().enumerate().filter(has).map(|(at, _)| at).collect()
}

#[test]
fn precision_and_recall() {
    let sentences = sentences();
    assert!(sentences.len() >= 200, "{}", sentences.len());
    let dir = tempfile::tempdir().unwrap();
    let (mut index, _) = Index::open(dir.path()).unwrap();
    let channel = ChannelId(7);
    for (at, (_, text)) in sentences.iter().enumerate() {
        let (seq, time_ms) = (Seq(at as u64 + 1), at as u64);
        let (sender, kind) = (UserId(1), 1);
        index
            .apply(Change::Put(Document {
                channel,
                seq,
                sender,
                time_ms,
                kind,
                mentions: Vec::new(),
                text: text.clone(),
            }))
            .unwrap();
    }
    index.commit(&Places::default()).unwrap();
    let mut readable = Readable::default();
    readable.add(channel, vec![Interval { joined: Seq(1), left: None }]);
    let find = |query: &str| -> BTreeSet<usize> {
        let asked = Asked { order: Order::Relevance, ..Asked::of(Sought::parse(query).unwrap()) };
        let until = Instant::now() + Duration::from_secs(600);
        let found = index.finder().find(&asked, &readable, until).unwrap();
        found.hits.iter().map(|hit| hit.seq.0 as usize - 1).collect()
    };
    let labels: BTreeSet<&str> = sentences.iter().flat_map(|(labels, _)| labels.iter().copied()).collect();
    let queries: Vec<(&str, &str)> = labels
        .iter()
        .filter(|label| **label != "-")
        .map(|label| (*label, *label))
        .chain(ALSO.iter().copied())
        .collect();
    let (mut ours, mut pairs) = (Score::default(), Score::default());
    for (label, query) in &queries {
        let wanted: BTreeSet<usize> =
            (0..sentences.len()).filter(|at| sentences[*at].0.contains(label)).collect();
        assert!(!wanted.is_empty(), "{label}");
        let found = find(query);
        ours.add(&found, &wanted);
        pairs.add(&by_pairs(&sentences, query), &wanted);
        for at in found.symmetric_difference(&wanted) {
            let how = if wanted.contains(at) { "missed" } else { "too much" };
            println!("{query}: {how}: {}", sentences[*at].1);
        }
    }
    for (name, score) in [("maru", ours), ("pairs alone", pairs)] {
        let (precision, recall) = (score.precision(), score.recall());
        println!("{name}: precision {precision:.3}, recall {recall:.3} over {} queries", queries.len());
    }
    assert!(ours.precision() >= 0.88, "{:.3}", ours.precision());
    assert!(ours.recall() >= 0.93, "{:.3}", ours.recall());
    assert!(ours.recall() > pairs.recall(), "initials, spaces and spellings are why this is not pairs alone");
}
