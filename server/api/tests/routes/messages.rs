//! Channels, members, history and sends over HTTP: which frame the core is asked, and what its answer is in JSON.

use crate::world::{World, bad_field, refused};
use protocol::body::list::{ChannelDetail, ChannelsV2, GetChannelsV2, GetHistoryV2, HistoryPageV2};
use protocol::body::marks::{GetReceipts, ReceiptItem, Receipts};
use protocol::body::message::{AddMembers, CreateGroup, SendText, SetRole};
use protocol::body::session::{Done, GoingAway};
use protocol::body::sync::{
    ChannelItem, Channels, GetChannels, GetHistory, GetMembers, HistoryPage, MarkRead, MemberItem, Members,
    SendAck,
};
use protocol::body::{self, Body};
use protocol::token::{self, Claims};
use protocol::{ChannelId, Code, Frame, Kind, Refusal, Seq, Stamp, UserId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    pages_are_asked_as_a_device_asks
    history_is_asked_from_either_end
    orders_are_asked_in_the_second_version
    places_are_asked_in_the_second_version
    a_text_is_sent_under_its_key
    a_user_who_is_new_to_the_core_is_introduced
    refusals_of_the_core_are_problems
    what_is_wrong_is_said_before_the_core_is_asked
    the_longest_text_fits_however_it_is_written
}

const GROUP: ChannelId = ChannelId(77);

impl World {
    /// What the core answers next.
    fn says(&self, frames: Vec<Frame>) {
        self.homes.answers.lock().unwrap().push_back(frames);
    }

    fn says_one<T: Body>(&self, body: &T) {
        self.says(vec![body::encode(1, body)]);
    }

    fn acks(&self, channel: ChannelId, seq: u64) {
        self.says_one(&SendAck { channel: channel.0, seq, time_ms: 5 });
    }

    /// What it was asked last, and for whom.
    fn asked<T: Body>(&self) -> (Claims, u64, T) {
        let visit = self.homes.visits.lock().unwrap().pop().unwrap();
        (visit.claims, visit.frame.header().id, body::read::<T>(&visit.frame).unwrap())
    }

    fn was_not_asked(&self) {
        assert!(self.homes.visits.lock().unwrap().is_empty());
    }

    async fn write(&self, path: &str, token: &str, key: Option<&str>, body: &str) -> (StatusCode, Value) {
        let mut request = self.http.post(format!("{}{path}", self.base)).bearer_auth(token);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.send(request.header("Content-Type", "application/json").body(body.to_owned())).await
    }

    async fn signed_up(&self, name: &str) -> (String, UserId) {
        self.signup(name).await;
        let grant = self.login(name).await;
        let user = UserId(grant["user"].as_str().unwrap().parse().unwrap());
        (grant["token"].as_str().unwrap().to_owned(), user)
    }
}

fn stamped<T: Body>(seq: u64, body: &T) -> Frame {
    body::encode(900 + seq, body).stamp(Stamp { seq: Seq(seq), time_ms: 10 * seq, sender: UserId(5) })
}

