//! Mutated texts of strangers: names, refresh and bot tokens, tokens and key sets of identity providers, lists of networks.

use data_encoding::BASE64URL_NOPAD;

use crate::bot_token::BotToken;
use crate::jwt::{Token, key::KeySet};
use crate::network::Networks;
use crate::refresh::RefreshToken;
use crate::{Name, Sought};

#[path = "../../../protocol/fuzz/mutate.rs"]
mod mutate;

use mutate::each_mutation;

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// As one reads what may be no UTF-8.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[test]
fn fuzz_names() {
    let names = [
        "ann",
        "  Ann  Lee ",
        "마루",
        "ｐａｙｐａｌ",
        "e\u{301}\u{327}lan",
        "שָׁלוֹם",
        "مرحبا",
        "a\u{200d}b\u{fe0f}",
        "हिन्दी",
        "ไทย",
        "Ⅷ①ﬁ",
        "ΣΊΣΥΦΟΣ",
        "straße\u{3000}İI",
        "a_b-c.9",
        "\u{202e}x",
    ];
    each_mutation("name", &seeds(&names), 20_000, |bytes| {
        let text = text(bytes);
        let sought = Sought::parse(&text);
        let Ok(name) = Name::parse(&text) else { return };
        // What is shown is a name itself, the same one; and whoever typed it finds it.
        let again = Name::parse(name.shown()).unwrap_or_else(|fault| panic!("{:?}: {fault}", name.shown()));
        assert_eq!((again.shown(), again.folded()), (name.shown(), name.folded()));
        assert_eq!(again.likeness(), name.likeness());
        assert!(!name.likeness().is_empty(), "{text:?} looks like nothing");
        assert_eq!(sought.unwrap().folded(), name.folded());
        let folded = Name::parse(name.folded());
        assert!(folded.is_ok_and(|folded| folded.folded() == name.folded()), "{text:?}");
    });
}

#[test]
fn fuzz_refresh_and_bot_tokens() {
    let (refresh, bot) = (RefreshToken::fresh().unwrap().text(), BotToken::fresh().unwrap().text());
    each_mutation("refresh and bot token", &seeds(&[&refresh, &bot]), 20_000, |bytes| {
        let text = text(bytes);
        // One spelling each, but for the case of hex digits.
        assert!(RefreshToken::parse(&text).is_none_or(|token| token.text().eq_ignore_ascii_case(&text)));
        assert!(BotToken::parse(&text).is_none_or(|token| token.text().eq_ignore_ascii_case(&text)));
    });
}

#[test]
fn fuzz_jwts() {
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let claims =
        r#"{"iss":"https://id.example","sub":"x","aud":["maru"],"exp":1800000000,"iat":1.7e9,"n":{"a":[1]}}"#;
    let header = r#"{"alg":"EdDSA","kid":"ed","typ":"JWT"}"#;
    let whole = format!("{}.{}.{}", part(header), part(claims), part(&"s".repeat(64)));
    let crit = format!("{}.{}.", part(r#"{"alg":"ES256","crit":["b64"],"alg":"none"}"#), part("[]"));
    each_mutation("JWT", &seeds(&[&whole, &crit]), 10_000, |bytes| {
        let text = text(bytes);
        if let Ok(token) = Token::parse(&text) {
            let _ = token.issuer();
        }
    });
    // The texts inside, so that most mutations come through base64.
    each_mutation("JWT's JSON", &seeds(&[header, claims]), 10_000, |bytes| {
        let inner = BASE64URL_NOPAD.encode(bytes);
        for (first, second) in [(&inner, &part(claims)), (&part(header), &inner)] {
            let whole = format!("{first}.{second}.{}", part("s"));
            if let Ok(token) = Token::parse(&whole) {
                let _ = token.issuer();
            }
        }
    });
}

#[test]
fn fuzz_key_sets_and_networks() {
    let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"RSA","n":"AQAB","e":"AQAB","use":"sig"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA","alg":"ES256"}]}"#;
    each_mutation("JWK set", &seeds(&[set]), 10_000, |bytes| {
        if let Ok(set) = KeySet::parse(bytes) {
            assert!(set.len() <= 64 && set.kids().len() <= set.len());
        }
    });
    let lists = ["10.0.0.0/8, ::1", "192.168.1.1,fe80::/10", "0.0.0.0/0", "::ffff:1.2.3.4/96"];
    each_mutation("networks", &seeds(&lists), 10_000, |bytes| {
        let text = text(bytes);
        if let Some(networks) = Networks::parse(&text) {
            let _ = networks.contain("10.1.2.3".parse().unwrap()) | networks.contain("::1".parse().unwrap());
        }
    });
}
