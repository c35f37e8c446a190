//! Every byte that crosses a wire, and the values that two rooms of the house hand to each other: ids, partition,
//! frame header, rkyv bodies, hops, commits and queries, reject codes, tokens, the WebSocket frame codec, who may
//! speak from a browser, limits.
//!
//! Pure codec: no I/O, no clock, no thread. It imports nothing of ours.

pub mod body;
pub mod commit;
pub mod cost;
pub mod frame;
pub mod hello;
pub mod hop;
pub mod id;
pub mod kind;
pub mod limits;
pub mod partition;
pub mod query;
pub mod reject;
pub mod token;
pub mod web;
pub mod ws;

pub use frame::{Frame, FramingFault, Header, Stamp};
pub use id::{BayId, ChannelId, Cursor, DeviceId, Generation, InboxSeq, SendId, Seq, ShardId, UserId};
pub use kind::{Kind, SentBy};
pub use partition::{Bays, PartitionId, Placement};
pub use reject::{CloseCode, Closes, Code, Refusal, Rejects};
