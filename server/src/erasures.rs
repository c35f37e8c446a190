//! Users who have left are erased: a task of the control plane goes round the channels of each and asks their homes for one bounded
//! step after another, until nothing is left. What is to be done stands in the database and how far it came in the store, so that it
//! goes on after any end of the process; what a home refuses now, because it drains or is busy, is asked for again.
//!
//! It goes round twice. What a device had sent when its account ended may still have been on its way to a channel, and a channel on
//! its way to the user's list: the second round begins when that is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::{Accounts, Erasure, KeepRefusal};
use protocol::{ChannelId, UserId};
use shard::Keeping;
use tokio::runtime::Runtime;

use crate::plane::{DataPlane, Erased};

/// Looked for new ones so often.
const EVERY: Duration = Duration::from_secs(2);
/// What was on its way when an account ended is stored or refused after so long.
const SETTLED_MS: u64 = 10_000;
/// Erasures that are looked at in one go.
const AT_A_TIME: u32 = 16;
/// Channels that are read at a time.
const PAGE: usize = 64;
/// The pause between two steps: a shard has other work.
const PAUSE: Duration = Duration::from_millis(2);
/// The pause when a step was refused for now, and how often that may be in one channel before the next round.
const REFUSED: (Duration, u32) = (Duration::from_millis(200), 25);

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    under_way: AtomicU64,
    steps: AtomicU64,
    done: AtomicU64,
}

impl Meter {
    /// Figures in the form of Prometheus.
    pub(crate) fn metrics(&self) -> String {
        let rows = [
            (
                "maru_erasures_under_way",
                "gauge",
                "Users whose erasures are looked at now; 16 where there are more.",
                &self.under_way,
            ),
            ("maru_erasure_steps_total", "counter", "Steps of erasures that channels took.", &self.steps),
            ("maru_erasures_total", "counter", "Erasures of users that ended.", &self.done),
        ];
        let one = |(name, kind, help, figure): (&str, &str, &str, &AtomicU64)| {
            let count = figure.load(Ordering::Relaxed);
            format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {count}\n")
        };
        rows.map(one).concat()
    }
}

/// Starts it, until the runtime ends.
pub(crate) fn start(runtime: &Runtime, plane: &DataPlane, accounts: Accounts) -> Arc<Meter> {
    let meter = Arc::new(Meter::default());
    runtime.spawn(Rounds { plane: plane.clone(), accounts, meter: meter.clone() }.run());
    meter
}

struct Rounds {
    plane: DataPlane,
    accounts: Accounts,
    meter: Arc<Meter>,
}

impl Rounds {
    async fn run(self) {
        // All in turn: one that cannot go on holds up nobody.
        let mut after = UserId(0);
        loop {
            match self.accounts.erasures_under_way(after, AT_A_TIME).await {
                Ok(erasures) => {
                    self.meter.under_way.store(erasures.len() as u64, Ordering::Relaxed);
                    let is_full = erasures.len() >= AT_A_TIME as usize;
                    after = erasures.last().filter(|_| is_full).map_or(UserId(0), |last| last.user);
                    for erasure in erasures {
                        self.one(erasure).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "erasures cannot be looked for now"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// One round of one user, if it is time for it.
    async fn one(&self, Erasure { user, through_ms, .. }: Erasure) {
        let now_ms = api::now_ms();
        if through_ms.is_some_and(|through_ms| now_ms < through_ms.saturating_add(SETTLED_MS)) {
            return;
        }
        if let Err(words) = self.round(user).await {
            tracing::debug!(%user, words, "an erasure goes on in the next round");
            return;
        }
        let said = match through_ms {
            None => self.accounts.erased_through(user, api::now_ms()).await,
            Some(_) => self.accounts.erasure_done(user, api::now_ms()).await,
        };
        match said {
            Ok(()) if through_ms.is_some() => {
                self.meter.done.fetch_add(1, Ordering::Relaxed);
                tracing::info!(%user, "nothing of a user who has left is left");
            }
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, %user, "how far an erasure came cannot be kept; it is done once more")
            }
        }
    }

    /// All channels of a user. The own one goes as a whole.
    async fn round(&self, user: UserId) -> Result<(), String> {
        let own = ChannelId::own(user);
        match self.plane.keep(own, Keeping::Forget).await {
            // One that was never written to is none.
            Ok(_) | Err(KeepRefusal::Unknown) => {}
            Err(error) => return Err(error.to_string()),
        }
        let (mut after, mut more) = (ChannelId(0), true);
        while more {
            let data = self.plane.data().clone();
            let read = tokio::task::spawn_blocking(move || data.stays(user, after, PAGE)).await;
            let page = read.map_err(|_| "the runtime ends")?.map_err(|error| error.to_string())?;
            more = page.1;
            for (channel, _) in page.0 {
                after = channel;
                if channel != own {
                    self.channel(channel, user).await?;
                }
            }
        }
        Ok(())
    }

    async fn channel(&self, channel: ChannelId, user: UserId) -> Result<(), String> {
        let (pause, mut left) = REFUSED;
        loop {
            match self.plane.erase(channel, user).await {
                Ok(Erased::Whole) => return Ok(()),
                Ok(Erased::Step) => {
                    self.meter.steps.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) if left == 0 => return Err(format!("{channel}: {error}")),
                Err(_) => {
                    left -= 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_named_and_typed() {
        let meter = Meter::default();
        meter.steps.fetch_add(3, Ordering::Relaxed);
        let text = meter.metrics();
        assert!(text.contains("# TYPE maru_erasures_under_way gauge\nmaru_erasures_under_way 0\n"), "{text}");
        assert!(
            text.contains("# TYPE maru_erasure_steps_total counter\nmaru_erasure_steps_total 3\n"),
            "{text}"
        );
    }
}
