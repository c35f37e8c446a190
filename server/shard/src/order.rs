//! At a channel's home: a frame becomes the next message, or is answered or refused.

use protocol::body::{self};
use protocol::hop::{Hop, Origin};
use protocol::limits::PAGE_BYTES_MAX;
use protocol::query::{PageBounds, Query, Sent};
use protocol::{BayId, ChannelId, Code, Frame, Kind, Refusal, Seq, Stamp};

use crate::asks::Asked;
use crate::channel::{Appended, Channel, Standing, Submit, Terms, Verdict};
use crate::deliver::send_ack;
use crate::effect::Effect;
use crate::invariant::impossible;
use crate::ledger::Holds;
use crate::limits::WAITING_MAX;
use crate::memory::Found;
use crate::pipeline::Committing;
use crate::read::cannot_read;
use crate::shard::Shard;
use crate::unread::Load;

impl Shard {
    /// A frame about a channel whose home this is.
    pub(crate) fn submit(&mut self, id: ChannelId, submit: Submit) {
        if submit.frame.kind() == Kind::TYPING {
            // Nothing is loaded for it.
            return self.typing(id, &submit);
        }
        if self.ledger.of(Holds::Waiting) > Holds::Waiting.bound() as u64 {
            // Its senders are anywhere: they are refused here, before anything is done for them.
            return self.refuse(&submit, &busy());
        }
        match self.channels.find(&id, self.turn) {
            Found::Live(_) => self.serve_submit(id, submit),
            Found::Loading(waiting) if waiting.len() < WAITING_MAX => waiting.push_back(submit),
            Found::Loading(_) => self.refuse(&submit, &busy()),
            Found::Nowhere => {
                if !self.may_load(Load::Channel(id), false) {
                    return self.refuse(&submit, &cannot_read());
                }
                self.channels.begin(id, [submit].into());
                self.ask(Asked::Channel(id), Query::Channel(id));
            }
        }
    }

    pub(crate) fn channel_loaded(&mut self, id: ChannelId, mut channel: Channel) {
        channel.purged(self.purges.below(id));
        let Some(waiting) = self.channels.loaded(id, channel, self.turn) else {
            return impossible!(self, "a channel is loaded that was not asked for");
        };
        for submit in waiting {
            self.serve_submit(id, submit);
        }
    }

    /// Serves a frame, once those of a large channel are known whom it concerns.
    pub(crate) fn serve_submit(&mut self, id: ChannelId, submit: Submit) {
        if let Some(submit) = self.look_up(id, submit) {
            self.serve_known(id, submit);
        }
    }

    pub(crate) fn serve_known(&mut self, id: ChannelId, submit: Submit) {
        match submit.frame.kind() {
            Kind::GET_HISTORY => self.get_history(id, submit),
            Kind::GET_THREAD => self.get_thread(id, submit),
            Kind::GET_ABOUT => self.get_about(id, &submit),
            Kind::GET_MEMBERS => self.get_members(id, submit),
            Kind::MARK_READ => self.mark_read(id, &submit),
            Kind::MARK_DELIVERED => self.mark_delivered(id, &submit),
            Kind::GET_RECEIPTS => self.get_receipts(id, submit),
            Kind::GET_RULES => self.get_rules(id, submit),
            // Not the message: that is made once it is known what is left.
            Kind::ERASE => self.erase_in(id),
            kind if kind.is_message() => self.order(id, submit, Standing::Last),
            _ => impossible!(self, "a request that no channel answers"),
        }
    }

