//! How each host and each provider does: some calls at a time, and to a host none for a while once it has failed again and
//! again. A job that finds no room waits in memory, and one of those that wait is told when a call has ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carry::WAITING_MAX;
use protocol::commit::Provider;
use tokio::sync::Notify;

use crate::limits::{AT_A_HOST, AT_A_PROVIDER, HOST_FAILURES_MAX, HOST_REST, HOSTS_MAX, ROOM_WAIT};
use crate::outbox::JobId;

/// Jobs that wait, each once.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<JobId>,
    known: BTreeSet<JobId>,
}

impl Queue {
    /// Whether it was not there before.
    fn push(&mut self, job: JobId) -> bool {
        let is_new = self.known.insert(job);
        if is_new {
            self.order.push_back(job);
        }
        is_new
    }

    fn pop(&mut self) -> Option<JobId> {
        let job = self.order.pop_front()?;
        self.known.remove(&job);
        Some(job)
    }
}

/// Calls under way at one place, and the jobs that wait for room there.
#[derive(Debug, Default)]
struct Room {
    calls: usize,
    waiting: Queue,
}

#[derive(Debug, Default)]
struct Host {
    room: Room,
    failures: u32,
    rests_until_ms: u64,
    /// Until somebody comes when the rest is over.
    is_resting: bool,
}

impl Host {
    /// One call after a rest decides: the next failure rests again.
    fn places(&self, provider: Provider) -> usize {
        match provider {
            _ if self.is_resting => 0,
            _ if self.failures >= HOST_FAILURES_MAX - 1 => 1,
            Provider::WebPush | Provider::Webhook => AT_A_HOST,
            Provider::Fcm | Provider::Apns => AT_A_PROVIDER,
        }
    }
}

#[derive(Debug, Default)]
struct Inside {
    providers: BTreeMap<Provider, Room>,
    hosts: BTreeMap<String, Host>,
    /// Jobs in all queues; at most `WAITING_MAX`.
    waiting: usize,
    /// Jobs that may find room now.
    freed: Vec<Freed>,
}

/// A job that may find room now, and where: when it was looked at, and needed none, another one may.
pub(crate) type Freed = (JobId, Provider, String);

/// All hosts that are called, or have failed.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    inside: Mutex<Inside>,
    has_freed: Notify,
}

/// A place at a host, for one call.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    hosts: &'a Hosts,
    provider: Provider,
    origin: String,
    /// Whether the host failed, and when.
    end: Option<(bool, u64)>,
}

fn at_random(most: Duration) -> u64 {
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
    getrandom::u64().unwrap_or(0) % most
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, or when to ask again. A job that finds no room is also told by [`Self::freed`].
    pub(crate) fn take(
        &self,
        (provider, origin): (Provider, &str),
        job: Option<JobId>,
        now_ms: u64,
    ) -> Result<Place<'_>, u64> {
        let mut inside = self.lock();
        let Inside { providers, hosts, waiting, .. } = &mut *inside;
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(origin) {
            hosts.retain(|_, host| {
                let stays = host.room.calls > 0 || host.rests_until_ms > now_ms;
                *waiting -= if stays { 0 } else { host.room.waiting.order.len() };
                stays
            });
            if hosts.len() >= HOSTS_MAX {
                return Err(now_ms + 1000);
            }
        }
        let host = hosts.entry(origin.to_owned()).or_default();
        if host.rests_until_ms > now_ms {
            // Spread, so that those who wait do not all look again at once.
            return Err(host.rests_until_ms + at_random(HOST_REST / 3));
        }
        host.is_resting = false;
        let places = host.places(provider);
        let of_all = providers.entry(provider).or_default();
        let full = match () {
            () if host.room.calls >= places => Some(&mut host.room),
            () if of_all.calls >= AT_A_PROVIDER => Some(&mut *of_all),
            () => None,
        };
        if let Some(room) = full {
            if let Some(job) = job.filter(|_| *waiting < WAITING_MAX) {
                *waiting += usize::from(room.waiting.push(job));
            }
            return Err(now_ms + whole_ms(ROOM_WAIT) + at_random(ROOM_WAIT));
        }
        host.room.calls += 1;
        of_all.calls += 1;
        Ok(Place { hosts: self, provider, origin: origin.to_owned(), end: None })
    }

    /// The same for what is worth less than a job: half of the places are left.
    pub(crate) fn take_spare(
        &self,
        (provider, origin): (Provider, &str),
        now_ms: u64,
    ) -> Result<Place<'_>, u64> {
        let has_room = {
            let inside = self.lock();
            let of_all = inside.providers.get(&provider).map_or(0, |room| room.calls);
            let at_host = inside.hosts.get(origin);
            let is_free = at_host.is_none_or(|host| host.room.calls < host.places(provider) / 2);
            is_free && of_all < AT_A_PROVIDER / 2
        };
        if has_room { self.take((provider, origin), None, now_ms) } else { Err(now_ms + whole_ms(ROOM_WAIT)) }
    }

    /// Waits until there is room for somebody who waits for it.
    pub(crate) async fn has_freed(&self) {
        self.has_freed.notified().await;
    }

    /// Jobs that may find room now.
    pub(crate) fn freed(&self) -> Vec<Freed> {
        core::mem::take(&mut self.lock().freed)
    }

    /// A job that was told of room has been looked at. If there is room still, the next is told.
    pub(crate) fn looked_at(&self, provider: Provider, origin: &str) {
        if self.lock().free(provider, origin) {
            self.has_freed.notify_one();
        }
    }

    /// Hosts that rest.
    pub(crate) fn resting(&self, now_ms: u64) -> usize {
        self.lock().hosts.values().filter(|host| host.rests_until_ms > now_ms).count()
    }

    /// Calls under way to a provider.
    pub(crate) fn calls(&self, provider: Provider) -> usize {
        self.lock().providers.get(&provider).map_or(0, |room| room.calls)
    }
}

