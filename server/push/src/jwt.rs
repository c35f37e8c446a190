//! The signed words that providers know this server by: a JSON Web Token (RFC 7515, compact form).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::Value;

/// A token of these parts. `sign` signs the bytes that it is given.
pub(crate) fn signed(
    head: &Value,
    claims: &Value,
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Result<String, String> {
    let words = format!("{}.{}", BASE64.encode(head.to_string()), BASE64.encode(claims.to_string()));
    let signature = sign(words.as_bytes()).ok_or("the key signs nothing")?;
    Ok(format!("{words}.{}", BASE64.encode(signature)))
}
