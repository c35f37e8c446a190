use bytes::Bytes;
use protocol::commit::{AccountRow, Row};
use protocol::{ChannelId, InboxSeq, Seq, ShardId, UserId};

use super::*;
use crate::rows::{self, Measure, Sink, Visit};

/// Rows whose disk is full; or also cannot be read.
#[derive(Debug)]
struct FullRows(MemoryRows, Reads);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reads {
    Answer,
    Fail,
}

impl rows::Reads for FullRows {
    fn get(&self, family: Family, key: &[u8], tier: Tier) -> Found<Option<Bytes>> {
        self.0.get(family, key, tier)
    }

    fn scan(
        &self,
        family: Family,
        bounds: (&[u8], &[u8]),
        direction: Direction,
        tier: Tier,
        visit: &mut Visit<'_>,
    ) -> Found<()> {
        if self.1 == Reads::Fail {
            return Err(StoreError::Io { place: "the store".into(), what: "EIO".into() }.into());
        }
        self.0.scan(family, bounds, direction, tier, visit)
    }
}

impl Rows for FullRows {
    fn write(&self, _fill: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), StoreError> {
        Err(StoreError::Full { what: "No space left on device".into() })
    }

    fn add_family(&self, family: Family) -> Result<(), StoreError> {
        self.0.add_family(family)
    }

    fn drop_family(&self, family: Family) -> Result<(), StoreError> {
        self.0.drop_family(family)
    }

    fn drop_files(&self, _family: Family, _bounds: (&[u8], &[u8])) -> Result<(), StoreError> {
        Ok(())
    }

    fn family_bytes(&self, family: Family) -> u64 {
        self.0.family_bytes(family)
    }

    fn measure(&self) -> Measure {
        self.0.measure()
    }

    fn snapshot(&self) -> Box<dyn rows::Reads + '_> {
        self.0.snapshot()
    }

    fn copy(&self) -> Option<Box<dyn Rows>> {
        None
    }
}

fn user_of(bay: BayId) -> UserId {
    (1..).map(UserId).find(|user| BayId::of_user(*user) == bay).unwrap()
}

fn account(bay: BayId) -> Row {
    Row::Account { user: user_of(bay), row: AccountRow::default() }
}

fn batch(bay: BayId, rows: Vec<Row>) -> Batch {
    Batch { shard: ShardId(0), number: 1, parts: vec![Part { bay, rows }] }
}

