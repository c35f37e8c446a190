//! Keys. Integers are big endian, so that the order of bytes is the order of numbers. Whatever belongs to a user or a
//! channel begins with its partition and what belongs to a bay with its first, so that a partition and a bay are one
//! range in each family. The layout is for ever.

use std::ops::Deref;

use bytes::Buf;
use protocol::commit::{
    ERASED_TAG, FLOOR_TAG, FOLLOWED_TAG, MESSAGE_TAG, PINS_TAG, PRESENCE_TAG, Provider, REACTOR_TAG,
    RETENTION_TAG, Rule,
};
use protocol::{BayId, ChannelId, DeviceId, InboxSeq, PartitionId, Seq, UserId};

/// Room for the longest key.
const KEY_BYTES_MAX: usize = 38;
/// Above every key of every family.
pub(crate) const END: [u8; KEY_BYTES_MAX + 1] = [0xff; KEY_BYTES_MAX + 1];

/// Format version and history families.
pub(crate) const META_LAYOUT: &[u8] = b"layout";
/// Rows of families of one channel, among the facts about the store.
pub(crate) const OWN_PREFIX: &[u8; 4] = b"own/";
/// Behind the last of them.
#[cfg(feature = "rocks")]
pub(crate) const OWN_END: &[u8] = b"own0";

/// What a row of `joined` says; the last byte of its key. Never reused: 3 was a read position in format 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JoinedTag {
    Joined = 1,
    Left = 2,
}

/// A key or the beginning of one, on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    bytes: [u8; KEY_BYTES_MAX],
    len: usize,
}

impl Key {
    const fn new() -> Self {
        Self { bytes: [0; KEY_BYTES_MAX], len: 0 }
    }

