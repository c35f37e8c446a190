//! How far members have come, at the channel's home: ordered like everything there, never ahead of what is stored. What
//! is read is told to be done when it is stored; what was delivered is written lazily and not answered. Who hears of it is
//! `receipts.rs`.

use protocol::body::marks::MarkDelivered;
use protocol::body::session::Done;
use protocol::body::sync::MarkRead;
use protocol::body::{self};
use protocol::commit::Row;
use protocol::{BayId, ChannelId, Code, Kind, Refusal, Seq};

use crate::channel::{Channel, Submit};
use crate::invariant::impossible;
use crate::order::forbidden;
use crate::pipeline::After;
use crate::shard::Shard;

impl Shard {
    pub(crate) fn mark_read(&mut self, id: ChannelId, submit: &Submit) {
        let Some(mark) = body::read::<MarkRead>(&submit.frame) else {
            return impossible!(self, "a mark that was not checked");
        };
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a mark for a channel that is not in memory");
        };
        let (user, seq) = (submit.origin.user, Seq(mark.seq));
        if let Err(refusal) = may_mark(channel, submit, seq) {
            return self.refuse(submit, &refusal);
        }
        let Some(position) = channel.position(user) else { return };
        // It never moves back. Who repeats a mark waits for it as the first did.
        if seq > position.read || submit.hides != position.hides {
            if seq > position.read {
                position.read = seq;
                position.delivered = position.delivered.max(seq);
            }
            position.hides = submit.hides;
            let row = Row::Position { channel: id, user, row: *position };
            let batch = self.pipeline.row(BayId::of_channel(id), row);
            channel.wrote(batch);
            self.changes.changed(self.now, id, user, batch);
            self.changes.written(id, user);
        }
        let done = body::encode(submit.frame.header().id, &Done { kind: Kind::MARK_READ.0 });
        let after = After::Answer(submit.origin, Kind::MARK_READ, done);
        if let Some(after) = self.pipeline.after_number(channel.dirty(), after) {
            self.after_stored(after);
        }
    }

    pub(crate) fn mark_delivered(&mut self, id: ChannelId, submit: &Submit) {
        let Some(mark) = body::read::<MarkDelivered>(&submit.frame) else {
            return impossible!(self, "a mark that was not checked");
        };
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a mark for a channel that is not in memory");
        };
        let (user, seq) = (submit.origin.user, Seq(mark.seq));
        if let Err(refusal) = may_mark(channel, submit, seq) {
            return self.refuse(submit, &refusal);
        }
        if channel.is_large() {
            // Nobody is shown it there, and a row for each member and message is what a large channel spares.
            return;
        }
        let Some(position) = channel.position(user) else { return };
        let is_news = seq > position.delivered.max(position.read) || submit.hides != position.hides;
        if !is_news || !self.changes.has_room() {
            return;
        }
        position.delivered = position.delivered.max(seq);
        position.hides = submit.hides;
        self.changes.changed(self.now, id, user, 0);
        self.changes.unwritten(self.now, id, user);
    }
}

/// Only members mark, and nothing that is not stored.
fn may_mark(channel: &mut Channel, submit: &Submit, seq: Seq) -> Result<(), Refusal> {
    let head = channel.durable();
    if channel.position(submit.origin.user).is_none() {
        return Err(forbidden());
    }
    if seq > head {
        let text = format!("{seq} is above the newest message, which is {head}");
        return Err(Refusal::new(Code::Limit, "seq", text));
    }
    Ok(())
}
