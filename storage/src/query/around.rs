//! Messages around a place: a seq, a time, or where a reader goes on.

use protocol::query::{PageBounds, Pivot};
use protocol::{ChannelId, Frame, Seq, UserId};

use super::{floor, history};
use crate::rows::{Direction, Found};
use crate::view::View;

/// Where the place is, and the messages around it: half of them before it, more where there are fewer behind it. The
/// message at the place comes whatever its size, and before it what there is room for then.
pub(super) fn page(
    view: &View<'_>,
    (channel, user): (ChannelId, UserId),
    readable: &[(Seq, Seq)],
    pivot: Pivot,
    page: PageBounds,
) -> Found<(Seq, Vec<Frame>)> {
    let Some(last) = readable.last() else { return Ok((Seq(0), Vec::new())) };
    let asked = match pivot {
        Pivot::Seq(seq) => seq,
        Pivot::Time(ms) => {
            let first = view.floor(channel)?.below.max(Seq(1));
            floor::first_at(view, channel, (first, last.1.max(first)), ms)?
        }
        Pivot::Unread => view.position(channel, user)?.read.next(),
    };
    let (low, high) = *readable.iter().find(|(_, high)| *high >= asked).unwrap_or(last);
    let at = asked.max(low).min(high.next());
    let (before, behind) = halves(u64::from(page.messages), at.0 - low.0, high.next().0 - at.0);
    let mut frames = Vec::new();
    if behind > 0 {
        let bounds = PageBounds { messages: behind, bytes: page.bytes / 2 };
        frames = history::page(view, channel, (Seq(at.0 - 1), high.next()), false, bounds)?;
    }
    let mut bytes: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
    let mut earlier = Vec::new();
    if before > 0 {
        let is_alone = frames.is_empty();
        history::visit(view, channel, (Seq(low.0 - 1), at), Direction::Falling, &mut |frame, _| {
            bytes = bytes.saturating_add(frame.bytes().len());
            let fits = bytes <= page.bytes || (is_alone && earlier.is_empty());
            if fits {
                earlier.push(frame);
            }
            fits && earlier.len() < before as usize
        })?;
    }
    Ok((at, earlier.into_iter().rev().chain(frames).collect()))
}

/// How many messages before the place and from it on, of those that there are.
#[allow(clippy::cast_possible_truncation)]
fn halves(limit: u64, before: u64, behind: u64) -> (u32, u32) {
    let behind_at_least = behind.min(limit - limit / 2);
    let before = before.min(limit - behind_at_least);
    // Both are at most the limit, which is a u32.
    (before as u32, behind.min(limit - before) as u32)
}

#[cfg(test)]
mod tests {
    use super::halves;

    #[test]
    fn one_half_takes_what_the_other_leaves() {
        assert_eq!(halves(10, 100, 100), (5, 5));
        assert_eq!(halves(11, 100, 100), (5, 6));
        assert_eq!(halves(10, 2, 100), (2, 8));
        assert_eq!(halves(10, 100, 3), (7, 3));
        assert_eq!(halves(10, 1, 2), (1, 2));
        assert_eq!(halves(1, 100, 100), (0, 1));
        assert_eq!(halves(1, 100, 0), (1, 0));
    }
}
