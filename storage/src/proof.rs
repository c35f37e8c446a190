//! Cheap proofs of loss: witnesses in one bay for what another must hold. They are bounded, so that every start can
//! afford them; `check` looks at everything.

use protocol::{BayId, ChannelId, Seq};

use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::store::{fault, state};
use crate::value;
use crate::view::{View, damaged, read_run};

/// Newest rows of each fan-out log that must be dense and whose messages must be there.
const LOG_ROWS: usize = 32;

/// Looks at every bay.
///
/// # Errors
/// [`StoreError::Corrupt`] with the row that is gone.
pub(crate) fn nothing_lost(view: &View<'_>) -> Result<(), StoreError> {
    fault(marks(view))?;
    for bay in BayId::all() {
        fault(log(view, bay))?;
        fault(pointer(view, bay))?;
    }
    Ok(())
}

/// Every bay has committed what another bay says it has applied of it.
fn marks(view: &View<'_>) -> Found<()> {
    let mut states = Vec::new();
    for bay in BayId::all() {
        states.push(state(view, bay)?);
    }
    for dest in &states {
        for (source, through) in states.iter().zip(&dest.applied) {
            let (bay, head) = (dest.bay, source.fanout_head);
            if *through > head {
                let what = format!(
                    "committed data is gone: bay {bay} has applied its fan-out log through {through}, it ends at {head}"
                );
                return Err(StoreError::corrupt(Some(source.bay), what).into());
            }
        }
    }
    Ok(())
}

/// The newest rows of the log follow each other and name messages that exist.
fn log(view: &View<'_>, bay: BayId) -> Found<()> {
    let mut rows: Vec<(u64, Vec<(ChannelId, Seq)>)> = Vec::new();
    let (lower, upper) = key::bay(bay);
    view.scan(Family::Fanout, (&lower, &upper), Direction::Falling, &mut |key, value| {
        let row = key::read_fanout(key).zip(value::read_fanout(value.bytes()));
        let ((_, number), messages) = row.ok_or_else(|| damaged(Family::Fanout, key))?;
        if let Some((newer, _)) = rows.last().filter(|(newer, _)| number + 1 != *newer) {
            let what = format!("the fan-out log has a hole between {number} and {newer}");
            return Err(StoreError::corrupt(Some(bay), what).into());
        }
        rows.push((number, messages));
        Ok(rows.len() < LOG_ROWS)
    })?;
    for (number, messages) in rows {
        for (channel, seq) in messages {
            if view.message(channel, seq)?.is_none() {
                let what =
                    format!("committed data is gone: fan-out log row {number} names {channel:?} {seq}");
                return Err(StoreError::corrupt(Some(bay), what).into());
            }
        }
    }
    Ok(())
}

/// The last pointer of the bay names a message that exists.
fn pointer(view: &View<'_>, bay: BayId) -> Found<()> {
    let (lower, upper) = key::bay(bay);
    let mut last = None;
    view.scan(Family::Inbox, (&lower, &upper), Direction::Falling, &mut |key, value| {
        let (_, user, _) = key::read_user_row(key).ok_or_else(|| damaged(Family::Inbox, key))?;
        let (first, entries) = read_run(user, key, value.bytes())?;
        let at = first.0.saturating_add(entries.len() as u64 - 1);
        last = entries.last().map(|entry| (user, at, *entry));
        Ok(false)
    })?;
    let Some((user, at, (channel, seq))) = last else { return Ok(()) };
    if view.message(channel, seq)?.is_none() {
        let what = format!(
            "committed data is gone: the inbox of user {user} at {at} names {channel:?} {seq}, above its head {}",
            view.head(channel)?
        );
        return Err(StoreError::corrupt(Some(BayId::of_channel(channel)), what).into());
    }
    Ok(())
}
