//! Lines on their way to whoever takes them: joined into pieces, counted, and their checksum.

use std::collections::HashMap;

use api::{Accounts, ExportBroken, WHO_MAX, Who};
use bytes::Bytes;
use protocol::UserId;
use protocol::commit::Row;
use serde::Serialize;
use storage::Piece;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

use super::CRC32C;
use super::line::{Header, Line};

/// Bytes of a piece, about.
const PIECE_BYTES: usize = 64 * 1024;
/// What is held until it is known who its users are: so many things, and so many bytes of messages, about.
const HELD_MAX: usize = 1024;
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// Where lines go.
pub(crate) struct Lines {
    to: Sender<Result<Bytes, ExportBroken>>,
    piece: Vec<u8>,
    lines: u64,
    sum: crc::Digest<'static, u32>,
    /// Nobody takes them any more.
    is_over: bool,
}

impl Lines {
    /// Begins with the header, which is not counted.
    pub(crate) fn begin(header: &Header, to: Sender<Result<Bytes, ExportBroken>>) -> Self {
        let mut lines = Self { to, piece: Vec::new(), lines: 0, sum: CRC32C.digest(), is_over: false };
        lines.put(header);
        lines
    }

    fn put(&mut self, line: &impl Serialize) -> std::ops::Range<usize> {
        let begin = self.piece.len();
        // A vector takes everything, and no map of a line has keys that are no text.
        if serde_json::to_writer(&mut self.piece, line).is_err() {
            self.is_over = true;
        }
        self.piece.push(b'\n');
        begin..self.piece.len()
    }

    /// One line more. Waits for whoever takes them; false: nobody does.
    pub(crate) fn line(&mut self, line: &impl Serialize) -> bool {
        let range = self.put(line);
        self.sum.update(self.piece.get(range).unwrap_or_default());
        self.lines += 1;
        if self.piece.len() >= PIECE_BYTES {
            self.send();
        }
        !self.is_over
    }

    /// The last line.
    pub(crate) fn end(mut self) {
        let crc32c = format!("{:08x}", self.sum.clone().finalize());
        self.put(&Line::End { lines: self.lines, crc32c });
        self.send();
    }

    /// There is no last line: what was sent so far is not whole.
    pub(crate) fn break_off(self) {
        // Whoever has gone need not be told.
        let _ = self.to.blocking_send(Err(ExportBroken));
    }

    fn send(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.is_over |= self.to.blocking_send(Ok(piece.into())).is_err();
    }
}

/// Who users are, as their export has it.
#[derive(Debug)]
pub(crate) struct Names {
    accounts: Accounts,
    runtime: Handle,
}

impl Names {
    pub(crate) fn new(accounts: Accounts, runtime: Handle) -> Self {
        Self { accounts, runtime }
    }

    fn of(&self, users: &[UserId]) -> Result<HashMap<UserId, Who>, String> {
        let mut found = HashMap::new();
        for some in users.chunks(WHO_MAX) {
            let who = self.runtime.block_on(self.accounts.who(some)).map_err(|error| error.to_string())?;
            found.extend(who.into_iter().map(|who| (who.user, who)));
        }
        Ok(found)
    }
}

/// What is told, held back until it is known who is named: users are looked up many at a time.
pub(crate) struct Telling<'a> {
    names: &'a Names,
    held: Vec<Piece>,
    bytes: usize,
    lines: &'a mut Lines,
    /// Writes one row.
    write: &'a mut dyn FnMut(&mut Lines, Row) -> bool,
    /// Who a user is, as a line.
    shown: fn(UserId, Option<&Who>) -> Line,
    /// The names could not be read.
    pub(crate) fault: Option<String>,
}

impl<'a> Telling<'a> {
    pub(crate) fn new(
        names: &'a Names,
        lines: &'a mut Lines,
        shown: fn(UserId, Option<&Who>) -> Line,
        write: &'a mut dyn FnMut(&mut Lines, Row) -> bool,
    ) -> Self {
        Self { names, held: Vec::new(), bytes: 0, lines, write, shown, fault: None }
    }

    /// One thing more; whether to go on.
    pub(crate) fn tell(&mut self, piece: Piece) -> bool {
        if let Piece::Row(Row::Message { frame, .. }) = &piece {
            self.bytes += frame.bytes().len();
        }
        self.held.push(piece);
        (self.held.len() < HELD_MAX && self.bytes < HELD_BYTES_MAX) || self.flush()
    }

    /// Writes what is held.
    pub(crate) fn flush(&mut self) -> bool {
        let named = |piece: &Piece| match piece {
            Piece::User(user) => Some(*user),
            Piece::Row(_) => None,
        };
        let users: Vec<UserId> = self.held.iter().filter_map(named).collect();
        let who = match self.names.of(&users) {
            Ok(who) => who,
            Err(error) => {
                self.fault = Some(error);
                return false;
            }
        };
        self.bytes = 0;
        std::mem::take(&mut self.held).into_iter().all(|piece| match piece {
            Piece::User(user) => self.lines.line(&(self.shown)(user, who.get(&user))),
            Piece::Row(row) => (self.write)(self.lines, row),
        })
    }
}

/// Of a channel's export: enough to make the user known elsewhere.
pub(crate) fn in_full(user: UserId, who: Option<&Who>) -> Line {
    Line::User {
        user: user.to_string(),
        name: who.map(|who| who.name.clone()),
        display_name: who.map(|who| who.display_name.clone()).unwrap_or_default(),
        created_ms: who.map(|who| who.created_ms).unwrap_or_default(),
    }
}
