//! How far people have come, as the model knows it, and what devices were shown of it. Receipts are offered and may be lost;
//! so what a device holds in the end is compared behind an answer to its own question.

use std::collections::BTreeMap;

use protocol::body::marks::{MarkDelivered, ReceiptItem, Receipts, Typing};
use protocol::body::read;
use protocol::commit::PositionRow;
use protocol::limits::LIST_ITEMS_MAX;
use protocol::{ChannelId, Frame, Kind, Seq, UserId};
use shard::limits::DELIVERED_EVERY_MS;

use crate::broken;
use crate::oracle::{Check, Oracle};
use crate::world::World;

/// What a device was shown of a channel: read and delivered of each member.
pub type Shown = BTreeMap<u64, (u64, u64)>;

/// Channels that each device asks about in the end.
const ASKED_MAX: usize = 4;
/// Time that passes at once: little, so that nobody is taken for silent.
const PASS_MS: u64 = 400;
/// Steps in which what is due then gets under way.
const STEPS: u64 = 10;
/// As long as a device says nothing of it after a refusal.
const HALVED_MS: u64 = 10_000;
/// Longer than a device waits before it says what was delivered.
const SAID_MS: u64 = 3000;

impl Oracle {
    /// A device says how far a channel was delivered.
    pub(crate) fn mark_offered(&mut self, user: UserId, frame: &Frame) {
        let mark = read::<MarkDelivered>(frame).filter(|_| frame.kind() == Kind::MARK_DELIVERED);
        if let Some(mark) = mark {
            let most = self.marked.entry((ChannelId(mark.channel), user)).or_default();
            *most = (*most).max(Seq(mark.seq));
        }
    }

    /// What may be shown of a member at most.
    fn most(&self, channel: ChannelId, user: UserId) -> (u64, u64) {
        let row = self.mark(channel, user);
        let marked = self.marked.get(&(channel, user)).copied().unwrap_or_default();
        (row.read.0, row.read.max(row.delivered).max(marked).0)
    }

    /// Holds receipts that a connection is shown against what is durable and what anybody marked.
    pub(crate) fn check_receipts(&self, viewer: UserId, frame: &Frame) -> Check {
        let Some(body) = read::<Receipts>(frame) else { broken!("unreadable Receipts") };
        let channel = ChannelId(body.channel);
        let ever = self.ever_members(channel);
        if !ever.contains(&viewer) {
            broken!("receipts of {channel:?} shown to {viewer}, who never was a member");
        }
        let head = self.head(channel).0;
        for ReceiptItem { user, read, delivered } in &body.items {
            if self.erasing.contains(&UserId(*user)) {
                // What was on its way before it was forgotten may still come.
                continue;
            }
            let (most_read, most_delivered) = self.most(channel, UserId(*user));
            if !ever.contains(&UserId(*user)) || *read > most_read || *delivered > most_delivered.min(head) {
                broken!(
                    "{channel:?}: {user} shown at {read} and {delivered}; durable and marked are {most_read} and {most_delivered}, head {head}"
                );
            }
            if delivered < read {
                broken!("{channel:?}: {user} has read {read} and holds {delivered}");
            }
        }
        Ok(())
    }

    /// Who types in a channel, and who is told so, were in it at some time.
    pub(crate) fn check_typing(&self, viewer: UserId, frame: &Frame) -> Check {
        let Some(body) = read::<Typing>(frame) else { broken!("unreadable Typing") };
        let ever = self.ever_members(ChannelId(body.channel));
        if !ever.contains(&viewer) || !ever.contains(&UserId(body.user)) || viewer.0 == body.user {
            broken!("{viewer} is told {body:?}");
        }
        Ok(())
    }
}

/// Takes over what a device is told.
pub fn take(shown: &mut Shown, items: &[ReceiptItem]) {
    shown.extend(items.iter().map(|item| (item.user, (item.read, item.delivered))));
}

