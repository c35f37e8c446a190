//! Invariants of what is shown: every frame that the core hands to a connection is held against the model before the
//! network sees it. Whatever happens to the bytes later, a claim that was not true when it was made is caught here.

use std::collections::{HashMap, HashSet};

use protocol::body::list::ChannelsV2;
use protocol::body::message::channel_of;
use protocol::body::own::Notes;
use protocol::body::read;
use protocol::body::session::{Done, Reject, Welcome};
use protocol::body::sync::{Channels, Complete, HistoryPage, MarkRead, Members, SendAck};
use protocol::body::talk::{Mentions, Thread};
use protocol::hello::Hello;
use protocol::{ChannelId, Code, Cursor, DeviceId, Frame, Kind, Seq, UserId};

use crate::broken;
use crate::follow::Follows;
use crate::oracle::{Check, Fact, Oracle};
use crate::purge;

/// What one connection was promised so far.
#[derive(Debug)]
pub struct Watch {
    user: UserId,
    device: DeviceId,
    hello: Cursor,
    /// Whether the token of Hello could be good for anything when it came.
    may_be_welcome: bool,
    /// Ids of Reauths whose token could not.
    stale_reauths: HashSet<u64>,
    welcomed: bool,
    going_away: bool,
    generation: u64,
    /// Everything up to here was sent, or held before.
    complete: u64,
    sent: HashSet<(ChannelId, Seq)>,
    newest: HashMap<ChannelId, Seq>,
    /// The large channels that it follows.
    follows: Follows,
    /// The newest ack of a send that was sent once.
    acked: HashMap<ChannelId, Seq>,
    page: Option<Page>,
    asked: HashMap<u64, Vec<Asked>>,
}

/// The rest of a history page.
#[derive(Debug)]
struct Page {
    channel: ChannelId,
    from: u64,
    to: u64,
    last: u64,
    left: u32,
    count: u32,
    /// Recalls that were durable when the page was asked for.
    recalls: u64,
}

/// A frame that the device sent on this connection.
#[derive(Clone, Copy, Debug)]
struct Asked {
    channel: Option<ChannelId>,
    fingerprint: u64,
    /// How many recalls were durable when it was asked: of what those took back nothing is shown in its answer.
    recalls: u64,
    /// Its send was durable already.
    is_repeat: bool,
    /// What MARK_READ says to have been read.
    mark: Option<(ChannelId, Seq)>,
}

impl Watch {
    /// A connection whose Hello is about to be told to the core.
    #[must_use]
    pub fn new(user: UserId, device: DeviceId, hello: Cursor, may_be_welcome: bool) -> Self {
        Self {
            user,
            device,
            hello,
            may_be_welcome,
            stale_reauths: HashSet::new(),
            welcomed: false,
            going_away: false,
            generation: 0,
            complete: 0,
            sent: HashSet::new(),
            newest: HashMap::new(),
            follows: Follows::default(),
            acked: HashMap::new(),
            page: None,
            asked: HashMap::new(),
        }
    }

    /// A guest's request, which is about to be told to the core: it is answered without a Welcome, if it may be.
    #[must_use]
    pub fn guest(oracle: &Oracle, hello: &Hello, frame: &Frame, may_be_welcome: bool) -> Self {
        let mut watch = Self::new(hello.user, hello.device, hello.cursor, may_be_welcome);
        watch.welcomed = may_be_welcome;
        watch.asks(oracle, frame);
        watch
    }

    /// Whether a page lacks messages.
    #[must_use]
    pub fn lacks_messages(&self) -> bool {
        self.page.as_ref().is_some_and(|page| page.left > 0)
    }

    /// Whether the core has said Welcome.
    #[must_use]
    pub fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// The user of the connection.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// The device of the connection.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// A Reauth has come, with a token that could not be good for anything.
    pub fn expect_refused_reauth(&mut self, id: u64) {
        self.stale_reauths.insert(id);
    }

