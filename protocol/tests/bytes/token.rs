//! Access tokens: one golden token, and no change of any byte that still passes.

use protocol::token::{Claims, Key, TokenFault, sign, verify};
use protocol::{Code, DeviceId, UserId};

const NOW_MS: u64 = 1_790_000_000_000;

fn key(id: u32) -> Key {
    let mut secret = [0x11; 32];
    secret[0] = id as u8;
    Key { id, secret }
}

fn claims() -> Claims {
    Claims {
        user: UserId(0x0123_4567_89ab_cdef),
        device: DeviceId(42),
        expires_ms: NOW_MS + 1,
        issued_ms: NOW_MS - 1,
    }
}

#[test]
fn golden() {
    let token = sign(&key(7), &claims());
    assert_eq!(token, GOLDEN, "the bytes of a token are frozen");
    assert_eq!(verify(&[key(3), key(7)], &token, NOW_MS), Ok(claims()));
}

/// The same of the first layout, which does not say when it was issued.
#[test]
fn golden_of_old() {
    let old = Claims { issued_ms: 0, ..claims() };
    assert_eq!(verify(&[key(3), key(7)], OLD, NOW_MS), Ok(old));
    assert_eq!(verify(&[key(7)], &OLD.replace("m1.", "m2."), NOW_MS), Err(TokenFault::Malformed));
    let token = sign(&key(7), &claims());
    assert_eq!(verify(&[key(7)], &token.replace("m2.", "m1."), NOW_MS), Err(TokenFault::Malformed));
}

const GOLDEN: &str =
    "m2.BwAAAO_Nq4lnRSMBKgAAAAAAAAABbFDEoAEAAP9rUMSgAQAA.nEBAeMbfbYh_WX7Xjay6_CtT2P9VfMhpSoy5sVBhiJ0";
const OLD: &str = "m1.BwAAAO_Nq4lnRSMBKgAAAAAAAAABbFDEoAEAAA.CZYjBrS6dR0DXCJR7wgLkEWh9YJhQ1hEWG43DuZshHI";

#[test]
fn a_token_ends_at_its_moment() {
    let token = sign(&key(7), &claims());
    assert!(verify(&[key(7)], &token, NOW_MS).is_ok());
    assert_eq!(verify(&[key(7)], &token, NOW_MS + 1), Err(TokenFault::Expired));
    assert_eq!(TokenFault::Expired.refusal().code, Code::Expired);
}

#[test]
fn no_changed_byte_passes() {
    // The oldest key: a lower number would be one that was retired.
    let token = sign(&key(1), &claims());
    for at in 0..token.len() {
        for byte in (0x21..0x7f).chain([b'\n', 0]) {
            let mut bytes = token.clone().into_bytes();
            if bytes[at] == byte {
                continue;
            }
            bytes[at] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            let fault = verify(&[key(1), key(2)], &changed, NOW_MS).expect_err(&changed);
            assert_ne!(fault, TokenFault::Expired, "a forged token must not look expired: {changed}");
            assert_eq!(fault.refusal().code, Code::Unauthenticated);
        }
    }
}

#[test]
fn no_shorter_or_longer_token_passes() {
    let token = sign(&key(7), &claims());
    for len in 0..token.len() {
        assert!(verify(&[key(7)], &token[..len], NOW_MS).is_err());
    }
    for more in ["=", "A", ".", " "] {
        assert_eq!(verify(&[key(7)], &format!("{token}{more}"), NOW_MS), Err(TokenFault::Malformed));
    }
    assert_eq!(verify(&[key(7)], &"m1.".repeat(1000), NOW_MS), Err(TokenFault::Malformed));
}

#[test]
fn another_key_is_unknown_and_another_secret_forged() {
    let token = sign(&key(7), &claims());
    assert_eq!(verify(&[], &token, NOW_MS), Err(TokenFault::UnknownKey));
    assert_eq!(verify(&[key(6)], &token, NOW_MS), Err(TokenFault::UnknownKey));
    assert_eq!(verify(&[key(6), key(8)], &token, NOW_MS), Err(TokenFault::RetiredKey));
    assert_eq!(verify(&[key(8)], &sign(&key(0), &claims()), NOW_MS), Err(TokenFault::UnknownKey));
    let other = Key { id: 7, secret: [0; 32] };
    assert_eq!(verify(&[other], &token, NOW_MS), Err(TokenFault::Forged));
}

#[test]
fn a_secret_is_not_printed() {
    let shown = format!("{:?}", Key { id: 7, secret: [0xab; 32] });
    assert!(shown.contains('7') && !shown.contains("171") && !shown.contains("ab"), "{shown}");
}