    fn push<const N: usize>(mut self, part: [u8; N]) -> Self {
        let end = self.len + N;
        debug_assert!(end <= KEY_BYTES_MAX);
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(&part);
            self.len = end;
        }
        self
    }

    /// The smallest key above everything that begins with this one.
    pub(crate) fn after_all(mut self) -> Self {
        while self.len > 0 {
            let last = self.bytes.get_mut(self.len - 1);
            match last {
                Some(byte) if *byte < 0xff => {
                    *byte += 1;
                    return self;
                }
                _ => self.len -= 1,
            }
        }
        // Not reached: a partition is below 4096, so its first byte can always be raised.
        Self { bytes: [0xff; KEY_BYTES_MAX], len: KEY_BYTES_MAX }
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Everything of one partition, or of those above it.
pub(crate) fn partition(partition: u16) -> Key {
    Key::new().push(partition.to_be_bytes())
}

/// Everything of one bay, up to and without the second key.
pub(crate) fn bay(bay: BayId) -> (Key, Key) {
    let partitions = bay.partitions();
    (partition(partitions.start), partition(partitions.end))
}

/// A bay: the beginning of its fan-out log, and the key of its marks.
fn first_of(bay: BayId) -> Key {
    partition(bay.partitions().start)
}

/// Life of the inboxes of a bay, among the facts about the store.
pub(crate) fn generation(bay: BayId) -> Key {
    Key::new().push(*b"bay/").push(bay.0.to_be_bytes())
}

/// A channel's family of its own, among the facts about the store.
pub(crate) fn own(channel: ChannelId) -> Key {
    Key::new().push(*OWN_PREFIX).push(channel.0.to_be_bytes())
}

/// The channel of such a key.
#[cfg(feature = "rocks")]
pub(crate) fn read_own(key: &[u8]) -> Option<ChannelId> {
    Some(ChannelId(u128::from_be_bytes(key.strip_prefix(OWN_PREFIX)?.try_into().ok()?)))
}

/// A channel: the group row's key, and the beginning of its members and of its history.
pub(crate) fn channel(channel: ChannelId) -> Key {
    partition(PartitionId::of_channel(channel).0).push(channel.0.to_be_bytes())
}

/// A user: the account's key, and the beginning of the user's list, inbox and devices.
pub(crate) fn user(user: UserId) -> Key {
    partition(PartitionId::of_user(user).0).push(user.0.to_be_bytes())
}

/// A message.
pub(crate) fn message(channel_id: ChannelId, seq: Seq) -> Key {
    channel(channel_id).push(seq.0.to_be_bytes())
}

/// All rows of one user in one channel.
pub(crate) fn member(channel_id: ChannelId, user: UserId) -> Key {
    channel(channel_id).push(user.0.to_be_bytes())
}

/// One stay of a user in a group. `joined` 0, which no stay begins with, is the place of the user's position.
pub(crate) fn interval(channel_id: ChannelId, user: UserId, joined: Seq) -> Key {
    member(channel_id, user).push(joined.0.to_be_bytes())
}

/// How far a user has come in a channel.
pub(crate) fn position(channel_id: ChannelId, user: UserId) -> Key {
    interval(channel_id, user, Seq(0))
}

/// All rows of one channel in a user's list.
pub(crate) fn joined(user_id: UserId, channel: ChannelId) -> Key {
    user(user_id).push(channel.0.to_be_bytes())
}

/// One row of one channel in a user's list.
pub(crate) fn joined_row(user: UserId, channel: ChannelId, tag: JoinedTag) -> Key {
    joined(user, channel).push([tag as u8])
}

/// A run of an inbox.
pub(crate) fn run(user_id: UserId, first: InboxSeq) -> Key {
    user(user_id).push(first.0.to_be_bytes())
}

/// A device.
pub(crate) fn device(user_id: UserId, device: DeviceId) -> Key {
    user(user_id).push(device.0.to_be_bytes())
}

/// What a user has said of another: behind the account's own row.
pub(crate) fn relation(user_id: UserId, other: UserId) -> Key {
    user(user_id).push(other.0.to_be_bytes())
}

/// What `about` or `kept` holds of one channel under one tag, and the beginning of its rows.
pub(crate) fn about(channel_id: ChannelId, tag: u8) -> Key {
    channel(channel_id).push([tag])
}

/// What `notes` holds of one user under one tag, and the beginning of its rows.
pub(crate) fn note(user_id: UserId, tag: u8) -> Key {
    user(user_id).push([tag])
}

/// A large channel of a user's own list, in `notes`: its sessions follow it.
pub(crate) fn followed(user: UserId, channel: ChannelId) -> Key {
    note_about(user, FOLLOWED_TAG, channel)
}

/// What is stored of a user's presence, in `notes`.
pub(crate) fn presence(user: UserId) -> Key {
    note(user, PRESENCE_TAG)
}

/// Of a channel in `about`: a thread, by the message with which it begins -> its newest message.
pub(crate) const THREAD_TAG: u8 = 4;
/// Of a channel in `about`: a message that stands in a thread -> nothing.
pub(crate) const IN_THREAD_TAG: u8 = 5;
/// Of a user in `notes`: a message that mentions the user -> the place of its pointer in the inbox.
pub(crate) const MENTION_TAG: u8 = 1;
/// Of a user in `notes`: the place of a pointer in the inbox -> the message, which mentions the user.
pub(crate) const MENTION_AT_TAG: u8 = 2;

/// What is said of a message.
pub(crate) fn said(channel: ChannelId, seq: Seq) -> Key {
    about(channel, MESSAGE_TAG).push(seq.0.to_be_bytes())
}

/// How users react to a message, and the beginning of the rows of that.
pub(crate) fn reactors(channel: ChannelId, seq: Seq) -> Key {
    about(channel, REACTOR_TAG).push(seq.0.to_be_bytes())
}

/// How one user reacts to a message.
pub(crate) fn reactor(channel: ChannelId, seq: Seq, user: UserId) -> Key {
    reactors(channel, seq).push(user.0.to_be_bytes())
}

/// What is pinned in a channel.
pub(crate) fn pins(channel: ChannelId) -> Key {
    about(channel, PINS_TAG)
}

/// Where a channel's history begins, in `kept`.
pub(crate) fn floor(channel: ChannelId) -> Key {
    about(channel, FLOOR_TAG)
}

/// How far the erasure of a user from a channel has come, in `about`.
pub(crate) fn erased(channel: ChannelId, user: UserId) -> Key {
    about(channel, ERASED_TAG).push(user.0.to_be_bytes())
}

/// How long a channel keeps its messages, in `kept`.
pub(crate) fn retention(channel: ChannelId) -> Key {
    about(channel, RETENTION_TAG)
}

/// What now holds of what is laid down for a group, in `about`.
pub(crate) fn rule(channel: ChannelId, rule: &Rule) -> Key {
    let key = about(channel, rule.tag());
    rule.user().map_or(key, |user| key.push(user.0.to_be_bytes()))
}

/// Of a user in `push`: a channel -> what the user is still to be told of it.
pub(crate) const JOB_TAG: u8 = 1;
/// Of a user in `push`: a device and a provider -> a subscription.
pub(crate) const SUBSCRIPTION_TAG: u8 = 2;

/// Of a user in `push`: a row says that the user has turned push off.
pub(crate) const PUSH_OFF_TAG: u8 = 3;

/// Of a user in `push`: a channel -> what devices may show of it, and the user has not read.
pub(crate) const SHOWN_TAG: u8 = 4;
/// The same of what the user has read: a tag of its own, so that whoever withdraws passes nothing else.
pub(crate) const WITHDRAWAL_TAG: u8 = 5;

/// All jobs of a partition. The tag stands before the user, so that whoever reads jobs passes no subscription.
pub(crate) fn jobs(number: u16) -> Key {
    partition(number).push([JOB_TAG])
}

/// All withdrawals of a partition.
pub(crate) fn withdrawals(number: u16) -> Key {
    partition(number).push([WITHDRAWAL_TAG])
}

/// What devices of a user may show of a channel, read or not.
pub(crate) fn shown(user: UserId, channel: ChannelId, is_read: bool) -> Key {
    push(user, if is_read { WITHDRAWAL_TAG } else { SHOWN_TAG }).push(channel.0.to_be_bytes())
}

/// User and channel of the key of what is shown and was read, or was not.
pub(crate) fn read_shown(key: &[u8], is_read: bool) -> Option<(UserId, ChannelId)> {
    let (user, mut rest) = read_push(key, if is_read { WITHDRAWAL_TAG } else { SHOWN_TAG })?;
    let channel = ChannelId(rest.try_get_u128().ok()?);
    rest.is_empty().then_some((user, channel))
}

/// What `push` holds of one user under one tag.
pub(crate) fn push(user: UserId, tag: u8) -> Key {
    partition(PartitionId::of_user(user).0).push([tag]).push(user.0.to_be_bytes())
}

/// What a user is still to be told of a channel.
pub(crate) fn job(user: UserId, channel: ChannelId) -> Key {
    push(user, JOB_TAG).push(channel.0.to_be_bytes())
}

/// Where a device is told.
pub(crate) fn subscription(user: UserId, device: DeviceId, provider: Provider) -> Key {
    push(user, SUBSCRIPTION_TAG).push(device.0.to_be_bytes()).push([provider as u8])
}

/// The rest of a `push` key behind its tag, if the user lives in its partition.
fn read_push(mut key: &[u8], tag: u8) -> Option<(UserId, &[u8])> {
    let (partition, found) = (key.try_get_u16().ok()?, key.try_get_u8().ok()?);
    let user = UserId(key.try_get_u64().ok()?);
    (found == tag && PartitionId::of_user(user).0 == partition).then_some((user, key))
}

/// The user of the row that says that push is off.
pub(crate) fn read_push_off(key: &[u8]) -> Option<UserId> {
    let (user, rest) = read_push(key, PUSH_OFF_TAG)?;
    rest.is_empty().then_some(user)
}

/// User and channel of a job's key.
pub(crate) fn read_job(key: &[u8]) -> Option<(UserId, ChannelId)> {
    let (user, mut rest) = read_push(key, JOB_TAG)?;
    let channel = ChannelId(rest.try_get_u128().ok()?);
    rest.is_empty().then_some((user, channel))
}

/// User, device and provider of a subscription's key.
pub(crate) fn read_subscription(key: &[u8]) -> Option<(UserId, DeviceId, Provider)> {
    let (user, mut rest) = read_push(key, SUBSCRIPTION_TAG)?;
    let device = DeviceId(rest.try_get_u64().ok()?);
    let provider = Provider::from_number(rest.try_get_u8().ok()?)?;
    rest.is_empty().then_some((user, device, provider))
}

/// A thread.
pub(crate) fn thread(channel: ChannelId, root: Seq) -> Key {
    about(channel, THREAD_TAG).push(root.0.to_be_bytes())
}

/// A message of a thread, in the thread's order.
pub(crate) fn in_thread(channel: ChannelId, root: Seq, seq: Seq) -> Key {
    about(channel, IN_THREAD_TAG).push(root.0.to_be_bytes()).push(seq.0.to_be_bytes())
}

/// A mention, in the order of its channel.
pub(crate) fn mention(user: UserId, channel: ChannelId, seq: Seq) -> Key {
    note(user, MENTION_TAG).push(channel.0.to_be_bytes()).push(seq.0.to_be_bytes())
}

/// A mention, in the order of the inbox.
pub(crate) fn mention_at(user: UserId, at: InboxSeq) -> Key {
    note(user, MENTION_AT_TAG).push(at.0.to_be_bytes())
}

/// What a user has noted of one channel, and the beginning of the rows of that.
pub(crate) fn note_about(user: UserId, tag: u8, about: ChannelId) -> Key {
    note(user, tag).push(about.0.to_be_bytes())
}

/// One of several notes of one channel: a thread, or the seq of the note itself.
pub(crate) fn note_at(user: UserId, tag: u8, about: ChannelId, at: u64) -> Key {
    note_about(user, tag, about).push(at.to_be_bytes())
}

/// Channel and place of such a note, from the rest of its key; prefs have no place.
pub(crate) fn read_note_place(mut rest: &[u8]) -> Option<(ChannelId, Option<u64>)> {
    let about = ChannelId(rest.try_get_u128().ok()?);
    let at = if rest.is_empty() { None } else { Some(rest.try_get_u64().ok()?) };
    rest.is_empty().then_some((about, at))
}

/// Partition, channel, tag and the rest of a key of `about` or `kept`.
pub(crate) fn read_about(mut key: &[u8]) -> Option<(u16, ChannelId, u8, &[u8])> {
    let row = (key.try_get_u16().ok()?, ChannelId(key.try_get_u128().ok()?), key.try_get_u8().ok()?);
    Some((row.0, row.1, row.2, key))
}

/// Partition, user, tag and the rest of a `notes` key.
pub(crate) fn read_note(mut key: &[u8]) -> Option<(u16, UserId, u8, &[u8])> {
    let row = (key.try_get_u16().ok()?, UserId(key.try_get_u64().ok()?), key.try_get_u8().ok()?);
    Some((row.0, row.1, row.2, key))
}

/// A row of the fan-out log.
pub(crate) fn fanout(bay: BayId, number: u64) -> Key {
    first_of(bay).push(number.to_be_bytes())
}

/// The marks of a bay.
pub(crate) fn applied(bay: BayId) -> Key {
    first_of(bay)
}

/// What a row of `member` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MemberPart {
    Position,
    /// The stay that began with this seq.
    Interval(Seq),
}

