//! The model: what was offered, what is durable, who was a member when. It is told every batch at the moment in which
//! the batch becomes durable, and no batch that was lost; so it is the truth that everything shown is held against.

mod history;
mod large;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use client::session::Known;
use protocol::body::message;
use protocol::body::talk::Talk;
use protocol::commit::{FloorRow, Interval, Note, PositionRow};
use protocol::limits::{UNREAD_BYTES_MAX, UNREAD_MESSAGES_MAX};
use protocol::{BayId, ChannelId, Cursor, DeviceId, Frame, Generation, Kind, SendId, Seq, UserId};

use crate::about::Remark;
use crate::push::Pushes;
use crate::rules::Ruled;

/// An invariant held, or the words that say which did not and how.
pub type Check = Result<(), String>;

/// Fails a check with formatted words.
#[macro_export]
macro_rules! broken {
    ($($words:tt)*) => { return Err(format!($($words)*)) };
}

/// A durable message, as far as anything is compared with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fact {
    /// Who sent it.
    pub sender: UserId,
    /// Under which key.
    pub send_id: SendId,
    /// Kind, version and body in one number.
    pub fingerprint: u64,
    /// The stamp's time.
    pub time_ms: u64,
    /// What it is.
    pub kind: Kind,
    /// Of the frame.
    pub bytes: usize,
    /// What it was before it was recalled.
    pub was: Option<Was>,
    /// Which of all recalls and purges it was that purged it.
    pub purged: Option<u64>,
}

/// What a message was that was recalled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Was {
    /// Its fingerprint before.
    pub fingerprint: u64,
    /// Which of all recalls it was that took it back, from 1.
    pub number: u64,
}

/// A user's membership in a group, by the messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stays {
    /// Of no meaning while outside.
    pub role: u8,
    /// Rising and disjoint; only the last can be open. An invitation is one that holds its own message alone.
    pub intervals: Vec<Interval>,
    /// Who ended the last one; of an invitation who gave it.
    pub ended_by: Option<UserId>,
}

impl Stays {
    /// Whether the user is a member now.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.intervals.last().is_some_and(|interval| interval.left.is_none())
    }

    /// Who invited the user, if that is what happened last.
    #[must_use]
    pub fn invitation(&self) -> Option<UserId> {
        let last = self.intervals.last().filter(|interval| interval.left == Some(interval.joined))?;
        self.ended_by.filter(|_| last.left.is_some())
    }

    /// Whether the user was a member at `seq`, and so may read it and was sent it.
    #[must_use]
    pub fn holds(&self, seq: Seq) -> bool {
        self.intervals.iter().any(|interval| interval.holds(seq))
    }
}

/// A channel's durable messages and what follows from them.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By seq, from 1.
    pub facts: Vec<Fact>,
    /// What of them was purged.
    pub(crate) floor: FloorRow,
    keys: HashMap<(UserId, SendId), Seq>,
    members: BTreeMap<UserId, Stays>,
    /// How far everybody has come.
    pub(crate) positions: BTreeMap<UserId, PositionRow>,
    /// With which message it became a large channel.
    grown: Option<Seq>,
    /// Whose inboxes each message behind that enters.
    pointed: BTreeMap<Seq, Vec<UserId>>,
    /// A group's names, each with the seq that gave it.
    names: Vec<(Seq, String)>,
    /// What texts are about, besides their words.
    pub(crate) talks: BTreeMap<Seq, Talk>,
    /// What its messages say about others; by seq.
    pub(crate) remarks: BTreeMap<Seq, Remark>,
    /// What they lay down.
    pub(crate) ruled: Ruled,
    /// What its messages note, in an own channel; by seq.
    notes: BTreeMap<Seq, Note>,
    /// What rows say that they note.
    rows: BTreeMap<Seq, Note>,
}

/// A user's durable pointers.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// By position, from 1.
    pub pointers: Vec<(ChannelId, Seq)>,
    held: HashSet<(ChannelId, Seq)>,
    newest: HashMap<ChannelId, Seq>,
}

/// Who is not to write to a user: one other, or nobody at all.
pub type Ban = (UserId, Option<UserId>);

/// One bay's fan-out log and its marks in the others'.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// By number, from 1; kept here for ever.
    pub rows: Vec<Vec<(ChannelId, Seq)>>,
    /// What this bay has applied, by source.
    pub applied: BTreeMap<BayId, u64>,
    /// Numbers below are gone from the real log.
    pub trimmed_below: u64,
}

