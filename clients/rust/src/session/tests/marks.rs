//! What was delivered is said, little and late; who types is told until it is over.

use protocol::body::marks::{MarkDelivered, ReceiptItem, Receipts, TYPING_GOES_ON, TYPING_STOPPED, Typing};
use protocol::body::message::RenameGroup;

use super::super::limits::{DELIVERED_AGAIN_MS, DELIVERED_EVERY_MS, DELIVERED_WAIT_MS, TYPING_EVERY_MS};
use super::super::marks::UNANSWERED;
use super::*;

/// Channels and seqs that are said to be delivered.
fn marks(session: &mut Session) -> Vec<(ChannelId, u64)> {
    let frames = all_written(session);
    let marks = frames.iter().filter(|frame| frame.kind() == Kind::MARK_DELIVERED);
    marks
        .map(|frame| read::<MarkDelivered>(frame).unwrap())
        .map(|mark| (ChannelId(mark.channel), mark.seq))
        .collect()
}

fn group(number: u128) -> ChannelId {
    ChannelId(number)
}

/// Time comes to what the session waits for.
fn wait(session: &mut Session, at_ms: u64) {
    session.tick(at_ms);
}

#[test]
fn what_came_is_said_once_for_each_channel_after_a_while() {
    let mut session = live();
    for seq in 1..=5 {
        session.receive(0, message(chat(), seq, YOU, seq));
    }
    session.receive(0, message(group(7), 3, YOU, 9));
    assert_eq!(marks(&mut session), []);
    assert_eq!(session.next_deadline(), Some(DELIVERED_WAIT_MS));
    wait(&mut session, DELIVERED_WAIT_MS);
    let mut said = marks(&mut session);
    said.sort_unstable_by_key(|(_, seq)| *seq);
    assert_eq!(said, [(group(7), 3), (chat(), 5)]);
    assert!(session.next_deadline().is_none_or(|at| at > 2 * DELIVERED_WAIT_MS), "nothing is due");
}

#[test]
fn it_rides_on_what_is_written_anyway_but_not_too_often() {
    let mut session = live();
    session.receive(0, message(chat(), 1, YOU, 1));
    let first = say(&mut session, "an answer");
    let kinds = |frames: Vec<Frame>| frames.iter().map(Frame::kind).collect::<Vec<_>>();
    assert_eq!(kinds(all_written(&mut session)), [Kind::SEND_TEXT, Kind::MARK_DELIVERED]);
    session.receive(10, ack(first, 2));
    session.receive(10, message(chat(), 3, YOU, 3));
    say(&mut session, "another");
    assert_eq!(kinds(all_written(&mut session)), [Kind::SEND_TEXT], "once a second");
    wait(&mut session, DELIVERED_EVERY_MS + DELIVERED_WAIT_MS);
    assert_eq!(marks(&mut session), [(chat(), 3)]);
}

#[test]
fn own_messages_changes_and_what_is_read_are_not_said() {
    let mut session = live();
    session.receive(0, message(chat(), 1, ME, 1));
    let stamp = Stamp { seq: Seq(2), time_ms: 7, sender: YOU };
    session.receive(0, encode(9, &RenameGroup { channel: 7, name: "n".into() }).stamp(stamp));
    wait(&mut session, DELIVERED_WAIT_MS);
    assert_eq!(marks(&mut session), []);
    session.receive(DELIVERED_WAIT_MS, message(chat(), 3, YOU, 3));
    session.mark_read(chat(), Seq(3)).unwrap();
    assert_eq!(marks(&mut session), [], "what is read was delivered");
    wait(&mut session, 5 * DELIVERED_WAIT_MS);
    assert_eq!(marks(&mut session), []);
}

#[test]
fn nothing_is_said_before_all_is_caught_up() {
    let mut session = Session::new(config(), None);
    greet(&mut session, 0, 0, 3);
    session.receive(0, message(chat(), 1, YOU, 1));
    wait(&mut session, 10 * DELIVERED_WAIT_MS);
    assert_eq!(marks(&mut session), []);
    session.receive(20_000, message(chat(), 2, YOU, 2));
    session.receive(20_000, message(chat(), 3, YOU, 3));
    session.receive(20_000, complete(0, 3));
    assert_eq!(marks(&mut session), [(chat(), 3)], "one for all of the page");
}

#[test]
fn what_was_said_lately_is_said_again_on_the_next_connection() {
    let mut session = live();
    session.receive(0, message(chat(), 1, YOU, 1));
    session.receive(0, message(group(7), 1, YOU, 2));
    wait(&mut session, DELIVERED_WAIT_MS);
    assert_eq!(marks(&mut session).len(), 2);
    let later = DELIVERED_WAIT_MS + DELIVERED_AGAIN_MS - 1;
    session.receive(later, message(group(7), 2, YOU, 3));
    session.tick(later + DELIVERED_WAIT_MS);
    assert_eq!(marks(&mut session), [(group(7), 2)]);
    session.disconnected(later + DELIVERED_WAIT_MS + 1);
    let now = later + DELIVERED_WAIT_MS + 2;
    greet(&mut session, now, 0, 0);
    wait(&mut session, now + DELIVERED_WAIT_MS);
    assert_eq!(marks(&mut session), [(group(7), 2)]);
}

