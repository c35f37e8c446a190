//! Every bound of push.

use std::time::Duration;

pub use carry::WAITING_MAX;

/// What the shards may have told that was not looked at yet.
pub const TOLD_MAX: usize = 65_536;
/// Jobs carried out at a time.
pub const AT_A_TIME: usize = 64;
/// Of them, to one host.
pub const AT_A_HOST: usize = 16;
/// Hosts whose failures are remembered.
pub const HOSTS_MAX: usize = 4096;
/// Jobs of a bay in one read.
pub const JOBS_PAGE: u32 = 256;
/// A message that could not be told within so long is told no more.
pub const TTL: Duration = Duration::from_millis(carry::TTL_MS);
/// From the first packet to the end of an answer.
pub const CALL_WAIT: Duration = Duration::from_secs(15);
/// Most bytes of an answer that are read.
pub const ANSWER_BYTES_MAX: usize = 4096;
/// Most bytes of the head of an answer.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest wait after a failure, and the longest `Retry-After` that is believed.
pub const RETRY_MAX: Duration = Duration::from_millis(carry::RETRY_MAX_MS);
/// Failures of a host in a row after which nobody calls it for a while.
pub const HOST_FAILURES_MAX: u32 = 8;
/// For how long.
pub const HOST_REST: Duration = Duration::from_secs(30);
/// Characters of a message that a push shows.
pub const PREVIEW_CHARS_MAX: usize = 120;
/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 64;
/// Bytes of an encrypted record, header, padding and tag included: services take 4096.
pub const RECORD_BYTES: u32 = 4096;
/// Bytes of a payload: what a record has room for.
pub const PAYLOAD_BYTES_MAX: usize = RECORD_BYTES as usize - 86 - 17;
/// Lines of what became of jobs that are kept for whoever asks about a message: about 3 MB at most.
pub const DIARY_ENTRIES: usize = 8192;
/// Of one user and message as many are shown, the newest.
pub const DIARY_SHOWN: usize = 16;
/// Characters of a provider's words in such a line.
pub const DIARY_WORDS_MAX: usize = 200;
/// How long a signature of this server is good for.
pub const VAPID_LIFE: Duration = Duration::from_secs(12 * 3600);

const _: () = assert!(AT_A_HOST <= AT_A_TIME);
// Four bytes a character, escaped at worst to six bytes each, and the rest of the payload.
const _: () = assert!((PREVIEW_CHARS_MAX + 2 * NAME_CHARS_MAX) * 12 + 512 < PAYLOAD_BYTES_MAX);
