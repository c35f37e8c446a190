//! Deliberate faults of large channels, in `server/shard/src`: who follows, what is missed, and who is looked up.

use super::Mutant;

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "who left a large channel is told what is behind that",
        file: "follow.rs",
        from: "                left.extend(followed.left(leaver, stamp.seq));\n",
        to: "                left.extend(Some(leaver).filter(|_| false));\n",
    },
    Mutant {
        name: "a hole in a large channel is passed over",
        file: "follow.rs",
        from: "is_some_and(|told| followed.seen <= told && first <= told.next());",
        to: "is_some();",
    },
    Mutant {
        name: "a large channel is followed by who was not asked for",
        file: "follow.rs",
        from: "follower.joined.is_some_and(|joined| joined < stamp.seq);",
        to: "follower.joined.is_none_or(|joined| joined < stamp.seq);",
    },
    Mutant {
        name: "who has a message of a large channel in the inbox is told it again",
        file: "follow.rs",
        from: "if !is_for || pointed.binary_search(user).is_ok() {",
        to: "if !is_for {",
    },
    Mutant {
        name: "a session that had no room is told on without a word",
        file: "follow.rs",
        from: "                        followed.behind.insert(*session_id);\n",
        to: "",
    },
    Mutant {
        name: "a message of a large channel that found no room is forgotten",
        file: "large.rs",
        from: "                    self.followers.missed.insert((*shard, channel));\n",
        to: "",
    },
    Mutant {
        name: "a role that changed while it was looked up is the old one",
        file: "channel/large.rs",
        from: "if !self.lookups.changed.contains(&user) {",
        to: "if true {",
    },
    Mutant {
        name: "who invited to a large channel is not looked up",
        file: "membership.rs",
        from: "self.judge_by(id, number, inviters);",
        to: "self.judge_by(id, number, Vec::clone(&inviters).split_off(inviters.len()));",
    },
    Mutant {
        name: "whom a ban of a large channel names is not looked up",
        file: "channel/large.rs",
        from: "Some(Change::Bans(member) | Change::Unbans(member)) => Some(*member),",
        to: "Some(Change::Unbans(member)) => Some(*member),",
    },
    Mutant {
        name: "who leaves a large channel is counted on",
        file: "channel/large.rs",
        from: "+ u32::from(now.is_some()) - u32::from(before.is_some());",
        to: "+ u32::from(now.is_some() && before.is_none());",
    },
];
