//! Everything the store promises, verified row by row: `maru admin check`. Rows stream by; what is held at a time is
//! one channel's membership and dedup window, one user's own list, and the part of the fan-out log that is not applied
//! everywhere.

mod about;
mod channel;
mod derived;
mod floor;
mod log;
mod push;
mod rules;
mod stream;
mod talk;
mod user;

use std::fmt;

use protocol::commit::Interval;
use protocol::{BayId, ChannelId, Seq, UserId};

use crate::error::StoreError;
use crate::family::Family;
use crate::membership::Intervals;
use crate::rows::Tier;
use crate::store::{Store, fault};
use crate::view::View;
use stream::Stream;

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
    /// The bay that holds the row.
    pub bay: BayId,
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
        write!(f, "{word}: bay {}: {}", self.bay, self.what)
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
    /// Rows that hold them.
    pub runs: u64,
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

impl Store {
    /// Verifies every promise of the store. Meant for a stopped directory: a writer at work is reported as damage.
    ///
    /// # Errors
    /// A row cannot be read at all; what is read and wrong is a [`Finding`].
    pub fn check(&self, found: &mut dyn FnMut(Finding)) -> Result<Summary, StoreError> {
        let summary = Summary::default();
        let mut check = Check { view: self.view(Tier::Any), found, summary };
        let coverage = fault(log::check(&mut check))?;
        for bay in BayId::all() {
            fault(channel::check(&mut check, &coverage, bay))?;
            fault(user::check(&mut check, &coverage, bay))?;
            fault(derived::check(&mut check, bay))?;
            fault(push::check(&mut check, bay))?;
        }
        Ok(check.summary)
    }

    /// Every user that has an account here. Meant for a stopped directory.
    ///
    /// # Errors
    /// A row cannot be read.
    pub fn users(&self) -> Result<Vec<UserId>, StoreError> {
        let mut users = Vec::new();
        let mut accounts = Stream::all(self.view(Tier::Any), Family::Account);
        while let Some((key, _)) = fault(accounts.take())? {
            // Keys that name no user are what `check` reports. Those of relations are longer.
            let user = key.get(2..).and_then(|user| user.try_into().ok()).map(u64::from_be_bytes);
            users.extend(user.map(UserId));
        }
        Ok(users)
    }
}

/// A check at work.
struct Check<'a> {
    view: View<'a>,
    found: &'a mut dyn FnMut(Finding),
    summary: Summary,
}

impl Check<'_> {
    fn report(&mut self, severity: Severity, bay: BayId, what: impl Into<String>) {
        match severity {
            Severity::Odd => self.summary.odd += 1,
            Severity::Broken => self.summary.broken += 1,
            Severity::Lost => self.summary.lost += 1,
        }
        (self.found)(Finding { severity, bay, what: what.into() });
    }

    fn broken(&mut self, bay: BayId, what: impl Into<String>) {
        self.report(Severity::Broken, bay, what);
    }
}

/// The first seq of `from ..= to` that a member was sent.
fn first_held(member: &Intervals, from: Seq, to: Seq) -> Option<Seq> {
    let overlap = |interval: &Interval| {
        let (low, high) = (interval.joined.max(from), interval.left.map_or(to, |left| left.min(to)));
        (low <= high).then_some(low)
    };
    member.0.iter().filter_map(overlap).min()
}

/// How far a member's home can know a channel: intervals that began by then.
fn last_begun(member: &Intervals, by: Seq) -> Option<Interval> {
    let last = member.0.iter().rev().find(|interval| interval.joined <= by)?;
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
        let member = Intervals(vec![closed, open]);
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
