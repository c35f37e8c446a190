//! What is said about messages in the model: who may say it, which rows follow, and what pages of it may tell. Said once
//! more, independently of the core and of the store: by going through all that was ever said.

use std::collections::{BTreeMap, BTreeSet};

use protocol::body::about::{About as Page, Recalled};
use protocol::body::message::{Change, ROLE_ADMIN, ROLE_OWNER};
use protocol::body::read;
use protocol::commit::{About, Act, Batch, FloorRow, Pinned, Row, Said};
use protocol::query::{AboutMessage, Answer, PageBounds, Query};
use protocol::{ChannelId, Frame, Kind, Seq, Stamp, UserId};
use storage::Tier;

use crate::broken;
use crate::oracle::{Check, Oracle};
use crate::world::World;

const EDITS_MAX: usize = 64;
const REACTIONS_MAX: usize = 64;
const REACTIONS_OWN_MAX: usize = 16;
const PINS_MAX: usize = 100;

/// One thing that a durable message says about another.
#[derive(Clone, Debug)]
pub(crate) struct Remark {
    pub(crate) sender: UserId,
    pub(crate) target: Seq,
    pub(crate) act: Act,
}

/// What holds in a channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct State {
    said: BTreeMap<Seq, Said>,
    own: BTreeMap<(Seq, UserId), Vec<String>>,
    pins: Vec<Pinned>,
}

impl State {
    fn add(&mut self, seq: Seq, remark: &Remark) {
        let (target, sender) = (remark.target, remark.sender);
        match &remark.act {
            Act::Edits => self.said.entry(target).or_default().edits.push(seq),
            Act::Pins(on) => {
                let is_pinned = self.pins.iter().any(|pin| pin.seq == target);
                match on {
                    true if !is_pinned => self.pins.push(Pinned { seq: target, by: seq }),
                    true => {}
                    false => self.pins.retain(|pin| pin.seq != target),
                }
            }
            Act::Reacts { emoji, on } => {
                let own = self.own.entry((target, sender)).or_default();
                let has = own.contains(emoji);
                own.retain(|one| one != emoji || *on);
                if *on && !has {
                    own.push(emoji.clone());
                }
                self.count(target, emoji);
            }
            Act::Recalls => {
                self.said.remove(&target);
                self.own.retain(|(of, _), _| *of != target);
                self.pins.retain(|pin| pin.seq != target);
            }
        }
    }

    /// Counts anew who reacts to a message in one way.
    fn count(&mut self, target: Seq, emoji: &str) {
        let reacts = |ways: &[String]| ways.iter().any(|way| way == emoji);
        let users = self.own.iter().filter(|((of, _), ways)| *of == target && reacts(ways)).count();
        let count = u32::try_from(users).unwrap_or(u32::MAX);
        let counts = &mut self.said.entry(target).or_default().reactions;
        match counts.iter_mut().find(|(used, _)| used == emoji) {
            Some((_, found)) => *found = count,
            None => counts.push((emoji.to_owned(), count)),
        }
        counts.retain(|(_, count)| *count > 0);
        self.own.retain(|_, ways| !ways.is_empty());
        self.said.retain(|_, said| *said != Said::default());
    }

    /// What a row holds of it.
    fn row(&self, about: &About) -> About {
        match about {
            About::Message { seq, .. } => {
                About::Message { seq: *seq, said: self.said.get(seq).cloned().unwrap_or_default() }
            }
            About::Reactor { seq, user, .. } => {
                let emoji = self.own.get(&(*seq, *user)).cloned().unwrap_or_default();
                About::Reactor { seq: *seq, user: *user, emoji }
            }
            About::Pins(_) => About::Pins(self.pins.clone()),
            About::Recalled { .. } => about.clone(),
        }
    }
}

impl Oracle {
    /// A durable message says this about another.
    pub(crate) fn add_remark(&mut self, channel: ChannelId, seq: Seq, frame: &Frame) -> Check {
        let Some(Change::About { target, act }) = Change::read(frame) else { return Ok(()) };
        let Some(sender) = self.fact(channel, seq).map(|fact| fact.sender) else { return Ok(()) };
        let remark = Remark { sender, target, act };
        self.check_remark(channel, seq, &remark)?;
        if remark.act == Act::Recalls {
            self.take_back(channel, target, frame);
        }
        self.channels.entry(channel).or_default().remarks.insert(seq, remark);
        let state = self.state(channel, seq);
        let said = state.said.get(&target).cloned().unwrap_or_default();
        let own = state.own.get(&(target, sender)).map_or(0, Vec::len);
        if said.edits.len() > EDITS_MAX
            || said.reactions.len() > REACTIONS_MAX
            || own > REACTIONS_OWN_MAX
            || state.pins.len() > PINS_MAX
        {
            broken!("{channel:?} {seq}: more is said than may be: {said:?}");
        }
        Ok(())
    }

