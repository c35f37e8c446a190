//! One registry of devices: a device exists when the control plane said so, and no token brings one back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::commit::{AccountRow, PresenceRow, Row};
use protocol::hello::{Hello, Reauth};
use protocol::query::Answer;
use protocol::{CloseCode, Cursor, DeviceId, InboxSeq, UserId};
use shard::{Command, CommandError, ConnId, Input, Ticket};

const USER: UserId = UserId(10);
const REFUSED: &str = "reject 99 unauthenticated";

fn add(device: u64, known: impl IntoIterator<Item = u64>) -> Command {
    let known = known.into_iter().map(DeviceId).collect();
    Command::AddDevice { user: USER, device: DeviceId(device), known }
}

fn remove(device: u64) -> Command {
    Command::RemoveDevice { user: USER, device: DeviceId(device) }
}

fn log_out_all(not_before_ms: u64, keep: Option<u64>) -> Command {
    Command::LogOutAll { user: USER, not_before_ms, keep: keep.map(DeviceId) }
}

/// The user in memory, with devices 1 to `n` and an account.
fn with_devices(n: u64) -> Desk {
    let mut desk = Desk::new(1);
    load(&mut desk, n, 0);
    desk
}

fn load(desk: &mut Desk, n: u64, not_before_ms: u64) {
    desk.turn(0, vec![Input::Control { ticket: Ticket(1), command: remove(4711) }]);
    let account = Some(AccountRow { created_ms: 1, not_before_ms, ..AccountRow::default() });
    desk.answer(Answer::User {
        account,
        devices: desk::devices(n),
        inbox_head: InboxSeq(0),
        presence: PresenceRow::default(),
        push: Default::default(),
        followed: Box::default(),
    });
    desk.run();
}

fn hello_issued(desk: &mut Desk, conn: u64, device: u64, issued_ms: u64) {
    let (user, device, cursor) = (USER, DeviceId(device), Cursor::default());
    let expires_ms = desk.wall_ms + 3_600_000;
    desk.turn(
        0,
        vec![Input::Hello {
            conn: ConnId(conn),
            hello: Hello { user, device, cursor, id: 99, expires_ms, issued_ms },
        }],
    );
}

fn is_refused(desk: &mut Desk, conn: u64) {
    assert_eq!(desk.seen(conn), [REFUSED]);
    assert_eq!(desk.closed.pop(), Some((ConnId(conn), CloseCode::Unauthenticated)));
}

fn is_welcome(desk: &mut Desk, conn: u64) {
    assert!(desk.seen(conn)[0].starts_with("welcome"));
}

#[test]
fn a_device_that_nobody_added_is_refused_and_leaves_nothing() {
    let mut desk = with_devices(0);
    desk.hello(1, USER.0, 7, 0);
    is_refused(&mut desk, 1);
    assert!(desk.run().is_empty(), "a Hello writes no row");
    assert_eq!(desk.command(add(7, [])), Ok(()));
    desk.hello(2, USER.0, 7, 0);
    is_welcome(&mut desk, 2);
}

#[test]
fn a_device_exists_before_its_token_does() {
    let mut desk = with_devices(0);
    desk.turn(0, vec![Input::Control { ticket: Ticket(9), command: add(7, []) }]);
    assert!(desk.replies.iter().all(|(ticket, _)| *ticket != Ticket(9)), "answered once stored");
    let batch = desk.store_one();
    assert!(batch.rows.iter().any(|row| matches!(row, Row::Device { device: DeviceId(7), .. })));
    assert_eq!(desk.replies.last(), Some(&(Ticket(9), Ok(()))));
}

#[test]
fn a_logged_out_device_is_told_and_does_not_come_back() {
    let mut desk = with_devices(2);
    desk.hello(1, USER.0, 1, 0);
    desk.hello(2, USER.0, 2, 0);
    desk.take(1);
    desk.take(2);
    assert_eq!(desk.command(remove(1)), Ok(()));
    assert_eq!(desk.seen(1), ["reject 0 unauthenticated"]);
    assert_eq!(desk.closed.pop(), Some((ConnId(1), CloseCode::Unauthenticated)));
    assert!(desk.seen(2).is_empty() && desk.closed.is_empty(), "the other device goes on");
    desk.hello(3, USER.0, 1, 0);
    is_refused(&mut desk, 3);
    assert_eq!(desk.command(remove(1)), Ok(()), "it can be said again");
}

#[test]
fn a_token_from_before_a_logout_from_everywhere_is_refused() {
    let mut desk = with_devices(3);
    let now = desk.wall_ms;
    for (conn, device) in [(1, 1), (2, 2)] {
        hello_issued(&mut desk, conn, device, now);
        desk.take(conn);
    }
    assert_eq!(desk.command(log_out_all(now + 1, Some(2))), Ok(()));
    assert_eq!(desk.seen(1), ["reject 0 unauthenticated"]);
    assert_eq!(desk.closed.pop(), Some((ConnId(1), CloseCode::Unauthenticated)));
    assert!(desk.seen(2).is_empty() && desk.closed.is_empty(), "the kept device goes on");
    // Its old token brings no new connection, and prolongs nothing.
    hello_issued(&mut desk, 3, 2, now);
    is_refused(&mut desk, 3);
    let reauth = |conn, issued_ms| {
        let reauth = Reauth { id: 99, expires_ms: u64::MAX, issued_ms };
        Input::Reauth { conn: ConnId(conn), reauth }
    };
    desk.turn(0, vec![reauth(2, now + 1)]);
    assert_eq!(desk.seen(2), ["done 99"]);
    desk.turn(0, vec![reauth(2, 0)]);
    is_refused(&mut desk, 2);
    hello_issued(&mut desk, 4, 2, now + 1);
    is_welcome(&mut desk, 4);
    // A new device of the same name as an old one needs a new token, too.
    assert_eq!(desk.command(add(3, [])), Ok(()));
    hello_issued(&mut desk, 5, 3, now);
    is_refused(&mut desk, 5);
}

