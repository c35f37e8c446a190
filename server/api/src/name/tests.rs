use super::*;

fn fault(text: &str) -> NameFault {
    Name::parse(text).unwrap_err()
}

fn is_one_likeness(one: &str, other: &str) -> bool {
    likeness(&fold(one)) == likeness(&fold(other))
}

#[test]
fn the_same_name_in_other_clothes() {
    for (a, b) in [
        ("Alice", "aLICE"),
        ("straße", "STRASSE"),
        ("Ärger", "a\u{308}RGER"),
        ("ｂｏｂ", "bob"),
        ("ﬁnn", "FINN"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        (" alice\u{3000}", "alice"),
        ("\u{1112}\u{1161}\u{11ab}글", "한글"),
    ] {
        assert_eq!(Name::parse(a).unwrap().folded(), Name::parse(b).unwrap().folded(), "{a} {b}");
    }
    assert_ne!(Name::parse("alice").unwrap().folded(), Name::parse("alicf").unwrap().folded());
    assert_eq!(Name::parse("Alice").unwrap().shown(), "Alice");
    assert_eq!(Name::parse("\u{a0}Ｂｏｂ\n").unwrap().shown(), "Bob");
}

#[test]
fn scripts_are_welcome() {
    for name in [
        "마루",
        "박지성.7",
        "지성JS",
        "नमस्ते",
        "ابو-بكر",
        "علی۱۲",
        "علي١٢",
        "x",
        "a_b-c.d",
        "李小龙",
        "たろう",
        "山田タロウ",
        "Taro山田",
        "ㄅㄆ李",
        "Иван",
        "Σίσυφος",
        "דוד-7",
        "สมชาย",
        "தமிழ்",
        "ქართული",
        "Hương",
        "Nguyễn",
        "ᏣᎳᎩ",
        "አማርኛ",
        "བོད",
        "ⵜⵉⴼⵉ",
        "Ørsted",
        "Łukasz",
        "İpek",
    ] {
        let name = Name::parse(name).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(Name::parse(name.shown()).as_ref(), Ok(&name), "what is shown is the same name");
    }
}

#[test]
fn at_the_limits_and_beyond() {
    assert!(Name::parse(&"a".repeat(32)).is_ok());
    assert_eq!(fault(&"a".repeat(33)), NameFault::Length(33));
    assert_eq!(fault(&"a".repeat(100_000)), NameFault::Length(100_000));
    assert_eq!(fault(""), NameFault::Length(0));
    assert_eq!(fault(" \u{3000}"), NameFault::Length(0));
    // U+FDFA is one letter whose compatibility form is a sentence with spaces.
    assert_eq!(fault("\u{fdfa}"), NameFault::Character(' '));
    // Each ligature is three letters.
    assert_eq!(fault(&"\u{fb03}".repeat(32)), NameFault::Length(96));
    // Each letter folds to two.
    assert_eq!(Name::parse(&"ß".repeat(32)).unwrap().folded(), "ss".repeat(32));
    for (text, wrong) in [
        ("a b", ' '),
        ("a\u{202e}b", '\u{202e}'),
        ("a\u{200b}b", '\u{200b}'),
        ("a\nb", '\n'),
        ("a😀", '😀'),
        ("a@b", '@'),
        ("a\u{200d}b", '\u{200d}'),
        ("\u{feff}a", '\u{feff}'),
        ("½", '\u{2044}'),
    ] {
        match fault(text) {
            NameFault::Character(found) => {
                assert_eq!(found, wrong, "{text:?}")
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }
    for edge in [".a", "a.", "-", "_a", "\u{301}a"] {
        assert_eq!(fault(edge), NameFault::Edge, "{edge}");
    }
}

/// Finding S10, and the property as a whole.
#[test]
fn nothing_invisible_is_in_a_name() {
    for invisible in [
        '\u{3164}',
        '\u{115f}',
        '\u{1160}',
        '\u{34f}',
        '\u{fe0f}',
        '\u{180b}',
        '\u{e0100}',
        '\u{ffa0}',
        '\u{17b4}',
    ] {
        for text in [
            format!("alice{invisible}"),
            format!("ali{invisible}ce"),
            format!("{invisible}"),
            format!("{invisible}alice"),
        ] {
            assert!(Name::parse(&text).is_err(), "{text:?}");
        }
        assert_eq!(Sought::parse(&format!("ali{invisible}ce")).unwrap().bare(), "alice");
    }
    for c in ('\0'..=char::MAX).filter(|c| rules::is_invisible(*c)) {
        assert!(Name::parse(&format!("a{c}b")).is_err(), "{c:?}");
    }
}

#[test]
fn letters_are_of_one_script_and_one_direction() {
    for mixed in
        ["\u{430}lice", "pаypal", "Αlice", "аdmin", "たろう한", "नमaste", "alicе", "אabc", "ابوabc", "ᏣabcЖ"]
    {
        assert_eq!(fault(mixed), NameFault::Scripts, "{mixed}");
    }
    for order in ["7דוד", "علي١۲", "ا12١"] {
        assert_eq!(fault(order), NameFault::Direction, "{order}");
    }
    for letter in ["𐎀𐎁", "ᚠᚢᚦ", "ʘa", "aǃa"] {
        assert!(matches!(fault(letter), NameFault::Letter(_) | NameFault::Character(_)), "{letter}");
    }
    for heaped in ["a\u{323}\u{332}\u{304}\u{306}\u{307}b", "q\u{307}\u{307}b"] {
        assert!(
            matches!(fault(heaped), NameFault::Marks | NameFault::Letter(_)),
            "{heaped}: {:?}",
            fault(heaped)
        );
    }
}

#[test]
fn what_looks_the_same_has_one_likeness() {
    for (one, other) in [
        ("paypal", "раураӏ"),
        ("paypal", "PayPaI"),
        ("paypal", "paypa1"),
        ("ALICE", "AL1CE"),
        ("admin", "adm1n"),
        ("admin", "аdmіn"),
        ("maru", "rnaru"),
        ("bob", "B0B"),
        ("scope", "ѕсоре"),
        ("alice", "alice\u{fe0f}"),
        ("alice", "ali\u{34f}ce"),
        ("PAYPAL", "ᏢᎪᎩᏢᎪᏞ"),
    ] {
        assert!(
            is_one_likeness(one, other),
            "{one} {other}: {} {}",
            likeness(&fold(one)),
            likeness(&fold(other))
        );
    }
    for (one, other) in [
        ("alice", "alise"),
        ("jose", "josé"),
        ("anna", "hanna"),
        ("박지성", "박자성"),
        ("李", "季"),
        ("load000001", "load000002"),
    ] {
        assert!(!is_one_likeness(one, other), "{one} {other}");
    }
}

/// The key is of use only if it is one key whichever of the equal spellings it is made from.
#[test]
fn a_likeness_is_one_however_the_name_is_written() {
    for c in ('\0'..=char::MAX).filter(|c| c.is_lowercase() || c.is_uppercase()) {
        let Ok(name) = Name::parse(&format!("{c}")) else { continue };
        let upper: String = name.shown().to_uppercase();
        let Ok(capital) = Name::parse(&upper) else { continue };
        assert!(
            capital.folded() != name.folded() || capital.likeness() == name.likeness(),
            "{c:?}: {name:?} {capital:?}"
        );
        assert_eq!(likeness(name.likeness()), name.likeness(), "{c:?}");
    }
}

/// A new name is folded in normal form KC, one that is looked for in C, as the first names were: they must meet.
#[test]
fn whoever_types_a_name_finds_it() {
    // Of all others the normal forms and the cases are the character itself.
    let is_plain = |c: char| c.nfkc().chain(c.to_uppercase()).chain(c.to_lowercase()).all(|same| same == c);
    for c in ('\0'..=char::MAX).filter(|c| !is_plain(*c)) {
        for text in [format!("{c}"), format!("a{c}b")] {
            let Ok(name) = Name::parse(&text) else { continue };
            for typed in [
                text.clone(),
                name.shown().to_owned(),
                format!("\t{text} "),
                text.to_uppercase(),
                text.to_lowercase(),
            ] {
                if Name::parse(&typed).is_ok_and(|typed| typed.folded() == name.folded()) {
                    let sought = Sought::parse(&typed).unwrap_or_else(|fault| panic!("{typed:?}: {fault}"));
                    assert_eq!((sought.folded(), sought.bare()), (name.folded(), name.folded()), "{typed:?}");
                }
            }
        }
    }
}

#[test]
fn a_look_up_forgives_what_a_paste_brings() {
    for typed in [
        "alice ",
        "\talice\r\n",
        "\u{feff}alice",
        "\u{200e}alice\u{200f}",
        " \u{200b}alice\u{200b} ",
        "ａｌｉｃｅ\u{3000}",
    ] {
        let sought = Sought::parse(typed).unwrap();
        assert_eq!(
            (sought.bare(), sought.to_string().trim()),
            ("alice", sought.to_string().as_str()),
            "{typed:?}"
        );
    }
    // Two half-width characters are one letter.
    let name = Name::parse(&"ｶﾞ".repeat(32)).unwrap();
    assert_eq!(Sought::parse(&"ｶﾞ".repeat(32)).unwrap().folded(), name.folded());
    // Accounts of old that only this told apart.
    let old = Sought::parse("alice\u{fe0f} ").unwrap();
    assert_eq!((old.folded(), old.bare()), ("alice\u{fe0f}", "alice"));
    let old = Sought::parse("\u{3164}").unwrap();
    assert_eq!(old.folded(), old.bare());
    assert_eq!(Sought::parse("\u{430}lice").unwrap().folded(), "\u{430}lice");
    assert_eq!(Sought::parse("a b"), Err(NameFault::Character(' ')));
    assert_eq!(Sought::parse("\u{200b}"), Err(NameFault::Length(0)));
    assert_eq!(Sought::parse(&"a".repeat(100_000)), Err(NameFault::Length(100_000)));
}

#[test]
fn reserved_names_are_reserved_in_disguise() {
    for name in [
        "admin",
        "Admin",
        "ADM1N",
        "ad-min",
        "r00t",
        "maru",
        "Rnaru",
        "s.y.s.t.e.m",
        "support",
        "관리자",
        "y0u",
        "AdmIn",
    ] {
        assert!(Name::parse(name).unwrap().is_reserved(), "{name}");
    }
    for name in ["adam", "ali", "rooter", "marut", "administer", "alice", "you2", "mary"] {
        assert!(!Name::parse(name).unwrap().is_reserved(), "{name}");
    }
    for name in reserved::RESERVED {
        let parsed = Name::parse(name).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(parsed.is_reserved() && parsed.folded() == *name, "{name}");
    }
    let page = include_str!("../../../../docs/operations.md");
    let told = page.split("<!-- reserved -->").nth(1).unwrap();
    let told: Vec<&str> =
        told.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    assert_eq!(told, reserved::RESERVED, "docs/operations.md");
}
