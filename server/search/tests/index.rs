//! The index: what goes in, what is found, what a crash leaves, and that only what the asker may read exists.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use protocol::commit::Interval;
use protocol::{BayId, ChannelId, Generation, Seq, UserId};
use search::{
    Asked, Change, Cursor, Document, EVERYBODY, Found, Index, Opened, Order, Place, Places, Readable, Sought,
};

const CHANNEL: ChannelId = ChannelId(7);
const OTHER: ChannelId = ChannelId((1 << 64) | 2);

fn document(channel: ChannelId, seq: u64, text: &str) -> Document {
    Document {
        channel,
        seq: Seq(seq),
        sender: UserId(seq % 3),
        time_ms: 1000 + seq,
        kind: 0x0101,
        mentions: Vec::new(),
        text: text.into(),
    }
}

fn put(channel: ChannelId, seq: u64, text: &str) -> Change {
    Change::Put(document(channel, seq, text))
}

fn open(place: &Path) -> (Index, Opened) {
    Index::open(place).unwrap()
}

/// An index of one channel's texts, from seq 1 on.
fn index_of(place: &Path, texts: &[&str]) -> Index {
    let (mut index, _) = open(place);
    for (seq, text) in (1..).zip(texts) {
        index.apply(put(CHANNEL, seq, text)).unwrap();
    }
    index.commit(&Places::default()).unwrap();
    index
}

fn asked(query: &str) -> Asked {
    Asked::of(Sought::parse(query).unwrap())
}

fn stay(joined: u64, left: Option<u64>) -> Interval {
    Interval { joined: Seq(joined), left: left.map(Seq) }
}

fn all_of(channels: &[ChannelId]) -> Readable {
    let mut readable = Readable::default();
    channels.iter().for_each(|channel| readable.add(*channel, vec![stay(1, None)]));
    readable
}

fn find(index: &Index, asked: &Asked, readable: &Readable) -> Found {
    let found = index.finder().find(asked, readable, Instant::now() + Duration::from_secs(600)).unwrap();
    assert!(!found.is_cut);
    found
}

fn seqs(found: &Found) -> Vec<u64> {
    found.hits.iter().map(|hit| hit.seq.0).collect()
}

/// The seqs of `CHANNEL` that a query finds, rising.
fn found(index: &Index, query: &str) -> Vec<u64> {
    let mut seqs = seqs(&find(index, &asked(query), &all_of(&[CHANNEL])));
    seqs.sort_unstable();
    seqs
}

#[test]
fn every_script_is_found_by_its_words_and_korean_by_initials_too() {
    let dir = tempfile::tempdir().unwrap();
    let index = index_of(
        dir.path(),
        &[
            "Meeting moved to the café, see you",      // 1
            "오늘 한글날 행사에 가요",                 // 2
            "점심에 밥 먹자",                          // 3
            "我们明天去北京大学",                      // 4
            "東京タワーで会いましょう",                // 5
            "ㅋㅋㅋㅋ 진짜?",                          // 6
            "release v2.10 is out 🎉 congratulations", // 7
            "Встреча в ёлочном отделе",                // 8
            "크크 그러게",                             // 9
        ],
    );
    for (query, expected) in [
        ("CAFE", vec![1]),
        ("meet", vec![]),
        ("see meeting", vec![1]),
        ("\"see meeting\"", vec![]),
        ("\"see you\"", vec![1]),
        ("한글", vec![2]),
        ("글날", vec![2]),
        ("한글날 행사", vec![2]),
        ("행사에가요", vec![2]),
        ("한날", vec![]),
        ("밥먹자", vec![3]),
        ("밥", vec![3]),
        ("먹", vec![3]),
        ("날", vec![2]),
        ("北京", vec![4]),
        ("京", vec![4, 5]),
        ("京北", vec![]),
        ("たわー", vec![5]),
        ("東京タワー", vec![5]),
        ("ㅎㄱ", vec![2]),
        ("ㅎㄱㄴ", vec![2]),
        ("ㅎㄱㄴㅎ", vec![]),
        ("ㅋㅋ", vec![6, 9]),
        ("ㅋㅋㅋ", vec![6]),
        ("ㅈㅉ", vec![6]),
        ("v2.10", vec![7]),
        ("🎉", vec![7]),
        ("елочном", vec![8]),
        ("한글 -행사", vec![]),
        ("한글 -점심", vec![2]),
    ] {
        assert_eq!(found(&index, query), expected, "{query}");
    }
}

