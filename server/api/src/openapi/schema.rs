//! What bodies are made of, in the words of JSON Schema.

use serde_json::{Map, Value, json};

/// A field with its schema.
pub(super) type Field = (&'static str, Value);

/// Text of so many characters.
pub(super) fn text(min: usize, max: usize) -> Value {
    json!({ "type": "string", "minLength": min, "maxLength": max })
}

/// Text that only the body's size bounds: a secret, of which nothing is told but whether it is right.
pub(super) fn secret() -> Value {
    json!({ "type": "string" })
}

/// An id of a user, a device or an invite.
pub(super) fn id() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{1,19}$", "description": "An id: decimal digits, not 0." })
}

/// Text of these characters, so many of them. `class` as in `a-f0-9`.
pub(super) fn letters(class: &str, min: usize, max: usize) -> Value {
    json!({ "type": "string", "pattern": format!("^[{class}]{{{min},{max}}}$") })
}

/// A whole number.
pub(super) fn number(min: u64, max: u64) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

/// Milliseconds since the Unix epoch.
pub(super) fn time_ms() -> Value {
    json!({ "type": "integer", "minimum": 0, "description": "Milliseconds since the Unix epoch." })
}

pub(super) fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// At most so many.
pub(super) fn list(of: Value, max: usize) -> Value {
    json!({ "type": "array", "items": of, "maxItems": max })
}

/// One of the components.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The same with words for people.
pub(super) fn said(mut schema: Value, words: &str) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".into(), words.into());
    }
    schema
}

/// The same, or null.
pub(super) fn nullable(mut schema: Value) -> Value {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.clone(), "null"]);
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    schema
}

/// An object with these fields and no other.
pub(super) fn object(required: Vec<Field>, optional: Vec<Field>) -> Value {
    let names: Vec<_> = required.iter().map(|(name, _)| *name).collect();
    let properties: Map<_, _> =
        required.into_iter().chain(optional).map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !names.is_empty()
        && let Some(fields) = object.as_object_mut()
    {
        fields.insert("required".into(), names.into());
    }
    object
}

/// The same for a body that is asked for: there an absent field and null are the same.
pub(super) fn request(required: Vec<Field>, optional: Vec<Field>) -> Value {
    object(required, optional.into_iter().map(|(name, schema)| (name, nullable(schema))).collect())
}