/// Partition, channel, user and part of a `member` key.
pub(crate) fn read_member(mut key: &[u8]) -> Option<(u16, ChannelId, UserId, MemberPart)> {
    let partition = key.try_get_u16().ok()?;
    let (channel, user) = (ChannelId(key.try_get_u128().ok()?), UserId(key.try_get_u64().ok()?));
    let part = match key.try_get_u64().ok()? {
        0 => MemberPart::Position,
        joined => MemberPart::Interval(Seq(joined)),
    };
    key.is_empty().then_some((partition, channel, user, part))
}

/// Partition, channel and seq of a `history` key.
pub(crate) fn read_channel_row(mut key: &[u8]) -> Option<(u16, ChannelId, u64)> {
    let row = (key.try_get_u16().ok()?, ChannelId(key.try_get_u128().ok()?), key.try_get_u64().ok()?);
    key.is_empty().then_some(row)
}

/// Partition, user and what follows (first inbox seq or device) of an `inbox` or `device` key.
pub(crate) fn read_user_row(mut key: &[u8]) -> Option<(u16, UserId, u64)> {
    let row = (key.try_get_u16().ok()?, UserId(key.try_get_u64().ok()?), key.try_get_u64().ok()?);
    key.is_empty().then_some(row)
}

/// Partition, user, channel and tag of a `joined` key.
pub(crate) fn read_joined(mut key: &[u8]) -> Option<(u16, UserId, ChannelId, JoinedTag)> {
    let partition = key.try_get_u16().ok()?;
    let user = UserId(key.try_get_u64().ok()?);
    let channel = ChannelId(key.try_get_u128().ok()?);
    let tag = match key {
        [1] => JoinedTag::Joined,
        [2] => JoinedTag::Left,
        _ => return None,
    };
    Some((partition, user, channel, tag))
}

