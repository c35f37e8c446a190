//! Large channels at the home of those who are in them: which channels the sessions of this shard follow, how far each has
//! been passed on, and to whom. Nothing of it is stored: the history is, and what was missed is read from there.
//!
//! A channel that is followed is *looked at* first: its home says that it tells of each message from now on, and then the newest
//! message is read. From there it is *live*: messages are passed on in their order and without a hole, and a hole is read from the
//! history before what is behind it. A user follows once the store has said that it is a member, as of some time after which
//! everything that could end that is passed by here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::body::large::{HeadItem, Heads, pointed_by};
use protocol::body::message::Change;
use protocol::body::talk::Talk;
use protocol::commit::Interval;
use protocol::hop::Hop;
use protocol::limits::PAGE_BYTES_MAX;
use protocol::query::{PageBounds, Query};
use protocol::{ChannelId, Frame, Kind, Seq, UserId};

use crate::asks::Asked;
use crate::behind::PAGE;
use crate::input::Tick;
use crate::invariant::impossible;
use crate::limits::{FOLLOW_EVERY_MS, FOLLOWED_MAX, FOLLOWERS_ASKED_MAX};
use crate::offer::Outlet;
use crate::session::SessionId;
use crate::shard::Shard;

/// One channel that sessions of this shard follow.
#[derive(Debug, Default)]
struct Followed {
    /// Everything up to here was passed on; `None` until the newest message was looked at.
    told: Option<Seq>,
    /// The history reaches at least here.
    seen: Seq,
    /// The newest message is to be looked at, since its home has said so.
    is_due: bool,
    /// The history is being read.
    is_reading: bool,
    users: BTreeMap<UserId, Follower>,
    /// Sessions that had no room for a message: they are told the head once they have.
    behind: BTreeSet<SessionId>,
}

/// One user who follows a channel, or would.
#[derive(Clone, Copy, Debug)]
struct Follower {
    /// Since which message it is a member; `None` while that is asked.
    joined: Option<Seq>,
    /// Which question that is, or was.
    number: u64,
}

impl Followed {
    /// A user leaves with this message. Given back if it may have come back since: that is being asked.
    fn left(&mut self, user: UserId, seq: Seq) -> Option<UserId> {
        match self.users.get(&user)?.joined {
            Some(joined) if joined > seq => None,
            Some(_) => {
                self.users.remove(&user);
                None
            }
            None => Some(user),
        }
    }
}

/// All channels that sessions of this shard follow.
#[derive(Debug, Default)]
pub(crate) struct Follows {
    of: BTreeMap<ChannelId, Followed>,
    /// Who is to be asked for as a member.
    waiting: VecDeque<(ChannelId, UserId)>,
    /// Of whom nothing could be read: they are asked for again a second later.
    resting: Vec<(ChannelId, UserId)>,
    asked: usize,
    /// The newest number of a question.
    number: u64,
    again_at: Tick,
}

impl Follows {
    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }

    /// The history of a channel could not be read now. It is tried again when the homes are told again.
    pub(crate) fn read_failed(&mut self, channel: ChannelId) {
        if let Some(followed) = self.of.get_mut(&channel) {
            followed.is_reading = false;
        }
    }

    /// It could not be read whether a user is a member.
    pub(crate) fn not_asked(&mut self, channel: ChannelId, user: UserId, number: u64) {
        self.asked -= 1;
        if self.asks(channel, user, number).is_some() {
            self.resting.push((channel, user));
        }
    }

    /// The user of whom this was asked, if that is still of interest.
    fn asks(&mut self, channel: ChannelId, user: UserId, number: u64) -> Option<&mut Follower> {
        let follower = self.of.get_mut(&channel)?.users.get_mut(&user)?;
        (follower.joined.is_none() && follower.number == number).then_some(follower)
    }
}

impl Shard {
    /// A session has begun: it is told how far the large channels of its user have come, as far as that is known.
    pub(crate) fn follow_all(&mut self, id: UserId, session: SessionId) {
        let Some(user) = self.users.get(&id) else { return };
        let channels: Vec<ChannelId> = user.followed().iter().take(FOLLOWED_MAX).copied().collect();
        let mut items = Vec::new();
        for channel in channels {
            items.extend(self.head_for(channel, id));
            self.follow(channel, id);
        }
        self.tell_heads(session, items);
    }

    /// A user with sessions follows a channel, once it is known to be a member.
    pub(crate) fn follow(&mut self, channel: ChannelId, id: UserId) {
        let has_sessions = self.users.get(&id).is_some_and(|user| !user.sessions.is_empty());
        if !has_sessions {
            return;
        }
        let (by, home) = (self.config.shard, self.placement.channel_home(channel));
        if !self.follows.of.contains_key(&channel) {
            self.hops.push(home, Hop::Follow { channel, by, on: true });
        }
        let followed = self.follows.of.entry(channel).or_default();
        if followed.users.contains_key(&id) {
            return;
        }
        self.follows.number += 1;
        followed.users.insert(id, Follower { joined: None, number: self.follows.number });
        if followed.told.is_some() {
            self.follows.waiting.push_back((channel, id));
        }
    }

