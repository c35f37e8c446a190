//! The text format: a head for each name, then a line for each value.

use std::fmt::{Display, Write};

/// What is written so far.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Help and type, once a name.
    pub(super) fn head(&mut self, kind: &str, name: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head("counter", name, help);
        self.line(name, value);
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head("gauge", name, help);
        self.line(name, value);
    }

    /// One value for each shard or store.
    pub(super) fn per(
        &mut self,
        kind: &str,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (u64, u64)>,
    ) {
        self.head(kind, name, help);
        for (of, value) in values {
            let _ = writeln!(self.0, "{name}{{{label}=\"{of}\"}} {value}");
        }
    }

    pub(super) fn line(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// For those who write lines themselves.
    pub(super) fn body(&mut self) -> &mut String {
        &mut self.0
    }

    pub(super) fn end(self) -> String {
        self.0
    }
}
