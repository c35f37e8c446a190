//! How far members have read, at the channel's home: ordered like everything there, never ahead of what is stored, and
//! told to be done when it is stored.

use protocol::body::session::Done;
use protocol::body::sync::MarkRead;
use protocol::body::{self};
use protocol::commit::Row;
use protocol::{BayId, ChannelId, Code, Kind, Refusal, Seq};

use crate::channel::Submit;
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
        let (user, seq, head) = (submit.origin.user, Seq(mark.seq), channel.durable());
        let Some(position) = channel.position(user) else {
            return self.refuse(submit, &forbidden());
        };
        if seq > head {
            let text = format!("{seq} is above the newest message, which is {head}");
            return self.refuse(submit, &Refusal::new(Code::Limit, "seq", text));
        }
        // It never moves back. Who repeats a mark waits for it as the first did.
        if seq > position.read {
            position.read = seq;
            let row = Row::Position { channel: id, user, row: *position };
            channel.wrote(self.pipeline.row(BayId::of_channel(id), row));
        }
        let done = body::encode(submit.frame.header().id, &Done { kind: Kind::MARK_READ.0 });
        let after = After::Answer(submit.origin, Kind::MARK_READ, done);
        if let Some(after) = self.pipeline.after_number(channel.dirty(), after) {
            self.after_stored(after);
        }
    }
}
