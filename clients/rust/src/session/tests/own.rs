//! The user's own channel, the list of channels and places, against literal frames.

use protocol::body::list::{ChannelDetail, ChannelsV2, GetChannelsV2, GetHistoryV2, HistoryPageV2};
use protocol::body::own::{HiddenItem, Hide, Notes, SetDraft, SetPrefs};
use protocol::body::sync::ChannelItem;
use protocol::commit::{Notify, Prefs};

use super::super::{Around, ListOrder, Place};
use super::*;

fn own() -> ChannelId {
    ChannelId::own(ME)
}

#[test]
fn notes_are_sends_to_the_own_channel() {
    let mut session = live();
    let prefs = Prefs { pinned: 2, notify: Notify::Nothing, ..Prefs::default() };
    let first = session.set_prefs(chat(), prefs, None).unwrap();
    session.set_draft(chat(), Some(Seq(4)), "", None).unwrap();
    session.hide(chat(), (Seq(1), Seq(2)), None).unwrap();
    assert!(session.hide(chat(), (Seq(2), Seq(1)), None).is_err(), "what the server would refuse");
    let frames = written(&mut session);
    let set = read::<SetPrefs>(&frames[0]).unwrap();
    assert_eq!((set.channel, set.about, set.pinned, set.notify), (own().0, chat().0, 2, 2));
    assert_eq!(
        read::<SetDraft>(&frames[1]).map(|draft| (draft.thread, draft.text)),
        Some((4, String::new()))
    );
    assert_eq!(read::<Hide>(&frames[2]).map(|hide| (hide.seq, hide.through)), Some((1, 2)));
    session.receive(0, encode(first.0, &SendAck { channel: own().0, seq: 1, time_ms: 7 }));
    let told = events(&mut session);
    assert_eq!(told, [Event::Ack { send_id: first, channel: own(), seq: Seq(1), time_ms: 7 }]);
}

#[test]
fn what_another_device_notes_is_told() {
    let mut session = live();
    let stamp = |seq| Stamp { seq: Seq(seq), time_ms: 7, sender: ME };
    let draft = SetDraft { channel: own().0, about: chat().0, thread: 0, text: "not yet".into() };
    session.receive(0, encode(5, &draft).stamp(stamp(1)));
    session.receive(
        0,
        encode(6, &Hide { channel: own().0, about: chat().0, seq: 1, through: 2 }).stamp(stamp(2)),
    );
    let contents: Vec<Content> = events(&mut session)
        .into_iter()
        .filter_map(|event| if let Event::Message(message) = event { Some(message.content) } else { None })
        .collect();
    assert_eq!(
        contents,
        [
            Content::Draft { about: chat(), thread: Seq(0), text: "not yet".into() },
            Content::Hidden { about: chat(), from: Seq(1), through: Seq(2) },
        ]
    );
}

#[test]
fn a_list_has_positions_to_go_on_from() {
    let mut session = live();
    let since = Cursor { generation: Generation(LIFE), at: InboxSeq(9) };
    session.list(ListOrder::Changed(since), 20).unwrap();
    let asked = written(&mut session);
    let get = read::<GetChannelsV2>(&asked[0]).unwrap();
    assert_eq!((get.generation, get.at, get.order, get.limit), (LIFE, 9, 2, 20));
    let item =
        ChannelItem { channel: chat().0, head: 3, read: 1, unread: 2, member: true, name: String::new() };
    let detail = ChannelDetail {
        mentions: 0,
        last_seq: 3,
        last_sender: YOU.0,
        last_ms: 5,
        last_kind: 0x0101,
        muted_until_ms: 0,
        pinned: 0,
        notify: 0,
        marked_unread: false,
        archived: false,
        has_draft: false,
        text: "hi".into(),
    };
    let page = ChannelsV2 {
        generation: LIFE,
        through: 12,
        next: 4,
        needs_snapshot: false,
        details: vec![detail.clone()],
        items: vec![item.clone()],
        more: true,
    };
    session.receive(0, encode(asked[0].header().id, &page));
    let told = events(&mut session);
    let [Event::List { list, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(list.items, [(item, detail)]);
    assert_eq!((list.through.at, list.next.at, list.more), (InboxSeq(12), InboxSeq(4), true));
    assert_eq!(session.requests_len(), 0, "it is answered");
}

#[test]
fn a_page_around_a_place_says_where_it_stands() {
    let mut session = live();
    session.history_around(chat(), Around::Unread, 2).unwrap();
    session.hidden(Some(chat()), (chat(), Seq(3)), 5).unwrap();
    let asked = written(&mut session);
    assert_eq!(read::<GetHistoryV2>(&asked[0]).map(|get| (get.around, get.at, get.limit)), Some((3, 0, 2)));
    let head = HistoryPageV2 {
        pivot: 5,
        more_before: true,
        more_after: false,
        channel: chat().0,
        from: 4,
        to: 5,
        head: 5,
        count: 2,
        more: true,
    };
    session.receive(0, encode(asked[0].header().id, &head));
    session.receive(0, message(chat(), 4, YOU, 1));
    session.receive(0, message(chat(), 5, YOU, 2));
    let told = events(&mut session);
    let [Event::History(page)] = &told[..] else { panic!("{told:?}") };
    let place = Place { pivot: Seq(5), more_before: true, more_after: false };
    assert_eq!((page.place, page.messages.len()), (Some(place), 2));
    let hidden = vec![HiddenItem { about: chat().0, at: 4, seq: 1, through: 2 }];
    session.receive(
        0,
        encode(asked[1].header().id, &Notes { drafts: vec![], hidden: hidden.clone(), more: false }),
    );
    let told = events(&mut session);
    assert!(matches!(&told[..], [Event::Notes { hidden: found, .. }] if *found == hidden), "{told:?}");
}
