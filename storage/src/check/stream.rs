//! A family as a stream that is pulled: bounded chunks, so that other rows can be read in between.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::BayId;
use protocol::partition::BAYS;

use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::view::View;

const CHUNK_ROWS: usize = 1024;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// The rows of one family in key order.
pub(super) struct Stream<'a> {
    view: View<'a>,
    family: Family,
    rows: VecDeque<(Box<[u8]>, Bytes)>,
    /// Where the next chunk begins; `None` behind the last.
    next: Option<Vec<u8>>,
    /// Where all end.
    end: Vec<u8>,
}

impl<'a> Stream<'a> {
    /// Those of one bay. The last bay's end with the last key of all, so that one of no bay is seen
    /// too.
    pub(super) fn new(view: View<'a>, bay: BayId, family: Family) -> Self {
        let (lower, upper) = key::bay(bay);
        let end = if bay.0 + 1 == BAYS { key::END.to_vec() } else { upper.to_vec() };
        Self { view, family, rows: VecDeque::new(), next: Some(lower.to_vec()), end }
    }

    /// Those of all bays.
    pub(super) fn all(view: View<'a>, family: Family) -> Self {
        Self { view, family, rows: VecDeque::new(), next: Some(Vec::new()), end: key::END.to_vec() }
    }

    /// The next row's key, without taking it.
    pub(super) fn peek(&mut self) -> Found<Option<&[u8]>> {
        if self.rows.is_empty() {
            self.fill()?;
        }
        Ok(self.rows.front().map(|(key, _)| &**key))
    }

    /// Takes the next row.
    pub(super) fn take(&mut self) -> Found<Option<(Box<[u8]>, Bytes)>> {
        if self.rows.is_empty() {
            self.fill()?;
        }
        Ok(self.rows.pop_front())
    }

    /// Takes the next row's value if this is its key.
    pub(super) fn take_exactly(&mut self, key: &[u8]) -> Found<Option<Bytes>> {
        let is_next = self.peek()?.is_some_and(|next| next == key);
        if is_next { Ok(self.take()?.map(|(_, value)| value)) } else { Ok(None) }
    }

    /// Takes the next row if its key begins with `prefix`.
    pub(super) fn take_within(&mut self, prefix: &[u8]) -> Found<Option<(Box<[u8]>, Bytes)>> {
        let within = self.peek()?.is_some_and(|key| key.starts_with(prefix));
        if within { self.take() } else { Ok(None) }
    }

    fn fill(&mut self) -> Found<()> {
        let Some(from) = self.next.take() else { return Ok(()) };
        let (mut bytes, mut full) = (0, false);
        let bounds: (&[u8], &[u8]) = (&from, &self.end);
        let rows = &mut self.rows;
        self.view.rows.scan(self.family, bounds, Direction::Rising, self.view.tier, &mut |key, value| {
            bytes += value.bytes().len();
            rows.push_back((key.into(), value.to_bytes()));
            full = rows.len() >= CHUNK_ROWS || bytes >= CHUNK_BYTES;
            Ok(!full)
        })?;
        if full {
            self.next = self.rows.back().map(|(key, _)| [key, &[0][..]].concat());
        }
        Ok(())
    }
}
