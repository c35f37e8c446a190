//! The bounds of the control plane: what an operator may set, what is fixed, and how long things may take.

use std::time::Duration;

/// Connections of the admin listener at a time.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Known devices that may wait for a hashing place: a hash takes some 50 ms, so the last waits seconds.
pub(crate) const KNOWN_WAITING_MAX: usize = 256;
/// The same of other logins.
pub(crate) const LOGINS_WAITING_MAX: usize = 64;
/// The same of sign-ups.
pub(crate) const SIGNUPS_WAITING_MAX: usize = 32;
/// Of so many hashes one is a sign-up's if one waits, whoever else does.
pub(crate) const SIGNUP_EVERY: u32 = 8;

/// Bodies with a text that are read or under way at a time: each may have 1.2 MB.
pub(crate) const TEXTS_MAX: usize = 64;
/// The same of one user.
pub(crate) const USER_TEXTS_MAX: usize = 8;

/// What an operator may set, with the documented defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections of the public listener at a time.
    pub connections_max: usize,
    /// Of one address (IPv6: of one /64); trusted proxies have no such bound.
    pub address_connections_max: usize,
    /// After ten wrong passwords of an address for a name, or of a known device, one more is let through this often; of an
    /// address for all names, or for a name from everywhere, after a hundred six times as often. Milliseconds.
    pub guess_refill_ms: u64,
    /// Sign-ups of one address in an hour, and at once.
    pub address_signups_per_h: u32,
    /// Sign-ups of all addresses in an hour, and at once.
    pub signups_per_h: u32,
    /// Look-ups of users by one user in an hour, and at once.
    pub user_lookups_per_h: u32,
    /// New users whom one issuer names in an hour, and at once.
    pub issuer_users_per_h: u32,
    /// How long a connection may take for what.
    pub patience: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            address_connections_max: 256,
            guess_refill_ms: 6000,
            address_signups_per_h: 100,
            signups_per_h: 1000,
            user_lookups_per_h: 1000,
            issuer_users_per_h: 1000,
            patience: Patience::default(),
        }
    }
}

impl Limits {
    /// The bounds that are numbers of connections or of waiting requests.
    pub(crate) fn bound(&self, limit: Limit) -> u64 {
        let count = match limit {
            Limit::HashKnown => KNOWN_WAITING_MAX,
            Limit::HashLogin => LOGINS_WAITING_MAX,
            Limit::HashSignup => SIGNUPS_WAITING_MAX,
            Limit::Connections => self.connections_max,
            Limit::AddressConnections => self.address_connections_max,
            Limit::AdminConnections => ADMIN_CONNECTIONS_MAX,
            Limit::Texts => TEXTS_MAX,
            Limit::UserTexts => USER_TEXTS_MAX,
            // The limiter's own.
            _ => 0,
        };
        count as u64
    }
}

/// How long a peer is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// A request's head must be whole after so long, the first of a connection and each later one.
    pub head: Duration,
    /// A request, its body included, is answered after so long or given up.
    pub request: Duration,
    /// The peer takes something of an answer within so long.
    pub stalled: Duration,
    /// From the head of a request to the last byte of its answer taken.
    pub exchange: Duration,
    /// The same of an export, from its first byte: it holds back the room of what is removed meanwhile.
    pub long: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // A poll may wait for half a minute.
        let [head, request, stalled, exchange, long] = [10, 40, 10, 60, 3600].map(Duration::from_secs);
        Self { head, request, stalled, exchange, long }
    }
}

/// What can refuse, each with a name in the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Limit {
    LoginPair,
    LoginName,
    LoginAddress,
    LoginDevice,
    LoginUser,
    LoginCode,
    SignupAddress,
    SignupAll,
    LookupUser,
    HashKnown,
    HashLogin,
    HashSignup,
    Connections,
    AddressConnections,
    AdminConnections,
    JwtAddress,
    JwtIssuer,
    Texts,
    UserTexts,
    SearchUser,
    PollUser,
    ReportUser,
}

impl Limit {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 22] = [
        Self::LoginPair,
        Self::LoginName,
        Self::LoginAddress,
        Self::LoginDevice,
        Self::LoginUser,
        Self::LoginCode,
        Self::SignupAddress,
        Self::SignupAll,
        Self::LookupUser,
        Self::HashKnown,
        Self::HashLogin,
        Self::HashSignup,
        Self::Connections,
        Self::AddressConnections,
        Self::AdminConnections,
        Self::JwtAddress,
        Self::JwtIssuer,
        Self::Texts,
        Self::UserTexts,
        Self::SearchUser,
        Self::PollUser,
        Self::ReportUser,
    ];

    /// The label in the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::LoginPair => "login_name_and_address",
            Self::LoginName => "login_name",
            Self::LoginAddress => "login_address",
            Self::LoginDevice => "login_device",
            Self::LoginUser => "login_user",
            Self::LoginCode => "login_code",
            Self::SignupAddress => "signup_address",
            Self::SignupAll => "signup_all",
            Self::LookupUser => "lookup_user",
            Self::HashKnown => "hash_known",
            Self::HashLogin => "hash_login",
            Self::HashSignup => "hash_signup",
            Self::Connections => "connections",
            Self::AddressConnections => "address_connections",
            Self::AdminConnections => "admin_connections",
            Self::JwtAddress => "jwt_address",
            Self::JwtIssuer => "jwt_issuer",
            Self::Texts => "texts",
            Self::UserTexts => "texts_user",
            Self::SearchUser => "search_user",
            Self::PollUser => "poll_user",
            Self::ReportUser => "report_user",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_place() {
        for (place, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, place, "{}", limit.label());
        }
    }
}
