//! Channels keep their messages for as long as their retention says: a task of the control plane goes round the channels and asks
//! the home of each that keeps more than it may to purge the rest. Where the server's settings keep everything, it goes round those
//! alone that say otherwise themselves; where none does, a round reads nothing and writes nothing.
//!
//! It goes by a clock of its own, which follows the wall clock and never steps back. A wall clock that was set a day or more
//! ahead is followed an hour a round, and a round takes a minute or longer: whoever sets a clock wrong by a year has not lost
//! a year of messages when that is noticed. What is younger than a day by this clock stays, whatever the retention says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::commit::RetentionRow;
use protocol::query::Cut;
use protocol::{BayId, ChannelId, Seq};
use shard::Keeping;
use storage::{ListedTo, Store, StoreError};
use tokio::runtime::Runtime;

use crate::config::{Config, StoreKind};
use crate::plane::DataPlane;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// A round begins so long after the one before at the earliest.
const ROUND: Duration = Duration::from_secs(60);
/// Channels that are looked at between two pauses.
const PAGE: usize = 64;
/// The pause between them.
const PAUSE: Duration = Duration::from_millis(20);
/// Where the clock is kept in the data directory.
const CLOCK: &str = "retention.clock";

/// The next reading of the retention's clock: `last` is the one before, 0 for none.
#[must_use]
pub fn next_reading(last: u64, wall_ms: u64) -> u64 {
    if last == 0 || (last..last.saturating_add(DAY_MS)).contains(&wall_ms) {
        return wall_ms;
    }
    // Behind: it stands until the wall clock has come back. Ahead by a day or more: it follows slowly.
    if wall_ms < last { last } else { last.saturating_add(HOUR_MS) }
}

/// What a channel may lose by its retention at a reading of the clock.
#[must_use]
pub fn cut(retention: RetentionRow, clock_ms: u64) -> Option<Cut> {
    if retention.is_for_ever() {
        return None;
    }
    let before_ms = match retention.days {
        0 => 0,
        days => clock_ms.saturating_sub(u64::from(days) * DAY_MS),
    };
    let keep = (retention.messages > 0).then_some(retention.messages);
    let younger_ms = clock_ms.saturating_sub(DAY_MS);
    Some(Cut { before_ms, keep, younger_ms, ..Cut::default() })
}

/// Starts it, until the runtime ends. A shard that drains refuses its purges.
pub(crate) fn start(runtime: &Runtime, plane: &DataPlane, config: &Config) {
    // A store in memory keeps no clock either.
    let clock = (config.store == StoreKind::Rocks).then(|| config.data.join(CLOCK));
    let rounds = Rounds { plane: plane.clone(), default: config.retention, clock, reading: 0 };
    runtime.spawn(rounds.run());
}

struct Rounds {
    plane: DataPlane,
    default: RetentionRow,
    /// The file of the clock; a store in memory has none.
    clock: Option<PathBuf>,
    reading: u64,
}

/// Channels that are looked at together, each with the retention of its own, and where to go on.
struct Page<To> {
    channels: Vec<(ChannelId, Option<RetentionRow>)>,
    next: Option<To>,
}

