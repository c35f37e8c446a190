//! The store on disk: a synced commit of 1, 8, 64 and 256 direct messages, and a window read.
//!
//! The directory is made under the build's own target folder, because /tmp may be memory, where a sync costs nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::body::message::SendText;
use protocol::commit::{Batch, Row};
use protocol::query::{Answer, PageBounds, Query};
use protocol::{ChannelId, InboxSeq, Seq, Stamp, StoreId, UserId, body};
use storage::{Options, Stores, Tier};

/// Channels that the messages are spread over.
const CHANNELS: u64 = 100;

struct Writer {
    stores: Stores,
    number: u64,
    sent: u64,
}

impl Writer {
    /// What a shard appends for so many direct messages: history, two pointers each, one row of the fan-out log.
    fn batch(&mut self, messages: u64) -> Batch {
        self.number += 1;
        let mut rows = Vec::new();
        let mut logged = Vec::new();
        for _ in 0..messages {
            let (a, b) = (UserId(1 + self.sent % CHANNELS), UserId(100_000));
            let seq = 1 + self.sent / CHANNELS;
            let channel = ChannelId::direct(a, b);
            let sent = body::encode(
                self.sent + 1,
                &SendText { channel: channel.0, text: "오늘 저녁에 시간 괜찮으세요?".into() },
            );
            let stamp = Stamp { seq: Seq(seq), time_ms: 1_800_000_000_000, sender: a };
            rows.push(Row::Message { channel, seq: Seq(seq), frame: sent.stamp(stamp) });
            rows.push(Row::Pointer { user: a, at: InboxSeq(seq), channel, seq: Seq(seq) });
            rows.push(Row::Pointer { user: b, at: InboxSeq(self.sent + 1), channel, seq: Seq(seq) });
            logged.push((channel, Seq(seq)));
            self.sent += 1;
        }
        rows.push(Row::Fanout { number: self.number, messages: logged });
        Batch { store: StoreId(0), number: self.number, rows }
    }

    fn commit(&mut self, messages: u64) {
        let batch = self.batch(messages);
        self.stores.commit(StoreId(0), &[batch]).unwrap();
    }
}

fn store(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = Options { stores: 1, ..Options::default() };
    let stores = Stores::open(&folder.path().join("data"), &options).unwrap();
    let mut writer = Writer { stores, number: 0, sent: 0 };
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
            let answer = writer.stores.read(black_box(&query), Tier::Any).unwrap();
            let Some(Answer::History(frames)) = answer else { unreachable!("another answer") };
            assert_eq!(frames.len(), 50);
        });
    });
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);