/// Everything that is durable, and everything that anybody ever offered.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// Which life of the stores this is.
    pub generation: Generation,
    /// Durable messages.
    pub channels: BTreeMap<ChannelId, History>,
    /// Durable pointers.
    pub inboxes: BTreeMap<UserId, Inbox>,
    /// Durable device rows.
    pub devices: BTreeMap<UserId, BTreeMap<DeviceId, Cursor>>,
    /// Devices that were removed, durably. Nothing ever brings one back.
    pub gone: HashSet<DeviceId>,
    /// Devices that somebody asked to remove. These alone may be told that they were logged out.
    pub removing: HashSet<DeviceId>,
    /// Durable accounts.
    pub accounts: HashSet<UserId>,
    /// Tokens that were issued before this are no good, durably.
    pub not_before: BTreeMap<UserId, u64>,
    /// The same as it was asked for: whoever logs in later is given a token that was issued at this time or later.
    pub not_before_asked: BTreeMap<UserId, u64>,
    /// Whom users refused so that every shard has heard of it, each time with a number of its own.
    pub bans: BTreeMap<Ban, u64>,
    /// Of whom users ever said something. Only these may be refused for want of consent.
    pub said_no: HashSet<Ban>,
    /// By bay.
    pub logs: Vec<Log>,
    /// How often one user may join one group.
    pub stays_max: u32,
    /// A group with more members is a large channel from then on; `None` where there are none.
    pub(crate) grows_above: Option<usize>,
    /// Durable recalls and purges, in whatever life.
    pub recalls: u64,
    /// How far the operator has asked to purge channels, in whatever life.
    pub(crate) may_purge: BTreeMap<ChannelId, Seq>,
    /// Whom the operator erases, in whatever life.
    pub(crate) erasing: BTreeSet<UserId>,
    /// Channels in which an erasure has begun.
    pub(crate) erased: BTreeSet<ChannelId>,
    /// Who shows nobody how far it has come, durably.
    pub hides: HashSet<UserId>,
    /// The most that devices of a user said was delivered, in whatever life.
    pub(crate) marked: HashMap<(ChannelId, UserId), Seq>,
    /// Of push.
    pub(crate) pushes: Pushes,
    offered: HashMap<(ChannelId, UserId, SendId), Offered>,
}

/// A send that devices have put on its way.
#[derive(Clone, Debug, Default)]
struct Offered {
    /// Fingerprints of what was sent under the key.
    contents: Vec<u64>,
    times: u32,
    /// The bans that stood against it when it was sent first.
    bans: Vec<u64>,
}

impl Default for Oracle {
    /// Nothing is durable yet.
    fn default() -> Self {
        Self {
            generation: Generation(1),
            channels: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            devices: BTreeMap::new(),
            gone: HashSet::new(),
            removing: HashSet::new(),
            accounts: HashSet::new(),
            not_before: BTreeMap::new(),
            not_before_asked: BTreeMap::new(),
            bans: BTreeMap::new(),
            said_no: HashSet::new(),
            logs: BayId::all().map(|_| Log::default()).collect(),
            stays_max: u32::MAX,
            grows_above: None,
            recalls: 0,
            may_purge: BTreeMap::new(),
            erasing: BTreeSet::new(),
            erased: BTreeSet::new(),
            hides: HashSet::new(),
            marked: HashMap::new(),
            pushes: Pushes::default(),
            offered: HashMap::new(),
        }
    }
}

impl Oracle {
    /// Whether a device exists, durably.
    #[must_use]
    pub fn has_device(&self, user: UserId, device: DeviceId) -> bool {
        self.devices.get(&user).is_some_and(|all| all.contains_key(&device))
    }

    /// Whether a token can be good for anything: its device may exist, and nobody has logged out everywhere since.
    #[must_use]
    pub fn may_be_welcome(&self, user: UserId, device: DeviceId, issued_ms: u64) -> bool {
        !self.gone.contains(&device) && issued_ms >= self.not_before.get(&user).copied().unwrap_or(0)
    }

    /// Whether a device may be told that it was logged out, or that this token of it no longer counts.
    #[must_use]
    pub fn may_be_logged_out(&self, user: UserId, device: DeviceId, issued_ms: u64) -> bool {
        let asked_ms = self.not_before_asked.get(&user).copied().unwrap_or(0);
        self.removing.contains(&device) || issued_ms < asked_ms
    }

