//! What a shard's own thread may look at has a bound, and what is long is not begun there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use protocol::commit::{Batch, Part, Row};
use protocol::query::{PageBounds, Query};
use protocol::{BayId, Bays, ChannelId, InboxSeq, Seq, ShardId, Stamp, UserId};
use storage::{Answer, Store, Tier};

const PAGE: PageBounds = PageBounds { messages: 200, bytes: 256 * 1024 };
const MESSAGES: u64 = 100;

fn channel() -> ChannelId {
    ChannelId::direct(UserId(1), UserId(2))
}

/// A hundred messages for user 2, in runs of so many.
fn store(run: u64) -> Store {
    let store = Store::memory();
    let (mut messages, mut runs) = (Vec::new(), Vec::new());
    for seq in 1..=MESSAGES {
        let text = protocol::body::message::SendText { channel: channel().0, text: "text".into() };
        let stamp = Stamp { seq: Seq(seq), time_ms: seq, sender: UserId(1) };
        let frame = protocol::body::encode(seq, &text).stamp(stamp);
        messages.push(Row::Message { channel: channel(), seq: Seq(seq), frame });
    }
    for first in (1..=MESSAGES).step_by(run as usize) {
        let entries = (first..=MESSAGES).take(run as usize).map(|seq| (channel(), Seq(seq))).collect();
        runs.push(Row::Run { user: UserId(2), first: InboxSeq(first), entries });
    }
    let parts = vec![
        Part { bay: BayId::of_channel(channel()), rows: messages },
        Part { bay: BayId::of_user(UserId(2)), rows: runs },
    ];
    store.commit(&[Batch { shard: ShardId(0), number: 1, parts }]).unwrap();
    store
}

fn inline(store: &Store, rows: u32, query: &Query) -> Option<Answer> {
    store.read(query, Tier::Cached { rows }).unwrap()
}

#[test]
fn an_inbox_is_answered_with_a_shorter_page_and_the_pages_are_the_whole() {
    for run in [1, 2, 7, 100] {
        let store = store(run);
        let (mut after, mut pages) = (InboxSeq(0), 0);
        while after.0 < MESSAGES {
            let query = Query::Inbox { user: UserId(2), after, page: PAGE };
            let Some(Answer::Inbox { frames, through }) = inline(&store, 64, &query) else { panic!() };
            assert!(!frames.is_empty() && frames.len() < 64, "{} messages for 64 rows", frames.len());
            assert!(run > 1 || frames.len() <= 32, "{} messages and their rows", frames.len());
            assert!(
                frames.iter().zip(after.0 + 1..).all(|(frame, seq)| frame.read_stamp().unwrap().seq.0 == seq)
            );
            assert_eq!(through.0, after.0 + frames.len() as u64);
            (after, pages) = (through, pages + 1);
        }
        assert!(pages > 1);
    }
    let store = store(1);
    // Too little even for one message.
    let query = Query::Inbox { user: UserId(2), after: InboxSeq(0), page: PAGE };
    assert_eq!(inline(&store, 2, &query), None);
}

#[test]
fn a_page_of_history_within_the_bound_is_answered_and_one_above_is_not_begun() {
    let store = store(1);
    let history = |messages| Query::History {
        channel: channel(),
        after: Seq(0),
        before: Seq(MESSAGES + 1),
        newest: true,
        page: PageBounds { messages, ..PAGE },
    };
    let Some(Answer::History(frames)) = inline(&store, 64, &history(63)) else { panic!() };
    assert_eq!(frames.len(), 63);
    assert_eq!(inline(&store, 64, &history(64)), None);
}

#[test]
fn what_is_long_by_nature_is_never_begun() {
    let store = store(1);
    let long = [
        Query::Window { channel: channel(), count: 1, since_ms: 0 },
        Query::Joined { user: UserId(2), after: ChannelId(0), limit: 1 },
        Query::Replay { source: BayId(0), after: 0, until: 9, dests: Bays::ALL, page: PAGE },
    ];
    for query in long {
        assert_eq!(inline(&store, u32::MAX, &query), None, "{query:?}");
        assert!(store.read(&query, Tier::Any).unwrap().is_some());
    }
}