impl Inside {
    /// If the provider has room: tells one of those who wait for the host, if that has room, and one of those who wait for the provider;
    /// whether there was any. Who comes second waits again: a place that is free and that nobody knows of would be worse.
    fn free(&mut self, provider: Provider, origin: &str) -> bool {
        let of_all = self.providers.get_mut(&provider).filter(|room| room.calls < AT_A_PROVIDER);
        let Some(of_all) = of_all else { return false };
        let host = self.hosts.get_mut(origin).filter(|host| host.room.calls < host.places(provider));
        let jobs = [host.and_then(|host| host.room.waiting.pop()), of_all.waiting.pop()];
        let before = self.freed.len();
        self.freed.extend(jobs.into_iter().flatten().map(|job| (job, provider, origin.to_owned())));
        let freed = self.freed.len() - before;
        self.waiting -= freed;
        freed > 0
    }

    fn end(&mut self, provider: Provider, origin: &str, end: Option<(bool, u64)>) {
        if let Some(of_all) = self.providers.get_mut(&provider) {
            of_all.calls = of_all.calls.saturating_sub(1);
        }
        let Some(host) = self.hosts.get_mut(origin) else { return };
        host.room.calls = host.room.calls.saturating_sub(1);
        match end {
            Some((true, now_ms)) => {
                host.failures += 1;
                if host.failures >= HOST_FAILURES_MAX {
                    (host.failures, host.rests_until_ms) =
                        (HOST_FAILURES_MAX - 1, now_ms + whole_ms(HOST_REST));
                    host.is_resting = true;
                }
            }
            Some((false, _)) => host.failures = 0,
            None => {}
        }
        if host.room.calls == 0 && host.failures == 0 && host.room.waiting.order.is_empty() {
            self.hosts.remove(origin);
        }
    }
}