/// Partition and channel of a `channel` key.
pub(crate) fn read_channel(mut key: &[u8]) -> Option<(u16, ChannelId)> {
    let row = (key.try_get_u16().ok()?, ChannelId(key.try_get_u128().ok()?));
    key.is_empty().then_some(row)
}

/// Bay and number of a `fanout` key.
pub(crate) fn read_fanout(mut key: &[u8]) -> Option<(BayId, u64)> {
    let (first, number) = (key.try_get_u16().ok()?, key.try_get_u64().ok()?);
    let bay = PartitionId(first).bay();
    (key.is_empty() && bay.partitions().start == first).then_some((bay, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_layout() {
        let key = message(ChannelId(0x0102), Seq(0x0a0b));
        let (partition, rest) = key.split_at(2);
        assert_eq!(partition, PartitionId::of_channel(ChannelId(0x0102)).0.to_be_bytes());
        assert_eq!(rest, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0x0a, 0x0b]);
        let key = joined_row(UserId(7), ChannelId(0x0102), JoinedTag::Left);
        assert_eq!(key.len(), 27);
        assert_eq!(key.last(), Some(&2));
        let key = interval(ChannelId(0x0102), UserId(7), Seq(0x0a0b));
        assert_eq!(key.len(), 34);
        assert_eq!(key[18..], [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x0a, 0x0b]);
        assert_eq!(position(ChannelId(0x0102), UserId(7))[26..], [0; 8]);
        let key = in_thread(ChannelId(0x0102), Seq(7), Seq(0x0a0b));
        assert_eq!(key[18..], [5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x0a, 0x0b]);
        assert_eq!(thread(ChannelId(0x0102), Seq(7))[18..], [4, 0, 0, 0, 0, 0, 0, 0, 7]);
        let key = job(UserId(7), ChannelId(0x0102));
        assert_eq!((key.len(), key[2], &key[3..11]), (27, 1, &[0, 0, 0, 0, 0, 0, 0, 7][..]));
        assert_eq!(read_job(&key), Some((UserId(7), ChannelId(0x0102))));
        let key = subscription(UserId(7), DeviceId(9), Provider::WebPush);
        assert_eq!((key.len(), key[2], key[19]), (20, 2, 1));
        assert_eq!(read_subscription(&key), Some((UserId(7), DeviceId(9), Provider::WebPush)));
        assert_eq!(read_job(&key), None);
        let key = push(UserId(7), PUSH_OFF_TAG);
        assert_eq!((key.len(), key[2], read_push_off(&key)), (11, 3, Some(UserId(7))));
        for (is_read, tag) in [(false, 4), (true, 5)] {
            let key = shown(UserId(7), ChannelId(0x0102), is_read);
            assert_eq!((key.len(), key[2]), (27, tag));
            assert_eq!(read_shown(&key, is_read), Some((UserId(7), ChannelId(0x0102))));
            assert_eq!((read_shown(&key, !is_read), read_job(&key)), (None, None));
        }
        let key = mention(UserId(7), ChannelId(0x0102), Seq(9));
        assert_eq!((key.len(), key[10], &key[25..]), (35, 1, &[1, 2, 0, 0, 0, 0, 0, 0, 0, 9][..]));
        assert_eq!(mention_at(UserId(7), InboxSeq(9))[10..], [2, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(&*fanout(BayId(5), 1), [1, 64, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(&*applied(BayId(63)), [0x0f, 0xc0]);
        assert_eq!(&*generation(BayId(63)), b"bay/\0?");
    }

    #[test]
    fn derived_rows_stand_behind_their_channel_or_user() {
        let (channel, user) = (ChannelId(0x0102), UserId(7));
        let key = about(channel, 3);
        assert_eq!((key.len(), key.last()), (19, Some(&3)));
        assert_eq!(read_about(&key), Some((PartitionId::of_channel(channel).0, channel, 3, &[][..])));
        let key = note(user, 2);
        assert_eq!((key.len(), key.last()), (11, Some(&2)));
        assert_eq!(read_note(&key), Some((PartitionId::of_user(user).0, user, 2, &[][..])));
        assert_eq!(read_about(&key), None);
        let key = note_at(user, 4, channel, 0x0a);
        assert_eq!((key.len(), key.get(10), key.last()), (35, Some(&4), Some(&0x0a)));
        assert_eq!(key.get(11..).and_then(read_note_place), Some((channel, Some(0x0a))));
        let key = note_about(user, 3, channel);
        assert_eq!(key.get(11..).and_then(read_note_place), Some((channel, None)));
    }

    #[test]
    fn a_bay_is_one_range() {
        let user = UserId(1);
        let (from, to) = bay(BayId::of_user(user));
        for key in [
            super::user(user),
            run(user, InboxSeq(u64::MAX)),
            fanout(BayId(51), u64::MAX),
            applied(BayId(51)),
        ] {
            assert!(*from <= *key && *key < *to);
        }
        let last = bay(BayId(63));
        assert!(*last.0 < *last.1 && *last.1 < END[..]);
    }

    #[test]
    fn order_of_bytes_is_order_of_numbers() {
        let channel = ChannelId(9);
        assert!(*message(channel, Seq(255)) < *message(channel, Seq(256)));
        assert!(*message(channel, Seq(u64::MAX)) < *super::channel(channel).after_all());
        assert!(*super::channel(channel).after_all() < END[..]);
    }

    #[test]
    fn keys_read_back() {
        let channel = ChannelId::direct(UserId(5), UserId(6));
        let place = PartitionId::of_channel(channel).0;
        assert_eq!(read_channel_row(&message(channel, Seq(3))), Some((place, channel, 3)));
        assert_eq!(read_joined(&joined_row(UserId(5), channel, JoinedTag::Left)).unwrap().3, JoinedTag::Left);
        let part = |key: &[u8]| read_member(key).map(|(found, _, user, part)| (found, user, part));
        let user = UserId(7);
        assert_eq!(part(&member(channel, user)), None, "the row of format 1");
        assert_eq!(part(&position(channel, user)), Some((place, user, MemberPart::Position)));
        let stay = interval(channel, user, Seq(9));
        assert_eq!(part(&stay), Some((place, user, MemberPart::Interval(Seq(9)))));
        assert!(position(channel, user)[..] < stay[..]);
        assert_eq!(read_channel(&super::channel(channel)), Some((place, channel)));
        assert_eq!(read_channel(&message(channel, Seq(3))), None);
        assert_eq!(read_fanout(&fanout(BayId(63), 7)), Some((BayId(63), 7)));
        assert_eq!(read_fanout(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 7]), None, "not a bay's first partition");
        assert_eq!(read_user_row(&run(UserId(5), InboxSeq(8))), Some((place, UserId(5), 8)));
    }
}