    /// A text and its edits are gone from here on.
    fn take_back(&mut self, channel: ChannelId, target: Seq, recall: &Frame) {
        let Some(recalled) = Recalled::of(recall) else { return };
        self.recalls += 1;
        let remarks = self.channels.get(&channel).map(|history| &history.remarks);
        let is_edit = |(_, other): &(&Seq, &Remark)| other.act == Act::Edits && other.target == target;
        let edits = remarks.into_iter().flatten().filter(is_edit).map(|(seq, _)| *seq);
        let all: Vec<Seq> = std::iter::once(target).chain(edits).collect();
        for seq in all {
            let Some(fact) = self.fact(channel, seq).filter(|fact| fact.was.is_none()) else { continue };
            let stamp = Stamp { seq, time_ms: fact.time_ms, sender: fact.sender };
            let tombstone = recalled.tombstone(fact.send_id, stamp);
            self.replace_fact(channel, seq, &tombstone);
        }
    }

    fn check_remark(&self, channel: ChannelId, seq: Seq, remark: &Remark) -> Check {
        let Remark { sender, target, act } = remark;
        if self.floor(channel).hides(*target) {
            broken!("{channel:?} {seq}: {remark:?}, which was purged");
        }
        let stay = self.member(channel, *sender).and_then(|row| row.intervals.last());
        let since = if channel.users().is_some() { Some(Seq(1)) } else { stay.map(|stay| stay.joined) };
        if *target >= seq || since.is_none_or(|since| *target < since) {
            broken!("{channel:?} {seq}: {remark:?}, and is in it since {since:?}");
        }
        let of = self.fact(channel, *target);
        if *act == Act::Recalls {
            let role =
                |user| self.member(channel, user).filter(|row| row.is_member()).map_or(0, |row| row.role);
            let (own, other) = (role(*sender), of.map_or(0, |of| role(of.sender)));
            let is_own = of.is_some_and(|of| of.sender == *sender);
            let may = is_own
                || (channel.users().is_none() && own >= ROLE_ADMIN && (own == ROLE_OWNER || own > other));
            let is_text = of.is_some_and(|of| [Kind::SEND_TEXT, Kind::RECALLED].contains(&of.kind));
            return if may && is_text {
                Ok(())
            } else {
                Err(format!("{channel:?} {seq}: {remark:?} of {of:?}"))
            };
        }
        if of.is_none_or(|of| of.kind != Kind::SEND_TEXT) {
            broken!("{channel:?} {seq}: {remark:?}, which is {of:?}");
        }
        if *act == Act::Edits && of.map(|of| of.sender) != Some(*sender) {
            broken!("{channel:?} {seq}: {sender} edits {of:?}");
        }
        let role = self.member(channel, *sender).map_or(0, |row| row.role);
        if matches!(act, Act::Pins(_)) && channel.users().is_none() && role < ROLE_ADMIN {
            broken!("{channel:?} {seq}: {sender} pins with role {role}");
        }
        Ok(())
    }

    /// What says nothing any more is forgotten.
    pub(crate) fn forget_remarks(&mut self, channel: ChannelId, is_gone: impl Fn(&Remark) -> bool) {
        if let Some(history) = self.channels.get_mut(&channel) {
            history.remarks.retain(|_, remark| !is_gone(remark));
        }
    }

    /// Whether a user reacts to anything in a channel.
    pub(crate) fn reacts(&self, channel: ChannelId, user: UserId) -> bool {
        self.state(channel, Seq(u64::MAX)).own.keys().any(|(_, whose)| *whose == user)
    }

    /// What holds behind a message.
    fn state(&self, channel: ChannelId, through: Seq) -> State {
        self.state_above(channel, through, &self.floor(channel))
    }

