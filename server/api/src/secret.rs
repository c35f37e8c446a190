//! Secrets that are given out and shown again: random, and kept as a hash. 128 bits of randomness need no slow hash, and a
//! look-up by hash tells nothing by its time.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::ApiError;
use crate::private_file::hex;

/// Bytes of randomness in each.
pub(crate) const SECRET_BYTES: usize = 16;

/// A secret.
pub(crate) type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// A fresh one.
pub(crate) fn fresh() -> Result<Secret, getrandom::Error> {
    let mut secret = Secret::default();
    getrandom::fill(&mut *secret)?;
    Ok(secret)
}

/// What is kept of it: SHA-256 in hex.
pub(crate) fn kept(secret: &Secret) -> String {
    hex(&Sha256::digest(**secret))
}

/// The same of a text, which is compared and never shown.
pub(crate) fn kept_text(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Hex digits of either case, as many as a secret has.
pub(crate) fn parse(text: &str) -> Option<Secret> {
    let mut secret = Secret::default();
    if text.len() != 2 * SECRET_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in secret.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(secret)
}

impl From<getrandom::Error> for ApiError {
    fn from(error: getrandom::Error) -> Self {
        Self::internal(format_args!("no random bytes for a secret: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let secret = fresh().unwrap();
        assert_ne!(secret, fresh().unwrap());
        let text = hex(&*secret);
        assert_eq!(parse(&text), Some(secret.clone()));
        assert_eq!(parse(&text.to_uppercase()), Some(secret.clone()));
        assert_eq!(kept(&secret).len(), 64);
        for wrong in ["", &text[1..], &format!("{text}0"), &format!("+{}", &text[1..]), &"가".repeat(11)] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
