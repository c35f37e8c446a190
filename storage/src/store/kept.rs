//! What channels keep, for those who go round them: the retention, and search when it opens its index.

use protocol::commit::{FLOOR_TAG, FloorRow, RETENTION_TAG, RetentionRow};
use protocol::{BayId, ChannelId};

use super::{Store, exists, fault};
use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found, Tier};
use crate::view::{View, damaged};

/// A channel of which something was purged, or which says itself for how long it keeps its messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keeps {
    /// The channel.
    pub channel: ChannelId,
    /// What was purged of it.
    pub floor: FloorRow,
    /// Its own retention.
    pub retention: Option<RetentionRow>,
}

impl Store {
    /// What was purged of a channel.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn floor(&self, channel: ChannelId) -> Result<FloorRow, StoreError> {
        fault(self.view(Tier::Any).floor(channel))
    }

    /// How long a channel keeps its messages, where that is said of it alone.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn retention(&self, channel: ChannelId) -> Result<Option<RetentionRow>, StoreError> {
        fault(self.view(Tier::Any).retention(channel))
    }

    /// At most `limit` of the channels of a bay that have rows of what they keep, behind `after`; fewer when there are no more. What
    /// it costs follows from these rows alone, and not from how many channels there are.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn keeps(
        &self,
        bay: BayId,
        after: Option<ChannelId>,
        limit: usize,
    ) -> Result<Vec<Keeps>, StoreError> {
        exists(bay)?;
        fault(keeps(&self.view(Tier::Any), bay, after, limit))
    }
}

fn keeps(view: &View<'_>, bay: BayId, after: Option<ChannelId>, limit: usize) -> Found<Vec<Keeps>> {
    let (lower, upper) = key::bay(bay);
    let lower = after.map_or(lower, |channel| key::channel(channel).after_all());
    let mut found: Vec<Keeps> = Vec::new();
    view.scan(Family::Kept, (&lower, &upper), Direction::Rising, &mut |key, value| {
        let read = || {
            let (_, channel, tag, rest) = key::read_about(key)?;
            let floor = if tag == FLOOR_TAG { FloorRow::decode(value.bytes())? } else { FloorRow::default() };
            let retention =
                if tag == RETENTION_TAG { Some(RetentionRow::decode(value.bytes())?) } else { None };
            ([FLOOR_TAG, RETENTION_TAG].contains(&tag) && rest.is_empty()).then_some(Keeps {
                channel,
                floor,
                retention,
            })
        };
        let row = read().ok_or_else(|| damaged(Family::Kept, key))?;
        if let Some(last) = found.last_mut().filter(|last| last.channel == row.channel) {
            // Its retention comes behind its floor.
            last.retention = row.retention;
            return Ok(true);
        }
        if found.len() >= limit {
            return Ok(false);
        }
        found.push(row);
        Ok(true)
    })?;
    Ok(found)
}
