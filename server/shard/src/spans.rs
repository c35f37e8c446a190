//! Spans of the fan-out logs on their way in: applied at once where all recipients are in memory, else queued until they
//! are, while those who sent the messages have their acks.

use protocol::hop::Origin;
use protocol::query::{Delivery, Query};
use protocol::{StoreId, UserId};

use crate::applied::{Applied, Inbound};
use crate::deliver::PAGE;
use crate::input::ConnId;
use crate::invariant::impossible;
use crate::ledger::{Holds, frame_bytes};
use crate::shard::{Asked, Shard, Slot};
use crate::user::Waiting;

impl Shard {
    /// A span of a source's log for one of our stores.
    pub(crate) fn inbound(&mut self, dest: StoreId, after: u64, inbound: Inbound) {
        let Some((index, applied)) = self.applied_of(dest) else {
            return impossible!(self, "a span for a store of another shard");
        };
        if let Some(next) = applied.offer(after, inbound) {
            self.take_span(index, next);
        }
    }

    /// What a read of a source's log brought.
    pub(crate) fn replayed(
        &mut self,
        dest: StoreId,
        source: StoreId,
        through: u64,
        deliveries: Vec<Delivery>,
    ) {
        let weight = Some(self.ledger.weigh(Holds::Inbound, frame_bytes(&deliveries)));
        let Some((index, applied)) = self.applied_of(dest) else {
            return impossible!(self, "a log for a store of another shard");
        };
        let read = Inbound { source, through, deliveries, _weight: weight, ..Inbound::default() };
        if let Some(next) = applied.replayed(read) {
            self.take_span(index, next);
        }
        while let Some(kept) = self.applied.get_mut(index).and_then(|applied| applied.next_kept(source)) {
            self.take_span(index, kept);
        }
    }

    fn applied_of(&mut self, dest: StoreId) -> Option<(usize, &mut Applied)> {
        let index = self.own(dest)?;
        Some((index, self.applied.get_mut(index)?))
    }

    /// Reads the logs of which something is missing.
    pub(crate) fn replay_gaps(&mut self) {
        for index in 0..self.applied.len() {
            while let Some(applied) = self.applied.get_mut(index) {
                let dest = applied.store;
                let Some((source, after, until)) = applied.gap() else { break };
                let query = Query::Replay { source, after, until, dest, page: PAGE };
                self.ask(Asked::Replay { dest, source }, query);
            }
        }
    }

    /// Applies a span at once if no other waits, its pointers have room and all its recipients are in memory, else queues it. Pointers and mark are
    /// rows of one batch, so a span is applied whole or, after a crash, once more from the start.
    fn take_span(&mut self, index: usize, mut inbound: Inbound) {
        let has_room = self.takes_deliveries(index);
        let Some(applied) = self.applied.get_mut(index) else { return };
        let is_here = |user: &UserId| matches!(self.users.get(user), Some(Slot::Live(_)));
        let mut recipients = inbound.deliveries.iter().flat_map(|delivery| delivery.recipients.iter());
        if has_room && applied.is_idle() && recipients.all(is_here) {
            applied.passed(inbound.source, inbound.through);
            return self.apply_span(index, &inbound, false);
        }
        self.ack_early(index, &mut inbound);
        let mut missing = 0;
        for user in inbound.deliveries.iter().flat_map(|delivery| delivery.recipients.iter().copied()) {
            match self.users.get_mut(&user) {
                // It stays in memory until the span is applied.
                Some(Slot::Live(user)) => user.awaited += 1,
                _ => {
                    missing += 1;
                    self.wait_for(index, user);
                }
            }
        }
        if let Some(applied) = self.applied.get_mut(index) {
            applied.push(inbound, missing);
        }
    }

    fn wait_for(&mut self, index: usize, user: UserId) {
        if let Some(applied) = self.applied.get_mut(index) {
            applied.wait_for(user);
        }
        if !self.users.contains_key(&user) {
            self.with_user(user, || Waiting::Delivery);
        }
    }

    /// Nobody waits for the load of somebody else: a message is stored before its hop leaves, so that the sessions that sent
    /// those of a waiting span have their acks now. Not one that has not been sent all that its inbox holds, or whose earlier
    /// acks wait: its acks stay in order.
    fn ack_early(&mut self, index: usize, inbound: &mut Inbound) {
        let Inbound { deliveries, origins, acked, .. } = inbound;
        for (place, origin) in origins.iter() {
            let Some((conn, at_head)) = self.session_at_head(*origin) else { continue };
            let (Some(applied), Some(delivery)) = (self.applied.get_mut(index), deliveries.get(*place))
            else {
                return impossible!(self, "an origin without a delivery");
            };
            if !at_head || applied.owes(origin.session) {
                applied.owe(origin.session);
                continue;
            }
            acked.push(*place);
            self.ack(conn, &delivery.frame);
        }
    }

    /// The session, if it is still there, and whether it was sent all that its inbox holds.
    fn session_at_head(&self, origin: Origin) -> Option<(ConnId, bool)> {
        let conn = self.session_of(origin)?;
        let (session, user) = (self.sessions.get(&conn)?, self.users.get(&origin.user)?);
        let Slot::Live(user) = user else { return None };
        Some((conn, session.paging.is_none() && session.sent_through == user.inbox.head()))
    }

    /// A user is in memory: the spans that waited for it wait no more.
    pub(crate) fn recipient_loaded(&mut self, id: UserId) {
        let Some((index, applied)) = self.applied_of(self.placement.user_store(id)) else {
            return impossible!(self, "a user of another shard");
        };
        let awaited = applied.loaded(id);
        if let Some(Slot::Live(user)) = self.users.get_mut(&id) {
            user.awaited += awaited;
        }
        self.apply_waiting(index);
    }

    /// Applies the waiting spans in order, for as long as nothing is missing and their pointers have room.
    pub(crate) fn apply_waiting(&mut self, index: usize) {
        while self.takes_deliveries(index)
            && let Some(inbound) = self.applied.get_mut(index).and_then(Applied::pop)
        {
            self.apply_span(index, &inbound, true);
        }
    }

    /// A user could not be loaded. Deliveries cannot be refused: the load is asked for again.
    pub(crate) fn recipient_not_loaded(&mut self, id: UserId) {
        let Some((_, applied)) = self.applied_of(self.placement.user_store(id)) else {
            return impossible!(self, "a user of another shard");
        };
        if applied.awaits(id) {
            self.with_user(id, || Waiting::Delivery);
        }
    }
}
