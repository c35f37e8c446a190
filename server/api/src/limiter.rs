//! Who asks too much: buckets by address, by name, by user and by device, and how often each has refused.
//!
//! **Logins.** A stranger pays for each try from three buckets (name with address, name, address), and has them back when
//! the password fits. So a stranger can empty those of an address that many share and those of a name. Whoever shows a
//! token that this server once gave a device of the account, be it expired, is no stranger: that device has a bucket of
//! its own, which nobody else can reach, so it never waits for them. A thief of such a token has ten guesses and then one
//! in six seconds, as anybody has.
//!
//! A token is taken before the password is checked, so guesses in parallel count too. Times are those of a clock that never
//! steps.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use protocol::{DeviceId, UserId};

use crate::buckets::{Bound, Buckets};
use crate::limits::{Limit, Limits};
use crate::network::household;

/// Guesses of one address at one name, and of a known device.
const GUESSES: u32 = 10;
/// Guesses of all strangers at one name, and of one address at all names: looser, because whoever empties the one keeps the
/// owner's new devices out, and many people can be behind one address. They come back so many times as fast.
const SHARED_GUESSES: u32 = 100;
const SHARED_FASTER: u64 = 6;
/// Good logins of one user: each costs the server a hash.
const USER: Bound = Bound { burst: 60, refill_ms: 5000 };
/// Guesses at one user's second factor, made by who knows the password: of a million codes three are good at a time, so
/// this lets a guesser who goes on for a year in with a chance of one in seven, and lets the owner mistype.
const CODE: Bound = Bound { burst: 10, refill_ms: 600_000 };

/// Searches of one user: each may cost what a thousand small requests do.
const SEARCHES: Bound = Bound { burst: 60, refill_ms: 500 };
/// Polls of one user, of all devices: what comes meanwhile goes into the next answer.
/// Reports of one user in an hour, and at once.
const REPORTS_PER_H: u32 = 20;
const POLLS: Bound = Bound { burst: 256, refill_ms: 20 };

/// Who logs in.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Nothing is known of it but the name it gives, bare, and where it comes from.
    Stranger(String, IpAddr),
    /// It has shown that it is a device of the account.
    Known(UserId, DeviceId),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Pair(String, IpAddr),
    Name(String),
    Address(IpAddr),
    Device(UserId, DeviceId),
    User(UserId),
    Code(UserId),
    Signups(IpAddr),
    AllSignups,
    Lookups(UserId),
    Searches(UserId),
    Polls(UserId),
    Reports(UserId),
    Jwts(IpAddr),
    Issuer(String),
}

