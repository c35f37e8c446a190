//! What a JSON Schema says of a value, for the part of JSON Schema that the documents are written in. A keyword that is not
//! of that part is a fault: nothing in a document goes unchecked.

use serde_json::Value;

/// Everything that is wrong with the value.
pub fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let mut fault =
        |words: String| found.push(format!("{}: {words}: {value}", if at.is_empty() { "/" } else { at }));
    let size = |bound: &Value| bound.as_u64().unwrap_or_else(|| panic!("{bound} is no bound")) as usize;
    for (keyword, rule) in schema.as_object().unwrap_or_else(|| panic!("{schema} is no schema")) {
        match keyword.as_str() {
            "description" | "$ref" | "properties" | "items" => {}
            "type" => {
                let fits = |kind: &Value| is(value, kind.as_str().unwrap());
                if !rule.as_array().map_or_else(|| fits(rule), |kinds| kinds.iter().any(fits)) {
                    fault(format!("expected {rule}"));
                }
            }
            "const" if value != rule => fault(format!("expected {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => fault(format!("expected one of {rule}")),
            "const" | "enum" => {}
            "minimum" if value.as_i64().is_some_and(|value| value < rule.as_i64().unwrap()) => {
                fault(format!("below {rule}"));
            }
            "maximum" if value.as_u64().is_some_and(|value| value > rule.as_u64().unwrap()) => {
                fault(format!("above {rule}"));
            }
            "minLength" if value.as_str().is_some_and(|text| text.chars().count() < size(rule)) => {
                fault(format!("shorter than {rule}"));
            }
            "maxLength" if value.as_str().is_some_and(|text| text.chars().count() > size(rule)) => {
                fault(format!("longer than {rule}"));
            }
            "pattern" if value.as_str().is_some_and(|text| !fits(rule.as_str().unwrap(), text)) => {
                fault(format!("expected {rule}"));
            }
            "maxItems" if value.as_array().is_some_and(|list| list.len() > size(rule)) => {
                fault(format!("more than {rule}"));
            }
            "minimum" | "maximum" | "minLength" | "maxLength" | "pattern" | "maxItems" => {}
            "required" => {
                let Some(fields) = value.as_object() else { continue };
                for name in rule.as_array().unwrap() {
                    if !fields.contains_key(name.as_str().unwrap()) {
                        fault(format!("{name} is missing"));
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, false);
                for name in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
                    if schema["properties"].get(name).is_none() {
                        fault(format!("{name:?} is not documented"));
                    }
                }
            }
            // Says of a text that it is bytes.
            "format" if rule == "binary" => {}
            other => fault(format!("the keyword {other:?} is not checked by this test")),
        }
    }
    if let Some(name) = schema.get("$ref") {
        check(document, referred(document, name.as_str().unwrap()), value, at, found);
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            check(document, schema, value, &format!("{at}/{name}"), found);
        }
    }
    if let Some(schema) = schema.get("items") {
        for (place, value) in value.as_array().into_iter().flatten().enumerate() {
            check(document, schema, value, &format!("{at}/{place}"), found);
        }
    }
}

/// What a reference names.
pub fn referred<'a>(document: &'a Value, name: &str) -> &'a Value {
    document.pointer(name.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{name} names nothing"))
}

/// Whether a value is of a type.
pub fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("{other} is no type that a document may use"),
    }
}

/// `^[class]{min,max}$`, the one form of pattern that the documents use.
fn fits(pattern: &str, text: &str) -> bool {
    let parts = pattern.strip_prefix("^[").and_then(|rest| rest.strip_suffix("}$")?.split_once("]{"));
    let (class, counts) =
        parts.unwrap_or_else(|| panic!("{pattern} is not of the form ^[class]{{min,max}}$"));
    let (min, max) = counts.split_once(',').unwrap();
    let class: Vec<char> = class.chars().collect();
    let mut ranges = Vec::new();
    let mut place = 0;
    while let Some(&first) = class.get(place) {
        let last = class.get(place + 2).filter(|_| class.get(place + 1) == Some(&'-'));
        ranges.push(first..=*last.unwrap_or(&first));
        place += if last.is_some() { 3 } else { 1 };
    }
    let is_in = |char: char| ranges.iter().any(|range| range.contains(&char));
    let count = text.chars().count();
    (min.parse().unwrap()..=max.parse().unwrap()).contains(&count) && text.chars().all(is_in)
}

#[test]
fn every_kind_of_fault_is_found() {
    use serde_json::json;
    let document = json!({ "components": { "schemas": { "Name": { "type": "string", "maxLength": 3 } } } });
    let schema = json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {
            "a": { "type": ["integer", "null"], "minimum": 1, "maximum": 9 },
            "b": { "type": "array", "maxItems": 2, "items": { "$ref": "#/components/schemas/Name" } },
            "c": { "pattern": "^[a-f0-9]{2,4}$", "minLength": 1 },
            "d": { "enum": ["x", "y"] }, "e": { "const": 7 },
        },
    });
    let wrong = |value: Value| faults(&document, &schema, &value).len();
    assert_eq!(wrong(json!({ "a": 1, "b": ["abc"], "c": "a0f9", "d": "y", "e": 7 })), 0);
    assert_eq!(wrong(json!({ "a": null })), 0);
    let bad = [
        json!({}),
        json!([]),
        json!({ "a": 0 }),
        json!({ "a": 10 }),
        json!({ "a": "1" }),
        json!({ "a": 1, "z": 1 }),
        json!({ "a": 1, "b": ["", "", ""] }),
        json!({ "a": 1, "b": ["four"] }),
        json!({ "a": 1, "b": [4] }),
        json!({ "a": 1, "c": "g0" }),
        json!({ "a": 1, "c": "a" }),
        json!({ "a": 1, "c": "-a" }),
        json!({ "a": 1, "d": "z" }),
        json!({ "a": 1, "e": 8 }),
    ];
    for value in bad {
        assert_eq!(wrong(value.clone()), 1, "{value}: {:?}", faults(&document, &schema, &value));
    }
    assert_eq!(faults(&document, &json!({ "format": "email" }), &json!("")).len(), 1);
}
