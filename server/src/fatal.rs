//! The one place where the process ends because it can promise nothing more.

use protocol::{ShardId, StoreId};
use storage::StoreError;

/// After an error of a commit its outcome is unknown, so nothing may be acked any more, by any thread. No destructor
/// runs and no other thread takes another step; at boot what the log holds is recovered and clients resend the rest.
pub fn commit_failed(store: StoreId, error: &StoreError) -> ! {
    tracing::error!(%store, %error, "a commit failed; its outcome is unknown, so the process ends");
    eprintln!("maru: store {store}: {error}; the outcome of the commit is unknown, so the process ends");
    std::process::abort();
}

/// A shard cannot run: no listener, no epoll. The others would wait for it in vain.
pub fn shard_failed(shard: ShardId, error: &std::io::Error) -> ! {
    tracing::error!(%shard, %error, "a shard cannot run, so the process ends");
    eprintln!("maru: shard {shard}: {error}");
    std::process::abort();
}

/// A shard met a state that only a fault of ours can bring about: nothing it holds can be trusted any more. What was
/// acked is on disk, and a restart begins from there.
pub fn impossible(shard: ShardId, what: &str) -> ! {
    tracing::error!(%shard, what, "a state that cannot be was met, so the process ends; please report it");
    eprintln!("maru: shard {shard}: impossible: {what}; the process ends, please report this");
    std::process::abort();
}

/// A thread of the data plane panicked: what it held is gone, and the others wait for it in vain. To be called once,
/// before any thread is made.
pub fn end_on_panic() {
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        show(panic);
        std::process::abort();
    }));
}
