//! Histories, and the group and member rows that follow from them.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use protocol::body::message::{Change, Message, ROLE_OWNER};
use protocol::body::talk::Talk;
use protocol::commit::{FloorRow, Grown, Interval, PositionRow};
use protocol::limits::{DEDUP_AGE_MS_MAX, DEDUP_BYTES_MAX, DEDUP_MESSAGES_MAX, DEDUP_MESSAGES_MIN};
use protocol::{BayId, ChannelId, Frame, Kind, SendId, Seq, Stamp, UserId};

use super::about::{self, Abouts, Erased};
use super::derived::{self, Notes};
use super::floor::{self, Ground};
use super::log::Coverage;
use super::rules::Ruled;
use super::stream::Stream;
use super::{Check, Severity, last_begun, name, talk};
use crate::family::Family;
use crate::key::{self, JoinedTag};
use crate::membership::{Intervals, Membership};
use crate::owned::{ENDLESS, Own};
use crate::rows::{Direction, Found, Unread};
use crate::view::stamped;

/// Rows of a channel that are held at a time.
const CHUNK_ROWS: usize = 1024;

/// A message whose send id may not stand once more for as long as the dedup window holds it.
#[derive(Clone, Copy)]
struct Sighting {
    seq: Seq,
    time_ms: u64,
    /// Bytes of all messages before it.
    bytes_before: u64,
}

/// One channel while its history streams by.
struct Replayed {
    channel: ChannelId,
    bay: BayId,
    head: Seq,
    time_ms: u64,
    bytes: u64,
    window: VecDeque<(UserId, SendId)>,
    seen: HashMap<(UserId, SendId), Sighting>,
    /// What was purged says nothing any more.
    floor: FloorRow,
    /// Not known while the message that gave it is gone.
    name: Option<String>,
    members: BTreeMap<UserId, Intervals>,
    /// What a user's own channel says.
    notes: Notes,
    /// What is said about its messages.
    abouts: Abouts,
    /// Who is erased from it.
    erased: Erased,
    /// The message that made a large channel of it by command.
    grown: Option<Seq>,
    /// What is laid down for it.
    rules: Ruled,
    /// The name with which each stay ended.
    names: BTreeMap<(UserId, Seq), String>,
}

/// Checks the channels of one bay.
pub(super) fn check(check: &mut Check<'_>, coverage: &Coverage, bay: BayId) -> Found<()> {
    let messages_before = check.summary.messages;
    let owned = check.view.owners.now();
    for number in 0..owned.histories() {
        history(check, coverage, bay, Family::History(number))?;
    }
    for (channel, own) in owned.iter().filter(|(channel, _)| BayId::of_channel(*channel) == bay) {
        own_history(check, coverage, channel, own)?;
    }
    let purged = purged(check, coverage, bay)?;
    let messages = check.summary.messages - messages_before + purged;
    let logged = coverage.logged.get(usize::from(bay.0)).copied().flatten();
    if let Some(logged) = logged.filter(|logged| *logged != messages) {
        check.broken(
            bay,
            format!("the whole fan-out log names {logged} messages, the histories hold or held {messages}"),
        );
    }
    group_rows(check, bay)?;
    member_rows(check, bay)
}

/// How many messages of a bay were purged. Channels of which nothing is left have no row that is met elsewhere.
fn purged(check: &mut Check<'_>, coverage: &Coverage, bay: BayId) -> Found<u64> {
    let owned = check.view.owners.now();
    let mut purged = 0;
    for (channel, last) in floor::all(check, bay)? {
        purged += last.0;
        let head = check.view.head(channel)?;
        if head == last && owned.get(channel).is_none() {
            check.summary.channels += 1;
            Replayed::begin(check, channel, bay)?.finish(check, coverage)?;
        }
    }
    Ok(purged)
}

fn history(check: &mut Check<'_>, coverage: &Coverage, bay: BayId, family: Family) -> Found<()> {
    let mut rows = Stream::new(check.view, bay, family);
    let mut current: Option<Replayed> = None;
    let owned = check.view.owners.now();
    while let Some((key, value)) = rows.take()? {
        // A channel with a family of its own is looked at as a whole; here stand what is not moved yet, and copies.
        if key::read_channel_row(&key).is_some_and(|(_, channel, _)| owned.get(channel).is_some()) {
            continue;
        }
        check.summary.messages += 1;
        let Some((partition, channel, seq)) = key::read_channel_row(&key) else {
            check.broken(bay, format!("a key of {family:?} cannot be read: {key:02x?}"));
            continue;
        };
        if current.as_ref().is_none_or(|current| current.channel != channel) {
            if let Some(done) = current.take() {
                done.finish(check, coverage)?;
            }
            let placed = key::channel(channel).starts_with(&partition.to_be_bytes())
                && BayId::of_channel(channel) == bay
                && owned.hashed(channel) == family
                && channel.is_well_formed();
            if !placed {
                check.broken(bay, format!("{} stands in the wrong place: {family:?}", name(channel)));
            }
            check.summary.channels += 1;
            current = Some(Replayed::begin(check, channel, bay)?);
        }
        if let Some(current) = &mut current {
            current.take(check, coverage, Seq(seq), value)?;
        }
    }
    current.map_or(Ok(()), |done| done.finish(check, coverage))
}

