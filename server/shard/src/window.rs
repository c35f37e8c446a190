//! The dedup windows of all channels of a shard: how they come into memory, and how much of it they take together. A window
//! holds nothing that the store does not hold, so that the one of a channel with nothing in flight can always be dropped.

use std::collections::VecDeque;

use protocol::limits::{DEDUP_AGE_MS_MAX, DEDUP_MESSAGES_MAX};
use protocol::query::{Query, Sent};
use protocol::{ChannelId, Seq};

use crate::asks::Asked;
use crate::channel::Channel;
use crate::dedup::Dedup;
use crate::invariant::impossible;
use crate::memory::Looked;
use crate::order::busy;
use crate::shard::Shard;
use crate::unread::Load;

/// Channels that one load looks at for windows that it can take the room of.
const LOOKS_MAX: usize = 1024;

/// What the windows take. The ledger of the shard counts [`Self::bytes`] and [`Self::reserved`].
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// Of those in memory.
    bytes: usize,
    /// Room of those that are being read.
    reserved: usize,
    /// Channels whose windows are to be read once there is room. Not empty only while others are being read.
    wanted: VecDeque<ChannelId>,
}

impl Windows {
    /// Bytes of windows in memory and on the way there.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.reserved
    }

    /// A channel's next message. False when it does not follow what is remembered.
    pub(crate) fn remember(&mut self, channel: &mut Channel, sent: &Sent) -> bool {
        let Some(dedup) = channel.window() else { return false };
        let before = dedup.bytes();
        let is_next = dedup.remember(sent);
        self.bytes = self.bytes + dedup.bytes() - before;
        is_next
    }

    fn keep(&mut self, channel: &mut Channel, dedup: Dedup) {
        self.bytes += dedup.bytes();
        channel.end_window(Some(dedup));
    }

    /// Forgets the window of a channel.
    pub(crate) fn drop_of(&mut self, channel: &mut Channel) {
        if let Some(dedup) = channel.window() {
            self.bytes -= dedup.bytes();
            channel.end_window(None);
        }
    }
}

/// The room that a read takes: what the store answers. What it becomes is smaller.
fn room_for(head: Seq) -> usize {
    let messages = usize::try_from(head.0).unwrap_or(usize::MAX);
    messages.min(DEDUP_MESSAGES_MAX as usize) * size_of::<Sent>()
}

