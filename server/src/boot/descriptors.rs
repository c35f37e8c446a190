//! How the descriptors that the system allows are shared out, so that whoever comes last is refused in words or closed, and
//! nobody who is in goes without.

use crate::config::Config;

/// What the control plane wants besides its connections: databases, listeners, certificates.
const OF_CONTROL: u64 = 64;
/// Kept free for accept itself and for what is opened for a moment; a sixteenth, where there are few.
const SPARE: u64 = 256;
/// What the store holds at least and at most; between them a sixteenth.
const OF_STORE: (u64, u64) = (256, 32_768);
/// Connections of a shard, however few descriptors there are.
const OF_SHARD_MIN: usize = 16;
/// Fewer connections than that are worth a warning: nobody means to serve so few.
const FEW: u64 = 4096;

/// Who has how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shares {
    limit: u64,
    /// HTTP connections at the public listener.
    pub(crate) http: usize,
    /// Connections of devices.
    chat: u64,
}

impl Shares {
    /// Of so many.
    pub(crate) fn of(limit: u64, http_wanted: usize) -> Self {
        let store = (limit / 16).clamp(OF_STORE.0, OF_STORE.1);
        let admin = api::limits::ADMIN_CONNECTIONS_MAX;
        // However many are set, HTTP leaves three quarters to the others.
        let http = usize::try_from(limit / 4)
            .unwrap_or(usize::MAX)
            .saturating_sub(admin)
            .clamp(8, http_wanted.max(8));
        let used = store + OF_CONTROL + SPARE.min(limit / 16) + (http + admin) as u64;
        Self { limit, http, chat: limit.saturating_sub(used) }
    }

    /// What this process may have.
    pub(crate) fn of_process(config: &Config) -> Self {
        Self::of(super::cores::descriptors(), config.access.limits.connections_max)
    }

    /// What each shard may hold.
    pub(super) fn of_shard(&self, config: &Config, shards: u16) -> usize {
        let all = config.connections.unwrap_or(u64::MAX).min(self.chat);
        usize::try_from(all / u64::from(shards.max(1))).unwrap_or(usize::MAX).max(OF_SHARD_MIN)
    }

    /// Says what there is room for, and where that is less than was set.
    pub(super) fn tell(&self, config: &Config, shards: u16) {
        let Self { limit, http, chat } = *self;
        let a_shard = self.of_shard(config, shards);
        tracing::info!(descriptors = limit, connections = chat, a_shard, http, "room for connections");
        const WHAT_TO_DO: &str =
            "raise the hard limit: LimitNOFILE= of systemd, --ulimit nofile= of Docker, ulimit -Hn";
        if let Some(set) = config.connections.filter(|set| *set > chat) {
            tracing::warn!(set, chat, WHAT_TO_DO, "fewer descriptors than the setting connections asks for");
        } else if config.connections.is_none() && chat < FEW {
            tracing::warn!(chat, WHAT_TO_DO, "few descriptors: few connections");
        }
        let set = config.access.limits.connections_max;
        if set > http {
            tracing::warn!(
                set,
                http,
                WHAT_TO_DO,
                "fewer descriptors than the setting http_connections asks for"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_shared_out_and_no_more() {
        for limit in [1024, 4096, 20_000, 1 << 20] {
            let shares = Shares::of(limit, 1024);
            let store = (limit / 16).clamp(256, 32_768);
            let of_http = (shares.http + api::limits::ADMIN_CONNECTIONS_MAX) as u64;
            assert!(store + 64 + of_http + shares.chat < limit, "{shares:?}");
            assert!(shares.chat >= limit / 3, "{shares:?}");
        }
        assert_eq!(Shares::of(1024, 1024).http, 192);
        assert_eq!(Shares::of(20_000, 1024), Shares { limit: 20_000, http: 1024, chat: 17_342 });
        assert_eq!(Shares::of(64, 1024).chat, 0);
    }

    #[test]
    fn a_shard_has_its_part() {
        let shares = Shares::of(20_000, 1024);
        let of_shard =
            |connections, shards| shares.of_shard(&Config { connections, ..Config::default() }, shards);
        assert_eq!((of_shard(None, 2), of_shard(Some(1000), 2)), (8671, 500));
        assert_eq!((of_shard(Some(1 << 30), 2), of_shard(Some(16), 64)), (8671, 16));
    }
}
