//! Requests that are wrong in every way that follows from a document. Each is the right one with one fault, so that nothing
//! else can be what is refused; none may do anything, since the right one comes after them.

use protocol::token::{self, Claims, Key};
use protocol::{DeviceId, UserId};
use reqwest::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use serde_json::{Map, Value, json};

use crate::call::{Body, Call, Contract, Operation};
use crate::schema::is;

/// A field that no body has; it sorts behind all others.
const UNKNOWN: &str = "zzz_unknown";

/// Sends them all. Gives how many they were.
pub async fn try_everything(contract: &Contract, operation: &Operation, right: &Call) -> usize {
    strangers(contract, operation, right).await
        + tokens(contract, operation, right).await
        + bodies(contract, operation, right).await
        + fields(contract, operation, right).await
        + addresses(contract, operation, right).await
}

/// From a page elsewhere, and for a host that is not this server's.
async fn strangers(contract: &Contract, operation: &Operation, right: &Call) -> usize {
    let with = |name: HeaderName, value: &'static str| {
        let mut call = right.clone();
        call.headers.insert(name, HeaderValue::from_static(value));
        call
    };
    let elsewhere = with(ORIGIN, "https://elsewhere.example");
    contract.send(operation, &elsewhere).await.is_refused(403, "wrong_origin");
    let rebound = with(HOST, "elsewhere.example");
    contract.send(operation, &rebound).await.is_refused(421, "wrong_host");
    2
}

async fn tokens(contract: &Contract, operation: &Operation, right: &Call) -> usize {
    let Some(scheme) = operation.scheme() else { return 0 };
    let good = right.token.clone().unwrap();
    let (user, device) = (UserId(7), DeviceId(7));
    let sign = |key: &Key, expires_ms| {
        let claims = Claims { user, device, expires_ms, issued_ms: 1 };
        Some(format!("Bearer {}", token::sign(key, &claims)))
    };
    let (own, late) = (contract.world.keys.newest(), u64::MAX >> 1);
    let other = if scheme == "operator" {
        sign(&own, late)
    } else {
        Some(format!("Bearer {}", contract.world.operator()))
    };
    let wrong = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer garbage".to_owned()),
        Some(good.replacen("Bearer", "Basic", 1)),
        Some(good[..good.len() - 1].to_owned()),
        Some(format!("{good}x")),
        Some(format!("Bearer {}", "x".repeat(9000))),
        // Another kind's; of another server; of a device that is none.
        other,
        sign(&Key { id: own.id, secret: [7; 32] }, late),
        sign(&own, late),
    ];
    let count = wrong.len() + 1;
    for token in wrong {
        let answer = contract.send(operation, &Call { token, ..right.clone() }).await;
        answer.is_refused(401, "unauthenticated");
    }
    if scheme == "operator" {
        let asks = operation.value["security"][0]["operator"][0].as_str().unwrap();
        let scope = if asks == "metrics" { api::Scope::Users } else { api::Scope::Metrics };
        let token = Some(format!("Bearer {}", contract.scoped(scope)));
        contract.send(operation, &Call { token, ..right.clone() }).await.is_refused(403, "scope");
    } else {
        let token = sign(&own, 2);
        contract.send(operation, &Call { token, ..right.clone() }).await.is_refused(401, "expired");
    }
    count
}

/// Bodies that are none.
async fn bodies(contract: &Contract, operation: &Operation, right: &Call) -> usize {
    let Some(Body { bytes, .. }) = right.body.clone() else { return 0 };
    if operation.body().is_none() {
        return frames(contract, operation, right).await;
    }
    let text = String::from_utf8(bytes).unwrap();
    let as_media = |media| Body { media, bytes: text.clone().into() };
    // A text has room of its own.
    let is_text = operation.path.ends_with("/messages") || operation.path.ends_with("/messages/{seq}");
    let body_bytes_max = if is_text { 1_300_000 } else { 16 * 1024 };
    let list = |count: usize| Body::json(json!(vec![Value::Null; count]).to_string());
    let wrong = [
        (as_media(None), 415, "unsupported_media_type"),
        (as_media(Some("text/plain")), 415, "unsupported_media_type"),
        (as_media(Some("application/x-www-form-urlencoded")), 415, "unsupported_media_type"),
        (Body::json(""), 400, "bad_json"),
        (Body::json("{"), 400, "bad_json"),
        (Body::json("nonsense"), 400, "bad_json"),
        (Body::json(&b"{\"\xff\":1}"[..]), 400, "bad_json"),
        (Body::json(text.replace('}', "")), 400, "bad_json"),
        (Body::json(format!("{text} {{}}")), 400, "bad_json"),
        (Body::json("7"), 400, "bad_field"),
        (Body::json("null"), 400, "bad_field"),
        (Body::json("\"text\""), 400, "bad_field"),
        (Body::json("[".repeat(10_000)), 400, "bad_field"),
        (list(0), 400, "bad_field"),
        (list(1), 400, "bad_field"),
        (list(2), 400, "bad_field"),
        (list(3), 400, "bad_field"),
        (list(4), 400, "bad_field"),
        (Body::json(format!("{text}{}", " ".repeat(body_bytes_max))), 413, "too_large"),
    ];
    let count = wrong.len();
    for (body, status, code) in wrong {
        let answer = contract.send(operation, &Call { body: Some(body), ..right.clone() }).await;
        answer.is_refused(status, code);
    }
    count
}

