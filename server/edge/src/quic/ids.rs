//! Connection ids that say which shard they belong to.

use core::time::Duration;

use protocol::ShardId;
use quinn_proto::{ConnectionId, ConnectionIdGenerator};
use ring::hmac;

use crate::limits::QUIC_ID_BYTES;

/// Makes ids of the shard's number and seven bytes that nobody can guess or link. The kernel's steering program reads
/// the first byte; see RFC 9000 section 5.1 for what an id must not tell. That it tells the shard is on purpose: it says
/// as much about the connection as the port of a server with one port a shard would.
#[derive(Debug)]
pub(super) struct Ids {
    shard: u8,
    key: hmac::Key,
    made: u64,
}

impl Ids {
    pub(super) fn new(shard: ShardId, seed: &[u8]) -> Self {
        let shard = u8::try_from(shard.0).unwrap_or(u8::MAX);
        Self { shard, key: hmac::Key::new(hmac::HMAC_SHA256, seed), made: 0 }
    }
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.made += 1;
        let tag = hmac::sign(&self.key, &self.made.to_le_bytes());
        let mut id = [self.shard; QUIC_ID_BYTES];
        for (to, from) in id.iter_mut().skip(1).zip(tag.as_ref()) {
            *to = *from;
        }
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        QUIC_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_their_shard_and_nothing_else() {
        let mut ids = Ids::new(ShardId(3), b"seed");
        let (a, b) = (ids.generate_cid(), ids.generate_cid());
        assert_eq!((a[0], b[0], a.len()), (3, 3, QUIC_ID_BYTES));
        assert_ne!(a[1..], b[1..]);
        let mut other = Ids::new(ShardId(3), b"another");
        assert_ne!(other.generate_cid(), a);
    }
}
