use std::sync::Arc;

use super::*;
use crate::hasher::{Hasher, Kind};
use crate::limiter::Limiter;
use crate::limits::Limits;

fn hasher() -> Hasher {
    Hasher::new(2, Arc::new(Limiter::new(Limits::default()))).unwrap()
}

#[test]
fn lengths_are_of_the_prepared_text() {
    assert!(check("x y z 12").is_ok());
    assert!(check(&"마".repeat(1024)).is_ok());
    // Decomposed it has three times as many.
    assert!(check(&"각".repeat(1024).nfd().collect::<String>()).is_ok());
    assert_eq!(check("1234567"), Err("7 characters; must be 8 to 1024".into()));
    assert_eq!(check(&"각각".nfd().collect::<String>()), Err("2 characters; must be 8 to 1024".into()));
    assert!(check(&"x".repeat(1025)).is_err());
    assert!(check("correct\u{0}horse").unwrap_err().contains("\\0"));
    assert!(check("correct horse\n").unwrap_err().contains("\\n"));
    assert!(check("👨\u{200d}👩\u{200d}👧 und 🐕\u{fe0f} x").is_ok());
}

#[test]
fn common_ones_and_the_own_name_are_refused() {
    for common in ["password", "PassWord", "12345678", "ｑｗｅｒｔｙｕｉｏｐ", "trustno1", "1qaz2wsx"]
    {
        assert!(check(common).unwrap_err().contains("most common"), "{common}");
    }
    assert!(check("password of mine").is_ok());
    let lines: Vec<&str> = COMMON.lines().collect();
    assert!(lines.len() == 5000 && lines.is_sorted() && lines.iter().all(|line| fold(line) == *line));
    assert!(lines.iter().all(|line| line.chars().count() >= PASSWORD_CHARS_MIN));
    for own in ["Alexandra", "alexandra", "ALEXANDRA1", "alexandraalexandra", "12alexandra3"] {
        assert!(check_for("Alexandra", own).unwrap_err().contains("name"), "{own}");
    }
    assert!(check_for("Alexandra", "alexandra likes tea").is_ok());
    assert!(check_for("a", "banana bread").is_ok());
    assert!(check_for("", "correct horse").is_ok());
    assert!(check_for("bob", "password").unwrap_err().contains("most common"));
}

#[tokio::test]
async fn only_the_right_password_fits() {
    let hasher = hasher();
    let stored = hasher.hash(Kind::Signup, "correct horse".to_owned().into()).await.unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
    let verify = async |password: &str, stored: Option<&str>| {
        hasher.verify(Kind::Login, password.to_owned().into(), stored.map(str::to_owned)).await.unwrap()
    };
    assert_eq!(verify("correct horse", Some(&stored)).await, Fit::Right);
    assert_eq!(verify("correct\u{a0}horse", Some(&stored)).await, Fit::Right, "every space is one");
    assert_eq!(verify("correct horsf", Some(&stored)).await, Fit::Wrong);
    assert_eq!(verify("Correct horse", Some(&stored)).await, Fit::Wrong);
    assert_eq!(verify("nobody has this password", None).await, Fit::Wrong);
    assert_eq!(verify("nobody has this password", Some("!")).await, Fit::Wrong);
}

/// What a stranger's clock could tell is how much is hashed.
#[tokio::test]
async fn whoever_is_asked_for_a_wrong_password_costs_the_same() {
    let hasher = hasher();
    let known = hash("correct horse").unwrap();
    for (password, hashings) in
        [("wrong horse", 1), ("wro\u{308}ng horse", 2), ("wrong\u{3000}horse", 2), ("", 1)]
    {
        for stored in [Some(known.as_str()), None, Some("!"), Some(""), Some("$argon2id$broken")] {
            let before = hasher.hashed();
            let fit = hasher
                .verify(Kind::Login, password.to_owned().into(), stored.map(str::to_owned))
                .await
                .unwrap();
            assert_eq!((fit, hasher.hashed() - before), (Fit::Wrong, hashings), "{password:?} {stored:?}");
        }
    }
}

#[tokio::test]
async fn hashes_of_old_fit_and_are_to_be_made_anew() {
    let hasher = hasher();
    let raw = "cafe\u{301}\u{3000}au lait";
    let of_bytes = Argon2::default().hash_password(raw.as_bytes()).unwrap().to_string();
    let verify = async |password: &str, stored: &str| {
        hasher.verify(Kind::Login, password.to_owned().into(), Some(stored.to_owned())).await.unwrap()
    };
    assert_eq!(verify(raw, &of_bytes).await, Fit::RightButOld);
    assert_eq!(verify("café au lait", &of_bytes).await, Fit::Wrong, "these are not the bytes of old");
    assert_eq!(verify("café au lait", &hash(raw).unwrap()).await, Fit::Right);
    let weak = Argon2::from(Params::new(8192, 1, 1, None).unwrap());
    let weak = weak.hash_password(b"correct horse").unwrap().to_string();
    assert_eq!(verify("correct horse", &weak).await, Fit::RightButOld);
    assert_eq!(verify("correct horsf", &weak).await, Fit::Wrong);
    let strong = Argon2::from(Params::new(20_000, 3, 1, None).unwrap());
    let strong = strong.hash_password(b"correct horse").unwrap().to_string();
    assert_eq!(verify("correct horse", &strong).await, Fit::Right, "nothing is made weaker");
}
