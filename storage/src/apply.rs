//! A batch's rows -> puts and deletes.

use protocol::commit::{About, DRAFT_TAG, FloorRow, HIDDEN_TAG, Note, PREFS_TAG, Part, Relation, Row, Rule};
use protocol::query::Mention;
use protocol::{BayId, ChannelId, InboxSeq, Seq, UserId};

use crate::family::Family;
use crate::key::{self, JoinedTag};
use crate::owned::Owned;
use crate::rows::Sink;
use crate::store::KEPT_ROWS_MAX;
use crate::value::run::RUN_ENTRIES_MAX;
use crate::value::{self, Marks, NO_MARKS};

/// What is remembered of a bay from write to write. Its rows come from one shard.
#[derive(Clone, Debug)]
pub(crate) struct BayWriter {
    /// The fan-out log is already removed below this number. Ranges of deletes must not overlap: RocksDB keeps every
    /// overlap apart, which costs the square of their number.
    pub(crate) trimmed: u64,
    /// As the row of the bay's marks has them.
    pub(crate) marks: Marks,
    /// The first row of the log that something which follows it has not taken yet.
    pub(crate) kept: u64,
}

impl Default for BayWriter {
    fn default() -> Self {
        Self { trimmed: 0, marks: NO_MARKS, kept: u64::MAX }
    }
}

/// Puts one part of a batch into a sink.
pub(crate) fn part(
    part: &Part,
    owned: &Owned,
    writer: &mut BayWriter,
    scratch: &mut Vec<u8>,
    sink: &mut dyn Sink,
) {
    for row in &part.rows {
        match row {
            Row::Device { .. } | Row::DeviceGone { .. } | Row::Account { .. } | Row::Relation { .. } => {
                user_row(row, sink);
            }
            Row::Presence { user, row } => sink.put(Family::Notes, &key::presence(*user), &row.encode()),
            Row::Note { user, seq, note: what } => note(*user, *seq, what, sink),
            Row::Followed { user, channel, is_in: true } => {
                sink.put(Family::Notes, &key::followed(*user, *channel), &[1]);
            }
            Row::Followed { user, channel, .. } => {
                sink.delete(Family::Notes, &key::followed(*user, *channel))
            }
            Row::Run { user, first, entries } => run(*user, *first, entries, scratch, sink),
            Row::Joined { user, channel, joined } => {
                joined_row((*user, *channel), JoinedTag::Joined, *joined, sink);
            }
            Row::Left { user, channel, left } => joined_row((*user, *channel), JoinedTag::Left, *left, sink),
            Row::Message { channel, seq, frame } => {
                let family = owned.family(*channel, *seq);
                sink.put_shared(family, &key::message(*channel, *seq), &frame.to_bytes());
            }
            // Where the channel's message is now: families do not move while such a row is written.
            Row::Rewrite { channel, seq, frame } => {
                let family = owned.family(*channel, *seq);
                sink.put_shared(family, &key::message(*channel, *seq), &frame.to_bytes());
            }
            Row::Channel { channel, row } => {
                sink.put(Family::Channel, &key::channel(*channel), &row.encode());
            }
            // A stay and a position stand under keys of their own, so that each is written without reading the others.
            Row::Interval { channel, user, joined, row } => {
                sink.put(Family::Member, &key::interval(*channel, *user, *joined), &row.encode());
            }
            Row::Position { channel, user, row } => {
                sink.put(Family::Member, &key::position(*channel, *user), &row.encode());
            }
            Row::Thread { .. } | Row::Mention { .. } => talk_row(row, sink),
            Row::About { channel, about: what } => about(*channel, what, sink),
            Row::Rule { channel, rule: what } => rule(*channel, what, sink),
            Row::Subscription { .. }
            | Row::SubscriptionGone { .. }
            | Row::Job { .. }
            | Row::Shown { .. }
            | Row::PushOff { .. } => push_row(row, sink),
            Row::Retention { channel, row: Some(row) } => {
                sink.put(Family::Kept, &key::retention(*channel), &row.encode());
            }
            Row::Retention { channel, row: None } => sink.delete(Family::Kept, &key::retention(*channel)),
            Row::Floor { channel, from, row } => floor(*channel, *from, row, owned, sink),
            Row::Erased { .. } | Row::Forgotten { .. } => erase_row(row, sink),
            Row::Fanout { number, messages } => {
                value::write_fanout(messages, scratch);
                sink.put(Family::Fanout, &key::fanout(part.bay, *number), scratch);
            }
            Row::Marks { through } => marks(part.bay, through, writer, scratch, sink),
            Row::TrimFanout { below } => {
                let below = (*below).min(writer.kept.max(below.saturating_sub(KEPT_ROWS_MAX)));
                if below > writer.trimmed {
                    let (lower, upper) =
                        (key::fanout(part.bay, writer.trimmed), key::fanout(part.bay, below));
                    sink.delete_range(Family::Fanout, &lower, &upper);
                    writer.trimmed = below;
                }
            }
        }
    }
}

