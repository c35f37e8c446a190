//! What a token with a good signature has to say before it counts (RFC 7519 section 4.1, RFC 8725).

use serde_json::{Map, Value};

use super::fault::{Fault, Reason};
use super::shortened;

/// Most characters of a subject: OpenID Connect allows 255.
pub(crate) const SUBJECT_CHARS_MAX: usize = 255;
/// The largest time that is read, seconds since the Unix epoch: far beyond every token, and no multiplication overflows.
const TIME_S_MAX: f64 = 1e11;

/// What an issuer's tokens have to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// The token is for one of these.
    pub(crate) audiences: Vec<String>,
    /// Which claim names the person.
    pub(crate) subject: String,
    /// Clocks may differ by so much, milliseconds.
    pub(crate) leeway_ms: u64,
    /// A token ends so soon, milliseconds.
    pub(crate) life_ms: u64,
}

/// Whom a token names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    pub(crate) subject: String,
    /// When the token was made, milliseconds since the Unix epoch.
    pub(crate) issued_ms: u64,
}

impl Rules {
    /// Checks the claims of a token whose signature is its issuer's.
    pub(crate) fn check(&self, claims: &Map<String, Value>, now_ms: u64) -> Result<Named, Fault> {
        let (leeway_ms, latest_ms) = (self.leeway_ms, now_ms.saturating_add(self.leeway_ms));
        let expires_ms = time_ms(claims, "exp")?.ok_or_else(|| missing("exp", "a token has an end"))?;
        if expires_ms.saturating_add(leeway_ms) <= now_ms {
            return Err(Fault::new(Reason::Expired, "it has expired; get another one from its issuer"));
        }
        if expires_ms > latest_ms.saturating_add(self.life_ms) {
            let words = format_args!(
                "\"exp\" is more than {} s ahead, the longest life that this issuer's tokens may have",
                self.life_ms / 1000
            );
            return Err(Fault::claims(words));
        }
        let issued_ms = time_ms(claims, "iat")?
            .ok_or_else(|| missing("iat", "without it nobody can tell it from one before a logout"))?;
        let begins_ms = time_ms(claims, "nbf")?.unwrap_or(0).max(issued_ms);
        if begins_ms > latest_ms {
            let words = "it is not good yet (\"nbf\" or \"iat\" is in the future); compare the clocks";
            let wait_ms = begins_ms - latest_ms;
            return Err(Fault::new(Reason::NotYet, words).again_after(wait_ms.min(self.life_ms)));
        }
        self.check_audience(claims.get("aud"))?;
        Ok(Named { subject: self.subject_of(claims)?, issued_ms })
    }

    fn check_audience(&self, audience: Option<&Value>) -> Result<(), Fault> {
        let is_ours =
            |value: &Value| value.as_str().is_some_and(|one| self.audiences.iter().any(|a| a == one));
        let found = match audience {
            Some(one @ Value::String(_)) => is_ours(one),
            Some(Value::Array(many)) if many.iter().all(Value::is_string) => many.iter().any(is_ours),
            Some(_) => return Err(Fault::claims("\"aud\" is neither a text nor a list of texts")),
            None => return Err(missing("aud", "a token says whom it is for")),
        };
        if found {
            return Ok(());
        }
        let found = audience.map(ToString::to_string).unwrap_or_default();
        let words = format_args!("it is for {}, not for this server", shortened(&found));
        Err(Fault::new(Reason::Audience, words))
    }

    fn subject_of(&self, claims: &Map<String, Value>) -> Result<String, Fault> {
        let name = &self.subject;
        let Some(subject) = claims.get(name) else { return Err(missing(name, "it names the person")) };
        let subject = subject.as_str().filter(|subject| is_subject(subject));
        let words = format_args!(
            "{name:?} is not a text of 1 to {SUBJECT_CHARS_MAX} characters without control characters"
        );
        subject.map(str::to_owned).ok_or_else(|| Fault::claims(words))
    }
}

/// Whether a text can name a person.
#[must_use]
pub fn is_subject(text: &str) -> bool {
    (1..=SUBJECT_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// A text of a claim that need not be there.
pub(crate) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

fn missing(name: &str, why: &str) -> Fault {
    Fault::claims(format_args!("{name:?} is missing: {why}"))
}

/// A NumericDate: seconds since the Unix epoch, which may have a fraction.
fn time_ms(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Fault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=TIME_S_MAX).contains(seconds));
    let seconds =
        seconds.ok_or_else(|| Fault::claims(format_args!("{name:?} is not a time in seconds since 1970")))?;
    // In bounds, so nothing is lost but the part of a millisecond.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(Some((seconds * 1000.0) as u64))
}
