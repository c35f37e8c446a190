//! The store on disk: a synced commit of 1, 8, 64 and 256 direct messages, and a window read.
//!
//! The directory is made under the build's own target folder, because /tmp may be memory, where a sync costs nothing.
#![allow(missing_docs, clippy::unwrap_used)]

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
}

impl Writer {
    /// What a shard appends for so many direct messages: history, pointers of the two, a row of each bay's fan-out log.
    fn batch(&mut self, messages: u64) -> Batch {
        self.number += 1;
        let mut parts: Vec<Part> = BayId::all().map(|bay| Part { bay, rows: Vec::new() }).collect();
        let mut logged = vec![Vec::new(); parts.len()];
        for _ in 0..messages {
            let (a, b) = (UserId(1 + self.sent % CHANNELS), UserId(100_000));
            let seq = 1 + self.sent / CHANNELS;
            let channel = ChannelId::direct(a, b);
            let sent = body::encode(
                self.sent + 1,
                &SendText { channel: channel.0, text: "오늘 저녁에 시간 괜찮으세요?".into() },
            );
            let stamp = Stamp { seq: Seq(seq), time_ms: 1_800_000_000_000, sender: a };
            let run = |user, at| Row::Run { user, first: InboxSeq(at), entries: vec![(channel, Seq(seq))] };
            let of = |bay: BayId| usize::from(bay.0);
            let home = of(BayId::of_channel(channel));
            parts[home].rows.push(Row::Message { channel, seq: Seq(seq), frame: sent.stamp(stamp) });
            parts[of(BayId::of_user(a))].rows.push(run(a, seq));
            parts[of(BayId::of_user(b))].rows.push(run(b, self.sent + 1));
            logged[home].push((channel, Seq(seq)));
            self.sent += 1;
        }
        for (part, messages) in parts.iter_mut().zip(logged).filter(|(_, messages)| !messages.is_empty()) {
            part.rows.push(Row::Fanout { number: self.number, messages });
        }
        parts.retain(|part| !part.rows.is_empty());
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
    let mut writer = Writer { store, number: 0, sent: 0 };
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
