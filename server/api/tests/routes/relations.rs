//! Friends, blocks, and who may come near whom.

use std::sync::atomic::Ordering;

use crate::world::{PASSWORD, World, bad_field, refused};
use protocol::UserId;
use protocol::commit::{Audience, Policy, Relation};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both! {
    a_request_is_answered_and_ended
    homes_know_before_the_answer_and_are_told_again
    a_policy_is_changed_in_parts_and_hides_a_profile
    lists_come_in_pages
    what_is_wrong_is_named
    who_left_takes_no_messages
}

struct Person {
    user: UserId,
    token: String,
}

impl World {
    async fn person(&self, name: &str) -> Person {
        self.signup(name).await;
        let login = self.login(name).await;
        let user = UserId(login["user"].as_str().unwrap().parse().unwrap());
        Person { user, token: login["token"].as_str().unwrap().to_owned() }
    }

    async fn ask(&self, who: &Person, method: Method, path: &str) -> (StatusCode, Value) {
        self.with(method, path, &who.token, None).await
    }

    async fn states(&self, who: &Person) -> Vec<(String, String)> {
        let (status, list) = self.get("/v1/friends", &who.token).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        list["friends"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(one, "name"), text(one, "state")))
            .collect()
    }

    fn thought(&self, user: &Person, other: &Person) -> Relation {
        self.homes.relations.lock().unwrap().get(&(user.user, other.user)).copied().unwrap_or_default()
    }
}

fn friend(other: &Person) -> String {
    format!("/v1/friends/{}", other.user)
}

fn block(other: &Person) -> String {
    format!("/v1/blocks/{}", other.user)
}

fn state(name: &str, state: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), state.to_owned())]
}

async fn a_request_is_answered_and_ended(world: World) {
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let (status, asked) = world.ask(&alice, Method::PUT, &friend(&bob)).await;
    assert_eq!((status, asked["state"].as_str()), (StatusCode::OK, Some("asked")), "{asked}");
    assert_eq!(world.states(&alice).await, state("bob", "asked"));
    assert_eq!(world.states(&bob).await, state("alice", "asks"));
    assert_eq!(world.thought(&alice, &bob), Relation::default(), "nothing is allowed by asking");
    let (_, answered) = world.ask(&bob, Method::PUT, &friend(&alice)).await;
    assert_eq!(answered["state"], "friend");
    let is_friend = Relation { is_friend: true, is_blocked: false };
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        assert_eq!(world.thought(one, other), is_friend);
    }
    assert_eq!(world.states(&alice).await, state("bob", "friend"));
    for _ in 0..2 {
        assert_eq!(world.ask(&alice, Method::DELETE, &friend(&bob)).await.0, StatusCode::NO_CONTENT);
    }
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        assert_eq!(world.thought(one, other), Relation::default());
        assert_eq!(world.states(one).await, []);
    }
    // Declined.
    world.ask(&alice, Method::PUT, &friend(&bob)).await;
    world.ask(&bob, Method::DELETE, &friend(&alice)).await;
    assert_eq!(world.states(&alice).await, []);
    // Of who is blocked nothing is seen, and who is blocked sees nothing.
    world.ask(&bob, Method::PUT, &block(&alice)).await;
    let (_, asked) = world.ask(&alice, Method::PUT, &friend(&bob)).await;
    assert_eq!(asked["state"], "asked");
    assert_eq!(world.states(&bob).await, []);
    assert_eq!(world.get("/v1/blocks", &alice.token).await.1, json!({ "blocks": [] }));
    let (_, blocks) = world.get("/v1/blocks", &bob.token).await;
    assert_eq!(blocks["blocks"][0]["name"], "alice", "{blocks}");
}

