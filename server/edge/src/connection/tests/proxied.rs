//! A connection through a proxy that has to say who connects.

use core::net::IpAddr;

use super::*;
use crate::limits::PREAMBLE_BYTES_MAX;

/// 203.0.113.9, with `more` bytes behind the addresses.
fn preamble(more: usize) -> Vec<u8> {
    let len = u16::try_from(12 + more).unwrap();
    let head = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &len.to_be_bytes()].concat();
    [&head[..], &[203, 0, 113, 9, 192, 0, 2, 1, 0, 80, 0, 80], &vec![0; more]].concat()
}

fn client() -> Option<IpAddr> {
    Some("203.0.113.9".parse().unwrap())
}

#[test]
fn whole_or_torn_the_request_behind_it_is_served() {
    let bytes = [preamble(100), REQUEST.as_bytes().to_vec(), message(&[hello(token(7, 8, 60_000))])].concat();
    for chunk in [1, 2, 15, 16, 17, 27, 28, 100, usize::MAX] {
        let mut connection = Connection::behind_proxy(9000);
        let events = feed(&mut connection, &bytes, chunk, false);
        assert_eq!(events.len(), 1, "Hello, in chunks of {chunk}");
        assert!(connection.is_live());
        assert_eq!(connection.take_source(), client());
        assert_eq!(connection.take_source(), None, "once");
        assert!(connection.state.rare.is_none(), "nothing is kept");
    }
}

#[test]
fn who_does_not_say_it_is_dropped_without_a_word() {
    for bytes in [REQUEST.as_bytes().to_vec(), preamble(PREAMBLE_BYTES_MAX), b"PROXY UNKNOWN\r\n".to_vec()] {
        let mut connection = Connection::behind_proxy(9000);
        feed(&mut connection, &bytes, 5, false);
        assert!(connection.is_finished() && connection.is_unannounced());
        assert!(output(&mut connection).is_empty());
    }
}

#[test]
fn who_is_no_trusted_proxy_cannot_say_it() {
    let mut connection = Connection::new(9000);
    feed(&mut connection, &[preamble(0), REQUEST.as_bytes().to_vec()].concat(), 7, false);
    assert!(connection.is_refused());
    assert_eq!(connection.take_source(), None);
    assert!(output(&mut connection).starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn it_has_the_time_to_say_hello_and_no_more() {
    let mut connection = Connection::behind_proxy(9000);
    feed(&mut connection, &preamble(0)[..20], 1, false);
    assert!(connection.is_unauthenticated());
    let keys = keys();
    connection.on_deadline(&Moment { now_ms: 9000, ..moment(&keys) });
    assert!(connection.is_finished() && !connection.is_unannounced());
}
