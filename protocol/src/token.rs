//! Access tokens: short signed text that names a user and a device until a time.
//!
//! ```text
//! m2.<claims>.<tag>
//! claims = base64url without padding of: key id u32 | user u64 | device u64 | expires_ms u64 | issued_ms u64
//!          (little endian)
//! tag    = base64url without padding of HMAC-SHA256(secret, everything before the second dot)
//! ```
//! `m1.` tokens have no `issued_ms` and are still read, as issued at 0. Every token has exactly one spelling: stray
//! base64 bits and padding are refused.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroize as _;

use crate::id::{DeviceId, UserId};
use crate::reject::{Code, Refusal};

const PREFIX: &str = "m2.";
const CLAIMS_BYTES: usize = 36;
/// Tokens of the first layout: they end before `issued_ms`.
const OLD_PREFIX: &str = "m1.";
const OLD_CLAIMS_BYTES: usize = 28;
const TAG_BYTES: usize = 32;

/// A signing key. More than one can be valid at a time, so that keys can be replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its number, found in every token that it signed.
    pub id: u32,
    /// The HMAC-SHA256 key.
    pub secret: [u8; 32],
}

/// The memory that held it is given back without it.
impl Drop for Key {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// Without the secret: keys must not reach a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a token says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claims {
    /// Who.
    pub user: UserId,
    /// Which of the user's devices.
    pub device: DeviceId,
    /// The first moment at which the token is no longer valid, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// When its holder proved who it is, milliseconds since the Unix epoch; 0 in an `m1.` token, which does not say.
    pub issued_ms: u64,
}

/// Why a token is no good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenFault {
    /// Not the text of a token.
    Malformed,
    /// Signed with a key that this server does not hold.
    UnknownKey,
    /// Signed with a key that has a lower number than one that this server holds: it was retired.
    RetiredKey,
    /// The signature does not fit.
    Forged,
    /// It was valid and is no longer.
    Expired,
}

impl TokenFault {
    /// The refusal for the device.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Malformed => Refusal::new(Code::Unauthenticated, "token", "not an access token"),
            Self::UnknownKey => {
                Refusal::new(Code::Unauthenticated, "token", "signed with an unknown key; log in")
            }
            Self::RetiredKey => {
                Refusal::new(Code::Expired, "token", "its key was retired; renew it, or log in again")
            }
            Self::Forged => {
                Refusal::new(Code::Unauthenticated, "token", "the signature does not fit; log in")
            }
            Self::Expired => Refusal::new(Code::Expired, "token", "expired; log in again"),
        }
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not an access token",
            Self::UnknownKey => "signed with an unknown key",
            Self::RetiredKey => "signed with a key that was retired",
            Self::Forged => "the signature does not fit",
            Self::Expired => "expired",
        })
    }
}

impl core::error::Error for TokenFault {}

/// Makes a token: 95 ASCII characters.
#[must_use]
pub fn sign(key: &Key, claims: &Claims) -> String {
    let mut bytes = [0; CLAIMS_BYTES];
    let fields = (key.id.to_le_bytes().into_iter())
        .chain(claims.user.0.to_le_bytes())
        .chain(claims.device.0.to_le_bytes())
        .chain(claims.expires_ms.to_le_bytes())
        .chain(claims.issued_ms.to_le_bytes());
    for (to, from) in bytes.iter_mut().zip(fields) {
        *to = from;
    }
    let mut token = String::with_capacity(95);
    token.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut token);
    if let Some(mac) = mac(key, token.as_bytes()) {
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut token);
    }
    token
}

/// Checks a token against the keys that are valid now. The signature is compared in constant time.
///
/// # Errors
/// The first fault in the order of [`TokenFault`].
pub fn verify(keys: &[Key], token: &str, now_ms: u64) -> Result<Claims, TokenFault> {
    let (signed, tag) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
    let parsed = if let Some(claims) = signed.strip_prefix(PREFIX) {
        parse(&decode::<CLAIMS_BYTES>(claims)?)
    } else {
        let claims = signed.strip_prefix(OLD_PREFIX).ok_or(TokenFault::Malformed)?;
        parse(&decode::<OLD_CLAIMS_BYTES>(claims)?)
    };
    let tag: [u8; TAG_BYTES] = decode(tag)?;
    let (key_id, claims) = parsed.ok_or(TokenFault::Malformed)?;
    let key = keys.iter().find(|key| key.id == key_id).ok_or_else(|| missing(keys, key_id))?;
    let mac = mac(key, signed.as_bytes()).ok_or(TokenFault::Forged)?;
    mac.verify_slice(&tag).map_err(|_| TokenFault::Forged)?;
    if now_ms >= claims.expires_ms {
        return Err(TokenFault::Expired);
    }
    Ok(claims)
}

/// Numbers are given in rising order and never twice. Whoever lies about one is told to come with another token, and has none.
fn missing(keys: &[Key], key_id: u32) -> TokenFault {
    let is_old = key_id > 0 && keys.iter().any(|key| key.id > key_id);
    if is_old { TokenFault::RetiredKey } else { TokenFault::UnknownKey }
}

/// `None` cannot happen: HMAC takes keys of any length.
fn mac(key: &Key, signed: &[u8]) -> Option<Hmac<Sha256>> {
    Some(Hmac::<Sha256>::new_from_slice(&key.secret).ok()?.chain_update(signed))
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], TokenFault> {
    // The length is compared first, so that a long text is not decoded at all.
    if text.len() != (N * 8).div_ceil(6) {
        return Err(TokenFault::Malformed);
    }
    let mut bytes = [0; N];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(len) if len == N => Ok(bytes),
        _ => Err(TokenFault::Malformed),
    }
}

/// The claims of either layout: the old one ends before `issued_ms`.
fn parse(bytes: &[u8]) -> Option<(u32, Claims)> {
    let (key_id, rest) = bytes.split_first_chunk::<4>()?;
    let (user, rest) = rest.split_first_chunk::<8>()?;
    let (device, rest) = rest.split_first_chunk::<8>()?;
    let (expires_ms, rest) = rest.split_first_chunk::<8>()?;
    let claims = Claims {
        user: UserId(u64::from_le_bytes(*user)),
        device: DeviceId(u64::from_le_bytes(*device)),
        expires_ms: u64::from_le_bytes(*expires_ms),
        issued_ms: rest.first_chunk().map_or(0, |issued_ms| u64::from_le_bytes(*issued_ms)),
    };
    (claims.user.0 != 0 && claims.device.0 != 0).then_some((u32::from_le_bytes(*key_id), claims))
}