#[test]
fn a_message_is_replaced_and_removed_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = index_of(dir.path(), &["first words", "second words"]);
    index.apply(put(OTHER, 1, "first words")).unwrap();
    index.apply(Change::Replace(document(CHANNEL, 1, "edited words"))).unwrap();
    // In the same commit as the message itself.
    index.apply(put(CHANNEL, 3, "third words")).unwrap();
    index.apply(Change::Replace(document(CHANNEL, 3, "third edited"))).unwrap();
    index.apply(put(CHANNEL, 4, "fourth words")).unwrap();
    index.apply(Change::Remove { channel: CHANNEL, seq: Seq(4) }).unwrap();
    assert_eq!(found(&index, "words"), [1, 2], "nothing is seen before the commit");
    index.commit(&Places::default()).unwrap();
    assert_eq!(found(&index, "words"), [1, 2]);
    assert_eq!(found(&index, "edited"), [1, 3]);
    assert_eq!(found(&index, "first"), Vec::<u64>::new());
    assert_eq!(find(&index, &asked("first"), &all_of(&[OTHER])).hits.len(), 1);
    let change = Change::Remove { channel: CHANNEL, seq: Seq(1) };
    for _ in 0..2 {
        index.apply(change.clone()).unwrap();
        index.apply(Change::Remove { channel: CHANNEL, seq: Seq(99) }).unwrap();
        index.commit(&Places::default()).unwrap();
        assert_eq!(found(&index, "edited"), [3]);
    }
    assert!(index.newest(CHANNEL).unwrap() >= Seq(3));
    assert_eq!(index.newest(ChannelId(99)).unwrap(), Seq(0));
}

#[test]
fn a_range_of_one_channel_is_purged() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = index_of(dir.path(), &["words", "words", "words"]);
    index.apply(put(OTHER, 1, "words")).unwrap();
    // In the same commit as the message itself.
    index.apply(Change::Purge { channel: CHANNEL, below: Seq(3) }).unwrap();
    assert!(index.holds_below(CHANNEL, Seq(3)).unwrap(), "nothing is seen before the commit");
    index.commit(&Places::default()).unwrap();
    assert_eq!(found(&index, "words"), [3]);
    assert_eq!(find(&index, &asked("words"), &all_of(&[OTHER])).hits.len(), 1);
    let holds = |channel, below| index.holds_below(channel, Seq(below)).unwrap();
    assert!(!holds(CHANNEL, 3) && holds(CHANNEL, 4) && holds(OTHER, 2) && !holds(OTHER, 1));
}

#[test]
fn what_one_sender_wrote_in_a_channel_is_gone_up_to_a_message() {
    let dir = tempfile::tempdir().unwrap();
    // Senders are 1, 2, 0, 1, 2, 0, 1.
    let mut index = index_of(dir.path(), &["words"; 7]);
    index.apply(put(OTHER, 1, "words")).unwrap();
    index.apply(Change::Erase { channel: CHANNEL, sender: UserId(1), below: Seq(7) }).unwrap();
    index.commit(&Places::default()).unwrap();
    let mut left = found(&index, "words");
    left.sort_unstable();
    assert_eq!(left, [2, 3, 5, 6, 7], "what stands behind it stays, and others'");
    assert_eq!(find(&index, &asked("words"), &all_of(&[OTHER])).hits.len(), 1, "of another channel");
}

#[test]
fn what_was_committed_is_there_after_a_crash_and_what_was_not_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut places = Places::default();
    let place = Place { generation: Generation(3), number: Some(17) };
    places.set(BayId(5), Some(place));
    {
        let mut index = index_of(dir.path(), &["one"]);
        index.apply(put(CHANNEL, 2, "two")).unwrap();
        index.commit(&places).unwrap();
        index.apply(put(CHANNEL, 3, "three")).unwrap();
        // Dropped as a process is: nothing is said to it.
    }
    // What a crash in the middle of a write leaves.
    std::fs::write(dir.path().join("0123456789abcdef0123456789abcdef.idx"), b"half").unwrap();
    std::fs::write(dir.path().join(".tmp12345"), b"{\"segments\":").unwrap();
    let (mut index, opened) = open(dir.path());
    assert_eq!(opened, Opened::Kept);
    assert_eq!(index.places(), &places);
    assert_eq!(index.places().get(BayId(5)), Some(place));
    assert_eq!(found(&index, "two"), [2]);
    assert_eq!(found(&index, "three"), Vec::<u64>::new());
    assert_eq!(index.newest(CHANNEL).unwrap(), Seq(2));
    index.apply(put(CHANNEL, 3, "three")).unwrap();
    index.commit(&places).unwrap();
    assert_eq!(found(&index, "three"), [3]);
    index.clear().unwrap();
    assert_eq!((index.sizes().documents, index.places()), (0, &Places::default()));
}

