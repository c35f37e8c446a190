//! One operation: what is asked, by whom, and every answer.

use serde_json::{Map, Value, json};

use super::problems::refusals;
use crate::routes::FRAMES_MEDIA;

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    Anybody,
    /// A device may show itself, and need not.
    AnybodyOrBearer,
    Bearer,
    /// An operator whose token has this scope.
    Operator(&'static str),
    /// The same, and on loopback anybody.
    OperatorOrLoopback(&'static str),
}

/// At which listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Public,
    Admin,
    Both,
}

/// What one method at one path does.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    about: &'static str,
    who: Who,
    at: At,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(u16, Value)>,
    codes: Vec<&'static str>,
}

/// With which anything can be refused, before a route is looked for or while it works.
const ALWAYS: &[&str] = &["wrong_origin", "wrong_host", "timeout", "internal"];
/// With which a body can be.
const BODY: &[&str] = &["bad_json", "bad_field", "bad_body", "too_large", "unsupported_media_type"];

impl Operation {
    /// Anybody may ask it at the public listener, until something else is said. `id` names it in generated code, the
    /// summary is a line for people.
    pub(super) fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let (about, who, at) = ("", Who::Anybody, At::Public);
        let (parameters, body, answers, codes) = (Vec::new(), None, Vec::new(), ALWAYS.to_vec());
        Self { method, path, id, summary, about, who, at, parameters, body, answers, codes }
    }

    /// More words.
    pub(super) fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// For a device with its access token.
    pub(super) fn bearer(self) -> Self {
        Self { who: Who::Bearer, ..self }.refuses(&["unauthenticated", "expired", "busy"])
    }

    /// For anybody, and a device may show an access token that it was given.
    pub(super) fn known(self) -> Self {
        Self { who: Who::AnybodyOrBearer, ..self }
    }

    /// For an operator, at the admin listener.
    pub(super) fn operator(self, scope: &'static str) -> Self {
        Self { who: Who::Operator(scope), at: At::Admin, ..self }.refuses(&[
            "unauthenticated",
            "scope",
            "busy",
        ])
    }

    /// The same, and on loopback for anybody.
    pub(super) fn operator_or_loopback(self, scope: &'static str) -> Self {
        Self { who: Who::OperatorOrLoopback(scope), at: At::Admin, ..self }
            .refuses(&["unauthenticated", "scope"])
    }

    /// At both listeners.
    pub(super) fn at_both(self) -> Self {
        Self { at: At::Both, ..self }
    }

    /// With a part of the path.
    pub(super) fn in_path(self, name: &str, schema: Value, example: &str) -> Self {
        self.parameter("path", name, true, schema, example)
    }

    /// With a part of the query.
    pub(super) fn in_query(self, name: &str, schema: Value, example: &str) -> Self {
        self.parameter("query", name, false, schema, example)
    }

    /// With a part of the query that has to be there.
    pub(super) fn in_query_always(self, name: &str, schema: Value, example: &str) -> Self {
        self.parameter("query", name, true, schema, example)
    }

    /// With a header that may be there.
    pub(super) fn in_header_sometimes(self, name: &str, schema: Value, example: &str) -> Self {
        self.parameter("header", name, false, schema, example)
    }

    /// With a header that has to be there.
    pub(super) fn in_header(self, name: &str, schema: Value, example: &str) -> Self {
        self.parameter("header", name, true, schema, example)
    }

    fn parameter(mut self, place: &str, name: &str, required: bool, schema: Value, example: &str) -> Self {
        let parameter =
            json!({ "name": name, "in": place, "required": required, "schema": schema, "example": example });
        self.parameters.push(parameter);
        self.refuses(&["bad_field"])
    }

    /// With a JSON body.
    pub(super) fn body(self, schema: Value, example: Value) -> Self {
        let content = json!({ "application/json": { "schema": schema, "example": example } });
        Self { body: Some(json!({ "required": true, "content": content })), ..self }.refuses(BODY)
    }

    /// With frames of the chat port for a body.
    pub(super) fn frames_body(self) -> Self {
        let content = json!({ FRAMES_MEDIA: { "schema": { "type": "string", "format": "binary" } } });
        Self { body: Some(json!({ "required": false, "content": content })), ..self }.refuses(&[
            "bad_body",
            "too_large",
            "unsupported_media_type",
        ])
    }

    /// Answers with frames.
    pub(super) fn gives_frames(self, words: &str) -> Self {
        self.content(200, words, FRAMES_MEDIA, json!({ "type": "string", "format": "binary" }))
    }

    /// Answers with JSON.
    pub(super) fn gives(self, status: u16, words: &str, schema: Value) -> Self {
        self.content(status, words, "application/json", schema)
    }

    /// Answers with a text.
    pub(super) fn gives_text(self, status: u16, words: &str, media: &str) -> Self {
        self.content(status, words, media, json!({ "type": "string" }))
    }

    /// Answers with nothing but the status.
    pub(super) fn gives_nothing(mut self, words: &str) -> Self {
        self.answers.push((204, json!({ "description": words, "headers": headers() })));
        self
    }

    fn content(mut self, status: u16, words: &str, media: &str, schema: Value) -> Self {
        let content = json!({ media: { "schema": schema } });
        self.answers
            .push((status, json!({ "description": words, "headers": headers(), "content": content })));
        self
    }

    /// What it answers may be kept, so.
    pub(super) fn kept(mut self, how: &str) -> Self {
        for (_, answer) in &mut self.answers {
            if let Some(said) = answer.pointer_mut("/headers/Cache-Control/schema/const") {
                *said = how.into();
            }
        }
        self
    }

    /// Can be refused with these codes, beside those that follow from who asks and with what.
    pub(super) fn refuses(mut self, codes: &[&'static str]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// Asks for the user's password, and counts wrong ones.
    pub(super) fn asks_password(self) -> Self {
        self.refuses(&["wrong_credentials", "rate", "busy"])
    }

    /// Writes, or may.
    pub(super) fn stores(self) -> Self {
        self.refuses(&["busy", "storage_full"])
    }

    /// Whether it is at this listener.
    pub(super) fn is_at(&self, audience: crate::port::Audience) -> bool {
        match audience {
            crate::port::Audience::Public => self.at != At::Admin,
            crate::port::Audience::Admin => self.at != At::Public,
        }
    }

    /// Path, method, and the operation as OpenAPI has it.
    pub(super) fn written(self, tag: &str) -> (&'static str, String, Value) {
        let refusals = refusals(&self.codes);
        let responses: Map<_, _> = self
            .answers
            .into_iter()
            .chain(refusals)
            .map(|(status, answer)| (status.to_string(), answer))
            .collect();
        let mut operation = json!({
            "operationId": self.id, "summary": self.summary, "tags": [tag], "security": security(self.who),
            "responses": responses,
        });
        if let Some(fields) = operation.as_object_mut() {
            if !self.about.is_empty() {
                fields.insert("description".into(), self.about.into());
            }
            if !self.parameters.is_empty() {
                fields.insert("parameters".into(), self.parameters.into());
            }
            if let Some(body) = self.body {
                fields.insert("requestBody".into(), body);
            }
        }
        (self.path, self.method.to_ascii_lowercase(), operation)
    }
}

/// Nobody on the way may keep an answer: most hold secrets, and the others are small.
fn headers() -> Value {
    json!({ "Cache-Control": { "schema": { "const": "no-store" }, "required": true } })
}

fn security(who: Who) -> Value {
    match who {
        Who::Anybody => json!([]),
        Who::AnybodyOrBearer => json!([{}, { "bearer": [] }]),
        Who::Bearer => json!([{ "bearer": [] }]),
        Who::Operator(scope) => json!([{ "operator": [scope] }]),
        Who::OperatorOrLoopback(scope) => json!([{}, { "operator": [scope] }]),
    }
}
