//! Who may sign up: everybody, whoever has an invite, nobody.

use crate::world::{PASSWORD, World, bad_field, refused};
use api::Signup;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    a_closed_server_lets_nobody_in
    an_invite_lets_in_as_many_as_it_says
    two_race_for_one_use
    invites_are_listed_and_revoked
    users_invite_where_they_may
    invites_that_are_none
}

impl World {
    async fn invited(&self, name: &str, code: &Value) -> (StatusCode, Value) {
        self.post("/v1/signup", &json!({ "name": name, "password": PASSWORD, "invite": code })).await
    }

    /// Invites of the operator.
    async fn invites(&self, body: Value) -> Vec<Value> {
        let (status, made) = self.operate(Method::POST, "/v1/admin/invites", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made["invites"].as_array().unwrap().clone()
    }

    async fn list(&self) -> Vec<Value> {
        let (status, list) = self.operate(Method::GET, "/v1/admin/invites", None).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        list["invites"].as_array().unwrap().clone()
    }

    async fn by_invitation(self) -> Self {
        self.again(|settings| settings.signup = Signup::Invite).await
    }
}

async fn a_closed_server_lets_nobody_in(world: World) {
    world.signup("taken").await;
    let world = world.again(|settings| settings.signup = Signup::Closed).await;
    let code = world.invites(json!({})).await[0]["code"].clone();
    refused(&world.signup("alice").await, 403, "signup_closed");
    refused(&world.signup("taken").await, 403, "signup_closed");
    refused(&world.invited("alice", &code).await, 403, "signup_closed");
    bad_field(&world.signup("").await, "name");
    // Whoever has an account logs in.
    world.login("taken").await;
    // It is good for something once the server takes invites, and not looked at while it is open.
    let world = world.by_invitation().await;
    assert_eq!(world.invited("alice", &code).await.0, StatusCode::CREATED);
    let world = world.again(|_| {}).await;
    assert_eq!(world.invited("bob", &code).await.0, StatusCode::CREATED);
}

async fn an_invite_lets_in_as_many_as_it_says(world: World) {
    world.signup("taken").await;
    let world = world.by_invitation().await;
    let made = world.invites(json!({ "count": 2, "uses": 2, "expires_s": 60 })).await;
    let (first, second) = (&made[0]["code"], &made[1]["code"]);
    assert!(made.len() == 2 && first != second && first.as_str().unwrap().len() == 32, "{made:?}");
    // No invite: the name is not told.
    for name in ["alice", "taken"] {
        refused(&world.signup(name).await, 403, "invite_needed");
        let answer = world.invited(name, &json!("0".repeat(32))).await;
        refused(&answer, 403, "invite_unknown");
        assert_eq!(answer.1["field"], "invite");
    }
    refused(&world.invited("taken", first).await, 409, "name_taken");
    for name in ["alice", "bob"] {
        assert_eq!(world.invited(name, first).await.0, StatusCode::CREATED);
        world.login(name).await;
    }
    refused(&world.invited("carol", first).await, 403, "invite_used");
    assert_eq!(world.invited("carol", second).await.0, StatusCode::CREATED);
}

async fn two_race_for_one_use(world: World) {
    let world = world.by_invitation().await;
    let code = world.invites(json!({})).await[0]["code"].clone();
    let (one, two) = tokio::join!(world.invited("alice", &code), world.invited("bob", &code));
    let (good, bad) = if one.0 == StatusCode::CREATED { (one, two) } else { (two, one) };
    assert_eq!(good.0, StatusCode::CREATED);
    refused(&bad, 403, "invite_used");
}

async fn invites_are_listed_and_revoked(world: World) {
    let world = world.by_invitation().await;
    let made = world.invites(json!({ "count": 3 })).await;
    world.invited("alice", &made[0]["code"]).await;
    let list = world.list().await;
    assert_eq!(list.len(), 3);
    assert!(list.iter().all(|invite| invite["code"].is_null() && invite["made_by"].is_null()), "{list:?}");
    assert_eq!((&list[0]["uses_left"], &list[1]["uses_left"]), (&json!(0), &json!(1)));
    let id = made[1]["invite"].as_str().unwrap();
    for _ in 0..2 {
        let path = format!("/v1/admin/invites/{id}");
        assert_eq!(world.operate(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    }
    assert_eq!(world.list().await.len(), 2);
    refused(&world.invited("bob", &made[1]["code"]).await, 403, "invite_unknown");
    let (_, rest) = world.operate(Method::GET, &format!("/v1/admin/invites?after={id}"), None).await;
    assert_eq!(rest["invites"].as_array().unwrap().len(), 1);
    assert!(rest["next"].is_null());
    // More than a page: `next` leads on, and each is told once.
    world.invites(json!({ "count": 250 })).await;
    let (mut seen, mut path) = (std::collections::BTreeSet::new(), "/v1/admin/invites".to_owned());
    loop {
        let (_, page) = world.operate(Method::GET, &path, None).await;
        for invite in page["invites"].as_array().unwrap() {
            assert!(seen.insert(invite["invite"].as_str().unwrap().to_owned()));
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/admin/invites?after={next}");
    }
    assert_eq!(seen.len(), 252);
}

async fn users_invite_where_they_may(world: World) {
    world.signup("alice").await;
    world.signup("eve").await;
    let (alice, eve) = (world.login("alice").await, world.login("eve").await);
    let token = |login: &Value| login["token"].as_str().unwrap().to_owned();
    let (alice, eve) = (token(&alice), token(&eve));
    let ask = |world: &World, token: &str| {
        let request =
            world.http.post(format!("{}/v1/invites", world.base)).bearer_auth(token).json(&json!({}));
        async move { request.send().await.unwrap().status().as_u16() }
    };
    // Nobody does unless it is set, nor where everybody may come.
    let world = world.by_invitation().await;
    refused(&world.with(Method::POST, "/v1/invites", &alice, Some(json!({}))).await, 403, "invites_closed");
    let world = world.again(|settings| settings.user_invites = 2).await;
    refused(&world.with(Method::POST, "/v1/invites", &alice, Some(json!({}))).await, 403, "invites_closed");
    let world = world
        .again(|settings| {
            settings.user_invites = 2;
            settings.signup = Signup::Invite;
        })
        .await;
    let (status, made) = world.with(Method::POST, "/v1/invites", &alice, Some(json!({}))).await;
    assert_eq!((status, &made["uses"]), (StatusCode::CREATED, &json!(1)), "{made}");
    let (one, two) = tokio::join!(ask(&world, &alice), ask(&world, &alice));
    assert_eq!(one.max(two), 409, "one of two finds the last place");
    let full = world.with(Method::POST, "/v1/invites", &alice, Some(json!({}))).await;
    refused(&full, 409, "too_many_invites");
    // Each sees and revokes own ones alone.
    let list = async |token: &str| {
        let (_, list) = world.with(Method::GET, "/v1/invites", token, None).await;
        list["invites"].as_array().unwrap().len()
    };
    assert_eq!((list(&alice).await, list(&eve).await), (2, 0));
    let path = format!("/v1/invites/{}", made["invite"].as_str().unwrap());
    assert_eq!(world.with(Method::DELETE, &path, &eve, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(list(&alice).await, 2);
    assert_eq!(world.invited("bob", &made["code"]).await.0, StatusCode::CREATED);
    assert_eq!(world.with(Method::POST, "/v1/invites", &alice, Some(json!({}))).await.0, StatusCode::CREATED);
    // The operator sees whose they are.
    assert!(world.list().await.iter().all(|invite| invite["made_by"].is_string()));
    bad_field(&world.with(Method::POST, "/v1/invites", &alice, Some(json!({ "uses": 5 }))).await, "uses");
}

async fn invites_that_are_none(world: World) {
    let world = world.by_invitation().await;
    let make = async |body: Value| world.operate(Method::POST, "/v1/admin/invites", Some(body)).await;
    for (field, values) in [
        ("count", vec![json!(0), json!(1001), json!(-1), json!("1"), json!(1.5), json!([])]),
        ("uses", vec![json!(0), json!(10_001), json!(true)]),
        ("expires_s", vec![json!(59), json!(31_536_001), json!("x"), json!(18_446_744_073_709_551_615_u64)]),
        ("made_by", vec![json!("1")]),
    ] {
        for value in values {
            bad_field(&make(json!({ field: value })).await, field);
        }
    }
    assert!(world.list().await.is_empty());
    let code = world.invites(json!({})).await[0]["code"].as_str().unwrap().to_owned();
    let other = code.replace(&code[..1], if code.starts_with('0') { "1" } else { "0" });
    for wrong in ["", " ", "0", &code[1..], &format!("{code}0"), &other, "' OR 1=1 --", &"가".repeat(32)] {
        refused(&world.invited("alice", &json!(wrong)).await, 403, "invite_unknown");
    }
    for wrong in [json!(7), json!([code]), json!({ "code": code })] {
        bad_field(&world.invited("alice", &wrong).await, "invite");
    }
    refused(&world.invited("alice", &Value::Null).await, 403, "invite_needed");
    assert_eq!(
        world.invited("alice", &json!(format!(" {} ", code.to_uppercase()))).await.0,
        StatusCode::CREATED
    );
    // Only the operator's token makes, lists and revokes them.
    let person = world.login("alice").await["token"].as_str().unwrap().to_owned();
    for token in ["", "x", &person] {
        for (method, path) in [
            (Method::POST, "/v1/admin/invites"),
            (Method::GET, "/v1/admin/invites"),
            (Method::DELETE, "/v1/admin/invites/1"),
        ] {
            let body = (method == Method::POST).then(|| json!({}));
            refused(&world.with(method, path, token, body).await, 401, "unauthenticated");
        }
    }
    for path in ["/v1/admin/invites/x", "/v1/admin/invites/0", "/v1/admin/invites/%ff"] {
        bad_field(&world.operate(Method::DELETE, path, None).await, "id");
    }
    for (query, at) in
        [("after=x", "after"), ("after=-1", "after"), ("before=1", "before"), ("after=1&after=2", "after")]
    {
        bad_field(&world.operate(Method::GET, &format!("/v1/admin/invites?{query}"), None).await, at);
    }
    refused(&world.with(Method::GET, "/v1/invites", "x", None).await, 401, "unauthenticated");
}
