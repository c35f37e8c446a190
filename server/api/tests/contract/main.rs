//! The documents of the API and the API itself, held against each other: every route is documented and every documented
//! route is there; every documented example gets a documented answer; every request that is wrong in a way which follows
//! from the document is refused as the document says. See `openapi.rs` for how a route comes in.

#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod call;
mod fuzz;
mod pages;
mod schema;
mod steps;
#[path = "../world/mod.rs"]
mod world;
mod wrong;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use api::Signup;
use call::{Call, Contract, Operation};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steps::STEPS;
use world::World;

#[tokio::test]
async fn every_route_is_documented_and_every_documented_route_is_there() {
    let contract = contract().await;
    for (admin, paths) in [false, true].into_iter().zip(api::paths()) {
        let document = contract.document(admin);
        let documented: BTreeSet<&str> =
            document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(BTreeSet::from_iter(paths), documented, "routes, and what is documented");
        for path in documented {
            let here = |method: &str| document["paths"][path].get(method.to_ascii_lowercase()).is_some();
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let url = format!("{}{}", contract.base(admin), path.replace(['{', '}'], ""));
                let request = contract.world.http.request(method.parse().unwrap(), url);
                let (status, answer) = contract.world.send(request).await;
                let is_routed = status != StatusCode::METHOD_NOT_ALLOWED;
                assert_eq!(
                    is_routed,
                    here(method),
                    "{method} {path}: {status} {answer}; routed, and documented"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_one_listener_documents_alone_the_other_does_not_have() {
    let contract = contract().await;
    for admin in [false, true] {
        let other = &contract.document(!admin)["paths"];
        for (path, item) in contract.document(admin)["paths"].as_object().unwrap() {
            if other.get(path).is_some() {
                continue;
            }
            for method in item.as_object().unwrap().keys() {
                let method: Method = method.to_ascii_uppercase().parse().unwrap();
                let url = format!("{}{}", contract.base(!admin), path.replace(['{', '}'], ""));
                let answer = contract.world.send(contract.world.http.request(method, url)).await;
                world::refused(&answer, 404, "not_found");
            }
        }
    }
}

#[tokio::test]
async fn the_documents_are_whole() {
    let contract = contract().await;
    let mut named = BTreeSet::new();
    for operation in &contract.operations {
        let Operation { id, path, value, document, .. } = operation;
        assert!(named.insert((operation.admin, id.clone())), "{id} is there twice");
        assert!(!value["summary"].as_str().unwrap().is_empty() && value["security"].is_array(), "{id}");
        let answers = value["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{id} never succeeds");
        for (status, answer) in answers {
            assert!((200..600).contains(&status.parse().unwrap()), "{id}: {status} {answer}");
            for content in answer["content"].as_object().into_iter().flat_map(|content| content.values()) {
                if id != "document" {
                    closed(document, &content["schema"], id);
                }
            }
        }
        let parameters = value["parameters"].as_array().cloned().unwrap_or_default();
        for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let here = |one: &&Value| one["in"] == "path" && one["name"] == part && one["required"] == true;
            assert!(parameters.iter().find(here).is_some(), "{id}: {part} is not documented");
        }
        for one in &parameters {
            assert_eq!(schema::faults(document, &one["schema"], &one["example"]), [""; 0], "{id}");
        }
        if let Some(body) = operation.body() {
            closed(document, &body["schema"], id);
            assert_eq!(
                schema::faults(document, &body["schema"], &body["example"]),
                [""; 0],
                "{id}: its own example"
            );
        }
        assert!(STEPS.iter().any(|step| step.operation == id), "{id} has no step in steps.rs");
    }
    for step in STEPS {
        assert!(named.iter().any(|(_, id)| id == step.operation), "{} is not documented", step.operation);
    }
}

/// No object of a schema may have fields that it does not name.
fn closed(document: &Value, at: &Value, id: &str) {
    if let Some(name) = at.get("$ref") {
        closed(document, schema::referred(document, name.as_str().unwrap()), id);
    } else if at["type"] == "object" {
        assert_eq!(at["additionalProperties"], false, "{id}: {at}");
    }
    let inner = at["properties"].as_object().into_iter().flat_map(|fields| fields.values());
    for schema in inner.chain(at.get("items")) {
        closed(document, schema, id);
    }
}

#[tokio::test]
async fn every_example_and_everything_wrong_gets_a_documented_answer() {
    let contract = contract().await;
    let mut kept = BTreeMap::new();
    let (mut good, mut bad) = (0, 0);
    for step in STEPS {
        let of = |operation: &&Operation| operation.id == step.operation;
        for operation in contract.operations.iter().filter(of) {
            let call = Call::of_step(&contract, operation, step, &kept);
            bad += wrong::try_everything(&contract, operation, &call).await;
            if operation.has_query() {
                // Once more with every part of the query.
                contract
                    .send(operation, &Call { query: operation.example_query(), ..call.clone() })
                    .await
                    .is(step.status);
            }
            let call = Call { query: operation.needed_query(), ..call };
            let answer = contract.send(operation, &call).await;
            answer.is(step.status);
            for (name, pointer) in step.keep {
                let value = answer.json.pointer(pointer).and_then(Value::as_str);
                kept.insert(*name, value.unwrap_or_else(|| panic!("{pointer}: {answer:?}")).to_owned());
            }
            good += 1;
        }
    }
    assert!(good >= contract.operations.len() && bad > 10 * good, "{good} good requests, {bad} bad ones");
}

#[tokio::test]
async fn one_who_waits_for_the_server_is_told_so() {
    let contract = contract().await;
    contract.world.homes.ready.store(false, Ordering::Release);
    for operation in contract.operations.iter().filter(|operation| operation.id == "readiness") {
        contract.send(operation, &Call::default()).await.is_refused(503, "not_ready");
    }
    contract.world.homes.stalled.store(true, Ordering::Release);
    for operation in contract.operations.iter().filter(|operation| operation.id == "health") {
        contract.send(operation, &Call::default()).await.is_refused(503, "stalled");
    }
}

/// A server on which sign-up is by invitation and users invite.
async fn contract() -> Contract {
    let world = World::new().await.again(|settings| {
        settings.signup = Signup::Invite;
        settings.user_invites = 5;
    });
    described(world.await).await
}

/// A server with the documents that it gives away.
async fn described(world: World) -> Contract {
    world.homes.ready.store(true, Ordering::Release);
    world.homes.makes_up.store(true, Ordering::Release);
    let document = async |base: &str| -> Value {
        let (status, document) = world.send(world.http.get(format!("{base}/v1/openapi.json"))).await;
        assert_eq!((status, &document["openapi"]), (StatusCode::OK, &json!("3.1.1")));
        document
    };
    let (public, admin) = (document(&world.base).await, document(&world.admin).await);
    Contract::new(world, public, admin)
}
