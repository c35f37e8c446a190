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
        from: "key::fanout(part.bay, below)",
        to: "key::fanout(part.bay, below + 1)",
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
        from: "Ordering::Equal => return Ok(()),",
        to: "Ordering::Equal | Ordering::Greater => return Ok(()),",
    },
    Mutant {
        name: "a page has one message too many",
        file: "query.rs",
        from: "all <= self.bounds.messages as usize",
        to: "all <= self.bounds.messages as usize + 1",
    },
    Mutant {
        name: "a row of another bay is written",
        file: "apply.rs",
        from: "is_some_and(|place| place != part.bay)",
        to: "is_some_and(|place| place != part.bay && false)",
    },
    Mutant {
        name: "a commit after an error is taken",
        file: "store.rs",
        from: "if written.is_err() {",
        to: "if false {",
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
        name: "a replay skips the bays that have members",
        file: "query/replay.rs",
        from: "if !members.iter().any(|(user, _)| at_dest(user)) {",
        to: "if members.iter().any(|(user, _)| at_dest(user)) {",
    },
    Mutant {
        name: "a page that begins inside a run begins with the run",
        file: "query/inbox.rs",
        from: "into_iter().skip(before)",
        to: "into_iter().skip(before * 0)",
    },
    Mutant {
        name: "a run that contradicts the one before is passed over",
        file: "query/inbox.rs",
        from: "Ordering::Equal => return Ok(()),",
        to: "Ordering::Equal | Ordering::Less => return Ok(()),",
    },
    Mutant {
        name: "a mark that did not change with the others is lost",
        file: "apply.rs",
        from: "    let mut changed = false;\n",
        to: "    let mut changed = false;\n    writer.marks = NO_MARKS;\n",
    },
    Mutant {
        name: "a head is the first entry of the last run",
        file: "view.rs",
        from: "head = InboxSeq(first.0.saturating_add(entries.len() as u64 - 1));",
        to: "head = InboxSeq(first.0.saturating_add(entries.len() as u64 * 0));",
    },
    Mutant {
        name: "a replay delivers to users of other bays",
        file: "query/replay.rs",
        from: "dests.contains(BayId::of_user(*user))",
        to: "dests.contains(BayId::of_user(*user)) || !dests.is_empty()",
    },
    Mutant {
        name: "a migration takes what was not applied for applied",
        file: "migrate/logs.rs",
        from: "old_number <= **applied",
        to: "old_number <= **applied || old_number > 0",
    },
    Mutant {
        name: "a migration switches before the new store is whole",
        file: "migrate.rs",
        from: "    let old = Old::open(dir, &marker, &shared)?;\n",
        to: "    write_marker(dir, layout)?;\n    let old = Old::open(dir, &marker, &shared)?;\n",
    },
    Mutant {
        name: "a migration forgets how far somebody has read",
        file: "migrate/copy.rs",
        from: "if !is_known || read <= known.read {",
        to: "if !is_known || read > known.read {",
    },
    Mutant {
        name: "a channel's family begins with a message that is not there",
        file: "store/families.rs",
        from: "Own { slot, from: head.next(), until: ENDLESS }",
        to: "Own { slot, from: head, until: ENDLESS }",
    },
    Mutant {
        name: "a message is left behind in a family that is given back",
        file: "store/families.rs",
        from: "let after = found.last().map_or(own.until, |(last, _)| last.next());",
        to: "let after = found.last().map_or(own.until, |(last, _)| last.next().next());",
    },
    Mutant {
        name: "an own family's messages are looked for in the hashed one",
        file: "owned.rs",
        from: "Some(own) if own.holds(seq) => own.family(),",
        to: "Some(own) if own.until <= seq => own.family(),",
    },
    Mutant {
        name: "the end of a note is not written",
        file: "apply.rs",
        from: "None => sink.delete(Family::Notes, &key),",
        to: "None => {}",
    },
    Mutant {
        name: "a list by time names a channel on two pages",
        file: "query/listing.rs",
        from: "newest.is_some_and(|newest| item.head > newest)",
        to: "newest.is_some_and(|newest| item.head < newest)",
    },
    Mutant {
        name: "what is hidden is shown in a list",
        file: "query/listing.rs",
        from: "if is_shown(&frame) && !is_hidden {",
        to: "if is_shown(&frame) {",
    },
];
