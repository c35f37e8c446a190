//! A user's own channel, what is noted there, the list of channels with what a first screen shows, and messages around a
//! place: in memory and in RocksDB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use std::time::Instant;

use protocol::body::encode;
use protocol::body::list::ChannelsV2;
use protocol::body::own::{Hide, SetDraft, SetPrefs};
use protocol::body::sync::ChannelItem;
use protocol::commit::{Note, Prefs};
use protocol::limits::CHANNELS_BYTES_MAX;
use protocol::query::{ListOrder, Listing, Noted, Pivot};
use protocol::{BayId, ChannelId, InboxSeq, Seq, UserId};
use storage::{Answer, PageBounds, PositionRow, Query, Row};
use world::{PAGE, World};

const ME: UserId = UserId(1);

contract! {
    an_own_channel_has_one_member_and_one_pointer_a_message
    notes_hold_what_was_said_last
    drafts_and_hidden_messages_come_in_pages
    the_newest_come_first_and_pages_go_on_where_they_ended
    what_changed_is_told_or_that_it_is_too_much
    a_list_shows_the_newest_message_that_is_something_to_show
    messages_around_a_place
}

fn own() -> ChannelId {
    ChannelId::own(ME)
}

fn with(user: u64) -> ChannelId {
    ChannelId::direct(ME, UserId(user))
}

fn prefs(world: &mut World, about: ChannelId, prefs: Prefs) {
    let body = SetPrefs {
        channel: own().0,
        about: about.0,
        muted_until_ms: prefs.muted_until_ms,
        pinned: prefs.pinned,
        marked_unread: prefs.marked_unread,
        notify: prefs.notify as u8,
        archived: prefs.archived,
    };
    let frame = encode(world.next_send(), &body);
    world.append(own(), ME, &frame);
}

fn pin(world: &mut World, about: ChannelId, pinned: u32) {
    prefs(world, about, Prefs { pinned, ..Prefs::default() });
}

fn draft(world: &mut World, about: ChannelId, thread: u64, text: &str) {
    let body = SetDraft { channel: own().0, about: about.0, thread, text: text.into() };
    let frame = encode(world.next_send(), &body);
    world.append(own(), ME, &frame);
}

fn hide(world: &mut World, about: ChannelId, seq: u64, through: u64) {
    let frame = encode(world.next_send(), &Hide { channel: own().0, about: about.0, seq, through });
    world.append(own(), ME, &frame);
}

fn list(world: &World, order: ListOrder, limit: u32) -> Listing {
    let Answer::Listing(listing) = world.read(&Query::Listing { user: ME, order, limit }) else { panic!() };
    listing
}

fn channels(listing: &Listing) -> Vec<ChannelId> {
    listing.items.iter().map(|(item, _)| item.channel).collect()
}

fn an_own_channel_has_one_member_and_one_pointer_a_message(mut world: World) {
    world.account(ME);
    for number in 0..3 {
        world.text(own(), ME, &format!("saved {number}"));
    }
    world.deliver_all();
    assert_eq!(world.inboxes[&ME], 3, "one pointer a message");
    assert_eq!(world.findings(), [""; 0]);
    let joined = Query::Joined { user: ME, after: ChannelId(0), limit: 5 };
    let Answer::Joined { items, .. } = world.read(&joined) else { panic!() };
    let [item] = &items[..] else { panic!("{items:?}") };
    assert_eq!((item.channel, item.head, item.unread, item.joined), (own(), Seq(3), 0, Seq(1)));
}

