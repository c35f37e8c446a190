use data_encoding::BASE64URL_NOPAD;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

use super::claims::Rules;
use super::fault::Reason;
use super::key::{Checked, Secret};
use super::*;

/// RFC 7515 appendices A.1 to A.3: the same claims.
const CLAIMS: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// RFC 8037 appendix A.1, as a set.
pub(crate) const ED25519_SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// RFC 8037 appendix A.1: the private part.
const ED25519_SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// RFC 7515 appendix A.2.
const RSA_MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
    T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB\
    dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia\
    GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const NOW_MS: u64 = 1_800_000_000_000;

fn bytes(text: &str) -> Vec<u8> {
    BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
}

fn rsa_set(more: &str) -> String {
    format!(r#"{{"keys":[{{"kty":"RSA","kid":"rsa","n":"{RSA_MODULUS}","e":"AQAB"{more}}}]}}"#)
}

/// A token of these texts, signed with the key of RFC 8037.
fn signed(header: &str, claims: &str) -> String {
    let signed = format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(header.as_bytes()),
        BASE64URL_NOPAD.encode(claims.as_bytes())
    );
    let pair = Ed25519KeyPair::from_seed_unchecked(&bytes(ED25519_SEED)).unwrap();
    format!("{signed}.{}", BASE64URL_NOPAD.encode(pair.sign(signed.as_bytes()).as_ref()))
}

fn ed() -> KeySet {
    KeySet::parse(ED25519_SET.as_bytes()).unwrap()
}

