//! What push is still to tell, and whom: each row can be read, and no job names a message that does not exist.

use protocol::BayId;
use protocol::commit::{JobRow, ShownRow, SubscriptionRow};

use super::stream::Stream;
use super::{Check, Severity};
use crate::family::Family;
use crate::key;
use crate::rows::Found;

/// Checks those of one bay.
pub(super) fn check(check: &mut Check<'_>, bay: BayId) -> Found<()> {
    let mut rows = Stream::new(check.view, bay, Family::Push);
    while let Some((key, value)) = rows.take()? {
        if let Some(((user, channel), job)) = key::read_job(&key).zip(JobRow::decode(&value)) {
            if check.view.message(channel, job.seq)?.is_none() {
                let what = format!(
                    "user {user} is to be told of message {} of {channel}, which is not there",
                    job.seq
                );
                check.report(Severity::Lost, bay, what);
            }
        } else if ShownRow::decode(&value).is_some_and(|row| key::read_shown(&key, row.is_read).is_some()) {
            // It names no message that anybody reads by it.
        } else if key::read_push_off(&key).is_some() && *value == [1] {
            // It says all that it says by being there.
        } else if key::read_subscription(&key).is_none() || SubscriptionRow::decode(&value).is_none() {
            check.broken(bay, format!("a row of push cannot be read: {key:02x?}"));
        }
    }
    Ok(())
}
