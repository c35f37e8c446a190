//! A small world that commits as the shard core would: coherent batches for one or more equal stores.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::body::about::Recalled;
use protocol::body::encode;
use protocol::body::message::{
    AddMembers, Change, CreateGroup, GrowGroup, InviteMembers, JoinGroup, LeaveGroup, RemoveMember,
    RenameGroup, SendText,
};
use protocol::body::talk::Talk;
use protocol::commit::Act;
use protocol::{BayId, Bays, ChannelId, Frame, InboxSeq, SendId, Seq, ShardId, Stamp, UserId};
use storage::{
    AccountRow, Answer, Batch, ChannelRow, Grown, Interval, IntervalRow, PageBounds, Part, Query, Row, Store,
    StoreError, Tier,
};

/// Each function is a test once for memory and once for RocksDB.
#[allow(unused_macros)]
macro_rules! contract {
    ($($test:ident)*) => {
        mod memory {
            $(#[test] fn $test() { super::$test(crate::world::World::memory()); })*
        }
        #[cfg(feature = "rocks")]
        mod rocks {
            $(#[test] fn $test() {
                let dir = tempfile::tempdir().unwrap();
                let store = storage::Store::open(dir.path(), &storage::Options::default()).unwrap();
                super::$test(crate::world::World::new(vec![std::sync::Arc::new(store)]));
            })*
        }
    };
}

pub const PAGE: PageBounds = PageBounds { messages: 200, bytes: 256 * 1024 };

#[derive(Default)]
pub struct Group {
    pub name: String,
    pub members: BTreeMap<UserId, Stays>,
    /// With which message it became a large channel.
    pub grown: Option<Seq>,
}

impl Group {
    fn row(&self) -> ChannelRow {
        let members = self.members.values().filter(|stays| stays.is_member()).count();
        let members = u32::try_from(members).unwrap();
        // Nobody has a role here.
        let grown = self.grown.map(|since| Grown { since, members, owners: 0 });
        ChannelRow { name: self.name.clone(), grown }
    }
}

/// When a user was a member, rising.
#[derive(Clone, Default)]
pub struct Stays(pub Vec<Interval>);

impl Stays {
    pub fn is_member(&self) -> bool {
        self.0.last().is_some_and(|interval| interval.left.is_none())
    }
}

pub struct World {
    pub stores: Vec<Arc<Store>>,
    pub groups: BTreeMap<ChannelId, Group>,
    pub heads: BTreeMap<ChannelId, Seq>,
    pub inboxes: BTreeMap<UserId, u64>,
    number: u64,
    logs: BTreeMap<BayId, u64>,
    time_ms: u64,
    sends: u64,
}

impl World {
    pub fn new(stores: Vec<Arc<Store>>) -> Self {
        Self {
            stores,
            groups: BTreeMap::new(),
            heads: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            number: 0,
            logs: BTreeMap::new(),
            time_ms: 1_700_000_000_000,
            sends: 0,
        }
    }

    /// One store in memory.
    pub fn memory() -> Self {
        Self::new(vec![Arc::new(Store::memory())])
    }

    pub fn commit(&mut self, bay: BayId, rows: Vec<Row>) {
        self.commit_parts(vec![Part { bay, rows }]);
    }

    pub fn commit_parts(&mut self, parts: Vec<Part>) {
        self.number += 1;
        let batch = Batch { shard: ShardId(0), number: self.number, parts };
        for store in &self.stores {
            store.commit(std::slice::from_ref(&batch)).unwrap();
        }
    }

    pub fn account(&mut self, user: UserId) {
        self.commit(
            BayId::of_user(user),
            vec![Row::Account { user, row: AccountRow { created_ms: 5, ..AccountRow::default() } }],
        );
    }

    pub fn next_send(&mut self) -> u64 {
        self.sends += 1;
        self.sends
    }

    /// The time of the newest message.
    #[allow(dead_code)]
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Lets so much time go by.
    pub fn pass(&mut self, ms: u64) {
        self.time_ms += ms;
    }