async fn homes_know_before_the_answer_and_are_told_again(world: World) {
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    assert_eq!(world.ask(&alice, Method::PUT, &block(&bob)).await.0, StatusCode::NO_CONTENT);
    assert!(world.thought(&alice, &bob).is_blocked);
    world.homes.broken.store(true, Ordering::Release);
    refused(&world.ask(&alice, Method::DELETE, &block(&bob)).await, 503, "busy");
    assert!(world.thought(&alice, &bob).is_blocked);
    world.homes.broken.store(false, Ordering::Release);
    assert_eq!(world.ask(&alice, Method::DELETE, &block(&bob)).await.0, StatusCode::NO_CONTENT);
    assert!(!world.thought(&alice, &bob).is_blocked, "a repeat tells what is left to tell");
    // What nobody repeats is told when the server starts, and every half minute.
    world.homes.broken.store(true, Ordering::Release);
    refused(&world.ask(&alice, Method::PUT, &block(&bob)).await, 503, "busy");
    let wanted = json!({ "message": "nobody" });
    let answer = world.with(Method::PATCH, "/v1/privacy", &alice.token, Some(wanted)).await;
    refused(&answer, 503, "busy");
    world.homes.broken.store(false, Ordering::Release);
    let world = world.again(|_| {}).await;
    for _ in 0..600 {
        let is_told = world.homes.policies.lock().unwrap().contains_key(&alice.user);
        if is_told && world.thought(&alice, &bob).is_blocked {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("nobody told the homes");
}

async fn a_policy_is_changed_in_parts_and_hides_a_profile(world: World) {
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let shown = json!({ "display_name": "Alice", "about": "here" });
    world.with(Method::PATCH, "/v1/profile", &alice.token, Some(shown)).await;
    let (_, before) = world.get("/v1/privacy", &alice.token).await;
    assert_eq!(
        before,
        json!({ "message": "everyone", "add": "everyone", "see": "everyone", "receipts": "everyone" })
    );
    for (wanted, all) in [
        (json!({ "add": "friends" }), ["everyone", "friends", "everyone", "everyone"]),
        (json!({ "see": "nobody" }), ["everyone", "friends", "nobody", "everyone"]),
        (json!({ "receipts": "nobody" }), ["everyone", "friends", "nobody", "nobody"]),
        (json!({}), ["everyone", "friends", "nobody", "nobody"]),
    ] {
        let [message, add, see, receipts] = all;
        let all = json!({ "message": message, "add": add, "see": see, "receipts": receipts });
        let answer = world.with(Method::PATCH, "/v1/privacy", &alice.token, Some(wanted)).await;
        assert_eq!(answer, (StatusCode::OK, all));
    }
    let friends = json!({ "receipts": "friends" });
    refused(&world.with(Method::PATCH, "/v1/privacy", &alice.token, Some(friends)).await, 400, "bad_field");
    let (message, add, see) = (Audience::Everyone, Audience::Friends, Audience::Nobody);
    let policy = Policy { message, add, see, hides_receipts: true };
    assert_eq!(world.homes.policies.lock().unwrap().get(&alice.user), Some(&policy));
    for path in ["/v1/users/by-name/alice".to_owned(), format!("/v1/users/{}", alice.user)] {
        let (_, seen) = world.get(&path, &bob.token).await;
        assert_eq!(
            (&seen["name"], &seen["display_name"], &seen["about"]),
            (&json!("alice"), &json!(""), &json!(""))
        );
        let (_, own) = world.get(&path, &alice.token).await;
        assert_eq!(own["about"], "here", "who looks at oneself sees all");
    }
}

async fn lists_come_in_pages(world: World) {
    let alice = world.person("alice").await;
    let wanted = json!({ "prefix": "u", "count": 201 });
    let (status, made) = world.operate(Method::POST, "/v1/admin/users", Some(wanted)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let lines = made.as_str().unwrap().lines();
    let mut users: Vec<u64> = lines.map(|line| line.split('\t').next().unwrap().parse().unwrap()).collect();
    for user in &users {
        let answer = world.ask(&alice, Method::PUT, &format!("/v1/friends/{user}")).await;
        assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    }
    users.sort_unstable();
    let (_, first) = world.get("/v1/friends", &alice.token).await;
    let next = first["next"].as_str().unwrap();
    let (_, second) = world.get(&format!("/v1/friends?after={next}"), &alice.token).await;
    assert!(second["next"].is_null(), "{second}");
    let ids = [&first, &second].map(|page| page["friends"].as_array().unwrap().clone()).concat();
    let ids: Vec<u64> = ids.iter().map(|one| one["user"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(ids, users);
}

async fn what_is_wrong_is_named(world: World) {
    let alice = world.person("alice").await;
    for path in ["/v1/friends/", "/v1/blocks/"] {
        for id in ["0", "x", "-1", "18446744073709551616", "1%00"] {
            bad_field(&world.ask(&alice, Method::PUT, &format!("{path}{id}")).await, "id");
            bad_field(&world.ask(&alice, Method::DELETE, &format!("{path}{id}")).await, "id");
        }
        bad_field(&world.ask(&alice, Method::PUT, &format!("{path}{}", alice.user)).await, "id");
        refused(&world.ask(&alice, Method::PUT, &format!("{path}123456789")).await, 404, "not_found");
        let gone = world.ask(&alice, Method::DELETE, &format!("{path}123456789")).await;
        assert_eq!(gone.0, StatusCode::NO_CONTENT, "repeatable");
        let list = path.trim_end_matches('/');
        bad_field(&world.get(&format!("{list}?after=x"), &alice.token).await, "after");
        refused(&world.get(list, "nothing").await, 401, "unauthenticated");
    }
    for (body, field) in [
        (json!({ "message": "all" }), "message"),
        (json!({ "add": "" }), "add"),
        (json!({ "see": "Friends" }), "see"),
    ] {
        bad_field(&world.with(Method::PATCH, "/v1/privacy", &alice.token, Some(body)).await, field);
    }
    for body in [json!({ "message": 1 }), json!({ "other": "nobody" }), json!([])] {
        let answer = world.with(Method::PATCH, "/v1/privacy", &alice.token, Some(body)).await;
        assert_eq!(answer.0, StatusCode::BAD_REQUEST, "{}", answer.1);
    }
}

async fn who_left_takes_no_messages(world: World) {
    let alice = world.person("alice").await;
    let body = json!({ "password": PASSWORD });
    let (status, _) = world.with(Method::POST, "/v1/account/delete", &alice.token, Some(body)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(world.homes.policies.lock().unwrap().get(&alice.user), Some(&Policy::NOBODY));
}