fn notes_hold_what_was_said_last(mut world: World) {
    world.talk();
    prefs(&mut world, with(2), Prefs { muted_until_ms: 9, archived: true, ..Prefs::default() });
    pin(&mut world, with(2), 7);
    pin(&mut world, own(), 1);
    prefs(&mut world, own(), Prefs::default());
    draft(&mut world, with(2), 0, "first");
    draft(&mut world, with(2), 0, "second");
    hide(&mut world, with(2), 2, 3);
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0], "rows say what the own channel says");
    let listing = list(&world, ListOrder::Id(ChannelId(0)), 500);
    let detail = |channel| &listing.items.iter().find(|(item, _)| item.channel == channel).unwrap().1;
    let two = detail(with(2));
    assert_eq!((two.pinned, two.muted_until_ms, two.archived, two.has_draft), (7, 0, false, true));
    assert_eq!((detail(own()).pinned, detail(own()).has_draft), (0, false));
    draft(&mut world, with(2), 0, "");
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
    assert!(list(&world, ListOrder::Id(ChannelId(0)), 500).items.iter().all(|(_, detail)| !detail.has_draft));
    // A row that no message has said, and one that is not what was said.
    let stray = Note::Prefs { about: with(3), prefs: Prefs { pinned: 1, ..Prefs::default() } };
    world.commit(BayId::of_user(ME), vec![Row::Note { user: ME, seq: Seq(1), note: stray }]);
    assert!(world.findings().iter().any(|line| line.contains("is not what the user's own channel says")));
}

fn drafts_and_hidden_messages_come_in_pages(mut world: World) {
    world.talk();
    for (user, thread) in [(2, 0), (2, 4), (3, 0), (4, 0)] {
        draft(&mut world, with(user), thread, &format!("to {user} in {thread}"));
    }
    for seq in 1..=3 {
        hide(&mut world, with(2), seq, seq + 1);
    }
    hide(&mut world, with(3), 1, 1);
    let ask = |hidden, about, after, messages| {
        let page = PageBounds { messages, ..PAGE };
        let Answer::Notes { notes, more } =
            world.read(&Query::Notes { user: ME, hidden, about, after, page })
        else {
            panic!()
        };
        (notes, more)
    };
    let drafts = |notes| match notes {
        (Noted::Drafts(drafts), more) => {
            let all: Vec<_> = drafts.iter().map(|(about, thread, _)| (*about, thread.0)).collect();
            (all, more)
        }
        other => panic!("{other:?}"),
    };
    let start = (ChannelId(0), 0);
    assert_eq!(drafts(ask(false, None, start, 2)), (vec![(with(2), 0), (with(2), 4)], true));
    assert_eq!(drafts(ask(false, None, (with(2), 4), 2)), (vec![(with(3), 0), (with(4), 0)], false));
    assert_eq!(drafts(ask(false, Some(with(3)), start, 9)), (vec![(with(3), 0)], false));
    assert_eq!(drafts(ask(false, Some(with(2)), (with(3), 0), 9)), (vec![], false));
    let hidden = |notes| match notes {
        (Noted::Hidden(hidden), more) => {
            let all: Vec<_> = hidden.iter().map(|(_, _, (from, to))| (from.0, to.0)).collect();
            (all, more)
        }
        other => panic!("{other:?}"),
    };
    let (first, more) = ask(true, Some(with(2)), start, 2);
    let Noted::Hidden(rows) = &first else { panic!() };
    let last = rows.last().map(|(about, at, _)| (*about, at.0)).unwrap();
    assert_eq!(hidden((first, more)), (vec![(1, 2), (2, 3)], true));
    assert_eq!(hidden(ask(true, Some(with(2)), last, 2)), (vec![(3, 4)], false));
    assert_eq!(hidden(ask(true, None, start, 9)).0.len(), 4);
}

/// Ten people, of whom the last wrote last.
fn ten(world: &mut World) {
    world.account(ME);
    for user in 2..12 {
        world.account(UserId(user));
        world.text(with(user), UserId(user), &format!("from {user}"));
        world.text(with(user), UserId(user), "and one more");
        world.deliver_all();
    }
}

fn the_newest_come_first_and_pages_go_on_where_they_ended(mut world: World) {
    ten(&mut world);
    pin(&mut world, with(3), 2);
    pin(&mut world, with(4), 1);
    world.deliver_all();
    let first = list(&world, ListOrder::Recent(InboxSeq(0)), 5);
    let expected = [with(4), with(3), own(), with(11), with(10)];
    assert_eq!(channels(&first), expected);
    assert!(first.more);
    // Meanwhile one of those below writes, and one of those above: none comes twice, none below is lost.
    world.text(with(8), UserId(8), "again");
    world.text(with(10), UserId(10), "again");
    world.deliver_all();
    let (mut found, mut next) = (Vec::new(), first.next);
    loop {
        let page = list(&world, ListOrder::Recent(next), 2);
        found.extend(channels(&page));
        assert!(page.next < next || !page.more, "it goes on");
        next = page.next;
        if !page.more {
            break;
        }
    }
    assert_eq!(found, [9, 7, 6, 5, 2].map(with));
    let delta = list(&world, ListOrder::Changed(first.through), 50);
    assert_eq!(channels(&delta), [with(10), with(8)], "what is missing below changed since");
}