    /// Stamps a frame as the channel's next message, and commits it with the rows of its group.
    pub fn append(&mut self, channel: ChannelId, sender: UserId, frame: &Frame) -> Seq {
        let seq = self.heads.get(&channel).copied().unwrap_or_default().next();
        self.heads.insert(channel, seq);
        self.time_ms += 3;
        let frame = frame.clone().stamp(Stamp { seq, time_ms: self.time_ms, sender });
        let bay = BayId::of_channel(channel);
        let (note, stamped) = (Change::read(&frame), frame.clone());
        let thread = Talk::read(&frame).and_then(|talk| talk.thread);
        let mut rows = vec![Row::Message { channel, seq, frame }];
        rows.extend(thread.map(|root| Row::Thread { channel, root, seq }));
        if let Some(Change::About { target, act }) = &note {
            let edits = *act == Act::Recalls;
            let query = Query::Target { channel, seq: *target, user: sender, edits };
            let Answer::Target { message, recalled, mut facts, edits } = self.read(&query) else {
                panic!("an answer of another kind")
            };
            if let Some(by) = Recalled::of(&stamped).filter(|_| recalled.is_none()) {
                let gone = message.into_iter().map(|(_, sent)| sent).chain(edits);
                rows.extend(gone.map(|sent| {
                    let frame = by.tombstone(sent.send_id, sent.stamp());
                    Row::Rewrite { channel, seq: sent.seq, frame }
                }));
            }
            let said = facts.take((*target, act), seq, sender);
            rows.extend(said.into_iter().map(|about| Row::About { channel, about }));
        }
        if let Some(Change::Notes(note)) = note {
            rows.push(Row::Note { user: sender, seq, note });
        }
        if let Some(group) = self.groups.get(&channel) {
            rows.push(Row::Channel { channel, row: group.row() });
            for (user, member) in &group.members {
                rows.extend(changed_stays(channel, (*user, member), seq, &group.name));
            }
        }
        let number = self.logs.entry(bay).or_default();
        *number += 1;
        rows.push(Row::Fanout { number: *number, messages: vec![(channel, seq)] });
        self.commit(bay, rows);
        seq
    }

    pub fn text(&mut self, channel: ChannelId, sender: UserId, text: &str) -> Seq {
        let frame = encode(self.next_send(), &SendText { channel: channel.0, text: text.into() });
        self.append(channel, sender, &frame)
    }

    /// A text that is about something.
    pub fn about(&mut self, channel: ChannelId, sender: UserId, talk: &Talk) -> Seq {
        let frame = encode(self.next_send(), &talk.text(channel, "about something"));
        self.append(channel, sender, &frame)
    }

    pub fn create(&mut self, creator: UserId, members: &[u64], name: &str) -> ChannelId {
        let id = self.next_send();
        let channel = ChannelId::group(creator, SendId(id));
        let mut group = Group { name: name.into(), ..Group::default() };
        for user in members.iter().copied().chain([creator.0]) {
            let stays = vec![Interval { joined: Seq(1), left: None }];
            group.members.insert(UserId(user), Stays(stays));
        }
        self.groups.insert(channel, group);
        let body = CreateGroup { channel: channel.0, name: name.into(), members: members.to_vec() };
        self.append(channel, creator, &encode(id, &body));
        channel
    }

    pub fn rename(&mut self, channel: ChannelId, sender: UserId, name: &str) -> Seq {
        self.groups.get_mut(&channel).unwrap().name = name.into();
        let frame = encode(self.next_send(), &RenameGroup { channel: channel.0, name: name.into() });
        self.append(channel, sender, &frame)
    }

    pub fn grow(&mut self, channel: ChannelId, sender: UserId) -> Seq {
        self.groups.get_mut(&channel).unwrap().grown = Some(self.heads[&channel].next());
        let frame = encode(self.next_send(), &GrowGroup { channel: channel.0 });
        self.append(channel, sender, &frame)
    }

