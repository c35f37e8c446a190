//! Spans of the fan-out logs on their way in: applied at once where all recipients are in memory, else queued until they
//! are, while those who sent the messages have their acks.

use protocol::hop::Origin;
use protocol::query::{Delivery, Query};
use protocol::{BayId, Bays, UserId};

use crate::applied::Inbound;
use crate::asks::Asked;
use crate::behind::PAGE;
use crate::invariant::impossible;
use crate::ledger::{Holds, frame_bytes};
use crate::session::SessionId;
use crate::shard::Shard;
use crate::user::Waiting;

impl Shard {
    /// A span of a source's log.
    pub(crate) fn inbound(&mut self, after: u64, inbound: Inbound) {
        if let Some(next) = self.applied.offer(after, inbound) {
            self.take_span(next);
        }
    }

    /// What a read of a source's log brought: log numbers and their messages.
    pub(crate) fn replayed(&mut self, source: BayId, through: u64, read: Vec<(u64, Delivery)>) {
        let deliveries: Vec<_> = read
            .into_iter()
            .filter_map(|(number, delivery)| self.not_had(source, number, delivery))
            .collect();
        let weight = Some(self.ledger.weigh(Holds::Inbound, frame_bytes(&deliveries)));
        let read = Inbound { source, through, deliveries, _weight: weight, ..Inbound::default() };
        if let Some(next) = self.applied.replayed(read) {
            self.take_span(next);
        }
        while let Some(kept) = self.applied.next_kept(source) {
            self.take_span(kept);
        }
    }

    /// The delivery without those who had it when the process began; `None` when nobody is left. The own bays can have
    /// applied a log differently far, and the log is read from the least of them.
    fn not_had(&self, source: BayId, number: u64, mut delivery: Delivery) -> Option<Delivery> {
        let had = |user: &UserId| self.applied.had(BayId::of_user(*user), source, number);
        if delivery.recipients.iter().any(had) {
            delivery.recipients = delivery.recipients.iter().filter(|user| !had(user)).copied().collect();
        }
        (!delivery.recipients.is_empty()).then_some(delivery)
    }

    /// Reads the logs of which something is missing.
    pub(crate) fn replay_gaps(&mut self) {
        let dests: Bays = self.placement.bays(self.config.shard).collect();
        while let Some((source, after, until)) = self.applied.gap() {
            let query = Query::Replay { source, after, until, dests, page: PAGE };
            self.ask(Asked::Replay { source }, query);
        }
    }

    /// Applies a span at once if no other waits, its pointers have room and all its recipients are in memory, else queues it. Pointers and mark are
    /// rows of one batch, so a span is applied whole or, after a crash, once more from the start.
    fn take_span(&mut self, mut inbound: Inbound) {
        let has_room = self.takes_deliveries();
        let is_here = |user: &UserId| self.users.get(user).is_some();
        let mut recipients = inbound.deliveries.iter().flat_map(|delivery| delivery.recipients.iter());
        if has_room && self.applied.is_idle() && recipients.all(is_here) {
            self.applied.passed(inbound.source, inbound.through);
            return self.apply_span(&inbound, false);
        }
        self.ack_early(&mut inbound);
        let mut missing = 0;
        for user in inbound.deliveries.iter().flat_map(|delivery| delivery.recipients.iter().copied()) {
            match self.users.get_mut(&user) {
                // It stays in memory until the span is applied.
                Some(user) => user.awaited += 1,
                None => {
                    missing += 1;
                    self.wait_for(user);
                }
            }
        }
        self.applied.push(inbound, missing);
    }

    fn wait_for(&mut self, user: UserId) {
        self.applied.wait_for(user);
        if !self.users.contains(&user) {
            self.with_user(user, || Waiting::Delivery);
        }
    }

    /// Nobody waits for the load of somebody else: a message is stored before its hop leaves, so that the sessions that sent
    /// those of a waiting span have their acks now. Not one that has not been sent all that its inbox holds, or whose earlier
    /// acks wait: its acks stay in order.
    fn ack_early(&mut self, inbound: &mut Inbound) {
        let Inbound { deliveries, origins, acked, .. } = inbound;
        for (place, origin) in origins.iter() {
            let Some((id, at_head)) = self.session_at_head(*origin) else { continue };
            let Some(delivery) = deliveries.get(*place) else {
                return impossible!(self, "an origin without a delivery");
            };
            if !at_head || self.applied.owes(origin.session) {
                self.applied.owe(origin.session);
                continue;
            }
            acked.push(*place);
            self.ack(id, &delivery.frame);
        }
    }

    /// The session, if it is still there, and whether it was sent all that its inbox holds.
    fn session_at_head(&self, origin: Origin) -> Option<(SessionId, bool)> {
        let id = self.session_of(origin)?;
        let (session, user) = (self.sessions.get(&id)?, self.users.get(&origin.user)?);
        let is_at_head = !session.is_paging() && session.sent_through() == user.inbox.head();
        // A guest is not brought along, and has one ack.
        Some((id, is_at_head || session.link().is_guest()))
    }

    /// A user is in memory: the spans that waited for it wait no more.
    pub(crate) fn recipient_loaded(&mut self, id: UserId) {
        let awaited = self.applied.loaded(id);
        if let Some(user) = self.users.get_mut(&id) {
            user.awaited += awaited;
        }
        self.apply_waiting();
    }

    /// Applies the waiting spans in order, for as long as nothing is missing and their pointers have room.
    pub(crate) fn apply_waiting(&mut self) {
        while self.takes_deliveries()
            && let Some(inbound) = self.applied.pop()
        {
            self.apply_span(&inbound, true);
        }
    }
}