impl Rounds {
    async fn run(mut self) {
        self.reading = self.clock.as_deref().map_or(0, read_clock);
        loop {
            let next = tokio::time::Instant::now() + ROUND;
            self.reading = next_reading(self.reading, api::now_ms());
            let mut has_any = !self.default.is_for_ever();
            for bay in BayId::all() {
                let looked =
                    if self.default.is_for_ever() { self.some(bay).await } else { self.all(bay).await };
                match looked {
                    Ok(found) => has_any |= found,
                    Err(error) => {
                        tracing::warn!(%error, %bay, "the retention cannot look at channels for now");
                    }
                }
            }
            if has_any
                && let Some(path) = &self.clock
                && let Err(error) = write_clock(path, self.reading)
            {
                tracing::warn!(%error, path = %path.display(), "the clock of the retention cannot be kept");
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// The channels of a bay that say themselves how long they keep what is said; whether there is one.
    async fn some(&self, bay: BayId) -> Result<bool, StoreError> {
        let (mut to, mut has_any) = (Some(None), false);
        while let Some(after) = to {
            let page = self.page(move |data| {
                let kept = data.keeps(bay, after, PAGE)?;
                let next = (kept.len() == PAGE).then(|| kept.last().map(|last| last.channel));
                let own =
                    kept.iter().filter_map(|keeps| keeps.retention.map(|row| (keeps.channel, Some(row))));
                Ok(Page { channels: own.collect(), next })
            });
            let Page { channels, next } = page.await?;
            has_any |= !channels.is_empty();
            self.channels(channels).await;
            to = next;
        }
        Ok(has_any)
    }

    /// All channels of a bay that have messages; whether one says itself how long it keeps them.
    async fn all(&self, bay: BayId) -> Result<bool, StoreError> {
        let mut to = Some(ListedTo::default());
        while let Some(at) = to {
            let page = self.page(move |data| {
                let (channels, next) = data.channels(bay, at, PAGE)?;
                let own = |channel| data.retention(channel).map(|row| (channel, row));
                Ok(Page { channels: channels.into_iter().map(own).collect::<Result<_, _>>()?, next })
            });
            let Page { channels, next } = page.await?;
            self.channels(channels).await;
            to = next;
        }
        Ok(true)
    }

    async fn page<To: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<Page<To>, StoreError> + Send + 'static,
    ) -> Result<Page<To>, StoreError> {
        let data = self.plane.data().clone();
        let read = tokio::task::spawn_blocking(move || read(&data)).await;
        // It is aborted with the runtime alone.
        read.unwrap_or_else(|_| Ok(Page { channels: Vec::new(), next: None }))
    }

    async fn channels(&self, channels: Vec<(ChannelId, Option<RetentionRow>)>) {
        if channels.is_empty() {
            return;
        }
        for (channel, own) in channels {
            if channel.owner().is_none()
                && let Some(cut) = cut(own.unwrap_or(self.default), self.reading)
            {
                self.channel(channel, cut).await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }

    /// One step of one channel. What cannot be done now is done in the next round.
    async fn channel(&self, channel: ChannelId, cut: Cut) {
        let Ok((now, then)) = self.plane.floor(channel, cut).await else { return };
        if then <= now.floor.below.max(Seq(1)) {
            return;
        }
        match self.plane.keep(channel, Keeping::Purge(cut)).await {
            Ok(now) => tracing::debug!(%channel, below = now.floor.below.0, "the retention has purged"),
            Err(error) => tracing::debug!(%channel, %error, "the retention could not purge"),
        }
    }
}

fn read_clock(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

/// Whole or not at all. A lost one costs nothing but the memory of a clock that was wrong.
fn write_clock(path: &Path, reading: u64) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, format!("{reading}\n"))?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn the_clock_follows_and_never_steps_back() {
        assert_eq!(next_reading(0, NOW), NOW, "the first");
        assert_eq!(next_reading(NOW, NOW + 60_000), NOW + 60_000);
        assert_eq!(next_reading(NOW, NOW - 1), NOW);
        assert_eq!(next_reading(NOW, 1), NOW, "a clock that was set back to 1970");
        assert_eq!(next_reading(NOW, NOW + DAY_MS - 1), NOW + DAY_MS - 1);
    }

    #[test]
    fn a_clock_that_jumps_is_followed_an_hour_a_round() {
        let year = 365 * DAY_MS;
        assert_eq!(next_reading(NOW, NOW + year), NOW + HOUR_MS);
        // Ten minutes of a clock that is a year ahead cost ten hours, and then it stands until the right time is there.
        let wrong = (1..=10).fold(NOW, |last, minute| next_reading(last, NOW + year + minute * 60_000));
        assert_eq!(wrong, NOW + 10 * HOUR_MS);
        assert_eq!(next_reading(wrong, NOW + 660_000), wrong);
        // After a month of standing still a server is on time within 720 rounds.
        let (mut reading, month) = (NOW, 30 * DAY_MS);
        let rounds = (1..).find(|round| {
            reading = next_reading(reading, NOW + month + round * 60_000);
            reading == NOW + month + round * 60_000
        });
        assert!(rounds.is_some_and(|rounds| rounds <= 720), "{rounds:?}");
    }

    #[test]
    fn a_retention_says_what_may_go_and_spares_the_last_day() {
        assert_eq!(cut(RetentionRow::default(), NOW), None);
        let days = cut(RetentionRow { days: 7, messages: 0 }, NOW).unwrap();
        assert_eq!((days.before_ms, days.keep, days.younger_ms), (NOW - 7 * DAY_MS, None, NOW - DAY_MS));
        let messages = cut(RetentionRow { days: 0, messages: 5 }, NOW).unwrap();
        assert_eq!((messages.before_ms, messages.keep, messages.younger_ms), (0, Some(5), NOW - DAY_MS));
        assert_eq!(cut(RetentionRow { days: u32::MAX, messages: 0 }, NOW).unwrap().before_ms, 0);
    }

    #[test]
    fn the_clock_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CLOCK);
        assert_eq!(read_clock(&path), 0);
        write_clock(&path, NOW).unwrap();
        assert_eq!(read_clock(&path), NOW);
        std::fs::write(&path, "not a time").unwrap();
        assert_eq!(read_clock(&path), 0);
    }
}
