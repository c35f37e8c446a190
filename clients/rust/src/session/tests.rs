//! A session against literal frames.

use bytes::Bytes;
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::session::{Done, GoingAway, Heartbeat, Hello, Reject, Welcome};
use protocol::body::sync::{Channels, Complete, CursorAck, GetHistory, HistoryPage, SendAck};
use protocol::body::{encode, read};
use protocol::{
    ChannelId, Code, Cursor, Frame, Generation, InboxSeq, Kind, Refusal, SendId, Seq, Stamp, UserId,
};

use super::limits::{IN_FLIGHT_MAX, PENDING_MAX, WELCOME_WAIT_MS};
use super::{About, Config, Content, Event, Saved, Session, State};

mod about;
mod cut;
mod large;
mod marks;
mod own;
mod pace;
mod presence;
mod push;
mod reread;
mod talk;
mod traces;
mod woke;

const ME: UserId = UserId(10);
const YOU: UserId = UserId(20);
const LIFE: u64 = 5;

fn chat() -> ChannelId {
    ChannelId::direct(ME, YOU)
}

fn config() -> Config {
    Config::new(ME, 42)
}

fn welcome(start: u64, head: u64) -> Frame {
    let (time_ms, expires_ms) = (1_000_000, 2_000_000);
    encode(
        0,
        &Welcome {
            user: ME.0,
            device: 1,
            generation: LIFE,
            start,
            head,
            time_ms,
            expires_ms,
            heartbeat_ms: 30_000,
            group_members_max: 100,
            kinds: vec![],
        },
    )
}

fn message(channel: ChannelId, seq: u64, sender: UserId, send_id: u64) -> Frame {
    let text = format!("text {seq}");
    let stamp = Stamp { seq: Seq(seq), time_ms: 7, sender };
    encode(send_id, &SendText { channel: channel.0, text }).stamp(stamp)
}

fn complete(from: u64, to: u64) -> Frame {
    encode(0, &Complete { generation: LIFE, from, to, head: to })
}

fn ack(send_id: SendId, seq: u64) -> Frame {
    encode(send_id.0, &SendAck { channel: chat().0, seq, time_ms: 7 })
}

fn busy(id: u64, retry_ms: u32) -> Frame {
    encode(id, &Refusal::retry(Code::Busy, retry_ms, "full").body())
}

