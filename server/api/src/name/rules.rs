//! What a new name must be beside being made of letters: visible, of one script, of one direction.

use unicode_bidi::{BidiClass, bidi_class};
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use unicode_security::GeneralSecurityProfile;
use unicode_security::general_security_profile::IdentifierType;
use unicode_security::mixed_script::AugmentedScriptSet;

use super::NameFault;

/// Marks in a row (UTS 39 section 5.4). No language heaps more on a letter.
const MARKS_MAX: usize = 4;

/// Checks a text in normal form KC.
pub(super) fn check(text: &str) -> Result<(), NameFault> {
    if let Some(wrong) = text.chars().find(|c| is_invisible(*c) || !is_of_a_living_script(*c)) {
        return Err(NameFault::Letter(wrong));
    }
    if !is_of_one_script(text) {
        return Err(NameFault::Scripts);
    }
    if !has_one_direction(text) || has_both_arabic_digits(text) {
        return Err(NameFault::Direction);
    }
    if has_heaped_marks(text) { Err(NameFault::Marks) } else { Ok(()) }
}

/// Whether nothing is seen of it: the property Default_Ignorable_Code_Point, which normal forms keep.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x202A..=0x202E
        | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFF8 | 0x1_BCA0..=0x1_BCA3
        | 0x1_D173..=0x1_D17A | 0xE_0000..=0xE_0FFF)
}

/// UTS 39 section 3.1. Scripts of smaller peoples (Limited_Use) are not refused: nobody's name is a threat, and what
/// looks like another name is found by its likeness.
fn is_of_a_living_script(c: char) -> bool {
    matches!(
        c.identifier_type(),
        Some(IdentifierType::Recommended | IdentifierType::Inclusion | IdentifierType::Limited_Use)
    )
}

/// UTS 39 section 5.2, "highly restrictive": one script, or Latin with Chinese, Japanese or Korean.
fn is_of_one_script(text: &str) -> bool {
    let (mut all, mut beside_latin) = (AugmentedScriptSet::default(), AugmentedScriptSet::default());
    for c in text.chars() {
        let scripts = AugmentedScriptSet::from(c);
        all.intersect_with(scripts);
        if !c.script_extension().contains_script(Script::Latin) {
            beside_latin.intersect_with(scripts);
        }
    }
    !all.is_empty() || beside_latin.hanb || beside_latin.jpan || beside_latin.kore
}

/// The bidi rule of RFC 5893 section 2, which RFC 8265 asks for. It concerns names with letters that run to the left.
fn has_one_direction(text: &str) -> bool {
    use BidiClass::{AL, AN, CS, EN, ES, ET, NSM, ON, R};
    let classes: Vec<BidiClass> = text.chars().map(bidi_class).collect();
    if !classes.iter().any(|class| matches!(class, R | AL | AN)) {
        return true;
    }
    // A name that begins otherwise and has such a letter breaks rule 1 or rule 5.
    let begins = classes.first().is_some_and(|class| matches!(class, R | AL));
    let goes_on = classes.iter().all(|class| matches!(class, R | AL | AN | EN | ES | CS | ET | ON | NSM));
    let end = classes.iter().rfind(|class| **class != NSM);
    let ends = end.is_some_and(|class| matches!(class, R | AL | EN | AN));
    let digits_are_one_kind = !(classes.contains(&EN) && classes.contains(&AN));
    begins && goes_on && ends && digits_are_one_kind
}

/// RFC 5892 appendices A.8 and A.9: the two kinds of Arabic digits look alike and mean the same.
fn has_both_arabic_digits(text: &str) -> bool {
    let has = |first: char, last: char| text.chars().any(|c| (first..=last).contains(&c));
    has('\u{660}', '\u{669}') && has('\u{6F0}', '\u{6F9}')
}

fn has_heaped_marks(text: &str) -> bool {
    let (mut marks, mut last) = (0, None);
    for c in text.chars() {
        marks = if is_combining_mark(c) { marks + 1 } else { 0 };
        if marks > MARKS_MAX || (marks > 1 && last == Some(c)) {
            return true;
        }
        last = Some(c);
    }
    false
}
