//! Bytes as vectors.json spells them: a string of hex, or, where one run of repeated bytes is long, a list of hex
//! strings and `{"repeat": hex, "times": n}`.

use serde_json::{Value, json};

/// Runs of more bytes than this are written with `repeat`.
const SPELLED_BYTES_MAX: usize = 96;

pub(crate) fn plain(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn to_json(bytes: &[u8]) -> Value {
    for at in 0..bytes.len().min(200) {
        for unit in 1..=4 {
            let Some(pattern) = bytes.get(at..at + unit) else { continue };
            let times = bytes[at..].chunks(unit).take_while(|chunk| *chunk == pattern).count();
            if times * unit > SPELLED_BYTES_MAX {
                let run = json!({ "repeat": plain(pattern), "times": times });
                let parts = [json!(plain(&bytes[..at])), run, json!(plain(&bytes[at + times * unit..]))];
                return parts.into_iter().filter(|part| part != "").collect();
            }
        }
    }
    json!(plain(bytes))
}

pub(crate) fn from_json(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => bytes_of(text),
        Value::Array(parts) => parts.iter().flat_map(from_json).collect(),
        _ => bytes_of(value["repeat"].as_str().unwrap()).repeat(value["times"].as_u64().unwrap() as usize),
    }
}

fn bytes_of(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "hex has two digits a byte");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}
