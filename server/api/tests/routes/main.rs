//! The API through real HTTP, a room a subject. One binary: sixteen that each hold the API, its database and its libraries fill a disk.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../world/mod.rs"]
#[macro_use]
mod world;
#[path = "../world/issuer.rs"]
#[allow(dead_code, missing_docs, unreachable_pub)]
mod issuer;
#[path = "../../../tests/e2e/ports.rs"]
mod ports;

mod access;
mod away;
mod bots;
mod devices;
mod http;
mod invites;
mod jwt;
mod keys;
mod leaving;
mod limits;
mod messages;
mod names;
mod port;
mod relations;
mod tokens;
mod two_factor;
