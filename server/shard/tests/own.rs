//! Scenarios of a user's own channel: inputs -> effects.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body;
use protocol::body::list::{ChannelDetail, ChannelsV2, GetChannelsV2, GetHistoryV2, HistoryPageV2};
use protocol::body::message::SendText;
use protocol::body::own::{GetNotes, Hide, Notes, SetDraft, SetPrefs};
use protocol::body::sync::{GetChannels, MarkRead};
use protocol::commit::{Note, Notify, Prefs, Row};
use protocol::limits::U53_MAX;
use protocol::query::{Answer, JoinedItem, ListOrder, Listing, Noted, Pivot, Query};
use protocol::{BayId, ChannelId, Cursor, Frame, Generation, InboxSeq, Seq, Stamp, UserId};
use shard::{ConnId, Input, Limits};

const ME: u64 = 10;
const OTHER: u64 = 20;

fn own() -> ChannelId {
    ChannelId::own(UserId(ME))
}

fn about() -> ChannelId {
    ChannelId::direct(UserId(ME), UserId(OTHER))
}

fn prefs(pinned: u32) -> SetPrefs {
    SetPrefs {
        channel: own().0,
        about: about().0,
        muted_until_ms: 0,
        pinned,
        marked_unread: false,
        notify: 2,
        archived: false,
    }
}

/// One user with two devices, and another user.
fn two_devices(shards: u16, limits: Limits) -> Desk {
    let mut desk = Desk::limited(shards, limits);
    desk.join(1, ME, 1);
    desk.join(2, ME, 2);
    desk.join(3, OTHER, OTHER);
    desk
}

fn notes(rows: &[Row]) -> Vec<(u64, u64, Note)> {
    let note = |row: &Row| match row {
        Row::Note { user, seq, note } => Some((user.0, seq.0, *note)),
        _ => None,
    };
    rows.iter().filter_map(note).collect()
}

#[test]
fn what_is_saved_needs_nobody_and_reaches_the_other_device() {
    // Nobody may begin a conversation here; one's own is none.
    let mut desk = two_devices(3, Limits { user_directs_per_h: 1, ..Limits::default() });
    desk.text(1, ME, about(), 1, "the one that is allowed");
    desk.run();
    desk.sent.clear();
    desk.text(1, ME, own(), 7, "milk");
    let rows = desk.run();
    assert_eq!(desk::pointers(&rows), 1, "one member, one pointer");
    assert_eq!(desk.seen(1), ["ack 7 seq 1"]);
    assert_eq!(desk.seen(2), ["message 1 from 10"]);
    assert!(desk.seen(3).is_empty());
    desk.text(1, ME, own(), 7, "milk");
    assert_eq!(desk.seen(1), ["ack 7 seq 1"], "a repeat is one message");
    desk.text(1, ME, own(), 7, "eggs");
    assert_eq!(desk.seen(1), ["reject 7 conflict"]);
    desk.text(3, OTHER, own(), 8, "in a foreign one");
    assert_eq!(desk.seen(3), ["reject 8 forbidden"]);
    desk.send(1, ME, 9, &MarkRead { channel: own().0, seq: 1 });
    desk.run();
    assert_eq!(desk.seen(1), ["done 9"]);
}

#[test]
fn a_device_that_was_away_gets_what_was_noted() {
    let mut desk = two_devices(1, Limits::default());
    desk.turn(0, vec![Input::Closed { conn: ConnId(2) }]);
    desk.send(1, ME, 5, &prefs(1));
    let rows = desk.run();
    let expected = Prefs { pinned: 1, notify: Notify::Nothing, ..Prefs::default() };
    assert_eq!(notes(&rows), [(ME, 1, Note::Prefs { about: about(), prefs: expected })]);
    let batch_has_both = rows.iter().any(|row| matches!(row, Row::Message { seq: Seq(1), .. }));
    assert!(batch_has_both);
    let inbox = Cursor { generation: Generation(desk::GENERATION), at: InboxSeq(0) };
    desk.hello(4, ME, 2, inbox.at.0);
    let frame = body::encode(5, &prefs(1)).stamp(Stamp { seq: Seq(1), time_ms: 5, sender: UserId(ME) });
    while let Some((_, _, query)) = desk.queries.front() {
        match query {
            Query::Inbox { .. } => {
                desk.answer(Answer::Inbox { frames: vec![frame.clone()], through: InboxSeq(1) });
            }
            _ => desk.answer_all_empty(),
        }
    }
    let seen = desk.seen(4);
    assert!(seen.contains(&"message 1 from 10".to_owned()), "{seen:?}");
}

