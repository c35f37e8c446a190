//! At a channel's home: a frame becomes the next message, or is answered or refused.

use protocol::body::message::Change;
use protocol::body::{self};
use protocol::hop::{Hop, Origin};
use protocol::limits::PAGE_BYTES_MAX;
use protocol::query::{PageBounds, Query, Sent};
use protocol::{BayId, ChannelId, Code, Frame, Kind, Refusal, Seq, Stamp, UserId};

use crate::asks::Asked;
use crate::channel::{Channel, Submit};
use crate::deliver::{ack_of, send_ack};
use crate::invariant::impossible;
use crate::ledger::Holds;
use crate::limits::WAITING_MAX;
use crate::memory::Found;
use crate::pipeline::Committing;
use crate::read::cannot_read;
use crate::shard::Shard;
use crate::unread::Load;

/// What is to be done with a send.
#[derive(Debug)]
enum Verdict {
    /// It waits its turn.
    Queue,
    /// It has been sent before and is stored.
    Answer(Frame),
    /// It has been sent before and is on its way to the disk: one ticket for both.
    Repeat(Seq),
    /// The window of the channel does not know it, but it would make a group that exists.
    LookAtFirst,
    /// These users must be found first.
    Open(Vec<UserId>),
    /// It is the next message.
    Append,
}

/// Where a send stands among those of its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Behind all that wait.
    Last,
    /// It has waited, and is before all that wait.
    First,
    /// It is the one whose newcomers were looked for, and they were found.
    Opened,
}

impl Shard {
    /// A frame about a channel whose home this is.
    pub(crate) fn submit(&mut self, id: ChannelId, submit: Submit) {
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

    pub(crate) fn channel_loaded(&mut self, id: ChannelId, channel: Channel) {
        let Some(waiting) = self.channels.loaded(id, channel, self.turn) else {
            return impossible!(self, "a channel is loaded that was not asked for");
        };
        for submit in waiting {
            self.serve_submit(id, submit);
        }
    }

    fn serve_submit(&mut self, id: ChannelId, submit: Submit) {
        match submit.frame.kind() {
            Kind::GET_HISTORY => self.get_history(id, submit),
            Kind::GET_MEMBERS => self.get_members(id, submit),
            Kind::MARK_READ => self.mark_read(id, &submit),
            kind if kind.is_message() => self.order(id, submit, Standing::Last),
            _ => impossible!(self, "a request that no channel answers"),
        }
    }

    /// Gives a send its place, unless others of the channel are before it.
    fn order(&mut self, id: ChannelId, submit: Submit, standing: Standing) {
        let verdict = match self.judge(id, &submit, standing) {
            Ok(verdict) => verdict,
            Err(refusal) => return self.refuse(&submit, &refusal),
        };
        let has_room = self.asks.has_page_room();
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a send for a channel that is not in memory");
        };
        match verdict {
            Verdict::Queue if standing != Standing::Last => {
                impossible!(self, "a send whose turn has come waits again");
            }
            Verdict::Queue if channel.waiting.len() >= WAITING_MAX => self.refuse(&submit, &busy()),
            Verdict::Queue => {
                channel.waiting.push_back(submit);
                self.load_window(id);
            }
            Verdict::Answer(ack) => {
                self.counters.duplicates += 1;
                self.reply(submit.origin, submit.frame.kind(), ack);
            }
            Verdict::Repeat(seq) => {
                channel.repeats.push_back((seq, submit));
                self.counters.duplicates += 1;
            }
            Verdict::LookAtFirst if !has_room => self.refuse(&submit, &busy()),
            Verdict::LookAtFirst => {
                let page = PageBounds { messages: 1, bytes: PAGE_BYTES_MAX };
                let (after, before) = (Seq(0), Seq(2));
                let query = Query::History { channel: id, after, before, newest: false, page };
                self.ask(Asked::Created(submit), query);
            }
            Verdict::Open(users) => self.open_newcomers(id, submit, users),
            Verdict::Append => self.append(id, submit),
        }
    }