    /// A backup takes the place of what is durable, and begins a new life. What was ever offered stays offered.
    pub(crate) fn restore(&mut self, backup: Self) {
        let generation = Generation(self.generation.0 + 1);
        let offered = std::mem::take(&mut self.offered);
        // Devices that are younger than the backup are no more, and whatever was asked for stays asked for.
        let mut removing = std::mem::take(&mut self.removing);
        for (user, devices) in &self.devices {
            removing.extend(devices.keys().filter(|device| !backup.has_device(*user, **device)));
        }
        let not_before_asked = std::mem::take(&mut self.not_before_asked);
        let said_no = std::mem::take(&mut self.said_no);
        let (marked, recalls) = (std::mem::take(&mut self.marked), self.recalls);
        let may_purge = std::mem::take(&mut self.may_purge);
        let (erasing, erased) = (std::mem::take(&mut self.erasing), std::mem::take(&mut self.erased));
        let mut backup = backup;
        let pushes = std::mem::take(&mut backup.pushes).restored(&self.pushes);
        *self = Self {
            generation,
            offered,
            removing,
            not_before_asked,
            said_no,
            marked,
            recalls,
            may_purge,
            erasing,
            erased,
            pushes,
            ..backup
        };
    }

    /// Whether a device holds what is durable there.
    #[must_use]
    pub fn is_fact(&self, channel: ChannelId, seq: Seq, held: &Known) -> bool {
        let is_it = |fact: &Fact| {
            (fact.sender, fact.send_id, fact.time_ms) == (held.sender, held.send_id, held.time_ms)
        };
        // A device keeps what it had before a purge, and in another life it may hold the tombstone still.
        let is_purged = |fact: &Fact| fact.purged.is_some();
        let is_tombstone =
            held.sender == UserId(0) && self.may_purge.get(&channel).is_some_and(|may| seq < *may);
        is_tombstone || self.fact(channel, seq).is_some_and(|fact| is_it(fact) || is_purged(fact))
    }

    /// A device has put a frame on its way. Nothing else may ever become durable.
    pub fn offer(&mut self, user: UserId, frame: &Frame) {
        self.mark_offered(user, frame);
        self.taken_offered(user, frame);
        if let Some(channel) = message::channel_of(frame) {
            let bans = self.bans_against(channel, user);
            let first = || Offered { bans, ..Offered::default() };
            let offered = self.offered.entry((channel, user, frame.send_id())).or_insert_with(first);
            offered.times += 1;
            if !offered.contents.contains(&frame.fingerprint()) {
                offered.contents.push(frame.fingerprint());
            }
        }
    }

    /// The bans that keep `user` from writing to the other of a direct channel now.
    fn bans_against(&self, channel: ChannelId, user: UserId) -> Vec<u64> {
        // Nobody is asked about oneself.
        let Some((small, large)) = channel.users().filter(|(a, b)| a != b) else { return Vec::new() };
        let other = if user == small { large } else { small };
        [(other, Some(user)), (other, None)].iter().filter_map(|ban| self.bans.get(ban).copied()).collect()
    }

    /// Whether a device may be told that somebody did not consent to what it sent.
    #[must_use]
    pub fn may_need_consent(&self, channel: ChannelId, user: UserId) -> bool {
        let Some((small, large)) = channel.users() else { return true };
        if small == large {
            return false;
        }
        let other = if user == small { large } else { small };
        self.said_no.contains(&(other, Some(user))) || self.said_no.contains(&(other, None))
    }

    /// Whether a frame is one that a device of `user` has sent.
    #[must_use]
    pub fn was_offered(&self, channel: ChannelId, fact: &Fact) -> bool {
        self.offered
            .get(&(channel, fact.sender, fact.send_id))
            .is_some_and(|offered| offered.contents.contains(&fact.fingerprint))
    }

    /// Whether a device has sent this once, so that its ack is the first one's and no repeat's.
    #[must_use]
    pub fn was_offered_once(&self, channel: ChannelId, user: UserId, id: SendId) -> bool {
        self.offered.get(&(channel, user, id)).is_some_and(|offered| offered.times == 1)
    }