/// The first row of a part that does not belong into its bay, in words.
pub(crate) fn stray(part: &Part) -> Option<String> {
    if part.bay.partitions().is_empty() {
        return Some(format!("a part for bay {}, which does not exist", part.bay));
    }
    let stray = part.rows.iter().find(|row| place(row).is_some_and(|place| place != part.bay));
    stray.map(|row| format!("{row:?}"))
}

/// The one bay that a row belongs into; `None` for rows that every bay has of its own.
fn place(row: &Row) -> Option<BayId> {
    match row {
        Row::Message { channel, .. }
        | Row::Rewrite { channel, .. }
        | Row::Channel { channel, .. }
        | Row::Interval { channel, .. }
        | Row::Position { channel, .. }
        | Row::Thread { channel, .. }
        | Row::Rule { channel, .. }
        | Row::About { channel, .. }
        | Row::Floor { channel, .. }
        | Row::Erased { channel, .. }
        | Row::Retention { channel, .. } => Some(BayId::of_channel(*channel)),
        Row::Joined { user, .. }
        | Row::Left { user, .. }
        | Row::Run { user, .. }
        | Row::Device { user, .. }
        | Row::DeviceGone { user, .. }
        | Row::Account { user, .. }
        | Row::Relation { user, .. }
        | Row::Mention { user, .. }
        | Row::Presence { user, .. }
        | Row::Subscription { user, .. }
        | Row::SubscriptionGone { user, .. }
        | Row::Job { user, .. }
        | Row::Shown { user, .. }
        | Row::PushOff { user, .. }
        | Row::Followed { user, .. }
        | Row::Forgotten { user }
        | Row::Note { user, .. } => Some(BayId::of_user(*user)),
        Row::Fanout { .. } | Row::Marks { .. } | Row::TrimFanout { .. } => None,
    }
}

/// What now holds; what says nothing has no row.
fn note(user: UserId, seq: Seq, note: &Note, sink: &mut dyn Sink) {
    let (at, value) = note.place(seq);
    let key = match at {
        Some(at) => key::note_at(user, note.tag(), note.about(), at),
        None => key::note_about(user, note.tag(), note.about()),
    };
    match value {
        Some(value) => sink.put(Family::Notes, &key, &value),
        None => sink.delete(Family::Notes, &key),
    }
}

/// What now holds of what is said about messages; what says nothing has no row.
fn about(channel: ChannelId, about: &About, sink: &mut dyn Sink) {
    let key = match about {
        About::Recalled { seq, has_reactors } => {
            if *has_reactors {
                let reactors = key::reactors(channel, *seq);
                sink.delete_range(Family::About, &reactors, &reactors.after_all());
            }
            key::said(channel, *seq)
        }
        About::Message { seq, .. } => key::said(channel, *seq),
        About::Reactor { seq, user, .. } => key::reactor(channel, *seq, *user),
        About::Pins(_) => key::pins(channel),
    };
    match about.value() {
        Some(value) => sink.put(Family::About, &key, &value),
        None => sink.delete(Family::About, &key),
    }
}

/// The messages of a range are gone, wherever they stand, and what is said about them: ranges that do not meet those of earlier
/// floors. What a move between families has left behind goes too, or it would come back with the next move. Threads keep their
/// rows, as with a recall: what they name reads as gone.
fn floor(channel: ChannelId, from: Seq, row: &FloorRow, owned: &Owned, sink: &mut dyn Sink) {
    let (lower, upper) = (key::message(channel, from), key::message(channel, row.below));
    sink.delete_range(owned.hashed(channel), &lower, &upper);
    if let Some(own) = owned.get(channel) {
        sink.delete_range(own.family(), &lower, &upper);
    }
    sink.delete_range(Family::About, &key::said(channel, from), &key::said(channel, row.below));
    sink.delete_range(Family::About, &key::reactors(channel, from), &key::reactors(channel, row.below));
    sink.put(Family::Kept, &key::floor(channel), &row.encode());
}

/// What goes of a user who is erased, besides messages.
fn erase_row(row: &Row, sink: &mut dyn Sink) {
    match row {
        // How far the user had come there is of the user, too.
        Row::Erased { channel, user, row } => {
            sink.put(Family::About, &key::erased(*channel, *user), &row.encode());
            sink.delete(Family::Member, &key::position(*channel, *user));
        }
        Row::Forgotten { user } => {
            for tag in [PREFS_TAG, DRAFT_TAG, HIDDEN_TAG] {
                let notes = key::note(*user, tag);
                sink.delete_range(Family::Notes, &notes, &notes.after_all());
            }
        }
        _ => {}
    }
}