    /// A user is a member no more, or has no session.
    pub(crate) fn unfollow(&mut self, channel: ChannelId, id: UserId) {
        let Some(followed) = self.follows.of.get_mut(&channel) else { return };
        followed.users.remove(&id);
        if followed.users.is_empty() {
            self.follows.of.remove(&channel);
            let (by, home) = (self.config.shard, self.placement.channel_home(channel));
            self.hops.push(home, Hop::Follow { channel, by, on: false });
        }
    }

    /// A session has ended, perhaps the last of its user.
    pub(crate) fn unfollow_all(&mut self, id: UserId, session: SessionId) {
        let Some(user) = self.users.get(&id).filter(|user| !user.followed().is_empty()) else { return };
        let (channels, is_last) = (user.followed().to_vec(), user.sessions.is_empty());
        for channel in &channels {
            if let Some(followed) = self.follows.of.get_mut(channel) {
                followed.behind.remove(&session);
            }
            if is_last {
                self.unfollow(*channel, id);
            }
        }
    }

    /// The home of a channel tells of each message from here on: what was stored before is looked at.
    pub(crate) fn followed(&mut self, channel: ChannelId) {
        let Some(followed) = self.follows.of.get_mut(&channel) else {
            let (by, home) = (self.config.shard, self.placement.channel_home(channel));
            return self.hops.push(home, Hop::Follow { channel, by, on: false });
        };
        followed.is_due = true;
        self.read_on(channel);
    }

    /// Messages of a channel, one behind the other.
    pub(crate) fn told(&mut self, channel: ChannelId, frames: &[Frame]) {
        let seq_of = |frame: Option<&Frame>| frame.and_then(Frame::read_stamp).map(|stamp| stamp.seq);
        let Some((first, last)) = seq_of(frames.first()).zip(seq_of(frames.last())) else {
            return impossible!(self, "messages of a channel without one");
        };
        let Some(followed) = self.follows.of.get_mut(&channel) else { return };
        let is_next = followed.told.is_some_and(|told| followed.seen <= told && first <= told.next());
        followed.seen = followed.seen.max(last);
        if is_next {
            self.spread(channel, frames);
        } else {
            self.read_on(channel);
        }
    }

    /// Reads what is missing of a channel, if something is and it is not being read.
    fn read_on(&mut self, channel: ChannelId) {
        let Some(followed) = self.follows.of.get_mut(&channel).filter(|followed| !followed.is_reading) else {
            return;
        };
        let newest = PageBounds { messages: 1, bytes: PAGE_BYTES_MAX };
        let (asked, after, before, newest, page) = match followed.told {
            Some(told) if told < followed.seen => {
                (Asked::Missed(channel), told, followed.seen.next(), false, PAGE)
            }
            _ if followed.is_due => {
                followed.is_due = false;
                (Asked::Head(channel), Seq(0), Seq(u64::MAX), true, newest)
            }
            _ => return,
        };
        followed.is_reading = true;
        self.ask(asked, Query::History { channel, after, before, newest, page });
    }

    /// The newest message of a channel.
    pub(crate) fn head_read(&mut self, channel: ChannelId, frames: &[Frame]) {
        let Some(followed) = self.follows.of.get_mut(&channel) else { return };
        followed.is_reading = false;
        let stamp = frames.last().and_then(Frame::read_stamp);
        let head = stamp.map(|stamp| stamp.seq).unwrap_or_default();
        followed.seen = followed.seen.max(head);
        if followed.told.is_none() {
            followed.told = Some(head);
            // From here on nobody leaves unseen.
            let users = followed.users.keys().map(|user| (channel, *user));
            self.follows.waiting.extend(users);
        }
        self.read_on(channel);
    }

    /// What was missed of a channel, or the first of it.
    pub(crate) fn missed_read(&mut self, channel: ChannelId, frames: &[Frame]) {
        let Some(followed) = self.follows.of.get_mut(&channel) else { return };
        followed.is_reading = false;
        if frames.is_empty() {
            return impossible!(self, "a channel without the messages that its home told of");
        }
        self.spread(channel, frames);
        self.read_on(channel);
    }

