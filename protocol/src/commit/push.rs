//! Push, as rows hold it: where a user's devices are told of what they miss, and what they are still to be told.
//!
//! ```text
//! row tag 45 = user u64 | device u64 | provider u8 | the value below: a subscription
//! row tag 46 = user u64 | device u64 | provider u8: it is gone
//! row tag 47 = user u64 | channel u128 | the value below, or nothing: a job, or its end
//! row tag 48 = user u64 | 1 or 0 u8: all of it is off, or on again
//! row tag 49 = user u64 | channel u128 | the value below, or nothing: what devices show of a channel, or its end
//! subscription v1 = 1 | created_ms u64 | preview u8 | language u8 | quiet from u16, until u16 (minutes of the day; equal: none)
//!                   | len u8, zone | len u8, key | len u8, secret | endpoint, UTF-8, to the end
//! job          v1 = 1 | seq u64 | count u32 | 1 mentioned, 2 parked, or both u8 | time_ms u64 | retry_at_ms u64
//!                   | attempts u16 | (device u64 | provider u8) of whom it is still for; none for all
//! shown        v1 = 1 | seq u64 | time_ms u64 | 1 when it is read, else 0 u8 | (device u64 | provider u8) of who shows it
//! ```

use bytes::{BufMut, BytesMut};

use super::Row;
use super::encoding::Fields;
use crate::id::{ChannelId, DeviceId, Seq, UserId};

const VERSION: u8 = 1;
const MENTIONED: u8 = 1;
const PARKED: u8 = 2;
/// Bytes of a job in front of those it is still for.
const JOB_FIXED_BYTES: usize = 32;
/// Bytes of what is shown in front of those who show it.
const SHOWN_FIXED_BYTES: usize = 18;
/// Bytes of a device and a provider.
const TARGET_BYTES: usize = 9;
/// Bytes of a subscription besides its four texts.
const SUBSCRIPTION_FIXED_BYTES: usize = 18;

/// Who carries a push to a device. The number is stored; it is never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Provider {
    /// RFC 8030: what browsers give.
    WebPush = 1,
    /// A URL of the user's own, called in the form of Standard Webhooks.
    Webhook = 2,
    /// Firebase Cloud Messaging: apps on Android.
    Fcm = 3,
    /// Apple Push Notification service: apps on iOS and macOS.
    Apns = 4,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 4] = [Self::WebPush, Self::Webhook, Self::Fcm, Self::Apns];

    /// Its name, as HTTP and metrics have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::WebPush => "webpush",
            Self::Webhook => "webhook",
            Self::Fcm => "fcm",
            Self::Apns => "apns",
        }
    }

    /// As much of an endpoint as is shown: whoever has all of it may push. Of a URL its host, of a token nothing but whose it is.
    #[must_use]
    pub fn host(self, endpoint: &str) -> String {
        match self {
            Self::WebPush | Self::Webhook => endpoint.split('/').take(3).collect::<Vec<_>>().join("/"),
            Self::Fcm | Self::Apns => self.word().to_owned(),
        }
    }

    /// The provider with this name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.word() == word)
    }

    /// The provider with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::WebPush),
            2 => Some(Self::Webhook),
            3 => Some(Self::Fcm),
            4 => Some(Self::Apns),
            _ => None,
        }
    }
}

/// How much of a message a push shows. The number is stored; it is never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preview {
    /// Only that there is something.
    #[default]
    Nothing = 0,
    /// Who sent it.
    Sender = 1,
    /// Who sent it, and its first words.
    Text = 2,
}

impl Preview {
    /// What has this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Nothing),
            1 => Some(Self::Sender),
            2 => Some(Self::Text),
            _ => None,
        }
    }
}

/// The language of a push. The number is stored; it is never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    /// English.
    #[default]
    English = 0,
    /// Korean.
    Korean = 1,
}

impl Language {
    /// What has this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::English),
            1 => Some(Self::Korean),
            _ => None,
        }
    }
}

/// Where one device of a user is told of what it misses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SubscriptionRow {
    /// When it was made, milliseconds since the Unix epoch: tells it from a later one of the same device.
    pub created_ms: u64,
    /// How much is shown.
    pub preview: Preview,
    /// In which language.
    pub language: Language,
    /// Minutes of the day from which and until which the device is not disturbed; equal for never.
    pub quiet: (u16, u16),
    /// Whose day: a name of the IANA time zones; empty for UTC. At most 255 bytes.
    pub zone: String,
    /// The device's public key, where the provider has one. At most 255 bytes.
    pub key: Vec<u8>,
    /// What only the device and this server know. At most 255 bytes.
    pub secret: Vec<u8>,
    /// A URL; of FCM and APNs the token that the provider gave the app.
    pub endpoint: String,
}

/// What a user is still to be told of a channel: one row, however many messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JobRow {
    /// The newest message. It is also the job's version: whoever has carried out an older one has not carried out this.
    pub seq: Seq,
    /// How many messages.
    pub count: u32,
    /// Whether one of them mentions the user.
    pub is_mentioned: bool,
    /// Tried too often: an operator looks at it, and a newer message tries again.
    pub is_parked: bool,
    /// Time of the newest of them, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Not before then, milliseconds since the Unix epoch.
    pub retry_at_ms: u64,
    /// How often it failed.
    pub attempts: u16,
    /// Whom it is still for: empty for all subscriptions of the user.
    pub targets: Vec<Target>,
}

