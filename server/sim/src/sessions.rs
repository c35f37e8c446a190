//! Rule 5: a device has at most one session. Checked at the end of every step.

use std::collections::BTreeMap;

use crate::broken;
use crate::node::Node;
use crate::oracle::Check;

/// No device has two connections that were welcomed and that the core has not closed.
///
/// # Errors
/// Which device has two.
pub fn single(node: &Node) -> Check {
    let mut live = BTreeMap::new();
    for (id, conn) in &node.conns {
        let Some(watch) = conn.watch.as_ref().filter(|watch| watch.is_welcomed() && conn.is_live()) else {
            continue;
        };
        if let Some(other) = live.insert(watch.device(), *id) {
            broken!("device {} has two live connections, {other:?} and {id:?}", watch.device());
        }
    }
    Ok(())
}
