//! Failed logins: each costs a token of three buckets (name with address, name, address), refilled with time.
//!
//! A token is taken before the password is checked and given back when it fits, so guesses in parallel count too.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use protocol::UserId;

/// Buckets of one generation. Two generations are remembered, about 10 MiB.
const BUCKETS_MAX: usize = 32_768;

/// How many, and how fast they come back.
#[derive(Clone, Copy, Debug)]
struct Bound {
    burst: u32,
    refill_ms: u64,
}

/// Guesses of one address at one name.
const PAIR: Bound = Bound { burst: 10, refill_ms: 6000 };
/// Guesses of all addresses at one name: looser, because whoever exhausts it keeps the owner out.
const NAME: Bound = Bound { burst: 100, refill_ms: 1000 };
/// Guesses of one address at all names: many people can be behind one address.
const ADDRESS: Bound = Bound { burst: 100, refill_ms: 1000 };

/// Guesses at one user's second factor, made by who knows the password: of a million codes three are good at a time, so
/// this lets a guesser who goes on for a year in with a chance of one in seven, and lets the owner mistype.
const CODE: Bound = Bound { burst: 10, refill_ms: 600_000 };

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Pair(String, IpAddr),
    Name(String),
    Address(IpAddr),
    Code(UserId),
}

impl Key {
    fn bound(&self) -> Bound {
        match self {
            Self::Pair(..) => PAIR,
            Self::Name(_) => NAME,
            Self::Address(_) => ADDRESS,
            Self::Code(_) => CODE,
        }
    }
}

/// Counts failed logins.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    buckets: Mutex<Buckets>,
}

/// When each bucket will be full again, in milliseconds (the generic cell rate algorithm, ITU-T I.371). A generation
/// that has its number becomes the old one, and the old one is forgotten: bounded memory at a constant cost.
#[derive(Debug, Default)]
struct Buckets {
    young: HashMap<Key, u64>,
    old: HashMap<Key, u64>,
}

impl Buckets {
    fn full_at_ms(&self, key: &Key) -> Option<u64> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn set(&mut self, key: Key, full_at_ms: u64) {
        if self.young.len() >= BUCKETS_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, full_at_ms);
    }
}

impl Limiter {
    /// Takes a token of each bucket, or says after how many milliseconds to come again.
    pub(crate) fn take(&self, name: &str, address: IpAddr, now_ms: u64) -> Result<(), u64> {
        self.take_each(&keys(name, address), now_ms)
    }

    /// As [`Self::take`] for a guess at a user's second factor.
    pub(crate) fn take_code(&self, user: UserId, now_ms: u64) -> Result<(), u64> {
        self.take_each(&[Key::Code(user)], now_ms)
    }

    fn take_each(&self, keys: &[Key], now_ms: u64) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = keys.iter().map(|key| wait_ms(&buckets, key, now_ms)).max().unwrap_or(0);
        if waits > 0 {
            return Err(waits);
        }
        for key in keys {
            let full_at_ms = buckets.full_at_ms(key).unwrap_or(0).max(now_ms) + key.bound().refill_ms;
            buckets.set(key.clone(), full_at_ms);
        }
        Ok(())
    }

    /// Gives the tokens of one `take` back: the login was good.
    pub(crate) fn give_back(&self, name: &str, address: IpAddr) {
        self.give_back_each(&keys(name, address));
    }

    /// Gives the token of one `take_code` back.
    pub(crate) fn give_code_back(&self, user: UserId) {
        self.give_back_each(&[Key::Code(user)]);
    }

    fn give_back_each(&self, keys: &[Key]) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if let Some(full_at_ms) = buckets.full_at_ms(key) {
                let full_at_ms = full_at_ms.saturating_sub(key.bound().refill_ms);
                buckets.set(key.clone(), full_at_ms);
            }
        }
    }
}

fn keys(name: &str, address: IpAddr) -> [Key; 3] {
    let address = network(address);
    [Key::Pair(name.to_owned(), address), Key::Name(name.to_owned()), Key::Address(address)]
}

/// One household of IPv6 has a whole /64: it counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

fn wait_ms(buckets: &Buckets, key: &Key, now_ms: u64) -> u64 {
    let bound = key.bound();
    let full_at_ms = buckets.full_at_ms(key).unwrap_or(0);
    let room_ms = u64::from(bound.burst - 1) * bound.refill_ms;
    full_at_ms.saturating_sub(now_ms).saturating_sub(room_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_eleventh_guess_waits() {
        let limiter = Limiter::default();
        let home = address("192.0.2.1");
        for guess in 0..10 {
            assert_eq!(limiter.take("alice", home, 1_000_000), Ok(()), "guess {guess}");
        }
        assert_eq!(limiter.take("alice", home, 1_000_000), Err(6000));
        assert_eq!(limiter.take("alice", home, 1_005_999), Err(1));
        assert_eq!(limiter.take("alice", home, 1_006_000), Ok(()));
        assert_eq!(limiter.take("bob", home, 1_006_000), Ok(()));
        assert_eq!(limiter.take("alice", address("192.0.2.2"), 1_006_000), Ok(()));
    }

    #[test]
    fn a_good_login_costs_nothing() {
        let limiter = Limiter::default();
        for _ in 0..1000 {
            limiter.take("alice", address("192.0.2.1"), 5).unwrap();
            limiter.give_back("alice", address("192.0.2.1"));
        }
    }

    #[test]
    fn one_address_cannot_try_every_name_and_a_household_is_one_address() {
        let limiter = Limiter::default();
        let tries = |host: &str| {
            (0..)
                .take_while(|n| limiter.take(&format!("{host}{n}"), address(host), 0).is_ok())
                .take(500)
                .count()
        };
        assert_eq!(tries("2001:db8::1"), 100);
        assert_eq!(tries("2001:db8::2"), 0);
        assert_eq!(tries("2001:db8:0:1::1"), 100);
    }

    #[test]
    fn codes_are_guessed_slowly_from_wherever() {
        let limiter = Limiter::default();
        for _ in 0..10 {
            assert_eq!(limiter.take_code(UserId(7), 1_000_000), Ok(()));
        }
        assert_eq!(limiter.take_code(UserId(7), 1_000_000), Err(600_000));
        assert_eq!(limiter.take_code(UserId(8), 1_000_000), Ok(()));
        limiter.give_code_back(UserId(7));
        assert_eq!(limiter.take_code(UserId(7), 1_000_000), Ok(()));
        let tries = (0..365 * 24 * 60).filter(|minute| limiter.take_code(UserId(9), minute * 60_000).is_ok());
        assert_eq!(tries.count(), 52_569);
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::default();
        for n in 0..70_000_u32 {
            let _ = limiter.take(&n.to_string(), IpAddr::from(n.to_be_bytes()), 0);
        }
        let buckets = limiter.buckets.lock().unwrap();
        assert!(buckets.young.len() <= BUCKETS_MAX && buckets.old.len() <= BUCKETS_MAX);
    }
}
