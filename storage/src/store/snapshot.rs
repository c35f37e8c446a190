//! The store as it was at one moment, for reads that take long and whose rows must fit together.

use std::sync::{Arc, PoisonError};

use protocol::query::{Answer, Query};
use protocol::{ChannelId, Seq};

use super::{Store, fault};
use crate::error::StoreError;
use crate::owned::{Owned, Owners};
use crate::query;
use crate::rows::{Reads, Tier};
use crate::view::View;

/// Everything that was committed before one moment, and nothing that came later. What is removed meanwhile keeps its room on
/// the disk, so that it is not to be held for ever.
#[derive(Debug)]
pub struct Snapshot<'a> {
    rows: Box<dyn Reads + 'a>,
    owners: Owners,
    /// While this is held, no family and no file is dropped that has rows of then: see `Owners::is_settled`.
    _then: Arc<Owned>,
}

impl Store {
    /// The store as it is now, between two commits. Commits wait for as long as it takes to make one, which is no read and no
    /// write; a store in memory copies all that it holds.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        // Rows and where histories stand are of one moment.
        let _between = self.between.write().unwrap_or_else(PoisonError::into_inner);
        let then = self.owners.now();
        Snapshot { rows: self.rows.snapshot(), owners: Owners::new((*then).clone()), _then: then }
    }
}

impl Snapshot<'_> {
    /// What is read once by one who reads all of it does not drive out of the cache what others read.
    pub(crate) fn view(&self) -> View<'_> {
        View { rows: &*self.rows, owners: &self.owners, tier: Tier::Once, left: None }
    }

    /// Answers a query from the rows of then.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read(&self, query: &Query) -> Result<Answer, StoreError> {
        fault(query::answer(&self.view(), query))
    }

    /// A channel's newest message; 0 for none.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn head(&self, channel: ChannelId) -> Result<Seq, StoreError> {
        fault(self.view().head(channel))
    }
}