fn what_changed_is_told_or_that_it_is_too_much(mut world: World) {
    ten(&mut world);
    let since = list(&world, ListOrder::Id(ChannelId(0)), 500).through;
    assert_eq!(channels(&list(&world, ListOrder::Changed(since), 50)), []);
    world.text(with(5), UserId(5), "new");
    pin(&mut world, with(7), 1);
    world.deliver_all();
    let delta = list(&world, ListOrder::Changed(since), 50);
    let mut changed = channels(&delta);
    changed.sort_unstable();
    let mut expected = vec![own(), with(5), with(7)];
    expected.sort_unstable();
    assert_eq!(changed, expected, "also what the user noted something of");
    assert!(!delta.needs_snapshot);
    assert_eq!(channels(&list(&world, ListOrder::Changed(delta.through), 50)), []);
    for order in [ListOrder::Changed(InboxSeq(delta.through.0 + 1)), ListOrder::Changed(InboxSeq(0))] {
        let refused = list(&world, order, 2);
        assert!(refused.needs_snapshot && refused.items.is_empty(), "{order:?}");
    }
}

fn a_list_shows_the_newest_message_that_is_something_to_show(mut world: World) {
    let group = world.talk();
    let long = "가".repeat(150);
    world.text(with(2), ME, &long);
    world.text(own(), ME, "milk");
    pin(&mut world, group, 1);
    draft(&mut world, group, 0, "not yet");
    world.deliver_all();
    let shown = |world: &World, channel| {
        let listing = list(world, ListOrder::Id(ChannelId(0)), 500);
        let (_, detail) = listing.items.into_iter().find(|(item, _)| item.channel == channel).unwrap();
        (detail.last_seq, detail.text, detail.last_sender)
    };
    assert_eq!(shown(&world, with(2)), (6, "가".repeat(100), 1));
    assert_eq!(shown(&world, own()), (1, "milk".into(), 1), "what is noted is nothing to show");
    hide(&mut world, with(2), 5, 6);
    world.deliver_all();
    assert_eq!(shown(&world, with(2)), (4, "안녕 3".into(), 2), "nor is what is hidden");
    assert_eq!(shown(&world, group).0, 9, "of those who are there");
    // Who has left sees what was there then.
    let Answer::Listing(two) =
        world.read(&Query::Listing { user: UserId(2), order: ListOrder::Id(ChannelId(0)), limit: 9 })
    else {
        panic!()
    };
    let (item, detail) = two.items.iter().find(|(item, _)| item.channel == group).unwrap();
    assert_eq!((item.left, detail.last_seq, detail.text.as_str()), (Some(Seq(8)), 8, ""));
}

