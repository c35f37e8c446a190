//! The sending side of fan-out: what a stored batch holds becomes one hop for each shard that has recipients.

use std::sync::Arc;

use protocol::hop::{Hop, Span};
use protocol::query::Delivery;
use protocol::{BayId, ShardId, UserId};

use crate::invariant::impossible;
use crate::large::Told;
use crate::pipeline::Committing;
use crate::shard::Shard;
use crate::source::Source;

/// What one batch holds for one shard.
#[derive(Debug)]
struct Outbound {
    home: ShardId,
    spans: Vec<Span>,
}

impl Shard {
    /// A batch of messages is stored: one hop for each shard that has recipients.
    pub(crate) fn fan_out(&mut self, numbers: &[(BayId, u64)], messages: Vec<Committing>) {
        for (bay, number) in numbers {
            if let Some(source) = self.source_mut(*bay) {
                source.stored(*number);
            }
        }
        let mut homes: Vec<Outbound> = Vec::new();
        let mut told = Told::default();
        for message in messages {
            told.add(&message);
            self.counters.messages_stored += 1;
            self.message_stored(message.channel, message.seq);
            for (home, users) in message.recipients.iter() {
                let place = homes.iter().position(|outbound| outbound.home == *home).unwrap_or_else(|| {
                    homes.push(Outbound { home: *home, spans: Vec::new() });
                    homes.len() - 1
                });
                if let Some(outbound) = homes.get_mut(place) {
                    let is_senders = self.placement.user_home(message.origin.user) == *home;
                    outbound.add(numbers, &message, users, is_senders);
                }
            }
        }
        for outbound in homes {
            self.deliver(outbound);
        }
        self.tell_followers(told);
    }

    fn deliver(&mut self, outbound: Outbound) {
        let Outbound { home, mut spans } = outbound;
        for span in &mut spans {
            let Some(source) = self.source_mut(span.source) else {
                return impossible!(self, "a batch of a bay without a log");
            };
            span.after = source.tell(home, span.through).after;
        }
        // A dropped hop leaves a gap, which the next hop or the next hint shows.
        if self.hops.is_full(home) {
            let dropped: usize = spans.iter().map(|span| span.deliveries.len()).sum();
            self.counters.deliveries_dropped += dropped as u64;
            return;
        }
        self.hops.push(home, Hop::Deliver { spans });
    }

    /// The log of an own bay.
    pub(crate) fn source_mut(&mut self, bay: BayId) -> Option<&mut Source> {
        let place = usize::from(bay.0 / self.placement.shards());
        self.sources.get_mut(place).filter(|source| source.bay == bay)
    }
}

impl Outbound {
    /// Adds a message for those users, behind those of the same log.
    fn add(
        &mut self,
        numbers: &[(BayId, u64)],
        message: &Committing,
        users: &Arc<[UserId]>,
        is_senders: bool,
    ) {
        let source = BayId::of_channel(message.channel);
        let place = self.spans.iter().position(|span| span.source == source).unwrap_or_else(|| {
            let through = numbers.iter().find(|(bay, _)| *bay == source).map_or(0, |(_, number)| *number);
            self.spans.push(Span { source, after: 0, through, deliveries: Vec::new(), origins: Vec::new() });
            self.spans.len() - 1
        });
        let Some(span) = self.spans.get_mut(place) else { return };
        if is_senders {
            span.origins.push((span.deliveries.len(), message.origin));
        }
        let (channel, seq, frame) = (message.channel, message.seq, message.frame.clone());
        span.deliveries.push(Delivery {
            channel,
            seq,
            frame,
            recipients: users.clone(),
            grown: message.grown,
        });
    }
}
