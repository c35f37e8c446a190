//! A bay whose log does not reach back to the index: its channels are compared with the index one by one, and what is missing
//! is read from their histories. A slice at a time, so that the other bays are followed meanwhile.

use std::collections::{HashSet, VecDeque};

use protocol::query::{Answer, PageBounds, Query};
use protocol::{BayId, ChannelId, Frame, Generation, Seq};
use search::Index;
use storage::{ListedTo, Store, StoreError, Tier};

use super::follower::Fault;

/// Channels that are listed at a time.
const LISTED: usize = 256;
/// Messages of a slice, and their bytes.
const SLICE: PageBounds = PageBounds { messages: 1000, bytes: 1 << 20 };

/// How far it has come.
#[derive(Debug)]
pub(super) struct Heal {
    bay: BayId,
    /// The bay's life and the end of its log when this began: from there on the log is followed.
    pub(super) generation: Generation,
    pub(super) number: u64,
    listed: Option<ListedTo>,
    channels: VecDeque<ChannelId>,
    /// Those that were read, some of which may be listed twice.
    read: HashSet<ChannelId>,
    /// The channel that is being read, and behind which message.
    at: Option<(ChannelId, Seq)>,
}

/// What a slice found.
#[derive(Debug)]
pub(super) enum Slice {
    /// The next messages of a channel; there may be more of anything.
    Messages(ChannelId, Vec<Frame>),
    /// Nothing that was missing; there may be more.
    Looked,
    /// There is nothing more.
    Done,
}

impl Heal {
    /// Begins with the bay as it is now. Its log is kept from here on.
    pub(super) fn begin(data: &Store, bay: BayId) -> Result<Self, StoreError> {
        // What is committed between the two stands in the log behind what is read here.
        data.keep_log(bay, 0);
        let state = data.state(bay)?;
        data.keep_log(bay, state.fanout_head.saturating_add(1));
        Ok(Self {
            bay,
            generation: state.generation,
            number: state.fanout_head,
            listed: Some(ListedTo::default()),
            channels: VecDeque::new(),
            read: HashSet::new(),
            at: None,
        })
    }

    pub(super) fn slice(&mut self, data: &Store, index: &Index) -> Result<Slice, Fault> {
        if let Some((channel, after)) = self.at {
            let before = Seq(u64::MAX);
            let query = Query::History { channel, after, before, newest: false, page: SLICE };
            let Some(Answer::History(frames)) = data.read(&query, Tier::Any)? else {
                return Ok(Slice::Looked);
            };
            let last = frames.last().and_then(Frame::read_stamp).map(|stamp| stamp.seq);
            self.at = last.map(|last| (channel, last));
            return Ok(Slice::Messages(channel, frames));
        }
        // As many as are cheap: a search of the index and one of the store each.
        for _ in 0..LISTED {
            let Some(channel) = self.channels.pop_front() else { break };
            if self.read.contains(&channel) {
                continue;
            }
            let (head, newest) = (data.head(channel)?, index.newest(channel)?);
            // What was purged is not read again, tombstone by tombstone.
            let newest = newest.max(data.floor(channel)?.last());
            if head > newest {
                self.read.insert(channel);
                self.at = Some((channel, newest));
                return Ok(Slice::Looked);
            }
        }
        if !self.channels.is_empty() {
            return Ok(Slice::Looked);
        }
        let Some(to) = self.listed else { return Ok(Slice::Done) };
        let (channels, next) = data.channels(self.bay, to, LISTED)?;
        self.channels.extend(channels);
        self.listed = next;
        Ok(Slice::Looked)
    }
}
