//! Where a body failed: an error for rkyv that remembers the way to the field, in words fit for the peer.
//!
//! rkyv's own errors print addresses of this process, and in release builds nothing at all, so they are never sent.

use core::any::Any;
use core::error::Error;
use core::fmt;

use rkyv::bytecheck::StructCheckContext;
use rkyv::rancor;

/// A failed check. Used only once a check has failed, so it may allocate.
#[derive(Debug)]
pub struct Trace {
    text: &'static str,
    /// Innermost first: `text`, `[3]`, `members`.
    steps: Vec<String>,
}

impl Trace {
    /// The field at fault, like `text` or `items[3].name`.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        path
    }

    /// What is wrong there.
    pub(super) fn text(&self) -> &'static str {
        self.text
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl Error for Trace {}

impl rancor::Trace for Trace {
    fn trace<R>(mut self, trace: R) -> Self
    where
        R: fmt::Debug + fmt::Display + Send + Sync + 'static,
    {
        if let Some(context) = as_any(&trace).downcast_ref::<StructCheckContext>() {
            // rkyv's own types have fields too; the peer knows only ours.
            if !matches!(context.struct_name, "ArchivedString" | "ArchivedVec") {
                self.steps.push(context.field_name.to_owned());
            }
        } else if let Some(index) = slice_index(&trace.to_string()) {
            self.steps.push(format!("[{index}]"));
        }
        self
    }
}

impl rancor::Source for Trace {
    fn new<T: Error + Send + Sync + 'static>(source: T) -> Self {
        let words = source.to_string();
        let text = if words.starts_with("invalid UTF-8") {
            "not UTF-8"
        } else if words.starts_with("bool") {
            "a bool is 0 or 1"
        } else if words.starts_with("String representation") {
            "a string of up to 8 bytes is stored inline"
        } else {
            "reaches outside the body, or into another field's bytes"
        };
        Self { text, steps: Vec::new() }
    }
}

fn as_any<T: Any>(value: &T) -> &dyn Any {
    value
}

/// bytecheck keeps this context private; its words are the only way to the index.
fn slice_index(words: &str) -> Option<usize> {
    words.strip_prefix("while checking index '")?.split_once('\'')?.0.parse().ok()
}
