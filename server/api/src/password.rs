//! Passwords: argon2id with the parameters that OWASP recommends (19 MiB, 2 passes, 1 lane). `hasher.rs` does it a
//! few at a time.
//!
//! What is hashed is the password as RFC 8265 prepares it (the profile OpaqueString): every space is U+0020, and the text
//! is in normal form C, so that two keyboards give one password. Control characters are refused, for they come from a
//! slip of a form or a paste. The rest of what that profile refuses is allowed: it would shut out emoji, and what is
//! assigned depends on the version of Unicode.

use std::sync::atomic::{AtomicU64, Ordering};

use argon2::{Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::name::fold;

/// Fewest characters of a password.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Most characters of a password.
pub const PASSWORD_CHARS_MAX: usize = 1024;
/// A password must have so many characters that are not the user's name.
const OWN_CHARS_MIN: usize = 4;

/// Small letters, sorted, one a line. LICENSE.common.txt beside it says where they come from.
const COMMON: &str = include_str!("password/common.txt");

/// The text that is hashed: RFC 8265 section 4.2.
fn prepare(password: &str) -> Zeroizing<String> {
    // Grown, it would leave its beginning behind: normal form C is at most three times as long (in UTF-8).
    let mut prepared = Zeroizing::new(String::with_capacity(3 * password.len()));
    prepared.extend(password.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc());
    prepared
}

/// General category Zs.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Checks what makes a password easy to guess for everybody: its length, counted in Unicode scalar values of the prepared
/// text, and the list of the most common ones.
///
/// # Errors
/// Words for the person.
pub fn check(password: &str) -> Result<(), String> {
    let prepared = prepare(password);
    let chars = prepared.chars().count();
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        return Err(format!("{chars} characters; must be {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX}"));
    }
    if let Some(control) = prepared.chars().find(|c| c.is_control()) {
        return Err(format!("the control character {control:?} is in it; was it pasted?"));
    }
    let folded = Zeroizing::new(fold(&prepared));
    if COMMON.lines().any(|common| common == *folded) {
        return Err("it is one of the most common passwords; take another one".to_owned());
    }
    Ok(())
}

/// [`check`], and that it is more than the user's own name.
///
/// # Errors
/// Words for the person.
pub fn check_for(name: &str, password: &str) -> Result<(), String> {
    check(password)?;
    let name = fold(name.trim());
    if name.is_empty() {
        return Ok(());
    }
    let folded = Zeroizing::new(fold(&prepare(password)));
    let own = Zeroizing::new(folded.replace(&name, ""));
    if own.chars().count() < OWN_CHARS_MIN {
        return Err(format!(
            "it is little more than the name; take one with {OWN_CHARS_MIN} other characters at least"
        ));
    }
    Ok(())
}

/// Makes the PHC string that is stored. Blocks for tens of milliseconds and uses 19 MiB.
///
/// # Errors
/// Words for the log when the system gave no random salt.
pub fn hash(password: &str) -> Result<String, String> {
    let hash = Argon2::default().hash_password(prepare(password).as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| format!("cannot hash a password: {error}"))
}

/// What came of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fit {
    /// It is another password.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and its hash is to be made anew: of weaker parameters, or of bytes that were not prepared.
    RightButOld,
}

/// Compares, and counts what is hashed. A wrong password costs the same whatever is stored: two hashings when preparing
/// has changed it, because hashes of old were made of the bytes as they came; one otherwise.
pub(crate) fn verify(password: &str, stored: &PasswordHash, hashed: &AtomicU64) -> Fit {
    let fits = |text: &str| {
        hashed.fetch_add(1, Ordering::Relaxed);
        Argon2::default().verify_password(text.as_bytes(), stored).is_ok()
    };
    let prepared = prepare(password);
    if fits(&prepared) {
        return if is_weak(stored) { Fit::RightButOld } else { Fit::Right };
    }
    if *prepared != password && fits(password) { Fit::RightButOld } else { Fit::Wrong }
}

/// Whether less was asked of the hash than is asked today.
fn is_weak(stored: &PasswordHash) -> bool {
    let Ok(params) = Params::try_from(stored) else { return true };
    let is_other = stored.algorithm != argon2::ARGON2ID_IDENT;
    let today = Params::default();
    is_other || params.m_cost() < today.m_cost() || params.t_cost() < today.t_cost()
}

#[cfg(test)]
mod tests;
