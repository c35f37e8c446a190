//! What devices show and the user has read elsewhere: who is told so, and for how long that is tried.
//!
//! A withdrawal is only for who took a push of that message or an older one, goes to each of them once, and comes behind whatever the
//! user is still to be told of the channel. It is worth less than a push: after a few failures it is given up, and the app closes what
//! it shows when it is opened.

use protocol::Seq;
use protocol::commit::{Provider, Target};
use protocol::query::PushFacts;

use crate::{WITHDRAW_ATTEMPTS_MAX, backoff_ms};

/// Whether a provider can be told that something is read: it must let an app act without showing anything. Browsers do not: each push
/// must show something, or the browser shows words of its own and ends the subscription (`userVisibleOnly`).
#[must_use]
pub const fn can_withdraw(provider: Provider) -> bool {
    match provider {
        Provider::WebPush => false,
        Provider::Webhook | Provider::Fcm | Provider::Apns => true,
    }
}

/// What to do next about what is shown and read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing.
    Rest,
    /// Look again then, milliseconds since the Unix epoch.
    Wait(u64),
    /// Call this subscription, say what came of it, and show the facts again.
    Call(Target),
    /// Tell the home that it is withdrawn as far as this message.
    End(Seq),
}

/// A withdrawal on its way. Shown facts by [`Self::next`]; after [`Next::Call`] only a failure is to be said.
#[derive(Clone, Default, Debug)]
pub struct Withdraw {
    /// Of what was shown as far as this.
    seq: Seq,
    /// Whom it has called, or was about to.
    called: Vec<Target>,
    /// Of them, whose provider may not have it.
    failed: Vec<Target>,
    /// How often it was tried and failed for somebody.
    attempts: u16,
    /// Not before then.
    at_ms: u64,
}

impl Withdraw {
    /// What to do, by what the store says now.
    pub fn next(&mut self, facts: &PushFacts, now_ms: u64, random: u64) -> Next {
        let Some(shown) = facts.shown.as_ref().filter(|shown| shown.is_read) else {
            *self = Self::default();
            return Next::Rest;
        };
        if self.seq != shown.seq {
            *self = Self { seq: shown.seq, ..Self::default() };
        }
        // Its job gave way or was ended while it was told, and nobody has read it.
        if facts.read < shown.seq || facts.is_off {
            return Next::End(shown.seq);
        }
        if self.at_ms > now_ms {
            return Next::Wait(self.at_ms);
        }
        for (device, provider, _) in &facts.subscriptions {
            let target = (*device, *provider);
            let is_meant = can_withdraw(*provider) && shown.targets.contains(&target);
            if is_meant && !self.called.contains(&target) {
                self.called.push(target);
                return Next::Call(target);
            }
        }
        self.conclude(now_ms, random)
    }

    /// Whether somebody was told already, or is to be told again.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        !self.called.is_empty() || self.attempts > 0
    }

    /// Whether this provider has it is not known, or it did not want it now.
    pub fn failed(&mut self, target: Target) {
        self.failed.push(target);
    }

    fn conclude(&mut self, now_ms: u64, random: u64) -> Next {
        if self.failed.is_empty() || self.attempts + 1 >= WITHDRAW_ATTEMPTS_MAX {
            return Next::End(self.seq);
        }
        let failed = core::mem::take(&mut self.failed);
        self.called.retain(|target| !failed.contains(target));
        self.at_ms = now_ms + backoff_ms(self.attempts, random);
        self.attempts += 1;
        Next::Wait(self.at_ms)
    }
}

#[cfg(test)]
mod tests {
    use protocol::DeviceId;
    use protocol::commit::{JobRow, ShownRow, SubscriptionRow};

    use super::*;

    const NOW: u64 = 1_000_000_000;
    const PHONE: Target = (DeviceId(1), Provider::Fcm);
    const TABLET: Target = (DeviceId(2), Provider::Apns);
    const BROWSER: Target = (DeviceId(3), Provider::WebPush);
    const OTHER: Target = (DeviceId(4), Provider::Webhook);

