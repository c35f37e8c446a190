//! One request of a documented operation, and whether its answer is a documented one.

use std::collections::BTreeMap;
use std::sync::Arc;

use hmac::{Hmac, Mac as _};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value};

use crate::schema::faults;
use crate::steps::{Fill, Step};
use crate::world::World;

/// The server and what it says of itself.
pub struct Contract {
    pub world: World,
    documents: [Arc<Value>; 2],
    pub operations: Vec<Operation>,
}

/// One method at one path of one listener.
pub struct Operation {
    pub admin: bool,
    pub method: reqwest::Method,
    pub path: String,
    pub id: String,
    pub value: Value,
    pub document: Arc<Value>,
}

/// What is sent.
#[derive(Clone, Default, Debug)]
pub struct Call {
    /// Parts of the path, by name, as they stand in the address.
    pub path: BTreeMap<String, String>,
    pub query: Vec<(String, String)>,
    pub body: Option<Body>,
    /// `Authorization`.
    pub token: Option<String>,
    /// Other headers.
    pub headers: HeaderMap,
}

/// A body with its media type.
#[derive(Clone, Debug)]
pub struct Body {
    pub media: Option<&'static str>,
    pub bytes: Vec<u8>,
}

impl Body {
    pub fn json(bytes: impl Into<Vec<u8>>) -> Self {
        Self { media: Some("application/json"), bytes: bytes.into() }
    }
}

/// An answer that is a documented one.
#[derive(Debug)]
pub struct Answer {
    pub asked: String,
    pub status: u16,
    pub json: Value,
}

impl Answer {
    #[track_caller]
    pub fn is(&self, status: u16) {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.json);
    }

    #[track_caller]
    pub fn is_refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.json["code"].as_str()),
            (status, Some(code)),
            "{}: {}",
            self.asked,
            self.json
        );
    }

    /// Refused because of this field.
    #[track_caller]
    pub fn is_at(&self, field: &str) {
        self.is_refused(400, "bad_field");
        assert_eq!(self.json["field"], field, "{}: {}", self.asked, self.json);
    }
}

impl Contract {
    pub fn new(world: World, public: Value, admin: Value) -> Self {
        let documents = [Arc::new(public), Arc::new(admin)];
        let mut operations = Vec::new();
        for (admin, document) in [false, true].into_iter().zip(&documents) {
            for (path, item) in document["paths"].as_object().unwrap() {
                for (method, value) in item.as_object().unwrap() {
                    let id = value["operationId"].as_str().unwrap().to_owned();
                    let method = method.to_ascii_uppercase().parse().unwrap();
                    let (path, value, document) = (path.clone(), value.clone(), document.clone());
                    operations.push(Operation { admin, method, path, id, value, document });
                }
            }
        }
        Self { world, documents, operations }
    }

    pub fn document(&self, admin: bool) -> &Value {
        &self.documents[usize::from(admin)]
    }

    pub fn base(&self, admin: bool) -> &str {
        if admin { &self.world.admin } else { &self.world.base }
    }

    /// A fresh operator's token of this scope.
    pub fn scoped(&self, scope: api::Scope) -> String {
        api::admin_tokens::add(self.world.data.path(), scope, "contract", api::now_ms()).unwrap().1
    }

