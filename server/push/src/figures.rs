//! Figures for the operator.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::commit::Provider;

/// How pushes of one provider ended.
#[derive(Debug, Default)]
pub struct Ends {
    /// Taken.
    pub sent: AtomicU64,
    /// Failed, and tried again.
    pub failed: AtomicU64,
    /// Refused for good.
    pub refused: AtomicU64,
    /// The subscription is no more.
    pub gone: AtomicU64,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Figures {
    web_push: Ends,
    webhook: Ends,
    fcm: Ends,
    apns: Ends,
    /// Jobs that ended unsent because their message had been read.
    pub read: AtomicU64,
    /// The same because their message was recalled.
    pub recalled: AtomicU64,
    /// The same because the user does not want to be told.
    pub unwanted: AtomicU64,
    /// The same because they were too old.
    pub expired: AtomicU64,
    /// Jobs that were parked.
    pub parked: AtomicU64,
    /// Calls of devices that were told that what they show is read.
    pub withdrawn: AtomicU64,
    /// The same that failed; each is tried a few times.
    pub withdrawals_failed: AtomicU64,
    /// Jobs that wait in memory now.
    pub waiting: AtomicU64,
}

impl Figures {
    /// Of one provider.
    #[must_use]
    pub fn of(&self, provider: Provider) -> &Ends {
        match provider {
            Provider::WebPush => &self.web_push,
            Provider::Webhook => &self.webhook,
            Provider::Fcm => &self.fcm,
            Provider::Apns => &self.apns,
        }
    }

    /// Of all providers, one end.
    #[must_use]
    pub fn all(&self, end: fn(&Ends) -> &AtomicU64) -> u64 {
        Provider::ALL.into_iter().map(|provider| end(self.of(provider)).load(Ordering::Relaxed)).sum()
    }
}

/// One more.
pub(crate) fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}