/// What devices may show of a channel, because a provider has taken a push: one row, however many pushes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ShownRow {
    /// The newest message that a provider took.
    pub seq: Seq,
    /// When it took it, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The user has read it: it is still to be withdrawn.
    pub is_read: bool,
    /// Who may show it.
    pub targets: Vec<Target>,
}

/// One subscription of a user, by name.
pub type Target = (DeviceId, Provider);

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let text = text.get(..text.len().min(255)).unwrap_or_default();
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text);
}

impl SubscriptionRow {
    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bytes());
        out.push(VERSION);
        out.extend_from_slice(&self.created_ms.to_le_bytes());
        out.extend_from_slice(&[self.preview as u8, self.language as u8]);
        out.extend_from_slice(&self.quiet.0.to_le_bytes());
        out.extend_from_slice(&self.quiet.1.to_le_bytes());
        put_text(&mut out, self.zone.as_bytes());
        put_text(&mut out, &self.key);
        put_text(&mut out, &self.secret);
        out.extend_from_slice(self.endpoint.as_bytes());
        out
    }

    /// Length of the stored value.
    pub(super) fn encoded_bytes(&self) -> usize {
        let texts = [self.zone.len(), self.key.len(), self.secret.len()];
        let texts: usize = texts.into_iter().map(|len| len.min(255)).sum();
        SUBSCRIPTION_FIXED_BYTES + texts + self.endpoint.len()
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u8()? != VERSION {
            return None;
        }
        let created_ms = fields.u64()?;
        let (preview, language) = (Preview::from_number(fields.u8()?)?, Language::from_number(fields.u8()?)?);
        let quiet = (fields.u16()?, fields.u16()?);
        let mut text = || {
            let len = usize::from(fields.u8()?);
            fields.take(len).map(<[u8]>::to_vec)
        };
        let (zone, key, secret) = (String::from_utf8(text()?).ok()?, text()?, text()?);
        let endpoint = core::str::from_utf8(fields.rest()).ok()?.to_owned();
        Some(Self { created_ms, preview, language, quiet, zone, key, secret, endpoint })
    }
}

impl ShownRow {
    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bytes());
        out.push(VERSION);
        out.extend_from_slice(&self.seq.0.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.push(self.is_read.into());
        put_targets(&mut out, &self.targets);
        out
    }

    /// Length of the stored value.
    pub(super) fn encoded_bytes(&self) -> usize {
        SHOWN_FIXED_BYTES + self.targets.len() * TARGET_BYTES
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u8()? != VERSION {
            return None;
        }
        let (seq, time_ms) = (Seq(fields.u64()?), fields.u64()?);
        let is_read = flag(&mut fields)?;
        Some(Self { seq, time_ms, is_read, targets: targets(&mut fields)? })
    }
}

impl JobRow {
    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bytes());
        out.push(VERSION);
        out.extend_from_slice(&self.seq.0.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.push(if self.is_mentioned { MENTIONED } else { 0 } | if self.is_parked { PARKED } else { 0 });
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&self.retry_at_ms.to_le_bytes());
        out.extend_from_slice(&self.attempts.to_le_bytes());
        put_targets(&mut out, &self.targets);
        out
    }

    /// Length of the stored value.
    pub(super) fn encoded_bytes(&self) -> usize {
        JOB_FIXED_BYTES + self.targets.len() * TARGET_BYTES
    }

    /// The row in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u8()? != VERSION {
            return None;
        }
        let (seq, count, bits) = (Seq(fields.u64()?), fields.u32()?, fields.u8()?);
        let (time_ms, retry_at_ms, attempts) = (fields.u64()?, fields.u64()?, fields.u16()?);
        let targets = targets(&mut fields)?;
        let is_known = bits & !(MENTIONED | PARKED) == 0;
        is_known.then_some(Self {
            seq,
            count,
            is_mentioned: bits & MENTIONED != 0,
            is_parked: bits & PARKED != 0,
            time_ms,
            retry_at_ms,
            attempts,
            targets,
        })
    }
}

/// The fields of a row of push.
pub(super) fn encode(row: &Row, out: &mut BytesMut) {
    match row {
        Row::Subscription { user, device, provider, row } => {
            put_target(*user, (*device, *provider), out);
            out.put_slice(&row.encode());
        }
        Row::SubscriptionGone { user, device, provider } => put_target(*user, (*device, *provider), out),
        Row::Job { user, channel, row } => {
            out.put_u64_le(user.0);
            out.put_u128_le(channel.0);
            out.put_slice(&row.as_ref().map(JobRow::encode).unwrap_or_default());
        }
        Row::Shown { user, channel, row } => {
            out.put_u64_le(user.0);
            out.put_u128_le(channel.0);
            out.put_slice(&row.as_ref().map(ShownRow::encode).unwrap_or_default());
        }
        Row::PushOff { user, is_off } => {
            out.put_u64_le(user.0);
            out.put_u8(u8::from(*is_off));
        }
        _ => {}
    }
}