    /// The core is about to be told a frame of the device.
    pub fn asks(&mut self, oracle: &Oracle, frame: &Frame) {
        let mark = read::<MarkRead>(frame).filter(|_| frame.kind() == Kind::MARK_READ);
        let channel = channel_of(frame);
        let (send_id, fingerprint) = (frame.send_id(), frame.fingerprint());
        let durable = channel.and_then(|channel| oracle.find(channel, self.user, send_id));
        let asked = Asked {
            channel,
            fingerprint,
            recalls: oracle.recalls,
            is_repeat: durable.is_some_and(|(_, fact)| {
                fact.was.map_or(fact.fingerprint, |was| was.fingerprint) == fingerprint
            }),
            mark: mark.map(|mark| (ChannelId(mark.channel), Seq(mark.seq))),
        };
        self.asked.entry(frame.header().id).or_default().push(asked);
    }

    /// Holds a frame that the core has handed over against what is durable now.
    ///
    /// # Errors
    /// The first claim that is not true.
    pub fn shown(&mut self, oracle: &Oracle, frame: &Frame) -> Check {
        let kind = frame.kind();
        if let Some(page) = &self.page
            && page.left > 0
            && !frame.header().is_stamped()
        {
            broken!("{} messages of the page are missing before {kind:?}", page.left);
        }
        if !self.welcomed && ![Kind::WELCOME, Kind::REJECT, Kind::GOING_AWAY].contains(&kind) {
            broken!("{kind:?} before Welcome");
        }
        if frame.header().is_stamped() {
            return match self.page.take().filter(|page| page.left > 0) {
                Some(page) => self.paged(oracle, page, frame),
                None => self.message(oracle, frame),
            };
        }
        match kind {
            Kind::WELCOME => self.welcome(oracle, frame),
            Kind::SEND_ACK => self.ack(oracle, frame),
            Kind::COMPLETE => self.complete(oracle, frame),
            Kind::HISTORY_PAGE => self.page_head(oracle, frame),
            Kind::THREAD => self.thread_head(oracle, frame),
            Kind::MENTIONS => self.mentions(oracle, frame),
            Kind::ABOUT => crate::about::page(oracle, self.user, frame),
            Kind::MEMBERS => self.members(oracle, frame),
            Kind::RULES => crate::rules::page(oracle, self.user, frame),
            Kind::CHANNELS => self.channels(oracle, frame),
            Kind::RECEIPTS => oracle.check_receipts(self.user, frame),
            Kind::PRESENCE => crate::presence::check(frame),
            Kind::OWN_PRESENCE => Ok(()),
            Kind::HEADS => match read(frame) {
                Some(heads) => self.follows.heads(oracle, self.user, &heads),
                None => broken!("HEADS that cannot be read"),
            },
            Kind::TYPING => oracle.check_typing(self.user, frame),
            Kind::NOTES => self.notes(frame),
            Kind::REJECT => self.reject(oracle, frame),
            Kind::GOING_AWAY => {
                self.going_away = true;
                Ok(())
            }
            Kind::DONE if self.stale_reauths.contains(&frame.header().id) => {
                Err(format!("device {} goes on with a token that no longer counts", self.device))
            }
            Kind::DONE => self.done(oracle, frame),
            Kind::HEARTBEAT => Ok(()),
            _ => Err(format!("the server may not send {kind:?}")),
        }
    }

    fn welcome(&mut self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<Welcome>(frame) else { broken!("unreadable Welcome") };
        let head = oracle.inbox_head(self.user);
        if self.welcomed || body.user != self.user.0 || body.device != self.device.0 {
            broken!("second or foreign Welcome {body:?}");
        }
        if !self.may_be_welcome {
            broken!("device {} of {} was logged out and is welcome again", self.device, self.user);
        }
        if body.head > head || body.start > body.head {
            broken!("Welcome start {} head {}, durable is {head}", body.start, body.head);
        }
        let same = [body.generation, 0].contains(&self.hello.generation.0);
        if same && body.start != self.hello.at.0 {
            broken!("Welcome starts at {}, Hello held {:?}", body.start, self.hello);
        }
        if body.generation != oracle.generation.0 || (!same && body.start != body.head) {
            broken!("Welcome {body:?} in life {}, Hello held {:?}", oracle.generation, self.hello);
        }
        self.welcomed = true;
        self.generation = body.generation;
        self.complete = body.start;
        Ok(())
    }

