//! Who may do what, in full: every kind of frame and every route of HTTP, asked by everybody from a stranger to an owner, with
//! the one right answer of each. A kind or a route without a row fails, and so does a row of nothing.

mod frames;
mod routes;
