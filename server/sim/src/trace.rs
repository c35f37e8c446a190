//! What happened, for the person who reads a failed seed. Lines are only made when somebody will see them.

use std::collections::VecDeque;

/// Who wants to see the steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Nobody.
    Off,
    /// Whoever reads the failure: the last so many lines.
    Last(usize),
    /// Everybody, at once, on standard output.
    Print,
}

/// The steps so far.
#[derive(Debug)]
pub struct Trace {
    mode: Mode,
    lines: VecDeque<String>,
}

impl Trace {
    /// An empty trace.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { mode, lines: VecDeque::new() }
    }

    /// Notes a step at a virtual time.
    pub fn say(&mut self, now: u64, line: impl FnOnce() -> String) {
        match self.mode {
            Mode::Off => {}
            Mode::Print => println!("{now:>8} ms  {}", line()),
            Mode::Last(most) => {
                if self.lines.len() >= most {
                    self.lines.pop_front();
                }
                self.lines.push_back(format!("{now:>8} ms  {}", line()));
            }
        }
    }

    /// The lines that were kept.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}