    /// The bytes of a shown message are the durable ones.
    /// `since` is the newest recall that it has to know of.
    fn is_durable(&self, oracle: &Oracle, frame: &Frame, since: u64) -> Result<(ChannelId, Seq), String> {
        let stamp = frame.read_stamp();
        let named = channel_of(frame).zip(stamp);
        let Some((channel, stamp)) = named else { broken!("a message without channel or stamp") };
        let Some(fact) = oracle.fact(channel, stamp.seq) else {
            broken!("{channel:?} {} shown before it is durable", stamp.seq);
        };
        if fact.purged.is_some() && purge::is_tombstone(frame, stamp.seq) {
            return Ok((channel, stamp.seq));
        }
        if fact.purged.is_some_and(|number| number <= since && since > 0) {
            broken!("{channel:?} {} is shown and was purged before it was asked for", stamp.seq);
        }
        // What was on its way before it was recalled may still come; what was asked for after that must not show it.
        let may_be_old =
            fact.was.is_some_and(|was| was.number > since && was.fingerprint == frame.fingerprint());
        let same = fact.sender == stamp.sender
            && fact.send_id == frame.send_id()
            && fact.time_ms == stamp.time_ms
            && (fact.fingerprint == frame.fingerprint()
                || may_be_old
                || oracle.is_erased_by(channel, stamp.sender, frame));
        if !same {
            broken!("{channel:?} {} shown as {stamp:?}, durable is {fact:?}", stamp.seq);
        }
        Ok((channel, stamp.seq))
    }

    fn message(&mut self, oracle: &Oracle, frame: &Frame) -> Check {
        let (channel, seq) = self.is_durable(oracle, frame, 0)?;
        if oracle.is_large(channel, seq) && !oracle.is_recipient(channel, self.user, seq) {
            return self.follows.told(oracle, self.user, channel, seq);
        }
        if !oracle.is_recipient(channel, self.user, seq) {
            broken!("{channel:?} {seq} sent to {}, who was no member then", self.user);
        }
        if self.sent.insert((channel, seq)) {
            let newest = self.newest.insert(channel, seq);
            // Of a large channel a seq may have come by the inbox of those who are named, as late as that is.
            if newest.is_some_and(|newest| newest > seq) {
                broken!("{channel:?} {seq} sent for the first time behind {newest:?}");
            }
        }
        Ok(())
    }

    fn paged(&mut self, oracle: &Oracle, mut page: Page, frame: &Frame) -> Check {
        let (channel, seq) = self.is_durable(oracle, frame, page.recalls)?;
        if channel != page.channel || !oracle.may_read(channel, self.user, seq) {
            broken!("{channel:?} {seq} in a page of {:?} for {}", page.channel, self.user);
        }
        if seq.0 <= page.last || seq.0 < page.from || seq.0 > page.to {
            broken!("{channel:?} {seq} out of order or range in {page:?}");
        }
        page.last = seq.0;
        page.left -= 1;
        self.page = Some(page);
        Ok(())
    }

    fn page_head(&mut self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<HistoryPage>(frame) else { broken!("unreadable HistoryPage") };
        let channel = ChannelId(body.channel);
        let readable = |seq: u64| oracle.may_read(channel, self.user, Seq(seq));
        let head = oracle.head(channel).0;
        if body.head > 0 && (body.head > head || !readable(body.head)) {
            broken!("page head {} of {channel:?}: durable {head}, or not for {}", body.head, self.user);
        }
        if body.to > head || body.from > body.to {
            broken!("page {body:?} of {channel:?}: durable {head}");
        }
        let all = (body.from.max(1)..=body.to).filter(|seq| readable(*seq)).count();
        if body.to > 0 && all != body.count as usize {
            broken!("page {body:?} claims a range in which {} may read {all}", self.user);
        }
        self.page = Some(Page {
            channel,
            from: body.from,
            to: body.to,
            last: 0,
            left: body.count,
            count: body.count,
            recalls: self.recalls_known(frame),
        });
        Ok(())
    }