/// Counts, refuses and tells how often it has refused.
#[derive(Debug)]
pub(crate) struct Limiter {
    began: Instant,
    limits: Limits,
    /// Apart, so that whoever fills one with keys makes none of the others forget.
    strangers: Mutex<Buckets<Key>>,
    known: Mutex<Buckets<Key>>,
    codes: Mutex<Buckets<Key>>,
    signups: Mutex<Buckets<Key>>,
    lookups: Mutex<Buckets<Key>>,
    searches: Mutex<Buckets<Key>>,
    polls: Mutex<Buckets<Key>>,
    reports: Mutex<Buckets<Key>>,
    jwts: Mutex<Buckets<Key>>,
    issuers: Mutex<Buckets<Key>>,
    refused: [AtomicU64; Limit::ALL.len()],
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            began: Instant::now(),
            limits,
            strangers: Mutex::default(),
            known: Mutex::default(),
            codes: Mutex::default(),
            signups: Mutex::default(),
            lookups: Mutex::default(),
            searches: Mutex::default(),
            polls: Mutex::default(),
            reports: Mutex::default(),
            jwts: Mutex::default(),
            issuers: Mutex::default(),
            refused: [const { AtomicU64::new(0) }; Limit::ALL.len()],
        }
    }

    /// Milliseconds of a clock that never steps.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A try to log in, or after how many milliseconds to come again.
    pub(crate) fn take_login(&self, who: &Who, now_ms: u64) -> Result<(), u64> {
        self.take(of(self.buckets(who)), &self.login_keys(who), now_ms)
    }

    /// The try was a good one, or was not carried out.
    pub(crate) fn give_login_back(&self, who: &Who, now_ms: u64) {
        let mut buckets = of(self.buckets(who));
        for (key, bound, _) in self.login_keys(who) {
            buckets.give_back(&key, bound, now_ms);
        }
    }

    /// Whether a user has logged in too often. Looked at before the password is hashed; only good logins are counted, so
    /// nobody else can bring it about.
    pub(crate) fn check_user(&self, user: UserId, now_ms: u64) -> Result<(), u64> {
        let wait_ms = of(&self.known).wait_ms(&Key::User(user), USER, now_ms);
        if wait_ms > 0 {
            self.refuse(Limit::LoginUser);
            return Err(wait_ms);
        }
        Ok(())
    }

    /// A good login.
    pub(crate) fn count_user(&self, user: UserId, now_ms: u64) {
        of(&self.known).take(Key::User(user), USER, now_ms);
    }

    /// A guess at a user's second factor.
    pub(crate) fn take_code(&self, user: UserId, now_ms: u64) -> Result<(), u64> {
        self.take(of(&self.codes), &[(Key::Code(user), CODE, Limit::LoginCode)], now_ms)
    }

    /// The code was a good one, or was not looked at.
    pub(crate) fn give_code_back(&self, user: UserId, now_ms: u64) {
        of(&self.codes).give_back(&Key::Code(user), CODE, now_ms);
    }

    /// A sign-up from an address.
    pub(crate) fn take_signup(&self, address: IpAddr, now_ms: u64) -> Result<(), u64> {
        self.take(of(&self.signups), &self.signup_keys(address), now_ms)
    }

    /// The sign-up was not carried out, for want of something of the server's.
    pub(crate) fn give_signup_back(&self, address: IpAddr, now_ms: u64) {
        let mut buckets = of(&self.signups);
        for (key, bound, _) in self.signup_keys(address) {
            buckets.give_back(&key, bound, now_ms);
        }
    }

    /// A user looks another one up.
    pub(crate) fn take_lookup(&self, user: UserId, now_ms: u64) -> Result<(), u64> {
        let bound = Bound::per_hour(self.limits.user_lookups_per_h);
        self.take(of(&self.lookups), &[(Key::Lookups(user), bound, Limit::LookupUser)], now_ms)
    }

    /// A user searches.
    pub(crate) fn take_search(&self, user: UserId, now_ms: u64) -> Result<(), u64> {
        self.take(of(&self.searches), &[(Key::Searches(user), SEARCHES, Limit::SearchUser)], now_ms)
    }

    /// A device of a user polls.
    pub(crate) fn take_poll(&self, user: UserId, now_ms: u64) -> Result<(), u64> {
        self.take(of(&self.polls), &[(Key::Polls(user), POLLS, Limit::PollUser)], now_ms)
    }

    /// A user reports a message.
    pub(crate) fn take_report(&self, user: UserId, now_ms: u64) -> Result<(), u64> {
        let bound = Bound::per_hour(REPORTS_PER_H);
        self.take(of(&self.reports), &[(Key::Reports(user), bound, Limit::ReportUser)], now_ms)
    }

    /// A token of an issuer that was no good. Counted when that is known: checking one costs a few hundredths of what a password
    /// does, nobody guesses a signature, and whoever has a good one never waits for those who share the address.
    pub(crate) fn take_bad_jwt(&self, address: IpAddr, now_ms: u64) -> Result<(), u64> {
        let bound = self.shared();
        self.take(of(&self.jwts), &[(Key::Jwts(household(address)), bound, Limit::JwtAddress)], now_ms)
    }

    /// An account for one whom an issuer names. Only that issuer's people can use it up.
    pub(crate) fn take_first_sight(&self, issuer: &str, now_ms: u64) -> Result<(), u64> {
        let bound = Bound::per_hour(self.limits.issuer_users_per_h);
        self.take(of(&self.issuers), &[(Key::Issuer(issuer.to_owned()), bound, Limit::JwtIssuer)], now_ms)
    }

    /// Somebody was refused elsewhere.
    pub(crate) fn refuse(&self, limit: Limit) {
        if let Some(count) = self.refused.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a limit has refused.
    pub(crate) fn refused(&self, limit: Limit) -> u64 {
        self.refused.get(limit as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How many a limit lets through at once.
    pub(crate) fn bound(&self, limit: Limit) -> u64 {
        match limit {
            Limit::LoginPair | Limit::LoginDevice => GUESSES.into(),
            Limit::LoginName | Limit::LoginAddress | Limit::JwtAddress => SHARED_GUESSES.into(),
            Limit::LoginUser => USER.burst.into(),
            Limit::LoginCode => CODE.burst.into(),
            Limit::SignupAddress => self.limits.address_signups_per_h.into(),
            Limit::SignupAll => self.limits.signups_per_h.into(),
            Limit::JwtIssuer => self.limits.issuer_users_per_h.into(),
            Limit::LookupUser => self.limits.user_lookups_per_h.into(),
            Limit::SearchUser => SEARCHES.burst.into(),
            Limit::PollUser => POLLS.burst.into(),
            Limit::ReportUser => REPORTS_PER_H.into(),
            other => self.limits.bound(other),
        }
    }

    /// All of them or none: what is refused costs nothing.
    fn take(
        &self,
        mut buckets: MutexGuard<'_, Buckets<Key>>,
        keys: &[(Key, Bound, Limit)],
        now_ms: u64,
    ) -> Result<(), u64> {
        let waits = keys.iter().map(|(key, bound, limit)| (buckets.wait_ms(key, *bound, now_ms), *limit));
        if let Some((wait_ms, limit)) = waits.max_by_key(|(wait_ms, _)| *wait_ms)
            && wait_ms > 0
        {
            self.refuse(limit);
            return Err(wait_ms);
        }
        for (key, bound, _) in keys {
            buckets.take(key.clone(), *bound, now_ms);
        }
        Ok(())
    }

    fn buckets(&self, who: &Who) -> &Mutex<Buckets<Key>> {
        match who {
            Who::Stranger(..) => &self.strangers,
            Who::Known(..) => &self.known,
        }
    }

    fn login_keys(&self, who: &Who) -> Vec<(Key, Bound, Limit)> {
        let own = Bound { burst: GUESSES, refill_ms: self.limits.guess_refill_ms };
        let shared = self.shared();
        match who {
            Who::Stranger(name, address) => {
                let address = household(*address);
                vec![
                    (Key::Pair(name.clone(), address), own, Limit::LoginPair),
                    (Key::Name(name.clone()), shared, Limit::LoginName),
                    (Key::Address(address), shared, Limit::LoginAddress),
                ]
            }
            Who::Known(user, device) => vec![(Key::Device(*user, *device), own, Limit::LoginDevice)],
        }
    }

    fn shared(&self) -> Bound {
        let refill_ms = (self.limits.guess_refill_ms / SHARED_FASTER).max(1);
        Bound { burst: SHARED_GUESSES, refill_ms }
    }

    fn signup_keys(&self, address: IpAddr) -> [(Key, Bound, Limit); 2] {
        let one = Bound::per_hour(self.limits.address_signups_per_h);
        let all = Bound::per_hour(self.limits.signups_per_h);
        [
            (Key::Signups(household(address)), one, Limit::SignupAddress),
            (Key::AllSignups, all, Limit::SignupAll),
        ]
    }
}

fn of(buckets: &Mutex<Buckets<Key>>) -> MutexGuard<'_, Buckets<Key>> {
    buckets.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> Limiter {
        Limiter::new(Limits {
            address_signups_per_h: 3,
            signups_per_h: 5,
            user_lookups_per_h: 4,
            ..Limits::default()
        })
    }

    fn stranger(name: &str, address: &str) -> Who {
        Who::Stranger(name.into(), address.parse().unwrap())
    }

    #[test]
    fn the_eleventh_guess_waits() {
        let limiter = limiter();
        let alice = stranger("alice", "192.0.2.1");
        for guess in 0..10 {
            assert_eq!(limiter.take_login(&alice, 1_000_000), Ok(()), "guess {guess}");
        }
        assert_eq!(limiter.take_login(&alice, 1_000_000), Err(6000));
        assert_eq!(limiter.take_login(&alice, 1_005_999), Err(1));
        assert_eq!(limiter.refused(Limit::LoginPair), 2);
        assert_eq!(limiter.take_login(&alice, 1_006_000), Ok(()));
        assert_eq!(limiter.take_login(&stranger("bob", "192.0.2.1"), 1_006_000), Ok(()));
        assert_eq!(limiter.take_login(&stranger("alice", "192.0.2.2"), 1_006_000), Ok(()));
    }

    #[test]
    fn a_good_login_costs_a_stranger_nothing() {
        let limiter = limiter();
        let alice = stranger("alice", "192.0.2.1");
        for _ in 0..1000 {
            limiter.take_login(&alice, 5).unwrap();
            limiter.give_login_back(&alice, 5);
        }
    }

    #[test]
    fn one_address_cannot_try_every_name_and_a_household_is_one_address() {
        let limiter = limiter();
        let tries = |host: &str| {
            let try_one = |n: &u32| limiter.take_login(&stranger(&format!("{host}{n}"), host), 0).is_ok();
            (0..).take_while(try_one).take(500).count()
        };
        assert_eq!(tries("2001:db8::1"), 100);
        assert_eq!(tries("2001:db8::2"), 0);
        assert_eq!(tries("2001:db8:0:1::1"), 100);
    }

    #[test]
    fn a_known_device_does_not_wait_for_strangers() {
        let limiter = limiter();
        for n in 0..1000 {
            let _ = limiter.take_login(&stranger("alice", "192.0.2.1"), 0);
            let _ = limiter.take_login(&stranger("alice", &format!("198.51.100.{}", n % 256)), 0);
            let _ = limiter.take_login(&stranger(&n.to_string(), "192.0.2.1"), 0);
        }
        assert!(limiter.take_login(&stranger("alice", "203.0.113.1"), 0).is_err(), "the name is used up");
        let known = Who::Known(UserId(1), DeviceId(2));
        for _ in 0..10 {
            assert_eq!(limiter.take_login(&known, 0), Ok(()));
        }
        assert_eq!(limiter.take_login(&known, 0), Err(6000), "a thief of its token guesses no faster");
        assert_eq!(limiter.take_login(&Who::Known(UserId(1), DeviceId(3)), 0), Ok(()));
    }

    #[test]
    fn sign_ups_have_a_limit_for_an_address_and_one_for_all() {
        let limiter = limiter();
        let from = |address: &str| limiter.take_signup(address.parse().unwrap(), 0);
        assert_eq!([from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.1")], [Ok(()); 3]);
        assert_eq!(from("192.0.2.1"), Err(1_200_000));
        assert_eq!([from("192.0.2.2"), from("192.0.2.3")], [Ok(()); 2]);
        assert_eq!(from("192.0.2.4"), Err(720_000));
        limiter.give_signup_back("192.0.2.2".parse().unwrap(), 0);
        assert_eq!(from("192.0.2.4"), Ok(()));
        assert_eq!((limiter.refused(Limit::SignupAddress), limiter.refused(Limit::SignupAll)), (1, 1));
    }

    #[test]
    fn look_ups_and_good_logins_of_a_user() {
        let limiter = limiter();
        for _ in 0..4 {
            assert_eq!(limiter.take_lookup(UserId(1), 0), Ok(()));
        }
        assert_eq!(limiter.take_lookup(UserId(1), 0), Err(900_000));
        assert_eq!(limiter.take_lookup(UserId(2), 0), Ok(()));
        for _ in 0..60 {
            assert_eq!(limiter.check_user(UserId(1), 0), Ok(()));
            limiter.count_user(UserId(1), 0);
        }
        assert_eq!(limiter.check_user(UserId(1), 0), Err(5000));
        assert_eq!(limiter.refused(Limit::LoginUser), 1);
    }
    #[test]
    fn codes_are_guessed_slowly_from_wherever() {
        let limiter = limiter();
        for _ in 0..10 {
            assert_eq!(limiter.take_code(UserId(7), 1_000_000), Ok(()));
        }
        assert_eq!(limiter.take_code(UserId(7), 1_000_000), Err(600_000));
        assert_eq!(limiter.refused(Limit::LoginCode), 1);
        assert_eq!(limiter.take_code(UserId(8), 1_000_000), Ok(()));
        limiter.give_code_back(UserId(7), 1_000_000);
        assert_eq!(limiter.take_code(UserId(7), 1_000_000), Ok(()));
        let tries = (0..365 * 24 * 60).filter(|minute| limiter.take_code(UserId(9), minute * 60_000).is_ok());
        assert_eq!(tries.count(), 52_569);
    }
}