    /// Decides, and changes nothing. The repeat is looked up before membership: the answer to a repeated send never depends
    /// on what changed since.
    fn judge(&self, id: ChannelId, submit: &Submit, standing: Standing) -> Result<Verdict, Refusal> {
        let Some(channel) = self.channels.get(&id) else { return Ok(Verdict::Queue) };
        let Some(dedup) = &channel.dedup else { return Ok(Verdict::Queue) };
        let others_first = match standing {
            Standing::Last => channel.opening.is_some() || !channel.waiting.is_empty(),
            Standing::First => channel.opening.is_some(),
            Standing::Opened => false,
        };
        if others_first {
            return Ok(Verdict::Queue);
        }
        if let Some(known) = dedup.find(submit.origin.user, submit.frame.send_id()) {
            if !known.has_content(submit.frame.fingerprint()) {
                return Err(conflict());
            }
            if known.seq > channel.durable {
                // Not stored yet: whoever asks again waits on the same ticket.
                let room = channel.repeats.len() < WAITING_MAX;
                return if room { Ok(Verdict::Repeat(known.seq)) } else { Err(busy()) };
            }
            let ack = ack_of(submit.frame.header().id, id, known.seq, known.time_ms);
            return Ok(Verdict::Answer(ack));
        }
        if matches!(submit.frame.change(), Some(Change::Begins { .. })) && channel.durable > Seq(0) {
            return Ok(Verdict::LookAtFirst);
        }
        channel.check(submit, &self.config.limits)?;
        if self.pipeline.is_refusing() {
            return Err(busy());
        }
        let newcomers = if standing == Standing::Opened { Vec::new() } else { channel.newcomers(submit) };
        Ok(if newcomers.is_empty() { Verdict::Append } else { Verdict::Open(newcomers) })
    }

    /// The send becomes the channel's next message.
    fn append(&mut self, id: ChannelId, submit: Submit) {
        let (wall_ms, placement) = (self.wall_ms, self.placement);
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a message of a channel that is not in memory");
        };
        let changed = channel.apply(&submit, wall_ms);
        let recipients = channel.recipients(placement, &changed);
        let (seq, time_ms, sender) = (channel.head, channel.time_ms, submit.origin.user);
        let send_id = submit.frame.send_id();
        let fingerprint = submit.frame.fingerprint();
        let origin = submit.origin;
        let frame = submit.frame.into_frame().stamp(Stamp { seq, time_ms, sender });
        let is_next = self.windows.remember(channel, &Sent { seq, time_ms, sender, send_id, fingerprint });
        for row in changed.rows {
            self.pipeline.row(BayId::of_channel(id), row);
        }
        channel.dirty = self.pipeline.message(Committing { channel: id, seq, frame, recipients, origin });
        if !is_next {
            impossible!(self, "a message that does not follow the window of its channel");
        }
    }

    /// A message is stored: it is visible from now on, and its repeats are answered.
    pub(crate) fn message_stored(&mut self, id: ChannelId, seq: Seq) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a channel left memory before its message was stored");
        };
        channel.durable = seq;
        self.channels.may_be_idle();
        while let Some(channel) = self.channels.get_mut(&id)
            && channel.repeats.front().is_some_and(|(at, _)| *at <= seq)
        {
            let Some((at, submit)) = channel.repeats.pop_front() else { break };
            let known =
                channel.dedup.as_ref().and_then(|d| d.find(submit.origin.user, submit.frame.send_id()));
            let time_ms = known.map_or(channel.time_ms, |known| known.time_ms);
            self.reply(submit.origin, submit.frame.kind(), ack_of(submit.frame.header().id, id, at, time_ms));
        }
    }

    /// Takes the waiting sends in order until one has to wait for its newcomers.
    pub(crate) fn order_waiting(&mut self, id: ChannelId) {
        while let Some(channel) = self.channels.get_mut(&id)
            && channel.opening.is_none()
            && let Some(first) = channel.waiting.pop_front()
        {
            self.order(id, first, Standing::First);
        }
    }

    /// A newcomer's home has answered.
    pub(crate) fn opened(&mut self, id: ChannelId, user: UserId, exists: Option<bool>) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(opening) = &mut channel.opening else { return };
        if !opening.unknown.contains(&user) {
            return;
        }
        opening.unknown.retain(|unknown| *unknown != user);
        let refusal = match exists {
            Some(true) if opening.unknown.is_empty() && !opening.is_asking => None,
            Some(true) => return,
            Some(false) => {
                let text = format!("user {user} does not exist");
                Some(Refusal::new(Code::NoSuchUser, "members", text))
            }
            None => Some(busy()),
        };
        self.end_opening(id, refusal);
    }

    /// All newcomers are known, or the send is refused; then the others go on.
    pub(crate) fn end_opening(&mut self, id: ChannelId, refusal: Option<Refusal>) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(opening) = channel.opening.take() else { return };
        match refusal {
            None => self.order(id, opening.submit, Standing::Opened),
            Some(refusal) => self.refuse(&opening.submit, &refusal),
        }
        self.order_waiting(id);
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

fn conflict() -> Refusal {
    Refusal::new(Code::Conflict, "id", "this send id was used in this channel with other content")
}

pub(crate) fn forbidden() -> Refusal {
    Refusal::new(Code::Forbidden, "channel", "no such channel for this user")
}
