//! Histories, and the group and member rows that follow from them.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use protocol::body::message::{AddMembers, CreateGroup, RemoveMember, RenameGroup, channel_of};
use protocol::body::read;
use protocol::commit::{Interval, MemberRow};
use protocol::limits::{DEDUP_AGE_MS_MAX, DEDUP_BYTES_MAX, DEDUP_MESSAGES_MAX, DEDUP_MESSAGES_MIN};
use protocol::{ChannelId, Frame, Kind, SendId, Seq, Stamp, StoreId, UserId};

use super::log::Coverage;
use super::stream::Stream;
use super::{Check, Severity, last_begun, name};
use crate::family::Family;
use crate::key::{self, JoinedTag};
use crate::rows::{Found, Unread};
use crate::view::stamped;

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
    store: StoreId,
    head: Seq,
    time_ms: u64,
    bytes: u64,
    window: VecDeque<(UserId, SendId)>,
    seen: HashMap<(UserId, SendId), Sighting>,
    name: String,
    members: BTreeMap<UserId, MemberRow>,
}

/// Checks the channels of one store.
pub(super) fn check(check: &mut Check<'_>, coverage: &Coverage, store: StoreId) -> Found<()> {
    let messages_before = check.summary.messages;
    for number in 0..check.view.histories {
        history(check, coverage, store, Family::History(number))?;
    }
    let messages = check.summary.messages - messages_before;
    let logged = coverage.logged.get(usize::from(store.0)).copied().flatten();
    if let Some(logged) = logged.filter(|logged| *logged != messages) {
        check.broken(
            store,
            format!("the whole fan-out log names {logged} messages, the histories hold {messages}"),
        );
    }
    group_rows(check, store)?;
    member_rows(check, store)
}

fn history(check: &mut Check<'_>, coverage: &Coverage, store: StoreId, family: Family) -> Found<()> {
    let mut rows = Stream::new(check.view, store, family);
    let mut current: Option<Replayed> = None;
    while let Some((key, value)) = rows.take()? {
        check.summary.messages += 1;
        let Some((partition, channel, seq)) = key::read_channel_row(&key) else {
            check.broken(store, format!("a key of {family:?} cannot be read: {key:02x?}"));
            continue;
        };
        if current.as_ref().is_none_or(|current| current.channel != channel) {
            if let Some(done) = current.take() {
                done.finish(check, coverage)?;
            }
            let placed = key::channel(channel).starts_with(&partition.to_be_bytes())
                && check.view.placement.channel_store(channel) == store
                && check.view.history(channel) == family
                && channel.is_well_formed();
            if !placed {
                check.broken(store, format!("{} stands in the wrong place: {family:?}", name(channel)));
            }
            check.summary.channels += 1;
            current = Some(Replayed::new(channel, store));
        }
        if let Some(current) = &mut current {
            current.take(check, Seq(seq), value)?;
        }
    }
    current.map_or(Ok(()), |done| done.finish(check, coverage))
}

impl Replayed {
    fn new(channel: ChannelId, store: StoreId) -> Self {
        Self {
            channel,
            store,
            head: Seq(0),
            time_ms: 0,
            bytes: 0,
            window: VecDeque::new(),
            seen: HashMap::new(),
            name: String::new(),
            members: BTreeMap::new(),
        }
    }

    fn broken(&self, check: &mut Check<'_>, seq: Seq, what: &str) {
        check.broken(self.store, format!("message {} {seq}: {what}", name(self.channel)));
    }