fn refused(id: u64) -> Frame {
    encode(id, &Refusal::new(Code::Forbidden, "channel", "not yours").body())
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

/// What is written, but for what was delivered: `marks.rs` looks at that.
fn written(session: &mut Session) -> Vec<Frame> {
    let mut frames = all_written(session);
    frames.retain(|frame| frame.kind() != Kind::MARK_DELIVERED);
    frames
}

fn all_written(session: &mut Session) -> Vec<Frame> {
    std::iter::from_fn(|| session.poll_transmit()).collect()
}

fn ids(frames: &[Frame]) -> Vec<SendId> {
    frames.iter().map(Frame::send_id).collect()
}

fn seqs(events: &[Event]) -> Vec<u64> {
    let seq = |event: &Event| if let Event::Message(m) = event { Some(m.seq.0) } else { None };
    events.iter().filter_map(seq).collect()
}

fn acks(events: &[Event]) -> Vec<(SendId, u64)> {
    let ack = |event: &Event| match event {
        Event::Ack { send_id, seq, .. } => Some((*send_id, seq.0)),
        _ => None,
    };
    events.iter().filter_map(ack).collect()
}

fn greet(session: &mut Session, now_ms: u64, start: u64, head: u64) {
    session.connected(now_ms, "token");
    assert_eq!(written(session).len(), 1);
    session.receive(now_ms, welcome(start, head));
}

fn live() -> Session {
    let mut session = Session::new(config(), None);
    greet(&mut session, 0, 0, 0);
    assert_eq!(session.state(), State::Live);
    events(&mut session);
    session
}

fn say(session: &mut Session, text: &str) -> SendId {
    session.send_text(chat(), text, None).unwrap()
}

#[test]
fn hello_carries_the_cursor_and_nothing_goes_before_welcome() {
    let cursor = Cursor { generation: Generation(LIFE), at: InboxSeq(9) };
    let mut session = Session::new(config(), Some(Saved { cursor, pending: vec![] }));
    say(&mut session, "early");
    session.channels(ChannelId(0), 10).unwrap();
    assert_eq!(session.poll_transmit(), None);
    session.connected(0, "token");
    let frames = written(&mut session);
    assert_eq!(frames.len(), 1);
    let hello: Hello = read(&frames[0]).unwrap();
    assert_eq!(hello, Hello { generation: LIFE, cursor: 9, token: "token".into() });
    session.receive(0, welcome(9, 9));
    let kinds: Vec<Kind> = written(&mut session).iter().map(Frame::kind).collect();
    assert_eq!(kinds, [Kind::GET_CHANNELS, Kind::SEND_TEXT]);
}

#[test]
fn catches_up_before_it_sends() {
    let mut session = Session::new(config(), None);
    let first = say(&mut session, "one");
    let second = say(&mut session, "two");
    greet(&mut session, 0, 0, 4);
    assert_eq!(session.state(), State::CatchingUp);
    session.receive(0, message(chat(), 1, YOU, 3));
    session.receive(0, message(chat(), 2, ME, first.0));
    session.receive(0, complete(0, 2));
    assert_eq!(session.poll_transmit(), None, "the head is at 4");
    session.receive(0, message(chat(), 3, YOU, 4));
    session.receive(0, message(chat(), 4, YOU, 5));
    session.receive(0, complete(2, 4));
    assert_eq!(ids(&written(&mut session)), [second]);
    let told = events(&mut session);
    assert_eq!(seqs(&told), [1, 3, 4]);
    assert_eq!(acks(&told), [(first, 2)]);
    assert_eq!(session.cursor().at, InboxSeq(4));
}

#[test]
fn a_sender_or_channel_that_differs_is_no_ack() {
    let mut session = Session::new(config(), None);
    let mine = say(&mut session, "one");
    greet(&mut session, 0, 0, 2);
    session.receive(0, message(chat(), 1, YOU, mine.0));
    session.receive(0, message(ChannelId(77), 1, ME, mine.0));
    assert_eq!(session.pending_len(), 1);
    assert_eq!(seqs(&events(&mut session)), [1, 1]);
}

#[test]
fn the_cursor_moves_on_adjoining_ranges_only() {
    let mut session = live();
    session.receive(0, complete(0, 5));
    session.receive(0, complete(7, 9));
    assert_eq!(session.cursor().at, InboxSeq(5), "6 and 7 are missing");
    session.receive(0, complete(2, 4));
    assert_eq!(session.cursor().at, InboxSeq(5), "never back");
    session.receive(0, encode(0, &Complete { generation: LIFE + 1, from: 0, to: 50, head: 50 }));
    assert_eq!(session.cursor().at, InboxSeq(5), "another life");
    session.receive(0, complete(3, 8));
    assert_eq!(session.cursor().at, InboxSeq(8));
    let ranges = events(&mut session).iter().filter(|e| matches!(e, Event::Complete { .. })).count();
    assert_eq!(ranges, 2);
}

#[test]
fn a_repeated_range_is_told_once() {
    let mut session = live();
    for seq in 1..=3 {
        session.receive(0, message(chat(), seq, YOU, seq));
    }
    session.receive(0, complete(0, 1));
    assert_eq!(seqs(&events(&mut session)), [1, 2, 3]);
    session.disconnected(10);
    greet(&mut session, 500, 1, 4);
    for seq in 2..=4 {
        session.receive(500, message(chat(), seq, YOU, seq));
    }
    session.receive(500, complete(1, 4));
    assert_eq!(seqs(&events(&mut session)), [4]);
}

#[test]
fn an_own_acked_message_does_not_come_back_as_a_message() {
    let mut session = live();
    let mine = say(&mut session, "one");
    written(&mut session);
    session.receive(0, ack(mine, 1));
    session.receive(0, ack(mine, 1));
    assert_eq!(acks(&events(&mut session)), [(mine, 1)]);
    session.disconnected(10);
    greet(&mut session, 500, 0, 1);
    session.receive(500, message(chat(), 1, ME, mine.0));
    let told = events(&mut session);
    assert_eq!((seqs(&told), acks(&told)), (vec![], vec![]));
}

#[test]
fn a_message_of_another_device_of_the_user_is_told() {
    let mut session = live();
    session.receive(0, message(chat(), 1, ME, 999));
    let told = events(&mut session);
    let Some(Event::Message(message)) = told.first() else { panic!("{told:?}") };
    assert_eq!((message.sender, &message.content), (ME, &Content::Text("text 1".into())));
}

#[test]
fn a_lost_connection_writes_all_again_in_order() {
    let mut session = live();
    let sends: Vec<SendId> = (0..4).map(|n| say(&mut session, &format!("{n}"))).collect();
    assert_eq!(ids(&written(&mut session)), sends);
    session.receive(0, ack(sends[1], 1));
    session.disconnected(5);
    assert_eq!(session.poll_transmit(), None);
    greet(&mut session, 500, 0, 0);
    assert_eq!(ids(&written(&mut session)), [sends[0], sends[2], sends[3]]);
}

#[test]
fn a_retryable_refusal_sends_again_from_there_after_the_pause() {
    let mut session = live();
    let sends: Vec<SendId> = (0..5).map(|n| say(&mut session, &format!("{n}"))).collect();
    written(&mut session);
    session.receive(100, ack(sends[0], 1));
    session.receive(100, busy(sends[1].0, 50));
    session.receive(100, ack(sends[3], 2));
    let late = say(&mut session, "late");
    session.tick(200);
    assert_eq!(
        session.poll_transmit(),
        None,
        "two are not answered: a second copy would get a second answer"
    );
    session.receive(210, busy(sends[2].0, 50));
    session.receive(210, busy(sends[4].0, 50));
    session.tick(259);
    assert_eq!(session.poll_transmit(), None);
    assert_eq!(session.next_deadline(), Some(260));
    session.tick(260);
    assert_eq!(ids(&written(&mut session)), [sends[1], sends[2], sends[4], late]);
    let told = events(&mut session);
    assert_eq!(acks(&told), [(sends[0], 1), (sends[3], 2)]);
    assert!(!told.iter().any(|event| matches!(event, Event::Rejected { .. })));
}

#[test]
fn what_a_group_refuses_for_a_while_holds_back_nothing() {
    for code in [Code::Muted, Code::Slow] {
        let mut session = live();
        let (slow, other) = (say(&mut session, "too soon"), say(&mut session, "elsewhere"));
        written(&mut session);
        session.receive(0, encode(slow.0, &Refusal::retry(code, 60_000, "later").body()));
        let told = events(&mut session);
        let [Event::Rejected { about: About::Send(about), reject }] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!((*about, reject.retry_after_ms), (slow, 60_000), "the hint is for the person");
        session.receive(0, ack(other, 1));
        let next = say(&mut session, "next");
        assert_eq!(ids(&written(&mut session)), [next]);
    }
}

#[test]
fn the_longest_of_several_pauses_holds() {
    let mut session = live();
    let sends: Vec<SendId> = (0..3).map(|n| say(&mut session, &format!("{n}"))).collect();
    written(&mut session);
    session.receive(0, busy(sends[0].0, 500));
    session.receive(0, busy(sends[1].0, 100));
    session.receive(0, busy(sends[2].0, 1));
    session.tick(499);
    assert_eq!(session.poll_transmit(), None);
    session.tick(500);
    assert_eq!(ids(&written(&mut session)), sends);
}

#[test]
fn a_final_refusal_drops_the_send_and_says_so() {
    let mut session = live();
    let bad = say(&mut session, "bad");
    let good = say(&mut session, "good");
    written(&mut session);
    session.receive(0, refused(bad.0));
    let told = events(&mut session);
    let [Event::Rejected { about, reject }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((*about, reject.code), (About::Send(bad), Code::Forbidden.number()));
    session.disconnected(1);
    greet(&mut session, 500, 0, 0);
    assert_eq!(ids(&written(&mut session)), [good]);
}

#[test]
fn a_send_refused_for_the_token_waits_for_reauth() {
    let mut session = live();
    let mine = say(&mut session, "one");
    written(&mut session);
    session.receive(0, encode(mine.0, &Refusal::new(Code::Expired, "", "ended").body()));
    assert_eq!(events(&mut session), [Event::TokenDue]);
    assert_eq!(session.poll_transmit(), None);
    session.reauth("fresh", 1000);
    let frames = written(&mut session);
    assert_eq!(frames.iter().map(Frame::kind).collect::<Vec<_>>(), [Kind::REAUTH]);
    session.receive(0, encode(frames[0].header().id, &Done { kind: Kind::REAUTH.0 }));
    assert_eq!(events(&mut session), [Event::Reauthed]);
    assert_eq!(ids(&written(&mut session)), [mine]);
    session.tick(800);
    assert_eq!(events(&mut session), [Event::TokenDue]);
}

#[test]
fn the_window_bounds_what_is_in_flight() {
    let mut session = live();
    let sends: Vec<SendId> = (0..IN_FLIGHT_MAX + 3).map(|n| say(&mut session, &format!("{n}"))).collect();
    assert_eq!(written(&mut session).len(), IN_FLIGHT_MAX);
    session.receive(0, ack(sends[0], 1));
    assert_eq!(ids(&written(&mut session)), [sends[IN_FLIGHT_MAX]]);
}

#[test]
fn too_many_pending_sends_are_refused() {
    let mut session = Session::new(config(), None);
    for _ in 0..PENDING_MAX {
        say(&mut session, "x");
    }
    let refusal = session.send_text(chat(), "x", None).unwrap_err();
    assert_eq!(refusal.code, Code::Busy);
    assert!(refusal.retry_after_ms > 0);
}

#[test]
fn what_the_server_would_refuse_is_refused_here() {
    let mut session = live();
    let code = |result: Result<SendId, Refusal>| result.unwrap_err().code;
    assert!(session.send_text(chat(), &"가".repeat(100_000), None).is_ok());
    assert_eq!(code(session.send_text(chat(), &"가".repeat(100_001), None)), Code::Limit);
    assert_eq!(code(session.send_text(chat(), &"x".repeat(1 << 20), None)), Code::Limit);
    assert_eq!(code(session.send_text(chat(), "", None)), Code::Limit);
    assert_eq!(code(session.send_text(ChannelId(0), "x", None)), Code::Limit);
    assert_eq!(code(session.send_text(chat(), "x", Some(SendId(0)))), Code::Limit);
    assert_eq!(code(session.add_members(ChannelId(5), &vec![YOU; 100_000], None)), Code::Limit);
    assert_eq!(code(session.rename(ChannelId(5), &"x".repeat(101), None)), Code::Limit);
    assert_eq!(code(session.set_role(ChannelId(5), YOU, 9, None)), Code::Limit);
    assert!(session.history(chat(), None, None, 201, true).is_err());
    assert_eq!(session.pending_len(), 1);
}

#[test]
fn a_send_id_of_the_app_is_pending_once() {
    let mut session = live();
    let id = Some(SendId(5));
    assert_eq!(session.send_text(chat(), "same", id), Ok(SendId(5)));
    assert_eq!(session.send_text(chat(), "same", id), Ok(SendId(5)));
    assert_eq!(session.send_text(chat(), "other", id).unwrap_err().code, Code::Conflict);
    assert_eq!(written(&mut session).len(), 1);
}

#[test]
fn a_group_is_named_by_its_creator_and_send_id() {
    let mut session = live();
    let (send_id, channel) = session.create_group("plans", &[YOU, ME, UserId(15), YOU], None).unwrap();
    assert_eq!(channel, ChannelId::group(ME, send_id));
    let body: CreateGroup = read(&written(&mut session)[0]).unwrap();
    assert_eq!(body.members, [15, 20], "rising, once, without the creator");
}

#[test]
fn another_generation_starts_anew() {
    let cursor = Cursor { generation: Generation(LIFE - 1), at: InboxSeq(90) };
    let mut session = Session::new(config(), Some(Saved { cursor, pending: vec![] }));
    greet(&mut session, 0, 30, 30);
    assert_eq!(session.cursor(), Cursor { generation: Generation(LIFE), at: InboxSeq(30) });
    let resync = Event::Resync { generation: Generation(LIFE), at: InboxSeq(30) };
    assert!(events(&mut session).contains(&resync));
    assert_eq!(session.state(), State::Live);
}

#[test]
fn a_start_below_the_cursor_is_a_loss() {
    let cursor = Cursor { generation: Generation(LIFE), at: InboxSeq(90) };
    let mut session = Session::new(config(), Some(Saved { cursor, pending: vec![] }));
    greet(&mut session, 0, 30, 30);
    assert!(events(&mut session).contains(&Event::Resync { generation: Generation(LIFE), at: InboxSeq(30) }));
    session.receive(0, message(chat(), 1, YOU, 1));
    session.receive(0, complete(30, 31));
    assert_eq!(session.cursor().at, InboxSeq(31), "the cursor does not stand still");
}

#[test]
fn another_generation_forgets_what_was_told() {
    let mut session = live();
    session.receive(0, message(chat(), 1, YOU, 1));
    session.disconnected(1);
    session.connected(2, "token");
    let mut restored: Welcome = read(&welcome(0, 1)).unwrap();
    restored.generation = LIFE + 1;
    session.receive(2, encode(0, &restored));
    session.receive(2, message(chat(), 1, YOU, 2));
    assert_eq!(seqs(&events(&mut session)), [1, 1], "seq 1 of the new life is another message");
}

#[test]
fn a_history_page_is_not_live() {
    let mut session = live();
    let mine = say(&mut session, "one");
    session.receive(0, message(chat(), 9, YOU, 9));
    let request = session.history(chat(), None, Some(Seq(9)), 2, true).unwrap();
    let ask = written(&mut session).into_iter().find(|frame| frame.kind() == Kind::GET_HISTORY).unwrap();
    assert_eq!(read::<GetHistory>(&ask).unwrap().before, 9);
    let head = HistoryPage { channel: chat().0, from: 7, to: 8, head: 9, count: 2, more: true };
    session.receive(0, encode(request.0, &head));
    session.receive(0, message(chat(), 7, ME, mine.0));
    assert_eq!(seqs(&events(&mut session)), [9], "the page is told whole");
    session.receive(0, message(chat(), 8, YOU, 8));
    session.receive(0, message(chat(), 10, YOU, 10));
    let told = events(&mut session);
    assert_eq!(seqs(&told), [10]);
    let page = told.iter().find_map(|e| if let Event::History(page) = e { Some(page) } else { None });
    let page = page.unwrap();
    assert_eq!(page.messages.iter().map(|m| m.seq.0).collect::<Vec<_>>(), [7, 8]);
    assert_eq!((page.request, page.more, page.head), (request, true, Seq(9)));
    assert_eq!(session.pending_len(), 0, "a send that is in history is stored");
}

#[test]
fn requests_survive_a_cut_and_a_full_server() {
    let mut session = live();
    let all: Vec<u64> = (0..10).map(|_| session.channels(ChannelId(0), 10).unwrap().0).collect();
    let first: Vec<u64> = written(&mut session).iter().map(|f| f.header().id).collect();
    assert_eq!(first, all[..8]);
    session.receive(0, encode(all[0], &Channels { items: vec![], more: false }));
    session.receive(0, busy(all[1], 40));
    session.tick(39);
    assert_eq!(session.poll_transmit(), None);
    session.tick(40);
    let next: Vec<u64> = written(&mut session).iter().map(|f| f.header().id).collect();
    assert_eq!(next, [all[1], all[8]]);
    session.disconnected(50);
    greet(&mut session, 60, 0, 0);
    assert_eq!(written(&mut session).len(), 8);
    assert_eq!(session.requests_len(), 9);
    session.receive(60, refused(all[2]));
    let told = events(&mut session);
    assert!(
        told.iter().any(|e| matches!(e, Event::Rejected { about: About::Request(r), .. } if r.0 == all[2]))
    );
}

#[test]
fn mark_read_is_answered_by_done() {
    let mut session = live();
    let request = session.mark_read(chat(), Seq(3)).unwrap();
    written(&mut session);
    session.receive(0, encode(request.0, &Done { kind: Kind::MARK_READ.0 }));
    assert_eq!(events(&mut session), [Event::Done(request)]);
}

#[test]
fn heartbeats_go_out_when_quiet_and_silence_is_death() {
    let mut session = live();
    assert_eq!(session.next_deadline(), Some(30_000));
    session.tick(29_999);
    assert_eq!(session.poll_transmit(), None);
    session.tick(30_000);
    let frames = written(&mut session);
    let [frame] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!(read::<Heartbeat>(frame).unwrap().time_ms, 30_000);
    session.receive(31_000, frame.clone());
    assert_eq!(session.next_deadline(), Some(60_000));
    session.tick(60_000);
    written(&mut session);
    assert_eq!(session.next_deadline(), Some(120_000));
    session.tick(120_000);
    assert_eq!(events(&mut session), [Event::Dead]);
    assert_eq!(session.poll_transmit(), None);
    session.disconnected(120_000);
    assert!(matches!(events(&mut session)[..], [Event::Disconnected { .. }]));
}

#[test]
fn a_hello_without_answer_is_death() {
    let mut session = Session::new(config(), None);
    session.connected(0, "token");
    session.tick(WELCOME_WAIT_MS);
    assert_eq!(events(&mut session), [Event::Dead]);
}

#[test]
fn the_cursor_is_told_lazily() {
    let mut session = live();
    session.receive(1000, complete(0, 5));
    assert_eq!(session.poll_transmit(), None);
    session.receive(1001, complete(5, 50));
    assert_eq!(session.next_deadline(), Some(6000));
    session.tick(6000);
    let frames = written(&mut session);
    assert_eq!(read::<CursorAck>(&frames[0]).unwrap(), CursorAck { generation: LIFE, cursor: 50 });
    session.receive(6001, complete(50, 150));
    assert_eq!(read::<CursorAck>(&written(&mut session)[0]).unwrap().cursor, 150, "a hundred at once");
    session.tick(20_000);
    assert_eq!(session.poll_transmit(), None, "told is told");
}

#[test]
fn reconnects_wait_longer_each_time_and_jitter() {
    let mut session = Session::new(config(), None);
    let mut full = 250;
    for _ in 0..12 {
        session.disconnected(1_000_000);
        let [Event::Disconnected { retry_at_ms }] = events(&mut session)[..] else { panic!() };
        let pause = retry_at_ms - 1_000_000;
        assert!((full / 2..=full).contains(&pause), "{pause} of {full}");
        full = (full * 2).min(30_000);
    }
    let at = session.next_deadline().unwrap();
    session.tick(at);
    assert_eq!(events(&mut session), [Event::Reconnect]);
    let mut other = Session::new(Config::new(ME, 43), None);
    other.disconnected(1_000_000);
    session.connected(at, "token");
    session.receive(at, welcome(0, 0));
    events(&mut session);
    session.disconnected(at);
    let [Event::Disconnected { retry_at_ms }] = events(&mut session)[..] else { panic!() };
    assert!(retry_at_ms - at <= 250, "a Welcome starts over");
}

#[test]
fn going_away_is_honoured() {
    let mut session = live();
    session.receive(0, encode(0, &GoingAway { reconnect_after_ms: 1234, reason: 1001 }));
    say(&mut session, "waits");
    assert_eq!(session.poll_transmit(), None);
    session.disconnected(100);
    assert!(events(&mut session).contains(&Event::Disconnected { retry_at_ms: 1334 }));
}

#[test]
fn a_refused_hello_is_told() {
    let mut session = Session::new(config(), None);
    session.connected(0, "token");
    written(&mut session);
    let refusal = Refusal::new(Code::Expired, "token", "ended");
    session.receive(0, encode(1, &refusal.body()));
    assert_eq!(events(&mut session), [Event::HelloRejected(refusal.body())]);
    let mut other: Welcome = read(&welcome(0, 0)).unwrap();
    other.user = YOU.0;
    session.receive(0, encode(1, &other));
    assert!(matches!(events(&mut session)[..], [Event::HelloRejected(Reject { .. })]));
    assert_eq!(session.state(), State::Greeting);
}

#[test]
fn a_logged_out_device_says_nothing_more_and_does_not_come_again() {
    let refusal = Refusal::new(Code::Unauthenticated, "token", "logged out");
    let is_over = |session: &mut Session| {
        assert_eq!(events(session), [Event::LoggedOut(refusal.body())]);
        say(session, "kept");
        assert_eq!(session.poll_transmit(), None);
        session.disconnected(1);
        assert_eq!((events(session), session.next_deadline()), (vec![], None), "no Reconnect");
        assert_eq!(session.pending_len(), 1);
        // Only a login brings it back.
        session.connected(2, "another");
        assert_eq!(written(session)[0].kind(), Kind::HELLO);
    };
    let mut at_hello = Session::new(config(), None);
    at_hello.connected(0, "token");
    written(&mut at_hello);
    at_hello.receive(0, encode(1, &refusal.body()));
    is_over(&mut at_hello);
    let mut unasked = live();
    unasked.receive(0, encode(0, &refusal.body()));
    is_over(&mut unasked);
    let mut at_reauth = live();
    at_reauth.reauth("stale", 1000);
    let id = written(&mut at_reauth)[0].header().id;
    at_reauth.receive(0, encode(id, &refusal.body()));
    is_over(&mut at_reauth);
}

#[test]
fn unknown_kinds_and_broken_bodies_are_skipped() {
    let mut session = live();
    session.receive(0, Frame::build(Kind(0x7777), 3, 1, b"whatever"));
    session.receive(0, Frame::build(Kind::COMPLETE, 1, 0, b"short"));
    let stamp = Stamp { seq: Seq(1), time_ms: 1, sender: YOU };
    session.receive(0, Frame::build(Kind(0x01ff), 1, 1, b"new kind").stamp(stamp));
    session.receive(0, Frame::build(Kind::SEND_TEXT, 1, 1, b"?").stamp(stamp));
    assert_eq!(events(&mut session), []);
    session.receive(0, message(chat(), 1, YOU, 1));
    assert_eq!(seqs(&events(&mut session)), [1]);
}

#[test]
fn what_is_saved_goes_on() {
    let mut session = live();
    session.receive(0, complete(0, 3));
    let mine = say(&mut session, "kept");
    let saved = session.saved();
    assert_eq!(saved.cursor, Cursor { generation: Generation(LIFE), at: InboxSeq(3) });
    // An app keeps bytes, not values.
    let bytes = Bytes::copy_from_slice(saved.pending[0].bytes());
    let again = Saved { cursor: saved.cursor, pending: vec![Frame::new(bytes).unwrap()] };
    let mut session = Session::new(Config::new(ME, 1), Some(again));
    greet(&mut session, 0, 3, 3);
    assert_eq!(ids(&written(&mut session)), [mine]);
}

#[test]
fn every_due_deadline_goes_away() {
    let mut session = live();
    session.receive(0, complete(0, 3));
    let mine = say(&mut session, "x");
    written(&mut session);
    session.receive(0, busy(mine.0, 10));
    let mut now = 0;
    for _ in 0..200 {
        let Some(at) = session.next_deadline() else { break };
        assert!(at > now, "{at} after {now}");
        now = at;
        session.tick(now);
        written(&mut session);
        if events(&mut session).contains(&Event::Dead) {
            session.disconnected(now);
        }
    }
    assert_eq!(session.next_deadline(), None, "after Reconnect it is the dialler's turn");
}