    /// Gives a send its place, unless others of the channel are before it.
    pub(crate) fn order(&mut self, id: ChannelId, submit: Submit, standing: Standing) {
        let (is_refusing, has_room) = (self.pipeline.is_refusing(), self.asks.has_page_room());
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a send for a channel that is not in memory");
        };
        let terms = Terms { limits: &self.config.limits, now: self.now, wall_ms: self.wall_ms };
        let verdict = match channel.judge(&submit, standing, terms, &self.withdrawals, is_refusing) {
            Ok(verdict) => verdict,
            Err(refusal) => return self.refuse(&submit, &refusal),
        };
        match verdict {
            Verdict::Queue if standing != Standing::Last => {
                impossible!(self, "a send whose turn has come waits again");
            }
            Verdict::Queue => match channel.wait(submit) {
                None => self.load_window(id),
                Some(submit) => self.refuse(&submit, &busy()),
            },
            Verdict::Answer(ack) => {
                self.counters.duplicates += 1;
                self.reply(submit.origin, submit.frame.kind(), ack);
            }
            Verdict::Repeat(seq) => {
                channel.repeat(seq, submit);
                self.counters.duplicates += 1;
            }
            Verdict::LookAtFirst if !has_room => self.refuse(&submit, &busy()),
            Verdict::LookAtFirst => {
                let page = PageBounds { messages: 1, bytes: PAGE_BYTES_MAX };
                let (after, before) = (Seq(0), Seq(2));
                let query = Query::History { channel: id, after, before, newest: false, page };
                self.ask(Asked::Created(submit), query);
            }
            // The readers have room for so many loads; who comes behind them is not at fault.
            Verdict::Open(questions) if questions.asks_store() && !self.asks.has_load_room() => {
                self.refuse(&submit, &busy());
            }
            Verdict::Open(questions) => self.open_newcomers(id, submit, questions),
            Verdict::Append => self.append(id, submit),
        }
    }

    /// The send becomes the channel's next message.
    fn append(&mut self, id: ChannelId, submit: Submit) {
        let clocks = (self.now, self.wall_ms);
        let homes = (self.placement, self.config.limits.group_members);
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a message of a channel that is not in memory");
        };
        let Appended { seq, time_ms, recipients, grown, rows } = channel.append(&submit, clocks, homes);
        let (origin, sender, send_id) = (submit.origin, submit.origin.user, submit.frame.send_id());
        let fingerprint = submit.frame.fingerprint();
        let frame = submit.frame.into_frame().stamp(Stamp { seq, time_ms, sender });
        let is_next = self.windows.remember(channel, &Sent { seq, time_ms, sender, send_id, fingerprint });
        for row in rows {
            self.pipeline.row(BayId::of_channel(id), row);
        }
        let message = Committing { channel: id, seq, frame, recipients, grown, origin };
        channel.wrote(self.pipeline.message(message));
        if !is_next {
            impossible!(self, "a message that does not follow the window of its channel");
        }
    }

    /// A message is stored: it is visible from now on, and its repeats are answered.
    pub(crate) fn message_stored(&mut self, id: ChannelId, seq: Seq) {
        self.channels.may_be_idle();
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a channel left memory before its message was stored");
        };
        channel.stored(seq);
        while let Some((seq, sender)) = channel.next_flagged() {
            self.out.push(Effect::Flagged { channel: id, seq, sender });
        }
        while let Some((submit, ack)) = self.channels.get_mut(&id).and_then(Channel::next_repeat) {
            self.reply(submit.origin, submit.frame.kind(), ack);
        }
    }

    /// Takes the waiting sends in order until one has to wait for its newcomers.
    pub(crate) fn order_waiting(&mut self, id: ChannelId) {
        while let Some(first) = self.channels.get_mut(&id).and_then(Channel::next_waiting) {
            self.order(id, first, Standing::First);
        }
    }

    /// Seq 1 of a group that somebody wants to create: the same creation once more, or another's.
    pub(crate) fn created(&mut self, submit: Submit, frames: &[Frame]) {
        let first = frames.first().filter(|frame| {
            let sender = frame.read_stamp().map(|stamp| stamp.sender);
            let same_key = sender == Some(submit.origin.user) && frame.send_id() == submit.frame.send_id();
            same_key && frame.fingerprint() == submit.frame.fingerprint()
        });
        match first.and_then(send_ack) {
            Some(ack) => {
                self.counters.duplicates += 1;
                self.reply(submit.origin, submit.frame.kind(), ack);
            }
            None => self.refuse(&submit, &conflict()),
        }
    }

    pub(crate) fn refuse(&mut self, submit: &Submit, refusal: &Refusal) {
        if submit.frame.kind() == Kind::ERASE {
            return self.erase_refused(submit.frame.channel());
        }
        self.refuse_at(submit.origin, submit.frame.kind(), submit.frame.header().id, refusal);
    }

    pub(crate) fn refuse_at(&mut self, origin: Origin, asked: Kind, id: u64, refusal: &Refusal) {
        self.counters.rejects.add(refusal.code);
        self.reply(origin, asked, body::encode(id, &refusal.body()));
    }

    pub(crate) fn reply(&mut self, origin: Origin, asked: Kind, frame: Frame) {
        let home = self.placement.user_home(origin.user);
        self.hops.push(home, Hop::Answer { origin, asked, frames: frame.into_bytes() });
    }
}

pub(crate) fn busy() -> Refusal {
    Refusal::retry(Code::Busy, 200, "too much waits here; send again from this frame on, in order")
}

pub(crate) fn conflict() -> Refusal {
    Refusal::new(Code::Conflict, "id", "this send id was used in this channel with other content")
}

pub(crate) fn forbidden() -> Refusal {
    Refusal::new(Code::Forbidden, "channel", "no such channel for this user")
}
