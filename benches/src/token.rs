//! Who an access token names, without asking whether it is genuine: what is measured against has no accounts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::UserId;

/// The user in a token's claims; `None` for what is no token of ours. The layout is that of `protocol::token`.
#[must_use]
pub fn user_of(token: &str) -> Option<UserId> {
    let claims = token.strip_prefix("m2.").or_else(|| token.strip_prefix("m1."))?.split('.').next()?;
    let bytes = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let user: &[u8; 8] = bytes.get(4..)?.first_chunk()?;
    Some(UserId(u64::from_le_bytes(*user)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::DeviceId;
    use protocol::token::{Claims, Key, sign};

    #[test]
    fn a_token_names_its_user() {
        let claims = Claims { user: UserId(77), device: DeviceId(5), expires_ms: 9, issued_ms: 1 };
        let token = sign(&Key { id: 1, secret: [3; 32] }, &claims);
        assert_eq!(user_of(&token), Some(UserId(77)));
        assert_eq!(user_of("m1.x.y"), None);
        assert_eq!(user_of(""), None);
    }
}
