//! JSON Web Tokens of others (RFC 7519), as signed compact texts (RFC 7515) and as nothing else. Read here, verified with a key
//! in `key`, believed in `claims`.
//!
//! What makes a token mean one thing: base64url without padding and stray bits, JSON in which no name stands twice, one
//! signature, no extension that we do not know, an algorithm that the *issuer's* settings name and a key that was made for
//! that algorithm alone. Keys and addresses that a token brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at.

pub(crate) mod claims;
pub(crate) mod fault;
pub(crate) mod key;
mod strict;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

pub(crate) use fault::Fault;
pub(crate) use key::{Algorithm, KeySet};
pub(crate) use strict::object;

/// Most bytes of a token: it fits a request's body with what stands beside it.
pub(crate) const JWT_BYTES_MAX: usize = 12 * 1024;
/// Most bytes of the name of a key.
const KID_BYTES_MAX: usize = 256;

/// A token that was read. Nothing in it is to be believed before its signature was checked.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) claims: Map<String, Value>,
    /// What was signed.
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Reads a token.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Fault> {
        if text.len() > JWT_BYTES_MAX {
            return Err(Fault::malformed(format_args!(
                "{} bytes; at most {JWT_BYTES_MAX} are read",
                text.len()
            )));
        }
        let parts: Vec<&str> = text.splitn(6, '.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(Fault::malformed(match parts.len() {
                5 => "it is encrypted (JWE); send a signed one".to_owned(),
                count => format!("{count} parts with dots between them; a signed JWT has 3"),
            }));
        };
        let (algorithm, kid) = read_header(&json(header, "header")?)?;
        let signature = decoded(signature, "signature")?;
        let signed = text.get(..header.len() + 1 + claims.len()).unwrap_or_default();
        Ok(Self { algorithm, kid, claims: json(claims, "claims")?, signed, signature })
    }

    /// Who says that it made the token.
    pub(crate) fn issuer(&self) -> Result<&str, Fault> {
        match self.claims.get("iss") {
            Some(Value::String(issuer)) => Ok(issuer),
            Some(_) => Err(Fault::claims("\"iss\" is not a text")),
            None => Err(Fault::claims("\"iss\" is missing: a token says who made it")),
        }
    }
}

fn decoded(part: &str, name: &str) -> Result<Vec<u8>, Fault> {
    BASE64URL_NOPAD
        .decode(part.as_bytes())
        .map_err(|_| Fault::malformed(format_args!("its {name} is not base64url without padding")))
}

fn json(part: &str, name: &str) -> Result<Map<String, Value>, Fault> {
    object(&decoded(part, name)?).map_err(|fault| Fault::malformed(format_args!("its {name}: {fault}")))
}

fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), Fault> {
    if header.contains_key("enc") || header.contains_key("zip") {
        return Err(Fault::malformed("its header is of an encrypted token (JWE); send a signed one"));
    }
    if header.contains_key("crit") {
        return Err(Fault::malformed("its header names critical extensions (\"crit\"); none is known here"));
    }
    match header.get("cty") {
        None => {}
        Some(_) => return Err(Fault::malformed("it holds another token (\"cty\"); send that one alone")),
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(kind)) if is_kind(kind) => {}
        Some(kind) => {
            return Err(Fault::malformed(format_args!(
                "its \"typ\" is {}; expected \"JWT\", \"at+jwt\" or nothing",
                shortened(&kind.to_string())
            )));
        }
    }
    let algorithm = match header.get("alg") {
        Some(Value::String(word)) => Algorithm::named(word).ok_or_else(|| Fault::algorithm(word))?,
        _ => return Err(Fault::malformed("its header has no \"alg\"")),
    };
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid.clone()),
        Some(_) => {
            return Err(Fault::malformed(format_args!(
                "its \"kid\" is not a text of at most {KID_BYTES_MAX} bytes"
            )));
        }
    };
    Ok((algorithm, kid))
}

/// ID tokens say `JWT` or nothing, access tokens `at+jwt` (RFC 9068). Tokens of other kinds are for other uses.
fn is_kind(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    matches!(kind, "jwt" | "at+jwt")
}

/// What a stranger sent is repeated to it, but not at any length.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
pub(crate) mod tests;