/// A channel whose messages stand in a family of its own, or in two.
fn own_history(check: &mut Check<'_>, coverage: &Coverage, channel: ChannelId, own: Own) -> Found<()> {
    let bay = BayId::of_channel(channel);
    let prefix = key::channel(channel);
    for bounds in [(&[][..], &prefix[..]), (&prefix.after_all(), &key::END)] {
        let mut strays = 0;
        check.view.scan(own.family(), bounds, Direction::Rising, &mut |_, _| {
            strays += 1;
            Ok(true)
        })?;
        if strays > 0 {
            check.broken(bay, format!("{strays} rows stand in the family of {}", name(channel)));
        }
    }
    check.summary.channels += 1;
    let mut current = Replayed::begin(check, channel, bay)?;
    loop {
        let mut rows = Vec::new();
        let range = (current.head.next(), ENDLESS);
        check.view.scan_history(channel, range, Direction::Rising, &mut |_, seq, value| {
            rows.push((seq, value.to_bytes()));
            Ok(rows.len() < CHUNK_ROWS)
        })?;
        if rows.is_empty() {
            return current.finish(check, coverage);
        }
        for (seq, value) in rows {
            check.summary.messages += 1;
            current.take(check, coverage, seq, value)?;
        }
    }
}

impl Replayed {
    /// Where its history begins.
    fn begin(check: &mut Check<'_>, channel: ChannelId, bay: BayId) -> Found<Self> {
        let Ground { floor, members, names } = Ground::of(check, channel)?;
        let erased = Erased::of(check, channel)?;
        Ok(Self {
            erased,
            channel,
            bay,
            head: floor.last(),
            time_ms: floor.time_ms,
            bytes: 0,
            window: VecDeque::new(),
            seen: HashMap::new(),
            name: (floor.last() == Seq(0)).then(String::new),
            floor,
            members,
            grown: None,
            names,
            notes: Notes::default(),
            abouts: Abouts::default(),
            rules: Ruled::default(),
        })
    }

    fn broken(&self, check: &mut Check<'_>, seq: Seq, what: &str) {
        check.broken(self.bay, format!("message {} {seq}: {what}", name(self.channel)));
    }

    fn take(&mut self, check: &mut Check<'_>, coverage: &Coverage, seq: Seq, value: Bytes) -> Found<()> {
        if seq != self.head.next() {
            let what = format!("history of {} has a hole: {seq} follows {}", name(self.channel), self.head);
            check.report(Severity::Lost, self.bay, what);
        }
        self.head = seq;
        let family = check.view.owners.now().family(self.channel, seq);
        let (frame, stamp) = match stamped(family, self.channel, seq, value) {
            Ok(found) => found,
            Err(Unread::Fault(error)) => {
                check.broken(self.bay, error.to_string());
                return Ok(());
            }
            Err(miss) => return Err(miss),
        };
        if stamp.time_ms < self.time_ms {
            let what =
                format!("its time {} is before {} of the message before it", stamp.time_ms, self.time_ms);
            self.broken(check, seq, &what);
        }
        self.time_ms = stamp.time_ms;
        let message = Message::read(&frame);
        let is_recalled = frame.kind() == Kind::RECALLED;
        if is_recalled {
            about::tombstone(check, self.channel, (&frame, stamp))?;
            self.abouts.tombstone(&frame, seq);
        } else if !frame.kind().is_message() {
            self.broken(check, seq, &format!("kind {:#06x} is no message", frame.kind().0));
        } else if message.is_none_or(|message| message.channel() != self.channel) {
            self.broken(check, seq, "its body cannot be read or names another channel");
        }
        self.erased.message(check, self.channel, (&frame, stamp));
        self.send_id(check, &frame, stamp);
        let change = message.and_then(|message| message.change());
        if let Some(change @ Change::About { target, act }) = &change
            && !self.floor.hides(*target)
        {
            about::message(check, self.channel, stamp, (change, &self.abouts))?;
            self.abouts.take(stamp, *target, act);
        }
        if let Some(change) = &change {
            self.rules.take(stamp, change);
        }
        if change == Some(Change::Erases) {
            self.abouts.erase(check, self.channel, stamp)?;
        }
        self.membership(check, message.is_some() || is_recalled, change, stamp);
        match Talk::read(&frame) {
            Some(talk) => self.talk(check, coverage, stamp, &talk),
            None => Ok(()),
        }
    }

