//! Refresh tokens: `mr1.` and 64 hex digits, of which the first half names the family, the second is the token's own.
//!
//! All tokens of a family share its half, so a token that was shown long ago is known for what it is from one row a device.
//! The next token is made from the one before with a signing key: a repeated request, whose first answer was lost, is
//! answered with the same token, though only hashes are kept. Whoever has a token and no key cannot make the next.

use hmac::{Hmac, Mac as _};
use protocol::token::Key;
use sha2::Sha256;

use crate::private_file::hex;
use crate::secret::{self, SECRET_BYTES, Secret};

const PREFIX: &str = "mr1.";
/// What else the signing keys sign are access tokens, which begin otherwise.
const LABEL: &[u8] = b"maru refresh token";

/// One token. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub(crate) family: Secret,
    own: Secret,
}

impl RefreshToken {
    /// The first of a family.
    pub(crate) fn fresh() -> Result<Self, getrandom::Error> {
        Ok(Self { family: secret::fresh()?, own: secret::fresh()? })
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (family, own) = text.strip_prefix(PREFIX)?.split_at_checked(2 * SECRET_BYTES)?;
        Some(Self { family: secret::parse(family)?, own: secret::parse(own)? })
    }

    pub(crate) fn text(&self) -> String {
        format!("{PREFIX}{}{}", hex(&*self.family), hex(&*self.own))
    }

    /// The one that this one is exchanged for; `None` cannot happen: a MAC takes keys of any length.
    pub(crate) fn next(&self, key: &Key) -> Option<Self> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).ok()?;
        for part in [LABEL, &*self.family, &*self.own] {
            mac.update(part);
        }
        let mut own = Secret::default();
        own.copy_from_slice(mac.finalize().into_bytes().get(..SECRET_BYTES)?);
        Some(Self { family: self.family.clone(), own })
    }

    /// What is kept of the family.
    pub(crate) fn family_hash(&self) -> String {
        secret::kept(&self.family)
    }

    /// What is kept of this one.
    pub(crate) fn hash(&self) -> String {
        secret::kept(&self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_successors() {
        let token = RefreshToken::fresh().unwrap();
        let text = token.text();
        assert_eq!(text.len(), 68);
        assert!(RefreshToken::parse(&text).unwrap() == token);
        let (key, other) = (Key { id: 1, secret: [1; 32] }, Key { id: 2, secret: [2; 32] });
        let next = token.next(&key).unwrap();
        assert!(next == token.next(&key).unwrap() && next.family == token.family && next != token);
        assert!(next != token.next(&other).unwrap() && next != next.next(&key).unwrap());
        for wrong in ["", "mr1.", &text[4..], &text[..67], &format!("{text}0"), &text.replace("mr1", "mr2")] {
            assert!(RefreshToken::parse(wrong).is_none(), "{wrong}");
        }
        assert!(RefreshToken::parse(&format!("mr1.{}", "가".repeat(21))).is_none());
    }
}
