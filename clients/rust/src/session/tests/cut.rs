//! Requests whose answer has begun, but did not come whole.

use super::*;

fn asked(session: &mut Session) -> Vec<u64> {
    let frames = written(session);
    frames.iter().filter(|frame| frame.kind() == Kind::GET_HISTORY).map(|frame| frame.header().id).collect()
}

fn head(from: u64, to: u64) -> HistoryPage {
    let count = u32::try_from(to - from + 1).unwrap();
    HistoryPage { channel: chat().0, from, to, head: to, count, more: false }
}

fn pages(events: &[Event]) -> Vec<(u64, Vec<u64>)> {
    let page = |event: &Event| match event {
        Event::History(page) => Some((page.request.0, page.messages.iter().map(|m| m.seq.0).collect())),
        _ => None,
    };
    events.iter().filter_map(page).collect()
}

/// A connection ends behind the head and this many of three messages.
fn a_page_is_cut_behind(messages: u64) {
    let mut session = live();
    let request = session.history(chat(), None, None, 3, true).unwrap();
    let next = session.history(chat(), None, None, 3, true).unwrap();
    assert_eq!(asked(&mut session), [request.0, next.0]);
    session.receive(0, encode(request.0, &head(1, 3)));
    (1..=messages).for_each(|seq| session.receive(0, message(chat(), seq, YOU, seq)));
    assert_eq!(session.requests_len(), 2, "half an answer is none");
    session.disconnected(1);
    assert_eq!(pages(&events(&mut session)), [], "what came of it is dropped");
    greet(&mut session, 2, 0, 0);
    let mut again = asked(&mut session);
    again.sort_unstable();
    assert_eq!(again, [request.0, next.0], "cut behind {messages}");
    session.receive(2, encode(request.0, &head(1, 3)));
    (1..=3).for_each(|seq| session.receive(2, message(chat(), seq, YOU, seq)));
    assert_eq!(pages(&events(&mut session)), [(request.0, vec![1, 2, 3])]);
    assert_eq!(session.requests_len(), 1);
}

#[test]
fn a_page_that_is_cut_is_asked_for_again() {
    (0..3).for_each(a_page_is_cut_behind);
}

#[test]
fn a_whole_page_is_not_asked_for_again() {
    let mut session = live();
    let request = session.history(chat(), None, None, 3, true).unwrap();
    asked(&mut session);
    session.receive(0, encode(request.0, &head(1, 2)));
    (1..=2).for_each(|seq| session.receive(0, message(chat(), seq, YOU, seq)));
    session.disconnected(1);
    greet(&mut session, 2, 0, 0);
    assert_eq!((asked(&mut session), session.requests_len()), (vec![], 0));
}

#[test]
fn an_own_send_in_a_page_that_is_cut_is_acked_once() {
    let mut session = live();
    let mine = say(&mut session, "one");
    let request = session.history(chat(), None, None, 3, true).unwrap();
    asked(&mut session);
    session.receive(0, encode(request.0, &head(1, 2)));
    session.receive(0, message(chat(), 1, ME, mine.0));
    session.disconnected(1);
    assert_eq!(acks(&events(&mut session)), [(mine, 1)]);
    greet(&mut session, 2, 0, 0);
    asked(&mut session);
    session.receive(2, encode(request.0, &head(1, 2)));
    session.receive(2, message(chat(), 1, ME, mine.0));
    session.receive(2, message(chat(), 2, YOU, 2));
    let told = events(&mut session);
    assert_eq!((acks(&told), pages(&told)), (vec![], vec![(request.0, vec![1, 2])]));
}

/// An answer that cannot be read is skipped, as any body that cannot: the request waits, and the next connection asks
/// again.
#[test]
fn an_answer_that_cannot_be_read_is_none() {
    let mut session = live();
    let page = session.history(chat(), None, None, 3, true).unwrap();
    let list = session.channels(ChannelId(0), 10).unwrap();
    let members = session.members(ChannelId(1), UserId(0), 10).unwrap();
    written(&mut session);
    session.receive(0, Frame::build(Kind::HISTORY_PAGE, 1, page.0, b"short"));
    session.receive(0, Frame::build(Kind::CHANNELS, 1, list.0, b"?"));
    session.receive(0, Frame::build(Kind::MEMBERS, 1, members.0, b"?"));
    assert_eq!(events(&mut session), []);
    assert_eq!(session.requests_len(), 3);
    session.disconnected(1);
    greet(&mut session, 2, 0, 0);
    assert_eq!(written(&mut session).len(), 3);
}