    /// How many recalls were durable when a page was asked for.
    fn recalls_known(&self, page: &Frame) -> u64 {
        let asked = self.asked.get(&page.header().id);
        asked.into_iter().flatten().map(|asked| asked.recalls).min().unwrap_or(0)
    }

    /// The page of a thread holds all of it that the reader may read in its range.
    fn thread_head(&mut self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<Thread>(frame) else { broken!("unreadable Thread") };
        let (channel, head) = (ChannelId(body.channel), oracle.head(ChannelId(body.channel)).0);
        if body.to > head || body.from > body.to || body.newest > head {
            broken!("page {body:?} of a thread of {channel:?}: durable {head}");
        }
        let thread = oracle.thread(channel, Seq(body.root));
        let readable = |seq: &&Seq| oracle.may_read(channel, self.user, **seq);
        let all = thread.iter().filter(readable).filter(|seq| (body.from..=body.to).contains(&seq.0)).count();
        if all != body.count as usize {
            broken!("page {body:?} of {channel:?} claims a range in which {} may read {all}", self.user);
        }
        let (from, to, count) = (body.from, body.to, body.count);
        let recalls = self.recalls_known(frame);
        self.page = Some(Page { channel, from, to, last: 0, left: count, count, recalls });
        Ok(())
    }

    /// Each mention is durable where it is said to be.
    fn mentions(&self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<Mentions>(frame) else { broken!("unreadable Mentions") };
        for item in &body.items {
            let (channel, seq) = (ChannelId(item.channel), Seq(item.seq));
            let pointed = oracle.pointers(self.user, item.at.saturating_sub(1), item.at) == [(channel, seq)];
            if !pointed || !oracle.is_mention(self.user, channel, seq) {
                broken!("{item:?} does not mention {}, or not there", self.user);
            }
        }
        if !body.items.is_sorted_by(|a, b| a.at > b.at) {
            broken!("{body:?} is not the newest first");
        }
        Ok(())
    }

    fn ack(&mut self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<SendAck>(frame) else { broken!("unreadable SendAck") };
        let (channel, seq, id) = (ChannelId(body.channel), Seq(body.seq), frame.send_id());
        // The same key may stand twice where the first was purged.
        let is_it = |fact: &&Fact| fact.sender == self.user && fact.send_id == id;
        let Some((stored, fact)) = oracle.fact(channel, seq).filter(is_it).map(|fact| (seq, fact)) else {
            broken!("ack of {id} as {channel:?} {seq}, which is not durable");
        };
        if stored != seq || fact.time_ms != body.time_ms {
            broken!("ack of {id} says {channel:?} {seq} at {}, durable is {stored} {fact:?}", body.time_ms);
        }
        let Some(asked) = self.asked.get_mut(&id.0) else {
            broken!("ack of {id}, which was not sent on this connection");
        };
        // Of what a recalled message said nothing is known: whoever sends anything under its key hears that it was sent.
        let same = |asked: &Asked| {
            asked.channel == Some(channel) && (asked.fingerprint == fact.fingerprint || fact.was.is_some())
        };
        let Some(place) = asked.iter().position(same) else {
            broken!("ack of {id}, which was sent here with other content: {asked:?}, durable {fact:?}");
        };
        asked.remove(place);
        self.sent.insert((channel, seq));
        // The answer to a repeat comes when it comes; all other acks come in the channel's order.
        if oracle.was_offered_once(channel, self.user, id) {
            let newest = self.acked.insert(channel, seq);
            if newest.is_some_and(|newest| newest > seq) {
                broken!("ack of {id} as {channel:?} {seq} behind the ack of {newest:?}");
            }
        }
        Ok(())
    }