#[test]
fn a_logout_from_everywhere_is_one_batch_and_is_read_again() {
    let mut desk = with_devices(3);
    let now = desk.wall_ms;
    desk.turn(0, vec![Input::Control { ticket: Ticket(9), command: log_out_all(now, None) }]);
    let rows = desk.store_one().rows;
    assert!(desk.batches.is_empty() && desk.replies.last() == Some(&(Ticket(9), Ok(()))));
    let gone = rows.iter().filter(|row| matches!(row, Row::DeviceGone { .. })).count();
    let account = AccountRow { created_ms: 1, not_before_ms: now, ..AccountRow::default() };
    assert!(gone == 3 && rows.contains(&Row::Account { user: USER, row: account }), "{rows:?}");
    // An older one changes nothing.
    assert_eq!(desk.command(log_out_all(now - 1, None)), Ok(()));

    let mut later = Desk::new(1);
    load(&mut later, 3, now);
    hello_issued(&mut later, 1, 1, now - 1);
    is_refused(&mut later, 1);
    hello_issued(&mut later, 2, 1, 0);
    is_refused(&mut later, 2);
    hello_issued(&mut later, 3, 1, now);
    is_welcome(&mut later, 3);
}

#[test]
fn sixteen_logins_and_logouts_leave_sixteen_places() {
    let mut desk = with_devices(0);
    for device in 1..=16 {
        assert_eq!(desk.command(add(device, [device])), Ok(()));
        desk.hello(device, USER.0, device, 0);
        is_welcome(&mut desk, device);
        assert_eq!(desk.command(remove(device)), Ok(()));
        desk.hello(100 + device, USER.0, device, 0);
        assert_eq!(desk.seen(100 + device), [REFUSED]);
    }
    for device in 21..=36 {
        assert_eq!(desk.command(add(device, [])), Ok(()));
        desk.hello(device, USER.0, device, 0);
        is_welcome(&mut desk, device);
    }
    assert_eq!(desk.command(add(37, 21..=36)), Err(CommandError::Full));
    desk.hello(37, USER.0, 37, 0);
    assert_eq!(desk.seen(37), [REFUSED]);
}

#[test]
fn a_replaced_device_does_not_push_the_new_one_out() {
    let mut desk = with_devices(16);
    assert_eq!(desk.command(remove(3)), Ok(()));
    assert_eq!(desk.command(add(17, 1..=17)), Ok(()));
    desk.hello(1, USER.0, 3, 0);
    is_refused(&mut desk, 1);
    desk.hello(2, USER.0, 17, 0);
    is_welcome(&mut desk, 2);
    desk.hello(3, USER.0, 3, 0);
    is_refused(&mut desk, 3);
    assert!(desk.closed.is_empty() && desk.seen(2).is_empty());
}

#[test]
fn devices_that_the_control_plane_does_not_know_give_way_oldest_first() {
    let mut desk = with_devices(16);
    // 2 and 5 are strays of an old directory; there is no place.
    let known = (1..=17).filter(|device| ![2, 5].contains(device));
    desk.hello(2, USER.0, 2, 0);
    desk.take(2);
    assert_eq!(desk.command(add(17, known.clone())), Ok(()));
    assert_eq!(desk.closed.pop(), Some((ConnId(2), CloseCode::Unauthenticated)));
    desk.hello(5, USER.0, 5, 0);
    is_welcome(&mut desk, 5);
    assert_eq!(desk.command(add(18, known.chain([18]))), Ok(()));
    assert_eq!(desk.closed.pop(), Some((ConnId(5), CloseCode::Unauthenticated)));
    assert_eq!(desk.command(add(19, 1..=19)), Err(CommandError::Full));
    assert_eq!(desk.command(add(18, [])), Ok(()), "one that is there needs no place");
}

#[test]
fn commands_that_cannot_be_carried_out_say_why() {
    let mut desk = Desk::new(1);
    desk.turn(0, vec![Input::Control { ticket: Ticket(1), command: add(1, []) }]);
    desk.fail_read();
    assert_eq!(desk.replies.pop(), Some((Ticket(1), Err(CommandError::Busy { retry_after_ms: 1000 }))));
    // The read that failed rests for a while.
    desk.pass(1000);
    desk.turn(0, vec![Input::Control { ticket: Ticket(2), command: add(1, []) }]);
    desk.answer(Answer::User {
        account: None,
        devices: Vec::new(),
        inbox_head: InboxSeq(0),
        presence: PresenceRow::default(),
        push: Default::default(),
        followed: Box::default(),
    });
    assert_eq!(desk.replies.pop(), Some((Ticket(2), Err(CommandError::NoSuchUser))));
    assert_eq!(desk.command(log_out_all(1, None)), Err(CommandError::NoSuchUser));
    let mut two = Desk::new(2);
    let elsewhere = 1 - two.home(USER.0);
    two.turn(elsewhere, vec![Input::Control { ticket: Ticket(3), command: remove(1) }]);
    assert_eq!(two.replies.pop(), Some((Ticket(3), Err(CommandError::OtherHome))));
}
