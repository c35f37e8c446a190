//! The one place where the process ends because it can promise nothing more.

use protocol::ShardId;
use protocol::query::ReadFault;
use storage::StoreError;

use crate::logging::{self, last_words};

/// After an error of a commit its outcome is unknown, so nothing may be acked any more, by any thread. No destructor
/// runs and no other thread takes another step; at boot what the log holds is recovered and clients resend the rest.
pub fn commit_failed(error: &StoreError) -> ! {
    tracing::error!(%error, "a commit failed; its outcome is unknown, so the process ends");
    last_words(&format!("{error}; the outcome of the commit is unknown, so the process ends"));
    std::process::abort();
}

/// A shard cannot run: no listener, no epoll. The others would wait for it in vain.
pub fn shard_failed(shard: ShardId, error: &std::io::Error) -> ! {
    tracing::error!(%shard, %error, "a shard cannot run, so the process ends");
    last_words(&format!("shard {shard}: {error}"));
    std::process::abort();
}

/// A shard met a state that only a fault of ours can bring about: nothing it holds can be trusted any more. What was
/// acked is on disk, and a restart begins from there.
pub fn impossible(shard: ShardId, what: &str) -> ! {
    tracing::error!(%shard, what, "a state that cannot be was met, so the process ends; please report it");
    last_words(&format!("shard {shard}: impossible: {what}; the process ends, please report this"));
    std::process::abort();
}

/// The lane of the readers is sized for all that the shards may ask at once, and has no room: a fault of ours.
pub fn lane_full() -> ! {
    tracing::error!("more queries than the shards may ask, so the process ends; please report it");
    last_words("impossible: more queries than the shards may ask; the process ends, please report this");
    std::process::abort();
}

/// A committed row is damaged. Reading again finds the same, and what needs it can never go on: the process ends, so that
/// an operator looks, before more is built on what is left.
pub fn unreadable(shard: ShardId, fault: &ReadFault) -> ! {
    const WHAT_TO_DO: &str = "see \"A row cannot be read\" in docs/operations.md: keep a copy of the data directory, \
                              look at the disk, then mend or restore it";
    tracing::error!(%shard, %fault, WHAT_TO_DO, "a row cannot be read, so the process ends");
    last_words(&format!("a row cannot be read: {fault}; the process ends; {WHAT_TO_DO}"));
    std::process::abort();
}

/// A thread of the data plane panicked: what it held is gone, and the others wait for it in vain. To be called once,
/// before any thread is made.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        logging::tell_panic(panic);
        std::process::abort();
    }));
}
