//! Deliberate faults of push at a user's home, in `server/shard/src`.

use super::Mutant;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "a job leaves behind the batch of its pointer",
        file: "gather.rs",
        from: "                let is_there = row.is_some();\n",
        to: "                if runs.contains_key(&user) {\n                    self.gathered.job(user, channel, row);\n                    continue;\n                }\n                let is_there = row.is_some();\n",
    },
    Mutant {
        name: "what is read is not withdrawn",
        file: "push.rs",
        from: "let is_withdrawn = push.jobs.get(&channel).is_some_and(|job| job.seq <= seq);",
        to: "let is_withdrawn = push.jobs.get(&channel).is_some_and(|job| job.seq < Seq(0).max(seq.min(Seq(0))));",
    },
    Mutant {
        name: "the ten seconds are forgotten",
        file: "push.rs",
        from: "            if waits == due {",
        to: "            if waits < due {",
    },
    Mutant {
        name: "a mark that is refused withdraws",
        file: "push.rs",
        from: "        if !is_stored {\n            return;\n        }\n        // What is read was taken",
        to: "        let _ = is_stored;\n        // What is read was taken",
    },
    Mutant {
        name: "a mark withdraws what is newer",
        file: "push.rs",
        from: "        let waits = push.jobs.get(&channel).map(|job| job.seq);",
        to: "        let (waits, seq) = (push.jobs.get(&channel).map(|job| job.seq), seq.next());",
    },
    Mutant {
        name: "a job that was replaced ends with the older one",
        file: "push.rs",
        from: "let is_replaced = job.seq != seq;",
        to: "let is_replaced = job.seq < seq;",
    },
    Mutant {
        name: "who is to take a message leaves memory",
        file: "user.rs",
        from: ".is_none_or(|push| !push.is_waiting())",
        to: ".is_none_or(|push| push.is_waiting() || self.awaited == 0)",
    },
    Mutant {
        name: "a job says nothing of a mention",
        file: "push.rs",
        from: "        job.is_mentioned |= told.is_mentioned;\n",
        to: "",
    },
];
