//! The proof of delivery: every message exactly once, in channel order, at every device that should have it.
//!
//! It hears what each device was told by its session, across any number of connections, and nothing of the server. A
//! channel's log is put together from what is told of it: which message stands at which seq. A device's own messages
//! reach it as acks, all others as messages with rising seqs.

mod fault;

pub(crate) use fault::{Fault, Faults};

use std::collections::VecDeque;

use protocol::{ChannelId, Seq, UserId};

use crate::cast::Channel;
use crate::text::Head;

/// Everything that was sent and everything that was told.
#[derive(Debug)]
pub(crate) struct Ledger {
    nonce: u32,
    began_ns: u64,
    users: Vec<UserId>,
    messages: Vec<Sent>,
    logs: Vec<Log>,
    faults: Faults,
    unacked: u64,
    owed: u64,
    received: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    channel: u32,
    device: u32,
    /// 0 while unknown.
    seq: u64,
    bytes: u32,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Unacked,
    Acked,
    Refused,
}

#[derive(Debug, Default)]
struct Log {
    /// The seq of the first entry.
    first: u64,
    /// Numbers of messages, plus 1; 0 where nothing was heard of.
    entries: VecDeque<u64>,
    places: Vec<Place>,
}

/// How far one member has heard a channel.
#[derive(Clone, Debug, Default)]
struct Place {
    /// 0 before anything.
    first: u64,
    through: u64,
    received: u64,
    /// Seqs that were passed over: the device's own, or lost.
    holes: Vec<u64>,
}

/// A message as a device was told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) device: u32,
    pub(crate) channel: ChannelId,
    pub(crate) seq: Seq,
    pub(crate) sender: UserId,
    pub(crate) text: &'a str,
}

impl Ledger {
    /// What a run before `began_ns` sent is no fault: a server may still be writing down the pointers of its last second, and
    /// a device that comes then is sent those messages.
    pub(crate) fn new(nonce: u32, began_ns: u64, users: Vec<UserId>, channels: &[Channel]) -> Self {
        let log = |channel: &Channel| Log {
            places: vec![Place::default(); channel.members.len()],
            ..Log::default()
        };
        Self {
            nonce,
            began_ns,
            users,
            messages: Vec::new(),
            logs: channels.iter().map(log).collect(),
            faults: Faults::default(),
            unacked: 0,
            owed: 0,
            received: 0,
        }
    }

    /// A device sends; numbers rise from 0.
    pub(crate) fn sent(&mut self, number: u64, device: u32, channel: u32, bytes: usize) {
        debug_assert_eq!(number, self.messages.len() as u64);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.messages.push(Sent { channel, device, seq: 0, bytes, fate: Fate::Unacked });
        self.unacked += 1;
    }

    /// The server refused a message for good: nobody may ever see it.
    pub(crate) fn refused(&mut self, number: u64) {
        if let Some(message) = self.message_mut(number)
            && message.fate == Fate::Unacked
        {
            message.fate = Fate::Refused;
            self.unacked -= 1;
        }
    }

    /// A device was told that its message is stored.
    pub(crate) fn acked(&mut self, channels: &[Channel], number: u64, channel: ChannelId, seq: Seq) {
        let Some(message) = self.message_mut(number).copied() else {
            self.faults.add(Fault::Foreign, || format!("an ack for message {number}, which was never sent"));
            return;
        };
        if !is_in(channels, message.channel, channel) {
            self.faults
                .add(Fault::Foreign, || format!("message {number} was acked in another channel, {channel}"));
            return;
        }
        if message.fate == Fate::Unacked {
            self.unacked -= 1;
        } else {
            let words =
                if message.fate == Fate::Acked { "acked twice" } else { "acked after it was refused" };
            self.faults.add(Fault::Doubled, || format!("message {number} was {words}"));
        }
        if let Some(message) = self.message_mut(number) {
            message.fate = Fate::Acked;
        }
        self.place(channels, number, seq.0);
    }

