//! Fan-out logs and marks: dense, naming what exists, and applied no further than they go.

use std::collections::HashMap;

use protocol::{BayId, ChannelId, Seq};

use super::stream::Stream;
use super::{Check, Severity, name};
use crate::family::Family;
use crate::key;
use crate::rows::Found;
use crate::store::state;
use crate::value;

/// Messages of the logs that are remembered because not every bay has applied them.
const PENDING_MAX: usize = 1_000_000;

/// Which messages each bay must have pointers for.
pub(super) struct Coverage {
    /// By destination, then by source.
    applied: Vec<Vec<u64>>,
    /// Messages that at least one bay has not applied, with their log row, rising.
    pending: HashMap<ChannelId, Vec<(Seq, u64)>>,
    /// Per source, when its log was never trimmed: how many messages it names.
    pub(super) logged: Vec<Option<u64>>,
}

impl Coverage {
    fn mark(&self, dest: BayId, source: BayId) -> u64 {
        let marks = self.applied.get(usize::from(dest.0));
        marks.and_then(|marks| marks.get(usize::from(source.0))).copied().unwrap_or_default()
    }

    /// How far `dest` has applied a channel whose head is `head`.
    pub(super) fn through(&self, channel: ChannelId, dest: BayId, head: Seq) -> Seq {
        let mark = self.mark(dest, BayId::of_channel(channel));
        let pending = self.pending.get(&channel).map(Vec::as_slice).unwrap_or_default();
        let first = pending.iter().find(|(_, number)| *number > mark);
        first.map_or(head, |(seq, _)| Seq(seq.0.saturating_sub(1)))
    }
}

/// Checks every log and mark.
pub(super) fn check(check: &mut Check<'_>) -> Found<Coverage> {
    let mut coverage = Coverage { applied: Vec::new(), pending: HashMap::new(), logged: Vec::new() };
    let mut states = Vec::new();
    for bay in BayId::all() {
        states.push(state(&check.view, bay)?);
    }
    for dest in &states {
        for (source, through) in states.iter().zip(&dest.applied) {
            let (head, bay) = (source.fanout_head, dest.bay);
            if *through > head {
                let what = format!("its fan-out log ends at {head}, bay {bay} has applied {through}");
                check.report(Severity::Lost, source.bay, what);
            }
        }
        coverage.applied.push(dest.applied.clone());
    }
    for source in &states {
        let marks = states.iter().map(|dest| coverage.mark(dest.bay, source.bay));
        let slowest = marks.min().unwrap_or_default();
        if source.fanout_tail > slowest + 1 {
            let what =
                format!("the fan-out log begins at {}, applied through {slowest} only", source.fanout_tail);
            check.broken(source.bay, what);
        }
        one_log(check, &mut coverage, source.bay, slowest)?;
    }
    Ok(coverage)
}

fn one_log(check: &mut Check<'_>, coverage: &mut Coverage, bay: BayId, slowest: u64) -> Found<()> {
    let mut rows = Stream::new(check.view, bay, Family::Fanout);
    let (mut last, mut first, mut messages_seen) = (None, 0, 0u64);
    // Head of each channel of the log, and the last seq that the log named.
    let mut channels: HashMap<ChannelId, (Seq, Seq)> = HashMap::new();
    while let Some((key, value)) = rows.take()? {
        check.summary.fanout_rows += 1;
        let Some(((_, number), messages)) = key::read_fanout(&key).zip(value::read_fanout(&value)) else {
            check.broken(bay, format!("a row of the fan-out log behind {last:?} cannot be read"));
            continue;
        };
        match last {
            Some(last) if number != last + 1 => {
                check.report(
                    Severity::Lost,
                    bay,
                    format!("the fan-out log has a hole: {number} follows {last}"),
                );
            }
            Some(_) => {}
            // A row that names nothing stands for what was trimmed before a migration.
            None => first = if messages.is_empty() { number + 1 } else { number },
        }
        last = Some(number);
        messages_seen += messages.len() as u64;
        if channels.len() > PENDING_MAX {
            channels.clear();
        }
        for (channel, seq) in messages {
            one_message(check, bay, number, (channel, seq), &mut channels)?;
            if number > slowest && coverage.pending.len() < PENDING_MAX {
                coverage.pending.entry(channel).or_default().push((seq, number));
            }
        }
    }
    if coverage.pending.len() >= PENDING_MAX {
        let what =
            "too much of the fan-out log is not applied; what follows about missing pointers may be wrong";
        check.report(Severity::Odd, bay, what);
    }
    coverage.logged.push((first <= 1).then_some(messages_seen));
    Ok(())
}

fn one_message(
    check: &mut Check<'_>,
    bay: BayId,
    number: u64,
    (channel, seq): (ChannelId, Seq),
    channels: &mut HashMap<ChannelId, (Seq, Seq)>,
) -> Found<()> {
    if BayId::of_channel(channel) != bay {
        check.broken(bay, format!("fan-out log row {number} names {}, which lives elsewhere", name(channel)));
        return Ok(());
    }
    let (head, before) = match channels.get(&channel) {
        Some(known) => *known,
        None => (check.view.head(channel)?, Seq(0)),
    };
    if seq > head {
        let what = format!("fan-out log row {number} names {} {seq}, above its head {head}", name(channel));
        check.report(Severity::Lost, bay, what);
    }
    if before.0 != 0 && seq != before.next() {
        let what = format!("fan-out log row {number} names {} {seq} behind {before}", name(channel));
        check.broken(bay, what);
    }
    channels.insert(channel, (head, seq));
    Ok(())
}
