//! What cannot happen. A state that only a fault of ours can bring about is never passed over in silence: it panics in
//! tests and in the simulator, and in release it is counted and ends the session that met it, or the process.
//!
//! A bare `else { return }` in the core is therefore legal and means one of these, unless it says another reason:
//! - a connection, held connection or session that is not there has closed meanwhile; its device comes again;
//! - a user or channel that is not there, or is being loaded, is what the function was called to find out;
//! - a queue, ring or list is empty, or nobody waited.

use protocol::CloseCode;

use crate::effect::{Effect, Fault};
use crate::session::SessionId;
use crate::shard::Shard;

/// Says that this place cannot be reached: `impossible!(shard, "words")` ends the process, `impossible!(shard, session_id,
/// "words")` the session.
macro_rules! impossible {
    ($shard:expr, $what:literal) => {
        $shard.impossible(concat!(file!(), ":", line!(), ": ", $what))
    };
    ($shard:expr, $session_id:expr, $what:literal) => {
        $shard.impossible_session($session_id, concat!(file!(), ":", line!(), ": ", $what))
    };
}
pub(crate) use impossible;

impl Shard {
    /// What the shard holds contradicts itself, so nothing it does from here on can be trusted.
    #[cold]
    pub(crate) fn impossible(&mut self, what: &'static str) {
        self.count_impossible(what);
        self.out.push(Effect::Fault(Fault::Impossible { what }));
    }

    /// What one session holds contradicts itself: the device comes again and begins anew.
    #[cold]
    pub(crate) fn impossible_session(&mut self, session_id: SessionId, what: &'static str) {
        self.count_impossible(what);
        self.end_session(session_id, CloseCode::Internal);
    }

    #[cfg(debug_assertions)]
    fn count_impossible(&mut self, what: &'static str) {
        panic!("impossible: {what}");
    }

    #[cfg(not(debug_assertions))]
    fn count_impossible(&mut self, _what: &'static str) {
        self.counters.impossible += 1;
    }
}
