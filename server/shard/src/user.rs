//! A user at its home: the account, its devices, its inbox, its sessions.

use std::sync::Arc;

use protocol::commit::{AccountRow, DeviceRow, PresenceRow};
use protocol::hello::Hello;
use protocol::query::PushRows;
use protocol::{ChannelId, DeviceId, InboxSeq};

use crate::admit::Bucket;
use crate::consents::Request;
use crate::inbox::Inbox;
use crate::input::{Command, Tick, Ticket};
use crate::limits::Limits;
use crate::link::Link;
use crate::presence::Looker;
use crate::push::Push;
use crate::quotas::{Bounds, Left, Quotas};
use crate::session::SessionId;

#[derive(Debug)]
pub(crate) struct User {
    pub(crate) account: Option<AccountRow>,
    /// At most `DEVICES_MAX`; a list, since most users have two or three.
    pub(crate) devices: Vec<(DeviceId, DeviceRow)>,
    pub(crate) inbox: Inbox,
    pub(crate) sessions: Vec<SessionId>,
    /// Large channels in which it is, rising.
    followed: Option<Box<LargeChannels>>,
    /// Number of the batch with the newest row.
    pub(crate) dirty: u64,
    /// Deliveries for it in spans that wait: it stays in memory until they are applied.
    pub(crate) awaited: usize,
    /// Whom push tells, and of what; of most users nobody.
    pub(crate) push: Option<Box<Push>>,
    /// What all its devices may still spend.
    pub(crate) bucket: Bucket,
    /// The same by the hour, once it has spent any of that.
    quotas: Option<Box<Quotas>>,
    /// What is stored of its presence; most users have never set anything.
    presence: Option<Arc<PresenceRow>>,
}

/// Channels, rising. Behind one pointer, since most users have none.
#[derive(Debug)]
struct LargeChannels(Vec<ChannelId>);

impl LargeChannels {
    fn new(channels: Vec<ChannelId>) -> Option<Box<Self>> {
        (!channels.is_empty()).then(|| Box::new(Self(channels)))
    }
}

/// What waits while a user is loaded.
#[derive(Debug)]
pub(crate) enum Waiting {
    Hello(Link, Hello),
    /// Somebody wants something of the user in this channel.
    Open(Request),
    Control(Ticket, Command),
    /// Somebody wants to see the user.
    Look(Looker),
    /// A delivery waits in its own queue; this only asks for the load.
    Delivery,
}

impl User {
    pub(crate) fn new(
        account: Option<AccountRow>,
        mut devices: Vec<(DeviceId, DeviceRow)>,
        head: InboxSeq,
        (presence, push): (PresenceRow, PushRows),
        followed: Box<[ChannelId]>,
    ) -> Self {
        devices.shrink_to_fit();
        Self {
            account,
            devices,
            inbox: Inbox::new(head),
            sessions: Vec::new(),
            followed: LargeChannels::new(followed.into_vec()),
            dirty: 0,
            awaited: 0,
            push: Push::new(push),
            bucket: Bucket::default(),
            quotas: None,
            presence: Some(presence).filter(|row| *row != PresenceRow::default()).map(Arc::new),
        }
    }

    /// Whether nothing of it is going on, so that it may leave memory.
    pub(crate) fn is_idle(&self, now: Tick) -> bool {
        self.sessions.is_empty()
            && self.awaited == 0
            && self.push.as_ref().is_none_or(|push| !push.is_waiting())
            && self.bucket.is_full(now)
            && self.quotas.as_ref().is_none_or(|quotas| quotas.are_full(now))
    }

    pub(crate) fn quotas(&mut self) -> &mut Quotas {
        self.quotas.get_or_insert_default()
    }

    /// What it may do in an hour.
    pub(crate) fn bounds(&self, limits: &Limits) -> Bounds {
        Bounds::of(self.account.map(|account| account.quota).unwrap_or_default(), limits)
    }

    /// What is left of the hour's quotas.
    pub(crate) fn quotas_left(&self, limits: &Limits, now: Tick) -> Left {
        let bounds = self.bounds(limits);
        self.quotas
            .as_deref()
            .map_or_else(|| Quotas::default().left(bounds, now), |quotas| quotas.left(bounds, now))
    }

    /// What is stored of its presence.
    pub(crate) fn presence(&self) -> Arc<PresenceRow> {
        self.presence.clone().unwrap_or_default()
    }

    pub(crate) fn set_presence(&mut self, row: Arc<PresenceRow>) {
        self.presence = Some(row);
    }

    /// Large channels in which it is, rising; of most users none.
    pub(crate) fn followed(&self) -> &[ChannelId] {
        self.followed.as_ref().map_or(&[], |followed| &followed.0)
    }

    /// It is in a large channel from now on, or no more.
    pub(crate) fn follow(&mut self, channel: ChannelId, is_in: bool) {
        let mut followed = self.followed().to_vec();
        match followed.binary_search(&channel) {
            Err(place) if is_in => followed.insert(place, channel),
            Ok(place) if !is_in => drop(followed.remove(place)),
            _ => {}
        }
        self.followed = LargeChannels::new(followed);
    }

    pub(crate) fn device(&mut self, device: DeviceId) -> Option<&mut DeviceRow> {
        self.devices.iter_mut().find(|(id, _)| *id == device).map(|(_, row)| row)
    }
}

const _: () = assert!(size_of::<User>() <= 168);