    /// A device was told a message of somebody else.
    pub(crate) fn delivered(&mut self, channels: &[Channel], told: Heard<'_>) {
        let Heard { device, channel, seq, sender, text } = told;
        let whom = |what: String| format!("device {device} was told ({channel}, {seq}): {what}");
        let head = Head::read(text);
        if head.is_some_and(|head| head.intended_ns < self.began_ns) {
            return;
        }
        let Some(head) = head.filter(|head| head.nonce == self.nonce) else {
            self.faults.add(Fault::Foreign, || whom("a text that this run did not send".into()));
            return;
        };
        let number = head.number;
        let Some(message) = self.message_mut(number).copied() else {
            self.faults.add(Fault::Foreign, || whom(format!("message {number}, which was never sent")));
            return;
        };
        if self.user(message.device) != Some(sender) || !is_in(channels, message.channel, channel) {
            self.faults
                .add(Fault::Foreign, || whom(format!("message {number} of another sender or channel")));
            return;
        }
        let member = member_of(channels, message.channel, device);
        let Some(member) = member else {
            self.faults.add(Fault::Foreign, || whom(format!("message {number}, but it is not a member")));
            return;
        };
        if message.device == device {
            self.faults
                .add(Fault::Doubled, || whom(format!("its own message {number}, which it had an ack for")));
            return;
        }
        if message.bytes as usize != text.len() {
            self.faults
                .add(Fault::Damaged, || whom(format!("message {number} with {} bytes of text", text.len())));
        }
        if message.fate == Fate::Refused {
            self.faults
                .add(Fault::Foreign, || whom(format!("message {number}, which the server had refused")));
        }
        self.place(channels, number, seq.0);
        self.hear(message.channel, member, device, seq.0, number);
    }

    /// Nothing is missing: all acks are there and every member of every channel has what it is owed.
    pub(crate) fn is_settled(&self) -> bool {
        self.unacked == 0 && self.received >= self.owed
    }

    /// Acks and deliveries that are missing.
    pub(crate) fn missing(&self) -> (u64, u64) {
        (self.unacked, self.owed.saturating_sub(self.received))
    }

    /// The judgement. Call it when nothing more is waited for.
    pub(crate) fn finish(mut self, channels: &[Channel]) -> Faults {
        for (number, message) in self.messages.iter().enumerate() {
            if message.fate == Fate::Unacked {
                let at = if message.seq > 0 {
                    "delivered, but its ack is lost"
                } else {
                    "neither acked nor refused"
                };
                self.faults
                    .add(Fault::Lost, || format!("message {number} of device {} is {at}", message.device));
            }
        }
        for (log, channel) in self.logs.iter().zip(channels) {
            for (place, device) in log.places.iter().zip(&channel.members) {
                for seq in log.missing(place, *device, &self.messages) {
                    let id = channel.id;
                    self.faults.add(Fault::Lost, || format!("device {device} was never told ({id}, {seq})"));
                }
            }
        }
        self.faults.messages = self.messages.len() as u64;
        self.faults.deliveries = self.received;
        self.faults
    }

    /// A broken promise that no single message shows.
    pub(crate) fn blame(&mut self, fault: Fault, words: String) {
        self.faults.add(fault, || words);
    }

    fn message_mut(&mut self, number: u64) -> Option<&mut Sent> {
        usize::try_from(number).ok().and_then(|index| self.messages.get_mut(index))
    }

    fn user(&self, device: u32) -> Option<UserId> {
        self.users.get(device as usize).copied()
    }

