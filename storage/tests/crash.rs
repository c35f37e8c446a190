//! kill -9 at random points: what was acknowledged is there, and nothing is there in part.
#![cfg(feature = "rocks")]
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod world;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use protocol::partition::mix64;
use protocol::{BayId, ChannelId, Seq, ShardId, UserId};
use storage::{Answer, FamilyError, Moved, Options, Part, Query, Row, Store, Tier};
use world::World;

const DIR: &str = "MARU_CRASH_TEST_DIR";
const BAYS: u16 = 2;
const ROUNDS: u64 = 12;
/// Devices that one batch writes beside its message: a batch in part would miss some.
const DEVICES: u64 = 8;

fn open(dir: &Path) -> Arc<Store> {
    // Small memtables, so that kills also meet flushes.
    let options = Options { memtable_bytes: 256 * 1024, ..Options::default() };
    Arc::new(Store::open(dir, &options).unwrap())
}

fn channel_of(bay: BayId) -> (ChannelId, UserId) {
    let user = (1..).map(UserId).find(|user| BayId::of_user(*user) == bay).unwrap();
    (ChannelId::direct(user, UserId(1 << 40)), user)
}

fn head(store: &Store, channel: ChannelId) -> u64 {
    match store.read(&Query::Channel(channel), Tier::Any).unwrap().unwrap() {
        Answer::Channel { head, .. } => head.0,
        other => panic!("{other:?}"),
    }
}

/// The child: a thread a bay commits numbered batches until it is killed, and says each number once it is durable. Another
/// moves their channels into families of their own and back.
#[test]
#[ignore = "the child of the crash test"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = open(Path::new(&dir));
    std::thread::scope(|scope| {
        for bay in (0..BAYS).map(BayId) {
            let store = &store;
            scope.spawn(move || work(store, bay));
        }
        scope.spawn(|| move_families(&store));
    });
}

fn move_families(store: &Store) {
    for round in 0..100_000u64 {
        while store.move_messages(16 * 1024).unwrap() != Moved::Nothing {}
        let (channel, _) = channel_of(BayId((round % u64::from(BAYS)) as u16));
        let has = store.families().iter().any(|family| family.channel == channel);
        let changed = if has { store.return_family(channel) } else { store.give_family(channel).map(drop) };
        assert!(matches!(changed, Ok(()) | Err(FamilyError::Unknown(_))), "{changed:?}");
    }
}

fn work(store: &Store, bay: BayId) {
    let (channel, user) = channel_of(bay);
    let mut seq = head(store, channel);
    for number in 1..100_000u64 {
        seq += 1;
        let text = "x".repeat((mix64(number ^ seq) % 2000) as usize + 1);
        let body = protocol::body::message::SendText { channel: channel.0, text };
        let stamp = protocol::Stamp { seq: Seq(seq), time_ms: seq, sender: user };
        let frame = protocol::body::encode(seq, &body).stamp(stamp);
        let mut rows = vec![
            Row::Message { channel, seq: Seq(seq), frame },
            Row::Fanout { number: seq, messages: vec![(channel, Seq(seq))] },
        ];
        let row = storage::DeviceRow { seen_ms: seq, ..storage::DeviceRow::default() };
        rows.extend((1..=DEVICES).map(|device| Row::Device {
            user,
            device: protocol::DeviceId(device),
            row,
        }));
        let parts = vec![Part { bay, rows }];
        store.commit(&[storage::Batch { shard: ShardId(bay.0), number, parts }]).unwrap();
        // One write, so that the lines of two threads do not mix.
        let line = format!("acked {} {seq}\n", bay.0);
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

fn verify(dir: &Path, acked: &[u64]) -> u64 {
    let store = open(dir);
    let world = World::new(vec![Arc::clone(&store)]);
    let mut total = 0;
    for bay in (0..BAYS).map(BayId) {
        let (channel, user) = channel_of(bay);
        let head = head(&store, channel);
        total += head;
        // One batch may have been durable without its acknowledgement having been said.
        let acked = acked[usize::from(bay.0)];
        assert!(head == acked || head == acked + 1, "bay {bay}: head {head}, acked {acked}");
        let state = store.state(bay).unwrap();
        assert_eq!(state.fanout_head, head);
        assert_eq!(state.fanout_tail, head.min(1));
        let Answer::User { devices, .. } = store.read(&Query::User(user), Tier::Any).unwrap().unwrap() else {
            panic!()
        };
        assert_eq!(devices.len() as u64, if head == 0 { 0 } else { DEVICES });
        assert!(devices.iter().all(|(_, row)| row.seen_ms == head), "a batch in part: {devices:?} at {head}");
    }
    let findings: Vec<_> = world.findings().into_iter().filter(|line| !line.starts_with("odd")).collect();
    assert_eq!(findings, [""; 0]);
    total
}

#[test]
fn acknowledged_batches_survive_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let seed = u64::from(std::process::id());
    let mut acked = vec![0; usize::from(BAYS)];
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // After so many acknowledgements, and then at whatever instant the signal meets.
        let until = mix64(seed ^ round) % 400;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut count = 0;
        while count < until {
            let Some(line) = lines.next() else {
                panic!("seed {seed}, round {round}: the child ended early")
            };
            count += u64::from(take(&line.unwrap(), &mut acked));
        }
        child.kill().unwrap();
        // What it said before it died counts too.
        for line in lines {
            take(&line.unwrap(), &mut acked);
        }
        child.wait().unwrap();
        let total = verify(dir.path(), &acked);
        assert!(total >= acked.iter().sum(), "seed {seed}, round {round}");
        acked = heads(dir.path());
    }
    assert!(acked.iter().sum::<u64>() > 0);
}

fn heads(dir: &Path) -> Vec<u64> {
    let store = open(dir);
    (0..BAYS).map(|bay| head(&store, channel_of(BayId(bay)).0)).collect()
}

/// Notes an acknowledgement; a line that the kill cut in two is none.
fn take(line: &str, acked: &mut [u64]) -> bool {
    let mut fields = line.split(' ');
    // The test harness may print its own words before the first line.
    let (Some("acked"), Some(bay), Some(seq)) = (fields.next(), fields.next(), fields.next()) else {
        return false;
    };
    let (Ok(bay), Ok(seq)) = (bay.parse::<usize>(), seq.parse::<u64>()) else { return false };
    if let Some(last) = acked.get_mut(bay) {
        *last = (*last).max(seq);
    }
    true
}
