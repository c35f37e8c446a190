//! Everything the stores promise, verified row by row: `maru admin check`. Rows stream by; what is held at a time is
//! one channel's membership and dedup window, one user's own list, and the part of the fan-out log that is not applied
//! everywhere.

mod channel;
mod log;
mod stream;
mod user;

use std::fmt;

use protocol::StoreId;
use protocol::commit::{Interval, MemberRow};
use protocol::{ChannelId, Seq};

use crate::error::StoreError;
use crate::rows::Tier;
use crate::stores::{Stores, fault};
use crate::view::View;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Unusual, but nothing that is promised is broken.
    Odd,
    /// A promise is broken.
    Broken,
    /// Proof that committed data is gone.
    Lost,
}

/// One thing that is not as it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// The store that holds the row.
    pub store: StoreId,
    /// The row and what is wrong with it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Odd => "odd",
            Severity::Broken => "broken",
            Severity::Lost => "lost",
        };
        write!(f, "{word}: store {}: {}", self.store, self.what)
    }
}

/// What a check has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Channels with at least one message.
    pub channels: u64,
    /// Messages.
    pub messages: u64,
    /// Users with a membership or a position, once a channel.
    pub members: u64,
    /// Users with any row.
    pub users: u64,
    /// Inbox entries.
    pub pointers: u64,
    /// Devices.
    pub devices: u64,
    /// Rows of the fan-out logs.
    pub fanout_rows: u64,
    /// Findings of [`Severity::Odd`].
    pub odd: u64,
    /// Findings of [`Severity::Broken`].
    pub broken: u64,
    /// Findings of [`Severity::Lost`].
    pub lost: u64,
}

impl Summary {
    /// Whether every promise holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.broken == 0 && self.lost == 0
    }
}

impl Stores {
    /// Verifies every promise of the stores. Meant for a stopped directory: a writer at work is reported as damage.
    ///
    /// # Errors
    /// A row cannot be read at all; what is read and wrong is a [`Finding`].
    pub fn check(&self, found: &mut dyn FnMut(Finding)) -> Result<Summary, StoreError> {
        let summary = Summary::default();
        let mut check = Check { view: self.view(Tier::Any), found, summary };
        let coverage = fault(log::check(&mut check))?;
        for number in 0..self.count() {
            fault(channel::check(&mut check, &coverage, StoreId(number)))?;
            fault(user::check(&mut check, &coverage, StoreId(number)))?;
        }
        Ok(check.summary)
    }
}

/// A check at work.
struct Check<'a> {
    view: View<'a>,
    found: &'a mut dyn FnMut(Finding),
    summary: Summary,
}

impl Check<'_> {
    fn report(&mut self, severity: Severity, store: StoreId, what: impl Into<String>) {
        match severity {
            Severity::Odd => self.summary.odd += 1,
            Severity::Broken => self.summary.broken += 1,
            Severity::Lost => self.summary.lost += 1,
        }
        (self.found)(Finding { severity, store, what: what.into() });
    }

    fn broken(&mut self, store: StoreId, what: impl Into<String>) {
        self.report(Severity::Broken, store, what);
    }
}

/// The first seq of `from ..= to` that a member was sent.
fn first_held(member: &MemberRow, from: Seq, to: Seq) -> Option<Seq> {
    let overlap = |interval: &Interval| {
        let (low, high) = (interval.joined.max(from), interval.left.map_or(to, |left| left.min(to)));
        (low <= high).then_some(low)
    };
    member.intervals.iter().filter_map(overlap).min()
}

/// How far a member's home can know a channel: intervals that began by then.
fn last_begun(member: &MemberRow, by: Seq) -> Option<Interval> {
    let last = member.intervals.iter().rev().find(|interval| interval.joined <= by)?;
    Some(Interval { joined: last.joined, left: last.left.filter(|left| *left <= by) })
}

/// Words for a channel.
fn name(channel: ChannelId) -> String {
    format!("{channel:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        let closed = Interval { joined: Seq(2), left: Some(Seq(4)) };
        let open = Interval { joined: Seq(7), left: None };
        let member = MemberRow { role: 0, intervals: vec![closed, open] };
        assert_eq!(first_held(&member, Seq(1), Seq(1)), None);
        assert_eq!(first_held(&member, Seq(3), Seq(9)), Some(Seq(3)));
        assert_eq!(first_held(&member, Seq(5), Seq(6)), None);
        assert_eq!(first_held(&member, Seq(5), Seq(7)), Some(Seq(7)));
        assert_eq!(last_begun(&member, Seq(1)), None);
        assert_eq!(last_begun(&member, Seq(3)), Some(Interval { joined: Seq(2), left: None }));
        assert_eq!(last_begun(&member, Seq(6)), Some(closed));
        assert_eq!(last_begun(&member, Seq(7)), Some(open));
    }
}