    /// The same where history began elsewhere.
    fn state_above(&self, channel: ChannelId, through: Seq, floor: &FloorRow) -> State {
        let mut state = State::default();
        let remarks = self.channels.get(&channel).map(|history| &history.remarks);
        for (seq, remark) in remarks.into_iter().flat_map(|remarks| remarks.range(..=through)) {
            if !floor.hides(remark.target) {
                state.add(*seq, remark);
            }
        }
        state
    }
}

/// The rows of what is said are in the batch of the message that says it, and hold what now holds.
pub(crate) fn rows(oracle: &Oracle, batch: &Batch, floors: &BTreeMap<ChannelId, FloorRow>) -> Check {
    let all = || batch.parts.iter().flat_map(|part| &part.rows);
    let mut due = Vec::new();
    for row in all() {
        let Row::Message { channel, seq, frame } = row else { continue };
        let Some(Change::About { target, act }) = Change::read(frame) else { continue };
        let floor = floors.get(channel).copied().unwrap_or_else(|| oracle.floor(*channel));
        let (before, after) = (Seq(seq.0 - 1), *seq);
        let (before, after) =
            (oracle.state_above(*channel, before, &floor), oracle.state_above(*channel, after, &floor));
        if before == after {
            continue;
        }
        let user = frame.read_stamp().map(|stamp| stamp.sender).unwrap_or_default();
        let message = About::Message { seq: target, said: Said::default() };
        let of_act = match act {
            Act::Edits => vec![message],
            Act::Reacts { .. } => vec![message, About::Reactor { seq: target, user, emoji: Vec::new() }],
            Act::Pins(_) => vec![About::Pins(Vec::new())],
            Act::Recalls => recalled_rows(&before, &after, target),
        };
        due.extend(of_act.iter().map(|about| (*channel, still_there(oracle, *channel, after.row(about)))));
    }
    rewrites(oracle, batch)?;
    // What an erasure takes back is looked at with it, and what it left once all is at rest.
    due.retain(|(channel, _)| !oracle.has_erased(*channel));
    let found: Vec<(ChannelId, About)> = all()
        .filter_map(|row| match row {
            Row::About { channel, about } if !oracle.has_erased(*channel) => {
                Some((*channel, still_there(oracle, *channel, about.clone())))
            }
            _ => None,
        })
        .collect();
    if found != due {
        broken!("shard {}: rows say {found:?}, messages {due:?}", batch.shard);
    }
    Ok(())
}

/// A row of pins without those that were purged: they count nowhere, and a PIN that was looked up before may write them still.
fn still_there(oracle: &Oracle, channel: ChannelId, about: About) -> About {
    let About::Pins(mut pins) = about else { return about };
    let floor = oracle.floor(channel);
    pins.retain(|pin| !floor.hides(pin.seq));
    About::Pins(pins)
}

/// What a recall removes of what was said.
fn recalled_rows(before: &State, after: &State, target: Seq) -> Vec<About> {
    let has_reactors = before.own.keys().any(|(of, _)| *of == target);
    let said = before.said.contains_key(&target).then_some(About::Recalled { seq: target, has_reactors });
    let pins = (before.pins != after.pins).then(|| About::Pins(Vec::new()));
    said.into_iter().chain(pins).collect()
}

/// What stands in the place of recalled messages is in the batch of the message that recalls them, and nothing else is
/// rewritten.
fn rewrites(oracle: &Oracle, batch: &Batch) -> Check {
    let all = || batch.parts.iter().flat_map(|part| &part.rows);
    let mut due = BTreeSet::new();
    for row in all() {
        let Row::Message { channel, frame, .. } = row else { continue };
        let Some(recalled) = Recalled::of(frame) else { continue };
        let remarks = oracle.channels.get(channel).map(|history| &history.remarks);
        let first = remarks
            .into_iter()
            .flatten()
            .find(|(_, remark)| remark.act == Act::Recalls && remark.target == Seq(recalled.target));
        // Only the first recall of a text finds something.
        if first.is_some_and(|(seq, _)| *seq == Seq(recalled.by)) {
            let edits = remarks
                .into_iter()
                .flatten()
                .filter(|(_, remark)| remark.act == Act::Edits && remark.target == Seq(recalled.target));
            due.insert((*channel, Seq(recalled.target)));
            due.extend(edits.map(|(seq, _)| (*channel, *seq)));
        }
    }
    let mut found = BTreeSet::new();
    for row in all() {
        let Row::Rewrite { channel, seq, frame } = row else { continue };
        let fact = oracle.fact(*channel, *seq);
        if fact.is_none_or(|fact| fact.was.is_none() || fact.fingerprint != frame.fingerprint()) {
            broken!("{row:?}: the model has {fact:?}");
        }
        let by = Recalled::read(frame).map_or(Seq(0), |says| Seq(says.by));
        if oracle.fact(*channel, by).is_none_or(|by| by.kind != Kind::ERASE) {
            found.insert((*channel, *seq));
        }
    }
    // What was erased before a recall of it is not recalled.
    due.retain(|(channel, seq)| found.contains(&(*channel, *seq)) || !oracle.has_erased(*channel));
    if found != due {
        broken!("shard {}: rewritten is {found:?}, recalled {due:?}", batch.shard);
    }
    Ok(())
}

