//! A user at its home: the account, its devices, its inbox, its sessions.

use std::collections::BTreeMap;

use protocol::commit::{AccountRow, DeviceRow};
use protocol::{ChannelId, Cursor, DeviceId, InboxSeq, Seq, UserId};

use crate::admit::Bucket;
use crate::inbox::Inbox;
use crate::input::{Command, ConnId, Ticket};

#[derive(Debug)]
pub(crate) struct User {
    pub(crate) account: Option<AccountRow>,
    /// At most `DEVICES_MAX`; a list, since most users have two or three.
    pub(crate) devices: Vec<(DeviceId, DeviceRow)>,
    pub(crate) inbox: Inbox,
    pub(crate) sessions: Vec<ConnId>,
    /// Read marks that were written or asked for since the user was loaded.
    pub(crate) reads: Option<Box<Reads>>,
    /// Number of the batch with the newest row.
    pub(crate) dirty: u64,
    pub(crate) used: u64,
    /// Deliveries for it in spans that wait: it stays in memory until they are applied.
    pub(crate) awaited: usize,
    /// What all its devices may still spend.
    pub(crate) bucket: Bucket,
}

/// Read marks by channel.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) marks: BTreeMap<ChannelId, Seq>,
}

/// What waits while a user is loaded.
#[derive(Debug)]
pub(crate) enum Waiting {
    Hello(Hello),
    Open(ChannelId),
    Control(Ticket, Command),
    /// A delivery waits in its own queue; this only asks for the load.
    Delivery,
}

/// See [`crate::Input::Hello`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello {
    pub(crate) conn: ConnId,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) cursor: Cursor,
    pub(crate) id: u64,
    pub(crate) expires_ms: u64,
}

impl User {
    pub(crate) fn new(
        account: Option<AccountRow>,
        mut devices: Vec<(DeviceId, DeviceRow)>,
        head: InboxSeq,
    ) -> Self {
        devices.shrink_to_fit();
        Self {
            account,
            devices,
            inbox: Inbox::new(head),
            sessions: Vec::new(),
            reads: None,
            dirty: 0,
            used: 0,
            awaited: 0,
            bucket: Bucket::default(),
        }
    }

    pub(crate) fn device(&mut self, device: DeviceId) -> Option<&mut DeviceRow> {
        self.devices.iter_mut().find(|(id, _)| *id == device).map(|(_, row)| row)
    }
}

const _: () = assert!(size_of::<User>() <= 144);
