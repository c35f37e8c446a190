//! Codes of an authenticator app: time-based one-time passwords (RFC 6238) with what every app can do: HMAC-SHA-1, six
//! digits, steps of 30 seconds; and recovery codes for who has lost the app.

use std::fmt;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Milliseconds of a step.
const STEP_MS: u64 = 30_000;
/// A code has so many digits.
const DIGITS: usize = 6;
/// Steps before and behind the present one whose codes are taken: a clock that is off, a person who types slowly.
const STEPS_AROUND: u64 = 1;
/// Bytes of a secret, as many as the hash has (RFC 4226 section 4, R6).
const SECRET_BYTES: usize = 20;
/// Bytes of a recovery code: so many that a fast hash of it cannot be searched.
const RECOVERY_BYTES: usize = 10;
/// Recovery codes that a user is given at a time.
pub(crate) const RECOVERY_CODES: usize = 10;

/// What RFC 3986 section 2.3 lets stand in a URI.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the server and the app share. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What somebody typed as a second factor.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Code {
    /// Of the app.
    App(u32),
    /// One of the ten; this is its hash.
    Recovery(String),
}

impl Secret {
    /// A fresh one.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(BASE32_NOPAD.encode(&*bytes).into()))
    }

    /// As the database has it.
    pub(crate) fn stored(text: String) -> Self {
        Self(text.into())
    }

    /// Base 32 without padding, for the database and for a person without a camera.
    pub(crate) fn base32(&self) -> &str {
        &self.0
    }

    /// What an app reads from a QR code: the key URI format that all of them take.
    pub(crate) fn uri(&self, name: &str, host: &str) -> String {
        let label = format!("{name}@{host}");
        let label = utf8_percent_encode(&label, RESERVED);
        format!(
            "otpauth://totp/Maru:{label}?secret={}&issuer=Maru&algorithm=SHA1&digits=6&period=30",
            self.base32()
        )
    }

    /// The step whose code this is, if it is one of those that are taken now.
    pub(crate) fn step_of(&self, code: u32, now_ms: u64) -> Option<u64> {
        let now = now_ms / STEP_MS;
        let steps = now.saturating_sub(STEPS_AROUND)..=now.saturating_add(STEPS_AROUND);
        steps.rev().find(|step| self.code_at(*step) == Some(code))
    }

    fn code_at(&self, step: u64) -> Option<u32> {
        let key = BASE32_NOPAD.decode(self.0.as_bytes()).ok()?;
        Some(truncated(&key, step)? % 10_u32.pow(DIGITS as u32))
    }
}

/// RFC 4226 section 5.3: 31 bits of the code's hash, taken where its last half byte says.
fn truncated(key: &[u8], step: u64) -> Option<u32> {
    let hash =
        Hmac::<Sha1>::new_from_slice(key).ok()?.chain_update(step.to_be_bytes()).finalize().into_bytes();
    let at = usize::from(hash.last()? & 0xf);
    let bytes = hash.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes) & 0x7fff_ffff)
}

impl Code {
    /// Reads what was typed: six digits of any script, or a recovery code in any case, with or without its dashes. `None`:
    /// it is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain: String =
            crate::name::fold(text).chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        if plain.len() == DIGITS && plain.bytes().all(|byte| byte.is_ascii_digit()) {
            return plain.parse().ok().map(Self::App);
        }
        let bytes = BASE32_NOPAD.decode(plain.to_ascii_uppercase().as_bytes()).ok()?;
        (bytes.len() == RECOVERY_BYTES).then(|| Self::Recovery(hash(&bytes)))
    }
}

/// Fresh recovery codes: what the person is shown, and the hashes that are stored.
pub(crate) fn recovery_codes() -> Result<(Vec<String>, Vec<String>), getrandom::Error> {
    let (mut shown, mut hashes) = (Vec::new(), Vec::new());
    for _ in 0..RECOVERY_CODES {
        let mut bytes = [0; RECOVERY_BYTES];
        getrandom::fill(&mut bytes)?;
        let text = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        let groups: Vec<&str> =
            text.as_bytes().chunks(4).filter_map(|group| str::from_utf8(group).ok()).collect();
        shown.push(groups.join("-"));
        hashes.push(hash(&bytes));
    }
    Ok((shown, hashes))
}

/// The codes are random and long, so there is nothing that a salt or a slow hash would protect.
fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret(BASE32_NOPAD.encode(b"12345678901234567890").into())
    }

    /// RFC 6238 appendix B, the column of SHA-1; its codes have eight digits.
    #[test]
    fn the_vectors_of_the_rfc() {
        for (seconds, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            let step = seconds * 1000 / STEP_MS;
            assert_eq!(truncated(b"12345678901234567890", step).unwrap() % 100_000_000, code, "{seconds}");
            assert_eq!(secret().step_of(code % 1_000_000, seconds * 1000), Some(step), "{seconds}");
        }
    }

    /// RFC 4226 appendix D.
    #[test]
    fn the_vectors_of_the_counter() {
        let codes =
            [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        for (step, code) in codes.into_iter().enumerate() {
            assert_eq!(secret().code_at(step as u64), Some(code));
        }
    }

    #[test]
    fn one_step_either_side_and_no_further() {
        let step = 1_000_000;
        let code = secret().code_at(step).unwrap();
        for (now_ms, taken) in [
            ((step - 1) * STEP_MS - 1, false),
            ((step - 1) * STEP_MS, true),
            (step * STEP_MS, true),
            ((step + 2) * STEP_MS - 1, true),
            ((step + 2) * STEP_MS, false),
        ] {
            assert_eq!(secret().step_of(code, now_ms), taken.then_some(step), "{now_ms}");
        }
        assert_eq!(secret().step_of(755_224, 0), Some(0));
        let _ = secret().step_of(0, u64::MAX);
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for typed in ["287082", " 287 082\n", "２８７０８２", "287-082"] {
            assert!(Code::parse(typed) == Some(Code::App(287_082)), "{typed}");
        }
        assert!(
            Code::parse("007").is_none() && Code::parse("").is_none() && Code::parse("2870820").is_none()
        );
        assert!(Code::parse("+28708").is_none() && Code::parse("\u{ff}").is_none());
        let (shown, hashes) = recovery_codes().unwrap();
        assert_eq!((shown.len(), hashes.len()), (10, 10));
        for (text, hash) in shown.iter().zip(&hashes) {
            assert_eq!(text.len(), 19);
            for typed in [text.clone(), text.to_uppercase(), text.replace('-', ""), format!(" {text} ")] {
                assert!(Code::parse(&typed) == Some(Code::Recovery(hash.clone())), "{typed}");
            }
            assert!(Code::parse(&text[1..]).is_none());
        }
        assert_eq!(hashes.iter().collect::<std::collections::BTreeSet<_>>().len(), 10);
    }

    #[test]
    fn the_secret_is_shown_to_its_owner_alone() {
        let secret = Secret::random().unwrap();
        assert_eq!((secret.base32().len(), format!("{secret:?}")), (32, "Secret".to_owned()));
        assert_ne!(secret, Secret::random().unwrap());
        let uri = secret.uri("박 지성?", "chat.example.org");
        assert!(
            uri.starts_with(
                "otpauth://totp/Maru:%EB%B0%95%20%EC%A7%80%EC%84%B1%3F%40chat.example.org?secret="
            )
        );
        assert!(uri.contains(&format!("?secret={}&issuer=Maru&", secret.base32())));
    }
}
