//! A URL of the user's own, called in the form of Standard Webhooks 1.0: an id, a time, and a signature over both and the
//! body, so that whoever is called knows who calls, and knows a repeat.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use protocol::commit::SubscriptionRow;
use ring::hmac;

use crate::call::Call;

/// Fewest and most bytes of a secret.
pub const SECRET_BYTES: core::ops::RangeInclusive<usize> = 24..=64;

/// The call. The id is the same for every attempt of one push.
#[must_use]
pub fn call(row: &SubscriptionRow, id: &str, payload: &[u8], now_ms: u64) -> Call {
    let time = (now_ms / 1000).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &row.secret);
    let mut signing = hmac::Context::with_key(&key);
    for part in [id.as_bytes(), b".", time.as_bytes(), b".", payload] {
        signing.update(part);
    }
    let headers = vec![
        ("content-type", "application/json".into()),
        ("webhook-id", id.into()),
        ("webhook-timestamp", time),
        ("webhook-signature", format!("v1,{}", BASE64.encode(signing.sign()))),
    ];
    Call { headers, body: payload.to_vec() }
}

/// A secret in the form of the standard: `whsec_` and base64.
///
/// # Errors
/// Words: what was expected.
pub fn read_secret(text: &str) -> Result<Vec<u8>, String> {
    let found = text.strip_prefix("whsec_").and_then(|text| BASE64.decode(text).ok());
    let found = found.filter(|secret| SECRET_BYTES.contains(&secret.len()));
    found.ok_or_else(|| "expected `whsec_` and 24 to 64 bytes in base64".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification (github.com/standard-webhooks/standard-webhooks, libraries/*/tests).
    #[test]
    fn the_example_of_the_standard() {
        let secret = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let row = SubscriptionRow { secret, ..SubscriptionRow::default() };
        let call = call(&row, "msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#, 1_614_265_330_000);
        let value =
            |name| call.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!(value("webhook-timestamp"), Some("1614265330"));
        assert_eq!(value("webhook-signature"), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert!(
            read_secret("whsec_short").is_err() && read_secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err()
        );
    }
}
