//! Purges in the model: what is gone, what may still be shown of it, and that nothing else went.

use std::collections::BTreeMap;

use protocol::body::about::Recalled;
use protocol::commit::{Batch, FloorRow, Row};
use protocol::query::{Answer, Cut, Query};
use protocol::{BayId, ChannelId, Frame, SendId, Seq, UserId};
use shard::{CommandError, Input, Keeping, Ticket};
use storage::Tier;

use crate::broken;
use crate::device::Device;
use crate::oracle::{Check, Fact, Oracle};
use crate::rng::Rng;
use crate::world::World;

/// What was asked for and is not answered.
#[derive(Debug)]
pub(crate) struct Purges {
    pub(crate) rng: Rng,
    asked: BTreeMap<Ticket, (ChannelId, Seq)>,
}

impl Purges {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed ^ 0x7075_7267), asked: BTreeMap::new() }
    }

    pub(crate) fn process_died(&mut self) {
        self.asked.clear();
    }
}

impl Oracle {
    /// Where a channel's history begins; the newest seq that is gone, or 0.
    pub(crate) fn floor(&self, channel: ChannelId) -> FloorRow {
        self.channels.get(&channel).map(|history| history.floor).unwrap_or_default()
    }

    /// A floor becomes durable.
    pub(crate) fn add_floor(&mut self, channel: ChannelId, from: Seq, row: FloorRow) -> Check {
        let before = self.floor(channel);
        if from != before.below || row.below <= before.below || row.below > self.head(channel).next() {
            let head = self.head(channel);
            broken!("{channel:?}: the floor {row:?} from {from} follows {before:?}, the head is {head}");
        }
        if self.fact(channel, row.last()).is_none_or(|fact| fact.time_ms != row.time_ms) {
            broken!(
                "{channel:?}: the floor {row:?} is not of the time of {:?}",
                self.fact(channel, row.last())
            );
        }
        if self.may_purge.get(&channel).is_none_or(|most| row.below > *most) {
            broken!("{channel:?}: {row:?} is purged, asked for was {:?}", self.may_purge.get(&channel));
        }
        self.recalls += 1;
        let number = self.recalls;
        let Some(history) = self.channels.get_mut(&channel) else { return Ok(()) };
        history.floor = row;
        for fact in history.facts.iter_mut().take(usize::try_from(row.last().0).unwrap_or(usize::MAX)) {
            fact.purged = fact.purged.or(Some(number));
        }
        Ok(())
    }

    /// How much may be purged of a channel: what everybody has in the inbox, and whose senders all know that it was sent. The real
    /// control plane spares what is younger than ten seconds for that.
    fn settled(&self, world: &World, channel: ChannelId) -> Seq {
        let pending = |fact: &Fact| {
            let of = |device: &&Device| device.user == fact.sender && !device.retired;
            world.devices.iter().filter(of).any(|device| device.has_pending(fact.send_id))
        };
        let mut seq = Seq(0);
        let facts = self.channels.get(&channel).map_or(&[][..], |history| &history.facts);
        for fact in facts {
            let next = seq.next();
            let all = self.ever_members(channel).into_iter();
            let mut due = all.filter(|user| self.is_recipient(channel, *user, next));
            if !due.all(|user| self.has_pointer(user, channel, next)) || pending(fact) {
                break;
            }
            seq = next;
        }
        seq.next()
    }
}

/// Whether a frame stands for a message that was purged.
pub(crate) fn is_tombstone(frame: &Frame, seq: Seq) -> bool {
    let says = Recalled::read(frame).is_some_and(|says| says.is_purge() && says.target == seq.0);
    let by_nobody = frame.read_stamp().is_some_and(|stamp| stamp.sender == UserId(0));
    says && by_nobody && frame.send_id() == SendId(0)
}

/// The floors of channels before a batch raised them.
pub(crate) fn floors_before(oracle: &Oracle, batch: &Batch) -> BTreeMap<ChannelId, FloorRow> {
    let rows = batch.parts.iter().flat_map(|part| &part.rows);
    let raised = rows.filter_map(|row| match row {
        Row::Floor { channel, .. } => Some(*channel),
        _ => None,
    });
    raised.map(|channel| (channel, oracle.floor(channel))).collect()
}

impl World {
    /// The operator purges something of a channel.
    pub(crate) fn order_purge(&mut self, channel: ChannelId) {
        let most = self.oracle.settled(self, channel);
        if most <= self.oracle.floor(channel).below.max(Seq(1)) {
            return;
        }
        let rng = &mut self.purges.rng;
        let mut cut = Cut::default();
        match rng.below(3) {
            0 => cut.below = Seq(1 + rng.below(most.0)),
            1 => cut.keep = Some(self.oracle.head(channel).0.saturating_sub(rng.below(most.0))),
            _ => {
                let at = Seq(1 + rng.below(most.0 - 1));
                cut.before_ms = self.oracle.fact(channel, at).map_or(0, |fact| fact.time_ms);
            }
        }
        // The youngest that may go bounds all three.
        cut.most = most.0.saturating_sub(self.oracle.floor(channel).below.max(Seq(1)).0);
        let Some(node) = self.node.as_mut().filter(|node| node.is_ready()) else { return };
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        let home = node.placement().channel_home(channel);
        node.tell(home, Input::Purge { ticket, channel, keeping: Keeping::Purge(cut) });
        let may = self.oracle.may_purge.entry(channel).or_default();
        *may = (*may).max(most);
        let before = self.oracle.floor(channel).below;
        self.purges.asked.insert(ticket, (channel, before));
    }

    /// Whether a reply is one to a purge; what it says holds.
    pub(crate) fn purge_replied(
        &mut self,
        ticket: Ticket,
        outcome: Result<(), CommandError>,
    ) -> Result<bool, String> {
        let Some((channel, before)) = self.purges.asked.remove(&ticket) else { return Ok(false) };
        let now = self.oracle.floor(channel);
        match outcome {
            Ok(()) if now.below < before => {
                Err(format!("{channel:?}: the floor fell from {before} to {now:?}"))
            }
            Ok(()) | Err(CommandError::Busy { .. }) => Ok(true),
            Err(error) => Err(format!("{channel:?} is not purged: {error}")),
        }
    }
}

/// Once all is at rest: nothing of what was purged is left, and the floor is the model's.
pub(crate) fn at_rest(world: &World) -> Check {
    for channel in world.oracle.channels.keys() {
        let query = Query::Floor { channel: *channel, cut: Cut::default() };
        let Ok(Some(Answer::Floor { now, head, .. })) = world.disk.store().read(&query, Tier::Any) else {
            broken!("the floor of {channel:?} cannot be read");
        };
        if now != world.oracle.floor(*channel) || head != world.oracle.head(*channel) {
            broken!(
                "{channel:?}: the store says {now:?} to {head}, the model {:?}",
                world.oracle.floor(*channel)
            );
        }
    }
    Ok(())
}

/// The rows of a floor are at the channel's home.
pub(crate) fn at_home(found: BayId, channel: ChannelId) -> Check {
    if found != BayId::of_channel(channel) {
        broken!("a floor of {channel:?} in bay {found}");
    }
    Ok(())
}
