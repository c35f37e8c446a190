//! A small world that commits as the shard core would: coherent batches for one or more equal sets of stores.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::body::encode;
use protocol::body::message::{AddMembers, CreateGroup, LeaveGroup, RemoveMember, RenameGroup, SendText};
use protocol::{ChannelId, Frame, InboxSeq, Placement, SendId, Seq, Stamp, StoreId, UserId};
use storage::{
    AccountRow, Answer, Batch, ChannelRow, Interval, MemberRow, PageBounds, Query, Row, Stores, Tier,
};

pub const PAGE: PageBounds = PageBounds { messages: 200, bytes: 256 * 1024 };

#[derive(Default)]
pub struct Group {
    pub name: String,
    pub members: BTreeMap<UserId, MemberRow>,
}

pub struct World {
    pub stores: Vec<Arc<Stores>>,
    pub placement: Placement,
    pub groups: BTreeMap<ChannelId, Group>,
    pub heads: BTreeMap<ChannelId, Seq>,
    pub inboxes: BTreeMap<UserId, u64>,
    numbers: Vec<u64>,
    logs: Vec<u64>,
    time_ms: u64,
    sends: u64,
}

impl World {
    pub fn new(stores: Vec<Arc<Stores>>) -> Self {
        let count = stores[0].count();
        let placement = Placement::new(count, 1).unwrap();
        let zeros = vec![0; usize::from(count)];
        Self {
            stores,
            placement,
            groups: BTreeMap::new(),
            heads: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            numbers: zeros.clone(),
            logs: zeros,
            time_ms: 1_700_000_000_000,
            sends: 0,
        }
    }

    /// One set of `count` stores in memory.
    pub fn memory(count: u16) -> Self {
        Self::new(vec![Arc::new(Stores::memory(count))])
    }

    pub fn commit(&mut self, store: StoreId, rows: Vec<Row>) {
        let number = &mut self.numbers[usize::from(store.0)];
        *number += 1;
        let batch = Batch { store, number: *number, rows };
        for stores in &self.stores {
            stores.commit(store, std::slice::from_ref(&batch)).unwrap();
        }
    }

    pub fn account(&mut self, user: UserId) {
        let store = self.placement.user_store(user);
        self.commit(store, vec![Row::Account { user, row: AccountRow { created_ms: 5 } }]);
    }

    pub fn next_send(&mut self) -> u64 {
        self.sends += 1;
        self.sends
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
        let store = self.placement.channel_store(channel);
        let mut rows = vec![Row::Message { channel, seq, frame }];
        if let Some(group) = self.groups.get(&channel) {
            rows.push(Row::Channel { channel, row: ChannelRow { name: group.name.clone() } });
            let row =
                |(user, row): (&UserId, &MemberRow)| Row::Member { channel, user: *user, row: row.clone() };
            rows.extend(group.members.iter().map(row));
        }
        let number = &mut self.logs[usize::from(store.0)];
        *number += 1;
        rows.push(Row::Fanout { number: *number, messages: vec![(channel, seq)] });
        self.commit(store, rows);
        seq
    }

    pub fn text(&mut self, channel: ChannelId, sender: UserId, text: &str) -> Seq {
        let frame = encode(self.next_send(), &SendText { channel: channel.0, text: text.into() });
        self.append(channel, sender, &frame)
    }

