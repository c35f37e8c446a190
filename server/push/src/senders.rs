//! Who carries a push: the providers that this server knows, and how each is called.

use std::sync::Arc;
use std::time::Duration;

use protocol::commit::{Provider, SubscriptionRow};
use rustls::ClientConfig;

use crate::address::{Allowed, Endpoint};
use crate::apns::Apns;
use crate::call::{Answer, Caller};
use crate::fcm::Fcm;
use crate::hosts::Hosts;
use crate::notice::Notice;
use crate::outbox::JobId;
use crate::vapid::Vapid;
use crate::{webhook, webpush};

/// The providers.
#[derive(Debug)]
pub struct Senders {
    vapid: Vapid,
    fcm: Option<Fcm>,
    apns: Option<Apns>,
    allowed: Arc<Allowed>,
    /// To hosts that users name; to those of the operator; to APNs.
    callers: [Caller; 3],
    pub(crate) hosts: Hosts,
}

impl Senders {
    /// Those that need no account: they call with this key, and believe the certificates that `tls` believes.
    #[must_use]
    pub fn new(vapid: Vapid, tls: &ClientConfig, allowed: Allowed) -> Self {
        let allowed = Arc::new(allowed);
        let callers = [Caller::public(allowed.clone(), tls), Caller::own(tls), Caller::own_h2(tls)];
        Self { vapid, fcm: None, apns: None, allowed, callers, hosts: Hosts::default() }
    }

    /// The same, with FCM.
    #[must_use]
    pub fn with_fcm(self, fcm: Fcm) -> Self {
        Self { fcm: Some(fcm), ..self }
    }

    /// The same, with APNs.
    #[must_use]
    pub fn with_apns(self, apns: Apns) -> Self {
        Self { apns: Some(apns), ..self }
    }

    /// The same, which waits so long for an answer, and not for [`crate::limits::CALL_WAIT`].
    #[must_use]
    pub fn with_call_wait(self, wait: Duration) -> Self {
        Self { callers: self.callers.map(|caller| caller.with_wait(wait)), ..self }
    }

    /// The key by which services know this server.
    #[must_use]
    pub fn vapid(&self) -> &Vapid {
        &self.vapid
    }

    /// Which private hosts may be called.
    #[must_use]
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Whether the operator gave what this provider needs.
    #[must_use]
    pub fn has(&self, provider: Provider) -> bool {
        match provider {
            Provider::WebPush | Provider::Webhook => true,
            Provider::Fcm => self.fcm.is_some(),
            Provider::Apns => self.apns.is_some(),
        }
    }

    /// Where a subscription is told, or why it is not.
    fn origin(&self, provider: Provider, row: &SubscriptionRow) -> Result<String, String> {
        let missing = || format!("this server has no account at {}", provider.word());
        match provider {
            // The operator may allow less than when it was made.
            Provider::WebPush | Provider::Webhook => {
                Ok(Endpoint::parse(&row.endpoint, &self.allowed)?.origin)
            }
            Provider::Fcm => self.fcm.as_ref().map(|fcm| fcm.origin().to_owned()).ok_or_else(missing),
            Provider::Apns => self.apns.as_ref().map(|apns| apns.origin().to_owned()).ok_or_else(missing),
        }
    }

    /// Calls a subscription; the error is when to look again, because its host rests or has no room. `clock` says when the call ended.
    pub(crate) async fn send(
        &self,
        (provider, row): (Provider, &SubscriptionRow),
        job: Option<JobId>,
        notice: &Notice<'_>,
        clock: impl Fn() -> u64,
    ) -> Result<Answer, u64> {
        let origin = match self.origin(provider, row) {
            Ok(origin) => origin,
            Err(fault) => return Ok(Answer::Refused(fault)),
        };
        let place = if notice.is_withdrawal {
            self.hosts.take_spare((provider, &origin), notice.now_ms)?
        } else {
            self.hosts.take((provider, &origin), job, notice.now_ms)?
        };
        let answer = self.call((provider, row), &origin, notice).await;
        place.ended(matches!(answer, Answer::Later { is_of_host: true, .. }), clock());
        Ok(answer)
    }

    async fn call(
        &self,
        (provider, row): (Provider, &SubscriptionRow),
        origin: &str,
        notice: &Notice<'_>,
    ) -> Answer {
        let [public, own, h2] = &self.callers;
        let missing = || Answer::Refused(format!("this server has no account at {}", provider.word()));
        let call = match provider {
            Provider::WebPush => webpush::call(row, origin, notice, &self.vapid),
            Provider::Webhook => {
                Ok(webhook::call(row, notice.name, notice.payload.to_string().as_bytes(), notice.now_ms))
            }
            Provider::Fcm => {
                let Some(fcm) = &self.fcm else { return missing() };
                return fcm.send(own, &row.endpoint, notice).await;
            }
            Provider::Apns => {
                let Some(apns) = &self.apns else { return missing() };
                return apns.send(h2, (&row.endpoint, row.created_ms), notice).await;
            }
        };
        let call = match call {
            Ok(call) => call,
            Err(fault) => return Answer::Refused(fault),
        };
        match public.post(&row.endpoint, call, notice.now_ms).await {
            Ok(reply) => reply.read(),
            Err(fault) => Answer::failed(fault),
        }
    }
}
