//! Names for an account that an issuer's token makes: the one that the token wants, made fit, and what is tried when somebody
//! has it. The same person gets the same proposals in the same order; docs/operations.md describes them.

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::{NAME_CHARS_MAX, Name};

/// Characters of a wanted name that are looked at.
const LOOKED_AT_MAX: usize = 256;
/// What stands for a name that no account can have.
const ANYBODY: &str = "user";

/// The proposals, best first; at least one. `identity` is whom the issuer names.
pub(crate) fn proposed(wanted: Option<&str>, identity: (&str, &str)) -> Vec<Name> {
    let digest = Sha256::new().chain_update(identity.0).chain_update([0]).chain_update(identity.1).finalize();
    let number = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let (short, long) =
        (format!("{:08}", number % 100_000_000), format!("{:016}", number % 10_000_000_000_000_000));
    let base = wanted.map(fit).filter(|base| !base.is_empty());
    let with = |base: &str, digits: &str| {
        let kept: String = base.chars().take(NAME_CHARS_MAX - 1 - digits.len()).collect();
        format!("{}-{digits}", trimmed(&kept))
    };
    let mut texts = Vec::new();
    if let Some(base) = &base {
        texts.push(trimmed(&base.chars().take(NAME_CHARS_MAX).collect::<String>()).to_owned());
        texts.push(with(base, &short));
    }
    texts.extend([with(ANYBODY, &short), with(ANYBODY, &long)]);
    let names = texts.iter().filter_map(|text| Name::parse(text).ok());
    names.filter(|name| !name.is_reserved()).collect()
}

/// What a name can have of a text: what stands before the `@` of an address, letters, digits and joints.
fn fit(wanted: &str) -> String {
    let wanted: String = wanted.trim().chars().take(LOOKED_AT_MAX).nfkc().collect();
    let local = wanted.split('@').next().unwrap_or_default();
    let joined = local.chars().map(|c| if c.is_whitespace() { '.' } else { c });
    let kept: String = joined.filter(|&c| is_body(c) || is_joint(c)).collect();
    trimmed(&kept).to_owned()
}

fn trimmed(text: &str) -> &str {
    text.trim_start_matches(|c: char| !c.is_alphanumeric()).trim_end_matches(is_joint)
}

fn is_body(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

fn is_joint(c: char) -> bool {
    matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(wanted: Option<&str>) -> Vec<String> {
        let names = proposed(wanted, ("https://id.example.org", "A"));
        names.iter().map(|name| name.shown().to_owned()).collect()
    }

    #[test]
    fn the_wanted_name_made_fit_then_with_digits_of_its_own() {
        let digits = shown(None)[0].strip_prefix("user-").unwrap().to_owned();
        assert_eq!((shown(None).len(), digits.len()), (2, 8));
        for (wanted, first) in [
            ("alice", "alice"),
            ("alice@example.org", "alice"),
            (" Alice  Kim ", "Alice..Kim"),
            ("김민지", "김민지"),
            ("a/b:c", "abc"),
            ("-_alice_-", "alice"),
            (&"x".repeat(40), &"x".repeat(32)),
        ] {
            let names = shown(Some(wanted));
            assert_eq!(names[0], first, "{wanted}");
            assert!(names[1].ends_with(&format!("-{digits}")), "{names:?}");
            assert_eq!(names.len(), 4, "{names:?}");
        }
        assert_eq!(proposed(Some("alice"), ("i", "s")), proposed(Some("alice"), ("i", "s")));
        assert_ne!(proposed(None, ("i", "s")), proposed(None, ("is", "")), "whoever it is counts");
    }

    #[test]
    fn what_is_no_name_is_anybodys() {
        for wanted in ["", "@example.org", "...", "\u{200b}", "\u{0430}lice", "admin", &"가".repeat(10_000)]
        {
            let names = shown(Some(wanted));
            assert!(names.len() >= 2 && names.iter().all(|name| name != "admin"), "{wanted:?}: {names:?}");
        }
        assert!(shown(Some("\u{0430}lice"))[0].starts_with("user-"), "letters of two scripts");
    }
}
