//! Bots over HTTP: who makes them, what their tokens open, and how they end.

use std::sync::atomic::Ordering;

use crate::world::{PASSWORD, World, bad_field, refused};
use api::now_ms;
use protocol::body::sync::{ChannelItem, Channels, SendAck};
use protocol::body::{self};
use protocol::token;
use protocol::{ChannelId, UserId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    a_bot_is_made_and_known_for_one
    a_token_opens_what_its_scopes_say
    a_revoked_token_is_refused_from_then_on
    owners_have_bounds_and_their_own_bots_only
    a_bot_is_no_person
    a_bot_does_not_come_up_to_people
    bots_end_with_their_owner
    the_operator_has_bots_and_ends_everybodys
    while_the_core_is_away_there_is_no_bot
}

impl World {
    async fn owner(&self, name: &str) -> String {
        self.signup(name).await;
        self.login(name).await["token"].as_str().unwrap().to_owned()
    }

    async fn bot(&self, owner: &str, name: &str, scopes: Value) -> Value {
        let body = json!({ "name": name, "scopes": scopes });
        let (status, made) = self.with(Method::POST, "/v1/bots", owner, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    async fn sends(&self, bot_token: &str, path: &str) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(bot_token);
        self.send(request.header("Idempotency-Key", "k").json(&json!({ "text": "hi" }))).await
    }

    fn says_acked(&self, channel: ChannelId) {
        let ack = body::encode(1, &SendAck { channel: channel.0, seq: 1, time_ms: 5 });
        self.homes.answers.lock().unwrap().push_back(vec![ack]);
    }

    fn says_channels(&self, channels: &[ChannelId]) {
        let item = |channel: &ChannelId| ChannelItem {
            channel: channel.0,
            head: 1,
            read: 0,
            unread: 1,
            member: true,
            name: String::new(),
        };
        let page = Channels { items: channels.iter().map(item).collect(), more: false };
        self.homes.answers.lock().unwrap().push_back(vec![body::encode(1, &page)]);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn user(value: &Value) -> UserId {
    UserId(text(value).parse().unwrap())
}

async fn a_bot_is_made_and_known_for_one(world: World) {
    let owner = world.owner("alice").await;
    let (_, me) = world.get("/v1/users/by-name/alice", &owner).await;
    let made = world.bot(&owner, "Siren", json!(["read", "send"])).await;
    assert_eq!((&made["name"], &made["scopes"]), (&json!("Siren"), &json!(["read", "send"])));
    assert!(text(&made["token"]).starts_with("mb1."));
    let bot = user(&made["bot"]);
    let device = protocol::DeviceId(text(&made["id"]).parse().unwrap());
    assert!(
        world.homes.devices.lock().unwrap().contains(&(bot, device)),
        "the core knows it before it is told"
    );
    for who in [owner.as_str(), text(&made["token"])] {
        for path in ["/v1/users/by-name/SIREN".to_owned(), format!("/v1/users/{bot}")] {
            let (status, found) = world.get(&path, who).await;
            assert_eq!((status, &found["bot"]), (StatusCode::OK, &json!({ "owner": me["user"] })), "{found}");
        }
    }
    assert!(me["bot"].is_null() && me["user"].is_string());
    let (_, list) = world.get("/v1/bots", &owner).await;
    assert_eq!(list["bots"][0]["bot"], made["bot"]);
    assert_eq!((list["bots"].as_array().unwrap().len(), &list["bots"][0]["owner"]), (1, &me["user"]));
    // What is kept does not open anything.
    let file = format!("{list}{}", world.get(&format!("/v1/bots/{bot}/tokens"), &owner).await.1);
    assert!(!file.contains(&text(&made["token"])[4..]));
    for (body, field) in [
        (json!({ "name": "x y" }), "name"),
        (json!({ "name": "ok", "scopes": [] }), "scopes"),
        (json!({ "name": "ok", "scopes": ["admin"] }), "scopes"),
        (json!({ "name": "ok", "token_name": "" }), "token_name"),
        (json!({ "name": "ok", "owner": "1" }), "owner"),
    ] {
        bad_field(&world.with(Method::POST, "/v1/bots", &owner, Some(body)).await, field);
    }
    let taken = json!({ "name": "ALICE" });
    refused(&world.with(Method::POST, "/v1/bots", &owner, Some(taken)).await, 409, "name_taken");
}

async fn a_token_opens_what_its_scopes_say(world: World) {
    let owner = world.owner("alice").await;
    let made = world.bot(&owner, "siren", json!(["read"])).await;
    let tokens = format!("/v1/bots/{}/tokens", text(&made["bot"]));
    let mut of = Vec::new();
    for scope in ["send", "connect"] {
        let body = json!({ "name": scope, "scopes": [scope] });
        let (status, made) = world.with(Method::POST, &tokens, &owner, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED);
        of.push(text(&made["token"]).to_owned());
    }
    let (read, send, connect) = (text(&made["token"]), of[0].as_str(), of[1].as_str());
    for path in [
        "/v1/channels",
        "/v1/channels/7",
        "/v1/channels/7/members",
        "/v1/channels/7/messages",
        "/v1/channels/7/receipts",
        "/v1/users/by-name/alice",
    ] {
        for wrong in [send, connect] {
            let words = refused(&world.get(path, wrong).await, 403, "scope");
            assert!(words.contains("read"), "{words}");
        }
    }
    for wrong in [read, connect] {
        refused(&world.sends(wrong, "/v1/channels/7/messages").await, 403, "scope");
        refused(&world.sends(wrong, "/v1/users/7/messages").await, 403, "scope");
    }
    for wrong in [read, send] {
        refused(&world.post("/v1/token", &json!({ "refresh": wrong })).await, 403, "scope");
    }
    world.says_channels(&[]);
    assert_eq!(world.get("/v1/channels", read).await.0, StatusCode::OK);
    world.says_acked(ChannelId(7));
    assert_eq!(world.sends(send, "/v1/channels/7/messages").await.0, StatusCode::CREATED);
    // An access token, again and again: a bot's own is not used up.
    for _ in 0..2 {
        let (status, grant) = world.post("/v1/token", &json!({ "refresh": connect })).await;
        assert_eq!(
            (status, &grant["user"], &grant["refresh"]),
            (StatusCode::OK, &made["bot"], &json!(connect))
        );
        let claims = token::verify(&world.keys.all(), text(&grant["token"]), now_ms()).unwrap();
        assert_eq!(claims.user, user(&made["bot"]));
        assert!(world.homes.devices.lock().unwrap().contains(&(claims.user, claims.device)));
        assert_eq!(world.get("/v1/route", text(&grant["token"])).await.0, StatusCode::OK);
    }
    // A bot's token itself is none, where a person's is wanted.
    for path in ["/v1/route", "/v1/devices", "/v1/bots"] {
        refused(&world.get(path, connect).await, 401, "unauthenticated");
    }
    for wrong in ["mb1.", "mb1.00000000000000000000000000000000", "mb1.zz"] {
        refused(&world.get("/v1/channels", wrong).await, 401, "unauthenticated");
        refused(&world.post("/v1/token", &json!({ "refresh": wrong })).await, 401, "unauthenticated");
    }
    let (_, list) = world.get(&tokens, &owner).await;
    let seen = list["tokens"].as_array().unwrap().iter().all(|token| token["seen_ms"].as_u64().unwrap() > 0);
    assert!(seen && list["tokens"][1]["token_name"] == "send", "{list}");
}

async fn a_revoked_token_is_refused_from_then_on(world: World) {
    let owner = world.owner("alice").await;
    let made = world.bot(&owner, "siren", json!(["read", "connect"])).await;
    let tokens = format!("/v1/bots/{}/tokens", text(&made["bot"]));
    let body = json!({ "name": "other" });
    let (_, other) = world.with(Method::POST, &tokens, &owner, Some(body)).await;
    let (_, grant) = world.post("/v1/token", &json!({ "refresh": made["token"] })).await;
    let path = format!("{tokens}/{}", text(&made["id"]));
    for _ in 0..2 {
        assert_eq!(world.with(Method::DELETE, &path, &owner, None).await.0, StatusCode::NO_CONTENT);
        refused(&world.get("/v1/channels", text(&made["token"])).await, 401, "unauthenticated");
        refused(&world.post("/v1/token", &json!({ "refresh": made["token"] })).await, 401, "unauthenticated");
        refused(&world.get("/v1/route", text(&grant["token"])).await, 401, "unauthenticated");
    }
    let device = protocol::DeviceId(text(&made["id"]).parse().unwrap());
    assert!(world.homes.removed.lock().unwrap().contains(&(user(&made["bot"]), device)), "in the core, too");
    world.says_channels(&[]);
    assert_eq!(world.get("/v1/channels", text(&other["token"])).await.0, StatusCode::OK, "the other goes on");
}

async fn owners_have_bounds_and_their_own_bots_only(world: World) {
    let (owner, eve) = (world.owner("alice").await, world.owner("eve").await);
    let made = world.bot(&owner, "siren", json!(["read"])).await;
    world.bot(&owner, "siren2", json!(["read"])).await;
    let third = || world.with(Method::POST, "/v1/bots", &owner, Some(json!({ "name": "siren3" })));
    refused(&third().await, 409, "too_many_bots");
    let path = format!("/v1/bots/{}", text(&made["bot"]));
    let tokens = format!("{path}/tokens");
    for number in 2..=4 {
        let body = json!({ "name": "more" });
        let answer = world.with(Method::POST, &tokens, &owner, Some(body)).await;
        if number <= 3 {
            assert_eq!(answer.0, StatusCode::CREATED);
        } else {
            refused(&answer, 409, "too_many_tokens");
        }
    }
    let token = format!("{tokens}/{}", text(&made["id"]));
    for (method, path) in [(Method::DELETE, &path), (Method::GET, &tokens), (Method::DELETE, &token)] {
        refused(&world.with(method, path, &eve, None).await, 404, "not_found");
    }
    let body = json!({ "name": "mine" });
    refused(&world.with(Method::POST, &tokens, &eve, Some(body)).await, 404, "not_found");
    // A person is no bot.
    let (_, me) = world.get("/v1/users/by-name/alice", &owner).await;
    let path_of_person = format!("/v1/bots/{}", text(&me["user"]));
    refused(&world.with(Method::DELETE, &path_of_person, &owner, None).await, 404, "not_found");
    assert!(world.get("/v1/bots", &eve).await.1["bots"].as_array().unwrap().is_empty());
    assert_eq!(world.with(Method::DELETE, &path, &owner, None).await.0, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/channels", text(&made["token"])).await, 401, "unauthenticated");
    refused(&world.with(Method::DELETE, &path, &owner, None).await, 404, "not_found");
    assert_eq!(third().await.0, StatusCode::CREATED, "there is room again");
}

async fn a_bot_is_no_person(world: World) {
    let owner = world.owner("alice").await;
    let made = world.bot(&owner, "siren", json!(["read", "send", "connect"])).await;
    for password in ["!bot", "", "correct horse"] {
        let login = json!({ "name": "siren", "password": password });
        refused(&world.post("/v1/login", &login).await, 401, "wrong_credentials");
    }
    let (_, grant) = world.post("/v1/token", &json!({ "refresh": made["token"] })).await;
    let access = text(&grant["token"]);
    let body = Some(json!({ "name": "more" }));
    refused(&world.with(Method::POST, "/v1/bots", access, body.clone()).await, 403, "bot");
    let own = format!("/v1/bots/{}/tokens", text(&made["bot"]));
    refused(&world.with(Method::POST, &own, access, body).await, 404, "not_found");
    let reset = json!({ "name": "siren", "password": "correct horse battery" });
    bad_field(&world.operate(Method::POST, "/v1/admin/password", Some(reset)).await, "user");
    let world = world
        .again(|settings| {
            settings.user_invites = 2;
            settings.signup = api::Signup::Invite;
        })
        .await;
    refused(&world.with(Method::POST, "/v1/invites", access, Some(json!({}))).await, 403, "bot");
}

async fn a_bot_does_not_come_up_to_people(world: World) {
    let owner = world.owner("alice").await;
    let made = world.bot(&owner, "siren", json!(["read", "send"])).await;
    let direct = ChannelId::direct(user(&made["bot"]), UserId(9));
    for path in ["/v1/users/9/messages".to_owned(), format!("/v1/channels/{direct}/messages")] {
        world.says_channels(&[]);
        refused(&world.sends(text(&made["token"]), &path).await, 403, "bot");
        world.says_channels(&[direct]);
        world.says_acked(direct);
        assert_eq!(world.sends(text(&made["token"]), &path).await.0, StatusCode::CREATED);
    }
}

async fn bots_end_with_their_owner(world: World) {
    let owner = world.owner("alice").await;
    let made = world.bot(&owner, "siren", json!(["read", "connect"])).await;
    let (_, grant) = world.post("/v1/token", &json!({ "refresh": made["token"] })).await;
    let leave = Some(json!({ "password": PASSWORD }));
    let left = world.with(Method::POST, "/v1/account/delete", &owner, leave).await;
    assert_eq!(left.0, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/channels", text(&made["token"])).await, 401, "unauthenticated");
    refused(&world.get("/v1/route", text(&grant["token"])).await, 401, "unauthenticated");
    assert!(world.homes.devices.lock().unwrap().is_empty());
    let eve = world.owner("eve").await;
    refused(&world.get("/v1/users/by-name/siren", &eve).await, 404, "not_found");
}

async fn the_operator_has_bots_and_ends_everybodys(world: World) {
    let owner = world.owner("alice").await;
    let made = world.bot(&owner, "siren", json!(["read"])).await;
    let body = json!({ "name": "support", "scopes": ["read", "send"] });
    let (status, theirs) = world.operate(Method::POST, "/v1/admin/bots", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{theirs}");
    let (_, list) = world.operate(Method::GET, "/v1/admin/bots", None).await;
    assert_eq!(list["bots"].as_array().unwrap().len(), 2);
    assert!(list["bots"][1]["owner"].is_null());
    let (_, rest) =
        world.operate(Method::GET, &format!("/v1/admin/bots?after={}", text(&made["bot"])), None).await;
    assert_eq!(rest["bots"][0]["bot"], theirs["bot"]);
    // Not a matter of any user, and not of who has no such token.
    let path = format!("/v1/bots/{}", text(&theirs["bot"]));
    refused(&world.with(Method::DELETE, &path, &owner, None).await, 404, "not_found");
    refused(&world.with(Method::GET, "/v1/admin/bots", &owner, None).await, 401, "unauthenticated");
    let tokens = format!("/v1/admin/bots/{}/tokens", text(&made["bot"]));
    let (_, all) = world.operate(Method::GET, &tokens, None).await;
    assert_eq!(all["tokens"][0]["id"], made["id"]);
    let token = format!("{tokens}/{}", text(&made["id"]));
    assert_eq!(world.operate(Method::DELETE, &token, None).await.0, StatusCode::NO_CONTENT);
    refused(&world.get("/v1/channels", text(&made["token"])).await, 401, "unauthenticated");
    for bot in [&made["bot"], &theirs["bot"]] {
        let path = format!("/v1/admin/bots/{}", text(bot));
        assert_eq!(world.operate(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    }
    refused(&world.get("/v1/channels", text(&theirs["token"])).await, 401, "unauthenticated");
    assert!(world.get("/v1/bots", &owner).await.1["bots"].as_array().unwrap().is_empty());
}

async fn while_the_core_is_away_there_is_no_bot(world: World) {
    let owner = world.owner("alice").await;
    world.homes.broken.store(true, Ordering::Release);
    let make = || world.with(Method::POST, "/v1/bots", &owner, Some(json!({ "name": "siren" })));
    for _ in 0..3 {
        refused(&make().await, 503, "busy");
    }
    world.homes.broken.store(false, Ordering::Release);
    assert!(world.get("/v1/bots", &owner).await.1["bots"].as_array().unwrap().is_empty());
    let (status, made) = make().await;
    assert_eq!(status, StatusCode::CREATED, "its name was not used up: {made}");
    world.homes.broken.store(true, Ordering::Release);
    let path = format!("/v1/bots/{}/tokens/{}", text(&made["bot"]), text(&made["id"]));
    refused(&world.with(Method::DELETE, &path, &owner, None).await, 503, "busy");
    world.homes.broken.store(false, Ordering::Release);
    world.says_channels(&[]);
    assert_eq!(world.get("/v1/channels", text(&made["token"])).await.0, StatusCode::OK, "it was not revoked");
}
