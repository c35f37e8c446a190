//! What a name looks like, whatever letters it is made of: `paypal` with a Cyrillic `а`, `PAYPAL` in Cherokee, `paypa1`.

use caseless::default_case_fold_str;
use unicode_security::skeleton;

use super::rules::is_invisible;

/// Changes whenever the rule or its table does: then the likeness of every stored name is made anew. The first number is
/// the table's version of Unicode.
pub(crate) const VERSION: &str = "unicode-18.0 rule-1";
// A new table without a new version would leave stored names unprotected.
const _: () = {
    let (major, minor, _) = unicode_security::UNICODE_VERSION;
    assert!(major == 18 && minor == 0);
};

/// The skeleton of UTS 39 section 4, made blind to case as names are. The table says that `I` looks like `l`; because
/// `I` and `i` are one letter here, and so are `l` and `L`, all four count as one, with `1` and their look-alikes.
pub(crate) fn likeness(folded: &str) -> String {
    let visible: String = folded.chars().filter(|c| !is_invisible(*c)).collect();
    // The table leads from small letters of some scripts to capitals of Latin, so it is gone through once more.
    let once: String = skeleton(&visible).collect();
    let twice: String = skeleton(&default_case_fold_str(&once)).collect();
    default_case_fold_str(&twice).replace('i', "l")
}
