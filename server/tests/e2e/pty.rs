//! A process at a terminal of its own: a pseudo-terminal, and what stands on its screen.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::node::PATIENCE;

pub struct Pty {
    child: Child,
    master: File,
    /// Kept open: its modes are looked at after the process has ended.
    terminal: OwnedFd,
    output: Receiver<Vec<u8>>,
    /// All that was written to the terminal.
    pub raw: Vec<u8>,
    pub screen: Screen,
}

impl Pty {
    /// Starts a program with the terminal as its controlling one.
    pub fn start(program: &Path, args: &[&str], columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(program)
            .args(args)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let master = File::from(master);
        let mut reader = master.try_clone().unwrap();
        let (bytes, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if bytes.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, master, terminal, output, raw: Vec::new(), screen: Screen::new(columns, rows) }
    }

    /// Types.
    pub fn type_in(&mut self, text: &str) {
        // What the program writes meanwhile is read by the thread: neither waits for the other.
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Reads on until something holds of what is there.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not {what}; the screen:\n{}", self.screen.text());
            // The modes change without a byte.
            if let Ok(bytes) = self.output.recv_timeout(left.min(Duration::from_millis(50))) {
                self.screen.take(&bytes);
                self.raw.extend(bytes);
            }
        }
    }

    /// Reads on until this is on the screen.
    pub fn see(&mut self, words: &str) {
        self.until(words, |pty| pty.screen.text().contains(words));
    }

    /// Reads on until this was written, wherever it stands.
    pub fn said(&mut self, words: &str, times: usize) {
        self.until(words, |pty| String::from_utf8_lossy(&pty.raw).matches(words).count() >= times);
    }

    pub fn has_echo(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap();
        modes.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the end of the process.
    pub fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(20)) {
                self.screen.take(&bytes);
                self.raw.extend(bytes);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the process goes on; its screen:\n{}", self.screen.text());
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As much of a terminal as the client uses.
pub struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Bytes of a sequence or character that is not whole yet.
    rest: Vec<u8>,
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Self {
        let rows = vec![vec![' '; usize::from(columns)]; usize::from(rows)];
        Self { rows, row: 0, column: 0, rest: Vec::new() }
    }

    pub fn text(&self) -> String {
        let row = |row: &Vec<char>| row.iter().collect::<String>().trim_end().to_owned() + "\n";
        self.rows.iter().map(row).collect()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text: Vec<char> = String::from_utf8(self.rest[..whole].to_vec()).unwrap().chars().collect();
        let mut at = 0;
        while at < text.len() {
            match sequence(&text[at..]) {
                Some(0) => break,
                Some(length) => {
                    self.obey(&text[at..at + length]);
                    at += length;
                }
                None => {
                    self.print(text[at]);
                    at += 1;
                }
            }
        }
        let left: String = text[at..].iter().collect();
        let tail = self.rest.split_off(whole);
        self.rest = left.into_bytes();
        self.rest.extend(tail);
    }

    fn print(&mut self, c: char) {
        match c {
            '\n' => self.down(),
            '\r' => self.column = 0,
            '\u{8}' => self.column = self.column.saturating_sub(1),
            '\u{2068}' | '\u{2069}' => {}
            c if c.is_control() => {}
            c => {
                if self.column == self.rows[0].len() {
                    self.column = 0;
                    self.down();
                }
                self.rows[self.row][self.column] = c;
                self.column += 1;
            }
        }
    }

    fn down(&mut self) {
        if self.row + 1 < self.rows.len() {
            self.row += 1;
        } else {
            let width = self.rows[0].len();
            self.rows.remove(0);
            self.rows.push(vec![' '; width]);
        }
    }

    fn obey(&mut self, sequence: &[char]) {
        let body: String = sequence[2..sequence.len() - 1].iter().collect();
        match sequence[sequence.len() - 1] {
            'H' => {
                let mut numbers = body.split(';').map(|number| number.parse::<usize>().unwrap_or(1));
                self.row = (numbers.next().unwrap_or(1) - 1).min(self.rows.len() - 1);
                self.column = (numbers.next().unwrap_or(1) - 1).min(self.rows[0].len() - 1);
            }
            // What is on the other screen is not on this one.
            'h' if body != "?1049" => {}
            'J' | 'h' => self.rows.iter_mut().flatten().for_each(|cell| *cell = ' '),
            _ => {}
        }
    }
}

/// How long the control sequence is that begins here: `None` for none, 0 for half of one.
fn sequence(text: &[char]) -> Option<usize> {
    if text[0] != '\u{1b}' {
        return None;
    }
    match text.get(1) {
        None => Some(0),
        Some('[') => {
            let end = text.iter().skip(2).position(|c| ('@'..='~').contains(c));
            Some(end.map_or(0, |end| end + 3))
        }
        Some(_) => None,
    }
}