async fn pages_are_asked_as_a_device_asks(world: World) {
    let (token, me) = world.signed_up("alice").await;
    let direct = ChannelId::direct(me, UserId(3));
    let item = |channel: ChannelId, name: &str| ChannelItem {
        channel: channel.0,
        head: 9,
        read: 4,
        unread: 2,
        member: true,
        name: name.into(),
    };
    let items = vec![item(GROUP, "plan"), item(direct, "")];
    world.says_one(&Channels { items, more: true });
    let (status, page) = world.get("/v1/channels?after=5&limit=2", &token).await;
    let (claims, _, get) = world.asked::<GetChannels>();
    assert_eq!((status, get), (StatusCode::OK, GetChannels { after: 5, limit: 2 }));
    assert_eq!(claims, token::verify(&world.keys.all(), &token, api::now_ms()).unwrap());
    let group = json!({
        "channel": "77", "kind": "group", "name": "plan", "head": 9, "read": 4, "unread": 2, "member": true,
    });
    let with = json!({
        "channel": direct.to_string(), "kind": "direct", "with": "3", "head": 9, "read": 4, "unread": 2, "member": true,
    });
    assert_eq!(page, json!({ "channels": [group, with], "next": direct.to_string() }));

    world.says_one(&Channels { items: vec![item(GROUP, "plan")], more: true });
    assert_eq!(world.get("/v1/channels/77", &token).await, (StatusCode::OK, group));
    assert_eq!(world.asked::<GetChannels>().2, GetChannels { after: 76, limit: 1 });
    // The next one in the list is not the one that was asked for.
    world.says_one(&Channels { items: vec![item(GROUP, "plan")], more: true });
    refused(&world.get("/v1/channels/76", &token).await, 404, "not_found");
    world.asked::<GetChannels>();

    let members = [(3, 2), (8, 1), (9, 0)];
    let items = members.map(|(user, role)| MemberItem { user, joined: user, role }).to_vec();
    world.says_one(&Members { channel: 77, items, more: false });
    let (status, page) = world.get("/v1/channels/77/members?after=2", &token).await;
    assert_eq!(world.asked::<GetMembers>().2, GetMembers { channel: 77, after: 2, limit: 100 });
    let members = json!([
        { "user": "3", "role": "owner", "joined": 3 }, { "user": "8", "role": "admin", "joined": 8 },
        { "user": "9", "role": "member", "joined": 9 },
    ]);
    assert_eq!((status, page), (StatusCode::OK, json!({ "members": members })));

    let receipt = |user, read, delivered| ReceiptItem { user, read, delivered };
    let items = vec![receipt(3, 5, 7), receipt(8, 0, 7)];
    world.says_one(&Receipts { channel: 77, items, more: true });
    let (status, page) = world.get("/v1/channels/77/receipts?limit=2", &token).await;
    assert_eq!(world.asked::<GetReceipts>().2, GetReceipts { channel: 77, after: 0, limit: 2 });
    let receipts = json!([
        { "user": "3", "read": 5, "delivered": 7 }, { "user": "8", "read": 0, "delivered": 7 },
    ]);
    assert_eq!((status, page), (StatusCode::OK, json!({ "receipts": receipts, "next": "8" })));

    world.says_one(&Done { kind: Kind::MARK_READ.0 });
    let marked = world.with(Method::POST, "/v1/channels/77/read", &token, Some(json!({ "seq": 7 }))).await;
    assert_eq!(
        (marked.0, world.asked::<MarkRead>().2),
        (StatusCode::NO_CONTENT, MarkRead { channel: 77, seq: 7 })
    );
}

