//! Mutated bodies at every route that takes JSON: the answer is one that the document has, and never the server's own fault.

use std::collections::BTreeMap;

use serde_json::json;

use crate::call::{Body, Call, Operation};
use crate::world::{PASSWORD, World};

#[allow(dead_code)]
#[path = "../../../../protocol/fuzz/mutate.rs"]
mod mutate;

/// Requests; MARU_FUZZ_TIMES makes them more.
const INPUTS: u64 = 1200;

/// What JSON is likely to go wrong with.
const PIECES: &[&str] = &[
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[[[[[[[[",
    "{\"name\":{\"name\":",
    "true,",
    "\u{202e}",
    "\"\":\"\",",
];

#[tokio::test]
async fn fuzz_routes() {
    let world = World::new().await;
    let contract = super::described(world).await;
    let with_body: Vec<&Operation> =
        contract.operations.iter().filter(|operation| operation.body().is_some()).collect();
    let mut seeds: Vec<Vec<u8>> = PIECES.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    seeds.extend(with_body.iter().map(|operation| example(operation)));
    let operator = format!("Bearer {}", contract.world.operator());
    let (mut people, mut person) = (0, None);
    let (mut asked, mut let_in) = (0u64, 0u64);
    for number in mutate::numbers(INPUTS) {
        let mut walk = mutate::Walk::new(number);
        let operation = with_body[walk.below(with_body.len())];
        let mut bytes = example(operation);
        mutate::mutate(&mut bytes, &seeds, &mut walk);
        let token = match operation.scheme() {
            None => None,
            Some("operator") => Some(operator.clone()),
            Some(_) => {
                if person.is_none() {
                    people += 1;
                    person = Some(login(&contract.world, people).await);
                }
                person.clone()
            }
        };
        let path = operation.parameters("path");
        let path: BTreeMap<_, _> =
            path.map(|(name, one)| (name.to_owned(), one["example"].as_str().unwrap().to_owned())).collect();
        let call = Call { path, token: token.clone(), body: Some(Body::json(bytes)), ..Call::default() };
        // Holds it against the document; 500 is in no document.
        let answer = contract.send(operation, &call).await;
        assert!(answer.status < 500 || answer.status == 503, "MARU_FUZZ_SEED={number}: {answer:?}");
        asked += 1;
        if answer.status == 401 {
            // A body that was good logged this one out.
            person = None;
        } else {
            let_in += 1;
        }
    }
    println!("fuzz JSON routes: {asked} inputs, {let_in} let in, {} routes", with_body.len());
    assert!(let_in * 2 > asked, "{let_in} of {asked} came to the routes at all");
}

fn example(operation: &Operation) -> Vec<u8> {
    serde_json::to_vec(&operation.body().unwrap()["example"]).unwrap()
}

async fn login(world: &World, number: usize) -> String {
    let name = format!("fuzz{number}");
    let (status, answer) = world.post("/v1/signup", &json!({"name": name, "password": PASSWORD})).await;
    assert_eq!(status, 201, "{answer}");
    format!("Bearer {}", world.login(&name).await["token"].as_str().unwrap())
}
