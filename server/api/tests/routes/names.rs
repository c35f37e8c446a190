//! Names and passwords as people type them, through HTTP, and as an enemy would.

use crate::world::{PASSWORD, World, refused};
use api::{Accounts, Name, Sought, now_ms, password};
use reqwest::StatusCode;
use serde_json::json;

on_both! {
    one_look_one_name
    two_who_look_alike_at_once_make_one_account
    a_space_behind_the_name_locks_nobody_out
    spellings_buy_no_guesses
    a_password_is_one_on_every_keyboard
    an_account_without_password_and_no_account_cost_the_same
    hashes_of_old_are_made_anew_at_the_login
    logins_at_once_all_pass_while_the_hash_is_made_anew
}

async fn one_look_one_name(world: World) {
    assert_eq!(world.signup("paypal").await.0, StatusCode::CREATED);
    for alike in [
        "PAYPAL",
        " paypal ",
        "ｐａｙｐａｌ",
        "paypaI",
        "paypa1",
        "PayPaL",
        "\u{440}\u{430}\u{443}\u{440}\u{430}\u{4cf}",
    ] {
        let answer = world.signup(alike).await;
        assert!(refused(&answer, 409, "name_taken").contains("looks like"), "{alike}");
    }
    for wrong in [
        "p\u{430}ypal",
        "paypal\u{fe0f}",
        "pay\u{34f}pal",
        "\u{3164}",
        "paypal\u{200b}",
        "\u{202e}paypal",
        "pay pal",
    ] {
        refused(&world.signup(wrong).await, 400, "bad_field");
    }
    for reserved in ["admin", "Adm1n", "\u{430}\u{501}m\u{456}n", "r00t", "MARU", "관리자"] {
        let answer = world.signup(reserved).await;
        assert!(matches!(answer.0.as_u16(), 409 | 400), "{reserved}: {answer:?}");
    }
    assert!(refused(&world.signup("Support").await, 409, "name_taken").contains("kept"));
    for good in ["박지성JS", "山田タロウ", "Иван", "דוד"] {
        assert_eq!(world.signup(good).await.0, StatusCode::CREATED, "{good}");
    }
}

async fn two_who_look_alike_at_once_make_one_account(world: World) {
    let (one, two) = tokio::join!(world.signup("scope"), world.signup("\u{455}\u{441}\u{43e}\u{440}\u{435}"));
    let (good, bad) = if one.0 == StatusCode::CREATED { (one, two) } else { (two, one) };
    assert_eq!(good.0, StatusCode::CREATED);
    refused(&bad, 409, "name_taken");
}

async fn a_space_behind_the_name_locks_nobody_out(world: World) {
    world.signup(" 박지성 ").await;
    let first = world.login("박지성").await;
    let token = first["token"].as_str().unwrap();
    for typed in [
        "박지성 ",
        "\t박지성\n",
        "\u{feff}박지성",
        "박지성\u{200b}",
        "\u{1107}\u{1161}\u{11a8}지성",
        "박지성\u{3000}",
    ] {
        let body = json!({ "name": typed, "password": PASSWORD, "device": first["device"] });
        assert_eq!(world.post("/v1/login", &body).await.0, StatusCode::OK, "{typed:?}");
        let mut path = reqwest::Url::parse(&world.base).unwrap();
        path.path_segments_mut().unwrap().extend(["v1", "users", "by-name", typed]);
        let (status, found) = world.send(world.http.get(path).bearer_auth(token)).await;
        assert_eq!(
            (status, &found["user"], &found["name"]),
            (StatusCode::OK, &first["user"], &json!("박지성"))
        );
    }
    let operator = std::fs::read_to_string(world.data.path().join("admin.token")).unwrap();
    let revoke = world.http.post(format!("{}/v1/admin/revoke", world.admin)).bearer_auth(operator.trim());
    let (status, _) = world.send(revoke.json(&json!({ "name": " 박지성\n" }))).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/devices", token).await, 401, "unauthenticated");
}

/// Guesses are counted for the account, not for one of its endless spellings.
async fn spellings_buy_no_guesses(world: World) {
    world.signup("alice").await;
    // Above what one spelling is allowed, below what an address is.
    for guess in 0..60 {
        let name = format!("{}alice{}", " ".repeat(guess), "\u{200b}".repeat(guess));
        let answer = world.post("/v1/login", &json!({ "name": name, "password": "wrong horse" })).await;
        if answer.0 == StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        refused(&answer, 401, "wrong_credentials");
    }
    panic!("60 spellings, 60 guesses");
}