#[test]
fn each_note_is_a_row_in_the_commit_of_its_message() {
    let mut desk = two_devices(1, Limits::default());
    let draft = |text: &str| SetDraft { channel: own().0, about: about().0, thread: 4, text: text.into() };
    desk.send(1, ME, 1, &draft("not yet"));
    desk.send(1, ME, 2, &draft(""));
    desk.send(1, ME, 3, &Hide { channel: own().0, about: about().0, seq: 2, through: 3 });
    desk.answer_all_empty();
    let mut with_messages = Vec::new();
    while !desk.batches.is_empty() {
        let (_, batch) = desk.batches.front().unwrap();
        let parts = &batch.parts;
        for part in parts.iter().filter(|part| !notes(&part.rows).is_empty()) {
            assert_eq!(part.bay, BayId::of_user(UserId(ME)));
            let messages = part.rows.iter().filter(|row| matches!(row, Row::Message { .. })).count();
            assert_eq!(notes(&part.rows).len(), messages);
            with_messages.extend(notes(&part.rows));
        }
        desk.store_one();
        desk.answer_all_empty();
    }
    let (about, thread) = (about(), Seq(4));
    assert_eq!(
        with_messages,
        [
            (ME, 1, Note::Draft { about, thread, is_empty: false }),
            (ME, 2, Note::Draft { about, thread, is_empty: true }),
            (ME, 3, Note::Hidden { about, from: Seq(2), through: Seq(3) }),
        ]
    );
}

#[test]
fn notes_elsewhere_are_refused() {
    let mut desk = two_devices(1, Limits::default());
    desk.send(3, OTHER, 1, &prefs(1));
    assert_eq!(desk.seen(3), ["reject 1 forbidden"]);
    desk.send(1, ME, 2, &SetPrefs { channel: about().0, ..prefs(1) });
    assert_eq!(desk.seen(1), ["reject 2 limit"]);
    desk.send(1, ME, 3, &Hide { channel: own().0, about: about().0, seq: 3, through: 2 });
    assert_eq!(desk.seen(1), ["reject 3 limit"]);
}

fn detail() -> ChannelDetail {
    ChannelDetail {
        mentions: 0,
        last_seq: 3,
        last_sender: OTHER,
        last_ms: 5,
        last_kind: 0x0101,
        muted_until_ms: 0,
        pinned: 1,
        notify: 0,
        marked_unread: false,
        archived: false,
        has_draft: true,
        text: "see you".into(),
    }
}

#[test]
fn the_list_is_read_behind_what_is_under_way_and_another_life_needs_all() {
    let mut desk = two_devices(2, Limits::default());
    let get = |generation, order, at| GetChannelsV2 { generation, at, order, after: 0, limit: 20 };
    desk.send(1, ME, 1, &get(desk::GENERATION, 2, 4));
    let (_, _, query) = desk.queries.front().unwrap();
    let expected = Query::Listing { user: UserId(ME), order: ListOrder::Changed(InboxSeq(4)), limit: 20 };
    assert_eq!(*query, expected);
    let item = JoinedItem {
        channel: about(),
        joined: Seq(1),
        left: None,
        read: Seq(1),
        unread: 2,
        head: Seq(3),
        name: String::new(),
    };
    let listing = Listing { items: vec![(item, detail())], through: InboxSeq(9), ..Listing::default() };
    desk.answer(Answer::Listing(listing));
    let page: ChannelsV2 = body::read(&desk.take(1)[0]).unwrap();
    assert_eq!((page.generation, page.through, page.needs_snapshot), (desk::GENERATION, 9, false));
    assert_eq!((page.items[0].channel, page.items[0].unread), (about().0, 2));
    assert_eq!(page.details, [detail()]);
    desk.send(1, ME, 2, &get(desk::GENERATION + 1, 2, 4));
    assert!(desk.queries.is_empty());
    let page: ChannelsV2 = body::read(&desk.take(1)[0]).unwrap();
    assert!(page.needs_snapshot && page.items.is_empty());
    // An old client asks and is answered as before.
    desk.send(1, ME, 3, &GetChannels { after: 0, limit: 20 });
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Joined { .. }))));
    desk.answer_all_empty();
    let frames = desk.take(1);
    assert_eq!(frames[0].header().version, 1);
}

