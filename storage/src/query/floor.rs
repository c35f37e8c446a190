//! Where a channel's history begins, and where it would begin behind a purge.

use protocol::commit::FloorRow;
use protocol::query::{Answer, Cut};
use protocol::{ChannelId, Seq};

use crate::error::StoreError;
use crate::key;
use crate::rows::Found;
use crate::view::View;

/// What a purge would do; it reads as many messages as a search by time needs.
pub(super) fn answer(view: &View<'_>, channel: ChannelId, cut: Cut) -> Found<Answer> {
    let (now, head) = (view.floor(channel)?, view.head(channel)?);
    let retention = view.retention(channel)?;
    let below = below(view, channel, (&now, head), cut)?;
    if below <= now.below.max(Seq(1)) {
        return Ok(Answer::Floor { now, then: now, head, retention });
    }
    let time_ms = time_of(view, channel, Seq(below.0 - 1))?;
    Ok(Answer::Floor { now, then: FloorRow { below, time_ms }, head, retention })
}

fn below(view: &View<'_>, channel: ChannelId, (now, head): (&FloorRow, Seq), cut: Cut) -> Found<Seq> {
    let Cut { below, before_ms, keep, younger_ms, most } = cut;
    let first = now.below.max(Seq(1));
    let mut wanted = below;
    if before_ms > 0 {
        wanted = wanted.max(first_at(view, channel, (first, head), before_ms)?);
    }
    if let Some(keep) = keep {
        wanted = wanted.max(Seq(head.0.saturating_sub(keep) + 1));
    }
    if wanted <= first {
        return Ok(Seq(0));
    }
    let most = if most == 0 { u64::MAX } else { most };
    let wanted = wanted.min(head.next()).min(Seq(first.0.saturating_add(most)));
    // The young are looked for last, among what is left: mostly there are none.
    Ok(wanted.min(first_at(view, channel, (first, wanted.max(Seq(1)).min(head)), younger_ms)?))
}

/// The first seq at or after a time, of `first <= seq <= last`; the one behind the last when all are older. Time never steps
/// back within a channel.
pub(super) fn first_at(
    view: &View<'_>,
    channel: ChannelId,
    (first, last): (Seq, Seq),
    ms: u64,
) -> Found<Seq> {
    let (mut low, mut high) = (first.0, last.next().0.max(first.0));
    while low < high {
        let middle = Seq(low + (high - low) / 2);
        if time_of(view, channel, middle)? < ms {
            low = middle.0 + 1;
        } else {
            high = middle.0;
        }
    }
    Ok(Seq(low))
}

fn time_of(view: &View<'_>, channel: ChannelId, seq: Seq) -> Found<u64> {
    let stamp = view.message(channel, seq)?.and_then(|frame| frame.read_stamp());
    let stamp = stamp.ok_or_else(|| {
        let what = format!("message {channel:?} {seq} is gone");
        let family = view.owners.now().family(channel, seq);
        StoreError::corrupt_row(family, &key::message(channel, seq), what)
    })?;
    Ok(stamp.time_ms)
}