#[test]
fn what_is_no_index_gives_way_to_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("search");
    assert_eq!(open(&place).1, Opened::Empty);
    assert_eq!(open(&place).1, Opened::Kept);
    std::fs::write(place.join("meta.json"), b"not json").unwrap();
    assert!(matches!(open(&place).1, Opened::Emptied(_)));
    assert_eq!(open(&place).1, Opened::Kept);
    drop(index_of(&place, &["one", "two"]));
    // A segment's file is cut short.
    for file in std::fs::read_dir(&place).unwrap().flatten() {
        if file.path().extension().is_some_and(|extension| extension == "fast") {
            std::fs::write(file.path(), b"").unwrap();
        }
    }
    let (index, opened) = open(&place);
    assert!(matches!(opened, Opened::Emptied(_)), "{opened:?}");
    assert_eq!(index.sizes().documents, 0);
    // Of a version that this is not.
    drop(index);
    let (mut index, _) = open(&place);
    index.commit(&Places::default()).unwrap();
    drop(index);
    let meta = std::fs::read_to_string(place.join("meta.json")).unwrap();
    assert!(meta.contains("maru 2 "), "{meta}");
    std::fs::write(place.join("meta.json"), meta.replace("maru 2 ", "maru 9 ")).unwrap();
    assert!(matches!(open(&place).1, Opened::Emptied(_)));
}

#[test]
fn only_what_the_asker_was_there_for_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (1..=20).map(|seq| format!("secret number{seq}")).collect();
    let mut index = index_of(dir.path(), &texts.iter().map(String::as_str).collect::<Vec<_>>());
    index.apply(put(OTHER, 1, "secret elsewhere")).unwrap();
    index.commit(&Places::default()).unwrap();
    let mut readable = Readable::default();
    // In, out, in again, out, and in to stay; an invitation that was declined is one seq.
    readable.add(CHANNEL, vec![stay(3, Some(5)), stay(9, Some(9)), stay(12, Some(13)), stay(19, None)]);
    readable.add(ChannelId(123), vec![]);
    let page = find(&index, &asked("secret"), &readable);
    assert_eq!(seqs(&page), [20, 19, 13, 12, 9, 5, 4, 3]);
    assert_eq!(page.next, None, "what may not be read is not counted either");
    // Exactly as many as a page holds are readable: nothing says that there is more.
    let page = find(&index, &Asked { limit: 8, ..asked("secret") }, &readable);
    assert_eq!((page.hits.len(), page.next), (8, None));
    for order in [Order::Time, Order::Relevance] {
        assert_eq!(find(&index, &Asked { order, ..asked("number6") }, &readable), Found::default());
        assert_eq!(find(&index, &Asked { order, ..asked("secret") }, &Readable::default()), Found::default());
        let named = Asked { order, channel: Some(OTHER), ..asked("secret") };
        assert_eq!(find(&index, &named, &readable), Found::default());
    }
}

#[test]
fn filters_and_orders_and_pages() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = index_of(
        dir.path(),
        &["apple", "apple pie and a long way home for everybody", "apple apple apple", "pear", "apple tree"],
    );
    index.apply(put(OTHER, 1, "apple of another channel")).unwrap();
    index.commit(&Places::default()).unwrap();
    let readable = all_of(&[CHANNEL, OTHER]);
    let of = |asked: Asked| {
        let page = find(&index, &asked, &readable);
        page.hits.iter().map(|hit| (hit.channel.0 as u64, hit.seq.0)).collect::<Vec<_>>()
    };
    assert_eq!(of(Asked { channel: Some(OTHER), ..asked("apple") }), [(2, 1)]);
    assert_eq!(of(Asked { sender: Some(UserId(2)), ..asked("apple") }), [(7, 5), (7, 2)]);
    assert_eq!(of(Asked { from_ms: Some(1002), to_ms: Some(1005), ..asked("apple") }), [(7, 3), (7, 2)]);
    assert_eq!(of(Asked { kind: Some(0x0101), ..asked("pear") }), [(7, 4)]);
    assert_eq!(of(Asked { kind: Some(0x0110), ..asked("pear") }), []);
    let best = of(Asked { order: Order::Relevance, channel: Some(CHANNEL), ..asked("apple") });
    assert_eq!((best[0], best[3]), ((7, 3), (7, 2)));
    for order in [Order::Time, Order::Relevance] {
        let whole = of(Asked { order, ..asked("apple") });
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = find(&index, &Asked { order, after, limit: 2, ..asked("apple") }, &readable);
            pages.extend(page.hits.iter().map(|hit| (hit.channel.0 as u64, hit.seq.0)));
            after = page.next;
            let Some(cursor) = after else { break };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        assert_eq!((pages.len(), pages), (5, whole), "{order:?}");
    }
}