    /// The rows of a text that stands in a thread or mentions somebody.
    fn talk(&self, check: &mut Check<'_>, coverage: &Coverage, stamp: Stamp, talk: &Talk) -> Found<()> {
        let holds = |(user, member): (&UserId, &Intervals)| member.holds(stamp.seq).then_some(*user);
        let members: Vec<UserId> = match self.channel.users() {
            Some((small, large)) => vec![small, large],
            None => self.members.iter().filter_map(holds).collect(),
        };
        let head = check.view.head(self.channel)?;
        if let Some(stranger) = talk.mentions.iter().find(|user| !members.contains(user)) {
            self.broken(check, stamp.seq, &format!("it mentions {stranger}, who was no member"));
        }
        talk::message(check, coverage, (self.channel, head), stamp, (talk, &members))
    }

    /// Whether the send id is one that the window, which ends as [`protocol::query::Query::Window`] says, would have known.
    fn send_id(&mut self, check: &mut Check<'_>, frame: &Frame, stamp: Stamp) {
        let send = (stamp.sender, frame.send_id());
        let now = Sighting { seq: stamp.seq, time_ms: stamp.time_ms, bytes_before: self.bytes };
        self.bytes += frame.bytes().len() as u64;
        if let Some(before) = self.seen.insert(send, now) {
            let is_new = now.seq.0 - before.seq.0 <= u64::from(DEDUP_MESSAGES_MIN);
            let is_young = now.time_ms.saturating_sub(before.time_ms) <= DEDUP_AGE_MS_MAX;
            let is_read = now.bytes_before - before.bytes_before <= DEDUP_BYTES_MAX as u64;
            if is_new || (is_young && is_read) {
                self.broken(check, now.seq, &format!("send id {} of user {} stands twice", send.1, send.0));
            }
        }
        self.window.push_back(send);
        if self.window.len() > DEDUP_MESSAGES_MAX as usize
            && let Some(oldest) = self.window.pop_front()
            && self
                .seen
                .get(&oldest)
                .is_some_and(|seen| seen.seq.0 + u64::from(DEDUP_MESSAGES_MAX) <= now.seq.0)
        {
            self.seen.remove(&oldest);
        }
    }

    /// What the message does to the membership, and whether its sender was a member.
    fn membership(&mut self, check: &mut Check<'_>, is_read: bool, change: Option<Change>, stamp: Stamp) {
        let (seq, sender) = (stamp.seq, stamp.sender);
        if let Some((a, b)) = self.channel.users() {
            let is_note = matches!(change, Some(Change::Notes(_)));
            let is_talk = matches!(change, None | Some(Change::About { .. } | Change::Erases));
            let has_place = is_talk || (is_note && a == b);
            if !is_read || !has_place || (sender != a && sender != b) {
                self.broken(
                    check,
                    seq,
                    &format!("not from one of its two users, or no text; sender {sender}"),
                );
            }
            if let Some(Change::Notes(note)) = change.filter(|_| a == b) {
                self.notes.take(seq, &note);
            }
            return;
        }
        if matches!(change, Some(Change::Begins { .. })) != (seq == Seq(1)) {
            self.broken(check, seq, "a group begins with its creation, and has one");
        }
        let is_erased = change == Some(Change::Erases);
        match change {
            Some(Change::Begins { name, members }) => {
                self.name = Some(name);
                self.join(seq, [sender].into_iter().chain(members));
            }
            Some(Change::Joins(users)) => self.join(seq, users),
            Some(Change::Accepts) => self.join(seq, [sender]),
            Some(Change::Invites(users)) => {
                for user in users {
                    self.join(seq, [user]);
                    self.leave(seq, user);
                }
            }
            Some(Change::Removes(member) | Change::Bans(member)) => self.leave(seq, member),
            Some(Change::Leaves) => self.leave(seq, sender),
            Some(Change::Grows) if self.grown.is_none() => self.grown = Some(seq),
            Some(Change::Grows) => self.broken(check, seq, "it makes a large channel of one"),
            Some(Change::Name(name)) => self.name = Some(name),
            // Roles stand in rows of members; who may give one is the core's to say.
            None | Some(Change::Role { .. } | Change::Notes(_) | Change::About { .. }) => {}
            // Taken by `rules` and `abouts`.
            Some(Change::Mutes { .. } | Change::Unbans(_) | Change::Slows(_) | Change::Erases) => {}
        }
        // Who is erased need not be in it any more.
        let was_in = |member: &Intervals| member.holds(seq) || (is_erased && !member.0.is_empty());
        if !self.members.get(&sender).is_some_and(was_in) {
            self.broken(check, seq, &format!("its sender {sender} was no member"));
        }
    }