    /// The next messages of a channel, to the sessions of those who follow it. Who has them in the inbox gets them there.
    fn spread(&mut self, id: ChannelId, frames: &[Frame]) {
        let (room, turn) = (self.egress_room(), self.turn);
        let Some(followed) = self.follows.of.get_mut(&id) else { return };
        let (mut crowded, mut left) = (Vec::new(), Vec::new());
        for frame in frames {
            let Some(stamp) = frame.read_stamp() else { continue };
            if followed.told.is_some_and(|told| stamp.seq <= told) {
                continue;
            }
            followed.told = Some(stamp.seq);
            if frame.kind() == Kind::RECALLED {
                // Nobody knows any more whom it named, and that it was recalled is told.
                continue;
            }
            let change = Change::read(frame);
            let pointed = pointed_by(stamp.sender, change.as_ref(), Talk::read(frame).as_ref());
            for (user, follower) in &followed.users {
                let is_for = follower.joined.is_some_and(|joined| joined < stamp.seq);
                if !is_for || pointed.binary_search(user).is_ok() {
                    continue;
                }
                // Who follows has sessions, and so is in memory.
                let Some(user) = self.users.get(user) else { continue };
                for session_id in &user.sessions {
                    if followed.behind.contains(session_id) {
                        continue;
                    }
                    let Some(session) = self.sessions.get_mut(session_id) else { continue };
                    let (out, hops, ledger) = (&mut self.out, &mut self.hops, &self.ledger);
                    if (Outlet { out, hops, ledger, turn }).offer(session, frame, room) {
                        self.counters.messages_sent += 1;
                    } else {
                        followed.behind.insert(*session_id);
                        crowded.push(*session_id);
                    }
                }
            }
            // Nothing behind this message is for who leaves with it, whenever the user's home hears of that.
            if let Some(leaver) = change.and_then(|change| change.leaver(stamp.sender)) {
                left.extend(followed.left(leaver, stamp.seq));
            }
        }
        // Who left and came back before this was read is asked for once more.
        for user in left {
            self.unfollow(id, user);
            self.follow(id, user);
        }
        for session in crowded {
            self.crowd(session);
        }
    }

    /// A session that had no room has some: it is told how far the channels have come of which it missed something.
    pub(crate) fn tell_behind(&mut self, session: SessionId) {
        let Some(id) = self.sessions.get(&session).map(crate::session::Session::user) else { return };
        let Some(user) = self.users.get(&id).filter(|user| !user.followed().is_empty()) else { return };
        let mut items = Vec::new();
        for channel in user.followed() {
            let Some(followed) = self.follows.of.get_mut(channel) else { continue };
            if followed.behind.remove(&session)
                && let Some(told) = followed.told
            {
                items.push(HeadItem { channel: channel.0, head: told.0 });
            }
        }
        self.tell_heads(session, items);
    }

    /// Asks for the next who would follow, within bounds. Whoever comes to a large channel may come with thousands.
    pub(crate) fn ask_followers(&mut self) {
        while self.follows.asked < FOLLOWERS_ASKED_MAX
            && self.asks.has_load_room()
            && let Some((channel, user)) = self.follows.waiting.pop_front()
        {
            let follower = self.follows.of.get(&channel).and_then(|followed| followed.users.get(&user));
            let Some(number) = follower.filter(|one| one.joined.is_none()).map(|one| one.number) else {
                continue;
            };
            self.follows.asked += 1;
            self.ask(Asked::Follower { channel, user, number }, Query::Membership { channel, user });
        }
    }

    /// The store has said when a user was a member, as of a time since it was asked.
    pub(crate) fn follower_read(
        &mut self,
        channel: ChannelId,
        user: UserId,
        number: u64,
        stays: &[Interval],
    ) {
        self.follows.asked -= 1;
        let Some(follower) = self.follows.asks(channel, user, number) else { return };
        match stays.last().filter(|stay| stay.left.is_none()) {
            Some(stay) => {
                follower.joined = Some(stay.joined);
                let item = self.head_for(channel, user);
                let sessions = self.users.get(&user).map(|user| user.sessions.clone()).unwrap_or_default();
                for session in sessions {
                    self.tell_heads(session, item.into_iter().collect());
                }
            }
            None => self.unfollow(channel, user),
        }
    }

    /// Says again what is followed, and asks again for what could not be read.
    pub(crate) fn look_at_follows(&mut self) {
        let again = core::mem::take(&mut self.follows.resting);
        self.follows.waiting.extend(again);
        if self.now < self.follows.again_at {
            return;
        }
        self.follows.again_at = self.now.after_ms(FOLLOW_EVERY_MS);
        let (by, channels) = (self.config.shard, self.follows.of.keys().copied().collect::<Vec<_>>());
        for channel in channels {
            let home = self.placement.channel_home(channel);
            self.hops.push(home, Hop::Follow { channel, by, on: true });
        }
    }

    /// How far a channel has come for a user who follows it: what is behind is sent.
    fn head_for(&self, channel: ChannelId, user: UserId) -> Option<HeadItem> {
        let followed = self.follows.of.get(&channel)?;
        let joined = followed.users.get(&user)?.joined?;
        Some(HeadItem { channel: channel.0, head: followed.told?.max(joined).0 })
    }

    fn tell_heads(&mut self, session: SessionId, items: Vec<HeadItem>) {
        if !items.is_empty() {
            self.transmit_body(session, 0, &Heads { items });
        }
    }
}