    fn take(&mut self, check: &mut Check<'_>, seq: Seq, value: Bytes) -> Found<()> {
        if seq != self.head.next() {
            let what = format!("history of {} has a hole: {seq} follows {}", name(self.channel), self.head);
            check.report(Severity::Lost, self.store, what);
        }
        self.head = seq;
        let place = (self.store, check.view.history(self.channel));
        let (frame, stamp) = match stamped(place, self.channel, seq, value) {
            Ok(found) => found,
            Err(Unread::Fault(error)) => {
                check.broken(self.store, error.to_string());
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
        if !frame.kind().is_message() {
            self.broken(check, seq, &format!("kind {:#06x} is no message", frame.kind().0));
        } else if channel_of(frame.kind(), frame.body()) != Some(self.channel) {
            self.broken(check, seq, "its body cannot be read or names another channel");
        }
        self.send_id(check, &frame, stamp);
        self.membership(check, &frame, stamp);
        Ok(())
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
    fn membership(&mut self, check: &mut Check<'_>, frame: &Frame, stamp: Stamp) {
        let (seq, sender) = (stamp.seq, stamp.sender);
        if let Some((a, b)) = self.channel.users() {
            if frame.kind() != Kind::SEND_TEXT || (sender != a && sender != b) {
                self.broken(
                    check,
                    seq,
                    &format!("not from one of its two users, or no text; sender {sender}"),
                );
            }
            return;
        }
        if (frame.kind() == Kind::CREATE_GROUP) != (seq == Seq(1)) {
            self.broken(check, seq, "a group begins with its creation, and has one");
        }
        match frame.kind() {
            Kind::CREATE_GROUP => {
                if let Some(body) = read::<CreateGroup>(frame) {
                    self.name = body.name;
                    self.join(seq, [sender.0].into_iter().chain(body.members));
                }
            }
            Kind::ADD_MEMBERS => {
                if let Some(body) = read::<AddMembers>(frame) {
                    self.join(seq, body.members);
                }
            }
            Kind::REMOVE_MEMBER => {
                if let Some(body) = read::<RemoveMember>(frame) {
                    self.leave(seq, UserId(body.member));
                }
            }
            Kind::LEAVE_GROUP => self.leave(seq, sender),
            Kind::RENAME_GROUP => {
                if let Some(body) = read::<RenameGroup>(frame) {
                    self.name = body.name;
                }
            }
            _ => {}
        }
        if self.members.get(&sender).is_none_or(|member| !member.holds(seq)) {
            self.broken(check, seq, &format!("its sender {sender} was no member"));
        }
    }

    fn join(&mut self, seq: Seq, users: impl IntoIterator<Item = u64>) {
        for user in users {
            let member = self.members.entry(UserId(user)).or_default();
            if !member.is_member() {
                member.intervals.push(Interval { joined: seq, left: None });
            }
        }
    }

    fn leave(&mut self, seq: Seq, user: UserId) {
        let member = self.members.get_mut(&user).and_then(|member| member.intervals.last_mut());
        if let Some(interval) = member.filter(|interval| interval.left.is_none()) {
            interval.left = Some(seq);
        }
    }

    /// The rows of the channel say what its history says, and so do its users' own lists.
    fn finish(self, check: &mut Check<'_>, coverage: &Coverage) -> Found<()> {
        let (channel, store) = (self.channel, self.store);
        let Some((a, b)) = channel.users() else {
            match check.view.channel(channel)? {
                None => check.broken(store, format!("{} has messages and no row", name(channel))),
                Some(row) if row.name != self.name => {
                    let what = format!(
                        "{} is named {:?}, its history says {:?}",
                        name(channel),
                        row.name,
                        self.name
                    );
                    check.broken(store, what);
                }
                Some(_) => {}
            }
            let rows: BTreeMap<_, _> = check.view.members(channel)?.into_iter().collect();
            for (user, replayed) in &self.members {
                let row = rows.get(user).map(|row| row.intervals.as_slice()).unwrap_or_default();
                if row != replayed.intervals.as_slice() {
                    let what = format!(
                        "member {user} of {} has the intervals {row:?}, its history says {:?}",
                        name(channel),
                        replayed.intervals
                    );
                    check.broken(store, what);
                }
                self.listed(check, coverage, *user, replayed)?;
            }
            for user in rows.keys().filter(|user| !self.members.contains_key(user)) {
                check.broken(store, format!("member {user} of {} never joined it", name(channel)));
            }
            return Ok(());
        };
        let always = MemberRow { role: 0, intervals: vec![Interval { joined: Seq(1), left: None }] };
        self.listed(check, coverage, a, &always)?;
        self.listed(check, coverage, b, &always)
    }

    /// The user's own list names the channel once its home knows it. What it says is checked with the user.
    fn listed(
        &self,
        check: &mut Check<'_>,
        coverage: &Coverage,
        user: UserId,
        member: &MemberRow,
    ) -> Found<()> {
        let home = check.view.placement.user_store(user);
        if last_begun(member, coverage.through(self.channel, home, self.head)).is_none() {
            return Ok(());
        }
        let key = key::joined_row(user, self.channel, JoinedTag::Joined);
        if check.view.rows(home)?.get(Family::Joined, &key, check.view.tier)?.is_none() {
            check.broken(home, format!("the list of user {user} misses {}", name(self.channel)));
        }
        Ok(())
    }
}

/// Group rows of channels without history.
fn group_rows(check: &mut Check<'_>, store: StoreId) -> Found<()> {
    let mut rows = Stream::new(check.view, store, Family::Channel);
    while let Some((key, _)) = rows.take()? {
        let Some((_, channel)) = key::read_channel(&key) else {
            check.broken(store, format!("a key of Channel cannot be read: {key:02x?}"));
            continue;
        };
        if channel.users().is_some() || check.view.head(channel)?.0 == 0 {
            check.broken(
                store,
                format!("a group row of {}, which is direct or has no messages", name(channel)),
            );
        }
    }
    Ok(())
}

/// Intervals of member rows, and member rows of channels without history.
fn member_rows(check: &mut Check<'_>, store: StoreId) -> Found<()> {
    let mut rows = Stream::new(check.view, store, Family::Member);
    let mut known: Option<(ChannelId, Seq)> = None;
    while let Some((key, value)) = rows.take()? {
        check.summary.members += 1;
        let Some(((_, channel, user), row)) = key::read_channel_row(&key).zip(MemberRow::decode(&value))
        else {
            check.broken(store, format!("a row of Member cannot be read: {key:02x?}"));
            continue;
        };
        let head = match known {
            Some((same, head)) if same == channel => head,
            _ => check.view.head(channel)?,
        };
        known = Some((channel, head));
        let mut end = Some(Seq(0));
        for interval in &row.intervals {
            let rising = end.is_some_and(|end| interval.joined > end)
                && interval.left.is_none_or(|left| left >= interval.joined && left <= head)
                && interval.joined <= head;
            if !rising {
                let what =
                    format!("member {user} of {} has the intervals {:?}", name(channel), row.intervals);
                check.broken(store, format!("{what}, head {head}"));
                break;
            }
            end = interval.left;
        }
        if channel.users().is_some() || row.intervals.is_empty() {
            check
                .broken(store, format!("member {user} of {}: direct, or without an interval", name(channel)));
        }
    }
    Ok(())
}