/// What now holds of what is laid down for a group; what says nothing has no row.
fn rule(channel: ChannelId, rule: &Rule, sink: &mut dyn Sink) {
    let key = key::rule(channel, rule);
    match rule.value() {
        Some(value) => sink.put(Family::About, &key, &value),
        None => sink.delete(Family::About, &key),
    }
}

fn user_row(row: &Row, sink: &mut dyn Sink) {
    match row {
        Row::Device { user, device, row } => {
            sink.put(Family::Device, &key::device(*user, *device), &row.encode());
        }
        Row::DeviceGone { user, device } => sink.delete(Family::Device, &key::device(*user, *device)),
        Row::Account { user, row } => {
            sink.put(Family::Account, &key::user(*user), &row.encode());
        }
        Row::Relation { user, other, relation } => {
            let key = key::relation(*user, *other);
            if *relation == Relation::default() {
                sink.delete(Family::Account, &key);
            } else {
                sink.put(Family::Account, &key, &relation.encode());
            }
        }
        _ => {}
    }
}

fn push_row(row: &Row, sink: &mut dyn Sink) {
    match row {
        Row::Subscription { user, device, provider, row } => {
            sink.put(Family::Push, &key::subscription(*user, *device, *provider), &row.encode());
        }
        Row::SubscriptionGone { user, device, provider } => {
            sink.delete(Family::Push, &key::subscription(*user, *device, *provider));
        }
        Row::Job { user, channel, row: Some(row) } => {
            sink.put(Family::Push, &key::job(*user, *channel), &row.encode());
        }
        Row::PushOff { user, is_off: true } => {
            sink.put(Family::Push, &key::push(*user, key::PUSH_OFF_TAG), &[1]);
        }
        Row::PushOff { user, is_off: false } => {
            sink.delete(Family::Push, &key::push(*user, key::PUSH_OFF_TAG));
        }
        // It stands under one key at a time.
        Row::Shown { user, channel, row } => {
            for is_read in [false, true] {
                let key = key::shown(*user, *channel, is_read);
                match row.as_ref().filter(|row| row.is_read == is_read) {
                    Some(row) => sink.put(Family::Push, &key, &row.encode()),
                    None => sink.delete(Family::Push, &key),
                }
            }
        }
        Row::Job { user, channel, row: None } => sink.delete(Family::Push, &key::job(*user, *channel)),
        _ => {}
    }
}

/// What follows from a text that stands in a thread or mentions somebody: two small rows each, written blindly. A thread's
/// messages come in rising order, so that the last is the newest.
fn talk_row(row: &Row, sink: &mut dyn Sink) {
    match row {
        Row::Thread { channel, root, seq } => {
            sink.put(Family::About, &key::thread(*channel, *root), &seq.0.to_be_bytes());
            sink.put(Family::About, &key::in_thread(*channel, *root, *seq), &[]);
        }
        Row::Mention { user, at, channel, seq, time_ms, sender } => {
            let (at, channel, seq) = (*at, *channel, *seq);
            let mention = Mention { at, channel, seq, time_ms: *time_ms, sender: *sender };
            sink.put(Family::Notes, &key::mention(*user, channel, seq), &at.0.to_be_bytes());
            sink.put(Family::Notes, &key::mention_at(*user, at), &value::write_mention(&mention));
        }
        _ => {}
    }
}

/// A long run becomes several rows, so that a page that begins inside one decodes little.
pub(crate) fn run(
    user: UserId,
    first: InboxSeq,
    entries: &[(ChannelId, Seq)],
    scratch: &mut Vec<u8>,
    sink: &mut dyn Sink,
) {
    let mut at = first;
    for piece in entries.chunks(RUN_ENTRIES_MAX) {
        value::run::write(user, piece, scratch);
        sink.put(Family::Inbox, &key::run(user, at), scratch);
        at = InboxSeq(at.0.saturating_add(piece.len() as u64));
    }
}

/// All 64 marks of a bay are one row: who applies one source's log a little further often applies others' too. Nothing
/// is written when nothing changed.
fn marks(
    bay: BayId,
    through: &[(BayId, u64)],
    writer: &mut BayWriter,
    scratch: &mut Vec<u8>,
    sink: &mut dyn Sink,
) {
    let mut changed = false;
    for (source, number) in through {
        if let Some(mark) = writer.marks.get_mut(usize::from(source.0)) {
            changed |= *mark != *number;
            *mark = *number;
        }
    }
    if changed {
        value::write_marks(&writer.marks, scratch);
        sink.put(Family::Applied, &key::applied(bay), scratch);
    }
}

/// The user's own list is written blindly: two small rows a channel, so that nothing has to be read first.
fn joined_row((user, channel): (UserId, ChannelId), tag: JoinedTag, seq: Seq, sink: &mut dyn Sink) {
    sink.put(Family::Joined, &key::joined_row(user, channel, tag), &seq.0.to_be_bytes());
}