#[test]
fn vectors_of_rfc_7515() {
    let secret =
        bytes("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
    let hs = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let token = Token::parse(&hs).unwrap();
    assert!(Secret::new(&secret).unwrap().verifies(&token));
    assert!(!Secret::new(&[0; 64]).unwrap().verifies(&token));
    assert_eq!((token.algorithm, token.issuer().unwrap()), (Algorithm::Hs256, "joe"));

    let rs = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9\
              uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB\
              _eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq\
              Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let rs = format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}.{rs}");
    let token = Token::parse(&rs).unwrap();
    let keys = KeySet::parse(rsa_set("").as_bytes()).unwrap();
    assert_eq!((token.algorithm, keys.check(&token)), (Algorithm::Rs256, Checked::Good));

    let es = format!(
        "eyJhbGciOiJFUzI1NiJ9.{CLAIMS}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let set = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                 "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let token = Token::parse(&es).unwrap();
    let keys = KeySet::parse(set.as_bytes()).unwrap();
    assert_eq!((token.algorithm, keys.check(&token)), (Algorithm::Es256, Checked::Good));
}

/// Appendix A.4; what is signed there is no JSON, so it is no token.
#[test]
fn vector_of_rfc_8037() {
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let signature = bytes(signature);
    let token = Token { algorithm: Algorithm::EdDsa, kid: None, claims: Map::new(), signed, signature };
    assert_eq!(ed().check(&token), Checked::Good);
}

#[test]
fn a_key_is_for_one_algorithm() {
    let keys = [rsa_set(""), ED25519_SET.to_owned()].map(|set| KeySet::parse(set.as_bytes()).unwrap());
    // The oldest attack: the published key as a secret.
    for secret in [RSA_MODULUS.as_bytes().to_vec(), bytes(RSA_MODULUS), rsa_set("").into_bytes()] {
        for kid in ["", r#","kid":"rsa""#] {
            let header = format!(r#"{{"alg":"HS256"{kid}}}"#);
            let signed = format!("{}.{CLAIMS}", BASE64URL_NOPAD.encode(header.as_bytes()));
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
            let tag = BASE64URL_NOPAD.encode(ring::hmac::sign(&key, signed.as_bytes()).as_ref());
            let forged = format!("{signed}.{tag}");
            let token = Token::parse(&forged).unwrap();
            assert!(keys.iter().all(|keys| keys.check(&token) == Checked::NoKey));
        }
    }
    // A good signature under another algorithm's name.
    for (alg, kid, outcome) in [
        ("EdDSA", "ed", Checked::Good),
        ("Ed25519", "ed", Checked::Good),
        ("RS256", "ed", Checked::NoKey),
        ("ES256", "ed", Checked::NoKey),
        ("EdDSA", "other", Checked::NoKey),
        ("EdDSA", "ED", Checked::NoKey),
    ] {
        let text = signed(&format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#), "{}");
        assert_eq!(ed().check(&Token::parse(&text).unwrap()), outcome, "{alg} {kid}");
    }
}

#[test]
fn no_changed_byte_passes() {
    let good = signed(r#"{"alg":"EdDSA","kid":"ed"}"#, r#"{"iss":"joe","sub":"a"}"#);
    assert_eq!(ed().check(&Token::parse(&good).unwrap()), Checked::Good);
    for at in 0..good.len() {
        for byte in (0x20..0x7f).chain([b'\n', 0]) {
            let mut changed = good.clone().into_bytes();
            if changed[at] == byte {
                continue;
            }
            changed[at] = byte;
            let changed = String::from_utf8(changed).unwrap();
            let passes = Token::parse(&changed).is_ok_and(|token| ed().check(&token) == Checked::Good);
            assert!(!passes, "{changed}");
        }
    }
    for end in 0..good.len() {
        assert!(!Token::parse(&good[..end]).is_ok_and(|token| ed().check(&token) == Checked::Good));
    }
}

#[test]
fn texts_that_are_no_token() {
    let ok = r#"{"alg":"EdDSA"}"#;
    let encoded = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    for (text, reason, words) in [
        (String::new(), Reason::Malformed, "1 parts"),
        ("a.b".to_owned(), Reason::Malformed, "2 parts"),
        ("a.b.c.d".to_owned(), Reason::Malformed, "4 parts"),
        ("a.b.c.d.e".to_owned(), Reason::Malformed, "JWE"),
        (".".repeat(9000), Reason::Malformed, "6 parts"),
        ("x".repeat(JWT_BYTES_MAX + 1), Reason::Malformed, "at most"),
        ("..".to_owned(), Reason::Malformed, "header"),
        (format!("{}.e30=.", encoded(ok)), Reason::Malformed, "base64url"),
        (format!("{}.e31.", encoded(ok)), Reason::Malformed, "base64url"),
        (format!("{}.e30.+/", encoded(ok)), Reason::Malformed, "base64url"),
        (signed("[]", "{}"), Reason::Malformed, "not a JSON object"),
        (signed(ok, "\"x\""), Reason::Malformed, "not a JSON object"),
        (signed(ok, "{\"a\":1,\"a\":1}"), Reason::Malformed, "twice"),
        (signed(r#"{"alg":"EdDSA","alg":"EdDSA"}"#, "{}"), Reason::Malformed, "twice"),
        (signed("{}", "{}"), Reason::Malformed, "no \"alg\""),
        (signed(r#"{"alg":null}"#, "{}"), Reason::Malformed, "no \"alg\""),
        (signed(r#"{"alg":"none"}"#, "{}"), Reason::Algorithm, "not signed"),
        (signed(r#"{"alg":"nOnE"}"#, "{}"), Reason::Algorithm, "not signed"),
        (signed(r#"{"alg":"RS512"}"#, "{}"), Reason::Algorithm, "RS512"),
        (signed(r#"{"alg":"hs256"}"#, "{}"), Reason::Algorithm, "hs256"),
        (signed(r#"{"alg":"EdDSA","crit":["exp"]}"#, "{}"), Reason::Malformed, "critical"),
        (signed(r#"{"alg":"EdDSA","b64":false,"crit":["b64"]}"#, "{}"), Reason::Malformed, "critical"),
        (signed(r#"{"alg":"EdDSA","cty":"JWT"}"#, "{}"), Reason::Malformed, "another token"),
        (signed(r#"{"alg":"EdDSA","enc":"A128GCM"}"#, "{}"), Reason::Malformed, "JWE"),
        (signed(r#"{"alg":"EdDSA","zip":"DEF"}"#, "{}"), Reason::Malformed, "JWE"),
        (signed(r#"{"alg":"EdDSA","typ":"logout+jwt"}"#, "{}"), Reason::Malformed, "logout+jwt"),
        (signed(r#"{"alg":"EdDSA","typ":1}"#, "{}"), Reason::Malformed, "typ"),
        (signed(r#"{"alg":"EdDSA","kid":7}"#, "{}"), Reason::Malformed, "kid"),
        (
            signed(&format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(257)), "{}"),
            Reason::Malformed,
            "kid",
        ),
    ] {
        let fault = Token::parse(&text).unwrap_err();
        assert_eq!(fault.reason, reason, "{fault:?}");
        assert!(format!("{fault:?}").contains(&words.replace('"', "\\\"")), "{words}: {fault:?}");
    }
    for kind in ["JWT", "jwt", "at+JWT", "application/at+jwt"] {
        assert!(
            Token::parse(&signed(&format!(r#"{{"alg":"EdDSA","typ":"{kind}"}}"#), "{}")).is_ok(),
            "{kind}"
        );
    }
    // Keys and addresses that a token brings along are nobody's.
    let own =
        signed(r#"{"alg":"EdDSA","kid":"x","jwk":{"kty":"OKP"},"jku":"http://127.0.0.1/","x5u":"x"}"#, "{}");
    assert_eq!(ed().check(&Token::parse(&own).unwrap()), Checked::NoKey);
    for (claims, reason) in [("{}", Reason::Claims), (r#"{"iss":1}"#, Reason::Claims)] {
        let text = signed(ok, claims);
        assert_eq!(Token::parse(&text).unwrap().issuer().unwrap_err().reason, reason);
    }
}

#[test]
fn sets_of_keys() {
    let count = |set: &str| KeySet::parse(set.as_bytes()).map(|keys| keys.len());
    assert_eq!(count(&rsa_set("")), Ok(1));
    for fit in [r#","use":"sig""#, r#","alg":"RS256""#, r#","key_ops":["verify"]"#, r#","x5c":["x"]"#] {
        assert_eq!(count(&rsa_set(fit)), Ok(1), "{fit}");
    }
    for unfit in [
        r#","use":"enc""#,
        r#","alg":"RS512""#,
        r#","alg":"HS256""#,
        r#","key_ops":["sign"]"#,
        r#","key_ops":1"#,
    ] {
        assert!(count(&rsa_set(unfit)).unwrap_err().contains("none of its 1 keys"), "{unfit}");
    }
    let short = &RSA_MODULUS[..170];
    for (wrong, words) in [
        (rsa_set("").replace(RSA_MODULUS, short), "none of its"),
        (
            rsa_set("").replace(RSA_MODULUS, &format!("{RSA_MODULUS}{RSA_MODULUS}{RSA_MODULUS}")),
            "none of its",
        ),
        (
            r#"{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"}]}"#.into(),
            "none of its",
        ),
        (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},7,null]}"#.into(), "none of its"),
        (r#"{"keys":[]}"#.into(), "none of its 0"),
        (r#"{"keys":{}}"#.into(), "no list"),
        ("{}".into(), "no list"),
        ("<html>".into(), "not good JSON"),
        (format!(r#"{{"keys":[{}]}}"#, vec!["1"; 65].join(",")), "65 keys"),
    ] {
        let fault = count(&wrong).unwrap_err();
        assert!(fault.contains(words), "{fault}");
    }
}

fn rules() -> Rules {
    Rules {
        audiences: vec!["maru".into(), "app".into()],
        subject: "sub".into(),
        leeway_ms: 60_000,
        life_ms: 86_400_000,
    }
}

/// Good claims with some of them changed; null takes one away.
fn claims(changes: &Value) -> Map<String, Value> {
    let now_s = NOW_MS / 1000;
    let mut claims = json!({ "sub": "A", "aud": "maru", "iat": now_s, "nbf": now_s, "exp": now_s + 3600 });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let claims = claims.as_object().unwrap().clone();
    claims.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

#[test]
fn claims_that_count() {
    let now_s = NOW_MS / 1000;
    for good in [
        json!({}),
        json!({ "nbf": null }),
        json!({ "aud": ["other", "app"] }),
        json!({ "exp": now_s - 59 }),
        json!({ "exp": now_s + 86_400 + 60 }),
        json!({ "exp": (now_s + 5) as f64 + 0.5, "iat": now_s as f64 - 0.25 }),
        json!({ "iat": now_s + 60, "nbf": now_s + 60 }),
        json!({ "iat": 0 }),
        json!({ "sub": "가".repeat(255) }),
    ] {
        let named = rules().check(&claims(&good), NOW_MS).unwrap_or_else(|fault| panic!("{good}: {fault:?}"));
        assert_eq!(named.subject, claims(&good)["sub"], "{good}");
    }
    assert_eq!(rules().check(&claims(&json!({ "iat": 7 })), NOW_MS).unwrap().issued_ms, 7000);
}

#[test]
fn claims_that_do_not() {
    let now_s = NOW_MS / 1000;
    for (bad, reason) in [
        (json!({ "exp": null }), Reason::Claims),
        (json!({ "exp": "soon" }), Reason::Claims),
        (json!({ "exp": -1 }), Reason::Claims),
        (json!({ "exp": 1e300 }), Reason::Claims),
        (json!({ "exp": u64::MAX }), Reason::Claims),
        (json!({ "exp": now_s + 86_400 + 61 }), Reason::Claims),
        (json!({ "exp": now_s - 60 }), Reason::Expired),
        (json!({ "exp": 0 }), Reason::Expired),
        (json!({ "iat": null }), Reason::Claims),
        (json!({ "iat": now_s + 61 }), Reason::NotYet),
        (json!({ "nbf": now_s + 61 }), Reason::NotYet),
        (json!({ "nbf": true }), Reason::Claims),
        (json!({ "aud": null }), Reason::Claims),
        (json!({ "aud": 7 }), Reason::Claims),
        (json!({ "aud": ["maru", 7] }), Reason::Claims),
        (json!({ "aud": [] }), Reason::Audience),
        (json!({ "aud": "Maru" }), Reason::Audience),
        (json!({ "aud": ["maru2", "other"] }), Reason::Audience),
        (json!({ "sub": null }), Reason::Claims),
        (json!({ "sub": "" }), Reason::Claims),
        (json!({ "sub": 7 }), Reason::Claims),
        (json!({ "sub": "a\u{0}b" }), Reason::Claims),
        (json!({ "sub": "x".repeat(256) }), Reason::Claims),
    ] {
        let fault = rules().check(&claims(&bad), NOW_MS).unwrap_err();
        assert_eq!(fault.reason, reason, "{bad}: {fault:?}");
    }
}

#[test]
fn each_reason_has_its_code() {
    let codes: std::collections::BTreeSet<_> = Reason::ALL.into_iter().map(Reason::code).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
}
