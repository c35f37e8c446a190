//! What is durable: the K stores of a data directory behind two verbs, [`Stores::commit`] and [`Stores::read`].
//!
//! Keys, values and the logic of queries are written once, over a narrow seam of ordered rows; RocksDB and memory are
//! siblings below it and pass one contract test. Without the feature `rocks` the crate compiles no C++.
//!
//! Absent on purpose: atomicity across stores, rows for heads (the last row is the head), and rows for dedup (history
//! carries sender and send id).

mod apply;
mod check;
#[cfg(feature = "rocks")]
mod directory;
mod error;
mod family;
mod key;
mod membership;
mod memory;
#[cfg(feature = "rocks")]
mod options;
#[cfg(feature = "rocks")]
mod proof;
mod query;
#[cfg(feature = "rocks")]
mod rocks;
mod rows;
mod stores;
mod value;
mod view;

pub use check::{Finding, Severity, Summary};
pub use error::StoreError;
#[cfg(feature = "rocks")]
pub use options::Options;
pub use protocol::commit::{
    AccountRow, Batch, ChannelRow, DeviceRow, Interval, IntervalRow, MemberRow, PositionRow, Row,
};
pub use protocol::query::{
    Answer, Delivery, Earlier, JoinedItem, Member, PageBounds, Query, Sent, StoreState,
};
pub use rows::Tier;
pub use stores::{StoreStats, Stores};
