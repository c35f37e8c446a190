//! Cheap proofs of loss: witnesses in one store for what another must hold. They are bounded, so that every start can
//! afford them; `check` looks at everything.

use protocol::partition::{PARTITION_GROUPS, PARTITIONS};
use protocol::{ChannelId, Seq, StoreId};

use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::stores::{fault, state};
use crate::value;
use crate::view::{View, damaged};

/// Newest rows of each fan-out log that must be dense and whose messages must be there.
const LOG_ROWS: usize = 256;

/// Looks at every store.
///
/// # Errors
/// [`StoreError::Corrupt`] with the row that is gone.
pub(crate) fn nothing_lost(view: &View<'_>) -> Result<(), StoreError> {
    for number in 0..view.placement.stores() {
        fault(marks(view, StoreId(number)))?;
        fault(log(view, StoreId(number)))?;
        fault(pointers(view, StoreId(number)))?;
    }
    Ok(())
}

/// Every store has committed what another store says it has applied of it.
fn marks(view: &View<'_>, store: StoreId) -> Found<()> {
    for (source, through) in state(view, store)?.applied {
        let head = state(view, source)?.fanout_head;
        if through > head {
            let what = format!(
                "committed data is gone: store {store} has applied its fan-out log through {through}, it ends at {head}"
            );
            return Err(StoreError::corrupt(source, what).into());
        }
    }
    Ok(())
}

/// The newest rows of the log follow each other and name messages that exist.
fn log(view: &View<'_>, store: StoreId) -> Found<()> {
    let mut rows: Vec<(u64, Vec<(ChannelId, Seq)>)> = Vec::new();
    let bounds: (&[u8], &[u8]) = (&key::START, &key::END);
    view.rows(store)?.scan(Family::Fanout, bounds, Direction::Falling, view.tier, &mut |key, value| {
        let row = key::read_fanout(key).zip(value::read_fanout(value.bytes()));
        let row = row.ok_or_else(|| damaged(store, Family::Fanout, key))?;
        if let Some((newer, _)) = rows.last().filter(|(newer, _)| row.0 + 1 != *newer) {
            let what = format!("the fan-out log has a hole between {} and {newer}", row.0);
            return Err(StoreError::corrupt(store, what).into());
        }
        rows.push(row);
        Ok(rows.len() < LOG_ROWS)
    })?;
    for (number, messages) in rows {
        for (channel, seq) in messages {
            if view.message(channel, seq)?.is_none() {
                let what =
                    format!("committed data is gone: fan-out log row {number} names {channel:?} {seq}");
                return Err(StoreError::corrupt(store, what).into());
            }
        }
    }
    Ok(())
}

/// The last pointer of each partition group names a message that exists.
fn pointers(view: &View<'_>, store: StoreId) -> Found<()> {
    let width = PARTITIONS / PARTITION_GROUPS;
    for group in (store.0..PARTITION_GROUPS).step_by(usize::from(view.placement.stores())) {
        let (lower, upper) = (key::partition(group * width), key::partition((group + 1) * width));
        let mut last = None;
        view.rows(store)?.scan(
            Family::Inbox,
            (&lower, &upper),
            Direction::Falling,
            view.tier,
            &mut |key, value| {
                let row = key::read_user_row(key).zip(value::read_pointer(value.bytes()));
                last = Some(row.ok_or_else(|| damaged(store, Family::Inbox, key))?);
                Ok(false)
            },
        )?;
        let Some(((_, user, at), (channel, seq))) = last else { continue };
        if view.message(channel, seq)?.is_none() {
            let what = format!(
                "committed data is gone: the inbox of user {user} at {at} names {channel:?} {seq}, above its head {}",
                view.head(channel)?
            );
            return Err(StoreError::corrupt(view.placement.channel_store(channel), what).into());
        }
    }
    Ok(())
}