/// The same of frames, of which nothing is read here.
async fn frames(contract: &Contract, operation: &Operation, right: &Call) -> usize {
    let octets = |bytes| Body { media: Some("application/octet-stream"), bytes };
    let wrong = [
        (Body { media: None, bytes: b"frames".to_vec() }, 415, "unsupported_media_type"),
        (Body::json("{}"), 415, "unsupported_media_type"),
        (octets(vec![0; 1024 * 1024 + 1]), 413, "too_large"),
        (octets(Vec::new()), 400, "bad_field"),
    ];
    let count = wrong.len();
    for (body, status, code) in wrong {
        let mut right = right.clone();
        right.headers.clear();
        contract.send(operation, &Call { body: Some(body), ..right }).await.is_refused(status, code);
    }
    count
}

/// Bodies with one wrong field.
async fn fields(contract: &Contract, operation: &Operation, right: &Call) -> usize {
    let (Some(body), Some(sent)) = (operation.body(), &right.body) else { return 0 };
    let schema = &body["schema"];
    let sent: Map<String, Value> = serde_json::from_slice(&sent.bytes).unwrap();
    let mut wrong = Vec::new();
    let with = |name: &str, value: Value| {
        let mut fields = sent.clone();
        fields.insert(name.to_owned(), value);
        (name.to_owned(), Value::Object(fields).to_string())
    };
    wrong.push(with(UNKNOWN, Value::Null));
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        let mut fields = sent.clone();
        fields.remove(name);
        wrong.push((name.to_owned(), Value::Object(fields).to_string()));
    }
    // In a request an absent field and null are the same: what is wrong here is the last field alone.
    let mut nulls = sent.clone();
    for (name, schema) in schema["properties"].as_object().unwrap() {
        if schema["type"].as_array().is_some_and(|kinds| kinds.contains(&json!("null"))) {
            nulls.insert(name.clone(), Value::Null);
        }
        wrong.extend(outside(schema).into_iter().map(|value| with(name, value)));
        let twice = with(name, sent.get(name).cloned().unwrap_or_else(|| inside(schema)));
        let value = serde_json::from_str::<Map<String, Value>>(&twice.1).unwrap()[name].to_string();
        wrong.push((name.clone(), format!("{{{}:{value},{}", json!(name), &twice.1[1..])));
    }
    nulls.insert(UNKNOWN.to_owned(), json!(1));
    wrong.push((UNKNOWN.to_owned(), Value::Object(nulls).to_string()));
    let count = wrong.len();
    for (name, text) in wrong {
        let body = Some(Body::json(text));
        contract.send(operation, &Call { body, ..right.clone() }).await.is_at(&name);
    }
    count
}

/// Values that a schema does not take: of every other type, and just outside each bound.
fn outside(schema: &Value) -> Vec<Value> {
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => vec![kind.as_str().unwrap()],
    };
    let every =
        [json!(null), json!(true), json!(7), json!(-1), json!(1.5), json!("text"), json!([]), json!({})];
    let mut values: Vec<_> =
        every.into_iter().filter(|value| !kinds.iter().any(|kind| is(value, kind))).collect();
    if kinds.contains(&"integer") {
        values.extend([json!(-1), json!(u64::MAX), json!(1e300)]);
    }
    let bound = |name: &str| schema[name].as_u64();
    values.extend(bound("minimum").and_then(|min| min.checked_sub(1)).map(|number| json!(number)));
    values.extend(bound("maximum").map(|max| json!(max + 1)));
    let text = |count: u64| json!("x".repeat(count as usize));
    values.extend(bound("minLength").and_then(|min| min.checked_sub(1)).map(text));
    values.extend(bound("maxLength").map(|max| text(max + 1)));
    if schema["pattern"] == "^[0-9]{1,19}$" {
        values.extend(
            ["", "x", "-1", "+1", "0", "1.0", " 1", "9223372036854775808", &"1".repeat(20)]
                .map(|id| json!(id)),
        );
    }
    values
}

/// A value of a field that the example does not have.
fn inside(schema: &Value) -> Value {
    let kind = schema["type"].as_array().map_or(&schema["type"], |kinds| &kinds[0]);
    match kind.as_str().unwrap() {
        "integer" => schema["minimum"].clone(),
        "boolean" => json!(true),
        _ => json!("1234567890"),
    }
}

/// Parts of the path and of the query that are none.
async fn addresses(contract: &Contract, operation: &Operation, right: &Call) -> usize {
    let mut count = 0;
    for (name, parameter) in operation.parameters("path") {
        let mut wrong = vec!["%ff".to_owned()];
        wrong.extend(parameter["schema"]["maxLength"].as_u64().map(|max| "x".repeat(max as usize + 1)));
        if parameter["schema"]["pattern"].is_string() {
            wrong.extend(["x", "0", "-1", "%20", "9223372036854775808"].map(str::to_owned));
        }
        for value in wrong {
            let mut path = right.path.clone();
            path.insert(name.to_owned(), value);
            contract.send(operation, &Call { path, ..right.clone() }).await.is_at(name);
            count += 1;
        }
    }
    for (name, _) in operation.parameters("query") {
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let wrong = [
            (name, vec![of(name, "x")]),
            (name, vec![of(name, "")]),
            (name, vec![of(name, "1"), of(name, "1")]),
            (UNKNOWN, vec![of(UNKNOWN, "1")]),
            (UNKNOWN, vec![of(name, "1"), of(UNKNOWN, "1")]),
        ];
        // Any words are a search.
        let wrong = wrong.into_iter().skip(usize::from(name == "q"));
        for (at, query) in wrong {
            contract.send(operation, &Call { query, ..right.clone() }).await.is_at(at);
            count += 1;
        }
    }
    count
}
