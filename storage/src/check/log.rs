//! Fan-out logs and marks: dense, naming what exists, and applied no further than they go.

use std::collections::HashMap;

use protocol::{ChannelId, Placement, Seq, StoreId};

use super::stream::Stream;
use super::{Check, Severity, name};
use crate::family::Family;
use crate::key;
use crate::rows::Found;
use crate::stores::state;
use crate::value;

/// Messages of the logs that are remembered because not every store has applied them.
const PENDING_MAX: usize = 1_000_000;

/// Which messages each store must have pointers for.
pub(super) struct Coverage {
    placement: Placement,
    /// By destination, then by source.
    applied: Vec<Vec<u64>>,
    /// Messages that at least one store has not applied, with their log row, rising.
    pending: HashMap<ChannelId, Vec<(Seq, u64)>>,
    /// Per source, when its log was never trimmed: how many messages it names.
    pub(super) logged: Vec<Option<u64>>,
}

impl Coverage {
    fn mark(&self, dest: StoreId, source: StoreId) -> u64 {
        let marks = self.applied.get(usize::from(dest.0));
        marks.and_then(|marks| marks.get(usize::from(source.0))).copied().unwrap_or_default()
    }

    /// How far `dest` has applied a channel whose head is `head`.
    pub(super) fn through(&self, channel: ChannelId, dest: StoreId, head: Seq) -> Seq {
        let mark = self.mark(dest, self.placement.channel_store(channel));
        let pending = self.pending.get(&channel).map(Vec::as_slice).unwrap_or_default();
        let first = pending.iter().find(|(_, number)| *number > mark);
        first.map_or(head, |(seq, _)| Seq(seq.0.saturating_sub(1)))
    }
}

/// Checks every log and mark.
pub(super) fn check(check: &mut Check<'_>) -> Found<Coverage> {
    let placement = check.view.placement;
    let mut coverage =
        Coverage { placement, applied: Vec::new(), pending: HashMap::new(), logged: Vec::new() };
    let mut states = Vec::new();
    for number in 0..placement.stores() {
        states.push(state(&check.view, StoreId(number))?);
    }
    for dest in &states {
        let mut marks = vec![0; states.len()];
        for (source, through) in &dest.applied {
            let Some(head) = states.get(usize::from(source.0)).map(|source| source.fanout_head) else {
                check.broken(dest.store, format!("a mark for store {source}, which does not exist"));
                continue;
            };
            if *through > head {
                let what =
                    format!("its fan-out log ends at {head}, store {} has applied {through}", dest.store);
                check.report(Severity::Lost, *source, what);
            }
            if let Some(mark) = marks.get_mut(usize::from(source.0)) {
                *mark = *through;
            }
        }
        coverage.applied.push(marks);
    }
    for source in &states {
        let marks = states.iter().map(|dest| coverage.mark(dest.store, source.store));
        let slowest = marks.min().unwrap_or_default();
        if source.fanout_tail > slowest + 1 {
            let what =
                format!("the fan-out log begins at {}, applied through {slowest} only", source.fanout_tail);
            check.broken(source.store, what);
        }
        one_log(check, &mut coverage, source.store, slowest)?;
    }
    Ok(coverage)
}

fn one_log(check: &mut Check<'_>, coverage: &mut Coverage, store: StoreId, slowest: u64) -> Found<()> {
    let mut rows = Stream::new(check.view, store, Family::Fanout);
    let (mut last, mut first, mut messages_seen) = (None, 0, 0u64);
    // Head of each channel of the log, and the last seq that the log named.
    let mut channels: HashMap<ChannelId, (Seq, Seq)> = HashMap::new();
    while let Some((key, value)) = rows.take()? {
        check.summary.fanout_rows += 1;
        let Some((number, messages)) = key::read_fanout(&key).zip(value::read_fanout(&value)) else {
            check.broken(store, format!("a row of the fan-out log behind {last:?} cannot be read"));
            continue;
        };
        match last {
            Some(last) if number != last + 1 => {
                check.report(
                    Severity::Lost,
                    store,
                    format!("the fan-out log has a hole: {number} follows {last}"),
                );
            }
            Some(_) => {}
            None => first = number,
        }
        last = Some(number);
        messages_seen += messages.len() as u64;
        if channels.len() > PENDING_MAX {
            channels.clear();
        }
        for (channel, seq) in messages {
            one_message(check, store, number, (channel, seq), &mut channels)?;
            if number > slowest && coverage.pending.len() < PENDING_MAX {
                coverage.pending.entry(channel).or_default().push((seq, number));
            }
        }
    }
    if coverage.pending.len() >= PENDING_MAX {
        let what =
            "too much of the fan-out log is not applied; what follows about missing pointers may be wrong";
        check.report(Severity::Odd, store, what);
    }
    coverage.logged.push((first <= 1).then_some(messages_seen));
    Ok(())
}

fn one_message(
    check: &mut Check<'_>,
    store: StoreId,
    number: u64,
    (channel, seq): (ChannelId, Seq),
    channels: &mut HashMap<ChannelId, (Seq, Seq)>,
) -> Found<()> {
    if check.view.placement.channel_store(channel) != store {
        check.broken(
            store,
            format!("fan-out log row {number} names {}, which lives elsewhere", name(channel)),
        );
        return Ok(());
    }
    let (head, before) = match channels.get(&channel) {
        Some(known) => *known,
        None => (check.view.head(channel)?, Seq(0)),
    };
    if seq > head {
        let what = format!("fan-out log row {number} names {} {seq}, above its head {head}", name(channel));
        check.report(Severity::Lost, store, what);
    }
    if before.0 != 0 && seq != before.next() {
        let what = format!("fan-out log row {number} names {} {seq} behind {before}", name(channel));
        check.broken(store, what);
    }
    channels.insert(channel, (head, seq));
    Ok(())
}
