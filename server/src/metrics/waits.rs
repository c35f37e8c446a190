//! What a start waits for, in words.

use protocol::ShardId;

use crate::turn::ShardReport;

/// A line for each shard that does not answer, or has not read all that it must before it serves.
pub(crate) fn of(shards: usize, reports: &[ShardReport]) -> Vec<String> {
    let words = |shard: ShardId| {
        let Some(report) = reports.iter().find(|report| report.shard == shard) else {
            return Some(format!("shard {shard} does not answer"));
        };
        let resting = report.resting.as_ref();
        match (report.is_ready, resting) {
            (true, _) => None,
            (false, None) => Some(format!("shard {shard} reads what was stored and not yet delivered")),
            (false, Some(resting)) => {
                let others = report.core.reads_resting_now.saturating_sub(1);
                let more = if others > 0 { format!("; {others} more such reads") } else { String::new() };
                Some(format!("shard {shard} waits for a read: {resting}{more}"))
            }
        }
    };
    (0..shards).filter_map(|shard| u16::try_from(shard).ok()).map(ShardId).filter_map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(shard: u16, is_ready: bool, resting: Option<shard::Resting>) -> ShardReport {
        let core = shard::Counters { reads_resting_now: 3, ..Default::default() };
        ShardReport {
            shard: ShardId(shard),
            is_ready,
            resting,
            core,
            driver: crate::driver::Counters::default(),
            polls: crate::polls::Counters::default(),
            turns: 1,
            sleeps: 0,
            hops_waiting_now: 0,
            posts_waiting_now: 0,
        }
    }

    #[test]
    fn each_shard_that_is_waited_for_says_what_for() {
        let resting = shard::Resting {
            what: "user 7".into(),
            why: "store-03/000012.sst: Input/output error".into(),
            failed: 4,
            again_ms: 800,
        };
        let reports = [report(3, false, Some(resting)), report(0, true, None), report(2, false, None)];
        let words = of(4, &reports);
        let expected = [
            "shard 1 does not answer",
            "shard 2 reads what was stored and not yet delivered",
            "shard 3 waits for a read: user 7 could not be read, 4 times in a row (store-03/000012.sst: \
             Input/output error), next try in 800 ms; 2 more such reads",
        ];
        assert_eq!(words, expected);
        assert!(of(1, &reports[1..2]).is_empty());
    }
}