    pub fn add(&mut self, channel: ChannelId, sender: UserId, user: UserId) -> Seq {
        let joined = self.heads[&channel].next();
        let member = self.groups.get_mut(&channel).unwrap().members.entry(user).or_default();
        assert!(!member.is_member());
        member.0.push(Interval { joined, left: None });
        let frame = encode(self.next_send(), &AddMembers { channel: channel.0, members: vec![user.0] });
        self.append(channel, sender, &frame)
    }

    pub fn invite(&mut self, channel: ChannelId, sender: UserId, user: UserId) -> Seq {
        let seq = self.heads[&channel].next();
        let member = self.groups.get_mut(&channel).unwrap().members.entry(user).or_default();
        assert!(!member.is_member());
        member.0.push(Interval { joined: seq, left: Some(seq) });
        let frame = encode(self.next_send(), &InviteMembers { channel: channel.0, members: vec![user.0] });
        self.append(channel, sender, &frame)
    }

    pub fn accept(&mut self, channel: ChannelId, user: UserId) -> Seq {
        let joined = self.heads[&channel].next();
        let member = self.groups.get_mut(&channel).unwrap().members.entry(user).or_default();
        member.0.push(Interval { joined, left: None });
        let frame = encode(self.next_send(), &JoinGroup { channel: channel.0 });
        self.append(channel, user, &frame)
    }

    pub fn remove(&mut self, channel: ChannelId, sender: UserId, user: UserId) -> Seq {
        let left = self.heads[&channel].next();
        let member = self.groups.get_mut(&channel).unwrap().members.get_mut(&user).unwrap();
        member.0.last_mut().unwrap().left = Some(left);
        let id = self.next_send();
        let frame = if sender == user {
            encode(id, &LeaveGroup { channel: channel.0 })
        } else {
            encode(id, &RemoveMember { channel: channel.0, member: user.0 })
        };
        self.append(channel, sender, &frame)
    }

    pub fn read(&self, query: &Query) -> Answer {
        self.stores[0].read(query, Tier::Any).unwrap().unwrap()
    }

