//! Who is there, as the device side keeps it.

use protocol::body::presence::{
    GetPresence, Idle, OwnPresence, Presence, PresenceItem, STATE_AWAY, STATE_ONLINE, Unwatch, Watch,
};

use protocol::body::session::KindVersion;

use super::*;

fn item(user: u64, state: u8) -> PresenceItem {
    PresenceItem { user, state, last_active_ms: 0, status_until_ms: 0, status: String::new() }
}

/// A connection to a server that knows what presence is.
fn again(session: &mut Session) {
    session.disconnected(0);
    session.connected(0, "token");
    assert_eq!(written(session).len(), 1);
    let known = read::<Welcome>(&welcome(0, 0))
        .map(|welcome| Welcome { kinds: vec![KindVersion { kind: Kind::WATCH.0, version: 1 }], ..welcome });
    session.receive(0, encode(0, &known.unwrap()));
    events(session);
}

fn present() -> Session {
    let mut session = Session::new(config(), None);
    again(&mut session);
    session
}

fn watched(frames: &[Frame]) -> Vec<Vec<u64>> {
    frames
        .iter()
        .filter_map(|frame| read::<Watch>(frame).filter(|_| frame.kind() == Kind::WATCH))
        .map(|w| w.users)
        .collect()
}

#[test]
fn every_connection_is_told_whom_to_show() {
    let mut session = present();
    session.watch(&[UserId(9), UserId(5)]).unwrap();
    session.watch(&[UserId(5), UserId(7)]).unwrap();
    session.idle(true);
    session.idle(true);
    let frames = written(&mut session);
    assert_eq!(watched(&frames), [vec![5, 9], vec![7]]);
    assert_eq!(frames.iter().filter(|frame| frame.kind() == Kind::IDLE).count(), 1, "said once");
    session.unwatch(&[UserId(9), UserId(11)]).unwrap();
    let frames = written(&mut session);
    assert_eq!(read::<Unwatch>(&frames[0]).unwrap().users, [9]);
    again(&mut session);
    let frames = written(&mut session);
    assert_eq!(watched(&frames), [vec![5, 7]], "all of them at once, and nothing of what was asked before");
    assert!(!frames.iter().any(|frame| frame.kind() == Kind::UNWATCH));
    let idle = frames.iter().find(|frame| frame.kind() == Kind::IDLE).unwrap();
    assert!(read::<Idle>(idle).unwrap().is_idle);
}

/// A server that had no token left heard nothing of it: found by seed 157 of the simulator.
#[test]
fn that_nobody_is_there_is_said_again_when_it_was_refused_for_now() {
    use super::super::marks::UNANSWERED;
    let mut session = present();
    let refused = || encode(UNANSWERED, &Refusal::retry(Code::Rate, 70, "tokens").body());
    let idles = |session: &mut Session| {
        let frames = written(session);
        let idles = frames.iter().filter(|frame| frame.kind() == Kind::IDLE);
        idles.map(|frame| read::<Idle>(frame).unwrap().is_idle).collect::<Vec<_>>()
    };
    session.receive(0, refused());
    assert_eq!(idles(&mut session), [false; 0], "nothing was said of it");
    session.idle(true);
    assert_eq!(idles(&mut session), [true]);
    session.receive(0, refused());
    let mut at = 0;
    let said = loop {
        let said = idles(&mut session);
        if !said.is_empty() || at > 10_000 {
            break said;
        }
        at = session.next_deadline().unwrap().max(at + 1);
        session.tick(at);
    };
    assert_eq!(said, [true]);
    session.tick(at + 60_000);
    assert_eq!(idles(&mut session), [false; 0], "once");
    // What is so by then is said.
    session.receive(at, refused());
    session.idle(false);
    session.tick(at + 120_000);
    assert_eq!(idles(&mut session), [false]);
}

#[test]
fn no_more_than_a_session_may_watch() {
    let mut session = present();
    let users: Vec<UserId> = (1..=500).map(UserId).collect();
    session.watch(&users).unwrap();
    session.watch(&users).unwrap();
    assert_eq!(session.watch(&[UserId(501)]).unwrap_err().code, Code::Limit);
}

#[test]
fn a_look_is_answered_when_everybody_was_told_of() {
    let mut session = present();
    let request = session.presence(&[UserId(9), UserId(5)]).unwrap();
    let asked = written(&mut session);
    assert_eq!(read::<GetPresence>(&asked[0]).unwrap().users, [5, 9]);
    let told = |user| encode(request.0, &Presence { items: vec![item(user, STATE_ONLINE)] });
    let event =
        |user, more| Event::Presence { request: Some(request), items: vec![item(user, STATE_ONLINE)], more };
    session.receive(0, told(9));
    assert_eq!((session.poll_event(), session.requests_len()), (Some(event(9, true)), 1));
    session.receive(0, told(5));
    assert_eq!((session.poll_event(), session.requests_len()), (Some(event(5, false)), 0));
    session.receive(0, told(5));
    assert_eq!(session.poll_event(), None);
}

#[test]
fn what_comes_by_itself_is_told() {
    let mut session = present();
    session.receive(0, encode(0, &Presence { items: vec![item(5, STATE_AWAY)] }));
    let expected = Event::Presence { request: None, items: vec![item(5, STATE_AWAY)], more: false };
    assert_eq!(session.poll_event(), Some(expected));
    let own = OwnPresence {
        state: STATE_AWAY,
        shows: 1,
        status_until_ms: 0,
        status: "tea".into(),
        devices: Vec::new(),
    };
    session.receive(0, encode(0, &own));
    assert_eq!(session.poll_event(), Some(Event::OwnPresence { request: None, own }));
}