async fn history_is_asked_from_either_end(world: World) {
    let (token, _) = world.signed_up("alice").await;
    let head = HistoryPage { channel: 77, from: 4, to: 7, head: 9, count: 4, more: true };
    let page = || {
        vec![
            body::encode(1, &head),
            stamped(4, &CreateGroup { channel: 77, name: "plan".into(), members: vec![3, 8] }),
            stamped(5, &SendText { channel: 77, text: "hi \u{1f600}".into() }),
            stamped(6, &AddMembers { channel: 77, members: vec![9] }),
            stamped(7, &SetRole { channel: 77, member: 8, role: 1 }),
        ]
    };
    let text =
        json!({ "seq": 5, "time_ms": 50, "sender": "5", "send_id": "905", "kind": "text", "text": "hi 😀" });
    for (query, next, (after, before, limit, newest)) in [
        ("", "4", (0, (1 << 53) - 1, 50, true)),
        ("?before=8&limit=4", "4", (0, 8, 4, true)),
        ("?after=3&limit=4", "7", (3, (1 << 53) - 1, 4, false)),
        ("?after=3&before=8&limit=200", "7", (3, 8, 200, false)),
    ] {
        world.says(page());
        let (status, page) = world.get(&format!("/v1/channels/77/messages{query}"), &token).await;
        let expected = GetHistory { channel: 77, after, before, limit, newest };
        assert_eq!((status, world.asked::<GetHistory>().2), (StatusCode::OK, expected), "{query}");
        assert_eq!((&page["next"], &page["head"], &page["from"]), (&json!(next), &json!(9), &json!(4)));
        assert_eq!(page["messages"][1], text);
        let kinds: Vec<&str> =
            page["messages"].as_array().unwrap().iter().map(|m| m["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["created", "text", "added", "role"]);
        assert_eq!(
            (&page["messages"][0]["users"], &page["messages"][3]["role"]),
            (&json!(["3", "8"]), &json!("admin"))
        );
    }
    world.says_one(&HistoryPage { channel: 77, from: 0, to: 0, head: 9, count: 0, more: false });
    let (_, page) = world.get("/v1/channels/77/messages?before=1", &token).await;
    assert_eq!(page, json!({ "channel": "77", "messages": [], "from": 0, "to": 0, "head": 9 }));
}

async fn orders_are_asked_in_the_second_version(world: World) {
    let (token, me) = world.signed_up("alice").await;
    let own = ChannelId::own(me);
    let item = ChannelItem { channel: own.0, head: 9, read: 4, unread: 0, member: true, name: String::new() };
    let detail = ChannelDetail {
        mentions: 0,
        last_seq: 7,
        last_sender: me.0,
        last_ms: 70,
        last_kind: 0x0101,
        muted_until_ms: 5,
        pinned: 1,
        notify: 2,
        marked_unread: false,
        archived: true,
        has_draft: true,
        text: "milk".into(),
    };
    let page = ChannelsV2 {
        generation: 3,
        through: 42,
        next: 17,
        needs_snapshot: false,
        details: vec![detail],
        items: vec![item],
        more: true,
    };
    let shown = json!({
        "channel": own.to_string(), "kind": "own", "with": me.to_string(), "head": 9, "read": 4, "unread": 0,
        "member": true, "mentions": 0, "muted_until_ms": 5, "pinned": 1, "notify": "nothing",
        "marked_unread": false, "archived": true, "draft": true,
        "last": { "seq": 7, "time_ms": 70, "sender": me.to_string(), "text": "milk" },
    });
    let own_id = own.to_string();
    for (query, next, (generation, at, order, after)) in [
        ("order=id&after=5", own_id.as_str(), (0, 0, 0, 5)),
        ("order=recent&after=5", "3.17", (0, 0, 1, 0)),
        ("order=recent&at=3.17", "3.17", (3, 17, 1, 0)),
        ("order=changed&at=3.42", own_id.as_str(), (3, 42, 2, 0)),
    ] {
        world.says_one(&page);
        let (status, answer) = world.get(&format!("/v1/channels?{query}&limit=7"), &token).await;
        let expected = GetChannelsV2 { generation, at, order, after, limit: 7 };
        assert_eq!((status, world.asked::<GetChannelsV2>().2), (StatusCode::OK, expected), "{query}");
        let wanted = json!({ "channels": [shown], "cursor": "3.42", "needs_snapshot": false, "next": next });
        assert_eq!(answer, wanted, "{query}");
    }
    for wrong in [
        "/v1/channels?order=loudest",
        "/v1/channels?order=changed",
        "/v1/channels?order=recent&at=7",
        "/v1/channels?at=3.17",
        "/v1/channels/77/messages?at_ms=later",
        "/v1/channels/77/messages?first_unread=yes",
        "/v1/channels/77/messages?around=five",
    ] {
        refused(&world.get(wrong, &token).await, 400, "bad_field");
    }
}

async fn places_are_asked_in_the_second_version(world: World) {
    let (token, _) = world.signed_up("alice").await;
    let head = HistoryPageV2 {
        pivot: 5,
        more_before: true,
        more_after: false,
        channel: 77,
        from: 5,
        to: 5,
        head: 5,
        count: 1,
        more: true,
    };
    let said = SendText { channel: 77, text: "hi".into() };
    for (query, around, at) in [
        ("around=5&at_ms=3&before=7", 1, 5),
        ("at_ms=50&first_unread=true", 2, 50),
        ("first_unread=true", 3, 0),
    ] {
        world.says(vec![body::encode(1, &head), stamped(5, &said)]);
        let (status, answer) = world.get(&format!("/v1/channels/77/messages?{query}"), &token).await;
        let before = (1 << 53) - 1;
        let expected = GetHistoryV2 { at, around, channel: 77, after: 0, before, limit: 50, newest: false };
        assert_eq!((status, world.asked::<GetHistoryV2>().2), (StatusCode::OK, expected), "{query}");
        let place = (&answer["pivot"], &answer["more_before"], &answer["more_after"]);
        assert_eq!(place, (&json!(5), &json!(true), &json!(false)));
    }
}

async fn a_text_is_sent_under_its_key(world: World) {
    let (token, me) = world.signed_up("alice").await;
    let body = r#"{"text":"hi"}"#;
    let mut ids = Vec::new();
    for (path, channel, key) in [
        ("/v1/channels/77/messages", GROUP, "one"),
        ("/v1/channels/77/messages", GROUP, "\"one\""),
        ("/v1/channels/77/messages", GROUP, "two"),
        ("/v1/users/3/messages", ChannelId::direct(me, UserId(3)), "one"),
    ] {
        world.acks(channel, 12);
        let (status, answer) = world.write(path, &token, Some(key), body).await;
        let (_, id, text) = world.asked::<SendText>();
        assert_eq!((status, text), (StatusCode::CREATED, SendText { channel: channel.0, text: "hi".into() }));
        let expected = json!({
            "channel": channel.to_string(), "seq": 12, "time_ms": 5, "send_id": id.to_string(),
        });
        assert_eq!(answer, expected);
        ids.push(id);
    }
    assert!(ids[0] == ids[1] && ids[0] == ids[3] && ids[0] != ids[2], "{ids:?}");
    // What one writes to oneself is saved.
    world.acks(ChannelId::own(me), 1);
    let path = format!("/v1/users/{me}/messages");
    assert_eq!(world.write(&path, &token, Some("own"), body).await.0, StatusCode::CREATED);
    assert_eq!(world.asked::<SendText>().2.channel, ChannelId::own(me).0);
    // Another user's key is another one.
    let (other, _) = world.signed_up("bob").await;
    world.acks(GROUP, 13);
    assert_eq!(
        world.write("/v1/channels/77/messages", &other, Some("one"), body).await.0,
        StatusCode::CREATED
    );
    assert_ne!(world.asked::<SendText>().1, ids[0]);
}

async fn a_user_who_is_new_to_the_core_is_introduced(world: World) {
    let (token, _) = world.signed_up("alice").await;
    let (_, created) = world.signup("bob").await;
    let bob = UserId(created["user"].as_str().unwrap().parse().unwrap());
    let unknown = || vec![body::encode(1, &Refusal::new(Code::NoSuchUser, "channel", "nobody").body())];
    let path = format!("/v1/users/{bob}/messages");
    // Known to both: nothing is new.
    world.says(unknown());
    refused(&world.write(&path, &token, Some("a"), r#"{"text":"hi"}"#).await, 404, "not_found");
    // The core did not know yet, as when it was away at the sign-up.
    forget_in_core(&world, bob).await;
    world.says(unknown());
    world.acks(GROUP, 1);
    assert_eq!(world.write(&path, &token, Some("a"), r#"{"text":"hi"}"#).await.0, StatusCode::CREATED);
    assert!(world.homes.users.lock().unwrap().contains(&bob));
    // Nobody at all; and whoever walks through ids is stopped as at a look-up.
    let world = world.again(|settings| settings.access.limits.user_lookups_per_h = 2).await;
    for _ in 0..2 {
        world.says(unknown());
        refused(
            &world.write("/v1/users/5/messages", &token, Some("a"), r#"{"text":"hi"}"#).await,
            404,
            "not_found",
        );
    }
    world.says(unknown());
    refused(&world.write("/v1/users/5/messages", &token, Some("a"), r#"{"text":"hi"}"#).await, 429, "rate");
}

/// As if the core had not been told of the user.
async fn forget_in_core(world: &World, user: UserId) {
    world.homes.users.lock().unwrap().retain(|known| *known != user);
    let pool = sqlx::AnyPool::connect(&world.url).await.unwrap();
    let update = sqlx::query("UPDATE users SET in_core = 0 WHERE user_id = $1");
    update.bind(i64::try_from(user.0).unwrap()).execute(&pool).await.unwrap();
}

async fn refusals_of_the_core_are_problems(world: World) {
    let (token, _) = world.signed_up("alice").await;
    let path = "/v1/channels/77/messages";
    for (refusal, status, code, retry_ms) in [
        (Refusal::new(Code::Forbidden, "channel", "x"), 404, "not_found", 0),
        (Refusal::new(Code::Conflict, "id", "x"), 422, "idempotency_key_reused", 0),
        (Refusal::new(Code::Unauthenticated, "token", "x"), 401, "unauthenticated", 0),
        (Refusal::new(Code::Expired, "token", "x"), 401, "expired", 0),
        (Refusal::new(Code::NoSuchUser, "token", "x"), 401, "unauthenticated", 0),
        (Refusal::retry(Code::Rate, 1700, "x"), 429, "rate", 1700),
        (Refusal::retry(Code::Busy, 200, "x"), 503, "busy", 200),
        (Refusal::retry(Code::StorageFull, 5000, "x"), 507, "storage_full", 5000),
    ] {
        world.says(vec![body::encode(1, &refusal.body())]);
        let answer = world.write(path, &token, Some("a"), r#"{"text":"hi"}"#).await;
        refused(&answer, status, code);
        assert_eq!(answer.1["retry_after_ms"], retry_ms, "{answer:?}");
        world.says(vec![body::encode(1, &refusal.body())]);
        refused(&world.get(path, &token).await, status, code);
    }
    world.says_one(&GoingAway { reconnect_after_ms: 900, reason: 1001 });
    refused(&world.get(path, &token).await, 503, "busy");
    // No answer at all, and one that makes no sense.
    refused(&world.get(path, &token).await, 503, "busy");
    world.acks(GROUP, 1);
    refused(&world.get(path, &token).await, 500, "internal");
}

async fn what_is_wrong_is_said_before_the_core_is_asked(world: World) {
    let (token, _) = world.signed_up("alice").await;
    let get = |path: &'static str| {
        let (world, token) = (&world, token.clone());
        async move { world.get(path, &token).await }
    };
    for (path, field) in [
        ("/v1/channels?after=x", "after"),
        ("/v1/channels?limit=0", "limit"),
        ("/v1/channels?limit=501", "limit"),
        ("/v1/channels?offset=1", "offset"),
        ("/v1/channels/0", "id"),
        ("/v1/channels/-1", "id"),
        ("/v1/channels/36893488147419103233", "id"),
        ("/v1/channels/x/members", "id"),
        ("/v1/channels/77/members?after=-1", "after"),
        ("/v1/channels/77/messages?limit=201", "limit"),
        ("/v1/channels/77/messages?before=9007199254740992", "before"),
        ("/v1/channels/77/messages?after=1&after=2", "after"),
    ] {
        bad_field(&get(path).await, field);
    }
    for path in ["/v1/channels", "/v1/channels/77", "/v1/channels/77/members", "/v1/channels/77/messages"] {
        refused(&world.get(path, "m1.x.y").await, 401, "unauthenticated");
    }
    let path = "/v1/channels/77/messages";
    let write = |key, body: &'static str| {
        let (world, token) = (&world, token.clone());
        async move { world.write(path, &token, key, body).await }
    };
    refused(&write(None, r#"{"text":"hi"}"#).await, 400, "idempotency_key_needed");
    bad_field(&write(Some("a b"), r#"{"text":"hi"}"#).await, "Idempotency-Key");
    bad_field(&write(Some("a"), r#"{"text":""}"#).await, "text");
    bad_field(&write(Some("a"), r#"{"text":7}"#).await, "text");
    bad_field(&write(Some("a"), "{}").await, "text");
    bad_field(&write(Some("a"), r#"{"text":"hi","to":"me"}"#).await, "to");
    refused(&write(Some("a"), r#"{"text":"\ud800"}"#).await, 400, "bad_json");
    refused(&write(Some("a"), "{").await, 400, "bad_json");
    refused(&world.write(path, "m1.x.y", Some("a"), r#"{"text":"hi"}"#).await, 401, "unauthenticated");
    for (id, field) in [("0", "id"), ("x", "id")] {
        let path = format!("/v1/users/{id}/messages");
        bad_field(&world.write(&path, &token, Some("a"), r#"{"text":"hi"}"#).await, field);
    }
    let plain = world.http.post(format!("{}{path}", world.base)).bearer_auth(&token);
    let plain = plain.header("Idempotency-Key", "a").body("hi");
    refused(&world.send(plain).await, 415, "unsupported_media_type");
    refused(&world.with(Method::DELETE, path, &token, None).await, 405, "method_not_allowed");
    world.was_not_asked();
}

async fn the_longest_text_fits_however_it_is_written(world: World) {
    let (token, _) = world.signed_up("alice").await;
    let path = "/v1/channels/77/messages";
    for (written, meant) in
        [("x", "x"), ("\u{1f600}", "\u{1f600}"), ("\\ud83d\\ude00", "\u{1f600}"), ("\\u0000", "\0")]
    {
        world.acks(GROUP, 1);
        let body = |chars| format!(r#"{{"text":"{}"}}"#, written.repeat(chars));
        let (status, answer) = world.write(path, &token, Some("a"), &body(100_000)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        assert_eq!(world.asked::<SendText>().2.text, meant.repeat(100_000));
        bad_field(&world.write(path, &token, Some("a"), &body(100_001)).await, "text");
    }
    let huge = format!(r#"{{"text":"{}"}}"#, "x".repeat(1_300_000));
    refused(&world.write(path, &token, Some("a"), &huge).await, 413, "too_large");
    world.was_not_asked();
}
