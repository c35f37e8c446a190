//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): whoever repeats a request under its key is answered as the
//! first time. What remembers is the core, whose key for a message is (channel, sender, send id): the send id is made of the
//! user and the key here, so that nothing is kept beside the message itself, and a repeat is known for as long as one of a
//! frame is.

use axum::http::HeaderMap;
use axum::http::StatusCode;
use protocol::{SendId, UserId};
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;

pub(crate) const HEADER: &str = "Idempotency-Key";
/// Most characters of a key.
pub(crate) const KEY_CHARS_MAX: usize = 255;
/// What else is hashed begins otherwise.
const LABEL: &[u8] = b"maru idempotency key\0";

/// The send id that a request's key names.
pub(crate) fn send_id(headers: &HeaderMap, user: UserId) -> Result<SendId, ApiError> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        let words = "a request that sends names itself in Idempotency-Key, so that it can be repeated";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "idempotency_key_needed", words).at(HEADER));
    };
    if values.next().is_some() {
        return Err(ApiError::field(HEADER, "there are several; expected one"));
    }
    let text = value.to_str().ok().map(str::trim);
    // A string of RFC 9651, or the same without quotes.
    let key = text.map(|text| text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text));
    let is_plain =
        |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    match key.filter(is_plain) {
        Some(key) if (1..=KEY_CHARS_MAX).contains(&key.len()) => Ok(of_key(user, key)),
        _ => {
            let words = "expected 1 to 255 visible ASCII characters but \" and \\, in quotes or without";
            Err(ApiError::field(HEADER, words))
        }
    }
}

/// Never 0, which is no send id. The user is part of it: two who take the same key share nothing, and what a key was
/// cannot be looked up in one list for all.
fn of_key(user: UserId, key: &str) -> SendId {
    let mut digest = Sha256::new();
    digest.update(LABEL);
    digest.update(user.0.to_le_bytes());
    digest.update(key);
    let bytes: [u8; 32] = digest.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = bytes;
    SendId(u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(values: &[&'static [u8]]) -> Result<SendId, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        send_id(&headers, UserId(7))
    }

    #[test]
    fn quotes_do_not_matter_and_users_do() {
        let key = of(&[b"8e03978e-40d5-43e8-bc93-6894a57f9324"]).unwrap();
        assert_eq!(of(&[b" \"8e03978e-40d5-43e8-bc93-6894a57f9324\" "]).unwrap(), key);
        assert_ne!(of(&[b"8e03978e-40d5-43e8-bc93-6894a57f9325"]).unwrap(), key);
        assert_ne!(of_key(UserId(8), "8e03978e-40d5-43e8-bc93-6894a57f9324"), key);
        // For ever: a repeat may come after an upgrade.
        assert_eq!(of_key(UserId(7), "a"), SendId(GOLDEN));
    }

    /// SHA-256 of `maru idempotency key`, a zero, the user's eight bytes and the key; its first eight bytes, least first.
    const GOLDEN: u64 = 0xf42f_2c67_fb8b_e600;

    #[test]
    fn what_is_no_key_is_refused_in_words() {
        assert_eq!(of(&[]).unwrap_err().code(), "idempotency_key_needed");
        const LONG: &[u8] = &[b'x'; 256];
        for wrong in [b"".as_slice(), b"\"\"", b" ", b"a b", b"a\"b", b"\"a", b"\xc3\xa9", LONG] {
            assert_eq!(of(&[wrong]).unwrap_err().code(), "bad_field", "{wrong:?}");
        }
        assert_eq!(of(&[b"a", b"b"]).unwrap_err().code(), "bad_field");
        assert!(of(&[&LONG[1..]]).is_ok());
    }
}
