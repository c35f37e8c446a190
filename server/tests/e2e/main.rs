//! End to end: the real binary, real sockets, real disks, several processes. Everything runs on loopback with ports and
//! folders of its own; every process started is ended by its pid.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::panic, clippy::too_many_lines)]

mod big;
mod bounds;
mod kill;
mod node;
mod people;
mod terminal;