    /// Shown on phone, tablet and in a browser, and read; the other has taken nothing.
    fn facts() -> PushFacts {
        let row = SubscriptionRow::default();
        let all = [PHONE, TABLET, BROWSER, OTHER];
        let targets = vec![PHONE, TABLET, BROWSER];
        PushFacts {
            shown: Some(ShownRow { seq: Seq(4), time_ms: NOW, is_read: true, targets }),
            read: Seq(4),
            subscriptions: all.map(|(device, provider)| (device, provider, row.clone())).to_vec(),
            ..PushFacts::default()
        }
    }

    #[test]
    fn who_took_it_is_told_once_and_nobody_else() {
        let (mut withdraw, facts) = (Withdraw::default(), facts());
        assert_eq!(withdraw.next(&facts, NOW, 0), Next::Call(PHONE));
        assert_eq!(withdraw.next(&facts, NOW, 0), Next::Call(TABLET));
        assert_eq!(
            withdraw.next(&facts, NOW, 0),
            Next::End(Seq(4)),
            "neither a browser nor who took nothing"
        );
        assert_eq!(withdraw.next(&facts, NOW, 0), Next::End(Seq(4)), "until its home knows");
    }

    #[test]
    fn who_failed_is_told_again_alone_and_not_for_ever() {
        let (mut withdraw, facts) = (Withdraw::default(), facts());
        assert_eq!(withdraw.next(&facts, NOW, 0), Next::Call(PHONE));
        withdraw.failed(PHONE);
        assert_eq!(withdraw.next(&facts, NOW, 0), Next::Call(TABLET));
        let mut now_ms = NOW;
        for _ in 1..WITHDRAW_ATTEMPTS_MAX {
            let Next::Wait(at_ms) = withdraw.next(&facts, now_ms, 0) else { panic!("it does not wait") };
            assert!(at_ms > now_ms);
            assert_eq!(withdraw.next(&facts, at_ms - 1, 0), Next::Wait(at_ms));
            now_ms = at_ms;
            assert_eq!(withdraw.next(&facts, now_ms, 0), Next::Call(PHONE));
            withdraw.failed(PHONE);
        }
        assert_eq!(withdraw.next(&facts, now_ms, 0), Next::End(Seq(4)));
    }

    #[test]
    fn what_is_not_read_or_shown_is_not_withdrawn() {
        let shown = facts().shown.unwrap();
        let unread = PushFacts { shown: Some(ShownRow { is_read: false, ..shown }), ..facts() };
        for facts in [PushFacts::default(), unread] {
            assert_eq!(Withdraw::default().next(&facts, NOW, 0), Next::Rest);
        }
        let below = PushFacts { read: Seq(3), ..facts() };
        let off = PushFacts { is_off: true, ..facts() };
        let gone = PushFacts { subscriptions: Vec::new(), ..facts() };
        for facts in [below, off, gone] {
            assert_eq!(Withdraw::default().next(&facts, NOW, 0), Next::End(Seq(4)));
        }
    }

    #[test]
    fn what_is_shown_anew_is_withdrawn_anew() {
        let (mut withdraw, mut facts) = (Withdraw::default(), facts());
        assert_eq!(withdraw.next(&facts, NOW, 0), Next::Call(PHONE));
        withdraw.failed(PHONE);
        facts.shown.as_mut().unwrap().is_read = false;
        facts.job = Some(JobRow { seq: Seq(5), ..JobRow::default() });
        assert_eq!(withdraw.next(&facts, NOW, 0), Next::Rest, "the newer one stands in its place");
        facts.shown = Some(ShownRow { seq: Seq(5), time_ms: NOW, is_read: true, targets: vec![PHONE] });
        facts.read = Seq(5);
        assert_eq!(withdraw.next(&facts, NOW, 0), Next::Call(PHONE));
        assert_eq!(withdraw.next(&facts, NOW, 0), Next::End(Seq(5)));
    }
}