    /// A mark that is done is durable.
    fn done(&mut self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<Done>(frame) else { broken!("unreadable Done") };
        let asked = self.asked.remove(&frame.header().id).unwrap_or_default();
        for (channel, seq) in asked.iter().filter_map(|asked| asked.mark) {
            let durable = oracle.position(channel, self.user);
            if body.kind != Kind::MARK_READ.0 || (durable < seq && asked.len() == 1) {
                broken!("{} has read {channel:?} to {seq}, said {body:?}; durable is {durable}", self.user);
            }
        }
        Ok(())
    }

    fn complete(&mut self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<Complete>(frame) else { broken!("unreadable Complete") };
        let head = oracle.inbox_head(self.user);
        if body.generation != self.generation || body.from > body.to || body.to > body.head {
            broken!("{body:?} makes no sense");
        }
        if body.head > head {
            broken!("{body:?} passes what is durable, {head}");
        }
        if body.from > self.complete {
            broken!("{body:?} leaves a gap behind {}", self.complete);
        }
        let from = self.complete.min(body.to);
        let missing = oracle.pointers(self.user, from, body.to).iter().find(|held| !self.sent.contains(held));
        if let Some((channel, seq)) = missing {
            broken!("{body:?} to {} without {channel:?} {seq}", self.user);
        }
        self.complete = self.complete.max(body.to);
        Ok(())
    }

    fn members(&self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<Members>(frame) else { broken!("unreadable Members") };
        let channel = ChannelId(body.channel);
        let ever = oracle.ever_members(channel);
        if !ever.contains(&self.user) {
            broken!("members of {channel:?} shown to {}, who never was one", self.user);
        }
        for item in &body.items {
            let row = oracle.member(channel, UserId(item.user));
            let joined = row.is_some_and(|row| row.intervals.iter().any(|i| i.joined.0 == item.joined));
            if !ever.contains(&UserId(item.user)) || (channel.users().is_none() && !joined) {
                broken!("{item:?} of {channel:?}: durable is {row:?}");
            }
        }
        Ok(())
    }

    fn notes(&self, frame: &Frame) -> Check {
        let Some(body) = read::<Notes>(frame) else { broken!("unreadable Notes") };
        let rises = |places: Vec<(u128, u64)>| places.windows(2).all(|pair| pair[0] < pair[1]);
        let drafts = body.drafts.iter().map(|draft| (draft.about, draft.thread)).collect();
        let hidden = body.hidden.iter().map(|range| (range.about, range.at)).collect();
        if !rises(drafts) || !rises(hidden) || body.drafts.iter().any(|draft| draft.text.is_empty()) {
            broken!("{body:?} for {} in no order, or a draft without a text", self.user);
        }
        Ok(())
    }

    /// What version 2 says besides: of the same channels, each once, and as of what is durable.
    fn listing(&self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<ChannelsV2>(frame) else { return Ok(()) };
        let channels: HashSet<u128> = body.items.iter().map(|item| item.channel).collect();
        if channels.len() != body.items.len() || body.details.len() != body.items.len() {
            broken!("{body:?} for {} names a channel twice, or not all of each", self.user);
        }
        if body.through > oracle.inbox_head(self.user) || body.next > body.through + 1 {
            broken!("{body:?} for {}: the inbox ends at {}", self.user, oracle.inbox_head(self.user));
        }
        for (item, detail) in body.items.iter().zip(&body.details) {
            let fact = oracle.fact(ChannelId(item.channel), Seq(detail.last_seq));
            let is_it = |fact: &Fact| {
                let is_of_kind = fact.kind.0 == detail.last_kind
                    || (fact.was.is_some() && detail.last_kind == Kind::SEND_TEXT.0);
                (fact.sender.0, fact.time_ms) == (detail.last_sender, detail.last_ms) && is_of_kind
            };
            let is_readable = oracle.may_read(ChannelId(item.channel), self.user, Seq(detail.last_seq));
            if detail.last_seq > 0
                && (!fact.is_some_and(is_it) || !is_readable || detail.last_seq > item.head)
            {
                broken!("{detail:?} of {item:?} for {}: durable is {fact:?}", self.user);
            }
        }
        Ok(())
    }

