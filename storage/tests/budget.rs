//! What a shard's own thread may look at has a bound, and what is long is not begun there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use protocol::commit::{Batch, Row};
use protocol::query::{PageBounds, Query};
use protocol::{ChannelId, InboxSeq, Placement, Seq, Stamp, StoreId, UserId};
use storage::{Answer, Stores, Tier};

const PAGE: PageBounds = PageBounds { messages: 200, bytes: 256 * 1024 };
const MESSAGES: u64 = 100;

fn channel() -> ChannelId {
    ChannelId::direct(UserId(1), UserId(2))
}

/// One store with a hundred messages for user 2.
fn stores() -> Stores {
    let stores = Stores::memory(1);
    let mut rows = Vec::new();
    for seq in 1..=MESSAGES {
        let text = protocol::body::message::SendText { channel: channel().0, text: "text".into() };
        let stamp = Stamp { seq: Seq(seq), time_ms: seq, sender: UserId(1) };
        let frame = protocol::body::encode(seq, &text).stamp(stamp);
        rows.push(Row::Message { channel: channel(), seq: Seq(seq), frame });
        rows.push(Row::Pointer { user: UserId(2), at: InboxSeq(seq), channel: channel(), seq: Seq(seq) });
    }
    let batch = Batch { store: StoreId(0), number: 1, rows };
    stores.commit(StoreId(0), std::slice::from_ref(&batch)).unwrap();
    assert!(Placement::new(1, 1).is_some());
    stores
}

fn inline(stores: &Stores, rows: u32, query: &Query) -> Option<Answer> {
    stores.read(query, Tier::Cached { rows }).unwrap()
}

#[test]
fn an_inbox_is_answered_with_a_shorter_page_and_the_pages_are_the_whole() {
    let stores = stores();
    let (mut after, mut pages) = (InboxSeq(0), 0);
    while after.0 < MESSAGES {
        let query = Query::Inbox { user: UserId(2), after, page: PAGE };
        let Some(Answer::Inbox { frames, through }) = inline(&stores, 64, &query) else { panic!() };
        assert!(!frames.is_empty() && frames.len() <= 32, "{} messages for 64 rows", frames.len());
        assert_eq!(through.0, after.0 + frames.len() as u64);
        (after, pages) = (through, pages + 1);
    }
    assert!(pages > 1);
    // Too little even for one message.
    let query = Query::Inbox { user: UserId(2), after: InboxSeq(0), page: PAGE };
    assert_eq!(inline(&stores, 2, &query), None);
}

#[test]
fn a_page_of_history_within_the_bound_is_answered_and_one_above_is_not_begun() {
    let stores = stores();
    let history = |messages| Query::History {
        channel: channel(),
        after: Seq(0),
        before: Seq(MESSAGES + 1),
        newest: true,
        page: PageBounds { messages, ..PAGE },
    };
    let Some(Answer::History(frames)) = inline(&stores, 64, &history(63)) else { panic!() };
    assert_eq!(frames.len(), 63);
    assert_eq!(inline(&stores, 64, &history(64)), None);
}

#[test]
fn what_is_long_by_nature_is_never_begun() {
    let stores = stores();
    let long = [
        Query::Window { channel: channel(), count: 1, since_ms: 0 },
        Query::Joined { user: UserId(2), after: ChannelId(0), limit: 1 },
        Query::Replay { source: StoreId(0), after: 0, until: 9, dest: StoreId(0), page: PAGE },
    ];
    for query in long {
        assert_eq!(inline(&stores, u32::MAX, &query), None, "{query:?}");
        assert!(stores.read(&query, Tier::Any).unwrap().is_some());
    }
}
