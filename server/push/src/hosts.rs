//! How each host does: a few calls at a time, and none for a while once it has failed again and again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::limits::{AT_A_HOST, HOST_FAILURES_MAX, HOST_REST, HOSTS_MAX};

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    calls: usize,
    failures: u32,
    rests_until_ms: u64,
}

/// All hosts that are called, or have failed.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Mutex<BTreeMap<String, Host>>);

/// A place at a host.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    hosts: &'a Hosts,
    origin: String,
    /// Whether it failed, and when.
    end: Option<(bool, u64)>,
}

impl Hosts {
    /// A place, or when to ask again.
    pub(crate) fn take(&self, origin: &str, now_ms: u64) -> Result<Place<'_>, u64> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(origin) {
            hosts.retain(|_, host| host.calls > 0 || host.rests_until_ms > now_ms);
            if hosts.len() >= HOSTS_MAX {
                return Err(now_ms + 1000);
            }
        }
        let host = hosts.entry(origin.to_owned()).or_default();
        if host.rests_until_ms > now_ms {
            return Err(host.rests_until_ms);
        }
        if host.calls >= AT_A_HOST {
            // Spread, so that those who wait do not all look again at once.
            return Err(now_ms + 200 + getrandom::u64().unwrap_or(0) % 1000);
        }
        host.calls += 1;
        Ok(Place { hosts: self, origin: origin.to_owned(), end: None })
    }

    /// Hosts that rest.
    pub(crate) fn resting(&self, now_ms: u64) -> usize {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.values().filter(|host| host.rests_until_ms > now_ms).count()
    }
}

impl Place<'_> {
    pub(crate) fn ended(mut self, has_failed: bool, now_ms: u64) {
        self.end = Some((has_failed, now_ms));
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut hosts = self.hosts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(host) = hosts.get_mut(&self.origin) else { return };
        host.calls = host.calls.saturating_sub(1);
        match self.end {
            Some((true, now_ms)) => {
                host.failures += 1;
                if host.failures >= HOST_FAILURES_MAX {
                    // One call after the rest decides: the next failure rests again.
                    (host.failures, host.rests_until_ms) =
                        (HOST_FAILURES_MAX - 1, now_ms + u64::try_from(HOST_REST.as_millis()).unwrap_or(0));
                }
            }
            Some((false, _)) => host.failures = 0,
            None => {}
        }
        if host.calls == 0 && host.failures == 0 {
            hosts.remove(&self.origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_fails_rests_alone() {
        let hosts = Hosts::default();
        for _ in 0..HOST_FAILURES_MAX {
            hosts.take("https://a", 10).unwrap().ended(true, 10);
        }
        let until = hosts.take("https://a", 11).unwrap_err();
        assert_eq!((until, hosts.resting(11)), (10 + 30_000, 1));
        let places: Vec<_> = (0..AT_A_HOST).map(|_| hosts.take("https://b", 11).unwrap()).collect();
        assert!(hosts.take("https://b", 11).is_err());
        drop(places);
        hosts.take("https://a", until).unwrap().ended(false, until);
        hosts.take("https://a", until).unwrap().ended(true, until);
        assert_eq!(hosts.resting(until), 0);
    }
}