    /// A durable message has become what stands in its place.
    pub(crate) fn replace_fact(&mut self, channel: ChannelId, seq: Seq, tombstone: &Frame) {
        let number = self.recalls;
        let place = seq.0.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        let facts = self.channels.get_mut(&channel).map(|history| &mut history.facts);
        if let Some(fact) = facts.zip(place).and_then(|(facts, place)| facts.get_mut(place)) {
            fact.was = Some(Was { fingerprint: fact.fingerprint, number });
            fact.fingerprint = tombstone.fingerprint();
            (fact.kind, fact.bytes) = (tombstone.kind(), tombstone.bytes().len());
        }
    }

    /// A durable message.
    #[must_use]
    pub fn fact(&self, channel: ChannelId, seq: Seq) -> Option<&Fact> {
        let place = usize::try_from(seq.0.checked_sub(1)?).ok()?;
        self.channels.get(&channel)?.facts.get(place)
    }

    /// Where a key is durable.
    #[must_use]
    pub fn find(&self, channel: ChannelId, user: UserId, send_id: SendId) -> Option<(Seq, &Fact)> {
        let seq = *self.channels.get(&channel)?.keys.get(&(user, send_id))?;
        Some((seq, self.fact(channel, seq)?))
    }

    /// A channel's newest durable seq; 0 for none.
    #[must_use]
    pub fn head(&self, channel: ChannelId) -> Seq {
        Seq(self.channels.get(&channel).map_or(0, |history| history.facts.len() as u64))
    }

    /// A user's newest durable position.
    #[must_use]
    pub fn inbox_head(&self, user: UserId) -> u64 {
        self.inboxes.get(&user).map_or(0, |inbox| inbox.pointers.len() as u64)
    }

    /// The pointers of `user` with `from < position <= to`.
    #[must_use]
    pub fn pointers(&self, user: UserId, from: u64, to: u64) -> &[(ChannelId, Seq)] {
        let all = self.inboxes.get(&user).map_or(&[][..], |inbox| &inbox.pointers);
        let low = usize::try_from(from).unwrap_or(usize::MAX).min(all.len());
        let high = usize::try_from(to).unwrap_or(usize::MAX).clamp(low, all.len());
        &all[low..high]
    }

    /// Whether `user` may read `seq`: inside one of its intervals.
    #[must_use]
    pub fn may_read(&self, channel: ChannelId, user: UserId, seq: Seq) -> bool {
        match channel.users() {
            Some((small, large)) => user == small || user == large,
            None => self.member(channel, user).is_some_and(|row| row.holds(seq)),
        }
    }

    /// What follows from the membership messages for one user.
    #[must_use]
    pub fn member(&self, channel: ChannelId, user: UserId) -> Option<&Stays> {
        self.channels.get(&channel)?.members.get(&user)
    }

    /// Everybody who ever was a member of a group, with intervals; the two users of a direct channel.
    #[must_use]
    pub fn ever_members(&self, channel: ChannelId) -> Vec<UserId> {
        match channel.users() {
            Some((small, large)) => vec![small, large],
            None => {
                self.channels.get(&channel).map_or_else(Vec::new, |h| h.members.keys().copied().collect())
            }
        }
    }

    /// Members of a group now.
    #[must_use]
    pub fn members_now(&self, channel: ChannelId) -> Vec<UserId> {
        let members = self.channels.get(&channel).map(|history| &history.members);
        let now = members.into_iter().flatten().filter(|(_, row)| row.is_member());
        now.map(|(user, _)| *user).collect()
    }

    /// The durable groups, rising.
    #[must_use]
    pub fn groups(&self) -> Vec<ChannelId> {
        self.channels.keys().filter(|channel| channel.users().is_none()).copied().collect()
    }

    /// All that belongs in the inbox of `user` now.
    #[must_use]
    pub fn due_to(&self, user: UserId) -> Vec<(ChannelId, Seq)> {
        let mut out = Vec::new();
        for (channel, history) in &self.channels {
            let seqs = (1..=history.facts.len() as u64).map(Seq);
            out.extend(seqs.filter(|seq| self.is_recipient(*channel, user, *seq)).map(|seq| (*channel, seq)));
        }
        out
    }

