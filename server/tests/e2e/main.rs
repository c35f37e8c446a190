//! End to end: the real binary, real sockets, real disks, several processes. Everything runs on loopback with ports and
//! folders of its own; every process started is ended by its pid.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::panic, clippy::too_many_lines)]

/// Makes of each scenario a test over a WebSocket and one over QUIC.
macro_rules! over_both {
    ($($scenario:ident)*) => {
        over_both!(ws Ws: $($scenario)*);
        over_both!(quic Quic: $($scenario)*);
    };
    ($module:ident $carrier:ident: $($scenario:ident)*) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario(crate::raw::Carrier::$carrier).await;
            })*
        }
    };
}

mod about;
mod audit;
mod backup;
mod big;
mod boards;
mod bounds;
mod consent;
mod datagrams;
mod descriptors;
mod documented;
mod enemies;
mod erase;
mod exports;
mod families;
mod farewells;
mod frames;
mod full;
mod golden;
mod hour;
mod http;
mod interop;
mod io;
#[allow(dead_code)]
#[path = "../../api/tests/world/issuer.rs"]
mod issuer;
mod jwt;
mod keys;
mod kill;
mod large;
mod latency;
mod ledger;
mod logs;
mod marks;
mod matrix;
mod moderation;
mod moved;
mod names;
mod neighbours;
mod networks;
mod node;
mod one_device;
mod operations;
mod own;
mod owner;
mod page;
mod pair;
mod parts;
mod peer;
mod pending;
mod people;
mod polls;
mod port;
mod ports;
mod postgres;
mod presence;
mod proxy;
mod pty;
mod purge;
mod push;
mod quic;
mod raw;
mod recall;
mod receipts;
mod reload;
mod restore;
mod revoked;
mod rights;
mod screen;
mod sdk;
mod search;
#[path = "../../api/tests/world/postgres.rs"]
mod servers;
mod show;
mod slow;
mod small_disk;
mod talk;
mod terminal;
mod tls;
mod tour;
mod trace;
mod traces;
mod visits;
mod watchdog;
