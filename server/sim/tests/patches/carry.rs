//! Deliberate faults of the rules by which jobs of push are carried out, in `server/push/carry/src`.

use super::Mutant;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "quiet hours are ignored",
        file: "job.rs",
        from: "let Some(until_ms) = quiet_until(row) else {",
        to: "let Some(until_ms) = quiet_until(row).filter(|until| *until == 0) else {",
    },
    Mutant {
        name: "what was read is told",
        file: "job.rs",
        from: "if facts.read >= job.seq {",
        to: "if facts.read > job.seq {",
    },
    Mutant {
        name: "who does not want to be told is",
        file: "job.rs",
        from: "if !is_wanted || is_blocked",
        to: "if is_blocked",
    },
    Mutant {
        name: "push tells of whom the user has blocked",
        file: "job.rs",
        from: "let is_blocked = facts.is_blocked &&",
        to: "let is_blocked = false &&",
    },
    Mutant {
        name: "who has it is called again with who does not",
        file: "job.rs",
        from: "(self.left.clone(), self.has_failed);",
        to: "(Vec::new(), self.has_failed);",
    },
    Mutant {
        name: "a push that failed is done when another was taken",
        file: "job.rs",
        from: "if let Some(at_ms) = self.at_ms {",
        to: "if let Some(at_ms) = self.at_ms.filter(|_| self.taken.is_empty()) {",
    },
    Mutant {
        name: "a browser is told that something is read",
        file: "withdraw.rs",
        from: "Provider::WebPush => false,",
        to: "Provider::WebPush => true,",
    },
    Mutant {
        name: "who took nothing is told that it is read",
        file: "withdraw.rs",
        from: "can_withdraw(*provider) && shown.targets.contains(&target);",
        to: "can_withdraw(*provider);",
    },
    Mutant {
        name: "a withdrawal that failed for one is made again for all",
        file: "withdraw.rs",
        from: "self.called.retain(|target| !failed.contains(target));",
        to: "drop((failed, core::mem::take(&mut self.called)));",
    },
    Mutant {
        name: "a job that is told of while it is under way is forgotten",
        file: "desk.rs",
        from: "if let Some(at_ms) = if was_told { Some(now_ms) } else { at_ms } {",
        to: "if let Some(at_ms) = if was_told { None } else { at_ms } {",
    },
    Mutant {
        name: "what no home has heard is forgotten",
        file: "desk.rs",
        from: "                self.kept.insert(job, kept);\n",
        to: "                drop(kept);\n",
    },
];
