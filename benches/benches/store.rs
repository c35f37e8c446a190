//! The store on disk: a synced commit of 1, 8, 64 and 256 direct messages, and a window read.
//!
//! The directory is made under the build's own target folder, because /tmp may be memory, where a sync costs nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::body::message::SendText;
use protocol::commit::{Batch, Part, Row};
use protocol::query::{Answer, PageBounds, Query};
use protocol::{BayId, ChannelId, InboxSeq, Seq, ShardId, Stamp, UserId, body};
use storage::{Options, Store, Tier};

/// Channels that the messages are spread over.
const CHANNELS: u64 = 100;

struct Writer {
    store: Store,
    number: u64,
    sent: u64,
    /// By bay: the newest row of its fan-out log.
    logs: BTreeMap<BayId, u64>,
}

/// What one batch holds of a bay.
#[derive(Default)]
struct InBay {
    rows: Vec<Row>,
    logged: Vec<(ChannelId, Seq)>,
}

impl Writer {
    /// What a shard appends for so many direct messages: history, the runs of both sides, a row of each bay's log.
    fn batch(&mut self, messages: u64) -> Batch {
        self.number += 1;
        let (other, first) = (UserId(100_000), InboxSeq(self.sent + 1));
        let mut bays: BTreeMap<BayId, InBay> = BTreeMap::new();
        let mut entries = Vec::new();
        for _ in 0..messages {
            let user = UserId(1 + self.sent % CHANNELS);
            let seq = Seq(1 + self.sent / CHANNELS);
            let channel = ChannelId::direct(user, other);
            let text =
                SendText { channel: channel.0, text: "오늘 저녁에 시간 괜찮으세요?".into() };
            let stamp = Stamp { seq, time_ms: 1_800_000_000_000, sender: user };
            let frame = body::encode(self.sent + 1, &text).stamp(stamp);
            let home = bays.entry(BayId::of_channel(channel)).or_default();
            home.rows.push(Row::Message { channel, seq, frame });
            home.logged.push((channel, seq));
            let run = Row::Run { user, first: InboxSeq(seq.0), entries: vec![(channel, seq)] };
            bays.entry(BayId::of_user(user)).or_default().rows.push(run);
            entries.push((channel, seq));
            self.sent += 1;
        }
        let run = Row::Run { user: other, first, entries };
        bays.entry(BayId::of_user(other)).or_default().rows.push(run);
        let parts = bays.into_iter().map(|(bay, InBay { mut rows, logged })| {
            if !logged.is_empty() {
                let number = self.logs.entry(bay).or_default();
                *number += 1;
                rows.push(Row::Fanout { number: *number, messages: logged });
            }
            Part { bay, rows }
        });
        let parts = parts.collect();
        Batch { shard: ShardId(0), number: self.number, parts }
    }

    fn commit(&mut self, messages: u64) {
        let batch = self.batch(messages);
        self.store.commit(&[batch]).unwrap();
    }
}

fn store(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::open(&folder.path().join("data"), &Options::default()).unwrap();
    let mut writer = Writer { store, number: 0, sent: 0, logs: BTreeMap::new() };
    let mut group = criterion.benchmark_group("store");
    group.sample_size(20);
    for messages in [1, 8, 64, 256] {
        group.throughput(Throughput::Elements(messages));
        group.bench_function(format!("commit_{messages}_messages"), |b| {
            b.iter(|| writer.commit(messages));
        });
    }
    // Enough that every channel has a page of 50, also when one bench is run alone.
    for _ in 0..20 {
        writer.commit(256);
    }
    let page = PageBounds { messages: 50, bytes: usize::MAX };
    let channel = ChannelId::direct(UserId(7), UserId(100_000));
    let query = Query::History { channel, after: Seq(0), before: Seq(u64::MAX >> 11), newest: true, page };
    group.throughput(Throughput::Elements(50));
    group.bench_function("window_of_50_cached", |b| {
        b.iter(|| {
            let answer = writer.store.read(black_box(&query), Tier::Any).unwrap();
            let Some(Answer::History(frames)) = answer else { unreachable!("another answer") };
            assert_eq!(frames.len(), 50);
        });
    });
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);