fn messages_around_a_place(mut world: World) {
    world.account(ME);
    world.account(UserId(2));
    let channel = with(2);
    for number in 1..=20 {
        world.pass(997);
        world.text(channel, UserId(2), &format!("{number}"));
    }
    let ask = |readable: &[(u64, u64)], pivot, messages, bytes| {
        let readable = readable.iter().map(|(low, high)| (Seq(*low), Seq(*high))).collect();
        let page = PageBounds { messages, bytes };
        let Answer::Around { pivot, frames } =
            world.read(&Query::Around { channel, user: ME, readable, pivot, page })
        else {
            panic!()
        };
        let seqs: Vec<u64> = frames.iter().map(|frame| frame.read_stamp().unwrap().seq.0).collect();
        assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
        (pivot.0, seqs.first().copied().unwrap_or(0), seqs.last().copied().unwrap_or(0))
    };
    let all = [(1, 20)];
    let seq = |seq| Pivot::Seq(Seq(seq));
    let many = usize::MAX;
    assert_eq!(ask(&all, seq(10), 6, many), (10, 7, 12));
    assert_eq!(ask(&all, seq(1), 6, many), (1, 1, 6), "fewer before, more behind");
    assert_eq!(ask(&all, seq(20), 6, many), (20, 15, 20));
    assert_eq!(ask(&all, seq(99), 6, many), (21, 15, 20), "beyond the newest");
    assert_eq!(ask(&all, seq(10), 1, 0), (10, 10, 10), "at least the place itself");
    assert_eq!(ask(&all, seq(10), 6, 0), (10, 10, 10));
    let gap = [(2, 5), (12, 18)];
    assert_eq!(ask(&gap, seq(1), 4, many), (2, 2, 5));
    assert_eq!(ask(&gap, seq(8), 4, many), (12, 12, 15), "the next that may be read");
    assert_eq!(ask(&gap, seq(19), 4, many), (19, 15, 18));
    let stamp = |seq| {
        let history =
            Query::History { channel, after: Seq(seq - 1), before: Seq(seq + 1), newest: false, page: PAGE };
        let Answer::History(frames) = world.read(&history) else { panic!() };
        frames[0].read_stamp().unwrap().time_ms
    };
    for place in [1, 2, 13, 20] {
        let at = stamp(place);
        assert_eq!(ask(&all, Pivot::Time(at), 1, many).0, place, "exactly then");
        assert_eq!(ask(&all, Pivot::Time(at - 1), 1, many).0, place, "the first after it");
        assert_eq!(ask(&all, Pivot::Time(at + 1), 1, many).0, place + 1);
    }
    assert_eq!(ask(&all, Pivot::Time(0), 4, many), (1, 1, 4));
    assert_eq!(ask(&gap, Pivot::Time(stamp(8)), 4, many), (12, 12, 15));
    assert_eq!(ask(&all, Pivot::Unread, 4, many), (1, 1, 4), "nothing is read yet");
    let row = PositionRow { read: Seq(13), ..PositionRow::default() };
    world.commit(BayId::of_channel(channel), vec![Row::Position { channel, user: ME, row }]);
    let around = |pivot| {
        let query = Query::Around { channel, user: ME, readable: vec![(Seq(1), Seq(20))], pivot, page: PAGE };
        let Answer::Around { pivot, .. } = world.read(&query) else { panic!() };
        pivot
    };
    assert_eq!(around(Pivot::Unread), Seq(14));
}

/// A user in 1,000 groups with names and texts in Korean, most of them unread: the first screen is one page.
#[test]
#[cfg(feature = "rocks")]
fn the_first_screen_of_a_thousand_channels_is_one_small_page() {
    let dir = tempfile::tempdir().unwrap();
    let store = storage::Store::open(dir.path(), &storage::Options::default()).unwrap();
    let mut world = World::new(vec![std::sync::Arc::new(store)]);
    world.account(ME);
    for number in 0..1000 {
        let group = world.create(UserId(2), &[1], &format!("마루 모임 {number:04}"));
        world.text(group, UserId(2), &"오늘 저녁에 마루에서 만나요. ".repeat(8));
    }
    world.deliver_all();
    for (name, order) in [("by id", ListOrder::Id(ChannelId(0))), ("newest", ListOrder::Recent(InboxSeq(0)))]
    {
        let began = Instant::now();
        let listing = list(&world, order, 200);
        let took = began.elapsed();
        let (mut items, mut details) = (Vec::new(), Vec::new());
        for (item, detail) in listing.items {
            items.push(ChannelItem {
                channel: item.channel.0,
                head: item.head.0,
                read: item.read.0,
                unread: item.unread,
                member: true,
                name: item.name,
            });
            details.push(detail);
        }
        let page = ChannelsV2 {
            generation: 1,
            through: listing.through.0,
            next: listing.next.0,
            needs_snapshot: false,
            details,
            items,
            more: listing.more,
        };
        let bytes = encode(1, &page).bytes().len();
        println!("{name}: {} of 1000 channels, {bytes} bytes, {took:?}", page.items.len());
        assert!(bytes <= CHANNELS_BYTES_MAX, "{bytes}");
        assert!(page.items.len() >= 150, "more than any screen shows: {}", page.items.len());
        assert!(page.more && page.items.iter().all(|item| item.unread == 1));
    }
}