    pub fn create(&mut self, creator: UserId, members: &[u64], name: &str) -> ChannelId {
        let id = self.next_send();
        let channel = ChannelId::group(creator, SendId(id));
        let mut group = Group { name: name.into(), ..Group::default() };
        for user in members.iter().copied().chain([creator.0]) {
            let intervals = vec![Interval { joined: Seq(1), left: None }];
            group.members.insert(UserId(user), MemberRow { role: 0, intervals });
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

    pub fn add(&mut self, channel: ChannelId, sender: UserId, user: UserId) -> Seq {
        let joined = self.heads[&channel].next();
        let member = self.groups.get_mut(&channel).unwrap().members.entry(user).or_default();
        assert!(!member.is_member());
        member.intervals.push(Interval { joined, left: None });
        let frame = encode(self.next_send(), &AddMembers { channel: channel.0, members: vec![user.0] });
        self.append(channel, sender, &frame)
    }

    pub fn remove(&mut self, channel: ChannelId, sender: UserId, user: UserId) -> Seq {
        let left = self.heads[&channel].next();
        let member = self.groups.get_mut(&channel).unwrap().members.get_mut(&user).unwrap();
        member.intervals.last_mut().unwrap().left = Some(left);
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

    pub fn mark(&self, dest: StoreId, source: StoreId) -> u64 {
        let applied = self.stores[0].state(dest).unwrap().applied;
        applied.iter().find(|(store, _)| *store == source).map_or(0, |(_, through)| *through)
    }

    /// Applies what `dest` has not applied of `source`, a page at a time.
    pub fn deliver(&mut self, source: StoreId, dest: StoreId, page: PageBounds) {
        loop {
            let after = self.mark(dest, source);
            let Answer::Replay { deliveries, through } =
                self.read(&Query::Replay { source, after, until: u64::MAX, dest, page })
            else {
                panic!("another answer")
            };
            if through == after {
                assert!(deliveries.is_empty());
                return;
            }
            let mut rows = Vec::new();
            for delivery in deliveries {
                let (channel, seq) = (delivery.channel, delivery.seq);
                for user in delivery.recipients.iter().copied() {
                    let at = self.inboxes.entry(user).or_default();
                    *at += 1;
                    rows.push(Row::Pointer { user, at: InboxSeq(*at), channel, seq });
                    match self.groups.get(&channel) {
                        None if seq == Seq(1) => rows.push(Row::Joined { user, channel, joined: seq }),
                        None => {}
                        Some(group) => {
                            for interval in &group.members[&user].intervals {
                                if interval.joined == seq {
                                    rows.push(Row::Joined { user, channel, joined: seq });
                                }
                                if interval.left == Some(seq) {
                                    rows.push(Row::Left { user, channel, left: seq });
                                }
                            }
                        }
                    }
                }
            }
            rows.push(Row::Applied { source, through });
            self.commit(dest, rows);
        }
    }

    pub fn deliver_all(&mut self) {
        for source in 0..self.placement.stores() {
            for dest in 0..self.placement.stores() {
                self.deliver(StoreId(source), StoreId(dest), PAGE);
            }
        }
    }

    /// Removes what every store has applied, except the newest row.
    pub fn trim(&mut self, source: StoreId) {
        let stores = 0..self.placement.stores();
        let slowest = stores.map(|dest| self.mark(StoreId(dest), source)).min().unwrap();
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

pub fn findings(stores: &Stores) -> Vec<String> {
    let mut lines = Vec::new();
    stores.check(&mut |finding| lines.push(finding.to_string())).unwrap();
    lines
}

pub fn texts(frames: &[Frame]) -> Vec<String> {
    let text = |frame| protocol::body::read::<SendText>(frame).map_or_else(String::new, |body| body.text);
    frames.iter().map(text).collect()
}

/// Everything that can be asked about these users and channels, as text.
pub fn dump(stores: &Stores, users: &[UserId], channels: &[ChannelId]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let mut ask = |query: Query| {
        let answer = stores.read(&query, Tier::Any).map(Option::unwrap);
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
            ask(Query::ReadMark { user, channel: *channel });
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
    for source in (0..stores.count()).map(StoreId) {
        for dest in (0..stores.count()).map(StoreId) {
            for after in [0, 1, 3] {
                ask(Query::Replay { source, after, until: u64::MAX, dest, page: PAGE });
                ask(Query::Replay {
                    source,
                    after,
                    until: u64::MAX,
                    dest,
                    page: PageBounds { messages: 1, bytes: 0 },
                });
            }
        }
    }
    for source in (0..stores.count()).map(StoreId) {
        let mut state = stores.state(source).unwrap();
        state.generation.0 = 0;
        writeln!(out, "{state:?}").unwrap();
    }
    out
}
