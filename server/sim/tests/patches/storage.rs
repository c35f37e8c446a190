//! Deliberate faults of the store, in `storage/src`, which the tests of that crate must find.

use super::Mutant;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "a commit is not synced",
        file: "rocks.rs",
        from: "synced.set_sync(true);",
        to: "synced.set_sync(false);",
    },
    Mutant {
        name: "the window of repeats is one message short",
        file: "query/history.rs",
        from: "sent.len() < count as usize",
        to: "sent.len() + 1 < count as usize",
    },
    Mutant {
        name: "a log is trimmed one row too far",
        file: "apply.rs",
        from: "&key::fanout(*self.trimmed), &key::fanout(*below)",
        to: "&key::fanout(*self.trimmed), &key::fanout(*below + 1)",
    },
    Mutant {
        name: "damage in the middle of a log is taken for a torn end",
        file: "rocks/tuning.rs",
        from: "DBRecoveryMode::TolerateCorruptedTailRecords",
        to: "DBRecoveryMode::PointInTime",
    },
    Mutant {
        name: "a replay goes to the members of now",
        file: "query/replay.rs",
        from: "row.holds(seq)",
        to: "row.is_member()",
    },
    Mutant {
        name: "a hole in a history is passed over",
        file: "query/history.rs",
        from: "expected.filter(|wanted| *wanted != seq)",
        to: "expected.filter(|wanted| *wanted != seq && false)",
    },
    Mutant {
        name: "a hole in an inbox is passed over",
        file: "query/inbox.rs",
        from: "if at != expected.0 {",
        to: "if false {",
    },
    Mutant {
        name: "a page has one message too many",
        file: "query.rs",
        from: "all <= self.bounds.messages as usize",
        to: "all <= self.bounds.messages as usize + 1",
    },
    Mutant {
        name: "a row of another store is written",
        file: "apply.rs",
        from: "is_some_and(|place| place != store)",
        to: "is_some_and(|place| place != store && false)",
    },
    Mutant {
        name: "a commit after an error is taken",
        file: "stores.rs",
        from: "writer.poisoned = written.is_err();",
        to: "let _ = written.is_err();",
    },
    Mutant {
        name: "rows that a shard's own thread looks at are not counted",
        file: "view.rs",
        from: "left.get().checked_sub(1).ok_or(Unread::Miss)?",
        to: "left.get()",
    },
    Mutant {
        name: "a dedup window is read on a shard's own thread",
        file: "query.rs",
        from: "        Query::Window { .. }\n        | Query::Joined { .. }\n        | Query::Membership",
        to: "        Query::Window { .. } => true,\n        Query::Joined { .. }\n        | Query::Membership",
    },
    Mutant {
        name: "a replay skips the stores that have members",
        file: "query/replay.rs",
        from: "if !members.iter().any(|(user, _)| at_dest(user)) {",
        to: "if members.iter().any(|(user, _)| at_dest(user)) {",
    },
];
