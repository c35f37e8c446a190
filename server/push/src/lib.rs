//! Push: tells users of what they miss, through Web Push, FCM, APNs and webhooks. The jobs are rows of the store, which the shards write
//! and end; this room reads them, calls the providers, and says what became of each.
//!
//! It sees neither store nor shards: [`outbox::Homes`] is all it asks.

pub mod address;
pub mod apns;
pub mod call;
mod connect;
pub mod diary;
pub mod fcm;
pub mod figures;
mod grant;
mod hosts;
mod jwt;
pub mod limits;
pub mod notice;
pub mod outbox;
pub mod quiet;
pub mod secret;
pub mod senders;
pub mod vapid;
pub mod webhook;
pub mod webpush;
