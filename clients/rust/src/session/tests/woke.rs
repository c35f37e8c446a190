//! A device that slept, or had no network for a while.

use super::*;
use crate::session::limits::WOKE_WAIT_MS;

#[test]
fn a_connection_has_to_show_that_it_lives() {
    let mut session = live();
    session.woke(10_000);
    assert_eq!(written(&mut session).iter().map(Frame::kind).collect::<Vec<_>>(), [Kind::HEARTBEAT]);
    session.woke(11_000);
    assert_eq!(written(&mut session), [], "it is asked already");
    assert_eq!(session.next_deadline(), Some(10_000 + WOKE_WAIT_MS));
    session.tick(10_000 + WOKE_WAIT_MS);
    assert_eq!(events(&mut session), [Event::Dead]);
}

#[test]
fn one_that_answers_goes_on() {
    let mut session = live();
    session.woke(10_000);
    let beat = written(&mut session).remove(0);
    session.receive(10_100, beat);
    session.tick(10_000 + WOKE_WAIT_MS);
    assert_eq!(events(&mut session), []);
    assert_eq!(session.state(), State::Live);
}

#[test]
fn who_waits_to_dial_does_so_at_once() {
    let mut session = live();
    for at in 0..8 {
        session.disconnected(at);
    }
    events(&mut session);
    session.woke(20);
    session.tick(20);
    assert_eq!(events(&mut session), [Event::Reconnect]);
    session.disconnected(21);
    let [Event::Disconnected { retry_at_ms }] = events(&mut session)[..] else { panic!() };
    assert!(retry_at_ms <= 21 + 250, "what failed before is another network's");
}

#[test]
fn a_pause_that_the_server_asked_for_is_kept() {
    let mut session = live();
    session.receive(0, encode(0, &GoingAway { reconnect_after_ms: 9000, reason: 1001 }));
    session.disconnected(0);
    events(&mut session);
    session.woke(10);
    session.tick(10);
    assert_eq!((events(&mut session), session.next_deadline()), (vec![], Some(9000)));
}
