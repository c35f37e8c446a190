//! A disk of 200 MB, and six who write as fast as they can: they are refused in words before it is full, reading goes on, and
//! whatever was acked is there afterwards.

use protocol::body::message::SendText;
use protocol::{ChannelId, Code};

use crate::backup::{Person, Said, held, outcome, people, shown};
use crate::full::Disk;
use crate::node::Node;
use crate::raw::Raw;

const SETTINGS: &[&str] =
    &["--frames-per-s", "1000000", "--frames-burst", "1000000", "--user-mib-per-h", "0"];
/// Letters of a text: of 200 MB so many fit that a writer never comes to the end.
const LETTERS: usize = 60_000;

/// Sends until it is refused for want of space.
fn fill(node: &Node, from: &Person, to: &Person, said: &Said) {
    let mut device = Raw::live(node, &from.token);
    let channel = ChannelId::direct(from.user, to.user).0;
    // No compression makes room of it.
    let mut state = from.user.0 | 1;
    for id in (1 << 32).. {
        let letters = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + u8::try_from(state >> 33 & 63).unwrap())
        });
        let text: String = letters.take(LETTERS).collect();
        device.body(id, &SendText { channel, text: text.clone() });
        match outcome(&mut device, from.user, id) {
            Ok(seq) => held(said).insert((channel, seq), text),
            Err(reject) => {
                assert_eq!(reject.code, Code::StorageFull.number(), "{reject:?}");
                assert!(reject.retry_after_ms > 0);
                return;
            }
        };
    }
}

#[test]
fn six_fast_writers_fill_a_disk_of_200_mb_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path(), "size=200m") else {
        eprintln!("SKIPPED: this process may not mount a file system; run it as root");
        return;
    };
    let mut node = Node::start_in(&folder.path().join("data"), 2, SETTINGS);
    let people = people(&node, 6);
    let said = Said::default();
    std::thread::scope(|scope| {
        for pair in [[0, 1], [2, 3], [4, 5]] {
            for [from, to] in [pair, [pair[1], pair[0]]] {
                let (node, people, said) = (&node, &people, &said);
                scope.spawn(move || fill(node, &people[from], &people[to], said));
            }
        }
    });
    assert_eq!(node.metric("maru_disk_low", ""), 1);
    assert!(held(&said).len() > 100, "{} messages fitted", held(&said).len());
    let all_is_there = |node: &Node| {
        let mut there = shown(node, &people[0], people[1].user);
        there.extend(shown(node, &people[2], people[3].user));
        there.extend(shown(node, &people[4], people[5].user));
        assert!(*held(&said) == there, "{} acked, {} there", held(&said).len(), there.len());
    };
    all_is_there(&node);
    node.kill();
    node.up(2);
    all_is_there(&node);
    assert_eq!(node.stop(), Some(0));
    node.check();
    drop(disk);
}
