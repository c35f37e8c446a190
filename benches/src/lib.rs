//! What Maru is measured against, and how.
//!
//! [`relay`] is the floor: the same reads and writes a message as Maru and nothing else, under the drivers of [`floor`].
//! [`ordinary`] is the server that a good engineer would write in an afternoon. [`run`] puts them under the
//! same load in turns and writes the tables of docs/performance.md. Nothing here is part of the product.

pub mod desk;
pub mod floor;
pub mod heap;
pub mod ordinary;
pub mod relay;
pub mod run;
pub mod token;
