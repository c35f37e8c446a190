//! What verifies a token. Each key is for one algorithm, so that no token can choose another for it: a public key is never an
//! HMAC's secret, and there is no key without an algorithm.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::{hmac, signature};
use serde_json::{Map, Value};

use super::{Token, object};

/// Most keys of a set.
pub(crate) const KEYS_MAX: usize = 64;
/// Keys that a token without `kid` is tried with; of two keys with one name both are.
const TRIES_MAX: usize = 4;
/// Bytes of an RSA modulus: 2048 to 4096 bits. A larger one costs every check, and nobody uses it.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// Fewest bytes of a secret of HS256 (RFC 7518 section 3.2).
pub(crate) const SECRET_BYTES_MIN: usize = 32;

/// How a token is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// `Ed25519` is what RFC 9864 calls the one EdDSA that is known here.
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// What an HS256 issuer and this server share.
pub(crate) struct Secret(hmac::Key);

impl Secret {
    /// `None`: it is too short.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let key = || hmac::Key::new(hmac::HMAC_SHA256, bytes);
        (bytes.len() >= SECRET_BYTES_MIN).then(|| Self(key()))
    }

    /// In constant time.
    pub(crate) fn verifies(&self, token: &Token<'_>) -> bool {
        token.algorithm == Algorithm::Hs256
            && hmac::verify(&self.0, token.signed.as_bytes(), &token.signature).is_ok()
    }
}

enum PublicKey {
    Rsa(signature::RsaPublicKeyComponents<Vec<u8>>),
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl PublicKey {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn verifies(&self, token: &Token<'_>) -> bool {
        let (signed, given) = (token.signed.as_bytes(), token.signature.as_slice());
        let unparsed = |how, key| signature::UnparsedPublicKey::new(how, key).verify(signed, given);
        let outcome = match self {
            Self::Rsa(key) => key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, signed, given),
            Self::P256(key) => unparsed(&signature::ECDSA_P256_SHA256_FIXED, key),
            Self::Ed25519(key) => unparsed(&signature::ED25519, key),
        };
        outcome.is_ok()
    }

    /// From the members of a JWK (RFC 7517, RFC 8037); `None`: it is no key that is known here.
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name)?.as_str();
        let bytes = |name: &str| BASE64URL_NOPAD.decode(text(name)?.as_bytes()).ok();
        let of = |name: &str, len: usize| bytes(name).filter(|bytes| bytes.len() == len);
        match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                MODULUS_BYTES
                    .contains(&n.len())
                    .then_some(Self::Rsa(signature::RsaPublicKeyComponents { n, e }))
            }
            ("EC", Some("P-256")) => {
                // An uncompressed point (SEC 1 section 2.3.3).
                Some(Self::P256([vec![4], of("x", 32)?, of("y", 32)?].concat()))
            }
            ("OKP", Some("Ed25519")) => of("x", 32).map(Self::Ed25519),
            _ => None,
        }
    }
}

struct Entry {
    kid: Option<String>,
    key: PublicKey,
}

/// The public keys of an issuer.
pub(crate) struct KeySet(Vec<Entry>);

/// Without the keys: they are long.
impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.kids()).finish()
    }
}

/// What came of looking for the key of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Checked {
    Good,
    /// There is a key of this name and algorithm, and the signature is not its.
    Forged,
    /// There is no key of this name and algorithm; or the token names none, and none fits.
    NoKey,
}

impl KeySet {
    /// Reads a JWK set (RFC 7517 section 5). Keys that are not known here, or not for signatures, are left out.
    ///
    /// # Errors
    /// Words for the operator.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let set = object(bytes)?;
        let Some(Value::Array(keys)) = set.get("keys") else {
            return Err("it has no list \"keys\"; expected a JWK set".to_owned());
        };
        if keys.len() > KEYS_MAX {
            return Err(format!("{} keys; at most {KEYS_MAX} are read", keys.len()));
        }
        let entries: Vec<Entry> = keys.iter().filter_map(entry).collect();
        if entries.is_empty() {
            return Err(format!(
                "none of its {} keys is RSA of 2048 to 4096 bits, EC P-256 or Ed25519 for signatures",
                keys.len()
            ));
        }
        Ok(Self(entries))
    }

    pub(crate) fn check(&self, token: &Token<'_>) -> Checked {
        let is_meant = |entry: &&Entry| {
            entry.key.algorithm() == token.algorithm && (token.kid.is_none() || entry.kid == token.kid)
        };
        let mut meant = self.0.iter().filter(is_meant).take(TRIES_MAX).peekable();
        let is_there = meant.peek().is_some() && token.kid.is_some();
        match meant.any(|entry| entry.key.verifies(token)) {
            true => Checked::Good,
            false if is_there => Checked::Forged,
            false => Checked::NoKey,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The names of the keys, for the log.
    pub(crate) fn kids(&self) -> Vec<&str> {
        self.0.iter().map(|entry| entry.kid.as_deref().unwrap_or("-")).collect()
    }
}

fn entry(jwk: &Value) -> Option<Entry> {
    let jwk = jwk.as_object()?;
    let key = PublicKey::read(jwk)?;
    let is_for_signatures = jwk.get("use").is_none_or(|r#use| r#use == "sig");
    let may_verify = jwk
        .get("key_ops")
        .is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")));
    let is_for_it =
        jwk.get("alg").is_none_or(|alg| alg.as_str().and_then(Algorithm::named) == Some(key.algorithm()));
    let kid = match jwk.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str()?.to_owned()),
    };
    (is_for_signatures && may_verify && is_for_it).then_some(Entry { kid, key })
}