impl Place<'_> {
    pub(crate) fn ended(mut self, has_failed: bool, now_ms: u64) {
        self.end = Some((has_failed, now_ms));
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inside = self.hosts.lock();
        inside.end(self.provider, &self.origin, self.end);
        if inside.free(self.provider, &self.origin) {
            self.hosts.has_freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ChannelId, UserId};

    use super::*;

    fn job(user: u64) -> JobId {
        (UserId(user), ChannelId(1))
    }

    fn freed(hosts: &Hosts) -> Vec<JobId> {
        hosts.freed().into_iter().map(|(job, ..)| job).collect()
    }

    #[test]
    fn a_host_that_fails_rests_alone_and_one_call_decides_behind_it() {
        let hosts = Hosts::default();
        let (bad, good) = ((Provider::Webhook, "https://a"), (Provider::Webhook, "https://b"));
        for _ in 0..HOST_FAILURES_MAX {
            hosts.take(bad, None, 10).unwrap().ended(true, 10);
        }
        let until = hosts.take(bad, None, 11).unwrap_err();
        assert!((10 + 30_000..10 + 40_000).contains(&until), "{until}");
        assert_eq!(hosts.resting(11), 1);
        let places: Vec<_> = (0..AT_A_HOST).map(|_| hosts.take(good, None, 11).unwrap()).collect();
        assert!(hosts.take(good, None, 11).is_err());
        drop(places);
        let until = 10 + 30_000;
        let trial = hosts.take(bad, None, until).unwrap();
        assert!(hosts.take(bad, None, until).is_err(), "one at a time");
        trial.ended(true, until);
        assert_eq!(hosts.resting(until), 1);
        let until = until + 30_000;
        hosts.take(bad, None, until).unwrap().ended(false, until);
        hosts.take(bad, None, until).unwrap().ended(true, until);
        assert_eq!(hosts.resting(until), 0);
    }

    #[test]
    fn what_is_worth_less_than_a_job_leaves_half_of_the_places() {
        let hosts = Hosts::default();
        let host = |n: usize| (Provider::Webhook, ["https://a", "https://b", "https://c"][n]);
        let spare: Vec<_> = (0..AT_A_HOST / 2).map(|_| hosts.take_spare(host(0), 0).unwrap()).collect();
        assert!(hosts.take_spare(host(0), 0).is_err());
        let jobs: Vec<_> = (0..AT_A_HOST / 2).map(|_| hosts.take(host(0), None, 0).unwrap()).collect();
        let others: Vec<_> = (0..AT_A_PROVIDER / 2 - AT_A_HOST)
            .map(|n| hosts.take(host(1 + n / AT_A_HOST), None, 0).unwrap())
            .collect();
        assert!(hosts.take_spare(host(2), 0).is_err(), "half of the provider's");
        assert!(hosts.take(host(2), None, 0).is_ok());
        drop((spare, jobs, others));
        hosts.take_spare(host(2), 0).unwrap().ended(true, 0);
    }

    #[test]
    fn a_provider_that_is_full_leaves_the_others_alone_and_tells_who_waits() {
        let hosts = Hosts::default();
        let origins: Vec<String> = (0..=AT_A_PROVIDER / AT_A_HOST).map(|n| format!("https://{n}")).collect();
        let mut places = Vec::new();
        for origin in origins.iter().take(AT_A_PROVIDER / AT_A_HOST) {
            places.extend((0..AT_A_HOST).map(|_| hosts.take((Provider::Webhook, origin), None, 0).unwrap()));
        }
        let last = (Provider::Webhook, &**origins.last().unwrap());
        assert!(hosts.take(last, Some(job(1)), 0).is_err(), "a host of its own is no way around");
        assert!(hosts.take((Provider::Webhook, &origins[0]), Some(job(2)), 0).is_err());
        assert_eq!(freed(&hosts), []);
        let fcm: Vec<_> =
            (0..AT_A_PROVIDER).map(|_| hosts.take((Provider::Fcm, "fcm"), None, 0).unwrap()).collect();
        assert_eq!((fcm.len(), hosts.calls(Provider::Fcm)), (AT_A_PROVIDER, AT_A_PROVIDER));
        // A call to the first host ends: one place, of which both are told.
        drop(places.remove(0));
        assert_eq!(freed(&hosts), [job(2), job(1)]);
        let taken = hosts.take(last, Some(job(1)), 0).unwrap();
        assert!(hosts.take((Provider::Webhook, &origins[0]), Some(job(2)), 0).is_err());
        drop(taken);
        assert_eq!(freed(&hosts), [job(2)]);
        // It needed none, and so nobody else is told, who is not there.
        hosts.looked_at(Provider::Webhook, &origins[0]);
        drop((places, fcm));
        assert_eq!((freed(&hosts), hosts.calls(Provider::Webhook)), (vec![], 0));
        assert!(hosts.lock().hosts.is_empty() && hosts.lock().waiting == 0);
    }

    #[test]
    fn hosts_that_rest_leave_their_room_to_who_waits_for_the_provider() {
        let hosts = Hosts::default();
        let origins: Vec<String> = (0..AT_A_PROVIDER / AT_A_HOST).map(|n| format!("https://{n}")).collect();
        let take = |origin: &str, n| hosts.take((Provider::Webhook, origin), Some(job(n)), 0);
        let mut places = Vec::new();
        for origin in &origins {
            places.extend((0..AT_A_HOST).map(|_| take(origin, 0).unwrap()));
            // More wait for a host that will fail than there are calls.
            (0..100).for_each(|n| assert!(take(origin, n).is_err()));
        }
        (1000..1010).for_each(|n| assert!(take("https://good", n).is_err()));
        places.into_iter().for_each(|place| place.ended(true, 0));
        let freed = freed(&hosts);
        assert!((1000..1010).all(|n| freed.contains(&job(n))), "{freed:?}");
        assert_eq!(hosts.resting(1), origins.len());
    }
}
