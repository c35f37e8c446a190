//! Where a device is told of what it misses. The same as HTTP's `/v1/push` (docs/http.md), for apps that have a session anyway.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::Body;
use crate::commit::{Language, Preview, Provider};
use crate::kind::Kind;
use crate::limits::{PUSH_ENDPOINT_BYTES_MAX, PUSH_WORD_BYTES_MAX};
use crate::reject::{Code, Refusal};

/// Minutes of a day.
pub const DAY_MINUTES: u16 = 1440;

/// SUBSCRIBE_PUSH v1: the device is told there of what it misses from now on, instead of where it said before for this
/// provider. Answered by DONE once it is stored.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct SubscribePush {
    /// 1 Web Push, 2 webhook, 3 FCM, 4 APNs.
    pub provider: u8,
    /// How much of a message is shown: 0 nothing, 1 who sent it, 2 that and its first words.
    pub preview: u8,
    /// 0 English, 1 Korean.
    pub language: u8,
    /// Minute of the day from which the device is not disturbed.
    pub quiet_from: u16,
    /// And until which; the same as `quiet_from` for never.
    pub quiet_until: u16,
    /// Whose day: a name of the IANA time zones; empty for UTC.
    pub zone: String,
    /// The URL of Web Push and webhooks; what FCM or APNs gave the app.
    pub address: String,
    /// Of Web Push the browser's public key, base64url; else empty.
    pub p256dh: String,
    /// Of Web Push the browser's secret, base64url; of a webhook `whsec_` and base64; else empty.
    pub secret: String,
}

/// UNSUBSCRIBE_PUSH v1: a device is told there no more, also when it was not. Answered by DONE once that is stored.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct UnsubscribePush {
    /// A device of the user; 0 for this one.
    pub device: u64,
    /// As in [`SubscribePush`].
    pub provider: u8,
}

/// SET_PUSH v1: none of the user's devices is told from now on, or all are again. Subscriptions stay. Answered by DONE once
/// it is stored.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct SetPush {
    /// Whether nobody is told.
    pub is_off: bool,
}

/// GET_PUSH v1: where the user's devices are told.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetPush {
    /// This device only; 0 for all.
    pub device: u64,
}

/// PUSH v1: the answer.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Push {
    /// Whether nobody is told.
    pub is_off: bool,
    /// The key that a browser subscribes with (RFC 8292), base64url.
    pub key: String,
    /// In the order in which they were made.
    pub items: Vec<PushItem>,
}

/// One subscription. Its address is told to nobody.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct PushItem {
    /// Whose.
    pub device: u64,
    /// As in [`SubscribePush`].
    pub provider: u8,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

fn check_provider(number: u8) -> Result<(), Refusal> {
    if Provider::from_number(number).is_some() {
        return Ok(());
    }
    let text = format!("{number}; expected 1 Web Push, 2 webhook, 3 FCM or 4 APNs");
    Err(Refusal::new(Code::Limit, "provider", text))
}

fn check_bytes(field: &'static str, text: &str, most: usize) -> Result<(), Refusal> {
    if text.len() <= most {
        return Ok(());
    }
    Err(Refusal::new(Code::Limit, field, format!("{} bytes; at most {most}", text.len())))
}

impl Body for SubscribePush {
    const KIND: Kind = Kind::SUBSCRIBE_PUSH;
    fn check(wire: &ArchivedSubscribePush) -> Result<(), Refusal> {
        check_provider(wire.provider)?;
        if Preview::from_number(wire.preview).is_none() {
            let text = format!("{}; expected 0 nothing, 1 the sender or 2 the text", wire.preview);
            return Err(Refusal::new(Code::Limit, "preview", text));
        }
        if Language::from_number(wire.language).is_none() {
            let text = format!("{}; expected 0 English or 1 Korean", wire.language);
            return Err(Refusal::new(Code::Limit, "language", text));
        }
        for (field, minute) in [("quiet_from", wire.quiet_from), ("quiet_until", wire.quiet_until)] {
            if minute.to_native() >= DAY_MINUTES {
                let text = format!("{minute}; expected a minute of the day, 0 to 1439");
                return Err(Refusal::new(Code::Limit, field, text));
            }
        }
        check_bytes("zone", &wire.zone, PUSH_WORD_BYTES_MAX)?;
        check_bytes("address", &wire.address, PUSH_ENDPOINT_BYTES_MAX)?;
        check_bytes("p256dh", &wire.p256dh, PUSH_WORD_BYTES_MAX)?;
        check_bytes("secret", &wire.secret, PUSH_WORD_BYTES_MAX)
    }
}

impl Body for UnsubscribePush {
    const KIND: Kind = Kind::UNSUBSCRIBE_PUSH;
    fn check(wire: &ArchivedUnsubscribePush) -> Result<(), Refusal> {
        check_provider(wire.provider)
    }
}

impl Body for SetPush {
    const KIND: Kind = Kind::SET_PUSH;
}

impl Body for GetPush {
    const KIND: Kind = Kind::GET_PUSH;
}

impl Body for Push {
    const KIND: Kind = Kind::PUSH;
}
