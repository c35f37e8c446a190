//! What is durable: the store of a data directory behind two verbs, [`Store::commit`] and [`Store::read`].
//!
//! Keys, values and the logic of queries are written once, over a narrow seam of ordered rows; RocksDB and memory are
//! siblings below it and pass one contract test. Without the feature `rocks` the crate compiles no C++.
//!
//! Absent on purpose: rows for heads (the last row is the head), rows for dedup (history carries sender and send id), and
//! anything that knows of shards: a bay's rows are the same whichever shard is its home.

mod apply;
mod check;
#[cfg(feature = "rocks")]
mod directory;
mod error;
mod export;
mod family;
mod key;
mod membership;
mod memory;
#[cfg(feature = "rocks")]
mod migrate;
#[cfg(feature = "rocks")]
mod options;
mod owned;
#[cfg(feature = "rocks")]
mod promises;
#[cfg(feature = "rocks")]
mod proof;
mod query;
#[cfg(feature = "rocks")]
mod rocks;
mod rows;
mod rules;
mod store;
mod value;
mod view;

pub use check::{Finding, Severity, Summary};
pub use error::StoreError;
pub use export::{Piece, Tell};
#[cfg(feature = "rocks")]
pub use migrate::{Migrated, migrate};
#[cfg(feature = "rocks")]
pub use options::Options;
#[cfg(feature = "rocks")]
pub use promises::{promise, promised};
pub use protocol::commit::{
    AccountRow, Batch, ChannelRow, DeviceRow, Grown, Interval, IntervalRow, Part, PositionRow, Relation, Row,
};
pub use protocol::query::{
    Answer, BayState, Delivery, Earlier, Ended, JoinedItem, Member, PageBounds, Query, Sent,
};
pub use query::stays::Stays;
pub use rows::Tier;
pub use store::{
    FORMAT, FORMAT_RAISED, FamilyError, Followed, Keeps, ListedTo, LogRow, Moved, OwnFamily, Snapshot, Store,
    StoreStats,
};
