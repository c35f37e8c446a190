//! A batch's rows -> puts and deletes.

use protocol::commit::{Batch, Row};
use protocol::{Placement, StoreId};

use crate::family::Family;
use crate::key::{self, JoinedTag};
use crate::rows::Sink;
use crate::value;

/// Puts batches into a sink.
pub(crate) struct Apply<'a> {
    pub(crate) histories: u8,
    /// The fan-out log is already removed below this number. Ranges of deletes must not overlap: RocksDB keeps every
    /// overlap apart, which costs the square of their number.
    pub(crate) trimmed: &'a mut u64,
}

impl Apply<'_> {
    /// One batch.
    pub(crate) fn batch(&mut self, batch: &Batch, scratch: &mut Vec<u8>, sink: &mut dyn Sink) {
        for row in &batch.rows {
            match row {
                Row::Device { .. } | Row::DeviceGone { .. } | Row::Account { .. } | Row::Pointer { .. } => {
                    user_row(row, scratch, sink);
                }
                Row::Joined { .. } | Row::Left { .. } | Row::Read { .. } => joined_row(row, sink),
                Row::Message { channel, seq, frame } => {
                    let family = Family::of_history(*channel, self.histories);
                    sink.put_shared(family, &key::message(*channel, *seq), &frame.to_bytes());
                }
                Row::Channel { channel, row } => {
                    sink.put(Family::Channel, &key::channel(*channel), &row.encode());
                }
                Row::Member { .. } | Row::Interval { .. } | Row::Position { .. } => member_row(row, sink),
                Row::Fanout { number, messages } => {
                    value::write_fanout(messages, scratch);
                    sink.put(Family::Fanout, &key::fanout(*number), scratch);
                }
                Row::Applied { source, through } => {
                    sink.put(Family::Applied, &key::applied(*source), &through.to_be_bytes());
                }
                Row::TrimFanout { below } => {
                    if *below > *self.trimmed {
                        sink.delete_range(Family::Fanout, &key::fanout(*self.trimmed), &key::fanout(*below));
                        *self.trimmed = *below;
                    }
                }
            }
        }
    }
}

/// The first row of a batch that does not belong into the store, in words.
pub(crate) fn stray(placement: Placement, store: StoreId, batch: &Batch) -> Option<String> {
    if batch.store != store {
        return Some(format!("batch {} for store {}", batch.number, batch.store));
    }
    let stray = batch.rows.iter().find(|row| place(placement, row).is_some_and(|place| place != store));
    stray.map(|row| format!("{row:?}"))
}

/// The one store that a row belongs into; `None` for rows that every store has of its own.
fn place(placement: Placement, row: &Row) -> Option<StoreId> {
    match row {
        Row::Message { channel, .. }
        | Row::Channel { channel, .. }
        | Row::Member { channel, .. }
        | Row::Interval { channel, .. }
        | Row::Position { channel, .. } => Some(placement.channel_store(*channel)),
        Row::Joined { user, .. }
        | Row::Left { user, .. }
        | Row::Read { user, .. }
        | Row::Pointer { user, .. }
        | Row::Device { user, .. }
        | Row::DeviceGone { user, .. }
        | Row::Account { user, .. } => Some(placement.user_store(*user)),
        Row::Fanout { .. } | Row::Applied { .. } | Row::TrimFanout { .. } => None,
    }
}

fn user_row(row: &Row, scratch: &mut Vec<u8>, sink: &mut dyn Sink) {
    match row {
        Row::Pointer { user, at, channel, seq } => {
            value::write_pointer(*channel, *seq, scratch);
            sink.put(Family::Inbox, &key::pointer(*user, *at), scratch);
        }
        Row::Device { user, device, row } => {
            sink.put(Family::Device, &key::device(*user, *device), &row.encode());
        }
        Row::DeviceGone { user, device } => sink.delete(Family::Device, &key::device(*user, *device)),
        Row::Account { user, row } => {
            sink.put(Family::Account, &key::user(*user), &row.encode());
        }
        _ => {}
    }
}

/// What a channel knows of a user. A stay, a position and the row of old stand under keys of their own, so that each is
/// written without reading the others.
fn member_row(row: &Row, sink: &mut dyn Sink) {
    match row {
        Row::Member { channel, user, row } => {
            sink.put(Family::Member, &key::member(*channel, *user), &row.encode());
        }
        Row::Interval { channel, user, joined, row } => {
            sink.put(Family::Member, &key::interval(*channel, *user, *joined), &row.encode());
        }
        Row::Position { channel, user, row } => {
            sink.put(Family::Member, &key::position(*channel, *user), &row.encode());
        }
        _ => {}
    }
}

/// The user's own list is written blindly: three small rows a channel, so that nothing has to be read first.
fn joined_row(row: &Row, sink: &mut dyn Sink) {
    let (user, channel, tag, seq) = match row {
        Row::Joined { user, channel, joined } => (user, channel, JoinedTag::Joined, joined),
        Row::Left { user, channel, left } => (user, channel, JoinedTag::Left, left),
        Row::Read { user, channel, seq } => (user, channel, JoinedTag::Read, seq),
        _ => return,
    };
    sink.put(Family::Joined, &key::joined_row(*user, *channel, tag), &seq.0.to_be_bytes());
}