    fn join(&mut self, seq: Seq, users: impl IntoIterator<Item = UserId>) {
        for user in users {
            let member = self.members.entry(user).or_default();
            if !member.is_member() {
                member.0.push(Interval { joined: seq, left: None });
            }
        }
    }

    fn leave(&mut self, seq: Seq, user: UserId) {
        let member = self.members.get_mut(&user).and_then(|member| member.0.last_mut());
        if let Some(interval) = member.filter(|interval| interval.left.is_none()) {
            interval.left = Some(seq);
            self.names.extend(self.name.clone().map(|name| ((user, seq), name)));
        }
    }

    /// The rows of the channel say what its history says, and so do its users' own lists.
    fn finish(self, check: &mut Check<'_>, coverage: &Coverage) -> Found<()> {
        let (channel, bay) = (self.channel, self.bay);
        about::rows(check, channel, &self.abouts)?;
        self.rules.rows(check, channel, self.time_ms, self.floor.last() > Seq(0))?;
        let Some((a, b)) = channel.users() else {
            let row = check.view.channel(channel)?;
            match &row {
                None => check.broken(bay, format!("{} has messages and no row", name(channel))),
                Some(row) if self.name.as_ref().is_some_and(|name| row.name != *name) => {
                    let what = format!(
                        "{} is named {:?}, its history says {:?}",
                        name(channel),
                        row.name,
                        self.name
                    );
                    check.broken(bay, what);
                }
                Some(_) => {}
            }
            let mut rows = BTreeMap::new();
            check.view.each_membership(channel, &mut |user, found| drop(rows.insert(user, found)))?;
            if let Some(row) = row {
                let owns = |found: &&Membership| found.present().is_some_and(|one| one.role == ROLE_OWNER);
                self.large(check, row.grown, rows.values().filter(owns).count());
            }
            for (user, replayed) in &self.members {
                let found = rows.remove(user).unwrap_or_default();
                self.stays(check, *user, replayed, &found);
                self.listed(check, coverage, *user, replayed)?;
            }
            for user in rows.keys() {
                check.broken(bay, format!("member {user} of {} never joined it", name(channel)));
            }
            return Ok(());
        };
        let always = Intervals::for_ever();
        if a == b {
            derived::notes(check, bay, a, &self.notes)?;
            return self.listed(check, coverage, a, &always);
        }
        self.listed(check, coverage, a, &always)?;
        self.listed(check, coverage, b, &always)
    }

    /// What a large channel knows of itself follows from its history. Without a command it becomes one with the message that
    /// brought more members than a group may have, which is a setting that nobody remembers.
    fn large(&self, check: &mut Check<'_>, row: Option<Grown>, owners: usize) {
        let Some(grown) = row else {
            if self.grown.is_some() {
                check.broken(
                    self.bay,
                    format!("{} has grown, and its row does not say so", name(self.channel)),
                );
            }
            return;
        };
        let members = self.members.values().filter(|member| member.is_member()).count();
        if (grown.members as usize, grown.owners as usize) != (members, owners) {
            let what = format!(
                "its row counts {} members and {} owners, its history {members} and its members {owners}",
                grown.members, grown.owners
            );
            check.broken(self.bay, format!("{}: {what}", name(self.channel)));
        }
        if self.grown.is_some_and(|since| since != grown.since) || grown.since > self.head {
            let what =
                format!("its row says that it grew with {}, its history {:?}", grown.since, self.grown);
            check.broken(self.bay, format!("{}: {what}", name(self.channel)));
        }
    }