    /// Sends it, and holds the answer against the document.
    pub async fn send(&self, operation: &Operation, call: &Call) -> Answer {
        let mut path = operation.path.clone();
        for (name, value) in &call.path {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        let url = format!("{}{path}", self.base(operation.admin));
        let mut request = self.world.http.request(operation.method.clone(), url).query(&call.query);
        if let Some(token) = &call.token {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(Body { media, bytes }) = &call.body {
            request = request.body(bytes.clone());
            if let Some(media) = media {
                request = request.header(CONTENT_TYPE, *media);
            }
        }
        let shown =
            call.body.as_ref().map(|body| String::from_utf8_lossy(&body.bytes).chars().take(200).collect());
        let shown: String = shown.unwrap_or_default();
        let asked = format!("{} {path} {:?} {shown}", operation.method, call.query);
        let response = request.headers(call.headers.clone()).send().await;
        let response = response.unwrap_or_else(|error| panic!("{asked}: {error}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        operation.check(status, &headers, &text, &asked);
        Answer { asked, status, json: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }
}

impl Operation {
    pub fn body(&self) -> Option<&Value> {
        self.value.pointer("/requestBody/content/application~1json")
    }

    /// A body of frames, where one is taken.
    pub fn frames(&self) -> Option<Body> {
        self.value.pointer("/requestBody/content/application~1octet-stream")?;
        Some(Body { media: Some("application/octet-stream"), bytes: b"frames".to_vec() })
    }

    pub fn parameters(&self, place: &'static str) -> impl Iterator<Item = (&str, &Value)> {
        let all = self.value["parameters"].as_array().into_iter().flatten();
        all.filter(move |one| one["in"] == place).map(|one| (one["name"].as_str().unwrap(), one))
    }

    pub fn has_query(&self) -> bool {
        self.parameters("query").next().is_some()
    }

    pub fn example_query(&self) -> Vec<(String, String)> {
        let text = |one: &Value| one["example"].as_str().unwrap().to_owned();
        self.parameters("query").map(|(name, one)| (name.to_owned(), text(one))).collect()
    }

    /// Those parts alone that have to be there.
    pub fn needed_query(&self) -> Vec<(String, String)> {
        let needed =
            |name: &str| self.parameters("query").any(|(of, one)| of == name && one["required"] == true);
        self.example_query().into_iter().filter(|(name, _)| needed(name)).collect()
    }

    /// Which token it wants: `None` where it takes requests without one.
    pub fn scheme(&self) -> Option<&str> {
        let all = self.value["security"].as_array().unwrap();
        let must = all.first().filter(|_| all.len() == 1)?;
        must.as_object().unwrap().keys().next().map(String::as_str)
    }

    fn check(&self, status: u16, headers: &HeaderMap, text: &str, asked: &str) {
        let answer = &self.value["responses"][status.to_string()];
        assert!(answer.is_object(), "{asked}: {status} is not documented: {text}");
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let kept = answer.pointer("/headers/Cache-Control/schema/const").and_then(Value::as_str);
        assert_eq!(header("cache-control"), kept.or(Some("no-store")), "{asked}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{asked}");
        let documented = answer.pointer("/headers/Retry-After");
        match header("retry-after") {
            Some(_) => assert!(documented.is_some(), "{asked}: Retry-After is not documented"),
            None => {
                let must = documented.is_some_and(|documented| documented["required"] == true);
                assert!(!must, "{asked}: no Retry-After, and it is documented");
            }
        }
        let Some(content) = answer["content"].as_object() else {
            return assert!(text.is_empty(), "{asked}: {status} has a body that is not documented: {text}");
        };
        let (media, content) = content.iter().next().unwrap();
        assert_eq!(header("content-type"), Some(media.as_str()), "{asked}: {text}");
        let value = match media.ends_with("json") {
            true => serde_json::from_str(text).unwrap_or_else(|error| panic!("{asked}: {error}: {text}")),
            false => Value::String(text.to_owned()),
        };
        let found = faults(&self.document, &content["schema"], &value);
        assert!(found.is_empty(), "{asked}: {status} {text}\nis not as documented: {found:#?}");
    }
}

impl Call {
    /// With the example of the document, and what the step says.
    pub fn of_step(
        contract: &Contract,
        operation: &Operation,
        step: &Step,
        kept: &BTreeMap<&str, String>,
    ) -> Self {
        let kept =
            |name: &str| kept.get(name).unwrap_or_else(|| panic!("{}: {name} is not kept", step.operation));
        let filled = |name: &str| {
            let (_, fill) = step.fill.iter().find(|(filled, _)| *filled == name)?;
            Some(match fill {
                Fill::Kept(name) => kept(name).clone(),
                Fill::Code(name) => code(kept(name)),
                Fill::Text(text) => (*text).to_owned(),
            })
        };
        let path = operation.parameters("path").map(|(name, one)| {
            let example = || one["example"].as_str().unwrap().to_owned();
            (name.to_owned(), filled(name).unwrap_or_else(example))
        });
        let path = path.collect();
        let needed = operation.parameters("header").filter(|(_, one)| one["required"] == true);
        let headers = needed.map(|(name, one)| {
            let example = one["example"].as_str().unwrap();
            (name.parse().unwrap(), example.parse().unwrap())
        });
        let headers = headers.collect();
        let body = operation.body().map(|body| {
            let mut example: Map<String, Value> = body["example"].as_object().unwrap().clone();
            for name in body["schema"]["properties"].as_object().unwrap().keys() {
                if let Some(value) = filled(name) {
                    example.insert(name.clone(), value.into());
                }
            }
            Body::json(Value::Object(example).to_string())
        });
        let body = body.or_else(|| operation.frames());
        let token = operation.scheme().map(|scheme| match scheme {
            "operator" => format!("Bearer {}", contract.world.operator()),
            _ => format!("Bearer {}", kept("token")),
        });
        Self { path, body, token, headers, ..Self::default() }
    }
}

/// What an authenticator app shows now (RFC 6238).
fn code(secret: &str) -> String {
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key).unwrap();
    mac.update(&(api::now_ms() / 30_000).to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}
