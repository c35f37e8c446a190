//! The deliberate faults. Each says what it breaks; the text must stand exactly once in its file.

pub(crate) mod edge;
pub(crate) mod storage;

/// One fault.
pub(crate) struct Mutant {
    /// What it breaks.
    pub(crate) name: &'static str,
    /// In the directory of its room.
    pub(crate) file: &'static str,
    /// What stands there.
    pub(crate) from: &'static str,
    /// What is put in its place.
    pub(crate) to: &'static str,
}

/// Those of the core, in `server/shard/src`.
pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "duplicate answered before stored",
        file: "order.rs",
        from: "if known.seq > channel.durable {",
        to: "if false {",
    },
    Mutant {
        name: "dedup looked up after membership",
        file: "order.rs",
        from: "        if let Some(known) = dedup.find(submit.origin.user, submit.frame.send_id()) {\n            if !known",
        to: "        channel.check(submit, self.config.limits.group_members)?;\n        if let Some(known) = dedup.find(submit.origin.user, submit.frame.send_id()) {\n            if !known",
    },
    Mutant {
        name: "other content under a used key answered as a repeat",
        file: "order.rs",
        from: "if !known.has_content(submit.frame.fingerprint()) {",
        to: "if false {",
    },
    Mutant {
        name: "time steps back with the wall clock",
        file: "channel.rs",
        from: "self.time_ms = self.time_ms.max(wall_ms);",
        to: "self.time_ms = wall_ms;",
    },
    Mutant {
        name: "history read outside the reader's intervals",
        file: "channel.rs",
        from: "None => self.members.get(&user).map(|row| row.intervals.clone()),",
        to: "None => self.members.get(&user).map(|_| vec![Interval { joined: Seq(1), left: None }]),",
    },
    Mutant {
        name: "a removed member still receives",
        file: "channel.rs",
        from: "self.members.iter().filter(|(_, row)| row.holds(head)).map(|(user, _)| *user).collect(),",
        to: "self.members.iter().filter(|(_, row)| row.holds(head) || row.intervals.len() > 1).map(|(user, _)| *user).collect(),",
    },
    Mutant {
        name: "the list of recipients outlives a change of the members",
        file: "channel.rs",
        from: "            && !change.members\n",
        to: "",
    },
    Mutant {
        name: "fan-out to the members of later at replay",
        file: "channel.rs",
        from: "interval.left = Some(head);",
        to: "interval.left = Some(Seq(head.0 - 1));",
    },
    Mutant {
        name: "ack and fan-out before stored",
        file: "pipeline.rs",
        from: "self.pending.front()?.number > number {",
        to: "self.pending.front()?.number > number + 1 {",
    },
    Mutant {
        name: "complete range past what is durable",
        file: "inbox.rs",
        from: "    pub(crate) fn durable(&self) -> InboxSeq {\n        self.durable",
        to: "    pub(crate) fn durable(&self) -> InboxSeq {\n        self.head",
    },
    Mutant {
        name: "applied mark written without its pointers",
        file: "pipeline.rs",
        from: "        self.trailing_row(Row::Pointer { user, at, channel, seq })\n",
        to: "        if at.0 % 16 == 0 {\n            return self.next;\n        }\n        self.trailing_row(Row::Pointer { user, at, channel, seq })\n",
    },
    Mutant {
        name: "applied mark written a batch before its pointers",
        file: "applied.rs",
        from: "        if after <= mark.queued {\n            mark.queued = inbound.through;",
        to: "        if after <= mark.queued {\n            mark.queued = inbound.through + 1;",
    },
    Mutant {
        name: "a gap in the fan-out log is ignored",
        file: "applied.rs",
        from: "        if after <= mark.queued {\n",
        to: "        if true {\n",
    },
    Mutant {
        name: "a repeated delivery is applied again",
        file: "applied.rs",
        from: "if is_full || inbound.through <= mark.queued {",
        to: "if is_full {",
    },
    Mutant {
        name: "boot does not replay before it is ready",
        file: "applied.rs",
        from: "                seen: *seen,",
        to: "                seen: (*seen).min(through),",
    },
    Mutant {
        name: "the log is trimmed below the fastest mark",
        file: "source.rs",
        from: "self.dests.iter().map(|dest| dest.applied).min()?;",
        to: "self.dests.iter().map(|dest| dest.applied).max()?;",
    },
    Mutant {
        name: "an old connection outlives a new Hello",
        file: "greet.rs",
        from: "        self.end_sessions_of_device(hello.user, hello.device, CloseCode::Replaced);\n",
        to: "",
    },
    Mutant {
        name: "paused connections are never resumed",
        file: "pauses.rs",
        from: "        if !is_last {",
        to: "        if !is_last || is_last {",
    },
    Mutant {
        name: "a seventeenth device is let in",
        file: "greet.rs",
        from: "user.devices.len() >= DEVICES_MAX {",
        to: "user.devices.len() > DEVICES_MAX {",
    },
    Mutant {
        name: "somebody else's ack goes to another device",
        file: "deliver.rs",
        from: "let is_own = entry.ack == Ack::Due(session.number);",
        to: "let is_own = entry.ack != Ack::None;",
    },
    Mutant {
        name: "a page leaves out its last message",
        file: "deliver.rs",
        from: "        for frame in frames {\n            self.counters.messages_sent += 1;",
        to: "        let all = frames.len();\n        for frame in frames.into_iter().take(all.saturating_sub(1).max(1)) {\n            self.counters.messages_sent += 1;",
    },
    Mutant {
        name: "a session that reads slowly is forgotten",
        file: "home.rs",
        from: "            self.crowded.push(conn);\n            return;\n        }\n        session.crowded = false;",
        to: "            return;\n        }\n        session.crowded = false;",
    },
    Mutant {
        name: "a read that failed is never asked again",
        file: "unread.rs",
        from: "rest.wanted && rest.until <= now);",
        to: "rest.wanted && rest.until <= now && false);",
    },
    Mutant {
        name: "an ack is sent before its span is applied and once more then",
        file: "spans.rs",
        from: "            acked.push(*place);\n",
        to: "",
    },
    Mutant {
        name: "an early ack overtakes the acks before it",
        file: "spans.rs",
        from: "if !at_head || applied.owes(origin.session) {",
        to: "if false {",
    },
    Mutant {
        name: "a dedup window leaves memory while its channel has something in flight",
        file: "window.rs",
        from: "if seen == used && seen != self.turn && channel.is_idle() {",
        to: "if seen == used && seen != self.turn && channel.waiting.is_empty() && channel.opening.is_none() {",
    },
    Mutant {
        name: "a user whom a waiting span is for leaves memory",
        file: "shard.rs",
        from: "let awaited = user.awaited > 0;",
        to: "let awaited = false;",
    },
    Mutant {
        name: "a kept hop is applied although something is missing before it",
        file: "applied.rs",
        from: "mark.kept.front().is_some_and(|(after, _)| *after <= mark.queued) {",
        to: "mark.kept.front().is_some() {",
    },
];
