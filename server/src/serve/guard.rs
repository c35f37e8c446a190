//! What the process gives away of itself when it ends, or by the files that it makes: nothing, unless the operator wants it.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// A core dump holds keys, tokens and messages; without one, nobody but root reads this
/// process's memory by /proc or ptrace either.
pub(super) fn keep_to_itself(core_dumps: bool) {
    if core_dumps {
        return;
    }
    let maximum = getrlimit(Resource::Core).maximum;
    let limited = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    let outcome = set_dumpable_behavior(DumpableBehavior::NotDumpable).and(limited);
    if let Err(error) = outcome {
        tracing::warn!(%error, "a crash may leave a core dump, with keys and messages in it");
    }
}