#[test]
fn drafts_are_told_with_their_texts() {
    let mut desk = two_devices(1, Limits::default());
    desk.send(1, ME, 1, &GetNotes { about: about().0, after_about: 0, after: 0, what: 0, limit: 5 });
    let (_, _, query) = desk.queries.front().unwrap();
    assert!(matches!(query, Query::Notes { hidden: false, about: Some(of), .. } if *of == about()));
    let said = SetDraft { channel: own().0, about: about().0, thread: 0, text: "not yet".into() };
    let frame = body::encode(7, &said).stamp(Stamp { seq: Seq(3), time_ms: 5, sender: UserId(ME) });
    desk.answer(Answer::Notes { notes: Noted::Drafts(vec![(about(), Seq(0), frame)]), more: true });
    let page: Notes = body::read(&desk.take(1)[0]).unwrap();
    assert_eq!((page.drafts[0].text.as_str(), page.drafts[0].time_ms, page.more), ("not yet", 5, true));
    desk.send(1, ME, 2, &GetNotes { about: 0, after_about: 0, after: 0, what: 1, limit: 5 });
    desk.fail_read();
    assert_eq!(desk.seen(1), ["reject 2 busy"]);
}

fn text(seq: u64) -> Frame {
    let said = SendText { channel: about().0, text: "hi".into() };
    body::encode(seq, &said).stamp(Stamp { seq: Seq(seq), time_ms: seq, sender: UserId(OTHER) })
}

#[test]
fn a_page_around_a_place_says_what_is_on_both_sides() {
    let mut desk = two_devices(2, Limits::default());
    for id in 1..=9 {
        desk.text(3, OTHER, about(), id, "hi");
    }
    desk.run();
    desk.sent.clear();
    let get = |around, at| GetHistoryV2 {
        at,
        around,
        channel: about().0,
        after: 0,
        before: U53_MAX,
        limit: 3,
        newest: false,
    };
    for (around, at, expected) in
        [(1, 5, Pivot::Seq(Seq(5))), (2, 77, Pivot::Time(77)), (3, 0, Pivot::Unread)]
    {
        desk.send(1, ME, 1, &get(around, at));
        let (_, _, query) = desk.queries.front().unwrap();
        let Query::Around { readable, pivot, .. } = query else { panic!("{query:?}") };
        assert_eq!((readable.as_slice(), *pivot), (&[(Seq(1), Seq(9))][..], expected));
        desk.answer(Answer::Around { pivot: Seq(5), frames: vec![text(4), text(5), text(6)] });
        let page: HistoryPageV2 = body::read(&desk.take(1)[0]).unwrap();
        assert_eq!((page.pivot, page.from, page.to, page.count, page.head), (5, 4, 6, 3, 9));
        assert!(page.more_before && page.more_after && page.more);
    }
    desk.send(1, ME, 2, &get(1, 99));
    desk.answer(Answer::Around { pivot: Seq(10), frames: vec![text(7), text(8), text(9)] });
    let page: HistoryPageV2 = body::read(&desk.take(1)[0]).unwrap();
    assert_eq!((page.pivot, page.more_before, page.more_after), (10, true, false), "beyond the newest");
    // The window of version 1, in version 2.
    let window = GetHistoryV2 { after: 2, before: 6, newest: true, ..get(0, 0) };
    desk.send(1, ME, 3, &window);
    assert!(matches!(desk.queries.front(), Some((_, _, Query::History { .. }))));
    desk.answer(Answer::History(vec![text(3), text(4), text(5)]));
    let page: HistoryPageV2 = body::read(&desk.take(1)[0]).unwrap();
    assert_eq!(
        (page.pivot, page.from, page.more_before, page.more_after, page.more),
        (0, 3, true, true, false)
    );
    // Of a channel without a word there is nothing around anything.
    desk.send(1, ME, 4, &GetHistoryV2 { channel: own().0, ..get(3, 0) });
    desk.answer_all_empty();
    let page: HistoryPageV2 = body::read(&desk.take(1)[0]).unwrap();
    assert_eq!((page.from, page.to, page.count, page.more_before), (0, 0, 0, false));
}