fn put_targets(out: &mut Vec<u8>, targets: &[Target]) {
    for (device, provider) in targets {
        out.extend_from_slice(&device.0.to_le_bytes());
        out.push(*provider as u8);
    }
}

/// All that are left.
fn targets(fields: &mut Fields<'_>) -> Option<Vec<Target>> {
    let mut targets = Vec::with_capacity(fields.0.len() / TARGET_BYTES);
    while !fields.0.is_empty() {
        targets.push((DeviceId(fields.u64()?), Provider::from_number(fields.u8()?)?));
    }
    Some(targets)
}

fn flag(fields: &mut Fields<'_>) -> Option<bool> {
    match fields.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn put_target(user: UserId, (device, provider): Target, out: &mut BytesMut) {
    out.put_u64_le(user.0);
    out.put_u64_le(device.0);
    out.put_u8(provider as u8);
}

fn target(fields: &mut Fields<'_>) -> Option<(UserId, Target)> {
    let user = UserId(fields.u64()?);
    Some((user, (DeviceId(fields.u64()?), Provider::from_number(fields.u8()?)?)))
}

pub(super) fn subscription(fields: &mut Fields<'_>) -> Option<Row> {
    let (user, (device, provider)) = target(fields)?;
    Some(Row::Subscription { user, device, provider, row: SubscriptionRow::decode(fields.rest())? })
}

pub(super) fn subscription_gone(fields: &mut Fields<'_>) -> Option<Row> {
    let (user, (device, provider)) = target(fields)?;
    Some(Row::SubscriptionGone { user, device, provider })
}

pub(super) fn off(fields: &mut Fields<'_>) -> Option<Row> {
    let user = UserId(fields.u64()?);
    Some(Row::PushOff { user, is_off: flag(fields)? })
}

pub(super) fn shown(fields: &mut Fields<'_>) -> Option<Row> {
    let user = UserId(fields.u64()?);
    let channel = ChannelId(fields.take(16)?.try_into().ok().map(u128::from_le_bytes)?);
    let row = match fields.rest() {
        [] => None,
        value => Some(ShownRow::decode(value)?),
    };
    Some(Row::Shown { user, channel, row })
}

pub(super) fn job(fields: &mut Fields<'_>) -> Option<Row> {
    let user = UserId(fields.u64()?);
    let channel = ChannelId(fields.take(16)?.try_into().ok().map(u128::from_le_bytes)?);
    let row = match fields.rest() {
        [] => None,
        value => Some(JobRow::decode(value)?),
    };
    Some(Row::Job { user, channel, row })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_encoding_and_any_other_bytes_are_none() {
        let row = SubscriptionRow {
            created_ms: 0x0102,
            preview: Preview::Text,
            language: Language::Korean,
            quiet: (1320, 420),
            zone: "Asia/Seoul".into(),
            key: vec![4; 65],
            secret: vec![7; 16],
            endpoint: "https://push.example/1".into(),
        };
        let bytes = row.encode();
        assert_eq!(bytes.len(), row.encoded_bytes());
        assert_eq!(bytes.get(..15), Some(&[1, 2, 1, 0, 0, 0, 0, 0, 0, 2, 1, 40, 5, 164, 1][..]));
        assert_eq!(SubscriptionRow::decode(&bytes), Some(row));
        let job = JobRow {
            seq: Seq(9),
            count: 3,
            is_mentioned: true,
            time_ms: 5,
            retry_at_ms: 6,
            attempts: 2,
            targets: vec![(DeviceId(8), Provider::Webhook)],
            ..JobRow::default()
        };
        let bytes = job.encode();
        assert_eq!(bytes.len(), job.encoded_bytes());
        assert_eq!(JobRow::decode(&bytes), Some(job));
        for cut in 0..bytes.len() {
            let whole = cut == JOB_FIXED_BYTES;
            assert_eq!(bytes.get(..cut).and_then(JobRow::decode).is_some(), whole, "{cut}");
        }
        let targets = vec![(DeviceId(8), Provider::Fcm), (DeviceId(9), Provider::Apns)];
        let shown = ShownRow { seq: Seq(9), time_ms: 5, is_read: true, targets };
        let mut bytes = shown.encode();
        assert_eq!(bytes.len(), shown.encoded_bytes());
        assert_eq!(bytes.get(..19), Some(&[1, 9, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 8][..]));
        assert_eq!(ShownRow::decode(&bytes), Some(shown));
        for cut in 0..bytes.len() {
            let whole = [SHOWN_FIXED_BYTES, SHOWN_FIXED_BYTES + TARGET_BYTES].contains(&cut);
            assert_eq!(bytes.get(..cut).and_then(ShownRow::decode).is_some(), whole, "{cut}");
        }
        bytes[SHOWN_FIXED_BYTES - 1] = 2;
        assert_eq!(ShownRow::decode(&bytes), None, "read or not");
    }
}
