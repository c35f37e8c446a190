//! What the control plane asks of the data plane.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use protocol::{DeviceId, UserId};

/// The words with which the data plane refuses what makes rows while the disk is nearly full.
pub const DISK_NEARLY_FULL: &str = "the disk is nearly full; try again later";

/// An answer that is on its way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a user's devices connect best. Only a hint: every address serves everybody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The user's home.
    pub shard: u16,
    /// How many there are.
    pub shards: u16,
    /// Where QUIC is, and the SHA-256 of its certificate in hex; `None` when it is off.
    pub quic: Option<(SocketAddr, String)>,
}

/// The data plane as the control plane sees it. Every command is repeatable, so an answer that was lost costs nothing
/// but asking again.
pub trait Core: Send + Sync + 'static {
    /// Makes the user known to its home, durably. `Err` has words for the log and means "not now".
    fn create_account(&self, user: UserId, created_ms: u64) -> Pending<'_, Result<(), String>>;

    /// Makes the user's home forget the device and end its session. `Err` as above.
    fn remove_device(&self, user: UserId, device: DeviceId) -> Pending<'_, Result<(), String>>;

    /// Where a user's devices connect best.
    fn route(&self, user: UserId) -> Route {
        let _ = user;
        Route { shard: 0, shards: 1, quic: None }
    }

    /// Whether the disk is so nearly full that whatever makes rows is refused.
    fn is_storage_full(&self) -> bool {
        false
    }

    /// Whether every shard serves and none drains.
    fn is_ready(&self) -> bool;

    /// The data plane's metrics in the Prometheus text format.
    fn metrics(&self) -> Pending<'_, String>;
}
