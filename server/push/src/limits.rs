//! Every bound of push.

use std::time::Duration;

use protocol::commit::Provider;

/// What the shards may have told that was not looked at yet.
pub const TOLD_MAX: usize = 65_536;
/// Calls to one provider at a time, wherever it is.
pub const AT_A_PROVIDER: usize = 64;
/// Of them, to one host that users name. The hosts of FCM and APNs have all of their provider's.
pub const AT_A_HOST: usize = 16;
/// Jobs looked at at a time. A job that finds no room at its provider waits in memory and not here, so that some are always left for a
/// provider that answers, whatever the others hold.
pub const AT_A_TIME: usize = PROVIDERS * AT_A_PROVIDER + 64;
/// Kinds of provider.
pub const PROVIDERS: usize = Provider::ALL.len();
/// Hosts whose failures are remembered.
pub const HOSTS_MAX: usize = 4096;
/// A job that waits for room at a host is told when there is some. Should that be lost, it looks again after so long, and at random up
/// to as long again.
pub const ROOM_WAIT: Duration = Duration::from_secs(30);
/// Connections that are kept for the next call, to hosts that users name; the ones above it end with their call.
pub const KEPT_MAX: usize = 256;
/// How long a connection to such a host is kept without a call.
pub const KEPT_IDLE: Duration = Duration::from_secs(30);
/// The same of the providers' own hosts: APNs takes connections that come and go for an attack.
pub const KEPT_IDLE_OWN: Duration = Duration::from_secs(3600);
/// An HTTP/2 connection that says nothing is asked whether it lives this often, and has as long to answer.
pub const PING_EVERY: Duration = Duration::from_secs(5);
/// Jobs of a bay in one read.
pub const JOBS_PAGE: u32 = 256;
/// From the first packet to the end of an answer.
pub const CALL_WAIT: Duration = Duration::from_secs(15);
/// The same of a withdrawal, for which a newer message of its channel waits.
pub const WITHDRAW_WAIT: Duration = Duration::from_secs(2);
/// From the head of an answer to its end: the head says what became of the call, the rest is words.
pub const WORDS_WAIT: Duration = Duration::from_secs(2);
/// Most bytes of an answer that are read.
pub const ANSWER_BYTES_MAX: usize = 8192;
/// What an HTTP/2 host may send ahead of what is read.
pub const WINDOW_BYTES: u32 = 64 * 1024;
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
/// An access token of FCM is renewed so long before its end.
pub const GRANT_MARGIN: Duration = Duration::from_secs(300);
/// After a token was not to be had, nobody asks for one for so long.
pub const GRANT_REST: Duration = Duration::from_secs(5);
/// A provider token of APNs is used for so long: it must be at most an hour old, and made at most every 20 minutes.
pub const APNS_TOKEN_AGE: Duration = Duration::from_secs(40 * 60);
/// The shortest time between two of them.
pub const APNS_TOKEN_AGE_MIN: Duration = Duration::from_secs(20 * 60);
/// How long a signature of this server is good for.
pub const VAPID_LIFE: Duration = Duration::from_secs(12 * 3600);

const _: () = assert!(AT_A_HOST <= AT_A_PROVIDER && PROVIDERS * AT_A_PROVIDER < AT_A_TIME);
// A connection that is dead is found before its call gives up, so that the next call makes another.
const _: () =
    assert!(WORDS_WAIT.as_secs() < CALL_WAIT.as_secs() && 2 * PING_EVERY.as_secs() < CALL_WAIT.as_secs());
const _: () =
    assert!(APNS_TOKEN_AGE_MIN.as_secs() < APNS_TOKEN_AGE.as_secs() && APNS_TOKEN_AGE.as_secs() < 3600);
// Four bytes a character, escaped at worst to six bytes each, and the rest of the payload.
const _: () = assert!((PREVIEW_CHARS_MAX + 2 * NAME_CHARS_MAX) * 12 + 512 < PAYLOAD_BYTES_MAX);
