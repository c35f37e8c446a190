//! Windows of a channel's history.

use protocol::limits::{DEDUP_BYTES_MAX, DEDUP_MESSAGES_MIN};
use protocol::query::{PageBounds, Sent};
use protocol::{ChannelId, Frame, Seq, Stamp};

use super::Filled;
use crate::error::StoreError;
use crate::key;
use crate::rows::{Direction, Found};
use crate::view::{View, stamped};

/// Messages with `after < seq < before`, from one end, rising in the answer.
pub(super) fn page(
    view: &View<'_>,
    channel: ChannelId,
    (after, before): (Seq, Seq),
    newest: bool,
    bounds: PageBounds,
) -> Found<Vec<Frame>> {
    let direction = if newest { Direction::Falling } else { Direction::Rising };
    let mut filled = Filled::new(bounds);
    let mut frames = Vec::new();
    visit(view, channel, (after, before), direction, &mut |frame, _| {
        let fits = filled.take(1, frame.bytes().len());
        if fits {
            frames.push(frame);
        }
        fits && frames.len() < Filled::messages_max(bounds)
    })?;
    if newest {
        frames.reverse();
    }
    Ok(frames)
}

/// The idempotency keys of the newest messages, rising. A fingerprint needs the whole row, so that the window is bounded by
/// what is read too.
pub(super) fn window(view: &View<'_>, channel: ChannelId, count: u32, since_ms: u64) -> Found<Vec<Sent>> {
    let mut sent = Vec::new();
    if count == 0 {
        return Ok(sent);
    }
    let mut bytes = 0;
    visit(view, channel, (Seq(0), Seq(u64::MAX)), Direction::Falling, &mut |frame, stamp| {
        // What was purged has no key any more.
        if frame.send_id().0 == 0 {
            return false;
        }
        bytes += frame.bytes().len();
        let is_new = sent.len() < DEDUP_MESSAGES_MIN as usize;
        if !is_new && (stamp.time_ms < since_ms || bytes > DEDUP_BYTES_MAX) {
            return false;
        }
        sent.extend(Sent::of(&frame));
        sent.len() < count as usize
    })?;
    sent.reverse();
    Ok(sent)
}

/// Seq and time of the newest message.
pub(super) fn newest(view: &View<'_>, channel: ChannelId) -> Found<Option<(Seq, u64)>> {
    let mut found = None;
    visit(view, channel, (Seq(0), Seq(u64::MAX)), Direction::Falling, &mut |_, stamp| {
        found = Some((stamp.seq, stamp.time_ms));
        false
    })?;
    Ok(found)
}

/// The messages between two seqs, both exclusive; they must be dense.
pub(super) fn visit(
    view: &View<'_>,
    channel: ChannelId,
    (after, before): (Seq, Seq),
    direction: Direction,
    take: &mut dyn FnMut(Frame, Stamp) -> bool,
) -> Found<()> {
    if after.0 == u64::MAX || before <= after.next() {
        return Ok(());
    }
    let mut expected = (direction == Direction::Rising).then(|| after.next());
    view.scan_history(channel, (after.next(), before), direction, &mut |family, seq, value| {
        if let Some(wanted) = expected.filter(|wanted| *wanted != seq) {
            let what = format!("history of {channel:?} has a hole: seq {wanted} is missing beside {seq}");
            return Err(StoreError::corrupt_row(family, &key::message(channel, wanted), what).into());
        }
        expected = match direction {
            Direction::Rising => Some(seq.next()),
            Direction::Falling => seq.0.checked_sub(1).map(Seq),
        };
        let (frame, stamp) = stamped(family, channel, seq, value.to_bytes())?;
        Ok(take(frame, stamp))
    })
}