    /// All durable messages.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.channels.values().map(|history| history.facts.len() as u64).sum()
    }

    /// Adds a durable message and replays what it does to the membership.
    ///
    /// # Errors
    /// Dense seq, time, effectively once, offered, and the sender's right to send it.
    pub(crate) fn add_message(&mut self, channel: ChannelId, seq: Seq, frame: &Frame) -> Check {
        let Some(stamp) = frame.read_stamp() else { broken!("{channel:?} {seq}: stored without a stamp") };
        let fact = Fact {
            sender: stamp.sender,
            send_id: frame.send_id(),
            fingerprint: frame.fingerprint(),
            time_ms: stamp.time_ms,
            kind: frame.kind(),
            bytes: frame.bytes().len(),
            was: None,
            purged: None,
        };
        if message::channel_of(frame) != Some(channel) || stamp.seq != seq {
            broken!("{channel:?} {seq}: the row's key is not what the frame says");
        }
        if !self.was_offered(channel, &fact) && !self.is_erasing(&fact) {
            broken!("{channel:?} {seq}: nobody sent {fact:?}");
        }
        // The key of what was purged is forgotten with its window.
        let first = self.find(channel, fact.sender, fact.send_id);
        if let Some(first) = first.filter(|(_, first)| first.purged.is_none()) {
            broken!("{channel:?} {seq}: stored twice, first as {} {:?}", first.0, first.1);
        }
        let banned = self.bans_against(channel, fact.sender);
        let offered = self.offered.get(&(channel, fact.sender, fact.send_id));
        if offered.is_some_and(|offered| offered.bans.iter().any(|ban| banned.contains(ban))) {
            broken!("{channel:?} {seq}: the other had refused {fact:?} before it was sent");
        }
        let history = self.channels.entry(channel).or_default();
        if seq.0 != history.facts.len() as u64 + 1 {
            broken!("{channel:?} {seq}: not dense behind {}", history.facts.len());
        }
        if history.facts.last().is_some_and(|last| last.time_ms > fact.time_ms) {
            broken!("{channel:?} {seq}: time steps back to {}", fact.time_ms);
        }
        history.replay(channel, seq, &fact, frame)?;
        history.grow(seq, (&fact, frame), self.grows_above);
        history.keys.insert((fact.sender, fact.send_id), seq);
        history.facts.push(fact);
        self.add_remark(channel, seq, frame)?;
        let Some(talk) = Talk::read(frame) else { return Ok(()) };
        self.check_talk(channel, seq, fact.sender, &talk)?;
        self.channels.entry(channel).or_default().talks.insert(seq, talk);
        Ok(())
    }

    /// Adds a durable row of what a user has noted.
    pub(crate) fn add_note(&mut self, user: UserId, seq: Seq, note: &Note) {
        self.channels.entry(ChannelId::own(user)).or_default().rows.insert(seq, *note);
    }

    /// Whether the row of what a message notes became durable with it.
    ///
    /// # Errors
    /// It did not, or says something else.
    pub(crate) fn is_noted(&self, channel: ChannelId, seq: Seq) -> Check {
        let Some(history) = self.channels.get(&channel) else { return Ok(()) };
        let (says, row) = (history.notes.get(&seq), history.rows.get(&seq));
        if says != row {
            broken!("{channel:?} {seq}: the message notes {says:?}, its row {row:?}");
        }
        Ok(())
    }

    /// What a user has noted, as the messages of the own channel say one after the other; by the place of its row.
    #[must_use]
    pub fn notes(&self, user: UserId) -> BTreeMap<(u8, ChannelId, Option<u64>), (Seq, Note)> {
        let mut noted = BTreeMap::new();
        let history = self.channels.get(&ChannelId::own(user));
        for (seq, note) in history.into_iter().flat_map(|history| &history.notes) {
            let (at, value) = note.place(*seq);
            let place = (note.tag(), note.about(), at);
            match value {
                Some(_) => drop(noted.insert(place, (*seq, *note))),
                None => drop(noted.remove(&place)),
            }
        }
        noted
    }

    /// Adds a durable pointer.
    ///
    /// # Errors
    /// Dense, once, rising within a channel, of a durable message, and of one that belongs there.
    pub(crate) fn add_pointer(&mut self, user: UserId, at: u64, channel: ChannelId, seq: Seq) -> Check {
        if self.fact(channel, seq).is_none() {
            broken!("inbox of {user} at {at}: names {channel:?} {seq}, which is not durable");
        }
        if !self.is_recipient(channel, user, seq) {
            broken!("inbox of {user} at {at}: {channel:?} {seq} is outside the user's membership");
        }
        let inbox = self.inboxes.entry(user).or_default();
        if at != inbox.pointers.len() as u64 + 1 {
            broken!("inbox of {user} at {at}: not dense behind {}", inbox.pointers.len());
        }
        if !inbox.held.insert((channel, seq)) {
            broken!("inbox of {user} at {at}: {channel:?} {seq} a second time");
        }
        let newest = inbox.newest.insert(channel, seq);
        if newest.is_some_and(|newest| newest >= seq) {
            broken!("inbox of {user} at {at}: {channel:?} {seq} behind {newest:?}");
        }
        inbox.pointers.push((channel, seq));
        Ok(())
    }

    /// Whether a pointer is durable.
    #[must_use]
    pub fn has_pointer(&self, user: UserId, channel: ChannelId, seq: Seq) -> bool {
        self.inboxes.get(&user).is_some_and(|inbox| inbox.held.contains(&(channel, seq)))
    }

    /// Adds a durable position.
    ///
    /// # Errors
    /// Of a member, of what is durable, and forward.
    pub(crate) fn add_position(&mut self, channel: ChannelId, user: UserId, row: PositionRow) -> Check {
        let PositionRow { read, delivered, .. } = row;
        let head = self.head(channel);
        let inside = match channel.users() {
            Some((small, large)) => user == small || user == large,
            None => self.member(channel, user).is_some_and(Stays::is_member),
        };
        if !inside || head == Seq(0) {
            broken!("{user} has read {channel:?} to {read} from outside");
        }
        if read > head || delivered > head {
            broken!("{user} has come to {row:?} in {channel:?}, durable is {head}");
        }
        let before = self.mark(channel, user);
        // The same row again is no fault: whether others are shown it may have changed twice before it was written.
        if (read < before.read || delivered < before.delivered) && !self.erasing.contains(&user) {
            broken!("{user} has come to {row:?} in {channel:?}, and to {before:?} before");
        }
        let marked = self.marked.get(&(channel, user)).copied().unwrap_or_default();
        if delivered > read.max(marked) {
            broken!("{user} holds {channel:?} to {delivered}, and said {marked}");
        }
        self.channels.entry(channel).or_default().positions.insert(user, row);
        Ok(())
    }

    /// How far a user has read a channel; 0 for nothing.
    #[must_use]
    pub fn position(&self, channel: ChannelId, user: UserId) -> Seq {
        self.mark(channel, user).read
    }

    /// A group's name behind a message; empty for a direct channel.
    #[must_use]
    pub fn name_at(&self, channel: ChannelId, seq: Seq) -> &str {
        let names = self.channels.get(&channel).map_or(&[][..], |history| &history.names);
        names.iter().rfind(|(given, _)| *given <= seq).map_or("", |(_, name)| name)
    }

    /// Whether a user may know a name of a group: it had it at a seq that the user may read.
    #[must_use]
    pub fn may_know_name(&self, channel: ChannelId, user: UserId, name: &str) -> bool {
        let seqs = (1..=self.head(channel).0).map(Seq).filter(|seq| self.may_read(channel, user, *seq));
        channel.users().map_or_else(
            || seqs.map(|seq| self.name_at(channel, seq)).any(|known| known == name),
            |_| name.is_empty(),
        )
    }

    /// What of `floor < seq <= head` counts as unread, as docs/protocol.md says.
    #[must_use]
    pub fn unread(&self, channel: ChannelId, user: UserId, floor: Seq, head: Seq) -> u64 {
        let (mut unread, mut messages, mut bytes) = (0, 0, 0);
        let floor = floor.max(self.floor(channel).last());
        for seq in (floor.0 + 1..=head.0).rev().map(Seq) {
            let Some(fact) = self.fact(channel, seq) else { continue };
            let is_looked_at = messages < UNREAD_MESSAGES_MAX && bytes < UNREAD_BYTES_MAX;
            (messages, bytes) = (messages + 1, bytes + fact.bytes);
            let counts = fact.kind.counts_as_unread() && fact.sender != user;
            unread += u64::from(counts || !is_looked_at);
        }
        unread
    }

    /// Takes over a role that the core gave by a rule of its own, such as the owner that a group must have.
    pub(crate) fn set_role(&mut self, channel: ChannelId, user: UserId, role: u8) {
        if let Some(row) = self.channels.get_mut(&channel).and_then(|h| h.members.get_mut(&user)) {
            row.role = role;
        }
    }
}
