//! What a test has brought about, against what the node has counted: every Reject and every close, and no other.

use std::collections::BTreeMap;

use protocol::{CloseCode, Code};

use crate::node::Node;

/// By metric and code.
type Counts = BTreeMap<(&'static str, String), u64>;

const NAMES: [&str; 2] = ["maru_rejects_total", "maru_closes_total"];

pub struct Ledger {
    before: Counts,
    expected: Counts,
}

impl Ledger {
    pub fn open(node: &Node) -> Self {
        Self { before: counts(node), expected: Counts::new() }
    }

    pub fn reject(&mut self, code: Code) {
        *self.expected.entry((NAMES[0], code.word().into())).or_default() += 1;
    }

    pub fn close(&mut self, code: CloseCode) {
        *self.expected.entry((NAMES[1], code.word().into())).or_default() += 1;
    }

    /// A refused Hello.
    pub fn turned_away(&mut self, code: Code) {
        self.reject(code);
        self.close(CloseCode::Unauthenticated);
    }

    /// The node has counted exactly what was expected.
    #[track_caller]
    pub fn settle(self, node: &Node) {
        let mut risen = counts(node);
        for (key, before) in &self.before {
            *risen.entry(key.clone()).or_default() -= before;
        }
        risen.retain(|_, count| *count > 0);
        assert_eq!(risen, self.expected);
    }
}

fn counts(node: &Node) -> Counts {
    let mut counts = Counts::new();
    for line in node.metrics().lines() {
        let Some((name, rest)) = line.split_once("{code=\"") else { continue };
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else { continue };
        let (code, rest) = rest.split_once('"').unwrap();
        let count: u64 = rest.rsplit_once(' ').unwrap().1.parse().unwrap();
        *counts.entry((name, code.into())).or_default() += count;
    }
    assert!(counts.len() == Code::ALL.len() + CloseCode::ALL.len(), "every code is there from the start on");
    counts
}
