//! The encoding rules of docs/protocol.md written out a second time, without rkyv: what a stranger would write. If it
//! and rkyv disagree on any vector, the page is wrong.

use protocol::body::{ITEMS, Layout, OLDER, ROOTS};
use serde_json::Value;

use crate::values::Json;

/// A string of so many bytes or fewer lies inside its own 8 bytes.
const INLINE_BYTES_MAX: usize = 8;

/// Bytes of a body and what they are.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// Where a run begins, and its meaning, in rising order.
    pub(crate) notes: Vec<(usize, String)>,
}

/// Where the out-of-line data of a value was written.
enum Place {
    Nowhere,
    At(usize),
    Fields(Vec<Self>),
}

/// `write(root)`: first everything that lies outside the root, then the root itself.
pub(crate) fn encode(root: &str, value: &Value) -> Encoded {
    let mut out = Encoded { bytes: Vec::new(), notes: Vec::new() };
    let place = out.write_outside("", root, value);
    out.write_inside("", root, value, &place);
    out
}

pub(crate) fn layout(name: &str) -> &'static Layout {
    ROOTS.iter().chain(OLDER).chain(ITEMS).find(|layout| layout.name == name).expect("a root or item type")
}

fn item_type(rust_type: &str) -> Option<&str> {
    rust_type.strip_prefix("Vec<")?.strip_suffix('>')
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

impl Encoded {
    fn write_outside(&mut self, path: &str, rust_type: &str, value: &Value) -> Place {
        if rust_type == "String" {
            let text = String::from_json(value);
            if text.len() <= INLINE_BYTES_MAX {
                return Place::Nowhere;
            }
            return Place::At(
                self.put(format!("{path}: the {} bytes of the string", text.len()), text.as_bytes()),
            );
        }
        if let Some(item) = item_type(rust_type) {
            let items = value.as_array().expect("a list");
            let path_of = |index: usize| format!("{path}[{index}]");
            let places: Vec<Place> = (items.iter().enumerate())
                .map(|(index, value)| self.write_outside(&path_of(index), item, value))
                .collect();
            let at = self.bytes.len();
            for (index, (value, place)) in items.iter().zip(&places).enumerate() {
                self.write_inside(&path_of(index), item, value, place);
            }
            return Place::At(at);
        }
        if is_number(rust_type) {
            return Place::Nowhere;
        }
        let fields = layout(rust_type).fields.iter();
        Place::Fields(
            fields
                .map(|field| self.write_outside(&join(path, field.name), field.rust_type, &value[field.name]))
                .collect(),
        )
    }

    fn write_inside(&mut self, path: &str, rust_type: &str, value: &Value, place: &Place) {
        let here = self.bytes.len();
        match (rust_type, place) {
            ("String", Place::Nowhere) => {
                let text = String::from_json(value);
                let mut slot = [0xff; INLINE_BYTES_MAX];
                slot[..text.len()].copy_from_slice(text.as_bytes());
                self.put(format!("{path}: inline string {text:?}"), &slot);
            }
            ("String", Place::At(at)) => {
                let len = String::from_json(value).len() as u32;
                let marked = (len & 0x3f) | 0x80 | ((len & !0x3f) << 2);
                let note = format!("{path}: length {len}, offset {}", offset(here, *at));
                self.put_two(note, marked, offset(here, *at).cast_unsigned());
            }
            (_, Place::At(at)) => {
                let count = value.as_array().expect("a list").len() as u32;
                let note = format!("{path}: offset {}, count {count}", offset(here, *at));
                self.put_two(note, offset(here, *at).cast_unsigned(), count);
            }
            (_, Place::Fields(places)) => {
                for (field, place) in layout(rust_type).fields.iter().zip(places) {
                    self.write_inside(&join(path, field.name), field.rust_type, &value[field.name], place);
                }
            }
            (_, Place::Nowhere) => self.put_number(path, rust_type, value),
        }
    }

    fn put_number(&mut self, path: &str, rust_type: &str, value: &Value) {
        let number = match value {
            Value::Bool(truth) => u128::from(*truth),
            Value::Number(number) => u128::from(number.as_u64().expect("not negative")),
            _ => u128::from_json(value),
        };
        let size = match rust_type {
            "bool" | "u8" => 1,
            "u16" => 2,
            "u32" => 4,
            "u64" => 8,
            _ => 16,
        };
        self.put(format!("{path}: {number}"), &number.to_le_bytes()[..size]);
    }

    fn put_two(&mut self, note: String, first: u32, second: u32) {
        self.put(note, &[first.to_le_bytes(), second.to_le_bytes()].concat());
    }

    fn put(&mut self, note: String, bytes: &[u8]) -> usize {
        let at = self.bytes.len();
        self.notes.push((at, note));
        self.bytes.extend_from_slice(bytes);
        at
    }
}

fn is_number(rust_type: &str) -> bool {
    matches!(rust_type, "bool" | "u8" | "u16" | "u32" | "u64" | "u128")
}

/// From the first byte of the string or list itself.
fn offset(here: usize, at: usize) -> i32 {
    at as i32 - here as i32
}
