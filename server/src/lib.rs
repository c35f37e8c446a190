//! The composition root: the only crate that joins shard, edge and storage, and the only one with system calls.
//!
//! `main` reads the command line; [`serve`] runs a node, which [`boot`] puts together from [`config`]; [`turn`] is a
//! shard's loop over its [`driver`]; [`store`] and [`reader`] are the threads that touch disks.

pub mod admin;
pub mod backup;
pub mod boot;
pub mod certificate;
pub mod chat;
pub mod clock;
pub mod config;
pub mod directory;
pub mod driver;
mod erasures;
pub mod export;
pub mod families;
pub mod fatal;
pub mod handover;
pub mod heap;
pub mod latency;
pub mod logging;
pub mod manual;
pub mod mesh;
pub mod metrics;
pub mod notify;
pub mod owner;
pub mod plane;
pub mod polls;
mod push;
pub mod reader;
pub mod retention;
pub mod search;
pub mod serve;
pub mod space;
pub mod spans;
pub mod store;
mod trace;
pub mod turn;
pub mod watchdog;
pub mod words;
