//! Mailboxes between threads: posts and hops, put and taken on one thread, so that the figure is the ring's own.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::hop::Hop;
use protocol::{BayId, ShardId};
use server::mesh::{self, Post};

const BATCH: u64 = 64;

fn ring(criterion: &mut Criterion) {
    let (mut mailboxes, outlets) = mesh::build(2);
    let mailbox = mailboxes.get_mut(1).unwrap();
    let outlet = outlets.to(ShardId(1)).unwrap();
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("post_and_drain_64", |b| {
        b.iter(|| {
            for number in 0..BATCH {
                outlet.post(Post::Stored { number });
            }
            while let Some(post) = mailbox.next_post() {
                black_box(post);
            }
        });
    });
    group.bench_function("hop_and_drain_64", |b| {
        b.iter(|| {
            for through in 0..BATCH {
                let hop = Hop::Applied { by: ShardId(1), through: vec![(BayId(0), through)] };
                assert!(outlet.try_hop(ShardId(0), hop).is_ok());
            }
            while let Some(hop) = mailbox.next_hop() {
                black_box(hop);
            }
        });
    });
    group.bench_function("lie_down_and_get_up", |b| {
        b.iter(|| {
            let lay = mailbox.lie_down();
            (lay, mailbox.get_up())
        });
    });
}

criterion_group!(benches, ring);
criterion_main!(benches);
