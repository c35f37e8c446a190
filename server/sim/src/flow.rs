//! Rules 4 and 9: who sends to a store that is full is not read until there is room, and who is not read is not closed for
//! silence. Only of connections at their user's home, and of channels whose home is the same shard: what another shard
//! knows is on the way, but what a shard knows of itself it acts on at once.

use std::collections::BTreeSet;

use protocol::body::message::channel_of;
use protocol::{CloseCode, Kind, Placement, ShardId};
use shard::{ConnId, Effect, Input, Shard};

use crate::broken;
use crate::conn::Conn;
use crate::network::frames;
use crate::oracle::Check;

/// What one turn of a shard owes.
#[derive(Debug, Default)]
pub struct Flow {
    /// Those that sent to a full store.
    sent: Vec<ConnId>,
    /// Those that were refused, closed, or read again within the turn.
    excused: BTreeSet<ConnId>,
}

impl Flow {
    /// An input is about to be stepped.
    pub fn steps(
        &mut self,
        (own, shard): (ShardId, &Shard),
        placement: Placement,
        input: &Input,
        conn: Option<&Conn>,
    ) {
        let (Input::Frame { conn: id, frame }, Some(conn)) = (input, conn) else { return };
        let is_welcomed = conn.watch.as_ref().is_some_and(|watch| watch.is_welcomed());
        let channel = channel_of(frame);
        let is_full = |channel| placement.channel_home(channel) == own && shard.is_full();
        if is_welcomed && !conn.is_held && channel.is_some_and(is_full) {
            self.sent.push(*id);
        }
    }

    /// The turn led to this.
    ///
    /// # Errors
    /// A session that is not read was closed for silence.
    pub fn led_to(&mut self, effect: &Effect, conn: Option<&Conn>) -> Check {
        match effect {
            Effect::Transmit { conn, frames: bytes } => {
                let refused =
                    frames(bytes.clone()).is_ok_and(|all| all.iter().any(|f| f.kind() == Kind::REJECT));
                self.excused.extend(refused.then_some(*conn));
            }
            Effect::Close { conn: id, code } => {
                self.excused.insert(*id);
                if *code == CloseCode::HeartbeatTimeout && conn.is_some_and(|c| c.paused && !c.is_held) {
                    broken!("{id:?} is closed for silence while it is not read");
                }
            }
            Effect::Resume { conn } => drop(self.excused.insert(*conn)),
            _ => {}
        }
        Ok(())
    }

    /// The turn has ended.
    ///
    /// # Errors
    /// Who sent to a full store and is still read.
    pub fn ends<'a>(self, conn: impl Fn(ConnId) -> Option<&'a Conn>) -> Check {
        let is_read = |id: &ConnId| conn(*id).is_some_and(|conn| !conn.paused && conn.is_live());
        if let Some(id) = self.sent.iter().find(|id| !self.excused.contains(id) && is_read(id)) {
            broken!("{id:?} sent to a store that is full, and is still read");
        }
        Ok(())
    }
}