#[test]
fn a_refused_mark_is_nobodys_matter() {
    let mut session = live();
    events(&mut session);
    session.receive(0, refused(UNANSWERED));
    assert_eq!(events(&mut session), []);
}

#[test]
fn a_mark_that_is_refused_for_now_is_said_again() {
    let mut session = live();
    session.receive(0, message(chat(), 1, YOU, 1));
    wait(&mut session, DELIVERED_WAIT_MS);
    assert_eq!(marks(&mut session), [(chat(), 1)]);
    events(&mut session);
    let at = DELIVERED_WAIT_MS + 5;
    session.receive(at, encode(UNANSWERED, &Refusal::retry(Code::Rate, 70, "tokens").body()));
    assert_eq!(events(&mut session), [], "nobody waits for it");
    // The last of what there is, and not before there is a token for it.
    for _ in 0..10 {
        let Some(at) = session.next_deadline() else { break };
        session.tick(at);
        let said = marks(&mut session);
        if !said.is_empty() {
            assert_eq!(said, [(chat(), 1)]);
            return;
        }
    }
    panic!("it was not said again");
}

#[test]
fn receipts_are_told_asked_or_not() {
    let mut session = live();
    let items = vec![ReceiptItem { user: YOU.0, read: 1, delivered: 2 }];
    let receipts = |more| Receipts { channel: chat().0, items: items.clone(), more };
    session.receive(0, encode(0, &receipts(false)));
    let asked = session.receipts(chat(), UserId(0), 100).unwrap();
    assert_eq!(written(&mut session).len(), 1);
    session.receive(0, encode(asked.0, &receipts(true)));
    session.receive(0, encode(asked.0, &receipts(true)));
    let told = |request, more| Event::Receipts { request, channel: chat(), items: items.clone(), more };
    assert_eq!(events(&mut session), [told(None, false), told(Some(asked), true)], "an answer once");
    assert_eq!(session.requests_len(), 0);
}

fn types(user: UserId, state: u8, expires_ms: u32) -> Frame {
    encode(0, &Typing { channel: chat().0, user: user.0, expires_ms, state })
}

fn told(types: bool) -> Event {
    Event::Typing { channel: chat(), user: YOU, types }
}

#[test]
fn who_types_does_so_until_it_stops_sends_is_not_heard_or_the_connection_goes() {
    let mut session = live();
    session.receive(0, types(YOU, TYPING_GOES_ON, 10_000));
    session.receive(4000, types(YOU, TYPING_GOES_ON, 10_000));
    assert_eq!(events(&mut session), [told(true)], "told once");
    assert_eq!(session.next_deadline(), Some(14_000));
    session.tick(14_000);
    assert_eq!(events(&mut session), [told(false)]);
    session.receive(14_000, types(YOU, TYPING_GOES_ON, 10_000));
    session.receive(14_001, types(YOU, TYPING_STOPPED, 0));
    session.receive(14_002, types(YOU, TYPING_STOPPED, 0));
    assert_eq!(events(&mut session), [told(true), told(false)]);
    session.receive(14_003, types(YOU, TYPING_GOES_ON, u32::MAX));
    session.receive(14_004, message(chat(), 1, YOU, 1));
    assert!(matches!(&events(&mut session)[..], [first, second, Event::Message(_)]
        if *first == told(true) && *second == told(false)));
    session.receive(14_005, types(YOU, TYPING_GOES_ON, 10_000));
    session.disconnected(14_006);
    assert!(events(&mut session).contains(&told(false)));
}

#[test]
fn typing_is_said_now_and_then() {
    let mut session = live();
    let said = |session: &mut Session| -> Vec<u8> {
        let frames = all_written(session);
        let typing = frames.iter().filter(|frame| frame.kind() == Kind::TYPING);
        typing.map(|frame| read::<Typing>(frame).unwrap().state).collect()
    };
    for _ in 0..5 {
        session.typing(chat(), true);
    }
    assert_eq!(said(&mut session), [TYPING_GOES_ON]);
    session.tick(TYPING_EVERY_MS);
    session.typing(chat(), true);
    session.typing(chat(), false);
    session.typing(chat(), false);
    assert_eq!(said(&mut session), [TYPING_GOES_ON, TYPING_STOPPED]);
    session.typing(chat(), true);
    say(&mut session, "what was typed");
    session.typing(chat(), false);
    assert_eq!(said(&mut session), [TYPING_GOES_ON], "the message says that it ended");
    session.disconnected(TYPING_EVERY_MS + 1);
    session.typing(chat(), true);
    assert_eq!(said(&mut session), [0; 0]);
}