    fn channels(&self, oracle: &Oracle, frame: &Frame) -> Check {
        self.listing(oracle, frame)?;
        let Some(body) = read::<Channels>(frame) else { broken!("unreadable Channels") };
        for item in &body.items {
            let channel = ChannelId(item.channel);
            // The list is as old as its read, and that as old as the user's inbox: a removal may not show yet.
            let intervals = oracle.member(channel, self.user).map_or(&[][..], |row| &row.intervals);
            let left = intervals.iter().any(|interval| interval.left.is_some());
            let readable = |seq: u64| left || oracle.may_read(channel, self.user, Seq(seq));
            if !oracle.ever_members(channel).contains(&self.user) {
                broken!("{item:?} for {}, who never was a member", self.user);
            }
            if item.head > oracle.head(channel).0 || (item.head > 0 && !readable(item.head)) {
                broken!("{item:?} for {}: head is not durable or not readable", self.user);
            }
            let known = oracle.may_know_name(channel, self.user, &item.name);
            if !known || (!item.member && item.name != oracle.name_at(channel, Seq(item.head))) {
                broken!("{item:?} for {}, who was not there when the group had this name", self.user);
            }
            if item.read > oracle.position(channel, self.user).0 && !oracle.erasing.contains(&self.user) {
                broken!("{item:?} for {}: the read position is not durable", self.user);
            }
            let unread = (item.read + 1..=oracle.head(channel).0).filter(|seq| readable(*seq)).count();
            if item.unread > unread as u64 {
                broken!("{item:?} for {}: at most {unread} are unread", self.user);
            }
        }
        Ok(())
    }

    /// The answer to a repeat of a durable send never becomes a refusal for good.
    fn reject(&mut self, oracle: &Oracle, frame: &Frame) -> Check {
        let Some(body) = read::<Reject>(frame) else { broken!("unreadable Reject") };
        if Code::from_number(body.code).is_none() {
            broken!("unknown code in {body:?}");
        }
        let id = frame.header().id;
        // With several frames of one id under way it cannot be told which of them is refused: the first may have come too
        // early and the second in time.
        let Some(asked) =
            self.asked.get(&id).filter(|asked| asked.len() == 1).and_then(|asked| asked.first())
        else {
            return Ok(());
        };
        // Durable when it was asked: of two copies that are under way at once, a guest's and a device's, the first may have
        // come too early.
        let repeat = asked.is_repeat;
        // What is wrong with a guest's token is said before its request is looked at.
        if body.retry_after_ms == 0 && repeat && body.path != "token" {
            broken!("repeat of durable send {id} refused with {body:?}");
        }
        let unasked = asked.channel.filter(|channel| !oracle.may_need_consent(*channel, self.user));
        if let (true, Some(channel)) = (body.code == Code::NeedsConsent.number(), unasked) {
            broken!("{id} to {channel:?} refused with {body:?}, and its other user never refused anything");
        }
        self.asked.remove(&id);
        Ok(())
    }

    /// What must hold when nothing is under way: everything durable was sent and said to be complete.
    ///
    /// # Errors
    /// What is missing.
    pub fn settled(&self, oracle: &Oracle) -> Check {
        if let Some(page) = self.page.as_ref().filter(|page| page.left > 0) {
            broken!("{} of {} messages of a page never came", page.left, page.count);
        }
        if self.welcomed {
            self.follows.settled(oracle, self.user)?;
        }
        let head = oracle.inbox_head(self.user);
        if self.welcomed && self.complete != head {
            broken!("device {} of {} is complete to {} of {head}", self.device, self.user, self.complete);
        }
        Ok(())
    }
}