    /// The stays of a member are what the history says, numbered, and end with the name of their time.
    fn stays(&self, check: &mut Check<'_>, user: UserId, replayed: &Intervals, found: &Membership) {
        let whose = format!("member {user} of {}", name(self.channel));
        let intervals = found.intervals().0;
        if intervals != replayed.0 {
            let says = &replayed.0;
            check.broken(
                self.bay,
                format!("{whose} has the intervals {intervals:?}, its history says {says:?}"),
            );
            return;
        }
        for (stay, number) in found.stays.iter().zip(1..) {
            if stay.number != number {
                check.broken(
                    self.bay,
                    format!("{whose}: stay {number} says that it is number {}", stay.number),
                );
            }
            let then = stay.interval.left.and_then(|left| self.names.get(&(user, left)));
            if let Some((found, then)) = stay.name.as_ref().zip(then).filter(|(found, then)| found != then) {
                check.broken(
                    self.bay,
                    format!("{whose} left it as {found:?}, its history says {then:?} at that time"),
                );
            }
        }
    }

    /// The user's own list names the channel once its home knows it. What it says is checked with the user.
    fn listed(
        &self,
        check: &mut Check<'_>,
        coverage: &Coverage,
        user: UserId,
        member: &Intervals,
    ) -> Found<()> {
        let home = BayId::of_user(user);
        if last_begun(member, coverage.through(self.channel, home, self.head)).is_none() {
            return Ok(());
        }
        let key = key::joined_row(user, self.channel, JoinedTag::Joined);
        if check.view.rows.get(Family::Joined, &key, check.view.tier)?.is_none() {
            check.broken(home, format!("the list of user {user} misses {}", name(self.channel)));
        }
        Ok(())
    }
}

/// Group rows of channels without history.
fn group_rows(check: &mut Check<'_>, bay: BayId) -> Found<()> {
    let mut rows = Stream::new(check.view, bay, Family::Channel);
    while let Some((key, _)) = rows.take()? {
        let Some((_, channel)) = key::read_channel(&key) else {
            check.broken(bay, format!("a key of Channel cannot be read: {key:02x?}"));
            continue;
        };
        if channel.users().is_some() || check.view.head(channel)?.0 == 0 {
            check
                .broken(bay, format!("a group row of {}, which is direct or has no messages", name(channel)));
        }
    }
    Ok(())
}

/// Intervals and positions, and rows of `member` of channels without history. The rows of one user stand together.
fn member_rows(check: &mut Check<'_>, bay: BayId) -> Found<()> {
    let mut rows = Stream::new(check.view, bay, Family::Member);
    let mut heads: Option<(ChannelId, Seq)> = None;
    let mut current: Option<((ChannelId, UserId), Membership)> = None;
    while let Some((key, value)) = rows.take()? {
        let Some((_, channel, user, part)) = key::read_member(&key) else {
            check.broken(bay, format!("a key of Member cannot be read: {key:02x?}"));
            continue;
        };
        if let Some((whose, done)) = current.take_if(|(whose, _)| *whose != (channel, user)) {
            one_member(check, bay, whose, &done, &mut heads)?;
        }
        let (_, found) = current.get_or_insert_with(|| ((channel, user), Membership::default()));
        if found.take(part, &value).is_none() {
            check.broken(bay, format!("a row of Member cannot be read: {key:02x?}"));
        }
    }
    current.map_or(Ok(()), |(whose, done)| one_member(check, bay, whose, &done, &mut heads))
}

fn one_member(
    check: &mut Check<'_>,
    bay: BayId,
    (channel, user): (ChannelId, UserId),
    found: &Membership,
    heads: &mut Option<(ChannelId, Seq)>,
) -> Found<()> {
    check.summary.members += 1;
    let head = match *heads {
        Some((same, head)) if same == channel => head,
        _ => check.view.head(channel)?,
    };
    *heads = Some((channel, head));
    let whose = format!("member {user} of {}", name(channel));
    let intervals = found.intervals().0;
    let mut end = Some(Seq(0));
    for interval in &intervals {
        let rising = end.is_some_and(|end| interval.joined > end)
            && interval.left.is_none_or(|left| left >= interval.joined && left <= head)
            && interval.joined <= head;
        if !rising {
            check.broken(bay, format!("{whose} has the intervals {intervals:?}, head {head}"));
            break;
        }
        end = interval.left;
    }
    match channel.users() {
        Some((a, b)) if !intervals.is_empty() || (user != a && user != b) => {
            check.broken(bay, format!("{whose}: direct, and not one of its two users with a position"));
        }
        None if intervals.is_empty() => check.broken(bay, format!("{whose}: without an interval")),
        _ => {}
    }
    let PositionRow { read, delivered, .. } = found.position;
    if read.max(delivered) > head {
        let what = format!("{whose} has read {read} and received {delivered}, its head is {head}");
        check.report(Severity::Lost, bay, what);
    }
    Ok(())
}