impl Shard {
    /// Asks for a channel's window unless it is here or asked for.
    pub(crate) fn load_window(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a window for a channel that is not in memory");
        };
        if !channel.lacks_window() {
            return;
        }
        if channel.head() > Seq(0) && !self.may_load(Load::Window(id), false) {
            return self.refuse_waiting_sends(id);
        }
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a channel left memory within a step");
        };
        channel.begin_window();
        if channel.head() == Seq(0) {
            // A new channel has nothing to read.
            return self.window_loaded(id, &[]);
        }
        self.windows.wanted.push_back(id);
        self.load_wanted();
    }

    /// Asks for the windows that there is room for; one always, so that they all come some time.
    pub(crate) fn load_wanted(&mut self) {
        while self.asks.has_load_room()
            && let Some(id) = self.windows.wanted.front().copied()
        {
            let Some(channel) = self.channels.get(&id) else {
                return impossible!(self, "a channel whose window is asked for left memory");
            };
            let (room, newest_ms) = (room_for(channel.head()), channel.time_ms());
            self.drop_windows(room);
            let full = self.windows.bytes() + room > self.config.limits.dedup_bytes;
            if full && self.windows.reserved > 0 {
                return;
            }
            self.windows.wanted.pop_front();
            self.windows.reserved += room;
            // By the channel's own time, which no clock turns back: what the window holds follows from the history alone.
            let since_ms = newest_ms.saturating_sub(DEDUP_AGE_MS_MAX);
            let query = Query::Window { channel: id, count: DEDUP_MESSAGES_MAX, since_ms };
            self.ask(Asked::Window(id), query);
        }
    }

    pub(crate) fn window_loaded(&mut self, id: ChannelId, window: &[Sent]) {
        let Some(dedup) = Dedup::new(window, self.seed) else {
            return impossible!(self, "a window with a hole");
        };
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a window for a channel that left memory");
        };
        self.windows.reserved -= room_for(channel.head());
        self.windows.keep(channel, dedup);
        self.order_waiting(id);
        self.load_wanted();
    }

    pub(crate) fn window_not_loaded(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "no window for a channel that left memory");
        };
        channel.end_window(None);
        self.windows.reserved -= room_for(channel.head());
        self.refuse_waiting_sends(id);
        self.load_wanted();
    }

    /// Nobody waits for a window that cannot be read now.
    fn refuse_waiting_sends(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "sends that wait in a channel that is not in memory");
        };
        for submit in channel.give_up_waiting() {
            self.refuse(&submit, &busy());
        }
    }

    /// Drops the windows of channels that nobody used since they were last looked at, until so many bytes have room.
    pub(crate) fn drop_windows(&mut self, room: usize) {
        let mut looks = LOOKS_MAX.min(2 * self.channels.ring_len());
        while self.windows.bytes() + room > self.config.limits.dedup_bytes && looks > 0 {
            looks -= 1;
            match self.channels.look(self.turn) {
                // What is not stored yet is known to the window alone.
                Some(Looked::Unused(channel)) if channel.is_idle() => self.windows.drop_of(channel),
                Some(Looked::Unused(_) | Looked::Used) => {}
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::body::CheckedFrame;
    use protocol::body::message::SendText;
    use protocol::hop::Origin;
    use protocol::partition::BAYS;
    use protocol::query::BayState;
    use protocol::{BayId, DeviceId, Generation, Placement, ShardId, UserId};

    use protocol::hop::Consent;

    use super::*;
    use crate::channel::{Rules, Submit};
    use crate::limits::WAITING_MAX;
    use crate::{Config, Limits};

    const ID: ChannelId = ChannelId(10 << 64 | 20);

    fn shard() -> Shard {
        let own = |bay| BayState {
            bay,
            generation: Generation(1),
            fanout_head: 0,
            fanout_tail: 0,
            applied: vec![0; usize::from(BAYS)],
        };
        Shard::new(Config {
            shard: ShardId(0),
            placement: Placement::new(1).expect("one"),
            limits: Limits::default(),
            own: BayId::all().map(own).collect(),
            fanout_heads: vec![0; usize::from(BAYS)],
            seed: 1,
        })
    }

    fn submit(id: u64) -> Submit {
        let body = SendText { channel: ID.0, text: "x".into() };
        let origin = Origin { user: UserId(10), device: DeviceId(1), session: 1 };
        let weight = crate::ledger::Ledger::default().weigh(crate::ledger::Holds::Waiting, 0);
        let frame = CheckedFrame::message(protocol::body::encode(id, &body)).expect("a good text");
        Submit::new(origin, frame, false, weight)
    }

    /// The first of them has to wait for its newcomer: the others stay where they are in memory, whatever their number.
    #[test]
    fn waiting_sends_are_not_moved_for_each_that_is_taken() {
        let mut shard = shard();
        let mut channel = Channel::new(ID, None, Vec::new(), Seq(0), 0, Rules::default());
        assert!((1..=WAITING_MAX as u64).map(submit).all(|submit| channel.wait(submit).is_none()));
        assert!(channel.wait(submit(9999)).is_some(), "one too many");
        let second = channel.waiting().get(1).map(std::ptr::from_ref);
        shard.channels.loaded(ID, channel, 0);
        shard.window_loaded(ID, &[]);
        let Some(channel) = shard.channels.get_mut(&ID) else { panic!("it left memory") };
        assert!(channel.opening().is_some());
        assert_eq!(channel.waiting().len(), WAITING_MAX - 1);
        assert_eq!(channel.waiting().front().map(std::ptr::from_ref), second);
        shard.opened(ID, UserId(20), 1, Some(Consent::Given));
        shard.opened(ID, UserId(10), 1, Some(Consent::Given));
        let Some(channel) = shard.channels.get(&ID) else { panic!("it left memory") };
        assert_eq!((channel.head(), channel.waiting().len()), (Seq(WAITING_MAX as u64), 0));
    }
}