/// A page tells of messages that its reader may read, and of edits that are some.
pub(crate) fn page(oracle: &Oracle, user: UserId, frame: &Frame) -> Check {
    let Some(page) = read::<Page>(frame) else { broken!("unreadable About") };
    let (channel, range) = (ChannelId(page.channel), page.from..=page.to);
    if page.to > oracle.head(channel).0 || page.from > page.to {
        broken!("{page:?}: durable {}", oracle.head(channel));
    }
    let remarks = oracle.channels.get(&channel).map(|history| &history.remarks);
    for item in &page.items {
        let edit = remarks.and_then(|remarks| remarks.get(&Seq(item.edited)));
        let is_edit = edit.is_some_and(|edit| edit.act == Act::Edits && edit.target == Seq(item.seq));
        if !range.contains(&item.seq) || (item.edited > 0 && !is_edit) {
            broken!("{item:?} of {channel:?}: {edit:?}");
        }
    }
    let seqs = page.items.iter().map(|item| item.seq).chain(page.pins.iter().map(|pin| pin.seq));
    let mut all = seqs.chain(page.reactions.iter().map(|one| one.seq)).map(Seq);
    if let Some(hidden) = all.find(|seq| !oracle.may_read(channel, user, *seq)) {
        broken!("{user} is told what is said of {hidden} of {channel:?}");
    }
    for one in &page.who {
        let way = usize::try_from(one.reaction).ok().and_then(|place| page.reactions.get(place));
        if way.is_none_or(|way| way.seq != one.seq) {
            broken!("{one:?} reacts in a way that is not there: {way:?}");
        }
    }
    Ok(())
}

/// Once all is at rest: what the store tells is what all that was said adds up to.
pub(crate) fn at_rest(world: &World) -> Check {
    for channel in world.oracle.channels.keys() {
        let state = world.oracle.state(*channel, Seq(u64::MAX));
        let user = world.users.first().copied().unwrap_or_default();
        let (mut found, mut from) = (Vec::new(), Seq(1));
        loop {
            let page = PageBounds { messages: 2, bytes: 1 << 20 };
            let through = world.oracle.head(*channel);
            let query = Query::About { channel: *channel, from, through, user, who: true, page };
            let Ok(Some(Answer::About { pins, items, more })) = world.disk.store().read(&query, Tier::Any)
            else {
                broken!("what is said in {channel:?} cannot be read");
            };
            if pins != state.pins {
                broken!("{channel:?}: pinned is {pins:?}, the model has {:?}", state.pins);
            }
            from = items.last().map_or(from, |last| last.seq.next());
            found.extend(items);
            if !more {
                break;
            }
        }
        let mut expected: Vec<AboutMessage> =
            state.said.iter().map(|(seq, said)| of(&state, user, *seq, said)).collect();
        if world.oracle.has_erased(*channel) {
            for item in found.iter_mut().chain(&mut expected) {
                item.said.reactions.sort();
            }
        }
        if found != expected {
            broken!("{channel:?}: the store says {found:?}, the model {expected:?}");
        }
    }
    Ok(())
}

fn of(state: &State, user: UserId, seq: Seq, said: &Said) -> AboutMessage {
    let who = state.own.iter().filter(|((of, _), _)| *of == seq);
    AboutMessage {
        seq,
        said: said.clone(),
        own: state.own.get(&(seq, user)).cloned().unwrap_or_default(),
        text: String::new(),
        who: who.map(|((_, user), ways)| (*user, ways.clone())).collect(),
    }
}
