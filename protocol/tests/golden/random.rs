//! Random values of every root type and their bytes, as protocol/random.jsonl: more than a person would write down. A
//! type's values follow from its name, so another type adds lines and changes none. `MARU_BLESS=1` writes the file.

use protocol::body::{Field, ITEMS, Layout, OLDER, ROOTS};
use protocol::partition::mix64;
use serde_json::{Map, Value, json};

use super::{blessed, hex, replace_file, values};

const VALUES_EACH: u64 = 12;

struct Draw {
    seed: u64,
    draws: u64,
}

impl Draw {
    fn number(&mut self) -> u64 {
        self.draws += 1;
        mix64(self.seed ^ mix64(self.draws))
    }

    /// Small as often as large, so that every byte of it is sometimes 0.
    fn bits(&mut self, most: u32) -> u64 {
        let bits = 1 + self.number() % u64::from(most);
        self.number() >> (64 - bits)
    }

    fn text(&mut self) -> String {
        let length = self.bits(6);
        let chars = ['a', 'é', '마', '😀', '\u{0}', '\u{feff}', 'z'];
        (0..length).map(|_| chars[self.number() as usize % chars.len()]).collect()
    }

    fn value(&mut self, rust_type: &str) -> Value {
        match rust_type {
            "u8" => json!(self.bits(8)),
            "u16" => json!(self.bits(16)),
            "u32" => json!(self.bits(32)),
            // Below 2^53, as whatever counts something is; ids beyond that are in `valid`.
            "u64" => json!(self.bits(53).to_string()),
            "u128" => json!(((u128::from(self.number()) << 64) | u128::from(self.number())).to_string()),
            "bool" => json!(self.number().is_multiple_of(2)),
            "String" => json!(self.text()),
            list => {
                let item = list.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>')).expect(list);
                let count = self.bits(3);
                (0..count).map(|_| self.value(item)).collect()
            }
        }
    }

    fn object(&mut self, layout: &Layout) -> Value {
        let fields = layout.fields.iter().map(|field| (field.name.to_owned(), self.field(field)));
        Value::Object(fields.collect::<Map<String, Value>>())
    }

    fn field(&mut self, field: &Field) -> Value {
        match ITEMS.iter().find(|layout| field.rust_type == format!("Vec<{}>", layout.name)) {
            Some(layout) => {
                let count = self.bits(3);
                (0..count).map(|_| self.object(layout)).collect()
            }
            None => self.value(field.rust_type),
        }
    }
}

fn lines(layout: &Layout) -> Vec<String> {
    let seed = layout.name.bytes().fold(1, |seed, byte| mix64(seed ^ u64::from(byte)));
    let mut draw = Draw { seed, draws: 0 };
    let line = |_| {
        let value = draw.object(layout);
        let frame = values::frame_of(layout.name, 5, &value);
        json!({ "type": layout.name, "value": value, "body": hex::plain(frame.body()) }).to_string()
    };
    (0..VALUES_EACH).map(line).collect()
}

#[test]
fn random_values_have_their_bytes() {
    let text = ROOTS.iter().chain(OLDER).flat_map(lines).collect::<Vec<_>>().join("\n") + "\n";
    let path = super::vectors::path().with_file_name("random.jsonl");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    if blessed() && kept != text {
        replace_file(&path, &text);
        return;
    }
    assert!(
        kept == text,
        "the code writes other bytes than protocol/random.jsonl has; MARU_BLESS=1 adds new types"
    );
}
