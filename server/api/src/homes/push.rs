//! Push, as the control plane asks for it.

use protocol::commit::{JobRow, Language, Preview, Provider, SubscriptionRow};
use protocol::{ChannelId, DeviceId, UserId};

use super::HomeError;

/// Where and how a device wants to be told of what it misses, as it said it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscribe {
    /// Through whom.
    pub provider: Provider,
    /// Of Web Push and webhooks: a URL.
    pub endpoint: Option<String>,
    /// Of FCM and APNs: what the provider gave the app.
    pub token: Option<String>,
    /// Of Web Push: the browser's public key and its secret, in base64url.
    pub keys: Option<(String, String)>,
    /// Of a webhook: `whsec_` and base64.
    pub secret: Option<String>,
    /// How much is shown.
    pub preview: Preview,
    /// In which language.
    pub language: Language,
    /// Minutes of the day; equal for never.
    pub quiet: (u16, u16),
    /// Whose day; empty for UTC.
    pub zone: String,
}

/// What a subscription answered to a test, in words.
pub type TestAnswer = (DeviceId, Provider, String);

/// A job that was tried too often.
pub type ParkedJob = (UserId, ChannelId, JobRow);

/// Why a device is not told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PushRefusal {
    /// A field is not what is expected: which, and words.
    Field(&'static str, String),
    /// The user has its full number of subscriptions.
    Full,
    /// Its home refused.
    Home(HomeError),
}

/// A subscription, named.
pub type Subscription = (DeviceId, Provider, SubscriptionRow);

/// Where a user is told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Subscriptions {
    /// The user has turned push off.
    pub is_off: bool,
    /// Each of them.
    pub all: Vec<Subscription>,
}