async fn a_password_is_one_on_every_keyboard(world: World) {
    let sign_up = |name: &'static str, password: &'static str| {
        let world = &world;
        async move { world.post("/v1/signup", &json!({ "name": name, "password": password })).await }
    };
    assert_eq!(sign_up("eve", "cafe\u{301} au lait").await.0, StatusCode::CREATED);
    for typed in ["café au lait", "caf\u{65}\u{301}\u{a0}au\u{3000}lait"] {
        let answer = world.post("/v1/login", &json!({ "name": "eve", "password": typed })).await;
        assert_eq!(answer.0, StatusCode::OK, "{typed:?} {answer:?}");
    }
    for typed in ["Café au lait", "cafe au lait", "café au lait ", "ｃafé au lait"] {
        let answer = world.post("/v1/login", &json!({ "name": "eve", "password": typed })).await;
        refused(&answer, 401, "wrong_credentials");
    }
    for (password, word) in [
        ("Password", "most common"),
        ("1qaz2wsx", "most common"),
        ("alexandra", "name"),
        ("Alexandra12", "name"),
        ("a\u{301}e\u{301}o\u{301}u\u{301}e", "5 characters"),
        ("correct\thorse", "control"),
    ] {
        assert!(
            refused(&sign_up("alexandra", password).await, 400, "bad_field").contains(word),
            "{password}"
        );
    }
    let token =
        world.post("/v1/login", &json!({ "name": "eve", "password": "café au lait" })).await.1["token"]
            .clone();
    for new in ["trustno1", "eveeveeve"] {
        let change =
            world.http.post(format!("{}/v1/password", world.base)).bearer_auth(token.as_str().unwrap());
        let answer = world.send(change.json(&json!({ "old": "café au lait", "new": new }))).await;
        assert!(refused(&answer, 400, "bad_field").starts_with("new: "), "{answer:?}");
    }
}

impl World {
    async fn hashed(&self) -> u64 {
        let (_, metrics) = self.watch("/metrics").await;
        let metrics = metrics.as_str().unwrap().to_owned();
        let line = metrics.lines().find_map(|line| line.strip_prefix("maru_passwords_hashed_total "));
        line.unwrap().parse().unwrap()
    }
}

/// S25: nobody is told apart by what a wrong password costs; it is hashings that take the time.
async fn an_account_without_password_and_no_account_cost_the_same(world: World) {
    world.signup("alice").await;
    let operator = std::fs::read_to_string(world.data.path().join("admin.token")).unwrap();
    let make = world.http.post(format!("{}/v1/admin/users", world.admin)).bearer_auth(operator.trim());
    assert_eq!(world.send(make.json(&json!({ "count": 1 }))).await.0, StatusCode::CREATED);
    for (password, hashings) in [("wrong horse", 1), ("!", 1), ("", 1), ("wro\u{308}ng horse", 2)] {
        for name in ["alice", "load000001", "nobody-here", "no name at all", "", "\u{3164}"] {
            let before = world.hashed().await;
            let answer = world.post("/v1/login", &json!({ "name": name, "password": password })).await;
            refused(&answer, 401, "wrong_credentials");
            assert_eq!(world.hashed().await - before, hashings, "{name:?} {password:?}");
        }
    }
}

/// Hashes that an older version made, of bytes that nobody prepared and of weaker parameters.
async fn hashes_of_old_are_made_anew_at_the_login(world: World) {
    use argon2::{Argon2, Params, PasswordHasher};
    let accounts = Accounts::open(&world.database).await.unwrap();
    let raw = "cafe\u{301} au lait";
    let weak = Argon2::from(Params::new(8192, 1, 1, None).unwrap());
    for (name, hash) in [
        ("bytes", Argon2::default().hash_password(raw.as_bytes()).unwrap().to_string()),
        ("weak", weak.hash_password("café au lait".as_bytes()).unwrap().to_string()),
        ("new", password::hash(raw).unwrap()),
    ] {
        accounts.create_user(&Name::parse(name).unwrap(), &hash, now_ms()).await.unwrap();
        let stored = async || {
            accounts.user_by_name(Sought::parse(name).unwrap()).await.unwrap().unwrap().password_hash
        };
        let login = |password: &str| {
            let (world, body) = (&world, json!({ "name": name, "password": password }));
            async move { world.post("/v1/login", &body).await }
        };
        refused(&login("cafe au lait").await, 401, "wrong_credentials");
        assert_eq!(stored().await, hash, "{name}");
        assert_eq!(login(raw).await.0, StatusCode::OK, "{name}");
        let anew = stored().await;
        assert_eq!(anew == hash, name == "new", "{name}");
        assert!(anew.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{anew}");
        // By now every way to type it fits, and nothing is hashed for nothing.
        let before = world.hashed().await;
        assert_eq!(login("café au lait").await.0, StatusCode::OK, "{name}");
        assert_eq!((stored().await, world.hashed().await - before), (anew, 1), "{name}");
    }
}

async fn logins_at_once_all_pass_while_the_hash_is_made_anew(world: World) {
    use argon2::{Argon2, Params, PasswordHasher};
    let accounts = Accounts::open(&world.database).await.unwrap();
    let weak = Argon2::from(Params::new(8192, 1, 1, None).unwrap());
    let hash = weak.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    accounts.create_user(&Name::parse("alice").unwrap(), &hash, now_ms()).await.unwrap();
    let (one, two, three) = tokio::join!(world.login("alice"), world.login("alice"), world.login("alice"));
    assert!(one["device"] != two["device"] && two["device"] != three["device"]);
}