    /// What is said to be wrong with the rows of an answer.
    pub fn corrupt(&self, query: &Query) -> String {
        match self.stores[0].read(query, Tier::Any) {
            Err(StoreError::Corrupt { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    }

    pub fn mark(&self, dest: BayId, source: BayId) -> u64 {
        self.stores[0].state(dest).unwrap().applied[usize::from(source.0)]
    }

    /// Applies what `dests` have not applied of `source`, a page at a time, as a shard does that is home of them: it
    /// reads from the least of their marks, and leaves out what each has.
    pub fn deliver(&mut self, source: BayId, dests: Bays, page: PageBounds) {
        loop {
            let marks: BTreeMap<_, _> = dests.iter().map(|dest| (dest, self.mark(dest, source))).collect();
            let Some(after) = marks.values().min().copied() else { return };
            let Answer::Replay { deliveries, through } =
                self.read(&Query::Replay { source, after, until: u64::MAX, dests, page })
            else {
                panic!("another answer")
            };
            if through == after {
                assert!(deliveries.is_empty());
                return;
            }
            let mut rows: BTreeMap<BayId, Vec<Row>> = BTreeMap::new();
            let mut runs: BTreeMap<UserId, Vec<(ChannelId, Seq)>> = BTreeMap::new();
            let mut mentions = Vec::new();
            for (number, delivery) in deliveries {
                let (talk, stamp) = (Talk::read(&delivery.frame), delivery.frame.read_stamp().unwrap());
                let (channel, seq) = (delivery.channel, delivery.seq);
                for user in delivery.recipients.iter().copied() {
                    let bay = BayId::of_user(user);
                    if number > marks[&bay] {
                        runs.entry(user).or_default().push((channel, seq));
                        if talk.as_ref().is_some_and(|talk| talk.is_kept_for(user, stamp.sender)) {
                            mentions.push((user, channel, stamp));
                        }
                        let listed = self.listed(channel, user, seq);
                        let follows = follows(&listed, delivery.grown.map(|since| since == seq));
                        rows.entry(bay).or_default().extend(listed);
                        let row = |is_in| Row::Followed { user, channel, is_in };
                        rows.entry(bay).or_default().extend(follows.map(row));
                    }
                }
            }
            for (user, entries) in runs {
                let head = self.inboxes.entry(user).or_default();
                let first = InboxSeq(*head + 1);
                *head += entries.len() as u64;
                for (_, channel, stamp) in mentions.iter().filter(|(of, ..)| *of == user) {
                    let Stamp { seq, time_ms, sender } = *stamp;
                    let place = entries.iter().position(|entry| *entry == (*channel, seq)).unwrap();
                    let at = InboxSeq(first.0 + place as u64);
                    let row = Row::Mention { user, at, channel: *channel, seq, time_ms, sender };
                    rows.entry(BayId::of_user(user)).or_default().push(row);
                }
                rows.entry(BayId::of_user(user)).or_default().push(Row::Run { user, first, entries });
            }
            for (dest, _) in marks.iter().filter(|(_, mark)| **mark < through) {
                let row = Row::Marks { through: vec![(source, through)] };
                rows.entry(*dest).or_default().push(row);
            }
            self.commit_parts(rows.into_iter().map(|(bay, rows)| Part { bay, rows }).collect());
        }
    }

    /// What the user's own list takes from a message.
    fn listed(&self, channel: ChannelId, user: UserId, seq: Seq) -> Vec<Row> {
        if channel.users().is_some() {
            let opened = (seq == Seq(1)).then_some(Row::Joined { user, channel, joined: seq });
            return opened.into_iter().collect();
        }
        let Answer::Membership(stays) = self.read(&Query::Membership { channel, user }) else {
            panic!("another answer")
        };
        let mut rows = Vec::new();
        for interval in stays {
            if interval.joined == seq {
                rows.push(Row::Joined { user, channel, joined: seq });
            }
            if interval.left == Some(seq) {
                rows.push(Row::Left { user, channel, left: seq });
            }
        }
        rows
    }

    pub fn deliver_all(&mut self) {
        for source in self.sources() {
            self.deliver(source, Bays::ALL, PAGE);
        }
    }

    /// The log of a bay goes on behind this number.
    pub fn set_log(&mut self, bay: BayId, head: u64) {
        if head > 0 {
            self.logs.insert(bay, head);
        }
    }

    /// The bays that have a log.
    pub fn sources(&self) -> Vec<BayId> {
        self.logs.keys().copied().collect()
    }

    /// Removes what every bay has applied, except the newest row.
    pub fn trim(&mut self, source: BayId) {
        let slowest = BayId::all().map(|dest| self.mark(dest, source)).min().unwrap();
        let head = self.stores[0].state(source).unwrap().fanout_head;
        let below = (slowest + 1).min(head);
        self.commit(source, vec![Row::TrimFanout { below }]);
    }

    /// Three users' talk and a group with comings and goings.
    pub fn talk(&mut self) -> ChannelId {
        for user in 1..=6 {
            self.account(UserId(user));
        }
        let direct = ChannelId::direct(UserId(1), UserId(2));
        for number in 0..5 {
            self.text(direct, UserId(1 + number % 2), &format!("안녕 {number}"));
        }
        let group = self.create(UserId(1), &[2, 3], "마루");
        self.text(group, UserId(2), "two");
        self.remove(group, UserId(1), UserId(3));
        self.text(group, UserId(1), "without three");
        self.add(group, UserId(1), UserId(3));
        self.add(group, UserId(1), UserId(4));
        self.rename(group, UserId(4), "대청마루");
        self.remove(group, UserId(2), UserId(2));
        self.text(group, UserId(3), "three is back, two is gone");
        group
    }

    /// Findings of a check, as lines.
    pub fn findings(&self) -> Vec<String> {
        findings(&self.stores[0])
    }
}

/// Whether a user is in a large channel from a message on that changes this of its own list. `grows` says that it is the one
/// with which a group became one.
fn follows(listed: &[Row], grows: Option<bool>) -> Option<bool> {
    let is_left = listed.iter().any(|row| matches!(row, Row::Left { .. }));
    match (grows?, listed.is_empty()) {
        (_, false) => Some(!is_left),
        (grows, true) => grows.then_some(true),
    }
}

/// The rows of the stays that begin or end with a message.
fn changed_stays(channel: ChannelId, (user, member): (UserId, &Stays), seq: Seq, name: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (interval, number) in member.0.iter().zip(1..) {
        let Interval { joined, left } = *interval;
        if joined == seq || left == Some(seq) {
            let name = if left.is_some() { name.to_owned() } else { String::new() };
            let row = IntervalRow { number, role: 0, left, name };
            rows.push(Row::Interval { channel, user, joined, row });
        }
    }
    rows
}

pub fn findings(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    store.check(&mut |finding| lines.push(finding.to_string())).unwrap();
    lines
}

pub fn texts(frames: &[Frame]) -> Vec<String> {
    let text = |frame| protocol::body::read::<SendText>(frame).map_or_else(String::new, |body| body.text);
    frames.iter().map(text).collect()
}

/// Everything that can be asked about these users and channels, as text.
pub fn dump(store: &Store, users: &[UserId], channels: &[ChannelId]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let mut ask = |query: Query| {
        let answer = store.read(&query, Tier::Any).map(Option::unwrap);
        writeln!(out, "{query:?}\n    {answer:?}").unwrap();
    };
    for user in users.iter().copied() {
        ask(Query::User(user));
        for (messages, bytes) in [(200, usize::MAX), (2, usize::MAX), (200, 150), (0, 0)] {
            let page = PageBounds { messages, bytes };
            ask(Query::Inbox { user, after: InboxSeq(0), page });
            ask(Query::Inbox { user, after: InboxSeq(2), page });
        }
        for (after, limit) in [(0, 500), (0, 1), (7, 2), (1 << 64, 1), (u128::MAX, 5), (0, 0)] {
            ask(Query::Joined { user, after: ChannelId(after), limit });
        }
        for channel in channels {
            ask(Query::Membership { user, channel: *channel });
            ask(Query::Earlier { channel: *channel, users: Arc::from([user]) });
        }
    }
    for channel in channels.iter().copied() {
        ask(Query::Channel(channel));
        ask(Query::Window { channel, count: 3, since_ms: 0 });
        ask(Query::Window { channel, count: u32::MAX, since_ms: u64::MAX });
        for newest in [false, true] {
            for (after, before) in [(0, u64::MAX), (1, 4), (2, 3), (9, 2), (u64::MAX, u64::MAX)] {
                for (messages, bytes) in [(200, usize::MAX), (2, usize::MAX), (200, 150)] {
                    let page = PageBounds { messages, bytes };
                    ask(Query::History { channel, after: Seq(after), before: Seq(before), newest, page });
                }
            }
        }
    }
    let states = store.states().unwrap();
    let mut homes = Bays::default();
    users.iter().for_each(|user| homes.insert(BayId::of_user(*user)));
    for source in states.iter().filter(|state| state.fanout_head > 0).map(|state| state.bay) {
        for dests in homes.iter().map(|bay| Bays::from_iter([bay])).chain([homes, Bays::ALL, Bays(0)]) {
            for after in [0, 1, 3] {
                ask(Query::Replay { source, after, until: u64::MAX, dests, page: PAGE });
                let page = PageBounds { messages: 1, bytes: 0 };
                ask(Query::Replay { source, after, until: u64::MAX, dests, page });
            }
        }
    }
    for mut state in states {
        state.generation.0 = 0;
        writeln!(out, "{state:?}").unwrap();
    }
    out
}
