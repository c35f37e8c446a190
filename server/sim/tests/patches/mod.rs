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
        file: "channel.rs",
        from: "if known.seq > self.durable {",
        to: "if false {",
    },
    Mutant {
        name: "dedup looked up after membership",
        file: "channel.rs",
        from: "        if let Some(known) = dedup.find(submit.origin.user, submit.frame.send_id()) {\n            if !known",
        to: "        self.check(submit, limits)?;\n        if let Some(known) = dedup.find(submit.origin.user, submit.frame.send_id()) {\n            if !known",
    },
    Mutant {
        name: "other content under a used key answered as a repeat",
        file: "channel.rs",
        from: "if !known.has_content(submit.frame.fingerprint()) {",
        to: "if false {",
    },
    Mutant {
        name: "time steps back with the wall clock",
        file: "channel/group.rs",
        from: "self.time_ms = self.time_ms.max(wall_ms);",
        to: "self.time_ms = wall_ms;",
    },
    Mutant {
        name: "history read outside the reader's intervals",
        file: "channel.rs",
        from: "Readable::Stay(Interval { joined: member.joined, left: None })",
        to: "Readable::Stay(Interval { joined: Seq(1), left: None })",
    },
    Mutant {
        name: "a removed member still receives",
        file: "channel/group.rs",
        from: "let Some(member) = self.members.remove(&user) else",
        to: "let Some(member) = self.members.get(&user).copied() else",
    },
    Mutant {
        name: "the list of recipients outlives a change of the members",
        file: "channel.rs",
        from: "            && !changed.members\n",
        to: "",
    },
    Mutant {
        name: "fan-out to the members of later at replay",
        file: "channel/group.rs",
        from: "let (left, name) = (Some(self.head), self.name.clone());",
        to: "let (left, name) = (Some(Seq(self.head.0 - 1)), self.name.clone());",
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
        file: "gather.rs",
        from: "        run.entries.push((channel, seq));\n",
        to: "        if at.0 % 16 != 0 {\n            run.entries.push((channel, seq));\n        }\n",
    },
    Mutant {
        name: "marks of what is gathered leave before it",
        file: "gather.rs",
        from: "        let (pointers, bytes) = (self.pointers, self.bytes);\n",
        to: "        let (pointers, bytes) = (self.pointers, self.bytes);\n        if self.pointers < 3 {\n            let gone = core::mem::replace(&mut self.bays, bays);\n            self.leaving = Leaving { bays: gone, moved, began, next: began, spread_ms, pointers: 0, bytes };\n            return;\n        }\n",
    },
    Mutant {
        name: "a bay's mark steps back to that of the least",
        file: "applied.rs",
        from: "let is_new = |(source, through): &&(BayId, u64)| *through > self.found_in(bay, *source);",
        to: "let is_new = |_: &&(BayId, u64)| bay.0 < 64;",
    },
    Mutant {
        name: "a bay that had applied more gets its pointers again",
        file: "spans.rs",
        from: "self.applied.had(BayId::of_user(*user), source, number)",
        to: "number == 0 && self.applied.had(BayId::of_user(*user), source, number)",
    },
    Mutant {
        name: "a log is read from the bay that has applied most",
        file: "applied.rs",
        from: "found.iter().map(of_bay).min().unwrap_or_default()",
        to: "found.iter().map(of_bay).max().unwrap_or_default()",
    },
    Mutant {
        name: "who has gathered pointers leaves memory",
        file: "shard.rs",
        from: "pipeline.is_stored(user.dirty) && !gathered.holds(id)",
        to: "pipeline.is_stored(user.dirty)",
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
        from: "        if !change.turns {",
        to: "        if !change.turns || change.turns {",
    },
    Mutant {
        name: "a seventeenth device is let in",
        file: "control.rs",
        from: "(user.devices.len() + 1).saturating_sub(DEVICES_MAX);",
        to: "user.devices.len().saturating_sub(DEVICES_MAX);",
    },
    Mutant {
        name: "a removed device says Hello again",
        file: "greet.rs",
        from: "        if user.device(device).is_none() {",
        to: "        if false {",
    },
    Mutant {
        name: "a token outlives a logout from everywhere",
        file: "greet.rs",
        from: "        if issued_ms < account.not_before_ms {",
        to: "        if false {",
    },
    Mutant {
        name: "a removed device's session lives on",
        file: "control.rs",
        from: "            self.end_session(session, CloseCode::Unauthenticated);\n",
        to: "",
    },
    Mutant {
        name: "a device is confirmed before it is durable",
        file: "control.rs",
        from: "            Ok(()) => self.reply_once_stored(ticket, id),",
        to: "            Ok(()) => self.out.push(Effect::Reply { ticket, outcome: Ok(()) }),",
    },
    Mutant {
        name: "somebody else's ack goes to another device",
        file: "behind.rs",
        from: "let is_own = entry.ack == Ack::Due(id);",
        to: "let is_own = entry.ack != Ack::None;",
    },
    Mutant {
        name: "a page leaves out its last message",
        file: "behind.rs",
        from: "        for frame in frames {\n            self.counters.messages_sent += 1;",
        to: "        let all = frames.len();\n        for frame in frames.into_iter().take(all.saturating_sub(1).max(1)) {\n            self.counters.messages_sent += 1;",
    },
    Mutant {
        name: "a session that reads slowly is forgotten",
        file: "home.rs",
        from: "        self.look_at_crowded(session_id);\n    }\n\n    /// The driver tells that",
        to: "    }\n\n    /// The driver tells that",
    },
    Mutant {
        name: "who sends to a full store is still read",
        file: "pressure.rs",
        from: "if let Some(on) = self.pipeline.pressure_changed() {",
        to: "if let Some(on) = self.pipeline.pressure_changed().filter(|on| !on) {",
    },
    Mutant {
        name: "nobody is told that a full store has room again",
        file: "pressure.rs",
        from: "        if !on {\n            self.unpause_all",
        to: "        if !on && until.is_some() {\n            self.unpause_all",
    },
    Mutant {
        name: "silence counts while nobody reads",
        file: "greet.rs",
        from: " && self.reads(session) {",
        to: " {",
    },
    Mutant {
        name: "room for a page is not given back when it is answered",
        file: "spend.rs",
        from: "if session.give_page_back(asked, id).is_none() {",
        to: "if false {",
    },
    Mutant {
        name: "a page is asked for without room",
        file: "spend.rs",
        from: "if session.reserve_page(page, room).is_ok() {",
        to: "if session.reserve_page(page, room).is_ok() || true {",
    },
    Mutant {
        name: "who had no tokens is never read again",
        file: "spend.rs",
        from: "            None => self.unpause(session_id, Why::Tokens),",
        to: "            None => {}",
    },
    Mutant {
        name: "a frame that waited stays in the ledger",
        file: "ledger.rs",
        from: "impl Drop for Weight {\n    fn drop(&mut self) {\n        self.set(0);",
        to: "impl Drop for Weight {\n    fn drop(&mut self) {\n        self.set(self.bytes());",
    },
    Mutant {
        name: "history up to what was stored when the store answered",
        file: "history.rs",
        from: "        self.read_history(ChannelId(get.channel), submit, durable, stays);",
        to: "        let _ = durable;\n        let Some(channel) = self.channels.get(&ChannelId(get.channel)) else { return };\n        let durable = channel.durable();\n        self.read_history(ChannelId(get.channel), submit, durable, stays);",
    },
    Mutant {
        name: "a user joins a group without end",
        file: "channel/group.rs",
        from: "stays(user) >= limits.member_stays",
        to: "stays(user) > limits.member_stays",
    },
    Mutant {
        name: "a stay that has just ended is not counted",
        file: "membership.rs",
        from: "self.ask_after(dirty, asked, Query::Earlier { channel: id, users });",
        to: "self.ask_after(dirty.min(0), asked, Query::Earlier { channel: id, users });",
    },
    Mutant {
        name: "a stranger's mark is taken",
        file: "channel.rs",
        from: "self.members.get_mut(&user).filter(|member| member.joined <= durable)?;",
        to: "Some(self.members.entry(user).or_default()).filter(|member| member.joined <= durable)?;",
    },
    Mutant {
        name: "a mark is done before it is stored",
        file: "position.rs",
        from: "pipeline.after_number(channel.dirty(), after)",
        to: "pipeline.after_number(channel.dirty().min(0), after)",
    },
    Mutant {
        name: "a mark above what is stored is taken",
        file: "position.rs",
        from: "if seq > head {",
        to: "if seq > head.next() {",
    },
    Mutant {
        name: "a mark moves back",
        file: "position.rs",
        from: "if seq > position.read {",
        to: "if seq != position.read {",
    },
    Mutant {
        name: "a channel leaves memory with a mark on its way to the store",
        file: "shard.rs",
        from: "channel.is_idle() && pipeline.is_stored(channel.dirty());",
        to: "channel.is_idle();",
    },
    Mutant {
        name: "own sends are unread",
        file: "../../../storage/src/query/unread.rs",
        from: "stamp.sender == user || ",
        to: "",
    },
    Mutant {
        name: "changes of a group are unread",
        file: "../../../storage/src/query/unread.rs",
        from: "stamp.sender == user || !frame.kind().counts_as_unread()",
        to: "stamp.sender == user",
    },
    Mutant {
        name: "who has left sees later names",
        file: "../../../storage/src/query/joined.rs",
        from: "(Some(_), name) => name,",
        to: "(Some(_), _) => group.map(|row| row.name),",
    },
    Mutant {
        name: "the name is read behind the stay",
        file: "../../../storage/src/query/joined.rs",
        from: "left = stay.as_ref().map_or_else(|| listed.left_since(), |stay| stay.interval.left);",
        to: "left = listed.left_since();",
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
        from: "if !at_head || self.applied.owes(origin.session) {",
        to: "if false {",
    },
    Mutant {
        name: "a dedup window leaves memory while its channel has something in flight",
        file: "window.rs",
        from: "Some(Looked::Unused(channel)) if channel.is_idle() =>",
        to: "Some(Looked::Unused(channel)) if !channel.lacks_window() =>",
    },
    Mutant {
        name: "a user whom a waiting span is for leaves memory",
        file: "user.rs",
        from: "self.sessions.is_empty() && self.awaited == 0",
        to: "self.sessions.is_empty()",
    },
    Mutant {
        name: "a log that could not be read is not asked for again",
        file: "read.rs",
        from: "self.unread.failed(Load::Replay { source }, self.now, true);",
        to: "self.unread.failed(Load::Replay { source }, self.now, false);",
    },
    Mutant {
        name: "more users stay in memory than the operator allows",
        file: "shard.rs",
        from: "self.config.limits.idle_users + self.sessions.len()",
        to: "self.config.limits.idle_users + 9 + self.sessions.len()",
    },
    Mutant {
        name: "more channels stay in memory than the operator allows",
        file: "shard.rs",
        from: "let bound = self.config.limits.idle_channels;",
        to: "let bound = 3 + self.config.limits.idle_channels;",
    },
    Mutant {
        name: "a kept hop is applied although something is missing before it",
        file: "applied.rs",
        from: "mark.kept.front().is_some_and(|(after, _)| *after <= mark.queued) {",
        to: "mark.kept.front().is_some() {",
    },
    Mutant {
        name: "the user of a request without a connection leaves memory",
        file: "shard.rs",
        from: "let is_idle = user.is_idle(now) && !guests.has(id);",
        to: "let is_idle = user.is_idle(now);",
    },
    Mutant {
        name: "a request without a connection is acked for other content under its key",
        file: "guest.rs",
        from: "fingerprint: frame.fingerprint() }",
        to: "fingerprint: 0 }",
    },
    Mutant {
        name: "a guest is not told of what its user sent another way",
        file: "deliver.rs",
        from: "if !self.guests.is_empty() {",
        to: "if false {",
    },
    Mutant {
        name: "a guest stays behind its answer",
        file: "offer.rs",
        from: "if link.is_guest() {",
        to: "if false {",
    },
    Mutant {
        name: "a removed device's guests go on",
        file: "control.rs",
        from: "let guests = self.guests_of_device(id, device);",
        to: "let guests: Vec<crate::session::SessionId> = Vec::new();",
    },
];
