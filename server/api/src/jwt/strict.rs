//! JSON in which no object has a name twice: two readers of such a token would not agree on what it says.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads an object.
///
/// # Errors
/// Words for people: where it is no JSON, what stands twice, that it is no object.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        Ok(Strict(_)) => Err("it is not a JSON object".to_owned()),
        Err(error) => Err(format!("it is not good JSON: {}", super::shortened(&error.to_string()))),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{name:?} stands there twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_meaning() {
        let good = br#"{"a":[1,-2,0.5,null,true,"x",{"b":{}}],"c":{"a":1}}"#;
        assert_eq!(Value::Object(object(good).unwrap()), serde_json::from_slice::<Value>(good).unwrap());
        for (bad, words) in [
            (r#"{"a":1,"a":1}"#, "\"a\" stands there twice"),
            (r#"{"x":[{"a":1,"b":2,"a":3}]}"#, "\"a\" stands there twice"),
            // The same name, spelt otherwise.
            (r#"{"sub":1,"s\u0075b":2}"#, "\"sub\" stands there twice"),
            ("[]", "not a JSON object"),
            ("", "not good JSON"),
            ("{} {}", "not good JSON"),
            (&"[".repeat(10_000), "not good JSON"),
            (&format!("{{\"a\":{}", "{\"a\":".repeat(200)), "not good JSON"),
        ] {
            let fault = object(bad.as_bytes()).unwrap_err();
            assert!(fault.contains(words) && fault.len() < 200, "{fault}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
    }
}