    /// Learns where a message stands.
    fn place(&mut self, channels: &[Channel], number: u64, seq: u64) {
        let Some(message) = self.message_mut(number) else { return };
        let (known, channel) = (message.seq, message.channel);
        if known == seq {
            return;
        }
        if known != 0 {
            self.faults
                .add(Fault::Doubled, || format!("message {number} stands at seq {known} and at seq {seq}"));
            return;
        }
        message.seq = seq;
        let others =
            channels.get(channel as usize).map_or(0, |channel| channel.members.len().saturating_sub(1));
        self.owed += others as u64;
        let Some(log) = self.logs.get_mut(channel as usize) else { return };
        if let Some(other) = log.put(seq, number) {
            self.faults
                .add(Fault::Doubled, || format!("messages {other} and {number} both stand at seq {seq}"));
        }
    }

    fn hear(&mut self, channel: u32, member: usize, device: u32, seq: u64, number: u64) {
        let Some(log) = self.logs.get_mut(channel as usize) else { return };
        let Some(place) = log.places.get_mut(member) else { return };
        if seq <= place.through {
            let words = || {
                format!("device {device} was told message {number} (seq {seq}) after seq {}", place.through)
            };
            // A seq that was passed over was missing until now; any other was told before.
            if place.holes.contains(&seq) || seq < place.first {
                self.faults.add(Fault::Reordered, words);
                place.holes.retain(|hole| *hole != seq);
                place.received += 1;
                self.received += 1;
            } else {
                self.faults.add(Fault::Doubled, words);
            }
            return;
        }
        if place.through == 0 {
            place.first = seq;
        } else {
            for hole in place.through + 1..seq {
                let own = |number: u64| is_of(&self.messages, number, device);
                if !log.entries.get(index(log.first, hole)).is_some_and(|entry| *entry > 0 && own(*entry - 1))
                {
                    place.holes.push(hole);
                }
            }
        }
        place.through = seq;
        place.received += 1;
        self.received += 1;
    }
}

impl Log {
    /// Writes an entry down; what stands there already, if it is another.
    fn put(&mut self, seq: u64, number: u64) -> Option<u64> {
        if self.entries.is_empty() {
            self.first = seq;
        }
        while seq < self.first {
            self.entries.push_front(0);
            self.first -= 1;
        }
        let at = index(self.first, seq);
        // A server that answers with absurd seqs must not take all memory.
        if at > self.entries.len() + SEQ_JUMP_MAX {
            return None;
        }
        while self.entries.len() <= at {
            self.entries.push_back(0);
        }
        let entry = self.entries.get_mut(at)?;
        if *entry != 0 && *entry != number + 1 {
            return Some(*entry - 1);
        }
        *entry = number + 1;
        None
    }

    /// Seqs of others that a member was not told.
    fn missing(&self, place: &Place, device: u32, messages: &[Sent]) -> Vec<u64> {
        let seqs = self.entries.iter().zip(self.first..);
        let of_others = seqs.filter(|(entry, _)| **entry > 0 && !is_of(messages, **entry - 1, device));
        let is_missing = |seq: &u64| {
            place.through == 0 || *seq < place.first || *seq > place.through || place.holes.contains(seq)
        };
        of_others.map(|(_, seq)| seq).filter(is_missing).collect()
    }
}

/// Farthest that a seq may lie ahead of what was heard of its channel.
const SEQ_JUMP_MAX: usize = 10_000_000;

fn index(first: u64, seq: u64) -> usize {
    usize::try_from(seq.wrapping_sub(first)).unwrap_or(usize::MAX)
}

fn is_of(messages: &[Sent], number: u64, device: u32) -> bool {
    let message = usize::try_from(number).ok().and_then(|number| messages.get(number));
    message.is_some_and(|message| message.device == device)
}

fn is_in(channels: &[Channel], channel: u32, id: ChannelId) -> bool {
    channels.get(channel as usize).is_some_and(|channel| channel.id == id)
}

fn member_of(channels: &[Channel], channel: u32, device: u32) -> Option<usize> {
    channels.get(channel as usize)?.members.binary_search(&device).ok()
}

#[cfg(test)]
mod tests;