impl World {
    /// Lets everything be said and written, and has every device ask how far others have come.
    pub(crate) fn ask_receipts(&mut self) -> Check {
        // After a refusal nothing is said of what was delivered for a while.
        self.pass(HALVED_MS + SAID_MS)?;
        self.pass(DELIVERED_EVERY_MS + 1000)?;
        // One page holds everybody, and asks for no more than there can be.
        let everybody = u32::try_from(self.users.len()).unwrap_or(LIST_ITEMS_MAX).clamp(1, LIST_ITEMS_MAX);
        for place in 0..self.devices.len() {
            let device = &self.devices[place];
            if device.retired {
                continue;
            }
            let channels = self.oracle.talking_in(device.user);
            for channel in channels.into_iter().take(ASKED_MAX) {
                let device = &mut self.devices[place];
                device.shown.remove(&channel);
                let asked = device.session.receipts(channel, UserId(0), everybody);
                device.has_asked(asked);
            }
            // One device after the other: those of a user share its tokens.
            self.pass(PASS_MS)?;
        }
        // What is said only now is written before anything is compared.
        self.pass(HALVED_MS + SAID_MS)?;
        self.pass(DELIVERED_EVERY_MS + 1000)?;
        self.compare_receipts()
    }

    fn pass(&mut self, ms: u64) -> Check {
        for _ in 0..ms.div_ceil(PASS_MS) {
            self.now += PASS_MS;
            for _ in 0..STEPS {
                self.step()?;
            }
        }
        self.settle()
    }

    /// Whoever shows itself is seen by all who do, where the store says; whoever does not, by nobody. All see the same.
    fn compare_receipts(&self) -> Check {
        let oracle = &self.oracle;
        let mut agreed: BTreeMap<(ChannelId, u64), (u64, u64)> = BTreeMap::new();
        for device in self.devices.iter().filter(|device| !device.retired) {
            let hides = oracle.hides.contains(&device.user);
            for (channel, shown) in &device.shown {
                if !oracle.talking_in(device.user).iter().take(ASKED_MAX).any(|asked| asked == channel) {
                    continue;
                }
                for user in oracle.talking(*channel) {
                    let row = oracle.mark(*channel, user);
                    let is_seen = user == device.user || !(hides || row.hides);
                    let found = shown.get(&user.0).copied();
                    if found.is_some() != is_seen {
                        broken!(
                            "device {} of {} sees {user} in {channel:?} as {found:?}, which hides: {hides} {row:?}",
                            device.id,
                            device.user
                        );
                    }
                    let Some((read, delivered)) = found else { continue };
                    let least = row.read.max(row.delivered).0;
                    if read != row.read.0 || delivered < least || delivered > oracle.most(*channel, user).1 {
                        broken!(
                            "device {} sees {user} in {channel:?} as {found:?}, durable is {row:?}",
                            device.id
                        );
                    }
                    let first = *agreed.entry((*channel, user.0)).or_insert((read, delivered));
                    if first != (read, delivered) {
                        broken!("{user} in {channel:?} is seen as {first:?} and as {found:?}");
                    }
                }
            }
        }
        Ok(())
    }
}

impl Oracle {
    /// Members of a channel now.
    fn talking(&self, channel: ChannelId) -> Vec<UserId> {
        match channel.users() {
            Some((small, large)) => vec![small, large],
            None => self.members_now(channel),
        }
    }

    /// Channels with a message in which a user is now, so many that each has its turn in some seed.
    fn talking_in(&self, user: UserId) -> Vec<ChannelId> {
        let all = self.channels.keys().filter(|channel| self.head(**channel) > Seq(0));
        let mut own: Vec<ChannelId> =
            all.filter(|channel| self.talking(**channel).contains(&user)).copied().collect();
        own.sort_unstable_by_key(|channel| protocol::partition::mix64(channel.0 as u64 ^ user.0));
        own
    }

    /// How far a user has come in a channel, durably.
    #[must_use]
    pub fn mark(&self, channel: ChannelId, user: UserId) -> PositionRow {
        self.channels.get(&channel).map(|history| history.row(user)).unwrap_or_default()
    }
}
