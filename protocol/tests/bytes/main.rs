//! Tests on bytes: what a peer can send, whole, cut, changed, at the limits and above.

// What a lint forbids in code that meets input is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[allow(unreachable_pub)]
#[path = "../../fuzz/checks.rs"]
mod checks;
#[path = "../../fuzz/mutate.rs"]
mod mutate;

mod commit;
mod frame;
mod limits;
mod messages;
mod mutations;
mod token;
mod versions;
mod ws;