fn has_account(store: &Store, bay: BayId) -> bool {
    match store.read(&Query::User(user_of(bay)), Tier::Any).unwrap() {
        Some(Answer::User { account, .. }) => account.is_some(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_for_another_bay_is_never_written() {
    let (zero, one) = (BayId(0), BayId(1));
    let own = batch(zero, vec![account(zero)]);
    let strays = [
        (batch(zero, vec![account(one)]), zero),
        (batch(one, vec![account(one), account(zero)]), one),
        (batch(BayId(64), vec![]), BayId(64)),
        (batch(BayId(64), vec![Row::TrimFanout { below: 1 }]), BayId(64)),
    ];
    for (stray, named) in strays {
        let store = Store::memory();
        let error = store.commit(&[own.clone(), stray]).unwrap_err();
        assert!(matches!(&error, StoreError::Misplaced { bay, .. } if *bay == named), "{error}");
        assert!(!has_account(&store, zero) && !has_account(&store, one));
        assert_eq!(store.commit(std::slice::from_ref(&own)), Err(StoreError::Poisoned));
    }
}

#[test]
fn an_error_of_a_commit_poisons_the_store() {
    let mut store = Store::memory();
    let (first, second) =
        (batch(BayId(0), vec![account(BayId(0))]), batch(BayId(1), vec![account(BayId(1))]));
    let whole = std::mem::replace(&mut store.rows, Box::new(FullRows(MemoryRows::new(), Reads::Answer)));
    assert!(matches!(store.commit(std::slice::from_ref(&first)), Err(StoreError::Full { .. })));
    // Even when the disk has space again: what the failed write left behind is unknown.
    store.rows = whole;
    assert_eq!(store.commit(std::slice::from_ref(&first)), Err(StoreError::Poisoned));
    assert_eq!(store.commit(std::slice::from_ref(&second)), Err(StoreError::Poisoned));
    // Reading goes on.
    assert!(store.state(BayId(0)).is_ok());
}

/// A disk that cannot be read for a while ends no process; one that cannot be written does.
#[test]
fn a_move_that_cannot_read_may_be_tried_again() {
    let channel = ChannelId::direct(UserId(1), UserId(2));
    let message = |seq| {
        let body = protocol::body::message::SendText { channel: channel.0, text: "hello".into() };
        let stamp = protocol::Stamp { seq: Seq(seq), time_ms: seq, sender: UserId(1) };
        Row::Message { channel, seq: Seq(seq), frame: protocol::body::encode(seq, &body).stamp(stamp) }
    };
    let mut store = Store::memory();
    store.commit(&[batch(BayId::of_channel(channel), (1..=3).map(message).collect())]).unwrap();
    store.give_family(channel).unwrap();
    let broken = Box::new(FullRows(MemoryRows::new(), Reads::Fail));
    let whole = std::mem::replace(&mut store.rows, broken);
    assert!(matches!(store.move_messages(1), Err(StoreError::Io { .. })));
    assert!(!store.is_poisoned());
    store.rows = whole;
    while store.move_messages(1).unwrap() != Moved::Nothing {}
    assert_eq!(store.families()[0].from, Seq(1));
    store.rows = Box::new(FullRows(MemoryRows::new(), Reads::Answer));
    assert!(matches!(store.return_family(channel), Err(FamilyError::Store(StoreError::Full { .. }))));
    assert!(store.is_poisoned());
    assert_eq!(store.move_messages(1), Err(StoreError::Poisoned));
}

/// Counts what is put.
#[derive(Default)]
struct Puts(Vec<(Family, usize)>);

impl Sink for Puts {
    fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.0.push((family, key.len() + value.len()));
    }

    fn put_shared(&mut self, family: Family, key: &[u8], value: &Bytes) {
        self.put(family, key, value);
    }

    fn delete(&mut self, _family: Family, _key: &[u8]) {}

    fn delete_range(&mut self, _family: Family, _lower: &[u8], _upper: &[u8]) {}
}

fn puts(rows: Vec<Row>, writer: &mut BayWriter) -> Vec<(Family, usize)> {
    let bay = rows.iter().find_map(|row| match row {
        Row::Run { user, .. } => Some(BayId::of_user(*user)),
        _ => None,
    });
    let mut sink = Puts::default();
    apply::part(
        &Part { bay: bay.unwrap_or_default(), rows },
        &Owned::new(8),
        writer,
        &mut Vec::new(),
        &mut sink,
    );
    sink.0
}

#[test]
fn marks_are_one_row_that_is_written_when_it_changed() {
    let mut writer = BayWriter::default();
    let marks = |through: &[(u16, u64)]| {
        vec![Row::Marks { through: through.iter().map(|(bay, number)| (BayId(*bay), *number)).collect() }]
    };
    assert_eq!(puts(marks(&[(0, 7), (63, 200)]), &mut writer), [(Family::Applied, 2 + 1 + 65)]);
    assert_eq!(puts(marks(&[(0, 7), (63, 200)]), &mut writer), []);
    assert_eq!(puts(marks(&[]), &mut writer), []);
    assert_eq!(puts(marks(&[(5, 1)]), &mut writer).len(), 1);
    assert_eq!((writer.marks[0], writer.marks[5], writer.marks[63]), (7, 1, 200));
}

/// What docs/decisions.md says of rows and bytes: an inbox entry of format 1 was a row of 18 and 24 bytes.
#[test]
fn rows_and_bytes_of_runs_that_are_written_down() {
    let (user, group) = (UserId(1 << 60), ChannelId(0x0123_4567_89ab_cdef));
    let bytes = |entries: Vec<(ChannelId, Seq)>| {
        let rows = puts(vec![Row::Run { user, first: InboxSeq(9), entries }], &mut BayWriter::default());
        assert_eq!(rows.len(), 1);
        rows[0].1
    };
    let from = |channel, seq: u64, count: u64| (seq..seq + count).map(|seq| (channel, Seq(seq))).collect();
    let direct = ChannelId::direct(user, UserId(1 << 61));
    assert_eq!(bytes(from(direct, 90, 1)), 18 + 11, "one message of a direct channel, 42 before");
    assert_eq!(bytes(from(direct, 1000, 1)), 18 + 12);
    assert_eq!(bytes(from(group, 1000, 1)), 18 + 12, "one of a group, 42 before");
    for count in [2, 10, 100] {
        assert_eq!(bytes(from(group, 1000, count)), 18 + 13, "{count} in a row, {} before", count * 42);
    }
    assert_eq!(bytes(from(group, 1000, 300)), 18 + 14);
    let turns: Vec<_> =
        (0..50).flat_map(|step| [(direct, Seq(90 + step)), (group, Seq(1000 + step))]).collect();
    assert_eq!(bytes(turns), 18 + 1 + 10 + 11 + 98 * 2, "a hundred of two channels by turns, 4200 before");
    let long = Row::Run { user, first: InboxSeq(1), entries: from(group, 1, 2500) };
    assert_eq!(puts(vec![long], &mut BayWriter::default()).len(), 3, "a long run is several rows");
}