#[test]
fn what_mentions_a_user_is_found_by_that_also_once_it_reads_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let (mut index, _) = open(dir.path());
    let to = |seq, text, users: &[u64]| {
        let mentions = users.iter().map(|user| UserId(*user)).collect();
        Document { mentions, ..document(CHANNEL, seq, text) }
    };
    // Users 1, 2, 0 (nobody) and 1 send them.
    for document in [
        to(1, "lunch at noon", &[8, 9]),
        to(2, "lunch for everybody", &[EVERYBODY.0]),
        to(3, "lunch", &[]),
        to(4, "dinner", &[9]),
    ] {
        index.apply(Change::Put(document)).unwrap();
    }
    index.commit(&Places::default()).unwrap();
    let of = |index: &Index, words: &str, user| {
        let asked = Asked { mentions: Some(UserId(user)), ..asked(words) };
        find(index, &asked, &all_of(&[CHANNEL])).hits.iter().map(|hit| hit.seq.0).collect::<Vec<_>>()
    };
    assert_eq!(of(&index, "lunch", 9), [2, 1]);
    assert_eq!(of(&index, "lunch", 7), [2], "one of all");
    assert_eq!(of(&index, "lunch", 2), [0; 0], "who sends to all does not mention oneself");
    assert_eq!(of(&index, "lunch -noon", 9), [2]);
    let best = Asked { mentions: Some(UserId(9)), order: Order::Relevance, ..asked("lunch") };
    assert_eq!(find(&index, &best, &all_of(&[CHANNEL])).hits.len(), 2);
    index.apply(Change::Replace(to(1, "lunch at one", &[8, 9]))).unwrap();
    index.commit(&Places::default()).unwrap();
    assert_eq!((of(&index, "one", 9), of(&index, "noon", 9)), (vec![1], vec![]));
    drop(index);
    let (index, opened) = open(dir.path());
    assert_eq!((of(&index, "one", 8), opened), (vec![1], Opened::Kept));
}

#[test]
fn no_cursor_is_too_strange() {
    for text in ["", "t", "r", "t1-2", "t1-2-3-4", "tx-1-2", "r-1", "rffffffffffffffffff", "ü"] {
        assert_eq!(text.parse::<Cursor>(), Err(()), "{text}");
    }
    let dir = tempfile::tempdir().unwrap();
    let index = index_of(dir.path(), &["apple"]);
    for (order, after) in [(Order::Time, "r1"), (Order::Relevance, "t1-2-3")] {
        let after = Some(after.parse().unwrap());
        let page = find(&index, &Asked { order, after, ..asked("apple") }, &all_of(&[CHANNEL]));
        assert_eq!(page.hits.len(), 1, "a cursor of the other order begins at the beginning");
    }
    let after = Some(Cursor::Rank(usize::MAX));
    let far = find(&index, &Asked { order: Order::Relevance, after, ..asked("apple") }, &all_of(&[CHANNEL]));
    assert_eq!(far, Found::default());
}

#[test]
fn a_search_that_has_no_time_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let index = index_of(dir.path(), &["apple"]);
    let page = index.finder().find(&asked("apple"), &all_of(&[CHANNEL]), Instant::now()).unwrap();
    assert_eq!(page, Found { is_cut: true, ..Found::default() });
}

#[test]
fn a_page_of_many_channels_is_the_same_whichever_is_looked_up_first() {
    let dir = tempfile::tempdir().unwrap();
    let (mut index, _) = open(dir.path());
    let channels: Vec<ChannelId> = (100..2100).map(ChannelId).collect();
    for channel in &channels {
        index.apply(put(*channel, 1, "hello 여러분")).unwrap();
    }
    index.commit(&Places::default()).unwrap();
    for many in [10, 2000] {
        let readable = all_of(&channels[..many]);
        let found = find(&index, &asked("여러분"), &readable);
        assert_eq!((found.hits.len(), found.next.is_some()), (many.min(100), many > 100));
        assert!(found.hits.iter().all(|hit| channels[..many].contains(&hit.channel)));
    }
}
